//! Faults in what a caller sends: each row of the table of failures, with nothing forwarded.

use std::time::{Duration, Instant};

use crate::harness::upstream::ok;
use crate::harness::{
    HOST, House, Markers, Message, PULL_TOKEN, PUSH_TOKEN, Plans, Upstream, pull, push,
};

/// A house whose upstream would answer anything.
fn house() -> House {
    House::open(Upstream::json("{}"))
}

/// Asks, and checks status, code and count; nothing may have been forwarded.
fn refused(house: &House, request: impl AsRef<[u8]>, status: u16, code: &str) -> Message {
    let before = house.refusals(code);
    let answer = house.ask(request);
    assert_eq!(
        (answer.status(), &*answer.code()),
        (status, code),
        "{}",
        answer.head
    );
    assert_eq!(house.upstream.connections(), 0, "something was forwarded");
    house.await_refusals(code, before + 1);
    answer
}

/// A request with a token, and these lines besides.
fn with(start: &str, token: &str, lines: &str) -> String {
    format!("{start} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\n{lines}\r\n")
}

#[test]
fn no_such_school_flow_or_route() {
    let house = house();
    let elsewhere = "GET /pull/users HTTP/1.1\r\nhost: other.example\r\n\r\n";
    let answer = refused(&house, elsewhere, 421, "host_unknown");
    // Which setting decides is for those who look after it.
    assert!(!answer.text().contains("public"), "{}", answer.text());
    house.await_log("the host of `public` in [school]");
    for path in ["/", "/pul", "/pullx/users", "/nobody"] {
        refused(&house, pull(path), 404, "flow_unknown");
    }
    for path in ["/pull", "/pull/user", "/pull/users/7/grades", "/pull/Users"] {
        refused(&house, pull(path), 404, "route_unknown");
    }
}

#[test]
fn method_not_listed() {
    let another = "[[flow.push.route]]\nmatch = \"PATCH /users/{pupil}\"\nto-vendor = \"User\"\n";
    let plans = Plans {
        more: another.to_owned(),
        ..Plans::default()
    };
    let house = plans.open(Upstream::json("{}"));
    for (request, methods) in [
        (with("PUT /pull/users", PULL_TOKEN, ""), "GET, HEAD"),
        (with("POST /pull/users/7", PULL_TOKEN, ""), "DELETE"),
        (with("GET /push/users", PUSH_TOKEN, ""), "POST"),
        // In the order of their names; a vendor that pulls is told nothing of them.
        (with("GET /push/users/7", PUSH_TOKEN, ""), "PATCH, PUT"),
    ] {
        let answer = refused(&house, request, 405, "method_not_listed");
        // RFC 9110 section 15.5.6.
        assert_eq!(answer.lines("allow"), [methods]);
    }
    for method in ["OPTIONS", "TRACE", "get", "PROPFIND"] {
        let request = with(&format!("{method} /pull/users"), PULL_TOKEN, "");
        let mut caller = house.caller();
        caller.send(request);
        assert_eq!(caller.head().unwrap().status(), 405, "{method}");
    }
    let connect = format!("CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\n\r\n");
    let answer = refused(&house, connect, 405, "method_not_listed");
    // No flow was asked, and nothing is told of one; nor to who may not call it, nor of no route.
    assert_eq!(answer.lines("allow"), [""; 0]);
    let stranger = refused(
        &house,
        with("PUT /pull/users", "zzq-stranger", ""),
        401,
        "caller_unauthenticated",
    );
    let nothing = refused(&house, pull("/pull/user"), 404, "route_unknown");
    for answer in [stranger, nothing] {
        assert_eq!(answer.lines("allow"), [""; 0]);
    }
}

