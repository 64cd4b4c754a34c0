//! The names that a file may use: its id kinds and shapes, and those of its presets.

use std::collections::BTreeMap;

use super::words;
use crate::config::{Place, Problem, Problems, code, nearest, shown};
use crate::limits;
use crate::policy::{IdKind, Index, Shape};

/// Who gave a name or wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Preset,
    Vendor,
}

/// A name with where it was given first.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) text: String,
    pub(super) place: Place,
    pub(super) origin: Origin,
    pub(super) used: bool,
}

/// Names of one sort, numbered in the order they came.
#[derive(Debug, Default)]
pub(super) struct Names {
    list: Vec<Named>,
    places: BTreeMap<String, usize>,
    /// Whether something that is not built yet or not known would bring more of them.
    pub(super) open: bool,
    /// What is being read, by its number: that it names itself is no use of it.
    pub(super) reading: Option<usize>,
}

impl Names {
    /// Adds a name, unless it is known; gives its number.
    pub(super) fn add(&mut self, text: &str, place: &Place, origin: Origin) -> usize {
        let next = self.list.len();
        let number = *self.places.entry(text.to_owned()).or_insert(next);
        if number == next {
            self.list.push(Named {
                text: text.to_owned(),
                place: place.clone(),
                origin,
                used: false,
            });
        }
        number
    }

    /// The number of a name, which counts as used from now on.
    pub(super) fn take(&mut self, text: &str) -> Option<usize> {
        let number = *self.places.get(text)?;
        if let Some(name) = self.list.get_mut(number) {
            name.used |= self.reading != Some(number);
        }
        Some(number)
    }

    /// The name of that number counts as used from now on.
    pub(super) fn mark(&mut self, number: usize) {
        if let Some(name) = self.list.get_mut(number) {
            name.used = true;
        }
    }

    pub(super) fn known(&self, text: &str) -> Option<&Named> {
        self.list.get(*self.places.get(text)?)
    }

    pub(super) fn all(&self) -> &[Named] {
        &self.list
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.list.iter().map(|name| name.text.as_str())
    }

    /// Reports a file with more names than can be numbered; no other problem with those is.
    pub(super) fn check_count(&mut self, what: &str, problems: &mut Problems) {
        if let Some(name) = self.list.get(limits::POLICY_PARTS_MAX) {
            let most = limits::POLICY_PARTS_MAX;
            let message = format!("a policy may have at most {most} {what}");
            problems.push(Problem::error(code::TOO_MANY, message).at(&name.place));
            self.open = true;
        }
    }
}

/// Id kinds and shapes together: the two sorts of names that a word can be.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    pub(super) kinds: Names,
    pub(super) shapes: Names,
}

impl Vocabulary {
    pub(super) fn kind(&mut self, text: &str) -> Option<Index<IdKind>> {
        self.kinds.take(text).and_then(Index::new)
    }

    pub(super) fn shape(&mut self, text: &str) -> Option<Index<Shape>> {
        self.shapes.take(text).and_then(Index::new)
    }

    /// Why a word is none: with what is known here, and what was perhaps meant. `None` if the
    /// name may come from something that is reported already.
    pub(super) fn unknown(&self, word: &str, place: &Place, words: &[&str]) -> Option<Problem> {
        if is_shape_name(word) {
            return self.unknown_shape(word, place);
        }
        if self.kinds.open {
            return None;
        }
        let kinds = some_of(&self.kinds);
        let shapes = some_of(&self.shapes);
        let built = words.iter().filter(|word| !words::NOT_YET.contains(word));
        let mut known = built.copied().collect::<Vec<_>>().join(" ");
        if words.contains(&"keep") {
            known = known.replacen("keep", "keep keep:T", 1);
        }
        for names in [kinds, shapes] {
            if !names.is_empty() {
                known.push_str(" · ");
                known.push_str(&names);
            }
        }
        let problem = Problem::error(code::WORD_UNKNOWN, format!("no such word: {}", shown(word)))
            .at(place)
            .label(format!("known here: {known}"));
        Some(self.suggest(problem, word, words))
    }

    fn suggest(&self, problem: Problem, word: &str, words: &[&str]) -> Problem {
        let kinds = self.kinds.texts();
        let meant = nearest(word, kinds.clone().chain(words.iter().copied()));
        if let Some(meant) = meant {
            let sort = if self.kinds.known(meant).is_some() {
                "id kind"
            } else {
                "word"
            };
            return problem.help(format!("did you mean the {sort} {}?", shown(meant)));
        }
        if let Some(shape) = nearest(word, self.shapes.texts()) {
            return problem.help(format!("did you mean the shape {}?", shown(shape)));
        }
        if ["enforce", "observe"].contains(&word) {
            return problem.help("`mode = …` stands in [vendor], before the next table begins");
        }
        let general = ["pseudonym", "pseudonymise", "hash", "token", "uuid", "id"];
        match kinds.clone().next() {
            Some(kind) if nearest(word, general).is_some() || general.contains(&word) => {
                let kind = shown(kind);
                problem.help(format!(
                    "there is no general pseudonym: say whose it is, for example {kind}"
                ))
            }
            _ => problem,
        }
    }

    pub(super) fn unknown_shape(&self, name: &str, place: &Place) -> Option<Problem> {
        if self.shapes.open {
            return None;
        }
        let shapes = some_of(&self.shapes);
        let problem = Problem::error(
            code::WORD_UNKNOWN,
            format!("no such shape: {}", shown(name)),
        );
        let problem = problem.at(place).label(match shapes.as_str() {
            "" => "this file has no shapes".to_owned(),
            shapes => format!("shapes known here: {shapes}"),
        });
        Some(problem.did_you_mean(name, self.shapes.texts()))
    }
}

/// The first dozen of names, for a message.
fn some_of(names: &Names) -> String {
    const SHOWN: usize = 12;
    let mut some: Vec<&str> = names.texts().take(SHOWN.saturating_add(1)).collect();
    if let Some(one_more) = some.get_mut(SHOWN) {
        *one_more = "…";
    }
    some.join(" ")
}

/// Whether a word is written like a shape: it begins with a capital.
pub(super) fn is_shape_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
}

/// The object that a shape shows: `User` for `User-student`.
pub(super) fn base_of(shape: &str) -> &str {
    shape.split_once('-').map_or(shape, |(base, _)| base)
}
