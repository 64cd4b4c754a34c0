//! How long the head of an answer is waited for.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::alarm::{Alarm, after};
use crate::body::{Facts, State};
use crate::clock::Clock;
use crate::refusal::Refusal;

/// How long to wait for the head of an answer, from the end of the request on.
pub(super) struct Patience {
    pub(super) due: Instant,
    pub(super) wait: Duration,
    pub(super) facts: Option<Arc<Facts>>,
    pub(super) received: u64,
    pub(super) clock: Clock,
}

impl Patience {
    /// Ready once the upstream has let us wait too long: for its answer, or for it to read on.
    pub(super) fn poll(&mut self, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<()> {
        while alarm.poll(cx).is_ready() {
            // Also if it has ended meanwhile: the upstream has just got the last of it.
            let received = received(self.facts.as_deref());
            if received <= self.received {
                return Poll::Ready(());
            }
            self.received = received;
            alarm.set(after(self.clock.now(), self.wait));
        }
        Poll::Pending
    }

    /// What was found in the body that was on its way, if that is why the upstream broke off.
    pub(super) fn fault(&self) -> Option<Refusal> {
        match self.facts.as_ref()?.look().state {
            State::Failed(refusal) => Some(refusal),
            State::Ended | State::Open => None,
        }
    }
}

/// Bytes of the body that came so far.
pub(super) fn received(facts: Option<&Facts>) -> u64 {
    facts.map_or(0, |facts| facts.look().received)
}
