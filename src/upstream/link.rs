//! One connection to an upstream.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::bell::Bell;
use super::call::Heard;
use super::guarded::{Guarded, Talk};
use super::patience::Patience;
use super::pool::{Idle, Seen};
use crate::alarm::Alarm;
use crate::body::{Body, Caller};
use crate::limits::{Bound, Limits};
use crate::refusal::{Refusal, UpstreamFault};
use crate::tls::Stream;

/// The largest read from an upstream, and the most of an answer that is buffered unread.
const READ_BYTES_MAX: usize = 256 << 10;

/// One connection to an upstream, driven by whoever holds it.
pub(super) struct Link {
    requests: http1::SendRequest<Body<Caller>>,
    connection: http1::Connection<TokioIo<Guarded>, Body<Caller>>,
    talk: Arc<Talk>,
    bell: Arc<Bell>,
    /// Kept with the connection: a timer that is moved costs less than one that is made.
    alarm: Alarm,
    /// An empty map, to write the next head into.
    spare: HeaderMap,
    opened: Instant,
}

/// What became of a request.
pub(super) enum Sent<L> {
    /// The head of an answer came; the link is there unless it ended with this answer.
    Answered(Option<L>, Response<Incoming>),
    /// No answer will come; whether anything did.
    Failed(Refusal, Heard),
    /// The link was gone before a byte of the request was written.
    Returned(Box<Request<Body<Caller>>>),
}

impl<L> Sent<L> {
    /// With the link as another thing.
    pub(super) fn map<M>(self, of: impl FnOnce(L) -> M) -> Sent<M> {
        match self {
            Self::Answered(link, answer) => Sent::Answered(link.map(of), answer),
            Self::Failed(refusal, heard) => Sent::Failed(refusal, heard),
            Self::Returned(unsent) => Sent::Returned(unsent),
        }
    }
}

impl Link {
    /// Makes a link of a connection.
    pub(super) async fn new(
        stream: Stream,
        limits: &Limits,
        now: Instant,
    ) -> Result<Box<Self>, Refusal> {
        let guarded = Guarded::new(stream, limits);
        let talk = guarded.talk();
        let made = http1::Builder::new()
            .max_buf_size(READ_BYTES_MAX.max(limits.size(Bound::UpstreamHead)))
            .handshake(TokioIo::new(guarded))
            .await;
        let (requests, connection) = made.map_err(|_closed| Refusal::UpstreamUnreachable {
            fault: UpstreamFault::Terminated,
        })?;
        let (alarm, spare) = (Alarm::at(now), HeaderMap::new());
        Ok(Box::new(Self {
            requests,
            connection,
            talk,
            bell: Bell::new(),
            alarm,
            spare,
            opened: now,
        }))
    }

    /// Whether it is open, with nothing left on it from before.
    ///
    /// hyper is ready for a request only after it has seen that nothing more has come.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.requests.is_ready() || (self.poll_over(cx).is_pending() && self.requests.is_ready())
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

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        mut self: Box<Self>,
        request: Request<Body<Caller>>,
        mut patience: Patience,
    ) -> Sent<Box<Self>> {
        let talk = Arc::clone(&self.talk);
        talk.ask(request.method());
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
                Some(link) => {
                    let late = patience.poll(&mut link.alarm, cx);
                    late.map(|()| Err(Refusal::UPSTREAM_SILENT))
                }
                None => Poll::Pending,
            }
        };
        let outcome = std::future::poll_fn(|cx| bell.drive(cx, &mut poll)).await;
        let heard = talk.heard();
        match outcome {
            Ok(Ok(answer)) => Sent::Answered(link, answer),
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => Sent::Returned(Box::new(unsent)),
                None => Sent::Failed(patience.fault().unwrap_or(Refusal::UpstreamBroken), heard),
            },
            Err(refusal) => Sent::Failed(refusal, heard),
        }
    }
}

/// A connection that is kept is driven by nobody else, and the runtime may not have noticed yet
/// what has happened to it: so the socket itself is asked.
impl Idle for Box<Link> {
    fn look(&mut self) -> Seen {
        self.talk.have_a_look();
        let over = self.poll_over(&mut Context::from_waker(Waker::noop()));
        let usable = over.is_pending() && self.requests.is_ready();
        match self.talk.seen() {
            Seen::Nothing if !usable => Seen::Closed,
            seen @ (Seen::Closed | Seen::Nothing | Seen::Surplus) => seen,
        }
    }

    fn opened(&self) -> Instant {
        self.opened
    }
}
