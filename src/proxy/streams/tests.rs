//! The pace of callers over HTTP/2 under what a seed makes up: several streams at once, each at a
//! pace of its own and some beyond what is allowed, and at last, on most days, something that ends
//! the connection. Between them and a service that takes its time stand the real [`Paced`],
//! [`Streams`] and answers, the HTTP library and the waits of a body, in paused time; the wall
//! clock is set to and fro meanwhile.
//!
//! See [`crate::dice`] for how to run a seed that fails again.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

use super::*;
use crate::clock::tests::in_paused_time;
use crate::config::{LogFormat, LogLevel};
use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
use crate::events::tests::voice;
use crate::limits::FLOOD_LINGER;
use crate::proxy::connection::{Protocol, drive_http2, fault, http2_server};
use crate::proxy::pace::{Pace, Paced};
use crate::proxy::tests::{
    Cut, Ended, House, LINGER, PAUSE, SLACK, answered, assert_no_task_is_left,
    assert_one_panic_is_told, without_spinning,
};

/// What a caller does at last with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sin {
    /// It closes.
    Close,
    /// Frames that nobody needs.
    Flood,
    /// It goes away in the middle of a body.
    GoAway,
    Idle,
    /// Nothing at all is read any more.
    LeaveAllUnread,
    /// A part of the preface, and nothing else ever.
    PartOfPreface,
    SlowHead,
    StallHead,
}

const SINS: [Sin; 8] = [
    Sin::Close,
    Sin::Flood,
    Sin::GoAway,
    Sin::Idle,
    Sin::LeaveAllUnread,
    Sin::PartOfPreface,
    Sin::SlowHead,
    Sin::StallHead,
];

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Keep,
    LeaveUnread,
    Reset,
    SlowBody,
    StallBody,
}

/// What of a caller takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    /// Bodies and the windows of answers.
    Streams,
    /// All bytes, both ways.
    Wire,
}

/// Of all windows of a connection: nobody waits for another's.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// What is handed over at once.
const PIECE: usize = 16 << 10;
/// More frames than may come, however much was sent to who sends them.
const FLOOD: usize = 12_000;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// No stream of the library's.
const OWN_STREAM: u32 = 9_999;

/// Serves a connection as the gateway does.
async fn serve(server: DuplexStream, house: House, stop: watch::Receiver<bool>) -> Ended {
    let pace = Arc::new(Pace::default());
    let (clock, limits) = (house.clock.clone(), house.limits.clone());
    let voice = (&clock, &house.events);
    let paced = Paced::new(server, Protocol::Http2, Arc::clone(&pace), voice, &limits);
    let streams = Streams::new(&clock, &house.events, &limits);
    let server = http2_server(streams.clone(), &limits);
    let (house, of_service) = (Arc::new(house), Arc::clone(&pace));
    let service = service_fn(move |request| {
        let (house, pace) = (Arc::clone(&house), Arc::clone(&of_service));
        answered(house, pace, request, Some(streams.begin()))
    });
    let serve = |io| server.serve_connection(io, service);
    let ended = drive_http2(paced, serve, |it| it.graceful_shutdown(), stop, &pace);
    let ended = Box::pin(ended);
    let ended = without_spinning(ended).await;
    let fault = fault(ended.err().as_ref(), &pace, Protocol::Http2);
    let at = Instant::now();
    // Its streams are tasks of their own. No time passes while they end.
    for _ in 0..100 {
        yield_now().await;
    }
    let held = Arc::strong_count(&pace);
    assert_eq!(held, 1, "nothing of a connection is left, and no timer");
    (at, fault)
}

/// Between the caller's library and the gateway.
struct Wire {
    /// What may still be spent on pauses.
    left_ms: AtomicU64,
    /// Whether anything that the gateway sends is read.
    reads: watch::Sender<bool>,
}

