//! Connections to an upstream on which many exchanges go on at once: HTTP/2 (RFC 9113).
//!
//! Unlike a [`Link`](super::link::Link), such a connection is driven by tasks of its own. They end
//! once nobody holds the connection any more, and soon after also where the upstream does not read.

use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Uri};
use http_body::{Frame, SizeHint};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Target;
use super::call::Heard;
use super::framed::Framed;
use super::link::Sent;
use super::patience::Patience;
use super::standing::Standing;
use crate::alarm::Alarm;
use crate::body::{Body, Caller};
use crate::limits::{ANSWER_LINES_MAX, Bound, Limits, UPSTREAM_STREAMS_MAX};
use crate::minimise::Cleared;
use crate::refusal::{Bug, Refusal, UpstreamFault};

/// What one answer may send ahead of its reader, and all on one connection together: the
/// recommended least window (RFC 9113 section 6.9.2) would wait for us at every 64 KiB.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// What of a request is held that the upstream does not take.
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;
/// How long a connection that nobody holds may take to say farewell.
const LINGER: Duration = Duration::from_secs(1);

/// The connections that one thread shares to one upstream.
#[derive(Default)]
pub(super) struct Crowd(Mutex<Vec<(Shared, Instant)>>);

/// A connection that is shared, as one of those who hold it.
#[derive(Clone)]
pub(super) struct Shared {
    requests: SendRequest<Streamed>,
    /// Held by everyone; the tasks of the connection wait for the last to let go.
    held: Arc<watch::Sender<()>>,
    /// Set once the upstream has sent more frames than it may.
    flooded: Arc<AtomicBool>,
    opened: Instant,
}

impl Crowd {
    /// A connection that takes one more exchange, and for how long nothing was on it; `None` where
    /// exchanges are under way on it.
    pub(super) fn take(
        &self,
        now: Instant,
        standing: &Standing,
    ) -> Option<(Shared, Option<Duration>)> {
        let mut all = self.tended(now, standing);
        if standing.usable(now).is_zero() {
            return None;
        }
        let (shared, used) = all
            .iter_mut()
            .find(|(shared, _)| shared.exchanges() < UPSTREAM_STREAMS_MAX)?;
        let idle = (shared.exchanges() == 0).then(|| now.saturating_duration_since(*used));
        *used = now;
        Some((shared.clone(), idle))
    }

    /// Takes in a new connection; gives it back as one who holds it.
    pub(super) fn add(&self, shared: Shared, now: Instant) -> Shared {
        self.all().push((shared.clone(), now));
        shared
    }

    /// An exchange on it came to its end.
    pub(super) fn used(&self, shared: &Shared, now: Instant) {
        let mut all = self.all();
        let entry = all.iter_mut().find(|(other, _)| other.is(shared));
        if let Some((_, used)) = entry {
            *used = now;
        }
    }

    /// Nothing more is sent on it; exchanges that are under way on it go on.
    pub(super) fn retire(&self, shared: &Shared) {
        self.all().retain(|(other, _)| !other.is(shared));
    }

    /// Lets go of all that may not be used any more.
    pub(super) fn tend(&self, now: Instant, standing: &Standing) {
        drop(self.tended(now, standing));
    }

