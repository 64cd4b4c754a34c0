//! Which records are sent: filters, and lists of who objected, while the gateway runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, Peer, Plans, Upstream, request};

/// A vendor that fetches a roster and sends results back, and one that is pushed to.
const POLICY: &str = r#"
[only.User]
role = ["student", "teacher"]

[only.Member]
grade = [7]

[except]
pupil = { list = "lists/objections.txt", max-age = "7 days" }

[ids.pupil]
back = "school-only"

[ids.mail]
looks = "email"
domain = "bron.example"
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { filter = "ids", limit = "int" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "GET /users/{pupil}"
to-vendor = { user = "User" }

[[flow.pull.route]]
match = "GET /seats"
to-vendor = { seats = "Seat[]" }

[[flow.pull.route]]
match = "GET /seats/{seat:slug}"
to-vendor = { seat = "Seat" }
status = { "4xx" = { code = "keep:int" } }

[[flow.pull.route]]
match = "PUT /results/{result:slug}"
from-vendor = { student = "pupil" }

[[flow.pull.route]]
match = "PUT /marks/{result:slug}"
from-vendor = { mail = "mail" }

[[flow.pull.route]]
match = "GET /cards"
query = { filter = "ids" }
to-vendor = { cards = "Card[]" }

[[flow.pull.route]]
match = "GET /staff"
to-vendor = { users = "Staff[]" }

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.push.route]]
match = "PUT /members/{pupil}"
to-vendor = "Member"

[[flow.push.route]]
match = "POST /members"
to-vendor = "Member"

[shape.User]
sourcedId = "pupil"
status = { as = "keep", one-of = ["active", "tobedeleted"] }
role = "keep"
givenName = "keep"

[shape.Seat]
number = "keep:int"
user = "Ref"

[shape.Ref]
sourcedId = "pupil"

[shape.Staff]
_switch = "role"
_otherwise = "drop-item"

[shape.Staff-parent]
role = "keep"

[shape.Card]
sourcedId = "pupil"
mail = { as = "mail", of = "sourcedId" }

[shape.Member]
sourcedId = "pupil"
grade = "keep:int"
"#;

const USERS: &str = r#"{"users":[
    {"givenName":"Fenna-zzq-name","role":"student","status":"active","sourcedId":"pupil-zzq-909"},
    {"givenName":"Parent-zzq-name","role":"parent","status":"active","sourcedId":"pupil-zzq-902"},
    {"givenName":"Sem","role":"student","status":"active","sourcedId":"pupil-zzq-903"}]}"#;
const SEATS: &str = r#"{"seats":[
    {"number":1,"user":{"sourcedId":"pupil-zzq-909"}},
    {"number":2,"user":{"sourcedId":"pupil-zzq-903"}}]}"#;
const SEAT: &str = r#"{"seat":{"number":1,"user":{"sourcedId":"pupil-zzq-909"}}}"#;
const CARDS: &str = r#"{"cards":[{"sourcedId":"pupil-zzq-909","mail":"x"}]}"#;

/// How many there are, and where the last of them is.
const PAGED: &str = "200 OK\r\nx-total-count: 17\r\n\
    link: </users?limit=1>; rel=\"next\", </users?limit=17>; rel=\"last\"\r\n";

/// Who objects in these tests.
const FENNA: &str = "# art. 21\npupil-zzq-909  # since May\n";

