//! A record of the journal: the rows of one commit, as they stand on the disk.
//!
//! ```text
//! record = magic ‖ checksum ‖ number ‖ lookup ‖ length of rows ‖ rows ‖ zeros up to a whole page
//! row    = lookup ‖ day ‖ lp(school) ‖ lp(kind) ‖ lp(sealed)
//! ```
//!
//! `number` and `lookup` are those of the row before the first, which ties a record to the register
//! that it was written for, and to its place there. `checksum` is the SHA-256 of everything behind
//! it but the zeros. Numbers are little-endian; `lp` puts the length in two bytes before the bytes.

use crate::secret::sha256;
use crate::store::backend::{Mark, NewRow, Row};

/// A record begins where a page does, so that no page is written again that holds an older one.
pub(super) const PAGE: usize = 4_096;
const MAGIC: &[u8; 8] = b"sluis j1";
const CHECKSUM_END: usize = MAGIC.len() + 32;
const HEADER: usize = CHECKSUM_END + 8 + 16 + 4;

/// Whether a file that begins so can be a journal: with a record, or with what is left where none
/// was finished. A disk writes so few bytes as one.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.iter().all(|byte| *byte == 0)
}

/// A record that is whole.
pub(super) struct Record<'a> {
    /// The row before its first.
    pub(super) after: Mark,
    /// Its last row.
    pub(super) last: Mark,
    pub(super) rows: &'a [u8],
    /// All of it, with the zeros behind it.
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record that begins here; `None` if there is none, or not all of it.
    pub(super) fn at_start_of(bytes: &'a [u8]) -> Option<Self> {
        let (checksum, checked) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        let (number, left) = checked.split_first_chunk()?;
        let (lookup, left) = left.split_first_chunk()?;
        let (length, left) = left.split_first_chunk()?;
        let (rows, _) = left.split_at_checked(small(u32::from_le_bytes(*length)))?;
        let length = HEADER.checked_add(rows.len())?;
        let checked = checked.get(..length.checked_sub(CHECKSUM_END)?)?;
        if !sha256(checked).matches(checksum) {
            return None;
        }
        let after = Mark {
            number: u64::from_le_bytes(*number),
            lookup: *lookup,
        };
        Some(Self {
            after,
            last: Rows::new(after, rows).last()?.mark(),
            rows,
            bytes: bytes.get(..length.checked_next_multiple_of(PAGE)?)?,
        })
    }
}

/// Writes rows that follow on `after` into `bytes`, as a record and nothing else; `None` if there
/// are none, or it would be longer than `room`.
pub(super) fn write<'a>(
    after: Mark,
    rows: &[NewRow<'_>],
    room: usize,
    bytes: &'a mut Vec<u8>,
) -> Option<Record<'a>> {
    rows.first()?;
    bytes.clear();
    bytes.extend([0; HEADER]);
    let mut last = after;
    for row in rows {
        last = Mark {
            number: last.number.checked_add(1)?,
            lookup: row.lookup,
        };
        bytes.extend(row.lookup);
        bytes.extend(row.day.to_le_bytes());
        push_with_length(row.school.as_str().as_bytes(), bytes)?;
        push_with_length(row.kind.as_bytes(), bytes)?;
        push_with_length(&row.sealed, bytes)?;
        if bytes.len() > room {
            return None;
        }
    }
    let end = bytes.len();
    let (_, header) = bytes.split_at_mut_checked(CHECKSUM_END)?;
    let (number, header) = header.split_first_chunk_mut()?;
    *number = after.number.to_le_bytes();
    let (lookup, header) = header.split_first_chunk_mut()?;
    *lookup = after.lookup;
    *header.first_chunk_mut()? = u32::try_from(end.checked_sub(HEADER)?).ok()?.to_le_bytes();
    // Nothing of it is a secret: it stands beside what it is the sum of.
    let checksum = *sha256(bytes.get(CHECKSUM_END..)?).expose();
    let (magic, header) = bytes.split_first_chunk_mut()?;
    *magic = *MAGIC;
    *header.first_chunk_mut()? = checksum;
    bytes.resize(end.checked_next_multiple_of(PAGE)?, 0);
    Some(Record {
        after,
        last,
        rows: bytes.get(HEADER..end)?,
        bytes: Some(bytes.as_slice()).filter(|bytes| bytes.len() <= room)?,
    })
}

fn push_with_length(bytes: &[u8], record: &mut Vec<u8>) -> Option<()> {
    record.extend(u16::try_from(bytes.len()).ok()?.to_le_bytes());
    record.extend_from_slice(bytes);
    Some(())
}

/// Rows that follow on one another, read where they stand.
pub(in crate::store) struct Rows<'a> {
    number: u64,
    left: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(super) const fn new(after: Mark, bytes: &'a [u8]) -> Self {
        Self {
            number: after.number,
            left: bytes,
        }
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let (length, left) = self.left.split_first_chunk()?;
        let (bytes, left) = left.split_at_checked(u16::from_le_bytes(*length).into())?;
        self.left = left;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let (lookup, left) = self.left.split_first_chunk::<16>()?;
        let (day, left) = left.split_first_chunk()?;
        self.left = left;
        self.number = self.number.checked_add(1)?;
        Some(Row {
            number: self.number,
            lookup: *lookup,
            day: u32::from_le_bytes(*day),
            school: self.text()?,
            kind: self.text()?,
            sealed: self.bytes()?,
        })
    }
}

fn small(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
