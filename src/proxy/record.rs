//! What is known of one exchange, told once: when it is over, in whatever way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::load::Place;
use crate::body::{Facts, State};
use crate::clock::Clock;
use crate::events::{
    Events, Format, InFlight, Outcome, RequestEnded, RouteMeter, Times, Traffic, UpstreamCall,
};
use crate::minimise::Counts;
use crate::policy::Method;
use crate::refusal::{Reference, Refusal};

/// The facts of one exchange. Dropping it tells them, and that the exchange is over.
pub(super) struct Record {
    /// The most exact meter that was reached.
    pub(super) meter: RouteMeter,
    /// What the caller wrote, if that is a method that is served somewhere.
    pub(super) method: Option<Method>,
    /// The status sent to the caller.
    pub(super) status: Option<u16>,
    /// How it ended; until that is known, the caller can only have gone away.
    outcome: Option<Outcome>,
    /// The body of the request, if one was read.
    pub(super) request: Option<Arc<Facts>>,
    /// Whether it asked for a token, and all of that was read.
    pub(super) asked_whole: bool,
    /// The body of the answer, if one was read.
    pub(super) answer: Option<Arc<Facts>>,
    /// What was done to identifiers in the target.
    pub(super) target: Counts,
    /// What was done to identifiers in the lines of the answer's head.
    pub(super) lines: Counts,
    /// What came of calling the upstream.
    pub(super) upstream: Option<UpstreamCall>,
    /// What the caller is told that its refusal is.
    pub(super) reference: Option<Reference>,
    /// What it holds of the limits and gauges while it is under way.
    pub(super) under_way: Option<(Place, InFlight)>,
    began: Instant,
    clock: Clock,
    events: Events,
    exchanges: Arc<Exchanges>,
}

impl Record {
    /// An exchange begins on a connection.
    pub(super) fn begin(
        meter: RouteMeter,
        clock: &Clock,
        events: &Events,
        exchanges: &Arc<Exchanges>,
    ) -> Self {
        exchanges.begun.fetch_add(1, Ordering::Relaxed);
        Self {
            meter,
            method: None,
            status: None,
            outcome: None,
            request: None,
            asked_whole: false,
            answer: None,
            target: Counts::default(),
            lines: Counts::default(),
            upstream: None,
            reference: None,
            under_way: None,
            began: clock.now(),
            clock: clock.clone(),
            events: events.clone(),
            exchanges: Arc::clone(exchanges),
        }
    }

    /// Whether the body of the request was read to its end.
    pub(super) fn has_read_request(&self) -> bool {
        let facts = self.request.as_ref();
        self.asked_whole || facts.is_some_and(|facts| facts.look().state == State::Ended)
    }

    /// The fault that was found in the body of the request when some of it had gone on already.
    pub(super) fn fault_under_way(&self) -> Option<Refusal> {
        self.upstream?;
        match self.request.as_ref()?.look().state {
            State::Failed(refusal) => Some(refusal),
            State::Ended | State::Open => None,
        }
    }

    /// Says how it ended. A caller that went away is no fault of anyone's.
    pub(super) const fn end(&mut self, outcome: Outcome) {
        let gone = matches!(
            outcome,
            Outcome::Aborted(Refusal::CallerGone) | Outcome::Refused(Refusal::CallerGone)
        );
        self.outcome = Some(if gone { Outcome::Cancelled } else { outcome });
    }

    /// The answer has been handed over whole, unless a fault was found in it.
    pub(super) fn finish(&mut self) {
        let state = self.answer.as_ref().map(|facts| facts.look().state);
        let faultless = !matches!(state, Some(State::Failed(_)));
        if self.outcome.is_none() && faultless {
            self.outcome = Some(Outcome::Answered);
        }
    }

    fn outcome(&self) -> Outcome {
        if std::thread::panicking() {
            return Outcome::Panicked;
        }
        let fault = self.answer.as_ref().map(|facts| facts.look().state);
        match (self.outcome, fault) {
            (Some(outcome), _) => outcome,
            (None, Some(State::Failed(refusal))) => Outcome::Aborted(refusal),
            (None, Some(State::Ended | State::Open) | None) => Outcome::Cancelled,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (request, spent) = traffic(self.request.as_deref());
        let (mut answer, more) = traffic(self.answer.as_deref());
        answer.fields.absorb(&self.lines);
        self.events.emit(RequestEnded {
            meter: &self.meter,
            method: self.method,
            status: self.status,
            outcome: self.outcome(),
            request,
            answer,
            target: self.target,
            upstream: self.upstream,
            times: Times {
                total: self.clock.now().saturating_duration_since(self.began),
                transform: spent.saturating_add(more),
            },
            reference: self.reference,
        });
        self.exchanges.ended.fetch_add(1, Ordering::Relaxed);
    }
}

fn traffic(facts: Option<&Facts>) -> (Traffic, Duration) {
    match facts.map(Facts::look) {
        None => (Traffic::default(), Duration::ZERO),
        Some(progress) => {
            let traffic = Traffic {
                format: Some(Format::Json),
                bytes_in: progress.received,
                bytes_out: progress.cleared,
                fields: progress.counts,
            };
            (traffic, progress.rewriting)
        }
    }
}

/// The exchanges on one connection: what its pace depends on.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Exchanges {
    /// How many have ended, if none is under way.
    pub(super) fn all_ended(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::Relaxed);
        (self.begun.load(Ordering::Relaxed) == ended).then_some(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Log, LogFormat, LogLevel};
    use crate::events::Sink;
    use crate::refusal::JsonFault;

    /// What is told of an exchange to which `happens`.
    fn told(happens: impl FnOnce(&mut Record)) -> String {
        let (log, clock) = (Sink::memory(), Clock::system());
        let lines = Log {
            format: LogFormat::Json,
            level: LogLevel::Debug,
        };
        let events = Events::new(lines, log.clone(), clock.clone()).unwrap();
        let exchanges = Arc::<Exchanges>::default();
        let meter = events.meters().unknown().clone();
        let mut record = Record::begin(meter, &clock, &events, &exchanges);
        assert_eq!(exchanges.all_ended(), None);
        let _panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            happens(&mut record);
            drop(record);
        }));
        assert_eq!(exchanges.all_ended(), Some(1));
        let text = String::from_utf8(log.bytes()).unwrap();
        assert_eq!(
            text.matches("request.ended").count(),
            1,
            "told once: {text}"
        );
        text
    }

    #[test]
    fn every_exchange_is_told_once_however_it_ends() {
        let fault = Refusal::BodyMalformed {
            fault: JsonFault::Cut,
            at: 7,
        };
        assert!(told(|_| {}).contains("cancelled"));
        assert!(told(Record::finish).contains("answered"));
        assert!(told(|record| record.end(Outcome::Refused(fault))).contains("body_malformed"));
        assert!(told(|record| record.end(Outcome::Aborted(fault))).contains("aborted"));
        let gone = Outcome::Aborted(Refusal::CallerGone);
        assert!(told(|record| record.end(gone)).contains("cancelled"));
        assert!(told(|_| panic!("a planned panic")).contains("panic"));
    }
}
