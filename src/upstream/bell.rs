//! Wakes the exchange that drives a link, and only for what it does not see by itself.
//!
//! The link and the exchange are one task. hyper's two halves wake each other whenever the one has
//! something for the other; that the exchange looks next anyhow they cannot know, and every such
//! call would have the whole task polled once more for nothing.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Nobody drives the link: whoever rings wakes the task.
const FREE: u8 = 0;
/// It is being driven.
const DRIVEN: u8 = 1;
/// Somebody rang while it was being driven.
const RUNG: u8 = 2;

/// Of one link. What belongs to it is polled under its waker only.
pub(super) struct Bell {
    state: AtomicU8,
    /// The task that drove the link last.
    task: Mutex<Waker>,
}

impl Bell {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(FREE),
            task: Mutex::new(Waker::noop().clone()),
        })
    }

    /// Polls what belongs to the link. Who rings meanwhile wakes nobody if something came of it,
    /// and the task again if it would wait.
    pub(super) fn drive<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.task().clone_from(cx.waker());
        self.state.store(DRIVEN, Ordering::SeqCst);
        let polled = poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))));
        let rung = self.state.swap(FREE, Ordering::SeqCst) == RUNG;
        if rung && polled.is_pending() {
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// Does something for the link, which is driven right after it.
    pub(super) fn hush<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state.store(DRIVEN, Ordering::SeqCst);
        let done = work();
        self.state.store(FREE, Ordering::SeqCst);
        done
    }

    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self
            .state
            .compare_exchange(DRIVEN, RUNG, Ordering::SeqCst, Ordering::SeqCst);
        if noted == Err(FREE) {
            self.task().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How often the task is woken by what `happens` to a bell.
    fn woken(happens: impl FnOnce(&Arc<Bell>, &mut Context<'_>)) -> usize {
        let task = Arc::<Task>::default();
        let waker = Waker::from(Arc::clone(&task));
        happens(&Bell::new(), &mut Context::from_waker(&waker));
        task.0.load(Ordering::SeqCst)
    }

    #[test]
    fn who_rings_while_it_is_driven_wakes_only_a_task_that_would_wait() {
        let twice = |cx: &Context<'_>, then| {
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            then
        };
        let rung = |then: Poll<()>| {
            woken(|bell, cx| assert_eq!(bell.drive(cx, |cx| twice(cx, then)), then))
        };
        assert_eq!(rung(Poll::Ready(())), 0);
        assert_eq!(rung(Poll::Pending), 1);
    }

    #[test]
    fn who_rings_later_wakes_the_task_that_drove_it_last() {
        let kept = |cx: &Context<'_>| Poll::Ready(cx.waker().clone());
        let first = woken(|bell, cx| {
            let Poll::Ready(waker) = bell.drive(cx, |cx| kept(cx)) else {
                panic!("it was ready")
            };
            waker.wake_by_ref();
            let second = woken(|_, cx| {
                let polled = bell.drive(cx, |_| Poll::<()>::Pending);
                assert!(polled.is_pending());
                waker.wake_by_ref();
            });
            assert_eq!(second, 1);
        });
        assert_eq!(first, 1);
    }

    #[test]
    fn hushed_it_wakes_nobody_and_afterwards_it_does() {
        let woken = woken(|bell, cx| {
            let Poll::Ready(waker) = bell.drive(cx, |cx| Poll::Ready(cx.waker().clone())) else {
                panic!("it was ready")
            };
            bell.hush(|| waker.wake_by_ref());
            waker.wake_by_ref();
        });
        assert_eq!(woken, 1);
    }
}
