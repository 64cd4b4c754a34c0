//! Hosts and targets that name one thing to one reader and another to the next.

use super::grammar::{Case, Class, Right};
use crate::harness::{HOST, PULL_TOKEN};

fn asked(target: &str, hosts: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\n{hosts}authorization: Bearer {PULL_TOKEN}\r\n\
         x-caller: Fenna-zzq-line\r\n\r\n"
    )
}

fn own() -> String {
    format!("host: {HOST}\r\n")
}

/// The target of a pull.
const TARGET: &str = "/pull/users?limit=NNNNN";

/// Hosts that are none, or not ours.
const ODD_HOSTS: [&str; 52] = [
    "",
    "OURS,OURS",
    "OURS, OURS",
    "OURS OURS",
    "OURS,",
    ",OURS",
    "u@OURS",
    "u:p@OURS",
    "@OURS",
    "OURS@evil.example",
    "OURS:",
    "OURS:x",
    "OURS:+80",
    "OURS:-80",
    "OURS: 80",
    "OURS :80",
    "OURS:8a",
    "OURS:99999",
    "OURS:65536",
    "OURS:0x50",
    "OURS:80:80",
    "OURS:80,OURS",
    "OURS/",
    "OURS/x",
    "OURS?x",
    "OURS#x",
    "OURS\\x",
    "OURS\0",
    "\0OURS",
    "OURS\t.evil",
    "OURS\u{b}",
    "OURS\u{a0}",
    "OURS%00",
    "%73chool.example",
    "school%2eexample",
    "OURS\"",
    "<OURS>",
    "[OURS]",
    "[::1",
    "::1",
    "[::g]",
    "[::1]x",
    "[1.2.3.4]",
    "[v1.x]",
    "OURS;x",
    "OURS|x",
    "OURS^",
    "OURS`",
    "{OURS}",
    "sch\u{f6}ol.example",
    "OURS\r",
    "*",
];

/// Other hosts, well-formed.
const FOREIGN_HOSTS: [&str; 12] = [
    "evil.example",
    "OURS.",
    "OURS.evil.example",
    "x.OURS",
    "OURS:81",
    "OURS:443",
    "OURS:0",
    "127.0.0.1",
    "[::1]",
    "school",
    "school.example_",
    "localhost:80",
];

/// Our own, as others may write it.
const OWN_HOSTS: [&str; 5] = [
    "OURS",
    "SCHOOL.example",
    "OURS:80",
    "School.Example:80",
    " OURS \t",
];

/// `OURS` is our own.
fn of(form: &str) -> String {
    form.replace("OURS", HOST)
}

pub(crate) fn hosts() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |right, name: String, hosts: String| {
        cases.push(Case::new(Class::Host, right, &name, &asked(TARGET, &hosts)));
    };
    add(Right::Closed, "no host".to_owned(), String::new());
    for form in ODD_HOSTS {
        let line = format!("host: {}\r\n", of(form));
        add(Right::Closed, format!("the host {form:?}"), line.clone());
        add(
            Right::Closed,
            format!("the host {form:?} before ours"),
            line.clone() + &own(),
        );
        add(
            Right::Closed,
            format!("the host {form:?} after ours"),
            own() + &line,
        );
    }
    for form in FOREIGN_HOSTS {
        let line = format!("host: {}\r\n", of(form));
        add(Right::Refused, format!("the host {form:?}"), line.clone());
        add(
            Right::Closed,
            format!("the host {form:?} beside ours"),
            own() + &line,
        );
    }
    add(Right::Closed, "our host twice".to_owned(), own() + &own());
    for form in OWN_HOSTS {
        add(
            Right::Served,
            format!("the host {form:?}"),
            format!("host:{}\r\n", of(form)),
        );
    }
    for name in [
        "x-forwarded-host",
        "forwarded",
        "x-host",
        "x-original-url",
        "x-rewrite-url",
    ] {
        let line = format!("{name}: evil.example\r\n");
        add(Right::Served, format!("{name} beside ours"), own() + &line);
    }
    cases
}

