//! Invariant: no bytes are a token but those that were issued; one that was issued says what it was
//! issued with, is known in its own place and in no other, and with any byte changed nowhere.
//! Nothing panics.
//!
//! Input: bytes that are taken for a token; then what a token is issued with: expiry (8 bytes), where
//! it is changed (1), client and scopes with zero bytes between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluis::names::{FlowId, SchoolId, VendorId};
use sluis::pseudonym::{AccessToken, TokenKey, TokenPlace};
use sluis::secret::SecretBytes;

fuzz_target!(|input: &[u8]| {
    let key = TokenKey::new(SecretBytes::from([9; 32]));
    let (school, vendor) = (
        SchoolId::parse("school").unwrap(),
        VendorId::parse("v").unwrap(),
    );
    let flows = ["pull", "push"].map(|flow| FlowId::parse(flow).unwrap());
    let secret = SecretBytes::from([1; 32]);
    let place = |flow, client| TokenPlace {
        school: &school,
        vendor: &vendor,
        flow,
        client,
        secret: &secret,
    };
    for text in [input.to_vec(), [b"sluis-access-1-", input].concat()] {
        if let Some(token) = AccessToken::parse(&text) {
            let place = TokenPlace {
                client: token.client(),
                ..place(&flows[0], "")
            };
            assert!(!key.knows(&token, &place));
        }
    }
    let Some((expiry, rest)) = input.split_first_chunk::<8>() else {
        return;
    };
    let Some((change, rest)) = rest.split_first() else {
        return;
    };
    let Ok(texts) = std::str::from_utf8(rest) else {
        return;
    };
    let mut texts = texts.split('\0');
    let client = texts.next().unwrap_or_default();
    let scopes: Vec<&str> = texts.take(100).collect();
    let expires = u64::from_be_bytes(*expiry);
    let issued = key.issue(&place(&flows[0], client), &scopes, expires);
    let issued = issued.expose().as_bytes().to_vec();
    let token = AccessToken::parse(&issued).expect("what was issued");
    assert_eq!(
        (token.client(), token.scopes().len()),
        (client, scopes.len())
    );
    assert!(key.knows(&token, &place(&flows[0], client)));
    assert!(!key.knows(&token, &place(&flows[1], client)));
    let other = TokenKey::new(SecretBytes::from([8; 32]));
    assert!(!other.knows(&token, &place(&flows[0], client)));
    let mut changed = issued.clone();
    let at = usize::from(*change) * (issued.len() - 1) / 255;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    if let Some(token) = AccessToken::parse(&changed) {
        assert!(
            !key.knows(&token, &place(&flows[0], client)),
            "changed at {at}"
        );
    }
});
