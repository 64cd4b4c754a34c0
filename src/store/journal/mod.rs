//! The journal of a register in a file: what was committed since the database was, in one piece.
//!
//! A commit of the database writes pages all over its file, and each place costs on a disk. So the
//! rows of a small commit are written here, one record behind the other, and are on disk with one
//! sync of one place; the database takes them all over when the journal is full, when nobody asks
//! for anything, and when it is closed. Then the journal begins at its start again, over the
//! records that are there: those have a place among rows that the database has. What does not go
//! into the journal goes into the database, together with all that is in the journal.
//!
//! ```text
//! append ── small ──▶ record, sync ──▶ on disk
//!    └── large, or the journal is full or fails ──▶ database: rows of the journal, and these
//! open ──▶ records that follow on the database, one on the other ──▶ rows of the journal
//! ```

mod record;
mod slate;
#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small"
)]
mod tests;

pub(super) use record::Rows;
pub(super) use slate::{Beside, Slate, look, path};

use std::io;

use record::{PAGE, Record};

use super::backend::{Fault, Mark, NewRow};
use crate::limits;

pub(super) struct Journal {
    /// `None` if there is nothing to write on: then it takes nothing.
    slate: Option<Box<dyn Slate>>,
    /// Whether all of the slate is on the disk, so that a sync writes one place.
    is_laid_out: bool,
    /// Where the next record begins.
    at: usize,
    /// The last row of the database.
    before: Mark,
    /// The last row of all.
    last: Mark,
    /// The rows that the database does not have.
    rows: Vec<u8>,
    /// A record that is being written.
    record: Vec<u8>,
    /// How often the slate could not be written, since somebody asked.
    failures: u64,
}

/// What is in a journal that was found.
struct Found {
    /// The end of the last record that counts.
    end: usize,
    last: Mark,
    rows: Vec<u8>,
}

impl Journal {
    /// Takes up a journal where it was left. `before` is the last row of the database, and `has`
    /// says whether a row is in it.
    ///
    /// What was found is written again: what a sync that failed has left in memory only is read
    /// as if it were on disk.
    ///
    /// # Errors
    /// [`Fault::Journal`] if a record in it neither follows nor is in the database already.
    pub(super) fn open(
        slate: Option<Box<dyn Slate>>,
        before: Mark,
        has: impl Fn(Mark) -> Result<bool, Fault>,
    ) -> Result<Self, Fault> {
        let contents = match &slate {
            Some(slate) => slate.contents().map_err(failed)?,
            None => Vec::new(),
        };
        let found = Found::among(&contents, before, has)?;
        let (counts, _) = contents.split_at_checked(found.end).unwrap_or_default();
        if let (Some(slate), false) = (&slate, counts.is_empty()) {
            let again = slate.write(0, counts).and_then(|()| slate.sync());
            again.map_err(failed)?;
        }
        Ok(Self {
            slate,
            is_laid_out: contents.len() >= limits::REGISTER_JOURNAL_BYTES,
            at: found.end,
            before,
            last: found.last,
            rows: found.rows,
            record: Vec::new(),
            failures: 0,
        })
    }

    /// Has rows on disk that follow on `after`, and gives the last of them; `None` if the database
    /// must.
    ///
    /// The first row of all is for the database: what a record follows on says whose it is.
    pub(super) fn append(&mut self, after: Mark, rows: &[NewRow<'_>]) -> Option<Mark> {
        if after != self.last || after == Mark::default() {
            return None;
        }
        let room = limits::REGISTER_JOURNAL_BYTES.checked_sub(self.at)?;
        let record = record::write(after, rows, room, &mut self.record)?;
        let end = self.at.checked_add(record.bytes.len())?;
        let at = u64::try_from(self.at).ok()?;
        let slate = self.slate.take()?;
        let laid_out = match self.is_laid_out {
            true => Ok(()),
            false => lay_out(slate.as_ref(), self.at),
        };
        if laid_out.is_err() {
            // It is not tried again: the database has what comes.
            self.failures = self.failures.saturating_add(1);
            return None;
        }
        let written = slate.write(at, record.bytes);
        let written = written.and_then(|()| slate.sync());
        self.slate = Some(slate);
        if written.is_err() {
            self.failures = self.failures.saturating_add(1);
            return None;
        }
        self.is_laid_out = true;
        self.rows.extend_from_slice(record.rows);
        self.at = end;
        self.last = record.last;
        Some(self.last)
    }

    /// The rows that the database does not have.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows::new(self.before, &self.rows)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row that the database must have, if this one is where it was.
    pub(super) fn in_database(&self, mark: Mark) -> Mark {
        match self.rows().any(|row| row.mark() == mark) {
            true => self.before,
            false => mark,
        }
    }

    /// The database has all rows, on disk; this is the last one.
    pub(super) fn begin_again(&mut self, last: Mark) {
        self.at = 0;
        self.before = last;
        self.last = last;
        self.rows.clear();
    }

    /// How often it could not be written, since this was asked last.
    pub(super) const fn take_failures(&mut self) -> u64 {
        std::mem::replace(&mut self.failures, 0)
    }

    /// Does away with a journal of which the database has all rows.
    pub(super) fn discard(&self) {
        if let Some(slate) = &self.slate {
            slate.discard();
        }
    }
}

/// Writes zeros from here on to the end. What there was no room for is given up, so that the
/// database has what it took; but not with records in it.
fn lay_out(slate: &dyn Slate, at: usize) -> io::Result<()> {
    let zeros = vec![0; limits::REGISTER_JOURNAL_BYTES.saturating_sub(at)];
    let done = slate.write(u64::try_from(at).unwrap_or(u64::MAX), &zeros);
    if done.is_err() && at == 0 {
        slate.discard();
    }
    done
}

impl Found {
    /// Every record that is whole either follows, or the database has it already: it is from before
    /// the journal began again. One that was being written when all ended is not whole.
    fn among(
        contents: &[u8],
        before: Mark,
        has: impl Fn(Mark) -> Result<bool, Fault>,
    ) -> Result<Self, Fault> {
        let mut found = Self {
            end: 0,
            last: before,
            rows: Vec::new(),
        };
        let mut at = 0_usize;
        while let Some((_, left)) = contents.split_at_checked(at) {
            let record = Record::at_start_of(left);
            at = at.saturating_add(record.as_ref().map_or(PAGE, |record| record.bytes.len()));
            match record {
                Some(record) if record.after == found.last => {
                    found.rows.extend_from_slice(record.rows);
                    found.last = record.last;
                    found.end = at;
                }
                Some(record) if !has(record.last)? => {
                    return Err(Fault::Journal {
                        row: record.last.number,
                    });
                }
                Some(_) | None => {}
            }
        }
        Ok(found)
    }
}

fn failed(cause: io::Error) -> Fault {
    redb::Error::Io(cause).into()
}
