//! The cost of one pseudonym, beside the HMAC it is made of.
//!
//! Read the ratios of one run; absolute figures drift with the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark stops where it fails")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sluis::pseudonym::{Back, Unknown};
use sluis::pseudonym::{Canonical, Identifier, Kind, KindSpec, Notation, VendorKey};

const ID: &str = "7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44";

fn kind(notation: Notation) -> Kind {
    let spec = KindSpec {
        name: "pupil".to_owned(),
        canonical: Canonical::new(Vec::new()),
        notation,
        back: Back::Never,
        unknown: Unknown::Reject,
        accept_keys: 1,
    };
    Kind::new(&VendorKey::from([7; 32]), spec)
}

fn pseudonym(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one pseudonym");
    let keyed: Hmac<Sha256> = Hmac::new_from_slice(&[7; 32]).unwrap();
    group.bench_function("reference: HMAC, keyed state cloned", |b| {
        b.iter(|| {
            let mut mac = keyed.clone();
            mac.update(black_box(ID.as_bytes()));
            mac.finalize().into_bytes()
        });
    });
    group.bench_function("reference: HMAC, keyed anew", |b| {
        b.iter(|| {
            let mut mac: Hmac<Sha256> = Hmac::new_from_slice(black_box(&[7; 32])).unwrap();
            mac.update(black_box(ID.as_bytes()));
            mac.finalize().into_bytes()
        });
    });
    let mut out = Vec::with_capacity(256);
    for notation in [
        Notation::Uuid,
        Notation::Hex,
        Notation::Text(26),
        Notation::Digits(9),
    ] {
        let kind = kind(notation);
        group.bench_function(kind.spec().notation.to_string(), |b| {
            b.iter(|| {
                out.clear();
                kind.write(Identifier::new(black_box(ID)), &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pseudonym);
criterion_main!(benches);
