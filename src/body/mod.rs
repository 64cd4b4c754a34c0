//! Bodies in flight: read from one side, cleared by a [`Rewriter`], handed to the other.
//!
//! One type serves both directions. It gives [`Cleared`] bytes only, so a raw payload that would
//! leave does not compile. The first bytes are held back until so much has been read without a
//! fault (`hold-back`) or the body has ended; until then a fault can still be refused whole. After
//! that a fault is an error of the body, which makes hyper break the connection off: no valid end
//! of message. In the same way no byte goes on before the identifiers behind its pseudonyms are on
//! disk.

mod budget;
mod facts;
mod register;
mod source;
#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking, and its numbers are small"
)]
mod tests;
mod wait;

pub use budget::{Budget, Held};
pub use facts::{Facts, Progress, State};
pub use register::{Desk, InTime};
pub use source::{Caller, Source};
pub use wait::Wait;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::minimise::{Cleared, Rewriter};
use crate::refusal::{Bug, Refusal};
use register::Asked;

/// The most room that is made before a chunk is rewritten: what leaves is seldom more than came.
const ROOM_BYTES_MAX: usize = 64 << 10;

/// So much is rewritten at a time; then others have their turn. A peer that sends and reads fast
/// would else hold up everybody on its thread for some hundredths of a second, and a hundred of
/// them for seconds.
const TURN_BYTES: u64 = 64 << 10;

/// A cleared body, whole or still in flight.
///
/// ```
/// use sluis::body::{Body, Caller};
/// use sluis::minimise::Cleared;
/// let _body: Body<Caller> = Body::Whole(Cleared::default());
/// ```
/// ```compile_fail
/// use sluis::body::{Body, Caller};
/// use sluis::minimise::Cleared;
/// let _body: Body<Caller> = Body::Whole(bytes::Bytes::new());
/// ```
#[derive(Debug)]
pub enum Body<S> {
    /// In flight: its length is not known.
    Streaming(Box<Passage<S>>),
    /// All of it; empty if there is no body.
    Whole(Cleared<Bytes>),
}

impl<S> Body<S> {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::Whole(Cleared::default())
    }

    /// Its length in bytes, if it is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Streaming(_) => None,
            Self::Whole(cleared) => u64::try_from(cleared.look().len()).ok(),
        }
    }
}

