//! What a vendor's file says, checked as far as it can be checked without keys and other files.

use std::sync::Arc;

use ipnet::IpNet;

use crate::config::hash::PolicyDigest;
use crate::config::{At, GrantAuth, Mode, Place, Rate, Retry, Upstream, Validity};
use crate::names::{FlowId, VendorId};
use crate::policy::{IdKind, Index, Policy, Side};
use crate::pseudonym::{Fingerprint, KindSpec};

use super::preset::Catalogue;

/// One vendor's file. `load` adds keys and files and makes a [`crate::config::Vendor`] of it;
/// `check` and `try` can do without.
#[derive(Debug)]
pub struct VendorDraft {
    /// Its name: the name of the file.
    pub id: VendorId,
    /// `[vendor] name`, for people.
    pub name: String,
    /// `[vendor] agreement`.
    pub agreement: String,
    /// `[vendor] purpose`.
    pub purpose: String,
    /// `[vendor] contact`.
    pub contact: String,
    /// `[vendor] valid`.
    pub valid: Validity,
    /// Where its last day is written.
    pub until_at: Place,
    /// `[vendor] mode`.
    pub mode: Mode,
    /// `[vendor] key`: the key that must be in use, if the file pins one.
    pub key: Option<At<Fingerprint>>,
    /// `[limits] body`, in bytes: a bound of its own for this vendor, below the gateway's.
    pub body_bytes_max: Option<At<u64>>,
    /// Everything that decides what leaves.
    pub policy: Policy,
    /// What the vendor's hash tells of it.
    pub(in crate::config) policy_digest: PolicyDigest,
    /// How the pseudonyms of each kind are made, at the places of [`Policy::kinds`].
    pub kind_specs: Vec<KindSpec>,
    /// `[except]`: the lists of who objected.
    pub objections: Vec<ObjectionsDraft>,
    /// The settings of each flow, at the places of [`Policy::flows`].
    pub flows: Vec<FlowDraft>,
    /// How much leaves of each shape that goes to the vendor, in the order of the policy.
    pub shapes: Arc<[ShapeCount]>,
    /// Every field that the presets in use know of; one for all vendors that use the same.
    pub catalogue: Arc<Catalogue>,
}

impl VendorDraft {
    /// Where callers reach the flow at that place: the school's `public` and the flow's `at`.
    /// `None` if the school's file does not say.
    #[must_use]
    pub fn address(&self, flow: usize) -> Option<&str> {
        let base = self.policy.bases.get(flow)?;
        Some(&base.public)
    }
}

/// What could be read of a file with errors: enough to compare it with the other files, so that one
/// mistake does not hide another.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// The flows that are whole in themselves.
    pub(crate) flows: Vec<FlowDraft>,
    /// As [`VendorDraft::objections`].
    pub(crate) objections: Vec<ObjectionsDraft>,
    /// As [`VendorDraft::kind_specs`].
    pub(crate) kind_specs: Vec<KindSpec>,
}

impl From<VendorDraft> for Remains {
    fn from(draft: VendorDraft) -> Self {
        Self {
            flows: draft.flows,
            objections: draft.objections,
            kind_specs: draft.kind_specs,
        }
    }
}

/// A list of `[except]`; the path is relative to the folder of the school.
#[derive(Clone, Debug)]
pub struct ObjectionsDraft {
    /// The kind of identifier that is on it.
    pub kind: Index<IdKind>,
    /// The file.
    pub list: At<String>,
    /// How old it may be, in seconds.
    pub age_max_s: Option<u64>,
}

/// The settings of one flow; who calls and which routes there are stands in its policy.
#[derive(Debug)]
pub struct FlowDraft {
    /// Its name.
    pub id: FlowId,
    /// Where `[flow.NAME]` stands, for problems that the whole configuration shows.
    pub place: Place,
    /// Who calls.
    pub caller: Side,
    /// `at`, without a slash at its end; `/<vendor>/<flow>` if the file does not say.
    pub at: At<String>,
    /// Who may call.
    pub callers: At<CallersDraft>,
    /// `ip-ranges`; none means all.
    pub ip_ranges: Vec<IpNet>,
    /// `rate`, or that of `[limits]`.
    pub rate: Option<Rate>,
    /// `upstream`, `allow-private`, `min` and `http2` of `upstream-tls`. Roots are not filled in
    /// yet.
    pub upstream: At<Upstream>,
    /// `upstream-tls.roots`: a path to read, relative to the vendor's file.
    pub roots: Option<At<String>>,
    /// `upstream-auth`.
    pub upstream_auth: UpstreamAuthDraft,
    /// `client-cert` and `client-key` of `upstream-auth`.
    pub identity: Option<IdentityDraft>,
    /// `idempotency`.
    pub retry: Retry,
}

/// Who may call a flow.
#[derive(Clone, Debug)]
pub enum CallersDraft {
    /// `callers = "anyone"`: only if the listener is on loopback, which is for `load` to check.
    Anyone,
    /// None written, and `upstream-auth = "forward"`: whoever the upstream takes.
    Forwarded,
    /// Listed one by one; one at least.
    Listed {
        /// SHA-256 digests of bearer tokens.
        tokens: Vec<At<[u8; 32]>>,
        /// Clients that fetch tokens from us.
        clients: Vec<ClientDraft>,
        /// SHA-256 digests of certificates.
        certificates: Vec<At<[u8; 32]>>,
    },
}

impl CallersDraft {
    /// Whether some of them are known by a certificate.
    #[must_use]
    pub fn show_certificates(&self) -> bool {
        match self {
            Self::Anyone | Self::Forwarded => false,
            Self::Listed { certificates, .. } => !certificates.is_empty(),
        }
    }

    /// The clients that fetch tokens from us.
    #[must_use]
    pub fn clients(&self) -> &[ClientDraft] {
        match self {
            Self::Anyone | Self::Forwarded => &[],
            Self::Listed { clients, .. } => clients,
        }
    }
}

/// `{ oauth2 = "…", secret-sha256 = "…", scopes = […] }`.
#[derive(Clone, Debug)]
pub struct ClientDraft {
    /// The `client_id`.
    pub id: String,
    /// The SHA-256 digest of the `client_secret`.
    pub secret: At<[u8; 32]>,
    /// What may be asked for in `scope`.
    pub scopes: Vec<String>,
}

/// The credentials shown to an upstream; paths are relative to the vendor's file.
#[derive(Clone, Debug)]
pub enum UpstreamAuthDraft {
    /// A file with `user:password`.
    BasicFile(At<String>),
    /// A file with a token.
    BearerFile(At<String>),
    /// The caller's own `Authorization`.
    Forward,
    /// None.
    None,
    /// A token that is fetched.
    Oauth2(Box<GrantDraft>),
}

/// A certificate that we show to an upstream; paths are relative to the vendor's file.
#[derive(Clone, Debug)]
pub struct IdentityDraft {
    /// `client-cert`.
    pub cert: At<String>,
    /// `client-key`.
    pub key: At<String>,
}

/// `upstream-auth = { oauth2 = { … } }`; the path is relative to the vendor's file.
#[derive(Clone, Debug)]
pub struct GrantDraft {
    /// `token-url`, with its whole path in `base`. Roots are not filled in yet.
    pub server: Upstream,
    /// `client-id`.
    pub client: String,
    /// A file with the secret.
    pub secret: At<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `auth`.
    pub auth: GrantAuth,
}

/// How much leaves of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeCount {
    /// Its name.
    pub name: String,
    /// Fields of which something leaves: everything but `drop`.
    pub leaving: usize,
    /// Fields that the shape names or its standard knows.
    pub known: usize,
}
