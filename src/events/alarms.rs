//! What is said aloud of an exchange, however it ended: what a vendor should never send, and what
//! an answer should never hold.

use super::Voice;
use super::meter::RouteMeter;
use super::metrics::OTHER;
use crate::config::LogLevel;
use crate::minimise::{Action, Counts, EchoAt};
use crate::policy::{Shape, ShapeBody};

/// The action, the event, the words.
const ALARMS: [(Action, &str, &str); 2] = [
    (
        Action::DroppedEcho,
        "vendor.echo",
        "an answer would have sent back what the vendor's own request had brought home",
    ),
    (
        Action::PseudonymForeign,
        "vendor.foreign_pseudonym",
        "a vendor used a pseudonym that only another vendor of the school can have",
    ),
];

/// Says so, if any of it was done to a message of the exchange.
pub(super) fn sound(voice: &Voice, meter: &RouteMeter, messages: [&Counts; 3]) {
    for (action, name, words) in ALARMS {
        if messages.iter().all(|counts| counts.of(action) == 0) {
            continue;
        }
        let labels = meter.labels();
        let echo = { messages.iter() }.find_map(|counts| counts.echo());
        let field = echo.filter(|_| action == Action::DroppedEcho);
        let field = field.map(|at| meter.path(at));
        let subject = (meter.vendor_label(), name);
        voice.lines.say_seldom(LogLevel::Warn, subject, |left_out| {
            tracing::warn!(
                event.name = name,
                sluis.school = labels.school.as_ref().map(display),
                sluis.vendor = labels.vendor.as_ref().map(display),
                sluis.flow = labels.flow.as_ref().map(display),
                http.route = &*labels.route,
                sluis.field = field,
                sluis.left_out = left_out,
                "{words}"
            );
        });
    }
}

/// The name of a place in a policy with these shapes: a header, or a field of a shape.
pub(super) fn path(shapes: &[Shape], at: EchoAt) -> String {
    let (shape, line) = match at {
        EchoAt::Field(shape, line) => (shape, line),
        EchoAt::Header(name) => return name.to_owned(),
    };
    let Some(shape) = shapes.get(shape.place()) else {
        return OTHER.to_owned();
    };
    let line = match (&shape.body, line) {
        (ShapeBody::Fields(fields), Some(line)) => fields.line(line),
        (ShapeBody::Fields(_) | ShapeBody::Switch(_), _) => None,
    };
    format!("{}.{}", shape.name, line.map_or("_any", |line| &line.key))
}
