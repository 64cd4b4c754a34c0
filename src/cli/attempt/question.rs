//! Which parameter of a query is refused, and why. A caller on the wire is told neither; whoever
//! has the vendor's file may know.

use super::Trial;
use crate::config::nearest;
use crate::minimise::{self, Counts, RequestLine};
use crate::policy::{Flow, ParameterType, QueryParameter, QueryRule, Route};
use crate::pseudonym::Asked;
use crate::refusal::Refusal;

/// What is wrong with the query of a request that is refused for it, in the flow at that place.
pub(super) fn fault(
    trial: &Trial,
    place: usize,
    flow: &Flow,
    line: RequestLine<'_>,
) -> Option<String> {
    let found = minimise::find(&trial.law.policy, place, line).ok()?;
    let route = flow.routes.get(found.route)?;
    let query = line.query?;
    let query = query.strip_suffix('&').unwrap_or(query);
    let crossing = trial.crossing(flow.caller.other());
    let is_refused = |pair: &&str| {
        let line = RequestLine {
            query: Some(pair),
            ..line
        };
        let counts = &mut Counts::default();
        let head = minimise::find(&trial.law.policy, place, line)
            .map_err(Refusal::from)
            .and_then(|found| minimise::request(&crossing, place, &found, Asked::Again, counts));
        head.is_err_and(|refusal| matches!(refusal, Refusal::QueryInvalid { .. }))
    };
    match query.split('&').find(is_refused) {
        Some(pair) => Some(fault_of(route, pair)),
        None => repeated(query),
    }
}

/// What is wrong with one parameter.
fn fault_of(route: &Route, pair: &str) -> String {
    let Some((name, value)) = pair.split_once('=') else {
        return format!("`{pair}` has no value: {pair}=…");
    };
    if pair.contains(['[', ']']) {
        let encoded = pair.replace('[', "%5B").replace(']', "%5D");
        return format!("brackets are percent-encoded in a query: {encoded}");
    }
    let name = minimise::parameter_name(name).unwrap_or_else(|| name.into());
    let parameter = route.query.iter().find(|it| *it.name == *name);
    let Some(QueryParameter { rule, .. }) = parameter else {
        return unlisted(route, &name);
    };
    let is_filter = matches!(rule, QueryRule::Filter(_));
    if !is_filter && value.bytes().any(|byte| byte == b'+' || byte == b' ') {
        return format!("in `{name}`, write a space as %20 and a plus as %2B");
    }
    let wanted = match rule {
        QueryRule::Fields(_) => "names fields that leave, with commas between them".to_owned(),
        QueryRule::Filter(_) => {
            "is `field op 'value'`, at most 8 of them joined by ` AND ` or ` OR `, of fields that \
             leave and values that they may have"
                .to_owned()
        }
        QueryRule::Identifier(_) | QueryRule::Identifiers(_) => {
            "is an identifier, percent-encoded".to_owned()
        }
        QueryRule::One(of) => format!("is {}", words(of)),
        QueryRule::Sort(_) => "names one field that every item keeps as it is".to_owned(),
    };
    format!("`{name}` {wanted}; not `{value}`")
}

fn unlisted(route: &Route, name: &str) -> String {
    let names: Vec<&str> = route.query.iter().map(|it| &*it.name).collect();
    let has = match names.as_slice() {
        [] => "this route has no parameters".to_owned(),
        names => format!("this route may have {}", names.join(", ")),
    };
    let meant = nearest(name, names.iter().copied());
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
    format!("`{name}` is not listed: {has}{}", meant.unwrap_or_default())
}

/// The parameter that stands twice, each time as it may.
fn repeated(query: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for pair in query.split('&') {
        let (name, _) = pair.split_once('=')?;
        if names.contains(&name) {
            return Some(format!("`{name}` stands there twice"));
        }
        names.push(name);
    }
    None
}

fn words(of: &ParameterType) -> String {
    match of {
        ParameterType::Date => "a date, 2026-08-31".to_owned(),
        ParameterType::DateTime => {
            "a date and time with its offset, 2026-08-31T12:00:00Z".to_owned()
        }
        ParameterType::Int => "a whole number".to_owned(),
        ParameterType::OneOf(listed) => format!("one of {}", listed.join(", ")),
        ParameterType::Slug => "1 to 128 of A-Z a-z 0-9 . _ -".to_owned(),
        ParameterType::Uuid => "a UUID".to_owned(),
    }
}
