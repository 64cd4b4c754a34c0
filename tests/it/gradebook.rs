//! A school's gradebook, over both services of OneRoster: a vendor fetches pupils, sets a task, marks
//! it, finds its marks again and takes them back. Each pupil has the right ones, and nobody is known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::upstream::ok;
use crate::harness::{House, Markers, Message, Peer, Plans, Upstream, request};

/// A vendor of both services, in one flow as with OneRoster 1.1, or in any version.
const OLD: &str = r#"
[flow.school]
preset = ["oneroster-1.1/pull@1", "oneroster-1.1/gradebook@1"]
at = "/school"
upstream = "http://UPSTREAM"
callers = "anyone"
"#;

const NEW: &str = r#"
[flow.school]
preset = ["oneroster-1.2/pull@1", "oneroster-1.2/gradebook@1"]
at = "/school"
upstream = "http://UPSTREAM"
callers = "anyone"
"#;

/// Where the two services are in each version.
const VERSIONS: [(&str, &str, &str); 2] = [
    (OLD, "/ims/oneroster/v1p1", "/ims/oneroster/v1p1"),
    (
        NEW,
        "/ims/oneroster/rostering/v1p2",
        "/ims/oneroster/gradebook/v1p2",
    ),
];

const LINE_ITEM: &str = "0b9f3c1e-5d0a-4c57-9d0e-2a6f1f1f9a11";
const RESULT: &str = "r-2026.0001";

fn markers() -> Markers {
    Markers::of(&[
        "pupil-zzq-901",
        "class-zzq-1A",
        "org-zzq-99DE",
        "Fenna-zzq-name",
        "res-pupil-zzq",
        "Inhaaltoets-zzq",
        "moeder-zzq",
    ])
}

/// A school: what is put there is there until it is deleted, beside what it has itself.
struct School {
    /// Where its links lead.
    rostering: &'static str,
    kept: Mutex<BTreeMap<String, Value>>,
}

impl School {
    fn answer(&self, request: &Message) -> String {
        let line = request.head.lines().next().unwrap();
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let path = target.split('?').next().unwrap().to_owned();
        let list = path.rsplit('/').next().unwrap().to_owned();
        let mut kept = self.kept.lock().unwrap();
        match method {
            "PUT" => {
                kept.insert(path, serde_json::from_slice(&request.body).unwrap());
                "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            "DELETE" => {
                let gone = kept.remove(&path).is_some();
                let status = if gone {
                    "204 No Content"
                } else {
                    "404 Not Found"
                };
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
            }
            "POST" => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let items = body[&list].as_array().unwrap();
                let pairs = items.iter().enumerate().map(|(number, item)| {
                    let of = item["student"]["sourcedId"].as_str().unwrap_or("none");
                    json!({
                        "suppliedSourcedId": item["sourcedId"],
                        "allocatedSourcedId": format!("res-{of}-{number}"),
                    })
                });
                let pairs: Vec<Value> = pairs.collect();
                ok(&json!({ "sourcedIdPairs": pairs }).to_string()).replace("200 OK", "201 Created")
            }
            _ => match kept.get(&path) {
                Some(one) => ok(&one.to_string()),
                None if path.contains("/classes/") => ok(&class_at(&list).to_string()),
                None => ok(&json!({ &list: listed(self.rostering, &list, &kept) }).to_string()),
            },
        }
    }
}

/// A class that is asked for itself.
fn class_at(id: &str) -> Value {
    json!({ "class": {
        "sourcedId": id, "status": "active", "dateLastModified": "2026-09-01T06:00:00.000Z",
        "title": "Fenna-zzq-name", "classType": "scheduled",
    } })
}

