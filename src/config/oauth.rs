//! Callers that are listed, and OAuth 2.0 with client credentials (RFC 6749 section 4.4) on both
//! sides: who may fetch a token from us, and where we fetch ours.

use super::{Callers, Flow, Upstream, UpstreamAuth};
use crate::secret::{SecretBytes, SecretText};

/// Below a flow's `at`: where its `oauth2` callers fetch their tokens.
pub const TOKEN_PATH: &str = "/oauth/token";

/// Callers that are known one by one.
#[derive(Debug, Default)]
pub struct Listed {
    /// SHA-256 digests of bearer tokens (RFC 6750).
    pub tokens: Vec<SecretBytes<32>>,
    /// Clients that fetch tokens from us.
    pub clients: Vec<Client>,
    /// SHA-256 digests of certificates that callers show in their handshake.
    pub certificates: Vec<SecretBytes<32>>,
}

/// A client of ours: `{ oauth2 = "…", secret-sha256 = "…" }`. One with two secrets stands twice.
#[derive(Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// The SHA-256 digest of its `client_secret`.
    pub secret: SecretBytes<32>,
    /// What it may ask for in `scope`; none means that `scope` is ignored.
    pub scopes: Vec<String>,
}

impl Callers {
    /// Those that are known one by one, if they are.
    #[must_use]
    pub const fn listed(&self) -> Option<&Listed> {
        match self {
            Self::Anyone | Self::Forwarded => None,
            Self::Listed(listed) => Some(listed),
        }
    }

    /// The clients that fetch tokens from us.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        match self {
            Self::Anyone | Self::Forwarded => &[],
            Self::Listed(listed) => &listed.clients,
        }
    }
}

impl Flow {
    /// All that is called for this flow: its upstream, and the token server if there is one.
    pub fn called(&self) -> impl Iterator<Item = &Upstream> {
        let server = match &self.upstream_auth {
            UpstreamAuth::Basic(_)
            | UpstreamAuth::Bearer(_)
            | UpstreamAuth::Forward
            | UpstreamAuth::None => None,
            UpstreamAuth::Oauth2(grant) => Some(&grant.server),
        };
        std::iter::once(&self.upstream).chain(server)
    }
}

/// How we get tokens for an upstream.
#[derive(Debug)]
pub struct Grant {
    /// The token server; its `base` is the whole path.
    pub server: Upstream,
    /// Our `client_id`.
    pub client: String,
    /// Our `client_secret`.
    pub secret: SecretText,
    /// What we ask for.
    pub scope: Option<String>,
    /// Where client and secret stand in a request.
    pub auth: GrantAuth,
}

/// Where client and secret stand in a request for a token (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantAuth {
    /// In `Authorization: Basic …`, the default.
    Basic,
    /// In the form.
    Form,
}

impl Grant {
    /// What of it is told, besides the server: all but the secret.
    pub(super) fn told(&self) -> [&str; 3] {
        let Self {
            server: _,
            client,
            secret: _,
            scope,
            auth,
        } = self;
        [client, scope.as_deref().unwrap_or(""), auth.name()]
    }
}

impl UpstreamAuth {
    /// Its name in `upstream-auth = …`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Basic(_) => "basic",
            Self::Bearer(_) => "bearer",
            Self::Forward => "forward",
            Self::None => "none",
            Self::Oauth2(_) => "oauth2",
        }
    }
}

impl GrantAuth {
    /// Its name in `auth = "…"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Form => "form",
        }
    }
}
