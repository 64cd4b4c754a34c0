//! The way home: what the rewriter does with pseudonyms, whoever remembers them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::limits::{self, Limits};
use crate::policy::{
    Any, Bases, Content, Field, Fields, Flow, Generaliser, IdKind, Index, Item, Keep, Method,
    ParameterType, Policy, QueryParameter, QueryRule, Route, Rule, Segment, Shape, ShapeBody, Side,
    Template, Unlisted, ValueType,
};
use crate::pseudonym::{
    Asked, Back, Batch, Canonical, Form, Generation, Identifier, IdentifierFault, KindSpec,
    Notation, Recall, Register, Unknown, VendorKey,
};
use crate::refusal::{JsonFault, Refusal};

/// A register that knows what it is told, and tells apart what others would.
#[derive(Debug, Default)]
pub(super) struct Book {
    known: Mutex<BTreeMap<(usize, String), (String, Recall)>>,
}

impl Book {
    pub(super) fn knows(&self, kind: usize, pseudonym: &str, id: &str, recall: Recall) {
        let known = (id.to_owned(), recall);
        let mut all = self.known.lock().unwrap();
        all.insert((kind, pseudonym.to_owned()), known);
    }
}

impl Register for Book {
    fn remember(
        &self,
        kind: usize,
        id: Identifier<'_>,
        form: Form,
        batch: &mut Batch,
    ) -> Result<(), IdentifierFault> {
        batch.add(kind, form, id);
        Ok(())
    }

    fn recall(&self, kind: usize, pseudonym: &str, _: Asked, into: &mut Vec<u8>) -> Recall {
        let known = self.known.lock().unwrap();
        match known.get(&(kind, pseudonym.to_owned())) {
            Some((id, recall @ Recall::Found { .. })) => {
                into.extend_from_slice(id.as_bytes());
                *recall
            }
            Some((_, recall)) => *recall,
            None => Recall::Unknown,
        }
    }
}

const PUPIL: usize = 0;
const GROUP: usize = 1;
const THEIRS: usize = 2;

const TEXT: Recall = Recall::Found {
    form: Form::Text,
    age: 0,
};
const NUMBER: Recall = Recall::Found {
    form: Form::Number,
    age: 1,
};

fn at<T>(place: usize) -> Index<T> {
    Index::new(place).unwrap()
}

/// A result that names a pupil in every way, and the scores in it.
fn shapes() -> Vec<Shape> {
    let keep = Rule::Keep(Keep {
        of: ValueType::Any,
        rules: None,
    });
    let mail = Rule::Derived {
        kind: at(PUPIL),
        of: 0,
    };
    let lines = [
        ("pupil", Rule::Identifier(at(PUPIL))),
        ("group", Rule::Identifier(at(GROUP))),
        ("own", Rule::Identifier(at(THEIRS))),
        ("pupils", Rule::List(Item::Identifier(at(PUPIL)))),
        ("one", Rule::ListOrOne(Item::Identifier(at(PUPIL)))),
        ("scores", Rule::Object(at(1))),
        ("mail", mail),
        ("note", keep),
        ("all", Rule::KeepAll),
        ("href", Rule::Link(None)),
        ("urn", Rule::Template(at(0))),
        ("inner", Rule::Nested(at(0))),
    ];
    let lines = lines.map(|(key, rule)| Field {
        key: key.into(),
        rule,
    });
    let any = Any {
        key: at(PUPIL),
        rule: keep,
    };
    let scores = Fields::new(Vec::new(), Some(any), Unlisted::Drop);
    let shape = |name: &str, fields: Fields| Shape {
        name: name.to_owned(),
        body: ShapeBody::Fields(fields.into()),
    };
    vec![
        shape("Result", Fields::new(lines.into(), None, Unlisted::Drop)),
        shape("Scores", scores),
    ]
}

/// `PUT /{pupil}/{:int}?of={group}` and the same with `GET`, called by the vendor.
fn flow() -> Flow {
    let route = |method| Route {
        name: String::new(),
        method,
        path: [
            Segment::Identifier(at(PUPIL)),
            Segment::Parameter(ParameterType::Int),
        ]
        .into(),
        query: [QueryParameter {
            name: "of".into(),
            rule: QueryRule::Identifiers(at(GROUP)),
        }]
        .into(),
        to_vendor: Content::Nothing,
        from_vendor: Content::Nothing,
        statuses: Box::default(),
    };
    Flow {
        name: "results".to_owned(),
        caller: Side::Vendor,
        routes: [route(Method::Put), route(Method::Get)].into(),
    }
}

