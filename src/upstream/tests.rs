//! Everything that decides about connections to an upstream, under bad days that a seed makes up:
//! time, the upstream, the network and reloads are its own, so one seed always runs the same way.
//! Which exchange goes by which configuration is decided above: see the tests of `proxy::plan`.
//!
//! A seed that fails is named with all that happened; see [`crate::dice`] for how to run it again.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    reason = "small numbers, and what must hold"
)]

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;

use super::call::{Call, Heard, Repeats, is_idempotent};
use super::pool::{Idle, Kept, Pool, Seen};
use super::standing::{Rules, Standing};
use super::{Facts, Patience};
use crate::alarm::{Alarm, after};
use crate::clock::Clock;
use crate::clock::tests::in_paused_time;
use crate::config::{LogFormat, LogLevel};
use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
use crate::events::Events;
use crate::events::tests::voice;
use crate::limits::{Bound, Limits};
use crate::refusal::{Refusal, UpstreamFault};

/// What reloads change, and between which values: milliseconds, and a count.
const CHANGES: [(Bound, u64, u64); 7] = [
    (Bound::UpstreamAge, 1_000, 120_000),
    (Bound::UpstreamCircuitFailures, 2, 8),
    (Bound::UpstreamCircuitRest, 100, 5_000),
    (Bound::UpstreamConnect, 1_000, 3_000),
    (Bound::UpstreamHeadTime, 5_000, 30_000),
    (Bound::UpstreamIdle, 500, 60_000),
    (Bound::UpstreamStaleRest, 1_000, 60_000),
];

/// What a day is like.
struct Weather {
    latency: Duration,
    /// How long the upstream leaves an idle connection open.
    patience: Duration,
    pause: Duration,
    /// Each of a hundred.
    broken: u64,
    silent: u64,
    cut: u64,
    surplus: u64,
    /// Of the time, in periods of ten seconds.
    dead: u64,
    keyed: bool,
}

impl Weather {
    fn of(dice: &mut Dice) -> Self {
        let some = |dice: &mut Dice| if dice.happens(50) { 0 } else { dice.below(30) };
        let second = Duration::from_secs(1);
        Self {
            latency: dice.up_to(Duration::from_millis(40)),
            patience: match dice.below(3) {
                0 => dice.up_to(Duration::from_millis(50)),
                1 => dice.up_to(10 * second),
                _ => 90 * second,
            },
            pause: match dice.below(3) {
                0 => Duration::from_millis(5),
                1 => Duration::from_millis(300),
                _ => 8 * second,
            },
            broken: some(dice),
            silent: some(dice) / 3,
            cut: some(dice),
            surplus: some(dice),
            dead: some(dice) * 3,
            keyed: dice.happens(30),
        }
    }
}

/// A connection, as its upstream and the network have it.
struct Wire {
    id: usize,
    /// Under which configuration it was opened.
    of: usize,
    opened: Instant,
    now: Rc<Cell<Instant>>,
    latency: Duration,
    /// When the upstream closes it, if nothing comes before.
    closes_at: Instant,
    /// When bytes that nobody asked for get here.
    surplus_at: Option<Instant>,
    kept_at: Instant,
    /// Where it is written down that it was seen to be closed.
    closed: Ages,
}

/// Ages at which connections were closed, and when that was seen.
type Ages = Rc<RefCell<Vec<(Duration, Instant)>>>;

impl Idle for Wire {
    fn look(&mut self) -> Seen {
        let now = self.now.get();
        if self.surplus_at.is_some_and(|at| at <= now) {
            Seen::Surplus
        } else if after(self.closes_at, self.latency) <= now {
            let idle = now.duration_since(self.kept_at);
            self.closed.borrow_mut().push((idle, now));
            Seen::Closed
        } else {
            Seen::Nothing
        }
    }

    fn opened(&self) -> Instant {
        self.opened
    }
}

/// One request under way.
struct Request {
    number: usize,
    /// What it goes by to its end, whatever is reloaded meanwhile.
    side: Rc<Side>,
    method: Method,
    begun: Instant,
    due: Option<Instant>,
    again: bool,
    call: Call<()>,
}

/// What happens at a moment.
enum Event {
    Arrive,
    Begin(Request),
    Connected(Request, Result<(), Refusal>),
    Failed(Request, Option<Duration>, (Refusal, Heard)),
    Head(Request, Wire),
    Reload,
    Tend,
}

