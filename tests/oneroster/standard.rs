//! What the standard asks: its operations, and the fields that a reader may rely on. After the
//! OpenAPI files of 1EdTech for OneRoster 1.1 and 1.2.

use serde_json::{Map, Value};

use Needs::{Date, DateTime, Flag, Moment, Number, Object, Objects, OneOf, Text, WordOf};

/// A version of the standard.
pub(crate) struct Version {
    pub(crate) name: &'static str,
    pub(crate) rostering: &'static str,
    pub(crate) gradebook: &'static str,
    /// Its operations of the gradebook.
    marks: &'static str,
    /// The preset files that make up what is sent, without the routes of the gradebook.
    pub(crate) files: [&'static str; 2],
}

const SHAPES: &str = include_str!("../../config/presets/oneroster/shapes@1.toml");

pub(crate) const VERSIONS: &[Version] = &[
    Version {
        name: "1.1",
        rostering: "/ims/oneroster/v1p1",
        gradebook: "/ims/oneroster/v1p1",
        marks: GRADEBOOK_1_1,
        files: [
            include_str!("../../config/presets/oneroster-1.1/pull@1.toml"),
            SHAPES,
        ],
    },
    Version {
        name: "1.2",
        rostering: "/ims/oneroster/rostering/v1p2",
        gradebook: "/ims/oneroster/gradebook/v1p2",
        marks: GRADEBOOK_1_2,
        files: [
            include_str!("../../config/presets/oneroster-1.2/pull@1.toml"),
            SHAPES,
        ],
    },
];

/// One request of the standard.
#[derive(Debug)]
pub(crate) struct Operation {
    /// As a route's name: `GET /ims/oneroster/v1p1/users`.
    pub(crate) line: String,
    /// Under which key the message has its objects.
    pub(crate) key: &'static str,
    pub(crate) object: &'static str,
    /// Whether the message has a list of them.
    pub(crate) many: bool,
}

impl Operation {
    /// Whether the vendor sends the objects.
    pub(crate) fn writes(&self) -> bool {
        self.line.starts_with("POST ") || self.line.starts_with("PUT ")
    }
}

/// All that a vendor may ask of the two services, but `/demographics`.
pub(crate) fn operations(version: &Version) -> Vec<Operation> {
    let mut all = Vec::new();
    for (base, lines) in [
        (version.rostering, ROSTERING),
        (version.gradebook, version.marks),
    ] {
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (methods, path) = (words[0], words[1]);
            let what = words.get(2).copied().unwrap_or_default();
            let (key, many) = match what.strip_suffix("[]") {
                Some(key) => (key, true),
                None => (what, false),
            };
            for method in methods.split(',') {
                all.push(Operation {
                    line: format!("{method} {base}{path}"),
                    key,
                    object: words.get(3).copied().unwrap_or_default(),
                    many,
                });
            }
        }
    }
    all
}

const ROSTERING: &str = "
GET /academicSessions                                    academicSessions[] AcademicSession
GET /academicSessions/{session}                          academicSession    AcademicSession
GET /classes                                             classes[]          Class
GET /classes/{class}                                     class              Class
GET /classes/{class}/students                            users[]            User
GET /classes/{class}/teachers                            users[]            User
GET /courses                                             courses[]          Course
GET /courses/{course}                                    course             Course
GET /courses/{course}/classes                            classes[]          Class
GET /enrollments                                         enrollments[]      Enrollment
GET /enrollments/{enrollment}                            enrollment         Enrollment
GET /gradingPeriods                                      academicSessions[] AcademicSession
GET /gradingPeriods/{session}                            academicSession    AcademicSession
GET /orgs                                                orgs[]             Org
GET /orgs/{org}                                          org                Org
GET /schools                                             orgs[]             Org
GET /schools/{org}                                       org                Org
GET /schools/{org}/classes                               classes[]          Class
GET /schools/{org}/classes/{class}/enrollments           enrollments[]      Enrollment
GET /schools/{org}/classes/{class}/students              users[]            User
GET /schools/{org}/classes/{class}/teachers              users[]            User
GET /schools/{org}/courses                               courses[]          Course
GET /schools/{org}/enrollments                           enrollments[]      Enrollment
GET /schools/{org}/students                              users[]            User
GET /schools/{org}/teachers                              users[]            User
GET /schools/{org}/terms                                 academicSessions[] AcademicSession
GET /students                                            users[]            User
GET /students/{person}                                   user               User
GET /students/{person}/classes                           classes[]          Class
GET /teachers                                            users[]            User
GET /teachers/{person}                                   user               User
GET /teachers/{person}/classes                           classes[]          Class
GET /terms                                               academicSessions[] AcademicSession
GET /terms/{session}                                     academicSession    AcademicSession
GET /terms/{session}/classes                             classes[]          Class
GET /terms/{session}/gradingPeriods                      academicSessions[] AcademicSession
GET /users                                               users[]            User
GET /users/{person}                                      user               User
GET /users/{person}/classes                              classes[]          Class
";

