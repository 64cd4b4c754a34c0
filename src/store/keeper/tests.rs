//! The register under bad days that a seed makes up: a file on a disk that fills up, fails in the
//! middle of a commit and loses power, or a server between two nodes that loses answers and comes
//! back from an older copy. Keys are rotated, fewer of them accepted, and vendors come and go, by
//! reloads. The keeper's turns are taken one by one, on the thread of the test.
//!
//! See [`crate::dice`] for how to run a seed that fails again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
use crate::names::VendorId;
use crate::pseudonym::{
    Asked, Back, Form, Identifier, KindSpec, Notation, Recall, Register as _, RegisterKey, Seal,
};
use crate::store::Settling;
use crate::store::backend::{Mark, Row};
use crate::store::tests::{
    Bed as _, Disk, DiskBed, Fails, NOW, PUPIL, generations, pseudonym_with, schools, spec,
};

/// What is done in a day.
const STEPS: usize = 60;
/// So many messages may wait.
const WAITING_MAX: usize = 4;
/// Two vendors: where pseudonyms are long, and where they meet. Each with its keys, oldest first.
const VENDORS: [([u8; 3], Notation); 2] = [
    ([7, 17, 27], Notation::Uuid),
    ([9, 19, 29], Notation::Digits(6)),
];

/// A key, by its byte.
type Key = u8;

fn vendor_of(key: Key) -> usize {
    let mut vendors = VENDORS.iter();
    vendors.position(|(keys, _)| keys.contains(&key)).unwrap()
}

fn kind(vendor: usize) -> KindSpec {
    spec("pupil", VENDORS[vendor].1.clone(), Back::SchoolOnly)
}

fn made(key: Key, id: &str) -> String {
    pseudonym_with(key, kind(vendor_of(key)), id)
}

/// The pseudonym of one of the [`PUPILS`].
fn pseudonym(key: Key, id: &str) -> &'static str {
    static MADE: LazyLock<BTreeMap<Key, BTreeMap<&str, String>>> = LazyLock::new(|| {
        let of = |key| PUPILS.iter().map(move |id| (id.as_str(), made(key, id)));
        let keys = VENDORS.iter().flat_map(|(keys, _)| *keys);
        keys.map(|key| (key, of(key).collect())).collect()
    });
    &MADE[&key][id]
}

/// Pupils, some of them in two spellings, some that would have one pseudonym, under one key or
/// under two, and some whose rows fill a page of a file.
static PUPILS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let long = |number: usize| format!("S-{number}{}", "-".repeat(number * 80));
    let mut pupils: Vec<String> = (0..12).map(long).collect();
    pupils.extend([" S-0", "S-0\t", " S-0 "].map(str::to_owned));
    let mut first = BTreeMap::new();
    for (key, count) in [(9, 3_000), (19, 1_500), (29, 500)] {
        let before = pupils.len();
        for number in 0..count {
            let id = format!("T-{number}");
            if let Some(other) = first.insert(made(key, &id), id.clone()) {
                pupils.extend([other, id]);
            }
        }
        assert!(pupils.len() > before, "some of 900,000 meet");
    }
    pupils
});

/// What a pupil is called in what is told of a day.
fn name(id: &str) -> &str {
    id.trim_end_matches('-')
}

/// A server that several nodes keep their register on.
#[derive(Default)]
struct Server {
    rows: Vec<Kept>,
    /// What there is besides, while an older copy is in its place.
    newer: Option<Vec<Kept>>,
    /// The row that does not open, and what it was.
    damaged: Option<Kept>,
    next: u64,
    dice: Option<Dice>,
    /// Of a hundred calls, so many fail.
    fails: u64,
}

#[derive(Clone)]
struct Kept {
    number: u64,
    school: String,
    kind: String,
    lookup: [u8; 16],
    sealed: Vec<u8>,
    day: u32,
}

/// What becomes of a call.
#[derive(PartialEq)]
enum Call {
    /// It is done, and nobody hears of it.
    Unheard,
    Well,
    /// Nothing is done, or not all.
    Fails,
}

