//! What a client sends that asks for a token (RFC 6749 section 4.4.2). Nothing here is printed.

use std::borrow::Cow;

use data_encoding::BASE64;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::media::only;
use crate::refusal::Refusal;
use crate::secret::{SecretBytes, SecretText, sha256};

/// A request for a token, taken apart. Nothing of it is believed yet.
pub(super) struct TokenRequest {
    /// Who asks, and with which secrets.
    pub(super) client: Credentials,
    /// `grant_type`.
    pub(super) grant_type: String,
    /// `scope`, if one is asked for.
    pub(super) scope: Option<String>,
}

/// A client and the digests of what its secret may be. There are two where a text can be read in
/// two ways: many clients do not encode what they put into `Authorization`.
pub(super) struct Credentials {
    pub(super) readings: [(String, SecretBytes<32>); 2],
}

/// A form, each of its parameters once.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretText>,
}

impl TokenRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Refusal::TokenRequestInvalid`] if it is not well-formed or says who asks in two ways,
    /// [`Refusal::CallerUnauthenticated`] if it does not say so at all.
    pub(super) fn read(headers: &HeaderMap, body: &str) -> Result<Self, Refusal> {
        let form = Form::read(body)?;
        let basic = match headers.contains_key(AUTHORIZATION) {
            true => Some(only(headers, AUTHORIZATION).ok_or(Refusal::TokenRequestInvalid)?),
            false => None,
        };
        let client = match (basic, form.client_id, form.client_secret) {
            (Some(_), _, Some(_)) => return Err(Refusal::TokenRequestInvalid),
            (Some(value), id, None) => {
                let client = basic_credentials(value).ok_or(Refusal::CallerUnauthenticated)?;
                // Said twice, and the same: no second way to say who asks.
                if id.is_some_and(|id| client.readings.iter().all(|(other, _)| *other != id)) {
                    return Err(Refusal::TokenRequestInvalid);
                }
                client
            }
            (None, Some(id), Some(secret)) => form_credentials(&id, &secret),
            (None, _, _) => return Err(Refusal::CallerUnauthenticated),
        };
        Ok(Self {
            client,
            grant_type: form.grant_type.ok_or(Refusal::TokenRequestInvalid)?,
            scope: form.scope,
        })
    }
}

impl Form {
    /// Parameters that are not known are left out, and so are empty ones (RFC 6749 section 3.2).
    fn read(body: &str) -> Result<Self, Refusal> {
        let mut form = Self::default();
        let mut again = false;
        let mut set = |place: &mut Option<String>, value: Cow<'_, str>| {
            again |= place.replace(value.into_owned()).is_some();
        };
        let mut secrets: usize = 0;
        for (name, value) in form_urlencoded::parse(body.as_bytes()) {
            match &*name {
                _ if value.is_empty() => {}
                "grant_type" => set(&mut form.grant_type, value),
                "scope" => set(&mut form.scope, value),
                "client_id" => set(&mut form.client_id, value),
                "client_secret" => {
                    secrets = secrets.saturating_add(1);
                    form.client_secret = Some(SecretText::new(value.into_owned()));
                }
                _ => {}
            }
        }
        match again || secrets > 1 {
            true => Err(Refusal::TokenRequestInvalid),
            false => Ok(form),
        }
    }
}

/// `Basic …` (RFC 7617), with both parts encoded as in a form (RFC 6749 section 2.3.1) or not.
fn basic_credentials(value: &[u8]) -> Option<Credentials> {
    let (scheme, rest) = value.split_at_checked(b"Basic".len())?;
    let encoded = rest.strip_prefix(b" ")?.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let both = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    let both = SecretText::new(both);
    // Exposed to be taken apart, and to be hashed.
    let (id, secret) = both.expose().split_once(':')?;
    let as_written = (id.to_owned(), sha256(secret.as_bytes()));
    let decoded = SecretText::new(decoded(secret));
    // Nothing is no secret; in a form it is left out. Exposed to see that there is one.
    if secret.is_empty() || decoded.expose().is_empty() {
        return None;
    }
    let as_encoded = (self::decoded(id), sha256(decoded.expose().as_bytes()));
    Some(Credentials {
        readings: [as_written, as_encoded],
    })
}

/// As much work as for [`basic_credentials`].
fn form_credentials(id: &str, secret: &SecretText) -> Credentials {
    // Exposed to be hashed.
    let one = || (id.to_owned(), sha256(secret.expose().as_bytes()));
    Credentials {
        readings: [one(), one()],
    }
}

/// One text of a form. A name of nothing before it, so that it is read as a value, `=` and all.
fn decoded(text: &str) -> String {
    let pair = ["=", text].concat();
    let one = form_urlencoded::parse(pair.as_bytes()).next();
    one.map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64.encode(text.as_bytes()))
    }

    fn read(lines: &[&str], body: &str) -> Result<TokenRequest, Refusal> {
        TokenRequest::read(&headers(lines), body)
    }

    fn is_client(request: &TokenRequest, id: &str, secret: &str) -> bool {
        let digest = sha256(secret.as_bytes());
        let mut readings = request.client.readings.iter();
        readings.any(|(other, of)| other == id && of.matches(digest.expose()))
    }

    #[test]
    fn a_client_says_who_it_is_in_basic_or_in_the_form() {
        let grant = "grant_type=client_credentials";
        let request = read(&[&basic("a:b")], grant).unwrap();
        assert!(is_client(&request, "a", "b"));
        assert_eq!(request.grant_type, "client_credentials");
        assert_eq!(request.scope, None);
        let form = format!("{grant}&client_id=a&client_secret=b%2B%3D+c&scope=x+y&other=1&none=");
        let request = read(&[], &form).unwrap();
        assert!(is_client(&request, "a", "b+= c"));
        assert_eq!(request.scope.as_deref(), Some("x y"));
        let twice = format!("{grant}&client_id=a");
        assert!(
            read(&[&basic("a:b")], &twice).is_ok(),
            "the same name again"
        );
    }

    #[test]
    fn what_stands_in_basic_is_read_as_encoded_and_as_not() {
        let request = read(&[&basic("a:x%2By+z=&")], "grant_type=g").unwrap();
        assert!(is_client(&request, "a", "x%2By+z=&"));
        let request = read(&[&basic("a%40b:x%2By+z%3D%26")], "grant_type=g").unwrap();
        assert!(is_client(&request, "a@b", "x+y z=&"));
    }

    #[test]
    fn a_request_that_can_be_read_in_two_ways_is_no_request() {
        let client = "client_id=a&client_secret=b";
        let invalid = [
            (vec![basic("a:b")], format!("grant_type=g&{client}")),
            (
                vec![basic("a:b")],
                "grant_type=g&client_id=other".to_owned(),
            ),
            (vec![basic("a:b"); 2], "grant_type=g".to_owned()),
            (vec![], format!("grant_type=g&grant_type=g&{client}")),
            (vec![], format!("grant_type=g&{client}&client_secret=c")),
            (vec![], format!("grant_type=g&scope=a&scope=b&{client}")),
            (vec![], client.to_owned()),
            (vec![], format!("grant_type=&{client}")),
        ];
        for (lines, body) in invalid {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let refused = read(&lines, &body).err();
            assert_eq!(refused, Some(Refusal::TokenRequestInvalid), "{body}");
        }
    }

    #[test]
    fn who_does_not_say_who_it_is_is_nobody() {
        let unauthenticated = [
            (vec![], "grant_type=g".to_owned()),
            (vec![], "grant_type=g&client_id=a".to_owned()),
            (vec![], "grant_type=g&client_secret=a".to_owned()),
            (vec!["Bearer abc".to_owned()], "grant_type=g".to_owned()),
            (vec!["Basic".to_owned()], "grant_type=g".to_owned()),
            (vec!["Basic ====".to_owned()], "grant_type=g".to_owned()),
            (vec![basic("without a colon")], "grant_type=g".to_owned()),
            (vec![basic("a:")], "grant_type=g".to_owned()),
            (vec![basic("a:&")], "grant_type=g".to_owned()),
            (vec![], "grant_type=g&client_id=a&client_secret=".to_owned()),
        ];
        for (lines, body) in unauthenticated {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let refused = read(&lines, &body).err();
            assert_eq!(refused, Some(Refusal::CallerUnauthenticated), "{lines:?}");
        }
    }
}
