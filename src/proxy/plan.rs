//! What is made of a configuration once, so that no request has to make it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::Shared;
use super::fetch::Fetcher;
use super::load::Count;
use super::rate::Rates;
use crate::body::Desk;
use crate::clock::Clock;
use crate::config::{Client, Config, Door, Flow, NoDoor, Scheme, TOKEN_PATH, Upstream, Vendor};
use crate::events::{Circuit, FlowMeters, Meters};
use crate::limits::Bound;
use crate::pseudonym::TokenPlace;
use crate::refusal::{Bug, Refusal};
use crate::store::{Generations, Store, View};
use crate::tls::Connectors;
use crate::upstream::{Standing, Target};

/// What all threads share of one configuration, in the order of its doors.
pub(super) struct Served {
    config: Arc<Config>,
    meters: Meters,
    doors: Vec<Option<OfDoor>>,
    connectors: Connectors,
}

/// What all threads share of one door.
struct OfDoor {
    meters: FlowMeters,
    load: Count,
    /// The register as the vendor sees it, if any of its ids has a way back.
    register: Option<Desk>,
    rates: Option<Rates>,
    fetcher: Option<Arc<Fetcher>>,
    standing: Arc<Standing>,
}

impl Served {
    fn new(config: Arc<Config>, shared: &Shared) -> Self {
        let meters = shared.events.meters();
        let register = shared.register().map(Arc::as_ref);
        let most = config.limits.time(Bound::RegisterWait);
        let now = shared.clock.now();
        let connectors = Connectors::default();
        let of_door = |door: &Door| {
            let vendor = &door.vendor;
            let flow = vendor.flows.get(door.flow)?;
            keep_files(&flow.upstream, &connectors);
            let meters = meters.flow(vendor, door.flow)?;
            let standing = Standing::new(&config.limits, &shared.events, meters.unknown());
            Some(OfDoor {
                meters,
                load: shared.load.of(&vendor.school, &vendor.id),
                register: { register.and_then(|store| view(store, vendor)) }
                    .map(|view| Desk::new(view, &shared.clock, most)),
                rates: Rates::new(flow, now),
                fetcher: Fetcher::new(flow, &connectors),
                standing: Arc::new(standing),
            })
        };
        let doors = config.doors.iter().map(of_door).collect();
        Self {
            config,
            meters,
            doors,
            connectors,
        }
    }

    /// Every flow's upstream, and since when it is left alone, if it is.
    pub(super) fn circuits(&self, clock: &Clock) -> Vec<Circuit> {
        let unix_s = |since: Instant| {
            let ago = clock.now().saturating_duration_since(since);
            clock.unix_s().saturating_sub(ago.as_secs())
        };
        let doors = self.config.doors.iter().zip(&self.doors);
        let circuit = |(door, shared): (&Door, &Option<OfDoor>)| {
            Some(Circuit {
                school: door.vendor.school.clone(),
                vendor: door.vendor.id.clone(),
                flow: door.vendor.flows.get(door.flow)?.id.clone(),
                rests_since_unix_s: shared.as_ref()?.standing.rests_since().map(unix_s),
            })
        };
        doors.filter_map(circuit).collect()
    }
}

/// Reads what stands in files now, when it is known to be good: they may be others at the first
/// request.
fn keep_files(upstream: &Upstream, connectors: &Connectors) {
    match &upstream.scheme {
        Scheme::Https(tls) if tls.roots.is_some() || tls.identity.is_some() => {
            drop(connectors.of(tls));
        }
        Scheme::Http | Scheme::Https(_) => {}
    }
}

/// The register as one vendor sees it, with all that its pseudonyms lead to.
fn view(store: &Store, vendor: &Vendor) -> Option<Arc<View>> {
    if !vendor.has_way_back() {
        return None;
    }
    let generations = Generations {
        accepted: Arc::clone(&vendor.law.generations),
        retired: Arc::clone(&vendor.retired),
    };
    let view = store.view(&vendor.school, &vendor.id, &generations)?;
    view.warm();
    Some(view)
}

