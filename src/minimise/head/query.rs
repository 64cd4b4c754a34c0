//! The parameters of a query, one by one.

use std::borrow::Cow;

use super::{Asked, Escapes, choice, decode, encode, filter, path_and_query};
use crate::limits;
use crate::minimise::crossing::{Refused, Turned};
use crate::minimise::echo::{At, Echo, Kept};
use crate::minimise::value::{is_parameter, plain_name};
use crate::minimise::{Action, Counts, Crossing, Trail};
use crate::policy::{IdKind, Index, ParameterType, QueryParameter, QueryRule, Route, Side};
use crate::pseudonym::Form;
use crate::refusal::{QueryFault, Refusal};

/// What identifiers are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// To be turned, in a request line: what else stands there its sender knows.
    Ask,
    /// To see who is named; none is turned, and none leaves a trail.
    Look,
    /// To be turned.
    Turn,
}

/// Turns the identifiers of a head.
pub(in crate::minimise) struct Ids<'c> {
    pub(super) crossing: &'c Crossing,
    /// The name of the route that is written.
    pub(super) route: &'c str,
    reading: Reading,
    pub(in crate::minimise) trail: Trail,
    /// Who asked: the answer goes back there.
    caller: Side,
    counts: &'c mut Counts,
    room: Vec<u8>,
    /// Whether one is to be asked for again.
    pub(in crate::minimise) missed: bool,
    /// Why an identifier refuses the message that it is in.
    pub(in crate::minimise) refused: Option<Refused>,
    /// What may stand behind an escape in what is read.
    pub(super) escapes: Escapes,
    /// Looks for what was brought home.
    pub(in crate::minimise) echo: Echo,
    /// Why the text as a whole does not go on, if it does not.
    pub(in crate::minimise) why: Action,
}

impl<'c> Ids<'c> {
    pub(super) fn new(
        crossing: &'c Crossing,
        caller: Side,
        asked: Asked,
        counts: &'c mut Counts,
    ) -> Self {
        Self {
            crossing,
            route: "",
            reading: Reading::Turn,
            caller,
            trail: Trail {
                asked,
                ..Trail::default()
            },
            counts,
            room: Vec::new(),
            missed: false,
            refused: None,
            escapes: Escapes::Plain,
            echo: Echo::default(),
            why: Action::DroppedValue,
        }
    }

    /// For the head of a request.
    pub(super) fn asking(
        crossing: &'c Crossing,
        caller: Side,
        asked: Asked,
        counts: &'c mut Counts,
    ) -> Self {
        Self {
            reading: Reading::Ask,
            ..Self::new(crossing, caller, asked, counts)
        }
    }

    /// For a text within a body, whose identifiers leave their trail with those of the body.
    pub(in crate::minimise) fn within(
        crossing: &'c Crossing,
        trail: Trail,
        counts: &'c mut Counts,
    ) -> Self {
        Self {
            trail,
            ..Self::new(crossing, crossing.to, Asked::First, counts)
        }
    }

    /// For a text that is looked at only.
    pub(super) fn looking(crossing: &'c Crossing, counts: &'c mut Counts) -> Self {
        Self {
            reading: Reading::Look,
            ..Self::within(crossing, Trail::default(), counts)
        }
    }

    /// As it is in a flow of the vendor: who asks there may be another.
    pub(super) const fn in_flow_of(&mut self, caller: Side) {
        self.caller = caller;
    }

    /// Whether a query goes to who is asked, and not back to the caller.
    pub(super) fn are_onward(&self) -> bool {
        self.crossing.to != self.caller
    }

    /// Whether a parameter of that type passes only as it was asked: in a link by which the vendor
    /// is to ask further. One that is looked at for whom it names is looked at to its end.
    fn pass_as_asked_only(&self, of: &ParameterType) -> bool {
        let leads_back = self.crossing.to == Side::Vendor && !self.are_onward();
        is_open(of) && leads_back && !matches!(self.reading, Reading::Look)
    }

