//! OneRoster messages of others, pulled through the preset over real HTTP: no name, address, number
//! or password of theirs reaches the vendor. They lie beside the project; without them the same is
//! shown on the messages of our own making in `config/`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::upstream::ok;
use crate::harness::{House, Markers, Message, Peer, Plans, Upstream, pull, request};

/// A vendor of each version, and where that has its roster and its gradebook.
const VENDORS: [(&str, &str, &str); 2] = [
    (
        r#"
[flow.pull]
preset = ["oneroster-1.1/pull@1", "oneroster-1.1/gradebook@1"]
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"
"#,
        "/ims/oneroster/v1p1",
        "/ims/oneroster/v1p1",
    ),
    (
        r#"
[flow.pull]
preset = ["oneroster-1.2/pull@1", "oneroster-1.2/gradebook@1"]
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"
"#,
        "/ims/oneroster/rostering/v1p2",
        "/ims/oneroster/gradebook/v1p2",
    ),
];

/// Fields whose values say who somebody is, or let two vendors join their data.
const PERSONAL: [&str; 17] = [
    "sourcedId",
    "username",
    "givenName",
    "familyName",
    "middleName",
    "preferredFirstName",
    "preferredLastName",
    "preferredMiddleName",
    "email",
    "sms",
    "phone",
    "password",
    "identifier",
    "userMasterIdentifier",
    "studentUniqueId",
    "leerlingnummer",
    "pupilNumber",
];

#[test]
fn nobody_in_the_messages_of_our_own_making_is_known_to_the_vendor() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schools/regenboog/cases");
    let files = files(&folder.join("rekenwijs"));
    assert!(!files.is_empty());
    files.iter().for_each(|file| pulled_in_each_version(file));
}

#[test]
fn nobody_in_the_messages_of_others_is_known_to_the_vendor() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/samples");
    if !samples.exists() {
        // `tests/setup.sh` says so.
        return;
    }
    for folder in ["oneroster-v1p1-json", "oneroster-v1p2-json"] {
        let files = files(&samples.join(folder));
        assert!(!files.is_empty());
        files.iter().for_each(|file| pulled_in_each_version(file));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect()
}

fn pulled_in_each_version(file: &Path) {
    { VENDORS.iter() }.for_each(|(vendor, base, _)| pulled(file, vendor, base));
    let version = usize::from(!file.to_string_lossy().contains("v1p1"));
    by_its_own_route(file, VENDORS[version]);
}

/// Pulls one message through every collection: an upstream may answer with anything anywhere.
fn pulled(file: &Path, vendor: &'static str, base: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let message: Value = serde_json::from_str(&text).unwrap();
    let (markers, short) = personal(&message);
    markers.assert_present("the message", text.as_bytes());
    let house = Plans {
        instead: Some(vendor),
        ..Plans::default()
    }
    .open(Upstream::json(&text));
    let mut seen = Vec::new();
    for collection in [
        "academicSessions",
        "classes",
        "courses",
        "enrollments",
        "orgs",
        "users",
    ] {
        let path = format!("/pull{base}/{collection}?limit=100");
        let answer = house.ask(pull(&path));
        let own = message[collection].is_array();
        let status = if own { 200 } else { 502 };
        let told = (file.display(), answer.text());
        assert_eq!(answer.status(), status, "{}: {}", told.0, told.1);
        let sent = answer.json()[collection].as_array().map_or(0, Vec::len);
        assert_eq!(own, sent > 0, "{}: {collection}", file.display());
        seen.extend_from_slice(answer.text().as_bytes());
    }
    must_not_say(&short, &seen);
    house.search(&markers, &[("what the vendor got", &seen)]);
}

/// What stands in a message under a personal field: what can be sought in every disguise, and what
/// is so short that it stands in other words by chance.
fn personal(message: &Value) -> (Markers, Vec<String>) {
    let mut personal = Vec::new();
    collect(message, &mut personal);
    let (long, mut short): (Vec<_>, Vec<_>) = personal.into_iter().partition(|it| it.len() >= 8);
    short.retain(|value| value.len() >= 3);
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    (Markers::of(&long), short)
}