/// A host in the target, well-formed or not, and other forms of a target.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn absolutes() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |right, target: &str, hosts: &str| {
        let name = format!("the target {target:?} with {hosts:?}");
        let hosts = of(hosts);
        cases.push(Case::new(
            Class::Target,
            right,
            &name,
            &asked(&of(target), &hosts),
        ));
    };
    for form in ["OURS", "SCHOOL.example", "OURS:80"] {
        add(
            Right::Served,
            &format!("http://{form}{TARGET}"),
            "host: OURS\r\n",
        );
        for scheme in ["HTTP", "Http"] {
            add(
                Right::Either,
                &format!("{scheme}://{form}{TARGET}"),
                "host: OURS\r\n",
            );
        }
    }
    let visible = ODD_HOSTS
        .iter()
        .filter(|form| !form.contains([' ', '\t', '\r', '?']));
    for form in visible {
        // Behind a slash it is a path.
        let right = match form.contains('/') {
            true => Right::Refused,
            false => Right::Closed,
        };
        add(
            right,
            &format!("http://{form}{TARGET}"),
            "host: OURS
",
        );
    }
    for form in FOREIGN_HOSTS {
        let target = format!("http://{form}{TARGET}");
        add(Right::Refused, &target, "host: OURS\r\n");
        add(Right::Refused, &target, &format!("host: {form}\r\n"));
    }
    for hosts in [
        "",
        "host: \r\n",
        "host: OURS\r\nhost: OURS\r\n",
        "host: OURS,OURS\r\n",
    ] {
        add(Right::Closed, &format!("http://OURS{TARGET}"), hosts);
    }
    for scheme in ["https", "ftp", "ws", "file", "gopher", "h2c", "javascript"] {
        add(
            Right::Refused,
            &format!("{scheme}://OURS{TARGET}"),
            "host: OURS\r\n",
        );
    }
    for odd in [
        "http:/OURS/pull/users?limit=NNNNN",
        "http:OURS/pull/users?limit=NNNNN",
        "http:///pull/users?limit=NNNNN",
        "http:\\\\OURS/pull/users?limit=NNNNN",
        "://OURS/pull/users?limit=NNNNN",
        "pull/users?limit=NNNNN",
        "?limit=NNNNN",
        "#x",
        "OURS",
        "OURS:80",
        "*",
        "\\pull\\users?limit=NNNNN",
        "1http://OURS/pull/users?limit=NNNNN",
        "ht tp://OURS/pull/users?limit=NNNNN",
    ] {
        add(Right::Closed, odd, "host: OURS\r\n");
    }
    for odd in [
        "//evil.example/pull/users?limit=NNNNN",
        "//OURS/pull/users?limit=NNNNN",
        "///pull/users?limit=NNNNN",
    ] {
        add(Right::Refused, odd, "host: OURS\r\n");
    }
    cases
}

/// Segments that stand for something else than themselves, at every place of a path.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn segments() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |right, target: &str| {
        let name = format!("the target {target:?}");
        cases.push(Case::new(
            Class::Target,
            right,
            &name,
            &asked(target, &own()),
        ));
    };
    let dots = [
        "",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "%252e%252e",
    ];
    let more = [
        ";",
        ";x=1",
        "users;x",
        "%3b",
        "%2f",
        "%2F",
        "%5c",
        "%5C",
        "%00",
        "%25",
        "%2525",
        "%0d%0a",
        "%7f",
        "%c0%ae%c0%ae",
        "%c0%af",
        "%e0%80%af",
        "%80",
        "%ff",
        "%ed%a0%80",
        "%f5%80%80%80",
    ];
    for segment in dots.iter().chain(&more) {
        for target in [
            format!("/pull/{segment}/users?limit=NNNNN"),
            format!("/pull/users/{segment}?limit=NNNNN"),
            format!("/{segment}/pull/users?limit=NNNNN"),
            format!("/pull/x/{segment}/users?limit=NNNNN"),
        ] {
            add(Right::Refused, &target);
        }
    }
    for byte in 1..=0x1f {
        add(
            Right::Refused,
            &format!("/pull/users%{byte:02x}?limit=NNNNN"),
        );
    }
    for bad in ["%", "%2", "%zz", "%2g", "%u0041", "% 20", "%+1", "%\0"] {
        let right = if bad.contains([' ', '\0']) {
            Right::Closed
        } else {
            Right::Refused
        };
        add(right, &format!("/pull/users{bad}?limit=NNNNN"));
    }
    let raw = (0..=b' ').chain(0x7f..=255).chain(*b"\"<>\\^`#");
    for byte in raw.filter(|byte| *byte != b'\n') {
        add(
            Right::Closed,
            &format!("/pull/us{}ers?limit=NNNNN", char::from(byte)),
        );
    }
    add(
        Right::Refused,
        &format!("/pull/{}?limit=NNNNN", "a".repeat(9_000)),
    );
    add(
        Right::Closed,
        &format!("/pull/{}?limit=NNNNN", "a".repeat(70_000)),
    );
    cases
}

pub(crate) fn queries() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |right, query: &str| {
        let name = format!("the query {query:?}");
        let target = format!("/pull/users?{query}");
        cases.push(Case::new(
            Class::Target,
            right,
            &name,
            &asked(&target, &own()),
        ));
    };
    for odd in [
        "limit=NNNNN&limit=NNNNN",
        "limit=NNNNN&Limit=1",
        "limit=NNNNN&x=1",
        "limit=NNNNN;x=1",
        "limit=NNNNN&&",
        "limit=NNNNN%00",
        "limit=NNNNN%0a",
        "limit=NNNNN%20",
        "limit=+NNNNN",
        "limit=NNNNN=1",
        "limit[]=NNNNN",
        "li%6dit=NNNNN&limit=1",
        "limit=NNNNN%",
        "limit=NNNNN%zz",
        "limit=NNNNN%26x=1",
        "limit=NNNNN%23",
        "limit=NNNNN?",
        "?limit=NNNNN",
        "&limit=NNNNN&",
        "limit=NNNNN/../x",
        "limit=0xNNNNN",
        "limit=NNNNN.0",
    ] {
        add(Right::Refused, odd);
    }
    let raw = (0..=b' ').chain(0x7f..=255).chain(*b"\"<>\\^`#");
    for byte in raw.filter(|byte| *byte != b'\n') {
        add(Right::Closed, &format!("limit=NNNNN{}", char::from(byte)));
    }
    cases
}
