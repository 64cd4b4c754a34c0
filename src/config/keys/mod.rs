//! Keys: opened for a configuration, made where one is missing, and never made up silently.

mod master;
mod rotate;
mod signs;
mod source;

pub use super::ring_file::Made;
use master::{MASTER_FROM_BACKUP, credential_help, master_path, read_master};
pub use rotate::{Next, Preparation, Rotated, Rotation, prepare, rotate, vendors};
use signs::Lost;
pub use source::{KeySource, VendorKeys};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::code;
use super::folder::{Folder, SchoolFolder};
use super::gateway::{Gateway, KeyPlaces};
use super::guarded::{self, Guard, Present};
use super::problem::{Place, Problem, Problems, shown};
use super::ring_file::RingFile;
use crate::names::SchoolId;
use crate::pseudonym::{
    Entry, Fingerprint, Holder, MasterKey, RegisterKey, UnwrapFault, VendorKey,
};
use crate::secret::{NoRandomness, SecretBytes};

/// Whatever a running gateway has a key of; nothing before it runs.
pub(super) type InUse = BTreeSet<(SchoolId, Holder)>;

/// The master key and the ring of one gateway.
#[derive(Debug)]
pub(super) struct Keys {
    master: MasterKey,
    file: RingFile,
    ring_at: Place,
    help: String,
    /// The same for a register's key, of a school whose vendors have keys.
    register_help: String,
}

impl Keys {
    /// Reads both; says what is wrong, and with which command it is mended. No command is named if
    /// keys are missing that are in use: new ones would take their place.
    pub(super) fn read(
        places: &KeyPlaces,
        folder: &Path,
        in_use: &InUse,
        problems: &mut Problems,
    ) -> Option<Self> {
        let master = read_master(places, folder, in_use, problems);
        let file = RingFile::read(&places.ring, problems);
        let mut in_use = in_use.iter();
        let has_all = in_use.all(|(school, of)| file.ring.in_use(school, of).is_some());
        let (help, register_help) = match has_all {
            true => (
                signs::help_for_a_missing_key(places, folder),
                signs::help_for_a_register_key(places, folder),
            ),
            false => {
                let help = signs::help_for_a_ring_in_use(places);
                (help.clone(), help)
            }
        };
        Some(Self {
            master: master?,
            file,
            ring_at: places.ring_at.clone(),
            help,
            register_help,
        })
    }

    /// Of a ring that is damaged only that is told: what is missing may be what cannot be read.
    fn is_missing(&self, school: &SchoolId, holder: &Holder, problems: &mut Problems) {
        if self.file.is_damaged {
            return;
        }
        let (what, help) = match holder {
            Holder::Register if self.knows(school) => {
                (format!("the register of {school}"), &self.register_help)
            }
            Holder::Register => (format!("the register of {school}"), &self.help),
            Holder::Vendor(vendor) => (format!("{school}/{vendor}"), &self.help),
        };
        let message = format!("there is no key for {what}");
        let missing = Problem::error(code::ABSENT, message).at(&self.ring_at);
        problems.push(missing.help(help));
    }

    /// Whether the ring has any key of a school.
    fn knows(&self, school: &SchoolId) -> bool {
        let mut entries = self.file.ring.entries().iter();
        entries.any(|entry| entry.school == *school)
    }

    /// Opens a key, whatever it is for, and lets it go.
    fn check(&self, entry: &Entry, problems: &mut Problems) {
        let opens = match entry.holder {
            Holder::Register => entry.register_key(&self.master).map(drop),
            Holder::Vendor(_) => entry.vendor_key(&self.master).map(drop),
        };
        self.opened(entry, opens, problems);
    }

    fn opened<K>(
        &self,
        entry: &Entry,
        key: Result<K, UnwrapFault>,
        problems: &mut Problems,
    ) -> Option<K> {
        match key {
            Ok(key) => Some(key),
            Err(fault) => {
                let Entry {
                    school, version, ..
                } = entry;
                let message = match &entry.holder {
                    Holder::Register => {
                        format!("the key {version} of the register of {school} does not open")
                    }
                    Holder::Vendor(vendor) => {
                        format!("the key {version} of {school}/{vendor} does not open")
                    }
                };
                let problem = Problem::error(code::KEY_SEALED, message);
                let problem = match self.file.place(entry) {
                    Some(place) => problem.at(place).label(fault.to_string()),
                    None => problem.help(fault.to_string()),
                };
                problems.push(problem.help("take ring and master key from the same backup"));
                None
            }
        }
    }
}

