//! `sluis serve` killed in the middle of its work, again and again: it is back at once, and nothing
//! that was given out is forgotten.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::gateway::{Files, Gateway, PATIENCE, get, status, until};
use crate::home::{PUPILS, School, files, landed, pull, send, stop};
use crate::load::add_a_thousand_vendors;
use crate::results::Results;
use crate::ways::plain;

/// Callers at once.
const CALLERS: usize = 4;

/// Pseudonyms by the number of their pupil.
type Known = BTreeMap<usize, String>;

/// All that comes back, also if it breaks off.
fn ask(files: &Files, group: usize) -> String {
    let head = format!(
        "GET /bron/groups/{group}/pupils HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        files.public
    );
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(files.public) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap_or_default();
        stream
            .read_to_end(&mut answer)
            .map(drop)
            .unwrap_or_default();
    }
    String::from_utf8(answer).unwrap()
}

/// The pseudonyms in an answer, or in what there is of one.
fn pseudonyms(answer: &str) -> Known {
    assert!(!answer.contains("zzq"), "{answer}");
    let pupils = answer.split("{\"id\":\"").skip(1);
    let whole = pupils.filter_map(|pupil| {
        let (pseudonym, rest) = pupil.split_once("\",\"number\":")?;
        let number = rest.split_once('}')?.0.parse().ok()?;
        Some((number, pseudonym.to_owned()))
    });
    whole.collect()
}

/// Has pupils that nobody has asked for fetched until so many more are known, and results sent
/// until a quarter as many were taken, and kills it then.
fn kill_under_load(
    (files, gateway): (&Files, Gateway),
    known: &Mutex<Known>,
    (results, round): (&Results<'_>, usize),
    more: usize,
) {
    let before = known.lock().unwrap().len();
    let taken = results.taken();
    let (killed, group) = (AtomicBool::new(false), AtomicUsize::new(before / PUPILS));
    let fetch = || {
        while !killed.load(Ordering::Relaxed) {
            let answer = ask(files, group.fetch_add(1, Ordering::Relaxed));
            let now = killed.load(Ordering::Relaxed);
            assert!(now || status(&answer) == 200, "{answer}");
            let mut known = known.lock().unwrap();
            for (number, pseudonym) in pseudonyms(&answer) {
                let before = known.insert(number, pseudonym.clone());
                let same = before.is_none_or(|before| before == pseudonym);
                assert!(same, "{number} has another one");
            }
        }
    };
    let goes_on = |_: &str| !killed.load(Ordering::Relaxed);
    let prefix = format!("round-{round}");
    thread::scope(|scope| {
        let callers = [(); CALLERS].map(|()| scope.spawn(fetch));
        let vendors = results.send_from(scope, &prefix, &goes_on);
        let enough = || {
            let given_out = known.lock().unwrap().len() >= before + more;
            given_out && results.taken() >= taken + more / 4
        };
        let enough = until(|| enough().then_some(()));
        assert!(enough.is_some(), "nothing gets through");
        let all_send = vendors.iter().all(|it| !it.is_finished());
        assert!(all_send, "a result failed before");
        killed.store(true, Ordering::Relaxed);
        stop(gateway, Signal::KILL);
        callers.into_iter().for_each(|it| it.join().unwrap());
    });
}

/// Starts it, and how long it takes until somebody is served.
fn start(files: &Files) -> (Gateway, Duration) {
    let begun = Instant::now();
    let command = files.command(&["serve", "--threads", "2"]);
    let gateway = Gateway::spawn(command, files.admin);
    let served = until(|| {
        let answer = get(files.public, "/bron/pupils").ok()?;
        (status(&answer) == 200).then_some(())
    });
    assert!(served.is_some(), "{}", gateway.log());
    (gateway, begun.elapsed())
}

/// Kills it so often while at least `more` pupils are given out each time; gives how long it took
/// each time until it served again, and how many results were taken.
fn kill(files: &Files, school: &School, rounds: usize, more: usize) -> (Vec<Duration>, usize) {
    let known = Mutex::new(Known::new());
    let (mut gateway, time) = start(files);
    let mut took = vec![time];
    let pupils = pull(files);
    let lines = plain(files);
    let results = Results::to(&lines, "/bron", &pupils);
    for round in 0..rounds {
        kill_under_load((files, gateway), &known, (&results, round), more);
        let time;
        (gateway, time) = start(files);
        took.push(time);
    }
    results.assert_none_lost(school);
    let before = landed(school).len();
    let known = known.into_inner().unwrap();
    assert!(known.len() >= rounds * more);
    for (number, pseudonym) in &known {
        let answer = send(files, &format!("killed-{number}"), pseudonym, pseudonym).unwrap();
        assert_eq!(status(&answer), 200, "{number} is forgotten: {answer}");
    }
    assert_eq!(landed(school).len(), before + known.len());
    let last = known.last_key_value().unwrap().0 / PUPILS;
    for group in 0..=last {
        for (number, pseudonym) in pseudonyms(&ask(files, group)) {
            let before = known.get(&number).unwrap_or(&pseudonym);
            assert_eq!(&pseudonym, before, "{number} has another one");
        }
    }
    stop(gateway, Signal::TERM);
    let verified = files.command(&["register", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    (took, results.taken())
}

#[test]
fn killed_under_load_it_comes_back_and_knows_all_that_it_gave_out() {
    let school = School::open();
    kill(&files(&school), &school, 3, 400);
}

#[test]
#[ignore = "the figures of docs/reliability.md"]
fn long_figures_of_kills_under_load_with_a_thousand_vendors() {
    let school = School::open();
    let files = files(&school);
    add_a_thousand_vendors(&files);
    let (mut took, taken) = kill(&files, &school, 20, 2_000);
    took.sort_unstable();
    let line = format!(
        "served again after {:?} to {:?}, {taken} results landed once\n",
        took[0],
        took[took.len() - 1]
    );
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    assert!(took[took.len() / 2] < Duration::from_secs(1), "{took:?}");
}
