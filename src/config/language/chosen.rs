//! Which presets a file names.

use std::collections::BTreeMap;

use super::preset::{PresetFile, Presets, named_by};
use crate::config::{At, Problem, Problems, Table, code, shown};

/// The presets that the flows of a file name.
pub(super) struct NamedPresets<'p> {
    pub(super) found: Vec<(String, &'p PresetFile)>,
    /// Whether there is one that we do not know, so that its names are not known either.
    pub(super) unknown: bool,
    /// The version of each standard that the file speaks, and where it says so.
    spoken: BTreeMap<String, At<String>>,
    /// That the file speaks two: one problem, however often it does.
    two: Option<Problem>,
}

impl<'p> NamedPresets<'p> {
    /// Adds the preset of that name, once.
    fn add(&mut self, name: &At<&str>, presets: &'p Presets, problems: &mut Problems) {
        if self.found.iter().any(|(known, _)| known == name.value) {
            return;
        }
        if let Some(file) = presets.file(name.value) {
            match self.speaks_another(name) {
                // What it would bring is not looked at: it stands in the other's way everywhere.
                true => self.unknown = true,
                false => self.found.push((name.value.to_owned(), file)),
            }
            return;
        }
        self.unknown = true;
        let known: Vec<&str> = presets.names().collect();
        let message = format!("no such preset: {}", shown(name.value));
        problems.push(
            Problem::error(code::WORD_UNKNOWN, message)
                .at(&name.place)
                .label(format!("presets of this release: {}", known.join(" ")))
                .did_you_mean(name.value, known),
        );
    }

    /// Whether a preset is of another version than those before it of one standard.
    fn speaks_another(&mut self, name: &At<&str>) -> bool {
        let Some((standard, version)) = standard_of(name.value) else {
            return false;
        };
        let first = self.spoken.entry(standard.to_owned());
        let first = first.or_insert_with(|| At {
            value: version.to_owned(),
            place: name.place.clone(),
        });
        let differs = first.value != version;
        if differs && self.two.is_none() {
            let theirs = format!("and this is {standard} {}", first.value);
            let message = "one file speaks one version of a standard";
            let problem = Problem::error(code::CONFLICT, message).at(&name.place);
            let problem = problem.label(format!("this is {standard} {version}"));
            let problem = problem.also(&first.place, theirs);
            self.two = Some(problem.help("write a second vendor's file for the other"));
        }
        differs
    }

    /// Adds what the presets found so far `use`, and what that uses in turn.
    fn add_used(&mut self, presets: &'p Presets) {
        let mut next = 0;
        while let Some((_, file)) = self.found.get(next) {
            let used = file.uses.iter();
            let parts = used.filter_map(|name| Some((name.clone(), presets.part(name)?)));
            let known = |name: &str| self.found.iter().any(|(it, _)| it == name);
            let parts: Vec<_> = parts.filter(|(name, _)| !known(name)).collect();
            self.found.extend(parts);
            next = next.saturating_add(1);
        }
    }
}

/// The standard of a preset and its version, by its name: `oneroster` and `1.2`.
fn standard_of(name: &str) -> Option<(&str, &str)> {
    name.split_once('/')?.0.rsplit_once('-')
}

/// Finds the presets that a file names; what is wrong with the names is reported.
pub(super) fn named_presets<'p>(
    root: &Table<'_>,
    presets: &'p Presets,
    problems: &mut Problems,
) -> NamedPresets<'p> {
    let mut named = NamedPresets {
        found: Vec::new(),
        unknown: false,
        spoken: BTreeMap::new(),
        two: None,
    };
    // What is wrong with these tables is reported where they are read as flows.
    let mut later = Problems::new();
    for (_, flow) in root.named_tables("flow", &mut later) {
        let names = named_by(&flow, problems);
        named.unknown |= names.is_empty() && flow.has("preset");
        for name in names {
            named.add(&name, presets, problems);
        }
    }
    named.add_used(presets);
    problems.extend(named.two.take());
    named
}