    fn tended(&self, now: Instant, standing: &Standing) -> MutexGuard<'_, Vec<(Shared, Instant)>> {
        let mut all = self.all();
        all.retain(|(shared, used)| {
            let idle = now.saturating_duration_since(*used);
            let is_old = standing.is_old(shared.opened, now);
            match (shared.requests.is_closed(), shared.exchanges()) {
                (true, 0) if !shared.is_flooded() => {
                    standing.closed(idle, now);
                    false
                }
                (true, _) => false,
                (false, 0) => idle < standing.usable(now) && !is_old,
                (false, _) => !is_old,
            }
        });
        all
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Shared, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Begins to speak HTTP/2 on a connection.
    pub(super) async fn new(
        framed: Framed,
        limits: &Limits,
        now: Instant,
    ) -> Result<Self, Refusal> {
        let held = Arc::new(watch::Sender::new(()));
        let tasks = Tasks(held.subscribe());
        let flooded = framed.flooded();
        let head = u32::try_from(limits.of(Bound::UpstreamHead)).unwrap_or(u32::MAX);
        let made = Builder::new(tasks.clone())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(head)
            .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
            // What the library takes an upstream to allow until it says so.
            .initial_max_send_streams(UPSTREAM_STREAMS_MAX)
            .handshake(TokioIo::new(framed))
            .await;
        let (requests, connection) = made.map_err(|_broken| Refusal::UpstreamUnreachable {
            fault: UpstreamFault::Terminated,
        })?;
        tasks.execute(async move {
            // What is wrong with it, each exchange on it is told.
            drop(connection.await);
        });
        Ok(Self {
            requests,
            held,
            flooded,
            opened: now,
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        mut self,
        request: Request<Body<Caller>>,
        target: &Target,
        mut patience: Patience,
    ) -> Sent<Self> {
        let Some(request) = absolute(request, &target.authority) else {
            return Sent::Failed(Refusal::Bug(Bug::Head), Heard::Nothing);
        };
        let mut alarm = Alarm::at(patience.due);
        let mut answer = pin!(self.requests.try_send_request(request.map(Streamed)));
        let outcome = std::future::poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => {
                let late = patience.poll(&mut alarm, cx);
                late.map(|()| Err(Refusal::UPSTREAM_SILENT))
            }
        });
        let outcome = outcome.await;
        let failed = match outcome {
            Ok(Ok(answer)) if answer.headers().len() <= ANSWER_LINES_MAX => {
                return Sent::Answered(Some(self), answer);
            }
            Ok(Ok(_)) => Sent::Failed(Refusal::UpstreamBroken, Heard::Something),
            Ok(Err(mut error)) => match error.take_message().and_then(relative) {
                Some(unsent) if !self.is_flooded() => {
                    Sent::Returned(Box::new(unsent.map(|streamed| streamed.0)))
                }
                _ => {
                    let why = patience.fault().unwrap_or(Refusal::UpstreamBroken);
                    Sent::Failed(why, self.heard(error.error()))
                }
            },
            Err(refusal) => Sent::Failed(refusal, Heard::Nothing),
        };
        // Nobody knows what else is wrong with it.
        target.crowd.retire(&self);
        failed
    }

    /// What came before a request failed. Whoever floods does not get it once more.
    fn heard(&self, error: &hyper::Error) -> Heard {
        match self.is_flooded() {
            true => Heard::Something,
            false => heard(error),
        }
    }

    fn is_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// How many exchanges hold it besides the crowd.
    fn exchanges(&self) -> usize {
        Arc::strong_count(&self.held).saturating_sub(1)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.held, &other.held)
    }
}

/// The body of a request, as the HTTP/2 library takes it. When it is broken off, the library says
/// so by the error: INTERNAL_ERROR, unless that one has a reason of its own.
struct Streamed(Body<Caller>);

impl http_body::Body for Streamed {
    type Data = Cleared<Bytes>;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(cx);
        polled.map_err(|refusal| match matches!(refusal, Refusal::Bug(_)) {
            true => Self::Error::from(refusal),
            // Nobody wants the answer any more.
            false => Self::Error::from(h2::Error::from(h2::Reason::CANCEL)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Runs what belongs to a connection, on the thread that it was opened on.
#[derive(Clone, Debug)]
struct Tasks(watch::Receiver<()>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, work: F) {
        let let_go = let_go(self.0.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                () = let_go => {}
            }
        });
    }
}

/// Returns some time after the last who held a connection is gone.
async fn let_go(mut held: watch::Receiver<()>) {
    while held.changed().await.is_ok() {}
    sleep(LINGER).await;
}

/// Whether the upstream may have begun with a request that failed.
fn heard(error: &hyper::Error) -> Heard {
    let cause = error.source().and_then(|it| it.downcast_ref::<h2::Error>());
    let refused = cause.is_some_and(|it| {
        // RFC 9113 section 8.7: neither has been processed.
        it.is_remote() && (it.is_go_away() || it.reason() == Some(h2::Reason::REFUSED_STREAM))
    });
    match refused {
        true => Heard::Refused,
        false => Heard::Nothing,
    }
}

/// A request in absolute form: HTTP/2 has `:authority` in place of `Host`.
fn absolute<B>(mut request: Request<B>, authority: &Authority) -> Option<Request<B>> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(authority.clone());
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    request.headers_mut().remove(HOST);
    Some(request)
}

/// The same in the form that every other connection takes.
fn relative<B>(mut request: Request<B>) -> Option<Request<B>> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = None;
    let authority = parts.authority.take()?;
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    let host = HeaderValue::from_str(authority.as_str()).ok()?;
    request.headers_mut().insert(HOST, host);
    Some(request)
}
