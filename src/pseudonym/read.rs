//! From a written pseudonym to the 16 bytes under which an index has it, without an allocation.

use data_encoding::HEXLOWER_PERMISSIVE;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::Notation;
use super::notation::{halves, least_of, number, passes_bsn_test};

/// 16 bytes of a pseudonym by which an index finds it; as public as the pseudonym.
///
/// The same from a written pseudonym as from the tag that it was written from. `hex`, `uuid`,
/// `email`, `digits:N` and `text:N` up to 25 stand in it whole; of longer ones it is the beginning,
/// so who finds one compares the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexKey([u8; 16]);

impl IndexKey {
    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Characters of base32 that fit into 128 bits whole.
const TEXT_CHARS: u8 = 25;
/// Characters of base32 that 16 bytes take: of the last one two bits are always 0.
const EMAIL_CHARS: usize = 26;
/// Bits of a tag; a 52nd character has one of them, and four that are always 0.
const TAG_CHARS: u8 = 52;
const URL_DIGITS: usize = 128;

impl Notation {
    /// Reads a pseudonym of this notation; `None` if the text is none.
    ///
    /// Upper and lower case of ASCII letters are the same: vendors have case-insensitive columns.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<IndexKey> {
        let text = text.as_bytes();
        match self {
            Self::Digits(digits) => read_digits(*digits, text),
            Self::Email { domain } => read_email(domain, text),
            Self::Hex => read_hex(text),
            Self::Text(characters) => read_text(*characters, text),
            Self::Url { prefix } => {
                let (before, digits) = text.split_at_checked(prefix.len())?;
                let fits = before.eq_ignore_ascii_case(prefix.as_bytes());
                let whole = digits.len() == URL_DIGITS && digits.iter().all(u8::is_ascii_hexdigit);
                read_hex(digits.get(..32).filter(|_| fits && whole)?)
            }
            Self::Uuid => read_uuid(text),
        }
    }

    /// Whether two pseudonyms with one key are one pseudonym.
    pub(super) const fn is_whole_in_its_key(&self) -> bool {
        match self {
            Self::Digits(_) | Self::Email { .. } | Self::Hex | Self::Uuid => true,
            Self::Text(characters) => *characters <= TEXT_CHARS,
            Self::Url { .. } => false,
        }
    }

    /// The same for the pseudonym that [`Notation::write`] makes of these tags.
    pub(super) fn key(&self, tag: impl Fn(u8) -> [u8; 32]) -> IndexKey {
        if let Self::Digits(digits) = self {
            return IndexKey(number(*digits, tag).unwrap_or_default().to_be_bytes());
        }
        let [half, _] = halves(&tag(0));
        IndexKey(match self {
            Self::Text(characters) => {
                let bits = u32::from((*characters).min(TEXT_CHARS)).saturating_mul(5);
                let rest = u128::MAX.unbounded_shr(bits);
                (u128::from_be_bytes(half) & !rest).to_be_bytes()
            }
            Self::Uuid => Uuid::new_v8(half).into_bytes(),
            Self::Digits(_) | Self::Email { .. } | Self::Hex | Self::Url { .. } => half,
        })
    }
}

fn read_digits(digits: u8, text: &[u8]) -> Option<IndexKey> {
    if text.len() != usize::from(digits) || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().fold(0_u128, |number, digit| {
        let digit = u128::from(digit.wrapping_sub(b'0'));
        number.wrapping_mul(10).wrapping_add(digit)
    });
    let written = number >= least_of(digits) && !passes_bsn_test(number);
    written.then(|| IndexKey(number.to_be_bytes()))
}

fn read_email(domain: &str, text: &[u8]) -> Option<IndexKey> {
    let (sign, rest) = text.split_first()?;
    let (code, rest) = rest.split_at_checked(EMAIL_CHARS)?;
    let (at, behind) = rest.split_first()?;
    let fits = sign.eq_ignore_ascii_case(&b'p') && *at == b'@';
    if !fits || !behind.eq_ignore_ascii_case(domain.as_bytes()) {
        return None;
    }
    let (last, code) = code.split_last()?;
    let last = base32_digit(*last).filter(|last| last & 0b11 == 0)?;
    let bits = base32_digits(code)? << 3 | u128::from(last >> 2);
    Some(IndexKey(bits.to_be_bytes()))
}

fn read_hex(text: &[u8]) -> Option<IndexKey> {
    let mut bytes = [0; 16];
    if text.len() != 32 {
        return None;
    }
    let read = HEXLOWER_PERMISSIVE.decode_mut(text, &mut bytes);
    read.ok().map(|_| IndexKey(bytes))
}

fn read_text(characters: u8, text: &[u8]) -> Option<IndexKey> {
    if text.len() != usize::from(characters) {
        return None;
    }
    let taken = characters.min(TEXT_CHARS);
    let (code, rest) = text.split_at_checked(taken.into())?;
    let mut rest = rest.iter().map(|byte| base32_digit(*byte));
    let last = rest.try_fold(0, |_, digit| digit)?;
    if characters >= TAG_CHARS && last & 0b1111 != 0 {
        return None;
    }
    let unused = 128_u32.saturating_sub(u32::from(taken).saturating_mul(5));
    let bits = base32_digits(code)?.unbounded_shl(unused);
    Some(IndexKey(bits.to_be_bytes()))
}