/// What the school has of a list, and what was put there.
fn listed(rostering: &str, list: &str, kept: &BTreeMap<String, Value>) -> Vec<Value> {
    let base = |id: &str| json!({ "sourcedId": id, "status": "active", "dateLastModified": "2026-09-01T06:00:00.000Z" });
    let with = |id: &str, more: Value| {
        let mut all = base(id);
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let below = |list: &str| format!("{rostering}/{list}");
    let mut all = match list {
        "users" => vec![with(
            "pupil-zzq-901",
            json!({
                "enabledUser": "true", "username": "fenna", "givenName": "Fenna-zzq-name",
                "familyName": "Fenna-zzq-name", "role": "student",
                "orgs": [reference(&below("orgs"), "org-zzq-99DE", "org")],
                "roles": [{ "roleType": "primary", "role": "student",
                    "org": reference(&below("orgs"), "org-zzq-99DE", "org") }],
            }),
        )],
        "results" => vec![with(
            "res-pupil-zzq-901-REK1",
            json!({
                "lineItem": reference(&below("lineItems"), "li-zzq-REK1", "lineItem"),
                "student": reference(&below("users"), "pupil-zzq-901", "user"),
                "score": 7.50, "scoreStatus": "fully graded", "scoreDate": "2026-10-01",
                "comment": "Fenna-zzq-name belt moeder-zzq",
            }),
        )],
        "lineItems" => vec![with(
            "li-zzq-REK1",
            json!({
                "title": "Inhaaltoets-zzq Fenna-zzq-name", "description": "Inhaaltoets-zzq",
                "assignDate": "2026-09-01T00:00:00Z", "dueDate": "2026-10-01T00:00:00Z",
                "class": reference(&below("classes"), "class-zzq-1A", "class"),
                "category": reference(&below("categories"), "cat-1", "category"),
            }),
        )],
        _ => Vec::new(),
    };
    let put = kept
        .iter()
        .filter(|(path, _)| path.contains(&format!("/{list}/")));
    let put = put.map(|(_, one)| one.as_object().unwrap().values().next().unwrap());
    all.extend(put.map(|one| with("", one.clone())));
    all
}

fn reference(list: &str, id: &str, kind: &str) -> Value {
    json!({ "href": format!("https://sis.example{list}/{id}"), "sourcedId": id, "type": kind })
}

fn open(policy: &'static str, rostering: &'static str) -> House {
    let school = Arc::new(School {
        rostering,
        kept: Mutex::default(),
    });
    let upstream = Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            if peer.try_send(school.answer(&request)).is_err() {
                return;
            }
        }
    });
    Plans {
        instead: Some(policy),
        ..Plans::default()
    }
    .open(upstream)
}

/// A vendor at such a school, that knows its pupil and what the school has.
struct Vendor {
    house: House,
    rostering: &'static str,
    gradebook: &'static str,
    /// Everything that it was answered.
    got: Vec<u8>,
    pupil: String,
    /// The school's own line item.
    item: Value,
}

