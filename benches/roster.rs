//! A made-up page of OneRoster 1.2 users and the policy that the benchmarks rewrite it under.
//!
//! Made-up pupils, about 1.76 KB each, always the same: a counter instead of a random number.

use std::fmt::Write as _;
use std::sync::Arc;

use sluis::config::{Context, Presets, Problems, SourceFile, read_vendor};
use sluis::limits::Limits;
use sluis::minimise::Law;
use sluis::names::VendorId;
use sluis::policy::{Content, Rule};
use sluis::pseudonym::{Generation, VendorKey};

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
pub(crate) fn page(count: usize) -> Vec<u8> {
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

/// The policy that proxies are compared under, with a test key, and the rule for what it lets a
/// vendor pull.
pub(crate) fn law() -> (Arc<Law>, Rule) {
    let text = include_str!("peers/config/schools/bench/vendors/bench.toml");
    let file = SourceFile::new("bench.toml", text.to_owned());
    let (id, mut problems) = (VendorId::parse("bench").unwrap(), Problems::new());
    let (presets, context) = (Presets::shipped(), Context::default());
    let draft = read_vendor(&file, &id, &presets, &context, &mut problems).unwrap();
    let Content::Json(rule) = draft.policy.flows[0].routes[0].to_vendor else {
        panic!("the route answers with JSON");
    };
    let key = VendorKey::from([7; 32]);
    let newest = Generation::new(1, &key, draft.kind_specs);
    (
        Arc::new(Law {
            policy: draft.policy,
            generations: Arc::new([newest]),
            limits: Limits::default(),
        }),
        rule,
    )
}