/// The newest of what is shared: of the configuration that is in force and, until it is, of the one
/// that is prepared.
#[derive(Default)]
pub(super) struct Newest(Mutex<Vec<Arc<Served>>>);

impl Newest {
    /// What is shared of `config`; made by the first thread that asks.
    ///
    /// A thread may ask late for one that is not in force any more: nobody else will, and it is not
    /// kept.
    pub(super) fn of(&self, config: Arc<Config>, shared: &Shared) -> Arc<Served> {
        let mut newest = self.lock();
        if let Some(served) = known(&newest, &config) {
            return served;
        }
        let served = Arc::new(Served::new(config, shared));
        if Arc::ptr_eq(&served.config, &shared.deployed.current()) {
            newest.push(Arc::clone(&served));
        }
        served
    }

    /// Makes what is shared of a configuration that may come into force, instead of the one that
    /// was prepared before.
    pub(super) fn prepare(&self, config: &Arc<Config>, shared: &Shared) {
        let mut newest = self.lock();
        if known(&newest, config).is_none() {
            let in_force = shared.deployed.current();
            newest.retain(|served| Arc::ptr_eq(&served.config, &in_force));
            newest.push(Arc::new(Served::new(Arc::clone(config), shared)));
        }
    }

    /// Lets go of all but what is shared of `config`.
    pub(super) fn keep(&self, config: &Arc<Config>) {
        self.lock()
            .retain(|served| Arc::ptr_eq(&served.config, config));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Served>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(newest: &[Arc<Served>], config: &Arc<Config>) -> Option<Arc<Served>> {
    let known = { newest.iter() }.find(|served| Arc::ptr_eq(&served.config, config));
    known.map(Arc::clone)
}

/// One configuration as one thread uses it, with its own connections to upstreams.
pub(super) struct Plan {
    served: Arc<Served>,
    targets: Vec<OnceLock<Option<Arc<Target>>>>,
}

impl Plan {
    pub(super) fn new(served: Arc<Served>) -> Self {
        let targets = served
            .config
            .doors
            .iter()
            .map(|_| OnceLock::new())
            .collect();
        Self { served, targets }
    }

    pub(super) fn config(&self) -> &Arc<Config> {
        &self.served.config
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.served.meters
    }

    /// The flow that answers on a host and path.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Found<'_>, Refusal> {
        let (place, door) = self
            .served
            .config
            .door(host, path)
            .map_err(|none| match none {
                NoDoor::HostUnknown => Refusal::HostUnknown,
                NoDoor::PathUnknown => Refusal::FlowUnknown,
            })?;
        let flow = door
            .vendor
            .flows
            .get(door.flow)
            .ok_or(Refusal::Bug(Bug::Policy))?;
        let shared = self.served.doors.get(place).and_then(Option::as_ref);
        let shared = shared.ok_or(Refusal::Bug(Bug::Policy))?;
        let target = self.targets.get(place).ok_or(Refusal::Bug(Bug::Policy))?;
        Ok(Found {
            door,
            flow,
            meters: &shared.meters,
            load: &shared.load,
            register: shared.register.as_ref(),
            rates: shared.rates.as_ref(),
            fetcher: shared.fetcher.as_ref(),
            standing: &shared.standing,
            target,
            connectors: &self.served.connectors,
        })
    }

    /// All upstreams that were called under this configuration.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets
            .iter()
            .filter_map(|target| target.get()?.as_ref())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({})", self.served.config.hash.0)
    }
}

/// One flow with all that belongs to it.
pub(super) struct Found<'p> {
    pub(super) door: &'p Door,
    pub(super) flow: &'p Flow,
    pub(super) meters: &'p FlowMeters,
    pub(super) load: &'p Count,
    pub(super) register: Option<&'p Desk>,
    pub(super) rates: Option<&'p Rates>,
    pub(super) fetcher: Option<&'p Arc<Fetcher>>,
    standing: &'p Arc<Standing>,
    target: &'p OnceLock<Option<Arc<Target>>>,
    connectors: &'p Connectors,
}

