//! `sluis serve` with the files in `config/`, as they are but for their ports.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::gateway::{Gateway, Upstream, free, get, get_with, status};

/// What the school has, among it `NAMES`.
const USERS: &str = include_str!("../../config/schools/regenboog/cases/rekenwijs/users.json");
const NAMES: [&str; 4] = ["Noor", "van Dijk", "999990001", "not-a-password"];

#[test]
fn the_examples_are_served() {
    let (folder, school) = (tempfile::tempdir().unwrap(), Upstream::saying(USERS));
    let (public, admin) = (free(), free());
    let ports = [
        ("127.0.0.1:8080", public.to_string()),
        ("127.0.0.1:9464", admin.to_string()),
        ("127.0.0.1:9001", school.to_string()),
    ];
    for file in [
        "sluis.toml",
        "schools/regenboog/school.toml",
        "schools/regenboog/vendors/rekenwijs.toml",
        "schools/regenboog/vendors/toetsbron.toml",
    ] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("config")
            .join(file);
        let mut text = fs::read_to_string(from).unwrap();
        for (port, ours) in &ports {
            text = text.replace(port, ours);
        }
        let to = folder.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        command
            .env_clear()
            .args(args)
            .arg("--config")
            .arg(folder.path());
        command
    };
    assert!(command(&["keys", "new"]).output().unwrap().status.success());
    let gateway = Gateway::spawn(command(&["serve"]), admin);
    gateway.wait_for_line("ready");
    let path = "/rekenwijs/ims/oneroster/rostering/v1p2/users";
    assert_eq!(status(&get(public, path).unwrap()), 401);
    let token = "authorization: Bearer fake-token-rekenwijs-not-for-use\r\n";
    let answer = get_with(public, path, token).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("\"role\":\"student\""), "{answer}");
    let (pages, log) = (gateway.page("/status").1, gateway.log());
    for name in NAMES {
        assert!(USERS.contains(name), "{name}");
        for place in [&answer, &pages, &log] {
            assert!(!place.contains(name), "{name} in {place}");
        }
    }
    gateway.signal(Signal::INT);
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0), "{log}");
}
