//! Who and what there is at the made-up school. Nobody of them can be real.

use serde_json::{Value, json};

use super::Version;
use crate::harness::Markers;

/// How many pupils there are: more than two pages of twenty.
pub(crate) const PUPILS: usize = 47;
/// Where the numbers of those begin whose id is one.
const NUMBERS: usize = 9_901_000_000;
const TEACHERS: usize = 3;
const PARENTS: usize = 4;
/// The last has no pupils, and is called like a grade.
const CLASSES: [&str; 4] = ["cls-zzq-H1A", "cls-zzq-H1B", "cls-zzq-M2C", "07"];
/// How many of them have pupils and a teacher.
const TAUGHT: usize = 3;
const ORG: &str = "school-zzq-01";
const BRANCH: &str = "branch-zzq-02";
/// One whose public number is its id.
pub(crate) const NUMBERED: &str = "99ZZ08";
const COURSES: [&str; 2] = ["crs-zzq-rekenen", "crs-zzq-taal"];
const YEAR: &str = "sy-zzq-2026";
const TERM: &str = "term-zzq-2026-1";
const BLOCK: &str = "block-zzq-2026-1";
const PERIOD: &str = "period-zzq-2026-1";
/// A year that is called by its number.
const NEXT_YEAR: &str = "2027";
const CHANGED: &str = "2026-09-01T08:00:00.000Z";

/// The one whose id has signs in it that mean something in an address.
pub(crate) const ODD: usize = 3;

/// Those whose ids are so short that they stand in dates, marks and years by chance.
pub(crate) const SHORT: [(usize, &str); 3] = [(6, "10"), (11, "001"), (12, "015")];

/// The id of a pupil. Every fifth is a number.
pub(crate) fn pupil(number: usize) -> String {
    if let Some((_, short)) = SHORT.iter().find(|(of, _)| *of == number) {
        return (*short).to_owned();
    }
    match number % 5 {
        _ if number == ODD => "2024/0017;é%2F\\-zzq".to_owned(),
        4 => format!("{}", NUMBERS + number),
        _ => format!("pupil-zzq-{number:03}"),
    }
}

fn teacher(number: usize) -> String {
    format!("teacher-zzq-{number:03}")
}

/// All of it that no vendor may see: ids, names, addresses, numbers.
pub(crate) fn markers() -> Markers {
    let others = [
        "pupil-zzq-",
        "2024/0017",
        "99010000",
        "teacher-zzq-",
        "parent-zzq-",
        "van-der-zzq",
        "fenna-zzq",
        "99999900",
        "geheim-zzq",
        "enr-zzq-",
        "res-zzq-",
        "li-zzq-1",
        "cat-zzq-toets",
        "scale-zzq-1",
        "set-zzq-1",
        "set-zzq-2",
        "mentor-zzq",
        "sis-of-school",
        YEAR,
        TERM,
        BLOCK,
        PERIOD,
        ORG,
        BRANCH,
    ];
    let classes = { CLASSES.iter() }.take(TAUGHT);
    let all = others.iter().chain(classes).chain(&COURSES).copied();
    Markers::of(&all.collect::<Vec<_>>())
}

/// Everything, by the collection it is kept in.
pub(super) fn all(version: Version) -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("orgs", orgs()),
        ("academicSessions", sessions()),
        ("courses", COURSES.map(course).into()),
        ("classes", (0..CLASSES.len()).map(class).collect()),
        ("users", users(version)),
        ("enrollments", enrollments()),
        ("categories", vec![category()]),
        ("scoreScales", vec![score_scale()]),
        ("lineItems", vec![line_item(version)]),
        ("results", (0..3).map(result).collect()),
        (
            "assessmentLineItems",
            vec![
                assessment("set-zzq-1", None),
                assessment("set-zzq-2", Some("set-zzq-1")),
            ],
        ),
        ("assessmentResults", (0..3).map(assessment_result).collect()),
    ]
}

