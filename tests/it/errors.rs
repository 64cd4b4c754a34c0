//! Errors of an upstream: what is declared for their status passes, and nothing of what they echo.

use serde_json::json;

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, Plans, Upstream, request};

/// A vendor that asks and one that is pushed to, with what their errors may say.
const POLICY: &str = r#"
[ids.pupil]
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
to-vendor = { users = "pupil[]" }

[[flow.pull.route]]
match = "PUT /users/{pupil}"
from-vendor = { grade = "keep:int" }
to-vendor = "Told"
status = { 404 = "Error", 409 = { errors = "Error[]" }, 422 = "nothing", 503 = "Strict", "5xx" = "Error", 201 = "Error" }

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.push.route]]
match = "PUT /users/{pupil}"
to-vendor = { grade = "keep:int" }
from-vendor = "Told"
status = { "4xx" = "Error", 409 = { errors = "Error[]" }, 422 = "nothing", 500 = "Error" }

[shape.Told]
title = "keep"

[shape.Error]
code = { as = "keep", one-of = ["not-found", "exists", "broken"] }
message = "keep"
line = "keep:int"
about = "pupil"
pupils = "Pupils"

[shape.Pupils]
_any = { key = "pupil", as = "keep:int" }

[shape.Strict]
_strict = true
code = { as = "keep", one-of = ["broken"] }
"#;

/// What an error says of a pupil, beside what it says of the fault.
const NAMES: &str = r#""code":"not-found","line":7,"email":"fenna-zzq@school.example",
    "trace":{"name":"Fenna-zzq-name"}"#;

fn markers() -> Markers {
    Markers::of(&["pupil-zzq-901", "fenna-zzq@school", "Fenna-zzq-name"])
}

fn answer(status: u16, lines: &str, body: &str) -> String {
    ok(body).replace(
        "200 OK\r\n",
        &format!("{status} Fenna-zzq-name\r\nx-error: pupil-zzq-901\r\n{lines}"),
    )
}

