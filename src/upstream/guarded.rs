//! A connection to an upstream, behind the framing guard.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::call::Heard;
use super::pool::Seen;
use crate::gate::Gate;
use crate::guard::{Answers, Expected};
use crate::limits::Limits;
use crate::tls::Stream;

/// A connection on which nothing is seen but one well-formed answer to each request.
pub(super) struct Guarded {
    gate: Gate<Stream, Answers>,
    talk: Arc<Talk>,
}

/// What a link and its connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// What the next request asks for. It counts from the request's first byte on: what has come
    /// until then is no answer to it.
    asks: AtomicU8,
    /// Whether anything has come since the last request was noted.
    heard: AtomicBool,
    look: AtomicU8,
}

const NO_REQUEST: u8 = 0;
const BODY: u8 = 1;
const HEAD_ONLY: u8 = 2;

/// Read on, as usual.
const UNASKED: u8 = 0;
/// The next one to read is to look at the socket instead, and say what it saw.
const ASKED: u8 = 1;
/// Nothing was there.
const NOTHING: u8 = 2;
/// Bytes were there.
const SURPLUS: u8 = 3;

impl Talk {
    /// A request of that method is about to be written.
    pub(super) fn ask(&self, method: &Method) {
        let asks = match *method == Method::HEAD {
            true => HEAD_ONLY,
            false => BODY,
        };
        self.asks.store(asks, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
    }

    /// Whether anything has come since.
    pub(super) fn heard(&self) -> Heard {
        match self.heard.load(Ordering::Relaxed) {
            true => Heard::Something,
            false => Heard::Nothing,
        }
    }

    /// Has the next one to read look at the socket only.
    pub(super) fn have_a_look(&self) {
        self.look.store(ASKED, Ordering::Relaxed);
    }

    /// What it saw; a connection at which nobody looked is over.
    pub(super) fn seen(&self) -> Seen {
        match self.look.swap(UNASKED, Ordering::Relaxed) {
            NOTHING => Seen::Nothing,
            SURPLUS => Seen::Surplus,
            _ => Seen::Closed,
        }
    }

    fn take(&self) -> Option<Expected> {
        let expected = match self.asks.load(Ordering::Relaxed) {
            BODY => Expected::Body,
            HEAD_ONLY => Expected::HeadOnly,
            _ => return None,
        };
        self.asks.store(NO_REQUEST, Ordering::Relaxed);
        Some(expected)
    }
}

impl Guarded {
    pub(super) fn new(stream: Stream, limits: &Limits) -> Self {
        Self {
            gate: Gate::new(stream, Answers::new(limits)),
            talk: Arc::default(),
        }
    }

    /// What is told to the connection, and what it tells.
    pub(super) fn talk(&self) -> Arc<Talk> {
        Arc::clone(&self.talk)
    }

    fn begin(&mut self) {
        if let Some(expected) = self.talk.take() {
            self.gate.reader().expect(expected);
        }
    }

    /// Looks at the socket; at anything but nothing the connection is over.
    fn look(&mut self) -> Poll<io::Result<()>> {
        let held = self.gate.holds_a_part();
        let stream = self.gate.stream();
        match stream.peek() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !held => {
                self.talk.look.store(NOTHING, Ordering::Relaxed);
                Poll::Pending
            }
            // With TLS, a farewell comes in bytes.
            Ok(1..) if !stream.is_tls() => {
                self.talk.look.store(SURPLUS, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            }
            Ok(_) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.talk.look.load(Ordering::Relaxed) == ASKED {
            return self.look();
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut self.gate).poll_read(cx, into);
        // What the guard did not let through has come all the same.
        if into.filled().len() > before || self.gate.holds_a_part() || self.gate.fault().is_some() {
            self.talk.heard.store(true, Ordering::Relaxed);
        }
        polled
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
