//! The one thread that reads and writes the backend.
//!
//! Batches that wait are written in one commit. What is written becomes known in the order of the
//! rows, on every node the same: where others write too it is read back, between theirs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::backend::{Appended, Backend, Fault, NewRow, Writers};
use super::reader::Reader;
use super::school::School;
use super::view::View;
use super::wait::Promise;
use super::{Shared, StoreFault, Wanted};
use crate::clock::Clock;
use crate::events::{RegisterCaughtUp, RegisterCommitted, RegisterJournalFailed};
use crate::limits;
use crate::names::SchoolId;
use crate::pseudonym::Batch;

const DAY_S: u64 = 86_400;

/// What the keeper is asked for.
pub(super) enum Job {
    CatchUp {
        view: Arc<View>,
        promise: Promise,
    },
    Learn {
        school: Arc<School>,
        promise: Promise,
    },
    Settle {
        view: Arc<View>,
        batch: Batch,
        promise: Promise,
    },
    Stop,
}

pub(super) struct Keeper {
    shared: Arc<Shared>,
    backend: Box<dyn Backend>,
    clock: Clock,
    reader: Reader,
    /// When schools that were stopped are read again.
    mend_at: Instant,
}

/// What waits together.
#[derive(Default)]
struct Group {
    batches: Vec<(Arc<View>, Batch, Promise)>,
    catch_ups: Vec<(Arc<View>, Promise)>,
    schools: Vec<(Arc<School>, Promise)>,
    rows: usize,
    then: Then,
}

/// What becomes of the keeper after a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Then {
    #[default]
    GoOn,
    Stop,
}

impl Keeper {
    /// Reads all there is.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Damaged`] or [`Fault::Full`] if a row does not open or finds no room,
    /// and that is asked for or no school is whole.
    pub(super) fn new(
        shared: Arc<Shared>,
        backend: Box<dyn Backend>,
        (clock, wanted): (Clock, Wanted),
    ) -> Result<Self, Fault> {
        let mut keeper = Self {
            shared,
            backend,
            mend_at: clock.now(),
            clock,
            reader: Reader::default(),
        };
        let Self {
            shared,
            backend,
            reader,
            ..
        } = &mut keeper;
        reader.read(shared, backend.as_mut())?;
        match reader.fault() {
            Some(fault) if wanted == Wanted::Whole || reader.is_all_stopped() => {
                return Err(fault);
            }
            Some(_) => keeper.tell_read(Ok(())).unwrap_or_default(),
            None => {}
        }
        Ok(keeper)
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Works until it is told to stop, or nobody is left who could ask.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while self.turn(jobs, limits::REGISTER_POLL) == Then::GoOn {}
    }

    /// Does what it is asked for within `most`; else looks around.
    fn turn(&mut self, jobs: &Receiver<Job>, most: Duration) -> Then {
        let asked = jobs.recv_timeout(most);
        self.shared.health.begun();
        let then = match asked {
            Ok(job) => self.serve(Group::of(job, jobs)),
            Err(RecvTimeoutError::Disconnected) => Then::Stop,
            Err(RecvTimeoutError::Timeout) => {
                // The next one who asks is told what went wrong.
                self.look().unwrap_or_default();
                Then::GoOn
            }
        };
        self.shared.health.ended();
        then
    }

    /// Looks for what others have added, and whether what was there still is; and has the backend
    /// do what could wait.
    ///
    /// A file that failed is opened again when somebody needs it: all of it is looked at then.
    fn look(&mut self) -> Result<(), StoreFault> {
        match self.backend.writers() {
            Writers::One if !self.shared.health.is_well() && !self.reader.is_any_stopped() => {
                Ok(())
            }
            Writers::Many | Writers::One => {
                self.read()?;
                match self.backend.rest() {
                    Ok(()) => Ok(()),
                    Err(fault) => self.shared.tell(Err(fault)),
                }
            }
        }
    }

    fn serve(&mut self, group: Group) -> Then {
        if !group.batches.is_empty() {
            let written = self.write(&group.batches);
            for (view, batch, promise) in group.batches {
                // Of a school that is stopped, what is not known has not been written either.
                promise.keep(written.and_then(|()| view.check(&batch)));
            }
        }
        for (school, promise) in group.schools {
            promise.keep(self.learn(school));
        }
        if !group.catch_ups.is_empty() {
            let read = self.read();
            for (view, promise) in group.catch_ups {
                let store = self.shared.writers.store();
                self.shared.health.emit(RegisterCaughtUp { store });
                view.derive();
                promise.keep(read.and_then(|()| view.school.is_whole()));
            }
        }
        group.then
    }

