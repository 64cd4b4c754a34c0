//! Where the keys of a configuration come from: from files, or from whoever makes them.

use super::Keys;
use crate::config::Problems;
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Entry, Holder, RegisterKey, TokenKey, VendorKey};

/// Where the keys of a configuration come from. What is missing or does not open is reported.
pub trait KeySource {
    /// The keys of a vendor with their versions, the newest first; one at least.
    fn of_vendor(
        &mut self,
        school: &SchoolId,
        vendor: &VendorId,
        problems: &mut Problems,
    ) -> Option<Vec<(u32, VendorKey)>>;

    /// The key of a school's register.
    fn of_register(&mut self, school: &SchoolId, problems: &mut Problems) -> Option<RegisterKey>;

    /// What access tokens of ours are made and known by.
    fn token_key(&mut self, problems: &mut Problems) -> Option<TokenKey>;
}

impl KeySource for Keys {
    fn of_vendor(
        &mut self,
        school: &SchoolId,
        vendor: &VendorId,
        problems: &mut Problems,
    ) -> Option<Vec<(u32, VendorKey)>> {
        let holder = Holder::Vendor(vendor.clone());
        let entries = self.file.ring.of(school, &holder);
        if entries.is_empty() {
            self.is_missing(school, &holder, problems);
            return None;
        }
        let open = |entry: &Entry| {
            let key = self.opened(entry, entry.vendor_key(&self.master), problems)?;
            Some((entry.version, key))
        };
        entries.iter().rev().map(open).collect()
    }

    fn of_register(&mut self, school: &SchoolId, problems: &mut Problems) -> Option<RegisterKey> {
        let Some(entry) = self.file.ring.newest(school, &Holder::Register) else {
            self.is_missing(school, &Holder::Register, problems);
            return None;
        };
        self.opened(entry, entry.register_key(&self.master), problems)
    }

    /// Of the master key, so that every gateway with the same keys knows the same tokens.
    fn token_key(&mut self, _: &mut Problems) -> Option<TokenKey> {
        Some(TokenKey::of(&self.master))
    }
}

/// No keys: whoever has none may still look at everything else.
impl<K: KeySource> KeySource for Option<K> {
    fn of_vendor(
        &mut self,
        school: &SchoolId,
        vendor: &VendorId,
        problems: &mut Problems,
    ) -> Option<Vec<(u32, VendorKey)>> {
        self.as_mut()?.of_vendor(school, vendor, problems)
    }

    fn of_register(&mut self, school: &SchoolId, problems: &mut Problems) -> Option<RegisterKey> {
        self.as_mut()?.of_register(school, problems)
    }

    fn token_key(&mut self, problems: &mut Problems) -> Option<TokenKey> {
        self.as_mut()?.token_key(problems)
    }
}
