//! Access tokens of our own: issued by one gateway and known by every one with the same master
//! key, without anything kept or shared.
//!
//! ```text
//! token key = HKDF-Expand(master key, "sluis v1 token", 32)                        RFC 5869
//! claims    = u64 expiry ‖ lp(client) ‖ u8 count of scopes ‖ lp(scope) …
//! place     = "sluis-access-1-" ‖ lp(school) ‖ lp(vendor) ‖ lp(flow) ‖ SHA-256(client secret)
//! tag       = HMAC-SHA-256(token key, place ‖ claims)                              RFC 2104
//! token     = "sluis-access-1-" ‖ base64url(claims ‖ tag)
//! ```
//!
//! `lp(x)` is the length of `x` as two bytes, big endian, and then `x`; the expiry counts seconds
//! from 1970. A token says whose it is and until when, and nothing of any pupil. Its place is not
//! in it: in another flow it is a forgery, and so it is once the client has another secret.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::MasterKey;
use super::key::{block, push_with_length, subkey};
use crate::names::{FlowId, SchoolId, VendorId};
use crate::secret::{SecretBytes, SecretText};

const PREFIX: &str = "sluis-access-1-";
const TAG_BYTES: usize = 32;

/// What access tokens are made and known by.
pub struct TokenKey(SecretBytes<32>);

impl TokenKey {
    /// A key for one run: nobody else knows its tokens.
    #[must_use]
    pub const fn new(bytes: SecretBytes<32>) -> Self {
        Self(bytes)
    }

    /// The key of all gateways with that master key.
    #[must_use]
    pub fn of(master: &MasterKey) -> Self {
        Self(subkey(&master.0, &[b"sluis v1 token"]))
    }

    /// A token for a client in its place.
    #[must_use]
    pub fn issue(
        &self,
        place: &TokenPlace<'_>,
        scopes: &[&str],
        expires_unix_s: u64,
    ) -> SecretText {
        let mut bytes = expires_unix_s.to_be_bytes().to_vec();
        push_with_length(place.client, &mut bytes);
        // As many as `limits::OAUTH_SCOPES_MAX` at most.
        bytes.push(u8::try_from(scopes.len()).unwrap_or(u8::MAX));
        scopes
            .iter()
            .for_each(|scope| push_with_length(scope, &mut bytes));
        let tag = self.mac(place, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        let body = SecretText::new(BASE64URL_NOPAD.encode(&bytes));
        SecretText::new([PREFIX, body.expose()].concat())
    }

    /// Whether we issued a token to that client in that place; whether it is still good is another
    /// question. Takes the same time wherever the tags differ.
    #[must_use]
    pub fn knows(&self, token: &AccessToken, place: &TokenPlace<'_>) -> bool {
        let Some((claims, tag)) = token.bytes.split_last_chunk::<TAG_BYTES>() else {
            return false;
        };
        let same = self.mac(place, claims).verify_slice(tag).is_ok();
        same && token.client == place.client
    }

    fn mac(&self, place: &TokenPlace<'_>, claims: &[u8]) -> Hmac<Sha256> {
        let mut head = PREFIX.as_bytes().to_vec();
        let names = [
            place.school.as_str(),
            place.vendor.as_str(),
            place.flow.as_str(),
        ];
        names
            .iter()
            .for_each(|name| push_with_length(name, &mut head));
        // Exposed to HMAC, whose key it is.
        let mut mac = Hmac::<Sha256>::new(block(&self.0).expose().into());
        mac.update(&head);
        // Exposed to be bound to the token: it is a digest, and only goes into another one.
        mac.update(place.secret.expose());
        mac.update(claims);
        mac
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(redacted)")
    }
}

/// Whom a token is for, and where it is good.
#[derive(Clone, Copy, Debug)]
pub struct TokenPlace<'p> {
    /// Whose pupils.
    pub school: &'p SchoolId,
    /// Whose agreement.
    pub vendor: &'p VendorId,
    /// In which flow.
    pub flow: &'p FlowId,
    /// The client's name, at most
    /// [`OAUTH_CLIENT_BYTES_MAX`](crate::limits::OAUTH_CLIENT_BYTES_MAX) long.
    pub client: &'p str,
    /// The SHA-256 digest of its secret.
    pub secret: &'p SecretBytes<32>,
}

/// A token as it was presented: nothing it says is true before [`TokenKey::knows`] it.
pub struct AccessToken {
    bytes: Vec<u8>,
    expires_unix_s: u64,
    client: String,
    scopes: Vec<String>,
}

