//! `ring.toml`: the wrapped keys, written by `sluis keys` and read by everybody else.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use jiff::civil::Date;

use super::code;
use super::guarded::{self, Guard, Present};
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
/// What `state` says of a key that is prepared; any other has none.
const PREPARED: &str = "prepared";
const FROM_BACKUP: &str = "take the ring from a backup: only `sluis keys` can write this";

/// The ring with what stands beside each entry.
#[derive(Debug, Default)]
pub(super) struct RingFile {
    pub(super) ring: Ring,
    /// Something in the file cannot be read: a key that is not in the ring may stand there.
    pub(super) is_damaged: bool,
    beside: BTreeMap<(SchoolId, Holder, u32), Beside>,
}

/// What stands beside a key. It is for people, and decides nothing.
#[derive(Debug, Default)]
struct Beside {
    /// Where the entry stands; a new one stands nowhere yet.
    place: Option<Place>,
    why: Option<Made>,
}

/// When a key was made, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The day, in Amsterdam.
    pub on: Date,
    /// What was given as the reason; of one that was prepared, as both reasons.
    pub reason: String,
    /// The day on which it was put to use, if it was prepared before.
    pub used: Option<Date>,
}

impl RingFile {
    /// Reads the file; one that is not there is a ring without keys.
    pub(super) fn read(path: &Path, problems: &mut Problems) -> Self {
        let (mut read, mut wrong) = (Self::default(), Problems::new());
        if guarded::is_absent(path) {
            return read;
        }
        if let Err(found) = guarded::check(path, Guard::Ring) {
            read.is_damaged = true;
            problems.append(found);
            return read;
        }
        if let Some(file) = SourceFile::read(path, &path.display().to_string(), &mut wrong) {
            read.read_document(&Document::parse(&file, &mut wrong), &mut wrong);
        }
        read.is_damaged = wrong.has_errors();
        wrong.help_the_helpless(|code| match code {
            code::UNKNOWN_KEY | code::VALUE => {
                "if a later version of sluis wrote this, use that one"
            }
            _ => FROM_BACKUP,
        });
        problems.append(wrong);
        read
    }

    fn read_document(&mut self, document: &Document<'_>, problems: &mut Problems) {
        let root = document.root();
        version(&root, problems);
        for (list, holder) in LISTS {
            self.read_list(&root, list, *holder, problems);
        }
        root.finish(problems);
        self.check_prepared(problems);
    }

    /// A key that is prepared comes after the one in use.
    fn check_prepared(&self, problems: &mut Problems) {
        for entry in self.ring.entries().iter().filter(|it| it.is_prepared) {
            let Entry { school, holder, .. } = entry;
            let is_next = self.ring.prepared(school, holder) == Some(entry)
                && self.ring.in_use(school, holder).is_some();
            if is_next {
                continue;
            }
            let message = "a key is prepared that does not come after the one in use";
            let mut problem = Problem::error(code::CONFLICT, message);
            if let Some(place) = self.place(entry) {
                problem = problem.at(place);
            }
            problems.push(problem);
        }
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
            if let Some((place, (entry, why))) =
                table.and_then(|it| Some((it.place(), entry(&it, holder, problems)?)))
            {
                let place = Some(place);
                self.add(entry, Beside { place, why }, problems);
            }
        }
    }

    fn add(&mut self, entry: Entry, beside: Beside, problems: &mut Problems) {
        let key = key(&entry);
        if self.ring.insert(entry).is_ok() {
            self.beside.insert(key, beside);
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
        let mut problem = Problem::error(code::CONFLICT, message);
        if let Some(place) = &beside.place {
            problem = problem.at(place);
        }
        let first = self.beside.get(&key).and_then(|it| it.place.as_ref());
        problems.push(match first {
            Some(first) => problem.also(first, "the first one"),
            None => problem,
        });
    }

    /// Adds a key that has just been made, unless there is one of that version.
    pub(super) fn add_new(&mut self, entry: Entry, why: Option<Made>) {
        let key = key(&entry);
        if self.ring.insert(entry).is_ok() {
            self.beside.insert(key, Beside { place: None, why });
        }
    }

    /// Puts the key that is prepared to use.
    pub(super) fn put_to_use(&mut self, prepared: &Entry, why: &Made) {
        self.ring.put_to_use(&prepared.school, &prepared.holder);
        // A key whose making was not written down may be older than this day.
        let beside = self.beside.get_mut(&key(prepared));
        let Some(made) = beside.and_then(|beside| beside.why.as_mut()) else {
            return;
        };
        made.used = Some(why.on);
        if made.reason != why.reason {
            if !made.reason.is_empty() {
                made.reason.push_str("; ");
            }
            made.reason.push_str(&why.reason);
        }
    }

    /// Where an entry stands.
    pub(super) fn place(&self, entry: &Entry) -> Option<&Place> {
        self.beside.get(&key(entry))?.place.as_ref()
    }

    /// When and why the key of an entry was made, if that was written down.
    pub(super) fn made(&self, entry: &Entry) -> Option<&Made> {
        self.beside.get(&key(entry))?.why.as_ref()
    }

    /// Writes the whole ring.
    pub(super) fn write(&self, path: &Path) -> Result<(), Problems> {
        let mut text = HEAD.to_owned();
        for entry in self.ring.entries() {
            // Text in memory takes whatever is written to it.
            write_entry(&mut text, entry, self.made(entry)).unwrap_or_default();
        }
        guarded::write(path, &SecretText::new(text), Present::Replace)
    }
}

