//! Who calls whom, and may they: everything that is decided before a path is even matched.

use std::sync::Arc;

use http::header::HeaderValue;
use http::request::Parts;

use super::connection::Entry;
use super::load::Count;
use super::plan::{Found, Plan};
use super::record::Record;
use super::{Shared, caller, grammar};
use crate::clock::Clock;
use crate::config::{Mode, UpstreamAuth, Vendor};
use crate::minimise::{self, Credentials, RequestHead};
use crate::policy::Content;
use crate::refusal::{Bug, Refusal};
use crate::upstream::Target;

/// The fixed facts of one exchange.
pub(super) struct Exchange<'p> {
    pub(super) vendor: &'p Arc<Vendor>,
    /// The count of the vendor's requests under way.
    pub(super) load: &'p Count,
    /// What of the caller's credentials goes on to the upstream.
    pub(super) credentials: Option<HeaderValue>,
    found: Found<'p>,
}

/// What the two messages of a route may carry.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) request: Content,
    pub(super) answer: Content,
}

/// Checks a request up to the agreement, in the order of `docs/decisions`.
///
/// # Errors
/// The first reason not to serve it.
pub(super) fn admit<'p>(
    shared: &Shared,
    plan: &'p Plan,
    entry: &Entry,
    head: &Parts,
    record: &mut Record,
) -> Result<Exchange<'p>, Refusal> {
    let config = plan.config();
    grammar::check(head, &config.limits)?;
    let host = grammar::host(head, &entry.entrance)?;
    let found = plan.find(&host, head.uri.path())?;
    record.meter = found.meters.unknown().clone();
    let credentials = caller::check(found.flow, config, &head.headers, entry.address.ip())?;
    let vendor = &found.door.vendor;
    let today = shared.calendar.day(shared.clock.unix_s());
    if !(vendor.valid.from..=vendor.valid.until).contains(&today) {
        return Err(Refusal::AgreementNotInForce);
    }
    match vendor.mode {
        Mode::Enforce => Ok(Exchange {
            vendor,
            load: found.load,
            credentials,
            found,
        }),
        Mode::Observe => Err(Refusal::VendorObserved),
    }
}

impl Exchange<'_> {
    /// Matches method, path and query to a route, and builds the head that goes on.
    ///
    /// # Errors
    /// As [`minimise::request`].
    pub(super) fn request(&self, head: &Parts) -> Result<RequestHead, Refusal> {
        let door = self.found.door;
        let path = door.rest(head.uri.path()).ok_or(Refusal::FlowUnknown)?;
        let (law, method) = (&self.vendor.law, head.method.as_str());
        minimise::request(law, door.flow, method, path, head.uri.query())
    }

    /// What the messages of the matched route may carry.
    ///
    /// # Errors
    /// [`Refusal::Bug`] if there is no such route after all.
    pub(super) fn route(
        &self,
        request: &RequestHead,
        record: &mut Record,
    ) -> Result<Route, Refusal> {
        let flow = self.vendor.law.policy.flows.get(self.found.door.flow);
        let found = flow.and_then(|flow| Some((flow, flow.routes.get(request.route)?)));
        let (flow, route) = found.ok_or(Refusal::Bug(Bug::Policy))?;
        record.meter = self.found.meters.route(request.route).clone();
        Ok(Route {
            request: flow.request_content(route),
            answer: flow.answer_content(route),
        })
    }

    /// The flow's upstream.
    ///
    /// # Errors
    /// [`Refusal::Bug`] if its configuration cannot be used after all.
    pub(super) fn target(&self, clock: &Clock) -> Result<Arc<Target>, Refusal> {
        self.found.target(clock)
    }

    /// Whose credentials the upstream is shown.
    pub(super) const fn whose_credentials(&self) -> Credentials {
        match self.found.flow.upstream_auth {
            UpstreamAuth::Forward => Credentials::Callers,
            UpstreamAuth::Basic(_) | UpstreamAuth::Bearer(_) | UpstreamAuth::None => {
                Credentials::Ours
            }
        }
    }
}
