//! What an upstream is shown of credentials: the gateway's own, and nothing of a caller's.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{HOST, Markers, Plans, Upstream, digest};

/// The token that callers show.
const CALLERS: &str = "fake-token-of-a-caller-zzq-not-for-use";
/// A password may have colons in it (RFC 7617 section 2).
const USER_AND_PASSWORD: &str = "sluis-zzq:fake:not-for-use";

fn policy(auth: &str) -> &'static str {
    let callers = digest(CALLERS);
    let text = format!(
        r#"
[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
upstream-auth = {{ {auth} = {{ file = "shown" }} }}
callers = [{{ token-sha256 = "{callers}" }}]

[[flow.pull.route]]
match = "GET /users"
to-vendor = {{ title = "keep" }}
"#
    );
    text.leak()
}

/// What stands in `Authorization` of the request to an upstream that is shown `secret` as `auth`.
fn shown(auth: &str, secret: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let vendors = folder.path().join("schools/proef/vendors");
    std::fs::create_dir_all(&vendors).unwrap();
    let file = vendors.join("shown");
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let plans = Plans {
        instead: Some(policy(auth)),
        meant: &[USER_AND_PASSWORD],
        ..Plans::default()
    };
    let house = plans.open_in(folder, Upstream::json(r#"{"title":"Rekenen"}"#));
    let answer = house.ask(format!(
        "GET /pull/users HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {CALLERS}\r\n\
         proxy-authorization: Basic {CALLERS}\r\ncookie: token={CALLERS}\r\n\r\n"
    ));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let got = house.upstream.received();
    let callers = Markers::of(&[CALLERS]);
    house.search(&callers, &[("what the upstream got", &got)]);
    let ours = Markers::of(&[secret]);
    ours.assert_present("what the upstream got", &got);
    let back = [answer.head.as_bytes(), &answer.body].concat();
    house.search(&ours, &[("what the caller got", &back)]);
    let text = String::from_utf8(got).unwrap();
    let lines = text.lines().filter(|line| line.contains("uthorization"));
    lines.map(str::to_owned).collect()
}

#[test]
fn an_upstream_with_basic_is_shown_user_and_password_and_nothing_of_the_callers() {
    // printf 'sluis-zzq:fake:not-for-use' | base64
    let line = "authorization: Basic c2x1aXMtenpxOmZha2U6bm90LWZvci11c2U=";
    assert_eq!(shown("basic", USER_AND_PASSWORD), [line]);
}

#[test]
fn an_upstream_with_bearer_is_shown_the_token_and_nothing_of_the_callers() {
    let line = "authorization: Bearer fake-token-for-it-not-for-use";
    assert_eq!(shown("bearer", "fake-token-for-it-not-for-use"), [line]);
}