fn key(entry: &Entry) -> (SchoolId, Holder, u32) {
    (entry.school.clone(), entry.holder.clone(), entry.version)
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

fn entry(
    table: &Table<'_>,
    holder: ReadHolder,
    problems: &mut Problems,
) -> Option<(Entry, Option<Made>)> {
    let school = word(table, "school", SchoolId::parse, problems);
    let holder = holder(table, problems);
    let number = table
        .need("version", problems)
        .and_then(|value| value.integer(problems));
    let number = number.and_then(|At { value, place }| {
        let number = u32::try_from(value).ok().filter(|number| *number > 0);
        if number.is_none() {
            let wrong = Problem::error(code::VALUE, "a key's version counts from 1").at(&place);
            problems.push(wrong.help(FROM_BACKUP));
        }
        number
    });
    let wrapped = word(table, "wrapped", Wrapped::parse, problems);
    let fingerprint = word(table, "fingerprint", Fingerprint::parse, problems);
    // A register's key seals: of those one is enough, and `state` is as unknown as any other key.
    let is_prepared = match holder {
        Some(Holder::Register) => Some(false),
        Some(Holder::Vendor(_)) | None => is_prepared(table, problems),
    };
    let made = table.date("made", problems);
    let used = match holder {
        Some(Holder::Register) => None,
        Some(Holder::Vendor(_)) | None => table.date("used", problems),
    };
    let reason = table.text("reason", problems);
    table.finish(problems);
    let entry = Entry {
        school: school?,
        holder: holder?,
        version: number?,
        is_prepared: is_prepared?,
        wrapped: wrapped?,
        fingerprint: fingerprint?,
    };
    let made = made.map(|made| Made {
        on: made.value,
        reason: reason.map_or_else(String::new, |reason| reason.value.to_owned()),
        used: used.map(|used| used.value),
    });
    Some((entry, made))
}

fn is_prepared(table: &Table<'_>, problems: &mut Problems) -> Option<bool> {
    let Some(state) = table.text("state", problems) else {
        return Some(false);
    };
    if state.value == PREPARED {
        return Some(true);
    }
    let message = format!("`state` is \"{PREPARED}\", or is not there");
    problems.push(Problem::error(code::VALUE, message).at(&state.place));
    None
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
        let damaged = Problem::error(code::VALUE, message).at(&text.place);
        problems.push(damaged.help(FROM_BACKUP));
    }
    parsed
}

fn write_entry(text: &mut String, entry: &Entry, made: Option<&Made>) -> fmt::Result {
    let Entry {
        school,
        holder,
        version,
        is_prepared,
        wrapped,
        fingerprint,
    } = entry;
    match holder {
        Holder::Register => writeln!(text, "\n[[register]]\nschool      = \"{school}\"")?,
        Holder::Vendor(vendor) => writeln!(
            text,
            "\n[[key]]\nschool      = \"{school}\"\nvendor      = \"{vendor}\""
        )?,
    }
    write!(
        text,
        "version     = {version}\nwrapped     = \"{wrapped}\"\n\
         fingerprint = \"{fingerprint}\"\n"
    )?;
    if *is_prepared {
        writeln!(text, "state       = \"{PREPARED}\"")?;
    }
    if let Some(Made { on, reason, used }) = made {
        writeln!(text, "made        = {on}")?;
        if let Some(used) = used {
            writeln!(text, "used        = {used}")?;
        }
        text.write_str("reason      = \"")?;
        reason.chars().try_for_each(|it| write_char(text, it))?;
        text.write_str("\"\n")?;
    }
    Ok(())
}

/// A character of a basic string of TOML.
fn write_char(text: &mut String, char: char) -> fmt::Result {
    match char {
        '"' | '\\' => write!(text, "\\{char}"),
        _ if char.is_control() => write!(text, "\\u{:04x}", u32::from(char)),
        _ => text.write_char(char),
    }
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
        let vendor_key = VendorKey::from([8; 32]);
        let made = Made {
            on: Date::constant(2026, 11, 25),
            reason: "zomer \"26\", C:\\x\tafter\u{7f} a test é".to_owned(),
            used: Some(Date::constant(2026, 11, 30)),
        };
        let mut file = RingFile::default();
        for (entry, made) in [
            (
                Entry::of_vendor(&master, school(), vendor.clone(), 1, &vendor_key),
                None,
            ),
            (
                Entry::of_vendor(&master, school(), vendor.clone(), 2, &vendor_key),
                Some(made.clone()),
            ),
            (
                Entry {
                    is_prepared: true,
                    ..Entry::of_vendor(&master, school(), vendor, 3, &vendor_key)
                },
                Some(made),
            ),
            (Entry::of_register(&master, school(), 1, &register), None),
            (Entry::of_register(&master, school(), 2, &register), None),
        ] {
            file.add_new(entry, made);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring.toml");
        file.write(&path).unwrap();
        let mut problems = Problems::new();
        let read = RingFile::read(&path, &mut problems);
        assert!(!problems.has_errors(), "{problems:?}");
        assert_eq!((&read.ring, read.ring.entries().len()), (&file.ring, 5));
        for entry in file.ring.entries() {
            assert!(read.place(entry).is_some());
            assert_eq!(read.made(entry), file.made(entry));
        }
    }
}
