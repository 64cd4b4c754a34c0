//! Words: what becomes of one field. Short as a text, long as a table with `as`.

use super::Compiler;
use super::named::is_shape_name;
use crate::config::{At, Place, Problem, Table, TextOrTable, Value, code, nearest, shown};
use crate::limits;
use crate::policy::{DateForm, Generaliser, IdKind, Index, Item, Keep, Rule, ValueType};

/// The words of the language, those that are not built yet among them.
pub(super) const WORDS: &[&str] = &[
    "keep",
    "drop",
    "blank",
    "constant",
    "nickname",
    "year",
    "month",
    "school-year",
    "initial",
    "round",
    "band",
    "url",
    "template",
    "json",
    "keep-all",
];

/// Those that are not built yet.
pub(super) const NOT_YET: &[&str] = &["nickname"];

/// Words that say too little alone, and how they are written.
const LONG: &[(&str, &str)] = &[
    ("round", "{ as = \"round\", to = 5 }"),
    ("band", "{ as = \"band\", edges = [4, 6, 9] }"),
    ("constant", "{ as = \"constant\", value = \"-\" }"),
    ("json", "{ as = \"json\", shape = \"Answers\" }"),
    (
        "template",
        "{ as = \"template\", like = \"urn:pupil:{pupil}\" }",
    ),
];

const TYPES: &[(&str, ValueType)] = &[
    ("bool", ValueType::Bool),
    ("date", ValueType::Date),
    ("datetime", ValueType::DateTime),
    ("int", ValueType::Int),
    ("lang", ValueType::Lang),
    ("number", ValueType::Number),
    ("slug", ValueType::Slug),
    ("url", ValueType::Url),
    ("uuid", ValueType::Uuid),
];

/// Where a word stands: which siblings `of` may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Among<'a> {
    /// The keys of the shape, in order.
    pub(super) keys: &'a [&'a str],
    /// The place of the field itself; beyond the keys if it is none of them.
    pub(super) own: usize,
}

impl Among<'_> {
    /// Nothing beside it: the entries of a map.
    pub(super) const ALONE: Among<'static> = Among { keys: &[], own: 0 };
}

/// How many values a word is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Many {
    List,
    ListOrOne,
    One,
}

/// A word without its brackets.
pub(super) enum Base {
    /// It can stand in a list.
    Item(Item),
    /// It cannot.
    Whole(Rule),
}

