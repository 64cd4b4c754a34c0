//! The way home: what a vendor sends under a pseudonym reaches the school under the pupil's own
//! identifier, and nobody else's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sluis::store::{Place, Server, init};
use sluis_test_postgres::Cluster;

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, Peer, Plans, Upstream, request};

/// A vendor that fetches pupils and sends results back, and one that is pushed to.
const POLICY: &str = r#"
[ids.pupil]
back = "school-only"

[ids.group]
looks = "text:20"
back = "school-only"
unknown = "drop"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { group = "group[]" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "PUT /results/{result:slug}/of/{pupil}"
from-vendor = { result = "Result" }
to-vendor = { title = "keep", lang = "keep:lang", about = "Result" }

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.push.route]]
match = "POST /members/{pupil}"
to-vendor = "User"
from-vendor = { member = "pupil", group = "group" }

[shape.User]
sourcedId = "pupil"
group = "group"
grade = "keep:int"

[shape.Result]
student = "pupil"
group = "group"
scores = "Scores"
score = "keep:number"

[shape.Scores]
_any = { key = "pupil", as = "keep:int" }
"#;

const USERS: &str = r#"{"users":[{"sourcedId":"pupil-zzq-901","group":"group-zzq-1A","grade":7},
    {"sourcedId":20260901902,"group":"group-zzq-1A","grade":8}]}"#;

fn markers() -> Markers {
    Markers::of(&["pupil-zzq-901", "group-zzq-1A", "20260901902"])
}

fn plans(policy: &'static str) -> Plans {
    Plans {
        instead: Some(policy),
        ..Plans::default()
    }
}

/// The school: gives its users to who asks for them, and takes what is sent.
fn school() -> Upstream {
    school_that_says(|| ok(r#"{"title":"taken"}"#))
}

/// The same, with an answer of its own to what is sent.
fn school_that_says(taken: impl Fn() -> String + Send + Sync + 'static) -> Upstream {
    Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let answer = match request.head.starts_with("GET ") {
                true => ok(USERS),
                false => taken(),
            };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

/// The pseudonyms of the two pupils, and of their group.
fn pull(house: &House) -> [String; 3] {
    let answer = house.ask(request("GET", "/pull/users", ""));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    markers().assert_absent("what the vendor got", &answer.body);
    let users = answer.json();
    let text = |user: usize, key: &str| users["users"][user][key].as_str().unwrap().to_owned();
    [text(0, "sourcedId"), text(1, "sourcedId"), text(0, "group")]
}

/// Sends the result of the first pupil back.
fn result(house: &House, [first, second, group]: &[String; 3]) -> Message {
    let body = json!({"result": {
        "student": first, "group": group, "scores": {first: 1, second: 2}, "score": 8.50,
    }});
    let target = format!("/pull/results/r-1/of/{}", first.to_uppercase());
    house.ask(request("PUT", &target, &body.to_string()))
}

/// What the school got of the last request.
fn arrived(house: &House) -> (String, serde_json::Value) {
    let text = house.upstream.received_text();
    let (before, body) = text.rsplit_once("\r\n\r\n").unwrap();
    let (_, head) = before.rsplit_once("HTTP/1.1\r\n").unwrap_or_default();
    let line = before.strip_suffix(head).unwrap_or(before);
    let line = line.lines().last().unwrap_or_default();
    // What stands before it is the body of the request before.
    let line = line.rsplit('}').next().unwrap_or_default().to_owned();
    (line, serde_json::from_str(body).unwrap_or_default())
}

fn assert_home(house: &House) {
    let (line, body) = arrived(house);
    assert_eq!(line, "PUT /results/r-1/of/pupil-zzq-901 HTTP/1.1");
    let expected = json!({"result": {
        "student": "pupil-zzq-901",
        "group": "group-zzq-1A",
        "scores": {"pupil-zzq-901": 1, "20260901902": 2},
        "score": 8.5,
    }});
    assert_eq!(body, expected);
}

#[test]
fn a_result_lands_on_the_right_pupil() {
    let house = plans(POLICY).open(school());
    let pseudonyms = pull(&house);
    let answer = result(&house, &pseudonyms);
    assert_eq!(
        (answer.status(), answer.text()),
        (200, r#"{"title":"taken"}"#)
    );
    assert_home(&house);
    house.search(&markers(), &[("what the vendor got", &answer.body)]);
    let metrics = house.events.metrics_page();
    let came_home =
        r#"sluis_fields_total{action="brought_home",direction="from_vendor",vendor="bron"} 5"#;
    assert!(metrics.contains(came_home), "{metrics}");
}

#[test]
fn a_result_lands_on_the_right_pupil_after_a_restart() {
    let house = plans(POLICY).open(school());
    let pseudonyms = pull(&house);
    let folder = house.end();
    let house = plans(POLICY).open_in(folder, school());
    assert_eq!(result(&house, &pseudonyms).status(), 200);
    assert_home(&house);
    house.search(&markers(), &[]);
}

#[test]
fn what_a_vendor_answers_to_a_push_comes_home() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let path = request.head.split(' ').nth(1).unwrap().to_owned();
            let pseudonym = path.rsplit('/').next().unwrap();
            let answer = json!({"member": pseudonym, "group": "never-given-out-zzq"});
            peer.try_send(ok(&answer.to_string())).unwrap();
        }
    });
    let house = plans(POLICY).open(upstream);
    let body = r#"{"sourcedId":"pupil-zzq-901","grade":7}"#;
    let answer = house.ask(request("POST", "/push/members/pupil-zzq-901", body));
    assert_eq!(
        (answer.status(), answer.text()),
        (200, r#"{"member":"pupil-zzq-901"}"#)
    );
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

/// A vendor that is pushed pupils, and names each of them itself.
const PUSHED: &str = r#"
[ids.pupil]
back = "school-only"

[ids.member]
back = "school-only"
unknown = "own"

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.push.route]]
match = "POST /members"
to-vendor = "Member"
from-vendor = "Member"

