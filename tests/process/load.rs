//! `sluis serve` under load while it reloads, and while it ends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::gateway::{Files, PATIENCE, Upstream, free, get, status, until};
use crate::home::{School, files, pseudonyms_of, vendor_file, write_vendor};
use crate::results::{Results, says_close};
use crate::ways::{Connection, Line, plain, secure};
use crate::{PUPILS, body};

/// Callers at once.
const CALLERS: usize = 4;

/// Groups of the school that they ask for in turn.
const GROUPS: usize = 6;

/// A shape that writes the version of the policy twice into a pupil.
fn version(files: &Files, upstream: SocketAddr, number: usize) {
    let constant = |name| format!("{name} = {{ as = \"constant\", value = \"v{number}\" }}");
    let lines = format!("{}\n{}\n", constant("one"), constant("two"));
    let file = vendor_file(upstream, 2);
    let shape = "[shape.Pupil]\n";
    assert!(file.contains(shape));
    let file = file.replace(shape, &format!("{shape}{lines}"));
    files.write("schools/proef/vendors/bron.toml", &file);
}

/// The version that an answer was made by; fails if parts of it were made by others.
fn version_of(answer: &str) -> String {
    let mut parts = body(answer).split("\"one\":\"").skip(1).flat_map(|pupil| {
        let (one, rest) = pupil.split_once('"').unwrap();
        let two = rest.split_once("\"two\":\"").unwrap().1;
        [one, two.split_once('"').unwrap().0]
    });
    let first = parts.next().unwrap_or_else(|| panic!("{answer}"));
    assert!(parts.all(|part| part == first), "{answer}");
    first.to_owned()
}

/// The pseudonyms in each group of the school.
struct Groups(Vec<Vec<String>>);

impl Groups {
    fn pull(line: &Line) -> Self {
        let requests: Vec<_> = (0..GROUPS).map(|group| of_group(line, group)).collect();
        let answers = line.connect().ask_all(&requests).into_iter().enumerate();
        Self(
            answers
                .map(|(group, answer)| pseudonyms_of(group, &answer.unwrap()))
                .collect(),
        )
    }

    /// Asks for groups, all at once where that can be, and fails unless each answer shows the one
    /// that was asked for. Gives the answers; fewer if the caller was sent away before it could ask.
    fn ask(&self, line: &Line, caller: &mut Connection, round: usize) -> Vec<String> {
        let groups: Vec<_> = (round..round + line.at_once())
            .map(|number| number % GROUPS)
            .collect();
        let requests: Vec<_> = groups.iter().map(|group| of_group(line, *group)).collect();
        let answers = caller.ask_all(&requests);
        for (group, answer) in groups.into_iter().zip(&answers) {
            if let Some(answer) = answer {
                assert!(self.0[group] == pseudonyms_of(group, answer), "{answer}");
            }
        }
        answers.into_iter().flatten().collect()
    }
}

fn of_group(line: &Line, group: usize) -> String {
    line.get(&format!("/bron/groups/{group}/pupils"))
}

/// Makes the files of a gateway speak as callers do, and gives the lines to it.
type Speak = fn(&Files) -> Vec<Line>;

