use std::sync::Arc;

use super::*;
use crate::limits::Limits;
use crate::minimise::{Action, EchoAt, Home, Law, NextPage};
use crate::policy::{
    Bases, Content, IdKind, Index, ParameterType, Policy, QueryParameter, QueryRule, Side,
};
use crate::pseudonym::{Back, Canonical, Generation, KindSpec, Notation, Unknown, VendorKey};
use crate::refusal::QueryFault;

fn kind_named(name: &str) -> IdKind {
    let name = name.to_owned();
    let public = false;
    IdKind { name, public }
}

fn law(caller: Side) -> Law {
    let kind = Index::new(0).unwrap();
    let route = |method, path: Vec<Segment>, query: Vec<QueryParameter>| Route {
        name: String::new(),
        method,
        path: path.into(),
        query: query.into(),
        to_vendor: Content::Nothing,
        from_vendor: Content::Nothing,
        statuses: Box::default(),
    };
    let literal = |text: &str| Segment::Literal(text.into());
    let parameter = |name: &str, rule| QueryParameter {
        name: name.into(),
        rule,
    };
    let int = || QueryRule::One(ParameterType::Int);
    let routes = vec![
        route(
            Method::Get,
            vec![literal("users")],
            vec![
                parameter("limit", int()),
                parameter("pupil", QueryRule::Identifier(kind)),
                parameter("of", QueryRule::Identifiers(kind)),
            ],
        ),
        route(
            Method::Put,
            vec![literal("users"), Segment::Identifier(kind)],
            vec![],
        ),
        route(
            Method::Get,
            vec![literal("classes"), Segment::Parameter(ParameterType::Slug)],
            vec![],
        ),
        route(Method::Get, vec![], vec![]),
    ];
    let spec = KindSpec {
        name: "pupil".to_owned(),
        canonical: Canonical::default(),
        notation: Notation::Hex,
        back: Back::Never,
        unknown: Unknown::Reject,
        accept_keys: 1,
    };
    Law {
        policy: Policy {
            kinds: vec![kind_named("pupil")],
            flows: vec![Flow {
                name: "pull".to_owned(),
                caller,
                routes: routes.into(),
            }],
            ..Policy::default()
        },
        generations: Arc::new([Generation::new(1, &VendorKey::from([7; 32]), [spec])]),
        limits: Limits::default(),
    }
}

fn target(method: &str, path: &str, query: Option<&str>) -> Result<String, Refusal> {
    let crossing = Crossing::one_way(Arc::new(law(Side::School)));
    let line = RequestLine {
        method,
        path,
        query,
    };
    let found = find(&crossing.law.policy, 0, line)?;
    let head = request(&crossing, 0, &found, Asked::First, &mut Counts::default())?;
    Ok(head.outbound.release().target)
}

#[test]
fn a_target_is_built_anew_from_its_route() {
    assert_eq!(
        target("GET", "/users", Some("limit=10")).unwrap(),
        "/users?limit=10"
    );
    assert_eq!(
        target("GET", "/%75sers", Some("l%69mit=10")).unwrap(),
        "/users?limit=10"
    );
    assert_eq!(target("GET", "", None).unwrap(), "");
    assert_eq!(target("GET", "/", Some("")).unwrap(), "");
    assert_eq!(target("GET", "/classes/1a", None).unwrap(), "/classes/1a");
}

#[test]
fn an_identifier_in_path_and_query_becomes_a_pseudonym() {
    let made = target("PUT", "/users/S-64003", None).unwrap();
    let pseudonym = made.strip_prefix("/users/").unwrap();
    assert_eq!(pseudonym.len(), 32);
    assert_eq!(
        target("GET", "/users", Some("pupil=S%2D64003&limit=1")).unwrap(),
        format!("/users?pupil={pseudonym}&limit=1")
    );
    assert_eq!(
        target("GET", "/users", Some("of=S-64003&of=S-64003")).unwrap(),
        format!("/users?of={pseudonym}&of={pseudonym}")
    );
    assert_eq!(
        target("PUT", "/users/%20", None),
        Err(Refusal::IdentifierInvalid { at: 0 })
    );
}

