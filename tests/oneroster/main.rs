//! Reads what the OneRoster presets send as a strict reader of OneRoster would, and looks in it for
//! what must not leave.
//!
//! The records hold every field of the catalogue. A field that nobody gave a value here holds a
//! marker, so that one which a preset sends by mistake is seen.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod page;
mod records;
mod standard;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use sluis::config::{Context, Presets, Problems, SourceFile, VendorDraft, read_vendor};
use sluis::limits::Limits;
use sluis::minimise::{Cleared, Crossing, Law, Rewriter};
use sluis::names::VendorId;
use sluis::policy::{Bases, Content, Route, Side};
use sluis::pseudonym::{
    Asked, Batch, Form, Generation, Identifier, IdentifierFault, Recall, Register, VendorKey,
};
use sluis::secret::SecretBytes;

use records::{filled, page, user};
use standard::{Operation, Reader, VERSIONS, Version, operations};

/// How the vendor sees the gateway, and the gateway the school.
const PUBLIC: &str = "https://gateway.example/v";
const SCHOOL: &str = "https://sis.example";

#[test]
fn every_operation_of_the_standard_has_its_route_and_nothing_else_has() {
    for version in VERSIONS {
        let policy = draft(version).policy;
        let routes = policy.flows.iter().flat_map(|flow| flow.routes.iter());
        let routes: BTreeSet<String> = routes.map(|route| route.name.clone()).collect();
        let operations = operations(version).into_iter().map(|it| it.line);
        assert_eq!(routes, operations.collect(), "{}", version.name);
    }
}

#[test]
fn a_strict_reader_takes_every_list_and_every_single_object() {
    for version in VERSIONS {
        for operation in read(version) {
            let sent = send(version, &operation, &whole(version, &operation, "1"));
            for record in records_of(&sent, &operation) {
                must_be(version, record, operation.object);
                // The standard does not require a school's number; whoever has one sends it.
                assert!(operation.object != "Org" || record["identifier"] == "99XX");
            }
        }
    }
}

#[test]
fn nothing_but_what_is_declared_leaves() {
    for version in VERSIONS {
        for operation in read(version) {
            let sent = send(version, &operation, &whole(version, &operation, "1")).to_string();
            for trace in ["leak-", "id-", "https://sis", "unlisted", "2026-08-31"] {
                assert!(
                    !sent.contains(trace),
                    "{trace} in {}: {sent}",
                    operation.line
                );
            }
        }
    }
}

#[test]
fn what_is_to_be_deleted_is_told() {
    for version in VERSIONS {
        for operation in read(version) {
            let mut whole = whole(version, &operation, "1");
            let record = &mut whole[operation.key];
            let record = if operation.many {
                &mut record[0]
            } else {
                record
            };
            record["status"] = json!("tobedeleted");
            let sent = send(version, &operation, &whole);
            for record in records_of(&sent, &operation) {
                assert_eq!(record["status"], "tobedeleted", "{}", operation.line);
            }
        }
    }
}

#[test]
fn a_mark_that_is_not_sent_is_one_of_nobody_that_a_strict_reader_takes() {
    for version in VERSIONS {
        let none = "sourcedId = [\"none\"]";
        let only = format!("[only.Result]\n{none}\n[only.AssessmentResult]\n{none}\n");
        let law = law_of(draft_with(version, &only), 7);
        let marks = read(version).into_iter();
        for operation in marks.filter(|it| it.object.ends_with("Result")) {
            let [one, other] = ["1", "2"].map(|id| {
                let sent = send_under(&law, &operation, &whole(version, &operation, id));
                let mut record = records_of(&sent, &operation)[0].clone();
                must_be_nobodys(version, &operation, &record);
                record["sourcedId"].take()
            });
            assert_ne!(one, other, "{}", operation.line);
        }
    }
}

/// Fails unless it is a mark of nobody, for nothing: but for its id and when it changed, nothing of
/// it is what the school said.
fn must_be_nobodys(version: &Version, operation: &Operation, record: &Value) {
    assert_eq!(record["status"], "tobedeleted");
    assert_eq!(record["scoreStatus"], "exempt");
    assert_eq!(record["scoreDate"], "1970-01-01");
    assert!(
        matches!(record["score"].as_u64(), None | Some(0)),
        "{record}"
    );
    let mut record = record.clone();
    let fields = record.as_object_mut().unwrap();
    let references = fields.values_mut().filter(|it| it.is_object());
    for (reference, id) in references.zip(["~nothing~", "nobody"]) {
        assert_eq!(reference["sourcedId"], id);
        assert_eq!(reference["href"], "urn:sluis:withheld");
        let kind = reference["type"].as_str().unwrap().to_owned();
        reference["href"] = json!(standard::link(PUBLIC, version, &kind, id));
    }
    must_be(version, &record, operation.object);
    let required = standard::required(version, operation.object).iter();
    let mut known: BTreeSet<&str> = required.map(|(name, _)| *name).collect();
    known.extend(["sourcedId", "status", "dateLastModified", "score"]);
    let mut names = record.as_object().unwrap().keys();
    assert!(names.all(|name| known.contains(&**name)), "{record}");
}

