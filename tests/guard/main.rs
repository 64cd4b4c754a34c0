//! The framing guard: what it takes and what it refuses, in every split, and that hyper reads what
//! it lets pass as the same messages.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod frames;
mod oracle;
mod requests;
