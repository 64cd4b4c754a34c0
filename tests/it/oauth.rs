//! Callers that fetch tokens from the gateway (RFC 6749 section 4.4), and show them to it.

use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use sluis::clock::Clock;

use crate::harness::{HOST, House, Markers, Message, PULL_TOKEN, Plans, Upstream, digest};

const CLIENT: &str = "rekenwijs-zzq";
const SECRET: &str = "fake-zzq-secret+of/the=client";
const OTHER_CLIENT: &str = "toetsbron-zzq";
const OTHER_SECRET: &str = "fake-zzq-secret-of-another-client";
const READ: &str = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.readonly";
const GRANT: &str = "grant_type=client_credentials";
/// A moment at which the agreement of the harness is in force.
const NOW: u64 = 1_790_000_000;

/// Two flows with clients, to one upstream; lines of `[flow.one]` besides the usual.
fn flows(upstream: &Upstream, lines: &str) -> String {
    let flow = |name: &str, callers: &str, lines: &str| {
        format!(
            r#"
[flow.{name}]
caller = "vendor"
at = "/{name}"
upstream = "http://{}"
callers = [{callers}]
{lines}
[[flow.{name}.route]]
match = "GET /users"
to-vendor = {{ users = "User[]" }}
"#,
            upstream.address
        )
    };
    let client = |id: &str, secret: &str, more: &str| {
        let digest = digest(secret);
        format!(r#"{{ oauth2 = "{id}", secret-sha256 = "{digest}"{more} }}"#)
    };
    let scopes = format!(r#", scopes = ["{READ}", "demographics"]"#);
    let one = client(CLIENT, SECRET, "");
    let both = [
        one.clone(),
        client(OTHER_CLIENT, OTHER_SECRET, &scopes),
        format!(r#"{{ token-sha256 = "{}" }}"#, digest(PULL_TOKEN)),
    ];
    flow("one", &both.join(", "), lines) + &flow("two", &one, "")
}

fn plans(upstream: &Upstream, lines: &str) -> Plans {
    Plans {
        more: flows(upstream, lines),
        clock: Clock::test(NOW),
        meant: &[CLIENT, OTHER_CLIENT],
        ..Plans::default()
    }
}

fn house() -> House {
    let upstream = Upstream::json(r#"{"users":[]}"#);
    plans(&upstream, "").open(upstream)
}

fn basic(client: &str, secret: &str) -> String {
    let both = BASE64.encode(format!("{client}:{secret}").as_bytes());
    format!("authorization: Basic {both}\r\n")
}

/// A request for a token, with these lines and this form.
fn asks(flow: &str, lines: &str, form: &str) -> String {
    let length = form.len();
    format!(
        "POST /{flow}/oauth/token HTTP/1.1\r\nhost: {HOST}\r\n{lines}\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    )
}

fn shows(flow: &str, token: &str) -> String {
    format!("GET /{flow}/users HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\n\r\n")
}

/// The token of an answer, after checking that all of it is as RFC 6749 section 5.1 has it.
fn token(answer: &Message) -> String {
    assert_eq!(answer.status(), 200, "{} {}", answer.head, answer.text());
    assert_eq!(answer.lines("content-type"), ["application/json"]);
    assert_eq!(answer.lines("cache-control"), ["no-store"]);
    assert_eq!(answer.lines("pragma"), ["no-cache"]);
    let json = answer.json();
    assert_eq!(
        (&json["token_type"], &json["expires_in"]),
        (&"Bearer".into(), &3_600.into())
    );
    json["access_token"].as_str().unwrap().to_owned()
}

fn fetch(house: &House, flow: &str) -> String {
    token(&house.ask(asks(flow, &basic(CLIENT, SECRET), GRANT)))
}

/// Asks for a token in vain, and checks what RFC 6749 section 5.2 says of the answer.
fn refused(
    house: &House,
    request: impl AsRef<[u8]>,
    error: &str,
    status: u16,
    code: &str,
) -> Message {
    let answer = house.ask(request);
    let json = answer.json();
    let seen = (answer.status(), json["error"].as_str().unwrap());
    assert_eq!(seen, (status, error), "{} {}", answer.head, answer.text());
    assert_eq!(answer.lines("content-type"), ["application/json"]);
    assert_eq!(answer.lines("cache-control"), ["no-store"]);
    assert_eq!(answer.lines("pragma"), ["no-cache"]);
    let details = format!("details=\"{code}\"");
    assert!(
        answer.lines("proxy-status")[0].ends_with(&details),
        "{}",
        answer.head
    );
    let challenge: &[&str] = match status {
        401 => &["Basic realm=\"sluis\""],
        _ => &[],
    };
    assert_eq!(answer.lines("www-authenticate"), challenge);
    answer
}

fn not_taken(house: &House, request: impl AsRef<[u8]>) {
    let answer = house.ask(request);
    assert_eq!(
        (answer.status(), &*answer.code()),
        (401, "caller_unauthenticated")
    );
    assert_eq!(
        answer.lines("www-authenticate"),
        ["Bearer error=\"invalid_token\""]
    );
}

/// No secret and no token in log or metrics, however it is written.
fn search(house: &House, tokens: &[&str]) {
    let mut texts = vec![SECRET, OTHER_SECRET, CLIENT, OTHER_CLIENT];
    texts.extend(tokens);
    let form = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
    let digest = digest(SECRET);
    texts.extend([&*form, &*digest]);
    house.search(
        &Markers::of(&texts),
        &[("the upstream", &house.upstream.received())],
    );
}

#[test]
fn a_client_fetches_a_token_with_basic_and_is_let_in_with_it() {
    let house = house();
    let answer = house.ask(asks("one", &basic(CLIENT, SECRET), GRANT));
    let token = token(&answer);
    assert!(
        answer.json().get("scope").is_none(),
        "no scopes are configured"
    );
    assert_eq!(house.ask(shows("one", &token)).status(), 200);
    assert_eq!(
        house.ask(shows("one", PULL_TOKEN)).status(),
        200,
        "beside those with tokens"
    );
    assert_eq!(
        house.upstream.connections(),
        1,
        "fetching a token asks nobody else"
    );
    search(&house, &[&token]);
}

#[test]
fn a_client_fetches_a_token_with_a_form_and_is_let_in_with_it() {
    let house = house();
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", CLIENT), ("client_secret", SECRET)])
        .append_pair("grant_type", "client_credentials")
        .finish();
    let token = token(&house.ask(asks("one", "", &form)));
    assert_eq!(house.ask(shows("one", &token)).status(), 200);
    let chunked = format!(
        "POST /one/oauth/token HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\
         content-type: application/x-www-form-urlencoded;charset=UTF-8\r\n\r\n\
         {:x}\r\n{form}\r\n0\r\n\r\n",
        form.len()
    );
    let again = self::token(&house.ask(chunked));
    assert_eq!(again, token, "at the same moment, for the same client");
    search(&house, &[&token]);
}

#[test]
fn a_client_that_encodes_its_secret_is_the_one_that_does_not() {
    let house = house();
    let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    token(&house.ask(asks("one", &basic(CLIENT, &encoded), GRANT)));
    search(&house, &[&encoded]);
}

#[test]
fn scopes_are_granted_as_far_as_they_are_configured() {
    let house = house();
    let ask = |form: &str| house.ask(asks("one", &basic(OTHER_CLIENT, OTHER_SECRET), form));
    let all = ask(GRANT);
    assert_eq!(all.json()["scope"], format!("{READ} demographics"));
    let one = ask(&format!("{GRANT}&scope=demographics"));
    assert_eq!(one.json()["scope"], "demographics");
    let granted = token(&one);
    assert_eq!(house.ask(shows("one", &granted)).status(), 200);
    for scope in [
        "everything",
        "demographics+everything",
        "demographics++",
        "+",
    ] {
        let form = format!("{GRANT}&scope={scope}");
        let request = asks("one", &basic(OTHER_CLIENT, OTHER_SECRET), &form);
        refused(&house, request, "invalid_scope", 400, "scope_unknown");
    }
    let ignored = format!("{GRANT}&scope=everything");
    let answer = house.ask(asks("one", &basic(CLIENT, SECRET), &ignored));
    token(&answer);
    assert!(answer.json().get("scope").is_none());
    search(&house, &[&granted, "everything"]);
}

#[test]
fn who_does_not_know_the_secret_gets_no_token() {
    let house = house();
    let wrong = "fake-zzq-wrong-secret";
    let form =
        |client: &str, secret: &str| format!("{GRANT}&client_id={client}&client_secret={secret}");
    for request in [
        asks("one", "", GRANT),
        asks("one", &basic(CLIENT, wrong), GRANT),
        asks("one", &basic("nobody", SECRET), GRANT),
        asks("one", &basic(OTHER_CLIENT, SECRET), GRANT),
        asks("two", &basic(OTHER_CLIENT, OTHER_SECRET), GRANT),
        asks("one", "", &form(CLIENT, wrong)),
        asks(
            "one",
            &format!("authorization: Bearer {PULL_TOKEN}\r\n"),
            GRANT,
        ),
        asks("one", "authorization: Basic !\r\n", GRANT),
    ] {
        refused(
            &house,
            request,
            "invalid_client",
            401,
            "caller_unauthenticated",
        );
    }
    let page = house.events.metrics_page();
    let counted = "sluis_refusals_total{reason=\"caller_unauthenticated\",vendor=\"bron\"} 8";
    assert!(page.contains(counted), "{page}");
    search(&house, &[wrong, PULL_TOKEN]);
}

#[test]
fn a_request_that_is_not_as_rfc_6749_has_it_is_refused_as_it_says() {
    let house = house();
    let mine = basic(CLIENT, SECRET);
    let invalid = "invalid_request";
    let both = format!("{GRANT}&client_id={CLIENT}&client_secret=zzq-another-secret");
    for form in ["client_id=", &format!("{GRANT}&{GRANT}"), &both] {
        refused(
            &house,
            asks("one", &mine, form),
            invalid,
            400,
            "token_request_invalid",
        );
    }
    let twice = mine.repeat(2);
    refused(
        &house,
        asks("one", &twice, GRANT),
        invalid,
        400,
        "token_request_invalid",
    );
    let password = "grant_type=password&username=a&password=zzq-password";
    refused(
        &house,
        asks("one", &mine, password),
        "unsupported_grant_type",
        400,
        "grant_type_unsupported",
    );
    let query = asks("one", &mine, GRANT).replace("/token ", "/token?grant_type=x ");
    refused(&house, query, invalid, 400, "query_invalid");
    let get = format!("GET /one/oauth/token HTTP/1.1\r\nhost: {HOST}\r\n{mine}\r\n");
    let answer = refused(&house, get, invalid, 405, "method_not_listed");
    assert_eq!(answer.lines("allow"), ["POST"]);
    let none = format!("POST /one/oauth/token HTTP/1.1\r\nhost: {HOST}\r\n{mine}\r\n");
    refused(&house, none, invalid, 400, "body_missing");
    let json = asks("one", &mine, GRANT).replace("x-www-form-urlencoded", "json");
    refused(&house, json, invalid, 415, "content_type_unsupported");
    let bytes = asks("one", &mine, &format!("{GRANT}&x=y")).replace("x=y", "x=\u{e9}");
    let latin: Vec<u8> = bytes.bytes().filter(|byte| *byte != 0xc3).collect();
    refused(&house, latin, invalid, 400, "token_request_invalid");
    search(&house, &["zzq-another-secret", "zzq-password"]);
}

#[test]
fn a_form_is_read_no_further_than_its_bound() {
    let house = house();
    let long = format!("{GRANT}&x={}", "a".repeat(8 << 10));
    let answer = refused(
        &house,
        asks("one", "", &long),
        "invalid_request",
        413,
        "body_too_large",
    );
    assert_eq!(answer.lines("connection"), ["close"]);
    let head = asks("one", "", "").replace("content-length: 0", "transfer-encoding: chunked");
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000)).repeat(3);
    let answer = refused(
        &house,
        format!("{head}{chunk}"),
        "invalid_request",
        413,
        "body_too_large",
    );
    assert_eq!(answer.lines("connection"), ["close"]);
    let slow = Plans::limits("body-idle = \"100ms\"");
    let upstream = Upstream::json("{}");
    let house = Plans {
        more: flows(&upstream, ""),
        ..slow
    }
    .open(upstream);
    let half = asks("one", &basic(CLIENT, SECRET), GRANT);
    refused(
        &house,
        &half[..half.len() - 5],
        "invalid_request",
        408,
        "body_timeout",
    );
    search(&house, &[]);
}

#[test]
fn a_connection_goes_on_after_a_token_and_after_a_refusal_that_was_read_whole() {
    let house = house();
    let mut caller = house.caller();
    caller.send(asks("one", &basic(CLIENT, "wrong"), GRANT));
    assert_eq!(caller.answer().status(), 401);
    caller.send(asks("one", &basic(CLIENT, SECRET), GRANT));
    let token = token(&caller.answer());
    caller.send(shows("one", &token));
    assert_eq!(caller.answer().status(), 200);
    search(&house, &[&token]);
}

#[test]
fn a_token_is_good_until_it_expires_and_not_a_second_longer() {
    let house = house();
    let token = fetch(&house, "one");
    house.clock.turn(Duration::from_secs(3_599));
    assert_eq!(house.ask(shows("one", &token)).status(), 200);
    house.clock.turn(Duration::from_secs(1));
    not_taken(&house, shows("one", &token));
    let next = fetch(&house, "one");
    assert_eq!(house.ask(shows("one", &next)).status(), 200);
    search(&house, &[&token, &next]);
}

#[test]
fn a_token_of_a_clock_that_was_far_ahead_is_not_good_for_years() {
    let issued = |ahead_s: u64| {
        let upstream = Upstream::json(r#"{"users":[]}"#);
        let plans = Plans {
            clock: Clock::test(NOW + ahead_s),
            ..plans(&upstream, "")
        };
        let house = plans.open(upstream);
        fetch(&house, "one")
    };
    let house = house();
    // The clocks of two gateways with the same keys differ a little.
    let good = issued(600);
    assert_eq!(house.ask(shows("one", &good)).status(), 200);
    let wrong = [601, 24 * 3_600, 20 * 365 * 24 * 3_600].map(issued);
    for token in &wrong {
        not_taken(&house, shows("one", token));
    }
    search(&house, &[&good, &wrong[0], &wrong[1], &wrong[2]]);
}

#[test]
fn the_life_of_a_token_is_a_limit() {
    let upstream = Upstream::json("{}");
    let plans = Plans {
        limits: "token-life = \"90s\"".to_owned(),
        ..plans(&upstream, "")
    };
    let house = plans.open(upstream);
    let answer = house.ask(asks("one", &basic(CLIENT, SECRET), GRANT));
    assert_eq!(answer.json()["expires_in"], 90);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    house.clock.turn(Duration::from_secs(90));
    not_taken(&house, shows("one", &token));
    search(&house, &[&token]);
}

#[test]
fn a_token_of_another_flow_or_a_forged_one_is_none() {
    let house = house();
    let token = fetch(&house, "one");
    not_taken(&house, shows("two", &token));
    let (prefix, body) = token.split_at("sluis-access-1-".len());
    let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
    for place in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[place] ^= 1;
        let forged = format!("{prefix}{}", BASE64URL_NOPAD.encode(&forged));
        not_taken(&house, shows("one", &forged));
    }
    for none in [prefix, &token[..token.len() - 1], "sluis-access-1-AAAA"] {
        not_taken(&house, shows("one", none));
    }
    assert_eq!(house.upstream.connections(), 0, "something was forwarded");
    search(&house, &[&token]);
}

#[test]
fn a_token_ends_with_the_client_the_secret_and_the_scope_it_was_given_for() {
    let house = house();
    let token = fetch(&house, "one");
    let scoped = house.ask(asks("one", &basic(OTHER_CLIENT, OTHER_SECRET), GRANT));
    let scoped = self::token(&scoped);
    let file = house.folder.path().join("schools/proef/vendors/bron.toml");
    let policy = std::fs::read_to_string(&file).unwrap();
    let deploy = |from: &str, to: &str| {
        assert!(policy.contains(from), "{from}");
        std::fs::write(&file, policy.replace(from, to)).unwrap();
        house.redeploy();
    };
    deploy(CLIENT, "somebody-else");
    not_taken(&house, shows("one", &token));
    deploy(&digest(SECRET), &digest("fake-zzq-new-secret"));
    not_taken(&house, shows("one", &token));
    deploy(", \"demographics\"]", "]");
    not_taken(&house, shows("one", &scoped));
    deploy("at = \"/one\"", "at = \"/one\"");
    for token in [&token, &scoped] {
        assert_eq!(house.ask(shows("one", token)).status(), 200, "as it was");
    }
    search(&house, &[&token, &scoped]);
}

#[test]
fn gateways_with_the_same_keys_know_each_others_tokens() {
    let (mine, yours) = (house(), house());
    let token = fetch(&mine, "one");
    assert_eq!(yours.ask(shows("one", &token)).status(), 200);
    let upstream = Upstream::json("{}");
    let plans = Plans {
        token_key: 8,
        ..plans(&upstream, "")
    };
    let stranger = plans.open(upstream);
    not_taken(&stranger, shows("one", &token));
    for house in [&mine, &yours, &stranger] {
        search(house, &[&token]);
    }
}

#[test]
fn address_agreement_and_mode_hold_where_tokens_are_fetched() {
    let mine = basic(CLIENT, SECRET);
    let told = |house: &House, status: u16, code: &str| {
        let answer = house.ask(asks("one", &mine, GRANT));
        assert_eq!((answer.status(), &*answer.code()), (status, code));
        let stranger = asks("one", &basic(CLIENT, "wrong"), GRANT);
        refused(
            house,
            stranger,
            "invalid_client",
            401,
            "caller_unauthenticated",
        );
        search(house, &[]);
    };
    let upstream = Upstream::json("{}");
    let far = plans(&upstream, "ip-ranges = [\"203.0.113.0/24\"]").open(upstream);
    told(&far, 403, "address_forbidden");
    let upstream = Upstream::json("{}");
    let valid = "{ from = 2019-08-01, until = 2020-07-31 }".to_owned();
    let over = Plans {
        valid,
        ..plans(&upstream, "")
    }
    .open(upstream);
    told(&over, 403, "agreement_not_in_force");
    let upstream = Upstream::json("{}");
    let vendor = "mode = \"observe\"".to_owned();
    let observed = Plans {
        vendor,
        ..plans(&upstream, "")
    }
    .open(upstream);
    told(&observed, 503, "vendor_observed");
}

#[test]
fn only_flows_with_clients_have_a_place_to_fetch_tokens() {
    let house = house();
    let request = asks("pull", &basic(CLIENT, SECRET), GRANT);
    let answer = house.ask(&request);
    assert_eq!(
        (answer.status(), &*answer.code()),
        (401, "caller_unauthenticated")
    );
    assert_eq!(answer.lines("www-authenticate"), ["Bearer"]);
    let known = request.replacen(
        &basic(CLIENT, SECRET),
        &format!("authorization: Bearer {PULL_TOKEN}\r\n"),
        1,
    );
    assert_eq!(house.ask(known).code(), "route_unknown");
    for path in [
        "/one/oauth/token/",
        "/one/oauth/%74oken",
        "/one/oauth",
        "/one//oauth/token",
    ] {
        let request = asks("one", &basic(CLIENT, SECRET), GRANT);
        let request = request.replace("/one/oauth/token", path);
        assert_eq!(
            house.ask(request).code(),
            "caller_unauthenticated",
            "{path}"
        );
    }
    let token = fetch(&house, "one");
    let answer = house.ask(shows("one", &token).replace("/users", "/oauth/%74oken"));
    assert_eq!(answer.code(), "route_unknown");
    search(&house, &[&token]);
}
