//! The engine on the 176 KB page: whole, in chunks, and beside what most people would write.
//!
//! Read the ratios of one run; absolute figures drift with the machine.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a benchmark stops where it fails"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sluis::minimise::{Cleared, Crossing, Law, Rewriter};
use sluis::policy::Rule;

mod roster;

fn rewrite(law: &Arc<Law>, rule: Rule, page: &[u8], chunk: usize) -> usize {
    let mut rewriter = Rewriter::new(Crossing::one_way(Arc::clone(law)), rule);
    let mut out = Cleared::default();
    let mut length = 0;
    for piece in page.chunks(chunk) {
        rewriter.write(piece, &mut out).unwrap();
        length += out.take().release().len();
    }
    rewriter.end(&mut out).unwrap();
    length + out.release().len()
}

/// What most people would write: parse all, remove, write all; without the pseudonyms.
fn filtered(page: &[u8]) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(page).unwrap();
    let kept = [
        "sourcedId",
        "status",
        "dateLastModified",
        "username",
        "enabledUser",
        "roles",
        "primaryOrg",
        "identifier",
        "agents",
        "grades",
    ];
    for user in value["users"].as_array_mut().unwrap() {
        user.as_object_mut()
            .unwrap()
            .retain(|key, _| kept.contains(&key.as_str()));
    }
    serde_json::to_vec(&value).unwrap()
}

fn minimise(criterion: &mut Criterion) {
    let (law, rule) = roster::law();
    for users in [1, 100] {
        let page = roster::page(users);
        let mut group = criterion.benchmark_group(format!("{users} users"));
        group.throughput(Throughput::Bytes(u64::try_from(page.len()).unwrap()));
        group.bench_function("whole", |b| {
            b.iter(|| rewrite(&law, rule, black_box(&page), usize::MAX));
        });
        group.bench_function("chunks of 64 KiB", |b| {
            b.iter(|| rewrite(&law, rule, black_box(&page), 65_536));
        });
        group.bench_function("chunks of 16 KiB", |b| {
            b.iter(|| rewrite(&law, rule, black_box(&page), 16_384));
        });
        group.bench_function("serde_json::Value, filtered", |b| {
            b.iter(|| filtered(black_box(&page)));
        });
        group.finish();
    }
}

criterion_group!(benches, minimise);
criterion_main!(benches);
