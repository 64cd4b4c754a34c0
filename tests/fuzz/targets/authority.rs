//! Invariant: who is let in by `:authority`, `:scheme`, `Host` and the name of the TLS handshake has
//! named one host in all of them: a name or an address with a port at most, in lower case, without
//! the scheme's own port; it is taken again as it came out; and no more `Host` or `Content-Length`
//! lines than one, and no method but those on the list, come through. Nothing panics.
//!
//! Input: a byte of choices, and then the name of the handshake, the authority, the path and the
//! lines of the head, each ended by a line feed; a line has its name up to the first colon.

#![no_main]

use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use libfuzzer_sys::fuzz_target;
use sluis::limits::Limits;
use sluis::proxy::{Entrance, check_head, host_of};

const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "get", "PRI",
];

/// What is asked, made as the HTTP/2 library makes it; `None` if it would refuse it itself.
fn request(choices: u8, authority: &[u8], path: &[u8], lines: &[&[u8]]) -> Option<Parts> {
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path.try_into().ok()?);
    // Without the lowest bit there is neither, as in an HTTP/1.1 request for a path.
    if choices & 1 != 0 {
        uri.scheme = Some(match choices & 2 {
            0 => Scheme::HTTPS,
            _ => Scheme::HTTP,
        });
        uri.authority = Some(authority.try_into().ok()?);
    }
    let (mut head, ()) = Request::new(()).into_parts();
    head.uri = Uri::from_parts(uri).ok()?;
    head.method =
        Method::from_bytes(METHODS[usize::from(choices >> 4) % METHODS.len()].as_bytes()).ok()?;
    if choices & 4 != 0 {
        head.version = Version::HTTP_2;
    }
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        head.headers
            .append(name, HeaderValue::from_bytes(&line[at + 1..]).ok()?);
    }
    Some(head)
}

/// A host as it is compared, read by other means than the gateway's.
fn plain(text: &[u8], port: &str) -> String {
    let text = std::str::from_utf8(text)
        .expect("a host is text")
        .to_ascii_lowercase();
    let own = format!(":{port}");
    text.strip_suffix(&own).map_or(text.clone(), str::to_owned)
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let bytes = |allowed: &[u8]| {
        name.bytes()
            .all(|it| it.is_ascii_alphanumeric() || allowed.contains(&it))
    };
    let is_address = name.starts_with('[') && name.ends_with(']') && bytes(b"[:.]");
    let is_name = !name.is_empty() && bytes(b"-._");
    let is_port = port.is_none_or(|it| it.parse::<u16>().is_ok() && !it.starts_with('+'));
    (is_name || is_address) && is_port && !text.bytes().any(|it| it.is_ascii_uppercase())
}

fuzz_target!(|input: &[u8]| {
    let Some((&choices, text)) = input.split_first() else {
        return;
    };
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (named, authority, path) = (next(), next(), next());
    let lines: Vec<&[u8]> = lines.collect();
    let Some(head) = request(choices, authority, path, &lines) else {
        return;
    };
    let secure = choices & 8 != 0;
    let server_name = std::str::from_utf8(named)
        .ok()
        .filter(|_| secure && !named.is_empty());
    let entrance = Entrance {
        secure,
        server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
    };
    if check_head(&head, &Limits::default()).is_ok() {
        assert!(METHODS[..5].contains(&head.method.as_str()));
        assert!(head.headers.get_all(header::CONTENT_LENGTH).iter().count() < 2);
        assert!(head.headers.len() <= 64 && path.len() <= 8 << 10);
    }
    let Ok(host) = host_of(&head, &entrance) else {
        return;
    };
    let (scheme, port) = match secure {
        true => ("https", "443"),
        false => ("http", "80"),
    };
    assert!(is_host(&host), "{host}");
    assert!(head.uri.scheme_str().is_none_or(|it| it == scheme));
    let lines: Vec<_> = head.headers.get_all(header::HOST).iter().collect();
    assert!(lines.len() < 2);
    let authority = head.uri.authority().map(|it| it.as_str().as_bytes());
    let all: Vec<&[u8]> = lines
        .iter()
        .map(|line| line.as_bytes())
        .chain(authority)
        .collect();
    assert!(!all.is_empty());
    for one in all {
        assert_eq!(plain(one, port), *host);
    }
    if let Some(name) = &entrance.server_name {
        let own = host
            .strip_prefix(&**name)
            .expect("the name of the handshake");
        assert!(own.is_empty() || own.starts_with(':'), "{host}");
    }
    let (mut again, ()) = Request::new(()).into_parts();
    again.headers.insert(
        header::HOST,
        HeaderValue::from_str(&host).expect("one line"),
    );
    assert_eq!(host_of(&again, &entrance).expect("as it came out"), host);
});
