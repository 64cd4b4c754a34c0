//! One caller's connection, under the HTTP server.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use http::request::Parts;
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::Gateway;
use super::begin::Readable;
use super::grammar::{self, Entrance};
use super::pace::{Pace, Paced, STAND_IN_METHOD};
use super::record::Exchanges;
use super::refuse::Then;
use super::streams::Streams;
use crate::events::{ConnectionFailed, ConnectionFault};
use crate::limits::{Bound, Limits};
use crate::refusal::Refusal;
use crate::secret::{SecretBytes, sha256};
use crate::tls::Stream;

/// The largest read from a caller, and the most of an answer that waits to be written.
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// What a head has besides its target and its lines: method, version, line ends.
const HEAD_BYTES_BESIDES: usize = 64;

/// A connection, as the exchanges on it see it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) entrance: Entrance,
    pub(super) address: SocketAddr,
    /// The digest of the certificate that the caller showed, if it showed one.
    pub(super) certificate: Option<SecretBytes<32>>,
    pub(super) exchanges: Arc<Exchanges>,
    pace: Arc<Pace>,
    protocol: Protocol,
}

impl Entry {
    /// What becomes of the connection after an answer to a request that was not read to its end.
    pub(super) fn cut_short(&self) -> Then {
        self.pace.cut_short.store(true, Ordering::Relaxed);
        match self.protocol {
            Protocol::Http1 => Then::Close,
            // It ends with the stream.
            Protocol::Http2 => Then::GoOn,
        }
    }

    /// Whether a head is as it should be, by the protocol it came in. Over HTTP/1.1 the guard has
    /// decided that already.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn check(&self, head: &Parts, limits: &Limits) -> Result<(), Refusal> {
        match self.protocol {
            Protocol::Http1 => self.guarded(head).map_or(Ok(()), Err),
            Protocol::Http2 => grammar::check_head(head, limits),
        }
    }

    /// Why the guard refused the request that this one stands in for.
    pub(super) fn guarded(&self, head: &Parts) -> Option<Refusal> {
        let stands_in = head.method.as_str() == STAND_IN_METHOD;
        let refusal = self.pace.refused.get().copied();
        refusal.filter(|_| stands_in)
    }
}

/// What is spoken on a connection: decided once, by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Gateway {
    /// Serves a connection to its end. When `stop` turns true, requests under way are finished, and
    /// no further one is taken.
    pub async fn serve_connection(
        self: Arc<Self>,
        stream: Stream,
        address: SocketAddr,
        stop: watch::Receiver<bool>,
    ) {
        let config = self.shared.deployed.current();
        let limits = &config.limits;
        let pace = Arc::new(Pace::default());
        let protocol = match stream.speaks_http2() {
            true => Protocol::Http2,
            false => Protocol::Http1,
        };
        let entry = Arc::new(Entry {
            entrance: entrance(&stream),
            address,
            certificate: stream.certificate().map(sha256),
            exchanges: Arc::clone(&pace.exchanges),
            pace: Arc::clone(&pace),
            protocol,
        });
        let paced = Paced::new(
            stream,
            protocol,
            Arc::clone(&pace),
            (&self.shared.clock, &self.shared.events),
            limits,
        );
        let gateway = Arc::clone(&self);
        let ended = match protocol {
            Protocol::Http1 => gateway.serve_http1(paced, entry, limits, stop).await,
            Protocol::Http2 => Box::pin(gateway.serve_http2(paced, entry, limits, stop)).await,
        };
        if let Some(fault) = fault(ended.err().as_ref(), &pace, protocol) {
            self.shared.events.emit(ConnectionFailed { fault });
        }
    }

    async fn serve_http1(
        self: Arc<Self>,
        paced: Paced<Stream>,
        entry: Arc<Entry>,
        limits: &Limits,
        stop: watch::Receiver<bool>,
    ) -> hyper::Result<()> {
        let pace = Arc::clone(&entry.pace);
        // hyper keeps room for the exchange as long as it is there.
        let service = service_fn(move |request| {
            Box::pin(Arc::clone(&self).serve(Arc::clone(&entry), request, None))
        });
        drive_http1(paced, service, limits, stop, &pace).await
    }

    async fn serve_http2(
        self: Arc<Self>,
        paced: Paced<Stream>,
        entry: Arc<Entry>,
        limits: &Limits,
        stop: watch::Receiver<bool>,
    ) -> hyper::Result<()> {
        let pace = Arc::clone(&entry.pace);
        let streams = Streams::new(&self.shared.clock, &self.shared.events, limits);
        let server = http2_server(streams.clone(), limits);
        let service = service_fn(move |request| {
            let progress = Some(streams.begin());
            Arc::clone(&self).serve(Arc::clone(&entry), request, progress)
        });
        let serve = |io| server.serve_connection(io, service);
        drive_http2(paced, serve, |it| it.graceful_shutdown(), stop, &pace).await
    }
}

/// Drives a connection over HTTP/1.1 to its end. hyper's server is there only while something is
/// said: its buffers are most of what a connection needs, and many connections are silent.
pub(super) async fn drive_http1<S, V, B>(
    mut paced: Paced<S>,
    mut service: V,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
    pace: &Pace,
) -> hyper::Result<()>
where
    S: Readable + AsyncRead + AsyncWrite + Unpin + 'static,
    V: HttpService<Incoming, ResBody = B>,
    V::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    loop {
        tokio::select! {
            biased;
            () = poll_fn(|cx| paced.poll_begin(cx)) => {}
            // It is for the server to end it.
            stopped = stop.wait_for(|stop| *stop) => drop(stopped),
        }
        paced.begin();
        let server = http1_server(limits);
        let turn = turn(
            server.serve_connection(TokioIo::new(paced), service),
            &mut stop,
            pace,
        );
        let Some(parts) = Box::pin(turn).await? else {
            return Ok(());
        };
        if !parts.read_buf.is_empty() {
            // All requests are answered, so that is none: of a body which nobody reads any more.
            return Ok(());
        }
        (paced, service) = (parts.io.into_inner(), parts.service);
    }
}