impl Wire {
    async fn pause(&self, dice: &mut Dice) {
        let left = self.left_ms.load(Ordering::Relaxed);
        if left > 0 && dice.happens(20) {
            let pause = dice.below(left.min(3_000) + 1);
            self.left_ms.fetch_sub(pause, Ordering::Relaxed);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Carries bytes until one side has closed. What is sent to who has closed loses what is on its
    /// way back, as with TCP. From the first raw bytes on nothing else goes up.
    async fn carry(
        self: Arc<Self>,
        (near, far): (DuplexStream, DuplexStream),
        [up, down]: [Dice; 2],
        raw: mpsc::UnboundedReceiver<Vec<u8>>,
    ) {
        let (near_read, near_write) = tokio::io::split(near);
        let (far_read, far_write) = tokio::io::split(far);
        tokio::select! {
            biased;
            () = self.up((near_read, far_write), up, raw) => {}
            () = self.down((far_read, near_write), down) => {}
        }
    }

    async fn up(
        &self,
        (mut from, mut to): (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>),
        mut dice: Dice,
        mut raw: mpsc::UnboundedReceiver<Vec<u8>>,
    ) {
        let (mut room, mut is_muted) = (vec![0; 4 << 10], false);
        loop {
            let most = 1 + dice.place(room.len());
            let bytes = tokio::select! {
                biased;
                count = from.read(&mut room[..most]), if !is_muted => {
                    room[..count.unwrap()].to_vec()
                }
                bytes = raw.recv() => {
                    is_muted = true;
                    bytes.unwrap_or_default()
                }
            };
            if bytes.is_empty() || to.write_all(&bytes).await.is_err() {
                return;
            }
            self.pause(&mut dice).await;
        }
    }

    async fn down(
        &self,
        (mut from, mut to): (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>),
        mut dice: Dice,
    ) {
        let (mut room, mut reads) = (vec![0; 4 << 10], self.reads.subscribe());
        while reads.wait_for(|reads| *reads).await.is_ok() {
            let most = 1 + dice.place(room.len());
            let count = from.read(&mut room[..most]).await.unwrap();
            if count == 0 || to.write_all(&room[..count]).await.is_err() {
                return;
            }
            self.pause(&mut dice).await;
        }
    }
}

/// What every stream of a caller goes by.
#[derive(Clone)]
struct Manner {
    clock: Clock,
    limits: Limits,
    slow: Slow,
    window: usize,
}

impl Manner {
    fn time(&self, bound: Bound) -> Duration {
        self.limits.time(bound)
    }

    /// So long a part of an answer may wait for its window. An answer is over for the gateway when
    /// its last piece is handed over: then it also counts as silence.
    fn unread(&self) -> Duration {
        let write = self.time(Bound::AnswerWriteIdle) * 9 / 10;
        write.min(self.time(Bound::KeepAliveIdle) * 4 / 10)
    }

    /// Waits at most so long; whole milliseconds, so that all clocks agree.
    async fn pause(&self, dice: &mut Dice, most: Duration) -> Duration {
        let millis = dice.up_to(most).as_millis();
        let pause = Duration::from_millis(u64::try_from(millis).unwrap());
        sleep(pause).await;
        if dice.happens(30) {
            self.clock.jump(dice.next() >> 30);
        }
        pause
    }
}

/// A frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// One stream.
struct Stream {
    send: SendRequest<Bytes>,
    dice: Dice,
    manner: Manner,
}

/// A request that is under way: its answer, and the rest of its body.
type Asked = (ResponseFuture, SendStream<Bytes>);

impl Stream {
    async fn live(mut self, deed: Deed) -> Result<Deed, Cut> {
        match deed {
            Deed::Keep => self.keep().await,
            Deed::LeaveUnread => self.leave_unread().await,
            Deed::Reset => self.reset().await,
            Deed::SlowBody => self.slow_body().await,
            Deed::StallBody => self.stall_body().await,
        }?;
        Ok(deed)
    }

    /// Asks for so many bytes after so many milliseconds.
    async fn ask(&self, delay: u64, answer: usize) -> Result<Asked, Cut> {
        let send = self.send.clone().ready().await;
        let mut send = send.map_err(|_drained| Cut("asking"))?;
        let request = Request::post(format!("https://a/{delay}/{answer}"));
        let asked = send.send_request(request.body(()).unwrap(), false);
        asked.map_err(|_drained| Cut("a head"))
    }

    fn size(&mut self) -> usize {
        let most = *self.dice.pick(&[1, 3_000, 300_000]);
        self.dice.place(most)
    }

    fn delay(&mut self) -> u64 {
        let most = *self.dice.pick(&[2, 5_000, 100_000]);
        self.dice.below(most)
    }

    async fn pause(&mut self, most: Duration) -> Duration {
        self.manner.pause(&mut self.dice, most).await
    }

    /// Sends a body without its end, within every bound.
    async fn send(&mut self, to: &mut SendStream<Bytes>, bytes: usize) -> Result<(), Cut> {
        let (mut rest, mut left) = (bytes, Duration::from_secs(55));
        while rest > 0 {
            let piece = (1 + self.dice.place(40_000)).min(rest);
            rest -= piece;
            put(to, piece)?;
            if self.manner.slow == Slow::Streams && self.dice.happens(50) {
                let scale = *self.dice.pick(&[1, 100, 1_000]);
                left -= self.pause(left.min(PAUSE) / scale).await;
            }
        }
        Ok(())
    }

    /// Reads an answer, and opens its window again at a pace of its own.
    async fn read(&mut self, mut answer: RecvStream, bytes: usize) -> Result<(), Cut> {
        let pauses = match self.manner.slow {
            Slow::Streams => *self.dice.pick(&[0, 0, 5, 60]),
            Slow::Wire => 0,
        };
        // The library tells of a window once half of it may be opened.
        let in_a_piece = u32::try_from(4 + 2 * PIECE / self.manner.window).unwrap();
        let most = self.manner.unread() / in_a_piece;
        let mut count = 0;
        while let Some(piece) = answer.data().await {
            let piece = piece.map_err(|_closed| Cut("an answer"))?;
            count += piece.len();
            if self.dice.happens(pauses) {
                self.pause(most).await;
            }
            let window = answer.flow_control();
            window.release_capacity(piece.len()).unwrap();
        }
        assert_eq!(count, bytes, "an answer that is not whole looks whole");
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), Cut> {
        let (body, answer, delay) = (self.size(), self.size(), self.delay());
        let (answered, mut sending) = self.ask(delay, answer).await?;
        self.send(&mut sending, body).await?;
        end(&mut sending)?;
        let head = answered.await.map_err(|_closed| Cut("a head"))?;
        assert_eq!(head.status(), 200);
        self.read(head.into_body(), answer).await
    }

    async fn leave_unread(&mut self) -> Result<(), Cut> {
        let bytes = self.manner.window + 3 * PIECE + self.dice.place(100_000);
        let (answered, mut sending) = self.ask(0, bytes).await?;
        end(&mut sending)?;
        let head = answered.await.map_err(|_closed| Cut("a head"))?;
        let due = Instant::now() + self.manner.time(Bound::AnswerWriteIdle);
        let mut answer = head.into_body();
        let error = loop {
            match answer.data().await.expect("a part looks whole") {
                Ok(_not_released) => {}
                Err(error) => break error,
            }
        };
        match error.reason() {
            Some(Reason::CANCEL) => in_time(due),
            _ => return Err(Cut("an answer")),
        }
        Ok(())
    }

    /// Goes away from a stream at any stage.
    async fn reset(&mut self) -> Result<(), Cut> {
        let (body, bytes, delay) = (self.size(), self.size(), self.delay());
        let stage = self.dice.below(4);
        let (answered, mut sending) = self.ask(delay, bytes).await?;
        if stage > 0 {
            self.send(&mut sending, body).await?;
        }
        if stage > 1 {
            end(&mut sending)?;
            self.pause(Duration::from_millis(delay)).await;
        }
        if stage > 2 {
            let head = answered.await.map_err(|_closed| Cut("a head"))?;
            drop(head.into_body().data().await);
        }
        sending.send_reset(Reason::CANCEL);
        Ok(())
    }

    async fn slow_body(&mut self) -> Result<(), Cut> {
        let (mut answered, mut sending) = self.ask(0, 0).await?;
        let due = Instant::now() + self.manner.time(Bound::BodyTotal);
        loop {
            put(&mut sending, 1)?;
            let answered = tokio::select! {
                biased;
                answered = &mut answered => answered,
                _waited = self.pause(PAUSE) => continue,
            };
            return late(answered, due);
        }
    }

    async fn stall_body(&mut self) -> Result<(), Cut> {
        let (answered, mut sending) = self.ask(0, 0).await?;
        let sent = self.size();
        self.send(&mut sending, sent).await?;
        let sent = Instant::now();
        put(&mut sending, 1)?;
        let due = sent + self.manner.time(Bound::BodyIdle);
        late(answered.await, due)
    }
}

fn put(to: &mut SendStream<Bytes>, bytes: usize) -> Result<(), Cut> {
    let sent = to.send_data(vec![b'b'; bytes].into(), false);
    sent.map_err(|_closed| Cut("a body"))
}

fn end(of: &mut SendStream<Bytes>) -> Result<(), Cut> {
    let sent = of.send_data(Bytes::new(), true);
    sent.map_err(|_closed| Cut("a body"))
}

/// It is that moment.
fn in_time(due: Instant) {
    let now = Instant::now();
    assert!(now >= due, "a stream ends early, by {:?}", due - now);
    assert!(now <= due + SLACK, "a stream ends late, by {:?}", now - due);
}

/// A body is refused for its pace, at that moment.
fn late(answered: Result<http::Response<RecvStream>, h2::Error>, due: Instant) -> Result<(), Cut> {
    let head = answered.map_err(|_closed| Cut("a head"))?;
    assert_eq!(head.status(), 408);
    in_time(due);
    Ok(())
}

/// When the connection may end, and since when nothing is under way on it.
#[derive(Clone, Copy, Debug)]
struct Ends {
    since: Instant,
    from: Instant,
    until: Instant,
}

/// A caller.
struct Client {
    /// Gone once it closes.
    send: Option<SendRequest<Bytes>>,
    wire: Arc<Wire>,
    raw: mpsc::UnboundedSender<Vec<u8>>,
    tasks: [JoinHandle<()>; 2],
    /// A request that is left alone.
    left: Option<Asked>,
    manner: Manner,
    dice: Dice,
    trace: String,
    done: Vec<Deed>,
    /// Since when nothing is under way.
    since: Instant,
}

impl Client {
    async fn new(far: DuplexStream, manner: Manner, mut dice: Dice) -> Self {
        let (near, end) = tokio::io::duplex(1 << 20);
        let (raw, raws) = mpsc::unbounded_channel();
        let wire = Arc::new(Wire {
            left_ms: AtomicU64::new(0),
            reads: watch::Sender::new(true),
        });
        let both = [Dice::new(dice.next()), Dice::new(dice.next())];
        let carrying = tokio::spawn(Arc::clone(&wire).carry((near, far), both, raws));
        let (send, connection) = Builder::new()
            .initial_window_size(u32::try_from(manner.window).unwrap())
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(end)
            .await
            .unwrap();
        let speaking = tokio::spawn(async { drop(connection.await) });
        Self {
            send: Some(send),
            wire,
            raw,
            tasks: [speaking, carrying],
            left: None,
            trace: String::new(),
            manner,
            dice,
            done: Vec::new(),
            since: Instant::now(),
        }
    }

    fn note(&mut self, what: fmt::Arguments<'_>) {
        writeln!(self.trace, "{what}").unwrap();
    }

    /// Some rounds as they should be, but for single streams, and what it does at last.
    async fn live(&mut self, sin: Sin) -> Result<Ends, Cut> {
        let rounds = self.dice.below(4);
        for _ in 0..rounds {
            self.round().await?;
        }
        if rounds > 0 {
            // The second finds nothing on its way.
            self.wire.left_ms.store(0, Ordering::Relaxed);
            for _ in 0..2 {
                self.quick().await?;
            }
        }
        self.sin(sin).await
    }

    fn stream(&mut self) -> Stream {
        Stream {
            send: self.send.clone().unwrap(),
            dice: Dice::new(self.dice.next()),
            manner: self.manner.clone(),
        }
    }

    /// Some streams at once.
    async fn round(&mut self) -> Result<(), Cut> {
        let idle = self.manner.time(Bound::KeepAliveIdle);
        self.manner.pause(&mut self.dice, idle / 2).await;
        if self.manner.slow == Slow::Wire {
            let left = PAUSE.min(idle / 5).as_millis();
            let left = u64::try_from(left).unwrap();
            self.wire.left_ms.store(left, Ordering::Relaxed);
        }
        let mut streams = JoinSet::new();
        for _ in 0..=self.dice.below(4) {
            let deed = match self.manner.slow {
                Slow::Streams => self.dice.pick(&[
                    Deed::Keep,
                    Deed::Keep,
                    Deed::LeaveUnread,
                    Deed::Reset,
                    Deed::SlowBody,
                    Deed::StallBody,
                ]),
                Slow::Wire => self.dice.pick(&[Deed::Keep, Deed::Reset]),
            };
            self.note(format_args!("{deed:?}"));
            streams.spawn(self.stream().live(*deed));
        }
        let mut all = Ok(());
        while let Some(ended) = streams.join_next().await {
            match ended.unwrap() {
                Ok(deed) => self.done.push(deed),
                Err(cut) => all = Err(cut),
            }
        }
        self.note(format_args!("{:?}", self.since.elapsed()));
        all
    }

    /// An exchange that takes no time.
    async fn quick(&mut self) -> Result<(), Cut> {
        let stream = self.stream();
        let (answered, mut sending) = stream.ask(0, 0).await?;
        end(&mut sending)?;
        answered.await.map_err(|_closed| Cut("a head"))?;
        self.done.push(Deed::Keep);
        self.since = Instant::now();
        Ok(())
    }

    async fn sin(&mut self, sin: Sin) -> Result<Ends, Cut> {
        let since = self.since;
        let silent = since + self.manner.time(Bound::KeepAliveIdle);
        let at = |from| Ends {
            since,
            from,
            until: from + SLACK,
        };
        match sin {
            Sin::Close => {
                // What each says first has been heard by then.
                sleep(Duration::from_millis(1)).await;
                self.send = None;
            }
            Sin::Flood => {
                let (kind, flags) = *self.dice.pick(&[(2, 0), (6, 1), (0xfa, 0)]);
                let payload: &[u8] = if kind == 2 { &[0; 5] } else { &[0; 8] };
                let stream = if kind == 6 { 0 } else { OWN_STREAM };
                self.say(frame(kind, flags, stream, payload).repeat(FLOOD));
                let now = Instant::now();
                let until = now + FLOOD_LINGER + SLACK;
                return Ok(Ends { until, ..at(now) });
            }
            Sin::GoAway => {
                let (answered, mut sending) = self.stream().ask(0, 0).await?;
                put(&mut sending, 50)?;
                self.left = Some((answered, sending));
                sleep(Duration::from_millis(1)).await;
                self.tasks[0].abort();
            }
            Sin::Idle | Sin::PartOfPreface => return Ok(at(silent)),
            Sin::LeaveAllUnread => {
                self.wire.reads.send_replace(false);
                let (answered, mut sending) = self.stream().ask(0, 200_000).await?;
                end(&mut sending)?;
                self.left = Some((answered, sending));
                let wait = self.manner.time(Bound::AnswerWriteIdle);
                return Ok(at(Instant::now() + wait));
            }
            Sin::StallHead | Sin::SlowHead => {
                // Cut anywhere, or sent bit by bit: longer than anybody waits for it.
                let begun = frame(1, 1, OWN_STREAM, &[0x82]);
                let more = frame(9, 4, OWN_STREAM, &[0x84; 16_000]);
                let bytes = [begun, more].concat();
                let (first, rest) = bytes.split_at(1 + self.dice.place(100));
                self.say(first.to_vec());
                let mut rest = rest.iter();
                while sin == Sin::SlowHead && Instant::now() < silent {
                    self.say(vec![*rest.next().unwrap()]);
                    sleep(self.manner.time(Bound::KeepAliveIdle) / 50).await;
                }
                return Ok(at(silent));
            }
        }
        Ok(at(Instant::now()))
    }

    /// Sends bytes that no library would.
    fn say(&self, bytes: Vec<u8>) {
        // Nobody may be there any more.
        drop(self.raw.send(bytes));
    }

    /// Leaves nothing behind.
    async fn end(self) -> (String, Vec<Deed>) {
        for task in self.tasks {
            task.abort();
            drop(task.await);
        }
        (self.trace, self.done)
    }
}

/// A day of one connection.
struct Day {
    trace: String,
    sin: Sin,
    ends: Result<Ends, Cut>,
    ended: Ended,
    stopped: Option<Instant>,
    /// Requests that the service took, and what came of those of whole streams.
    taken: u64,
    done: Vec<Deed>,
    /// Answers that were told of as unread.
    unread: u64,
}

impl Day {
    fn hold(&self, holds: bool, what: &str) {
        let ended = &self.ended;
        let (trace, ends, stopped) = (&self.trace, &self.ends, &self.stopped);
        assert!(
            holds,
            "{what}: {ended:?}, not {ends:?}, stopped {stopped:?}, after\n{trace}"
        );
    }

    fn of(&self, deed: Deed) -> u64 {
        let all = self.done.iter().filter(|done| **done == deed);
        u64::try_from(all.count()).unwrap()
    }

    fn check(&self) {
        let (ended, fault) = self.ended;
        let stopped = self.stopped.filter(|at| *at <= ended);
        let resets = self.of(Deed::Reset);
        let answered = u64::try_from(self.done.len()).unwrap() - resets;
        let most = answered + resets + u64::from(self.ends.is_ok());
        let taken = self.taken >= answered && self.taken <= most;
        self.hold(taken, "what was taken is answered");
        if self.sin != Sin::LeaveAllUnread {
            let told = self.unread == self.of(Deed::LeaveUnread);
            self.hold(told, "each answer that is left unread is told of once");
        }
        let Ok(ends) = &self.ends else {
            self.hold(stopped.is_some(), "who keeps the pace is not cut off");
            return;
        };
        // Told so, it is read on for a moment.
        let linger = match (stopped, self.sin) {
            (Some(_), Sin::PartOfPreface) => LINGER,
            _ => Duration::ZERO,
        };
        self.hold(
            ended <= ends.until + linger,
            "nobody waits beyond the bounds",
        );
        let early = ended < ends.from && stopped.is_none();
        self.hold(!early, "nobody is cut off before");
        if let Some(stopped) = stopped
            && [Sin::Idle, Sin::PartOfPreface].contains(&self.sin)
        {
            let in_time = ended <= stopped.max(ends.since) + linger + SLACK;
            self.hold(in_time, "nothing holds a drain up");
        }
        if ended >= ends.from {
            let said = self.sin.fault() == fault;
            let gone = self.sin == Sin::GoAway && fault == Some(ConnectionFault::Io);
            self.hold(said || gone, "it is said what was wrong");
        }
    }
}

impl Sin {
    const fn fault(self) -> Option<ConnectionFault> {
        match self {
            Self::Close
            | Self::GoAway
            | Self::Idle
            | Self::PartOfPreface
            | Self::SlowHead
            | Self::StallHead => None,
            Self::Flood => Some(ConnectionFault::Http2Flood),
            Self::LeaveAllUnread => Some(ConnectionFault::AnswerUnread),
        }
    }
}

/// What a caller did to the end of its connection.
type Lived = (Result<Ends, Cut>, Ended, String, Vec<Deed>);

async fn life(
    (mut far, serving): (DuplexStream, JoinHandle<Ended>),
    manner: Manner,
    (sin, mut dice): (Sin, Dice),
) -> Lived {
    if sin == Sin::PartOfPreface {
        let since = Instant::now();
        let part = &PREFACE[..1 + dice.place(PREFACE.len() - 1)];
        for byte in part {
            let most = manner.time(Bound::KeepAliveIdle) / 50;
            manner.pause(&mut dice, most).await;
            // It may be over.
            drop(far.write_all(&[*byte]).await);
        }
        let from = since + manner.time(Bound::KeepAliveIdle);
        let until = from + SLACK;
        let ends = Ends { since, from, until };
        let ended = serving.await.unwrap();
        return (Ok(ends), ended, String::new(), Vec::new());
    }
    let mut client = Client::new(far, manner, dice).await;
    let ends = client.live(sin).await;
    if ends.is_err() {
        client.send = None;
    }
    let ended = serving.await.unwrap();
    let (trace, done) = client.end().await;
    (ends, ended, trace, done)
}

async fn day(seed: u64) -> Day {
    let mut dice = Dice::new(seed);
    let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
    let (clock, taken) = (Clock::paused(), Arc::<AtomicU64>::default());
    let mut limits = Limits::default();
    let idle = *dice.pick(&[400, 60_000]);
    limits.set(Bound::KeepAliveIdle, idle).unwrap();
    let most = *dice.pick(&[100, 8_000, 70_000]);
    let room = 400 + dice.place(most);
    let (far, server) = tokio::io::duplex(room);
    let house = House {
        clock: clock.clone(),
        events: events.clone(),
        limits: limits.clone(),
        taken: Arc::clone(&taken),
    };
    let (stop, stops) = watch::channel(false);
    let stops_in = Duration::from_millis(dice.below(180_000));
    let stops_at = dice.happens(25).then(|| Instant::now() + stops_in);
    let sin = *dice.pick(&SINS);
    let slow = *dice.pick(&[Slow::Streams, Slow::Wire]);
    let window = match (sin, slow) {
        // What fills the way to it has to fit.
        (Sin::LeaveAllUnread, _) => 200_000,
        (_, Slow::Streams) => *dice.pick(&[1_000, 20_000, 65_535]),
        (_, Slow::Wire) => 65_535,
    };
    let manner = Manner {
        clock,
        limits,
        slow,
        window,
    };
    let serving = tokio::spawn(serve(server, house, stops));
    let stopping = async {
        match stops_at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
        stop.send_replace(true);
        std::future::pending::<()>().await;
    };
    let (ends, ended, trace, done) = tokio::select! {
        biased;
        over = life((far, serving), manner, (sin, dice)) => over,
        () = stopping => unreachable!("it waits for ever"),
    };
    assert_no_task_is_left().await;
    Day {
        trace: format!("{sin:?}, {slow:?}, {room} on the way, windows of {window}\n{trace}"),
        sin,
        ends,
        ended,
        stopped: stops_at,
        taken: taken.load(Ordering::Relaxed),
        done,
        unread: counted(&events.metrics_page()),
    }
}

/// A connection that is served until it is told to end.
fn served() -> (DuplexStream, JoinHandle<Ended>, watch::Sender<bool>) {
    let (events, ..) = voice(LogFormat::Json, LogLevel::Error);
    served_within(&Limits::default(), &events)
}

fn served_within(
    limits: &Limits,
    events: &Events,
) -> (DuplexStream, JoinHandle<Ended>, watch::Sender<bool>) {
    let (caller, server) = tokio::io::duplex(4 << 10);
    let house = House {
        clock: Clock::paused(),
        events: events.clone(),
        limits: limits.clone(),
        taken: Arc::default(),
    };
    let (stop, stops) = watch::channel(false);
    (caller, tokio::spawn(serve(server, house, stops)), stop)
}

#[test]
fn what_ends_for_a_fault_is_not_read_on() {
    in_paused_time(async {
        let (mut caller, serving, _stop) = served();
        let begun = Instant::now();
        // A frame of a stream on none.
        let data = frame(0, 0, 0, &[0]);
        let said = [PREFACE, &frame(4, 0, 0, &[]), &data].concat();
        caller.write_all(&said).await.unwrap();
        let ended = serving.await.unwrap().0;
        assert!(ended - begun < Duration::from_millis(10));
        let mut got = Vec::new();
        caller.read_to_end(&mut got).await.unwrap();
        assert!(!got.is_empty());
    });
}

/// The head of a request.
fn head(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    [&[0x83, 0x87, 0x41, 1, b'a', 0x44, length], path.as_bytes()].concat()
}

/// A request without a body.
fn ask(stream: u32, path: &str) -> Vec<u8> {
    frame(1, 5, stream, &head(path))
}

fn has(got: &[u8], part: &[u8]) -> bool {
    got.windows(part.len()).any(|it| it == part)
}

/// Whether the whole answer of so many bytes is there.
fn is_answered(got: &[u8], stream: u32, bytes: usize) -> bool {
    let text = format!("[{}", "1,".repeat(bytes));
    has(got, &frame(0, 1, stream, &text.as_bytes()[..bytes]))
}

/// GOAWAY without an error: this stream is the last.
fn farewell(last: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

#[test]
fn a_drained_connection_is_read_on_until_its_caller_has_all() {
    for closes in [true, false] {
        let lasted = in_paused_time(async {
            let (mut caller, serving, stop) = served();
            let begun = [PREFACE, &frame(4, 0, 0, &[]), &ask(1, "/9/99")].concat();
            caller.write_all(&begun).await.unwrap();
            // Not answered yet.
            sleep(Duration::from_millis(1)).await;
            stop.send_replace(true);
            sleep(Duration::from_millis(1)).await;
            let ping = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];
            caller.write_all(&frame(6, 1, 0, &ping)).await.unwrap();
            sleep(Duration::from_millis(20)).await;
            // All is said; what opens a window is on its way.
            let over = Instant::now();
            let window = frame(8, 0, 0, &99_u32.to_be_bytes());
            caller.write_all(&window).await.expect("it is lost");
            let mut got = Vec::new();
            caller.read_to_end(&mut got).await.unwrap();
            assert!(is_answered(&got, 1, 99), "{got:?}");
            if closes {
                drop(caller);
                return serving.await.unwrap().0 - over;
            }
            serving.await.unwrap().0 - over
        });
        let most = if closes { 0 } else { 1_000 };
        assert!(lasted <= Duration::from_millis(most), "{lasted:?}");
    }
}

/// So long a farewell is waited for.
const HEARING: Duration = Duration::from_secs(3);
/// Nobody waits longer than that for something that takes no time.
const MOMENT: Duration = Duration::from_millis(1);

/// A connection that was asked something and is told to end then, while a part of something else
/// has come, and more comes so long after that: how long it lasts, and all that its caller got.
fn told_to_end(limits: &Limits, begin: &[u8], rest: &[(Duration, &[u8])]) -> (Duration, Vec<u8>) {
    in_paused_time(async {
        let (events, ..) = voice(LogFormat::Json, LogLevel::Error);
        let (mut caller, serving, stop) = served_within(limits, &events);
        let begun = [PREFACE, &frame(4, 0, 0, &[]), &ask(1, "/0/9")].concat();
        caller.write_all(&begun).await.unwrap();
        sleep(MOMENT).await;
        caller.write_all(begin).await.unwrap();
        sleep(MOMENT).await;
        stop.send_replace(true);
        let told = Instant::now();
        for (at, part) in rest {
            sleep_until(told + *at).await;
            caller.write_all(part).await.expect("it has ended");
        }
        let mut got = Vec::new();
        caller.read_to_end(&mut got).await.unwrap();
        let (ended, fault) = serving.await.unwrap();
        assert_eq!(fault, None);
        let idle = "sluis_connections_closed_total{reason=\"idle\"} 1\n";
        assert!(!events.metrics_page().contains(idle));
        assert!(is_answered(&got, 1, 9));
        (ended - told, got)
    })
}

fn about(lasted: Duration, expected: Duration) -> bool {
    lasted >= expected && lasted <= expected + SLACK
}

/// A head in two frames, as it is cut behind the first byte of its second.
fn in_two(stream: u32, path: &str) -> Vec<u8> {
    let head = head(path);
    let (first, last) = head.split_at(4);
    [frame(1, 1, stream, first), frame(9, 4, stream, last)].concat()
}

#[test]
fn who_stops_in_the_midst_of_a_head_holds_no_drain_up() {
    let limits = Limits::default();
    let whole = in_two(3, "/0/20");
    for part in 1..whole.len() {
        let (lasted, got) = told_to_end(&limits, &whole[..part], &[]);
        // Nothing of it has been shown before its frame has a head: then all is as ever.
        let linger = if part < 9 { LINGER } else { Duration::ZERO };
        assert!(about(lasted, HEARING + linger), "{part}: {lasted:?}");
        assert_eq!(has(&got, &farewell(1)), part < 9, "{part}");
    }
}

#[test]
fn a_frame_that_comes_during_a_drain_has_the_time_of_a_head_at_most() {
    let mut limits = Limits::default();
    limits.set(Bound::HeadTime, 700).unwrap();
    let (lasted, _) = told_to_end(&limits, &in_two(3, "/0/20")[..15], &[]);
    assert!(about(lasted, Duration::from_millis(700)), "{lasted:?}");
}

#[test]
fn each_frame_that_comes_during_a_drain_has_its_time() {
    // No request, and one.
    let window = frame(8, 0, 0, &99_u32.to_be_bytes());
    let asked = in_two(3, "/0/20");
    let ([begin, rest], [and, last]) = (window.split_at(11).into(), halves(&asked));
    let time = HEARING - 10 * MOMENT;
    let later = [rest, and].concat();
    let rest = [(time, &later[..]), (2 * time, last)];
    let (lasted, got) = told_to_end(&Limits::default(), begin, &rest);
    assert!(is_answered(&got, 3, 20) && has(&got, &farewell(3)));
    assert!(about(lasted, 2 * time + LINGER), "{lasted:?}");
}

fn halves(whole: &[u8]) -> [&[u8]; 2] {
    whole.split_at(15).into()
}

#[test]
fn what_is_answered_during_a_drain_is_waited_for_also_in_the_midst_of_a_frame() {
    let second = in_two(5, "/0/30");
    let [begin, rest] = halves(&second);
    let slow = [&ask(3, "/9000/20"), begin].concat();
    let over = Duration::from_secs(9);
    let (lasted, got) = told_to_end(&Limits::default(), &[], &[(MOMENT, &slow)]);
    assert!(is_answered(&got, 3, 20));
    assert!(about(lasted, over + MOMENT + HEARING), "{lasted:?}");
    // Its time begins when nothing else is under way.
    let later = over + HEARING - 10 * MOMENT;
    let parts = [(MOMENT, &slow[..]), (later, rest)];
    let (_, got) = told_to_end(&Limits::default(), &[], &parts);
    assert!(is_answered(&got, 3, 20) && is_answered(&got, 5, 30));
}

#[test]
fn who_was_silent_before_a_drain_is_waited_for_no_longer() {
    in_paused_time(async {
        let (mut caller, serving, stop) = served();
        let begun = [PREFACE, &frame(4, 0, 0, &[])].concat();
        caller.write_all(&begun).await.unwrap();
        sleep(2 * HEARING).await;
        let told = Instant::now();
        stop.send_replace(true);
        let (ended, fault) = serving.await.unwrap();
        let lasted = ended - told;
        assert!(about(lasted, HEARING + LINGER), "{lasted:?}");
        assert_eq!(fault, None);
        let mut got = Vec::new();
        caller.read_to_end(&mut got).await.unwrap();
        assert!(has(&got, &farewell(0)));
    });
}

#[test]
fn who_is_told_before_its_preface_that_nothing_was_carried_out_gets_to_read_it() {
    for (part, closes) in [(0, true), (0, false), (23, true), (23, false)] {
        in_paused_time(async {
            let (mut caller, serving, stop) = served();
            let (now, later) = PREFACE.split_at(part);
            caller.write_all(now).await.unwrap();
            sleep(MOMENT).await;
            stop.send_replace(true);
            let told = Instant::now();
            sleep(MOMENT).await;
            // It was on its way.
            let rest = [later, &frame(4, 0, 0, &[]), &ask(1, "/0/9")].concat();
            caller.write_all(&rest).await.expect("it is lost");
            let mut got = Vec::new();
            caller.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, [frame(4, 0, 0, &[]), farewell(0)].concat());
            if closes {
                drop(caller);
            }
            let (ended, fault) = serving.await.unwrap();
            let most = if closes { MOMENT } else { LINGER };
            assert!(about(ended - told, most), "{:?}", ended - told);
            assert_eq!(fault, None);
        });
    }
}

#[test]
fn what_is_no_preface_is_refused_at_its_first_wrong_byte() {
    for place in 0..PREFACE.len() {
        in_paused_time(async {
            let (mut caller, serving, _stop) = served();
            let begun = Instant::now();
            let wrong = [&PREFACE[..place], &[PREFACE[place] ^ 1]].concat();
            caller.write_all(&wrong).await.unwrap();
            let (ended, fault) = serving.await.unwrap();
            let lasted = ended - begun;
            assert!(lasted < SLACK, "{place}: {lasted:?}");
            assert_eq!(fault, Some(ConnectionFault::Http2), "{place}");
        });
    }
}

#[test]
fn who_is_silent_in_a_body_behind_its_answer_is_let_go() {
    let limits = Limits::default();
    for (how, more) in [("read", 0), ("read", 9), ("unread", 0), ("unread", 9)] {
        in_paused_time(async {
            let (mut caller, serving, _stop) = served();
            let asked = frame(1, 4, 1, &head(&format!("/early/{how}")));
            let begun = [PREFACE, &frame(4, 0, 0, &[]), &asked].concat();
            let answered = Instant::now();
            caller.write_all(&begun).await.unwrap();
            sleep(PAUSE).await;
            caller
                .write_all(&frame(0, 0, 1, &vec![b'b'; more]))
                .await
                .unwrap();
            let (ended, fault) = serving.await.unwrap();
            let lasted = ended - answered;
            assert!(
                about(lasted, limits.time(Bound::KeepAliveIdle)),
                "{how}: {lasted:?}"
            );
            assert_eq!(fault, None);
            let mut got = Vec::new();
            caller.read_to_end(&mut got).await.unwrap();
            assert!(is_answered(&got, 1, 10));
        });
    }
}

async fn get(send: &SendRequest<Bytes>, path: &str) -> ResponseFuture {
    let mut send = send.clone().ready().await.unwrap();
    let asked = Request::get(format!("https://a{path}")).body(()).unwrap();
    send.send_request(asked, true).unwrap().0
}

/// The status of an answer, and how many bytes of it came.
async fn whole(answered: ResponseFuture) -> (u16, usize) {
    let (head, mut body) = answered.await.unwrap().into_parts();
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        bytes += piece.unwrap().len();
    }
    (head.status.as_u16(), bytes)
}

