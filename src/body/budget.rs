//! How much all bodies in flight may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that all bodies in flight hold together (`body-bytes-in-flight`).
#[derive(Debug, Default)]
pub struct Budget(AtomicU64);

impl Budget {
    /// Takes `bytes` of at most `most`; `None` if so much is not left.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: u64, most: u64) -> Option<Held> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        let held = Held {
            budget: Some(Arc::clone(self)),
            bytes,
        };
        (before.saturating_add(bytes) <= most).then_some(held)
    }

    /// Bytes that are taken now.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A part of a [`Budget`], given back when this is dropped.
#[derive(Debug, Default)]
pub struct Held {
    budget: Option<Arc<Budget>>,
    bytes: u64,
}

impl Held {
    /// Gives it back now.
    pub fn release(&mut self) {
        if let Some(budget) = self.budget.take() {
            budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_and_no_more_is_given_than_there_is() {
        let budget = Arc::new(Budget::default());
        let first = budget.take(60, 100).unwrap();
        assert!(budget.take(41, 100).is_none());
        let mut second = budget.take(40, 100).unwrap();
        assert_eq!(budget.taken(), 100);
        second.release();
        drop((first, second));
        assert_eq!(budget.taken(), 0);
    }
}
