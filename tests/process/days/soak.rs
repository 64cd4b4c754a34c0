//! A working day with everything in it, for as long as one likes: nothing piles up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::callers::{Crowd, Manner, assert_served, post};
use super::peers::{Peer, Plan, Vendors, metric, ours};
use super::{row, seconds};
use crate::body;
use crate::gateway::{PATIENCE, status, until};
use crate::home::{School, pseudonyms_of, vendor_file};
use crate::results::Results;
use crate::ways::{Connection, Line, over_tls, plain};

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

/// A gateway that is asked by all ways there are to it: beside the two vendors there is one that
/// sends results to a school of its own.
struct Soaked {
    peer: Peer,
    lines: Vec<Line>,
    school: School,
    /// Of the group that is asked for.
    pseudonyms: Vec<String>,
    /// What each of the two vendors has for an answer.
    pupils: Vec<String>,
}

/// Requests for pupils of the two vendors.
const PUPILS: [&str; 2] = ["/bron/pupils", "/dumb/pupils"];

/// How long results are sent until it is looked at where they have landed.
const SOME: Duration = Duration::from_secs(5);

impl Soaked {
    fn open(plan: &Plan, vendors: &Vendors) -> Self {
        let peer = ours(plan, vendors);
        let (school, files) = (School::open(), peer.files().unwrap());
        let home = vendor_file(school.address, 2).replace("/bron", "/home");
        files.write("schools/proef/vendors/home.toml", &home);
        let keys = files.command(&["keys", "new"]).output().unwrap();
        assert!(keys.status.success(), "{keys:?}");
        peer.reload(1);
        let lines = if plan.tls {
            over_tls(files)
        } else {
            plain(files)
        };
        let ask = |path| lines[0].connect().ask(&lines[0].get(path)).unwrap();
        let pseudonyms = pseudonyms_of(0, &ask("/home/pupils"));
        let pupils = PUPILS.map(|path| {
            let answer = ask(path);
            assert_served(&answer);
            body(&answer).to_owned()
        });
        assert_ne!(pupils[0], pupils[1]);
        Self {
            peer,
            school,
            pseudonyms,
            pupils: pupils.into(),
            lines,
        }
    }

    /// Asks for everything on a connection, at once where that can be; gives how many were right.
    fn ask(&self, line: &Line, caller: &mut Connection) -> usize {
        let mut requests: Vec<_> = PUPILS.iter().map(|path| line.get(path)).collect();
        requests.push(line.get("/home/pupils"));
        requests.push(post(line.address(), "/bron/results"));
        let answers = caller.ask_all(&requests);
        let answers: Vec<_> = answers
            .into_iter()
            .map(|it| it.expect("sent away"))
            .collect();
        for (answer, wanted) in answers.iter().zip(&self.pupils) {
            assert_eq!((status(answer), body(answer)), (200, &**wanted), "{answer}");
        }
        assert_eq!(pseudonyms_of(0, &answers[2]), self.pseudonyms);
        let taken = &answers[3];
        assert!(taken.ends_with("{\"taken\":true}"), "{taken}");
        answers.len()
    }

    /// Sends results by all ways at once for a while; gives how many have landed as they must.
    fn send_home(&self, prefix: &str, go_on: impl Fn() -> bool + Sync) -> usize {
        let results = Results::to(&self.lines, "/home", &self.pseudonyms);
        let begun = Instant::now();
        let goes_on = |_: &str| go_on() && begun.elapsed() < SOME;
        thread::scope(|scope| {
            for vendor in results.send_from(scope, prefix, &goes_on) {
                assert_eq!(vendor.join().unwrap(), None, "a result failed");
            }
        });
        let taken = results.taken();
        results.assert_all_landed(&self.school);
        self.school.forget();
        taken
    }
}