#[test]
fn what_a_vendor_writes_reaches_the_school_whole() {
    let mut seen = 0;
    for version in VERSIONS {
        let written = operations(version).into_iter();
        for operation in written.filter(Operation::writes) {
            seen += 1;
            let written = whole(version, &operation, "1").to_string();
            let written = serde_json::from_str(&written.replace(SCHOOL, PUBLIC)).unwrap();
            let at_school = receive(version, &operation, &written);
            for record in records_of(&at_school, &operation) {
                must_be_whole(version, operation.object, record);
            }
            let text = at_school.to_string();
            assert!(
                !text.contains("unlisted") && !text.contains("leak-"),
                "{text}"
            );
            assert!(text.contains("\"v~id-1~\""), "{text}");
            if operation.object.ends_with("Result") {
                let student = &records_of(&at_school, &operation)[0]["student"];
                assert_eq!(student["sourcedId"], "school's id-1");
            }
            if version.name == "1.2" && operation.object != "Category" {
                let aims = text.contains("urn:case:1") || operation.object == "ScoreScale";
                assert!(aims, "{text}");
            }
        }
    }
    assert!(seen > 10);
}

/// Fails unless the school gets all that the standard requires, and no comment.
fn must_be_whole(version: &Version, object: &str, record: &Value) {
    let fields = record.as_object().unwrap();
    for (name, _) in standard::required(version, object) {
        assert!(fields.contains_key(*name), "{object}: {name}");
    }
    assert!(!fields.contains_key("comment"), "{record}");
    // 1.1 has no score scales, so no link leads to one.
    let linked = |it: &&Value| version.name == "1.2" || it["type"] != "scoreScale";
    let references = fields.values().filter(|it| it["sourcedId"].is_string());
    for reference in references.filter(linked) {
        assert!(reference["type"].is_string(), "{record}");
        let href = reference["href"].as_str().unwrap();
        assert!(href.starts_with(SCHOOL), "{record}");
    }
}

#[test]
fn every_class_of_person_keeps_its_place_on_the_page() {
    let roles = [
        "student",
        "teacher",
        "parent",
        "guardian",
        "relative",
        "aide",
        "counselor",
        "principal",
        "proctor",
        "siteAdministrator",
        "systemAdministrator",
        "districtAdministrator",
        "administrator",
        "ext:odd",
    ];
    for version in VERSIONS {
        let mut users: Vec<Value> = roles
            .iter()
            .map(|role| user(version, role, &[role]))
            .collect();
        users.push(user(version, "none", &[]));
        let sent = send_to(version, "/users", &page("users", &users));
        let sent = sent["users"].as_array().unwrap();
        assert_eq!(sent.len(), roles.len() + 1);
        for (place, record) in sent.iter().enumerate() {
            let status = if place < 2 { "active" } else { "tobedeleted" };
            assert_eq!(record["status"], status, "{record}");
            assert!(
                record["sourcedId"].as_str().unwrap().len() == 36,
                "{record}"
            );
        }
        // Nothing but the id and the time tells one stub from another.
        let mut parent = sent[2].clone();
        for field in ["sourcedId", "dateLastModified"] {
            parent[field] = sent[9][field].clone();
        }
        assert_eq!(parent, sent[9]);
    }
}

