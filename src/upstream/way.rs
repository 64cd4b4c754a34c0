//! What carries an exchange with an upstream.

use std::time::Duration;

use http::{HeaderMap, Request};

use super::Target;
use super::link::{Link, Sent};
use super::patience::Patience;
use super::pool;
use super::shared::Shared;
use crate::body::{Body, Caller};

/// A connection, as one exchange has it.
pub(super) enum Way {
    /// For itself: HTTP/1.1.
    Own(Box<Link>),
    /// With others: HTTP/2.
    Shared(Shared),
}

/// A connection that was there already.
pub(super) struct Kept {
    pub(super) way: Way,
    /// For how long nothing was on it; `None` if others are on it now.
    pub(super) idle: Option<Duration>,
}

impl Kept {
    pub(super) fn own(kept: pool::Kept<Box<Link>>) -> Self {
        Self {
            way: Way::Own(kept.link),
            idle: Some(kept.idle),
        }
    }

    pub(super) fn shared((shared, idle): (Shared, Option<Duration>)) -> Self {
        let way = Way::Shared(shared);
        Self { way, idle }
    }
}

impl Way {
    /// An empty map for the next head.
    pub(super) fn spare(&mut self) -> HeaderMap {
        match self {
            Self::Own(link) => link.spare(),
            Self::Shared(_) => HeaderMap::new(),
        }
    }

    /// Sends a request to `target` and waits for the head of its answer.
    pub(super) async fn send(
        self,
        request: Request<Body<Caller>>,
        target: &Target,
        patience: Patience,
    ) -> Sent<Self> {
        match self {
            Self::Own(link) => link.send(request, patience).await.map(Self::Own),
            Self::Shared(shared) => {
                let sent = shared.send(request, target, patience).await;
                sent.map(Self::Shared)
            }
        }
    }
}
