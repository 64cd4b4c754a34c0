//! The echo guard: what was brought home in an exchange does not leave again in its answer.
//!
//! Whoever may send a pseudonym and read back a text could otherwise ask whose it is: sent in a
//! field that the school repeats in a title or a message, it would come back in clear.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;

use super::{head, value};
use crate::limits;
use crate::policy::{ParameterType, ValueRules, ValueType};
use crate::secret::SecretText;

/// Identifiers shorter than this stand in other texts by chance: `12` in every date. They are
/// looked for in texts only, and as a word of their own.
const WITHIN_CHARS_MIN: usize = 6;

/// A number or code that is no more than an identifier of so many characters is that identifier.
/// Marks, points and years have four digits at most, and must not be missing because a pupil has
/// the number 7 or 1000. A text that has no room for so many, by the rules of the policy, is such a
/// mark or year too.
const WHOLE_CHARS_MIN: usize = 5;

/// A longer text is no mark or year, whatever its rules say: at its greatest length no text has
/// room for more.
const SHORT_TEXT_CHARS_MAX: usize = 8;

/// How long the identifiers are that a text is tried with for room.
const ROOM_CHARS: Range<usize> = WHOLE_CHARS_MIN..13;

/// So many answers are kept whether there is room.
const ROOMS_MAX: usize = 1_000;

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
    /// What the vendor itself wrote in its request line, each with its place.
    said: BTreeSet<u64>,
    hasher: RandomState,
}

