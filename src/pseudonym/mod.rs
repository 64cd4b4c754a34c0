//! From an identifier and a vendor's key to a pseudonym, and how it is written: derivation v1.
//!
//! ```text
//! kind key  = HKDF-Expand(vendor key, "sluis v1 kind" ‖ lp(kind), 32)              RFC 5869
//! canonical = the rules of the kind, in order             trim, lower, nfc, strip-zeros
//! tag       = HMAC-SHA-256(kind key, canonical)                                    RFC 2104
//! tag i     = HMAC-SHA-256(kind key, 00 ‖ "sluis v1 again" ‖ i ‖ lp(canonical))    i = 1..255
//! ```
//!
//! `lp(x)` is the length of `x` as two bytes, big endian, and then `x`. What a vendor has stored is
//! never changed, only added to: `tests/vectors/` holds this derivation still.
//!
//! The way back leads through a [`Register`] of the identifiers that were let out, each under a
//! [`Seal`]; here stands what one is, and `store` keeps it.

mod canonical;
mod derive;
mod key;
mod known;
mod mac;
mod notation;
mod read;
mod register;
mod ring;
mod seal;
mod token;

pub(crate) use canonical::is_invisible;
pub use canonical::{Canonical, CanonicalRule, IdentifierFault};
pub use derive::{Back, Generation, Kind, KindSpec, Unknown};
pub use key::{Fingerprint, VendorKey};
pub use known::{KnownAnswer, known_answers};
pub use notation::Notation;
pub use read::IndexKey;
pub use register::{Asked, Batch, Form, Recall, Register};
pub use ring::{Entry, Holder, MasterKey, MasterKeyFault, Ring, UnwrapFault, Wrapped};
pub use seal::{Lookup, RegisterKey, Seal};
pub use token::{AccessToken, TokenKey, TokenPlace};

use std::fmt;

/// A pupil's (or anyone's) identifier, borrowed from a message.
///
/// It can be turned into a pseudonym and into nothing else: `Debug` prints its length only, and
/// there is no `Display`.
///
/// ```
/// let id = sluis::pseudonym::Identifier::new("S-64003");
/// assert_eq!(format!("{id:?}"), "Identifier(7 bytes)");
/// ```
/// ```compile_fail
/// let id = sluis::pseudonym::Identifier::new("S-64003");
/// println!("{id}");
/// ```
#[derive(Clone, Copy)]
pub struct Identifier<'a>(&'a str);

impl<'a> Identifier<'a> {
    /// Takes the text of an identifier, unescaped and otherwise as it came.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text itself, for the register, whose work is to remember it.
    #[must_use]
    pub(crate) const fn text(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Identifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({} bytes)", self.0.len())
    }
}
