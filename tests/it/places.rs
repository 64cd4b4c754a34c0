//! Identifiers in the places of a head: filters, orders and links.

use crate::harness::{HOST, House, Markers, Message, Plans, Upstream};

/// A vendor that fetches pupils page by page and asks about them.
const POLICY: &str = r#"version = 1
[vendor]
name = "Bron"
agreement = "VO-1"
purpose = "Testen"
contact = "privacy@bron.example"
valid = { from = 2020-01-01, until = 2099-12-31 }

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
query = { filter = "ids", sort = "known", fields = "known", limit = "int", offset = "int" }
to-vendor = { users = "User[]" }

[shape.User]
sourcedId = "pupil"
email = { as = "mail", of = "sourcedId" }
group = "group"
grade = "keep:int"
name = "drop"
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

fn request(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
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
    let first = house.ask(request("GET", "/pull/users"));
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
        let answer = house.ask(request("GET", &target));
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
    let first = house.ask(request("GET", "/pull/users"));
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
        let answer = house.ask(request("GET", &format!("/pull/users?filter={filter}")));
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
    let answer = house.ask(request("GET", "/pull/users?sort=grade&fields=email,grade"));
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
        let answer = house.ask(request("GET", &format!("/pull/users?{query}")));
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
