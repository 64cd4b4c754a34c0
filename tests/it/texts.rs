//! What stands within a text: links, identifiers among letters, JSON in a string.

use serde_json::{Value, json};

use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Markers, Message, Peer, Plans, Upstream, request};

/// A vendor that fetches pupils, is pushed to, and sends results back.
const POLICY: &str = r#"
[ids.pupil]
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM/api"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { filter = "ids", offset = "int" }
to-vendor = { users = "User[]", next = "url" }

[[flow.pull.route]]
match = "GET /users/{pupil}"
to-vendor = "User"

[[flow.pull.route]]
match = "POST /results"
from-vendor = "User"

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM/scim"
callers = "anyone"

[[flow.push.route]]
match = "GET /members/{pupil}"
from-vendor = "User"

[[flow.push.route]]
match = "POST /members"
to-vendor = "User"
from-vendor = "User"

[shape.User]
sourcedId = "pupil"
href = "url"
links = { as = "url[]", otherwise = "urn:sluis:withheld" }
urn = { as = "template", like = "urn:pupil:{pupil}" }
data = { as = "json", shape = "Data" }

[shape.Data]
actor = "User"
score = "keep:number"
"#;

fn markers() -> Markers {
    Markers::of(&["pupil-zzq-901", "Fenna-zzq-name"])
}

/// A pupil as the school has it, at its own address.
fn user(address: &str) -> Value {
    let actor = json!({"sourcedId": "pupil-zzq-901", "name": "Fenna-zzq-name"});
    json!({
        "sourcedId": "pupil-zzq-901",
        "href": format!("http://{address}/api/users/pupil-zzq-901"),
        "links": [
            format!("http://{address}/api/users/pupil-zzq-901"),
            format!("http://{address}/api/users?name=Fenna-zzq-name"),
            "/api/users/pupil-zzq-901",
        ],
        "urn": "urn:pupil:pupil-zzq-901",
        "data": json!({"actor": actor, "score": 7.50}).to_string(),
    })
}

/// A school that gives its pupil to who asks, and takes what is sent.
fn school() -> Upstream {
    Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let host = request
                .head
                .lines()
                .find_map(|line| line.strip_prefix("host: "));
            let user = user(host.unwrap());
            let next = "/api/users?filter=sourcedId='pupil-zzq-901'&offset=1";
            let answer = match request.head.split(' ').nth(1).unwrap() {
                _ if request.head.starts_with("POST ") => json!({}),
                path if path.starts_with("/api/users?") || path == "/api/users" => {
                    json!({"users": [user], "next": next})
                }
                _ => user,
            };
            if peer.try_send(ok(&answer.to_string())).is_err() {
                return;
            }
        }
    })
}

fn open(upstream: Upstream) -> House {
    Plans {
        instead: Some(POLICY),
        ..Plans::default()
    }
    .open(upstream)
}

fn get(house: &House, target: &str) -> Message {
    house.ask(request("GET", target, ""))
}

fn post(house: &House, target: &str, body: &Value) -> Message {
    house.ask(request("POST", target, &body.to_string()))
}

/// What the upstream was asked last: its path, and the body.
fn arrived(house: &House) -> (String, Value) {
    let text = house.upstream.received_text();
    let (_, last) = text.rsplit_once(" /").unwrap();
    let (target, rest) = last.split_once(" HTTP/1.1").unwrap();
    let (_, body) = rest.split_once("\r\n\r\n").unwrap();
    (
        format!("/{target}"),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[test]
fn a_vendor_that_follows_the_links_comes_back_to_the_pupil() {
    let house = open(school());
    let page = get(&house, "/pull/users");
    let user = &page.json()["users"][0];
    let id = user["sourcedId"].as_str().unwrap();
    let own = format!("http://{HOST}/pull/users/{id}");
    assert_eq!(user["href"], own);
    assert_eq!(user["links"], json!([own, "urn:sluis:withheld", own]));
    assert_eq!(user["urn"], format!("urn:pupil:{id}"));
    let data: Value = serde_json::from_str(user["data"].as_str().unwrap()).unwrap();
    assert_eq!(data, json!({"actor": {"sourcedId": id}, "score": 7.5}));
    let mut got = page.body.clone();
    for (link, arrives) in [
        (&user["href"], "/api/users/pupil-zzq-901"),
        (
            &page.json()["next"],
            "/api/users?filter=sourcedId%3D%27pupil-zzq-901%27&offset=1",
        ),
    ] {
        let link = link.as_str().unwrap();
        let target = link.strip_prefix(&format!("http://{HOST}")).unwrap();
        let answer = get(&house, target);
        assert_eq!(answer.status(), 200, "{link}");
        assert_eq!(arrived(&house).0, arrives);
        got.extend(answer.body);
    }
    house.search(&markers(), &[("what the vendor got", &got)]);
}

#[test]
fn a_result_that_names_a_pupil_within_texts_lands_on_the_pupil() {
    let house = open(school());
    let page = get(&house, "/pull/users");
    let mut sent = page.json()["users"][0].clone();
    sent["data"] = json!(
        sent["data"]
            .as_str()
            .unwrap()
            .replace("actor\":{", "actor\":{\"x\":1,")
    );
    let answer = post(&house, "/pull/results", &sent);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let (_, body) = arrived(&house);
    let mut expected = user(&house.upstream.address.to_string());
    // Nothing stands in for what leads nowhere, on the way to the school.
    let links = expected["links"].as_array().unwrap();
    expected["links"] = json!([links[0], links[0]]);
    expected["data"] = json!(r#"{"actor":{"sourcedId":"pupil-zzq-901"},"score":7.5}"#);
    assert_eq!(body, expected);

    let unknown = json!({"urn": "urn:pupil:pupil-zzq-901"});
    let answer = post(&house, "/pull/results", &unknown);
    assert_eq!(
        (answer.status(), &*answer.code()),
        (422, "pseudonym_unknown")
    );
    assert_eq!(arrived(&house).1, expected, "nothing was forwarded");
    house.search(
        &markers(),
        &[("what the vendor got", &[page.body, answer.body].concat())],
    );
}

#[test]
fn a_school_that_pushes_links_to_its_own_pages_lets_none_of_them_out() {
    let house = open(school());
    let address = house.upstream.address.to_string();
    let answer = post(&house, "/push/members", &user(&address));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let (_, body) = arrived(&house);
    let id = body["sourcedId"].as_str().unwrap();
    // The school's own address is that of the pull flow; a relative one would be at the vendor.
    let own = format!("http://{HOST}/pull/users/{id}");
    assert_eq!(body["href"], own);
    assert_eq!(
        body["links"],
        json!([own, "urn:sluis:withheld", "urn:sluis:withheld"])
    );
    house.search(
        &markers(),
        &[("what the vendor got", &house.upstream.received())],
    );
}