const GRADEBOOK_1_1: &str = "
GET        /categories                                   categories[]       Category
GET,PUT    /categories/{category}                        category           Category
DELETE     /categories/{category}
GET        /classes/{class}/lineItems                    lineItems[]        LineItem
GET        /classes/{class}/lineItems/{lineitem}/results results[]          Result
GET        /classes/{class}/results                      results[]          Result
GET        /classes/{class}/students/{person}/results    results[]          Result
GET        /lineItems                                    lineItems[]        LineItem
GET,PUT    /lineItems/{lineitem}                         lineItem           LineItem
DELETE     /lineItems/{lineitem}
GET        /results                                      results[]          Result
GET,PUT    /results/{result}                             result             Result
DELETE     /results/{result}
";

const GRADEBOOK_1_2: &str = "
GET        /assessmentLineItems                          assessmentLineItems[] AssessmentLineItem
GET,PUT    /assessmentLineItems/{assessment-lineitem}    assessmentLineItem AssessmentLineItem
DELETE     /assessmentLineItems/{assessment-lineitem}
GET        /assessmentResults                            assessmentResults[] AssessmentResult
GET,PUT    /assessmentResults/{assessment-result}        assessmentResult   AssessmentResult
DELETE     /assessmentResults/{assessment-result}
GET        /categories                                   categories[]       Category
GET,PUT    /categories/{category}                        category           Category
DELETE     /categories/{category}
POST       /classes/{class}/academicSessions/{session}/results results[]    Result
GET        /classes/{class}/categories                   categories[]       Category
GET,POST   /classes/{class}/lineItems                    lineItems[]        LineItem
GET        /classes/{class}/lineItems/{lineitem}/results results[]          Result
GET        /classes/{class}/results                      results[]          Result
GET        /classes/{class}/scoreScales                  scoreScales[]      ScoreScale
GET        /classes/{class}/students/{person}/results    results[]          Result
GET        /lineItems                                    lineItems[]        LineItem
GET,PUT    /lineItems/{lineitem}                         lineItem           LineItem
DELETE     /lineItems/{lineitem}
POST       /lineItems/{lineitem}/results                 results[]          Result
GET        /results                                      results[]          Result
GET,PUT    /results/{result}                             result             Result
DELETE     /results/{result}
POST       /schools/{org}/lineItems                      lineItems[]        LineItem
GET        /schools/{org}/scoreScales                    scoreScales[]      ScoreScale
GET        /scoreScales                                  scoreScales[]      ScoreScale
GET,PUT    /scoreScales/{score-scale}                    scoreScale         ScoreScale
DELETE     /scoreScales/{score-scale}
";

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
const SCORE_STATUS: &[&str] = &[
    "exempt",
    "fully graded",
    "not submitted",
    "partially graded",
    "submitted",
];

