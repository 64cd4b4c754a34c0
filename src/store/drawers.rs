//! What rows are filed by: a drawer for each kind of each school, and what seals and opens it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backend::Row;
use super::ids::Ids;
use super::opening::Belongs;
use super::school::School;
use crate::pseudonym::Seal;

/// One kind of one school.
pub(super) struct Drawer {
    /// Counts from 0.
    number: usize,
    pub(super) school: Arc<School>,
    kind: String,
    pub(super) ids: Arc<Ids>,
}

/// All that were met.
#[derive(Default)]
pub(super) struct Drawers {
    /// By school and kind.
    by_name: BTreeMap<String, BTreeMap<String, Arc<Drawer>>>,
    count: usize,
}

impl Drawers {
    /// That of a kind, if it was met.
    pub(super) fn find(&self, school: &str, kind: &str) -> Option<&Arc<Drawer>> {
        self.by_name.get(school)?.get(kind)
    }

    /// That of a kind; made if it was not met yet.
    pub(super) fn of(&mut self, school: &Arc<School>, kind: &str) -> &Arc<Drawer> {
        let kinds = self.by_name.entry(school.id.to_string()).or_default();
        kinds.entry(kind.to_owned()).or_insert_with(|| {
            let number = self.count;
            self.count = number.saturating_add(1);
            Arc::new(Drawer {
                number,
                school: Arc::clone(school),
                kind: kind.to_owned(),
                ids: school.ids(kind),
            })
        })
    }

    /// That of a row, if its school is one of these.
    pub(super) fn belongs(
        &mut self,
        row: &Row<'_>,
        named: impl Fn(&str) -> Option<Arc<School>>,
    ) -> Belongs {
        if let Some(drawer) = self.find(row.school, row.kind) {
            return Belongs::In(Arc::clone(drawer));
        }
        match named(row.school) {
            Some(school) => Belongs::In(Arc::clone(self.of(&school, row.kind))),
            None => Belongs::Elsewhere,
        }
    }

    /// The schools of which a kind was met.
    pub(super) fn schools(&self) -> impl Iterator<Item = &String> {
        self.by_name.keys()
    }
}

/// What seals and opens drawers, keyed when it is needed: each thread has its own.
#[derive(Default)]
pub(super) struct Seals(BTreeMap<usize, Seal>);

impl Seals {
    pub(super) fn of(&mut self, drawer: &Drawer) -> &mut Seal {
        let Drawer { school, kind, .. } = drawer;
        let seal = self.0.entry(drawer.number);
        seal.or_insert_with(|| Seal::new(&school.key, &school.id, kind))
    }
}
