//! HTTP/2 towards upstreams: what they get to see, and answers that a hostile one writes frame by
//! frame.

use std::convert::Infallible;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sluis::clock::Clock;

use crate::harness::{House, Markers, Peer, Plans, Upstream, request};
use crate::stale::connections_over_time;
use crate::tls::server;
use crate::wire::h2::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, field, frame,
};

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

pub(crate) const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];
pub(crate) const USER: &str = r#"{"sourcedId":"pupil-zzq-901","grade":7,"name":"Fenna-zzq"}"#;

/// A house whose vendor file has a flow to an upstream over TLS.
pub(crate) fn house(upstream: Upstream, pem: &str, limits: &str, tls: &str) -> House {
    let (plans, folder) = planned(&upstream, pem, limits, tls);
    plans.open_in(folder, upstream)
}

/// The plans of that, and where it is to be.
pub(crate) fn planned(
    upstream: &Upstream,
    pem: &str,
    limits: &str,
    tls: &str,
) -> (Plans, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, pem).unwrap();
    let more = format!(
        r#"
[flow.secure]
caller = "vendor"
at = "/secure"
upstream = "https://localhost:{port}"
callers = "anyone"
allow-private = true
upstream-tls = {{ roots = "{roots}"{tls} }}
[[flow.secure.route]]
match = "GET /users"
query = {{ limit = "int" }}
to-vendor = "User"
[[flow.secure.route]]
match = "POST /users"
from-vendor = "Note"
to-vendor = "Receipt"
[[flow.secure.route]]
match = "POST /notes"
from-vendor = {{ notes = "Note[]" }}
to-vendor = "Receipt"
[shape.Note]
grade = "keep:int"
"#,
        port = upstream.address.port(),
        roots = roots.display(),
    );
    let plans = Plans {
        more,
        limits: limits.to_owned(),
        ..Plans::default()
    };
    (plans, folder)
}

pub(crate) fn get() -> String {
    request("GET", "/secure/users", "")
}

/// Ends a test: no pupil in what we told of it.
pub(crate) fn end(house: &House) {
    house.search(&Markers::of(&["pupil-zzq-901", "Fenna-zzq"]), &[]);
}

/// A proper server of HTTP/2, which answers by this.
pub(crate) fn proper<B, F>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> (Upstream, String)
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
{
    let (config, pem) = server(BOTH);
    let upstream = Upstream::on_sockets(move |socket| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve(socket, Arc::clone(&config), answer.clone()));
    });
    (upstream, pem)
}

