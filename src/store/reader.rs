//! From rows to what is known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Shared;
use super::backend::{Backend, Damage, Fault, Mark, NewRow, Row, Writers};
use super::ids::Ids;
use super::school::School;
use super::view::View;
use crate::pseudonym::{Form, Identifier, Seal};

/// Takes rows in, and remembers how far it came.
#[derive(Default)]
pub(super) struct Reader {
    mark: Mark,
    /// By school and kind.
    kept: BTreeMap<String, BTreeMap<String, Kept>>,
    opened: Vec<u8>,
}

/// One kind of one school.
pub(super) struct Kept {
    seal: Seal,
    ids: Arc<Ids>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It does not open.
    Damaged,
    /// There is no room for it.
    Full,
    /// It is known now.
    In,
    /// Its school is not one of this gateway's: nobody here has the key.
    Unkeyed,
}

impl Reader {
    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Takes in all rows behind the last one that was taken in.
    ///
    /// If one does not open, nothing counts as read, so that the next who asks is told again.
    pub(super) fn read(&mut self, shared: &Shared, backend: &mut dyn Backend) -> Result<(), Fault> {
        let named = |name: &str| shared.school_named(name);
        let (mut mark, mut outside) = (self.mark, Outside::default());
        backend.read(self.mark, &mut |row| {
            mark = row.mark();
            outside.add(row.number, self.take(&named, row));
        })?;
        outside.told()?;
        self.mark = mark;
        Ok(())
    }

    /// Takes in all rows of a school that has come, from the first one on.
    ///
    /// Those of the others are passed by, and how far they were read stays as it is: a row of the
    /// school that came meanwhile is met again by the next reading, and is there already.
    ///
    /// # Errors
    /// [`Fault::Lost`] if the last row that was read of all is not among them.
    pub(super) fn learn(
        &self,
        school: &Arc<School>,
        backend: &mut dyn Backend,
    ) -> Result<(), Fault> {
        let named = |name: &str| (name == school.id.as_str()).then(|| Arc::clone(school));
        let (mut reader, mut outside) = (Self::default(), Outside::default());
        let mut marked = self.mark == Mark::default();
        backend.read(Mark::default(), &mut |row| {
            marked = marked || row.mark() == self.mark;
            outside.add(row.number, reader.take(&named, row));
        })?;
        match marked {
            true => outside.told(),
            false => Err(Fault::Lost {
                row: self.mark.number,
            }),
        }
    }

    /// Takes in one row, if its school is one of these.
    pub(super) fn take(
        &mut self,
        named: &impl Fn(&str) -> Option<Arc<School>>,
        row: Row<'_>,
    ) -> Taken {
        let known = self
            .kept
            .get(row.school)
            .is_some_and(|kinds| kinds.contains_key(row.kind));
        if !known {
            let Some(school) = named(row.school) else {
                return Taken::Unkeyed;
            };
            self.kept(&school, row.kind);
        }
        let kinds = self.kept.get_mut(row.school);
        let Some(kept) = kinds.and_then(|kinds| kinds.get_mut(row.kind)) else {
            return Taken::Unkeyed;
        };
        self.opened.clear();
        self.opened.extend_from_slice(row.sealed);
        let Some((form, id)) = kept.seal.open(&mut self.opened) else {
            return Taken::Damaged;
        };
        match kept.ids.add(form, row.day, id) {
            Ok(()) => Taken::In,
            Err(_) => Taken::Full,
        }
    }

    /// Takes in rows that were appended behind all that was read, and are on disk.
    ///
    /// # Errors
    /// [`Fault::Full`].
    pub(super) fn take_own(&mut self, rows: &[NewRow<'_>], last: Mark) -> Result<(), Fault> {
        for row in rows {
            let kinds = self.kept.get(row.school.as_str());
            let Some(kept) = kinds.and_then(|kinds| kinds.get(row.kind)) else {
                continue;
            };
            let added = kept.ids.add(row.form, row.day, row.id);
            added.map_err(|_full| Fault::Full)?;
        }
        self.mark = last;
        Ok(())
    }

    /// The row of an identifier; `None` if it is known already.
    pub(super) fn new_row<'a>(
        &mut self,
        view: &'a View,
        (kind, form, id): (usize, Form, Identifier<'a>),
        (day, writers): (u32, Writers),
    ) -> Option<NewRow<'a>> {
        let way = view.way(kind).filter(|way| way.ids.place(id).is_none())?;
        let canonical = way.canonical.form(id).ok()?;
        let kept = self.kept(&view.school, &way.kind);
        let spelling = match writers {
            Writers::Many => Some(kept.seal.spelling(id)),
            Writers::One => None,
        };
        Some(NewRow {
            school: &view.school.id,
            kind: &way.kind,
            form,
            id,
            lookup: kept.seal.lookup(&canonical),
            spelling,
            sealed: kept.seal.close(form, id),
            day,
        })
    }

    /// What seals and opens one kind of one school.
    fn kept(&mut self, school: &School, kind: &str) -> &mut Kept {
        let kinds = self.kept.entry(school.id.to_string()).or_default();
        match kinds.entry(kind.to_owned()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(room) => room.insert(Kept {
                seal: Seal::new(&school.key, &school.id, kind),
                ids: school.ids(kind),
            }),
        }
    }
}

/// Rows that could not be taken in.
#[derive(Default)]
struct Outside {
    damage: Damage,
    full: bool,
}

impl Outside {
    fn add(&mut self, number: u64, taken: Taken) {
        match taken {
            Taken::Damaged => self.damage.add(number),
            Taken::Full => self.full = true,
            Taken::In | Taken::Unkeyed => {}
        }
    }

    fn told(self) -> Result<(), Fault> {
        if self.damage.rows > 0 {
            return Err(Fault::Damaged(self.damage));
        }
        match self.full {
            true => Err(Fault::Full),
            false => Ok(()),
        }
    }
}
