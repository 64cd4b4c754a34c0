//! Certificates and keys in files: reading them, and seeing that they have changed.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;

use crate::config::{ListenTls, Problem, UpstreamTls, open_secret, open_trusted};

/// Why a certificate, key or list of roots cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// The authorities in the file cannot vouch for anybody.
    Authorities {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        cause: VerifierBuilderError,
    },
    /// The file is empty of what it must hold.
    Empty {
        /// The file.
        file: PathBuf,
        /// What it must hold.
        lacks: &'static str,
    },
    /// The file cannot be read, or is not PEM.
    File {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        cause: pem::Error,
    },
    /// rustls itself would not have it.
    Library(rustls::Error),
    /// Certificate and key were read, but do not go together or are of no kind that we use.
    Mismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What went wrong.
        cause: rustls::Error,
    },
    /// The file cannot be opened, or is not kept from others.
    NotKept {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
    /// A certificate in the file cannot be used as a root.
    Root {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        cause: rustls::Error,
    },
}

impl Unusable {
    /// The file that is at fault, if one is.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Authorities { file, .. }
            | Self::Empty { file, .. }
            | Self::File { file, .. }
            | Self::NotKept { file, .. }
            | Self::Root { file, .. } => Some(file),
            Self::Mismatch { key, .. } => Some(key),
            Self::Library(_) => None,
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorities { file, .. } => {
                write!(f, "{} can vouch for no caller", file.display())
            }
            Self::Empty { file, lacks } => write!(f, "{} holds no {lacks}", file.display()),
            Self::File { file, .. } => write!(f, "{} cannot be read as PEM", file.display()),
            Self::Library(_) => f.write_str("TLS cannot be set up"),
            Self::Mismatch { cert, key, .. } => {
                write!(f, "{} is not the key of {}", key.display(), cert.display())
            }
            Self::NotKept { problem, .. } => {
                f.write_str(&problem.message)?;
                { problem.help.iter() }.try_for_each(|help| write!(f, " ({help})"))
            }
            Self::Root { file, .. } => write!(f, "{} holds an unusable root", file.display()),
        }
    }
}

impl std::error::Error for Unusable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Authorities { cause, .. } => Some(cause),
            Self::Empty { .. } | Self::NotKept { .. } => None,
            Self::File { cause, .. } => Some(cause),
            Self::Library(cause) | Self::Mismatch { cause, .. } | Self::Root { cause, .. } => {
                Some(cause)
            }
        }
    }
}

/// How some files look from outside: other once one of them is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

/// What changes when a file does; `None` if it is not there.
type Stamp = (i64, i64, u64, u64, u32);

impl Stamps {
    /// Of the files of a listener.
    #[must_use]
    pub fn of_listener(tls: &ListenTls) -> Self {
        let mut files = vec![&tls.cert, &tls.key];
        files.extend(&tls.client_ca);
        Self::of(&files)
    }

    /// Of the files that are used towards an upstream.
    #[must_use]
    pub fn of_upstream(tls: &UpstreamTls) -> Self {
        let mut files: Vec<&PathBuf> = tls.roots.iter().collect();
        if let Some(identity) = &tls.identity {
            files.extend([&identity.cert, &identity.key]);
        }
        Self::of(&files)
    }

    fn of(files: &[&PathBuf]) -> Self {
        let stamp = |file: &&PathBuf| {
            let seen = fs::metadata(file).ok()?;
            let (size, file, mode) = (seen.size(), seen.ino(), seen.mode());
            Some((seen.mtime(), seen.mtime_nsec(), size, file, mode))
        };
        Self(files.iter().map(stamp).collect())
    }
}

/// A certificate chain, leaf first, and its key. Whether they go together is not known yet.
pub(super) fn pair(cert: &Path, key: &Path) -> Result<Pair, Unusable> {
    let chain = certificates(cert)?;
    let opened = open_secret(key).map_err(|problem| not_kept(key, problem))?;
    let key = PrivateKeyDer::from_pem_reader(opened).map_err(|cause| {
        let file = key.to_owned();
        match matches!(cause, pem::Error::NoItemsFound) {
            true => Unusable::Empty {
                file,
                lacks: "private key",
            },
            false => Unusable::File { file, cause },
        }
    })?;
    Ok((chain, key))
}

/// A certificate chain and a key.
type Pair = (Certificates, PrivateKeyDer<'static>);

/// The authorities to trust.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, Unusable> {
    let opened = open_trusted(file).map_err(|problem| not_kept(file, problem))?;
    let read = CertificateDer::pem_reader_iter(opened).collect();
    let mut store = RootCertStore::empty();
    for root in some(file, read)? {
        store.add(root).map_err(|cause| Unusable::Root {
            file: file.to_owned(),
            cause,
        })?;
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Certificates, Unusable> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    some(file, read)
}

type Certificates = Vec<CertificateDer<'static>>;

/// What was read of a file, if that is a certificate at least.
fn some(file: &Path, read: Result<Certificates, pem::Error>) -> Result<Certificates, Unusable> {
    match read {
        Ok(none) if none.is_empty() => Err(Unusable::Empty {
            file: file.to_owned(),
            lacks: "certificate",
        }),
        Ok(certificates) => Ok(certificates),
        Err(cause) => Err(Unusable::File {
            file: file.to_owned(),
            cause,
        }),
    }
}

fn not_kept(file: &Path, problem: Box<Problem>) -> Unusable {
    Unusable::NotKept {
        file: file.to_owned(),
        problem,
    }
}
