//! Invariant: a path and query that go on have the segments of a route and the parameters that it
//! lists, each once unless it may be repeated; all of it is plain; where the route has an
//! identifier stands one that the vendor had a pseudonym of, or towards a vendor a pseudonym; and
//! no `.`, `..` or empty segment. Nothing panics.
//!
//! Input: who asks (1 byte), and then method, path and query with line ends between them.

#![no_main]

mod school;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sluis::minimise::{Counts, Law, RequestLine, find, request};
use sluis::policy::Side;
use sluis::pseudonym::Asked;

use school::{PULL, PUPILS, PUSH};

static LAW: LazyLock<Arc<Law>> = LazyLock::new(school::law);

fuzz_target!(|input: &[u8]| {
    let Some((who, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let line = RequestLine {
        method: lines.next().unwrap_or_default(),
        path: lines.next().unwrap_or_default(),
        query: lines.next(),
    };
    let (flow, to) = match who % 2 {
        0 => (PULL, Side::School),
        _ => (PUSH, Side::Vendor),
    };
    let crossing = school::crossing(&LAW, to, flow);
    let Ok(found) = find(&LAW.policy, flow, line) else {
        return;
    };
    let Ok(head) = request(
        &crossing,
        flow,
        &found,
        Asked::Again,
        &mut Counts::default(),
    ) else {
        return;
    };
    let target = head.outbound.release().target;
    assert!(school::is_plain(&target), "{target}");
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let segments: Vec<String> = path.split('/').map(school::decoded).collect();
    let is_pupil = |text: &str| match to {
        Side::School => PUPILS.contains(&text),
        Side::Vendor => school::is_pseudonym(text),
    };
    let fits = match (
        flow,
        segments
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice(),
    ) {
        (PULL, ["", "users"]) => true,
        (PULL, ["", "users", pupil, slug, day]) => {
            let slug = slug
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it));
            is_pupil(pupil) && slug && day.len() == 10
        }
        (PUSH, ["", "users", pupil]) => is_pupil(pupil),
        _ => false,
    };
    assert!(
        fits && !segments.iter().any(|it| it == "." || it == ".."),
        "{path}"
    );
    let mut seen = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').expect("a name and a value");
        let value = school::decoded(value);
        assert!(name == "pupil" || !seen.contains(&name), "{query}");
        seen.push(name);
        match (flow, name) {
            (PULL, "pupil") => assert!(is_pupil(&value), "{value}"),
            (PULL, "limit") => assert!(value.parse::<i64>().is_ok(), "{value}"),
            (PULL, "sort" | "fields") => assert!(!value.contains("name"), "{value}"),
            (PUSH, "state") => assert!(["on", "off"].contains(&&*value), "{value}"),
            (PULL | PUSH, "filter") => assert!(!school::clauses(&value).is_empty()),
            _ => panic!("{name} is not listed"),
        }
    }
});
