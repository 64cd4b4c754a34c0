//! What comes over HTTP/2 that carries nothing of a message (RFC 9113).
//!
//! The HTTP library reads the frames, and bounds how many it takes of those that belong to a
//! message: HEADERS, CONTINUATION and DATA. All others cost a sender almost nothing, and the
//! library takes them for ever. Those are paid for here. So are informational answers, which the
//! library takes for ever too: a head of an answer is paid for, and the end of an answer pays back.

use std::time::{Duration, Instant};

use super::{Fault, Look, Reader};
use crate::limits::{Bound, Limits};

/// Section 3.4. Whether it is one, the library sees.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
/// The flag of a frame of DATA or HEADERS that is the last of its message.
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// So many bytes that we send pay for one frame: whoever reads a body may open a window for each
/// piece of it, and one for its connection. No message with a body is shorter; what we say to PING
/// (17) and SETTINGS (9) is, and does not pay for another.
const PAYING_BYTES: u64 = 24;
/// What we sent pays for so many times the budget at most: what was sent long ago is acknowledged.
const SAVED_MAX: u64 = 10;

/// The head of a frame, without its stream (RFC 9113 section 4.1).
#[derive(Clone, Copy, Debug)]
pub struct FrameHead {
    /// Of what comes behind it, in bytes.
    pub length: usize,
    /// What it is.
    pub kind: u8,
    /// What its kind makes of them.
    pub flags: u8,
}

impl FrameHead {
    /// So many bytes.
    pub const BYTES: usize = 9;

    /// Reads the first bytes of a frame; `None` if its head is not whole.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, ..] = bytes.get(..Self::BYTES)? else {
            return None;
        };
        let length = u32::from_be_bytes([0, *high, *middle, *low]);
        Some(Self {
            length: usize::try_from(length).unwrap_or(usize::MAX),
            kind: *kind,
            flags: *flags,
        })
    }
}

/// Reads the frames of one connection.
#[derive(Clone, Debug)]
pub struct Frames {
    /// So many bytes come before the head of a frame.
    skip: usize,
    budget: Budget,
    /// Heads that have been paid for, of answers that have not ended; `None` for requests, of which
    /// the library bounds the heads.
    heads: Option<u64>,
    /// Whether the head of a message goes on in the next frame.
    in_head: bool,
    /// So many frames have begun; all of a head are one.
    begun: u64,
}

impl Frames {
    /// For a caller's connection on which nothing has come.
    #[must_use]
    pub fn of_caller(limits: &Limits) -> Self {
        Self::behind(PREFACE.len(), None, limits)
    }

    /// For an upstream's connection on which nothing has come.
    #[must_use]
    pub fn of_upstream(limits: &Limits) -> Self {
        // Its preface is a frame.
        Self::behind(0, Some(0), limits)
    }

    fn behind(preface: usize, heads: Option<u64>, limits: &Limits) -> Self {
        let frames_max = limits.of(Bound::H2ControlFrames);
        Self {
            skip: preface,
            budget: Budget {
                frames_max,
                window: limits.time(Bound::H2ControlWindow),
                begun: None,
                left: frames_max,
                sent: 0,
                is_spent: false,
            },
            heads,
            in_head: false,
            begun: 0,
        }
    }

    /// What is looked at from now on came at that moment.
    pub fn at(&mut self, now: Instant) {
        self.budget.at(now);
    }

    /// The number of the frame, or of the head that goes on (section 6.10), in the midst of which
    /// what has been shown ends; `None` if any frame may follow.
    #[must_use]
    pub const fn under_way(&self) -> Option<u64> {
        match self.skip == 0 && !self.in_head {
            true => None,
            false => Some(self.begun),
        }
    }

