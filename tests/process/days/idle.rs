//! Connections that say nothing, or nothing any more, as many as there may be.

use std::time::Duration;

use super::callers::{Caller, Waits, assert_served, get, honest_on};
use super::peers::{Peer, Plan, Vendors, all, ours};
use super::{ms, row};

/// Nobody is let go meanwhile.
fn plans() -> [Plan; 2] {
    [false, true].map(|tls| Plan {
        seconds: 300,
        tls,
        ..Plan::default()
    })
}

/// Longer than it takes until a silent connection is at rest.
const SILENCE: Duration = Duration::from_secs(1);

/// What was said on a connection before it is silent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Request,
}

/// KiB that each of so many silent connections takes, beside so many others that were silent before,
/// and how long others wait meanwhile.
fn silence(peer: &Peer, plan: &Plan, said: Said, (count, earlier): (u32, u32)) -> (f64, Waits) {
    let trusting = plan.tls.then(|| peer.trusting());
    let connect = || match &trusting {
        Some(trusting) => Caller::over(peer.address, trusting),
        None => Caller::new(peer.address),
    };
    let ask = |times: usize| {
        let asked = std::cell::Cell::new(0);
        honest_on(connect(), peer.address, || {
            asked.set(asked.get() + 1);
            asked.get() <= times
        })
    };
    let begin = |_| {
        let mut caller = connect();
        if said == Said::Request {
            assert_served(&caller.ask(&get(peer.address, "/bron/pupils")));
        }
        caller
    };
    ask(100);
    let resting: Vec<Caller> = (0..earlier).map(begin).collect();
    std::thread::sleep(SILENCE);
    let before = peer.memory();
    let silent: Vec<Caller> = (0..count).map(begin).collect();
    std::thread::sleep(SILENCE);
    let waits = ask(200);
    let more = peer.memory().saturating_sub(before);
    drop((resting, silent));
    (
        f64::from(u32::try_from(more).unwrap()) / f64::from(count),
        waits,
    )
}

/// What the earlier ones needed while they were served stays with the process, and is enough for
/// the later ones if it was let go: about 18 KiB and 30 with TLS is what each needs if it is not.
#[test]
fn silent_connections_take_little_and_hinder_nobody() {
    let vendors = Vendors::open();
    for (plan, most_kib) in plans().iter().zip([13.0, 21.0]) {
        for said in [Said::Nothing, Said::Request] {
            let peer = ours(plan, &vendors);
            let (each, waits) = silence(&peer, plan, said, (300, 300));
            assert!(each < most_kib, "{each} KiB each");
            assert!(waits.longest() < Duration::from_secs(5));
        }
    }
}

#[test]
#[ignore = "ten thousand connections, and the figures of docs/reliability.md"]
fn long_figures_of_ten_thousand_silent_connections_beside_other_proxies() {
    let vendors = Vendors::open();
    row(&["", "", "KiB each", "99 in 100 of others", "longest"]);
    let ways = [
        ("10,000 plain", Said::Nothing, 8.0),
        ("10,000 plain after a request", Said::Request, 8.0),
        ("10,000 with TLS", Said::Nothing, 32.0),
        ("10,000 with TLS after a request", Said::Request, 32.0),
    ];
    let plans = plans();
    let plans = plans.iter().flat_map(|plan| [plan, plan]);
    for (plan, (what, said, most_kib)) in plans.zip(ways) {
        for peer in all(plan, &vendors) {
            let (each, waits) = silence(&peer, plan, said, (10_000, 0));
            let (most, longest) = (ms(waits.within(99)), ms(waits.longest()));
            row(&[peer.name, what, &format!("{each:.1}"), &most, &longest]);
            assert!(peer.gateway().is_none() || each <= most_kib, "{each} KiB");
        }
    }
}
