//! Random policies.

use std::sync::{Arc, LazyLock};

use regex::Regex;
use sluis::limits::{Bound, Limits};
use sluis::minimise::Law;
use sluis::policy::{
    Any, Bases, Constant, Content, DateForm, Field, Fields, Flow, Generaliser, IdKind, Index, Item,
    Keep, Method, Only, Otherwise, Policy, Route, Rule, Scalar, Segment, Shape, ShapeBody, Side,
    Switch, Template, Unlisted, ValueRules, ValueType,
};
use sluis::pseudonym::{
    Back, Canonical, CanonicalRule, Generation, KindSpec, Notation, Unknown, VendorKey,
};

use super::book::{Book, Pages, Way};
use super::dice::Dice;

/// Keys of shapes: ordinary ones, and such as a parser may take for something else.
pub(crate) const KEYS: [&str; 28] = [
    "sourcedId",
    "role",
    "roles",
    "name",
    "email",
    "users",
    "items",
    "score",
    "status",
    "dateLastModified",
    "type",
    "a",
    "b",
    "A",
    "",
    "é",
    "a\u{0}",
    "\"q\"",
    "\\",
    "_any",
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
    "😀",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "next",
    "next_page-URL",
    "@odata.nextLink",
    "href",
];

/// Those that are for links: to the next page, and the address of what an object is called.
const LINKS: [&str; 4] = ["next", "next_page-URL", "@odata.nextLink", "href"];

/// Values that choose a shape.
pub(crate) const CASES: [&str; 7] = ["student", "teacher", "é\n", "1", "true", "", "1.0"];

pub(crate) const KEEPS: [ValueType; 10] = [
    ValueType::Any,
    ValueType::Bool,
    ValueType::Date,
    ValueType::DateTime,
    ValueType::Int,
    ValueType::Lang,
    ValueType::Number,
    ValueType::Slug,
    ValueType::Url,
    ValueType::Uuid,
];

const CONSTANTS: [&str; 5] = ["\"Leerling\"", "0", "false", "\"\"", "\"tobedeleted\""];

/// Where links lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Nowhere, whatever is in them: the oracle reads those that documents have, and no others.
    Nowhere,
    Pupils,
}

/// A policy and the rule of its root, for messages on the way to that side.
pub(crate) fn way(
    (to, pages): (Side, Pages),
    links: Links,
    dice: &mut Dice<'_>,
    of_book: &mut Dice<'_>,
) -> (Way, Rule) {
    let (law, root) = law(to, links, dice);
    let book = Arc::new(Book::random(of_book, law.policy.kinds.len()));
    let way = Way {
        law,
        to,
        book,
        pages,
    };
    (way, root)
}

fn law(to: Side, links: Links, dice: &mut Dice<'_>) -> (Arc<Law>, Rule) {
    let mut policy = Policy {
        vendor: "vendor".to_owned(),
        kinds: kinds()
            .into_iter()
            .map(|spec| IdKind {
                name: spec.name,
                public: false,
            })
            .collect(),
        constants: CONSTANTS
            .map(|json| Constant {
                json: json.as_bytes().into(),
            })
            .into(),
        generalisers: generalisers(),
        templates: templates(),
        value_rules: value_rules(),
        ..Policy::default()
    };
    let with_fields = 1 + dice.below(3);
    let switches = dice.below(3);
    for place in 0..with_fields {
        let fields = fields(dice, with_fields + switches);
        let body = ShapeBody::Fields(fields.into());
        policy.shapes.push(Shape {
            name: format!("Shape{place}"),
            body,
        });
    }
    for place in 0..switches {
        let body = ShapeBody::Switch(switch(dice, with_fields));
        policy.shapes.push(Shape {
            name: format!("Switch{place}"),
            body,
        });
    }
    let root = root(dice, policy.shapes.len());
    if links == Links::Pupils {
        lead_to_pupils(to, dice, &mut policy);
    }
    if dice.once_in(2) {
        records(dice, &mut policy);
    }
    let key = VendorKey::from([0x11; 32]);
    let newest = Generation::new(1, &key, kinds());
    (
        Arc::new(Law {
            policy,
            generations: Arc::new([newest]),
            limits: limits(dice),
        }),
        root,
    )
}

