//! Callers over HTTP/2.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::peer::Seen;
use crate::harness::tls::Hello;
use crate::harness::upstream::ok;
use crate::harness::{
    HOST, House, Markers, PULL_TOKEN, PUSH_TOKEN, Plans, Upstream, assert_looked_at, keep,
};

/// What a school has, and what of it goes on.
const USERS: &str = r#"{"users":[{"name":"Fenna-zzq"}]}"#;
const CLEARED: &str = r#"{"users":[{}]}"#;
/// One of many pupils of a school, and what of it goes on.
const PUPIL: &str = r#"{"grade":7,"name":"Fenna-zzq"},"#;
const CLEARED_PUPIL: &str = r#"{"grade":7},"#;

fn open(upstream: Upstream) -> House {
    Plans {
        tls: true,
        ..Plans::default()
    }
    .open(upstream)
}

/// Runs it in this thread, and not for ever.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), future)
            .await
            .unwrap()
    })
}

async fn connect(house: &House) -> SendRequest<Full<Bytes>> {
    connect_with(house, &http2::Builder::new(TokioExecutor::new())).await
}

/// One end of a connection, of which every byte that comes is kept.
pub(crate) struct Tapped<S> {
    stream: S,
    pub(crate) came: Seen,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        let new = &into.filled()[before..];
        self.came.lock().unwrap().extend_from_slice(new);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection over TLS on which HTTP/2 was agreed on, which the leak search looks at.
pub(crate) async fn agreed(house: &House) -> Tapped<TlsStream<TcpStream>> {
    let hello = Hello {
        protocols: &[b"h2", b"http/1.1"],
        ..Hello::default()
    };
    let tls = tokio_rustls::TlsConnector::from(Arc::new(hello.config(house)));
    let socket = TcpStream::connect(house.address).await.unwrap();
    let stream = tls
        .connect(ServerName::try_from(HOST).unwrap(), socket)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let came = Seen::default();
    keep(house.address, &Seen::default(), &came);
    Tapped { stream, came }
}

async fn connect_with(
    house: &House,
    client: &http2::Builder<TokioExecutor>,
) -> SendRequest<Full<Bytes>> {
    let made = client.handshake(TokioIo::new(agreed(house).await)).await;
    let (requests, connection) = made.unwrap();
    tokio::spawn(connection);
    requests
}

pub(crate) fn request(method: &str, path: &str, token: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("https://{HOST}{path}"))
        .header("authorization", format!("Bearer {token}"))
}

