//! The pace of callers under what a seed makes up: heads, bodies and reading at any pace, within
//! what is allowed until at last, on most days, something is not. Between them and a service that
//! takes its time stand the real [`Paced`], the HTTP library and the waits of a body, in paused
//! time; the wall clock is set to and fro meanwhile.
//!
//! See [`crate::dice`] for how to run a seed that fails again.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::begin::Readable;
use super::connection::{Protocol, drive_http1, fault};
use super::pace::{Pace, Paced, REST, STAND_IN_METHOD};
use super::*;
use crate::body::{Wait, discard};
use crate::clock::tests::in_paused_time;
use crate::config::{LogFormat, LogLevel};
use crate::dice::{DAYS, Dice, LONG_DAYS, assert_repeatable, run_days};
use crate::events::tests::voice;
use crate::events::{ConnectionFault, Sink};
use crate::limits::{self, Bound};
use crate::minimise::{Crossing, Law, Rewriter};
use crate::policy::{self, Policy, Rule};

/// How far two clocks of one runtime are apart: timers go by whole milliseconds.
pub(super) const SLACK: Duration = Duration::from_millis(5);
/// How long a connection that was refused in mid-body is read on.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// More than any connection of a day needs.
const POLLS_MAX: u64 = 100_000;
/// The longest pause of one who keeps every bound.
pub(super) const PAUSE: Duration = Duration::from_millis(9_500);
/// The longest answer.
const BYTES_MAX: usize = 400_000;

/// What a caller does at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sin {
    /// It closes.
    Close,
    /// It goes away in the middle of a body.
    GoAway,
    Idle,
    LeaveUnread,
    SlowBody,
    SlowHead,
    StallBody,
    StallHead,
}

const SINS: [Sin; 8] = [
    Sin::Close,
    Sin::GoAway,
    Sin::Idle,
    Sin::LeaveUnread,
    Sin::SlowBody,
    Sin::SlowHead,
    Sin::StallBody,
    Sin::StallHead,
];

/// What is told of a connection: when it ended, and what was wrong with it.
pub(super) type Ended = (Instant, Option<ConnectionFault>);

/// The gateway's end of a connection, which knows whether it is at rest.
struct Wire {
    stream: DuplexStream,
    /// What was looked at and not taken.
    peeked: Option<u8>,
    is_at_rest: Arc<AtomicBool>,
}

impl Readable for Wire {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.is_at_rest.store(true, Ordering::Relaxed);
        if self.peeked.is_some() {
            return Poll::Ready(());
        }
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut into);
        self.peeked = into.filled().first().copied();
        polled.map(drop)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_at_rest.store(false, Ordering::Relaxed);
        if let Some(byte) = self.peeked.take() {
            into.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Two ends of a connection with so much room in between, and whether the gateway's is at rest.
fn connection(room: usize) -> (DuplexStream, Wire, Arc<AtomicBool>) {
    let (peer, stream) = tokio::io::duplex(room);
    let is_at_rest = Arc::<AtomicBool>::default();
    let wire = Wire {
        stream,
        peeked: None,
        is_at_rest: Arc::clone(&is_at_rest),
    };
    (peer, wire, is_at_rest)
}

/// Serves a connection as the gateway does, from a service that answers `/delay-ms/bytes`.
async fn serve(server: Wire, house: House, stop: watch::Receiver<bool>) -> Ended {
    let pace = Arc::new(Pace::default());
    let (clock, limits) = (house.clock.clone(), house.limits.clone());
    let voice = (&clock, &house.events);
    let paced = Paced::new(server, Protocol::Http1, Arc::clone(&pace), voice, &limits);
    let (house, of_service) = (Arc::new(house), Arc::clone(&pace));
    let service = service_fn(move |request| {
        answered(Arc::clone(&house), Arc::clone(&of_service), request, None)
    });
    let ended = drive_http1(paced, service, &limits, stop, &pace);
    let ended = without_spinning(ended).await;
    let fault = fault(ended.err().as_ref(), &pace, Protocol::Http1);
    let held = Arc::strong_count(&pace);
    assert_eq!(held, 1, "nothing of a connection is left, and no timer");
    (Instant::now(), fault)
}

pub(super) async fn without_spinning<T>(work: impl Future<Output = T>) -> T {
    let (mut work, mut polls) = (pin!(work), 0);
    let polled = std::future::poll_fn(|cx| {
        polls += 1;
        assert!(polls < POLLS_MAX, "it spins");
        work.as_mut().poll(cx)
    });
    polled.await
}

/// What a service needs.
pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) events: Events,
    pub(super) limits: Limits,
    pub(super) taken: Arc<AtomicU64>,
}

