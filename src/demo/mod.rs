//! `sluis demo`: a made-up school and two made-up vendors, with the real gateway between them.
//!
//! Everything is real but the people: the gateway of [`crate::app`] with the example configuration,
//! and HTTP over loopback. In the end everything that the vendors received, and everything that the
//! gateway logged and counted, is searched for everything that must not be there.

mod leaks;
mod people;
mod picture;
mod setup;
mod story;
mod wire;

use std::fmt;
use std::io;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::app::{Failure, House};
use crate::clock::Clock;
use crate::config::{Log, LogFormat, LogLevel, Problems};
use crate::events::{Events, Sink};
use setup::{Parties, Scratch};
use story::{Story, Vendors};

/// A demo that has been played, with all its parties still there.
#[derive(Debug)]
pub struct Demo {
    runtime: Runtime,
    house: House,
    story: Story,
    /// Its place in this list is after the gateway's, which has a file open there.
    _scratch: Scratch,
}

impl Demo {
    /// Starts every party, lets them talk, and searches what the vendors received.
    ///
    /// The text is as wide as a terminal of `columns`.
    ///
    /// # Errors
    /// [`Fault`], if a party cannot be started or does not answer.
    pub fn play(columns: usize) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (school, vendor) = runtime.block_on(async {
            let any = || TcpListener::bind(("127.0.0.1", 0));
            Ok::<_, io::Error>((any().await?, any().await?))
        })?;
        let parties = Parties {
            school: school.local_addr()?,
            vendor: vendor.local_addr()?,
        };
        let log = Log {
            format: LogFormat::Json,
            level: LogLevel::Debug,
        };
        let (sink, clock) = (Sink::memory(), Clock::system());
        let events = Events::new(log, sink.clone(), clock.clone()).map_err(Failure::from)?;
        let scratch = Scratch::new()?;
        let house = House::open(setup::config(parties, &scratch)?, 1, events, clock)?;
        let vendors = Vendors::new(&house, parties, sink);
        runtime.spawn(wire::serve(school, vendors.school_api()));
        runtime.spawn(wire::serve(vendor, vendors.toetsbron_api()));
        let story = runtime.block_on(vendors.play(columns))?;
        Ok(Self {
            runtime,
            house,
            story,
            _scratch: scratch,
        })
    }

    /// What was seen, for a terminal; colours as ANSI sequences.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.story.text
    }

    /// What to try while the parties are there.
    #[must_use]
    pub fn invitation(&self) -> &str {
        &self.story.invitation
    }

    /// Whether something reached a vendor that must not.
    #[must_use]
    pub const fn leaked(&self) -> bool {
        self.story.leaks > 0
    }

    /// Keeps every party there until the terminal interrupts.
    pub fn stay(&self) {
        // Without signals there is nothing to wait for.
        self.runtime
            .block_on(tokio::signal::ctrl_c())
            .unwrap_or_default();
    }

    /// Lets everyone go.
    pub fn end(mut self) {
        self.house.drain();
        self.runtime.block_on(self.house.drained());
        self.house.close();
    }
}

/// Why there is no demo.
#[derive(Debug)]
pub enum Fault {
    /// The example configuration is broken: a defect.
    Config(Problems),
    /// The gateway does not start.
    Gateway(Failure),
    /// A made-up party cannot listen, or gets no answer.
    Party(io::Error),
    /// An answer is not what it should be.
    Unexpected(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(_) => f.write_str("the example configuration is broken"),
            Self::Gateway(failure) => write!(f, "{failure}"),
            Self::Party(error) => write!(f, "a party of the demo gets no answer: {error}"),
            Self::Unexpected(what) => write!(f, "not as it should be: {what}"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gateway(failure) => Some(failure),
            Self::Party(error) => Some(error),
            Self::Config(_) | Self::Unexpected(_) => None,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Gateway(failure)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Party(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_says_whether_something_leaked() {
        let mut demo = Demo::play(100).unwrap();
        assert!(!demo.leaked(), "{}", demo.text());
        demo.story.leaks = 1;
        assert!(demo.leaked());
        assert!(demo.invitation().contains("curl -i"));
        demo.end();
    }
}