/// What the JSON binding requires of a field.
pub(crate) enum Needs {
    Date,
    DateTime,
    /// "true" or "false", or a truth value or its digit: servers give any.
    Flag,
    /// A day, or a moment of it: servers give either.
    Moment,
    Number,
    /// A text, and not an empty one.
    Text,
    OneOf(&'static [&'static str]),
    /// One of them, or a word of the school's own: the standard lets these lists be extended.
    WordOf(&'static [&'static str]),
    Object(&'static str),
    /// At least one.
    Objects(&'static str),
}

/// The required fields of each object, besides those that all have.
pub(crate) fn required(version: &Version, object: &str) -> &'static [(&'static str, Needs)] {
    match (object, version.name) {
        ("User", "1.1") => USER_1_1,
        ("LineItem", "1.1") => LINE_ITEM_1_1,
        ("Result", "1.1") => RESULT_1_1,
        _ => required_by_all(object),
    }
}

const USER_1_1: &[(&str, Needs)] = &[
    ("username", Text),
    ("enabledUser", Flag),
    ("givenName", Text),
    ("familyName", Text),
    ("role", OneOf(&["student", "teacher", "relative"])),
    ("orgs", Objects("org")),
];

const LINE_ITEM_1_1: &[(&str, Needs)] = &[
    ("title", Text),
    ("assignDate", Moment),
    ("dueDate", Moment),
    ("class", Object("class")),
    ("category", Object("category")),
    ("gradingPeriod", Object("academicSession")),
    ("resultValueMin", Number),
    ("resultValueMax", Number),
];

const RESULT_1_1: &[(&str, Needs)] = &[
    ("lineItem", Object("lineItem")),
    ("student", Object("user")),
    ("scoreStatus", WordOf(SCORE_STATUS)),
    ("score", Number),
    ("scoreDate", Moment),
];

fn required_by_all(object: &str) -> &'static [(&'static str, Needs)] {
    match object {
        "AcademicSession" => &[
            ("title", Text),
            ("startDate", Date),
            ("endDate", Date),
            ("type", WordOf(SESSION_TYPES)),
            ("schoolYear", Text),
        ],
        "Class" => &[
            ("title", Text),
            ("classType", WordOf(&["homeroom", "scheduled"])),
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
        "Org" => &[("name", Text), ("type", WordOf(ORG_TYPES))],
        "Role" => &[
            ("roleType", OneOf(&["primary", "secondary"])),
            ("role", OneOf(&["student", "teacher", "relative"])),
            ("org", Object("org")),
        ],
        _ => required_of_marks(object),
    }
}

fn required_of_marks(object: &str) -> &'static [(&'static str, Needs)] {
    match object {
        "AssessmentLineItem" | "Category" => &[("title", Text)],
        "AssessmentResult" => &[
            ("assessmentLineItem", Object("assessmentLineItem")),
            ("student", Object("user")),
            ("scoreStatus", WordOf(SCORE_STATUS)),
            ("scoreDate", Moment),
        ],
        "LineItem" => &[
            ("title", Text),
            ("assignDate", Moment),
            ("dueDate", Moment),
            ("class", Object("class")),
            ("school", Object("org")),
            ("category", Object("category")),
        ],
        "Result" => &[
            ("lineItem", Object("lineItem")),
            ("student", Object("user")),
            ("scoreStatus", WordOf(SCORE_STATUS)),
            ("scoreDate", Moment),
        ],
        "ScoreScale" => &[
            ("title", Text),
            ("type", Text),
            ("class", Object("class")),
            ("scoreScaleValue", Objects("ScoreScaleValue")),
        ],
        "ScoreScaleValue" => &[("itemValueLHS", Text), ("itemValueRHS", Text)],
        "User" => &[
            ("enabledUser", Flag),
            ("givenName", Text),
            ("familyName", Text),
            ("roles", Objects("Role")),
        ],
        _ => panic!("no such object: {object}"),
    }
}

/// Parts of objects: they have no id of their own.
const PARTS: [&str; 2] = ["Role", "ScoreScaleValue"];

/// Who reads strictly what comes from under an address.
pub(crate) struct Reader<'a> {
    pub(crate) version: &'a Version,
    /// Where links lead.
    pub(crate) public: &'a str,
}

