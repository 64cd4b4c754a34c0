//! A caller that sends any bytes at any pace, and reads answers as strictly as it can.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;
use super::vendor::values;
use crate::harness::peer::Seen;
use crate::harness::{Plans, assert_looked_at, keep, request};

/// One end of a connection.
pub(crate) struct Caller {
    socket: TcpStream,
    unread: Vec<u8>,
    /// Every byte that came, for the leak search.
    seen: Seen,
}

/// What came next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Answer(Answer),
    /// The end, with nothing half said.
    Closed,
    /// Nothing for long.
    Silence,
}

/// An answer, as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Whether it says itself that it is over, and not just the connection.
    pub(crate) whole: bool,
    /// What is wrong with it.
    pub(crate) oddities: Vec<&'static str>,
}

/// The lines that Sluis may write in an answer.
const LINES: [&str; 11] = [
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "proxy-status",
    "retry-after",
    "transfer-encoding",
    "via",
    "www-authenticate",
    "allow",
];

impl Answer {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> Option<String> {
        let json: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(json.get("code")?.as_str()?.to_owned())
    }

    /// The values of a line.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let values = values(&self.head, name).into_iter();
        values.map(|it| String::from_utf8(it).unwrap()).collect()
    }

    /// What Sluis would never write.
    pub(crate) fn foreign(&self) -> Option<String> {
        let text = String::from_utf8(self.head.clone()).ok()?;
        let mut names = Vec::new();
        for line in text.trim_end().split("\r\n").skip(1) {
            let name = line.split(':').next()?.to_ascii_lowercase();
            if !LINES.contains(&&*name) || names.contains(&name) {
                return Some(line.to_owned());
            }
            names.push(name);
        }
        None
    }

    /// Whether it is a refusal of the catalogue, or one without a word for who does not speak HTTP.
    pub(crate) fn is_refusal(&self) -> bool {
        let wordless = self.body.is_empty() && self.lines("connection") == ["close"];
        let known = |code: String| {
            let mut all = sluis::refusal::Refusal::ALL.iter();
            all.any(|it| it.code() == code)
        };
        self.whole && self.status >= 400 && (self.code().is_some_and(known) || wordless)
    }
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let seen = Seen::default();
        keep(address, &Seen::default(), &seen);
        Self {
            socket,
            unread: Vec::new(),
            seen,
        }
    }

    /// Writes all of it; whether the other end took it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap_or_default();
    }

    /// Goes away with a reset.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.socket);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Whether anything comes, without an end.
    pub(crate) fn some(&mut self) -> bool {
        self.more().is_some_and(|count| count > 0)
    }

    /// Whether anything has come, an end too, within that time.
    pub(crate) fn some_within(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let came = self.more().is_some();
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        came
    }

    /// Reads what comes next.
    pub(crate) fn next(&mut self) -> Got {
        loop {
            let head = find(&self.unread, b"\r\n\r\n");
            if let Some(end) = head {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                let answer = self.answer(head);
                let informational = (100..200).contains(&answer.status) && answer.status != 101;
                match informational {
                    true => continue,
                    false => return Got::Answer(answer),
                }
            }
            match self.more() {
                None => return Got::Silence,
                Some(0) => return self.end(),
                Some(_) => {}
            }
        }
    }

    /// The end, with what was half said.
    fn end(&mut self) -> Got {
        let head = std::mem::take(&mut self.unread);
        match head.is_empty() {
            true => Got::Closed,
            false => Got::Answer(Answer {
                head,
                oddities: vec!["a head that is cut, or none"],
                ..Answer::default()
            }),
        }
    }

    /// Reads the one answer that there must be.
    pub(crate) fn answered(&mut self) -> Answer {
        match self.next() {
            Got::Answer(answer) => answer,
            Got::Closed | Got::Silence => panic!("no answer came"),
        }
    }

    fn answer(&mut self, head: Vec<u8>) -> Answer {
        let mut answer = Answer {
            status: status(&head).unwrap_or_default(),
            head,
            ..Answer::default()
        };
        if answer.status == 0 {
            answer.oddities.push("its first line");
        }
        if (100..200).contains(&answer.status) {
            return answer;
        }
        if let Err(what) = self.body(&mut answer) {
            answer.oddities.push(what);
        }
        answer
    }

    fn body(&mut self, answer: &mut Answer) -> Result<(), &'static str> {
        let lengths = values(&answer.head, "content-length");
        let codings = values(&answer.head, "transfer-encoding");
        match (&*lengths, &*codings) {
            _ if [204, 304].contains(&answer.status) => {
                answer.whole = true;
                Ok(())
            }
            ([length], []) => {
                let length = std::str::from_utf8(length).unwrap_or_default();
                let length: usize = length.parse().map_err(|_none| "a length that is none")?;
                answer.whole = self.take(length, &mut answer.body);
                Ok(())
            }
            ([], [coding]) if coding == b"chunked" => {
                answer.whole = self.chunks(&mut answer.body)?;
                Ok(())
            }
            ([], []) => {
                while self.more().is_some_and(|count| count > 0) {}
                answer.body.append(&mut self.unread);
                Ok(())
            }
            _ => Err("more than one framing"),
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<bool, &'static str> {
        loop {
            let Some(end) = self.line() else {
                return Ok(false);
            };
            let line: Vec<u8> = self.unread.drain(..end + 2).collect();
            let digits = std::str::from_utf8(&line[..end]).unwrap_or_default();
            let size = usize::from_str_radix(digits, 16).map_err(|_bad| "a chunk's line")?;
            let mut chunk = Vec::new();
            let whole = self.take(size + 2, &mut chunk);
            chunk.truncate(size);
            body.append(&mut chunk);
            if !whole || size == 0 {
                return Ok(whole);
            }
        }
    }

    fn take(&mut self, count: usize, into: &mut Vec<u8>) -> bool {
        while self.unread.len() < count && self.more().is_some_and(|count| count > 0) {}
        let end = count.min(self.unread.len());
        into.extend(self.unread.drain(..end));
        end == count
    }

    fn line(&mut self) -> Option<usize> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                return Some(at);
            }
            self.more().filter(|count| *count > 0)?;
        }
    }

    /// Reads once: how many bytes, 0 at the end, nothing if nothing came for long.
    fn more(&mut self) -> Option<usize> {
        let mut buffer = [0; 16 << 10];
        match self.socket.read(&mut buffer) {
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                let mut seen = self.seen.lock().unwrap();
                seen.extend_from_slice(&buffer[..count]);
                Some(count)
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                None
            }
            Err(_broken) => Some(0),
        }
    }
}

/// The status, of a first line as RFC 9112 has it.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.1 ")?;
    let (code, rest) = rest.split_at_checked(3)?;
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    (rest.starts_with(b" ") || rest.starts_with(b"\r\n")).then_some(code)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn what_such_a_caller_got_is_found_when_the_house_goes() {
    assert_looked_at(Plans::default(), |house| {
        let mut caller = Caller::new(house.address);
        caller.send(request("GET", "/pull/users", ""));
        assert_eq!(caller.answered().status, 200);
    });
}
