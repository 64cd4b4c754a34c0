//! The body of a request.

use std::sync::Arc;

use http::request::Parts;

use super::admit::Exchange;
use super::record::Record;
use super::{Work, media};
use crate::body::{Body, Caller, Facts, Held, Passage, Terms, Wait, discard};
use crate::limits::Bound;
use crate::minimise::Rewriter;
use crate::policy::Content;
use crate::refusal::Refusal;

/// Checks what a body says of itself, before anything of it is read.
///
/// # Errors
/// [`Refusal::ContentTypeUnsupported`], [`Refusal::ContentCodingUnsupported`],
/// [`Refusal::BodyTooLarge`], [`Refusal::BodyMissing`].
pub(super) fn check(
    exchange: &Exchange<'_>,
    content: Content,
    head: &Parts,
    body: &Caller,
) -> Result<(), Refusal> {
    match content {
        Content::Nothing => Ok(()),
        Content::Json(_) if body.has_ended() => Err(Refusal::BodyMissing),
        Content::Json(_) => {
            media::check(&head.headers)?;
            let length = body.declared().unwrap_or(0);
            match length > exchange.vendor.body_bytes_max {
                true => Err(Refusal::BodyTooLarge),
                false => Ok(()),
            }
        }
    }
}

/// Reads the body as far as it is held back.
///
/// # Errors
/// What was found in it; [`Refusal::BodyTimeout`] if it came too slowly.
pub(super) async fn take(
    work: &Work<'_>,
    content: Content,
    mut body: Caller,
    record: &mut Record,
) -> Result<Body<Caller>, Refusal> {
    let limits = work.limits;
    let wait = || {
        let idle = limits.time(Bound::BodyIdle);
        let wait = Wait::new(&work.shared.clock, idle, Refusal::BodyTimeout);
        wait.within(limits.time(Bound::BodyTotal))
    };
    match content {
        Content::Nothing if body.has_ended() => Ok(Body::empty()),
        // HTTP/2 may say only afterwards that nothing comes.
        Content::Nothing => match discard(&mut body, 0, wait()).await {
            Err(Refusal::BodyTooLarge) => Err(Refusal::BodyUnexpected),
            done => done.map(|()| Body::empty()),
        },
        Content::Json(rule) => {
            let facts = Arc::<Facts>::default();
            record.request = Some(Arc::clone(&facts));
            let vendor = work.exchange.vendor;
            let held = work.hold(body.declared())?;
            let hold_back = limits.of(Bound::HoldBack);
            let bytes_max = vendor.body_bytes_max;
            let terms = Terms {
                bytes_max,
                hold_back,
                wait: wait(),
                facts,
                held,
                register: work.exchange.register(),
            };
            let rewriter = Rewriter::new(work.exchange.onward(), rule);
            Passage::new(body, rewriter, terms).prime().await
        }
    }
}

impl Work<'_> {
    /// A part of the memory for all bodies: what is held back of this one at most.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] if so much is not left.
    pub(super) fn hold(&self, declared: Option<u64>) -> Result<Held, Refusal> {
        let window = self.limits.of(Bound::HoldBack);
        let bytes = declared.map_or(window, |length| length.min(window));
        let most = self.limits.of(Bound::BodyBytesInFlight);
        self.shared
            .bodies
            .take(bytes, most)
            .ok_or(Refusal::Overloaded)
    }
}
