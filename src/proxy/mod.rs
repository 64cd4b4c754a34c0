//! One request, from admitted to answered.
//!
//! ```text
//! connection ─▶ handle ─▶ admit ─▶ minimise::request ─▶ upstream::send ─▶ answer ─▶ (end) record
//!                    └─▶ issue: a token for a caller          └─ fetch: a token for the upstream
//! ```
//!
//! Start reading at `Gateway::handle`.

mod admit;
mod answer;
mod begin;
mod caller;
mod connection;
mod document;
mod fetch;
mod form;
mod forward;
mod grammar;
mod incoming;
mod inward;
mod issue;
mod lines;
mod lingering;
mod load;
mod media;
mod pace;
mod plan;
mod rate;
mod record;
mod refuse;
mod streams;
#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    reason = "a test fails by panicking, and its numbers are small"
)]
mod tests;
mod unseen;

pub use grammar::{Entrance, check_head, host_of};
pub use refuse::{Side, status, table};

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderMap, Request, Response, Version};
use hyper::body::Incoming;

use crate::body::{Body, Budget, Caller};
use crate::clock::{Calendar, Clock};
use crate::config::{Config, Deployed};
use crate::events::{Events, LoadSeen, Outcome};
use crate::limits::Limits;
use crate::minimise::Cleared;
use crate::policy::Method;
use crate::refusal::Refusal;
use crate::store::Store;
use crate::upstream::{self, Outbound};
use admit::{Exchange, admit, arrive};
use answer::{Answer, Passed};
use connection::Entry;
use lines::Lines;
use load::Load;
use plan::{Newest, Plan, Served};
use record::Record;
use refuse::{Refused, Then};
use streams::Progress;

/// How often upstream connections are looked after.
const TEND: Duration = Duration::from_secs(1);
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// RFC 6797: this host, and no other, is called over TLS only.
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What the gateways of all threads share.
pub struct Shared {
    deployed: Arc<Deployed>,
    clock: Clock,
    calendar: Calendar,
    events: Events,
    load: Load,
    bodies: Arc<Budget>,
    newest: Newest,
    register: OnceLock<Arc<Store>>,
    leaving: AtomicBool,
}

impl Shared {
    /// Serves what is deployed, from each request on that comes after it was deployed.
    #[must_use]
    pub fn new(deployed: Arc<Deployed>, clock: Clock, events: Events) -> Arc<Self> {
        Arc::new(Self {
            deployed,
            clock,
            calendar: Calendar::default(),
            events,
            load: Load::default(),
            bodies: Arc::default(),
            newest: Newest::default(),
            register: OnceLock::new(),
            leaving: AtomicBool::new(false),
        })
    }

    /// Has a register remember what has a way back, from the next configuration on that is
    /// [prepared](Self::prepare). The first one stays.
    pub fn remember_in(&self, register: Arc<Store>) {
        // A second one is not taken, which the caller sees by asking.
        self.register.set(register).unwrap_or_default();
    }

    /// From now on every answer closes its connection, where that is said in its head: callers that
    /// come again go elsewhere. HTTP/2 has GOAWAY for it, when the connection is drained.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// What the head of every answer ends with.
    fn end_head(&self, entry: &Entry, version: Version, answer: &mut HeaderMap) {
        if entry.entrance.secure {
            answer.insert(STRICT_TRANSPORT_SECURITY, A_YEAR);
        }
        if self.leaving.load(Ordering::Relaxed) && version == Version::HTTP_11 {
            answer.insert(CONNECTION, CLOSE);
        }
    }

    /// The register, if there is one.
    #[must_use]
    pub fn register(&self) -> Option<&Arc<Store>> {
        self.register.get()
    }

    /// Makes of a configuration what requests need, before it is put in force: then none of them
    /// has to wait for it.
    pub fn prepare(&self, config: &Arc<Config>) {
        self.newest.prepare(config, self);
    }

    /// The configuration that is deployed is in force: what was made of the one before is not
    /// needed any more.
    pub fn settle(&self) {
        self.newest.keep(&self.deployed.current());
    }

    /// How much is under way, and which upstreams are left alone.
    #[must_use]
    pub fn load(&self) -> LoadSeen {
        LoadSeen {
            body_bytes: self.bodies.taken(),
            circuits: self.served(self.deployed.current()).circuits(&self.clock),
        }
    }

    fn served(&self, config: Arc<Config>) -> Arc<Served> {
        self.newest.of(config, self)
    }
}

/// The gateway as one thread runs it, with its own connections to upstreams.
pub struct Gateway {
    shared: Arc<Shared>,
    plan: Mutex<Arc<Plan>>,
}

impl Gateway {
    /// A gateway for one thread.
    #[must_use]
    pub fn new(shared: &Arc<Shared>) -> Arc<Self> {
        let served = shared.served(shared.deployed.current());
        let plan = Mutex::new(Arc::new(Plan::new(served)));
        Arc::new(Self {
            shared: Arc::clone(shared),
            plan,
        })
    }