    /// The values, as they stood there, that the request had of that parameter.
    fn asked_values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let asked = self.crossing.asked.as_deref().unwrap_or_default();
        let (_, query) = asked.split_once('?').unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let is_it = move |key| query_text(key, Escapes::Any).is_ok_and(|key| key == name);
        pairs.filter(move |(key, _)| is_it(key)).map(|(_, raw)| raw)
    }

    /// Whether the request had that parameter, with any value.
    fn were_asked_for(&self, name: &str) -> bool {
        self.asked_values(name).next().is_some()
    }

    /// Whether the request had that parameter, with the same value.
    fn were_asked_with(&self, name: &str, value: &str) -> bool {
        self.asked_values(name)
            .any(|raw| query_text(raw, Escapes::Any).is_ok_and(|asked| asked == value))
    }

    /// Whether the path of the request began with the same segments.
    fn were_asked_below(&self, begun: &[Cow<'_, str>]) -> bool {
        let asked = self.crossing.asked.as_deref().and_then(path_and_query);
        asked.is_some_and(|(path, _)| path.starts_with(begun))
    }

    /// Lets the last of the first segments of a path go on as it came, as [`pass`](Self::pass)
    /// does. In a link of the school's it must be what was asked, in the same place.
    ///
    /// # Errors
    /// [`Refusal::PathInvalid`] or [`Refusal::QueryInvalid`].
    pub(super) fn pass_segment(
        &mut self,
        of: &ParameterType,
        begun: &[Cow<'_, str>],
    ) -> Result<(), Refusal> {
        let Some((text, before)) = begun.split_last() else {
            return Ok(());
        };
        let kept = Kept::of_parameter(text, of);
        self.pass(At::Segment(before.len()), kept)?;
        match self.pass_as_asked_only(of) && !self.were_asked_below(begun) {
            true => Err(Refusal::PathInvalid),
            false => Ok(()),
        }
    }

    /// Writes what takes the place of an identifier, percent-encoded.
    pub(super) fn write(
        &mut self,
        kind: Index<IdKind>,
        text: &str,
        target: &mut String,
    ) -> Result<(), Refusal> {
        match self.turn(kind, text)? {
            // What is home is as the school wrote it, and a path has no such segments.
            "." | ".." => Err(Refusal::TargetUnknown),
            turned => {
                encode(turned, target);
                Ok(())
            }
        }
    }

    /// Lets a value go on as it came, unless that sends back what was brought home.
    ///
    /// # Errors
    /// [`Refusal::QueryInvalid`], for whatever it stands in.
    pub(super) fn pass(&mut self, at: At<'_>, kept: Option<Kept<'_>>) -> Result<(), Refusal> {
        let Some(kept) = kept else { return Ok(()) };
        match self.reading {
            Reading::Ask => {
                if let Some(home) = self.crossing.noted() {
                    home.note_said(self.route, at, kept.text);
                }
            }
            Reading::Look => {}
            Reading::Turn => {
                if let Some(home) = self.crossing.guarded()
                    && self.echo.is_in(kept, home)
                    && !home.was_said(self.route, at, kept.text)
                {
                    self.why = Action::DroppedEcho;
                    return Err(refused(QueryFault::Echo));
                }
            }
        }
        Ok(())
    }

    /// What takes the place of an identifier.
    pub(in crate::minimise) fn turn<'t>(
        &'t mut self,
        kind: Index<IdKind>,
        text: &'t str,
    ) -> Result<&'t str, Refusal> {
        self.room.clear();
        let (room, trail) = (&mut self.room, &mut self.trail);
        let objected = self.crossing.to == Side::Vendor && self.crossing.objects(kind, text);
        let turned = match (objected, self.reading) {
            (true, _) => Err(Refused::Objected),
            (false, Reading::Look) => Ok(Turned::AsItCame),
            (false, Reading::Ask | Reading::Turn) => {
                self.crossing.turn(kind, (text, Form::Text), room, trail)
            }
        };
        match turned {
            Ok(Turned::Done(action, _)) => {
                self.counts.add(action);
                Ok(std::str::from_utf8(room).unwrap_or_default())
            }
            Ok(Turned::AsItCame) => Ok(text),
            Ok(Turned::Dropped(why)) => {
                self.counts.add(why);
                Err(Refusal::TargetUnknown)
            }
            Ok(Turned::Empty) => Err(Refusal::IdentifierInvalid { at: 0 }),
            Ok(Turned::Missed) => {
                self.missed = true;
                Err(Refusal::TargetUnknown)
            }
            Err(refused) => {
                self.counts.extend(refused.why());
                self.refused = Some(refused);
                Err(refused.in_target())
            }
        }
    }
}