    /// So many bytes were sent to who sends these.
    pub fn sent(&mut self, bytes: usize) {
        self.budget.earn(bytes);
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.skip > 0 {
            let skipped = self.skip.min(bytes.len());
            self.skip = self.skip.saturating_sub(skipped);
            return Ok(Some(skipped));
        }
        // A head is shown as a whole, so that what is shown before a fault ends with a frame.
        let Some(head) = FrameHead::of(bytes) else {
            return Ok(None);
        };
        self.count(head)?;
        if !self.in_head {
            self.begun = self.begun.wrapping_add(1);
        }
        if let HEADERS | CONTINUATION = head.kind {
            self.in_head = head.flags & END_HEADERS == 0;
        }
        self.skip = head.length;
        Ok(Some(FrameHead::BYTES))
    }

    fn count(&mut self, head: FrameHead) -> Result<(), Fault> {
        match (head.kind, &mut self.heads) {
            (DATA | HEADERS, Some(heads)) if head.flags & END_STREAM != 0 => {
                if let Some(less) = heads.checked_sub(1) {
                    *heads = less;
                    self.budget.pay_back();
                }
                Ok(())
            }
            (HEADERS, Some(heads)) => {
                *heads = heads.saturating_add(1);
                self.budget.pay()
            }
            (CONTINUATION | DATA | HEADERS, _) => Ok(()),
            _ => self.budget.pay(),
        }
    }
}

impl Reader for Frames {
    fn look(&mut self, bytes: &[u8]) -> Look {
        super::look(bytes, |rest| self.step(rest))
    }
}

/// How many frames may still come.
#[derive(Clone, Debug)]
struct Budget {
    frames_max: u64,
    window: Duration,
    /// When it was filled last.
    begun: Option<Instant>,
    left: u64,
    /// Bytes that were sent and have paid for nothing.
    sent: u64,
    /// Once a frame was not paid for, none is.
    is_spent: bool,
}

impl Budget {
    fn at(&mut self, now: Instant) {
        let is_over = |begun| now.saturating_duration_since(begun) >= self.window;
        if self.begun.is_none_or(is_over) {
            self.begun = Some(now);
            self.left = self.frames_max;
        }
    }

    fn earn(&mut self, bytes: usize) {
        let most = self.frames_max.saturating_mul(SAVED_MAX);
        let most = most.saturating_mul(PAYING_BYTES);
        let sent = self
            .sent
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.sent = sent.min(most);
    }

    fn pay_back(&mut self) {
        self.left = self.left.saturating_add(1).min(self.frames_max);
    }

    /// Pays for one frame.
    fn pay(&mut self) -> Result<(), Fault> {
        if self.is_spent {
            return Err(Fault::Flood);
        }
        if let Some(sent) = self.sent.checked_sub(PAYING_BYTES) {
            self.sent = sent;
        } else if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
        } else {
            self.is_spent = true;
            return Err(Fault::Flood);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_between_two_of_them_and_outside_of_heads() {
        let mut frames = Frames::of_caller(&Limits::default());
        for (bytes, under_way) in [
            (&PREFACE[..9], Some(0)),
            (&PREFACE[9..], None),
            (b"\0\0\x02\x08\0\0\0\0\x01", Some(1)),
            (b"a", Some(1)),
            (b"b", None),
            // HEADERS that go on, and their end in CONTINUATION.
            (b"\0\0\0\x01\0\0\0\0\x01", Some(2)),
            (b"\0\0\x01\x09\0\0\0\0\x01", Some(2)),
            (b"c", Some(2)),
            (b"\0\0\0\x09\x04\0\0\0\x01", None),
            (b"\0\0\0\x01\x04\0\0\0\x03", None),
            // The end of a frame, and the beginning of another.
            (b"\0\0\x01\0\0\0\0\0\x01", Some(4)),
            (b"d\0\0\x01\0\0\0\0\0\x01", Some(5)),
        ] {
            assert_eq!(frames.look(bytes).fault, None);
            assert_eq!(frames.under_way(), under_way, "{}", bytes.escape_ascii());
        }
    }
}
