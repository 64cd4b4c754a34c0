//! How many connections there may be: in all, and of one address.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::events::{ConnectionDelayed, ConnectionRefused, Crowd, Events, OpenConnection};
use crate::limits::{Bound, Limits};
use crate::tls::Acceptor;

/// What the listeners of all threads share.
pub struct Doorkeeper {
    limits: Limits,
    tls: Option<Acceptor>,
    events: Events,
    places: Arc<Semaphore>,
    clients: Mutex<BTreeMap<IpAddr, usize>>,
}

impl Doorkeeper {
    /// A doorkeeper for one address that is listened on, with TLS or without.
    #[must_use]
    pub fn new(limits: Limits, tls: Option<Acceptor>, events: Events) -> Arc<Self> {
        let places = limits.size(Bound::Connections).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            limits,
            tls,
            events,
            places: Arc::new(Semaphore::new(places)),
            clients: Mutex::default(),
        })
    }

    /// TLS of this listener; its certificate can be replaced while it is in use.
    #[must_use]
    pub const fn tls(&self) -> Option<&Acceptor> {
        self.tls.as_ref()
    }

    /// The bounds that hold for connections, and for the end.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn events(&self) -> &Events {
        &self.events
    }

    /// Waits for a place; `None` if the address has its share already.
    pub(super) async fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let Some(client) = self.count_in(address.to_canonical()) else {
            self.events.emit(ConnectionRefused {
                crowd: Crowd::OneClient,
            });
            return None;
        };
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_none_is_free) => {
                self.events.emit(ConnectionDelayed);
                // The semaphore is never closed.
                Arc::clone(&self.places).acquire_owned().await.ok()?
            }
        };
        let open = self.events.connection_opened();
        Some(Guest {
            _place: place,
            _client: client,
            _open: open,
        })
    }

    /// A place if there is one now, and the address does not have its share already.
    pub(super) fn admit_at_once(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let client = self.count_in(address.to_canonical())?;
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Guest {
            _place: place,
            _client: client,
            _open: self.events.connection_opened(),
        })
    }

    fn count_in(self: &Arc<Self>, address: IpAddr) -> Option<Client> {
        let most = self.limits.size(Bound::ConnectionsPerClient);
        let mut clients = self.clients();
        let count = clients.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Client {
            doorkeeper: Arc::clone(self),
            address,
        })
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Doorkeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorkeeper")
    }
}

/// One open connection: counted until this is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    _place: OwnedSemaphorePermit,
    _client: Client,
    _open: OpenConnection,
}

#[derive(Debug)]
struct Client {
    doorkeeper: Arc<Doorkeeper>,
    address: IpAddr,
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.doorkeeper.clients();
        if let Some(count) = clients.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                clients.remove(&self.address);
            }
        }
    }
}
