//! Connections that are kept open between requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use super::Kept;
use super::link::Link;
use crate::limits::{Bound, Limits};

/// The connections that one thread keeps open to one upstream; the one used last is taken first,
/// so that those that are not needed grow old. There are never more than were in use at once.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Kept>>);

impl Pool {
    /// A connection that is still open, and not too old.
    pub(super) fn take(&self, now: Instant, limits: &Limits) -> Option<Box<Link>> {
        loop {
            let (mut link, since) = self.kept().pop()?;
            if is_fresh(&mut link, since, now, limits) {
                return Some(link);
            }
        }
    }

    /// Keeps a connection that nothing is left on.
    pub(super) fn keep(&self, link: Box<Link>, now: Instant) {
        self.kept().push((link, now));
    }

    /// Lets go of all that are too old, or were closed.
    pub(super) fn tend(&self, now: Instant, limits: &Limits) {
        self.kept()
            .retain_mut(|(link, since)| is_fresh(link, *since, now, limits));
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody drives a connection while it is kept; what happened to it meanwhile shows when it is
/// polled, and then it is taken by someone who polls it again, or dropped.
fn is_fresh(link: &mut Link, since: Instant, now: Instant, limits: &Limits) -> bool {
    let idle = now.saturating_duration_since(since);
    idle < limits.time(Bound::UpstreamIdle) && link.is_idle(&mut Context::from_waker(Waker::noop()))
}
