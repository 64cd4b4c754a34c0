//! Reads TOML documents key by key, with the place of everything and without stopping.
//!
//! A [`Table`] remembers which keys were asked for; [`Table::finish`] reports the rest. A wrong
//! type is pushed as a problem and read as if the key were not there.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code;
use super::dialect;
use super::json_text::json_text;
use super::problem::{Place, Problem, Problems, shown};
use super::slip;
use super::source::SourceFile;

/// A value with the place where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// What was read.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// A whole file, parsed.
#[derive(Debug)]
pub struct Document<'f> {
    file: Arc<SourceFile>,
    root: Spanned<DeTable<'f>>,
}

impl<'f> Document<'f> {
    /// Parses a file. What cannot be parsed is reported; the rest can still be read.
    pub fn parse(file: &'f Arc<SourceFile>, problems: &mut Problems) -> Self {
        Self::of_text(file, file.text(), problems)
    }

    /// Parses the text of a file, which may live longer than the file.
    pub(super) fn of_text(file: &Arc<SourceFile>, text: &'f str, problems: &mut Problems) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        slip::tell(file, &errors, problems);
        if errors.is_empty() {
            dialect::check(file, &root, problems);
        }
        let file = Arc::clone(file);
        Self { file, root }
    }

    /// Its outermost table.
    #[must_use]
    pub fn root(&self) -> Table<'_> {
        Table::new(&self.file, self.root.get_ref(), 0..0, String::new())
    }
}

/// A table that is being read.
#[derive(Debug)]
pub struct Table<'d> {
    file: &'d Arc<SourceFile>,
    entries: &'d DeTable<'d>,
    span: Range<usize>,
    name: String,
    asked: RefCell<BTreeSet<String>>,
}

impl<'d> Table<'d> {
    const fn new(
        file: &'d Arc<SourceFile>,
        entries: &'d DeTable<'d>,
        span: Range<usize>,
        name: String,
    ) -> Self {
        Self {
            file,
            entries,
            span,
            name,
            asked: RefCell::new(BTreeSet::new()),
        }
    }

    /// Where it begins: its header or its inline text.
    #[must_use]
    pub fn place(&self) -> Place {
        self.at(self.span.clone())
    }

    fn at(&self, span: Range<usize>) -> Place {
        Place {
            file: Arc::clone(self.file),
            span,
        }
    }

    /// Its name with those above it, `flow.pull`; empty for the whole file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a key is there. It counts as asked for.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The value of a key, whatever its type.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value<'d>> {
        self.asked.borrow_mut().insert(key.to_owned());
        let (key, value) = self.entries.get_key_value(key)?;
        Some(self.entry(key, value).1)
    }

    /// All keys, in no order. None counts as asked for.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.get_ref().as_ref())
    }

    /// All keys with their values in the order of the file. All count as asked for.
    #[must_use]
    pub fn entries(&self) -> Vec<(At<&'d str>, Value<'d>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(key, _)| key.span().start);
        self.asked
            .borrow_mut()
            .extend(all.iter().map(|(key, _)| key.get_ref().to_string()));
        all.into_iter()
            .map(|(key, value)| self.entry(key, value))
            .collect()
    }

    fn entry(
        &self,
        key: &'d Spanned<toml::de::DeString<'d>>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> (At<&'d str>, Value<'d>) {
        let place = self.at(key.span());
        let name = match self.name.as_str() {
            "" => key.get_ref().to_string(),
            above => format!("{above}.{}", key.get_ref()),
        };
        let key = At {
            value: key.get_ref().as_ref(),
            place,
        };
        (
            key.clone(),
            Value {
                file: self.file,
                key: key.place,
                value,
                name,
            },
        )
    }

    /// A key that must be there: its value, or a problem.
    pub fn need(&self, key: &str, problems: &mut Problems) -> Option<Value<'d>> {
        self.need_as(key, &[], problems)
    }

    /// The same, with what to write.
    pub(super) fn need_as(
        &self,
        key: &str,
        help: &[&str],
        problems: &mut Problems,
    ) -> Option<Value<'d>> {
        let value = self.value(key);
        if value.is_none() {
            let inside = match self.name.as_str() {
                "" => self.file.shown().to_owned(),
                name => format!("[{name}]"),
            };
            let message = format!("{} is missing in {inside}", shown(key));
            let problem = Problem::error(code::MISSING, message).at(&self.place());
            let helped = |problem: Problem, help: &&str| problem.help(*help);
            problems.push(help.iter().fold(problem, helped));
        }
        value
    }

    /// A text.
    pub fn text(&self, key: &str, problems: &mut Problems) -> Option<At<&'d str>> {
        self.value(key)?.text(problems)
    }

    /// A whole number.
    pub fn integer(&self, key: &str, problems: &mut Problems) -> Option<At<i64>> {
        self.value(key)?.integer(problems)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str, problems: &mut Problems) -> Option<At<bool>> {
        self.value(key)?.flag(problems)
    }

    /// A day.
    pub fn date(&self, key: &str, problems: &mut Problems) -> Option<At<Date>> {
        self.value(key)?.date(problems)
    }

    /// A table within this one.
    pub fn table(&self, key: &str, problems: &mut Problems) -> Option<Self> {
        self.value(key)?.table(problems)
    }

    /// A list.
    pub fn array(&self, key: &str, problems: &mut Problems) -> Option<Vec<Value<'d>>> {
        self.value(key)?.array(problems)
    }

    /// Tables under names of their own, `[ids.pupil]`, in the order of the file.
    pub fn named_tables(&self, key: &str, problems: &mut Problems) -> Vec<(At<&'d str>, Self)> {
        let Some(table) = self.table(key, problems) else {
            return Vec::new();
        };
        let entries = table.entries().into_iter();
        entries
            .filter_map(|(name, value)| Some((name, value.table(problems)?)))
            .collect()
    }

    /// Reports every key that nobody asked for.
    pub fn finish(&self, problems: &mut Problems) {
        let asked = self.asked.borrow();
        let unasked = |key: &&Spanned<_>| !asked.contains(AsRef::<str>::as_ref(key.get_ref()));
        for key in self.entries.keys().filter(unasked) {
            let name = key.get_ref().as_ref();
            let place = self.at(key.span());
            let inside = match self.name.as_str() {
                "" => "this file".to_owned(),
                name => format!("[{name}]"),
            };
            let known: Vec<String> = asked.iter().map(|key| shown(key)).collect();
            let problem =
                Problem::error(code::UNKNOWN_KEY, format!("no such key: {}", shown(name)))
                    .at(&place)
                    .label(format!("{inside} may have {}", known.join(" ")))
                    .did_you_mean_key(name, &asked);
            problems.push(problem);
        }
    }
}

