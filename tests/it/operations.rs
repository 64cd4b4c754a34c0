//! Every operation of the standard, over HTTP, at a school that is full of traps: what comes is read
//! strictly and is what the school has, and what is written arrives there whole.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::House;
use crate::school::client::{Client, id, open_of};
use crate::school::{School, Version, id_of, markers};
use crate::standard::{self, Needs, Operation, Reader, operations};

#[test]
fn every_operation_of_the_standard_is_completed() {
    every_operation_of(Version::V1p2);
}

#[test]
fn every_operation_of_the_older_version_is_completed() {
    every_operation_of(Version::V1p1);
}

fn every_operation_of(version: Version) {
    let school = School::speaking(version);
    let house = open_of(version, &school);
    let all = operations(version.standard());
    let mut walk = Walk::begin(version, &school, &house, &all);
    for operation in &all {
        match operation.line.split_once(' ').unwrap().0 {
            "GET" if operation.many => walk.reads_a_list(operation),
            "GET" => walk.reads_one(operation),
            "PUT" => walk.puts_its_own(operation),
            "POST" => walk.posts(operation),
            "DELETE" => walk.deletes_its_own(operation),
            other => panic!("{other}"),
        }
    }
    // Last, since what the school has made is another one from then on.
    for operation in all.iter().filter(|it| it.line.starts_with("PUT ")) {
        walk.changes_the_schools(operation);
    }
    let got = walk.client.got.take();
    house.search(&markers(), &[("what the vendor got", &got)]);
}

/// A vendor on its way through the operations.
struct Walk<'w> {
    version: Version,
    school: &'w School,
    house: &'w House,
    client: Client<'w>,
    /// Of each list the first that is not deleted, as the vendor knows it, and its id at the school.
    first: BTreeMap<String, (Value, String)>,
    /// The school's id behind each that the vendor was given, with the kind of thing.
    given: BTreeMap<String, (String, String)>,
    /// The same from the other side.
    taken: BTreeMap<(String, String), String>,
}