/// What the upstream was told and when, to be held against what was decided.
#[derive(Default)]
struct Told {
    failed: Vec<Instant>,
    /// When one may try next, if it rests.
    rests_until: Option<Instant>,
    closed: Ages,
    stale: Vec<Instant>,
    no_reuse_until: Option<Instant>,
}

/// The upstream under one configuration: what is known of it, and what is kept open to it.
struct Side {
    number: usize,
    limits: Limits,
    /// Another configuration may name another upstream.
    weather: Rc<Weather>,
    rules: Rules,
    standing: Standing,
    pool: Pool<Wire>,
    told: RefCell<Told>,
}

impl Side {
    fn new(number: usize, limits: Limits, weather: Rc<Weather>, house: &Events) -> Rc<Self> {
        Rc::new(Self {
            number,
            rules: Rules::of(&limits),
            standing: Standing::new(&limits, house, house.meters().unknown()),
            limits,
            weather,
            pool: Pool::default(),
            told: RefCell::default(),
        })
    }

    fn connect(&self) -> Duration {
        self.limits.time(Bound::UpstreamConnect)
    }

    fn head(&self) -> Duration {
        self.limits.time(Bound::UpstreamHeadTime)
    }
}

struct World {
    seed: u64,
    dice: Dice,
    house: Events,
    start: Instant,
    now: Rc<Cell<Instant>>,
    events: BTreeMap<usize, Event>,
    queue: BinaryHeap<Reverse<(Instant, usize)>>,
    /// What is in force.
    side: Rc<Side>,
    /// How often the upstream got each request, and whether it may get it twice.
    delivered: BTreeMap<usize, usize>,
    wires: usize,
    keys: usize,
    trace: String,
}

impl World {
    fn new(seed: u64) -> Self {
        let (house, _, _) = voice(LogFormat::Json, LogLevel::Error);
        let mut dice = Dice::new(seed);
        let weather = Rc::new(Weather::of(&mut dice));
        let start = Clock::test(0).now();
        Self {
            seed,
            side: Side::new(0, Limits::default(), weather, &house),
            house,
            dice,
            start,
            now: Rc::new(Cell::new(start)),
            events: BTreeMap::new(),
            queue: BinaryHeap::new(),
            delivered: BTreeMap::new(),
            wires: 0,
            keys: 0,
            trace: String::new(),
        }
    }

    fn hold(&self, holds: bool, what: &str) {
        assert!(holds, "{what}, after\n{}", self.trace);
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let at = self.now().duration_since(self.start).as_micros();
        writeln!(self.trace, "{at} {what}").unwrap();
    }

    fn now(&self) -> Instant {
        self.now.get()
    }

    fn soon(&mut self, wait: Duration, event: Event) {
        let key = self.keys;
        self.keys += 1;
        self.events.insert(key, event);
        self.queue.push(Reverse((after(self.now(), wait), key)));
    }

    fn run(mut self) -> String {
        let day = self.side.weather.pause * 60;
        for _ in 0..60 {
            let wait = self.dice.up_to(day);
            self.soon(wait, Event::Arrive);
        }
        for _ in 0..self.dice.below(4) {
            let wait = self.dice.up_to(day);
            self.soon(wait, Event::Reload);
        }
        for second in 1..120 {
            self.soon(Duration::from_secs(second), Event::Tend);
        }
        while let Some(Reverse((at, key))) = self.queue.pop() {
            self.now.set(at);
            match self.events.remove(&key).unwrap() {
                Event::Arrive => self.arrive(),
                Event::Begin(request) => self.enter(request),
                Event::Connected(request, how) => self.connected(request, how),
                Event::Failed(request, idle, why) => self.failed(request, idle, why),
                Event::Head(request, wire) => self.answered(&request, wire),
                Event::Reload => self.reload(),
                Event::Tend => self.side.pool.tend(at, &self.side.standing),
            }
        }
        self.trace
    }

    /// Another configuration comes into force: with other bounds, another upstream, or the same.
    fn reload(&mut self) {
        let Side {
            number,
            limits,
            weather,
            ..
        } = &*self.side;
        let (number, mut limits) = (*number + 1, limits.clone());
        let weather = match self.dice.happens(30) {
            true => Rc::new(Weather::of(&mut self.dice)),
            false => Rc::clone(weather),
        };
        for (bound, least, most) in CHANGES {
            if self.dice.happens(30) {
                let value = least + self.dice.below(most - least);
                limits.set(bound, value).unwrap();
            }
        }
        self.note(format_args!("reload {number}"));
        self.side = Side::new(number, limits, weather, &self.house);
    }

