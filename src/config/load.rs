//! From files to a [`Config`]: everything is read, every problem is collected.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::Folder;
use super::gateway::Gateway;
use super::problem::Problems;
use super::school::School;

/// A configuration as far as it is known without its keys.
#[derive(Debug)]
pub struct Draft {
    pub(super) gateway: Option<Gateway>,
    pub(super) folder: Folder,
    pub(super) schools: Vec<Option<School>>,
}

impl Draft {
    /// Reads all files of a configuration; the keys are left alone.
    pub fn read(folder: &Path, problems: &mut Problems) -> Self {
        let files = Folder::read(folder, problems);
        let gateway = files.gateway.as_ref();
        let gateway = gateway.and_then(|file| Gateway::read(file, folder, problems));
        let schools = files.schools.iter().map(|school| {
            let file: &Arc<_> = school.school.as_ref()?;
            School::read(file, problems)
        });
        let schools = schools.collect();
        Self {
            gateway,
            folder: files,
            schools,
        }
    }

    /// How many vendors there are, of all schools.
    #[must_use]
    pub fn vendors(&self) -> usize {
        self.folder
            .schools
            .iter()
            .map(|school| school.vendors.len())
            .sum()
    }
}

/// Where the operators' pages are, by `sluis.toml` alone.
///
/// # Errors
/// The problems of that file.
pub fn admin_address(folder: &Path) -> Result<SocketAddr, Problems> {
    let mut problems = Problems::new();
    let gateway = Folder::gateway(folder, &mut problems);
    let gateway = gateway.and_then(|file| Gateway::read(&file, folder, &mut problems));
    match gateway {
        Some(gateway) if !problems.has_errors() => Ok(gateway.admin),
        Some(_) | None => Err(problems),
    }
}

/// Where systemd puts credentials (systemd.exec(5)).
#[expect(
    clippy::disallowed_methods,
    reason = "settings enter here, and nowhere else"
)]
pub(super) fn credentials_folder() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}
