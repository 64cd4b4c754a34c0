//! Connections over HTTP/2 to an upstream that are kept: for how long they are used again, what is
//! learnt from those that close or break, and how many exchanges share one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use sluis::clock::Clock;
use tokio::sync::watch;

use crate::h2_out::{Then, USER, end, frames_then, get, house, planned, proper, whole};
use crate::h2_out_resets::by_hand;
use crate::harness::{House, Plans, Upstream};
use crate::wire::h2::{END_STREAM, HEADERS};

/// As many exchanges as share a connection.
const MOST: usize = 100;

/// A house whose clock stands still.
fn in_our_time(upstream: Upstream, pem: &str, limits: &str) -> House {
    let (plans, folder) = planned(&upstream, pem, limits, "");
    let plans = Plans {
        clock: Clock::test(1_800_000_000),
        ..plans
    };
    plans.open_in(folder, upstream)
}

/// Asks after each pause; how many connections there were by then.
fn connections_after(house: &House, pauses: &[u64]) -> Vec<usize> {
    let ask = |pause: &u64| {
        house.clock.turn(Duration::from_secs(*pause));
        assert_eq!(house.ask(get()).status(), 200);
        house.upstream.connections()
    };
    pauses.iter().map(ask).collect()
}

fn count(house: &House, outcome: &str, count: u64) -> bool {
    let name = "sluis_upstream_connections_total";
    let line = format!("{name}{{outcome=\"{outcome}\",vendor=\"bron\"}} {count}\n");
    house.metrics().contains(&line)
}

#[test]
fn a_shared_connection_is_not_used_again_once_it_was_idle_for_too_long() {
    let (upstream, pem, _) = frames_then(|at, _| (whole(at, USER), Then::GoOn));
    let house = in_our_time(upstream, &pem, "upstream-idle = \"10s\"");
    // From the last exchange on, and not from the first.
    let seen = connections_after(&house, &[0, 9, 9, 10, 9, 11]);
    assert_eq!(seen, [1, 1, 1, 2, 2, 3]);
    end(&house);
}

#[test]
fn an_age_at_which_a_shared_connection_was_closed_is_kept_away_from() {
    let (upstream, pem, _) = frames_then(|at, number| match number {
        0 => (whole(at, USER), Then::Close),
        _ => (whole(at, USER), Then::GoOn),
    });
    let house = in_our_time(upstream, &pem, "upstream-idle-floor = \"2s\"");
    assert_eq!(connections_after(&house, &[0]), [1]);
    // It is looked after.
    house.await_metric("outcome=\"closed\",vendor=\"bron\"} 1\n");
    assert_eq!(
        connections_after(&house, &[0, 0, 0]),
        [2, 3, 4],
        "none is used twice"
    );
    house.redeploy();
    assert_eq!(
        connections_after(&house, &[0, 0]),
        [5, 5],
        "a reload forgets"
    );
    end(&house);
}

#[test]
fn an_age_at_which_a_shared_connection_broke_is_kept_away_from() {
    let (upstream, pem, requests) = frames_then(|at, number| match number {
        1 => (Vec::new(), Then::Close),
        _ => (whole(at, USER), Then::GoOn),
    });
    let house = in_our_time(upstream, &pem, "");
    // The second breaks, and is sent once more.
    assert_eq!(connections_after(&house, &[0, 20]), [1, 2]);
    assert_eq!(requests.load(Ordering::SeqCst), 3);
    assert!(count(&house, "stale", 1), "{}", house.metrics());
    // Up to eight tenths of that.
    assert_eq!(connections_after(&house, &[15, 15, 16]), [2, 2, 3]);
    end(&house);
}

#[test]
fn one_exchange_more_than_share_a_connection_opens_another() {
    let came = Arc::new(watch::Sender::new(0));
    let theirs = Arc::clone(&came);
    let (upstream, pem) = proper(move |_| {
        let came = Arc::clone(&theirs);
        async move {
            came.send_modify(|came| *came += 1);
            // Answered when all are there.
            drop(came.subscribe().wait_for(|came| *came > MOST).await);
            let answer = Response::builder().header("content-type", "application/json");
            answer.body(Full::new(Bytes::from(USER))).unwrap()
        }
    });
    let house = house(upstream, &pem, "", "");
    let mut callers = Vec::new();
    for number in 0..=MOST {
        let before = if number < MOST { 1 } else { 2 };
        let mut caller = house.caller();
        caller.send(get());
        callers.push(caller);
        let begun = Instant::now();
        while *came.borrow() <= number {
            assert!(begun.elapsed() < Duration::from_secs(5), "{number}");
            std::thread::yield_now();
        }
        assert_eq!(house.upstream.connections(), before, "{number}");
    }
    for mut caller in callers {
        assert_eq!(caller.answer().json()["grade"], 7);
    }
    end(&house);
}

#[test]
fn an_upstream_that_takes_one_request_at_a_time_gets_them_one_by_one() {
    // SETTINGS_MAX_CONCURRENT_STREAMS.
    let (upstream, pem, hand) = by_hand(&[0, 3, 0, 0, 0, 1]);
    let house = house(upstream, &pem, "", "");
    // Once this is answered, we know that it takes one.
    let mut first = house.caller();
    first.send(get());
    let at = hand.await_frame(HEADERS, END_STREAM).2;
    hand.say.send(whole(at, USER)).unwrap();
    assert_eq!(first.answer().status(), 200);
    let mut callers: Vec<_> = (0..3).map(|_| house.caller()).collect();
    for caller in &mut callers {
        caller.send(get());
    }
    house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 3\n");
    for _ in 0..3 {
        let at = hand.await_frame(HEADERS, END_STREAM).2;
        hand.say.send(whole(at, USER)).unwrap();
    }
    for caller in &mut callers {
        assert_eq!(caller.answer().json()["grade"], 7);
    }
    assert_eq!(house.upstream.connections(), 1);
    end(&house);
}
