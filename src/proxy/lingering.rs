//! How a connection is read on that has nothing more to say.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

use super::pace::Pace;
use crate::alarm::Alarm;
use crate::events::ConnectionFault;
use crate::limits::{FLOOD_LINGER, LINGER_BYTES_MAX};

/// How long a connection is read on that was refused in mid-body, or drained.
const LINGER: Duration = Duration::from_secs(1);

/// How far a connection is still read that has nothing more to say, so that its caller gets to read
/// what was said: one that is closed on unread bytes is reset, and what was sent is lost with it.
pub(super) struct Lingering {
    until: Alarm,
    bytes_left: usize,
}

impl Lingering {
    /// Whether a connection is read on when all is said, and how far.
    pub(super) fn of(pace: &Pace, until: impl FnOnce(Duration) -> Instant) -> Option<Self> {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let (wait, bytes_left) = match pace.fault.get() {
            // Whoever does that would go on.
            Some(ConnectionFault::Http2Flood) => (FLOOD_LINGER, LINGER_BYTES_MAX),
            Some(_) => return None,
            None if is_set(&pace.cut_short) => (LINGER, usize::MAX),
            None if is_set(&pace.is_given_up) => return None,
            // It opens windows for an answer that is on its way to it still.
            None if is_set(&pace.is_drained) => (LINGER, LINGER_BYTES_MAX),
            None => return None,
        };
        let until = Alarm::at(until(wait));
        Some(Self { until, bytes_left })
    }

    /// Reads on and lets go of it: ready once the caller closes too, or it has lasted too long.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // Whoever always has more to say is not read on either.
        if self.until.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scrap = [0; 4 << 10];
        while self.bytes_left > 0 {
            let mut into = ReadBuf::new(&mut scrap);
            match Pin::new(&mut *stream).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {
                    self.bytes_left = self.bytes_left.saturating_sub(into.filled().len());
                }
                Poll::Ready(_ended) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}
