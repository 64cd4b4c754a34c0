//! The register: what it costs a message that an identifier is remembered, and found again.
//!
//! Read the ratios of one run; absolute figures drift with the machine, and with its disk.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops where it fails, is timed by the machine's clock, and says what it found"
)]

use std::cell::Cell;
use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use sluis::clock::Clock;
use sluis::limits::Limits;
use sluis::minimise::{Cleared, Crossing, Home, Law, Rewriter};
use sluis::names::{SchoolId, VendorId};
use sluis::policy::{IdKind, Index, Item, Keep, Policy, Rule, Side, ValueType};
use sluis::pseudonym::{
    Asked, Back, Batch, Canonical, Form, Generation, Identifier, Kind, KindSpec, Notation, Recall,
    Register, RegisterKey, Unknown, VendorKey,
};
use sluis::store::{Generations, Place, Store, View};

const BOARD: u32 = 100_000;
const COUNTRY: u32 = 2_400_000;
/// Pupils of one page, and pages that are timed.
const PAGE: u32 = 100;
const PAGES: u32 = 500;
/// A row of a 36-byte identifier, as it is written: school, kind, lookup, sealed and day.
const ROW_BYTES: usize = 120;
/// A UUID, as it is written.
const PSEUDONYM: usize = 36;

struct House {
    folder: tempfile::TempDir,
    store: Store,
}

impl House {
    fn with(pupils: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder.path().join("register/register.redb"));
        let schools = [(school(), RegisterKey::from([1; 32]))];
        let store = Store::open(&place, schools, Clock::system()).unwrap();
        let rows = (0..pupils).map(|number| (Form::Text, id(number)));
        let kind = ("pupil", Canonical::default());
        store.import(&school(), kind, rows, |_| {}).unwrap();
        Self { folder, store }
    }

    fn view(&self, key: u8) -> Arc<View> {
        let vendor = VendorId::parse(&format!("vendor-{key}")).unwrap();
        let generation = Generation::new(1, &VendorKey::from([key; 32]), [pupil()]);
        let generations = Generations {
            accepted: [generation].into(),
            retired: [].into(),
        };
        self.store.view(&school(), &vendor, &generations).unwrap()
    }
}

fn school() -> SchoolId {
    SchoolId::parse("regenboog").unwrap()
}

fn pupil() -> KindSpec {
    KindSpec {
        name: "pupil".to_owned(),
        canonical: Canonical::default(),
        notation: Notation::Uuid,
        back: Back::SchoolOnly,
        unknown: Unknown::Reject,
        accept_keys: 2,
    }
}

/// Neighbours in number are far apart in every order.
fn id(number: u32) -> String {
    let spread = number.wrapping_mul(0x9E37_79B1);
    format!("{spread:08x}-3f0c-4a5e-9b7e-{number:012x}")
}

/// Some of the first numbers, in an order that no cache foresees.
fn numbers(of: u32) -> impl Iterator<Item = u32> {
    (0..20_000_u32).map(move |number| number.wrapping_mul(0x9E37_79B1) % of)
}

fn remember(criterion: &mut Criterion) {
    let house = House::with(BOARD);
    let view = house.view(7);
    let kind = Kind::new(&VendorKey::from([7; 32]), pupil());
    let ids: Vec<_> = numbers(BOARD).map(id).collect();
    let mut group = criterion.benchmark_group("remember");
    let mut next = ids.iter().cycle();
    let mut out = Vec::with_capacity(64);
    group.bench_function("reference: one pseudonym", |b| {
        b.iter(|| {
            out.clear();
            kind.write(Identifier::new(next.next().unwrap()), &mut out)
        });
    });
    let mut batch = Batch::new();
    group.bench_function("known, of 100,000", |b| {
        b.iter(|| {
            let id = Identifier::new(next.next().unwrap());
            view.remember(0, black_box(id), Form::Text, &mut batch)
        });
    });
    assert!(batch.is_empty());
    group.finish();
    first_page(&house, &view);
}

/// The first page of new pupils against one synced write of its size, turn by turn, since a disk
/// does not stay as it is; and the same page again.
fn first_page(house: &House, view: &Arc<View>) {
    let mut file = File::create(house.folder.path().join("reference")).unwrap();
    let mut times: [Vec<Duration>; 3] = Default::default();
    for turn in 0..PAGES {
        let ids: Vec<_> = (0..PAGE)
            .map(|id_of| id(10 * COUNTRY + turn * PAGE + id_of))
            .collect();
        let [written, first, again] = &mut times;
        written.push(taken(|| {
            file.write_all(&[7; 100 * ROW_BYTES]).unwrap();
            file.sync_data().unwrap();
        }));
        let settled = || {
            let mut batch = Batch::new();
            for id in &ids {
                let id = Identifier::new(id);
                view.remember(0, id, Form::Text, &mut batch).unwrap();
            }
            view.settle(batch).wait().unwrap();
        };
        first.push(taken(settled));
        again.push(taken(settled));
    }
    let [written, first, again] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    });
    let ratio = first / written;
    println!("a page of {PAGE} pupils, median of {PAGES} turns");
    println!("  one synced write of its size: {written:.0} µs");
    println!("  new pupils:                   {first:.0} µs, {ratio:.2} times as long");
    println!("  the same pupils again:        {again:.0} µs");
}

