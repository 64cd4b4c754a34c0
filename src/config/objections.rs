//! The lists of `[except]`: who objected, as it stands in files that change while the gateway runs.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::code;
use super::language::ObjectionsDraft;
use super::problem::{Place, Problem, Problems, shown};
use crate::limits;
use crate::minimise::Objections;
use crate::policy::{IdKind, Index};
use crate::pseudonym::{Canonical, IdentifierFault, KindSpec};
use crate::secret::SecretText;

/// The lists of one vendor, and what they said when they were last read.
#[derive(Debug)]
pub struct Lists {
    lists: Box<[List]>,
    now: ArcSwap<Now>,
    /// How the files looked the last time, if that was not how they looked when they were read.
    changing: Mutex<Option<Box<[Seen]>>>,
}

/// One list.
#[derive(Debug)]
struct List {
    kind: Index<IdKind>,
    canonical: Canonical,
    path: PathBuf,
    /// As it is written in the vendor's file.
    name: String,
    place: Place,
    age_max_s: Option<u64>,
}

/// What the lists say.
#[derive(Debug)]
struct Now {
    seen: Box<[Seen]>,
    /// Everyone on them; `None` if one of them could not be read.
    objections: Option<Arc<Objections>>,
}

/// How a file looks from outside.
type Seen = Result<Stamp, ListFault>;

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified_s: i64,
    modified_ns: i64,
    bytes: u64,
    inode: u64,
}

/// Why a list cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// It is not there.
    Missing,
    /// A line of it is no identifier: who is meant there is not known.
    NotClear,
    /// It is not UTF-8.
    NotText,
    /// It is longer than [`limits::OBJECTIONS_BYTES_MAX`].
    TooLong,
    /// It was last changed longer ago than `max-age`.
    TooOld,
    /// It cannot be read.
    Unreadable,
}

impl ListFault {
    /// In words that fit behind the name of the file.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::NotClear => "has a line that is no identifier",
            Self::NotText => "is not text",
            Self::TooLong => "is too long",
            Self::TooOld => "is older than its max-age",
            Self::Unreadable => "cannot be read",
        }
    }
}

impl Lists {
    /// None: nobody can object.
    #[must_use]
    pub fn none() -> Self {
        Self::read(&[], &[], Path::new(""), &mut Problems::new())
    }

    /// Reads the lists of a vendor, which lie below the folder of its school. What is wrong with
    /// them is a finding: the vendor is not served then, and all others are.
    pub(super) fn read(
        drafts: &[ObjectionsDraft],
        specs: &[KindSpec],
        folder: &Path,
        problems: &mut Problems,
    ) -> Self {
        let list = |draft: &ObjectionsDraft| {
            let spec = specs.get(draft.kind.place())?;
            Some(List {
                kind: draft.kind,
                canonical: spec.canonical.clone(),
                path: folder.join(&draft.list.value),
                name: draft.list.value.clone(),
                place: draft.list.place.clone(),
                age_max_s: draft.age_max_s,
            })
        };
        let lists: Box<[List]> = drafts.iter().filter_map(list).collect();
        let now = Now::read(&lists, problems);
        Self {
            lists,
            now: ArcSwap::from_pointee(now),
            changing: Mutex::new(None),
        }
    }

    /// Who objected, at a time; `None` if that is not known: then nobody can be sent.
    #[must_use]
    pub fn current(&self, unix_s: u64) -> Option<Arc<Objections>> {
        let now = self.now.load();
        let old = self.lists.iter().zip(&now.seen);
        let old = { old }.any(|(list, seen)| list.fault(*seen, unix_s).is_some());
        now.objections.clone().filter(|_| !old)
    }

    /// Looks whether a file has changed, and reads it again if it has and looks the same as the
    /// last time: what is half written is left to the next.
    pub fn look(&self) {
        let seen: Box<[Seen]> = self.lists.iter().map(|list| stamp(&list.path)).collect();
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.now.load().seen == seen {
            *changing = None;
        } else if changing.as_ref() == Some(&seen) {
            let now = Now::read(&self.lists, &mut Problems::new());
            self.now.store(Arc::new(now));
            *changing = None;
        } else {
            *changing = Some(seen);
        }
    }

    /// Every list by its name in the vendor's file, and why it cannot be used at a time, if it
    /// cannot.
    #[must_use]
    pub fn standing(&self, unix_s: u64) -> Vec<(&str, Option<ListFault>)> {
        let now = self.now.load();
        let lists = self.lists.iter().zip(&now.seen);
        let standing = lists.map(|(list, seen)| (&*list.name, list.fault(*seen, unix_s)));
        standing.collect()
    }

    /// How many are on each list, by its name in the vendor's file; nobody knows as long as one of
    /// them cannot be read.
    #[must_use]
    pub fn counts(&self) -> Vec<(&str, Option<usize>)> {
        let now = self.now.load();
        let count = |list: &List| {
            let objections = now.objections.as_ref();
            objections.map(|it| it.count(list.kind))
        };
        let counts = self
            .lists
            .iter()
            .map(|list| (list.name.as_str(), count(list)));
        counts.collect()
    }

