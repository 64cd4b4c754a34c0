//! Heads over HTTP/2 that do not end: in silence, and bit by bit.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::h2::{
    CONTINUATION, Connection, END_HEADERS, END_STREAM, End, HEADERS, block, frame, open_with,
    pulling,
};
use super::vendor::Seen;
use super::{FIRST, PATIENCE, markers, right_answer};
use crate::wire::grammar::numbered;

/// What bounds them, as `docs/limits.md` says; and room for more frames than come.
const IDLE: &str = "keep-alive-idle = \"400ms\"\nh2-header-list = \"1 MiB\"";
/// A pause between two bits: shorter than that by far.
const PAUSE: Duration = Duration::from_millis(60);

/// What comes at once, and what comes bit by bit after it.
type Endless = (&'static str, Vec<u8>, Vec<Vec<u8>>);

fn heads() -> Vec<Endless> {
    let head = numbered(&block(&pulling()), FIRST);
    let (begin, rest) = head.split_at(20);
    let begun = frame(HEADERS, END_STREAM, 1, begin);
    let more = |bytes: &[u8]| frame(CONTINUATION, 0, 1, bytes);
    let whole = frame(HEADERS, END_STREAM | END_HEADERS, 1, &head);
    let bits = |bytes: &[u8]| bytes.iter().map(|byte| vec![*byte]).collect();
    vec![
        ("a head and silence", begun.clone(), vec![]),
        ("half a frame and silence", whole[..30].to_vec(), vec![]),
        (
            "a frame byte by byte",
            whole[..9].to_vec(),
            bits(&whole[9..]),
        ),
        (
            "CONTINUATION byte by byte",
            begun.clone(),
            bits(&more(rest)),
        ),
        (
            "frames of CONTINUATION",
            begun,
            rest[..40].chunks(1).map(more).collect(),
        ),
    ]
}

#[test]
fn a_head_that_does_not_end_is_cut_in_time_and_counted() {
    let (house, vendor) = open_with(IDLE, right_answer);
    for (count, (name, first, bits)) in (1..).zip(heads()) {
        let begun = Instant::now();
        let mut connection = Connection::new(&house);
        connection.send(&first);
        let mut bits = bits.into_iter();
        let counted = format!("sluis_connections_closed_total{{reason=\"idle\"}} {count}\n");
        while !house.metrics().contains(&counted) {
            assert!(begun.elapsed() < PATIENCE, "{name} goes on");
            std::thread::sleep(PAUSE);
            if let Some(bit) = bits.next() {
                connection.send(&bit);
            }
        }
        while connection.next().is_some() {}
        // None of them is done with what it has to say.
        assert_eq!(name.ends_with("silence"), bits.next().is_none(), "{name}");
    }
    assert!(vendor.seen().is_empty());
    let metrics = house.metrics();
    assert!(
        !metrics.contains("sluis_connections_failed_total{"),
        "{metrics}"
    );
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_head_that_does_not_end_beside_a_request_is_cut_once_that_is_answered() {
    let (go_on, told) = channel();
    let told = Mutex::new(told);
    let (house, vendor) = open_with(IDLE, move |seen: &Seen| {
        told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        right_answer(seen)
    });
    let mut connection = Connection::new(&house);
    let head = numbered(&block(&pulling()), FIRST);
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head));
    vendor.await_seen(1);
    connection.send(&frame(HEADERS, END_STREAM, 3, &head[..20]));
    go_on.send(()).unwrap();
    assert_eq!(connection.end_of(1), End::Answered(200));
    while connection.next().is_some() {}
    house.await_metric("sluis_connections_closed_total{reason=\"idle\"} 1\n");
    assert_eq!(vendor.seen().len(), 1);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}