/// The school, and a branch of it whose kind is a word of the school's own.
fn orgs() -> Vec<Value> {
    let org = |id: &str, of: &str| {
        let mut org = thing(id);
        org["name"] = json!("De Proefschool");
        org["type"] = json!(of);
        org["identifier"] = json!("99ZZ");
        org
    };
    let mut branch = org(BRANCH, "ext:vestiging");
    branch["identifier"] = json!("");
    branch["parent"] = reference("org", ORG);
    let mut numbered = org(NUMBERED, "school");
    numbered["identifier"] = json!(NUMBERED);
    vec![org(ORG, "school"), branch, numbered]
}

fn sessions() -> Vec<Value> {
    let session = |id: &str, of: &str| {
        let mut session = thing(id);
        session["title"] = json!("Schooljaar van mentor-zzq");
        session["startDate"] = json!("2026-08-01");
        session["endDate"] = json!("2027-07-31");
        session["type"] = json!(of);
        session["schoolYear"] = json!("2027");
        session
    };
    let mut term = session(TERM, "term");
    term["parent"] = reference("academicSession", YEAR);
    let mut year = session(YEAR, "schoolYear");
    year["children"] = json!([reference("academicSession", TERM)]);
    let mut block = session(BLOCK, "ext:blok");
    block["parent"] = reference("academicSession", YEAR);
    let mut period = session(PERIOD, "gradingPeriod");
    period["parent"] = reference("academicSession", TERM);
    vec![year, term, block, period, session(NEXT_YEAR, "schoolYear")]
}

fn course(id: &str) -> Value {
    let mut course = thing(id);
    course["title"] = json!("Rekenen van mentor-zzq");
    course["courseCode"] = json!("mentor-zzq-1");
    course["schoolYear"] = reference("academicSession", YEAR);
    course["org"] = reference("org", ORG);
    course["subjects"] = json!(["Fenna-zzq"]);
    course
}

fn class(number: usize) -> Value {
    let mut class = thing(CLASSES[number]);
    class["title"] = json!(format!("{} mentor-zzq", CLASSES[number]));
    class["classCode"] = json!(CLASSES[number]);
    class["classType"] = json!(["homeroom", "scheduled", "ext:stamgroep"][number % TAUGHT]);
    class["location"] = json!([Some("lokaal mentor-zzq"), Some(""), None][number % 3]);
    class["grades"] = json!(["07"]);
    class["course"] = reference("course", COURSES[number % COURSES.len()]);
    class["school"] = reference("org", ORG);
    class["terms"] = json!([reference("academicSession", TERM)]);
    class["periods"] = json!(["Fenna-zzq"]);
    class
}

fn users(version: Version) -> Vec<Value> {
    let pupils = (0..PUPILS).map(|number| {
        let mut user = user(version, &pupil(number), "student", number);
        user["grades"] = json!(["07"]);
        user["agents"] = json!([reference(
            "user",
            &format!("parent-zzq-{:03}", number % PARENTS)
        )]);
        if number % 5 == 4 {
            user["sourcedId"] = json!(NUMBERS + number);
        }
        user
    });
    let teachers =
        (0..TEACHERS).map(|number| user(version, &teacher(number), "teacher", 100 + number));
    let parents = (0..PARENTS).map(|number| {
        let id = format!("parent-zzq-{number:03}");
        user(version, &id, "parent", 200 + number)
    });
    // Parents stand among the pupils, so that pages without them would be short.
    let mut all: Vec<Value> = pupils.chain(teachers).chain(parents).collect();
    let parents = all.split_off(PUPILS + TEACHERS);
    for (place, parent) in parents.into_iter().enumerate() {
        all.insert(place * 10, parent);
    }
    all
}

