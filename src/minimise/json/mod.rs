//! The JSON rewriter: one pass over the bytes, in chunks of any size, in bounded memory.
//!
//! What it does not understand it refuses; what the policy does not name does not leave. Kept
//! values leave as the bytes that came in. See `docs/decisions/` for why it is our own.
//!
//! ```text
//! chunk ─▶ utf8 (whole chunks) ─▶ carry (a token that was cut) ─▶ pass ─▶ plan ─▶ write
//!                                                                  │        ├─ look (ahead)
//!                                                                  │        └─ inner (in texts)
//!                                                                  └─ skip (dropped values)
//! ```

mod block;
mod emit;
mod frame;
mod gate;
mod identifier;
mod inner;
mod key;
mod look;
mod pass;
mod plan;
mod row;
mod scan;
mod skip;
mod switch;
mod utf8;
mod write;

use std::fmt;

use super::watch::{Unwatched, Watch};
use super::{Cleared, Counts, Crossing, Trail};
use crate::policy::Rule;
use crate::pseudonym::Asked;
use crate::refusal::{JsonFault, Refusal};
use frame::State;
use pass::Pass;
use scan::Rest;
use utf8::Utf8;

/// One JSON body in flight, to be rewritten under one rule.
///
/// Any split of the input gives the same output. After a refusal nothing more is read or written,
/// and every further call gives the same refusal.
pub struct Rewriter<W = Unwatched> {
    crossing: Crossing,
    watch: W,
    state: State,
    utf8: Utf8,
    /// The beginning of a token that was cut at the end of a chunk.
    carry: Vec<u8>,
    /// The token is tried again when so much is here: twice what did not suffice, so that however
    /// small the chunks are, no byte is read more than a few times.
    retry_at: usize,
    /// So many bytes of the body lie before the carry.
    base: u64,
    refused: Option<Refusal>,
    /// A fault behind something that waits for the register, which may be refused before it.
    behind: Option<Refusal>,
    /// Whether the end of the body has been read.
    ended: bool,
}

impl Rewriter {
    /// A rewriter for one body whose whole value stands under `rule`.
    #[must_use]
    pub fn new(crossing: Crossing, rule: Rule) -> Self {
        Self::watched(crossing, rule, Unwatched)
    }
}

impl<W: Watch> Rewriter<W> {
    /// As [`Rewriter::new`], with someone who looks over its shoulder.
    #[must_use]
    pub fn watched(crossing: Crossing, rule: Rule, watch: W) -> Self {
        Self {
            state: State::new(rule, &crossing.law.limits),
            crossing,
            watch,
            utf8: Utf8::default(),
            carry: Vec::new(),
            retry_at: 0,
            base: 0,
            refused: None,
            behind: None,
            ended: false,
        }
    }

    /// Reads the next bytes of the body and appends what leaves of them to `out`.
    ///
    /// # Errors
    /// The reason why this body is refused. What is in `out` by then was cleared.
    pub fn write(&mut self, chunk: &[u8], out: &mut Cleared<Vec<u8>>) -> Result<(), Refusal> {
        self.state.trail.asked = Asked::First;
        self.unless_refused(|this| this.feed(chunk, out.inner()))
    }

    /// Reads the end of the body. That may have to wait for the register too.
    ///
    /// # Errors
    /// As [`Rewriter::write`]; also if the body is not whole.
    pub fn end(&mut self, out: &mut Cleared<Vec<u8>>) -> Result<(), Refusal> {
        self.ended = true;
        self.unless_refused(|this| this.finish(out.inner()))
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.state.counts
    }

    /// What the identifiers read so far leave behind. While its batch has something in it, nothing
    /// of what was written since it was last empty may leave.
    pub const fn trail(&mut self) -> &mut Trail {
        &mut self.state.trail
    }

    /// Whether it waits for the register to catch up: then [`Self::resume`] takes it on, also when
    /// the end of the body has been read already.
    #[must_use]
    pub const fn waits_for_register(&self) -> bool {
        self.state.missed
    }

