//! Slow, stuck and vanishing peers on both sides, many at once, and none that harms another.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::caller::{Answer, Caller, Got};
use super::grammar::{BODY, next, numbered, push};
use super::vendor::{Seen, Step, Vendor};
use super::{Bed, DEADLINES, FIRST, NO_REST, at_once, exchange, right_answer};
use crate::harness::upstream::ok;
use crate::harness::{HOST, Markers, Plans};

/// Longer than any deadline of these tests, shorter than the defaults.
const SLOW: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(20);

/// A pull with that number.
fn pull(number: u32) -> Vec<u8> {
    numbered(next().replace("MMMMM", "NNNNN").as_bytes(), number)
}

fn assert_right(answer: &Answer, number: u32) {
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let right = format!(r#"{{"users":[{{"grade":{number}}}]}}"#);
    assert_eq!((answer.status, answer.whole, text), (200, true, right));
}

/// Asks honestly over and over while `others` do what they do.
fn others_are_served_meanwhile(bed: &Bed, others: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let others = scope.spawn(others);
        let mut served = 0;
        while !others.is_finished() {
            let begun = Instant::now();
            let number = 50_000 + served % 40_000;
            let mut caller = Caller::new(bed.house.address);
            caller.send(pull(number));
            assert_right(&caller.answered(), number);
            assert!(begun.elapsed() < SLOW, "an honest caller waits");
            served += 1;
        }
        others.join().unwrap();
        assert!(served > 0);
    });
}

/// What a vendor does to be slow, and then never gets on.
fn slow_answers() -> Vec<(&'static str, Vec<Step>)> {
    let whole = ok(&format!(
        r#"{{"users":[{{"grade":{FIRST},"name":"Vendor-zzq"}}]}}"#
    ));
    let cut = |end: usize| Step::Send(whole.as_bytes()[..end].to_vec());
    let head = whole.find("\r\n\r\n").unwrap() + 4;
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(5_000));
    let hints = "HTTP/1.1 103 x\r\n\r\n".repeat(1_000);
    let [begin, rest] = trickling_answer();
    vec![
        ("a body that trickles", vec![begin, rest]),
        ("not a word", vec![Step::Hold]),
        ("one byte", vec![cut(1), Step::Hold]),
        ("half a head", vec![cut(40), Step::Hold]),
        ("a head alone", vec![cut(head), Step::Hold]),
        ("all but a byte", vec![cut(whole.len() - 1), Step::Hold]),
        (
            "a head that trickles",
            vec![Step::Trickle(long.into_bytes(), PAUSE)],
        ),
        (
            "hints that trickle",
            vec![Step::Trickle(hints.into_bytes(), PAUSE)],
        ),
    ]
}

