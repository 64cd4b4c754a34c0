//! Bytes that are wiped when they go and that nothing can print, copy or compare in variable time.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// `N` secret bytes.
///
/// Not `Clone`, `Copy` or `PartialEq`, and `Debug` shows the length only:
///
/// ```compile_fail
/// let key = sluis::secret::SecretBytes::from([7; 32]);
/// let _second = key.clone();
/// ```
/// ```
/// let key = sluis::secret::SecretBytes::from([7; 32]);
/// assert_eq!(format!("{key:?}"), "SecretBytes<32>(redacted)");
/// ```
pub struct SecretBytes<const N: usize>([u8; N]);

impl<const N: usize> SecretBytes<N> {
    /// `N` bytes from the operating system's generator.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system has none to give.
    pub fn random() -> Result<Self, NoRandomness> {
        Self::filled(|bytes| getrandom::fill(bytes)).map_err(NoRandomness)
    }

    /// `N` bytes that `fill` writes where they will be wiped; it is given zeros.
    ///
    /// # Errors
    /// Whatever `fill` could not do; then what it wrote is wiped.
    pub fn filled<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self([0; N]);
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Takes the bytes out of a slice of exactly `N`; `None` for any other length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes themselves. The line that calls this says why they must be seen.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Whether `other` holds the same bytes; takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }

    /// Whether no generator would have made these bytes: all the same, or printable text.
    #[must_use]
    pub fn looks_made_by_hand(&self) -> bool {
        let same = self.0.iter().all(|byte| Some(byte) == self.0.first());
        same || self.0.iter().all(|byte| (b' '..=b'~').contains(byte))
    }
}

impl<const N: usize> From<[u8; N]> for SecretBytes<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes<{N}>(redacted)")
    }
}

impl<const N: usize> Drop for SecretBytes<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for SecretBytes<N> {}

/// The state of a hash that has read a key: as good as the key, and kept as it is.
pub struct SecretState([u32; 8]);

impl SecretState {
    /// A state that `fill` makes where it will be wiped; it is given zeros.
    pub fn filled(fill: impl FnOnce(&mut [u32; 8])) -> Self {
        let mut secret = Self([0; 8]);
        fill(&mut secret.0);
        secret
    }

    /// The state itself. The line that calls this says why it must be seen.
    #[must_use]
    pub const fn expose(&self) -> &[u32; 8] {
        &self.0
    }
}

impl fmt::Debug for SecretState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretState(redacted)")
    }
}

impl Drop for SecretState {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretState {}

/// SHA-256 (FIPS 180-4) of a secret: how a token is compared with those that are known.
#[must_use]
pub fn sha256(secret: &[u8]) -> SecretBytes<32> {
    SecretBytes(Sha256::digest(secret).into())
}

/// A secret of any length, as text: a token or password read from a file.
///
/// `Debug` shows nothing of it.
pub struct SecretText(String);

impl SecretText {
    /// Takes the text over; the caller's copy should be gone.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. The line that calls this says why it must be seen.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug)]
pub struct NoRandomness(getrandom::Error);

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no random bytes")
    }
}

impl std::error::Error for NoRandomness {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_and_compares_by_value() {
        let key = SecretBytes::from(*b"0123456789abcdef");
        assert_eq!(format!("{key:?}"), "SecretBytes<16>(redacted)");
        assert!(key.matches(b"0123456789abcdef") && !key.matches(b"0123456789abcdeX"));
        assert!(!key.matches(b"0123"));
        let text = SecretText::new("hunter2".to_owned());
        assert_eq!(format!("{text:?}"), "SecretText(redacted)");
        let state = SecretState::filled(|state| state.fill(7));
        assert_eq!(format!("{state:?}"), "SecretState(redacted)");
        assert_eq!(*state.expose(), [7; 8]);
    }

    #[test]
    fn a_digest_is_that_of_the_standard() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let known = data_encoding::HEXLOWER.decode(abc.as_bytes()).unwrap();
        assert!(sha256(b"abc").matches(&known));
    }

    #[test]
    fn keys_that_no_generator_makes_are_told_apart() {
        assert!(SecretBytes::from([0; 32]).looks_made_by_hand());
        assert!(SecretBytes::from([7; 32]).looks_made_by_hand());
        assert!(SecretBytes::from(*b"0123456789abcdef0123456789abcdef").looks_made_by_hand());
        assert!(!SecretBytes::<32>::random().unwrap().looks_made_by_hand());
    }
}
