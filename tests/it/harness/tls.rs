//! Callers over TLS.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore, StreamOwned, version};

use super::{House, Peer};

/// What a caller says in its handshake.
#[derive(Clone, Copy)]
pub(crate) struct Hello<'a> {
    /// The name it asks for (SNI).
    pub(crate) name: &'a str,
    /// The protocols it speaks (ALPN).
    pub(crate) protocols: &'a [&'a [u8]],
    /// The newest version of TLS it speaks, as in 1.2.
    pub(crate) version: &'static rustls::SupportedProtocolVersion,
    /// The certificate that it shows.
    pub(crate) identity: Option<&'a Identity>,
}

/// A certificate and its key, made for a test.
pub(crate) struct Identity {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    /// SHA-256 of the certificate in DER, as a vendor's file names it.
    pub(crate) digest: String,
}

/// Who vouches for certificates of callers, or of us.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut of = CertificateParams::new(Vec::new()).unwrap();
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            pem: of.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(of, key),
        }
    }

    /// A certificate with a key of its own.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let of = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let made = of.signed_by(&key, &self.issuer).unwrap();
        Identity {
            pem: made.pem(),
            key_pem: key.serialize_pem(),
            digest: super::digest_of(made.der()),
        }
    }
}

impl Default for Hello<'_> {
    fn default() -> Self {
        Self {
            name: super::HOST,
            protocols: &[],
            version: &version::TLS13,
            identity: None,
        }
    }
}

impl Hello<'_> {
    /// The client's configuration, which trusts the house's certificate only.
    pub(crate) fn config(self, house: &House) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let pem = house.folder.path().join("server.pem");
        roots
            .add(CertificateDer::from_pem_file(pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let leaf = CertificateDer::from_pem_slice(identity.pem.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![leaf], key).unwrap()
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// Connects; `None` if the handshake fails.
    pub(crate) fn connect(self, house: &House) -> Option<Peer> {
        self.shake(house).map(|(_, peer)| peer)
    }

    /// Connects, and says how the keys were agreed on.
    pub(crate) fn agree(self, house: &House) -> (NamedGroup, Peer) {
        self.shake(house).unwrap()
    }

    fn shake(self, house: &House) -> Option<(NamedGroup, Peer)> {
        let name = ServerName::try_from(self.name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(self.config(house)), name).unwrap();
        let mut socket = TcpStream::connect(house.address).unwrap();
        client.complete_io(&mut socket).ok()?;
        let group = client.negotiated_key_exchange_group()?.name();
        let stream = StreamOwned::new(client, socket.try_clone().unwrap());
        Some((group, Peer::through(socket, stream).kept(house.address)))
    }
}
