//! What `tests/setup.sh` says of tests that pass because there is nothing to look at.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Stands for every program that is asked for, so that nothing is installed: root, or not.
const PROGRAM: &str = "#!/bin/sh
case \"${0##*/}\" in
    id) echo $USER_ID ;;
    rustc) echo 'rustc 99.0.0' ;;
esac
";
const PROGRAMS: [&str; 9] = [
    "apt-get",
    "cargo",
    "cc",
    "curl",
    "id",
    "python3",
    "rustc",
    "sudo",
    "systemd-analyze",
];

/// What is said where a project lies in that folder.
fn said(folder: &Path, user: &str) -> String {
    let mut setup = Command::new("bash");
    setup
        .args(["-c", "PATH=.:$PATH exec project/tests/setup.sh"])
        .current_dir(folder)
        .env("USER_ID", user);
    let output = setup.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_no_test_looks_at_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for program in PROGRAMS {
        let program = folder.join(program);
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(folder.join("project/tests")).unwrap();
    for file in ["Cargo.toml", "tests/setup.sh"] {
        fs::copy(own.join(file), folder.join("project").join(file)).unwrap();
    }
    let (disk, messages) = ("not root, so no test", "no ../shared/data, so no test");
    let here = said(folder, "1000");
    assert!(here.contains(disk) && here.contains(messages), "{here}");
    fs::create_dir_all(folder.join("shared/data")).unwrap();
    let here = said(folder, "0");
    assert!(!here.contains(disk) && !here.contains(messages), "{here}");
}
