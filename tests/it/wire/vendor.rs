//! A vendor that reads raw bytes, notes every oddity of what it gets, and answers with any bytes at
//! any pace.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Upstream, peer};
use crate::wire::PATIENCE;

/// One request, as far as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// Its place on that connection, counted from 0.
    pub(crate) place: usize,
    /// All lines of its head.
    pub(crate) head: Vec<u8>,
    /// Its body, without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether its end came.
    pub(crate) whole: bool,
    /// What no two readers need read alike, or what RFC 9112 forbids.
    pub(crate) oddities: Vec<String>,
}

impl Seen {
    /// The number that a case gave it, in its query or in its body.
    pub(crate) fn number(&self) -> Option<u32> {
        number_after(&self.head, b"limit=").or_else(|| number_after(&self.body, b"\"grade\":"))
    }

    /// Its method.
    pub(crate) fn method(&self) -> &[u8] {
        self.head.split(|byte| *byte == b' ').next().unwrap()
    }

    /// What is in it that a gateway which builds every request anew would never write.
    pub(crate) fn foreign(&self, vendor: SocketAddr, token: &str) -> Option<String> {
        let text = String::from_utf8(self.head.clone()).ok()?;
        let mut lines = text.trim_end().split("\r\n");
        let first = lines.next()?;
        let known = [
            format!("host: {vendor}"),
            format!("authorization: Bearer {token}"),
            "accept: application/json".to_owned(),
            "accept-encoding: identity".to_owned(),
            "user-agent: sluis".to_owned(),
            "via: 1.1 sluis".to_owned(),
            "content-type: application/json".to_owned(),
            "transfer-encoding: chunked".to_owned(),
            format!("content-length: {}", self.body.len()),
        ];
        let mut met: Vec<&str> = Vec::new();
        for line in lines {
            if !known.iter().any(|known| known == line) || met.contains(&line) {
                return Some(format!("the line {line:?}"));
            }
            met.push(line);
        }
        let target = first.split(' ').nth(1).unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/?=-._~%".contains(&byte);
        let good = first.split(' ').count() == 3 && target.bytes().all(plain);
        (!good).then(|| format!("the first line {first:?}"))
    }
}

/// The first five digits in a row after a mark.
fn number_after(bytes: &[u8], mark: &[u8]) -> Option<u32> {
    let at = bytes.windows(mark.len()).position(|it| it == mark)?;
    let rest = &bytes[at + mark.len()..];
    let five = rest.windows(5).find(|it| it.iter().all(u8::is_ascii_digit));
    std::str::from_utf8(five?).ok()?.parse().ok()
}

/// A piece of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These bytes, at once.
    Send(Vec<u8>),
    /// These bytes, one at a time.
    Trickle(Vec<u8>, Duration),
    /// The end of what it says, in order.
    Close,
    /// The end of the connection, with a reset.
    Reset,
    /// Nothing more until the other end closes.
    Hold,
    /// Nothing, for so long.
    Wait(Duration),
}

/// How a vendor answers: by what it has seen of a request.
pub(crate) type Manner = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// Requests by their number; those without one under `None`.
pub(crate) type Numbered = BTreeMap<Option<u32>, Vec<Seen>>;

/// A vendor on loopback.
#[derive(Clone)]
pub(crate) struct Vendor {
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    connections: usize,
    /// Connections whose other end has closed.
    closed: usize,
    seen: Vec<Seen>,
    bytes: peer::Seen,
}

