//! The derivation: one kind of identifier under one vendor's key.

use std::fmt;

use super::mac::Mac;
use super::{Canonical, Identifier, IdentifierFault, Notation, VendorKey};

/// A kind of identifier as the policy describes it; no key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindSpec {
    /// Its name: part of the derivation.
    pub name: String,
    /// How identifiers become canonical.
    pub canonical: Canonical,
    /// How pseudonyms are written.
    pub notation: Notation,
}

/// A kind of identifier under one vendor's key: makes pseudonyms.
///
/// It holds an HMAC that has taken the key in, and remembers nothing between two pseudonyms.
pub struct Kind {
    mac: Mac,
    spec: KindSpec,
}

impl Kind {
    /// Keys this kind for one vendor.
    #[must_use]
    pub fn new(key: &VendorKey, spec: KindSpec) -> Self {
        Self {
            mac: Mac::new(&key.kind_key(&spec.name)),
            spec,
        }
    }

    /// What the policy says of this kind.
    #[must_use]
    pub const fn spec(&self) -> &KindSpec {
        &self.spec
    }

    /// Appends the pseudonym of `id`, as the kind's [`Notation`] writes it, to `out`.
    ///
    /// What is appended is ASCII and needs no escaping in JSON; it is public towards this vendor.
    ///
    /// # Errors
    /// [`IdentifierFault`]; then nothing was appended.
    pub fn write(&self, id: Identifier<'_>, out: &mut Vec<u8>) -> Result<(), IdentifierFault> {
        let canonical = self.spec.canonical.form(id)?;
        self.spec
            .notation
            .write(|again| self.tag(&canonical, again), out);
        Ok(())
    }

    /// `tag` for 0, `tag i` for i ≥ 1.
    fn tag(&self, canonical: &str, again: u8) -> [u8; 32] {
        if again == 0 {
            return self.mac.tag(canonical.as_bytes());
        }
        // A canonical identifier is at most `limits::IDENTIFIER_BYTES_MAX` long.
        let length = u16::try_from(canonical.len()).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        let framed = [
            b"\0sluis v1 again",
            &[again, high, low][..],
            canonical.as_bytes(),
        ];
        self.mac.tag(&framed.concat())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({}, {})", self.spec.name, self.spec.notation)
    }
}