impl Vendor {
    fn of((policy, rostering, gradebook): (&'static str, &'static str, &'static str)) -> Self {
        let mut vendor = Self {
            house: open(policy, rostering),
            rostering,
            gradebook,
            got: Vec::new(),
            pupil: String::new(),
            item: Value::Null,
        };
        let (_, users) = vendor.ask(&format!("GET {rostering}/users"), &Value::Null);
        vendor.pupil = id_of(&users["users"][0]).to_owned();
        let (_, items) = vendor.ask(&format!("GET {gradebook}/lineItems"), &Value::Null);
        vendor.item = items["lineItems"][0].clone();
        vendor
    }

    /// Asks, keeps what came for the search, and gives the status and the JSON.
    fn ask(&mut self, line: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (method, path) = line.split_once(' ').unwrap();
        let target = format!("/school{path}");
        let answer = self.house.ask(request(method, &target, &body));
        self.got.extend_from_slice(answer.head.as_bytes());
        self.got.extend_from_slice(&answer.body);
        let json = serde_json::from_slice(&answer.body).unwrap_or_default();
        (answer.status(), json)
    }

    /// The same below the gradebook, without a body.
    fn in_gradebook(&mut self, method: &str, path: &str) -> (u16, Value) {
        let line = format!("{method} {}{path}", self.gradebook);
        self.ask(&line, &Value::Null)
    }

    /// Puts something below the gradebook, and gives what the school got.
    fn put(&mut self, path: &str, body: &Value) -> Value {
        let line = format!("PUT {}{path}", self.gradebook);
        assert_eq!(self.ask(&line, body).0, 201);
        self.arrived().1
    }

    /// What the school got last: the first line, and the body.
    fn arrived(&self) -> (String, Value) {
        let text = self.house.upstream.received_text();
        let starts = ["GET /", "PUT /", "POST /", "DELETE /"];
        let start = starts.iter().filter_map(|start| text.rfind(start)).max();
        let request = &text[start.unwrap()..];
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().to_owned();
        (line, serde_json::from_str(body).unwrap_or_default())
    }

    /// Puts a task of its own, in a class and a category of the school's.
    fn set_a_task(&mut self) -> Value {
        let item = json!({ "lineItem": {
            "sourcedId": LINE_ITEM, "status": "active",
            "dateLastModified": "2026-10-02T08:00:00.000Z",
            "title": "Breuken 3", "assignDate": "2026-10-02T00:00:00.000Z",
            "dueDate": "2026-10-09T00:00:00.000Z",
            "class": self.item["class"], "category": self.item["category"],
            "resultValueMin": 0.0, "resultValueMax": 10.0,
        }});
        self.put(&format!("/lineItems/{LINE_ITEM}"), &item)["lineItem"].take()
    }

    fn mark(&mut self) -> Value {
        let result = json!({ "result": {
            "sourcedId": RESULT, "status": "active",
            "dateLastModified": "2026-10-09T08:00:00.000Z",
            "lineItem": { "href": "https://vendor.example/x", "sourcedId": LINE_ITEM, "type": "lineItem" },
            "student": { "href": "https://vendor.example/y", "sourcedId": self.pupil, "type": "user" },
            "scoreStatus": "fully graded", "score": 8.50, "scoreDate": "2026-10-09",
            "comment": "goed gedaan, moeder-zzq gebeld",
        }});
        self.put(&format!("/results/{RESULT}"), &result)["result"].take()
    }

    fn search(&self) {
        self.house
            .search(&markers(), &[("what the vendor got", &self.got)]);
    }
}

fn id_of(record: &Value) -> &str {
    record["sourcedId"].as_str().unwrap()
}

#[test]
fn a_task_and_its_marks_reach_the_school_and_the_right_pupil() {
    for version in VERSIONS {
        let mut vendor = Vendor::of(version);
        let title = vendor.item["title"].as_str().unwrap();
        assert_ne!(title, "Inhaaltoets-zzq Fenna-zzq-name");
        assert!(!title.is_empty());
        let at_school = vendor.set_a_task();
        let marked = format!("bron~{LINE_ITEM}~");
        let line = format!("PUT {}/lineItems/{marked} HTTP/1.1", vendor.gradebook);
        assert_eq!(vendor.arrived().0, line);
        assert_eq!(at_school["sourcedId"], marked);
        assert_eq!(at_school["title"], "Breuken 3");
        assert_eq!(at_school["class"]["sourcedId"], "class-zzq-1A");
        let href = format!("{}/classes/class-zzq-1A", vendor.rostering);
        assert!(
            at_school["class"]["href"]
                .as_str()
                .unwrap()
                .ends_with(&href)
        );

        let at_school = vendor.mark();
        assert_eq!(at_school["student"]["sourcedId"], "pupil-zzq-901");
        assert_eq!(at_school["student"]["type"], "user");
        assert_eq!(
            at_school["student"]["href"],
            Value::Null,
            "a link of its own"
        );
        assert_eq!(at_school["lineItem"]["sourcedId"], marked);
        assert_eq!(at_school["score"].to_string(), "8.5");
        assert_eq!(at_school["comment"], Value::Null);
        vendor.search();
    }
}

#[test]
fn a_vendor_finds_its_marks_under_its_own_ids_and_takes_them_back() {
    for version in VERSIONS {
        let mut vendor = Vendor::of(version);
        vendor.set_a_task();
        vendor.mark();
        let filter = format!("filter=student.sourcedId%3D%27{}%27", vendor.pupil);
        let (_, results) = vendor.in_gradebook("GET", &format!("/results?{filter}"));
        let results = results["results"].as_array().unwrap().clone();
        assert_eq!(results.len(), 2);
        let own = results.iter().find(|it| id_of(it) == RESULT).unwrap();
        assert_eq!(id_of(&own["lineItem"]), LINE_ITEM);
        assert_eq!(id_of(&own["student"]), vendor.pupil);
        let other = results.iter().find(|it| id_of(it) != RESULT).unwrap();
        assert_eq!(id_of(&other["student"]), vendor.pupil);
        assert_eq!(id_of(&other["lineItem"]), id_of(&vendor.item));
        let (status, one) = vendor.in_gradebook("GET", &format!("/results/{RESULT}"));
        assert_eq!((status, id_of(&one["result"])), (200, RESULT));

        // It cannot reach anybody's by a guess at the school's id.
        let guess = "res-pupil-zzq-901-REK1";
        for (id, status) in [(guess, 404), (RESULT, 204)] {
            let (answered, _) = vendor.in_gradebook("DELETE", &format!("/results/{id}"));
            assert_eq!(answered, status, "{id}");
            let asked = format!("DELETE {}/results/bron~{id}~ HTTP/1.1", vendor.gradebook);
            assert_eq!(vendor.arrived().0, asked);
        }
        vendor.search();
    }
}

#[test]
fn a_link_in_a_line_item_leads_to_its_class_through_the_gateway() {
    for version in VERSIONS {
        let mut vendor = Vendor::of(version);
        let class = vendor.item["class"].clone();
        let (_, path) = class["href"]
            .as_str()
            .unwrap()
            .split_once("/school/")
            .unwrap();
        let expected = format!("{}/classes/{}", vendor.rostering, id_of(&class));
        assert_eq!(format!("/{path}"), expected);
        assert_eq!(vendor.ask(&format!("GET /{path}"), &Value::Null).0, 200);
        let asked = format!("GET {}/classes/class-zzq-1A HTTP/1.1", vendor.rostering);
        assert_eq!(vendor.arrived().0, asked);
        vendor.search();
    }
}

#[test]
fn what_is_posted_has_the_schools_ids_from_then_on() {
    let mut vendor = Vendor::of(VERSIONS[1]);
    let result = |own: &str, student: &str| {
        json!({
            "sourcedId": own, "lineItem": { "sourcedId": LINE_ITEM, "type": "lineItem" },
            "student": { "sourcedId": student, "type": "user" },
            "scoreStatus": "fully graded", "score": 6, "scoreDate": "2026-10-09",
        })
    };
    let line = format!("POST {}/lineItems/{LINE_ITEM}/results", vendor.gradebook);
    let pupil = vendor.pupil.clone();
    let body = json!({ "results": [result(RESULT, &pupil)] });
    let (status, answer) = vendor.ask(&line, &body);
    assert_eq!(status, 201);
    let pair = &answer["sourcedIdPairs"][0];
    assert_eq!(pair["suppliedSourcedId"], RESULT);
    let allocated = pair["allocatedSourcedId"].as_str().unwrap();
    assert_ne!(allocated, RESULT);

    // Under that one it is asked for, and the school knows which one is meant.
    vendor.in_gradebook("DELETE", &format!("/results/{allocated}"));
    let asked = format!(
        "DELETE {}/results/res-pupil-zzq-901-0 HTTP/1.1",
        vendor.gradebook
    );
    assert_eq!(vendor.arrived().0, asked);

    // A mark for nobody that the vendor was told of goes nowhere, nor does one for a number.
    let before = vendor.house.upstream.received().len();
    for nobody in ["7d1f8a52-3f0c-8a5e-9b7e-0c9b3f1e2d44", "pupil-zzq-901"] {
        let body = json!({ "results": [result(RESULT, &pupil), result("r-2", nobody)] });
        assert_eq!(vendor.ask(&line, &body).0, 422, "{nobody}");
    }
    assert_eq!(vendor.house.upstream.received().len(), before);
    vendor.search();
}