impl<S: Source> http_body::Body for Body<S> {
    type Data = Cleared<Bytes>;
    type Error = Refusal;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Refusal>>> {
        match self.get_mut() {
            Self::Streaming(passage) => passage.poll_next(cx).map_ok(Frame::data),
            Self::Whole(cleared) if cleared.look().is_empty() => Poll::Ready(None),
            Self::Whole(cleared) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(cleared))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(passage) => passage.is_over(),
            Self::Whole(cleared) => cleared.look().is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The terms under which a body is taken.
#[derive(Debug)]
pub struct Terms {
    /// The most bytes that may come; beyond it [`Refusal::BodyTooLarge`].
    pub bytes_max: u64,
    /// How many bytes are read before the first goes on.
    pub hold_back: u64,
    /// How long it may take.
    pub wait: Wait,
    /// Where the facts about it go.
    pub facts: Arc<Facts>,
    /// What it may hold of the memory for all bodies, until it ends.
    pub held: Held,
    /// Who remembers its identifiers, if any of the vendor's have a way back.
    pub register: Option<Desk>,
}

/// One body on its way through the [`Rewriter`].
pub struct Passage<S> {
    /// `None` once it has ended, and as soon as it has failed.
    source: Option<S>,
    rewriter: Rewriter,
    /// Cleared, and to be handed on once nothing is asked of the register.
    ready: Cleared<Vec<u8>>,
    asked: Option<Asked>,
    terms: Terms,
    progress: Progress,
    /// How many bytes had come when others last had their turn.
    yielded: u64,
}

/// What one turn of reading came to.
#[derive(Clone, Copy, Debug)]
enum Turn {
    End,
    More,
}

impl<S: Source> Passage<S> {
    /// A body that nothing has been read of.
    pub fn new(source: S, rewriter: Rewriter, terms: Terms) -> Box<Self> {
        Box::new(Self {
            source: Some(source),
            rewriter,
            ready: Cleared::default(),
            asked: None,
            terms,
            progress: Progress::default(),
            yielded: 0,
        })
    }

    /// Reads until the hold-back window is full or the body has ended.
    ///
    /// # Errors
    /// The fault that was found in it, or that it came too slowly or not to its end.
    pub async fn prime(mut self: Box<Self>) -> Result<Body<S>, Refusal> {
        loop {
            match std::future::poll_fn(|cx| self.poll_turn(cx)).await? {
                Turn::End => return Ok(Body::Whole(self.hand_on()?)),
                Turn::More if self.is_held_back() => {}
                Turn::More => return Ok(Body::Streaming(self)),
            }
        }
    }

    /// Whether nothing leaves before more of the body has come.
    fn is_held_back(&self) -> bool {
        self.progress.received < self.terms.hold_back
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Cleared<Bytes>, Refusal>>> {
        if self.progress.received.saturating_sub(self.yielded) >= TURN_BYTES {
            self.yielded = self.progress.received;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // What is ready stays where it is for as long as something is asked of the register.
        while self.asked.is_some() || self.ready.look().is_empty() {
            if self.source.is_none() {
                return Poll::Ready(None);
            }
            if let Err(refusal) = ready!(self.poll_turn(cx)) {
                return Poll::Ready(Some(Err(refusal)));
            }
        }
        Poll::Ready(Some(self.hand_on()))
    }

    /// What is ready, whose identifiers must be on disk by now.
    fn hand_on(&mut self) -> Result<Cleared<Bytes>, Refusal> {
        let remembered = self.terms.register.is_none() || self.rewriter.trail().batch.is_empty();
        match remembered {
            true => Ok(self.ready.take()),
            false => Err(Refusal::Bug(Bug::Rewriter)),
        }
    }

    fn is_over(&self) -> bool {
        self.source.is_none() && self.ready.look().is_empty()
    }

    /// Reads once, rewrites what came, and waits until the identifiers in it are on disk.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Refusal>> {
        let turn = ready!(self.poll_read_and_settle(cx));
        match turn {
            Ok(Turn::More) => {}
            Ok(Turn::End) => {
                if self.source.take().is_some() {
                    self.report(State::Ended);
                }
            }
            Err(refusal) => {
                self.source = None;
                self.ready = Cleared::default();
                self.report(State::Failed(refusal));
            }
        }
        Poll::Ready(turn)
    }

    fn poll_read_and_settle(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Refusal>> {
        let mut turn = Turn::More;
        if self.asked.is_none() {
            let Some(source) = &mut self.source else {
                return Poll::Ready(Ok(Turn::End));
            };
            let read = match source.poll_chunk(cx) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    let late = ready!(self.terms.wait.poll(self.progress.received, cx));
                    source.give_up();
                    Some(Err(late))
                }
            };
            self.terms.wait.over();
            match read {
                Some(chunk) => self.write(&chunk?)?,
                None => {
                    self.end()?;
                    turn = Turn::End;
                }
            }
            self.asked = self.ask(turn);
        }
        while let Some(asked) = &mut self.asked {
            turn = ready!(asked.poll(cx))?;
            let (pseudonyms, held) = (asked.is_for_pseudonyms(), self.ready.look().len());
            if pseudonyms {
                self.rewrite(Rewriter::resume)?;
                self.count_cleared(held);
            }
            self.asked = self.ask(turn);
        }
        match self.rewriter.waits_for_register() {
            // Nobody will tell it.
            true => Poll::Ready(Err(Refusal::Bug(Bug::Rewriter))),
            false => Poll::Ready(Ok(turn)),
        }
    }

    /// What has to be asked of the register before anything that was written may go on.
    fn ask(&mut self, then: Turn) -> Option<Asked> {
        let desk = self.terms.register.as_ref()?;
        if self.rewriter.waits_for_register() {
            return Some(Asked::for_pseudonyms(desk, then));
        }
        let held_back = matches!(then, Turn::More) && self.is_held_back();
        let batch = &mut self.rewriter.trail().batch;
        if held_back && !batch.fills_a_commit() {
            // One commit for all that is held back.
            return None;
        }
        (!batch.is_empty()).then(|| Asked::to_remember(desk, std::mem::take(batch), then))
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.progress.received = self.progress.received.saturating_add(length);
        if self.progress.received > self.terms.bytes_max {
            return Err(Refusal::BodyTooLarge);
        }
        let held = self.ready.look().len();
        self.ready.reserve(chunk.len().min(ROOM_BYTES_MAX));
        self.rewrite(|rewriter, ready| rewriter.write(chunk, ready))?;
        self.count_cleared(held);
        self.terms.facts.note(&self.progress);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let held = self.ready.look().len();
        self.rewriter.end(&mut self.ready)?;
        self.count_cleared(held);
        Ok(())
    }

    fn rewrite(
        &mut self,
        work: impl FnOnce(&mut Rewriter, &mut Cleared<Vec<u8>>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let begun = self.terms.wait.clock().now();
        let done = work(&mut self.rewriter, &mut self.ready);
        let took = self
            .terms
            .wait
            .clock()
            .now()
            .saturating_duration_since(begun);
        self.progress.rewriting = self.progress.rewriting.saturating_add(took);
        done
    }

    fn count_cleared(&mut self, held: usize) {
        let more = self.ready.look().len().saturating_sub(held);
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.progress.cleared = self.progress.cleared.saturating_add(more);
    }

    fn report(&mut self, state: State) {
        self.progress.state = state;
        self.progress.counts = *self.rewriter.counts();
        self.terms.facts.note(&self.progress);
        self.terms.held.release();
    }
}

impl<S> Drop for Passage<S> {
    fn drop(&mut self) {
        if self.progress.state == State::Open {
            self.progress.counts = *self.rewriter.counts();
            self.terms.facts.note(&self.progress);
        }
    }
}

impl<S> fmt::Debug for Passage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passage({} bytes received)", self.progress.received)
    }
}

/// Reads a body to its end and lets go of it.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] if more than `bytes_max` come, and why it does not end.
pub async fn discard<S: Source>(
    source: &mut S,
    bytes_max: u64,
    mut wait: Wait,
) -> Result<(), Refusal> {
    let mut received: u64 = 0;
    std::future::poll_fn(|cx| {
        loop {
            let read = match source.poll_chunk(cx) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    let late = ready!(wait.poll(received, cx));
                    source.give_up();
                    Some(Err(late))
                }
            };
            wait.over();
            match read {
                None => return Poll::Ready(Ok(())),
                Some(Err(refusal)) => return Poll::Ready(Err(refusal)),
                Some(Ok(chunk)) => {
                    let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    received = received.saturating_add(length);
                }
            }
            if received > bytes_max {
                return Poll::Ready(Err(Refusal::BodyTooLarge));
            }
        }
    })
    .await
}

