//! How a connection begins, before there is a server for it, and what is said over HTTP/2 where the
//! library would wait for the caller: before its preface has come, and after a farewell.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::pace::Paced;
use crate::alarm::Alarm;
use crate::guard::PREFACE;
use crate::limits::{Bound, Limits};
use crate::tls::Stream;

/// How the library hears that its farewell was heard: the acknowledgement of its PING.
const HEARD: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0\x0b\x7b\xa2\xf0\x8b\x9b\xfe\x54";
/// Longer than any way to a caller and back, with a loss on it.
const HEARING: Duration = Duration::from_secs(3);
/// What a caller over HTTP/2 is told that has said nothing when it is time to go: SETTINGS, and
/// GOAWAY by which nothing was carried out (RFC 9113 section 6.8).
const DECLINED: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A stream that can tell whether there is something to read without reading it.
pub(super) trait Readable {
    /// Ready once something can be read, or the end.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Readable for Stream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_readable(self, cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Paced<S> {
    /// Waits for the preface, something else, the end, or until nothing has come for too long: for
    /// the server to see.
    pub(super) async fn await_preface(&mut self) {
        let mut preface = [0; PREFACE.len()];
        let mut came = &[][..];
        while came.len() < PREFACE.len() && PREFACE.starts_with(came) {
            let count = came.len();
            let room = preface.get_mut(count..).unwrap_or_default();
            let more = self.read(room).await.unwrap_or(0);
            came = preface
                .get(..count.saturating_add(more))
                .unwrap_or_default();
            if more == 0 {
                break;
            }
        }
        self.take_back(came);
    }

    /// Ends it before its preface was read. A request may be behind that: its caller learns that
    /// nothing was carried out.
    pub(super) async fn decline(&mut self) {
        // Whoever has gone needs not hear it.
        drop(self.write_all(DECLINED).await);
        drop(self.shutdown().await);
    }
}

/// Whether a caller over HTTP/2 has heard the farewell: the library says which request is the last
/// only when it has, and would wait for ever for who does not say so.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    due: Option<Alarm>,
    is_over: bool,
}

impl Hearing {
    /// Waits for so long after the farewell, and until nothing ends `within` a frame: there the
    /// library takes no other. Gives what the library is to see then, once.
    pub(super) fn poll(
        &mut self,
        within: Option<u64>,
        until: impl FnOnce(Duration) -> Instant,
        cx: &mut Context<'_>,
    ) -> Poll<&'static [u8]> {
        if self.is_over {
            return Poll::Pending;
        }
        let due = self.due.get_or_insert_with(|| Alarm::at(until(HEARING)));
        ready!(due.poll(cx));
        if within.is_some() {
            return Poll::Pending;
        }
        self.is_over = true;
        Poll::Ready(HEARD)
    }
}

/// How long a caller over HTTP/2 has for a frame, or a head that goes on, after the farewell. The
/// library says nothing in the midst of one, and would wait for its end as long as for silence.
/// Nothing else is under way then, and no window is opened either before it ends: whatever was
/// answered is written, and what has not come whole was not carried out.
#[derive(Debug)]
pub(super) struct Parting {
    wait: Duration,
    /// With the number of what is waited for.
    due: Option<(Alarm, u64)>,
}

impl Parting {
    pub(super) fn of(limits: &Limits) -> Self {
        let wait = HEARING.min(limits.time(Bound::HeadTime));
        Self { wait, due: None }
    }

    /// Nothing else is under way only now.
    pub(super) fn begin(&mut self) {
        self.due = None;
    }

    /// Ready once it is in the midst of the same for too long.
    pub(super) fn poll(
        &mut self,
        within: Option<u64>,
        until: impl FnOnce(Duration) -> Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.due = self.due.take().filter(|(_, of)| within == Some(*of));
        let Some(of) = within else {
            return Poll::Pending;
        };
        let due = || (Alarm::at(until(self.wait)), of);
        self.due.get_or_insert_with(due).0.poll(cx)
    }
}
