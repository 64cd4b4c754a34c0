//! No more descriptors, no more places for requests: refused at once, and over when they are back.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::callers::{Caller, Waits, assert_served, get};
use super::peers::{Peer, Plan, Vendors, all, metric, ours};
use super::{ms, row};
use crate::gateway::{status, until};

/// How many files a proxy may have open: enough to start and to serve some.
const FILES: usize = 80;

fn plan() -> Plan {
    Plan {
        seconds: 60,
        files: Some(FILES),
        ..Plan::default()
    }
}

/// The share of a core that is used while there are no descriptors for those who wait, and how
/// long it takes until somebody is served when they go.
fn out_of_descriptors(peer: &Peer, time: Duration) -> (f64, Duration) {
    let waiting: Vec<TcpStream> = (0..4 * FILES)
        .map(|_| TcpStream::connect(peer.address).unwrap())
        .collect();
    // Those that it can take have been taken by then.
    thread::sleep(Duration::from_millis(300));
    let before = peer.cpu();
    thread::sleep(time);
    let used = peer.cpu().saturating_sub(before);
    assert!(peer.lives(), "{} ended", peer.name);
    drop(waiting);
    let begun = Instant::now();
    let request = get(peer.address, "/bron/pupils");
    let served = until(|| {
        let answer = Caller::new(peer.address).ask(&request);
        (status(&answer) == 200).then_some(())
    });
    assert!(served.is_some(), "{} does not recover", peer.name);
    (used.as_secs_f64() / time.as_secs_f64(), begun.elapsed())
}

#[test]
fn without_descriptors_it_waits_and_recovers() {
    let vendors = Vendors::open();
    let peer = ours(&plan(), &vendors);
    let (share, _) = out_of_descriptors(&peer, Duration::from_secs(2));
    // A loop that asks again and again takes a whole core.
    assert!(share < 0.3, "{share} of a core");
    let gateway = peer.gateway().unwrap();
    let refused = metric(
        gateway,
        r#"sluis_connections_refused_total{reason="files"}"#,
    );
    assert!(refused > 0, "there were descriptors for all");
}

#[test]
#[ignore = "the figures of docs/reliability.md"]
fn long_figures_without_descriptors_beside_other_proxies() {
    let vendors = Vendors::open();
    row(&["", "share of a core", "served again after"]);
    for peer in all(&plan(), &vendors) {
        let (share, again) = out_of_descriptors(&peer, Duration::from_secs(10));
        row(&[peer.name, &format!("{:.1} %", share * 100.0), &ms(again)]);
        assert!(share < 0.05 || peer.gateway().is_none());
    }
}

/// Asks so many times for more than there are places, and gives how long each refusal took.
fn refused(peer: &Peer, path: &str, count: usize) -> Waits {
    let mut caller = Caller::new(peer.address);
    let request = get(peer.address, path);
    let ask = |_| {
        let begun = Instant::now();
        let answer = caller.ask(&request);
        assert_eq!(status(&answer), 503, "{answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("\"overloaded\""), "{answer}");
        if answer.contains("\r\nconnection: close\r\n") {
            caller = Caller::new(peer.address);
        }
        begun.elapsed()
    };
    Waits::new((0..count).map(ask).collect())
}

/// More requests than places, for one vendor or for all; gives how long refusals took.
fn overload(limits: &'static str, path: &str, count: usize) -> Waits {
    let vendors = Vendors::open();
    let plan = Plan {
        seconds: 60,
        limits,
        ..Plan::default()
    };
    let peer = ours(&plan, &vendors);
    let gated = get(peer.address, "/bron/gated");
    let ask = || Caller::new(peer.address).ask(&gated);
    thread::scope(|scope| {
        let inside = [(); 8].map(|()| scope.spawn(ask));
        until(|| (vendors.bron.waiting() == 8).then_some(())).unwrap();
        let before = peer.memory();
        let waits = refused(&peer, path, count);
        let grown = peer.memory().saturating_sub(before);
        assert!(grown < 8 << 10, "{grown} KiB more");
        assert_eq!(vendors.bron.waiting(), 8, "another one went through");
        if limits == FOR_A_VENDOR {
            let other = get(peer.address, "/dumb/pupils");
            assert_served(&Caller::new(peer.address).ask(&other));
        }
        vendors.bron.let_through();
        for answer in inside.map(|it| it.join().unwrap()) {
            assert_served(&answer);
        }
        let after = until(|| {
            let answer = ask();
            (status(&answer) == 200).then_some(())
        });
        assert!(after.is_some(), "it does not recover");
        waits
    })
}

const FOR_A_VENDOR: &str = "requests-per-vendor = 8\n";
const FOR_ALL: &str = "requests = 8\n";

#[test]
fn beyond_the_places_of_all_or_of_a_vendor_requests_are_refused_at_once() {
    overload(FOR_ALL, "/bron/pupils", 500);
    overload(FOR_A_VENDOR, "/bron/pupils", 500);
}

#[test]
#[ignore = "the figures of docs/reliability.md"]
fn long_figures_of_overload() {
    row(&[
        "20,000 requests beyond",
        "99 in 100 refused within",
        "all within",
    ]);
    for (what, limits) in [
        ("`requests`", FOR_ALL),
        ("`requests-per-vendor`", FOR_A_VENDOR),
    ] {
        let waits = overload(limits, "/bron/pupils", 20_000);
        row(&[what, &ms(waits.within(99)), &ms(waits.longest())]);
    }
}
