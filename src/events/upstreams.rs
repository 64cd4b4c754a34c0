//! What happens between the gateway and upstreams, apart from what a request sees of it.

use super::meter::RouteMeter;
use super::{Event, Voice};
use crate::config::LogLevel;
use crate::names::{FlowId, SchoolId, VendorId};

/// What was done with a connection to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionUse {
    /// It was found closed when it was looked at.
    Closed,
    /// It was ended for more frames beside its answers than `h2-control-frames`.
    Flooded,
    /// It was made.
    Opened,
    /// It was used for another request.
    Reused,
    /// It broke under a request before a byte of the answer, after it had been kept.
    Stale,
    /// Bytes that nobody had asked for were found on it.
    Surplus,
}

impl ConnectionUse {
    pub(super) const ALL: usize = 6;

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Flooded => "flooded",
            Self::Opened => "opened",
            Self::Reused => "reused",
            Self::Stale => "stale",
            Self::Surplus => "surplus",
        }
    }

    pub(super) const fn place(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::Flooded => 1,
            Self::Opened => 2,
            Self::Reused => 3,
            Self::Stale => 4,
            Self::Surplus => 5,
        }
    }
}

/// An upstream is left alone from now on, or called again.
#[derive(Clone, Copy, Debug)]
pub struct CircuitTurned<'m> {
    /// The meter of its flow.
    pub meter: &'m RouteMeter,
    /// Whether it is left alone.
    pub rests: bool,
}

impl Event for CircuitTurned<'_> {
    fn tell(self, voice: &Voice) {
        let labels = self.meter.labels();
        if !self.rests {
            voice.lines.say(LogLevel::Info, || {
                tracing::info!(
                    event.name = "upstream.called_again",
                    sluis.school = labels.school.as_ref().map(display),
                    sluis.vendor = labels.vendor.as_ref().map(display),
                    sluis.flow = labels.flow.as_ref().map(display),
                    "an upstream answers again"
                );
            });
            return;
        }
        let subject = (self.meter.vendor_label(), "upstream_resting");
        voice.lines.say_seldom(LogLevel::Warn, subject, |left_out| {
            tracing::warn!(
                event.name = "upstream.left_alone",
                error.type = "upstream_resting",
                sluis.school = labels.school.as_ref().map(display),
                sluis.vendor = labels.vendor.as_ref().map(display),
                sluis.flow = labels.flow.as_ref().map(display),
                sluis.left_out = left_out,
                "an upstream failed again and again; the next request after a moment tries it"
            );
        });
    }
}

/// How much is under way, and which upstreams are left alone: seen when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct LoadSeen {
    /// Bytes that all bodies in flight hold together.
    pub body_bytes: u64,
    /// Every flow's upstream.
    pub circuits: Vec<Circuit>,
}

/// Whether one flow's upstream is left alone.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// Whose it is.
    pub school: SchoolId,
    /// Whose it is.
    pub vendor: VendorId,
    /// The flow.
    pub flow: FlowId,
    /// Since when it is left alone, if it is.
    pub rests_since_unix_s: Option<u64>,
}

impl Event for &LoadSeen {
    fn tell(self, voice: &Voice) {
        let metrics = &voice.metrics;
        let bytes = i64::try_from(self.body_bytes).unwrap_or(i64::MAX);
        metrics.body_bytes_in_flight.set(bytes);
        metrics.circuits.clear();
        for circuit in &self.circuits {
            let labels = [
                circuit.school.as_str(),
                circuit.vendor.as_str(),
                circuit.flow.as_str(),
            ];
            let gauge = metrics.circuits.at(labels);
            let rests = circuit.rests_since_unix_s.is_some();
            gauge.iter().for_each(|it| it.set(rests.into()));
        }
    }
}
