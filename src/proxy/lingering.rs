//! How a connection is read on that has nothing more to say.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};

use crate::alarm::Alarm;

/// How far a connection is still read that has nothing more to say, so that its caller gets to read
/// what was said: one that is closed on unread bytes is reset, and what was sent is lost with it.
pub(super) struct Lingering {
    until: Alarm,
    bytes_left: usize,
}

impl Lingering {
    pub(super) const fn until(moment: Instant, bytes_left: usize) -> Self {
        Self {
            until: Alarm::at(moment),
            bytes_left,
        }
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