#[test]
fn a_panic_in_an_exchange_resets_its_stream_and_no_other() {
    in_paused_time(async {
        let (caller, server) = tokio::io::duplex(4 << 10);
        let (events, log, _) = voice(LogFormat::Json, LogLevel::Warn);
        let house = House {
            clock: Clock::paused(),
            events,
            limits: Limits::default(),
            taken: Arc::default(),
        };
        let (_stop, stops) = watch::channel(false);
        let serving = tokio::spawn(serve(server, house, stops));
        let (send, connection) = Builder::new().handshake(caller).await.unwrap();
        let speaking = tokio::spawn(async { drop(connection.await) });
        let beside = get(&send, "/1000/9").await;
        let error = get(&send, "/panic").await.await.unwrap_err();
        assert!(error.is_reset(), "{error}");
        assert_eq!(error.reason(), Some(Reason::CANCEL), "no clean end");
        let behind = get(&send, "/0/9").await;
        assert_eq!(whole(behind).await, (200, 9));
        assert_eq!(whole(beside).await, (200, 9));
        drop(send);
        speaking.await.unwrap();
        assert_eq!(serving.await.unwrap().1, None);
        assert_no_task_is_left().await;
        assert_one_panic_is_told(&log);
    });
}

fn counted(metrics: &str) -> u64 {
    let name = "sluis_connections_failed_total{fault=\"answer_unread\"} ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |count| count.parse().unwrap())
}

