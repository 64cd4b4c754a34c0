//! What vendors answer: every odd form of every part of an answer, cut at every byte.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Answer;
use super::grammar::{
    CODINGS, Case, Class, Right, chunk_ends, chunk_lines, chunked, next, numbered, odd_lengths,
    utf8_only_if_wide,
};
use super::vendor::{Seen, Step, Vendor, is_token};
use super::{Bed, FIRST, NO_REST, ODD_ENDS, exchange, exchange_all, right_answer};

/// The body of the right answer.
const BODY: &str = r#"{"users":[{"grade":NNNNN,"name":"Vendor-zzq"}]}"#;
const JSON: &str = "content-type: application/json\r\n";

/// One way to answer, and what must come of it: [`Right::Closed`] is an answer that is broken, and
/// the last one on its connection; [`Right::Refused`] one that is told apart well, and not passed.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) name: String,
    right: Right,
    steps: Vec<Step>,
}

impl Kind {
    /// An answer; behind a broken one the connection ends.
    fn new(right: Right, name: impl Into<String>, text: &str) -> Self {
        let send = Step::Send(bytes(text));
        let steps = match right {
            Right::Closed => vec![send, Step::Close],
            Right::Either | Right::Refused | Right::Served => vec![send],
        };
        Self {
            name: name.into(),
            right,
            steps,
        }
    }
}

/// One byte for each character.
fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|it| u8::try_from(u32::from(it)).unwrap())
        .collect()
}

/// An answer of 200 with these lines besides its type.
fn with(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{JSON}{lines}\r\n{body}")
}

fn length() -> String {
    format!("content-length: {}\r\n", BODY.len())
}

fn whole() -> String {
    with(&length(), BODY)
}

fn in_chunks() -> String {
    let (start, end) = BODY.split_at(12);
    let body = format!(
        "{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n",
        start.len(),
        end.len()
    );
    with("transfer-encoding: chunked\r\n", &body)
}

/// All ways to answer.
pub(super) fn all() -> Vec<Kind> {
    let parts = malformed().into_iter().flat_map(|(_, kinds)| kinds);
    let others = [
        good(),
        types(),
        statuses(),
        informational(),
        sizes(),
        surplus(),
    ];
    parts.chain(others.concat()).collect()
}

/// Each part of an answer in every odd form, broken ones among them.
fn malformed() -> [(&'static str, Vec<Kind>); 7] {
    [
        ("cut at every byte", cut()),
        ("lengths", lengths()),
        ("transfer codings", codings()),
        ("chunks and trailers", chunks()),
        ("line ends", line_ends()),
        ("first lines", first_lines()),
        ("header lines", header_lines()),
    ]
}

/// What no caller may take for a whole answer, and what it is about.
pub(super) fn broken() -> Vec<(&'static str, Kind)> {
    let parts = malformed().into_iter();
    let each = parts.flat_map(|(what, kinds)| kinds.into_iter().map(move |kind| (what, kind)));
    each.filter(|(_, kind)| kind.right == Right::Closed)
        .collect()
}

pub(super) fn good() -> Vec<Kind> {
    let kept = |name: &str, text: &str| Kind {
        name: name.to_owned(),
        right: Right::Served,
        steps: vec![Step::Send(bytes(text))],
    };
    let slow = |name: &str, text: &str| Kind {
        name: name.to_owned(),
        right: Right::Served,
        steps: vec![Step::Trickle(bytes(text), Duration::ZERO)],
    };
    vec![
        kept("by length", &whole()),
        kept("in chunks", &in_chunks()),
        slow("by length, byte by byte", &whole()),
        slow("in chunks, byte by byte", &in_chunks()),
        Kind {
            name: "to the end".to_owned(),
            right: Right::Served,
            steps: vec![Step::Send(bytes(&with("", BODY))), Step::Close],
        },
        Kind::new(
            Right::Served,
            "closing",
            &with(&format!("{}connection: close\r\n", length()), BODY),
        ),
        Kind::new(
            Right::Served,
            "1.0 by length",
            &whole().replace("HTTP/1.1", "HTTP/1.0"),
        ),
        // Well formed, and not taken: what is cut looks the same.
        Kind::new(
            Right::Closed,
            "1.0 to the end",
            &with("", BODY).replace("HTTP/1.1", "HTTP/1.0"),
        ),
        Kind::new(
            Right::Either,
            "without a reason",
            &whole().replace("200 OK", "200 "),
        ),
        Kind::new(
            Right::Either,
            "without a blank",
            &whole().replace("200 OK", "200"),
        ),
    ]
}

/// Cut at every byte, with an orderly end and with a reset.
fn cut() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (how, text) in [
        ("by length", whole()),
        ("in chunks", in_chunks()),
        ("to the end", with("", BODY)),
    ] {
        for end in 0..text.len() {
            for last in [Step::Close, Step::Reset] {
                kinds.push(Kind {
                    name: format!("{how}, cut at {end}, {last:?}"),
                    right: Right::Closed,
                    steps: vec![Step::Send(bytes(&text[..end])), last],
                });
            }
        }
    }
    kinds
}

