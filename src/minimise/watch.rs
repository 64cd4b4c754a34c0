//! For `sluis try`: someone who looks over the rewriter's shoulder.

use super::Action;
use crate::policy::{Index, Rule, Shape};

/// What became of one value.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its key, unescaped; `None` for an item of a list and for the whole message.
    pub key: Option<&'a str>,
    /// What came: the JSON text of a scalar, the opening bracket of a list or object, nothing for
    /// a constant that had no place.
    pub before: &'a [u8],
    /// The rule that decided; `None` if the policy lists nothing for it.
    pub rule: Option<Rule>,
    /// What was done.
    pub action: Action,
    /// The JSON text that leaves; empty if nothing does.
    pub after: &'a [u8],
    /// Why, if it is a record that is not sent.
    pub withheld: Option<Withheld>,
}

/// Why a record is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Against a line of `[only.SHAPE]`, by its place in [`Records`](crate::policy::Records).
    Filtered(usize),
    /// Somebody it is about is on a list of `[except]`.
    Objected,
}

/// What is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A list: what follows are its items.
    List,
    /// An object: what follows are its fields. Its shape, unless it is kept whole.
    Object(Option<Index<Shape>>),
    /// A record that is not sent, and this stub in its place: what follows are the stub's fields.
    Stub(Index<Shape>, Withheld),
}

/// Is told what becomes of every value that the policy enters, in the order of the message.
///
/// It sees identifiers in clear: only what runs on the school's own machine, for its own people,
/// may watch. The proxy's rewriters are [`Unwatched`].
pub trait Watch {
    /// Whether it looks at all: without, no call is made.
    const LOOKS: bool = true;

    /// A value was kept, changed or dropped.
    fn value(&mut self, seen: Seen<'_>);
    /// A list or object is entered; what follows until [`leave`](Self::leave) lies within it.
    fn enter(&mut self, key: Option<&str>, entered: Entered);
    /// The innermost list or object ends.
    fn leave(&mut self);
}

/// Nobody looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    const LOOKS: bool = false;

    fn value(&mut self, _: Seen<'_>) {}
    fn enter(&mut self, _: Option<&str>, _: Entered) {}
    fn leave(&mut self) {}
}