/// Serves until the connection comes to rest, and gives what it was made of then, or to its end.
async fn turn<S, V, B>(
    mut connection: http1::Connection<TokioIo<Paced<S>>, V>,
    stop: &mut watch::Receiver<bool>,
    pace: &Pace,
) -> hyper::Result<Option<http1::Parts<TokioIo<Paced<S>>, V>>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    V: HttpService<Incoming, ResBody = B>,
    V::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let ended = poll_fn(|cx| {
        // An answer that is ready in the same moment is to say that it is the last.
        let is_under_way = pace.exchanges.all_ended().is_none();
        if is_under_way && stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(Some(ended))),
            // It found nothing to read and has nothing to write.
            Poll::Pending if pace.is_at_rest.load(Ordering::Relaxed) => Poll::Ready(Some(None)),
            Poll::Pending => stopped.as_mut().poll(cx).map(|_| None),
        }
    });
    match ended.await {
        Some(Some(ended)) => return ended.map(|()| None),
        Some(None) => return Ok(Some(connection.into_parts())),
        None => {}
    }
    // What it has sent meanwhile is read on, so that it gets to read the last answer.
    pace.is_drained.store(true, Ordering::Relaxed);
    Pin::new(&mut connection).graceful_shutdown();
    connection.await.map(|()| None)
}

/// Drives a connection over HTTP/2 to its end. hyper's server is made once the preface has come: it
/// would wait for that to say farewell.
pub(super) async fn drive_http2<S, C>(
    mut paced: Paced<S>,
    serve: impl FnOnce(TokioIo<Paced<S>>) -> C,
    finish: impl FnOnce(Pin<&mut C>),
    mut stop: watch::Receiver<bool>,
    pace: &Pace,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Future<Output = hyper::Result<()>>,
{
    let has_begun = tokio::select! {
        biased;
        () = paced.await_preface() => true,
        _ = stop.wait_for(|stop| *stop) => false,
    };
    let drained = || pace.is_drained.store(true, Ordering::Relaxed);
    if !has_begun {
        drained();
        paced.decline().await;
        return Ok(());
    }
    let farewell = |connection: Pin<&mut C>| {
        drained();
        finish(connection);
    };
    drive(serve(TokioIo::new(paced)), farewell, stop).await
}

/// What the handshake told of the way in.
fn entrance(stream: &Stream) -> Entrance {
    let name = stream.server_name();
    Entrance {
        secure: stream.is_tls(),
        server_name: name.map(|name| name.to_ascii_lowercase().into()),
    }
}

/// Drives a connection to its end; lets it `finish` when `stop` turns true.
async fn drive<C>(
    connection: C,
    finish: impl FnOnce(Pin<&mut C>),
    mut stop: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = &mut connection => return ended,
        stopped = stop.wait_for(|stop| *stop) => drop(stopped),
    }
    finish(connection.as_mut());
    connection.await
}

/// What was wrong with a connection; nothing, if an exchange on it has told already.
pub(super) fn fault(
    error: Option<&hyper::Error>,
    pace: &Pace,
    protocol: Protocol,
) -> Option<ConnectionFault> {
    if let Some(fault) = pace.fault.get() {
        return Some(*fault);
    }
    if pace.is_given_up.load(Ordering::Relaxed) {
        // Whatever was cut short by that.
        return None;
    }
    let error = error?;
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    let kind = cause.map(io::Error::kind);
    if kind == Some(io::ErrorKind::TimedOut) {
        Some(ConnectionFault::AnswerUnread)
    } else if error.is_user() || error.is_incomplete_message() || error.is_canceled() {
        None
    } else if kind.is_some() {
        Some(ConnectionFault::Io)
    } else {
        match protocol {
            Protocol::Http1 => Some(ConnectionFault::Http1),
            Protocol::Http2 => Some(ConnectionFault::Http2),
        }
    }
}

pub(super) fn http1_server(limits: &Limits) -> http1::Builder {
    // The guard has held a head to its limits; what it lets pass has to fit in whole.
    let head = limits
        .size(Bound::Head)
        .saturating_add(limits.size(Bound::Target))
        .saturating_add(HEAD_BYTES_BESIDES);
    let mut server = http1::Builder::new();
    server
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX.max(head));
    server
}

pub(super) fn http2_server(streams: Streams, limits: &Limits) -> http2::Builder<Streams> {
    let size = |bound| u32::try_from(limits.of(bound)).unwrap_or(u32::MAX);
    let mut server = http2::Builder::new(streams);
    server
        .timer(TokioTimer::new())
        .max_concurrent_streams(size(Bound::H2Streams))
        .initial_stream_window_size(size(Bound::H2StreamWindow))
        .initial_connection_window_size(size(Bound::H2ConnectionWindow))
        .max_frame_size(size(Bound::H2Frame))
        .max_header_list_size(size(Bound::H2HeaderList))
        .max_pending_accept_reset_streams(limits.size(Bound::H2PendingResets))
        .max_local_error_reset_streams(limits.size(Bound::H2LocalResets))
        .max_send_buf_size(BUFFER_BYTES_MAX);
    server
}