    /// Goes on once the register has caught up: what was written before that and is not found now
    /// is nobody's.
    ///
    /// # Errors
    /// As [`Rewriter::write`], or as [`Rewriter::end`] if that has been called.
    pub fn resume(&mut self, out: &mut Cleared<Vec<u8>>) -> Result<(), Refusal> {
        self.state.trail.asked = Asked::Again;
        self.state.missed = false;
        self.unless_refused(|this| match (this.behind, this.ended) {
            (Some(fault), _) => {
                this.run_carry(Rest::Comes, out.inner())?;
                Err(fault)
            }
            (None, true) => this.finish(out.inner()),
            (None, false) => this.run_carry(Rest::Comes, out.inner()),
        })
    }

    /// Gives the watcher back.
    pub fn into_watch(self) -> W {
        self.watch
    }

    fn unless_refused(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        let done = read(self);
        self.refused = done.err();
        done
    }

    fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self.utf8.check(chunk) {
            Ok(()) => self.read(chunk, out),
            Err(bad) => {
                // A fault before the bad byte comes first, however the body was cut. The byte
                // itself is read too, as it would be at the end of a chunk: outside of a string
                // no byte of its kind has a place, good or bad.
                let seen = self.base.wrapping_add(wide(self.carry.len()));
                let read = bad.good.wrapping_add(usize::from(bad.before == 0));
                self.read(chunk.get(..read).unwrap_or_default(), out)?;
                let at = seen
                    .wrapping_add(wide(bad.good))
                    .wrapping_sub(wide(bad.before));
                self.no_text(at, out)
            }
        }
    }

    /// What stands before bytes that are no text may have to be refused before them.
    fn no_text(&mut self, at: u64, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let fault = JsonFault::Utf8;
        let fault = Refusal::BodyMalformed { fault, at };
        self.run_carry(Rest::Comes, out)?;
        if self.waits_for_register() {
            self.behind = Some(fault);
            return Ok(());
        }
        Err(fault)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let length = self.base.wrapping_add(wide(self.carry.len()));
        let cut = wide(self.utf8.waiting());
        if cut > 0 {
            return self.no_text(length.wrapping_sub(cut), out);
        }
        self.run_carry(Rest::IsNothing, out)?;
        if self.waits_for_register() || self.carry.is_empty() && self.state.is_done() {
            return Ok(());
        }
        let (fault, at) = (JsonFault::Cut, length);
        Err(Refusal::BodyMalformed { fault, at })
    }

    fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut rest = chunk;
        while !self.carry.is_empty() && !rest.is_empty() {
            // Completes the token that was cut, with little more of the chunk than that takes.
            let before = self.carry.len();
            let wanted = self.retry_at.saturating_sub(before).max(STEP);
            let (piece, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
            self.carry.extend_from_slice(piece);
            rest = after;
            if self.carry.len() < self.retry_at {
                return Ok(());
            }
            self.run_carry(Rest::Comes, out)?;
            // What is left of the carry now may all be of this chunk: go on in the chunk itself.
            if self.carry.len() <= piece.len() {
                let left = rest.len().wrapping_add(self.carry.len());
                rest = chunk
                    .get(chunk.len().wrapping_sub(left)..)
                    .unwrap_or_default();
                self.carry.clear();
                break;
            }
        }
        if self.carry.is_empty() && !rest.is_empty() {
            let used = self.run(rest, Rest::Comes, out)?;
            self.carry
                .extend_from_slice(rest.get(used..).unwrap_or_default());
            self.retry_at = self.carry.len().saturating_mul(2);
        }
        Ok(())
    }

    fn run_carry(&mut self, then: Rest, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut carry = std::mem::take(&mut self.carry);
        let used = self.run(&carry, then, out)?;
        carry.drain(..used.min(carry.len()));
        self.carry = carry;
        self.retry_at = self.carry.len().saturating_mul(2);
        Ok(())
    }

    /// Reads all whole tokens of `bytes`; gives how many bytes that were.
    fn run(&mut self, bytes: &[u8], then: Rest, out: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut pass = Pass::new(&self.crossing, &mut self.state, &mut self.watch, bytes, out);
        pass.then = then;
        pass.base = self.base;
        let done = pass.run();
        let used = pass.finish();
        done?;
        self.base = self.base.wrapping_add(wide(used));
        Ok(used)
    }
}

/// Holds parts of the body in clear, and shows none of them.
impl<W> fmt::Debug for Rewriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rewriter({} bytes read)", self.base)
    }
}

/// The least that is taken of a chunk to complete a token.
const STEP: usize = 256;

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
