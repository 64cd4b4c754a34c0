//! What a single value may be, and what can be made of it: data only, applied by `minimise`.

use std::sync::Arc;

use regex::Regex;

use super::{IdKind, Index};

/// The type of a kept scalar. Types are strict: a text of digits is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Any scalar: `keep`.
    Any,
    /// `true` or `false`.
    Bool,
    /// RFC 3339 full-date, `2026-08-01`, and a day that exists.
    Date,
    /// RFC 3339 date-time with an offset.
    DateTime,
    /// A number without fraction and exponent.
    Int,
    /// A language tag (RFC 5646): `nl`, `nl-NL`, `zh-Hant-TW`, `de-1996`.
    Lang,
    /// Any JSON number.
    Number,
    /// `[A-Za-z0-9._-]`, 1 to [`limits::SLUG_CHARS_MAX`](crate::limits::SLUG_CHARS_MAX).
    Slug,
    /// An absolute http or https URL without user information, at most
    /// [`limits::URL_CHARS_MAX`](crate::limits::URL_CHARS_MAX).
    Url,
    /// 8-4-4-4-12 hexadecimal digits, either case.
    Uuid,
}

/// What a kept value must also be.
#[derive(Clone, Debug, Default)]
pub struct ValueRules {
    /// One of these, each the JSON text of a string, int or bool in its shortest form.
    pub one_of: Option<Box<[Box<str>]>>,
    /// At most so many characters of the unescaped string, or bytes of a number.
    pub chars_max: Option<usize>,
    /// Matches this expression as a whole. Shared, because a copy has room of its own to match in.
    pub like: Option<Arc<Regex>>,
}

impl ValueRules {
    /// Whether a text is short enough, and alike. Whether it is listed is for who has it as JSON.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let short = |most| text.chars().count() <= most;
        self.chars_max.is_none_or(short)
            && self.like.as_ref().is_none_or(|like| like.is_match(text))
    }

    /// Whether a value passes that is this text, and in JSON that one.
    #[must_use]
    pub fn admits(&self, text: &str, json: &str) -> bool {
        let listed = |all: &[Box<str>]| all.iter().any(|one| **one == *json);
        self.one_of.as_deref().is_none_or(listed) && self.fits(text)
    }
}

/// How a generalised date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateForm {
    /// `form = "date"`: the first day, `2017-01-01`; the type stays.
    FirstDay,
    /// The year, month or school year itself: `2017`, `2017-03`, `2016-2017`.
    Short,
}

/// A deterministic way of saying less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generaliser {
    /// A number as one of `"<4"`, `"4-5"`, …, `"12+"`; edges rise.
    Band(Box<[i64]>),
    /// The first character with its combining marks.
    Initial,
    /// The month of a date or date-time.
    Month(DateForm),
    /// A number rounded to a multiple of this (1 or more), half away from zero.
    Round(u32),
    /// The school year of a date or date-time: from 1 August.
    SchoolYear(DateForm),
    /// The year of a date or date-time.
    Year(DateForm),
}

/// A text with identifiers in it: `urn:leerling:{pupil}`.
///
/// With several identifiers, none of them may have a text in it that stands between two: then it
/// would not be clear where one ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Each identifier with the text before it; one at least.
    pub parts: Box<[(Box<str>, Index<IdKind>)]>,
    /// The text behind the last one.
    pub end: Box<str>,
}

impl Template {
    /// The kinds and identifiers of a text, in order; `None` if the text is not of this form.
    #[must_use]
    pub fn read<'t>(&self, text: &'t str) -> Option<Vec<(Index<IdKind>, &'t str)>> {
        let mut found = Vec::new();
        let (first, others) = self.parts.split_first()?;
        let mut rest = text.strip_prefix(&*first.0)?.strip_suffix(&*self.end)?;
        let mut kind = first.1;
        for (between, next) in others {
            let (id, behind) = rest.split_once(&**between)?;
            found.push((kind, id));
            (rest, kind) = (behind, *next);
        }
        found.push((kind, rest));
        let clear = |id: &str| {
            let mut others = others.iter();
            !id.is_empty() && !others.any(|(between, _)| id.contains(&**between))
        };
        found.iter().all(|(_, id)| clear(id)).then_some(found)
    }

    /// The text with other identifiers in the places of its own.
    #[must_use]
    pub fn write(&self, ids: &[String]) -> String {
        let both = self.parts.iter().zip(ids);
        let mut text = String::new();
        for ((before, _), id) in both {
            text.push_str(before);
            text.push_str(id);
        }
        text.push_str(&self.end);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parts: &[&str], end: &str) -> Template {
        let kind = Index::new(0).unwrap();
        Template {
            parts: parts
                .iter()
                .map(|before| ((*before).into(), kind))
                .collect(),
            end: end.into(),
        }
    }

    #[test]
    fn a_value_is_listed_short_and_alike() {
        let rules = ValueRules {
            one_of: Some([r#""Zoë""#.into(), "12".into()].into()),
            chars_max: Some(3),
            like: Regex::new("^[A-Z].*$").ok().map(Arc::new),
        };
        assert!(rules.fits("Zoë") && rules.fits("Abc"));
        assert!(!rules.fits("Zoës") && !rules.fits("zoë"));
        assert!(rules.admits("Zoë", r#""Zoë""#));
        assert!(!rules.admits("Abc", r#""Abc""#) && !rules.admits("12", "12"));
        assert!(ValueRules::default().admits("12", "12"));
    }

    #[test]
    fn a_template_finds_its_identifiers_or_none() {
        for (parts, end, text, expected) in [
            (&["urn:pupil:"][..], "", "urn:pupil:S-1", Some(vec!["S-1"])),
            (&[""], "", "S-1", Some(vec!["S-1"])),
            (&[""], "@a.example", "S-1@a.example", Some(vec!["S-1"])),
            (
                &[""],
                "@a.example",
                "S@a.example@a.example",
                Some(vec!["S@a.example"]),
            ),
            (&["", "/"], "", "K-1/S-1", Some(vec!["K-1", "S-1"])),
            (
                &["a:", "/", "/"],
                ".",
                "a:1/2/3.",
                Some(vec!["1", "2", "3"]),
            ),
            (&["urn:pupil:"], "", "urn:pupil:", None),
            (&["urn:pupil:"], "", "URN:pupil:S-1", None),
            (&["a"], "a", "a", None),
            (&["", "/"], "", "K-1/S/1", None),
            (&["", "/"], "", "K-1", None),
            (&["", "/"], "", "/S-1", None),
            (&["", "/", "-"], "", "1-2/3-4", None),
        ] {
            let found = template(parts, end).read(text);
            let found = found.map(|all| all.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_a_template_writes_it_reads() {
        let ids = ["1".to_owned(), "2".to_owned()];
        let both = template(&["a:", "/"], ".");
        assert_eq!(both.write(&ids), "a:1/2.");
        assert_eq!(both.read("a:1/2.").unwrap().len(), 2);
    }
}
