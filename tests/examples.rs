//! Holds the examples in `config/` to what their comments say: they load with keys made for them,
//! `check` finds nothing, and of each sample only what is named here leaves as it was.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sluis::config::{Config, keys, load};
use sluis::minimise::{Cleared, Crossing, Rewriter};
use sluis::policy::{Content, Side};
use sluis::pseudonym::{
    AccessToken, Asked, Batch, Form, Identifier, IdentifierFault, Recall, Register, TokenPlace,
};

/// Vendor, route, sample, and every text of the sample that the vendor may see.
const SAMPLES: &[(&str, &str, &str, &[&str])] = &[
    (
        "rekenwijs",
        "GET /ims/oneroster/rostering/v1p2/users",
        "users.json",
        &[
            "active",
            "2026-09-01T06:00:00.000Z",
            "2026-08-20T09:30:00.000Z",
            "2026-08-20T09:31:00.000Z",
            "true",
            "primary",
            "student",
            "teacher",
            "org",
            "07",
        ],
    ),
    (
        "rekenwijs",
        "GET /ims/oneroster/rostering/v1p2/classes",
        "classes.json",
        &[
            "active",
            "2026-08-20T09:30:00.000Z",
            "homeroom",
            "07",
            "RW",
            "course",
            "org",
            "academicSession",
        ],
    ),
    (
        "rekenwijs",
        "GET /ims/oneroster/rostering/v1p2/enrollments",
        "enrollments.json",
        &[
            "active",
            "2026-09-01T06:00:00.000Z",
            "2026-08-20T09:30:00.000Z",
            "student",
            "teacher",
            "true",
            "user",
            "class",
            "org",
        ],
    ),
    (
        "toetsbron",
        "PUT /groups/{group}/pupils/{pupil}",
        "pupil.json",
        &["nl"],
    ),
    (
        "toetsbron",
        "POST /assignments",
        "assignment.json",
        &[
            "a-2026-11",
            "RW-7",
            "2026-11-23T08:00:00+01:00",
            "2026-11-27T17:00:00+01:00",
            "plus",
            "basis",
        ],
    ),
];

/// The one sample of a vendor's, and whom its pseudonyms stand for.
const SAMPLE_HOME: &str = "toetsbron/result.json";
const KNOWN: [(&str, &str); 2] = [
    ("5bf050c4-86b7-86fa-b14b-0818f555af87", "L-0001"),
    ("5uoas7zw35k6", "groep 7/A"),
];

#[test]
fn the_examples_load_without_a_finding() {
    let home = Home::new();
    for name in ["rekenwijs", "toetsbron"] {
        assert!(
            home.config.vendors.iter().any(|it| it.id.as_str() == name),
            "{name}"
        );
    }
}

#[test]
fn whoever_has_the_same_master_key_knows_the_same_access_tokens() {
    let (home, stranger) = (Home::new(), Home::new());
    let (twin, _) = load(home.folder.path()).unwrap();
    let vendors = home.config.vendors.iter();
    let vendor = { vendors }
        .find(|it| it.id.as_str() == "rekenwijs")
        .unwrap();
    let flow = vendor.flows.first().unwrap();
    let client = flow.callers.clients().first().unwrap();
    let place = TokenPlace {
        school: &vendor.school,
        vendor: &vendor.id,
        flow: &flow.id,
        client: &client.id,
        secret: &client.secret,
    };
    let token = home.config.token_key.issue(&place, &[], 1_790_000_000);
    let token = AccessToken::parse(token.expose().as_bytes()).unwrap();
    assert!(twin.token_key.knows(&token, &place));
    assert!(!stranger.config.token_key.knows(&token, &place));
}

#[test]
fn of_a_sample_only_what_is_named_leaves_as_it_was() {
    let home = Home::new();
    for (vendor, route, sample, may_leave) in SAMPLES {
        let sample = home.samples.join(vendor).join(sample);
        let came = fs::read(&sample).unwrap();
        let sent = home.send(vendor, route, &came);
        let mut as_it_was = texts(&came);
        let sent_texts = texts(&sent);
        as_it_was.retain(|text| sent_texts.contains(text));
        let named: BTreeSet<String> = may_leave.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(as_it_was, named, "{}", sample.display());
    }
}

