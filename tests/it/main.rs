//! The gateway over real sockets: one binary, so that it is linked once.
//!
//! Each test opens a [`harness::House`] with a policy, an upstream that follows a script and a
//! caller that writes bytes, and ends with the leak search.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measures time by the machine's clock"
)]

mod at_rest;
mod certificates;
mod credentials;
mod crowd;
mod errors;
mod gradebook;
mod h2;
mod h2_out;
mod h2_out_cut;
mod h2_out_floods;
mod h2_out_many;
mod h2_out_pool;
mod h2_out_resets;
mod harness;
mod home;
mod inward;
mod oauth;
mod operations;
mod order;
mod outward;
mod places;
mod pull;
mod push;
mod rate;
mod records;
mod roster;
mod samples;
mod school;
mod stale;
mod streaming;
mod sweep;
mod texts;
mod tls;
mod tls_cut;
mod tokens;
mod wire;

#[path = "../oneroster/standard.rs"]
#[expect(dead_code, reason = "the files of the presets")]
mod standard;

/// The refusal that no test here meets: a defect.
const NOT_MET: [&str; 1] = ["gateway_bug"];
/// What a vendor is told of as of a record that is not there, and as what.
const UNREVEALED: [&str; 2] = ["person_objected", "record_filtered"];
const NO_RECORD: &str = "upstream_error";

/// Each status of each row of the table in the README, side by side with its code, is what a test
/// asserts; twice if it is that of both sides.
#[test]
fn every_refusal_is_met_by_a_test() {
    let tests = [
        include_str!("inward.rs"),
        include_str!("outward.rs"),
        include_str!("crowd.rs"),
        include_str!("home.rs"),
        include_str!("oauth.rs"),
        include_str!("places.rs"),
        include_str!("rate.rs"),
        include_str!("records.rs"),
        include_str!("stale.rs"),
    ];
    let tests = tests.map(code_alone).concat();
    let table = include_str!("../../README.md")
        .split("<!-- refusals:")
        .nth(1);
    let rows: Vec<_> = table.unwrap().lines().filter_map(row).collect();
    let known = sluis::refusal::Refusal::ALL.map(sluis::refusal::Refusal::code);
    assert!(known.iter().all(|code| rows.iter().any(|it| it.0 == *code)));
    for (code, statuses) in rows {
        for status in statuses.iter().filter(|status| **status != "–") {
            let told = match UNREVEALED.contains(&code) && *status == "404" {
                true => NO_RECORD,
                false => code,
            };
            let assertion = match *status {
                "the same" => format!("404,\"{told}\""),
                status => format!("{status},\"{told}\""),
            };
            let sides = statuses.iter().filter(|other| *other == status).count();
            let met = tests.matches(&assertion).count() >= sides;
            assert_ne!(met, NOT_MET.contains(&code), "{code} {status}");
        }
    }
}

/// What a line of the table says: a code, and its statuses by side.
fn row(line: &'static str) -> Option<(&'static str, [&'static str; 2])> {
    let mut cells = line.split(" | ");
    let code = cells.next()?.strip_prefix("| `")?.strip_suffix('`')?;
    Some((code, [cells.next()?, cells.next()?]))
}

/// A file of tests without comments and without white space.
fn code_alone(text: &str) -> String {
    let lines = text.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//"));
    code.flat_map(str::split_whitespace).collect()
}
