//! The lines of a head, and of trailers (RFC 9112 sections 2.2 and 5).

use super::class::{LINE, TOKEN, VALUE, run};
use crate::refusal::Refusal;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// All its lines together, in bytes.
    pub(super) all: usize,
    /// One line, in bytes with its end.
    pub(super) line: usize,
    /// How many lines.
    pub(super) lines: usize,
}

/// How far the lines of a head have been read. Places count from the first byte of the message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// Where the first line begins.
    first: usize,
    /// Where the line begins that is being read.
    line: usize,
    colon: usize,
    at: usize,
    count: usize,
    part: Part,
}

/// What is read next of a line.
#[derive(Clone, Copy, Debug, Default)]
enum Part {
    /// The line feed of the empty line.
    LastFeed,
    /// The line feed of a line.
    Feed,
    Name,
    /// Its first byte.
    #[default]
    Start,
    Value,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'b> {
    /// The empty line: the lines end here.
    End(usize),
    /// A line: its name, and its value without the blanks around it.
    Line(&'b [u8], &'b [u8]),
    /// As far as there are bytes.
    More,
}

impl Lines {
    /// Lines that begin there.
    pub(super) fn at(first: usize) -> Self {
        Self {
            first,
            line: first,
            at: first,
            ..Self::default()
        }
    }

    /// Where the first one begins.
    pub(super) const fn begin(&self) -> usize {
        self.first
    }

    /// Reads one line of the message that begins with `bytes`.
    ///
    /// # Errors
    /// [`Refusal::HeadInvalid`], [`Refusal::HeadTooLarge`].
    pub(super) fn next<'b>(&mut self, bytes: &'b [u8], sizes: &Sizes) -> Result<Step<'b>, Refusal> {
        let most = self.line.saturating_add(sizes.line);
        let most = most.min(self.first.saturating_add(sizes.all));
        let within = bytes.get(..most).unwrap_or(bytes);
        loop {
            let (class, ends, then) = match self.part {
                Part::Start => match bytes.get(self.at) {
                    None => return Ok(Step::More),
                    Some(b'\r') => {
                        self.at = self.at.saturating_add(1);
                        self.part = Part::LastFeed;
                        continue;
                    }
                    Some(_) if self.count >= sizes.lines => return Err(Refusal::HeadTooLarge),
                    Some(_) => {
                        self.part = Part::Name;
                        continue;
                    }
                },
                Part::LastFeed => return self.last_feed(bytes),
                Part::Name => (TOKEN, b':', Part::Value),
                Part::Value => (VALUE, b'\r', Part::Feed),
                Part::Feed => (0, b'\n', Part::Start),
            };
            self.at = run(within, self.at, class);
            match within.get(self.at) {
                None if self.at >= most => return Err(Refusal::HeadTooLarge),
                None => return Ok(Step::More),
                Some(byte) if *byte == ends && self.at > self.line => {}
                Some(_) => return Err(Refusal::HeadInvalid),
            }
            if ends == b':' {
                self.colon = self.at;
            }
            self.at = self.at.saturating_add(1);
            self.part = then;
            if ends == b'\n' {
                return Ok(self.line(bytes));
            }
        }
    }

    fn last_feed<'b>(&mut self, bytes: &[u8]) -> Result<Step<'b>, Refusal> {
        match bytes.get(self.at) {
            None => Ok(Step::More),
            Some(b'\n') => Ok(Step::End(self.at.saturating_add(1))),
            Some(_) => Err(Refusal::HeadInvalid),
        }
    }

    fn line<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        let name = bytes.get(self.line..self.colon).unwrap_or_default();
        let value = bytes.get(self.colon.saturating_add(1)..self.at);
        self.count = self.count.saturating_add(1);
        self.line = self.at;
        Step::Line(name, value.unwrap_or_default().trim_ascii())
    }
}

/// How far the first line of a head has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstLine {
    at: usize,
}

/// What was read of a first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First<'b> {
    /// Without its end; and where the next one begins.
    Line(&'b [u8], usize),
    /// As far as there are bytes.
    More,
    /// It is longer than it may be. It begins like this.
    TooLong(&'b [u8]),
}

impl FirstLine {
    /// Reads the line of at most `most` bytes with its end that `bytes` begin with.
    ///
    /// # Errors
    /// [`Refusal::HeadInvalid`] for a control character in it, and another end than CRLF.
    pub(super) fn read<'b>(&mut self, bytes: &'b [u8], most: usize) -> Result<First<'b>, Refusal> {
        let within = bytes.get(..most).unwrap_or(bytes);
        self.at = run(within, self.at, LINE);
        let next = self.at.saturating_add(1);
        match (within.get(self.at), within.get(next)) {
            (Some(b'\r'), Some(b'\n')) => {
                let line = within.get(..self.at).unwrap_or_default();
                Ok(First::Line(line, next.saturating_add(1)))
            }
            (Some(b'\r') | None, None) if within.len() >= most => Ok(First::TooLong(within)),
            (Some(b'\r') | None, None) => Ok(First::More),
            (Some(_) | None, _) => Err(Refusal::HeadInvalid),
        }
    }
}
