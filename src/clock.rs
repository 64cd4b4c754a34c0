//! Time, as a value that is handed in: the only room that asks the machine what time it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What time it is: monotonic for waits and measurements, wall-clock for dates.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Test {
        start: Instant,
        start_unix_s: u64,
        turned_ms: Arc<AtomicU64>,
    },
}

impl Clock {
    /// The machine's own clocks.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `unix_s` seconds after 1970-01-01 UTC until it is [turned](Self::turn).
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one room that may")]
    pub fn test(unix_s: u64) -> Self {
        Self(Source::Test {
            start: Instant::now(),
            start_unix_s: unix_s,
            turned_ms: Arc::default(),
        })
    }

    /// Moves a test clock (and all its clones) on; the system clock does not turn.
    pub fn turn(&self, by: Duration) {
        match &self.0 {
            Source::System => {}
            Source::Test { turned_ms, .. } => {
                let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
                turned_ms.fetch_add(by_ms, Ordering::Relaxed);
            }
        }
    }

    /// A moment to measure from; it never goes back.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one room that may")]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Test {
                start, turned_ms, ..
            } => {
                let turned = Duration::from_millis(turned_ms.load(Ordering::Relaxed));
                start.checked_add(turned).unwrap_or(*start)
            }
        }
    }

    /// Whole seconds since 1970-01-01 UTC; 0 on a machine whose clock lies before that.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one room that may")]
    pub fn unix_s(&self) -> u64 {
        match &self.0 {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            Source::Test {
                start_unix_s,
                turned_ms,
                ..
            } => start_unix_s.saturating_add(turned_ms.load(Ordering::Relaxed) / 1_000),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock(system)"),
            Source::Test { .. } => write!(f, "Clock(test, {})", self.unix_s()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_clock_stands_still_until_it_is_turned() {
        let clock = Clock::test(1_000);
        assert_eq!((clock.unix_s(), clock.now()), (1_000, clock.now()));
        let before = clock.now();
        let twin = clock.clone();
        twin.turn(Duration::from_millis(4_500));
        clock.turn(Duration::from_millis(500));
        assert_eq!(clock.unix_s(), 1_005);
        assert_eq!(clock.now().duration_since(before), Duration::from_secs(5));
    }
}