/// Fails if one of these is a whole string or number of what was got.
fn must_not_say(short: &[String], got: &[u8]) {
    let got = String::from_utf8_lossy(got);
    for value in short {
        let quoted = Value::from(value.as_str()).to_string();
        assert!(!got.contains(&quoted), "{value:?} in {got}");
        let number = [',', '}', ']'].map(|end| format!(":{value}{end}"));
        let told = number.iter().any(|number| got.contains(number.as_str()));
        assert!(!told, "{value:?} in {got}");
    }
}

/// A school that has what it answers by the path it is asked for, and that status.
fn school(answers: Vec<(String, &'static str, Value)>) -> Upstream {
    Upstream::scripted(move |peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let asked = request.head.split(' ').nth(1).unwrap();
            let path = asked.split('?').next().unwrap();
            let meant = answers.iter().find(|(end, ..)| path.ends_with(&**end));
            let (_, status, body) = meant.unwrap_or_else(|| panic!("the school was asked {path}"));
            let answer = ok(&body.to_string()).replacen("200 OK", status, 1);
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    })
}

/// The way that the standard has for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nobody gets it.
    Demographics,
    /// A list of objects.
    List,
    /// One object, which stands in that list too.
    One(&'static str),
    /// Which ids things got that were posted.
    Pairs,
    Refusal,
    /// A mark, from the vendor.
    Result,
}

impl Way {
    fn of(key: &str, value: &Value) -> Self {
        match key {
            "demographics" => Self::Demographics,
            "result" => Self::Result,
            "sourcedIdPairs" => Self::Pairs,
            _ if key.starts_with("imsx_") => Self::Refusal,
            _ if value.is_array() => Self::List,
            "academicSession" => Self::One("academicSessions"),
            "class" => Self::One("classes"),
            "course" => Self::One("courses"),
            "enrollment" => Self::One("enrollments"),
            "org" => Self::One("orgs"),
            "user" => Self::One("users"),
            other => panic!("no way for {other}"),
        }
    }

    /// What the school answers: the first whose path fits.
    fn answers(self, message: &Value, one: &Value) -> Vec<(String, &'static str, Value)> {
        let student = one["student"]["sourcedId"].as_str();
        let pupil = json!({
            "sourcedId": student.unwrap_or("pupil-zzq-1"),
            "role": "student", "roles": [{"role": "student"}],
        });
        let users = ("/users".to_owned(), "200 OK", json!({ "users": [pupil] }));
        let others = |status, body: &Value| (String::new(), status, body.clone());
        match self {
            Self::Demographics | Self::List => vec![users, others("200 OK", message)],
            Self::One(list) => {
                let all = (format!("/{list}"), "200 OK", json!({ list: [one] }));
                vec![all, others("200 OK", message)]
            }
            Self::Pairs => vec![others("201 Created", message)],
            Self::Refusal => vec![users, others("404 Not Found", message)],
            Self::Result => vec![users, others("201 Created", &json!({}))],
        }
    }
}

