//! The master key, and the ring of keys wrapped under it: one for each vendor, and one for each
//! school's register. No files: `config` reads and writes them.
//!
//! ```text
//! wrapping key = HKDF-Expand(master key, "sluis v1 wrap", 64)                          RFC 5869
//! wrapped      = AES-256-SIV(wrapping key, lp(school) ‖ lp(vendor) ‖ version, key)     RFC 5297
//! ```
//!
//! The vendor of a register's key is the empty name, which no vendor has.
//!
//! A vendor key is random and wrapped, not derived: a deleted entry makes that vendor's pseudonyms
//! underivable for ever, and a new master key re-wraps without changing one pseudonym. School,
//! vendor and version are authenticated, so an entry that was moved to another place does not open.

use std::fmt;

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};

use super::key::{push_with_length, subkey};
use super::{Fingerprint, RegisterKey, VendorKey};
use crate::names::{SchoolId, VendorId};
use crate::secret::{NoRandomness, SecretBytes, SecretText};

const PREFIX: &str = "sluis-master-1-";
/// 32 bytes in base64url without padding.
const BODY_CHARS: usize = 43;

/// The key that wraps all keys of one gateway: 32 random bytes.
///
/// Its text form is `sluis-master-1-<base64url>-<check>`, where the check is the first 4 bytes of
/// `SHA-256("sluis master 1" ‖ key)` in hex, so that a typing error shows.
pub struct MasterKey(pub(super) SecretBytes<32>);

impl MasterKey {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system has no random bytes to give.
    pub fn random() -> Result<Self, NoRandomness> {
        SecretBytes::random().map(Self)
    }

    /// Reads the text form; white space around it is left out.
    ///
    /// # Errors
    /// [`MasterKeyFault`], which holds nothing of the text.
    pub fn parse(text: &str) -> Result<Self, MasterKeyFault> {
        let rest = text
            .trim_ascii()
            .strip_prefix(PREFIX)
            .ok_or(MasterKeyFault::Prefix)?;
        let (body, check) = rest.rsplit_once('-').ok_or(MasterKeyFault::Typing)?;
        if body.len() != BODY_CHARS {
            return Err(MasterKeyFault::Typing);
        }
        let key = SecretBytes::filled(|bytes| {
            let decoded = BASE64URL_NOPAD.decode_mut(body.as_bytes(), bytes);
            decoded.map_or(Err(MasterKeyFault::Typing), |_| Ok(()))
        });
        let key = Self(key?);
        if key.check() != check {
            Err(MasterKeyFault::Typing)
        } else if key.0.looks_made_by_hand() {
            Err(MasterKeyFault::MadeByHand)
        } else {
            Ok(key)
        }
    }

    /// The text form with a line end, for a file that only this gateway may read.
    #[must_use]
    pub fn to_text(&self) -> SecretText {
        // Exposed to be written down: this is the step that makes the file.
        let body = SecretText::new(BASE64URL_NOPAD.encode(self.0.expose()));
        SecretText::new([PREFIX, body.expose(), "-", &self.check(), "\n"].concat())
    }

    fn check(&self) -> String {
        // Exposed to SHA-256: 4 bytes of its 32 stand beside the key, in the key's own file.
        let digest = Sha256::new()
            .chain_update("sluis master 1")
            .chain_update(self.0.expose());
        let digest: [u8; 32] = digest.finalize().into();
        HEXLOWER.encode(digest.first_chunk::<4>().unwrap_or(&[0; 4]))
    }

    /// AES-256-SIV under the wrapping key.
    fn siv(&self) -> Aes256Siv {
        let key = subkey(&self.0, &[b"sluis v1 wrap"]);
        // Exposed to AES-SIV, whose key it is.
        Aes256Siv::new(key.expose().into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

/// Why a text is not a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterKeyFault {
    /// All bytes are the same, or printable text: no generator made it.
    MadeByHand,
    /// It does not begin with `sluis-master-1-`.
    Prefix,
    /// It begins well, and a character is wrong, missing or too many.
    Typing,
}

impl fmt::Display for MasterKeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MadeByHand => "its bytes are all the same or plain text: no generator made them",
            Self::Prefix => "it is no master key: one begins with sluis-master-1-",
            Self::Typing => "its check value does not fit: a character is wrong or missing",
        })
    }
}

impl std::error::Error for MasterKeyFault {}

/// A wrapped key: 16 bytes of tag and 32 of ciphertext, written in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped([u8; 48]);

