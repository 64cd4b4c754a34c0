//! What is wrong in the configuration: where, why, and what to write instead.
//!
//! Problems are collected, never thrown: a reader pushes what it sees and reads on, so that one
//! look at the list is enough to mend a file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::source::{SourceFile, without_credentials};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used; someone should know.
    Finding,
    /// It is part of the language and not built yet: an error.
    NotYet,
}

impl Severity {
    /// Its name for people and for JSON: `error` or `finding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error | Self::NotYet => "error",
            Self::Finding => "finding",
        }
    }

    /// Whether a configuration with such a problem is refused.
    #[must_use]
    pub const fn refuses(self) -> bool {
        match self {
            Self::Error | Self::NotYet => true,
            Self::Finding => false,
        }
    }
}

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column of its first character, both counted from 1; columns are characters.
    #[must_use]
    pub fn line_and_column(&self) -> (usize, usize) {
        self.file.line_and_column(self.span.start)
    }
}

/// One mistake or finding. Its words may repeat what stands in a file; of a URL in them, the user
/// and the query are starred.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A stable code: one of [`super::code`].
    pub code: &'static str,
    /// What is wrong: one sentence in lower case, without a full stop.
    pub message: String,
    /// Where it is wrong; none if the problem is not in a file.
    pub place: Option<Place>,
    /// What stands behind the caret.
    pub label: String,
    /// Another place that belongs to it, and what stands behind its caret.
    pub also: Option<(Place, String)>,
    /// What to write instead, or what else helps.
    pub help: Vec<String>,
}

impl Problem {
    /// An error without a place.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, &message.into())
    }

    /// A finding without a place.
    #[must_use]
    pub fn finding(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Finding, code, &message.into())
    }

    /// A word of the language that comes later.
    #[must_use]
    pub fn not_yet(what: &str) -> Self {
        let message = format!(
            "{} is not built yet: it comes with a later release",
            shown(what)
        );
        Self::new(Severity::NotYet, super::code::NOT_YET, &message)
    }

    fn new(severity: Severity, code: &'static str, message: &str) -> Self {
        Self {
            severity,
            code,
            message: without_credentials(message),
            place: None,
            label: String::new(),
            also: None,
            help: Vec::new(),
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// Says something behind the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = without_credentials(&label.into());
        self
    }

    /// Points to another place of the same or another file.
    #[must_use]
    pub fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.also = Some((place.clone(), without_credentials(&label.into())));
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(without_credentials(&help.into()));
        self
    }

    /// Adds `did you mean …?` if one of these names is at most two edits away.
    #[must_use]
    pub fn did_you_mean(
        self,
        word: &str,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        match nearest(word, names.iter().map(AsRef::as_ref)) {
            Some(name) => self.help(format!("did you mean {}?", shown(name))),
            None => self,
        }
    }

    /// The same for keys, of which one that goes on is meant too: `token` for `token-sha256`.
    #[must_use]
    pub(super) fn did_you_mean_key(self, key: &str, known: &BTreeSet<String>) -> Self {
        let goes_on = |known: &&String| {
            let rest = known.strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        match (
            nearest(key, known.iter().map(String::as_str)),
            known.iter().find(goes_on),
        ) {
            (None, Some(longer)) => self.help(format!("did you mean {}?", shown(longer))),
            (Some(_) | None, _) => self.did_you_mean(key, known),
        }
    }

    /// What the list is sorted by: places of one file together, top down; no place comes first.
    fn order(&self) -> (Option<(&str, usize)>, Severity, &str) {
        let place = self.place.as_ref();
        let place = place.map(|place| (place.file.shown(), place.span.start));
        (place, self.severity, self.code)
    }

    /// What cannot be parsed has no type and is no word either: one problem is enough.
    fn explains(&self, other: &Self) -> bool {
        let unparsed = self.is_unparsed() && !other.is_unparsed();
        unparsed && self.order().0 == other.order().0
    }

    /// Causes first: of a file that is not TOML much is missing that stands there.
    fn rank(&self) -> (Option<&str>, bool) {
        let file = self.place.as_ref().map(|place| place.file.shown());
        (file, !self.is_unparsed())
    }

    fn is_unparsed(&self) -> bool {
        self.code == super::code::TOML
    }

    fn is_same(&self, other: &Self) -> bool {
        self.order() == other.order() && self.message == other.message
    }
}

/// Quotes a piece of a file for a message: `` `name` ``, control characters escaped.
#[must_use]
pub fn shown(text: &str) -> String {
    let escaped = text.chars().map(|character| {
        if character.is_control() {
            character.escape_default().to_string()
        } else {
            character.into()
        }
    });
    format!("`{}`", escaped.collect::<String>())
}

/// The name that is fewest edits away: at most two, and fewer than it has characters.
#[must_use]
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let length = word.chars().count();
    let distance = |name: &str| match name.eq_ignore_ascii_case(word) {
        true => 0,
        false => strsim::damerau_levenshtein(word, name),
    };
    let near = names.into_iter().map(|name| (distance(name), name));
    let near =
        near.filter(|(edits, name)| *edits <= 2 && *edits < length.min(name.chars().count()));
    near.min().map(|(_, name)| name)
}

