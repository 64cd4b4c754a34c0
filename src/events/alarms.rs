//! What is said aloud of an exchange, however it ended: what a vendor should never send, and what
//! an answer should never hold.

use super::Voice;
use super::meter::RouteMeter;
use crate::config::LogLevel;
use crate::minimise::{Action, Counts};

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
        let subject = (meter.vendor_label(), name);
        voice.lines.say_seldom(LogLevel::Warn, subject, |left_out| {
            tracing::warn!(
                event.name = name,
                sluis.school = labels.school.as_ref().map(display),
                sluis.vendor = labels.vendor.as_ref().map(display),
                sluis.flow = labels.flow.as_ref().map(display),
                http.route = &*labels.route,
                sluis.left_out = left_out,
                "{words}"
            );
        });
    }
}
