//! The pace of a caller's connection: how long it may be silent, how slowly a head may come, how
//! long an answer may go unread, how many frames may come that nobody needs. hyper bounds none of
//! these the way we need.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::begin::{Hearing, Parting, Readable};
use super::connection::Protocol;
use super::incoming::{Incoming, Times};
use super::lingering::Lingering;
use super::record::Exchanges;
use super::unseen::Sent;
use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::events::{Closing, ConnectionFault, ConnectionsClosed, Events, StreamRefused};
use crate::gate::Gate;
use crate::guard::{Fault, Frames};
use crate::limits::Limits;
use crate::refusal::Refusal;

/// What hyper gets to see instead of a head that the guard refused: the service answers it, after
/// the answers to all requests before it. No caller can send it, since the guard knows no such
/// method.
const STAND_IN: &[u8] = b"REFUSED / HTTP/1.1\r\n\r\n";
/// The method of that.
pub(super) const STAND_IN_METHOD: &str = "REFUSED";
/// What hyper gets to see instead of a frame that is one too many: the head of a request that goes
/// on and on in frames of nothing. hyper takes that for a flood, and tells the caller so: GOAWAY,
/// ENHANCE_YOUR_CALM. Only hyper knows where its own last frame ends.
const ENDLESS_HEAD: &[u8] = &[0, 0, 0, HEADERS, 0, 0, 0, 0, 1];
const MORE_OF_IT: &[u8] = &[0, 0, 0, CONTINUATION, 0, 0, 0, 0, 1];
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// So many times: more than hyper takes of one head, whatever the limits are (80).
const MORE_TIMES: usize = 100;
/// What a caller is told whose head comes too slowly, before its connection is closed.
const HEAD_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// A connection over HTTP/1.1 that has been silent for so long comes to rest: its server is let go,
/// whose buffers are most of what it needs, until something comes. Whoever asks more often keeps
/// them; for who does not, that they are made again is little beside a request. No longer, since
/// what many connections need at once stays with the process: what rests lies between it.
pub(super) const REST: Duration = Duration::from_millis(200);

/// What the exchanges on a connection and its [`Paced`] stream tell each other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The exchanges on the connection.
    pub(super) exchanges: Arc<Exchanges>,
    /// Set when an answer is the last because its request was not read to the end.
    pub(super) cut_short: AtomicBool,
    /// Why the guard let no further request pass.
    pub(super) refused: OnceLock<Refusal>,
    /// Why the stream itself ended the connection.
    pub(super) fault: OnceLock<ConnectionFault>,
    /// Set once it ends with what is under way, over HTTP/2 also told so.
    pub(super) is_drained: AtomicBool,
    /// Set once it was silent for too long.
    pub(super) is_given_up: AtomicBool,
    /// Set while it is silent and nothing of it is on its way in or out: its server may be let go.
    pub(super) is_at_rest: AtomicBool,
}

/// A caller's connection that does not wait for ever.
pub(super) struct Paced<S> {
    gate: Gate<S, Incoming>,
    /// What goes to it over HTTP/2.
    sent: Sent,
    pace: Arc<Pace>,
    events: Events,
    times: Times,
    /// With the number of exchanges that had ended when it began: one more, and it is over.
    phase: Option<(Phase, u64)>,
    reading: Alarm,
    writing: Option<Alarm>,
    lingering: Option<Lingering>,
    hearing: Hearing,
    parting: Parting,
    /// How many exchanges had ended when more was asked for last, if nothing was there.
    asked: Option<u64>,
}

/// What is waited for while no exchange is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The rest of a head.
    Head,
    /// The first byte of a head, until then.
    Idle(Instant),
}

impl<S> Paced<S> {
    pub(super) fn new(
        stream: S,
        protocol: Protocol,
        pace: Arc<Pace>,
        (clock, events): (&Clock, &Events),
        limits: &Limits,
    ) -> Self {
        let (incoming, times) = (
            Incoming::of(protocol, limits),
            Times::of(protocol, clock, limits),
        );
        let reading = Alarm::at(clock.now());
        let (writing, lingering) = (None, None);
        Self {
            gate: Gate::new(stream, incoming),
            sent: Sent::default(),
            pace,
            events: events.clone(),
            times,
            phase: None,
            reading,
            writing,
            lingering,
            hearing: Hearing::default(),
            parting: Parting::of(limits),
            asked: None,
        }
    }

    /// What was read of it by somebody else than its server: that is to see it too.
    pub(super) fn take_back(&mut self, unread: &[u8]) {
        self.gate.take_back(unread);
    }

