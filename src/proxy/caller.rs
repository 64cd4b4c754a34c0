//! Who is calling, and whether they may.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use super::connection::Entry;
use super::issue::life;
use super::media::only;
use super::plan::Found;
use super::refuse::{Refused, Told};
use crate::config::{Callers, Config, Flow, Listed, UpstreamAuth};
use crate::limits::TOKEN_AHEAD;
use crate::pseudonym::AccessToken;
use crate::refusal::Refusal;
use crate::secret::{SecretBytes, sha256};

/// Who calls, by its place among the callers of the flow: tokens first, then clients. Who is not
/// listed has the first place with all others.
pub(super) type Place = usize;

/// Checks credentials and address, at a moment in seconds since 1970.
///
/// # Errors
/// [`Refusal::CallerUnauthenticated`] for missing, doubled, ill-formed, expired or unknown
/// credentials, [`Refusal::CallerForbidden`] for those of another flow,
/// [`Refusal::AddressForbidden`].
pub(super) fn check(
    found: &Found<'_>,
    config: &Config,
    headers: &HeaderMap,
    entry: &Entry,
    unix_s: u64,
) -> Result<Place, Refused> {
    let place = match &found.flow.callers {
        Callers::Anyone => 0,
        Callers::Forwarded => {
            only(headers, AUTHORIZATION).ok_or(Refusal::CallerUnauthenticated)?;
            0
        }
        Callers::Listed(listed) => {
            let token = only(headers, AUTHORIZATION).and_then(bearer);
            match (place_of_certificate(entry, listed), token) {
                (Some(place), _) => place,
                (None, None) => return Err(refuse_without(entry, config).into()),
                (None, Some(token)) => {
                    let client = || client(found, config, token, unix_s);
                    let place = place_of(&sha256(token), &listed.tokens).or_else(client);
                    place.ok_or_else(|| refuse(token, listed, config))?
                }
            }
        }
    };
    check_address(found.flow, entry.address.ip())?;
    Ok(place)
}

/// The place of the certificate that a caller showed, behind all tokens and clients.
fn place_of_certificate(entry: &Entry, listed: &Listed) -> Option<Place> {
    let place = place_of(entry.certificate.as_ref()?, &listed.certificates)?;
    let before = listed.tokens.len().saturating_add(listed.clients.len());
    Some(before.saturating_add(place))
}

/// Who shows no token. One that is known by its certificate only may not come in here.
fn refuse_without(entry: &Entry, config: &Config) -> Refusal {
    let flows = config.vendors.iter().flat_map(|vendor| &vendor.flows);
    let mut listed = flows.filter_map(|flow| flow.callers.listed());
    match listed.any(|listed| place_of_certificate(entry, listed).is_some()) {
        true => Refusal::CallerForbidden,
        false => Refusal::CallerUnauthenticated,
    }
}

/// Whether a flow takes calls from an address.
///
/// # Errors
/// [`Refusal::AddressForbidden`].
pub(super) fn check_address(flow: &Flow, address: IpAddr) -> Result<(), Refusal> {
    let address = address.to_canonical();
    let inside = flow.ip_ranges.iter().any(|range| range.contains(&address));
    match flow.ip_ranges.is_empty() || inside {
        true => Ok(()),
        false => Err(Refusal::AddressForbidden),
    }
}

/// The client that an access token of ours was issued to, if it is good here and now. One that a
/// clock far ahead issued would be good for years once that is right again.
fn client(found: &Found<'_>, config: &Config, token: &[u8], unix_s: u64) -> Option<Place> {
    let token = AccessToken::parse(token)?;
    let key = &config.token_key;
    let mut clients = found.flow.callers.clients().iter();
    let is_theirs = clients.any(|client| {
        let of_client =
            client.id == token.client() && key.knows(&token, &found.token_place(client));
        // What was granted and is not given any more makes the token another one.
        let granted = token.scopes().iter();
        of_client && { granted }.all(|scope| client.scopes.contains(scope))
    });
    let longest = life(config).saturating_add(TOKEN_AHEAD).as_secs();
    let ends = token.has_expired(unix_s.saturating_add(longest));
    match is_theirs && ends && !token.has_expired(unix_s) {
        true => place_of_client(found.flow, token.client()),
        false => None,
    }
}

/// The place of a client, the same with each of its secrets.
pub(super) fn place_of_client(flow: &Flow, id: &str) -> Option<Place> {
    let listed = flow.callers.listed()?;
    let place = listed.clients.iter().position(|client| client.id == id)?;
    Some(listed.tokens.len().saturating_add(place))
}

/// The caller's `Authorization`, where the flow forwards it and one came.
///
/// # Errors
/// [`Refusal::CallerUnauthenticated`] if two came.
pub(super) fn forwarded(flow: &Flow, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    match flow.upstream_auth {
        UpstreamAuth::Basic(_)
        | UpstreamAuth::Bearer(_)
        | UpstreamAuth::None
        | UpstreamAuth::Oauth2(_) => Ok(None),
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

/// Where a digest stands. Compares with every one, so that the time tells nothing of which it was.
fn place_of(token: &SecretBytes<32>, known: &[SecretBytes<32>]) -> Option<Place> {
    let place = { known.iter() }
        .zip(1..)
        .fold(0, |found: usize, (digest, place)| {
            found.max(usize::from(digest.matches(token.expose())).saturating_mul(place))
        });
    place.checked_sub(1)
}

/// A token that another flow knows is known; it only may not come in here.
fn refuse(token: &[u8], listed: &Listed, config: &Config) -> Refused {
    let token = sha256(token);
    let flows = config.vendors.iter().flat_map(|vendor| &vendor.flows);
    let known = flows.fold(false, |found, flow| match &flow.callers {
        Callers::Anyone | Callers::Forwarded => found,
        Callers::Listed(listed) => place_of(&token, &listed.tokens).is_some() | found,
    });
    match (known, listed.clients.is_empty()) {
        (true, _) => Refusal::CallerForbidden.into(),
        (false, true) => Refusal::CallerUnauthenticated.into(),
        // Those who fetch tokens know by this that it is time for another one.
        (false, false) => Refused {
            told: Told::TokenInvalid,
            ..Refusal::CallerUnauthenticated.into()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_the_place_at_which_it_stands() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|text| sha256(text));
        let known = [a, b];
        assert_eq!(place_of(&known[0], &known), Some(0));
        assert_eq!(place_of(&known[1], &known), Some(1));
        assert_eq!(place_of(&c, &known), None);
        assert_eq!(place_of(&c, &[]), None);
    }

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
