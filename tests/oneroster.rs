//! Reads what the OneRoster preset sends as a strict reader of OneRoster 1.2 would, and looks in it
//! for what must not leave.
//!
//! The records hold every field of the catalogue. A field that nobody gave a value here holds a
//! marker, so that one which the preset sends by mistake is seen.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sluis::config::{Context, Presets, Problems, SourceFile, read_vendor};
use sluis::limits::Limits;
use sluis::minimise::{Cleared, Crossing, Law, Rewriter};
use sluis::names::VendorId;
use sluis::policy::Content;
use sluis::pseudonym::{Generation, VendorKey};
use sluis::secret::SecretBytes;
use toml::de::{DeTable, DeValue};

const PRESET: &str = include_str!("../config/presets/oneroster-1.2/pull@1.toml");
const BASE: &str = "/ims/oneroster/rostering/v1p2";

const STATUS: &[&str] = &["active", "tobedeleted"];
const ORG_TYPES: &[&str] = &[
    "department",
    "district",
    "local",
    "national",
    "school",
    "state",
];
const SESSION_TYPES: &[&str] = &["gradingPeriod", "semester", "schoolYear", "term"];
const FLAG: &[&str] = &["true", "false"];

/// What the JSON binding requires of a field.
enum Needs {
    Date,
    DateTime,
    /// A text, and not an empty one.
    Text,
    OneOf(&'static [&'static str]),
    Object(&'static str),
    /// At least one.
    Objects(&'static str),
}

/// The required fields of each object, after the rostering service's JSON binding.
fn required(object: &str) -> &'static [(&'static str, Needs)] {
    use Needs::{Date, Object, Objects, OneOf, Text};
    match object {
        "AcademicSession" => &[
            ("title", Text),
            ("startDate", Date),
            ("endDate", Date),
            ("type", OneOf(SESSION_TYPES)),
            ("schoolYear", Text),
        ],
        "Class" => &[
            ("title", Text),
            ("classType", OneOf(&["homeroom", "scheduled"])),
            ("course", Object("course")),
            ("school", Object("org")),
            ("terms", Objects("academicSession")),
        ],
        "Course" => &[
            ("title", Text),
            ("courseCode", Text),
            ("org", Object("org")),
        ],
        "Enrollment" => &[
            ("user", Object("user")),
            ("class", Object("class")),
            ("school", Object("org")),
            (
                "role",
                OneOf(&["administrator", "proctor", "student", "teacher"]),
            ),
        ],
        "Org" => &[
            ("name", Text),
            ("type", OneOf(ORG_TYPES)),
            ("identifier", Text),
        ],
        "Role" => &[
            ("roleType", OneOf(&["primary", "secondary"])),
            ("role", OneOf(&["student", "teacher", "relative"])),
            ("org", Object("org")),
        ],
        "User" => &[
            ("enabledUser", OneOf(FLAG)),
            ("givenName", Text),
            ("familyName", Text),
            ("roles", Objects("Role")),
        ],
        _ => panic!("no such object: {object}"),
    }
}

#[test]
fn a_strict_reader_takes_every_collection() {
    for (path, list, object) in COLLECTIONS {
        let page = page(list, &[filled(object, "1")]);
        let sent = send(path, &page);
        for record in sent[list].as_array().unwrap() {
            must_be(record, object);
        }
    }
}

