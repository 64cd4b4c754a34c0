//! What the register knows of one school: its key, its identifiers, and the indexes into them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use super::StoreFault;
use super::ids::Ids;
use super::index::Index;
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Generation, Kind, RegisterKey};

pub(super) struct School {
    pub(super) id: SchoolId,
    pub(super) key: Arc<RegisterKey>,
    kinds: RwLock<BTreeMap<String, Arc<Ids>>>,
    /// Whether one of its rows does not open: nothing that is not known yet becomes known then.
    stopped: AtomicBool,
    /// Of all vendors; an index lives as long as a configuration that uses it.
    indexes: Mutex<Vec<Weak<Index>>>,
}

impl School {
    pub(super) const fn new(id: SchoolId, key: Arc<RegisterKey>) -> Self {
        Self {
            id,
            key,
            kinds: RwLock::new(BTreeMap::new()),
            stopped: AtomicBool::new(false),
            indexes: Mutex::new(Vec::new()),
        }
    }

    /// Whether this is the key under which it is known.
    pub(super) fn opens_with(&self, key: &RegisterKey) -> Result<(), StoreFault> {
        match self.key.fingerprint() == key.fingerprint() {
            true => Ok(()),
            false => Err(StoreFault::Damaged),
        }
    }

    /// A row of it does not open.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// All its rows open again, and find room.
    pub(super) fn go_on(&self) {
        self.stopped.store(false, Ordering::Release);
    }

    /// Whether all its rows open, and find room.
    pub(super) fn is_whole(&self) -> Result<(), StoreFault> {
        match self.stopped.load(Ordering::Acquire) {
            true => Err(StoreFault::Damaged),
            false => Ok(()),
        }
    }

    /// The identifiers of a kind; none yet, if nobody named the kind before.
    pub(super) fn ids(&self, kind: &str) -> Arc<Ids> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(ids) = kinds.get(kind) {
            return Arc::clone(ids);
        }
        drop(kinds);
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let ids = kinds.entry(kind.to_owned());
        Arc::clone(ids.or_insert_with(|| Arc::new(Ids::new())))
    }

    /// All kinds and their identifiers.
    pub(super) fn kinds(&self) -> Vec<(String, Arc<Ids>)> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let kinds = kinds
            .iter()
            .map(|(name, ids)| (name.clone(), Arc::clone(ids)));
        kinds.collect()
    }

    /// Its name, and how many identifiers of it are known.
    pub(super) fn held(&self) -> (SchoolId, u64) {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let ids = kinds
            .values()
            .map(|ids| u64::try_from(ids.len()).unwrap_or(u64::MAX));
        (self.id.clone(), ids.fold(0, u64::saturating_add))
    }

    /// The index of one kind of one generation: the one that is there, or a new one.
    pub(super) fn index(
        &self,
        vendor: &VendorId,
        generations: &Arc<[Generation]>,
        age: usize,
        kind: usize,
    ) -> Option<Arc<Index>> {
        let generation = generations.get(age)?;
        let spec = generation.kinds.get(kind).map(Kind::spec)?;
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.retain(|index| index.strong_count() > 0);
        let there = indexes.iter().filter_map(Weak::upgrade);
        for index in there {
            if index.is_of(vendor, generation.fingerprint, spec) {
                return Some(index);
            }
        }
        let ids = self.ids(&spec.name);
        let generations = Arc::clone(generations);
        let index = Arc::new(Index::new(vendor.clone(), ids, generations, age, kind)?);
        indexes.push(Arc::downgrade(&index));
        Some(index)
    }

    /// The indexes of all other vendors of this school into one kind.
    pub(super) fn indexes_of_others(
        &self,
        vendor: Option<&VendorId>,
        kind: &str,
    ) -> Vec<Arc<Index>> {
        let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let others = indexes.iter().filter_map(Weak::upgrade);
        let of_kind = |index: &Arc<Index>| index.spec().is_some_and(|spec| spec.name == kind);
        others
            .filter(|index| Some(&index.vendor) != vendor && of_kind(index))
            .collect()
    }
}

impl fmt::Debug for School {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "School({}, {:?})", self.id, self.key)
    }
}
