//! Callers and upstreams over TLS, HTTP/1.1.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version};

use crate::harness::peer::Seen;
use crate::harness::tls::Hello;
use crate::harness::upstream::ok;
use crate::harness::{Markers, Peer, Plans, Upstream, pull};

fn secure() -> Plans {
    Plans {
        tls: true,
        ..Plans::default()
    }
}

#[test]
fn a_caller_over_tls_is_served() {
    let body = r#"{"users":[{"sourcedId":"pupil-zzq-901","grade":7,"name":"Fenna-zzq"}]}"#;
    let house = secure().open(Upstream::json(body));
    let mut caller = Hello {
        protocols: &[b"http/1.1"],
        ..Hello::default()
    }
    .connect(&house)
    .unwrap();
    for _ in 0..2 {
        caller.send(pull("/pull/users"));
        let answer = caller.answer();
        assert_eq!(
            (answer.status(), &answer.json()["users"][0]["grade"]),
            (200, &7.into())
        );
    }
    let markers = Markers::of(&["pupil-zzq-901", "Fenna-zzq"]);
    house.search(
        &markers,
        &[("what the vendor got", &caller.seen.lock().unwrap())],
    );
}

#[test]
fn host_and_tls_name_must_agree() {
    let house = secure().open(Upstream::json("{}"));
    let mut caller = Hello {
        name: "other.example",
        ..Hello::default()
    }
    .connect(&house)
    .unwrap();
    caller.send(pull("/pull/users"));
    let answer = caller.answer();
    assert_eq!((answer.status(), &*answer.code()), (421, "host_unknown"));
    let mut caller = Hello {
        name: "127.0.0.1",
        ..Hello::default()
    }
    .connect(&house)
    .unwrap();
    caller.send(pull("/pull/users"));
    assert_eq!(
        caller.answer().status(),
        200,
        "an address is no name to disagree with"
    );
    assert_eq!(house.upstream.connections(), 1);
}

#[test]
fn tls_1_2_is_spoken_by_name_only() {
    let old = Hello {
        version: &version::TLS12,
        ..Hello::default()
    };
    let house = secure().open(Upstream::json("{}"));
    assert!(old.connect(&house).is_none());
    house.await_log("tls");
    let house = Plans {
        tls_min: r#"min = "1.2""#,
        ..secure()
    }
    .open(Upstream::json("{}"));
    let mut caller = old.connect(&house).unwrap();
    caller.send(pull("/pull/users"));
    assert_eq!(caller.answer().status(), 200);
}

