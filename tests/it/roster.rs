//! Clients that know nothing of a gateway, at a school that is full of traps: a strict one and a
//! lenient one complete every exchange of OneRoster 1.2, and find a whole school that speaks 1.1.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{House, Plans};
use crate::school::client::{Client, id, open_of, vendor_of};
use crate::school::{NUMBERED, ODD, PUPILS, SHORT, School, Version, markers, pupil};
use crate::standard::{self, Reader, operations};

const ROSTER: &str = "/ims/oneroster/rostering/v1p2";
const GRADES: &str = "/ims/oneroster/gradebook/v1p2";

fn open(school: &School) -> House {
    open_of(Version::V1p2, school)
}

/// The same of what may not be there.
fn id_in(item: &Value) -> &str {
    item["sourcedId"].as_str().unwrap_or_default()
}

/// The lists of the school as the client sees them.
fn whole_school(client: &Client<'_>) -> BTreeMap<&'static str, Vec<Value>> {
    whole_school_of(Version::V1p2, client)
}

fn whole_school_of(version: Version, client: &Client<'_>) -> BTreeMap<&'static str, Vec<Value>> {
    let (version, public) = (version.standard(), &*client.root());
    let mut all = BTreeMap::new();
    for operation in operations(version) {
        let (_, path) = operation.line.split_once(' ').unwrap();
        let whole =
            [version.rostering, version.gradebook].map(|it| format!("{it}/{}", operation.key));
        if !operation.many || !whole.iter().any(|it| it == path) {
            continue;
        }
        let items = client.crawl(path, operation.key, 20);
        for item in &items {
            Reader { version, public }.must_be(item, operation.object);
        }
        let ids: BTreeSet<&str> = items.iter().map(id).collect();
        assert_eq!(ids.len(), items.len(), "an id twice in {path}");
        all.insert(operation.key, items);
    }
    all
}

/// Whether a record has what the standard requires of those in a list.
fn is_whole(item: &Value, list: &str) -> bool {
    let version = Version::V1p2.standard();
    let mut all = operations(version).into_iter();
    let operation = all.find(|it| it.many && it.key == list).unwrap();
    let required = standard::required(version, operation.object);
    required.iter().all(|(name, _)| item.get(name).is_some())
}

/// In which collection a reference points.
fn collection_of(reference: &Value) -> &'static str {
    match reference["type"].as_str().unwrap() {
        "user" => "users",
        "class" => "classes",
        "course" => "courses",
        "org" => "orgs",
        "academicSession" => "academicSessions",
        "category" => "categories",
        "lineItem" => "lineItems",
        "scoreScale" => "scoreScales",
        "assessmentLineItem" => "assessmentLineItems",
        other => panic!("a reference to {other}"),
    }
}

/// Every reference below a value.
fn references<'v>(value: &'v Value, into: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        Value::Object(fields) => {
            if fields.contains_key("href") {
                into.push(value);
            }
            fields.values().for_each(|value| references(value, into));
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_strict_client_finds_a_whole_school() {
    must_find_a_whole_school(Version::V1p2);
}

#[test]
fn a_strict_client_of_the_older_version_finds_a_whole_school() {
    must_find_a_whole_school(Version::V1p1);
}

fn must_find_a_whole_school(version: Version) {
    let school = School::speaking(version);
    let house = open_of(version, &school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school_of(version, &client);
    for (collection, items) in &all {
        assert_eq!(items.len(), school.all(collection).len(), "{collection}");
    }
    // No reference dangles, and every link leads to what it names.
    let mut followed = BTreeSet::new();
    for (collection, items) in &all {
        let mut found = Vec::new();
        items.iter().for_each(|item| references(item, &mut found));
        for reference in found {
            let there = collection_of(reference);
            let target = all[there].iter().find(|item| id(item) == id(reference));
            let target = target.unwrap_or_else(|| panic!("{collection} points at {reference}"));
            if followed.insert(reference["href"].as_str().unwrap()) {
                let (_, document) = client.get(reference["href"].as_str().unwrap());
                let fields = document.as_object().unwrap();
                assert_eq!(fields.values().collect::<Vec<_>>(), [target]);
            }
        }
    }
    assert!(followed.len() > PUPILS, "{}", followed.len());
    // Whom the client does not get is a stub, not a gap.
    let gone = all["users"]
        .iter()
        .filter(|user| user["status"] == "tobedeleted");
    assert_eq!(gone.count(), 4, "the parents");
    // The school's own words are words of the standard too.
    for (collection, field, word) in [
        ("orgs", "type", "ext:vestiging"),
        ("academicSessions", "type", "ext:blok"),
        ("classes", "classType", "ext:stamgroep"),
        ("results", "scoreStatus", "ext:herkansing"),
    ] {
        let mut items = all[collection].iter();
        assert!(items.any(|item| item[field] == word), "{word}");
    }
    let path = format!("{}/demographics", version.roster());
    let answer = client.send("GET", &format!("{}{path}", client.root()), None);
    assert_eq!((answer.status(), &*answer.code()), (404, "route_unknown"));
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

/// A house with a list of who objected, on which nobody stands yet.
fn open_with_list(school: &School) -> House {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("schools/proef/lists/who.txt");
    std::fs::create_dir_all(list.parent().unwrap()).unwrap();
    std::fs::write(&list, "").unwrap();
    let vendor = format!(
        "[except]\nperson = \"lists/who.txt\"\n{}",
        vendor_of(Version::V1p2, "/vendor")
    );
    let plans = Plans {
        instead: Some(vendor.leak()),
        ..Plans::default()
    };
    let house = plans.open_in(folder, school.serve());
    objects(&house, "");
    house
}

fn objects(house: &House, who: &str) {
    let list = house.folder.path().join("schools/proef/lists/who.txt");
    std::fs::write(list, who).unwrap();
    for vendor in &house.deployed.current().vendors {
        vendor.lists.look(house.clock.time());
        vendor.lists.look(house.clock.time());
    }
}

#[test]
fn whoever_objected_is_nobody_in_the_whole_roster() {
    let school = School::new();
    let house = open_with_list(&school);
    let client = Client::new(&house, "/vendor");
    let marks = client.crawl(&format!("{GRADES}/results"), "results", 20);
    let theirs = id(&marks[0]["student"]).to_owned();
    let before = client.crawl(&format!("{ROSTER}/enrollments"), "enrollments", 20);
    let of_them = |it: &&Value| [&it["user"], &it["student"]].map(id_in).contains(&&*theirs);
    let mut told: BTreeSet<&str> = before.iter().filter(of_them).map(id).collect();
    let enrolled = told.len();
    assert!(enrolled > 0);
    let marked: BTreeSet<&str> = marks.iter().filter(of_them).map(id).collect();
    assert!(!marked.is_empty() && marked.len() < marks.len());
    told.extend(&marked);
    let source = &school.all("results")[0]["student"];
    objects(&house, id(source));

    told.insert(&theirs);
    for (service, collection) in [
        (ROSTER, "users"),
        (ROSTER, "enrollments"),
        (ROSTER, "classes"),
        (GRADES, "results"),
    ] {
        let items = client.crawl(&format!("{service}/{collection}"), collection, 20);
        for item in &items {
            let gone = item["status"] == "tobedeleted";
            if told.contains(id(item)) {
                assert!(gone, "{item}");
                assert!(is_whole(item, collection), "{item}");
            }
            let text = item.to_string();
            assert!(!text.contains(&theirs) || id(item) == theirs, "{item}");
        }
        let nobody = items
            .iter()
            .filter(|it| it["user"]["sourcedId"] == "nobody");
        assert!(collection != "enrollments" || nobody.count() >= enrolled);
        let excused = items.iter().filter(|it| {
            let made_up = it["student"]["sourcedId"] == "nobody" && it["score"] == 0;
            made_up && it["lineItem"]["sourcedId"] == "~nothing~"
        });
        assert!(collection != "results" || excused.count() == marked.len());
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn whoever_objected_is_nobody_also_where_nobody_asks_whose_it_is() {
    let school = School::new();
    let house = open_with_list(&school);
    let client = Client::new(&house, "/vendor");
    let marks = client.crawl(&format!("{GRADES}/results"), "results", 20);
    let theirs = id(&marks[0]["student"]);
    let of_them = |it: &&Value| id(&it["student"]) == theirs;
    let marked: BTreeSet<&str> = marks.iter().filter(of_them).map(id).collect();
    assert!(!marked.is_empty() && marked.len() < marks.len());
    objects(&house, id(&school.all("results")[0]["student"]));
    let path = format!("{GRADES}/results?fields=sourcedId,score,scoreStatus");
    for item in client.crawl(&path, "results", 20) {
        let gone = item["status"] == "tobedeleted" && item["scoreStatus"] == "exempt";
        assert_eq!(gone, marked.contains(id(&item)), "{item}");
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_lenient_client_finds_the_same() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    for (path, collection) in [
        ("users", "users"),
        ("students", "users"),
        ("enrollments", "enrollments"),
    ] {
        let path = format!("{ROSTER}/{path}");
        for limit in [7, 20, 1_000] {
            let strict = client.crawl(&path, collection, limit);
            assert_eq!(client.crawl_leniently(&path, collection, limit), strict);
        }
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    items.iter().map(|item| id(item).to_owned()).collect()
}

/// The pupils of a class, by its enrolments.
fn pupils_of<'v>(all: &'v BTreeMap<&str, Vec<Value>>, class: &Value) -> Vec<&'v str> {
    let enrolled = all["enrollments"].iter();
    let here = enrolled.filter(|it| id(&it["class"]) == id(class) && it["role"] == "student");
    here.map(|it| id(&it["user"])).collect()
}

#[test]
fn a_client_of_the_older_version_asks_about_whom_it_means_and_marks_them() {
    let version = Version::V1p1;
    let school = School::speaking(version);
    let house = open_of(version, &school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school_of(version, &client);
    let (roster, grades) = (version.roster(), version.grades());
    let (class, one) = (&all["classes"][0], id(&all["results"][0]["student"]));
    let pupils = pupils_of(&all, class);
    for (path, collection, expected) in [
        (
            format!("{roster}/classes/{}/students", id(class)),
            "users",
            pupils.len(),
        ),
        (
            format!("{roster}/users?filter=sourcedId='{one}'"),
            "users",
            1,
        ),
        (format!("{roster}/users?filter=role='teacher'"), "users", 3),
        (
            format!("{grades}/results?filter=student.sourcedId='{one}'"),
            "results",
            1,
        ),
        (format!("{roster}/students/{one}/classes"), "classes", 1),
    ] {
        assert_eq!(client.crawl(&path, collection, 5).len(), expected, "{path}");
    }
    // A name that is made up of the id has no way back of its own: nobody is asked.
    let named = { all["users"].iter() }.find(|it| id(it) == one).unwrap();
    let username = named["username"].as_str().unwrap();
    assert!(is_label(username), "{username}");
    let before = house.upstream.received();
    let address = format!(
        "{}{roster}/users?filter=username='{username}'",
        client.root()
    );
    let answer = client.send("GET", &address, None);
    let seen = (answer.status(), &*answer.code());
    assert_eq!(seen, (400, "query_invalid"));
    assert_eq!(house.upstream.received(), before, "nothing was forwarded");
    let mut mark = all["results"][0].clone();
    mark["sourcedId"] = json!("mark-1");
    let address = format!("{}{grades}/results/mark-1", client.root());
    let answer = client.send("PUT", &address, Some(&json!({ "result": mark })));
    assert_eq!(answer.status(), 201, "{}", answer.text());
    let landed = school.all("results").pop().unwrap();
    let theirs = school.all("results").swap_remove(0);
    assert_eq!(landed["sourcedId"], "bron~mark-1~");
    for field in ["student", "lineItem"] {
        assert_eq!(landed[field]["sourcedId"], theirs[field]["sourcedId"]);
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_list_within_another_holds_who_belongs_there() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let (org, class) = (id(&all["orgs"][0]), &all["classes"][0]);
    let pupils = pupils_of(&all, class);
    let expected: BTreeSet<String> = pupils.iter().map(|it| (*it).to_owned()).collect();
    for path in [
        format!("{ROSTER}/classes/{}/students", id(class)),
        format!("{ROSTER}/schools/{org}/classes/{}/students", id(class)),
    ] {
        assert_eq!(ids(&client.crawl(&path, "users", 5)), expected);
    }
    let path = format!("{ROSTER}/students/{}/classes", pupils[0]);
    let classes = client.crawl(&path, "classes", 5);
    assert_eq!(ids(&classes), BTreeSet::from([id(class).to_owned()]));
    let terms = client.crawl(
        &format!("{ROSTER}/schools/{org}/terms"),
        "academicSessions",
        5,
    );
    assert_eq!(terms.len(), 1);
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_filter_an_order_and_a_choice_are_about_whom_the_client_means() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let class = &all["classes"][0];
    let pupils = pupils_of(&all, class);
    let (one, everyone) = (pupils[0], all["users"].len());
    for (query, collection, expected) in [
        (format!("filter=sourcedId='{one}'"), "users", 1),
        (
            format!("filter=sourcedId%3D%27{one}%27%20AND%20status%3D%27active%27"),
            "users",
            1,
        ),
        (format!("filter=sourcedId!='{one}'"), "users", everyone - 1),
        (format!("filter=user.sourcedId='{one}'"), "enrollments", 1),
        (
            format!("filter=class.sourcedId='{}'", id(class)),
            "enrollments",
            pupils.len() + 1,
        ),
        (
            "filter=dateLastModified%3E%3D'2026-09-01'".to_owned(),
            "users",
            everyone,
        ),
        (
            "filter=dateLastModified%3E'2026-10-01'".to_owned(),
            "users",
            0,
        ),
        (
            "sort=dateLastModified&orderBy=desc&fields=sourcedId,status".to_owned(),
            "users",
            everyone,
        ),
    ] {
        let path = format!("{ROSTER}/{collection}?{query}");
        assert_eq!(
            client.crawl(&path, collection, 20).len(),
            expected,
            "{path}"
        );
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn an_id_with_signs_of_an_address_is_followed_from_page_to_page() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    // Every third pupil is in the first class.
    let odd = pupils_of(&all, &all["classes"][0])[ODD / 3];
    let path = format!("{ROSTER}/enrollments?filter=user.sourcedId='{odd}'");
    let enrolled = client.crawl(&path, "enrollments", 1);
    let twice = enrolled.iter().filter(|it| id(&it["user"]) == odd);
    assert_eq!((enrolled.len(), twice.count()), (2, 2));
    let (_, document) = client.get(enrolled[0]["user"]["href"].as_str().unwrap());
    assert_eq!(id(&document["user"]), odd);
    let asked = house.upstream.received_text();
    for name in ["users/", "enrollments?filter=user.sourcedId%3D%27"] {
        let line = format!("{ROSTER}/{name}2024%2F0017%3B%C3%A9%252F%5C-zzq");
        assert!(asked.contains(&line), "{line}");
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn what_is_asked_by_a_short_id_is_as_whole_as_in_the_list() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let alike = |path: &str, key: &str, is: &dyn Fn(&Value) -> bool| {
        let some = client.crawl(path, key, 20);
        let expected: Vec<&Value> = all[key].iter().filter(|it| is(it)).collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), expected, "{path}");
        assert!(!some.is_empty(), "{path}");
    };
    for (number, _) in SHORT {
        // In the order of the school, in which its parents stand among the pupils.
        let users = school.all("users");
        let place = { users.iter() }.position(|it| it["sourcedId"] == pupil(number));
        let them = id(&all["users"][place.unwrap()]);
        for name in ["user", "student"] {
            let (service, key) = match name {
                "user" => (ROSTER, "enrollments"),
                _ => (GRADES, "results"),
            };
            let of_them = |it: &Value| it[name]["sourcedId"] == them;
            if all[key].iter().any(&of_them) {
                let path = format!("{service}/{key}?filter={name}.sourcedId='{them}'");
                alike(&path, key, &of_them);
            }
        }
    }
    let marked = { all["results"].iter() }.find(|it| it["textScore"] == "10");
    assert_eq!(marked.unwrap()["scoreDate"], "2026-10-10T08:10:00Z");
    // A year that is called by its number, a class by its grade, and a school by its own.
    let year = { all["academicSessions"].iter() }.rfind(|it| it["schoolYear"] == "2027");
    let class = { all["classes"].iter() }.rfind(|it| it["grades"] == json!(["07"]));
    let org = { all["orgs"].iter() }.find(|it| it["identifier"] == NUMBERED);
    for (path, key, whole) in [
        ("academicSessions", "academicSession", year.unwrap()),
        ("classes", "class", class.unwrap()),
        ("orgs", "org", org.unwrap()),
    ] {
        let address = format!("{}{ROSTER}/{path}/{}", client.root(), id(whole));
        assert_eq!(&client.get(&address).1[key], whole);
    }
    let said = house.events.metrics_page();
    assert!(!said.contains(r#"action="dropped_echo""#), "{said}");
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_filter_on_what_is_kept_may_hold_a_slash_however_it_is_written() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    for (value, arrives) in [
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%2Fb"),
        ("De%20Proefschool", "De%20Proefschool"),
        ("%C3%A9%26%3D%2B%23", "%C3%A9%26%3D%2B%23"),
    ] {
        let path = format!("{ROSTER}/orgs?filter=name!='{value}'");
        let others = if value.starts_with("De") { 0 } else { 3 };
        assert_eq!(client.crawl(&path, "orgs", 20).len(), others, "{value}");
        let line = format!("?filter=name%21%3D%27{arrives}%27&limit=20 ");
        let asked = house.upstream.received_text();
        let (_, last) = asked.rsplit_once("/orgs").unwrap();
        assert!(last.starts_with(&line), "{last}");
    }
    // What could be taken for something else further on.
    for value in ["a%252Fb", "a%5Cb", "a%3Bb", "a%00b", "a%2527b"] {
        let address = format!("{}{ROSTER}/orgs?filter=name='{value}'", client.root());
        let answer = client.send("GET", &address, None);
        let seen = (answer.status(), &*answer.code());
        assert_eq!(seen, (400, "query_invalid"), "{value}");
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn what_the_client_is_not_sent_it_cannot_ask_about() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    for (path, status, code) in [
        (
            "users?filter=familyName='van-der-zzq'",
            400,
            "query_invalid",
        ),
        ("users?filter=email='x'", 400, "query_invalid"),
        ("users?sort=familyName", 400, "query_invalid"),
        ("users?fields=sourcedId,email", 400, "query_invalid"),
        (&format!("users/{}", pupil(0)), 404, "target_unknown"),
        (
            &format!("users?filter=sourcedId='{}'", pupil(0)),
            404,
            "target_unknown",
        ),
        ("demographics", 404, "route_unknown"),
    ] {
        let answer = client.send("GET", &format!("{}{ROSTER}/{path}", client.root()), None);
        assert_eq!((answer.status(), &*answer.code()), (status, code), "{path}");
    }
    assert_eq!(house.upstream.received_text(), "", "nothing was forwarded");
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

/// A teacher's afternoon: a task for one class, and marks for its pupils.
struct Marking<'c, 'h> {
    client: &'c Client<'h>,
    /// The pupils of the class, in the order of the list.
    pupils: Vec<String>,
    task: Value,
}

impl<'c, 'h> Marking<'c, 'h> {
    fn of(client: &'c Client<'h>, all: &BTreeMap<&str, Vec<Value>>) -> Self {
        let class = &all["classes"][0];
        let path = format!("{ROSTER}/classes/{}/students", id(class));
        let pupils = client.crawl(&path, "users", 20);
        let link = |of: &str, path: &str, id: &str| client.link(of, path, id);
        let task = json!({
            "sourcedId": "task-1", "status": "active", "dateLastModified": "2026-11-01T08:00:00Z",
            "title": "Breuken", "description": "Hoofdstuk 3",
            "assignDate": "2026-11-01T08:00:00Z", "dueDate": "2026-11-08T08:00:00Z",
            "class": link("class", &format!("{ROSTER}/classes"), id(class)),
            "school": link("org", &format!("{ROSTER}/orgs"), id(&all["orgs"][0])),
            "category": link("category", &format!("{GRADES}/categories"), id(&all["categories"][0])),
            "resultValueMin": 0, "resultValueMax": 10,
        });
        Self {
            client,
            pupils: pupils.iter().map(|pupil| id(pupil).to_owned()).collect(),
            task,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{GRADES}/{path}", self.client.root())
    }

    /// Sets the task and marks it: pupil 0 has 0, and so on.
    fn mark(&self) {
        let body = json!({"lineItem": self.task});
        let answer = self
            .client
            .send("PUT", &self.at("lineItems/task-1"), Some(&body));
        assert_eq!(answer.status(), 201, "{}", answer.text());
        for (number, pupil) in self.pupils.iter().enumerate() {
            let body = json!({"result": self.result(&format!("score-{number}"), pupil, number)});
            let address = self.at(&format!("results/score-{number}"));
            let answer = self.client.send("PUT", &address, Some(&body));
            assert_eq!(answer.status(), 201, "{}", answer.text());
        }
    }

    fn result(&self, id: &str, pupil: &str, score: usize) -> Value {
        json!({
            "sourcedId": id, "status": "active", "dateLastModified": "2026-11-09T08:00:00Z",
            "lineItem": self.client.link("lineItem", &format!("{GRADES}/lineItems"), "task-1"),
            "student": self.client.link("user", &format!("{ROSTER}/users"), pupil),
            "scoreStatus": "fully graded", "score": score, "scoreDate": "2026-11-09T08:00:00Z",
            "comment": "goed gedaan",
        })
    }
}

#[test]
fn results_land_on_the_right_pupils() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let marking = Marking::of(&client, &all);
    marking.mark();
    let landed: Vec<Value> = { school.all("results").into_iter() }
        .filter(|it| it["lineItem"]["sourcedId"] == "bron~task-1~")
        .collect();
    assert_eq!(landed.len(), marking.pupils.len());
    for (number, result) in landed.iter().enumerate() {
        let student = &result["student"]["sourcedId"];
        let student = student
            .as_str()
            .map_or_else(|| student.to_string(), str::to_owned);
        // Every third pupil is in that class.
        assert_eq!(
            (student, &result["score"]),
            (pupil(number * 3), &json!(number))
        );
        assert_eq!(result.get("comment"), None, "free text about a child");
    }
    for (number, pupil) in marking.pupils.iter().enumerate() {
        let path = format!("{GRADES}/results?filter=student.sourcedId='{pupil}'");
        let read = client.crawl(&path, "results", 20);
        let own = read.iter().find(|it| id(it) == format!("score-{number}"));
        let own = own.unwrap_or_else(|| panic!("{read:?}"));
        assert_eq!(id(&own["lineItem"]), "task-1");
        assert_eq!(
            (id(&own["student"]), &own["score"]),
            (pupil.as_str(), &json!(number))
        );
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_result_under_a_number_lands_under_its_digits() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let marking = Marking::of(&client, &all);
    let before = school.all("results").len();
    let mut result = marking.result("12345", &marking.pupils[0], 7);
    result["sourcedId"] = json!(12345);
    result["lineItem"]["sourcedId"] = json!(678);
    let address = marking.at("results/12345");
    let body = json!({ "result": result });
    let answer = client.send("PUT", &address, Some(&body));
    assert_eq!(answer.status(), 201, "{}", answer.text());
    let landed = school.all("results").pop().unwrap();
    assert_eq!(landed["sourcedId"], "bron~12345~");
    assert_eq!(landed["lineItem"]["sourcedId"], "bron~678~");
    assert_eq!(landed["student"]["sourcedId"], pupil(0));
    let (_, read) = client.get(&address);
    assert_eq!(id(&read["result"]), "12345");
    // A pupil is nobody's number: no pseudonym is one.
    result["student"]["sourcedId"] = json!(64003);
    let body = json!({ "result": result });
    let answer = client.send("PUT", &address, Some(&body));
    let seen = (answer.status(), &*answer.code());
    assert_eq!(seen, (422, "pseudonym_unknown"));
    assert_eq!(school.all("results").len(), before + 1);
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn what_was_written_is_read_changed_and_deleted_under_the_same_id() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let marking = Marking::of(&client, &all);
    marking.mark();
    let (_, task) = client.get(&marking.at("lineItems/task-1"));
    assert_eq!(id(&task["lineItem"]), "task-1");
    // The school's own result is the same one wherever it is read.
    let theirs = &all["results"][0];
    let (_, alone) = client.get(&marking.at(&format!("results/{}", id(theirs))));
    assert_eq!(&alone["result"], theirs);
    for number in 0..marking.pupils.len() {
        let address = marking.at(&format!("results/score-{number}"));
        assert_eq!(client.send("DELETE", &address, None).status(), 204);
    }
    assert_eq!(school.all("results").len(), all["results"].len());
    let answer = client.send("GET", &marking.at("results/score-0"), None);
    assert_eq!((answer.status(), &*answer.code()), (404, "upstream_error"));
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn of_what_is_posted_the_school_says_which_id_it_got() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let marking = Marking::of(&client, &all);
    let address = marking.at(&format!("classes/{}/lineItems", id(&all["classes"][0])));
    let body = json!({"lineItems": [marking.task]});
    let answer = client.send("POST", &address, Some(&body));
    assert_eq!(answer.status(), 201, "{}", answer.text());
    let pair = answer.json()["sourcedIdPairs"][0].clone();
    assert_eq!(pair["suppliedSourcedId"], "task-1");
    let made = pair["allocatedSourcedId"].as_str().unwrap();
    let (_, task) = client.get(&marking.at(&format!("lineItems/{made}")));
    assert_eq!(id(&task["lineItem"]), made);
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_result_for_nobody_reaches_nobody() {
    let school = School::new();
    let house = open(&school);
    let client = Client::new(&house, "/vendor");
    let all = whole_school(&client);
    let marking = Marking::of(&client, &all);
    let class = id(&all["classes"][0]);
    let nobody = "00000000-0000-8000-8000-000000000000";
    for student in [&*pupil(0), class, nobody] {
        let body = json!({"result": marking.result("score-1", student, 1)});
        let answer = client.send("PUT", &marking.at("results/score-1"), Some(&body));
        let seen = (answer.status(), &*answer.code());
        assert_eq!(seen, (422, "pseudonym_unknown"), "{student}");
    }
    assert_eq!(school.all("results").len(), all["results"].len());
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

#[test]
fn a_name_that_is_made_of_an_id_comes_home_where_the_vendors_file_says_so() {
    let version = Version::V1p1;
    let school = School::speaking(version);
    let mut vendor = vendor_of(version, "/vendor").to_owned();
    vendor.push_str("\n[ids.person-label]\nback = \"school-only\"\n");
    let house = Plans {
        instead: Some(Box::leak(vendor.into_boxed_str())),
        ..Plans::default()
    }
    .open(school.serve());
    let client = Client::new(&house, "/vendor");
    let roster = version.roster();
    let users = client.crawl(&format!("{roster}/students"), "users", 5);
    for user in users.iter().take(3) {
        let username = user["username"].as_str().unwrap();
        assert!(is_label(username), "{username}");
        let path = format!("{roster}/users?filter=username='{username}'");
        let found = client.crawl(&path, "users", 5);
        assert_eq!(found.iter().map(id).collect::<Vec<_>>(), [id(user)]);
    }
    house.search(&markers(), &[("what the vendor got", &client.got.borrow())]);
}

/// Every pseudonym in what a client got, heads and bodies: a UUID, or a text that is made of an id.
fn pseudonyms(got: &[u8]) -> BTreeSet<String> {
    let text = std::str::from_utf8(got).unwrap();
    let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-');
    let found = words.filter(|word| is_uuid(word) || is_label(word));
    found.map(str::to_owned).collect()
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    let hex = |it: char| it == '-' || it.is_ascii_digit() || ('a'..='f').contains(&it);
    lengths == [8, 4, 4, 4, 12] && word.chars().all(hex)
}

fn is_label(word: &str) -> bool {
    word.len() == 12 && word.chars().all(|it| matches!(it, 'a'..='z' | '2'..='7'))
}

/// What stands where a document has an id or a text that is made of one.
fn named(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named(item, into)),
        Value::Object(fields) => {
            let own = ["sourcedId", "href", "courseCode", "username"];
            for (key, value) in fields {
                let text = value.as_str().filter(|_| own.contains(&key.as_str()));
                let last = text.map(|text| text.rsplit('/').next().unwrap_or(text));
                // The name of whoever is not sent is made up for everyone.
                into.extend(last.filter(|it| *it != "-").map(str::to_owned));
                named(value, into);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn two_vendors_that_crawl_the_same_school_share_no_value_among_all_ids() {
    must_share_nothing(Version::V1p2);
}

#[test]
fn two_vendors_of_the_older_version_share_no_value_among_all_ids() {
    must_share_nothing(Version::V1p1);
}

fn must_share_nothing(version: Version) {
    let school = School::speaking(version);
    let house = open_of(version, &school);
    let [one, other] = ["/vendor", "/other"].map(|at| {
        let client = Client::new(&house, at);
        let all = whole_school_of(version, &client);
        let got = client.got.take();
        let found = pseudonyms(&got);
        // Whatever an id stands in is known for one.
        let mut ids = BTreeSet::new();
        all.values()
            .flatten()
            .for_each(|item| named(item, &mut ids));
        let odd: Vec<&String> = ids.difference(&found).collect();
        assert!(odd.is_empty(), "{odd:?}");
        house.search(&markers(), &[("what the vendor got", &got)]);
        found
    });
    assert_eq!(one.len(), other.len());
    // An id and a name of each pupil and teacher, an id of each enrolment, and what else there is.
    assert!(one.len() > 3 * PUPILS, "{}", one.len());
    let shared: Vec<&String> = one.intersection(&other).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn what_one_vendor_was_given_is_nobodys_to_another() {
    let school = School::new();
    let house = open(&school);
    let (one, other) = (
        Client::new(&house, "/vendor"),
        Client::new(&house, "/other"),
    );
    let users = one.crawl(&format!("{ROSTER}/students"), "users", 20);
    let before = house.upstream.received();
    for path in [
        format!("{ROSTER}/users/{}", id(&users[0])),
        format!("{ROSTER}/users?filter=sourcedId='{}'", id(&users[0])),
    ] {
        let answer = other.send("GET", &format!("{}{path}", other.root()), None);
        let seen = (answer.status(), &*answer.code());
        assert_eq!(seen, (404, "target_unknown"), "{path}");
    }
    let token = Client {
        token: one.token.clone(),
        ..other
    };
    let answer = token.send("GET", &format!("{}{ROSTER}/users", token.root()), None);
    assert_eq!(
        (answer.status(), &*answer.code()),
        (401, "caller_unauthenticated")
    );
    assert_eq!(house.upstream.received(), before, "nothing was forwarded");
    // To the vendor it is as if nobody were there; the operator is told that it was tried.
    house.await_log("vendor.foreign_pseudonym");
    let metrics = house.events.metrics_page();
    let tried =
        r#"sluis_fields_total{action="pseudonym_foreign",direction="from_vendor",vendor="boek"} 2"#;
    assert!(metrics.contains(tried), "{metrics}");
    let got = [one.got.take(), token.got.take()].concat();
    house.search(&markers(), &[("what the vendors got", &got)]);
}
