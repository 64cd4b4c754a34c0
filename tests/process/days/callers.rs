//! Callers: honest ones, whose waits are measured, and crowds that are slow.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::others;
use crate::gateway::{PATIENCE, assert_nothing_made_up, status};
use crate::ways::Line;

/// Between two bytes of a slow peer.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Between two requests of an honest caller.
const PACE: Duration = Duration::from_millis(4);

/// How long requests waited, the shortest first.
pub(super) struct Waits(Vec<Duration>);

impl Waits {
    pub(super) fn new(mut waits: Vec<Duration>) -> Self {
        assert!(!waits.is_empty(), "nobody was served");
        waits.sort_unstable();
        Self(waits)
    }

    /// So many in a hundred waited no longer.
    pub(super) fn within(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    pub(super) fn longest(&self) -> Duration {
        self.within(100)
    }
}

/// Something to write to and to read from.
pub(crate) trait Wire: std::io::Read + std::io::Write + Send {}

impl<W: std::io::Read + std::io::Write + Send> Wire for W {}

/// A connection that is used again and again.
pub(crate) struct Caller {
    wire: Box<dyn Wire>,
    address: SocketAddr,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::on(connect(address), address)
    }

    pub(crate) fn through(wire: Box<dyn Wire>, address: SocketAddr) -> Self {
        Self { wire, address }
    }

    /// As [`new`](Self::new), if somebody listens.
    pub(super) fn reach(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        Some(Self::on(patient(stream), address))
    }

    fn on(wire: impl Wire + 'static, address: SocketAddr) -> Self {
        let wire = Box::new(wire);
        Self { wire, address }
    }

    /// One over TLS, whose end trusts what `tls` says.
    pub(super) fn over(address: SocketAddr, tls: &Arc<ClientConfig>) -> Self {
        Self::on(secured(connect(address), tls), address)
    }

    /// Sends a request, or some of it.
    pub(crate) fn begin(&mut self, request: &str) {
        self.wire.write_all(request.as_bytes()).unwrap();
    }

    /// Sends a request and gives its whole answer; what came of it if the connection ends first.
    /// Nothing made up stands in it, if it is not of a proxy that passes everything on.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.wire.write_all(request.as_bytes()).unwrap_or_default();
        let mut answer = Vec::new();
        let mut some = [0; 16 << 10];
        while !is_whole(&answer) {
            match self.wire.read(&mut some) {
                Ok(count) if count > 0 => answer.extend_from_slice(&some[..count]),
                Ok(_) | Err(_) => break,
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        if !others::listens_at(self.address) {
            assert_nothing_made_up("what a caller got", &answer);
        }
        answer
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(address).unwrap())
}

/// TLS on a connection, whose end trusts what `tls` says.
pub(crate) fn secured(
    socket: TcpStream,
    tls: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::from(socket.peer_addr().unwrap().ip());
    let connection = ClientConnection::new(Arc::clone(tls), name).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

pub(crate) fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whether an answer says itself that it is over.
pub(super) fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("content-length: "));
    match length {
        Some(length) => length.parse() == Ok(body.len()),
        None => body.ends_with("0\r\n\r\n"),
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n")
}

/// A result of a pupil, sent to a vendor.
pub(super) fn post(address: SocketAddr, path: &str) -> String {
    let body = r#"{"score":7}"#;
    let length = body.len();
    format!(
        "{}content-length: {length}\r\n\r\n{body}",
        post_head(address, path)
    )
}

/// The lines of a head before those that say how long the body is.
pub(super) fn post_head(address: SocketAddr, path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n")
}

/// Fails unless an answer shows the pupil of the school, whatever of it.
pub(super) fn assert_served(answer: &str) {
    assert_eq!(status(answer), 200, "{answer}");
    assert!(answer.contains("{\"pupils\":[{\"id\":\""), "{answer}");
}

/// Asks honestly over and over, for as long as that holds, on one connection.
pub(super) fn honest(address: SocketAddr, go_on: impl Fn() -> bool) -> Waits {
    honest_on(Caller::new(address), address, go_on)
}

/// As [`honest`], on that connection.
pub(super) fn honest_on(
    mut caller: Caller,
    address: SocketAddr,
    go_on: impl Fn() -> bool,
) -> Waits {
    let request = get(address, "/bron/pupils");
    let mut waits = Vec::new();
    while go_on() {
        let begun = Instant::now();
        assert_served(&caller.ask(&request));
        waits.push(begun.elapsed());
        thread::sleep(PACE);
    }
    Waits::new(waits)
}

/// As [`honest`], when nothing else happens.
pub(super) fn undisturbed(address: SocketAddr, time: Duration) -> Waits {
    let begun = Instant::now();
    honest(address, || begun.elapsed() < time)
}

/// As [`honest`], while something else happens.
pub(super) fn meanwhile<T: Send>(
    address: SocketAddr,
    other: impl FnOnce() -> T + Send,
) -> (Waits, T) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let waits = honest(address, || !other.is_finished());
        (waits, other.join().unwrap())
    })
}

/// Connections that are all slow in the same way.
pub(super) struct Crowd {
    members: Vec<Box<dyn Wire>>,
    manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// A head that never ends, byte by byte.
    Heads,
    /// A body that never ends, byte by byte.
    Bodies,
    /// Who asks for much and reads it byte by byte.
    Readers,
}

impl Crowd {
    pub(super) fn gather(line: &Line, manner: Manner, count: usize) -> Self {
        let address = line.address();
        let begin = match manner {
            Manner::Heads => format!("GET /bron/pupils HTTP/1.1\r\nhost: {address}\r\nx: "),
            Manner::Bodies => {
                let head = post_head(address, "/bron/results");
                format!("{head}content-length: 9000\r\n\r\n{{")
            }
            Manner::Readers => get(address, "/bron/many"),
        };
        let member = |_| {
            let socket = connect_narrow(address);
            let same = socket.try_clone().unwrap();
            let mut wire = line.wire(socket);
            wire.write_all(begin.as_bytes()).unwrap();
            same.set_nonblocking(true).unwrap();
            wire
        };
        Self {
            members: (0..count).map(member).collect(),
            manner,
        }
    }

    /// A byte of each. Who is let go is not missed here.
    pub(super) fn go_on(&mut self) {
        for wire in &mut self.members {
            let done = match self.manner {
                Manner::Heads | Manner::Bodies => wire.write(b" "),
                Manner::Readers => wire.read(&mut [0]),
            };
            done.map(drop).unwrap_or_default();
        }
    }
}

/// A connection whose end takes as little as it can.
pub(super) fn connect_narrow(address: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Writes a piece over and over until the other end takes no more for a while, or so many bytes.
pub(super) fn write_until_stuck(mut stream: &TcpStream, piece: &[u8], most: usize) {
    let a_while = Some(Duration::from_millis(300));
    stream.set_write_timeout(a_while).unwrap();
    let mut written = 0;
    while written < most {
        match stream.write(&piece[written % piece.len()..]) {
            Ok(count) if count > 0 => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => break,
        }
    }
}
