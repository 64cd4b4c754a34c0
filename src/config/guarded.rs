//! Files that must be kept from others: read only if they are, written so that they are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::code;
use super::problem::{Problem, Problems, shown};
use crate::secret::{SecretBytes, SecretText};

/// A key or a token is shorter.
const SECRET_BYTES_MAX: usize = 16 << 10;

/// How well a file must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// As systemd hands a credential over: root or this process owns it, others cannot read it.
    /// (With `User=`, an access list lets the service in, and the group bits show its mask.)
    Credential,
    /// A master key: mode 0400 or 0600, owned by this process's user, and no symbolic link.
    Key,
    /// The ring: nobody but its owner writes it, since who can could put an older one in its place.
    Ring,
    /// A token for an upstream, or a private key of TLS: others cannot read it. Links are followed,
    /// because that is how containers are handed their secrets.
    Secret,
    /// What decides who is served and trusted: others cannot write it. The group may, unlike with a
    /// ring or a list: these files lie in check-outs that a team works on (umask 002).
    Trusted,
}

/// Why a guarded file is not read.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Link,
    Mode(u32),
    NotAFile,
    NotText,
    Owner(u32),
    TooLong,
}

/// The text of a guarded file, or the problem with it.
pub(super) fn read(path: &Path, guard: Guard) -> Result<SecretText, Problems> {
    open(path, guard)
        .and_then(contents)
        .map_err(|fault| problem(path, guard, &fault).into())
}

/// Whether a file is kept as it must be, for those who read it by its name later.
pub(super) fn check(path: &Path, guard: Guard) -> Result<(), Problems> {
    let opened = open(path, guard).map(drop);
    opened.map_err(|fault| problem(path, guard, &fault).into())
}

/// A file that others must not read, opened by whoever reads it while the gateway runs: what is
/// seen of it and what is read of it are of one file.
///
/// # Errors
/// What is wrong with it, as it would be told at a start.
pub fn open_secret(path: &Path) -> Result<File, Box<Problem>> {
    open_guarded(path, Guard::Secret)
}

/// The same of a file that others must not write.
///
/// # Errors
/// What is wrong with it, as it would be told at a start.
pub fn open_trusted(path: &Path) -> Result<File, Box<Problem>> {
    open_guarded(path, Guard::Trusted)
}

fn open_guarded(path: &Path, guard: Guard) -> Result<File, Box<Problem>> {
    open(path, guard).map_err(|fault| Box::new(problem(path, guard, &fault)))
}

/// Whether nothing at all is there, not even a broken link.
pub(super) fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn open(path: &Path, guard: Guard) -> Result<File, Fault> {
    // Without NONBLOCK, opening a pipe that nobody writes to would hang.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let flags = match guard {
        Guard::Credential | Guard::Key => flags | OFlags::NOFOLLOW,
        Guard::Ring | Guard::Secret | Guard::Trusted => flags,
    };
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::LOOP) => return Err(Fault::Link),
        Err(errno) => return Err(Fault::Io(errno.into())),
    };
    let seen = file.metadata().map_err(Fault::Io)?;
    let (mode, me) = (seen.mode() & 0o7777, rustix::process::geteuid().as_raw());
    let (mode_fits, owner_fits) = match guard {
        Guard::Credential => (mode & 0o027 == 0, [0, me].contains(&seen.uid())),
        Guard::Key => ([0o400, 0o600].contains(&mode), seen.uid() == me),
        Guard::Ring => (mode & 0o022 == 0, true),
        Guard::Secret => (mode & 0o007 == 0, true),
        Guard::Trusted => (mode & 0o002 == 0, true),
    };
    match (seen.is_file(), mode_fits, owner_fits) {
        (false, _, _) => Err(Fault::NotAFile),
        (_, false, _) => Err(Fault::Mode(mode)),
        (_, _, false) => Err(Fault::Owner(seen.uid())),
        (true, true, true) => Ok(file),
    }
}

