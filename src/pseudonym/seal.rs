//! How the register keeps an identifier: sealed, under a name that only the key can make.
//!
//! ```text
//! seal key   = HKDF-Expand(register key, "sluis v1 seal", 64)                      RFC 5869
//! lookup key = HKDF-Expand(register key, "sluis v1 lookup", 32)
//! sealed     = AES-256-SIV(seal key, lp(school) ‖ lp(kind), form ‖ id as written)  RFC 5297
//! lookup     = HMAC-SHA-256(lookup key, lp(kind) ‖ canonical)[..16]                RFC 2104
//! spelling   = HMAC-SHA-256(lookup key, lp(kind) ‖ 00 ‖ id as written)[..16]
//! ```
//!
//! `form` is one byte: 0 for text, 1 for a JSON number. `spelling` is the name of an identifier
//! whose `lookup` another spelling of it has taken; no canonical form begins with a 0 byte. Who
//! steals the register without the key learns how many identifiers there are, and how long.

use std::fmt;

use aes_siv::siv::Aes256Siv;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::key::{block, push_with_length, subkey};
use super::{Fingerprint, Form, Identifier};
use crate::limits;
use crate::names::SchoolId;
use crate::secret::SecretBytes;

/// The key of one school's register: 32 random bytes, wrapped in the ring as a vendor's key is.
///
/// ```
/// let key = sluis::pseudonym::RegisterKey::from([7; 32]);
/// assert_eq!(format!("{key:?}"), format!("RegisterKey({})", key.fingerprint()));
/// ```
/// ```compile_fail
/// let key = sluis::pseudonym::RegisterKey::from([7; 32]);
/// let _second = key.clone();
/// ```
pub struct RegisterKey(SecretBytes<32>);

impl RegisterKey {
    /// Takes over 32 secret bytes.
    #[must_use]
    pub const fn new(bytes: SecretBytes<32>) -> Self {
        Self(bytes)
    }

    /// The bytes, to wrap them under the master key and for nothing else.
    #[must_use]
    pub const fn secret(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// `HKDF-Expand(register key, "sluis v1 fingerprint", 8)`: says which key this is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// `HKDF-Expand(register key, label, N)`.
    fn subkey<const N: usize>(&self, label: &[u8]) -> SecretBytes<N> {
        subkey(&self.0, &[label])
    }

    /// The lookup key, filled up with zeros to the block of SHA-256, as HMAC itself does.
    fn lookup_block(&self) -> SecretBytes<64> {
        block(&self.subkey(b"sluis v1 lookup"))
    }
}

impl From<[u8; 32]> for RegisterKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::from(bytes))
    }
}

impl fmt::Debug for RegisterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegisterKey({})", self.fingerprint())
    }
}

/// The name of a row within its school: says nothing without the key.
pub type Lookup = [u8; 16];

/// Seals and opens the identifiers of one kind at one school.
pub struct Seal {
    siv: Aes256Siv,
    /// Has taken in the lookup key and `lp(kind)`.
    named: Hmac<Sha256>,
    /// `lp(school) ‖ lp(kind)`.
    place: Vec<u8>,
}

impl Seal {
    /// Keys the seal of one kind.
    #[must_use]
    pub fn new(key: &RegisterKey, school: &SchoolId, kind: &str) -> Self {
        let mut place = Vec::new();
        push_with_length(school.as_str(), &mut place);
        let school_ends = place.len();
        push_with_length(kind, &mut place);
        let (_, kind) = place.split_at_checked(school_ends).unwrap_or_default();
        // Exposed to HMAC and AES-SIV, whose keys they are.
        let block = key.lookup_block();
        let mut named: Hmac<Sha256> = Hmac::new(block.expose().into());
        named.update(kind);
        Self {
            siv: Aes256Siv::new(key.subkey(b"sluis v1 seal").expose().into()),
            named,
            place,
        }
    }

    /// The name of the row of a canonical identifier.
    #[must_use]
    pub fn lookup(&self, canonical: &str) -> Lookup {
        self.name(&[canonical.as_bytes()])
    }

    /// The name of the row of an identifier whose canonical form has a row already, from another
    /// spelling.
    #[must_use]
    pub fn spelling(&self, id: Identifier<'_>) -> Lookup {
        self.name(&[b"\0", id.0.as_bytes()])
    }

    fn name(&self, parts: &[&[u8]]) -> Lookup {
        let mut mac = self.named.clone();
        parts.iter().for_each(|part| mac.update(part));
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        let [half, _] = super::notation::halves(&tag);
        half
    }

    /// Seals an identifier as the school wrote it: 17 bytes more than its own.
    pub fn close(&mut self, form: Form, id: Identifier<'_>) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(id.0.len().saturating_add(17));
        sealed.extend([0; 16]);
        sealed.push(form.byte());
        sealed.extend_from_slice(id.0.as_bytes());
        let (tag_room, text) = sealed.split_at_mut(16);
        // Fails on more than 126 headers only. A row of zeros would not open again.
        match self.siv.encrypt_inout_detached([&self.place], text.into()) {
            Ok(tag) => tag_room.copy_from_slice(&tag),
            Err(_) => sealed.fill(0),
        }
        sealed
    }

