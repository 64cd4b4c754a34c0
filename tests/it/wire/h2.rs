//! HTTP/2, frame by frame: heads that a library would not write, and frames out of their order.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};

use crate::harness::tls::Hello;
use crate::harness::{HOST, House, PULL_TOKEN, PUSH_TOKEN, Peer, Plans, UPSTREAM_TOKEN};
use crate::wire::grammar::{BODY, numbered};
use crate::wire::vendor::{Seen, Step, Vendor};
use crate::wire::{DEADLINES, FIRST, PATIENCE, markers, right_answer};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Section 3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITISED: u8 = 32;

/// One frame (RFC 9113 section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// One field of a head, written out (RFC 7541 section 6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        let text: Vec<u8> = text
            .chars()
            .map(|it| u8::try_from(u32::from(it)).unwrap())
            .collect();
        match text.len().checked_sub(127) {
            None => out.push(u8::try_from(text.len()).unwrap()),
            Some(mut rest) => {
                out.push(127);
                while rest >= 128 {
                    out.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                out.push(u8::try_from(rest).unwrap());
            }
        }
        out.extend(text);
    }
    out
}

/// Fields of a head, in order.
pub(super) type Fields = Vec<(String, String)>;

pub(super) fn block(fields: &[(String, String)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

fn fields(of: &[(&str, &str)]) -> Fields {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    of.iter().map(owned).collect()
}

pub(super) fn pulling() -> Fields {
    let token = format!("Bearer {PULL_TOKEN}");
    fields(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/pull/users?limit=NNNNN"),
        ("authorization", &token),
        ("x-caller", "Fenna-zzq-line"),
    ])
}

pub(super) fn pushing() -> Fields {
    let token = format!("Bearer {PUSH_TOKEN}");
    fields(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/push/users"),
        ("authorization", &token),
        ("content-type", "application/json"),
    ])
}

/// What came of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered(u16),
    Reset,
    /// The connection is over, with that code if one was given.
    Over(Option<u32>),
}

/// A connection whose preface has been written.
pub(crate) struct Connection {
    peer: Peer,
}

impl Connection {
    pub(crate) fn new(house: &House) -> Self {
        Self::begun(Self::bare(house))
    }

    /// The same to who speaks HTTP/2 without TLS.
    pub(super) fn in_plain(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let peer = Peer::new(socket);
        Self::begun(Self { peer })
    }

    fn begun(mut connection: Self) -> Self {
        connection.send(PREFACE);
        connection.send(&frame(SETTINGS, 0, 0, &[]));
        connection
    }

    /// One on which nothing has been written.
    pub(super) fn bare(house: &House) -> Self {
        let hello = Hello {
            protocols: &[b"h2"],
            ..Hello::default()
        };
        let peer = hello.connect(house).unwrap();
        Self { peer }
    }

    /// Whether the other end takes it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.peer.try_send(bytes).is_ok()
    }

    /// Kind, flags, stream and payload of the next frame; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let head = self.peer.exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.peer.exactly(usize::try_from(length).unwrap())?;
        Some((head[3], head[4], stream, payload))
    }

    /// Reads on until it is clear what came of a stream; an answer to its end.
    pub(crate) fn end_of(&mut self, wanted: u32) -> End {
        let mut status = 0;
        loop {
            let Some((kind, flags, stream, payload)) = self.next() else {
                return End::Over(None);
            };
            match kind {
                HEADERS if stream == wanted => status = status_of(&payload),
                RST_STREAM if stream == wanted && status == 0 => return End::Reset,
                GOAWAY => {
                    let code = payload[4..8].try_into().unwrap();
                    return End::Over(Some(u32::from_be_bytes(code)));
                }
                _ => {}
            }
            if [DATA, HEADERS].contains(&kind) && stream == wanted && flags & END_STREAM != 0 {
                return End::Answered(status);
            }
        }
    }

    /// Reads on until these streams have ended; status and body of each of which anything came.
    pub(crate) fn answers(&mut self, streams: &[u32]) -> BTreeMap<u32, (u16, String)> {
        let mut all = BTreeMap::<u32, (u16, String)>::new();
        let mut left = streams.to_vec();
        while !left.is_empty() {
            let (kind, flags, stream, payload) = self.next().unwrap();
            let (status, body) = all.entry(stream).or_default();
            match kind {
                HEADERS => *status = status_of(&payload),
                DATA => *body += std::str::from_utf8(&payload).unwrap(),
                RST_STREAM => panic!("{stream} was reset: {payload:?}"),
                _ => {}
            }
            if [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0 {
                left.retain(|it| *it != stream);
            }
        }
        all
    }
}

