//! What callers send.

use super::body::Body;
use super::class::{TARGET, TOKEN, all};
use super::framing::Framing;
use super::lines::{First, FirstLine, Lines, Sizes, Step};
use super::{Fault, Host, Look, Reader};
use crate::limits::{Bound, Limits};
use crate::policy::Method;
use crate::refusal::Refusal;

/// The longest method that is served, in bytes.
const METHOD_BYTES_MAX: usize = 6;
const VERSION: &[u8] = b"HTTP/1.1";
/// What the first line has besides method and target: two blanks, the version and its end.
const FIRST_LINE_BYTES: usize = 12;

/// Reads the requests of one connection.
#[derive(Clone, Debug)]
pub struct Requests {
    state: State,
    /// So many heads have come.
    heads: u64,
    sizes: Sizes,
    target_bytes_max: usize,
}

#[derive(Clone, Debug)]
enum State {
    Body(Body),
    Head(Head),
    Over(Fault),
}

impl Requests {
    /// For a connection on which nothing has come.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            state: State::Head(Head::default()),
            heads: 0,
            sizes: Sizes {
                all: limits.size(Bound::Head),
                line: limits.size(Bound::Header),
                lines: limits.size(Bound::Headers),
            },
            target_bytes_max: limits.size(Bound::Target),
        }
    }

    /// How many requests have come, if all of them are whole, and nothing was wrong. The beginning
    /// of a head is none yet.
    #[must_use]
    pub const fn whole(&self) -> Option<u64> {
        match self.state {
            State::Body(Body::Ended) | State::Head(_) => Some(self.heads),
            State::Body(_) | State::Over(_) => None,
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        match &mut self.state {
            State::Body(Body::Ended) => {
                self.state = State::Head(Head::default());
                Ok(Some(0))
            }
            State::Body(body) => body.step(bytes).map_err(|_bad| Fault::Body),
            State::Head(head) => {
                let read = head.read(bytes, &self.sizes, self.target_bytes_max);
                let end = read.map_err(Fault::Head)?;
                if end.is_some() {
                    self.heads = self.heads.wrapping_add(1);
                    self.state = State::Body(head.framing.into());
                }
                Ok(end)
            }
            State::Over(fault) => Err(*fault),
        }
    }
}

impl Reader for Requests {
    fn look(&mut self, bytes: &[u8]) -> Look {
        let look = super::look(bytes, |rest| self.step(rest));
        if let Some(fault) = look.fault {
            self.state = State::Over(fault);
        }
        look
    }
}

/// How far a head has been read, and what is known of it.
#[derive(Clone, Debug, Default)]
struct Head {
    first: FirstLine,
    /// `None` while the first line is read.
    lines: Option<Lines>,
    framing: Framing,
    host: Seen,
    expect: Seen,
}

/// Whether a line that may come once has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    No,
    Once,
}

impl Seen {
    /// Notes that it came, and whether it had not before.
    fn is_first(&mut self) -> bool {
        std::mem::replace(self, Self::Once) == Self::No
    }
}

impl Head {
    /// Reads on; gives where the head ends.
    fn read(
        &mut self,
        bytes: &[u8],
        sizes: &Sizes,
        target_bytes_max: usize,
    ) -> Result<Option<usize>, Refusal> {
        // Taken out for a while: what is read is noted beside it.
        let mut lines = match self.lines {
            Some(lines) => lines,
            None => match read_first(&mut self.first, bytes, target_bytes_max)? {
                Some(end) => Lines::at(end),
                None => return Ok(None),
            },
        };
        let end = loop {
            match lines.next(bytes, sizes)? {
                Step::End(end) => break Some(end),
                Step::Line(name, value) => self.note(name, value)?,
                Step::More => break None,
            }
        };
        self.lines = Some(lines);
        match (end, self.host) {
            (Some(_), Seen::No) => Err(Refusal::HostInvalid),
            (end, _) => Ok(end),
        }
    }

    /// Notes what a line says of the message, if it does.
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is(b"host") => match is_host(value) && self.host.is_first() {
                true => Ok(()),
                false => Err(Refusal::HostInvalid),
            },
            6 if is(b"expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                match known && self.expect.is_first() {
                    true => Ok(()),
                    false => Err(Refusal::ExpectationUnknown),
                }
            }
            7 if is(b"upgrade") => Err(Refusal::UpgradeRequested),
            10 if is(b"connection") && asks_for_upgrade(value) => Err(Refusal::UpgradeRequested),
            14 if is(b"content-length") => self.framing.note_length(value),
            17 if is(b"transfer-encoding") => self.framing.note_coding(value),
            _ => Ok(()),
        }
    }
}

/// Reads the first line; gives where the next one begins.
fn read_first(
    first: &mut FirstLine,
    bytes: &[u8],
    target_bytes_max: usize,
) -> Result<Option<usize>, Refusal> {
    let besides = METHOD_BYTES_MAX.saturating_add(FIRST_LINE_BYTES);
    match first.read(bytes, target_bytes_max.saturating_add(besides))? {
        First::Line(line, next) => {
            check_first(line, target_bytes_max)?;
            Ok(Some(next))
        }
        First::More => Ok(None),
        First::TooLong(start) => {
            let method = start.split(|byte| *byte == b' ').next();
            Err(match method {
                Some(method) if method.len() <= METHOD_BYTES_MAX => Refusal::TargetTooLong,
                Some(_) | None => Refusal::MethodNotListed,
            })
        }
    }
}

/// `METHOD SP target SP HTTP/1.1` (RFC 9112 section 3), with a method that is served.
fn check_first(line: &[u8], target_bytes_max: usize) -> Result<(), Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = parts else {
        return Err(Refusal::HeadInvalid);
    };
    if version != VERSION {
        let is_one = version.strip_prefix(b"HTTP/").is_some_and(is_version);
        return Err(match is_one {
            true => Refusal::VersionUnsupported,
            false => Refusal::HeadInvalid,
        });
    }
    let known = std::str::from_utf8(method).ok().and_then(Method::parse);
    match known {
        None if !method.is_empty() && all(method, TOKEN) => Err(Refusal::MethodNotListed),
        None => Err(Refusal::HeadInvalid),
        Some(_) if target.len() > target_bytes_max => Err(Refusal::TargetTooLong),
        Some(_) => check_target(target),
    }
}

fn is_version(version: &[u8]) -> bool {
    match version {
        [major, b'.', minor] => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// `/path?query`, or `http://host/path?query` (RFC 9112 sections 3.2.1 and 3.2.2).
fn check_target(target: &[u8]) -> Result<(), Refusal> {
    if !all(target, TARGET) {
        return Err(Refusal::PathInvalid);
    }
    if target.starts_with(b"/") {
        return Ok(());
    }
    let rest = target.strip_prefix(b"http://");
    let rest = rest.or_else(|| target.strip_prefix(b"https://"));
    let rest = rest.ok_or(Refusal::PathInvalid)?;
    let end = rest.iter().position(|byte| *byte == b'/');
    let authority = end.and_then(|end| rest.get(..end));
    match authority.ok_or(Refusal::PathInvalid)? {
        authority if is_host(authority) => Ok(()),
        _ => Err(Refusal::HostInvalid),
    }
}

fn is_host(text: &[u8]) -> bool {
    Host::parse(text).is_some()
}

fn asks_for_upgrade(value: &[u8]) -> bool {
    let mut options = value.split(|byte| *byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}
