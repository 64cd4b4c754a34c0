//! `[[flow.X.route]]`: which requests are answered, and what each direction carries.

use super::Compiler;
use super::overlap::can_match;
use super::queries::Answer;
use crate::config::{At, Place, Problem, TOKEN_PATH, Table, TextOrTable, code, shown};
use crate::policy::{
    Content, IdKind, Index, Method, ParameterType, QueryRule, Route, Rule, Segment, Side,
    StatusContent,
};

/// The types of parameters in paths and queries.
pub(super) const TYPES: &[(&str, ParameterType)] = &[
    ("date", ParameterType::Date),
    ("datetime", ParameterType::DateTime),
    ("int", ParameterType::Int),
    ("slug", ParameterType::Slug),
    ("uuid", ParameterType::Uuid),
];

const FORMATS_NOT_YET: &[&str] = &["csv", "form", "multipart", "ndjson", "xml"];

/// A route with the place of its `match`, before the routes of a flow are put in order.
#[derive(Debug)]
pub(super) struct PlacedRoute {
    pub(super) route: Route,
    pub(super) place: Place,
    /// Those of the route, with the places of their keys.
    pub(super) statuses: Vec<At<StatusContent>>,
}

/// Where routes stand that not every flow may have.
#[derive(Debug, Default)]
pub(super) struct InRoutes {
    /// They would answer where callers fetch their tokens.
    pub(super) on_token_path: Vec<Place>,
    /// They pass on what an upstream says of credentials.
    pub(super) about_credentials: Vec<Place>,
}

