use std::sync::Arc;

use super::block::tests::in_every_width;
use super::*;
use crate::limits::{Bound, Limits};
use crate::minimise::Law;
use crate::policy::{
    Any, Constant, DateForm, Field, Fields, Generaliser, IdKind, Index, Item, Keep, Otherwise,
    Policy, Shape, ShapeBody, Side, Switch, Unlisted, ValueRules, ValueType,
};
use crate::pseudonym::{
    Back, Canonical, Generation, Identifier, KindSpec, Notation, Unknown, VendorKey,
};

fn at<T>(place: usize) -> Index<T> {
    Index::new(place).unwrap()
}

const fn keep(of: ValueType) -> Rule {
    Rule::Keep(Keep { of, rules: None })
}

const PUPIL: usize = 0;
const MAIL: usize = 1;
const NUMBER: usize = 2;

/// Shape 0, a user, with every rule in it.
fn user_lines() -> Vec<(&'static str, Rule)> {
    let any = keep(ValueType::Any);
    vec![
        ("id", Rule::Identifier(at(PUPIL))),
        (
            "mail",
            Rule::Derived {
                kind: at(MAIL),
                of: 0,
            },
        ),
        ("name", any),
        ("gone", Rule::Drop),
        ("number", Rule::Identifier(at(NUMBER))),
        ("born", Rule::Generalise(at(0))),
        ("score", Rule::Generalise(at(1))),
        ("empty", Rule::Blank),
        (
            "role",
            Rule::Keep(Keep {
                of: ValueType::Any,
                rules: Some(at(0)),
            }),
        ),
        ("all", Rule::KeepAll),
        ("child", Rule::Object(at(0))),
        ("children", Rule::List(Item::Object(at(0)))),
        ("one", Rule::ListOrOne(Item::Object(at(1)))),
        (
            "tags",
            Rule::List(Item::Keep(Keep {
                of: ValueType::Any,
                rules: None,
            })),
        ),
        ("pupils", Rule::List(Item::Identifier(at(PUPIL)))),
        ("map", Rule::Object(at(3))),
        ("kinds", Rule::List(Item::Object(at(4)))),
        ("day", keep(ValueType::Date)),
    ]
}

fn shape(name: &str, lines: Vec<(&str, Rule)>, any: Option<Any>, unlisted: Unlisted) -> Shape {
    let lines = lines.into_iter().map(|(key, rule)| Field {
        key: key.into(),
        rule,
    });
    Shape {
        name: name.to_owned(),
        body: ShapeBody::Fields(Fields::new(lines.collect(), any, unlisted).into()),
    }
}

fn shapes() -> Vec<Shape> {
    let any = keep(ValueType::Any);
    let map = Any {
        key: at(PUPIL),
        rule: any,
    };
    let role = Switch {
        path: ["role".into()].into(),
        cases: [("a".into(), at(0)), ("b".into(), at(1))].into(),
        otherwise: Otherwise::DropItem,
    };
    vec![
        shape("User", user_lines(), None, Unlisted::Drop),
        shape(
            "Fixed",
            vec![("c", Rule::Constant(at(0))), ("x", any)],
            None,
            Unlisted::Drop,
        ),
        shape("Strict", vec![("x", any)], None, Unlisted::Refuse),
        shape("Map", vec![("x", any)], Some(map), Unlisted::Drop),
        Shape {
            name: "Kind".to_owned(),
            body: ShapeBody::Switch(role),
        },
        shape(
            "Constants",
            vec![("c", Rule::Constant(at(0)))],
            None,
            Unlisted::Drop,
        ),
    ]
}

fn law(limits: Limits) -> Arc<Law> {
    let one_of = ["\"a\"".into(), "7".into()];
    let policy = Policy {
        templates: Vec::new(),
        shapes: shapes(),
        kinds: ["pupil", "mail", "number"]
            .map(|name| IdKind {
                name: name.to_owned(),
                public: false,
            })
            .into(),
        constants: vec![Constant {
            json: (*b"\"-\"").into(),
        }],
        generalisers: vec![Generaliser::Year(DateForm::Short), Generaliser::Round(5)],
        value_rules: vec![ValueRules {
            one_of: Some(one_of.into()),
            ..ValueRules::default()
        }],
        ..Policy::default()
    };
    let notations = [
        Notation::Hex,
        Notation::Email {
            domain: "v.example".to_owned(),
        },
        Notation::Digits(9),
    ];
    let specs = policy.kinds.iter().zip(notations);
    let specs = specs.map(|(kind, notation)| KindSpec {
        name: kind.name.clone(),
        canonical: Canonical::default(),
        notation,
        back: Back::Never,
        unknown: Unknown::Reject,
        accept_keys: 1,
    });
    let newest = Generation::new(1, &VendorKey::from([7; 32]), specs);
    Arc::new(Law {
        generations: Arc::new([newest]),
        policy,
        limits,
    })
}

