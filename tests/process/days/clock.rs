//! Somebody sets the clock of the machine, under load.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::callers::{Caller, assert_served, get, post};
use super::peers::{Peer, Plan, Vendors, all, ours};
use super::row;
use crate::gateway::{status, until};

/// How far the clock is off, one after the other, and the year that it shows in November 2026 or
/// later if it goes on from there.
const JUMPS: [&str; 7] = ["+1h", "+0", "-1h", "+0", "+20y", "-1h", "+0"];

/// What moves the clock of a process: a library that stands between it and the machine.
fn library() -> PathBuf {
    let below = Path::new("/usr/lib");
    let folders = fs::read_dir(below).unwrap().map(|it| it.unwrap().path());
    let mut libraries = folders.map(|it| it.join("faketime/libfaketimeMT.so.1"));
    libraries
        .find(|it| it.exists())
        .expect("libfaketime is not installed: apt install faketime")
}

/// A clock that stands in a file.
struct Hand(tempfile::TempDir);

impl Hand {
    fn new() -> Self {
        let hand = Self(tempfile::tempdir().unwrap());
        hand.set("+0");
        hand
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("clock")
    }

    fn set(&self, offset: &str) {
        // At once: nobody reads half of it.
        let next = self.0.path().join("next");
        fs::write(&next, format!("{offset}\n")).unwrap();
        fs::rename(next, self.file()).unwrap();
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(library())),
            ("FAKETIME_TIMESTAMP_FILE", text(self.file())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // What measures waits goes on as it did.
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

/// The year by the clock of a proxy.
fn year(peer: &Peer) -> Option<u32> {
    let answer = Caller::new(peer.address).ask(&get(peer.address, "/bron/pupils"));
    let lines = answer.lines().map(str::to_ascii_lowercase);
    let date = { lines }.find(|line| line.starts_with("date: "))?;
    date.split(' ').nth(4)?.parse().ok()
}

/// Requests that were served and that were not, while the clock jumps.
fn jumps(peer: &Peer, hand: &Hand, rest: Duration) -> (usize, usize) {
    let (done, served, failed) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let requests = [
        get(peer.address, "/bron/pupils"),
        post(peer.address, "/bron/results"),
        get(peer.address, "/dumb/pupils"),
    ];
    let ask_on = || {
        let mut caller = Caller::new(peer.address);
        for request in requests.iter().cycle() {
            let answer = caller.ask(request);
            let counted = match status(&answer) {
                200 => &served,
                _ => &failed,
            };
            counted.fetch_add(1, Ordering::Relaxed);
            if answer.is_empty() || answer.contains("onnection: close") {
                caller = Caller::new(peer.address);
            }
            if done.load(Ordering::Relaxed) {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let callers = [(); 4].map(|()| scope.spawn(ask_on));
        for offset in JUMPS {
            hand.set(offset);
            let before = served.load(Ordering::Relaxed);
            thread::sleep(rest);
            let others = || served.load(Ordering::Relaxed) > before + 20;
            assert!(until(|| others().then_some(())).is_some(), "{}", peer.name);
            let far = year(peer).is_none_or(|it| it > 2040);
            assert!(far || offset != "+20y", "the clock did not move");
        }
        done.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|it| it.join().unwrap());
    });
    (served.into_inner(), failed.into_inner())
}

fn plan(hand: &Hand) -> Plan {
    Plan {
        seconds: 5,
        vendor: "[except]\npupil = \"lists/who.txt\"\n",
        environment: hand.environment(),
        ..Plan::default()
    }
}

/// A gateway with a list of objections, which has been seen at rest.
fn with_a_list(hand: &Hand, vendors: &Vendors) -> Peer {
    let peer = ours(&plan(hand), vendors);
    let list = "schools/proef/lists/who.txt";
    peer.files().unwrap().write(list, "L-0002\n");
    let request = get(peer.address, "/bron/pupils");
    let other = get(peer.address, "/dumb/pupils");
    let rests = until(|| {
        let answers = [&request, &other].map(|it| Caller::new(peer.address).ask(it));
        let good = answers.iter().all(|answer| status(answer) == 200);
        good.then(|| answers.iter().for_each(|it| assert_served(it)))
    });
    assert!(rests.is_some(), "nobody sees it at rest");
    peer
}

#[test]
fn a_clock_that_jumps_fails_no_request() {
    let (hand, vendors) = (Hand::new(), Vendors::open());
    let peer = with_a_list(&hand, &vendors);
    let (served, failed) = jumps(&peer, &hand, Duration::from_millis(300));
    assert!(served > 200, "{served}");
    assert_eq!(failed, 0, "of {served}");
    let gateway = peer.gateway().unwrap();
    assert!(gateway.status()["uptime_seconds"].as_u64().unwrap() < 3_600);
}

#[test]
#[ignore = "a minute: the figures of docs/reliability.md"]
fn long_figures_of_a_clock_that_jumps_beside_other_proxies() {
    let (hand, vendors) = (Hand::new(), Vendors::open());
    row(&["", "served", "failed"]);
    let plan = plan(&hand);
    for mut peer in all(&plan, &vendors) {
        if peer.gateway().is_some() {
            peer = with_a_list(&hand, &vendors);
        }
        let (served, failed) = jumps(&peer, &hand, Duration::from_secs(3));
        row(&[peer.name, &served.to_string(), &failed.to_string()]);
        assert!(failed == 0 || peer.gateway().is_none(), "{failed} failed");
    }
}