/// Has a message go its way.
fn by_its_own_route(file: &Path, (vendor, roster, grades): (&'static str, &str, &str)) {
    let text = std::fs::read_to_string(file).unwrap();
    let message: Value = serde_json::from_str(&text).unwrap();
    let (key, one) = message.as_object().unwrap().iter().next().unwrap();
    let way = Way::of(key, one);
    let mut answers = way.answers(&message, one);
    // All is in the answer to the one question.
    answers.retain(|(path, ..)| way != Way::List || path.is_empty());
    let house = Plans {
        instead: Some(vendor),
        ..Plans::default()
    }
    .open(school(answers));
    let mut client = Client {
        house: &house,
        roster,
        seen: Vec::new(),
    };
    match way {
        Way::List => drop(client.first_of(key)),
        Way::One(list) => {
            let id = client.first_of(list);
            let answer = client.ask(&pull(&format!("/pull{roster}/{list}/{id}")), 200);
            assert_eq!(answer.json()[key]["sourcedId"], id);
        }
        Way::Demographics => {
            let pupil = client.first_of("users");
            for path in ["demographics".to_owned(), format!("demographics/{pupil}")] {
                let answer = client.ask(&pull(&format!("/pull{roster}/{path}")), 404);
                assert_eq!(answer.code(), "route_unknown");
            }
        }
        Way::Refusal => {
            let pupil = client.first_of("users");
            let answer = client.ask(&pull(&format!("/pull{roster}/users/{pupil}")), 404);
            assert_eq!(answer.code(), "upstream_error");
        }
        Way::Pairs => {
            let path = format!("/pull{grades}/lineItems/task-1/results");
            let answer = client.ask(&request("POST", &path, r#"{"results":[]}"#), 201);
            let count = |pairs: &Value| pairs.as_array().map(Vec::len);
            assert_eq!(count(&answer.json()[key]), count(one));
        }
        Way::Result => client.must_mark(grades, one),
    }
    let (markers, mut short) = personal(&message);
    let seen = client.seen;
    if way == Way::Result {
        // Nobody but the pupil: the ids of the mark are the vendor's own.
        short.retain(|value| one["student"]["sourcedId"] == **value);
    } else {
        house.search(&markers, &[("what the vendor got", &seen)]);
    }
    must_not_say(&short, &seen);
}

/// The vendor's, at a house.
struct Client<'h> {
    house: &'h House,
    roster: &'h str,
    /// Every byte that came.
    seen: Vec<u8>,
}

impl Client<'_> {
    fn ask(&mut self, request: &str, status: u16) -> Message {
        let answer = self.house.ask(request);
        assert_eq!(answer.status(), status, "{request}: {}", answer.text());
        self.seen.extend_from_slice(answer.head.as_bytes());
        self.seen.extend_from_slice(&answer.body);
        answer
    }

    /// The pseudonym of the first of a list.
    fn first_of(&mut self, list: &str) -> String {
        let answer = self.ask(&pull(&format!("/pull{}/{list}", self.roster)), 200);
        let id = &answer.json()[list][0]["sourcedId"];
        id.as_str().unwrap().to_owned()
    }

    /// Sends a mark of the pupil whose pseudonym it has: it lands on the pupil, without a comment.
    fn must_mark(&mut self, grades: &str, mark: &Value) {
        let pupil = self.first_of("users");
        let mut sent = mark.clone();
        sent["student"]["sourcedId"] = json!(pupil);
        let path = format!(
            "/pull{grades}/results/{}",
            mark["sourcedId"].as_str().unwrap()
        );
        let body = json!({ "result": sent }).to_string();
        self.ask(&request("PUT", &path, &body), 201);
        let received = self.house.upstream.received_text();
        let (_, body) = received.rsplit_once("\r\n\r\n").unwrap();
        let landed: Value = serde_json::from_str(body).unwrap();
        let landed = &landed["result"];
        assert_eq!(landed["student"]["sourcedId"], mark["student"]["sourcedId"]);
        assert_eq!(landed["score"], mark["score"]);
        assert_eq!(landed.get("comment"), None);
    }
}

/// Every text and number that stands under a personal field, at any depth.
fn collect(value: &Value, personal: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, personal)),
        Value::Object(fields) => {
            for (name, value) in fields {
                // Of a school that has a name, the number is public.
                let public = name == "identifier" && fields.contains_key("name");
                if PERSONAL.contains(&name.as_str()) && !public {
                    personal.extend(value.as_str().map(str::to_owned));
                    personal.extend(value.as_number().map(ToString::to_string));
                }
                collect(value, personal);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}
