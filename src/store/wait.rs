//! What is promised and waited for: by a task of any runtime, or by a thread.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::StoreFault;

/// What the register promised to do; resolves once it is done, or cannot be.
///
/// One that is let go is done all the same.
#[must_use = "nothing may leave before it has resolved"]
pub struct Settling(Waiting);

enum Waiting {
    Done(Result<(), StoreFault>),
    For(Arc<Slot>),
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    result: Option<Result<(), StoreFault>>,
    waker: Option<Waker>,
}

impl Settling {
    /// One that is resolved.
    pub(super) const fn done(result: Result<(), StoreFault>) -> Self {
        Self(Waiting::Done(result))
    }

    /// Holds the thread until it is resolved; for commands and tests.
    ///
    /// # Errors
    /// What [`Settling`] resolves to.
    pub fn wait(self) -> Result<(), StoreFault> {
        self.wait_for(Duration::MAX)
    }

    /// Holds the thread until it is resolved, but not longer than that.
    ///
    /// # Errors
    /// What [`Settling`] resolves to; [`StoreFault::Gone`] if it does not in time.
    pub fn wait_for(self, most: Duration) -> Result<(), StoreFault> {
        match self.0 {
            Waiting::Done(result) => result,
            Waiting::For(slot) => {
                let waits = |state: &mut State| state.result.is_none();
                let waited = slot.done.wait_timeout_while(slot.lock(), most, waits);
                let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                state.result.unwrap_or(Err(StoreFault::Gone))
            }
        }
    }
}

impl Future for Settling {
    type Output = Result<(), StoreFault>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.0 {
            Waiting::Done(result) => Poll::Ready(*result),
            Waiting::For(slot) => {
                let mut state = slot.lock();
                match state.result {
                    Some(result) => Poll::Ready(result),
                    None => {
                        state.waker = Some(context.waker().clone());
                        Poll::Pending
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settling")
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other end. One that is dropped unkept resolves to [`StoreFault::Gone`].
pub(super) struct Promise(Arc<Slot>);

impl Promise {
    pub(super) fn new() -> (Self, Settling) {
        let slot = Arc::<Slot>::default();
        (Self(Arc::clone(&slot)), Settling(Waiting::For(slot)))
    }

    pub(super) fn keep(self, result: Result<(), StoreFault>) {
        self.resolve(result);
    }

    /// The first result counts.
    fn resolve(&self, result: Result<(), StoreFault>) {
        let waker = {
            let mut state = self.0.lock();
            state.result.get_or_insert(result);
            state.waker.take()
        };
        self.0.done.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.resolve(Err(StoreFault::Gone));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_promise_that_is_kept_or_dropped_resolves() {
        let (promise, settling) = Promise::new();
        let waits = thread::spawn(move || settling.wait());
        promise.keep(Ok(()));
        assert_eq!(waits.join().unwrap(), Ok(()));
        let (promise, mut settling) = Promise::new();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut settling).poll(&mut context).is_pending());
        drop(promise);
        let polled = Pin::new(&mut settling).poll(&mut context);
        assert_eq!(polled, Poll::Ready(Err(StoreFault::Gone)));
        assert_eq!(Settling::done(Ok(())).wait(), Ok(()));
        let (_promise, settling) = Promise::new();
        assert_eq!(settling.wait_for(Duration::ZERO), Err(StoreFault::Gone));
    }
}
