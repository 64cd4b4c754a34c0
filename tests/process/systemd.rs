//! `sluis serve` as systemd starts it: what it says and when, its sockets, its unit.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;

use crate::gateway::{Files, Gateway, Upstream, free, get, status};
use crate::{PUPILS, body};

/// What systemd hears.
struct Ear(UnixDatagram);

impl Ear {
    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).unwrap();
        Self(socket)
    }

    fn below(folder: &Path) -> (Self, String) {
        let path = folder.join("notify").to_str().unwrap().to_owned();
        (Self::at(&SocketAddr::from_pathname(&path).unwrap()), path)
    }

    fn hears(&self) -> String {
        let mut state = [0; 128];
        let length = self.0.recv(&mut state).unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    }
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let files = Files::new(free(), "");
    let hidden = format!("sluis-test-{}", std::process::id());
    let (ear, path) = Ear::below(files.path());
    let abstract_one = SocketAddr::from_abstract_name(&hidden).unwrap();
    for (name, ear) in [(path, ear), (format!("@{hidden}"), Ear::at(&abstract_one))] {
        let mut command = files.command(&["serve"]);
        command.env("NOTIFY_SOCKET", &name);
        let gateway = Gateway::spawn(command, files.admin);
        assert_eq!(ear.hears(), "READY=1", "{name}");
        assert_eq!(gateway.page("/readyz").0, 200);
        gateway.signal(Signal::TERM);
        assert_eq!(ear.hears(), "STOPPING=1", "{name}");
        assert_eq!(gateway.end().0, Some(0));
    }
}

#[test]
fn systemd_is_told_of_a_reload_and_that_it_is_over_whatever_came_of_it() {
    let files = Files::new(free(), "");
    let (ear, name) = Ear::below(files.path());
    let mut command = files.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &name);
    let gateway = Gateway::spawn(command, files.admin);
    assert_eq!(ear.hears(), "READY=1");
    let mut before = 0;
    for (line, event) in [
        ("# same", "config.reloaded"),
        ("name = 7", "config.reload_failed"),
    ] {
        files.write_vendor(free(), line);
        gateway.signal(Signal::HUP);
        let told = ear.hears();
        let at = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let at: u64 = at.unwrap_or_else(|| panic!("{told}")).parse().unwrap();
        assert!(at > before, "{at} after {before}");
        before = at;
        assert_eq!(ear.hears(), "READY=1");
        gateway.wait_for(event);
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn a_watchdog_is_fed_to_the_end_and_only_by_the_process_that_it_watches() {
    let upstream = Upstream::patient();
    let files = Files::new(upstream.address, "");
    let (ear, name) = Ear::below(files.path());
    let mut command = files.command(&["serve", "--threads", "2"]);
    let watched = command
        .env("NOTIFY_SOCKET", &name)
        .env("WATCHDOG_USEC", "100000");
    let (public, gateway) = (
        files.public,
        Gateway::spawn(
            std::mem::replace(watched, Command::new("true")),
            files.admin,
        ),
    );
    assert_eq!(ear.hears(), "READY=1");
    for _ in 0..3 {
        assert_eq!(ear.hears(), "WATCHDOG=1");
    }
    let caller = std::thread::spawn(move || get(public, PUPILS));
    upstream.wait();
    gateway.signal(Signal::TERM);
    while ear.hears() != "STOPPING=1" {}
    for _ in 0..3 {
        assert_eq!(ear.hears(), "WATCHDOG=1", "also while requests finish");
    }
    upstream.tell();
    assert_eq!(status(&caller.join().unwrap().unwrap()), 200);
    assert_eq!(gateway.end().0, Some(0));

    let mut command = files.command(&["serve"]);
    command
        .env("NOTIFY_SOCKET", &name)
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let gateway = Gateway::spawn(command, files.admin);
    while ear.hears() != "READY=1" {}
    assert_eq!(gateway.page("/readyz").0, 200);
    gateway.signal(Signal::INT);
    assert_eq!(ear.hears(), "STOPPING=1", "another process is watched");
    assert_eq!(gateway.end().0, Some(0));
}

/// `systemd-socket-activate` listens, and becomes the gateway when somebody knocks.
fn activated(files: &Files, sockets: &[std::net::SocketAddr]) -> Command {
    let mut command = Command::new("systemd-socket-activate");
    for socket in sockets {
        command.arg("-l").arg(socket.to_string());
    }
    let serve = files.command(&["serve", "--threads", "2"]);
    command.arg(serve.get_program()).args(serve.get_args());
    command
}

#[test]
fn sockets_of_systemd_are_served_from_the_first_knock_on_and_stay_open_after_it() {
    let files = Files::new(Upstream::prompt(), "");
    let gateway = Gateway::spawn(activated(&files, &[files.admin, files.public]), files.admin);
    gateway.wait_for_line("Listening on");
    gateway.wait_for_line(&files.public.to_string());
    // Sent before there is a gateway.
    let mut knock = TcpStream::connect(files.public).unwrap();
    let head = format!(
        "GET {PUPILS} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        files.public
    );
    knock.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    knock.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200);
    assert!(body(&answer).ends_with("}]}"), "{answer}");
    assert_eq!(gateway.page("/readyz").0, 200);
    for _ in 0..20 {
        assert_eq!(status(&get(files.public, PUPILS).unwrap()), 200);
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn a_socket_that_the_configuration_does_not_name_is_refused() {
    let files = Files::new(free(), "");
    let stray = free();
    let gateway = Gateway::spawn(activated(&files, &[files.public, stray]), files.admin);
    gateway.wait_for_line(&stray.to_string());
    drop(TcpStream::connect(stray).unwrap());
    let (code, log) = gateway.end();
    let expected = format!(
        "sluis cannot start: {stray} was handed over, and neither [listen] nor [admin] names it"
    );
    assert!(code == Some(78) && log.contains(&expected), "{log}");
}

/// How exposed a unit is, by systemd's own measure: 0 to 10.
fn exposure(unit: &Path) -> (f64, String) {
    let mut measure = Command::new("systemd-analyze");
    measure
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit);
    let Output {
        status,
        stdout,
        stderr,
    } = measure.output().expect("tests/setup.sh installs it");
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success(), "{text}");
    let overall = text
        .lines()
        .find(|line| line.contains("Overall exposure level"));
    let figure = overall.unwrap().split_once(": ").unwrap().1;
    let figure = figure.split(' ').next().unwrap().parse().unwrap();
    (figure, text)
}