/// The status in the first field of a block: from the static table, or a literal of its name.
pub(crate) fn status_of(block: &[u8]) -> u16 {
    match block {
        [first @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)],
        [0x08 | 0x48, length, text @ ..] if length & 0x80 == 0 => {
            let text = &text[..usize::from(*length)];
            std::str::from_utf8(text).unwrap().parse().unwrap()
        }
        [0x08 | 0x48, length, text @ ..] => huffman(&text[..usize::from(length & 0x7f)]),
        other => panic!("{other:?}"),
    }
}

/// Three digits (RFC 7541 appendix B): 0 to 2 in five bits, the others in six.
fn huffman(bytes: &[u8]) -> u16 {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + u16::from(*bit));
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = value(&bits[at..at + 5]);
        let (digit, length) = match five {
            0..=2 => (five, 5),
            _ => (value(&bits[at..at + 6]) - 0x19 + 3, 6),
        };
        number = number * 10 + digit;
        at += length;
    }
    number
}

pub(super) fn open() -> (House, Vendor) {
    open_with("", right_answer)
}

pub(super) fn open_with(
    limits: &str,
    answer: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
) -> (House, Vendor) {
    let (vendor, upstream) = Vendor::answering(answer);
    let plans = Plans {
        tls: true,
        limits: format!("{DEADLINES}{limits}\n"),
        ..Plans::default()
    };
    (plans.open(upstream), vendor)
}

pub(super) fn foreign(house: &House, seen: &Seen) -> Option<String> {
    let odd = seen.oddities.first().cloned();
    odd.or_else(|| seen.foreign(house.upstream.address, UPSTREAM_TOKEN))
}

/// The usual head, with one field given another value, left out or given twice.
pub(super) fn with(name: &str, values: &[&str]) -> Fields {
    let mut all = pulling();
    let at = all.iter().position(|(other, _)| other == name);
    let at = at.unwrap_or(all.len());
    all.retain(|(other, _)| other != name);
    for value in values.iter().rev() {
        all.insert(at.min(all.len()), (name.to_owned(), (*value).to_owned()));
    }
    all
}

/// The usual head and one more field.
pub(super) fn with_field(name: &str, value: &str) -> Fields {
    [pulling(), fields(&[(name, value)])].concat()
}

