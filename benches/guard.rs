//! The cost of looking at one head before the HTTP library does, beside the library's own parser.
//!
//! Read the ratios of one run; absolute figures drift with the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark stops where it fails")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sluis::guard::{Answers, Expected, Reader as _, Requests};
use sluis::limits::Limits;

/// As a vendor's server asks: 500 bytes.
const REQUEST: &str = "GET /oneroster/users?limit=100&offset=200&filter=role%3D%27student%27 HTTP/1.1\r\n\
    host: school.example\r\n\
    user-agent: Vendor-Integration/4.2 (https://vendor.example/contact; ops@vendor.example)\r\n\
    accept: application/json\r\n\
    accept-encoding: gzip, deflate, br\r\n\
    accept-language: nl-NL,nl;q=0.9,en;q=0.8\r\n\
    authorization: Bearer fake-token-of-a-vendor-not-for-use-fake-token-of-a-vendor-not-for-use\r\n\
    x-request-id: 7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44\r\n\
    cache-control: no-cache, private\r\n\
    connection: keep-alive\r\n\r\n";

const ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    content-type: application/json; charset=utf-8\r\n\
    content-length: 5\r\n\
    date: Wed, 21 Oct 2026 07:28:00 GMT\r\n\
    etag: W/\"5f2c-7d1f8a523f0c4a5e9b7e0c9b3f1e2d44\"\r\n\
    strict-transport-security: max-age=31536000; includeSubDomains\r\n\
    x-request-id: 7d1f8a52-3f0c-4a5e-9b7e-0c9b3f1e2d44\r\n\
    vary: accept-encoding, authorization\r\n\r\n{...}";

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
