//! The head of a request, as far as the service can see it: what is not plain HTTP for one host is
//! refused before anybody asks who is calling.

use std::borrow::Cow;

use http::Version;
use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::request::Parts;

use super::media::only;
use crate::guard::Host;
use crate::limits::{Bound, Limits};
use crate::policy::Method;
use crate::refusal::Refusal;

/// What a header line costs besides its name and value: `": "` and the line end.
const LINE_BYTES: usize = 4;

/// How a connection was made, as far as a request on it can disagree.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Whether it is TLS.
    pub secure: bool,
    /// The name asked for in the TLS handshake, lower case.
    pub server_name: Option<Box<str>>,
}

impl Entrance {
    const fn scheme(&self) -> &'static str {
        match self.secure {
            true => "https",
            false => "http",
        }
    }

    const fn default_port(&self) -> &'static str {
        match self.secure {
            true => "443",
            false => "80",
        }
    }
}

/// Checks what comes over HTTP/2: sizes, length, method and expectation. What comes over HTTP/1.1
/// has been through the framing guard, which asks the same and more. Lines that have no meaning in
/// HTTP/2 (`Transfer-Encoding`, `Upgrade`, `Connection`) are malformed there (RFC 9113 section
/// 8.2.2), and the library refuses them.
///
/// # Errors
/// The first of these that is not as it should be.
pub fn check_head(head: &Parts, limits: &Limits) -> Result<(), Refusal> {
    check_sizes(head, limits)?;
    if head.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal::FramingInvalid);
    }
    if Method::parse(head.method.as_str()).is_none() {
        return Err(Refusal::MethodNotListed);
    }
    let continues = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    match head.headers.contains_key(EXPECT) {
        true if !only(&head.headers, EXPECT).is_some_and(continues) => {
            Err(Refusal::ExpectationUnknown)
        }
        _ => Ok(()),
    }
}

/// The host that a request is for: lower case, without the scheme's own port.
///
/// # Errors
/// [`Refusal::HostInvalid`] if none is named, two are, or it is no host; [`Refusal::HostUnknown`]
/// if `Host`, authority, scheme and TLS name disagree.
pub fn host_of<'h>(head: &'h Parts, entrance: &Entrance) -> Result<Cow<'h, str>, Refusal> {
    let line = match head.headers.contains_key(HOST) {
        true => Some(only(&head.headers, HOST).ok_or(Refusal::HostInvalid)?),
        false => None,
    };
    let line = match line.map(std::str::from_utf8) {
        Some(text) => Some(normal(
            text.map_err(|_bad| Refusal::HostInvalid)?,
            entrance,
        )?),
        None => None,
    };
    let authority = match head.uri.authority() {
        Some(authority) => Some(normal(authority.as_str(), entrance)?),
        None => None,
    };
    let host = match (line, authority) {
        (Some(line), Some(authority)) if line != authority => return Err(Refusal::HostUnknown),
        (Some(line), _) => line,
        (None, Some(authority)) if head.version == Version::HTTP_2 => authority,
        (None, _) => return Err(Refusal::HostInvalid),
    };
    if head
        .uri
        .scheme_str()
        .is_some_and(|scheme| scheme != entrance.scheme())
    {
        return Err(Refusal::HostUnknown);
    }
    match &entrance.server_name {
        Some(name) if Some(&**name) != name_of(&host) => Err(Refusal::HostUnknown),
        _ => Ok(host),
    }
}

fn check_sizes(head: &Parts, limits: &Limits) -> Result<(), Refusal> {
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limits.size(Bound::Target) {
        return Err(Refusal::TargetTooLong);
    }
    let line_max = limits.size(Bound::Header);
    let mut sum: usize = 0;
    for (name, value) in &head.headers {
        let line = name
            .as_str()
            .len()
            .saturating_add(value.len())
            .saturating_add(LINE_BYTES);
        if line > line_max {
            return Err(Refusal::HeadTooLarge);
        }
        sum = sum.saturating_add(line);
    }
    match sum > limits.size(Bound::Head) || head.headers.len() > limits.size(Bound::Headers) {
        true => Err(Refusal::HeadTooLarge),
        false => Ok(()),
    }
}

/// `host[:port]`, in the one form that is compared.
fn normal<'h>(text: &'h str, entrance: &Entrance) -> Result<Cow<'h, str>, Refusal> {
    let host = Host::parse(text.as_bytes()).ok_or(Refusal::HostInvalid)?;
    let text = match host.port {
        Some(port) if port == entrance.default_port() => host.name,
        Some(_) | None => text,
    };
    Ok(match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    })
}