impl<'w> Walk<'w> {
    /// One that has found the lists.
    fn begin(version: Version, school: &'w School, house: &'w House, all: &[Operation]) -> Self {
        let client = Client::new(house, "/vendor");
        let mut first = BTreeMap::new();
        for operation in all.iter().filter(|it| it.many) {
            let (base, below) = parts(version, operation);
            if let [list] = *below {
                let items = client.crawl(&format!("{base}/{list}"), operation.key, 20);
                let place = items
                    .iter()
                    .position(|it| it["status"] == "active")
                    .unwrap();
                let theirs = id_of(&school.listed(&[list])[place]);
                first.insert(list.to_owned(), (items[place].clone(), theirs));
            }
        }
        Self {
            version,
            school,
            house,
            client,
            first,
            given: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    fn must_be(&self, record: &Value, operation: &Operation) {
        let (version, root) = (self.version.standard(), self.client.root());
        let reader = Reader {
            version,
            public: &root,
        };
        reader.must_be(record, operation.object);
    }

    /// The path of an operation for the vendor, and the same below the service for the school.
    fn path(&self, operation: &Operation) -> (String, Vec<String>) {
        let (base, below) = parts(self.version, operation);
        let (mut ours, mut theirs) = (base.to_owned(), Vec::new());
        let mut list = "";
        for segment in below {
            let placed = segment.starts_with('{').then(|| &self.first[list]);
            let (at_vendor, at_school) = match placed {
                Some((item, theirs)) => (id(item), theirs.as_str()),
                None => (segment, segment),
            };
            ours += "/";
            ours += at_vendor;
            theirs.push(at_school.to_owned());
            list = segment;
        }
        (ours, theirs)
    }

    fn reads_a_list(&mut self, operation: &Operation) {
        let (ours, theirs) = self.path(operation);
        let segments: Vec<&str> = theirs.iter().map(String::as_str).collect();
        let items = self.client.crawl(&ours, operation.key, 20);
        let theirs = self.school.listed(&segments);
        assert_eq!(items.len(), theirs.len(), "{}", operation.line);
        assert!(!items.is_empty(), "{} gives nothing", operation.line);
        for (item, theirs) in items.iter().zip(&theirs) {
            self.must_be(item, operation);
            self.same(&kind_of(operation), item, theirs);
        }
    }

    fn reads_one(&mut self, operation: &Operation) {
        let (ours, theirs) = self.path(operation);
        let (item, list) = (self.get(&ours, operation), theirs[0].as_str());
        assert_eq!(item, self.first[list].0, "{}", operation.line);
        let kept = self.kept(list, &theirs[1]).unwrap();
        self.same(&kind_of(operation), &item, &kept);
    }

    fn get(&self, path: &str, operation: &Operation) -> Value {
        let (_, document) = self.client.get(&format!("{}{path}", self.client.root()));
        let fields = document.as_object().unwrap();
        let keys: Vec<&String> = fields.keys().collect();
        assert_eq!(keys, [operation.key], "{path}");
        let item = document[operation.key].clone();
        self.must_be(&item, operation);
        item
    }

    /// What the school has in a list under that id of its own.
    fn kept(&self, list: &str, id: &str) -> Option<Value> {
        let items = self.school.listed(&[list]).into_iter();
        items.rev().find(|it| id_of(it) == id)
    }

    /// Fails unless all ids of an item are those of the school's, each for one thing everywhere.
    fn same(&mut self, kind: &str, item: &Value, theirs: &Value) {
        match (item, theirs) {
            (Value::Array(items), Value::Array(theirs)) => {
                assert_eq!(items.len(), theirs.len(), "{item}");
                let pairs = items.iter().zip(theirs);
                pairs.for_each(|(item, theirs)| self.same(kind, item, theirs));
            }
            (Value::Object(fields), Value::Object(_)) => {
                let kind = match fields.contains_key("href") {
                    true => item["type"].as_str().unwrap(),
                    false => kind,
                };
                if fields.contains_key("sourcedId") {
                    self.meets(kind, id(item), id_of(theirs));
                }
                for (name, field) in fields {
                    self.same(kind, field, &theirs[name]);
                }
            }
            _ => {}
        }
    }

    fn meets(&mut self, kind: &str, ours: &str, theirs: String) {
        let thing = (kind.to_owned(), theirs);
        let before = self.given.insert(ours.to_owned(), thing.clone());
        assert!(before.is_none_or(|it| it == thing), "{ours} is two things");
        let before = self.taken.insert(thing, ours.to_owned());
        assert!(before.is_none_or(|it| it == ours), "{ours} has two names");
    }

    fn puts_its_own(&self, operation: &Operation) {
        let (list, own, marked) = self.own(operation);
        self.put(operation, &own, &marked);
        let path = format!("{}/{list}/{own}", self.version.grades());
        assert_eq!(id(&self.get(&path, operation)), own);
    }

    /// A list, and the id of what the vendor makes there: its own, and how it stands at the school.
    fn own(&self, operation: &Operation) -> (&'static str, String, String) {
        let list = parts(self.version, operation).1[0];
        let own = format!("own-{list}");
        let marked = format!("bron~{own}~");
        (list, own, marked)
    }

    fn deletes_its_own(&self, operation: &Operation) {
        let (list, own, marked) = self.own(operation);
        assert!(self.kept(list, &marked).is_some(), "{}", operation.line);
        let grades = self.version.grades();
        let address = format!("{}{grades}/{list}/{own}", self.client.root());
        let answer = self.client.send("DELETE", &address, None);
        assert_eq!(answer.status(), 204, "{}", operation.line);
        assert_eq!(self.kept(list, &marked), None, "{}", operation.line);
    }

    fn changes_the_schools(&self, operation: &Operation) {
        let list = parts(self.version, operation).1[0];
        let (item, theirs) = &self.first[list];
        self.put(operation, id(item), theirs);
        let path = format!("{}/{list}/{}", self.version.grades(), id(item));
        assert_eq!(id(&self.get(&path, operation)), id(item));
    }

    /// Puts a thing under an id of the vendor's, and fails unless it is whole at the school.
    fn put(&self, operation: &Operation, ours: &str, theirs: &str) {
        let list = parts(self.version, operation).1[0];
        let grades = self.version.grades();
        let address = format!("{}{grades}/{list}/{ours}", self.client.root());
        let body = json!({ operation.key: self.sent(operation, ours) });
        let answer = self.client.send("PUT", &address, Some(&body));
        assert_eq!(
            answer.status(),
            201,
            "{}: {}",
            operation.line,
            answer.text()
        );
        let arrived = self.kept(list, theirs);
        assert_eq!(
            arrived,
            Some(self.expected(operation, theirs)),
            "{}",
            operation.line
        );
    }

    fn posts(&mut self, operation: &Operation) {
        let (ours, theirs) = self.path(operation);
        let address = format!("{}{ours}", self.client.root());
        let body = json!({ operation.key: [self.sent(operation, "own-posted")] });
        let answer = self.client.send("POST", &address, Some(&body));
        assert_eq!(
            answer.status(),
            201,
            "{}: {}",
            operation.line,
            answer.text()
        );
        let document = answer.json();
        let allocated = document["sourcedIdPairs"][0]["allocatedSourcedId"].as_str();
        let allocated = allocated.unwrap_or_else(|| panic!("{}: {document}", operation.line));
        let pairs = json!({ "sourcedIdPairs": [
            { "suppliedSourcedId": "own-posted", "allocatedSourcedId": allocated },
        ]});
        assert_eq!(document, pairs, "{}", operation.line);
        // The school's own id for it ends with that of what it is posted to.
        let made = format!("made-0-{}", theirs[theirs.len() - 2]);
        let arrived = self.kept(operation.key, &made);
        assert_eq!(
            arrived,
            Some(self.expected(operation, &made)),
            "{}",
            operation.line
        );
        self.meets(&kind_of(operation), allocated, made);
        let lists = format!("{}/{}", self.version.grades(), operation.key);
        let mut one = operations(self.version.standard()).into_iter();
        let one = one.find(|it| !it.many && it.line.starts_with(&format!("GET {lists}/")));
        let item = self.get(&format!("{lists}/{allocated}"), &one.unwrap());
        assert_eq!(id(&item), allocated);
    }

    /// What the vendor sends of an object.
    fn sent(&self, operation: &Operation, id: &str) -> Value {
        let root = self.client.root();
        let mut record = self.written(operation.object, id, &|list, kind| {
            let id = self::id(&self.first[list].0);
            refers(&root, self.version, kind, id)
        });
        // Neither is for the school: free text about a child, and what nobody declared.
        record["comment"] = json!("goed gedaan");
        record["metadata"] = json!({ "of": "the vendor" });
        record
    }

    /// The same as it should be at the school.
    fn expected(&self, operation: &Operation, id: &str) -> Value {
        let root = format!("http://{}", self.house.upstream.address);
        self.written(operation.object, id, &|list, kind| {
            refers(&root, self.version, kind, &self.first[list].1)
        })
    }

    /// An object with all that the standard requires of it, and with what it allows besides.
    fn written(&self, object: &str, id: &str, refer: &dyn Fn(&str, &str) -> Value) -> Value {
        let refer = |kind: &str| refer(&list_of(kind), kind);
        let mut record = json!({
            "sourcedId": id, "status": "active", "dateLastModified": "2026-11-01T08:00:00.000Z",
        });
        for (name, needs) in standard::required(self.version.standard(), object) {
            record[*name] = match needs {
                Needs::Moment => json!("2026-11-08"),
                Needs::Number => json!(8.5),
                Needs::Text => json!("Breuken 3"),
                Needs::OneOf(words) | Needs::WordOf(words) => json!(words[0]),
                Needs::Object(kind) => refer(kind),
                Needs::Objects("ScoreScaleValue") => {
                    json!([{ "itemValueLHS": "A", "itemValueRHS": "90-100" }])
                }
                Needs::Date | Needs::DateTime | Needs::Flag | Needs::Objects(_) => {
                    panic!("{object}.{name}")
                }
            };
        }
        let more = more(object).as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(more);
        for (name, kind) in references_of(self.version, object) {
            record[*name] = refer(kind);
        }
        record
    }
}

/// Where an operation is, and the segments below.
fn parts(version: Version, operation: &Operation) -> (&'static str, Vec<&'static str>) {
    let (_, path) = operation.line.split_once(' ').unwrap();
    let path: &'static str = path.to_owned().leak();
    let mut services = [version.roster(), version.grades()].into_iter();
    let base = services.find(|it| path.starts_with(it)).unwrap();
    let below = path[base.len()..].split('/').skip(1);
    (base, below.collect())
}

/// The word for what an operation is about, as references have it.
fn kind_of(operation: &Operation) -> String {
    let (initial, rest) = operation.object.split_at(1);
    initial.to_ascii_lowercase() + rest
}

/// In which list the vendor looks for something to refer to: a mark is of a pupil.
fn list_of(kind: &str) -> String {
    match kind {
        "category" => "categories".to_owned(),
        "class" => "classes".to_owned(),
        "user" => "students".to_owned(),
        kind => format!("{kind}s"),
    }
}

fn refers(root: &str, version: Version, kind: &str, id: &str) -> Value {
    let href = standard::link(root, version.standard(), kind, id);
    json!({ "href": href, "sourcedId": id, "type": kind })
}

/// What may be said of an object besides, but for references.
fn more(object: &str) -> Value {
    let aims = json!([{ "source": "case", "learningObjectiveIds": ["urn:case:1"] }]);
    let reached = json!([{ "source": "case", "learningObjectiveResults": [
        { "learningObjectiveId": "urn:case:1", "score": 1.0, "textScore": "behaald" },
    ]}]);
    match object {
        "AssessmentLineItem" | "LineItem" => json!({
            "description": "Hoofdstuk 3", "resultValueMin": 0.5, "resultValueMax": 10.5,
            "learningObjectiveSet": aims,
        }),
        "AssessmentResult" => json!({
            "score": 8.5, "scorePercentile": 60.5, "textScore": "ruim voldoende", "late": "true",
            "inProgress": "false", "learningObjectiveSet": reached,
        }),
        "Category" => json!({ "weight": 0.5 }),
        "Result" => json!({
            "score": 8.5, "textScore": "ruim voldoende", "incomplete": "false", "missing": "false",
            "learningObjectiveSet": reached,
        }),
        "ScoreScale" => json!({}),
        other => panic!("nobody writes {other}"),
    }
}

/// What it may refer to besides, in a version that has it.
fn references_of(version: Version, object: &str) -> &'static [(&'static str, &'static str)] {
    match object {
        _ if version == Version::V1p1 => &[],
        "AssessmentLineItem" => &[
            ("class", "class"),
            ("parentAssessmentLineItem", "assessmentLineItem"),
            ("scoreScale", "scoreScale"),
        ],
        "AssessmentResult" => &[("scoreScale", "scoreScale")],
        "LineItem" => &[
            ("academicSession", "academicSession"),
            ("scoreScale", "scoreScale"),
        ],
        "Result" => &[("class", "class"), ("scoreScale", "scoreScale")],
        "ScoreScale" => &[("course", "course")],
        _ => &[],
    }
}
