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
    /// The schools that have a row which cannot be taken in, by their names.
    stopped: BTreeMap<String, Stopped>,
    opened: Vec<u8>,
}

/// A school of which a row does not open, or finds no room.
///
/// Which of two identifiers came first decides where a pseudonym leads, on every node alike. So of
/// what lies behind that row nothing is taken in before the row itself is.
struct Stopped {
    school: Arc<School>,
    /// The last row that was taken in before it, of whatever school.
    before: Mark,
    /// Those that do not open; none of a school that has no room.
    damage: Damage,
    /// The last row that was tried.
    tried: u64,
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

    /// Takes in all rows behind the last one that was taken in. A school of which one does not
    /// open, or finds no room, is stopped there; the others go on.
    pub(super) fn read(&mut self, shared: &Shared, backend: &mut dyn Backend) -> Result<(), Fault> {
        let named = |name: &str| shared.school_named(name);
        let mut mark = self.mark;
        backend.read(self.mark, &mut |row| {
            match self.take_or_stop(&named, row, mark) {
                // Such a row may be done away with: nothing is lost then.
                Taken::Damaged | Taken::Full => {}
                Taken::In | Taken::Unkeyed => mark = row.mark(),
            }
        })?;
        self.mark = mark;
        Ok(())
    }

    /// Reads again the rows of schools that were stopped, from the first one that did not open.
    pub(super) fn mend(&mut self, backend: &mut dyn Backend) -> Result<(), Fault> {
        let stopped = self.stopped.iter();
        let stopped: Vec<_> = stopped
            .map(|(name, it)| (name.clone(), Arc::clone(&it.school), it.before))
            .collect();
        stopped.into_iter().try_for_each(|(name, school, before)| {
            match self.mend_one(name.clone(), &school, before, backend) {
                // That row has been done away with, too: what is left is read from the first one.
                Err(Fault::Lost { .. }) => self.mend_one(name, &school, Mark::default(), backend),
                mended => mended,
            }
        })
    }

    fn mend_one(
        &mut self,
        name: String,
        school: &Arc<School>,
        before: Mark,
        backend: &mut dyn Backend,
    ) -> Result<(), Fault> {
        let named = |of: &str| (of == name).then(|| Arc::clone(school));
        let (mut rows, mut mark) = (Self::default(), before);
        backend.read(before, &mut |row| match row.school == name {
            true => drop(rows.take_or_stop(&named, row, mark)),
            false if self.stopped.contains_key(row.school) => {}
            false => mark = row.mark(),
        })?;
        match rows.stopped.remove(&name) {
            Some(stopped) => drop(self.stopped.insert(name, stopped)),
            None => {
                self.stopped.remove(&name);
                school.go_on();
            }
        }
        Ok(())
    }

    /// Whether a school is stopped.
    pub(super) fn is_any_stopped(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// Why schools are stopped: the rows that do not open, of all of them, or else that there is no
    /// room; none while every school is whole.
    pub(super) fn fault(&self) -> Option<Fault> {
        let damage = self.stopped.values().map(|it| it.damage);
        let damage = damage.filter(|it| it.rows > 0).reduce(|all, one| Damage {
            rows: all.rows.saturating_add(one.rows),
            first: all.first.min(one.first),
        });
        match damage {
            Some(damage) => Some(Fault::Damaged(damage)),
            None => self.is_any_stopped().then_some(Fault::Full),
        }
    }

    /// Whether no school that has rows is whole: then it is the register or the ring that is wrong.
    pub(super) fn is_all_stopped(&self) -> bool {
        self.kept.keys().all(|name| self.stopped.contains_key(name))
    }

    /// As [`Self::take`], with a school stopped whose row cannot be taken in, and none of its rows
    /// taken in from there on. All before the mark are known.
    fn take_or_stop(
        &mut self,
        named: &impl Fn(&str) -> Option<Arc<School>>,
        row: Row<'_>,
        before: Mark,
    ) -> Taken {
        let is_stopped = self.stopped.contains_key(row.school);
        let taken = match (is_stopped, self.open(named, row)) {
            (_, Err(taken)) => taken,
            (true, Ok(_)) => return Taken::Damaged,
            (false, Ok(opened)) => opened.taken(row.day),
        };
        if matches!(taken, Taken::Damaged | Taken::Full)
            && let Some(school) = named(row.school)
        {
            school.stop();
            let stopped = self.stopped.entry(row.school.to_owned());
            let stopped = stopped.or_insert_with(|| Stopped {
                school,
                before,
                damage: Damage::default(),
                tried: 0,
            });
            // It is met again as long as nothing whole lies behind it.
            if taken == Taken::Damaged && row.number > stopped.tried {
                stopped.damage.add(row.number);
                stopped.tried = row.number;
            }
        }
        taken
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
        match self.open(named, row) {
            Ok(opened) => opened.taken(row.day),
            Err(taken) => taken,
        }
    }

    /// Opens one row, if its school is one of these.
    fn open(
        &mut self,
        named: &impl Fn(&str) -> Option<Arc<School>>,
        row: Row<'_>,
    ) -> Result<Opened<'_>, Taken> {
        let known = self
            .kept
            .get(row.school)
            .is_some_and(|kinds| kinds.contains_key(row.kind));
        if !known {
            let school = named(row.school).ok_or(Taken::Unkeyed)?;
            self.kept(&school, row.kind);
        }
        let kinds = self.kept.get_mut(row.school);
        let kept = kinds.and_then(|kinds| kinds.get_mut(row.kind));
        let kept = kept.ok_or(Taken::Unkeyed)?;
        self.opened.clear();
        self.opened.extend_from_slice(row.sealed);
        let (form, id) = kept.seal.open(&mut self.opened).ok_or(Taken::Damaged)?;
        let ids = &kept.ids;
        Ok(Opened { ids, form, id })
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

/// A row that opened, and where it belongs.
struct Opened<'r> {
    ids: &'r Ids,
    form: Form,
    id: Identifier<'r>,
}

impl Opened<'_> {
    fn taken(self, day: u32) -> Taken {
        match self.ids.add(self.form, day, self.id) {
            Ok(()) => Taken::In,
            Err(_) => Taken::Full,
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
