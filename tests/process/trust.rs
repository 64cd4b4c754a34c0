//! Whom the gateway trusts where no file of roots is named.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::PUPILS;
use crate::gateway::{Files, Gateway, PUPIL, answer, get, status};

/// `SSL_CERT_FILE` is where the machine's own store is looked for, before its usual places.
#[test]
fn an_upstream_is_trusted_if_the_machines_own_store_vouches_for_it() {
    let (upstream, pem) = secure();
    let files = Files::new(upstream, "");
    let plain = format!("upstream = \"http://{upstream}\"");
    let port = upstream.port();
    let secure = format!("upstream = \"https://localhost:{port}\"\nallow-private = true");
    let vendor = "schools/proef/vendors/bron.toml";
    let text = std::fs::read_to_string(files.path().join(vendor)).unwrap();
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

/// A certificate for `localhost`, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
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