/// The answer to `/delay-ms/bytes`.
pub(super) async fn answered(
    house: Arc<House>,
    pace: Arc<Pace>,
    request: Request<Incoming>,
    progress: Option<Arc<Progress>>,
) -> Result<Response<Answer>, Infallible> {
    let unknown = house.events.meters().unknown().clone();
    let record = Record::begin(unknown, &house.clock, &house.events, &pace.exchanges);
    house.taken.fetch_add(1, Ordering::Relaxed);
    let (head, mut body) = request.into_parts();
    if head.method.as_str() == STAND_IN_METHOD {
        pace.cut_short.store(true, Ordering::Relaxed);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = http::StatusCode::BAD_REQUEST;
        answer.headers_mut().insert(CONNECTION, CLOSE);
        return Ok(Answer::new(answer, record, progress));
    }
    assert_ne!(head.uri.path(), "/panic", "a planned panic");
    if let Some(how) = head.uri.path().strip_prefix("/early/") {
        // As an upstream over HTTP/2 does, and what is sent to it goes on or not.
        let goes_on = how == "read";
        if how == "rest" {
            // Said without reason.
            pace.is_at_rest.store(true, Ordering::Relaxed);
        }
        drop(tokio::spawn(async move {
            while goes_on && matches!(body.frame().await, Some(Ok(_))) {}
            sleep(Duration::from_secs(3_600)).await;
            drop(body);
        }));
        let answer = Response::new(Body::Whole(cleared(10)));
        return Ok(Answer::new(answer, record, progress));
    }
    let limits = &house.limits;
    let wait = Wait::new(
        &house.clock,
        limits.time(Bound::BodyIdle),
        Refusal::BodyTimeout,
    );
    let wait = wait.within(limits.time(Bound::BodyTotal));
    let read = discard(
        &mut Caller::new(body, head.version),
        limits.of(Bound::Body),
        wait,
    )
    .await;
    let mut parts = head.uri.path().split('/').skip(1);
    let mut number = || parts.next().unwrap().parse::<u64>().unwrap();
    let (delay, bytes) = (Duration::from_millis(number()), number());
    let mut answer = Response::new(Body::empty());
    match read {
        Ok(()) => {
            sleep(delay).await;
            *answer.body_mut() = Body::Whole(cleared(bytes));
        }
        Err(_late_or_gone) => {
            pace.cut_short.store(true, Ordering::Relaxed);
            *answer.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
            if progress.is_none() {
                answer.headers_mut().insert(CONNECTION, CLOSE);
            }
        }
    }
    Ok(Answer::new(answer, record, progress))
}

/// So many bytes that may leave.
fn cleared(bytes: u64) -> Cleared<Bytes> {
    static ALL: OnceLock<Cleared<Bytes>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let law = Arc::new(Law {
            policy: Policy::default(),
            generations: Arc::new([]),
            limits: Limits::default(),
        });
        let crossing = Crossing::towards(policy::Side::Vendor, law, None).in_flow(0);
        let mut cleared = Cleared::default();
        let text = format!("[{}", "1,".repeat(BYTES_MAX));
        let mut rewriter = Rewriter::new(crossing, Rule::KeepAll);
        rewriter.write(text.as_bytes(), &mut cleared).unwrap();
        cleared.take()
    });
    let bytes = usize::try_from(bytes).unwrap();
    assert!(bytes <= BYTES_MAX, "{bytes}");
    all.clone().split(bytes)
}

