//! Where raw bytes come from. They go into a rewriter and nowhere else.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::refusal::Refusal;

/// A body as it comes in, raw.
pub trait Source: Send + Unpin + 'static {
    /// The next bytes; `None` at a clean end. Trailers are dropped.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>>;

    /// It took longer than it may, and is given up.
    fn give_up(&mut self) {}
}

/// The body of a caller's request.
#[derive(Debug)]
pub struct Caller {
    body: Incoming,
    version: Version,
}

impl Caller {
    /// Takes it over, with the version of HTTP that it comes in.
    #[must_use]
    pub const fn new(body: Incoming, version: Version) -> Self {
        Self { body, version }
    }

    /// Whether it has ended; for a body just taken over: whether there is none.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Its length in bytes, if it was declared.
    #[must_use]
    pub fn declared(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Whether it ended without saying so, as a stream does that was reset with `NO_ERROR`: hyper
    /// takes that for an end.
    fn is_cut(&self) -> bool {
        self.version == Version::HTTP_2 && !self.body.is_end_stream()
    }
}

impl Source for Caller {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(blame(&error)))),
                None if self.is_cut() => return Poll::Ready(Some(Err(Refusal::CallerGone))),
                None => return Poll::Ready(None),
            };
            if let Ok(chunk) = frame.into_data() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}

/// Whether the caller broke the rules of framing, or went away.
fn blame(error: &hyper::Error) -> Refusal {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Refusal::FramingInvalid,
        _ => Refusal::CallerGone,
    }
}
