//! What all threads know of one flow's upstream: whether it is called, and how long its
//! connections may be kept.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::circuit::{Circuit, Entry, Turn};
use super::habit::Habit;
use crate::events::{CircuitTurned, ConnectionUse, Events, RouteMeter};
use crate::limits::{Bound, Limits};
use crate::refusal::Refusal;

/// One flow's upstream as it stands, under one configuration. What it has shown is forgotten with
/// that.
pub struct Standing {
    rules: Rules,
    /// Whether there is nothing to tell of it: then nobody waits for the lock.
    quiet: AtomicBool,
    shown: Mutex<Shown>,
    events: Events,
    meter: RouteMeter,
}

#[derive(Debug, Default)]
struct Shown {
    circuit: Circuit,
    habit: Habit,
}

/// The limits that decide, read once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) age: Duration,
    pub(super) circuit_failures: usize,
    pub(super) circuit_rest: Duration,
    pub(super) circuit_window: Duration,
    pub(super) idle: Duration,
    pub(super) idle_floor: Duration,
    pub(super) idle_memory: Duration,
    pub(super) stale_rest: Duration,
    pub(super) stale_window: Duration,
}

impl Rules {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            age: limits.time(Bound::UpstreamAge),
            circuit_failures: limits.size(Bound::UpstreamCircuitFailures),
            circuit_rest: limits.time(Bound::UpstreamCircuitRest),
            circuit_window: limits.time(Bound::UpstreamCircuitWindow),
            idle: limits.time(Bound::UpstreamIdle),
            idle_floor: limits.time(Bound::UpstreamIdleFloor),
            idle_memory: limits.time(Bound::UpstreamIdleMemory),
            stale_rest: limits.time(Bound::UpstreamStaleRest),
            stale_window: limits.time(Bound::UpstreamStaleWindow),
        }
    }
}

impl Standing {
    /// Of an upstream that has shown nothing yet. What happens to it is told to `events`, and
    /// counted by `meter`.
    #[must_use]
    pub fn new(limits: &Limits, events: &Events, meter: &RouteMeter) -> Self {
        Self {
            rules: Rules::of(limits),
            quiet: AtomicBool::new(true),
            shown: Mutex::default(),
            events: events.clone(),
            meter: meter.clone(),
        }
    }

    /// Since when it is left alone for having failed again and again, if it is.
    #[must_use]
    pub fn rests_since(&self) -> Option<Instant> {
        match self.is_quiet() {
            true => None,
            false => self.look(|shown, _| shown.circuit.open_since()),
        }
    }

    /// A request wants to go to it.
    ///
    /// # Errors
    /// [`Refusal::UpstreamResting`] while it is left alone.
    pub(super) fn enter(&self, now: Instant) -> Result<(), Refusal> {
        if self.is_quiet() {
            return Ok(());
        }
        match self.look(|shown, rules| shown.circuit.enter(now, rules)) {
            Entry::Open => Ok(()),
            Entry::Shut(rest) => Err(Refusal::UpstreamResting {
                wait_s: whole_seconds(rest),
            }),
        }
    }

    /// No answer came, or none that is whole, and that is its fault.
    pub(super) fn failed(&self, now: Instant) {
        self.tell(self.look(|shown, rules| shown.circuit.failed(now, rules)));
    }

    /// The head of an answer came.
    pub(super) fn answered(&self) {
        if !self.is_quiet() {
            self.tell(self.look(|shown, _| shown.circuit.answered()));
        }
    }

    /// An answer came to its end.
    pub(super) fn came_whole(&self) {
        if !self.is_quiet() {
            self.look(|shown, _| shown.circuit.came_whole());
        }
    }

    /// How long a connection may have been idle to be used again; zero if none is.
    pub(super) fn usable(&self, now: Instant) -> Duration {
        match self.is_quiet() {
            true => self.rules.idle,
            false => self.look(|shown, rules| shown.habit.usable(now, rules)),
        }
    }

    /// Whether a connection opened then gets no more requests: its name may lead elsewhere by now.
    pub(super) fn is_old(&self, opened: Instant, now: Instant) -> bool {
        now.saturating_duration_since(opened) >= self.rules.age
    }

    /// It closed a connection that had been idle for so long, or less.
    pub(super) fn closed(&self, idle: Duration, now: Instant) {
        self.count(ConnectionUse::Closed);
        self.look(|shown, rules| shown.habit.closed(idle, now, rules));
    }

    /// A connection that had been idle for so long broke under a request, with no byte of an
    /// answer.
    pub(super) fn stale(&self, idle: Duration, now: Instant) {
        self.count(ConnectionUse::Stale);
        self.look(|shown, rules| shown.habit.stale(idle, now, rules));
    }

    /// Counts what was done with a connection.
    pub(super) fn count(&self, what: ConnectionUse) {
        self.meter.count_connection(what);
    }

    /// Counts a request that is sent once more.
    pub(super) fn count_retry(&self) {
        self.meter.count_retry();
    }

    fn tell(&self, turn: Turn) {
        let rests = match turn {
            Turn::Same => return,
            Turn::Opened => true,
            Turn::Closed => false,
        };
        let meter = &self.meter;
        self.events.emit(CircuitTurned { meter, rests });
    }

    fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    fn look<T>(&self, look: impl FnOnce(&mut Shown, &Rules) -> T) -> T {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = look(&mut shown, &self.rules);
        let quiet = shown.circuit.is_quiet() && shown.habit.is_quiet();
        self.quiet.store(quiet, Ordering::Relaxed);
        seen
    }
}

/// Nobody who waits for so long comes too soon.
fn whole_seconds(time: Duration) -> u64 {
    let begun = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(begun)
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rests = self.rests_since().is_some();
        f.debug_struct("Standing").field("rests", &rests).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several have the same default: one that is read for another would be seen by nobody.
    #[test]
    fn each_rule_is_read_from_the_bound_of_its_name() {
        let mut limits = Limits::default();
        let seconds = [
            (Bound::UpstreamAge, 10),
            (Bound::UpstreamCircuitRest, 11),
            (Bound::UpstreamCircuitWindow, 12),
            (Bound::UpstreamIdle, 13),
            (Bound::UpstreamIdleFloor, 4),
            (Bound::UpstreamIdleMemory, 15),
            (Bound::UpstreamStaleRest, 16),
            (Bound::UpstreamStaleWindow, 17),
        ];
        for (bound, seconds) in seconds {
            limits.set(bound, seconds * 1_000).unwrap();
        }
        limits.set(Bound::UpstreamCircuitFailures, 18).unwrap();
        let Rules {
            age,
            circuit_failures,
            circuit_rest,
            circuit_window,
            idle,
            idle_floor,
            idle_memory,
            stale_rest,
            stale_window,
        } = Rules::of(&limits);
        assert_eq!(circuit_failures, 18);
        let read = [
            age,
            circuit_rest,
            circuit_window,
            idle,
            idle_floor,
            idle_memory,
            stale_rest,
            stale_window,
        ];
        assert_eq!(read.map(|it| it.as_secs()), seconds.map(|(_, it)| it));
    }
}
