//! Requests that two readers could read differently, made from the grammar of RFC 9112: every odd
//! form of a part, wherever it can stand.

use super::ODD_ENDS;
use crate::harness::{HOST, PULL_TOKEN, PUSH_TOKEN};

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Chunk,
    Coding,
    FirstLine,
    Host,
    Length,
    LineEnd,
    Lines,
    Target,
}

impl Class {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Chunk => "chunks and trailers",
            Self::Coding => "transfer codings",
            Self::FirstLine => "first lines",
            Self::Host => "hosts",
            Self::Length => "lengths",
            Self::LineEnd => "line ends",
            Self::Lines => "header lines",
            Self::Target => "targets",
        }
    }
}

/// What must come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// It is served, once.
    Served,
    /// It is refused, and nothing after it is looked at.
    Closed,
    /// It is refused; where it ends is clear.
    Refused,
    /// One or the other: the standard allows it, and nobody sends it.
    Either,
}

/// What follows a request on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Another request, which everybody sees as that.
    Next,
    /// What only some readers take for a request: nobody may ever serve it.
    Smuggled,
}

/// One request, with what follows it on the same connection.
///
/// `NNNNN` stands for its number, `MMMMM` for that of what follows.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) class: Class,
    pub(crate) name: String,
    pub(crate) right: Right,
    pub(crate) follow: Follow,
    bytes: Vec<u8>,
}

impl Case {
    /// A request and another one behind it; each character is one byte.
    pub(crate) fn new(class: Class, right: Right, name: &str, text: &str) -> Self {
        let text = text.to_owned() + &next();
        let bytes = text.chars().map(|it| u8::try_from(u32::from(it)).unwrap());
        Self {
            class,
            name: name.escape_debug().to_string(),
            right,
            follow: Follow::Next,
            bytes: bytes.collect(),
        }
    }

    /// The same, if what follows is seen by some readers only.
    pub(crate) fn smuggling(self) -> Self {
        Self {
            follow: Follow::Smuggled,
            ..self
        }
    }

    /// A request alone.
    pub(crate) fn alone(class: Class, right: Right, name: &str, text: &str) -> Self {
        let mut case = Self::new(class, right, name, text);
        case.bytes.truncate(case.bytes.len() - next().len());
        case
    }

    /// Its bytes, with its number; what follows has the next.
    pub(crate) fn bytes(&self, number: u32) -> Vec<u8> {
        numbered(&self.bytes, number)
    }
}

/// Bytes with their number, and that of what follows.
pub(crate) fn numbered(bytes: &[u8], number: u32) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for (mark, number) in [(b"NNNNN", number), (b"MMMMM", number + 1)] {
        let digits = format!("{number:05}");
        let places: Vec<usize> = (0..out.len().saturating_sub(4))
            .filter(|at| &out[*at..at + 5] == mark)
            .collect();
        for at in places {
            out[at..at + 5].copy_from_slice(digits.as_bytes());
        }
    }
    out
}

/// What is pushed; what is marked in it does not go on.
pub(crate) const BODY: &str =
    r#"{"users":[{"sourcedId":"pupil-zzq-901","grade":NNNNN,"name":"Fenna-zzq"}]}"#;

/// A line of a caller's own.
pub(crate) const OWN: &str = "x-caller: Fenna-zzq-line\r\n";

pub(crate) fn next() -> String {
    format!(
        "GET /pull/users?limit=MMMMM HTTP/1.1\r\nhost: {HOST}\r\n\
         authorization: Bearer {PULL_TOKEN}\r\n\r\n"
    )
}

/// A push whose lines about the body are these.
pub(crate) fn push(lines: &str, body: &str) -> String {
    format!(
        "POST /push/users HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {PUSH_TOKEN}\r\n\
         {OWN}content-type: application/json\r\n{lines}\r\n{body}"
    )
}

/// A pull with this first line and these lines for the host.
fn pull(first: &str, hosts: &str) -> String {
    format!("{first}\r\n{hosts}authorization: Bearer {PULL_TOKEN}\r\n{OWN}\r\n")
}

const FIRST: &str = "GET /pull/users?limit=NNNNN HTTP/1.1";

fn host() -> String {
    format!("host: {HOST}\r\n")
}

