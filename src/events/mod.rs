//! The only voice: what happened goes in as a typed event, one log line and its metrics come out.
//!
//! An event holds `Copy` fields, configured names and positions; it has no room for anything that
//! was sent. `tracing` and `prometheus` are used in this room alone, and neither is global: a
//! library that traces on its own (HTTP/2 does, heads and all) has no subscriber to speak to.

mod alarms;
mod connections;
mod help;
mod life;
mod lists;
mod log;
mod meter;
mod metrics;
mod process;
mod register;
mod requests;
mod status;
mod tokens;
mod traffic;
mod upstreams;

pub use connections::{
    Closing, ConnectionDelayed, ConnectionFailed, ConnectionFault, ConnectionRefused,
    ConnectionsClosed, Crowd, OpenConnection, StreamRefusal, StreamRefused,
};
pub use life::{
    ConfigurationDeployed, Draining, FindingMade, Leaving, PanicMet, Ready, ReloadFailed,
    ReloadSucceeded, Started, Stopped, Stopping, TlsCertificateLoaded, TlsFilesChanged,
    UpstreamCertificateSeen,
};
pub use lists::ObjectionListChanged;
pub use log::Sink;
pub use meter::{FlowMeters, InFlight, Meters, RouteMeter};
pub use metrics::BadMetric;
pub use register::{
    RegisterCaughtUp, RegisterCommitted, RegisterFailed, RegisterJournalFailed, RegisterRecovered,
    RegisterSeen,
};
pub use requests::{Outcome, RequestEnded, Times, UpstreamCall};
pub use tokens::{TokenFetch, UpstreamTokenAsked};
pub use traffic::{Direction, Format, Traffic};
pub use upstreams::{Circuit, CircuitTurned, ConnectionUse, LoadSeen};

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Log;
use life::BugMet;
use log::LogLines;
use metrics::Metrics;

/// The handle through which every room speaks. Cheap to clone; clones share lines and metrics.
#[derive(Clone)]
pub struct Events(Arc<Voice>);

/// Log lines and metrics of one process: what an [`Event`] is told to.
pub struct Voice {
    lines: LogLines,
    metrics: Arc<Metrics>,
}

/// Something that happened: a struct named in the past tense.
pub trait Event {
    /// Writes its log line and moves its metrics.
    fn tell(self, voice: &Voice);
}

impl Events {
    /// A voice that writes its lines to `sink`.
    ///
    /// # Errors
    /// [`BadMetric`] if a metric of our own is ill-formed: a defect of this room.
    pub fn new(log: Log, sink: Sink, clock: Clock) -> Result<Self, BadMetric> {
        let metrics = Arc::new(Metrics::new(&clock)?);
        let lines = LogLines::new(log, sink, clock, &metrics);
        Ok(Self(Arc::new(Voice { lines, metrics })))
    }

    /// Says that something happened.
    pub fn emit(&self, event: impl Event) {
        event.tell(&self.0);
    }

    /// The meters of one configuration: made once, kept with it, taken from there by each request.
    #[must_use]
    pub fn meters(&self) -> Meters {
        Meters::new(&self.0.metrics)
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn connection_opened(&self) -> OpenConnection {
        OpenConnection::new(&self.0.metrics)
    }

    /// All metrics in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn metrics_page(&self) -> String {
        self.0.metrics.page()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voice")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::config::{
        self, Callers, Config, Listen, LogFormat, LogLevel, Mode, PolicyHash, Reach, Register,
        RegisterPlace, Retry, Scheme, Upstream, UpstreamAuth, Validity, Vendor,
    };
    use crate::limits::{LOG_REPEATS_MAX, LOG_WINDOW, Limits, METRIC_SERIES_MAX};
    use crate::minimise::Crossing;
    use crate::minimise::{Action, Cleared, Counts, EchoAt, Law, Rewriter};
    use crate::names::{FlowId, SchoolId, VendorId};
    use crate::policy::{
        Bases, Content, Fields, Flow, Index, Method, Policy, Route, Rule, Shape, ShapeBody, Side,
        Unlisted,
    };
    use crate::pseudonym::{Fingerprint, Generation, TokenKey, VendorKey};
    use crate::refusal::{Bug, JsonFault, LinkFault, Reference, Refusal, UpstreamFault};
    use crate::secret::SecretBytes;

    pub(crate) fn voice(format: LogFormat, level: LogLevel) -> (Events, Sink, Clock) {
        let (sink, clock) = (Sink::memory(), Clock::test(1_790_000_000));
        let events = Events::new(Log { format, level }, sink.clone(), clock.clone());
        (events.unwrap(), sink, clock)
    }

