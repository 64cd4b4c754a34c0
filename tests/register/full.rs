//! A file system that is full, where this process may mount one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sluis::pseudonym::{Batch, Form, Identifier, Register as _};
use sluis::store::StoreFault;

use super::killed::check;
use super::{open, view};

const MIB: usize = 1 << 20;

/// A small file system in memory; gone with this value.
struct Small(PathBuf);

impl Small {
    /// Root can mount one; of anybody else `tests/setup.sh` says that this is not looked at.
    fn mounted(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=6m", "register"])
            .arg(at);
        let mounted = mount.output().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        assert!(mounted.status.success() || !is_root, "{mounted:?}");
        mounted.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        umount
            .arg("--lazy")
            .arg(&self.0)
            .status()
            .map(drop)
            .unwrap_or_default();
    }
}

#[test]
fn a_full_file_system_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_small) = Small::mounted(folder.path()) else {
        // The disk in memory must do (src/store).
        return;
    };
    let path = folder.path().join("register/register.redb");
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![7; 2 * MIB]).unwrap();
    let store = open(&path).unwrap();
    let view = view(&store, 7);
    let settle = |ids: &[String]| {
        let mut batch = Batch::new();
        for id in ids {
            let id = Identifier::new(id);
            view.remember(0, id, Form::Text, &mut batch).unwrap();
        }
        view.settle(batch).wait()
    };
    let ids = |from: usize| {
        (from..from + 200)
            .map(|id| format!("S-{id}"))
            .collect::<Vec<_>>()
    };
    let mut told = Vec::new();
    while settle(&ids(told.len())).is_ok() {
        told.extend(ids(told.len()));
        assert!(told.len() < 200_000, "it never became full");
    }
    assert_eq!(settle(&ids(told.len())), Err(StoreFault::Gone));
    check(&store, &told);
    fs::remove_file(&ballast).unwrap();
    settle(&ids(told.len())).unwrap();
    told.extend(ids(told.len()));
    drop((view, store));
    check(&open(&path).unwrap(), &told);
}