/// Links lead to pupils, of whatever kind. Most messages are answers.
fn lead_to_pupils(to: Side, dice: &mut Dice<'_>, policy: &mut Policy) {
    let caller = if dice.once_in(4) { to.other() } else { to };
    // Such as look alike in a path and elsewhere.
    let kind = index(*dice.pick(&[0, 1, 3, 4]));
    let route = Route {
        name: "GET /pupils/{pupil}".to_owned(),
        method: Method::Get,
        path: [Segment::Literal("pupils".into()), Segment::Identifier(kind)].into(),
        query: [].into(),
        to_vendor: Content::Nothing,
        from_vendor: Content::Nothing,
        statuses: [].into(),
    };
    policy.flows.push(Flow {
        name: "flow".to_owned(),
        caller,
        routes: Arc::new([route]),
    });
    policy.bases.push(Bases {
        public: "https://gw.example/v".to_owned(),
        upstream: "https://api.example".to_owned(),
    });
}

/// Sends some records only.
fn records(dice: &mut Dice<'_>, policy: &mut Policy) {
    let shapes = policy.shapes.len();
    let mut only = Vec::new();
    for _ in 0..dice.below(3) {
        let path = match dice.below(5) {
            0 => vec!["role"],
            1 => vec!["roles", "role"],
            2 => vec!["a", "b"],
            3 => vec!["items", *dice.pick(&KEYS), *dice.pick(&KEYS)],
            _ => vec![*dice.pick(&KEYS)],
        };
        let texts = ["student", "teacher", "active", "", "\u{e9}\n", "1"].map(Box::from);
        let bare = ["7", "true", "1", "-5"].map(Box::from);
        let texts = texts.into_iter().map(Scalar::Text);
        let values = texts.chain(bare.into_iter().map(Scalar::Bare));
        only.push(Only {
            shape: index(dice.below(shapes)),
            path: path.into_iter().map(Box::from).collect(),
            values: values.filter(|_| !dice.once_in(3)).collect(),
        });
    }
    let kinds = (0..kinds().len()).filter(|_| dice.once_in(3));
    let excepted = kinds.map(index).collect();
    policy.send_only(only, excepted);
}

/// What a body as a whole may be.
fn root(dice: &mut Dice<'_>, shapes: usize) -> Rule {
    match dice.below(6) {
        0 | 1 => Rule::Object(index(0)),
        2 => Rule::List(Item::Object(index(0))),
        3 => Rule::ListOrOne(Item::Object(index(shapes - 1))),
        4 => Rule::Object(index(shapes - 1)),
        _ => Some(rule(dice, shapes))
            .filter(|rule| *rule != Rule::Drop)
            .unwrap_or(Rule::KeepAll),
    }
}

fn index<Of>(place: usize) -> Index<Of> {
    Index::new(place).unwrap()
}

fn limits(dice: &mut Dice<'_>) -> Limits {
    let mut limits = Limits::default();
    if dice.once_in(8) {
        limits.set(Bound::JsonDepth, 3).unwrap();
    }
    if dice.once_in(8) {
        limits.set(Bound::JsonKeys, 4).unwrap();
    }
    if dice.once_in(4) {
        limits.set(Bound::JsonSwitch, 64).unwrap();
    }
    limits
}

/// One kind of every notation, with every rule of canonical forms among them.
fn kinds() -> Vec<KindSpec> {
    let spec = |name: &str, rules: Vec<CanonicalRule>, notation| {
        let (unknown, accept_keys) = match name {
            "number" => (Unknown::Drop, 1),
            "mail" => (Unknown::Keep, 2),
            "raw" => (Unknown::Own, 2),
            "chain" => (Unknown::Drop, 3),
            _ => (Unknown::Reject, 2),
        };
        KindSpec {
            name: name.to_owned(),
            canonical: Canonical::new(rules),
            notation,
            back: Back::SchoolOnly,
            unknown,
            accept_keys,
        }
    };
    use CanonicalRule::{Lower, Nfc, StripZeros, Trim};
    vec![
        spec("pupil", vec![Trim, Nfc], Notation::Uuid),
        spec("number", vec![Trim, StripZeros], Notation::Digits(9)),
        spec(
            "mail",
            vec![Lower],
            Notation::Email {
                domain: "school.example".to_owned(),
            },
        ),
        spec("group", vec![Nfc, Lower], Notation::Text(12)),
        spec("raw", vec![], Notation::Hex),
        spec(
            "chain",
            vec![Trim],
            Notation::Url {
                prefix: "https://id.example/".to_owned(),
            },
        ),
    ]
}