impl AccessToken {
    /// Reads a token; `None` if it is none of ours by its form.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let body = text.strip_prefix(PREFIX.as_bytes())?;
        let bytes = BASE64URL_NOPAD.decode(body).ok()?;
        let (claims, _tag) = bytes.split_last_chunk::<TAG_BYTES>()?;
        let (expiry, mut rest) = claims.split_first_chunk::<8>()?;
        let expires_unix_s = u64::from_be_bytes(*expiry);
        let client = take(&mut rest)?;
        let (count, mut rest) = rest.split_first()?;
        let scopes = (0..*count)
            .map(|_| take(&mut rest))
            .collect::<Option<_>>()?;
        rest.is_empty().then_some(())?;
        Some(Self {
            bytes,
            expires_unix_s,
            client,
            scopes,
        })
    }

    /// The name of the client.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether its time is over.
    #[must_use]
    pub const fn has_expired(&self, unix_s: u64) -> bool {
        self.expires_unix_s <= unix_s
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

fn take(bytes: &mut &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (text, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::sha256;

    /// Made with `tests/vectors/access_token.py`.
    const KNOWN: &str = "sluis-access-1-AAAAAGqxSZAACXJla2Vud2lqcwIAD3Jvc3Rlci5yZWFkb25seQABYRhfmk8\
                         ARENy9uUtTinjHJTdoRao8h9kJR4fTdzJaso4";
    const KNOWN_WITHOUT_SCOPES: &str = "sluis-access-1-AAAAAGqxSZAACXJla2Vud2lqcwCyvd16jgjIuHoshUM\
                                        PPF1nxxrcDxHQ-TOiEcJpb-6Z0g";
    const EXPIRES: u64 = 1_790_003_600;

    /// Of the master key of the bytes 96 to 127.
    fn key() -> TokenKey {
        let text = "sluis-master-1-YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8-025fc299";
        TokenKey::of(&MasterKey::parse(text).unwrap())
    }

    struct Place {
        school: SchoolId,
        vendor: VendorId,
        flow: FlowId,
        client: String,
        secret: SecretBytes<32>,
    }

    impl Place {
        fn new() -> Self {
            Self {
                school: SchoolId::parse("regenboog").unwrap(),
                vendor: VendorId::parse("rekenwijs").unwrap(),
                flow: FlowId::parse("pull").unwrap(),
                client: "rekenwijs".to_owned(),
                secret: sha256(b"fake-secret-of-rekenwijs"),
            }
        }

        fn borrowed(&self) -> TokenPlace<'_> {
            let Self {
                school,
                vendor,
                flow,
                client,
                secret,
            } = self;
            TokenPlace {
                school,
                vendor,
                flow,
                client,
                secret,
            }
        }
    }

    fn issued(scopes: &[&str]) -> String {
        let token = key().issue(&Place::new().borrowed(), scopes, EXPIRES);
        token.expose().to_owned()
    }

    fn is_known(token: &str, place: &Place) -> bool {
        let token = AccessToken::parse(token.as_bytes());
        token.is_some_and(|token| key().knows(&token, &place.borrowed()))
    }

    #[test]
    fn a_token_is_frozen() {
        assert_eq!(issued(&["roster.readonly", "a"]), KNOWN);
        assert_eq!(issued(&[]), KNOWN_WITHOUT_SCOPES);
        let token = AccessToken::parse(KNOWN.as_bytes()).unwrap();
        assert_eq!(token.client(), "rekenwijs");
        assert_eq!(token.scopes(), ["roster.readonly", "a"]);
        assert!(is_known(KNOWN, &Place::new()));
        assert!(!token.has_expired(EXPIRES - 1) && token.has_expired(EXPIRES));
    }

    #[test]
    fn a_token_is_good_in_its_own_place_only() {
        let elsewhere: [fn(&mut Place); 5] = [
            |place| place.school = SchoolId::parse("zonnebloem").unwrap(),
            |place| place.vendor = VendorId::parse("toetsbron").unwrap(),
            |place| place.flow = FlowId::parse("push").unwrap(),
            |place| place.client = "toetsbron".to_owned(),
            |place| place.secret = sha256(b"fake-secret-that-is-newer"),
        ];
        for change in elsewhere {
            let mut place = Place::new();
            change(&mut place);
            assert!(!is_known(KNOWN, &place));
        }
        let other = TokenKey::new(SecretBytes::from([7; 32]));
        let token = AccessToken::parse(KNOWN.as_bytes()).unwrap();
        assert!(!other.knows(&token, &Place::new().borrowed()));
    }

    #[test]
    fn a_token_of_which_one_character_is_another_is_no_token() {
        for at in 0..KNOWN.len() {
            let mut bytes = KNOWN.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!is_known(&changed, &Place::new()), "{changed}");
        }
        for cut in 0..KNOWN.len() {
            let (short, _) = KNOWN.split_at(cut);
            assert!(!is_known(short, &Place::new()), "{cut}");
        }
        assert!(!is_known(&format!("{KNOWN}A"), &Place::new()));
    }

    #[test]
    fn neither_key_nor_token_prints() {
        let token = AccessToken::parse(KNOWN.as_bytes()).unwrap();
        assert_eq!(format!("{token:?}"), "AccessToken(redacted)");
        assert_eq!(format!("{:?}", key()), "TokenKey(redacted)");
    }
}
