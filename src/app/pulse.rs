//! Whether every thread of the data plane still gets to its tasks: what the watchdog is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Asks every thread whether it is there. An answer is a task that ran, so a thread that hangs in
/// one of its tasks gives none.
#[derive(Debug)]
pub(super) struct Pulse {
    asked: watch::Sender<u64>,
    answered: Vec<Arc<AtomicU64>>,
}

impl Pulse {
    /// Of so many threads.
    pub(super) fn of(threads: usize) -> Self {
        Self {
            asked: watch::Sender::default(),
            answered: (0..threads).map(|_| Arc::default()).collect(),
        }
    }

    /// What answers for each thread.
    pub(super) fn beats(&self) -> Vec<Beat> {
        let beat = |answered: &Arc<AtomicU64>| Beat {
            asked: self.asked.subscribe(),
            answered: Arc::clone(answered),
        };
        self.answered.iter().map(beat).collect()
    }

    /// Whether all have answered what they were asked last; then they are asked again.
    pub(super) fn is_felt(&self) -> bool {
        let asked = *self.asked.borrow();
        let mut answered = self.answered.iter();
        let felt = answered.all(|answered| answered.load(Ordering::Relaxed) >= asked);
        if felt {
            self.asked
                .send_modify(|asked| *asked = asked.wrapping_add(1));
        }
        felt
    }
}

/// Answers for one thread, from a task on it.
#[derive(Debug)]
pub(super) struct Beat {
    asked: watch::Receiver<u64>,
    answered: Arc<AtomicU64>,
}

impl Beat {
    /// Answers until nobody asks any more.
    pub(super) async fn go_on(mut self) {
        while self.asked.changed().await.is_ok() {
            let asked = *self.asked.borrow_and_update();
            self.answered.store(asked, Ordering::Relaxed);
        }
    }
}

impl Drop for Beat {
    /// A thread that has ended hangs no more: its end is told in another way.
    fn drop(&mut self) {
        self.answered.store(u64::MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_does_not_get_to_its_tasks_is_missed() {
        let pulse = Pulse::of(2);
        let mut beats = pulse.beats();
        let (hangs, works) = (beats.pop().unwrap(), beats.pop().unwrap());
        let works = tokio::spawn(works.go_on());
        assert!(pulse.is_felt(), "nobody was asked yet");
        tokio::task::yield_now().await;
        assert!(!pulse.is_felt() && !pulse.is_felt(), "one has not answered");
        let hangs = tokio::spawn(hangs.go_on());
        for _ in 0..3 {
            tokio::task::yield_now().await;
            assert!(pulse.is_felt());
        }
        hangs.abort();
        tokio::task::yield_now().await;
        assert!(pulse.is_felt(), "what has ended is not missed");
        drop(pulse);
        works.await.unwrap();
    }
}
