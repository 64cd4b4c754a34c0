//! An address on the web, as far as a configuration needs one: scheme, host, port and path.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `http://` or `https://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WebScheme {
    Http,
    Https,
}

impl WebScheme {
    /// The port that need not be written (RFC 9110 section 4.2).
    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An absolute address without user, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebAddress {
    pub(super) scheme: WebScheme,
    /// A name in lower case or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Empty, or beginning with a slash and not ending with one.
    pub(super) path: String,
}

impl WebAddress {
    /// Reads an address, or says in words what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (WebScheme::Http, rest),
            Some(("https", rest)) => (WebScheme::Https, rest),
            Some(_) | None => return Err("an address begins with https:// or http://"),
        };
        if rest.contains(['?', '#']) {
            return Err("an address here has no query and no fragment");
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = host_and_port(authority)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or_else(|| scheme.default_port()),
            path: plain_path(path)?,
        })
    }

    /// The whole address as people write it.
    pub(super) fn written(&self) -> String {
        let scheme = match self.scheme {
            WebScheme::Http => "http",
            WebScheme::Https => "https",
        };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    /// Whether it leads to this machine, by what is written.
    pub(super) fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_not_one) => self.is_localhost(),
        }
    }

    /// Whether it is a name of this machine, everywhere (RFC 6761 section 6.3).
    pub(super) fn is_localhost(&self) -> bool {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        host == "localhost" || host.ends_with(".localhost")
    }

    /// What a caller's `Host` must be: brackets around IPv6, the default port left out.
    pub(super) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port == self.scheme.default_port() {
            true => host,
            false => format!("{host}:{}", self.port),
        }
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("an address has no user or password in it");
    }
    let (host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, rest)) => {
            let address: Ipv6Addr = host.parse().map_err(|_fault| "this is no IPv6 address")?;
            (
                address.to_string(),
                rest.strip_prefix(':')
                    .or_else(|| rest.is_empty().then_some("")),
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
            None => (authority.to_ascii_lowercase(), Some("")),
        },
    };
    let port = match port {
        Some("") if !authority.ends_with(':') => None,
        Some(port) => match port.parse::<u16>() {
            Ok(number @ 1..) if !port.starts_with('+') => Some(number),
            Ok(_) | Err(_) => return Err("a port is a number, 1 to 65535"),
        },
        None => return Err("a port is a number, 1 to 65535"),
    };
    let name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let is_name = host.bytes().all(name) && host.len() <= 253;
    let labels_fit = host.split('.').all(|label| (1..=63).contains(&label.len()));
    if is_name && ends_in_number(&host) && host.parse::<Ipv4Addr>().is_err() {
        return Err("a host that ends in a number is an address of four numbers");
    }
    if host.contains(':') || is_name && labels_fit {
        Ok((host, port))
    } else {
        Err("a host is a name of letters, digits, dots and dashes, or an address")
    }
}

/// Resolvers take `127.1` and `0x7f000001` for addresses (WHATWG URL, host parsing).
fn ends_in_number(host: &str) -> bool {
    let label = host.rsplit('.').next().unwrap_or_default();
    let hex = label.strip_prefix("0x").unwrap_or_default();
    let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit())
}

/// A path whose segments stand for themselves; a slash at its end is left out.
pub(super) fn plain_path(path: &str) -> Result<String, &'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(String::new());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte);
    let good = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    match path.strip_prefix('/') {
        Some(segments) if segments.split('/').all(good) => Ok(path.to_owned()),
        Some(_) => Err("a path has no empty or dot segments, and nothing percent-encoded"),
        None => Err("a path begins with a slash"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, String, String) {
        let address = WebAddress::parse(text).unwrap();
        (
            address.host.clone(),
            address.port,
            address.path.clone(),
            address.authority(),
        )
    }

    #[test]
    fn addresses_are_read_in_one_form() {
        let owned = |host: &str, port, path: &str, authority: &str| {
            (host.to_owned(), port, path.to_owned(), authority.to_owned())
        };
        assert_eq!(
            parts("https://Sis.Example"),
            owned("sis.example", 443, "", "sis.example")
        );
        assert_eq!(
            parts("http://a.example:80/"),
            owned("a.example", 80, "", "a.example")
        );
        assert_eq!(
            parts("http://127.0.0.1:8010/v1/x/"),
            owned("127.0.0.1", 8010, "/v1/x", "127.0.0.1:8010")
        );
        assert_eq!(
            parts("https://[::1]:8443/a"),
            owned("::1", 8443, "/a", "[::1]:8443")
        );
        assert_eq!(parts("https://[0:0::1]"), owned("::1", 443, "", "[::1]"));
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for bad in [
            "",
            "sis.example",
            "ftp://a",
            "HTTPS://a",
            "https://",
            "https:///x",
            "https://a b",
            "https://u:p@a",
            "https://a?x",
            "https://a#x",
            "https://a:0",
            "https://a:x",
            "https://127.1",
            "https://a.0x7f",
            "https://2130706433",
            "https://a:",
            "https://a:65536",
            "https://a:+1",
            "https://a//b",
            "https://a/../b",
            "https://a/%2e",
            "https://a/é",
            "https://é",
            "https://a..b",
            "https://.a",
            "https://[::g]",
            "https://[::1]x",
            "https://::1",
            "https://a_b",
        ] {
            assert!(WebAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
