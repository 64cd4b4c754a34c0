//! A second, slow reading of the policy language for JSON, and what is needed to hold the rewriter
//! against it: random policies, random documents, and a search for what must not leave.
//!
//! It is written from the same pages as `minimise::json` and shares no code with it: it reads the
//! whole message at once, goes down by recursion, and builds every value as its own vector. It
//! takes from the crate only the compiled policy and the pseudonym of one identifier (how it is made,
//! and whether a text looks like one), which vectors of their own hold still. Where the two differ, one of them has misread the language.
//!
//! Used by `tests/json` and by the fuzz package.

pub(crate) mod audit;
pub(crate) mod book;
pub(crate) mod compare;
pub(crate) mod dice;
pub(crate) mod documents;
pub(crate) mod grammar;
pub(crate) mod policies;
pub(crate) mod records;
pub(crate) mod rewrite;
pub(crate) mod values;
