//! The way to upstreams. Takes what is cleared and nothing else; what comes back is untrusted.
//!
//! Every thread has its own connections. One of HTTP/1.1 is driven by the exchange that uses it: it
//! is polled where its answer is awaited, so that letting go of an exchange closes its connection,
//! and no task stands between a caller and its upstream. One of HTTP/2 is shared by many exchanges,
//! and driven by tasks of its own.

mod address;
mod answer;
mod bell;
mod call;
mod circuit;
mod connect;
mod framed;
mod guarded;
mod habit;
mod keys;
mod link;
mod patience;
mod pool;
mod shared;
mod standing;
#[cfg(test)]
mod tests;
mod token;
mod way;

pub use answer::{Answer, Untrusted};
pub use standing::Standing;
pub use token::{Granted, TokenServer};

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue,
    USER_AGENT, VIA,
};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Uri};

use crate::alarm::after;
use crate::body::{Body, Caller, Facts};
use crate::clock::Clock;
use crate::config::{Flow, Retry, Scheme, UpstreamAuth};
use crate::events::ConnectionUse;
use crate::limits::{Bound, Limits};
use crate::minimise::{Cleared, OutboundHead};
use crate::refusal::{Bug, Refusal};
use crate::tls::{Connector, Connectors, Unusable};
use call::{Call, Repeats, is_idempotent};
use connect::Address;
use keys::{IDEMPOTENCY_KEY, Keys};
use link::{Link, Sent};
use patience::{Patience, received};
use pool::Pool;
use shared::Crowd;
use way::{Kept, Way};

/// The most header lines that a request of ours has.
const HEADERS: usize = 10;
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
    authority: Authority,
    authorization: Option<HeaderValue>,
    base: String,
    /// If the upstream knows a request again by one.
    keys: Option<Keys>,
    pool: Pool<Box<Link>>,
    crowd: Crowd,
    standing: Arc<Standing>,
    clock: Clock,
}

impl Target {
    /// Makes ready for an upstream, of which all threads know the same; nothing is connected yet.
    ///
    /// # Errors
    /// [`Unfit`] if its configuration cannot be used after all.
    pub fn new(
        flow: &Flow,
        standing: &Arc<Standing>,
        clock: Clock,
        connectors: &Connectors,
    ) -> Result<Self, Unfit> {
        let upstream = &flow.upstream;
        let (tls, default_port) = connector(&upstream.scheme, connectors)?;
        let address = Address::new(&upstream.host, upstream.port, upstream.reach);
        let authority = address.authority(default_port);
        Ok(Self {
            host: header(&authority)?,
            authority: authority.parse().map_err(|_bad| Unfit::Head)?,
            address,
            tls,
            authorization: authorization(&flow.upstream_auth)?,
            base: upstream.base.clone(),
            keys: match flow.retry {
                Retry::Idempotent => None,
                Retry::WithKey => Some(Keys::new().ok_or(Unfit::Randomness)?),
            },
            pool: Pool::default(),
            crowd: Crowd::default(),
            standing: Arc::clone(standing),
            clock,
        })
    }

    /// Sends a request at the moment `now`, and waits for the head of its answer. Where the
    /// connection breaks before any of it came, and the request does no more when it is carried
    /// out twice, or has surely not been carried out, it is sent once more.
    ///
    /// # Errors
    /// Why there is none: the upstream's fault, or what was found in the body that was on its way.
    pub async fn send(
        self: &Arc<Self>,
        outbound: Outbound,
        mut now: Instant,
        limits: &Limits,
    ) -> Result<Untrusted, Refusal> {
        self.standing.enter(now)?;
        let facts = outbound.facts.clone();
        let (head, body) = self.head(outbound)?;
        let mut call = Call::new(spare(&body), head.repeats());
        let mut kept = self.kept(now);
        let headers = kept.as_mut().map(|kept| kept.way.spare());
        let mut request = self.request(&head, body, headers.unwrap_or_default());
        let mut due = None;
        loop {
            let was_kept = kept.as_ref().map(|kept| kept.idle);
            let way = self.way(kept, &mut now, limits).await?;
            // One sent again has no more time than is left of the first.
            let due = *due.get_or_insert_with(|| after(now, limits.time(Bound::UpstreamHeadTime)));
            let patience = self.patience(due, facts.clone(), limits);
            match way.send(request, self, patience).await {
                Sent::Answered(way, answer) => {
                    self.standing.answered();
                    return Ok(Untrusted::new(answer, way, Arc::clone(self)));
                }
                // Not a byte of it was written; the link was closed while it was kept.
                Sent::Returned(unsent) if let Some(idle) = was_kept => {
                    now = self.clock.now();
                    idle.inspect(|idle| self.standing.closed(*idle, now));
                    request = *unsent;
                }
                Sent::Returned(_) => {
                    self.standing.failed(self.clock.now());
                    return Err(Refusal::UpstreamBroken);
                }
                Sent::Failed(refusal, heard) => {
                    now = self.clock.now();
                    let idle = was_kept.flatten();
                    let again = call.failed((refusal, heard), idle, now, &self.standing);
                    let body = again.ok_or(refusal)?;
                    request = self.request(&head, Body::Whole(body), HeaderMap::new());
                }
            }
            kept = match call.may_use_kept() {
                true => self.kept(now),
                false => None,
            };
        }
    }

