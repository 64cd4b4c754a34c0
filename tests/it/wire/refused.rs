//! Refusals before the end of a body, cut requests, and requests in pieces.

use std::net::SocketAddr;
use std::time::Duration;

use super::caller::{Caller, Got};
use super::grammar::{BODY, Case, Class, OWN, Right, chunked, next, numbered, push};
use super::{Bed, DEADLINES, FIRST, Vendor, at_once, exchange_all, right_answer};
use crate::harness::{HOST, PULL_TOKEN, PUSH_TOKEN};

/// Heads that are refused whatever their body is, with the code of the refusal.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn refused_heads() -> Vec<(&'static str, String)> {
    let host = format!("host: {HOST}\r\n");
    let ours = format!("authorization: Bearer {PUSH_TOKEN}\r\n");
    let other = format!("authorization: Bearer {PULL_TOKEN}\r\n");
    let json = "content-type: application/json\r\n";
    let head =
        |first: &str, lines: [&str; 3]| format!("{first} HTTP/1.1\r\n{}{OWN}", lines.concat());
    let evil = "host: evil.example\r\n";
    vec![
        (
            "host_unknown",
            head("POST /push/users", [evil, &ours, json]),
        ),
        (
            "flow_unknown",
            head("POST /nobody/users", [&host, &ours, json]),
        ),
        (
            "route_unknown",
            head("POST /push/nobody", [&host, &ours, json]),
        ),
        (
            "path_invalid",
            head("POST /push/users/%2e%2e", [&host, &ours, json]),
        ),
        (
            "query_invalid",
            head("POST /push/users?x=1", [&host, &ours, json]),
        ),
        (
            "method_not_listed",
            head("DELETE /push/users", [&host, &ours, json]),
        ),
        (
            "method_not_listed",
            head("OPTIONS /push/users", [&host, &ours, json]),
        ),
        (
            "caller_unauthenticated",
            head("POST /push/users", [&host, "", json]),
        ),
        (
            "caller_forbidden",
            head("POST /push/users", [&host, &other, json]),
        ),
        (
            "content_type_unsupported",
            head("POST /push/users", [&host, &ours, ""]),
        ),
        (
            "body_unexpected",
            head("GET /pull/users", [&host, &other, json]),
        ),
        (
            "body_unexpected",
            head("POST /push/start", [&host, &ours, json]),
        ),
        (
            "body_malformed",
            head("POST /push/users", [&host, &ours, json]),
        ),
        (
            "upgrade_requested",
            head("POST /push/users", [&host, &ours, "upgrade: h2c\r\n"]),
        ),
        (
            "expectation_unknown",
            head("POST /push/users", [&host, &ours, "expect: 200-ok\r\n"]),
        ),
    ]
}

/// How a body may hold what looks like a request: the lines about it, and what is sent of it.
fn bodies() -> Vec<(&'static str, String, String)> {
    let hidden = next();
    let length = |length: usize| format!("content-length: {length}\r\n");
    let chunks = || "transfer-encoding: chunked\r\n".to_owned();
    let waits = |lines: String| format!("{lines}expect: 100-continue\r\n");
    vec![
        ("whole", length(hidden.len()), hidden.clone()),
        ("short", length(100_000), hidden.clone()),
        (
            "long",
            length(300_000),
            hidden.repeat(300_000 / hidden.len()),
        ),
        ("awaited", waits(length(hidden.len())), hidden.clone()),
        ("awaited in vain", waits(length(100_000)), hidden.clone()),
        ("in a chunk", chunks(), chunked(&hidden)),
        (
            "in a chunk without end",
            chunks(),
            format!("fffff\r\n{hidden}"),
        ),
        ("in many chunks", chunks(), {
            let pieces: Vec<String> = hidden.chars().map(|it| format!("1\r\n{it}\r\n")).collect();
            pieces.concat() + "0\r\n\r\n"
        }),
        (
            "behind a bad chunk",
            chunks(),
            format!("0x0\r\n\r\n{hidden}"),
        ),
        ("awaited in chunks", waits(chunks()), chunked(&hidden)),
    ]
}

