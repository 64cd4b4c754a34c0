//! The register as a process that is killed, and as a large one: what no test within the house can
//! see.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stderr,
    reason = "a test fails by panicking, waits by the machine's clock, and says what it measured"
)]

mod killed;
mod large;

use std::path::Path;
use std::sync::Arc;

use sluis::clock::Clock;
use sluis::names::{SchoolId, VendorId};
use sluis::pseudonym::{
    Back, Canonical, Generation, KindSpec, Notation, RegisterKey, Unknown, VendorKey,
};
use sluis::store::{Fault, Generations, Place, Store, View};

fn school() -> SchoolId {
    SchoolId::parse("regenboog").unwrap()
}

fn open(path: &Path) -> Result<Store, Fault> {
    let schools = [(school(), RegisterKey::from([1; 32]))];
    Store::open(&Place::File(path.to_owned()), schools, Clock::system())
}

fn pupil() -> KindSpec {
    KindSpec {
        name: "pupil".to_owned(),
        canonical: Canonical::default(),
        notation: Notation::Uuid,
        back: Back::SchoolOnly,
        unknown: Unknown::Reject,
        accept_keys: 2,
    }
}

fn key(byte: u8) -> VendorKey {
    VendorKey::from([byte; 32])
}

/// The view of a vendor whose only key consists of this byte.
fn view(store: &Store, byte: u8) -> Arc<View> {
    let vendor = VendorId::parse(&format!("vendor-{byte}")).unwrap();
    let generations = Generations {
        accepted: [Generation::new(1, &key(byte), [pupil()])].into(),
        retired: [].into(),
    };
    store.view(&school(), &vendor, &generations).unwrap()
}