    fn is_dead(&self, side: &Side) -> bool {
        let period = self.now().duration_since(self.start).as_secs() / 10;
        Dice::new(self.seed ^ period).happens(side.weather.dead)
    }

    fn arrive(&mut self) {
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH];
        let method = self.dice.pick(&methods).clone();
        let whole = self.dice.happens(80);
        let side = Rc::clone(&self.side);
        let repeats = match is_idempotent(&method) || side.weather.keyed {
            true => Repeats::Harmless,
            false => Repeats::Harmful,
        };
        let request = Request {
            number: self.delivered.len(),
            side,
            method,
            begun: self.now(),
            due: None,
            again: false,
            call: Call::new(whole.then_some(()), repeats),
        };
        self.delivered.insert(request.number, 0);
        match self.dice.happens(30) {
            // Until its body is here.
            true => {
                let wait = self.dice.up_to(request.side.weather.pause * 4);
                self.soon(wait, Event::Begin(request));
            }
            false => self.enter(request),
        }
    }

    fn enter(&mut self, mut request: Request) {
        let (now, side) = (self.now(), Rc::clone(&request.side));
        request.begun = now;
        let may = side.standing.enter(now);
        let rests_until = side.told.borrow().rests_until;
        match rests_until {
            None => self.hold(may.is_ok(), "an upstream that does not rest is called"),
            Some(until) if now < until => {
                let left = until.saturating_duration_since(now);
                let wait_s = u64::try_from(left.as_millis().div_ceil(1_000)).unwrap();
                self.hold(
                    may == Err(Refusal::UpstreamResting { wait_s }),
                    "one that rests is not",
                );
            }
            Some(_) => {
                self.hold(may.is_ok(), "one is sent to try");
                side.told.borrow_mut().rests_until = Some(after(now, side.rules.circuit_rest));
            }
        }
        self.note(format_args!(
            "{} of {} {} {may:?}",
            request.number, side.number, request.method
        ));
        if may.is_ok() {
            self.begin(request);
        }
    }

    /// As `Target::send` does, up to where it waits.
    fn begin(&mut self, request: Request) {
        let (now, side) = (self.now(), Rc::clone(&request.side));
        let kept = match request.call.may_use_kept() {
            true => side.pool.take(now, &side.standing),
            false => None,
        };
        if let Some(Kept { link, idle }) = kept {
            self.check_reuse(&side, &link, idle);
            return self.send(request, link, Some(idle));
        }
        let latency = side.weather.latency;
        let (wait, how) = match (self.is_dead(&side), self.dice.happens(50)) {
            (false, _) => (latency * 2, Ok(())),
            (true, true) => (
                latency * 2,
                Err(Refusal::UpstreamUnreachable {
                    fault: UpstreamFault::Refused,
                }),
            ),
            (true, false) => (
                side.connect(),
                Err(Refusal::UpstreamTimeout {
                    fault: UpstreamFault::Timeout,
                }),
            ),
        };
        self.soon(wait, Event::Connected(request, how));
    }

    fn connected(&mut self, request: Request, how: Result<(), Refusal>) {
        let side = Rc::clone(&request.side);
        if let Err(refusal) = how {
            side.standing.failed(self.now());
            self.told_failed(&side);
            return self.finish(&request, &refusal);
        }
        self.wires += 1;
        let wire = Wire {
            id: self.wires,
            of: side.number,
            opened: self.now(),
            now: Rc::clone(&self.now),
            latency: side.weather.latency,
            closes_at: after(self.now(), Duration::from_secs(3_600)),
            surplus_at: None,
            kept_at: self.now(),
            closed: Rc::clone(&side.told.borrow().closed),
        };
        self.send(request, wire, None);
    }

    fn send(&mut self, mut request: Request, wire: Wire, idle: Option<Duration>) {
        let on_a_new_one = idle.is_none() || !request.again;
        self.hold(
            on_a_new_one,
            "what is sent once more goes on a new connection",
        );
        let side = Rc::clone(&request.side);
        self.hold(
            wire.of == side.number,
            "no connection serves two configurations",
        );
        let (now, latency) = (self.now(), side.weather.latency);
        let due = *request.due.get_or_insert_with(|| after(now, side.head()));
        self.note(format_args!("{} on {} {idle:?}", request.number, wire.id));
        if wire.closes_at < after(now, latency) {
            // The upstream has closed it, or will have when this gets there.
            let why = (Refusal::UpstreamBroken, Heard::Nothing);
            return self.soon(latency * 2, Event::Failed(request, idle, why));
        }
        *self.delivered.get_mut(&request.number).unwrap() += 1;
        let left = due.saturating_duration_since(now);
        let took = latency * 2 + self.dice.up_to(Duration::from_millis(200));
        let heard = match self.dice.happens(50) {
            true => Heard::Nothing,
            false => Heard::Something,
        };
        if self.is_dead(&side) || self.dice.happens(side.weather.silent) || took > left {
            let why = (Refusal::UPSTREAM_SILENT, heard);
            self.soon(left, Event::Failed(request, idle, why));
        } else if self.dice.happens(side.weather.broken) {
            let why = (Refusal::UpstreamBroken, heard);
            self.soon(took, Event::Failed(request, idle, why));
        } else {
            self.soon(took, Event::Head(request, wire));
        }
    }

    fn failed(&mut self, mut request: Request, idle: Option<Duration>, why: (Refusal, Heard)) {
        let (now, side) = (self.now(), Rc::clone(&request.side));
        let again = request.call.failed(why, idle, now, &side.standing);
        match (why, idle) {
            ((Refusal::UpstreamBroken, Heard::Nothing), Some(idle)) => {
                self.told_stale(&side, idle);
            }
            _ => self.told_failed(&side),
        }
        match again {
            Some(()) => {
                self.note(format_args!("{} again", request.number));
                request.again = true;
                self.hold(
                    why == (Refusal::UpstreamBroken, Heard::Nothing),
                    "no byte came",
                );
                self.begin(request);
            }
            None => self.finish(&request, &why.0),
        }
    }

    fn answered(&mut self, request: &Request, mut wire: Wire) {
        let (now, side) = (self.now(), &request.side);
        side.standing.answered();
        let tried = side.told.borrow_mut().rests_until.take().is_some();
        if tried {
            side.told.borrow_mut().failed.clear();
        }
        self.finish(request, &"answered");
        if self.dice.happens(side.weather.cut) {
            side.standing.failed(now);
            return self.told_failed(side);
        }
        side.standing.came_whole();
        side.told.borrow_mut().failed.clear();
        // From its answer on, which left a while ago.
        let closes_at = after(now, side.weather.patience);
        wire.kept_at = now;
        wire.closes_at = closes_at.checked_sub(side.weather.latency).unwrap();
        if self.dice.happens(side.weather.surplus) {
            let wait = self.dice.up_to(side.weather.pause);
            wire.surplus_at = Some(after(now, wait));
        }
        side.pool.keep(wire, now, &side.standing);
    }

    fn finish(&mut self, request: &Request, how: &dyn std::fmt::Debug) {
        self.note(format_args!("{} {how:?}", request.number));
        let side = &request.side;
        let most = if request.call.may_use_kept() {
            side.connect()
        } else {
            2 * side.connect()
        };
        let waited = self.now().duration_since(request.begun);
        self.hold(
            waited <= most + side.head(),
            "nobody waits beyond the bounds",
        );
        let got = self.delivered[&request.number];
        let may_be_twice = is_idempotent(&request.method) || side.weather.keyed;
        self.hold(got <= if may_be_twice { 2 } else { 1 }, "sent too often");
    }

    fn check_reuse(&self, side: &Side, wire: &Wire, idle: Duration) {
        let (now, rules, told) = (self.now(), &side.rules, side.told.borrow());
        let most = side.limits.time(Bound::UpstreamIdle);
        self.hold(idle < most, "not beyond the limit");
        let age = now.duration_since(wire.opened);
        self.hold(
            age < side.limits.time(Bound::UpstreamAge),
            "none that is old",
        );
        self.hold(
            wire.surplus_at.is_none_or(|at| at > now),
            "not after an oddity",
        );
        let open = after(wire.closes_at, wire.latency) > now;
        self.hold(open, "not one that is known to be closed");
        let rests = told.no_reuse_until.is_some_and(|until| now < until);
        self.hold(!rests, "none while they break");
        for (age, at) in told.closed.borrow().iter() {
            if now.duration_since(*at) < rules.idle_memory {
                self.hold(
                    idle * 5 <= *age * 4,
                    "not near an age at which one was closed",
                );
                self.hold(*age >= rules.idle_floor, "none if that is very young");
            }
        }
    }

    fn told_failed(&mut self, side: &Side) {
        let (now, rules) = (self.now(), side.rules);
        let most = side.limits.size(Bound::UpstreamCircuitFailures);
        let mut told = side.told.borrow_mut();
        if told.rests_until.is_some() {
            return;
        }
        told.failed.push(now);
        let recent = |at: &&Instant| now.duration_since(**at) < rules.circuit_window;
        if told.failed.iter().filter(recent).count() >= most {
            told.failed.clear();
            told.rests_until = Some(after(now, rules.circuit_rest));
            self.note(format_args!("{} rests", side.number));
        }
        self.hold(
            side.standing.rests_since().is_some() == told.rests_until.is_some(),
            "it rests in time",
        );
    }

    fn told_stale(&self, side: &Side, idle: Duration) {
        let (now, rules) = (self.now(), side.rules);
        let mut told = side.told.borrow_mut();
        told.closed.borrow_mut().push((idle, now));
        let before = told.stale.last().copied();
        told.stale.push(now);
        if before.is_some_and(|at| now.duration_since(at) < rules.stale_window) {
            told.no_reuse_until = Some(after(now, rules.stale_rest));
            told.stale.clear();
        }
    }
}

