//! A made-up school: everyone in it is invented, and no number could be somebody's.

use serde_json::{Value, json};

const DOMAIN: &str = "deregenboog.example";
const CHANGED: &str = "2026-09-01T06:00:00.000Z";

const GIVEN: [&str; 12] = [
    "Noor", "Daan", "Yasmin", "Bram", "Lieke", "Milan", "Fenna", "Karim", "Roos", "Joris", "Aylin",
    "Teun",
];
const FAMILY: [&str; 12] = [
    "van Dijk",
    "Achterberg",
    "Bouzidi",
    "de Vries",
    "Hoekstra",
    "Kaya",
    "Lindeman",
    "Mulder",
    "Oosterhuis",
    "Pieters",
    "Ramdin",
    "Terpstra",
];
const GROUPS: [(&str, &str); 2] = [("7A", "07"), ("8B", "08")];

/// One person at the school.
#[derive(Clone, Debug)]
pub(super) struct Person {
    role: Role,
    /// The place in the school's own list, from 1.
    place: usize,
    pub(super) id: String,
    given: &'static str,
    family: &'static str,
    group: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Parent,
    Pupil,
    Teacher,
}

/// What the school's own systems know.
#[derive(Debug)]
pub(super) struct School {
    people: Vec<Person>,
}

impl School {
    /// 24 pupils in two groups, a parent of each, and the two teachers.
    pub(super) fn new() -> Self {
        let pupils = (1..=24).map(|place| Person::new(Role::Pupil, place));
        let teachers = (1..=2).map(|place| Person::new(Role::Teacher, place));
        let parents = (1..=24).map(|place| Person::new(Role::Parent, place));
        Self {
            people: pupils.chain(teachers).chain(parents).collect(),
        }
    }

    /// The pupil that the demo shows.
    pub(super) fn pupil(&self) -> Option<&Person> {
        self.people.first()
    }

    pub(super) fn pupils(&self) -> impl Iterator<Item = &Person> {
        self.people
            .iter()
            .filter(|person| person.role == Role::Pupil)
    }

    /// All items of a collection of OneRoster 1.2; `None` if there is no such collection here.
    pub(super) fn collection(&self, name: &str) -> Option<Vec<Value>> {
        match name {
            "users" => Some(self.people.iter().map(Person::user).collect()),
            "classes" => Some(GROUPS.iter().map(|group| class(*group)).collect()),
            "enrollments" => {
                let members = self
                    .people
                    .iter()
                    .filter(|person| person.role != Role::Parent);
                Some(members.map(Person::enrollment).collect())
            }
            _ => None,
        }
    }

    /// How many people there are.
    pub(super) const fn size(&self) -> usize {
        self.people.len()
    }

    /// All that the school's systems hold and send, as one text.
    pub(super) fn everything(&self) -> String {
        let collections = ["users", "classes", "enrollments"];
        let lists = collections
            .iter()
            .filter_map(|name| self.collection(name))
            .map(Value::from);
        let pushed = self.pupils().map(|pupil| pupil.pushed().1);
        lists
            .chain(pushed)
            .map(|document| document.to_string())
            .collect()
    }

    /// What must reach no vendor: of every person the names, numbers, addresses and passwords, and
    /// what could be told from a class.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = self.people.iter().flat_map(Person::secrets).collect();
        secrets.extend(
            GROUPS
                .iter()
                .flat_map(|(name, _)| [group_id(name), title(name)]),
        );
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

impl Person {
    fn new(role: Role, place: usize) -> Self {
        let letter = match role {
            Role::Parent => 'O',
            Role::Pupil => 'L',
            Role::Teacher => 'M',
        };
        // Siblings share a family name; parents take that of their child.
        let pick = |names: &[&'static str; 12], step: usize| {
            let at = place.saturating_mul(step).checked_rem(names.len());
            at.and_then(|at| names.get(at)).copied().unwrap_or_default()
        };
        let given = match role {
            Role::Parent => pick(&GIVEN, 7),
            Role::Pupil => pick(&GIVEN, 5),
            Role::Teacher => pick(&GIVEN, 11),
        };
        Self {
            role,
            place,
            id: format!("{letter}-{place:04}"),
            given,
            family: pick(&FAMILY, 1),
            group: place.checked_rem(GROUPS.len()).unwrap_or_default(),
        }
    }

    fn group(&self) -> (&'static str, &'static str) {
        GROUPS.get(self.group).copied().unwrap_or_default()
    }

    fn login(&self) -> String {
        let family = self.family.replace(' ', "").to_lowercase();
        let first = match self.role {
            Role::Parent => "ouder".to_owned(),
            Role::Pupil => self.given.to_lowercase(),
            Role::Teacher => self.given.chars().take(1).collect(),
        };
        format!("{first}.{family}{}", self.place)
    }

    fn email(&self) -> String {
        format!("{}@{DOMAIN}", self.login())
    }

    /// Nine digits that no person can have: they begin with 9999 and fail the 11-test.
    fn number(&self) -> String {
        let offset = match self.role {
            Role::Parent => 4_000_usize,
            Role::Pupil => 1_000,
            Role::Teacher => 8_000,
        };
        let number = offset.saturating_add(self.place.saturating_mul(2));
        let text = |number| format!("9999{number:05}");
        let first = text(number);
        if passes_11_test(&first) {
            text(number.saturating_add(1))
        } else {
            first
        }
    }

