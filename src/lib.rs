//! Sluis: the lock between schools and the vendors of learning materials. Every message is
//! rewritten on the way: a pupil becomes a pseudonym that one vendor knows, what the school did not
//! allow is dropped, and what is not understood is refused.
//!
//! # The house
//! A room is a file or a folder of `src`. Rooms import downwards only, through the doors that
//! `tests/tidy.rs` lists.
//!
//! | floor | does | rooms |
//! |---|---|---|
//! | roof | starts, stops, prints | [`cli`] [`demo`] [`app`] |
//! | wire | sockets | [`listen`] [`admin`] [`proxy`] [`upstream`] |
//! | | what these share | [`body`] [`gate`] [`tls`] [`alarm`] |
//! | memory | files and state | [`config`] [`store`] [`events`] |
//! | law | pure: no clock, file, socket or log | [`minimise`] [`policy`] [`pseudonym`] [`guard`] |
//! | words | types for everyone | [`names`] [`limits`] [`secret`] [`clock`] [`cores`] [`refusal`] |
//!
//! # Four walls
//! 1. Only one room lets data out: what goes to a vendor is a [`minimise::Cleared`], and only
//!    [`minimise`] can make one.
//! 2. Only one room speaks: [`events`] takes typed events that have no field for what was sent.
//! 3. Only one room knows keys: [`pseudonym`], with their bytes in [`secret`].
//! 4. What is not decided is dropped, and what fails is refused: a [`refusal::Refusal`] has no room
//!    for a pupil's name.
//!
//! # The way of a request
//! [`listen`] takes a connection in, [`guard`] lets the HTTP library see what is well-formed of it,
//! [`proxy`] finds out who asks for what, [`minimise`] rewrites the head and then the body chunk by
//! chunk, [`upstream`] sends it on, and the answer comes back the same way. To read the house,
//! begin with [`proxy`], then [`minimise`].

pub mod admin;
pub mod alarm;
pub mod app;
pub mod body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cores;
pub mod demo;
#[cfg(test)]
mod dice;
pub mod events;
pub mod gate;
pub mod guard;
pub mod limits;
pub mod listen;
pub mod minimise;
pub mod names;
pub mod policy;
pub mod proxy;
pub mod pseudonym;
pub mod refusal;
pub mod secret;
pub mod store;
pub mod tls;
pub mod upstream;
