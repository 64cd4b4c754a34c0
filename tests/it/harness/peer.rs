//! Either end of a connection, byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No test waits longer for a byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every byte that was read at one end, or at all that share it.
pub(crate) type Seen = Arc<Mutex<Vec<u8>>>;

/// How much is kept of what was written: more than any head here.
const SAID_BYTES_MAX: usize = 64 << 10;

/// One end of a connection.
pub(crate) struct Peer {
    stream: Box<dyn Both>,
    socket: TcpStream,
    unread: Vec<u8>,
    /// Every byte that was read here, and at all other peers that share it.
    pub(crate) seen: Seen,
    /// The beginning of each piece that was written here.
    said: Seen,
}

trait Both: Read + Write + Send {}

impl<T: Read + Write + Send> Both for T {}

impl Peer {
    /// Connects, in plain.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap()).kept(address)
    }

    /// The same peer, which the leak search looks at if it is a house that it has connected to.
    pub(super) fn kept(self, address: SocketAddr) -> Self {
        super::keep(address, &self.said, &self.seen);
        self
    }

    /// Takes a connection over.
    pub(crate) fn new(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        let stream = Box::new(socket.try_clone().unwrap());
        Self {
            stream,
            socket,
            unread: Vec::new(),
            seen: Arc::default(),
            said: Arc::default(),
        }
    }

    /// The same connection, spoken on through `stream`.
    pub(crate) fn through(socket: TcpStream, stream: impl Read + Write + Send + 'static) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            stream: Box::new(stream),
            socket,
            unread: Vec::new(),
            seen: Arc::default(),
            said: Arc::default(),
        }
    }

    /// Writes all of it; panics if that fails.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Writes all of it, if the other end still takes it.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        let bytes = bytes.as_ref();
        self.note(bytes.get(..SAID_BYTES_MAX).unwrap_or(bytes));
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn note(&self, said: &[u8]) {
        self.said.lock().unwrap().extend_from_slice(said);
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes with a reset: what the other end still sends comes back to it as an error.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Reads a head and the body that it announces, as a server would; `None` at the end.
    pub(crate) fn request(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        let framing = message.framing(Framing::None);
        message.body = self.body(&mut message.whole, framing);
        Some(message)
    }

    /// As [`Self::request`]; `None` too if none begins within `patience`.
    pub(crate) fn impatient_request(&mut self, patience: Duration) -> Option<Message> {
        if self.unread.is_empty() {
            self.socket.set_read_timeout(Some(patience)).unwrap();
            let begun = self.socket.peek(&mut [0]).is_ok_and(|count| count > 0);
            self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
            begun.then_some(())?;
        }
        self.request()
    }

    /// Reads a head and the body that it announces, as a client would.
    pub(crate) fn answer(&mut self) -> Message {
        self.try_answer()
            .unwrap_or_else(|| panic!("no answer came"))
    }

    /// As [`Self::answer`]; `None` if the connection ends before it begins.
    pub(crate) fn try_answer(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        let framing = match message.status() {
            204 => Framing::None,
            _ => message.framing(Framing::ToTheEnd),
        };
        message.body = self.body(&mut message.whole, framing);
        Some(message)
    }

    /// Reads the answer to HEAD, which is a head whatever it says of a body.
    pub(crate) fn answer_to_head(&mut self) -> Message {
        self.head().unwrap_or_else(|| panic!("no answer came"))
    }

    /// Reads a head only; `None` if the connection ends before it begins.
    pub(crate) fn head(&mut self) -> Option<Message> {
        let end = loop {
            match find(&self.unread, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if !self.more() => {
                    let rest = String::from_utf8(std::mem::take(&mut self.unread)).unwrap();
                    assert_eq!(rest, "", "a head was cut");
                    return None;
                }
                None => {}
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let text = String::from_utf8(head).unwrap();
        Some(Message {
            head: text,
            body: Vec::new(),
            whole: true,
        })
    }

    /// Reads until the other end closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.unread)
    }

    /// Whether the other end has closed, with nothing left to read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.more()
    }

    /// Reads at least `count` bytes, or to the end.
    pub(crate) fn at_least(&mut self, count: usize) -> usize {
        while self.unread.len() < count && self.more() {}
        self.unread.len()
    }

    /// Reads just so many bytes; `None` if the end comes first.
    pub(crate) fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        (self.at_least(count) >= count).then(|| self.unread.drain(..count).collect())
    }

    fn body(&mut self, whole: &mut bool, framing: Framing) -> Vec<u8> {
        match framing {
            Framing::None => Vec::new(),
            Framing::Length(length) => {
                *whole = self.at_least(length) >= length;
                let end = length.min(self.unread.len());
                self.unread.drain(..end).collect()
            }
            Framing::ToTheEnd => self.rest(),
            Framing::Chunked => self.chunks(whole),
        }
    }

    fn chunks(&mut self, whole: &mut bool) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(line) = self.line() {
            let size = std::str::from_utf8(&self.unread[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let (from, end) = (line + 2, line + 2 + size + 2);
            if self.at_least(end) < end {
                let from = from.min(self.unread.len());
                body.extend_from_slice(&self.unread[from..]);
                break;
            }
            body.extend_from_slice(&self.unread[from..from + size]);
            self.unread.drain(..end);
            if size == 0 {
                return body;
            }
        }
        *whole = false;
        body
    }

    /// Where the next line ends; `None` if it does not.
    fn line(&mut self) -> Option<usize> {
        loop {
            match find(&self.unread, b"\r\n") {
                Some(at) => return Some(at),
                None if self.more() => {}
                None => return None,
            }
        }
    }

    /// Reads once; false at the end, however it came.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                self.seen
                    .lock()
                    .unwrap()
                    .extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                panic!("nothing came for {PATIENCE:?}")
            }
            Err(_broken) => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Chunked,
    Length(usize),
    None,
    ToTheEnd,
}

