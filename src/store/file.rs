//! The register in one file of this machine: redb, with a journal beside it for small commits.
//!
//! Rows are appended and nothing else, so that a commit writes a few pages, however many rows there
//! are. A table of names, which would keep one from being there twice, would be written all over;
//! it is not needed, since the one process that writes knows every row.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable, StorageBackend,
    StorageError, TableDefinition, TableHandle as _, WriteTransaction,
};

use super::backend::{Appended, Backend, Fault, Mark, NewRow, Row, Writers};
use super::journal::{Beside, Journal, Slate};
use super::unsynced::{Unsynced, Written};
use crate::limits;

type RowValue = (
    &'static str,
    &'static str,
    &'static [u8; 16],
    &'static [u8],
    u32,
);

/// Number → school, kind, lookup, sealed, day.
const ROWS: TableDefinition<'_, u64, RowValue> = TableDefinition::new("rows");
/// What the file is.
const ABOUT: TableDefinition<'_, &str, u32> = TableDefinition::new("about");
const FORMAT: &str = "sluis register";
const FORMAT_VERSION: u32 = 2;

/// Opens the database, at first and whenever it failed.
type Opener = Box<dyn Fn(Turn) -> Result<Open, Fault> + Send>;

/// Whether a file that is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Again,
}

pub(super) struct OneFile {
    opener: Opener,
    /// None after a failure, until it has been opened again.
    open: Option<Kept>,
}

/// A database with its journal.
///
/// When it is let go, whatever the reason, the database takes over what is in the journal, if it
/// can: then its file alone is the register. If it cannot, the journal stays for whoever opens it.
struct Kept {
    open: Open,
    journal: Journal,
}

pub(super) struct Open {
    pub(super) database: Database,
    /// The file, if it is one: where it is, and which.
    pub(super) file: Option<(PathBuf, FileId)>,
    /// What its journal is written on; without it every commit goes into the database.
    pub(super) slate: Option<Box<dyn Slate>>,
}

/// Device and inode.
pub(super) type FileId = (u64, u64);

impl OneFile {
    /// Opens the register in a file; makes it, and its folder, if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let (path, written) = (path.to_owned(), Written::default());
        Self::with(Box::new(move |turn| open_file(&path, turn, &written)))
    }

    pub(super) fn with(opener: Opener) -> Result<Self, Fault> {
        let open = Kept::new(opener(Turn::First)?)?;
        Ok(Self {
            opener,
            open: Some(open),
        })
    }

    /// The database; opened again if it failed.
    fn kept(&mut self) -> Result<&mut Kept, Fault> {
        let kept = match self.open.take() {
            Some(kept) => kept,
            None => Kept::new((self.opener)(Turn::Again)?)?,
        };
        // What is written to a file that has no name any more is gone with the process.
        if let Some((path, id)) = &kept.open.file
            && file_id(path).ok() != Some(*id)
        {
            return Err(Fault::Moved(path.clone()));
        }
        Ok(self.open.insert(kept))
    }

    /// Runs `work`, and lets go of a database that failed: redb wants it opened again.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut Kept) -> Result<T, Fault>) -> Result<T, Fault> {
        let done = work(self.kept()?);
        if matches!(done, Err(Fault::Database(_))) {
            self.open = None;
        }
        done
    }
}

impl Backend for OneFile {
    fn append(&mut self, after: Mark, rows: &[NewRow<'_>]) -> Result<Appended, Fault> {
        self.attempt(|kept| match kept.journal.append(after, rows) {
            Some(last) => Ok(Appended::Next(last)),
            None => kept.commit(after, rows),
        })
    }

    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
        self.attempt(|kept| {
            let table = kept.open.database.begin_read()?.open_table(ROWS)?;
            is_there(&table, kept.journal.in_database(after))?;
            for row in table.range(after.number.saturating_add(1)..)? {
                let (number, value) = row?;
                let (school, kind, lookup, sealed, day) = value.value();
                each(Row {
                    number: number.value(),
                    school,
                    kind,
                    lookup: *lookup,
                    sealed,
                    day,
                });
            }
            let new = |row: &Row<'_>| row.number > after.number;
            kept.journal.rows().filter(new).for_each(each);
            Ok(())
        })
    }