/// All that happened under that seed.
fn run(seed: u64) -> String {
    World::new(seed).run()
}

/// A body that an upstream reads at any pace, and an answer that never comes: how long is waited,
/// and how long that was since the upstream took something.
async fn wait_for_an_answer(dice: &mut Dice) -> (Duration, Duration) {
    let clock = Clock::paused();
    let millis = 10 + dice.below(30_000);
    let wait = Duration::from_millis(millis);
    let mut moments = vec![0];
    for _ in 0..dice.below(15) {
        let most = 1 + millis * *dice.pick(&[50, 90, 150]) / 100;
        moments.push(moments[moments.len() - 1] + 1 + dice.below(most));
    }
    let facts = Arc::<Facts>::default();
    let begun = clock.now();
    let mut patience = Patience {
        due: after(begun, wait),
        wait,
        facts: Some(Arc::clone(&facts)),
        received: 0,
        clock: clock.clone(),
    };
    let mut alarm = Alarm::at(begun);
    alarm.set(patience.due);
    let start = tokio::time::Instant::now();
    let reading = async {
        for (count, moment) in (1..).zip(&moments[1..]) {
            tokio::time::sleep_until(start + Duration::from_millis(*moment)).await;
            facts.came(count);
        }
        std::future::pending::<()>().await;
    };
    clock.jump(dice.next() >> 30);
    tokio::select! {
        biased;
        () = reading => unreachable!("it waits for ever"),
        () = std::future::poll_fn(|cx| patience.poll(&mut alarm, cx)) => {}
    }
    let waited = clock.now().duration_since(begun);
    let past = |moment: &&u64| Duration::from_millis(**moment) <= waited;
    let last = Duration::from_millis(*moments.iter().rfind(past).unwrap());
    (wait, waited - last)
}

