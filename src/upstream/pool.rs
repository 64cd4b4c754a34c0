//! Connections that are kept open between requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Kept;
use super::link::Link;
use crate::limits::{Bound, Limits};

/// The connections that one thread keeps open to one upstream; the one used last is taken first,
/// so that those that are not needed grow old. There are never more than were in use at once.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Kept>>);

impl Pool {
    /// A connection that is not too old. Whether it is still open shows when it is used: then
    /// nothing is lost, because a request that was not written comes back.
    pub(super) fn take(&self, now: Instant, limits: &Limits) -> Option<Box<Link>> {
        loop {
            let (link, since) = self.kept().pop()?;
            if is_fresh(since, now, limits) {
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
            .retain_mut(|(link, since)| is_fresh(*since, now, limits) && link.is_open());
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(since: Instant, now: Instant, limits: &Limits) -> bool {
    now.saturating_duration_since(since) < limits.time(Bound::UpstreamIdle)
}
