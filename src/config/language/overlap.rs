//! Which of two routes answers a request that both match: the more literal one, or it is an error.

use super::Compiler;
use super::routes::PlacedRoute;
use crate::config::{Problem, code};
use crate::policy::{ParameterType, Route, Segment};

impl Compiler<'_, '_> {
    /// Puts the routes of a flow in order and reports those of which neither is more specific.
    pub(super) fn ordered(&mut self, mut routes: Vec<PlacedRoute>) -> Vec<Route> {
        let pairs = routes.iter().enumerate().flat_map(|(number, later)| {
            let earlier = routes.iter().take(number);
            earlier.map(move |earlier| (earlier, later))
        });
        let conflicts = pairs.filter_map(|(earlier, later)| {
            let example = conflict(&earlier.route, &later.route)?;
            let problem = Problem::error(
                code::ROUTES_OVERLAP,
                "two routes can match the same request",
            )
            .at(&later.place)
            .also(&earlier.place, "the other");
            let help = "write them as one, or make one the more literal where they differ";
            Some(problem.help(format!("example: {example}")).help(help))
        });
        self.problems.extend(conflicts);
        routes.sort_by(|left, right| openness(&left.route).cmp(openness(&right.route)));
        routes.into_iter().map(|placed| placed.route).collect()
    }
}

/// For each segment whether it is open. In this order of whole paths the literal one stands first
/// where two differ, and so does whatever is more specific as a whole.
fn openness(route: &Route) -> impl Iterator<Item = bool> {
    route.path.iter().map(|segment| match segment {
        Segment::Literal(_) => false,
        Segment::Identifier(_) | Segment::Parameter(_) => true,
    })
}

/// A request that both routes match while neither is more specific.
fn conflict(left: &Route, right: &Route) -> Option<String> {
    if left.method != right.method || left.path.len() != right.path.len() {
        return None;
    }
    let mut example = left.method.as_str().to_owned();
    example.push_str(if left.path.is_empty() { " /" } else { " " });
    let (mut left_first, mut right_first) = (false, false);
    for (one, other) in left.path.iter().zip(&right.path) {
        example.push('/');
        example.push_str(common(one, other)?);
        match (one, other) {
            (Segment::Literal(_), Segment::Identifier(_) | Segment::Parameter(_)) => {
                left_first = true;
            }
            (Segment::Identifier(_) | Segment::Parameter(_), Segment::Literal(_)) => {
                right_first = true;
            }
            (Segment::Literal(_), Segment::Literal(_))
            | (
                Segment::Identifier(_) | Segment::Parameter(_),
                Segment::Identifier(_) | Segment::Parameter(_),
            ) => {}
        }
    }
    (left_first == right_first).then_some(example)
}

/// Whether a route can match a path of plain segments, whatever the method.
pub(super) fn can_match(route: &Route, path: &str) -> bool {
    let fits = |(segment, text): (&Segment, &str)| match segment {
        Segment::Identifier(_) => true,
        Segment::Literal(literal) => **literal == *text,
        Segment::Parameter(of) => may_be(text, of),
    };
    let texts = || path.trim_start_matches('/').split('/');
    route.path.len() == texts().count() && route.path.iter().zip(texts()).all(fits)
}

/// Whether paths of a route can begin with that one, which somebody chose for a flow: no identifier
/// is called so.
pub(in crate::config) fn can_begin(route: &Route, path: &str) -> bool {
    let fits = |(segment, text): (&Segment, &str)| match segment {
        Segment::Identifier(_) => false,
        Segment::Literal(literal) => **literal == *text,
        Segment::Parameter(of) => may_be(text, of),
    };
    let texts = || path.split('/').skip(1);
    route.path.len() >= texts().count() && route.path.iter().zip(texts()).all(fits)
}

/// A text that both segments match.
fn common<'t>(left: &'t Segment, right: &'t Segment) -> Option<&'t str> {
    match (left, right) {
        (Segment::Literal(one), Segment::Literal(other)) => (one == other).then_some(one),
        (Segment::Literal(text), Segment::Parameter(of))
        | (Segment::Parameter(of), Segment::Literal(text)) => may_be(text, of).then_some(text),
        (Segment::Literal(text), Segment::Identifier(_))
        | (Segment::Identifier(_), Segment::Literal(text)) => Some(text),
        (Segment::Identifier(_), Segment::Identifier(_)) => Some("abc"),
        (Segment::Identifier(_), Segment::Parameter(of))
        | (Segment::Parameter(of), Segment::Identifier(_)) => Some(example(of)),
        (Segment::Parameter(one), Segment::Parameter(other)) => {
            let both = [example(one), example(other)];
            both.into_iter()
                .find(|text| may_be(text, one) && may_be(text, other))
        }
    }
}

/// A text of that type; of two types that have texts in common, the narrower one's is of both.
fn example(of: &ParameterType) -> &str {
    match of {
        ParameterType::Date => "2026-08-01",
        ParameterType::DateTime => "2026-08-01T08:00:00Z",
        ParameterType::Int => "7",
        ParameterType::OneOf(words) => words.first().map_or("", |word| word),
        ParameterType::Slug => "abc",
        ParameterType::Uuid => "2a960a95-c70e-88af-b483-e26a38758e39",
    }
}

/// Whether a text can be of a type, in outline: never no where the answer is yes.
fn may_be(text: &str, of: &ParameterType) -> bool {
    let only = |allowed: fn(u8) -> bool| text.bytes().all(allowed);
    match of {
        ParameterType::Date => text.len() == 10 && only(|it| it.is_ascii_digit() || it == b'-'),
        ParameterType::DateTime => text.len() >= 20 && text.contains(':'),
        ParameterType::Int => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            digits.bytes().all(|it| it.is_ascii_digit())
        }
        ParameterType::OneOf(words) => words.iter().any(|word| **word == *text),
        ParameterType::Slug => only(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it)),
        ParameterType::Uuid => text.len() == 36 && only(|it| it.is_ascii_hexdigit() || it == b'-'),
    }
}
