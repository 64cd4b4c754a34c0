//! Answers of upstreams: as strict as for callers, and a cut one never looks whole.

use http::Method;
use sluis::guard::{Answers, Expected, Fault, Reader as _};
use sluis::limits::{Bound, Limits};
use sluis::refusal::Refusal;

use crate::oracle::feed::{Fed, in_every_split};
use crate::oracle::{hyper, naive};

const BROKEN: Fault = Fault::Head(Refusal::UpstreamBroken);
const FIVE: &str = "content-length: 5\r\n\r\n{...}";

fn fresh(expected: Expected) -> Answers {
    let mut answers = Answers::new(&Limits::default());
    answers.expect(expected);
    answers
}

fn fed(text: &str, expected: Expected) -> Fed {
    in_every_split(|| fresh(expected), text.as_bytes(), 11)
}

/// All of it is shown, and hyper reads an answer with this body in it.
fn taken(text: impl AsRef<str>, method: &Method, body: &str) {
    let text = text.as_ref();
    let expected = expected(method);
    let fed = fed(text, expected);
    assert_eq!((fed.fault, fed.shown.len()), (None, text.len()), "{text:?}");
    let read = hyper::answer(&fed.shown, method.clone()).unwrap_or_else(|| panic!("{text:?}"));
    assert_eq!(
        (&*read.body, read.whole),
        (body.as_bytes(), true),
        "{text:?}"
    );
    let second = naive::answer(&fed.shown, method).unwrap();
    assert_eq!((second.body, second.whole), (read.body, true), "{text:?}");
}

fn expected(method: &Method) -> Expected {
    match *method == Method::HEAD {
        true => Expected::HeadOnly,
        false => Expected::Body,
    }
}

/// Nothing of it is shown.
fn refused(text: impl AsRef<str>) {
    for (before, shown) in [("", 0), ("HTTP/1.1 103 Early Hints\r\n\r\n", 28)] {
        let text = [before, text.as_ref()].concat();
        for expected in [Expected::Body, Expected::HeadOnly] {
            let fed = fed(&text, expected);
            assert_eq!(
                (fed.fault, fed.shown.len()),
                (Some(BROKEN), shown),
                "{text:?}"
            );
        }
        assert_eq!(hyper::answer(&text.as_bytes()[..shown], Method::GET), None);
    }
}

/// Its head is shown, and what follows is broken.
fn broken(head: &str, body: &str) {
    let text = [head, body].concat();
    let fed = fed(&text, Expected::Body);
    assert_eq!(fed.fault, Some(Fault::Body), "{text:?}");
    let read = hyper::answer(&fed.shown, Method::GET).unwrap();
    assert!(!read.whole, "{text:?}");
}

fn ok(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}")
}

#[test]
fn plain_answers_are_taken() {
    taken(ok(FIVE), &Method::GET, "{...}");
    taken(ok("content-length: 0\r\n\r\n"), &Method::POST, "");
    taken(ok("\r\n{...}"), &Method::GET, "{...}");
    taken(ok("\r\n"), &Method::GET, "");
    let chunked = ok("transfer-encoding: chunked\r\n\r\n3\r\n{..\r\n2\r\n.}\r\n0\r\nx: y\r\n\r\n");
    taken(chunked, &Method::GET, "{...}");
    for start in [
        "HTTP/1.1 200 ",
        "HTTP/1.1 200",
        "HTTP/1.1 599 \u{e9}\" x",
        "HTTP/1.0 404 x",
    ] {
        taken(format!("{start}\r\n{FIVE}"), &Method::GET, "{...}");
    }
}

#[test]
fn what_has_no_body_by_method_or_status_has_none() {
    for lines in [
        "",
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        taken(ok(&format!("{lines}\r\n")), &Method::HEAD, "");
        taken(format!("HTTP/1.1 304 x\r\n{lines}\r\n"), &Method::GET, "");
    }
    taken("HTTP/1.1 204 x\r\n\r\n", &Method::GET, "");
    taken(
        "HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n",
        &Method::GET,
        "",
    );
    for start in [
        "HTTP/1.1 204 x\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 204 x\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 x\r\nupgrade: x\r\n\r\n",
    ] {
        for rest in ["", "{...}", "0\r\n\r\n"] {
            let fed = fed(&[start, rest].concat(), Expected::Body);
            let shown = fed.shown.len();
            assert_eq!((fed.fault, shown), (Some(BROKEN), start.len()), "{start:?}");
        }
    }
}

