//! Requests: every odd form of a line, a length, a chunk and a host, made from the grammar.

use sluis::guard::{Fault, Reader as _, Requests};
use sluis::limits::{Bound, Limits};
use sluis::refusal::Refusal;

use crate::oracle::feed::{Fed, in_every_split};
use crate::oracle::{hyper, naive};

/// A request that follows another: whoever lost count would see it as something else.
const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

fn fed(bytes: &[u8]) -> Fed {
    let seed = bytes
        .iter()
        .fold(7, |sum: u64, byte| sum * 31 % 65_521 + u64::from(*byte));
    in_every_split(|| Requests::new(&Limits::default()), bytes, seed)
}

/// All of it is shown, and hyper reads `count` messages in it, each with the body that a second
/// reading finds.
fn taken(text: impl AsRef<[u8]>, count: usize) {
    let text = text.as_ref();
    let fed = fed(text);
    assert_eq!(fed.fault, None, "{}", text.escape_ascii());
    assert_eq!(fed.shown, text, "{}", text.escape_ascii());
    agree(&fed.shown, count);
}

/// It is refused where the message begins that follows `before`, and none of it is seen.
fn refused(text: impl AsRef<[u8]>, refusal: Refusal) {
    for (before, count) in [("", 0), (NEXT, 1)] {
        let text = [before.as_bytes(), text.as_ref(), NEXT.as_bytes()].concat();
        let fed = fed(&text);
        let fault = Some(Fault::Head(refusal));
        assert_eq!(fed.fault, fault, "{}", text.escape_ascii());
        assert_eq!(fed.shown, before.as_bytes(), "{}", text.escape_ascii());
        agree(&fed.shown, count);
    }
}

/// The head is shown and its body is broken: hyper sees no end of it.
fn broken(head: &str, body: &str) {
    let text = format!("{head}{body}{NEXT}");
    let fed = fed(text.as_bytes());
    assert_eq!(fed.fault, Some(Fault::Body), "{text:?}");
    assert!(fed.shown.len() >= head.len(), "{text:?}");
    let read = hyper::requests(&fed.shown);
    assert_eq!((read.len(), read[0].whole), (1, false), "{text:?}");
    agree(&fed.shown, 1);
}

fn agree(shown: &[u8], count: usize) {
    let read = hyper::requests(shown);
    assert_eq!(read, naive::requests(shown), "{}", shown.escape_ascii());
    assert_eq!(read.len(), count, "{}", shown.escape_ascii());
}

/// A head with these lines besides `Host`.
fn with(lines: &str) -> String {
    format!("POST /a?b=c HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n")
}

#[test]
fn plain_requests_are_taken_one_after_the_other() {
    taken("", 0);
    for method in ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] {
        taken(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n{NEXT}"), 2);
    }
    let five = with("content-length: 5\r\n");
    taken(format!("{five}GET /{NEXT}{five}\r\n\r\n\r{NEXT}"), 4);
    taken(with("content-length: 0\r\n") + NEXT, 2);
    let chunked = with("transfer-encoding: chunked\r\n");
    taken(
        format!("{chunked}5\r\nGET /\r\n0\r\n\r\n{chunked}0\r\n\r\n{NEXT}"),
        3,
    );
    taken(
        with("expect: 100-Continue\r\ncontent-length: 2\r\n") + "{}" + NEXT,
        2,
    );
    taken(with("connection: keep-alive, close\r\n"), 1);
    taken(b"GET / HTTP/1.1\r\nhost: a\r\nx: \xc3\xa9\xff\r\n\r\n", 1);
}

#[test]
fn lines_end_in_one_way() {
    let good = "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n";
    let ends: Vec<usize> = good.match_indices("\r\n").map(|(at, _)| at).collect();
    for at in ends {
        for end in [
            "\n", "\r", "\r\r\n", "\n\r", " \n", "\u{b}\n", "\0\r\n", "\r \n",
        ] {
            refused(
                [&good[..at], end, &good[at + 2..]].concat(),
                Refusal::HeadInvalid,
            );
        }
    }
    for start in ["\r\n", "\n", "\r", " ", "\t", "\0", "\u{feff}", "\r\n\r\n"] {
        refused([start, good].concat(), Refusal::HeadInvalid);
    }
}

