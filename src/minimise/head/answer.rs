//! The head of an answer: the few lines of it that a caller needs to find its way.

use super::place::translate;
use super::query::Ids;
use super::{Asked, Cleared, Counts, Crossing, Trail};
use crate::minimise::{Action, EchoAt};
use crate::policy::{Rule, Side};
use crate::refusal::Refusal;

/// The lines of an answer's head that may matter to the caller, as they came.
#[derive(Clone, Debug, Default)]
pub struct AnswerLines<'h> {
    /// `Content-Location`, every line (RFC 9110 section 8.7).
    pub content_location: Vec<&'h [u8]>,
    /// `Link`, every line (RFC 8288).
    pub link: Vec<&'h [u8]>,
    /// `Location`, every line (RFC 9110 section 10.2.2).
    pub location: Vec<&'h [u8]>,
    /// `X-Total-Count`, every line: how many items there are in all.
    pub total_count: Vec<&'h [u8]>,
    /// The rule of the body that comes with them, if one may.
    pub body: Option<Rule>,
}

impl AnswerLines<'_> {
    /// Whether there is none of them.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.content_location.is_empty()
            && self.link.is_empty()
            && self.location.is_empty()
            && self.total_count.is_empty()
    }
}

/// What goes on of the head of an answer. All of it is ASCII without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// `Content-Location`.
    pub content_location: Option<String>,
    /// `Link`, all in one line.
    pub link: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `X-Total-Count`.
    pub total_count: Option<String>,
}

/// A head that may be written, and what its identifiers leave behind.
#[derive(Debug)]
pub struct Answered {
    /// What goes on.
    pub head: Cleared<AnswerHead>,
    /// Nothing may be written before this is on disk.
    pub trail: Trail,
    /// Whether a pseudonym is nobody's so far: to be asked again once the register has caught up.
    pub missed: bool,
}

/// Translates the head of an answer of a flow. What cannot be translated is left out and counted.
#[must_use]
pub fn answer(
    crossing: &Crossing,
    flow: usize,
    lines: &AnswerLines<'_>,
    asked: Asked,
    counts: &mut Counts,
) -> Answered {
    let caller = crossing.law.policy.flows.get(flow).map(|flow| flow.caller);
    let mut dropped = Counts::default();
    let mut answering = Answering {
        ids: Ids::new(crossing, caller.unwrap_or(Side::Vendor), asked, counts),
        flow,
        dropped: &mut dropped,
        missed: false,
    };
    // The head goes out before the body is read to its end. So what counts is not whether items are
    // removed from this answer, but whether they may be.
    let counts_all = crossing.to == Side::School || { lines.body }
        .is_none_or(|rule| crossing.law.policy.leaves_all(rule));
    let relations = match counts_all {
        true => &RELATIONS[..],
        false => RELATIONS.get(1..).unwrap_or_default(),
    };
    let total_count = Answering::total(&lines.total_count).filter(|_| counts_all);
    if total_count.is_none() && !lines.total_count.is_empty() {
        answering.dropped.add(Action::DroppedValue);
    }
    let head = AnswerHead {
        content_location: answering.place("content-location", &lines.content_location),
        link: answering.links(&lines.link, relations),
        location: answering.place("location", &lines.location),
        total_count,
    };
    let (missed, trail) = (answering.missed, answering.ids.trail);
    counts.absorb(&dropped);
    Answered {
        head: Cleared::new(head),
        trail,
        missed: missed && asked == Asked::First,
    }
}

struct Answering<'a, 'c> {
    ids: Ids<'c>,
    flow: usize,
    dropped: &'a mut Counts,
    missed: bool,
}

impl Answering<'_, '_> {
    /// An address that stands alone.
    fn place(&mut self, name: &'static str, lines: &[&[u8]]) -> Option<String> {
        let text = match lines {
            [] => return None,
            [line] => std::str::from_utf8(line).ok(),
            [..] => None,
        };
        self.translated(name, text)
    }

    fn links(&mut self, lines: &[&[u8]], relations: &[&str]) -> Option<String> {
        let mut written = Vec::new();
        for line in lines {
            let text = std::str::from_utf8(line).unwrap_or_default();
            let Some(links) = links(text) else {
                self.dropped.add(Action::DroppedValue);
                continue;
            };
            let read = links.into_iter().map(|link| self.link(link, relations));
            written.extend(read.flatten());
        }
        (!written.is_empty()).then(|| written.join(", "))
    }

    fn link(
        &mut self,
        (link, relation): (&str, Option<&str>),
        relations: &[&str],
    ) -> Option<String> {
        let known = relation.and_then(|relation| {
            let mut known = relations.iter().copied();
            known.find(|known| known.eq_ignore_ascii_case(relation))
        });
        let link = self.translated("link", known.map(|_| link));
        // No comma stands in an address of ours: a client may split at them.
        let both = link.zip(known);
        both.map(|(link, relation)| format!("<{link}>; rel=\"{relation}\""))
    }