fn lengths() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let good = length();
    for form in odd_lengths(BODY.len()) {
        let odd = format!("Content-Length: {form}\r\n");
        for lines in [odd.clone(), odd.clone() + &good, good.clone() + &odd] {
            let name = format!("the lengths {lines:?}");
            kinds.push(Kind::new(Right::Closed, name, &with(&lines, BODY)));
        }
    }
    for lines in [good.repeat(2), good.clone() + "content-length: 1\r\n"] {
        let name = format!("the lengths {lines:?}");
        kinds.push(Kind::new(Right::Closed, name, &with(&lines, BODY)));
    }
    for length in [BODY.len() + 1, BODY.len() + 100_000, 1 << 40] {
        let lines = format!("content-length: {length}\r\n");
        kinds.push(Kind::new(Right::Closed, "too short", &with(&lines, BODY)));
    }
    kinds
}

fn codings() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let good = "transfer-encoding: chunked\r\n".to_owned();
    for form in CODINGS {
        let odd = format!("Transfer-Encoding: {}\r\n", utf8_only_if_wide(form));
        for lines in [odd.clone(), odd.clone() + &good, good.clone() + &odd] {
            let name = format!("the codings {lines:?}");
            kinds.push(Kind::new(
                Right::Closed,
                name,
                &with(&lines, &chunked(BODY)),
            ));
        }
    }
    for length in [0, 1, BODY.len(), chunked(BODY).len()] {
        let length = format!("content-length: {length}\r\n");
        for lines in [length.clone() + &good, good.clone() + &length] {
            let name = format!("the framings {lines:?}");
            kinds.push(Kind::new(
                Right::Closed,
                name,
                &with(&lines, &chunked(BODY)),
            ));
        }
    }
    let old = in_chunks().replace("HTTP/1.1", "HTTP/1.0");
    kinds.push(Kind::new(Right::Closed, "1.0 in chunks", &old));
    kinds
}

fn chunks() -> Vec<Kind> {
    let bodies = [chunk_lines(BODY), chunk_ends(BODY)].concat();
    let each = bodies.into_iter().map(|(right, name, body)| {
        Kind::new(right, name, &with("transfer-encoding: chunked\r\n", &body))
    });
    each.collect()
}

fn line_ends() -> Vec<Kind> {
    let text = whole();
    let ends: Vec<usize> = text.match_indices("\r\n").map(|(at, _)| at).collect();
    let mut kinds = Vec::new();
    for odd in ODD_ENDS {
        for (line, at) in ends.iter().enumerate() {
            let text = format!("{}{odd}{}", &text[..*at], &text[at + 2..]);
            let name = format!("line {line} ends with {odd:?}");
            kinds.push(Kind::new(Right::Closed, name, &text));
        }
        let name = format!("all lines end with {odd:?}");
        kinds.push(Kind::new(Right::Closed, name, &text.replace("\r\n", odd)));
    }
    for before in ["\r\n", "\n", "\0", " ", "x", "\u{ef}\u{bb}\u{bf}"] {
        let name = format!("{before:?} before it");
        kinds.push(Kind::new(Right::Closed, name, &format!("{before}{text}")));
    }
    kinds
}

fn first_lines() -> Vec<Kind> {
    let rest = whole().split_once("\r\n").unwrap().1.to_owned();
    let odd = [
        "HTTP/0.9 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/2 200 OK",
        "HTTP/1 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1x 200 OK",
        "HTTP/1.01 200 OK",
        "HTTP/11.1 200 OK",
        "ICY 200 OK",
        "HTTPS/1.1 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 2 OK",
        "200 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 +200 OK",
        "HTTP/1.1 0200 OK",
        "HTTP/1.1 2e2 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 600 OK",
        "HTTP/1.1 999 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200\0OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 200 O\u{7f}K",
        "HTTP /1.1 200 OK",
        "",
        "SSH-2.0-OpenSSH_9.6",
        "GET / HTTP/1.1",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}F",
        "<html>",
        "{\"users\":[]}",
    ];
    let each = odd.into_iter().map(|first| {
        let name = format!("the first line {first:?}");
        Kind::new(Right::Closed, name, &format!("{first}\r\n{rest}"))
    });
    let bare = Kind::new(Right::Closed, "a body without a head", BODY);
    each.chain([bare]).collect()
}