impl Wrapped {
    /// Reads 64 characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

/// What a key of the ring is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// It seals the school's register.
    Register,
    /// It makes the pseudonyms of this vendor.
    Vendor(VendorId),
}

impl Holder {
    /// The vendor's name; the register has none.
    fn name(&self) -> &str {
        match self {
            Self::Register => "",
            Self::Vendor(vendor) => vendor.as_str(),
        }
    }
}

/// One key in one version: where it belongs, how it is wrapped, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose key.
    pub school: SchoolId,
    /// What for.
    pub holder: Holder,
    /// 1 for the first; the newest that is not prepared is in use.
    pub version: u32,
    /// Its pseudonyms are understood, and none is made with it yet. Never of a register.
    pub is_prepared: bool,
    /// The key, wrapped for exactly this place.
    pub wrapped: Wrapped,
    /// Pins the key: one with another fingerprint is refused.
    pub fingerprint: Fingerprint,
}

impl Entry {
    /// Wraps a vendor's key for its place.
    #[must_use]
    pub fn of_vendor(
        master: &MasterKey,
        school: SchoolId,
        vendor: VendorId,
        version: u32,
        key: &VendorKey,
    ) -> Self {
        let entry = Self::empty(school, Holder::Vendor(vendor), version, key.fingerprint());
        entry.wrap(master, key.secret())
    }

    /// Wraps the key of a school's register for its place.
    #[must_use]
    pub fn of_register(
        master: &MasterKey,
        school: SchoolId,
        version: u32,
        key: &RegisterKey,
    ) -> Self {
        let entry = Self::empty(school, Holder::Register, version, key.fingerprint());
        entry.wrap(master, key.secret())
    }

    const fn empty(
        school: SchoolId,
        holder: Holder,
        version: u32,
        fingerprint: Fingerprint,
    ) -> Self {
        Self {
            school,
            holder,
            version,
            is_prepared: false,
            wrapped: Wrapped([0; 48]),
            fingerprint,
        }
    }

    fn wrap(mut self, master: &MasterKey, key: &SecretBytes<32>) -> Self {
        // Exposed to AES-SIV, which turns this copy into ciphertext where it lies.
        let mut bytes = *key.expose();
        let place = [self.place()];
        // Fails on more than 126 headers only. An entry of zeros would not open again.
        if let Ok(tag) = master
            .siv()
            .encrypt_inout_detached(place, bytes.as_mut_slice().into())
        {
            let (tag_room, text_room) = self.wrapped.0.split_at_mut(16);
            tag_room.copy_from_slice(&tag);
            text_room.copy_from_slice(&bytes);
        }
        self
    }

    /// Opens a vendor's key, and compares it with its fingerprint.
    ///
    /// # Errors
    /// [`UnwrapFault`]; [`UnwrapFault::Sealed`] also for the key of a register.
    pub fn vendor_key(&self, master: &MasterKey) -> Result<VendorKey, UnwrapFault> {
        match self.holder {
            Holder::Register => Err(UnwrapFault::Sealed),
            Holder::Vendor(_) => self.open(master).map(VendorKey::new),
        }
    }

    /// Opens the key of a register, and compares it with its fingerprint.
    ///
    /// # Errors
    /// [`UnwrapFault`]; [`UnwrapFault::Sealed`] also for a vendor's key.
    pub fn register_key(&self, master: &MasterKey) -> Result<RegisterKey, UnwrapFault> {
        match self.holder {
            Holder::Register => self.open(master).map(RegisterKey::new),
            Holder::Vendor(_) => Err(UnwrapFault::Sealed),
        }
    }

    fn open(&self, master: &MasterKey) -> Result<SecretBytes<32>, UnwrapFault> {
        let (tag, text) = self.wrapped.0.split_at(16);
        let tag = tag.try_into().map_err(|_fault| UnwrapFault::Sealed)?;
        let key = SecretBytes::filled(|bytes: &mut [u8; 32]| {
            bytes.copy_from_slice(text);
            let room = bytes.as_mut_slice().into();
            let opened = master
                .siv()
                .decrypt_inout_detached([self.place()], room, &tag);
            opened.map_err(|_fault| UnwrapFault::Sealed)
        })?;
        let same = Fingerprint::of(&key) == self.fingerprint;
        same.then_some(key).ok_or(UnwrapFault::Fingerprint)
    }

