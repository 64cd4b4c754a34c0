//! Bounds of the wire, as the configuration sets them: what they let through, and what becomes of
//! the next byte, line or frame.

use super::grammar::{next, numbered};
use super::h2::{
    Connection, DATA, END_HEADERS, END_STREAM, End, Fields, HEADERS, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, field, frame, in_frames, open_with, pulling, pushing, with, with_field,
};
use super::vendor::{Seen, Step, Vendor};
use super::{Bed, DEADLINES, FIRST, exchange, markers, right_answer};
use crate::harness::House;
use crate::harness::upstream::ok;

/// What is refused on that bed, if anything is.
fn refused(bed: &Bed, request: &str) -> Option<String> {
    let outcome = exchange(bed.house.address, &numbered(request.as_bytes(), FIRST));
    outcome.answers[0].code()
}

#[test]
fn bounds_of_a_head_hold_as_they_are_set() {
    let pull = next().replace("MMMMM", "NNNNN");
    let pull = pull.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let more = |lines: &str| pull.replace("\r\n\r\n", &format!("\r\n{lines}\r\n"));
    let line = |length: usize| format!("x: {}\r\n", "y".repeat(length - 5));
    let lines = pull.matches("\r\n").count() - 2;
    let bytes = pull.len() - pull.find("\r\n").unwrap() - 4;
    let target = pull.split(' ').nth(1).unwrap();
    let long = |length: usize| {
        let (zeros, path) = ("0".repeat(length - target.len()), "NNNNN");
        pull.replacen(path, &(zeros + path), 1)
    };
    for (limits, good, beyond, code) in [
        (
            "header = 256",
            more(&line(256)),
            more(&line(257)),
            "head_too_large",
        ),
        (
            "headers = 20",
            more(&"x: y\r\n".repeat(20 - lines)),
            more(&"x: y\r\n".repeat(21 - lines)),
            "head_too_large",
        ),
        (
            "head = 1024",
            more(&line(1_024 - bytes)),
            more(&line(1_025 - bytes)),
            "head_too_large",
        ),
        ("target = 64", long(64), long(65), "target_too_long"),
    ] {
        let bed = Bed::with(
            &format!("{DEADLINES}{limits}\n"),
            Vendor::answering(right_answer),
        );
        // A number with zeros before it is no number that the policy takes: another refusal.
        let refused_good = refused(&bed, &good);
        assert_ne!(refused_good.as_deref(), Some(code), "{limits}");
        assert_eq!(refused(&bed, &beyond).as_deref(), Some(code), "{limits}");
        bed.search();
    }
}

