//! The cost of looking at one head before the HTTP library does, beside the library's own parser.
//!
//! Read the ratios of one run; absolute figures drift with the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark stops where it fails")]

mod heads;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sluis::guard::{Answers, Expected, Reader as _, Requests};
use sluis::limits::Limits;

use heads::{ANSWER, REQUEST};

fn guard(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one head");
    let limits = Limits::default();
    assert_eq!(REQUEST.len(), 500);
    group.bench_function("reference: httparse, a request", |b| {
        b.iter(|| {
            let mut lines = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut lines);
            request
                .parse(black_box(REQUEST.as_bytes()))
                .unwrap()
                .unwrap()
        });
    });
    let mut requests = Requests::new(&limits);
    group.bench_function("a request", |b| {
        b.iter(|| {
            let look = requests.look(black_box(REQUEST.as_bytes()));
            assert_eq!(look.shown, REQUEST.len());
        });
    });
    group.bench_function("reference: httparse, an answer", |b| {
        b.iter(|| {
            let mut lines = [httparse::EMPTY_HEADER; 64];
            let mut answer = httparse::Response::new(&mut lines);
            answer.parse(black_box(ANSWER.as_bytes())).unwrap().unwrap()
        });
    });
    group.bench_function("an answer", |b| {
        b.iter_batched_ref(
            || {
                let mut answers = Answers::new(&limits);
                answers.expect(Expected::Body);
                answers
            },
            |answers| {
                let look = answers.look(black_box(ANSWER.as_bytes()));
                assert_eq!(look.shown, ANSWER.len());
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, guard);
criterion_main!(benches);
