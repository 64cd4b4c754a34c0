//! Who is calling, and whether they may.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use super::media::only;
use crate::config::{Callers, Config, Flow, UpstreamAuth};
use crate::refusal::Refusal;
use crate::secret::{SecretBytes, sha256};

/// Checks credentials and address.
///
/// Gives what is forwarded to the upstream of the caller's own credentials, where the flow does.
///
/// # Errors
/// [`Refusal::CallerUnauthenticated`] for missing, doubled, ill-formed or unknown credentials,
/// [`Refusal::CallerForbidden`] for those of another flow, [`Refusal::AddressForbidden`].
pub(super) fn check(
    flow: &Flow,
    config: &Config,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Option<HeaderValue>, Refusal> {
    match &flow.callers {
        Callers::Anyone => {}
        Callers::Forwarded => {
            only(headers, AUTHORIZATION).ok_or(Refusal::CallerUnauthenticated)?;
        }
        Callers::Tokens(known) => {
            let token = only(headers, AUTHORIZATION).and_then(bearer);
            let token = sha256(token.ok_or(Refusal::CallerUnauthenticated)?);
            if !is_among(&token, known) {
                return Err(elsewhere(&token, config));
            }
        }
    }
    let address = address.to_canonical();
    let inside = flow.ip_ranges.iter().any(|range| range.contains(&address));
    match flow.ip_ranges.is_empty() || inside {
        true => forwarded(flow, headers),
        false => Err(Refusal::AddressForbidden),
    }
}

/// The caller's `Authorization`, where the flow forwards it and one came.
fn forwarded(flow: &Flow, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    match flow.upstream_auth {
        UpstreamAuth::Basic(_) | UpstreamAuth::Bearer(_) | UpstreamAuth::None => Ok(None),
        UpstreamAuth::Forward if headers.contains_key(AUTHORIZATION) => {
            only(headers, AUTHORIZATION).ok_or(Refusal::CallerUnauthenticated)?;
            let mut value = headers.get(AUTHORIZATION).cloned();
            value.iter_mut().for_each(|value| value.set_sensitive(true));
            Ok(value)
        }
        UpstreamAuth::Forward => Ok(None),
    }
}

/// The token of `Bearer TOKEN` (RFC 6750 section 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer".len())?;
    let token = rest.strip_prefix(b" ")?.trim_ascii();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let well_formed = scheme.eq_ignore_ascii_case(b"Bearer") && token.iter().all(plain);
    (well_formed && !token.is_empty()).then_some(token)
}

/// Compares with every digest, so that the time tells nothing of which one it was.
fn is_among(token: &SecretBytes<32>, known: &[SecretBytes<32>]) -> bool {
    let equal = |digest: &SecretBytes<32>| digest.matches(token.expose());
    known
        .iter()
        .fold(false, |found, digest| equal(digest) | found)
}

/// A token that another flow knows is known; it only may not come in here.
fn elsewhere(token: &SecretBytes<32>, config: &Config) -> Refusal {
    let flows = config.vendors.iter().flat_map(|vendor| &vendor.flows);
    let known = flows.fold(false, |found, flow| match &flow.callers {
        Callers::Anyone | Callers::Forwarded => found,
        Callers::Tokens(known) => is_among(token, known) | found,
    });
    match known {
        true => Refusal::CallerForbidden,
        false => Refusal::CallerUnauthenticated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_as_rfc_6750_writes_it() {
        assert_eq!(bearer(b"Bearer abc-._~+/="), Some(&b"abc-._~+/="[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearerabc",
            "Basic abc",
            "Bearer a b",
            "Bearer a,b",
        ] {
            assert_eq!(bearer(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
