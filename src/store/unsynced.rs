//! What was written and is not known to be on disk, so that it can be written again.
//!
//! Linux tells of a page that did not reach the disk once, and takes it for clean from then on: the
//! next sync succeeds without it, and whoever reads finds it as if it were there. A commit whose
//! sync failed is therefore not made good by a sync, only by writing its pages once more. Which
//! those are, the process knows that wrote them; one that opens the file after it writes all of it
//! again, so that what it reads is what the disk has.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// Where bytes were written since the last sync that succeeded, and how many. `None` before the
/// file is ours: an earlier process may have left anything.
pub(super) type Written = Arc<Mutex<Option<BTreeMap<u64, usize>>>>;

/// The most that is read to be written again, in bytes.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// A file, or what stands for one, that notes in `written` where it was written to.
#[derive(Debug)]
pub(super) struct Unsynced<B> {
    inner: B,
    written: Written,
}

impl<B: StorageBackend> Unsynced<B> {
    pub(super) const fn new(inner: B, written: Written) -> Self {
        Self { inner, written }
    }

    /// Writes again what could not be synced, as it is read now, and syncs it.
    fn make_good(&self) -> io::Result<()> {
        let end = self.inner.len()?;
        self.written().get_or_insert_with(|| all_before(end));
        let again = self.taken();
        if again.is_empty() {
            return Ok(());
        }
        let done = self.write_again(&again);
        let done = done.and_then(|()| self.inner.sync_data());
        if done.is_err() {
            self.put_back(again);
        }
        done
    }

    fn write_again(&self, written: &BTreeMap<u64, usize>) -> io::Result<()> {
        let end = self.inner.len()?;
        let mut bytes = Vec::new();
        for (offset, length) in written {
            // The file may have been cut since.
            let left = usize::try_from(end.saturating_sub(*offset)).unwrap_or(usize::MAX);
            bytes.clear();
            bytes.resize(left.min(*length), 0);
            self.inner.read(*offset, &mut bytes)?;
            self.inner.write(*offset, &bytes)?;
        }
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, Option<BTreeMap<u64, usize>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> BTreeMap<u64, usize> {
        self.written().as_mut().map(mem::take).unwrap_or_default()
    }

    fn put_back(&self, again: BTreeMap<u64, usize>) {
        again
            .into_iter()
            .for_each(|(offset, length)| self.note(offset, length));
    }

    fn note(&self, offset: u64, length: usize) {
        if let Some(written) = self.written().as_mut() {
            let noted = written.entry(offset).or_default();
            *noted = length.max(*noted);
        }
    }
}

/// All of a file that ends there, in pieces.
fn all_before(end: u64) -> BTreeMap<u64, usize> {
    let starts = (0..end).step_by(PIECE_BYTES_MAX);
    starts.map(|start| (start, PIECE_BYTES_MAX)).collect()
}

impl<B: StorageBackend> StorageBackend for Unsynced<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let before = self.taken();
        let synced = self.inner.sync_data();
        if synced.is_err() {
            self.put_back(before);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(offset, data.len());
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    /// What is left of an earlier commit is made good as soon as the file is ours again, before
    /// anything of it is read.
    fn try_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        let locked = self.inner.try_lock_range(from, to)?;
        if locked {
            self.make_good()?;
        }
        Ok(locked)
    }

    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(from, to)
    }

    fn lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(from, to)
    }

    fn lock_shared_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(from, to)
    }

    fn unlock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(from, to)
    }

    fn query_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(from, to)
    }
}