impl InRoutes {
    pub(super) fn of(routes: &[PlacedRoute]) -> Self {
        let on_token_path = { routes.iter() }.filter(|it| can_match(&it.route, TOKEN_PATH));
        let about_credentials = routes.iter().flat_map(PlacedRoute::about_credentials);
        Self {
            on_token_path: on_token_path.map(|it| it.place.clone()).collect(),
            about_credentials: about_credentials.cloned().collect(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.on_token_path.is_empty() && self.about_credentials.is_empty()
    }
}

impl<'d> Compiler<'d, '_> {
    /// Reads a route, or several that differ in their paths only. `caller` says on which side its
    /// request begins.
    pub(super) fn route(&mut self, table: &Table<'d>, caller: Side) -> Vec<PlacedRoute> {
        let json = self.format(table);
        let matches = self.matches(table);
        let errors = self.errors();
        let name = matches.first().map_or("", |it| it.value);
        let body = format!("body of {name}");
        let mut to_vendor = self.content(table, "to-vendor", body.clone());
        let mut from_vendor = self.content(table, "from-vendor", body);
        let (answer, usual) = match caller {
            Side::School => (&mut from_vendor, "from-vendor"),
            Side::Vendor => (&mut to_vendor, "to-vendor"),
        };
        let declared = self.statuses(table, usual, name);
        if let Some(usual) = &declared.usual {
            *answer = usual.value;
        }
        let answer = match self.errors() > errors {
            true => Answer::Unknown,
            false => Answer::Of(*answer),
        };
        let query = self.query(table, caller, &answer);
        let rules: Vec<&QueryRule> = query.iter().map(|it| &it.rule).collect();
        self.check_asked_alike(&declared.others, &rules);
        table.finish(self.problems);
        let request = match caller {
            Side::School => ("to-vendor", to_vendor),
            Side::Vendor => ("from-vendor", from_vendor),
        };
        if json {
            let value = table.value("from-vendor").map(|it| it.place());
            let usual = declared.usual.as_ref().map(|it| it.place.clone());
            if let (Content::Json(rule), Some(place)) = (from_vendor, value.or(usual)) {
                self.homeward.push((rule, place, caller));
            }
            self.note_statuses(&declared.others, caller);
        }
        let statuses: Box<[_]> = declared.others.iter().map(|it| it.value).collect();
        let mut places = declared.others;
        let mut routes = Vec::new();
        for matched in matches {
            let Some((method, path)) = self.matched(&matched, caller) else {
                continue;
            };
            self.check_body(table, request, method);
            let route = Route {
                name: matched.value.to_owned(),
                method,
                path,
                query: query.clone(),
                to_vendor,
                from_vendor,
                statuses: statuses.clone(),
            };
            routes.push(PlacedRoute {
                route,
                place: matched.place,
                // What they say is looked at once.
                statuses: std::mem::take(&mut places),
            });
        }
        routes
    }

    /// `match`: a method and a path, or a list of them.
    fn matches(&mut self, table: &Table<'d>) -> Vec<At<&'d str>> {
        let Some(value) = table.need("match", self.problems) else {
            return Vec::new();
        };
        if !value.is_array() {
            return value.text(self.problems).into_iter().collect();
        }
        let list = value.array(self.problems).unwrap_or_default();
        if list.is_empty() {
            let problem = Problem::error(code::VALUE, "`match` needs one path at least");
            self.problems.push(problem.at(&value.place()));
        }
        let texts = list.iter().filter_map(|it| it.text(self.problems));
        texts.collect()
    }

    fn check_body(&mut self, table: &Table<'d>, request: (&str, Content), method: Method) {
        if let ((key, Content::Json(_)), Method::Get | Method::Delete) = (request, method) {
            let place = table
                .value(key)
                .map_or_else(|| table.place(), |it| it.place());
            let message = format!("a {} request has no body", method.as_str());
            let problem = Problem::error(code::CONFLICT, message).at(&place);
            let side = match key {
                "to-vendor" => "school",
                _ => "vendor",
            };
            self.problems
                .push(problem.label(format!("the {side} calls, so this is its request")));
        }
    }

    /// Whether the format is JSON; any other is reported.
    fn format(&mut self, table: &Table<'d>) -> bool {
        let Some(format) = table.text("format", self.problems) else {
            return true;
        };
        match format.value {
            "json" => return true,
            later if FORMATS_NOT_YET.contains(&later) => {
                self.not_yet(&format!("format = \"{later}\""), &format.place);
            }
            other => {
                let known = ["json", "csv", "form", "multipart", "ndjson", "xml"];
                self.no_such("format", other, &format.place, &known);
            }
        }
        false
    }

    /// What a body carries; one that is written out field by field gets that name.
    pub(super) fn content(&mut self, table: &Table<'d>, key: &str, name: String) -> Content {
        let value = table.value(key);
        let Some(body) = value.and_then(|value| value.text_or_table(self.problems)) else {
            return Content::Nothing;
        };
        let (rule, place) = match body {
            TextOrTable::Text(word) if word.value == "nothing" => return Content::Nothing,
            TextOrTable::Text(word) if !self.is_word(word.value) => {
                let shapes = self.vocabulary.shapes.texts();
                let known = std::iter::once("nothing").chain(shapes).map(str::to_owned);
                let known: Vec<String> = known.collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.no_such("body", word.value, &word.place, &known);
                return Content::Nothing;
            }
            TextOrTable::Text(word) => (self.short(&word), word.place),
            TextOrTable::Table(table) => {
                let place = table.place();
                let shape = self.anonymous(name, table);
                (shape.map(Rule::Object), place)
            }
        };
        match rule {
            None => Content::Nothing,
            Some(rule @ (Rule::List(_) | Rule::ListOrOne(_) | Rule::Object(_))) => {
                Content::Json(rule)
            }
            Some(_) => {
                let message = "a body is a shape, a list, or \"nothing\"";
                let problem = Problem::error(code::VALUE, message).at(&place);
                self.problems
                    .push(problem.help("for example \"User[]\" or { users = \"User[]\" }"));
                Content::Nothing
            }
        }
    }

    fn matched(&mut self, text: &At<&'d str>, caller: Side) -> Option<(Method, Box<[Segment]>)> {
        let (method, path) = text.value.split_once(' ').unwrap_or((text.value, ""));
        let Some(path) = path.strip_prefix('/') else {
            let message = "this is not a method and a path";
            let problem = Problem::error(code::VALUE, message).at(&text.place);
            self.problems.push(problem.help(meant(text.value)));
            return None;
        };
        if method == Method::Head.as_str() {
            let message = "a route for HEAD is not needed";
            let problem = Problem::error(code::VALUE, message).at(&text.place);
            self.problems
                .push(problem.help("a GET route answers HEAD too"));
            return None;
        }
        let Some(known) = Method::parse(method) else {
            self.no_such(
                "method",
                method,
                &text.place,
                &["DELETE", "GET", "PATCH", "POST", "PUT"],
            );
            return None;
        };
        if path.is_empty() {
            return Some((known, Box::default()));
        }
        let segments: Vec<Option<Segment>> = path
            .split('/')
            .map(|part| self.segment(part, text, caller))
            .collect();
        let segments: Option<Box<[Segment]>> = segments.into_iter().collect();
        Some((known, segments?))
    }

    fn segment(&mut self, part: &str, text: &At<&'d str>, caller: Side) -> Option<Segment> {
        let inner = part.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        match inner {
            Some(inner) => match inner.split_once(':') {
                Some((_, of)) => self.parameter_type(of, &text.place).map(Segment::Parameter),
                None => {
                    let kind = self.kind(&At {
                        value: inner,
                        place: text.place.clone(),
                    })?;
                    self.check_way_back(kind, &text.place, caller);
                    Some(Segment::Identifier(kind))
                }
            },
            None => self.literal(part, &text.place),
        }
    }

    fn literal(&mut self, part: &str, place: &Place) -> Option<Segment> {
        if let Some(why) = why_no_literal(part) {
            // A query may hold a key.
            let message = match part.split_once(['?', '#']) {
                None if part.is_empty() => "a path has no empty segment".to_owned(),
                None => format!("{} cannot be part of a path", shown(part)),
                Some((before, _)) => {
                    format!("{} cannot be part of a path", shown(&format!("{before}…")))
                }
            };
            self.problems
                .push(Problem::error(code::VALUE, message).at(place).label(why));
            return None;
        }
        Some(Segment::Literal(part.into()))
    }

    /// Ids in a request of the vendor must have a way back, and those in one of the school's lead
    /// to what they name.
    pub(super) fn check_way_back(&mut self, kind: Index<IdKind>, place: &Place, caller: Side) {
        if caller == Side::School {
            self.find_own_ids_lost(kind, place);
            return;
        }
        if self.has_way_back(kind) {
            self.check_rejects(kind, place);
        } else {
            let label = "an id in a request of the vendor".to_owned();
            self.no_way_back(kind, place, label);
        }
    }

    fn parameter_type(&mut self, name: &str, place: &Place) -> Option<ParameterType> {
        let found = TYPES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, of)| of.clone());
        if found.is_none() {
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
            self.no_such("type", name, place, &names);
        }
        found
    }
}