pub(crate) fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// The bytes of a text in UTF-8, each as a character.
fn utf8(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Every case, class by class.
pub(crate) fn all() -> Vec<Case> {
    [
        lengths(),
        length_lines(),
        codings(),
        coding_lines(),
        chunk_cases(),
        line_ends(),
        first_lines(),
        methods(),
        header_lines(),
        header_values(),
        super::targets::hosts(),
        super::targets::absolutes(),
        super::targets::segments(),
        super::targets::queries(),
    ]
    .concat()
}

/// Forms of a length that is `L` bytes.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn odd_lengths(length: usize) -> Vec<String> {
    let short = length - 1;
    let plain = [
        "+L",
        "-L",
        "0L",
        "00000000000000000000L",
        "L,L",
        "L, L",
        "L,",
        ",L",
        ", L",
        "L L",
        "0xL",
        "Le0",
        "L.0",
        "L.",
        "L;x",
        "\"L\"",
        "'L'",
        "",
        "L\0",
        "\0L",
        "L\u{b}",
        "\u{b}L",
        "L\u{c}",
        "L_0",
        "L\u{a0}",
        "\u{a0}L",
        "L:",
        "L-",
        "-0",
        "L%20",
        "x",
        "chunked",
        "9223372036854775808",
        "18446744073709551616",
        "1844674407370955161L",
        "99999999999999999999999999999999",
        "-1",
        "L\r",
        "\rL",
        "L\r\n ",
        "\r\n L",
        "L\u{85}",
    ];
    let mut forms: Vec<String> = plain
        .iter()
        .map(|form| form.replace('L', &length.to_string()))
        .collect();
    forms.push(format!("{short},{length}"));
    forms.push(format!("{length},{short}"));
    forms.push(format!("0x{length:x}"));
    forms.push(format!("0{length:o}"));
    let digits = length.to_string();
    for zero in ['０', '٠', '०'] {
        let digit = |digit: char| {
            let value = u32::from(zero) + digit.to_digit(10).unwrap();
            char::from_u32(value).unwrap()
        };
        forms.push(utf8(&digits.chars().map(digit).collect::<String>()));
    }
    forms
}

fn lengths() -> Vec<Case> {
    let length = BODY.len();
    let good = format!("content-length: {length}\r\n");
    let mut cases = Vec::new();
    for form in odd_lengths(length) {
        let odd = format!("Content-Length: {form}\r\n");
        for (place, lines) in [
            ("alone", odd.clone()),
            ("before a good one", odd.clone() + &good),
            ("after a good one", good.clone() + &odd),
        ] {
            let name = format!("length {form:?} {place}");
            cases.push(Case::new(
                Class::Length,
                Right::Closed,
                &name,
                &push(&lines, BODY),
            ));
        }
    }
    for form in [
        format!(" {length} "),
        format!("\t{length}"),
        format!("{length} \t "),
    ] {
        let text = push(&format!("content-length:{form}\r\n"), BODY);
        let name = format!("length with blanks around it {form:?}");
        cases.push(Case::new(Class::Length, Right::Served, &name, &text));
    }
    cases
}

/// More than one line of a length, and lines that some take for one.
fn length_lines() -> Vec<Case> {
    let (length, whole) = (BODY.len(), BODY.len() + next().len());
    let line = |length: usize| format!("content-length: {length}\r\n");
    let mut cases = Vec::new();
    for (name, lines) in [
        ("twice the same", line(length).repeat(2)),
        ("three times the same", line(length).repeat(3)),
        ("twice, the longer one last", line(length) + &line(whole)),
        ("twice, the longer one first", line(whole) + &line(length)),
        ("0 and more", line(0) + &line(length)),
        ("more and 0", line(length) + &line(0)),
    ] {
        let name = format!("length {name}");
        let case = Case::new(Class::Length, Right::Closed, &name, &push(&lines, BODY));
        cases.push(case.smuggling());
    }
    for name in odd_names("Content-Length") {
        let lines = format!("{name}: {whole}\r\n");
        let text = push(&(lines.clone() + &line(length)), BODY);
        let called = format!("the name {name:?} beside a length");
        cases.push(Case::new(Class::Length, Right::Closed, &called, &text));
        let called = format!("the name {name:?}, of a GET");
        let text = pull(FIRST, &(host() + &lines));
        cases.push(Case::new(Class::Length, Right::Closed, &called, &text));
    }
    cases
}

