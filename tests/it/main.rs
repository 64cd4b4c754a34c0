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
mod tokens;
mod wire;

#[path = "../oneroster/standard.rs"]
#[expect(dead_code, reason = "the files of the presets")]
mod standard;

/// The refusals that no test here meets: a defect, and that of a caller that is gone, which nobody
/// is told: the tests of `client_goes_away` see it counted.
const NOT_MET: [&str; 2] = ["gateway_bug", "caller_gone"];

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
    let said = |text: &str, quoted: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| !line.starts_with("//") && line.contains(quoted))
    };
    for code in sluis::refusal::Refusal::ALL.map(sluis::refusal::Refusal::code) {
        let quoted = format!("\"{code}\"");
        let met = tests.iter().any(|text| said(text, &quoted));
        assert_ne!(met, NOT_MET.contains(&code), "{code}");
    }
}