/// All problems of one reading.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Whether one of them refuses the configuration.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity.refuses())
    }

    /// How many there are of a kind, each once as in [`Self::sorted`]: errors (not-yet among
    /// them), findings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let all = self.sorted();
        let errors = all.iter().filter(|problem| problem.severity.refuses());
        let errors = errors.count();
        (errors, all.len().saturating_sub(errors))
    }

    /// How many errors were pushed so far: that one is not new to the list makes nothing right.
    pub(super) fn errors_reported(&self) -> usize {
        let errors = self.list.iter();
        errors.filter(|problem| problem.severity.refuses()).count()
    }

    /// How many problems were pushed so far.
    pub(super) const fn reported(&self) -> usize {
        self.list.len()
    }

    /// Says where, for those that do not say it themselves.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        for problem in &mut self.list {
            problem.place.get_or_insert_with(|| place.clone());
        }
        self
    }

    /// Says what to do about those that do not say it themselves, by their codes.
    pub(super) fn help_the_helpless(&mut self, help: impl Fn(&str) -> &'static str) {
        let helpless = self.list.iter_mut();
        for problem in helpless.filter(|problem| problem.help.is_empty()) {
            problem.help.push(help(problem.code).to_owned());
        }
    }

    /// Adds all of another list.
    pub fn append(&mut self, mut more: Self) {
        self.list.append(&mut more.list);
    }

    /// Takes out all of one code.
    pub fn take(&mut self, code: &str) -> Self {
        let list = self.list.extract_if(.., |problem| problem.code == code);
        Self {
            list: list.collect(),
        }
    }

    /// Whether there is nothing at all to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by file and position, each once; of a file what is not TOML in it comes first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut list: Vec<&Problem> = self.list.iter().collect();
        list.sort_by(|left, right| left.order().cmp(&right.order()));
        list.dedup_by(|right, left| left.is_same(right) || left.explains(right));
        list.sort_by(|left, right| left.rank().cmp(&right.rank()));
        list
    }

    /// The error to mend first.
    #[must_use]
    pub fn first_error(&self) -> Option<&Problem> {
        let sorted = self.sorted().into_iter();
        { sorted }.find(|problem| problem.severity.refuses())
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            list: vec![problem],
        }
    }
}

impl Extend<Problem> for Problems {
    fn extend<All: IntoIterator<Item = Problem>>(&mut self, problems: All) {
        self.list.extend(problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_two_edits_away_at_most() {
        let names = ["pupil", "group", "keep", "drop", "sourcedId"];
        assert_eq!(nearest("pupli", names), Some("pupil"));
        assert_eq!(nearest("PUPIL", names), Some("pupil"));
        assert_eq!(nearest("sourceId", names), Some("sourcedId"));
        assert_eq!(nearest("teacher", names), None);
        assert_eq!(
            nearest("ke", names),
            None,
            "two edits of a word of two letters"
        );
    }

    #[test]
    fn what_is_shown_has_no_control_characters() {
        assert_eq!(shown("a\u{1b}[31mb"), "`a\\u{1b}[31mb`");
        assert_eq!(shown("Zoë"), "`Zoë`");
    }

    #[test]
    fn no_words_repeat_the_password_or_the_key_of_a_url() {
        let url = "https://piet:fake@a.example/b?key=fake";
        let file = SourceFile::new("t.toml", String::new());
        let place = Place { file, span: 0..0 };
        let problem = Problem::error("E001", url).label(url).help(url);
        let told = problem.also(&place, url).line();
        assert!(
            told.contains("a.example/b") && !told.contains("fake"),
            "{told}"
        );
    }

    #[test]
    fn problems_come_by_file_and_position_and_once() {
        let at = |name: &str, span: Range<usize>| Place {
            file: SourceFile::new(name, "one\ntwo\nthree\n".to_owned()),
            span,
        };
        let mut problems = Problems::new();
        problems.push(Problem::finding("F07", "late").at(&at("b.toml", 4..7)));
        problems.push(Problem::error("E041", "early").at(&at("b.toml", 0..3)));
        problems.push(Problem::error("E041", "early").at(&at("b.toml", 0..3)));
        assert_eq!(problems.counts(), (1, 1), "what is shown once counts once");
        assert_eq!((problems.errors_reported(), problems.reported()), (2, 3));
        problems.push(Problem::not_yet("nickname").at(&at("a.toml", 8..9)));
        problems.push(Problem::error("E001", "no file"));
        let seen: Vec<_> = problems
            .sorted()
            .iter()
            .map(|problem| problem.code)
            .collect();
        assert_eq!(seen, ["E001", super::super::code::NOT_YET, "E041", "F07"]);
        assert!(problems.has_errors());
        assert_eq!(problems.first_error().unwrap().code, "E001");
    }

    #[test]
    fn what_is_not_toml_comes_before_what_follows_from_it() {
        let file = SourceFile::new("a.toml", "one\ntwo\nthree\n".to_owned());
        let at = |from: usize| Place {
            file: Arc::clone(&file),
            span: from..from + 3,
        };
        let mut problems = Problems::new();
        problems.push(Problem::error(super::super::code::MISSING, "missing").at(&at(0)));
        problems.push(Problem::error(super::super::code::WORD_UNKNOWN, "a word").at(&at(4)));
        problems.push(Problem::error(super::super::code::TOML, "not TOML").at(&at(4)));
        let seen = problems.sorted();
        let seen: Vec<_> = seen.iter().map(|problem| &*problem.message).collect();
        assert_eq!(seen, ["not TOML", "missing"], "nor is it a word");
        assert_eq!(problems.first_error().unwrap().message, "not TOML");
    }
}