/// Reloads without a pause until so many requests were served, and half as many results taken.
fn reload_under_load(speak: Speak, least: usize) {
    let school = School::open();
    let upstream = school.address;
    let files = files(&school);
    version(&files, upstream, 0);
    let lines = speak(&files);
    let gateway = files.serve();
    let (served, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let groups = Groups::pull(&lines[0]);
    let results = Results::to(&lines, "/bron", &groups.0[0]);
    let enough = || served.load(Ordering::Relaxed) >= least && results.taken() >= least / 2;
    let goes_on = |_: &str| !over.load(Ordering::Relaxed);
    let ask_on = |line: &Line| {
        let mut versions = Vec::new();
        for round in (0..).take_while(|_| goes_on("")) {
            let answers = groups.ask(line, &mut line.connect(), round);
            assert_eq!(answers.len(), line.at_once(), "sent away");
            served.fetch_add(answers.len(), Ordering::Relaxed);
            versions.extend(answers.iter().map(|answer| version_of(answer)));
        }
        versions
    };
    let all = thread::scope(|scope| {
        let callers = spread(&lines).map(|line| scope.spawn(|| ask_on(line)));
        let vendors = results.send_from(scope, "reload", &goes_on);
        let mut number = 0;
        let fails = || {
            callers.iter().any(ScopedJoinHandle::is_finished)
                || vendors.iter().any(ScopedJoinHandle::is_finished)
        };
        while !enough() && !fails() {
            number += 1;
            version(&files, upstream, number);
            gateway.signal(Signal::HUP);
            gateway.wait_for_nth("config.reloaded", number);
        }
        over.store(true, Ordering::Relaxed);
        for vendor in vendors {
            assert_eq!(vendor.join().unwrap(), None, "a result failed");
        }
        callers.map(|caller| caller.join().unwrap())
    });
    results.assert_all_landed(&school);
    assert!(all.iter().map(Vec::len).sum::<usize>() >= least);
    for mut versions in all {
        versions.sort_unstable();
        versions.dedup();
        assert!(versions.len() > 2, "all by {versions:?}");
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

/// The lines of callers, who take them in turn.
fn spread(lines: &[Line]) -> [&Line; CALLERS] {
    std::array::from_fn(|caller| &lines[caller % lines.len()])
}

#[test]
fn reloads_under_load_lose_no_request_and_mix_no_two_policies() {
    reload_under_load(plain, 2_000);
}

#[test]
fn reloads_under_load_lose_no_request_over_tls_and_http2() {
    reload_under_load(secure, 2_000);
}

#[test]
#[ignore = "long: make soak"]
fn long_reloads_under_load_lose_no_request_and_mix_no_two_policies() {
    reload_under_load(plain, 20_000);
}

#[test]
#[ignore = "long: make soak"]
fn long_reloads_under_load_lose_no_request_over_tls_and_http2() {
    reload_under_load(secure, 20_000);
}

#[test]
fn an_answer_under_way_ends_under_the_policy_that_it_began_with() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = listener.local_addr().unwrap();
    let ((half, is_half), (go_on, told)) = (mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _head = stream.read(&mut [0; 4_096]).unwrap();
        // More than is held back, so that the first half is with the caller by then.
        let pupils = vec![r#"{"id":"L-0001","name":"Noor-Marker"}"#; 10_000].join(",");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        stream
            .write_all(format!("{head}{{\"pupils\":[{pupils}").as_bytes())
            .unwrap();
        half.send(()).unwrap();
        told.recv().unwrap();
        stream
            .write_all(format!(",{pupils}]}}").as_bytes())
            .unwrap();
    });
    let files = Files::new(upstream, "");
    version(&files, upstream, 1);
    let gateway = files.serve();
    let public = files.public;
    let caller = thread::spawn(move || get(public, PUPILS).unwrap());
    is_half.recv_timeout(PATIENCE).unwrap();
    version(&files, upstream, 2);
    gateway.signal(Signal::HUP);
    gateway.wait_for("config.reloaded");
    go_on.send(()).unwrap();
    let answer = caller.join().unwrap();
    assert_eq!(answer.matches("\"two\":\"v1\"").count(), 20_000);
    assert!(!answer.contains("v2") && !answer.contains("Noor-Marker"));
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

/// Asks and asks, as a caller does that keeps its connection until it is told otherwise: by an
/// answer, or over HTTP/2 by GOAWAY.
fn until_told_to_go(groups: &Groups, line: &Line, served: &AtomicUsize) {
    let mut caller = line.connect();
    for round in 0.. {
        let answers = groups.ask(line, &mut caller, round);
        served.fetch_add(answers.len(), Ordering::Relaxed);
        let told = answers.iter().any(|it| says_close(it));
        if told || answers.len() < line.at_once() {
            return;
        }
    }
}

/// What is done by the lines where an answer says that it is the last, and by the others.
fn by_answer<T>(lines: &[Line], all: impl IntoIterator<Item = T>) -> [Vec<T>; 2] {
    let all = lines.iter().cycle().zip(all);
    let (told, others): (Vec<_>, Vec<_>) = all.partition(|(line, _)| line.says_close());
    [told, others].map(|it| it.into_iter().map(|(_, one)| one).collect())
}

/// Callers, who say how often they were told to go, and vendors.
type Load<'s> = (
    Vec<ScopedJoinHandle<'s, usize>>,
    Vec<ScopedJoinHandle<'s, Option<String>>>,
);

/// Waits until they have gone.
fn end((callers, vendors): Load<'_>) -> Vec<usize> {
    for vendor in vendors {
        assert_eq!(vendor.join().unwrap(), None, "a result was lost");
    }
    callers.into_iter().map(|it| it.join().unwrap()).collect()
}

/// Ends it under load as a load balancer sees it, and gives how many results were taken.
fn sigterm_under_load(speak: Speak) -> usize {
    let school = School::open();
    let files = Files::with(school.address, "[limits]\ndrain-delay = \"700ms\"\n");
    write_vendor(&files, &school, 2);
    let lines = speak(&files);
    let gateway = files.serve();
    let elsewhere = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    let groups = Groups::pull(&lines[0]);
    let results = Results::to(&lines, "/bron", &groups.0[0]);
    let goes_on = |answer: &str| !says_close(answer) || !elsewhere.load(Ordering::Relaxed);
    let ask_on = |line: &Line| {
        let mut told = 0;
        while !elsewhere.load(Ordering::Relaxed) {
            until_told_to_go(&groups, line, &served);
            told += 1;
        }
        told
    };
    let told = thread::scope(|scope| {
        let callers = spread(&lines).map(|line| scope.spawn(|| ask_on(line)));
        let vendors = results.send_from(scope, "term", &goes_on);
        let busy = || served.load(Ordering::Relaxed) > 200 && results.taken() > 200;
        until(|| busy().then_some(())).unwrap();
        gateway.signal(Signal::TERM);
        // What a load balancer does: it asks, and sends nobody any more.
        until(|| (gateway.page("/readyz").0 == 503).then_some(())).unwrap();
        assert!(callers.iter().all(|caller| !caller.is_finished()));
        elsewhere.store(true, Ordering::Relaxed);
        let ([callers, more_callers], [vendors, more_vendors]) =
            (by_answer(&lines, callers), by_answer(&lines, vendors));
        let mut told = end((callers, vendors));
        let served_on = more_callers.iter().all(|it| !it.is_finished())
            && more_vendors.iter().all(|it| !it.is_finished());
        let log = gateway.log();
        assert!(
            !log.contains("process.draining"),
            "they were sent away by it"
        );
        assert!(served_on, "sent away too soon");
        told.extend(end((more_callers, more_vendors)));
        told
    });
    assert!(told.iter().all(|told| *told > 0), "{told:?}");
    let taken = results.taken();
    results.assert_all_landed(&school);
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0), "{log}");
    let names = ["process.leaving", "process.draining", "process.stopped"];
    let places = names.map(|name| log.find(name).unwrap());
    assert!(places.is_sorted(), "{log}");
    assert!(log.contains("\"sluis.how\":\"drained\""), "{log}");
    taken
}

