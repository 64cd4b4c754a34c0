//! Certificates of callers, of ours towards upstreams, and what a handshake agrees on.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{NamedGroup, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::h2_out::{BOTH, Then, serve_frames, whole};
use crate::harness::tls::{Authority, Hello, Identity};
use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, PULL_TOKEN, Peer, Plans, Upstream, digest_of};
use crate::harness::{pull, write_key};

/// A flow at `/NAME` that knows one certificate.
fn flow(name: &str, upstream: &Upstream, callers: &str) -> String {
    format!(
        r#"
[flow.{name}]
caller = "vendor"
at = "/{name}"
upstream = "http://{}"
callers = [{callers}]
[[flow.{name}.route]]
match = "GET /users"
to-vendor = {{ users = "User[]" }}
"#,
        upstream.address
    )
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
}

/// What a caller that shows that certificate is answered.
fn ask(house: &House, identity: Option<&Identity>, request: &str) -> (u16, String) {
    let hello = Hello {
        identity,
        ..Hello::default()
    };
    let mut caller = hello.connect(house).unwrap();
    caller.send(request);
    let answer = caller.answer();
    let code = match answer.status() {
        200 => answer.text().to_owned(),
        _ => answer.code(),
    };
    (answer.status(), code)
}

#[test]
fn a_caller_is_known_by_its_certificate_where_it_is_listed_and_nowhere_else() {
    let authority = Authority::new();
    let [ours, theirs, strange] =
        ["ours", "theirs", "strange"].map(|name| authority.identity(name));
    let upstream = Upstream::json(r#"{"users":[{"sourcedId":"pupil-zzq-1","name":"Fenna-zzq"}]}"#);
    let listed = |it: &Identity| format!("{{ client-cert-sha256 = \"{}\" }}", it.digest);
    let mixed = format!(
        "{{ token-sha256 = \"{}\" }}, {}",
        digest_of(PULL_TOKEN.as_bytes()),
        listed(&ours)
    );
    let second = format!(
        "[ids.pupil]\n{}[shape.User]\nsourcedId = \"pupil\"\n",
        flow("two", &upstream, &listed(&theirs))
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("clients.pem"), &authority.pem).unwrap();
    let house = Plans {
        tls: true,
        tls_min: r#"client-ca = "clients.pem""#,
        more: flow("one", &upstream, &mixed),
        second: Some(second.leak()),
        ..Plans::default()
    }
    .open_in(folder, upstream);

    let served = ask(&house, Some(&ours), &get("/one/users"));
    assert!(
        served.0 == 200 && served.1.contains("sourcedId"),
        "{served:?}"
    );
    let refused = |identity, request: &str| ask(&house, identity, request);
    let forbidden = (403, "caller_forbidden".to_owned());
    let unknown = (401, "caller_unauthenticated".to_owned());
    assert_eq!(refused(Some(&theirs), &get("/one/users")), forbidden);
    // That of one vendor opens nothing of another.
    assert_eq!(refused(Some(&ours), &get("/two/users")), forbidden);
    assert_eq!(refused(Some(&theirs), &get("/two/users")).0, 200);
    assert_eq!(refused(Some(&strange), &get("/one/users")), unknown);
    assert_eq!(refused(None, &get("/one/users")), unknown);
    // A token opens its flow with or without a certificate, and no other.
    for identity in [None, Some(&theirs)] {
        assert_eq!(refused(identity, &pull("/one/users")).0, 200);
        assert_eq!(refused(identity, &pull("/pull/users")).0, 200);
    }
    assert_eq!(refused(None, &pull("/two/users")), forbidden);

    let self_made = Authority::new().identity("ours");
    let hello = Hello {
        identity: Some(&self_made),
        ..Hello::default()
    };
    // TLS 1.3: the caller hears of it when it reads.
    if let Some(mut caller) = hello.connect(&house) {
        let sent = caller.try_send(get("/one/users"));
        assert!(sent.is_err() || caller.is_closed());
    }
    house.await_log(r#""error.type":"tls""#);
    let markers = Markers::of(&["pupil-zzq-1", "Fenna-zzq"]);
    house.search(&markers, &[("what a caller got", served.1.as_bytes())]);
}

#[test]
fn every_answer_over_tls_asks_for_tls_the_next_time_too() {
    const LINE: &str = "\r\nstrict-transport-security: max-age=31536000\r\n";
    for tls in [true, false] {
        let plans = Plans {
            tls,
            ..Plans::default()
        };
        let house = plans.open(Upstream::json("{}"));
        for path in ["/pull/users", "/nothing/there"] {
            let mut caller = match tls {
                true => Hello::default().connect(&house).unwrap(),
                false => house.caller(),
            };
            caller.send(pull(path));
            assert_eq!(caller.answer().head.contains(LINE), tls, "{path}");
        }
    }
}

fn answer(stream: u32, peer: &mut Peer) -> Then {
    peer.send(whole(stream, r#"{"grade":7}"#));
    Then::GoOn
}

/// An upstream over TLS that asks who calls, and remembers who did and what the handshake agreed on.
struct Asking {
    upstream: Upstream,
    pem: String,
    seen: Arc<Mutex<Vec<(String, NamedGroup)>>>,
}

impl Asking {
    fn new(authority: &Authority) -> Self {
        Self::speaking(authority, &[])
    }

    /// The same, which speaks these protocols (ALPN).
    fn speaking(authority: &Authority, protocols: &[&[u8]]) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = made.signing_key.serialize_pem();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            );
        let mut config = config.unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let (config, seen) = (Arc::new(config), Arc::<Mutex<Vec<_>>>::default());
        let noted = Arc::clone(&seen);
        let upstream = Upstream::on_sockets(move |mut socket| {
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            if server.complete_io(&mut socket).is_err() {
                return;
            }
            let shown = digest_of(&server.peer_certificates().unwrap()[0]);
            let group = server.negotiated_key_exchange_group().unwrap().name();
            noted.lock().unwrap().push((shown, group));
            let is_http2 = server.alpn_protocol() == Some(b"h2");
            let stream = StreamOwned::new(server, socket.try_clone().unwrap());
            let mut peer = Peer::through(socket, stream);
            if is_http2 {
                return serve_frames(peer, answer);
            }
            if peer.request().is_some() {
                // Every request has a handshake of its own.
                let closing = ok(r#"{"grade":7}"#).replacen("\r\n", "\r\nconnection: close\r\n", 1);
                peer.send(closing);
            }
        });
        Self {
            upstream,
            pem,
            seen,
        }
    }

    /// A flow whose upstream this is.
    fn flow(&self, name: &str, folder: &Path, auth: &str) -> String {
        format!(
            r#"
[flow.{name}]
caller = "vendor"
at = "/{name}"
upstream = "https://localhost:{port}"
callers = [{{ token-sha256 = "{token}" }}]
allow-private = true
upstream-tls = {{ roots = "{roots}" }}
{auth}
[[flow.{name}.route]]
match = "GET /users"
to-vendor = "User"
"#,
            port = self.upstream.address.port(),
            token = digest_of(PULL_TOKEN.as_bytes()),
            roots = folder.join("roots.pem").display(),
        )
    }
}

fn write(folder: &Path, identity: &Identity) {
    fs::write(folder.join("us.pem"), &identity.pem).unwrap();
    write_key(&folder.join("us.key"), &identity.key_pem);
}

#[test]
fn an_upstream_is_shown_our_certificate_and_the_next_one_once_that_is_there_whole() {
    let authority = Authority::new();
    let asking = Asking::new(&authority);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("roots.pem"), &asking.pem).unwrap();
    let first = authority.identity("first");
    write(path, &first);
    let auth = format!(
        "upstream-auth = {{ client-cert = \"{0}/us.pem\", client-key = \"{0}/us.key\" }}",
        path.display()
    );
    let more = [
        asking.flow("shown", path, &auth),
        asking.flow("nameless", path, ""),
    ];
    let seen = Arc::clone(&asking.seen);
    let house = Plans {
        more: more.concat(),
        ..Plans::default()
    }
    .open(asking.upstream);
    let shown = || seen.lock().unwrap().last().unwrap().0.clone();
    let ask = |path: &str| house.ask(pull(path)).status();

    assert_eq!((ask("/shown/users"), shown()), (200, first.digest.clone()));
    assert_eq!(ask("/nameless/users"), 502, "it asks, and gets none");
    let second = authority.identity("second");
    fs::write(path.join("us.pem"), &second.pem).unwrap();
    assert_eq!(
        (ask("/shown/users"), shown()),
        (200, first.digest),
        "half of it"
    );
    write_key(&path.join("us.key"), &second.key_pem);
    assert_eq!((ask("/shown/users"), shown()), (200, second.digest.clone()));
    fs::write(path.join("us.pem"), "nothing here").unwrap();
    assert_eq!((ask("/shown/users"), shown()), (200, second.digest));
}

#[test]
fn handshakes_on_both_sides_are_post_quantum() {
    let authority = Authority::new();
    let asking = Asking::new(&authority);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("roots.pem"), &asking.pem).unwrap();
    write(folder.path(), &authority.identity("us"));
    let auth = format!(
        "upstream-auth = {{ client-cert = \"{0}/us.pem\", client-key = \"{0}/us.key\" }}",
        folder.path().display()
    );
    let seen = Arc::clone(&asking.seen);
    let house = Plans {
        tls: true,
        more: asking.flow("shown", folder.path(), &auth),
        ..Plans::default()
    }
    .open(asking.upstream);
    let (group, mut caller) = Hello::default().agree(&house);
    caller.send(pull("/shown/users"));
    assert_eq!(caller.answer().status(), 200);
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(seen.lock().unwrap()[0].1, NamedGroup::X25519MLKEM768);
}

#[test]
fn an_upstream_over_http2_is_shown_our_certificate_too() {
    let authority = Authority::new();
    let asking = Asking::speaking(&authority, BOTH);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("roots.pem"), &asking.pem).unwrap();
    let ours = authority.identity("us");
    write(path, &ours);
    let auth = format!(
        "upstream-auth = {{ client-cert = \"{0}/us.pem\", client-key = \"{0}/us.key\" }}",
        path.display()
    );
    let more = [
        asking.flow("shown", path, &auth),
        asking.flow("nameless", path, ""),
    ];
    let seen = Arc::clone(&asking.seen);
    let house = Plans {
        more: more.concat(),
        ..Plans::default()
    }
    .open(asking.upstream);
    for _ in 0..2 {
        let got = house.ask(pull("/shown/users"));
        assert_eq!((got.status(), got.text()), (200, r#"{"grade":7}"#));
    }
    assert_eq!(house.upstream.connections(), 1, "kept");
    // Not by the connection that another flow has.
    assert_eq!(house.ask(pull("/nameless/users")).status(), 502);
    let shown = seen
        .lock()
        .unwrap()
        .iter()
        .map(|it| it.0.clone())
        .collect::<Vec<_>>();
    assert_eq!(shown, [ours.digest]);
}
