//! The echo guard: what was brought home in an exchange does not leave again in its answer.
//!
//! Whoever may send a pseudonym and read back a text could otherwise ask whose it is: sent in a
//! field that the school repeats in a title or a message, it would come back in clear.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;

use super::head;
use crate::limits;
use crate::policy::{ParameterType, ValueType};
use crate::secret::SecretText;

/// Identifiers shorter than this stand in other texts by chance: `12` in every date. They are
/// looked for in free text only, and as a word of their own.
const WITHIN_CHARS_MIN: usize = 6;

/// A number or code that is no more than an identifier of so many characters is that identifier.
/// Marks, points and years have four digits at most, and must not be missing because a pupil has
/// the number 7 or 1000.
const WHOLE_CHARS_MIN: usize = 5;

/// A day, as a date or a moment begins with it.
const DAY_CHARS: usize = "2026-08-01".len();

/// What was brought home in one exchange so far, in every spelling that is looked for.
#[derive(Default)]
pub struct Home {
    all: Mutex<All>,
    count: AtomicUsize,
}

#[derive(Default)]
struct All {
    texts: Vec<SecretText>,
    seen: BTreeSet<u64>,
    hasher: RandomState,
}

impl Home {
    /// Adds an identifier: as the school wrote it, in its canonical form, and as a URL has it.
    pub(super) fn add(&self, as_written: &str, canonical: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = |text: &str| {
            let mut url = String::new();
            head::encode(text, &mut url);
            url
        };
        for text in [as_written, canonical] {
            all.add(text);
            all.add(&encoded(text));
        }
        self.count.store(all.texts.len(), Ordering::Release);
    }
}

impl All {
    fn add(&mut self, text: &str) {
        // One more than is looked for says that there are too many.
        let fits = self.texts.len() <= limits::HOME_TEXTS_MAX;
        let new = !text.is_empty() && self.seen.insert(self.hasher.hash_one(text));
        if fits && new {
            self.texts.push(SecretText::new(text.to_owned()));
        }
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count.load(Ordering::Acquire);
        write!(f, "Home({count} spellings)")
    }
}

/// What a kept value can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A number, a code: an identifier, if it is long enough not to be met by chance.
    Codes,
    /// A day or a moment: an identifier only if somebody is named by a day.
    Days,
    /// Free text: any identifier.
    Text,
}

impl Holds {
    /// What a text of that type can hold; of `true` and `false`, nothing.
    pub(super) const fn of(of: ValueType) -> Option<Self> {
        match of {
            // A language tag is made of words of up to eight letters and digits: `pupil-S64003`.
            ValueType::Any | ValueType::Lang | ValueType::Slug | ValueType::Url => Some(Self::Text),
            ValueType::Int | ValueType::Number | ValueType::Uuid => Some(Self::Codes),
            ValueType::Date | ValueType::DateTime => Some(Self::Days),
            ValueType::Bool => None,
        }
    }

    /// The same of a parameter in a path or query; of the policy's own words, nothing.
    pub(super) const fn of_parameter(of: &ParameterType) -> Option<Self> {
        match of {
            ParameterType::OneOf(_) => None,
            ParameterType::Date | ParameterType::DateTime => Some(Self::Days),
            ParameterType::Int | ParameterType::Uuid => Some(Self::Codes),
            ParameterType::Slug => Some(Self::Text),
        }
    }

    /// Whether an identifier of so many characters that stands there in a text is there on purpose.
    fn shows(self, chars: usize, text: &[u8], at: Range<usize>) -> bool {
        let before = text.get(..at.start).unwrap_or_default();
        let after = text.get(at.end..).unwrap_or_default();
        match self {
            Self::Codes => {
                let whole = before.is_empty() && after.is_empty();
                chars >= WITHIN_CHARS_MIN || whole && chars >= WHOLE_CHARS_MIN
            }
            Self::Days => before.is_empty() && chars >= DAY_CHARS,
            Self::Text => {
                let goes_on = |byte: Option<&u8>| byte.is_some_and(is_of_a_word);
                let word = !goes_on(before.last()) && !goes_on(after.first());
                chars >= WITHIN_CHARS_MIN || word
            }
        }
    }
}

/// Looks for what was brought home; knows as much of it as there was when it last looked.
#[derive(Default)]
pub(super) struct Echo {
    search: Option<AhoCorasick>,
    /// Of each text, how many characters it has.
    chars: Vec<usize>,
}

impl Echo {
    /// Whether a kept text holds something that was brought home, in whatever case of letters.
    pub(super) fn is_in(&mut self, text: &[u8], holds: Holds, home: &Home) -> bool {
        if home.count.load(Ordering::Acquire) != self.chars.len() {
            let all = home.all.lock().unwrap_or_else(PoisonError::into_inner);
            self.learn(&all.texts);
        }
        let too_many = self.chars.len() > limits::HOME_TEXTS_MAX;
        let Some(search) = self.search.as_ref().filter(|_| !too_many) else {
            // Nothing came home; or more than can be looked for, and nothing is sure to be no echo.
            return !self.chars.is_empty();
        };
        let mut found = search.find_overlapping_iter(text);
        found.any(|found| {
            let chars = self.chars.get(found.pattern().as_usize());
            chars.is_none_or(|chars| holds.shows(*chars, text, found.range()))
        })
    }