/// One value that is being read.
#[derive(Debug)]
pub struct Value<'d> {
    file: &'d Arc<SourceFile>,
    key: Place,
    value: &'d Spanned<DeValue<'d>>,
    name: String,
}

/// A value that is written short or long.
#[derive(Debug)]
pub enum TextOrTable<'d> {
    /// Short.
    Text(At<&'d str>),
    /// Long.
    Table(Table<'d>),
}

impl<'d> Value<'d> {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            file: Arc::clone(self.file),
            span: self.value.span(),
        }
    }

    /// Where its key stands.
    #[must_use]
    pub const fn key_place(&self) -> &Place {
        &self.key
    }

    /// The names of its key and of the tables around it, `flow.pull.upstream`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it is written in the file.
    #[must_use]
    pub fn raw(&self) -> &'d str {
        self.file.text().get(self.value.span()).unwrap_or_default()
    }

    /// A text.
    pub fn text(&self, problems: &mut Problems) -> Option<At<&'d str>> {
        self.typed(self.value.get_ref().as_str(), "a text", problems)
    }

    /// A whole number.
    pub fn integer(&self, problems: &mut Problems) -> Option<At<i64>> {
        let number = self.value.get_ref().as_integer();
        let number = number.and_then(|it| i64::from_str_radix(it.as_str(), it.radix()).ok());
        self.typed(number, "a whole number", problems)
    }

    /// `true` or `false`.
    pub fn flag(&self, problems: &mut Problems) -> Option<At<bool>> {
        self.typed(
            self.value.get_ref().as_bool(),
            "`true` or `false`",
            problems,
        )
    }

    /// A day, without a time.
    pub fn date(&self, problems: &mut Problems) -> Option<At<Date>> {
        let date = self
            .value
            .get_ref()
            .as_datetime()
            .filter(|it| it.time.is_none());
        let date = date.and_then(|it| it.date).and_then(|day| {
            let part = |number: u8| i8::try_from(number).ok();
            Date::new(
                i16::try_from(day.year).ok()?,
                part(day.month)?,
                part(day.day)?,
            )
            .ok()
        });
        let wanted = "a date, `2026-08-01`";
        let help = || slip::date(self.raw()).map(|date| slip::date_help(&date));
        self.typed_with(date, (wanted, help), problems)
    }

    /// A table, inline or under a header.
    pub fn table(&self, problems: &mut Problems) -> Option<Table<'d>> {
        let table = self.value.get_ref().as_table();
        let help = || slip::brackets(&self.name, self.raw());
        let At {
            value: entries,
            place,
        } = self.typed_with(table, ("a table", help), problems)?;
        let table = Table::new(self.file, entries, place.span, self.name.clone());
        Some(table)
    }

    /// A list; of tables too, `[[flow.pull.route]]`.
    pub fn array(&self, problems: &mut Problems) -> Option<Vec<Self>> {
        let help = || slip::brackets(&self.name, self.raw());
        let list = self.value.get_ref().as_array();
        let list = self.typed_with(list, ("a list", help), problems)?;
        let item = |value| Self {
            file: self.file,
            key: self.key.clone(),
            value,
            name: self.name.clone(),
        };
        Some(list.value.iter().map(item).collect())
    }

    /// Whether it is a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// A text or a table.
    pub fn text_or_table(&self, problems: &mut Problems) -> Option<TextOrTable<'d>> {
        if let Some(text) = self.value.get_ref().as_str() {
            return Some(TextOrTable::Text(At {
                value: text,
                place: self.place(),
            }));
        }
        let table = self.value.get_ref().as_table();
        let At {
            value: entries,
            place,
        } = self.typed(table, "a text or a table", problems)?;
        let table = Table::new(self.file, entries, place.span, self.name.clone());
        Some(TextOrTable::Table(table))
    }

    /// A text, whole number or truth value as the JSON text of it, in its shortest form.
    pub fn json_scalar(&self, problems: &mut Problems) -> Option<At<String>> {
        let json = match self.value.get_ref() {
            DeValue::String(text) => Some(json_text(text)),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(|it| it.to_string()),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        };
        self.typed(json, "a text, a whole number, `true` or `false`", problems)
    }

    fn typed<T>(&self, value: Option<T>, wanted: &str, problems: &mut Problems) -> Option<At<T>> {
        self.typed_with(value, (wanted, || None), problems)
    }

    fn typed_with<T>(
        &self,
        value: Option<T>,
        (wanted, help): (&str, impl Fn() -> Option<String>),
        problems: &mut Problems,
    ) -> Option<At<T>> {
        let place = self.place();
        if value.is_none() {
            let message = format!("{} must be {wanted}", shown(&self.name));
            let found = match self.value.get_ref() {
                DeValue::String(_) => "this is a text",
                DeValue::Integer(_) => "this is a number",
                DeValue::Float(_) => "this is a number with a fraction",
                DeValue::Boolean(_) => "this is `true` or `false`",
                DeValue::Datetime(_) => "this is a date or a time",
                DeValue::Array(_) => "this is a list",
                DeValue::Table(_) => "this is a table",
            };
            let mut problem = Problem::error(code::TYPE, message).at(&place).label(found);
            problem.help.extend(help());
            problems.push(problem);
        }
        Some(At {
            value: value?,
            place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, reader: impl Fn(&Table<'_>, &mut Problems)) -> Vec<String> {
        let file = SourceFile::new("t.toml", text.to_owned());
        let mut problems = Problems::new();
        let document = Document::parse(&file, &mut problems);
        reader(&document.root(), &mut problems);
        let line = |problem: &&Problem| {
            let view = problem.view();
            format!(
                "{}:{} {} {}",
                view.line, view.column, view.code, view.message
            )
        };
        problems.sorted().iter().map(line).collect()
    }

    #[test]
    fn typed_values_are_read_with_their_places() {
        let text = "a = 'x'\nb = 0x10\nc = true\nd = 2026-08-01\ne = [1, 2]\n[f.g]\nh = 1\n";
        let seen = read(text, |root, problems| {
            let a = root.text("a", problems).unwrap();
            assert_eq!((a.value, a.place.line_and_column()), ("x", (1, 5)));
            assert_eq!(root.integer("b", problems).unwrap().value, 16);
            assert!(root.flag("c", problems).unwrap().value);
            assert_eq!(
                root.date("d", problems).unwrap().value.to_string(),
                "2026-08-01"
            );
            assert_eq!(root.array("e", problems).unwrap().len(), 2);
            let named = root.named_tables("f", problems);
            let (name, table) = named.first().unwrap();
            assert_eq!((name.value, table.name()), ("g", "f.g"));
            assert_eq!(table.value("h").unwrap().name(), "f.g.h");
            root.finish(problems);
        });
        assert_eq!(seen, [""; 0]);
    }

    #[test]
    fn every_mistake_of_a_file_is_reported() {
        let text = "name = 7\nday = 2026-08-01T10:00:00Z\nlist = 'x'\nlsit = []\n";
        let seen = read(text, |root, problems| {
            assert!(root.text("name", problems).is_none());
            assert!(root.date("day", problems).is_none());
            assert!(root.array("list", problems).is_none());
            assert!(root.need("version", problems).is_none());
            root.finish(problems);
        });
        assert_eq!(
            seen,
            [
                "1:1 E004 `version` is missing in t.toml",
                "1:8 E003 `name` must be a text",
                "2:7 E003 `day` must be a date, `2026-08-01`",
                "3:8 E003 `list` must be a list",
                "4:1 E005 no such key: `lsit`",
            ]
        );
    }

    #[test]
    fn keys_come_in_the_order_of_the_file() {
        read("z = 1\n\"=_any\" = 2\na = 3\n", |root, _| {
            let keys: Vec<_> = root
                .entries()
                .into_iter()
                .map(|(key, _)| key.value)
                .collect();
            assert_eq!(keys, ["z", "=_any", "a"]);
        });
    }

    #[test]
    fn what_is_not_toml_is_reported_with_the_rest() {
        let seen = read("a = \"x\nb = 3\nb = 4\nc = zero\n", |root, problems| {
            root.finish(problems);
        });
        assert!(seen.len() >= 3, "{seen:?}");
        assert!(seen.iter().any(|line| line.starts_with("1:")), "{seen:?}");
        assert!(
            seen.iter().any(|line| line.starts_with("3:1 E002")),
            "{seen:?}"
        );
        assert!(
            seen.iter().any(|line| line.starts_with("4:5 E002")),
            "{seen:?}"
        );
    }
}
