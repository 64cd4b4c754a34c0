//! A deadline that costs nothing until somebody really waits for it.
//!
//! Most waits on a busy gateway are over before they begin: the bytes are there already. A timer is
//! made at the first poll that finds nothing, and moved only when it goes off too early, so that a
//! deadline that moves with every byte costs one comparison a byte.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// A deadline that can be moved, and polled.
#[derive(Debug)]
pub struct Alarm {
    due: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// An alarm for `due`.
    #[must_use]
    pub const fn at(due: Instant) -> Self {
        Self { due, sleep: None }
    }

    /// Moves the deadline.
    #[inline]
    pub const fn set(&mut self, due: Instant) {
        self.due = due;
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = tokio::time::Instant::from_std(self.due);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if due < sleep.deadline() {
            sleep.as_mut().reset(due);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if due <= sleep.deadline() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// `from` and then `by`; a moment beyond what the machine can count is as far as it can.
#[must_use]
pub fn after(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::tests::in_paused_time;
    use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};

    /// An alarm that is moved, looked at and left alone in any order rings when it is due.
    /// Gives when it was looked at, and whether it rang.
    async fn day(dice: &mut Dice) -> String {
        let (clock, most) = (Clock::paused(), Duration::from_secs(60));
        let (begun, mut trace) = (clock.now(), String::new());
        let close = Duration::from_millis(2);
        let mut due = after(clock.now(), dice.up_to(most));
        let mut alarm = Alarm::at(due);
        for _ in 0..40 {
            match dice.below(3) {
                0 => {
                    due = after(clock.now(), dice.up_to(most));
                    alarm.set(due);
                }
                1 => tokio::time::sleep(dice.up_to(most)).await,
                _ => {
                    let is_due = clock.now() >= after(due, close);
                    let is_early = after(clock.now(), close) <= due;
                    let rang = rings(&mut alarm);
                    assert!((rang || !is_due) && !(rang && is_early));
                    let at = clock.now().duration_since(begun);
                    trace += &format!("{at:?} {rang}\n");
                }
            }
        }
        let late = clock.now().saturating_duration_since(due);
        rung(&mut alarm).await;
        let late_now = clock.now().saturating_duration_since(due);
        assert!(late_now <= late.max(close), "{late_now:?}");
        assert!(after(clock.now(), close) >= due, "too early");
        format!("{trace}{:?}", clock.now().duration_since(begun))
    }

    fn run(seed: u64) -> String {
        in_paused_time(day(&mut Dice::new(seed)))
    }

    #[test]
    fn one_seed_runs_the_same_way_each_time() {
        assert_repeatable(run);
    }

    #[test]
    fn five_hundred_alarms_that_are_moved() {
        run_days(DAYS, run);
    }

    #[test]
    #[ignore = "minutes: ten thousand of them"]
    fn long_run_of_alarms_that_are_moved() {
        run_days(LONG_DAYS, run);
    }

    /// Polls once with a waker that does nothing.
    fn rings(alarm: &mut Alarm) -> bool {
        alarm
            .poll(&mut Context::from_waker(std::task::Waker::noop()))
            .is_ready()
    }

    async fn rung(alarm: &mut Alarm) -> Duration {
        let begun = tokio::time::Instant::now();
        std::future::poll_fn(|cx| alarm.poll(cx)).await;
        begun.elapsed()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn an_alarm_rings_when_it_is_due_and_not_before() {
        block_on(async {
            let now = tokio::time::Instant::now().into_std();
            let mut alarm = Alarm::at(after(now, Duration::from_millis(30)));
            assert!(!rings(&mut alarm));
            assert!(rung(&mut alarm).await >= Duration::from_millis(29));
            assert!(rings(&mut alarm), "and goes on ringing");
        });
    }

    #[test]
    fn a_deadline_can_be_moved_both_ways() {
        block_on(async {
            let now = tokio::time::Instant::now().into_std();
            let mut alarm = Alarm::at(after(now, Duration::from_millis(10)));
            assert!(!rings(&mut alarm));
            alarm.set(after(now, Duration::from_millis(60)));
            assert!(rung(&mut alarm).await >= Duration::from_millis(49), "later");
            let mut alarm = Alarm::at(after(now, Duration::from_secs(3_600)));
            assert!(!rings(&mut alarm));
            alarm.set(now);
            assert!(rings(&mut alarm), "sooner");
        });
    }
}