fn read_uuid(text: &[u8]) -> Option<IndexKey> {
    // Other ways to write one are longer or shorter.
    if text.len() != Hyphenated::LENGTH {
        return None;
    }
    let read = Uuid::try_parse_ascii(text).ok()?;
    let key = read.into_bytes();
    (Uuid::new_v8(key) == read).then_some(IndexKey(key))
}

/// At most 25 digits of base32, as the low bits of a number.
fn base32_digits(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |bits, byte| {
        Some(bits << 5 | u128::from(base32_digit(*byte)?))
    })
}

const fn base32_digit(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(byte.wrapping_sub(b'a')),
        b'A'..=b'Z' => Some(byte.wrapping_sub(b'A')),
        b'2'..=b'7' => Some(byte.wrapping_sub(b'2').wrapping_add(26)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pseudonym::{Back, Canonical, Identifier, Kind, KindSpec, Unknown, VendorKey};

    fn notations() -> Vec<Notation> {
        let with_numbers = (6..=18).map(Notation::Digits);
        let texts = (8..=52).map(Notation::Text);
        let rest = [
            Notation::Email {
                domain: "rekenwijs.leerling.example".to_owned(),
            },
            Notation::Hex,
            Notation::Url {
                prefix: "https://id.deregenboog.example/2026/".to_owned(),
            },
            Notation::Uuid,
        ];
        with_numbers.chain(texts).chain(rest).collect()
    }

    fn kind(notation: &Notation) -> Kind {
        let spec = KindSpec {
            name: "pupil".to_owned(),
            canonical: Canonical::new(Vec::new()),
            notation: notation.clone(),
            back: Back::SchoolOnly,
            unknown: Unknown::Reject,
            accept_keys: 1,
        };
        Kind::new(&VendorKey::from([7; 32]), spec)
    }

    fn written(kind: &Kind, id: Identifier<'_>) -> String {
        let mut out = Vec::new();
        kind.write(id, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_in_any_case(id in "[!-~]{1,60}") {
            for notation in notations() {
                let kind = kind(&notation);
                let id = Identifier::new(&id);
                let key = kind.index_key(id).unwrap();
                let text = written(&kind, id);
                prop_assert_eq!(notation.read(&text), Some(key), "{}", notation);
                prop_assert_eq!(notation.read(&text.to_ascii_uppercase()), Some(key));
            }
        }

        #[test]
        fn any_text_can_be_read(text in ".{0,200}", digits in "[0-9a-zA-Z@-]{0,140}") {
            for notation in notations() {
                for text in [&text, &digits] {
                    // What is read must at least be of the length that is written.
                    if notation.read(text).is_some() {
                        let model = written(&kind(&notation), Identifier::new("a"));
                        prop_assert_eq!(text.len(), model.len());
                    }
                }
            }
        }
    }

    #[test]
    fn a_text_that_differs_is_not_of_the_notation_or_has_another_key() {
        for notation in notations() {
            let kind = kind(&notation);
            let id = Identifier::new("S-64003");
            let (text, key) = (written(&kind, id), kind.index_key(id).unwrap());
            assert_eq!(notation.read(text.split_at(1).1), None, "{notation}");
            assert_eq!(notation.read(&format!("{text}a")), None, "{notation}");
            assert_eq!(notation.read(&format!(" {text}")), None, "{notation}");
            for place in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[place] = match changed[place] {
                    b'3' => b'5',
                    _ => b'3',
                };
                let changed = String::from_utf8(changed).unwrap();
                let beyond = match &notation {
                    Notation::Text(_) => 25,
                    Notation::Url { prefix } => prefix.len() + 32,
                    Notation::Digits(_)
                    | Notation::Email { .. }
                    | Notation::Hex
                    | Notation::Uuid => usize::MAX,
                };
                let read = notation.read(&changed);
                assert!(read != Some(key) || place >= beyond, "{notation} {place}");
            }
        }
    }

    #[test]
    fn bits_that_are_never_written_are_not_read() {
        let read = |notation: Notation, text: &str| notation.read(text).is_some();
        let key = Notation::Hex.read(&"0a".repeat(16)).unwrap();
        assert_eq!(*key.bytes(), [10; 16]);
        let uuid = "0f0e0d0c-0b0a-8908-8706-050403020100";
        assert!(read(Notation::Uuid, uuid));
        assert!(!read(Notation::Uuid, &uuid.replace("-89", "-49")));
        assert!(!read(Notation::Uuid, &uuid.replace("-87", "-c7")));
        assert!(!read(Notation::Uuid, &uuid.replace('-', "")));
        assert!(!read(
            Notation::Uuid,
            "0f0e0d0c-0b0a-8908-8706050-403020100"
        ));
        assert!(read(Notation::Digits(9), "111222334"));
        assert!(
            !read(Notation::Digits(9), "111222333"),
            "a citizen's number"
        );
        assert!(!read(Notation::Digits(9), "011222334"));
        assert!(!read(Notation::Digits(9), "+11222334"));
        let email = Notation::Email {
            domain: "x.example".to_owned(),
        };
        let code = "a".repeat(25);
        assert!(read(email.clone(), &format!("P{code}e@X.example")));
        assert!(!read(email.clone(), &format!("p{code}b@x.example")));
        assert!(!read(email, &format!("p{code}e@y.example")));
        assert!(read(Notation::Text(52), &format!("{}q", "a".repeat(51))));
        assert!(!read(Notation::Text(52), &format!("{}b", "a".repeat(51))));
    }
}
