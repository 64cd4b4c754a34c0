//! What holds for one vendor: its policy, its keys, its bounds.

use std::sync::Arc;

use crate::limits::Limits;
use crate::policy::{IdKind, Index, Policy};
use crate::pseudonym::{Generation, Kind};

/// What holds for one vendor. Built by `config`, shared by all its messages, never changed.
#[derive(Debug)]
pub struct Law {
    /// What the vendor may see.
    pub policy: Policy,
    /// The policy's kinds of identifier under each key that is understood: the one in use, which
    /// alone makes pseudonyms, former ones with the newest first, and one that is prepared.
    pub generations: Arc<[Generation]>,
    /// The bounds in force.
    pub limits: Limits,
}

impl Law {
    /// The kind at that place, under the key in use.
    #[must_use]
    #[inline]
    pub fn kind(&self, index: Index<IdKind>) -> Option<&Kind> {
        self.generations.first()?.kinds.get(index.place())
    }

    /// All kinds, under the key in use.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        match self.generations.first() {
            Some(in_use) => &in_use.kinds,
            None => &[],
        }
    }
}
