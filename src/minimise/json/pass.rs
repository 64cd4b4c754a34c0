//! The structure of a body: keys, items, brackets and commas, token by token.
//!
//! What every field goes through is inlined by order: as calls it costs a twentieth of the time.

use super::emit::Emit;
use super::frame::{Expect, FrameKind, State, fields};
use super::plan::{Token, TokenKind};
use super::scan::{self, Fault, Rest, Text};
use crate::minimise::crossing::Pages;
use crate::minimise::watch::Watch;
use crate::minimise::{Action, Crossing, Law};
use crate::policy::{Rule, Side};
use crate::refusal::{Bug, JsonFault, Refusal};

/// One pass over the bytes at hand.
pub(super) struct Pass<'a, W> {
    pub(super) crossing: &'a Crossing,
    pub(super) law: &'a Law,
    pub(super) state: &'a mut State,
    pub(super) watch: &'a mut W,
    pub(super) bytes: &'a [u8],
    /// Everything before this place has been read.
    pub(super) at: usize,
    /// What follows the bytes at hand.
    pub(super) then: Rest,
    /// So many bytes of the body lie before those at hand.
    pub(super) base: u64,
    pub(super) emit: Emit<'a>,
    /// Where the value stands that is being read, and behind which key.
    ///
    /// Kept here and not handed on: copies of such a thing stall the processor at every field.
    pub(super) stands: Place,
    pub(super) key: Key,
    /// Whether the key holds escapes.
    pub(super) escaped: bool,
}

/// Whether a step was taken, or waits for more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Taken,
    Waits,
}

/// What of a string is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Only where it ends.
    End,
    /// Its text, which must be here whole.
    Text,
}

/// Where the value that is being read stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind a key that is an identifier; its pseudonym stands ready in `State::key`.
    Any,
    /// In a list, or alone.
    Item,
    /// Behind the key [`Pass::key`].
    Key,
}

/// The key whose value is being read, from quote to quote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) hash: u64,
    /// Its line of the shape, if it has one.
    pub(super) line: Option<usize>,
    /// Whether other fields are made from it.
    pub(super) source: bool,
    /// What is counted if there is no rule for it.
    pub(super) why: Action,
    /// What was done to it, if it is an identifier that came home.
    pub(super) came_home: Option<Action>,
}

impl<'a, W: Watch> Pass<'a, W> {
    pub(super) fn new(
        crossing: &'a Crossing,
        state: &'a mut State,
        watch: &'a mut W,
        bytes: &'a [u8],
        out: &'a mut Vec<u8>,
    ) -> Self {
        let emit = Emit::new(bytes, out);
        Self {
            crossing,
            law: &crossing.law,
            state,
            watch,
            bytes,
            at: 0,
            then: Rest::Comes,
            base: 0,
            emit,
            stands: Place::Item,
            escaped: false,
            key: Key {
                start: 0,
                end: 0,
                hash: 0,
                line: None,
                source: false,
                why: Action::DroppedUnlisted,
                came_home: None,
            },
        }
    }

    /// Reads all whole tokens.
    pub(super) fn run(&mut self) -> Result<(), Refusal> {
        loop {
            if self.state.skip.is_active() && self.pass_over()? == Step::Waits {
                return Ok(());
            }
            self.at = scan::space(self.bytes, self.at);
            let Some(byte) = self.bytes.get(self.at).copied() else {
                return Ok(());
            };
            let step = match (self.state.expect, byte) {
                (Expect::Next, b',') => self.comma(),
                (Expect::Key | Expect::FirstKey, b'"') => self.fields_in_a_row()?,
                (Expect::FirstKey | Expect::Next, b'}') => self.close_object()?,
                (Expect::FirstItem | Expect::Next, b']') => self.close_list()?,
                (Expect::Item | Expect::FirstItem, _) => {
                    let rule = self.item_rule().ok_or(Refusal::Bug(Bug::Rewriter))?;
                    self.stands = Place::Item;
                    self.value(self.at, &rule)?
                }
                (Expect::Whole, _) => self.whole(byte)?,
                (Expect::End, _) => return Err(self.fault(JsonFault::Trailing, self.at)),
                (Expect::Key | Expect::FirstKey | Expect::Next, _) => {
                    return Err(self.fault(JsonFault::Syntax, self.at));
                }
            };
            if step == Step::Waits {
                return Ok(());
            }
        }
    }