    fn translated(&mut self, name: &'static str, link: Option<&str>) -> Option<String> {
        let made = link.map(|link| translate(&mut self.ids, Some(self.flow), link));
        let plain =
            |made: &String| !made.contains(',') && made.bytes().all(|it| it.is_ascii_graphic());
        match made {
            Some(Ok(made)) if plain(&made) => return Some(made),
            Some(Err(Refusal::TargetUnknown)) => self.missed = true,
            Some(Ok(_) | Err(_)) | None => {}
        }
        let why = std::mem::replace(&mut self.ids.why, Action::DroppedValue);
        match why == Action::DroppedEcho {
            true => self.dropped.add_echo(Some(EchoAt::Header(name))),
            false => self.dropped.add(why),
        }
        None
    }

    fn total(lines: &[&[u8]]) -> Option<String> {
        let line = match lines {
            [line] => std::str::from_utf8(line).ok(),
            [..] => None,
        };
        let number = |text: &&str| {
            (1..=COUNT_DIGITS_MAX).contains(&text.len())
                && text.bytes().all(|it| it.is_ascii_digit())
        };
        line.filter(number).map(str::to_owned)
    }
}

/// The relations of pages to each other (RFC 8288, RFC 5005): nothing else is of use here. The
/// first of these tells how many items there are, to whoever reads the offset in it.
const RELATIONS: [&str; 4] = ["last", "first", "next", "prev"];
/// The digits of a count: what every reader has room for.
const COUNT_DIGITS_MAX: usize = 18;

/// The links of a line with their relation, if they have one; `None` if it is not well-formed.
fn links(line: &str) -> Option<Vec<(&str, Option<&str>)>> {
    let mut links = Vec::new();
    let mut rest = line.trim_matches([' ', '\t']);
    loop {
        let (link, mut after) = rest.strip_prefix('<')?.split_once('>')?;
        let (mut relation, mut elsewhere) = (None, false);
        loop {
            after = after.trim_start_matches([' ', '\t']);
            let Some(parameter) = after.strip_prefix(';') else {
                break;
            };
            let (name, value, behind) = parameter_of(parameter)?;
            // The first one counts (RFC 8288 section 3.3).
            if name.eq_ignore_ascii_case("rel") && relation.is_none() {
                relation = Some(value);
            }
            // It would be a link of something else than the answer.
            elsewhere |= name.eq_ignore_ascii_case("anchor");
            after = behind;
        }
        links.push((link, relation.filter(|_| !elsewhere)));
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start_matches([' ', '\t']),
            None if after.is_empty() => return Some(links),
            None => return None,
        }
    }
}

/// Name and value of a parameter, and what stands behind it.
fn parameter_of(text: &str) -> Option<(&str, &str, &str)> {
    let is_of_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
    let text = text.trim_start_matches([' ', '\t']);
    let end = text.find(|it| !is_of_token(it)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let Some(value) = rest.strip_prefix('=') else {
        return (!name.is_empty()).then_some((name, "", rest));
    };
    if name.is_empty() {
        return None;
    }
    match value.strip_prefix('"') {
        Some(quoted) => {
            let (value, rest) = quoted.split_once('"')?;
            (!value.contains('\\')).then_some((name, value, rest))
        }
        None => {
            let end = value.find(|it| !is_of_token(it)).unwrap_or(value.len());
            let (value, rest) = value.split_at_checked(end)?;
            (!value.is_empty()).then_some((name, value, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_strictly() {
        let next = Some(vec![("/a", Some("next"))]);
        for line in [
            "</a>; rel=\"next\"",
            "</a>;rel=next",
            " </a> ; title=\"a, <b>; c\" ; REL=next;rel=last",
            "</a>; rel=next; crossorigin",
        ] {
            assert_eq!(links(line), next, "{line}");
        }
        let two = links("</a>; rel=next, <https://b/?c=d,e>; rel=\"last\"").unwrap();
        assert_eq!(
            two,
            [("/a", Some("next")), ("https://b/?c=d,e", Some("last"))]
        );
        assert_eq!(
            links("</a>; rel=next; anchor=\"/b\""),
            Some(vec![("/a", None)])
        );
        assert_eq!(links("</a>"), Some(vec![("/a", None)]));
        for line in [
            "",
            "/a; rel=next",
            "</a; rel=next",
            "</a>; rel=\"next",
            "</a>; rel=",
            "</a>; =next",
            "</a> rel=next",
            "</a>; rel=next,",
            "</a>; rel=next; </b>; rel=last",
            "</a>; rel=\"ne\\xt\"",
            ", </a>; rel=next",
        ] {
            assert_eq!(links(line), None, "{line}");
        }
    }
}
