//! The raw-socket bed: callers and vendors that send any bytes at any pace, and notice everything.
//!
//! Every case has a number, which stands in its request and in the answer to it, so that a vendor
//! knows which case it serves and nothing depends on when it is looked at. Three things hold for
//! every case: a vendor saw nothing, or one well-formed request of our own making; the caller got a
//! refusal of the catalogue, or the whole right answer; and where one cannot be sure where a
//! request ends, nothing after it is looked at.

mod answers;
mod caller;
pub(crate) mod figures;
pub(crate) mod floods;
mod framing;
mod grammar;
pub(crate) mod h2;
mod h2_answers;
mod h2_drain;
mod h2_heads;
mod h2_resets;
mod limits;
mod pace;
mod refused;
mod silent;
mod targets;
mod vendor;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::harness::upstream::ok;
use crate::harness::{House, Markers, Plans, UPSTREAM_TOKEN};
use caller::{Answer, Caller, Got};
use grammar::{Case, Follow, Right};
use vendor::{Seen, Step, Vendor};

/// No end of a connection waits longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The number of the first case.
const FIRST: u32 = 10_000;
/// How many cases are under way at once: some wait for a deadline.
const AT_ONCE: usize = 16;

/// What is planted in requests and answers and may go nowhere.
fn markers() -> Markers {
    Markers::of(&["pupil-zzq-901", "Fenna-zzq", "Fenna-zzq-line", "Vendor-zzq"])
}

/// What a good vendor answers: the number of the request, and more than the policy lets through.
fn right_answer(seen: &Seen) -> Vec<Step> {
    let number = seen.number().unwrap_or_default();
    let body = match seen.method() {
        b"GET" => format!(r#"{{"users":[{{"grade":{number},"name":"Vendor-zzq"}}]}}"#),
        _ => format!(r#"{{"id":"r-{number}","name":"Vendor-zzq"}}"#),
    };
    vec![Step::Send(ok(&body).into_bytes())]
}

/// A gateway with short deadlines between us and a vendor.
struct Bed {
    house: House,
    vendor: Vendor,
}

impl Bed {
    fn new(answer: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::with(DEADLINES, Vendor::answering(answer))
    }

    fn with(limits: &str, (vendor, upstream): (Vendor, crate::harness::Upstream)) -> Self {
        let house = Plans::limits(limits).open(upstream);
        Self { house, vendor }
    }

    /// What a vendor got that we would not write.
    fn foreign(&self, seen: &Seen) -> Option<String> {
        if let Some(odd) = seen.oddities.first() {
            return Some(odd.clone());
        }
        seen.foreign(self.house.upstream.address, UPSTREAM_TOKEN)
    }

    /// The leak search, in what the vendor got and in what callers got.
    fn search(&self) {
        let (vendor, callers) = (self.vendor.bytes(), self.house.told());
        let places = [
            ("what the vendor got", &*vendor),
            ("what callers got", &*callers),
        ];
        self.house.search(&markers(), &places);
    }
}

/// Long enough for two busy cores, short enough to be waited for often.
const DEADLINES: &str =
    "head-time = \"500ms\"\nbody-idle = \"500ms\"\nrequests-per-vendor = 1000\n";

/// What is not CRLF where a line ends.
const ODD_ENDS: [&str; 9] = [
    "\n",
    "\r",
    "\r\r\n",
    "\n\r",
    "\0\r\n",
    "\r\0\n",
    "\u{b}\r\n",
    "\n\n",
    "\r \n",
];

/// For a vendor that is to be asked on and on, however it fails.
const NO_REST: &str = "upstream-circuit-failures = 1000\nupstream-circuit-window = \"100ms\"\n";

/// What came back on one connection.
#[derive(Clone, Debug, Default)]
struct Outcome {
    answers: Vec<Answer>,
    /// Whether the other end closed by itself.
    closed: bool,
}

/// Sends some bytes on a connection of their own, and reads two answers, or to the end.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Outcome {
    let mut caller = Caller::new(address);
    let mut outcome = Outcome::default();
    // It may be cut short: a refusal does not wait for all of it.
    caller.send(bytes);
    loop {
        if outcome.answers.len() == 2 {
            caller.finish();
        }
        match caller.next() {
            Got::Answer(answer) => outcome.answers.push(answer),
            Got::Closed => {
                outcome.closed = outcome.answers.len() < 2;
                break;
            }
            Got::Silence => break,
        }
    }
    outcome
}

/// Sends every case, a few at once, and gives what came back for each.
fn exchange_all(address: SocketAddr, cases: &[Case]) -> Vec<Outcome> {
    let numbered: Vec<(u32, &Case)> = (FIRST..).step_by(2).zip(cases).collect();
    let next = std::sync::Mutex::new(numbered.iter());
    let outcomes = std::sync::Mutex::new(BTreeMap::new());
    let work = || {
        while let Some((number, case)) = { next.lock().unwrap().next() } {
            let outcome = exchange(address, &case.bytes(*number));
            outcomes.lock().unwrap().insert(*number, outcome);
        }
    };
    at_once(0..AT_ONCE, |_| work());
    outcomes.into_inner().unwrap().into_values().collect()
}

/// Does all of it at once.
fn at_once<T: Send>(all: impl Iterator<Item = T>, each: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let each = &each;
        for one in all {
            scope.spawn(move || each(one));
        }
    });
}

/// How a malformed request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    /// Refused, and nothing of it or after it was forwarded.
    Strictly,
    /// Made into one well-formed request.
    Normalised,
    /// Forwarded malformed, or as two, or read on after a refusal.
    Wrongly(&'static str),
}

/// Judges one case by what its vendor saw of it, `first`, and of what follows it, `second`.
fn judge(case: &Case, outcome: &Outcome, first: &[Seen], second: &[Seen]) -> Taken {
    let all = || first.iter().chain(second);
    if all().any(|seen| !seen.oddities.is_empty()) {
        return Taken::Wrongly("forwarded malformed");
    }
    if all().any(|seen| !seen.whole) {
        return Taken::Wrongly("forwarded cut");
    }
    match (first.len(), second.len(), case.follow, case.right) {
        (0, 0, _, _) if !outcome.closed && case.right == Right::Closed => {
            Taken::Wrongly("left open")
        }
        (0, 0, _, _) | (0, 1, Follow::Next, Right::Refused) => Taken::Strictly,
        (0, _, _, _) => Taken::Wrongly("read on after a refusal"),
        (1, 0, _, _) | (1, 1, Follow::Next, _) => Taken::Normalised,
        (1, _, _, _) => Taken::Wrongly("forwarded as two"),
        _ => Taken::Wrongly("forwarded twice"),
    }
}
