//! A new key for one vendor, beside those it had.

use std::path::Path;

use super::{Keys, Made, holders, new_entry, opened, places};
use crate::config::code;
use crate::config::draft::Draft;
use crate::config::guarded;
use crate::config::problem::{Place, Problem, Problems};
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Back, Fingerprint, Holder};

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
    /// Versions of the keys before it, the newest first.
    pub former: Vec<u32>,
    /// Where the vendor's file pins a key, which is not the new one.
    pub pin: Option<Place>,
    /// The kinds of identifiers with a way back, and how many keys each understands.
    pub ways: Vec<(String, usize)>,
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

/// Makes the next version of a vendor's key, and leaves the others where they are.
///
/// # Errors
/// The vendor has no key yet, a key that is there does not open, or the ring cannot be written.
pub fn rotate(folder: &Path, rotation: Rotation) -> Result<Rotated, Problems> {
    let (places, _) = places(folder)?;
    guarded::make_folder(&places.ring)?;
    let _lock = guarded::lock_folder(&places.ring)?;
    let mut keys = opened(&places, folder)?;
    let Rotation {
        school,
        vendor,
        made,
    } = rotation;
    let holder = Holder::Vendor(vendor.clone());
    let Some(old) = newest(&keys, &school, &holder) else {
        let mut missing = Problems::new();
        keys.is_missing(&school, &holder, &mut missing);
        return Err(missing);
    };
    let Some(version) = old.0.checked_add(1) else {
        let message = format!("{school}/{vendor} has had as many keys as there can be");
        return Err(Problem::error(code::TOO_MANY, message).into());
    };
    let former = former(&keys, &school, &holder);
    let entry = new_entry(&keys.master, &school, &holder, version)?;
    let new = (version, entry.fingerprint);
    keys.file.add_new(entry, Some(made));
    keys.file.write(&places.ring)?;
    let (pin, ways) = in_the_file(folder, &school, &vendor);
    Ok(Rotated {
        old,
        new,
        former,
        pin,
        ways,
    })
}

fn former(keys: &Keys, school: &SchoolId, holder: &Holder) -> Vec<u32> {
    let entries = keys.file.ring.entries().iter();
    let its = entries.filter(|it| it.school == *school && it.holder == *holder);
    let mut versions: Vec<u32> = its.map(|it| it.version).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions
}

fn newest(keys: &Keys, school: &SchoolId, holder: &Holder) -> Option<(u32, Fingerprint)> {
    let newest = keys.file.ring.newest(school, holder)?;
    Some((newest.version, newest.fingerprint))
}

/// What the vendor's file says of keys. What is wrong with the file is for `check` to say.
fn in_the_file(
    folder: &Path,
    school: &SchoolId,
    vendor: &VendorId,
) -> (Option<Place>, Vec<(String, usize)>) {
    let draft = Draft::read(folder, &mut Problems::new());
    let mut files = draft.vendors();
    let file = files.find(|(its_school, file)| its_school.id == *school && file.id == *vendor);
    let Some(draft) = file.and_then(|(_, file)| file.draft.as_ref()) else {
        return (None, Vec::new());
    };
    let home = { draft.kind_specs.iter() }.filter(|spec| spec.back == Back::SchoolOnly);
    let ways = home.map(|spec| (spec.name.clone(), spec.accept_keys));
    let pin = draft.key.as_ref().map(|pin| pin.place.clone());
    (pin, ways.collect())
}
