//! The laws of a register, held by every backend, and what only some of them can do wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, io, thread};

use redb::StorageBackend;
use tempfile::TempDir;

use super::backend::{Appended, Backend, Fault, Mark, NewRow, Row, Writers};
use super::file::{self, OneFile, Open};
use super::journal::Slate;
use super::places::number_of;
use super::*;
use crate::config::{LogFormat, LogLevel};
use crate::events::tests::voice;
use crate::pseudonym::{
    Asked, Back, Batch, Canonical, CanonicalRule, Form, Generation, Identifier, Kind, KindSpec,
    Notation, Recall, Register as _, Unknown, VendorKey,
};

/// 2026-11-25.
pub(super) const NOW: u64 = 1_795_564_800;
pub(super) const PUPIL: usize = 0;
const STAFF: usize = 1;
const NEVER: usize = 2;

/// Where a register can be opened again and again.
pub(super) trait Bed: Sync {
    fn backend(&self) -> Result<Box<dyn Backend>, Fault>;

    fn open_with(&self, schools: Vec<(SchoolId, RegisterKey)>) -> Result<Store, Fault> {
        on(self.backend()?, schools)
    }

    fn open(&self) -> Store {
        self.open_with(schools()).unwrap()
    }
}

pub(super) fn on(
    backend: Box<dyn Backend>,
    schools: Vec<(SchoolId, RegisterKey)>,
) -> Result<Store, Fault> {
    let wanted = (Clock::test(NOW), Wanted::Whole);
    Store::on(move |_| Ok(backend), schools, wanted)
}

struct FileBed {
    _folder: TempDir,
    path: PathBuf,
}

impl FileBed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("register/register.redb");
        Self {
            _folder: folder,
            path,
        }
    }
}

impl Bed for FileBed {
    fn backend(&self) -> Result<Box<dyn Backend>, Fault> {
        Ok(Box::new(OneFile::open(&self.path)?))
    }
}

pub(super) fn school(name: &str) -> SchoolId {
    SchoolId::parse(name).unwrap()
}

pub(super) fn vendor(name: &str) -> VendorId {
    VendorId::parse(name).unwrap()
}

pub(super) fn schools() -> Vec<(SchoolId, RegisterKey)> {
    vec![
        (school("regenboog"), RegisterKey::from([1; 32])),
        (school("zonnebloem"), RegisterKey::from([2; 32])),
    ]
}

pub(super) fn spec(name: &str, notation: Notation, back: Back) -> KindSpec {
    KindSpec {
        name: name.to_owned(),
        canonical: Canonical::default(),
        notation,
        back,
        unknown: Unknown::Reject,
        accept_keys: 2,
    }
}

fn specs() -> Vec<KindSpec> {
    vec![
        spec("pupil", Notation::Uuid, Back::SchoolOnly),
        spec("staff", Notation::Text(40), Back::SchoolOnly),
        spec("nickname", Notation::Hex, Back::Never),
    ]
}

/// The generations of keys that consist of these bytes, newest first.
fn keys(bytes: &[u8], specs: &[KindSpec]) -> Arc<[Generation]> {
    { bytes.iter() }
        .map(|byte| generation(*byte, specs))
        .collect()
}

fn generation(byte: u8, specs: &[KindSpec]) -> Generation {
    let key = VendorKey::from([byte; 32]);
    Generation::new(u32::from(byte), &key, specs.iter().cloned())
}

pub(super) fn generations(accepted: &[u8], retired: &[u8], specs: &[KindSpec]) -> Generations {
    Generations {
        accepted: keys(accepted, specs),
        retired: keys(retired, specs),
    }
}

/// The view of a vendor whose only key is that of the byte.
pub(super) fn view(store: &Store, of: &str, byte: u8) -> Arc<View> {
    view_with(store, of, byte, &specs())
}

pub(super) fn view_with(store: &Store, of: &str, byte: u8, specs: &[KindSpec]) -> Arc<View> {
    let name = format!("vendor-{byte}");
    store
        .view(
            &school(of),
            &vendor(&name),
            &generations(&[byte], &[], specs),
        )
        .unwrap()
}

