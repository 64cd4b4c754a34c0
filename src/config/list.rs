//! One list of objections: its file, how that looks, and what is wrong with it.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::code;
use super::problem::{Place, Problem, Problems, shown};
use crate::limits;
use crate::minimise::Objections;
use crate::policy::{IdKind, Index};
use crate::pseudonym::{Canonical, IdentifierFault};
use crate::secret::SecretText;

const WRITE_WHOLE: &str = "write a list under another name, whole, and rename it into its place";

/// One list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) kind: Index<IdKind>,
    pub(super) kind_name: String,
    pub(super) canonical: Canonical,
    pub(super) path: PathBuf,
    /// As it is written in the vendor's file.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) age_max_s: Option<u64>,
}

/// What is known of a list since it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListRead {
    /// How the file looked then.
    pub(super) seen: Seen,
    /// Why it cannot be used, whenever.
    pub(super) fault: Option<ListFault>,
}

/// How a file looks from outside.
pub(super) type Seen = Result<Stamp, ListFault>;

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified_s: i64,
    pub(super) modified_ns: i64,
    pub(super) changed_s: i64,
    pub(super) changed_ns: i64,
    pub(super) bytes: u64,
    pub(super) inode: u64,
}

/// Why a list cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// It was last changed in the future: how old it is nobody can tell.
    Ahead,
    /// It is being written, or was a moment ago: it may not be whole.
    Changing,
    /// It is not there.
    Missing,
    /// A line of it is no identifier: who is meant there is not known.
    NotClear,
    /// It is not UTF-8.
    NotText,
    /// It could not be followed for longer than [`limits::OBJECTIONS_KNOWN`].
    Silent,
    /// It is longer than [`limits::OBJECTIONS_BYTES_MAX`].
    TooLong,
    /// It was last changed longer ago than `max-age`.
    TooOld,
    /// It cannot be read.
    Unreadable,
    /// Others than its owner can write it: whoever they are, they could take somebody off it.
    Writable,
}

impl ListFault {
    /// In words that fit behind the name of the file.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ahead => "was changed in the future: a clock is wrong",
            Self::Changing => "has been changed a moment ago, and may not be whole",
            Self::Missing => "is missing",
            Self::NotClear => "has a line that is no identifier",
            Self::NotText => "is not text",
            Self::Silent => "cannot be followed: its disk does not answer, or it never rests",
            Self::TooLong => "is too long",
            Self::TooOld => "is older than its max-age",
            Self::Unreadable => "cannot be read",
            Self::Writable => "can be written by others than its owner",
        }
    }
}

impl ListRead {
    /// Whether the file was changed so shortly before a time that it may be written still.
    pub(super) fn is_young(self, unix_s: u64) -> bool {
        let modified_s = self
            .seen
            .ok()
            .and_then(|it| u64::try_from(it.modified_s).ok());
        let away = |it: u64| it.abs_diff(unix_s) <= limits::OBJECTIONS_LOOK.as_secs();
        modified_s.is_some_and(away)
    }
}

impl List {
    /// Reads it, and adds who stands on it. What changes meanwhile may be half of what it will be.
    pub(super) fn read(
        &self,
        mut stamp: impl FnMut(&Path) -> Seen,
        objections: &mut Objections,
        problems: &mut Problems,
    ) -> ListRead {
        let before = stamp(&self.path);
        let text = before.and_then(|_| text(&self.path));
        let read = text.and_then(|text| self.add(&text, objections, problems));
        let read = match stamp(&self.path) == before {
            true => read,
            false => Err(ListFault::Changing),
        };
        let seen = match read {
            // The same bytes will say the same.
            Ok(()) | Err(ListFault::NotClear | ListFault::NotText | ListFault::TooLong) => before,
            Err(
                fault @ (ListFault::Ahead
                | ListFault::Changing
                | ListFault::Missing
                | ListFault::Silent
                | ListFault::TooOld
                | ListFault::Unreadable
                | ListFault::Writable),
            ) => Err(fault),
        };
        ListRead {
            seen,
            fault: read.err(),
        }
    }

    /// Whether what was read of another list would be read of this one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.path == other.path
            && self.kind_name == other.kind_name
            && self.canonical == other.canonical
    }

    /// Why it cannot be used by its age at a time, if it has one.
    pub(super) fn age_fault(&self, seen: Seen, unix_s: u64) -> Option<ListFault> {
        let (most, seen) = self.age_max_s.zip(seen.ok())?;
        let modified_s = u64::try_from(seen.modified_s).unwrap_or(0);
        // The clocks of two machines differ a little.
        let ahead = modified_s.saturating_sub(unix_s) > limits::OBJECTIONS_AHEAD.as_secs();
        let old = unix_s.saturating_sub(modified_s) > most;
        let fault = old.then_some(ListFault::TooOld);
        fault.or_else(|| ahead.then_some(ListFault::Ahead))
    }

    pub(super) fn problem(&self, fault: ListFault) -> Problem {
        let message = format!("{} {}", shown(&self.name), fault.words());
        let help = match fault {
            ListFault::Writable => format!("chmod go-w {}", self.path.display()),
            ListFault::Ahead
            | ListFault::Changing
            | ListFault::Missing
            | ListFault::NotClear
            | ListFault::NotText
            | ListFault::Silent
            | ListFault::TooLong
            | ListFault::TooOld
            | ListFault::Unreadable => WRITE_WHOLE.to_owned(),
        };
        Problem::finding(code::OBJECTIONS, message)
            .at(&self.place)
            .label("who objected is not known: every request of this vendor is answered 503")
            .help(help)
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

pub(super) fn stamp(path: &Path) -> Seen {
    let seen = fs::metadata(path).map_err(|error| fault(&error))?;
    if !seen.is_file() {
        return Err(ListFault::Unreadable);
    }
    if seen.mode() & 0o022 != 0 {
        return Err(ListFault::Writable);
    }
    Ok(Stamp {
        modified_s: seen.mtime(),
        modified_ns: seen.mtime_nsec(),
        changed_s: seen.ctime(),
        changed_ns: seen.ctime_nsec(),
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