/// Names that some readers take for `name`.
fn odd_names(name: &str) -> Vec<String> {
    let (first, second) = name.split_once('-').unwrap();
    let mut names = vec![
        format!("{name} "),
        format!("{name}\t"),
        format!(" {name}"),
        format!("\t{name}"),
        format!("{first} -{second}"),
        format!("{first}\r\n -{second}"),
        format!("{name}\r\n "),
        format!(":{name}"),
    ];
    for byte in [
        '\0', '\u{b}', '\u{c}', '\u{1f}', '\u{7f}', '\u{a0}', '"', '(', '/', '@', '\r',
    ] {
        names.push(format!("{name}{byte}"));
        names.push(format!("{byte}{name}"));
    }
    names
}

/// Forms of a coding that is not exactly `chunked`.
pub(crate) const CODINGS: [&str; 34] = [
    "chunked,",
    ",chunked",
    ", chunked",
    "chunked, chunked",
    "chunked,chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "identity, chunked",
    "chunked, identity",
    "chunked identity",
    "identity chunked",
    "xchunked",
    "chunkedx",
    "x-chunked",
    "chunked;q=1",
    "chunked;",
    "\"chunked\"",
    "'chunked'",
    "chunk",
    "",
    "\u{b}chunked",
    "chunked\u{b}",
    "chunked\0",
    "\u{a0}chunked",
    "chunked\u{a0}",
    "ch\tunked",
    "chun\r\n ked",
    "chunked\r\n ",
    "\r\n chunked",
    "cow",
    "trailers",
    "chunked\r",
    "chunKed\u{17f}",
];

fn codings() -> Vec<Case> {
    let mut cases = Vec::new();
    let body = chunked(BODY);
    let good = "transfer-encoding: chunked\r\n";
    for form in CODINGS {
        let form = utf8_only_if_wide(form);
        let odd = format!("Transfer-Encoding: {form}\r\n");
        let length = format!("content-length: {}\r\n", body.len());
        for (place, lines, smuggled) in [
            ("alone", odd.clone(), false),
            ("before a good one", odd.clone() + good, false),
            ("after a good one", good.to_owned() + &odd, false),
            ("before a length", odd.clone() + &length, true),
            ("after a length", length + &odd, true),
        ] {
            let name = format!("coding {form:?} {place}");
            let case = Case::new(Class::Coding, Right::Closed, &name, &push(&lines, &body));
            cases.push(if smuggled { case.smuggling() } else { case });
        }
    }
    for form in ["chunked", "Chunked", "CHUNKED", " chunked \t"] {
        let text = push(&format!("transfer-encoding:{form}\r\n"), &body);
        let name = format!("coding {form:?}");
        cases.push(Case::new(Class::Coding, Right::Served, &name, &text));
    }
    cases
}

pub(crate) fn utf8_only_if_wide(text: &str) -> String {
    match text.chars().all(|it| u32::from(it) < 256) {
        true => text.to_owned(),
        false => utf8(text),
    }
}

/// A length beside a coding, and lines that some take for a coding.
fn coding_lines() -> Vec<Case> {
    let body = chunked(BODY);
    let coding = "transfer-encoding: chunked\r\n";
    let mut cases = Vec::new();
    let whole = body.len() + next().len();
    for length in [0, 1, BODY.len(), body.len() - 5, body.len(), whole] {
        let length_line = format!("content-length: {length}\r\n");
        for (order, lines) in [
            ("before", length_line.clone() + coding),
            ("after", coding.to_owned() + &length_line),
        ] {
            let name = format!("length {length} {order} a coding");
            let case = Case::new(Class::Coding, Right::Closed, &name, &push(&lines, &body));
            cases.push(case.smuggling());
        }
    }
    let empty = format!("0\r\n\r\n{}", next().replace("MMMMM", "NNNNN"));
    let length = format!("content-length: {}\r\n", BODY.len());
    for name in odd_names("Transfer-Encoding") {
        let odd = format!("{name}: chunked\r\n");
        let called = format!("the name {name:?} beside a length");
        let text = push(&(odd.clone() + &length), BODY);
        cases.push(Case::new(Class::Coding, Right::Closed, &called, &text));
        let called = format!("the name {name:?} alone");
        let text = push(&odd, &empty);
        cases.push(Case::new(Class::Coding, Right::Closed, &called, &text));
    }
    for value in ["\n", "\r", "\r\r\n", "\n\r"] {
        let called = format!("a coding smuggled behind {value:?}");
        let lines = format!("x-odd: a{value}transfer-encoding: chunked\r\n{length}");
        cases.push(Case::new(
            Class::Coding,
            Right::Closed,
            &called,
            &push(&lines, BODY),
        ));
    }
    cases
}

