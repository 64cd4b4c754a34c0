//! The same for many files, on all cores.

use std::thread;

use super::problem::Problems;
use crate::cores::{self, InOrder};

/// Does the same with each, on as many threads as there are cores: it is most of the work of a
/// start with hundreds of vendors. What is made and the problems are in order all the same.
pub(super) fn on_all_cores<T: Send, U: Send>(
    each: Vec<T>,
    problems: &mut Problems,
    act: impl Fn(T, &mut Problems) -> U + Sync,
) -> Vec<U> {
    let cores = cores::count();
    let share = each.len().div_ceil(cores).max(1);
    let mut left = each.into_iter();
    let shares = (0..cores).map(|_| left.by_ref().take(share).collect::<Vec<_>>());
    let shares: Vec<_> = shares.filter(|share| !share.is_empty()).collect();
    let act = |share: Vec<T>| {
        let mut problems = Problems::new();
        let made = share.into_iter().map(|one| act(one, &mut problems));
        let made: Vec<U> = made.collect();
        (made, problems)
    };
    thread::scope(|scope| {
        let (act, mut line) = (&act, InOrder::new(scope));
        // All are begun before the first is waited for: they are no more than there are cores.
        let begun = shares
            .into_iter()
            .filter_map(|share| line.begin(move || act(share)));
        let begun: Vec<_> = begun.collect();
        let mut all = Vec::new();
        for (made, found) in begun.into_iter().chain(line) {
            all.extend(made);
            problems.append(found);
        }
        all
    })
}
