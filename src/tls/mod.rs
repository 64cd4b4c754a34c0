//! TLS on both sides, made from the configuration: rustls on `aws-lc-rs`, TLS 1.3 unless 1.2 is
//! asked for by name, verification of upstreams that cannot be switched off.

mod expiry;
mod stream;

pub use stream::Stream;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;

use crate::config::{ListenTls, TlsVersion, UpstreamTls};

/// HTTP/2, as ALPN names it (RFC 9113 section 3.2).
const H2: &[u8] = b"h2";
/// HTTP/1.1, as ALPN names it (RFC 7301 section 6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Takes TLS connections in. Its certificate can be replaced while it is in use.
#[derive(Debug)]
pub struct Acceptor {
    current: ArcSwap<Identity>,
}

#[derive(Debug)]
struct Identity {
    config: Arc<ServerConfig>,
    expires_unix_s: Option<u64>,
}

impl Acceptor {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`Unusable`], with the file and what is wrong with it.
    pub fn new(tls: &ListenTls) -> Result<Self, Unusable> {
        Ok(Self {
            current: ArcSwap::from_pointee(identity(tls)?),
        })
    }

    /// Reads certificate and key again; connections that are open keep theirs.
    ///
    /// # Errors
    /// [`Unusable`]; what was in use stays in use.
    pub fn replace(&self, tls: &ListenTls) -> Result<(), Unusable> {
        self.current.store(Arc::new(identity(tls)?));
        Ok(())
    }

    /// When the certificate in use expires, in seconds since 1970-01-01 UTC; `None` if it does not
    /// say so in a form that we read.
    #[must_use]
    pub fn expires_unix_s(&self) -> Option<u64> {
        self.current.load().expires_unix_s
    }

    /// The handshake with one caller. It has no deadline of its own.
    ///
    /// # Errors
    /// What went wrong on the wire or in TLS.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let config = Arc::clone(&self.current.load().config);
        let accepted = tokio_rustls::TlsAcceptor::from(config)
            .accept(stream)
            .await?;
        Ok(Stream::Tls(Box::new(accepted.into())))
    }
}

/// Opens TLS connections to upstreams.
#[derive(Clone)]
pub struct Connector(tokio_rustls::TlsConnector);

impl Connector {
    /// Reads the roots to trust: a file, or the machine's own store.
    ///
    /// # Errors
    /// [`Unusable`], with the file and what is wrong with it.
    pub fn new(tls: &UpstreamTls) -> Result<Self, Unusable> {
        let mut config = client(tls)?;
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self(Arc::new(config).into()))
    }

    /// One for a server that does not speak HTTP: the register's.
    ///
    /// # Errors
    /// [`Unusable`], with the file and what is wrong with it.
    pub fn without_http(tls: &UpstreamTls) -> Result<tokio_rustls::TlsConnector, Unusable> {
        Ok(Arc::new(client(tls)?).into())
    }

    /// The handshake with an upstream, whose certificate must be for `host`, a name or an address.
    ///
    /// # Errors
    /// What went wrong on the wire or in TLS.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Stream> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connected = self.0.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(connected.into())))
    }
}

/// Trusts a file of roots, or the machine's own store.
fn client(tls: &UpstreamTls) -> Result<ClientConfig, Unusable> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.min))
        .map_err(Unusable::Library)?;
    let builder = match &tls.roots {
        Some(file) => builder.with_root_certificates(roots(file)?),
        None => builder
            .with_platform_verifier()
            .map_err(Unusable::Library)?,
    };
    Ok(builder.with_no_client_auth())
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// Why a certificate, key or list of roots cannot be used.
#[derive(Debug)]
pub enum Unusable {
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
            Self::Empty { file, .. } | Self::File { file, .. } | Self::Root { file, .. } => {
                Some(file)
            }
            Self::Mismatch { key, .. } => Some(key),
            Self::Library(_) => None,
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { file, lacks } => write!(f, "{} holds no {lacks}", file.display()),
            Self::File { file, .. } => write!(f, "{} cannot be read as PEM", file.display()),
            Self::Library(_) => f.write_str("TLS cannot be set up"),
            Self::Mismatch { cert, key, .. } => {
                write!(f, "{} is not the key of {}", key.display(), cert.display())
            }
            Self::Root { file, .. } => write!(f, "{} holds an unusable root", file.display()),
        }
    }
}

