//! New connections to an upstream.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Target;
use super::address::is_public;
use super::framed::Framed;
use super::link::Link;
use super::shared::Shared;
use super::way::Way;
use crate::config::Reach;
use crate::limits::{Bound, Limits, UPSTREAM_ADDRESS_STAGGER, UPSTREAM_ADDRESSES_MAX};
use crate::refusal::{Refusal, UpstreamFault};
use crate::tls::{Connector, Offer, Socket, Stream};

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

    /// The addresses to try. A name is looked up for every connection, and what is connected to is
    /// what was looked at here: it cannot lead somewhere else in between.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, Refusal> {
        let found = match self.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, self.port)],
            Err(_a_name) => tokio::net::lookup_host((self.host.as_str(), self.port))
                .await
                .map_err(|_unknown| unreachable(UpstreamFault::Dns))?
                .collect(),
        };
        self.allowed(found).map(in_turns)
    }

    /// Those of the addresses that were found that may be connected to.
    fn allowed(&self, mut found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
        let all = found.len();
        match self.reach {
            Reach::Any => {}
            Reach::Public => found.retain(|address| is_public(address.ip())),
        }
        match found.len() {
            0 if all > 0 => Err(Refusal::PrivateAddress),
            0 => Err(unreachable(UpstreamFault::Dns)),
            _ => Ok(found),
        }
    }
}

/// The order in which addresses are tried: that of the resolver, the two families in turns
/// (RFC 8305 section 4), so that a family that leads nowhere costs one wait.
fn in_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<_>, Vec<_>) =
        { found.into_iter() }.partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let pairs = std::iter::from_fn(|| match (ours.next(), others.next()) {
        (None, None) => None,
        (one, other) => Some([one, other]),
    });
    let turns = pairs.flatten().flatten();
    turns.take(UPSTREAM_ADDRESSES_MAX).collect()
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
pub(super) async fn open(target: &Target, limits: &Limits) -> Result<Way, Refusal> {
    let patience = limits.time(Bound::UpstreamConnect);
    let opened = timeout(patience, async {
        let tls = target.tls.as_deref().map(|tls| (tls, Offer::Http2));
        let stream = reach(&target.address, tls).await?;
        let now = target.clock.now();
        match stream.speaks_http2() {
            true => {
                let framed = Framed::new(stream, limits, &target.clock, &target.standing);
                let shared = Shared::new(framed, limits, now).await?;
                Ok(Way::Shared(target.crowd.add(shared, now)))
            }
            false => Link::new(stream, limits, now).await.map(Way::Own),
        }
    });
    opened.await.map_err(|_late| Refusal::UpstreamTimeout {
        fault: UpstreamFault::Timeout,
    })?
}

/// Name, connection and TLS handshake. It has no deadline of its own.
pub(super) async fn reach(
    address: &Address,
    tls: Option<(&Connector, Offer)>,
) -> Result<Stream, Refusal> {
    let stream = first_of(address.resolve().await?).await?;
    let socket = Socket::new(stream);
    let stream = match tls {
        None => Ok(Stream::Plain(socket)),
        Some((tls, offer)) => tls.connect(&address.host, socket, offer).await,
    };
    stream.map_err(unreachable)
}

const fn unreachable(fault: UpstreamFault) -> Refusal {
    Refusal::UpstreamUnreachable { fault }
}

/// What went wrong in connecting.
fn in_connecting(error: &io::Error) -> UpstreamFault {
    use io::ErrorKind as Kind;
    let kind = error.kind();
    if kind == Kind::ConnectionRefused {
        UpstreamFault::Refused
    } else if [Kind::HostUnreachable, Kind::NetworkUnreachable].contains(&kind) {
        UpstreamFault::Unroutable
    } else if kind == Kind::TimedOut {
        UpstreamFault::Timeout
    } else {
        UpstreamFault::Failed
    }
}

/// The first address that takes a connection. Each is tried when the one before it has failed, or
/// has had its time; the ones before go on being tried.
async fn first_of(addresses: Vec<SocketAddr>) -> Result<TcpStream, Refusal> {
    let mut left = addresses.into_iter();
    let mut tries = JoinSet::new();
    let mut fault = UpstreamFault::Failed;
    loop {
        let next = left.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            tries.spawn(connect(address));
        }
        tokio::select! {
            biased;
            done = tries.join_next() => match done {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => fault = in_connecting(&error),
                Some(Err(_panicked)) => {}
                None => return Err(unreachable(fault)),
            },
            () = sleep(UPSTREAM_ADDRESS_STAGGER), if !is_last => {}
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Every message is written whole: waiting for more would only be waiting.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::time::Duration;

    use socket2::{Domain, SockAddr, Socket, Type};

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(future)
    }

    /// Somebody who listens, and takes nobody: what is sent there is swallowed.
    fn swallowing() -> (SocketAddr, impl Sized) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&SockAddr::from(any)).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let fills = std::net::TcpStream::connect(address).unwrap();
        (address, (socket, fills))
    }

    #[test]
    fn of_a_name_only_public_addresses_are_connected_to() {
        let of = |reach| Address::new("upstream.example", 443, reach);
        let mixed = addresses(&["10.0.0.1:443", "9.9.9.9:443", "[::1]:443"]);
        let private = addresses(&["127.0.0.1:443", "[::ffff:10.0.0.1]:443"]);
        let public = of(Reach::Public);
        assert_eq!(
            public.allowed(mixed.clone()),
            Ok(addresses(&["9.9.9.9:443"]))
        );
        let refused = public.allowed(private.clone());
        assert_eq!(refused, Err(Refusal::PrivateAddress));
        assert_eq!(
            public.allowed(Vec::new()),
            Err(unreachable(UpstreamFault::Dns))
        );
        for all in [mixed, private] {
            assert_eq!(of(Reach::Any).allowed(all.clone()), Ok(all));
        }
    }

    #[test]
    fn a_number_that_only_the_resolver_reads_as_an_address_is_a_name() {
        for name in ["127.1", "2130706433", "0x7f.1", "localhost"] {
            let address = Address::new(name, 443, Reach::Public);
            let refused = block_on(address.resolve());
            assert_eq!(refused, Err(Refusal::PrivateAddress), "{name}");
        }
        let named = Address::new("localhost", 443, Reach::Any);
        assert!(block_on(named.resolve()).unwrap()[0].ip().is_loopback());
    }

    #[test]
    fn the_families_are_tried_in_turns_and_not_for_ever() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(in_turns(found), turns);
        let many = vec![turns[0]; 100];
        assert_eq!(in_turns(many).len(), UPSTREAM_ADDRESSES_MAX);
        assert_eq!(in_turns(Vec::new()), []);
    }

    #[test]
    fn an_address_that_swallows_or_refuses_does_not_keep_the_next_from_being_tried() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let live = listener.local_addr().unwrap();
        let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let refusing = gone.local_addr().unwrap();
        drop(gone);
        let (dead, _held) = swallowing();
        for before in [vec![dead], vec![refusing], vec![refusing, dead, refusing]] {
            let all = [before, vec![live]].concat();
            let most = Duration::from_secs(2);
            let first = block_on(async { timeout(most, first_of(all)).await });
            assert_eq!(first.unwrap().unwrap().peer_addr().unwrap(), live);
        }
        let none = block_on(first_of(vec![refusing, refusing]));
        assert_eq!(none.unwrap_err(), unreachable(UpstreamFault::Refused));
    }
}
