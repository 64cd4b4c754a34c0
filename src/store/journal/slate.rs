//! What a journal is written on: a file beside the register's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::record::may_begin;
use crate::limits;
use crate::store::backend::Fault;
use crate::store::file::{self, FileId};

/// So much of a file says what it is.
const BEGIN_BYTES: u64 = 512;

/// Something to write a journal on.
pub(in crate::store) trait Slate: Send {
    /// All that is in it, but no more than a journal has.
    fn contents(&self) -> io::Result<Vec<u8>>;

    /// Writes over what is there, and behind it.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has all that was written on disk.
    fn sync(&self) -> io::Result<()>;

    /// Does away with it: nothing in it is needed any more.
    fn discard(&self);
}

/// A file beside the register's, for its owner only.
pub(in crate::store) struct Beside {
    path: PathBuf,
    id: FileId,
    file: File,
}

impl Beside {
    /// Opens the journal of a register, or makes an empty one; `None` where none can be made.
    ///
    /// # Errors
    /// [`Fault::Exposed`]; [`Fault::File`] if there is one that cannot be opened.
    pub(in crate::store) fn open(register: &Path) -> Result<Option<Self>, Fault> {
        // Where the file lies, by whatever name it is reached.
        let path = path(&fs::canonicalize(register).unwrap_or_else(|_| register.to_owned()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let file = match options.open(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                match options.create_new(true).open(&path) {
                    Ok(file) => file,
                    Err(_) => return Ok(None),
                }
            }
            opened => opened.map_err(|cause| Fault::file(&path, cause))?,
        };
        let id = file::private(&file, &path)?;
        // Behind a link there could be any file of ours: it would be written over.
        if !fs::symlink_metadata(&path).is_ok_and(|about| file::id_of(&about) == id) {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "a link, and not a file");
            return Err(Fault::file(&path, cause));
        }
        let beside = Self { path, id, file };
        match is_ours(&beside.file).map_err(|cause| Fault::file(&beside.path, cause))? {
            true => Ok(Some(beside)),
            false => Err(not_ours(&beside.path)),
        }
    }

    fn is_where_it_was(&self) -> bool {
        file::file_id(&self.path).ok() == Some(self.id)
    }
}

impl Slate for Beside {
    fn contents(&self) -> io::Result<Vec<u8>> {
        let mut contents = Vec::new();
        let most = u64::try_from(limits::REGISTER_JOURNAL_BYTES).unwrap_or(u64::MAX);
        (&self.file).take(most).read_to_end(&mut contents)?;
        Ok(contents)
    }

    /// What is written to a file that has no name any more is gone with the process.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.is_where_it_was() {
            true => self.file.write_all_at(bytes, offset),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// One that stays has nothing in it that the register has not.
    fn discard(&self) {
        if self.is_where_it_was() {
            fs::remove_file(&self.path).unwrap_or_default();
        }
    }
}

/// Looks whether what lies in the place of a journal is one.
///
/// # Errors
/// [`Fault::File`]; also for one that cannot be read.
pub(in crate::store) fn look(path: &Path) -> Result<(), Fault> {
    let ours = File::open(path).and_then(|file| is_ours(&file));
    match ours.map_err(|cause| Fault::file(path, cause))? {
        true => Ok(()),
        false => Err(not_ours(path)),
    }
}

/// Whether a file may be written over: it is empty, or as a journal begins, and no longer.
fn is_ours(file: &File) -> io::Result<bool> {
    let most = u64::try_from(limits::REGISTER_JOURNAL_BYTES).unwrap_or(u64::MAX);
    let mut begin = Vec::new();
    let mut file = file;
    file.take(BEGIN_BYTES).read_to_end(&mut begin)?;
    file.rewind()?;
    Ok(file.metadata()?.len() <= most && may_begin(&begin))
}

fn not_ours(path: &Path) -> Fault {
    let cause = io::Error::new(io::ErrorKind::InvalidData, "not the journal of a register");
    Fault::file(path, cause)
}

/// Where the journal of a register lies.
pub(in crate::store) fn path(register: &Path) -> PathBuf {
    let mut path = register.as_os_str().to_owned();
    path.push("-journal");
    path.into()
}
