//! Reloads, ends and kills under load, and who notices.
//!
//! That nothing fails with ours is tested in every run in `load.rs` and `killed.rs`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::callers::{Caller, get, is_whole, post};
use super::peers::{Peer, Plan, Run, Size, Vendors, all};
use super::{ms, row};
use crate::gateway::{PATIENCE, status, until};

/// Callers of each manner.
const CALLERS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// A connection for each request.
    Anew,
    /// One connection for as long as it lasts.
    Keeping,
    /// As that, with pauses, and until the proxy says that it is to go.
    Leaving,
}

/// What became of requests.
#[derive(Default)]
struct Counts {
    served: AtomicUsize,
    failed: AtomicUsize,
}

/// Tells callers that it is over, also where a test fails.
#[derive(Default)]
struct Over(AtomicBool);

impl Over {
    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says so when it is let go of.
struct Says<'o>(&'o Over);

impl Drop for Says<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Counts {
    fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// Asks and sends results in turn until it is over.
    fn ask_on(&self, address: SocketAddr, manner: Manner, over: &Over) {
        let mut requests = [get(address, "/bron/pupils"), post(address, "/bron/results")];
        if manner == Manner::Anew {
            requests = requests.map(|it| it.replacen("\r\n", "\r\nconnection: close\r\n", 1));
        }
        let mut caller = None;
        for request in requests.iter().cycle() {
            let reached = caller.take().or_else(|| Caller::reach(address));
            let answer = reached.map(|mut reached: Caller| (reached.ask(request), reached));
            let (answer, reached) = answer.unzip();
            let answer = answer.unwrap_or_default();
            let served = status(&answer) == 200 && is_whole(answer.as_bytes());
            let count = if served { &self.served } else { &self.failed };
            count.fetch_add(1, Ordering::Relaxed);
            let told = answer.to_ascii_lowercase();
            let last = !served || told.contains("\r\nconnection: close\r\n");
            if over.is_over() && (last || manner != Manner::Leaving) {
                return;
            }
            caller = reached.filter(|_| !last);
            if manner == Manner::Leaving {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Reloads without a pause until so many were served, and as many times; gives how often, and what
/// became of requests on new connections and on kept ones.
fn reloads(peer: &Peer, least: usize, times: usize) -> (usize, [Counts; 2]) {
    let (counts, address) = (<[Counts; 2]>::default(), peer.address);
    let (over, mut count) = (Over::default(), 0);
    thread::scope(|scope| {
        let _says = Says(&over);
        let over = &over;
        for (counts, manner) in counts.iter().zip([Manner::Anew, Manner::Keeping]) {
            for _ in 0..CALLERS {
                scope.spawn(move || counts.ask_on(address, manner, over));
            }
        }
        while counts.iter().any(|it| it.served() < least) || count < times {
            count += 1;
            peer.reload(count);
        }
    });
    (count, counts)
}

fn plan() -> Plan {
    Plan {
        seconds: 10,
        limits: "drain-delay = \"700ms\"\n",
        vendor: "back = \"school-only\"\n",
        run: Run::Service,
        ..Plan::default()
    }
}

#[test]
#[ignore = "the figures of docs/reliability.md"]
fn long_figures_of_reloads_under_load_beside_other_proxies() {
    let vendors = Vendors::open();
    row(&[
        "",
        "reloads",
        "on new connections",
        "failed",
        "on kept ones",
        "failed",
    ]);
    for peer in all(&plan(), &vendors) {
        let (count, [anew, kept]) = reloads(&peer, 10_000, 50);
        let figures = [
            count,
            anew.served(),
            anew.failed(),
            kept.served(),
            kept.failed(),
        ];
        let cells = figures.map(|it| it.to_string());
        row(&[&[peer.name], &cells.each_ref().map(String::as_str)[..]].concat());
        assert!(anew.failed() + kept.failed() == 0 || peer.gateway().is_none());
    }
}

/// Ends it under load of callers who keep their connections until they are told to go; gives what
/// became of requests, and the exit code.
fn stop(peer: Peer) -> (Counts, Option<i32>) {
    let (counts, address, over) = (Counts::default(), peer.address, Over::default());
    thread::scope(|scope| {
        let says = Says(&over);
        for _ in 0..2 * CALLERS {
            scope.spawn(|| counts.ask_on(address, Manner::Leaving, &over));
        }
        let busy = until(|| (counts.served() > 500).then_some(()));
        assert!(busy.is_some(), "{} does not serve", peer.name);
        drop(says);
        peer.stop();
    });
    (counts, peer.end())
}

#[test]
#[ignore = "the figures of docs/reliability.md"]
fn long_figures_of_ends_under_load_beside_other_proxies() {
    let vendors = Vendors::open();
    row(&["", "requests", "lost", "exit code"]);
    let mut sums: Vec<(&str, usize, usize, Vec<Option<i32>>)> = Vec::new();
    for _ in 0..20 {
        for peer in all(&plan(), &vendors) {
            let (name, is_ours) = (peer.name, peer.gateway().is_some());
            let (counts, code) = stop(peer);
            assert!(!is_ours || (counts.failed(), code) == (0, Some(0)));
            let at = sums.iter().position(|it| it.0 == name);
            let at = at.unwrap_or_else(|| {
                sums.push((name, 0, 0, Vec::new()));
                sums.len() - 1
            });
            let sum = &mut sums[at];
            sum.1 += counts.served() + counts.failed();
            sum.2 += counts.failed();
            sum.3.push(code);
        }
    }
    for (name, requests, lost, mut codes) in sums {
        codes.sort_unstable();
        codes.dedup();
        row(&[
            name,
            &requests.to_string(),
            &lost.to_string(),
            &format!("{codes:?}"),
        ]);
    }
}

/// Kills it under load, and gives how long it takes from its start until it serves.
fn kill(peer: Peer) -> (Peer, Duration) {
    let (counts, address, over) = (Counts::default(), peer.address, Over::default());
    let (peer, begun) = thread::scope(|scope| {
        let says = Says(&over);
        for _ in 0..CALLERS {
            scope.spawn(|| counts.ask_on(address, Manner::Keeping, &over));
        }
        let busy = until(|| (counts.served() > 500).then_some(()));
        assert!(busy.is_some(), "{} does not serve", peer.name);
        drop(says);
        peer.kill_and_start()
    });
    let request = get(address, "/bron/pupils");
    loop {
        let answer = Caller::reach(address).map(|mut caller| caller.ask(&request));
        if answer.is_some_and(|answer| status(&answer) == 200) {
            return (peer, begun.elapsed());
        }
        assert!(begun.elapsed() < PATIENCE, "{} does not serve", peer.name);
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "the figures of docs/reliability.md"]
fn long_figures_of_kills_beside_other_proxies() {
    let vendors = Vendors::open();
    row(&["with a thousand vendors", "served again after", "to"]);
    let plan = Plan {
        size: Size::Thousand,
        ..plan()
    };
    for mut peer in all(&plan, &vendors) {
        let mut took = Vec::new();
        for _ in 0..9 {
            let time;
            (peer, time) = kill(peer);
            took.push(time);
        }
        took.sort_unstable();
        row(&[
            peer.name,
            &ms(took[4]),
            &format!("{} to {}", ms(took[0]), ms(took[8])),
        ]);
    }
}