fn command(folder: &Path) -> String {
    format!("sluis keys new --config {}", folder.display())
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// Whose key.
    pub school: SchoolId,
    /// What for: towards a vendor, or for the school's register.
    pub holder: Holder,
    /// Which version.
    pub version: u32,
    /// Which key.
    pub fingerprint: Fingerprint,
    /// What became of it, or where it stands.
    pub state: KeyState,
    /// When and why it was made, if that was written down.
    pub made: Option<Made>,
}

/// What became of a key, or where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It makes pseudonyms.
    InUse,
    /// It has just been made.
    Made,
    /// A newer one is in use.
    Former,
    /// Its pseudonyms are understood; `keys rotate --key` puts it to use.
    Prepared,
    /// No vendor of this configuration uses it.
    Unused,
}

/// What `keys new` did.
#[derive(Debug)]
pub struct NewKeys {
    /// The file of the master key, if it was made.
    pub master: Option<PathBuf>,
    /// The file of the ring.
    pub ring: PathBuf,
    /// Every key of the ring.
    pub keys: Vec<KeyLine>,
}

/// Makes the keys that are missing: the master key, one for each vendor and one for each school's
/// register. Overwrites none.
///
/// # Errors
/// `sluis.toml` cannot be read, a key that is there cannot be used, a file cannot be written, or
/// there are signs that a key which is missing was there before.
pub fn new(folder: &Path) -> Result<NewKeys, Problems> {
    let (places, files) = places(folder)?;
    make(&places, &files, folder, Lost::FromBackup)
}

/// As [`new`], and makes keys also in the place of those that are lost.
///
/// # Errors
/// As [`new`], but for the signs.
pub fn begin_anew(folder: &Path) -> Result<NewKeys, Problems> {
    let (places, files) = places(folder)?;
    make(&places, &files, folder, Lost::Anew)
}

fn make(
    places: &KeyPlaces,
    files: &Folder,
    folder: &Path,
    lost: Lost,
) -> Result<NewKeys, Problems> {
    guarded::make_folder(&places.ring)?;
    let _lock = guarded::lock_folder(&places.ring)?;
    if lost == Lost::FromBackup {
        signs::refuse_lost_ring(places, folder)?;
    }
    let made_master = make_master(places)?;
    let mut keys = opened(places, folder)?;
    let made = holders(files).filter(|(school, of)| keys.file.ring.in_use(school, of).is_none());
    let made: Vec<_> = made.collect();
    if lost == Lost::FromBackup && !made.is_empty() {
        signs::refuse_lost_keys(&keys, &made, places, folder)?;
    }
    for (school, holder) in &made {
        let entry = new_entry(&keys.master, school, holder, 1)?;
        keys.file.add_new(entry, None);
    }
    // A ring without keys says that none was lost.
    if !made.is_empty() || guarded::is_absent(&places.ring) {
        keys.file.write(&places.ring)?;
    }
    let mut lines = lines(&keys.file, files);
    for line in &mut lines {
        if made.contains(&(&line.school, line.holder.clone())) {
            line.state = KeyState::Made;
        }
    }
    Ok(NewKeys {
        master: made_master,
        ring: places.ring.clone(),
        keys: lines,
    })
}

/// Makes the master key if there is none; gives its file if it was made.
fn make_master(places: &KeyPlaces) -> Result<Option<PathBuf>, Problems> {
    let (path, guard) = master_path(places).map_err(|wrong| wrong.at(&places.master_at))?;
    if !guarded::is_absent(&path) {
        return Ok(None);
    }
    let name = shown(&path.display().to_string());
    let missing = |message: String| Problem::error(code::ABSENT, message).at(&places.master_at);
    if guard == Guard::Credential {
        let missing = missing(format!("the credential {name} is missing"));
        let help = "make it as a file first, then seal it with systemd-creds encrypt";
        return Err(missing.help(credential_help(&path)).help(help).into());
    }
    if !guarded::is_absent(&places.ring) {
        let ring = shown(&places.ring.display().to_string());
        let anew = format!("to begin anew, with other pseudonyms for everyone, move {ring} away");
        let missing = missing(format!(
            "the master key {name} is missing, and {ring} needs it"
        ));
        return Err(missing.help(MASTER_FROM_BACKUP).help(anew).into());
    }
    guarded::make_folder(&path)?;
    let master = MasterKey::random().map_err(|error| no_randomness(&error))?;
    guarded::write(&path, &master.to_text(), Present::Keep)?;
    Ok(Some(path))
}

