//! A school pushes: what the vendor gets of the school's request.

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, PUSH_TOKEN, UPSTREAM_TOKEN, Upstream, push};

const BODY: &str = r#"{"users":[{"sourcedId":"pupil-zzq-901","grade":7,"givenName":"Fenna-zzq-given"}],
    "secret-zzq-key":["secret-zzq-value"]}"#;

fn markers() -> Markers {
    Markers::of(&[
        "pupil-zzq-901",
        "Fenna-zzq-given",
        "secret-zzq-key",
        "secret-zzq-value",
    ])
}

/// What the upstream got of one request on a connection of its own.
fn received(house: &House) -> Message {
    let text = house.upstream.received_text();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Message {
        head: head.to_owned(),
        body: body.as_bytes().to_vec(),
        whole: true,
    }
}

#[test]
fn a_vendor_gets_a_request_of_our_own_making() {
    markers().assert_present("the body", BODY.as_bytes());
    let house = House::open(Upstream::json(r#"{"id":"r-1","status":"queued","zzq":1}"#));
    let answer = house.ask(push("POST", "/users", BODY));
    assert_eq!(
        (answer.status(), answer.text()),
        (200, r#"{"id":"r-1","status":"queued"}"#)
    );
    let got = received(&house);
    assert!(
        got.head.starts_with("POST /users HTTP/1.1\r\n"),
        "{}",
        got.head
    );
    let names = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "via",
    ];
    assert_eq!(got.names(), names);
    assert_eq!(
        got.lines("authorization"),
        [format!("Bearer {UPSTREAM_TOKEN}")]
    );
    let json = got.json();
    assert_eq!(json["users"][0]["grade"], 7);
    assert_eq!(json["users"][0].as_object().unwrap().len(), 2);
    assert_eq!(json.as_object().unwrap().len(), 1);
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
    let tokens = Markers::of(&[PUSH_TOKEN, UPSTREAM_TOKEN]);
    house.search(&tokens, &[("what the school got", answer.head.as_bytes())]);
}

/// What says something about the caller's network, browser or session; nothing of it goes on.
const DIRTY: &str = "cookie: session=zzq-cookie\r\nuser-agent: zzq-agent\r\n\
    x-forwarded-for: 203.0.113.9\r\nx-forwarded-host: zzq-host.example\r\n\
    x-forwarded-proto: zzq-proto\r\nforwarded: for=zzq-forwarded\r\nx-real-ip: 203.0.113.10\r\n\
    referer: https://zzq-referer.example/\r\norigin: https://zzq-origin.example\r\n\
    accept-language: nl-zzq\r\nx-request-id: zzq-request\r\nx-correlation-id: zzq-correlation\r\n\
    traceparent: 00-zzq-trace\r\ntracestate: zzq=state\r\nbaggage: zzq=baggage\r\n\
    if-match: \"zzq-match\"\r\nif-none-match: \"zzq-none-match\"\r\n\
    if-modified-since: Mon, 30 Nov 2026 12:00:00 GMT\r\nrange: bytes=0-99\r\n\
    connection: authorization, content-type, x-zzq\r\n\
    via: 1.1 zzq-via\r\nx-zzq: zzq-unknown\r\n";

#[test]
fn nothing_of_the_callers_network_or_browser_reaches_a_vendor() {
    let house = House::open(Upstream::json(r#"{"id":"r-1"}"#));
    let request = push("POST", "/start", "").replacen("\r\n\r\n", &format!("\r\n{DIRTY}\r\n"), 1);
    assert_eq!(house.ask(request).status(), 200);
    let upstream = house.upstream.address;
    let got = received(&house);
    let mut lines: Vec<&str> = got.head.lines().collect();
    lines.sort_unstable();
    let host = format!("host: {upstream}");
    let token = format!("authorization: Bearer {UPSTREAM_TOKEN}");
    let ours = [
        "POST /start HTTP/1.1",
        "accept-encoding: identity",
        "accept: application/json",
        &token,
        "content-length: 0",
        &host,
        "user-agent: sluis",
        "via: 1.1 sluis",
    ];
    assert_eq!(lines, ours);
    let address = Markers::of(&["203.0.113."]);
    house.search(
        &address,
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn an_identifier_in_a_path_leaves_as_the_pseudonym_that_it_has_in_a_body() {
    let house = House::open(Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n"));
    let body = r#"{"sourcedId":"pupil-zzq-901","grade":7}"#;
    let answer = house.ask(push("PUT", "/users/pupil-zzq-901", body));
    assert_eq!((answer.status(), answer.text()), (204, ""));
    let got = received(&house);
    let pseudonym = got.json()["sourcedId"].as_str().unwrap().to_owned();
    assert!(
        got.head
            .starts_with(&format!("PUT /users/{pseudonym} HTTP/1.1\r\n")),
        "{}",
        got.head
    );
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn a_body_that_comes_in_chunks_leaves_whole() {
    let house = House::open(Upstream::json(r#"{"id":"r-1"}"#));
    let mut caller = house.caller();
    caller.send(format!(
        "POST /push/users HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {PUSH_TOKEN}\r\n\
         content-type: application/json; charset=UTF-8\r\ntransfer-encoding: chunked\r\n\
         trailer: x-zzq\r\n\r\n"
    ));
    for piece in BODY.as_bytes().chunks(7) {
        caller.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    caller.send("0\r\nx-zzq: secret-zzq-trailer\r\n\r\n");
    assert_eq!(caller.answer().status(), 200);
    let got = received(&house);
    assert_eq!(got.lines("content-length"), [got.body.len().to_string()]);
    assert_eq!(got.json()["users"][0]["grade"], 7);
    let trailer = Markers::of(&["secret-zzq-trailer"]);
    house.search(
        &trailer,
        &[("what the vendor got", &house.upstream.received())],
    );
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
    caller.send(push("POST", "/users", BODY));
    assert_eq!(caller.answer().status(), 200, "the connection goes on");
}

#[test]
fn a_request_without_a_body_says_so() {
    let house = House::open(Upstream::json(r#"{"id":"r-1"}"#));
    assert_eq!(house.ask(push("POST", "/start", "")).status(), 200);
    let got = received(&house);
    assert_eq!(
        (got.lines("content-length"), got.lines("content-type")),
        (vec!["0"], vec![])
    );
}

#[test]
fn expect_100_continue_is_answered_once_the_body_is_wanted() {
    let house = House::open(Upstream::answering(ok(r#"{"id":"r-1"}"#)));
    let request = push("POST", "/users", BODY);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut caller = house.caller();
    caller.send(format!("{head}\r\nexpect: 100-continue\r\n\r\n"));
    assert_eq!(caller.head().unwrap().status(), 100);
    caller.send(body);
    assert_eq!(caller.answer().status(), 200);
    let mut stranger = house.caller();
    stranger.send(format!(
        "POST /push/users HTTP/1.1\r\nhost: {HOST}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 9\r\n\r\n"
    ));
    assert_eq!(
        stranger.answer().status(),
        401,
        "a stranger is not asked for a body"
    );
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}