#[test]
fn an_identifier_from_the_vendor_never_passes_unread() {
    let crossing = Crossing::towards(Side::School, Arc::new(law(Side::Vendor)), None);
    let (mut counts, line) = (
        Counts::default(),
        RequestLine {
            method: "PUT",
            path: "/users/S-64003",
            query: None,
        },
    );
    let found = find(&crossing.law.policy, 0, line).unwrap();
    let head = request(&crossing, 0, &found, Asked::First, &mut counts);
    assert_eq!(head.unwrap_err(), Refusal::TargetUnknown);
    assert_eq!(counts.of(Action::PseudonymUnknown), 1);
}

#[test]
fn what_is_no_path_is_refused() {
    for path in [
        "/users/",
        "//users",
        "/./users",
        "/users/..",
        "/users/%2e%2e",
        "/a;b",
        "/a%3bb",
        "/a%2fb",
        "/a%5Cb",
        "/a%00",
        "/a%7f",
        "/a%25b",
        "/a%",
        "/a%4",
        "/a%zz",
        "/%ff",
        "/a\\b",
        "/a b",
        "/é",
        "users",
        "/%C2%85",
        "/a\"b",
    ] {
        assert_eq!(
            target("GET", path, None),
            Err(Refusal::PathInvalid),
            "{path}"
        );
    }
}

#[test]
fn routes_methods_and_parameters_are_told_apart() {
    assert_eq!(target("GET", "/nobody", None), Err(Refusal::RouteUnknown));
    assert_eq!(
        target("GET", "/users/x/y", None),
        Err(Refusal::RouteUnknown)
    );
    assert_eq!(target("GET", "/Users", None), Err(Refusal::RouteUnknown));
    assert_eq!(
        target("POST", "/users", None),
        Err(Refusal::MethodNotListed)
    );
    assert_eq!(target("get", "/users", None), Err(Refusal::MethodNotListed));
    assert_eq!(
        target("BREW", "/users", None),
        Err(Refusal::MethodNotListed)
    );
    assert_eq!(
        target("GET", "/classes/a%20b", None),
        Err(Refusal::PathInvalid)
    );
}

#[test]
fn a_path_tells_the_methods_of_its_own_routes() {
    let law = law(Side::School);
    let of = |method, path| {
        let query = None;
        let line = RequestLine {
            method,
            path,
            query,
        };
        let none = find(&law.policy, 0, line).unwrap_err();
        (none.refusal, none.allowed.to_string())
    };
    let not_listed = |methods: &str| (Refusal::MethodNotListed, methods.to_owned());
    assert_eq!(of("POST", "/users"), not_listed("GET, HEAD"));
    assert_eq!(of("BREW", "/"), not_listed("GET, HEAD"));
    assert_eq!(of("HEAD", "/users/x"), not_listed("PUT"));
    // What has another reason has nothing to tell.
    for path in ["/nobody", "/classes/a%20b", "//"] {
        let (refusal, methods) = of("POST", path);
        assert_ne!(refusal, Refusal::MethodNotListed, "{path}");
        assert_eq!(methods, "", "{path}");
    }
}

#[test]
fn what_a_query_may_not_hold_is_refused() {
    for (query, fault) in [
        ("limit=1&limit=2", QueryFault::Repeated),
        ("limit=x", QueryFault::Type),
        ("limit=", QueryFault::Type),
        ("limit", QueryFault::Malformed),
        ("other=1", QueryFault::Unlisted),
        ("=1", QueryFault::Unlisted),
        ("&&", QueryFault::Malformed),
        ("limit=1&&", QueryFault::Malformed),
        ("&limit=1", QueryFault::Malformed),
        ("pupil=1&&limit=1", QueryFault::Malformed),
        ("Limit=1", QueryFault::Unlisted),
        ("limit=1;offset=2", QueryFault::Unencoded),
        ("limit=+1", QueryFault::Unencoded),
        ("limit=1%", QueryFault::Malformed),
        ("limit=%00", QueryFault::Malformed),
        ("pupil=a+b", QueryFault::Unencoded),
        ("pupil=1&pupil=2", QueryFault::Repeated),
        ("limit=1#x", QueryFault::Unencoded),
        ("limit=\"", QueryFault::Unencoded),
        ("limit=%2525", QueryFault::Malformed),
        ("page[size]=5", QueryFault::Unencoded),
        ("limit=[5]", QueryFault::Unencoded),
        ("page%5Bsize%5D=5", QueryFault::Unlisted),
    ] {
        let seen = target("GET", "/users", Some(query));
        assert_eq!(seen, Err(Refusal::QueryInvalid { fault }), "{query}");
    }
    for (query, built) in [("&", "/users"), ("limit=1&", "/users?limit=1")] {
        let seen = target("GET", "/users", Some(query));
        assert_eq!(seen.as_deref(), Ok(built), "{query}");
    }
    assert_eq!(
        target("GET", "/users", Some("pupil=")),
        Err(Refusal::IdentifierInvalid { at: 0 })
    );
}

