//! The same for many files, on all cores.

use std::panic::resume_unwind;
use std::thread;

use super::problem::Problems;

/// Does the same with each, on as many threads as there are cores: it is most of the work of a
/// start with hundreds of vendors. What is made and the problems are in order all the same.
pub(super) fn on_all_cores<T: Send, U: Send>(
    each: Vec<T>,
    problems: &mut Problems,
    act: impl Fn(T, &mut Problems) -> U + Sync,
) -> Vec<U> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
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
        let threads = { shares.into_iter() }.map(|share| scope.spawn(|| act(share)));
        // All are begun before the first is waited for.
        let threads: Vec<_> = threads.collect();
        let mut all = Vec::new();
        for thread in threads {
            let (made, found) = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            all.extend(made);
            problems.append(found);
        }
        all
    })
}
