//! Whether a request is sent once more. Never twice more, and never one that might be carried out
//! twice by it.

use std::time::{Duration, Instant};

use http::Method;

use super::standing::Standing;
use crate::refusal::Refusal;

/// One request on its way: what is left to send it once more with, if that may be done.
#[derive(Debug)]
pub(super) struct Call<R> {
    spare: Option<R>,
    repeats: Repeats,
    /// Nothing is used twice any more.
    again: bool,
}

/// What it comes to when a request is carried out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// No more than when it is carried out once.
    Harmless,
    /// Perhaps to more: it is sent once more only if it has surely not been carried out.
    Harmful,
}

/// What came before a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not a byte.
    Nothing,
    /// Word that it has not been begun with (RFC 9113 section 8.7).
    Refused,
    /// At least one byte, and not a whole head.
    Something,
}

impl<R> Call<R> {
    /// A request that can be sent once more if there is a `spare` of it.
    pub(super) const fn new(spare: Option<R>, repeats: Repeats) -> Self {
        Self {
            spare,
            repeats,
            again: false,
        }
    }

    /// Whether it may go on a connection that was kept.
    pub(super) const fn may_use_kept(&self) -> bool {
        !self.again
    }

    /// It failed on a connection that had been `idle` for so long, or on a new one: what to send
    /// it once more with, on a new connection, if that is to be done.
    pub(super) fn failed(
        &mut self,
        why: (Refusal, Heard),
        idle: Option<Duration>,
        now: Instant,
        standing: &Standing,
    ) -> Option<R> {
        match (why, idle) {
            // It is well, and has had enough of this connection.
            ((_, Heard::Refused), _) => {}
            // The upstream may have closed it for its age, and be as well as ever.
            ((Refusal::UpstreamBroken, Heard::Nothing), Some(idle)) => standing.stale(idle, now),
            ((refusal, _), _) if is_of_upstream(refusal) => standing.failed(now),
            // What was found in the body on its way.
            ((_, _), _) => {}
        }
        let spare = self.spare.take();
        let spare = spare.filter(|_| match why {
            (Refusal::UpstreamBroken, Heard::Nothing) => self.repeats == Repeats::Harmless,
            (Refusal::UpstreamBroken, Heard::Refused) => true,
            (_, Heard::Nothing | Heard::Refused | Heard::Something) => false,
        });
        if spare.is_some() {
            self.again = true;
            standing.count_retry();
        }
        spare
    }
}

/// Whether a request does no more when it is carried out twice (RFC 9110 section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    let methods = [
        Method::DELETE,
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PUT,
    ];
    methods.contains(method)
}

/// Whether it is the upstream that is at fault.
fn is_of_upstream(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::UpstreamBroken
            | Refusal::UpstreamTimeout { .. }
            | Refusal::UpstreamUnreachable { .. }
    )
}
