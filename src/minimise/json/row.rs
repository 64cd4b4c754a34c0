//! The fields of an object, one behind the other.
//!
//! What every field goes through is inlined by order: as calls it costs a twentieth of the time.

use super::frame::{Expect, FrameKind, fields};
use super::pass::{Pass, Step};
use super::plan::{Token, TokenKind};
use super::scan::{self, Text};
use crate::limits;
use crate::minimise::Action;
use crate::minimise::watch::Watch;
use crate::policy::{Fields, Rule, Unlisted, key_hash};
use crate::refusal::{JsonFault, Refusal};

impl<'a, W: Watch> Pass<'a, W> {
    /// Reads keys with their values, as long as one stands right behind the other.
    #[inline(never)]
    pub(super) fn fields_in_a_row(&mut self) -> Result<Step, Refusal> {
        let law = self.law;
        let fields = fields(&law.policy, self.state.frame.kind);
        loop {
            let step = self.field(fields)?;
            let next = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
            let done = self.state.expect == Expect::Next && !self.state.skip.is_active();
            if step == Step::Waits || !done || next != Some(b",\"") {
                return Ok(step);
            }
            self.at = self.at.wrapping_add(1);
            self.state.expect = Expect::Key;
        }
    }

    /// Reads a key, its colon and the beginning of its value, or all of it.
    ///
    /// Nothing is noted before all of that is here, so that it can be read again.
    #[inline(always)]
    fn field(&mut self, fields: Option<&'a Fields>) -> Result<Step, Refusal> {
        let start = self.at;
        let expected = self.expected_line(fields, start);
        let done = match expected {
            Some((end, rule)) => self.keep_text(end, rule)?,
            None => self.drop_unlisted_text(fields),
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
    fn drop_unlisted_text(&mut self, fields: Option<&Fields>) -> bool {
        let (start, bytes) = (self.at, self.bytes);
        let Some(fields) = fields.filter(|it| it.any.is_none() && it.unlisted == Unlisted::Drop)
        else {
            return false;
        };
        let Some(quote) = scan::plain_text(bytes, start.wrapping_add(1)) else {
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
        let Some(end) = scan::plain_text(bytes, quote.wrapping_add(3)) else {
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

    /// A text under a rule that keeps texts, right behind the key of a line that ends at `end`. As
    /// [`Self::drop_unlisted_text`] is to keys without a line.
    #[inline(always)]
    fn keep_text(&mut self, end: usize, rule: &Rule) -> Result<bool, Refusal> {
        let Rule::Keep(keep) = *rule else {
            return Ok(false);
        };
        let start = end.wrapping_add(1);
        let (bytes, most) = (self.bytes, self.state.bounds.string_max);
        if W::LOOKS || self.key.source || bytes.get(start) != Some(&b'"') {
            return Ok(false);
        }
        let quote = scan::plain_text(bytes, start.wrapping_add(1));
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
        let dropped = self.kept(keep, token)?;
        self.note()?;
        if dropped.is_none() {
            self.lead(token);
            self.emit.copy(start, end);
        }
        self.state.count(dropped.unwrap_or(Action::Kept));
        self.at = end;
        self.state.expect = Expect::Next;
        Ok(true)
    }
}
