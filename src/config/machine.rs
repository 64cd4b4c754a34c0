//! Files that the configuration names and this machine must have: secrets, certificates, keys.

use std::path::{Path, PathBuf};

use super::code;
use super::gateway::ListenFiles;
use super::guarded::{self, Guard};
use super::problem::{Problem, Problems, shown};
use super::raw::At;
use crate::secret::SecretText;

/// The secret in a file: one line, which goes into a head as it stands.
pub(super) fn secret(
    file: &At<String>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<SecretText> {
    let path = folder.join(&file.value);
    if !check_present(&path, problems, |problem| problem.at(&file.place)) {
        return None;
    }
    let text = match guarded::read(&path, Guard::Secret) {
        Ok(text) => text,
        Err(wrong) => {
            problems.append(wrong.at(&file.place));
            return None;
        }
    };
    // Exposed to see whether it fits into a head: visible ASCII (RFC 9110 section 5.5).
    let line = text.expose().trim_ascii();
    if line.is_empty()
        || !line
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        let name = shown(&path.display().to_string());
        let message = format!("{name} must hold one line of visible characters");
        problems.push(Problem::error(code::KEY_FILE, message).at(&file.place));
        return None;
    }
    Some(SecretText::new(line.to_owned()))
}

/// Whether a file is there; if not, says so as something that this machine lacks.
fn check_present(
    path: &Path,
    problems: &mut Problems,
    at: impl FnOnce(Problem) -> Problem,
) -> bool {
    let present = path.exists();
    if !present {
        let message = format!("{} is missing", shown(&path.display().to_string()));
        problems.push(at(Problem::error(code::ABSENT, message)));
    }
    present
}

/// Whether the files of the listener are there, and kept from others as they must be.
pub(super) fn check_tls(files: &ListenFiles, problems: &mut Problems) {
    let cert = &files.cert;
    check_present(&cert.value, problems, |problem| problem.at(&cert.place));
    check_kept(&files.key, Guard::Secret, problems);
    if let Some(authorities) = &files.client_ca {
        check_kept(authorities, Guard::Trusted, problems);
    }
}

/// Whether a file is there, and kept as it must be.
fn check_kept(file: &At<PathBuf>, guard: Guard, problems: &mut Problems) {
    if check_present(&file.value, problems, |problem| problem.at(&file.place))
        && let Err(wrong) = guarded::check(&file.value, guard)
    {
        problems.append(wrong.at(&file.place));
    }
}

/// The roots to trust, by their whole name: whether they are there, and others cannot write them.
pub(super) fn roots(file: &At<String>, folder: &Path, problems: &mut Problems) -> PathBuf {
    let path = At {
        value: folder.join(&file.value),
        place: file.place.clone(),
    };
    check_kept(&path, Guard::Trusted, problems);
    path.value
}

/// A file that must be there, by its whole name.
pub(super) fn present(
    file: &At<String>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let path = folder.join(&file.value);
    check_present(&path, problems, |problem| problem.at(&file.place)).then_some(path)
}

/// A private key that others must not read, by its whole name.
pub(super) fn kept_key(
    file: &At<String>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let path = present(file, folder, problems)?;
    match guarded::check(&path, Guard::Secret) {
        Ok(()) => Some(path),
        Err(wrong) => {
            problems.append(wrong.at(&file.place));
            None
        }
    }
}
