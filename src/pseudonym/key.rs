//! The key of one vendor: made at random, never derived, never shown.

use std::convert::Infallible;
use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use crate::secret::SecretBytes;

/// The key of one vendor at one school, in one version: 32 random bytes.
///
/// It cannot be copied: `Kind` takes what it needs and the key is wiped when it goes.
///
/// ```
/// let key = sluis::pseudonym::VendorKey::from([7; 32]);
/// assert_eq!(format!("{key:?}"), format!("VendorKey({})", key.fingerprint()));
/// ```
/// ```compile_fail
/// let key = sluis::pseudonym::VendorKey::from([7; 32]);
/// let _second = key.clone();
/// ```
pub struct VendorKey(SecretBytes<32>);

impl VendorKey {
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

    /// `HKDF-Expand(vendor key, "sluis v1 fingerprint", 8)`: says which key this is, and no more.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// `HKDF-Expand(vendor key, "sluis v1 kind" ‖ lp(kind), 32)`, filled up with zeros to the block
    /// of SHA-256, as HMAC itself does with a short key (RFC 2104 section 2).
    pub(super) fn kind_key(&self, kind: &str) -> SecretBytes<64> {
        let mut info = b"sluis v1 kind".to_vec();
        push_with_length(kind, &mut info);
        block(&subkey(&self.0, &[&info]))
    }
}

/// `lp(text)`: its length as two bytes, big endian, and then the text.
pub(super) fn push_with_length(text: &str, out: &mut Vec<u8>) {
    // Names, and the clients and scopes of tokens, are far shorter than 2^16: see `limits`.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// `HKDF-Expand(key, info, N)` of RFC 5869 with SHA-256.
pub(super) fn subkey<const N: usize>(key: &SecretBytes<32>, info: &[&[u8]]) -> SecretBytes<N> {
    let filled = SecretBytes::filled(|bytes: &mut [u8; N]| {
        expand(key, info, bytes);
        Ok::<(), Infallible>(())
    });
    match filled {
        Ok(key) => key,
    }
}

/// The key filled up with zeros to the block of SHA-256, as HMAC itself does with a short key.
pub(super) fn block(key: &SecretBytes<32>) -> SecretBytes<64> {
    let filled = SecretBytes::filled(|block: &mut [u8; 64]| {
        // Exposed to the block that becomes HMAC's key.
        block.split_at_mut(32).0.copy_from_slice(key.expose());
        Ok::<(), Infallible>(())
    });
    match filled {
        Ok(block) => block,
    }
}

/// `HKDF-Expand(key, info, length of into)` of RFC 5869 with SHA-256, for at most 8,160 bytes.
pub(super) fn expand(key: &SecretBytes<32>, info: &[&[u8]], into: &mut [u8]) {
    // Exposed to HKDF: our keys are pseudorandom keys in the sense of RFC 5869 section 3.3.
    // Both steps fail on lengths alone (32 is a hash long; 8, 32 and 64 are under 255 hashes).
    if let Ok(hkdf) = Hkdf::<Sha256>::from_prk(key.expose()) {
        let done = hkdf.expand_multi_info(info, into);
        debug_assert!(done.is_ok(), "8, 32 and 64 bytes can always be expanded");
    }
}

impl From<[u8; 32]> for VendorKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::from(bytes))
    }
}

impl fmt::Debug for VendorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VendorKey({})", self.fingerprint())
    }
}

/// Eight public bytes that say which key is meant: printed, logged, pinned. 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// `HKDF-Expand(key, "sluis v1 fingerprint", 8)`.
    pub(super) fn of(key: &SecretBytes<32>) -> Self {
        let mut bytes = [0; 8];
        expand(key, &[b"sluis v1 fingerprint"], &mut bytes);
        Self(bytes)
    }

    /// Reads 16 lowercase hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
