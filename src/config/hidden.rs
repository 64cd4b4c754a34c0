//! Routes that nobody reaches, because another flow answers under their paths.

use std::collections::BTreeMap;

use super::code;
use super::draft::Draft;
use super::language::{FlowDraft, can_begin};
use super::problem::{Problem, Problems, shown};
use crate::policy::Flow;

/// A flow with what it answers.
#[derive(Clone, Copy)]
struct Door<'d> {
    settings: &'d FlowDraft,
    flow: &'d Flow,
}

/// Says of a flow within another one which routes of that one are not reached.
pub(super) fn find_hidden(draft: &Draft, problems: &mut Problems) {
    let doors = doors(draft);
    for ((host, prefix), inner) in &doors {
        // The nearest one around it: what that one hides itself is told of it.
        let mut around = prefix.as_str();
        while let Some((shorter, _)) = around.rsplit_once('/') {
            around = shorter;
            if let Some(outer) = doors.get(&(host.clone(), shorter.to_owned())) {
                let below = prefix.strip_prefix(shorter).unwrap_or_default();
                problems.extend(hidden(*inner, *outer, below));
                break;
            }
        }
    }
}

/// Every flow under the host and path where it is reached; of two the first, as both are an error.
fn doors(draft: &Draft) -> BTreeMap<(String, String), Door<'_>> {
    let mut doors = BTreeMap::new();
    for (school, vendor) in draft.vendors() {
        let (Some(school), Some(vendor)) = (&school.school, &vendor.draft) else {
            continue;
        };
        for (settings, flow) in vendor.flows.iter().zip(vendor.policy.flows.iter()) {
            let place = (school.host(), school.prefix(settings));
            doors.entry(place).or_insert(Door { settings, flow });
        }
    }
    doors
}

/// What the inner flow hides of the outer one, which has this path below it.
fn hidden(inner: Door<'_>, outer: Door<'_>, below: &str) -> Option<Problem> {
    let mut routes = outer.flow.routes.iter().filter(|it| can_begin(it, below));
    let first = routes.next()?;
    let more = match routes.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("routes of the flow {} are hidden", shown(&outer.flow.name));
    let label = format!("{}{more} would be reached here", shown(&first.name));
    let problem = Problem::finding(code::ROUTES_HIDDEN, message)
        .at(&inner.settings.at.place)
        .label(label)
        .also(&outer.settings.at.place, "and they are not reached here");
    let help = "a request goes to the flow with the longer path, and to no route of another";
    let path = "give one of the two a path of its own: at = \"/…\"";
    Some(problem.help(help).help(path))
}
