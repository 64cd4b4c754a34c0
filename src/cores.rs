//! Work on all cores, whose results come in the order in which it was begun.

use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

/// How many cores there are for this process.
#[must_use]
pub fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Work that is under way, each piece on a thread of its own, and as many at once as there are
/// cores. As an iterator it waits for the pieces that are left, the one that was begun first first.
pub struct InOrder<'scope, 'env, T> {
    scope: &'scope Scope<'scope, 'env>,
    pieces: VecDeque<Piece<'scope, T>>,
    /// Counted when there is the first piece.
    most: Option<usize>,
}

enum Piece<'scope, T> {
    /// No thread could be made for it.
    Done(Option<T>),
    UnderWay(ScopedJoinHandle<'scope, Option<T>>),
}

impl<'scope, 'env, T: Send + 'scope> InOrder<'scope, 'env, T> {
    /// Nothing yet.
    #[must_use]
    pub fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self {
            scope,
            pieces: VecDeque::new(),
            most: None,
        }
    }

    /// Begins with a piece. If that is one too many, it waits for the first of those under way
    /// before, and gives what that made. Where no thread can be made the piece is done here.
    pub fn begin(&mut self, work: impl FnOnce() -> T + Send + 'scope) -> Option<T> {
        let most = *self.most.get_or_insert_with(count);
        let first = match self.pieces.len() >= most {
            true => self.next(),
            false => None,
        };
        // A thread that is not made does not give back what it was to do.
        let work = Arc::new(Mutex::new(Some(work)));
        let of_thread = Arc::clone(&work);
        let thread = Builder::new().spawn_scoped(self.scope, move || do_once(&of_thread));
        self.pieces.push_back(match thread {
            Ok(thread) => Piece::UnderWay(thread),
            Err(_) => Piece::Done(do_once(&work)),
        });
        first
    }
}

/// Does what is there to do, if nobody has.
fn do_once<T>(work: &Mutex<Option<impl FnOnce() -> T>>) -> Option<T> {
    let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    work.map(|work| work())
}

impl<T> Iterator for InOrder<'_, '_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self.pieces.pop_front()? {
            Piece::Done(made) => made,
            Piece::UnderWay(thread) => {
                let made = thread.join();
                made.unwrap_or_else(|panic| resume_unwind(panic))
            }
        }
    }
}

impl<T> fmt::Debug for InOrder<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InOrder({} under way)", self.pieces.len())
    }
}

#[cfg(test)]
mod tests {
    use std::hint;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_is_made_comes_in_order_and_no_more_is_under_way_than_there_are_cores() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = &|number: usize| {
            let before = now.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(before + 1, Ordering::SeqCst);
            // The first of each few is the last to be done.
            thread::yield_now();
            (0..(7 - number % 7) * 1_000).for_each(|_| hint::spin_loop());
            now.fetch_sub(1, Ordering::SeqCst);
            number
        };
        let made: Vec<_> = thread::scope(|scope| {
            let mut line = InOrder::new(scope);
            let begun = (0..100).filter_map(|number| line.begin(move || work(number)));
            let begun: Vec<_> = begun.collect();
            begun.into_iter().chain(line).collect()
        });
        assert_eq!(made, (0..100).collect::<Vec<_>>());
        assert!(most.into_inner() <= count(), "too many at once");
    }

    #[test]
    #[should_panic(expected = "the second of three")]
    fn a_panic_of_a_piece_is_the_callers() {
        thread::scope(|scope| {
            let mut line = InOrder::new(scope);
            for number in 0..3 {
                line.begin(move || assert!(number != 1, "the second of three"));
            }
            line.for_each(drop);
        });
    }
}
