//! The register: which identifiers the gateway has let out, so that a pseudonym finds its way home.
//!
//! ```text
//! a message          View::remember ── known ────────────────────────────▶ may leave
//!   (any thread)         └─ not known ─▶ Batch ─▶ View::settle ··········▶ may leave, or 503
//! the keeper                                        │        ▲
//!   (one thread)        one commit for all who wait ▼        │ known now
//! the backend           rows: school, kind, lookup, sealed ──┘ once on disk
//! ```
//!
//! On disk stand sealed identifiers and nothing else: no pseudonym, and no pair. In memory the
//! identifiers of a school and kind lie one behind the other, and each vendor has an index from its
//! pseudonyms to their places, which is derived from them. An identifier is known once it is on
//! disk, never before, and nothing is once rows are missed that were there. Which of two has a
//! pseudonym that both would have is decided by which came into the register first, on every node
//! alike.

mod arena;
mod backend;
mod drawers;
mod file;
mod ids;
mod index;
mod journal;
mod keeper;
mod offline;
mod opening;
mod places;
mod postgres;
mod reader;
mod remedy;
mod school;
mod state;
mod unsynced;
mod view;
mod wait;

#[cfg(test)]
#[expect(
    clippy::unwrap_in_result,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking, and its numbers are small"
)]
pub(crate) mod tests;

pub use backend::{Damage, Fault};
pub use offline::{Exported, Imported, Verified, init, look, verify};
pub use postgres::Server;
pub use remedy::Remedy;
pub use state::State;
pub use view::{Generations, View};
pub use wait::Settling;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use backend::{Backend, Writers};
use file::OneFile;
use keeper::{Job, Keeper};
use postgres::Postgres;
use school::School;
use state::Health;
use wait::Promise;

use crate::clock::Clock;
use crate::events::Events;
use crate::limits;
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::RegisterKey;

/// Where a register is kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// In one file of this machine, for one gateway.
    File(PathBuf),
    /// In PostgreSQL, for several gateways.
    Postgres(Box<Server>),
}

impl Place {
    fn open(&self, clock: &Clock) -> Result<Box<dyn Backend>, Fault> {
        Ok(match self {
            Self::File(path) => Box::new(OneFile::open(path)?),
            Self::Postgres(server) => Box::new(Postgres::open(server, clock)?),
        })
    }
}

/// The register of all schools of one gateway.
///
/// Dropping it finishes what was begun and closes the backend; views that are still there then
/// remember nothing new.
pub struct Store {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

/// What the views and the keeper share.
struct Shared {
    schools: RwLock<BTreeMap<String, Arc<School>>>,
    jobs: SyncSender<Job>,
    writers: Writers,
    health: Health,
    /// Whether rows are gone that were there: then nothing counts as known, until a reading finds
    /// the last of them again.
    lost: AtomicBool,
}

/// What a register must be to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A register of which one school is whole, if any has rows. One of which a row does not open
    /// is stopped at that row.
    Usable,
    /// A register of which every row opens.
    Whole,
}

/// Why a message must wait outside: 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// Too many messages wait already.
    Busy,
    /// Two identifiers would have one pseudonym: the vendor's notation is too short.
    Collision,
    /// Rows of the register do not open.
    Damaged,
    /// The backend cannot be read or written.
    Gone,
}

impl Store {
    /// Opens the register and takes in all of it, which must open with the keys of these schools.
    ///
    /// Rows of schools that are not among them are left alone.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Damaged`] if only one row does not open.
    pub fn open(
        place: &Place,
        schools: impl IntoIterator<Item = (SchoolId, impl Into<Arc<RegisterKey>>)>,
        clock: Clock,
    ) -> Result<Self, Fault> {
        Self::open_if(Wanted::Whole, place, schools, clock)
    }

    /// The same of a register that need not be whole.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Damaged`] if it is less than what is wanted.
    pub fn open_if(
        wanted: Wanted,
        place: &Place,
        schools: impl IntoIterator<Item = (SchoolId, impl Into<Arc<RegisterKey>>)>,
        clock: Clock,
    ) -> Result<Self, Fault> {
        let place = place.clone();
        let opener = move |clock: &Clock| place.open(clock);
        Self::on(opener, schools, (clock, wanted))
    }

    /// Opens the backend on the thread that will keep it.
    fn on(
        opener: impl FnOnce(&Clock) -> Result<Box<dyn Backend>, Fault> + Send + 'static,
        schools: impl IntoIterator<Item = (SchoolId, impl Into<Arc<RegisterKey>>)>,
        (clock, wanted): (Clock, Wanted),
    ) -> Result<Self, Fault> {
        let (jobs, received) = sync_channel(limits::REGISTER_WAITING_MAX);
        let schools = schools.into_iter().map(|(id, key)| (id, key.into()));
        let schools: Vec<(SchoolId, Arc<RegisterKey>)> = schools.collect();
        let (tell, told) = sync_channel(1);
        let work = move || {
            let opened = opener(&clock).and_then(|backend| {
                let shared = Arc::new(Shared::new(schools, jobs, backend.writers(), clock.clone()));
                Keeper::new(shared, backend, (clock, wanted))
            });
            // Fails if nobody wants to know any more; then there are no jobs either.
            match opened {
                Ok(keeper) if tell.send(Ok(keeper.shared())).is_ok() => keeper.run(&received),
                Ok(_) => {}
                Err(fault) => tell.send(Err(fault)).unwrap_or_default(),
            }
        };
        let thread = thread::Builder::new().name("register".to_owned());
        let thread = thread.spawn(work).map_err(Fault::Thread)?;
        let shared = told.recv().map_err(|_gone| Fault::Thread(gone()))??;
        Ok(Self {
            shared,
            keeper: Some(thread),
        })
    }

