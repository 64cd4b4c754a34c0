//! What happens between the gateway and the token servers of upstreams.

use super::meter::RouteMeter;
use super::{Event, Voice};
use crate::config::LogLevel;

/// A token was asked for at an upstream's token server.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamTokenAsked<'m> {
    /// The meter of the request that needed it.
    pub meter: &'m RouteMeter,
    /// What came of it.
    pub outcome: TokenFetch,
}

/// What came of asking for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFetch {
    /// There is one.
    Granted,
    /// It took longer than `upstream-token`.
    Late,
    /// The server answered with an error: our client, secret or scope is not right.
    Refused,
    /// The server could not be reached.
    Unreachable,
    /// The answer was no answer of a token server.
    Unusable,
}

impl TokenFetch {
    const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Unusable => "unusable",
        }
    }
}

impl Event for UpstreamTokenAsked<'_> {
    fn tell(self, voice: &Voice) {
        let outcome = self.outcome.name();
        self.meter.count_token_fetch(outcome);
        let labels = self.meter.labels();
        if self.outcome == TokenFetch::Granted {
            voice.lines.say(LogLevel::Debug, || {
                tracing::debug!(
                    event.name = "upstream_token.asked",
                    sluis.school = labels.school.as_ref().map(display),
                    sluis.vendor = labels.vendor.as_ref().map(display),
                    sluis.flow = labels.flow.as_ref().map(display),
                    "a token for an upstream was fetched"
                );
            });
            return;
        }
        let subject = (self.meter.vendor_label(), outcome);
        voice.lines.say_seldom(LogLevel::Warn, subject, |left_out| {
            tracing::warn!(
                event.name = "upstream_token.asked",
                error.type = outcome,
                sluis.school = labels.school.as_ref().map(display),
                sluis.vendor = labels.vendor.as_ref().map(display),
                sluis.flow = labels.flow.as_ref().map(display),
                sluis.left_out = left_out,
                "no token came for an upstream"
            );
        });
    }
}
