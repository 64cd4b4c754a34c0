//! What is true about this gateway: read from files once, checked whole, never half.
//!
//! [`load`] reads every file, collects *every* problem, and gives a [`Config`] or the problems.
//! `Config` has no text left to parse and nothing optional that must be there after all.

mod address;
mod bases;
mod calling;
pub mod code;
mod cores;
mod dialect;
mod draft;
mod environment;
mod folder;
mod gateway;
mod guarded;
mod hash;
mod hidden;
mod json_text;
pub mod keys;
mod language;
mod list;
mod load;
mod machine;
mod oauth;
mod objections;
mod problem;
mod rate;
mod raw;
mod register;
mod reload;
mod render;
mod ring_file;
mod school;
mod slip;
mod source;
mod units;

pub use draft::{Draft, SchoolDraft, VendorFile};
pub use environment::{handed_over, notify_socket, watchdog};
pub use folder::find;
pub use guarded::{open_secret, open_trusted};
pub use language::{
    CallersDraft, Catalogue, Class, ClientDraft, Context, FlowDraft, GrantDraft, IdentityDraft,
    ObjectionsDraft, Presets, ShapeCount, UpstreamAuthDraft, VendorDraft, read_vendor,
};
pub use list::ListFault;
pub use load::{admin_address, load, register_place};
pub use oauth::{Client, Grant, GrantAuth, Listed, TOKEN_PATH};
pub use objections::Lists;
pub use problem::{Place, Problem, Problems, Severity, nearest, shown};
pub use rate::{Period, Rate};
pub use raw::{At, Document, Table, TextOrTable, Value};
pub use reload::Deployed;
pub use render::{AlsoView, Colour, ProblemView};
pub use school::{Language, School};
pub use source::SourceFile;
pub use units::written;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::civil::Date;

use crate::limits::Limits;
use crate::minimise::Law;
use crate::names::{FlowId, SchoolId, VendorId};
use crate::pseudonym::{Back, Fingerprint, Generation, RegisterKey, TokenKey};
use crate::secret::{SecretText, sha256};

/// One whole configuration. A request takes the current one and keeps it to its end.
#[derive(Debug)]
pub struct Config {
    /// Where callers are answered.
    pub listen: Listen,
    /// Where operators are answered: metrics, health, status.
    pub admin: SocketAddr,
    /// Threads of the data plane, 1 or more.
    pub threads: usize,
    /// The bounds in force.
    pub limits: Limits,
    /// How and how much is logged.
    pub log: Log,
    /// Who remembers what has a way back.
    pub register: Register,
    /// Every vendor of every school, sorted by school and vendor.
    pub vendors: Vec<Arc<Vendor>>,
    /// Which flow answers where; longest prefix first within a host.
    pub doors: Vec<Door>,
    /// What access tokens of ours are made and known by.
    pub token_key: TokenKey,
    /// Names everything that decides what leaves: the same on every node with the same files.
    pub hash: PolicyHash,
}

impl Config {
    /// The door for a request, by its host (lower case, default port left out) and raw path, with
    /// its place in [`Self::doors`].
    ///
    /// # Errors
    /// Whether the host is known at all.
    pub fn door(&self, host: &str, path: &str) -> Result<(usize, &Door), NoDoor> {
        let mut why = NoDoor::HostUnknown;
        let here = self
            .doors
            .iter()
            .enumerate()
            .filter(|(_, door)| door.host == host);
        for (place, door) in here {
            if door.rest(path).is_some() {
                return Ok((place, door));
            }
            why = NoDoor::PathUnknown;
        }
        Err(why)
    }
}

/// Why no flow answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDoor {
    /// The host belongs to no school.
    HostUnknown,
    /// The host is a school's; nothing answers on the path.
    PathUnknown,
}

/// One flow with the place where it is reached.
#[derive(Debug)]
pub struct Door {
    /// Host and port of the school's `public`, lower case, the scheme's default port left out.
    pub host: String,
    /// The path of the school's `public` and the flow's `at`, without a slash at its end.
    pub prefix: String,
    /// Whose flow it is.
    pub vendor: Arc<Vendor>,
    /// The place of the flow in [`Vendor::flows`] and in the policy's flows alike.
    pub flow: usize,
}

impl Door {
    /// What of the path is left for the routes: empty, or beginning with a slash.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// The public listener.
#[derive(Debug)]
pub struct Listen {
    /// Its address.
    pub address: SocketAddr,
    /// TLS; without it only loopback is allowed.
    pub tls: Option<ListenTls>,
}

/// TLS of the public listener.
#[derive(Debug)]
pub struct ListenTls {
    /// The certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who vouches for the certificates of callers, PEM; without it none is asked for.
    pub client_ca: Option<PathBuf>,
    /// The oldest version spoken.
    pub min: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3, by name only.
    V12,
    /// TLS 1.3, the default.
    V13,
}

impl TlsVersion {
    /// Its name in `min`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
}

/// The register: which identifiers have been let out, so that pseudonyms find their way home.
#[derive(Debug)]
pub struct Register {
    /// Where it is kept.
    pub place: RegisterPlace,
    /// Its keys: of every school with a vendor whose ids have a way back. Without any, there is
    /// nothing to remember.
    pub keys: Vec<(SchoolId, Arc<RegisterKey>)>,
}

/// Where a register is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterPlace {
    /// In this file, for one gateway.
    File(PathBuf),
    /// On a server, for several gateways.
    Postgres(RegisterServer),
}

/// A server with a register, and how it is reached.
#[derive(Clone, Debug)]
pub struct RegisterServer {
    /// Its address, as `libpq` reads one; it may hold a password.
    pub url: Arc<SecretText>,
    /// TLS towards it, if it is on another machine.
    pub tls: UpstreamTls,
}

