//! Identifiers in the places of a head: filters, orders and links.

use serde_json::json;
use sluis::refusal::LinkFault;

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, Peer, Plans, Upstream, request};

/// A vendor that fetches pupils page by page and asks about them.
const POLICY: &str = r#"
[ids.pupil]
back = "school-only"

[ids.mail]
looks = "text:12"
back = "school-only"

[ids.group]
looks = "text:20"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM/api"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { filter = "ids", sort = "known", fields = "known", limit = "int", offset = "int", after = "slug" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "GET /users/{pupil}"
to-vendor = "User"

[[flow.pull.route]]
match = "PUT /users/{pupil}"
from-vendor = "Result"

[[flow.pull.route]]
match = "PATCH /users/{pupil}"
from-vendor = "Result"

[[flow.pull.route]]
match = "POST /results"
from-vendor = "Result"
to-vendor = "Result"

[[flow.pull.route]]
match = "DELETE /users/{pupil}"

[[flow.pull.route]]
match = ["GET /pages", "POST /pages"]
to-vendor = "Page"

[[flow.pull.route]]
match = "GET /bracketed"
query = { "page[number]" = "int", "page[size]" = "int" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "GET /numbered"
query = { after = "int", offset = "int" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = ["GET /results/{result:slug}", "GET /results/{result:slug}/{part:int}"]
to-vendor = "Page"

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM/scim"
callers = "anyone"

[[flow.push.route]]
match = "GET /members/{pupil}"
from-vendor = "Result"

[[flow.push.route]]
match = "GET /members"
query = { page = "int" }
from-vendor = { members = "Result[]" }

[[flow.push.route]]
match = "PUT /members/{pupil}"
to-vendor = "Result"

[[flow.push.route]]
match = "PATCH /members/{pupil}"
to-vendor = "Result"

[[flow.push.route]]
match = "POST /members"
to-vendor = "Result"
from-vendor = "Result"

[[flow.push.route]]
match = "DELETE /members/{pupil}"

[shape.User]
sourcedId = "pupil"
email = { as = "mail", of = "sourcedId" }
group = "group"
grade = "keep:int"
name = "drop"

[shape.Page]
users = "Entry[]"
next = "url"
nextPage_URL = "url"
prev = "url"
self = "Where"
links = "Links"
required = "Required"

[shape.Entry]
grade = "keep:int"
next = "url"

[shape.Links]
next = "Where"

[shape.Where]
href = "url"

[shape.Required]
more = { as = "url", otherwise = "" }

[shape.Result]
sourcedId = "pupil"
grade = "keep:int"
"#;

const USERS: &str = r#"{"users":[{"sourcedId":"pupil-zzq-901","email":"fenna-zzq@school.example",
    "name":"Fenna-zzq-name","group":"group-zzq-1A","grade":7}]}"#;

fn markers() -> Markers {
    Markers::of(&[
        "pupil-zzq-901",
        "fenna-zzq@school.example",
        "Fenna-zzq-name",
        "group-zzq-1A",
    ])
}

fn open(upstream: Upstream) -> House {
    Plans {
        instead: Some(POLICY),
        ..Plans::default()
    }
    .open(upstream)
}

/// The targets that the school was asked for, in order.
fn targets(house: &House) -> Vec<String> {
    let text = house.upstream.received_text();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_suffix(" HTTP/1.1"));
    lines.map(str::to_owned).collect()
}

/// The first user that the vendor gets.
fn user(answer: &Message) -> serde_json::Value {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["users"][0].clone()
}

#[test]
fn a_filter_asks_the_school_about_the_pupil_that_is_meant() {
    let house = open(Upstream::json(USERS));
    let first = house.ask(request("GET", "/pull/users", ""));
    let (id, mail) = (&user(&first)["sourcedId"], &user(&first)["email"]);
    let (id, mail) = (id.as_str().unwrap(), mail.as_str().unwrap());
    let mut got = first.body;
    for (filter, asked) in [
        (
            format!("sourcedId='{id}'"),
            "sourcedId%3D%27pupil-zzq-901%27",
        ),
        (format!("email='{mail}'"), "sourcedId%3D%27pupil-zzq-901%27"),
        (
            format!("grade%3E%3D'7'+AND+sourcedId!=%27{id}%27"),
            "grade%3E%3D%277%27%20AND%20sourcedId%21%3D%27pupil-zzq-901%27",
        ),
    ] {
        let target = format!("/pull/users?limit=1&filter={filter}");
        let answer = house.ask(request("GET", &target, ""));
        assert_eq!(user(&answer)["sourcedId"], id);
        let expected = format!("GET /api/users?limit=1&filter={asked}");
        assert_eq!(targets(&house).last(), Some(&expected));
        got.extend(answer.body);
    }
    house.search(&markers(), &[("what the vendor got", &got)]);
}