    /// Closes upstream connections that nobody needs any more, now and then, for ever.
    pub async fn tend(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TEND).await;
            let plan = self.snapshot();
            for target in plan.targets() {
                target.tend();
            }
        }
    }

    /// Serves one request, whatever comes of it.
    ///
    /// # Errors
    /// [`Aborted`] if a fault came up after something had gone on: no answer may look whole then.
    async fn serve(
        self: Arc<Self>,
        entry: Arc<Entry>,
        request: Request<Incoming>,
        progress: Option<Arc<Progress>>,
    ) -> Result<Response<Answer>, Aborted> {
        let plan = self.snapshot();
        let (shared, unknown) = (&self.shared, plan.meters().unknown().clone());
        let mut record = Record::begin(unknown, &shared.clock, &shared.events, &entry.exchanges);
        let (head, body) = request.into_parts();
        record.method = Method::parse(head.method.as_str());
        let version = head.version;
        let body = Caller::new(body, version);
        let bodiless = body.has_ended();
        let handled = self.handle(&plan, &entry, (&head, body), &mut record).await;
        // Asked first: an upstream may have answered a request that broke off on its way there.
        if let Some(fault) = record.fault_under_way() {
            record.end(Outcome::Aborted(fault));
            return Err(Aborted(fault));
        }
        let refused = match handled {
            Ok(handled) => {
                let mut answer = handled.answer(head.headers);
                shared.end_head(&entry, version, answer.headers_mut());
                return Ok(Answer::new(answer, record, progress));
            }
            Err(refused) => refused,
        };
        record.end(Outcome::Refused(refused.refusal));
        record.reference = refused.reference();
        let unread = !bodiless && !record.has_read_request();
        let last = unread || entry.guarded(&head).is_some();
        let then = if last { entry.cut_short() } else { Then::GoOn };
        let mut answer = refused.answer(then, record.reference).map(Body::Whole);
        shared.end_head(&entry, version, answer.headers_mut());
        Ok(Answer::new(answer, record, progress))
    }

    /// The way of one request: the five hops of the house, each taken once.
    async fn handle(
        &self,
        plan: &Plan,
        entry: &Entry,
        (head, body): (&Parts, Caller),
        record: &mut Record,
    ) -> Result<Handled, Refused> {
        let shared = &*self.shared;
        let limits = &plan.config().limits;

        let found = arrive(plan, entry, head, record)?;
        if found.issues_tokens(head.uri.path()) {
            let desk = issue::Desk::new(shared, plan.config(), &found);
            let issued = desk.serve(entry, (head, body), record).await;
            return issued.map(Handled::Issued);
        }
        let mut exchange = admit(shared, plan, entry, found, head)?;
        let place = shared
            .load
            .enter(exchange.load, limits)
            .ok_or(Refusal::Overloaded)?;
        record.under_way = Some((place, record.meter.begin()));
        let mut request = exchange.request(head, record).await?;
        exchange.asks(&request);
        let route = exchange.route(&request)?;

        inward::check(&exchange, route.request(), head, &body)?;
        exchange.remember(&mut request).await?;
        let work = Work {
            shared,
            limits,
            exchange: &exchange,
        };
        let body = inward::take(&work, route.request(), body, record).await?;

        let outbound = Outbound {
            head: request.outbound,
            body,
            facts: record.request.clone(),
            credentials: exchange.credentials.clone(),
        };
        let untrusted = forward::send(&work, outbound, record).await?;

        let lines = Lines::of(&untrusted);
        let content = route.answer(untrusted.status);
        let checked = answer::check(&exchange, &route, &head.method, untrusted)?;
        let cleared = { lines }.cleared(&exchange, (&head.method, content), record);
        let cleared = cleared.await;
        let cleared = cleared.map_err(Refused::outward)?;
        let (passed, rest) = checked.passed(cleared);
        let taken = answer::take(&work, rest, record).await;
        let body = taken.map_err(|refused| passed.instead_of(refused))?;
        Ok(Handled::Passed(passed, body))
    }

    /// The plan of the configuration that is deployed now. It does not change under a request.
    fn snapshot(&self) -> Arc<Plan> {
        let deployed = self.shared.deployed.current();
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(plan.config(), &deployed) {
            let served = self.shared.served(deployed);
            *plan = Arc::new(Plan::new(served));
        }
        Arc::clone(&plan)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gateway")
    }
}

/// What came of a request that was not refused.
enum Handled {
    /// A token of ours.
    Issued(Cleared<Bytes>),
    /// What the upstream answered, as far as it may go on.
    Passed(Passed, Body<upstream::Answer>),
}

impl Handled {
    /// The whole answer, its head written into a map that is not needed any more.
    fn answer(self, spare: HeaderMap) -> Response<Body<upstream::Answer>> {
        match self {
            Self::Issued(token) => issue::answer(token, spare),
            Self::Passed(passed, body) => answer::build(passed, body, spare),
        }
    }
}

/// What both directions of one exchange work with.
struct Work<'w> {
    shared: &'w Shared,
    limits: &'w Limits,
    exchange: &'w Exchange<'w>,
}

/// An exchange that was broken off. hyper closes the connection, or resets the stream.
#[derive(Debug)]
pub(crate) struct Aborted(Refusal);

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken off: {}", self.0)
    }
}

impl std::error::Error for Aborted {}
