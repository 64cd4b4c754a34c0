//! Who objected: identifiers of which nothing may reach a vendor.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use crate::policy::{IdKind, Index};
use crate::pseudonym::{Canonical, Identifier, IdentifierFault};

/// The identifiers on the lists of one vendor, as they were read at one time.
///
/// Held as keyed hashes, so that memory does not have them either. One of 2^64 others is taken for
/// one of them, and then withheld too.
#[derive(Default)]
pub struct Objections {
    all: BTreeSet<(usize, u64)>,
    hasher: RandomState,
}

impl Objections {
    /// Adds an identifier as it stands on a list of its kind.
    ///
    /// # Errors
    /// Why it is none of that kind.
    pub fn add(
        &mut self,
        kind: Index<IdKind>,
        canonical: &Canonical,
        id: &str,
    ) -> Result<(), IdentifierFault> {
        let form = canonical.form(Identifier::new(id))?;
        self.all
            .insert((kind.place(), self.hasher.hash_one(&*form)));
        Ok(())
    }

    /// The same identifiers of these kinds, each kind at the place that it has in another policy.
    #[must_use]
    pub fn moved(&self, kinds: &[(Index<IdKind>, Index<IdKind>)]) -> Self {
        let moved = kinds.iter().flat_map(|(from, to)| {
            let of_kind = (from.place(), u64::MIN)..=(from.place(), u64::MAX);
            let hashes = self.all.range(of_kind).map(|(_, hash)| *hash);
            hashes.map(|hash| (to.place(), hash))
        });
        Self {
            all: moved.collect(),
            hasher: self.hasher.clone(),
        }
    }

    /// How many are on the list of a kind.
    #[must_use]
    pub fn count(&self, kind: Index<IdKind>) -> usize {
        let of_kind = (kind.place(), u64::MIN)..=(kind.place(), u64::MAX);
        self.all.range(of_kind).count()
    }

    /// Whether an identifier in canonical form is on the list of its kind.
    pub(super) fn holds(&self, kind: Index<IdKind>, form: &str) -> bool {
        self.all
            .contains(&(kind.place(), self.hasher.hash_one(form)))
    }
}

impl fmt::Debug for Objections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objections({})", self.all.len())
    }
}