pub(super) fn pseudonym_with(byte: u8, spec: KindSpec, id: &str) -> String {
    let kind = Kind::new(&VendorKey::from([byte; 32]), spec);
    let mut out = Vec::new();
    kind.write(Identifier::new(id), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn pseudonym(byte: u8, kind: usize, id: &str) -> String {
    pseudonym_with(byte, specs().remove(kind), id)
}

pub(super) fn batch(view: &View, kind: usize, ids: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for id in ids {
        let id = Identifier::new(id);
        view.remember(kind, id, Form::Text, &mut batch).unwrap();
    }
    batch
}

pub(super) fn let_out(view: &Arc<View>, kind: usize, ids: &[&str]) -> Result<(), StoreFault> {
    view.settle(batch(view, kind, ids)).wait()
}

/// What a pseudonym leads to; a miss is asked again once the register has caught up.
pub(super) fn home(
    view: &Arc<View>,
    kind: usize,
    pseudonym: &str,
) -> Result<(String, usize), Recall> {
    let mut into = b"[".to_vec();
    let mut recall = view.recall(kind, pseudonym, Asked::First, &mut into);
    if !matches!(recall, Recall::Found { .. }) {
        assert_eq!(into, b"[");
        view.catch_up().wait().unwrap();
        recall = view.recall(kind, pseudonym, Asked::Again, &mut into);
    }
    let found = String::from_utf8(into).unwrap();
    match recall {
        Recall::Found { age, .. } => Ok((found.strip_prefix('[').unwrap().to_owned(), age)),
        Recall::Foreign | Recall::Retired | Recall::Unknown => {
            assert_eq!(found, "[", "a miss appends nothing");
            Err(recall)
        }
    }
}

/// Whether an identifier that vendor `byte` got is found again.
pub(super) fn comes_home(view: &Arc<View>, byte: u8, id: &str) -> bool {
    home(view, PUPIL, &pseudonym(byte, PUPIL, id)) == Ok((id.to_owned(), 0))
}

fn comes_home_at_once(view: &Arc<View>, byte: u8, id: &str) -> bool {
    let mut into = Vec::new();
    let recall = view.recall(PUPIL, &pseudonym(byte, PUPIL, id), Asked::First, &mut into);
    matches!(recall, Recall::Found { age: 0, .. }) && into == id.as_bytes()
}

/// Asks again and again, for half a minute at most.
pub(super) fn until(holds: impl Fn() -> bool) {
    let clock = Clock::system();
    let start = clock.now();
    while !holds() {
        assert!(clock.now().duration_since(start) < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(20));
    }
}

type Law = fn(&dyn Bed);

/// What holds for every backend.
const LAWS: &[(&str, Law)] = &[
    ("what is let out comes home", what_is_let_out_comes_home),
    ("an id is written once", an_id_is_written_once),
    ("vendors share ids and no pseudonym", vendors_share_ids),
    (
        "a vendor that nobody asked for is foreign too",
        a_vendor_that_nobody_asked_for_is_foreign_too,
    ),
    ("schools are apart", schools_are_apart),
    ("older keys are understood", older_keys_are_understood),
    ("a restart keeps everything", a_restart_keeps_everything),
    (
        "vendors may disagree about the canonical form",
        vendors_may_disagree,
    ),
    ("many write the same ids at once", many_write_at_once),
    ("a wrong key is loud", a_wrong_key_is_loud),
    ("a school can come later", a_school_can_come_later),
    (
        "a school that does not open harms no other",
        a_school_that_does_not_open_harms_no_other,
    ),
    (
        "of two that collide one gets out",
        of_two_that_collide_one_gets_out,
    ),
    ("all of one number come home", all_of_one_number_come_home),
    (
        "a pseudonym of two keys leads to one or to nobody",
        a_pseudonym_of_two_keys_leads_to_one_or_to_nobody,
    ),
    ("a prepared key is understood", a_prepared_key_is_understood),
    (
        "a prepared key leads to one or to nobody",
        a_prepared_key_leads_to_one_or_to_nobody,
    ),
    ("what is imported is exported", what_is_imported_is_exported),
    ("a large batch is one batch", a_large_batch_is_one_batch),
    (
        "a damaged row stops its own school",
        a_damaged_row_stops_its_own_school,
    ),
    (
        "a damaged row among many is found",
        a_damaged_row_among_many_is_found,
    ),
    (
        "a school without room stops nobody else",
        a_school_without_room_stops_nobody_else,
    ),
];

pub(super) fn register_laws(bed: impl Fn() -> Box<dyn Bed>) {
    for (name, law) in LAWS {
        let bed = bed();
        let run = std::panic::AssertUnwindSafe(|| law(bed.as_ref()));
        assert!(std::panic::catch_unwind(run).is_ok(), "broken law: {name}");
    }
}

#[test]
fn a_file_keeps_the_laws_of_a_register() {
    register_laws(|| Box::new(FileBed::new()));
}

fn a_school_without_room_stops_nobody_else(bed: &dyn Bed) {
    let store = bed.open();
    let (one, full) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
    let_out(&full, PUPIL, &["S-1"]).unwrap();
    let named = store.shared.school_named("zonnebloem").unwrap();
    named.ids("pupil").fill();
    assert_eq!(let_out(&full, PUPIL, &["S-2"]), Err(StoreFault::Damaged));
    assert_eq!(store.state().stopped, [school("zonnebloem")]);
    for id in ["S-3", "S-4"] {
        let_out(&one, PUPIL, &[id]).unwrap();
        one.catch_up().wait().unwrap();
        assert!(comes_home(&one, 7, id));
        assert_eq!(full.catch_up().wait(), Err(StoreFault::Damaged));
        assert_eq!(let_out(&full, PUPIL, &[id]), Err(StoreFault::Damaged));
        assert_eq!(store.state().stopped, [school("zonnebloem")]);
        assert_eq!(store.state().code(), Some("full"));
    }
    // What was known is known.
    assert!(comes_home(&full, 7, "S-1"));
    drop((store, one, full, named));
    // Where there is room, what was written is there.
    let store = bed.open();
    assert_eq!(store.state().code(), None);
    assert!(comes_home(&view(&store, "zonnebloem", 7), 7, "S-2"));
}

fn what_is_let_out_comes_home(bed: &dyn Bed) {
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let written = pseudonym(7, PUPIL, "S-1");
    assert_eq!(home(&view, PUPIL, &written), Err(Recall::Unknown));
    let mut batch = batch(&view, PUPIL, &["S-1", "S-2"]);
    let (number, name) = (Identifier::new("12"), Identifier::new("Zoë"));
    view.remember(STAFF, number, Form::Number, &mut batch)
        .unwrap();
    view.remember(STAFF, name, Form::Text, &mut batch).unwrap();
    view.remember(NEVER, Identifier::new("Sanne"), Form::Text, &mut batch)
        .unwrap();
    assert_eq!(batch.len(), 4);
    assert!(
        view.remember(PUPIL, Identifier::new(" "), Form::Text, &mut batch)
            .is_err()
    );
    view.settle(batch).wait().unwrap();
    assert_eq!(home(&view, PUPIL, &written), Ok(("S-1".to_owned(), 0)));
    let shouted = written.to_ascii_uppercase();
    assert_eq!(home(&view, PUPIL, &shouted), Ok(("S-1".to_owned(), 0)));
    assert_eq!(home(&view, STAFF, &written), Err(Recall::Unknown));
    assert_eq!(
        home(&view, NEVER, &pseudonym(7, NEVER, "Sanne")),
        Err(Recall::Unknown)
    );
    let mut into = Vec::new();
    let found = view.recall(STAFF, &pseudonym(7, STAFF, "12"), Asked::First, &mut into);
    let form = Form::Number;
    assert_eq!(
        (found, into.as_slice()),
        (Recall::Found { form, age: 0 }, b"12".as_slice())
    );
    // The first 25 characters find it, and the last one is looked at all the same.
    let mut longer = pseudonym(7, STAFF, "Zoë");
    assert_eq!(home(&view, STAFF, &longer), Ok(("Zoë".to_owned(), 0)));
    let last = longer.pop();
    longer.push(if last == Some('a') { 'b' } else { 'a' });
    assert_eq!(home(&view, STAFF, &longer), Err(Recall::Unknown));
}

fn an_id_is_written_once(bed: &dyn Bed) {
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let (first, second) = (
        batch(&view, PUPIL, &["S-1", "S-1"]),
        batch(&view, PUPIL, &["S-1"]),
    );
    assert_eq!((first.len(), second.len()), (1, 1));
    let (first, second) = (view.settle(first), view.settle(second));
    assert_eq!((first.wait(), second.wait()), (Ok(()), Ok(())));
    assert!(batch(&view, PUPIL, &["S-1"]).is_empty());
    // Two spellings of one pupil are two rows, and one pseudonym that leads to the first.
    let_out(&view, PUPIL, &[" S-1", "S-1\t"]).unwrap();
    assert!(comes_home(&view, 7, "S-1"));
    assert_eq!((store.state().ids, view.collisions()), (3, 0));
    drop(store);
    let store = bed.open();
    assert_eq!(store.state().ids, 3);
    assert!(comes_home(&self::view(&store, "regenboog", 7), 7, "S-1"));
}

fn vendors_share_ids(bed: &dyn Bed) {
    let store = bed.open();
    let (one, other) = (view(&store, "regenboog", 7), view(&store, "regenboog", 8));
    let_out(&one, PUPIL, &["S-1"]).unwrap();
    assert!(
        batch(&other, PUPIL, &["S-1"]).is_empty(),
        "it is on disk for all"
    );
    assert!(comes_home(&one, 7, "S-1") && comes_home(&other, 8, "S-1"));
    assert_eq!(
        home(&one, PUPIL, &pseudonym(8, PUPIL, "S-1")),
        Err(Recall::Foreign)
    );
    assert_eq!(
        home(&one, PUPIL, &pseudonym(9, PUPIL, "S-1")),
        Err(Recall::Unknown)
    );
}

fn a_vendor_that_nobody_asked_for_is_foreign_too(bed: &dyn Bed) {
    let store = bed.open();
    let one = view(&store, "regenboog", 7);
    let_out(&one, PUPIL, &["S-1"]).unwrap();
    let written = pseudonym(7, PUPIL, "S-1");
    assert_eq!(home(&one, PUPIL, &written), Ok(("S-1".to_owned(), 0)));
    // What this one has is derived by nobody else.
    let _other = view(&store, "regenboog", 8);
    let foreign = pseudonym(8, PUPIL, "S-1");
    assert_eq!(home(&one, PUPIL, &foreign), Err(Recall::Foreign));
    assert_eq!(home(&one, STAFF, &foreign), Err(Recall::Unknown));
}

pub(super) fn schools_are_apart(bed: &dyn Bed) {
    let store = bed.open();
    let (one, other) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
    let_out(&one, PUPIL, &["S-1"]).unwrap();
    assert_eq!(batch(&other, PUPIL, &["S-1"]).len(), 1);
    let written = pseudonym(7, PUPIL, "S-1");
    assert_eq!(home(&other, PUPIL, &written), Err(Recall::Unknown));
    let none = store.view(
        &school("nergens"),
        &vendor("a"),
        &generations(&[7], &[], &[]),
    );
    assert!(none.is_none());
}

fn older_keys_are_understood(bed: &dyn Bed) {
    let store = bed.open();
    let name = vendor("rekenwijs");
    let before = generations(&[7], &[], &specs());
    let before = store.view(&school("regenboog"), &name, &before).unwrap();
    let_out(&before, PUPIL, &["S-1"]).unwrap();
    let after = generations(&[9, 8], &[7], &specs());
    let after = store.view(&school("regenboog"), &name, &after).unwrap();
    let written = |byte| pseudonym(byte, PUPIL, "S-1");
    assert_eq!(home(&after, PUPIL, &written(9)), Ok(("S-1".to_owned(), 0)));
    assert_eq!(home(&after, PUPIL, &written(8)), Ok(("S-1".to_owned(), 1)));
    assert_eq!(home(&after, PUPIL, &written(7)), Err(Recall::Retired));
    assert!(
        batch(&after, PUPIL, &["S-1"]).is_empty(),
        "a new key migrates nothing"
    );
}

fn a_restart_keeps_everything(bed: &dyn Bed) {
    let ids: Vec<_> = (0..300).map(|number| format!("S-{number}")).collect();
    for part in ids.chunks(100) {
        let store = bed.open();
        let view = view(&store, "regenboog", 7);
        for few in part.chunks(9) {
            let few: Vec<_> = few.iter().map(String::as_str).collect();
            let_out(&view, PUPIL, &few).unwrap();
        }
    }
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    assert_eq!(store.state().ids, 300);
    assert!(ids.iter().all(|id| comes_home(&view, 7, id)));
}

fn vendors_may_disagree(bed: &dyn Bed) {
    let store = bed.open();
    let folded = KindSpec {
        canonical: Canonical::new(vec![CanonicalRule::Lower]),
        ..spec("pupil", Notation::Uuid, Back::SchoolOnly)
    };
    let folding = view_with(&store, "regenboog", 8, std::slice::from_ref(&folded));
    let exact = view(&store, "regenboog", 7);
    // The canonical form of the first takes the name that the second would have.
    let_out(&folding, PUPIL, &["ABC"]).unwrap();
    let_out(&exact, PUPIL, &["abc", "Abc"]).unwrap();
    for id in ["abc", "Abc", "ABC"] {
        assert!(comes_home(&exact, 7, id), "{id}");
        let written = pseudonym_with(8, folded.clone(), id);
        assert_eq!(home(&folding, PUPIL, &written), Ok(("ABC".to_owned(), 0)));
    }
    assert_eq!(folding.collisions(), 0);
}

fn many_write_at_once(bed: &dyn Bed) {
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let ids: Vec<_> = (0..200).map(|number| format!("S-{number}")).collect();
    thread::scope(|scope| {
        for start in 0..4 {
            let (view, ids) = (&view, &ids);
            scope.spawn(move || {
                let from = |few: usize| (start * 50 + few * 7) % 180;
                (0..20).for_each(|few| let_twenty_out(view, &ids[from(few)..]));
            });
        }
    });
    let rows = rows(bed, store);
    let names: BTreeSet<_> = rows.iter().map(|(_, lookup)| *lookup).collect();
    assert_eq!(names.len(), rows.len(), "each is there once");
}

fn let_twenty_out(view: &Arc<View>, ids: &[String]) {
    let ids: Vec<_> = ids.iter().take(20).map(String::as_str).collect();
    let_out(view, PUPIL, &ids).unwrap();
    assert!(ids.iter().all(|id| comes_home(view, 7, id)));
}

/// Numbers and lookups of all rows, in order.
fn rows(bed: &dyn Bed, store: Store) -> Vec<(u64, [u8; 16])> {
    drop(store);
    let mut rows = Vec::new();
    let mut backend = bed.backend().unwrap();
    let read = backend.read(Mark::default(), &mut |row| {
        rows.push((row.number, row.lookup));
    });
    read.unwrap();
    assert!(rows.is_sorted());
    rows
}

fn a_wrong_key_is_loud(bed: &dyn Bed) {
    let store = bed.open();
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1", "S-2"]).unwrap();
    let_out(&view(&store, "zonnebloem", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    let wrong = || vec![(school("regenboog"), RegisterKey::from([9; 32]))];
    match bed.open_with(wrong()).map(|_| ()) {
        Err(Fault::Damaged(damage)) => assert_eq!(damage.rows, 2),
        other => panic!("{other:?}"),
    }
    let shared = Shared::new(wrong(), sync_channel(1).0, Writers::One, Clock::test(NOW));
    let verified = offline::verified(bed.backend().unwrap().as_mut(), &shared).unwrap();
    assert_eq!(
        (verified.rows, verified.damaged, verified.unkeyed),
        (3, 2, 1)
    );
    assert_eq!(verified.damaged_first.len(), 2);
    let shared = Shared::new(schools(), sync_channel(1).0, Writers::One, Clock::test(NOW));
    let verified = offline::verified(bed.backend().unwrap().as_mut(), &shared).unwrap();
    assert_eq!(
        (verified.rows, verified.damaged, verified.unkeyed),
        (3, 0, 0)
    );
}

/// Appends a row of a school that does not open.
fn damage(bed: &dyn Bed, of: &str, number: u8) {
    let (mut backend, mut last) = (bed.backend().unwrap(), Mark::default());
    let read = backend.read(Mark::default(), &mut |row| last = row.mark());
    read.unwrap();
    let row = NewRow {
        school: &school(of),
        kind: "pupil",
        form: Form::Text,
        id: Identifier::new("nobody"),
        lookup: [number; 16],
        spelling: None,
        sealed: vec![number; 40],
        day: 1,
    };
    backend.append(last, &[row]).unwrap();
}

fn a_damaged_row_stops_its_own_school(bed: &dyn Bed) {
    let store = bed.open();
    let_out(&view(&store, "zonnebloem", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    let usable = || {
        let (backend, wanted) = (bed.backend().unwrap(), (Clock::test(NOW), Wanted::Usable));
        Store::on(move |_| Ok(backend), schools(), wanted)
    };
    damage(bed, "zonnebloem", 1);
    // Nobody is left to be served: the ring may be another one's.
    let refused = |opened: Result<Store, Fault>, rows| match opened.map(drop) {
        Err(Fault::Damaged(damage)) => assert_eq!(damage.rows, rows),
        other => panic!("{other:?}"),
    };
    refused(usable(), 1);
    let mut known = schools();
    known.truncate(1);
    let_out(
        &view(&bed.open_with(known).unwrap(), "regenboog", 7),
        PUPIL,
        &["S-2"],
    )
    .unwrap();
    damage(bed, "zonnebloem", 2);
    refused(bed.open_with(schools()), 2);
    for _ in 0..2 {
        let store = usable().unwrap();
        let state = store.state();
        assert_eq!(state.stopped, [school("zonnebloem")]);
        let trouble = state.trouble.unwrap();
        assert!(
            matches!(*trouble, Fault::Damaged(Damage { rows: 2, .. })),
            "{trouble}"
        );
        let (one, other) = (view(&store, "regenboog", 7), view(&store, "zonnebloem", 7));
        let_out(&one, PUPIL, &["S-2", "S-3"]).unwrap();
        one.catch_up().wait().unwrap();
        assert!(comes_home(&one, 7, "S-2") && comes_home(&one, 7, "S-3"));
        // What is known passes, and of all else nobody can say whose it is.
        assert!(comes_home_at_once(&other, 7, "S-1"));
        assert!(batch(&other, PUPIL, &["S-1"]).is_empty());
        assert_eq!(let_out(&other, PUPIL, &["S-4"]), Err(StoreFault::Damaged));
        assert_eq!(other.catch_up().wait(), Err(StoreFault::Damaged));
        let trouble = store.state().trouble.unwrap();
        let each_once = matches!(*trouble, Fault::Damaged(Damage { rows: 2, .. }));
        assert!(each_once, "{trouble}");
    }
    let mut rows = Vec::new();
    let mut backend = bed.backend().unwrap();
    let read = backend.read(Mark::default(), &mut |row| {
        rows.push(row.school.to_owned());
    });
    read.unwrap();
    let of_it = rows.iter().filter(|school| *school == "zonnebloem");
    assert_eq!(of_it.count(), 3, "nothing is written for who is stopped");
}

fn a_damaged_row_among_many_is_found(bed: &dyn Bed) {
    let many = u64::try_from(2 * limits::REGISTER_OPEN_ROWS + 100).unwrap();
    let let_out = |view: &Arc<View>, from| {
        let ids = pupils(from..from + many);
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let_out(view, PUPIL, &ids).unwrap();
    };
    let store = bed.open();
    let_out(&view(&store, "regenboog", 7), 0);
    let_out(&view(&store, "zonnebloem", 7), 0);
    drop(store);
    damage(bed, "zonnebloem", 1);
    let mut known = schools();
    known.truncate(1);
    let_out(&view(&bed.open_with(known).unwrap(), "regenboog", 7), many);
    let shared = Shared::new(schools(), sync_channel(1).0, Writers::One, Clock::test(NOW));
    let verified = offline::verified(bed.backend().unwrap().as_mut(), &shared).unwrap();
    assert_eq!(verified.rows, 3 * many + 1);
    assert_eq!(verified.damaged, 1);

    let (backend, wanted) = (bed.backend().unwrap(), (Clock::test(NOW), Wanted::Usable));
    let store = Store::on(move |_| Ok(backend), schools(), wanted).unwrap();
    assert_eq!(store.state().stopped, [school("zonnebloem")]);
    let trouble = store.state().trouble.unwrap();
    let Fault::Damaged(damage) = *trouble else {
        panic!("{trouble}");
    };
    assert_eq!((damage.rows, damage.first), (1, verified.damaged_first[0]));
    for (of, known) in [("regenboog", 2 * many), ("zonnebloem", many)] {
        let mut exported = Vec::new();
        let each = |it: Exported<'_>| -> Result<(), ()> {
            exported.push(it.id.text().to_owned());
            Ok(())
        };
        store.export(&school(of), each).unwrap();
        // As they came into the register, which decides who has a pseudonym.
        assert!(exported == pupils(0..known), "of {of}");
    }
}

fn a_school_can_come_later(bed: &dyn Bed) {
    let store = bed.open();
    let_out(&view(&store, "zonnebloem", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    let mut known = schools();
    let (id, key) = known.pop().unwrap();
    let store = bed.open_with(known).unwrap();
    assert_eq!(store.state().ids, 0, "rows without a key are left alone");
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-2"]).unwrap();
    store.add_school(id.clone(), key).wait().unwrap();
    assert!(comes_home(&view(&store, "zonnebloem", 7), 7, "S-1"));
    assert!(comes_home(&view(&store, "regenboog", 7), 7, "S-2"));
    assert_eq!(store.state().ids, 2);
    let again = |byte| {
        store
            .add_school(id.clone(), RegisterKey::from([byte; 32]))
            .wait()
    };
    assert_eq!((again(2), again(3)), (Ok(()), Err(StoreFault::Damaged)));
}

fn a_school_that_does_not_open_harms_no_other(bed: &dyn Bed) {
    let store = bed.open();
    let_out(&view(&store, "zonnebloem", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    let mut known = schools();
    let (id, key) = known.pop().unwrap();
    let store = bed.open_with(known).unwrap();
    let one = view(&store, "regenboog", 7);
    let_out(&one, PUPIL, &["S-2"]).unwrap();
    let wrong = || RegisterKey::from([9; 32]);
    // One of the two is there when the other one's turn comes.
    let both = [wrong(), wrong()].map(|key| store.add_school(id.clone(), key));
    for refused in both {
        assert_eq!(refused.wait(), Err(StoreFault::Damaged));
    }
    assert!(store.state().trouble.is_none());
    let_out(&one, PUPIL, &["S-3"]).unwrap();
    one.catch_up().wait().unwrap();
    store.add_school(id, key).wait().unwrap();
    assert!(comes_home(&view(&store, "zonnebloem", 7), 7, "S-1"));
    assert!(comes_home(&one, 7, "S-2") && comes_home(&one, 7, "S-3"));
    assert_eq!(store.state().ids, 3);
}

fn of_two_that_collide_one_gets_out(bed: &dyn Bed) {
    let short = || vec![spec("pupil", Notation::Digits(6), Back::SchoolOnly)];
    let written = |id: &str| pseudonym_with(7, short().remove(0), id);
    let ids: Vec<_> = (0..3_000).map(|number| format!("S-{number}")).collect();
    let mut first = BTreeMap::new();
    let pair = ids
        .iter()
        .find_map(|id| Some((first.insert(written(id), id)?, id)));
    let (one, other) = pair.expect("3,000 of 900,000 meet");
    let store = bed.open();
    let long = view(&store, "regenboog", 8);
    let view = view_with(&store, "regenboog", 7, &short());
    let_out(&view, PUPIL, &[one]).unwrap();
    assert!(batch(&view, PUPIL, &[one]).is_empty());
    let refused = let_out(&view, PUPIL, &["another", other]);
    assert_eq!(refused, Err(StoreFault::Collision));
    // Both are on disk, and still only one may get out, also after a restart.
    let check = |view: &Arc<View>| {
        assert_eq!(let_out(view, PUPIL, &[one]), Ok(()));
        assert_eq!(let_out(view, PUPIL, &[other]), Err(StoreFault::Collision));
        assert_eq!(home(view, PUPIL, &written(one)), Ok((one.to_string(), 0)));
        assert_eq!(view.collisions(), 1);
    };
    check(&view);
    assert!(
        comes_home(&long, 8, one) && comes_home(&long, 8, other),
        "others may have it"
    );
    drop(store);
    let store = bed.open();
    check(&view_with(&store, "regenboog", 7, &short()));
}

fn all_of_one_number_come_home(bed: &dyn Bed) {
    let number = |id: &str| {
        let key = Notation::Uuid.read(&pseudonym(7, PUPIL, id)).unwrap();
        number_of(key.bytes())
    };
    // The first two whose pseudonyms have one number.
    let [one, other] = ["S-28413", "S-50406"];
    assert_eq!(number(one), number(other));
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let_out(&view, PUPIL, &[one]).unwrap();
    assert_eq!(
        home(&view, PUPIL, &pseudonym(7, PUPIL, other)),
        Err(Recall::Unknown)
    );
    let_out(&view, PUPIL, &[other]).unwrap();
    let check = |view: &Arc<View>| {
        assert!(comes_home(view, 7, one) && comes_home(view, 7, other));
        assert_eq!(view.collisions(), 0);
    };
    check(&view);
    drop((store, view));
    check(&self::view(&bed.open(), "regenboog", 7));
}

/// Pairs of so many identifiers: the first has by one key what the second has by the other.
pub(super) fn that_meet(
    ids: usize,
    one_key: impl Fn(&str) -> String,
    other_key: impl Fn(&str) -> String,
) -> Vec<(String, String)> {
    let ids = || (0..ids).map(|number| format!("S-{number}"));
    let of_one: BTreeMap<_, _> = ids().map(|id| (one_key(&id), id)).collect();
    let pairs = ids().filter_map(|id| Some((of_one.get(&other_key(&id))?.clone(), id)));
    pairs.filter(|(one, other)| one != other).collect()
}

fn a_pseudonym_of_two_keys_leads_to_one_or_to_nobody(bed: &dyn Bed) {
    let short = || vec![spec("pupil", Notation::Digits(6), Back::SchoolOnly)];
    let written = |byte, id: &str| pseudonym_with(byte, short().remove(0), id);
    let pairs = that_meet(3_000, |id| written(7, id), |id| written(8, id));
    let (before, after) = pairs.first().expect("3,000 and 3,000 of 900,000 meet");
    let store = bed.open();
    let rotated = |accepted: &[u8], retired: &[u8]| {
        let generations = generations(accepted, retired, &short());
        let (school, name) = (school("regenboog"), vendor("rekenwijs"));
        store.view(&school, &name, &generations).unwrap()
    };
    let view = rotated(&[7], &[]);
    let_out(&view, PUPIL, &[before, "S-3000"]).unwrap();
    assert_eq!(
        home(&view, PUPIL, &written(7, before)),
        Ok((before.clone(), 0))
    );
    let view = rotated(&[8, 7], &[]);
    let_out(&view, PUPIL, &[after, " S-3000"]).unwrap();
    let both = written(8, after);
    assert_eq!(both, written(7, before));
    assert_eq!(home(&view, PUPIL, &both), Err(Recall::Unknown));
    // Those that only one of the two has lead home, whatever the key and the spelling.
    for (byte, id, age) in [(8, before, 0), (7, after, 1)] {
        assert_eq!(
            home(&view, PUPIL, &written(byte, id)),
            Ok((id.clone(), age))
        );
    }
    for (byte, age) in [(8, 0), (7, 1)] {
        let found = home(&view, PUPIL, &written(byte, "S-3000"));
        assert_eq!(found, Ok(("S-3000".to_owned(), age)));
    }
    // The old key has gone: nobody means the old one any more.
    let view = rotated(&[8], &[7]);
    assert_eq!(home(&view, PUPIL, &both), Ok((after.clone(), 0)));
}

fn a_prepared_key_is_understood(bed: &dyn Bed) {
    let store = bed.open();
    let with = |accepted: &[u8], prepared: u8| {
        let mut all: Vec<_> = { accepted.iter() }
            .map(|byte| generation(*byte, &specs()))
            .collect();
        all.push(generation(prepared, &specs()).prepared());
        let generations = Generations {
            accepted: all.into(),
            retired: [].into(),
        };
        let (school, name) = (school("regenboog"), vendor("rekenwijs"));
        store.view(&school, &name, &generations).unwrap()
    };
    let view = with(&[8, 7], 9);
    let_out(&view, PUPIL, &["S-1"]).unwrap();
    // One that only this key makes is no former one, whatever its place.
    for (byte, age) in [(8, 0), (7, 1), (9, 0)] {
        let found = home(&view, PUPIL, &pseudonym(byte, PUPIL, "S-1"));
        assert_eq!(found, Ok(("S-1".to_owned(), age)), "{byte}");
    }
    // Put to use, it is the same key in another place.
    let view = with(&[9, 8], 10);
    for (byte, age) in [(9, 0), (8, 1), (10, 0)] {
        let found = home(&view, PUPIL, &pseudonym(byte, PUPIL, "S-1"));
        assert_eq!(found, Ok(("S-1".to_owned(), age)), "{byte}");
    }
}

fn a_prepared_key_leads_to_one_or_to_nobody(bed: &dyn Bed) {
    let short = || vec![spec("pupil", Notation::Digits(6), Back::SchoolOnly)];
    let written = |byte, id: &str| pseudonym_with(byte, short().remove(0), id);
    let between = that_meet(3_000, |id| written(8, id), |id| written(7, id));
    let (now, then) = between.first().expect("3,000 and 3,000 of 900,000 meet");
    let twice = that_meet(3_000, |id| written(7, id), |id| written(7, id));
    let (one, other) = twice.first().expect("two of 3,000 meet");
    let store = bed.open();
    let generations = Generations {
        accepted: [generation(8, &short()), generation(7, &short()).prepared()].into(),
        retired: [].into(),
    };
    let (school, name) = (school("regenboog"), vendor("rekenwijs"));
    let view = store.view(&school, &name, &generations).unwrap();
    // Two that meet under the key to come do not under the one that makes pseudonyms.
    let_out(&view, PUPIL, &[now, then, one, other]).unwrap();
    assert_eq!(view.collisions(), 0);
    // Another node may use that key already, and then mean another pupil.
    assert_eq!(home(&view, PUPIL, &written(8, now)), Err(Recall::Unknown));
    assert_eq!(home(&view, PUPIL, &written(8, then)), Ok((then.clone(), 0)));
    assert_eq!(home(&view, PUPIL, &written(7, now)), Ok((now.clone(), 0)));
}

fn what_is_imported_is_exported(bed: &dyn Bed) {
    let store = bed.open();
    let of = school("regenboog");
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    let rows = [
        (Form::Text, "S-1"),
        (Form::Number, "12"),
        (Form::Text, " "),
        (Form::Text, "S-2"),
        (Form::Text, "S-2"),
    ];
    let mut told = 0;
    let kind = || ("pupil", Canonical::default());
    let imported = store.import(&of, kind(), rows, |_| told += 1).unwrap();
    let wanted = Imported {
        rows: 5,
        added: 2,
        refused: 1,
        first_refused: 3,
    };
    assert_eq!((imported, told), (wanted, 1));
    let again = store.import(&of, kind(), rows, |_| {}).unwrap();
    assert_eq!((again.rows, again.added), (5, 0));
    let elsewhere = store.import(&school("nergens"), kind(), rows, |_| {});
    assert_eq!(elsewhere, Err(StoreFault::Gone));
    let mut exported = Vec::new();
    let done: Result<(), ()> = store.export(&of, |row| {
        let day = u64::from(row.day);
        exported.push((row.kind.to_owned(), row.form, row.id.text().to_owned(), day));
        Ok(())
    });
    done.unwrap();
    let row = |form, id: &str| ("pupil".to_owned(), form, id.to_owned(), NOW / 86_400);
    let wanted = [
        row(Form::Text, "S-1"),
        row(Form::Number, "12"),
        row(Form::Text, "S-2"),
    ];
    assert_eq!(exported, wanted);
}

fn a_large_batch_is_one_batch(bed: &dyn Bed) {
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let ids: Vec<_> = (0..limits::REGISTER_COMMIT_ROWS + 5_000)
        .map(|number| format!("pupil-{number}"))
        .collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let_out(&view, PUPIL, &ids).unwrap();
    // More than a request derives by itself.
    let other = self::view(&store, "regenboog", 8);
    let written = pseudonym(8, PUPIL, ids[11_111]);
    assert_eq!(
        other.recall(PUPIL, &written, Asked::Again, &mut Vec::new()),
        Recall::Unknown
    );
    assert!(comes_home(&other, 8, ids[11_111]));
    assert!(ids.iter().all(|id| comes_home(&view, 7, id)));
}

/// What goes wrong with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Append,
    /// It is appended, and nobody hears of it.
    AppendUnheard,
    Nothing,
    Read,
}

/// A backend that fails when it is told to.
struct Flaky {
    inner: Box<dyn Backend>,
    wrong: Arc<Mutex<Wrong>>,
    appends: Arc<AtomicUsize>,
}

impl Flaky {
    fn fail() -> Result<(), Fault> {
        let cause = io::Error::from(io::ErrorKind::ConnectionReset);
        Err(Fault::file(Path::new("the wire"), cause))
    }
}

impl Backend for Flaky {
    fn append(&mut self, after: Mark, rows: &[NewRow<'_>]) -> Result<Appended, Fault> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        let wrong = *self.wrong.lock().unwrap();
        if wrong == Wrong::Append {
            Self::fail()?;
        }
        self.inner.append(after, rows)?;
        if wrong == Wrong::AppendUnheard {
            Self::fail()?;
        }
        Ok(Appended::Among)
    }

    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
        match *self.wrong.lock().unwrap() {
            Wrong::Read => Self::fail(),
            Wrong::Append | Wrong::AppendUnheard | Wrong::Nothing => self.inner.read(after, each),
        }
    }

    fn writers(&self) -> Writers {
        Writers::Many
    }
}

#[test]
fn a_lost_write_makes_nothing_known_and_is_made_good_later() {
    for wrong in [Wrong::Append, Wrong::AppendUnheard, Wrong::Read] {
        let bed = FileBed::new();
        let switch = Arc::new(Mutex::new(Wrong::Nothing));
        let flaky = Flaky {
            inner: bed.backend().unwrap(),
            wrong: Arc::clone(&switch),
            appends: Arc::default(),
        };
        let store = on(Box::new(flaky), schools()).unwrap();
        let view = view(&store, "regenboog", 7);
        *switch.lock().unwrap() = wrong;
        // What was written unheard is found by who asks again.
        let times = if wrong == Wrong::AppendUnheard { 1 } else { 3 };
        for _ in 0..times {
            let failed = let_out(&view, PUPIL, &["S-1", "S-2"]);
            assert_eq!(failed, Err(StoreFault::Gone), "{wrong:?}");
            assert_eq!(
                batch(&view, PUPIL, &["S-1"]).len(),
                1,
                "{wrong:?}: nothing is known"
            );
        }
        let trouble = store.state().trouble.unwrap().to_string();
        assert_eq!(trouble, "the wire: connection reset");
        *switch.lock().unwrap() = Wrong::Nothing;
        let_out(&view, PUPIL, &["S-1", "S-2"]).unwrap();
        assert!(comes_home(&view, 7, "S-1") && comes_home(&view, 7, "S-2"));
        assert!(store.state().trouble.is_none());
        assert_eq!(rows(&bed, store).len(), 2, "{wrong:?}");
    }
}

#[test]
fn batches_that_wait_are_written_in_one_commit() {
    let bed = FileBed::new();
    let switch = Arc::new(Mutex::new(Wrong::Nothing));
    let appends = Arc::<AtomicUsize>::default();
    let flaky = Flaky {
        inner: bed.backend().unwrap(),
        wrong: Arc::clone(&switch),
        appends: Arc::clone(&appends),
    };
    let store = on(Box::new(flaky), schools()).unwrap();
    let view = view(&store, "regenboog", 7);
    let held = switch.lock().unwrap();
    let waiting: Vec<_> = (0..50)
        .map(|number| view.settle(batch(&view, PUPIL, &[&format!("S-{number}")])))
        .collect();
    drop(held);
    assert!(waiting.into_iter().all(|settling| settling.wait().is_ok()));
    assert!(appends.load(Ordering::Relaxed) <= 3);
}

#[test]
fn too_many_who_wait_are_told_so() {
    let bed = FileBed::new();
    let switch = Arc::new(Mutex::new(Wrong::Nothing));
    let flaky = Flaky {
        inner: bed.backend().unwrap(),
        wrong: Arc::clone(&switch),
        appends: Arc::default(),
    };
    let store = on(Box::new(flaky), schools()).unwrap();
    let view = view(&store, "regenboog", 7);
    let held = switch.lock().unwrap();
    let waiting: Vec<_> = (0..3 * limits::REGISTER_WAITING_MAX)
        .map(|_| view.settle(batch(&view, PUPIL, &["S-1"])))
        .collect();
    drop(held);
    let results: Vec<_> = waiting.into_iter().map(Settling::wait).collect();
    assert_eq!(results.last(), Some(&Err(StoreFault::Busy)));
    assert_eq!(results.first(), Some(&Ok(())));
    assert!(!results.contains(&Err(StoreFault::Gone)));
}

#[test]
fn a_view_outlives_its_store_and_remembers_nothing_new() {
    let bed = FileBed::new();
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let_out(&view, PUPIL, &["S-1"]).unwrap();
    drop(store);
    assert!(comes_home(&view, 7, "S-1"));
    assert_eq!(let_out(&view, PUPIL, &["S-2"]), Err(StoreFault::Gone));
}

/// So much of a write reaches the disk at once.
const SECTOR: usize = 512;

/// What a disk does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fails {
    /// Nothing at all.
    All,
    Nothing,
    Sync,
    /// And grow, and sync.
    Write,
}

/// A file on a disk in memory, behind a cache that does as Linux does: what a failed sync did not
/// write is clean from then on.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    cache: Arc<Mutex<Vec<u8>>>,
    synced: Arc<Mutex<Vec<u8>>>,
    dirty: Arc<Mutex<Vec<std::ops::Range<usize>>>>,
    /// What a failed sync took for clean, and did not write.
    missed: Arc<Mutex<Vec<std::ops::Range<usize>>>>,
    /// While it is held, a sync does not end. With how often it goes well before that.
    fails: Arc<Mutex<(Fails, usize)>>,
    syncs: Arc<AtomicUsize>,
    /// The journal, on the same disk.
    journal: Option<Box<Self>>,
}

impl Disk {
    pub(super) fn new() -> Self {
        let file = Self {
            cache: Arc::default(),
            synced: Arc::default(),
            dirty: Arc::default(),
            missed: Arc::default(),
            fails: Arc::new(Mutex::new((Fails::Nothing, 0))),
            syncs: Arc::default(),
            journal: None,
        };
        let journal = Self {
            cache: Arc::default(),
            synced: Arc::default(),
            dirty: Arc::default(),
            missed: Arc::default(),
            ..file.clone()
        };
        Self {
            journal: Some(Box::new(journal)),
            ..file
        }
    }

    fn now(&self, fails: Fails) {
        self.soon(fails, 0);
    }

    /// Fails from now on, after it has gone well so many times more.
    pub(super) fn soon(&self, fails: Fails, well: usize) {
        *self.fails.lock().unwrap() = (fails, well);
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        self.fails.lock().unwrap().0 != Fails::Nothing
    }

    fn syncs(&self) -> usize {
        self.syncs.load(Ordering::Relaxed)
    }

    /// What is there when the power is back: nothing that was not synced.
    fn after_a_power_cut(&self) -> Self {
        self.after_a_torn_write(|| false)
    }

    /// What is there when the power is back: of what was not synced, the sectors that `reached` it.
    pub(super) fn after_a_torn_write(&self, mut reached: impl FnMut() -> bool) -> Self {
        let after = Self::new();
        for (before, after) in self.files().zip(after.files()) {
            let cache = before.cache.lock().unwrap();
            let mut there = before.synced.lock().unwrap().clone();
            let unsynced = [&before.dirty, &before.missed];
            let unsynced = unsynced.map(|ranges| ranges.lock().unwrap().clone());
            let sectors = unsynced.iter().flatten().flat_map(sectors);
            let sectors = sectors.map(|sector| sector.start..sector.end.min(there.len()));
            let reached = sectors.filter(|sector| !sector.is_empty() && reached());
            for sector in Vec::from_iter(reached) {
                there[sector.clone()].copy_from_slice(&cache[sector]);
            }
            after.cache.lock().unwrap().clone_from(&there);
            *after.synced.lock().unwrap() = there;
        }
        after
    }

    /// What is there when the process has been killed, and the machine runs on.
    pub(super) fn after_a_kill(&self) -> Self {
        let after = Self::new();
        for (before, after) in self.files().zip(after.files()) {
            let bytes = [
                (&before.cache, &after.cache),
                (&before.synced, &after.synced),
            ];
            for (before, after) in bytes {
                after.lock().unwrap().clone_from(&before.lock().unwrap());
            }
            let ranges = [
                (&before.dirty, &after.dirty),
                (&before.missed, &after.missed),
            ];
            for (before, after) in ranges {
                after.lock().unwrap().clone_from(&before.lock().unwrap());
            }
        }
        after
    }

    /// The register's, and its journal.
    fn files(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.journal.as_deref())
    }

    fn fails_to(&self, what: Fails) -> io::Result<()> {
        let (fails, well) = &mut *self.fails.lock().unwrap();
        let fits = match *fails {
            Fails::All => true,
            Fails::Nothing => false,
            Fails::Sync => what == Fails::Sync,
            Fails::Write => what != Fails::All,
        };
        match (fits, *well) {
            (false, _) => Ok(()),
            (true, 0) => Err(io::ErrorKind::StorageFull.into()),
            (true, _) => {
                *well -= 1;
                Ok(())
            }
        }
    }
}

/// The sectors that a write went to.
fn sectors(written: &std::ops::Range<usize>) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (starts, end) = (written.clone().step_by(SECTOR), written.end);
    starts.map(move |start| start..(start + SECTOR).min(end))
}

fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start.checked_add(length).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.cache.lock().unwrap().len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fails_to(Fails::All)?;
        out.copy_from_slice(&self.cache.lock().unwrap()[range(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.len()? {
            self.fails_to(Fails::Write)?;
        }
        let len = usize::try_from(len).unwrap();
        self.cache.lock().unwrap().resize(len, 0);
        self.synced.lock().unwrap().resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let dirty = std::mem::take(&mut *self.dirty.lock().unwrap());
        if let Err(failed) = self.fails_to(Fails::Sync) {
            self.missed.lock().unwrap().extend(dirty);
            return Err(failed);
        }
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let (cache, mut synced) = (self.cache.lock().unwrap(), self.synced.lock().unwrap());
        let end = synced.len();
        for range in dirty.into_iter().filter(|range| range.end <= end) {
            synced[range.clone()].copy_from_slice(&cache[range]);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fails_to(Fails::Write)?;
        let range = range(offset, data.len());
        self.cache.lock().unwrap()[range.clone()].copy_from_slice(data);
        self.dirty.lock().unwrap().push(range);
        Ok(())
    }

    fn try_lock_range(
        &self,
        _: std::ops::Bound<u64>,
        _: std::ops::Bound<u64>,
    ) -> Result<bool, redb::BackendError> {
        Ok(true)
    }
}

impl Slate for Disk {
    fn contents(&self) -> io::Result<Vec<u8>> {
        self.fails_to(Fails::All)?;
        Ok(self.cache.lock().unwrap().clone())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = u64::try_from(range(offset, bytes.len()).end).unwrap();
        if end > self.len()? {
            self.set_len(end)?;
        }
        StorageBackend::write(self, offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    /// The power may fail before the folder is on disk: then it is there again.
    fn discard(&self) {
        self.cache.lock().unwrap().clear();
        self.dirty.lock().unwrap().clear();
        self.missed.lock().unwrap().clear();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_used_again_when_there_is_room() {
    let bed = DiskBed(Disk::new());
    let (store, disk) = (bed.open(), &bed.0);
    let view = view(&store, "regenboog", 7);
    for round in 0..5 {
        let (kept, refused) = (format!("S-{round}"), format!("T-{round}"));
        let_out(&view, PUPIL, &[&kept]).unwrap();
        disk.now(Fails::Write);
        for _ in 0..2 {
            assert_eq!(let_out(&view, PUPIL, &[&refused]), Err(StoreFault::Gone));
            assert!(comes_home(&view, 7, &kept));
        }
        assert!(matches!(
            store.state().trouble.as_deref(),
            Some(Fault::Database(_))
        ));
        disk.now(Fails::Nothing);
        let_out(&view, PUPIL, &[&refused]).unwrap();
    }
    drop(store);
    let store = bed.open();
    let view = self::view(&store, "regenboog", 7);
    for round in 0..5 {
        assert!(comes_home(&view, 7, &format!("S-{round}")));
        assert!(comes_home(&view, 7, &format!("T-{round}")));
    }
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_on_disk_before_it_counts() {
    let bed = DiskBed(Disk::new());
    let (store, disk) = (bed.open(), &bed.0);
    let view = view(&store, "regenboog", 7);
    let mut told = Vec::new();
    for round in 0..5 {
        let ids = [0, 1, 2].map(|id| format!("S-{round}-{id}"));
        let ids = ids.each_ref().map(String::as_str);
        disk.now(Fails::Sync);
        for _ in 0..2 {
            assert_eq!(let_out(&view, PUPIL, &ids), Err(StoreFault::Gone));
        }
        disk.now(Fails::Nothing);
        let_out(&view, PUPIL, &ids).unwrap();
        told.extend(ids.map(str::to_owned));
        let bed = DiskBed(disk.after_a_power_cut());
        let store = bed.open();
        let view = self::view(&store, "regenboog", 7);
        for id in &told {
            assert!(comes_home(&view, 7, id), "{id}, round {round}");
        }
    }
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_on_disk_before_another_process_reads_it() {
    let bed = DiskBed(Disk::new());
    let_out(&view(&bed.open(), "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    for round in 2..6 {
        let id = format!("S-{round}");
        let (store, disk) = (bed.open(), &bed.0);
        disk.now(Fails::Sync);
        let refused = let_out(&view(&store, "regenboog", 7), PUPIL, &[&id]);
        assert_eq!(refused, Err(StoreFault::Gone));
        drop(store);
        disk.now(Fails::Nothing);
        // Whoever looks after it starts it again. What it finds, it lets out.
        let store = bed.open();
        let_out(&view(&store, "regenboog", 7), PUPIL, &[&id]).unwrap();
        let after = DiskBed(disk.after_a_power_cut()).open();
        let view = view(&after, "regenboog", 7);
        for round in 1..=round {
            assert!(comes_home(&view, 7, &format!("S-{round}")), "{round}");
        }
    }
}

pub(super) struct DiskBed(pub(super) Disk);

impl Bed for DiskBed {
    fn backend(&self) -> Result<Box<dyn Backend>, Fault> {
        let (disk, written) = (self.0.clone(), unsynced::Written::default());
        Ok(Box::new(OneFile::with(Box::new(move |_| {
            let database = file::database(disk.clone(), &written)?;
            let slate = disk
                .journal
                .clone()
                .map(|slate| -> Box<dyn Slate> { slate });
            Ok(Open {
                database,
                file: None,
                slate,
            })
        }))?))
    }
}

#[test]
fn a_page_of_new_pupils_costs_one_sync_and_the_next_one_nothing() {
    let bed = DiskBed(Disk::new());
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let page = |from: usize| (from..from + 100).map(|id| format!("S-{id}"));
    for from in (0..1_000).step_by(100) {
        let ids: Vec<_> = page(from).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let before = bed.0.syncs();
        let_out(&view, PUPIL, &ids).unwrap();
        assert_eq!(bed.0.syncs(), before + 1);
        // A disk that does nothing any more is not asked.
        let stalled = bed.0.fails.lock().unwrap();
        assert_eq!(let_out(&view, PUPIL, &ids), Ok(()));
        drop(stalled);
    }
}

#[test]
fn pages_that_a_commit_frees_are_used_again() {
    let disk = Disk {
        journal: None,
        ..Disk::new()
    };
    let bed = DiskBed(disk);
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let commits = |ids: std::ops::Range<u32>| {
        for id in ids {
            let_out(&view, PUPIL, &[&format!("S-{id}")]).unwrap();
        }
    };
    commits(0..100);
    let before = bed.0.len().unwrap();
    // Each writes some seven pages again: eleven megabytes, of which hardly anything is new.
    commits(1_000..1_400);
    assert!(bed.0.len().unwrap() <= before + (1 << 20));
}

/// Something that is promised by the register, and what keeps it; without that it never is.
pub(crate) fn promised() -> (Settling, impl FnOnce(Result<(), StoreFault>)) {
    let (promise, settling) = Promise::new();
    (settling, move |result| promise.keep(result))
}

/// A register in a file, for the rooms that wait for it, and its disk, which can be stopped.
pub(crate) struct Stoppable {
    bed: DiskBed,
    _store: Store,
    pub(crate) view: Arc<View>,
}

impl Stoppable {
    pub(crate) fn open() -> Self {
        let bed = DiskBed(Disk::new());
        let store = bed.open();
        let view = view(&store, "regenboog", 7);
        Self {
            bed,
            _store: store,
            view,
        }
    }

    /// The disk does nothing until what this gives is let go.
    pub(crate) fn stop(&self) -> impl Drop + '_ {
        self.bed.0.fails.lock().unwrap()
    }

    /// What has to be written down before this pupil's pseudonym may leave.
    pub(crate) fn batch(&self, pupil: &str) -> Batch {
        batch(&self.view, PUPIL, &[pupil])
    }
}

#[test]
fn a_disk_that_hangs_is_said_to() {
    let (bed, clock) = (DiskBed(Disk::new()), Clock::test(NOW));
    let backend = bed.backend().unwrap();
    let wanted = (clock.clone(), Wanted::Whole);
    let store = Store::on(move |_| Ok(backend), schools(), wanted).unwrap();
    let view = view(&store, "regenboog", 7);
    let stalled = bed.0.fails.lock().unwrap();
    let settling = view.settle(batch(&view, PUPIL, &["S-1"]));
    assert_eq!(store.state().code(), None);
    // Turned again and again, since the keeper may not have begun yet.
    until(|| {
        clock.turn(limits::REGISTER_HANGS + Duration::from_secs(1));
        store.state().code() == Some("hangs")
    });
    assert!(store.state().trouble_since_unix_s.is_some());
    drop(stalled);
    settling.wait().unwrap();
    until(|| store.state().code().is_none());
    let state = store.state();
    assert_eq!((state.ids, state.trouble_since_unix_s), (1, None));
    assert_eq!(state.schools[0], (school("regenboog"), 1));
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_for_its_owner_and_for_one_process() {
    let bed = FileBed::new();
    let store = bed.open();
    assert_eq!(mode(&bed.path), 0o600);
    assert_eq!(mode(bed.path.parent().unwrap()), 0o700);
    let fault = bed.open_with(schools()).unwrap_err();
    assert!(matches!(fault, Fault::InUse(_)), "{fault}");
    drop(store);
    bed.open();
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_others_can_read_or_write_is_not_opened() {
    let bed = FileBed::new();
    let store = bed.open();
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    for wide in [0o601, 0o604, 0o602, 0o610, 0o640, 0o620, 0o660, 0o666] {
        set_mode(&bed.path, wide);
        let fault = bed.open_with(schools()).unwrap_err();
        assert_eq!(fault.code(), "file_exposed", "{wide:o}: {fault}");
        let (said, path) = (fault.to_string(), bed.path.display());
        let command = format!("`chmod 600 {path}`");
        assert!(said.contains(&command), "{said}");
        assert!(said.contains(&format!("has the mode {wide:04o}")), "{said}");
        assert_eq!(mode(&bed.path), wide, "it is left as it was");
    }
    set_mode(&bed.path, 0o600);
    assert!(comes_home(&view(&bed.open(), "regenboog", 7), 7, "S-1"));
}

#[test]
fn what_is_no_register_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("register.redb");
    let fault = || OneFile::open(&path).map(|_| ()).unwrap_err();
    fs::write(&path, "version = 1\n".repeat(1_000)).unwrap();
    set_mode(&path, 0o600);
    assert!(matches!(fault(), Fault::NotARegister(_)), "{}", fault());
    fs::remove_file(&path).unwrap();
    let database = redb::Database::create(&path).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("other");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    set_mode(&path, 0o600);
    assert!(matches!(fault(), Fault::NotARegister(_)), "{}", fault());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(fault(), Fault::File { .. }), "{}", fault());
    let nowhere = folder.path().join("not/there/register.redb");
    let fault = OneFile::open(&nowhere).map(|_| ()).unwrap_err();
    assert!(
        fault.to_string().contains("not/there: No such file"),
        "{fault}"
    );
}

#[test]
fn a_file_is_looked_at_while_a_school_is_stopped() {
    let bed = FileBed::new();
    let store = bed.open();
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    damage(&bed, "zonnebloem", 1);
    let wanted = (Clock::test(NOW), Wanted::Usable);
    let backend = bed.backend().unwrap();
    let store = Store::on(move |_| Ok(backend), schools(), wanted).unwrap();
    assert_eq!(store.state().code(), Some("damaged"));
    fs::rename(&bed.path, bed.path.with_extension("away")).unwrap();
    until(|| store.state().code() == Some("file_moved"));
}

#[test]
fn a_file_that_is_taken_away_is_missed() {
    let bed = FileBed::new();
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let_out(&view, PUPIL, &["S-1"]).unwrap();
    let away = bed.path.with_extension("away");
    fs::rename(&bed.path, &away).unwrap();
    let trouble = || store.state().trouble.unwrap();
    // Nobody writes: it is missed all the same, and what was in it is known no more.
    until(|| !batch(&view, PUPIL, &["S-1"]).is_empty());
    assert!(matches!(*trouble(), Fault::Moved(_)));
    assert_eq!(let_out(&view, PUPIL, &["S-1"]), Err(StoreFault::Gone));
    assert_eq!(let_out(&view, PUPIL, &["S-2"]), Err(StoreFault::Gone));
    assert!(
        matches!(*trouble(), Fault::File { .. }),
        "no new one is made"
    );
    // Another one took its place: what was let out is not in it.
    drop(FileBed::open(&FileBed {
        _folder: tempfile::tempdir().unwrap(),
        path: bed.path.clone(),
    }));
    assert_eq!(let_out(&view, PUPIL, &["S-2"]), Err(StoreFault::Damaged));
    assert!(matches!(*trouble(), Fault::Lost { row: 1 }));
    fs::rename(&away, &bed.path).unwrap();
    assert_eq!(let_out(&view, PUPIL, &["S-2"]), Err(StoreFault::Gone));
    let_out(&view, PUPIL, &["S-1", "S-2"]).unwrap();
    assert!(batch(&view, PUPIL, &["S-1", "S-2"]).is_empty());
    assert!(comes_home(&view, 7, "S-1") && comes_home(&view, 7, "S-2"));
}

/// Appends rows that follow on one another; what is sealed in them can be read.
fn append(backend: &mut OneFile, after: Mark, ids: &[String]) -> Mark {
    let school = school("regenboog");
    let rows: Vec<_> = ids.iter().map(|id| row(&school, id)).collect();
    match backend.append(after, &rows).unwrap() {
        Appended::Next(last) => last,
        Appended::Among => panic!("nobody else writes"),
    }
}

fn row<'a>(school: &'a SchoolId, id: &'a str) -> NewRow<'a> {
    let mut lookup = [0; 16];
    lookup[..id.len()].copy_from_slice(id.as_bytes());
    NewRow {
        school,
        kind: "pupil",
        form: Form::Text,
        id: Identifier::new(id),
        lookup,
        spelling: None,
        sealed: id.as_bytes().to_vec(),
        day: 1,
    }
}

/// Pupils with these numbers.
fn pupils(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("S-{number}")).collect()
}

/// Whether a register has the rows with these numbers, each as [`append`] wrote it.
fn has_all(backend: &mut dyn Backend, numbers: std::ops::Range<u64>) -> bool {
    let mut there = Vec::new();
    let read = backend.read(Mark::default(), &mut |row| {
        assert_eq!((row.school, row.kind, row.day), ("regenboog", "pupil", 1));
        assert!(row.lookup.starts_with(row.sealed));
        there.push((row.number, str::from_utf8(row.sealed).unwrap().to_owned()));
    });
    read.unwrap();
    let wanted = numbers.clone().zip(pupils(numbers));
    there == Vec::from_iter(wanted)
}

/// A register whose first row is in its file, and those behind it, up to that one, in its journal.
fn journaled(bed: &FileBed, end: u64) -> (OneFile, Mark) {
    let mut backend = OneFile::open(&bed.path).unwrap();
    let last = append(&mut backend, Mark::default(), &pupils(1..2));
    let last = append(&mut backend, last, &pupils(2..end));
    (backend, last)
}

fn journal_of(bed: &FileBed) -> PathBuf {
    bed.path.with_extension("redb-journal")
}

/// A copy of what lies there while it is in use: what a process leaves that is killed.
fn copy(bed: &FileBed) -> FileBed {
    let copy = copy_of_the_file(bed);
    fs::copy(journal_of(bed), journal_of(&copy)).unwrap();
    copy
}

fn copy_of_the_file(bed: &FileBed) -> FileBed {
    let copy = FileBed::new();
    fs::create_dir(copy.path.parent().unwrap()).unwrap();
    fs::copy(&bed.path, &copy.path).unwrap();
    copy
}

fn opened(bed: &FileBed) -> OneFile {
    OneFile::open(&bed.path).unwrap()
}

#[test]
fn a_register_that_is_closed_is_one_file() {
    let bed = FileBed::new();
    let (backend, last) = journaled(&bed, 4);
    assert_eq!(mode(&journal_of(&bed)), 0o600);
    drop(backend);
    let left = fs::read_dir(bed.path.parent().unwrap()).unwrap();
    assert_eq!(left.count(), 1);
    let copy = copy_of_the_file(&bed);
    assert!(has_all(&mut opened(&copy), 1..4));
    let mut backend = opened(&copy);
    append(&mut backend, last, &pupils(4..6));
    assert!(has_all(&mut backend, 1..6));
}

#[test]
fn a_register_that_nobody_asks_is_one_file_too() {
    let bed = FileBed::new();
    let (mut backend, last) = journaled(&bed, 4);
    assert!(has_all(&mut opened(&copy_of_the_file(&bed)), 1..2));
    backend.rest().unwrap();
    assert!(has_all(&mut opened(&copy_of_the_file(&bed)), 1..4));
    append(&mut backend, last, &pupils(4..5));
    assert!(has_all(&mut backend, 1..5));
    assert!(has_all(&mut opened(&copy(&bed)), 1..5));
    // The keeper sees to it.
    let bed = FileBed::new();
    let store = bed.open();
    for id in ["S-1", "S-2"] {
        let_out(&view(&store, "regenboog", 7), PUPIL, &[id]).unwrap();
    }
    until(|| copy_of_the_file(&bed).open().state().ids == 2);
}

#[test]
fn a_register_that_was_killed_is_a_file_and_its_journal() {
    let bed = FileBed::new();
    let (backend, last) = journaled(&bed, 4);
    let killed = copy(&bed);
    assert!(has_all(&mut opened(&killed), 1..4));
    assert!(!journal_of(&killed).exists());
    assert!(has_all(&mut opened(&killed), 1..4));
    // Killed again as soon as it was open.
    let killed = copy(&bed);
    let held = opened(&killed);
    let again = copy(&killed);
    drop(held);
    let mut again = opened(&again);
    append(&mut again, last, &pupils(4..5));
    assert!(has_all(&mut again, 1..5));
    drop(backend);
}

#[test]
fn an_older_copy_beside_the_journal_of_a_crash_is_not_opened() {
    let bed = FileBed::new();
    let (mut backend, last) = journaled(&bed, 4);
    let older = copy_of_the_file(&bed);
    backend.rest().unwrap();
    append(&mut backend, last, &pupils(4..6));
    fs::copy(journal_of(&bed), journal_of(&older)).unwrap();
    for _ in 0..2 {
        let fault = OneFile::open(&older.path).map(|_| ()).unwrap_err();
        assert!(matches!(fault, Fault::Journal { row: 5 }), "{fault}");
    }
    // Nor is the journal of another register, when there is none yet.
    fs::remove_file(&older.path).unwrap();
    let fault = OneFile::open(&older.path).map(|_| ()).unwrap_err();
    assert!(matches!(fault, Fault::Journal { row: 5 }), "{fault}");
    // It belongs to the newer one.
    fs::copy(&bed.path, &older.path).unwrap();
    assert!(has_all(&mut opened(&older), 1..6));
}

#[test]
fn a_journal_that_others_can_read_or_write_is_not_opened() {
    let bed = FileBed::new();
    let (_backend, _) = journaled(&bed, 4);
    let killed = copy(&bed);
    for wide in [0o640, 0o602] {
        set_mode(&journal_of(&killed), wide);
        let fault = OneFile::open(&killed.path).map(|_| ()).unwrap_err();
        assert_eq!(fault.code(), "file_exposed");
        assert!(
            fault.to_string().contains("register.redb-journal"),
            "{fault}"
        );
    }
    set_mode(&journal_of(&killed), 0o600);
    assert!(has_all(&mut opened(&killed), 1..4));
}

#[test]
fn a_journal_is_no_link_and_lies_where_the_file_does() {
    let bed = FileBed::new();
    let (_backend, _) = journaled(&bed, 4);
    let killed = copy(&bed);
    let away = killed.path.with_extension("away");
    fs::rename(journal_of(&killed), &away).unwrap();
    std::os::unix::fs::symlink(&away, journal_of(&killed)).unwrap();
    let fault = OneFile::open(&killed.path).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("a link"), "{fault}");
    fs::remove_file(journal_of(&killed)).unwrap();
    fs::rename(&away, journal_of(&killed)).unwrap();
    let name = killed.path.with_extension("name");
    std::os::unix::fs::symlink(&killed.path, &name).unwrap();
    let mut backend = OneFile::open(&name).unwrap();
    assert!(has_all(&mut backend, 1..4));
}

#[test]
fn a_journal_that_is_taken_away_is_not_needed() {
    let bed = FileBed::new();
    let (mut backend, last) = journaled(&bed, 4);
    let away = bed.path.with_extension("away");
    fs::rename(journal_of(&bed), &away).unwrap();
    let last = append(&mut backend, last, &pupils(4..5));
    assert!(has_all(&mut opened(&copy_of_the_file(&bed)), 1..5));
    fs::write(journal_of(&bed), "another's").unwrap();
    append(&mut backend, last, &pupils(5..6));
    assert!(has_all(&mut opened(&copy_of_the_file(&bed)), 1..6));
    drop(backend);
    assert_eq!(fs::read(journal_of(&bed)).unwrap(), b"another's");
    // What stands in it does not count any more.
    fs::rename(&away, journal_of(&bed)).unwrap();
    assert!(has_all(&mut opened(&bed), 1..6));
}

#[test]
fn only_the_rows_behind_a_mark_are_read_wherever_they_are() {
    let bed = FileBed::new();
    let (mut backend, last) = journaled(&bed, 4);
    let end = append(&mut backend, last, &pupils(4..6));
    for (after, expected) in [(last, &[4, 5][..]), (end, &[])] {
        let mut numbers = Vec::new();
        let read = backend.read(after, &mut |row| numbers.push(row.number));
        read.unwrap();
        assert_eq!(numbers, expected);
    }
}

#[test]
fn what_is_no_journal_is_not_written_over() {
    let bed = FileBed::new();
    drop(bed.open());
    let journal = journal_of(&bed);
    let lay = |contents: &[u8]| {
        fs::write(&journal, contents).unwrap();
        set_mode(&journal, 0o600);
    };
    let too_long = vec![0; limits::REGISTER_JOURNAL_BYTES + 1];
    for foreign in [
        &b"notes"[..],
        b"sluis j2",
        b"\0\0\0\0\0\0\0notes",
        b"\0\0\0\0\0\0\0\0notes",
        &too_long,
    ] {
        lay(foreign);
        let opened = OneFile::open(&bed.path).map(drop);
        for fault in [opened, look(&bed.path)].map(Result::unwrap_err) {
            let said = "register.redb-journal: not the journal of a register";
            assert!(fault.to_string().ends_with(said), "{fault}");
            let remedy = (fault.code(), fault.remedy());
            assert_eq!(remedy, ("file_unusable", Remedy::Setup));
            assert!(fault.help().ends_with("move it away"), "{}", fault.help());
        }
        assert_eq!(fs::read(&journal).unwrap(), foreign);
    }
    // What may be left of one by a crash.
    for left in [&b""[..], &[0; 7], &[0; 100], b"sluis j1 and no more"] {
        lay(left);
        look(&bed.path).unwrap();
        let (mut backend, mut last) = (opened(&bed), Mark::default());
        backend.read(last, &mut |row| last = row.mark()).unwrap();
        let number = u32::try_from(last.number).unwrap() + 1;
        append(
            &mut backend,
            last,
            &pupils(number.into()..u64::from(number) + 1),
        );
    }
    assert!(has_all(&mut opened(&bed), 1..5));
}

#[test]
fn a_journal_that_cannot_be_written_is_counted() {
    let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
    let bed = FileBed::new();
    let store = bed.open();
    store.told_by(events.clone());
    let failures = || {
        let page = events.metrics_page();
        let mut lines = page.lines();
        lines
            .find_map(|it| it.strip_prefix("sluis_register_journal_failures_total "))
            .map(str::to_owned)
    };
    let let_out = |id| let_out(&view(&store, "regenboog", 7), PUPIL, &[id]).unwrap();
    let_out("S-1");
    let_out("S-2");
    assert_eq!(failures().as_deref(), Some("0"));
    fs::remove_file(journal_of(&bed)).unwrap();
    let_out("S-3");
    assert_eq!(failures().as_deref(), Some("1"));
    let_out("S-4");
    assert_eq!(failures().as_deref(), Some("2"));
}

#[test]
fn a_register_without_a_journal_works() {
    let bed = FileBed::new();
    fs::create_dir(bed.path.parent().unwrap()).unwrap();
    // Nothing can be opened there, and nothing made.
    std::os::unix::fs::symlink("nowhere/at-all", journal_of(&bed)).unwrap();
    let (mut backend, last) = journaled(&bed, 4);
    assert!(has_all(&mut opened(&copy_of_the_file(&bed)), 1..4));
    append(&mut backend, last, &pupils(4..5));
    assert!(has_all(&mut backend, 1..5));
    drop(backend);
    fs::remove_file(journal_of(&bed)).unwrap();
    assert!(has_all(&mut opened(&bed), 1..5));
    fs::create_dir(journal_of(&bed)).unwrap();
    let fault = OneFile::open(&bed.path).map(|_| ()).unwrap_err();
    assert!(matches!(fault, Fault::File { .. }), "{fault}");
}

#[test]
fn a_file_that_is_moved_away_takes_its_journal_with_it() {
    let bed = FileBed::new();
    let (mut backend, _) = journaled(&bed, 4);
    let away = FileBed::new();
    fs::create_dir(away.path.parent().unwrap()).unwrap();
    fs::rename(&bed.path, &away.path).unwrap();
    let fault = backend.rest().unwrap_err();
    assert!(matches!(fault, Fault::Moved(_)), "{fault}");
    assert!(has_all(&mut opened(&away), 1..4));
    assert!(!journal_of(&bed).exists());
}

#[test]
fn rows_keep_their_order_whether_they_go_through_the_journal_or_not() {
    let bed = FileBed::new();
    let (mut backend, mut last) = journaled(&bed, 3);
    let mut next = 3;
    // One by one, until the journal has been full twice; and with more than it can hold between.
    for round in 0..12 {
        for length in std::iter::repeat_n(1, 50).chain([round % 2 * 30_000]) {
            last = append(&mut backend, last, &pupils(next..next + length));
            next += length;
        }
        if round % 3 == 0 {
            assert!(has_all(&mut backend, 1..next));
        }
        assert!(has_all(&mut opened(&copy(&bed)), 1..next));
    }
    drop(backend);
    assert!(has_all(&mut opened(&bed), 1..next));
}

/// A backend that can become another one: a file that was replaced, a server that was restored.
#[derive(Clone)]
struct Replaceable(Arc<Mutex<Box<dyn Backend>>>);

impl Replaceable {
    /// Puts another one in its place, and gives the one that was there.
    fn replace(&self, other: Box<dyn Backend>) -> Box<dyn Backend> {
        std::mem::replace(&mut self.0.lock().unwrap(), other)
    }
}

impl Backend for Replaceable {
    fn append(&mut self, after: Mark, rows: &[NewRow<'_>]) -> Result<Appended, Fault> {
        self.0.lock().unwrap().append(after, rows)
    }

    fn read(&mut self, after: Mark, each: &mut dyn FnMut(Row<'_>)) -> Result<(), Fault> {
        self.0.lock().unwrap().read(after, each)
    }

    fn writers(&self) -> Writers {
        Writers::One
    }
}

/// A register of one school with two rows, what can be put in its place, and what it was when it
/// had only the first.
fn with_an_older_copy(bed: &FileBed) -> (Store, Replaceable, Box<dyn Backend>) {
    let store = bed.open();
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-1"]).unwrap();
    drop(store);
    let copy = bed.path.with_extension("older");
    fs::copy(&bed.path, &copy).unwrap();
    let backend = Replaceable(Arc::new(Mutex::new(bed.backend().unwrap())));
    let mut known = schools();
    known.truncate(1);
    let store = on(Box::new(backend.clone()), known).unwrap();
    let_out(&view(&store, "regenboog", 7), PUPIL, &["S-2"]).unwrap();
    (store, backend, Box::new(OneFile::open(&copy).unwrap()))
}

#[test]
fn an_older_copy_is_noticed_by_a_school_that_comes() {
    let bed = FileBed::new();
    let (store, backend, older) = with_an_older_copy(&bed);
    let (id, key) = schools().remove(1);
    let key = Arc::new(key);
    let newer = backend.replace(older);
    let come = || store.add_school(id.clone(), Arc::clone(&key)).wait();
    assert_eq!(come(), Err(StoreFault::Damaged));
    let trouble = store.state().trouble.unwrap();
    assert!(matches!(*trouble, Fault::Lost { row: 2 }), "{trouble}");
    let refused = let_out(&view(&store, "regenboog", 7), PUPIL, &["S-3"]);
    assert_eq!(refused, Err(StoreFault::Damaged));
    drop(backend.replace(newer));
    assert_eq!(come(), Ok(()));
    let_out(&view(&store, "zonnebloem", 7), PUPIL, &["S-1"]).unwrap();
}

#[test]
fn nothing_is_known_to_a_register_that_lost_rows() {
    let bed = FileBed::new();
    let (store, backend, older) = with_an_older_copy(&bed);
    let view = view(&store, "regenboog", 7);
    let known = || batch(&view, PUPIL, &["S-1", "S-2"]).is_empty();
    assert!(known());
    let newer = backend.replace(older);
    assert_eq!(store.state().code(), None);
    assert_eq!(let_out(&view, PUPIL, &["S-3"]), Err(StoreFault::Damaged));
    assert_eq!(store.state().code(), Some("rows_lost"));
    for _ in 0..2 {
        assert!(!known());
        let refused = let_out(&view, PUPIL, &["S-1", "S-2"]);
        assert_eq!(refused, Err(StoreFault::Damaged));
    }
    assert!(comes_home_at_once(&view, 7, "S-1"), "nobody lost that one");
    let mut older = backend.replace(newer);
    let mut rows = 0;
    older.read(Mark::default(), &mut |_| rows += 1).unwrap();
    assert_eq!(rows, 1, "nothing was written to it");
    assert_eq!(let_out(&view, PUPIL, &["S-1", "S-2"]), Ok(()));
    assert!(known());
    assert_eq!(store.state().code(), None);
}

#[test]
fn a_changed_byte_is_loud() {
    let bed = FileBed::new();
    let store = bed.open();
    let ids: Vec<_> = (0..200).map(|number| format!("S-{number}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let_out(&view(&store, "regenboog", 7), PUPIL, &ids).unwrap();
    drop(store);
    let good = fs::read(&bed.path).unwrap();
    let mut found = 0;
    for place in (0..good.len()).step_by(good.len() / 97) {
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        fs::write(&bed.path, bad).unwrap();
        // Bytes that nothing uses may be anything. What is used is there, or it is said aloud.
        let opened = std::panic::catch_unwind(|| bed.open_with(schools()));
        match opened {
            Ok(Ok(store)) => {
                let view = view(&store, "regenboog", 7);
                assert!(
                    ids.iter().all(|id| comes_home(&view, 7, id)),
                    "byte {place}"
                );
            }
            Ok(Err(_)) | Err(_) => found += 1,
        }
    }
    assert!(found > 0);
}

#[test]
fn nothing_that_is_said_of_a_register_names_an_identifier() {
    let bed = FileBed::new();
    let store = bed.open();
    let view = view(&store, "regenboog", 7);
    let batch = batch(&view, PUPIL, &["geheim-17"]);
    let said = format!("{batch:?} {view:?} {store:?} {:?}", store.state());
    view.settle(batch).wait().unwrap();
    let_out(&view, PUPIL, &["geheim-18"]).unwrap();
    let said = format!("{said} {view:?} {store:?} {:?}", view.catch_up());
    assert!(!said.contains("geheim"), "{said}");
    drop(store);
    let bytes = fs::read(&bed.path).unwrap();
    assert!(
        !bytes.windows(6).any(|window| window == b"geheim"),
        "sealed on disk"
    );
}
