//! The only voice: what happened goes in as a typed event, one log line and its metrics come out.
//!
//! An event holds `Copy` fields, configured names and positions; it has no room for anything that
//! was sent. `tracing` and `prometheus` are used in this room alone, and neither is global: a
//! library that traces on its own (HTTP/2 does, heads and all) has no subscriber to speak to.

mod life;
mod log;
mod meter;
mod metrics;
mod process;
mod requests;

pub use life::{
    BugMet, ConfigurationDeployed, Draining, PanicMet, Ready, ReloadFailed, ReloadSucceeded,
    Started, Stopped, Stopping, TlsCertificateLoaded,
};
pub use log::Sink;
pub use meter::{FlowMeters, InFlight, Meters, RouteMeter};
pub use metrics::BadMetric;
pub use requests::{
    ConnectionFailed, ConnectionFault, ConnectionRefused, Crowd, Direction, Format, OpenConnection,
    Outcome, RequestEnded, Times, Traffic, UnlistedFieldSeen, UpstreamCall,
};

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Log;
use log::LogLines;
use metrics::Metrics;

/// The handle through which every room speaks. Cheap to clone; clones share lines and metrics.
#[derive(Clone)]
pub struct Events(Arc<Voice>);

/// Log lines and metrics of one process: what an [`Event`] is told to.
pub struct Voice {
    lines: LogLines,
    metrics: Arc<Metrics>,
}

/// Something that happened: a struct named in the past tense.
pub trait Event {
    /// Writes its log line and moves its metrics.
    fn tell(self, voice: &Voice);
}

impl Events {
    /// A voice that writes its lines to `sink`.
    ///
    /// # Errors
    /// [`BadMetric`] if a metric of our own is ill-formed: a defect of this room.
    pub fn new(log: Log, sink: Sink, clock: Clock) -> Result<Self, BadMetric> {
        let metrics = Arc::new(Metrics::new(&clock)?);
        let lines = LogLines::new(log, sink, clock, &metrics);
        Ok(Self(Arc::new(Voice { lines, metrics })))
    }

    /// Says that something happened.
    pub fn emit(&self, event: impl Event) {
        event.tell(&self.0);
    }

    /// The meters of one configuration: made once, kept with it, taken from there by each request.
    #[must_use]
    pub fn meters(&self) -> Meters {
        Meters::new(&self.0.metrics)
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn connection_opened(&self) -> OpenConnection {
        OpenConnection::new(&self.0.metrics)
    }

    /// All metrics in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn metrics_page(&self) -> String {
        self.0.metrics.page()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voice")
    }
}
