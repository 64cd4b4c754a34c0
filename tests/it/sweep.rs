//! One pupil in every place where an identifier can stand, both ways: at the vendor's end there is
//! no trace of the pupil, at the school's none of the pseudonym.

use serde_json::{Value, json};

use crate::harness::{HOST, House, Markers, Peer, Plans, Upstream, request};

const POLICY: &str = r#"
[ids.pupil]
back = "school-only"

[ids.mail]
looks = "email"
domain = "boek.example"
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM/api"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { filter = "ids", sort = "known", fields = "known", limit = "int", pupil = "pupil[]" }
to-vendor = { users = "User[]", next = "url" }

[[flow.pull.route]]
match = "GET /users/{pupil}"
to-vendor = "User"

[[flow.pull.route]]
match = "PUT /users/{pupil}"
query = { of = "pupil" }
from-vendor = "User"
to-vendor = "User"

[[flow.pull.route]]
match = "POST /users"
from-vendor = "User[]"
to-vendor = "User[]"

[[flow.pull.route]]
match = "PATCH /users/{pupil}"
from-vendor = "User"

[[flow.pull.route]]
match = "DELETE /users/{pupil}"

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM/scim"
callers = "anyone"

[[flow.push.route]]
match = "GET /members"
query = { filter = "ids", of = "pupil[]" }
from-vendor = { users = "User[]", next = "url" }

[[flow.push.route]]
match = "GET /members/{pupil}"
from-vendor = "User"

[[flow.push.route]]
match = "PUT /members/{pupil}"
to-vendor = "User"
from-vendor = "User"

[[flow.push.route]]
match = "POST /members"
to-vendor = "User[]"
from-vendor = "User[]"

[[flow.push.route]]
match = "DELETE /members/{pupil}"

[shape.User]
sourcedId = "pupil"
email = { as = "mail", of = "sourcedId" }
status = { as = "keep", one-of = ["active"] }
friends = "pupil[]"
best = "pupil[]?"
scores = "Scores"
href = "url"
"$ref" = "url"
more = "url[]"
urn = { as = "template", like = "urn:pupil:{pupil}" }
data = { as = "json", shape = "User" }
buddy = "User"
year = { as = "school-year" }
name = "drop"

[shape.Scores]
_any = { key = "pupil", as = "keep:int" }
"#;

const PUPIL: &str = "pupil-zzq-901";
const NAME: &str = "Fenna-zzq-name";

/// A user with one id in every place, at addresses that begin with `base`; what has no line of the
/// policy holds the id and the name as well.
fn user(id: &str, base: &str) -> Value {
    let link = format!("{base}/{id}");
    let plain = json!({
        "sourcedId": id, "email": format!("{NAME}@school.example"), "status": "active",
        "friends": [id, id], "best": id, "scores": {id: 7}, "href": link, "$ref": link,
        "more": [link, format!("{base}/{NAME}/{id}"), format!("https://elsewhere.example/{id}")],
        "urn": format!("urn:pupil:{id}"), "year": format!("2026-09-01T00:00:00Z"),
        "name": NAME, "userIds": [{"type": "number", "identifier": id}], id: id, NAME: [id],
        "metadata": {"key": {"of": id}}, "comment": format!("{NAME} ({id}) zei iets"),
    });
    let mut user = plain.clone();
    user["data"] = json!(plain.to_string());
    user["buddy"] = plain;
    user
}

/// A whole answer whose head has the id in every line that a server may write one in.
fn answer(id: &str, base: &str, body: &Value) -> String {
    let body = body.to_string();
    let filter = format!("filter=sourcedId%3D%27{id}%27");
    let length = body.len();
    format!(
        "HTTP/1.1 200 {NAME}\r\n\
         content-type: application/json; charset=utf-8\r\n\
         content-length: {length}\r\n\
         link: <{base}?{filter}>; rel=\"next\", <{base}/{id}>; rel=\"author\"; title=\"{NAME}\"\r\n\
         link: <{base}?cursor={id}>; rel=\"last\"\r\n\
         location: {base}/{id}\r\n\
         content-location: {base}/{id}\r\n\
         x-total-count: 1\r\n\
         set-cookie: user={id}\r\n\
         etag: \"{id}\"\r\n\
         digest: sha-256={id}\r\n\
         content-digest: sha-256=:{id}:\r\n\
         repr-digest: sha-256=:{id}:\r\n\
         content-md5: {id}\r\n\
         content-disposition: inline; filename=\"{NAME}.json\"\r\n\
         x-user-{id}: {NAME}\r\n\
         warning: 199 - \"{NAME}\"\r\n\
         server-timing: {id};dur=1\r\n\r\n{body}"
    )
}

