//! What a body says it is. The same is asked of callers and of upstreams.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};

use crate::refusal::Refusal;

/// Whether a body is declared as JSON, uncoded.
///
/// # Errors
/// [`Refusal::ContentTypeUnsupported`], [`Refusal::ContentCodingUnsupported`].
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    check_is(headers, "application/json")
}

/// Whether a body is declared as a form, uncoded.
///
/// # Errors
/// As [`check`].
pub(super) fn check_form(headers: &HeaderMap) -> Result<(), Refusal> {
    check_is(headers, "application/x-www-form-urlencoded")
}

fn check_is(headers: &HeaderMap, wanted: &str) -> Result<(), Refusal> {
    let media = only(headers, CONTENT_TYPE).and_then(|value| std::str::from_utf8(value).ok());
    if !media.is_some_and(|media| is(media, wanted)) {
        return Err(Refusal::ContentTypeUnsupported);
    }
    let plain = |value: &[u8]| value.eq_ignore_ascii_case(b"identity");
    match headers.contains_key(CONTENT_ENCODING) {
        true if !only(headers, CONTENT_ENCODING).is_some_and(plain) => {
            Err(Refusal::ContentCodingUnsupported)
        }
        _ => Ok(()),
    }
}

/// The value of a header line that comes exactly once.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// That type, with `charset=utf-8` at most (RFC 9110 section 8.3.1, RFC 8259 section 11).
fn is(media: &str, wanted: &str) -> bool {
    let (essence, parameter) = match media.split_once(';') {
        Some((essence, parameter)) => (essence, Some(parameter.trim_matches([' ', '\t']))),
        None => (media, None),
    };
    let charset = |text: &str| {
        text.eq_ignore_ascii_case("charset=utf-8") || text.eq_ignore_ascii_case("charset=\"utf-8\"")
    };
    let essence = essence.trim_matches([' ', '\t']);
    essence.eq_ignore_ascii_case(wanted) && parameter.is_none_or(charset)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn lines(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        let each = lines
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        each.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; charset=UTF-8",
            "application/json; charset=\"utf-8\"",
        ] {
            assert_eq!(check(&lines(&[(CONTENT_TYPE, good)])), Ok(()), "{good}");
        }
        for bad in [
            "",
            "text/json",
            "application/json, application/json",
            "application/json;",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; q=1",
            "application/json; profile=x",
            "application/jsonx",
            "application/json-seq",
        ] {
            let refused = check(&lines(&[(CONTENT_TYPE, bad)]));
            assert_eq!(refused, Err(Refusal::ContentTypeUnsupported), "{bad}");
        }
        let twice = lines(&[
            (CONTENT_TYPE, "application/json"),
            (CONTENT_TYPE, "application/json"),
        ]);
        assert_eq!(check(&twice), Err(Refusal::ContentTypeUnsupported));
        assert_eq!(
            check(&HeaderMap::new()),
            Err(Refusal::ContentTypeUnsupported)
        );
    }

    #[test]
    fn only_the_identity_coding_is_understood() {
        let json = (CONTENT_TYPE, "application/json");
        let coded = |coding| lines(&[json.clone(), (CONTENT_ENCODING, coding)]);
        assert_eq!(check(&coded("identity")), Ok(()));
        for bad in ["gzip", "", "identity, gzip"] {
            assert_eq!(
                check(&coded(bad)),
                Err(Refusal::ContentCodingUnsupported),
                "{bad}"
            );
        }
        let twice = [
            json,
            (CONTENT_ENCODING, "identity"),
            (CONTENT_ENCODING, "identity"),
        ];
        assert_eq!(
            check(&lines(&twice)),
            Err(Refusal::ContentCodingUnsupported)
        );
    }
}
