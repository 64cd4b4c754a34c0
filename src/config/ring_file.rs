//! `ring.toml`: the wrapped keys, written by `sluis keys` and read by everybody else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::code;
use super::guarded::{self, Present};
use super::problem::{Place, Problem, Problems, shown};
use super::raw::{At, Document, Table};
use super::school::version;
use super::source::SourceFile;
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Entry, Fingerprint, Ring, Wrapped};
use crate::secret::SecretText;

const HEAD: &str = "\
# The keys of this gateway, one for each vendor, wrapped under the master key: worth nothing without
# it, and safe to back up with the configuration. `sluis keys` writes this file; `sluis keys verify`
# reads it. A deleted entry makes its vendor's pseudonyms underivable for ever.
version = 1
";

/// The ring with the place of each entry.
#[derive(Debug, Default)]
pub(super) struct RingFile {
    pub(super) ring: Ring,
    places: BTreeMap<(SchoolId, VendorId, u32), Place>,
}

impl RingFile {
    /// Reads the file; one that is not there is a ring without keys.
    pub(super) fn read(path: &Path, problems: &mut Problems) -> Self {
        let mut read = Self::default();
        if guarded::is_absent(path) {
            return read;
        }
        let Some(file) = SourceFile::read(path, &path.display().to_string(), problems) else {
            return read;
        };
        let document = Document::parse(&file, problems);
        let root = document.root();
        version(&root, problems);
        for value in root.array("key", problems).unwrap_or_default() {
            let table = value.table(problems);
            if let Some((table, entry)) =
                table.and_then(|it| Some((it.place(), entry(&it, problems)?)))
            {
                read.add(entry, table, problems);
            }
        }
        root.finish(problems);
        read
    }

    fn add(&mut self, entry: Entry, place: Place, problems: &mut Problems) {
        let key = (entry.school.clone(), entry.vendor.clone(), entry.version);
        if self.ring.insert(entry).is_ok() {
            self.places.insert(key, place);
            return;
        }
        let (school, vendor, version) = &key;
        let message = format!("{school}/{vendor} has two keys of version {version}");
        let problem = Problem::error(code::CONFLICT, message).at(&place);
        problems.push(match self.places.get(&key) {
            Some(first) => problem.also(first, "the first one"),
            None => problem,
        });
    }

    /// Where an entry stands.
    pub(super) fn place(&self, entry: &Entry) -> Option<&Place> {
        self.places
            .get(&(entry.school.clone(), entry.vendor.clone(), entry.version))
    }
}

fn entry(table: &Table<'_>, problems: &mut Problems) -> Option<Entry> {
    let school = word(table, "school", SchoolId::parse, problems);
    let vendor = word(table, "vendor", VendorId::parse, problems);
    let number = table
        .need("version", problems)
        .and_then(|value| value.integer(problems));
    let number = number.and_then(|At { value, place }| {
        let number = u32::try_from(value).ok().filter(|number| *number > 0);
        if number.is_none() {
            problems.push(Problem::error(code::VALUE, "a key's version counts from 1").at(&place));
        }
        number
    });
    let wrapped = word(table, "wrapped", Wrapped::parse, problems);
    let fingerprint = word(table, "fingerprint", Fingerprint::parse, problems);
    table.finish(problems);
    Some(Entry {
        school: school?,
        vendor: vendor?,
        version: number?,
        wrapped: wrapped?,
        fingerprint: fingerprint?,
    })
}

fn word<T>(
    table: &Table<'_>,
    key: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    problems: &mut Problems,
) -> Option<T> {
    let text = table.need(key, problems)?.text(problems)?;
    let parsed = parse(text.value);
    if parsed.is_none() {
        let message = format!("{} is damaged", shown(key));
        problems.push(
            Problem::error(code::VALUE, message)
                .at(&text.place)
                .help("take the ring from a backup: only `sluis keys` can write this"),
        );
    }
    parsed
}

/// Writes the whole ring.
pub(super) fn write(path: &Path, ring: &Ring) -> Result<(), Problems> {
    let mut text = HEAD.to_owned();
    for entry in ring.entries() {
        let Entry {
            school,
            vendor,
            version,
            wrapped,
            fingerprint,
        } = entry;
        let written = write!(
            text,
            "\n[[key]]\nschool      = \"{school}\"\nvendor      = \"{vendor}\"\n\
             version     = {version}\nwrapped     = \"{wrapped}\"\n\
             fingerprint = \"{fingerprint}\"\n"
        );
        // Text in memory takes whatever is written to it.
        written.unwrap_or_default();
    }
    guarded::write(path, &SecretText::new(text), Present::Replace)
}
