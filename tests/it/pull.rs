//! A vendor pulls: what it gets of the school's answer.

use crate::harness::upstream::ok;
use crate::harness::{House, Markers, Upstream, pull};

/// A roster with what must not leave.
const ROSTER: &str = r#"{"users":[
 {"sourcedId":"pupil-zzq-901","grade":7,"role":"student","givenName":"Fenna-zzq-given"},
 {"sourcedId":"pupil-zzq-902","grade":8,"role":"student","phone":"0800-zzq-phone","x":{"y":[1]}}],
 "secret-zzq-key":"secret-zzq-value"}"#;

fn markers() -> Markers {
    Markers::of(&[
        "pupil-zzq-901",
        "pupil-zzq-902",
        "Fenna-zzq-given",
        "0800-zzq-phone",
        "secret-zzq-key",
        "secret-zzq-value",
    ])
}

#[test]
fn a_vendor_gets_what_its_policy_names_and_nothing_else() {
    markers().assert_present("the roster", ROSTER.as_bytes());
    let house = House::open(Upstream::json(ROSTER));
    let mut caller = house.caller();
    caller.send(pull("/pull/users?limit=2"));
    let answer = caller.answer();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let json = answer.json();
    let users = json["users"].as_array().unwrap();
    assert_eq!(users.len(), 2);
    for (user, grade) in users.iter().zip([7, 8]) {
        let id = user["sourcedId"].as_str().unwrap();
        assert_eq!(
            (id.len(), &id[14..15]),
            (36, "8"),
            "a UUID of version 8: {id}"
        );
        assert_eq!(
            (&user["grade"], &user["role"]),
            (&grade.into(), &"student".into())
        );
        assert_eq!(user.as_object().unwrap().len(), 3);
    }
    assert_eq!(json.as_object().unwrap().len(), 1);
    let names = [
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "via",
    ];
    assert_eq!(answer.names(), names, "{}", answer.head);
    house.search(
        &markers(),
        &[("what the vendor got", &caller.seen.lock().unwrap())],
    );
}

#[test]
fn an_upstream_gets_a_head_of_our_own() {
    let house = House::open(Upstream::json(ROSTER));
    let more = "cookie: session=zzq-cookie\r\nuser-agent: zzq-agent\r\nx-forwarded-for: 203.0.113.9\r\n\
         referer: https://zzq.example/\r\naccept-language: nl-zzq\r\ntraceparent: 00-zzq-trace\r\n\r\n";
    let request = pull("/pull/users?limit=2").replace("\r\n\r\n", &format!("\r\n{more}"));
    assert_eq!(house.ask(request).status(), 200);
    let upstream = house.upstream.address;
    assert_eq!(
        house.upstream.received_text(),
        format!(
            "GET /api/users?limit=2 HTTP/1.1\r\nhost: {upstream}\r\naccept: application/json\r\n\
             accept-encoding: identity\r\nuser-agent: sluis\r\nvia: 1.1 sluis\r\n\r\n"
        )
    );
}

#[test]
fn connections_are_kept_on_both_sides() {
    let house = House::open(Upstream::answering(ok(ROSTER)));
    let mut caller = house.caller();
    for _ in 0..5 {
        caller.send(pull("/pull/users"));
        assert_eq!(caller.answer().status(), 200);
    }
    assert_eq!(house.upstream.connections(), 1);
}
