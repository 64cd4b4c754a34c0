//! Callers that are listed, and OAuth 2.0 with client credentials (RFC 6749 section 4.4): who may
//! fetch a token from us.

use super::{Callers, UpstreamAuth};
use crate::secret::SecretBytes;

/// Below a flow's `at`: where its `oauth2` callers fetch their tokens.
pub const TOKEN_PATH: &str = "/oauth/token";

/// Callers that are known one by one.
#[derive(Debug, Default)]
pub struct Listed {
    /// SHA-256 digests of bearer tokens (RFC 6750).
    pub tokens: Vec<SecretBytes<32>>,
    /// Clients that fetch tokens from us.
    pub clients: Vec<Client>,
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
    /// The clients that fetch tokens from us.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        match self {
            Self::Anyone | Self::Forwarded => &[],
            Self::Listed(listed) => &listed.clients,
        }
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
        }
    }
}
