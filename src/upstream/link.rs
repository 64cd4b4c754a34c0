//! One connection to an upstream.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Patience;
use super::bell::Bell;
use crate::alarm::Alarm;
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
    bell: Arc<Bell>,
    /// Kept with the connection: a timer that is moved costs less than one that is made.
    alarm: Alarm,
    /// An empty map, to write the next head into.
    spare: HeaderMap,
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
    pub(super) async fn new(
        stream: Stream,
        head_bytes_max: usize,
        now: Instant,
    ) -> Result<Box<Self>, Refusal> {
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
        let (alarm, spare) = (Alarm::at(now), HeaderMap::new());
        Ok(Box::new(Self {
            requests,
            connection,
            read,
            bell: Bell::new(),
            alarm,
            spare,
        }))
    }

    /// Whether it is open, with nothing left on it from before.
    ///
    /// hyper is ready for a request only after it has seen that nothing more has come.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.requests.is_ready() || (self.poll_over(cx).is_pending() && self.requests.is_ready())
    }

    /// Whether it is still open; a connection that is kept is driven by nobody else.
    pub(super) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_over(&mut cx).is_pending() && self.requests.is_ready()
    }

    /// An empty map for the next head.
    pub(super) fn spare(&mut self) -> HeaderMap {
        std::mem::take(&mut self.spare)
    }

    /// Takes a map over for the next head.
    pub(super) fn recycle(&mut self, mut headers: HeaderMap) {
        headers.clear();
        self.spare = headers;
    }

    /// What belongs to the link is polled under this.
    pub(super) const fn bell(&self) -> &Arc<Bell> {
        &self.bell
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
        let read_max = self
            .read
            .load(Ordering::Relaxed)
            .saturating_add(head_bytes_max);
        self.alarm.set(patience.due);
        let bell = Arc::clone(&self.bell);
        let mut answer = pin!(bell.hush(|| self.requests.try_send_request(request)));
        let mut link = Some(self);
        let mut poll = |cx: &mut Context<'_>| {
            if link
                .as_mut()
                .is_some_and(|link| link.poll_over(cx).is_ready())
            {
                // Whatever it still has to say, it says when it goes.
                link = None;
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            match &mut link {
                Some(link) if link.read.load(Ordering::Relaxed) > read_max => {
                    Poll::Ready(Err(Refusal::UpstreamBroken))
                }
                Some(link) => {
                    let late = patience.poll(&mut link.alarm, cx);
                    late.map(|()| Err(Refusal::UpstreamTimeout))
                }
                None => Poll::Pending,
            }
        };
        let outcome = std::future::poll_fn(|cx| bell.drive(cx, &mut poll)).await;
        match outcome {
            Ok(Ok(answer)) => Sent::Answered(link, answer),
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => Sent::Returned(Box::new(unsent)),
                None => Sent::Failed(patience.fault().unwrap_or(Refusal::UpstreamBroken)),
            },
            Err(refusal) => Sent::Failed(refusal),
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