impl Server {
    fn call(&mut self) -> Call {
        let fails = self.fails;
        let dice = self.dice.as_mut().unwrap();
        match (dice.happens(fails), dice.happens(50)) {
            (false, _) => Call::Well,
            (true, true) => Call::Unheard,
            (true, false) => Call::Fails,
        }
    }

    fn has(&self, school: &str, lookup: &[u8; 16]) -> Option<&Kept> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.school == school && row.lookup == *lookup)
    }

    fn insert(&mut self, row: &NewRow<'_>) {
        let school = row.school.as_str();
        let lookup = match (self.has(school, &row.lookup), row.spelling) {
            (None, _) => row.lookup,
            (Some(there), Some(spelling)) if there.sealed != row.sealed => spelling,
            (Some(_), _) => return,
        };
        if self.has(school, &lookup).is_none() {
            self.next += 1 + self.dice.as_mut().unwrap().below(3);
            self.rows.push(Kept {
                number: self.next,
                school: school.to_owned(),
                kind: row.kind.to_owned(),
                lookup,
                sealed: row.sealed.clone(),
                day: row.day,
            });
        }
    }
}

/// The school that no message of a day is about.
const OTHER: &str = "regenboog";

impl Server {
    /// Whether all is well, but perhaps with the rows of another school.
    fn is_well(&self) -> bool {
        let own = self.damaged.as_ref().is_some_and(|row| row.school != OTHER);
        self.fails == 0 && self.newer.is_none() && !own
    }

    fn insert_of_the_other_school(&mut self) {
        let (id, key) = schools().remove(0);
        let mut seal = Seal::new(&key, &id, "pupil");
        let text = format!("R-{}", self.next);
        let row = NewRow {
            school: &id,
            kind: "pupil",
            form: Form::Text,
            id: Identifier::new(&text),
            lookup: seal.lookup(&text),
            spelling: None,
            sealed: seal.close(Form::Text, Identifier::new(&text)),
            day: 1,
        };
        self.insert(&row);
    }
}

fn failed() -> Fault {
    let cause = std::io::ErrorKind::ConnectionReset.into();
    Fault::file(Path::new("the wire"), cause)
}

/// A node's connection to the server.
#[derive(Clone, Default)]
struct Client {
    server: Arc<Mutex<Server>>,
    /// The last row that the node has read all before of; `None` if it has read nothing.
    seen: Arc<Mutex<Option<u64>>>,
    /// Whether the server had it no more when the node asked last.
    misses: Arc<Mutex<bool>>,
}

impl Backend for Client {
    fn append(&mut self, _: Mark, rows: &[NewRow<'_>]) -> Result<Appended, Fault> {
        let mut server = self.server.lock().unwrap();
        let call = server.call();
        if call == Call::Fails {
            return Err(failed());
        }
        rows.iter().for_each(|row| server.insert(row));
        match call {
            Call::Well => Ok(Appended::Among),
            Call::Unheard | Call::Fails => Err(failed()),
        }
    }

    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
        let mut server = self.server.lock().unwrap();
        let call = server.call();
        if call == Call::Fails {
            return Err(failed());
        }
        let last = server.rows.last().map_or(0, |row| row.number);
        let mut seen = self.seen.lock().unwrap();
        *self.misses.lock().unwrap() = seen.is_some_and(|seen| seen > last);
        let there = |row: &Kept| (row.number, row.lookup) == (after.number, after.lookup);
        if after.number > 0 && !server.rows.iter().any(there) {
            return Err(Fault::Lost { row: after.number });
        }
        let rows = server.rows.iter().filter(|row| row.number > after.number);
        // One that breaks off has given some of them.
        let few = if call == Call::Well { usize::MAX } else { 2 };
        for row in rows.take(few) {
            each(Row {
                number: row.number,
                school: &row.school,
                kind: &row.kind,
                lookup: row.lookup,
                sealed: &row.sealed,
                day: row.day,
            });
        }
        match call {
            Call::Well => {
                // One school is read from the beginning.
                if after.number > 0 || seen.is_none() {
                    *seen = Some(last);
                }
                Ok(())
            }
            Call::Unheard | Call::Fails => Err(failed()),
        }
    }

    fn writers(&self) -> Writers {
        Writers::Many
    }
}