fn user(version: Version, id: &str, role: &str, number: usize) -> Value {
    let mut user = thing(id);
    // What is optional, some servers have as nothing, and some as an empty text.
    let may_be =
        |text: &str, place: usize| json!([Some(text), None, Some("")][(number + place) % 3]);
    let more = json!({
        "username": format!("fenna-zzq-{number}"),
        "userIds": [{"type": "leerlingnummer", "identifier": id}],
        "givenName": format!("Fenna-zzq-{number}"), "familyName": "van-der-zzq",
        "middleName": may_be("Fenna-zzq", 0),
        "identifier": may_be(&format!("99999900{number:03}"), 1),
        "email": format!("fenna-zzq-{number}@school.example"),
        "sms": may_be("99999900998", 2), "phone": may_be("99999900999", 0),
        "password": may_be("geheim-zzq", 1),
    });
    merge(&mut user, more);
    let enabled = &[json!("true"), json!(true), json!(1)][number % 3];
    let own = match version {
        Version::V1p1 => json!({
            "enabledUser": enabled,
            "role": role, "orgs": [reference("org", ORG)],
        }),
        Version::V1p2 => json!({
            "userMasterIdentifier": format!("https://ketenid.example/99999900{number:03}"),
            "enabledUser": "true",
            "preferredFirstName": may_be("Fenna-zzq", 0), "pronouns": may_be("Fenna-zzq", 1),
            "roles": [{
                "roleType": "primary", "role": role, "org": reference("org", ORG),
                "userProfile": format!("fenna-zzq-{number}"), "beginDate": "2026-08-01",
            }],
            "userProfiles": [{"profileId": id, "credentials": [{"username": id, "password": "geheim-zzq"}]}],
            "primaryOrg": reference("org", ORG),
            "resources": [reference("resource", id)],
        }),
    };
    merge(&mut user, own);
    user
}

fn enrollments() -> Vec<Value> {
    let enrolled = |user: &str, class: &str, role: &str| {
        // An id that is built of the pupil's, as many systems have it.
        let mut enrollment = thing(&format!("enr-zzq-{user}-{class}"));
        enrollment["user"] = reference("user", user);
        enrollment["class"] = reference("class", class);
        enrollment["school"] = reference("org", ORG);
        enrollment["role"] = json!(role);
        enrollment["primary"] = json!("false");
        enrollment["beginDate"] = json!("2026-10-07");
        enrollment
    };
    let pupils = (0..PUPILS).map(|number| enrolled(&pupil(number), class_of(number), "student"));
    let teachers =
        (0..TEACHERS).map(|number| enrolled(&teacher(number), CLASSES[number], "teacher"));
    // So that there is a second page of what is about one pupil.
    let again = enrolled(&pupil(ODD), CLASSES[1], "student");
    pupils.chain(teachers).chain([again]).collect()
}

/// The class that a pupil is in.
fn class_of(number: usize) -> &'static str {
    CLASSES[number % TAUGHT]
}

fn category() -> Value {
    let mut category = thing("cat-zzq-toets");
    category["title"] = json!("Toetsen van mentor-zzq");
    category
}

/// A scale in words of its own, for a class.
fn score_scale() -> Value {
    let mut scale = thing("scale-zzq-1");
    merge(
        &mut scale,
        json!({
            "title": "Schaal van mentor-zzq", "type": "mentor-zzq",
            "course": reference("course", COURSES[0]), "class": reference("class", CLASSES[0]),
            "scoreScaleValue": [
                {"itemValueLHS": "A+", "itemValueRHS": "90-100", "by": "mentor-zzq"},
                {"itemValueLHS": "A", "itemValueRHS": "80-90"},
            ],
        }),
    );
    scale
}

