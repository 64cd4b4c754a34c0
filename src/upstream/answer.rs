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
use super::way::Way;
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
    pub(super) fn new(answer: Response<Incoming>, way: Option<Way>, target: Arc<Target>) -> Self {
        let (head, body) = answer.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body: Answer { body, way, target },
        }
    }
}

/// The body of an upstream's answer, with the connection that it comes on.
pub struct Answer {
    body: Incoming,
    way: Option<Way>,
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
        if let Some(Way::Own(link)) = &mut self.way {
            link.recycle(headers);
        }
    }

    /// Keeps the connection for the next request, if nothing at all is left on it.
    fn keep_way(&mut self, cx: &mut Context<'_>) {
        let (way, target) = (self.way.take(), &self.target);
        if let Some(Way::Shared(shared)) = &way {
            target.crowd.used(shared, target.clock.now());
        }
        if let Some(Way::Own(mut link)) = way
            && link.is_idle(cx)
        {
            target.pool.keep(link, target.clock.now(), &target.standing);
        }
    }

    /// Whether it ended without saying so. hyper takes a stream that was reset with `NO_ERROR` for
    /// one that has ended; it has only if a frame said so (RFC 9113 section 8.1).
    fn is_cut(&self) -> bool {
        matches!(self.way, Some(Way::Shared(_))) && !self.body.is_end_stream()
    }

    /// It will not come to its end, and that is the upstream's fault.
    fn fail(&mut self) {
        if let Some(Way::Shared(shared)) = self.way.take() {
            self.target.crowd.retire(&shared);
        }
        self.target.standing.failed(self.target.clock.now());
    }

    fn poll_driven(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        let mut polled = self.poll_body(cx);
        if polled.is_pending()
            && let Some(Way::Own(link)) = &mut self.way
        {
            // Only what is driven brings more.
            if link.poll_over(cx).is_ready() {
                self.way = None;
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
                None if self.is_cut() => {
                    self.fail();
                    return Poll::Ready(Some(Err(Refusal::UpstreamBroken)));
                }
                None => {
                    self.target.standing.came_whole();
                    self.keep_way(cx);
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
        let Some(Way::Own(link)) = &self.way else {
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
