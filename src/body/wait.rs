//! How long the sender of a body may take.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::alarm::{Alarm, after};
use crate::clock::Clock;
use crate::refusal::Refusal;

/// How much longer a body may take for every [`MIB`] that came.
const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;

/// How long the sender of a body may take, and how long it has taken.
#[derive(Debug)]
pub struct Wait {
    clock: Clock,
    idle: Duration,
    total: Option<Duration>,
    late: Refusal,
    /// When it began, if the whole of it is bounded.
    began: Option<Instant>,
    /// Since when nothing has come, if something is waited for.
    since: Option<Instant>,
    alarm: Option<Alarm>,
}

impl Wait {
    /// From now on. `idle` bounds each pause; when it takes longer, `late` is why it is refused.
    #[must_use]
    pub fn new(clock: &Clock, idle: Duration, late: Refusal) -> Self {
        Self {
            clock: clock.clone(),
            idle,
            total: None,
            late,
            began: None,
            since: None,
            alarm: None,
        }
    }

    /// Bounds the whole of it too: to `total`, and a second more for every MiB.
    #[must_use]
    pub fn within(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self.began = Some(self.clock.now());
        self
    }

    /// To measure with.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Something came.
    pub(super) const fn over(&mut self) {
        self.since = None;
    }

    /// Ready, with the reason, once a pause or the whole has lasted too long; `received` bytes came
    /// so far.
    pub(super) fn poll(&mut self, received: u64, cx: &mut Context<'_>) -> Poll<Refusal> {
        let since = *self.since.get_or_insert_with(|| self.clock.now());
        let idle = after(since, self.idle);
        let due = match self.total.zip(self.began) {
            Some((total, began)) => {
                let mib = u32::try_from(received / MIB).unwrap_or(u32::MAX);
                let total = total.saturating_add(SECOND.saturating_mul(mib));
                idle.min(after(began, total))
            }
            None => idle,
        };
        let alarm = self.alarm.get_or_insert_with(|| Alarm::at(due));
        alarm.set(due);
        alarm.poll(cx).map(|()| self.late)
    }
}
