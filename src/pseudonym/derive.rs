//! The derivation: one kind of identifier under one vendor's key.

use std::fmt;

use super::mac::Mac;
use super::{Canonical, Fingerprint, Identifier, IdentifierFault, IndexKey, Notation, VendorKey};

/// A kind of identifier as the policy describes it; no key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindSpec {
    /// Its name: part of the derivation.
    pub name: String,
    /// How identifiers become canonical.
    pub canonical: Canonical,
    /// How pseudonyms are written.
    pub notation: Notation,
    /// Whether there is a way back to the school.
    pub back: Back,
    /// What becomes of a pseudonym on its way back that is nobody's.
    pub unknown: Unknown,
    /// How many versions of the key are understood on the way back, the one in use and those before
    /// it; 1 or more.
    pub accept_keys: usize,
}

/// Whether a pseudonym can be turned back into the identifier: `back` in `[ids.NAME]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Back {
    /// `never` (the default): nothing is remembered.
    #[default]
    Never,
    /// `school-only`: the register remembers the identifier, for messages to the school.
    SchoolOnly,
}

impl Back {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::SchoolOnly => "school-only",
        }
    }
}

/// What becomes of a pseudonym that the register does not know: `unknown` in `[ids.NAME]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// `drop`: the field is left out.
    Drop,
    /// `keep`: it goes on as it is; for a vendor's own ids in its answers to a push.
    Keep,
    /// `own`: what does not look like a pseudonym is an id of the vendor's making. It goes to the
    /// school with the vendor's mark, and comes back without it; anything else is refused.
    Own,
    /// `reject` (the default): the message is refused.
    #[default]
    Reject,
}

impl Unknown {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Keep => "keep",
            Self::Own => "own",
            Self::Reject => "reject",
        }
    }
}

/// All kinds of one vendor under one version of its key.
///
/// A vendor has one or more: that of the key in use comes first and makes pseudonyms; former ones,
/// the newest first, only understand those that were made before. One that is prepared comes last,
/// and understands those that another node makes already.
#[derive(Debug)]
pub struct Generation {
    /// The version of the key.
    pub version: u32,
    /// Which key it was: two generations of one key make the same pseudonyms.
    pub fingerprint: Fingerprint,
    /// It makes no pseudonyms here yet.
    pub is_prepared: bool,
    /// The kinds, each at its place in the policy's `kinds`.
    pub kinds: Vec<Kind>,
}

impl Generation {
    /// Keys all kinds of a vendor.
    pub fn new(version: u32, key: &VendorKey, specs: impl IntoIterator<Item = KindSpec>) -> Self {
        let kinds = specs.into_iter().map(|spec| Kind::new(key, spec));
        Self {
            version,
            fingerprint: key.fingerprint(),
            is_prepared: false,
            kinds: kinds.collect(),
        }
    }

    /// The same, of a key that is prepared.
    #[must_use]
    pub fn prepared(self) -> Self {
        Self {
            is_prepared: true,
            ..self
        }
    }
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

    /// Under which key an index has the pseudonym of `id`: what [`Notation::read`] gives for it.
    ///
    /// # Errors
    /// [`IdentifierFault`].
    pub fn index_key(&self, id: Identifier<'_>) -> Result<IndexKey, IdentifierFault> {
        let canonical = self.spec.canonical.form(id)?;
        let key = self.spec.notation.key(|again| self.tag(&canonical, again));
        Ok(key)
    }

    /// Whether this is the pseudonym of `id`, in any case of letters: derives it again and compares
    /// it whole. `key` is what [`Notation::read`] gave for it.
    #[must_use]
    pub fn makes(&self, pseudonym: &str, key: IndexKey, id: Identifier<'_>) -> bool {
        if self.index_key(id) != Ok(key) {
            return false;
        }
        self.spec.notation.is_whole_in_its_key() || {
            let mut written = Vec::new();
            let made = self.write(id, &mut written);
            made.is_ok() && written.eq_ignore_ascii_case(pseudonym.as_bytes())
        }
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

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;
    use crate::pseudonym::CanonicalRule;

    const VECTORS: &str = include_str!("../../tests/vectors/pseudonym-v1.json");

    /// The kind of a vector.
    fn kind(row: &Value) -> Kind {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let rules = row["from"].as_array().unwrap().iter();
        let rules = rules.map(|rule| CanonicalRule::named(rule.as_str().unwrap()).unwrap());
        let looks = text("looks");
        let (look, parameter) = looks.split_once(':').unwrap_or((&looks, ""));
        let (domain, prefix) = (parameter.to_owned(), parameter.to_owned());
        let spec = KindSpec {
            name: text("kind"),
            canonical: Canonical::new(rules.collect()),
            notation: match look {
                "digits" => Notation::Digits(parameter.parse().unwrap()),
                "email" => Notation::Email { domain },
                "hex" => Notation::Hex,
                "text" => Notation::Text(parameter.parse().unwrap()),
                "url" => Notation::Url { prefix },
                _ => Notation::Uuid,
            },
            back: Back::SchoolOnly,
            unknown: Unknown::Reject,
            accept_keys: 1,
        };
        let key = HEXLOWER.decode(text("vendor_key").as_bytes()).unwrap();
        let key: [u8; 32] = key.try_into().unwrap();
        Kind::new(&VendorKey::from(key), spec)
    }

    #[test]
    fn a_kind_makes_the_pseudonyms_of_the_vectors_and_knows_them_again() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for row in vectors["vectors"].as_array().unwrap() {
            let (id, pseudonym) = (&row["id"], &row["pseudonym"]);
            let id = Identifier::new(id.as_str().unwrap());
            let pseudonym = pseudonym.as_str().unwrap();
            let kind = kind(row);
            let shown = format!("Kind({}, {})", kind.spec.name, kind.spec.notation);
            assert_eq!(format!("{kind:?}"), shown);
            let mut written = b"before ".to_vec();
            kind.write(id, &mut written).unwrap();
            assert_eq!(written, format!("before {pseudonym}").as_bytes());
            let notation = &kind.spec().notation;
            let key = notation.read(pseudonym).unwrap();
            assert_eq!(kind.index_key(id), Ok(key));
            assert!(kind.makes(pseudonym, key, id));
            assert!(kind.makes(&pseudonym.to_ascii_uppercase(), key, id));
            assert!(!kind.makes(pseudonym, key, Identifier::new("another")));
            assert!(!kind.makes(pseudonym, key, Identifier::new("")));
            // Beyond what its key holds, another one is seen only if it is compared whole.
            let mut changed = pseudonym.to_owned();
            let last = if changed.pop() == Some('a') { 'b' } else { 'a' };
            changed.push(last);
            if notation.read(&changed) == Some(key) {
                assert!(!kind.makes(&changed, key, id), "{changed}");
            }
        }
    }

    #[test]
    fn words_of_a_file_are_those_of_its_language() {
        let backs = [Back::Never, Back::SchoolOnly].map(Back::name);
        assert_eq!(backs, ["never", "school-only"]);
        let unknowns = [Unknown::Drop, Unknown::Keep, Unknown::Own, Unknown::Reject];
        assert_eq!(
            unknowns.map(Unknown::name),
            ["drop", "keep", "own", "reject"]
        );
    }
}