/// A caller was cut off: what it was about.
#[derive(Debug, PartialEq)]
pub(super) struct Cut(pub(super) &'static str);

struct Peer {
    stream: DuplexStream,
    room: usize,
    clock: Clock,
    dice: Dice,
    trace: String,
    /// How many answers came whole.
    whole: u64,
    /// Whether the other end is at rest.
    is_at_rest: Arc<AtomicBool>,
    stops_at: Option<Instant>,
}

impl Peer {
    fn note(&mut self, what: fmt::Arguments<'_>) {
        writeln!(self.trace, "{what}").unwrap();
    }

    /// Waits at most so long; whole milliseconds, so that all clocks agree.
    async fn pause(&mut self, most: Duration) -> Duration {
        let millis = self.dice.up_to(most).as_millis();
        let pause = Duration::from_millis(u64::try_from(millis).unwrap());
        sleep(pause).await;
        if self.dice.happens(30) {
            let unix_s = self.dice.next() >> 30;
            self.clock.jump(unix_s);
        }
        pause
    }

    /// Sends something in pieces, all within `most`, with pauses no longer than [`PAUSE`].
    async fn send(&mut self, text: &[u8], most: Duration) -> Result<(), Cut> {
        let mut left = most;
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + self.dice.place(400)).min(rest.len()));
            let sent = self.stream.write_all(piece).await;
            sent.map_err(|_closed| Cut("sending"))?;
            rest = after;
            if !rest.is_empty() && self.dice.happens(50) {
                let scale = *self.dice.pick(&[1, 100, 1_000]);
                let waited = self.pause(left.min(PAUSE) / scale).await;
                left = left.saturating_sub(waited);
            }
        }
        Ok(())
    }

    fn head(&mut self, body: usize, answer: usize) -> Vec<u8> {
        let delay = {
            let most = *self.dice.pick(&[2, 5_000, 100_000]);
            self.dice.below(most)
        };
        let filler = "f".repeat(self.dice.place(500));
        let lines = format!("host: a\r\nx-filler: {filler}\r\ncontent-length: {body}\r\n\r\n");
        self.note(format_args!("{body} bytes, in {delay} ms {answer}"));
        format!("POST /{delay}/{answer} HTTP/1.1\r\n{lines}").into_bytes()
    }

    /// Some exchanges as they should be, and what it does at last. Gives from when to when the
    /// connection may end for that.
    async fn live(&mut self, sin: Sin, limits: &Limits) -> Result<(Instant, Instant), Cut> {
        for _ in 0..self.dice.below(4) {
            self.silence(limits).await;
            self.exchange().await?;
            if self.dice.happens(20) {
                self.pipelined().await?;
            }
        }
        self.sin(sin, limits).await
    }

    /// Nothing, within what is allowed: the other end comes to rest.
    async fn silence(&mut self, limits: &Limits) {
        let silent = self.pause(limits.time(Bound::KeepAliveIdle) * 9 / 10).await;
        if silent > REST + SLACK && self.stops_at.is_none_or(|at| at > Instant::now()) {
            let is_at_rest = self.is_at_rest.load(Ordering::Relaxed);
            assert!(is_at_rest, "a server waits\n{}", self.trace);
            self.note(format_args!("a rest"));
        }
    }

    /// Two short ones at once, of which the second comes while the first is served.
    async fn pipelined(&mut self) -> Result<(), Cut> {
        let first = self.head(0, 1);
        let second = self.head(0, 2);
        let at_once = [first, second].concat();
        // What is not taken any more may be behind what is answered.
        let sent = self.send(&at_once, Duration::from_millis(9_900)).await;
        for bytes in [1, 2] {
            self.read_answer(bytes).await?;
            self.whole += 1;
        }
        sent
    }

    /// One exchange, every part of it within the bounds.
    async fn exchange(&mut self) -> Result<(), Cut> {
        let (body, answer) = (self.size(), self.size());
        let head = self.head(body, answer);
        self.send(&head, Duration::from_millis(9_900)).await?;
        self.send(&vec![b'b'; body], Duration::from_secs(55))
            .await?;
        self.read_answer(answer).await?;
        self.whole += 1;
        Ok(())
    }

    fn size(&mut self) -> usize {
        let most = *self.dice.pick(&[1, 3_000, 300_000]);
        self.dice.place(most)
    }

    async fn read_answer(&mut self, bytes: usize) -> Result<(), Cut> {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let byte = self.stream.read_u8().await;
            read.push(byte.map_err(|_closed| Cut("head of an answer"))?);
        }
        let head = String::from_utf8(read).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains(&format!("content-length: {bytes}\r\n")),
            "{head}"
        );
        let pauses = *self.dice.pick(&[0, 0, 5, 60]);
        let mut left = bytes;
        while left > 0 {
            let mut room = vec![0; 1 + self.dice.place(left.min(40_000))];
            let count = self.stream.read(&mut room).await.unwrap();
            if count == 0 {
                return Err(Cut("an answer"));
            }
            left -= count;
            // While more than fits on the way is left, it is known that somebody waits.
            if left > self.room && self.dice.happens(pauses) {
                self.pause(Duration::from_millis(29_500)).await;
            }
        }
        Ok(())
    }

    async fn sin(&mut self, sin: Sin, bounds: &Limits) -> Result<(Instant, Instant), Cut> {
        let idle = Instant::now();
        let time = |bound| bounds.time(bound);
        let from = match sin {
            Sin::Close | Sin::GoAway => {
                if sin == Sin::GoAway {
                    let head = self.head(100, 10);
                    self.send(&head, Duration::ZERO).await?;
                    let _cut = self.send(&[b'b'; 50], Duration::ZERO).await;
                }
                self.stream = tokio::io::duplex(1).0;
                Instant::now()
            }
            Sin::Idle => idle + time(Bound::KeepAliveIdle),
            Sin::StallHead | Sin::SlowHead => {
                let first = Instant::now();
                self.send(b"POST /0/0 HTTP/1.1\r\nhost: a\r\n", Duration::ZERO)
                    .await?;
                while sin == Sin::SlowHead && first.elapsed() < time(Bound::HeadTime) {
                    self.pause(Duration::from_secs(2)).await;
                    let _late = self.stream.write_all(b"x: y\r\n").await;
                }
                first + time(Bound::HeadTime)
            }
            Sin::StallBody | Sin::SlowBody => {
                let head = self.head(1_000_000, 0);
                self.send(&head, Duration::ZERO).await?;
                let begun = Instant::now();
                while sin == Sin::SlowBody && begun.elapsed() < time(Bound::BodyTotal) {
                    self.stream
                        .write_all(b"b")
                        .await
                        .map_err(|_closed| Cut("a body"))?;
                    self.pause(PAUSE).await;
                }
                let bound = match sin == Sin::SlowBody {
                    true => time(Bound::BodyTotal),
                    false => time(Bound::BodyIdle),
                };
                begun + bound
            }
            Sin::LeaveUnread => {
                let size = self.room + 1_000 + self.dice.place(100_000);
                let head = format!("GET /0/{size} HTTP/1.1\r\nhost: a\r\n\r\n");
                self.send(head.as_bytes(), Duration::ZERO).await?;
                Instant::now() + time(Bound::AnswerWriteIdle)
            }
        };
        let from = match sin {
            Sin::StallBody | Sin::SlowBody => from + LINGER,
            Sin::Close
            | Sin::GoAway
            | Sin::Idle
            | Sin::LeaveUnread
            | Sin::SlowHead
            | Sin::StallHead => from,
        };
        Ok((from, from + SLACK))
    }
}

