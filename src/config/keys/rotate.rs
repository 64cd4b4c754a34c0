//! A new key for one vendor, beside those it had.

use std::path::Path;

use jiff::civil::Date;

use super::{Keys, Made, holders, new_entry, opened, places};
use crate::config::code;
use crate::config::draft::Draft;
use crate::config::guarded;
use crate::config::language::VendorDraft;
use crate::config::problem::{Place, Problem, Problems};
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Back, Entry, Fingerprint, Holder};

/// For whom, when and why.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The vendor's school.
    pub school: SchoolId,
    /// The vendor.
    pub vendor: VendorId,
    /// Today, and the reason that was given.
    pub made: Made,
}

/// Which key a rotation puts to use.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// One that it makes.
    New,
    /// The one of this fingerprint, which was prepared.
    Prepared(Fingerprint),
}

/// What a rotation did, and what it means.
#[derive(Debug)]
pub struct Rotated {
    /// Version and fingerprint of the key that was in use.
    pub old: (u32, Fingerprint),
    /// Version and fingerprint of the one that is.
    pub new: (u32, Fingerprint),
    /// Since when the new one was prepared, if it was: the day, if that was written down.
    pub prepared: Option<Option<Date>>,
    /// Versions of the keys before it, the newest first.
    pub former: Vec<u32>,
    /// Where the vendor's file pins a key, if it is not the new one.
    pub pin: Option<Place>,
    /// The kinds of identifiers with a way back, and how many keys each understands.
    pub ways: Vec<(String, usize)>,
    /// Other gateways have the same register.
    pub is_shared: bool,
}

/// A key that every gateway is to know before one uses it.
#[derive(Debug)]
pub struct Preparation {
    /// Version and fingerprint of the key in use, which stays in use.
    pub in_use: (u32, Fingerprint),
    /// Version and fingerprint of the one that is prepared.
    pub prepared: (u32, Fingerprint),
}

impl Rotated {
    /// The version that was understood by a kind of so many keys until this rotation, and ends with
    /// it. Of one key, that is every former one.
    #[must_use]
    pub fn ended(&self, accepted: usize) -> Option<u32> {
        let place = accepted.checked_sub(1).filter(|place| *place > 0)?;
        self.former.get(place).copied()
    }
}

/// The vendors that there are, with their schools.
///
/// # Errors
/// `sluis.toml` cannot be read.
pub fn vendors(folder: &Path) -> Result<Vec<(SchoolId, VendorId)>, Problems> {
    let (_, files) = places(folder)?;
    let vendors = holders(&files).filter_map(|(school, holder)| match holder {
        Holder::Register => None,
        Holder::Vendor(vendor) => Some((school.clone(), vendor)),
    });
    Ok(vendors.collect())
}

/// Puts another key of a vendor to use, and leaves the others where they are.
///
/// # Errors
/// The vendor has no key yet, a key that is there does not open, the ring cannot be written, one is
/// prepared and another one would be used, or the one that is named is not prepared.
pub fn rotate(folder: &Path, rotation: Rotation, next: Next) -> Result<Rotated, Problems> {
    let Rotation {
        school,
        vendor,
        made,
    } = rotation;
    // What is wrong with the files is for `check` to say.
    let draft = Draft::read(folder, &mut Problems::new());
    change(folder, (&school, &vendor), |keys, holder, old| {
        let former = former(keys, &school, holder);
        let there = keys.file.ring.prepared(&school, holder).cloned();
        let (new, prepared) = match (next, there) {
            (Next::New, None) => {
                let entry = next_entry(keys, &school, holder, old.0)?;
                let new = named(&entry);
                keys.file.add_new(entry, Some(made));
                (new, None)
            }
            (Next::Prepared(key), Some(there)) if there.fingerprint == key => {
                let since = keys.file.made(&there).map(|made| made.on);
                keys.file.put_to_use(&there, &made);
                (named(&there), Some(since))
            }
            (_, Some(there)) => return Err(is_prepared(&school, &vendor, &there)),
            (Next::Prepared(key), None) => return Err(is_not_prepared(&school, &vendor, key)),
        };
        let its = draft_of(&draft, &school, &vendor);
        let pin = its.and_then(|its| its.key.as_ref());
        let kinds = its.map_or(&[][..], |its| &its.kind_specs);
        let home = kinds.iter().filter(|spec| spec.back == Back::SchoolOnly);
        let gateway = draft.gateway.as_ref();
        Ok(Rotated {
            old,
            new,
            prepared,
            former,
            pin: { pin }
                .filter(|pin| pin.value != new.1)
                .map(|pin| pin.place.clone()),
            ways: home
                .map(|spec| (spec.name.clone(), spec.accept_keys))
                .collect(),
            is_shared: gateway.is_some_and(|gateway| gateway.keys.register.is_none()),
        })
    })
}

