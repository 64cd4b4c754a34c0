//! HMAC-SHA-256 (RFC 2104) under a key that is taken in once.
//!
//! The `hmac` crate does the same and is what tests hold this to. It clones and wipes a state with
//! a buffer for every text; here a text of at most 55 bytes costs the two compressions that HMAC
//! cannot do without, and nothing beside them.

use std::convert::Infallible;

use sha2::block_api::compress256;

use crate::secret::{SecretBytes, SecretState};

/// The two states of SHA-256 (FIPS 180-4) that have read the key.
pub(super) struct Mac {
    inner: SecretState,
    outer: SecretState,
}

impl Mac {
    /// Takes the key in: one that is filled up with zeros to a block (RFC 2104 section 2).
    pub(super) fn new(key: &SecretBytes<BLOCK>) -> Self {
        Self {
            inner: keyed(key, 0x36),
            outer: keyed(key, 0x5C),
        }
    }

    /// `HMAC-SHA-256(key, text)`.
    pub(super) fn tag(&self, text: &[u8]) -> [u8; 32] {
        // Exposed to SHA-256, which goes on from it.
        let inner = hash_on(*self.inner.expose(), text);
        hash_on(*self.outer.expose(), &inner)
    }
}

/// What SHA-256 reads at once, in bytes.
const BLOCK: usize = 64;

/// The initial state of SHA-256 (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

/// The state behind the key with `pad` in every byte.
fn keyed(key: &SecretBytes<BLOCK>, pad: u8) -> SecretState {
    let padded = SecretBytes::filled(|block: &mut [u8; BLOCK]| {
        // Exposed to HMAC, whose key it is.
        for (to, byte) in block.iter_mut().zip(key.expose()) {
            *to = byte ^ pad;
        }
        Ok::<(), Infallible>(())
    });
    let Ok(padded) = padded;
    SecretState::filled(|state| {
        *state = INITIAL;
        compress256(state, std::slice::from_ref(padded.expose()));
    })
}

/// Hashes `text` and the padding of FIPS 180-4 section 5.1.1, from a state that has read one block.
///
/// Inlined by order: of the outer hash the length is known then.
#[inline(always)]
fn hash_on(mut state: [u32; 8], text: &[u8]) -> [u8; 32] {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    let mut last = [0; BLOCK];
    if let Some((start, [end, ..])) = last.split_at_mut_checked(rest.len()) {
        start.copy_from_slice(rest);
        *end = 0x80;
    }
    if rest.len() > 55 {
        compress256(&mut state, &[last]);
        last = [0; BLOCK];
    }
    let length = u64::try_from(text.len().saturating_add(BLOCK)).unwrap_or(u64::MAX);
    last[56..].copy_from_slice(&length.wrapping_mul(8).to_be_bytes());
    compress256(&mut state, &[last]);
    let mut hash = [0; 32];
    for (to, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    #[test]
    fn a_tag_is_that_of_the_hmac_crate_at_every_length() {
        let text: Vec<u8> = (0..=255).cycle().take(1_100).collect();
        for fill in [0, 7, 0xFF] {
            let mut key = [0; BLOCK];
            key[..32].fill(fill);
            let (ours, theirs) = (Mac::new(&key.into()), Hmac::<Sha256>::new(&key.into()));
            for length in (0..=200).chain(1_000..=1_100) {
                let theirs = theirs.clone().chain_update(&text[..length]).finalize();
                assert_eq!(
                    ours.tag(&text[..length]),
                    *theirs.into_bytes(),
                    "{length} bytes under {fill}"
                );
            }
        }
    }
}
