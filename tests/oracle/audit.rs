//! A search of what left: only what the policy lists, and nothing that was marked.

use sluis::limits::Limits;
use sluis::policy::{
    Field, Fields, IdKind, Index, Item, Otherwise, Rule, Segment, Shape, ShapeBody, Template,
    ValueType,
};
use sluis::pseudonym::{Notation, Recall, Unknown};
use sluis::refusal::Refusal;

use super::book::Way;
use super::documents::{MARK, MARK_DIGITS};
use super::grammar::{Length, Reader};
use super::records::has_objected;
use super::values;

/// A message as a tree, with duplicate keys and the order of keys kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// `true`, `false`, `null` or a number, as it stands.
    Plain(String),
    Text(String),
}

impl Tree {
    pub(crate) fn read(message: &[u8]) -> Result<Self, Refusal> {
        let limits = Limits::default();
        let mut reader = Reader::new(message, &limits);
        reader.begin()?;
        let tree = Self::below(&mut reader)?;
        reader.finish()?;
        Ok(tree)
    }

    fn below(reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        let plain = |bytes: &[u8]| Self::Plain(str::from_utf8(bytes).unwrap().to_owned());
        match reader.peek()? {
            b'"' => Ok(Self::Text(reader.string(Length::Free)?.says)),
            b'-' | b'0'..=b'9' => Ok(plain(reader.number(Length::Free)?.as_bytes())),
            b'[' => {
                let mut items = Vec::new();
                reader.open()?;
                while reader.more(b']')? {
                    items.push(Self::below(reader)?);
                }
                Ok(Self::List(items))
            }
            b'{' => {
                let mut entries = Vec::new();
                reader.open()?;
                while reader.more(b'}')? {
                    let key = reader.string(Length::Free)?.says;
                    reader.colon()?;
                    entries.push((key, Self::below(reader)?));
                }
                Ok(Self::Object(entries))
            }
            _ => Ok(plain(reader.literal()?)),
        }
    }

    /// All keys and texts, unescaped, one after the other.
    fn words(&self, into: &mut String) {
        match self {
            Self::List(items) => items.iter().for_each(|item| item.words(into)),
            Self::Object(entries) => {
                for (key, value) in entries {
                    into.push_str(key);
                    into.push('\n');
                    value.words(into);
                }
            }
            Self::Plain(text) | Self::Text(text) => {
                into.push_str(text);
                into.push('\n');
            }
        }
    }
}

/// Fails if a mark left, escaped or not; `left` may be cut off anywhere.
pub(crate) fn no_mark_left(left: &[u8]) {
    let raw = String::from_utf8_lossy(left).into_owned();
    let mut words = raw.clone();
    // Unescapes outside of JSON too, so that a message that was broken off is searched as well.
    for (at, _) in raw.match_indices("\\u") {
        let digits = raw.get(at + 2..at + 6).unwrap_or_default();
        let character = u32::from_str_radix(digits, 16)
            .ok()
            .and_then(char::from_u32);
        if let Some(character) = character.filter(char::is_ascii_alphanumeric) {
            words = words.replace(&format!("\\u{digits}"), &character.to_string());
        }
    }
    if let Ok(tree) = Tree::read(left) {
        tree.words(&mut words);
    }
    assert!(!words.contains(MARK), "a marked text left: {raw}");
    assert!(!words.contains(MARK_DIGITS), "a marked number left: {raw}");
}

/// Whether what is withheld leaves under a shape of the policy's own that keeps more than the shape
/// it stands for. Its author says so; but what a message marks is what its shape does not keep.
pub(crate) fn stubs_keep_more(way: &Way) -> bool {
    let policy = &way.law.policy;
    let shapes = (0..policy.shapes.len()).filter_map(Index::new);
    let mut stubs = shapes.filter_map(|shape| Some((shape, policy.gate(shape)?.stub?)));
    !way.is_home()
        && stubs.any(|(shape, stub)| {
            let own = policy.fields(shape).map_or(&[][..], Fields::lines);
            let is_own = |line: &Field| {
                own.iter()
                    .any(|it| it.key == line.key && it.rule == line.rule)
            };
            let keeps = |line: &Field| keeps(line.rule) && !is_own(line);
            policy.fields(stub).is_none_or(|stub| {
                stub.any.is_some_and(|any| self::keeps(any.rule)) || stub.lines().iter().any(keeps)
            })
        })
}