[[flow.push.route]]
match = "GET /members/{member}"
from-vendor = "Member"

[[flow.push.route]]
match = "PUT /members/{member}"
to-vendor = "Member"
from-vendor = "Member"

[shape.Member]
id = "member"
externalId = "pupil"
grade = "keep:int"
"#;

/// What such a vendor keeps of its one member, which it says to whoever asks.
fn vendor_that_names_its_members() -> Upstream {
    let kept = Mutex::new(json!({}));
    Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let mut kept = kept.lock().unwrap();
            if !request.head.starts_with("GET ") {
                *kept = request.json();
                kept["id"] = json!("V-9");
            }
            let place = "200 OK\r\nlocation: /members/V-9\r\n";
            let answer = ok(&kept.to_string()).replace("200 OK\r\n", place);
            peer.try_send(answer).unwrap();
        }
    })
}

#[test]
fn the_school_finds_a_member_under_the_id_that_the_vendor_gave_it() {
    let house = plans(PUSHED).open(vendor_that_names_its_members());
    let pushed = r#"{"externalId":"pupil-zzq-901","grade":7}"#;
    let made = house.ask(request("POST", "/push/members", pushed));
    let (_, first) = arrived(&house);
    let pseudonym = first["externalId"].as_str().unwrap().to_owned();
    assert_eq!(first, json!({"externalId": pseudonym, "grade": 7}));
    let expected = json!({"id": "bron~V-9~", "externalId": "pupil-zzq-901", "grade": 7});
    assert_eq!((made.status(), made.json()), (200, expected.clone()));
    let place = format!("http://{HOST}/push/members/bron~V-9~");
    assert_eq!(made.lines("location"), [&*place]);

    let read = house.ask(request("GET", "/push/members/bron~V-9~", ""));
    assert_eq!((read.status(), read.json()), (200, expected.clone()));
    let (line, _) = arrived(&house);
    assert_eq!(line, "GET /members/V-9 HTTP/1.1");

    // In a body too, and under the pseudonym that the vendor has already.
    let mut changed = expected;
    changed["grade"] = json!(8);
    let changed_to = changed.to_string();
    let put = house.ask(request("PUT", "/push/members/bron~V-9~", &changed_to));
    assert_eq!((put.status(), put.json()), (200, changed));
    let (line, body) = arrived(&house);
    assert_eq!(line, "PUT /members/V-9 HTTP/1.1");
    let expected = json!({"id": "V-9", "externalId": pseudonym, "grade": 8});
    assert_eq!(body, expected);

    // To the school's own there is no way past a pseudonym, however much they look like the vendor's.
    for own in ["V-9", "boek~V-9~", "bron~V-9~-1"] {
        house.ask(request("GET", &format!("/push/members/{own}"), ""));
        let (line, _) = arrived(&house);
        assert!(!line.contains("V-9"), "{own}: {line}");
    }
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn a_pseudonym_that_the_school_has_as_an_id_is_an_id_like_any_other() {
    let house = plans(PUSHED).open(vendor_that_names_its_members());
    let push = |id: &str| {
        let body = json!({"externalId": id}).to_string();
        let answer = house.ask(request("POST", "/push/members", &body));
        assert_eq!(
            (answer.status(), &answer.json()["externalId"]),
            (200, &json!(id))
        );
        let (_, body) = arrived(&house);
        body["externalId"].as_str().unwrap().to_owned()
    };
    let of_the_pupil = push("pupil-zzq-901");
    let of_the_pseudonym = push(&of_the_pupil);
    assert_ne!(of_the_pseudonym, of_the_pupil);
    assert_eq!(push("pupil-zzq-901"), of_the_pupil);
    assert_eq!(push(&of_the_pupil), of_the_pseudonym);
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn a_push_that_is_answered_with_a_pseudonym_of_nobody_is_refused() {
    let nobody = "2a960a95-c70e-88af-b483-e26a38758e39";
    let answer = json!({"member": nobody, "group": "never-given-out-zzq"});
    let house = plans(POLICY).open(Upstream::json(&answer.to_string()));
    let body = r#"{"sourcedId":"pupil-zzq-901","grade":7}"#;
    let answer = house.ask(request("POST", "/push/members/pupil-zzq-901", body));
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (502, "pseudonym_unknown")
    );
    assert!(!answer.text().contains(nobody), "{}", answer.text());
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}

#[test]
fn a_pseudonym_that_was_never_given_out_reaches_nobody() {
    let house = plans(POLICY).open(school());
    let [first, second, group] = pull(&house);
    let before = house.upstream.received();
    // One that we would make, of a pupil that was never seen, looks like any other.
    let nobody = "2a960a95-c70e-88af-b483-e26a38758e39".to_owned();
    let inside = result(&house, &[nobody.clone(), second, group]);
    assert_eq!(
        (inside.status(), inside.code().as_str()),
        (404, "target_unknown")
    );
    let body = json!({"result": {"student": nobody}}).to_string();
    let target = format!("/pull/results/r-1/of/{first}");
    let inside = house.ask(request("PUT", &target, &body));
    assert_eq!(
        (inside.status(), inside.code().as_str()),
        (422, "pseudonym_unknown")
    );
    for (group, told) in [
        ("abcdefghijklmnopqrst", (404, "target_unknown")),
        ("%20", (404, "target_unknown")),
        ("", (400, "identifier_invalid")),
    ] {
        let query = house.ask(request("GET", &format!("/pull/users?group={group}"), ""));
        assert_eq!((query.status(), query.code().as_str()), told, "{group:?}");
    }
    assert_eq!(house.upstream.received(), before, "nothing was forwarded");
    house.search(&markers(), &[("what the vendor got", &inside.body)]);
}

#[test]
fn what_came_home_is_not_sent_back_in_a_title_or_language() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let answer = match request.head.starts_with("GET ") {
                true => USERS.to_owned(),
                false => {
                    let about = r#"{"student":"pupil-zzq-901"}"#;
                    let tongue = r#""lang":"pupil-zzq-901""#;
                    format!(r#"{{"title":"result of pupil-zzq-901",{tongue},"about":{about}}}"#)
                }
            };
            peer.try_send(ok(&answer)).unwrap();
        }
    });
    let house = plans(POLICY).open(upstream);
    let pseudonyms = pull(&house);
    let answer = result(&house, &pseudonyms);
    let expected = json!({"about": {"student": pseudonyms[0]}});
    assert_eq!((answer.status(), answer.json()), (200, expected));
    house.await_log("vendor.echo");
    house.await_log("\"sluis.field\":\"body of PUT /results/{result:slug}/of/{pupil}.title\"");
    let metrics = house.events.metrics_page();
    let dropped =
        r#"sluis_fields_total{action="dropped_echo",direction="to_vendor",vendor="bron"} 1"#;
    assert!(metrics.contains(dropped), "{metrics}");
    house.search(&markers(), &[("what the vendor got", &answer.body)]);
}