/// A request or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// All lines of the head.
    pub(crate) head: String,
    /// The body, without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether the end of the message came, and not just the end of the connection.
    pub(crate) whole: bool,
}

impl Message {
    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The values of a header, in order.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        let pairs = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        pairs
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The names of all headers, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let pairs = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let mut names: Vec<_> = pairs.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as a JSON document.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|bad| panic!("{bad}: {}", self.text()))
    }

    /// The text of a problem document without its reference, which is another in each.
    pub(crate) fn unreferenced(&self) -> String {
        let json = self.json();
        let reference = json["instance"].as_str().unwrap();
        self.text().replace(reference, &"-".repeat(reference.len()))
    }

    /// The code of a problem document, after checking that all of it is as it should be.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        assert_eq!(
            self.lines("content-type"),
            ["application/problem+json"],
            "{}",
            self.head
        );
        assert_eq!(self.lines("cache-control"), ["no-store"]);
        assert_eq!(json["status"], self.status());
        let code = json["code"].as_str().unwrap().to_owned();
        let instance = json["instance"].as_str().unwrap();
        assert!(
            instance.starts_with("urn:uuid:") && instance.len() == 45,
            "{instance}"
        );
        let proxy_status = self.lines("proxy-status");
        assert!(
            proxy_status[0].starts_with("sluis; error="),
            "{proxy_status:?}"
        );
        assert!(
            proxy_status[0].ends_with(&format!("details=\"{code}\"")),
            "{proxy_status:?}"
        );
        code
    }

    fn framing(&self, otherwise: Framing) -> Framing {
        match (
            self.lines("content-length").as_slice(),
            self.lines("transfer-encoding").as_slice(),
        ) {
            ([], []) => otherwise,
            ([length], []) => Framing::Length(length.parse().unwrap()),
            ([], ["chunked"]) => Framing::Chunked,
            (lengths, codings) => panic!("{lengths:?} {codings:?}"),
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
