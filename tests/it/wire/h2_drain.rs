//! How callers over HTTP/2 are sent away: by the frames of the farewell (RFC 9113 section 6.8).

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::h2::{
    ACK, Connection, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, SETTINGS,
    block, foreign, frame, open, open_with, pulling, pushing, status_of,
};
use super::vendor::{Seen, Vendor};
use super::{FIRST, PATIENCE, markers, right_answer};
use crate::harness::House;
use crate::wire::grammar::{BODY, numbered};

/// The farewell is no fault of anybody's.
const NO_ERROR: u32 = 0;
/// The last of all streams: none is refused yet.
const ANY: u32 = (1 << 31) - 1;

fn pull(stream: u32, number: u32) -> Vec<u8> {
    let head = numbered(&block(&pulling()), number);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
}

/// A gateway and a vendor that answers each request once it may.
fn held() -> (House, Vendor, std::sync::mpsc::Sender<()>) {
    let (go_on, told): (_, Receiver<()>) = channel();
    let told = Mutex::new(told);
    let (house, vendor) = open_with("", move |seen: &Seen| {
        told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        right_answer(seen)
    });
    (house, vendor, go_on)
}

/// Reads on to the next frame of that kind; its flags and payload.
fn await_frame(connection: &mut Connection, wanted: u8) -> (u8, Vec<u8>) {
    loop {
        let (kind, flags, _, payload) = connection.next().unwrap();
        if kind == wanted {
            return (flags, payload);
        }
    }
}

/// The last stream that is served, and the code.
fn farewell(connection: &mut Connection) -> (u32, u32) {
    let (_, payload) = await_frame(connection, GOAWAY);
    let [last, code] = [0, 4].map(|at| payload[at..at + 4].try_into().unwrap());
    (u32::from_be_bytes(last), u32::from_be_bytes(code))
}

/// Reads to the end of the connection: stream, status and body of each answer, in order.
fn rest(connection: &mut Connection) -> Vec<(u32, u16, String)> {
    let mut all = Vec::new();
    while let Some((kind, flags, stream, payload)) = connection.next() {
        match kind {
            HEADERS => all.push((stream, status_of(&payload), String::new())),
            DATA => {
                let of = all.iter_mut().find(|it| it.0 == stream).unwrap();
                of.2 += std::str::from_utf8(&payload).unwrap();
                if flags & END_STREAM != 0 {
                    of.2 += " whole";
                }
            }
            _ => assert!(kind != GOAWAY && stream == 0, "{kind} on {stream}"),
        }
    }
    all.sort();
    all
}

