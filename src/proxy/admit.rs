//! Who calls whom, and may they: everything that is decided before a path is even matched.

use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderValue;
use http::request::Parts;

use super::caller::Place;
use super::connection::Entry;
use super::fetch::Fetcher;
use super::load::Count;
use super::plan::{Found, Plan};
use super::rate::Wanted;
use super::record::Record;
use super::refuse::Refused;
use super::{Shared, caller, grammar};
use crate::body::Desk;
use crate::clock::Clock;
use crate::config::{Mode, UpstreamAuth, Vendor};
use crate::minimise::{
    self, Counts, Credentials, Crossing, Home, Objections, RequestHead, RequestLine,
};
use crate::policy::{self, Content, Side};
use crate::pseudonym::Asked;
use crate::refusal::{Bug, Refusal};
use crate::upstream::Target;

/// The fixed facts of one exchange.
pub(super) struct Exchange<'p> {
    pub(super) vendor: &'p Arc<Vendor>,
    /// The count of the vendor's requests under way.
    pub(super) load: &'p Count,
    /// What of the caller's credentials goes on to the upstream.
    pub(super) credentials: Option<HeaderValue>,
    /// What the upstream is asked, once that is known.
    asked: Option<Arc<str>>,
    /// By which method, once that is known.
    method: Option<policy::Method>,
    /// What is brought home in it, if anything can be.
    home: Option<Arc<Home>>,
    /// Who objected, as it is known when it begins.
    objections: Arc<Objections>,
    found: Found<'p>,
}

/// The route of a request.
#[derive(Clone, Copy)]
pub(super) struct Matched<'e> {
    policy: &'e policy::Policy,
    flow: &'e policy::Flow,
    route: &'e policy::Route,
}

impl Matched<'_> {
    /// What its request may carry.
    pub(super) const fn request(&self) -> Content {
        self.flow.request_content(self.route)
    }

    /// What an answer with that status may carry, if that is declared.
    pub(super) fn answer(&self, status: StatusCode) -> Option<Content> {
        let (flow, route) = (self.flow, self.route);
        self.policy.answer_content(flow, route, status.as_u16())
    }
}

/// Finds out who is called, before anybody asks who is calling.
///
/// # Errors
/// The first reason not to serve it.
pub(super) fn arrive<'p>(
    plan: &'p Plan,
    entry: &Entry,
    head: &Parts,
    record: &mut Record,
) -> Result<Found<'p>, Refusal> {
    let config = plan.config();
    entry.check(head, &config.limits)?;
    let host = grammar::host_of(head, &entry.entrance)?;
    let found = plan.find(&host, head.uri.path())?;
    record.meter = found.meters.unknown().clone();
    Ok(found)
}

/// Checks who is calling, then the agreement, the lists of objections and the caller's rate: who
/// may not come learns nothing of the others.
///
/// # Errors
/// The first reason not to serve it.
pub(super) fn admit<'p>(
    shared: &Shared,
    plan: &'p Plan,
    entry: &Entry,
    found: Found<'p>,
    head: &Parts,
) -> Result<Exchange<'p>, Refused> {
    let now = shared.clock.time();
    let caller = caller::check(&found, plan.config(), &head.headers, entry, now.unix_s)?;
    let credentials = caller::forwarded(found.flow, &head.headers)?;
    found.check_agreement(shared, now.unix_s)?;
    let objections = found.door.vendor.lists.current(now);
    let objections = objections.ok_or(Refusal::ObjectionsUnknown)?;
    found.take(Wanted::Request, caller, &shared.clock)?;
    Ok(Exchange {
        vendor: &found.door.vendor,
        load: found.load,
        credentials,
        asked: None,
        method: None,
        home: found.register.map(|_| Arc::default()),
        objections,
        found,
    })
}

impl Found<'_> {
    /// Whether the agreement is in force today, and the vendor served.
    ///
    /// # Errors
    /// [`Refusal::AgreementNotInForce`], [`Refusal::VendorObserved`].
    pub(super) fn check_agreement(&self, shared: &Shared, unix_s: u64) -> Result<(), Refusal> {
        let vendor = &self.door.vendor;
        let today = shared.calendar.day(unix_s);
        if !(vendor.valid.from..=vendor.valid.until).contains(&today) {
            return Err(Refusal::AgreementNotInForce);
        }
        if self.register.is_none() && vendor.has_way_back() {
            return Err(Refusal::RegisterUnavailable);
        }
        match vendor.mode {
            Mode::Enforce => Ok(()),
            Mode::Observe => Err(Refusal::VendorObserved),
        }
    }

    /// Counts what a caller asks for against its rate.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`], with how long to wait.
    pub(super) fn take(&self, wanted: Wanted, caller: Place, clock: &Clock) -> Result<(), Refused> {
        let rates = self.rates.iter();
        let taken = { rates }.try_for_each(|rates| rates.take(wanted, caller, clock.now()));
        taken.map_err(|seconds| Refused {
            retry_after_s: Some(seconds),
            ..Refusal::RateLimited.into()
        })
    }
}

