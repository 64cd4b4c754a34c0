//! Where the register of a configuration is, and opening it.

use std::sync::Arc;

use super::failure::Failure;
use crate::clock::Clock;
use crate::config::{Config, RegisterPlace};
use crate::store::{Fault, Place, Server, Store, Wanted};
use crate::tls::Connector;

/// Opens the register, if any id of the configuration has a way back.
///
/// # Errors
/// [`Failure::Register`], or [`Failure::Tls`] if the roots of its server cannot be used.
pub fn open_register(
    wanted: Wanted,
    config: &Config,
    clock: &Clock,
) -> Result<Option<Arc<Store>>, Failure> {
    if config.register.keys.is_empty() {
        return Ok(None);
    }
    let place = store_place(&config.register.place)?;
    let keys = config.register.keys.iter();
    let keys = keys.map(|(school, key)| (school.clone(), Arc::clone(key)));
    let opened = Store::open_if(wanted, &place, keys, clock.clone());
    let opened = opened.map_err(unopened(&config.register.place))?;
    Ok(Some(Arc::new(opened)))
}

/// Says of a fault of which register it is.
pub fn unopened(place: &RegisterPlace) -> impl Fn(Fault) -> Failure {
    let place = match place {
        RegisterPlace::File(path) => path.display().to_string(),
        RegisterPlace::Postgres(_) => "in PostgreSQL".to_owned(),
    };
    move |fault| Failure::Register {
        place: place.clone(),
        fault,
    }
}

/// Where a register is kept, as the store needs to know it.
///
/// # Errors
/// As [`open_register`].
pub fn store_place(place: &RegisterPlace) -> Result<Place, Failure> {
    let unopened = unopened(place);
    let server = match place {
        RegisterPlace::File(path) => return Ok(Place::File(path.clone())),
        RegisterPlace::Postgres(server) => server,
    };
    // Exposed to the store, which connects with it.
    let url = server.url.expose();
    let tls = match Server::needs_tls(url).map_err(&unopened)? {
        true => Some(Connector::without_http(&server.tls)?),
        false => None,
    };
    let server = Server::new(url, tls).map_err(unopened)?;
    Ok(Place::Postgres(Box::new(server)))
}
