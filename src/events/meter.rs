//! Metrics that a request touches, found once a route and kept: the hot path looks nothing up.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, IntCounter, IntGauge};

use super::alarms;
use super::metrics::{Metrics, OTHER};
use super::status::{CODES, code};
use super::traffic::{Direction, Format};
use super::upstreams::ConnectionUse;
use crate::config::{TOKEN_PATH, Vendor};
use crate::minimise::{Action, EchoAt, UnlistedIn};
use crate::names::{FlowId, SchoolId, VendorId};
use crate::policy::{Method, Route, Shape, Side};
use crate::refusal::Refusal;

/// Makes meters; `config` keeps none of them, whoever serves a configuration does.
#[derive(Clone)]
pub struct Meters {
    metrics: Arc<Metrics>,
    unknown: RouteMeter,
}

impl Meters {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        let nobody = RouteMeter::new(metrics, Labels::default(), VendorMeter::new(OTHER));
        Self {
            metrics: Arc::clone(metrics),
            unknown: nobody,
        }
    }

    /// The meter of requests that belong to no flow.
    #[must_use]
    pub const fn unknown(&self) -> &RouteMeter {
        &self.unknown
    }

    /// The meters of the flow at that place of a vendor; `None` if there is none.
    #[must_use]
    pub fn flow(&self, vendor: &Vendor, place: usize) -> Option<FlowMeters> {
        let policy = &vendor.law.policy;
        let (flow, id) = policy.flows.get(place).zip(vendor.flows.get(place))?;
        let of_vendor = VendorMeter::new(vendor.id.as_str());
        let labels = Labels {
            school: Some(vendor.school.clone()),
            vendor: Some(vendor.id.clone()),
            flow: Some(id.id.clone()),
            caller: flow.caller,
            shapes: policy.shapes.as_slice().into(),
            ..Labels::default()
        };
        let meter = |route: &Route| {
            let labels = Labels {
                route: template(&route.name).into(),
                method: route.method.as_str(),
                ..labels.clone()
            };
            RouteMeter::new(&self.metrics, labels, Arc::clone(&of_vendor))
        };
        Some(FlowMeters {
            routes: flow.routes.iter().map(meter).collect(),
            tokens: RouteMeter::new(
                &self.metrics,
                Labels {
                    route: TOKEN_PATH.into(),
                    method: Method::Post.as_str(),
                    ..labels.clone()
                },
                Arc::clone(&of_vendor),
            ),
            unknown: RouteMeter::new(&self.metrics, labels.clone(), Arc::clone(&of_vendor)),
        })
    }
}

/// The meters of one flow.
#[derive(Clone, Debug)]
pub struct FlowMeters {
    routes: Vec<RouteMeter>,
    tokens: RouteMeter,
    unknown: RouteMeter,
}

impl FlowMeters {
    /// The meter of the route at that place of the flow.
    #[must_use]
    pub fn route(&self, place: usize) -> &RouteMeter {
        self.routes.get(place).unwrap_or(&self.unknown)
    }

    /// The meter of requests for tokens of ours.
    #[must_use]
    pub const fn tokens(&self) -> &RouteMeter {
        &self.tokens
    }

    /// The meter of requests that match no route.
    #[must_use]
    pub const fn unknown(&self) -> &RouteMeter {
        &self.unknown
    }
}

/// A histogram for each status that has a label, once one was answered with it.
type ByCode = [OnceLock<Option<Histogram>>; CODES];

/// The metrics of one route, and its names for log lines. A clone is the same meter.
#[derive(Clone)]
pub struct RouteMeter(Arc<Inner>);

struct Inner {
    metrics: Arc<Metrics>,
    labels: Labels,
    vendor: Arc<VendorMeter>,
    /// Made by the first request: most routes of most vendors never see one.
    server: OnceLock<Box<ByCode>>,
    /// The shapes in which fields outside the policy were seen, by direction.
    unlisted: [AtomicU64; 2],
}

impl RouteMeter {
    fn new(metrics: &Arc<Metrics>, labels: Labels, vendor: Arc<VendorMeter>) -> Self {
        Self(Arc::new(Inner {
            metrics: Arc::clone(metrics),
            labels,
            vendor,
            server: OnceLock::new(),
            unlisted: Default::default(),
        }))
    }

