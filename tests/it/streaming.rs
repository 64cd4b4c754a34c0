//! Bodies beyond the hold-back window: they stream, and a fault breaks both sides off.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, PUSH_TOKEN, Peer, Plans, Upstream, pull, push};

/// A roster of about so many bytes, with a name that must not leave in each user.
fn roster(bytes: usize) -> String {
    let mut text = String::from(r#"{"users":["#);
    for number in 0.. {
        let comma = if number == 0 { "" } else { "," };
        text += &format!(
            r#"{comma}{{"sourcedId":"pupil-zzq-{number}","grade":{},"name":"Fenna-zzq-given"}}"#,
            number % 9
        );
        if text.len() >= bytes {
            return text + "]}";
        }
    }
    text
}

fn markers() -> Markers {
    Markers::of(&["pupil-zzq-", "Fenna-zzq-given"])
}

fn chunked(body: &str) -> String {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n";
    format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[test]
fn a_large_answer_streams_whole() {
    let body = roster(1 << 20);
    let house = House::open(Upstream::answering(chunked(&body)));
    let mut caller = house.caller();
    for _ in 0..2 {
        caller.send(pull("/pull/users"));
        let answer = caller.answer();
        assert_eq!(answer.status(), 200);
        assert!(answer.whole);
        assert_eq!(answer.lines("transfer-encoding"), ["chunked"]);
        let users = answer.json()["users"].as_array().unwrap().len();
        assert_eq!(users, body.matches("sourcedId").count());
    }
    assert_eq!(house.upstream.connections(), 1);
    house.search(
        &markers(),
        &[("what the vendor got", &caller.seen.lock().unwrap())],
    );
}

/// The seconds that a histogram has counted, for all of its labels.
fn seconds(metrics: &str, histogram: &str) -> f64 {
    let start = format!("sluis_{histogram}_duration_seconds_sum{{");
    let lines = metrics.lines().filter(|line| line.starts_with(&start));
    let sums = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    sums.sum()
}

#[test]
fn what_an_upstream_takes_its_time_for_is_not_our_own_work() {
    const PAUSE: Duration = Duration::from_millis(300);
    let answer = ok(&roster(1_000));
    let (begin, end) = answer.split_at(answer.len() / 2);
    let (begin, end) = (begin.to_owned(), end.to_owned());
    let house = House::open(Upstream::scripted(move |peer| {
        peer.request();
        std::thread::sleep(PAUSE);
        peer.send(&begin);
        std::thread::sleep(PAUSE);
        peer.send(&end);
    }));
    let got = house.ask(pull("/pull/users"));
    assert_eq!(got.status(), 200);
    house.await_log("request.ended");
    let metrics = house.metrics();
    let [to_the_head, in_all, ours] = ["http_client_request", "http_server_request", "transform"]
        .map(|histogram| seconds(&metrics, histogram));
    assert!(to_the_head >= 0.3 && in_all >= 0.6, "{metrics}");
    assert!(ours > 0.0 && ours < 0.1, "{metrics}");
    house.search(&markers(), &[("what the vendor got", &got.body)]);
}

#[test]
fn a_large_request_streams_whole() {
    let body = roster(1 << 20);
    let house = House::open(Upstream::json(r#"{"id":"r-1"}"#));
    let mut caller = house.caller();
    for _ in 0..2 {
        caller.send(push("POST", "/users", &body));
        assert_eq!(caller.answer().status(), 200);
    }
    assert_eq!(house.upstream.connections(), 1);
    let got = house.upstream.received_text();
    assert_eq!(got.matches("transfer-encoding: chunked").count(), 2);
    assert_eq!(got.matches("\r\n0\r\n\r\n").count(), 2);
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn a_fault_in_an_answer_after_the_window_breaks_both_sides_off() {
    for ending in [r#","users":[]}"#, "]}} zzq", "\u{0}"] {
        let mut body = roster(1 << 20);
        body.truncate(body.len() - 1);
        body += ending;
        let house = House::open(Upstream::answering(chunked(&body)));
        let mut caller = house.caller();
        caller.send(pull("/pull/users"));
        let answer = caller.answer();
        assert_eq!(answer.status(), 200);
        assert!(!answer.whole, "a cut answer looks whole");
        assert!(caller.is_closed());
        house.await_log("aborted");
        house.search(
            &markers(),
            &[("what the vendor got", &caller.seen.lock().unwrap())],
        );
    }
}

#[test]
fn an_answer_cut_after_the_window_never_looks_whole() {
    let body = roster(1 << 20);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for framing in [
        format!("content-length: {}\r\n\r\n", body.len()),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len()),
        "connection: close\r\n\r\n".to_owned(),
    ] {
        let cut = format!("{head}{framing}{}", &body[..700_000]);
        let house = House::open(Upstream::scripted(move |peer| {
            peer.request();
            peer.send(&cut);
        }));
        let mut caller = house.caller();
        caller.send(pull("/pull/users"));
        let answer = caller.answer();
        assert_eq!((answer.status(), answer.whole), (200, false), "{framing}");
        assert!(caller.is_closed());
    }
}

#[test]
fn a_fault_in_a_request_after_the_window_breaks_both_sides_off() {
    let (tell, told) = mpsc::channel();
    let house = House::open(Upstream::scripted(move |peer| {
        if let Some(request) = peer.request() {
            tell.send(request.whole).unwrap();
        }
    }));
    let mut body = roster(1 << 20);
    body.truncate(body.len() - 1);
    body += "]";
    let mut caller = house.caller();
    let _broken = caller.try_send(push("POST", "/users", &body));
    assert!(caller.is_closed(), "no answer may make it look whole");
    assert!(
        !told.recv_timeout(Duration::from_secs(5)).unwrap(),
        "the vendor got an end"
    );
    house.await_log("aborted");
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn an_early_answer_does_not_make_a_faulty_request_look_whole() {
    let house = House::open(Upstream::scripted(|peer| {
        peer.head();
        let whole = ok(r#"{"id":"r-1"}"#);
        peer.send(&whole[..whole.len() - 1]);
        peer.rest();
        // Had the request been cut silently, this would complete the answer.
        let _gone = peer.try_send("}");
    }));
    let mut body = roster(1 << 20);
    body.truncate(body.len() - 1);
    body += "]";
    let mut caller = house.caller();
    let _broken = caller.try_send(push("POST", "/users", &body));
    assert!(caller.is_closed());
    house.await_log("aborted");
}

#[test]
fn client_goes_away_while_its_answer_streams() {
    let (tell, told) = mpsc::channel();
    let body = roster(64 << 20);
    let house = House::open(Upstream::scripted(move |peer| {
        peer.request();
        tell.send(peer.try_send(chunked(&body)).is_err()).unwrap();
    }));
    let mut caller = house.caller();
    caller.send(pull("/pull/users"));
    caller.at_least(100_000);
    drop(caller);
    assert!(
        told.recv_timeout(Duration::from_secs(5)).unwrap(),
        "the upstream was read on"
    );
    house.await_log("cancelled");
    let counted = "sluis_cancellations_total{vendor=\"bron\"} 1\n";
    assert!(house.metrics().contains(counted));
}

#[test]
fn client_goes_away_while_its_upstream_thinks() {
    // Whether it closes, closes its half only, or resets: nobody is left to answer.
    let ways: [fn(Peer) -> Option<Peer>; 3] = [
        |caller| {
            drop(caller);
            None
        },
        |caller| {
            caller.finish();
            Some(caller)
        },
        |caller| {
            caller.reset();
            None
        },
    ];
    for leave in ways {
        let (tell, told) = mpsc::channel();
        let house = House::open(Upstream::scripted(move |peer| {
            peer.request();
            tell.send(()).unwrap();
            peer.rest();
            tell.send(()).unwrap();
        }));
        let mut caller = house.caller();
        caller.send(pull("/pull/users"));
        told.recv_timeout(Duration::from_secs(5)).unwrap();
        let left = leave(caller);
        told.recv_timeout(Duration::from_secs(5)).unwrap();
        house.await_log("cancelled");
        assert!(left.is_none_or(|mut caller| caller.is_closed()));
    }
}

#[test]
fn a_caller_that_does_not_read_is_let_go() {
    let body = roster(64 << 20);
    let house =
        Plans::limits("answer-write-idle = \"300ms\"").open(Upstream::scripted(move |peer| {
            peer.request();
            let _broken = peer.try_send(chunked(&body));
        }));
    let mut caller = house.caller();
    caller.send(pull("/pull/users"));
    house.await_log("answer_unread");
    house.await_metric("sluis_connections_failed_total{fault=\"answer_unread\"} 1\n");
    assert!(!caller.answer().whole);
}

#[test]
fn a_slow_request_goes_on_as_it_comes() {
    let (tell, told) = mpsc::channel();
    let house = House::open(Upstream::scripted(move |peer| {
        let head = peer.head().unwrap();
        tell.send(head).unwrap();
        peer.rest();
    }));
    let body = roster(400 << 10);
    let mut caller = house.caller();
    caller.send(format!(
        "POST /push/users HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {PUSH_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    caller.send(&body[..300 << 10]);
    let head = told.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(
        head.lines("transfer-encoding"),
        ["chunked"],
        "it did not wait for the rest"
    );
    drop(caller);
    house.await_log("cancelled");
}

#[test]
fn a_request_that_stalls_after_the_window_breaks_both_sides_off() {
    let (tell, told) = mpsc::channel();
    let house = Plans::limits("body-idle = \"200ms\"").open(Upstream::scripted(move |peer| {
        tell.send(peer.request().unwrap().whole).unwrap();
    }));
    let body = roster(400 << 10);
    let mut caller = house.caller();
    let request = push("POST", "/users", &body);
    caller.send(&request[..request.len() - 1_000]);
    assert!(caller.is_closed());
    assert!(!told.recv_timeout(Duration::from_secs(5)).unwrap());
    house.await_log("body_timeout");
}

#[test]
fn an_upstream_that_stops_reading_is_given_up() {
    let limits = "upstream-head-time = \"300ms\"\nbody-idle = \"5s\"";
    let house = Plans::limits(limits).open(Upstream::scripted(|peer| {
        peer.head();
        std::thread::sleep(Duration::from_secs(3));
    }));
    let begun = Instant::now();
    let mut caller = house.caller();
    let _broken = caller.try_send(push("POST", "/users", &roster(32 << 20)));
    assert!(begun.elapsed() < Duration::from_secs(3));
    house.await_log("upstream_timeout");
}

#[test]
fn an_upstream_has_its_time_from_the_end_of_a_slow_request_on() {
    let limits = "upstream-head-time = \"600ms\"";
    let house = Plans::limits(limits).open(Upstream::scripted(|peer| {
        peer.request();
        std::thread::sleep(Duration::from_millis(300));
        peer.send(ok("{}"));
    }));
    let request = push("POST", "/users", &roster(400 << 10));
    let (first, last) = request.split_at(request.len() - 1_000);
    let mut caller = house.caller();
    caller.send(first);
    std::thread::sleep(Duration::from_millis(450));
    caller.send(last);
    assert_eq!(caller.answer().status(), 200);
}
