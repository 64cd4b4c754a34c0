//! Invariant: for every policy and every message, in whatever pieces it comes, the rewriter gives
//! what the oracle gives or refuses what the oracle refuses; what leaves is JSON of which every key
//! is listed; nothing that was marked leaves; and nothing panics.
//!
//! Input: how the message is made (1 byte), the seed of the pieces (8), how many throws choose the
//! policy (1), those throws, and then the message itself or the throws that make it.

#![no_main]

#[path = "../../oracle/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

use oracle::compare::{Message, agree};
use oracle::dice::Dice;
use oracle::{documents, policies, rewrite};

fuzz_target!(|input: &[u8]| {
    let Some((how, input)) = input.split_first() else {
        return;
    };
    let Some((seed, input)) = input.split_first_chunk() else {
        return;
    };
    let Some((throws, input)) = input.split_first() else {
        return;
    };
    let (of_policy, rest) = input.split_at(usize::from(*throws).min(input.len()));
    let (law, root) = policies::law(&mut Dice::new(of_policy));
    let (of_message, of_change) = rest.split_at(rest.len() - rest.len() / 4);
    let made = || documents::document(&law, root, &mut Dice::new(of_message));
    let change = &mut Dice::new(of_change);
    let (message, known) = match how % 6 {
        0 => (made(), Message::AsMade),
        1 => {
            let mut message = made();
            if rewrite::rewrite(&law, root, &message).is_err() {
                return;
            }
            documents::plant(&mut message, change);
            (message, Message::WithOneFault)
        }
        2 => {
            let mut message = made();
            documents::spoil(&mut message, change);
            (message, Message::Spoilt)
        }
        _ => (rest.to_vec(), Message::Spoilt),
    };
    agree(&law, root, &message, u64::from_le_bytes(*seed), known);
});
