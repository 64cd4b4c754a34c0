//! The way to upstreams. Takes what is cleared and nothing else; what comes back is untrusted.
//!
//! Every thread has its own connections. A connection is driven by the exchange that uses it: it
//! is polled where its answer is awaited, so that letting go of an exchange closes its connection,
//! and no task stands between a caller and its upstream.

mod address;
mod answer;
mod bell;
mod connect;
mod guarded;
mod link;
mod pool;
mod token;

pub use answer::{Answer, Untrusted};
pub use token::{Granted, TokenServer};

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue,
    USER_AGENT, VIA,
};
use http::{HeaderMap, Method, Request, Uri};

use crate::alarm::{Alarm, after};
use crate::body::{Body, Caller, Facts, State};
use crate::clock::Clock;
use crate::config::{Flow, Scheme, UpstreamAuth};
use crate::limits::{Bound, Limits};
use crate::minimise::{Cleared, OutboundHead};
use crate::refusal::{Bug, Refusal};
use crate::tls::{Connector, Connectors, Unusable};
use connect::Address;
use link::{Link, Sent};
use pool::Pool;

/// The most header lines that a request of ours has.
const HEADERS: usize = 9;
/// What we call ourselves to an upstream.
const OUR_NAME: HeaderValue = HeaderValue::from_static("sluis");
/// RFC 9110 section 7.6.3, with a name that tells nothing of the machine.
const OUR_VIA: HeaderValue = HeaderValue::from_static("1.1 sluis");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const NO_BODY: HeaderValue = HeaderValue::from_static("0");

/// One flow's upstream, as one thread sees it, with the connections it keeps open.
pub struct Target {
    address: Address,
    tls: Option<Arc<Connector>>,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    base: String,
    pool: Pool,
    clock: Clock,
}

impl Target {
    /// Makes ready for an upstream; nothing is connected yet.
    ///
    /// # Errors
    /// [`Unfit`] if its configuration cannot be used after all.
    pub fn new(flow: &Flow, clock: Clock, connectors: &Connectors) -> Result<Self, Unfit> {
        let upstream = &flow.upstream;
        let (tls, default_port) = connector(&upstream.scheme, connectors)?;
        let address = Address::new(&upstream.host, upstream.port, upstream.reach);
        Ok(Self {
            host: header(&address.authority(default_port))?,
            address,
            tls,
            authorization: authorization(&flow.upstream_auth)?,
            base: upstream.base.clone(),
            pool: Pool::default(),
            clock,
        })
    }

    /// Sends a request at the moment `now`, and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none: the upstream's fault, or what was found in the body that was on its way.
    pub async fn send(
        self: &Arc<Self>,
        outbound: Outbound,
        mut now: Instant,
        limits: &Limits,
    ) -> Result<Untrusted, Refusal> {
        let facts = outbound.facts.clone();
        let mut kept = self.pool.take(now, limits);
        let headers = kept.as_mut().map(|link| link.spare()).unwrap_or_default();
        let mut request = self.request(outbound, headers)?;
        loop {
            let was_kept = kept.is_some();
            let link = match kept {
                Some(link) => link,
                None => {
                    let opened = connect::open(self, limits).await;
                    now = self.clock.now();
                    opened?
                }
            };
            let patience = self.patience(now, facts.clone(), limits);
            match link.send(request, patience).await {
                Sent::Answered(link, answer) => {
                    return Ok(Untrusted::new(answer, link, Arc::clone(self)));
                }
                // Not a byte of it was written; the link was closed while it was kept.
                Sent::Returned(unsent) if was_kept => request = *unsent,
                Sent::Returned(_) => return Err(Refusal::UpstreamBroken),
                Sent::Failed(refusal) => return Err(refusal),
            }
            kept = self.pool.take(now, limits);
        }
    }

    /// Closes what has been kept open for too long, or was closed by the upstream.
    pub fn tend(&self, limits: &Limits) {
        self.pool.tend(self.clock.now(), limits);
    }

