//! The master key: where it is, and what to do if it is not there.

use std::path::{Path, PathBuf};

use super::{InUse, signs};
use crate::config::code;
use crate::config::environment::credentials_folder;
use crate::config::gateway::{KeyPlaces, MasterPlace};
use crate::config::guarded::{self, Guard};
use crate::config::problem::{Problem, Problems, shown};
use crate::pseudonym::{MasterKey, MasterKeyFault};

pub(super) const MASTER_FROM_BACKUP: &str =
    "put it back from its backup: another one opens no key of the ring";

pub(super) fn read_master(
    places: &KeyPlaces,
    folder: &Path,
    in_use: &InUse,
    problems: &mut Problems,
) -> Option<MasterKey> {
    match present_master(places, folder, in_use) {
        Ok(key) => Some(key),
        Err(wrong) => {
            problems.append(wrong.at(&places.master_at));
            None
        }
    }
}

fn present_master(
    places: &KeyPlaces,
    folder: &Path,
    in_use: &InUse,
) -> Result<MasterKey, Problems> {
    let (path, guard) = master_path(places)?;
    let name = shown(&path.display().to_string());
    if guarded::is_absent(&path) {
        let missing = Problem::error(code::ABSENT, format!("the master key {name} is missing"));
        let help = match guard {
            Guard::Credential => credential_help(&path),
            Guard::Key | Guard::Ring | Guard::Secret | Guard::Trusted
                if guarded::is_absent(&places.ring) =>
            {
                match in_use.is_empty() {
                    true => signs::help_for_a_missing_master(places, folder),
                    false => signs::help_for_a_master_in_use(places),
                }
            }
            Guard::Key | Guard::Ring | Guard::Secret | Guard::Trusted => {
                MASTER_FROM_BACKUP.to_owned()
            }
        };
        return Err(missing.help(help).into());
    }
    let text = guarded::read(&path, guard)?;
    // Exposed to be parsed into the key that it is.
    MasterKey::parse(text.expose()).map_err(|fault| {
        let problem = Problem::error(code::KEY_BAD, format!("{name} is not a master key"));
        let problem = problem.help(fault.to_string());
        match fault {
            MasterKeyFault::MadeByHand => problem.into(),
            MasterKeyFault::Prefix | MasterKeyFault::Typing => {
                problem.help(MASTER_FROM_BACKUP).into()
            }
        }
    })
}

pub(super) fn master_path(places: &KeyPlaces) -> Result<(PathBuf, Guard), Problems> {
    let name = match &places.master {
        MasterPlace::File(path) => return Ok((path.clone(), Guard::Key)),
        MasterPlace::Credential(name) => name,
    };
    let Some(folder) = credentials_folder() else {
        let message = "there are no credentials: systemd sets $CREDENTIALS_DIRECTORY";
        let help = format!("the unit that runs this needs LoadCredentialEncrypted={name}");
        return Err(Problem::error(code::ABSENT, message).help(help).into());
    };
    Ok((folder.join(name), Guard::Credential))
}

pub(super) fn credential_help(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().display();
    format!("systemd hands it over: LoadCredentialEncrypted={name} in the unit")
}