impl<'d> Compiler<'d, '_> {
    /// The rule of a word; `None` if it is none, which is reported.
    pub(super) fn rule(&mut self, value: &Value<'d>, among: Among<'_>) -> Option<Rule> {
        match value.text_or_table(self.problems)? {
            TextOrTable::Text(text) => self.short(&text),
            TextOrTable::Table(table) => self.long(&table, among),
        }
    }

    /// A word written as a text.
    pub(super) fn short(&mut self, word: &At<&'d str>) -> Option<Rule> {
        if let Some((_, example)) = LONG.iter().find(|(long, _)| *long == word.value) {
            let message = format!("{} says too little", shown(word.value));
            let problem = Problem::error(code::VALUE, message).at(&word.place);
            self.problems.push(problem.help(format!("write {example}")));
            return None;
        }
        let (base, many) = split(word.value);
        let base = self.base(base, word)?;
        self.with_brackets(base, many, word)
    }

    /// Whether something is written that a word, an id kind or a shape could be meant by.
    pub(super) fn is_word(&self, word: &str) -> bool {
        let (base, _) = split(word);
        let kinds = &self.vocabulary.kinds;
        is_shape_name(base)
            || WORDS.contains(&base)
            || base.starts_with("keep:")
            || kinds.open
            || kinds.known(base).is_some()
    }

    fn with_brackets(&mut self, base: Base, many: Many, word: &At<&'d str>) -> Option<Rule> {
        match (base, many) {
            (Base::Item(item), Many::One) => Some(item.rule()),
            (Base::Item(item), Many::List) => Some(Rule::List(item)),
            (Base::Item(item), Many::ListOrOne) => Some(Rule::ListOrOne(item)),
            (Base::Whole(rule), Many::One) => Some(rule),
            (Base::Whole(_), Many::List | Many::ListOrOne) => {
                let (base, _) = split(word.value);
                let message = format!("{} takes no brackets", shown(base));
                let label = "lists are for `keep`, id kinds and shapes";
                let problem = Problem::error(code::VALUE, message).at(&word.place);
                self.problems.push(problem.label(label));
                None
            }
        }
    }

    fn base(&mut self, base: &str, word: &At<&'d str>) -> Option<Base> {
        if NOT_YET.contains(&base) {
            self.not_yet(word.value, &word.place);
            return None;
        }
        if let Some(of) = base.strip_prefix("keep:") {
            return self
                .value_type(of, &word.place)
                .map(|of| Base::Item(Item::Keep(Keep { of, rules: None })));
        }
        let generalise = match base {
            "drop" => return Some(Base::Whole(Rule::Drop)),
            "blank" => return Some(Base::Whole(Rule::Blank)),
            "keep" => {
                let keep = Keep {
                    of: ValueType::Any,
                    rules: None,
                };
                return Some(Base::Item(Item::Keep(keep)));
            }
            "keep-all" => {
                self.found_keep_all(&word.place);
                return Some(Base::Whole(Rule::KeepAll));
            }
            "initial" => Generaliser::Initial,
            "month" => Generaliser::Month(DateForm::Short),
            "school-year" => Generaliser::SchoolYear(DateForm::Short),
            "url" => return Some(Base::Item(Item::Link(None))),
            "year" => Generaliser::Year(DateForm::Short),
            name => return self.item_name(name, &word.place).map(Base::Item),
        };
        self.generalise(generalise, &word.place).map(Base::Whole)
    }

    /// A shape or an id kind.
    fn item_name(&mut self, name: &str, place: &Place) -> Option<Item> {
        let found = if is_shape_name(name) {
            self.vocabulary.shape(name).map(Item::Object)
        } else {
            self.vocabulary.kind(name).map(Item::Identifier)
        };
        if found.is_none() {
            let problem = self.vocabulary.unknown(name, place, WORDS);
            self.problems.extend(problem.map(|it| match typed(name) {
                Some(word) => it.help(format!("did you mean the word {}?", shown(&word))),
                None => it,
            }));
        }
        found
    }

    fn value_type(&mut self, name: &str, place: &Place) -> Option<ValueType> {
        let found = TYPES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, of)| *of);
        if found.is_none() {
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
            self.no_such("type", name, place, &names);
        }
        found
    }

    /// A word written as a table.
    pub(super) fn long(&mut self, table: &Table<'d>, among: Among<'_>) -> Option<Rule> {
        let help = shape_instead(table);
        let help: Vec<&str> = help.iter().map(String::as_str).collect();
        let word = table.need_as("as", &help, self.problems)?;
        let word = word.text(self.problems)?;
        let (base, many) = split(word.value);
        if NOT_YET.contains(&base) {
            self.later(table, &word);
            return None;
        }
        let made = match base {
            "constant" => self.constant(table).map(Base::Whole),
            "round" => self.round(table).map(Base::Whole),
            "band" => self.band(table).map(Base::Whole),
            "json" => self.nested(table),
            "template" => self.template(table),
            "url" => self.link(table),
            "month" | "school-year" | "year" => self.dated(table, &word).map(Base::Whole),
            // What stands beside a word that is none cannot be judged.
            _ => match self.base(base, &word)? {
                Base::Item(Item::Keep(keep)) => {
                    self.kept(table, keep).map(Item::Keep).map(Base::Item)
                }
                Base::Item(Item::Identifier(kind)) if table.has("of") => {
                    self.derived(table, kind, among).map(Base::Whole)
                }
                other @ (Base::Item(_) | Base::Whole(_)) => Some(other),
            },
        };
        table.finish(self.problems);
        self.with_brackets(made?, many, &word)
    }

    /// A word that is not built yet: what stands beside it is its own business.
    fn later(&mut self, table: &Table<'d>, word: &At<&'d str>) {
        self.not_yet(word.value, &word.place);
        for (_, value) in table.entries() {
            if let Some(name) = value.is_text().then(|| value.text(self.problems)).flatten() {
                let _used = self.vocabulary.shape(split(name.value).0);
            }
        }
    }

    fn derived(
        &mut self,
        table: &Table<'d>,
        kind: Index<IdKind>,
        among: Among<'_>,
    ) -> Option<Rule> {
        let of = table.text("of", self.problems)?;
        match among.keys.iter().position(|key| *key == of.value) {
            Some(place) if place != among.own => Some(Rule::Derived { kind, of: place }),
            Some(_) => {
                let kind = self.policy.kind_name(kind).to_owned();
                let message = format!("{} cannot be made of itself", shown(of.value));
                let problem = Problem::error(code::VALUE, message).at(&of.place);
                self.problems
                    .push(problem.help(format!("write \"{kind}\"")));
                None
            }
            // A preset that is reported already would have brought the field.
            None if self.vocabulary.shapes.open => None,
            None => {
                let message = format!("no such field in this shape: {}", shown(of.value));
                let known: Vec<&str> = among.keys.to_vec();
                let problem = Problem::error(code::WORD_UNKNOWN, message)
                    .at(&of.place)
                    .did_you_mean(of.value, &known);
                let line = format!(
                    "a field that is not sent has a line too: {} = \"drop\"",
                    of.value
                );
                self.problems.push(problem.help(line));
                None
            }
        }
    }

    /// The number of a part, or a problem if there are too many of them.
    pub(super) fn numbered<T>(
        &mut self,
        number: usize,
        what: &str,
        place: &Place,
    ) -> Option<Index<T>> {
        let index = Index::new(number);
        if index.is_none() {
            let most = limits::POLICY_PARTS_MAX;
            let message = format!("a policy may have at most {most} different {what}");
            self.problems
                .push(Problem::error(code::TOO_MANY, message).at(place));
        }
        index
    }
}