fn name_of(host: &str) -> Option<&str> {
    Host::parse(host.as_bytes()).map(|host| host.name)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(target: &str, lines: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn plain() -> Entrance {
        Entrance {
            secure: false,
            server_name: None,
        }
    }

    fn checked(lines: &[(&'static str, &str)]) -> Result<(), Refusal> {
        check_head(&head("/", lines), &Limits::default())
    }

    #[test]
    fn a_plain_head_is_taken() {
        assert_eq!(checked(&[("host", "a.example"), ("accept", "*/*")]), Ok(()));
        assert_eq!(
            checked(&[("expect", "100-Continue"), ("content-length", "1")]),
            Ok(())
        );
    }

    #[test]
    fn what_http_allows_and_we_do_not_is_refused_by_name() {
        let one = [("expect", "200-ok")];
        assert_eq!(checked(&one), Err(Refusal::ExpectationUnknown));
        let twice = [("expect", "100-continue"), ("expect", "100-continue")];
        assert_eq!(checked(&twice), Err(Refusal::ExpectationUnknown));
        let twice = [("content-length", "1"), ("content-length", "1")];
        assert_eq!(checked(&twice), Err(Refusal::FramingInvalid));
        for method in ["OPTIONS", "TRACE", "CONNECT", "get", "FETCH"] {
            let mut head = head("/", &[]);
            head.method = method.parse().unwrap();
            assert_eq!(
                check_head(&head, &Limits::default()),
                Err(Refusal::MethodNotListed),
                "{method}"
            );
        }
    }

    #[test]
    fn sizes_are_held_to_the_byte() {
        let limits = Limits::default();
        let target = |length: usize| head(&format!("/{}", "a".repeat(length - 1)), &[]);
        assert_eq!(check_head(&target(8 << 10), &limits), Ok(()));
        assert_eq!(
            check_head(&target((8 << 10) + 1), &limits),
            Err(Refusal::TargetTooLong)
        );
        let line = |length: usize| "a".repeat(length - LINE_BYTES - "x-a".len());
        assert_eq!(checked(&[("x-a", &line(8 << 10))]), Ok(()));
        assert_eq!(
            checked(&[("x-a", &line((8 << 10) + 1))]),
            Err(Refusal::HeadTooLarge)
        );
        let half = line(8 << 10);
        assert_eq!(checked(&[("x-a", &half), ("x-b", &half)]), Ok(()));
        let over = [("x-a", &*half), ("x-b", &*half), ("x", "")];
        assert_eq!(checked(&over), Err(Refusal::HeadTooLarge));
        assert_eq!(checked(&vec![("x", ""); 64]), Ok(()));
        assert_eq!(checked(&vec![("x", ""); 65]), Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn a_host_is_compared_in_one_form() {
        let named = |line: &str| {
            let head = head("/", &[("host", line)]);
            host_of(&head, &plain()).map(Cow::into_owned)
        };
        assert_eq!(named("A.Example"), Ok("a.example".to_owned()));
        assert_eq!(named("a.example:80"), Ok("a.example".to_owned()));
        assert_eq!(named("a.example:443"), Ok("a.example:443".to_owned()));
        assert_eq!(named("[::1]:8080"), Ok("[::1]:8080".to_owned()));
        for bad in ["", "a,b", "u@a.example", "a.example:", "\u{fc}.example"] {
            assert_eq!(named(bad), Err(Refusal::HostInvalid), "{bad:?}");
        }
    }

    #[test]
    fn host_authority_scheme_and_tls_name_must_agree() {
        let told = |target: &str, lines: &[(&'static str, &str)], entrance: &Entrance| {
            host_of(&head(target, lines), entrance).map(Cow::into_owned)
        };
        let a = [("host", "a.example")];
        assert_eq!(
            told("http://a.example/x", &a, &plain()),
            Ok("a.example".to_owned())
        );
        assert_eq!(
            told("http://b.example/x", &a, &plain()),
            Err(Refusal::HostUnknown)
        );
        assert_eq!(
            told("https://a.example/x", &a, &plain()),
            Err(Refusal::HostUnknown)
        );
        assert_eq!(
            told("http://u@a.example/x", &a, &plain()),
            Err(Refusal::HostInvalid)
        );
        assert_eq!(told("/x", &[], &plain()), Err(Refusal::HostInvalid));
        let twice = [("host", "a.example"), ("host", "a.example")];
        assert_eq!(told("/x", &twice, &plain()), Err(Refusal::HostInvalid));
        let sni = |name: &str| Entrance {
            secure: true,
            server_name: Some(name.into()),
        };
        assert_eq!(
            told("/x", &a, &sni("a.example")),
            Ok("a.example".to_owned())
        );
        assert_eq!(told("/x", &a, &sni("b.example")), Err(Refusal::HostUnknown));
        let port = [("host", "a.example:8443")];
        assert_eq!(
            told("/x", &port, &sni("a.example")),
            Ok("a.example:8443".to_owned())
        );
    }

    #[test]
    fn http2_may_leave_the_host_line_out() {
        let mut head = head("https://a.example/x", &[]);
        let entrance = Entrance {
            secure: true,
            server_name: Some("a.example".into()),
        };
        assert_eq!(host_of(&head, &entrance), Err(Refusal::HostInvalid));
        head.version = Version::HTTP_2;
        assert_eq!(host_of(&head, &entrance).unwrap(), "a.example");
    }
}
