//! What happens to the process and its configuration.

use std::net::SocketAddr;

use jiff::civil::Date;
use prometheus::IntGauge;

use super::connections::Closing;
use super::{Event, Voice};
use crate::clock::Calendar;
use crate::config::{Config, LogLevel, Mode, Vendor};
use crate::refusal::Bug;

/// The process has begun; nothing listens yet.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Threads of the data plane.
    pub threads: usize,
}

impl Event for Started {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "process.started",
                service.version = env!("CARGO_PKG_VERSION"),
                sluis.threads = self.threads,
                "sluis starts"
            );
        });
    }
}

/// A configuration decides from now on: at start, and after each reload.
#[derive(Clone, Copy, Debug)]
pub struct ConfigurationDeployed<'c> {
    /// It.
    pub config: &'c Config,
    /// When, in Unix time.
    pub unix_s: u64,
}

impl Event for ConfigurationDeployed<'_> {
    fn tell(self, voice: &Voice) {
        let metrics = &voice.metrics;
        let today = Calendar::default().day(self.unix_s);
        metrics.policies.clear();
        metrics.keys.clear();
        metrics.lists.clear();
        metrics.upstream_certificates.clear();
        for vendor in &self.config.vendors {
            let (school, id) = (vendor.school.as_str(), vendor.id.as_str());
            let fingerprint = vendor.fingerprint.to_string();
            let one = |gauge: IntGauge| gauge.set(1);
            metrics.policies.at([school, id, &vendor.hash.0]).map(one);
            let in_use = [school, id, &fingerprint, "in-use"];
            metrics.keys.at(in_use).map(one);
            let prepared = vendor.prepared_key().map(|key| key.to_string());
            if let Some(prepared) = &prepared {
                metrics.keys.at([school, id, prepared, "prepared"]).map(one);
            }
            voice.lines.say(LogLevel::Info, || {
                let keys = (&*fingerprint, prepared.as_deref());
                vendor_line(vendor, keys, standing(vendor, today));
            });
        }
        metrics.reload_successful.set(1);
        metrics
            .reload_success_at
            .set(i64::try_from(self.unix_s).unwrap_or(i64::MAX));
    }
}

/// What a vendor's callers can expect on that day.
fn standing(vendor: &Vendor, today: Date) -> &'static str {
    if !(vendor.valid.from..=vendor.valid.until).contains(&today) {
        return "vendor is not served: its agreement is not in force today (403)";
    }
    match vendor.mode {
        Mode::Enforce => "vendor is served",
        Mode::Observe => "vendor is not served: it is being observed (503)",
    }
}

fn vendor_line(vendor: &Vendor, (in_use, prepared): (&str, Option<&str>), standing: &str) {
    tracing::info!(
        event.name = "vendor.deployed",
        sluis.school = vendor.school.as_str(),
        sluis.vendor = vendor.id.as_str(),
        sluis.mode = vendor.mode.name(),
        sluis.valid_from = %vendor.valid.from,
        sluis.valid_until = %vendor.valid.until,
        sluis.policy.hash = vendor.hash.0,
        sluis.key.fingerprint = in_use,
        sluis.key.prepared = prepared,
        "{standing}"
    );
}

/// Callers are answered from now on.
#[derive(Clone, Copy, Debug)]
pub struct Ready<'c> {
    /// The public listener.
    pub public: SocketAddr,
    /// The listener for operators.
    pub admin: SocketAddr,
    /// What is served.
    pub config: &'c Config,
}

impl Event for Ready<'_> {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "process.ready",
                server.address = %self.public.ip(),
                server.port = self.public.port(),
                sluis.admin = %self.admin,
                sluis.tls = self.config.listen.tls.is_some(),
                sluis.vendors = self.config.vendors.len(),
                sluis.policy.hash = self.config.hash.0,
                "sluis is ready"
            );
        });
    }
}

/// A signal asked the process to stop: it says so, and serves until others have noticed.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    /// How long it goes on, in seconds.
    pub delay_s: u64,
}

impl Event for Leaving {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "process.leaving",
                sluis.drain.delay = self.delay_s,
                "not ready any more; connections are still taken"
            );
        });
    }
}

/// A signal asked the process to stop: nothing new is accepted, what is under way may finish.
#[derive(Clone, Copy, Debug)]
pub struct Draining {
    /// How long it may take, in seconds.
    pub most_s: u64,
}

impl Event for Draining {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "process.draining",
                sluis.drain.seconds = self.most_s,
                "no new connections; requests under way may finish"
            );
        });
    }
}

/// How the process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// Every request had ended.
    Drained,
    /// The time for it was over.
    TimeOver,
    /// A second signal came.
    Told,
}

/// The process ends.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// How it came to that.
    pub how: Stopping,
}

impl Event for Stopped {
    fn tell(self, voice: &Voice) {
        let how = match self.how {
            Stopping::Drained => "drained",
            Stopping::TimeOver => "time_over",
            Stopping::Told => "second_signal",
        };
        let closed = voice.metrics.connections_closed.at([Closing::Drain.name()]);
        let cut = closed.map_or(0, |counter| counter.get());
        if cut > 0 {
            // The metrics end with the process, most likely before anybody has seen this.
            voice.lines.say(LogLevel::Warn, || {
                tracing::warn!(
                    event.name = "process.drain_cut",
                    sluis.connections = cut,
                    "the time to finish was over: what was under way was broken off"
                );
            });
        }
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "process.stopped",
                sluis.how = how,
                "sluis stops"
            );
        });
    }
}

