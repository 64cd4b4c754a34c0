//! A working day with everything in it, for as long as one likes: nothing piles up.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::callers::{Caller, Crowd, Manner, assert_served, get, post};
use super::peers::{Peer, Plan, Vendors, metric, ours};
use super::{row, seconds};
use crate::gateway::{PATIENCE, status, until};
use crate::ways::Line;

/// What all days together may leave behind, in KiB.
const MOST: u64 = 8 << 10;

/// What is there when nobody asks for anything.
#[derive(Debug)]
struct Rest {
    memory: u64,
    descriptors: usize,
}

fn at_rest(peer: &Peer) -> Rest {
    let gateway = peer.gateway().unwrap();
    let rest = || {
        let quiet = metric(gateway, "sluis_connections_open") == 0;
        let descriptors = metric(gateway, "sluis_process_open_fds");
        quiet.then_some(descriptors)
    };
    // Connections to vendors are let go when they have been idle for a second.
    let mut least = until(rest).expect("connections stay open");
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE / 8 {
        thread::sleep(PATIENCE / 100);
        least = least.min(rest().unwrap_or(least));
    }
    Rest {
        memory: peer.memory(),
        descriptors: least,
    }
}

/// Everything at once for so long: honest callers of both vendors on connections that they keep or
/// do not, answers that are cut, callers that go away and some that are slow. Gives how many
/// requests were answered as they must be.
fn day(peer: &Peer, time: Duration) -> usize {
    let (over, right) = (AtomicBool::new(false), AtomicUsize::new(0));
    let go_on = || !over.load(Ordering::Relaxed);
    let address = peer.address;
    let honest = || {
        while go_on() {
            let mut caller = Caller::new(address);
            for _ in 0..50 {
                assert_served(&caller.ask(&get(address, "/bron/pupils")));
                assert_served(&caller.ask(&get(address, "/dumb/pupils")));
                let taken = caller.ask(&post(address, "/bron/results"));
                assert!(taken.ends_with("{\"taken\":true}"), "{taken}");
                right.fetch_add(3, Ordering::Relaxed);
            }
        }
    };
    let cut = || {
        while go_on() {
            let answer = Caller::new(address).ask(&get(address, "/dumb/cut"));
            assert_eq!(status(&answer), 502, "{answer}");
            right.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
    };
    let gone = || {
        while go_on() {
            for path in ["/bron/many", "/bron/pupils", "/bron/stuck"] {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(get(address, path).as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        }
    };
    let slow = || {
        while go_on() {
            let mut crowds = [Manner::Heads, Manner::Bodies, Manner::Readers]
                .map(|manner| Crowd::gather(&Line::plain(address), manner, 5));
            let begun = Instant::now();
            while go_on() && begun.elapsed() < Duration::from_secs(3) {
                crowds.iter_mut().for_each(Crowd::go_on);
                thread::sleep(super::callers::PAUSE);
            }
        }
    };
    thread::scope(|scope| {
        let mut all = vec![scope.spawn(honest), scope.spawn(honest)];
        all.extend([scope.spawn(cut), scope.spawn(gone), scope.spawn(slow)]);
        let begun = Instant::now();
        while begun.elapsed() < time && all.iter().all(|it| !it.is_finished()) {
            thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Ordering::Relaxed);
        all.into_iter().for_each(|it| it.join().unwrap());
    });
    right.into_inner()
}

fn soak(time: Duration) {
    let vendors = Vendors::open();
    let plan = Plan {
        seconds: 2,
        limits: "upstream-idle = \"1s\"\nupstream-circuit-failures = 1000\n",
        ..Plan::default()
    };
    let peer = ours(&plan, &vendors);
    // What is made once and kept is made by then: after a second it is not on a busy machine.
    day(&peer, (time / 6).max(Duration::from_secs(4)));
    let before = at_rest(&peer);
    let right = day(&peer, time);
    let after = at_rest(&peer);
    let memory = |rest: &Rest| format!("{} KiB", rest.memory);
    row(&[
        &seconds(time),
        &format!("{right} right"),
        &memory(&before),
        &memory(&after),
        &format!(
            "{} and {} descriptors",
            before.descriptors, after.descriptors
        ),
    ]);
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.memory <= before.memory + MOST, "{before:?} {after:?}");
}

#[test]
fn a_short_day_leaves_nothing_behind() {
    soak(Duration::from_secs(4));
}

#[test]
#[ignore = "a minute: make test"]
fn long_soak_of_a_minute_leaves_nothing_behind() {
    soak(Duration::from_secs(60));
}

#[test]
#[ignore = "an hour: make soak"]
fn long_soak_of_an_hour_leaves_nothing_behind() {
    soak(Duration::from_secs(3_600));
}
