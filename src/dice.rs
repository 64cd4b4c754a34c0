//! Days made up from seeds: the one source of chance in the simulations of this house. Only tests
//! have this room.
//!
//! A simulation takes all its chance from [`Dice`] and all its time from a clock of its own, so one
//! seed always runs the same way. `SLUIS_SEED=77` in the environment runs the day of that seed and
//! no other.

#![expect(clippy::arithmetic_side_effects, reason = "numbers below an end")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// So many days in every run of the tests.
pub(crate) const DAYS: u64 = 500;
/// So many in a long run.
pub(crate) const LONG_DAYS: u64 = 10_000;

/// Runs the days of the seeds below `count`, or the one that the environment names, and names the
/// first that fails.
#[expect(clippy::disallowed_methods, reason = "no setting: which day is run")]
pub(crate) fn run_days<T>(count: u64, day: impl Fn(u64) -> T) {
    let one = std::env::var("SLUIS_SEED").map(|seed| seed.parse::<u64>().unwrap());
    run(one.map_or(0..count, |seed| seed..seed + 1), day);
}

/// One seed runs the same way each time, and another in another.
pub(crate) fn assert_repeatable(day: impl Fn(u64) -> String) {
    for seed in [1, 77, 300] {
        assert_eq!(day(seed), day(seed));
    }
    assert_ne!(day(1), day(2));
}

fn run<T>(seeds: Range<u64>, day: impl Fn(u64) -> T) {
    for seed in seeds {
        let ended = catch_unwind(AssertUnwindSafe(|| drop(day(seed))));
        let how = format!("seed {seed}; SLUIS_SEED={seed} runs it alone");
        assert!(ended.is_ok(), "{how}");
    }
}

/// Numbers that a seed gives (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A place or a length below `end`.
    pub(crate) fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).unwrap())).unwrap()
    }

    pub(crate) const fn happens(&mut self, in_hundred: u64) -> bool {
        self.below(100) < in_hundred
    }

    pub(crate) fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.place(of.len())]
    }

    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).unwrap() + 1))
    }
}

#[test]
fn dice_fall_as_splitmix64_has_them() {
    let mut dice = Dice::new(1_234_567);
    let first = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
    ];
    assert_eq!([(); 3].map(|()| dice.next()), first);
}

#[test]
#[should_panic(expected = "seed 3; SLUIS_SEED=3 runs it alone")]
fn a_day_that_fails_is_named() {
    run(0..5, |seed| assert_ne!(seed, 3));
}