fn right(stream: u32, number: u32) -> (u32, u16, String) {
    let text = format!(r#"{{"users":[{{"grade":{number}}}]}} whole"#);
    (stream, 200, text)
}

#[test]
fn a_drain_says_farewell_and_which_streams_it_still_answers() {
    let (mut house, vendor, go_on) = held();
    let mut connection = Connection::new(&house);
    connection.send(&pull(1, FIRST));
    vendor.await_seen(1);
    house.drain();
    assert_eq!(farewell(&mut connection), (ANY, NO_ERROR));
    let (flags, ping) = await_frame(&mut connection, PING);
    assert_eq!(flags & ACK, 0);
    // The caller has not heard of it yet: what it sends meanwhile is served.
    connection.send(&pull(3, FIRST + 1));
    vendor.await_seen(2);
    connection.send(&frame(PING, ACK, 0, &ping));
    assert_eq!(farewell(&mut connection), (3, NO_ERROR));
    // Beyond the last one: whoever sends that knows that it has to send it elsewhere.
    connection.send(&pull(5, FIRST + 2));
    for _ in 0..3 {
        go_on.send(()).unwrap();
    }
    let right = [right(1, FIRST), right(3, FIRST + 1)];
    assert_eq!(rest(&mut connection), right);
    assert!(house.closed_within(PATIENCE));
    assert!(vendor.seen_of(FIRST + 2).is_empty(), "it was served unsaid");
    let all = vendor.seen();
    assert_eq!(all.iter().find_map(|seen| foreign(&house, seen)), None);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_body_that_is_half_here_at_a_drain_is_taken_once() {
    let (mut house, vendor) = open();
    let mut connection = Connection::new(&house);
    let body = numbered(BODY.as_bytes(), FIRST);
    let (half, rest_of_it) = body.split_at(10);
    connection.send(&frame(HEADERS, END_HEADERS, 1, &block(&pushing())));
    connection.send(&frame(DATA, 0, 1, half));
    house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 1\n");
    house.drain();
    assert_eq!(farewell(&mut connection), (ANY, NO_ERROR));
    let (_, ping) = await_frame(&mut connection, PING);
    connection.send(&frame(PING, ACK, 0, &ping));
    assert_eq!(farewell(&mut connection), (1, NO_ERROR));
    connection.send(&frame(DATA, END_STREAM, 1, rest_of_it));
    let answers = rest(&mut connection);
    assert_eq!((answers.len(), answers[0].1), (1, 200), "{answers:?}");
    assert!(answers[0].2.ends_with(" whole"), "{answers:?}");
    assert!(house.closed_within(PATIENCE));
    assert_eq!(vendor.seen_of(FIRST).len(), 1);
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_connection_with_nothing_on_it_is_told_too() {
    let (mut house, vendor) = open();
    let mut silent = Connection::new(&house);
    let mut asked = Connection::new(&house);
    asked.send(&pull(1, FIRST));
    await_frame(&mut asked, DATA);
    // What it has set is taken: it is there.
    await_frame(&mut silent, SETTINGS);
    house.drain();
    for (connection, last) in [(&mut silent, 0), (&mut asked, 1)] {
        assert_eq!(farewell(connection), (ANY, NO_ERROR));
        let (_, ping) = await_frame(connection, PING);
        connection.send(&frame(PING, ACK, 0, &ping));
        assert_eq!(farewell(connection), (last, NO_ERROR));
        assert_eq!(connection.next(), None);
    }
    assert!(house.closed_within(PATIENCE));
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn who_does_not_say_that_it_heard_the_farewell_holds_no_drain_up() {
    let (mut house, vendor) = open();
    let mut asked = Connection::new(&house);
    asked.send(&pull(1, FIRST));
    await_frame(&mut asked, DATA);
    house.drain();
    assert_eq!(farewell(&mut asked), (ANY, NO_ERROR));
    await_frame(&mut asked, PING);
    // It is told which request is the last, and that is served.
    asked.send(&pull(3, FIRST + 1));
    await_frame(&mut asked, DATA);
    assert_eq!(farewell(&mut asked), (3, NO_ERROR));
    assert_eq!(asked.next(), None);
    assert!(house.closed_within(PATIENCE));
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn who_has_not_begun_at_a_drain_is_told_that_nothing_was_carried_out() {
    let whole = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &pull(1, FIRST)].concat();
    for part in [0, 1, PREFACE.len() - 1] {
        let (mut house, vendor) = open();
        let mut begun = Connection::bare(&house);
        let (now, later) = whole.split_at(part);
        begun.send(now);
        house.await_metric("sluis_connections_open 1\n");
        house.drain();
        let settings = begun.next().unwrap();
        assert_eq!((settings.0, settings.1), (SETTINGS, 0));
        // It was on its way.
        begun.send(later);
        assert_eq!(farewell(&mut begun), (0, NO_ERROR));
        assert_eq!(begun.next(), None);
        drop(begun);
        assert!(house.closed_within(PATIENCE), "{part}");
        assert!(vendor.seen_of(FIRST).is_empty(), "it was served unsaid");
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    }
}

#[test]
fn a_connection_on_which_nothing_was_ever_sent_holds_no_drain_up() {
    let (mut house, vendor) = open();
    let mut bare = Connection::bare(&house);
    house.await_metric("sluis_connections_open 1\n");
    house.drain();
    assert!(house.closed_within(Duration::from_secs(5)));
    while bare.next().is_some() {}
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_connection_on_which_a_part_of_the_preface_was_sent_holds_no_drain_up() {
    for part in [1, PREFACE.len() - 1] {
        let (mut house, vendor) = open();
        let mut begun = Connection::bare(&house);
        begun.send(&PREFACE[..part]);
        house.await_metric("sluis_connections_open 1\n");
        house.drain();
        assert!(house.closed_within(Duration::from_secs(5)), "{part}");
        while begun.next().is_some() {}
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    }
}
