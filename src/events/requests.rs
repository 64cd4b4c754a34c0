//! What happens on the wire: requests.

use std::time::Duration;

use super::alarms;
use super::meter::RouteMeter;
use super::metrics::OTHER;
use super::traffic::{
    BROUGHT_HOME, DROPPED, Direction, KEPT, PSEUDONYMISED, REDUCED, Traffic, measure_fields,
};
use super::{BugMet, Event, Voice};
use crate::config::LogLevel;
use crate::minimise::Counts;
use crate::policy::Method;
use crate::refusal::{LinkFault, Reference, Refusal, UpstreamFault};

/// One request has ended, in whatever way. Emitted exactly once a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnded<'m> {
    /// The most exact meter that was reached: of the route, of the flow, or of nobody.
    pub meter: &'m RouteMeter,
    /// What the caller wrote, if that is a method that is served somewhere.
    pub method: Option<Method>,
    /// The status sent to the caller; `None` if it came to none.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// The body of the request.
    pub request: Traffic,
    /// The body of the answer.
    pub answer: Traffic,
    /// What was done to identifiers in path and query of the request.
    pub target: Counts,
    /// What came of calling the upstream; `None` if it was not called.
    pub upstream: Option<UpstreamCall>,
    /// How long it took.
    pub times: Times,
    /// What a problem document says that it is; of refusals alone.
    pub reference: Option<Reference>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Broken off after the head of the answer had gone out.
    Aborted(Refusal),
    /// Answered whole.
    Answered,
    /// The caller went away.
    Cancelled,
    /// The code that served it panicked.
    Panicked,
    /// Refused with a problem document.
    Refused(Refusal),
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Aborted(_) => "aborted",
            Self::Answered => "answered",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Refused(_) => "refused",
        }
    }
}

/// What came of calling an upstream.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamCall {
    /// The status of its answer; `None` if no head came.
    pub status: Option<u16>,
    /// From the request sent to the head of the answer, or to giving up.
    pub waited: Duration,
}

/// How long a request took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// From its head to the end of its answer.
    pub total: Duration,
    /// Our own work on the bodies.
    pub transform: Duration,
}

impl Event for RequestEnded<'_> {
    fn tell(self, voice: &Voice) {
        self.measure();
        self.look_for_news(voice);
        match self.outcome {
            Outcome::Answered => voice.lines.say(LogLevel::Debug, || self.record()),
            Outcome::Cancelled => {
                self.meter.count_cancellation();
                voice.lines.say(LogLevel::Debug, || self.record());
            }
            Outcome::Aborted(refusal) => {
                self.meter.count_abort(refusal);
                self.complain(voice, refusal.code(), Some(refusal));
            }
            Outcome::Refused(refusal) => {
                self.meter.count_refusal(refusal);
                self.complain(voice, refusal.code(), Some(refusal));
            }
            Outcome::Panicked => self.complain(voice, "panic", None),
        }
    }
}