/// A vendor that is told where things are.
const TOLD_WHERE: &str = r#"
[ids.pupil]
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { page = "slug", count = "int", filter = "ids" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "PUT /users/{pupil}"
from-vendor = "User"
to-vendor = { next = "url", all = "url[]" }

[[flow.pull.route]]
match = "GET /things/{thing:slug}"

[shape.User]
sourcedId = "pupil"
note = "keep"
tongue = "keep:lang"
"#;

#[test]
fn what_came_home_is_not_sent_back_in_a_link() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let lines = "link: </users?page=pupil-zzq-901>; rel=next, </users?count=2>; rel=last\r\n\
                         location: /things/pupil-zzq-901\r\n\
                         content-location: /users?filter=note%7E'by%20pupil-zzq-901'\r\n";
            let body = r#"{"next":"/things/of-PUPIL-zzq-901","all":["/users?page=pupil-zzq-901","/users?filter=tongue='pupil-zzq-901'","/users?count=7"]}"#;
            let answer = match request.head.starts_with("GET ") {
                true => ok(USERS),
                false => ok(body).replace("200 OK\r\n", &format!("201 Created\r\n{lines}")),
            };
            peer.try_send(answer).unwrap();
        }
    });
    let house = plans(TOLD_WHERE).open(upstream);
    let users = house.ask(request("GET", "/pull/users", "")).json();
    let first = users["users"][0]["sourcedId"].as_str().unwrap();
    let answer = house.ask(request("PUT", &format!("/pull/users/{first}"), "{}"));
    let here = |path: &str| format!("http://school.example/pull{path}");
    let expected = json!({"all": [here("/users?count=7")]});
    assert_eq!((answer.status(), answer.json()), (201, expected));
    let last = format!("<{}>; rel=\"last\"", here("/users?count=2"));
    assert_eq!(answer.lines("link"), [last]);
    for name in ["location", "content-location"] {
        assert_eq!(answer.lines(name), [""; 0]);
    }
    house.await_log("vendor.echo");
    house.await_log("\"sluis.field\":\"body of PUT /users/{pupil}.next\"");
    let metrics = house.events.metrics_page();
    let dropped =
        r#"sluis_fields_total{action="dropped_echo",direction="to_vendor",vendor="bron"} 5"#;
    assert!(metrics.contains(dropped), "{metrics}");
    let seen = [answer.head.as_bytes(), &answer.body].concat();
    house.search(&markers(), &[("what the vendor got", &seen)]);
}