fn run(seed: u64) -> String {
    in_paused_time(async {
        let begun = Instant::now();
        let day = day(seed).await;
        day.check();
        let (ended, fault) = day.ended;
        let stopped = day.stopped.filter(|at| *at <= ended);
        format!(
            "{}{:?} {fault:?} {:?} {:?} {:?}\n",
            day.trace,
            ended - begun,
            day.done,
            day.ends.err(),
            stopped.map(|_| "stopped")
        )
    })
}

#[test]
fn five_hundred_days_of_callers_over_http2() {
    run_days(DAYS, run);
}

#[test]
fn one_seed_runs_the_same_way_each_time() {
    assert_repeatable(run);
}

#[test]
fn the_days_are_bad_enough() {
    let all: String = (0..200).map(run).collect();
    let sins = SINS.map(|sin| format!("{sin:?}"));
    let deeds = ["LeaveUnread", "Reset", "SlowBody", "StallBody"].map(str::to_owned);
    let ends = ["stopped", "Cut(", "AnswerUnread", "Http2Flood"].map(str::to_owned);
    for thing in [&sins[..], &deeds, &ends].concat() {
        assert!(all.matches(&*thing).count() > 5, "{thing}");
    }
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_callers_over_http2() {
    run_days(LONG_DAYS, run);
}
