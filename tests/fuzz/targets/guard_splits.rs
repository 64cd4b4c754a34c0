//! Invariant: in whatever pieces bytes come, callers' and upstreams' and of HTTP/2, the guard shows
//! the same of them and finds the same fault.
//!
//! Input: the seed of the pieces (8 bytes), and what comes.

#![no_main]

#[path = "../../guard/oracle/feed.rs"]
mod feed;

use libfuzzer_sys::fuzz_target;
use sluis::guard::{Answers, Expected, Frames, Requests};
use sluis::limits::{Bound, Limits};

fuzz_target!(|input: &[u8]| {
    let Some((seed, sent)) = input.split_first_chunk() else {
        return;
    };
    let seed = u64::from_le_bytes(*seed);
    let mut limits = Limits::default();
    // Small, so that sizes are met.
    for (bound, value) in [
        (Bound::Target, 64),
        (Bound::Head, 1_024),
        (Bound::Header, 256),
        (Bound::H2ControlFrames, 100),
    ] {
        limits.set(bound, value).unwrap();
    }
    feed::in_every_split(|| Requests::new(&limits), sent, seed);
    for expected in [Expected::Body, Expected::HeadOnly] {
        let fresh = || {
            let mut answers = Answers::new(&limits);
            answers.expect(expected);
            answers
        };
        feed::in_every_split(fresh, sent, seed);
    }
    let [paid, ..] = seed.to_le_bytes();
    for of in [Frames::of_caller, Frames::of_upstream] {
        let fresh = || {
            let mut frames = of(&limits);
            frames.sent(paid.into());
            frames
        };
        feed::in_every_split(fresh, sent, seed);
    }
});