    /// Lets go of the bytes at hand; gives how many of them were read.
    pub(super) fn finish(mut self) -> usize {
        self.emit.flush();
        self.at
    }

    /// A fault at a place in the bytes at hand.
    pub(super) fn fault(&self, fault: JsonFault, at: usize) -> Refusal {
        Refusal::BodyMalformed {
            fault,
            at: self.place(at),
        }
    }

    pub(super) fn found(&self, fault: Fault) -> Refusal {
        self.fault(fault.fault, fault.at)
    }

    /// A place in the bytes at hand as a place in the body.
    pub(super) fn place(&self, at: usize) -> u64 {
        self.base.wrapping_add(super::wide(at))
    }

    /// A token that began at `start` is not whole.
    pub(super) fn wait(&self, start: usize, bytes_max: usize) -> Result<Step, Refusal> {
        if self.bytes.len().wrapping_sub(start) > bytes_max {
            Err(self.fault(JsonFault::StringTooLong, start))
        } else if self.then == Rest::IsNothing {
            Err(self.fault(JsonFault::Cut, self.bytes.len()))
        } else {
            Ok(Step::Waits)
        }
    }

    /// How deep a list or object may still go.
    pub(super) fn depth_left(&self) -> usize {
        let depth_max = self.state.bounds.depth_max;
        depth_max.saturating_sub(self.state.depth())
    }

    /// What comes after a whole value.
    pub(super) fn after_value(&mut self) {
        self.state.expect = match self.state.frame.kind {
            FrameKind::Outside => Expect::End,
            FrameKind::List(_)
            | FrameKind::Object(_)
            | FrameKind::WholeList
            | FrameKind::WholeObject => Expect::Next,
        };
    }

    pub(super) fn pass_over(&mut self) -> Result<Step, Refusal> {
        let depth_left = self.depth_left();
        let run = self.state.skip.run(self.bytes, self.at, depth_left);
        self.at = run.map_err(|fault| self.found(fault))?;
        if self.state.skip.is_active() {
            return Ok(Step::Waits);
        }
        self.after_value();
        Ok(Step::Taken)
    }

    fn comma(&mut self) -> Step {
        self.at = self.at.wrapping_add(1);
        let list = self.state.frame.kind.is_list();
        self.state.expect = if list { Expect::Item } else { Expect::Key };
        Step::Taken
    }

    fn item_rule(&self) -> Option<Rule> {
        match self.state.frame.kind {
            FrameKind::List(item) => Some(item.rule()),
            FrameKind::WholeList => Some(Rule::KeepAll),
            FrameKind::Object(_) | FrameKind::Outside | FrameKind::WholeObject => None,
        }
    }

    fn whole(&mut self, byte: u8) -> Result<Step, Refusal> {
        if byte == 0xEF && self.place(self.at) == 0 {
            return match self.bytes.get(self.at..self.at.wrapping_add(3)) {
                None if self.then == Rest::Comes => Ok(Step::Waits),
                Some(b"\xEF\xBB\xBF") => Err(self.fault(JsonFault::ByteOrderMark, self.at)),
                _ => Err(self.fault(JsonFault::Syntax, self.at)),
            };
        }
        let rule = self.state.rule;
        self.stands = Place::Item;
        self.value(self.at, &rule)
    }

    /// Enters the list or object whose bracket stands at `at`.
    pub(super) fn enter(&mut self, kind: FrameKind, at: usize) -> Result<(), Refusal> {
        if self.depth_left() == 0 {
            return Err(self.fault(JsonFault::TooDeep, at));
        }
        self.state.enter(kind);
        self.state.expect = if kind.is_list() {
            Expect::FirstItem
        } else {
            Expect::FirstKey
        };
        self.at = at.wrapping_add(1);
        Ok(())
    }