#[test]
fn a_first_line_is_method_target_and_version() {
    let first = |line: &str| format!("{line}\r\nhost: a\r\n\r\n");
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET",
        "",
        "/ HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/11",
        "GET / HTTP/1.",
        "GET / HTTP/1.1.1",
        "GET / HTTP/a.1",
        "GET / HTTP/1.b",
        " / HTTP/1.1",
        "GET / HTCPCP/1.0",
        "GET / HTTP1.1",
        "G\0T / HTTP/1.1",
        "GE(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "\u{16}\u{3}\u{1}",
    ] {
        refused(first(line), Refusal::HeadInvalid);
    }
    for version in ["1.0", "0.9", "1.2", "2.0", "1.9", "9.9"] {
        refused(
            first(&format!("GET / HTTP/{version}")),
            Refusal::VersionUnsupported,
        );
    }
    refused(
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refusal::VersionUnsupported,
    );
    for method in [
        "get", "Get", "GETS", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "M-SEARCH",
    ] {
        refused(
            first(&format!("{method} / HTTP/1.1")),
            Refusal::MethodNotListed,
        );
    }
    refused(
        first(&format!("{} / HTTP/1.1", "G".repeat(20_000))),
        Refusal::MethodNotListed,
    );
}

#[test]
fn a_target_is_a_path_or_an_address_of_printable_ascii() {
    let first = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
    for target in [
        "/",
        "//",
        "/a/b;c=d?e=f&g=%20",
        "/?",
        "/a?b?c",
        "/[{|}]?[{|}]",
        "/-._~!$&'()*+,:=@",
        "/?filter=a='b'",
        "http://a/",
        "https://a.example:8443/x?y",
        "http://[::1]:80/",
    ] {
        taken(first(target), 1);
    }
    for byte in (0x21..=0x7e).map(char::from) {
        let odd = "\"#<>\\^`".contains(byte);
        for target in [format!("/a{byte}b"), format!("/a?b{byte}")] {
            match odd {
                true => refused(first(&target), Refusal::PathInvalid),
                false => taken(first(&target), 1),
            }
        }
    }
    for target in [
        "*",
        "a",
        "a:443",
        "HTTP://a/",
        "?",
        "ftp://a/",
        "http:/a",
        "http://a",
        "http://a?b",
        "/\u{e9}",
    ] {
        refused(first(target), Refusal::PathInvalid);
    }
    for host in ["", "u@a", "a:", "a:b", "a,b", "[::g]"] {
        refused(first(&format!("http://{host}/")), Refusal::HostInvalid);
    }
}

#[test]
fn a_line_is_a_name_and_a_value() {
    for line in [
        ": a",
        "x : y",
        "x\t: y",
        " x: y",
        "\tx: y",
        "x",
        "x y: z",
        "x;: y",
        "x\0: y",
        "x: \0",
        "x: \u{7}",
        "x: a\rb",
        "x: \u{7f}",
        "\u{e9}: y",
        "(x): y",
        "x\u{b}: y",
        "\"x\": y",
    ] {
        refused(with(&format!("{line}\r\n")), Refusal::HeadInvalid);
        refused(
            format!("GET / HTTP/1.1\r\n{line}\r\nhost: a\r\n\r\n"),
            Refusal::HeadInvalid,
        );
    }
    for fold in [" ", "\t", " \t y"] {
        refused(
            with(&format!("x: y\r\n{fold}z: 1\r\n")),
            Refusal::HeadInvalid,
        );
    }
    for line in [
        "x:",
        "x:y",
        "x:\ty\t",
        "x: : ",
        "!#$%&'*+-.^_`|~09: y",
        "x: \"\u{e9}\"",
    ] {
        taken(with(&format!("{line}\r\n")), 1);
    }
}

