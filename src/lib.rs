//! Sluis
pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod events;
pub mod limits;
pub mod minimise;
pub mod names;
pub mod policy;
pub mod pseudonym;
pub mod refusal;
pub mod secret;
