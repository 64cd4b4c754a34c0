//! Faults in what an upstream answers: each row of the table of failures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::upstream::{Nobody, ok};
use crate::harness::{House, Markers, Message, Plans, Upstream, pull, push};

/// The caller's answer to a pull when the upstream answers `answer` and closes.
fn asked(answer: &str) -> (House, Message) {
    let answer = answer.to_owned();
    let house = House::open(Upstream::scripted(move |peer| {
        peer.request();
        peer.send(&answer);
    }));
    let got = house.ask(pull("/pull/users"));
    (house, got)
}

/// Checks that an answer is refused, and that nothing of it is seen.
fn refused(answer: &str, status: u16, code: &str) {
    let (house, got) = asked(answer);
    assert_eq!(
        (got.status(), &*got.code()),
        (status, code),
        "for {answer:?}"
    );
    house.await_refusals(code, 1);
    if answer.contains("zzq-secret") {
        let seen = [got.head.as_bytes(), &got.body].concat();
        house.search(
            &Markers::of(&["zzq-secret"]),
            &[("what the caller got", &seen)],
        );
    }
}

fn with(lines: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn upstream_content_type_missing_doubled_or_other() {
    let json = "content-type: application/json\r\n";
    for lines in ["", "content-type: text/html\r\n", &json.repeat(2)] {
        refused(
            &with(lines, "{\"zzq-secret\":1}"),
            502,
            "content_type_unsupported",
        );
    }
    let gzip = format!("{json}content-encoding: gzip\r\n");
    refused(
        &with(&gzip, "zzq-secret"),
        502,
        "content_coding_unsupported",
    );
}

#[test]
fn upstream_body_not_well_formed() {
    for body in [
        "{\"users\":[}",
        "{\"users\":[]",
        "{} zzq-secret",
        "\u{feff}{}",
        "<zzq-secret>",
    ] {
        refused(&ok(body), 502, "body_malformed");
    }
    refused(&ok("{\"users\":[],\"users\":[]}"), 502, "body_malformed");
    refused(&ok("[\"zzq-secret\"]"), 502, "body_of_another_shape");
}

#[test]
fn upstream_field_that_a_strict_shape_does_not_name() {
    let upstream = Upstream::json(r#"{"grade":7,"zzq-secret":1}"#);
    let more = format!(
        r#"
[flow.strict]
caller = "vendor"
at = "/strict"
upstream = "http://{}"
callers = "anyone"
[[flow.strict.route]]
match = "GET /users"
to-vendor = {{ _strict = true, grade = "keep:int" }}
"#,
        upstream.address
    );
    let plans = Plans {
        more,
        ..Plans::default()
    };
    let house = plans.open(upstream);
    let got = house.ask(pull("/strict/users"));
    assert_eq!((got.status(), &*got.code()), (502, "field_unexpected"));
    assert_eq!(got.json()["at"], 11);
    let seen = [got.head.as_bytes(), &got.body].concat();
    house.search(
        &Markers::of(&["zzq-secret"]),
        &[("what the caller got", &seen)],
    );
}

#[test]
fn upstream_id_with_control_characters() {
    let body = r#"{"users":[{"sourcedId":"zzq-secret\u0007"}]}"#;
    refused(&ok(body), 502, "identifier_invalid");
}

#[test]
fn upstream_body_over_its_limit() {
    let long = format!(r#"{{"users":[],"x":"{}"}}"#, "a".repeat(200));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    for answer in [ok(&long), chunked] {
        let house = Plans::limits("body = 200").open(Upstream::answering(answer));
        let got = house.ask(pull("/pull/users"));
        assert_eq!((got.status(), &*got.code()), (502, "body_too_large"));
        house.await_refusals("body_too_large", 1);
    }
}

#[test]
fn upstream_redirects_and_parts_are_refused() {
    for start in [
        "301 Moved",
        "302 Found",
        "304 Not Modified",
        "307 x",
        "206 Partial Content",
    ] {
        let answer = format!(
            "HTTP/1.1 {start}\r\nlocation: https://zzq-secret.example/\r\ncontent-length: 0\r\n\r\n"
        );
        refused(&answer, 502, "upstream_unexpected");
    }
    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: zzq-secret\r\n\r\nzzq-secret";
    refused(switching, 502, "upstream_unexpected");
}

#[test]
fn upstream_errors_pass_as_a_status_with_our_own_problem() {
    for status in [400, 404, 409, 418, 429, 500, 503, 599] {
        let answer = format!(
            "HTTP/1.1 {status} zzq-secret\r\ncontent-type: application/json\r\nretry-after: 7\r\n\
             content-length: 18\r\n\r\n{{\"e\":\"zzq-secret\"}}"
        );
        let (house, got) = asked(&answer);
        assert_eq!((got.status(), &*got.code()), (status, "upstream_error"));
        let asks = [429, 503].contains(&status);
        assert_eq!(
            got.lines("retry-after"),
            if asks { vec!["7"] } else { vec![] }
        );
        let seen = [got.head.as_bytes(), &got.body].concat();
        house.search(
            &Markers::of(&["zzq-secret"]),
            &[("what the caller got", &seen)],
        );
    }
}

#[test]
fn retry_after_passes_as_a_whole_number_only() {
    for text in [
        "Wed, 21 Oct 2026 07:28:00 GMT",
        "-1",
        "1.5",
        "1234567",
        "7, 8",
        "",
    ] {
        let answer = format!("HTTP/1.1 503 x\r\nretry-after: {text}\r\ncontent-length: 0\r\n\r\n");
        let (_house, got) = asked(&answer);
        assert_eq!(
            (got.status(), got.lines("retry-after")),
            (503, vec![]),
            "{text}"
        );
    }
}

#[test]
fn upstream_that_refuses_our_credentials() {
    for status in [401, 403, 407] {
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        refused(&answer, 502, "upstream_authentication");
    }
}

#[test]
fn upstream_cannot_be_reached() {
    let nobody = Nobody::new();
    let mut upstream = Upstream::json("{}");
    upstream.address = nobody.address();
    let house = House::open(upstream);
    let got = house.ask(pull("/pull/users"));
    assert_eq!((got.status(), &*got.code()), (502, "upstream_unreachable"));
    caused(&house, &got, "connection_refused");
}

/// Our log says why, and the caller is not told: it is nobody's but the school's.
fn caused(house: &House, got: &Message, cause: &str) {
    house.await_log(&format!(r#""sluis.upstream.cause":"{cause}""#));
    let seen = [got.head.as_bytes(), &got.body].concat();
    let seen = String::from_utf8(seen).unwrap();
    assert!(!seen.contains(cause), "{seen}");
}

#[test]
fn upstream_whose_name_has_no_address() {
    // RFC 6761 section 6.4: nobody's, for ever.
    let more = r#"
[flow.nowhere]
caller = "vendor"
at = "/nowhere"
upstream = "https://zzq-nobody.invalid"
callers = "anyone"
[[flow.nowhere.route]]
match = "GET /users"
to-vendor = "User"
"#
    .to_owned();
    let house = Plans {
        more,
        limits: "upstream-connect = \"30s\"".to_owned(),
        ..Plans::default()
    }
    .open(Upstream::json("{}"));
    let got = house.ask(pull("/nowhere/users"));
    assert_eq!((got.status(), &*got.code()), (502, "upstream_unreachable"));
    caused(&house, &got, "dns_error");
    let markers = Markers::of(&["zzq-nobody.invalid"]);
    house.search(&markers, &[("what the caller got", &got.body)]);
}

#[test]
fn upstream_too_slow() {
    let house = Plans::limits("upstream-head-time = \"200ms\"").open(Upstream::scripted(|peer| {
        peer.request();
        peer.rest();
    }));
    let begun = Instant::now();
    let got = house.ask(pull("/pull/users"));
    assert_eq!((got.status(), &*got.code()), (504, "upstream_timeout"));
    house.await_refusals("upstream_timeout", 1);
    house.await_log(r#""sluis.upstream.cause":"http_response_timeout""#);
    assert!(begun.elapsed() >= Duration::from_millis(190));
}

#[test]
fn upstream_body_too_slow() {
    let limits = "upstream-body-idle = \"200ms\"";
    let house = Plans::limits(limits).open(Upstream::scripted(|peer| {
        peer.request();
        let whole = ok(r#"{"users":[]}"#);
        peer.send(&whole[..whole.len() - 1]);
        peer.rest();
    }));
    let got = house.ask(pull("/pull/users"));
    assert_eq!((got.status(), &*got.code()), (504, "upstream_timeout"));
    house.await_refusals("upstream_timeout", 1);
}

#[test]
fn upstream_breaks_off_before_its_answer_is_out() {
    let whole = ok(r#"{"users":[{"grade":7}]}"#);
    for end in [0, 1, 12, 40, whole.len() - 1] {
        let (_house, got) = asked(&whole[..end]);
        assert_eq!(
            (got.status(), &*got.code()),
            (502, "upstream_broken"),
            "cut at {end}"
        );
    }
}

#[test]
fn what_is_not_http_or_framed_in_two_ways_is_refused() {
    let json = "content-type: application/json\r\n";
    let chunk = "2\r\n{}\r\n0\r\n\r\n";
    for answer in [
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
        "zzq-secret\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{json}content-length: 2\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{json}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}} "),
        format!("HTTP/1.1 200 OK\r\n{json}content-length: -2\r\n\r\n{{}}"),
        format!(
            "HTTP/1.1 200 OK\r\n{json}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
        ),
        format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: gzip, chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: identity\r\n\r\n{{}}"),
        format!("HTTP/1.0 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\nx y: z\r\n{json}content-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{json}content-length: 2\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{json}x: y\r\n z\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n{json}content-length: 02\r\n\r\n{{}}"),
        format!("HTTP/1.0 200 OK\r\n{json}\r\n{{}}"),
        format!(
            "HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n2;a\r\n{{}}\r\n0\r\n\r\n"
        ),
        format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\n\n"),
        format!("\r\nHTTP/1.1 200 OK\r\n{json}content-length: 2\r\n\r\n{{}}"),
    ] {
        refused(&answer, 502, "upstream_broken");
    }
}

#[test]
fn a_head_beyond_its_limit_is_refused() {
    let lines = format!("x-zzq: {}\r\n", "a".repeat(1_000)).repeat(80);
    refused(&with(&lines, "{}"), 502, "upstream_broken");
    let lines = "x-zzq: a\r\n".repeat(101);
    refused(&with(&lines, "{}"), 502, "upstream_broken");
}

#[test]
fn informational_answers_are_skipped_but_not_for_ever() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: <zzq-secret>\r\n\r\n";
    let (_house, got) = asked(&format!("{}{}", hint.repeat(8), ok(r#"{"users":[]}"#)));
    assert_eq!((got.status(), got.text()), (200, r#"{"users":[]}"#));
    refused(
        &format!("{}{}", hint.repeat(9), ok("{}")),
        502,
        "upstream_broken",
    );
    let house = House::open(Upstream::scripted(move |peer| {
        peer.request();
        while peer.try_send(hint.repeat(100)).is_ok() {}
    }));
    let begun = Instant::now();
    let got = house.ask(pull("/pull/users"));
    assert_eq!((got.status(), &*got.code()), (502, "upstream_broken"));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_answer_without_a_body_passes_as_its_status() {
    for start in [
        "204 No Content\r\n",
        "201 x\r\ncontent-length: 0\r\n",
        "202 x\r\ncontent-length: 0\r\n",
        "205 x\r\ncontent-length: 0\r\n",
    ] {
        let (_house, got) = asked(&format!("HTTP/1.1 {start}x-zzq: zzq-secret\r\n\r\n"));
        assert_eq!(got.status().to_string(), start[..3]);
        assert_eq!((got.text(), got.lines("content-type").len()), ("", 0));
        assert!(!got.head.contains("zzq"));
    }
}

#[test]
fn a_status_that_no_standard_names_has_words_behind_it() {
    for status in [299, 599] {
        let json = with("content-type: application/json\r\n", r#"{"users":[]}"#);
        let (house, got) = asked(&json.replacen("200 OK", &format!("{status} zzq-secret"), 1));
        let line = format!("HTTP/1.1 {status} Unassigned\r\n");
        assert!(got.head.starts_with(&line), "{}", got.head);
        let seen = [got.head.as_bytes(), &got.body].concat();
        house.search(&Markers::of(&["zzq-secret"]), &[("caller", &seen)]);
    }
}

#[test]
fn a_list_that_did_not_come_is_not_an_empty_list() {
    for status in ["200 OK", "203 x", "299 x"] {
        for lines in ["", "content-type: application/json\r\n"] {
            let lines = format!("{lines}x-zzq: zzq-secret\r\ncontent-length: 0");
            let answer = format!("HTTP/1.1 {status}\r\n{lines}\r\n\r\n");
            refused(&answer, 502, "body_malformed");
            let (_house, got) = asked(&answer);
            assert_eq!(got.json()["at"], 0, "{}", got.text());
        }
    }
    let nothing = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let house = House::open(Upstream::answering(nothing));
    let mut caller = house.caller();
    caller.send(pull("/pull/users").replacen("GET", "HEAD", 1));
    assert_eq!(caller.answer_to_head().status(), 200);
}

#[test]
fn an_answer_declared_as_nothing_passes_as_its_status() {
    let house = House::open(Upstream::answering(with(
        "content-type: text/html\r\n",
        "zzq-secret",
    )));
    let mut caller = house.caller();
    for _ in 0..3 {
        caller.send(push("PUT", "/users/7", r#"{"grade":7}"#));
        let got = caller.answer();
        assert_eq!((got.status(), got.text()), (200, ""));
        assert_eq!(got.lines("content-length"), ["0"]);
    }
    assert_eq!(
        house.upstream.connections(),
        1,
        "what is discarded is read to its end"
    );
    house.search(
        &Markers::of(&["zzq-secret"]),
        &[("caller", &caller.seen.lock().unwrap())],
    );
}

#[test]
fn a_connection_with_surplus_bytes_is_not_used_again() {
    let house = House::open(Upstream::scripted(|peer| {
        while peer.request().is_some() {
            let surplus = ok(r#"{"users":[{"grade":99}]}"#);
            peer.send(format!("{}{surplus}", ok(r#"{"users":[{"grade":1}]}"#)));
        }
    }));
    for _ in 0..3 {
        let got = house.ask(pull("/pull/users"));
        assert_eq!(
            (got.status(), got.text()),
            (200, r#"{"users":[{"grade":1}]}"#)
        );
    }
    assert_eq!(house.upstream.connections(), 3);
}

#[test]
fn a_connection_is_not_used_again_after_an_answer_with_a_body_that_has_none() {
    for lines in ["content-length: 5", "transfer-encoding: chunked"] {
        let answer = format!("HTTP/1.1 204 x\r\n{lines}\r\n\r\n");
        let house = House::open(Upstream::answering(answer));
        for _ in 0..2 {
            let got = house.ask(pull("/pull/users"));
            assert_eq!((got.status(), got.text()), (204, ""));
        }
        assert_eq!(house.upstream.connections(), 2, "{lines}");
    }
}

#[test]
fn a_connection_that_was_closed_while_kept_costs_no_request() {
    let house = House::open(Upstream::scripted(|peer| {
        peer.request();
        peer.send(ok(r#"{"users":[]}"#));
    }));
    for _ in 0..3 {
        assert_eq!(house.ask(pull("/pull/users")).status(), 200);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(house.upstream.connections(), 3);
}

#[test]
fn a_connection_that_nobody_needs_is_closed() {
    let (tell, told) = std::sync::mpsc::channel();
    let house = Plans::limits("upstream-idle = \"100ms\"").open(Upstream::scripted(move |peer| {
        peer.request();
        peer.send(ok(r#"{"users":[]}"#));
        assert!(peer.is_closed());
        tell.send(()).unwrap();
    }));
    assert_eq!(house.ask(pull("/pull/users")).status(), 200);
    told.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[test]
fn no_request_is_sent_twice() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let house = House::open(Upstream::scripted(|peer| {
        let mut first = true;
        while peer.request().is_some() {
            REQUESTS.fetch_add(1, Ordering::SeqCst);
            if !first {
                return;
            }
            first = false;
            peer.send(ok(r#"{"id":"r-1"}"#));
        }
    }));
    let post = push("POST", "/users", "{}");
    assert_eq!(house.ask(&post).status(), 200);
    let got = house.ask(&post);
    assert_eq!((got.status(), &*got.code()), (502, "upstream_broken"));
    assert_eq!(REQUESTS.load(Ordering::SeqCst), 2);
}

#[test]
fn an_upstream_by_name_may_not_lead_inside() {
    let more = r#"
[flow.inside]
caller = "vendor"
at = "/inside"
upstream = "https://localhost:9"
callers = "anyone"
[[flow.inside.route]]
match = "GET /users"
to-vendor = "User"
"#;
    let house = Plans {
        more: more.to_owned(),
        ..Plans::default()
    }
    .open(Upstream::json("{}"));
    let got = house.ask(pull("/inside/users"));
    assert_eq!((got.status(), &*got.code()), (502, "private_address"));
}

#[test]
fn the_callers_own_credentials_go_on_where_the_flow_says_so() {
    let upstream = Upstream::answering("HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n");
    let more = format!(
        r#"
[flow.through]
caller = "vendor"
at = "/through"
upstream = "http://{}"
upstream-auth = "forward"
[[flow.through.route]]
match = "GET /users"
to-vendor = "User"
"#,
        upstream.address
    );
    let house = Plans {
        more,
        ..Plans::default()
    }
    .open(upstream);
    let request = pull("/through/users");
    let got = house.ask(&request);
    assert_eq!((got.status(), &*got.code()), (401, "upstream_error"));
    assert_eq!(got.lines("www-authenticate"), ["Bearer"]);
    let line = request
        .lines()
        .find(|line| line.starts_with("authorization"))
        .unwrap();
    assert_eq!(house.upstream.received_text().matches(line).count(), 1);
    let none = "GET /through/users HTTP/1.1\r\nhost: school.example\r\n\r\n";
    assert_eq!(house.ask(none).code(), "caller_unauthenticated");
}
