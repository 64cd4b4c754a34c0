//! What holds for one vendor: its policy, its keys, its bounds.

use crate::limits::Limits;
use crate::policy::{IdKind, Index, Policy};
use crate::pseudonym::Kind;

/// What holds for one vendor. Built by `config`, shared by all its messages, never changed.
#[derive(Debug)]
pub struct Law {
    /// What the vendor may see.
    pub policy: Policy,
    /// The policy's kinds of identifier, each under the vendor's key, at the same places.
    pub kinds: Vec<Kind>,
    /// The bounds in force.
    pub limits: Limits,
}

impl Law {
    /// The kind at that place.
    #[must_use]
    #[inline]
    pub fn kind(&self, index: Index<IdKind>) -> Option<&Kind> {
        self.kinds.get(index.place())
    }
}
