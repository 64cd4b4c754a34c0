//! Known answers: what the standards say our primitives give, asked for on the machine that runs.

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes128Siv;
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::key::expand;
use super::mac::Mac;
use crate::secret::{SecretBytes, sha256};

/// One question with a published answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAnswer {
    /// Where the answer is published.
    pub name: &'static str,
    /// Whether this build gives the same.
    pub holds: bool,
}

/// Asks for all known answers: HMAC-SHA-256 (RFC 4231), HKDF-Expand (RFC 5869), AES-SIV (RFC 5297).
#[must_use]
pub fn known_answers() -> Vec<KnownAnswer> {
    let mac = HMAC.iter().map(|(name, key, text, answer)| {
        let given = hmac_of(&key.bytes(), &text.bytes());
        KnownAnswer {
            name,
            holds: given == [*answer; 2],
        }
    });
    let expanded = HKDF.iter().map(|(name, prk, info, answer)| {
        let given = expanded(prk, &info.bytes(), answer.len().div_ceil(2));
        KnownAnswer {
            name,
            holds: given.as_deref() == Some(*answer),
        }
    });
    let sealed = KnownAnswer {
        name: "RFC 5297 A.1, AES-SIV",
        holds: siv_holds(),
    };
    mac.chain(expanded).chain([sealed]).collect()
}

/// Bytes as the standards write them.
enum Text {
    Plain(&'static str),
    /// The first byte, the last one, and those between.
    Range(u8, u8),
    Repeated(u8, usize),
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.as_bytes().to_vec(),
            Self::Range(first, last) => (*first..=*last).collect(),
            Self::Repeated(byte, times) => vec![*byte; *times],
        }
    }
}

/// By the HMAC that makes pseudonyms, and by the one within HKDF.
fn hmac_of(key: &[u8], text: &[u8]) -> [String; 2] {
    let mut block = [0; 64];
    // A key longer than a block is hashed first (RFC 2104 section 2).
    let hashed = sha256(key);
    let short = if key.len() > block.len() {
        hashed.expose()
    } else {
        key
    };
    if let Some(start) = block.get_mut(..short.len()) {
        start.copy_from_slice(short);
    }
    let ours = Mac::new(&SecretBytes::from(block)).tag(text);
    let theirs = Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes())
        .unwrap_or_default();
    [&ours[..], &theirs].map(|tag| HEXLOWER.encode(tag))
}

fn expanded(prk: &str, info: &[u8], length: usize) -> Option<String> {
    let prk = SecretBytes::from_slice(&HEXLOWER.decode(prk.as_bytes()).ok()?)?;
    let mut into = vec![0; length];
    expand(&prk, &[info], &mut into);
    Some(HEXLOWER.encode(&into))
}

fn siv_holds() -> bool {
    let mut key: Vec<u8> = (0xF0..=0xFF).rev().collect();
    key.extend(0xF0..=0xFF);
    let Ok(key) = key.as_slice().try_into() else {
        return false;
    };
    let header = Text::Range(0x10, 0x27).bytes();
    let text = HEXLOWER
        .decode(b"112233445566778899aabbccddee")
        .unwrap_or_default();
    let sealed = Aes128Siv::new(key).encrypt([header], &text);
    sealed.is_ok_and(|sealed| HEXLOWER.encode(&sealed) == SIV_ANSWER)
}

const SIV_ANSWER: &str = "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c";

const LONG_KEY: &str = "Test Using Larger Than Block-Size Key - Hash Key First";
const LONG_TEXT: &str = "This is a test using a larger than block-size key and a larger than \
    block-size data. The key needs to be hashed before being used by the HMAC algorithm.";

/// Name, key, text, answer. Case 5 cuts its answer short, which we never do.
const HMAC: &[(&str, Text, Text, &str)] = &[
    (
        "RFC 4231 case 1, HMAC-SHA-256",
        Text::Repeated(0x0B, 20),
        Text::Plain("Hi There"),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        "RFC 4231 case 2, HMAC-SHA-256",
        Text::Plain("Jefe"),
        Text::Plain("what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        "RFC 4231 case 3, HMAC-SHA-256",
        Text::Repeated(0xAA, 20),
        Text::Repeated(0xDD, 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        "RFC 4231 case 4, HMAC-SHA-256",
        Text::Range(0x01, 0x19),
        Text::Repeated(0xCD, 50),
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        "RFC 4231 case 6, HMAC-SHA-256",
        Text::Repeated(0xAA, 131),
        Text::Plain(LONG_KEY),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        "RFC 4231 case 7, HMAC-SHA-256",
        Text::Repeated(0xAA, 131),
        Text::Plain(LONG_TEXT),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
];

/// Name, pseudorandom key, info, answer.
const HKDF: &[(&str, &str, Text, &str)] = &[
    (
        "RFC 5869 A.1, HKDF-Expand",
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        Text::Range(0xF0, 0xF9),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "RFC 5869 A.2, HKDF-Expand",
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        Text::Range(0xB0, 0xFF),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6\
         5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "RFC 5869 A.3, HKDF-Expand",
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        Text::Plain(""),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_is_given() {
        let answers = known_answers();
        assert_eq!(answers.len(), 10);
        for answer in answers {
            assert!(answer.holds, "{}", answer.name);
        }
    }
}
