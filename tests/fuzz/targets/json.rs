//! Invariant: for every policy and every message, towards either side and in whatever pieces it
//! comes, the rewriter gives what the oracle gives or refuses what the oracle refuses; what leaves is JSON
//! of which every key is listed; nothing that was marked leaves; and nothing panics.
//!
//! Input: how the message is made, in the highest bit whether it comes home, and in the next whether it
//! may be one of several pages (1 byte), the seed of the pieces (8), how many throws choose the policy (1), those throws, and then the message
//! itself or the throws that make it. What chooses the policy fills the register too.

#![no_main]

#[path = "../../oracle/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use sluis::policy::Side;

use oracle::book::Pages;
use oracle::compare::{Message, agree};
use oracle::dice::Dice;
use oracle::policies::Links;
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
    let to = if how & 0x80 == 0 {
        Side::Vendor
    } else {
        Side::School
    };
    let pages = if how & 0x40 == 0 {
        Pages::One
    } else {
        Pages::Perhaps
    };
    let how = (how & 0x3F) % 6;
    // The oracle reads links as they are made, and no others.
    let links = match how {
        0 | 1 => Links::Pupils,
        _ => Links::Nowhere,
    };
    let (dice, of_book) = (&mut Dice::new(of_policy), &mut Dice::new(of_policy));
    let (way, root) = policies::way((to, pages), links, dice, of_book);
    let (of_message, of_change) = rest.split_at(rest.len() - rest.len() / 4);
    let made = || documents::document(&way, root, &mut Dice::new(of_message));
    let change = &mut Dice::new(of_change);
    let (message, known) = match how {
        0 => (made(), Message::AsMade),
        1 => {
            let mut message = made();
            if rewrite::rewrite(&way, root, &message).is_err() {
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
    agree(&way, root, &message, u64::from_le_bytes(*seed), known);
});
