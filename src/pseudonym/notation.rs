//! How a tag is written, so that it fits the column the vendor has for it.

use std::fmt;

use data_encoding::{Encoding, HEXLOWER};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// How a pseudonym looks: `looks` in `[ids.NAME]`.
///
/// Lower case only, and none of `, ; " < > / ? # & + %` in a bare pseudonym: vendors have
/// case-insensitive columns and split headers on commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// `digits:N`, 6 to 18: first digit not 0, never a number that passes the BSN 11-test.
    Digits(u8),
    /// `email`: `p`, base32 of 16 bytes, `@domain`.
    Email {
        /// The part behind the `@`.
        domain: String,
    },
    /// `hex`: 16 bytes, 32 digits.
    Hex,
    /// `text:N`, 8 to 52 characters of base32.
    Text(u8),
    /// `url`: prefix and 128 hex digits, the shape of an ECK iD.
    Url {
        /// What stands before the digits.
        prefix: String,
    },
    /// `uuid` (the default): 16 bytes, version 8, variant 10 (RFC 9562 section 5.8).
    #[default]
    Uuid,
}

impl Notation {
    /// How many different pseudonyms there can be, as a power of two.
    #[must_use]
    pub fn bits(&self) -> f64 {
        match self {
            Self::Digits(digits) => {
                f64::from(digits.saturating_sub(1)).mul_add(10_f64.log2(), 9_f64.log2())
            }
            Self::Email { .. } | Self::Hex => 128.0,
            Self::Text(characters) => 5.0 * f64::from(*characters),
            Self::Url { .. } => 256.0,
            Self::Uuid => 122.0,
        }
    }

    /// Writes the pseudonym of these tags: `tag(0)`, and `tag(i)` where it must choose again.
    pub(super) fn write(&self, tag: impl Fn(u8) -> [u8; 32], out: &mut Vec<u8>) {
        let first = tag(0);
        let [half, _] = halves(&first);
        match self {
            Self::Digits(digits) => {
                let written = number(*digits, &tag).map(|number| number.to_string());
                out.extend_from_slice(written.unwrap_or_default().as_bytes());
            }
            Self::Email { domain } => {
                out.push(b'p');
                let mut padded = [0; 32];
                padded.split_at_mut(half.len()).0.copy_from_slice(&half);
                push_base32(&padded, 26, out);
                out.push(b'@');
                out.extend_from_slice(domain.as_bytes());
            }
            Self::Hex => push_encoded(&HEXLOWER, &half, out),
            Self::Text(characters) => {
                push_base32(&first, usize::from(*characters), out);
            }
            Self::Url { prefix } => {
                out.extend_from_slice(prefix.as_bytes());
                push_encoded(&HEXLOWER, &first, out);
                push_encoded(&HEXLOWER, &tag(1), out);
            }
            Self::Uuid => {
                let mut written = [0; Hyphenated::LENGTH];
                Uuid::new_v8(half).hyphenated().encode_lower(&mut written);
                out.extend_from_slice(&written);
            }
        }
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits(digits) => write!(f, "digits:{digits}"),
            Self::Email { .. } => f.write_str("email"),
            Self::Hex => f.write_str("hex"),
            Self::Text(characters) => write!(f, "text:{characters}"),
            Self::Url { .. } => f.write_str("url"),
            Self::Uuid => f.write_str("uuid"),
        }
    }
}

pub(super) fn halves(tag: &[u8; 32]) -> [[u8; 16]; 2] {
    let (halves, _) = tag.as_chunks::<16>();
    match halves {
        [left, right] => [*left, *right],
        _ => [[0; 16]; 2],
    }
}

/// Appends `bytes` encoded, without an allocation of its own.
fn push_encoded(encoding: &Encoding, bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start.saturating_add(encoding.encode_len(bytes.len())), 0);
    if let Some(room) = out.get_mut(start..) {
        encoding.encode_mut(bytes, room);
    }
}

/// Appends the first `characters`, at most 52, of base32 (RFC 4648 section 6) of a tag, in lower
/// case.
fn push_base32(tag: &[u8; 32], characters: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 56]);
    let (eights, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
    let groups = eights.iter_mut().take(characters.div_ceil(8));
    for (group, written) in groups.enumerate() {
        let rest = tag.get(group.wrapping_mul(5)..).unwrap_or_default();
        let eight = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut eight = [0; 8];
            for (to, byte) in eight.iter_mut().zip(rest) {
                *to = *byte;
            }
            eight
        });
        *written = base32(u64::from_be_bytes(eight) >> 24).to_be_bytes();
    }
    out.truncate(start.saturating_add(characters));
}

