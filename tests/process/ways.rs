//! The ways in which callers reach a gateway: HTTP/1.1, the same over TLS, and HTTP/2.
//!
//! Requests and answers are written as HTTP/1.1 has them, whatever way they go.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::days::callers::{Caller, Wire, get, patient, secured};
use crate::gateway::{Files, PATIENCE, assert_nothing_made_up};

/// Requests at once on a connection over HTTP/2.
const STREAMS: usize = 4;

/// Where a caller asks, and how.
#[derive(Clone)]
pub(crate) struct Line {
    address: SocketAddr,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Plain,
    Tls(Arc<ClientConfig>),
    Http2(Arc<ClientConfig>),
}

/// The one line to a gateway that speaks no TLS.
pub(crate) fn plain(files: &Files) -> Vec<Line> {
    vec![Line::plain(files.public)]
}

/// Has a gateway speak TLS from its start on, and gives the lines to it.
pub(crate) fn secure(files: &Files) -> Vec<Line> {
    certificate(files.path());
    for (file, from, to) in [
        ("sluis.toml", "[listen]", TLS),
        ("schools/proef/school.toml", "http://", "https://"),
    ] {
        let text = fs::read_to_string(files.path().join(file)).unwrap();
        assert!(text.contains(from));
        files.write(file, &text.replace(from, to));
    }
    over_tls(files)
}

/// The lines to a gateway that speaks TLS: HTTP/1.1 and HTTP/2.
pub(crate) fn over_tls(files: &Files) -> Vec<Line> {
    let agreeing = |protocol: &[u8]| {
        let mut config = trusting(files.path());
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    };
    let ways = [Way::Tls(agreeing(b"http/1.1")), Way::Http2(agreeing(b"h2"))];
    let address = files.public;
    ways.map(|way| Line { address, way }).into()
}

const TLS: &str = "[listen]\ntls = { cert = \"server.pem\", key = \"server.key\" }";

/// A certificate that no jump of a clock ends.
pub(crate) fn certificate(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut of = rcgen::CertificateParams::new(names).unwrap();
    of.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let (pem, key) = (of.self_signed(&key).unwrap().pem(), key.serialize_pem());
    for (file, text) in [
        ("both.pem", pem.clone() + &key),
        ("server.pem", pem),
        ("server.key", key),
    ] {
        fs::write(folder.join(file), text).unwrap();
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.join(file), private).unwrap();
    }
}

/// Whoever trusts the certificate in that folder only.
pub(crate) fn trusting(folder: &Path) -> ClientConfig {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = ClientConfig::builder().with_root_certificates(roots);
    trusting.with_no_client_auth()
}

impl Line {
    pub(crate) fn plain(address: SocketAddr) -> Self {
        let way = Way::Plain;
        Self { address, way }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn get(&self, path: &str) -> String {
        get(self.address, path)
    }

    /// How many requests a caller sends at once.
    pub(crate) fn at_once(&self) -> usize {
        match self.way {
            Way::Plain | Way::Tls(_) => 1,
            Way::Http2(_) => STREAMS,
        }
    }

    /// Whether an answer can say that it is the last one on its connection.
    pub(crate) fn says_close(&self) -> bool {
        !matches!(self.way, Way::Http2(_))
    }

    pub(crate) fn connect(&self) -> Connection {
        let socket = TcpStream::connect(self.address).expect("refused");
        match &self.way {
            Way::Plain | Way::Tls(_) => {
                let wire = self.wire(patient(socket));
                Connection::Lines(Caller::through(wire, self.address))
            }
            Way::Http2(tls) => Connection::Streams(Streams::new(socket, tls)),
        }
    }

    /// What bytes of HTTP/1.1 are written to.
    pub(crate) fn wire(&self, socket: TcpStream) -> Box<dyn Wire> {
        match &self.way {
            Way::Plain => Box::new(socket),
            Way::Tls(tls) => Box::new(secured(socket, tls)),
            Way::Http2(_) => panic!("frames are no lines"),
        }
    }
}

/// A caller's connection.
pub(crate) enum Connection {
    Lines(Caller),
    Streams(Streams),
}

impl Connection {
    /// As [`ask_all`](Self::ask_all), of one.
    pub(crate) fn ask(&mut self, request: &str) -> Option<String> {
        self.ask_all(&[request.to_owned()]).remove(0)
    }

