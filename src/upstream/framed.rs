//! A connection to an upstream over HTTP/2, behind the reader of its frames: it may not keep us
//! busy with what carries nothing of an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::standing::Standing;
use crate::clock::Clock;
use crate::events::ConnectionUse;
use crate::gate::Gate;
use crate::guard::Frames;
use crate::limits::Limits;
use crate::tls::Stream;

/// A connection of which nothing is read any more once too many frames have come on it.
pub(super) struct Framed {
    gate: Gate<Stream, Frames>,
    flooded: Arc<AtomicBool>,
    clock: Clock,
    standing: Arc<Standing>,
}

impl Framed {
    pub(super) fn new(
        stream: Stream,
        limits: &Limits,
        clock: &Clock,
        standing: &Arc<Standing>,
    ) -> Self {
        Self {
            gate: Gate::new(stream, Frames::of_upstream(limits)),
            flooded: Arc::default(),
            clock: clock.clone(),
            standing: Arc::clone(standing),
        }
    }

    /// Set once too many frames have come.
    pub(super) fn flooded(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flooded)
    }

    /// What was sent pays for what comes.
    fn note_sent(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.gate.reader().sent(*bytes);
        }
    }
}

impl AsyncRead for Framed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let now = self.clock.now();
        self.gate.reader().at(now);
        let polled = Pin::new(&mut self.gate).poll_read(cx, into);
        if self.gate.fault().is_some() && !self.flooded.swap(true, Ordering::Relaxed) {
            self.standing.count(ConnectionUse::Flooded);
        }
        polled
    }
}

impl AsyncWrite for Framed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.gate).poll_write(cx, from);
        self.note_sent(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.gate).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.gate).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.gate).poll_write_vectored(cx, from);
        self.note_sent(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.gate.is_write_vectored()
    }
}
