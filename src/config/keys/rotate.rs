//! A new key for one vendor, beside those it had.

use std::path::Path;

use super::{Keys, Made, holders, new_entry, opened, places};
use crate::config::code;
use crate::config::draft::Draft;
use crate::config::guarded;
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

/// What a rotation did, and what it means.
#[derive(Debug)]
pub struct Rotated {
    /// Version and fingerprint of the key that was the newest.
    pub old: (u32, Fingerprint),
    /// Version and fingerprint of the one that is.
    pub new: (u32, Fingerprint),
    /// Where the new one comes from.
    pub origin: Origin,
    /// Versions of the keys before it, the newest first.
    pub former: Vec<u32>,
    /// Where the vendor's file pins a key, which is not the new one.
    pub pin: Option<Place>,
    /// The kinds of identifiers with a way back, and how many keys each understands.
    pub ways: Vec<(String, usize)>,
    /// Other gateways have the same register.
    pub is_shared: bool,
}

/// Where the new key of a rotation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made by this rotation.
    Made,
    /// It was prepared before.
    Prepared,
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

/// Puts the key that is prepared for a vendor to use, or else a new one, and leaves the others
/// where they are.
///
/// # Errors
/// The vendor has no key yet, a key that is there does not open, or the ring cannot be written.
pub fn rotate(folder: &Path, rotation: Rotation) -> Result<Rotated, Problems> {
    let Rotation {
        school,
        vendor,
        made,
    } = rotation;
    change(folder, (&school, &vendor), |keys, holder, old| {
        let former = former(keys, &school, holder);
        let prepared = keys.file.ring.prepared(&school, holder).cloned();
        let (new, origin) = match prepared {
            Some(prepared) => {
                keys.file.put_to_use(&prepared, made);
                (named(&prepared), Origin::Prepared)
            }
            None => {
                let entry = next_entry(keys, &school, holder, old.0)?;
                let new = named(&entry);
                keys.file.add_new(entry, Some(made));
                (new, Origin::Made)
            }
        };
        let Told {
            pin,
            ways,
            is_shared,
        } = in_the_file(folder, &school, &vendor);
        Ok(Rotated {
            old,
            new,
            origin,
            former,
            pin,
            ways,
            is_shared,
        })
    })
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
            let version = there.version;
            let message = format!("version {version} of {school}/{vendor} is prepared already");
            let problem = Problem::error(code::CONFLICT, message);
            return Err(problem.help("without --prepare it is put to use").into());
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
    let Some(in_use) = keys.file.ring.newest(school, &holder).map(named) else {
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
    newest: u32,
) -> Result<Entry, Problems> {
    let Some(version) = newest.checked_add(1) else {
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

/// What the files say that matters to a rotation.
struct Told {
    pin: Option<Place>,
    ways: Vec<(String, usize)>,
    is_shared: bool,
}

/// What is wrong with the files is for `check` to say.
fn in_the_file(folder: &Path, school: &SchoolId, vendor: &VendorId) -> Told {
    let draft = Draft::read(folder, &mut Problems::new());
    let gateway = draft.gateway.as_ref();
    let is_shared = gateway.is_some_and(|gateway| gateway.keys.register.is_none());
    let mut files = draft.vendors();
    let file = files.find(|(its_school, file)| its_school.id == *school && file.id == *vendor);
    let Some(draft) = file.and_then(|(_, file)| file.draft.as_ref()) else {
        return Told {
            pin: None,
            ways: Vec::new(),
            is_shared,
        };
    };
    let home = { draft.kind_specs.iter() }.filter(|spec| spec.back == Back::SchoolOnly);
    let ways = home.map(|spec| (spec.name.clone(), spec.accept_keys));
    let pin = draft.key.as_ref().map(|pin| pin.place.clone());
    Told {
        pin,
        ways: ways.collect(),
        is_shared,
    }
}
