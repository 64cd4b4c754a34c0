//! An upstream whose name leads somewhere else later.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use rustix::process::{Signal, geteuid};

use crate::gateway::{Files, Gateway, answer, get, status};
use crate::{PUPILS, body};

const NAME: &str = "sis.example";
/// Runs what follows with `hosts`, in the folder that is named last, in place of the machine's own.
const WITH_HOSTS: &str = r#"for folder; do :; done
mount --bind "$folder/hosts" /etc/hosts && exec "$@""#;

/// A command in a view of the files of its own, in which it may mount.
fn apart(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command.args(["sh", "-c", script, "sh"]);
    command
}

/// A school's API at one of the loopback addresses: its pupil is at that level.
fn school(at: SocketAddr, level: u8) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let pupil = format!(r#"{{"id":"L-0001-zzq","name":"Noor-Marker","level":{level}}}"#);
        for stream in listener.incoming() {
            answer(
                stream.unwrap(),
                &format!(r#"{{"pupils":[{pupil}]}}"#),
                || true,
            );
        }
    });
    address
}

#[test]
fn a_new_connection_goes_where_the_name_leads_by_then() {
    let may = apart("mount --bind /dev/null /etc/hosts").output();
    if !may.as_ref().is_ok_and(|it| it.status.success()) {
        // Where the tests of a commit run, they run as root, and this one must.
        assert!(!geteuid().is_root(), "unshare may not mount here: {may:?}");
        let why = "SKIPPED: whoever is not root may not mount here, so no name leads elsewhere\n";
        return std::io::stdout().write_all(why.as_bytes()).unwrap();
    }
    let first = school((Ipv4Addr::LOCALHOST, 0).into(), 1);
    let port = first.port();
    let addresses = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
    for (level, address) in (2..).zip(addresses) {
        school((address, port).into(), level);
    }
    let files = Files::new(first, "");
    files.write_vendor(first, "level = \"keep:int\"");
    let vendor = "schools/proef/vendors/bron.toml";
    let text = std::fs::read_to_string(files.path().join(vendor)).unwrap();
    let address = format!("upstream = \"http://{first}\"");
    assert!(text.contains(&address));
    let named = format!("upstream = \"http://{NAME}:{port}\"\nallow-private = true");
    files.write(vendor, &text.replace(&address, &named));
    let leads_to = |address: Ipv4Addr| files.write("hosts", &format!("{address} {NAME}\n"));
    leads_to(Ipv4Addr::LOCALHOST);
    let serve = files.command(&["serve"]);
    let mut command = apart(WITH_HOSTS);
    command.env_clear().arg(serve.get_program());
    command.args(serve.get_args());
    let gateway = Gateway::spawn(command, files.admin);
    gateway.wait_for("process.ready");
    let all = [Ipv4Addr::LOCALHOST].into_iter().chain(addresses);
    for (level, address) in (1..).zip(all) {
        leads_to(address);
        // Its school closes each connection behind the answer.
        let answer = get(files.public, PUPILS).unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
        let json: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!(json["pupils"][0]["level"], level, "{answer}");
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}