#[test]
fn nothing_but_what_is_declared_leaves() {
    for (path, list, object) in COLLECTIONS {
        let sent = send(path, &page(list, &[filled(object, "1")])).to_string();
        for trace in ["leak-", "id-", "https://", "unlisted", "2026-08-31"] {
            assert!(!sent.contains(trace), "{trace} in {path}: {sent}");
        }
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
        "ext:odd",
    ];
    let mut users: Vec<Value> = roles.iter().map(|role| user(role, &[role])).collect();
    users.push(user("none", &[]));
    let sent = send("/users", &page("users", &users));
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

#[test]
fn a_teacher_who_is_a_parent_loses_that_role() {
    let users = vec![user("1", &["parent", "teacher"])];
    let sent = send("/teachers", &page("users", &users));
    let roles = sent["users"][0]["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 1);
    assert_eq!(roles[0]["role"], "teacher");
    assert_eq!(sent["users"][0]["givenName"], "Leraar");
}

#[test]
fn references_lead_to_the_records_they_name() {
    let one = |path: &str, list: &str, object: &str| {
        let sent = send(path, &page(list, &[filled(object, "klas 3/7 é")]));
        sent[list][0].clone()
    };
    let user = one("/users", "users", "User");
    let class = one("/classes", "classes", "Class");
    let course = one("/courses", "courses", "Course");
    let org = one("/schools", "orgs", "Org");
    let term = one("/terms", "academicSessions", "AcademicSession");
    let enrollment = one("/enrollments", "enrollments", "Enrollment");
    let same = |from: &Value, to: &Value| assert_eq!(from["sourcedId"], to["sourcedId"]);
    same(&enrollment["user"], &user);
    same(&enrollment["class"], &class);
    same(&enrollment["school"], &org);
    same(&class["course"], &course);
    same(&class["school"], &org);
    same(&class["terms"][0], &term);
    same(&course["org"], &org);
    same(&course["schoolYear"], &term);
    same(&user["roles"][0]["org"], &org);
    same(&one("/students", "users", "User"), &user);
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

#[test]
fn the_shapes_name_fields_of_the_catalogue_only() {
    let preset = DeTable::parse(PRESET).unwrap();
    let shapes = preset.get_ref()["shape"].get_ref().as_table().unwrap();
    for (shape, fields) in shapes {
        let object = shape.get_ref().split('-').next().unwrap();
        let known = catalogue(object);
        for field in fields.get_ref().as_table().unwrap().keys() {
            let field = field.get_ref().as_ref();
            assert!(
                field.starts_with('_') || known.contains(&field.to_owned()),
                "{shape:?}.{field}"
            );
        }
    }
}

/// Path below the base, name of the list, and what is on it.
const COLLECTIONS: &[(&str, &str, &str)] = &[
    ("/academicSessions", "academicSessions", "AcademicSession"),
    ("/classes", "classes", "Class"),
    ("/courses", "courses", "Course"),
    ("/enrollments", "enrollments", "Enrollment"),
    ("/gradingPeriods", "academicSessions", "AcademicSession"),
    ("/orgs", "orgs", "Org"),
    ("/schools", "orgs", "Org"),
    ("/students", "users", "User"),
    ("/teachers", "users", "User"),
    ("/terms", "academicSessions", "AcademicSession"),
    ("/users", "users", "User"),
];

/// Fails unless `value` is that object as the standard requires it: every field there, of its type,
/// no text empty, nothing null.
fn must_be(value: &Value, object: &str) {
    let fields = value
        .as_object()
        .unwrap_or_else(|| panic!("{object}: {value}"));
    for (name, field) in fields {
        assert!(
            !field.is_null() && field != "",
            "{object}.{name} is empty: {value}"
        );
    }
    if object != "Role" {
        must_have(fields, object, "sourcedId", &Needs::Text);
        must_have(fields, object, "status", &Needs::OneOf(STATUS));
        must_have(fields, object, "dateLastModified", &Needs::DateTime);
    }
    for (name, needs) in required(object) {
        must_have(fields, object, name, needs);
    }
}

fn must_have(fields: &Map<String, Value>, object: &str, name: &str, needs: &Needs) {
    let Some(field) = fields.get(name) else {
        panic!("{object} has no {name}: {fields:?}");
    };
    let text = || {
        field
            .as_str()
            .unwrap_or_else(|| panic!("{object}.{name} is no text: {field}"))
    };
    match needs {
        Needs::Date => assert_eq!(
            text().parse::<jiff::civil::Date>().unwrap().to_string(),
            text()
        ),
        Needs::DateTime => assert!(text().parse::<jiff::Timestamp>().is_ok(), "{name}: {field}"),
        Needs::Text => assert!(!text().is_empty(), "{object}.{name} is empty"),
        Needs::OneOf(words) => assert!(words.contains(&text()), "{object}.{name}: {field}"),
        Needs::Object(kind) => must_refer(field, kind),
        Needs::Objects(kind) => {
            let items = field.as_array().unwrap();
            assert!(!items.is_empty(), "{object}.{name} is empty");
            for item in items {
                if *kind == "Role" {
                    must_be(item, kind);
                } else {
                    must_refer(item, kind);
                }
            }
        }
    }
}

/// Fails unless `value` is a reference to such an object: an absolute URI, an id, the type.
fn must_refer(value: &Value, kind: &str) {
    assert_eq!(value["type"], kind, "{value}");
    assert!(value["href"].as_str().unwrap().contains(':'), "{value}");
    assert!(!value["sourcedId"].as_str().unwrap().is_empty(), "{value}");
}

/// A record with every field of the catalogue, and some that no catalogue knows.
fn filled(object: &str, id: &str) -> Value {
    let mut record = Map::new();
    for field in catalogue(object) {
        let value = value_of(object, &field, id);
        record.insert(field, value);
    }
    record.insert("unlisted".into(), json!({ "unlisted": "leak-unlisted" }));
    Value::Object(record)
}

fn value_of(object: &str, field: &str, id: &str) -> Value {
    match (object, field) {
        (_, "sourcedId") => json!(format!("id-{id}")),
        (_, "status") => json!("active"),
        (_, "dateLastModified") => json!("2026-09-01T06:00:00.000Z"),
        (_, "enabledUser" | "primary") => json!("true"),
        (_, "grades") => json!(["07", "leak-grade"]),
        (_, "subjectCodes") => json!(["RW", "leak-code"]),
        ("User", "roles") => json!([role("student", id)]),
        ("User", "agents") => json!([reference("user", "leak-parent")]),
        ("Enrollment", "role") => json!("student"),
        ("Enrollment", "user") => reference("user", id),
        ("Enrollment", "class") => reference("class", id),
        ("Class", "classType") => json!("homeroom"),
        ("Class", "course") => reference("course", id),
        ("Class", "terms") => json!([reference("academicSession", id)]),
        ("Course", "schoolYear") => reference("academicSession", id),
        ("Enrollment" | "Class", "school")
        | ("Course" | "Role", "org")
        | ("User", "primaryOrg") => reference("org", id),
        ("Org", "name") => json!("De Regenboog"),
        ("Org", "type") => json!("school"),
        ("Org", "identifier") => json!("99XX"),
        ("Org", "parent") => reference("org", id),
        ("Org", "children") => json!([reference("org", id)]),
        ("AcademicSession", "type") => json!("term"),
        ("AcademicSession", "schoolYear") => json!("2027"),
        ("AcademicSession", "startDate") => json!("2026-08-01"),
        ("AcademicSession", "endDate") => json!("2027-08-01"),
        ("AcademicSession", "parent") => reference("academicSession", id),
        ("AcademicSession", "children") => json!([reference("academicSession", id)]),
        ("Role" | "Enrollment", "beginDate" | "endDate") => json!("2026-08-31"),
        _ => json!(format!("leak-{object}-{field}")),
    }
}

fn user(id: &str, roles: &[&str]) -> Value {
    let mut user = filled("User", id);
    user["roles"] = roles.iter().map(|name| role(name, "1")).collect();
    user
}

fn role(name: &str, id: &str) -> Value {
    let mut role = filled("Role", id);
    role["roleType"] = json!("primary");
    role["role"] = json!(name);
    role
}

fn reference(kind: &str, id: &str) -> Value {
    let id = format!("id-{id}");
    json!({ "href": format!("https://sis.example{BASE}/x/{id}"), "sourcedId": id, "type": kind })
}

fn page(list: &str, records: &[Value]) -> Value {
    json!({ list: records, "unlisted": "leak-page" })
}

/// The names of the fields that the preset's catalogue knows of such an object.
fn catalogue(object: &str) -> Vec<String> {
    let preset = DeTable::parse(PRESET).unwrap();
    let DeValue::Table(objects) = preset.get_ref()["catalogue"].get_ref() else {
        panic!("the catalogue is no table");
    };
    let fields = objects[object].get_ref().as_table().unwrap();
    fields
        .keys()
        .map(|key| key.get_ref().clone().into_owned())
        .collect()
}

/// What the vendor gets of this page under this path.
fn send(path: &str, page: &Value) -> Value {
    let law = law();
    let name = format!("GET {BASE}{path}");
    let routes = &law.policy.flows[0].routes;
    let route = routes.iter().find(|route| route.name == name).unwrap();
    let Content::Json(rule) = route.to_vendor else {
        panic!("{name} sends nothing");
    };
    let mut out = Cleared::default();
    let mut rewriter = Rewriter::new(Crossing::one_way(Arc::clone(&law)), rule);
    rewriter
        .write(page.to_string().as_bytes(), &mut out)
        .unwrap();
    rewriter.end(&mut out).unwrap();
    serde_json::from_slice(&out.release()).unwrap()
}

/// The preset as it is, for a vendor that narrows nothing.
fn law() -> Arc<Law> {
    let text = r#"
        version = 1
        [vendor]
        name = "V"
        agreement = "A-1"
        purpose = "P"
        contact = "v@vendor.example"
        valid = { from = 2026-08-01, until = 2027-07-31 }
        [flow.pull]
        preset = "oneroster-1.2/pull@1"
        caller = "vendor"
        callers = "anyone"
        upstream = "http://127.0.0.1:9"
    "#;
    let file = SourceFile::new("v.toml", text.to_owned());
    let mut problems = Problems::new();
    let vendor = VendorId::parse("v").unwrap();
    let draft = read_vendor(
        &file,
        &vendor,
        &Presets::shipped(),
        &Context::default(),
        &mut problems,
    );
    let messages: Vec<_> = problems
        .sorted()
        .iter()
        .map(|it| it.message.clone())
        .collect();
    let draft = draft.unwrap_or_else(|| panic!("{messages:?}"));
    let key = VendorKey::new(SecretBytes::from_slice(&[7; 32]).unwrap());
    Arc::new(Law {
        generations: Arc::new([Generation::new(1, &key, draft.kind_specs)]),
        policy: draft.policy,
        limits: Limits::default(),
    })
}