    fn rest(&mut self) -> Result<(), Fault> {
        self.attempt(Kept::settle)
    }

    fn take_journal_failures(&mut self) -> u64 {
        let open = self.open.as_mut();
        open.map_or(0, |kept| kept.journal.take_failures())
    }

    fn writers(&self) -> Writers {
        Writers::One
    }
}

impl Kept {
    fn new(open: Open) -> Result<Self, Fault> {
        let mut open = prepared(open)?;
        let slate = open.slate.take();
        let journal = {
            let rows = open.database.begin_read()?.open_table(ROWS)?;
            Journal::open(slate, last_of(&rows)?, |mark| has(&rows, mark))?
        };
        Ok(Self { open, journal })
    }

    /// Writes rows into the database, behind all that are in the journal.
    fn commit(&mut self, after: Mark, rows: &[NewRow<'_>]) -> Result<Appended, Fault> {
        let transaction = self.open.database.begin_write()?;
        let (before, last) = insert(&transaction, &self.journal, after, rows)?;
        // Durability::Immediate, the default: on disk when this returns.
        transaction.commit()?;
        self.journal.begin_again(last);
        match before == after {
            true => Ok(Appended::Next(last)),
            false => Ok(Appended::Among),
        }
    }

    /// Has the database take over what is in the journal.
    fn settle(&mut self) -> Result<(), Fault> {
        if !self.journal.is_empty() {
            self.commit(Mark::default(), &[])?;
        }
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.settle().is_ok() {
            self.journal.discard();
        }
    }
}

/// Inserts the rows of the journal and those behind it, and gives the last row before these and the
/// last of all.
fn insert(
    transaction: &WriteTransaction,
    journal: &Journal,
    after: Mark,
    new: &[NewRow<'_>],
) -> Result<(Mark, Mark), Fault> {
    let mut rows = transaction.open_table(ROWS)?;
    // Whole pages are packed at the end of the table, instead of one search for each row.
    let mut end = rows.upper_bound_mut(Bound::<u64>::Unbounded)?;
    for row in journal.rows() {
        end.insert_before(
            row.number,
            (row.school, row.kind, &row.lookup, row.sealed, row.day),
        )?;
    }
    end.close()?;
    is_there(&rows, after)?;
    let before = last_of(&rows)?;
    let mut last = before;
    let mut end = rows.upper_bound_mut(Bound::<u64>::Unbounded)?;
    for row in new {
        let number = last.number.checked_add(1).ok_or(Fault::Full)?;
        let (school, kind) = (row.school.as_str(), row.kind);
        end.insert_before(
            number,
            (school, kind, &row.lookup, row.sealed.as_slice(), row.day),
        )?;
        last = Mark {
            number,
            lookup: row.lookup,
        };
    }
    end.close()?;
    Ok((before, last))
}

/// Looks whether the row of a mark is what it was.
fn is_there(rows: &impl ReadableTable<u64, RowValue>, mark: Mark) -> Result<(), Fault> {
    match mark == Mark::default() || has(rows, mark)? {
        true => Ok(()),
        false => Err(Fault::Lost { row: mark.number }),
    }
}

fn has(rows: &impl ReadableTable<u64, RowValue>, mark: Mark) -> Result<bool, Fault> {
    let there = rows.get(mark.number)?;
    Ok(there.is_some_and(|row| *row.value().2 == mark.lookup))
}

/// The last row; the default before the first.
fn last_of(rows: &impl ReadableTable<u64, RowValue>) -> Result<Mark, Fault> {
    let last = rows.last()?.map(|(number, row)| Mark {
        number: number.value(),
        lookup: *row.value().2,
    });
    Ok(last.unwrap_or_default())
}

/// Makes the tables of a new database; looks at those of an old one.
fn prepared(open: Open) -> Result<Open, Fault> {
    let path = || {
        open.file
            .as_ref()
            .map(|(path, _)| path.clone())
            .unwrap_or_default()
    };
    let transaction = open.database.begin_write()?;
    let tables: Vec<_> = transaction.list_tables()?.collect();
    if tables.is_empty() {
        transaction
            .open_table(ABOUT)?
            .insert(FORMAT, FORMAT_VERSION)?;
        transaction.open_table(ROWS)?;
        transaction.commit()?;
        return Ok(open);
    }
    if !tables.iter().any(|table| table.name() == ABOUT.name()) {
        return Err(Fault::NotARegister(path()));
    }
    let version = {
        let about = transaction.open_table(ABOUT)?;
        let version = about.get(FORMAT)?;
        version.map(|version| version.value())
    };
    transaction.abort()?;
    match version {
        Some(FORMAT_VERSION) => Ok(open),
        Some(other) => Err(Fault::Format(other)),
        None => Err(Fault::NotARegister(path())),
    }
}

/// The database in a file, or in what stands for one; `written` is the same each time.
pub(super) fn database(
    file: impl StorageBackend,
    written: &Written,
) -> Result<Database, DatabaseError> {
    builder().create_with_backend(Unsynced::new(file, Arc::clone(written)))
}

/// A builder whose database looks at every page when it is opened, and says what is wrong.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(limits::REGISTER_CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    builder
}

fn open_file(path: &Path, turn: Turn, written: &Written) -> Result<Open, Fault> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    if turn == Turn::First
        && !path
            .try_exists()
            .map_err(|cause| Fault::file(path, cause))?
    {
        make_folder(path)?;
        options.create(true);
    }
    let file = options
        .open(path)
        .map_err(|cause| Fault::file(path, cause))?;
    let id = private(&file, path)?;
    let opened = FileBackend::new(file).and_then(|file| database(file, written));
    let database = opened.map_err(|fault| opening_fault(path, fault))?;
    // The lock is ours: nobody else looks at the journal.
    let slate = Beside::open(path)?.map(|slate| -> Box<dyn Slate> { Box::new(slate) });
    sync_folder(path)?;
    Ok(Open {
        database,
        file: Some((path.to_owned(), id)),
        slate,
    })
}