/// What is asked: a method, a target and a body, each with the id in every place of it.
fn requests(id: &str, at: &str, base: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let (one, two) = (user(id, base), json!([user(id, base), user(id, base)]));
    let filter = format!("filter=sourcedId='{id}'+AND+status='active'");
    let all = match at {
        "/pull/users" => format!("{at}?{filter}&pupil={id}&pupil={id}"),
        _ => format!("{at}?{filter}&of={id}&of={id}"),
    };
    let of = match at {
        "/pull/users" => format!("{at}/{id}?of={id}"),
        _ => format!("{at}/{id}"),
    };
    let mut requests = vec![
        ("GET", all, None),
        ("GET", format!("{at}/{id}"), None),
        ("HEAD", format!("{at}/{id}"), None),
        ("PUT", of, Some(one.clone())),
        ("POST", at.to_owned(), Some(two)),
        ("DELETE", format!("{at}/{id}"), None),
    ];
    if at == "/pull/users" {
        requests.push(("PATCH", format!("{at}/{id}"), Some(one)));
    }
    requests
}

/// Asks all of it, and gives every byte that was answered.
fn ask(house: &House, requests: &[(&str, String, Option<Value>)]) -> Vec<u8> {
    let mut got = Vec::new();
    for (method, target, body) in requests {
        let body = body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut caller = house.caller();
        caller.send(request(method, target, &body));
        let answer = match *method {
            "HEAD" => caller.answer_to_head(),
            _ => caller.answer(),
        };
        assert_eq!(answer.status(), 200, "{method} {target}: {}", answer.text());
        got.extend_from_slice(answer.head.as_bytes());
        got.extend_from_slice(&answer.body);
    }
    got
}

fn open(upstream: Upstream) -> House {
    Plans {
        instead: Some(POLICY),
        ..Plans::default()
    }
    .open(upstream)
}

/// Answers as a school or vendor that has one user, under the id that `id` finds in the request.
fn serving(path: &'static str, id: impl Fn(&str) -> String + Send + Sync + 'static) -> Upstream {
    Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let text = format!("{}{}", request.head, String::from_utf8_lossy(&request.body));
            let host = request
                .head
                .lines()
                .find_map(|line| line.strip_prefix("host: "));
            let base = format!("http://{}{path}", host.unwrap());
            let id = id(&text);
            let user = user(&id, &base);
            let mut parts = request.head.split(' ');
            let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
            let body = match method {
                "POST" => json!([user]),
                _ if target.contains('?') && method == "GET" => {
                    json!({"users": [user], "next": format!("{base}?filter=sourcedId='{id}'")})
                }
                _ => user,
            };
            let whole = answer(&id, &base, &body);
            let answer = match method {
                "HEAD" => whole.split_inclusive("\r\n\r\n").next().unwrap(),
                _ => &*whole,
            };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

/// The pseudonym of the pupil: the first that stands in a request or answer.
fn pseudonym_in(text: &str) -> String {
    let is_one =
        |word: &&str| word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let mut words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '-');
    words.find(is_one).unwrap_or_default().to_owned()
}

fn count(bytes: &[u8], what: &str) -> usize {
    let windows = bytes.windows(what.len());
    windows.filter(|window| *window == what.as_bytes()).count()
}

