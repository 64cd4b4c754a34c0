//! `sluis health`: asks a running gateway on this machine, for images without a shell.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::out::{Exit, Format, Out};
use super::{Common, problems};
use crate::clock::Clock;
use crate::config;

/// The longest wait for the answer, from the first attempt to connect.
const WAIT: Duration = Duration::from_secs(2);
/// What is read of an answer: `HTTP/1.1 200` (RFC 9112 section 4).
const STATUS_BYTES: usize = 12;

/// Ask the gateway that runs with this configuration whether it lives
///
/// Ends with 0 if it does, with 69 if not.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// Ask whether it takes requests, not only whether it lives
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    let path = if options.ready { "/readyz" } else { "/livez" };
    let found = config::find(options.common.config.as_deref());
    let admin = match found.and_then(|folder| config::admin_address(&folder)) {
        Ok(address) => address,
        Err(wrong) => return problems(&wrong, options.common.format, out),
    };
    let answer = ask(admin, path);
    let (healthy, words) = match &answer {
        Ok(200) => (true, "yes".to_owned()),
        Ok(status) => (false, format!("no: it answers {status}")),
        Err(error) => (false, format!("no: {error}")),
    };
    match options.common.format {
        Format::Json => out.json(&json!({
            "address": admin.to_string(),
            "healthy": healthy,
            "path": path,
            "status": answer.ok(),
        })),
        Format::Text => out.say(&format!("http://{admin}{path}  {words}")),
    }
    if healthy {
        Exit::Fine
    } else {
        Exit::Unavailable
    }
}

/// Asks for a page and gives the status of the answer.
fn ask(admin: SocketAddr, path: &str) -> io::Result<u16> {
    let clock = Clock::system();
    let end = clock.now().checked_add(WAIT);
    let left = || {
        let left = end.and_then(|end| end.checked_duration_since(clock.now()));
        left.filter(|left| !left.is_zero())
            .ok_or(ErrorKind::TimedOut)
    };
    let mut stream = TcpStream::connect_timeout(&reachable(admin), left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; STATUS_BYTES];
    let mut length = 0;
    while let Some(room) = answer.get_mut(length..).filter(|room| !room.is_empty()) {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(room)? {
            0 => break,
            more => length = length.saturating_add(more),
        }
    }
    let status = answer
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|digits| str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::other("what answers is no gateway"))
}

/// A listener on all addresses is reached through loopback.
fn reachable(admin: SocketAddr) -> SocketAddr {
    match admin {
        SocketAddr::V4(it) if it.ip().is_unspecified() => ([127, 0, 0, 1], it.port()).into(),
        SocketAddr::V6(it) if it.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, it.port()).into()
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => admin,
    }
}
