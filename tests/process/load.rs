//! `sluis serve` under load while it reloads, and while it ends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::gateway::{Files, PATIENCE, Upstream, free, get, status, until};
use crate::home::{School, files, pull, vendor_file, write_vendor};
use crate::results::{Results, says_close};
use crate::{PUPILS, body};

/// Callers at once.
const CALLERS: usize = 4;

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

/// Reloads without a pause until so many requests were served, and half as many results taken.
fn reload_under_load(least: usize) {
    let school = School::open();
    let upstream = school.address;
    let files = files(&school);
    version(&files, upstream, 0);
    let gateway = files.serve();
    let (public, served, over) = (files.public, AtomicUsize::new(0), AtomicBool::new(false));
    let pseudonyms = pull(&files);
    let results = Results::to(public, &pseudonyms);
    let enough = || served.load(Ordering::Relaxed) >= least && results.taken() >= least / 2;
    let goes_on = |_: &str| !over.load(Ordering::Relaxed);
    let mut versions = thread::scope(|scope| {
        let ask_on = || {
            let mut versions = Vec::new();
            while goes_on("") {
                let answer = get(public, PUPILS).unwrap();
                assert_eq!(status(&answer), 200, "{answer}");
                versions.push(version_of(&answer));
                served.fetch_add(1, Ordering::Relaxed);
            }
            versions
        };
        let callers = [(); CALLERS].map(|()| scope.spawn(ask_on));
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
        callers.map(|caller| caller.join().unwrap()).concat()
    });
    results.assert_all_landed(&school);
    assert!(versions.len() >= least);
    versions.sort_unstable();
    versions.dedup();
    assert!(versions.len() > 2, "all by {versions:?}");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn reloads_under_load_lose_no_request_and_mix_no_two_policies() {
    reload_under_load(2_000);
}

#[test]
#[ignore = "long: make soak"]
fn long_reloads_under_load_lose_no_request_and_mix_no_two_policies() {
    reload_under_load(20_000);
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

/// One request on a connection that is kept, and its answer; `None` if that is not whole.
fn ask(stream: &mut TcpStream) -> Option<String> {
    let head = format!(
        "GET {PUPILS} HTTP/1.1\r\nhost: {}\r\n\r\n",
        stream.peer_addr().ok()?
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    loop {
        let mut some = [0; 4_096];
        let length = stream.read(&mut some).ok().filter(|length| *length > 0)?;
        answer.extend_from_slice(&some[..length]);
        if answer.ends_with(b"}]}") {
            return String::from_utf8(answer).ok();
        }
    }
}

/// Asks and asks, as a caller does that keeps its connection until it is told otherwise.
fn until_closed(stream: &mut TcpStream, served: &AtomicUsize) {
    loop {
        let answer = ask(stream).expect("a request was lost");
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(!answer.contains("Noor"), "{answer}");
        served.fetch_add(1, Ordering::Relaxed);
        if says_close(&answer) {
            return;
        }
    }
}

/// Ends it under load as a load balancer sees it, and gives how many results were taken.
fn sigterm_under_load() -> usize {
    let school = School::open();
    let files = Files::with(school.address, "[limits]\ndrain-delay = \"700ms\"\n");
    write_vendor(&files, &school, 2);
    let gateway = files.serve();
    let (public, elsewhere) = (files.public, AtomicBool::new(false));
    let served = AtomicUsize::new(0);
    let pseudonyms = pull(&files);
    let results = Results::to(public, &pseudonyms);
    let goes_on = |answer: &str| !says_close(answer) || !elsewhere.load(Ordering::Relaxed);
    let closed = thread::scope(|scope| {
        let ask_on = || {
            let mut closed = 0;
            while !elsewhere.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(public).expect("refused too soon");
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                until_closed(&mut stream, &served);
                closed += 1;
            }
            closed
        };
        let callers = [(); CALLERS].map(|()| scope.spawn(ask_on));
        let vendors = results.send_from(scope, "term", &goes_on);
        let busy = || served.load(Ordering::Relaxed) > 200 && results.taken() > 200;
        until(|| busy().then_some(())).unwrap();
        gateway.signal(Signal::TERM);
        // What a load balancer does: it asks, and sends nobody any more.
        until(|| (gateway.page("/readyz").0 == 503).then_some(())).unwrap();
        assert!(callers.iter().all(|caller| !caller.is_finished()));
        elsewhere.store(true, Ordering::Relaxed);
        for vendor in vendors {
            assert_eq!(vendor.join().unwrap(), None, "a result was lost");
        }
        let closed = callers.map(|caller| caller.join().unwrap());
        let log = gateway.log();
        assert!(
            !log.contains("process.draining"),
            "they were sent away by it"
        );
        closed
    });
    assert!(closed.iter().all(|closed| *closed > 0), "{closed:?}");
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
    sigterm_under_load();
}

#[test]
#[ignore = "long: make soak"]
fn long_sigterm_under_load_loses_no_request_again_and_again() {
    let mut taken = 0;
    while taken < 20_000 {
        taken += sigterm_under_load();
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
