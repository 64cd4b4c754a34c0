//! Signs that keys which are missing were there before.
//!
//! New ones in their place would give every pupil another pseudonym, and a register would not open.
//! So they are made only if that is asked for.

use std::path::{Path, PathBuf};

use super::master::master_path;
use super::{Keys, command};
use crate::config::code;
use crate::config::draft::Draft;
use crate::config::gateway::KeyPlaces;
use crate::config::guarded;
use crate::config::problem::{Place, Problem, Problems, shown};
use crate::names::SchoolId;
use crate::pseudonym::Holder;

const RING_FROM_BACKUP: &str = "put the ring back from its backup";
const OTHER_PSEUDONYMS: &str = "new keys would give every pupil another pseudonym";

/// What is done about keys that were there before, by the signs, and are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// New ones are made in their place.
    Anew,
    /// Nothing is made: they must come from a backup.
    FromBackup,
}

/// Refuses a ring that is missing beside a master key or a register.
pub(super) fn refuse_lost_ring(places: &KeyPlaces, folder: &Path) -> Result<(), Problems> {
    if !guarded::is_absent(&places.ring) {
        return Ok(());
    }
    let (master, register) = (present_master(places), present_register(places));
    let signs = match (&master, register) {
        (None, None) => return Ok(()),
        (Some(master), None) => format!("the master key {} is there", named(master)),
        (None, Some(register)) => format!("the register {} is there", named(register)),
        (Some(master), Some(register)) => {
            let (master, register) = (named(master), named(register));
            format!("the master key {master} and the register {register} are there")
        }
    };
    let message = format!("the ring {} is missing, but {signs}", named(&places.ring));
    let lost = Problem::error(code::ABSENT, message);
    let lost = lost.at(&places.ring_at).label(OTHER_PSEUDONYMS);
    let lost = lost.help(match master {
        Some(_) => RING_FROM_BACKUP,
        None => "put ring and master key back from their backups",
    });
    Err(lost.help(anew(places, folder)).into())
}

/// Refuses keys that are missing in a ring, although a register was written with them or a vendor's
/// file pins them.
pub(super) fn refuse_lost_keys(
    keys: &Keys,
    missing: &[(&SchoolId, Holder)],
    places: &KeyPlaces,
    folder: &Path,
) -> Result<(), Problems> {
    // What is wrong with a vendor's file is for `check` to say.
    let draft = Draft::read(folder, &mut Problems::new());
    let mut problems = Problems::new();
    for (school, holder) in missing {
        // Whoever has opened a register had a key for it.
        let is_known = keys.knows(school) || keys.file.ring.entries().is_empty();
        if let (Holder::Register, true, Some(register)) =
            (holder, is_known, present_register(places))
        {
            let message = format!(
                "the ring has no key for the register of {school}, but {} is there",
                named(register)
            );
            let lost = Problem::error(code::ABSENT, message);
            let lost = lost
                .at(&places.ring_at)
                .label("a new key opens none of its rows");
            let lost = lost.help(RING_FROM_BACKUP);
            problems.push(lost.help(anew(places, folder)));
        }
        if let (Holder::Vendor(vendor), Some(pin)) = (holder, pin(&draft, school, holder)) {
            let message = format!("the ring has no key for {school}/{vendor}, whose file pins one");
            let lost = Problem::error(code::ABSENT, message);
            let lost = lost.at(pin).label(OTHER_PSEUDONYMS);
            let lost = lost.help(RING_FROM_BACKUP);
            problems.push(
                lost.help("if the key is lost for good: take this line out, then sluis keys new"),
            );
        }
    }
    match problems.has_errors() {
        true => Err(problems),
        false => Ok(()),
    }
}

/// Where the file of a vendor pins a key.
fn pin<'d>(draft: &'d Draft, school: &SchoolId, holder: &Holder) -> Option<&'d Place> {
    let mut files = draft.vendors();
    let (_, file) = files.find(|(its_school, file)| {
        its_school.id == *school && *holder == Holder::Vendor(file.id.clone())
    })?;
    let key = file.draft.as_ref()?.key.as_ref()?;
    Some(&key.place)
}

/// How to go on without what was there.
fn anew(places: &KeyPlaces, folder: &Path) -> String {
    let command = format!("{} --begin-anew", command(folder));
    match present_register(places) {
        Some(register) => format!(
            "if it is lost for good, move {} away, then {command}",
            named(register)
        ),
        None => format!("if there never was one, or it is lost for good: {command}"),
    }
}

/// What to do about a vendor without a key.
pub(super) fn help_for_a_missing_key(places: &KeyPlaces, folder: &Path) -> String {
    if guarded::is_absent(&places.ring) {
        // There is a master key, or it would be told that this is missing.
        let ring = named(&places.ring);
        return format!("put {ring} back from its backup; {}", anew(places, folder));
    }
    makes_what_is_missing(folder)
}

/// What to do about a school's register that alone has no key.
pub(super) fn help_for_a_register_key(places: &KeyPlaces, folder: &Path) -> String {
    match present_register(places) {
        Some(_) => format!("{RING_FROM_BACKUP}; {}", anew(places, folder)),
        None => help_for_a_missing_key(places, folder),
    }
}

/// What to do about a master key that is missing without its ring.
pub(super) fn help_for_a_missing_master(places: &KeyPlaces, folder: &Path) -> String {
    match present_register(places) {
        Some(register) => format!(
            "put it and the ring {} back from their backups: the register {} needs them",
            named(&places.ring),
            named(register)
        ),
        None => makes_what_is_missing(folder),
    }
}

/// What to do about a ring without keys that are in use, or about none at all.
pub(super) fn help_for_a_ring_in_use(places: &KeyPlaces) -> String {
    let ring = named(&places.ring);
    format!("put the ring {ring} back from its backup: keys that are in use are missing in it")
}

/// What to do about a master key and a ring that are in use, and missing.
pub(super) fn help_for_a_master_in_use(places: &KeyPlaces) -> String {
    let ring = named(&places.ring);
    format!("put it and the ring {ring} back from their backups: they are in use")
}

fn makes_what_is_missing(folder: &Path) -> String {
    format!("{} makes what is missing", command(folder))
}

fn present_master(places: &KeyPlaces) -> Option<PathBuf> {
    let path = master_path(places).ok().map(|(path, _)| path);
    path.filter(|path| !guarded::is_absent(path))
}

fn present_register(places: &KeyPlaces) -> Option<&Path> {
    let path = places.register.as_deref();
    path.filter(|path| !guarded::is_absent(path))
}

fn named(path: &Path) -> String {
    shown(&path.display().to_string())
}
