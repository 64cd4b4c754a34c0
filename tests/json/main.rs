//! The JSON rewriter against its golden cases, a slow second reading of the policy language, and
//! the one property that matters: nothing outside the policy leaves.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../oracle/mod.rs"]
mod oracle;

mod golden;
mod properties;
