//! Time, as a value that is handed in: the only room that asks the machine what time it is.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

/// What time it is: monotonic for waits and measurements, wall-clock for dates.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// As paused as the runtime that it is asked in.
    #[cfg(test)]
    Paused {
        start: Instant,
        wall_s: Arc<AtomicU64>,
    },
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

    /// A clock that stands still at `unix_s` seconds after 1970-01-01 UTC until it is
    /// [turned](Self::turn).
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
            #[cfg(test)]
            Source::Paused { .. } => {}
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
            #[cfg(test)]
            Source::Paused { .. } => tests::paused_now(),
            Source::System => Instant::now(),
            Source::Test {
                start, turned_ms, ..
            } => {
                let turned = Duration::from_millis(turned_ms.load(Ordering::Relaxed));
                start.checked_add(turned).unwrap_or(*start)
            }
        }
    }

    /// Microseconds of the machine's monotonic clock, as other processes of it read it too.
    #[must_use]
    pub fn monotonic_us(&self) -> u64 {
        match &self.0 {
            #[cfg(test)]
            Source::Paused { start, .. } => {
                let since = self.now().saturating_duration_since(*start);
                u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
            }
            Source::System => {
                let now = Duration::try_from(clock_gettime(ClockId::Monotonic));
                now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
            }
            Source::Test { turned_ms, .. } => {
                turned_ms.load(Ordering::Relaxed).saturating_mul(1_000)
            }
        }
    }

    /// This moment by both clocks.
    #[must_use]
    pub fn time(&self) -> Time {
        Time {
            unix_s: self.unix_s(),
            steady_s: self.monotonic_us() / 1_000_000,
        }
    }

    /// Whole seconds since 1970-01-01 UTC; 0 on a machine whose clock lies before that.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one room that may")]
    pub fn unix_s(&self) -> u64 {
        match &self.0 {
            #[cfg(test)]
            Source::Paused { wall_s, .. } => wall_s.load(Ordering::Relaxed),
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

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// What time it is: seconds since 1970-01-01 UTC. It jumps when somebody sets the clock.
    pub unix_s: u64,
    /// How much has passed: seconds of the machine's monotonic clock.
    pub steady_s: u64,
}

/// What day it is where the schools are: an agreement begins and ends at midnight in Amsterdam.
#[derive(Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// The day of the last hour that was asked for: offsets are whole hours.
    last: Mutex<(u64, Date)>,
}

impl Default for Calendar {
    fn default() -> Self {
        // Central European Time (directive 2000/84/EC), so that no time zone files are needed.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC);
        Self {
            zone,
            last: Mutex::new((u64::MAX, Date::ZERO)),
        }
    }
}

impl Calendar {
    /// The day of a moment in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn day(&self, unix_s: u64) -> Date {
        let hour = unix_s / 3_600;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != hour {
            let second = i64::try_from(unix_s).unwrap_or(i64::MAX);
            let moment = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
            *last = (hour, moment.to_zoned(self.zone.clone()).date());
        }
        last.1
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            #[cfg(test)]
            Source::Paused { .. } => f.write_str("Clock(paused)"),
            Source::System => f.write_str("Clock(system)"),
            Source::Test { .. } => write!(f, "Clock(test, {})", self.unix_s()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl Clock {
        /// The monotonic clock of a runtime whose time is paused. Its wall clock only
        /// [jumps](Self::jump): who waits must not look at it.
        pub(crate) fn paused() -> Self {
            Self(Source::Paused {
                start: paused_now(),
                wall_s: Arc::default(),
            })
        }

        /// Sets the wall clock of a paused one.
        pub(crate) fn jump(&self, unix_s: u64) {
            let Source::Paused { wall_s, .. } = &self.0 else {
                panic!("{self:?} is not paused");
            };
            wall_s.store(unix_s, Ordering::Relaxed);
        }
    }

    pub(super) fn paused_now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Runs something in time that stands still while anything can go on, and then jumps to the
    /// next moment that somebody waits for. What takes days is taken to wait for ever.
    pub(crate) fn in_paused_time<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let days = Duration::from_hours(48);
        let done = runtime
            .unwrap()
            .block_on(async { tokio::time::timeout(days, work).await });
        done.expect("it waits for ever")
    }

    #[test]
    fn a_paused_clock_goes_as_its_runtime_does() {
        in_paused_time(async {
            let clock = Clock::paused();
            let before = clock.now();
            clock.jump(7);
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!(clock.now().duration_since(before).as_secs(), 3_600);
            assert_eq!((clock.unix_s(), clock.monotonic_us()), (7, 3_600_000_000));
        });
    }

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

    #[test]
    fn a_day_begins_at_midnight_in_amsterdam() {
        let calendar = Calendar::default();
        let day = |text: &str| {
            let moment: Timestamp = text.parse().unwrap();
            calendar
                .day(moment.as_second().try_into().unwrap())
                .to_string()
        };
        assert_eq!(day("2027-07-31T21:59:59Z"), "2027-07-31");
        assert_eq!(day("2027-07-31T22:00:00Z"), "2027-08-01");
        assert_eq!(day("2027-12-31T22:59:59Z"), "2027-12-31");
        assert_eq!(day("2027-12-31T23:00:00Z"), "2028-01-01");
        assert_eq!(
            calendar.day(u64::MAX).year(),
            9999,
            "as far as a calendar goes"
        );
    }
}