#[test]
fn a_teacher_who_is_a_parent_loses_that_role() {
    let new = &VERSIONS[1];
    let users = vec![user(new, "1", &["parent", "teacher"])];
    let sent = send_to(new, "/teachers", &page("users", &users));
    let roles = sent["users"][0]["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 1);
    assert_eq!(roles[0]["role"], "teacher");
    assert_eq!(sent["users"][0]["givenName"], "Leraar");
}

#[test]
fn references_lead_to_the_records_they_name() {
    for version in VERSIONS {
        let one = |path: &str| {
            let operation = operation(version, &format!("GET {}{path}", version.rostering));
            let sent = send(
                version,
                &operation,
                &whole(version, &operation, "klas 3/7 é"),
            );
            records_of(&sent, &operation)[0].clone()
        };
        let user = one("/users");
        let class = one("/classes");
        let course = one("/courses");
        let org = one("/schools");
        let term = one("/terms");
        let enrollment = one("/enrollments");
        let same = |from: &Value, to: &Value| assert_eq!(from["sourcedId"], to["sourcedId"]);
        same(&enrollment["user"], &user);
        same(&enrollment["class"], &class);
        same(&enrollment["school"], &org);
        same(&class["course"], &course);
        same(&class["school"], &org);
        same(&class["terms"][0], &term);
        same(&course["org"], &org);
        same(&course["schoolYear"], &term);
        same(&one("/students/{person}"), &user);
        same(&one("/classes/{class}"), &class);
        let orgs = ["roles", "orgs"].map(|list| &user[list][0]);
        let orgs: Vec<&Value> = orgs.into_iter().filter(|it| it.is_object()).collect();
        let of_user = orgs[0].get("org").unwrap_or(orgs[0]);
        same(of_user, &org);
        // The same raw id everywhere, and yet no two kinds of thing share a pseudonym.
        let all = [&user, &class, &course, &org, &term, &enrollment];
        let mut ids: Vec<&str> = all
            .iter()
            .map(|it| it["sourcedId"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
    }
}

#[test]
fn two_vendors_have_no_id_in_common() {
    for version in VERSIONS {
        for operation in read(version) {
            let message = whole(version, &operation, "1");
            let ids = [7, 8].map(|key| {
                let sent = send_under(&law(version, key), &operation, &message);
                let mut ids = BTreeSet::new();
                collect_ids(&sent, &mut ids);
                ids
            });
            assert!(!ids[0].is_empty());
            let shared: Vec<&String> = ids[0].intersection(&ids[1]).collect();
            assert!(shared.is_empty(), "{}: {shared:?}", operation.line);
        }
    }
}

/// Every id, and every text that is made of one.
fn collect_ids(value: &Value, ids: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        Value::Object(fields) => {
            for (name, value) in fields {
                collect_ids(value, ids);
                let made = ["sourcedId", "href", "courseCode", "username"];
                let made = made.contains(&name.as_str());
                let text = value
                    .as_str()
                    .filter(|it| made && *it != "urn:sluis:withheld");
                ids.extend(text.map(str::to_owned));
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_link_that_leads_nowhere_is_withheld() {
    for version in VERSIONS {
        let operation = operation(version, &format!("GET {}/enrollments", version.rostering));
        for href in [
            "https://sis.example/elsewhere/id-1",
            "users/id-1",
            "https://sis.example/ims/oneroster/v1p3/users/id-1",
            "Fenna",
            "",
        ] {
            let mut message = whole(version, &operation, "1");
            message[operation.key][0]["user"]["href"] = json!(href);
            let sent = send(version, &operation, &message);
            let user = &records_of(&sent, &operation)[0]["user"];
            assert_eq!(user["href"], "urn:sluis:withheld", "{href}");
        }
        let mut message = whole(version, &operation, "1");
        let record = &mut message[operation.key][0];
        record["user"].as_object_mut().unwrap().remove("href");
        record["class"]["href"] = Value::Null;
        let sent = send(version, &operation, &message);
        for kind in ["user", "class"] {
            let reference = &records_of(&sent, &operation)[0][kind];
            assert_eq!(reference["href"], "urn:sluis:withheld", "{kind}");
        }
    }
}

#[test]
fn results_lead_to_their_pupil_and_their_line_item() {
    for version in VERSIONS {
        let one = |base: &str, path: &str| {
            let operation = operation(version, &format!("GET {base}{path}"));
            let sent = send(version, &operation, &whole(version, &operation, "1"));
            records_of(&sent, &operation)[0].clone()
        };
        let same = |from: &Value, to: &Value| assert_eq!(from["sourcedId"], to["sourcedId"]);
        let result = one(version.gradebook, "/results");
        let item = one(version.gradebook, "/lineItems");
        same(&result["student"], &one(version.rostering, "/users"));
        same(&result["lineItem"], &item);
        same(&item["class"], &one(version.rostering, "/classes"));
        same(&item["category"], &one(version.gradebook, "/categories"));
    }
}

#[test]
fn the_shapes_name_fields_of_the_catalogue_only() {
    for version in VERSIONS {
        for (shape, fields) in page::shapes(version) {
            let object = shape.split('-').next().unwrap();
            let known = page::catalogue(version, object);
            for field in fields {
                assert!(known.iter().any(|(it, _)| *it == field), "{shape}.{field}");
            }
        }
    }
}

fn must_be(version: &Version, record: &Value, object: &str) {
    let public = PUBLIC;
    Reader { version, public }.must_be(record, object);
}

/// The operations that give something.
fn read(version: &Version) -> Vec<Operation> {
    let all = operations(version).into_iter();
    all.filter(|it| it.line.starts_with("GET ")).collect()
}

fn operation(version: &Version, line: &str) -> Operation {
    let mut all = operations(version).into_iter();
    let found = all.find(|it| it.line == line);
    found.unwrap_or_else(|| panic!("no such operation: {line}"))
}

/// A message of an operation, with one record.
fn whole(version: &Version, operation: &Operation, id: &str) -> Value {
    let record = filled(version, operation.object, id);
    match operation.many {
        true => page(operation.key, &[record]),
        false => json!({ operation.key: record, "unlisted": "leak-page" }),
    }
}

fn records_of<'v>(message: &'v Value, operation: &Operation) -> Vec<&'v Value> {
    let found = &message[operation.key];
    let records: Vec<&Value> = match found.as_array() {
        Some(records) => records.iter().collect(),
        None => vec![found],
    };
    assert_eq!(records.len(), 1, "{}: {message}", operation.line);
    records
}

fn send_to(version: &Version, path: &str, message: &Value) -> Value {
    let operation = operation(version, &format!("GET {}{path}", version.rostering));
    send(version, &operation, message)
}

/// What the vendor gets of this message.
fn send(version: &Version, operation: &Operation, message: &Value) -> Value {
    send_under(&law(version, 7), operation, message)
}

fn send_under(law: &Arc<Law>, operation: &Operation, message: &Value) -> Value {
    let Content::Json(rule) = route(law, &operation.line).to_vendor else {
        panic!("{} sends nothing", operation.line);
    };
    let crossing = Crossing::one_way(Arc::clone(law)).in_flow(0);
    rewritten(Rewriter::new(crossing, rule), message)
}

/// What the school gets of this message of the vendor's.
fn receive(version: &Version, operation: &Operation, message: &Value) -> Value {
    let law = law(version, 7);
    let Content::Json(rule) = route(&law, &operation.line).from_vendor else {
        panic!("{} takes nothing", operation.line);
    };
    let crossing = Crossing::towards(Side::School, Arc::clone(&law), Some(Arc::new(Book)));
    let crossing = crossing.in_flow(0);
    rewritten(Rewriter::new(crossing, rule), message)
}

fn rewritten(mut rewriter: Rewriter, message: &Value) -> Value {
    let mut out = Cleared::default();
    rewriter
        .write(message.to_string().as_bytes(), &mut out)
        .unwrap();
    rewriter.end(&mut out).unwrap();
    serde_json::from_slice(&out.release()).unwrap()
}

fn route<'l>(law: &'l Law, line: &str) -> &'l Route {
    let mut routes = law.policy.flows.iter().flat_map(|flow| flow.routes.iter());
    routes.find(|route| route.name == line).unwrap()
}

/// A register in which every text is a pseudonym of something.
#[derive(Debug)]
struct Book;

impl Register for Book {
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
        into.extend_from_slice(format!("school's {pseudonym}").as_bytes());
        Recall::Found {
            form: Form::Text,
            age: 0,
        }
    }
}

/// The presets as they are, for a vendor that narrows nothing.
fn law(version: &Version, key: u8) -> Arc<Law> {
    law_of(draft(version), key)
}

fn law_of(draft: VendorDraft, key: u8) -> Arc<Law> {
    let key = VendorKey::new(SecretBytes::from_slice(&[key; 32]).unwrap());
    let mut policy = draft.policy;
    policy.bases = vec![Bases {
        public: PUBLIC.to_owned(),
        upstream: SCHOOL.to_owned(),
    }];
    Arc::new(Law {
        generations: Arc::new([Generation::new(1, &key, draft.kind_specs)]),
        policy,
        limits: Limits::default(),
    })
}

fn draft(version: &Version) -> VendorDraft {
    draft_with(version, "")
}

/// The same for a vendor's file that says more.
fn draft_with(version: &Version, more: &str) -> VendorDraft {
    let text = format!(
        r#"
        version = 1
        [vendor]
        name = "V"
        agreement = "A-1"
        purpose = "P"
        contact = "v@vendor.example"
        valid = {{ from = 2026-08-01, until = 2027-07-31 }}
        [flow.school]
        preset = ["oneroster-{0}/pull@1", "oneroster-{0}/gradebook@1"]
        callers = "anyone"
        upstream = "http://127.0.0.1:9"
        {more}
    "#,
        version.name
    );
    let file = SourceFile::new("v.toml", text);
    let mut problems = Problems::new();
    let vendor = VendorId::parse("v").unwrap();
    let (presets, context) = (Presets::shipped(), Context::default());
    let draft = read_vendor(&file, &vendor, &presets, &context, &mut problems);
    let messages: Vec<_> = problems
        .sorted()
        .iter()
        .map(|it| it.message.clone())
        .collect();
    draft.unwrap_or_else(|| panic!("{messages:?}"))
}