#[test]
fn a_link_that_repeats_a_guess_of_the_vendors_does_not_tell_whether_it_is_right() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let target = request.head.split(' ').nth(1).unwrap().to_owned();
            let answer = match target.split_once('?') {
                Some((_, asked)) => {
                    let lines = format!(
                        "link: </users?{asked}&count=2>; rel=next\r\n\
                         content-location: {target}\r\n"
                    );
                    ok("{}").replace("200 OK\r\n", &format!("200 OK\r\n{lines}"))
                }
                None => ok(USERS),
            };
            peer.try_send(answer).unwrap();
        }
    });
    let house = plans(TOLD_WHERE).open(upstream);
    let users = house.ask(request("GET", "/pull/users", "")).json();
    let first = users["users"][1]["sourcedId"].as_str().unwrap();
    let ask = |guess: &str| {
        let filter = format!("filter=sourcedId='{first}'%20OR%20note='{guess}'&page={guess}");
        let answer = house.ask(request("GET", &format!("/pull/users?{filter}"), ""));
        let led = answer.lines("link").len() + answer.lines("content-location").len();
        // What the vendor wrote itself is no news to it.
        let seen = answer.head.replace(guess, "the guess");
        (answer.status(), led, seen)
    };
    let (wrong, right) = (ask("20260901901"), ask("20260901902"));
    assert_eq!((wrong.0, wrong.1), (200, 2), "{}", wrong.2);
    let undated = |head: &str| -> Vec<String> {
        let lines = head.lines().filter(|line| !line.starts_with("date:"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(undated(&wrong.2), undated(&right.2));
    assert!(!house.log().contains("vendor.echo"));
    let seen = [wrong.2, right.2].concat();
    house.search(&markers(), &[("what the vendor got", seen.as_bytes())]);
}

#[test]
fn what_a_vendor_writes_itself_reaches_the_school_whatever_came_home_beside_it() {
    let house = plans(TOLD_WHERE).open(school());
    let users = house.ask(request("GET", "/pull/users", "")).json();
    let first = users["users"][0]["sourcedId"].as_str().unwrap();
    // In a link to its own pages a pseudonym has to stay one, or it would see the pupil there.
    let own = format!("https://boek.example/results/{first} of {first}");
    for note in ["of pupil-zzq-901", &own] {
        let body = json!({"sourcedId": first, "note": note}).to_string();
        let answer = house.ask(request("PUT", &format!("/pull/users/{first}"), &body));
        assert_eq!((answer.status(), answer.text()), (200, "{}"));
        let expected = json!({"sourcedId": "pupil-zzq-901", "note": note});
        assert_eq!(arrived(&house).1, expected);
        house.search(&markers(), &[("what the vendor got", &answer.body)]);
    }
    assert!(!house.log().contains("vendor.echo"));
}

/// A vendor without a way back, which is called by the school.
const NO_WAY: &str = r#"
[ids.pupil]

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.push.route]]
match = "GET /members"
from-vendor = { before = "keep:int", href = "url", behind = "keep:int" }

