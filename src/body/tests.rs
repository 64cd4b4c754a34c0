//! Bodies that come at any pace, in paused time: who pauses no longer than is allowed is read to
//! its end, and who does is given up at that moment. See [`crate::dice`] for how to run a seed that
//! fails again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::*;
use crate::clock::Clock;
use crate::clock::tests::in_paused_time;
use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};

/// Timers go by whole milliseconds.
const SLACK: Duration = Duration::from_millis(2);
const MIB: usize = 1 << 20;

/// A sender with a plan: after each pause so many bytes; the last pause is before the end.
struct Sender {
    plan: Vec<(Duration, usize)>,
    sleep: Pin<Box<Sleep>>,
    /// Given up.
    over: Arc<Facts>,
}

impl Source for Sender {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        if self.plan.is_empty() {
            return Poll::Pending;
        }
        ready!(self.sleep.as_mut().poll(cx));
        let (_, bytes) = self.plan.remove(0);
        match self.plan.first() {
            None => Poll::Ready(None),
            Some((pause, _)) => {
                self.sleep.as_mut().reset(Instant::now() + *pause);
                Poll::Ready(Some(Ok(vec![0; bytes].into())))
            }
        }
    }

    fn give_up(&mut self) {
        self.over.note(&Progress {
            state: State::Failed(Refusal::BodyTimeout),
            ..Progress::default()
        });
    }
}

/// When it has to be given up, if it has to be; `None` if that is too close to tell.
fn due(plan: &[(Duration, usize)], idle: Duration, total: Option<Duration>) -> Option<Verdict> {
    let (mut now, mut received) = (Duration::ZERO, 0);
    for (pause, bytes) in plan {
        let allowed = Duration::from_secs(u64::try_from(received / MIB).unwrap());
        let all = total.map_or(Duration::MAX, |total| total + allowed);
        let due = all.min(now + idle);
        now += *pause;
        match now.abs_diff(due) {
            close if close <= SLACK * 2 => return None,
            _ if now > due => return Some(Verdict::GivenUp(due)),
            _ => received += bytes,
        }
    }
    Some(Verdict::Whole(now))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    GivenUp(Duration),
    Whole(Duration),
}

/// How long it took, and what had to come of it.
async fn day(seed: u64) -> (Duration, Option<Verdict>) {
    let (dice, clock) = (&mut Dice::new(seed), Clock::paused());
    let idle = Duration::from_millis(100 + dice.below(20_000));
    let total = dice
        .happens(60)
        .then(|| Duration::from_millis(100 + dice.below(60_000)));
    let scale = idle * u32::try_from(*dice.pick(&[5, 50, 100, 120])).unwrap() / 100;
    let plan: Vec<_> = (0..=dice.below(20))
        .map(|_| {
            let most = if dice.happens(20) { 3 * MIB } else { 3_000 };
            (dice.up_to(scale), dice.place(most))
        })
        .collect();
    let begun = Instant::now();
    let over = Arc::<Facts>::default();
    let mut sender = Sender {
        sleep: Box::pin(sleep_until(begun + plan[0].0)),
        plan: plan.clone(),
        over: Arc::clone(&over),
    };
    let wait = Wait::new(&clock, idle, Refusal::BodyTimeout);
    let wait = match total {
        Some(total) => wait.within(total),
        None => wait,
    };
    clock.jump(dice.next() >> 30);
    let read = discard(&mut sender, u64::MAX, wait).await;
    let took = begun.elapsed();
    let Some(wanted) = due(&plan, idle, total) else {
        return (took, None);
    };
    let given_up = over.look().state == State::Failed(Refusal::BodyTimeout);
    let (close, result) = match wanted {
        Verdict::GivenUp(at) => (took.abs_diff(at), Err(Refusal::BodyTimeout)),
        Verdict::Whole(at) => (took.abs_diff(at), Ok(())),
    };
    let told = format!("{took:?} {read:?}, not {wanted:?}: {idle:?} {total:?} {plan:?}");
    // Each pause of a plan is a timer of its own.
    let slack = SLACK * u32::try_from(plan.len()).unwrap();
    assert!(close <= slack && read == result, "{told}");
    assert_eq!(given_up, read.is_err(), "the source is told: {told}");
    (took, Some(wanted))
}

fn run(seed: u64) -> (Duration, Option<Verdict>) {
    in_paused_time(day(seed))
}

#[test]
fn five_hundred_days_of_bodies_at_any_pace() {
    run_days(DAYS, run);
}

#[test]
fn one_seed_runs_the_same_way_each_time() {
    assert_repeatable(|seed| format!("{:?}", run(seed)));
}

#[test]
fn the_days_are_bad_enough() {
    let all: Vec<_> = (0..200).filter_map(|seed| run(seed).1).collect();
    let whole = all.iter().filter(|end| matches!(end, Verdict::Whole(_)));
    assert!((50..150).contains(&whole.count()), "{all:?}");
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_bodies_at_any_pace() {
    run_days(LONG_DAYS, run);
}
