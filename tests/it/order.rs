//! In which order a request is checked: of two faults, the one that is looked for first is told.
//!
//! Who may not come in learns nothing of what is inside, and a body is read last.

use std::sync::{Mutex, mpsc};

use crate::harness::upstream::ok;
use crate::harness::{HOST, PULL_TOKEN, PUSH_TOKEN, Plans, Upstream, digest};

/// What is looked for, in order.
const ORDER: [&str; 17] = [
    "target_too_long",
    "host_unknown",
    "flow_unknown",
    "caller_unauthenticated",
    "caller_forbidden",
    "address_forbidden",
    "agreement_not_in_force",
    "vendor_observed",
    "objections_unknown",
    "rate_limited",
    "overloaded",
    "route_unknown",
    "method_not_listed",
    "query_invalid",
    "content_type_unsupported",
    "body_too_large",
    "body_malformed",
];

#[test]
fn each_fault_alone_is_told() {
    for fault in ORDER {
        assert_eq!(told(&[fault]), fault);
    }
}

#[test]
fn of_two_faults_the_one_that_is_looked_for_first_is_told() {
    for pair in ORDER.windows(2) {
        assert_eq!(told(pair), pair[0], "{pair:?}");
    }
}

/// What is told of a request with these faults, of which nothing may be forwarded.
fn told(faults: &[&str]) -> String {
    let has = |fault: &str| faults.contains(&fault);
    let under_way = has("overloaded");
    let (asked, ask) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let upstream = Upstream::scripted(move |peer| {
        while peer.request().is_some() {
            asked.send(()).unwrap();
            if under_way {
                answers.lock().unwrap().recv().unwrap_or_default();
            }
            peer.try_send(ok("{}")).unwrap_or_default();
        }
    });
    let house = plans(&upstream, faults).open(upstream);
    let mut before = house.caller();
    if under_way || has("rate_limited") {
        before.send(request(&[]));
    }
    if under_way {
        ask.recv().unwrap();
    } else if has("rate_limited") {
        before.answer();
    }
    let forwarded = house.upstream.received().len();
    let refused = house.ask(request(faults));
    assert_eq!(house.upstream.received().len(), forwarded, "{faults:?}");
    drop(answer);
    refused.code()
}

/// A flow at `/marks`, with these faults.
fn plans(upstream: &Upstream, faults: &[&str]) -> Plans {
    let has = |fault| faults.contains(&fault);
    let when = |fault, text: &'static str| if has(fault) { text } else { "" };
    let more = format!(
        r#"
{except}
[limits]
{rate}
[flow.marks]
caller = "vendor"
at = "/marks"
upstream = "http://{upstream}"
callers = [{{ token-sha256 = "{token}" }}]
{ranges}
[[flow.marks.route]]
match = "POST /of/{{number:int}}"
from-vendor = "Mark"
to-vendor = "Receipt"
[shape.Mark]
grade = "keep:int"
"#,
        except = when(
            "objections_unknown",
            "[except]\npupil = \"there-is-none.txt\""
        ),
        rate = when("rate_limited", "rate = \"1/min\""),
        ranges = when("address_forbidden", "ip-ranges = [\"203.0.113.0/24\"]"),
        upstream = upstream.address,
        token = digest(PULL_TOKEN),
    );
    let until = match has("agreement_not_in_force") {
        true => "2020-07-31",
        false => "2099-12-31",
    };
    Plans {
        limits: when("overloaded", "requests-per-vendor = 1").to_owned(),
        vendor: when("vendor_observed", "mode = \"observe\"").to_owned(),
        valid: format!("{{ from = 2020-01-01, until = {until} }}"),
        more,
        ..Plans::default()
    }
}

/// A request with these faults.
fn request(faults: &[&str]) -> String {
    let has = |fault| faults.contains(&fault);
    let or = |fault, bad: &'static str, good| if has(fault) { bad } else { good };
    let long = "7".repeat(if has("target_too_long") { 8 << 10 } else { 1 });
    let host = or("host_unknown", "other.example", HOST);
    let at = or("flow_unknown", "/nobody", "/marks");
    let method = or("method_not_listed", "DELETE", "POST");
    let of = or("route_unknown", "nowhere", "of");
    let query = or("query_invalid", "?zzq=1", "");
    let ours = or("caller_forbidden", PUSH_TOKEN, PULL_TOKEN);
    let token = or("caller_unauthenticated", "zzq-stranger", ours);
    let content_type = or("content_type_unsupported", "text/csv", "application/json");
    let body = or("body_malformed", "{\"zzq\"", r#"{"grade":7}"#);
    let length = body.len() + if has("body_too_large") { 1 << 40 } else { 0 };
    format!(
        "{method} {at}/{of}/{long}{query} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