#[test]
fn a_first_line_is_version_and_code() {
    for line in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000",
        "HTTP/1.1 099 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "http/1.1 200 x",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.1 +20 x",
        "HTTP/1.1 2x0 x",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\u{7f}",
        "\r\nHTTP/1.1 200 OK",
        "200 OK",
        "{...}",
    ] {
        refused(format!("{line}\r\n{FIVE}"));
    }
}

#[test]
fn lines_are_as_strict_as_those_of_callers() {
    for end in ["\n", "\r", "\r\r\n", " \n", "\0\r\n"] {
        refused(format!("HTTP/1.1 200 OK{end}{FIVE}"));
        refused(ok(&format!("x: y{end}{FIVE}")));
        refused(ok(&format!("content-length: 5\r\n{end}{{...}}")));
    }
    for line in ["x : y", ": y", " x: y", "x", "x y: z", "x: a\rb", "x: \0"] {
        refused(ok(&format!("{line}\r\n{FIVE}")));
    }
    refused(ok(&format!("x: y\r\n z\r\n{FIVE}")));
}

#[test]
fn a_body_is_framed_in_one_way() {
    for length in [
        "",
        "-5",
        "+5",
        "5, 5",
        "05",
        "5 5",
        "0x5",
        "5;",
        "99999999999999999999",
    ] {
        refused(ok(&format!("content-length: {length}\r\n\r\n{{...}}")));
    }
    for other in ["5", "6"] {
        refused(ok(&format!("content-length: {other}\r\nx: y\r\n{FIVE}")));
    }
    for coding in [
        "gzip, chunked",
        "identity",
        "chunked, chunked",
        ",chunked",
        "gzip",
        "",
    ] {
        refused(ok(&format!("transfer-encoding: {coding}\r\n\r\n0\r\n\r\n")));
    }
    let chunked = "transfer-encoding: chunked\r\n";
    refused(ok(&format!("{chunked}{chunked}\r\n0\r\n\r\n")));
    refused(ok(&format!("{chunked}{FIVE}")));
    refused(ok(&format!("content-length: 5\r\n{chunked}\r\n0\r\n\r\n")));
    let head = ok(&format!("{chunked}\r\n"));
    for body in [
        "zz\r\n",
        "5;a=b\r\n{...}\r\n0\r\n\r\n",
        "5 \r\n{...}\r\n",
        "5\n{...}\r\n",
        "5\r\n{...}X\r\n",
        "5\r\n{...}\n0\r\n\r\n",
        "0\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\nx: y\n\r\n",
    ] {
        broken(&head, body);
    }
}

#[test]
fn a_line_means_something_by_its_name_and_not_by_its_length() {
    for name in ["content-digest", "proxy-authenticat"] {
        for value in ["", "5, 5", "gzip"] {
            let line = format!("{name}: {value}\r\n");
            taken(ok(&[&*line, &line, FIVE].concat()), &Method::GET, "{...}");
        }
    }
}

#[test]
fn an_answer_of_http_1_0_says_how_long_it_is() {
    taken(format!("HTTP/1.0 200 OK\r\n{FIVE}"), &Method::GET, "{...}");
    for lines in ["\r\n{...}", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let text = format!("HTTP/1.0 200 OK\r\n{lines}");
        assert_eq!(fed(&text, Expected::Body).fault, Some(BROKEN), "{text:?}");
        assert_eq!(fed(&text, Expected::Body).shown, b"", "{text:?}");
    }
}