#[test]
fn the_bound_of_an_answers_head_holds_as_it_is_set() {
    let body = format!(r#"{{"users":[{{"grade":{FIRST},"name":"Vendor-zzq"}}]}}"#);
    let answer = move |length: usize| {
        let answer = ok(&body);
        let head = answer.find("\r\n\r\n").unwrap() + 4;
        // The empty line is not counted.
        let line = format!("\r\nx: {}\r\n\r\n", "y".repeat(length + 2 - head - 5));
        answer.replacen("\r\n\r\n", &line, 1)
    };
    let bed = Bed::with(
        &format!("{DEADLINES}upstream-head = \"8 KiB\"\n"),
        Vendor::answering(move |seen: &Seen| {
            let more = usize::from(seen.number() != Some(FIRST));
            vec![Step::Send(answer((8 << 10) + more).into_bytes())]
        }),
    );
    let pull = next().replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    for (number, status) in [(FIRST, 200), (FIRST + 1, 502)] {
        let pull = pull.replace("MMMMM", &number.to_string());
        let outcome = exchange(bed.house.address, pull.as_bytes());
        assert_eq!(outcome.answers[0].status, status);
    }
    bed.search();
}

#[test]
fn as_many_informational_answers_are_passed_over_as_is_set() {
    let bed = Bed::with(
        &format!("{DEADLINES}upstream-informational = 2\n"),
        Vendor::answering(move |seen: &Seen| {
            let more = usize::from(seen.number() != Some(FIRST));
            let hints = "HTTP/1.1 103 x\r\n\r\n".repeat(2 + more);
            let body = format!(r#"{{"users":[{{"grade":{FIRST}}}]}}"#);
            vec![Step::Send((hints + &ok(&body)).into_bytes())]
        }),
    );
    let pull = next().replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    for (number, status) in [(FIRST, 200), (FIRST + 1, 502)] {
        let pull = pull.replace("MMMMM", &number.to_string());
        let outcome = exchange(bed.house.address, pull.as_bytes());
        assert_eq!(outcome.answers[0].status, status);
        bed.search();
    }
}

/// The value of one setting (RFC 9113 section 6.5.1).
fn setting(payload: &[u8], id: u8) -> Option<u32> {
    let mut all = payload.chunks(6);
    let one = all.find(|it| it[..2] == [0, id])?;
    Some(u32::from_be_bytes(one[2..].try_into().unwrap()))
}

#[test]
fn what_is_set_for_http2_is_announced_and_held_to() {
    let (house, vendor) = open_with(
        "h2-streams = 2\nh2-stream-window = 70000\nh2-connection-window = 200000\n\
         h2-frame = 20000\nh2-header-list = 2000",
        |_: &Seen| vec![Step::Hold],
    );
    let mut connection = Connection::new(&house);
    let (kind, _, _, settings) = connection.next().unwrap();
    let of = |id| setting(&settings, id);
    assert_eq!((kind, of(3), of(4)), (SETTINGS, Some(2), Some(70_000)));
    assert_eq!((of(5), of(6)), (Some(20_000), Some(2_000)));
    // The table of HPACK has 4 KiB unless something else is said (RFC 9113 section 6.5.2).
    assert_eq!(of(1), None);
    let mut window = 65_535;
    while window < 200_000 {
        let (kind, _, stream, more) = connection.next().unwrap();
        if (kind, stream) == (WINDOW_UPDATE, 0) {
            window += u32::from_be_bytes(more.try_into().unwrap());
        }
    }
    assert_eq!(window, 200_000);

    // One stream more than may be open at once.
    let head = numbered(&block(&pulling()), FIRST);
    let requests = [1, 3, 5].map(|it| frame(HEADERS, END_HEADERS | END_STREAM, it, &head));
    connection.send(&requests.concat());
    assert_eq!(connection.end_of(5), End::Reset);
    vendor.await_seen(2);

    let ends = |frames: &[u8]| {
        let mut connection = Connection::new(&house);
        connection.send(frames);
        connection.end_of(1)
    };
    let data = |length| {
        let head = frame(HEADERS, END_HEADERS, 1, &block(&pushing()));
        [head, frame(DATA, 0, 1, &vec![b' '; length])].concat()
    };
    const FRAME_SIZE_ERROR: u32 = 6;
    // It comes, and its rest does not.
    assert_eq!(ends(&data(20_000)), End::Answered(408));
    assert_eq!(ends(&data(20_001)), End::Over(Some(FRAME_SIZE_ERROR)));

    // A head that is larger than may be once it is unpacked.
    let large = with_field("x", &"y".repeat(2_000));
    assert_eq!(ends(&in_frames(&block(&large))), End::Answered(431));
    assert_eq!(vendor.seen().len(), 2);
    for reason in ["too_many", "head_too_large"] {
        house.await_metric(&format!(
            "sluis_streams_refused_total{{reason=\"{reason}\"}} 1\n"
        ));
    }
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

#[test]
fn a_connection_with_nothing_on_it_is_closed_and_counted() {
    let (house, vendor) = open_with("keep-alive-idle = \"200ms\"", right_answer);
    let mut silent = Connection::new(&house);
    let mut asked = Connection::new(&house);
    asked.send(&numbered(&in_frames(&block(&pulling())), FIRST));
    assert_eq!(asked.end_of(1), End::Answered(200));
    for connection in [&mut silent, &mut asked] {
        while connection.next().is_some() {}
    }
    house.await_metric("sluis_connections_closed_total{reason=\"idle\"} 2\n");
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    let metrics = house.metrics();
    assert!(
        !metrics.contains("sluis_connections_failed_total{"),
        "{metrics}"
    );
}

/// The requests that these heads make, one on each stream.
fn requests(heads: &[Fields]) -> Vec<u8> {
    let streams = (1..).step_by(2).zip(heads);
    let frames = streams.map(|(stream, head)| {
        let head = numbered(&block(head), FIRST);
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
    });
    frames.collect::<Vec<_>>().concat()
}

/// Reads on until so many streams have ended; how many of them with a head alone.
fn heads_alone(connection: &mut Connection, streams: usize) -> usize {
    let mut alone = 0;
    for _ in 0..streams {
        let kind = loop {
            let (kind, flags, stream, _) = connection.next().unwrap();
            if stream > 0 && [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0 {
                break kind;
            }
        };
        alone += usize::from(kind == HEADERS);
    }
    alone
}

#[test]
fn every_head_that_is_too_large_is_counted_and_no_other_answer_is() {
    let (house, vendor) = open_with("h2-header-list = 2000", |seen: &Seen| match seen.method() {
        b"DELETE" => vec![Step::Send(b"HTTP/1.1 204 x\r\n\r\n".to_vec())],
        _ => right_answer(seen),
    });
    let of = |method: &str, path: &str| {
        let mut head = with(":path", &[path]);
        head[0].1 = method.to_owned();
        head
    };
    let large = with_field("x", &"y".repeat(2_000));
    let few = [
        of("DELETE", "/pull/users/one"),
        of("HEAD", "/pull/users"),
        of("HEAD", "/nowhere"),
        pulling(),
    ];
    let heads = [&[large.clone()][..], &few, &few, &[large.clone(), large]].concat();
    // What is said again is a byte, or all of it where the caller wants no table.
    for table in [4_096_u32, 0] {
        let mut connection = Connection::new(&house);
        let setting = [&[0, 1][..], &table.to_be_bytes()].concat();
        connection.send(&[frame(SETTINGS, 0, 0, &setting), requests(&heads)].concat());
        let alone = heads_alone(&mut connection, heads.len());
        assert!(alone >= 3 + 2, "{alone} with a table of {table}");
    }
    house.await_metric("sluis_streams_refused_total{reason=\"head_too_large\"} 6\n");
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}

/// Frames on a stream.
type Frames<'a> = dyn Fn(u32) -> Vec<u8> + 'a;

#[test]
fn so_many_streams_may_be_reset_as_is_set() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let request = numbered(&block(&pulling()), FIRST);
    let bad = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &field("x", "y"));
    let reset = |stream| {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request);
        [head, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let (bad, reset): (&Frames<'_>, &Frames<'_>) = (&bad, &reset);
    let kinds = [
        ("h2-local-resets = 5", bad),
        ("h2-pending-resets = 5", reset),
    ];
    for (limits, odd) in kinds {
        let (house, vendor) = open_with(limits, right_answer);
        for (count, right) in [
            (5, End::Answered(200)),
            (6, End::Over(Some(ENHANCE_YOUR_CALM))),
        ] {
            let mut connection = Connection::new(&house);
            let odd: Vec<u8> = (0..count).flat_map(|at| odd(2 * at + 1)).collect();
            let last = frame(HEADERS, END_HEADERS | END_STREAM, 99, &request);
            connection.send(&[odd, last].concat());
            assert_eq!(connection.end_of(99), right, "{limits}, {count}");
        }
        house.await_metric("sluis_connections_failed_total{fault=\"http2\"} 1\n");
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    }
}

/// A connection of which the other end has announced all that it takes.
fn announced(house: &House) -> Connection {
    let mut connection = Connection::new(house);
    while connection.next().unwrap().0 != WINDOW_UPDATE {}
    connection
}

#[test]
fn whoever_goes_beyond_what_was_announced_for_http2_is_ended_and_counted() {
    let head = frame(HEADERS, END_HEADERS, 1, &block(&pushing()));
    let data = |length| frame(DATA, 0, 1, &vec![b' '; length]);
    // One frame, so that nothing of it is read before the rest comes.
    let kinds = [
        (
            "h2-frame = 200000\nh2-stream-window = 200000\nh2-connection-window = 100000",
            data(110_000),
        ),
        ("h2-frame = 20000", data(20_001)),
    ];
    for (limits, sent) in kinds {
        let (house, vendor) = open_with(limits, right_answer);
        let mut connection = announced(&house);
        connection.send(&[&head[..], &sent].concat());
        let end = connection.end_of(99);
        assert!(matches!(end, End::Over(Some(1..))), "{limits}: {end:?}");
        house.await_metric("sluis_connections_failed_total{fault=\"http2\"} 1\n");
        assert!(vendor.seen().is_empty());
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    }
    // Beyond the window of a stream, that stream alone is.
    let (house, vendor) = open_with("h2-frame = 200000", right_answer);
    let mut connection = announced(&house);
    connection.send(&[&head[..], &data(70_000)].concat());
    assert_eq!(connection.end_of(1), End::Reset);
    house.await_metric("sluis_cancellations_total{vendor=\"bron\"} 1\n");
    assert!(vendor.seen().is_empty());
    house.search(&markers(), &[("the vendor", &vendor.bytes())]);
}
