//! What is done to a register as a whole, by hand: import, export, verify.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::backend::Backend;
use super::postgres::Postgres;
use super::reader::{self, Taken};
use super::view::View;
use super::{Fault, Place, Shared, Store, StoreFault, file, journal};
use crate::clock::Clock;
use crate::limits;
use crate::names::SchoolId;
use crate::pseudonym::{Batch, Canonical, Form, Identifier, Register as _, RegisterKey};

/// What became of a roster that was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that were read.
    pub rows: u64,
    /// Of these, rows with an identifier that was not known before.
    pub added: u64,
    /// Of these, rows with something that has no canonical form.
    pub refused: u64,
    /// The first of these, counted from 1; 0 if there is none.
    pub first_refused: u64,
}

/// One identifier of a register.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// How the school wrote it.
    pub form: Form,
    /// The day it was first seen, counted from 1970-01-01.
    pub day: u32,
    /// As the school wrote it.
    pub id: Identifier<'a>,
}

impl Store {
    /// Adds the identifiers of a roster, in large batches, and tells after each how far it came.
    ///
    /// What is known already stays as it is, so an import that broke off can be run again.
    ///
    /// # Errors
    /// [`StoreFault::Gone`] also if the school is not known here.
    pub fn import<T: AsRef<str>>(
        &self,
        school: &SchoolId,
        (kind, canonical): (&str, Canonical),
        rows: impl IntoIterator<Item = (Form, T)>,
        mut progress: impl FnMut(Imported),
    ) -> Result<Imported, StoreFault> {
        let school = self.shared.school_named(school.as_str());
        let school = school.ok_or(StoreFault::Gone)?;
        let shared = Arc::clone(&self.shared);
        let view = Arc::new(View::of_kind(shared, school, kind, canonical));
        let (mut batch, mut imported) = (Batch::new(), Imported::default());
        for (form, id) in rows {
            imported.rows = imported.rows.saturating_add(1);
            let id = Identifier::new(id.as_ref());
            if view.remember(0, id, form, &mut batch).is_err() {
                imported.refuse();
            }
            if batch.len() >= limits::REGISTER_IMPORT_ROWS {
                imported.settle(&view, &mut batch)?;
                progress(imported);
            }
        }
        imported.settle(&view, &mut batch)?;
        progress(imported);
        Ok(imported)
    }

    /// Gives each identifier of a school to `each`, kind by kind and in the order in which they
    /// came, until it fails.
    ///
    /// # Errors
    /// What `each` failed with.
    pub fn export<E>(
        &self,
        school: &SchoolId,
        mut each: impl FnMut(Exported<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(school) = self.shared.school_named(school.as_str()) else {
            return Ok(());
        };
        for (kind, ids) in school.kinds() {
            let (mut at, mut text) = (0, Vec::new());
            while let Some((_, header)) = ids.arena.next(&mut at, &mut text) {
                each(Exported {
                    kind: &kind,
                    form: header.form,
                    day: header.day,
                    // What was taken in was text.
                    id: Identifier::new(str::from_utf8(&text).unwrap_or_default()),
                })?;
            }
        }
        Ok(())
    }
}

impl Imported {
    fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
        if self.refused == 1 {
            self.first_refused = self.rows;
        }
    }

    fn settle(&mut self, view: &Arc<View>, batch: &mut Batch) -> Result<(), StoreFault> {
        let added = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        view.settle(std::mem::take(batch)).wait()?;
        self.added = self.added.saturating_add(added);
        Ok(())
    }
}

/// What a register was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// All its rows.
    pub rows: u64,
    /// Of these, rows of schools that this gateway does not have.
    pub unkeyed: u64,
    /// Of these, rows that do not open.
    pub damaged: u64,
    /// The numbers of the first [`limits::REGISTER_DAMAGE_SHOWN_MAX`] of them.
    pub damaged_first: Vec<u64>,
}

/// Opens a register row by row with the keys of these schools, and changes nothing.
///
/// # Errors
/// [`Fault`] if it cannot be read; rows that do not open are counted.
pub fn verify(
    place: &Place,
    schools: impl IntoIterator<Item = (SchoolId, impl Into<Arc<RegisterKey>>)>,
    clock: &Clock,
) -> Result<Verified, Fault> {
    let schools = schools.into_iter().map(|(id, key)| (id, key.into()));
    let schools: Vec<(SchoolId, Arc<RegisterKey>)> = schools.collect();
    on_a_thread(|| {
        let mut backend = place.open(clock)?;
        // Nobody keeps it: what is asked of it would fail.
        let (jobs, _) = sync_channel(1);
        let shared = Shared::new(schools, jobs, backend.writers(), clock.clone());
        verified(backend.as_mut(), &shared)
    })
}

/// Looks whether a register in a file can be opened, as far as can be seen from outside: a gateway
/// may have it to itself.
///
/// # Errors
/// [`Fault::Exposed`] and [`Fault::File`], of the file or its journal; the latter also if there is
/// neither the file nor a folder in which its own could be made.
pub fn look(path: &Path) -> Result<(), Fault> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
    let real = match is_link {
        true => fs::canonicalize(path).unwrap_or_default(),
        false => path.to_owned(),
    };
    let journal = journal::path(&real);
    for path in [path, &journal] {
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => {
                return Err(Fault::file(path, ErrorKind::IsADirectory.into()));
            }
            Ok(about) => {
                file::is_private(&about, path)?;
                if path == journal {
                    journal::look(path)?;
                }
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(Fault::file(path, cause)),
        }
    }
    // The folder itself is made with the file.
    match file::folder(path).filter(|folder| !folder.exists()) {
        Some(missing) => {
            let above = file::folder(missing).map_or(Ok(()), |it| fs::metadata(it).map(drop));
            above.map_err(|cause| Fault::file(missing, cause))
        }
        None => Ok(()),
    }
}

/// Makes what a register needs before it is opened: in PostgreSQL a table, for a file nothing.
///
/// What is there already stays as it is.
///
/// # Errors
/// [`Fault`]; the server's if the role may not create a table.
pub fn init(place: &Place) -> Result<(), Fault> {
    match place {
        Place::File(_) => Ok(()),
        Place::Postgres(server) => on_a_thread(|| Postgres::init(server)),
    }
}

/// Runs `work` where it may wait, whatever called it.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    thread::scope(|scope| {
        let done = scope.spawn(work).join();
        done.unwrap_or_else(|_panicked| Err(Fault::Thread(super::gone())))
    })
}

pub(super) fn verified(backend: &mut dyn Backend, shared: &Shared) -> Result<Verified, Fault> {
    let (mut verified, mut full) = (Verified::default(), false);
    reader::read_all(backend, shared, &mut |number, taken| {
        verified.rows = verified.rows.saturating_add(1);
        match taken {
            Taken::Damaged => verified.add_damaged(number),
            Taken::Full => full = true,
            Taken::In => {}
            Taken::Unkeyed => verified.unkeyed = verified.unkeyed.saturating_add(1),
        }
    })?;
    match full {
        true => Err(Fault::Full),
        false => Ok(verified),
    }
}

impl Verified {
    fn add_damaged(&mut self, number: u64) {
        self.damaged = self.damaged.saturating_add(1);
        if self.damaged_first.len() < limits::REGISTER_DAMAGE_SHOWN_MAX {
            self.damaged_first.push(number);
        }
    }
}
