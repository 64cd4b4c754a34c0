//! Invariant: hyper reads what the guard lets pass of an upstream as the one answer, with the body,
//! that a reading finds which looks for the ends of lines and nothing else; an answer that was
//! cut, or whose rest was not shown, is whole to nobody.
//!
//! Input: whether HEAD was asked (1 byte), and what the upstream sends.

#![no_main]

#[expect(dead_code, reason = "another target asks for the rest")]
#[path = "../../guard/oracle/mod.rs"]
mod oracle;

use http::Method;
use libfuzzer_sys::fuzz_target;
use sluis::guard::{Answers, Expected};
use sluis::limits::Limits;

use oracle::feed::feed;
use oracle::{hyper, naive};

fuzz_target!(|input: &[u8]| {
    let Some((how, sent)) = input.split_first() else {
        return;
    };
    let (method, expected) = match how & 1 {
        0 => (Method::GET, Expected::Body),
        _ => (Method::HEAD, Expected::HeadOnly),
    };
    let mut answers = Answers::new(&Limits::default());
    answers.expect(expected);
    let fed = feed(&mut answers, sent, || sent.len());
    let (read, second) = (
        hyper::answer(&fed.shown, method.clone()),
        naive::answer(&fed.shown, &method),
    );
    let text = fed.shown.escape_ascii();
    match (read, second) {
        (Some(read), Some(second)) => {
            assert_eq!(
                (read.body, read.whole),
                (second.body, second.whole),
                "{text}"
            );
        }
        (read, second) => assert_eq!(read, second, "{text}"),
    }
});
