//! What the operators' pages know: set by `app`, read by the pages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::events::{Events, LoadSeen};
use crate::names::{SchoolId, VendorId};
use crate::store::{self, Store};

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A signal asked it to stop: what is under way may finish.
    Draining,
    /// Callers are answered.
    Ready,
    /// Nothing listens yet.
    Starting,
}

impl Stage {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Ready => "ready",
            Self::Starting => "starting",
        }
    }
}

/// How the last attempt to take a new configuration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When, in Unix time.
    pub at_unix_s: u64,
    /// The first problem, `file:line:column: error[E041]: words; help: …`; `None` if there was
    /// none.
    pub problem: Option<String>,
}

/// What the operators' pages show. Holds nothing secret and nothing of a message.
pub struct State {
    pub(super) events: Events,
    pub(super) clock: Clock,
    pub(super) started: Time,
    register: OnceLock<Arc<Store>>,
    load: OnceLock<Look>,
    now: Mutex<Now>,
}

/// Sees how much is under way at the moment.
type Look = Box<dyn Fn() -> LoadSeen + Send + Sync>;

/// When the certificates expire that each vendor's upstreams are shown, in Unix time; the first of
/// several.
pub type Expiries = BTreeMap<(SchoolId, VendorId), u64>;

/// What changes while the process runs.
#[derive(Clone)]
pub(super) struct Now {
    pub(super) stage: Stage,
    pub(super) config: Arc<Config>,
    pub(super) certificate_expires_unix_s: Option<u64>,
    pub(super) shown_expires: Expiries,
    pub(super) reload: Option<Reload>,
}

impl State {
    /// The state of a process that has just [started](Stage::Starting).
    #[must_use]
    pub fn new(events: Events, clock: Clock, config: Arc<Config>) -> Self {
        Self {
            events,
            started: clock.time(),
            clock,
            register: OnceLock::new(),
            load: OnceLock::new(),
            now: Mutex::new(Now {
                stage: Stage::Starting,
                config,
                certificate_expires_unix_s: None,
                shown_expires: Expiries::new(),
                reload: None,
            }),
        }
    }

    /// The process is at that stage from now on.
    pub fn enter(&self, stage: Stage) {
        self.change(|now| now.stage = stage);
    }

    /// The listener's certificate expires then, in Unix time; `None` without TLS.
    pub fn certificate_expires(&self, unix_s: Option<u64>) {
        self.change(|now| now.certificate_expires_unix_s = unix_s);
    }

    /// The certificates that upstreams are shown expire then.
    pub fn shown_certificates_expire(&self, expiries: Expiries) {
        self.change(|now| now.shown_expires = expiries);
    }

    /// There is a register from now on; the first one stays.
    pub fn remembers_in(&self, register: Arc<Store>) {
        self.register.set(register).unwrap_or_default();
    }

    /// Where to look how much is under way; the first place stays.
    pub fn looks_at(&self, load: impl Fn() -> LoadSeen + Send + Sync + 'static) {
        self.load.set(Box::new(load)).unwrap_or_default();
    }

    /// How much is under way.
    pub(super) fn load(&self) -> LoadSeen {
        self.load.get().map(|look| look()).unwrap_or_default()
    }

    /// How the register does, if there is one.
    pub(super) fn register(&self) -> Option<store::State> {
        self.register.get().map(|store| store.state())
    }

    /// A new configuration decides.
    pub fn reloaded(&self, config: Arc<Config>) {
        let at_unix_s = self.clock.unix_s();
        self.change(|now| {
            now.config = config;
            now.reload = Some(Reload {
                at_unix_s,
                problem: None,
            });
        });
    }

    /// A new configuration was broken; the old one stays.
    pub fn reload_failed(&self, problem: String) {
        let at_unix_s = self.clock.unix_s();
        let problem = Some(problem);
        self.change(|now| now.reload = Some(Reload { at_unix_s, problem }));
    }

    /// All that changes, as it is at one moment.
    pub(super) fn now(&self) -> Now {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", self.now().stage.name())
    }
}
