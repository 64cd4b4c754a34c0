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

mod crowd;
mod h2;
mod harness;
mod inward;
mod outward;
mod pull;
mod push;
mod samples;
mod streaming;
mod tls;