/// Every way to write the length of a body of five bytes, but one.
fn odd_lengths() -> Vec<String> {
    let mut odd: Vec<String> = [
        "",
        "-5",
        "+5",
        "5,5",
        "5, 5",
        "5;",
        "5.0",
        "5e0",
        "0x5",
        "05",
        "00",
        "5 5",
        "\"5\"",
        "five",
        "\u{665}",
        "5\u{a0}",
        ",5",
        "5,",
        "5\t5",
        "1_0",
        "5h",
        "9999999999999999999",
        "18446744073709551616",
        "18446744073709551621",
    ]
    .map(str::to_owned)
    .to_vec();
    odd.extend((1..4).map(|zeros| "0".repeat(zeros) + "5"));
    odd.push("1".repeat(400));
    odd
}

#[test]
fn a_length_is_said_once_in_digits() {
    for length in odd_lengths() {
        let head = with(&format!("content-length: {length}\r\n"));
        refused(head + "GET /", Refusal::FramingInvalid);
    }
    for name in ["Content-Length", "CONTENT-LENGTH", "content-length"] {
        for (before, after) in [("", ""), (" ", ""), ("\t ", " \t")] {
            taken(
                with(&format!("{name}:{before}5{after}\r\n")) + "GET /" + NEXT,
                2,
            );
            for other in ["5", "6", "0"] {
                let twice =
                    format!("{name}: 5\r\nx: y\r\nContent-length:{before}{other}{after}\r\n");
                refused(with(&twice) + "GET /", Refusal::FramingInvalid);
            }
        }
    }
    let longest = with(&format!("content-length: {}\r\n", "9".repeat(18)));
    assert_eq!(fed(longest.as_bytes()).shown, longest.as_bytes());
    // Not the name: whoever reads it as one is not in our house.
    for name in [
        "content_length",
        "content-lengthx",
        "xcontent-length",
        "content length",
    ] {
        let head = with(&format!("{name}: 5\r\n"));
        match name.contains(' ') {
            true => refused(head, Refusal::HeadInvalid),
            false => taken(head + NEXT, 2),
        }
    }
}

#[test]
fn a_coding_is_chunked_said_once_and_without_a_length() {
    for coding in [
        "",
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        ",chunked",
        "chunked,",
        "chunked;q=1",
        "\"chunked\"",
        "chunked chunked",
        "x-chunked",
        "chunke",
        "chunkedd",
        "identity, chunked",
        "chunked, identity",
        "cow",
        "chunked\u{a0}",
        "chun ked",
        "trailers",
    ] {
        let head = with(&format!("transfer-encoding: {coding}\r\n"));
        refused(head + "0\r\n\r\n", Refusal::TransferEncodingUnsupported);
    }
    for name in ["Transfer-Encoding", "TRANSFER-ENCODING"] {
        for value in ["chunked", " chunked", "\tCHUNKED \t"] {
            let line = format!("{name}:{value}\r\n");
            taken(with(&line) + "0\r\n\r\n" + NEXT, 2);
            let twice = [&*line, "x: y\r\n", &line].concat();
            refused(
                with(&twice) + "0\r\n\r\n",
                Refusal::TransferEncodingUnsupported,
            );
            for length in ["0", "5", "x"].map(|it| format!("content-length: {it}\r\n")) {
                let (one, other) = (&*line, &*length);
                refused(with(&[one, other].concat()), Refusal::FramingInvalid);
                refused(
                    with(&[other, "x: y\r\n", one].concat()),
                    Refusal::FramingInvalid,
                );
            }
        }
    }
}

#[test]
fn chunks_are_digits_data_and_nothing_else() {
    let head = with("transfer-encoding: chunked\r\n");
    for size in ["5", "05", "0005", "000000000000005"] {
        taken(format!("{head}{size}\r\nGET /\r\n0\r\n\r\n{NEXT}"), 2);
    }
    taken(
        format!("{head}a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n{NEXT}"),
        2,
    );
    for size in [
        "",
        "-5",
        "+5",
        "0x5",
        "5h",
        " 5",
        "5 ",
        "\t5",
        "5\t",
        "5;",
        "5;a=b",
        "5;a=\"b\"",
        "5 ;a",
        "g",
        "5,",
        "5.",
        "\0",
        "5\0",
        "\u{665}",
        "0000000000000005",
        "fffffffffffffffff",
        "10000000000000005",
    ] {
        broken(&head, &format!("{size}\r\nGET /\r\n0\r\n\r\n"));
        broken(&head, &format!("1\r\n1\r\n{size}\r\nGET /\r\n0\r\n\r\n"));
    }
    for end in ["\n", "\r", "\r\r\n", "\n\r", " \r\n", "\r \n", "\r\n ", ""] {
        broken(&head, &format!("5{end}GET /\r\n0\r\n\r\n"));
        broken(&head, &format!("5\r\nGET /{end}0\r\n\r\n"));
        broken(&head, &format!("5\r\nGET /\r\n0{end}X\r\n"));
    }
    for surplus in ["X", "\0", "\r", "\n", " "] {
        broken(&head, &format!("5\r\nGET /{surplus}\r\n0\r\n\r\n"));
    }
    taken(format!("{head}1A\r\n{:26}\r\n0\r\n\r\n{NEXT}", ""), 2);
    broken(&head, "6\r\nGET /\r\n0\r\n\r\n");
    broken(&head, "4\r\nGET /\r\n0\r\n\r\n");
}