#[test]
fn a_vendor_that_calls_never_sees_the_pupil_nor_the_school_a_pseudonym() {
    let house = open(serving("/api/users", |_| PUPIL.to_owned()));
    let first = house.ask(format!(
        "GET /pull/users?limit=1 HTTP/1.1\r\nhost: {HOST}\r\n\r\n"
    ));
    assert_eq!(first.status(), 200, "{}", first.text());
    let first = first.json();
    let (id, mail) = (&first["users"][0]["sourcedId"], &first["users"][0]["email"]);
    let (id, mail) = (id.as_str().unwrap(), mail.as_str().unwrap());
    let base = format!("http://{HOST}/pull/users");
    let mut requests = requests(id, "/pull/users", &base);
    requests.push(("GET", format!("/pull/users?filter=email='{mail}'"), None));
    let got = ask(&house, &requests);
    house.search(
        &Markers::of(&[PUPIL, NAME]),
        &[("what the vendor got", &got)],
    );
    // Each place holds the pseudonym, so that nothing was merely left out.
    let places = Places::of(&first["users"][0]);
    assert_eq!(places, Places::all(&base));
    let head = house
        .ask(format!(
            "GET /pull/users/{id} HTTP/1.1\r\nhost: {HOST}\r\n\r\n"
        ))
        .head;
    assert_places_in(&head, id, &base);
    let arrived = house.upstream.received();
    Markers::of(&[id, mail, HOST]).assert_absent("what the school got", &arrived);
    assert!(count(&arrived, PUPIL) > 60, "{}", count(&arrived, PUPIL));
}

#[test]
fn a_vendor_that_is_called_never_sees_the_pupil_nor_the_school_a_pseudonym() {
    let house = open(serving("/scim/members", pseudonym_in));
    let base = format!("http://{HOST}/push/members");
    let got = ask(&house, &requests(PUPIL, "/push/members", &base));
    let received = house.upstream.received();
    house.search(
        &Markers::of(&[PUPIL, NAME, HOST]),
        &[("what the vendor got", &received)],
    );
    let text = String::from_utf8(received.clone()).unwrap();
    let id = pseudonym_in(&text);
    assert!(count(&received, &id) > 50, "{}", count(&received, &id));
    let put = text.split("PUT ").nth(1).unwrap();
    let (_, body) = put.split_once("\r\n\r\n").unwrap();
    let sent: Value = serde_json::Deserializer::from_str(body)
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    let upstream = format!("http://{}/scim/members", house.upstream.address);
    assert_eq!(Places::of(&sent), Places::all(&upstream));
    Markers::of(&[&id]).assert_absent("what the school got", &got);
    assert!(count(&got, PUPIL) > 50, "{}", count(&got, PUPIL));
    let head = house
        .ask(request("GET", &format!("/push/members/{PUPIL}"), ""))
        .head;
    assert_places_in(&head, PUPIL, &base);
}

/// Each line of a head that names a place names it under that id.
fn assert_places_in(head: &str, id: &str, base: &str) {
    for line in [
        format!("link: <{base}?filter=sourcedId%3D%27{id}%27>; rel=\"next\"\r\n"),
        format!("location: {base}/{id}\r\n"),
        format!("content-location: {base}/{id}\r\n"),
        "x-total-count: 1\r\n".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} in {head}");
    }
}

/// What stands in each place of a user that left, with its own id as `ID`.
#[derive(Debug, PartialEq)]
struct Places(Value);

impl Places {
    fn of(user: &Value) -> Self {
        let id = user["sourcedId"].as_str().unwrap();
        let mail = user["email"].as_str().unwrap();
        let text = user.to_string().replace(id, "ID").replace(mail, "MAIL");
        let mut user: Value = serde_json::from_str(&text).unwrap();
        let data = user["data"].as_str().unwrap();
        user["data"] = serde_json::from_str(data).unwrap();
        Self(user)
    }

    /// Every place that the policy names, and nothing else.
    fn all(base: &str) -> Self {
        let link = format!("{base}/ID");
        let plain = json!({
            "sourcedId": "ID", "email": "MAIL", "status": "active", "friends": ["ID", "ID"],
            "best": "ID", "scores": {"ID": 7}, "href": link, "$ref": link, "more": [link],
            "urn": "urn:pupil:ID", "year": "2026-2027",
        });
        let mut user = plain.clone();
        user["data"] = plain.clone();
        user["buddy"] = plain;
        Self(user)
    }
}