    fn learn(&mut self, all: &[SecretText]) {
        // Exposed to the search, which holds them as long as the exchange lasts.
        let texts = || all.iter().map(SecretText::expose);
        let mut search = AhoCorasick::builder();
        self.search = search.ascii_case_insensitive(true).build(texts()).ok();
        self.chars = texts().map(|text| text.chars().count()).collect();
    }
}

/// Whether a byte continues a word: letters, digits, and every byte of a longer character.
const fn is_of_a_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(all: &[&str]) -> Home {
        let home = Home::default();
        all.iter().for_each(|text| home.add(text, text));
        home
    }

    fn echoes(all: &[&str], text: &str, holds: Holds) -> bool {
        Echo::default().is_in(text.as_bytes(), holds, &home(all))
    }

    #[test]
    fn what_came_home_is_found_in_whatever_text_it_stands() {
        let all = ["S-64003", "L-9", "zoë@school.example"];
        for text in [
            "S-64003",
            "result of s-64003.",
            "xS-640031",
            "L-9",
            "(l-9)",
            "van L-9",
            "https://a.example/zo%C3%AB%40school.example/x",
        ] {
            assert!(echoes(&all, text, Holds::Text), "{text}");
        }
        for text in ["", "S-6400", "VL-95", "L-95", "éL-9", "pupil"] {
            assert!(!echoes(&all, text, Holds::Text), "{text}");
        }
    }

    #[test]
    fn codes_are_searched_for_what_no_mark_or_year_is() {
        for text in ["953120", "19531207", "1.953120", "95312"] {
            assert!(echoes(&["953120", "95312"], text, Holds::Codes), "{text}");
        }
        // Too short to be met on purpose; and one that stands in a larger number.
        for text in ["7", "12", "1000", "2026", "953121", "195312", "95312.5"] {
            let ids = ["7", "12", "1000", "2026", "95312"];
            assert!(!echoes(&ids, text, Holds::Codes), "{text}");
        }
        assert!(echoes(&["7", "12"], "by 12", Holds::Text));
    }

    #[test]
    fn days_are_searched_for_those_who_are_named_by_one() {
        let ids = ["2009-03-07", "123456", "2026-08", "00:00:00Z"];
        for text in ["2009-03-07", "2009-03-07T12:00:00Z"] {
            assert!(echoes(&ids, text, Holds::Days), "{text}");
        }
        for text in [
            "2026-08-01",
            "2026-08-01T00:00:00Z",
            "2026-08-01T00:00:00.123456Z",
        ] {
            assert!(!echoes(&ids, text, Holds::Days), "{text}");
        }
    }

    #[test]
    fn nothing_but_yes_and_no_and_words_of_the_policy_is_left_unsearched() {
        for (of, holds) in [
            (ValueType::Any, Some(Holds::Text)),
            (ValueType::Bool, None),
            (ValueType::Date, Some(Holds::Days)),
            (ValueType::DateTime, Some(Holds::Days)),
            (ValueType::Int, Some(Holds::Codes)),
            (ValueType::Lang, Some(Holds::Text)),
            (ValueType::Number, Some(Holds::Codes)),
            (ValueType::Slug, Some(Holds::Text)),
            (ValueType::Url, Some(Holds::Text)),
            (ValueType::Uuid, Some(Holds::Codes)),
        ] {
            assert_eq!(Holds::of(of), holds, "{of:?}");
        }
        for (of, holds) in [
            (ParameterType::Date, Some(Holds::Days)),
            (ParameterType::DateTime, Some(Holds::Days)),
            (ParameterType::Int, Some(Holds::Codes)),
            (ParameterType::OneOf([].into()), None),
            (ParameterType::Slug, Some(Holds::Text)),
            (ParameterType::Uuid, Some(Holds::Codes)),
        ] {
            assert_eq!(Holds::of_parameter(&of), holds, "{of:?}");
        }
    }

    #[test]
    fn an_identifier_is_found_in_its_canonical_form_too() {
        let home = Home::default();
        home.add(" 00S-64003", "s-64003");
        assert!(Echo::default().is_in(b"S-64003", Holds::Text, &home));
    }

    #[test]
    fn one_that_ends_within_another_is_found_too() {
        assert!(echoes(&["1-abcdef", "abcdef"], "0-abcdef", Holds::Text));
        assert!(echoes(&["ab1", "b1"], "x b1 y", Holds::Text));
    }

    #[test]
    fn what_comes_home_later_is_found_from_then_on() {
        let (home, mut echo) = (home(&[]), Echo::default());
        assert!(!echo.is_in(b"S-64003", Holds::Text, &home));
        home.add("S-64003", "S-64003");
        assert!(echo.is_in(b"S-64003", Holds::Text, &home));
        home.add("", "");
        assert!(
            !echo.is_in(b"", Holds::Text, &home),
            "an empty text is nobody's"
        );
    }

    #[test]
    fn more_than_can_be_looked_for_is_in_everything() {
        let home = Home::default();
        let mut echo = Echo::default();
        for number in 0..limits::HOME_TEXTS_MAX {
            let id = format!("S-{number}");
            home.add(&id, &id);
            home.add(&id, &id);
        }
        assert!(
            !echo.is_in(b"nobody", Holds::Text, &home),
            "each counts once"
        );
        home.add("one more", "one more");
        assert!(echo.is_in(b"nobody", Holds::Text, &home));
    }

    #[test]
    fn none_is_shown() {
        assert_eq!(format!("{:?}", home(&["S-64003"])), "Home(1 spellings)");
    }
}
