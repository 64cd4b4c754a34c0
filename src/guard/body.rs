//! Where a body ends (RFC 9112 sections 6.2 and 7.1).

use super::framing::Framing;
use super::lines::{Lines, Sizes, Step};
use crate::limits::{TRAILER_BYTES_MAX, TRAILER_LINES_MAX};

/// No chunk has more digits: its size stays within 64 bits.
const SIZE_DIGITS_MAX: usize = 15;
/// Trailers are read to be dropped.
const TRAILERS: Sizes = Sizes {
    all: TRAILER_BYTES_MAX,
    line: TRAILER_BYTES_MAX,
    lines: TRAILER_LINES_MAX,
};

/// What is to come of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The end of a chunk's data.
    ChunkEnd,
    /// The line of a chunk.
    ChunkLine,
    /// So many bytes, and no more.
    Data(u64),
    /// Nothing.
    Ended,
    /// Whatever comes until the connection ends.
    Rest,
    /// The trailers.
    Trailers(Lines),
}

impl From<Framing> for Body {
    /// For a message that has no body if it says nothing of it.
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Chunked => Self::ChunkLine,
            Framing::Length(0) | Framing::Unsaid => Self::Ended,
            Framing::Length(length) => Self::Data(length),
        }
    }
}

/// Not as RFC 9112 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

impl Body {
    /// How many of the bytes belong to it and are good; `None` if more must come first.
    ///
    /// # Errors
    /// [`Bad`].
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Bad> {
        match *self {
            Self::Chunk(left) => Ok(take(bytes, left, |left| {
                *self = match left {
                    0 => Self::ChunkEnd,
                    _ => Self::Chunk(left),
                };
            })),
            Self::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Self::ChunkLine;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err(Bad),
            },
            Self::ChunkLine => Ok(chunk_line(bytes)?.map(|(size, length)| {
                *self = match size {
                    0 => Self::Trailers(Lines::default()),
                    _ => Self::Chunk(size),
                };
                length
            })),
            Self::Data(left) => Ok(take(bytes, left, |left| {
                *self = match left {
                    0 => Self::Ended,
                    _ => Self::Data(left),
                };
            })),
            Self::Ended => Ok(None),
            Self::Rest => Ok((!bytes.is_empty()).then_some(bytes.len())),
            Self::Trailers(ref mut lines) => loop {
                match lines.next(bytes, &TRAILERS).map_err(|_why| Bad)? {
                    Step::End(end) => {
                        *self = Self::Ended;
                        return Ok(Some(end));
                    }
                    Step::Line(_, _) => {}
                    Step::More => return Ok(None),
                }
            },
        }
    }
}

/// Takes of `bytes` what is `left` to come.
fn take(bytes: &[u8], left: u64, note: impl FnOnce(u64)) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    note(left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX)));
    Some(taken)
}

/// The size of a chunk and the length of its line, which is nothing but digits.
fn chunk_line(bytes: &[u8]) -> Result<Option<(u64, usize)>, Bad> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let count = digits.take(SIZE_DIGITS_MAX).count();
    let (digits, end) = bytes.split_at_checked(count).unwrap_or_default();
    match end {
        [] => Ok(None),
        _ if count == 0 => Err(Bad),
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => {
            let text = std::str::from_utf8(digits).map_err(|_bad| Bad)?;
            let size = u64::from_str_radix(text, 16).map_err(|_bad| Bad)?;
            Ok(Some((size, count.saturating_add(2))))
        }
        _ => Err(Bad),
    }
}
