//! What an upstream answered: nothing of it is believed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::Target;
use super::link::Link;
use crate::body::Source;
use crate::refusal::Refusal;

/// What is read of a body that nobody needs, in reads of the connection.
const SETTLE_CHUNKS_MAX: usize = 4;

/// The answer of an upstream, before anything of it is looked at. Nothing here may be copied into
/// what a caller gets.
#[derive(Debug)]
pub struct Untrusted {
    /// Its status.
    pub status: StatusCode,
    /// Its header lines.
    pub headers: HeaderMap,
    /// Its body. To let go of it before its end closes the connection.
    pub body: Answer,
}

impl Untrusted {
    pub(super) fn new(
        answer: Response<Incoming>,
        link: Option<Box<Link>>,
        target: Arc<Target>,
    ) -> Self {
        let (head, body) = answer.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body: Answer { body, link, target },
        }
    }
}

/// The body of an upstream's answer, with the connection that it comes on.
pub struct Answer {
    body: Incoming,
    link: Option<Box<Link>>,
    target: Arc<Target>,
}

impl Answer {
    /// Whether it has ended; for one just taken: whether there is none.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Its length in bytes, if it was declared.
    #[must_use]
    pub fn declared(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Lets go of a body that nobody needs. The connection is kept if the rest of the body is here
    /// already; nobody waits for it.
    pub fn settle(mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..SETTLE_CHUNKS_MAX {
            match self.poll_chunk(&mut cx) {
                Poll::Ready(Some(Ok(_unneeded))) => {}
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => return,
            }
        }
    }

    /// Lets the next request on this connection write its head into a map that is not needed.
    pub fn recycle(&mut self, headers: HeaderMap) {
        if let Some(link) = &mut self.link {
            link.recycle(headers);
        }
    }

    /// Keeps the connection for the next request, if nothing at all is left on it.
    fn keep_link(&mut self, cx: &mut Context<'_>) {
        if let Some(mut link) = self.link.take()
            && link.is_idle(cx)
        {
            let target = &self.target;
            target.pool.keep(link, target.clock.now(), &target.standing);
        }
    }

    /// It will not come to its end, and that is the upstream's fault.
    fn fail(&mut self) {
        self.link = None;
        self.target.standing.failed(self.target.clock.now());
    }

    fn poll_driven(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        let mut polled = self.poll_body(cx);
        if polled.is_pending()
            && let Some(link) = &mut self.link
        {
            // Only what is driven brings more.
            if link.poll_over(cx).is_ready() {
                self.link = None;
            }
            polled = self.poll_body(cx);
        }
        polled
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_broken)) => {
                    self.fail();
                    return Poll::Ready(Some(Err(Refusal::UpstreamBroken)));
                }
                None => {
                    self.target.standing.came_whole();
                    self.keep_link(cx);
                    return Poll::Ready(None);
                }
            };
            if let Ok(chunk) = frame.into_data() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}

impl Source for Answer {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        let Some(link) = &self.link else {
            return self.poll_body(cx);
        };
        let bell = Arc::clone(link.bell());
        bell.drive(cx, |cx| self.poll_driven(cx))
    }

    fn give_up(&mut self) {
        self.fail();
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}