    fn flow() -> Flow {
        let route = |name: &str| Route {
            name: name.to_owned(),
            method: Method::Get,
            path: Box::default(),
            query: Box::default(),
            to_vendor: Content::Nothing,
            from_vendor: Content::Nothing,
            statuses: Box::default(),
        };
        Flow {
            name: "pull".to_owned(),
            caller: Side::Vendor,
            routes: [route("GET /users"), route("GET /users/{pupil}")].into(),
        }
    }

    fn shape(name: &str) -> Shape {
        Shape {
            name: name.to_owned(),
            body: ShapeBody::Fields(Fields::new(Vec::new(), None, Unlisted::Drop).into()),
        }
    }

    fn meters(events: &Events, vendor: &str) -> FlowMeters {
        events.meters().flow(&self::vendor(vendor), 0).unwrap()
    }

    fn vendor(name: &str) -> Vendor {
        let day = jiff::civil::date(2026, 8, 1);
        let upstream = Upstream {
            scheme: Scheme::Http,
            host: "127.0.0.1".to_owned(),
            port: 9,
            base: String::new(),
            reach: Reach::Any,
        };
        Vendor {
            school: SchoolId::parse("regenboog").unwrap(),
            id: VendorId::parse(name).unwrap(),
            name: "Rekenwijs".to_owned(),
            valid: Validity {
                from: day,
                until: day,
            },
            mode: Mode::Enforce,
            body_bytes_max: 1,
            law: Arc::new(Law {
                policy: Policy {
                    shapes: vec![shape("User"), shape("Class")],
                    flows: vec![flow()],
                    bases: vec![Bases {
                        public: "https://sluis.example/rekenwijs".to_owned(),
                        upstream: "http://127.0.0.1:9".to_owned(),
                    }],
                    ..Policy::default()
                },
                generations: Arc::new([
                    Generation::new(1, &VendorKey::from([7; 32]), []),
                    Generation::new(2, &VendorKey::from([9; 32]), []).prepared(),
                ]),
                limits: Limits::default(),
            }),
            flows: vec![config::Flow {
                id: FlowId::parse("pull").unwrap(),
                callers: Callers::Anyone,
                ip_ranges: Vec::new(),
                rate: None,
                upstream,
                upstream_auth: UpstreamAuth::None,
                retry: Retry::Idempotent,
            }],
            fingerprint: Fingerprint::parse("00112233445566ff").unwrap(),
            key_version: 1,
            lists: Arc::new(config::Lists::none()),
            retired: Arc::new([]),
            hash: PolicyHash("3f9c3f9c3f9c3f9c".to_owned()),
        }
    }

    pub(crate) fn config() -> Config {
        Config {
            listen: Listen {
                address: "127.0.0.1:8443".parse().unwrap(),
                tls: None,
            },
            admin: "127.0.0.1:9464".parse().unwrap(),
            threads: 1,
            limits: Limits::default(),
            log: Log {
                format: LogFormat::Json,
                level: LogLevel::Info,
            },
            register: Register {
                place: RegisterPlace::File("register.redb".into()),
                keys: Vec::new(),
            },
            vendors: vec![Arc::new(vendor("rekenwijs"))],
            doors: Vec::new(),
            token_key: TokenKey::new(SecretBytes::from([7; 32])),
            hash: PolicyHash("3f9c3f9c3f9c3f9c".to_owned()),
        }
    }

