//! One message before and after, value by value: looks over the shoulder of the rewriter that does
//! the work, so it cannot say anything else than what would leave.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::minimise::{
    Action, Cleared, Counts, Crossing, Entered, Fate, Law, Rewriter, Seen, Watch, Withheld,
};
use crate::policy::{Generaliser, IdKind, Index, Item, Policy, Rule, Scalar, Shape, ValueType};
use crate::refusal::Refusal;

/// A message that was rewritten for people to look at.
pub(super) struct Preview {
    /// One row a value, in the order of the message.
    pub(super) rows: Vec<Row>,
    /// What leaves.
    pub(super) output: Vec<u8>,
    /// What was done.
    pub(super) counts: Counts,
}

/// What became of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Where it stands: `users[0].roles[1].role`.
    pub(super) path: String,
    /// The value that came, as JSON; `(list)` and `(object)` for those; empty if none came.
    pub(super) before: String,
    /// What was done.
    pub(super) action: Action,
    /// What leaves, as JSON; empty if nothing does.
    pub(super) after: String,
    /// The word of the policy that decided, or why nothing leaves.
    pub(super) word: String,
}

impl Preview {
    /// Rewrites `message` under `rule`.
    ///
    /// # Errors
    /// As [`Rewriter::write`]: what cannot be rewritten is not shown either.
    pub(super) fn of(crossing: Crossing, rule: Rule, message: &[u8]) -> Result<Self, Refusal> {
        let onlooker = Onlooker {
            law: Arc::clone(crossing.law()),
            path: Vec::new(),
            rows: Vec::new(),
        };
        let mut rewriter = Rewriter::watched(crossing, rule, onlooker);
        let mut output = Cleared::default();
        // Whom its register knows it knows from the beginning.
        rewriter.write(message, &mut output)?;
        if rewriter.waits_for_register() {
            rewriter.resume(&mut output)?;
        }
        rewriter.end(&mut output)?;
        if rewriter.waits_for_register() {
            rewriter.resume(&mut output)?;
        }
        let counts = *rewriter.counts();
        let rows = rewriter.into_watch().rows;
        Ok(Self {
            rows,
            output: output.release(),
            counts,
        })
    }
}

/// A list or object on the way to a value.
#[derive(Debug)]
struct Level {
    /// Its own part of the path.
    name: String,
    /// How many items were seen, if it is a list.
    items: Option<usize>,
    shape: Option<Index<Shape>>,
}

#[derive(Debug)]
struct Onlooker {
    law: Arc<Law>,
    path: Vec<Level>,
    rows: Vec<Row>,
}

impl Watch for Onlooker {
    fn value(&mut self, seen: Seen<'_>) {
        let name = self.name(seen.key);
        let shape = self.path.last().and_then(|level| level.shape);
        let row = Row {
            path: self.path_to(&name),
            before: shown(seen.before),
            action: seen.action,
            after: shown(seen.after),
            word: reason(&self.law.policy, shape, &seen),
        };
        self.rows.push(row);
    }

    fn enter(&mut self, key: Option<&str>, entered: Entered) {
        let name = self.name(key);
        let (items, shape) = match entered {
            Entered::List => (Some(0), None),
            Entered::Object(shape) => (None, shape),
            Entered::Stub(shape, why) => {
                let row = Row {
                    path: self.path_to(&name),
                    before: shown(b"{"),
                    action: Action::RecordStubbed,
                    after: shown(b"{"),
                    word: withheld(&self.law.policy, why),
                };
                self.rows.push(row);
                (None, Some(shape))
            }
        };
        self.path.push(Level { name, items, shape });
    }

    fn leave(&mut self) {
        self.path.pop();
    }
}

impl Onlooker {
    /// The part of the path for a value: its key, or its place in the list.
    fn name(&mut self, key: Option<&str>) -> String {
        match (
            key,
            self.path.last_mut().and_then(|level| level.items.as_mut()),
        ) {
            (Some(key), _) => key.to_owned(),
            (None, Some(items)) => {
                let name = format!("[{items}]");
                *items = items.saturating_add(1);
                name
            }
            (None, None) => String::new(),
        }
    }

    fn path_to(&self, last: &str) -> String {
        let mut path = String::new();
        for part in self
            .path
            .iter()
            .map(|level| level.name.as_str())
            .chain([last])
        {
            if !path.is_empty() && !part.starts_with('[') && !part.is_empty() {
                path.push('.');
            }
            path.push_str(part);
        }
        path
    }
}

fn shown(json: &[u8]) -> String {
    match json {
        b"[" => "(list)".to_owned(),
        b"{" => "(object)".to_owned(),
        // What was read is UTF-8; so is what was made of it.
        json => std::str::from_utf8(json).unwrap_or_default().to_owned(),
    }
}