fn header_lines() -> Vec<Kind> {
    let mut kinds = Vec::new();
    let mut add = |right, line: &str| {
        let short: String = line.chars().take(30).collect();
        let name = format!("the line {short:?}");
        kinds.push(Kind::new(
            right,
            name,
            &with(&format!("{line}\r\n{}", length()), BODY),
        ));
    };
    for byte in (0..=255_u8).filter(|byte| !is_token(*byte) && *byte != b':') {
        add(Right::Closed, &format!("x{}y: z", char::from(byte)));
    }
    for byte in (0..b' ').filter(|byte| *byte != b'\t').chain([0x7f]) {
        add(Right::Closed, &format!("x: y{}z", char::from(byte)));
    }
    for odd in [
        "x",
        ": z",
        "x : z",
        "x\t: z",
        " x: z",
        "x: a\r\n b",
        "x: a\r\n\tb",
        " ",
        "Content-Length : 5",
    ] {
        add(Right::Closed, odd);
    }
    for good in [
        "x_y: z",
        "x:z",
        "x:",
        "X-Y: \u{e9}",
        "set-cookie: Vendor-zzq=1",
        "connection: x-y",
        "keep-alive: timeout=5",
        "server: Vendor-zzq",
        "date: yesterday",
        "alt-svc: h3",
        "trailer: x",
        "proxy-connection: close",
        "etag: \"Vendor-zzq\"",
        "content-length2: 5",
    ] {
        add(Right::Served, good);
    }
    kinds
}

fn types() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for odd in [
        "",
        "content-type: text/html\r\n",
        "content-type:\r\n",
        "content-type: application/json-seq\r\n",
        "content-type: application/json; charset=iso-8859-1\r\n",
        "content-type: application/json, text/html\r\n",
        "content-type: application/json; charset=utf-16\r\n",
        "content-type: application/x-ndjson\r\n",
        "content-type: application/json; charset=utf-7\r\n",
        "content-type: application/json\r\ncontent-type: text/html\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
        "content-type: application/json\r\ncontent-encoding: br\r\n",
        "content-type: application/json\r\ncontent-encoding: identity, gzip\r\n",
        "content-type: multipart/mixed; boundary=x\r\n",
    ] {
        let text = whole().replace(JSON, odd);
        kinds.push(Kind::new(
            Right::Refused,
            format!("the type {odd:?}"),
            &text,
        ));
    }
    for body in [
        "",
        " ",
        "{",
        "[]",
        "{}x",
        "\u{ef}\u{bb}\u{bf}{}",
        "{\"users\":[]}{\"users\":[]}",
        "{\"users\":[],\"users\":[]}",
        "{\"users\":[\"\u{ff}\"]}",
        "{\"users\":[\"\\ud800\"]}",
        "{\"users\":NaN}",
        "{\"users\":[01]}",
        "<html>Vendor-zzq</html>",
        "\u{1f}\u{8b}\u{8}\0\0",
        "\"Vendor-zzq\"",
        "{\"users\":[{\"grade\":1}",
        "{\0}",
        "\0",
    ] {
        // Nothing at all passes as the status alone: it is no broken answer.
        let right = if body.is_empty() {
            Right::Either
        } else {
            Right::Refused
        };
        let text = with(&format!("content-length: {}\r\n", body.len()), body);
        kinds.push(Kind::new(right, format!("the body {body:?}"), &text));
    }
    kinds
}

fn statuses() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for status in [
        300, 301, 302, 303, 304, 305, 307, 308, 399, 400, 401, 403, 404, 407, 410, 418, 429, 499,
        500, 502, 503, 599,
    ] {
        let text = whole().replace("200 OK", &format!("{status} x"));
        kinds.push(Kind::new(
            Right::Refused,
            format!("the status {status}"),
            &text,
        ));
    }
    for (status, right) in [
        (204, Right::Either),
        (205, Right::Either),
        (206, Right::Refused),
    ] {
        // Of one that can have no body, the status may pass alone.
        let text = whole().replace("200 OK", &format!("{status} x"));
        kinds.push(Kind::new(
            right,
            format!("the status {status} with a body"),
            &text,
        ));
    }
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    kinds.push(Kind::new(Right::Closed, "101", switch));
    kinds.push(Kind::new(
        Right::Closed,
        "101 and another protocol",
        &format!("{switch}Vendor-zzq"),
    ));
    kinds.push(Kind::new(
        Right::Closed,
        "101 and an answer",
        &format!("{switch}{}", whole()),
    ));
    kinds
}

