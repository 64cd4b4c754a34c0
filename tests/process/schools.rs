//! Two schools behind one gateway, with a vendor of the same name at both and pupils with the same
//! identifiers: nothing of the one is worth anything at the other.

use std::collections::BTreeSet;
use std::fs;

use data_encoding::HEXLOWER;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sluis_test_postgres::Cluster;

use crate::gateway::{Files, Gateway, get_with, put_with, status};
use crate::home::{PUPILS, School, files, landed, pupil, stop};
use crate::nodes::keep_on;

const PROEF: At = At {
    door: "/bron",
    token: "not-a-secret-of-proef",
};
const TWEEDE: At = At {
    door: "/tweede",
    token: "not-a-secret-of-tweede",
};

/// Where the vendor calls one of the schools, and with what.
#[derive(Clone, Copy)]
struct At {
    door: &'static str,
    token: &'static str,
}

/// Files of both; the second school has the vendor file of the first, but for where it is.
fn two_schools(first: &School, second: &School) -> Files {
    let files = files(first);
    let (folder, vendor) = (files.path().join("schools"), "vendors/bron.toml");
    let text = fs::read_to_string(folder.join("proef").join(vendor)).unwrap();
    let of = |at: At, upstream: &School| {
        let hash = HEXLOWER.encode(&Sha256::digest(at.token));
        text.replace("at = \"/bron\"", &format!("at = \"{}\"", at.door))
            .replace("\"anyone\"", &format!("[{{ token-sha256 = \"{hash}\" }}]"))
            .replace(&first.address.to_string(), &upstream.address.to_string())
    };
    files.write(&format!("schools/proef/{vendor}"), &of(PROEF, first));
    files.write(&format!("schools/tweede/{vendor}"), &of(TWEEDE, second));
    let school = fs::read_to_string(folder.join("proef/school.toml")).unwrap();
    let school = school.replace("De Proef", "De Tweede");
    files.write("schools/tweede/school.toml", &school);
    let made = files.command(&["keys", "new"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    files
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn ask(files: &Files, at: At, token: &str) -> (u16, String) {
    let target = format!("{}/pupils", at.door);
    read(get_with(files.public, &target, &bearer(token)).unwrap())
}

/// Sends a result of a pupil, named by that number.
fn send(files: &Files, at: At, number: usize, in_path: &str, in_body: &str) -> (u16, String) {
    let target = format!("{}/results/sent-{number}/of/{in_path}", at.door);
    let body = json!({"student": in_body, "score": 7}).to_string();
    read(put_with(files.public, &target, &bearer(at.token), &body).unwrap())
}

fn read(answer: String) -> (u16, String) {
    assert!(!answer.contains("zzq"), "{answer}");
    (status(&answer), answer)
}

fn pull(files: &Files, at: At) -> Vec<String> {
    let (status, answer) = ask(files, at, at.token);
    assert_eq!(status, 200, "{answer}");
    let pupils: Value = serde_json::from_str(crate::body(&answer)).unwrap();
    let pupils = pupils["pupils"].as_array().unwrap().iter();
    pupils
        .map(|pupil| pupil["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_one_school_gave_out_is_nothing_at_another() {
    let (first, second) = (School::open(), School::open());
    let files = two_schools(&first, &second);
    let gateway = files.serve();
    let (ours, theirs) = (pull(&files, PROEF), pull(&files, TWEEDE));
    let all: BTreeSet<_> = ours.iter().chain(&theirs).collect();
    assert_eq!(all.len(), 2 * PUPILS, "the same pupil has two pseudonyms");

    // Of the same pupil, at the other school; in the path, and in the body behind one that is right.
    let (status, answer) = send(&files, TWEEDE, 0, &ours[0], &ours[0]);
    assert_eq!(status, 404, "{answer}");
    assert!(answer.contains("target_unknown"), "{answer}");
    let (status, answer) = send(&files, TWEEDE, 0, &theirs[0], &ours[0]);
    assert_eq!(status, 422, "{answer}");
    assert_eq!(landed(&second).len(), 0);

    for (at, other) in [(PROEF, TWEEDE), (TWEEDE, PROEF)] {
        let (status, answer) = ask(&files, at, other.token);
        assert_eq!(status, 403, "{answer}");
    }

    for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(send(&files, PROEF, number, our, our).0, 200);
        assert_eq!(send(&files, TWEEDE, number, their, their).0, 200);
    }
    assert_eq!(landed(&first).len(), PUPILS);
    assert_eq!(landed(&second).len(), PUPILS);
    let log = stop(gateway, Signal::TERM);
    assert!(!log.contains(&pupil(0)), "{log}");
}

#[test]
fn a_broken_file_of_one_school_leaves_both_as_they_were() {
    let (first, second) = (School::open(), School::open());
    let files = two_schools(&first, &second);
    let gateway = files.serve();
    let ours = pull(&files, PROEF);
    files.write("schools/tweede/vendors/bron.toml", "version = 1\n");
    gateway.signal(Signal::HUP);
    gateway.wait_for("config.reload_failed");
    assert_eq!(pull(&files, PROEF), ours);
    assert_eq!(pull(&files, TWEEDE).len(), PUPILS);
    stop(gateway, Signal::TERM);
}

/// What makes of a sealed identifier one that does not open, and what makes it whole again.
const DAMAGE: &str = "sealed || '\\x00'";
const MEND: &str = "substr(sealed, 1, length(sealed) - 1)";

#[test]
fn a_gateway_starts_while_one_school_with_rows_is_whole() {
    let cluster = Cluster::start();
    let database = cluster.database();
    let (first, second) = (School::open(), School::open());
    let files = two_schools(&first, &second);
    keep_on(&files, &cluster.settings(&database));
    let made = files.command(&["register", "init"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let gateway = files.serve();
    let (ours, theirs) = (pull(&files, PROEF), pull(&files, TWEEDE));
    stop(gateway, Signal::TERM);
    let change = |school: &str, how: &str| {
        let rows = format!("UPDATE sluis_register SET sealed = {how} WHERE school = '{school}'");
        cluster.sql(&database, &rows);
    };

    change("tweede", DAMAGE);
    let gateway = files.serve();
    assert_eq!(pull(&files, PROEF), ours);
    assert_eq!(send(&files, PROEF, 0, &ours[0], &ours[0]).0, 200);
    for (status, answer) in [
        ask(&files, TWEEDE, TWEEDE.token),
        send(&files, TWEEDE, 0, &theirs[0], &theirs[0]),
    ] {
        assert_eq!(status, 503, "{answer}");
        assert!(answer.contains("register_unavailable"), "{answer}");
    }
    assert_eq!(landed(&second).len(), 0);
    assert_eq!(gateway.page("/readyz"), (200, "ok\n".to_owned()));
    let verbose = gateway.page("/readyz?verbose").1;
    let said = "[!] register: damaged, so what it does not know of tweede is refused\n";
    assert!(verbose.contains(said), "{verbose}");
    let register = gateway.status()["register"].clone();
    assert_eq!(register["stopped"], json!(["tweede"]), "{register}");
    assert_eq!(gateway.wait_for("register.failed")["error.type"], "damaged");
    stop(gateway, Signal::TERM);

    // Neither is whole; and of two the only one that has rows is not.
    change("proef", DAMAGE);
    refuses_to_start(&files, 2 * PUPILS);
    cluster.sql(
        &database,
        "DELETE FROM sluis_register WHERE school = 'proef'",
    );
    refuses_to_start(&files, PUPILS);

    change("tweede", MEND);
    let gateway = files.serve();
    assert_eq!(pull(&files, TWEEDE), theirs);
    assert_eq!(send(&files, TWEEDE, 0, &theirs[0], &theirs[0]).0, 200);
    stop(gateway, Signal::TERM);
}

/// It ends at once, and says how many rows do not open.
fn refuses_to_start(files: &Files, rows: usize) {
    let gateway = Gateway::spawn(files.command(&["serve"]), files.admin);
    let (code, log) = gateway.end();
    assert_eq!(code, Some(78), "{log}");
    let said = format!("{rows} of its rows do not open");
    assert!(log.contains(&said) && !log.contains("zzq"), "{log}");
}
