//! One connection to an upstream.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Patience;
use crate::body::{Body, Caller};
use crate::refusal::Refusal;
use crate::tls::Stream;

/// The largest read from an upstream, and the most of an answer that is buffered unread.
const READ_BYTES_MAX: usize = 256 << 10;

/// One connection to an upstream, driven by whoever holds it.
pub(super) struct Link {
    requests: http1::SendRequest<Body<Caller>>,
    connection: http1::Connection<TokioIo<Counted>, Body<Caller>>,
    read: Arc<AtomicU64>,
}

/// What became of a request.
pub(super) enum Sent {
    /// The head of an answer came; the link is there unless it ended with this answer.
    Answered(Option<Box<Link>>, Response<Incoming>),
    /// No answer will come.
    Failed(Refusal),
    /// The link was gone before a byte of the request was written.
    Returned(Box<Request<Body<Caller>>>),
}

impl Link {
    /// Makes a link of a connection.
    pub(super) async fn new(stream: Stream, head_bytes_max: usize) -> Result<Box<Self>, Refusal> {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            stream,
            read: Arc::clone(&read),
        };
        let made = http1::Builder::new()
            .max_header_size(head_bytes_max)
            .max_buf_size(READ_BYTES_MAX.max(head_bytes_max))
            .handshake(TokioIo::new(counted))
            .await;
        let (requests, connection) = made.map_err(|_closed| Refusal::UpstreamUnreachable)?;
        Ok(Box::new(Self {
            requests,
            connection,
            read,
        }))
    }

    /// Whether it is open, with nothing left on it from before.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.connection).poll(cx).is_pending() && self.requests.is_ready()
    }

    /// Drives the connection; ready once it has ended, in whatever way.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.connection).poll(cx).map(|_how| ())
    }

    /// Sends a request and waits for the head of its answer, of at most `head_bytes_max` with all
    /// informational answers before it.
    pub(super) async fn send(
        mut self: Box<Self>,
        request: Request<Body<Caller>>,
        mut patience: Patience,
        head_bytes_max: u64,
    ) -> Sent {
        let begun = self.read.load(Ordering::Relaxed);
        let read = Arc::clone(&self.read);
        let mut answer = pin!(self.requests.try_send_request(request));
        let mut link = Some(self);
        let outcome = std::future::poll_fn(|cx| {
            if link
                .as_mut()
                .is_some_and(|link| link.poll_over(cx).is_ready())
            {
                // Whatever it still has to say, it says when it goes.
                link = None;
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            let surplus = read.load(Ordering::Relaxed).saturating_sub(begun) > head_bytes_max;
            match surplus {
                true => Poll::Ready(None),
                false => patience.poll(cx).map(|()| None),
            }
        });
        match outcome.await {
            Some(Ok(answer)) => Sent::Answered(link, answer),
            Some(Err(mut error)) => match error.take_message() {
                Some(unsent) => Sent::Returned(Box::new(unsent)),
                None => Sent::Failed(patience.fault().unwrap_or(Refusal::UpstreamBroken)),
            },
            None if read.load(Ordering::Relaxed).saturating_sub(begun) > head_bytes_max => {
                Sent::Failed(Refusal::UpstreamBroken)
            }
            None => Sent::Failed(Refusal::UpstreamTimeout),
        }
    }
}

/// A connection that counts what is read from it: hyper skips informational answers silently, and
/// without a count an upstream could send them for ever.
struct Counted {
    stream: Stream,
    read: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        let more = into.filled().len().saturating_sub(before);
        self.read
            .fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
