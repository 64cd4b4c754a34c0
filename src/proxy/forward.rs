//! A request on its way to the upstream, with the credentials that the upstream wants.

use std::sync::Arc;

use http::StatusCode;

use super::Work;
use super::fetch::{Asking, Kept, Refetch};
use super::record::Record;
use super::refuse::Refused;
use crate::body::Body;
use crate::events::UpstreamCall;
use crate::minimise::{Cleared, OutboundHead};
use crate::policy::Method;
use crate::refusal::Refusal;
use crate::upstream::{Outbound, Target, Untrusted};

/// Calls the upstream and notes what came of it. Where it wants a token that is fetched and does
/// not take the one it is shown, that one is dropped; and if the request may be sent twice, it is
/// sent again with the next one.
pub(super) async fn send(
    work: &Work<'_>,
    mut outbound: Outbound,
    record: &mut Record,
) -> Result<Untrusted, Refused> {
    let clock = &work.shared.clock;
    let target = work.exchange.target(clock)?;
    let Some(fetcher) = work.exchange.fetcher() else {
        return once(work, &target, outbound, record).await;
    };
    let asking = Asking {
        clock,
        limits: work.limits,
        events: &work.shared.events,
        meter: record.meter.clone(),
    };
    let kept = fetcher.token(&asking).await.map_err(Refused::outward)?;
    outbound.credentials = Some(shown(&kept)?);
    let again = again(&outbound);
    let untrusted = once(work, &target, outbound, record).await?;
    if untrusted.status != StatusCode::UNAUTHORIZED {
        return Ok(untrusted);
    }
    let (Refetch::Allowed, Some(head)) = (fetcher.refused(&kept, clock.now()), again) else {
        return Ok(untrusted);
    };
    untrusted.body.settle();
    let kept = fetcher.token(&asking).await.map_err(Refused::outward)?;
    let outbound = Outbound {
        head,
        body: Body::empty(),
        facts: None,
        credentials: Some(shown(&kept)?),
    };
    once(work, &target, outbound, record).await
}

/// The head once more, if the request may be sent twice: a GET without a body. What of it came home
/// or is remembered stays as it is; nothing is asked or counted anew.
fn again(outbound: &Outbound) -> Option<Cleared<OutboundHead>> {
    let is_get = outbound.head.look().method == Method::Get;
    (is_get && outbound.facts.is_none()).then(|| outbound.head.clone())
}

fn shown(kept: &Kept) -> Result<http::HeaderValue, Refusal> {
    kept.header()
}

async fn once(
    work: &Work<'_>,
    target: &Arc<Target>,
    outbound: Outbound,
    record: &mut Record,
) -> Result<Untrusted, Refused> {
    let clock = &work.shared.clock;
    let begun = clock.now();
    let answered = target.send(outbound, begun, work.limits).await;
    record.upstream = Some(UpstreamCall {
        status: answered.as_ref().ok().map(|answer| answer.status.as_u16()),
        waited: clock.now().saturating_duration_since(begun),
    });
    answered.map_err(Refused::outward)
}
