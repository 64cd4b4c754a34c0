//! Slow callers and stuck vendors: cut in time, at nobody else's cost.

use std::thread;
use std::time::{Duration, Instant};

use super::callers::{Caller, Crowd, Manner, PAUSE, Waits, get, meanwhile, undisturbed};
use super::peers::{Peer, Plan, Vendors, all, ours};
use super::{ms, row, seconds};
use crate::gateway::status;
use crate::ways::Line;

/// No proxy that cuts at all takes longer.
const NEVER: Duration = Duration::from_secs(15);
/// How long callers are measured who are not disturbed.
const CALM: Duration = Duration::from_secs(4);

/// How long it took until next to none of a crowd was connected any more; `None` if they stay.
fn cut_after(peer: &Peer, manner: Manner, count: usize) -> Option<Duration> {
    let before = peer.open();
    let mut crowd = Crowd::gather(&Line::plain(peer.address), manner, count);
    let begun = Instant::now();
    while begun.elapsed() < NEVER {
        crowd.go_on();
        thread::sleep(PAUSE);
        // A pool of connections to vendors may have grown by some.
        if peer.open() <= before + count / 10 {
            return Some(begun.elapsed());
        }
    }
    None
}

#[test]
fn crowds_of_slow_callers_are_cut_while_others_are_served() {
    let vendors = Vendors::open();
    let plan = Plan {
        seconds: 1,
        ..Plan::default()
    };
    let peer = ours(&plan, &vendors);
    for manner in [Manner::Heads, Manner::Bodies, Manner::Readers] {
        let (waits, cut) = meanwhile(peer.address, || cut_after(&peer, manner, 30));
        assert!(cut.is_some(), "{manner:?} stay");
        assert!(waits.longest() < NEVER, "{manner:?}: {:?}", waits.longest());
    }
}

/// Has so many callers ask a vendor that never answers; how long they waited for a 504.
fn stuck(peer: &Peer, count: usize) -> Waits {
    let request = get(peer.address, "/dumb/stuck");
    let wait = || {
        let mut caller = Caller::new(peer.address);
        let begun = Instant::now();
        let answer = caller.ask(&request);
        assert_eq!(status(&answer), 504, "{}: {answer}", peer.name);
        begun.elapsed()
    };
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..count).map(|_| scope.spawn(wait)).collect();
        Waits::new(waiting.into_iter().map(|it| it.join().unwrap()).collect())
    })
}

#[test]
fn a_vendor_that_is_stuck_costs_its_own_callers_no_more_than_its_time_and_others_nothing() {
    let vendors = Vendors::open();
    let plan = Plan {
        seconds: 1,
        ..Plan::default()
    };
    let peer = ours(&plan, &vendors);
    let (others, stuck) = meanwhile(peer.address, || stuck(&peer, 50));
    assert!(stuck.within(0) >= Duration::from_secs(1));
    assert!(stuck.longest() < NEVER, "{:?}", stuck.longest());
    assert!(others.longest() < NEVER, "{:?}", others.longest());
}

#[test]
#[ignore = "two minutes: the figures of docs/reliability.md"]
fn long_figures_of_slow_peers_beside_other_proxies() {
    let vendors = Vendors::open();
    let plan = Plan {
        seconds: 2,
        ..Plan::default()
    };
    row(&["", "", "cut after", "99 in 100 of others", "undisturbed"]);
    for peer in all(&plan, &vendors) {
        undisturbed(peer.address, CALM / 4);
        let calm = ms(undisturbed(peer.address, CALM).within(99));
        for manner in [Manner::Heads, Manner::Bodies, Manner::Readers] {
            let (waits, cut) = meanwhile(peer.address, || cut_after(&peer, manner, 200));
            let cut_in_words = cut.map_or_else(|| format!("not in {}", seconds(NEVER)), seconds);
            let what = format!("200 {manner:?}");
            row(&[
                peer.name,
                &what,
                &cut_in_words,
                &ms(waits.within(99)),
                &calm,
            ]);
            assert!(cut.is_some() || peer.gateway().is_none(), "{manner:?}");
        }
        let (waits, stuck) = meanwhile(peer.address, || stuck(&peer, 50));
        let all = format!(
            "504 after {} to {}",
            seconds(stuck.within(0)),
            seconds(stuck.longest())
        );
        row(&[
            peer.name,
            "50 at a stuck vendor",
            &all,
            &ms(waits.within(99)),
            &calm,
        ]);
    }
}