/// An answer that is right, of which a byte comes now and then: what comes at once, and the rest.
fn trickling_answer() -> [Step; 2] {
    let users = format!(r#"{{"users":[{{"grade":{FIRST},"name":"Vendor-zzq"}}]"#);
    let whole = ok(&(users + &" ".repeat(5_000) + "}"));
    let (begin, rest) = whole.split_at(whole.find(']').unwrap());
    let rest = Step::Trickle(rest.as_bytes().to_vec(), PAUSE);
    [Step::Send(begin.as_bytes().to_vec()), rest]
}

#[test]
fn a_vendor_that_trickles_after_its_first_bytes_went_on_is_cut_off() {
    let bed = Bed::with(
        "hold-back = 0\nupstream-body-total = \"300ms\"\n",
        Vendor::answering(|_: &Seen| trickling_answer().to_vec()),
    );
    let begun = Instant::now();
    let mut caller = Caller::new(bed.house.address);
    caller.send(pull(FIRST));
    let Got::Answer(answer) = caller.next() else {
        panic!("no answer came")
    };
    assert_eq!((answer.status, answer.whole), (200, false));
    assert!(begun.elapsed() < SLOW, "{:?}", begun.elapsed());
    bed.house.await_log("upstream_timeout");
    let metrics = bed.house.metrics();
    let aborts = "sluis_aborts_total{reason=\"upstream_timeout\"";
    assert!(metrics.contains(aborts), "{metrics}");
    bed.search();
}

#[test]
fn slow_vendors_are_given_up_in_time_and_cost_nobody_else() {
    let limits = format!(
        "{NO_REST}{DEADLINES}upstream-head-time = \"500ms\"\nupstream-body-idle = \"500ms\"\n\
         upstream-body-total = \"1s\""
    );
    let manners = slow_answers();
    let theirs = slow_answers();
    let answer = move |seen: &Seen| {
        let number = seen.number().unwrap();
        let place = usize::try_from(number - FIRST).unwrap();
        match theirs.get(place % theirs.len()) {
            Some((_, steps)) if number < 50_000 => steps.clone(),
            Some(_) | None => right_answer(seen),
        }
    };
    let bed = Bed::with(&limits, Vendor::answering(answer));
    let address = bed.house.address;
    let wait = |(name, number): (&str, u32)| {
        let begun = Instant::now();
        let mut caller = Caller::new(address);
        caller.send(pull(number));
        assert_eq!(caller.answered().status, 504, "{name}");
        assert!(begun.elapsed() < SLOW, "{name}");
    };
    let names = manners.iter().map(|(name, _)| *name).cycle();
    let callers = names.zip(FIRST..).take(manners.len() * 4);
    others_are_served_meanwhile(&bed, || at_once(callers, wait));
    bed.search();
}

/// What a caller does to be slow: what it sends at once, and what it sends bit by bit.
type SlowRequest = (&'static str, Vec<u8>, Vec<u8>);

fn slow_requests() -> Vec<SlowRequest> {
    let whole = push(&format!("content-length: {}\r\n", BODY.len()), BODY);
    let whole = whole.replace("NNNNN", "10000");
    let chunked = push(
        "transfer-encoding: chunked\r\n",
        &"1\r\n \r\n".repeat(1_000),
    );
    let head = whole.find("\r\n\r\n").unwrap() + 4;
    let long = format!(
        "GET /pull/users HTTP/1.1\r\nhost: {HOST}\r\nx: {}",
        "a".repeat(5_000)
    );
    let trickling = push("content-length: 5000\r\n", &" ".repeat(4_999));
    let split = |text: &str, end: usize| {
        let (at_once, slowly) = text.as_bytes().split_at(end);
        (at_once.to_vec(), slowly.to_vec())
    };
    let only = |end: usize| (whole.as_bytes()[..end].to_vec(), Vec::new());
    [
        ("one byte", only(1)),
        ("half a head", only(head / 2)),
        ("all but the last byte of a head", only(head - 1)),
        ("a head alone", only(head)),
        ("half a body", only(head + 20)),
        ("all but the last byte", only(whole.len() - 1)),
        ("a head that trickles", split(&long, 0)),
        ("a body that trickles", split(&trickling, head + 2)),
        ("chunks that trickle", split(&chunked, head + 2)),
    ]
    .map(|(name, (at_once, slowly))| (name, at_once, slowly))
    .to_vec()
}

#[test]
fn slow_callers_are_let_go_in_time_and_cost_nobody_else() {
    let limits = format!("{DEADLINES}body-total = \"1s\"");
    let bed = Bed::with(&limits, Vendor::answering(right_answer));
    let address = bed.house.address;
    let trickle = |(name, at_once, slowly): SlowRequest| {
        let begun = Instant::now();
        let mut caller = Caller::new(address);
        caller.send(at_once);
        for byte in slowly {
            if !caller.send([byte]) || begun.elapsed() > SLOW {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        if let Got::Answer(answer) = caller.next() {
            assert_eq!(answer.status, 408, "{name}");
        }
        assert!(begun.elapsed() < SLOW, "{name}");
        assert_eq!(caller.next(), Got::Closed, "{name}");
    };
    others_are_served_meanwhile(&bed, || at_once(slow_requests().into_iter(), trickle));
    let slow = |seen: &Seen| seen.number().is_none_or(|number| number < 50_000);
    assert!(
        !bed.vendor.seen().iter().any(slow),
        "a slow one was forwarded"
    );
    bed.search();
}

#[test]
fn a_caller_that_was_refused_and_never_pauses_is_let_go_too() {
    let bed = Bed::with(DEADLINES, Vendor::answering(right_answer));
    let head = push("content-length: 60000000000\r\n", "");
    let mut caller = Caller::new(bed.house.address);
    caller.send(head);
    let begun = Instant::now();
    // It is read on for a second, so that it gets to read why.
    while caller.send(vec![b' '; 1 << 20]) {
        assert!(begun.elapsed() < SLOW, "it is read on and on");
    }
    assert_eq!(bed.vendor.seen().len(), 0);
    bed.search();
}

/// When a caller goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// With half of a long body on its way.
    InBody,
    /// With nothing answered yet.
    Waiting,
    /// With half of an answer read.
    InAnswer,
}

/// Begins a request, and goes away in the middle of it.
fn begin_and_go(bed: &Bed, stage: Stage, round: u32) {
    let number = 12_000 + 3 * round;
    let mut caller = Caller::new(bed.house.address);
    match stage {
        Stage::InBody => {
            let cut = push("content-length: 900000\r\n", &BODY[..60]);
            caller.send(numbered(cut.as_bytes(), number));
            caller.send(vec![b' '; 100_000]);
        }
        Stage::Waiting => {
            let before = bed.vendor.seen_of(number + 1).len();
            caller.send(pull(number + 1));
            bed.vendor.await_seen_of(number + 1, before + 1);
        }
        Stage::InAnswer => {
            caller.send(pull(number + 2));
            assert!(caller.some(), "no first byte");
        }
    }
    if round.is_multiple_of(2) {
        caller.reset();
    }
}

#[test]
fn a_caller_that_goes_away_takes_its_request_with_it_and_nothing_else() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n\
                {\"users\":[{\"grade\":1,\"name\":\"Vendor-zzq\"},";
    let bed = Bed::with(
        "hold-back = 0\n",
        Vendor::answering(|seen: &Seen| match seen.number().unwrap() % 3 {
            0 => right_answer(seen),
            1 => vec![Step::Hold],
            _ => vec![Step::Send(half.into()), Step::Hold],
        }),
    );
    let rounds = 12;
    for round in 0..rounds {
        for stage in [Stage::InBody, Stage::Waiting, Stage::InAnswer] {
            begin_and_go(&bed, stage, round);
        }
        let number = 30_000 + 3 * round;
        let outcome = exchange(bed.house.address, &closing(number));
        assert_right(&outcome.answers[0], number);
    }
    bed.vendor
        .await_closed(usize::try_from(2 * rounds).unwrap());
    for (number, seen) in bed.vendor.numbered() {
        assert_eq!(seen.len(), 1, "{number:?} was sent again");
        let odd = seen[0].whole.then(|| bed.foreign(&seen[0])).flatten();
        assert_eq!(odd, None);
    }
    bed.search();
}

/// A pull that is the last on its connection.
fn closing(number: u32) -> Vec<u8> {
    let text = String::from_utf8(pull(number)).unwrap();
    text.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

/// Pushes a long body that never ends, until something comes back.
fn push_without_end(bed: &Bed) {
    let head = push("content-length: 2000000\r\n", &BODY[..60]);
    let mut caller = Caller::new(bed.house.address);
    caller.send(numbered(head.as_bytes(), FIRST));
    let mut piece = || caller.send(vec![b' '; 100_000]) && !caller.some_within(PAUSE);
    while piece() {}
    if let Got::Answer(answer) = caller.next() {
        let right = answer.whole && answer.body == b"{\"id\":\"r-10000\"}";
        let good = right || answer.is_refusal() || !answer.whole;
        assert!(good, "{answer:?}");
    }
}

/// Has a vendor answer each push before its end, and say `last` then.
fn answered_early(answer: &str, last: &[Step]) {
    let steps = [&[Step::Send(answer.into())], last].concat();
    let early = move |seen: &Seen| match seen.method() {
        b"POST" => steps.clone(),
        _ => Vec::new(),
    };
    let bed = Bed::with("hold-back = 0\n", Vendor::with(early, right_answer));
    for _ in 0..3 {
        push_without_end(&bed);
        let outcome = exchange(bed.house.address, &closing(20_000));
        assert_right(&outcome.answers[0], 20_000);
    }
    let (posts, others): (Vec<Seen>, Vec<Seen>) = {
        let seen = bed.vendor.seen().into_iter();
        seen.partition(|it| it.method() == b"POST")
    };
    assert!(posts.len() <= 3 && posts.iter().all(|it| !it.whole));
    let reused = |it: &Seen| posts.iter().any(|post| post.connection == it.connection);
    assert!(!others.iter().any(reused), "used again in mid-request");
    bed.search();
}

#[test]
fn an_answer_before_the_request_is_whole_does_no_harm() {
    let json = "content-type: application/json\r\n";
    let name = r#"{"name":"Vendor-zzq"}"#;
    let length = name.len();
    let refused = format!("HTTP/1.1 413 x\r\n{json}content-length: {length}\r\n\r\n{name}");
    let right = ok(r#"{"id":"r-10000","name":"Vendor-zzq"}"#);
    for answer in [right, refused] {
        for last in [&[][..], &[Step::Close], &[Step::Reset], &[Step::Hold]] {
            answered_early(&answer, last);
        }
    }
}

/// A second vendor, on another flow, at another address.
const SECOND: &str = r#"
[flow.second]
caller = "vendor"
at = "/second"
upstream = "http://OTHER"
callers = "anyone"
[[flow.second.route]]
match = "GET /users"
query = { limit = "int" }
to-vendor = { users = "Second[]" }
[shape.Second]
grade = "keep:int"
"#;

/// The bytes of an answer.
fn flat(steps: &[Step]) -> Vec<u8> {
    let sent = steps.iter().map(|step| match step {
        Step::Send(bytes) | Step::Trickle(bytes, _) => bytes.clone(),
        Step::Close | Step::Hold | Step::Reset | Step::Wait(_) => Vec::new(),
    });
    sent.collect::<Vec<_>>().concat()
}

/// What the second vendor makes of a number.
const SECONDS: u32 = 40_000;

/// Asks now the one, now the other.
fn ask_both(address: SocketAddr, numbers: impl Iterator<Item = u32>) {
    let mut caller = Caller::new(address);
    for number in numbers {
        let (flow, given) = match (number / 16) % 2 {
            0 => ("/pull/", number),
            _ => ("/second/", number + SECONDS),
        };
        let asked = String::from_utf8(pull(number)).unwrap();
        caller.send(asked.replace("/pull/", flow));
        if number % 11 == 3 {
            // Whoever comes next must not get this answer.
            caller = Caller::new(address);
            continue;
        }
        let answer = caller.answered();
        match number % 13 {
            7 => assert_eq!(answer.status, 502),
            _ => assert_right(&answer, given),
        }
    }
}

#[test]
fn two_vendors_at_once_get_and_give_only_what_is_theirs() {
    let sometimes = |seen: &Seen, answer: Vec<Step>| match seen.number().unwrap() % 13 {
        5 => vec![Step::Trickle(flat(&answer), Duration::ZERO)],
        7 => vec![
            Step::Send(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
            Step::Reset,
        ],
        _ => answer,
    };
    let first = Vendor::answering(move |seen| sometimes(seen, right_answer(seen)));
    let (second, upstream) = Vendor::answering(move |seen| {
        let number = seen.number().unwrap() + SECONDS;
        let body = format!(r#"{{"users":[{{"grade":{number},"name":"Second-zzq"}}]}}"#);
        sometimes(seen, vec![Step::Send(ok(&body).into_bytes())])
    });
    let file = SECOND.replace("OTHER", &upstream.address.to_string());
    let house = Plans {
        second: Some(Box::leak(file.into_boxed_str())),
        limits: "requests-per-vendor = 1000".to_owned(),
        threads: 2,
        ..Plans::default()
    }
    .open(first.1);
    at_once(0..16, |thread| {
        ask_both(house.address, (FIRST + thread..).step_by(16).take(60));
    });
    let only = |vendor: &Vendor, path: &str| {
        for seen in vendor.seen() {
            let line = format!("GET {path}limit=");
            assert!(
                seen.head.starts_with(line.as_bytes()) && seen.oddities.is_empty(),
                "{seen:?}"
            );
        }
    };
    only(&first.0, "/api/users?");
    only(&second, "/users?");
    let (got, theirs) = (house.told(), [first.0.bytes(), second.bytes()].concat());
    let markers = Markers::of(&["Vendor-zzq", "Second-zzq", crate::harness::PULL_TOKEN]);
    house.search(&markers, &[("callers", &got), ("vendors", &theirs)]);
}

#[test]
fn beyond_its_limit_a_vendor_gets_no_more_and_callers_are_told_when_to_come_back() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&gate);
    let answer = move |seen: &Seen| {
        let open = theirs.0.lock().unwrap();
        drop(theirs.1.wait_while(open, |open| !*open).unwrap());
        right_answer(seen)
    };
    let bed = Bed::with("requests-per-vendor = 4\n", Vendor::answering(answer));
    let mut callers: Vec<(u32, Caller)> = (FIRST..FIRST + 4)
        .map(|number| {
            let mut caller = Caller::new(bed.house.address);
            caller.send(pull(number));
            (number, caller)
        })
        .collect();
    bed.vendor.await_seen(4);
    for number in 20_000..20_040 {
        let outcome = exchange(bed.house.address, &closing(number));
        let answer = &outcome.answers[0];
        assert_eq!(answer.code().as_deref(), Some("overloaded"));
        assert_eq!(
            (answer.status, answer.lines("retry-after")),
            (503, vec!["1".to_owned()])
        );
    }
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for (number, caller) in &mut callers {
        assert_right(&caller.answered(), *number);
    }
    assert_eq!(bed.vendor.seen().len(), 4);
    let outcome = exchange(bed.house.address, &closing(30_000));
    assert_right(&outcome.answers[0], 30_000);
    bed.search();
}

/// Holds so many connections that say nothing, and asks meanwhile.
fn silence_hinders_nobody(count: u32) {
    let limits = "connections = 50000\nconnections-per-client = 50000\n";
    let bed = Bed::with(limits, Vendor::answering(right_answer));
    let silent = (0..count).map(|_| Caller::new(bed.house.address));
    let _silent: Vec<Caller> = silent.collect();
    for number in (FIRST..).take(20) {
        let begun = Instant::now();
        let outcome = exchange(bed.house.address, &closing(number));
        assert_right(&outcome.answers[0], number);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    let page = bed.house.events.metrics_page();
    let gauge = page
        .lines()
        .find_map(|line| line.strip_prefix("sluis_connections_open "));
    let open: f64 = gauge.unwrap().parse().unwrap();
    assert!(open >= f64::from(count), "{open} are open");
    bed.search();
}

#[test]
fn five_hundred_silent_connections_hinder_nobody() {
    silence_hinders_nobody(500);
}

#[test]
#[ignore = "takes 20,000 descriptors"]
fn long_nine_thousand_silent_connections_hinder_nobody() {
    silence_hinders_nobody(9_000);
}