/// Whether anything of a value may leave under this rule, other than as a pseudonym.
const fn keeps(rule: Rule) -> bool {
    match rule {
        Rule::Blank
        | Rule::Constant(_)
        | Rule::Derived { .. }
        | Rule::Drop
        | Rule::Identifier(_)
        | Rule::Link(_) => false,
        Rule::Generalise(_)
        | Rule::Keep(_)
        | Rule::KeepAll
        | Rule::List(_)
        | Rule::ListOrOne(_)
        | Rule::Nested(_)
        | Rule::Object(_)
        | Rule::Template(_) => true,
    }
}

/// Fails if what left is not JSON, or holds a key or value that the policy does not let out.
pub(crate) fn only_what_is_listed(way: &Way, rule: Rule, left: &[u8]) {
    if left.is_empty() {
        return; // the root itself was of the wrong type
    }
    let text = str::from_utf8(left).unwrap();
    any_reader_takes(text);
    let tree = Tree::read(left).unwrap();
    assert!(fits(way, rule, &tree), "not what {rule:?} lets out: {text}");
}

/// Fails if serde_json would not read this text. (It reads numbers into 64 bits, and says so.)
pub(crate) fn any_reader_takes(text: &str) {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        assert!(
            error.to_string().starts_with("number out of range"),
            "{error}: {text}"
        );
    }
}

fn fits(way: &Way, rule: Rule, tree: &Tree) -> bool {
    let null = *tree == Tree::Plain("null".to_owned());
    let policy = &way.law.policy;
    let is_home = way.is_home();
    match rule {
        Rule::KeepAll => true,
        Rule::Drop => false,
        Rule::Blank | Rule::Constant(_) | Rule::Derived { .. } | Rule::Generalise(_) if is_home => {
            false
        }
        Rule::Constant(index) => {
            Tree::read(&policy.constants[index.place()].json).as_ref() == Ok(tree)
        }
        _ if null => true,
        Rule::Blank => match tree {
            Tree::List(items) => items.is_empty(),
            Tree::Object(entries) => entries.is_empty(),
            Tree::Plain(text) => text == "0" || text == "false",
            Tree::Text(text) => text.is_empty(),
        },
        Rule::Derived { kind, .. } | Rule::Identifier(kind) => match tree {
            Tree::Text(text) => {
                matches!(rule, Rule::Identifier(_)) && text.is_empty()
                    || stands_for(way, kind, text)
            }
            Tree::Plain(text) => {
                let notation = &way.law.kind(kind).unwrap().spec().notation;
                let digits = is_home || matches!(notation, Notation::Digits(_));
                digits && stands_for(way, kind, text)
            }
            Tree::List(_) | Tree::Object(_) => false,
        },
        Rule::Generalise(_) | Rule::Keep(_) => matches!(tree, Tree::Plain(_) | Tree::Text(_)),
        Rule::Link(otherwise) => {
            let constant = otherwise.filter(|_| !is_home);
            leads(way, tree)
                || constant.is_some_and(|constant| fits(way, Rule::Constant(constant), tree))
        }
        Rule::Nested(shape) => match tree {
            Tree::Text(text) => {
                let inner = Tree::read(text.as_bytes());
                inner.is_ok_and(|inner| fits(way, Rule::Object(shape), &inner))
            }
            Tree::List(_) | Tree::Object(_) | Tree::Plain(_) => false,
        },
        Rule::Template(index) => match tree {
            Tree::Text(text) => template_fits(way, &policy.templates[index.place()], text),
            Tree::List(_) | Tree::Object(_) | Tree::Plain(_) => false,
        },
        Rule::List(item) => matches!(tree, Tree::List(items) if all_fit(way, item, items)),
        Rule::ListOrOne(item) => match tree {
            Tree::List(items) => all_fit(way, item, items),
            Tree::Object(_) | Tree::Plain(_) | Tree::Text(_) => fits(way, item.rule(), tree),
        },
        Rule::Object(shape) => shape_fits(way, shape, tree),
    }
}

/// Whether a link leads to somebody whom the side knows that it goes to.
fn leads(way: &Way, tree: &Tree) -> bool {
    let policy = &way.law.policy;
    let (Tree::Text(link), [flow], [bases]) = (tree, &*policy.flows, &*policy.bases) else {
        return false;
    };
    let base = match way.to == flow.caller {
        true => &bases.public,
        false => &bases.upstream,
    };
    let id = link.strip_prefix(&format!("{base}/pupils/"));
    let id = id.map(percent_decoded);
    id.is_some_and(|id| match flow.routes[0].path[1] {
        Segment::Identifier(kind) => stands_for(way, kind, &id),
        Segment::Literal(_) | Segment::Parameter(_) => false,
    })
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, after) = part.split_at(2);
        decoded.push(u8::from_str_radix(digits, 16).unwrap());
        decoded.extend_from_slice(after.as_bytes());
    }
    String::from_utf8(decoded).unwrap()
}