fn generalisers() -> Vec<Generaliser> {
    let mut all = vec![
        Generaliser::Band(vec![4, 6, 9, 12].into()),
        Generaliser::Band(vec![-10, 0, 10].into()),
        Generaliser::Initial,
        Generaliser::Round(5),
        Generaliser::Round(1),
        Generaliser::Round(1_000),
    ];
    for form in [DateForm::FirstDay, DateForm::Short] {
        all.push(Generaliser::Month(form));
        all.push(Generaliser::SchoolYear(form));
        all.push(Generaliser::Year(form));
    }
    all
}

/// Texts around identifiers, ordinary ones and such as could be taken for part of one.
pub(crate) fn templates() -> Vec<Template> {
    let template = |parts: &[(&str, usize)], end: &str| Template {
        parts: parts
            .iter()
            .map(|(before, kind)| (Box::from(*before), index(*kind)))
            .collect(),
        end: end.into(),
    };
    vec![
        template(&[("urn:pupil:", 0)], ""),
        template(&[("", 1)], "@school.example"),
        template(&[("\"", 3), ("/", 0)], ""),
        template(&[("", 4), (":é:", 0), ("||", 3)], "."),
    ]
}

static LIKE: LazyLock<Arc<Regex>> =
    LazyLock::new(|| Arc::new(Regex::new("^(?:[A-Z]|[A-Z]{2}-[0-9]+)$").unwrap()));

fn value_rules() -> Vec<ValueRules> {
    let one_of = ["\"active\"", "\"é\\n\"", "\"\"", "1", "-5", "true"];
    vec![
        ValueRules {
            one_of: Some(one_of.map(Box::from).into()),
            ..ValueRules::default()
        },
        ValueRules {
            chars_max: Some(4),
            ..ValueRules::default()
        },
        ValueRules {
            like: Some(Arc::clone(&LIKE)),
            chars_max: Some(8),
            one_of: None,
        },
    ]
}