/// Why a segment cannot be taken as it is written, if it cannot.
fn why_no_literal(part: &str) -> Option<&'static str> {
    match part {
        "" => Some("it has two slashes, or one at the end"),
        "." | ".." => Some("`.` and `..` are no names"),
        _ if part.contains(['{', '}']) => Some("a parameter is a whole segment: `/{pupil}/`"),
        _ if part.contains(['?', '#']) => Some("parameters of the query stand in `query`"),
        _ if part.contains('%') => Some("write the character itself"),
        _ if part
            .chars()
            .any(|it| it.is_control() || it.is_whitespace() || it == '\\') =>
        {
            Some("a character that no path has")
        }
        _ => None,
    }
}

/// What to write instead of a text that is no method and path. What may be a URL is not repeated:
/// it may hold a password or a key.
fn meant(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (method, path) = match *words.as_slice() {
        [path] if path.starts_with('/') => {
            return "a method stands before it: `GET /…`, `PUT /…`".to_owned();
        }
        [method, path] => (Method::parse(&method.to_ascii_uppercase()), path),
        _ => (None, ""),
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    match method.map(|method| method.of_route().as_str()) {
        Some(method) if path.split('/').all(is_plain) => {
            format!("did you mean {}?", shown(&format!("{method} /{path}")))
        }
        Some(_) | None => "for example \"GET /users/{pupil}\"".to_owned(),
    }
}

/// Whether a segment is a name or a parameter, and no part of a URL.
fn is_plain(part: &str) -> bool {
    let inner = part.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    match inner {
        Some(inner) => why_no_literal(&inner.replace(':', "")).is_none(),
        None => why_no_literal(part).is_none() && !part.contains([':', '@']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_url_is_not_said_again() {
        for (text, path) in [
            ("GET users", "GET /users"),
            ("put users/{pupil}/{nr:int}", "PUT /users/{pupil}/{nr:int}"),
            ("head /users", "GET /users"),
        ] {
            assert_eq!(meant(text), format!("did you mean `{path}`?"));
        }
        let which = "a method stands before it: `GET /…`, `PUT /…`";
        assert_eq!(meant("/users"), which, "a push flow has no GET");
        for text in [
            "GET https://piet:fake@sis.example/users?apikey=fake",
            "GET sis.example:8443/users",
            "GET piet@sis.example/users",
            "GET users?apikey=fake",
            "GET users#fake",
            "GET users/{a?apikey=fake}",
            "GET users//fake",
            "GET users/",
            "https://piet:fake@sis.example /users",
            "users",
        ] {
            assert_eq!(meant(text), "for example \"GET /users/{pupil}\"", "{text}");
        }
    }
}