/// Which file it is, if none but its owner can read or write it.
pub(super) fn private(file: &File, path: &Path) -> Result<FileId, Fault> {
    let about = file.metadata().map_err(|cause| Fault::file(path, cause))?;
    is_private(&about, path).map(|()| id_of(&about))
}

pub(super) fn is_private(about: &fs::Metadata, path: &Path) -> Result<(), Fault> {
    let mode = about.mode() & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(Fault::Exposed {
            path: path.to_owned(),
            mode,
        }),
    }
}

fn opening_fault(path: &Path, fault: DatabaseError) -> Fault {
    let path = path.to_owned();
    if let DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch = fault {
        return Fault::InUse(path);
    }
    // What redb says of a file that does not begin as its own do.
    if let DatabaseError::Storage(StorageError::Io(cause)) = &fault
        && cause.kind() == io::ErrorKind::InvalidData
    {
        return Fault::NotARegister(path);
    }
    fault.into()
}

/// Makes the folder of the register, for its owner only. What it lies in must be there.
fn make_folder(path: &Path) -> Result<(), Fault> {
    let Some(folder) = folder(path) else {
        return Ok(());
    };
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
            Err(Fault::file(folder, cause))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A new file is there after a crash only if its folder is on disk too.
fn sync_folder(path: &Path) -> Result<(), Fault> {
    let folder = folder(path).unwrap_or_else(|| Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| Fault::file(folder, cause))
}

pub(super) fn folder(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

pub(super) fn file_id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|about| id_of(&about))
}

pub(super) fn id_of(about: &fs::Metadata) -> FileId {
    (about.dev(), about.ino())
}
