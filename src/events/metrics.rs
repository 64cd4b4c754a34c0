//! Every metric: its name, help and labels. `docs/metrics.md` lists the same; a test compares.
//!
//! A label is an enum's word or a configured name. Should a configuration have more of them than
//! [`limits::METRIC_SERIES_MAX`] allows, the rest is counted under `other`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::help::help;
use super::process::Process;
use crate::clock::Clock;
use crate::config::LogLevel;
use crate::limits;

/// What stands for a name that is not known, or not counted apart.
pub(super) const OTHER: &str = "other";

/// Seconds of whole requests: OpenTelemetry's advice for `http.server.request.duration`.
const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Seconds of our own work, which is to stay far below the upstream's.
const TRANSFORM_SECONDS: &[f64] = &[
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0,
];
/// Seconds of one commit of the register: a disk that syncs quickly, up to a server that is lost.
const COMMIT_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Bytes of a body.
const BODY_BYTES: &[f64] = &[
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// All metrics of one process, in a registry of their own.
pub(super) struct Metrics {
    registry: Registry,
    pub(super) server_seconds: Family<HistogramVec, 4>,
    pub(super) client_seconds: Family<HistogramVec, 2>,
    pub(super) transform_seconds: Family<HistogramVec, 2>,
    pub(super) request_body_bytes: Family<HistogramVec, 1>,
    pub(super) body_bytes: Family<IntCounterVec, 3>,
    pub(super) in_flight: Family<IntGaugeVec, 1>,
    pub(super) fields: Family<IntCounterVec, 3>,
    pub(super) unlisted: Family<IntCounterVec, 1>,
    pub(super) refusals: Family<IntCounterVec, 2>,
    pub(super) aborts: Family<IntCounterVec, 2>,
    pub(super) cancellations: Family<IntCounterVec, 1>,
    pub(super) token_fetches: Family<IntCounterVec, 2>,
    pub(super) circuits: Family<IntGaugeVec, 3>,
    pub(super) upstream_connections: Family<IntCounterVec, 2>,
    pub(super) upstream_retries: Family<IntCounterVec, 1>,
    pub(super) connections_refused: Family<IntCounterVec, 1>,
    pub(super) connections_failed: Family<IntCounterVec, 1>,
    pub(super) connections_closed: Family<IntCounterVec, 1>,
    pub(super) streams_refused: Family<IntCounterVec, 1>,
    pub(super) policies: Family<IntGaugeVec, 3>,
    pub(super) keys: Family<IntGaugeVec, 4>,
    pub(super) lists: Family<IntGaugeVec, 3>,
    pub(super) register_ids: Family<IntGaugeVec, 1>,
    pub(super) register_usable: Family<IntGaugeVec, 1>,
    pub(super) register_read_at: Family<IntGaugeVec, 1>,
    pub(super) register_commits: Family<HistogramVec, 1>,
    pub(super) register_catch_ups: Family<IntCounterVec, 1>,
    pub(super) register_failures: Family<IntCounterVec, 1>,
    pub(super) register_journal_failures: IntCounter,
    log_messages: [IntCounter; 4],
    pub(super) body_bytes_in_flight: IntGauge,
    pub(super) connections_delayed: IntCounter,
    pub(super) connections_open: IntGauge,
    pub(super) reload_successful: IntGauge,
    pub(super) reload_success_at: IntGauge,
    pub(super) certificate_expiry: IntGauge,
    pub(super) tls_files_usable: IntGauge,
    pub(super) upstream_certificates: Family<IntGaugeVec, 2>,
    pub(super) panics: IntCounter,
    pub(super) bugs: IntCounter,
}

impl Metrics {
    pub(super) fn new(clock: &Clock) -> Result<Self, BadMetric> {
        let r = Maker::new()?;
        let client = "http_client_request_duration_seconds";
        let transform = "transform_duration_seconds";
        let commits = "register_commit_duration_seconds";
        let made = Self {
            server_seconds: r.histograms(
                "http_server_request_duration_seconds",
                REQUEST_SECONDS,
                ["vendor", "route", "method", "code"],
            )?,
            client_seconds: r.histograms(client, REQUEST_SECONDS, ["vendor", "code"])?,
            transform_seconds: r.histograms(transform, TRANSFORM_SECONDS, ["vendor", "format"])?,
            request_body_bytes: r.histograms("request_body_bytes", BODY_BYTES, ["vendor"])?,
            body_bytes: r.counters("body_bytes_total", ["vendor", "direction", "stage"])?,
            in_flight: r.gauges("requests_in_flight", ["vendor"])?,
            fields: r.counters("fields_total", ["vendor", "direction", "action"])?,
            unlisted: r.counters("unlisted_field_seen_total", ["vendor"])?,
            refusals: r.counters("refusals_total", ["vendor", "reason"])?,
            aborts: r.counters("aborts_total", ["vendor", "reason"])?,
            cancellations: r.counters("cancellations_total", ["vendor"])?,
            token_fetches: r.counters("upstream_token_fetches_total", ["vendor", "outcome"])?,
            circuits: r.gauges("upstream_resting", ["school", "vendor", "flow"])?,
            upstream_connections: r
                .counters("upstream_connections_total", ["vendor", "outcome"])?,
            upstream_retries: r.counters("upstream_retries_total", ["vendor"])?,
            connections_refused: r.counters("connections_refused_total", ["reason"])?,
            connections_failed: r.counters("connections_failed_total", ["fault"])?,
            connections_closed: r.counters("connections_closed_total", ["reason"])?,
            streams_refused: r.counters("streams_refused_total", ["reason"])?,
            policies: r.gauges("policy_info", ["school", "vendor", "hash"])?,
            keys: r.gauges("key_info", ["school", "vendor", "fingerprint", "state"])?,
            lists: r.gauges("objection_list_usable", ["school", "vendor", "list"])?,
            register_ids: r.gauges("register_ids", ["school"])?,
            register_usable: r.gauges("register_usable", ["store"])?,
            register_read_at: r.gauges("register_last_read_timestamp_seconds", ["store"])?,
            register_commits: r.histograms(commits, COMMIT_SECONDS, ["store"])?,
            register_catch_ups: r.counters("register_catch_ups_total", ["store"])?,
            register_failures: r.counters("register_failures_total", ["reason"])?,
            register_journal_failures: r.counter("register_journal_failures_total")?,
            log_messages: r.log_messages()?,
            body_bytes_in_flight: r.gauge("body_bytes_in_flight")?,
            connections_delayed: r.counter("connections_delayed_total")?,
            connections_open: r.gauge("connections_open")?,
            reload_successful: r.gauge("config_last_reload_successful")?,
            reload_success_at: r.gauge("config_last_reload_success_timestamp_seconds")?,
            certificate_expiry: r.gauge("tls_certificate_expiry_timestamp_seconds")?,
            tls_files_usable: r.gauge("tls_files_usable")?,
            upstream_certificates: r.gauges(
                "upstream_certificate_expiry_timestamp_seconds",
                ["school", "vendor"],
            )?,
            panics: r.counter("panics_total")?,
            bugs: r.counter("bugs_total")?,
            registry: r.registry.clone(),
        };
        r.build_info()?;
        r.register(Process::new(clock)?)?;
        Ok(made)
    }

    pub(super) const fn log_messages(&self, level: LogLevel) -> &IntCounter {
        let [error, warn, info, debug] = &self.log_messages;
        match level {
            LogLevel::Error => error,
            LogLevel::Warn => warn,
            LogLevel::Info => info,
            LogLevel::Debug => debug,
        }
    }

    pub(super) fn page(&self) -> String {
        // Encoding into a String fails for no metric that could be registered.
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

/// Metrics of one name, told apart by `N` labels.
pub(super) struct Family<V, const N: usize> {
    vec: V,
    seen: Mutex<BTreeSet<[String; N]>>,
    budget: Arc<Budget>,
    /// Lines that one member has on the metrics page.
    lines: u64,
}

impl<B: MetricVecBuilder, const N: usize> Family<MetricVec<B>, N> {
    /// The member with these labels, or the one for [`OTHER`] where there are too many.
    ///
    /// Looks up under a lock; keep what it gives where it is needed often.
    pub(super) fn at(&self, labels: [&str; N]) -> Option<B::M> {
        let labels = if self.may_have(labels) {
            labels
        } else {
            [OTHER; N]
        };
        // The only error there is, a wrong number of labels, is excluded by `N`.
        self.vec.get_metric_with_label_values(&labels).ok()
    }

    /// Forgets all members.
    pub(super) fn clear(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = self
            .lines
            .saturating_mul(u64::try_from(seen.len()).unwrap_or(u64::MAX));
        self.budget.give_back(lines);
        seen.clear();
        self.vec.reset();
    }

    fn may_have(&self, labels: [&str; N]) -> bool {
        let labels = labels.map(str::to_owned);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&labels) {
            return true;
        }
        let free = self.budget.take(self.lines);
        if free {
            seen.insert(labels);
        }
        free
    }
}

/// How many lines the metrics page may still grow by.
struct Budget {
    left: AtomicU64,
    limited: IntCounter,
}

impl Budget {
    fn take(&self, lines: u64) -> bool {
        let less = |left: u64| left.checked_sub(lines);
        let free = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok();
        if !free {
            self.limited.inc();
        }
        free
    }

    fn give_back(&self, lines: u64) {
        self.left.fetch_add(lines, Ordering::Relaxed);
    }
}

/// Makes metrics and puts them into one registry, each under the prefix `sluis_`.
struct Maker {
    registry: Registry,
    budget: Arc<Budget>,
}

impl Maker {
    fn new() -> Result<Self, BadMetric> {
        let registry = Registry::new_custom(Some("sluis".to_owned()), None)?;
        let name = "metric_series_limited_total";
        let limited = IntCounter::new(name, help(name))?;
        registry.register(Box::new(limited.clone()))?;
        let left = AtomicU64::new(limits::METRIC_SERIES_MAX);
        let budget = Arc::new(Budget { left, limited });
        Ok(Self { registry, budget })
    }

    fn register<C: Collector + 'static>(&self, metric: C) -> Result<(), BadMetric> {
        Ok(self.registry.register(Box::new(metric))?)
    }

    fn family<V: Collector + Clone + 'static, const N: usize>(
        &self,
        vec: V,
        lines: usize,
    ) -> Result<Family<V, N>, BadMetric> {
        self.register(vec.clone())?;
        Ok(Family {
            vec,
            seen: Mutex::default(),
            budget: Arc::clone(&self.budget),
            lines: u64::try_from(lines).unwrap_or(u64::MAX),
        })
    }

    fn histograms<const N: usize>(
        &self,
        name: &str,
        buckets: &[f64],
        labels: [&str; N],
    ) -> Result<Family<HistogramVec, N>, BadMetric> {
        let shape = HistogramOpts::new(name, help(name)).buckets(buckets.to_vec());
        // Beside the buckets: `+Inf`, `_sum` and `_count`.
        self.family(
            HistogramVec::new(shape, &labels)?,
            buckets.len().saturating_add(3),
        )
    }

    fn counters<const N: usize>(
        &self,
        name: &str,
        labels: [&str; N],
    ) -> Result<Family<IntCounterVec, N>, BadMetric> {
        self.family(IntCounterVec::new(options(name), &labels)?, 1)
    }

    fn gauges<const N: usize>(
        &self,
        name: &str,
        labels: [&str; N],
    ) -> Result<Family<IntGaugeVec, N>, BadMetric> {
        self.family(IntGaugeVec::new(options(name), &labels)?, 1)
    }

    fn counter(&self, name: &str) -> Result<IntCounter, BadMetric> {
        let counter = IntCounter::new(name, help(name))?;
        self.register(counter.clone())?;
        Ok(counter)
    }

    fn gauge(&self, name: &str) -> Result<IntGauge, BadMetric> {
        let gauge = IntGauge::new(name, help(name))?;
        self.register(gauge.clone())?;
        Ok(gauge)
    }

    fn log_messages(&self) -> Result<[IntCounter; 4], BadMetric> {
        let shape = options("log_messages_total");
        let lines = IntCounterVec::new(shape, &["level"])?;
        self.register(lines.clone())?;
        let at = |level| lines.get_metric_with_label_values(&[level]);
        Ok([at("error")?, at("warn")?, at("info")?, at("debug")?])
    }

    fn build_info(&self) -> Result<(), BadMetric> {
        let shape = options("build_info").const_label("version", env!("CARGO_PKG_VERSION"));
        let info = IntGauge::with_opts(shape)?;
        info.set(1);
        self.register(info)
    }
}

fn options(name: &str) -> Opts {
    Opts::new(name, help(name))
}

/// A metric of our own is ill-formed: a defect of this room, seen at start.
#[derive(Debug)]
pub struct BadMetric(prometheus::Error);

impl fmt::Display for BadMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a metric is ill-formed")
    }
}

impl std::error::Error for BadMetric {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<prometheus::Error> for BadMetric {
    fn from(error: prometheus::Error) -> Self {
        Self(error)
    }
}
