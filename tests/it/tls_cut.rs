//! Upstreams over TLS whose connection ends without a word, as it does where somebody on the way
//! cuts it (RFC 8446 section 6.1): what is over only with the connection is over only if the
//! upstream said so.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::h2_out::{USER, end, get, house};
use crate::h2_out_cut::BEGUN;
use crate::harness::Upstream;
use crate::harness::upstream::ok;
use crate::tls::server;

/// However often it fails, it is called again.
const NO_REST: &str = "upstream-circuit-failures = 1000\nupstream-circuit-window = \"100ms\"\n";
const PATIENCE: Duration = Duration::from_secs(10);

/// How an upstream ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With `close_notify`.
    Farewell,
    Reset,
    /// With the end of the TCP connection alone.
    Silence,
}

const ENDS: [End; 3] = [End::Farewell, End::Reset, End::Silence];

/// An answer, and how its connection ends.
type Case = (String, End);

/// What an upstream says on each connection. Of an answer that is cut under way, the caller has
/// some before the rest comes.
struct Says {
    case: Mutex<Case>,
    seen: Option<Mutex<Receiver<()>>>,
}

fn upstream(seen: Option<Receiver<()>>) -> (Upstream, String, Arc<Says>) {
    let (config, pem) = server(&[]);
    let says = Arc::new(Says {
        case: Mutex::new((String::new(), End::Silence)),
        seen: seen.map(Mutex::new),
    });
    let theirs = Arc::clone(&says);
    let upstream = Upstream::on_sockets(move |socket| serve(socket, &config, &theirs));
    (upstream, pem, says)
}

fn serve(mut socket: TcpStream, config: &Arc<ServerConfig>, says: &Says) {
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    server.complete_io(&mut socket).unwrap();
    let mut stream = StreamOwned::new(server, socket);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let (answer, end) = says.case.lock().unwrap().clone();
    let mut rest = answer.as_bytes();
    if let Some(seen) = &says.seen {
        let begun = answer.find('{').unwrap() + BEGUN;
        let (first, second) = answer.split_at(begun);
        stream.write_all(first.as_bytes()).unwrap();
        seen.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        rest = second.as_bytes();
    }
    stream.write_all(rest).unwrap();
    match end {
        End::Farewell => stream.conn.send_close_notify(),
        End::Reset => socket2::SockRef::from(&stream.sock)
            .set_linger(Some(Duration::ZERO))
            .unwrap(),
        End::Silence => {}
    }
    stream.flush().unwrap();
}

fn head(of_body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{of_body}\r\n")
}

fn to_the_end() -> String {
    head("") + USER
}

fn in_a_chunk() -> String {
    let chunk = format!("{:x}\r\n{USER}\r\n", USER.len());
    head("transfer-encoding: chunked\r\n") + &chunk
}

/// Answers that are not whole.
fn cut() -> Vec<Case> {
    let mut all = Vec::new();
    // All of it, but for the word that it is all.
    all.extend([End::Reset, End::Silence].map(|end| (to_the_end(), end)));
    for end in ENDS {
        let sized = ok(USER);
        all.push((sized[..sized.len() - 1].to_owned(), end));
        for rest in ["", "0", "0\r\n", "0\r\n\r"] {
            all.push((in_a_chunk() + rest, end));
        }
        let cut = to_the_end();
        all.push((cut[..cut.len() - 1].to_owned(), end));
    }
    all
}

#[test]
fn an_answer_whose_connection_ends_without_a_word_is_refused() {
    let (upstream, pem, says) = upstream(None);
    let house = house(upstream, &pem, NO_REST, "");
    for case in cut() {
        *says.case.lock().unwrap() = case.clone();
        let before = house.upstream.connections();
        assert_eq!(house.ask(get()).status(), 502, "{case:?}");
        assert!(house.upstream.connections() > before, "it is used again");
    }
    end(&house);
}

#[test]
fn an_answer_whose_connection_ends_without_a_word_under_way_never_looks_whole() {
    let (tell, seen) = channel();
    let (upstream, pem, says) = upstream(Some(seen));
    let house = house(upstream, &pem, &format!("{NO_REST}hold-back = 0"), "");
    for case in cut() {
        *says.case.lock().unwrap() = case.clone();
        let before = house.upstream.connections();
        let mut caller = house.caller();
        caller.send(get());
        let head = caller.head().unwrap();
        assert_eq!(head.status(), 200, "{case:?}");
        assert_eq!(head.lines("transfer-encoding"), ["chunked"]);
        caller.at_least(1);
        tell.send(()).unwrap();
        let looks_whole = caller.rest().ends_with(b"0\r\n\r\n");
        assert!(!looks_whole, "{case:?}");
        assert!(house.upstream.connections() > before, "it is used again");
    }
    end(&house);
}

#[test]
fn an_answer_is_whole_where_its_upstream_said_so() {
    for limits in ["", "hold-back = 0"] {
        let (upstream, pem, says) = upstream(None);
        let house = house(upstream, &pem, limits, "");
        let mut whole = vec![(to_the_end(), End::Farewell)];
        // They say themselves where they end. (What comes before a reset may be lost.)
        for end in [End::Farewell, End::Silence] {
            whole.extend([(ok(USER), end), (in_a_chunk() + "0\r\n\r\n", end)]);
        }
        for case in whole {
            *says.case.lock().unwrap() = case.clone();
            let before = house.upstream.connections();
            let got = house.ask(get());
            assert!(got.whole && got.status() == 200, "{case:?}: {}", got.text());
            assert_eq!(got.json()["grade"], 7);
            assert!(house.upstream.connections() > before, "it is used again");
        }
        end(&house);
    }
}
