//! What the answer to a caller and the line of the log share.

use std::fmt;

use crate::secret::{NoRandomness, SecretBytes};

/// The four bits that say which version of UUID it is (RFC 9562 section 4.2).
const VERSION: u128 = 0xf << 76;
const RANDOM: u128 = 4 << 76;
/// The two bits that say which variant (section 4.1).
const VARIANT: u128 = 0b11 << 62;
const STANDARD: u128 = 0b10 << 62;

/// One refusal among all: a random UUID, so that a caller can say which one it means.
///
/// Nothing else can be made one, so that nothing of a message or of a caller stands in it:
///
/// ```
/// let reference = sluis::refusal::Reference::random().unwrap();
/// assert!(reference.to_string().starts_with("urn:uuid:"));
/// ```
/// ```compile_fail
/// let reference = sluis::refusal::Reference(7);
/// assert!(reference.to_string().starts_with("urn:uuid:"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference(u128);

impl Reference {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system has none to give.
    pub fn random() -> Result<Self, NoRandomness> {
        let bytes = SecretBytes::<16>::random()?;
        // Exposed: it is no secret, and told to the caller.
        let number = u128::from_be_bytes(*bytes.expose());
        Ok(Self((number & !VERSION & !VARIANT) | RANDOM | STANDARD))
    }
}

/// As a URI (RFC 9562 section 4): what `instance` of a problem document is.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        let [second, third, fourth] = [80, 64, 48].map(|from| (number >> from) & 0xffff);
        let (first, last) = (number >> 96, number & 0xffff_ffff_ffff);
        write!(
            f,
            "urn:uuid:{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_as_a_random_uuid() {
        let known = Reference(0x0123_4567_89ab_4cde_8f01_2345_6789_abcd);
        let text = "urn:uuid:01234567-89ab-4cde-8f01-23456789abcd";
        assert_eq!(known.to_string(), text);
        let zeros = Reference(0).to_string();
        assert_eq!(zeros, "urn:uuid:00000000-0000-0000-0000-000000000000");
        let seen: Vec<_> = (0..64).map(|_| Reference::random().unwrap()).collect();
        for (place, reference) in seen.iter().enumerate() {
            let text = reference.to_string();
            assert_eq!(text.as_bytes()[23], b'4', "{text}");
            assert!(b"89ab".contains(&text.as_bytes()[28]), "{text}");
            assert!(!seen[..place].contains(reference), "{text}");
        }
    }
}
