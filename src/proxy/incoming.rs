//! What comes from a caller, and how long it is waited for.

use std::time::{Duration, Instant};

use super::connection::Protocol;
use super::pace::REST;
use crate::alarm::after;
use crate::clock::Clock;
use crate::guard::{Frames, Look, Reader, Requests};
use crate::limits::{Bound, Limits};

/// What comes from a caller.
#[derive(Debug)]
pub(super) enum Incoming {
    Http1(Requests),
    Http2(Frames),
}

impl Incoming {
    /// For a connection on which nothing has come.
    pub(super) fn of(protocol: Protocol, limits: &Limits) -> Self {
        match protocol {
            Protocol::Http1 => Self::Http1(Requests::new(limits)),
            Protocol::Http2 => Self::Http2(Frames::of_caller(limits)),
        }
    }

    /// How many requests have come, if all of them are whole; over HTTP/2 nobody looks.
    pub(super) const fn whole(&self) -> Option<u64> {
        match self {
            Self::Http1(requests) => requests.whole(),
            Self::Http2(_) => None,
        }
    }
}

impl Reader for Incoming {
    fn look(&mut self, bytes: &[u8]) -> Look {
        match self {
            Self::Http1(requests) => requests.look(bytes),
            Self::Http2(frames) => frames.look(bytes),
        }
    }
}

/// How long to wait.
#[derive(Clone, Debug)]
pub(super) struct Times {
    pub(super) clock: Clock,
    pub(super) idle: Duration,
    /// `None` for HTTP/2, whose heads come among other frames.
    pub(super) head: Option<Duration>,
    /// `None` for HTTP/2, whose server knows what was said before.
    pub(super) rest: Option<Duration>,
    pub(super) write: Duration,
}

impl Times {
    pub(super) fn of(protocol: Protocol, clock: &Clock, limits: &Limits) -> Self {
        let (head, rest) = match protocol {
            Protocol::Http1 => (Some(limits.time(Bound::HeadTime)), Some(REST)),
            Protocol::Http2 => (None, None),
        };
        Self {
            clock: clock.clone(),
            idle: limits.time(Bound::KeepAliveIdle),
            head,
            rest,
            write: limits.time(Bound::AnswerWriteIdle),
        }
    }

    pub(super) fn until(&self, wait: Duration) -> Instant {
        after(self.clock.now(), wait)
    }
}
