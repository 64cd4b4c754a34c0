//! Two implementations of derivation v1 and one file between them: this one is held to the file by
//! `sluis selftest` (and its tests), the other one, in Python, here.

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

#[test]
fn the_twin_makes_the_same_vectors() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/pseudonym-v1.json");
    assert!(twin_agrees(&vectors));
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.json");
    let text = fs::read_to_string(vectors).unwrap();
    fs::write(&changed, text.replacen("e8f15a68", "e8f15a69", 1)).unwrap();
    assert!(!twin_agrees(&changed), "a changed digit is seen");
}
