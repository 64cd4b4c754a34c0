//! Metrics that a request touches, found once a route and kept: the hot path looks nothing up.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::{Histogram, IntCounter, IntGauge};

use super::metrics::{Metrics, OTHER};
use super::requests::{Direction, Format};
use crate::limits;
use crate::minimise::Action;
use crate::names::{FlowId, SchoolId, VendorId};
use crate::policy::{Flow, Route, Side};
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

    /// The meters of one flow.
    #[must_use]
    pub fn flow(
        &self,
        school: &SchoolId,
        vendor: &VendorId,
        id: &FlowId,
        flow: &Flow,
    ) -> FlowMeters {
        let of_vendor = VendorMeter::new(vendor.as_str());
        let labels = Labels {
            school: Some(school.clone()),
            vendor: Some(vendor.clone()),
            flow: Some(id.clone()),
            caller: flow.caller,
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
        FlowMeters {
            routes: flow.routes.iter().map(meter).collect(),
            unknown: RouteMeter::new(&self.metrics, labels.clone(), Arc::clone(&of_vendor)),
        }
    }
}

/// The meters of one flow.
#[derive(Clone, Debug)]
pub struct FlowMeters {
    routes: Vec<RouteMeter>,
    unknown: RouteMeter,
}

impl FlowMeters {
    /// The meter of the route at that place of the flow.
    #[must_use]
    pub fn route(&self, place: usize) -> &RouteMeter {
        self.routes.get(place).unwrap_or(&self.unknown)
    }

    /// The meter of requests that match no route.
    #[must_use]
    pub const fn unknown(&self) -> &RouteMeter {
        &self.unknown
    }
}

/// The metrics of one route, and its names for log lines. A clone is the same meter.
#[derive(Clone)]
pub struct RouteMeter(Arc<Inner>);

struct Inner {
    metrics: Arc<Metrics>,
    labels: Labels,
    vendor: Arc<VendorMeter>,
    server: [OnceLock<Option<Histogram>>; CODES],
    /// Places of fields outside the policy that were seen; at most
    /// [`limits::UNLISTED_PLACES_MAX`].
    unlisted: Mutex<BTreeSet<(Direction, Box<str>)>>,
}

impl RouteMeter {
    fn new(metrics: &Arc<Metrics>, labels: Labels, vendor: Arc<VendorMeter>) -> Self {
        Self(Arc::new(Inner {
            metrics: Arc::clone(metrics),
            labels,
            vendor,
            server: [const { OnceLock::new() }; CODES],
            unlisted: Mutex::default(),
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
        observe(self.0.server.get(place), make, seconds);
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
        let place = Action::ALL.iter().position(|other| *other == action);
        let row = vendor.fields.get(direction.place());
        let cell = row.zip(place).and_then(|(row, place)| row.get(place));
        count(cell, || self.0.metrics.fields.at(labels), fields);
    }

    /// A request that was refused.
    pub(super) fn count_refusal(&self, refusal: Refusal) {
        let labels = [self.vendor_label(), refusal.code()];
        self.0
            .metrics
            .refusals
            .at(labels)
            .iter()
            .for_each(IntCounter::inc);
    }

    /// An exchange that was broken off.
    pub(super) fn count_abort(&self, refusal: Refusal) {
        let labels = [self.vendor_label(), refusal.code()];
        self.0
            .metrics
            .aborts
            .at(labels)
            .iter()
            .for_each(IntCounter::inc);
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

    /// Whether a field outside the policy was not seen at that place before.
    pub(super) fn first_sight(&self, direction: Direction, place: &str) -> bool {
        let mut seen = self
            .0
            .unlisted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.len() < limits::UNLISTED_PLACES_MAX && seen.insert((direction, place.into()))
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
    client: [OnceLock<Option<Histogram>>; CODES],
    transform_json: OnceLock<Option<Histogram>>,
    request_body: OnceLock<Option<Histogram>>,
    bytes: [[OnceLock<Option<IntCounter>>; 2]; 2],
    fields: [[OnceLock<Option<IntCounter>>; Action::ALL.len()]; 2],
    in_flight: OnceLock<Option<IntGauge>>,
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

/// The place and the label of a status. Upstreams choose theirs, so only those of the standards
/// are counted apart.
fn code(status: Option<u16>) -> (usize, &'static str) {
    let known = STATUSES
        .iter()
        .zip(0_usize..)
        .find(|((number, _), _)| Some(*number) == status);
    match (known, status) {
        (Some(((_, label), place)), _) => (place, label),
        (None, Some(_)) => (STATUSES.len(), OTHER),
        (None, None) => (STATUSES.len().saturating_add(1), "none"),
    }
}

const CODES: usize = STATUSES.len() + 2;

/// Statuses with a label of their own (RFC 9110, 6585, 9457's users); the most frequent first.
const STATUSES: [(u16, &str); 32] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (417, "417"),
    (421, "421"),
    (422, "422"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (505, "505"),
    (203, "203"),
    (206, "206"),
    (301, "301"),
    (302, "302"),
    (304, "304"),
];