#[test]
fn only_whole_successes_pass_as_they_are() {
    let passes = |status, credentials, declared| {
        let passed = answer_status(status, credentials, declared);
        passed.map(|(status, content)| (status.release(), content))
    };
    let nothing = Some(Content::Nothing);
    let ours = |status| {
        let declared = nothing.filter(|_| (200..300).contains(&status));
        passes(status, Credentials::Ours, declared).map(|(status, _)| status)
    };
    assert_eq!(ours(200), Ok(200));
    assert_eq!(ours(204), Ok(204));
    assert_eq!(ours(206), Err(Refusal::UpstreamUnexpected { status: 206 }));
    assert_eq!(ours(302), Err(Refusal::UpstreamUnexpected { status: 302 }));
    assert_eq!(ours(101), Err(Refusal::UpstreamUnexpected { status: 101 }));
    assert_eq!(ours(600), Err(Refusal::UpstreamUnexpected { status: 600 }));
    assert_eq!(ours(401), Err(Refusal::UpstreamAuthentication));
    assert_eq!(ours(407), Err(Refusal::UpstreamAuthentication));
    assert_eq!(ours(404), Err(Refusal::UpstreamError { status: 404 }));
    let callers = |declared| passes(403, Credentials::Callers, declared);
    assert_eq!(callers(None), Err(Refusal::UpstreamError { status: 403 }));
    assert_eq!(callers(nothing), Ok((403, Content::Nothing)));
}

#[test]
fn what_is_declared_for_an_error_passes_and_nothing_else() {
    let shape = Content::Json(crate::policy::Rule::KeepAll);
    let ours = |status| {
        let passed = answer_status(status, Credentials::Ours, Some(shape));
        passed.map(|(status, content)| (status.release(), content))
    };
    for status in [200, 299, 400, 404, 499, 500, 599] {
        assert_eq!(ours(status), Ok((status, shape)));
    }
    for status in [401, 403, 407] {
        assert_eq!(ours(status), Err(Refusal::UpstreamAuthentication));
    }
    for status in [100, 199, 206, 300, 304, 399, 600] {
        assert_eq!(ours(status), Err(Refusal::UpstreamUnexpected { status }));
    }
}

#[test]
fn every_problem_document_is_json_with_its_code() {
    for refusal in Refusal::ALL {
        let reference = Reference::random().ok();
        let text = problem(refusal, 500, reference).release();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["code"], refusal.code());
        assert_eq!(json["title"], refusal.title());
        let detail = json["detail"].as_str();
        assert_eq!(detail.unwrap_or_else(|| refusal.title()), refusal.words());
        assert_eq!(json["at"].as_u64(), refusal.at());
        let instance = json["instance"].as_str().map(str::to_owned);
        assert_eq!(instance, reference.map(|it| it.to_string()));
        let bare = problem(refusal, 500, None).release();
        let bare: serde_json::Value = serde_json::from_slice(&bare).unwrap();
        assert_eq!(bare.get("instance"), None);
    }
}

/// What of these lines of an answer's head reaches the vendor after these came home.
fn lines_after(ids: &[&str], lines: &AnswerLines<'_>) -> (AnswerHead, Counts) {
    let (head, _, counts) = answered_to(Some("/classes/of-s-64003"), ids, lines);
    (head, counts)
}

/// The same, and whether there is a next page that it does not say.
fn answered_after(ids: &[&str], lines: &AnswerLines<'_>) -> (AnswerHead, bool, Counts) {
    answered_to(None, ids, lines)
}