    /// Sends requests, all at once where that can be, and gives their answers or what came instead;
    /// `None` of what was not sent, because the other end had said farewell (GOAWAY).
    pub(crate) fn ask_all(&mut self, requests: &[String]) -> Vec<Option<String>> {
        let answers: Vec<_> = match self {
            Self::Lines(caller) => requests.iter().map(|it| Some(caller.ask(it))).collect(),
            Self::Streams(streams) => streams.ask_all(requests),
        };
        for answer in answers.iter().flatten() {
            assert_nothing_made_up("what a caller got", answer);
        }
        answers
    }

    /// Sends a request, and goes away after a moment, whatever has come by then.
    pub(crate) fn abandon(self, request: &str, moment: Duration) {
        match self {
            Self::Lines(mut caller) => {
                caller.begin(request);
                std::thread::sleep(moment);
            }
            Self::Streams(streams) => streams.abandon(request, moment),
        }
    }
}

/// A connection over HTTP/2.
pub(crate) struct Streams {
    runtime: Runtime,
    requests: SendRequest<Full<Bytes>>,
    ends: Option<JoinHandle<hyper::Result<()>>>,
}

impl Streams {
    fn new(socket: TcpStream, tls: &Arc<ClientConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let name = ServerName::from(socket.peer_addr().unwrap().ip());
        let begin = async {
            socket.set_nonblocking(true).unwrap();
            let socket = tokio::net::TcpStream::from_std(socket).unwrap();
            socket.set_nodelay(true).unwrap();
            let tls = TlsConnector::from(Arc::clone(tls));
            let stream = tls.connect(name, socket).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let client = http2::Builder::new(TokioExecutor::new());
            let (requests, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
            (requests, tokio::spawn(connection))
        };
        let begun = runtime.block_on(async { timeout(PATIENCE, begin).await });
        let (requests, ends) = begun.unwrap();
        Self {
            runtime,
            requests,
            ends: Some(ends),
        }
    }

    fn ask_all(&mut self, requests: &[String]) -> Vec<Option<String>> {
        let answers = self.runtime.block_on(async {
            let ask = |it: &String| tokio::spawn(exchange(self.requests.clone(), read(it)));
            let asked: Vec<_> = requests.iter().map(ask).collect();
            let mut answers = Vec::new();
            for asked in asked {
                answers.push(timeout(PATIENCE, asked).await.unwrap().unwrap());
            }
            answers
        });
        let sent_away = answers.iter().any(Option::is_none);
        if let Some(ends) = self.ends.take_if(|_| sent_away) {
            let end = self.runtime.block_on(ends).unwrap();
            end.expect("it ended without a farewell");
        }
        answers
    }

    fn abandon(self, request: &str, moment: Duration) {
        let asked = exchange(self.requests.clone(), read(request));
        self.runtime.block_on(async {
            timeout(moment, asked).await.map(drop).unwrap_or_default();
            // So that it is told (RST_STREAM).
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
    }
}

/// A request, read as HTTP/1.1 has it.
fn read(request: &str) -> Request<Full<Bytes>> {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let (first, lines) = head.split_once("\r\n").unwrap();
    let [method, path, _] = first.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let lines = lines.lines().map(|it| it.split_once(": ").unwrap());
    let (host, lines): (Vec<_>, Vec<_>) = lines.partition(|(name, _)| *name == "host");
    let target = format!("https://{}{path}", host[0].1);
    let request = Request::builder().method(method).uri(target);
    let request = { lines.into_iter() }
        .filter(|(name, _)| *name != "connection")
        .fold(request, |it, (name, value)| it.header(name, value));
    request.body(Full::from(body.to_owned())).unwrap()
}

/// Asks; `None` if that was not sent.
async fn exchange(
    mut requests: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Option<String> {
    let answer = match requests.try_send_request(request).await {
        Ok(answer) => answer,
        Err(mut lost) => {
            let given_back = lost.take_message().is_some();
            return (!given_back).then(|| format!("lost: {:?}", lost.into_error()));
        }
    };
    let mut text = format!("HTTP/1.1 {}\r\n", answer.status());
    for (name, value) in answer.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += "\r\n";
    match answer.into_body().collect().await {
        Ok(body) => text += std::str::from_utf8(&body.to_bytes()).unwrap(),
        Err(broken) => text = format!("broken off: {broken:?}"),
    }
    Some(text)
}