/// Heads that must be refused, of requests without a body.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn odd_heads() -> Vec<Fields> {
    let mut heads = Vec::new();
    for odd in [
        "",
        "evil.example",
        "school.example.",
        "u@school.example",
        "u:p@school.example",
        "school.example:80",
        "school.example:x",
        "school.example:",
        "school.example,school.example",
        "school.example/",
        "school.example/pull",
        "school.example?x",
        "school.example#x",
        " school.example",
        "school.example ",
        "school.example\t",
        "[::1]",
        "[::1",
        "school%2eexample",
        "sch\u{f6}ol.example",
        "https://school.example",
        "*",
        "@",
        "school.example@evil.example",
        "school.example\\.evil",
    ] {
        heads.push(with(":authority", &[odd]));
        heads.push([with(":authority", &[HOST]), fields(&[("host", odd)])].concat());
    }
    for odd in [
        "",
        "*",
        "pull/users?limit=NNNNN",
        "#x",
        "/pull/./users?limit=NNNNN",
        "/pull/../users?limit=NNNNN",
        "/pull/%2e/users?limit=NNNNN",
        "/pull/%2e%2e/users?limit=NNNNN",
        "//pull/users?limit=NNNNN",
        "/pull//users?limit=NNNNN",
        "/pull\\users?limit=NNNNN",
        "/pull/us ers?limit=NNNNN",
        "/pull/us\0ers",
        "/pull/us\r\ners",
        "/pull/us\u{f6}ers?limit=NNNNN",
        "/pull/users?limit=NNNNN HTTP/1.1",
        "/pull/users;x?limit=NNNNN",
        "https://school.example/pull/users?limit=NNNNN",
        "http://evil.example/pull/users?limit=NNNNN",
        "/pull/users?limit=NNNNN&limit=NNNNN",
        "/pull/users%00?limit=NNNNN",
        "?limit=NNNNN",
        "/pull/%2fusers",
    ] {
        heads.push(with(":path", &[odd]));
    }
    for odd in [
        "",
        "get",
        "GETT",
        "TRACE",
        "CONNECT",
        "OPTIONS",
        "G T",
        "GET\0",
        "GET / HTTP/1.1\r\nx: y",
        "PRI",
    ] {
        heads.push(with(":method", &[odd]));
    }
    for odd in ["", "http", "ftp", "HTTPS:", "https://x", "\0"] {
        heads.push(with(":scheme", &[odd]));
    }
    for name in [":method", ":scheme", ":authority", ":path"] {
        let value = pulling()
            .into_iter()
            .find(|(other, _)| other == name)
            .unwrap()
            .1;
        heads.push(with(name, &[&value, &value]));
        heads.push([with(name, &[]), fields(&[(name, &value)])].concat());
        heads.push(with(name, &[]));
    }
    for (name, value) in [
        (":status", "200"),
        (":protocol", "websocket"),
        (":x", "y"),
        (":", "y"),
        ("X-Upper", "y"),
        ("x y", "z"),
        ("x:y", "z"),
        ("", "z"),
        ("x\0", "z"),
        ("x\r\ny", "z"),
        ("x\u{e9}", "z"),
        ("x", "a\0b"),
        ("x", "a\rb"),
        ("x", "a\nb"),
        ("x", "a\r\nhost: evil.example"),
        ("connection", "close"),
        ("connection", "x-y"),
        ("keep-alive", "5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("content-length", "5"),
        ("content-length", "-1"),
        ("content-length", "x"),
        ("expect", "200-ok"),
        ("host", HOST.to_uppercase().as_str()),
    ] {
        heads.push(with_field(name, value));
    }
    // In one form it is the same host.
    heads.pop();
    heads.extend(connects());
    heads.push(with_field("x", &"a".repeat(20_000)));
    heads.push([pulling(), vec![("x".to_owned(), "y".to_owned()); 80]].concat());
    heads
}

/// CONNECT as it is to be written (RFC 9113 section 8.5), and as RFC 8441 has it.
fn connects() -> [Fields; 2] {
    let mut plain = with(":method", &["CONNECT"]);
    let mut extended = plain.clone();
    plain.retain(|(name, _)| ![":scheme", ":path"].contains(&&**name));
    extended.insert(1, (":protocol".to_owned(), "websocket".to_owned()));
    [plain, extended]
}