#[test]
fn trailers_are_lines_within_bounds() {
    let head = with("transfer-encoding: chunked\r\n");
    for trailers in [
        "x: y\r\n",
        "content-length: 5\r\nhost: b\r\n",
        &"x: y\r\n".repeat(16),
    ] {
        taken(format!("{head}1\r\n1\r\n0\r\n{trailers}\r\n{NEXT}"), 2);
    }
    let long = format!("x: {}\r\n", "y".repeat(4 << 10));
    for trailers in [
        "x\r\n",
        "x : y\r\n",
        " x: y\r\n",
        "x: y\n",
        ": y\r\n",
        &long,
    ] {
        broken(&head, &format!("1\r\n1\r\n0\r\n{trailers}\r\n"));
    }
    broken(&head, &format!("0\r\n{}\r\n", "x: y\r\n".repeat(17)));
    broken(
        &head,
        &format!(
            "0\r\n{}\r\n",
            format!("x: {}\r\n", "y".repeat(600)).repeat(7)
        ),
    );
}

#[test]
fn one_host_is_named() {
    let hosts = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n");
    for host in [
        "a",
        "A.B",
        "a-b_c.1",
        "1.2.3.4",
        "a:1",
        "a:65535",
        "[::1]",
        "[fe80::1]:80",
    ] {
        taken(hosts(&format!("Host: {host}\r\n")), 1);
        taken(hosts(&format!("x: y\r\nHOST:\t{host} \r\n")), 1);
    }
    for host in [
        "", "a,b", "a b", "u@a", "u:p@a", "a:", "a:x", "a:-1", "a:65536", "a:80:80", "a/b", "a?b",
        "a#b", "http://a", "[::1", "::1", "[::1]x", "[]", "a%41", "\u{e9}", "a;b", "a\\b", "*",
    ] {
        refused(hosts(&format!("host: {host}\r\n")), Refusal::HostInvalid);
    }
    for lines in [
        "",
        "x: y\r\n",
        "hosts: a\r\n",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nHost: b\r\n",
    ] {
        refused(hosts(lines), Refusal::HostInvalid);
    }
}

#[test]
fn other_protocols_and_expectations_are_refused() {
    for lines in [
        "upgrade: websocket\r\n",
        "Upgrade:\r\n",
        "connection: upgrade\r\n",
        "Connection: close, Upgrade\r\n",
        "connection: keep-alive\r\nconnection:,UPGRADE ,\r\n",
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
    ] {
        refused(with(lines), Refusal::UpgradeRequested);
    }
    taken(with("connection: upgrades, x-upgrade\r\n"), 1);
    for lines in [
        "expect: 200-ok\r\n",
        "expect:\r\n",
        "expect: 100-continue, x\r\n",
        "expect: 100-continue\r\nExpect: 100-continue\r\n",
        "Expect: 100 continue\r\n",
    ] {
        refused(with(lines), Refusal::ExpectationUnknown);
    }
}

#[test]
fn a_line_means_something_by_its_name_and_not_by_its_length() {
    for name in [
        "from",
        "server",
        "referer",
        "user-agent",
        "content-digest",
        "proxy-authenticat",
    ] {
        for value in ["", "a,b", "upgrade", "5, 5", "gzip"] {
            let line = format!("{name}: {value}\r\n");
            taken(with(&[&*line, &line].concat()) + NEXT, 2);
        }
    }
}

