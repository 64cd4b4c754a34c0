//! Log lines: one JSON object or one line of text an event, written whole.
//!
//! The keys are those of OpenTelemetry where it has one (`http.request.method`, `http.route`,
//! `error.type`), ours begin with `sluis.`; `docs/logs.md` lists them all.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry};

use super::metrics::Metrics;
use crate::clock::Clock;
use crate::config::{Log, LogFormat, LogLevel};
use crate::limits;

/// Where log lines go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// A buffer that can be read while lines are written: tests and the demo search it for leaks.
    Memory(Arc<Mutex<Vec<u8>>>),
    /// The standard error of the process.
    Stderr,
}

impl Sink {
    /// A buffer of its own.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// What has been written so far; nothing for [`Sink::Stderr`].
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Memory(bytes) => bytes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Stderr => Vec::new(),
        }
    }
}

impl io::Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => {
                let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(line);
                Ok(line.len())
            }
            Self::Stderr => io::stderr().lock().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Writes the lines that are severe enough.
pub(super) struct LogLines {
    dispatch: Dispatch,
    level: LogLevel,
    metrics: Arc<Metrics>,
    repeats: Repeats,
}

impl LogLines {
    pub(super) fn new(log: Log, sink: Sink, clock: Clock, metrics: &Arc<Metrics>) -> Self {
        let most = match log.level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        let lines = tracing_subscriber::fmt::layer::<Registry>()
            .with_writer(sink)
            .with_ansi(false)
            .with_target(false)
            .log_internal_errors(false);
        let lines = match log.format {
            LogFormat::Json => lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .boxed(),
            LogFormat::Text => lines.boxed(),
        };
        let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), most);
        Self {
            dispatch: Dispatch::new(tracing_subscriber::registry().with(lines.with_filter(ours))),
            level: log.level,
            metrics: Arc::clone(metrics),
            repeats: Repeats {
                clock,
                windows: Mutex::default(),
            },
        }
    }

    /// Writes the line that `line` makes, if `level` is severe enough; else it costs a comparison.
    #[inline]
    pub(super) fn say(&self, level: LogLevel, line: impl FnOnce()) {
        if level <= self.level {
            self.metrics.log_messages(level).inc();
            dispatcher::with_default(&self.dispatch, line);
        }
    }

    /// As [`Self::say`], for what anyone can cause as often as they like: of lines with the same
    /// subject, [`limits::LOG_REPEATS_MAX`] are written per [`limits::LOG_WINDOW`].
    ///
    /// `line` is given how many were left out before it.
    pub(super) fn say_seldom(
        &self,
        level: LogLevel,
        subject: (&str, &'static str),
        line: impl FnOnce(Option<u64>),
    ) {
        if level <= self.level
            && let Some(left_out) = self.repeats.admit(subject)
        {
            self.say(level, || line((left_out > 0).then_some(left_out)));
        }
    }
}

/// Counts lines with the same subject. Subjects are pairs of a configured name and a code.
struct Repeats {
    clock: Clock,
    windows: Mutex<BTreeMap<(String, &'static str), Window>>,
}

struct Window {
    start: Instant,
    written: u64,
    left_out: u64,
}

impl Repeats {
    /// How many lines were left out before this one; `None` if this one is to be left out too.
    fn admit(&self, (name, code): (&str, &'static str)) -> Option<u64> {
        let now = self.clock.now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Window {
            start: now,
            written: 0,
            left_out: 0,
        };
        let window = windows.entry((name.to_owned(), code)).or_insert_with(fresh);
        let age: Duration = now.saturating_duration_since(window.start);
        if age >= limits::LOG_WINDOW {
            *window = Window {
                left_out: window.left_out,
                ..fresh()
            };
        }
        if window.written < limits::LOG_REPEATS_MAX {
            window.written = window.written.saturating_add(1);
            return Some(std::mem::take(&mut window.left_out));
        }
        window.left_out = window.left_out.saturating_add(1);
        None
    }
}
