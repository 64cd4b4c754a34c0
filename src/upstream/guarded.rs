//! A connection to an upstream, behind the framing guard.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gate::Gate;
use crate::guard::{Answers, Expected};
use crate::limits::Limits;
use crate::tls::Stream;

const NOTHING: u8 = 0;
const BODY: u8 = 1;
const HEAD_ONLY: u8 = 2;

/// A connection on which nothing is seen but one well-formed answer to each request.
pub(super) struct Guarded {
    gate: Gate<Stream, Answers>,
    asked: Arc<Asked>,
}

/// What the next request asks for. It counts from the request's first byte on: what has come until
/// then is no answer to it.
#[derive(Debug)]
pub(super) struct Asked(AtomicU8);

impl Asked {
    /// A request of that method is about to be written.
    pub(super) fn note(&self, method: &Method) {
        let expected = match *method == Method::HEAD {
            true => HEAD_ONLY,
            false => BODY,
        };
        self.0.store(expected, Ordering::Relaxed);
    }

    fn take(&self) -> Option<Expected> {
        let expected = match self.0.load(Ordering::Relaxed) {
            BODY => Expected::Body,
            HEAD_ONLY => Expected::HeadOnly,
            _ => return None,
        };
        self.0.store(NOTHING, Ordering::Relaxed);
        Some(expected)
    }
}

impl Guarded {
    pub(super) fn new(stream: Stream, limits: &Limits) -> Self {
        Self {
            gate: Gate::new(stream, Answers::new(limits)),
            asked: Arc::new(Asked(AtomicU8::new(NOTHING))),
        }
    }

    /// Where it is said what is asked for.
    pub(super) fn asked(&self) -> Arc<Asked> {
        Arc::clone(&self.asked)
    }

    fn begin(&mut self) {
        if let Some(expected) = self.asked.take() {
            self.gate.reader().expect(expected);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.gate).poll_read(cx, into)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin();
        Pin::new(&mut self.gate).poll_write(cx, from)
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
        self.begin();
        Pin::new(&mut self.gate).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.gate.is_write_vectored()
    }
}