fn fields(dice: &mut Dice<'_>, shapes: usize) -> Fields {
    let mut keys: Vec<&str> = Vec::new();
    for _ in 0..=dice.below(8) {
        let key = *dice.pick(&KEYS);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let link = *dice.pick(&LINKS);
    if !dice.once_in(3) && !keys.contains(&link) {
        keys.push(link);
    }
    // Such as the presets have for what is withheld: it says that, and keeps nothing.
    let says_little = dice.once_in(6);
    if says_little && !keys.contains(&"status") {
        keys.push("status");
    }
    let rules: Vec<Option<Rule>> = keys
        .iter()
        .map(
            |key| match *key == "status" && (says_little || dice.once_in(3)) {
                // What every stub of the policy's own says.
                true => Some(Rule::Constant(index(CONSTANTS.len() - 1))),
                false if says_little => Some(rule_of_a_stub(dice)),
                false if LINKS.contains(key) => Some(rule_of_a_link(dice, shapes)),
                false if ["items", "users"].contains(key) && dice.once_in(2) => {
                    Some(Rule::List(Item::Object(index(dice.below(shapes)))))
                }
                false => (!dice.once_in(6)).then(|| rule(dice, shapes)),
            },
        )
        .collect();
    let siblings: Vec<usize> = (0..rules.len())
        .filter(|place| !matches!(rules[*place], None | Some(Rule::Constant(_))))
        .collect();
    let mut lines = Vec::new();
    for (key, rule) in keys.iter().zip(&rules) {
        let rule = match (rule, siblings.as_slice()) {
            (Some(rule), _) => *rule,
            (None, []) => Rule::Drop,
            (None, siblings) => Rule::Derived {
                kind: kind(dice),
                of: *dice.pick(siblings),
            },
        };
        lines.push(Field {
            key: Box::from(*key),
            rule,
        });
    }
    let any = (!says_little && dice.once_in(4)).then(|| Any {
        key: kind(dice),
        rule: rule(dice, shapes),
    });
    let unlisted = if dice.once_in(12) {
        Unlisted::Refuse
    } else {
        Unlisted::Drop
    };
    let mut fields = Fields::new(lines, any, unlisted);
    fields.stub = dice.once_in(3).then(|| index(dice.below(shapes)));
    fields
}

fn switch(dice: &mut Dice<'_>, with_fields: usize) -> Switch {
    let path = match dice.below(4) {
        0 | 1 => vec!["role"],
        2 => vec!["roles", "role"],
        _ => vec!["a", "b", "é"],
    };
    let mut cases = Vec::new();
    for case in CASES {
        if cases.is_empty() || !dice.once_in(2) {
            cases.push((Box::from(case), index(dice.below(with_fields))));
        }
    }
    let otherwise = match dice.once_in(3) {
        false => Otherwise::DropItem,
        true => Otherwise::Shape(index(dice.below(with_fields))),
    };
    Switch {
        path: path.into_iter().map(Box::from).collect(),
        cases: cases.into(),
        otherwise,
    }
}

fn kind(dice: &mut Dice<'_>) -> Index<IdKind> {
    index(dice.below(kinds().len()))
}

fn keep(dice: &mut Dice<'_>) -> Keep {
    let of = *dice.pick(&KEEPS);
    let rules = dice
        .once_in(3)
        .then(|| index(dice.below(value_rules().len())));
    Keep { of, rules }
}

fn item(dice: &mut Dice<'_>, shapes: usize) -> Item {
    match dice.below(7) {
        0 => Item::Keep(keep(dice)),
        1 => Item::Identifier(kind(dice)),
        2 => Item::Template(index(dice.below(templates().len()))),
        3 => Item::Link(otherwise(dice)),
        _ => Item::Object(index(dice.below(shapes))),
    }
}

fn otherwise(dice: &mut Dice<'_>) -> Option<Index<Constant>> {
    dice.once_in(2).then(|| index(dice.below(CONSTANTS.len())))
}

fn rule_of_a_stub(dice: &mut Dice<'_>) -> Rule {
    match dice.below(5) {
        0 => Rule::Blank,
        1 => Rule::Drop,
        2 => Rule::Link(otherwise(dice)),
        3 => Rule::Constant(index(dice.below(CONSTANTS.len()))),
        _ => Rule::Identifier(kind(dice)),
    }
}

/// Of a key that is for links: often one, or an object that one may stand in.
fn rule_of_a_link(dice: &mut Dice<'_>, shapes: usize) -> Rule {
    match dice.below(4) {
        0 => rule(dice, shapes),
        1 => Rule::Object(index(dice.below(shapes))),
        _ => Rule::Link(otherwise(dice)),
    }
}

fn rule(dice: &mut Dice<'_>, shapes: usize) -> Rule {
    match dice.below(20) {
        0..=3 => Rule::Keep(keep(dice)),
        4 => Rule::Blank,
        5 => Rule::Constant(index(dice.below(CONSTANTS.len()))),
        6 => Rule::Drop,
        7 | 8 => Rule::Generalise(index(dice.below(generalisers().len()))),
        9 | 10 => Rule::Identifier(kind(dice)),
        11 => Rule::KeepAll,
        12 => Rule::List(item(dice, shapes)),
        13 => Rule::ListOrOne(item(dice, shapes)),
        14 => Rule::Template(index(dice.below(templates().len()))),
        15 => Rule::Link(otherwise(dice)),
        16 => Rule::Nested(index(dice.below(shapes))),
        _ => Rule::Object(index(dice.below(shapes))),
    }
}
