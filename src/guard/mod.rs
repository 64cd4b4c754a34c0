//! The framing guard: what comes, as it is before hyper sees it.
//!
//! Two strict readers of HTTP/1.1, one for what callers send ([`Requests`]) and one for what
//! upstreams answer ([`Answers`]). Each is fed all bytes that came and have not been shown yet, in
//! any split, and says how many of them the HTTP library may see: a head, the line of a chunk and
//! the trailers only as a whole, the data of a body as it comes. What is not written exactly as
//! RFC 9112 has it is a [`Fault`], and nothing behind it is ever shown. So two readers that nobody
//! wrote together have to agree on where every message ends.
//!
//! There is one way to write a message here: lines end in CRLF, names touch their colon, a length
//! is said once and in digits, the only transfer coding is `chunked`, and chunks have no
//! extensions. RFC 9112 lets a receiver be lenient in each of these, and where two are lenient in
//! different ways, one message becomes two.
//!
//! HTTP/2 has frames, which leave no doubt where they end. A third reader ([`Frames`]) counts those
//! that carry nothing of a message, and lets through as many as an honest peer can need.
//!
//! A reader holds no byte and makes no allocation; it remembers how far it has come, so that bytes
//! that trickle in are looked at once.

mod answers;
mod body;
mod class;
mod frames;
mod framing;
mod host;
mod lines;
mod requests;

pub use answers::{Answers, Expected};
pub use frames::{FrameHead, Frames, PREFACE};
pub use host::Host;
pub use requests::Requests;

use crate::refusal::Refusal;

/// Reads what comes on one connection, in one direction.
pub trait Reader {
    /// Looks at all the bytes that came and have not been shown.
    fn look(&mut self, bytes: &[u8]) -> Look;
}

/// What came of looking at bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// So many of them may be seen, from the first one on.
    pub shown: usize,
    /// What is wrong with those that follow. Nothing will be shown any more then.
    pub fault: Option<Fault>,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The framing of a body whose head has been shown.
    Body,
    /// More frames that carry nothing of a message than `h2-control-frames` allows. Whole frames
    /// have been shown before it.
    Flood,
    /// A head: nothing of its message has been shown.
    Head(Refusal),
}

/// Shows of `bytes` what each `step` allows: so many bytes more, nothing before more have come, or
/// nothing ever.
fn look(bytes: &[u8], mut step: impl FnMut(&[u8]) -> Result<Option<usize>, Fault>) -> Look {
    let mut shown: usize = 0;
    loop {
        match step(bytes.get(shown..).unwrap_or_default()) {
            Ok(Some(more)) => shown = shown.saturating_add(more),
            Ok(None) => return Look { shown, fault: None },
            Err(fault) => {
                let fault = Some(fault);
                return Look { shown, fault };
            }
        }
    }
}