async fn serve<B, F>(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
{
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::TcpStream::from_std(socket).unwrap();
    let stream = tokio_rustls::TlsAcceptor::from(config).accept(socket).await;
    let Ok(stream) = stream else { return };
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// What a proper server saw of each request: its first line, its fields, its body.
type Seen = Arc<Mutex<Vec<String>>>;

async fn noted(request: Request<Incoming>, seen: Seen) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut fields: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect();
    fields.sort();
    let text = format!(
        "{} {}\n{}{}",
        head.method,
        head.uri,
        fields.concat(),
        String::from_utf8(body.to_vec()).unwrap()
    );
    seen.lock().unwrap().push(text);
    let answer = Response::builder().header("content-type", "application/json");
    let body = if head.method == "GET" {
        USER
    } else {
        r#"{"id":"r-1"}"#
    };
    answer.body(Full::from(body)).unwrap()
}

#[test]
fn an_upstream_gets_a_head_of_our_own_and_the_body_that_is_agreed() {
    let seen = Seen::default();
    let their_seen = Arc::clone(&seen);
    let (upstream, pem) = proper(move |request| noted(request, Arc::clone(&their_seen)));
    let house = house(upstream, &pem, "", "");
    let got = house.ask(get());
    assert_eq!(got.status(), 200);
    assert_eq!(got.json().as_object().unwrap().len(), 2, "{}", got.text());
    let sent = r#"{"grade":8,"name":"Noor-zzq"}"#;
    let got = house.ask(request("POST", "/secure/users", sent));
    assert_eq!((got.status(), got.text()), (200, r#"{"id":"r-1"}"#));
    let authority = format!("https://localhost:{}", house.upstream.address.port());
    let accepts = "accept-encoding: identity\naccept: application/json\n";
    let names_us = "user-agent: sluis\nvia: 1.1 sluis\n";
    let home = r#"{"grade":8}"#;
    let of_body = format!(
        "content-length: {}\ncontent-type: application/json\n",
        home.len()
    );
    let expected = [
        format!("GET {authority}/users\n{accepts}{names_us}"),
        format!("POST {authority}/users\n{accepts}{of_body}{names_us}{home}"),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(house.upstream.connections(), 1, "kept");
    house.search(&Markers::of(&["pupil-zzq-901", "Fenna-zzq"]), &[]);
    house.search(
        &Markers::of(&["Noor-zzq"]),
        &[("what the school got", expected[1].as_bytes())],
    );
}

#[test]
fn a_shared_connection_is_old_in_the_end_too() {
    let (upstream, pem) = proper(|_| async {
        let answer = Response::builder().header("content-type", "application/json");
        answer.body(Full::new(Bytes::from(USER))).unwrap()
    });
    let (plans, folder) = planned(&upstream, &pem, "upstream-age = \"1m\"", "");
    let plans = Plans {
        clock: Clock::test(1_800_000_000),
        ..plans
    };
    let house = plans.open_in(folder, upstream);
    let seen = connections_over_time(&house, &get());
    assert_eq!(seen, [1, 1, 1, 2, 2, 2, 3, 3]);
    end(&house);
}

#[test]
fn it_is_spoken_only_if_both_want_to() {
    for (protocols, tls) in [(BOTH, ", http2 = false"), (&BOTH[1..], ""), (&[], "")] {
        let (config, pem) = server(protocols);
        let upstream = Upstream::on_sockets(move |socket| {
            let mut peer = shaken(&config, socket).unwrap().1;
            while peer.request().is_some() {
                peer.send(crate::harness::upstream::ok(USER));
            }
        });
        let house = house(upstream, &pem, "", tls);
        assert_eq!(house.ask(get()).status(), 200);
        assert_eq!(house.ask(get()).status(), 200);
        assert_eq!(house.upstream.connections(), 1);
        end(&house);
    }
}

/// The handshake of a server; the protocol that was agreed on, and the connection.
pub(crate) fn shaken(
    config: &Arc<ServerConfig>,
    mut socket: TcpStream,
) -> Option<(Option<Vec<u8>>, Peer)> {
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    server.complete_io(&mut socket).ok()?;
    let agreed = server.alpn_protocol().map(<[u8]>::to_vec);
    let stream = StreamOwned::new(server, socket.try_clone().unwrap());
    Some((agreed, Peer::through(socket, stream)))
}

/// What a server does behind the frames that it wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// Closes the connection, without a word.
    Close,
    GoOn,
    /// Closes it with a reset.
    Reset,
}

/// A server that writes, for each whole request, the frames that `script` gives for its stream and
/// its number, and closes after no frames.
pub(crate) fn frames(
    script: impl Fn(u32, usize) -> Vec<u8> + Send + Sync + 'static,
) -> (Upstream, String, Arc<AtomicUsize>) {
    frames_then(move |stream, number| {
        let bytes = script(stream, number);
        let then = if bytes.is_empty() {
            Then::Close
        } else {
            Then::GoOn
        };
        (bytes, then)
    })
}

/// The same, which says too what follows.
pub(crate) fn frames_then(
    script: impl Fn(u32, usize) -> (Vec<u8>, Then) + Send + Sync + 'static,
) -> (Upstream, String, Arc<AtomicUsize>) {
    let (config, pem) = server(BOTH);
    let count = Arc::<AtomicUsize>::default();
    let their_count = Arc::clone(&count);
    let upstream = Upstream::on_sockets(move |socket| {
        if let Some((_, peer)) = shaken(&config, socket) {
            serve_frames(peer, |stream, peer| {
                let number = their_count.fetch_add(1, Ordering::SeqCst);
                let (bytes, then) = script(stream, number);
                match peer.try_send(bytes) {
                    Ok(()) => then,
                    Err(_gone) => Then::Close,
                }
            });
        }
    });
    (upstream, pem, count)
}

/// Serves a connection to its end, by a script that writes what it has for the stream of each whole
/// request.
pub(crate) fn serve_frames(mut peer: Peer, script: impl Fn(u32, &mut Peer) -> Then) {
    if peer.exactly(24).is_none() {
        return;
    }
    peer.send(frame(SETTINGS, 0, 0, &[]));
    while let Some((kind, flags, stream, payload)) = next(&mut peer) {
        let sent = match kind {
            SETTINGS if flags & ACK == 0 => peer.try_send(frame(SETTINGS, ACK, 0, &[])),
            PING if flags & ACK == 0 => peer.try_send(frame(PING, ACK, 0, &payload)),
            HEADERS | DATA if flags & END_STREAM != 0 => match script(stream, &mut peer) {
                Then::Close => return,
                Then::GoOn => Ok(()),
                Then::Reset => return peer.reset(),
            },
            _ => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

pub(crate) fn next(peer: &mut Peer) -> Option<(u8, u8, u32, Vec<u8>)> {
    let head = peer.exactly(9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let payload = peer.exactly(usize::try_from(length).unwrap())?;
    Some((head[3], head[4], stream, payload))
}

/// A head: status 200 (RFC 7541 appendix A), JSON, and more fields.
pub(crate) fn head(stream: u32, flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x88];
    block.extend(field("content-type", "application/json"));
    more.iter()
        .for_each(|(name, value)| block.extend(field(name, value)));
    frame(HEADERS, END_HEADERS | flags, stream, &block)
}

pub(crate) fn data(stream: u32, flags: u8, body: &str) -> Vec<u8> {
    frame(DATA, flags, stream, body.as_bytes())
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(crate) fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(
        GOAWAY,
        0,
        0,
        &[last.to_be_bytes(), code.to_be_bytes()].concat(),
    )
}

pub(crate) fn whole(stream: u32, body: &str) -> Vec<u8> {
    [head(stream, 0, &[]), data(stream, END_STREAM, body)].concat()
}

/// The frames of an answer on a stream.
pub(crate) type Script = fn(u32) -> Vec<u8>;

/// Answers that are none, or not whole.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn broken_answers() -> Vec<(&'static str, Script)> {
    vec![
        ("reset without an error, nothing sent", |at| {
            [head(at, 0, &[]), reset(at, NO_ERROR)].concat()
        }),
        ("reset without an error, all sent", |at| {
            [head(at, 0, &[]), data(at, 0, USER), reset(at, NO_ERROR)].concat()
        }),
        ("reset without an error, half sent", |at| {
            [
                head(at, 0, &[]),
                data(at, 0, &USER[..20]),
                reset(at, NO_ERROR),
            ]
            .concat()
        }),
        ("cancelled, all sent", |at| {
            [head(at, 0, &[]), data(at, 0, USER), reset(at, CANCEL)].concat()
        }),
        ("an error, all sent", |at| {
            [
                head(at, 0, &[]),
                data(at, 0, USER),
                reset(at, INTERNAL_ERROR),
            ]
            .concat()
        }),
        ("gone, all sent", |at| {
            [head(at, 0, &[]), data(at, 0, USER), goaway(0, NO_ERROR)].concat()
        }),
        ("shorter than it said", |at| {
            [
                head(at, 0, &[("content-length", "99")]),
                data(at, END_STREAM, USER),
            ]
            .concat()
        }),
        ("longer than it said", |at| {
            [
                head(at, 0, &[("content-length", "9")]),
                data(at, END_STREAM, USER),
            ]
            .concat()
        }),
        ("two lengths", |at| {
            [
                head(at, 0, &[("content-length", "58"), ("content-length", "9")]),
                data(at, END_STREAM, USER),
            ]
            .concat()
        }),
        ("a line too many", |at| {
            [
                head(at, 0, &[("x-line", "1"); 100]),
                data(at, END_STREAM, USER),
            ]
            .concat()
        }),
        ("no status", |at| {
            [
                frame(
                    HEADERS,
                    END_HEADERS,
                    at,
                    &field("content-type", "application/json"),
                ),
                data(at, END_STREAM, USER),
            ]
            .concat()
        }),
        ("a connection header", |at| {
            [
                head(at, 0, &[("connection", "close")]),
                data(at, END_STREAM, USER),
            ]
            .concat()
        }),
        ("data before the head", |at| {
            [data(at, 0, USER), head(at, END_STREAM, &[])].concat()
        }),
        ("another stream", |at| whole(at + 2, USER)),
        ("a pushed answer", |at| {
            [
                frame(5, END_HEADERS, at, &[0, 0, 0, 2, 0x82, 0x87, 0x84]),
                whole(at, USER),
            ]
            .concat()
        }),
        ("a head of 80 KiB", |at| {
            let mut block = vec![0x88];
            let long = "x".repeat(8 << 10);
            (0..10).for_each(|_| block.extend(field("x-long", &long)));
            let (first, rest) = block.split_at(16 << 10);
            let mut all = frame(HEADERS, 0, at, first);
            let count = rest.len().div_ceil(16 << 10);
            for (place, part) in rest.chunks(16 << 10).enumerate() {
                let flags = if place + 1 == count { END_HEADERS } else { 0 };
                all.extend(frame(9, flags, at, part));
            }
            [all, data(at, END_STREAM, USER)].concat()
        }),
    ]
}

#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    for (kind, script) in broken_answers() {
        let (upstream, pem, _) = frames(move |at, _| script(at));
        let house = house(
            upstream,
            &pem,
            "upstream-head-time = \"500ms\"\nupstream-body-idle = \"500ms\"",
            "",
        );
        let got = house.ask(get());
        assert!(
            [502, 504].contains(&got.status()),
            "{kind}: {} {}",
            got.status(),
            got.text()
        );
        assert!(!got.text().contains("grade"), "{kind}");
        end(&house);
    }
}

#[test]
fn what_comes_around_an_answer_is_not_passed_on() {
    let (upstream, pem, _) = frames(|at, _| {
        let early = frame(HEADERS, END_HEADERS, at, &[0x08, 3, b'1', b'0', b'3']);
        let trailers = field("x-name", "Fenna-zzq");
        [
            early,
            head(at, 0, &[("set-cookie", "zzq=pupil-zzq-901")]),
            data(at, 0, USER),
            frame(HEADERS, END_HEADERS | END_STREAM, at, &trailers),
        ]
        .concat()
    });
    let house = house(upstream, &pem, "", "");
    let mut caller = house.caller();
    for _ in 0..2 {
        caller.send(get());
        assert_eq!(caller.answer().json()["grade"], 7);
    }
    assert_eq!(house.upstream.connections(), 1);
    let markers = Markers::of(&["pupil-zzq-901", "Fenna-zzq", "zzq=pupil"]);
    house.search(
        &markers,
        &[("what the vendor got", &caller.seen.lock().unwrap())],
    );
}

#[test]
fn what_an_upstream_has_not_begun_with_is_sent_once_more_whatever_it_is() {
    let post = request("POST", "/secure/users", r#"{"grade":7}"#);
    let refused: [fn(u32) -> Vec<u8>; 2] =
        [|at| reset(at, REFUSED_STREAM), |_| goaway(0, NO_ERROR)];
    for refusal in refused {
        for asked in [get(), post.clone()] {
            let (upstream, pem, count) = frames(move |at, number| match number {
                0 => refusal(at),
                _ => whole(at, r#"{"id":"r-1","grade":7}"#),
            });
            let house = house(upstream, &pem, "", "");
            assert_eq!(house.ask(&asked).status(), 200);
            assert_eq!(
                (count.load(Ordering::SeqCst), house.upstream.connections()),
                (2, 2)
            );
            assert!(
                house
                    .metrics()
                    .contains("upstream_retries_total{vendor=\"bron\"} 1\n")
            );
            // Once more, and not twice.
            let (upstream, pem, count) = frames(move |at, _| refusal(at));
            let house = self::house(upstream, &pem, "", "");
            assert_eq!(house.ask(&asked).status(), 502);
            assert_eq!(count.load(Ordering::SeqCst), 2);
            end(&house);
        }
    }
}

/// The same, and what follows.
type Broken = fn(u32) -> (Vec<u8>, Then);

#[test]
fn what_may_have_been_begun_with_is_sent_once_more_only_if_that_is_harmless() {
    let post = request("POST", "/secure/users", r#"{"grade":7}"#);
    let broken: [Broken; 4] = [
        |at| (reset(at, INTERNAL_ERROR), Then::GoOn),
        |at| {
            let both = [goaway(at, NO_ERROR), reset(at, CANCEL)].concat();
            (both, Then::GoOn)
        },
        // It may have been begun with, whatever else is said of the connection.
        |at| (goaway(at, NO_ERROR), Then::Close),
        |_| (Vec::new(), Then::Close),
    ];
    for (kind, broken) in broken.into_iter().enumerate() {
        for (asked, status, times) in [(get(), 200, 2), (post.clone(), 502, 1)] {
            let (upstream, pem, count) = frames_then(move |at, number| match number {
                0 => broken(at),
                _ => (whole(at, r#"{"id":"r-1","grade":7}"#), Then::GoOn),
            });
            let house = house(upstream, &pem, "", "");
            assert_eq!(house.ask(&asked).status(), status, "{kind}");
            assert_eq!(count.load(Ordering::SeqCst), times, "{kind}");
            end(&house);
        }
    }
}

#[test]
fn a_connection_that_says_nothing_is_given_up_for_another() {
    let (config, pem) = server(BOTH);
    let (ended, end_seen) = mpsc::channel();
    let ended = Mutex::new(ended);
    let upstream = Upstream::on_sockets(move |socket| {
        let Some((agreed, mut peer)) = shaken(&config, socket) else {
            return;
        };
        assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
        peer.send(frame(SETTINGS, 0, 0, &[]));
        peer.rest();
        ended.lock().unwrap().send(()).ok();
    });
    let house = house(upstream, &pem, "upstream-head-time = \"200ms\"", "");
    for times in 1..=2 {
        let got = house.ask(get());
        assert_eq!((got.status(), &*got.code()), (504, "upstream_timeout"));
        assert_eq!(house.upstream.connections(), times);
    }
    // It is closed although its upstream never says anything.
    for _ in 0..2 {
        end_seen.recv_timeout(Duration::from_secs(5)).unwrap();
    }
    end(&house);
}