/// A day of one connection.
struct Day {
    trace: String,
    sin: Sin,
    ends: Result<(Instant, Instant), Cut>,
    ended: Ended,
    stopped: Option<Instant>,
    /// Requests that the service took, and answers that came whole.
    taken: u64,
    whole: u64,
}

impl Day {
    fn hold(&self, holds: bool, what: &str) {
        let ended = &self.ended;
        let (trace, ends) = (&self.trace, &self.ends);
        assert!(holds, "{what}: {ended:?}, not {ends:?}, after\n{trace}");
    }

    fn check(&self) {
        let (ended, fault) = self.ended;
        let stopped = self.stopped.filter(|at| *at <= ended);
        match &self.ends {
            Err(_cut) => {
                self.hold(stopped.is_some(), "who keeps the pace is not cut off");
                self.hold(self.taken == self.whole, "what was taken is answered");
            }
            Ok((from, until)) => {
                let until = stopped.map_or(*until, |_| *until + LINGER);
                self.hold(ended <= until, "nobody waits beyond the bounds");
                let early = ended < *from && stopped.is_none();
                self.hold(!early, "nobody is cut off before");
                if ended >= *from && stopped.is_none() {
                    let said = self.sin.fault() == fault;
                    let gone = self.sin == Sin::GoAway && fault == Some(ConnectionFault::Io);
                    self.hold(said || gone, "it is said what was wrong");
                }
            }
        }
    }
}

