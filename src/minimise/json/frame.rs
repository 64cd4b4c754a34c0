//! What the rewriter remembers between two tokens.

use super::look::Room;
use super::skip::Skip;
use crate::limits::{Bound, Limits};
use crate::minimise::echo::Echo;
use crate::minimise::{Action, Counts, EchoAt, Trail};
use crate::policy::{Fields, Index, Item, Policy, Rule, Shape};

/// What must come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nothing but white space.
    End,
    /// A key, or the end of the object.
    FirstKey,
    /// An item, or the end of the list.
    FirstItem,
    /// An item.
    Item,
    /// A key.
    Key,
    /// A comma, or the end of the list or object.
    Next,
    /// The value as a whole.
    Whole,
}

/// A list or object that has been entered.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// Whether something of it has been written, so that a comma comes before what follows.
    pub(super) comma: bool,
    /// Keys so far.
    pub(super) keys: usize,
    /// Its keys without a line.
    unlisted: UnlistedKeys,
    /// Where the texts for derived fields begin in [`State::ready`].
    pub(super) ready_from: usize,
    /// The line behind the one that was seen last: the one to expect, as messages and policies
    /// follow the same standards.
    pub(super) line_next: usize,
    /// Which lines of the shape were seen, one bit each ([`crate::limits::SHAPE_FIELDS_MAX`]).
    seen: [u64; 4],
    /// Which derived fields wait for their sibling ([`crate::limits::SHAPE_DERIVED_MAX`]).
    pub(super) waiting: u64,
    /// Of a stub, the line with its own id.
    pub(super) own_id: Option<usize>,
}

/// What is known of the keys of one object that have no line.
#[derive(Debug)]
struct UnlistedKeys {
    /// Where they begin in [`State::unlisted`].
    from: usize,
    /// A bit for every hash, by its six highest bits: where none is set, a key is new.
    bits: u64,
    /// Whether one may have come twice.
    twice: bool,
}

/// What kind of list or object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A list whose items stand under this rule.
    List(Item),
    /// An object of that shape.
    Object(Index<Shape>),
    /// None of them: around the value as a whole.
    Outside,
    /// A list that is kept whole.
    WholeList,
    /// An object that is kept whole.
    WholeObject,
}

impl FrameKind {
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::List(_) | Self::WholeList)
    }

    pub(super) const fn is_object(self) -> bool {
        matches!(self, Self::Object(_) | Self::WholeObject)
    }
}

impl Frame {
    const fn new(kind: FrameKind, unlisted_from: usize, ready_from: usize) -> Self {
        Self {
            kind,
            comma: false,
            keys: 0,
            unlisted: UnlistedKeys {
                from: unlisted_from,
                bits: 0,
                twice: false,
            },
            ready_from,
            line_next: 0,
            seen: [0; 4],
            waiting: 0,
            own_id: None,
        }
    }

    /// Whether the line at that place was seen.
    pub(super) fn has_seen(&self, place: usize) -> bool {
        self.seen
            .get(place >> 6)
            .is_some_and(|bits| bits & bit(place) != 0)
    }

    /// Whether any line was seen.
    pub(super) fn has_seen_any(&self) -> bool {
        self.seen != [0; 4]
    }

    /// Marks the line at that place; whether it had been seen before.
    pub(super) fn see(&mut self, place: usize) -> bool {
        self.line_next = place.wrapping_add(1);
        match self.seen.get_mut(place >> 6) {
            Some(bits) => {
                let before = *bits & bit(place) != 0;
                *bits |= bit(place);
                before
            }
            // `config` allows no such shape; taken for a duplicate it refuses the message.
            None => true,
        }
    }
}

/// The bit of a place among 64.
pub(super) const fn bit(place: usize) -> u64 {
    1 << (place & 63)
}

/// A text that stands ready for a derived field which has not come yet.
#[derive(Debug)]
pub(super) struct Ready {
    /// The place of the field in its shape.
    pub(super) field: usize,
    /// What was done to it.
    pub(super) action: Action,
    /// JSON, as it will be written.
    pub(super) json: Vec<u8>,
}

/// The bounds of one body, looked up once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) depth_max: usize,
    pub(super) keys_max: usize,
    pub(super) number_max: usize,
    /// A string with its two quotes.
    pub(super) string_max: usize,
    pub(super) switch_max: usize,
}

impl Bounds {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            depth_max: limits.size(Bound::JsonDepth),
            keys_max: limits.size(Bound::JsonKeys),
            number_max: limits.size(Bound::JsonNumber),
            string_max: limits.size(Bound::JsonString).saturating_add(2),
            switch_max: limits.size(Bound::JsonSwitch),
        }
    }
}

/// What the rewriter remembers between two tokens.
pub(super) struct State {
    pub(super) bounds: Bounds,
    pub(super) rule: Rule,
    pub(super) expect: Expect,
    /// The list or object that is being read.
    pub(super) frame: Frame,
    /// Those around it, from the outside in.
    around: Vec<Frame>,
    pub(super) skip: Skip,
    /// Hash and place in the body of every key without a line, of all open objects.
    pub(super) unlisted: Vec<(u64, u64)>,
    /// Texts for derived fields, of all open objects.
    pub(super) ready: Vec<Ready>,
    /// Room for the unescaped text of one key.
    pub(super) key: Vec<u8>,
    /// Room for the unescaped text of one value.
    pub(super) text: Vec<u8>,
    /// Room for one value that is made.
    pub(super) made: Vec<u8>,
    /// Room for looking ahead.
    pub(super) look: Room,
    /// Room for which lines of a filter a record meets.
    pub(super) met: Vec<bool>,
    pub(super) counts: Counts,
    /// What the identifiers leave behind.
    pub(super) trail: Trail,
    /// Looks for what was brought home, towards the vendor.
    pub(super) echo: Echo,
    /// Whether a pseudonym was met that the register does not know yet.
    pub(super) missed: bool,
    /// In how many texts, one within the other, the JSON that is read stands.
    pub(super) nesting: usize,
}

