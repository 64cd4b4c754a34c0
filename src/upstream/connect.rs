//! New connections to an upstream.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Target;
use super::address::is_public;
use super::link::Link;
use crate::config::Reach;
use crate::limits::{Bound, Limits};
use crate::refusal::Refusal;
use crate::tls::{Connector, Stream};

/// Where an upstream is.
#[derive(Debug)]
pub(super) struct Address {
    host: String,
    port: u16,
    reach: Reach,
}

impl Address {
    pub(super) fn new(host: &str, port: u16, reach: Reach) -> Self {
        Self {
            host: host.to_owned(),
            port,
            reach,
        }
    }

    /// As a `Host` header names it (RFC 9110 section 7.2).
    pub(super) fn authority(&self, default_port: u16) -> String {
        match (&self.host, self.port) {
            (host, port) if port == default_port && host.contains(':') => format!("[{host}]"),
            (host, port) if port == default_port => host.clone(),
            _ => self.to_string(),
        }
    }

    /// The addresses to try, in the order of the resolver.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, Refusal> {
        let mut found: Vec<SocketAddr> = match self.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, self.port)],
            Err(_a_name) => tokio::net::lookup_host((self.host.as_str(), self.port))
                .await
                .map_err(|_unknown| Refusal::UpstreamUnreachable)?
                .collect(),
        };
        let all = found.len();
        match self.reach {
            Reach::Any => {}
            Reach::Public => found.retain(|address| is_public(address.ip())),
        }
        match found.len() {
            0 if all > 0 => Err(Refusal::PrivateAddress),
            0 => Err(Refusal::UpstreamUnreachable),
            _ => Ok(found),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Connects within `upstream-connect`: name, connection and TLS handshake together.
pub(super) async fn open(target: &Target, limits: &Limits) -> Result<Box<Link>, Refusal> {
    let patience = limits.time(Bound::UpstreamConnect);
    let opened = timeout(patience, async {
        let stream = reach(&target.address, target.tls.as_deref(), patience).await?;
        Link::new(stream, limits, target.clock.now()).await
    });
    opened.await.map_err(|_late| Refusal::UpstreamTimeout)?
}

/// Name, connection and TLS handshake. It has no deadline as a whole.
pub(super) async fn reach(
    address: &Address,
    tls: Option<&Connector>,
    patience: Duration,
) -> Result<Stream, Refusal> {
    let stream = first_of(&address.resolve().await?, patience).await?;
    let stream = match tls {
        None => Ok(Stream::Plain(stream)),
        Some(tls) => tls.connect(&address.host, stream).await,
    };
    stream.map_err(|_broken| Refusal::UpstreamUnreachable)
}

/// The first address that takes a connection. Each gets its share of the time, so that one that
/// swallows what is sent to it does not keep the next one from being tried.
async fn first_of(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, Refusal> {
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let share = patience.checked_div(count).unwrap_or(patience);
    let mut why = Refusal::UpstreamUnreachable;
    for address in addresses {
        match timeout(share, connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_refused)) => {}
            Err(_late) => why = Refusal::UpstreamTimeout,
        }
    }
    Err(why)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Every message is written whole: waiting for more would only be waiting.
    stream.set_nodelay(true)?;
    Ok(stream)
}