[[flow.push.route]]
match = "GET /members/{pupil}"
from-vendor = { grade = "keep:int" }
"#;

#[test]
fn a_link_to_a_pupil_without_a_way_back_is_refused_and_cuts_no_answer() {
    for (link, status, text) in [
        ("/members", 200, "/push/members\",\"behind\":2}"),
        ("/members/2a960a95-c70e-88af-b483-e26a38758e39", 502, ""),
        ("/elsewhere/7", 200, "{\"before\":1,\"behind\":2}"),
    ] {
        let answer = format!(r#"{{"before":1,"href":"{link}","behind":2}}"#);
        let house = plans(NO_WAY).open(Upstream::json(&answer));
        let got = house.ask(request("GET", "/push/members", ""));
        assert_eq!(got.status(), status, "{link}: {}", got.text());
        assert!(got.text().ends_with(text), "{link}: {}", got.text());
        assert!(status == 200 || got.code() == "pseudonym_unknown", "{link}");
    }
}

#[test]
fn nothing_is_given_out_while_the_register_cannot_be_written() {
    let house = plans(POLICY).open(school());
    // The keeper sees that its file is another one than it opened.
    std::fs::remove_file(house.folder.path().join("state/register.redb")).unwrap();
    let answer = house.ask(request("GET", "/pull/users", ""));
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "register_unavailable")
    );
    house.search(&markers(), &[("what the vendor got", &answer.body)]);
}