#[test]
fn a_result_reaches_the_school_under_its_own_ids_and_without_the_remark() {
    let home = Home::new();
    let came = fs::read(home.samples.join(SAMPLE_HOME)).unwrap();
    let brought = home.carry("toetsbron", "POST /results", &came, Side::School);
    let brought: Value = serde_json::from_slice(&brought).unwrap();
    let expected = serde_json::json!({
        "pupil": "L-0001",
        "group": "groep 7/A",
        "assignment": "a-2026-11",
        "test": "RW-7",
        "score": 31,
        "finishedAt": "2026-11-24T09:40:00+01:00",
    });
    assert_eq!(brought, expected);
}

#[test]
fn every_sample_is_looked_at() {
    let home = Home::new();
    let mut found = 0;
    for vendor in fs::read_dir(&home.samples).unwrap() {
        found += fs::read_dir(vendor.unwrap().path()).unwrap().count();
    }
    assert_eq!(found, SAMPLES.len() + 1);
}

/// A copy of the examples with keys of its own.
struct Home {
    config: Config,
    samples: PathBuf,
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("config"),
            folder.path(),
        );
        keys::new(folder.path()).unwrap();
        let (config, findings) = load(folder.path()).unwrap();
        let findings: Vec<_> = findings
            .sorted()
            .iter()
            .map(|it| it.message.clone())
            .collect();
        assert!(findings.is_empty(), "{findings:?}");
        Self {
            config,
            samples: folder.path().join("schools/regenboog/cases"),
            folder,
        }
    }

    /// What that vendor gets of this message on that route.
    fn send(&self, vendor: &str, route: &str, message: &[u8]) -> Vec<u8> {
        self.carry(vendor, route, message, Side::Vendor)
    }

    /// What a side gets of this message on that route of that vendor.
    fn carry(&self, vendor: &str, route: &str, message: &[u8], to: Side) -> Vec<u8> {
        let vendor = self
            .config
            .vendors
            .iter()
            .find(|it| it.id.as_str() == vendor)
            .unwrap();
        let mut routes = vendor
            .law
            .policy
            .flows
            .iter()
            .flat_map(|flow| flow.routes.iter());
        let route = routes.find(|it| it.name == route).unwrap();
        let content = match to {
            Side::School => &route.from_vendor,
            Side::Vendor => &route.to_vendor,
        };
        let Content::Json(rule) = *content else {
            panic!("{} carries nothing", route.name);
        };
        let mut sent = Cleared::default();
        let crossing = Crossing::towards(to, Arc::clone(&vendor.law), Some(Arc::new(Known)));
        let mut rewriter = Rewriter::new(crossing, rule);
        rewriter.write(message, &mut sent).unwrap();
        rewriter.end(&mut sent).unwrap();
        sent.release()
    }
}

/// A register that knows the pseudonyms of the sample.
#[derive(Debug)]
struct Known;

impl Register for Known {
    fn remember(
        &self,
        _: usize,
        _: Identifier<'_>,
        _: Form,
        _: &mut Batch,
    ) -> Result<(), IdentifierFault> {
        Ok(())
    }

    fn recall(&self, _: usize, pseudonym: &str, _: Asked, into: &mut Vec<u8>) -> Recall {
        let Some((_, id)) = KNOWN.iter().find(|(known, _)| *known == pseudonym) else {
            return Recall::Unknown;
        };
        into.extend_from_slice(id.as_bytes());
        Recall::Found {
            form: Form::Text,
            age: 0,
        }
    }
}

/// All keys of maps and all texts of a message, but for the names of fields.
fn texts(message: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = vec![serde_json::from_slice::<Value>(message).unwrap()];
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) => {
                found.insert(text);
            }
            Value::Array(items) => rest.extend(items),
            Value::Object(fields) => {
                found.extend(fields.keys().filter(|key| key.contains('-')).cloned());
                rest.extend(fields.into_iter().map(|(_, value)| value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        // What somebody tried out in a clone is not part of the examples.
        if ["keys", "state"].iter().any(|own| name == *own) {
            continue;
        }
        let to = to.join(&name);
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}
