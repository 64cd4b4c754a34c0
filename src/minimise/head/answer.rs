//! The head of an answer: the few lines of it that a caller needs to find its way.

use super::links::{Link, links};
use super::place::{Context, translate};
use super::query::Ids;
use super::{Asked, Cleared, Counts, Crossing, Trail};
use crate::limits::COUNT_DIGITS_MAX;
use crate::minimise::{Action, EchoAt};
use crate::policy::{Rule, Side};
use crate::refusal::LinkFault;

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
    /// Whether the caller is told of the next page.
    pub next: NextPage,
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
        next: NextPage::None,
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
    let (missed, trail) = (answering.ids.missed, answering.ids.trail);
    let next = answering.next;
    counts.absorb(&dropped);
    Answered {
        head: Cleared::new(head),
        trail,
        missed,
        next,
    }
}

/// The page behind the one that is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPage {
    /// The caller is told of it.
    Linked,
    /// There is one, and no link leads there: the caller would take this page for the last.
    Lost(LinkFault),
    /// The upstream tells of none.
    None,
}

impl NextPage {
    /// Of several links, one that leads somewhere is enough.
    const fn see(&mut self, seen: Self) {
        *self = match (seen, &self) {
            (Self::Linked, _) | (_, Self::Linked) => Self::Linked,
            (_, Self::Lost(fault)) => Self::Lost(*fault),
            (Self::Lost(fault), _) => Self::Lost(fault),
            (Self::None, Self::None) => Self::None,
        };
    }
}

struct Answering<'a, 'c> {
    ids: Ids<'c>,
    flow: usize,
    dropped: &'a mut Counts,
    next: NextPage,
}

impl Answering<'_, '_> {
    /// An address that stands alone.
    fn place(&mut self, name: &'static str, lines: &[&[u8]]) -> Option<String> {
        let text = match lines {
            [] => return None,
            [line] => std::str::from_utf8(line).ok(),
            [..] => None,
        };
        self.translated(name, text.ok_or(LinkFault::Malformed)).ok()
    }

    fn links(&mut self, lines: &[&[u8]], relations: &[&str]) -> Option<String> {
        let mut written = Vec::new();
        for line in lines {
            let read = std::str::from_utf8(line).map(links);
            let (links, unread) = match &read {
                Ok((links, unread)) => (links.as_slice(), unread.as_bytes()),
                Err(_) => (&[][..], *line),
            };
            for link in links {
                self.link(link, relations, &mut written);
            }
            // What cannot be read may be anything that it has the word for.
            if says_next(unread) {
                self.next.see(NextPage::Lost(LinkFault::Malformed));
            }
            if !unread.is_empty() {
                self.dropped.add(Action::DroppedValue);
            }
        }
        (!written.is_empty()).then(|| written.join(", "))
    }

    /// Writes a link anew, once for each relation that is of use here, as every client reads it.
    fn link(&mut self, link: &Link<'_>, relations: &[&str], written: &mut Vec<String>) {
        let context = match &link.anchor {
            Some(anchor) => Context::of(self.ids.crossing, self.flow, anchor),
            None => Context::Asked,
        };
        let is_of = |known: &str| {
            context != Context::Other && link.relations().any(|it| it.eq_ignore_ascii_case(known))
        };
        let known: Vec<&str> = { relations.iter().copied() }
            .filter(|it| is_of(it))
            .collect();
        let leads = !known.is_empty() && context == Context::Asked;
        let target = leads.then_some(link.target).ok_or(LinkFault::Anchor);
        let made = self.translated("link", target);
        if known.contains(&NEXT) {
            self.next.see(match made {
                Ok(_) => NextPage::Linked,
                Err(fault) => NextPage::Lost(fault),
            });
        }
        // No comma stands in an address of ours: a client may split at them.
        let written_as = |link: &String, known| format!("<{link}>; rel=\"{known}\"");
        let made = made.iter().flat_map(|made| {
            let each = known.iter();
            each.map(move |known| written_as(made, *known))
        });
        written.extend(made);
    }

    fn translated(
        &mut self,
        name: &'static str,
        link: Result<&str, LinkFault>,
    ) -> Result<String, LinkFault> {
        let made = link.map(|link| translate(&mut self.ids, Some(self.flow), link));
        let plain =
            |made: &String| !made.contains(',') && made.bytes().all(|it| it.is_ascii_graphic());
        let fault = match made {
            Ok(Ok(made)) if plain(&made) => return Ok(made),
            Ok(Ok(_)) => LinkFault::Malformed,
            Ok(Err(none)) => none.fault,
            Err(fault) => fault,
        };
        let why = std::mem::replace(&mut self.ids.why, Action::DroppedValue);
        match why == Action::DroppedEcho {
            true => self.dropped.add_echo(Some(EchoAt::Header(name))),
            false => self.dropped.add(why),
        }
        Err(fault)
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
const RELATIONS: [&str; 4] = ["last", "first", NEXT, "prev"];
const NEXT: &str = "next";

fn says_next(text: &[u8]) -> bool {
    let mut words = text.windows(NEXT.len());
    words.any(|word| word.eq_ignore_ascii_case(NEXT.as_bytes()))
}