    /// Counts a request as under way until the guard is dropped.
    pub fn begin(&self) -> InFlight {
        let make = || self.0.metrics.in_flight.at([&self.0.vendor.label]);
        let gauge = self.0.vendor.in_flight.get_or_init(make).clone();
        gauge.iter().for_each(IntGauge::inc);
        InFlight(gauge)
    }

    /// Seconds of requests that were answered with that status; `None` if none was sent.
    pub(super) fn observe_server(&self, status: Option<u16>, seconds: f64) {
        let (place, code) = code(status);
        let Labels { route, method, .. } = &self.0.labels;
        let labels = [&*self.0.vendor.label, route.as_ref(), *method, code];
        let make = || self.0.metrics.server_seconds.at(labels);
        let server = self
            .0
            .server
            .get_or_init(|| Box::new([const { OnceLock::new() }; CODES]));
        observe(server.get(place), make, seconds);
    }

    /// Seconds of waiting for an upstream that answered with that status.
    pub(super) fn observe_client(&self, status: Option<u16>, seconds: f64) {
        let (place, code) = code(status);
        let vendor = &self.0.vendor;
        let make = || self.0.metrics.client_seconds.at([&vendor.label, code]);
        observe(vendor.client.get(place), make, seconds);
    }

    /// Seconds of our own work.
    pub(super) fn observe_transform(&self, format: Format, seconds: f64) {
        let vendor = &self.0.vendor;
        let make = || {
            self.0
                .metrics
                .transform_seconds
                .at([&vendor.label, format.name()])
        };
        let place = match format {
            Format::Json => &vendor.transform_json,
        };
        observe(Some(place), make, seconds);
    }

    /// Bytes of the body of a request.
    pub(super) fn observe_request_body(&self, bytes: u64) {
        let vendor = &self.0.vendor;
        let make = || self.0.metrics.request_body_bytes.at([&vendor.label]);
        // Above 2^32 the last bucket has it anyhow.
        let size = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        observe(Some(&vendor.request_body), make, size);
    }

    /// Bytes of bodies before and after the policy.
    pub(super) fn count_bytes(&self, direction: Direction, stage: Stage, bytes: u64) {
        let vendor = &self.0.vendor;
        let labels = [&*vendor.label, direction.name(), stage.name()];
        let row = vendor.bytes.get(direction.place());
        let cell = row.and_then(|row| row.get(stage.place()));
        count(cell, || self.0.metrics.body_bytes.at(labels), bytes);
    }

    /// What was done to fields.
    pub(super) fn count_fields(&self, direction: Direction, action: Action, fields: u64) {
        let vendor = &self.0.vendor;
        let labels = [&*vendor.label, direction.name(), action.name()];
        let row = vendor.fields.get(direction.place());
        let cell = row.and_then(|row| row.get(action.place()));
        count(cell, || self.0.metrics.fields.at(labels), fields);
    }

    /// A request that was refused.
    pub(super) fn count_refusal(&self, refusal: Refusal) {
        let labels = [self.vendor_label(), refusal.code()];
        let counter = self.0.metrics.refusals.at(labels);
        counter.iter().for_each(IntCounter::inc);
    }

    /// A token that was asked for at an upstream's token server.
    pub(super) fn count_token_fetch(&self, outcome: &str) {
        let labels = [self.vendor_label(), outcome];
        let counter = self.0.metrics.token_fetches.at(labels);
        counter.iter().for_each(IntCounter::inc);
    }

    /// What was done with a connection to an upstream.
    pub fn count_connection(&self, what: ConnectionUse) {
        let labels = [self.vendor_label(), what.name()];
        let cell = self.0.vendor.connections.get(what.place());
        count(cell, || self.0.metrics.upstream_connections.at(labels), 1);
    }

    /// A request that was sent to an upstream once more.
    pub fn count_retry(&self) {
        let counter = self.0.metrics.upstream_retries.at([self.vendor_label()]);
        counter.iter().for_each(IntCounter::inc);
    }

    /// An exchange that was broken off.
    pub(super) fn count_abort(&self, refusal: Refusal) {
        let labels = [self.vendor_label(), refusal.code()];
        let counter = self.0.metrics.aborts.at(labels);
        counter.iter().for_each(IntCounter::inc);
    }

    /// A request whose caller went away.
    pub(super) fn count_cancellation(&self) {
        let counter = self.0.metrics.cancellations.at([self.vendor_label()]);
        counter.iter().for_each(IntCounter::inc);
    }

    /// A field outside the policy that was not seen before.
    pub(super) fn count_unlisted(&self) {
        self.0
            .metrics
            .unlisted
            .at([self.vendor_label()])
            .iter()
            .for_each(IntCounter::inc);
    }

