//! What a caller gets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VIA, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::ext::ReasonPhrase;

use super::admit::{Exchange, Matched};
use super::media::{self, only};
use super::record::Record;
use super::refuse::{BEARER, Refused};
use super::streams::Progress;
use super::{Work, lines};
use crate::body::{Body, Facts, Passage, Terms, Wait, discard};
use crate::limits::Bound;
use crate::minimise::{AnswerHead, Cleared, Rewriter, answer_status};
use crate::policy::{Content, Rule};
use crate::refusal::{JsonFault, Refusal};
use crate::upstream::{self, Untrusted};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// RFC 9111 section 5.2.2.5: what is about pupils is kept nowhere on the way.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// RFC 6749 section 5.1 asks for it beside `no-store`, for caches of HTTP/1.0.
pub(super) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// RFC 9110 section 7.6.3, with a name that tells nothing of the machine.
pub(super) const OUR_VIA: HeaderValue = HeaderValue::from_static("1.1 sluis");

/// The body of an answer, cleared, with the record of its exchange: when this is dropped, the
/// exchange is over.
#[must_use]
pub(super) struct Answer {
    body: Body<upstream::Answer>,
    record: Record,
    /// Where somebody looks whether it gets on.
    progress: Option<Arc<Progress>>,
    /// What of a piece of the body waits to be taken.
    rest: Cleared<Bytes>,
}

/// Behind a status that no standard names: the HTTP library would write `<none>`.
const UNASSIGNED: ReasonPhrase = ReasonPhrase::from_static(b"Unassigned");

/// The most that is handed over at once where somebody looks: the HTTP/2 library takes a piece
/// whole as soon as one byte of it may be sent, and nobody sees then whether the rest is read.
const PIECE_BYTES_MAX: usize = 16 << 10;

impl Answer {
    /// Puts the two together.
    pub(super) fn new(
        answer: Response<Body<upstream::Answer>>,
        mut record: Record,
        progress: Option<Arc<Progress>>,
    ) -> Response<Self> {
        record.status = Some(answer.status().as_u16());
        let mut answer = answer.map(|body| Self {
            body,
            record,
            progress,
            rest: Cleared::default(),
        });
        if answer.status().canonical_reason().is_none() {
            answer.extensions_mut().insert(UNASSIGNED);
        }
        answer.body().step();
        answer
    }

    fn step(&self) {
        if let Some(progress) = &self.progress {
            progress.step();
        }
    }
}

impl http_body::Body for Answer {
    type Data = Cleared<Bytes>;
    type Error = Refusal;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Refusal>>> {
        let this = self.get_mut();
        // Asked for more: what there was has been taken. How long more may take is not the
        // caller's fault.
        this.step();
        if this.progress.is_none() {
            return Pin::new(&mut this.body).poll_frame(cx);
        }
        if this.rest.look().is_empty() {
            let polled = ready!(Pin::new(&mut this.body).poll_frame(cx));
            match polled.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                // A body of ours has no trailers.
                Some(Ok(Err(_))) | None => return Poll::Ready(None),
                Some(Err(refusal)) => return Poll::Ready(Some(Err(refusal))),
            }
        }
        let piece = this.rest.split(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.look().is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.look().len()).unwrap_or(u64::MAX);
        self.body.length().map_or_else(SizeHint::default, |length| {
            SizeHint::with_exact(length.saturating_add(rest))
        })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if http_body::Body::is_end_stream(self) {
            self.record.finish();
        }
    }
}

/// What is left to do with an answer whose head is as it should be.
#[derive(Debug)]
pub(super) struct Checked {
    status: StatusCode,
    /// Whether it is the head of an answer with a body, and no body comes: of an answer to HEAD.
    bare: bool,
    retry_after_s: Option<u64>,
    rest: Rest,
}

impl Checked {
    /// The head, with the lines that were cleared, and what is to be taken.
    pub(super) fn passed(self, head: Cleared<AnswerHead>) -> (Passed, Rest) {
        let passed = Passed {
            status: self.status,
            bare: self.bare,
            retry_after_s: self.retry_after_s,
            head,
        };
        (passed, self.rest)
    }
}

/// The head of an answer that goes on.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) status: StatusCode,
    /// As in [`Checked`].
    pub(super) bare: bool,
    /// Seconds to wait, where an upstream's error asks for that.
    pub(super) retry_after_s: Option<u64>,
    pub(super) head: Cleared<AnswerHead>,
}

impl Passed {
    /// What a caller is told instead, if nothing has gone on yet.
    pub(super) fn instead_of(&self, refused: Refused) -> Refused {
        instead_of(refused, self.status, self.retry_after_s)
    }
}

/// An error whose body cannot pass is told as one of which nothing is declared: its status matters
/// more to the caller than what was wrong with its text. What is our own fault stays so.
fn instead_of(refused: Refused, status: StatusCode, retry_after_s: Option<u64>) -> Refused {
    if status.is_success() || !refused.is_of_upstream() {
        return refused;
    }
    let status = status.as_u16();
    Refused {
        retry_after_s,
        ..Refused::outward(Refusal::UpstreamError { status })
    }
}

/// The body of an upstream's answer.
#[derive(Debug)]
pub(super) enum Rest {
    /// Only the status goes on.
    Discard(upstream::Answer),
    /// It goes on as far as the rule lets it.
    Rewrite(upstream::Answer, Rule),
}