impl Sin {
    const fn fault(self) -> Option<ConnectionFault> {
        match self {
            Self::Close | Self::GoAway | Self::Idle | Self::SlowBody | Self::StallBody => None,
            Self::LeaveUnread => Some(ConnectionFault::AnswerUnread),
            Self::SlowHead | Self::StallHead => Some(ConnectionFault::HeadTimeout),
        }
    }
}

async fn day(seed: u64) -> Day {
    let mut dice = Dice::new(seed);
    let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
    let (clock, taken) = (Clock::paused(), Arc::<AtomicU64>::default());
    let mut limits = Limits::default();
    let idle = *dice.pick(&[400, 60_000]);
    limits.set(Bound::KeepAliveIdle, idle).unwrap();
    // A refusal fits.
    let room = 400 + dice.place(*dice.clone().pick(&[100, 8_000, 70_000]));
    let (stream, server, is_at_rest) = connection(room);
    let house = House {
        clock: clock.clone(),
        events,
        limits: limits.clone(),
        taken: Arc::clone(&taken),
    };
    let (stop, stops) = watch::channel(false);
    let stops_in = Duration::from_millis(dice.below(180_000));
    let stops_at = dice.happens(25).then(|| Instant::now() + stops_in);
    let sin = *dice.pick(&SINS);
    let serving = tokio::spawn(serve(server, house, stops));
    let mut peer = Peer {
        stream,
        room,
        clock,
        trace: format!("{sin:?}, {room} on the way\n"),
        whole: 0,
        is_at_rest,
        stops_at,
        dice,
    };
    let life = async {
        let ends = peer.live(sin, &limits).await;
        (ends, serving.await.unwrap())
    };
    let stopping = async {
        match stops_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        stop.send_replace(true);
        std::future::pending::<()>().await;
    };
    let (ends, ended) = tokio::select! {
        biased;
        over = life => over,
        () = stopping => unreachable!("it waits for ever"),
    };
    assert_no_task_is_left().await;
    Day {
        trace: peer.trace,
        sin,
        ends,
        ended,
        stopped: stops_at,
        taken: taken.load(Ordering::Relaxed),
        whole: peer.whole,
    }
}

/// Nothing is left of a connection. No time passes while what read of it hears that it is over.
pub(super) async fn assert_no_task_is_left() {
    for _ in 0..100 {
        yield_now().await;
    }
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0, "nothing is left of a connection");
}

/// A connection on which everything is as it should be, and what becomes of it.
fn served<T>(work: impl AsyncFnOnce(DuplexStream) -> T) -> (T, Duration, Option<ConnectionFault>) {
    served_within(Limits::default(), work)
}

fn served_within<T>(
    limits: Limits,
    work: impl AsyncFnOnce(DuplexStream) -> T,
) -> (T, Duration, Option<ConnectionFault>) {
    in_paused_time(async {
        let (events, _, _) = voice(LogFormat::Json, LogLevel::Error);
        let house = House {
            clock: Clock::paused(),
            events,
            limits,
            taken: Arc::default(),
        };
        let (stream, server, _) = connection(400);
        let (_stop, stops) = watch::channel(false);
        let serving = tokio::spawn(serve(server, house, stops));
        let done = work(stream).await;
        let since = Instant::now();
        let (ended, fault) = serving.await.unwrap();
        (done, ended - since, fault)
    })
}

#[test]
fn who_reads_an_answer_slowly_gets_all_of_it() {
    let (read, _, fault) = served(async |mut stream| {
        let head = b"GET /0/2000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let (mut read, mut room) = (0, [0; 300]);
        loop {
            sleep(Duration::from_secs(29)).await;
            match stream.read(&mut room).await.unwrap() {
                0 => return read,
                more => read += more,
            }
        }
    });
    assert!(read > 2_000, "{read}");
    assert_eq!(fault, None);
}

#[test]
fn silence_begins_with_the_end_of_the_answer() {
    let ((), ended, fault) = served(async |mut stream| {
        // Nothing has been waited for before: there is no timer that would go off anyway.
        stream
            .write_all(b"GET /9000/0 HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 300];
        let count = stream.read(&mut answer).await.unwrap();
        assert!(answer[..count].ends_with(b"\r\n\r\n"));
        tokio::spawn(async move {
            // Held open.
            let _stream = stream;
            std::future::pending::<()>().await;
        });
    });
    let idle = Limits::default().time(Bound::KeepAliveIdle);
    assert!(ended >= idle && ended <= idle + SLACK, "{ended:?}");
    assert_eq!(fault, None);
}

/// A request in the body of another one, but for its last line.
const WITHIN: &[u8] = b"GET /0/20 HTTP/1.1\r\nhost: a\r\nx: 01234\r\n";

/// All that comes within some seconds.
async fn what_comes(stream: &mut DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    let within = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut all));
    drop(within.await);
    all
}

