//! What happens to the register.

use std::time::Duration;

use super::{Event, Voice};
use crate::config::LogLevel;
use crate::names::SchoolId;

/// Identifiers were written down, in one commit.
#[derive(Clone, Copy, Debug)]
pub struct RegisterCommitted {
    /// What keeps them: `redb` or `postgres`.
    pub store: &'static str,
    /// From the first row to the answer of the disk or server.
    pub took: Duration,
}

impl Event for RegisterCommitted {
    fn tell(self, voice: &Voice) {
        let histogram = voice.metrics.register_commits.at([self.store]);
        { histogram.iter() }.for_each(|it| it.observe(self.took.as_secs_f64()));
    }
}

/// A pseudonym that was not known, or perhaps another's, made the register look for more.
#[derive(Clone, Copy, Debug)]
pub struct RegisterCaughtUp {
    /// What keeps them: `redb` or `postgres`.
    pub store: &'static str,
}

impl Event for RegisterCaughtUp {
    fn tell(self, voice: &Voice) {
        let counter = voice.metrics.register_catch_ups.at([self.store]);
        { counter.iter() }.for_each(|it| it.inc());
    }
}

/// The register could not be read or written.
#[derive(Clone, Copy, Debug)]
pub struct RegisterFailed {
    /// The code of what was wrong.
    pub code: &'static str,
}

impl Event for RegisterFailed {
    fn tell(self, voice: &Voice) {
        let counter = voice.metrics.register_failures.at([self.code]);
        { counter.iter() }.for_each(|it| it.inc());
        let subject = ("register", self.code);
        voice
            .lines
            .say_seldom(LogLevel::Error, subject, |left_out| {
                tracing::error!(
                    event.name = "register.failed",
                    error.type = self.code,
                    sluis.left_out = left_out,
                    "the register cannot be used: what it does not know is refused"
                );
            });
    }
}

/// The journal beside the register's file could not be written, and the database was instead.
#[derive(Clone, Copy, Debug)]
pub struct RegisterJournalFailed {
    /// How often.
    pub failures: u64,
}

impl Event for RegisterJournalFailed {
    fn tell(self, voice: &Voice) {
        voice
            .metrics
            .register_journal_failures
            .inc_by(self.failures);
        let subject = ("register", "journal");
        voice.lines.say_seldom(LogLevel::Warn, subject, |left_out| {
            tracing::warn!(
                event.name = "register.journal_failed",
                sluis.left_out = left_out,
                "the journal of the register cannot be written: each commit goes into its file"
            );
        });
    }
}

/// The register can be used again.
#[derive(Clone, Copy, Debug)]
pub struct RegisterRecovered;

impl Event for RegisterRecovered {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "register.recovered",
                "the register can be used again"
            );
        });
    }
}

/// How the register does, as somebody asks.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSeen<'s> {
    /// What keeps it: `redb` or `postgres`.
    pub store: &'static str,
    /// How many identifiers of each school it holds.
    pub schools: &'s [(SchoolId, u64)],
    /// The code of what is wrong with it.
    pub trouble: Option<&'static str>,
    /// When all there was of it was read last, in Unix time.
    pub read_unix_s: u64,
}

impl Event for RegisterSeen<'_> {
    fn tell(self, voice: &Voice) {
        let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        for (school, ids) in self.schools {
            let gauge = voice.metrics.register_ids.at([school.as_str()]);
            { gauge.iter() }.for_each(|it| it.set(number(*ids)));
        }
        let usable = i64::from(self.trouble.is_none());
        let gauge = voice.metrics.register_usable.at([self.store]);
        { gauge.iter() }.for_each(|it| it.set(usable));
        let gauge = voice.metrics.register_read_at.at([self.store]);
        { gauge.iter() }.for_each(|it| it.set(number(self.read_unix_s)));
    }
}
