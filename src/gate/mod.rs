//! A connection whose bytes are seen only as far as a [`Reader`] lets them.
//!
//! What is good is seen where it was read: it is not copied. Only the part of a head, or of the
//! line of a chunk, that has come is held here until the rest of it comes.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::guard::{Fault, Reader};

/// A connection behind a reader.
pub struct Gate<S, R> {
    stream: S,
    reader: R,
    /// What came and has not been seen.
    held: BytesMut,
    /// So much of it may be seen.
    shown: usize,
    fault: Option<Fault>,
}

impl<S, R: Reader> Gate<S, R> {
    /// A connection of which nothing has been read.
    pub fn new(stream: S, reader: R) -> Self {
        Self {
            stream,
            reader,
            held: BytesMut::new(),
            shown: 0,
            fault: None,
        }
    }

    /// The connection itself.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The reader.
    pub const fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// What was wrong with what came, once all before it has been seen.
    pub const fn fault(&self) -> Option<Fault> {
        match self.shown {
            0 => self.fault,
            _ => None,
        }
    }

    /// Whether anything is held: a part of something of which the rest has not come, or what was
    /// taken back.
    pub fn holds_a_part(&self) -> bool {
        !self.held.is_empty()
    }

    /// Lets this be seen instead of what the reader refused. Nothing comes after it.
    pub fn show_instead(&mut self, bytes: &[u8]) {
        self.held = BytesMut::from(bytes);
        self.shown = bytes.len();
    }

    /// Takes back what was seen last: it is seen again before anything else.
    pub fn take_back(&mut self, seen: &[u8]) {
        if !seen.is_empty() {
            let held = std::mem::replace(&mut self.held, BytesMut::from(seen));
            self.held.extend_from_slice(&held);
            self.shown = self.shown.saturating_add(seen.len());
        }
    }

    fn give(&mut self, into: &mut ReadBuf<'_>) {
        let count = self.shown.min(into.remaining()).min(self.held.len());
        into.put_slice(self.held.get(..count).unwrap_or_default());
        self.held.advance(count);
        self.shown = self.shown.saturating_sub(count);
        if self.held.is_empty() {
            // A connection that is idle holds no memory.
            self.held = BytesMut::new();
        }
    }

    /// Has the reader look at what was read into `into` after the first `before` bytes.
    fn admit(&mut self, into: &mut ReadBuf<'_>, before: usize) {
        let fresh = into.filled().get(before..).unwrap_or_default();
        if !self.held.is_empty() {
            self.held.extend_from_slice(fresh);
            into.set_filled(before);
            let look = self.reader.look(&self.held);
            (self.shown, self.fault) = (look.shown, look.fault);
            if look.fault.is_some() {
                self.held.truncate(look.shown);
            }
            return;
        }
        let look = self.reader.look(fresh);
        self.fault = look.fault;
        if look.fault.is_none() {
            let rest = fresh.get(look.shown..).unwrap_or_default();
            self.held.extend_from_slice(rest);
        }
        into.set_filled(before.saturating_add(look.shown));
    }
}

/// Shows nothing of what came.
impl<S, R> fmt::Debug for Gate<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} bytes held)", self.held.len())
    }
}

impl<S: AsyncRead + Unpin, R: Reader + Unpin> AsyncRead for Gate<S, R> {
    /// An error of kind [`InvalidData`](io::ErrorKind::InvalidData) from a fault on.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        loop {
            if this.shown > 0 {
                this.give(into);
            }
            if into.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if this.fault.is_some() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
            if into.filled().len() == before {
                // The end: a part that is held will never be whole.
                return Poll::Ready(Ok(()));
            }
            this.admit(into, before);
        }
    }
}

impl<S: AsyncWrite + Unpin, R: Unpin> AsyncWrite for Gate<S, R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    clippy::unwrap_in_result,
    reason = "a test fails by panicking, and its numbers are small"
)]
mod tests;