#[test]
fn a_refusal_is_told_of_the_route_as_soon_as_there_is_one() {
    let of_route = ("GET", "/users");
    let nobody = ("other", "other");
    // A label is bounded; a line of the log names the caller's method where that is one of ours.
    let stranger = with("GET /pull/users", "zzq-stranger", "");
    let unread = with("DELETE /pull/users/7", PULL_TOKEN, "content-length: 5\r\n") + "zzq81";
    let bad = push("POST", "/users", "{");
    let long = "a".repeat(1_025);
    let long = push("PUT", &format!("/users/{long}"), "{}");
    let put = with("PUT /pull/users", PULL_TOKEN, "");
    for (request, code, sent, (method, route)) in [
        (pull("/pull/users?zzq=1"), "query_invalid", "GET", of_route),
        (
            unread,
            "body_unexpected",
            "DELETE",
            ("DELETE", "/users/{id:slug}"),
        ),
        (bad, "body_malformed", "POST", ("POST", "/users")),
        (long, "identifier_invalid", "PUT", ("PUT", "/users/{pupil}")),
        (pull("/pull/zzq"), "route_unknown", "GET", nobody),
        (pull("/pull/users/7"), "method_not_listed", "GET", nobody),
        (put, "method_not_listed", "PUT", nobody),
        (stranger, "caller_unauthenticated", "GET", nobody),
    ] {
        let house = house();
        let answer = house.ask(request);
        assert_eq!(answer.code(), code);
        house.await_log(code);
        let log = house.log();
        let line = log.lines().find(|line| line.contains(code)).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let told = (&line["http.request.method"], &line["http.route"]);
        assert_eq!(told, (&sent.into(), &route.into()), "{line}");
        let status = answer.status();
        let labels =
            format!("code=\"{status}\",method=\"{method}\",route=\"{route}\",vendor=\"bron\"");
        let metrics = house.metrics();
        assert!(metrics.contains(&labels), "{labels} in {metrics}");
        let markers = Markers::of(&["zzq-stranger", &"a".repeat(100)]);
        house.search(&markers, &[("what the caller got", &answer.body)]);
    }
}

#[test]
fn a_caller_that_closes_its_half_within_a_message_and_listens_on_is_told() {
    let house = house();
    let whole = push("POST", "/users", r#"{"id":"pupil-zzq-905"}"#);
    for cut in [1, 12] {
        let mut caller = house.caller();
        caller.send(&whole[..whole.len() - cut]);
        caller.finish();
        let answer = caller.answer();
        let seen = (answer.status(), &*answer.code());
        assert_eq!(seen, (400, "caller_gone"), "{cut} {}", answer.head);
        assert_eq!(house.upstream.connections(), 0, "something was forwarded");
        let got = [answer.head.as_bytes(), &answer.body].concat();
        let markers = Markers::of(&["pupil-zzq-905"]);
        house.search(&markers, &[("what the caller got", &got)]);
    }
    house.await_log("cancelled");
    let counted = "sluis_cancellations_total{vendor=\"bron\"} 2\n";
    assert!(house.metrics().contains(counted), "{}", house.metrics());
}

#[test]
fn a_method_that_is_served_nowhere_is_named_nowhere() {
    let house = house();
    refused(
        &house,
        with("OPTIONS /pull/users", PULL_TOKEN, ""),
        405,
        "method_not_listed",
    );
    house.await_log("\"http.request.method\":\"other\"");
    assert!(!house.log().contains("OPTIONS"));
    assert!(!house.metrics().contains("OPTIONS"));
}

#[test]
fn an_answer_and_its_line_of_the_log_share_a_reference() {
    let house = house();
    let requests = [pull("/pull/zzq"), push("POST", "/users", "{"), pull("/zzq")];
    let mut references = Vec::new();
    for request in requests {
        let answer = house.ask(request);
        let (code, json) = (answer.code(), answer.json());
        let reference = json["instance"].as_str().unwrap().to_owned();
        house.await_log(&reference);
        let log = house.log();
        let line = log.lines().find(|line| line.contains(&reference)).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["error.type"], code.as_str());
        assert_eq!(line["sluis.reference"], reference.as_str());
        references.push(reference);
        let markers = Markers::of(&["urn:sluis:refusal:zzq"]);
        house.search(&markers, &[("what the caller got", &answer.body)]);
    }
    references.sort();
    references.dedup();
    assert_eq!(references.len(), 3);
}

#[test]
fn query_parameter_not_listed_repeated_or_of_the_wrong_type() {
    let house = house();
    for query in [
        "zzq=1",
        "limit=1&limit=2",
        "limit=many",
        "limit",
        "filter=zzq",
        "limit=%0a",
        "limit=1&&",
        "&limit=1",
    ] {
        refused(
            &house,
            pull(&format!("/pull/users?{query}")),
            400,
            "query_invalid",
        );
    }
}