/// The word that decided, with the reason why nothing leaves if nothing does.
fn reason(policy: &Policy, shape: Option<Index<Shape>>, seen: &Seen<'_>) -> String {
    let Some(rule) = seen.rule else {
        if seen.action == Action::RecordObjected {
            return withheld(policy, Withheld::Objected);
        }
        return "not in the policy".to_owned();
    };
    if let Some(why) = seen.withheld {
        return withheld(policy, why);
    }
    let word = word(policy, shape, rule);
    match seen.action {
        Action::DroppedEcho => "holds what was brought home".to_owned(),
        Action::DroppedItem => "no shape for such a record".to_owned(),
        Action::DroppedType => format!("is not {word}"),
        Action::DroppedUnlisted => "not in the policy".to_owned(),
        Action::DroppedValue => format!("against the rule of {word}"),
        Action::IdentifierEmpty => format!("{word}: empty, and stays so"),
        Action::PseudonymForeign
        | Action::PseudonymObjected
        | Action::PseudonymRetired
        | Action::PseudonymUnknown => format!("{word}, nobody's"),
        // The key of a map.
        Action::RecordFiltered | Action::RecordObjected | Action::RecordStubbed => {
            withheld(policy, Withheld::Objected)
        }
        Action::Blanked
        | Action::BroughtHome
        | Action::BroughtHomeOld
        | Action::Constant
        | Action::DroppedListed
        | Action::Generalised
        | Action::Kept
        | Action::Pseudonymised
        | Action::Translated => word,
    }
}

/// Why a record is not sent: `role is not student/teacher`.
fn withheld(policy: &Policy, why: Withheld) -> String {
    let Withheld::Filtered(line) = why else {
        return "somebody it is about objected".to_owned();
    };
    let Some(only) = policy.records.only.get(line) else {
        return String::new();
    };
    let value = |value: &Scalar| match value {
        Scalar::Bare(text) | Scalar::Text(text) => text.to_string(),
    };
    let values: Vec<String> = only.values.iter().map(value).collect();
    format!("{} is not {}", only.path.join("."), values.join("/"))
}

/// A rule as the word that a policy file has for it.
fn word(policy: &Policy, shape: Option<Index<Shape>>, rule: Rule) -> String {
    let name = |shape: Index<Shape>| match policy.shape(shape) {
        Some(shape) if !shape.name.is_empty() => shape.name.clone(),
        _ => "an object".to_owned(),
    };
    match rule {
        Rule::Blank => "blank".to_owned(),
        Rule::Constant(_) => "constant".to_owned(),
        Rule::Derived { kind, of } => {
            let fields = shape.and_then(|shape| policy.fields(shape));
            let sibling = fields
                .and_then(|fields| fields.line(of))
                .map_or("", |line| &line.key);
            format!("{} of {sibling}", kind_word(policy, kind))
        }
        Rule::Drop => "drop".to_owned(),
        Rule::Generalise(index) => match policy.generalisers.get(index.place()) {
            Some(Generaliser::Band(_)) => "band".to_owned(),
            Some(Generaliser::Initial) => "initial".to_owned(),
            Some(Generaliser::Month(_)) => "month".to_owned(),
            Some(Generaliser::Round(to)) => format!("round to {to}"),
            Some(Generaliser::SchoolYear(_)) => "school-year".to_owned(),
            Some(Generaliser::Year(_)) => "year".to_owned(),
            None => String::new(),
        },
        Rule::Identifier(kind) => kind_word(policy, kind),
        Rule::Keep(keep) => keep_word(keep.of),
        Rule::KeepAll => "keep-all".to_owned(),
        Rule::Link(otherwise) => item_word(policy, Item::Link(otherwise), name),
        Rule::List(item) => format!("{}[]", item_word(policy, item, name)),
        Rule::ListOrOne(item) => format!("{}[]?", item_word(policy, item, name)),
        Rule::Nested(shape) => format!("json of {}", name(shape)),
        Rule::Object(shape) => name(shape),
        Rule::Template(template) => item_word(policy, Item::Template(template), name),
    }
}

fn item_word(policy: &Policy, item: Item, name: impl Fn(Index<Shape>) -> String) -> String {
    match item {
        Item::Identifier(kind) => kind_word(policy, kind),
        Item::Keep(keep) => keep_word(keep.of),
        Item::Link(_) => "url".to_owned(),
        Item::Object(shape) => name(shape),
        Item::Template(_) => "template".to_owned(),
    }
}

fn kind_word(policy: &Policy, kind: Index<IdKind>) -> String {
    policy.kind_name(kind).to_owned()
}

fn keep_word(of: ValueType) -> String {
    let of = match of {
        ValueType::Any => return "keep".to_owned(),
        ValueType::Bool => "bool",
        ValueType::Date => "date",
        ValueType::DateTime => "datetime",
        ValueType::Int => "int",
        ValueType::Lang => "lang",
        ValueType::Number => "number",
        ValueType::Slug => "slug",
        ValueType::Url => "url",
        ValueType::Uuid => "uuid",
    };
    format!("keep:{of}")
}

/// How a row is told at a glance, without colour.
pub(super) const fn mark(action: Action) -> &'static str {
    match action.fate() {
        Fate::Changed => "→",
        Fate::Dropped => "×",
        Fate::Kept => "=",
    }
}

/// `4 changed, 5 kept, 11 removed, 1 record removed`.
pub(super) fn summary(counts: &Counts) -> String {
    let removed = [
        Action::DroppedItem,
        Action::RecordFiltered,
        Action::RecordObjected,
    ];
    let items = { removed.into_iter() }.fold(0_u64, |sum, it| sum.saturating_add(counts.of(it)));
    let (changed, kept) = (counts.of_fate(Fate::Changed), counts.of_fate(Fate::Kept));
    let removed = counts.of_fate(Fate::Dropped).saturating_sub(items);
    let mut text = format!("{changed} changed, {kept} kept, {removed} removed");
    match items {
        0 => {}
        1 => text.push_str(", 1 record removed"),
        records => {
            let written = write!(text, ", {records} records removed");
            debug_assert!(written.is_ok(), "a String takes what is written");
        }
    }
    text
}