/// What stands beside `as` in a word.
const BESIDE: &[&str] = &[
    "edges",
    "form",
    "like",
    "max",
    "of",
    "one-of",
    "otherwise",
    "shape",
    "to",
    "value",
];

/// How the fields of an object are written, where a table holds nothing that a word may have.
fn shape_instead(table: &Table<'_>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let field = table.name().rsplit('.').next()?;
    let is_field = !field.is_empty() && field.bytes().all(plain);
    if !is_field || table.keys().any(|key| BESIDE.contains(&key)) {
        return None;
    }
    Some(format!(
        "fields of an object have a shape of their own: {field} = \"Other\", and [shape.Other]"
    ))
}

/// The word of a type that was meant: `keep:int` for `int`, and for `kepp:int`.
fn typed(word: &str) -> Option<String> {
    let (keep, of) = word.split_once(':').unwrap_or(("keep", word));
    let is_type = TYPES.iter().any(|(name, _)| *name == of);
    (is_type && nearest(keep, ["keep"]).is_some()).then(|| format!("keep:{of}"))
}

/// Takes the brackets off a word.
pub(super) fn split(word: &str) -> (&str, Many) {
    if let Some(base) = word.strip_suffix("[]?") {
        (base, Many::ListOrOne)
    } else if let Some(base) = word.strip_suffix("[]") {
        (base, Many::List)
    } else {
        (word, Many::One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever writes a vendor's file reads them there.
    #[test]
    fn every_word_and_type_stands_in_policy_md() {
        let page = include_str!("../../../docs/policy.md");
        let built = WORDS.iter().filter(|word| !NOT_YET.contains(word));
        for word in built {
            let (short, long) = (format!("`{word}`"), format!("as = \"{word}\""));
            assert!(page.contains(&short) || page.contains(&long), "{word}");
        }
        for (name, _) in TYPES {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
