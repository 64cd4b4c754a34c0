//! What a journal is written on: a file beside the register's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::limits;
use crate::store::backend::Fault;
use crate::store::file::{self, FileId};

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
        Ok(Some(Self { path, id, file }))
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

/// Where the journal of a register lies.
pub(in crate::store) fn path(register: &Path) -> PathBuf {
    let mut path = register.as_os_str().to_owned();
    path.push("-journal");
    path.into()
}