#[test]
fn a_filter_on_what_the_vendor_does_not_see_reaches_nobody() {
    let house = open(Upstream::json(USERS));
    let first = house.ask(request("GET", "/pull/users", ""));
    let group = user(&first)["group"].as_str().unwrap().to_owned();
    let mut got = first.body;
    for (filter, status, code) in [
        ("name='Fenna-zzq-name'".to_owned(), 400, "query_invalid"),
        (
            "name='Fenna-zzq-name'+OR+grade='7'".to_owned(),
            400,
            "query_invalid",
        ),
        ("sourcedId%3E'a'".to_owned(), 400, "query_invalid"),
        (
            "email='fenna-zzq@school.example'".to_owned(),
            404,
            "target_unknown",
        ),
        (
            "sourcedId='pupil-zzq-901'".to_owned(),
            404,
            "target_unknown",
        ),
        // A kind without a way back.
        (format!("group='{group}'"), 400, "query_invalid"),
    ] {
        let answer = house.ask(request("GET", &format!("/pull/users?filter={filter}"), ""));
        assert_eq!(
            (answer.status(), &*answer.code()),
            (status, code),
            "{filter}"
        );
        got.extend(answer.body);
    }
    assert_eq!(targets(&house).len(), 1, "nothing was forwarded");
    house.search(&markers(), &[("what the vendor got", &got)]);
}

#[test]
fn an_order_and_a_choice_of_fields_are_of_what_the_vendor_sees() {
    let house = open(Upstream::json(USERS));
    let answer = house.ask(request(
        "GET",
        "/pull/users?sort=grade&fields=email,grade",
        "",
    ));
    assert_eq!(user(&answer)["grade"], 7);
    let asked = ["GET /api/users?sort=grade&fields=sourcedId%2Cgrade"];
    assert_eq!(targets(&house), asked);
    let mut got = answer.body;
    for query in [
        "sort=name",
        "sort=sourcedId",
        "sort=email",
        "fields=grade,name",
        "fields=*",
    ] {
        let answer = house.ask(request("GET", &format!("/pull/users?{query}"), ""));
        assert_eq!(
            (answer.status(), &*answer.code()),
            (400, "query_invalid"),
            "{query}"
        );
        got.extend(answer.body);
    }
    assert_eq!(targets(&house), asked, "nothing was forwarded");
    house.search(&markers(), &[("what the vendor got", &got)]);
}

/// The pseudonym of the pupil.
fn pseudonym(house: &House) -> String {
    let answer = house.ask(request("GET", "/pull/users", ""));
    user(&answer)["sourcedId"].as_str().unwrap().to_owned()
}

#[test]
fn a_head_is_that_of_what_get_answers() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let whole = ok(USERS);
            let answer = match request.head.starts_with("HEAD ") {
                true => whole.split_inclusive("\r\n\r\n").next().unwrap(),
                false => &*whole,
            };
            peer.try_send(answer).unwrap();
        }
    });
    let house = open(upstream);
    let id = pseudonym(&house);
    let mut caller = house.caller();
    for target in [
        "/pull/users?limit=1".to_owned(),
        format!("/pull/users/{id}"),
    ] {
        caller.send(request("HEAD", &target, ""));
        let answer = caller.answer_to_head();
        assert_eq!(answer.status(), 200, "{}", answer.head);
        let names = ["cache-control", "content-type", "date", "via"];
        assert_eq!(answer.names(), names, "{}", answer.head);
    }
    caller.send(request("HEAD", "/pull/results", ""));
    assert_eq!(caller.answer_to_head().status(), 405);
    caller.send(request("GET", "/pull/users", ""));
    assert_eq!(caller.answer().status(), 200, "the connection goes on");
    let asked = targets(&house);
    assert_eq!(asked[1], "HEAD /api/users?limit=1");
    assert_eq!(asked[2], "HEAD /api/users/pupil-zzq-901");
    let seen = caller.seen.lock().unwrap();
    house.search(&markers(), &[("what the vendor got", &seen)]);
}