/// A body in chunks, with its name and what must come of it.
type Chunks = (Right, String, String);

fn chunk_cases() -> Vec<Case> {
    let bodies = [chunk_lines(BODY), chunk_ends(BODY)].concat();
    let each = bodies.into_iter().map(|(right, name, body)| {
        let text = push("transfer-encoding: chunked\r\n", &body);
        Case::new(Class::Chunk, right, &name, &text)
    });
    each.collect()
}

/// Lines of a chunk that is as long as it should be: `L` in hexadecimal.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn chunk_lines(body: &str) -> Vec<Chunks> {
    let length = format!("{:x}", body.len());
    let forms = [
        "+L",
        "-L",
        "0xL",
        "0XL",
        " L",
        "\tL",
        "L ",
        "L\t",
        "L,",
        "L.0",
        "L\r",
        "L\0",
        "\0L",
        "Lh",
        "L\u{b}",
        "\u{b}L",
        "",
        "g",
        "L;",
        "L;x",
        "L; x",
        "L ;x",
        "L;x=y",
        "L;x=\"y\"",
        "L;x=\"y\ny\"",
        "L;x=\ny",
        "L;\0",
        "L;x\r",
        "L:",
        "L\n\n",
        "Lg",
        "10000000000000000L",
        "fffffffffffffffL",
        "ffffffffffffffffffffffL",
        "L_",
        "\"L\"",
    ];
    let mut cases = Vec::new();
    let mut add = |right, form: &str| {
        let short: String = form.chars().take(60).collect();
        let name = format!("the line {short:?} of a chunk");
        cases.push((right, name, format!("{form}\r\n{body}\r\n0\r\n\r\n")));
    };
    for form in forms {
        // Extensions are allowed, and nobody has a use for them.
        let right = match form.strip_prefix("L;") {
            Some("x" | "x=y" | "x=\"y\"") => Right::Either,
            Some(_) | None => Right::Closed,
        };
        add(right, &form.replace('L', &length));
    }
    add(Right::Served, &length.to_uppercase());
    for zeros in [1, 2, 8] {
        add(Right::Either, &format!("{}{length}", "0".repeat(zeros)));
    }
    add(Right::Closed, &format!("{}{length}", "0".repeat(40)));
    add(Right::Closed, &format!("{length};x={}", "a".repeat(70_000)));
    for wrong in [-30_i64, -1, 1, 2, 3, 5, 300] {
        let size = i64::try_from(body.len()).unwrap() + wrong;
        add(Right::Closed, &format!("{size:x}"));
    }
    cases
}

