//! Connections that are kept open between requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::standing::Standing;
use crate::events::ConnectionUse;

/// The connections that one thread keeps open to one upstream; the one used last is taken first,
/// so that those that are not needed grow old. There are never more than were in use at once.
pub(super) struct Pool<L>(Mutex<Vec<(L, Instant)>>);

/// A connection with nothing on it.
pub(super) trait Idle {
    /// Looks at it without waiting.
    fn look(&mut self) -> Seen;

    /// When it was opened.
    fn opened(&self) -> Instant;
}

/// What there is on a connection with nothing on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The other end has closed it.
    Closed,
    /// Nothing: it can be used.
    Nothing,
    /// Bytes that nobody asked for.
    Surplus,
}

/// A connection that was kept, and for how long it was idle.
pub(super) struct Kept<L> {
    pub(super) link: L,
    pub(super) idle: Duration,
}

impl<L> Default for Pool<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L: Idle> Pool<L> {
    /// A connection that may be used again, and on which nothing has happened since.
    pub(super) fn take(&self, now: Instant, standing: &Standing) -> Option<Kept<L>> {
        loop {
            let (mut link, since) = self.kept().pop()?;
            let idle = now.saturating_duration_since(since);
            // Asked each time: one that is found closed says something about the next.
            if idle < standing.usable(now) && is_fit(&mut link, idle, now, standing) {
                return Some(Kept { link, idle });
            }
        }
    }

    /// Keeps a connection that nothing is left on, if its upstream's may be used again.
    pub(super) fn keep(&self, link: L, now: Instant, standing: &Standing) {
        if standing.usable(now) > Duration::ZERO && !standing.is_old(link.opened(), now) {
            self.kept().push((link, now));
        }
    }

    /// Lets go of all that may not be used any more.
    pub(super) fn tend(&self, now: Instant, standing: &Standing) {
        self.kept().retain_mut(|(link, since)| {
            let idle = now.saturating_duration_since(*since);
            idle < standing.usable(now) && is_fit(link, idle, now, standing)
        });
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(L, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection can be used; what is wrong with it is noted.
fn is_fit(link: &mut impl Idle, idle: Duration, now: Instant, standing: &Standing) -> bool {
    match link.look() {
        Seen::Nothing => !standing.is_old(link.opened(), now),
        Seen::Closed => {
            standing.closed(idle, now);
            false
        }
        Seen::Surplus => {
            standing.count(ConnectionUse::Surplus);
            false
        }
    }
}