#[test]
fn results_that_are_under_way_at_a_drain_land_once() {
    let (go_on, told) = std::sync::mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = school_that_says(move || {
        told.lock().unwrap().recv().unwrap();
        ok(r#"{"title":"taken"}"#)
    });
    let mut house = plans(POLICY).open(upstream);
    let [first, ..] = pull(&house);
    let send = |number: usize| {
        let target = format!("/pull/results/r-{number}/of/{first}");
        let body = json!({"result": {"student": first, "score": number}});
        request("PUT", &target, &body.to_string())
    };
    // Of one the answer is awaited, of the other half of the body is here.
    let (mut waits, mut half) = (house.caller(), house.caller());
    let mut idle = house.caller();
    idle.send(request("GET", "/pull/users", ""));
    assert_eq!(idle.answer().status(), 200);
    waits.send(send(1));
    house.upstream.await_text("r-1/of/pupil-zzq-901");
    let second = send(2);
    let (begin, end) = second.split_at(second.len() - 20);
    half.send(begin);
    house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 2\n");
    house.drain();
    // The connections have heard of it.
    assert!(idle.is_closed());
    half.send(end);
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    for caller in [&mut waits, &mut half] {
        let answer = caller.answer();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.lines("connection"), ["close"]);
        assert!(caller.is_closed());
    }
    assert!(house.closed_within(Duration::from_secs(5)));
    let text = house.upstream.received_text();
    for number in [1, 2] {
        let line = format!("PUT /results/r-{number}/of/pupil-zzq-901 ");
        assert_eq!(text.matches(&line).count(), 1, "{text}");
        let body = format!(r#"{{"result":{{"score":{number},"student":"pupil-zzq-901"}}}}"#);
        assert_eq!(text.matches(&body).count(), 1, "{text}");
    }
    house.search(&markers(), &[]);
}

/// Two gateways with one register.
fn open_two(cluster: &Cluster, limits: &str, school: impl Fn() -> Upstream) -> [House; 2] {
    let server = cluster.settings(&cluster.database());
    let settings = Server::new(&server, None).unwrap();
    init(&Place::Postgres(Box::new(settings))).unwrap();
    [(); 2].map(|()| {
        let plans = Plans {
            server: server.clone(),
            limits: limits.to_owned(),
            ..plans(POLICY)
        };
        plans.open(school())
    })
}

#[test]
fn what_another_gateway_gives_out_meanwhile_comes_home_in_the_same_body() {
    let cluster = Cluster::start();
    // With each page there is a pupil more.
    let pages = || {
        let next = AtomicUsize::new(1);
        Upstream::scripted(move |peer: &mut Peer| {
            while let Some(request) = peer.request() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let page = json!({"users": [{"sourcedId": format!("pupil-zzq-90{number}")}]});
                let answer = match request.head.starts_with("GET ") {
                    true => ok(&page.to_string()),
                    false => ok(r#"{"title":"taken"}"#),
                };
                peer.try_send(answer).unwrap();
            }
        })
    };
    let [here, there] = open_two(&cluster, "hold-back = \"0 B\"", pages);
    let pull = || {
        let page = here.ask(request("GET", "/pull/users", "")).json();
        page["users"][0]["sourcedId"].as_str().unwrap().to_owned()
    };
    let mut caller = there.caller();
    let first = pull();
    caller.send(format!(
        "PUT /pull/results/r-1/of/{first} HTTP/1.1\r\nhost: {HOST}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    ));
    let send = |caller: &mut Peer, piece: &str| {
        caller.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
    };
    send(&mut caller, r#"{"result":{"scores":{"#);
    for number in 2..=4 {
        // Most times the other gateway gets it before it has read of it by itself.
        send(&mut caller, &format!(r#""{}":{number},"#, pull()));
        there.upstream.await_text(&format!("pupil-zzq-90{number}"));
    }
    send(&mut caller, &format!(r#""{first}":1}}}}}}"#));
    caller.send("0\r\n\r\n");
    let answer = caller.answer();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let text = there.upstream.received_text();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    // A line says how long the next one is.
    let landed: String = body.split("\r\n").skip(1).step_by(2).collect();
    let scores = [2, 3, 4, 1].map(|number| format!(r#""pupil-zzq-90{number}":{number}"#));
    let scores = scores.join(",");
    assert_eq!(landed, format!(r#"{{"result":{{"scores":{{{scores}}}}}}}"#));
    let pupils = Markers::of(&["pupil-zzq"]);
    for house in [&here, &there] {
        house.search(&pupils, &[("what the vendor got", &answer.body)]);
    }
}

/// Another vendor of the school.
const OTHER: &str = r#"
[ids.pupil]
back = "school-only"

[ids.group]
looks = "text:20"
back = "school-only"
unknown = "keep"

[flow.marks]
caller = "vendor"
at = "/marks"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.marks.route]]
match = "POST /marks"
from-vendor = { student = "pupil", score = "keep:int" }

[flow.tell]
caller = "school"
at = "/tell"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.tell.route]]
match = "POST /members"
to-vendor = { grade = "keep:int" }
from-vendor = { group = "group" }
"#;

#[test]
fn what_one_vendor_was_given_is_nobodys_in_a_body_of_another() {
    let told = Arc::new(Mutex::new(String::new()));
    let tells = Arc::clone(&told);
    let upstream = school_that_says(move || {
        let group = tells.lock().unwrap().clone();
        ok(&json!({ "group": group }).to_string())
    });
    let plans = Plans {
        second: Some(OTHER),
        ..plans(POLICY)
    };
    let house = plans.open(upstream);
    let [first, _, group] = pull(&house);
    let before = house.upstream.received();
    let mark = json!({"student": first, "score": 8}).to_string();
    let refused = house.ask(request("POST", "/marks/marks", &mark));
    let seen = (refused.status(), refused.code());
    assert_eq!(seen, (422, "pseudonym_unknown".to_owned()));
    assert_eq!(house.upstream.received(), before, "nothing was forwarded");

    // What is nobody's may be the vendor's own; what is another one's is not.
    for (group, status) in [("their-own-group", 200), (&*group, 502)] {
        group.clone_into(&mut told.lock().unwrap());
        let answer = house.ask(request("POST", "/tell/members", r#"{"grade":7}"#));
        assert_eq!(answer.status(), status, "{}", answer.text());
        assert_eq!(answer.text().contains(group), status == 200);
    }
    house.await_log("vendor.foreign_pseudonym");
    house.search(&markers(), &[("what the vendor got", &refused.body)]);
}

#[test]
fn what_one_gateway_gives_out_comes_home_through_another() {
    let cluster = Cluster::start();
    let [here, there] = open_two(&cluster, "", school);
    let pseudonyms = pull(&here);
    let answer = result(&there, &pseudonyms);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_home(&there);

    cluster.stop();
    let pushed = r#"{"sourcedId":"pupil-zzq-903","grade":7}"#;
    let push = || here.ask(request("POST", "/push/members/pupil-zzq-903", pushed));
    let refused = push();
    assert_eq!(
        (refused.status(), refused.code().as_str()),
        (503, "register_unavailable")
    );
    cluster.begin();
    let begun = std::time::Instant::now();
    while push().status() == 503 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it stays away");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(result(&there, &pseudonyms).status(), 200);
    let received = there.upstream.received_text();
    let landed = received.matches("PUT /results/r-1/of/pupil-zzq-901 ");
    assert_eq!(landed.count(), 2);
    for house in [&here, &there] {
        house.search(&markers(), &[("what the vendor got", &answer.body)]);
    }
}

#[test]
fn two_pupils_never_share_a_pseudonym() {
    const SHORT: &str = r#"
[ids.pupil]
looks = "digits:6"
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
to-vendor = { users = "pupil[]" }

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.push.route]]
match = "POST /users"
to-vendor = { users = "pupil[]" }
from-vendor = "nothing"
"#;
    // Of so many, two have the same number of six digits, all but surely.
    let users: Vec<String> = (0..4_000)
        .map(|number| format!("pupil-zzq-{number}"))
        .collect();
    let users = json!({"users": users}).to_string();
    let open = || {
        let plans = Plans {
            school: "pupils = 10\n",
            ..plans(SHORT)
        };
        plans.open(Upstream::json(&users))
    };
    let markers = Markers::of(&["pupil-zzq-"]);
    let house = open();
    let answer = house.ask(request("GET", "/pull/users", ""));
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "pseudonym_collision")
    );
    house.search(&markers, &[("what the vendor got", &answer.body)]);

    let house = open();
    let answer = house.ask(request("POST", "/push/users", &users));
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "pseudonym_collision")
    );
    assert_eq!(house.upstream.received_text(), "", "nothing was forwarded");
    house.search(&markers, &[("what the school got", &answer.body)]);
}

/// The school, and how it is told to send the rest of a page of a group, which ends with a pupil
/// that is new.
fn school_that_streams() -> (Upstream, std::sync::mpsc::Sender<()>) {
    let page = format!(
        r#"{{"users":[{}{{"sourcedId":"pupil-zzq-new","grade":77777}}]}}"#,
        KNOWN.repeat(200)
    );
    let (first, rest) = page.split_at(KNOWN.len() * 150);
    let (first, rest) = (first.to_owned(), rest.to_owned());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            if !request.head.contains("group=") {
                peer.send(ok(USERS));
                continue;
            }
            let length = first.len() + rest.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            ));
            peer.send(&first);
            wait.lock().unwrap().recv().unwrap();
            if peer.try_send(&rest).is_err() {
                return;
            }
        }
    });
    (upstream, go)
}

