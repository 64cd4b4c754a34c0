//! An upstream that follows a script.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::peer::{Peer, Seen};

/// An upstream on loopback. Its threads end with the test's process.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(super) seen: Seen,
    connections: Arc<AtomicUsize>,
}

/// An address that is taken and at which nobody listens, for as long as this is held.
pub(crate) struct Nobody(socket2::Socket);

impl Nobody {
    pub(crate) fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    /// Somebody listens from now on.
    pub(crate) fn listen(self) -> TcpListener {
        self.0.listen(16).unwrap();
        self.0.into()
    }
}

impl Upstream {
    /// Runs `script` on each connection, in a thread of its own.
    pub(crate) fn scripted(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let seen = Seen::default();
        let their_seen = Arc::clone(&seen);
        let upstream = Self::on_sockets(move |socket| {
            let mut peer = Peer::new(socket);
            peer.seen = Arc::clone(&their_seen);
            script(&mut peer);
        });
        upstream.seen_in(seen)
    }

    /// The same, whose script keeps what it reads there, for the leak search.
    pub(crate) fn seen_in(self, seen: Seen) -> Self {
        Self { seen, ..self }
    }

    /// Runs `script` on each socket, in a thread of its own.
    pub(crate) fn on_sockets(script: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                std::thread::spawn(move || script(socket.unwrap()));
            }
        });
        Self {
            address,
            seen: Arc::default(),
            connections,
        }
    }

    /// Gives the same answer to every request.
    pub(crate) fn answering(answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self::scripted(
            move |peer| {
                while peer.request().is_some() && peer.try_send(&answer).is_ok() {}
            },
        )
    }

    /// Gives the same JSON to every request.
    pub(crate) fn json(body: &str) -> Self {
        Self::answering(ok(body))
    }

    /// Every byte that came.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }

    /// Every byte that came, as text.
    pub(crate) fn received_text(&self) -> String {
        String::from_utf8(self.received()).unwrap()
    }

    /// Waits until this text has come.
    pub(crate) fn await_text(&self, text: &str) {
        let begun = Instant::now();
        while !self.received_text().contains(text) {
            let waited = begun.elapsed();
            assert!(waited < Duration::from_secs(5), "no {text:?} has come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A whole answer with a JSON body.
pub(crate) fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
