//! Why the gateway does not start, or does not take a new configuration.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use crate::config::{Problem, Problems};
use crate::events::BadMetric;
use crate::names::SchoolId;
use crate::store::{Fault, StoreFault};
use crate::tls::Unusable;

/// Why not. Shown after "cannot start:", on one line.
#[derive(Debug)]
pub enum Failure {
    /// The configuration has errors.
    Config(Problems),
    /// A socket that was handed over is no TCP socket.
    Handed(io::Error),
    /// An address cannot be listened on.
    Listen {
        /// Who is to be answered there.
        whom: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// A metric of our own is ill-formed.
    Metric(BadMetric),
    /// The operating system refuses a setting, a thread or a runtime.
    Process(io::Error),
    /// The register cannot be opened.
    Register {
        /// Where it is: a file, or that it is on a server.
        place: String,
        /// Why.
        fault: Fault,
    },
    /// A socket was handed over that the configuration does not name.
    Stray(SocketAddr),
    /// What the register holds of a school cannot be taken in.
    SchoolOfRegister(SchoolId, StoreFault),
    /// The certificate or the key of the listener cannot be used.
    Tls(Unusable),
}

impl Failure {
    /// How many problems there are.
    #[must_use]
    pub fn problems(&self) -> usize {
        match self {
            Self::Config(problems) => problems.counts().0,
            Self::Handed(_)
            | Self::Listen { .. }
            | Self::Metric(_)
            | Self::Process(_)
            | Self::Register { .. }
            | Self::SchoolOfRegister(..)
            | Self::Stray(_)
            | Self::Tls(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(problems) => {
                let first = problems.first_error().map(Problem::line);
                f.write_str(&first.unwrap_or_default())
            }
            Self::Handed(error) => write!(f, "a socket that was handed over is no use: {error}"),
            Self::Listen {
                whom,
                address,
                error,
            } => {
                write!(f, "{address}, for {whom}, cannot be listened on: {error}")?;
                match in_words(error.kind()) {
                    "" => Ok(()),
                    help => write!(f, "; {help}"),
                }
            }
            Self::Metric(error) => write!(f, "{error}"),
            Self::Process(error) => write!(f, "the operating system refuses: {error}"),
            Self::Register { place, fault } => register(place, fault, f),
            Self::SchoolOfRegister(school, fault) => {
                write!(f, "the register of {school} cannot be used: {fault}")
            }
            Self::Stray(address) => {
                let nobodys = "neither [listen] nor [admin] names it";
                write!(f, "{address} was handed over, and {nobodys}")
            }
            Self::Tls(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handed(error) | Self::Listen { error, .. } | Self::Process(error) => Some(error),
            Self::Metric(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Register { fault, .. } => Some(fault),
            Self::SchoolOfRegister(_, fault) => Some(fault),
            Self::Config(_) | Self::Stray(_) => None,
        }
    }
}

impl From<BadMetric> for Failure {
    fn from(error: BadMetric) -> Self {
        Self::Metric(error)
    }
}

impl From<Unusable> for Failure {
    fn from(error: Unusable) -> Self {
        Self::Tls(error)
    }
}

/// What to do about an address that cannot be listened on; empty if only the cause can say it.
fn in_words(kind: ErrorKind) -> &'static str {
    let known = LISTEN_HELP.iter().find(|(known, _)| *known == kind);
    known.map_or("", |(_, help)| help)
}

const LISTEN_HELP: [(ErrorKind, &str); 3] = [
    (
        ErrorKind::AddrInUse,
        "another process does, perhaps a gateway that runs: `ss -ltnp` names it; or name another \
         address in sluis.toml",
    ),
    (
        ErrorKind::AddrNotAvailable,
        "no network of this machine has it: name another address in sluis.toml",
    ),
    (
        ErrorKind::PermissionDenied,
        "a port below 1024 takes a right: let systemd listen (deploy/sluis.socket), or name \
         another address in sluis.toml",
    ),
];

/// Where it is, why it cannot be opened, and what to do.
fn register(place: &str, fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let why = fault.to_string();
    match why.contains(place) {
        true => write!(f, "the register cannot be opened: {why}")?,
        false => write!(f, "the register {place} cannot be opened: {why}")?,
    }
    match fault.help() {
        "" => Ok(()),
        help => write!(f, "; {help}"),
    }
}
