//! What a body asks of the register, and waits for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Turn;
use crate::alarm::{Alarm, after};
use crate::clock::Clock;
use crate::pseudonym::{Batch, Register};
use crate::refusal::Refusal;
use crate::store::{Settling, StoreFault, View};

/// Where the messages of one vendor ask the register, and how long they wait for it there.
#[derive(Clone, Debug)]
pub struct Desk {
    view: Arc<View>,
    clock: Clock,
    most: Duration,
}

impl Desk {
    /// A desk at which nobody waits longer than `most`.
    #[must_use]
    pub fn new(view: Arc<View>, clock: &Clock, most: Duration) -> Self {
        let clock = clock.clone();
        Self { view, clock, most }
    }

    /// What is asked without waiting.
    #[must_use]
    pub fn register(&self) -> Arc<dyn Register> {
        Arc::<View>::clone(&self.view)
    }

    /// [`View::catch_up`], in time.
    pub fn catch_up(&self) -> InTime {
        self.in_time(self.view.catch_up())
    }

    /// [`View::settle`], in time: what is late may be written all the same, and is known then.
    pub fn settle(&self, batch: Batch) -> InTime {
        self.in_time(self.view.settle(batch))
    }

    fn in_time(&self, settling: Settling) -> InTime {
        let alarm = Alarm::at(after(self.clock.now(), self.most));
        InTime { settling, alarm }
    }
}

/// What the register promised, or the refusal of the message that waited for it.
#[derive(Debug)]
#[must_use = "nothing may leave before it has resolved"]
pub struct InTime {
    settling: Settling,
    alarm: Alarm,
}

impl Future for InTime {
    type Output = Result<(), Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match Pin::new(&mut this.settling).poll(cx) {
            Poll::Ready(done) => Poll::Ready(done.map_err(refusal)),
            Poll::Pending => {
                let late = this.alarm.poll(cx);
                late.map(|()| Err(Refusal::RegisterUnavailable))
            }
        }
    }
}

/// Something that is asked of the register, and what the turn comes to once it is done.
pub(super) struct Asked {
    done: InTime,
    what: What,
    then: Turn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Pseudonyms,
    Remember,
}

impl Asked {
    /// That it may have learned of more identifiers meanwhile, from other nodes.
    pub(super) fn for_pseudonyms(desk: &Desk, then: Turn) -> Self {
        Self {
            done: desk.catch_up(),
            what: What::Pseudonyms,
            then,
        }
    }

    /// That these are on disk.
    pub(super) fn to_remember(desk: &Desk, batch: Batch, then: Turn) -> Self {
        Self {
            done: desk.settle(batch),
            what: What::Remember,
            then,
        }
    }