/// The eight digits of forty bits, one in each byte, all at once: `a` to `z` and `2` to `7`.
const fn base32(bits: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const A: u64 = 0x61;
    let halves = bits & 0xF_FFFF | bits >> 20 << 32;
    let quarters = halves & 0x3FF_0000_03FF | (halves >> 10 & 0x3FF_0000_03FF) << 16;
    let values = quarters & 0x1F_001F_001F_001F | (quarters >> 5 & 0x1F_001F_001F_001F) << 8;
    // A one where a value is 26 or more: its digit stands so far before its letter.
    let numerals = values.wrapping_add(ONES.wrapping_mul(0x80 - 26)) >> 7 & ONES;
    let letters = values.wrapping_add(ONES.wrapping_mul(A));
    letters.wrapping_sub(numerals.wrapping_mul(A + 26 - 0x32))
}

/// 128 bits reduced to `digits` digits: the bias is below 10^(digits-38).
pub(super) fn number(digits: u8, tag: impl Fn(u8) -> [u8; 32]) -> Option<u128> {
    let least = least_of(digits);
    let span = least.saturating_mul(9);
    let mut numbers = (0..=u8::MAX).map(|again| {
        let [half, _] = halves(&tag(again));
        let rest = u128::from_be_bytes(half).checked_rem(span).unwrap_or(0);
        least.saturating_add(rest)
    });
    // One in eleven passes the test; that all 256 do has a chance of 11^-256.
    numbers.find(|number| !passes_bsn_test(*number))
}

/// The least number of that many digits, which are 6 to 18.
pub(super) fn least_of(digits: u8) -> u128 {
    10_u128.pow(u32::from(digits.clamp(6, 18)).saturating_sub(1))
}

/// The 11-test of the Dutch citizen service number: 9 digits, weights 9 8 7 6 5 4 3 2 -1.
pub(super) fn passes_bsn_test(number: u128) -> bool {
    const WEIGHTS_FROM_THE_RIGHT: [i32; 9] = [-1, 2, 3, 4, 5, 6, 7, 8, 9];
    if !(100_000_000..=999_999_999).contains(&number) {
        return false;
    }
    let mut rest = u32::try_from(number).unwrap_or_default();
    let sum = WEIGHTS_FROM_THE_RIGHT
        .into_iter()
        .fold(0_i32, |sum, weight| {
            let digit = i32::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            sum.wrapping_add(digit.wrapping_mul(weight))
        });
    sum.rem_euclid(11) == 0
}

#[cfg(test)]
mod tests {
    use data_encoding::Specification;

    use super::*;

    #[test]
    fn the_bsn_test_knows_a_number_that_passes_and_one_that_does_not() {
        assert!(passes_bsn_test(111_222_333));
        assert!(!passes_bsn_test(111_222_334));
        // Its digits pass with nine weights; it has eight.
        assert!(!passes_bsn_test(11_122_233));
    }

    #[test]
    fn a_notation_has_its_name_and_says_how_many_pseudonyms_there_can_be() {
        let text = String::new;
        for (notation, name, bits) in [
            (Notation::Digits(6), "digits:6", 19.8),
            (Notation::Digits(18), "digits:18", 59.6),
            (Notation::Email { domain: text() }, "email", 128.0),
            (Notation::Hex, "hex", 128.0),
            (Notation::Text(8), "text:8", 40.0),
            (Notation::Url { prefix: text() }, "url", 256.0),
            (Notation::Uuid, "uuid", 122.0),
        ] {
            assert_eq!(notation.to_string(), name);
            assert!((notation.bits() - bits).abs() < 0.1, "{name}");
        }
    }

    #[test]
    fn base32_is_that_of_the_library_at_every_length() {
        let mut specification = Specification::new();
        specification
            .symbols
            .push_str("abcdefghijklmnopqrstuvwxyz234567");
        let library = specification.encoding().unwrap();
        let mut bytes = [11_u8; 32];
        for place in 1..bytes.len() {
            bytes[place] = bytes[place - 1].wrapping_mul(37).wrapping_add(5);
        }
        let theirs = library.encode(&bytes).into_bytes();
        for characters in 0..=theirs.len() {
            let mut ours = b"before ".to_vec();
            push_base32(&bytes, characters, &mut ours);
            assert_eq!(ours, [b"before ", &theirs[..characters]].concat());
        }
        for value in 0..32 {
            let (one, all) = (base32(value), base32(value * 0x08_4210_8421));
            let digit = library
                .encode(&[u8::try_from(value).unwrap() << 3])
                .as_bytes()[0];
            assert_eq!(
                one.to_be_bytes(),
                *b"aaaaaaa"
                    .iter()
                    .chain([&digit])
                    .copied()
                    .collect::<Vec<_>>()
            );
            assert_eq!(all.to_be_bytes(), [digit; 8]);
        }
    }

    #[test]
    fn digits_choose_again_until_the_test_fails() {
        let mut out = Vec::new();
        // Tag 0 gives 100000009, tag 1 gives 100000010: both pass. Tag 2 gives 100000011.
        let start = 9_u128;
        let tag = |again: u8| {
            let mut tag = [0; 32];
            tag[..16].copy_from_slice(&(start + u128::from(again)).to_be_bytes());
            tag
        };
        Notation::Digits(9).write(tag, &mut out);
        assert_eq!(out, b"100000011");
    }
}