fn count_of_answers(bytes: &[u8]) -> usize {
    let answers = bytes.windows(9).filter(|it| it == b"HTTP/1.1 ");
    answers.count()
}

#[test]
fn what_comes_of_a_body_behind_its_answer_is_no_request() {
    for pause in [0, 100, 199, 200, 201, 1_000, 9_000] {
        let (answers, ..) = served(async |mut stream| {
            answered_early(&mut stream, "read", "content-length: 41", b"").await;
            sleep(Duration::from_millis(pause)).await;
            stream.write_all(WITHIN).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
            let within = what_comes(&mut stream).await;
            stream
                .write_all(&[WITHIN, &b"\r\n"[..]].concat())
                .await
                .unwrap();
            let behind = what_comes(&mut stream).await;
            [within, behind].map(|bytes| count_of_answers(&bytes))
        });
        assert_eq!(answers, [0, 1], "{pause} ms");
    }
}

async fn what_comes_at_once(stream: &mut DuplexStream) -> Vec<u8> {
    let mut room = [0; 400];
    let count = stream.read(&mut room).await.unwrap();
    room[..count].to_vec()
}

#[test]
fn a_body_that_nobody_reads_is_no_request() {
    let (answers, _, fault) = served(async |mut stream| {
        let head = b"POST /early/unread HTTP/1.1\r\nhost: a\r\ncontent-length: 41\r\n\r\n";
        let whole = [&head[..], WITHIN, b"\r\n"].concat();
        stream.write_all(&whole).await.unwrap();
        count_of_answers(&what_comes(&mut stream).await)
    });
    assert_eq!((answers, fault), (1, None));
}

/// Both ways to frame a body of [`WITHIN`] and its last line, each in two pieces.
fn framed() -> [(&'static str, [Vec<u8>; 2]); 2] {
    let whole = [WITHIN, b"\r\n"].concat();
    let (first, last) = whole.split_at(9);
    let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    let chunks = [chunk(first), [&chunk(last), &b"0\r\n\r\n"[..]].concat()];
    [
        ("content-length: 41", [first.to_vec(), last.to_vec()]),
        ("transfer-encoding: chunked", chunks),
    ]
}

/// Asks for an answer that comes before the rest of its body, of which this comes with the head,
/// and gets it. How the body is read is said in the path.
async fn answered_early(stream: &mut DuplexStream, how: &str, framing: &str, begin: &[u8]) {
    let head = format!("POST /early/{how} HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
    let both = [head.as_bytes(), begin].concat();
    stream.write_all(&both).await.unwrap();
    let early = what_comes_at_once(stream).await;
    assert_eq!(count_of_answers(&early), 1);
}

#[test]
fn a_body_behind_its_answer_may_take_longer_than_a_head() {
    for (framing, body) in framed() {
        let ((), ..) = served(async |mut stream| {
            answered_early(&mut stream, "read", framing, b"").await;
            let mut all = Vec::new();
            for byte in body.concat() {
                stream.write_all(&[byte]).await.unwrap();
                let within = tokio::time::timeout(PAUSE, stream.read_to_end(&mut all));
                assert!(within.await.is_err(), "{}", all.escape_ascii());
            }
            // Also once all of it is here.
            sleep(Duration::from_secs(50)).await;
            let next = b"GET /0/20 HTTP/1.1\r\nhost: a\r\n\r\n";
            stream.write_all(next).await.unwrap();
            let behind = what_comes(&mut stream).await;
            assert!(behind.starts_with(b"HTTP/1.1 200 "));
            assert_eq!((all.len(), count_of_answers(&behind)), (0, 1));
        });
    }
}

#[test]
fn who_is_silent_in_a_body_behind_its_answer_is_let_go() {
    let idle = Limits::default().time(Bound::KeepAliveIdle);
    // So many pieces come with the head, and so many behind the answer.
    let splits = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)];
    let framed = framed();
    let all = framed
        .iter()
        .flat_map(|body| splits.map(|split| (body, split)));
    for (((framing, pieces), (begin, more)), how) in
        all.flat_map(|case| ["read", "unread"].map(|how| (case, how)))
    {
        let (lasted, ended, fault) = served(async |mut stream| {
            answered_early(&mut stream, how, framing, &pieces[..begin].concat()).await;
            sleep(PAUSE).await;
            let since = Instant::now();
            let later = pieces[begin..begin + more].concat();
            stream.write_all(&later).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"");
            since.elapsed()
        });
        // What nobody takes is no word of the caller's.
        let least = match (how, more) {
            ("read", 1..) => idle,
            _ => idle - PAUSE,
        };
        let most = if more > 0 { idle } else { least };
        let in_time = lasted >= least && lasted <= most + SLACK;
        assert!(in_time, "{how}, {framing}, {begin} and {more}: {lasted:?}");
        assert_eq!((ended, fault), (Duration::ZERO, None));
    }
}