/// Ends of chunks, of the last chunk and of the trailers.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn chunk_ends(body: &str) -> Vec<Chunks> {
    let length = format!("{:x}", body.len());
    let mut cases = Vec::new();
    let mut add = |right, what: &str, [line, end, last, rest]: [&str; 4]| {
        let whole = format!("{length}{line}{body}{end}{last}{rest}");
        let shown = format!("{length}{line}…{end}{last}{rest}");
        let shown: String = shown.chars().take(60).collect();
        cases.push((right, format!("{what} {shown:?}"), whole));
    };
    for odd in [
        "\n", "\r", "\n\r", "\r\r\n", "\r\n\r\n", "", " \r\n", "\0\r\n", "x\r\n", "\r\n ",
    ] {
        add(
            Right::Closed,
            "the end of a line",
            [odd, "\r\n", "0\r\n", "\r\n"],
        );
        add(
            Right::Closed,
            "the end of a chunk",
            ["\r\n", odd, "0\r\n", "\r\n"],
        );
        if !odd.starts_with("\r\n") {
            let last = format!("0{odd}");
            add(
                Right::Closed,
                "the end of the last",
                ["\r\n", "\r\n", &last, "\r\n"],
            );
        }
    }
    for odd in ["\n", "\n\r", "\r\r\n", "\rx", "x", " \r\n"] {
        add(
            Right::Closed,
            "the very end",
            ["\r\n", "\r\n", "0\r\n", odd],
        );
    }
    for last in ["-0", "+0", "0x0", " 0", "0 ", "0,", "0;\0", "g"] {
        let last = format!("{last}\r\n");
        add(Right::Closed, "the last", ["\r\n", "\r\n", &last, "\r\n"]);
    }
    for last in ["00", "0000", "0;x", "0;x=y"] {
        let last = format!("{last}\r\n");
        add(Right::Either, "the last", ["\r\n", "\r\n", &last, "\r\n"]);
    }
    for good in [
        "x: y",
        "x: y\r\nz: 1",
        "content-length: 5",
        "transfer-encoding: chunked",
        "host: x",
    ] {
        let rest = format!("{good}\r\n\r\n");
        add(Right::Either, "trailers", ["\r\n", "\r\n", "0\r\n", &rest]);
    }
    for odd in [
        " x: y",
        "x : y",
        "x",
        ": y",
        "x: y\n",
        "x: \0",
        "x: y\r\n z",
        "x\0: y",
        "x: a\rb",
    ] {
        let rest = format!("{odd}\r\n\r\n");
        add(Right::Closed, "trailers", ["\r\n", "\r\n", "0\r\n", &rest]);
    }
    let long = format!("x: {}\r\n", "a".repeat(1_000)).repeat(300);
    add(
        Right::Closed,
        "trailers",
        ["\r\n", "\r\n", "0\r\n", &format!("{long}\r\n")],
    );
    cases
}

/// Every end of a line that is not CRLF, at every line of a head.
fn line_ends() -> Vec<Case> {
    let text = pull(FIRST, &host());
    let mut cases = Vec::new();
    let ends: Vec<usize> = text.match_indices("\r\n").map(|(at, _)| at).collect();
    for odd in ODD_ENDS.into_iter().chain(["\r\n\n"]) {
        // Behind the last line, it would be before the next request.
        let ends = if odd.starts_with("\r\n") {
            &ends[..ends.len() - 1]
        } else {
            &ends[..]
        };
        for (line, at) in ends.iter().enumerate() {
            let (before, after) = (&text[..*at], &text[at + 2..]);
            let name = format!("line {line} ends with {odd:?}");
            let odd_text = format!("{before}{odd}{after}");
            cases.push(Case::new(Class::LineEnd, Right::Closed, &name, &odd_text));
        }
        if !odd.ends_with(['\0', ' ']) {
            let name = format!("all lines end with {odd:?}");
            let odd_text = text.replace("\r\n", odd);
            cases.push(Case::new(Class::LineEnd, Right::Closed, &name, &odd_text));
        }
    }
    for before in [
        "\n",
        "\r",
        " ",
        "\t",
        "\0",
        "\r\n ",
        "\r\r\n",
        " \r\n",
        "\u{ef}\u{bb}\u{bf}",
    ] {
        let name = format!("{before:?} before it");
        let text = format!("{before}{text}");
        cases.push(Case::new(Class::LineEnd, Right::Closed, &name, &text));
    }
    for lines in [1, 2, 100] {
        // RFC 9112 section 2.2: SHOULD be ignored, one at least.
        let name = format!("{lines} empty lines before it");
        let text = format!("{}{text}", "\r\n".repeat(lines));
        cases.push(Case::new(Class::LineEnd, Right::Either, &name, &text));
    }
    cases
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn first_lines() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |first: &str| {
        let name = format!("the first line {first:?}");
        let text = pull(first, &host());
        cases.push(Case::new(Class::FirstLine, Right::Closed, &name, &text));
    };
    let (method, target, version) = ("GET", "/pull/users?limit=NNNNN", "HTTP/1.1");
    for blank in [
        "", "  ", "\t", " \t", "\u{b}", "\u{c}", "\r", "\0", "\u{a0}", "\u{85}", "\n", "\r\n ",
    ] {
        add(&format!("{method}{blank}{target} {version}"));
        add(&format!("{method} {target}{blank}{version}"));
    }
    for blank in [" ", "\t", "\0", "\u{b}", " x"] {
        add(&format!("{method} {target} {version}{blank}"));
    }
    for odd in [
        "HTTP/1.0",
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3.0",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.10",
        "HTTP/01.1",
        "HTTP/1.01",
        "http/1.1",
        "Http/1.1",
        "HTTP/1.1x",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTPS/1.1",
        "HTTP/+1.1",
        "HTTP/1,1",
        "HTTP-1.1",
        "HTTP1.1",
        "ICY",
        "HTTP/1.1 HTTP/1.1",
        "HTTP/1.1.1",
        "HTTP/A.B",
        "SIP/2.0",
    ] {
        add(&format!("{method} {target} {odd}"));
    }
    for odd in [
        "GET",
        "GET ",
        "GET  HTTP/1.1",
        "GET HTTP/1.1",
        "HTTP/1.1",
        "PRI * HTTP/2.0",
        "{}",
    ] {
        add(odd);
    }
    add(&format!("{method} {target}"));
    cases
}