impl Found<'_> {
    /// Where a client of the flow may use its tokens.
    pub(super) fn token_place<'c>(&'c self, client: &'c Client) -> TokenPlace<'c> {
        TokenPlace {
            school: &self.door.vendor.school,
            vendor: &self.door.vendor.id,
            flow: &self.flow.id,
            client: &client.id,
            secret: &client.secret,
        }
    }

    /// Whether it is here that clients of the flow fetch their tokens.
    pub(super) fn issues_tokens(&self, path: &str) -> bool {
        self.door.rest(path) == Some(TOKEN_PATH) && !self.flow.callers.clients().is_empty()
    }

    /// The flow's upstream; made at its first request.
    pub(super) fn target(&self, clock: &Clock) -> Result<Arc<Target>, Refusal> {
        let make = || {
            let target = Target::new(self.flow, self.standing, clock.clone(), self.connectors);
            target.ok().map(Arc::new)
        };
        // `config` has tried the same before it deployed the flow.
        self.target
            .get_or_init(make)
            .clone()
            .ok_or(Refusal::Bug(Bug::Head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Deployed, LogFormat, LogLevel};
    use crate::events::tests::voice;

    const GATEWAY: &str = "version = 1\n[listen]\naddress = \"127.0.0.1:0\"\n[admin]\n\
         address = \"127.0.0.2:0\"\n[keys]\nmaster = { file = \"keys/master.key\" }\n\
         ring = \"keys/ring.toml\"\n";
    const SCHOOL: &str = "version = 1\n[school]\nname = \"De Proef\"\n\
         public = \"http://proef.example\"\ncontact = \"privacy@proef.example\"\n";

    #[test]
    fn what_is_prepared_is_not_made_again_whoever_looks_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("schools/proef")).unwrap();
        std::fs::write(folder.path().join("sluis.toml"), GATEWAY).unwrap();
        std::fs::write(folder.path().join("schools/proef/school.toml"), SCHOOL).unwrap();
        config::keys::new(folder.path()).map(drop).unwrap();
        let read = || config::load(folder.path()).unwrap().0;
        let deployed = Arc::new(Deployed::new(read()));
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
        let shared = Shared::new(Arc::clone(&deployed), Clock::test(0), events);
        let before = shared.served(deployed.current());

        let next = Arc::new(read());
        shared.prepare(&next);
        let prepared = shared.served(Arc::clone(&next));
        // The admin listener looks at what is in force, and so does a request.
        drop(shared.load());
        assert!(Arc::ptr_eq(&before, &shared.served(deployed.current())));
        deployed.put(Arc::clone(&next));
        let of_next = shared.served(deployed.current());
        assert!(Arc::ptr_eq(&prepared, &of_next));

        // What was in force is let go of; and however many are tried, two are kept.
        shared.settle();
        let let_go = Arc::downgrade(&before);
        let former = Arc::clone(&before.config);
        drop(before);
        assert_eq!(let_go.strong_count(), 0);
        let tried: Vec<_> = (0..3).map(|_| Arc::new(read())).collect();
        let tried = tried.iter().map(|config| {
            shared.prepare(config);
            Arc::downgrade(&shared.served(Arc::clone(config)))
        });
        let tried: Vec<_> = tried.collect();
        let kept = { tried.iter() }.filter(|it| it.strong_count() > 0);
        assert_eq!(kept.count(), 1);
        // A thread that is late throws nothing out, and leaves nothing behind.
        let late = Arc::downgrade(&shared.served(former));
        assert_eq!(late.strong_count(), 0);
        let kept = { tried.iter() }.filter(|it| it.strong_count() > 0);
        assert_eq!(kept.count(), 1);
        assert!(Arc::ptr_eq(&of_next, &shared.served(deployed.current())));
    }
}
