//! Bad days: the real binary, and beside it other people's proxies, while callers, vendors and the
//! machine itself do what they should not.
//!
//! What holds on every machine is tested in every run, with few of each; `long_` has as many as
//! `docs/reliability.md` tells of, and prints the figures.

pub(crate) mod callers;
mod clock;
mod full;
mod idle;
mod memory;
mod others;
mod peers;
mod restarts;
mod slow;
mod soak;
mod spec;
mod vendors;

use std::io::Write as _;
use std::time::Duration;

/// Prints a row of a table.
fn row(cells: &[&str]) {
    let row = format!("| {} |\n", cells.join(" | "));
    std::io::stdout().write_all(row.as_bytes()).unwrap();
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
