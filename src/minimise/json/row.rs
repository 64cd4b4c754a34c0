//! The fields of an object, one behind the other.
//!
//! What every field goes through is inlined by order: as calls it costs a twentieth of the time.

use super::block::{self, Task, Width};
use super::frame::{self, Expect, FrameKind};
use super::pass::{Pass, Step};
use super::plan::{Token, TokenKind};
use super::scan::{self, Text};
use crate::limits;
use crate::minimise::Action;
use crate::minimise::watch::Watch;
use crate::policy::{Fields, IdKind, Index, Keep, Rule, Side, Unlisted, ValueType, key_hash};
use crate::refusal::{JsonFault, Refusal};

impl<'a, W: Watch> Pass<'a, W> {
    /// Reads keys with their values, as long as one stands right behind the other, from object to
    /// object.
    #[inline(never)]
    pub(super) fn fields_in_a_row(&mut self) -> Result<Step, Refusal> {
        block::widest(Row(self))
    }

    #[inline(always)]
    fn row<B: Width>(&mut self) -> Result<Step, Refusal> {
        if self.state.missed {
            return Ok(Step::Waits);
        }
        let policy = &self.law.policy;
        let mut fields = frame::fields(policy, self.state.frame.kind);
        loop {
            if self.field::<B>(fields)? == Step::Waits {
                return Ok(Step::Waits);
            }
            match self.behind_field()? {
                Behind::Key => {}
                Behind::KeyOfAnother => fields = frame::fields(policy, self.state.frame.kind),
                Behind::Other(step) => return Ok(step),
            }
        }
    }

    /// Goes on to the next key, if that stands right behind the field: over what is dropped, into
    /// the object that the field is, out of those that end with it.
    #[inline(always)]
    fn behind_field(&mut self) -> Result<Behind, Refusal> {
        let mut key = Behind::Key;
        loop {
            if self.state.skip.is_active() && self.pass_over()? == Step::Waits {
                return Ok(Behind::Other(Step::Waits));
            }
            let next = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
            match (self.state.expect, next) {
                (Expect::Next, Some(b",\"")) => {
                    self.at = self.at.wrapping_add(1);
                    self.state.expect = Expect::Key;
                    return Ok(key);
                }
                (Expect::Next, Some([b'}', _])) => self.close_object()?,
                (Expect::FirstKey, Some([b'"', _])) => return Ok(Behind::KeyOfAnother),
                _ => return Ok(Behind::Other(Step::Taken)),
            };
            key = Behind::KeyOfAnother;
            if !self.state.frame.kind.is_object() {
                return Ok(Behind::Other(Step::Taken));
            }
        }
    }

    /// Reads a key, its colon and the beginning of its value, or all of it.
    ///
    /// Nothing is noted before all of that is here, so that it can be read again.
    #[inline(always)]
    fn field<B: Width>(&mut self, fields: Option<&'a Fields>) -> Result<Step, Refusal> {
        let start = self.at;
        let expected = self.expected_line(fields, start);
        let done = match expected {
            Some((end, rule)) => self.text_of_line::<B>(end, rule)?,
            None => self.drop_unlisted_text::<B>(fields),
        };
        if done {
            return Ok(Step::Taken);
        }
        let end = match expected {
            Some((end, _)) => end,
            None => match self.end_of_key(start)? {
                Some(end) => end,
                None => return self.wait(start, self.state.bounds.string_max),
            },
        };
        let colon = scan::space(self.bytes, end);
        let value = match self.bytes.get(colon) {
            Some(b':') => scan::space(self.bytes, colon.wrapping_add(1)),
            Some(_) => return Err(self.fault(JsonFault::Syntax, colon)),
            None => colon,
        };
        if value.wrapping_sub(end) > limits::JSON_GAP_BYTES_MAX {
            return Err(self.fault(JsonFault::Syntax, end));
        }
        if value == self.bytes.len() {
            return self.wait(start, usize::MAX);
        }
        let rule = match expected {
            Some((_, rule)) => rule,
            None => self.line(fields, (start, end))?,
        };
        if self.state.missed {
            return Ok(Step::Waits);
        }
        self.value(value, rule)
    }

    /// Behind the key at `start`; `None` if it is not whole.
    #[inline(always)]
    fn end_of_key(&mut self, start: usize) -> Result<Option<usize>, Refusal> {
        let key_max = self.state.bounds.string_max;
        let text = scan::text(self.bytes, start.wrapping_add(1));
        match text.map_err(|fault| self.found(fault))? {
            Text::Part { .. } => Ok(None),
            Text::Whole { end, .. } if end.wrapping_sub(start) > key_max => {
                Err(self.fault(JsonFault::StringTooLong, start))
            }
            Text::Whole { end, escaped } => {
                self.escaped = escaped;
                Ok(Some(end))
            }
        }
    }

