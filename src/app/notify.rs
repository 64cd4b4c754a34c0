//! Tells systemd how far the process is: `Type=notify`, sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::pulse::Pulse;
use crate::clock::Clock;
use crate::config;

/// What systemd can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Callers are answered.
    Ready,
    /// The configuration is read again; [`Ready`](Self::Ready) follows, whatever came of it.
    Reloading,
    /// Requests under way are finished.
    Stopping,
    /// It works.
    Working,
}

/// Says it to whoever started the process, if it asked to be told.
///
/// What goes wrong here is left alone: without an answer, systemd's own timeout acts.
pub(super) fn tell(news: News, clock: &Clock) {
    let state = match news {
        News::Ready => "READY=1".to_owned(),
        // The time lets systemd tell this reload from an earlier one (`Type=notify-reload`).
        News::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", clock.monotonic_us()),
        News::Stopping => "STOPPING=1".to_owned(),
        News::Working => "WATCHDOG=1".to_owned(),
    };
    if let Some(path) = config::notify_socket() {
        send(&path, &state).unwrap_or_default();
    }
}

fn send(path: &Path, state: &str) -> io::Result<()> {
    let abstract_name = path.to_str().and_then(|path| path.strip_prefix('@'));
    let address = match abstract_name {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    // It waits for nothing: a full queue is as good as nobody there.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

/// Tells a watchdog that the process works, if there is one: from the loop that waits for signals,
/// and only while every thread of the data plane gets to its tasks.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Option<Interval>,
    pulse: Arc<Pulse>,
    clock: Clock,
}

impl Watchdog {
    /// Tells it twice in the time it waits, as sd_watchdog_enabled(3) has it; needs a runtime.
    pub(super) fn new(most: Option<Duration>, pulse: Arc<Pulse>, clock: Clock) -> Self {
        let every = most.and_then(|most| most.checked_div(2)).map(|every| {
            let mut every = interval(every);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            every
        });
        Self {
            every,
            pulse,
            clock,
        }
    }

    /// Tells it when it is time to, if it is so; never ends if nobody waits for it.
    pub(super) async fn feed(&mut self) {
        match &mut self.every {
            Some(every) => drop(every.tick().await),
            None => std::future::pending().await,
        }
        if self.pulse.is_felt() {
            tell(News::Working, &self.clock);
        }
    }
}