/// Reads into memory that is wiped, without a copy that is not.
fn contents(mut file: File) -> Result<SecretText, Fault> {
    let mut length: usize = 0;
    let bytes = SecretBytes::<SECRET_BYTES_MAX>::filled(|bytes| {
        while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => return Ok(()),
                Ok(more) => length = length.saturating_add(more),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Io(error)),
            }
        }
        Err(Fault::TooLong)
    });
    // Exposed to be copied into the text that is wiped as well.
    let bytes = bytes?;
    let text = bytes
        .expose()
        .get(..length)
        .and_then(|text| str::from_utf8(text).ok());
    text.map(|text| SecretText::new(text.to_owned()))
        .ok_or(Fault::NotText)
}

fn problem(path: &Path, guard: Guard, fault: &Fault) -> Problem {
    let name = path.display().to_string();
    let (what, help) = match fault {
        Fault::Io(error) => {
            let help = "run this as the user that it belongs to";
            let is_foreign = error.kind() == ErrorKind::PermissionDenied;
            let help = is_foreign.then(|| help.to_owned());
            (format!("cannot be read: {error}"), help)
        }
        Fault::Link => {
            let help = "name the file itself: a link can be turned to another file";
            ("is a symbolic link".to_owned(), Some(help.to_owned()))
        }
        Fault::Mode(mode) => {
            let (wanted, to) = match guard {
                Guard::Credential | Guard::Secret => ("others must not read it", "600"),
                Guard::Key => ("it must be 0600 or 0400", "600"),
                Guard::Ring => ("others must not write it", "go-w"),
                Guard::Trusted => ("others must not write it", "o-w"),
            };
            let what = format!("has the mode {mode:04o}: {wanted}");
            (what, Some(format!("chmod {to} {name}")))
        }
        Fault::NotAFile => ("is not a file".to_owned(), None),
        Fault::NotText => ("is not text".to_owned(), None),
        Fault::Owner(owner) => {
            let me = rustix::process::geteuid().as_raw();
            let what = format!("belongs to user {owner}, and this process is user {me}");
            let help = format!("chown {me} {name}, or run this as user {owner}");
            (what, Some(help))
        }
        Fault::TooLong => (
            format!("is longer than {} KiB", SECRET_BYTES_MAX >> 10),
            None,
        ),
    };
    let code = match guard {
        Guard::Credential | Guard::Key | Guard::Ring | Guard::Secret => code::KEY_FILE,
        Guard::Trusted => code::FILE,
    };
    let problem = Problem::error(code, format!("{} {what}", shown(&name)));
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// It stays, and writing fails.
    Keep,
    /// It is replaced, whole.
    Replace,
}

/// Writes a file that only this user may read: all of it or nothing, and on the disk when this
/// returns.
pub(super) fn write(path: &Path, text: &SecretText, present: Present) -> Result<(), Problems> {
    write_whole(path, text, present).map_err(|error| {
        let name = shown(&path.display().to_string());
        Problem::error(code::WRITE, format!("{name} cannot be written: {error}")).into()
    })
}

fn write_whole(path: &Path, text: &SecretText, present: Present) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.new"));
    // What an interrupted writer left behind: nobody else writes while the folder is locked.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    // Exposed to be written: only this user can read the file.
    let written = file
        .write_all(text.expose().as_bytes())
        .and_then(|()| file.sync_all());
    let moved = written.and_then(|()| match present {
        Present::Keep => move_beside(&draft, path),
        Present::Replace => fs::rename(&draft, path),
    });
    match moved {
        Ok(()) => File::open(&folder)?.sync_all(),
        Err(error) => {
            // The first error is the one to tell.
            fs::remove_file(&draft).unwrap_or_default();
            Err(error)
        }
    }
}