fn line_item(version: Version) -> Value {
    let mut item = thing("li-zzq-1");
    merge(
        &mut item,
        json!({
            "title": "Toets van Fenna-zzq", "description": "voor Fenna-zzq", "assignDate": "2026-09-01T08:00:00Z",
            "dueDate": "2026-09-08T08:00:00Z", "class": reference("class", CLASSES[0]),
            "school": reference("org", ORG), "category": reference("category", "cat-zzq-toets"),
            "gradingPeriod": reference("academicSession", PERIOD), "resultValueMin": 0, "resultValueMax": 10,
        }),
    );
    if version == Version::V1p2 {
        item["scoreScale"] = reference("scoreScale", "scale-zzq-1");
    }
    item
}

fn result(number: usize) -> Value {
    let pupil = pupil(number * TAUGHT);
    let mut result = thing(&format!("res-zzq-{pupil}-li-zzq-1"));
    merge(&mut result, marked(&pupil, number));
    merge(
        &mut result,
        json!({
            "lineItem": reference("lineItem", "li-zzq-1"), "class": reference("class", CLASSES[0]),
        }),
    );
    result
}

/// What a mark says, and of whom.
fn marked(pupil: &str, number: usize) -> Value {
    let status = ["fully graded", "ext:herkansing"][number % 2];
    let words = [Some("7,5"), None, Some("10")][number % 3];
    json!({
        "student": reference("user", pupil),
        "scoreStatus": status, "score": 7.50, "scoreDate": "2026-10-10T08:10:00Z",
        "textScore": words,
        "comment": format!("Fenna-zzq ({pupil}) deed haar best"),
    })
}

/// A test of a publisher's, or a part of one.
fn assessment(id: &str, part_of: Option<&str>) -> Value {
    let mut item = thing(id);
    merge(
        &mut item,
        json!({
            "title": "Afname van Fenna-zzq", "description": "voor Fenna-zzq",
            "class": reference("class", CLASSES[0]),
            "scoreScale": reference("scoreScale", "scale-zzq-1"),
            "resultValueMin": 0, "resultValueMax": 10,
        }),
    );
    if let Some(whole) = part_of {
        item["parentAssessmentLineItem"] = reference("assessmentLineItem", whole);
    }
    item
}

fn assessment_result(number: usize) -> Value {
    let pupil = pupil(number * TAUGHT);
    let mut result = thing(&format!("ares-zzq-{pupil}-set-zzq-1"));
    merge(&mut result, marked(&pupil, number));
    merge(
        &mut result,
        json!({
            "assessmentLineItem": reference("assessmentLineItem", "set-zzq-1"),
            "scoreScale": reference("scoreScale", "scale-zzq-1"), "scorePercentile": 60.5,
        }),
    );
    result
}

/// What every object has, with extensions that repeat its id.
fn thing(id: &str) -> Value {
    json!({
        "sourcedId": id, "status": "active", "dateLastModified": CHANGED,
        "metadata": {"naturalKey": id, "by": {"fenna-zzq": [id]}},
    })
}

fn merge(item: &mut Value, more: Value) {
    let (Some(item), Value::Object(more)) = (item.as_object_mut(), more) else {
        panic!("two objects");
    };
    item.extend(more);
}

/// A reference, whose address is filled in when it leaves.
fn reference(of: &str, id: &str) -> Value {
    json!({"sourcedId": id, "type": of, "href": ""})
}

/// The item with the address of everything that it names.
pub(super) fn linked(version: Version, item: &Value, root: &str) -> Value {
    match item {
        Value::Array(items) => items
            .iter()
            .map(|item| linked(version, item, root))
            .collect(),
        Value::Object(fields) => {
            let each = fields
                .iter()
                .map(|(key, value)| (key.clone(), linked(version, value, root)));
            let mut item: Value = each.collect::<serde_json::Map<_, _>>().into();
            if let (Some(""), Some(of)) = (item["href"].as_str(), item["type"].as_str()) {
                item["href"] = json!(format!("{root}{}", path_of(version, of, &id(&item))));
            }
            item
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => item.clone(),
    }
}

fn path_of(version: Version, of: &str, id: &str) -> String {
    let (service, collection) = match of {
        "lineItem" => (version.grades(), "lineItems"),
        "category" => (version.grades(), "categories"),
        "scoreScale" => (version.grades(), "scoreScales"),
        "assessmentLineItem" => (version.grades(), "assessmentLineItems"),
        "class" => (version.roster(), "classes"),
        "academicSession" => (version.roster(), "academicSessions"),
        "course" => (version.roster(), "courses"),
        "org" => (version.roster(), "orgs"),
        "user" => (version.roster(), "users"),
        _ => ("/ims/oneroster/resources/v1p2", "resources"),
    };
    format!("{service}/{collection}/{}", encoded(id))
}

/// As it stands in an address.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut text = String::new();
    for byte in id.bytes() {
        match plain(byte) {
            true => text.push(char::from(byte)),
            false => text += &format!("%{byte:02x}"),
        }
    }
    text
}