#[test]
fn a_path_that_readers_could_read_differently() {
    let house = house();
    for path in [
        "//users",
        "/./users",
        "/../users",
        "/users%2f7",
        "/users;v=1",
        "/%00",
        "/a%5cb",
        // RFC 3986 has no such signs in a query: they are written %3C and %3E.
        "/users?limit>1",
        "/users?limit<1",
    ] {
        refused(&house, pull(&format!("/pull{path}")), 400, "path_invalid");
    }
}

#[test]
fn a_query_may_end_in_a_sign_too_many() {
    let house = Plans::default().open(Upstream::json(r#"{"users":[]}"#));
    for query in ["", "&", "limit=1&"] {
        let answer = house.ask(pull(&format!("/pull/users?{query}")));
        assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
    }
    let asked = house.upstream.received_text();
    let line = "GET /api/users?limit=1 HTTP/1.1";
    assert!(asked.contains(line), "{asked}");
}

#[test]
fn agreement_not_yet_valid_or_expired() {
    for valid in [
        "2098-08-01, until = 2099-07-31",
        "2019-08-01, until = 2020-07-31",
    ] {
        let valid = format!("{{ from = {valid} }}");
        let house = Plans {
            valid,
            ..Plans::default()
        }
        .open(Upstream::json("{}"));
        refused(&house, pull("/pull/users"), 403, "agreement_not_in_force");
    }
}

#[test]
fn vendor_in_observe() {
    let vendor = r#"mode = "observe""#.to_owned();
    let house = Plans {
        vendor,
        ..Plans::default()
    }
    .open(Upstream::json("{}"));
    refused(&house, pull("/pull/users"), 503, "vendor_observed");
}

#[test]
fn caller_not_authenticated_or_not_this_flows() {
    let house = house();
    let head = format!("GET /pull/users HTTP/1.1\r\nhost: {HOST}\r\n");
    let twice = format!("authorization: Bearer {PULL_TOKEN}\r\n").repeat(2);
    for lines in [
        "",
        "authorization: Bearer wrong-zzq-token\r\n",
        "authorization: Basic YTpi\r\n",
        "authorization: Bearer\r\n",
        &twice,
    ] {
        let answer = refused(
            &house,
            format!("{head}{lines}\r\n"),
            401,
            "caller_unauthenticated",
        );
        assert_eq!(answer.lines("www-authenticate"), ["Bearer"]);
    }
    refused(
        &house,
        with("GET /pull/users", PUSH_TOKEN, ""),
        403,
        "caller_forbidden",
    );
    house.search(
        &Markers::of(&["wrong-zzq-token", PULL_TOKEN, PUSH_TOKEN]),
        &[],
    );
}

#[test]
fn caller_from_another_address() {
    let more = r#"
[flow.far]
caller = "vendor"
at = "/far"
upstream = "http://127.0.0.1:9"
callers = "anyone"
ip-ranges = ["203.0.113.0/24"]
[[flow.far.route]]
match = "GET /users"
to-vendor = "User"
"#;
    let house = Plans {
        more: more.to_owned(),
        ..Plans::default()
    }
    .open(Upstream::json("{}"));
    refused(&house, pull("/far/users"), 403, "address_forbidden");
}

#[test]
fn content_type_missing_doubled_or_other() {
    let house = house();
    let json = "content-type: application/json\r\n";
    let twice = json.repeat(2);
    for lines in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/json; x=y\r\n",
        &twice,
    ] {
        let lines = format!("{lines}content-length: 2\r\n\r\n{{}}");
        let request = with("POST /push/users", PUSH_TOKEN, &lines);
        refused(&house, request, 415, "content_type_unsupported");
    }
    let lines = format!("{json}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{{}}");
    let request = with("POST /push/users", PUSH_TOKEN, &lines);
    refused(&house, request, 415, "content_coding_unsupported");
}

#[test]
fn body_not_well_formed() {
    let house = house();
    let faults = [
        r#"{"users":[}"#,
        r#"{"users":[]"#,
        "\u{feff}{}",
        r#"{"users":[],"users":[]}"#,
        r#"{"users":[],"\u0075sers":[]}"#,
        r#"{"users":"\ud800"}"#,
        r#"{"users":NaN}"#,
        r"{} zzq-trailing",
        &"{\"users\":".repeat(100),
    ];
    let mut seen = Vec::new();
    for body in faults {
        let answer = refused(&house, push("POST", "/users", body), 400, "body_malformed");
        assert!(answer.json()["at"].is_u64(), "{}", answer.text());
        seen.extend(answer.body);
    }
    house.search(&Markers::of(&["zzq-trailing"]), &[("the refusals", &seen)]);
}

#[test]
fn body_that_is_a_list_where_an_object_is_declared() {
    let house = house();
    let request = push("POST", "/users", r#"["zzq-secret"]"#);
    let answer = refused(&house, request, 400, "body_of_another_shape");
    house.search(
        &Markers::of(&["zzq-secret"]),
        &[("the caller", &answer.body)],
    );
}

#[test]
fn body_missing_or_not_wanted() {
    let house = house();
    let none = with(
        "POST /push/users",
        PUSH_TOKEN,
        "content-type: application/json\r\n",
    );
    refused(&house, none, 400, "body_missing");
    refused(&house, push("POST", "/start", "{}"), 400, "body_unexpected");
    let body = "content-length: 2\r\n\r\n{}";
    refused(
        &house,
        with("GET /pull/users", PULL_TOKEN, body),
        400,
        "body_unexpected",
    );
}

#[test]
fn body_over_its_limit() {
    let of_gateway = Plans::limits("body = 100");
    let of_vendor = Plans {
        more: "[limits]\nbody = 100\n".to_owned(),
        ..Plans::default()
    };
    for plans in [of_gateway, of_vendor] {
        let house = plans.open(Upstream::json("{}"));
        let long = format!(r#"{{"zzq":"{}"}}"#, "a".repeat(100));
        let head = "content-type: application/json\r\n";
        let declared = with(
            "POST /push/users",
            PUSH_TOKEN,
            &format!("{head}content-length: 101\r\n"),
        );
        let begun = Instant::now();
        refused(&house, declared, 413, "body_too_large");
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "before anything of it is read"
        );
        let chunks = format!("{head}transfer-encoding: chunked\r\n\r\n6a\r\n{long}\r\n0\r\n\r\n");
        refused(
            &house,
            with("POST /push/users", PUSH_TOKEN, &chunks),
            413,
            "body_too_large",
        );
    }
}

/// The last body that a bound of JSON lets pass, and the first that it does not.
fn bodies(bound: &str) -> [String; 2] {
    match bound {
        "json-depth = 3" => [r#"{"users":[{}]}"#, r#"{"users":[{"x":[]}]}"#].map(str::to_owned),
        "json-keys = 2" => ["", r#","y":1"#].map(|more| format!(r#"{{"users":[],"x":1{more}}}"#)),
        "json-number = 5" => {
            [5, 6].map(|length| format!(r#"{{"users":[{{"grade":{}}}]}}"#, "1".repeat(length)))
        }
        "json-string = 64" => [64, 65]
            .map(|length| format!(r#"{{"users":[{{"sourcedId":"{}"}}]}}"#, "a".repeat(length))),
        // From the bracket to the end of the field that chooses.
        "json-switch = 64" => [40, 41]
            .map(|length| format!(r#"{{"x":"{}","role":"student"}}"#, "a".repeat(length)))
            .map(|person| format!(r#"{{"people":[{person}]}}"#)),
        other => panic!("{other}"),
    }
}

#[test]
fn json_beyond_each_of_its_limits() {
    let more = r#"
[[flow.push.route]]
match = "POST /people"
to-vendor = { people = "Person[]" }
from-vendor = "Receipt"
[shape.Person]
_switch = "role"
[shape.Person-student]
grade = "keep:int"
"#;
    for bound in [
        "json-depth = 3",
        "json-keys = 2",
        "json-number = 5",
        "json-string = 64",
        "json-switch = 64",
    ] {
        let plans = Plans {
            limits: bound.to_owned(),
            more: more.to_owned(),
            ..Plans::default()
        };
        let house = plans.open(Upstream::json(r#"{"id":"r-1"}"#));
        let [last, first] = bodies(bound);
        let path = match last.contains("people") {
            true => "/people",
            false => "/users",
        };
        let beyond = || push("POST", path, &first);
        let answer = refused(&house, beyond(), 400, "body_malformed");
        let (name, _) = bound.split_once(' ').unwrap();
        assert!(answer.text().contains(name), "{}", answer.text());
        let within = house.ask(push("POST", path, &last));
        assert_eq!(within.status(), 200, "{bound}: {}", within.text());

        // A reload sets it anew.
        let file = house.folder.path().join("sluis.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace(bound, &format!("{name} = 70"))).unwrap();
        house.redeploy();
        let answer = house.ask(beyond());
        assert_eq!(answer.status(), 200, "{bound}: {}", answer.text());
        assert_eq!(house.refusals("body_malformed"), 1);
    }
}

#[test]
fn id_too_long_or_with_control_characters() {
    let house = house();
    for id in [
        "a".repeat(1_025),
        r"zzq\u0007zzq".to_owned(),
        "zzq\u{200b}zzq".to_owned(),
    ] {
        let body = format!(r#"{{"users":[{{"sourcedId":"{id}"}}]}}"#);
        refused(
            &house,
            push("POST", "/users", &body),
            400,
            "identifier_invalid",
        );
    }
    let path = push("PUT", "/users/zzq%E2%80%8Bzzq", "{}");
    refused(&house, path, 400, "identifier_invalid");
}

#[test]
fn an_empty_id_stays_empty_in_a_body_and_is_refused_in_a_path() {
    let house = House::open(Upstream::json(r#"{"id":"r-1"}"#));
    for blank in ["%20", "%20%20"] {
        let path = push("PUT", &format!("/users/{blank}"), "{}");
        let answer = refused(&house, path, 400, "identifier_invalid");
        let title = answer.json()["title"].as_str().unwrap().to_owned();
        assert!(title.contains("is empty in path or query"), "{title}");
    }
    let body = r#"{"users":[{"sourcedId":"","email":"fenna-zzq81"},{"sourcedId":" "}]}"#;
    assert_eq!(house.ask(push("POST", "/users", body)).status(), 200);
    let got = house.upstream.received();
    let text = String::from_utf8_lossy(&got);
    let users = r#"{"users":[{"sourcedId":""},{"sourcedId":""}]}"#;
    assert!(text.ends_with(users), "{text}");
    house.search(
        &Markers::of(&["fenna-zzq81"]),
        &[("what the vendor got", &got)],
    );
}

#[test]
fn field_that_the_policy_does_not_name_where_it_must() {
    let upstream = Upstream::json("{}");
    let more = format!(
        r#"
[flow.strict]
caller = "school"
at = "/strict"
upstream = "http://{}"
callers = "anyone"
[[flow.strict.route]]
match = "POST /users"
to-vendor = "Strict"
from-vendor = "Strict"
[shape.Strict]
_strict = true
grade = "keep:int"
"#,
        upstream.address
    );
    let plans = Plans {
        more,
        ..Plans::default()
    };
    let house = plans.open(upstream);
    let request = push("POST", "/users", r#"{"grade":7,"zzq-secret":1}"#);
    let request = request.replace("/push", "/strict");
    let answer = refused(&house, request, 400, "field_unexpected");
    assert_eq!(answer.json()["at"], 11);
    house.search(
        &Markers::of(&["zzq-secret"]),
        &[("the caller", &answer.body)],
    );
}

#[test]
fn upgrade_is_refused_and_range_is_ignored() {
    let house = House::open(Upstream::json(r#"{"users":[]}"#));
    let websocket = "connection: upgrade\r\nupgrade: websocket\r\n";
    refused(
        &house,
        with("GET /pull/users", PULL_TOKEN, websocket),
        400,
        "upgrade_requested",
    );
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAAA\r\n";
    refused(
        &house,
        with("GET /pull/users", PULL_TOKEN, h2c),
        400,
        "upgrade_requested",
    );
    let range = house.ask(with("GET /pull/users", PULL_TOKEN, "range: bytes=0-1\r\n"));
    assert_eq!((range.status(), range.text()), (200, r#"{"users":[]}"#));
}

#[test]
fn target_too_long_or_head_too_large() {
    let house = house();
    let long = format!("/pull/{}", "a".repeat(8 << 10));
    let answer = refused(&house, pull(&long), 414, "target_too_long");
    assert_eq!(answer.lines("connection"), ["close"]);
    let line = format!("x-zzq: {}\r\n", "a".repeat(8 << 10));
    let answer = refused(
        &house,
        with("GET /pull/users", PULL_TOKEN, &line),
        431,
        "head_too_large",
    );
    assert_eq!(answer.lines("connection"), ["close"]);
    let lines = "x-zzq: 1\r\n".repeat(63);
    refused(
        &house,
        with("GET /pull/users", PULL_TOKEN, &lines),
        431,
        "head_too_large",
    );
    refused(
        &house,
        with("GET /pull/users", PULL_TOKEN, &line.repeat(8)),
        431,
        "head_too_large",
    );
}

#[test]
fn transfer_encoding_version_and_expectation_are_held_to_what_we_know() {
    let house = house();
    let json = "content-type: application/json\r\n";
    for coding in ["gzip, chunked", "identity, chunked", "chunked, chunked"] {
        let lines = format!("{json}transfer-encoding: {coding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
        let request = with("POST /push/users", PUSH_TOKEN, &lines);
        let answer = refused(&house, request, 501, "transfer_encoding_unsupported");
        assert_eq!(answer.lines("connection"), ["close"]);
    }
    let old = pull("/pull/users").replace("HTTP/1.1", "HTTP/1.0");
    let old = old.replace("\r\n\r\n", "\r\nconnection: keep-alive\r\n\r\n");
    let mut caller = house.caller();
    caller.send([&*old, &*pull("/pull/users")].concat());
    let answer = caller.answer();
    assert_eq!(
        (answer.status(), &*answer.code()),
        (505, "version_unsupported")
    );
    assert!(caller.is_closed(), "what follows may be its body");
    let lines = format!("{json}expect: 200-zzq\r\ncontent-length: 2\r\n\r\n{{}}");
    let request = with("POST /push/users", PUSH_TOKEN, &lines);
    let answer = refused(&house, request, 417, "expectation_unknown");
    assert_eq!(answer.lines("connection"), ["close"]);
}

#[test]
fn host_missing_doubled_or_no_host() {
    let house = house();
    for hosts in [
        "",
        "host: a\r\nhost: b\r\n",
        "host: a,b\r\n",
        "host: u@school.example\r\n",
    ] {
        refused(
            &house,
            format!("GET /pull/users HTTP/1.1\r\n{hosts}\r\n"),
            400,
            "host_invalid",
        );
    }
    let absolute = |authority: &str| {
        with(
            &format!("GET http://{authority}/pull/users"),
            PULL_TOKEN,
            "",
        )
    };
    refused(&house, absolute("other.example"), 421, "host_unknown");
    refused(&house, absolute("school.example:81"), 421, "host_unknown");
    assert_eq!(house.ask(absolute("School.Example:80")).status(), 200);
}

#[test]
fn what_is_not_written_as_http_has_it_is_refused() {
    let house = house();
    let start = format!("GET /pull/users HTTP/1.1\r\nhost: {HOST}\r\n");
    let get = |lines: &str| format!("{start}authorization: Bearer {PULL_TOKEN}\r\n{lines}\r\n");
    let post = |lines: &str| with("POST /push/users", PUSH_TOKEN, lines);
    for (request, code) in [
        (get("x: zzq-odd-line\n"), "head_invalid"),
        (get("x: zzq-odd-line\r\n folded: y\r\n"), "head_invalid"),
        (get("zzq-odd-line : y\r\n"), "head_invalid"),
        (get("zzq-odd-line\0: y\r\n"), "head_invalid"),
        (get("").replace("\r\n", "\n"), "head_invalid"),
        (get("").replace(" HTTP", "  HTTP"), "head_invalid"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}".to_owned(), "head_invalid"),
        (get("").replace("users", "zzq-odd-line#x"), "path_invalid"),
        (get("").replace("users", "zzq-odd-line\\x"), "path_invalid"),
        (
            post("content-length: 2\r\ncontent-length: 2\r\n\r\n{}"),
            "framing_invalid",
        ),
        (post("content-length: +2\r\n\r\n{}"), "framing_invalid"),
        (
            post("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            "framing_invalid",
        ),
    ] {
        let mut caller = house.caller();
        caller.send([&*request, &pull("/pull/users")].concat());
        let answer = caller.answer();
        assert_eq!(
            (answer.status(), &*answer.code()),
            (400, code),
            "{request:?}"
        );
        assert_eq!(answer.lines("connection"), ["close"]);
        assert!(
            caller.is_closed(),
            "what follows is no request: {request:?}"
        );
        house.await_log(&format!("\"error.type\":\"{code}\""));
        house.search(
            &Markers::of(&["zzq-odd-line"]),
            &[("the caller", &answer.body)],
        );
    }
    assert_eq!(house.upstream.connections(), 0, "something was forwarded");
    let counted = r#"sluis_refusals_total{reason="head_invalid""#;
    assert!(house.events.metrics_page().contains(counted));
}

#[test]
fn a_refusal_comes_after_the_answers_before_it() {
    let (tell, told) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let house = House::open(Upstream::scripted(move |peer| {
        while peer.request().is_some() {
            told.lock().unwrap().recv().unwrap();
            peer.send(ok(r#"{"users":[]}"#));
        }
    }));
    let mut caller = house.caller();
    let odd = pull("/pull/users").replace("\r\nhost", "\nhost");
    caller.send([&*pull("/pull/users"), &pull("/pull/users"), &odd].concat());
    tell.send(()).unwrap();
    let first = caller.answer();
    assert_eq!((first.status(), first.lines("connection").len()), (200, 0));
    tell.send(()).unwrap();
    assert_eq!(caller.answer().status(), 200);
    let last = caller.answer();
    assert_eq!((last.status(), &*last.code()), (400, "head_invalid"));
    assert!(caller.is_closed());
}

#[test]
fn nobody_gets_the_answer_to_a_refused_request_by_asking_for_it() {
    let house = house();
    let request = with("REFUSED /", PULL_TOKEN, "");
    let answer = refused(&house, request, 405, "method_not_listed");
    assert_eq!(answer.lines("connection"), ["close"]);
}

#[test]
fn requests_that_come_byte_by_byte_are_read() {
    let house = House::open(Upstream::json(r#"{"id":"r-1"}"#));
    let mut caller = house.caller();
    let chunked = with(
        "POST /push/users",
        PUSH_TOKEN,
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\n{}\r\n0\r\nx: y\r\n",
    );
    for request in [
        push("POST", "/users", "{}"),
        chunked,
        push("POST", "/users", "{}"),
    ] {
        for byte in request.bytes() {
            caller.send([byte]);
        }
        assert_eq!(caller.answer().status(), 200);
    }
    assert_eq!(house.upstream.connections(), 1);
}

#[test]
fn bad_chunk() {
    let house = house();
    let json = "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for chunks in [
        "2;a=b\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nx : y\r\n\r\n",
        "zz\r\n{}",
        "2\r\n{}zz",
        "-2\r\n{}\r\n",
        "fffffffffffffffff\r\n{}",
    ] {
        let request = with("POST /push/users", PUSH_TOKEN, &format!("{json}{chunks}"));
        refused(&house, request, 400, "framing_invalid");
    }
}

#[test]
fn a_body_that_is_not_read_to_its_end_closes_the_connection() {
    let house = house();
    let mut caller = house.caller();
    let lines = format!(
        "content-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        1 << 20
    );
    caller.send(with("POST /push/users", PUSH_TOKEN, &lines));
    let smuggled = "GET /pull/users HTTP/1.1\r\nhost: school.example\r\n\r\n";
    caller.send(smuggled.repeat(10));
    let answer = caller.answer();
    assert_eq!(
        (answer.status(), answer.lines("connection")),
        (415, vec!["close"])
    );
    assert!(caller.is_closed(), "what follows is no request");
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_refusal_is_read_even_while_its_caller_still_writes() {
    let house = house();
    let mut caller = house.caller();
    let lines = "content-type: text/plain\r\ncontent-length: 10000000\r\n\r\n";
    caller.send(with("POST /push/users", PUSH_TOKEN, lines));
    assert_eq!(caller.answer().status(), 415);
    // A reset on the first of these would be an error at the next, and to some systems the loss of
    // the answer.
    for _ in 0..10 {
        caller.send(vec![b' '; 64 << 10]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    caller.finish();
    assert!(caller.is_closed());
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "it waits for its caller, no longer"
    );
    let mut endless = house.caller();
    endless.send(with("POST /push/users", PUSH_TOKEN, lines));
    let begun = Instant::now();
    while endless.try_send("x").is_ok() && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "and not for ever");
}

#[test]
fn a_refusal_without_a_body_keeps_the_connection() {
    let house = House::open(Upstream::json(r#"{"users":[]}"#));
    let mut caller = house.caller();
    for (target, status) in [
        ("/pull/zzq", 404),
        ("/pull/users?x=1", 400),
        ("/pull/users", 200),
    ] {
        caller.send(pull(target));
        let answer = caller.answer();
        assert_eq!(
            (answer.status(), answer.lines("connection").len()),
            (status, 0)
        );
    }
}

#[test]
fn head_too_slow() {
    let house = Plans::limits("head-time = \"200ms\"").open(Upstream::json("{}"));
    let mut caller = house.caller();
    let begun = Instant::now();
    caller.send("GET /pull/users HT");
    let answer = caller.answer();
    assert_eq!(
        (answer.status(), answer.lines("connection")),
        (408, vec!["close"])
    );
    assert_eq!(answer.body, b"", "no request is there to answer");
    assert!(begun.elapsed() >= Duration::from_millis(190));
    assert!(caller.is_closed());
    house.await_log("head_timeout");
    house.await_metric("sluis_connections_failed_total{fault=\"head_timeout\"} 1\n");
}

#[test]
fn a_head_that_trickles_gets_no_more_time() {
    let house = Plans::limits("head-time = \"300ms\"").open(Upstream::json("{}"));
    let mut caller = house.caller();
    let begun = Instant::now();
    for byte in pull("/pull/users").bytes() {
        if caller.try_send([byte]).is_err() || begun.elapsed() > Duration::from_secs(2) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(caller.answer().status(), 408);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    let limits = "keep-alive-idle = \"200ms\"\nhead-time = \"100ms\"";
    let house = Plans::limits(limits).open(Upstream::json(r#"{"users":[]}"#));
    let mut caller = house.caller();
    let begun = Instant::now();
    assert!(caller.is_closed());
    assert!(begun.elapsed() >= Duration::from_millis(190));
    let mut caller = house.caller();
    caller.send(pull("/pull/users"));
    assert_eq!(caller.answer().status(), 200);
    let begun = Instant::now();
    assert!(caller.is_closed(), "also after a request");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    house.await_metric("sluis_connections_closed_total{reason=\"idle\"} 2\n");
    // Who begins with a head is none of them, nor is who closes.
    let mut caller = house.caller();
    caller.send("GET ");
    assert_eq!(caller.answer().status(), 408);
    drop(house.caller());
    house.await_metric("sluis_connections_open 0\n");
    house.await_metric("sluis_connections_closed_total{reason=\"idle\"} 2\n");
}

#[test]
fn body_too_slow() {
    let house = Plans::limits("body-idle = \"200ms\"").open(Upstream::json("{}"));
    let mut caller = house.caller();
    let lines = "content-type: application/json\r\ncontent-length: 20\r\n\r\n{\"users\"";
    caller.send(with("POST /push/users", PUSH_TOKEN, lines));
    let answer = caller.answer();
    assert_eq!((answer.status(), &*answer.code()), (408, "body_timeout"));
    house.await_refusals("body_timeout", 1);
    assert_eq!(answer.lines("connection"), ["close"]);
    assert!(caller.is_closed());
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_body_that_trickles_gets_no_more_time() {
    let house = Plans::limits("body-total = \"400ms\"").open(Upstream::json("{}"));
    let mut caller = house.caller();
    let lines = "content-type: application/json\r\ncontent-length: 2000\r\n\r\n";
    caller.send(with("POST /push/users", PUSH_TOKEN, lines));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) && caller.try_send(" ").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
        if begun.elapsed() > Duration::from_millis(700) {
            break;
        }
    }
    let answer = caller.answer();
    assert_eq!((answer.status(), &*answer.code()), (408, "body_timeout"));
    house.await_refusals("body_timeout", 1);
}

#[test]
fn client_goes_away_before_its_body_is_whole() {
    let house = house();
    let mut caller = house.caller();
    let lines = "content-type: application/json\r\ncontent-length: 20\r\n\r\n{\"users\"";
    caller.send(with("POST /push/users", PUSH_TOKEN, lines));
    drop(caller);
    house.await_log("cancelled");
    assert_eq!(house.upstream.connections(), 0);
}
