//! A made-up page of OneRoster 1.2 users and the policy that the benchmarks rewrite it under.
//!
//! Made-up pupils, about 1.76 KB each, always the same: a counter instead of a random number.

use std::fmt::Write as _;
use std::sync::Arc;

use sluis::limits::Limits;
use sluis::minimise::Law;
use sluis::policy::{
    Field, Fields, IdKind, Index, Item, Keep, Policy, Rule, Shape, ShapeBody, Unlisted, ValueType,
};
use sluis::pseudonym::{Canonical, Kind, KindSpec, Notation, VendorKey};

const FIRST: [&str; 8] = [
    "Emma", "Noah", "Zoë", "Liam", "Jaïr", "Fenna", "Ömer", "Yara",
];
const LAST: [&str; 6] = [
    "de Jong",
    "Jansen",
    "van den Berg",
    "Bakker",
    "Yılmaz",
    "El Amrani",
];

/// A page of `count` users as a school's API sends it, compact.
pub fn page(count: usize) -> Vec<u8> {
    let users: Vec<String> = (0..count).map(user).collect();
    format!("{{\"users\":[{}]}}", users.join(",")).into_bytes()
}

fn id(kind: usize, number: usize) -> String {
    format!(
        "{:08x}-{kind:04x}-4a5e-9b7e-{:012x}",
        number * 2_654_435_761 % 0xFFFF_FFFF,
        number * 97
    )
}

fn user(number: usize) -> String {
    let (first, last) = (FIRST[number % 8], LAST[number % 6]);
    let base = "https://school.example/ims/oneroster/rostering/v1p2";
    let (own, org, parent) = (id(1, number), id(2, number % 5), id(3, number));
    let org = format!(r#"{{"href":"{base}/orgs/{org}","sourcedId":"{org}","type":"org"}}"#);
    let mut text = String::new();
    write!(
        text,
        r#"{{"sourcedId":"{own}","status":"active","dateLastModified":"2026-09-{:02}T11:{:02}:00.000Z","metadata":{{"leerlingnummer":"{}","note":null}},"userMasterIdentifier":"{}","username":"{}.{number}","userIds":[{{"type":"LDAP","identifier":"{}{number}@school.example"}},{{"type":"ECKiD","identifier":"https://ketenid.example/201703/{:0128x}"}}],"enabledUser":"true","givenName":"{first}","familyName":"{last}","middleName":"","preferredFirstName":"{first}","preferredLastName":"{last}","pronouns":"she/her/hers","roles":[{{"roleType":"primary","role":"student","org":{org},"beginDate":"2026-08-01","endDate":"2027-07-31","userProfile":"{}"}}],"userProfiles":[{{"profileId":"{}","profileType":"LMS","vendorId":"vendor-1","applicationId":"app-7","description":"Methode rekenen","credentials":[{{"type":"password","username":"{}","password":"fake-Welkom01!"}}]}}],"primaryOrg":{org},"identifier":"{:09}","email":"{}.{number}@leerling.school.example","sms":"+31600{:06}","phone":"+31200{:06}","agents":[{{"href":"{base}/users/{parent}","sourcedId":"{parent}","type":"user"}}],"grades":["{:02}"],"password":""}}"#,
        number % 28 + 1, number % 60, 100_000 + number, id(4, number), first.to_lowercase(),
        first.to_lowercase(), number, id(5, number), id(6, number), first.to_lowercase(), number,
        first.to_lowercase(), number, number, number % 8 + 1,
    )
    .unwrap();
    text
}

/// The policy: 4 identifiers a pupil replaced, 19 of about 50 values kept.
pub fn law() -> (Arc<Law>, Rule) {
    let index = |place| Index::<Shape>::new(place).unwrap();
    let keep = Rule::Keep(Keep {
        of: ValueType::Any,
        rules: None,
    });
    let pupil = Rule::Identifier(Index::new(0).unwrap());
    let shape = |name: &str, lines: &[(&str, Rule)]| Shape {
        name: name.to_owned(),
        body: ShapeBody::Fields(Fields::new(
            lines
                .iter()
                .map(|(key, rule)| Field {
                    key: (*key).into(),
                    rule: *rule,
                })
                .collect(),
            None,
            Unlisted::Drop,
        )),
    };
    let list = |shape| Rule::List(Item::Object(index(shape)));
    let user = [
        ("sourcedId", pupil),
        ("status", keep),
        ("dateLastModified", keep),
        ("username", pupil),
        ("enabledUser", keep),
        ("roles", list(2)),
        ("primaryOrg", Rule::Object(index(3))),
        ("identifier", pupil),
        ("agents", list(4)),
        (
            "grades",
            Rule::List(Item::Keep(Keep {
                of: ValueType::Any,
                rules: None,
            })),
        ),
    ];
    let role = [
        ("roleType", keep),
        ("role", keep),
        ("org", Rule::Object(index(3))),
        ("beginDate", keep),
        ("endDate", keep),
    ];
    let policy = Policy {
        shapes: vec![
            shape("Users", &[("users", list(1))]),
            shape("User", &user),
            shape("Role", &role),
            shape("Org", &[("sourcedId", keep), ("type", keep)]),
            shape("Agent", &[("sourcedId", pupil), ("type", keep)]),
        ],
        kinds: vec![IdKind {
            name: "pupil".to_owned(),
        }],
        ..Policy::default()
    };
    let spec = KindSpec {
        name: "pupil".to_owned(),
        canonical: Canonical::new(Vec::new()),
        notation: Notation::Text(26),
    };
    let kinds = vec![Kind::new(&VendorKey::from([7; 32]), spec)];
    (
        Arc::new(Law {
            policy,
            kinds,
            limits: Limits::default(),
        }),
        Rule::Object(index(0)),
    )
}
