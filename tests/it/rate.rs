//! How often one caller may ask.

use std::time::Duration;

use sluis::clock::Clock;

use crate::harness::{
    HOST, House, Markers, Message, PULL_TOKEN, PUSH_TOKEN, Plans, Upstream, digest,
};

const SECRET: &str = "fake-zzq-secret-of-the-client";

/// A house in which every flow of the vendor has that rate, with a flow of three callers.
fn house(rate: &str) -> House {
    let upstream = Upstream::json(r#"{"users":[]}"#);
    let more = format!(
        r#"
[limits]
rate = "{rate}"

[flow.three]
caller = "vendor"
at = "/three"
upstream = "http://{}"
callers = [
    {{ token-sha256 = "{}" }},
    {{ token-sha256 = "{}" }},
    {{ oauth2 = "client", secret-sha256 = "{}" }},
]
[[flow.three.route]]
match = "GET /users"
to-vendor = {{ users = "User[]" }}

[flow.open]
caller = "vendor"
at = "/open"
rate = "2/s"
upstream = "http://{}"
callers = "anyone"
[[flow.open.route]]
match = "GET /users"
"#,
        upstream.address,
        digest(PULL_TOKEN),
        digest(PUSH_TOKEN),
        digest(SECRET),
        upstream.address
    );
    let clock = Clock::test(1_790_000_000);
    Plans {
        more,
        clock,
        ..Plans::default()
    }
    .open(upstream)
}

fn asks(house: &House, path: &str, token: &str) -> Message {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n");
    house.ask(format!("{head}authorization: Bearer {token}\r\n\r\n"))
}

/// How many of so many requests at one moment are let through; each other is told when to come.
fn let_through(house: &House, path: &str, token: &str, of: usize) -> usize {
    let answers: Vec<Message> = (0..of).map(|_| asks(house, path, token)).collect();
    for answer in answers.iter().filter(|answer| answer.status() != 200) {
        assert_eq!((answer.status(), &*answer.code()), (429, "rate_limited"));
        assert_eq!(answer.lines("retry-after"), ["1"]);
    }
    answers
        .iter()
        .filter(|answer| answer.status() == 200)
        .count()
}

#[test]
fn a_caller_that_asks_more_often_than_its_rate_is_told_when_to_come_again() {
    let house = house("5/s");
    assert_eq!(let_through(&house, "/three/users", PULL_TOKEN, 8), 5);
    house.clock.turn(Duration::from_millis(200));
    assert_eq!(let_through(&house, "/three/users", PULL_TOKEN, 3), 1);
    house.clock.turn(Duration::from_secs(60));
    assert_eq!(let_through(&house, "/three/users", PULL_TOKEN, 8), 5);
    let page = house.events.metrics_page();
    let counted = "sluis_refusals_total{reason=\"rate_limited\",vendor=\"bron\"} 8";
    assert!(page.contains(counted), "{page}");
    let forwarded = house.upstream.received_text().matches("GET /users").count();
    assert_eq!(forwarded, 11, "nothing of what was refused went on");
    house.search(&Markers::of(&[PULL_TOKEN]), &[]);
}

#[test]
fn a_rate_a_minute_says_how_many_seconds_to_wait() {
    let house = house("6/min");
    assert_eq!(asks(&house, "/three/users", PULL_TOKEN).status(), 200);
    let answer = asks(&house, "/three/users", PULL_TOKEN);
    assert_eq!(
        (answer.status(), answer.lines("retry-after")),
        (429, vec!["10"])
    );
    house.clock.turn(Duration::from_secs(10));
    assert_eq!(asks(&house, "/three/users", PULL_TOKEN).status(), 200);
    house.search(&Markers::of(&[PULL_TOKEN]), &[]);
}

#[test]
fn one_caller_does_not_use_up_what_another_may_ask() {
    let house = house("3/s");
    let form = format!("grant_type=client_credentials&client_id=client&client_secret={SECRET}");
    let fetch = || {
        house.ask(format!(
            "POST /three/oauth/token HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        ))
    };
    let token = fetch().json()["access_token"].as_str().unwrap().to_owned();
    for caller in [PULL_TOKEN, PUSH_TOKEN, &token] {
        assert_eq!(let_through(&house, "/three/users", caller, 4), 3);
    }
    let tokens = (0..4).map(|_| {
        let answer = fetch();
        (answer.status(), answer.lines("retry-after").join(","))
    });
    let seen = [(200, ""), (200, ""), (429, "1"), (429, "1")];
    let seen = seen.map(|(status, wait)| (status, wait.to_owned()));
    assert_eq!(tokens.collect::<Vec<_>>(), seen, "tokens are counted apart");
    assert_eq!(
        let_through(&house, "/pull/users", PULL_TOKEN, 4),
        3,
        "and so is every flow"
    );
    house.search(&Markers::of(&[SECRET, &token]), &[]);
}

#[test]
fn a_flow_has_its_own_rate_and_who_is_not_listed_shares_it() {
    let house = house("50/s");
    assert_eq!(let_through(&house, "/open/users", "zzq-anybody", 5), 2);
    house.search(&Markers::of(&["zzq-anybody"]), &[]);
}

#[test]
fn strangers_use_up_nothing() {
    let house = house("2/s");
    for _ in 0..5 {
        assert_eq!(asks(&house, "/three/users", "zzq-stranger").status(), 401);
    }
    assert_eq!(let_through(&house, "/three/users", PULL_TOKEN, 3), 2);
    house.search(&Markers::of(&["zzq-stranger"]), &[]);
}
