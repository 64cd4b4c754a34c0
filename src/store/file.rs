//! The register in one file of this machine: redb, a commit that is on disk for each group of rows.
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
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable,
    StorageBackend, StorageError, TableDefinition, TableHandle as _, WriteTransaction,
};

use super::backend::{Appended, Backend, Fault, Mark, NewRow, Row, Writers};
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

/// A database that commits are written to, and what keeps the pages they free.
struct Kept {
    /// Goes before the database does, which else would close when this is let go.
    reads: Option<Reads>,
    open: Open,
}

/// A transaction that reads, and so keeps all pages that the commits after it free.
///
/// redb takes the lowest pages that are free. Without it these would be what the commit before has
/// left, each in a place of its own between rows that stay: a commit would write eight places. So
/// commits write where the file is free in one piece, and give back what they have left together.
struct Reads {
    _transaction: ReadTransaction,
    commits: u32,
}

pub(super) struct Open {
    pub(super) database: Database,
    /// The file, if it is one: where it is, and which.
    pub(super) file: Option<(PathBuf, FileId)>,
}

/// Device and inode.
type FileId = (u64, u64);

impl OneFile {
    /// Opens the register in a file; makes it, and its folder, if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let (path, written) = (path.to_owned(), Written::default());
        Self::with(Box::new(move |turn| open_file(&path, turn, &written)))
    }

    pub(super) fn with(opener: Opener) -> Result<Self, Fault> {
        let open = prepared(opener(Turn::First)?)?;
        Ok(Self {
            opener,
            open: Some(Kept::new(open)),
        })
    }

    /// The database; opened again if it failed.
    fn kept(&mut self) -> Result<&mut Kept, Fault> {
        let kept = match self.open.take() {
            Some(kept) => kept,
            None => Kept::new(prepared((self.opener)(Turn::Again)?)?),
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
        self.attempt(|kept| {
            kept.keep_pages()?;
            let transaction = kept.open.database.begin_write()?;
            let appended = insert(&transaction, after, rows)?;
            // Durability::Immediate, the default: on disk when this returns.
            transaction.commit()?;
            Ok(appended)
        })
    }

    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
        self.attempt(|kept| {
            let table = kept.open.database.begin_read()?.open_table(ROWS)?;
            is_there(&table, after)?;
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
            Ok(())
        })
    }

    fn writers(&self) -> Writers {
        Writers::One
    }
}

impl Kept {
    const fn new(open: Open) -> Self {
        Self { reads: None, open }
    }

    /// Keeps what this commit frees, and lets go of what enough others have freed: this commit
    /// gives it back on its way. Else a pass of its own does, behind the sync, while messages wait.
    fn keep_pages(&mut self) -> Result<(), Fault> {
        let reads = match self.reads.take() {
            Some(reads) if reads.commits < limits::REGISTER_KEPT_COMMITS => reads,
            Some(_) | None => Reads {
                _transaction: self.open.database.begin_read()?,
                commits: 0,
            },
        };
        let commits = reads.commits.saturating_add(1);
        self.reads = Some(Reads { commits, ..reads });
        Ok(())
    }
}

/// Appends the rows behind the last one.
fn insert(
    transaction: &WriteTransaction,
    after: Mark,
    new: &[NewRow<'_>],
) -> Result<Appended, Fault> {
    let mut rows = transaction.open_table(ROWS)?;
    is_there(&rows, after)?;
    let before = rows.last()?.map_or(0, |(number, _)| number.value());
    let mut last = Mark {
        number: before,
        ..after
    };
    // Whole pages are packed at the end of the table, instead of one search for each row.
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
    match before == after.number {
        true => Ok(Appended::Next(last)),
        false => Ok(Appended::Among),
    }
}

/// Looks whether the row of a mark is what it was.
fn is_there(rows: &impl ReadableTable<u64, RowValue>, mark: Mark) -> Result<(), Fault> {
    if mark.number == 0 {
        return Ok(());
    }
    let there = rows.get(mark.number)?;
    let same = there.is_some_and(|row| *row.value().2 == mark.lookup);
    same.then_some(()).ok_or(Fault::Lost { row: mark.number })
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
    let about = file.metadata().map_err(|cause| Fault::file(path, cause))?;
    let (id, mode) = (id_of(&about), about.mode() & 0o7777);
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(Fault::Exposed { path, mode });
    }
    let opened = FileBackend::new(file).and_then(|file| database(file, written));
    let database = opened.map_err(|fault| opening_fault(path, fault))?;
    sync_folder(path)?;
    let file = Some((path.to_owned(), id));
    Ok(Open { database, file })
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

fn folder(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

fn file_id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|about| id_of(&about))
}

fn id_of(about: &fs::Metadata) -> FileId {
    (about.dev(), about.ino())
}
