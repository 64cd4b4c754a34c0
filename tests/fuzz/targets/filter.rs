//! Invariant: a filter that goes on is plain, an upstream that reads it simply finds the clauses that
//! we wrote, each is about a field that the vendor sees, and an identifier in it is one that the
//! vendor had a pseudonym of; towards a vendor it is a pseudonym. What went on is understood again
//! by the same rules. Nothing panics.
//!
//! Input: who asks (1 byte), and then the filter as it stands in a query.

#![no_main]

mod school;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sluis::minimise::{Counts, Law, RequestLine, find, request};
use sluis::policy::Side;
use sluis::pseudonym::Asked;

use school::{PULL, PUPILS, PUSH, SEEN};

static LAW: LazyLock<Arc<Law>> = LazyLock::new(school::law);

fuzz_target!(|input: &[u8]| {
    let Some((who, filter)) = input.split_first() else {
        return;
    };
    let Ok(filter) = std::str::from_utf8(filter) else {
        return;
    };
    if filter.contains('&') {
        return; // another parameter
    }
    let (flow, to, path) = match who % 2 {
        0 => (PULL, Side::School, "/users"),
        _ => (PUSH, Side::Vendor, "/users/S-1"),
    };
    let crossing = school::crossing(&LAW, to, flow);
    let query = format!("filter={filter}");
    let line = RequestLine {
        method: "GET",
        path,
        query: Some(&query),
    };
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
    let (_, filter) = target.split_once("?filter=").expect("a filter");
    assert!(!filter.contains(['&', '?', '=']), "{filter}");
    for (field, value) in school::clauses(&school::decoded(filter)) {
        assert!(SEEN.contains(&&*field), "{field} is hidden");
        if field == "sourcedId" {
            let known = PUPILS.contains(&&*value);
            let good = if to == Side::School {
                known
            } else {
                school::is_pseudonym(&value)
            };
            assert!(good, "{value} is nobody's");
        }
    }
});
