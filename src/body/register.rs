//! What a body asks of the register, and waits for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Turn;
use crate::pseudonym::Batch;
use crate::refusal::Refusal;
use crate::store::{Settling, StoreFault, View};

/// Something that is asked of the register, and what the turn comes to once it is done.
pub(super) struct Asked {
    settling: Settling,
    what: What,
    then: Turn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Pseudonyms,
    Remember,
}

impl Asked {
    /// That it may have learned of more identifiers meanwhile, from other nodes.
    pub(super) fn for_pseudonyms(view: &Arc<View>, then: Turn) -> Self {
        Self {
            settling: view.catch_up(),
            what: What::Pseudonyms,
            then,
        }
    }

    /// That these are on disk.
    pub(super) fn to_remember(view: &Arc<View>, batch: Batch, then: Turn) -> Self {
        Self {
            settling: view.settle(batch),
            what: What::Remember,
            then,
        }
    }

    /// Whether the rewriter waits for it.
    pub(super) fn is_for_pseudonyms(&self) -> bool {
        self.what == What::Pseudonyms
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Refusal>> {
        let settled = Pin::new(&mut self.settling).poll(cx);
        settled.map(|done| done.map(|()| self.then).map_err(refusal))
    }
}

/// Why a message waits outside when the register does not do its part.
#[must_use]
pub const fn refusal(fault: StoreFault) -> Refusal {
    match fault {
        StoreFault::Busy => Refusal::Overloaded,
        StoreFault::Collision => Refusal::PseudonymCollision,
        StoreFault::Damaged | StoreFault::Gone => Refusal::RegisterUnavailable,
    }
}