fn taken(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn recall(criterion: &mut Criterion, house: &House, pupils: u32, name: &str) {
    let view = house.view(7);
    view.warm();
    let kind = Kind::new(&VendorKey::from([7; 32]), pupil());
    // One behind the other, as a message has them: what asks is at hand, what is asked for is not.
    let mut asked = Vec::new();
    for number in numbers(pupils) {
        kind.write(Identifier::new(&id(number)), &mut asked)
            .unwrap();
    }
    let asked = String::from_utf8(asked).unwrap();
    let mut next = (0..asked.len()).step_by(PSEUDONYM).cycle();
    let mut into = Vec::with_capacity(64);
    criterion.bench_function(name, |b| {
        b.iter(|| {
            into.clear();
            let from = next.next().unwrap();
            let pseudonym = black_box(asked.get(from..from + PSEUDONYM).unwrap());
            let recall = view.recall(0, pseudonym, Asked::First, &mut into);
            assert!(matches!(recall, Recall::Found { .. }));
        });
    });
}

/// A list of pseudonyms on its way home, beside the same list of texts that are kept: what a
/// pseudonym costs beyond the bytes that it is written in, and what noting it for the echo adds.
fn list_home(criterion: &mut Criterion, house: &House) {
    let view = house.view(7);
    view.warm();
    let key = VendorKey::from([7; 32]);
    let kind = Kind::new(&key, pupil());
    let named = IdKind {
        name: pupil().name,
        public: false,
    };
    let law = Arc::new(Law {
        policy: Policy {
            kinds: vec![named],
            ..Policy::default()
        },
        generations: [Generation::new(1, &key, [pupil()])].into(),
        limits: Limits::default(),
    });
    let lists: Vec<String> = (0..PAGES)
        .map(|list| {
            let numbers = numbers(BOARD).skip(usize::try_from(list * 30).unwrap());
            let names = numbers.take(usize::try_from(PAGE).unwrap()).map(|number| {
                let mut written = b"\"".to_vec();
                kind.write(Identifier::new(&id(number)), &mut written)
                    .unwrap();
                String::from_utf8(written).unwrap() + "\""
            });
            format!("[{}]", names.collect::<Vec<_>>().join(","))
        })
        .collect();
    let keep = Keep {
        of: ValueType::Any,
        rules: None,
    };
    let mut group = criterion.benchmark_group("a list of 100 on its way home");
    for (name, item, home) in [
        ("reference: texts that are kept", Item::Keep(keep), false),
        (
            "pseudonyms",
            Item::Identifier(Index::new(0).unwrap()),
            false,
        ),
        ("and noted", Item::Identifier(Index::new(0).unwrap()), true),
    ] {
        let register: Arc<dyn Register> = Arc::<View>::clone(&view);
        let crossing = Crossing::towards(Side::School, Arc::clone(&law), Some(register));
        let mut next = lists.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| {
                let home = home.then(|| Arc::new(Home::default()));
                let crossing = crossing.clone().with_home(home);
                let mut rewriter = Rewriter::new(crossing, Rule::List(item));
                let mut out = Cleared::default();
                let list = black_box(next.next().unwrap());
                rewriter.write(list.as_bytes(), &mut out).unwrap();
                rewriter.end(&mut out).unwrap();
                assert!(!rewriter.waits_for_register());
                out.release()
            });
        });
    }
    group.finish();
}

fn way_back(criterion: &mut Criterion) {
    let house = House::with(BOARD);
    recall(criterion, &house, BOARD, "recall, of 100,000");
    list_home(criterion, &house);
    drop(house);
    let house = House::with(COUNTRY);
    recall(criterion, &house, COUNTRY, "recall, of 2,400,000");
    let mut group = criterion.benchmark_group("index");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    let key = Cell::new(100_u8);
    group.bench_function("2,400,000 for one vendor", |b| {
        b.iter_custom(|times| {
            let index = |_| {
                let view = house.view(key.replace(key.get().wrapping_add(1)));
                let start = Instant::now();
                view.warm();
                start.elapsed()
            };
            (0..times).map(index).sum()
        });
    });
    group.finish();
}

criterion_group!(benches, remember, way_back);
criterion_main!(benches);