#[test]
fn sizes_are_held_to_the_byte() {
    let most = |bound| Limits::default().size(bound);
    let target = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nhost: a\r\n\r\n",
            "a".repeat(length - 1)
        )
    };
    taken(target(most(Bound::Target)), 1);
    for more in [1, 2, 3, 4, 5, 6, 7, 100, 100_000] {
        refused(target(most(Bound::Target) + more), Refusal::TargetTooLong);
    }
    taken(target(most(Bound::Target)).replace("GET", "DELETE"), 1);
    let longer = target(most(Bound::Target) + 100).replace("GET", "DELETE");
    refused(longer, Refusal::TargetTooLong);
    let other = target(most(Bound::Target) + 100).replace("GET", "OPTIONS");
    refused(other, Refusal::MethodNotListed);
    let line = |length: usize| format!("x: {}\r\n", "y".repeat(length - 5));
    taken(with(&line(most(Bound::Header))), 1);
    for more in [1, 2, 3, 100, 100_000] {
        refused(
            with(&line(most(Bound::Header) + more)),
            Refusal::HeadTooLarge,
        );
    }
    refused(
        with(&("x".repeat(100_000) + ": y\r\n")),
        Refusal::HeadTooLarge,
    );
    let host = "Host: a.example\r\n".len();
    let half = line((most(Bound::Head) - host) / 2);
    let rest = line(most(Bound::Head) - host - half.len());
    taken(with(&[&*half, &rest].concat()), 1);
    let rest = line(most(Bound::Head) - host - half.len() + 1);
    refused(with(&[&*half, &rest].concat()), Refusal::HeadTooLarge);
    taken(with(&"x:\r\n".repeat(most(Bound::Headers) - 1)), 1);
    refused(
        with(&"x:\r\n".repeat(most(Bound::Headers))),
        Refusal::HeadTooLarge,
    );
}

#[test]
fn a_message_that_is_cut_shows_no_head_and_no_end() {
    let chunked = with("transfer-encoding: chunked\r\n") + "5\r\nGET /\r\n0\r\nx: y\r\n\r\n";
    for text in [
        NEXT.to_owned(),
        with("content-length: 5\r\n") + "GET /",
        chunked,
    ] {
        let head = text.find("\r\n\r\n").unwrap() + 4;
        for end in 0..text.len() {
            let cut = fed(&text.as_bytes()[..end]);
            assert_eq!(cut.fault, None);
            assert_eq!(cut.shown.is_empty(), end < head, "{:?}", &text[..end]);
            let read = hyper::requests(&cut.shown);
            assert!(
                read.iter().all(|message| !message.whole),
                "{:?}",
                &text[..end]
            );
        }
    }
}

/// What a connection is let go by: as many requests as are whole, at every byte of them.
#[test]
fn requests_are_whole_from_their_last_byte_to_the_next_head() {
    let parts = [
        (NEXT, true),
        (
            "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n",
            true,
        ),
        ("{...}", false),
        (
            "POST /b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            true,
        ),
        ("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", false),
        (
            "PUT /c HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
        (NEXT, true),
    ];
    let mut reader = Requests::new(&Limits::default());
    let (mut heads, mut held) = (0, Vec::new());
    assert_eq!(reader.whole(), Some(0));
    for (number, (text, is_head)) in parts.iter().enumerate() {
        let has_body = parts.get(number + 1).is_some_and(|(_, is_head)| !is_head);
        for (at, byte) in text.bytes().enumerate() {
            held.push(byte);
            let look = reader.look(&held);
            assert_eq!(look.fault, None);
            held.drain(..look.shown);
            let is_last = at + 1 == text.len();
            heads += u64::from(*is_head && is_last);
            let is_whole = match *is_head {
                true => !(is_last && has_body),
                false => is_last,
            };
            assert_eq!(
                reader.whole(),
                is_whole.then_some(heads),
                "{text:?} at {at}"
            );
        }
    }
    assert_eq!(
        reader.look(b"x\0").fault,
        Some(Fault::Head(Refusal::HeadInvalid))
    );
    assert_eq!(reader.whole(), None);
}