#[test]
fn what_is_refused_is_read_on_also_where_silence_may_be_shorter() {
    let mut limits = Limits::default();
    limits.set(Bound::KeepAliveIdle, 400).unwrap();
    let (refused, lasted, fault) = served_within(limits, async |mut stream| {
        stream.write_all(b"GET / HTTP/9.9\r\n\r\n").await.unwrap();
        let mut refused = Vec::new();
        stream.read_to_end(&mut refused).await.unwrap();
        tokio::spawn(async move {
            // Held open.
            let _stream = stream;
            std::future::pending::<()>().await;
        });
        refused
    });
    assert!(refused.starts_with(b"HTTP/1.1 400 "));
    assert!(lasted >= LINGER && lasted <= LINGER + SLACK, "{lasted:?}");
    assert_eq!(fault, None);
}

#[test]
fn what_a_server_has_read_and_not_looked_at_is_never_followed_by_a_request() {
    let [_, (framing, pieces)] = framed();
    let (answers, ended, fault) = served(async |mut stream| {
        answered_early(&mut stream, "rest", framing, &pieces.concat()).await;
        let next = [WITHIN, b"\r\n"].concat();
        let sent = stream.write_all(&next).await;
        (
            sent.is_ok(),
            count_of_answers(&what_comes(&mut stream).await),
        )
    });
    assert_eq!((answers, ended, fault), ((false, 0), Duration::ZERO, None));
}

#[test]
fn what_is_sent_during_a_drain_is_read_on_behind_the_last_answer() {
    for closes in [true, false] {
        in_paused_time(async {
            let (events, ..) = voice(LogFormat::Json, LogLevel::Error);
            let (stop, stops) = watch::channel(false);
            let (mut stream, server, _) = connection(400);
            let house = House {
                clock: Clock::paused(),
                events,
                limits: Limits::default(),
                taken: Arc::default(),
            };
            let serving = tokio::spawn(serve(server, house, stops));
            let ask = b"GET /700/9 HTTP/1.1\r\nhost: a\r\n\r\n";
            stream.write_all(ask).await.unwrap();
            sleep(SLACK).await;
            stop.send_replace(true);
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            assert_eq!(count_of_answers(&got), 1);
            let answered = Instant::now();
            // On its way while it was answered: a socket that is closed on it is reset.
            stream.write_all(&ask.repeat(40)).await.expect("it is lost");
            if closes {
                drop(stream);
            }
            let (ended, fault) = serving.await.unwrap();
            let lasted = ended - answered;
            let least = if closes { Duration::ZERO } else { LINGER };
            assert!(lasted >= least && lasted <= least + SLACK, "{lasted:?}");
            assert_eq!(fault, None);
        });
    }
}

/// It was told once that an exchange panicked, and nothing else of exchanges.
pub(super) fn assert_one_panic_is_told(log: &Sink) {
    let text = String::from_utf8(log.bytes()).unwrap();
    let both = ["\"request.ended\"", "\"sluis.outcome\":\"panicked\""];
    let counts = both.map(|it| text.matches(it).count());
    assert_eq!(counts, [1, 1], "{text}");
}