#[test]
fn informational_answers_are_counted() {
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    taken(hint.repeat(8) + &ok(FIVE), &Method::GET, "{...}");
    let fed_nine = fed(&(hint.repeat(9) + &ok(FIVE)), Expected::Body);
    let shown = hint.len() * 8;
    assert_eq!(
        (fed_nine.fault, fed_nine.shown.len()),
        (Some(BROKEN), shown)
    );
    let mut none = Limits::default();
    none.set(Bound::UpstreamInformational, 0).unwrap();
    let mut answers = Answers::new(&none);
    answers.expect(Expected::Body);
    assert_eq!(answers.look(hint.as_bytes()).fault, Some(BROKEN));
    refused("HTTP/1.1 100 x\r\ncontent-length: 0\r\n\r\n".to_owned() + &ok(FIVE));
    refused("HTTP/1.1 102 x\r\ntransfer-encoding: chunked\r\n\r\n".to_owned() + &ok(FIVE));
}

#[test]
fn sizes_are_held_to_the_byte_over_all_heads() {
    let most = Limits::default().size(Bound::UpstreamHead);
    let line = |length: usize| format!("x: {}\r\n", "y".repeat(length - 5));
    let hint = "HTTP/1.1 103 x\r\n\r\n";
    let besides = hint.len() + ok("content-length: 5\r\n").len();
    let with = |length: usize| [hint, &ok(&line(length)), FIVE].concat();
    taken(with(most - besides), &Method::GET, "{...}");
    for more in [1, 2, 100, 100_000] {
        let fed = fed(&with(most - besides + more), Expected::Body);
        assert_eq!(
            (fed.fault, fed.shown.len()),
            (Some(BROKEN), hint.len()),
            "{more}"
        );
    }
    taken(ok(&("x:\r\n".repeat(99) + FIVE)), &Method::GET, "{...}");
    refused(ok(&("x:\r\n".repeat(100) + FIVE)));
}

#[test]
fn what_follows_an_answer_is_not_shown() {
    for surplus in ["X", "\r\n", "\0", &ok(FIVE)] {
        for (text, expected) in [
            (ok(FIVE), Expected::Body),
            (ok("Content-LENGTH: 5\r\n\r\n{...}"), Expected::Body),
            (
                ok("transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
                Expected::Body,
            ),
            (ok("content-length: 5\r\n\r\n"), Expected::HeadOnly),
            ("HTTP/1.1 304 x\r\n\r\n".to_owned(), Expected::Body),
        ] {
            let fed = fed(&[&*text, surplus].concat(), expected);
            assert_eq!((fed.fault, &*fed.shown), (Some(BROKEN), text.as_bytes()));
        }
    }
}

#[test]
fn an_answer_belongs_to_the_request_before_it() {
    let text = ok(FIVE);
    let mut answers = Answers::new(&Limits::default());
    assert_eq!(
        answers.look(text.as_bytes()).fault,
        Some(BROKEN),
        "nobody asked"
    );
    answers.expect(Expected::Body);
    assert_eq!(
        answers.look(text.as_bytes()).fault,
        Some(BROKEN),
        "and it stays so"
    );
    let mut answers = fresh(Expected::HeadOnly);
    assert_eq!(
        answers
            .look(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
            .shown,
        38
    );
    answers.expect(Expected::Body);
    let look = answers.look(text.as_bytes());
    assert_eq!((look.shown, look.fault), (text.len(), None));
    let mut answers = fresh(Expected::Body);
    answers.expect(Expected::Body);
    assert_eq!(
        answers.look(text.as_bytes()).fault,
        Some(BROKEN),
        "two at once"
    );
}

#[test]
fn an_answer_that_is_cut_never_looks_whole() {
    for text in [
        ok(FIVE),
        ok("transfer-encoding: chunked\r\n\r\n3\r\n{..\r\n2\r\n.}\r\n0\r\nx: y\r\n\r\n"),
        format!("HTTP/1.0 200 OK\r\n{FIVE}"),
        "HTTP/1.1 100 x\r\n\r\n".to_owned() + &ok(FIVE),
    ] {
        for end in 0..text.len() {
            let cut = fed(&text[..end], Expected::Body);
            assert_eq!(cut.fault, None);
            let read = hyper::answer(&cut.shown, Method::GET);
            assert!(
                read.is_none_or(|answer| !answer.whole),
                "{:?}",
                &text[..end]
            );
        }
    }
}