#[test]
fn the_unit_is_hardened_and_more_so_with_sockets_of_systemd() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("sluis.service");
    fs::copy(deploy.join("sluis.service"), &unit).unwrap();
    let (alone, text) = exposure(&unit);
    assert!(alone <= 1.5, "{text}");

    let more = folder.path().join("sluis.service.d");
    fs::create_dir(&more).unwrap();
    fs::copy(
        deploy.join("sluis.service.d/socket.conf"),
        more.join("socket.conf"),
    )
    .unwrap();
    let (activated, text) = exposure(&unit);
    assert!(activated <= 1.0 && activated < alone, "{text}");

    let open = fs::read_to_string(&unit)
        .unwrap()
        .replace("CapabilityBoundingSet=\n", "");
    fs::write(&unit, open).unwrap();
    assert!(
        exposure(&unit).0 > activated,
        "what is taken away is measured"
    );

    for name in ["sluis.service", "sluis.socket"] {
        let text = fs::read_to_string(deploy.join(name)).unwrap();
        assert!(text.contains("[Unit]\nDescription="), "{name}");
    }
}

#[test]
fn the_image_has_nobodys_rights_no_shell_and_none_of_our_keys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let image = read("deploy/Containerfile");
    let lines: Vec<&str> = image
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let last_stage = lines
        .iter()
        .rposition(|line| line.starts_with("FROM "))
        .unwrap();
    let run = &lines[last_stage..];
    assert!(run.contains(&"USER 65532:65532"), "{image}");
    assert!(
        !run.iter().any(|line| line.starts_with("RUN ")),
        "there is nothing to run"
    );
    for word in ["ENTRYPOINT", "CMD"] {
        let form = run.iter().find_map(|line| line.strip_prefix(word)).unwrap();
        assert!(form.starts_with(" ["), "{word} without a shell");
    }
    assert!(
        run.iter()
            .any(|line| line.starts_with("HEALTHCHECK") && line.contains("\"health\""))
    );
    assert!(!image.contains(":latest"));
    let version = read("Cargo.toml");
    let version = version.split_once("rust-version = \"").unwrap().1;
    let version = version.split_once('"').unwrap().0;
    assert!(
        image.contains(&format!("rust:{version}-")),
        "the Rust of Cargo.toml"
    );
    // Whatever git does not take is in no layer either.
    for kept in read(".gitignore")
        .lines()
        .filter(|line| line.starts_with("/config/"))
    {
        assert!(
            read(".containerignore").lines().any(|line| line == kept),
            "{kept}"
        );
    }
}