#[test]
fn no_body_of_a_refused_request_is_taken_for_the_next() {
    let bed = Bed::new(right_answer);
    let mut cases = Vec::new();
    for (code, head) in refused_heads() {
        for (how, lines, body) in bodies() {
            let text = format!("{head}{lines}\r\n{body}");
            let case = Case::alone(Class::LineEnd, Right::Refused, how, &text);
            cases.push((code, how, case.smuggling()));
        }
    }
    let only: Vec<Case> = cases.iter().map(|(_, _, case)| case.clone()).collect();
    let outcomes = exchange_all(bed.house.address, &only);
    let seen = bed.vendor.numbered();
    for ((number, (code, how, _)), outcome) in (FIRST..).step_by(2).zip(&cases).zip(outcomes) {
        let at = format!("{code}, {how}");
        for number in [number, number + 1] {
            assert!(!seen.contains_key(&Some(number)), "{at}: forwarded");
        }
        let answer = outcome
            .answers
            .first()
            .unwrap_or_else(|| panic!("{at}: no answer"));
        assert_eq!(outcome.answers.len(), 1, "{at}: {:?}", outcome.answers);
        assert!(
            answer.is_refusal() && answer.oddities.is_empty(),
            "{at}: {answer:?}"
        );
        let twice = how.starts_with("awaited") && *code == "expectation_unknown";
        let doubtful = ["behind a bad chunk", "in a chunk without end"].contains(how) || twice;
        if !doubtful && answer.code().is_some() {
            assert_eq!(answer.code().as_deref(), Some(*code), "{at}");
        }
        assert!(outcome.closed, "{at}: left open");
    }
    bed.search();
}

/// A POST by length, one in chunks and a GET, each with another request behind it.
fn whole_requests() -> Vec<String> {
    let (start, end) = BODY.split_at(20);
    let pieces = format!(
        "{:x}\r\n{start}\r\n{:X}\r\n{end}\r\n0\r\n\r\n",
        start.len(),
        end.len()
    );
    vec![
        push(&format!("content-length: {}\r\n", BODY.len()), BODY),
        push("transfer-encoding: chunked\r\n", &pieces),
        next().replace("MMMMM", "NNNNN"),
    ]
}

/// How a caller goes away in mid-request.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Close,
    Finish,
    Reset,
}

/// Sends some bytes and goes away.
fn send_and_leave(address: SocketAddr, bytes: &[u8], leave: Leave) {
    let mut caller = Caller::new(address);
    caller.send(bytes);
    match leave {
        Leave::Close => {}
        Leave::Finish => {
            caller.finish();
            // A refusal at most, and then the end.
            if let Got::Answer(answer) = caller.next() {
                assert!(answer.is_refusal(), "{answer:?}");
                assert_eq!(caller.next(), Got::Closed);
            }
        }
        Leave::Reset => caller.reset(),
    }
}

#[test]
fn a_request_that_is_cut_anywhere_is_not_forwarded() {
    let bed = Bed::new(right_answer);
    for text in whole_requests() {
        let bytes = numbered(text.as_bytes(), FIRST);
        for end in 0..bytes.len() {
            for leave in [Leave::Close, Leave::Finish, Leave::Reset] {
                send_and_leave(bed.house.address, &bytes[..end], leave);
            }
        }
    }
    let mut honest = Caller::new(bed.house.address);
    honest.send(numbered(next().as_bytes(), FIRST));
    assert_eq!(honest.answered().status, 200);
    assert_eq!(bed.vendor.seen().len(), 1, "something was forwarded");
    bed.search();
}

/// Sends two requests with a pause before byte `end` of them, or at every byte if that is the
/// last; both must be answered.
fn send_in_pieces(address: SocketAddr, bytes: &[u8], end: usize, number: u32) {
    let mut caller = Caller::new(address);
    if end == bytes.len() {
        bytes.iter().for_each(|byte| assert!(caller.send([*byte])));
    } else {
        caller.send(&bytes[..end]);
        std::thread::sleep(Duration::from_millis(2));
        caller.send(&bytes[end..]);
    }
    for number in [number, number + 1] {
        let answer = caller.answered();
        let text = String::from_utf8(answer.body).unwrap();
        let right = answer.status == 200 && answer.whole;
        assert!(right && text.contains(&number.to_string()), "{text}");
    }
}

#[test]
fn a_request_means_the_same_in_whatever_pieces_it_comes() {
    let bed = Bed::with(DEADLINES, Vendor::answering(right_answer));
    let texts: Vec<String> = whole_requests()
        .iter()
        .map(|it| it.clone() + &next())
        .collect();
    let ends = texts
        .iter()
        .flat_map(|text| (1..=text.len()).map(move |end| (text, end)));
    let cases: Vec<(&String, usize)> = ends.collect();
    let numbered_cases: Vec<_> = (FIRST..).step_by(2).zip(&cases).collect();
    let address = bed.house.address;
    let send = |part: &[(u32, &(&String, usize))]| {
        for (number, (text, end)) in part {
            let bytes = numbered(text.as_bytes(), *number);
            send_in_pieces(address, &bytes, *end, *number);
        }
    };
    at_once(numbered_cases.chunks(cases.len().div_ceil(8)), send);
    let seen = bed.vendor.numbered();
    assert_eq!(seen.len(), 2 * cases.len());
    for one in seen.values() {
        assert_eq!((one.len(), bed.foreign(&one[0])), (1, None));
    }
    bed.search();
}
