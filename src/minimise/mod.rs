//! The lock itself: rewrites heads and bodies under a policy. The only maker of [`Cleared`].
//!
//! This room is sans-I/O: it is fed chunks and gives chunks, and knows no socket, file, clock or
//! task. The proxy is its first adapter, `sluis try` another.

mod cleared;
mod counts;
mod crossing;
mod echo;
mod generalise;
mod head;
mod json;
mod law;
mod objections;
mod own;
mod value;
mod watch;

pub(crate) use head::{is_parameter_name, parameter_name};

pub use cleared::Cleared;
pub use counts::{Action, Counts, EchoAt, Fate, UnlistedIn};
pub use crossing::{Crossing, Trail};
pub use echo::Home;
pub use head::{
    AnswerHead, AnswerLines, Answered, Credentials, NextPage, NoRoute, OutboundHead, RequestHead,
    RequestLine, RouteFound, answer, answer_status, find, problem, request,
};
pub use json::Rewriter;
pub use law::Law;
pub use objections::Objections;
pub use watch::{Entered, Seen, Unwatched, Watch, Withheld};

#[cfg(test)]
mod tests;