/// Where the register of a day is kept.
enum Place {
    File(Disk),
    Server(Arc<Mutex<Server>>),
}

/// A gateway, as far as it keeps a register.
struct Node {
    shared: Arc<Shared>,
    keeper: Keeper,
    jobs: Receiver<Job>,
    misses: Arc<Mutex<bool>>,
    waiting: Vec<Message>,
    /// What is in force; `None` of a vendor that is gone, or whose school is not known.
    laws: Vec<Option<Rc<Law>>>,
    /// What was, as long as exchanges are under way that began with it.
    former: Vec<Rc<Law>>,
}

/// What the files say of a vendor.
#[derive(Clone, Copy, Debug)]
struct Filed {
    /// So many keys its ring has.
    keys: usize,
    /// So many of them are accepted, the newest first.
    accepted: usize,
    gone: bool,
}

/// A vendor under one configuration.
#[derive(Debug)]
struct Law {
    vendor: usize,
    /// Newest first.
    accepted: Vec<Key>,
    retired: Vec<Key>,
    view: Arc<View>,
}

impl Law {
    fn newest(&self) -> Key {
        self.accepted[0]
    }

    /// Whether a pseudonym may mean somebody else too, whom another key gives the same.
    fn means_two(&self, key: Key, id: &str) -> bool {
        let pseudonym_of_id = pseudonym(key, id);
        let mut others = self.accepted.iter().filter(|other| **other != key);
        others.any(|key| {
            let mut pupils = PUPILS.iter().filter(|it| it.trim() != id.trim());
            pupils.any(|it| pseudonym(*key, it) == pseudonym_of_id)
        })
    }
}

/// What waits for the register.
struct Message {
    number: usize,
    waits: Waits,
    settling: Settling,
}