const KNOWN: &str = r#"{"sourcedId":"pupil-zzq-901","grade":7},"#;

/// Asks for a group, and lets the register go once the first part of the answer is there.
fn assert_broken_off(house: &House, let_go: impl FnOnce(), go: &std::sync::mpsc::Sender<()>) {
    let [_, _, group] = pull(house);
    let mut caller = house.caller();
    caller.send(request("GET", &format!("/pull/users?group={group}"), ""));
    // The first part is all known and passes.
    caller.at_least(1_000);
    let_go();
    go.send(()).unwrap();
    let answer = caller.answer();
    assert_eq!((answer.status(), answer.whole), (200, false));
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains("77777"), "the new pupil's record went out");
    house.await_log("register_unavailable");
    house.search(&markers(), &[("what the vendor got", &answer.body)]);
}

#[test]
fn nothing_that_streams_leaves_before_its_identifiers_are_on_disk() {
    let (upstream, go) = school_that_streams();
    let house = Plans {
        limits: "hold-back = \"1 KiB\"\n".to_owned(),
        ..plans(POLICY)
    }
    .open(upstream);
    let file = house.folder.path().join("state/register.redb");
    assert_broken_off(&house, || std::fs::remove_file(file).unwrap(), &go);
}

/// The connections of gateways to a server, which does nothing for them until this is dropped.
struct Hanging(String);

impl Hanging {
    fn at(cluster: &Cluster, database: &str) -> Self {
        let ours = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
            WHERE application_name = 'sluis' AND datname = current_database()";
        let hanging = Self(cluster.sql(database, ours));
        hanging.tell("STOP");
        hanging
    }

    fn tell(&self, signal: &str) {
        let mut kill = std::process::Command::new("kill");
        kill.arg(format!("-{signal}")).args(self.0.split(' '));
        assert!(kill.status().unwrap().success());
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.tell("CONT");
    }
}