pub(super) fn write_query(
    ids: &mut Ids<'_>,
    route: &Route,
    query: &str,
    target: &mut String,
) -> Result<(), Refusal> {
    // Many write one sign too many.
    let query = query.strip_suffix('&').unwrap_or(query);
    if query.is_empty() {
        return Ok(());
    }
    let mut seen: Vec<&QueryParameter> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or(refused(QueryFault::Malformed))?;
        let name = query_text(name, ids.escapes)?;
        let parameter = route
            .query
            .iter()
            .find(|parameter| *parameter.name == *name);
        let parameter = parameter.ok_or(refused(QueryFault::Unlisted))?;
        let again = seen.iter().any(|before| before.name == parameter.name);
        if again && !matches!(parameter.rule, QueryRule::Identifiers(_)) {
            return Err(refused(QueryFault::Repeated));
        }
        seen.push(parameter);
        let before = target.len();
        target.push(if target.contains('?') { '&' } else { '?' });
        encode(&name, target);
        target.push('=');
        if write_value(ids, parameter, value, target)? == Written::Nothing {
            target.truncate(before);
        }
    }
    Ok(())
}

/// Whether a parameter of that type can hold what is personal. Many systems number their pupils,
/// and a page may end with a day of birth.
const fn is_open(of: &ParameterType) -> bool {
    use ParameterType::{Date, DateTime, Int, OneOf, Slug, Uuid};
    match of {
        Date | DateTime | Int | Slug | Uuid => true,
        OneOf(_) => false,
    }
}

/// Whether a parameter says which page it is or how long one is: by its name, in whatever case and
/// with whatever signs between its letters, and with no more than can be counted there.
fn counts_pages(name: &str, value: &str, of: &ParameterType) -> bool {
    let fits = *of == ParameterType::Int && value.len() <= limits::COUNT_DIGITS_MAX;
    fits && OF_PAGES.contains(&&*plain_name(name))
}

/// What parameters of pages are called. Not `after`, `from`, `since`, `start` and the like: there
/// may stand whom the page begins with.
const OF_PAGES: &[&str] = &[
    "count",
    "itemsperpage",
    "limit",
    "maxresults",
    "offset",
    "page",
    "pageindex",
    "pagelimit",
    "pageno",
    "pagenumber",
    "pageoffset",
    "pagesize",
    "pagina",
    "perpage",
    "rows",
    "size",
    "skip",
    "startindex",
    "take",
    "top",
];

/// Whether a parameter goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// The other side need not be asked.
    Nothing,
    Value,
}

fn write_value(
    ids: &mut Ids<'_>,
    parameter: &QueryParameter,
    raw: &str,
    target: &mut String,
) -> Result<Written, Refusal> {
    match &parameter.rule {
        QueryRule::Fields(items) => {
            let keys = choice::keys(ids, *items, raw)?;
            encode(&keys.join(","), target);
            if keys.is_empty() {
                return Ok(Written::Nothing);
            }
        }
        QueryRule::Filter(items) => filter::write(ids, *items, raw, target)?,
        QueryRule::Identifier(kind) | QueryRule::Identifiers(kind) => {
            ids.write(*kind, &query_text(raw, ids.escapes)?, target)?;
        }
        QueryRule::One(of) => {
            let value = query_text(raw, ids.escapes)?;
            if !is_parameter(&value, of) {
                return Err(refused(QueryFault::Type));
            }
            ids.pass(
                At::Parameter(&parameter.name),
                Kept::of_parameter(&value, of),
            )?;
            // A place where a school may write what it likes, often the last identifier of a page.
            let was_asked = || {
                let name = &*parameter.name;
                counts_pages(name, &value, of) || ids.were_asked_with(name, &value)
            };
            if ids.pass_as_asked_only(of) && !was_asked() {
                return Err(refused(QueryFault::NotAsked));
            }
            encode(&value, target);
        }
        QueryRule::Sort(items) => match choice::write_order(ids, *items, raw, target) {
            // Of what goes back: an order that the other side keeps without being asked for it.
            Err(_) if !ids.are_onward() && !ids.were_asked_for(&parameter.name) => {
                return Ok(Written::Nothing);
            }
            written => written?,
        },
    }
    Ok(Written::Value)
}

/// Decodes a name or value of a query. A bare `+` is refused: a space to some, a plus to others.
pub(super) fn query_text(raw: &str, escapes: Escapes) -> Result<Cow<'_, str>, Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*,:@/?%".contains(&byte);
    if !raw
        .bytes()
        .all(|byte| plain(byte) || escapes.may_miss(byte))
    {
        return Err(refused(QueryFault::Unencoded));
    }
    decode(raw, escapes.in_query()).ok_or(refused(QueryFault::Malformed))
}

/// A query with that fault.
const fn refused(fault: QueryFault) -> Refusal {
    Refusal::QueryInvalid { fault }
}