impl Vendor {
    /// A vendor that answers every request once it is whole.
    pub(crate) fn answering(
        answer: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> (Self, Upstream) {
        Self::with(|_| Vec::new(), answer)
    }

    /// A vendor that says something `early`, after each head, and something once it is whole.
    pub(crate) fn with(
        early: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
        answer: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> (Self, Upstream) {
        let log = Arc::<Mutex<Log>>::default();
        let bytes = Arc::clone(&log.lock().unwrap().bytes);
        let vendor = Self {
            log: Arc::clone(&log),
        };
        let manners: [Arc<Manner>; 2] = [Arc::new(early), Arc::new(answer)];
        let upstream = Upstream::on_sockets(move |socket| {
            let connection = {
                let mut log = log.lock().unwrap();
                log.connections += 1;
                log.connections - 1
            };
            let mut reader = Reader {
                socket,
                unread: Vec::new(),
                seen: Seen::default(),
                log: Arc::clone(&log),
            };
            reader.socket.set_nodelay(true).unwrap();
            let mut place = 0;
            while reader.serve((connection, place), &manners) {
                place += 1;
            }
        });
        (vendor, upstream.seen_in(bytes))
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().seen.clone()
    }

    /// Every request so far, by its number.
    pub(crate) fn numbered(&self) -> Numbered {
        let mut all = Numbered::new();
        for seen in &self.log.lock().unwrap().seen {
            all.entry(seen.number()).or_default().push(seen.clone());
        }
        all
    }

    /// Those with that number.
    pub(crate) fn seen_of(&self, number: u32) -> Vec<Seen> {
        let log = self.log.lock().unwrap();
        let of = log.seen.iter().filter(|it| it.number() == Some(number));
        of.cloned().collect()
    }

    /// Every byte so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.log.lock().unwrap().bytes.lock().unwrap().clone()
    }

    /// Waits until so many connections were closed by the other end.
    pub(crate) fn await_closed(&self, count: usize) {
        self.await_log(|log| log.closed >= count, "closed connections");
    }

    /// Waits until so many requests were seen.
    pub(crate) fn await_seen(&self, count: usize) {
        self.await_log(|log| log.seen.len() >= count, "requests");
    }

    /// Waits until so many requests with that number were seen.
    pub(crate) fn await_seen_of(&self, number: u32, count: usize) {
        let of = |log: &Log| {
            log.seen
                .iter()
                .filter(|it| it.number() == Some(number))
                .count()
        };
        self.await_log(|log| of(log) >= count, "requests of a number");
    }

    fn await_log(&self, good: impl Fn(&Log) -> bool, what: &str) {
        let begun = Instant::now();
        while !good(&self.log.lock().unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "too few {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// One connection, read strictly: what is not as it must be is noted, and read on as others would.
struct Reader {
    socket: TcpStream,
    unread: Vec<u8>,
    seen: Seen,
    log: Arc<Mutex<Log>>,
}

/// The other end has closed, or what it says makes no sense any more.
struct Over;

impl Reader {
    /// Reads one request and answers it; false once the connection is over.
    fn serve(&mut self, (connection, place): (usize, usize), manners: &[Arc<Manner>; 2]) -> bool {
        self.seen = Seen {
            connection,
            place,
            ..Seen::default()
        };
        let read = self.read(&manners[0]);
        if self.seen.head.is_empty() && self.unread.is_empty() {
            self.close();
            return false;
        }
        if !self.unread.is_empty() && read.is_ok() {
            self.odd("bytes beyond its end");
        }
        self.seen.whole = read.is_ok();
        let rest = std::mem::take(&mut self.unread);
        if self.seen.head.is_empty() {
            self.seen.head = rest;
        } else {
            self.unread = rest;
        }
        self.log.lock().unwrap().seen.push(self.seen.clone());
        let answered = read.and_then(|()| self.say(manners[1](&self.seen)));
        answered.is_ok()
    }

    /// Reads one request.
    fn read(&mut self, early: &Arc<Manner>) -> Result<(), Over> {
        self.head()?;
        let steps = early(&self.seen);
        self.say(steps)?;
        self.body()
    }

    fn head(&mut self) -> Result<(), Over> {
        loop {
            let line = self.line()?;
            let end = line == b"\r\n" || line == b"\n";
            if self.seen.head.is_empty() && end {
                self.odd("an empty line before it");
                continue;
            }
            self.check(&line);
            self.seen.head.extend_from_slice(&line);
            if end {
                return Ok(());
            }
        }
    }

    /// Notes what is odd about a line of a head.
    fn check(&mut self, line: &[u8]) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let Some(text) = text.strip_suffix(b"\r") else {
            return self.odd("a line that ends with LF alone");
        };
        if text.iter().any(|byte| *byte < b' ' && *byte != b'\t') {
            self.odd("a control character in its head");
        }
        if self.seen.head.is_empty() {
            let parts: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
            let good = parts.len() == 3
                && !parts[0].is_empty()
                && parts[0].iter().all(|byte| is_token(*byte))
                && parts[1].iter().all(|byte| byte.is_ascii_graphic())
                && matches!(parts[2], b"HTTP/1.1" | b"HTTP/1.0");
            if !good {
                self.odd("its first line");
            }
            return;
        }
        let name = text.split(|byte| *byte == b':').next().unwrap();
        let named = name.len() < text.len() && !name.is_empty();
        let good = named && name.iter().all(|byte| is_token(*byte));
        if !good && !text.is_empty() {
            self.odd("a name in its head");
        }
    }

    fn body(&mut self) -> Result<(), Over> {
        let lengths = values(&self.seen.head, "content-length");
        let codings = values(&self.seen.head, "transfer-encoding");
        if values(&self.seen.head, "host").len() != 1 {
            self.odd("not one host");
        }
        match (&*lengths, &*codings) {
            ([], []) => Ok(()),
            ([length], []) => {
                let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
                let length = std::str::from_utf8(length).unwrap_or_default();
                match length.parse::<usize>() {
                    Ok(length) if digits => {
                        let body = self.take(length)?;
                        self.seen.body = body;
                        Ok(())
                    }
                    _ => self.lost("a length that is none"),
                }
            }
            ([], [coding]) => {
                if coding != b"chunked" {
                    self.odd("a coding that is not chunked");
                }
                self.chunks()
            }
            _ => self.lost("more than one framing"),
        }
    }

    fn chunks(&mut self) -> Result<(), Over> {
        loop {
            let line = self.line()?;
            let digits = line.strip_suffix(b"\r\n").unwrap_or_default();
            let hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
            let size = std::str::from_utf8(digits).ok().filter(|_| hex);
            let Some(size) = size.and_then(|it| usize::from_str_radix(it, 16).ok()) else {
                return self.lost("the line of a chunk");
            };
            let chunk = self.take(size)?;
            self.seen.body.extend_from_slice(&chunk);
            if size > 0 {
                self.chunk_end()?;
                continue;
            }
            while self.line()? != b"\r\n" {
                self.odd("trailers");
            }
            return Ok(());
        }
    }

    fn chunk_end(&mut self) -> Result<(), Over> {
        match &*self.take(2)? {
            b"\r\n" => Ok(()),
            _ => self.lost("the end of a chunk"),
        }
    }

    fn say(&mut self, steps: Vec<Step>) -> Result<(), Over> {
        steps.into_iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: Step) -> Result<(), Over> {
        match step {
            Step::Send(bytes) => self.write(&bytes)?,
            Step::Trickle(bytes, pause) => bytes.into_iter().try_for_each(|byte| {
                std::thread::sleep(pause);
                self.write(&[byte])
            })?,
            Step::Wait(time) => std::thread::sleep(time),
            Step::Close => {
                // What has not been read would turn the end into a reset.
                drop(self.socket.shutdown(Shutdown::Write));
                while self.more() {}
                return Err(Over);
            }
            Step::Hold => {
                while self.more() {}
                self.close();
                return Err(Over);
            }
            Step::Reset => {
                let socket = socket2::SockRef::from(&self.socket);
                drop(socket.set_linger(Some(Duration::ZERO)));
                return Err(Over);
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.socket.write_all(bytes).map_err(|_gone| Over)
    }

    /// Reads to the end of a line, whatever ends it.
    fn line(&mut self) -> Result<Vec<u8>, Over> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == b'\n') {
                return Ok(self.unread.drain(..=at).collect());
            }
            if !self.more() {
                return Err(Over);
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, Over> {
        while self.unread.len() < count {
            if !self.more() {
                self.seen.body.append(&mut self.unread);
                return Err(Over);
            }
        }
        Ok(self.unread.drain(..count).collect())
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let count = self.socket.read(&mut buffer).unwrap_or_default();
        self.unread.extend_from_slice(&buffer[..count]);
        let log = self.log.lock().unwrap();
        log.bytes
            .lock()
            .unwrap()
            .extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Notes that the other end has closed.
    fn close(&self) {
        self.log.lock().unwrap().closed += 1;
    }

    fn odd(&mut self, what: &str) {
        self.seen.oddities.push(what.to_owned());
    }

    /// Notes what leaves no sense in anything that follows.
    fn lost(&mut self, what: &str) -> Result<(), Over> {
        self.odd(what);
        Err(Over)
    }
}

/// The values of a header, without the blanks around them.
pub(crate) fn values(head: &[u8], name: &str) -> Vec<Vec<u8>> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let pairs = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some(line.split_at(colon))
    });
    pairs
        .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value[1..].trim_ascii().to_vec())
        .collect()
}

pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
