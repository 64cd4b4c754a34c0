//! Two gateways that share a register on a server, and a vendor whose key changes under them, as
//! `docs/register.md` has it: the ring is copied first, then one reloads after the other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use sluis_test_postgres::Cluster;

use crate::gateway::{Files, Gateway, status};
use crate::home::{PUPILS, School, count, files, landed, pull, rotate, send, send_all, stop};

const RING: &str = "keys/ring.toml";

/// A gateway whose register is on that server.
fn node(school: &School, server: &str) -> Files {
    let files = files(school);
    keep_on(&files, server);
    files
}

/// Has the register on that server from now on.
pub(crate) fn keep_on(files: &Files, server: &str) {
    files.write("register-url", server);
    let private = Permissions::from_mode(0o600);
    fs::set_permissions(files.path().join("register-url"), private).unwrap();
    let own = fs::read_to_string(files.path().join("sluis.toml")).unwrap();
    let register = "[register]\nstore = \"postgres\"\nurl = { file = \"register-url\" }\n";
    files.write("sluis.toml", &format!("{own}{register}"));
}

fn copy(from: &Files, to: &Files, file: &str) {
    fs::copy(from.path().join(file), to.path().join(file)).unwrap();
}

/// The gateways that share one register, and their keys.
fn two_nodes(school: &School, server: &str) -> [Files; 2] {
    let [here, there] = [(); 2].map(|()| node(school, server));
    copy(&here, &there, "keys/master.key");
    copy(&here, &there, RING);
    let made = here.command(&["register", "init"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    [here, there]
}

/// What they tell of the school's pupils and of these pseudonyms when they end: nothing.
fn end(gateways: [Gateway; 2], told: &[String]) {
    for gateway in gateways {
        assert!(!gateway.page("/metrics").1.contains("zzq"));
        let log = stop(gateway, Signal::TERM);
        let found = { told.iter() }.find(|pseudonym| log.contains(pseudonym.as_str()));
        assert_eq!(found, None);
    }
}

/// The `nth` reload of a gateway.
fn reload(gateway: &Gateway, nth: usize) {
    gateway.signal(Signal::HUP);
    gateway.wait_for_nth("config.reloaded", nth);
}

#[test]
fn a_rotation_that_was_prepared_refuses_nothing_at_any_node() {
    let cluster = Cluster::start();
    let server = cluster.settings(&cluster.database());
    let school = School::open();
    let [here, there] = two_nodes(&school, &server);
    let (first, second) = (here.serve(), there.serve());
    let old = pull(&here);

    rotate(&here, &["--prepare"]);
    copy(&here, &there, RING);
    reload(&first, 1);
    // What both give out is what they gave out, and comes home at both.
    assert_eq!(pull(&here), old);
    send_all(&there, "one-knows", &old);
    reload(&second, 1);
    assert_eq!(pull(&there), old);
    let key = first.status()["vendors"][0]["key_prepared"].clone();
    let key = key.as_str().unwrap();
    for gateway in [&first, &second] {
        let vendor = &gateway.status()["vendors"][0];
        assert_eq!(vendor["key_prepared"], key);
        assert_ne!(vendor["key_fingerprint"], key);
        let prepared = format!("{{fingerprint=\"{key}\",school=\"proef\",state=\"prepared\"");
        let metrics = gateway.page("/metrics").1;
        assert!(metrics.contains(&prepared), "{metrics}");
    }

    rotate(&here, &["--key", key]);
    copy(&here, &there, RING);
    reload(&first, 2);
    // One makes pseudonyms with the new key, the other with the former: each understands both.
    let new = pull(&here);
    assert!(old.iter().all(|pseudonym| !new.contains(pseudonym)));
    assert_eq!(pull(&there), old);
    for (files, tag) in [(&here, "here"), (&there, "there")] {
        send_all(files, &format!("new-{tag}"), &new);
        send_all(files, &format!("old-{tag}"), &old);
    }
    reload(&second, 2);
    assert_eq!(pull(&there), new);
    send_all(&there, "last-new", &new);
    send_all(&there, "last-old", &old);
    assert_eq!(landed(&school).len(), 7 * PUPILS);
    for gateway in [&first, &second] {
        let metrics = gateway.page("/metrics").1;
        assert_eq!(count(&metrics, "pseudonym_unknown"), 0, "{metrics}");
        assert!(gateway.status()["vendors"][0]["key_prepared"].is_null());
    }
    end([first, second], &[old, new].concat());
}

/// The number of the pupil that no result here is about but those that are refused.
const REFUSED: usize = 5;

#[test]
fn a_rotation_on_two_nodes_refuses_results_in_between_and_loses_none() {
    let cluster = Cluster::start();
    let server = cluster.settings(&cluster.database());
    let school = School::open();
    let [here, there] = two_nodes(&school, &server);
    let (first, second) = (here.serve(), there.serve());
    let old = pull(&here);
    send_all(&there, "before", &old);

    rotate(&here, &[]);
    copy(&here, &there, RING);
    reload(&first, 1);
    let new = pull(&here);
    assert!(old.iter().all(|pseudonym| !new.contains(pseudonym)));

    // One knows both keys, the other the former only: to it a new pseudonym is nobody's.
    send_all(&here, "new-here", &new);
    send_all(&here, "old-here", &old);
    send_all(&there, "old-there", &old);
    let before = school.received().len();
    let (new_one, old_one) = (&new[REFUSED], &old[REFUSED]);
    for (in_path, in_body, expected) in [
        (new_one, new_one, 404),
        (new_one, old_one, 404),
        (old_one, new_one, 422),
    ] {
        let answer = send(&there, "refused-5", in_path, in_body).unwrap();
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(!answer.contains("zzq"), "{answer}");
    }
    assert_eq!(school.received().len(), before, "nothing was forwarded");
    let metrics = second.page("/metrics").1;
    assert_eq!(count(&metrics, "pseudonym_unknown"), 3, "{metrics}");
    // What it gives out meanwhile comes home at both.
    assert_eq!(pull(&there), old);

    reload(&second, 1);
    assert_eq!(pull(&there), new);
    let answer = send(&there, "refused-5", new_one, new_one).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    send_all(&there, "new-there", &new);
    send_all(&here, "late", &old);
    assert_eq!(landed(&school).len(), 6 * PUPILS + 1);
    end([first, second], &[old, new].concat());
}