    /// What they said when they were last read, however old that is; for a trial.
    #[must_use]
    pub fn as_read(&self) -> Option<Arc<Objections>> {
        self.now.load().objections.clone()
    }

    /// Reports the lists that are too old at a time.
    pub(super) fn find_old(&self, unix_s: u64, problems: &mut Problems) {
        let now = self.now.load();
        for (list, seen) in self.lists.iter().zip(&now.seen) {
            if let Some(fault @ ListFault::TooOld) = list.fault(*seen, unix_s) {
                problems.push(list.problem(fault));
            }
        }
    }
}

impl Now {
    fn read(lists: &[List], problems: &mut Problems) -> Self {
        let mut objections = Objections::default();
        let mut seen: Vec<Seen> = Vec::new();
        for list in lists {
            // Looked at first: what changes while it is read looks different afterwards.
            let stamp = stamp(&list.path);
            let read = stamp.and_then(|_| text(&list.path));
            let read = read.and_then(|text| list.add(&text, &mut objections, problems));
            if let Err(fault) = read {
                problems.push(list.problem(fault));
            }
            seen.push(read.and(stamp));
        }
        let whole = seen.iter().all(Result::is_ok);
        Self {
            seen: seen.into(),
            objections: whole.then(|| Arc::new(objections)),
        }
    }
}

impl List {
    fn fault(&self, seen: Seen, unix_s: u64) -> Option<ListFault> {
        let modified_s = match seen {
            Ok(stamp) => u64::try_from(stamp.modified_s).unwrap_or(0),
            Err(fault) => return Some(fault),
        };
        let old = |most: u64| unix_s.saturating_sub(modified_s) > most;
        self.age_max_s.is_some_and(old).then_some(ListFault::TooOld)
    }

    fn problem(&self, fault: ListFault) -> Problem {
        let message = format!("{} {}", shown(&self.name), fault.words());
        Problem::finding(code::OBJECTIONS, message)
            .at(&self.place)
            .label("who objected is not known: every request of this vendor is answered 503")
    }

    /// Adds what stands on it: one identifier a line, and comments from `#` on.
    fn add(
        &self,
        text: &SecretText,
        objections: &mut Objections,
        problems: &mut Problems,
    ) -> Result<(), ListFault> {
        let mut clear = Ok(());
        // Exposed to be hashed.
        for (place, line) in text.expose().lines().enumerate() {
            let id = without_comment(line);
            if id.is_empty() {
                continue;
            }
            let why = match objections.add(self.kind, &self.canonical, id) {
                Ok(()) => continue,
                Err(IdentifierFault::Empty) => "it is empty",
                Err(IdentifierFault::Invisible) => "it has invisible characters in it",
                Err(IdentifierFault::TooLong) => "it is too long",
            };
            let (name, number) = (shown(&self.name), place.saturating_add(1));
            let message = format!("{name}: line {number} is no identifier: {why}");
            let problem = Problem::finding(code::OBJECTIONS_LINE, message).at(&self.place);
            problems.push(problem.label("who is meant there is not known"));
            clear = Err(ListFault::NotClear);
        }
        clear
    }
}

/// What of a line stands before a comment: a `#` at its beginning or behind white space.
fn without_comment(line: &str) -> &str {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let mut before = None;
    let comment = line.char_indices().find(|(_, it)| {
        let begins = *it == '#' && before.is_none_or(char::is_whitespace);
        before = Some(*it);
        begins
    });
    let end = comment.map_or(line.len(), |(place, _)| place);
    line.get(..end).unwrap_or_default().trim()
}

fn stamp(path: &Path) -> Seen {
    let seen = fs::metadata(path).map_err(|error| fault(&error))?;
    if !seen.is_file() {
        return Err(ListFault::Unreadable);
    }
    Ok(Stamp {
        modified_s: seen.mtime(),
        modified_ns: seen.mtime_nsec(),
        bytes: seen.size(),
        inode: seen.ino(),
    })
}

fn text(path: &Path) -> Result<SecretText, ListFault> {
    let most = limits::OBJECTIONS_BYTES_MAX;
    let file = File::open(path).map_err(|error| fault(&error))?;
    let mut bytes = Vec::new();
    let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes);
    let length = read.map_err(|error| fault(&error))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > most {
        return Err(ListFault::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_bytes| ListFault::NotText)?;
    Ok(SecretText::new(text))
}