fn shape_fits(way: &Way, shape: Index<Shape>, tree: &Tree) -> bool {
    let Tree::Object(entries) = tree else {
        return false;
    };
    let law = &way.law;
    let stub = law.policy.gate(shape).and_then(|gate| gate.stub);
    let stub = stub.filter(|_| !way.is_home());
    let stub = stub.and_then(|stub| law.policy.fields(stub));
    match &law.policy.shape(shape).unwrap().body {
        _ if stub.is_some_and(|stub| object_fits(way, stub, entries)) => true,
        ShapeBody::Fields(fields) => object_fits(way, fields, entries),
        ShapeBody::Switch(switch) => {
            let otherwise = match switch.otherwise {
                Otherwise::DropItem => None,
                Otherwise::Shape(shape) => Some(shape),
            };
            let cases = switch.cases.iter().map(|(_, shape)| *shape);
            cases
                .chain(otherwise)
                .any(|shape| shape_fits(way, shape, tree))
        }
    }
}

/// Whether the identifiers in a text of that form are what may stand there.
fn template_fits(way: &Way, template: &Template, text: &str) -> bool {
    let good = |(kind, id): &(Index<IdKind>, &str)| stands_for(way, *kind, id);
    let ids = template.read(text);
    ids.is_some_and(|ids| ids.iter().all(good))
}

fn all_fit(way: &Way, item: Item, items: &[Tree]) -> bool {
    items.iter().all(|tree| fits(way, item.rule(), tree))
}

fn object_fits(way: &Way, fields: &Fields, entries: &[(String, Tree)]) -> bool {
    let constants = fields
        .lines()
        .iter()
        .filter(|line| matches!(line.rule, Rule::Constant(_) | Rule::Link(Some(_))));
    let has = |key: &str| entries.iter().filter(|(other, _)| other == key).count();
    let each = entries.iter().all(|(key, value)| {
        match (
            fields.lines().iter().find(|line| *line.key == **key),
            fields.any,
        ) {
            (Some(line), _) if has(key) == 1 && fits(way, line.rule, value) => true,
            (_, Some(any)) => {
                (key.is_empty() || stands_for(way, any.key, key))
                    && has(key) == 1
                    && fits(way, any.rule, value)
            }
            (_, None) => false,
        }
    });
    each && (way.is_home() || { constants }.all(|line| has(&line.key) == 1))
}

/// Whether a text may stand where an identifier of that kind stood: towards the vendor a pseudonym
/// or an id of its own making, at home an id of the school's or of the vendor's making, and no
/// pseudonym of anybody's.
fn stands_for(way: &Way, kind: Index<IdKind>, text: &str) -> bool {
    let spec = way.law.kind(kind).unwrap().spec();
    if !way.is_home() {
        // Spoilt, it may be any slug: that nothing marked leaves is looked at before.
        let is_own = spec.unknown == Unknown::Own && values::text_is(text, ValueType::Slug);
        return is_own || looks(&spec.notation, text);
    }
    let mut found = way.book.of_kind(kind.place());
    let is_id = found.any(|(_, owner)| owner.id == text);
    let own = text.strip_prefix(&format!("{}~", way.law.policy.vendor));
    let is_own = own.is_some_and(|own| own.ends_with('~'));
    is_id
        || match spec.unknown {
            Unknown::Drop | Unknown::Reject => false,
            Unknown::Keep => way.book.owner(kind.place(), text).is_none_or(|owner| {
                matches!(owner.recall, Recall::Found { .. })
                    && has_objected(&way.law, kind, &owner.id)
            }),
            Unknown::Own => is_own,
        }
}

/// Whether a text can be a pseudonym in that notation.
fn looks(notation: &Notation, text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    let base32 = |text: &str| {
        text.bytes()
            .all(|byte| b"abcdefghijklmnopqrstuvwxyz234567".contains(&byte))
    };
    match notation {
        Notation::Digits(count) => {
            text.len() == usize::from(*count) && text.bytes().all(|byte| byte.is_ascii_digit())
        }
        Notation::Email { domain } => {
            let end = format!("@{domain}");
            let name = text
                .strip_prefix('p')
                .and_then(|text| text.strip_suffix(&end));
            name.is_some_and(|name| name.len() == 26 && base32(name))
        }
        Notation::Hex => text.len() == 32 && hex(text),
        Notation::Text(count) => text.len() == usize::from(*count) && base32(text),
        Notation::Url { prefix } => text
            .strip_prefix(&**prefix)
            .is_some_and(|rest| rest.len() == 128 && hex(rest)),
        Notation::Uuid => {
            text.len() == 36 && hex(&text.replace('-', "")) && text.as_bytes()[14] == b'8'
        }
    }
}
