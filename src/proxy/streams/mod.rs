//! The streams of one HTTP/2 connection: a caller that opens no window for its answer holds up only
//! that answer, and not for ever. (Over HTTP/1.1 the socket itself tells: see `pace`.)

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    reason = "a test fails by panicking, and its numbers are small"
)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;

use crate::alarm::{Alarm, after};
use crate::clock::Clock;
use crate::events::{ConnectionFailed, ConnectionFault, Events};
use crate::limits::{Bound, Limits};

/// How far an answer has come: its head counts as one, and each time that more was asked for.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    /// A step further.
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    /// The progress of the stream that is about to be run: hyper asks for its exchange, and runs
    /// it at once.
    next: Arc<Mutex<Option<Arc<Progress>>>>,
    clock: Clock,
    events: Events,
    unread: Duration,
}

impl Streams {
    pub(super) fn new(clock: &Clock, events: &Events, limits: &Limits) -> Self {
        Self {
            next: Arc::default(),
            clock: clock.clone(),
            events: events.clone(),
            unread: limits.time(Bound::AnswerWriteIdle),
        }
    }

    /// The progress of the exchange that begins now.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::<Progress>::default();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Arc::clone(&progress));
        progress
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let watched = Watched {
            stream: Box::pin(stream),
            progress: next.unwrap_or_default(),
            seen: 0,
            alarm: Alarm::at(self.clock.now()),
            streams: self.clone(),
        };
        // Ends with its connection: hyper's handle to the stream sees to that.
        drop(tokio::spawn(watched));
    }
}

struct Watched<F> {
    stream: Pin<Box<F>>,
    progress: Arc<Progress>,
    seen: u64,
    alarm: Alarm,
    streams: Streams,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let steps = self.progress.steps();
        if steps == 0 {
            // Its answer has not begun: other limits hold.
            return Poll::Pending;
        }
        if steps != self.seen {
            self.seen = steps;
            let due = after(self.streams.clock.now(), self.streams.unread);
            self.alarm.set(due);
        }
        ready!(self.alarm.poll(cx));
        let fault = ConnectionFault::AnswerUnread;
        self.streams.events.emit(ConnectionFailed { fault });
        Poll::Ready(())
    }
}