fn wait_under(seed: u64) -> (Duration, Duration) {
    let (wait, since) = in_paused_time(wait_for_an_answer(&mut Dice::new(seed)));
    let slack = Duration::from_millis(2);
    assert!(
        since + slack >= wait,
        "{since:?} of {wait:?}: one that reads on"
    );
    assert!(
        since <= wait * 2 + slack,
        "{since:?} of {wait:?}: one that does not"
    );
    (wait, since)
}

#[test]
fn five_hundred_upstreams_that_read_at_any_pace() {
    run_days(DAYS, wait_under);
    let longer = (0..100)
        .map(wait_under)
        .filter(|(wait, since)| since > wait);
    assert!(longer.count() > 20, "some read on");
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_upstreams_that_read_at_any_pace() {
    run_days(LONG_DAYS, wait_under);
}

#[test]
fn one_seed_waits_the_same_way_each_time() {
    assert_repeatable(|seed| format!("{:?}", wait_under(seed)));
}

#[test]
fn five_hundred_bad_days() {
    run_days(DAYS, run);
}

#[test]
fn one_seed_runs_the_same_way_each_time() {
    assert_repeatable(run);
}

#[test]
fn the_days_are_bad_enough() {
    let all: String = (0..100).map(run).collect();
    for thing in [
        " again",
        " rests",
        "reload ",
        "UpstreamResting",
        "UpstreamTimeout",
        "Some(",
    ] {
        assert!(all.matches(thing).count() > 20, "{thing}");
    }
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_bad_days() {
    run_days(LONG_DAYS, run);
}
