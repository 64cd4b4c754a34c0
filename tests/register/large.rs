//! As many pupils as the Netherlands have: what they take in memory, and how long it takes.

use std::time::Instant;
use std::{fs, hint};

use sluis::pseudonym::{Asked, Canonical, Form, Identifier, Kind, Recall, Register as _};

use super::{key, open, pupil, school, view};

const PUPILS: u32 = 2_400_000;

/// 36 characters, as a sourcedId has.
fn id(number: u32) -> String {
    let spread = number.wrapping_mul(0x9E37_79B1);
    format!("{spread:08x}-3f0c-4a5e-9b7e-{number:012x}")
}

/// What this process has in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

fn each(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1_024).unwrap()) * 1_024.0 / f64::from(PUPILS)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

#[test]
#[ignore = "2.4 million pupils: `make soak`"]
fn long_all_pupils_of_a_country_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("register/register.redb");
    let start = Instant::now();
    let store = open(&path).unwrap();
    let rows = (0..PUPILS).map(|number| (Form::Text, id(number)));
    let imported = store
        .import(&school(), ("pupil", Canonical::default()), rows, |_| {})
        .unwrap();
    assert_eq!(imported.added, u64::from(PUPILS));
    eprintln!("import: {:.1} s", seconds(start));
    drop(store);
    eprintln!("file: {} MiB", fs::metadata(&path).unwrap().len() >> 20);

    let empty = resident();
    let start = Instant::now();
    let store = open(&path).unwrap();
    let opened = resident().saturating_sub(empty);
    eprintln!(
        "open: {:.1} s, {:.0} bytes an identifier",
        seconds(start),
        each(opened)
    );

    let start = Instant::now();
    let view = view(&store, 7);
    view.warm();
    let indexed = resident().saturating_sub(empty).saturating_sub(opened);
    eprintln!(
        "index: {:.2} s, {:.0} bytes an identifier",
        seconds(start),
        each(indexed)
    );

    let kind = Kind::new(&key(7), pupil());
    let asked: Vec<_> = (0..PUPILS)
        .step_by(24)
        .map(|number| {
            let mut out = Vec::new();
            kind.write(Identifier::new(&id(number)), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        })
        .collect();
    let start = Instant::now();
    let mut into = Vec::new();
    for pseudonym in &asked {
        into.clear();
        let recall = view.recall(0, hint::black_box(pseudonym), Asked::First, &mut into);
        assert!(matches!(recall, Recall::Found { .. }));
    }
    let times = u32::try_from(asked.len()).unwrap();
    eprintln!("recall: {} ns", (start.elapsed() / times).as_nanos());
    assert!(
        each(opened) <= 120.0,
        "{:.0} bytes an identifier",
        each(opened)
    );
    assert!(
        each(indexed) <= 40.0,
        "{:.0} bytes an identifier and vendor",
        each(indexed)
    );
}
