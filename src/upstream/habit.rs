//! How soon an upstream closes connections with nothing on them, as far as it has shown.
//!
//! Nobody says how long a kept connection stays open. One that is closed while a request is on its
//! way to it costs that request, so a connection is not used again near the age at which this
//! upstream has closed one.

use std::time::{Duration, Instant};

use super::standing::Rules;
use crate::alarm::after;

/// What an upstream has shown. A function of what it is told and when.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// The shortest age at which it closed one, since `turned`.
    newest: Option<Duration>,
    /// The same, of as long a time before.
    older: Option<Duration>,
    turned: Option<Instant>,
    /// When a connection last broke under a request.
    stale_at: Option<Instant>,
    /// No connection is used twice before.
    rests_until: Option<Instant>,
}

impl Habit {
    /// It closed a connection that had been idle for so long, or less.
    pub(super) fn closed(&mut self, idle: Duration, now: Instant, rules: &Rules) {
        self.turn(now, rules);
        let shortest = self.newest.map_or(idle, |shortest| shortest.min(idle));
        self.newest = Some(shortest);
    }

    /// A connection that had been idle for so long broke under a request, with no byte of an
    /// answer.
    pub(super) fn stale(&mut self, idle: Duration, now: Instant, rules: &Rules) {
        self.closed(idle, now, rules);
        let before = self.stale_at.replace(now);
        let since = before.map(|before| now.saturating_duration_since(before));
        if since.is_some_and(|since| since < rules.stale_window) {
            self.rests_until = Some(after(now, rules.stale_rest));
            self.stale_at = None;
        }
    }

    /// How long a connection may have been idle to be used again; zero if none is.
    pub(super) fn usable(&mut self, now: Instant, rules: &Rules) -> Duration {
        if self.rests_until.is_some_and(|until| now < until) {
            return Duration::ZERO;
        }
        self.rests_until = None;
        self.turn(now, rules);
        let shortest = [self.newest, self.older].into_iter().flatten().min();
        match shortest {
            Some(shortest) if shortest < rules.idle_floor => Duration::ZERO,
            Some(shortest) => rules.idle.min(eight_tenths(shortest)),
            None => rules.idle,
        }
    }

    /// Whether it has shown nothing that is still remembered.
    pub(super) fn is_quiet(&self) -> bool {
        let seen = self.newest.or(self.older);
        seen.is_none() && self.rests_until.is_none() && self.stale_at.is_none()
    }

    /// Forgets what is too long ago.
    fn turn(&mut self, now: Instant, rules: &Rules) {
        let turned = *self.turned.get_or_insert(now);
        let since = now.saturating_duration_since(turned);
        if since < rules.idle_memory {
            return;
        }
        let newest = self.newest.take();
        self.older = newest.filter(|_| since < rules.idle_memory.saturating_mul(2));
        self.turned = Some(now);
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= rules.stale_window;
        if self.stale_at.as_ref().is_some_and(is_old) {
            self.stale_at = None;
        }
    }
}

fn eight_tenths(whole: Duration) -> Duration {
    let fifth = whole.checked_div(5).unwrap_or_default();
    fifth.saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::limits::Limits;

    const SECOND: Duration = Duration::from_secs(1);

    fn fresh() -> (Habit, Rules, Clock) {
        let rules = Rules::of(&Limits::default());
        (Habit::default(), rules, Clock::test(0))
    }

    #[test]
    fn eight_tenths_of_the_shortest_age_and_for_a_while_only() {
        let (mut habit, rules, clock) = fresh();
        assert_eq!(habit.usable(clock.now(), &rules), 30 * SECOND);
        for age in [9, 5, 7] {
            habit.closed(age * SECOND, clock.now(), &rules);
        }
        assert_eq!(habit.usable(clock.now(), &rules), 4 * SECOND);
        habit.closed(3_600 * SECOND, clock.now(), &rules);
        assert_eq!(habit.usable(clock.now(), &rules), 4 * SECOND);
        clock.turn(60 * SECOND);
        habit.closed(10 * SECOND, clock.now(), &rules);
        assert_eq!(habit.usable(clock.now(), &rules), 4 * SECOND, "not yet");
        clock.turn(60 * SECOND);
        assert_eq!(habit.usable(clock.now(), &rules), 8 * SECOND);
        clock.turn(120 * SECOND);
        assert_eq!(habit.usable(clock.now(), &rules), 30 * SECOND);
        assert!(habit.is_quiet());
    }

    #[test]
    fn an_upstream_that_closes_at_once_gets_a_new_connection_each_time() {
        let (mut habit, rules, clock) = fresh();
        habit.closed(Duration::from_millis(100), clock.now(), &rules);
        let usable = habit.usable(clock.now(), &rules);
        assert_eq!(usable, Duration::from_millis(80));
        habit.closed(Duration::from_millis(99), clock.now(), &rules);
        assert_eq!(habit.usable(clock.now(), &rules), Duration::ZERO);
    }

    #[test]
    fn after_two_that_broke_within_ten_seconds_none_is_used_for_a_minute() {
        let (mut habit, rules, clock) = fresh();
        let age = 20 * SECOND;
        for _ in 0..3 {
            habit.stale(age, clock.now(), &rules);
            assert_eq!(habit.usable(clock.now(), &rules), 16 * SECOND);
            clock.turn(10 * SECOND);
        }
        habit.stale(age, clock.now(), &rules);
        clock.turn(9 * SECOND);
        habit.stale(age, clock.now(), &rules);
        assert_eq!(habit.usable(clock.now(), &rules), Duration::ZERO);
        clock.turn(59 * SECOND);
        assert_eq!(habit.usable(clock.now(), &rules), Duration::ZERO);
        clock.turn(SECOND);
        assert_eq!(habit.usable(clock.now(), &rules), 16 * SECOND);
    }
}