    /// Whether the rewriter waits for it.
    pub(super) fn is_for_pseudonyms(&self) -> bool {
        self.what == What::Pseudonyms
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Refusal>> {
        let done = Pin::new(&mut self.done).poll(cx);
        done.map_ok(|()| self.then)
    }
}

/// Why a message waits outside when the register does not do its part.
const fn refusal(fault: StoreFault) -> Refusal {
    match fault {
        StoreFault::Busy => Refusal::Overloaded,
        StoreFault::Collision => Refusal::PseudonymCollision,
        StoreFault::Damaged | StoreFault::Gone => Refusal::RegisterUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::body::{Body, Held, Passage, Source, Terms, Wait};
    use crate::clock::tests::in_paused_time;
    use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
    use crate::limits::Limits;
    use crate::minimise::{Crossing, Law, Rewriter};
    use crate::policy::{IdKind, Index, Item, Policy, Rule, Side};
    use crate::pseudonym::{Back, Canonical, Generation, KindSpec, Notation, Unknown, VendorKey};
    use crate::refusal::Bug;
    use crate::store::tests::{Stoppable, promised};

    /// Many who wait for a register that keeps its promises late, or never, or breaks them.
    async fn day(dice: &mut Dice, register: &Stoppable) -> String {
        let mut trace = String::new();
        let (clock, most) = (Clock::paused(), dice.up_to(Duration::from_secs(20)));
        let desk = Desk::new(Arc::clone(&register.view), &clock, most);
        for _ in 0..10 {
            let (settling, keep) = promised();
            let (takes, begun) = (dice.up_to(most.saturating_mul(2)), Instant::now());
            let result = *dice.pick(&[Ok(()), Err(StoreFault::Gone), Err(StoreFault::Busy)]);
            let (kept, broken) = (dice.happens(70), dice.happens(50));
            let keeping = async {
                sleep(takes).await;
                match (kept, broken) {
                    (true, _) => keep(result),
                    (false, true) => drop(keep),
                    (false, false) => std::future::pending().await,
                }
                std::future::pending::<()>().await;
            };
            clock.jump(dice.next() >> 30);
            let told = tokio::select! {
                biased;
                told = desk.in_time(settling) => told,
                () = keeping => unreachable!("it waits for ever"),
            };
            let late = Err(Refusal::RegisterUnavailable);
            let (wanted, at) = match (takes < most, kept, broken) {
                (true, true, _) => (result.map_err(refusal), takes),
                (true, false, true) => (late, takes),
                _ => (late, most),
            };
            let took = begun.elapsed();
            let close = Duration::from_millis(2);
            assert!(took.abs_diff(at) <= close, "{took:?}, not {at:?}");
            trace += &format!("{took:?} {told:?}\n");
            if takes.abs_diff(most) > close {
                assert_eq!(told, wanted, "{takes:?} of {most:?}: {kept} {broken}");
            }
        }
        trace
    }

    fn one_day(seed: u64, register: &Stoppable) -> String {
        in_paused_time(day(&mut Dice::new(seed), register))
    }

    fn run(days: u64) {
        let register = Stoppable::open();
        run_days(days, |seed| one_day(seed, &register));
    }

    #[test]
    fn one_seed_runs_the_same_way_each_time() {
        let register = Stoppable::open();
        assert_repeatable(|seed| one_day(seed, &register));
    }

    #[test]
    fn five_hundred_days_of_a_register_that_is_late() {
        run(DAYS);
    }

    #[test]
    #[ignore = "minutes: ten thousand of them"]
    fn long_run_of_a_register_that_is_late() {
        run(LONG_DAYS);
    }

    /// A body that is a pseudonym.
    struct Pseudonym(Option<Bytes>);

    impl Source for Pseudonym {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
            Poll::Ready(self.0.take().map(Ok))
        }
    }

    #[tokio::test]
    async fn a_body_does_not_end_while_it_waits_for_a_register_that_nobody_asks() {
        let register = Stoppable::open();
        let spec = KindSpec {
            name: "pupil".to_owned(),
            canonical: Canonical::default(),
            notation: Notation::Uuid,
            back: Back::SchoolOnly,
            unknown: Unknown::Drop,
            accept_keys: 1,
        };
        let kinds = vec![IdKind {
            name: spec.name.clone(),
            public: false,
        }];
        let law = Arc::new(Law {
            policy: Policy {
                kinds,
                ..Policy::default()
            },
            generations: Arc::new([Generation::new(1, &VendorKey::from([7; 32]), [spec])]),
            limits: Limits::default(),
        });
        let (clock, most) = (Clock::system(), Duration::from_mins(1));
        let desk = Desk::new(Arc::clone(&register.view), &clock, most);
        let rule = Rule::List(Item::Identifier(Index::new(0).unwrap()));
        let read = |register: Option<Desk>| {
            let asked = desk.register();
            let crossing = Crossing::towards(Side::School, Arc::clone(&law), Some(asked));
            let terms = Terms {
                bytes_max: u64::MAX,
                hold_back: u64::MAX,
                wait: Wait::new(&clock, most, Refusal::BodyTimeout),
                facts: Arc::default(),
                held: Held::default(),
                register,
            };
            let body = Pseudonym(Some(r#"["2a960a95-c70e-88af-b483-e26a38758e39"]"#.into()));
            Passage::new(body, Rewriter::new(crossing, rule), terms).prime()
        };
        let Body::Whole(left) = read(Some(desk.clone())).await.unwrap() else {
            panic!("it has ended");
        };
        assert_eq!(left.look(), &b"[]"[..]);
        let bug = Refusal::Bug(Bug::Rewriter);
        assert_eq!(read(None).await.err(), Some(bug));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_that_for_a_disk_that_hangs() {
        let register = Stoppable::open();
        let desk = |most: u64| {
            let most = Duration::from_millis(most);
            Desk::new(Arc::clone(&register.view), &Clock::system(), most)
        };
        let patient = desk(60_000);
        assert_eq!(patient.settle(register.batch("S-1")).await, Ok(()));
        let stopped = register.stop();
        let late = patient.settle(register.batch("S-2"));
        // Beside what another message waits for, and alone.
        for pupil in ["S-2", "S-3"] {
            let waits = desk(20).settle(register.batch(pupil)).await;
            assert_eq!(waits, Err(Refusal::RegisterUnavailable), "{pupil}");
        }
        let known = desk(20).settle(register.batch("S-1")).await;
        assert_eq!(known, Ok(()), "what is known needs no disk");
        assert_eq!(desk(20).catch_up().await, Err(Refusal::RegisterUnavailable));
        drop(stopped);
        assert_eq!(late.await, Ok(()), "what is late is written all the same");
        assert_eq!(patient.settle(register.batch("S-3")).await, Ok(()));
    }
}