fn pseudonym(kind: usize, id: &str) -> String {
    let mut out = Vec::new();
    law(Limits::default()).kinds()[kind]
        .write(Identifier::new(id), &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn pieces(law: &Arc<Law>, rule: Rule, pieces: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let mut rewriter = Rewriter::new(Crossing::one_way(Arc::clone(law)), rule);
    let mut out = Cleared::default();
    for piece in pieces {
        rewriter.write(piece, &mut out)?;
    }
    rewriter.end(&mut out)?;
    Ok(out.release())
}

/// Whole, byte by byte, and cut in two at every place, in every width, with something behind it and
/// without: always the same.
fn rewrite_under(law: &Arc<Law>, rule: Rule, input: &[u8]) -> Result<String, Refusal> {
    let whole = pieces(law, rule, &[input]);
    for width in in_every_width(|| pieces(law, rule, &[input])) {
        assert_eq!(width, whole, "in another width");
    }
    if whole.is_ok() {
        let blanks = [b' '; 40];
        for width in in_every_width(|| pieces(law, rule, &[&[input, &blanks].concat()])) {
            assert_eq!(width, whole, "with blanks behind it");
        }
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(pieces(law, rule, &bytes), whole, "byte by byte");
    for cut in 0..input.len() {
        let (left, right) = input.split_at(cut);
        assert_eq!(pieces(law, rule, &[left, right]), whole, "cut at {cut}");
    }
    whole.map(text)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn user(input: &str) -> String {
    let done = rewrite_under(
        &law(Limits::default()),
        Rule::Object(at(0)),
        input.as_bytes(),
    );
    done.unwrap_or_else(|refusal| panic!("{input}: {refusal}"))
}

fn fault(input: impl AsRef<[u8]>) -> (JsonFault, u64) {
    match rewrite_under(&law(Limits::default()), Rule::Object(at(0)), input.as_ref()) {
        Err(Refusal::BodyMalformed { fault, at }) => (fault, at),
        other => panic!("{:?}: {other:?}", input.as_ref().escape_ascii().to_string()),
    }
}

#[test]
fn listed_scalars_leave_as_they_came_and_others_do_not() {
    assert_eq!(
        user(r#" { "name" : "No\u00f6r \/" , "x" : [1,{"y":"]"}] } "#),
        r#"{"name":"No\u00f6r \/"}"#
    );
    assert_eq!(
        user(r#"{"x":1,"name":1.50e+3,"y":null}"#),
        r#"{"name":1.50e+3}"#
    );
    assert_eq!(
        user(r#"{"gone":"secret","name":null,"z":true}"#),
        r#"{"name":null}"#
    );
    assert_eq!(
        user(r#"{"\u006eame":"a","nam":"b","Name":"c"}"#),
        r#"{"\u006eame":"a"}"#
    );
    assert_eq!(user("{}"), "{}");
    assert_eq!(
        user(r#"{"name":{"a":1},"tags":"x","child":[],"children":{},"day":"2026-02-30"}"#),
        "{}"
    );
}

#[test]
fn identifiers_become_pseudonyms() {
    let (text, number) = (pseudonym(PUPIL, "S-1"), pseudonym(PUPIL, "17"));
    assert_eq!(user(r#"{"id":"S-1"}"#), format!(r#"{{"id":"{text}"}}"#));
    assert_eq!(
        user(r#"{"id":" \u0053-1"}"#),
        format!(r#"{{"id":"{text}"}}"#)
    );
    assert_eq!(user(r#"{"id":17}"#), format!(r#"{{"id":"{number}"}}"#));
    assert_eq!(user(r#"{"id":-17}"#), "{}");
    assert_eq!(user(r#"{"id":1.0}"#), "{}");
    assert_eq!(user(r#"{"id":true}"#), "{}");
    assert_eq!(user(r#"{"id":""}"#), r#"{"id":""}"#);
    assert_eq!(user(r#"{"id":null}"#), r#"{"id":null}"#);
    let digits = pseudonym(NUMBER, "95312");
    assert_eq!(
        user(r#"{"number":95312}"#),
        format!(r#"{{"number":{digits}}}"#)
    );
    assert_eq!(
        user(r#"{"number":"95312"}"#),
        format!(r#"{{"number":"{digits}"}}"#)
    );
    // In the order of the policy, with something behind it.
    assert_eq!(
        user(r#"{"gone":1,"number":"95312","x":"0123456789"}"#),
        format!(r#"{{"number":"{digits}"}}"#)
    );
    assert_eq!(
        user(r#"{"gone":1,"number":"","x":"0123456789abcdef"}"#),
        r#"{"number":""}"#
    );
    for bad in ["a\u{200B}", &"9".repeat(1_025)] {
        let body = format!(r#"{{"gone":1,"number":"{bad}","x":"0123456789abcdef"}}"#);
        let law = law(Limits::default());
        let refused = rewrite_under(&law, Rule::Object(at(0)), body.as_bytes());
        assert_eq!(refused, Err(Refusal::IdentifierInvalid { at: 19 }), "{bad}");
    }
    assert_eq!(
        user(r#"{"pupils":["S-1",{"a":1},17,null,[]]}"#),
        format!(r#"{{"pupils":["{text}","{number}",null]}}"#)
    );
}

#[test]
fn a_derived_field_stands_at_the_later_of_the_two_places() {
    let (id, mail) = (pseudonym(PUPIL, "S-1"), pseudonym(MAIL, "S-1"));
    let both = format!(r#"{{"id":"{id}","mail":"{mail}","name":1}}"#);
    assert_eq!(user(r#"{"id":"S-1","mail":"n@x.example","name":1}"#), both);
    assert_eq!(user(r#"{"mail":"n@x.example","id":"S-1","name":1}"#), both);
    let later = format!(r#"{{"id":"{id}","name":1,"mail":"{mail}"}}"#);
    assert_eq!(user(r#"{"id":"S-1","name":1,"mail":"n@x.example"}"#), later);
    assert_eq!(user(r#"{"mail":"n@x.example","name":1}"#), r#"{"name":1}"#);
    assert_eq!(user(r#"{"mail":"n@x.example","id":""}"#), r#"{"id":""}"#);
    assert_eq!(
        user(r#"{"mail":"n@x.example","id":null}"#),
        r#"{"id":null}"#
    );
    assert_eq!(
        user(r#"{"mail":null,"id":"S-1"}"#),
        format!(r#"{{"mail":null,"id":"{id}"}}"#)
    );
    let replaced = format!(r#"{{"id":"{id}","mail":"{mail}"}}"#);
    assert_eq!(user(r#"{"mail":["n@x.example"],"id":"S-1"}"#), replaced);
    assert_eq!(user(r#"{"id":"S-1","mail":{"x":"n@x.example"}}"#), replaced);
    // The texts of one object are not those of another.
    let inner = pseudonym(MAIL, "S-2");
    let id2 = pseudonym(PUPIL, "S-2");
    assert_eq!(
        user(r#"{"id":"S-1","child":{"mail":1,"id":"S-2"},"mail":1}"#),
        format!(r#"{{"id":"{id}","child":{{"id":"{id2}","mail":"{inner}"}},"mail":"{mail}"}}"#)
    );
}

#[test]
fn values_are_generalised_emptied_and_checked() {
    assert_eq!(
        user(r#"{"born":"2017-03-05","score":7.5}"#),
        r#"{"born":"2017","score":10}"#
    );
    assert_eq!(user(r#"{"born":"soon","score":"7"}"#), "{}");
    for (from, to) in [
        ("\"x\"", "\"\""),
        ("7", "0"),
        ("true", "false"),
        ("[1]", "[]"),
        ("{\"a\":1}", "{}"),
        ("null", "null"),
    ] {
        assert_eq!(
            user(&format!(r#"{{"empty":{from},"name":1}}"#)),
            format!(r#"{{"empty":{to},"name":1}}"#)
        );
    }
    assert_eq!(user(r#"{"role":"\u0061"}"#), r#"{"role":"\u0061"}"#);
    assert_eq!(user(r#"{"role":7}"#), r#"{"role":7}"#);
    assert_eq!(user(r#"{"role":"c"}"#), "{}");
    assert_eq!(user(r#"{"role":"7"}"#), "{}");
    assert_eq!(
        user(r#"{"all":{"a":[1, {"b":null}], "c":"x"},"name":1}"#),
        r#"{"all":{"a":[1,{"b":null}],"c":"x"},"name":1}"#
    );
}

#[test]
fn lists_maps_and_switches() {
    assert_eq!(
        user(r#"{"children":[{"name":1},7,{"x":1},null]}"#),
        r#"{"children":[{"name":1},{},null]}"#
    );
    assert_eq!(user(r#"{"one":{"x":1}}"#), r#"{"one":{"x":1,"c":"-"}}"#);
    assert_eq!(
        user(r#"{"one":[{"c":null,"x":1},{}]}"#),
        r#"{"one":[{"c":"-","x":1},{"c":"-"}]}"#
    );
    let pupil = pseudonym(PUPIL, "S-1");
    assert_eq!(
        user(r#"{"map":{"x":1," S-1 ":2,"":3,"a\u0000":4,"S-2":{}}}"#),
        format!(r#"{{"map":{{"x":1,"{pupil}":2,"":3}}}}"#)
    );
    assert_eq!(
        fault(r#"{"map":{"S-1":1," S-1":2}}"#).0,
        JsonFault::DuplicateKey
    );
    assert_eq!(
        user(r#"{"kinds":[{"name":1,"role":"a"},{"role":"c"},{"x":2,"role":"b"},{}]}"#),
        r#"{"kinds":[{"name":1,"role":"a"},{"x":2,"c":"-"}]}"#
    );
}

#[test]
fn what_is_not_json_is_refused_at_its_place() {
    use JsonFault::*;
    for (input, want) in [
        (r#"{"a":1,"a":2}"#, (DuplicateKey, 7)),
        (r#"{"name":1,"n\u0061me":2}"#, (DuplicateKey, 10)),
        (r#"{"b":1,"a":1,"\u0062":{}}"#, (DuplicateKey, 13)),
        (r#"{"all":{"a":1,"b":{},"a":2}}"#, (DuplicateKey, 21)),
        (r#"{"name":"\ud800"}"#, (Escape, 9)),
        (r#"{"x":"\ud800"}"#, (Escape, 6)),
        (r#"{"name":"\q"}"#, (Escape, 9)),
        ("{\"name\":\"a\nb\"}", (RawControl, 10)),
        (r#"{"name":NaN}"#, (Number, 8)),
        (r#"{"name":01}"#, (Number, 8)),
        (r#"{"name":+1}"#, (Number, 8)),
        (r#"{"name":1.}"#, (Number, 8)),
        (r#"{"name":nope}"#, (Syntax, 8)),
        (r#"{"name" 1}"#, (Syntax, 8)),
        (r#"{"name":1,}"#, (Syntax, 10)),
        (r#"{,"name":1}"#, (Syntax, 1)),
        (r#"{"name":1 "x":2}"#, (Syntax, 10)),
        (r#"{"tags":[1,]}"#, (Syntax, 11)),
        (r#"{"tags":[1}"#, (Syntax, 10)),
        (r#"{"x":[1}}"#, (Syntax, 7)),
        (r#"{name:1}"#, (Syntax, 1)),
        ("{'name':1}", (Syntax, 1)),
        ("{} x", (Trailing, 3)),
        ("{}{}", (Trailing, 2)),
        ("", (Cut, 0)),
        ("  ", (Cut, 2)),
        (r#"{"name":"abc"#, (Cut, 12)),
        (r#"{"x":[[1,2"#, (Cut, 10)),
        (r#"{"name":1"#, (Cut, 9)),
        ("\u{feff}{}", (ByteOrderMark, 0)),
        ("\u{fffd}", (Syntax, 0)),
        ("// x\n{}", (Syntax, 0)),
    ] {
        assert_eq!(fault(input), want, "{input}");
    }
    assert_eq!(fault(b"{\"name\":\"\xff\"}"), (Utf8, 9));
    assert_eq!(fault(b"{\"x\":[\"\xc3\"]}"), (Utf8, 7));
    assert_eq!(fault(b"{\"x\":\"\xe2\x82"), (Utf8, 6));
    // The first of two faults counts, however the body is cut.
    assert_eq!(fault(b"{\"name\":nope,\"\xff"), (Syntax, 8));
}

#[test]
fn an_expected_key_is_read_as_any_other() {
    // In the order of the policy, against it, with other keys between, with spaces, with escapes.
    for (input, output) in [
        (
            r#"{"name":1,"gone":2,"tags":[3]}"#,
            r#"{"name":1,"tags":[3]}"#,
        ),
        (
            r#"{"tags":[3],"gone":2,"name":1}"#,
            r#"{"tags":[3],"name":1}"#,
        ),
        (r#"{"name":1,"x":2,"gone":3,"tag":4}"#, r#"{"name":1}"#),
        (
            r#"{"name" :1, "gone": 2,"number" : null}"#,
            r#"{"name":1,"number":null}"#,
        ),
        (
            r#"{"name":1,"gon\u0065":2,"number":null}"#,
            r#"{"name":1,"number":null}"#,
        ),
    ] {
        assert_eq!(user(input), output);
    }
    assert_eq!(
        fault(r#"{"name":1,"gone":2,"gone":3}"#),
        (JsonFault::DuplicateKey, 19)
    );
    assert_eq!(
        fault(r#"{"name":1,"name":2,"gone":3}"#),
        (JsonFault::DuplicateKey, 10)
    );
    let twice = r#"{"gone":1,"name":2,"gone":"0123456789abcdef"}"#;
    assert_eq!(fault(twice), (JsonFault::DuplicateKey, 19));
    assert_eq!(fault(r#"{"name":1,"gone""#), (JsonFault::Cut, 16));
    assert_eq!(fault(r#"{"name":1,"gone":"#), (JsonFault::Cut, 17));
    assert_eq!(fault(r#"{"name":1,"gone":}"#), (JsonFault::Syntax, 17));
}

#[test]
fn a_key_without_a_line_that_comes_twice_is_found_among_few_and_many() {
    let law = law(Limits::default());
    let rewrite = |keys: &[String]| {
        let fields: Vec<String> = keys.iter().map(|key| format!("\"{key}\":1")).collect();
        let message = format!("{{{}}}", fields.join(","));
        let done = pieces(&law, Rule::Object(at(0)), &[message.as_bytes()]);
        let last = message.rfind(",").map_or(0, |comma| comma + 1);
        (done, u64::try_from(last).unwrap())
    };
    for count in [2, 3, 20, 63, 64, 65, 66, 67, 200] {
        let mut keys: Vec<String> = (0..count).map(|n| format!("key{n}")).collect();
        assert!(rewrite(&keys).0.is_ok(), "{count} keys");
        for twice in [0, count / 2, count - 1] {
            keys.push(keys[twice].clone());
            let (done, at) = rewrite(&keys);
            let fault = JsonFault::DuplicateKey;
            assert_eq!(
                done,
                Err(Refusal::BodyMalformed { fault, at }),
                "{twice} of {count}"
            );
            keys.pop();
        }
    }
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let law = law(Limits::default());
    let list = Rule::List(Item::Object(at(1)));
    for input in ["[]", "1", "\"x\"", "true", "null"] {
        let done = rewrite_under(&law, Rule::Object(at(0)), input.as_bytes());
        assert_eq!(done, Err(Refusal::BodyOfAnotherShape), "{input}");
    }
    let of_it = |crossing: Crossing, root| {
        let mut rewriter = Rewriter::new(crossing, root);
        let mut out = Cleared::default();
        { rewriter.write(b" null ", &mut out) }.and_then(|()| rewriter.end(&mut out))?;
        Ok(text(out.release()))
    };
    let one = Rule::ListOrOne(Item::Object(at(1)));
    for root in [Rule::Object(at(0)), list, one] {
        let sent = Crossing::one_way(Arc::clone(&law));
        let answer = sent.clone().in_answer_to(Some("/x".into()));
        let read = answer.clone().among_pages();
        assert_eq!(of_it(sent, root), Err(Refusal::BodyOfAnotherShape));
        assert_eq!(of_it(read, root), Err(Refusal::BodyOfAnotherShape));
        assert_eq!(of_it(answer, root), Ok("null".to_owned()));
    }
    assert_eq!(
        rewrite_under(&law, list, b" [ {} , {\"x\":2} ]").unwrap(),
        r#"[{"c":"-"},{"x":2,"c":"-"}]"#
    );
}

#[test]
fn an_answer_without_one_field_of_the_shape_is_no_empty_one_to_who_reads() {
    let law = law(Limits::default());
    let done = |crossing: Crossing, input: &str| {
        let mut rewriter = Rewriter::new(crossing, Rule::Object(at(0)));
        let mut out = Cleared::default();
        { rewriter.write(input.as_bytes(), &mut out) }.and_then(|()| rewriter.end(&mut out))?;
        Ok(text(out.release()))
    };
    let nothing_of_it = r#"{"error":"x","errors":[{"name":1}]}"#;
    for (input, leaves) in [
        (nothing_of_it, Err(Refusal::BodyOfAnotherShape)),
        ("{}", Ok("{}")),
        (r#"{"error":"x","name":1}"#, Ok(r#"{"name":1}"#)),
        (r#"{"child":{"error":"x"}}"#, Ok(r#"{"child":{}}"#)),
    ] {
        let reads = Crossing::one_way(Arc::clone(&law)).among_pages();
        assert_eq!(done(reads, input), leaves.map(str::to_owned), "{input}");
    }
    // Records that are none are not nobody.
    for (input, leaves) in [
        (
            r#"{"children":{"name":1}}"#,
            Err(Refusal::BodyOfAnotherShape),
        ),
        (r#"{"children":"x"}"#, Err(Refusal::BodyOfAnotherShape)),
        (r#"{"children":["x"]}"#, Err(Refusal::BodyOfAnotherShape)),
        (r#"{"children":[{},7]}"#, Err(Refusal::BodyOfAnotherShape)),
        (r#"{"one":"x"}"#, Err(Refusal::BodyOfAnotherShape)),
        (r#"{"one":["x"]}"#, Err(Refusal::BodyOfAnotherShape)),
        (r#"{"one":{}}"#, Ok(r#"{"one":{"c":"-"}}"#)),
        (r#"{"children":null}"#, Ok(r#"{"children":null}"#)),
        (r#"{"children":[null,{}]}"#, Ok(r#"{"children":[null,{}]}"#)),
        // Of one of them, or of something else.
        (
            r#"{"child":{"children":["x"]}}"#,
            Ok(r#"{"child":{"children":[]}}"#),
        ),
        (
            r#"{"children":[{"children":"x"}]}"#,
            Ok(r#"{"children":[{}]}"#),
        ),
        (r#"{"pupils":"x","tags":7,"name":1}"#, Ok(r#"{"name":1}"#)),
    ] {
        let reads = Crossing::one_way(Arc::clone(&law)).among_pages();
        assert_eq!(done(reads, input), leaves.map(str::to_owned), "{input}");
        let did = Crossing::one_way(Arc::clone(&law));
        assert!(done(did, input).is_ok(), "{input}");
    }
    // A shape of constants expects no field.
    let reads = Crossing::one_way(Arc::clone(&law)).among_pages();
    let mut constants = Rewriter::new(reads, Rule::Object(at(5)));
    let mut out = Cleared::default();
    { constants.write(br#"{"error":"x"}"#, &mut out) }.unwrap();
    constants.end(&mut out).unwrap();
    assert_eq!(text(out.release()), r#"{"c":"-"}"#);
    // What was done at the school is not to be done again, and its answers add what they like.
    let did = Crossing::one_way(Arc::clone(&law));
    assert_eq!(done(did, nothing_of_it).unwrap(), "{}");
    let home = Crossing::towards(Side::School, law, None).among_pages();
    assert_eq!(done(home, nothing_of_it).unwrap(), "{}");
}

#[test]
fn strict_shapes_and_bad_identifiers_refuse_the_message() {
    let law = law(Limits::default());
    let strict = |input: &str| rewrite_under(&law, Rule::Object(at(2)), input.as_bytes());
    assert_eq!(strict(r#"{"x":1}"#).unwrap(), r#"{"x":1}"#);
    assert_eq!(
        strict(r#"{"x":1,"y":2}"#),
        Err(Refusal::FieldUnexpected { at: 7 })
    );
    let long = format!(r#"{{"id":"{}"}}"#, "a".repeat(1_025));
    for input in [r#"{"id":"a\u0000"}"#, "{\"id\":\"a\u{200b}\"}", &long] {
        let done = rewrite_under(&law, Rule::Object(at(0)), input.as_bytes());
        assert_eq!(done, Err(Refusal::IdentifierInvalid { at: 6 }), "{input}");
    }
}

#[test]
fn bounds_hold_and_dropped_values_are_not_held() {
    let mut limits = Limits::default();
    for (bound, value) in [
        (Bound::JsonDepth, 3),
        (Bound::JsonKeys, 4),
        (Bound::JsonString, 64),
        (Bound::JsonNumber, 5),
        (Bound::JsonSwitch, 64),
    ] {
        limits.set(bound, value).unwrap();
    }
    let law = law(limits);
    let done = |input: &str| rewrite_under(&law, Rule::Object(at(0)), input.as_bytes());
    let refused = |input: &str| match done(input) {
        Err(Refusal::BodyMalformed { fault, at }) => (fault, at),
        other => panic!("{input}: {other:?}"),
    };
    assert!(done(r#"{"x":[[]],"child":{"child":{}}}"#).is_ok());
    assert_eq!(refused(r#"{"x":[[[]]]}"#), (JsonFault::TooDeep, 7));
    assert_eq!(
        refused(r#"{"child":{"child":{"child":{}}}}"#),
        (JsonFault::TooDeep, 27)
    );
    assert_eq!(
        refused(r#"{"a":1,"b":1,"c":1,"d":1,"e":1}"#),
        (JsonFault::TooManyKeys, 25)
    );
    assert_eq!(refused(r#"{"name":123456}"#), (JsonFault::Number, 8));
    let long = "a".repeat(65);
    assert_eq!(
        refused(&format!(r#"{{"name":"{long}"}}"#)),
        (JsonFault::StringTooLong, 8)
    );
    assert_eq!(
        refused(&format!(r#"{{"{long}":1}}"#)),
        (JsonFault::StringTooLong, 1)
    );
    assert_eq!(
        done(&format!(r#"{{"x":"{long}","y":["{long}"]}}"#)).unwrap(),
        "{}"
    );
    let late = format!(r#"{{"kinds":[{{"x":"{}","role":"a"}}]}}"#, "a".repeat(60));
    assert_eq!(refused(&late), (JsonFault::SwitchTooLate, 10));

    let mut rewriter = Rewriter::new(Crossing::one_way(Arc::clone(&law)), Rule::Object(at(0)));
    let mut out = Cleared::default();
    rewriter.write(br#"{"x":""#, &mut out).unwrap();
    for _ in 0..1_000 {
        rewriter.write(&[b'a'; 1_000], &mut out).unwrap();
    }
    assert!(
        rewriter.carry.capacity() < 4_096,
        "{}",
        rewriter.carry.capacity()
    );
}

#[test]
fn after_a_refusal_nothing_more_is_read() {
    let mut rewriter = Rewriter::new(
        Crossing::one_way(law(Limits::default())),
        Rule::Object(at(0)),
    );
    let mut out = Cleared::default();
    let refused = rewriter.write(b"{\"name\":1,x", &mut out).unwrap_err();
    let before = out.look().clone();
    assert_eq!(rewriter.write(b"{\"name\":1}", &mut out), Err(refused));
    assert_eq!(rewriter.end(&mut out), Err(refused));
    assert_eq!(*out.look(), before);
}

#[test]
fn keys_that_other_readers_take_for_structure_are_only_keys() {
    let private = r#"{"$serde_json::private::RawValue":"{\"name\":1}","name":2}"#;
    assert_eq!(user(private), r#"{"name":2}"#);
    assert_eq!(
        user(r#"{"all":{"$serde_json::private::Number":"1"}}"#),
        r#"{"all":{"$serde_json::private::Number":"1"}}"#
    );
}

#[test]
fn nothing_of_a_body_is_shown() {
    let mut rewriter = Rewriter::new(
        Crossing::one_way(law(Limits::default())),
        Rule::Object(at(0)),
    );
    let mut out = Cleared::default();
    rewriter
        .write(
            br#"{"name":"Zzq","gone":"Zzq","pupils":["Zzq","Zz"#,
            &mut out,
        )
        .unwrap();
    assert!(out.look().windows(3).any(|text| text == b"Zzq"));
    assert_eq!(
        format!("{rewriter:?} {out:?}"),
        "Rewriter(43 bytes read) Cleared"
    );
}