    /// Opens what [`Seal::close`] sealed, at the place of `sealed` itself.
    ///
    /// `None` if it was sealed under another key or for another school or kind, or was changed.
    pub fn open<'a>(&mut self, sealed: &'a mut [u8]) -> Option<(Form, Identifier<'a>)> {
        let (tag, text) = sealed.split_at_mut_checked(16)?;
        let tag = (&*tag).try_into().ok()?;
        let place = [&self.place];
        let room = (&mut *text).into();
        self.siv.decrypt_inout_detached(place, room, &tag).ok()?;
        let (form, id) = text.split_first()?;
        let id = str::from_utf8(id).ok()?;
        let fits = (1..=limits::IDENTIFIER_WRITTEN_BYTES_MAX).contains(&id.len());
        Some((Form::of_byte(*form)?, Identifier(id))).filter(|_| fits)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;
    use crate::pseudonym::{Canonical, CanonicalRule};

    const VECTORS: &str = include_str!("../../tests/vectors/register-v1.json");

    fn key(first: u8) -> RegisterKey {
        RegisterKey::from(std::array::from_fn(|place| {
            first.saturating_add(u8::try_from(place).unwrap())
        }))
    }

    fn school(name: &str) -> SchoolId {
        SchoolId::parse(name).unwrap()
    }

    fn seal(name: &str, kind: &str) -> Seal {
        Seal::new(&key(0), &school(name), kind)
    }

    fn opened(seal: &mut Seal, sealed: &[u8]) -> Option<(Form, String)> {
        let mut sealed = sealed.to_vec();
        let (form, id) = seal.open(&mut sealed)?;
        Some((form, id.0.to_owned()))
    }

    #[test]
    fn rows_are_named_as_the_vectors_say() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors["vectors"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let bytes = HEXLOWER.decode(text("register_key").as_bytes()).unwrap();
            let key = RegisterKey::new(SecretBytes::from_slice(&bytes).unwrap());
            let fingerprint = &vectors["fingerprints"][text("register_key")];
            assert_eq!(*fingerprint, key.fingerprint().to_string());
            let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
            assert_eq!(
                hex(key.subkey::<64>(b"sluis v1 seal").expose()),
                text("seal_key")
            );
            assert_eq!(hex(&key.lookup_block().expose()[..32]), text("lookup_key"));
            let rules = vector["from"].as_array().unwrap();
            let rules = rules.iter().map(|rule| rule.as_str().unwrap());
            let rules = rules.map(|rule| CanonicalRule::named(rule).unwrap());
            let id = Identifier::new(text("id"));
            let canonical = Canonical::new(rules.collect());
            let canonical = canonical.form(id).unwrap();
            assert_eq!(hex(canonical.as_bytes()), text("canonical_hex"));
            let seal = Seal::new(&key, &school("regenboog"), text("kind"));
            assert_eq!(hex(&seal.lookup(&canonical)), text("lookup"));
            assert_eq!(hex(&seal.spelling(id)), text("spelling"));
        }
    }

    /// Made with another implementation of AES-SIV, that of Python's `cryptography` (OpenSSL).
    #[test]
    fn sealing_is_frozen() {
        let frozen = [
            (
                Form::Text,
                "95312",
                "c47cae2fc8892aea0f574d1dc62de5ec39ea07bf72af",
            ),
            (
                Form::Number,
                "95312",
                "4fd5c2b975d6c861eed30e6e41c750cae6ee433b8fa6",
            ),
            (
                Form::Text,
                "Zoë",
                "26fc2054cf713c2ef77beabd70fba0f830e5b9cbc0",
            ),
            (
                Form::Text,
                "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44",
                "c919cf378f906095b4fc2890299d13c790b15d8d4e87cc0e89821b8d71f8c47c\
                 e3c21fa558d4c62dfef56d644a2597b2c272be8f46",
            ),
        ];
        let mut seal = seal("regenboog", "pupil");
        for (form, id, answer) in frozen {
            let sealed = seal.close(form, Identifier::new(id));
            assert_eq!(HEXLOWER.encode(&sealed), answer);
            assert_eq!(opened(&mut seal, &sealed), Some((form, id.to_owned())));
        }
    }

    #[test]
    fn a_row_that_was_moved_or_changed_does_not_open() {
        let mut right = seal("regenboog", "pupil");
        let sealed = right.close(Form::Text, Identifier::new("S-64003"));
        assert!(opened(&mut right, &sealed).is_some());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(opened(&mut right, &changed), None, "byte {place}");
            assert_eq!(opened(&mut right, &sealed[..place]), None, "cut at {place}");
        }
        for mut wrong in [
            seal("zonnebloem", "pupil"),
            seal("regenboog", "staff"),
            seal("regenboogp", "upil"),
            Seal::new(&key(1), &school("regenboog"), "pupil"),
        ] {
            assert_eq!(opened(&mut wrong, &sealed), None);
        }
    }

    #[test]
    fn what_is_no_identifier_does_not_open() {
        let mut seal = seal("regenboog", "pupil");
        let longest = "a".repeat(limits::IDENTIFIER_WRITTEN_BYTES_MAX);
        let sealed = seal.close(Form::Text, Identifier::new(&longest));
        assert!(opened(&mut seal, &sealed).is_some());
        for text in ["", &format!("{longest}a")] {
            let sealed = seal.close(Form::Text, Identifier::new(text));
            assert_eq!(opened(&mut seal, &sealed), None);
        }
        assert_eq!(opened(&mut seal, &[0; 16]), None);
        assert_eq!(format!("{seal:?}"), "Seal(redacted)");
    }
}
