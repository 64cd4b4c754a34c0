//! Which presets a file names.

use super::preset::{PresetFile, Presets, named_by};
use crate::config::{At, Problem, Problems, Table, code, shown};

/// The presets that the flows of a file name.
pub(super) struct NamedPresets<'p> {
    pub(super) found: Vec<(String, &'p PresetFile)>,
    /// Whether there is one that we do not know, so that its names are not known either.
    pub(super) unknown: bool,
}

impl<'p> NamedPresets<'p> {
    /// Adds the preset of that name, once.
    fn add(&mut self, name: &At<&str>, presets: &'p Presets, problems: &mut Problems) {
        if self.found.iter().any(|(known, _)| known == name.value) {
            return;
        }
        if let Some(file) = presets.file(name.value) {
            self.found.push((name.value.to_owned(), file));
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

/// Finds the presets that a file names; what is wrong with the names is reported.
pub(super) fn named_presets<'p>(
    root: &Table<'_>,
    presets: &'p Presets,
    problems: &mut Problems,
) -> NamedPresets<'p> {
    let mut named = NamedPresets {
        found: Vec::new(),
        unknown: false,
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
    named
}
