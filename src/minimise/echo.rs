//! The echo guard: what was brought home in an exchange does not leave again in its answer.
//!
//! Whoever may send a pseudonym and read back a text could otherwise ask whose it is: sent in a
//! field that the school repeats in a title or a message, it would come back in clear.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aho_corasick::AhoCorasick;

use crate::secret::SecretText;

/// Identifiers shorter than this stand in other texts by chance: `12` in every date. They are
/// looked for as a word of their own.
const WITHIN_CHARS_MIN: usize = 6;

/// What was brought home in one exchange so far, as the school wrote it. Wiped when it is over.
#[derive(Default)]
pub struct Home {
    all: Mutex<Vec<SecretText>>,
    count: AtomicUsize,
}

impl Home {
    pub(super) fn add(&self, text: &[u8]) {
        // What the register gives is text.
        let text = std::str::from_utf8(text).unwrap_or_default();
        if !text.is_empty() {
            let mut all = self.all();
            all.push(SecretText::new(text.to_owned()));
            self.count.store(all.len(), Ordering::Release);
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<SecretText>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count.load(Ordering::Acquire);
        write!(f, "Home({count} identifiers)")
    }
}

/// Looks for what was brought home; knows as much of it as there was when it last looked.
#[derive(Default)]
pub(super) struct Echo {
    search: Option<AhoCorasick>,
    long: Vec<bool>,
}

impl Echo {
    /// Whether a kept text holds something that was brought home.
    pub(super) fn is_in(&mut self, text: &[u8], home: &Home) -> bool {
        if home.count.load(Ordering::Acquire) != self.long.len() {
            self.learn(&home.all());
        }
        let Some(search) = &self.search else {
            // Nothing came home, or nothing can be looked for: then nothing is sure to be no echo.
            return !self.long.is_empty();
        };
        let mut found = search.find_overlapping_iter(text);
        found.any(|found| {
            let long = self.long.get(found.pattern().as_usize());
            let before = text.get(..found.start()).and_then(<[u8]>::last);
            let after = text.get(found.end());
            long.is_none_or(|long| *long)
                || !before.is_some_and(is_of_a_word) && !after.is_some_and(is_of_a_word)
        })
    }

    fn learn(&mut self, all: &[SecretText]) {
        // Exposed to the search, which holds them as long as the exchange lasts.
        let texts = || all.iter().map(SecretText::expose);
        self.search = AhoCorasick::new(texts()).ok();
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
        all.iter().for_each(|text| home.add(text.as_bytes()));
        home
    }

    fn echoes(all: &[&str], text: &str) -> bool {
        Echo::default().is_in(text.as_bytes(), &home(all))
    }

    #[test]
    fn what_came_home_is_found_in_whatever_text_it_stands() {
        let all = ["S-64003", "L-9"];
        for text in [
            "S-64003",
            "result of S-64003.",
            "xS-640031",
            "L-9",
            "(L-9)",
            "van L-9",
        ] {
            assert!(echoes(&all, text), "{text}");
        }
        for text in ["", "S-6400", "s-64003", "VL-95", "L-95", "éL-9", "pupil"] {
            assert!(!echoes(&all, text), "{text}");
        }
    }

    #[test]
    fn one_that_ends_within_another_is_found_too() {
        assert!(echoes(&["1-abcdef", "abcdef"], "0-abcdef"));
        assert!(echoes(&["ab1", "b1"], "x b1 y"));
    }

    #[test]
    fn what_comes_home_later_is_found_from_then_on() {
        let (home, mut echo) = (home(&[]), Echo::default());
        assert!(!echo.is_in(b"S-64003", &home));
        home.add(b"S-64003");
        assert!(echo.is_in(b"S-64003", &home));
        home.add(b"");
        assert!(!echo.is_in(b"", &home), "an empty text is nobody's");
    }

    #[test]
    fn none_is_shown() {
        assert_eq!(format!("{:?}", home(&["S-64003"])), "Home(1 identifiers)");
    }
}
