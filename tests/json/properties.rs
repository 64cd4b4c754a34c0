//! What holds for every policy and every message. The long counts are ignored until asked for:
//! `make soak`.

use proptest::prelude::*;
use sluis::minimise::Law;
use sluis::policy::Rule;

use crate::oracle::compare::{Message, agree};
use crate::oracle::dice::Dice;
use crate::oracle::{audit, documents, policies, rewrite};

const CASES: u32 = 3_000;
const CASES_LONG: u32 = 1_000_000;

/// Does something to a message and says what is known of it then.
type Change = fn(&Law, Rule, &mut Vec<u8>, &mut Dice<'_>) -> Message;

const AS_MADE: Change = |_, _, message, _| {
    audit::any_reader_takes(str::from_utf8(message).unwrap());
    Message::AsMade
};

const WITH_ONE_FAULT: Change = |law, root, message, dice| {
    if rewrite::rewrite(law, root, message).is_err() {
        return Message::AsMade;
    }
    documents::plant(message, dice);
    Message::WithOneFault
};

const SPOILT: Change = |_, _, message, dice| {
    documents::spoil(message, dice);
    Message::Spoilt
};

/// Runs the rewriter beside the oracle; a failure prints the throws of the dice and the seed.
fn run(cases: u32, change: Change) {
    let throws = || proptest::collection::vec(any::<u8>(), 0..500);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let dice = (throws(), throws(), throws(), any::<u64>());
    proptest!(config, |((of_policy, of_message, of_change, seed) in dice)| {
        let (law, root) = policies::law(&mut Dice::new(&of_policy));
        let mut message = documents::document(&law, root, &mut Dice::new(&of_message));
        let known = change(&law, root, &mut message, &mut Dice::new(&of_change));
        agree(&law, root, &message, seed, known);
    });
}

#[test]
fn nothing_outside_the_policy_leaves() {
    run(CASES, AS_MADE);
}

#[test]
fn one_fault_is_found_at_its_place() {
    run(CASES, WITH_ONE_FAULT);
}

#[test]
fn a_spoilt_message_is_refused_or_rewritten_as_the_oracle_does() {
    run(CASES, SPOILT);
}

#[test]
#[ignore = "long: make soak"]
fn long_nothing_outside_the_policy_leaves() {
    run(CASES_LONG, AS_MADE);
}

#[test]
#[ignore = "long: make soak"]
fn long_one_fault_is_found_at_its_place() {
    run(CASES_LONG, WITH_ONE_FAULT);
}

#[test]
#[ignore = "long: make soak"]
fn long_a_spoilt_message_is_refused_or_rewritten_as_the_oracle_does() {
    run(CASES_LONG, SPOILT);
}
