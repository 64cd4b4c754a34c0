//! How the register does, for those who look after it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::backend::{Fault, Writers};
use crate::clock::Clock;
use crate::events::{Event, Events, RegisterFailed, RegisterRecovered};
use crate::limits;
use crate::names::SchoolId;

/// How the register does.
#[derive(Clone, Debug)]
pub struct State {
    /// Identifiers that are known.
    pub ids: u64,
    /// Of each school.
    pub schools: Vec<(SchoolId, u64)>,
    /// Those of which a row does not open, or finds no room: what is not known of them yet is
    /// refused.
    pub stopped: Vec<SchoolId>,
    /// What keeps it: `redb` or `postgres`.
    pub store: &'static str,
    /// When all there was of it was read last, in Unix time.
    pub read_unix_s: u64,
    /// What the backend's last failure was, if nothing succeeded since.
    pub trouble: Option<Arc<Fault>>,
    /// Since when, in Unix time.
    pub trouble_since_unix_s: Option<u64>,
}

impl State {
    /// The code of its trouble: one of a fixed set, see [`Fault::code`].
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.trouble.as_ref().map(|fault| fault.code())
    }

    /// Whether others may write it, so that one can lie behind them: a file has one writer.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.store == Writers::Many.store()
    }

    /// Whether rows that were there may be there no more: then nothing counts as known.
    #[must_use]
    pub fn has_lost_rows(&self) -> bool {
        self.trouble.as_ref().is_some_and(|fault| fault.is_loss())
    }
}

/// What the keeper notes of the backend.
pub(super) struct Health {
    clock: Clock,
    events: OnceLock<Events>,
    noted: Mutex<Noted>,
}

struct Noted {
    trouble: Option<(Arc<Fault>, u64)>,
    /// Since when the backend is at work.
    busy: Option<(Instant, u64)>,
    read_unix_s: u64,
}

impl Health {
    pub(super) fn new(clock: Clock) -> Self {
        let noted = Mutex::new(Noted {
            trouble: None,
            busy: None,
            read_unix_s: clock.unix_s(),
        });
        Self {
            clock,
            events: OnceLock::new(),
            noted,
        }
    }

    /// Has it told by these events from now on; the first ones stay.
    pub(super) fn told_by(&self, events: Events) {
        self.events.set(events).unwrap_or_default();
    }

    pub(super) fn emit(&self, event: impl Event) {
        if let Some(events) = self.events.get() {
            events.emit(event);
        }
    }

    /// Whether the backend did what it was last asked for.
    pub(super) fn is_well(&self) -> bool {
        self.noted().trouble.is_none()
    }

    /// The backend begins something that it may not come back from.
    pub(super) fn begun(&self) {
        self.noted().busy = Some((self.clock.now(), self.clock.unix_s()));
    }

    /// It came back.
    pub(super) fn ended(&self) {
        self.noted().busy = None;
    }

    /// All there is was read.
    pub(super) fn read(&self) {
        self.noted().read_unix_s = self.clock.unix_s();
    }

    /// It did what it was asked for.
    pub(super) fn succeeded(&self) {
        let before = self.noted().trouble.take();
        if before.is_some() {
            self.emit(RegisterRecovered);
        }
    }

    /// It failed.
    pub(super) fn failed(&self, fault: Fault) {
        let code = fault.code();
        {
            let mut noted = self.noted();
            let since = noted.trouble.as_ref().map(|(_, since)| *since);
            let since = since.unwrap_or_else(|| self.clock.unix_s());
            match (&fault, &noted.trouble) {
                // What went wrong a moment ago says more.
                (Fault::Resting, Some(_)) => {}
                _ => noted.trouble = Some((Arc::new(fault), since)),
            }
        }
        self.emit(RegisterFailed { code });
    }

    /// The trouble it is in and since when, and when all was read last.
    pub(super) fn state(&self) -> (Option<(Arc<Fault>, u64)>, u64) {
        let noted = self.noted();
        let hangs = noted.busy.filter(|(since, _)| {
            self.clock.now().saturating_duration_since(*since) > limits::REGISTER_HANGS
        });
        let hangs = hangs.map(|(_, since)| (Arc::new(Fault::Hangs), since));
        (hangs.or_else(|| noted.trouble.clone()), noted.read_unix_s)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
