//! What upstreams answer. Every fault is the upstream's; which one it is, nobody is told.

use super::body::Body;
use super::framing::Framing;
use super::lines::{First, FirstLine, Lines, Sizes, Step};
use super::{Fault, Look, Reader};
use crate::limits::{ANSWER_LINES_MAX, Bound, Limits};
use crate::refusal::Refusal;

/// The one fault there is.
const BROKEN: Refusal = Refusal::UpstreamBroken;

/// What is expected of an answer, by the method of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A body, if the status has one.
    Body,
    /// No body, whatever the head says: the request was HEAD.
    HeadOnly,
}

/// Reads the answers on one connection: one for each request, and nothing besides.
#[derive(Clone, Debug)]
pub struct Answers {
    state: State,
    head_bytes_max: usize,
    informational_max: usize,
}

#[derive(Clone, Debug)]
enum State {
    Body(Body),
    Head(Head),
    /// No answer is due.
    Idle,
    Over(Fault),
}

/// How far the head of an answer has been read.
#[derive(Clone, Debug)]
struct Head {
    expected: Expected,
    first: FirstLine,
    /// With the status; `None` while the first line is read.
    lines: Option<(Lines, Status)>,
    framing: Framing,
    /// Bytes of the informational answers before it.
    before: usize,
    /// How many more of them there may be.
    informational_left: usize,
}

/// The first line of an answer.
#[derive(Clone, Copy, Debug)]
struct Status {
    version: Version,
    code: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// What a head that was read leads to.
enum Next {
    /// An informational answer: another head.
    Another,
    Body(Body),
    /// Nothing that could be read: whatever comes after it is no answer to anything.
    Nothing,
}

impl Answers {
    /// For a connection on which nothing has been asked.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            state: State::Idle,
            head_bytes_max: limits.size(Bound::UpstreamHead),
            informational_max: limits.size(Bound::UpstreamInformational),
        }
    }

    /// A request is on its way. An answer that has come already is none to it.
    pub fn expect(&mut self, expected: Expected) {
        self.state = match self.state {
            State::Idle => State::Head(Head::new(expected, self.informational_max)),
            // The next request began before the last answer was over: nobody can tell them apart.
            State::Body(_) | State::Head(_) => State::Over(Fault::Head(BROKEN)),
            State::Over(fault) => State::Over(fault),
        };
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        match &mut self.state {
            State::Idle if bytes.is_empty() => Ok(None),
            State::Idle => Err(Fault::Head(BROKEN)),
            State::Body(Body::Ended) => {
                self.state = State::Idle;
                Ok(Some(0))
            }
            State::Body(body) => body.step(bytes).map_err(|_bad| Fault::Body),
            State::Head(head) => {
                let read = head.read(bytes, self.head_bytes_max);
                let read = read.map_err(|_which| Fault::Head(BROKEN))?;
                let Some((end, status)) = read else {
                    return Ok(None);
                };
                match head.next(end, status).ok_or(Fault::Head(BROKEN))? {
                    Next::Another => {}
                    Next::Body(body) => self.state = State::Body(body),
                    Next::Nothing => self.state = State::Over(Fault::Head(BROKEN)),
                }
                Ok(Some(end))
            }
            State::Over(fault) => Err(*fault),
        }
    }
}

impl Reader for Answers {
    fn look(&mut self, bytes: &[u8]) -> Look {
        let look = super::look(bytes, |rest| self.step(rest));
        if let Some(fault) = look.fault {
            self.state = State::Over(fault);
        }
        look
    }
}

impl Head {
    fn new(expected: Expected, informational_left: usize) -> Self {
        Self {
            expected,
            first: FirstLine::default(),
            lines: None,
            framing: Framing::default(),
            before: 0,
            informational_left,
        }
    }

    /// Reads on; gives where the head ends.
    fn read(
        &mut self,
        bytes: &[u8],
        head_bytes_max: usize,
    ) -> Result<Option<(usize, Status)>, Refusal> {
        let most = head_bytes_max.saturating_sub(self.before);
        let (mut lines, status) = match self.lines {
            Some(read) => read,
            None => match self.first.read(bytes, most)? {
                First::Line(line, next) => (Lines::at(next), Status::parse(line).ok_or(BROKEN)?),
                First::More => return Ok(None),
                First::TooLong(_) => return Err(BROKEN),
            },
        };
        let sizes = Sizes {
            all: most.saturating_sub(lines.begin()),
            line: most,
            lines: ANSWER_LINES_MAX,
        };
        let end = loop {
            match lines.next(bytes, &sizes)? {
                Step::End(end) => break Some((end, status)),
                Step::Line(name, value) => self.note(name, value)?,
                Step::More => break None,
            }
        };
        self.lines = Some((lines, status));
        Ok(end)
    }

    /// Notes what a line says of the body, if it does.
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            14 if is(b"content-length") => self.framing.note_length(value),
            17 if is(b"transfer-encoding") => self.framing.note_coding(value),
            _ => Ok(()),
        }
    }

    /// What follows a head of so many bytes (RFC 9112 section 6.3); `None` if that is not clear.
    fn next(&mut self, bytes: usize, status: Status) -> Option<Next> {
        if status.is_informational() {
            let good = self.framing == Framing::Unsaid;
            let left = self.informational_left.checked_sub(1)?;
            *self = Self {
                before: self.before.saturating_add(bytes),
                ..Self::new(self.expected, left)
            };
            return good.then_some(Next::Another);
        }
        let body = match (status.code, self.framing) {
            (_, Framing::Chunked) if status.version == Version::Http10 => return None,
            (204, Framing::Unsaid | Framing::Length(0)) | (304, _) => Body::Ended,
            // Another protocol, which nobody asked for, and a body where there is none.
            (101 | 204, _) => return Some(Next::Nothing),
            _ if self.expected == Expected::HeadOnly => Body::Ended,
            // It cannot say that it breaks off.
            (_, Framing::Unsaid) if status.version == Version::Http10 => return None,
            (_, Framing::Unsaid) => Body::Rest,
            (_, framing) => framing.into(),
        };
        Some(Next::Body(body))
    }
}

impl Status {
    /// `HTTP/1.1 SP code SP reason` (RFC 9112 section 4). Some leave the last blank out with the
    /// reason.
    fn parse(line: &[u8]) -> Option<Self> {
        let (version, rest) = line.split_at_checked(b"HTTP/1.1".len())?;
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return None,
        };
        let (code, reason) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
        let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
        let good = (100..600).contains(&code) && (reason.is_empty() || reason.starts_with(b" "));
        good.then_some(Self { version, code })
    }

    fn is_informational(self) -> bool {
        self.code < 200 && self.code != 101
    }
}