    /// Has hyper see something instead of what the guard refused, once; nothing comes after it.
    fn stand_in(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Body => false,
            Fault::Flood => {
                let flood = ConnectionFault::Http2Flood;
                let is_first = self.pace.fault.set(flood).is_ok();
                if is_first {
                    let endless = [ENDLESS_HEAD, &MORE_OF_IT.repeat(MORE_TIMES)].concat();
                    self.gate.show_instead(&endless);
                }
                is_first
            }
            Fault::Head(refusal) => {
                let is_first = self.pace.refused.set(refusal).is_ok();
                if is_first {
                    self.gate.show_instead(STAND_IN);
                }
                is_first
            }
        }
    }

    /// Nothing came: ready once that has lasted too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ended) = self.pace.exchanges.all_ended() else {
            return Poll::Pending;
        };
        if self.lingering.is_some() {
            // All is said.
            return Poll::Pending;
        }
        if self.writing.is_some() {
            // It reads its answer still. This is asked again when that is flushed.
            self.phase = self.phase.filter(|(phase, _)| *phase == Phase::Head);
            return Poll::Pending;
        }
        if self.silence_begins(ended) {
            let until = self.times.until(self.times.idle);
            self.phase = Some((Phase::Idle(until), ended));
            self.parting.begin();
            self.await_rest();
        }
        if self.poll_parting(cx).is_ready() {
            return Poll::Ready(());
        }
        ready!(self.reading.poll(cx));
        match self.phase {
            Some((Phase::Idle(until), _)) if self.times.clock.now() < until => {
                let may_rest = self.may_rest(ended);
                self.pace.is_at_rest.store(may_rest, Ordering::Relaxed);
                self.reading.set(until);
                self.reading.poll(cx)
            }
            Some(_) | None => Poll::Ready(()),
        }
    }

    /// Lets the alarm of a silent connection ring when it may rest, or else at the end of silence.
    fn await_rest(&mut self) {
        if let Some((Phase::Idle(until), _)) = self.phase {
            let rest = self.times.rest.map(|rest| self.times.until(rest));
            self.reading.set(rest.map_or(until, |rest| rest.min(until)));
        }
    }

    /// Whether its server may be let go now that so many exchanges have ended: if it is between two
    /// requests, and has asked for the next. An answer may be over before its request is, and then
    /// the server alone knows that what comes next is of a body, or has some of it unread. What is
    /// taken for a head was judged as one.
    fn may_rest(&mut self, ended: u64) -> bool {
        self.asked == Some(ended) && self.gate.reader().whole() == Some(ended)
    }

    /// Whether nothing is under way and nobody waits for more.
    fn is_unread(&self) -> bool {
        let ended = self.pace.exchanges.all_ended();
        let waits = |ended| self.asked == Some(ended) && !self.silence_begins(ended);
        ended.is_some_and(|ended| !waits(ended))
    }

    /// It is to have a server.
    fn end_rest(&self) {
        self.pace.is_at_rest.store(false, Ordering::Relaxed);
    }

    /// Whether nothing is under way only now that so many exchanges have ended.
    fn silence_begins(&self, ended: u64) -> bool {
        self.phase.is_none_or(|(_, since)| since != ended)
    }

    /// The first bytes of a head came: from now on it has only so long.
    fn begin_head(&mut self) {
        let is_of_head = self.gate.reader().whole().is_some();
        let ended = self.pace.exchanges.all_ended();
        let head = ended.map(|ended| (Phase::Head, ended));
        if let Some(time) = self.times.head
            && is_of_head
            && head.is_some()
            && self.phase != head
        {
            self.phase = head;
            self.reading.set(self.times.until(time));
        }
    }

    /// Something is shown to the server. If that is of a body behind its answer, silence begins
    /// anew; what comes over HTTP/2 may be anything.
    fn go_on(&mut self) {
        if let Incoming::Http1(_) = self.gate.reader() {
            self.phase = None;
        }
    }

    /// Ends a connection that was silent for too long. It looks to hyper as if the caller had.
    fn give_up(&mut self, cx: &mut Context<'_>)
    where
        S: AsyncWrite + Unpin,
    {
        let fault = ConnectionFault::HeadTimeout;
        let is_first = !self.pace.is_given_up.swap(true, Ordering::Relaxed);
        match self.phase {
            Some((Phase::Head, _)) if self.pace.fault.set(fault).is_ok() => {
                // If it cannot be written at once, it is not written.
                drop(Pin::new(&mut self.gate).poll_write(cx, HEAD_TIMEOUT));
            }
            // Who is sent away in the midst of a frame was not silent for so long.
            Some((Phase::Idle(until), _)) if is_first && self.times.clock.now() >= until => {
                let (why, count) = (Closing::Idle, 1);
                self.events.emit(ConnectionsClosed { why, count });
            }
            Some(_) | None => {}
        }
    }

    /// The frames of a caller that was told over HTTP/2 to go.
    fn drained(&mut self) -> Option<&Frames> {
        let is_drained = self.pace.is_drained.load(Ordering::Relaxed);
        match self.gate.reader() {
            Incoming::Http2(frames) if is_drained => Some(frames),
            Incoming::Http1(_) | Incoming::Http2(_) => None,
        }
    }

    /// Has hyper see that its farewell was heard, where the caller does not say so. What the gate
    /// holds of the next frame comes behind that.
    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(within) = self.drained().map(Frames::under_way) else {
            return Poll::Pending;
        };
        let times = &self.times;
        let polled = self.hearing.poll(within, |wait| times.until(wait), cx);
        self.gate.take_back(ready!(polled));
        Poll::Ready(())
    }

    /// Nothing is under way but a frame, or a head that goes on, of a caller that was told to go:
    /// ready once that has lasted too long.
    fn poll_parting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let within = self.drained().and_then(Frames::under_way);
        let times = &self.times;
        self.parting.poll(within, |wait| times.until(wait), cx)
    }

    /// What comes over HTTP/2 has a budget for some time.
    fn note_time(&mut self) {
        if let Incoming::Http2(frames) = self.gate.reader() {
            frames.at(self.times.clock.now());
        }
    }

    /// What was sent over HTTP/2 pays for what comes, and may refuse a request.
    fn note_sent(&mut self, written: &Poll<io::Result<usize>>, of: &[IoSlice<'_>]) {
        let (Poll::Ready(Ok(bytes)), Incoming::Http2(frames)) = (written, self.gate.reader())
        else {
            return;
        };
        frames.sent(*bytes);
        let mut left = *bytes;
        for part in of {
            let part = part.get(..left).unwrap_or(part);
            left = left.saturating_sub(part.len());
            let told = |why| self.events.emit(StreamRefused { why });
            self.sent.look(part, told);
        }
    }

    /// Bounds how long a write waits for its reader.
    fn pace_write<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing = None;
            return polled;
        }
        self.end_rest();
        let times = &self.times;
        let alarm = self
            .writing
            .get_or_insert_with(|| Alarm::at(times.until(times.write)));
        ready!(alarm.poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Readable> Paced<S> {
    /// Waits while no server is needed: ready once something may have come, or once nothing has for
    /// too long.
    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gate.holds_a_part() || self.gate.stream().poll_readable(cx).is_ready() {
            return Poll::Ready(());
        }
        self.poll_silence(cx)
    }

    /// A server is made for it. If nothing comes after all, it rests again.
    pub(super) fn begin(&mut self) {
        self.end_rest();
        self.await_rest();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        self.note_time();
        let polled = Pin::new(&mut self.gate).poll_read(cx, into);
        if polled.is_ready() || self.gate.holds_a_part() {
            self.end_rest();
        }
        if into.filled().len() > before {
            self.go_on();
        }
        if self.gate.holds_a_part() {
            self.begin_head();
        }
        let ended = self.pace.exchanges.all_ended();
        self.asked = ended.filter(|_| polled.is_pending());
        match (polled, self.gate.fault()) {
            (Poll::Ready(Err(_)), Some(fault)) if self.stand_in(fault) => {
                return Pin::new(&mut self.gate).poll_read(cx, into);
            }
            // Its stand-in is answered, and the connection closed then.
            (Poll::Ready(Err(_)), Some(Fault::Head(_))) => {}
            (Poll::Ready(read), _) => return Poll::Ready(read),
            (Poll::Pending, _) if self.poll_heard(cx).is_ready() => {
                return Pin::new(&mut self.gate).poll_read(cx, into);
            }
            (Poll::Pending, _) => {}
        }
        ready!(self.poll_silence(cx));
        self.give_up(cx);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.gate).poll_write(cx, from);
        self.note_sent(&polled, &[IoSlice::new(from)]);
        self.pace_write(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.gate).poll_flush(cx);
        let flushed = self.pace_write(polled, cx);
        // Silence begins with the end of an answer, and hyper does not read again then if it found
        // nothing before, or at all if nobody takes what came of a body.
        if flushed.is_ready() && self.is_unread() && self.poll_silence(cx).is_ready() {
            self.give_up(cx);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end_rest();
        if self.lingering.is_none() {
            let polled = Pin::new(&mut self.gate).poll_shutdown(cx);
            ready!(self.pace_write(polled, cx))?;
            let until = |wait| self.times.until(wait);
            self.lingering = Lingering::of(&self.pace, until);
        }
        let this = self.get_mut();
        let Some(lingering) = &mut this.lingering else {
            return Poll::Ready(Ok(()));
        };
        lingering.poll(this.gate.stream(), cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.gate).poll_write_vectored(cx, from);
        self.note_sent(&polled, from);
        self.pace_write(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.gate.is_write_vectored()
    }
}