#[test]
fn sigterm_under_load_loses_no_request_of_callers_who_are_sent_away_in_time() {
    sigterm_under_load(plain);
}

#[test]
fn sigterm_under_load_loses_no_request_over_tls_and_http2() {
    sigterm_under_load(secure);
}

#[test]
#[ignore = "long: make soak"]
fn long_sigterm_under_load_loses_no_request_again_and_again() {
    for speak in [plain, secure] {
        let mut taken = 0;
        while taken < 20_000 {
            taken += sigterm_under_load(speak);
        }
    }
}

#[test]
fn a_second_signal_ends_the_wait_for_others_to_notice() {
    let files = Files::with(Upstream::prompt(), "[limits]\ndrain-delay = \"10m\"\n");
    let gateway = files.serve();
    gateway.signal(Signal::TERM);
    gateway.wait_for("process.leaving");
    assert_eq!(status(&get(files.public, PUPILS).unwrap()), 200);
    gateway.signal(Signal::INT);
    assert_eq!(gateway.end().0, Some(2));
}

/// A vendor with a shape of its own; its school has nineteen more.
fn one_of_many(number: usize) -> String {
    format!(
        "version = 1\n[vendor]\nname = \"Bron {number}\"\nagreement = \"T-{number}\"\n\
         purpose = \"Tests\"\ncontact = \"privacy@bron.example\"\n\
         valid = {{ from = 2020-01-01, until = 2099-12-31 }}\n[ids.pupil]\n[flow.pull]\n\
         caller = \"vendor\"\nat = \"/bron{number}\"\nupstream = \"https://sis.example\"\n\
         callers = [{{ token-sha256 = \"{number:064x}\" }}]\n[[flow.pull.route]]\n\
         match = \"GET /pupils\"\nto-vendor = {{ pupils = \"Pupil[]\" }}\n\
         [shape.Pupil]\nid = \"pupil\"\nlevel = {{ as = \"keep\", like = \"[EM][3-8]\" }}\n"
    )
}

/// A thousand vendors in fifty more schools, and their keys.
pub(crate) fn add_a_thousand_vendors(files: &Files) {
    for school in 0..50 {
        let folder = format!("schools/many-{school}");
        files.write(
            &format!("{folder}/school.toml"),
            &format!(
                "version = 1\n[school]\nname = \"Veel {school}\"\n\
                 public = \"http://many-{school}.example\"\ncontact = \"privacy@veel.example\"\n"
            ),
        );
        for number in 0..20 {
            let vendor = format!("{folder}/vendors/bron{number}.toml");
            files.write(&vendor, &one_of_many(number));
        }
    }
    let keys = files.command(&["keys", "new"]).output().unwrap();
    assert!(keys.status.success(), "{keys:?}");
}

#[test]
#[ignore = "long: make soak, which builds it for speed"]
fn long_a_start_with_a_thousand_vendors_takes_a_fifth_of_a_second_at_most() {
    let files = Files::new(free(), "");
    add_a_thousand_vendors(&files);
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let gateway = files.serve();
        took.push(begun.elapsed());
        assert_eq!(gateway.wait_for("process.ready")["sluis.vendors"], 1_001);
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.end().0, Some(0));
    }
    took.sort_unstable();
    assert!(took[2] <= Duration::from_millis(200), "{took:?}");
}