#[test]
fn a_panic_in_an_exchange_ends_its_connection_and_no_other() {
    in_paused_time(async {
        let (events, log, _) = voice(LogFormat::Json, LogLevel::Warn);
        let (_stop, stops) = watch::channel(false);
        let open = || {
            let (stream, server, _) = connection(400);
            let house = House {
                clock: Clock::paused(),
                events: events.clone(),
                limits: Limits::default(),
                taken: Arc::default(),
            };
            (stream, tokio::spawn(serve(server, house, stops.clone())))
        };
        let ((mut bad, ended), (mut other, serving)) = (open(), open());
        let say = async |stream: &mut DuplexStream, path: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            count_of_answers(&got)
        };
        assert_eq!(say(&mut bad, "/panic").await, 0, "it looks answered");
        assert!(ended.await.unwrap_err().is_panic());
        assert_eq!(say(&mut other, "/0/9").await, 1);
        assert_eq!(serving.await.unwrap().1, None);
        assert_no_task_is_left().await;
        assert_one_panic_is_told(&log);
    });
}

fn run(seed: u64) -> String {
    in_paused_time(async {
        let begun = Instant::now();
        let day = day(seed).await;
        day.check();
        let (ended, fault) = day.ended;
        let stopped = day.stopped.filter(|at| *at <= ended);
        format!(
            "{}{:?} {fault:?} {:?} {:?}\n",
            day.trace,
            ended - begun,
            day.ends.err(),
            stopped.map(|_| "stopped")
        )
    })
}

#[test]
fn five_hundred_days_of_callers_at_any_pace() {
    run_days(DAYS, run);
}

/// How long a connection is open that sent too many frames and was told so, and how many bytes were
/// taken of it then, if its caller does so much still and closes then or does not.
fn after_a_flood(still: usize, closes: bool) -> (Duration, usize) {
    in_paused_time(async {
        let (mut caller, server) = tokio::io::duplex(64 << 10);
        let pace = Arc::new(Pace::default());
        pace.fault.set(ConnectionFault::Http2Flood).unwrap();
        let (clock, limits) = (Clock::paused(), Limits::default());
        let (events, ..) = voice(LogFormat::Json, LogLevel::Error);
        let voice = (&clock, &events);
        let mut paced = Paced::new(server, Protocol::Http2, pace, voice, &limits);
        let begun = Instant::now();
        let sending = async {
            let (mut sent, piece) = (0, [0; 1 << 10]);
            while sent < still && caller.write_all(&piece).await.is_ok() {
                sent += piece.len();
            }
            // It is told that nothing more comes, before it is closed.
            let told = tokio::time::timeout(Duration::ZERO, caller.read_u8()).await;
            assert!(told.is_ok(), "its end is not said");
            match closes {
                true => drop(caller),
                false => std::future::pending().await,
            }
            sent
        };
        let lasting = async {
            paced.shutdown().await.unwrap();
            begun.elapsed()
        };
        let mut sending = pin!(sending);
        let mut sent = 0;
        let mut lasting = pin!(lasting);
        let lasted = tokio::select! {
            biased;
            lasted = &mut lasting => lasted,
            all = &mut sending => {
                sent = all;
                lasting.await
            }
        };
        (lasted, sent)
    })
}

#[test]
fn a_flood_is_read_on_for_a_moment_so_that_its_caller_hears_why() {
    let wait = limits::FLOOD_LINGER;
    let most = limits::LINGER_BYTES_MAX;
    // Whoever closes has heard it, and all that it had sent was taken.
    assert_eq!(after_a_flood(3 << 20, true), (Duration::ZERO, 3 << 20));
    let (lasted, _) = after_a_flood(3 << 20, false);
    assert!(lasted >= wait && lasted <= wait + SLACK, "{lasted:?}");
    // Whoever goes on and on is not read on.
    let (lasted, _) = after_a_flood(2 * most, false);
    assert_eq!(lasted, Duration::ZERO);
}

#[test]
fn one_seed_runs_the_same_way_each_time() {
    assert_repeatable(run);
}

#[test]
fn the_days_are_bad_enough() {
    let all: String = (0..200).map(run).collect();
    for thing in [
        "HeadTimeout",
        "AnswerUnread",
        "stopped",
        "Cut(",
        "Idle",
        "StallBody",
        "SlowBody",
        "a rest",
    ] {
        assert!(all.matches(thing).count() > 5, "{thing}");
    }
}

#[test]
#[ignore = "minutes: ten thousand of them"]
fn long_run_of_callers_at_any_pace() {
    run_days(LONG_DAYS, run);
}