impl std::error::Error for Unusable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Empty { .. } => None,
            Self::File { cause, .. } => Some(cause),
            Self::Library(cause) | Self::Mismatch { cause, .. } | Self::Root { cause, .. } => {
                Some(cause)
            }
        }
    }
}

fn identity(tls: &ListenTls) -> Result<Identity, Unusable> {
    let chain = certificates(&tls.cert)?;
    let expires_unix_s = chain.first().and_then(|leaf| expiry::not_after(leaf));
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|cause| {
        let file = tls.key.clone();
        match matches!(cause, pem::Error::NoItemsFound) {
            true => Unusable::Empty {
                file,
                lacks: "private key",
            },
            false => Unusable::File { file, cause },
        }
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.min))
        .map_err(Unusable::Library)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| Unusable::Mismatch {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            cause,
        })?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(Identity {
        config: Arc::new(config),
        expires_unix_s,
    })
}

fn roots(file: &Path) -> Result<RootCertStore, Unusable> {
    let mut store = RootCertStore::empty();
    for root in certificates(file)? {
        store.add(root).map_err(|cause| Unusable::Root {
            file: file.to_owned(),
            cause,
        })?;
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
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

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];
static FROM_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V12 => &FROM_1_2,
        TlsVersion::V13 => &ONLY_1_3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with `server.pem`, `server.key` and `other.key`.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["school.example".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("server.pem"), made.cert.pem()).unwrap();
        std::fs::write(
            folder.path().join("server.key"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        std::fs::write(folder.path().join("other.key"), other.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("empty.pem"), "nothing here\n").unwrap();
        folder
    }

    fn listen(folder: &Path, cert: &str, key: &str) -> ListenTls {
        ListenTls {
            cert: folder.join(cert),
            key: folder.join(key),
            min: TlsVersion::V13,
        }
    }

    #[test]
    fn a_certificate_with_its_key_is_taken_and_its_last_day_known() {
        let folder = folder();
        let acceptor = Acceptor::new(&listen(folder.path(), "server.pem", "server.key")).unwrap();
        // rcgen's default: 4096-01-01.
        assert_eq!(acceptor.expires_unix_s(), Some(67_090_118_400));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = folder();
        let says = |cert, key| {
            let wrong = Acceptor::new(&listen(folder.path(), cert, key)).unwrap_err();
            assert!(wrong.file().unwrap().starts_with(folder.path()));
            wrong
                .to_string()
                .replace(&format!("{}/", folder.path().display()), "")
        };
        assert_eq!(
            says("server.pem", "other.key"),
            "other.key is not the key of server.pem"
        );
        assert_eq!(
            says("empty.pem", "server.key"),
            "empty.pem holds no certificate"
        );
        assert_eq!(
            says("server.pem", "empty.pem"),
            "empty.pem holds no private key"
        );
        assert_eq!(
            says("none.pem", "server.key"),
            "none.pem cannot be read as PEM"
        );
        let tls = UpstreamTls {
            roots: Some(folder.path().join("empty.pem")),
            min: TlsVersion::V13,
        };
        assert!(matches!(
            Connector::new(&tls).unwrap_err(),
            Unusable::Empty { .. }
        ));
    }

    #[test]
    fn a_broken_replacement_leaves_the_certificate_in_use() {
        let folder = folder();
        let acceptor = Acceptor::new(&listen(folder.path(), "server.pem", "server.key")).unwrap();
        let before = acceptor.expires_unix_s();
        assert!(
            acceptor
                .replace(&listen(folder.path(), "empty.pem", "server.key"))
                .is_err()
        );
        assert_eq!(acceptor.expires_unix_s(), before);
    }
}
