//! Two implementations of derivation v1 and of the register, and a file between them for each: this
//! one is held to the files by `sluis selftest` and by the tests of `pseudonym`, the other one, in
//! Python, here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Whether the Python twin makes exactly these vectors. Python is there: `tests/setup.sh` sees to it.
fn twin_agrees(file: &Path) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut twin = Command::new("python3");
    twin.arg(folder.join("make_vectors.py"))
        .arg("--check")
        .arg(file);
    twin.status().unwrap().success()
}

/// Whether the twin makes the vectors of that file, and sees it if the first digit it is asked to
/// look at is another one.
fn holds(file: &str, digit: &str, other: &str) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let vectors = vectors.join(file);
    assert!(twin_agrees(&vectors));
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.json");
    let text = fs::read_to_string(vectors).unwrap();
    assert!(text.contains(digit));
    fs::write(&changed, text.replacen(digit, other, 1)).unwrap();
    assert!(!twin_agrees(&changed), "a changed digit is seen");
}

#[test]
fn the_twin_makes_the_same_pseudonyms() {
    holds("pseudonym-v1.json", "e8f15a68", "e8f15a69");
}

#[test]
fn the_twin_names_the_rows_of_the_register_alike() {
    holds("register-v1.json", "9e6d34c8", "00000000");
}