/// With one kind that rejects what is nobody's, one that drops it and one that keeps it.
fn law() -> Arc<Law> {
    law_with(Unknown::Keep)
}

fn law_with(theirs: Unknown) -> Arc<Law> {
    let specs = [
        ("pupil", Unknown::Reject),
        ("group", Unknown::Drop),
        ("theirs", theirs),
    ];
    let specs = specs.map(|(name, unknown)| KindSpec {
        name: name.to_owned(),
        canonical: Canonical::default(),
        notation: Notation::Hex,
        back: Back::SchoolOnly,
        unknown,
        accept_keys: 2,
    });
    let kinds = specs.each_ref().map(|spec| IdKind {
        name: spec.name.clone(),
        public: false,
    });
    Arc::new(Law {
        policy: Policy {
            vendor: "rekenwijs".to_owned(),
            shapes: shapes(),
            kinds: kinds.into(),
            templates: vec![Template {
                parts: [("urn:".into(), at(GROUP)), ("/".into(), at(PUPIL))].into(),
                end: "".into(),
            }],
            flows: vec![flow()],
            bases: vec![Bases {
                public: "https://gw.example/v".to_owned(),
                upstream: "https://sis.example/api".to_owned(),
            }],
            ..Policy::default()
        },
        generations: Arc::new([Generation::new(1, &VendorKey::from([7; 32]), specs)]),
        limits: Limits::default(),
    })
}

fn book() -> Arc<Book> {
    let book = Book::default();
    book.knows(PUPIL, "p1", "S-64003", TEXT);
    book.knows(PUPIL, "p2", "95312", NUMBER);
    book.knows(PUPIL, "p3", "a\"b\\c", TEXT);
    book.knows(GROUP, "g1", "H1A", TEXT);
    book.knows(PUPIL, "f1", "", Recall::Foreign);
    book.knows(PUPIL, "r1", "", Recall::Retired);
    let third = Recall::Found {
        form: Form::Text,
        age: 2,
    };
    book.knows(PUPIL, "r2", "S-64003", third);
    Arc::new(book)
}

/// What reaches the school of a body in these pieces, with what was counted.
fn home<P: AsRef<[u8]>>(pieces: &[P]) -> (Result<String, Refusal>, Counts) {
    let crossing = Crossing::towards(Side::School, law(), Some(book())).in_flow(0);
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    let mut write = |rewriter: &mut Rewriter, piece: &P| {
        rewriter.write(piece.as_ref(), &mut out)?;
        match rewriter.waits_for_register() {
            true => rewriter.resume(&mut out),
            false => Ok(()),
        }
    };
    let mut done = pieces
        .iter()
        .try_for_each(|piece| write(&mut rewriter, piece));
    done = done.and_then(|()| rewriter.end(&mut out));
    if rewriter.waits_for_register() {
        done = done.and_then(|()| rewriter.resume(&mut out));
    }
    let text = String::from_utf8(out.release()).unwrap();
    (done.map(|()| text), *rewriter.counts())
}

#[test]
fn pseudonyms_come_home_as_the_school_wrote_them() {
    let body = concat!(
        r#"{"pupil":"p1","group":"g1","pupils":["p1","p2","p3"],"one":"p2","#,
        r#""mail":"x","scores":{"p1":1,"p2":2}}"#
    );
    let expected = concat!(
        r#"{"pupil":"S-64003","group":"H1A","pupils":["S-64003",95312,"a\"b\\c"],"one":95312,"#,
        r#""scores":{"S-64003":1,"95312":2}}"#
    );
    for cut in 0..=body.len() {
        let (left, right) = body.split_at(cut);
        let (home, counts) = home(&[left, right]);
        assert_eq!(home.as_deref(), Ok(expected), "cut at {cut}");
        assert_eq!(counts.of(Action::BroughtHome), 5);
        assert_eq!(counts.of(Action::BroughtHomeOld), 3);
        assert_eq!(
            counts.of(Action::DroppedValue),
            1,
            "nothing is made of an id"
        );
    }
}