impl Reader<'_> {
    /// Fails unless `value` is that object as the standard requires it: every field there, of its
    /// type, no text empty, and nothing null but a mark in words that a school has so.
    pub(crate) fn must_be(&self, value: &Value, object: &str) {
        let fields = value
            .as_object()
            .unwrap_or_else(|| panic!("{object}: {value}"));
        for (name, field) in fields {
            let there = name == "textScore" || !field.is_null();
            assert!(there && field != "", "{object}.{name} is empty: {value}");
        }
        if !PARTS.contains(&object) {
            self.must_have(fields, object, ("sourcedId", &Text));
            self.must_have(fields, object, ("status", &OneOf(STATUS)));
            self.must_have(fields, object, ("dateLastModified", &DateTime));
        }
        for (name, needs) in required(self.version, object) {
            self.must_have(fields, object, (name, needs));
        }
    }

    fn must_have(&self, fields: &Map<String, Value>, object: &str, (name, needs): (&str, &Needs)) {
        let Some(field) = fields.get(name) else {
            panic!("{object} has no {name}: {fields:?}");
        };
        let text = || {
            field
                .as_str()
                .unwrap_or_else(|| panic!("{object}.{name} is no text: {field}"))
        };
        match needs {
            Date => assert_eq!(
                text().parse::<jiff::civil::Date>().unwrap().to_string(),
                text()
            ),
            DateTime => assert!(text().parse::<jiff::Timestamp>().is_ok(), "{name}: {field}"),
            Flag => {
                let said = field
                    .as_str()
                    .map_or_else(|| field.to_string(), str::to_owned);
                assert!(
                    ["true", "false", "0", "1"].contains(&&*said),
                    "{name}: {field}"
                );
            }
            Moment => {
                let day = text().parse::<jiff::civil::Date>().is_ok();
                assert!(day || text().parse::<jiff::Timestamp>().is_ok(), "{field}");
            }
            Number => assert!(field.is_number(), "{object}.{name}: {field}"),
            Text => assert!(!text().is_empty(), "{object}.{name} is empty"),
            OneOf(words) => assert!(words.contains(&text()), "{object}.{name}: {field}"),
            WordOf(words) => {
                let known = words.contains(&text()) || text().starts_with("ext:");
                assert!(known, "{object}.{name}: {field}");
            }
            Object(kind) => self.must_refer(field, kind),
            Objects(kind) => {
                let items = field.as_array().unwrap();
                assert!(!items.is_empty(), "{object}.{name} is empty");
                for item in items {
                    match PARTS.contains(kind) {
                        true => self.must_be(item, kind),
                        false => self.must_refer(item, kind),
                    }
                }
            }
        }
    }

    /// Fails unless `value` is a reference to such an object: an id, the type, and a link by which
    /// the vendor can ask for what has that id.
    fn must_refer(&self, value: &Value, kind: &str) {
        assert_eq!(value["type"], kind, "{value}");
        let id = value["sourcedId"].as_str().unwrap();
        assert!(!id.is_empty(), "{value}");
        let href = link(self.public, self.version, kind, id);
        assert_eq!(value["href"], href, "{value}");
    }
}

/// Where an object of that kind is to be had.
pub(crate) fn link(host: &str, version: &Version, kind: &str, id: &str) -> String {
    let (base, list) = match kind {
        "academicSession" => (version.rostering, "academicSessions"),
        "assessmentLineItem" => (version.gradebook, "assessmentLineItems"),
        "category" => (version.gradebook, "categories"),
        "class" => (version.rostering, "classes"),
        "course" => (version.rostering, "courses"),
        "lineItem" => (version.gradebook, "lineItems"),
        "org" => (version.rostering, "orgs"),
        "scoreScale" => (version.gradebook, "scoreScales"),
        "user" => (version.rostering, "users"),
        _ => panic!("no such kind: {kind}"),
    };
    let id = id
        .replace(' ', "%20")
        .replace('/', "%2F")
        .replace('é', "%C3%A9");
    format!("{host}{base}/{list}/{id}")
}
