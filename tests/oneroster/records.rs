//! Records with every field of the catalogue, and some that no catalogue knows.

use serde_json::{Map, Value, json};

use crate::SCHOOL;
use crate::page::catalogue;
use crate::standard::{Version, link};

/// A record in which every field that the presets do not send holds a trace.
pub(crate) fn filled(version: &Version, object: &str, id: &str) -> Value {
    let mut record = Map::new();
    for (field, _) in catalogue(version, object) {
        let value = value_of(version, object, &field, id);
        record.insert(field, value);
    }
    record.insert("unlisted".into(), json!({ "unlisted": "leak-unlisted" }));
    Value::Object(record)
}

fn value_of(version: &Version, object: &str, field: &str, id: &str) -> Value {
    match (object, field) {
        (_, "sourcedId") => json!(format!("id-{id}")),
        (_, "status") => json!("active"),
        (_, "dateLastModified") => json!("2026-09-01T06:00:00.000Z"),
        (_, "enabledUser" | "primary" | "inProgress" | "incomplete" | "late" | "missing") => {
            json!("true")
        }
        (_, "grades") => json!(["07", "leak-grade"]),
        (_, "subjectCodes") => json!(["RW", "leak-code"]),
        ("User", "roles") => json!([role(version, "student", id)]),
        ("User", "role") => json!("student"),
        ("User", "agents") => json!([reference(version, "user", "leak-parent")]),
        ("User", "orgs") | ("Org", "children") => json!([reference(version, "org", id)]),
        ("Enrollment", "role") => json!("student"),
        ("Enrollment", "user") | (_, "student") => reference(version, "user", id),
        (_, "class") => reference(version, "class", id),
        ("Class", "classType") => json!("homeroom"),
        (_, "course") => reference(version, "course", id),
        (_, "terms") => json!([reference(version, "academicSession", id)]),
        ("Course", "schoolYear") | (_, "gradingPeriod" | "academicSession") => {
            reference(version, "academicSession", id)
        }
        (_, "school" | "org" | "primaryOrg") | ("Org", "parent") => reference(version, "org", id),
        ("Org", "name") => json!("De Regenboog"),
        ("Org", "type") => json!("school"),
        ("Org", "identifier") => json!("99XX"),
        ("AcademicSession", "type") => json!("term"),
        ("AcademicSession", "schoolYear") => json!("2027"),
        ("AcademicSession", "startDate") => json!("2026-08-01"),
        ("AcademicSession", "endDate") => json!("2027-08-01"),
        ("AcademicSession", "parent") => reference(version, "academicSession", id),
        ("AcademicSession", "children") => json!([reference(version, "academicSession", id)]),
        ("Role" | "Enrollment", "beginDate" | "endDate") => json!("2026-08-31"),
        _ => of_gradebook(version, object, field, id),
    }
}

fn of_gradebook(version: &Version, object: &str, field: &str, id: &str) -> Value {
    match (object, field) {
        (_, "category") => reference(version, "category", id),
        (_, "scoreScale") => reference(version, "scoreScale", id),
        (_, "lineItem") => reference(version, "lineItem", id),
        (_, "assessmentLineItem" | "parentAssessmentLineItem") => {
            reference(version, "assessmentLineItem", id)
        }
        (_, "assignDate" | "dueDate") => json!("2026-10-02T08:00:00.000Z"),
        (_, "scoreDate") => json!("2026-10-02"),
        (_, "scoreStatus") => json!("fully graded"),
        (_, "score" | "weight" | "resultValueMin" | "resultValueMax" | "scorePercentile") => {
            json!(8.5)
        }
        (_, "scoreScaleValue") => json!([{ "itemValueLHS": "A", "itemValueRHS": "90-100" }]),
        ("LineItem" | "AssessmentLineItem", "learningObjectiveSet") => {
            json!([filled(version, "ObjectiveSet", id)])
        }
        (_, "learningObjectiveSet") => json!([filled(version, "ObjectiveScores", id)]),
        (_, "learningObjectiveIds") => json!(["urn:case:1"]),
        (_, "learningObjectiveResults") => json!([filled(version, "ObjectiveScore", id)]),
        // What is about a task is the vendor's own word, on its way to the school.
        ("Category" | "LineItem" | "AssessmentLineItem" | "ScoreScale", "title" | "type") => {
            json!("Toets van Fenna")
        }
        ("LineItem" | "AssessmentLineItem", "description") => json!("Toets van Fenna"),
        (_, "textScore") => json!("goed, Fenna"),
        ("ObjectiveSet" | "ObjectiveScores" | "ObjectiveScore", _) => json!("urn:case:1"),
        _ => json!(format!("leak-{object}-{field}")),
    }
}

pub(crate) fn user(version: &Version, id: &str, roles: &[&str]) -> Value {
    let mut user = filled(version, "User", id);
    match version.name {
        "1.1" => {
            user["role"] = json!(roles.first());
            user["orgs"] = json!([reference(version, "org", "1")]);
        }
        _ => user["roles"] = roles.iter().map(|name| role(version, name, "1")).collect(),
    }
    user
}

pub(crate) fn role(version: &Version, name: &str, id: &str) -> Value {
    let mut role = filled(version, "Role", id);
    role["roleType"] = json!("primary");
    role["role"] = json!(name);
    role
}

fn reference(version: &Version, kind: &str, id: &str) -> Value {
    let id = format!("id-{id}");
    json!({ "href": link(SCHOOL, version, kind, &id), "sourcedId": id, "type": kind })
}

pub(crate) fn page(list: &str, records: &[Value]) -> Value {
    json!({ list: records, "unlisted": "leak-page" })
}