    /// A key without a line and the text behind it, if both are as most are: plain, with nothing
    /// between. Done as [`Self::field`] would, without what that asks for others; `false` if it is
    /// anything else, and then nothing has been done.
    #[inline(always)]
    fn drop_unlisted_text<B: Width>(&mut self, fields: Option<&Fields>) -> bool {
        let (start, bytes) = (self.at, self.bytes);
        let Some(fields) = fields.filter(|it| it.any.is_none() && it.unlisted == Unlisted::Drop)
        else {
            return false;
        };
        let Some(quote) = scan::plain_text::<B>(bytes, start.wrapping_add(1)) else {
            return false;
        };
        let behind = bytes.get(quote..).and_then(<[u8]>::first_chunk);
        let key = bytes.get(start.wrapping_add(1)..quote).unwrap_or_default();
        let frame = &self.state.frame;
        let bounds = &self.state.bounds;
        let fits = key.len() < bounds.string_max.wrapping_sub(1) && frame.keys < bounds.keys_max;
        if W::LOOKS || !fits || behind != Some(b"\":\"") {
            return false;
        }
        let hash = key_hash(key);
        if fields.find(hash, key).is_some() {
            return false;
        }
        let Some(end) = scan::plain_text::<B>(bytes, quote.wrapping_add(3)) else {
            return false;
        };
        let at = self.place(start);
        let frame = &mut self.state.frame;
        frame.keys = frame.keys.wrapping_add(1);
        if let FrameKind::Object(shape) = frame.kind {
            self.state.counts.see_unlisted(shape);
        }
        self.state.see_unlisted(hash, at);
        self.state.counts.add(Action::DroppedUnlisted);
        self.at = end.wrapping_add(1);
        self.state.expect = Expect::Next;
        true
    }

    /// What the list or object at `at` is, if it is what `rule` asks for and is entered whatever is
    /// in it.
    #[inline(always)]
    pub(super) fn opens(&self, at: usize, rule: &Rule) -> Option<FrameKind> {
        match (self.bytes.get(at), *rule) {
            (Some(b'['), Rule::List(item)) => Some(FrameKind::List(item)),
            (Some(b'{'), Rule::Object(shape)) => {
                let policy = &self.law.policy;
                let open = policy.fields(shape).is_some() && policy.sends_all(shape);
                open.then_some(FrameKind::Object(shape))
            }
            _ => None,
        }
    }

    /// Enters what [`Self::opens`] found, as is done with any value, without what that asks for
    /// others.
    #[inline(always)]
    pub(super) fn enter_unread(&mut self, at: usize, kind: FrameKind) -> Result<Step, Refusal> {
        self.note()?;
        self.lead(at);
        self.emit.copy(at, at.wrapping_add(1));
        self.enter(kind, at)?;
        Ok(Step::Taken)
    }

    /// A text that is kept or an identifier, right behind the key of a line that ends at `end`. As
    /// [`Self::drop_unlisted_text`] is to keys without a line.
    #[inline(always)]
    fn text_of_line<B: Width>(&mut self, end: usize, rule: &Rule) -> Result<bool, Refusal> {
        let start = end.wrapping_add(1);
        let (bytes, most) = (self.bytes, self.state.bounds.string_max);
        let Some(what) = self.of_text(rule) else {
            return Ok(false);
        };
        if W::LOOKS || self.key.source || bytes.get(start) != Some(&b'"') {
            return Ok(false);
        }
        let quote = scan::plain_text::<B>(bytes, start.wrapping_add(1));
        let Some(end) = quote.map(|quote| quote.wrapping_add(1)) else {
            return Ok(false);
        };
        if end.wrapping_sub(start) > most {
            return Ok(false);
        }
        let token = Token {
            kind: TokenKind::Text { escaped: false },
            start,
            end,
        };
        let action = match what {
            OfText::Keep(keep) => {
                let dropped = self.text_kept(keep, token)?;
                self.note()?;
                if dropped.is_none() {
                    self.copy_field(end);
                }
                dropped.unwrap_or(Action::Kept)
            }
            OfText::Pseudonym(kind) => {
                self.note()?;
                self.copy_field(token.start);
                self.write_identifier(kind, token)?
            }
        };
        self.state.count(action);
        self.at = end;
        self.state.expect = Expect::Next;
        Ok(true)
    }

    #[inline(always)]
    fn of_text(&self, rule: &Rule) -> Option<OfText> {
        if let Rule::Keep(keep) = *rule {
            return Some(OfText::Keep(keep));
        }
        let Rule::Identifier(kind) = *rule else {
            return None;
        };
        let sent = self.crossing.to == Side::Vendor && !self.law.policy.excepts(kind);
        sent.then_some(OfText::Pseudonym(kind))
    }

    /// As [`Self::kept`], of a text; most may be any.
    #[inline(always)]
    fn text_kept(&mut self, keep: Keep, token: Token) -> Result<Option<Action>, Refusal> {
        let any = keep.of == ValueType::Any && keep.rules.is_none();
        match any && self.crossing.guarded().is_none() {
            true => Ok(None),
            false => self.kept(keep, token),
        }
    }
}

/// What stands behind a field.
enum Behind {
    /// A key of the same object.
    Key,
    /// A key of an object within it, or around it.
    KeyOfAnother,
    /// Anything else.
    Other(Step),
}

/// What becomes of a text, if it is soon done.
enum OfText {
    Keep(Keep),
    Pseudonym(Index<IdKind>),
}

/// [`Pass::fields_in_a_row`] in whatever width there is.
struct Row<'p, 'a, W>(&'p mut Pass<'a, W>);

impl<W: Watch> Task for Row<'_, '_, W> {
    type Done = Result<Step, Refusal>;

    #[inline(always)]
    fn run<B: Width>(self) -> Self::Done {
        self.0.row::<B>()
    }
}