    fn close_list(&mut self) -> Result<Step, Refusal> {
        if !self.state.frame.kind.is_list() {
            return Err(self.fault(JsonFault::Syntax, self.at));
        }
        self.state.leave();
        Ok(self.closed())
    }

    pub(super) fn close_object(&mut self) -> Result<Step, Refusal> {
        let kind = self.state.frame.kind;
        if !kind.is_object() {
            return Err(self.fault(JsonFault::Syntax, self.at));
        }
        if let Some(at) = self.state.take_duplicate() {
            return Err(Refusal::BodyMalformed {
                fault: JsonFault::DuplicateKey,
                at,
            });
        }
        if self.is_of_another_shape(kind) {
            return Err(Refusal::BodyOfAnotherShape);
        }
        self.write_missing_constants(kind)?;
        if let Some(frame) = self.state.leave() {
            self.state.ready.truncate(frame.ready_from);
            // Derived fields whose sibling never came.
            for _ in 0..frame.waiting.count_ones() {
                self.state.counts.add(Action::DroppedValue);
            }
        }
        Ok(self.closed())
    }

    /// Whether this is all of an answer to a vendor who only reads, and not one of its fields is of
    /// the shape: an error in words of its own, or a list of other things. What would leave of it,
    /// `{}`, reads as a good answer with nobody in it. A shape of constants expects nothing.
    fn is_of_another_shape(&self, kind: FrameKind) -> bool {
        let frame = &self.state.frame;
        if !self.is_all_that_is_read(1) || frame.keys == 0 || frame.has_seen_any() {
            return false;
        }
        let fields = fields(&self.law.policy, kind);
        fields.is_some_and(|it| it.any.is_none() && it.lines().len() > it.constants().len())
    }

    /// Whether what is being read is the answer to a vendor who only reads, so many lists and
    /// objects deep.
    pub(super) fn is_all_that_is_read(&self, deep: usize) -> bool {
        let (state, crossing) = (&*self.state, self.crossing);
        let reads = crossing.to == Side::Vendor && crossing.pages == Pages::Perhaps;
        reads && state.depth() == deep && state.nesting == 0
    }

    fn closed(&mut self) -> Step {
        if W::LOOKS {
            self.watch.leave();
        }
        self.emit.copy(self.at, self.at.wrapping_add(1));
        self.at = self.at.wrapping_add(1);
        self.after_value();
        Step::Taken
    }

    /// The token at `at`; `None` if it is not whole.
    #[inline(always)]
    pub(super) fn token(&self, at: usize, wanted: Wanted) -> Result<Option<Token>, Fault> {
        let of = |kind, end| {
            Ok(Some(Token {
                kind,
                start: at,
                end,
            }))
        };
        let word = |word: &[u8], kind| {
            Ok(scan::literal(self.bytes, at, word)?.map(|end| Token {
                kind,
                start: at,
                end,
            }))
        };
        match self.bytes.get(at) {
            None => Ok(None),
            Some(b'"') => match scan::text(self.bytes, at.wrapping_add(1))? {
                Text::Whole { end, escaped } => of(TokenKind::Text { escaped }, end),
                Text::Part { safe } if wanted == Wanted::End => of(TokenKind::TextPart, safe),
                Text::Part { .. } => Ok(None),
            },
            Some(b'[') => of(TokenKind::List, at.wrapping_add(1)),
            Some(b'{') => of(TokenKind::Object, at.wrapping_add(1)),
            Some(b't') => word(b"true", TokenKind::Bool),
            Some(b'f') => word(b"false", TokenKind::Bool),
            Some(b'n') => word(b"null", TokenKind::Null),
            Some(b'-' | b'0'..=b'9' | b'+' | b'.' | b'N' | b'I') => {
                let number_max = self.state.bounds.number_max;
                let number = scan::number(self.bytes, at, self.then, number_max)?;
                Ok(number.map(|number| Token {
                    kind: TokenKind::Number { int: number.int },
                    start: at,
                    end: number.end,
                }))
            }
            Some(_) => Err(Fault::new(JsonFault::Syntax, at)),
        }
    }
}
