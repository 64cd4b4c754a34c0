//! Access tokens for upstreams: asked for with client credentials (RFC 6749 section 4.4).
//!
//! Nothing of a caller goes this way: what is sent is made of the configuration alone. What comes
//! back is untrusted, and read by whoever asked.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT,
};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::connect::{Address, reach};
use super::guarded::Guarded;
use super::{IDENTITY, JSON, OUR_NAME, Unfit, connector, header, sensitive};
use crate::config::{Grant, GrantAuth};
use crate::limits::{Bound, Limits, OAUTH_GRANT_BYTES_MAX};
use crate::refusal::{Bug, Refusal, UpstreamFault};
use crate::tls::{Connector, Connectors, Offer, Stream};

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// One flow's token server. Every request has a connection of its own: there are few.
pub struct TokenServer {
    address: Address,
    tls: Option<Arc<Connector>>,
    host: HeaderValue,
    path: Uri,
    authorization: Option<HeaderValue>,
    form: Bytes,
}

/// What a token server answered: nothing of it is believed.
pub struct Granted {
    /// Its status.
    pub status: StatusCode,
    /// The whole body; at most [`OAUTH_GRANT_BYTES_MAX`].
    pub body: Bytes,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Granted({})", self.status)
    }
}

impl TokenServer {
    /// Makes ready for a token server; nothing is connected yet.
    ///
    /// # Errors
    /// [`Unfit`] if its configuration cannot be used after all.
    pub fn new(grant: &Grant, connectors: &Connectors) -> Result<Self, Unfit> {
        let server = &grant.server;
        let (tls, default_port) = connector(&server.scheme, connectors)?;
        let address = Address::new(&server.host, server.port, server.reach);
        let path = if server.base.is_empty() {
            "/"
        } else {
            &server.base
        };
        // Shown to the server that gave it out.
        let secret = grant.secret.expose();
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &grant.scope {
            form.append_pair("scope", scope);
        }
        let authorization = match grant.auth {
            GrantAuth::Basic => Some(basic(&grant.client, secret)?),
            GrantAuth::Form => {
                form.append_pair("client_id", &grant.client);
                form.append_pair("client_secret", secret);
                None
            }
        };
        Ok(Self {
            host: header(&address.authority(default_port))?,
            address,
            tls,
            path: path.parse().map_err(|_bad| Unfit::Head)?,
            authorization,
            form: Bytes::from(form.finish()),
        })
    }

    /// Asks for a token. How long that may take as a whole is the caller's to bound.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, limits: &Limits) -> Result<Granted, Refusal> {
        let patience = limits.time(Bound::UpstreamConnect);
        let tls = self.tls.as_deref().map(|tls| (tls, Offer::Http1));
        let reached = reach(&self.address, tls);
        let stream = tokio::time::timeout(patience, reached).await;
        let stream = stream.map_err(|_late| Refusal::UpstreamTimeout {
            fault: UpstreamFault::Timeout,
        })??;
        self.exchange(stream, limits).await
    }

    async fn exchange(&self, stream: Stream, limits: &Limits) -> Result<Granted, Refusal> {
        let broken = |_broken| Refusal::UpstreamBroken;
        let request = self.request()?;
        let guarded = Guarded::new(stream, limits);
        guarded.talk().ask(request.method());
        let made = http1::Builder::new()
            .max_buf_size(OAUTH_GRANT_BYTES_MAX.max(limits.size(Bound::UpstreamHead)))
            .handshake(TokioIo::new(guarded));
        let (mut requests, connection) = made.await.map_err(broken)?;
        let mut exchange = pin!(async {
            let answer = requests.send_request(request).await.map_err(broken)?;
            let (head, body) = answer.into_parts();
            let read = Limited::new(body, OAUTH_GRANT_BYTES_MAX).collect().await;
            let read = read.map_err(|_long_or_broken| Refusal::UpstreamBroken)?;
            let (status, body) = (head.status, read.to_bytes());
            Ok(Granted { status, body })
        });
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            done = &mut exchange => return done,
            // Whatever it still has to say, it has said.
            _over = &mut connection => {}
        }
        exchange.await
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Refusal> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path.clone())
            .header(HOST, &self.host)
            .header(ACCEPT, JSON)
            .header(ACCEPT_ENCODING, IDENTITY)
            .header(USER_AGENT, OUR_NAME)
            .header(CONTENT_TYPE, FORM);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(self.form.clone()));
        request.map_err(|_bad| Refusal::Bug(Bug::Head))
    }
}

impl fmt::Debug for TokenServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenServer({})", self.address)
    }
}

/// Client and secret, each encoded as in a form first (RFC 6749 section 2.3.1).
fn basic(client: &str, secret: &str) -> Result<HeaderValue, Unfit> {
    let [client, secret] =
        [client, secret].map(|text| byte_serialize(text.as_bytes()).collect::<String>());
    let both = data_encoding::BASE64.encode(format!("{client}:{secret}").as_bytes());
    sensitive(&format!("Basic {both}"))
}