#[test]
fn an_answer_to_head_that_get_would_not_pass_does_not_pass() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n";
    let house = open(Upstream::answering(html));
    let mut caller = house.caller();
    caller.send(request("HEAD", "/pull/users", ""));
    assert_eq!(caller.answer_to_head().status(), 502);
}

#[test]
fn every_method_goes_either_way() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let answer = match request.head.split(' ').next().unwrap() {
                "GET" => ok(USERS),
                "POST" => {
                    ok(r#"{"grade":7,"x":"Fenna-zzq-name"}"#).replace("200 OK", "201 Created")
                }
                // Where to look whether it has been done.
                "PATCH" => {
                    let place = request.head.split(' ').nth(1).unwrap();
                    let status = format!("202 Accepted\r\nlocation: {place}");
                    ok("").replace("200 OK", &status)
                }
                _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            };
            peer.try_send(answer).unwrap();
        }
    });
    let house = open(upstream);
    let id = pseudonym(&house);
    let theirs = format!(r#"{{"sourcedId":"{id}","grade":7}}"#);
    let ours = r#"{"sourcedId":"pupil-zzq-901","name":"Fenna-zzq-name","grade":7}"#;
    let mut got = Vec::new();
    for (way, body, path) in [
        ("pull/users", &*theirs, &*id),
        ("push/members", ours, "pupil-zzq-901"),
    ] {
        let create = if way == "pull/users" {
            "/pull/results"
        } else {
            "/push/members"
        };
        for (request, status, text) in [
            (request("PUT", &format!("/{way}/{path}"), body), 204, ""),
            (request("PATCH", &format!("/{way}/{path}"), body), 202, ""),
            (request("POST", create, body), 201, r#"{"grade":7}"#),
            (request("DELETE", &format!("/{way}/{path}"), ""), 204, ""),
        ] {
            let answer = house.ask(request);
            assert_eq!((answer.status(), answer.text()), (status, text), "{way}");
            let place = format!("http://{HOST}/{way}/{path}");
            let places = if status == 202 { &[&*place][..] } else { &[] };
            assert_eq!(answer.lines("location"), places, "{way}");
            if way == "pull/users" {
                got.extend_from_slice(answer.head.as_bytes());
                got.extend(answer.body);
            }
        }
    }
    let asked = house.upstream.received_text();
    for method in ["PUT", "PATCH", "DELETE"] {
        for path in ["/api/users/pupil-zzq-901", &format!("/scim/members/{id}")] {
            let line = format!("{method} {path} HTTP/1.1");
            assert!(asked.contains(&line), "{line} in {asked}");
        }
    }
    house.search(&markers(), &[("what the vendor got", &got)]);
}

#[test]
fn a_vendor_is_told_to_go_on_with_its_body() {
    let house = open(Upstream::answering(ok(USERS)));
    let id = pseudonym(&house);
    let whole = request("PUT", &format!("/pull/users/{id}"), r#"{"grade":7}"#);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let mut caller = house.caller();
    caller.send(format!("{head}\r\nexpect: 100-continue\r\n\r\n"));
    assert_eq!(caller.head().unwrap().status(), 100);
    caller.send(body);
    assert_eq!(caller.answer().status(), 200);
    let seen = caller.seen.lock().unwrap();
    house.search(&markers(), &[("what the vendor got", &seen)]);
}

/// A whole answer with these lines in its head.
fn with_lines(status: &str, lines: &str, body: &str) -> String {
    ok(body).replace("200 OK\r\n", &format!("{status}\r\n{lines}"))
}

/// What a school says of its pages, and what it should not.
const LINES: &str = "link: <https://sis-zzq.example/api/users?limit=1&offset=1&filter=sourcedId%3D'pupil-zzq-901'>; \
                 rel=\"next\", </api/users?name=Fenna-zzq-name>; rel=\"last\"\r\n\
                 link: </api/users/pupil-zzq-902>; rel=first; title=\"Fenna-zzq-name\"\r\n\
                 link: <mailto:fenna-zzq@school.example>; rel=next\r\n\
                 link: </api/users>; rel=describedby\r\n\
                 location: http://10.9.8.7/api/users/pupil-zzq-901\r\n\
                 content-location: /elsewhere/pupil-zzq-901\r\n\
                 x-total-count: 17\r\nx-pupil: pupil-zzq-901\r\netag: \"pupil-zzq-901\"\r\n";

#[test]
fn links_lead_a_vendor_back_through_the_gateway() {
    let house = open(Upstream::answering(with_lines("201 Created", LINES, USERS)));
    let answer = house.ask(request("GET", "/pull/users?limit=1", ""));
    assert_eq!(answer.status(), 201, "{}", answer.head);
    let id = answer.json()["users"][0]["sourcedId"]
        .as_str()
        .unwrap()
        .to_owned();
    let link = answer.lines("link");
    let (next, first) = link[0].split_once(", ").unwrap();
    let pages = format!("http://{HOST}/pull/users?limit=1&offset=1");
    assert_eq!(
        next,
        format!("<{pages}&filter=sourcedId%3D%27{id}%27>; rel=\"next\"")
    );
    assert!(
        first.starts_with(&format!("<http://{HOST}/pull/users/")),
        "{first}"
    );
    assert!(
        first.ends_with(">; rel=\"first\"") && !first.contains(&id),
        "{first}"
    );
    assert_eq!(link.len(), 1);
    assert_eq!(
        answer.lines("location"),
        [format!("http://{HOST}/pull/users/{id}")]
    );
    assert_eq!(answer.lines("x-total-count"), ["17"]);
    let names = [
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "link",
        "location",
        "via",
        "x-total-count",
    ];
    assert_eq!(answer.names(), names, "{}", answer.head);
    // Whoever stands in a link only has been remembered too.
    let path = first.split_once(HOST).unwrap().1.split_once('>').unwrap().0;
    let second = house.ask(request("GET", path, ""));
    // This upstream answers all the same with a page, which is nobody.
    assert_eq!(&*second.code(), "body_of_another_shape");
    assert_eq!(
        targets(&house).last().unwrap(),
        "GET /api/users/pupil-zzq-902"
    );
    let secrets = Markers::of(&[
        "pupil-zzq-901",
        "pupil-zzq-902",
        "Fenna-zzq-name",
        "fenna-zzq",
        "sis-zzq.example",
    ]);
    let heads = [answer.head.as_bytes(), second.head.as_bytes()].concat();
    house.search(
        &secrets,
        &[("the heads", &heads), ("what the vendor got", &answer.body)],
    );
}

/// Links of a page, and whether the one to the next page leads nowhere.
const PAGES: [(&str, bool); 15] = [
    // A sort of the school's own, an empty element, two relations in one.
    (
        "</api/users?limit=1&offset=1&sort=sourcedId>; rel=\"next last\",",
        false,
    ),
    ("</api/users?limit=1&cursor=pupil-zzq-901>; rel=next", true),
    ("</elsewhere/pupil-zzq-901>; rel=\"last next\"", true),
    ("</api/users?limit=1>; rel=prev, /api/users; rel=next", true),
    ("</elsewhere/pupil-zzq-901>; rel=last", false),
    // Of something else than this answer; of this one; and of perhaps this one.
    (
        "</api/users?offset=9>; rel=next; anchor=\"/api/seats\"",
        false,
    ),
    ("</api/users?cursor=x>; rel=next; anchor=\"#some\"", true),
    ("</api/users?cursor=x>; rel=next; anchor=\"\"", true),
    (
        "</api/users?cursor=x>; rel=next; anchor=\"/api/users?limit=1\"",
        true,
    ),
    (
        "</api/users?sort=since&limit=1>; rel=next; anchor=\"?limit=1\"",
        false,
    ),
    (
        "</api/users?limit=1&offset=1>; rel=next; anchor=\"/api/users\"",
        true,
    ),
    // The same path in other signs, and an address that says nothing here.
    (
        "</api/users?sort=since&limit=1>; rel=next; anchor=\"/api/%75sers?limit=1\"",
        false,
    ),
    (
        "</api/users?cursor=x>; rel=next; anchor=\"/api/%75sers?limit=1\"",
        true,
    ),
    (
        "</api/users?cursor=x>; rel=next; anchor=\"/api/users/\"",
        true,
    ),
    (
        "</api/users?limit=1&offset=1>; rel=next; anchor=\"https://elsewhere.example/v2/users\"",
        true,
    ),
];

#[test]
fn the_head_of_a_page_that_would_be_taken_for_the_last_is_refused_too() {
    for (lines, lost) in PAGES {
        let whole = with_lines("200 OK", &format!("link: {lines}\r\n"), USERS);
        let (head, _) = whole.split_once("\r\n\r\n").unwrap();
        let house = open(Upstream::answering(format!("{head}\r\n\r\n")));
        let mut caller = house.caller();
        caller.send(request("HEAD", "/pull/users?limit=1", ""));
        let answer = caller.answer_to_head();
        let why = answer.lines("proxy-status").concat();
        let seen = (answer.status(), why.contains("details=\"next_page_lost\""));
        let expected = if lost { (502, true) } else { (200, false) };
        assert_eq!(seen, expected, "{lines}: {}", answer.head);
        let next = answer.lines("link").iter().any(|it| it.contains("next"));
        assert_eq!(next, lines.contains("sort="), "{lines}");
        house.search(
            &markers(),
            &[("what the vendor got", answer.head.as_bytes())],
        );
    }
}

#[test]
fn a_page_that_would_be_taken_for_the_last_is_refused() {
    let page = |lines: &str| {
        let lines = format!("link: {lines}\r\n");
        open(Upstream::answering(with_lines("200 OK", &lines, USERS)))
    };
    for (lines, lost) in PAGES {
        let house = page(lines);
        let mut caller = house.caller();
        caller.send(request("GET", "/pull/users?limit=1", ""));
        let answer = caller.answer();
        match lost {
            false => assert_eq!(answer.status(), 200, "{lines}"),
            true => {
                let seen = (answer.status(), &*answer.code());
                assert_eq!(seen, (502, "next_page_lost"), "{lines}");
                house.await_log("next_page_lost");
            }
        }
        let next = answer.lines("link").iter().any(|it| it.contains("next"));
        assert_eq!(next, lines.contains("sort="), "{lines}");
        // What has been done at the school is not to be done again.
        let posted = house.ask(request("POST", "/pull/results", r#"{"grade":7}"#));
        assert_eq!(posted.status(), 200, "{lines}: {}", posted.text());
        let seen = caller.seen.lock().unwrap();
        let got = [&*seen, posted.head.as_bytes(), &*posted.body].concat();
        drop(seen);
        house.search(&markers(), &[("what the vendor got", &got)]);
    }
}

#[test]
fn a_page_whose_body_has_a_link_that_leads_nowhere_is_refused() {
    const LOST: &str = "/elsewhere/pupil-zzq-901";
    let next = "/api/users?limit=1&offset=1";
    for (body, lost, left) in [
        (json!({"next": next}), false, 1),
        (json!({"links": {"next": {"href": next}}}), false, 1),
        (json!({"next": null}), false, 1),
        (json!({"next": ""}), false, 0),
        (json!({"next": false, "links": {"next": false}}), false, 0),
        (json!({"links": {"next": ""}, "required": next}), false, 0),
        (json!({"prev": LOST, "self": {"href": LOST}}), false, 0),
        (json!({"users": [{"next": LOST}]}), false, 0),
        (json!({"next": LOST}), true, 0),
        (json!({"nextPage_URL": LOST}), true, 0),
        (json!({"links": {"next": {"href": LOST}}}), true, 0),
        (json!({"required": {"more": LOST}}), true, 0),
        // In another form than the policy has it.
        (json!({"next": 7}), true, 0),
        (json!({"next": true}), true, 0),
        (json!({"next": {"href": next}}), true, 0),
        (json!({"next": [next]}), true, 0),
        (json!({"links": {"next": next}}), true, 0),
    ] {
        let house = open(Upstream::json(&body.to_string()));
        let answer = house.ask(request("GET", "/pull/pages", ""));
        match lost {
            false => {
                assert_eq!(answer.status(), 200, "{body}: {}", answer.text());
                let text = answer.text().replace("null", "http://");
                assert_eq!(text.matches("http://").count(), left, "{body}: {text}");
            }
            true => {
                let seen = (answer.status(), &*answer.code());
                assert_eq!(seen, (502, "next_page_lost"), "{body}");
                house.await_log("next_page_lost");
            }
        }
        // What has been done at the school is not to be done again.
        let posted = house.ask(request("POST", "/pull/pages", ""));
        assert_eq!(posted.status(), 200, "{body}: {}", posted.text());
        let got = [&*answer.body, &*posted.body].concat();
        house.search(&markers(), &[("what the vendor got", &got)]);
    }
}

/// Links to the next page that cannot be handed on, and the cause that the log has for each.
fn lost_links() -> Vec<(String, &'static str)> {
    let links = [
        (
            "</api/users?limit=2>; rel=next; anchor=\"/api/users\"",
            "anchor",
        ),
        ("</api/users?limit=2#pupil-zzq-901>; rel=next", "fragment"),
        (
            "</api/users/%E2%80%8Bpupil-zzq-901>; rel=next",
            "identifier",
        ),
        ("/api/users?limit=2; rel=next", "malformed"),
        ("</api/users?limit>; rel=next", "malformed"),
        ("</api/a%2Fb%ZZ>; rel=next", "malformed"),
        ("</api/pupil-zzq-901>; rel=next", "no_route"),
        ("</api/results>; rel=next", "no_route"),
        ("</api/users?after=pupil-zzq-901>; rel=next", "not_asked"),
        ("</api/results/pupil-zzq-901>; rel=next", "not_asked"),
        ("</elsewhere/users?limit=2>; rel=next", "outside_upstream"),
        (
            "<https://sis.example/v2/users>; rel=next",
            "outside_upstream",
        ),
        (
            "</api/users?limit=1&limit=2>; rel=next",
            "parameter_repeated",
        ),
        (
            "</api/users?limit=pupil-zzq-901>; rel=next",
            "parameter_type",
        ),
        (
            "</api/results/mine/pupil-zzq-901>; rel=next",
            "parameter_type",
        ),
        (
            "</api/users?cursor=pupil-zzq-901>; rel=next",
            "parameter_unlisted",
        ),
        (
            "</api/users?filter=name='Fenna-zzq-name'>; rel=next",
            "question",
        ),
        // Of several the first.
        (
            "</api/users?cursor=1>; rel=next, </api/none>; rel=next",
            "parameter_unlisted",
        ),
    ];
    let long = format!("</api/users?after={}>; rel=next", "a".repeat(2_048));
    let links = links.map(|(link, cause)| (link.to_owned(), cause));
    links.into_iter().chain([(long, "too_long")]).collect()
}

/// Whether the log says of a lost page why, and nothing of its link.
fn says_why(house: &House, cause: &str) {
    house.await_log("next_page_lost");
    let log = house.log();
    let line = log.lines().find(|line| line.contains("next_page_lost"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["sluis.link.cause"], cause, "{line}");
}

#[test]
fn the_log_says_why_a_link_to_the_next_page_is_lost() {
    let mut causes: Vec<&str> = Vec::new();
    for (link, cause) in lost_links() {
        let lines = format!("link: {link}\r\n");
        let house = open(Upstream::answering(with_lines("200 OK", &lines, USERS)));
        let answer = house.ask(request("GET", "/pull/users?limit=1", ""));
        assert_eq!(&*answer.code(), "next_page_lost", "{link}");
        says_why(&house, cause);
        causes.push(cause);
        house.search(&markers(), &[("what the vendor got", &answer.body)]);
    }
    for (body, cause) in [
        (
            json!({"next": "/api/users?cursor=pupil-zzq-901"}),
            "parameter_unlisted",
        ),
        (
            json!({"links": {"next": {"href": "/api/none"}}}),
            "no_route",
        ),
        (json!({"next": 7}), "field_type"),
        (json!({"links": {"next": "/api/users"}}), "field_type"),
    ] {
        let house = open(Upstream::json(&body.to_string()));
        let answer = house.ask(request("GET", "/pull/pages", ""));
        assert_eq!(&*answer.code(), "next_page_lost", "{body}");
        says_why(&house, cause);
        causes.push(cause);
        house.search(&markers(), &[("what the vendor got", &answer.body)]);
    }
    causes.push("echo");
    let missing: Vec<&str> = { LinkFault::ALL.iter().map(|it| it.name()) }
        .filter(|name| !causes.contains(name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_log_says_that_a_link_to_the_next_page_has_what_was_brought_home() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let lines = match request.head.contains("filter=") {
                true => "link: </api/users?after=pupil-zzq-901>; rel=next\r\n",
                false => "",
            };
            peer.try_send(with_lines("200 OK", lines, USERS)).unwrap();
        }
    });
    let house = open(upstream);
    let first = house.ask(request("GET", "/pull/users", ""));
    let id = user(&first)["sourcedId"].as_str().unwrap().to_owned();
    let target = format!("/pull/users?filter=sourcedId='{id}'");
    let answer = house.ask(request("GET", &target, ""));
    assert_eq!(&*answer.code(), "next_page_lost", "{}", answer.text());
    says_why(&house, "echo");
    house.search(&markers(), &[("what the vendor got", &answer.body)]);
}

#[test]
fn brackets_in_a_link_are_read_and_in_a_request_are_refused_by_name() {
    let lines = "link: </api/bracketed?page[number]=2&page%5Bsize%5D=1>; rel=next\r\n";
    let house = open(Upstream::answering(with_lines("200 OK", lines, USERS)));
    let answer = house.ask(request("GET", "/pull/bracketed?page%5Bsize%5D=1", ""));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let next = format!("http://{HOST}/pull/bracketed?page%5Bnumber%5D=2&page%5Bsize%5D=1");
    assert_eq!(answer.lines("link"), [format!("<{next}>; rel=\"next\"")]);
    let asked = targets(&house);
    assert_eq!(asked, ["GET /api/bracketed?page%5Bsize%5D=1"]);
    let refused = house.ask(request("GET", "/pull/bracketed?page[size]=1", ""));
    let seen = (refused.status(), &*refused.code());
    assert_eq!(seen, (400, "query_invalid"), "{}", refused.text());
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("[ as %5B, ] as %5D"), "{detail}");
    assert_eq!(targets(&house), asked, "nobody is asked");
    let got = [answer.head.as_bytes(), &answer.body, &refused.body].concat();
    house.search(&markers(), &[("what the vendor got", &got)]);
}

#[test]
fn a_page_that_streams_and_has_no_way_to_the_next_never_looks_whole() {
    let users = vec![r#"{"grade":7}"#; 100_000].join(",");
    let body = |next| format!(r#"{{"users":[{users}],"next":"{next}"}}"#);
    for (next, whole) in [
        ("/api/users?limit=1&offset=1", true),
        ("/elsewhere/pupil-zzq-901", false),
    ] {
        let house = open(Upstream::json(&body(next)));
        let mut caller = house.caller();
        caller.send(request("GET", "/pull/pages", ""));
        let answer = caller.answer();
        assert_eq!((answer.status(), answer.whole), (200, whole), "{next}");
        if !whole {
            house.await_log("next_page_lost");
        }
        house.search(&markers(), &[("what the vendor got", &answer.body)]);
    }
}

#[test]
fn links_may_be_relative_to_what_was_asked() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let (lines, body) = match request.head.starts_with("GET /api/users?") {
                true => (
                    "link: <?limit=1&offset=1&filter=sourcedId%3D'pupil-zzq-901'&>; rel=next, \
                     <users/pupil-zzq-901>; rel=first, <pupil-zzq-901>; rel=last\r\n",
                    USERS,
                ),
                false => (
                    "content-location: pupil-zzq-901\r\nlocation: ../users\r\n",
                    r#"{"sourcedId":"pupil-zzq-901"}"#,
                ),
            };
            peer.try_send(with_lines("200 OK", lines, body)).unwrap();
        }
    });
    let house = open(upstream);
    let answer = house.ask(request("GET", "/pull/users?limit=1", ""));
    let id = user(&answer)["sourcedId"].as_str().unwrap().to_owned();
    let here = format!("http://{HOST}/pull/users");
    let next = format!("?limit=1&offset=1&filter=sourcedId%3D%27{id}%27");
    let links = format!("<{here}{next}>; rel=\"next\", <{here}/{id}>; rel=\"first\"");
    assert_eq!(answer.lines("link"), [links]);
    let one = house.ask(request("GET", &format!("/pull/users/{id}"), ""));
    assert_eq!(one.lines("content-location"), [format!("{here}/{id}")]);
    assert_eq!(one.lines("location"), [here]);
    let heads = [answer.head.as_bytes(), one.head.as_bytes()].concat();
    house.search(&markers(), &[("what the vendor got", &heads)]);
}

#[test]
fn where_a_school_pages_by_identifier_only_what_was_asked_leads_back() {
    let lines = "link: </api/users?after=pupil-zzq-977>; rel=prev, \
                 </api/users?after=pupil%2Dzzq%2D977>; rel=last, \
                 </api/users?after=mine&offset=1>; rel=first\r\n";
    let house = open(Upstream::answering(with_lines("200 OK", lines, USERS)));
    let answer = house.ask(request("GET", "/pull/users?after=mine", ""));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let asked = format!("<http://{HOST}/pull/users?after=mine&offset=1>; rel=\"first\"");
    assert_eq!(answer.lines("link"), [asked]);
    let markers = Markers::of(&["pupil-zzq-977"]);
    house.search(&markers, &[("what the vendor got", answer.head.as_bytes())]);
}

#[test]
fn where_a_school_pages_by_number_places_lead_on_and_whom_it_numbers_so_does_not() {
    let here = |query: &str| format!("<http://{HOST}/pull/numbered?{query}>");
    let markers = Markers::of(&["9901000004", "99010042"]);
    let lines = "link: </api/numbered?after=9901000004>; rel=prev, \
                 </api/numbered?offset=99010042>; rel=last, \
                 </api/numbered?after=9901000003>; rel=first, \
                 </api/numbered?after=9901000003&offset=120000>; rel=next\r\n";
    let house = open(Upstream::answering(with_lines("200 OK", lines, USERS)));
    let asked = request("GET", "/pull/numbered?after=9901000003", "");
    let answer = house.ask(asked);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let led = [
        here("after=9901000003") + "; rel=\"first\"",
        here("after=9901000003&offset=120000") + "; rel=\"next\"",
    ];
    assert_eq!(answer.lines("link"), [led.join(", ")]);
    house.search(&markers, &[("what the vendor got", answer.head.as_bytes())]);

    let lines = "link: </api/numbered?after=9901000004>; rel=next\r\n";
    let house = open(Upstream::answering(with_lines("200 OK", lines, USERS)));
    let answer = house.ask(request("GET", "/pull/numbered", ""));
    let seen = (answer.status(), &*answer.code());
    assert_eq!(seen, (502, "next_page_lost"), "{}", answer.head);
    let seen = [answer.head.as_bytes(), &answer.body].concat();
    house.search(&markers, &[("what the vendor got", &seen)]);
}

#[test]
fn a_link_leads_below_what_was_asked_and_to_nothing_else_that_is_no_identifier() {
    let lines = "content-location: /api/results/mine\r\n\
                 location: /api/results/of-pupil-zzq-977\r\n\
                 link: </api/results/mine/9901000004>; rel=last\r\n";
    let body = r#"{"prev":"/api/results/of-pupil-zzq-977","self":{"href":"/api/results/mine"},
        "users":[{"grade":7,"next":"/api/results/mine/9901000004"}]}"#;
    let house = open(Upstream::answering(with_lines("200 OK", lines, body)));
    let answer = house.ask(request("GET", "/pull/results/mine", ""));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let here = format!("http://{HOST}/pull/results/mine");
    assert_eq!(answer.lines("content-location"), [&*here]);
    assert_eq!(answer.lines("location"), [""; 0]);
    assert_eq!(answer.lines("link"), [""; 0]);
    let expected = json!({"self": {"href": here}, "users": [{"grade": 7}]});
    assert_eq!(answer.json(), expected);
    let markers = Markers::of(&["pupil-zzq-977", "9901000004"]);
    let seen = [answer.head.as_bytes(), &answer.body].concat();
    house.search(&markers, &[("what the vendor got", &seen)]);
}

#[test]
fn the_school_finds_what_it_has_made_at_a_vendor() {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let id = request.json()["sourcedId"].as_str().unwrap().to_owned();
            let lines = format!(
                "location: https://vendor.example/scim/members/{id}\r\nlink: </scim/members?page=2>; rel=next\r\nx-total-count: many\r\n"
            );
            peer.try_send(with_lines("201 Created", &lines, ""))
                .unwrap();
        }
    });
    let house = open(upstream);
    let body = r#"{"sourcedId":"pupil-zzq-901","grade":7}"#;
    let answer = house.ask(request("POST", "/push/members", body));
    assert_eq!(answer.status(), 201, "{}", answer.head);
    let place = format!("http://{HOST}/push/members/pupil-zzq-901");
    assert_eq!(answer.lines("location"), [place]);
    let next = format!("<http://{HOST}/push/members?page=2>; rel=\"next\"");
    assert_eq!(answer.lines("link"), [next]);
    assert_eq!(answer.lines("x-total-count"), [""; 0]);
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}
