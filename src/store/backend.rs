//! What keeps the rows: one trait, and what can go wrong behind it.

use std::path::PathBuf;
use std::{fmt, io};

use crate::names::SchoolId;
use crate::pseudonym::{Form, Identifier, Lookup};

/// Where rows are kept for good. Only the keeper's thread has one.
pub(super) trait Backend: Send {
    /// Appends rows in one durable transaction: all of them, or none.
    ///
    /// `after` is the last row that was read. Who can say so says whether these are the next ones.
    ///
    /// Where others write too, a row whose `lookup` is taken is there already if it is sealed
    /// alike; if not, it is another spelling of an identifier, and is appended under its
    /// `spelling`, once.
    fn append(&mut self, after: Mark, rows: &[NewRow<'_>]) -> Result<Appended, Fault>;

    /// Reads all rows behind a mark in the order of their numbers.
    ///
    /// # Errors
    /// [`Fault::Lost`] also if the row of the mark is there no more: then what was remembered since
    /// some moment is gone, and with it the way back.
    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault>;

    /// Does what can wait until nobody asks for anything.
    fn rest(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// How often since this was asked last rows were written in a dearer way, because the cheap one
    /// failed.
    fn take_journal_failures(&mut self) -> u64 {
        0
    }

    /// Who appends rows.
    fn writers(&self) -> Writers;
}

/// What became of rows that were appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// Others may stand between: which, and where, is known once they are read.
    Among,
    /// All of them, and nothing else, come next in their order; this is the last of them.
    Next(Mark),
}

/// Who appends rows to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writers {
    /// Other nodes do too.
    Many,
    /// This process, and nobody else while it runs.
    One,
}

impl Writers {
    /// What the store is called that has such writers.
    pub(super) const fn store(self) -> &'static str {
        match self {
            Self::Many => "postgres",
            Self::One => "redb",
        }
    }
}

/// A row that is new to this process.
pub(super) struct NewRow<'a> {
    pub(super) school: &'a SchoolId,
    pub(super) kind: &'a str,
    pub(super) form: Form,
    pub(super) id: Identifier<'a>,
    pub(super) lookup: Lookup,
    /// Its name if another spelling has taken its `lookup`; only where others write too.
    pub(super) spelling: Option<Lookup>,
    pub(super) sealed: Vec<u8>,
    pub(super) day: u32,
}

/// A row as it was read.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// Counts from 1, with gaps, and never goes back.
    pub(super) number: u64,
    pub(super) school: &'a str,
    pub(super) kind: &'a str,
    pub(super) lookup: Lookup,
    pub(super) sealed: &'a [u8],
    pub(super) day: u32,
}

impl Row<'_> {
    pub(super) const fn mark(&self) -> Mark {
        Mark {
            number: self.number,
            lookup: self.lookup,
        }
    }
}

/// The last row that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// 0 before the first.
    pub(super) number: u64,
    pub(super) lookup: Lookup,
}

/// Rows that do not open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// How many.
    pub rows: u64,
    /// The number of the first one.
    pub first: u64,
}

impl Damage {
    pub(super) fn add(&mut self, number: u64) {
        if self.rows == 0 {
            self.first = number;
        }
        self.rows = self.rows.saturating_add(1);
    }
}

/// Why a register cannot be opened, read or written.
///
/// Its words fit behind "the register cannot be used:"; no identifier stands in them.
#[derive(Debug)]
pub enum Fault {
    /// Rows do not open.
    Damaged(Damage),
    /// The database in the file failed.
    Database(Box<redb::Error>),
    /// Others than its owner can read or write the file.
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file or its folder cannot be used.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It was written in a way that this version does not know.
    Format(u32),
    /// There are more identifiers than can be numbered.
    Full,
    /// It does not come back from what it was asked for.
    Hangs,
    /// Another process has it open.
    InUse(PathBuf),
    /// Its journal does not follow on it.
    Journal {
        /// The last row of a record that does not.
        row: u64,
    },
    /// A row that was there is there no more.
    Lost {
        /// Its number.
        row: u64,
    },
    /// The file was moved, deleted or replaced while it was in use.
    Moved(PathBuf),
    /// The server has no table for it.
    NoTable,
    /// The file is something else.
    NotARegister(PathBuf),
    /// The server failed a moment ago, and is left alone for a while.
    Resting,
    /// The server failed, or cannot be reached.
    Server(tokio_postgres::Error),
    /// What is said of the server cannot be used.
    Settings(&'static str),
    /// The keeper's thread could not be started, or has ended by itself.
    Thread(io::Error),
    /// The server did not answer in time.
    Timeout,
}

impl Fault {
    pub(super) fn file(path: &std::path::Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        Self::File { path, cause }
    }