fn informational() -> Vec<Kind> {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </Vendor-zzq>\r\n\r\n";
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut kinds = Vec::new();
    for (before, what) in [
        (hint, "103"),
        (go_on, "100"),
        ("HTTP/1.1 199 x\r\n\r\n", "199"),
    ] {
        for count in [1, 8] {
            let name = format!("{count} of {what} before it");
            kinds.push(Kind::new(
                Right::Served,
                name,
                &(before.repeat(count) + &whole()),
            ));
        }
        for count in [9, 100, 10_000] {
            let name = format!("{count} of {what} before it");
            kinds.push(Kind::new(
                Right::Closed,
                name,
                &(before.repeat(count) + &whole()),
            ));
        }
        kinds.push(Kind::new(Right::Closed, format!("{what} alone"), before));
    }
    for lines in ["content-length: 5\r\n", "transfer-encoding: chunked\r\n"] {
        let text = format!("HTTP/1.1 103 x\r\n{lines}\r\n{}", whole());
        kinds.push(Kind::new(
            Right::Closed,
            format!("103 with {lines:?}"),
            &text,
        ));
    }
    kinds
}

fn sizes() -> Vec<Kind> {
    let line = format!("x: {}\r\n", "a".repeat(1_000));
    let kind = |right, name: &str, lines: String| {
        Kind::new(right, name, &with(&(lines + &length()), BODY))
    };
    vec![
        kind(Right::Served, "a head of 50 KB", line.repeat(50)),
        kind(Right::Closed, "a head of 80 KB", line.repeat(80)),
        kind(Right::Closed, "a head of 2 MB", line.repeat(2_000)),
        kind(
            Right::Closed,
            "a line of 100 KB",
            format!("x: {}\r\n", "a".repeat(100_000)),
        ),
        kind(
            Right::Closed,
            "a name of 100 KB",
            format!("{}: x\r\n", "a".repeat(100_000)),
        ),
        kind(Right::Served, "90 lines", "x: y\r\n".repeat(90)),
        kind(Right::Closed, "1,000 lines", "x: y\r\n".repeat(1_000)),
        Kind::new(
            Right::Closed,
            "a reason of 100 KB",
            &whole().replace("OK", &"O".repeat(100_000)),
        ),
    ]
}

/// What may come behind an answer, and is none.
fn more() -> [String; 6] {
    let other = whole().replace("NNNNN", "99999");
    let informational = "HTTP/1.1 100 Continue\r\n\r\n";
    let farewell = "HTTP/1.1 408 x\r\ncontent-length: 0\r\n\r\n";
    [&*other, "x", "\r\n", "\0", informational, farewell].map(str::to_owned)
}

/// More than the answer, at once.
fn surplus() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (how, text) in [("by length", whole()), ("in chunks", in_chunks())] {
        for more in more() {
            let short: String = more.chars().take(12).collect();
            kinds.push(Kind {
                name: format!("{how}, and {short:?}"),
                right: Right::Either,
                steps: vec![Step::Send(bytes(&(text.clone() + &more)))],
            });
        }
    }
    kinds
}