/// A gateway whose upstream knows one pupil, and answers everything else with `error`.
fn open(error: &str) -> House {
    let error = error.to_owned();
    let upstream = Upstream::scripted(move |peer| {
        while let Some(request) = peer.request() {
            let users = ok(r#"{"users":["pupil-zzq-901"]}"#);
            let is_list = request.head.starts_with("GET /users ");
            let answer = if is_list { &users } else { &error };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    });
    Plans {
        instead: Some(POLICY),
        ..Plans::default()
    }
    .open(upstream)
}

fn pseudonym(house: &House) -> String {
    let answer = house.ask(request("GET", "/pull/users", ""));
    answer.json()["users"][0].as_str().unwrap().to_owned()
}

/// The vendor's answer if the school's is an error, and the pseudonym of the pupil.
fn pulled(error: &str) -> (House, Message, String) {
    let house = open(error);
    let id = pseudonym(&house);
    let target = format!("/pull/users/{id}");
    let got = house.ask(request("PUT", &target, r#"{"grade":7}"#));
    let seen = [got.head.as_bytes(), &got.body].concat();
    house.search(&markers(), &[("what the vendor got", &seen)]);
    (house, got, id)
}

#[test]
fn an_error_of_the_school_says_what_its_status_may_say() {
    let about = r#""message":"pupil-zzq-901 is not here","about":"pupil-zzq-901","pupils":{"pupil-zzq-901":3}"#;
    let one = format!("{{{NAMES},{about}}}");
    let several = format!(r#"{{"errors":[{one}],"error":{one}}}"#);
    let told = |id: &str| json!({"code": "not-found", "line": 7, "about": id, "pupils": {id: 3}});
    for (status, body, in_list) in [
        (404, &one, false),
        (409, &several, true),
        (500, &one, false),
        (599, &one, false),
        // Not the usual shape of a success either.
        (201, &one, false),
    ] {
        let lines = "location: /users/pupil-zzq-901\r\nx-total-count: 1\r\n";
        let lines = if status == 201 { "" } else { lines };
        let (house, got, id) = pulled(&answer(status, lines, body));
        let told = match in_list {
            true => json!({"errors": [told(&id)]}),
            false => told(&id),
        };
        assert_eq!((got.status(), got.json()), (status, told));
        let names = [
            "cache-control",
            "content-length",
            "content-type",
            "date",
            "via",
        ];
        assert_eq!(got.names(), names, "{}", got.head);
        // The text would have said whose pseudonym it is.
        house.await_log("vendor.echo");
    }
}

#[test]
fn an_error_of_which_nothing_is_declared_says_nothing() {
    for status in [400, 410, 418, 499] {
        let (_, got, _) = pulled(&answer(status, "", &format!("{{{NAMES}}}")));
        assert_eq!((got.status(), &*got.code()), (status, "upstream_error"));
    }
    let (_, got, _) = pulled(&answer(422, "", &format!("{{{NAMES}}}")));
    assert_eq!((got.status(), got.text()), (422, ""));
    assert_eq!(got.lines("content-type"), [""; 0]);
}

#[test]
fn statuses_that_are_the_gateways_own_stay_so() {
    for (status, code) in [
        (401, "upstream_authentication"),
        (403, "upstream_authentication"),
        (407, "upstream_authentication"),
        (206, "upstream_unexpected"),
        (302, "upstream_unexpected"),
    ] {
        let (_, got, _) = pulled(&answer(status, "", &format!("{{{NAMES}}}")));
        assert_eq!((got.status(), &*got.code()), (502, code));
        let house = open(&answer(status, "", &format!("{{{NAMES}}}")));
        let got = house.ask(request(
            "PUT",
            "/push/users/pupil-zzq-901",
            r#"{"grade":7}"#,
        ));
        assert_eq!((got.status(), &*got.code()), (502, code));
        house.search(&markers(), &[("what the school got", &got.body)]);
    }
}

#[test]
fn an_answer_that_has_no_body_by_its_status_has_none() {
    for status in [204, 205] {
        let error = answer(status, "", &format!("{{{NAMES}}}"));
        let house = open(&error);
        let got = house.ask(request(
            "PUT",
            "/push/users/pupil-zzq-901",
            r#"{"grade":7}"#,
        ));
        assert_eq!((got.status(), got.text()), (status, ""));
        assert_eq!(got.lines("content-type"), [""; 0]);
        house.search(&markers(), &[("what the school got", &got.body)]);
    }
}

#[test]
fn an_error_that_is_not_of_its_shape_is_told_by_its_status() {
    let good = format!("{{{NAMES}}}");
    let html = answer(404, "", &good).replace("application/json", "text/html");
    let coded = answer(404, "content-encoding: gzip\r\n", &good);
    let short = answer(404, "", &good).replace("zzq-name\"}}", "zzq-name\"}");
    for error in [
        html,
        coded,
        short,
        answer(404, "", "Fenna-zzq-name"),
        answer(404, "", &format!("[{good}]")),
        answer(404, "", &format!("{good}{good}")),
        answer(404, "", ""),
        answer(404, "", "{\"about\":\"pupil-zzq-901\\u0007\"}"),
        answer(404, "", &format!("{{\"x\":\"{}\"}}", "a".repeat(2_000))),
        answer(404, "", &good)
            .replace("content-length: ", "transfer-encoding: chunked\r\nx-old: ")
            .replace("\r\n\r\n{", "\r\n\r\nzz\r\n{"),
    ] {
        let error = error.replace("x-error: pupil-zzq-901", "retry-after: 7");
        let house = Plans {
            instead: Some(POLICY),
            limits: "body = 1000".to_owned(),
            ..Plans::default()
        };
        let house = house.open(Upstream::scripted(move |peer| {
            peer.request();
            peer.send(&error);
        }));
        let got = house.ask(request(
            "PUT",
            "/push/users/pupil-zzq-901",
            r#"{"grade":7}"#,
        ));
        assert_eq!((got.status(), &*got.code()), (404, "upstream_error"));
        assert_eq!(got.lines("retry-after"), [""; 0]);
        let secrets = Markers::of(&["pupil-zzq-901", "fenna-zzq@school", "zzq-name"]);
        let seen = [got.head.as_bytes(), &got.body].concat();
        house.search(&secrets, &[("what the school got", &seen)]);
    }
    let strict = |body: &str| pulled(&answer(503, "retry-after: 7\r\n", body)).1;
    let told = strict(r#"{"code":"broken"}"#);
    assert_eq!((told.status(), told.text()), (503, r#"{"code":"broken"}"#));
    assert_eq!(told.lines("retry-after"), ["7"]);
    let withheld = strict(&good);
    assert_eq!(
        (withheld.status(), &*withheld.code()),
        (503, "upstream_error")
    );
    assert_eq!(withheld.lines("retry-after"), ["7"]);
}

#[test]
fn an_error_of_a_vendor_comes_home() {
    let upstream = Upstream::scripted(|peer| {
        while let Some(request) = peer.request() {
            let path = request.head.split(' ').nth(1).unwrap().to_owned();
            let id = path.rsplit('/').next().unwrap();
            let nobody = "2a960a95-c70e-88af-b483-e26a38758e39";
            let (status, body) = match request.json()["grade"].as_u64().unwrap() {
                1 => (
                    404,
                    json!({"code": "not-found", "about": id, "pupils": {id: 3}}),
                ),
                2 => (
                    409,
                    json!({"errors": [{"about": id}, {"about": ""}], "x": id}),
                ),
                3 => (422, json!({"about": id})),
                4 => (500, json!({"about": nobody})),
                _ => (503, json!({"about": id})),
            };
            peer.try_send(answer(status, "", &body.to_string()))
                .unwrap();
        }
    });
    let house = Plans {
        instead: Some(POLICY),
        ..Plans::default()
    }
    .open(upstream);
    let push = |grade: u8| {
        let body = json!({"grade": grade, "name": "Fenna-zzq-name"}).to_string();
        house.ask(request("PUT", "/push/users/pupil-zzq-901", &body))
    };
    let home = "pupil-zzq-901";
    let told = push(1);
    let expected = json!({"code": "not-found", "about": home, "pupils": {home: 3}});
    assert_eq!((told.status(), told.json()), (404, expected));
    let told = push(2);
    let expected = json!({"errors": [{"about": home}, {"about": ""}]});
    assert_eq!((told.status(), told.json()), (409, expected));
    let told = push(3);
    assert_eq!((told.status(), told.text()), (422, ""));
    // A pseudonym of nobody does not make a 502 of it.
    let told = push(4);
    assert_eq!((told.status(), &*told.code()), (500, "upstream_error"));
    let told = push(5);
    assert_eq!((told.status(), &*told.code()), (503, "upstream_error"));
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn an_error_without_its_register_is_the_gateways_own() {
    let house = open(&answer(404, "", r#"{"about":"pupil-zzq-new-one"}"#));
    let id = pseudonym(&house);
    std::fs::remove_file(house.folder.path().join("state/register.redb")).unwrap();
    let target = format!("/pull/users/{id}");
    let got = house.ask(request("PUT", &target, r#"{"grade":7}"#));
    assert_eq!((got.status(), &*got.code()), (503, "register_unavailable"));
    let secrets = Markers::of(&["pupil-zzq-new-one"]);
    house.search(&secrets, &[("what the vendor got", &got.body)]);
}

/// What a caller's own credentials are refused with is told, with the challenge that belongs to it.
const FORWARDED: &str = r#"
[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
upstream-auth = "forward"

[[flow.pull.route]]
match = "GET /users"
to-vendor = { title = "keep" }
status = { 401 = "Error", 403 = "Error" }

[shape.Error]
code = { as = "keep", one-of = ["expired"] }
"#;

#[test]
fn a_caller_is_told_what_the_school_says_of_its_credentials() {
    for (status, challenges) in [(401, vec!["Bearer"]), (403, vec![])] {
        let lines = "www-authenticate: Basic realm=\"Fenna-zzq-name\"\r\n";
        let error = answer(
            status,
            lines,
            r#"{"code":"expired","name":"Fenna-zzq-name"}"#,
        );
        let house = Plans {
            instead: Some(FORWARDED),
            ..Plans::default()
        }
        .open(Upstream::answering(error));
        let shown = format!("host: {HOST}\r\nauthorization: Bearer fake-of-the-caller");
        let asked = request("GET", "/pull/users", "").replace(&format!("host: {HOST}"), &shown);
        let got = house.ask(asked);
        assert_eq!(
            (got.status(), got.text()),
            (status, r#"{"code":"expired"}"#)
        );
        assert_eq!(got.lines("www-authenticate"), challenges);
        let seen = [got.head.as_bytes(), &got.body].concat();
        house.search(&markers(), &[("what the vendor got", &seen)]);
    }
}

#[test]
fn the_head_of_an_error_is_that_of_what_get_answers() {
    const ASKED: &str = r#"
[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
to-vendor = { title = "keep" }
status = { 404 = { code = "keep:int" }, 410 = "nothing" }
"#;
    let json = "content-type: application/json\r\ncontent-length: 9\r\n\r\n";
    let html = "content-type: text/html\r\ncontent-length: 9\r\n\r\n";
    let problem = "application/problem+json";
    for (status, lines, kind) in [
        (404, json, vec!["application/json"]),
        (404, html, vec![problem]),
        (404, "content-length: 9\r\n\r\n", vec![problem]),
        (410, json, vec![]),
        (500, json, vec![problem]),
    ] {
        let house = Plans {
            instead: Some(ASKED),
            ..Plans::default()
        }
        .open(Upstream::answering(format!(
            "HTTP/1.1 {status} x\r\n{lines}"
        )));
        let mut caller = house.caller();
        caller.send(request("HEAD", "/pull/users", ""));
        let got = caller.answer_to_head();
        assert_eq!((got.status(), got.lines("content-type")), (status, kind));
    }
}

#[test]
fn an_error_that_breaks_off_is_told_by_its_status_as_long_as_nothing_went_on() {
    let long = format!(r#"{{"code":"broken","line":1,"x":"{}","#, "a".repeat(5_000));
    let cut = answer(500, "", &long).replace("content-length: 5", "content-length: 9");
    for (hold_back, whole) in [("64 KiB", true), ("1 KiB", false)] {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (cut, wait) = (cut.clone(), std::sync::Mutex::new(wait));
        let house = Plans {
            instead: Some(POLICY),
            limits: format!("hold-back = \"{hold_back}\"\n"),
            ..Plans::default()
        };
        let house = house.open(Upstream::scripted(move |peer| {
            peer.request();
            peer.send(&cut);
            wait.lock().unwrap().recv().unwrap();
        }));
        let mut caller = house.caller();
        caller.send(request(
            "PUT",
            "/push/users/pupil-zzq-901",
            r#"{"grade":7}"#,
        ));
        if !whole {
            // What was good of it is on its way already.
            caller.at_least(1);
        }
        go.send(()).unwrap();
        let got = caller.answer();
        assert_eq!((got.status(), got.whole), (500, whole), "{}", got.head);
        if whole {
            assert_eq!(got.code(), "upstream_error");
        }
        house.search(&markers(), &[("what the school got", &got.body)]);
    }
}
