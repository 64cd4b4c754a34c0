//! What to do about a register that cannot be opened, and whether time alone may do it.

use std::io::{self, ErrorKind};

use super::Fault;

/// What has to happen until a register can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The disk, or what else of the machine fails, must be seen to.
    Machine,
    /// Files, keys or settings must be changed: until then every try ends in the same way.
    Setup,
    /// It may be over by itself: something else is at work, away or slow.
    Time,
}

impl Fault {
    /// What has to happen.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Damaged(_)
            | Self::Exposed { .. }
            | Self::Format(_)
            | Self::Journal { .. }
            | Self::Lost { .. }
            | Self::Moved(_)
            | Self::NoTable
            | Self::NotARegister(_)
            | Self::Settings(_) => Remedy::Setup,
            Self::Database(_) if self.is_loss() => Remedy::Setup,
            Self::Database(_) | Self::Full | Self::Thread(_) => Remedy::Machine,
            Self::File { cause, .. } if in_words(cause).is_empty() => Remedy::Machine,
            Self::File { .. } => Remedy::Setup,
            Self::Hangs | Self::InUse(_) | Self::Resting | Self::Server(_) | Self::Timeout => {
                Remedy::Time
            }
        }
    }

    /// The same in words, which stand behind those of the fault; empty where these have it already.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "put ring, master key and register back from the same backup",
            Self::Database(_) if self.is_loss() => "put it back from its backup",
            Self::Database(_) | Self::Hangs => "see to the disk",
            Self::File { cause, .. } => in_words(cause),
            Self::Format(_) => {
                "`sluis register export` with the version that wrote it, then `import`"
            }
            Self::InUse(_) => "stop that first: a gateway that runs has it to itself",
            Self::NotARegister(_) => {
                "put it back from its backup; a `path` in [register] where nothing is begins a \
                 new one"
            }
            Self::Server(_) | Self::Timeout => {
                "see whether the server runs, and whether the address is right that `url` in \
                 [register] names"
            }
            Self::Settings(_) => "they stand in the file that `url` in [register] names",
            Self::Exposed { .. }
            | Self::Full
            | Self::Journal { .. }
            | Self::Lost { .. }
            | Self::Moved(_)
            | Self::NoTable
            | Self::Resting
            | Self::Thread(_) => "",
        }
    }
}

/// What to do about a file that cannot be used as it lies there; empty if it is the disk that
/// fails.
fn in_words(cause: &io::Error) -> &'static str {
    let known = FILE_HELP.iter().find(|(kind, _)| *kind == cause.kind());
    known.map_or("", |(_, help)| help)
}

const NO_FILE: &str = "`path` in [register] must name a file in a folder";
const FILE_HELP: [(ErrorKind, &str); 7] = [
    (
        ErrorKind::InvalidData,
        "it would be written over: look what it is, and move it away",
    ),
    (ErrorKind::InvalidInput, "the file itself must lie there"),
    (ErrorKind::IsADirectory, NO_FILE),
    (ErrorKind::NotADirectory, NO_FILE),
    (
        ErrorKind::NotFound,
        "the folder that it lies in must be there",
    ),
    (
        ErrorKind::PermissionDenied,
        "it and its folder must belong to the user that runs this",
    ),
    (
        ErrorKind::ReadOnlyFilesystem,
        "it must lie where this may write",
    ),
];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Damage;
    use super::*;

    #[test]
    fn what_no_time_mends_is_told_from_what_may_pass() {
        let file = |kind: ErrorKind| Fault::file(&PathBuf::from("x"), kind.into());
        let database = |error| Fault::Database(Box::new(error));
        for (fault, remedy) in [
            (Fault::Damaged(Damage::default()), Remedy::Setup),
            (file(ErrorKind::PermissionDenied), Remedy::Setup),
            (file(ErrorKind::InvalidData), Remedy::Setup),
            (file(ErrorKind::StorageFull), Remedy::Machine),
            (
                database(redb::Error::Corrupted(String::new())),
                Remedy::Setup,
            ),
            (
                database(redb::Error::Io(io::Error::other("x"))),
                Remedy::Machine,
            ),
            (Fault::InUse(PathBuf::new()), Remedy::Time),
            (Fault::Timeout, Remedy::Time),
        ] {
            assert_eq!(fault.remedy(), remedy, "{fault}");
        }
    }
}