#[test]
fn what_came_behind_an_answer_answers_nobody() {
    let bed = Bed::new(|seen| {
        let number = seen.number().unwrap();
        let more = &more()[usize::try_from(number % 6).unwrap()];
        let late = Step::Wait(Duration::from_millis(u64::from(number % 3)));
        let right = Step::Send(numbered(&bytes(&whole()), number));
        vec![right, late, Step::Send(bytes(more))]
    });
    for number in (FIRST..).take(60) {
        let asked = numbered(closing().as_bytes(), number);
        let answers = exchange(bed.house.address, &asked).answers;
        let right = format!(r#"{{"users":[{{"grade":{number}}}]}}"#);
        let [answer] = &*answers else {
            panic!("{answers:?}")
        };
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!((answer.status, answer.whole, text), (200, true, right));
        // What its vendor says of itself is there before the next one asks.
        std::thread::sleep(Duration::from_millis(10));
    }
    for seen in bed.vendor.seen() {
        assert_eq!((seen.place, bed.foreign(&seen)), (0, None));
    }
    assert_eq!(bed.vendor.seen().len(), 60);
    bed.search();
}

/// A pull that is the last on its connection.
fn closing() -> String {
    let asked = next().replace("MMMMM", "NNNNN");
    asked.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
}

/// What is wrong with what a caller got, if anything is.
pub(super) fn fault(kind: &Kind, number: u32, answers: &[Answer]) -> Option<String> {
    let answer = match answers {
        // Broken off before anything went on.
        [] if kind.right != Right::Served => return None,
        [answer] => answer,
        _ => return Some(format!("{} answers", answers.len())),
    };
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let odd = answer.oddities.first().map(|it| (*it).to_owned());
    if let Some(odd) = odd.or_else(|| answer.foreign()) {
        return Some(odd);
    }
    let right = format!(r#"{{"users":[{{"grade":{number}}}]}}"#);
    let served = answer.whole && answer.status == 200 && text == right;
    let broken = answer.is_refusal() || !answer.whole;
    let status_alone = answer.whole && text.is_empty() && kind.right == Right::Either;
    let good = match kind.right {
        Right::Served => served,
        Right::Either => served || broken || status_alone,
        Right::Closed => broken && (!answer.whole || answer.status >= 500),
        Right::Refused => broken,
    };
    (!good).then(|| format!("{} {text:?}, whole: {}", answer.status, answer.whole))
}

/// Answers every other request in a way of its own, and those between them rightly.
pub(super) fn in_every_way(
    kinds: &Arc<Vec<Kind>>,
) -> impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static {
    let kinds = Arc::clone(kinds);
    move |seen| {
        let number = seen.number().unwrap();
        if !(number - FIRST).is_multiple_of(2) {
            return right_answer(seen);
        }
        let kind = &kinds[usize::try_from((number - FIRST) / 2).unwrap()];
        let steps = kind.steps.iter().cloned();
        let numbered = steps.map(|step| match step {
            Step::Send(bytes) => Step::Send(numbered(&bytes, number)),
            Step::Trickle(bytes, pause) => Step::Trickle(numbered(&bytes, number), pause),
            Step::Close | Step::Hold | Step::Reset | Step::Wait(_) => step,
        });
        numbered.collect()
    }
}

/// So many pulls, each the last one on its connection.
pub(super) fn pulls(count: usize) -> Vec<Case> {
    let case = Case::alone(Class::LineEnd, Right::Served, "", &closing());
    vec![case; count]
}

/// The body that a vendor meant to send.
pub(super) fn meant(number: u32) -> Vec<u8> {
    numbered(BODY.as_bytes(), number)
}

/// What is wrong with what a vendor saw that answered in every way.
pub(super) fn faults_at(
    vendor: &Vendor,
    kinds: &[Kind],
    foreign: impl Fn(&Seen) -> Option<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let (seen, everything) = (vendor.numbered(), vendor.seen());
    for (number, kind) in (FIRST..).step_by(2).zip(kinds) {
        let asked = &seen[&Some(number)];
        // Once more, where no byte of an answer came.
        if asked.len() > 2 || asked.iter().any(|it| foreign(it).is_some()) {
            faults.push(format!("{}: asked {} times", kind.name, asked.len()));
        }
        let after = |it: &Seen| it.connection == asked[0].connection && it.place > asked[0].place;
        if kind.right == Right::Closed && everything.iter().any(after) {
            faults.push(format!("{}: its connection was used again", kind.name));
        }
    }
    faults
}

/// Has a vendor answer in every way, to a gateway with these limits.
fn answered_in_every_way(limits: &str) {
    let kinds = Arc::new(all());
    assert!(kinds.len() > 51);
    let bed = Bed::with(limits, Vendor::answering(in_every_way(&kinds)));
    let outcomes = exchange_all(bed.house.address, &pulls(kinds.len()));
    let mut faults = faults_at(&bed.vendor, &kinds, |seen| bed.foreign(seen));
    for ((number, kind), outcome) in (FIRST..).step_by(2).zip(&*kinds).zip(&outcomes) {
        if let Some(fault) = fault(kind, number, &outcome.answers) {
            faults.push(format!("{}: {fault}", kind.name));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {}: {faults:#?}",
        faults.len(),
        kinds.len()
    );
    bed.search();
}

#[test]
fn no_broken_answer_looks_whole() {
    answered_in_every_way(&format!("{NO_REST}upstream-body-idle = \"500ms\""));
}

#[test]
fn no_broken_answer_looks_whole_where_nothing_is_held_back() {
    answered_in_every_way(&format!(
        "{NO_REST}upstream-body-idle = \"500ms\"\nhold-back = 0"
    ));
}
