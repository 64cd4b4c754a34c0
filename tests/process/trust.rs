//! Whom the gateway trusts: where no file of roots is named, and once a file is another.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sluis::secret::sha256;

use crate::PUPILS;
use crate::gateway::{Files, Gateway, PATIENCE, PUPIL, Upstream, answer, get, status, until};

/// `SSL_CERT_FILE` is where the machine's own store is looked for, before its usual places.
#[test]
fn an_upstream_is_trusted_if_the_machines_own_store_vouches_for_it() {
    let (upstream, pem) = secure();
    let files = Files::new(upstream, "");
    let plain = format!("upstream = \"http://{upstream}\"");
    let port = upstream.port();
    let secure = format!("upstream = \"https://localhost:{port}\"\nallow-private = true");
    let vendor = "schools/proef/vendors/bron.toml";
    let text = fs::read_to_string(files.path().join(vendor)).unwrap();
    assert!(text.contains(&plain));
    files.write(vendor, &text.replace(&plain, &secure));
    files.write("ours.pem", &pem);
    files.write("others.pem", &certificate().0);
    for (store, expected) in [("ours.pem", 200), ("others.pem", 502)] {
        let mut command: Command = files.command(&["serve"]);
        command.env("SSL_CERT_FILE", files.path().join(store));
        let gateway = Gateway::spawn(command, files.admin);
        gateway.wait_for("process.ready");
        let answer = get(files.public, PUPILS).unwrap();
        assert_eq!(status(&answer), expected, "{store}: {answer}");
        assert!(!answer.contains("Noor-Marker"), "{answer}");
        gateway.signal(Signal::INT);
        let (code, log) = gateway.end();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(log.contains("tls_certificate"), expected == 502, "{log}");
    }
}

/// A connection that was open before goes on; the flow knows both callers all the time.
#[test]
fn callers_are_vouched_for_by_the_authority_that_lies_in_the_file_now() {
    let upstream = Upstream::prompt();
    let files = Files::new(upstream, "");
    let (pem, key) = certificate();
    files.write("server.pem", &pem);
    files.write("server.key", &key);
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(files.path().join("server.key"), private).unwrap();
    let [old, new] = [(); 2].map(|()| Caller::new(files.public, &pem));
    files.write("clients.pem", &old.authority);
    let tls = "tls = { cert = \"server.pem\", key = \"server.key\", client-ca = \"clients.pem\" }";
    replace(
        &files,
        "sluis.toml",
        ("[listen]", &format!("[listen]\n{tls}")),
    );
    let listed = [&old, &new].map(|it| format!("{{ client-cert-sha256 = \"{}\" }}", it.digest));
    let callers = format!("callers = [{}]", listed.join(", "));
    let vendor = "schools/proef/vendors/bron.toml";
    replace(&files, vendor, ("callers = \"anyone\"", &callers));

    let gateway = files.serve();
    let mut open = old.connect();
    assert_eq!(ask(&mut open), Some(200));
    new.assert_refused();
    // What it remembers of its handshake would spare it the next one.
    let mut again = old.connect();
    assert_eq!(ask(&mut again), Some(200));
    assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed));

    files.write("clients.pem", &new.authority);
    let served = until(|| ask(&mut new.connect()).filter(|status| *status == 200));
    assert!(served.is_some(), "without a signal");
    old.assert_refused();
    assert_eq!(ask(&mut open), Some(200));

    files.write("clients.pem", &old.authority);
    gateway.signal(Signal::HUP);
    gateway.wait_for("config.reloaded");
    new.assert_refused();
    assert_eq!(ask(&mut old.connect()), Some(200));
    gateway.signal(Signal::INT);
    assert_eq!(gateway.end().0, Some(0));
}

/// Has something else in a file, once.
fn replace(files: &Files, file: &str, (what, by): (&str, &str)) {
    let text = fs::read_to_string(files.path().join(file)).unwrap();
    assert_eq!(text.matches(what).count(), 1);
    files.write(file, &text.replace(what, by));
}

/// Who calls with a certificate, and the one authority that vouches for that.
struct Caller {
    authority: String,
    digest: String,
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Caller {
    /// One who trusts a gateway with that certificate.
    fn new(address: SocketAddr, server: &str) -> Self {
        let mut of = CertificateParams::new(Vec::new()).unwrap();
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = of.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(of, key);
        let key = KeyPair::generate().unwrap();
        let of = CertificateParams::new(vec!["caller".to_owned()]).unwrap();
        let shown = of.signed_by(&key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        let server = CertificateDer::from_pem_slice(server.as_bytes()).unwrap();
        roots.add(server).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![shown.der().clone()], key);
        Self {
            authority,
            digest: data_encoding::HEXLOWER.encode(sha256(shown.der()).expose()),
            address,
            config: Arc::new(config.unwrap()),
        }
    }

    /// Its end of the handshake: in TLS 1.3 it hears only then what the gateway makes of it.
    fn connect(&self) -> Connection {
        let name = ServerName::from(self.address.ip());
        let mut client = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        client.complete_io(&mut socket).unwrap();
        StreamOwned::new(client, socket)
    }

    fn assert_refused(&self) {
        let told = self.connect().read(&mut [0]).unwrap_err();
        let told = told.get_ref().and_then(|it| it.downcast_ref());
        let strange = rustls::Error::AlertReceived(AlertDescription::DecryptError);
        assert_eq!(told, Some(&strange));
    }
}

/// The status of what is answered to a request on a connection that is kept, if it is.
fn ask(connection: &mut Connection) -> Option<u16> {
    let host = connection.sock.peer_addr().ok()?;
    let head = format!("GET {PUPILS} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    connection.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    while !answer.ends_with("}]}") {
        let mut some = [0; 4_096];
        let length = connection
            .read(&mut some)
            .ok()
            .filter(|length| *length > 0)?;
        answer.push_str(std::str::from_utf8(&some[..length]).unwrap());
    }
    assert!(!answer.contains("Noor-Marker"), "{answer}");
    Some(status(&answer))
}

/// A certificate for `localhost` and loopback, and its key.
fn certificate() -> (String, String) {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A school's API over TLS, and its certificate.
fn secure() -> (SocketAddr, String) {
    let (pem, key) = certificate();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let server = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(server, socket.unwrap());
            thread::spawn(move || answer(stream, PUPIL, || true));
        }
    });
    (address, pem)
}