impl Exchange<'_> {
    /// Matches method and path to a route, which is noted, and builds the head that goes on, once
    /// what it leaves behind is [remembered](Self::remember).
    ///
    /// # Errors
    /// As [`minimise::find`] and [`minimise::request`]; and if the register does not do its part.
    pub(super) async fn request(
        &self,
        head: &Parts,
        record: &mut Record,
    ) -> Result<RequestHead, Refused> {
        let door = self.found.door;
        let path = door.rest(head.uri.path()).ok_or(Refusal::FlowUnknown)?;
        let line = RequestLine {
            method: head.method.as_str(),
            path,
            query: head.uri.query(),
        };
        let found = minimise::find(&self.vendor.law.policy, door.flow, line)?;
        record.meter = self.found.meters.route(found.route).clone();
        let onward = self.onward();
        let mut ask = |asked| {
            record.target = Counts::default();
            minimise::request(&onward, door.flow, &found, asked, &mut record.target)
        };
        let Some(register) = self.found.register else {
            return Ok(ask(Asked::Again)?);
        };
        let mut request = ask(Asked::First);
        if let Err(Refusal::TargetUnknown) = request {
            register.catch_up().await?;
            request = ask(Asked::Again);
        }
        Ok(request?)
    }

    /// Waits until the identifiers in path and query are on disk.
    ///
    /// # Errors
    /// If the register does not do its part.
    pub(super) async fn remember(&self, request: &mut RequestHead) -> Result<(), Refusal> {
        match self.found.register {
            Some(register) => {
                let batch = std::mem::take(&mut request.trail.batch);
                register.settle(batch).await
            }
            None => Ok(()),
        }
    }

    /// The register as the vendor sees it.
    pub(super) fn register(&self) -> Option<Desk> {
        self.found.register.cloned()
    }

    /// The way of the request.
    pub(super) fn onward(&self) -> Crossing {
        self.crossing(self.caller().other())
    }

    /// The way of the answer.
    pub(super) fn back(&self) -> Crossing {
        let back = self.crossing(self.caller());
        let back = back.in_answer_to(self.asked.clone());
        match self.method {
            Some(method) => back.asked_by(method),
            None => back,
        }
    }

    /// Keeps what is asked: links in the answer may be relative to it.
    pub(super) fn asks(&mut self, request: &RequestHead) {
        let asked = request.outbound.look();
        self.asked = Some(asked.target.as_str().into());
        self.method = Some(asked.method);
    }

    fn crossing(&self, to: Side) -> Crossing {
        let register = self.found.register.map(Desk::register);
        let crossing = Crossing::towards(to, Arc::clone(&self.vendor.law), register);
        let crossing = crossing.in_flow(self.flow()).with_home(self.home.clone());
        crossing.with_objections(Arc::clone(&self.objections))
    }

    /// The place of its flow.
    pub(super) const fn flow(&self) -> usize {
        self.found.door.flow
    }

    fn caller(&self) -> Side {
        let flow = self.vendor.law.policy.flows.get(self.found.door.flow);
        flow.map_or(Side::Vendor, |flow| flow.caller)
    }

    /// The route that was matched.
    ///
    /// # Errors
    /// [`Refusal::Bug`] if there is no such route after all.
    pub(super) fn route(&self, request: &RequestHead) -> Result<Matched<'_>, Refusal> {
        let policy = &self.vendor.law.policy;
        let flow = policy.flows.get(self.found.door.flow);
        let found = flow.and_then(|flow| Some((flow, flow.routes.get(request.route)?)));
        let (flow, route) = found.ok_or(Refusal::Bug(Bug::Policy))?;
        Ok(Matched {
            policy,
            flow,
            route,
        })
    }

    /// The flow's upstream.
    ///
    /// # Errors
    /// [`Refusal::Bug`] if its configuration cannot be used after all.
    pub(super) fn target(&self, clock: &Clock) -> Result<Arc<Target>, Refusal> {
        self.found.target(clock)
    }

    /// What fetches tokens for the flow's upstream, if it wants some.
    pub(super) const fn fetcher(&self) -> Option<&Arc<Fetcher>> {
        self.found.fetcher
    }

    /// Whose credentials the upstream is shown.
    pub(super) const fn whose_credentials(&self) -> Credentials {
        match self.found.flow.upstream_auth {
            UpstreamAuth::Forward => Credentials::Callers,
            UpstreamAuth::Basic(_)
            | UpstreamAuth::Bearer(_)
            | UpstreamAuth::None
            | UpstreamAuth::Oauth2(_) => Credentials::Ours,
        }
    }
}