    /// `lp(school) ‖ lp(vendor) ‖ u32 version`: what is authenticated with the key.
    fn place(&self) -> Vec<u8> {
        let mut place = Vec::new();
        push_with_length(self.school.as_str(), &mut place);
        push_with_length(self.holder.name(), &mut place);
        place.extend_from_slice(&self.version.to_be_bytes());
        place
    }
}

/// Why a wrapped key does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwrapFault {
    /// It opens, and is not the key whose fingerprint stands beside it.
    Fingerprint,
    /// Another master key wrapped it, or for another place, or it was changed.
    Sealed,
}

impl fmt::Display for UnwrapFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fingerprint => "the key is not the one whose fingerprint stands beside it",
            Self::Sealed => {
                "it was wrapped under another master key or for another vendor, or it was changed"
            }
        })
    }
}

impl std::error::Error for UnwrapFault {}

/// All wrapped keys of one gateway, each once: sorted by school, within it the register's before
/// the vendors', and by version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    entries: Vec<Entry>,
}

impl Ring {
    /// Adds an entry at its place.
    ///
    /// # Errors
    /// Gives it back if that school, holder and version has a key already: none is overwritten.
    pub fn insert(&mut self, entry: Entry) -> Result<(), Entry> {
        let order = |entry: &Entry| (entry.school.clone(), entry.holder.clone(), entry.version);
        match self.entries.binary_search_by_key(&order(&entry), order) {
            Ok(_) => Err(entry),
            Err(place) => {
                self.entries.insert(place, entry);
                Ok(())
            }
        }
    }

    /// All entries, sorted by school, holder and version.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All keys of one holder, oldest first; the last one that is not prepared is in use.
    #[must_use]
    pub fn of(&self, school: &SchoolId, holder: &Holder) -> &[Entry] {
        let place = (school, holder);
        let before = |entry: &Entry| (&entry.school, &entry.holder) < place;
        let up_to = |entry: &Entry| (&entry.school, &entry.holder) <= place;
        let start = self.entries.partition_point(before);
        let end = self.entries.partition_point(up_to);
        self.entries.get(start..end).unwrap_or_default()
    }

    /// The key in use for a holder: the one of the highest version that is not prepared.
    #[must_use]
    pub fn in_use(&self, school: &SchoolId, holder: &Holder) -> Option<&Entry> {
        let mut newest_first = self.of(school, holder).iter().rev();
        newest_first.find(|entry| !entry.is_prepared)
    }

    /// The key that is prepared for a holder.
    #[must_use]
    pub fn prepared(&self, school: &SchoolId, holder: &Holder) -> Option<&Entry> {
        let newest = self.of(school, holder).last();
        newest.filter(|entry| entry.is_prepared)
    }

