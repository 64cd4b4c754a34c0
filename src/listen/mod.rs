//! Takes connections in: how many there may be, TLS, and letting go of them at the end.
//!
//! Every thread listens for itself on the same address (`SO_REUSEPORT`) and keeps the connections
//! that it accepts. What is spoken on them is not this room's business: each is handed to `serve`.

mod crowd;
mod socket;

pub use crowd::Doorkeeper;
pub use socket::{bind, share};

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::events::{
    Closing, ConnectionFailed, ConnectionFault, ConnectionRefused, ConnectionsClosed, Crowd,
};
use crate::limits::Bound;
use crate::tls::{Socket, Stream};
use crowd::Guest;

/// How long to wait when the operating system has no more sockets to give.
const NO_SOCKETS: Duration = Duration::from_millis(100);
/// What a handshake gets once the gateway stops: who says nothing holds up no drain.
const HANDSHAKE_AT_END: Duration = Duration::from_secs(1);

/// Accepts connections on one thread and hands each to `serve`, until `stop` turns true; then gives
/// those that are open `drain` to finish, and breaks the rest off.
///
/// `serve` is told when to finish by the same `stop`; it runs in a task of its own.
///
/// # Errors
/// If the listener cannot be used at all.
pub async fn run<S, F>(
    listener: TcpListener,
    doorkeeper: Arc<Doorkeeper>,
    stop: watch::Receiver<bool>,
    serve: S,
) -> io::Result<()>
where
    S: Fn(Stream, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let Some(guest) = welcome(&doorkeeper, address, stop.clone()).await else {
                        continue;
                    };
                    let opened = open(stream, Arc::clone(&doorkeeper), stop.clone());
                    connections.spawn(host(guest, opened, address, serve.clone()));
                }
                Err(error) => pause(&error, &doorkeeper).await,
            },
        }
    }
    // Whoever has got through to the kernel has been taken: closing the socket would reset them.
    let listener = listener.into_std()?;
    while let Ok((stream, address)) = listener.accept() {
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream)?;
        let opened = open(stream, Arc::clone(&doorkeeper), stop.clone());
        if let Some(guest) = doorkeeper.admit_at_once(address.ip()) {
            connections.spawn(host(guest, opened, address, serve.clone()));
        }
    }
    drop(listener);
    let drain = doorkeeper.limits().time(Bound::Drain);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(drain, drained).await.is_err() {
        doorkeeper.events().emit(ConnectionsClosed {
            why: Closing::Drain,
            count: connections.len(),
        });
        connections.shutdown().await;
    }
    Ok(())
}

/// Waits for a place; `None` if there is none for this address, or no time left to wait.
async fn welcome(
    doorkeeper: &Arc<Doorkeeper>,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) -> Option<Guest> {
    tokio::select! {
        biased;
        guest = doorkeeper.admit(address.ip()) => guest,
        _ = stop.wait_for(|stop| *stop) => None,
    }
}

/// One connection, from its handshake to its end.
async fn host<S, F>(
    guest: Guest,
    opened: impl Future<Output = Option<Stream>>,
    address: SocketAddr,
    serve: S,
) where
    S: Fn(Stream, SocketAddr) -> F,
    F: Future<Output = ()>,
{
    if let Some(stream) = opened.await {
        serve(stream, address).await;
    }
    drop(guest);
}

/// The TLS handshake, if there is TLS; `None` if it fails or takes too long.
async fn open(
    stream: TcpStream,
    doorkeeper: Arc<Doorkeeper>,
    stop: watch::Receiver<bool>,
) -> Option<Stream> {
    // Every message is written whole: waiting for more would only be waiting.
    stream.set_nodelay(true).ok()?;
    let socket = Socket::new(stream);
    let Some(tls) = doorkeeper.tls() else {
        return Some(Stream::Plain(socket));
    };
    // Apart, since a connection keeps the room for it to its end.
    let shaken = Box::pin(async {
        tokio::select! {
            biased;
            accepted = tls.accept(socket) => Some(accepted),
            () = handshake_over(&doorkeeper, stop) => None,
        }
    });
    let fault = match shaken.await {
        Some(Ok(stream)) => return Some(stream),
        Some(Err(_failed)) => ConnectionFault::Tls,
        None => ConnectionFault::TlsTimeout,
    };
    doorkeeper.events().emit(ConnectionFailed { fault });
    None
}

/// Until a handshake that begins now has had its time.
async fn handshake_over(doorkeeper: &Doorkeeper, mut stop: watch::Receiver<bool>) {
    let limit = doorkeeper.limits().time(Bound::TlsHandshake);
    let at_end = async {
        // Whoever could stop it is gone: that is an end too.
        drop(stop.wait_for(|stop| *stop).await);
        sleep(HANDSHAKE_AT_END).await;
    };
    tokio::select! {
        () = sleep(limit) => {}
        () = at_end => {}
    }
}

/// Most failures to accept are over at once; when there are no more sockets, connections have to
/// end first.
async fn pause(error: &io::Error, doorkeeper: &Doorkeeper) {
    let gone = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
    ];
    if !gone.contains(&error.kind()) {
        doorkeeper.events().emit(ConnectionRefused {
            crowd: Crowd::Files,
        });
        sleep(NO_SOCKETS).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{self, Shutdown};

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::config::{LogFormat, LogLevel};
    use crate::events::tests::voice;
    use crate::limits::Limits;

    #[tokio::test]
    async fn who_waits_when_the_end_comes_is_served_and_who_comes_later_is_not() {
        use std::io::Read as _;

        let listener = bind(([127, 0, 0, 1], 0).into(), 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let (events, ..) = voice(LogFormat::Json, LogLevel::Info);
        let doorkeeper = Doorkeeper::new(Limits::default(), None, events);
        // Nobody accepts yet: the kernel holds them.
        let waiting = [(); 3].map(|()| net::TcpStream::connect(address).unwrap());
        let serve = |mut stream: Stream, _| async move {
            stream.write_all(b"served").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let (_stop, stopped) = watch::channel(true);
        run(listener, doorkeeper, stopped, serve).await.unwrap();
        for mut caller in waiting {
            let mut answer = String::new();
            caller.shutdown(Shutdown::Write).unwrap();
            caller.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "served");
        }
        assert!(net::TcpStream::connect(address).is_err());
    }
}
