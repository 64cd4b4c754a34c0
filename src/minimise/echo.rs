//! The echo guard: what was brought home in an exchange does not leave again in its answer.
//!
//! Whoever may send a pseudonym and read back a text could otherwise ask whose it is: sent in a
//! field that the school repeats in a title or a message, it would come back in clear.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
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
    /// Free text: any identifier.
    Text,
}

impl Holds {
    /// What a text of that type can hold; nothing, if no identifier is of it.
    pub(super) const fn of(of: ValueType) -> Option<Self> {
        match of {
            ValueType::Any | ValueType::Slug | ValueType::Url => Some(Self::Text),
            ValueType::Int | ValueType::Number | ValueType::Uuid => Some(Self::Codes),
            ValueType::Bool | ValueType::Date | ValueType::DateTime | ValueType::Lang => None,
        }
    }

    /// The same of a parameter in a path or query.
    pub(super) const fn of_parameter(of: &ParameterType) -> Option<Self> {
        match of {
            ParameterType::Date | ParameterType::DateTime | ParameterType::OneOf(_) => None,
            ParameterType::Int | ParameterType::Uuid => Some(Self::Codes),
            ParameterType::Slug => Some(Self::Text),
        }
    }
}

/// Looks for what was brought home; knows as much of it as there was when it last looked.
#[derive(Default)]
pub(super) struct Echo {
    search: Option<AhoCorasick>,
    long: Vec<bool>,
}

impl Echo {
    /// Whether a kept text holds something that was brought home, in whatever case of letters.
    pub(super) fn is_in(&mut self, text: &[u8], holds: Holds, home: &Home) -> bool {
        if home.count.load(Ordering::Acquire) != self.long.len() {
            let all = home.all.lock().unwrap_or_else(PoisonError::into_inner);
            self.learn(&all.texts);
        }
        let too_many = self.long.len() > limits::HOME_TEXTS_MAX;
        let Some(search) = self.search.as_ref().filter(|_| !too_many) else {
            // Nothing came home; or more than can be looked for, and nothing is sure to be no echo.
            return !self.long.is_empty();
        };
        let mut found = search.find_overlapping_iter(text);
        found.any(|found| {
            let long = self.long.get(found.pattern().as_usize());
            let before = text.get(..found.start()).and_then(<[u8]>::last);
            let after = text.get(found.end());
            let word = !before.is_some_and(is_of_a_word) && !after.is_some_and(is_of_a_word);
            long.is_none_or(|long| *long) || holds == Holds::Text && word
        })
    }

    fn learn(&mut self, all: &[SecretText]) {
        // Exposed to the search, which holds them as long as the exchange lasts.
        let texts = || all.iter().map(SecretText::expose);
        let mut search = AhoCorasick::builder();
        self.search = search.ascii_case_insensitive(true).build(texts()).ok();
        self.long = texts()
            .map(|text| text.chars().count() >= WITHIN_CHARS_MIN)
            .collect();
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
    fn codes_are_searched_for_long_identifiers_only() {
        assert!(echoes(&["9531200"], "9531200", Holds::Codes));
        assert!(!echoes(&["7", "12"], "7", Holds::Codes));
        assert!(echoes(&["7", "12"], "by 12", Holds::Text));
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