    /// Writes what of these batches is not known, in one commit, and takes it in.
    fn write(&mut self, batches: &[(Arc<View>, Batch, Promise)]) -> Result<(), StoreFault> {
        // What failed may have been written all the same.
        if !self.shared.health.is_well() {
            self.read()?;
        }
        let day = u32::try_from(self.clock.unix_s() / DAY_S).unwrap_or(u32::MAX);
        let dated = (day, self.backend.writers());
        let mut rows = Rows::default();
        rows.new
            .reserve(batches.iter().map(|(_, batch, _)| batch.len()).sum());
        let whole = { batches.iter() }.filter(|(view, ..)| view.school.is_whole().is_ok());
        for (view, batch, _) in whole {
            let new = batch
                .iter()
                .filter_map(|news| self.reader.new_row(view, news, dated));
            new.for_each(|row| rows.add(row));
        }
        if rows.new.is_empty() {
            return Ok(());
        }
        let begun = self.clock.now();
        let appended = self.backend.append(self.reader.mark(), &rows.new);
        let failures = self.backend.take_journal_failures();
        if failures > 0 {
            self.shared.health.emit(RegisterJournalFailed { failures });
        }
        if appended.is_ok() {
            self.shared.health.emit(RegisterCommitted {
                store: self.shared.writers.store(),
                took: self.clock.now().saturating_duration_since(begun),
            });
        }
        let taken = match appended {
            Ok(Appended::Among) => return self.read(),
            Ok(Appended::Next(last)) => match self.reader.take_own(&rows.new, last) {
                // Row by row it is clear whose room it is that is missing.
                Err(Fault::Full) => return self.read(),
                taken => taken,
            },
            Err(fault) => Err(fault),
        };
        self.tell_read(taken)
    }

    /// Takes in the rows that are new.
    fn read(&mut self) -> Result<(), StoreFault> {
        let mended = self.mend();
        let read = mended.and_then(|()| self.reader.read(&self.shared, self.backend.as_mut()));
        self.tell_read(read)
    }

    /// Looks now and then whether the rows open at which schools were stopped.
    fn mend(&mut self) -> Result<(), Fault> {
        let begun = self.clock.now();
        if !self.reader.is_any_stopped() || begun < self.mend_at {
            return Ok(());
        }
        let mended = self.reader.mend(self.backend.as_mut());
        let ended = self.clock.now();
        // However much that is to read, the others hardly wait for it.
        let took = ended.saturating_duration_since(begun);
        let pause = took.saturating_mul(limits::REGISTER_MEND_SHARE);
        let next = ended.checked_add(pause.max(limits::REGISTER_MEND_REST));
        self.mend_at = next.unwrap_or(ended);
        mended
    }

    /// Notes that rows were read; and that a school is stopped, as long as one is.
    fn tell_read(&self, read: Result<(), Fault>) -> Result<(), StoreFault> {
        match (read, self.reader.fault()) {
            (Ok(()), Some(fault)) => {
                self.shared.found_again();
                self.shared.health.failed(fault);
                Ok(())
            }
            (read, _) => self.shared.tell_read(read),
        }
    }

    /// Reads all rows of a school that has come. It is there for others only if they all open, and
    /// find room: what is wrong with it is its own, and another key can be tried.
    fn learn(&mut self, school: Arc<School>) -> Result<(), StoreFault> {
        // Two may have asked for it at the same time.
        if let Some(there) = self.shared.school_named(school.id.as_str()) {
            return there.opens_with(&school.key);
        }
        match self.reader.learn(&school, self.backend.as_mut()) {
            Ok(()) => {
                self.shared.add(school);
                self.tell_read(Ok(()))
            }
            Err(Fault::Damaged(_) | Fault::Full) => Err(StoreFault::Damaged),
            Err(fault) => self.shared.tell(Err(fault)),
        }
    }
}

impl Group {
    /// A job with all that wait behind it, as far as one commit goes.
    fn of(first: Job, jobs: &Receiver<Job>) -> Self {
        let mut group = Self::default();
        group.add(first);
        while group.then == Then::GoOn && group.rows < limits::REGISTER_COMMIT_ROWS {
            match jobs.try_recv() {
                Ok(job) => group.add(job),
                Err(_) => break,
            }
        }
        group
    }

    fn add(&mut self, job: Job) {
        match job {
            Job::CatchUp { view, promise } => self.catch_ups.push((view, promise)),
            Job::Learn { school, promise } => self.schools.push((school, promise)),
            Job::Settle {
                view,
                batch,
                promise,
            } => {
                self.rows = self.rows.saturating_add(batch.len());
                self.batches.push((view, batch, promise));
            }
            Job::Stop => self.then = Then::Stop,
        }
    }
}

/// Rows for one commit, each identifier once.
#[derive(Default)]
struct Rows<'a> {
    new: Vec<NewRow<'a>>,
    /// Text, kind and school.
    there: BTreeSet<(&'a str, &'a str, &'a SchoolId)>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, row: NewRow<'a>) {
        if self.there.insert((row.id.text(), row.kind, row.school)) {
            self.new.push(row);
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    clippy::unwrap_in_result,
    reason = "a test fails by panicking, and its numbers are small"
)]
mod tests;