/// The id of an item as text.
pub(crate) fn id(item: &Value) -> String {
    let id = &item["sourcedId"];
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// In which collection the items of a list are kept, and under which key they are answered.
pub(super) fn kept_in(list: &str) -> &str {
    match list {
        "students" | "teachers" => "users",
        "schools" => "orgs",
        "terms" | "gradingPeriods" => "academicSessions",
        other => other,
    }
}

pub(super) fn singular(list: &str) -> &'static str {
    match kept_in(list) {
        "users" => "user",
        "orgs" => "org",
        "academicSessions" => "academicSession",
        "classes" => "class",
        "courses" => "course",
        "enrollments" => "enrollment",
        "categories" => "category",
        "lineItems" => "lineItem",
        "results" => "result",
        "scoreScales" => "scoreScale",
        "assessmentLineItems" => "assessmentLineItem",
        "assessmentResults" => "assessmentResult",
        other => panic!("no such list: {other}"),
    }
}

/// The role of somebody, in either version.
fn role_of(user: &Value) -> &Value {
    user.get("role")
        .unwrap_or_else(|| &user["roles"][0]["role"])
}

/// Whether an item of the collection stands in that list.
pub(super) fn is_of(list: &str, item: &Value) -> bool {
    match list {
        "students" => role_of(item) == "student",
        "teachers" => role_of(item) == "teacher",
        "schools" => item["type"] == "school",
        "terms" => item["type"] == "term",
        "gradingPeriods" => item["type"] == "gradingPeriod",
        _ => true,
    }
}

/// Whether an item is one of those below a thing: `/classes/X/students`.
pub(super) fn belongs(
    list: &str,
    item: &Value,
    (around, of): (&str, &str),
    enrollments: &[Value],
) -> bool {
    let names = |field: &str| match item[field].as_array() {
        Some(all) => all.iter().any(|one| id(one) == of),
        None => id(&item[field]) == of,
    };
    let enrolled = |one: &str, other: &str, of: &str| {
        let both = |it: &&Value| id(&it[one]) == id(item) && id(&it[other]) == of;
        enrollments.iter().any(|enrollment| both(&enrollment))
    };
    match (kept_in(list), kept_in(around)) {
        ("users", "orgs") if item.get("orgs").is_some() => names("orgs"),
        ("users", "orgs") => id(&item["roles"][0]["org"]) == of,
        ("users", "classes") => enrolled("user", "class", of),
        ("classes", "users") => enrolled("class", "user", of),
        ("classes", "courses") => names("course"),
        ("classes", "academicSessions") => names("terms"),
        ("courses", "orgs") => names("org"),
        ("academicSessions", "academicSessions") => names("parent"),
        ("academicSessions", "orgs") => true,
        // They are the whole school's.
        ("categories", _) | ("scoreScales", "orgs") => true,
        ("results", "users") => names("student"),
        ("results", "lineItems") => names("lineItem"),
        ("results", "classes") => names("class"),
        (_, "orgs") => names("school"),
        (_, "classes") => names("class"),
        (list, around) => panic!("no {list} below {around}"),
    }
}
