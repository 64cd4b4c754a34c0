//! The guard and its gate under what a seed makes up: requests one behind the other and answers
//! in turns, good and spoilt, cut into pieces with pauses between them, half closed or reset.
//!
//! What is seen is held against [`slow`], which has all bytes at once. See [`crate::dice`] for how
//! to run a seed that fails again.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::task::Waker;

use super::*;
use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
use crate::guard::{Answers, Expected, Requests};
use crate::limits::{Bound, Limits, TRAILER_BYTES_MAX};
use slow::Verdict;

/// The most that is read at once.
const ROOM: usize = 700;

/// What the peer of a connection does next.
#[derive(Clone, Debug)]
enum Step {
    /// Nothing, before it was sent a request that expects this.
    Ask(Expected),
    Bytes(Vec<u8>),
    Pause,
    Reset,
}

/// The peer of a connection. It closes its half when it has done all its steps.
struct Peer(VecDeque<Step>);

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0.pop_front() {
            None => Poll::Ready(Ok(())),
            Some(Step::Pause) => Poll::Pending,
            Some(ask @ Step::Ask(_)) => {
                self.0.push_front(ask);
                Poll::Pending
            }
            Some(Step::Reset) => {
                self.0.push_front(Step::Reset);
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Some(Step::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(into.remaining()));
                into.put_slice(&bytes);
                if !rest.is_empty() {
                    self.0.push_front(Step::Bytes(rest));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// How reading came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Fault(Fault),
    Reset,
}

/// Reads until it ends, in pieces of any size, and holds on the way what must hold of a gate.
fn read<R: Reader + Unpin>(
    reader: R,
    steps: Vec<Step>,
    ask: impl Fn(&mut R, Expected),
    dice: &mut Dice,
) -> (Vec<u8>, End) {
    let mut gate = Gate::new(Peer(steps.into()), reader);
    let mut seen = Vec::new();
    loop {
        if let Some(Step::Ask(expected)) = gate.stream.0.front() {
            let expected = *expected;
            gate.stream.0.pop_front();
            ask(&mut gate.reader, expected);
        }
        match read_once(&mut gate, &mut seen, dice) {
            // Some of it is seen twice, and nothing else is.
            None if dice.happens(10) => {
                let back = dice.place(seen.len().min(ROOM) + 1);
                let back = seen.split_off(seen.len() - back);
                gate.take_back(&back);
            }
            None => {}
            Some(end @ End::Fault(_)) => {
                for _ in 0..3 {
                    let again = read_once(&mut gate, &mut Vec::new(), dice);
                    assert_eq!(again, Some(end), "nothing is read behind a fault");
                }
                assert!(gate.held.is_empty(), "nothing is held of it");
                return (seen, end);
            }
            Some(end @ (End::Closed | End::Reset)) => return (seen, end),
        }
    }
}

/// Reads once; gives how it ended, if it did.
fn read_once<R: Reader + Unpin>(
    gate: &mut Gate<Peer, R>,
    seen: &mut Vec<u8>,
    dice: &mut Dice,
) -> Option<End> {
    let mut room = [0; ROOM];
    let room_bytes = 1 + dice.place(*dice.clone().pick(&[1, 9, ROOM]));
    // Something may be there already.
    let before = dice.place(room_bytes);
    let mut into = ReadBuf::new(&mut room[..room_bytes]);
    into.set_filled(before);
    let mut cx = Context::from_waker(Waker::noop());
    let polled = Pin::new(&mut *gate).poll_read(&mut cx, &mut into);
    let fresh = &into.filled()[before..];
    let unseen = gate.held.len() - gate.shown;
    assert!(unseen <= part_bytes_max(), "held and not seen");
    assert!(gate.held.len() <= part_bytes_max() + ROOM, "held");
    assert_eq!(gate.holds_a_part(), !gate.held.is_empty());
    let told = gate.fault().is_some();
    assert!(
        !told || gate.shown == 0,
        "not before all that is good was seen"
    );
    let end = match polled {
        Poll::Pending => None,
        Poll::Ready(Ok(())) if !fresh.is_empty() => None,
        Poll::Ready(Ok(())) => Some(End::Closed),
        Poll::Ready(Err(error)) => match (error.kind(), gate.fault()) {
            (io::ErrorKind::InvalidData, Some(fault)) => Some(End::Fault(fault)),
            (io::ErrorKind::ConnectionReset, None) => Some(End::Reset),
            other => panic!("{other:?}"),
        },
    };
    assert!(end.is_none() || fresh.is_empty(), "bytes and an end");
    if gate.held.is_empty() && !fresh.is_empty() && gate.fault.is_none() {
        assert_eq!(gate.held.capacity(), 0, "an idle one holds memory");
    }
    seen.extend_from_slice(fresh);
    end
}

/// The smallest there are, so that they are met often.
fn limits() -> Limits {
    let mut limits = Limits::default();
    for bound in [
        Bound::Head,
        Bound::Header,
        Bound::Headers,
        Bound::Target,
        Bound::UpstreamHead,
    ] {
        limits.set(bound, *bound.range().start()).unwrap();
    }
    limits
}

/// The longest of what is seen as a whole only: with the empty line at its end.
fn part_bytes_max() -> usize {
    TRAILER_BYTES_MAX.max(limits().size(Bound::UpstreamHead)) + 2
}

/// Bytes in pieces with pauses between them.
fn pieces(mut bytes: &[u8], scale: usize, dice: &mut Dice) -> Vec<Step> {
    let mut steps = Vec::new();
    while !bytes.is_empty() {
        if dice.happens(20) {
            steps.push(Step::Pause);
        }
        let (piece, rest) = bytes.split_at((1 + dice.place(scale)).min(bytes.len()));
        steps.push(Step::Bytes(piece.to_vec()));
        bytes = rest;
    }
    steps
}

/// What has been seen of a connection is what a slow reading finds good, in whatever pieces it
/// comes. Gives how it ended.
fn check<R: Reader + Unpin + Debug>(
    fresh: impl Fn() -> R,
    sent: &Sent,
    ask: impl Fn(&mut R, Expected),
    dice: &mut Dice,
) -> End {
    let wanted = sent.verdict();
    let mut first = None;
    for scale in [1 << 20, 1, *dice.pick(&[4, 50, 600])] {
        let mut steps = sent.steps(scale, dice);
        let how = if sent.resets { End::Reset } else { End::Closed };
        if sent.resets {
            steps.push(Step::Reset);
        }
        let (seen, end) = read(fresh(), steps, &ask, dice);
        let text = || format!("{wanted:?}\n{}", sent.bytes.escape_ascii());
        assert_eq!(
            seen.escape_ascii().to_string(),
            sent.bytes[..wanted.shown].escape_ascii().to_string(),
            "{}",
            text()
        );
        let (by_guard, by_slow) = match end {
            End::Fault(Fault::Body) => (Some(slow::Where::Body), wanted.fault),
            End::Fault(Fault::Head(_)) => (Some(slow::Where::Head), wanted.fault),
            End::Fault(Fault::Flood) => panic!("HTTP/1.1 knows no floods"),
            End::Closed | End::Reset => {
                assert_eq!(end, how, "{}", text());
                (None, wanted.fault)
            }
        };
        assert_eq!(by_guard, by_slow, "pieces of {scale}: {}", text());
        // Which fault it is does not depend on the pieces either.
        assert_eq!(*first.get_or_insert(end), end, "{}", text());
    }
    first.unwrap()
}

/// What a peer sends in all.
#[derive(Debug, Default)]
struct Sent {
    bytes: Vec<u8>,
    /// Before which byte each request was sent that it answers.
    asks: Vec<(usize, Expected)>,
    resets: bool,
}

impl Sent {
    fn steps(&self, scale: usize, dice: &mut Dice) -> Vec<Step> {
        let (mut steps, mut from) = (Vec::new(), 0);
        for (at, expected) in &self.asks {
            steps.extend(pieces(&self.bytes[from..*at], scale, dice));
            steps.push(Step::Ask(*expected));
            from = *at;
        }
        steps.extend(pieces(&self.bytes[from..], scale, dice));
        steps
    }

    fn verdict(&self) -> Verdict {
        match self.asks.is_empty() {
            true => slow::requests(&self.bytes, &limits()),
            false => slow::answers(&self.bytes, &self.asks, &limits()),
        }
    }
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const TARGETS: &[&str] = &[
    "/",
    "/users?limit=1",
    "/a/b/c",
    "http://a.example/x",
    "https://[::1]:8443/?q=a|b",
];
const HOSTS: &[&str] = &["a", "a.example:8080", "[::1]", "127.0.0.1"];
const LINES: &[&str] = &[
    "accept: application/json",
    "X-Empty:",
    "x-blank: \t a b \t",
    "connection: keep-alive, close",
    "expect: 100-continue",
    "x-bytes: caf\u{e9}",
    "content-encoding: identity",
];
/// What nobody takes, or not beside others.
const BAD_LINES: &[&str] = &[
    "host: b",
    "content-length: 3",
    "content-length: +3",
    "content-length: 3, 3",
    "content-length: 03",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding : chunked",
    "upgrade: h2c",
    "connection: Upgrade",
    "expect: 100-continue",
    "expect: tea",
    " folded",
    ": no name",
    "no colon",
];

/// Bytes of a body, which look like messages.
fn body(dice: &mut Dice) -> Vec<u8> {
    let text = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let length = dice.place(*dice.clone().pick(&[1, 3, 90, 900]));
    text.iter().copied().cycle().take(length).collect()
}

/// The lines of a head that say what body follows, and the body.
fn framed(dice: &mut Dice, into: &mut Vec<u8>) {
    let body = body(dice);
    match dice.below(4) {
        0 => into.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes()),
        1 | 2 => {
            into.extend(b"transfer-encoding: Chunked\r\n\r\n");
            let mut rest = body.as_slice();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at((1 + dice.place(60)).min(rest.len()));
                into.extend(format!("{:x}\r\n", chunk.len()).bytes());
                into.extend(chunk);
                into.extend(b"\r\n");
                rest = after;
            }
            into.extend(b"0\r\n");
            lines(dice, 3, into);
            return into.extend(b"\r\n");
        }
        _ => return into.extend(b"\r\n"),
    }
    into.extend(body);
}

/// Lines of a head or of trailers: seldom too many or too long.
fn lines(dice: &mut Dice, most: u64, into: &mut Vec<u8>) {
    let most = if dice.happens(4) { 120 } else { most };
    for _ in 0..dice.below(most) {
        into.extend(dice.pick(LINES).bytes());
        if dice.happens(4) {
            into.extend(vec![b'z'; dice.place(300)]);
        }
        if dice.happens(1) {
            into.extend(vec![b'z'; dice.place(9_000)]);
        }
        into.extend(b"\r\n");
    }
    if dice.happens(4) {
        into.extend(format!("{}\r\n", dice.pick(BAD_LINES)).bytes());
    }
}

fn request(dice: &mut Dice, into: &mut Vec<u8>) {
    let mut target = (*dice.pick(TARGETS)).to_owned();
    if dice.happens(5) {
        target.push_str(&"t".repeat(dice.place(120)));
    }
    into.extend(format!("{} {target} HTTP/1.1\r\n", dice.pick(METHODS)).bytes());
    if !dice.happens(2) {
        into.extend(format!("Host: {}\r\n", dice.pick(HOSTS)).bytes());
    }
    lines(dice, 4, into);
    framed(dice, into);
}

fn answer(dice: &mut Dice, into: &mut Vec<u8>) {
    let informational = match dice.happens(3) {
        true => 8 + dice.below(3),
        false => dice.below(2),
    };
    for _ in 0..informational {
        into.extend(b"HTTP/1.1 103 Early Hints\r\n");
        lines(dice, 3, into);
        into.extend(b"\r\n");
    }
    let version = if dice.happens(5) { "1.0" } else { "1.1" };
    let usual = ["200 OK", "404", "500 ", "304 x"];
    let status = match dice.happens(8) {
        true => dice.pick(&["101 x", "204 x", "600 x", "99 x"]),
        false => dice.pick(&usual),
    };
    into.extend(format!("HTTP/{version} {status}\r\n").bytes());
    lines(dice, 6, into);
    framed(dice, into);
}

/// Does to bytes what breaks them, mostly.
fn spoil(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let from = dice.place(bytes.len() + 1);
    let sore: Vec<usize> = (from..bytes.len())
        .filter(|at| b"\r\n:0123456789abcdef".contains(&bytes[*at]))
        .collect();
    let Some(at) = (!sore.is_empty()).then(|| *dice.pick(&sore)) else {
        return;
    };
    let byte = *dice.pick(b"\r\n \t:\0\x7f0f,;X/\xff");
    match dice.below(4) {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        2 => drop(bytes.remove(at)),
        _ => {
            let again = bytes[at..bytes.len().min(at + dice.place(40))].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

/// Spoils bytes on some days, and cuts them off on some.
fn hurt(dice: &mut Dice, bytes: &mut Vec<u8>) {
    if dice.happens(50) {
        (0..=dice.below(2)).for_each(|_| spoil(dice, bytes));
    }
    if dice.happens(30) {
        bytes.truncate(dice.place(bytes.len() + 1));
    }
}

/// What was sent on a day, how it ended, and what the dice give next: something else if only one
/// throw of it was another.
type Day = (Sent, End, u64);

fn callers_day(seed: u64) -> Day {
    let (dice, mut sent) = (&mut Dice::new(seed), Sent::default());
    for _ in 0..=dice.below(5) {
        request(dice, &mut sent.bytes);
    }
    hurt(dice, &mut sent.bytes);
    sent.resets = dice.happens(20);
    let end = check(|| Requests::new(&limits()), &sent, |_, _| {}, dice);
    (sent, end, dice.next())
}

fn upstreams_day(seed: u64) -> Day {
    let (dice, mut sent) = (&mut Dice::new(seed), Sent::default());
    for _ in 0..=dice.below(5) {
        let expected = *dice.pick(&[Expected::Body, Expected::Body, Expected::HeadOnly]);
        let at = match dice.happens(4) {
            // Before the last answer was over.
            true => sent.bytes.len() - dice.place(20).min(sent.bytes.len()),
            false => sent.bytes.len(),
        };
        let after = sent.asks.last().map_or(0, |(at, _)| *at);
        sent.asks.push((at.max(after), expected));
        let from = sent.bytes.len();
        answer(dice, &mut sent.bytes);
        if expected == Expected::HeadOnly && !dice.happens(4) {
            let head = sent.bytes[from..]
                .windows(4)
                .position(|end| end == b"\r\n\r\n");
            sent.bytes.truncate(from + head.unwrap() + 4);
        }
        if dice.happens(25) {
            let mut last = sent.bytes.split_off(from);
            hurt(dice, &mut last);
            sent.bytes.append(&mut last);
        }
        if dice.happens(4) {
            sent.bytes.push(*dice.pick(b"\r\nH"));
        }
    }
    sent.resets = dice.happens(20);
    let end = check(
        || Answers::new(&limits()),
        &sent,
        |answers, expected| answers.expect(expected),
        dice,
    );
    (sent, end, dice.next())
}

#[test]
fn five_hundred_days_of_callers_and_upstreams() {
    run_days(DAYS, |seed| (callers_day(seed), upstreams_day(seed)));
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_callers_and_upstreams() {
    run_days(LONG_DAYS, |seed| (callers_day(seed), upstreams_day(seed)));
}

#[test]
fn one_seed_runs_the_same_way_each_time() {
    assert_repeatable(|seed| format!("{:?}", callers_day(seed)));
    assert_repeatable(|seed| format!("{:?}", upstreams_day(seed)));
}

#[test]
fn some_days_are_good_and_some_are_bad() {
    for day in [callers_day, upstreams_day] {
        let ends: Vec<End> = (0..300).map(|seed| day(seed).1).collect();
        let count = |what: fn(&End) -> bool| ends.iter().filter(|end| what(end)).count();
        let counts = [
            count(|end| *end == End::Closed),
            count(|end| *end == End::Reset),
            count(|end| *end == End::Fault(Fault::Body)),
            count(|end| matches!(end, End::Fault(Fault::Head(_)))),
        ];
        assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    }
}

/// A second reading, of all bytes at once: a line at a time, one byte after the other.
mod slow {
    use std::net::Ipv6Addr;

    use crate::guard::Expected;
    use crate::limits::{ANSWER_LINES_MAX, Bound, Limits, TRAILER_BYTES_MAX, TRAILER_LINES_MAX};

    /// What may be seen, and where what follows it is broken.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Verdict {
        pub(super) shown: usize,
        pub(super) fault: Option<Where>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Where {
        Body,
        Head,
    }

    /// Why something was not read to its end.
    enum Stop {
        Bad,
        /// All there is of it is good.
        Part,
    }

    type Read<T> = Result<T, Stop>;

    #[derive(Clone, Copy)]
    struct Sizes {
        all: usize,
        line: usize,
        lines: usize,
    }

    /// What a head says of its body.
    #[derive(Clone, Copy, Default, PartialEq)]
    enum Body {
        Chunked,
        Length(usize),
        #[default]
        Unsaid,
    }

    /// What was read of a message that begins at some place.
    enum Message {
        /// It ends here.
        Whole(usize),
        /// It goes on until the connection ends.
        ToTheEnd,
        /// So much of it is shown.
        Not(usize, Option<Where>),
    }

    pub(super) fn requests(bytes: &[u8], limits: &Limits) -> Verdict {
        let mut shown = 0;
        loop {
            match request(&bytes[shown..], limits) {
                Message::Whole(length) => shown += length,
                Message::ToTheEnd => panic!("no request does"),
                Message::Not(more, fault) => {
                    let shown = shown + more;
                    return Verdict { shown, fault };
                }
            }
        }
    }

    /// Each answer from where it was asked for.
    pub(super) fn answers(bytes: &[u8], asks: &[(usize, Expected)], limits: &Limits) -> Verdict {
        let mut shown = 0;
        for (number, (from, expected)) in asks.iter().enumerate() {
            if *from > shown {
                let fault = Some(Where::Head);
                return Verdict { shown, fault };
            }
            let next = asks.get(number + 1).map(|(at, _)| *at);
            let until = next.unwrap_or(bytes.len());
            let told = match answer(&bytes[*from..until], *expected, limits) {
                Message::Whole(length) => {
                    shown += length;
                    continue;
                }
                Message::ToTheEnd => (until, None),
                Message::Not(more, fault) => (shown + more, fault),
            };
            // The next request came too soon, which the next byte shows.
            let too_soon = (until < bytes.len()).then_some(Where::Head);
            let (shown, fault) = told;
            return Verdict {
                shown,
                fault: fault.or(too_soon),
            };
        }
        let fault = (shown < bytes.len()).then_some(Where::Head);
        Verdict { shown, fault }
    }

    fn request(bytes: &[u8], limits: &Limits) -> Message {
        let (end, body) = match request_head(bytes, limits) {
            Ok(head) => head,
            Err(Stop::Bad) => return Message::Not(0, Some(Where::Head)),
            Err(Stop::Part) => return Message::Not(0, None),
        };
        sized(&bytes[end..], body).behind(end)
    }

    fn request_head(bytes: &[u8], limits: &Limits) -> Read<(usize, Body)> {
        let target_max = limits.size(Bound::Target);
        let (first, begin) = line(bytes, target_max + "DELETE".len() + 12, in_first)?;
        let parts: Vec<&str> = text(first)?.split(' ').collect();
        let [method, target, "HTTP/1.1"] = parts.as_slice() else {
            return Err(Stop::Bad);
        };
        good(super::METHODS.contains(method) && target.len() <= target_max)?;
        good(is_target(target))?;
        let sizes = Sizes {
            all: limits.size(Bound::Head),
            line: limits.size(Bound::Header),
            lines: limits.size(Bound::Headers),
        };
        let (mut body, mut hosts, mut expects) = (Body::default(), 0, 0);
        let end = lines(&bytes[begin..], sizes, |name, value| {
            let lower = value.to_ascii_lowercase();
            match name {
                "host" => {
                    hosts += 1;
                    good(hosts == 1 && is_host(value))
                }
                "expect" => {
                    expects += 1;
                    good(expects == 1 && lower == "100-continue")
                }
                "upgrade" => Err(Stop::Bad),
                "connection" => good(lower.split(',').all(|it| it.trim() != "upgrade")),
                _ => note(&mut body, name, value),
            }
        })?;
        good(hosts == 1)?;
        Ok((begin + end, body))
    }

    fn answer(bytes: &[u8], expected: Expected, limits: &Limits) -> Message {
        let most = limits.size(Bound::UpstreamHead);
        let most_before = limits.size(Bound::UpstreamInformational);
        let mut begin = 0;
        for before in 0.. {
            let left = most.saturating_sub(begin);
            let (status, old, end, body) = match answer_head(&bytes[begin..], left) {
                Ok(head) => head,
                Err(Stop::Bad) => return Message::Not(begin, Some(Where::Head)),
                Err(Stop::Part) => return Message::Not(begin, None),
            };
            let bad = Message::Not(begin, Some(Where::Head));
            begin += end;
            match (status, body) {
                (100 | 102..200, Body::Unsaid) if before < most_before => {}
                (100 | 102..200, _) => return bad,
                (_, Body::Chunked) if old => return bad,
                (304, _) | (204, Body::Unsaid | Body::Length(0)) => return Message::Whole(begin),
                (101 | 204, _) => return Message::Not(begin, Some(Where::Head)),
                _ if expected == Expected::HeadOnly => return Message::Whole(begin),
                (_, Body::Unsaid) if old => return bad,
                (_, Body::Unsaid) => return Message::ToTheEnd,
                (_, body) => return sized(&bytes[begin..], body).behind(begin),
            }
        }
        panic!("there are only so many before it")
    }

    /// Status, whether it is HTTP/1.0, where the head ends, and what it says of its body.
    fn answer_head(bytes: &[u8], most: usize) -> Read<(u16, bool, usize, Body)> {
        let (first, begin) = line(bytes, most, in_first)?;
        let first: String = first.iter().map(|byte| char::from(*byte)).collect();
        let old = first.starts_with("HTTP/1.0 ");
        good(old || first.starts_with("HTTP/1.1 "))?;
        let mut parts = first.split_at(9).1.splitn(2, ' ');
        let code = parts.next().unwrap();
        good(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()))?;
        let status: u16 = code.parse().unwrap();
        good((100..600).contains(&status))?;
        let sizes = Sizes {
            all: most.saturating_sub(begin),
            line: most,
            lines: ANSWER_LINES_MAX,
        };
        let mut body = Body::default();
        let end = lines(&bytes[begin..], sizes, |name, value| {
            note(&mut body, name, value)
        })?;
        Ok((status, old, begin + end, body))
    }

    /// The body of a message whose head says how long it is.
    fn sized(bytes: &[u8], body: Body) -> Message {
        match body {
            Body::Unsaid => Message::Whole(0),
            Body::Length(length) if length <= bytes.len() => Message::Whole(length),
            Body::Length(_) => Message::Not(bytes.len(), None),
            Body::Chunked => {
                let mut shown = 0;
                match chunks(bytes, &mut shown) {
                    Ok(()) => Message::Whole(shown),
                    Err(Stop::Bad) => Message::Not(shown, Some(Where::Body)),
                    Err(Stop::Part) => Message::Not(shown, None),
                }
            }
        }
    }

    fn chunks(bytes: &[u8], shown: &mut usize) -> Read<()> {
        loop {
            let mut count = 0;
            let (digits, length) = line(&bytes[*shown..], 17, |byte| {
                count += 1;
                match byte {
                    b'\r' => count > 1,
                    _ => count < 16 && byte.is_ascii_hexdigit(),
                }
            })?;
            let size = usize::from_str_radix(text(digits)?, 16).unwrap();
            *shown += length;
            if size == 0 {
                break;
            }
            *shown += size.min(bytes.len() - *shown);
            match &bytes[*shown..] {
                [b'\r', b'\n', ..] => *shown += 2,
                [] | [b'\r'] => return Err(Stop::Part),
                _ => return Err(Stop::Bad),
            }
        }
        let sizes = Sizes {
            all: TRAILER_BYTES_MAX,
            line: TRAILER_BYTES_MAX,
            lines: TRAILER_LINES_MAX,
        };
        *shown += lines(&bytes[*shown..], sizes, |_, _| Ok(()))?;
        Ok(())
    }

    /// Lines up to the empty one; gives where that ends.
    fn lines(
        bytes: &[u8],
        sizes: Sizes,
        mut each: impl FnMut(&str, &str) -> Read<()>,
    ) -> Read<usize> {
        let mut at = 0;
        for count in 0.. {
            match &bytes[at..] {
                [b'\r', b'\n', ..] => return Ok(at + 2),
                [] | [b'\r'] => return Err(Stop::Part),
                [b'\r', ..] => return Err(Stop::Bad),
                _ => good(count < sizes.lines)?,
            }
            let most = sizes.line.min(sizes.all.saturating_sub(at));
            good(most > 0)?;
            let (mut name, mut colon) = (0, false);
            let (whole, length) = line(&bytes[at..], most, |byte| match colon {
                true => b"\t\r".contains(&byte) || printable(byte),
                false => {
                    name += 1;
                    colon = byte == b':';
                    token(byte) || (colon && name > 1)
                }
            })?;
            let end = whole.iter().position(|byte| *byte == b':').unwrap();
            let name = text(&whole[..end])?.to_ascii_lowercase();
            let value: String = whole[end + 1..].iter().map(|it| char::from(*it)).collect();
            each(&name, value.trim_matches([' ', '\t']))?;
            at += length;
        }
        panic!("bytes end")
    }

    /// The bytes of a line without its end, and its length with it.
    fn line(bytes: &[u8], most: usize, mut fits: impl FnMut(u8) -> bool) -> Read<(&[u8], usize)> {
        for (at, byte) in bytes.iter().enumerate() {
            good(at < most)?;
            let behind_return = at > 0 && bytes[at - 1] == b'\r';
            match (behind_return, byte) {
                (true, b'\n') => return Ok((&bytes[..at - 1], at + 1)),
                (false, byte) if fits(*byte) => {}
                _ => return Err(Stop::Bad),
            }
        }
        good(bytes.len() < most)?;
        Err(Stop::Part)
    }

    fn note(body: &mut Body, name: &str, value: &str) -> Read<()> {
        let said = match name {
            "content-length" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let plain = value == "0" || !value.starts_with('0');
                good(digits && plain && (1..19).contains(&value.len()))?;
                Body::Length(value.parse().unwrap())
            }
            "transfer-encoding" => {
                good(value.eq_ignore_ascii_case("chunked"))?;
                Body::Chunked
            }
            _ => return Ok(()),
        };
        good(*body == Body::Unsaid)?;
        *body = said;
        Ok(())
    }

    fn good(holds: bool) -> Read<()> {
        match holds {
            true => Ok(()),
            false => Err(Stop::Bad),
        }
    }

    fn text(bytes: &[u8]) -> Read<&str> {
        str::from_utf8(bytes).map_err(|_not| Stop::Bad)
    }

    fn in_first(byte: u8) -> bool {
        byte == b'\r' || printable(byte)
    }

    fn printable(byte: u8) -> bool {
        byte >= b' ' && byte != 0x7f
    }

    fn token(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
    }

    fn is_target(target: &str) -> bool {
        let odd = " \"#<>\\^`";
        let plain = |letter: char| letter.is_ascii_graphic() && !odd.contains(letter);
        let http = target.strip_prefix("http://");
        let path = match http.or_else(|| target.strip_prefix("https://")) {
            None => target.starts_with('/'),
            Some(rest) => rest.split_once('/').is_some_and(|(host, _)| is_host(host)),
        };
        path && target.chars().all(plain)
    }

    fn is_host(host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.is_none_or(|port| {
            digits(port) && (1..6).contains(&port.len()) && port.parse::<u16>().is_ok()
        });
        let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let name = match address {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => {
                let plain = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
                !name.is_empty() && name.chars().all(plain)
            }
        };
        name && port
    }

    impl Message {
        /// The same, counted from so many bytes before.
        fn behind(self, before: usize) -> Self {
            match self {
                Self::Whole(length) => Self::Whole(before + length),
                Self::ToTheEnd => Self::ToTheEnd,
                Self::Not(shown, fault) => Self::Not(before + shown, fault),
            }
        }
    }
}