impl State {
    pub(super) fn new(rule: Rule, limits: &Limits) -> Self {
        Self {
            bounds: Bounds::new(limits),
            rule,
            expect: Expect::Whole,
            frame: Frame::new(FrameKind::Outside, 0, 0),
            // Room for what most messages need, so that none of it is made several times.
            around: Vec::with_capacity(8),
            skip: Skip::default(),
            unlisted: Vec::with_capacity(32),
            ready: Vec::new(),
            key: Vec::new(),
            text: Vec::new(),
            made: Vec::new(),
            look: Room::default(),
            met: Vec::new(),
            counts: Counts::default(),
            trail: Trail::default(),
            echo: Echo::default(),
            missed: false,
            nesting: 0,
        }
    }

    /// Counts what was done to the value that is being read.
    #[inline]
    pub(super) fn count(&mut self, action: Action) {
        match action == Action::DroppedEcho {
            true => self.counts.add_echo(self.place_of_value()),
            false => self.counts.add(action),
        }
    }

    /// Where the policy has the value that is being read: in which shape, and in which line of it.
    fn place_of_value(&self) -> Option<EchoAt> {
        let inwards = self.around.iter().chain([&self.frame]);
        let place = |frame: &Frame| match frame.kind {
            FrameKind::Object(shape) => {
                let line = frame.line_next.checked_sub(1);
                Some(EchoAt::Field(shape, line.filter(|it| frame.has_seen(*it))))
            }
            FrameKind::List(_)
            | FrameKind::Outside
            | FrameKind::WholeList
            | FrameKind::WholeObject => None,
        };
        { inwards }.rev().find_map(place)
    }

    /// Whether the value as a whole has been read.
    pub(super) fn is_done(&self) -> bool {
        self.expect == Expect::End
    }

    /// How many lists and objects are open.
    pub(super) const fn depth(&self) -> usize {
        self.around.len()
    }

    /// Whether what is being read stands in a list, however deep.
    pub(super) fn is_in_list(&self) -> bool {
        let mut open = self.around.iter().chain([&self.frame]);
        open.any(|frame| frame.kind.is_list())
    }

    /// The key of the object that is being read, if the one around it has a line for that.
    pub(super) fn key_around<'p>(&self, policy: &'p Policy) -> Option<&'p str> {
        let outer = self.around.last()?;
        let line = outer.line_next.checked_sub(1)?;
        let line = fields(policy, outer.kind)?.line(line)?;
        Some(&line.key)
    }

    /// A list or object begins.
    pub(super) fn enter(&mut self, kind: FrameKind) {
        let inner = Frame::new(kind, self.unlisted.len(), self.ready.len());
        self.around.push(std::mem::replace(&mut self.frame, inner));
    }

    /// The innermost list or object ends; gives what was known of it.
    pub(super) fn leave(&mut self) -> Option<Frame> {
        let outer = self.around.pop()?;
        Some(std::mem::replace(&mut self.frame, outer))
    }

    /// Notes a key without a line, by its hash and its place in the body.
    #[inline(always)]
    pub(super) fn see_unlisted(&mut self, hash: u64, at: u64) {
        let bit = 1 << (hash >> 58);
        if self.frame.unlisted.bits & bit != 0 && !self.frame.unlisted.twice {
            self.frame.unlisted.twice = self.may_be_unlisted(hash);
        }
        self.frame.unlisted.bits |= bit;
        self.unlisted.push((hash, at));
    }

    /// Whether the innermost object may have a key of that hash. Of many keys all are looked at
    /// once, when it ends.
    fn may_be_unlisted(&self, hash: u64) -> bool {
        let keys = self.unlisted.get(self.frame.unlisted.from..);
        let keys = keys.unwrap_or_default();
        keys.len() > UNLISTED_LOOKED_AT_MAX || keys.iter().any(|(other, _)| *other == hash)
    }

    /// A key without a line that stands twice among those of the innermost object: where it
    /// stands the second time. Empties the list.
    pub(super) fn take_duplicate(&mut self) -> Option<u64> {
        let from = self.frame.unlisted.from;
        if !self.frame.unlisted.twice {
            self.unlisted.truncate(from);
            return None;
        }
        let keys = self.unlisted.get_mut(from..).unwrap_or_default();
        keys.sort_unstable();
        let twice = |pair: &[(u64, u64)]| match pair {
            [(one, _), (other, at)] if one == other => Some(*at),
            _ => None,
        };
        let at = keys.windows(2).filter_map(twice).min();
        self.unlisted.truncate(from);
        at
    }
}

/// So many keys without a line are looked at one by one.
const UNLISTED_LOOKED_AT_MAX: usize = 64;

/// The shape of an object frame.
pub(super) fn fields(policy: &Policy, kind: FrameKind) -> Option<&Fields> {
    match kind {
        FrameKind::Object(shape) => policy.fields(shape),
        FrameKind::List(_) | FrameKind::Outside | FrameKind::WholeList | FrameKind::WholeObject => {
            None
        }
    }
}
