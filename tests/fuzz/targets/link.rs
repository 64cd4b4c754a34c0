//! Invariant: a link leads to the other side of one of the vendor's flows or nowhere; what is made of
//! it is plain; in a body and in the head of an answer the same is made of it; and none of the
//! school's identifiers stands in one that goes to the vendor. Nothing panics.
//!
//! Input: which way and in which flow (1 byte), and then the link.

#![no_main]

mod school;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sluis::minimise::{AnswerLines, Cleared, Counts, Law, Rewriter, answer};
use sluis::policy::{Content, Side};
use sluis::pseudonym::Asked;

use school::{PUBLIC, PULL, PUSH, UPSTREAM};

static LAW: LazyLock<Arc<Law>> = LazyLock::new(school::law);

fuzz_target!(|input: &[u8]| {
    let Some((way, link)) = input.split_first() else {
        return;
    };
    let Ok(link) = std::str::from_utf8(link) else {
        return;
    };
    let (flow, to) = match way % 4 {
        0 => (PULL, Side::Vendor),
        1 => (PUSH, Side::School),
        2 => (PULL, Side::School),
        _ => (PUSH, Side::Vendor),
    };
    let crossing = school::crossing(&LAW, to, flow);
    let Content::Json(user) = LAW.policy.flows[PUSH].routes[0].from_vendor else {
        panic!("a user comes from the vendor");
    };
    let mut rewriter = Rewriter::new(crossing.clone(), user);
    let mut out = Cleared::default();
    let body = serde_json::json!({ "href": link }).to_string();
    let mut read = rewriter.write(body.as_bytes(), &mut out);
    if rewriter.waits_for_register() {
        read = read.and_then(|()| rewriter.resume(&mut out));
    }
    if read.and_then(|()| rewriter.end(&mut out)).is_err() {
        assert_eq!(to, Side::School, "no link refuses what goes to a vendor");
        return;
    }
    let left: serde_json::Value = serde_json::from_slice(&out.release()).expect("JSON");
    let made = left["href"].as_str();
    if let Some(made) = made {
        let places = match to {
            Side::Vendor => [PUBLIC[PULL], UPSTREAM[PUSH]],
            Side::School => [UPSTREAM[PULL], PUBLIC[PUSH]],
        };
        assert!(places.iter().any(|place| made.starts_with(place)), "{made}");
        assert!(school::is_plain(made), "{made}");
        let said = school::decoded(made);
        if to == Side::Vendor {
            let (path, query) = said.split_once('?').unwrap_or((&said, ""));
            let after = path
                .split("/users/")
                .nth(1)
                .and_then(|it| it.split('/').next());
            assert!(after.is_none_or(school::is_pseudonym), "{made}");
            assert!(!query.contains("sourcedId='S-1'"), "{made}");
        }
    }
    // The answer goes to who calls.
    if LAW.policy.flows[flow].caller == to && !link.contains('\0') {
        let lines = AnswerLines {
            location: vec![link.as_bytes()],
            ..AnswerLines::default()
        };
        let answered = answer(
            &crossing,
            flow,
            &lines,
            Asked::Again,
            &mut Counts::default(),
        );
        let location = answered.head.release().location;
        // A body may have links into the other flow as well.
        if location.is_some() {
            assert_eq!(location.as_deref(), made, "{link}");
        }
    }
});
