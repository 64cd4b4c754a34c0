//! TLS connections that we open.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use rustls::{CertificateError as Bad, ClientConfig};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::TlsConnector;

use super::files::{self, Stamps, Unusable};
use super::{H2, HTTP_1_1, Socket, Stream, expiry, provider, versions};
use crate::config::{Http2, UpstreamTls};
use crate::refusal::UpstreamFault;

/// Opens TLS connections to an upstream. Files of roots, a certificate and a key that have changed
/// are read again with the next connection; if they cannot be used, those that could stay in use.
pub struct Connector {
    tls: UpstreamTls,
    current: ArcSwap<Current>,
}

/// All that open connections under one configuration: one for each way to do so.
#[derive(Debug, Default)]
pub struct Connectors(Mutex<Vec<Arc<Connector>>>);

impl Connectors {
    /// The one with these settings; made when it is asked for first.
    ///
    /// # Errors
    /// [`Unusable`], with the file and what is wrong with it.
    pub fn of(&self, tls: &UpstreamTls) -> Result<Arc<Connector>, Unusable> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = made.iter().find(|connector| connector.tls == *tls) {
            return Ok(Arc::clone(connector));
        }
        let connector = Arc::new(Connector::new(tls)?);
        made.push(Arc::clone(&connector));
        Ok(connector)
    }
}

/// Which HTTP is offered to an upstream, which chooses (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2, unless the configuration says otherwise, and HTTP/1.1.
    Http2,
}

/// What was read, and how the files looked then.
struct Current {
    stamps: Stamps,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    expires_unix_s: Option<u64>,
}

impl Current {
    fn config(&self, offer: Offer) -> Arc<ClientConfig> {
        Arc::clone(match offer {
            Offer::Http1 => &self.http1,
            Offer::Http2 => &self.http2,
        })
    }
}

impl Connector {
    /// Reads the roots to trust, a file or the machine's own store, and the certificate to show, if
    /// there is one.
    ///
    /// # Errors
    /// [`Unusable`], with the file and what is wrong with it.
    pub fn new(tls: &UpstreamTls) -> Result<Self, Unusable> {
        Ok(Self {
            tls: tls.clone(),
            current: ArcSwap::from_pointee(read(tls)?),
        })
    }

    /// One for a server that does not speak HTTP: the register's.
    ///
    /// # Errors
    /// [`Unusable`], with the file and what is wrong with it.
    pub fn without_http(tls: &UpstreamTls) -> Result<TlsConnector, Unusable> {
        Ok(Arc::new(client(tls)?.0).into())
    }

    /// When the certificate that we show expires, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn expires_unix_s(&self) -> Option<u64> {
        self.current.load().expires_unix_s
    }

    /// The handshake with an upstream, whose certificate must be for `host`, a name or an address.
    ///
    /// # Errors
    /// What went wrong on the wire or in TLS.
    pub async fn connect(
        &self,
        host: &str,
        socket: Socket,
        offer: Offer,
    ) -> Result<Stream, UpstreamFault> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_no_name| UpstreamFault::TlsName)?;
        let connector = TlsConnector::from(self.config(offer));
        let connected = connector.connect(name, socket).await;
        let connected = connected.map_err(|error| fault(&error))?;
        Ok(Stream::Tls(Box::new(connected.into())))
    }

    /// As the files are now; as they were before, if they cannot be used.
    fn config(&self, offer: Offer) -> Arc<ClientConfig> {
        let current = self.current.load();
        if Stamps::of_upstream(&self.tls) == current.stamps {
            return current.config(offer);
        }
        match read(&self.tls) {
            Ok(next) => {
                let config = next.config(offer);
                self.current.store(Arc::new(next));
                config
            }
            Err(_told_by_who_looks_after_the_files) => current.config(offer),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// What went wrong in a handshake: by the kind of the error, its text is nobody's to read.
fn fault(error: &io::Error) -> UpstreamFault {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(bad)) => of_certificate(bad),
        Some(_) => UpstreamFault::TlsProtocol,
        None => UpstreamFault::Terminated,
    }
}

fn of_certificate(bad: &Bad) -> UpstreamFault {
    let is_out_of_date = matches!(
        bad,
        Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. }
    );
    if is_out_of_date {
        UpstreamFault::TlsExpired
    } else if let Bad::NotValidForName | Bad::NotValidForNameContext { .. } = bad {
        UpstreamFault::TlsName
    } else if *bad == Bad::UnknownIssuer {
        UpstreamFault::TlsIssuer
    } else {
        UpstreamFault::TlsCertificate
    }
}

fn read(tls: &UpstreamTls) -> Result<Current, Unusable> {
    // First, so that what changes meanwhile is read again.
    let stamps = Stamps::of_upstream(tls);
    let (mut config, expires_unix_s) = client(tls)?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    let http1 = Arc::new(config.clone());
    let http2 = match tls.http2 {
        Http2::Never => Arc::clone(&http1),
        Http2::IfAgreed => {
            config.alpn_protocols.insert(0, H2.to_vec());
            Arc::new(config)
        }
    };
    Ok(Current {
        stamps,
        http1,
        http2,
        expires_unix_s,
    })
}

/// Trusts a file of roots, or the machine's own store; shows a certificate, if there is one, and
/// says when that expires.
fn client(tls: &UpstreamTls) -> Result<(ClientConfig, Option<u64>), Unusable> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.min))
        .map_err(Unusable::Library)?;
    let builder = match &tls.roots {
        Some(file) => builder.with_root_certificates(files::roots(file)?),
        None => builder
            .with_platform_verifier()
            .map_err(Unusable::Library)?,
    };
    let Some(identity) = &tls.identity else {
        return Ok((builder.with_no_client_auth(), None));
    };
    let (chain, key) = files::pair(&identity.cert, &identity.key)?;
    let expires = chain.first().and_then(|leaf| expiry::not_after(leaf));
    let chosen = builder.with_client_auth_cert(chain, key);
    let config = chosen.map_err(|cause| Unusable::Mismatch {
        cert: identity.cert.clone(),
        key: identity.key.clone(),
        cause,
    })?;
    Ok((config, expires))
}
