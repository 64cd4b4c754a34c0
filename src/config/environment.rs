//! What whoever started the process says in its environment: read here, and nowhere else.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use listenfd::ListenFd;

/// Where systemd puts credentials (systemd.exec(5)).
pub(super) fn credentials_folder() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Where whoever started the process wants to be told how far it is (sd_notify(3)).
#[must_use]
pub fn notify_socket() -> Option<PathBuf> {
    variable("NOTIFY_SOCKET").map(PathBuf::from)
}

/// How long whoever started the process waits to hear that it still works, before it ends it
/// (sd_watchdog_enabled(3)); `None` if nobody does.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let ours = u64::from(std::process::id());
    let whose = number("WATCHDOG_PID").unwrap_or(ours);
    let most_us = number("WATCHDOG_USEC").filter(|most_us| *most_us > 0 && whose == ours);
    most_us.map(Duration::from_micros)
}

/// The sockets that the process was started with: systemd listened on them first
/// (sd_listen_fds(3)). To be asked once, before there is a second thread: what the environment says
/// of them is taken out of it.
///
/// # Errors
/// If one of them is no TCP socket.
pub fn handed_over() -> io::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let all = 0..handed.len();
    { all }
        .filter_map(|place| handed.take_tcp_listener(place).transpose())
        .collect()
}

fn number(name: &str) -> Option<u64> {
    variable(name)?.to_str()?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "settings enter here, and nowhere else"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
