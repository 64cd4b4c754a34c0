//! Tells systemd how far the process is: `Type=notify`, sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use crate::config;

/// Says `state` to whoever started the process, if it asked to be told.
///
/// What goes wrong here is left alone: without an answer, systemd's own timeout acts.
pub(super) fn tell(state: &str) {
    if let Some(path) = config::notify_socket() {
        send(&path, state).unwrap_or_default();
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