fn is_prepared(school: &SchoolId, vendor: &VendorId, there: &Entry) -> Problems {
    let (version, key) = named(there);
    let message = format!("version {version} of {school}/{vendor} is prepared: {key}");
    Problem::error(code::CONFLICT, message)
        .help("copy the ring to each gateway that does not have that key, and reload it")
        .help(format!(
            "once all have it: sluis keys rotate {school}/{vendor} --key {key} --reason WHY"
        ))
        .into()
}

fn is_not_prepared(school: &SchoolId, vendor: &VendorId, key: Fingerprint) -> Problems {
    let message = format!("no key {key} is prepared for {school}/{vendor}");
    Problem::error(code::ABSENT, message)
        .help("`sluis keys list` says which key is in use, and which is prepared")
        .help("run it where the key was prepared, or with the ring from there")
        .into()
}

/// Makes the next version of a vendor's key and puts it to no use yet.
///
/// # Errors
/// As [`rotate`], and where a key is prepared already.
pub fn prepare(folder: &Path, rotation: Rotation) -> Result<Preparation, Problems> {
    let Rotation {
        school,
        vendor,
        made,
    } = rotation;
    change(folder, (&school, &vendor), |keys, holder, in_use| {
        if let Some(there) = keys.file.ring.prepared(&school, holder) {
            return Err(is_prepared(&school, &vendor, there));
        }
        let mut entry = next_entry(keys, &school, holder, in_use.0)?;
        entry.is_prepared = true;
        let prepared = named(&entry);
        keys.file.add_new(entry, Some(made));
        Ok(Preparation { in_use, prepared })
    })
}

/// Writes the ring with what was changed about a vendor of which a key is in use.
fn change<T>(
    folder: &Path,
    (school, vendor): (&SchoolId, &VendorId),
    change: impl FnOnce(&mut Keys, &Holder, (u32, Fingerprint)) -> Result<T, Problems>,
) -> Result<T, Problems> {
    let (places, _) = places(folder)?;
    guarded::make_folder(&places.ring)?;
    let _lock = guarded::lock_folder(&places.ring)?;
    let mut keys = opened(&places, folder)?;
    let holder = Holder::Vendor(vendor.clone());
    let Some(in_use) = keys.file.ring.in_use(school, &holder).map(named) else {
        let mut missing = Problems::new();
        keys.is_missing(school, &holder, &mut missing);
        return Err(missing);
    };
    let done = change(&mut keys, &holder, in_use)?;
    keys.file.write(&places.ring)?;
    Ok(done)
}

fn named(entry: &Entry) -> (u32, Fingerprint) {
    (entry.version, entry.fingerprint)
}

fn next_entry(
    keys: &Keys,
    school: &SchoolId,
    holder: &Holder,
    in_use: u32,
) -> Result<Entry, Problems> {
    let Some(version) = in_use.checked_add(1) else {
        let message = format!("a vendor of {school} has had as many keys as there can be");
        return Err(Problem::error(code::TOO_MANY, message).into());
    };
    new_entry(&keys.master, school, holder, version)
}

/// Versions that were in use, the newest first.
fn former(keys: &Keys, school: &SchoolId, holder: &Holder) -> Vec<u32> {
    let newest_first = keys.file.ring.of(school, holder).iter().rev();
    let used = newest_first.filter(|entry| !entry.is_prepared);
    used.map(|entry| entry.version).collect()
}

fn draft_of<'d>(draft: &'d Draft, school: &SchoolId, vendor: &VendorId) -> Option<&'d VendorDraft> {
    let mut files = draft.vendors();
    let file = files.find(|(its_school, file)| its_school.id == *school && file.id == *vendor);
    file?.1.draft.as_ref()
}