/// Checks the head of an upstream's answer against what the route lets back.
///
/// An upstream may answer with no body at all where JSON is declared (204, or a length of 0 to
/// whoever writes): then only its status goes on; but a 200 to a GET without a body is half an
/// answer, and an error without the body that is declared is told as one of which nothing is. The
/// answer to HEAD has none, whatever it says of it.
pub(super) fn check(
    exchange: &Exchange<'_>,
    route: &Matched<'_>,
    method: &Method,
    answer: Untrusted,
) -> Result<Checked, Refused> {
    let Untrusted {
        status,
        headers,
        mut body,
    } = answer;
    let retry_after_s = retry_after(status, &headers);
    let credentials = exchange.whose_credentials();
    let (passed, content) = match answer_status(status.as_u16(), credentials, route.answer(status))
    {
        Ok(passed) => passed,
        Err(refusal) => {
            body.settle();
            return Err(Refused {
                retry_after_s,
                ..Refused::outward(refusal)
            });
        }
    };
    let passed = StatusCode::from_u16(passed.release()).unwrap_or(StatusCode::BAD_GATEWAY);
    let bare = method == Method::HEAD && headers.contains_key(CONTENT_TYPE);
    let bytes_max = exchange.vendor.body_bytes_max;
    let good = match content {
        Content::Nothing => Ok(()),
        Content::Json(_) if body.has_ended() && !bare => match status.is_success() {
            true if method == Method::GET && !may_be_empty(status) => Err(NOTHING_CAME),
            true => Ok(()),
            false => Err(Refusal::BodyMissing),
        },
        Content::Json(_) => media::check(&headers).and_then(|()| match body.declared() {
            Some(length) if length > bytes_max => Err(Refusal::BodyTooLarge),
            Some(_) | None => Ok(()),
        }),
    };
    if let Err(refusal) = good {
        if !status.is_success() {
            body.settle();
        }
        return Err(instead_of(Refused::outward(refusal), passed, retry_after_s));
    }
    body.recycle(headers);
    let (bare, rest) = match content {
        Content::Json(_) if body.has_ended() => (bare, Rest::Discard(body)),
        Content::Json(rule) => (bare, Rest::Rewrite(body, rule)),
        Content::Nothing => (false, Rest::Discard(body)),
    };
    Ok(Checked {
        status: passed,
        bare,
        retry_after_s,
        rest,
    })
}

/// A text of JSON that ends before it begins.
const NOTHING_CAME: Refusal = Refusal::BodyMalformed {
    fault: JsonFault::Cut,
    at: 0,
};

/// Whether an answer for which a body is declared need not say what was asked for (RFC 9110 section
/// 15.3). With any other status, one without a body would tell a client that nobody is there.
fn may_be_empty(status: StatusCode) -> bool {
    [StatusCode::CREATED, StatusCode::ACCEPTED].contains(&status)
}

/// Reads the body of an answer, as far as it is held back.
pub(super) async fn take(
    work: &Work<'_>,
    rest: Rest,
    record: &mut Record,
) -> Result<Body<upstream::Answer>, Refused> {
    let (limits, clock) = (work.limits, &work.shared.clock);
    let idle = limits.time(Bound::UpstreamBodyIdle);
    let wait = Wait::new(clock, idle, Refusal::UPSTREAM_SILENT);
    let wait = wait.within(limits.time(Bound::UpstreamBodyTotal));
    let hold_back = limits.of(Bound::HoldBack);
    match rest {
        Rest::Discard(mut body) => match discard(&mut body, hold_back, wait).await {
            // Longer than anyone waits for what is not needed: its connection goes.
            Ok(()) | Err(Refusal::BodyTooLarge) => Ok(Body::empty()),
            Err(refusal) => Err(Refused::outward(refusal)),
        },
        Rest::Rewrite(body, rule) => {
            let facts = Arc::<Facts>::default();
            record.answer = Some(Arc::clone(&facts));
            let vendor = work.exchange.vendor;
            let held = work.hold(body.declared()).map_err(Refused::outward)?;
            let bytes_max = vendor.body_bytes_max;
            let terms = Terms {
                bytes_max,
                hold_back,
                wait,
                facts,
                held,
                register: work.exchange.register(),
            };
            let rewriter = Rewriter::new(work.exchange.back(), rule);
            Passage::new(body, rewriter, terms)
                .prime()
                .await
                .map_err(Refused::outward)
        }
    }
}

/// The whole answer, its head written into a map that is not needed any more.
pub(super) fn build(
    passed: Passed,
    body: Body<upstream::Answer>,
    mut headers: HeaderMap,
) -> Response<Body<upstream::Answer>> {
    let Passed {
        status,
        bare,
        retry_after_s,
        head,
    } = passed;
    headers.clear();
    if bare || body.length() != Some(0) {
        headers.insert(CONTENT_TYPE, JSON);
    }
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(VIA, OUR_VIA);
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, BEARER);
    }
    if let Some(seconds) = retry_after_s {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    lines::write(head, &mut headers);
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// Whole seconds to wait, if the upstream asks for that with 429 or 503 (RFC 9110 section 10.2.3).
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let asks = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status);
    let text =
        only(headers, RETRY_AFTER).filter(|text| asks && text.len() <= SECONDS_DIGITS_MAX)?;
    text.iter().all(u8::is_ascii_digit).then_some(())?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A wait of more digits than this, in seconds, is no wait but a way to send something.
const SECONDS_DIGITS_MAX: usize = 6;
