//! Requests over HTTP/2 that the HTTP library refuses by itself, before anybody sees them. All that
//! tells of them are the frames that it sends.

use crate::events::StreamRefusal;
use crate::guard::FrameHead;

const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// What RST_STREAM says of a stream too many. Nothing of ours resets one for that.
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
/// A head of one field is shorter, also behind two changes of the table's size.
const BLOCK_BYTES_MAX: usize = 16;

/// Reads the frames that are sent on one connection.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The head of a frame, and as much of what is in it as is looked at.
    held: Vec<u8>,
    /// So many bytes come before the head of the next frame.
    skip: usize,
}

impl Sent {
    /// These bytes were sent next: `found` is told of each request that was refused with them.
    pub(super) fn look(&mut self, mut bytes: &[u8], mut found: impl FnMut(StreamRefusal)) {
        while !bytes.is_empty() {
            let most = match self.skip {
                0 => missing(&self.held),
                skip => skip,
            };
            let (part, rest) = bytes.split_at_checked(most).unwrap_or((bytes, &[]));
            bytes = rest;
            if self.skip > 0 {
                self.skip = self.skip.saturating_sub(part.len());
                continue;
            }
            self.held.extend_from_slice(part);
            if let Some(frame) = Frame::of(&self.held)
                && missing(&self.held) == 0
            {
                self.skip = frame.head.length.saturating_sub(frame.begin.len());
                frame.refusal().into_iter().for_each(&mut found);
                self.held.clear();
            }
        }
    }
}

/// How many bytes more are looked at together with these.
fn missing(held: &[u8]) -> usize {
    match Frame::of(held) {
        Some(frame) => frame.looked_at().saturating_sub(frame.begin.len()),
        None => FrameHead::BYTES.saturating_sub(held.len()),
    }
}

/// A frame of which the head has come.
struct Frame<'f> {
    head: FrameHead,
    /// What has come of the rest.
    begin: &'f [u8],
}

impl<'f> Frame<'f> {
    fn of(held: &'f [u8]) -> Option<Self> {
        let head = FrameHead::of(held)?;
        let begin = held.get(FrameHead::BYTES..)?;
        Some(Self { head, begin })
    }

    /// How much of it is looked at.
    fn looked_at(&self) -> usize {
        match self.head.kind {
            RST_STREAM => self.head.length.min(REFUSED_STREAM.len()),
            HEADERS if self.head.length <= BLOCK_BYTES_MAX => self.head.length,
            _ => 0,
        }
    }

    /// What it refuses.
    fn refusal(&self) -> Option<StreamRefusal> {
        let whole = END_STREAM | END_HEADERS;
        match self.head.kind {
            RST_STREAM if self.begin == REFUSED_STREAM => Some(StreamRefusal::TooMany),
            // An answer of ours has its date, and more: a status alone is the library's 431.
            HEADERS if self.head.flags & whole == whole && is_one_field(self.begin) => {
                Some(StreamRefusal::HeadTooLarge)
            }
            _ => None,
        }
    }
}

/// Whether a block has one field (RFC 7541 section 6), of a name that has a number.
fn is_one_field(mut block: &[u8]) -> bool {
    while let Some(0x20..=0x3f) = block.first() {
        // A change of the table's size.
        block = behind_number(block, 5).unwrap_or_default();
    }
    let rest = match block.first() {
        Some(0x80..) => behind_number(block, 7),
        Some(0x40..) => behind_number(block, 6).and_then(behind_text),
        Some(_) => behind_number(block, 4).and_then(behind_text),
        None => None,
    };
    rest.is_some_and(<[u8]>::is_empty)
}

/// What follows a number whose first byte has so many bits of it (RFC 7541 section 5.1).
fn behind_number(bytes: &[u8], bits: u32) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    let all = u8::MAX.checked_shr(8_u32.saturating_sub(bits))?;
    if first & all != all {
        return Some(rest);
    }
    let last = rest.iter().position(|byte| byte & 0x80 == 0)?;
    rest.get(last.saturating_add(1)..)
}

/// What follows a short text (RFC 7541 section 5.2).
fn behind_text(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first()?;
    rest.get(usize::from(length & 0x7f)..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::StreamRefusal::{HeadTooLarge, TooMany};

    const WHOLE: u8 = END_STREAM | END_HEADERS;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        [&head, payload].concat()
    }

    /// What is found in these bytes, written in pieces of that size.
    fn found(bytes: &[u8], size: usize) -> Vec<StreamRefusal> {
        let (mut sent, mut all) = (Sent::default(), Vec::new());
        for piece in bytes.chunks(size) {
            sent.look(piece, |refusal| all.push(refusal));
        }
        all
    }

    #[test]
    fn what_the_library_refuses_is_found_among_all_else_in_whatever_pieces() {
        let reset = |code: u8| frame(RST_STREAM, 0, &[0, 0, 0, code]);
        let like_one = [reset(7), frame(HEADERS, WHOLE, &[0xbf])].concat();
        let all = [
            frame(0x4, 0, &[0, 3, 0, 0, 0, 2]),
            reset(7),
            // A body that looks like frames, and a long head.
            frame(0x0, 0, &like_one),
            frame(HEADERS, WHOLE, &[0x82; 200]),
            reset(8),
            frame(HEADERS, WHOLE, &[0x48, 3, b'4', b'3', b'1']),
            frame(0x7, 0, &like_one),
            frame(0x0, END_STREAM, &[]),
            reset(7),
        ]
        .concat();
        for size in 1..all.len() {
            let found = found(&all, size);
            assert_eq!(found, [TooMany, HeadTooLarge, TooMany], "{size}");
        }
    }

    #[test]
    fn a_head_of_one_field_is_told_from_every_other() {
        let one: [&[u8]; 7] = [
            &[0x88],
            &[0xbf],
            &[0xff, 0x03],
            &[0x48, 0x83, 0x68, 0x4c, 0xbf],
            &[0x08, 3, b'4', b'3', b'1'],
            &[0x20, 0xbf],
            &[0x20, 0x3f, 0xe1, 0x1f, 0x48, 3, b'4', b'3', b'1'],
        ];
        let other: [&[u8]; 8] = [
            &[],
            &[0x20],
            &[0x88, 0xbf],
            &[0xff],
            &[0x48, 3, b'4', b'3'],
            &[0x48, 3, b'2', b'0', b'4', 0xbf],
            &[0x40, 1, b'x', 1, b'y'],
            &[0x88; BLOCK_BYTES_MAX + 1],
        ];
        for (blocks, expected) in [(&one[..], vec![HeadTooLarge]), (&other[..], vec![])] {
            for block in blocks {
                assert_eq!(
                    found(&frame(HEADERS, WHOLE, block), 64),
                    expected,
                    "{block:?}"
                );
            }
        }
        // Not the whole of a head, or of an answer.
        for flags in [0, END_STREAM, END_HEADERS] {
            assert_eq!(found(&frame(HEADERS, flags, &[0x88]), 64), []);
        }
    }
}