fn school() -> Upstream {
    Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let target = request.head.split(' ').nth(1).unwrap_or_default();
            let body = match target {
                "/seats" => SEATS,
                "/seats/s-1" => SEAT,
                "/seats/s-0" => "",
                "/cards" => CARDS,
                _ => USERS,
            };
            let whole = ok(body).replace("200 OK\r\n", PAGED);
            let answer = match body {
                "" => ok(r#"{"code":7}"#).replace("200 OK", "404 Not Found"),
                _ => whole,
            };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

/// A house, and the list of who objected.
struct Scene {
    house: House,
    list: PathBuf,
}

impl Scene {
    fn open(objections: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("schools/proef/lists/objections.txt");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        fs::write(&list, objections).unwrap();
        let plans = Plans {
            instead: Some(POLICY),
            meant: &["Fenna-zzq-name"],
            ..Plans::default()
        };
        let house = plans.open_in(folder, school());
        let scene = Self { house, list };
        scene.look();
        scene
    }

    /// The timer has gone off twice since the list was changed.
    fn look(&self) {
        for vendor in &self.house.deployed.current().vendors {
            vendor.lists.look(self.house.clock.time());
            vendor.lists.look(self.house.clock.time());
        }
    }

    fn objects(&self, objections: &str) {
        fs::write(&self.list, objections).unwrap();
        self.look();
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> Message {
        self.house.ask(request(method, target, body))
    }

    fn get(&self, target: &str) -> Message {
        self.ask("GET", target, "")
    }

    /// The pseudonym of the first user, as long as nobody objects.
    fn pseudonym(&self) -> String {
        let users = self.get("/pull/users").json();
        assert_eq!(users["users"][0]["givenName"], "Fenna-zzq-name");
        users["users"][0]["sourcedId"].as_str().unwrap().to_owned()
    }

    /// How many requests the upstream got.
    fn forwarded(&self) -> usize {
        self.house
            .upstream
            .received_text()
            .matches("HTTP/1.1\r\n")
            .count()
    }
}

fn markers() -> Markers {
    Markers::of(&[
        "pupil-zzq-909",
        "pupil-zzq-902",
        "Fenna-zzq-name",
        "Parent-zzq-name",
    ])
}

#[test]
fn a_page_stays_as_long_as_it_was() {
    let scene = Scene::open(FENNA);
    let answer = scene.get("/pull/users");
    let users = answer.json();
    let told: Vec<_> = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| {
            let keys: Vec<&str> = user
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            (user["status"].as_str().unwrap(), keys.len())
        })
        .collect();
    assert_eq!(
        told,
        [("tobedeleted", 2), ("tobedeleted", 2), ("active", 4)]
    );
    assert_eq!(answer.lines("x-total-count"), ["17"], "as many leave");
    assert!(answer.lines("link")[0].ends_with("?limit=17>; rel=\"last\""));
    let metrics = scene.house.events.metrics_page();
    let stubbed =
        r#"sluis_fields_total{action="record_stubbed",direction="to_vendor",vendor="bron"} 2"#;
    assert!(metrics.contains(stubbed), "{metrics}");
    scene
        .house
        .search(&markers(), &[("what the vendor got", &answer.body)]);
}

#[test]
fn what_names_who_objected_goes_as_a_whole() {
    let scene = Scene::open("");
    let pseudonym = scene.pseudonym();
    scene.objects(FENNA);
    let answer = scene.get("/pull/seats");
    let seats = answer.json();
    assert_eq!(seats["seats"].as_array().unwrap().len(), 1, "{seats}");
    assert_eq!(seats["seats"][0]["number"], 2);
    let none: [&str; 0] = [];
    assert_eq!(answer.lines("x-total-count"), none, "it would be wrong");
    // So would be the way to the last one, which tells the same.
    let next = format!("<http://{HOST}/pull/users?limit=1>; rel=\"next\"");
    assert_eq!(answer.lines("link"), [next]);
    let both = Markers::of(&["pupil-zzq-909", &pseudonym]);
    scene
        .house
        .search(&both, &[("what the vendor got", &answer.body)]);
}

#[test]
fn who_objected_cannot_be_told_from_nobody() {
    let scene = Scene::open("");
    let pseudonym = scene.pseudonym();
    scene.objects(FENNA);
    let before = scene.forwarded();
    let nobody = "0123456789abcdef0123456789abcdef".chars().cycle();
    let nobody: String = pseudonym
        .chars()
        .zip(nobody)
        .map(|(was, other)| if was == '-' { was } else { other })
        .collect();
    let mut got = Vec::new();
    for (code, status, method, target) in [
        ("target_unknown", 404, "GET", "/pull/users/ID"),
        (
            "target_unknown",
            404,
            "GET",
            "/pull/users?filter=sourcedId='ID'",
        ),
        ("pseudonym_unknown", 422, "PUT", "/pull/results/r-1"),
    ] {
        let ask = |id: &str| {
            let body = json!({ "student": id }).to_string();
            let body = if method == "PUT" { &*body } else { "" };
            scene.ask(method, &target.replace("ID", id), body)
        };
        let (theirs, nobodys) = (ask(&pseudonym), ask(&nobody));
        assert_eq!((theirs.status(), &*theirs.code()), (status, code));
        assert_eq!(theirs.unreferenced(), nobodys.unreferenced());
        assert_eq!(theirs.names(), nobodys.names());
        got.extend(theirs.body);
    }
    assert_eq!(scene.forwarded(), before, "nothing was forwarded");
    let metrics = scene.house.events.metrics_page();
    assert!(
        metrics.contains(r#"action="pseudonym_objected""#),
        "{metrics}"
    );
    let both = Markers::of(&["pupil-zzq-909", &pseudonym]);
    scene.house.search(&both, &[("what the vendor got", &got)]);
}

#[test]
fn a_record_that_is_asked_for_alone_looks_like_none() {
    let scene = Scene::open(FENNA);
    let (theirs, none) = (scene.get("/pull/seats/s-1"), scene.get("/pull/seats/s-0"));
    assert_eq!((theirs.status(), &*theirs.code()), (404, "upstream_error"));
    assert_eq!(theirs.unreferenced(), none.unreferenced());
    assert_eq!(theirs.names(), none.names());
    scene.house.await_log("\"person_objected\"");
    scene
        .house
        .search(&markers(), &[("what the vendor got", &theirs.body)]);
}

#[test]
fn a_school_that_pushes_who_objected_is_told() {
    let scene = Scene::open(FENNA);
    let body = r#"{"sourcedId":"pupil-zzq-909","grade":7}"#;
    let other = r#"{"sourcedId":"pupil-zzq-902","grade":8}"#;
    for (method, target, body, told) in [
        (
            "PUT",
            "/push/members/pupil-zzq-909",
            body,
            (403, "person_objected"),
        ),
        (
            "PUT",
            "/push/members/pupil-zzq-903",
            body,
            (403, "person_objected"),
        ),
        ("POST", "/push/members", body, (403, "person_objected")),
        ("POST", "/push/members", other, (403, "record_filtered")),
    ] {
        let answer = scene.ask(method, target, body);
        assert_eq!(
            (answer.status(), &*answer.code()),
            told,
            "{method} {target}"
        );
    }
    assert_eq!(scene.forwarded(), 0, "nothing was forwarded");
    scene.house.search(&markers(), &[]);
}

#[test]
fn a_vendor_is_not_served_while_it_is_not_known_who_objected() {
    let scene = Scene::open(FENNA);
    let status = || {
        let answer = scene.get("/pull/users");
        (
            answer.status(),
            if answer.status() == 200 {
                String::new()
            } else {
                answer.code()
            },
        )
    };
    let unknown = (503, "objections_unknown".to_owned());
    let fine = (200, String::new());
    assert_eq!(status(), fine);
    fs::remove_file(&scene.list).unwrap();
    scene.look();
    assert_eq!(status(), unknown);
    scene.house.redeploy();
    assert_eq!(status(), unknown, "also after a reload");
    scene.objects(FENNA);
    assert_eq!(status(), fine);

    let aged = |days: u64| {
        let age = Duration::from_secs(days * 86_400);
        let file = File::options().write(true).open(&scene.list).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        scene.look();
    };
    aged(8);
    assert_eq!(status(), unknown);
    aged(6);
    assert_eq!(status(), fine);
    scene.house.search(&markers(), &[]);
}

#[test]
fn what_is_made_of_their_id_is_nobodys_either() {
    let scene = Scene::open("");
    let cards = scene.get("/pull/cards").json();
    let mail = cards["cards"][0]["mail"].as_str().unwrap().to_owned();
    scene.objects(FENNA);
    let before = scene.forwarded();
    let asked = scene.get(&format!("/pull/cards?filter=mail='{mail}'"));
    let put = scene.ask(
        "PUT",
        "/pull/marks/m-1",
        &json!({ "mail": mail }).to_string(),
    );
    assert_eq!((asked.status(), put.status()), (404, 422));
    assert_eq!(scene.forwarded(), before, "nothing was forwarded");
    scene.house.search(&markers(), &[]);
}

#[test]
fn a_count_of_items_that_a_switch_may_remove_is_dropped() {
    let scene = Scene::open("");
    let answer = scene.get("/pull/staff");
    let staff = answer.json();
    assert_eq!(staff["users"].as_array().unwrap().len(), 1, "{staff}");
    let none: [&str; 0] = [];
    assert_eq!(answer.lines("x-total-count"), none, "it would be wrong");
    scene
        .house
        .search(&markers(), &[("what the vendor got", &answer.body)]);
}

#[test]
fn the_head_of_a_record_that_may_be_withheld_is_not_told() {
    let scene = Scene::open(FENNA);
    let mut got = Vec::new();
    for target in ["/pull/seats/s-1", "/pull/seats/s-0", "/pull/seats/s-2"] {
        let mut caller = scene.house.caller();
        caller.send(format!("HEAD {target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
        let answer = caller.answer_to_head();
        assert_eq!(answer.status(), 405, "{target}");
        assert_eq!(answer.lines("allow"), ["GET"], "{target}");
        got.extend_from_slice(answer.head.as_bytes());
    }
    assert_eq!(
        scene.house.upstream.received_text(),
        "",
        "nothing was asked"
    );
    let mut caller = scene.house.caller();
    caller.send(format!("HEAD /pull/seats HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
    assert_eq!(
        caller.answer_to_head().status(),
        200,
        "a list is never withheld"
    );
    scene
        .house
        .search(&markers(), &[("what the vendor got", &got)]);
}