/// Methods that are not listed, or none: with bytes of every kind in them.
fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |right, method: &str| {
        let name = format!(
            "the method {:?}",
            method.chars().take(20).collect::<String>()
        );
        let first = FIRST.replacen("GET", method, 1);
        cases.push(Case::new(
            Class::FirstLine,
            right,
            &name,
            &pull(&first, &host()),
        ));
    };
    let odd = (0..=255_u8).filter(|byte| !super::vendor::is_token(*byte) && *byte != b' ');
    for byte in odd {
        add(Right::Closed, &format!("GE{}T", char::from(byte)));
    }
    for unknown in [
        "get", "Get", "GETT", "XGET", "TRACE", "OPTIONS", "PROPFIND", "PRI", "QUERY", "G'T",
    ] {
        add(Right::Refused, unknown);
    }
    for huge in [64, 1_000, 8_192] {
        add(Right::Refused, &"A".repeat(huge));
    }
    cases
}

/// Lines of a head with a bad name or none, or folded.
fn header_lines() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |right, line: &str| {
        for (place, lines) in [
            ("first", format!("{line}\r\n{}", host())),
            ("last", format!("{}{line}\r\n", host())),
        ] {
            let short: String = line.chars().take(30).collect();
            let name = format!("the line {short:?} {place}");
            cases.push(Case::new(Class::Lines, right, &name, &pull(FIRST, &lines)));
        }
    };
    for byte in (0..=255_u8).filter(|byte| !super::vendor::is_token(*byte) && *byte != b':') {
        let byte = char::from(byte);
        add(Right::Closed, &format!("x{byte}y: z"));
    }
    for odd in [
        "x",
        ": z",
        "x : z",
        "x\t: z",
        " x: z",
        "\tx: z",
        "x\r\n: z",
        "x: a\r\n b",
        "x: a\r\n\tb",
        " ",
        "\t",
    ] {
        add(Right::Closed, odd);
    }
    for good in [
        "x_y: z",
        "x.y: z",
        "!#$%&'*+-.^_`|~: z",
        "x:z",
        "x:  z \t",
        "x:",
        "x: :",
        "X-Y: \u{e9}",
    ] {
        add(Right::Served, good);
    }
    let long = "a".repeat(9_000);
    add(Right::Closed, &format!("x: {long}"));
    add(Right::Closed, &format!("{long}: x"));
    add(Right::Closed, &["x: z"; 80].join("\r\n"));
    add(
        Right::Closed,
        &[&*format!("x: {}", "a".repeat(1_000)); 30].join("\r\n"),
    );
    cases
}

/// Every byte that no value may have; where a line ends is another class.
fn header_values() -> Vec<Case> {
    let odd = (0..b' ').filter(|byte| *byte != b'\t').chain([0x7f]);
    let each = odd.map(|byte| {
        let name = format!("the byte {byte:#04x} in a value");
        let lines = format!("{}x: y{}z: 1\r\n", host(), char::from(byte));
        Case::new(Class::Lines, Right::Closed, &name, &pull(FIRST, &lines))
    });
    each.collect()
}
