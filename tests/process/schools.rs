//! Two schools behind one gateway, with a vendor of the same name at both and pupils with the same
//! identifiers: nothing of the one is worth anything at the other.

use std::collections::BTreeSet;
use std::fs;

use data_encoding::HEXLOWER;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sluis_test_postgres::Cluster;

use crate::gateway::{Files, Gateway, get_with, post_form, put_with, status};
use crate::home::{PUPILS, School, count, files, landed, pupil, stop};
use crate::nodes::keep_on;

const PROEF: At = At {
    door: "/bron",
    token: "not-a-secret-of-proef",
};
const TWEEDE: At = At {
    door: "/tweede",
    token: "not-a-secret-of-tweede",
};

/// The vendor is the same client, with the same secret, at both.
const SECRET: &str = "not-a-secret-of-the-client";

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
    let hash = |secret: &str| HEXLOWER.encode(&Sha256::digest(secret));
    let of = |at: At, upstream: &School| {
        let callers = format!(
            "[{{ token-sha256 = \"{}\" }}, {{ oauth2 = \"client\", secret-sha256 = \"{}\" }}]",
            hash(at.token),
            hash(SECRET)
        );
        text.replace("at = \"/bron\"", &format!("at = \"{}\"", at.door))
            .replace("\"anyone\"", &callers)
            .replace("GET /pupils\",", "GET /pupils\", \"GET /pupils/{pupil}\",")
            .replace("Pupil[]\" }", "Pupil[]\", about = \"url[]\" }")
            .replace("[shape.Result]", "[shape.Result]\nabout = \"url[]\"")
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
    let body = json!({"student": in_body, "score": 7});
    send_body(files, at, number, in_path, &body)
}

fn send_body(files: &Files, at: At, number: usize, of: &str, body: &Value) -> (u16, String) {
    let target = format!("{}/results/sent-{number}/of/{of}", at.door);
    read(put_with(files.public, &target, &bearer(at.token), &body.to_string()).unwrap())
}

/// A token that the vendor fetches at a school.
fn fetch(files: &Files, at: At) -> String {
    let form = format!("grant_type=client_credentials&client_id=client&client_secret={SECRET}");
    let answer = post_form(files.public, &format!("{}/oauth/token", at.door), &form).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    let issued: Value = serde_json::from_str(crate::body(&answer)).unwrap();
    issued["access_token"].as_str().unwrap().to_owned()
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
    // Nobody there can have been given it: that is no other vendor's.
    let metrics = gateway.page("/metrics").1;
    let counted = ["pseudonym_unknown", "pseudonym_foreign"].map(|it| count(&metrics, it));
    assert_eq!(counted, [2, 0], "{metrics}");

    for (at, other) in [(PROEF, TWEEDE), (TWEEDE, PROEF)] {
        let (status, answer) = ask(&files, at, other.token);
        assert_eq!(status, 403, "{answer}");
        let token = fetch(&files, at);
        assert_eq!(ask(&files, at, &token).0, 200);
        let (status, answer) = ask(&files, other, &token);
        assert_eq!(status, 401, "{answer}");
        assert!(answer.contains("error=\"invalid_token\""), "{answer}");
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
fn a_link_of_one_school_leads_nowhere_at_another() {
    let (first, second) = (School::open(), School::open());
    let files = two_schools(&first, &second);
    let gateway = files.serve();
    let (ours, theirs) = (pull(&files, PROEF), pull(&files, TWEEDE));
    let here = |at: At, id: &str| format!("http://{}{}/pupils/{id}", files.public, at.door);
    let there = |school: &School, id: &str| format!("http://{}/pupils/{id}", school.address);

    // What the vendor sends: only the last is one of theirs.
    let about = [
        here(PROEF, &ours[0]),
        here(PROEF, &theirs[0]),
        there(&first, &ours[0]),
        here(TWEEDE, &theirs[0]),
    ];
    let body = json!({"student": theirs[0], "score": 7, "about": about});
    let (status, answer) = send_body(&files, TWEEDE, 0, &theirs[0], &body);
    assert_eq!(status, 200, "{answer}");
    let (_, arrived) = second.received().remove(0);
    assert_eq!(arrived["about"], json!([there(&second, &pupil(0))]));

    let body = json!({"student": theirs[0], "score": 7, "about": [here(TWEEDE, &ours[0])]});
    let (status, answer) = send_body(&files, TWEEDE, 0, &theirs[0], &body);
    assert_eq!(status, 422, "{answer}");
    assert_eq!(second.received().len(), 1);

    // What their school answers. Of its own host nothing is known: what the path names is theirs.
    for (link, leads) in [
        (here(PROEF, &pupil(0)), None),
        (here(PROEF, &ours[0]), None),
        (here(TWEEDE, &pupil(0)), None),
        (there(&first, &pupil(0)), Some(&theirs[0])),
        (there(&second, &pupil(0)), Some(&theirs[0])),
    ] {
        second.links_to(std::slice::from_ref(&link));
        let (status, answer) = ask(&files, TWEEDE, TWEEDE.token);
        assert_eq!(status, 200, "{answer}");
        let leads: Vec<String> = leads.iter().map(|it| here(TWEEDE, it)).collect();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let in_head = head.lines().filter_map(|it| it.strip_prefix("link: <"));
        let in_head: Vec<_> = in_head.map(|it| it.split_once('>').unwrap().0).collect();
        assert_eq!(in_head, leads, "{link}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["about"], json!(leads), "{link}");
    }
    assert!(first.received().is_empty());
    stop(gateway, Signal::TERM);
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

#[test]
fn a_school_is_served_while_the_register_of_another_has_another_key() {
    let (first, second) = (School::open(), School::open());
    let files = two_schools(&first, &second);
    let gateway = files.serve();
    let (ours, theirs) = (pull(&files, PROEF), pull(&files, TWEEDE));
    stop(gateway, Signal::TERM);
    let file = |name: &str| files.path().join(name);
    let ring = fs::read_to_string(file("keys/ring.toml")).unwrap();
    let entries: Vec<&str> = ring.split("\n\n").collect();
    let (of_register, others): (Vec<&str>, Vec<&str>) = { entries.iter().copied() }
        .partition(|it| it.starts_with("[[register]]") && it.contains("\"proef\""));
    assert_eq!(of_register.len(), 1, "{ring}");
    files.write("keys/ring.toml", &others.join("\n\n"));
    fs::rename(file("state/register.redb"), file("kept")).unwrap();
    let made = { files.command(&["keys", "new", "--begin-anew"]) }.output();
    assert!(made.unwrap().status.success());
    fs::rename(file("kept"), file("state/register.redb")).unwrap();

    let gateway = files.serve();
    assert_eq!(pull(&files, TWEEDE), theirs);
    assert_eq!(send(&files, TWEEDE, 0, &theirs[0], &theirs[0]).0, 200);
    for (status, answer) in [
        ask(&files, PROEF, PROEF.token),
        send(&files, PROEF, 0, &ours[0], &ours[0]),
    ] {
        assert_eq!(status, 503, "{answer}");
        assert!(answer.contains("register_unavailable"), "{answer}");
    }
    assert_eq!((landed(&first).len(), landed(&second).len()), (0, 1));
    let stopped = gateway.status()["register"]["stopped"].clone();
    assert_eq!(stopped, json!(["proef"]));
    stop(gateway, Signal::TERM);

    files.write("keys/ring.toml", &ring);
    let gateway = files.serve();
    assert_eq!(send(&files, PROEF, 0, &ours[0], &ours[0]).0, 200);
    assert_eq!(pull(&files, PROEF), ours);
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
