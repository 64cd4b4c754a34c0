//! Frames of HTTP/2: how many may come that carry nothing of a request.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sluis::guard::{Fault, Frames, Reader as _};
use sluis::limits::{Bound, Limits};

use crate::oracle::feed::in_every_split;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, length: u32) -> Vec<u8> {
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, 0, 0, 0, 0, 1]);
    // What looks like the head of a frame and is none.
    frame.extend((0..length).map(|at| u8::try_from(at % 7).unwrap()));
    frame
}

fn reader(budget: u64) -> Frames {
    let mut limits = Limits::default();
    limits.set(Bound::H2ControlFrames, budget).unwrap();
    Frames::of_caller(&limits)
}

/// How many of these frames are let through.
fn taken(frames: &mut Frames, kind: u8, most: usize) -> usize {
    let one = frame(kind, 8);
    let take = |_: &usize| {
        let look = frames.look(&one);
        assert!([0, one.len()].contains(&look.shown), "a part is shown");
        look.fault.is_none()
    };
    (0..most).take_while(take).count()
}

/// A connection whose preface has come, at that moment.
fn begun(now: Instant) -> Frames {
    let mut frames = reader(100);
    frames.at(now);
    assert_eq!(frames.look(PREFACE).shown, PREFACE.len());
    frames
}

fn moment() -> Instant {
    sluis::clock::Clock::test(0).now()
}

#[test]
fn what_belongs_to_a_request_is_not_counted_and_all_else_is() {
    for kind in 0..=u8::MAX {
        let mut frames = begun(moment());
        let is_counted = ![DATA, HEADERS, CONTINUATION].contains(&kind);
        let expected = if is_counted { 100 } else { 1_000 };
        assert_eq!(taken(&mut frames, kind, 1_000), expected, "kind {kind}");
    }
}

#[test]
fn an_upstream_begins_with_a_frame() {
    let mut limits = Limits::default();
    limits.set(Bound::H2ControlFrames, 100).unwrap();
    let mut frames = Frames::of_upstream(&limits);
    frames.at(moment());
    assert_eq!(taken(&mut frames, PING, 1_000), 100);
}

#[test]
fn answers_may_be_many_and_informational_ones_only_as_many_as_other_frames() {
    let mut limits = Limits::default();
    limits.set(Bound::H2ControlFrames, 100).unwrap();
    let begun = || {
        let mut frames = Frames::of_upstream(&limits);
        frames.at(moment());
        frames
    };
    let last = |kind| {
        let mut frame = frame(kind, 8);
        frame[4] = 1;
        frame
    };
    // An end without a beginning is worth nothing.
    let mut frames = begun();
    (0..500).for_each(|_| assert_eq!(frames.look(&last(DATA)).fault, None));
    assert_eq!(taken(&mut frames, HEADERS, 1_000), 100);
    for end in [DATA, HEADERS] {
        let mut frames = begun();
        for _ in 0..1_000 {
            assert_eq!(taken(&mut frames, HEADERS, 1), 1);
            assert_eq!(taken(&mut frames, DATA, 3), 3);
            assert_eq!(frames.look(&last(end)).fault, None);
        }
        // Ninety answers at once, and what is left.
        assert_eq!(taken(&mut frames, HEADERS, 90), 90);
        assert_eq!(taken(&mut frames, PING, 1_000), 10);
    }
}

#[test]
fn a_budget_lasts_for_its_window_and_is_whole_again_after_it() {
    let start = moment();
    let mut frames = begun(start);
    let almost = Duration::from_millis(9_999);
    assert_eq!(taken(&mut frames, PING, 99), 99);
    frames.at(start + almost);
    assert_eq!(taken(&mut frames, PING, 1), 1);
    frames.at(start + Duration::from_secs(10));
    assert_eq!(taken(&mut frames, PING, 1_000), 100);
    frames.at(start + Duration::from_mins(1));
    assert_eq!(taken(&mut frames, PING, 1), 0, "a fault is for ever");
    // What was left of one is not added to the next.
    let mut frames = begun(start);
    frames.at(start + Duration::from_hours(1));
    assert_eq!(taken(&mut frames, PING, 1_000), 100);
    // A window of a second.
    let mut limits = Limits::default();
    limits.set(Bound::H2ControlFrames, 100).unwrap();
    limits.set(Bound::H2ControlWindow, 1_000).unwrap();
    let mut frames = Frames::of_caller(&limits);
    frames.at(start);
    assert_eq!(frames.look(PREFACE).shown, PREFACE.len());
    assert_eq!(taken(&mut frames, PING, 100), 100);
    frames.at(start + Duration::from_secs(1));
    assert_eq!(taken(&mut frames, PING, 1_000), 100);
}

#[test]
fn what_is_sent_pays_for_what_acknowledges_it_but_not_for_more() {
    // Two for the smallest pieces of an answer, with their own heads.
    let mut frames = begun(moment());
    for _ in 0..10_000 {
        frames.sent(50);
        assert_eq!(taken(&mut frames, 8, 2), 2);
    }
    // What answers PING, SETTINGS or a window of one byte does not pay for the next.
    for (length, most) in [(17, 350), (9, 170), (10, 180)] {
        let mut frames = begun(moment());
        let take = |_: &usize| {
            let taken = taken(&mut frames, PING, 1) == 1;
            frames.sent(length);
            taken
        };
        let count = (0..10_000).take_while(take).count();
        assert!((100..most).contains(&count), "{count} for {length} bytes");
    }
    // However much was sent, only so much is saved.
    let mut frames = begun(moment());
    frames.sent(1 << 30);
    frames.sent(usize::MAX);
    assert_eq!(taken(&mut frames, PING, 10_000), 1_100);
}

proptest! {
    #[test]
    fn in_every_split_the_same_frame_is_one_too_many(
        frames in proptest::collection::vec((0_u8..12, 0_u32..40), 0..300),
        seed: u64,
    ) {
        let all: Vec<u8> = frames.iter().flat_map(|(kind, length)| frame(*kind, *length)).collect();
        let fed = in_every_split(|| reader(100), &[PREFACE, &all].concat(), seed);
        let mut left = 100;
        let over = frames.iter().position(|(kind, _)| {
            let costs = usize::from(![DATA, HEADERS, CONTINUATION].contains(kind));
            let over = costs > left;
            left = left.saturating_sub(costs);
            over
        });
        let good = frames.iter().take(over.unwrap_or(frames.len()));
        let length: usize = good.map(|(_, length)| 9 + usize::try_from(*length).unwrap()).sum();
        prop_assert_eq!(fed.shown.len(), PREFACE.len() + length);
        prop_assert_eq!(fed.fault, over.map(|_| Fault::Flood));
    }
}
