//! How long the sender of a body may take.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::alarm::{Alarm, after};
use crate::clock::Clock;
use crate::refusal::Refusal;

/// How much longer a body may take for every [`MIB`] that came.
const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;

/// How long the sender of a body may take, and how long it has taken. What the one who reads it
/// takes is not counted: it is not the sender's fault.
#[derive(Debug)]
pub struct Wait {
    clock: Clock,
    idle: Duration,
    total: Duration,
    late: Refusal,
    /// Since when nothing has come, if something is waited for.
    since: Option<Instant>,
    /// How long has been waited before that, in all.
    waited: Duration,
    alarm: Option<Alarm>,
}

impl Wait {
    /// `idle` bounds each pause; when it takes longer, `late` is why it is refused.
    #[must_use]
    pub fn new(clock: &Clock, idle: Duration, late: Refusal) -> Self {
        Self {
            clock: clock.clone(),
            idle,
            total: Duration::MAX,
            late,
            since: None,
            waited: Duration::ZERO,
            alarm: None,
        }
    }

    /// Bounds all pauses together too: to `total`, and a second more for every MiB.
    #[must_use]
    pub const fn within(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// To measure with.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Something came.
    pub(super) fn over(&mut self) {
        if let Some(since) = self.since.take() {
            let waited = self.clock.now().saturating_duration_since(since);
            self.waited = self.waited.saturating_add(waited);
        }
    }

    /// Ready, with the reason, once a pause or all of them have lasted too long; `received` bytes
    /// came so far.
    pub(super) fn poll(&mut self, received: u64, cx: &mut Context<'_>) -> Poll<Refusal> {
        let due = self.due(received);
        let alarm = self.alarm.get_or_insert_with(|| Alarm::at(due));
        alarm.set(due);
        alarm.poll(cx).map(|()| self.late)
    }

    /// Nothing has come: the moment from which on that is too long.
    fn due(&mut self, received: u64) -> Instant {
        let since = *self.since.get_or_insert_with(|| self.clock.now());
        let mib = u32::try_from(received / MIB).unwrap_or(u32::MAX);
        let total = self.total.saturating_add(SECOND.saturating_mul(mib));
        after(since, self.idle.min(total.saturating_sub(self.waited)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(15);
    const TOTAL: Duration = Duration::from_mins(5);

    fn wait() -> (Clock, Wait) {
        let clock = Clock::test(0);
        let wait = Wait::new(&clock, IDLE, Refusal::UPSTREAM_SILENT).within(TOTAL);
        (clock, wait)
    }

    /// How many bytes come, one after each `pause`, before that is too slow.
    fn trickled(received: u64, pause: Duration) -> u32 {
        let (clock, mut wait) = wait();
        let came = (0_u32..10_000).take_while(|_| {
            let due = wait.due(received);
            clock.turn(pause);
            wait.over();
            clock.now() < due
        });
        u32::try_from(came.count()).unwrap()
    }

    #[test]
    fn pauses_that_are_short_enough_are_too_long_together() {
        assert_eq!(trickled(0, Duration::from_secs(14)), 300 / 14);
        assert_eq!(trickled(0, IDLE), 0, "the first is too long");
        assert_eq!(trickled((1 << 20) - 1, Duration::from_secs(1)), 299);
    }

    #[test]
    fn what_is_large_may_take_longer() {
        assert_eq!(trickled(64 << 20, Duration::from_secs(1)), 300 + 64 - 1);
        assert_eq!(trickled(u64::MAX, Duration::from_secs(1)), 10_000);
    }

    #[test]
    fn what_its_reader_takes_is_not_counted() {
        let (clock, mut wait) = wait();
        for _ in 0..1_000 {
            let due = wait.due(0);
            assert_eq!(due, after(clock.now(), IDLE));
            assert_eq!(wait.due(0), due, "it is asked for again");
            // Something comes at once, and is read for a minute.
            wait.over();
            clock.turn(Duration::from_mins(1));
        }
    }

    #[test]
    fn without_a_bound_for_all_only_each_pause_counts() {
        let clock = Clock::test(0);
        let mut wait = Wait::new(&clock, IDLE, Refusal::UPSTREAM_SILENT);
        for _ in 0..1_000 {
            assert_eq!(wait.due(0), after(clock.now(), IDLE));
            clock.turn(Duration::from_secs(14));
            wait.over();
        }
    }
}