async fn text(answer: Response<Incoming>) -> (u16, String) {
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn what_a_caller_over_http2_got_is_found_when_the_house_goes() {
    let plans = Plans {
        tls: true,
        ..Plans::default()
    };
    assert_looked_at(plans, |house| {
        run(async {
            let get = request("GET", "/pull/users", PULL_TOKEN).body(Full::default());
            let answer = connect(house).await.send_request(get.unwrap()).await;
            assert_eq!(text(answer.unwrap()).await.0, 200);
        });
    });
}

#[test]
fn both_flows_go_over_one_connection() {
    let roster = r#"{"users":[{"sourcedId":"pupil-zzq-901","grade":7,"name":"Fenna-zzq"}]}"#;
    let house = open(Upstream::scripted(move |peer| {
        while let Some(request) = peer.request() {
            let body = if request.head.starts_with("GET") {
                roster
            } else {
                r#"{"id":"r-1"}"#
            };
            peer.send(ok(body));
        }
    }));
    let got = run(async {
        let mut requests = connect(&house).await;
        let get = request("GET", "/pull/users", PULL_TOKEN)
            .body(Full::default())
            .unwrap();
        let answer = requests.send_request(get).await.unwrap();
        let mut names: Vec<_> = answer
            .headers()
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "cache-control",
                "content-length",
                "content-type",
                "date",
                "strict-transport-security",
                "via"
            ]
        );
        let again = &answer.headers()["strict-transport-security"];
        assert_eq!(again, "max-age=31536000");
        let pulled = text(answer).await;
        let post = request("POST", "/push/users", PUSH_TOKEN)
            .header("content-type", "application/json")
            .body(Full::from(roster))
            .unwrap();
        let pushed = text(requests.send_request(post).await.unwrap()).await;
        assert_eq!(pushed, (200, r#"{"id":"r-1"}"#.to_owned()));
        pulled
    });
    assert_eq!(got.0, 200);
    let markers = Markers::of(&["pupil-zzq-901", "Fenna-zzq"]);
    house.search(
        &markers,
        &[
            ("what the pulling vendor got", got.1.as_bytes()),
            (
                "what the vendor that is pushed to got",
                &house.upstream.received(),
            ),
        ],
    );
}

#[test]
fn many_requests_at_once_do_not_get_crossed() {
    let house = open(Upstream::scripted(|peer| {
        while let Some(request) = peer.request() {
            let limit = request.head.split(['=', ' ']).nth(2).unwrap().to_owned();
            std::thread::sleep(Duration::from_millis(5));
            let users = format!(r#"{{"users":[{{"grade":{limit},"name":"Fenna-zzq"}}]}}"#);
            peer.send(ok(&users));
        }
    }));
    run(async {
        let requests = connect(&house).await;
        let each = (0..100).map(|number| {
            let mut requests = requests.clone();
            tokio::spawn(async move {
                let path = format!("/pull/users?limit={number}");
                let get = request("GET", &path, PULL_TOKEN)
                    .body(Full::default())
                    .unwrap();
                let got = text(requests.send_request(get).await.unwrap()).await;
                assert_eq!(got, (200, format!(r#"{{"users":[{{"grade":{number}}}]}}"#)));
            })
        });
        for task in each.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_refusal_ends_the_stream_and_not_the_connection() {
    let house = open(Upstream::json(USERS));
    run(async {
        let mut requests = connect(&house).await;
        let large = Full::from("Fenna-zzq ".repeat(100_000));
        let bad = request("POST", "/push/users", PUSH_TOKEN)
            .body(large)
            .unwrap();
        let answer = requests.send_request(bad).await.unwrap();
        assert_eq!(answer.status(), 415);
        assert!(answer.headers().get("connection").is_none());
        let get = request("GET", "/pull/users", PULL_TOKEN)
            .body(Full::default())
            .unwrap();
        let answer = requests.send_request(get).await.unwrap();
        assert_eq!(text(answer).await, (200, CLEARED.to_owned()));
    });
}

#[test]
fn host_and_authority_must_agree() {
    let house = open(Upstream::json(USERS));
    run(async {
        let mut requests = connect(&house).await;
        for uri in [
            "https://other.example/pull/users",
            "http://school.example/pull/users",
        ] {
            let get = request("GET", "/", PULL_TOKEN)
                .uri(uri)
                .header("x-caller", "Fenna-zzq")
                .body(Full::default())
                .unwrap();
            assert_eq!(
                requests.send_request(get).await.unwrap().status(),
                421,
                "{uri}"
            );
        }
        let host = request("GET", "/pull/users", PULL_TOKEN).header("host", "zzq.example");
        let get = host.body(Full::default()).unwrap();
        assert_eq!(requests.send_request(get).await.unwrap().status(), 421);
    });
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_fault_after_the_window_resets_the_stream() {
    let mut body = String::from(r#"{"users":["#);
    body += &PUPIL.repeat(60_000);
    body += "]}";
    let house = open(Upstream::answering(ok(&body)));
    run(async {
        let mut requests = connect(&house).await;
        let get = request("GET", "/pull/users", PULL_TOKEN)
            .body(Full::default())
            .unwrap();
        let answer = requests.send_request(get).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(
            answer.into_body().collect().await.is_err(),
            "a cut answer looks whole"
        );
    });
    house.await_log("aborted");
}

#[test]
fn a_stream_that_is_not_read_is_let_go() {
    let body = format!(r#"{{"users":[{}{{}}]}}"#, PUPIL.repeat(400_000));
    let limits = "answer-write-idle = \"300ms\"".to_owned();
    let house = Plans {
        limits,
        tls: true,
        ..Plans::default()
    }
    .open(Upstream::answering(ok(&body)));
    run(async {
        let mut requests = connect(&house).await;
        let get = request("GET", "/pull/users", PULL_TOKEN)
            .body(Full::default())
            .unwrap();
        let unread = requests.send_request(get).await.unwrap();
        tokio::time::sleep(Duration::from_millis(900)).await;
        house.await_log("cancelled");
        assert!(unread.into_body().collect().await.is_err());
        let next = request("GET", "/pull/nothing", PULL_TOKEN)
            .body(Full::default())
            .unwrap();
        assert_eq!(
            requests.send_request(next).await.unwrap().status(),
            404,
            "others go on"
        );
    });
}

#[test]
fn an_answer_of_which_one_byte_is_read_is_let_go_too() {
    let [body, right] =
        [PUPIL, CLEARED_PUPIL].map(|it| format!(r#"{{"users":[{}{{}}]}}"#, it.repeat(5_000)));
    let limits = "answer-write-idle = \"300ms\"".to_owned();
    let house = Plans {
        limits,
        tls: true,
        ..Plans::default()
    }
    .open(Upstream::answering(ok(&body)));
    run(async {
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(1);
        let mut requests = connect_with(&house, &client).await;
        let get = request("GET", "/pull/users", PULL_TOKEN)
            .body(Full::default())
            .unwrap();
        let unread = requests.send_request(get).await.unwrap();
        assert_eq!(unread.headers()["content-length"], right.len().to_string());
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(unread.into_body().collect().await.is_err());
    });
    house.await_log("cancelled");
}

#[test]
fn a_drain_finishes_the_streams_that_are_open() {
    let (asked, ask) = std::sync::mpsc::channel();
    let mut house = open(Upstream::scripted(move |peer| {
        while peer.request().is_some() {
            asked.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            peer.send(ok(USERS));
        }
    }));
    run(async {
        let mut requests = connect(&house).await;
        let get = |_| {
            let get = request("GET", "/pull/users", PULL_TOKEN);
            get.body(Full::default()).unwrap()
        };
        let first = tokio::spawn(requests.send_request(get(1)));
        while ask.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        house.drain();
        let answer = first.await.unwrap().unwrap();
        assert_eq!(text(answer).await, (200, CLEARED.to_owned()));
        assert!(
            requests.send_request(get(2)).await.is_err(),
            "nothing more is taken"
        );
    });
    assert!(house.closed_within(Duration::from_secs(5)));
}
