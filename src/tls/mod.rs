//! TLS on both sides, made from the configuration: rustls on `aws-lc-rs`, TLS 1.3 unless 1.2 is
//! asked for by name, verification of upstreams that cannot be switched off.

mod connector;
mod expiry;
mod files;
mod socket;
mod stream;

pub use connector::{Connector, Connectors, Offer};
pub use files::{Stamps, Unusable};
pub use socket::Socket;
pub use stream::Stream;

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use crate::config::{ListenTls, TlsVersion};

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
    stamps: Stamps,
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

    /// How the files looked when they were read.
    #[must_use]
    pub fn stamps(&self) -> Stamps {
        self.current.load().stamps.clone()
    }

    /// The handshake with one caller. It has no deadline of its own.
    ///
    /// # Errors
    /// What went wrong on the wire or in TLS.
    pub async fn accept(&self, socket: Socket) -> io::Result<Stream> {
        let config = Arc::clone(&self.current.load().config);
        let accepted = tokio_rustls::TlsAcceptor::from(config)
            .accept(socket)
            .await?;
        Ok(Stream::Tls(Box::new(accepted.into())))
    }
}

fn identity(tls: &ListenTls) -> Result<Identity, Unusable> {
    // First, so that what changes meanwhile is read again.
    let stamps = Stamps::of_listener(tls);
    let (chain, key) = files::pair(&tls.cert, &tls.key)?;
    let expires_unix_s = chain.first().and_then(|leaf| expiry::not_after(leaf));
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.min))
        .map_err(Unusable::Library)?;
    let builder = match &tls.client_ca {
        Some(file) => builder.with_client_cert_verifier(callers(file)?),
        None => builder.with_no_client_auth(),
    };
    let chosen = builder.with_single_cert(chain, key);
    let mut config = chosen.map_err(|cause| Unusable::Mismatch {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        cause,
    })?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(Identity {
        config: Arc::new(config),
        expires_unix_s,
        stamps,
    })
}

/// Asks callers for a certificate and takes those that these authorities vouch for. None is needed:
/// whether a flow wants one, and whose, is for the flow to say.
fn callers(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let roots = Arc::new(files::roots(file)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let built = verifier.allow_unauthenticated().build();
    built.map_err(|cause| Unusable::Authorities {
        file: file.to_owned(),
        cause,
    })
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::{Http2, UpstreamTls};

    /// A folder with `server.pem`, `server.key` and `other.key`.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["school.example".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("server.pem"), made.cert.pem()).unwrap();
        for (name, text) in [
            ("server.key", made.signing_key.serialize_pem()),
            ("other.key", other.serialize_pem()),
            ("empty.pem", "nothing here\n".to_owned()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
        folder
    }

    fn listen(folder: &Path, cert: &str, key: &str) -> ListenTls {
        ListenTls {
            cert: folder.join(cert),
            key: folder.join(key),
            client_ca: None,
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
            identity: None,
            min: TlsVersion::V13,
            http2: Http2::IfAgreed,
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
