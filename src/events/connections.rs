//! What happens on the wire: connections of callers.

use prometheus::{IntCounter, IntGauge};

use super::metrics::Metrics;
use super::{Event, Voice};
use crate::config::LogLevel;

/// A connection is open: counted until this is dropped.
#[derive(Debug)]
#[must_use = "a connection is open for as long as this is held"]
pub struct OpenConnection(IntGauge);

impl OpenConnection {
    pub(super) fn new(metrics: &Metrics) -> Self {
        metrics.connections_open.inc();
        Self(metrics.connections_open.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A connection was closed on arrival.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRefused {
    /// Why.
    pub crowd: Crowd,
}

/// What there are too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// Open files of this process: the operating system gave no socket.
    Files,
    /// Connections of one address: `connections-per-client`.
    OneClient,
}

impl Event for ConnectionRefused {
    fn tell(self, voice: &Voice) {
        let reason = match self.crowd {
            Crowd::Files => "files",
            Crowd::OneClient => "one_client",
        };
        voice
            .metrics
            .connections_refused
            .at([reason])
            .iter()
            .for_each(IntCounter::inc);
        voice
            .lines
            .say_seldom(LogLevel::Warn, ("", reason), |left_out| {
                tracing::warn!(
                    event.name = "connection.refused",
                    error.type = reason,
                    sluis.left_out = left_out,
                    "a connection was closed on arrival"
                );
            });
    }
}

/// A connection has to wait for a place: there are as many as `connections` allows, and its thread
/// takes no others meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionDelayed;

impl Event for ConnectionDelayed {
    fn tell(self, voice: &Voice) {
        voice.metrics.connections_delayed.inc();
    }
}

/// Connections were closed because a bound said so, and nothing was wrong with them.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionsClosed {
    /// Which bound.
    pub why: Closing,
    /// How many, at once.
    pub count: usize,
}

/// Why a connection is closed with which nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The process ends, and what was under way has had its time: `drain`.
    Drain,
    /// Nothing was on it for as long as `keep-alive-idle`.
    Idle,
}

impl Closing {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Idle => "idle",
        }
    }
}

impl Event for ConnectionsClosed {
    fn tell(self, voice: &Voice) {
        let why = self.why.name();
        let count = u64::try_from(self.count).unwrap_or(u64::MAX);
        let counter = voice.metrics.connections_closed.at([why]);
        counter.iter().for_each(|it| it.inc_by(count));
        voice.lines.say(LogLevel::Debug, || {
            tracing::debug!(
                event.name = "connections.closed",
                sluis.why = why,
                sluis.connections = count,
                "connections were closed by a bound"
            );
        });
    }
}

/// A connection ended in a fault of the wire, outside any request.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFailed {
    /// What was wrong.
    pub fault: ConnectionFault,
}

/// What was wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// The caller did not read its answer: `answer-write-idle`.
    AnswerUnread,
    /// The head of a request came too slowly: `head-time`.
    HeadTimeout,
    /// The HTTP library did not take what the guard let pass.
    Http1,
    /// It was not HTTP/2, or too many requests that failed.
    Http2,
    /// More frames beside its requests than `h2-control-frames`.
    Http2Flood,
    /// The connection broke.
    Io,
    /// The TLS handshake failed.
    Tls,
    /// The TLS handshake took longer than `tls-handshake`, or than a second once the gateway stops.
    TlsTimeout,
}

impl ConnectionFault {
    const fn name(self) -> &'static str {
        match self {
            Self::AnswerUnread => "answer_unread",
            Self::HeadTimeout => "head_timeout",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Http2Flood => "http2_flood",
            Self::Io => "io",
            Self::Tls => "tls",
            Self::TlsTimeout => "tls_timeout",
        }
    }
}

impl Event for ConnectionFailed {
    fn tell(self, voice: &Voice) {
        let fault = self.fault.name();
        voice
            .metrics
            .connections_failed
            .at([fault])
            .iter()
            .for_each(IntCounter::inc);
        voice.lines.say(LogLevel::Debug, || {
            tracing::debug!(
                event.name = "connection.failed",
                error.type = fault,
                "a connection ended in a fault"
            );
        });
    }
}

/// The HTTP library refused a request over HTTP/2 by itself: no request was there yet.
#[derive(Clone, Copy, Debug)]
pub struct StreamRefused {
    /// Why.
    pub why: StreamRefusal,
}

/// What is wrong with a request that nobody gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefusal {
    /// Its head is larger than `h2-header-list` once it is unpacked.
    HeadTooLarge,
    /// As many as `h2-streams` are under way on its connection.
    TooMany,
}

impl Event for StreamRefused {
    fn tell(self, voice: &Voice) {
        let reason = match self.why {
            StreamRefusal::HeadTooLarge => "head_too_large",
            StreamRefusal::TooMany => "too_many",
        };
        let counter = voice.metrics.streams_refused.at([reason]);
        counter.iter().for_each(IntCounter::inc);
        voice.lines.say(LogLevel::Debug, || {
            tracing::debug!(
                event.name = "stream.refused",
                error.type = reason,
                "a request over HTTP/2 was refused before it was read"
            );
        });
    }
}