#[test]
fn heads_that_a_library_would_not_write_are_refused() {
    let (house, vendor) = open();
    let mut faults = Vec::new();
    let heads = odd_heads();
    let count = u32::try_from(heads.len()).unwrap();
    for (number, head) in (FIRST..).zip(&heads) {
        let mut connection = Connection::new(&house);
        let block = numbered(&block(head), number);
        connection.send(&in_frames(&block));
        let end = connection.end_of(1);
        let refused = match end {
            End::Answered(status) => status >= 400,
            End::Reset | End::Over(_) => true,
        };
        if !refused || !vendor.seen_of(number).is_empty() {
            faults.push(format!("{head:?}: {end:?}"));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {count}: {faults:#?}",
        faults.len()
    );
    assert_eq!(vendor.seen().len(), 0, "some of it went on");
    let good = [
        pulling(),
        with(":authority", &["SCHOOL.example"]),
        with(":authority", &["school.example:443"]),
        with_field("host", HOST),
        with_field("te", "trailers"),
        with_field("cookie", "a=b"),
        // The library drops a fragment before anybody sees it: no byte of it goes on.
        with(":path", &["/pull/users?limit=NNNNN#Fenna-zzq"]),
    ];
    for (number, head) in (FIRST + count..).zip(good) {
        let mut connection = Connection::new(&house);
        connection.send(&in_frames(&numbered(&block(&head), number)));
        assert_eq!(connection.end_of(1), End::Answered(200), "{head:?}");
        let seen = vendor.seen_of(number);
        assert_eq!((seen.len(), foreign(&house, &seen[0])), (1, None));
    }
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

/// A head without a body, in as many frames as it takes.
pub(super) fn in_frames(block: &[u8]) -> Vec<u8> {
    let mut pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    let last = pieces.pop().unwrap_or_default();
    let Some((first, between)) = pieces.split_first() else {
        return frame(HEADERS, END_STREAM | END_HEADERS, 1, last);
    };
    let mut out = frame(HEADERS, END_STREAM, 1, first);
    for piece in between {
        out.extend(frame(CONTINUATION, 0, 1, piece));
    }
    out.extend(frame(CONTINUATION, END_HEADERS, 1, last));
    out
}

/// The head of a push that says so of its length.
fn push_of(lengths: &[usize]) -> Vec<u8> {
    let lines = lengths.iter();
    let lines = lines.map(|it| ("content-length".to_owned(), it.to_string()));
    let all: Fields = pushing().into_iter().chain(lines).collect();
    frame(HEADERS, END_HEADERS, 1, &block(&all))
}

/// Frames of a push whose body is not what its head says.
fn odd_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let body = numbered(BODY.as_bytes(), FIRST);
    let whole = frame(DATA, END_STREAM, 1, &body);
    let open = frame(DATA, 0, 1, &body);
    let trailers = frame(HEADERS, END_HEADERS, 1, &field("x", "y"));
    let length = body.len();
    let push = |lengths: &[usize], frames: &[&Vec<u8>]| {
        let frames: Vec<u8> = frames.iter().flat_map(|it| (*it).clone()).collect();
        [push_of(lengths), frames].concat()
    };
    vec![
        ("longer", push(&[length - 1], &[&whole])),
        ("shorter", push(&[length + 1], &[&whole])),
        ("more than none", push(&[0], &[&whole])),
        ("two lengths", push(&[length, length], &[&whole])),
        ("two other lengths", push(&[length, length + 1], &[&whole])),
        (
            "trailers that are not its end",
            push(&[], &[&open, &trailers]),
        ),
        (
            "data behind its end",
            push(&[length + 1], &[&whole, &whole]),
        ),
    ]
}

#[test]
fn a_body_is_as_long_as_its_head_says_or_is_refused() {
    let (house, vendor) = open();
    for (name, frames) in odd_bodies() {
        let mut connection = Connection::new(&house);
        connection.send(&frames);
        let end = connection.end_of(1);
        let refused = !matches!(end, End::Answered(..400));
        assert!(refused, "{name}: {end:?}");
    }
    let body = numbered(BODY.as_bytes(), FIRST);
    let reset = [push_of(&[body.len()]), frame(DATA, 0, 1, &body)].concat();
    // CANCEL; INTERNAL_ERROR; NO_ERROR, which a library takes for an end of the body.
    for (code, number) in [8, 2, 0].into_iter().zip(FIRST + 1..) {
        let before = vendor.seen().len();
        let mut connection = Connection::new(&house);
        let reset = [&*reset, &frame(RST_STREAM, 0, 1, &[0, 0, 0, code])].concat();
        connection.send(&reset);
        // Behind the reset, on the same connection: when this is answered, that has been seen.
        let pull = numbered(&block(&pulling()), number);
        connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &pull));
        assert_eq!(connection.end_of(3), End::Answered(200));
        let all = vendor.seen().len() - before;
        assert_eq!(all, 1, "a body that was cut went on: {code}");
    }

    let padded = [&[5_u8][..], &body, &[0; 5]].concat();
    let trailers = field("x-sum", "Fenna-zzq-line");
    let mut connection = Connection::new(&house);
    connection.send(&push_of(&[body.len()]));
    connection.send(&frame(DATA, PADDED, 1, &padded));
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
    assert_eq!(connection.end_of(1), End::Answered(200));
    for seen in vendor.seen() {
        assert_eq!(foreign(&house, &seen), None);
    }
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

/// Frames that end a connection or their stream, and let nothing of it be forwarded.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn odd_frames() -> Vec<(&'static str, Vec<u8>)> {
    let head = block(&pulling());
    let good = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
    let open = frame(HEADERS, 0, 1, &head);
    let setting = |id: u8, value: u32| {
        let payload = [&[0, id][..], &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    let with_padding = [&[255][..], &head].concat();
    let dependent = [&1_u32.to_be_bytes()[..], &[0], &head].concat();
    vec![
        ("DATA on no stream", frame(DATA, 0, 0, b"x")),
        ("DATA on an idle stream", frame(DATA, 0, 1, b"x")),
        ("HEADERS on no stream", good(0)),
        ("HEADERS on an even stream", good(2)),
        (
            "PUSH_PROMISE",
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2], &*head].concat(),
            ),
        ),
        (
            "CONTINUATION alone",
            frame(CONTINUATION, END_HEADERS, 1, &head),
        ),
        (
            "PING within a head",
            [open.clone(), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
        (
            "DATA within a head",
            [open.clone(), frame(DATA, END_STREAM, 1, b"x")].concat(),
        ),
        (
            "another head within a head",
            [open.clone(), good(3)].concat(),
        ),
        (
            "CONTINUATION of another",
            [open, frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
        ),
        ("a PING of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        ("a PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        (
            "SETTINGS that acknowledge and set",
            frame(SETTINGS, ACK, 0, &[0; 6]),
        ),
        ("ENABLE_PUSH of 2", setting(2, 2)),
        ("a window of 2^31", setting(4, 1 << 31)),
        ("frames of 1 byte", setting(5, 1)),
        ("frames of 16 MiB and 1", setting(5, 1 << 24)),
        ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "WINDOW_UPDATE of 3 bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
        ),
        (
            "WINDOW_UPDATE on an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        ),
        (
            "a window beyond 2^31",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "RST_STREAM on an idle stream",
            frame(RST_STREAM, 0, 1, &[0; 4]),
        ),
        ("RST_STREAM on no stream", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("RST_STREAM of 3 bytes", frame(RST_STREAM, 0, 1, &[0; 3])),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        (
            "a frame of 16 KiB and 1",
            frame(DATA, 0, 1, &[0; (16 << 10) + 1]),
        ),
        (
            "a head of 16 KiB and 1",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0; (16 << 10) + 1]),
        ),
        (
            "more padding than frame",
            frame(HEADERS, PADDED | END_HEADERS | END_STREAM, 1, &with_padding),
        ),
        (
            "a head that depends on itself",
            frame(
                HEADERS,
                PRIORITISED | END_HEADERS | END_STREAM,
                1,
                &dependent,
            ),
        ),
        (
            "an index beyond all tables",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0x7f]),
        ),
        (
            "an index of 0",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]),
        ),
        (
            "a table of 1 MiB",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[0x3f, 0xe1, 0xff, 0x3f],
            ),
        ),
        (
            "a field that is cut",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &head[..head.len() - 3],
            ),
        ),
        (
            "an empty head",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[]),
        ),
        (
            "a head with bad Huffman",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 0x81, 0, 0x81, 0]),
        ),
    ]
}

#[test]
fn frames_out_of_their_order_end_their_connection_or_stream() {
    let (house, vendor) = open();
    for (name, bytes) in odd_frames() {
        let mut connection = Connection::new(&house);
        connection.send(&numbered(&bytes, FIRST));
        let end = connection.end_of(1);
        let ended = matches!(end, End::Reset | End::Over(_) | End::Answered(400..));
        assert!(ended, "{name}: {end:?}");
    }
    let first = numbered(&in_frames(&block(&pulling())), FIRST);
    for preface in [
        "",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "GET /pull/users HTTP/1.1\r\nhost: school.example\r\n\r\n",
    ] {
        let mut connection = Connection::bare(&house);
        connection.send(preface.as_bytes());
        connection.send(&first);
        assert!(matches!(connection.end_of(1), End::Over(_)), "{preface:?}");
    }
    assert_eq!(vendor.seen().len(), 0);
    let mut after = Connection::new(&house);
    after.send(&first);
    assert_eq!(after.end_of(1), End::Answered(200));
    // A stream that has been is no stream any more.
    after.send(&first);
    assert!(!matches!(after.end_of(1), End::Answered(200)));
    assert_eq!(vendor.seen().len(), 1);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}
