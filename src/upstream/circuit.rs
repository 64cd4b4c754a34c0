//! Whether an upstream is called at all: one that fails again and again is left alone for a moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::standing::Rules;
use crate::alarm::after;

/// The failures of one upstream, and whether it rests because of them. A function of what it is
/// told and when.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// Since the last whole answer, the oldest first; never as many as open the circuit.
    failures: VecDeque<Instant>,
    open: Option<Open>,
}

/// How a circuit stands that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: Instant,
    /// When the next request may try.
    tries_at: Instant,
}

/// Whether a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It may.
    Open,
    /// It may not: the upstream rests, for so long still.
    Shut(Duration),
}

/// What became of the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The upstream is called again.
    Closed,
    /// It rests from now on.
    Opened,
    /// Nothing.
    Same,
}

impl Circuit {
    /// A request wants to go. While the upstream rests, one goes each time and tries it.
    pub(super) fn enter(&mut self, now: Instant, rules: &Rules) -> Entry {
        match &mut self.open {
            None => Entry::Open,
            Some(open) if now < open.tries_at => {
                Entry::Shut(open.tries_at.saturating_duration_since(now))
            }
            Some(open) => {
                open.tries_at = after(now, rules.circuit_rest);
                Entry::Open
            }
        }
    }

    /// No answer came, or none that is whole.
    pub(super) fn failed(&mut self, now: Instant, rules: &Rules) -> Turn {
        if self.is_open() {
            // The next one to try has its time already.
            return Turn::Same;
        }
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= rules.circuit_window;
        while self.failures.front().is_some_and(is_old) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        if self.failures.len() < rules.circuit_failures {
            return Turn::Same;
        }
        self.failures.clear();
        self.open = Some(Open {
            since: now,
            tries_at: after(now, rules.circuit_rest),
        });
        Turn::Opened
    }

    /// The head of an answer came: whoever sends one is there again.
    pub(super) const fn answered(&mut self) -> Turn {
        match self.open.take() {
            Some(_) => Turn::Closed,
            None => Turn::Same,
        }
    }

    /// An answer came to its end.
    pub(super) fn came_whole(&mut self) {
        self.failures.clear();
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Since when it is open, if it is.
    pub(super) fn open_since(&self) -> Option<Instant> {
        self.open.map(|open| open.since)
    }

    /// Whether there is nothing to tell of it.
    pub(super) fn is_quiet(&self) -> bool {
        !self.is_open() && self.failures.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::limits::Limits;

    /// Circuit, rules and a clock to turn.
    fn fresh() -> (Circuit, Rules, Clock) {
        let rules = Rules::of(&Limits::default());
        (Circuit::default(), rules, Clock::test(0))
    }

    #[test]
    fn five_failures_in_ten_seconds_open_it_and_one_answer_closes_it() {
        let (mut circuit, rules, clock) = fresh();
        assert_eq!(circuit.open_since(), None);
        for _ in 0..4 {
            assert_eq!(circuit.failed(clock.now(), &rules), Turn::Same);
            clock.turn(Duration::from_secs(2));
        }
        assert_eq!(circuit.enter(clock.now(), &rules), Entry::Open);
        let opened = clock.now();
        assert_eq!(circuit.failed(opened, &rules), Turn::Opened);
        let shut = |ms| Entry::Shut(Duration::from_millis(ms));
        assert_eq!(circuit.enter(clock.now(), &rules), shut(1_000));
        clock.turn(Duration::from_millis(999));
        assert_eq!(circuit.enter(clock.now(), &rules), shut(1));
        clock.turn(Duration::from_millis(1));
        assert_eq!(circuit.enter(clock.now(), &rules), Entry::Open, "a try");
        assert_eq!(circuit.enter(clock.now(), &rules), shut(1_000), "one only");
        assert_eq!(circuit.failed(clock.now(), &rules), Turn::Same);
        clock.turn(Duration::from_secs(1));
        assert_eq!(circuit.enter(clock.now(), &rules), Entry::Open, "another");
        assert_eq!(circuit.open_since(), Some(opened), "as before they tried");
        assert_eq!(circuit.answered(), Turn::Closed);
        assert_eq!(circuit.open_since(), None);
        assert_eq!(circuit.enter(clock.now(), &rules), Entry::Open);
        assert_eq!(circuit.failed(clock.now(), &rules), Turn::Same, "from none");
    }

    #[test]
    fn failures_far_apart_or_with_a_whole_answer_between_do_not_open_it() {
        let (mut circuit, rules, clock) = fresh();
        for _ in 0..20 {
            assert_eq!(circuit.failed(clock.now(), &rules), Turn::Same);
            clock.turn(Duration::from_millis(2_500));
        }
        for _ in 0..20 {
            assert_eq!(circuit.failed(clock.now(), &rules), Turn::Same);
            circuit.came_whole();
        }
        assert!(circuit.is_quiet());
        for _ in 0..5 {
            assert_eq!(
                circuit.answered(),
                Turn::Same,
                "a head alone forgives nothing"
            );
            circuit.failed(clock.now(), &rules);
        }
        assert!(circuit.is_open());
    }
}
