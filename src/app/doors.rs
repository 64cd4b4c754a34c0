//! The sockets that the house is reached by: those that systemd hands over, and else our own.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::failure::Failure;
use crate::config::Config;
use crate::listen;

/// Sockets that are listened on.
#[derive(Debug)]
pub(super) struct Doors {
    /// For callers: one for each thread of the data plane.
    pub(super) public: Vec<TcpListener>,
    pub(super) operators: TcpListener,
    pub(super) places: Places,
}

/// Where the gateway answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Doors {
    /// Listens where the configuration says. A socket that was handed over is known by its address,
    /// so that the configuration stays what says who is answered where.
    pub(super) fn open(
        config: &Config,
        threads: usize,
        mut handed: Vec<TcpListener>,
    ) -> Result<Self, Failure> {
        let (callers, admin) = (config.listen.address, config.admin);
        let public = match take(&mut handed, callers) {
            Some(one) => listen::share(one, threads),
            None => listen::bind(callers, threads),
        };
        let operators = match take(&mut handed, admin) {
            Some(one) => Ok(one),
            None => TcpListener::bind(admin),
        };
        let public = public.map_err(failed("callers", callers))?;
        let operators = operators.map_err(failed("operators", admin))?;
        let places = Places {
            public: local_address(public.first())?,
            admin: local_address(Some(&operators))?,
        };
        match handed.first() {
            Some(stray) => Err(Failure::Stray(local_address(Some(stray))?)),
            None => Ok(Self {
                public,
                operators,
                places,
            }),
        }
    }
}

/// The socket that listens on that address, if there is one.
fn take(handed: &mut Vec<TcpListener>, address: SocketAddr) -> Option<TcpListener> {
    let is_there = |one: &TcpListener| one.local_addr().is_ok_and(|local| local == address);
    let place = handed.iter().position(is_there)?;
    Some(handed.swap_remove(place))
}

fn failed(whom: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::Listen {
        whom,
        address,
        error,
    }
}

fn local_address(listener: Option<&TcpListener>) -> Result<SocketAddr, Failure> {
    let none = || io::Error::other("no listener was made");
    let address = listener.ok_or_else(none).and_then(TcpListener::local_addr);
    address.map_err(Failure::Process)
}
