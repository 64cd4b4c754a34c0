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
#[expect(
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    reason = "small numbers, and what must hold"
)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::{LazyLock, Weak};

    use super::*;
    use crate::config::{self, Deployed, LogFormat, LogLevel};
    use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
    use crate::events::tests::voice;
    use crate::proxy::Gateway;

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

    /// Two vendors, of whom a configuration has one, the other or both.
    const VENDORS: [&str; 2] = ["bron", "doel"];
    const VENDOR: &str = "version = 1\n[vendor]\nname = \"Bron\"\nagreement = \"T-1\"\n\
         purpose = \"Tests\"\ncontact = \"privacy@bron.example\"\n\
         valid = { from = 2020-01-01, until = 2099-12-31 }\n[ids.pupil]\n[flow.pull]\n\
         caller = \"vendor\"\nat = \"/AT\"\nupstream = \"http://127.0.0.1:9\"\n\
         callers = \"anyone\"\n[[flow.pull.route]]\nmatch = \"GET /pupils\"\n\
         to-vendor = { pupils = \"Pupil[]\" }\n[shape.Pupil]\nid = \"pupil\"\n";
    const THREADS: usize = 2;
    /// What is done in a day.
    const STEPS: usize = 60;

    /// What there is to be put in force, each at most once in a day.
    static CONFIGS: LazyLock<Vec<Arc<Config>>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &Path, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("sluis.toml".as_ref(), GATEWAY);
        write("schools/proef/school.toml".as_ref(), SCHOOL);
        let files = VENDORS.map(|name| format!("schools/proef/vendors/{name}.toml"));
        let configs = [[true, true], [true, false], [false, true], [true, true]];
        let configs = configs.iter().cycle().take(10).map(|has| {
            for (name, (file, has)) in VENDORS.iter().zip(files.iter().zip(has)) {
                match has {
                    true => write(file.as_ref(), &VENDOR.replace("AT", name)),
                    false => drop(std::fs::remove_file(folder.path().join(file))),
                }
            }
            config::keys::new(folder.path()).map(drop).unwrap();
            Arc::new(config::load(folder.path()).unwrap().0)
        });
        configs.collect()
    });

    /// An exchange: under what it began, and what it holds of that.
    struct Exchange {
        of: usize,
        thread: usize,
        vendor: usize,
        /// Until the head of the answer is here.
        plan: Option<Arc<Plan>>,
        target: Arc<Target>,
    }

    /// What was in force, and what was made of it.
    struct Made {
        config: Arc<Config>,
        served: Weak<Served>,
        /// By vendor.
        standings: BTreeMap<usize, Weak<Standing>>,
        /// By thread and vendor.
        targets: BTreeMap<(usize, usize), Weak<Target>>,
    }

    /// Reloads while requests come and go on two threads, in an order that a seed makes up.
    struct Day {
        dice: Dice,
        clock: Clock,
        shared: Arc<Shared>,
        gateways: [Arc<Gateway>; THREADS],
        /// What each thread has seen in force when it looked last.
        seen: [usize; THREADS],
        /// What may still come into force.
        left: Vec<Arc<Config>>,
        prepared: Option<Arc<Config>>,
        /// The last one is in force.
        made: Vec<Made>,
        loads: [Option<Count>; VENDORS.len()],
        under_way: Vec<Exchange>,
        trace: String,
    }

    impl Day {
        fn new(seed: u64) -> Self {
            let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
            let mut dice = Dice::new(seed);
            let mut left = CONFIGS.clone();
            for place in 0..left.len() {
                let other = dice.place(left.len());
                left.swap(place, other);
            }
            let clock = Clock::test(0);
            let first = left.pop().unwrap();
            let deployed = Arc::new(Deployed::new(Arc::clone(&first)));
            let shared = Shared::new(deployed, clock.clone(), events);
            shared.prepare(&first);
            let mut day = Self {
                gateways: std::array::from_fn(|_| Gateway::new(&shared)),
                dice,
                clock,
                shared,
                seen: [0; THREADS],
                left,
                prepared: None,
                made: Vec::new(),
                loads: [const { None }; VENDORS.len()],
                under_way: Vec::new(),
                trace: String::new(),
            };
            day.is_in_force(first);
            day
        }

        fn note(&mut self, what: fmt::Arguments<'_>) {
            writeln!(self.trace, "{what}").unwrap();
        }

        fn hold(&self, holds: bool, what: &str) {
            assert!(holds, "{what}, after\n{}", self.trace);
        }

        fn run(mut self) -> String {
            for _ in 0..STEPS {
                match self.dice.below(100) {
                    0..10 => self.reload(),
                    10..30 => self.end_one(),
                    30..40 => self.overtaken(),
                    _ => self.act(),
                }
                self.check();
            }
            // At last everybody has looked, and nothing is under way.
            self.under_way.clear();
            (0..THREADS).for_each(|thread| self.tend(thread));
            self.check();
            self.trace
        }

        /// What goes on at any moment, in the midst of a reload too.
        fn act(&mut self) {
            let thread = self.dice.place(THREADS);
            match self.dice.below(100) {
                0..15 => self.tend(thread),
                15..25 => drop(self.shared.load()),
                25..40 => self.go_on(),
                _ => self.request(thread),
            }
        }

        fn snapshot(&mut self, thread: usize) -> Arc<Plan> {
            let plan = self.gateways[thread].snapshot();
            let in_force = Arc::clone(&self.made[self.made.len() - 1].config);
            let is = Arc::ptr_eq(plan.config(), &in_force);
            self.hold(is, "what begins, begins with what is in force");
            self.seen[thread] = self.made.len() - 1;
            plan
        }

        /// As [`Gateway::tend`] does each time.
        fn tend(&mut self, thread: usize) {
            let plan = self.snapshot(thread);
            plan.targets().for_each(|target| target.tend());
            self.note(format_args!("{thread} tends"));
        }

        fn request(&mut self, thread: usize) {
            let (plan, of) = (self.snapshot(thread), self.made.len() - 1);
            let vendor = self.dice.place(VENDORS.len());
            self.note(format_args!("{thread} under {of}: {}", VENDORS[vendor]));
            let Some(target) = self.look(&plan, (of, thread, vendor)) else {
                return self.note(format_args!("is nobody"));
            };
            let plan = self.dice.happens(70).then_some(plan);
            self.under_way.push(Exchange {
                of,
                thread,
                vendor,
                plan,
                target,
            });
        }

        /// What a request finds under a plan: the same as all before it.
        fn look(&mut self, plan: &Plan, at: (usize, usize, usize)) -> Option<Arc<Target>> {
            let (of, thread, vendor) = at;
            let mut vendors = plan.config().vendors.iter();
            let has = vendors.any(|it| it.id.as_str() == VENDORS[vendor]);
            let found = plan.find("proef.example", &format!("/{}", VENDORS[vendor]));
            self.hold(found.is_ok() == has, "a vendor is there to its end");
            let found = found.ok()?;
            let target = found.target(&self.clock).unwrap();
            let load = self.loads[vendor].get_or_insert_with(|| Arc::clone(found.load));
            let one_load = Arc::ptr_eq(load, found.load);
            self.hold(one_load, "what is under way counts on");
            let standing = Arc::downgrade(found.standing);
            let made = &mut self.made[of];
            let known = made.standings.entry(vendor);
            let known = known.or_insert_with(|| standing.clone());
            let one_standing = Weak::ptr_eq(known, &standing);
            let weak = Arc::downgrade(&target);
            let known = made.targets.entry((thread, vendor));
            let known = known.or_insert_with(|| weak.clone());
            let one_target = Weak::ptr_eq(known, &weak);
            self.hold(one_standing, "all threads know the same of an upstream");
            self.hold(one_target, "a thread has one pool for an upstream");
            for (_, other) in self.made.iter().enumerate().filter(|(it, _)| *it != of) {
                let mut targets = other.targets.values();
                let shares = targets.any(|it| Weak::ptr_eq(it, &weak));
                self.hold(!shares, "no connection serves two configurations");
                let mut standings = other.standings.values();
                let knows = standings.any(|it| Weak::ptr_eq(it, &standing));
                self.hold(!knows, "what an upstream has shown is forgotten");
            }
            Some(target)
        }

        /// An exchange looks once more at what it began with; or the head of its answer is here.
        fn go_on(&mut self) {
            let all = self.under_way.iter_mut();
            let mut all: Vec<_> = all.filter(|it| it.plan.is_some()).collect();
            if all.is_empty() {
                return;
            }
            let place = self.dice.place(all.len());
            let one = &mut *all[place];
            let (at, before) = ((one.of, one.thread, one.vendor), Arc::clone(&one.target));
            let plan = match self.dice.happens(50) {
                true => one.plan.clone(),
                false => one.plan.take(),
            };
            self.note(format_args!("{at:?} goes on"));
            let target = self.look(&plan.unwrap(), at);
            let is = target.is_some_and(|it| Arc::ptr_eq(&it, &before));
            self.hold(is, "an exchange keeps what it began with");
        }

        fn end_one(&mut self) {
            if !self.under_way.is_empty() {
                let place = self.dice.place(self.under_way.len());
                let Exchange { of, thread, .. } = self.under_way.swap_remove(place);
                self.note(format_args!("{thread} under {of} ends"));
            }
        }

        /// As [`Gateway::snapshot`] of a thread that looked before a reload and goes on behind it.
        fn overtaken(&mut self) {
            let thread = self.dice.place(THREADS);
            let former = self.made.len().checked_sub(2);
            let Some(former) = former.filter(|former| self.seen[thread] <= *former) else {
                return;
            };
            let served = self.shared.served(Arc::clone(&self.made[former].config));
            *self.gateways[thread].plan.lock().unwrap() = Arc::new(Plan::new(served));
            self.seen[thread] = former;
            self.note(format_args!("{thread} is overtaken"));
        }

        /// As the house does; some are given up on the way.
        fn reload(&mut self) {
            let Some(next) = self.left.pop() else {
                return;
            };
            self.note(format_args!("prepares {}", self.made.len()));
            self.shared.prepare(&next);
            self.prepared = Some(Arc::clone(&next));
            (0..self.dice.below(3)).for_each(|_| self.act());
            self.check();
            if self.dice.happens(20) {
                return self.note(format_args!("gives it up"));
            }
            self.shared.deployed.put(Arc::clone(&next));
            self.prepared = None;
            self.is_in_force(next);
            (0..self.dice.below(3)).for_each(|_| self.act());
            self.shared.settle();
            self.note(format_args!("settles"));
        }

        fn is_in_force(&mut self, config: Arc<Config>) {
            let served = Arc::downgrade(&self.shared.served(Arc::clone(&config)));
            self.made.push(Made {
                config,
                served,
                standings: BTreeMap::new(),
                targets: BTreeMap::new(),
            });
        }

        /// Whoever looks for what was in force finds nothing but what exchanges hold: all that was
        /// open is closed.
        fn check(&self) {
            let in_force = self.made.len() - 1;
            for (number, made) in self.made.iter().enumerate() {
                self.check_one(number, made);
            }
            let newest = self.shared.newest.lock();
            let mut known = newest.iter().map(|it| &it.config);
            let known = known.all(|it| {
                let prepared = self.prepared.as_ref();
                let prepared = prepared.is_some_and(|prepared| Arc::ptr_eq(it, prepared));
                prepared || Arc::ptr_eq(it, &self.made[in_force].config)
            });
            drop(newest);
            self.hold(known, "no more is kept than what may be asked for");
        }

        fn check_one(&self, number: usize, made: &Made) {
            let of = || self.under_way.iter().filter(move |it| it.of == number);
            for ((thread, vendor), target) in &made.targets {
                let mut of = of().filter(|it| it.thread == *thread);
                let held = of.any(|it| it.plan.is_some() || it.vendor == *vendor);
                let may_be_there = held || self.seen[*thread] <= number;
                let is_closed = target.strong_count() == 0;
                self.hold(may_be_there || is_closed, "what nobody uses is closed");
            }
            let is_in_force = number == self.made.len() - 1;
            let has_a_plan = of().any(|it| it.plan.is_some());
            let needed = is_in_force || has_a_plan || self.seen.contains(&number);
            let is_there = made.served.strong_count() > 0;
            self.hold(needed || !is_there, "what nobody needs is let go of");
            self.hold(!is_in_force || is_there, "what is in force is there");
        }
    }

    fn day(seed: u64) -> String {
        Day::new(seed).run()
    }

    #[test]
    fn five_hundred_days_of_reloads() {
        run_days(DAYS, day);
    }

    #[test]
    fn one_seed_runs_the_same_way_each_time() {
        assert_repeatable(day);
    }

    #[test]
    fn the_days_have_enough_of_it() {
        let all: String = (0..100).map(day).collect();
        for thing in [
            "settles",
            "gives it up",
            "goes on",
            "is nobody",
            "is overtaken",
            "ends",
        ] {
            assert!(all.matches(thing).count() > 50, "{thing}");
        }
    }

    #[test]
    #[ignore = "minutes: ten thousand of them"]
    fn long_run_of_reloads() {
        run_days(LONG_DAYS, day);
    }
}