#[cfg(test)]
mod turns {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::limits::Limits;
    use crate::minimise::{Crossing, Law};
    use crate::policy::{Policy, Rule, Side};

    /// A list without an end, all of it there.
    #[derive(Default)]
    struct Endless {
        begun: bool,
    }

    impl Source for Endless {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
            let chunk = match std::mem::replace(&mut self.begun, true) {
                false => "[".to_owned(),
                true => "1,".repeat(4 << 10),
            };
            Poll::Ready(Some(Ok(chunk.into())))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn others_have_their_turn_however_fast_a_body_comes() {
        let law = Arc::new(Law {
            policy: Policy::default(),
            generations: Arc::new([]),
            limits: Limits::default(),
        });
        let crossing = Crossing::towards(Side::Vendor, law, None).in_flow(0);
        let minute = Duration::from_mins(1);
        let terms = Terms {
            bytes_max: u64::MAX,
            hold_back: 0,
            wait: Wait::new(&Clock::test(0), minute, Refusal::BodyTimeout),
            facts: Arc::default(),
            held: Held::default(),
            register: None,
        };
        let rewriter = Rewriter::new(crossing, Rule::KeepAll);
        let mut body = Passage::new(Endless::default(), rewriter, terms);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let (mut since, mut turns) = (0, 0);
        while body.progress.received < 16 * TURN_BYTES {
            match body.poll_next(&mut cx) {
                Poll::Ready(more) => assert!(more.is_some_and(|it| it.is_ok())),
                Poll::Pending => {
                    turns += 1;
                    since = body.progress.received;
                    assert_eq!(woken.0.load(Ordering::Relaxed), turns, "it sleeps for ever");
                }
            }
            assert!(body.progress.received - since <= TURN_BYTES + (8 << 10));
        }
        assert!(turns >= 14, "{turns}");
    }
}