    fn request(
        &self,
        outbound: Outbound,
        mut headers: HeaderMap,
    ) -> Result<Request<Body<Caller>>, Refusal> {
        let head = outbound.head.release();
        let mut target = String::with_capacity(self.base.len().saturating_add(head.target.len()));
        target.push_str(&self.base);
        target.push_str(&head.target);
        if !target.starts_with('/') {
            target.insert(0, '/');
        }
        let mut request = Request::new(outbound.body);
        *request.method_mut() = Method::from_bytes(head.method.as_str().as_bytes())
            .map_err(|_bad| Refusal::Bug(Bug::Head))?;
        *request.uri_mut() =
            Uri::from_maybe_shared(Bytes::from(target)).map_err(|_bad| Refusal::Bug(Bug::Head))?;
        headers.reserve(HEADERS);
        headers.insert(HOST, self.host.clone());
        if let Some(credentials) = self.authorization.clone().or(outbound.credentials) {
            headers.insert(AUTHORIZATION, credentials);
        }
        headers.insert(ACCEPT, JSON);
        headers.insert(ACCEPT_ENCODING, IDENTITY);
        headers.insert(USER_AGENT, OUR_NAME);
        headers.insert(VIA, OUR_VIA);
        // The length itself is hyper's to write: it counts what the body will give.
        match request.body().length() {
            Some(0) if expects_body(request.method()) => {
                headers.insert(CONTENT_LENGTH, NO_BODY);
            }
            Some(0) => {}
            Some(_) | None => {
                headers.insert(CONTENT_TYPE, JSON);
            }
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn patience(&self, now: Instant, facts: Option<Arc<Facts>>, limits: &Limits) -> Patience {
        let wait = limits.time(Bound::UpstreamHeadTime);
        let due = after(now, wait);
        Patience {
            due,
            wait,
            received: received(facts.as_deref()),
            facts,
            clock: self.clock.clone(),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.address)
    }
}

/// A request that may be sent. Nothing raw fits in: neither a body nor a head.
///
/// ```
/// use sluis::body::Body;
/// use sluis::minimise::{Cleared, OutboundHead};
/// use sluis::upstream::Outbound;
/// fn outbound(head: Cleared<OutboundHead>) -> Outbound {
///     Outbound { head, body: Body::empty(), facts: None, credentials: None }
/// }
/// ```
/// ```compile_fail
/// use sluis::body::Body;
/// use sluis::minimise::{Cleared, OutboundHead};
/// use sluis::upstream::Outbound;
/// fn outbound(head: OutboundHead) -> Outbound {
///     Outbound { head, body: Body::empty(), facts: None, credentials: None }
/// }
/// ```
#[derive(Debug)]
pub struct Outbound {
    /// Method and target.
    pub head: Cleared<OutboundHead>,
    /// The body, empty if there is none.
    pub body: Body<Caller>,
    /// What becomes of the body while it is on its way; `None` if there is none.
    pub facts: Option<Arc<Facts>>,
    /// The caller's own `Authorization`, where the flow forwards it: the only value of a caller's
    /// head that an upstream ever sees. Or the token that was fetched for the flow.
    pub credentials: Option<HeaderValue>,
}

/// Why a configured upstream cannot be used.
#[derive(Debug)]
pub enum Unfit {
    /// Host or credentials cannot be written into a head.
    Head,
    /// Its TLS cannot be set up.
    Tls(Unusable),
}

/// How long to wait for the head of an answer, from the end of the request on.
struct Patience {
    due: Instant,
    wait: Duration,
    facts: Option<Arc<Facts>>,
    received: u64,
    clock: Clock,
}

impl Patience {
    /// Ready once the upstream has let us wait too long: for its answer, or for it to read on.
    fn poll(&mut self, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<()> {
        while alarm.poll(cx).is_ready() {
            // Also if it has ended meanwhile: the upstream has just got the last of it.
            let received = received(self.facts.as_deref());
            if received <= self.received {
                return Poll::Ready(());
            }
            self.received = received;
            alarm.set(after(self.clock.now(), self.wait));
        }
        Poll::Pending
    }

    /// What was found in the body that was on its way, if that is why the upstream broke off.
    fn fault(&self) -> Option<Refusal> {
        match self.facts.as_ref()?.look().state {
            State::Failed(refusal) => Some(refusal),
            State::Ended | State::Open => None,
        }
    }
}

/// Bytes of the body that came so far.
fn received(facts: Option<&Facts>) -> u64 {
    facts.map_or(0, |facts| facts.look().received)
}

/// A connection that is kept, and since when.
type Kept = (Box<Link>, Instant);

fn authorization(auth: &UpstreamAuth) -> Result<Option<HeaderValue>, Unfit> {
    let text = match auth {
        UpstreamAuth::Basic(secret) => {
            // Shown to the upstream it was given for.
            let encoded = data_encoding::BASE64.encode(secret.expose().as_bytes());
            format!("Basic {encoded}")
        }
        // Shown to the upstream it was given for.
        UpstreamAuth::Bearer(secret) => format!("Bearer {}", secret.expose()),
        // Fetched, and handed in with each request.
        UpstreamAuth::Oauth2(_) => return Ok(None),
        UpstreamAuth::Forward | UpstreamAuth::None => return Ok(None),
    };
    sensitive(&text).map(Some)
}

/// What connects with TLS, if that is spoken, and the port that need not be named.
fn connector(
    scheme: &Scheme,
    connectors: &Connectors,
) -> Result<(Option<Arc<Connector>>, u16), Unfit> {
    match scheme {
        Scheme::Http => Ok((None, 80)),
        Scheme::Https(tls) => Ok((Some(connectors.of(tls).map_err(Unfit::Tls)?), 443)),
    }
}

/// A header that no debug output shows.
fn sensitive(text: &str) -> Result<HeaderValue, Unfit> {
    let mut value = header(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header(text: &str) -> Result<HeaderValue, Unfit> {
    HeaderValue::from_str(text).map_err(|_not_a_header| Unfit::Head)
}

/// Whether a request of that method without a body should say so (RFC 9110 section 8.6).
fn expects_body(method: &Method) -> bool {
    [Method::PATCH, Method::POST, Method::PUT].contains(method)
}
