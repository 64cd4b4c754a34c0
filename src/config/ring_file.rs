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
use crate::pseudonym::{Entry, Fingerprint, Holder, Ring, Wrapped};
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
    places: BTreeMap<(SchoolId, Holder, u32), Place>,
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
        for (list, holder) in LISTS {
            read.read_list(&root, list, *holder, problems);
        }
        root.finish(problems);
        read
    }

    fn read_list(
        &mut self,
        root: &Table<'_>,
        list: &str,
        holder: ReadHolder,
        problems: &mut Problems,
    ) {
        for value in root.array(list, problems).unwrap_or_default() {
            let table = value.table(problems);
            if let Some((table, entry)) =
                table.and_then(|it| Some((it.place(), entry(&it, holder, problems)?)))
            {
                self.add(entry, table, problems);
            }
        }
    }

    fn add(&mut self, entry: Entry, place: Place, problems: &mut Problems) {
        let key = (entry.school.clone(), entry.holder.clone(), entry.version);
        if self.ring.insert(entry).is_ok() {
            self.places.insert(key, place);
            return;
        }
        let (school, holder, version) = &key;
        let message = match holder {
            Holder::Register => {
                format!("the register of {school} has two keys of version {version}")
            }
            Holder::Vendor(vendor) => {
                format!("{school}/{vendor} has two keys of version {version}")
            }
        };
        let problem = Problem::error(code::CONFLICT, message).at(&place);
        problems.push(match self.places.get(&key) {
            Some(first) => problem.also(first, "the first one"),
            None => problem,
        });
    }

    /// Where an entry stands.
    pub(super) fn place(&self, entry: &Entry) -> Option<&Place> {
        self.places
            .get(&(entry.school.clone(), entry.holder.clone(), entry.version))
    }
}

/// Reads what a key is for.
type ReadHolder = fn(&Table<'_>, &mut Problems) -> Option<Holder>;

/// The lists of the file, and what the keys in each are for.
const LISTS: &[(&str, ReadHolder)] = &[
    ("key", |table, problems| {
        word(table, "vendor", VendorId::parse, problems).map(Holder::Vendor)
    }),
    ("register", |_, _| Some(Holder::Register)),
];

fn entry(table: &Table<'_>, holder: ReadHolder, problems: &mut Problems) -> Option<Entry> {
    let school = word(table, "school", SchoolId::parse, problems);
    let holder = holder(table, problems);
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
        holder: holder?,
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
            holder,
            version,
            wrapped,
            fingerprint,
        } = entry;
        let (list, vendor) = match holder {
            Holder::Register => ("register", String::new()),
            Holder::Vendor(vendor) => ("key", format!("vendor      = \"{vendor}\"\n")),
        };
        let written = write!(
            text,
            "\n[[{list}]]\nschool      = \"{school}\"\n{vendor}\
             version     = {version}\nwrapped     = \"{wrapped}\"\n\
             fingerprint = \"{fingerprint}\"\n"
        );
        // Text in memory takes whatever is written to it.
        written.unwrap_or_default();
    }
    guarded::write(path, &SecretText::new(text), Present::Replace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::{MasterKey, RegisterKey, VendorKey};

    #[test]
    fn what_is_written_reads_back() {
        let master = MasterKey::random().unwrap();
        let school = || SchoolId::parse("regenboog").unwrap();
        let vendor = VendorId::parse("rekenwijs").unwrap();
        let register = RegisterKey::from([7; 32]);
        let mut ring = Ring::default();
        for entry in [
            Entry::of_vendor(&master, school(), vendor, 1, &VendorKey::from([8; 32])),
            Entry::of_register(&master, school(), 1, &register),
            Entry::of_register(&master, school(), 2, &register),
        ] {
            ring.insert(entry).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring.toml");
        write(&path, &ring).unwrap();
        let mut problems = Problems::new();
        let read = RingFile::read(&path, &mut problems);
        assert!(!problems.has_errors());
        assert_eq!(read.ring, ring);
        for entry in ring.entries() {
            assert!(read.place(entry).is_some());
        }
    }
}
