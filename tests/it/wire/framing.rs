//! Every generated request, once.

use std::collections::BTreeMap;

use super::grammar::{Case, Class, Right, all};
use super::vendor::{Numbered, Seen};
use super::{Bed, FIRST, Outcome, Taken, exchange_all, judge, right_answer};

/// What is wrong with how a case was taken, if anything is.
fn fault(
    bed: &Bed,
    number: u32,
    (case, outcome): (&Case, &Outcome),
    seen: &Numbered,
) -> Option<String> {
    let of = |number| seen.get(&Some(number)).cloned().unwrap_or_default();
    let (first, second) = (of(number), of(number + 1));
    let taken = judge(case, outcome, &first, &second);
    if let Taken::Wrongly(how) = taken {
        return Some(how.to_owned());
    }
    if let Some(odd) = first.iter().chain(&second).find_map(|it| bed.foreign(it)) {
        return Some(format!("the vendor saw {odd}"));
    }
    let served = [&first, &second].map(|seen: &Vec<Seen>| !seen.is_empty());
    match (case.right, served) {
        (Right::Served, [true, true])
        | (Right::Refused, [false, _])
        | (Right::Closed, [false, false])
        | (Right::Either, [false, false] | [true, true]) => {}
        (right, served) => return Some(format!("{right:?}, and served: {served:?}")),
    }
    answered(outcome, number, served)
}

/// Whether the caller got what it must get: an answer for each that was served, in order, then at
/// most one refusal.
fn answered(outcome: &Outcome, number: u32, served: [bool; 2]) -> Option<String> {
    let mut answers = outcome.answers.iter();
    for (number, served) in (number..).zip(served) {
        let answer = answers.next();
        let Some(answer) = answer else {
            // Who speaks no HTTP may be let go without a word.
            return (served || !outcome.closed).then(|| format!("no answer to {number}"));
        };
        if let Some(odd) = answer.oddities.first() {
            return Some(format!("an answer with {odd}"));
        }
        if let Some(odd) = answer.foreign() {
            return Some(format!("an answer with {odd:?}"));
        }
        let text = std::str::from_utf8(&answer.body).unwrap();
        let right = answer.status == 200 && answer.whole && text.contains(&number.to_string());
        let good = if served { right } else { answer.is_refusal() };
        if !good {
            return Some(format!("{} {text:?} to {number}", answer.status));
        }
        if !served && outcome.closed {
            return answers
                .next()
                .map(|_| "an answer after the last".to_owned());
        }
    }
    answers.next().map(|_| "a third answer".to_owned())
}

#[test]
fn what_readers_could_read_differently_is_refused_and_nothing_after_it_is_read() {
    let cases = all();
    let bed = Bed::new(right_answer);
    let outcomes = exchange_all(bed.house.address, &cases);
    let seen = bed.vendor.numbered();
    let mut faults: BTreeMap<Class, Vec<String>> = BTreeMap::new();
    for ((number, case), outcome) in (FIRST..).step_by(2).zip(&cases).zip(&outcomes) {
        if let Some(fault) = fault(&bed, number, (case, outcome), &seen) {
            let line = format!("{}: {fault}", case.name);
            faults.entry(case.class).or_default().push(line);
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {}: {faults:#?}",
        faults.values().flatten().count(),
        cases.len()
    );
    bed.search();
}