    /// One vendor's view of its school's register; `None` if the school is not known here.
    ///
    /// Views of one vendor with the same keys and kinds share their indexes: a new configuration
    /// derives only what has changed.
    #[must_use]
    pub fn view(
        &self,
        school: &SchoolId,
        vendor: &VendorId,
        generations: &Generations,
    ) -> Option<Arc<View>> {
        let school = self.shared.school_named(school.as_str())?;
        let shared = Arc::clone(&self.shared);
        Some(Arc::new(View::new(
            shared,
            school,
            vendor.clone(),
            generations,
        )))
    }

    /// Adds a school that a new configuration brought, and reads its rows.
    ///
    /// Resolves to [`StoreFault::Damaged`] if they do not open, or if the school is known under
    /// another key. On any error nothing has changed, and it can be tried again.
    pub fn add_school(&self, id: SchoolId, key: impl Into<Arc<RegisterKey>>) -> Settling {
        let key = key.into();
        if let Some(there) = self.shared.school_named(id.as_str()) {
            return Settling::done(there.opens_with(&key));
        }
        let school = Arc::new(School::new(id, key));
        self.shared.ask(|promise| Job::Learn { school, promise })
    }

    /// Has what happens to it told by these events from now on.
    pub fn told_by(&self, events: Events) {
        self.shared.health.told_by(events);
    }

    /// How it does.
    #[must_use]
    pub fn state(&self) -> State {
        let all = self.shared.schools();
        let schools: Vec<_> = all.iter().map(|it| it.held()).collect();
        let stopped = all.iter().filter(|it| it.is_whole().is_err());
        let stopped = stopped.map(|it| it.id.clone()).collect();
        let (trouble, read_unix_s) = self.shared.health.state();
        let ended = self.keeper.as_ref().is_none_or(JoinHandle::is_finished);
        let ended = ended.then(|| (Arc::new(Fault::Thread(gone())), read_unix_s));
        let (trouble, since) = ended.or(trouble).unzip();
        State {
            ids: schools
                .iter()
                .fold(0, |all, (_, ids)| all.saturating_add(*ids)),
            stopped,
            schools,
            store: self.shared.writers.store(),
            read_unix_s,
            trouble,
            trouble_since_unix_s: since,
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many wait for the register",
            Self::Collision => "two identifiers would have one pseudonym",
            Self::Damaged => "its rows do not open with the key it has now, or are gone",
            Self::Gone => "the register cannot be read or written",
        })
    }
}

impl std::error::Error for StoreFault {}

impl Drop for Store {
    fn drop(&mut self) {
        // Fails if the keeper is gone already.
        self.shared.jobs.send(Job::Stop).unwrap_or_default();
        if let Some(keeper) = self.keeper.take() {
            keeper.join().unwrap_or_default();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.state())
    }
}

impl Shared {
    fn new(
        schools: impl IntoIterator<Item = (SchoolId, impl Into<Arc<RegisterKey>>)>,
        jobs: SyncSender<Job>,
        writers: Writers,
        clock: Clock,
    ) -> Self {
        let shared = Self {
            schools: RwLock::default(),
            jobs,
            writers,
            health: Health::new(clock),
            lost: AtomicBool::new(false),
        };
        for (id, key) in schools {
            shared.add(Arc::new(School::new(id, key.into())));
        }
        shared
    }

    fn school_named(&self, name: &str) -> Option<Arc<School>> {
        let schools = self.schools.read().unwrap_or_else(PoisonError::into_inner);
        schools.get(name).cloned()
    }

    fn schools(&self) -> Vec<Arc<School>> {
        let schools = self.schools.read().unwrap_or_else(PoisonError::into_inner);
        schools.values().cloned().collect()
    }

    fn add(&self, school: Arc<School>) {
        let mut schools = self.schools.write().unwrap_or_else(PoisonError::into_inner);
        schools.entry(school.id.to_string()).or_insert(school);
    }

    /// Hands a job to the keeper.
    fn ask(&self, job: impl FnOnce(Promise) -> Job) -> Settling {
        let (promise, settling) = Promise::new();
        match self.jobs.try_send(job(promise)) {
            Ok(()) => settling,
            Err(TrySendError::Full(_)) => Settling::done(Err(StoreFault::Busy)),
            Err(TrySendError::Disconnected(_)) => Settling::done(Err(StoreFault::Gone)),
        }
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Notes that rows were read, from the last one that was known on.
    fn tell_read(&self, read: Result<(), Fault>) -> Result<(), StoreFault> {
        if read.is_ok() {
            self.found_again();
        }
        self.tell(read)
    }

    /// What was known is there.
    fn found_again(&self) {
        self.lost.store(false, Ordering::Release);
        self.health.read();
    }

    /// Notes what the backend did, and says what of it callers need to know.
    fn tell(&self, done: Result<(), Fault>) -> Result<(), StoreFault> {
        let Err(fault) = done else {
            self.health.succeeded();
            return Ok(());
        };
        if fault.is_loss() {
            self.lost.store(true, Ordering::Release);
        }
        let told = match matches!(fault, Fault::Damaged(_) | Fault::Lost { .. }) {
            true => StoreFault::Damaged,
            false => StoreFault::Gone,
        };
        self.health.failed(fault);
        Err(told)
    }
}

fn gone() -> io::Error {
    io::Error::other("it has ended")
}
