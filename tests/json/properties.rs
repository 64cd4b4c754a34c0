//! What holds for every policy and every message. The long counts are ignored until asked for:
//! `make soak`.

use std::cell::Cell;

use proptest::prelude::*;
use sluis::policy::{Rule, Side};

use crate::oracle::book::Way;
use crate::oracle::compare::{Message, agree};
use crate::oracle::dice::Dice;
use crate::oracle::{audit, documents, policies, rewrite};

const CASES: u32 = 3_000;
const CASES_LONG: u32 = 1_000_000;

/// Does something to a message and says what is known of it then.
type Change = fn(&Way, Rule, &mut Vec<u8>, &mut Dice<'_>) -> Message;

const AS_MADE: Change = |_, _, message, _| {
    audit::any_reader_takes(str::from_utf8(message).unwrap());
    Message::AsMade
};

const WITH_ONE_FAULT: Change = |way, root, message, dice| {
    if rewrite::rewrite(way, root, message).is_err() {
        return Message::AsMade;
    }
    documents::plant(message, dice);
    Message::WithOneFault
};

const SPOILT: Change = |_, _, message, dice| {
    documents::spoil(message, dice);
    Message::Spoilt
};

/// Runs the rewriter beside the oracle; a failure prints the throws of the dice and the seed. Gives
/// how many of the messages were taken: of one that is refused, nothing leaves whatever is wrong.
fn run(cases: u32, to: Side, change: Change) -> u32 {
    let throws = || proptest::collection::vec(any::<u8>(), 0..500);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let dice = (throws(), throws(), throws(), throws(), any::<u64>());
    let taken = Cell::new(0);
    proptest!(config, |((of_policy, of_book, of_message, of_change, seed) in dice)| {
        let (of_policy, of_book) = (&mut Dice::new(&of_policy), &mut Dice::new(&of_book));
        let (way, root) = policies::way(to, of_policy, of_book);
        let mut message = documents::document(&way, root, &mut Dice::new(&of_message));
        let known = change(&way, root, &mut message, &mut Dice::new(&of_change));
        let done = agree(&way, root, &message, seed, known);
        taken.set(taken.get() + u32::from(done.result.is_ok()));
    });
    taken.get()
}

/// The same with messages as they were made, of which at least every other must be taken.
fn run_as_made(cases: u32, to: Side) {
    let taken = run(cases, to, AS_MADE);
    assert!(taken >= cases / 2, "{taken} of {cases} were taken");
}

#[test]
fn nothing_outside_the_policy_leaves() {
    run_as_made(CASES, Side::Vendor);
}

#[test]
fn nothing_outside_the_policy_reaches_the_school() {
    run_as_made(CASES, Side::School);
}

#[test]
fn one_fault_is_found_at_its_place() {
    run(CASES, Side::Vendor, WITH_ONE_FAULT);
}

#[test]
fn one_fault_is_found_at_its_place_on_the_way_home() {
    run(CASES, Side::School, WITH_ONE_FAULT);
}

#[test]
fn a_spoilt_message_is_refused_or_rewritten_as_the_oracle_does() {
    run(CASES, Side::Vendor, SPOILT);
}

#[test]
fn a_spoilt_message_comes_home_as_the_oracle_brings_it() {
    run(CASES, Side::School, SPOILT);
}

#[test]
#[ignore = "long: make soak"]
fn long_nothing_outside_the_policy_leaves() {
    run_as_made(CASES_LONG, Side::Vendor);
}

#[test]
#[ignore = "long: make soak"]
fn long_nothing_outside_the_policy_reaches_the_school() {
    run_as_made(CASES_LONG, Side::School);
}

#[test]
#[ignore = "long: make soak"]
fn long_one_fault_is_found_at_its_place() {
    run(CASES_LONG, Side::Vendor, WITH_ONE_FAULT);
}

#[test]
#[ignore = "long: make soak"]
fn long_one_fault_is_found_at_its_place_on_the_way_home() {
    run(CASES_LONG, Side::School, WITH_ONE_FAULT);
}

#[test]
#[ignore = "long: make soak"]
fn long_a_spoilt_message_is_refused_or_rewritten_as_the_oracle_does() {
    run(CASES_LONG, Side::Vendor, SPOILT);
}

#[test]
#[ignore = "long: make soak"]
fn long_a_spoilt_message_comes_home_as_the_oracle_brings_it() {
    run(CASES_LONG, Side::School, SPOILT);
}