/// Master key and ring, if every key of the ring opens. A ring of which one does not belongs to
/// another master key: nothing may be added to it.
fn opened(places: &KeyPlaces, folder: &Path) -> Result<Keys, Problems> {
    let mut problems = Problems::new();
    let keys = Keys::read(places, folder, &InUse::new(), &mut problems);
    if let Some(keys) = &keys {
        for entry in keys.file.ring.entries() {
            keys.check(entry, &mut problems);
        }
    }
    match keys {
        Some(keys) if !problems.has_errors() => Ok(keys),
        Some(_) | None => Err(problems),
    }
}

fn new_entry(
    master: &MasterKey,
    school: &SchoolId,
    holder: &Holder,
    version: u32,
) -> Result<Entry, Problems> {
    let key = SecretBytes::random().map_err(|error| no_randomness(&error))?;
    let school = school.clone();
    Ok(match holder {
        Holder::Register => Entry::of_register(master, school, version, &RegisterKey::new(key)),
        Holder::Vendor(vendor) => {
            let key = VendorKey::new(key);
            Entry::of_vendor(master, school, vendor.clone(), version, &key)
        }
    })
}

fn no_randomness(error: &NoRandomness) -> Problems {
    Problem::error(code::WRITE, error.to_string()).into()
}

/// Every key of the ring, without opening one.
///
/// # Errors
/// `sluis.toml` or the ring cannot be read.
pub fn list(folder: &Path) -> Result<Vec<KeyLine>, Problems> {
    let (places, files) = places(folder)?;
    let mut problems = Problems::new();
    let read = RingFile::read(&places.ring, &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    Ok(lines(&read, &files))
}

/// Opens every key of the ring and compares it with its fingerprint; every vendor must have one.
///
/// # Errors
/// A key is missing, or does not open, or is another than its fingerprint says.
pub fn verify(folder: &Path) -> Result<Vec<KeyLine>, Problems> {
    let (places, files) = places(folder)?;
    let mut keys = opened(&places, folder)?;
    let mut problems = Problems::new();
    for (school, holder) in holders(&files) {
        // Whether a register needs one depends on what is in the vendors' files.
        if let Holder::Vendor(vendor) = holder {
            keys.of_vendor(school, &vendor, &mut problems);
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    Ok(lines(&keys.file, &files))
}

/// Where the keys are, and which vendors need one. What is in the vendors' files does not matter
/// here: a key needs their names only.
fn places(folder: &Path) -> Result<(KeyPlaces, Folder), Problems> {
    let mut problems = Problems::new();
    let files = Folder::read(folder, &mut problems);
    let gateway = files.gateway.as_ref();
    let gateway = gateway.and_then(|file| Gateway::read(file, folder, &mut problems));
    match gateway {
        Some(gateway) if !problems.has_errors() => Ok((gateway.keys, files)),
        Some(_) | None => Err(problems),
    }
}

/// Whatever has a key of its own: every vendor, and every school's register.
fn holders(files: &Folder) -> impl Iterator<Item = (&SchoolId, Holder)> {
    files
        .schools
        .iter()
        .flat_map(|SchoolFolder { id, vendors, .. }| {
            let vendors = vendors
                .iter()
                .map(|(vendor, _)| Holder::Vendor(vendor.clone()));
            let all = std::iter::once(Holder::Register).chain(vendors);
            all.map(move |holder| (id, holder))
        })
}

fn lines(file: &RingFile, files: &Folder) -> Vec<KeyLine> {
    let line = |entry: &Entry| {
        let in_use = file.ring.in_use(&entry.school, &entry.holder);
        let of = (&entry.school, &entry.holder);
        let known = holders(files).any(|(school, holder)| (school, &holder) == of);
        KeyLine {
            school: entry.school.clone(),
            holder: entry.holder.clone(),
            version: entry.version,
            fingerprint: entry.fingerprint,
            state: match known {
                true if in_use == Some(entry) => KeyState::InUse,
                true if entry.is_prepared => KeyState::Prepared,
                true => KeyState::Former,
                false => KeyState::Unused,
            },
            made: file.made(entry).cloned(),
        }
    };
    file.ring.entries().iter().map(line).collect()
}