#[test]
fn what_stands_within_a_text_comes_home() {
    let body = concat!(
        r#"{"href":"https://gw.example/v/p1/7?of=g1","urn":"urn:g1\/p2","#,
        r#""inner":"{\"pupil\":\"p1\",\"name\":1,\"urn\":\"urn:g1/p1\"}"}"#
    );
    let expected = concat!(
        r#"{"href":"https://sis.example/api/S-64003/7?of=H1A","urn":"urn:H1A/95312","#,
        r#""inner":"{\"pupil\":\"S-64003\",\"urn\":\"urn:H1A/S-64003\"}"}"#
    );
    for cut in 0..=body.len() {
        let (left, right) = body.split_at(cut);
        let (home, counts) = home(&[left, right]);
        assert_eq!(home.as_deref(), Ok(expected), "cut at {cut}");
        assert_eq!(counts.of(Action::BroughtHome), 6);
        assert_eq!(counts.of(Action::BroughtHomeOld), 1);
        assert_eq!(counts.of(Action::Translated), 4);
        assert_eq!(counts.of(Action::DroppedUnlisted), 1);
    }
}

#[test]
fn what_stands_within_a_text_and_is_nobodys_is_refused_or_dropped() {
    for (body, at) in [
        (r#"{"href":"https://gw.example/v/p9/7"}"#, 8),
        (r#"{"href":"/v/f1/7"}"#, 8),
        (r#"{"urn":"urn:g1/r1"}"#, 7),
        (r#"{"note":1,"inner":"{\"pupil\":\"p9\"}"}"#, 18),
        (r#"{"inner":"{\"urn\":\"urn:g1/p9\"}"}"#, 9),
    ] {
        for cut in 0..=body.len() {
            let (left, right) = body.split_at(cut);
            let refused = home(&[left, right]).0;
            assert_eq!(refused, Err(Refusal::PseudonymUnknown { at }), "{body}");
        }
    }
    for body in [
        r#"{"href":"https://gw.example/v/p1/7?of=g9"}"#,
        r#"{"urn":"urn:g9/p1"}"#,
        r#"{"href":"https://vendor.example/v/p1/7"}"#,
        r#"{"href":"https://gw.example/v/p1/x"}"#,
        r#"{"urn":"urn:p1"}"#,
        r#"{"inner":"{\"pupil\":\"p1\""}"#,
        r#"{"inner":"p1"}"#,
        r#"{"href":7,"urn":{},"inner":[]}"#,
    ] {
        for cut in 0..=body.len() {
            let (left, right) = body.split_at(cut);
            let (home, counts) = home(&[left, right]);
            assert_eq!(home.as_deref(), Ok("{}"), "{body} cut at {cut}");
            assert_eq!(counts.of(Action::Translated), 0);
        }
    }
}

#[test]
fn a_link_longer_than_any_reader_takes_is_dropped() {
    let link = |times| format!("/v/p1/7?of=g1{}", "&of=g1".repeat(times));
    let fits = (limits::URL_CHARS_MAX - link(0).len()) / link(1).len().abs_diff(link(0).len());
    for (times, translated) in [(fits, 1), (fits + 1, 0)] {
        let body = format!(r#"{{"href":"{}"}}"#, link(times));
        let (home, counts) = home(&[&body]);
        assert!(home.is_ok());
        assert_eq!(counts.of(Action::Translated), translated);
    }
}

#[test]
fn nothing_is_added_on_the_way_home() {
    let mut law = Arc::into_inner(law()).unwrap();
    let line = |key: &str, rule| Field {
        key: key.into(),
        rule,
    };
    let lines = vec![
        line("pupil", Rule::Identifier(at(PUPIL))),
        line("name", Rule::Constant(at(0))),
        line("mail", Rule::Blank),
    ];
    law.policy.constants = vec![crate::policy::Constant {
        json: (*b"\"Leerling\"").into(),
    }];
    law.policy.shapes[0].body = ShapeBody::Fields(Fields::new(lines, None, Unlisted::Drop).into());
    let crossing = Crossing::towards(Side::School, Arc::new(law), Some(book()));
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    let body = br#"{"pupil":"p1","name":"Leerling","mail":"p@vendor.example"}"#;
    rewriter.write(body, &mut out).unwrap();
    rewriter.end(&mut out).unwrap();
    assert_eq!(out.look(), br#"{"pupil":"S-64003"}"#);
}

#[test]
fn what_is_nobodys_is_refused_dropped_or_kept_as_its_kind_says() {
    for (body, why) in [
        (r#"{"pupil":"p9"}"#, Action::PseudonymUnknown),
        (r#"{"pupil":"f1"}"#, Action::PseudonymForeign),
        (r#"{"pupil":"r1"}"#, Action::PseudonymRetired),
        (r#"{"pupil":"r2"}"#, Action::PseudonymRetired),
    ] {
        let (home, counts) = home(&[body]);
        assert_eq!(home, Err(Refusal::PseudonymUnknown { at: 9 }), "{body}");
        assert_eq!(counts.of(why), 1, "{body}");
    }
    let listed = home(&[r#"{"pupils":["p1","p9"]}"#]).0;
    assert_eq!(listed, Err(Refusal::PseudonymUnknown { at: 16 }));
    let key = home(&[r#"{"scores":{"p9":1}}"#]).0;
    assert_eq!(key, Err(Refusal::PseudonymUnknown { at: 11 }));
    let (dropped, counts) = home(&[r#"{"group":"g9","pupil":"p1"}"#]);
    assert_eq!(dropped.as_deref(), Ok(r#"{"pupil":"S-64003"}"#));
    assert_eq!(counts.of(Action::PseudonymUnknown), 1);
    let kept = home(&[r#"{"own":"v-1","pupil":""}"#]).0;
    assert_eq!(kept.as_deref(), Ok(r#"{"own":"v-1","pupil":""}"#));
}

/// What goes on towards a side of this body, where the kind `theirs` is `own`, or why nothing does.
fn with_own(to: Side, body: &str) -> (Result<String, Refusal>, Rewriter) {
    let crossing = Crossing::towards(to, law_with(Unknown::Own), Some(book()));
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    let mut done = rewriter.write(body.as_bytes(), &mut out);
    if rewriter.waits_for_register() {
        done = done.and_then(|()| rewriter.resume(&mut out));
    }
    done = done.and_then(|()| rewriter.end(&mut out));
    let text = String::from_utf8(out.release()).unwrap();
    (done.map(|()| text), rewriter)
}

#[test]
fn an_id_of_the_vendors_making_is_marked_at_the_school_and_comes_back_without() {
    let (home, _) = with_own(Side::School, r#"{"own":"LI-1.a"}"#);
    let home = home.unwrap();
    assert_eq!(home, r#"{"own":"rekenwijs~LI-1.a~"}"#);
    let (back, mut rewriter) = with_own(Side::Vendor, &home);
    assert_eq!(back.as_deref(), Ok(r#"{"own":"LI-1.a"}"#));
    assert_eq!(
        rewriter.trail().batch.iter().count(),
        0,
        "nothing to remember"
    );
}

#[test]
fn an_id_that_the_vendor_did_not_make_gets_a_pseudonym() {
    let pseudonym = "0123456789abcdef0123456789abcdef";
    for id in [
        "LI-1",
        "toetsbron~LI-1~",
        "rekenwijs~LI-1~S-64003~",
        "rekenwijs~LI-1~-S-64003",
        &format!("rekenwijs~{pseudonym}~"),
    ] {
        let (sent, mut rewriter) = with_own(Side::Vendor, &format!(r#"{{"own":"{id}"}}"#));
        let sent = sent.unwrap();
        assert_eq!(sent.len(), r#"{"own":""}"#.len() + 32, "{sent}");
        assert_eq!(rewriter.trail().batch.iter().count(), 1, "{id}");
    }
}

#[test]
fn an_own_id_cannot_be_taken_for_a_pseudonym_or_for_the_schools() {
    for id in [
        // As a pseudonym looks, and nobody's.
        "0123456789abcdef0123456789abcdef",
        "0123456789ABCDEF0123456789ABCDEF",
        "rekenwijs~LI-1~",
        "LI 1",
        "../LI-1",
    ] {
        let (home, rewriter) = with_own(Side::School, &format!(r#"{{"own":"{id}"}}"#));
        assert_eq!(home, Err(Refusal::PseudonymUnknown { at: 7 }), "{id}");
        assert_eq!(rewriter.counts().of(Action::PseudonymUnknown), 1, "{id}");
    }
}

#[test]
fn whoever_objected_is_asked_for_again_like_nobody() {
    let mut law = Arc::into_inner(law()).unwrap();
    law.policy.send_only(Vec::new(), vec![at(PUPIL)]);
    let mut objections = Objections::default();
    let canonical = Canonical::default();
    objections.add(at(PUPIL), &canonical, "S-64003").unwrap();
    let crossing = Crossing::towards(Side::School, Arc::new(law), Some(book()));
    let crossing = crossing.with_objections(Arc::new(objections));
    for (pupil, waits, done) in [
        ("p1", true, Err(Refusal::PseudonymUnknown { at: 9 })),
        ("p9", true, Err(Refusal::PseudonymUnknown { at: 9 })),
        ("p2", false, Ok(())),
    ] {
        let mut rewriter = Rewriter::new(crossing.clone(), Rule::Object(at(0)));
        let mut out = Cleared::default();
        let body = format!(r#"{{"pupil":"{pupil}"}}"#);
        rewriter.write(body.as_bytes(), &mut out).unwrap();
        assert_eq!(rewriter.waits_for_register(), waits, "{pupil}");
        if waits {
            assert_eq!(rewriter.resume(&mut out), done, "{pupil}");
        }
    }
}

#[test]
fn what_is_nobodys_is_so_in_every_split() {
    for (body, expected) in [
        (r#"{"group":"g9"}"#, Ok("{}")),
        (
            r#"{"pupils":["p1"],"pupil":"p9"}"#,
            Err(Refusal::PseudonymUnknown { at: 25 }),
        ),
        (r#"{"one":"p1"}"#, Ok(r#"{"one":"S-64003"}"#)),
        (
            r#"{"scores":{"g9":"x"},"pupil":"p1"}"#,
            Err(Refusal::PseudonymUnknown { at: 11 }),
        ),
    ] {
        for cut in 0..=body.len() {
            let (first, rest) = body.split_at(cut);
            for second in 0..=rest.len() {
                let (middle, last) = rest.split_at(second);
                let pieces = [first, middle, last];
                let given = home(&pieces).0;
                let given = given.as_deref().map_err(|refusal| *refusal);
                assert_eq!(given, expected, "{body} cut at {cut} and {second}");
            }
        }
    }
}

#[test]
fn nothing_goes_on_before_the_register_has_caught_up() {
    let book = Arc::new(Book::default());
    let register: Arc<dyn Register> = Arc::<Book>::clone(&book);
    let crossing = Crossing::towards(Side::School, law(), Some(register));
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    rewriter
        .write(br#"{"note":1,"pupil":"p1","note"#, &mut out)
        .unwrap();
    assert!(rewriter.waits_for_register());
    assert_eq!(out.look(), br#"{"note":1"#);
    rewriter.write(br#"2":2"#, &mut out).unwrap();
    assert_eq!(out.look(), br#"{"note":1"#);
    book.knows(PUPIL, "p1", "S-64003", TEXT);
    rewriter.resume(&mut out).unwrap();
    assert_eq!(out.look(), br#"{"note":1,"pupil":"S-64003""#);
    rewriter.write(b"}", &mut out).unwrap();
    rewriter.end(&mut out).unwrap();
    assert_eq!(out.look(), br#"{"note":1,"pupil":"S-64003"}"#);
}

/// A rewriter of a body for the school, and what its register knows.
fn waiting() -> (Arc<Book>, Rewriter) {
    let book = Arc::new(Book::default());
    let register: Arc<dyn Register> = Arc::<Book>::clone(&book);
    let crossing = Crossing::towards(Side::School, law(), Some(register)).in_flow(0);
    (book, Rewriter::new(crossing, Rule::Object(at(0))))
}

#[test]
fn what_comes_later_in_a_body_is_asked_for_anew() {
    let ((book, mut rewriter), mut out) = (waiting(), Cleared::default());
    // Each is let out, by another node, after the one before it has come home.
    for (piece, pseudonym) in [
        (r#"{"pupils":["p1""#, "p1"),
        (r#","p2""#, "p2"),
        (r#"],"scores":{"p3":1"#, "p3"),
        (r#"},"href":"/v/p4/7""#, "p4"),
        (r#","inner":"{\"pupil\":\"p5\"}""#, "p5"),
    ] {
        rewriter.write(piece.as_bytes(), &mut out).unwrap();
        assert!(rewriter.waits_for_register(), "{pseudonym}");
        book.knows(PUPIL, pseudonym, &format!("S-{pseudonym}"), TEXT);
        rewriter.resume(&mut out).unwrap();
        assert!(!rewriter.waits_for_register(), "{pseudonym}");
    }
    let home = concat!(
        r#"{"pupils":["S-p1","S-p2"],"scores":{"S-p3":1},"#,
        r#""href":"https://sis.example/api/S-p4/7","inner":"{\"pupil\":\"S-p5\"}""#
    );
    assert_eq!(str::from_utf8(out.look()), Ok(home));
    // What is not known after that is nobody's.
    rewriter.write(br#","pupil":"p6"}"#, &mut out).unwrap();
    assert!(rewriter.waits_for_register());
    let refused = rewriter.resume(&mut out);
    assert!(matches!(refused, Err(Refusal::PseudonymUnknown { .. })));
}

#[test]
fn every_kind_that_comes_later_is_asked_for_anew() {
    let mut law = Arc::into_inner(law()).unwrap();
    law.policy.send_only(Vec::new(), vec![at(PUPIL)]);
    let mut objections = Objections::default();
    objections
        .add(at(PUPIL), &Canonical::default(), "S-64003")
        .unwrap();
    let crossing = Crossing::towards(Side::School, Arc::new(law), Some(book())).in_flow(0);
    let crossing = crossing.with_objections(Arc::new(objections));
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    for (piece, waits, left) in [
        (r#"{"group":"g8""#, true, "{"),
        (r#","scores":{}"#, false, r#"{"scores":{}"#),
        (
            r#","inner":"{\"group\":\"g9\"}""#,
            true,
            r#"{"scores":{},"inner":"{}""#,
        ),
        (
            r#","own":"v-1""#,
            true,
            r#"{"scores":{},"inner":"{}","own":"v-1""#,
        ),
    ] {
        rewriter.write(piece.as_bytes(), &mut out).unwrap();
        assert_eq!(rewriter.waits_for_register(), waits, "{piece}");
        if waits {
            rewriter.resume(&mut out).unwrap();
        }
        assert_eq!(str::from_utf8(out.look()), Ok(left));
    }
    // Whoever objected, too.
    rewriter.write(br#","one":"p1""#, &mut out).unwrap();
    assert!(rewriter.waits_for_register());
    let refused = rewriter.resume(&mut out);
    assert!(matches!(refused, Err(Refusal::PseudonymUnknown { .. })));
}

#[test]
fn without_a_register_nothing_waits_for_one() {
    for (line, done) in [
        (
            r#""href":"/v/p1/7""#,
            Err(Refusal::PseudonymUnknown { at: 17 }),
        ),
        (
            r#""inner":"{\"pupil\":\"p1\"}""#,
            Err(Refusal::PseudonymUnknown { at: 18 }),
        ),
        (r#""href":"/v/./7""#, Ok(r#"{"note":1,"all":2}"#)),
        (r#""group":"g1""#, Ok(r#"{"note":1,"all":2}"#)),
    ] {
        let crossing = Crossing::towards(Side::School, law(), None).in_flow(0);
        let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
        let mut out = Cleared::default();
        let body = format!(r#"{{"note":1,{line},"all":2}}"#);
        let read = rewriter.write(body.as_bytes(), &mut out);
        assert!(!rewriter.waits_for_register(), "{line}");
        let read = read.and_then(|()| rewriter.end(&mut out));
        let left = read.map(|()| str::from_utf8(out.look()).unwrap());
        assert_eq!(left, done, "{line}");
    }
}

#[test]
fn what_is_no_text_stays_behind_what_waits_whatever_comes() {
    for known in [true, false] {
        let ((book, mut rewriter), mut out) = (waiting(), Cleared::default());
        rewriter
            .write(b"{\"pupil\":\"p1\",\"note\":\"\xff\"", &mut out)
            .unwrap();
        rewriter.write(b"}}}", &mut out).unwrap();
        assert_eq!((rewriter.waits_for_register(), out.look().len()), (true, 1));
        if known {
            book.knows(PUPIL, "p1", "S-1", TEXT);
        }
        rewriter.end(&mut out).unwrap();
        let fault = JsonFault::Utf8;
        let refused = match known {
            true => Refusal::BodyMalformed { fault, at: 22 },
            false => Refusal::PseudonymUnknown { at: 9 },
        };
        assert_eq!(rewriter.resume(&mut out), Err(refused));
        assert_eq!(rewriter.end(&mut out), Err(refused));
    }
}

#[test]
fn what_is_nobodys_is_found_before_what_is_no_text_behind_it() {
    for (body, expected) in [
        (
            &b"{\"pupil\":\"p9\",\"note\":\"\xff\"}"[..],
            Refusal::PseudonymUnknown { at: 9 },
        ),
        (
            b"{\"pupil\":\"p9\",\"note\":\"\xc3",
            Refusal::PseudonymUnknown { at: 9 },
        ),
        (
            b"{\"group\":\"g9\",\"note\":\"\xff\"}",
            Refusal::BodyMalformed {
                fault: JsonFault::Utf8,
                at: 22,
            },
        ),
        (
            b"{\"group\":\"g9\",\"note\":\"\xc3",
            Refusal::BodyMalformed {
                fault: JsonFault::Utf8,
                at: 22,
            },
        ),
    ] {
        for cut in 0..=body.len() {
            let (first, rest) = body.split_at(cut);
            let given = home(&[first, rest]).0;
            assert_eq!(given, Err(expected), "{} cut at {cut}", body.escape_ascii());
        }
    }
}

#[test]
fn what_came_home_does_not_leave_again_in_a_kept_value() {
    let home = Arc::<Home>::default();
    for id in ["S-64003", "95312"] {
        home.add(id, id);
    }
    let crossing = Crossing::towards(Side::Vendor, law(), Some(book())).with_home(Some(home));
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    let body = br#"{"note":"by S\u002d64003","all":{"a":"S-64003","S-64003":1,
        "b":["of 95312",95312,195312]}}"#;
    rewriter.write(body, &mut out).unwrap();
    rewriter.end(&mut out).unwrap();
    assert_eq!(out.look(), br#"{"all":{"b":[195312]}}"#);
    assert_eq!(rewriter.counts().of(Action::DroppedEcho), 5);
    let note = Some(EchoAt::Field(at(0), Some(line_of("note"))));
    assert_eq!(rewriter.counts().echo(), note, "the first");
}

/// In the order of the policy, which is the quick way through an object.
#[test]
fn what_came_home_does_not_leave_again_in_texts_that_stand_in_order() {
    let mut law = Arc::into_inner(law()).unwrap();
    let keep = Rule::Keep(Keep {
        of: ValueType::Any,
        rules: None,
    });
    let lines = ["one", "two", "three"].map(|key| Field {
        key: key.into(),
        rule: keep,
    });
    let fields = Fields::new(lines.into(), None, Unlisted::Drop);
    law.policy.shapes[0].body = ShapeBody::Fields(fields.into());
    let body = r#"{"one":"of S-64003","two":"of S-64004","three":"S-64003"}        "#;
    let (left, counts) = after(&["S-64003"], Side::Vendor, Arc::new(law), body);
    assert_eq!(left, r#"{"two":"of S-64004"}"#);
    assert_eq!(counts.of(Action::DroppedEcho), 2);
    assert_eq!(counts.of(Action::Kept), 1);
}

#[test]
fn what_came_home_does_not_leave_again_in_a_rounded_number() {
    let mut law = Arc::into_inner(law()).unwrap();
    law.policy.generalisers = vec![Generaliser::Round(1), Generaliser::Round(10)];
    let lines = [("one", 0), ("ten", 1)].map(|(key, to)| Field {
        key: key.into(),
        rule: Rule::Generalise(at(to)),
    });
    let fields = Fields::new(lines.into(), None, Unlisted::Drop);
    law.policy.shapes[0].body = ShapeBody::Fields(fields.into());
    let law = Arc::new(law);
    for (body, left, echoes) in [
        (r#"{"one":953120,"ten":953118}"#, "{}", 2),
        (r#"{"one":953120.4,"ten":953120}"#, "{}", 2),
        (
            r#"{"one":953121,"ten":953126}"#,
            r#"{"one":953121,"ten":953130}"#,
            0,
        ),
    ] {
        let (seen, counts) = after(&["953120"], Side::Vendor, Arc::clone(&law), body);
        assert_eq!(
            (&*seen, counts.of(Action::DroppedEcho)),
            (left, echoes),
            "{body}"
        );
    }
}

/// The place of a line of the first shape.
fn line_of(key: &str) -> usize {
    let law = law();
    let lines = law.policy.fields(at(0)).unwrap().lines();
    lines.iter().position(|line| *line.key == *key).unwrap()
}

#[test]
fn an_echo_is_told_by_its_place_in_the_policy() {
    for (body, key) in [
        (r#"{"pupil":"S-1","note":"S-64003"}"#, "note"),
        (
            r#"{"pupil":"S-1","all":[{"a":1},["S-64003"]],"note":1}"#,
            "all",
        ),
        (r#"{"all":{"x":{"S-64003":1}}}"#, "all"),
        (r#"{"href":"/api/S-1/9531200"}"#, "href"),
        (r#"{"inner":"{\"note\":\"S-64003\"}"}"#, "note"),
    ] {
        let ids = ["S-64003", "9531200"];
        let (_, counts) = after(&ids, Side::Vendor, law(), body);
        let expected = Some(EchoAt::Field(at(0), Some(line_of(key))));
        assert_eq!(counts.echo(), expected, "{body}");
    }
}

/// What becomes of a body in an exchange in which these came home.
fn after(ids: &[&str], to: Side, law: Arc<Law>, body: &str) -> (String, Counts) {
    let home = Arc::<Home>::default();
    ids.iter().for_each(|id| home.add(id, id));
    let crossing = Crossing::towards(to, law, Some(book())).in_flow(0);
    // A number in the path of a link leads on only as it was asked.
    let crossing = crossing.in_answer_to(Some("/S-1/9531".into()));
    let mut rewriter = Rewriter::new(crossing.with_home(Some(home)), Rule::Object(at(0)));
    let mut out = Cleared::default();
    rewriter.write(body.as_bytes(), &mut out).unwrap();
    rewriter.end(&mut out).unwrap();
    let text = String::from_utf8(out.release()).unwrap();
    (text, *rewriter.counts())
}

#[test]
fn what_came_home_does_not_leave_again_in_a_link() {
    let to_vendor = |law, body| after(&["9531200", "9531"], Side::Vendor, law, body);
    let body = r#"{"href":"/api/S-1/9531200","inner":"{\"href\":\"/api/S-1/9531200?of=x\"}"}"#;
    let (left, counts) = to_vendor(law(), body);
    assert_eq!(left, r#"{"inner":"{}"}"#);
    assert_eq!(counts.of(Action::DroppedEcho), 2);
    // One that is short enough to be met by chance is not looked for in a number.
    let (left, counts) = to_vendor(law(), r#"{"href":"/api/S-1/9531"}"#);
    assert!(left.ends_with(r#"/9531"}"#), "{left}");
    assert_eq!(counts.of(Action::DroppedEcho), 0);
    // A constant in its place does not hide it.
    let mut law = Arc::into_inner(law()).unwrap();
    law.policy.constants = vec![crate::policy::Constant {
        json: (*b"\"-\"").into(),
    }];
    let lines = vec![Field {
        key: "href".into(),
        rule: Rule::Link(Some(at(0))),
    }];
    law.policy.shapes[0].body = ShapeBody::Fields(Fields::new(lines, None, Unlisted::Drop).into());
    let (left, counts) = to_vendor(Arc::new(law), r#"{"href":"/api/S-1/9531200"}"#);
    assert_eq!(left, r#"{"href":"-"}"#);
    assert_eq!(counts.of(Action::DroppedEcho), 1);
}

#[test]
fn on_the_way_home_nothing_is_an_echo() {
    let body =
        r#"{"pupil":"p1","note":"of S-64003","all":{"S-64003":9531200},"href":"/v/p1/9531200"}"#;
    let (left, counts) = after(&["S-64003", "9531200"], Side::School, law(), body);
    let home = "https://sis.example/api/S-64003/9531200";
    let expected = format!(
        r#"{{"pupil":"S-64003","note":"of S-64003","all":{{"S-64003":9531200}},"href":"{home}"}}"#
    );
    assert_eq!(left, expected);
    assert_eq!(counts.of(Action::DroppedEcho), 0);
}

#[test]
fn what_leaves_is_noted_for_the_register_once() {
    let crossing = Crossing::towards(Side::Vendor, law(), Some(book()));
    let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
    let mut out = Cleared::default();
    let body = br#"{"pupil":"S-1","pupils":["S-1",7],"scores":{"S-2":1},"mail":"x"}"#;
    rewriter.write(body, &mut out).unwrap();
    rewriter.end(&mut out).unwrap();
    let batch = &rewriter.trail().batch;
    let noted: Vec<_> = batch
        .iter()
        .map(|(kind, form, id)| (kind, form, format!("{id:?}")))
        .collect();
    assert_eq!(
        noted,
        [
            (PUPIL, Form::Text, "Identifier(3 bytes)".to_owned()),
            (PUPIL, Form::Number, "Identifier(1 bytes)".to_owned()),
            (PUPIL, Form::Text, "Identifier(3 bytes)".to_owned()),
        ]
    );
}

fn target(path: &str, query: &str, asked: Asked) -> Result<String, Refusal> {
    let crossing = Crossing::towards(Side::School, law(), Some(book()));
    let line = RequestLine {
        method: "PUT",
        path,
        query: Some(query),
    };
    let found = find(&crossing.law.policy, 0, line)?;
    let head = request(&crossing, 0, &found, asked, &mut Counts::default())?;
    Ok(head.outbound.release().target)
}

#[test]
fn pseudonyms_in_a_target_come_home_or_lead_nowhere() {
    let home = target("/p1/7", "of=g1&of=g1", Asked::Again);
    assert_eq!(home.as_deref(), Ok("/S-64003/7?of=H1A&of=H1A"));
    let home = target("/p3/7", "", Asked::First);
    assert_eq!(home.as_deref(), Ok("/a%22b%5Cc/7"));
    for (path, query) in [
        ("/p9/7", ""),
        ("/f1/7", ""),
        ("/r1/7", ""),
        ("/p1/7", "of=g9"),
    ] {
        for asked in [Asked::First, Asked::Again] {
            assert_eq!(
                target(path, query, asked),
                Err(Refusal::TargetUnknown),
                "{path}"
            );
        }
    }
}