#[test]
fn what_is_no_handshake_or_too_slow_a_one_is_let_go() {
    let limits = "tls-handshake = \"200ms\"".to_owned();
    let house = Plans { limits, ..secure() }.open(Upstream::json("{}"));
    let mut plain = house.caller();
    plain.send(pull("/pull/users"));
    plain.rest();
    house.await_log(r#""error.type":"tls""#);
    let mut silent = house.caller();
    assert!(silent.is_closed());
    house.await_log("tls_timeout");
    for fault in ["tls", "tls_timeout"] {
        let line = format!("sluis_connections_failed_total{{fault=\"{fault}\"}} 1\n");
        house.await_metric(&line);
    }
}

#[test]
fn an_upstream_over_tls_is_held_to_its_certificate() {
    let upstream = secure_upstream(ok(r#"{"grade":7,"name":"zzq"}"#));
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &upstream.1).unwrap();
    let flow = |name: &str, host: &str, tls: &str| {
        format!(
            r#"
[flow.{name}]
caller = "vendor"
at = "/{name}"
upstream = "https://{host}:{port}"
callers = "anyone"
allow-private = true
{tls}
[[flow.{name}.route]]
match = "GET /users"
to-vendor = "User"
"#,
            port = upstream.0.address.port()
        )
    };
    let ours = format!("upstream-tls = {{ roots = \"{}\" }}", roots.display());
    let more = [
        flow("right", "localhost", &ours),
        flow("wrong-name", "127.0.0.1", &ours),
        flow("wrong-root", "localhost", ""),
    ];
    let house = Plans {
        more: more.concat(),
        ..Plans::default()
    }
    .open(upstream.0);
    for _ in 0..3 {
        assert_eq!(house.ask(pull("/right/users")).text(), r#"{"grade":7}"#);
    }
    assert_eq!(house.upstream.connections(), 1, "kept, and looked at");
    for (path, cause) in [
        ("/wrong-name/users", "tls_certificate_wrong_name"),
        ("/wrong-root/users", "tls_certificate_unknown_issuer"),
    ] {
        let answer = house.ask(pull(path));
        assert_eq!(
            (answer.status(), &*answer.code()),
            (502, "upstream_unreachable"),
            "{path}"
        );
        house.await_log(&format!(r#""sluis.upstream.cause":"{cause}""#));
    }
}

#[test]
fn an_upstream_is_spoken_to_in_tls_1_2_by_name_only() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let config = with_pair(&pem, &key, (&[], &[&version::TLS12]));
    let upstream = speaking(config, ok(r#"{"grade":7,"name":"zzq"}"#));
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &pem).unwrap();
    let flow = |name: &str, min: &str| {
        format!(
            r#"
[flow.{name}]
caller = "vendor"
at = "/{name}"
upstream = "https://localhost:{port}"
callers = "anyone"
allow-private = true
upstream-tls = {{ roots = "{roots}"{min} }}
[[flow.{name}.route]]
match = "GET /users"
to-vendor = "User"
"#,
            port = upstream.address.port(),
            roots = roots.display(),
        )
    };
    let more = [flow("modern", ""), flow("by-name", r#", min = "1.2""#)];
    let house = Plans {
        more: more.concat(),
        ..Plans::default()
    }
    .open(upstream);
    let refused = house.ask(pull("/modern/users"));
    assert_eq!(
        (refused.status(), &*refused.code()),
        (502, "upstream_unreachable")
    );
    house.await_log(r#""sluis.upstream.cause":"tls_protocol_error""#);
    assert_eq!(house.ask(pull("/by-name/users")).text(), r#"{"grade":7}"#);
}

#[test]
fn what_is_wrong_with_an_upstreams_tls_is_told_in_the_log() {
    let mut of = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    of.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().unwrap();
    let pem = of.self_signed(&key).unwrap().pem();
    let key = key.serialize_pem();
    let config = with_pair(&pem, &key, (&[], rustls::DEFAULT_VERSIONS));
    let expired = Upstream::on_sockets(move |mut socket| {
        let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
        server.complete_io(&mut socket).unwrap_err();
    });
    let plain = Upstream::on_sockets(|mut socket| {
        socket.write_all(b"HTTP/1.1 400 Fenna-zzq\r\n\r\n").unwrap();
    });
    let closed = Upstream::on_sockets(drop);
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &pem).unwrap();
    for (upstream, cause) in [
        (expired, "tls_certificate_expired"),
        (plain, "tls_protocol_error"),
        (closed, "connection_terminated"),
    ] {
        let more = format!(
            r#"
[flow.secure]
caller = "vendor"
at = "/secure"
upstream = "https://localhost:{}"
callers = "anyone"
allow-private = true
upstream-tls = {{ roots = "{}" }}
[[flow.secure.route]]
match = "GET /users"
to-vendor = "User"
"#,
            upstream.address.port(),
            roots.display()
        );
        let house = Plans {
            more,
            ..Plans::default()
        }
        .open(upstream);
        let answer = house.ask(pull("/secure/users"));
        assert_eq!(answer.code(), "upstream_unreachable", "{cause}");
        house.await_log(&format!(r#""sluis.upstream.cause":"{cause}""#));
        let markers = Markers::of(&["Fenna-zzq"]);
        house.search(&markers, &[("what the caller got", &answer.body)]);
    }
}

#[test]
fn an_upstream_that_does_not_finish_its_handshake_is_given_up() {
    let upstream = Upstream::scripted(|_peer| std::thread::sleep(Duration::from_secs(5)));
    let more = format!(
        r#"
[flow.slow]
caller = "vendor"
at = "/slow"
upstream = "https://{}"
callers = "anyone"
[[flow.slow.route]]
match = "GET /users"
to-vendor = "User"
"#,
        upstream.address
    );
    let limits = "upstream-connect = \"200ms\"".to_owned();
    let house = Plans {
        more,
        limits,
        ..Plans::default()
    }
    .open(upstream);
    let answer = house.ask(pull("/slow/users"));
    assert_eq!(
        (answer.status(), &*answer.code()),
        (504, "upstream_timeout")
    );
    house.await_log(r#""sluis.upstream.cause":"connection_timeout""#);
}

/// An upstream over TLS that always gives that answer, and its certificate: for `localhost` only.
pub(crate) fn secure_upstream(answer: String) -> (Upstream, String) {
    let (config, pem) = server(&[]);
    (speaking(config, answer), pem)
}

/// An upstream over TLS that always gives that answer.
fn speaking(config: Arc<ServerConfig>, answer: String) -> Upstream {
    let seen = Seen::default();
    let their_seen = Arc::clone(&seen);
    let upstream = Upstream::on_sockets(move |mut socket| {
        let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
        if server.complete_io(&mut socket).is_err() {
            return;
        }
        let stream = StreamOwned::new(server, socket.try_clone().unwrap());
        let mut peer = Peer::through(socket, stream);
        peer.seen = Arc::clone(&their_seen);
        while peer.request().is_some() {
            peer.send(&answer);
        }
    });
    upstream.seen_in(seen)
}

/// What a server for `localhost` needs that speaks these protocols (ALPN), and its certificate.
pub(crate) fn server(protocols: &[&[u8]]) -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let config = with_pair(&pem, &key, (protocols, rustls::DEFAULT_VERSIONS));
    (config, pem)
}

/// What a server needs that has this certificate and speaks these protocols (ALPN), in these
/// versions of TLS.
fn with_pair(
    pem: &str,
    key: &str,
    (protocols, versions): (&[&[u8]], &[&'static SupportedProtocolVersion]),
) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}
