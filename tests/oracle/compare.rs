//! The rewriter held against the oracle.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluis::minimise::{
    Action, Cleared, Counts, Crossing, Entered, Rewriter, Seen, Unwatched, Watch,
};
use sluis::policy::Rule;
use sluis::pseudonym::Register;
use sluis::refusal::{JsonFault, Refusal};

use super::book::{Pages, Reading, Way};
use super::dice::pieces;
use super::{audit, records, rewrite};

/// What the rewriter did with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Whether the message came to its end.
    pub(crate) result: Result<(), Refusal>,
    /// What had been cleared until then.
    pub(crate) left: Vec<u8>,
    pub(crate) counts: Counts,
}

/// Feeds a message to the rewriter piece by piece; what it waits for is there when it asks again.
pub(crate) fn feed(way: &Way, root: Rule, pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Done {
    Feeding::begin(way, root).feed(pieces)
}

/// The same while somebody looks, for whom nothing is done by a short cut.
fn feed_slowly(way: &Way, root: Rule, pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Done {
    Feeding::watched(way, root, Still).feed(pieces)
}

/// Looks, and does nothing about it.
struct Still;

impl Watch for Still {
    fn value(&mut self, _: Seen<'_>) {}
    fn enter(&mut self, _: Option<&str>, _: Entered) {}
    fn leave(&mut self) {}
}

/// A rewriter that nothing has been fed to, and what it asks.
pub(crate) struct Feeding<W = Unwatched> {
    reading: Arc<Reading>,
    rewriter: Rewriter<W>,
}

impl Feeding {
    pub(crate) fn begin(way: &Way, root: Rule) -> Self {
        Self::watched(way, root, Unwatched)
    }
}

impl<W: Watch> Feeding<W> {
    fn watched(way: &Way, root: Rule, watch: W) -> Self {
        let reading = Arc::new(Reading::of(&way.book));
        let register: Arc<dyn Register> = Arc::<Reading>::clone(&reading);
        let register = way.is_home().then_some(register);
        let crossing = Crossing::towards(way.to, Arc::clone(&way.law), register).in_flow(0);
        let crossing = crossing.with_objections(records::objections(&way.law));
        let crossing = match way.pages {
            Pages::One => crossing,
            Pages::Perhaps => crossing.among_pages(),
        };
        let rewriter = Rewriter::watched(crossing, root, watch);
        Self { reading, rewriter }
    }

    pub(crate) fn feed(mut self, pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Done {
        let (reading, rewriter, mut out) = (self.reading, &mut self.rewriter, Cleared::default());
        let catch_up = |rewriter: &mut Rewriter<W>, out: &mut _| match rewriter.waits_for_register()
        {
            true => {
                reading.catch_up();
                rewriter.resume(out)
            }
            false => Ok(()),
        };
        let written = pieces.into_iter().try_for_each(|piece| {
            rewriter.write(piece.as_ref(), &mut out)?;
            catch_up(rewriter, &mut out)
        });
        let ended = written.and_then(|()| rewriter.end(&mut out));
        let result = ended.and_then(|()| catch_up(rewriter, &mut out));
        Done {
            result,
            left: out.release(),
            counts: *rewriter.counts(),
        }
    }
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// As `documents` made it: marks stand in all that must not leave. It may have several faults
    /// (a key twice, nested too deep, …), and which is found first is nobody's promise.
    AsMade,
    /// Bytes from anywhere.
    Spoilt,
    /// As made, without a fault, and then one was planted: its kind and place must be found.
    WithOneFault,
}

/// Fails unless the rewriter does what the oracle does, whole and in pieces, and nothing marked or
/// unlisted leaves, also of a message that is refused. Gives what the rewriter did.
pub(crate) fn agree(way: &Way, root: Rule, message: &[u8], seed: u64, known: Message) -> Done {
    let done = feed(way, root, [message]);
    let shown = String::from_utf8_lossy(message);
    let seen = done.result.map(|()| text(&done.left));
    let seen = seen.map_err(without_cause);
    let oracle = rewrite::rewrite(way, root, message);
    let expected = oracle.as_ref().map(|left| text(&left.bytes));
    let expected = expected.map_err(|refusal| *refusal);
    let refused = seen.is_err() && expected.is_err();
    // By a fault a message may get too long for its switch: that makes two of them.
    let late = [&seen, &expected]
        .into_iter()
        .any(|result| is_too_late(result.as_ref().err()));
    // Of a faulty text within the message either may be met first: the fault, for which it is
    // dropped, or a pseudonym of nobody's, for which the message is refused.
    let nobodys = matches!(seen, Err(Refusal::PseudonymUnknown { .. }));
    // Where the text is dropped, a fault behind it may be met then: refused it is either way.
    let either = nobodys && oracle.as_ref().map_or(true, |left| left.faulty_text);
    // A record that is not sent is passed over, and a fault deep within it may go unseen.
    let records = &way.law.policy.records;
    let withholds = !records.only.is_empty() || !records.excepted.is_empty();
    let malformed = matches!(expected, Err(Refusal::BodyMalformed { .. }));
    let unseen = withholds && seen.is_ok() && malformed;
    if !either && !unseen && (!refused || known == Message::WithOneFault && !late) {
        assert_eq!(seen, expected, "{shown}");
    }
    if let (Ok(left), false) = (&oracle, either) {
        let counted = [counts(&done), left.counts.clone()].map(withheld_as_one);
        assert_eq!(counted[0], counted[1], "{shown}");
    }
    if seen.is_ok() {
        audit::only_what_is_listed(way, root, &done.left);
    }
    let again = feed(way, root, pieces(message, seed));
    assert_same(&again, &done, &format!("in pieces, seed {seed}: {shown}"));
    let slowly = feed_slowly(way, root, [message]);
    // A dropped value is read as a whole there: of two faults the other one may be met first.
    if known == Message::WithOneFault || seen.is_ok() || slowly.result.is_ok() {
        assert_same(&slowly, &done, &format!("by no short cut: {shown}"));
    }
    if known != Message::Spoilt && !audit::stubs_keep_more(way) {
        audit::no_mark_left(&done.left);
        audit::no_mark_left(&again.left);
    }
    done
}

fn assert_same(other: &Done, done: &Done, how: &str) {
    assert_eq!(other.result, done.result, "{how}");
    assert_eq!(text(&other.left), text(&done.left), "{how}");
    // Of a value that is dropped and not whole, it is counted sooner or later.
    if done.result.is_ok() {
        assert_eq!(other.counts, done.counts, "{how}");
    }
}

/// What was done, without what was never done.
pub(crate) fn counts(done: &Done) -> BTreeMap<Action, u64> {
    let counts = Action::ALL.map(|action| (action, done.counts.of(action)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Of a record that no filter lets through and that names who objected, either may be seen first.
fn withheld_as_one(mut counts: BTreeMap<Action, u64>) -> BTreeMap<Action, u64> {
    let objected = counts.remove(&Action::RecordObjected).unwrap_or(0);
    let filtered = counts.remove(&Action::RecordFiltered).unwrap_or(0);
    counts.insert(Action::RecordFiltered, objected + filtered);
    counts
}

/// Why a link is lost is shown link by link in `tests/it/places.rs`.
fn without_cause(refusal: Refusal) -> Refusal {
    match matches!(refusal, Refusal::NextPageLost { .. }) {
        true => rewrite::NEXT_LOST,
        false => refusal,
    }
}

fn text(left: &[u8]) -> String {
    String::from_utf8_lossy(left).into_owned()
}

fn is_too_late(refusal: Option<&Refusal>) -> bool {
    let late = JsonFault::SwitchTooLate;
    matches!(refusal, Some(Refusal::BodyMalformed { fault, .. }) if *fault == late)
}