    /// Puts the key that is prepared for a holder to use.
    pub fn put_to_use(&mut self, school: &SchoolId, holder: &Holder) {
        let its = |entry: &&mut Entry| (&entry.school, &entry.holder) == (school, holder);
        for entry in self.entries.iter_mut().filter(its) {
            entry.is_prepared = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes 96 to 127; made with a second implementation, as `WRAPPED` was.
    const MASTER: &str = "sluis-master-1-YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8-025fc299";
    /// The bytes 0 to 31 under that key for regenboog, rekenwijs, 1: OpenSSL's AES-256-SIV.
    const WRAPPED: &str = "zRKvbJs60LyuMdDR832CuD6tsId-jaLzTqihuuUyyoy3PyC4TyF0DUYS3qbebM4h";
    /// The same for the register of regenboog, made the same way.
    const WRAPPED_REGISTER: &str =
        "3gEZNefaMY1dxAkza_9TMr8WI3vN98yg3IeR3gywViWj4DTh0ci9czHM_duQFfK3";

    fn entry(vendor: &str, version: u32) -> Entry {
        let key = VendorKey::from(std::array::from_fn(|place| u8::try_from(place).unwrap()));
        let (school, vendor) = (SchoolId::parse("regenboog"), VendorId::parse(vendor));
        let master = MasterKey::parse(MASTER).unwrap();
        Entry::of_vendor(&master, school.unwrap(), vendor.unwrap(), version, &key)
    }

    fn vendor(name: &str) -> Holder {
        Holder::Vendor(VendorId::parse(name).unwrap())
    }

    fn register_entry() -> Entry {
        let key = RegisterKey::from(std::array::from_fn(|place| u8::try_from(place).unwrap()));
        let school = SchoolId::parse("regenboog").unwrap();
        Entry::of_register(&MasterKey::parse(MASTER).unwrap(), school, 1, &key)
    }

    #[test]
    fn wrapping_is_frozen() {
        let entry = entry("rekenwijs", 1);
        assert_eq!(entry.wrapped.to_string(), WRAPPED);
        assert_eq!(entry.fingerprint.to_string(), "41fcfbb21dbaeda8");
        assert_eq!(Wrapped::parse(WRAPPED), Some(entry.wrapped.clone()));
        let opened = entry.vendor_key(&MasterKey::parse(MASTER).unwrap());
        let opened = opened.unwrap();
        assert_eq!(opened.fingerprint(), entry.fingerprint);
        assert_eq!(opened.secret().expose()[..4], [0, 1, 2, 3]);
        assert_eq!(format!("{opened:?}"), "VendorKey(41fcfbb21dbaeda8)");
        assert_eq!(format!("{:?}", entry.fingerprint), "41fcfbb21dbaeda8");
    }

    #[test]
    fn the_key_of_a_register_is_wrapped_for_a_vendor_without_a_name() {
        let master = MasterKey::parse(MASTER).unwrap();
        let entry = register_entry();
        assert_eq!(entry.wrapped.to_string(), WRAPPED_REGISTER);
        assert_eq!(entry.place(), b"\0\x09regenboog\0\0\0\0\0\x01");
        let opened = entry.register_key(&master).unwrap();
        assert_eq!(opened.secret().expose()[..4], [0, 1, 2, 3]);
        assert_eq!(format!("{opened:?}"), "RegisterKey(41fcfbb21dbaeda8)");
    }

    #[test]
    fn a_key_opens_as_what_it_is_for_only() {
        let master = MasterKey::parse(MASTER).unwrap();
        let as_vendor = register_entry().vendor_key(&master).map(|_| "opened");
        assert_eq!(as_vendor, Err(UnwrapFault::Sealed));
        let as_register = entry("rekenwijs", 1).register_key(&master);
        assert_eq!(as_register.map(|_| "opened"), Err(UnwrapFault::Sealed));
        let moved = Entry {
            holder: Holder::Register,
            ..entry("rekenwijs", 1)
        };
        let moved = moved.register_key(&master).map(|_| "opened");
        assert_eq!(moved, Err(UnwrapFault::Sealed));
    }

    #[test]
    fn an_entry_that_was_moved_or_changed_does_not_open() {
        let master = MasterKey::parse(MASTER).unwrap();
        let good = entry("rekenwijs", 1);
        assert!(good.vendor_key(&master).is_ok());
        let refused = |change: &dyn Fn(&mut Entry)| {
            let mut entry = good.clone();
            change(&mut entry);
            entry.vendor_key(&master).map(|_| "opened")
        };
        let sealed = Err(UnwrapFault::Sealed);
        assert_eq!(
            refused(&|entry| entry.school = SchoolId::parse("zonnebloem").unwrap()),
            sealed
        );
        assert_eq!(refused(&|entry| entry.holder = vendor("toetsbron")), sealed);
        assert_eq!(refused(&|entry| entry.version = 2), sealed);
        for place in [0, 15, 16, 47] {
            assert_eq!(refused(&|entry| entry.wrapped.0[place] ^= 1), sealed);
        }
        let other = Fingerprint::parse("0000000000000000").unwrap();
        let refused = refused(&|entry| entry.fingerprint = other);
        assert_eq!(refused, Err(UnwrapFault::Fingerprint));
        assert!(good.vendor_key(&MasterKey::random().unwrap()).is_err());
    }

    #[test]
    fn names_cannot_slide_into_each_other() {
        let slid = |school: &str, vendor: &str| {
            Entry {
                school: SchoolId::parse(school).unwrap(),
                holder: self::vendor(vendor),
                ..entry("a", 1)
            }
            .place()
        };
        assert_ne!(slid("ab", "c"), slid("a", "bc"));
    }

    #[test]
    fn a_typing_error_in_a_master_key_is_told_from_what_is_no_master_key() {
        let fault = |text: &str| MasterKey::parse(text).map(|_| "read");
        assert_eq!(fault(&format!(" {MASTER}\n")), Ok("read"));
        for text in [
            "",
            "sluis-master-",
            "secret",
            &MASTER.to_uppercase(),
            MASTER.trim_start_matches('s'),
        ] {
            assert_eq!(fault(text), Err(MasterKeyFault::Prefix), "{text}");
        }
        let typing = Err(MasterKeyFault::Typing);
        assert_eq!(fault("sluis-master-1-"), typing);
        assert_eq!(fault(&MASTER.replace("-025f", "025f")), typing);
        assert_eq!(fault(&format!("{MASTER}0")), typing);
        assert_eq!(fault(&MASTER.replace("YGFi", "YGFi=")), typing);
        let start = PREFIX.len();
        for place in start..MASTER.len() {
            let mut text = MASTER.to_owned();
            let other = match text.as_bytes()[place] {
                b'a' => "b",
                _ => "a",
            };
            text.replace_range(place..=place, other);
            assert_eq!(fault(&text), typing, "a wrong character at {place}");
            text.replace_range(place..=place, "");
            assert_eq!(fault(&text), typing, "no character at {place}");
        }
    }

    #[test]
    fn a_master_key_that_a_hand_made_is_refused() {
        for bytes in [[0; 32], [0x41; 32], *b"correct horse battery staple 123"] {
            let text = MasterKey(SecretBytes::from(bytes)).to_text();
            let fault = MasterKey::parse(text.expose()).map(|_| "read");
            assert_eq!(fault, Err(MasterKeyFault::MadeByHand));
        }
    }

    #[test]
    fn a_master_key_reads_back_and_prints_nothing() {
        let master = MasterKey::random().unwrap();
        let again = MasterKey::parse(master.to_text().expose()).unwrap();
        assert!(again.0.matches(master.0.expose()));
        assert_eq!(format!("{master:?}"), "MasterKey(redacted)");
    }

    #[test]
    fn a_fault_is_told_in_words_of_its_own() {
        let faults = [
            MasterKeyFault::MadeByHand.to_string(),
            MasterKeyFault::Prefix.to_string(),
            MasterKeyFault::Typing.to_string(),
            UnwrapFault::Fingerprint.to_string(),
            UnwrapFault::Sealed.to_string(),
        ];
        let words = [
            "no generator",
            PREFIX,
            "check value",
            "fingerprint",
            "another master key",
        ];
        for (fault, words) in faults.iter().zip(words) {
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn a_ring_is_sorted_and_overwrites_nothing() {
        let mut ring = Ring::default();
        for (vendor, version) in [
            ("toetsbron", 1),
            ("rekenwijs", 2),
            ("rekenwijs", 10),
            ("a", 1),
        ] {
            assert_eq!(ring.insert(entry(vendor, version)), Ok(()));
        }
        assert_eq!(ring.insert(register_entry()), Ok(()));
        let again = entry("rekenwijs", 2);
        assert_eq!(ring.insert(again.clone()), Err(again));
        let order: Vec<_> = ring.entries().iter().map(|entry| entry.version).collect();
        assert_eq!(order, [1, 1, 2, 10, 1]);
        let school = SchoolId::parse("regenboog").unwrap();
        let in_use = |holder| ring.in_use(&school, &holder).map(|entry| entry.version);
        assert_eq!(in_use(vendor("rekenwijs")), Some(10));
        assert_eq!(in_use(vendor("b")), None);
        assert_eq!(in_use(Holder::Register), Some(1));
        assert_eq!(ring.of(&school, &vendor("rekenwijs")).len(), 2);
        let elsewhere = SchoolId::parse("zonnebloem").unwrap();
        assert!(ring.of(&elsewhere, &Holder::Register).is_empty());
    }

    #[test]
    fn a_key_that_is_prepared_is_not_in_use_until_it_is_put_to_use() {
        let mut ring = Ring::default();
        let school = SchoolId::parse("regenboog").unwrap();
        let versions = |ring: &Ring, name| {
            let version = |entry: Option<&Entry>| entry.map(|entry| entry.version);
            let of = (&school, &vendor(name));
            (
                version(ring.in_use(of.0, of.1)),
                version(ring.prepared(of.0, of.1)),
            )
        };
        for name in ["rekenwijs", "toetsbron"] {
            ring.insert(entry(name, 1)).unwrap();
            assert_eq!(versions(&ring, name), (Some(1), None));
            let prepared = Entry {
                is_prepared: true,
                ..entry(name, 2)
            };
            ring.insert(prepared).unwrap();
            assert_eq!(versions(&ring, name), (Some(1), Some(2)));
        }
        ring.put_to_use(&school, &vendor("rekenwijs"));
        assert_eq!(versions(&ring, "rekenwijs"), (Some(2), None));
        assert_eq!(versions(&ring, "toetsbron"), (Some(1), Some(2)));
    }
}
