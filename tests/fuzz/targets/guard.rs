//! Invariant: hyper reads what the guard lets pass as the same requests, with the same bodies, as a
//! reading that looks for the ends of lines and nothing else; a request of which the end was not
//! shown is whole to nobody; and what is refused has the same verdict in every split.
//!
//! Input: the seed of the pieces (8 bytes), and what the caller sends.

#![no_main]

#[expect(dead_code, reason = "another target asks for the rest")]
#[path = "../../guard/oracle/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use sluis::guard::Requests;
use sluis::limits::Limits;

use oracle::feed::in_every_split;
use oracle::{hyper, naive};

fuzz_target!(|input: &[u8]| {
    let Some((seed, sent)) = input.split_first_chunk() else {
        return;
    };
    let limits = Limits::default();
    let fed = in_every_split(|| Requests::new(&limits), sent, u64::from_le_bytes(*seed));
    let read = hyper::requests(&fed.shown);
    assert_eq!(
        read,
        naive::requests(&fed.shown),
        "{}",
        fed.shown.escape_ascii()
    );
});