#[test]
fn nobody_waits_for_a_register_that_hangs() {
    let cluster = Cluster::start();
    let database = cluster.database();
    let server = cluster.settings(&database);
    let settings = Server::new(&server, None).unwrap();
    init(&Place::Postgres(Box::new(settings))).unwrap();
    let open = |limits: &str, upstream| {
        let (server, limits) = (server.clone(), limits.to_owned());
        let plans = Plans {
            server,
            limits,
            ..plans(POLICY)
        };
        plans.open(upstream)
    };
    let house = open("register-wait = \"100ms\"\n", school());
    let [known, _, group] = pull(&house);
    let hanging = Hanging::at(&cluster, &database);
    let begun = std::time::Instant::now();
    let nobody = "2a960a95-c70e-88af-b483-e26a38758e39";
    let inside = format!(r#"{{"result":{{"student":"{nobody}"}}}}"#);
    let pupil = r#"{"sourcedId":"pupil-zzq-903","grade":7}"#;
    let to = |pupil: &str| format!("/pull/results/r-1/of/{pupil}");
    for asked in [
        request("POST", "/push/members/pupil-zzq-903", r#"{"grade":7}"#),
        request("POST", "/push/members/pupil-zzq-901", pupil),
        request("PUT", &to(nobody), r#"{"result":{"score":7}}"#),
        request("PUT", &to(&known), &inside),
    ] {
        let refused = house.ask(&asked);
        let told = (refused.status(), refused.code());
        assert_eq!(told, (503, "register_unavailable".to_owned()), "{asked}");
    }
    // The register itself gives its server ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(
        result(&house, &[known.clone(), known.clone(), group]).status(),
        200
    );
    drop(hanging);
    let begun = std::time::Instant::now();
    while house.ask(request("PUT", &to(&known), &inside)).status() == 503 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it stays away");
    }
    house.search(&markers(), &[("what the vendor got", known.as_bytes())]);
    drop(house);

    let (upstream, go) = school_that_streams();
    let house = open(
        "register-wait = \"100ms\"\nhold-back = \"1 KiB\"\n",
        upstream,
    );
    let mut hanging = None;
    let hang = || hanging = Some(Hanging::at(&cluster, &database));
    assert_broken_off(&house, hang, &go);
}

/// A vendor that asks for one pupil, and an upstream that wants a token of ours.
const FETCHED: &str = r#"
[ids.pupil]
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[flow.pull.upstream-auth.oauth2]
token-url = "http://UPSTREAM/token"
client-id = "sluis"
secret = { file = "upstream-token" }

[[flow.pull.route]]
match = "GET /users"
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "GET /users/{pupil}"
to-vendor = { title = "keep", about = "pupil" }

[shape.User]
sourcedId = "pupil"
"#;

#[test]
fn what_is_sent_once_more_with_another_token_came_home_once() {
    let fetched = AtomicUsize::new(0);
    let upstream = Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let shown = request.lines("authorization").concat();
            let answer = match request.head.split(' ').nth(1).unwrap() {
                "/token" => {
                    let number = fetched.fetch_add(1, Ordering::SeqCst);
                    ok(&format!(
                        r#"{{"access_token":"fake-{number}","token_type":"Bearer"}}"#
                    ))
                }
                "/users" => ok(USERS),
                _ if shown == "Bearer fake-0" => {
                    "HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n".to_owned()
                }
                _ => ok(r#"{"title":"of pupil-zzq-901","about":"pupil-zzq-901"}"#),
            };
            peer.try_send(answer).unwrap();
        }
    });
    let house = plans(FETCHED).open(upstream);
    let users = house.ask(request("GET", "/pull/users", "")).json();
    let first = users["users"][0]["sourcedId"].as_str().unwrap().to_owned();
    let answer = house.ask(request("GET", &format!("/pull/users/{first}"), ""));
    assert_eq!(
        (answer.status(), answer.json()),
        (200, json!({"about": first}))
    );
    let sent = house.upstream.received_text();
    let lines = sent.matches("GET /users/pupil-zzq-901 HTTP/1.1");
    assert_eq!(lines.count(), 2, "{sent}");
    let metrics = house.events.metrics_page();
    let came_home =
        r#"sluis_fields_total{action="brought_home",direction="from_vendor",vendor="bron"} 1"#;
    assert!(metrics.contains(came_home), "{metrics}");
    house.search(&markers(), &[("what the vendor got", &answer.body)]);
}