    /// A number that no exchange gives out.
    fn phone(&self) -> String {
        let line = match self.role {
            Role::Parent => 7_000_usize,
            Role::Pupil => 1_000,
            Role::Teacher => 9_000,
        };
        format!("06-0000{:04}", line.saturating_add(self.place))
    }

    fn password(&self) -> String {
        format!("not-a-password-{}", self.id)
    }

    fn birth_date(&self) -> String {
        let day = self
            .place
            .checked_rem(27)
            .unwrap_or_default()
            .saturating_add(1);
        let month = self
            .place
            .checked_rem(12)
            .unwrap_or_default()
            .saturating_add(1);
        format!("2015-{month:02}-{day:02}")
    }

    /// As OneRoster 1.2 has it, with all that such systems put in.
    fn user(&self) -> Value {
        let mut user = json!({
            "sourcedId": self.id,
            "status": "active",
            "dateLastModified": CHANGED,
            "username": self.login(),
            "userIds": [{ "type": "LDAP", "identifier": self.login() }],
            "enabledUser": "true",
            "givenName": self.given,
            "familyName": self.family,
            "roles": [{
                "roleType": "primary",
                "role": self.role.in_oneroster(),
                "org": link("orgs", "regenboog", "org"),
            }],
            "identifier": self.number(),
            "email": self.email(),
            "sms": self.phone(),
            "password": self.password(),
            "metadata": { "pupilNumber": self.number() },
        });
        if let (Role::Pupil, Some(fields)) = (self.role, user.as_object_mut()) {
            let parent = format!("O-{:04}", self.place);
            fields.insert("agents".to_owned(), json!([link("users", &parent, "user")]));
            fields.insert("grades".to_owned(), json!([self.group().1]));
        }
        user
    }

    fn enrollment(&self) -> Value {
        let (group, _) = self.group();
        json!({
            "sourcedId": format!("enr-{}-{group}", self.id),
            "status": "active",
            "dateLastModified": CHANGED,
            "user": link("users", &self.id, "user"),
            "class": link("classes", &group_id(group), "class"),
            "school": link("orgs", "regenboog", "org"),
            "role": self.role.in_oneroster(),
            "beginDate": "2026-08-31",
        })
    }

    /// The path and the body with which the school's own system pushes a pupil to Toetsbron.
    pub(super) fn pushed(&self) -> (String, Value) {
        let (group, _) = self.group();
        let path = format!("/groups/{}/pupils/{}", group_id(group), self.id);
        let body = json!({
            "id": self.id,
            "displayName": format!("{} {}", self.given, self.family),
            "birthDate": self.birth_date(),
            "language": "nl",
            "support": "dyslexie",
            "photo": format!("https://las.{DOMAIN}/photos/{}.jpg", self.id),
        });
        (path, body)
    }

    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![
            self.id.clone(),
            self.given.to_owned(),
            self.family.to_owned(),
            self.login(),
            self.email(),
            self.number(),
            self.phone(),
            self.password(),
        ];
        if self.role == Role::Pupil {
            secrets.push(self.birth_date());
        }
        secrets
    }
}

impl Role {
    const fn in_oneroster(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Pupil => "student",
            Self::Teacher => "teacher",
        }
    }
}

fn group_id(group: &str) -> String {
    format!("groep-{group}")
}

/// Free text, as schools write it.
fn title(group: &str) -> String {
    format!("Groep {group} van juf Roos")
}

fn class((group, grade): (&str, &str)) -> Value {
    json!({
        "sourcedId": group_id(group),
        "status": "active",
        "dateLastModified": CHANGED,
        "title": title(group),
        "classType": "homeroom",
        "grades": [grade],
        "course": link("courses", "rekenen", "course"),
        "school": link("orgs", "regenboog", "org"),
        "terms": [link("terms", "2026", "academicSession")],
    })
}

fn link(collection: &str, id: &str, kind: &str) -> Value {
    json!({
        "href": format!("https://sis.{DOMAIN}/ims/oneroster/rostering/v1p2/{collection}/{id}"),
        "sourcedId": id,
        "type": kind,
    })
}

/// Whether nine digits have the form of a citizen service number (BSN).
fn passes_11_test(digits: &str) -> bool {
    let weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
    let digits = digits
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .map(i64::from);
    let products = digits
        .zip(weights)
        .map(|(digit, weight)| digit.saturating_mul(weight));
    products.fold(0, i64::saturating_add).checked_rem(11) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_could_be_real() {
        assert!(passes_11_test("111222333"));
        let school = School::new();
        assert_eq!(school.people.len(), 50);
        for person in &school.people {
            assert!(!passes_11_test(&person.number()), "{person:?}");
            assert!(person.phone().starts_with("06-0000") && person.email().ends_with(".example"));
        }
    }

    #[test]
    fn everyone_has_an_id_number_and_address_of_their_own() {
        let school = School::new();
        let of = [Person::number, Person::phone, Person::email];
        for value in of {
            let mut all: Vec<String> = school.people.iter().map(value).collect();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), school.people.len());
        }
    }

    #[test]
    fn every_secret_stands_in_what_the_school_has() {
        let school = School::new();
        let all = school.everything();
        let missing: Vec<String> = school
            .secrets()
            .into_iter()
            .filter(|secret| !all.contains(secret))
            .collect();
        assert_eq!(missing, [""; 0]);
        assert!(school.secrets().len() > 300);
    }
}