enum Waits {
    /// For these to be written down; then they leave.
    ToLeave(Rc<Law>, Vec<&'static str>),
    /// For what others have written; then this one must be known.
    ToComeHome(Rc<Law>, Key, &'static str),
    School,
}

type Schools = Vec<(SchoolId, RegisterKey)>;

struct World {
    dice: Dice,
    place: Place,
    clock: Clock,
    nodes: Vec<Option<Node>>,
    /// What the next reload or start reads, of each vendor.
    filed: [Filed; VENDORS.len()],
    /// What has left: for each key and pseudonym, whom it stands for.
    given: BTreeMap<(Key, &'static str), &'static str>,
    messages: usize,
    trace: String,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (place, nodes) = match dice.happens(50) {
            true => (Place::File(Disk::new()), 1),
            false => (Place::Server(Arc::default()), 2),
        };
        if let Place::Server(server) = &place {
            server.lock().unwrap().dice = Some(Dice::new(dice.next()));
        }
        Self {
            dice,
            place,
            clock: Clock::test(NOW),
            nodes: (0..nodes).map(|_| None).collect(),
            filed: [Filed {
                keys: 1,
                accepted: 3,
                gone: false,
            }; VENDORS.len()],
            given: BTreeMap::new(),
            messages: 0,
            trace: String::new(),
        }
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.trace, "{what}").unwrap();
    }

    fn hold(&self, holds: bool, what: &str) {
        assert!(holds, "{what}, after\n{}", self.trace);
    }

    fn run(mut self) -> String {
        for _ in 0..STEPS {
            let node = self.dice.place(self.nodes.len());
            if self.nodes[node].is_none() {
                self.start_again(node);
                continue;
            }
            match self.dice.below(100) {
                0..36 => self.arrive(node),
                36..58 => self.turn(node),
                58..70 => self.come_home(node),
                70..80 => self.reload(node),
                80..86 => self.change_weather(),
                86..90 => self.lose_or_find(),
                90..92 => self.damage_or_mend(),
                92..96 => self.stop(node),
                _ => self.crash(node),
            }
        }
        self.end();
        self.trace
    }

    fn start_again(&mut self, node: usize) {
        let known = self.schools();
        self.start(node, known);
        if self.nodes[node].is_none() {
            // What keeps it from starting may pass.
            self.change_weather();
        }
    }

    /// What a configuration knows: sometimes the school comes later.
    fn schools(&mut self) -> Schools {
        let mut known = schools();
        if self.dice.happens(30) {
            known.truncate(1);
        }
        known
    }

    fn start(&mut self, number: usize, known: Schools) {
        let mut client = Client::default();
        let backend: Result<Box<dyn Backend>, Fault> = match &self.place {
            Place::File(disk) => DiskBed(disk.clone()).backend(),
            Place::Server(server) => {
                client.server = Arc::clone(server);
                Ok(Box::new(client.clone()))
            }
        };
        let misses = client.misses;
        let opened = backend.and_then(|backend| {
            let (jobs, received) = sync_channel(WAITING_MAX);
            let (clock, writers) = (self.clock.clone(), backend.writers());
            let shared = Arc::new(Shared::new(known, jobs, writers, clock.clone()));
            let wanted = (clock, Wanted::Usable);
            let keeper = Keeper::new(Arc::clone(&shared), backend, wanted)?;
            Ok((shared, keeper, received))
        });
        let how = opened.as_ref().map(|_| "well").map_err(Fault::code);
        self.note(format_args!("{number} starts {how:?}"));
        let trouble = match &self.place {
            Place::File(disk) => disk.is_in_trouble(),
            Place::Server(server) => {
                let server = server.lock().unwrap();
                server.fails > 0 || server.damaged.is_some()
            }
        };
        self.hold(opened.is_ok() || trouble, "what was a register is one");
        self.nodes[number] = opened.ok().map(|(shared, keeper, jobs)| Node {
            shared,
            keeper,
            jobs,
            misses,
            waiting: Vec::new(),
            laws: Vec::new(),
            former: Vec::new(),
        });
        if self.nodes[number].is_some() {
            self.deploy(number);
        }
        if self.nodes[number].is_some() && !self.has_lost_some() {
            self.check_all(number);
        }
    }

    /// What stands in the files comes into force.
    fn deploy(&mut self, number: usize) {
        let vendors = 0..VENDORS.len();
        let laws = vendors.map(|vendor| self.law_of(number, vendor)).collect();
        self.node(number).laws = laws;
        let filed = self.filed;
        self.note(format_args!("{number} goes by {filed:?}"));
    }

    fn law_of(&mut self, number: usize, vendor: usize) -> Option<Rc<Law>> {
        let Filed {
            keys,
            accepted,
            gone,
        } = self.filed[vendor];
        let shared = Arc::clone(&self.node(number).shared);
        let school = shared.school_named("zonnebloem").filter(|_| !gone)?;
        let keys: Vec<Key> = VENDORS[vendor].0[..keys].iter().rev().copied().collect();
        let (accepted, retired) = keys.split_at(accepted.min(keys.len()));
        let name = VendorId::parse(&format!("vendor-{vendor}")).unwrap();
        let keys = generations(accepted, retired, &[kind(vendor)]);
        let view = Arc::new(View::new(shared, school, name, &keys));
        // A matter of speed, and of nothing else.
        if self.dice.happens(50) {
            view.warm();
        }
        Some(Rc::new(Law {
            vendor,
            accepted: accepted.to_vec(),
            retired: retired.to_vec(),
            view,
        }))
    }

    /// A node reads the files again, which may have changed. What is under way there goes on by
    /// what it began with.
    fn reload(&mut self, number: usize) {
        if self.dice.happens(70) {
            self.change_files();
        }
        let Node { laws, former, .. } = self.nodes[number].as_mut().unwrap();
        former.extend(laws.drain(..).flatten());
        former.retain(|_| self.dice.happens(60));
        self.deploy(number);
    }

    /// A vendor gets a new key, more or fewer of its keys are accepted, it goes or comes back.
    fn change_files(&mut self) {
        let vendor = self.dice.place(VENDORS.len());
        let filed = &mut self.filed[vendor];
        match self.dice.below(10) {
            _ if filed.gone => filed.gone = false,
            0..5 => filed.keys = VENDORS[vendor].0.len().min(filed.keys + 1),
            5..9 => filed.accepted = *self.dice.pick(&[1, 2, 3, 3]),
            _ => filed.gone = true,
        }
    }

    /// The newest key of a vendor's ring.
    const fn newest(&self, vendor: usize) -> Key {
        VENDORS[vendor].0[self.filed[vendor].keys - 1]
    }

    /// By what an exchange goes that is under way: what is in force, or was when it began.
    fn law(&mut self, number: usize, vendor: usize) -> Option<Rc<Law>> {
        let Node { laws, former, .. } = self.nodes[number].as_ref().unwrap();
        let former = former.iter().filter(|law| law.vendor == vendor);
        let former: Vec<_> = former.map(Rc::clone).collect();
        match !former.is_empty() && self.dice.happens(40) {
            true => Some(Rc::clone(self.dice.pick(&former))),
            false => laws[vendor].clone(),
        }
    }

    fn has_lost_some(&self) -> bool {
        match &self.place {
            Place::File(_) => false,
            Place::Server(server) => {
                let server = server.lock().unwrap();
                server.newer.is_some() || server.damaged.is_some()
            }
        }
    }

    /// A row of the server is changed, of this school or the other; or is put back.
    fn damage_or_mend(&mut self) {
        let Place::Server(server) = &self.place else {
            return;
        };
        let mut server = server.lock().unwrap();
        let what = match server.damaged.take() {
            Some(good) => {
                let mut rows = server.rows.iter_mut();
                let bad = rows.find(|row| row.number == good.number).unwrap();
                *bad = good;
                "is mended"
            }
            None if server.newer.is_some() => return,
            None => {
                let own = self.dice.happens(50) && !server.rows.is_empty();
                if !own {
                    server.insert_of_the_other_school();
                }
                let last = server.rows.len() - 1;
                let place = if own { self.dice.place(last + 1) } else { last };
                server.damaged = Some(server.rows[place].clone());
                server.rows[place].sealed[0] ^= 1;
                if own {
                    "is damaged"
                } else {
                    "is damaged elsewhere"
                }
            }
        };
        drop(server);
        self.note(format_args!("a row {what}"));
    }

    /// Whether what a node is asked for cannot fail but by what is asked.
    fn must_work(&mut self, node: usize) -> bool {
        let school = self.node(node).shared.school_named("zonnebloem");
        let whole = school.is_some_and(|school| school.is_whole().is_ok());
        match &self.place {
            Place::File(_) => false,
            Place::Server(server) => whole && server.lock().unwrap().is_well(),
        }
    }

    fn node(&mut self, number: usize) -> &mut Node {
        self.nodes[number].as_mut().unwrap()
    }

    /// That of one more message.
    const fn number(&mut self) -> usize {
        self.messages += 1;
        self.messages
    }

    /// A message arrives, with pupils in it.
    fn arrive(&mut self, node: usize) {
        let vendor = self.dice.place(VENDORS.len());
        let Some(law) = self.law(node, vendor) else {
            return self.find_nobody(node);
        };
        let view = Arc::clone(&law.view);
        let pupils: BTreeSet<&str> = (0..=self.dice.below(4))
            .map(|_| self.dice.pick(&PUPILS).as_str())
            .collect();
        let mut batch = Batch::new();
        for id in &pupils {
            let id = Identifier::new(id);
            view.remember(PUPIL, id, Form::Text, &mut batch).unwrap();
        }
        let (number, pupils) = (self.number(), Vec::from_iter(pupils));
        let new = batch.len();
        let names: Vec<_> = pupils.iter().map(|id| name(id)).collect();
        self.note(format_args!(
            "{number} at {node} for {}: {names:?}, {new} new",
            law.newest()
        ));
        match batch.is_empty() {
            true => self.leave(node, &law, &pupils),
            false => {
                let settling = view.settle(batch);
                self.wait(node, Waits::ToLeave(law, pupils), settling);
            }
        }
    }

    /// There is no such vendor at a node: it is gone, or its school has yet to come.
    fn find_nobody(&mut self, node: usize) {
        if self.node(node).shared.school_named("zonnebloem").is_none() {
            self.ask_for_the_school(node);
        }
    }

    fn ask_for_the_school(&mut self, node: usize) {
        let (id, key) = schools().remove(1);
        let school = Arc::new(School::new(id, Arc::new(key)));
        let shared = &self.node(node).shared;
        let settling = shared.ask(|promise| Job::Learn { school, promise });
        let number = self.number();
        self.note(format_args!("{number} at {node}: the school"));
        self.wait(node, Waits::School, settling);
    }

    /// A pseudonym that has left comes back, here or at another node.
    fn come_home(&mut self, node: usize) {
        // Sooner one of a former key, of which there are fewer.
        let former = self.dice.happens(50);
        let all = self.given.iter();
        let all = all.filter(|((key, _), _)| !former || *key != self.newest(vendor_of(*key)));
        let all: Vec<_> = all.collect();
        if all.is_empty() {
            return;
        }
        let ((key, _), id) = *self.dice.pick(&all);
        let (key, id) = (*key, *id);
        let Some(law) = self.law(node, vendor_of(key)) else {
            return self.find_nobody(node);
        };
        let (number, recall) = (self.number(), self.recall(&law, key, id, Asked::First));
        let Law {
            accepted, retired, ..
        } = &*law;
        let means_two = law.means_two(key, id);
        self.note(format_args!(
            "{number} at {node}: {:?} of {key} by {accepted:?}, not {retired:?}: {recall:?}{}",
            name(id),
            if means_two { ", or another" } else { "" },
        ));
        if !matches!(recall, Recall::Found { .. }) {
            let settling = law.view.catch_up();
            self.wait(node, Waits::ToComeHome(law, key, id), settling);
        }
    }

    /// What becomes of the pseudonym that a pupil has by a key. If it leads to somebody, that is
    /// who has it by a key that is accepted.
    fn recall(&self, law: &Law, key: Key, id: &str, asked: Asked) -> Recall {
        let mut found = Vec::new();
        let pseudonym_of_id = pseudonym(key, id);
        let recall = law.view.recall(PUPIL, pseudonym_of_id, asked, &mut found);
        if let Recall::Found { age, .. } = recall {
            let found = String::from_utf8(found).unwrap();
            let theirs = pseudonym(law.accepted[age], &found) == pseudonym_of_id;
            self.hold(theirs, "it leads to whose it is");
            let same = found.trim() == id.trim();
            let accepted = law.accepted.contains(&key);
            self.hold(same || !accepted, "it leads to nobody else");
        }
        recall
    }

    /// The same, where everything is known: it leads home, or to nobody if nobody can tell whom it
    /// means. One of a key that is not accepted any more is known for that.
    fn check(&self, law: &Law, key: Key, id: &str) -> Recall {
        let recall = self.recall(law, key, id, Asked::Again);
        let known = match recall {
            Recall::Found { .. } => true,
            Recall::Retired => !law.accepted.contains(&key),
            Recall::Foreign | Recall::Unknown => {
                !law.accepted.contains(&key) && !law.retired.contains(&key)
            }
        };
        let known = known || law.means_two(key, id);
        self.hold(known, "what left anywhere is known to who has caught up");
        recall
    }

    fn wait(&mut self, node: usize, waits: Waits, settling: Settling) {
        let number = self.messages;
        self.node(node).waiting.push(Message {
            number,
            waits,
            settling,
        });
        // What could not even be asked for is over at once.
        self.look_at_those_who_wait(node);
    }

    fn turn(&mut self, node: usize) {
        let Node { keeper, jobs, .. } = self.node(node);
        let then = keeper.turn(jobs, Duration::ZERO);
        self.hold(then == Then::GoOn, "nobody told it to stop");
        let trouble = self.node(node).shared.health.state().0;
        let trouble = trouble.map(|(fault, _)| fault.code());
        self.note(format_args!("{node} turns: {trouble:?}"));
        self.look_at_those_who_wait(node);
        let left = self.node(node).waiting.len();
        self.hold(left == 0, "nobody waits for more than a turn");
        let passed = self.dice.up_to(Duration::from_hours(40));
        self.clock.turn(passed);
    }

    fn look_at_those_who_wait(&mut self, node: usize) {
        let mut cx = Context::from_waker(Waker::noop());
        for mut message in std::mem::take(&mut self.node(node).waiting) {
            let Poll::Ready(done) = Pin::new(&mut message.settling).poll(&mut cx) else {
                self.node(node).waiting.push(message);
                continue;
            };
            self.note(format_args!("{} {done:?}", message.number));
            match (message.waits, done) {
                (Waits::ToLeave(law, pupils), Ok(())) => self.leave(node, &law, &pupils),
                (Waits::ToComeHome(law, key, id), Ok(())) => {
                    let recall = self.check(&law, key, id);
                    self.note(format_args!("{} {recall:?}", message.number));
                }
                (Waits::School, Ok(())) => {
                    let came = self.node(node).shared.school_named("zonnebloem");
                    self.hold(came.is_some(), "the school is there");
                    // That was the first half of a reload.
                    self.deploy(node);
                }
                (_, Err(StoreFault::Busy | StoreFault::Collision)) => {}
                (_, Err(_)) => {
                    let must_work = self.must_work(node);
                    self.hold(!must_work, "no school is stopped by another");
                }
            }
        }
    }

    /// A message leaves: from now on these pseudonyms are out there for ever.
    fn leave(&mut self, node: usize, law: &Law, pupils: &[&'static str]) {
        let misses = *self.node(node).misses.lock().unwrap();
        self.hold(!misses, "nothing leaves while rows are missed");
        for id in pupils {
            let key = law.newest();
            let is = *{ self.given.entry((key, pseudonym(key, id))) }.or_insert(id);
            self.hold(is.trim() == id.trim(), "a pseudonym stands for one");
        }
        if self.dice.happens(5) {
            self.check_durable();
        }
    }

    /// Whether all that has left would be known if everything stopped now.
    fn check_durable(&mut self) {
        let node = match &self.place {
            Place::Server(_) => return,
            Place::File(disk) => {
                let disk = disk.after_a_torn_write(|| false);
                let place = Place::File(disk);
                std::mem::replace(&mut self.place, place)
            }
        };
        let nodes = std::mem::replace(&mut self.nodes, vec![None]);
        self.start(0, schools());
        (self.place, self.nodes) = (node, nodes);
    }

    /// All that has left is known to a node that has just read everything.
    fn check_all(&mut self, node: usize) {
        let laws = self.node(node).laws.clone();
        for law in laws.iter().flatten() {
            law.view.warm();
            let given = { self.given.iter() }.filter(|((key, _), _)| law.accepted.contains(key));
            given.for_each(|((key, _), id)| {
                self.check(law, *key, id);
            });
        }
    }

    fn change_weather(&mut self) {
        let fails = *self.dice.pick(&[0, 0, 10, 50, 100]);
        let (disk_fails, well) = match fails {
            0 => (Fails::Nothing, 0),
            _ => (
                *self.dice.pick(&[Fails::All, Fails::Sync, Fails::Write]),
                self.dice.place(16),
            ),
        };
        match &self.place {
            Place::Server(server) => server.lock().unwrap().fails = fails,
            Place::File(disk) => disk.soon(disk_fails, well),
        }
        self.note(format_args!("weather: {fails} {disk_fails:?} {well}"));
    }

    /// An older copy takes the place of what the server has; or what it had is put back.
    fn lose_or_find(&mut self) {
        let Place::Server(server) = &self.place else {
            return;
        };
        // Older than anything that a node has taken in: else it is no loss to that one. What lies
        // behind a row that does not open has been seen, and not taken in.
        let nodes = self.nodes.iter().flatten();
        let least = nodes.map(|node| node.keeper.reader.mark().number).min();
        let mut server = server.lock().unwrap();
        let what = match (server.newer.take(), least) {
            (Some(newer), _) => {
                server.rows = newer;
                "is put back"
            }
            (None, Some(1..))
                if server.damaged.is_none() && self.nodes.iter().all(Option::is_some) =>
            {
                let newer = server.rows.clone();
                let older = newer.iter().position(|row| Some(row.number) >= least);
                server.rows.truncate(older.unwrap());
                server.newer = Some(newer);
                "is an older copy"
            }
            (None, _) => return,
        };
        drop(server);
        self.note(format_args!("the server {what}"));
    }

    fn find(&mut self) {
        let lost = match &self.place {
            Place::File(_) => false,
            Place::Server(server) => server.lock().unwrap().newer.is_some(),
        };
        if lost {
            self.lose_or_find();
        }
    }

    /// A node is stopped, in order.
    fn stop(&mut self, number: usize) {
        self.find();
        self.note(format_args!("{number} stops"));
        let node = self.node(number);
        while node.shared.jobs.try_send(Job::Stop).is_err() {
            node.keeper.turn(&node.jobs, Duration::ZERO);
        }
        let then = node.keeper.turn(&node.jobs, Duration::ZERO);
        self.hold(then == Then::Stop, "it stops when it is told to");
        self.look_at_those_who_wait(number);
        let left = self.node(number).waiting.len();
        self.hold(left == 0, "who was there before gets an answer");
        self.nodes[number] = None;
    }

    /// A node is killed, or its machine loses power; those who wait hear of it.
    fn crash(&mut self, number: usize) {
        self.find();
        let power = self.dice.happens(70);
        let reached = *self.dice.pick(&[0, 50, 100]);
        self.note(format_args!("{number} ends: power {power}, {reached}"));
        if let Place::File(disk) = &self.place {
            let dice = &mut self.dice;
            let after = match power {
                true => disk.after_a_torn_write(|| dice.happens(reached)),
                false => disk.after_a_kill(),
            };
            self.place = Place::File(after);
        }
        let node = self.nodes[number].take().unwrap();
        let waiting = node.waiting;
        drop((node.keeper, node.jobs));
        for message in waiting {
            let told = message.settling.wait_for(Duration::ZERO);
            self.hold(told.is_err(), "nobody waits for a keeper that is gone");
        }
    }

    /// When all is well again, everything is there.
    fn end(&mut self) {
        self.find();
        match &self.place {
            Place::Server(server) => server.lock().unwrap().fails = 0,
            Place::File(disk) => disk.soon(Fails::Nothing, 0),
        }
        if self.has_lost_some() {
            self.damage_or_mend();
        }
        self.clock.turn(Duration::from_mins(1));
        for filed in &mut self.filed {
            (filed.accepted, filed.gone) = (filed.keys, false);
        }
        for number in 0..self.nodes.len() {
            if self.nodes[number].is_none() {
                self.start(number, schools());
            }
            self.turn(number);
            if self
                .node(number)
                .shared
                .school_named("zonnebloem")
                .is_none()
            {
                self.ask_for_the_school(number);
                self.turn(number);
            }
            self.deploy(number);
            let view = Arc::clone(&self.node(number).laws[0].as_ref().unwrap().view);
            let mut batch = Batch::new();
            let id = Identifier::new(["L-0", "L-1"][number]);
            view.remember(PUPIL, id, Form::Text, &mut batch).unwrap();
            let written = view.settle(batch);
            self.turn(number);
            let well = written.wait_for(Duration::ZERO).is_ok();
            self.hold(well, "a register that is well works");
            let trouble = self.node(number).shared.health.state().0;
            self.hold(trouble.is_none(), "and says that it does");
            self.check_all(number);
        }
        self.check_durable();
        let rows: usize = match &self.place {
            Place::Server(server) => {
                let server = server.lock().unwrap();
                let rows = server.rows.iter();
                let names: BTreeSet<_> = rows.map(|row| (&row.school, row.lookup)).collect();
                self.hold(names.len() == server.rows.len(), "each is there once");
                names.len()
            }
            Place::File(_) => 0,
        };
        self.note(format_args!("{rows} rows, {} given", self.given.len()));
    }
}

fn run(seed: u64) -> String {
    World::new(seed).run()
}

#[test]
fn five_hundred_bad_days_of_a_register() {
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
        "gone: true",
        "accepted: 1, ",
        "age: 2",
        ": Retired",
        "0 new",
        "Collision",
        "Err(Gone)",
        "rows_lost",
        "\"damaged\"",
        "is damaged elsewhere",
        "is mended",
        "Err(Damaged)",
        "is put back",
        "database_failed",
        "power true, 50",
        "power false",
        "Err(Busy)",
        "starts Err",
    ] {
        assert!(all.matches(thing).count() > 10, "{thing}");
    }
    assert!(all.contains(", or another"), "two keys meet");
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_bad_days_of_a_register() {
    run_days(LONG_DAYS, run);
}