/// The same in the answer to what was asked.
fn answered_to(
    asked: Option<&str>,
    ids: &[&str],
    lines: &AnswerLines<'_>,
) -> (AnswerHead, bool, Counts) {
    let mut law = law(Side::Vendor);
    law.policy.bases = vec![Bases {
        public: "https://gw.example/v".to_owned(),
        upstream: "https://sis.example".to_owned(),
    }];
    let home = Arc::<Home>::default();
    ids.iter().for_each(|id| home.add(id, id));
    let crossing = Crossing::towards(Side::Vendor, Arc::new(law), None).with_home(Some(home));
    let crossing = crossing.in_answer_to(asked.map(Into::into));
    let mut counts = Counts::default();
    let answered = answer(&crossing, 0, lines, Asked::Again, &mut counts);
    let lost = matches!(answered.next, NextPage::Lost(_));
    (answered.head.release(), lost, counts)
}

#[test]
fn a_next_page_that_is_not_said_is_noticed() {
    let leads = "</users?limit=2>; rel=next";
    for (lines, lost) in [
        (&[leads][..], false),
        (&[], false),
        (
            &["</nowhere>; rel=prev", "</nowhere>; rel=\"nextpage\""],
            false,
        ),
        // Nobody knows here what was asked.
        (&["</nowhere>; rel=next; anchor=\"/users\""], true),
        (&["</nowhere>; rel=next"], true),
        (&["</users?limit=2&cursor=x>; rel=\"last NEXT\""], true),
        (&["</users>; rel=first, rel=NEXT"], true),
        (&["</users>; rel=first, </users"], false),
        // One that leads somewhere is enough.
        (&["</nowhere>; rel=next", leads, "rel=next"], false),
        (&["\u{e9}</users>; rel=next"], true),
    ] {
        let link = lines.iter().map(|line| line.as_bytes()).collect();
        let answer = AnswerLines {
            link,
            ..AnswerLines::default()
        };
        assert_eq!(answered_after(&[], &answer).1, lost, "{lines:?}");
    }
}

#[test]
fn a_link_of_several_relations_is_written_for_each() {
    let answer = AnswerLines {
        link: vec![b"</users?limit=2>; rel=\"last next  x\",, </users>; rel=\"FIRST\","],
        ..AnswerLines::default()
    };
    let (head, lost, counts) = answered_after(&[], &answer);
    let page = "<https://gw.example/v/users?limit=2>";
    let first = "<https://gw.example/v/users>; rel=\"first\"";
    let expected = format!("{page}; rel=\"last\", {page}; rel=\"next\", {first}");
    assert_eq!(head.link, Some(expected));
    assert!(!lost && counts.of(Action::DroppedValue) == 0);
}

#[test]
fn a_line_that_would_carry_back_what_came_home_is_dropped() {
    let links: &[u8] = b"</users?limit=9531200>; rel=next, </classes/of-s-64003>; rel=last, \
                         </users?limit=2>; rel=first, </nowhere>; rel=prev";
    let lines = AnswerLines {
        content_location: vec![b"/classes/of%2Ds%2D64003"],
        link: vec![links],
        location: vec![b"/classes/of-s-64003"],
        total_count: vec![],
        body: None,
    };
    let (head, counts) = lines_after(&["S-64003", "9531200"], &lines);
    let first = "<https://gw.example/v/users?limit=2>; rel=\"first\"";
    assert_eq!(head.link.as_deref(), Some(first));
    assert_eq!((head.location, head.content_location), (None, None));
    assert_eq!(counts.of(Action::DroppedEcho), 4);
    assert_eq!(counts.echo(), Some(EchoAt::Header("content-location")));
    assert_eq!(counts.of(Action::DroppedValue), 1, "that leads nowhere");
    assert!(
        answered_after(&["9531200"], &lines).1,
        "the next page is not said"
    );
    // Without anybody at home they all pass.
    let (head, counts) = lines_after(&[], &lines);
    assert_eq!(head.link.map(|link| link.matches("rel=").count()), Some(3));
    assert!(head.location.is_some() && head.content_location.is_some());
    assert_eq!(counts.of(Action::DroppedEcho), 0);
}