fn fault(error: &std::io::Error) -> ListFault {
    if error.kind() == std::io::ErrorKind::NotFound {
        ListFault::Missing
    } else {
        ListFault::Unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    use super::super::source::SourceFile;
    use crate::pseudonym::{Back, Notation, Unknown};

    const NOW: u64 = 1_800_000_000;

    fn lists(folder: &Path, age_max_s: Option<u64>) -> (Lists, Vec<String>) {
        let spec = KindSpec {
            name: "pupil".to_owned(),
            canonical: Canonical::default(),
            notation: Notation::Hex,
            back: Back::Never,
            unknown: Unknown::Reject,
            accept_keys: 1,
        };
        let draft = ObjectionsDraft {
            kind: Index::new(0).unwrap(),
            list: super::super::At {
                value: "list.txt".to_owned(),
                place: Place {
                    file: SourceFile::new("v.toml", String::new()),
                    span: 0..0,
                },
            },
            age_max_s,
        };
        let mut problems = Problems::new();
        let lists = Lists::read(&[draft], &[spec], folder, &mut problems);
        let sorted = problems.sorted();
        let messages = sorted.iter().map(|it| it.message.clone());
        (lists, messages.collect())
    }

    fn write(folder: &Path, text: impl AsRef<[u8]>) {
        fs::write(folder.join("list.txt"), text).unwrap();
    }

    fn count(lists: &Lists) -> Option<usize> {
        let objections = lists.current(NOW)?;
        Some(objections.count(Index::new(0)?))
    }

    #[test]
    fn a_list_has_one_identifier_a_line_and_comments() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            "\u{feff}# who\nS-1\r\n\n  S-2 \t# since May\n S-1\nS#3\n",
        );
        let (lists, problems) = lists(folder.path(), None);
        assert_eq!(count(&lists), Some(3));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(lists.counts(), [("list.txt", Some(3))]);
        assert!(!format!("{lists:?}").contains("S-1"), "{lists:?}");
    }

    #[test]
    fn a_line_that_is_no_identifier_says_nobody_may_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a".repeat(2_000);
        write(folder.path(), format!("S-1\n{long}\nS\u{200b}4"));
        let (unclear, mut problems) = lists(folder.path(), None);
        problems.sort_unstable();
        assert_eq!(
            problems,
            [
                "`list.txt` has a line that is no identifier",
                "`list.txt`: line 2 is no identifier: it is too long",
                "`list.txt`: line 3 is no identifier: it has invisible characters in it",
            ]
        );
        assert_eq!(count(&unclear), None);
        write(folder.path(), "S-1\n");
        unclear.look();
        unclear.look();
        assert_eq!(count(&unclear), Some(1));
        // Nobody reads findings while the gateway runs.
        write(folder.path(), "S-1\nS\u{200b}4\n");
        unclear.look();
        unclear.look();
        assert_eq!(count(&unclear), None);
        let standing = unclear.standing(NOW);
        assert_eq!(standing, [("list.txt", Some(ListFault::NotClear))]);
    }

    #[test]
    fn a_list_that_cannot_be_read_says_nobody_may_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, problems) = lists(folder.path(), None);
        assert_eq!(problems, ["`list.txt` is missing"]);
        assert_eq!(
            missing.standing(NOW),
            [("list.txt", Some(ListFault::Missing))]
        );
        assert_eq!(count(&missing), None);
        write(folder.path(), b"\xff");
        assert_eq!(lists(folder.path(), None).1, ["`list.txt` is not text"]);
        fs::remove_file(folder.path().join("list.txt")).unwrap();
        fs::create_dir(folder.path().join("list.txt")).unwrap();
        assert_eq!(lists(folder.path(), None).1, ["`list.txt` cannot be read"]);
    }

    #[test]
    fn a_file_that_has_changed_is_read_once_it_has_come_to_rest() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), None);
        for (text, now, then) in [("S-1\nS-2\n", 1, 2), ("", 2, 0)] {
            write(folder.path(), text);
            lists.look();
            assert_eq!(count(&lists), Some(now), "still as it was");
            lists.look();
            assert_eq!(count(&lists), Some(then));
        }
        fs::remove_file(folder.path().join("list.txt")).unwrap();
        lists.look();
        lists.look();
        assert_eq!(count(&lists), None);
        write(folder.path(), "S-9\n");
        lists.look();
        lists.look();
        assert_eq!(count(&lists), Some(1));
    }

    #[test]
    fn a_list_is_good_for_as_long_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "S-1\n");
        let (lists, _) = lists(folder.path(), Some(60));
        let at = |unix_s: u64| {
            let file = File::options()
                .write(true)
                .open(folder.path().join("list.txt"))
                .unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s);
            file.set_modified(time).unwrap();
            lists.look();
            lists.look();
        };
        at(NOW - 60);
        assert_eq!(count(&lists), Some(1));
        at(NOW - 61);
        assert_eq!(count(&lists), None);
        assert_eq!(lists.standing(NOW), [("list.txt", Some(ListFault::TooOld))]);
        let mut problems = Problems::new();
        lists.find_old(NOW, &mut problems);
        assert_eq!(
            problems.sorted()[0].message,
            "`list.txt` is older than its max-age"
        );
        at(NOW + 60);
        assert_eq!(count(&lists), Some(1), "the clocks of two machines differ");
    }
}
