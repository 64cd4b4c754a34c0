//! Where the clients of a flow fetch their tokens: `POST {at}/oauth/token` (RFC 6749 section 4.4).
//!
//! Nothing is kept: a token is known again by its tag. The order of checks is that of every other
//! request, but that the body is read first, because it may say who asks. Faults that RFC 6749
//! knows are answered as it says; the others are those of every request, and told as there.

use std::time::Duration;

use bytes::Bytes;
use http::header::PRAGMA;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

use super::answer::{self, NO_CACHE, Passed};
use super::caller::{check_address, place_of_client};
use super::connection::Entry;
use super::document::token_issued;
use super::form::{Credentials, TokenRequest};
use super::plan::Found;
use super::rate::Wanted;
use super::record::Record;
use super::refuse::{Refused, Told};
use super::{Shared, media};
use crate::body::{Body, Caller, Source as _};
use crate::config::{Client, Config};
use crate::limits::{Bound, OAUTH_FORM_BYTES_MAX};
use crate::minimise::Cleared;
use crate::policy::{self, Methods};
use crate::refusal::{Bug, QueryFault, Refusal};
use crate::secret::SecretText;
use crate::upstream;

/// The token endpoint of one flow, for one request.
pub(super) struct Desk<'d> {
    shared: &'d Shared,
    config: &'d Config,
    found: &'d Found<'d>,
}

impl<'d> Desk<'d> {
    pub(super) const fn new(shared: &'d Shared, config: &'d Config, found: &'d Found<'d>) -> Self {
        Self {
            shared,
            config,
            found,
        }
    }

    /// Serves one request for a token.
    pub(super) async fn serve(
        &self,
        entry: &Entry,
        (head, body): (&Parts, Caller),
        record: &mut Record,
    ) -> Result<Cleared<Bytes>, Refused> {
        record.meter = self.found.meters.tokens().clone();
        let request = self.read(head, body, record).await.map_err(as_oauth)?;
        let client = self.authenticate(&request.client).map_err(as_oauth)?;
        check_address(self.found.flow, entry.address.ip())?;
        let now = self.shared.clock.unix_s();
        self.found.check_agreement(self.shared, now)?;
        let place = place_of_client(self.found.flow, &client.id);
        let place = place.ok_or(Refusal::Bug(Bug::Policy))?;
        self.found.take(Wanted::Token, place, &self.shared.clock)?;
        if request.grant_type != "client_credentials" {
            return Err(as_oauth(Refusal::GrantTypeUnsupported));
        }
        let scopes = granted(client, request.scope.as_deref()).map_err(as_oauth)?;
        Ok(self.issue(client, &scopes)?)
    }

    async fn read(
        &self,
        head: &Parts,
        body: Caller,
        record: &mut Record,
    ) -> Result<TokenRequest, Refusal> {
        if head.method != Method::POST {
            return Err(Refusal::MethodNotListed);
        }
        // RFC 6749 section 2.3.1: secrets do not stand in a target.
        if head.uri.query().is_some() {
            return Err(Refusal::QueryInvalid {
                fault: QueryFault::Unlisted,
            });
        }
        if body.has_ended() {
            return Err(Refusal::BodyMissing);
        }
        media::check_form(&head.headers)?;
        let most = u64::try_from(OAUTH_FORM_BYTES_MAX).unwrap_or(u64::MAX);
        if body.declared().is_some_and(|length| length > most) {
            return Err(Refusal::BodyTooLarge);
        }
        let limits = &self.config.limits;
        let all = limits.of(Bound::BodyBytesInFlight);
        let _held = self
            .shared
            .bodies
            .take(most, all)
            .ok_or(Refusal::Overloaded)?;
        let read = tokio::time::timeout(limits.time(Bound::BodyIdle), collect(body));
        let text = read.await.map_err(|_late| Refusal::BodyTimeout)??;
        record.asked_whole = true;
        // Exposed to be taken apart.
        TokenRequest::read(&head.headers, text.expose())
    }

    /// The client that knows its secret. An unknown one is compared with as many secrets as a
    /// known one.
    fn authenticate(&self, asks: &Credentials) -> Result<&'d Client, Refusal> {
        let knows = |client: &Client| {
            asks.readings.iter().fold(false, |knows, (id, secret)| {
                knows | (client.secret.matches(secret.expose()) & (client.id == *id))
            })
        };
        let clients = self.found.flow.callers.clients().iter();
        let known = { clients }.fold(None, |known, client| match knows(client) {
            true => Some(client),
            false => known,
        });
        known.ok_or(Refusal::CallerUnauthenticated)
    }

    fn issue(&self, client: &Client, scopes: &[&str]) -> Result<Cleared<Bytes>, Refusal> {
        let life = life(self.config);
        let expires = self.shared.clock.unix_s().saturating_add(life.as_secs());
        let key = &self.config.token_key;
        let token = key.issue(&self.found.token_place(client), scopes, expires);
        // Exposed to the client that asked for it.
        token_issued(token.expose(), life.as_secs(), scopes)
    }
}

/// Lives are counted in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long a token of ours is good.
pub(super) fn life(config: &Config) -> Duration {
    config.limits.time(Bound::TokenLife).max(SHORTEST)
}

/// The answer with a token, its head written into a map that is not needed any more.
pub(super) fn answer(token: Cleared<Bytes>, spare: HeaderMap) -> Response<Body<upstream::Answer>> {
    let passed = Passed {
        status: StatusCode::OK,
        bare: false,
        retry_after_s: None,
        head: Cleared::default(),
    };
    let mut answer = answer::build(passed, Body::Whole(token), spare);
    answer.headers_mut().insert(PRAGMA, NO_CACHE);
    answer
}

/// The scopes that a client gets: those it asks for, all it may have if it asks for none, and none
/// if it has none, whatever it asks for.
fn granted<'c>(client: &'c Client, asked: Option<&str>) -> Result<Vec<&'c str>, Refusal> {
    let all = || client.scopes.iter().map(String::as_str);
    let (Some(asked), false) = (asked, client.scopes.is_empty()) else {
        return Ok(all().collect());
    };
    let known = |scope: &str| client.scopes.iter().any(|known| known == scope);
    match asked.split(' ').all(known) {
        true => Ok(all()
            .filter(|scope| asked.split(' ').any(|one| one == *scope))
            .collect()),
        false => Err(Refusal::ScopeUnknown),
    }
}

fn as_oauth(refusal: Refusal) -> Refused {
    Refused {
        // Too much to do is no fault of the request.
        told: match refusal == Refusal::Overloaded {
            true => Told::Problem,
            false => Told::TokenRefused,
        },
        allowed: { refusal == Refusal::MethodNotListed }
            .then(|| Methods::default().and(policy::Method::Post)),
        ..refusal.into()
    }
}

/// Reads a body to its end, into memory that is wiped.
async fn collect(mut body: Caller) -> Result<SecretText, Refusal> {
    // So large from the start that it is never moved, and nothing of it is left behind.
    let mut text = Vec::with_capacity(OAUTH_FORM_BYTES_MAX);
    while let Some(chunk) = std::future::poll_fn(|cx| body.poll_chunk(cx)).await {
        let chunk = chunk?;
        if text.len().saturating_add(chunk.len()) > OAUTH_FORM_BYTES_MAX {
            return Err(Refusal::BodyTooLarge);
        }
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text);
    text.map(SecretText::new)
        .map_err(|_bad| Refusal::TokenRequestInvalid)
}
