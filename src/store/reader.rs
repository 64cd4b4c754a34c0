//! From rows to what is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Shared;
use super::backend::{Backend, Damage, Fault, Mark, NewRow, Writers};
use super::drawers::{Drawers, Seals};
use super::opening::{self, Belongs, Head, Opened};
use super::school::School;
use super::view::View;
use crate::pseudonym::{Form, Identifier};

/// Takes rows in, and remembers how far it came.
#[derive(Default)]
pub(super) struct Reader {
    mark: Mark,
    drawers: Drawers,
    seals: Seals,
    stopped: AllStopped,
}

/// The schools that have a row which cannot be taken in, by their names.
#[derive(Default)]
struct AllStopped(BTreeMap<String, Stopped>);

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
        let mut mark = self.mark;
        let (drawers, stopped) = (&mut self.drawers, &mut self.stopped);
        opening::read(
            backend,
            self.mark,
            &mut self.seals,
            &mut |row| drawers.belongs(row, |name| shared.school_named(name)),
            &mut |head, opened| match stopped.take(head, opened, mark) {
                // Such a row may be done away with: nothing is lost then.
                Taken::Damaged | Taken::Full => {}
                Taken::In | Taken::Unkeyed => mark = head.mark,
            },
        )?;
        self.mark = mark;
        Ok(())
    }

    /// Reads again the rows of schools that were stopped, from the first one that did not open.
    pub(super) fn mend(&mut self, backend: &mut dyn Backend) -> Result<(), Fault> {
        let stopped = self.stopped.0.values();
        let stopped: Vec<_> = stopped
            .map(|it| (Arc::clone(&it.school), it.before))
            .collect();
        stopped.into_iter().try_for_each(|(school, before)| {
            match self.mend_one(&school, before, backend) {
                // That row has been done away with, too: what is left is read from the first one.
                Err(Fault::Lost { .. }) => self.mend_one(&school, Mark::default(), backend),
                mended => mended,
            }
        })
    }

    fn mend_one(
        &mut self,
        school: &Arc<School>,
        before: Mark,
        backend: &mut dyn Backend,
    ) -> Result<(), Fault> {
        let name = school.id.as_str();
        let named = |of: &str| (of == name).then(|| Arc::clone(school));
        let (mut drawers, mut mark) = (Drawers::default(), before);
        let (mut rows, others) = (AllStopped::default(), &self.stopped.0);
        opening::read(
            backend,
            before,
            &mut Seals::default(),
            &mut |row| match row.school != name && others.contains_key(row.school) {
                true => Belongs::Nowhere,
                false => drawers.belongs(row, named),
            },
            &mut |head, opened| match rows.take(head, opened, mark) {
                Taken::Damaged | Taken::Full | Taken::In => {}
                Taken::Unkeyed => mark = head.mark,
            },
        )?;
        match rows.0.remove(name) {
            Some(stopped) => drop(self.stopped.0.insert(name.to_owned(), stopped)),
            None => {
                self.stopped.0.remove(name);
                school.go_on();
            }
        }
        Ok(())
    }

    /// Whether a school is stopped.
    pub(super) fn is_any_stopped(&self) -> bool {
        !self.stopped.0.is_empty()
    }

    /// Why schools are stopped: the rows that do not open, of all of them, or else that there is no
    /// room; none while every school is whole.
    pub(super) fn fault(&self) -> Option<Fault> {
        let damage = self.stopped.0.values().map(|it| it.damage);
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
        self.drawers
            .schools()
            .all(|name| self.stopped.0.contains_key(name))
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
        let (mut drawers, mut outside) = (Drawers::default(), Outside::default());
        let mut marked = self.mark == Mark::default();
        opening::read(
            backend,
            Mark::default(),
            &mut Seals::default(),
            &mut |row| drawers.belongs(row, named),
            &mut |head, opened| {
                marked = marked || head.mark == self.mark;
                outside.add(head.mark.number, take(head, opened));
            },
        )?;
        match marked {
            true => outside.told(),
            false => Err(Fault::Lost {
                row: self.mark.number,
            }),
        }
    }

    /// Takes in rows that were appended behind all that was read, and are on disk.
    ///
    /// # Errors
    /// [`Fault::Full`].
    pub(super) fn take_own(&mut self, rows: &[NewRow<'_>], last: Mark) -> Result<(), Fault> {
        for row in rows {
            let Some(drawer) = self.drawers.find(row.school.as_str(), row.kind) else {
                continue;
            };
            let added = drawer.ids.add(row.form, row.day, row.id);
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
        let drawer = self.drawers.of(&view.school, &way.kind);
        let seal = self.seals.of(drawer);
        let spelling = match writers {
            Writers::Many => Some(seal.spelling(id)),
            Writers::One => None,
        };
        Some(NewRow {
            school: &view.school.id,
            kind: &way.kind,
            form,
            id,
            lookup: seal.lookup(&canonical),
            spelling,
            sealed: seal.close(form, id),
            day,
        })
    }
}

impl AllStopped {
    /// As [`take`], with a school stopped whose row cannot be taken in, and none of its rows taken
    /// in from there on. All before the mark are known.
    fn take(&mut self, head: &Head, opened: Opened<'_>, before: Mark) -> Taken {
        let Some(drawer) = &head.drawer else {
            return Taken::Unkeyed;
        };
        let school = &drawer.school;
        let is_stopped = self.0.contains_key(school.id.as_str());
        if is_stopped && opened.is_some() {
            return Taken::Damaged;
        }
        let taken = take(head, opened);
        if matches!(taken, Taken::Damaged | Taken::Full) {
            school.stop();
            let stopped = self.0.entry(school.id.to_string());
            let stopped = stopped.or_insert_with(|| Stopped {
                school: Arc::clone(school),
                before,
                damage: Damage::default(),
                tried: 0,
            });
            // It is met again as long as nothing whole lies behind it.
            if taken == Taken::Damaged && head.mark.number > stopped.tried {
                stopped.damage.add(head.mark.number);
                stopped.tried = head.mark.number;
            }
        }
        taken
    }
}

/// Takes in one row, if its school is asked for.
fn take(head: &Head, opened: Opened<'_>) -> Taken {
    let Some(drawer) = &head.drawer else {
        return Taken::Unkeyed;
    };
    let Some((form, id)) = opened else {
        return Taken::Damaged;
    };
    match drawer.ids.add(form, head.day, id) {
        Ok(()) => Taken::In,
        Err(_) => Taken::Full,
    }
}

/// Reads all rows, and says of each what became of it.
pub(super) fn read_all(
    backend: &mut dyn Backend,
    shared: &Shared,
    each: &mut dyn FnMut(u64, Taken),
) -> Result<(), Fault> {
    let mut drawers = Drawers::default();
    opening::read(
        backend,
        Mark::default(),
        &mut Seals::default(),
        &mut |row| drawers.belongs(row, |name| shared.school_named(name)),
        &mut |head, opened| each(head.mark.number, take(head, opened)),
    )
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
