//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us until we accept them.
const BACKLOG: i32 = 4_096;

/// Listens on one address with as many sockets as there are threads, at least one. With port 0
/// they all get the same free port.
///
/// # Errors
/// If the address cannot be listened on: also if another process does already. Sockets that share
/// a port (`SO_REUSEPORT`) would otherwise share it with a second gateway that was started by
/// mistake, and each would get half of the requests.
pub fn bind(address: SocketAddr, threads: usize) -> io::Result<Vec<TcpListener>> {
    let alone = listen(address, Share::Nothing)?;
    if threads <= 1 {
        return Ok(vec![alone]);
    }
    let address = alone.local_addr()?;
    drop(alone);
    (0..threads).map(|_| listen(address, Share::Port)).collect()
}

/// One socket that listens already, for as many threads; at least one.
///
/// # Errors
/// If the operating system does not have it shared.
pub fn share(listener: TcpListener, threads: usize) -> io::Result<Vec<TcpListener>> {
    let others: io::Result<Vec<TcpListener>> = (1..threads).map(|_| listener.try_clone()).collect();
    let mut all = others?;
    all.push(listener);
    Ok(all)
}

/// Whether other sockets may listen on the same port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Nothing,
    Port,
}

fn listen(address: SocketAddr, share: Share) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share == Share::Port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_port_and_nobody_else_gets_it() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ours = bind(any, 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|one| one.local_addr().unwrap() == address));
        assert_eq!(
            bind(address, 1).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        assert_eq!(
            bind(address, 3).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(ours);
        bind(address, 1).unwrap();
    }
}
