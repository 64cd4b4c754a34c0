//! What is known about one body: numbers, kept where both its end and its exchange can see them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::minimise::Counts;
use crate::refusal::Refusal;

/// Where the [`Progress`] of one body is noted while it passes.
#[derive(Debug, Default)]
pub struct Facts(Mutex<Progress>);

impl Facts {
    /// What is known now.
    #[must_use]
    pub fn look(&self) -> Progress {
        *self.progress()
    }

    pub(super) fn note(&self, progress: &Progress) {
        *self.progress() = *progress;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes that came.
    pub received: u64,
    /// Bytes that were cleared to go on.
    pub cleared: u64,
    /// What was done to its fields; known at its end.
    pub counts: Counts,
    /// How long rewriting took.
    pub rewriting: Duration,
    /// Whether it is over.
    pub state: State,
}

/// Whether a body is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Read to its end.
    Ended,
    /// Given up for this reason.
    Failed(Refusal),
    /// Still under way, or let go before its end.
    #[default]
    Open,
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Facts {
        /// So many bytes have come.
        pub(crate) fn came(&self, received: u64) {
            let open = Progress::default();
            self.note(&Progress { received, ..open });
        }
    }
}
