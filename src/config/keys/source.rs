//! Where the keys of a configuration come from: from files, or from whoever makes them.

use super::Keys;
use crate::config::Problems;
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Entry, Holder, RegisterKey, TokenKey, VendorKey};

/// The keys of one vendor with their versions.
#[derive(Debug)]
pub struct VendorKeys {
    /// Makes its pseudonyms.
    pub in_use: (u32, VendorKey),
    /// Made them before, the newest first.
    pub former: Vec<(u32, VendorKey)>,
    /// Will make them, and does on another node perhaps.
    pub prepared: Option<(u32, VendorKey)>,
}

impl VendorKeys {
    /// A vendor's first key.
    #[must_use]
    pub const fn first(key: VendorKey) -> Self {
        Self {
            in_use: (1, key),
            former: Vec::new(),
            prepared: None,
        }
    }
}

/// Where the keys of a configuration come from. What is missing or does not open is reported.
pub trait KeySource {
    /// The keys of a vendor.
    fn of_vendor(
        &mut self,
        school: &SchoolId,
        vendor: &VendorId,
        problems: &mut Problems,
    ) -> Option<VendorKeys>;

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
    ) -> Option<VendorKeys> {
        let holder = Holder::Vendor(vendor.clone());
        let ring = &self.file.ring;
        let Some(in_use) = ring.in_use(school, &holder) else {
            self.is_missing(school, &holder, problems);
            return None;
        };
        let mut open = |entry: &Entry| {
            let key = self.opened(entry, entry.vendor_key(&self.master), problems)?;
            Some((entry.version, key))
        };
        let newest_first = ring.of(school, &holder).iter().rev();
        let former = newest_first.filter(|entry| !entry.is_prepared && *entry != in_use);
        let prepared = ring.prepared(school, &holder);
        Some(VendorKeys {
            in_use: open(in_use)?,
            former: former.map(&mut open).collect::<Option<_>>()?,
            prepared: match prepared {
                Some(prepared) => Some(open(prepared)?),
                None => None,
            },
        })
    }

    fn of_register(&mut self, school: &SchoolId, problems: &mut Problems) -> Option<RegisterKey> {
        let Some(entry) = self.file.ring.in_use(school, &Holder::Register) else {
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
    ) -> Option<VendorKeys> {
        self.as_mut()?.of_vendor(school, vendor, problems)
    }

    fn of_register(&mut self, school: &SchoolId, problems: &mut Problems) -> Option<RegisterKey> {
        self.as_mut()?.of_register(school, problems)
    }

    fn token_key(&mut self, problems: &mut Problems) -> Option<TokenKey> {
        self.as_mut()?.token_key(problems)
    }
}
