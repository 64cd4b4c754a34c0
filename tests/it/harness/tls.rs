//! Callers over TLS.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};

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
}

impl Default for Hello<'_> {
    fn default() -> Self {
        Self {
            name: super::HOST,
            protocols: &[],
            version: &version::TLS13,
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
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// Connects; `None` if the handshake fails.
    pub(crate) fn connect(self, house: &House) -> Option<Peer> {
        let name = ServerName::try_from(self.name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(self.config(house)), name).unwrap();
        let mut socket = TcpStream::connect(house.address).unwrap();
        client.complete_io(&mut socket).ok()?;
        let stream = StreamOwned::new(client, socket.try_clone().unwrap());
        Some(Peer::through(socket, stream))
    }
}