/// Everything at once for so long: honest callers of all vendors on connections that they keep or
/// do not, results on their way home, answers that are cut, callers that go away and some that are
/// slow, and reloads. Gives how many requests were answered as they must be.
fn day(soaked: &Soaked, name: &str, time: Duration) -> usize {
    let (over, right) = (AtomicBool::new(false), AtomicUsize::new(0));
    let go_on = || !over.load(Ordering::Relaxed);
    let honest = |line: &Line| {
        while go_on() {
            let mut caller = line.connect();
            for _ in 0..50 {
                right.fetch_add(soaked.ask(line, &mut caller), Ordering::Relaxed);
            }
        }
    };
    let home = || {
        for round in (0..).take_while(|_| go_on()) {
            let sent = soaked.send_home(&format!("{name}-{round}"), go_on);
            right.fetch_add(sent, Ordering::Relaxed);
        }
    };
    let cut = |line: &Line| {
        while go_on() {
            let answer = line.connect().ask(&line.get("/dumb/cut")).unwrap();
            assert_eq!(status(&answer), 502, "{answer}");
            right.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
    };
    let gone = |line: &Line| {
        while go_on() {
            for path in ["/bron/many", "/bron/pupils", "/bron/stuck"] {
                let moment = Duration::from_millis(5);
                line.connect().abandon(&line.get(path), moment);
            }
        }
    };
    let slow = || {
        while go_on() {
            let mut crowds = [Manner::Heads, Manner::Bodies, Manner::Readers]
                .map(|manner| Crowd::gather(&soaked.lines[0], manner, 5));
            let begun = Instant::now();
            while go_on() && begun.elapsed() < Duration::from_secs(3) {
                crowds.iter_mut().for_each(Crowd::go_on);
                thread::sleep(super::callers::PAUSE);
            }
        }
    };
    thread::scope(|scope| {
        let mut all = vec![scope.spawn(home), scope.spawn(slow)];
        let lines = || soaked.lines.iter();
        all.extend({ lines().cycle().take(2) }.map(|line| scope.spawn(move || honest(line))));
        all.extend(lines().map(|line| scope.spawn(move || cut(line))));
        all.extend(lines().map(|line| scope.spawn(move || gone(line))));
        let begun = Instant::now();
        while begun.elapsed() < time && all.iter().all(|it| !it.is_finished()) {
            thread::sleep(Duration::from_millis(500));
            soaked.peer.gateway().unwrap().signal(Signal::HUP);
        }
        over.store(true, Ordering::Relaxed);
        all.into_iter().for_each(|it| it.join().unwrap());
    });
    right.into_inner()
}

/// A day at both gateways.
fn days(both: &[Soaked], name: &str, time: Duration) -> Vec<usize> {
    thread::scope(|scope| {
        let day = |soaked| scope.spawn(move || day(soaked, name, time));
        let days: Vec<_> = both.iter().map(day).collect();
        days.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn soak(time: Duration) {
    let vendors = Vendors::open();
    // Callers of the one speak HTTP/1.1, of the other TLS, and HTTP/1.1 and HTTP/2 in it.
    let both = [false, true].map(|tls| {
        let plan = Plan {
            seconds: 2,
            limits: "upstream-idle = \"1s\"\nupstream-circuit-failures = 1000\n",
            tls,
            ..Plan::default()
        };
        Soaked::open(&plan, &vendors)
    });
    let at_rest = || both.each_ref().map(|it| at_rest(&it.peer));
    // What is made once and kept is made by then: after a second it is not on a busy machine.
    days(&both, "first", (time / 6).max(Duration::from_secs(4)));
    let before = at_rest();
    let right = days(&both, "second", time);
    let after = at_rest();
    for (right, (before, after)) in right.iter().zip(before.iter().zip(&after)) {
        let memory = |rest: &Rest| format!("{} KiB", rest.memory);
        row(&[
            &seconds(time),
            &format!("{right} right"),
            &memory(before),
            &memory(after),
            &format!(
                "{} and {} descriptors",
                before.descriptors, after.descriptors
            ),
        ]);
    }
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.descriptors, before.descriptors);
        assert!(after.memory <= before.memory + MOST, "{before:?} {after:?}");
    }
    for soaked in both {
        let log = soaked.peer.gateway().unwrap().log();
        assert!(log.matches("config.reloaded").count() > 2, "{log}");
        assert!(!log.contains("config.reload_failed"), "{log}");
        soaked.peer.stop();
        assert_eq!(soaked.peer.end(), Some(0));
    }
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