    /// The shapes of these in which no field outside the policy was seen before.
    pub(super) fn first_sight(&self, direction: Direction, shapes: UnlistedIn) -> UnlistedIn {
        let Some(seen) = self.0.unlisted.get(direction.place()) else {
            return UnlistedIn::default();
        };
        if shapes.0 & !seen.load(Ordering::Relaxed) == 0 {
            return UnlistedIn::default();
        }
        UnlistedIn(shapes.0 & !seen.fetch_or(shapes.0, Ordering::Relaxed))
    }

    /// The name of the shape at that place.
    pub(super) fn shape(&self, place: usize) -> &str {
        let shape = self.0.labels.shapes.get(place);
        { shape }
            .filter(|_| place < UnlistedIn::LAST)
            .map_or(OTHER, |shape| &shape.name)
    }

    /// The policy's name of a place in it.
    pub(super) fn path(&self, at: EchoAt) -> String {
        alarms::path(&self.0.labels.shapes, at)
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.0.labels
    }

    pub(super) fn vendor_label(&self) -> &str {
        &self.0.vendor.label
    }
}

impl fmt::Debug for RouteMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RouteMeter({} {})",
            self.vendor_label(),
            self.0.labels.route
        )
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}

/// The configured names of a route, as far as they are known.
#[derive(Clone)]
pub(super) struct Labels {
    pub(super) school: Option<SchoolId>,
    pub(super) vendor: Option<VendorId>,
    pub(super) flow: Option<FlowId>,
    pub(super) route: Box<str>,
    pub(super) method: &'static str,
    /// The policy's shapes, for their names and those of their fields.
    shapes: Arc<[Shape]>,
    caller: Side,
}

impl Labels {
    /// Which way requests go.
    pub(super) const fn request_direction(&self) -> Direction {
        match self.caller {
            Side::School => Direction::ToVendor,
            Side::Vendor => Direction::FromVendor,
        }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            school: None,
            vendor: None,
            flow: None,
            route: OTHER.into(),
            method: OTHER,
            shapes: Arc::default(),
            caller: Side::Vendor,
        }
    }
}

/// A request that is under way: counted until this is dropped.
#[derive(Debug)]
#[must_use = "a request is under way for as long as this is held"]
pub struct InFlight(Option<IntGauge>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.iter().for_each(IntGauge::dec);
    }
}

/// What all routes of one flow share.
struct VendorMeter {
    label: Box<str>,
    client: ByCode,
    transform_json: OnceLock<Option<Histogram>>,
    request_body: OnceLock<Option<Histogram>>,
    bytes: [[OnceLock<Option<IntCounter>>; 2]; 2],
    fields: [[OnceLock<Option<IntCounter>>; Action::ALL.len()]; 2],
    in_flight: OnceLock<Option<IntGauge>>,
    connections: [OnceLock<Option<IntCounter>>; ConnectionUse::ALL],
}

impl VendorMeter {
    fn new(label: &str) -> Arc<Self> {
        Arc::new(Self {
            label: label.into(),
            client: [const { OnceLock::new() }; CODES],
            transform_json: OnceLock::new(),
            request_body: OnceLock::new(),
            bytes: [const { [const { OnceLock::new() }; 2] }; 2],
            fields: [const { [const { OnceLock::new() }; Action::ALL.len()] }; 2],
            in_flight: OnceLock::new(),
            connections: [const { OnceLock::new() }; ConnectionUse::ALL],
        })
    }
}

/// Before or after the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    In,
    Out,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::In => 0,
            Self::Out => 1,
        }
    }
}

fn observe(
    cell: Option<&OnceLock<Option<Histogram>>>,
    make: impl FnOnce() -> Option<Histogram>,
    value: f64,
) {
    if let Some(Some(histogram)) = cell.map(|cell| cell.get_or_init(make)) {
        histogram.observe(value);
    }
}

fn count(
    cell: Option<&OnceLock<Option<IntCounter>>>,
    make: impl FnOnce() -> Option<IntCounter>,
    by: u64,
) {
    if by > 0
        && let Some(Some(counter)) = cell.map(|cell| cell.get_or_init(make))
    {
        counter.inc_by(by);
    }
}

/// The path of `GET /users/{pupil}`.
fn template(name: &str) -> &str {
    name.split_once(' ').map_or(name, |(_, path)| path)
}