/// Where in a path or query a value stands that goes on as it came.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum At<'p> {
    /// In a filter, beside that field.
    Field(&'p str),
    /// The parameter of that name.
    Parameter(&'p str),
    /// The segment of the path with that place.
    Segment(usize),
}

impl Home {
    /// Adds an identifier: as the school wrote it, in its canonical form, and as a URL has it.
    pub(super) fn add(&self, as_written: &str, canonical: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Most are spelled in one way.
        let spelled = (canonical != as_written).then_some(canonical);
        for text in std::iter::once(as_written).chain(spelled) {
            all.add(text);
            if !text.bytes().all(head::is_unreserved) {
                let mut url = String::new();
                head::encode(text, &mut url);
                all.add(&url);
            }
        }
        self.count.store(all.texts.len(), Ordering::Release);
    }

    /// Notes what the vendor wrote in its request line, under a route.
    pub(super) fn note_said(&self, route: &str, at: At<'_>, text: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let said = all.hasher.hash_one((route, at, text));
        all.said.insert(said);
    }

    /// Whether the vendor wrote the same in the same place. Then it is no echo: it tells nothing,
    /// and to withhold it would tell whether it is somebody's identifier.
    pub(super) fn was_said(&self, route: &str, at: At<'_>, text: &str) -> bool {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.said.contains(&all.hasher.hash_one((route, at, text)))
    }
}

impl All {
    fn add(&mut self, text: &str) {
        // One more than is looked for says that there are too many.
        let fits = self.texts.len() <= limits::HOME_TEXTS_MAX;
        if fits && !text.is_empty() && self.seen.insert(self.hasher.hash_one(text)) {
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
    /// A text: any identifier, where there is room for one. Unless it is a day or a moment.
    Text,
}

/// A kept value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) text: &'a str,
    pub(super) holds: Holds,
    /// What the policy has of its like, besides the type.
    pub(super) rules: Option<&'a ValueRules>,
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
    const fn of_parameter(of: &ParameterType) -> Option<Self> {
        match of {
            ParameterType::OneOf(_) => None,
            ParameterType::Date | ParameterType::DateTime => Some(Self::Days),
            ParameterType::Int | ParameterType::Uuid => Some(Self::Codes),
            ParameterType::Slug => Some(Self::Text),
        }
    }
}

impl<'a> Kept<'a> {
    /// A parameter in a path or query, if it can hold anything.
    pub(super) fn of_parameter(text: &'a str, of: &ParameterType) -> Option<Self> {
        let rules = None;
        Holds::of_parameter(of).map(|holds| Self { text, holds, rules })
    }

    /// Whether an identifier of so many characters that stands there is there on purpose.
    fn shows(&self, chars: usize, at: Range<usize>, rooms: &mut Option<Box<Rooms>>) -> bool {
        let [before, id, after] = self.parts(&at);
        let is_the_day = before.is_empty() && chars >= DAY_CHARS;
        match self.holds {
            Holds::Codes => {
                let whole = before.is_empty() && after.is_empty();
                chars >= WITHIN_CHARS_MIN || whole && chars >= WHOLE_CHARS_MIN
            }
            // Whatever the policy calls it, `10` is no pupil in the tenth month.
            Holds::Text if !value::is_when(self.text) => {
                let goes_on = |byte: Option<u8>| byte.is_some_and(is_of_a_word);
                let word = !goes_on(before.bytes().last()) && !goes_on(after.bytes().next());
                let within = chars >= WITHIN_CHARS_MIN;
                within
                    || word
                        && (chars >= WHOLE_CHARS_MIN || rooms.get_or_insert_default().has(self, at))
            }
            Holds::Days => is_the_day,
            Holds::Text => {
                // The parts of a second can be as long as an identifier.
                let number = id.bytes().all(|byte| byte.is_ascii_digit());
                is_the_day || number && chars >= WITHIN_CHARS_MIN
            }
        }
    }

    /// What stands before that place, there, and behind it.
    fn parts(&self, at: &Range<usize>) -> [&'a str; 3] {
        let of = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        [of(0..at.start), of(at.clone()), of(at.end..self.text.len())]
    }

    /// Whether a longer identifier could stand in the place of one, by the rules: in `A-10`, and
    /// not in a year. Where none can, a short one is what it looks like.
    fn has_room(&self, at: Range<usize>) -> bool {
        let [before, id, after] = self.parts(&at);
        let short = self.text.chars().count() <= SHORT_TEXT_CHARS_MAX;
        let Some(rules) = self.rules.filter(|_| short) else {
            return true;
        };
        let (first, last) = (id.chars().next(), id.chars().last());
        let mut signs = ['0', 'A', 'a'].into_iter().chain(first).chain(last);
        signs.any(|sign| {
            { ROOM_CHARS }.any(|chars| {
                let more: String = std::iter::repeat_n(sign, chars).collect();
                // Behind, before and instead of it, and instead of the text.
                let longer = [[before, id, &more, after], [before, &more, id, after]];
                let other = [[before, &more, after, ""], [&more, "", "", ""]];
                let mut all = longer.into_iter().chain(other);
                all.any(|parts| rules.fits(&parts.concat()))
            })
        })
    }
}

/// Looks for what was brought home; knows as much of it as there was when it last looked.
#[derive(Default)]
pub(super) struct Echo {
    search: Option<AhoCorasick>,
    /// Of each text, how many characters it has.
    chars: Vec<usize>,
    /// Of few messages, and so made with the first.
    rooms: Option<Box<Rooms>>,
}

/// Whether there is [room](Kept::has_room), for what was asked before: the marks of a class are few
/// and come many times, and the answer takes hundreds of matches.
#[derive(Default)]
struct Rooms {
    known: BTreeMap<u64, bool>,
    hasher: RandomState,
}

impl Rooms {
    fn has(&mut self, kept: &Kept<'_>, at: Range<usize>) -> bool {
        if self.known.len() >= ROOMS_MAX {
            self.known.clear();
        }
        let rules = kept.rules.map(std::ptr::from_ref);
        let asked = self.hasher.hash_one((rules, &at, kept.text));
        *{ self.known.entry(asked) }.or_insert_with(|| kept.has_room(at))
    }
}

impl Echo {
    /// Whether a kept value holds something that was brought home, in whatever case of letters.
    pub(super) fn is_in(&mut self, kept: Kept<'_>, home: &Home) -> bool {
        if home.count.load(Ordering::Acquire) != self.chars.len() {
            let all = home.all.lock().unwrap_or_else(PoisonError::into_inner);
            self.learn(&all.texts);
        }
        let too_many = self.chars.len() > limits::HOME_TEXTS_MAX;
        let Some(search) = self.search.as_ref().filter(|_| !too_many) else {
            // Nothing came home; or more than can be looked for, and nothing is sure to be no echo.
            return !self.chars.is_empty();
        };
        let mut found = search.find_overlapping_iter(kept.text);
        let rooms = &mut self.rooms;
        found.any(|found| {
            let chars = self.chars.get(found.pattern().as_usize());
            chars.is_none_or(|chars| kept.shows(*chars, found.range(), rooms))
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
const fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use regex::Regex;

    use super::*;

    fn home(all: &[&str]) -> Home {
        let home = Home::default();
        all.iter().for_each(|text| home.add(text, text));
        home
    }

    const fn kept(text: &str, holds: Holds) -> Kept<'_> {
        Kept {
            text,
            holds,
            rules: None,
        }
    }

    fn echoes(all: &[&str], text: &str, holds: Holds) -> bool {
        Echo::default().is_in(kept(text, holds), &home(all))
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
    fn a_text_that_is_a_day_or_a_moment_is_searched_as_one() {
        let ids = ["10", "2026-1", "10:00", "1006", "2026-10-05", "953120"];
        for text in [
            "2026-10-06",
            "2026-10-06T10:00:00Z",
            "2026-10-06T10:00:10.123+10:00",
            "2026-10-06T10:00",
            "2026-10-06T10:00+10:00",
            "2026-10-06T10:00:00+1006",
            "2026-10-06T10:00:00+10",
        ] {
            assert!(!echoes(&ids, text, Holds::Text), "{text}");
        }
        for text in [
            "2026-10-05",
            "2026-10-05T10:00:00Z",
            "op 2026-10-06",
            "2026-10-06 of 10",
            "2026-13-10",
            "2026-10-06T10:00:00Z/10",
            "2026-10-06T10:00:00.00953120Z",
        ] {
            assert!(echoes(&ids, text, Holds::Text), "{text}");
        }
    }

    #[test]
    fn a_short_one_is_looked_for_where_the_rules_have_room_for_one() {
        let like = |like: &str| ValueRules {
            like: Regex::new(&format!("^(?:{like})$")).ok().map(Arc::new),
            ..ValueRules::default()
        };
        let of_four = ValueRules {
            chars_max: Some(4),
            ..ValueRules::default()
        };
        let of_seven = ValueRules {
            chars_max: Some(7),
            ..ValueRules::default()
        };
        let ids = ["10", "07", "2027", "H1A", "b", "95312"];
        let echoes = |text: &str, rules: &ValueRules| {
            let kept = Kept {
                text,
                holds: Holds::Text,
                rules: Some(rules),
            };
            Echo::default().is_in(kept, &home(&ids))
        };
        let mark = "[A-Z]{1,3}[+-]?|[0-9]{1,3}([.,][0-9]{1,2})?";
        for (text, rules) in [
            ("10", like(mark)),
            ("7,10", like(mark)),
            ("B+", like(mark)),
            ("2027", like("[0-9]{4}")),
            ("07", like("[0-9]{1,2}|IT|Other")),
            ("10/2027", like("[0-9]{2}/[0-9]{4}")),
            ("H1A", of_four),
        ] {
            assert!(rules.fits(text) && !echoes(text, &rules), "{text}");
        }
        for (text, rules) in [
            ("10", like("(?s).+")),
            ("2027", like("[0-9]+")),
            ("2027", like("[0-9]{4}|[a-z]{7}")),
            ("H1A", like("[A-Z][A-Z0-9]{0,11}")),
            ("10", like("[A-Z0-9._-]{1,10}")),
            ("ext:10", like("term|ext:[A-Za-z0-9._-]{1,40}")),
            // As long as the rule lets a text be.
            ("abcd 10", of_seven),
            ("ext:aaaaaaaaaa-10", like("ext:[a-z0-9-]{1,13}")),
            ("ABC.D-10", like("[A-Z0-9.-]{1,8}")),
            // Where only its own signs have room, or only in front of it.
            ("b", like("[b-z]{1,9}")),
            ("H1A", like("[H1]{1,8}A")),
            ("van 10", ValueRules::default()),
            // Long enough to be one, whatever there is room for.
            ("95312", like("[0-9]{5}")),
            ("nr 95312", like("nr [0-9]{5}")),
        ] {
            assert!(rules.fits(text) && echoes(text, &rules), "{text}");
        }
    }

    #[test]
    fn what_has_been_found_out_of_room_holds_for_its_text_place_and_rules_alone() {
        let like = |like: &str| ValueRules {
            like: Regex::new(&format!("^(?:{like})$")).ok().map(Arc::new),
            ..ValueRules::default()
        };
        let rules = [like("[0-9]{1,2}/[0-9]{1,2}|ab|cd"), like("[0-9/]{1,12}|..")];
        let (mut echo, home) = (Echo::default(), home(&["10", "ab"]));
        for _ in 0..2 {
            for (text, place, seen) in [
                ("10/27", 0, false),
                ("10/27", 1, true),
                ("ab", 1, true),
                ("cd", 0, false),
                ("27/10", 0, false),
            ] {
                let kept = Kept {
                    text,
                    holds: Holds::Text,
                    rules: rules.get(place),
                };
                assert_eq!(echo.is_in(kept, &home), seen, "{text} {place}");
            }
        }
        assert_eq!(echo.rooms.as_ref().unwrap().known.len(), 4);
        for number in 0..=ROOMS_MAX {
            let text = format!("10/{number}");
            let kept = Kept {
                text: &text,
                holds: Holds::Text,
                rules: rules.get(1),
            };
            assert!(echo.is_in(kept, &home), "{text}");
            assert!(echo.rooms.as_ref().unwrap().known.len() <= ROOMS_MAX);
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
        assert!(Echo::default().is_in(kept("S-64003", Holds::Text), &home));
    }

    #[test]
    fn one_that_ends_within_another_is_found_too() {
        assert!(echoes(&["1-abcdef", "abcdef"], "0-abcdef", Holds::Text));
        assert!(echoes(&["ab1", "b1"], "x b1 y", Holds::Text));
    }

    #[test]
    fn what_comes_home_later_is_found_from_then_on() {
        let (home, mut echo) = (home(&[]), Echo::default());
        assert!(!echo.is_in(kept("S-64003", Holds::Text), &home));
        home.add("S-64003", "S-64003");
        assert!(echo.is_in(kept("S-64003", Holds::Text), &home));
        home.add("", "");
        assert!(
            !echo.is_in(kept("", Holds::Text), &home),
            "an empty text is nobody's"
        );
    }

    #[test]
    fn what_was_said_counts_in_its_own_place_only() {
        let home = Home::default();
        home.note_said("GET /a", At::Field("x"), "S-64003");
        for (route, at, text, said) in [
            ("GET /a", At::Field("x"), "S-64003", true),
            ("GET /b", At::Field("x"), "S-64003", false),
            ("GET /a", At::Field("y"), "S-64003", false),
            ("GET /a", At::Parameter("x"), "S-64003", false),
            ("GET /a", At::Segment(0), "S-64003", false),
            ("GET /a", At::Field("x"), "s-64003", false),
        ] {
            assert_eq!(
                home.was_said(route, at, text),
                said,
                "{route} {at:?} {text}"
            );
        }
        // To have said it brings nobody home.
        assert!(!Echo::default().is_in(kept("S-64003", Holds::Text), &home));
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
            !echo.is_in(kept("nobody", Holds::Text), &home),
            "each counts once"
        );
        home.add("one more", "one more");
        assert!(echo.is_in(kept("nobody", Holds::Text), &home));
        home.add("and more", "and more");
        let all = home.all.lock().unwrap();
        let most = limits::HOME_TEXTS_MAX + 1;
        assert_eq!((all.texts.len(), all.seen.len()), (most, most));
    }

    #[test]
    fn none_is_shown() {
        assert_eq!(format!("{:?}", home(&["S-64003"])), "Home(1 spellings)");
    }
}
