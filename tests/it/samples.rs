//! OneRoster messages of others, pulled through the preset over real HTTP: no name, address, number
//! or password of theirs reaches the vendor. They lie beside the project; without them the same is
//! shown on the messages of our own making in `config/`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Markers, Plans, Upstream, pull};

/// A vendor of each version, and where that has its roster.
const VENDORS: [(&str, &str); 2] = [
    (
        r#"
[flow.pull]
preset = ["oneroster-1.1/pull@1", "oneroster-1.1/gradebook@1"]
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"
"#,
        "/ims/oneroster/v1p1",
    ),
    (
        r#"
[flow.pull]
preset = "oneroster-1.2/pull@1"
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"
"#,
        "/ims/oneroster/rostering/v1p2",
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
    for folder in ["oneroster-v1p1-json", "oneroster-v1p2-json"] {
        let folder = samples.join(folder);
        if folder.exists() {
            let files = files(&folder);
            assert!(!files.is_empty());
            files.iter().for_each(|file| pulled_in_each_version(file));
        }
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
    { VENDORS.iter() }.for_each(|(vendor, base)| pulled(file, vendor, base));
}

/// Pulls one message through every collection: an upstream may answer with anything anywhere.
fn pulled(file: &Path, vendor: &'static str, base: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let message: Value = serde_json::from_str(&text).unwrap();
    let mut personal = Vec::new();
    collect(&message, &mut personal);
    // Shorter ones stand in other words by chance; what is sought is sought in every disguise.
    personal.retain(|value| value.len() >= 8);
    let texts: Vec<&str> = personal.iter().map(String::as_str).collect();
    let markers = Markers::of(&texts);
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
        assert_eq!(
            answer.status(),
            200,
            "{}: {}",
            file.display(),
            answer.text()
        );
        let own = message[collection].is_array();
        let sent = answer.json()[collection].as_array().map_or(0, Vec::len);
        assert_eq!(own, sent > 0, "{}: {collection}", file.display());
        seen.extend_from_slice(answer.text().as_bytes());
    }
    house.search(&markers, &[("what the vendor got", &seen)]);
}

/// Every text and number that stands under a personal field, at any depth.
fn collect(value: &Value, personal: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, personal)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let text = value.as_str().filter(|_| PERSONAL.contains(&name.as_str()));
                personal.extend(text.map(str::to_owned));
                collect(value, personal);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}