    fn ended(meter: &RouteMeter, outcome: Outcome) -> RequestEnded<'_> {
        let body = Traffic {
            format: Some(Format::Json),
            bytes_in: 100,
            bytes_out: 30,
            fields: counts(),
        };
        RequestEnded {
            meter,
            method: Some(Method::Get),
            status: Some(200),
            outcome,
            request: body,
            answer: body,
            target: counts(),
            upstream: Some(UpstreamCall {
                status: Some(200),
                waited: Duration::from_millis(4),
            }),
            times: Times {
                total: Duration::from_millis(5),
                transform: Duration::from_micros(80),
            },
            reference: Reference::random().ok(),
        }
    }

    /// What the rewriter counts of one object with a field outside the policy.
    fn counts() -> Counts {
        unlisted_in(0)
    }

    /// What the rewriter counts of an object of the shape at that place.
    fn unlisted_in(shape: usize) -> Counts {
        let law = vendor("rekenwijs").law;
        let rule = Rule::Object(Index::new(shape).unwrap());
        let mut rewriter = Rewriter::new(Crossing::one_way(law), rule);
        rewriter
            .write(b"{\"bsn\":1}", &mut Cleared::default())
            .unwrap();
        *rewriter.counts()
    }

    fn outcomes() -> [Outcome; 7] {
        let malformed = Refusal::BodyMalformed {
            fault: JsonFault::Utf8,
            at: 7,
        };
        let unreachable = Refusal::UpstreamUnreachable {
            fault: UpstreamFault::Dns,
        };
        let lost = Refusal::NextPageLost {
            fault: LinkFault::NoRoute,
        };
        [
            Outcome::Answered,
            Outcome::Cancelled,
            Outcome::Refused(malformed),
            Outcome::Refused(unreachable),
            Outcome::Refused(lost),
            Outcome::Aborted(Refusal::Bug(Bug::Rewriter)),
            Outcome::Panicked,
        ]
    }

    fn tell_of_an_echo(events: &Events, meter: &RouteMeter) {
        let at = EchoAt::Field(Index::new(0).unwrap(), None);
        events.emit(RequestEnded {
            target: Counts::of_echo(at),
            ..ended(meter, Outcome::Answered)
        });
    }

    fn tell_lists(events: &Events, config: &Config) {
        let vendor = &config.vendors[0];
        for fault in [None, Some(config::ListFault::Missing)] {
            events.emit(ObjectionListChanged {
                vendor,
                list: "lists/objections.txt",
                fault,
            });
        }
    }

    /// Emits one of each, and gives back the guards that keep gauges up.
    fn tell_everything(events: &Events) -> impl Sized {
        let (config, flow) = (config(), meters(events, "rekenwijs"));
        let meter = flow.route(1);
        events.emit(Started { threads: 1 });
        events.emit(ConfigurationDeployed {
            config: &config,
            unix_s: 1_790_000_000,
        });
        let (public, admin) = (config.listen.address, config.admin);
        events.emit(Ready {
            public,
            admin,
            config: &config,
        });
        for outcome in outcomes() {
            events.emit(ended(meter, outcome));
        }
        for outcome in [TokenFetch::Granted, TokenFetch::Refused] {
            events.emit(UpstreamTokenAsked { meter, outcome });
        }
        tell_of_an_echo(events, meter);
        tell_lists(events, &config);
        tell_of_the_register(events);
        tell_of_upstreams(events, meter);
        events.emit(ConnectionRefused {
            crowd: Crowd::OneClient,
        });
        events.emit(ConnectionFailed {
            fault: ConnectionFault::Tls,
        });
        events.emit(ConnectionsClosed {
            why: Closing::Drain,
            count: 2,
        });
        events.emit(StreamRefused {
            why: StreamRefusal::TooMany,
        });
        events.emit(ReloadSucceeded { config: &config });
        events.emit(ReloadFailed {
            problem: "config/sluis.toml:3:1: no",
            problems: 2,
        });
        events.emit(FindingMade {
            finding: "config/sluis.toml:3:1: hm",
        });
        tell_of_tls(events, &config);
        events.emit(PanicMet {
            file: "src/proxy/mod.rs",
            line: 12,
        });
        events.emit(Leaving { delay_s: 5 });
        events.emit(Draining { most_s: 30 });
        events.emit(Stopped {
            how: Stopping::Drained,
        });
        (meter.begin(), events.connection_opened())
    }

    fn tell_of_tls(events: &Events, config: &Config) {
        events.emit(TlsCertificateLoaded {
            expires_unix_s: 1_800_000_000,
        });
        events.emit(TlsFilesChanged {
            problem: Some("server.pem holds no certificate"),
            usable: false,
        });
        events.emit(UpstreamCertificateSeen {
            vendor: &config.vendors[0],
            expires_unix_s: 1_800_000_000,
        });
    }

    fn tell_of_upstreams(events: &Events, meter: &RouteMeter) {
        for rests in [true, false] {
            events.emit(CircuitTurned { meter, rests });
        }
        meter.count_connection(ConnectionUse::Opened);
        meter.count_retry();
        events.emit(&load_seen(&["rekenwijs"]));
    }

    /// Seven bytes in flight, and every upstream of these vendors resting.
    pub(crate) fn load_seen(vendors: &[&str]) -> LoadSeen {
        let circuit = |vendor: &&str| Circuit {
            school: SchoolId::parse("regenboog").unwrap(),
            vendor: VendorId::parse(vendor).unwrap(),
            flow: FlowId::parse("pull").unwrap(),
            rests_since_unix_s: Some(1_790_000_000),
        };
        LoadSeen {
            body_bytes: 7,
            circuits: vendors.iter().map(circuit).collect(),
        }
    }

    /// Name and labels of every line of a metrics page.
    fn series(page: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let split = lines.map(|line| {
            let (head, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
            let labels = labels.trim_end_matches('}').split_terminator("\",");
            let pair = |text: &str| {
                let (key, value) = text.split_once("=\"").unwrap();
                (key.to_owned(), value.trim_end_matches('"').to_owned())
            };
            (name.to_owned(), labels.map(pair).collect())
        });
        split.collect()
    }

    fn tell_of_the_register(events: &Events) {
        let store = "redb";
        let took = Duration::from_millis(2);
        events.emit(RegisterCommitted { store, took });
        events.emit(RegisterCaughtUp { store });
        events.emit(RegisterFailed {
            code: "server_failed",
        });
        events.emit(RegisterJournalFailed { failures: 1 });
        events.emit(RegisterRecovered);
        events.emit(RegisterSeen {
            store,
            schools: &[(SchoolId::parse("regenboog").unwrap(), 7)],
            trouble: None,
            read_unix_s: 1_790_000_000,
        });
    }

    /// `name | kind | labels` of every row of `docs/metrics.md`.
    fn documented() -> BTreeSet<(String, String, String)> {
        let rows = include_str!("../../docs/metrics.md").lines();
        rows.filter_map(|row| row.strip_prefix("| `"))
            .map(|row| {
                let mut cells = row.split('|');
                let mut cell = || cells.next().unwrap().replace('`', "").trim().to_owned();
                (cell(), cell(), cell())
            })
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_moved_by_an_event() {
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Debug);
        let guards = tell_everything(&events);
        let page = events.metrics_page();
        let mut found = BTreeSet::new();
        for line in page.lines() {
            let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
            else {
                continue;
            };
            assert!(
                page.contains(&format!("# HELP {name} ")),
                "{name} has no help"
            );
            let ours =
                |of: &str| of == name || of.strip_prefix(name).is_some_and(|end| end == "_sum");
            let (_, labels) = series(&page).into_iter().find(|(of, _)| ours(of)).unwrap();
            let labels: Vec<String> = labels.into_keys().collect();
            found.insert((name.to_owned(), kind.to_owned(), labels.join(", ")));
        }
        assert_eq!(found, documented());
        let resting = "flow=\"pull\",school=\"regenboog\",vendor=\"rekenwijs\"} 1";
        assert!(page.contains(resting), "{page}");
        assert!(page.contains("sluis_body_bytes_in_flight 7"), "{page}");
        events.emit(&LoadSeen::default());
        assert!(
            !events.metrics_page().contains(resting),
            "nor after a reload"
        );
        assert_eq!(counts().of(Action::DroppedUnlisted), 1);
        let of_field =
            "action=\"dropped_unlisted\",direction=\"to_vendor\",vendor=\"rekenwijs\"} 8";
        assert!(page.contains(of_field), "{page}");
        drop(guards);
        assert!(events.metrics_page().contains("sluis_connections_open 0"));
        assert!(
            events
                .metrics_page()
                .contains("sluis_requests_in_flight{vendor=\"rekenwijs\"} 0")
        );
    }

    #[test]
    fn names_of_metrics_end_in_their_unit() {
        for (name, kind, _) in documented() {
            assert!(name.starts_with("sluis_"), "{name}");
            assert_eq!(
                kind == "counter",
                name.ends_with("_total"),
                "{name} is a {kind}"
            );
            assert!(
                !name.contains("milli") && !name.contains("_kb"),
                "{name}: base units"
            );
            if kind == "histogram" {
                assert!(
                    name.ends_with("_seconds") || name.ends_with("_bytes"),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn log_lines_are_json_with_keys_that_are_documented() {
        let (events, sink, _) = voice(LogFormat::Json, LogLevel::Debug);
        let _guards = tell_everything(&events);
        let text = String::from_utf8(sink.bytes()).unwrap();
        let rows = include_str!("../../docs/logs.md").lines();
        let documented: BTreeSet<&str> = rows
            .filter_map(|row| row.strip_prefix("| `")?.split('`').next())
            .collect();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            let Value::Object(line) = serde_json::from_str(line).unwrap() else {
                panic!("not an object: {line}");
            };
            seen.extend(line.into_iter().map(|(key, _)| key));
        }
        seen.insert("sluis.left_out".to_owned());
        let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!(seen, documented);
        assert!(text.contains("\"sluis.field\":\"User._any\""), "{text}");
        assert_eq!(text.lines().count(), 37);
    }

    #[test]
    fn a_vendor_that_is_not_served_is_not_said_to_be() {
        let mut config = config();
        let mut said = |mode, day: &str| {
            let (events, sink, _) = voice(LogFormat::Text, LogLevel::Info);
            let day = day.parse().unwrap();
            let mut vendor = vendor("rekenwijs");
            vendor.mode = mode;
            vendor.valid = Validity {
                from: day,
                until: day,
            };
            config.vendors = vec![Arc::new(vendor)];
            events.emit(ConfigurationDeployed {
                config: &config,
                unix_s: 1_790_000_000,
            });
            String::from_utf8(sink.bytes()).unwrap()
        };
        let today = said(Mode::Enforce, "2026-09-21");
        assert!(today.contains("vendor is served"), "{today}");
        let observed = said(Mode::Observe, "2026-09-21");
        assert!(observed.contains("it is being observed"), "{observed}");
        for day in ["2026-09-20", "2026-09-22"] {
            let other = said(Mode::Enforce, day);
            assert!(other.contains("not in force today"), "{other}");
        }
    }

    #[test]
    fn what_is_not_severe_enough_is_not_written() {
        let (events, sink, _) = voice(LogFormat::Text, LogLevel::Warn);
        let _guards = tell_everything(&events);
        let text = String::from_utf8(sink.bytes()).unwrap();
        assert!(text.contains(" WARN ") && text.contains("ERROR "), "{text}");
        assert!(
            !text.contains(" INFO ") && !text.contains("DEBUG "),
            "{text}"
        );
        assert!(
            events
                .metrics_page()
                .contains("sluis_log_messages_total{level=\"info\"} 0")
        );
    }

    #[test]
    fn repeated_lines_are_left_out_and_counted() {
        let (events, sink, clock) = voice(LogFormat::Json, LogLevel::Info);
        let flow = meters(&events, "rekenwijs");
        let refuse = |refusal| events.emit(ended(flow.unknown(), Outcome::Refused(refusal)));
        for _ in 0..LOG_REPEATS_MAX + 5 {
            refuse(Refusal::RouteUnknown);
        }
        refuse(Refusal::QUESTION_INVALID);
        let text = String::from_utf8(sink.bytes()).unwrap();
        let written = text.matches("request.ended").count();
        assert_eq!(written, usize::try_from(LOG_REPEATS_MAX).unwrap() + 1);
        clock.turn(LOG_WINDOW);
        refuse(Refusal::RouteUnknown);
        let text = String::from_utf8(sink.bytes()).unwrap();
        assert!(
            text.lines()
                .last()
                .unwrap()
                .contains("\"sluis.left_out\":5"),
            "{text}"
        );
        let page = events.metrics_page();
        assert!(
            page.contains("reason=\"route_unknown\",vendor=\"rekenwijs\"} 16"),
            "{page}"
        );
    }

    #[test]
    fn a_library_that_traces_is_not_heard() {
        let (events, sink, _) = voice(LogFormat::Json, LogLevel::Debug);
        events.emit(Started { threads: 1 });
        let before = sink.bytes();
        tracing::error!(target: "h2", "a head of someone's request");
        tracing::error!("nor is our own code, outside an event");
        assert_eq!(sink.bytes(), before);
    }

    #[test]
    fn an_unlisted_field_is_told_once_a_shape_and_direction() {
        let (events, sink, _) = voice(LogFormat::Json, LogLevel::Info);
        let flow = meters(&events, "rekenwijs");
        let nothing = Traffic::default();
        let of_shape = |shape| Traffic {
            fields: unlisted_in(shape),
            ..nothing
        };
        let bodies = [
            (nothing, of_shape(0)),
            (nothing, of_shape(0)),
            (nothing, of_shape(1)),
            (of_shape(0), nothing),
        ];
        for (request, answer) in bodies {
            let answered = ended(flow.route(0), Outcome::Answered);
            events.emit(RequestEnded {
                request,
                answer,
                ..answered
            });
        }
        let text = String::from_utf8(sink.bytes()).unwrap();
        let told = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let word = |key: &str| line[key].as_str().unwrap().to_owned();
            (word("sluis.direction"), word("sluis.shape"))
        };
        let told: Vec<_> = text.lines().map(told).collect();
        let expected = [
            ("to_vendor", "User"),
            ("to_vendor", "Class"),
            ("from_vendor", "User"),
        ];
        assert_eq!(
            told,
            expected.map(|(way, shape)| (way.to_owned(), shape.to_owned()))
        );
        let page = events.metrics_page();
        assert!(
            page.contains("unlisted_field_seen_total{vendor=\"rekenwijs\"} 3"),
            "{page}"
        );
        assert!(!text.contains("bsn") && !page.contains("bsn"), "{text}");
    }

    #[test]
    fn a_status_of_an_upstreams_own_invention_is_other() {
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
        let flow = meters(&events, "rekenwijs");
        for status in [Some(599), Some(499), Some(503), None] {
            let refusal = Outcome::Refused(Refusal::Overloaded);
            events.emit(RequestEnded {
                status,
                ..ended(flow.unknown(), refusal)
            });
        }
        let page = events.metrics_page();
        for (code, count) in [("other", 2), ("503", 1), ("none", 1)] {
            let labels = "method=\"other\",route=\"other\",vendor=\"rekenwijs\"";
            let line = format!("seconds_count{{code=\"{code}\",{labels}}} {count}\n");
            assert!(page.contains(&line), "{page}");
        }
    }

    #[test]
    fn too_many_names_are_counted_together() {
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
        for number in 0..METRIC_SERIES_MAX / 20 {
            let flow = meters(&events, &format!("vendor-{number}"));
            events.emit(ended(flow.route(0), Outcome::Answered));
        }
        let page = events.metrics_page();
        let lines = u64::try_from(series(&page).len()).unwrap();
        assert!(lines < METRIC_SERIES_MAX + 100, "{lines}");
        assert!(page.contains("sluis_http_server_request_duration_seconds_count{code=\"other\""));
        let limited = |line: &&str| line.starts_with("sluis_metric_series_limited_total");
        assert!(!page.lines().find(limited).unwrap().ends_with(" 0"));
    }

    #[test]
    fn a_reload_forgets_the_policies_and_keys_of_before() {
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
        let mut config = config();
        events.emit(ConfigurationDeployed {
            config: &config,
            unix_s: 1,
        });
        config.vendors.clear();
        events.emit(ReloadFailed {
            problem: "",
            problems: 1,
        });
        assert!(
            events
                .metrics_page()
                .contains("sluis_config_last_reload_successful 0")
        );
        events.emit(ConfigurationDeployed {
            config: &config,
            unix_s: 2,
        });
        let page = events.metrics_page();
        assert!(!page.contains("00112233445566ff"), "{page}");
        assert!(
            page.contains("sluis_config_last_reload_success_timestamp_seconds 2"),
            "{page}"
        );
        assert!(
            page.contains("sluis_config_last_reload_successful 1"),
            "{page}"
        );
    }

    proptest! {
        /// Whatever an exchange was like: a label is a word we know, or a configured name.
        #[test]
        fn no_value_of_a_message_becomes_a_label(
            status in any::<Option<u16>>(),
            answered in any::<u16>(),
            at in any::<u64>(),
            bytes in any::<u64>(),
        ) {
            let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
            let _guards = tell_everything(&events);
            let known: BTreeSet<String> = series(&events.metrics_page())
                .into_iter()
                .flat_map(|(_, labels)| labels.into_values())
                .collect();
            let flow = meters(&events, "rekenwijs");
            for refusal in [
                Refusal::UpstreamError { status: answered },
                Refusal::UpstreamUnexpected { status: answered },
                Refusal::BodyMalformed { fault: JsonFault::Syntax, at },
            ] {
                let traffic = Traffic { bytes_in: bytes, ..Traffic::default() };
                let upstream = UpstreamCall { status: Some(answered), waited: Duration::ZERO };
                events.emit(RequestEnded {
                    status,
                    request: traffic,
                    upstream: Some(upstream),
                    ..ended(flow.unknown(), Outcome::Refused(refusal))
                });
            }
            for (name, labels) in series(&events.metrics_page()) {
                for (key, value) in labels {
                    let number = value.parse::<u16>().is_ok_and(|code| (100..600).contains(&code));
                    let word = ["other", "none", "upstream_error", "upstream_unexpected"];
                    let fine = known.contains(&value) || word.contains(&value.as_str())
                        || (key == "code" && number);
                    prop_assert!(fine, "{name}: {key}={value}");
                }
            }
        }
    }
}