    /// Closes what has been kept open for too long, or was closed by the upstream.
    pub fn tend(&self) {
        let now = self.clock.now();
        self.pool.tend(now, &self.standing);
        self.crowd.tend(now, &self.standing);
    }

    /// A connection that was kept, if there is one to be used.
    fn kept(&self, now: Instant) -> Option<Kept> {
        let shared = self.crowd.take(now, &self.standing);
        let own = || self.pool.take(now, &self.standing).map(Kept::own);
        shared.map(Kept::shared).or_else(own)
    }

    /// The connection that was kept, or a new one; `now` is when there is one.
    async fn way(
        &self,
        kept: Option<Kept>,
        now: &mut Instant,
        limits: &Limits,
    ) -> Result<Way, Refusal> {
        if let Some(kept) = kept {
            self.standing.count(ConnectionUse::Reused);
            return Ok(kept.way);
        }
        let opened = connect::open(self, limits).await;
        *now = self.clock.now();
        match &opened {
            Ok(_) => self.standing.count(ConnectionUse::Opened),
            // Where it leads is what the configuration says.
            Err(Refusal::PrivateAddress) => {}
            Err(_) => self.standing.failed(*now),
        }
        opened
    }

    fn head(&self, outbound: Outbound) -> Result<(Head, Body<Caller>), Refusal> {
        let head = outbound.head.release();
        let mut target = String::with_capacity(self.base.len().saturating_add(head.target.len()));
        target.push_str(&self.base);
        target.push_str(&head.target);
        if !target.starts_with('/') {
            target.insert(0, '/');
        }
        let method = Method::from_bytes(head.method.as_str().as_bytes());
        let method = method.map_err(|_bad| Refusal::Bug(Bug::Head))?;
        let head = Head {
            uri: Uri::from_maybe_shared(Bytes::from(target))
                .map_err(|_bad| Refusal::Bug(Bug::Head))?,
            credentials: self.authorization.clone().or(outbound.credentials),
            key: match &self.keys {
                Some(keys) if !is_idempotent(&method) => Some(keys.next()?),
                Some(_) | None => None,
            },
            method,
        };
        Ok((head, outbound.body))
    }

    fn request(
        &self,
        head: &Head,
        body: Body<Caller>,
        mut headers: HeaderMap,
    ) -> Request<Body<Caller>> {
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = head.uri.clone();
        headers.reserve(HEADERS);
        headers.insert(HOST, self.host.clone());
        if let Some(credentials) = head.credentials.clone() {
            headers.insert(AUTHORIZATION, credentials);
        }
        headers.insert(ACCEPT, JSON);
        headers.insert(ACCEPT_ENCODING, IDENTITY);
        headers.insert(USER_AGENT, OUR_NAME);
        headers.insert(VIA, OUR_VIA);
        if let Some(key) = head.key.clone() {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
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
        request
    }

    fn patience(&self, due: Instant, facts: Option<Arc<Facts>>, limits: &Limits) -> Patience {
        Patience {
            due,
            wait: limits.time(Bound::UpstreamHeadTime),
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
    /// The machine has no randomness to give.
    Randomness,
    /// Its TLS cannot be set up.
    Tls(Unusable),
}

/// What a request of ours is made of besides its body: cheap to keep for another.
struct Head {
    method: Method,
    uri: Uri,
    credentials: Option<HeaderValue>,
    /// By which the upstream knows the request again.
    key: Option<HeaderValue>,
}

impl Head {
    fn repeats(&self) -> Repeats {
        match is_idempotent(&self.method) || self.key.is_some() {
            true => Repeats::Harmless,
            false => Repeats::Harmful,
        }
    }
}

/// The body once more, if it is here as a whole.
fn spare(body: &Body<Caller>) -> Option<Cleared<Bytes>> {
    match body {
        Body::Whole(body) => Some(body.clone()),
        Body::Streaming(_) => None,
    }
}

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