/// A new configuration was read and decides from now on; [`ConfigurationDeployed`] comes with it.
#[derive(Clone, Copy, Debug)]
pub struct ReloadSucceeded<'c> {
    /// It.
    pub config: &'c Config,
}

impl Event for ReloadSucceeded<'_> {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Info, || {
            tracing::info!(
                event.name = "config.reloaded",
                sluis.policy.hash = self.config.hash.0,
                sluis.vendors = self.config.vendors.len(),
                "the new configuration decides"
            );
        });
    }
}

/// A new configuration was refused; the old one stays.
#[derive(Clone, Copy, Debug)]
pub struct ReloadFailed<'c> {
    /// The first problem: `file:line:column: error[E041]: words; help: …`. About configuration,
    /// never about a message.
    pub problem: &'c str,
    /// How many problems there are, this one among them.
    pub problems: usize,
}

impl Event for ReloadFailed<'_> {
    fn tell(self, voice: &Voice) {
        voice.metrics.reload_successful.set(0);
        voice.lines.say(LogLevel::Error, || {
            tracing::error!(
                event.name = "config.reload_failed",
                sluis.problem = self.problem,
                sluis.problems = self.problems,
                "the new configuration is broken, the old one stays: `sluis check` shows all of it"
            );
        });
    }
}

/// Something in a configuration should be looked at; it is in force all the same.
#[derive(Clone, Copy, Debug)]
pub struct FindingMade<'c> {
    /// `file:line:column: finding[F07]: words; help: …`. About configuration, never about a
    /// message.
    pub finding: &'c str,
}

impl Event for FindingMade<'_> {
    fn tell(self, voice: &Voice) {
        voice.lines.say(LogLevel::Warn, || {
            tracing::warn!(
                event.name = "config.finding",
                sluis.problem = self.finding,
                "something in the configuration should be looked at"
            );
        });
    }
}

/// The listener has a certificate.
#[derive(Clone, Copy, Debug)]
pub struct TlsCertificateLoaded {
    /// When it expires, in Unix time.
    pub expires_unix_s: u64,
}

impl Event for TlsCertificateLoaded {
    fn tell(self, voice: &Voice) {
        let seconds = i64::try_from(self.expires_unix_s).unwrap_or(i64::MAX);
        voice.metrics.certificate_expiry.set(seconds);
    }
}

/// A file of a certificate, a key or roots is another one.
#[derive(Clone, Copy, Debug)]
pub struct TlsFilesChanged<'c> {
    /// Why it cannot be used, if it cannot: what was in use stays in use. About files, never about
    /// what is in them.
    pub problem: Option<&'c str>,
    /// Whether all files can be used as they are now.
    pub usable: bool,
}

impl Event for TlsFilesChanged<'_> {
    fn tell(self, voice: &Voice) {
        voice.metrics.tls_files_usable.set(i64::from(self.usable));
        if let Some(problem) = self.problem {
            voice.lines.say(LogLevel::Error, || {
                tracing::error!(
                    event.name = "tls.files_unusable",
                    sluis.problem = problem,
                    "certificates, keys or roots have changed and cannot be used: \
                     those in use stay"
                );
            });
        }
    }
}

/// A vendor's upstreams are shown a certificate of ours.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamCertificateSeen<'c> {
    /// Whose upstreams.
    pub vendor: &'c Vendor,
    /// When it expires, in Unix time; the first of them, if there are several.
    pub expires_unix_s: u64,
}

impl Event for UpstreamCertificateSeen<'_> {
    fn tell(self, voice: &Voice) {
        let place = [self.vendor.school.as_str(), self.vendor.id.as_str()];
        let seconds = i64::try_from(self.expires_unix_s).unwrap_or(i64::MAX);
        let gauge = voice.metrics.upstream_certificates.at(place);
        gauge.map(|gauge| gauge.set(seconds)).unwrap_or_default();
    }
}

/// Sluis met a state that it was built never to reach. Told with the request that met it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BugMet {
    /// Which part.
    pub(super) bug: Bug,
}

impl Event for BugMet {
    fn tell(self, voice: &Voice) {
        voice.metrics.bugs.inc();
        let part = match self.bug {
            Bug::Head => "head",
            Bug::Policy => "policy",
            Bug::Rewriter => "rewriter",
        };
        voice
            .lines
            .say_seldom(LogLevel::Error, ("bug", part), |left_out| {
                tracing::error!(
                    event.name = "bug.met",
                    error.type = "gateway_bug",
                    sluis.part = part,
                    sluis.left_out = left_out,
                    "a defect of sluis: please report it"
                );
            });
    }
}

/// Code panicked. The words of a panic can quote a message, so only its place is told.
#[derive(Clone, Copy, Debug)]
pub struct PanicMet<'p> {
    /// The source file.
    pub file: &'p str,
    /// The line in it.
    pub line: u32,
}

impl Event for PanicMet<'_> {
    fn tell(self, voice: &Voice) {
        voice.metrics.panics.inc();
        voice
            .lines
            .say_seldom(LogLevel::Error, ("", "panic"), |left_out| {
                tracing::error!(
                    event.name = "panic.met",
                    error.type = "panic",
                    sluis.left_out = left_out,
                    code.file.path = self.file,
                    code.line.number = self.line,
                    "a panic ended one exchange: please report it"
                );
            });
    }
}
