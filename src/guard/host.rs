//! The host that a request names (RFC 9110 section 7.2, RFC 3986 section 3.2).

use std::net::Ipv6Addr;

/// `host[:port]`, well-formed and without userinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'h> {
    /// The name; an IPv6 address with its brackets.
    pub name: &'h str,
    /// The port as it is written, 1 to 5 digits.
    pub port: Option<&'h str>,
}

impl<'h> Host<'h> {
    /// Reads one; `None` if it is none.
    #[must_use]
    pub fn parse(text: &'h [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let end = match text.starts_with('[') {
            true => text.find(']').map(|at| at.saturating_add(1)),
            false => text.find(':'),
        };
        let (name, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':')?),
        };
        (is_name(name) && port.is_none_or(is_port)).then_some(Self { name, port })
    }
}

fn is_port(port: &str) -> bool {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    digits && port.parse::<u16>().is_ok()
}

fn is_name(name: &str) -> bool {
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !name.is_empty() && name.bytes().all(plain)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_at_most() {
        let parsed = |text: &'static str| {
            let host = Host::parse(text.as_bytes())?;
            Some((host.name, host.port))
        };
        assert_eq!(parsed("A.example"), Some(("A.example", None)));
        assert_eq!(parsed("a_b-c.1:80"), Some(("a_b-c.1", Some("80"))));
        assert_eq!(parsed("[::1]:08080"), Some(("[::1]", Some("08080"))));
        assert_eq!(parsed("[::1]"), Some(("[::1]", None)));
        for bad in [
            "",
            ":80",
            "a,b",
            "u@a",
            "a:",
            "a:x",
            "a:+1",
            "a:99999",
            "a:000080",
            "[::1",
            "[::g]",
            "[::1]x",
            "[]",
            "[1.2.3.4]",
            "a b",
            "a/b",
            "a:80:80",
            "::1",
            "a%41",
            "a\u{fc}",
            "a\t",
        ] {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
        assert_eq!(Host::parse(b"a\xff"), None);
    }
}