impl PartialEq for RegisterServer {
    fn eq(&self, other: &Self) -> bool {
        // Exposed to be compared by digest, which takes the same time wherever they differ.
        let [mine, theirs] = [self, other].map(|it| sha256(it.url.expose().as_bytes()));
        mine.matches(theirs.expose()) && self.tls == other.tls
    }
}

impl Eq for RegisterServer {}

/// How and how much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Lines of JSON or of text.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something was refused or is about to expire.
    Warn,
    /// Starts, stops, reloads: the default.
    Info,
    /// Every request.
    Debug,
}

/// Names a policy by its content; 16 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyHash(pub String);

/// One vendor at one school.
#[derive(Debug)]
pub struct Vendor {
    /// The school's name: its folder.
    pub school: SchoolId,
    /// The vendor's name: its file.
    pub id: VendorId,
    /// The vendor's name for people.
    pub name: String,
    /// When the agreement is in force.
    pub valid: Validity,
    /// Whether messages are forwarded.
    pub mode: Mode,
    /// The largest body of this vendor's messages, in bytes.
    pub body_bytes_max: u64,
    /// Policy, keys and bounds.
    pub law: Arc<Law>,
    /// The flows, at the places of [`crate::policy::Policy::flows`].
    pub flows: Vec<Flow>,
    /// Which key is in use.
    pub fingerprint: Fingerprint,
    /// Its version.
    pub key_version: u32,
    /// Who objected.
    pub lists: Arc<Lists>,
    /// Former keys whose pseudonyms are not understood any more, the newest first.
    pub retired: Arc<[Generation]>,
    /// Names the content of the vendor's policy.
    pub hash: PolicyHash,
}

impl Vendor {
    /// Which key is prepared, if one is.
    #[must_use]
    pub fn prepared_key(&self) -> Option<Fingerprint> {
        let last = self.law.generations.last();
        last.filter(|it| it.is_prepared).map(|it| it.fingerprint)
    }

    /// Whether any of its ids has a way back.
    #[must_use]
    pub fn has_way_back(&self) -> bool {
        let kinds = self.law.kinds().iter();
        { kinds }.any(|kind| kind.spec().back == Back::SchoolOnly)
    }

    /// Where callers reach each flow: its name, and the school's `public` with the flow's `at`.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        let bases = self.law.policy.bases.iter();
        let flows = self.flows.iter().zip(bases);
        flows.map(|(flow, base)| (flow.id.as_str(), base.public.as_str()))
    }
}

/// The days on which an agreement is in force, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub until: Date,
}

/// Whether a vendor's messages are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Rewritten and forwarded.
    Enforce,
    /// Every request is answered 503; nothing is forwarded.
    Observe,
}

impl Mode {
    /// Its name in `mode = "…"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// One caller and one upstream, as far as the wire needs to know.
#[derive(Debug)]
pub struct Flow {
    /// Its name.
    pub id: FlowId,
    /// Who may call.
    pub callers: Callers,
    /// From which addresses, on top; none given means all.
    pub ip_ranges: Vec<IpNet>,
    /// How often each of them may call; none means as often as they like.
    pub rate: Option<Rate>,
    /// Who is called.
    pub upstream: Upstream,
    /// With which credentials.
    pub upstream_auth: UpstreamAuth,
    /// Which requests are sent once more where the connection breaks before any answer.
    pub retry: Retry,
}

/// Which requests are sent once more where the connection breaks before any answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Those that do no more when they are carried out twice (RFC 9110 section 9.2.2).
    Idempotent,
    /// All: `idempotency = true`. The others carry an `Idempotency-Key`, by which the upstream
    /// knows one again.
    WithKey,
}

/// Who may call a flow.
#[derive(Debug)]
pub enum Callers {
    /// Anyone; only where the listener is on loopback.
    Anyone,
    /// Whoever the upstream takes: the caller's own `Authorization` is forwarded to it.
    Forwarded,
    /// Whoever is listed.
    Listed(Listed),
}

/// An upstream: scheme, authority and the path that routes are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// With TLS or without.
    pub scheme: Scheme,
    /// The host: a name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path, without a slash at its end.
    pub base: String,
    /// Whether a name may lead to a loopback, link-local or private address.
    pub reach: Reach,
}

/// The scheme of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https(UpstreamTls),
}

/// TLS towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpstreamTls {
    /// A PEM file of roots to trust instead of the machine's own store.
    pub roots: Option<PathBuf>,
    /// What we show, where we are asked who we are.
    pub identity: Option<ClientIdentity>,
    /// The oldest version spoken.
    pub min: TlsVersion,
    /// Whether HTTP/2 is spoken.
    pub http2: Http2,
}

/// Whether HTTP/2 is spoken with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Http2 {
    /// If both ends want to (ALPN, RFC 7301).
    IfAgreed,
    /// `http2 = false`.
    Never,
}

/// A certificate of ours towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientIdentity {
    /// The certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM; nobody else may read it.
    pub key: PathBuf,
}

/// Which addresses a host name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any: `allow-private = true`, or the upstream is written as an address.
    Any,
    /// Public addresses only.
    Public,
}

/// The credentials shown to an upstream.
#[derive(Debug)]
pub enum UpstreamAuth {
    /// `Authorization: Basic …` with `user:password` from a file.
    Basic(SecretText),
    /// `Authorization: Bearer …` with a token from a file.
    Bearer(SecretText),
    /// The caller's own `Authorization`.
    Forward,
    /// None.
    None,
    /// `Authorization: Bearer …` with a token that is fetched from a token server.
    Oauth2(Box<Grant>),
}