/// Gives a file its name if nothing has that name yet.
fn move_beside(draft: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        // Not every file system can; a second name can be given on most of the others.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(draft, path)?;
            fs::remove_file(draft)
        }
        moved => moved.map_err(io::Error::from),
    }
}

/// Makes the folder of a file, for this user alone, if it is missing.
pub(super) fn make_folder(path: &Path) -> Result<(), Problems> {
    let folder = folder_of(path);
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);
    made.map_err(|error| folder_problem(&folder, &error))
}

/// Locks the folder of a file against another `sluis keys`, until what is returned goes.
pub(super) fn lock_folder(path: &Path) -> Result<File, Problems> {
    let folder = folder_of(path);
    let locked = File::open(&folder).and_then(|file| {
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            // Some network file systems lock no folders: then one administrator is enough.
            Ok(()) | Err(Errno::BADF | Errno::OPNOTSUPP | Errno::NOLCK) => Ok(file),
            Err(errno) => Err(errno.into()),
        }
    });
    locked.map_err(|error| folder_problem(&folder, &error))
}

fn folder_problem(folder: &Path, error: &io::Error) -> Problems {
    let name = shown(&folder.display().to_string());
    let message = format!("the folder {name} cannot be used: {error}");
    Problem::error(code::WRITE, message).into()
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn file(folder: &Path, mode: u32, text: &str) -> PathBuf {
        let path = folder.join(format!("secret-{mode:o}"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn message(problems: &Problems) -> String {
        problems.sorted()[0].message.clone()
    }

    fn refusal(path: &Path, guard: Guard) -> String {
        read(path, guard)
            .map(|_| "read".to_owned())
            .unwrap_or_else(|problems| {
                let folder = path.parent().unwrap().display().to_string();
                message(&problems).replace(&format!("{folder}/"), "")
            })
    }

    #[test]
    fn a_master_key_is_read_with_mode_0400_or_0600_only() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o400, 0o600] {
            let path = file(folder.path(), mode, "text");
            assert_eq!(read(&path, Guard::Key).unwrap().expose(), "text");
        }
        for mode in [0o000, 0o200, 0o500, 0o640, 0o604, 0o644, 0o700, 0o4600] {
            let path = file(folder.path(), mode, "text");
            let why = format!("`secret-{mode:o}` has the mode {mode:04o}: it must be 0600 or 0400");
            assert_eq!(refusal(&path, Guard::Key), why);
        }
    }

    #[test]
    fn a_ring_may_be_read_by_all_and_written_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o640, 0o644, 0o400, 0o755] {
            let path = file(folder.path(), mode, "fake");
            assert!(check(&path, Guard::Ring).is_ok(), "{mode:o}");
        }
        for mode in [0o666, 0o620, 0o602, 0o664] {
            let path = file(folder.path(), mode, "fake");
            let problems = check(&path, Guard::Ring).unwrap_err();
            let expected = format!(
                "has the mode {mode:04o}: others must not write it chmod go-w {}",
                path.display()
            );
            let problem = problems.sorted()[0];
            let said = format!("{} {}", problem.message, problem.help.concat());
            assert!(said.ends_with(&expected), "{said}");
        }
    }

    #[test]
    fn a_token_may_be_read_by_the_group_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, fits) in [(0o600, true), (0o440, true), (0o644, false), (0o602, false)] {
            let path = file(folder.path(), mode, "text");
            assert_eq!(read(&path, Guard::Secret).is_ok(), fits, "{mode:o}");
        }
        for (mode, fits) in [(0o400, true), (0o440, true), (0o460, false), (0o404, false)] {
            let path = file(folder.path(), mode, "text");
            assert_eq!(read(&path, Guard::Credential).is_ok(), fits, "{mode:o}");
        }
    }

    #[test]
    fn what_is_trusted_may_be_written_by_the_group_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o400, 0o600, 0o644, 0o664, 0o775] {
            let path = file(folder.path(), mode, "text");
            assert!(open_trusted(&path).is_ok(), "{mode:o}");
        }
        for mode in [0o602, 0o646, 0o666, 0o777] {
            let path = file(folder.path(), mode, "text");
            let problem = open_trusted(&path).unwrap_err();
            let name = path.display();
            let told = format!("`{name}` has the mode {mode:04o}: others must not write it");
            assert_eq!((problem.code, &problem.message), (code::FILE, &told));
            assert_eq!(problem.help, [format!("chmod o-w {name}")]);
        }
    }

    #[test]
    fn links_folders_pipes_and_long_files_are_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let real = file(folder.path(), 0o600, "text");
        let link = folder.path().join("link");
        symlink(&real, &link).unwrap();
        assert_eq!(refusal(&link, Guard::Key), "`link` is a symbolic link");
        assert_eq!(
            refusal(&link, Guard::Credential),
            "`link` is a symbolic link"
        );
        assert_eq!(read(&link, Guard::Secret).unwrap().expose(), "text");
        let inner = folder.path().join("folder");
        fs::create_dir(&inner).unwrap();
        assert_eq!(refusal(&inner, Guard::Key), "`folder` is not a file");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::from(0o600)).unwrap();
        assert_eq!(refusal(&pipe, Guard::Key), "`pipe` is not a file");
        let long = file(folder.path(), 0o400, &"a".repeat(SECRET_BYTES_MAX));
        assert_eq!(
            refusal(&long, Guard::Key),
            "`secret-400` is longer than 16 KiB"
        );
        fs::write(&real, b"\xff").unwrap();
        assert_eq!(refusal(&real, Guard::Key), "`secret-600` is not text");
    }

    #[test]
    fn a_key_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), 0o600, "text");
        let nobody = Some(rustix::fs::Uid::from_raw(65_534));
        // Only root can give a file away.
        if rustix::fs::chown(&path, nobody, None).is_ok() {
            let why = "`secret-600` belongs to user 65534, and this process is user 0";
            assert_eq!(refusal(&path, Guard::Key), why);
        }
    }

    #[test]
    fn a_key_that_this_user_may_not_read_is_for_another() {
        let why = |kind: ErrorKind| problem(Path::new("x"), Guard::Key, &Fault::Io(kind.into()));
        let foreign = why(ErrorKind::PermissionDenied).help;
        assert_eq!(foreign, ["run this as the user that it belongs to"]);
        assert!(why(ErrorKind::Interrupted).help.is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), 0o600, "no folder");
        let place = file.display();
        let made = make_folder(&file.join("ring.toml")).unwrap_err();
        let told = format!("the folder `{place}` cannot be used: File exists (os error 17)");
        assert_eq!(message(&made), told);
        let absent = folder.path().join("keys/ring.toml");
        let place = folder.path().join("keys");
        let place = place.display();
        let locked = lock_folder(&absent).unwrap_err();
        let told = format!("the folder `{place}` cannot be used: No such file or directory");
        assert_eq!(message(&locked), format!("{told} (os error 2)"));
        for problems in [made, locked] {
            assert_eq!(problems.sorted()[0].code, "E066");
        }
    }

    #[test]
    fn what_is_written_is_whole_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/ring.toml");
        make_folder(&path).unwrap();
        let _lock = lock_folder(&path).unwrap();
        fs::write(folder.path().join("keys/.ring.toml.new"), "left behind").unwrap();
        let text = |text: &str| SecretText::new(text.to_owned());
        write(&path, &text("one"), Present::Keep).unwrap();
        let again = write(&path, &text("two"), Present::Keep).unwrap_err();
        let ring = path.display();
        let told = format!("`{ring}` cannot be written: File exists (os error 17)");
        assert_eq!(message(&again), told);
        assert_eq!(again.sorted()[0].code, "E066");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write(&path, &text("three"), Present::Replace).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let keys = folder.path().join("keys");
        assert_eq!(fs::metadata(&keys).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 1, "no draft is left");
    }
}