impl RequestEnded<'_> {
    fn measure(&self) {
        let meter = self.meter;
        meter.observe_server(self.status, self.times.total.as_secs_f64());
        if let Some(call) = self.upstream {
            meter.observe_client(call.status, call.waited.as_secs_f64());
        }
        if self.request.format.is_some() {
            meter.observe_request_body(self.request.bytes_in);
        }
        if let Some(format) = self.request.format.or(self.answer.format) {
            meter.observe_transform(format, self.times.transform.as_secs_f64());
        }
        let direction = meter.labels().request_direction();
        measure_fields(&self.target, meter, direction);
        self.request.measure(meter, direction);
        self.answer.measure(meter, direction.turned());
    }

    /// Tells what came that no policy foresaw, and what we did that nobody should.
    fn look_for_news(&self, voice: &Voice) {
        let (meter, direction) = (self.meter, self.meter.labels().request_direction());
        for (body, direction) in [
            (&self.request, direction),
            (&self.answer, direction.turned()),
        ] {
            for place in meter
                .first_sight(direction, body.fields.unlisted())
                .places()
            {
                let shape = meter.shape(place);
                UnlistedFieldSeen {
                    meter,
                    direction,
                    shape,
                }
                .tell(voice);
            }
        }
        let all = [&self.request.fields, &self.answer.fields, &self.target];
        alarms::sound(voice, meter, all);
        if let Outcome::Refused(Refusal::Bug(bug)) | Outcome::Aborted(Refusal::Bug(bug)) =
            self.outcome
        {
            BugMet { bug }.tell(voice);
        }
    }

    /// The caller's method for a line of the log. A label of a metric has that of the route, and
    /// none where no route was matched: every method more would be a series more.
    fn method(&self) -> &'static str {
        self.method.map_or(OTHER, Method::as_str)
    }

    /// The line of a request that nothing was wrong with.
    fn record(&self) {
        let labels = self.meter.labels();
        let (to_vendor, from_vendor) = match labels.request_direction() {
            Direction::ToVendor => (&self.request, &self.answer),
            Direction::FromVendor => (&self.answer, &self.request),
        };
        tracing::debug!(
            event.name = "request.ended",
            sluis.outcome = self.outcome.name(),
            sluis.school = labels.school.as_ref().map(display),
            sluis.vendor = labels.vendor.as_ref().map(display),
            sluis.flow = labels.flow.as_ref().map(display),
            http.request.method = self.method(),
            http.route = &*labels.route,
            http.response.status_code = self.status,
            http.request.body.size = self.request.size(),
            http.response.body.size = self.answer.format.map(|_| self.answer.bytes_out),
            sluis.duration.total = self.times.total.as_secs_f64(),
            sluis.duration.upstream = self.upstream.map(|call| call.waited.as_secs_f64()),
            sluis.duration.transform = self.times.transform.as_secs_f64(),
            sluis.to_vendor.kept = to_vendor.fields_of(&KEPT),
            sluis.to_vendor.pseudonymised = to_vendor.fields_of(&PSEUDONYMISED),
            sluis.to_vendor.reduced = to_vendor.fields_of(&REDUCED),
            sluis.to_vendor.dropped = to_vendor.fields_of(&DROPPED),
            sluis.from_vendor.brought_home = from_vendor.fields_of(&BROUGHT_HOME),
            sluis.from_vendor.kept = from_vendor.fields_of(&KEPT),
            sluis.from_vendor.dropped = from_vendor.fields_of(&DROPPED),
            "request ended"
        );
    }

    /// The line of a request that something was wrong with; repeats are left out and counted.
    fn complain(&self, voice: &Voice, code: &'static str, refusal: Option<Refusal>) {
        let labels = self.meter.labels();
        let subject = (self.meter.vendor_label(), code);
        voice.lines.say_seldom(LogLevel::Warn, subject, |left_out| {
            tracing::warn!(
                event.name = "request.ended",
                sluis.outcome = self.outcome.name(),
                sluis.school = labels.school.as_ref().map(display),
                sluis.vendor = labels.vendor.as_ref().map(display),
                sluis.flow = labels.flow.as_ref().map(display),
                http.request.method = self.method(),
                http.route = &*labels.route,
                http.response.status_code = self.status,
                error.type = code,
                sluis.reference = self.reference.map(display),
                sluis.at_byte = refusal.and_then(Refusal::at),
                sluis.link.cause = refusal.and_then(Refusal::of_link).map(LinkFault::name),
                sluis.upstream.status_code = self.upstream.and_then(|call| call.status),
                sluis.upstream.cause =
                    refusal.and_then(Refusal::of_upstream).map(UpstreamFault::name),
                sluis.duration.total = self.times.total.as_secs_f64(),
                sluis.left_out = left_out,
                "{}",
                refusal.map_or("a panic ended the request", Refusal::words_for_us)
            );
        });
    }
}

/// A field outside the policy came in a shape where none had been seen before.
#[derive(Clone, Copy, Debug)]
struct UnlistedFieldSeen<'m> {
    meter: &'m RouteMeter,
    direction: Direction,
    /// The shape. Never the name of the field: it can be a pupil's.
    shape: &'m str,
}

impl Event for UnlistedFieldSeen<'_> {
    fn tell(self, voice: &Voice) {
        self.meter.count_unlisted();
        let labels = self.meter.labels();
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "unlisted_field.seen",
                sluis.school = labels.school.as_ref().map(display),
                sluis.vendor = labels.vendor.as_ref().map(display),
                sluis.flow = labels.flow.as_ref().map(display),
                http.route = &*labels.route,
                sluis.direction = self.direction.name(),
                sluis.shape = self.shape,
                "a field outside the policy came, and was dropped"
            );
        });
    }
}
