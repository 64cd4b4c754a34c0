//! Connections over HTTP/1.1 that are silent for so long that their server is let go, and speak
//! then: nobody can tell.

use std::time::Duration;

use super::grammar::{BODY, next, numbered, push};
use super::vendor::{Seen, Step, Vendor};
use super::{FIRST, PATIENCE, at_once, markers, right_answer};
use crate::harness::tls::Hello;
use crate::harness::{House, Peer, Plans};

/// Longer than it takes until a silent connection is at rest.
const SILENCE: Duration = Duration::from_millis(400);
/// What the vendor thinks about for as long.
const SLOW: u32 = FIRST + 90;

fn be_silent() {
    std::thread::sleep(SILENCE);
}

fn pull(number: u32) -> Vec<u8> {
    numbered(next().replace("MMMMM", "NNNNN").as_bytes(), number)
}

fn open(limits: &str, plans: Plans) -> (House, Vendor) {
    let (vendor, upstream) = Vendor::answering(|seen: &Seen| {
        let wait = Step::Wait(match seen.number() {
            Some(SLOW) => SILENCE,
            _ => Duration::ZERO,
        });
        [vec![wait], right_answer(seen)].concat()
    });
    let limits = limits.to_owned();
    (Plans { limits, ..plans }.open(upstream), vendor)
}

/// In plain, and over TLS.
fn both() -> [Plans; 2] {
    [false, true].map(|tls| Plans {
        tls,
        ..Plans::default()
    })
}

fn caller(house: &House) -> Peer {
    match house.folder.path().join("server.pem").exists() {
        true => Hello::default().connect(house).unwrap(),
        false => house.caller(),
    }
}

fn assert_pulled(caller: &mut Peer, number: u32) {
    let answer = caller.answer();
    let right = format!(r#"{{"users":[{{"grade":{number}}}]}}"#);
    assert_eq!((answer.status(), answer.text()), (200, &*right));
}

/// Every way to speak after a silence, one after the other on one connection.
fn speak_now_and_then(caller: &mut Peer) {
    for number in [FIRST, FIRST + 1] {
        be_silent();
        caller.send(pull(number));
        assert_pulled(caller, number);
    }
    be_silent();
    // Two at once, and a silence in the middle of the third.
    let three = [2, 3, 4].map(|nth| pull(FIRST + nth)).concat();
    let (now, later) = three.split_at(three.len() - 30);
    caller.send(now);
    assert_pulled(caller, FIRST + 2);
    assert_pulled(caller, FIRST + 3);
    be_silent();
    caller.send(later);
    assert_pulled(caller, FIRST + 4);
    be_silent();
    // One byte, and a silence before the rest of it.
    let (now, later) = three.split_at(1);
    caller.send(now);
    be_silent();
    caller.send(later);
    for nth in [2, 3, 4] {
        assert_pulled(caller, FIRST + nth);
    }
    // A silence in the middle of a body, and one of the vendor's.
    let body = numbered(BODY.as_bytes(), FIRST + 5);
    caller.send(push(&format!("content-length: {}\r\n", body.len()), ""));
    let (now, later) = body.split_at(10);
    caller.send(now);
    be_silent();
    caller.send(later);
    let answer = caller.answer();
    let right = format!(r#"{{"id":"r-{}"}}"#, FIRST + 5);
    assert_eq!((answer.status(), answer.text()), (200, &*right));
    caller.send(pull(SLOW));
    assert_pulled(caller, SLOW);
    // Nothing that came with it is lost.
    caller.send([pull(SLOW), pull(FIRST + 6)].concat());
    assert_pulled(caller, SLOW);
    assert_pulled(caller, FIRST + 6);
}

#[test]
fn who_was_silent_for_long_is_served_as_before() {
    at_once(both().into_iter(), |plans| {
        let (mut house, vendor) = open("", plans);
        let mut speaking = caller(&house);
        speak_now_and_then(&mut speaking);
        assert_eq!(vendor.seen_of(SLOW).len(), 2);
        be_silent();
        // A drain does not wait for who is at rest.
        house.drain();
        assert!(speaking.is_closed());
        assert!(house.closed_within(PATIENCE));
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    });
}

#[test]
fn who_is_silent_for_too_long_is_let_go_also_at_rest() {
    at_once(both().into_iter(), |plans| {
        let (house, vendor) = open("keep-alive-idle = \"1s\"", plans);
        let begun = std::time::Instant::now();
        let (mut silent, mut served) = (caller(&house), caller(&house));
        served.send(pull(FIRST));
        assert_pulled(&mut served, FIRST);
        assert!(silent.is_closed() && served.is_closed());
        assert!(begun.elapsed() >= Duration::from_millis(990));
        house.await_metric("sluis_connections_closed_total{reason=\"idle\"} 2\n");
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    });
}

#[test]
fn who_closes_at_rest_is_gone() {
    at_once(both().into_iter(), |plans| {
        let (house, vendor) = open("", plans);
        let (mut closing, resetting) = (caller(&house), caller(&house));
        closing.send(pull(FIRST));
        assert_pulled(&mut closing, FIRST);
        be_silent();
        drop(closing);
        resetting.reset();
        house.await_metric("sluis_connections_open 0\n");
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    });
}
