//! A connection with TLS or without: one type for callers and upstreams.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::socket::Socket;

/// A connection with TLS or without.
#[derive(Debug)]
pub enum Stream {
    /// Without.
    Plain(Socket),
    /// With.
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Whether both ends agreed on HTTP/2.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(super::H2),
        }
    }

    /// Ready once something can be read, or the end. Of one with TLS it may be nothing that was
    /// said: only reading tells.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            // What was said is unlocked already, or the end is known.
            Self::Tls(tls) if !tls.get_ref().1.wants_read() => return Poll::Ready(()),
            Self::Tls(tls) => tls.get_ref().0,
        };
        // What the runtime takes a new socket for is no sign: it has to be looked at.
        let mut byte = [MaybeUninit::uninit()];
        let mut byte = ReadBuf::uninit(&mut byte);
        socket.as_tcp().poll_peek(cx, &mut byte).map(drop)
    }

    /// The name that a caller asked for in its handshake (SNI, RFC 6066 section 3).
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => match &**tls {
                TlsStream::Client(_) => None,
                TlsStream::Server(server) => server.get_ref().1.server_name(),
            },
        }
    }

    /// The certificate that a caller showed and that was vouched for, in DER.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => match &**tls {
                TlsStream::Client(_) => None,
                TlsStream::Server(server) => {
                    let chain = server.get_ref().1.peer_certificates()?;
                    chain.first().map(AsRef::as_ref)
                }
            },
        }
    }

    /// How many bytes the socket has to give, one at most, without taking them and without
    /// waiting; 0 if the other end has closed. The runtime is not asked: it may not have noticed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing; else what became of the connection.
    pub fn peek(&self) -> io::Result<usize> {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.get_ref().0,
        };
        SockRef::from(socket.as_tcp()).peek(&mut [MaybeUninit::uninit()])
    }

    /// Whether it is TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, from),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, from),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