    /// What it is called wherever it is counted or looked for; stays as it is for ever.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "damaged",
            Self::Database(_) => "database_failed",
            Self::Exposed { .. } => "file_exposed",
            Self::File { .. } => "file_unusable",
            Self::Format(_) => "format_unknown",
            Self::Full => "full",
            Self::Hangs => "hangs",
            Self::InUse(_) => "in_use",
            Self::Journal { .. } => "journal_mismatch",
            Self::Lost { .. } => "rows_lost",
            Self::Moved(_) => "file_moved",
            Self::NoTable => "table_missing",
            Self::NotARegister(_) => "not_a_register",
            Self::Resting => "server_resting",
            Self::Server(_) => "server_failed",
            Self::Settings(_) => "settings_unusable",
            Self::Thread(_) => "thread_ended",
            Self::Timeout => "server_timeout",
        }
    }

    /// Whether rows that were there may be there no more.
    ///
    /// What only cannot be reached is taken to be there still.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Database(cause) => matches!(**cause, redb::Error::Corrupted(_)),
            Self::File { cause, .. } => cause.kind() == io::ErrorKind::NotFound,
            Self::Format(_)
            | Self::Journal { .. }
            | Self::Lost { .. }
            | Self::Moved(_)
            | Self::NoTable
            | Self::NotARegister(_) => true,
            Self::Damaged(_)
            | Self::Exposed { .. }
            | Self::Full
            | Self::Hangs
            | Self::InUse(_)
            | Self::Resting
            | Self::Server(_)
            | Self::Settings(_)
            | Self::Thread(_)
            | Self::Timeout => false,
        }
    }
}

impl From<redb::Error> for Fault {
    fn from(cause: redb::Error) -> Self {
        Self::Database(Box::new(cause))
    }
}

impl From<redb::CommitError> for Fault {
    fn from(cause: redb::CommitError) -> Self {
        redb::Error::from(cause).into()
    }
}

impl From<redb::CursorError> for Fault {
    fn from(cause: redb::CursorError) -> Self {
        redb::Error::from(cause).into()
    }
}

impl From<redb::DatabaseError> for Fault {
    fn from(cause: redb::DatabaseError) -> Self {
        redb::Error::from(cause).into()
    }
}

impl From<redb::StorageError> for Fault {
    fn from(cause: redb::StorageError) -> Self {
        redb::Error::from(cause).into()
    }
}

impl From<redb::TableError> for Fault {
    fn from(cause: redb::TableError) -> Self {
        redb::Error::from(cause).into()
    }
}

impl From<redb::TransactionError> for Fault {
    fn from(cause: redb::TransactionError) -> Self {
        redb::Error::from(cause).into()
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(cause: tokio_postgres::Error) -> Self {
        Self::Server(cause)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(Damage { rows: 1, first }) => write!(
                f,
                "1 of its rows, number {first}, does not open: it was sealed under another \
                 register key, or was changed"
            ),
            Self::Damaged(Damage { rows, first }) => write!(
                f,
                "{rows} of its rows do not open, the first one is number {first}: they were \
                 sealed under another register key, or were changed"
            ),
            Self::Database(cause) => write!(f, "its database failed: {cause}"),
            Self::Exposed { path, mode } => {
                let path = path.display();
                write!(
                    f,
                    "{path} has the mode {mode:04o}: others must neither read nor write it; look \
                     whether it is still whole (`sluis register verify`) after `chmod 600 {path}`"
                )
            }
            Self::File { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::Format(version) => {
                write!(
                    f,
                    "it has format {version}, which this version does not know"
                )
            }
            Self::Full => {
                f.write_str("a school has more identifiers of a kind than can be numbered")
            }
            Self::Hangs => f.write_str("it does not come back from what it was asked for"),
            Self::InUse(path) => write!(f, "{}: another process has it open", path.display()),
            Self::Journal { row } => write!(
                f,
                "its journal (the file beside it that ends in `-journal`) does not follow on it, \
                 and has rows up to number {row}: put back the register that it belongs to, or \
                 move the journal away and do without what is in it"
            ),
            Self::Lost { row } => write!(
                f,
                "row {row}, which was there, is there no more: an older copy took its place"
            ),
            Self::Moved(path) => write!(
                f,
                "{}: it was moved, deleted or replaced while it was in use",
                path.display()
            ),
            Self::NoTable => {
                f.write_str("its server has no table for it: `sluis register init` makes it")
            }
            Self::NotARegister(path) => write!(f, "{}: it is no register", path.display()),
            Self::Resting => {
                f.write_str("its server failed a moment ago, and is left alone for a while")
            }
            Self::Server(cause) => server_failed(cause, f),
            Self::Settings(why) => write!(f, "its server's settings cannot be used: {why}"),
            Self::Timeout => f.write_str("its server did not answer in time"),
            Self::Thread(cause) => write!(f, "its thread failed: {cause}"),
        }
    }
}

/// What the server said, without the detail, which shows values; or why it could not be asked.
fn server_failed(cause: &tokio_postgres::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(said) = cause.as_db_error() {
        let (message, code) = (said.message(), said.code().code());
        return write!(f, "its server said: {message} ({code})");
    }
    write!(f, "its server failed: {cause}")?;
    match std::error::Error::source(cause) {
        Some(source) => write!(f, ": {source}"),
        None => Ok(()),
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(cause) => Some(cause),
            Self::File { cause, .. } | Self::Thread(cause) => Some(cause),
            Self::Server(cause) => Some(cause),
            Self::Damaged(_)
            | Self::Exposed { .. }
            | Self::Format(_)
            | Self::Full
            | Self::Hangs
            | Self::InUse(_)
            | Self::Journal { .. }
            | Self::Lost { .. }
            | Self::Moved(_)
            | Self::NoTable
            | Self::NotARegister(_)
            | Self::Resting
            | Self::Settings(_)
            | Self::Timeout => None,
        }
    }
}
