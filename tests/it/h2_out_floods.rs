//! Upstreams that flood us over HTTP/2 with what carries nothing of an answer, and honest ones that
//! send much.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::h2_out::{BOTH, USER, data, end, frames, get, head, house, next, reset, shaken, whole};
use crate::harness::{House, Upstream, request};
use crate::tls::server;
use crate::wire::floods::{TOO_MANY, endless};
use crate::wire::h2::{
    ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, WINDOW_UPDATE, frame,
};

/// One connection was ended for its frames, and nothing that was asked on it was sent once more.
fn assert_flooded(house: &House) {
    house.await_metric("sluis_upstream_connections_total{outcome=\"flooded\",vendor=\"bron\"} 1\n");
    let metrics = house.metrics();
    for other in [
        "outcome=\"closed\"",
        "outcome=\"stale\"",
        "upstream_retries_total{",
    ] {
        assert!(!metrics.contains(other), "{other} in {metrics}");
    }
}

#[test]
fn frames_that_nobody_needs_end_their_connection_and_nothing_else() {
    let of_a_stream = ("RST_STREAM", reset(1, 8));
    // Of the second stream and the third.
    let early = |at| frame(HEADERS, END_HEADERS, at, &[0x08, 3, b'1', b'0', b'3']);
    let informational = ("HEADERS of 103", early(3));
    for (name, again) in endless().into_iter().chain([of_a_stream, informational]) {
        let (upstream, pem, count) = frames(move |at, number| match number {
            // What a busy upstream may send in a moment.
            1 => [again.repeat(500), whole(at, USER)].concat(),
            2 if again[3] == HEADERS => early(at).repeat(TOO_MANY),
            2 => again.repeat(TOO_MANY),
            _ => whole(at, USER),
        });
        let house = house(upstream, &pem, "", "");
        for status in [200, 200, 502, 200] {
            let got = house.ask(get());
            assert_eq!(got.status(), status, "{name}: {}", got.text());
            if status == 502 {
                assert_eq!(got.code(), "upstream_broken", "{name}");
                assert_eq!(count.load(Ordering::SeqCst), 3, "{name}: sent once more");
            }
        }
        assert_eq!(house.upstream.connections(), 2, "{name}");
        assert_flooded(&house);
        end(&house);
    }
}

#[test]
fn a_flood_within_an_answer_breaks_it_off_and_one_behind_it_does_not() {
    let ping = || frame(PING, ACK, 0, &[7; 8]).repeat(TOO_MANY);
    let (upstream, pem, count) = frames(move |at, number| match number {
        0 => [head(at, 0, &[]), data(at, 0, USER), ping()].concat(),
        _ => whole(at, USER),
    });
    let within = house(upstream, &pem, "", "");
    let got = within.ask(get());
    assert_eq!((got.status(), &*got.code()), (502, "upstream_broken"));
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_flooded(&within);
    end(&within);

    let (upstream, pem, _) = frames(move |at, number| match number {
        0 => [whole(at, USER), ping()].concat(),
        _ => whole(at, USER),
    });
    let behind = house(upstream, &pem, "", "");
    assert_eq!(behind.ask(get()).status(), 200);
    // Nobody asks for anything on it then.
    behind.await_metric("outcome=\"flooded\",vendor=\"bron\"} 1\n");
    assert_eq!(behind.ask(get()).status(), 200);
    assert_eq!(behind.upstream.connections(), 2);
    assert_flooded(&behind);
    end(&behind);
}

#[test]
fn a_budget_of_frames_is_an_upstreams_too() {
    let ping = frame(PING, ACK, 0, &[7; 8]);
    for (limits, frames_sent, status) in [
        ("h2-control-frames = 100", 90, 200),
        ("h2-control-frames = 100", 120, 502),
        ("h2-control-frames = 3000", 2_900, 200),
    ] {
        let ping = ping.clone();
        let (upstream, pem, _) =
            frames(move |at, _| [ping.repeat(frames_sent), whole(at, USER)].concat());
        let house = house(upstream, &pem, limits, "");
        assert_eq!(house.ask(get()).status(), status, "{limits}, {frames_sent}");
        end(&house);
    }
}

#[test]
fn a_budget_of_an_upstream_is_whole_again_after_its_window() {
    let ping = frame(PING, ACK, 0, &[7; 8]).repeat(90);
    let (upstream, pem, _) = frames(move |at, _| [ping.clone(), whole(at, USER)].concat());
    let limits = "h2-control-frames = 100\nh2-control-window = \"200ms\"";
    let house = house(upstream, &pem, limits, "");
    for _ in 0..4 {
        assert_eq!(house.ask(get()).status(), 200);
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(house.upstream.connections(), 1);
    end(&house);
}

#[test]
fn answers_of_many_frames_are_no_flood() {
    let (upstream, pem, _) = frames(|at, _| {
        // Less than the window, and no frame so small that the library minds.
        let blanks = data(at, 0, &" ".repeat(1_000)).repeat(200);
        [head(at, 0, &[]), blanks, data(at, END_STREAM, USER)].concat()
    });
    let house = house(upstream, &pem, "", "");
    for _ in 0..12 {
        assert_eq!(house.ask(get()).json()["grade"], 7);
    }
    assert_eq!(house.upstream.connections(), 1);
    end(&house);
}

/// A server that takes requests in pieces of 200 bytes, and opens both windows for each.
fn acknowledging() -> (Upstream, String) {
    let (config, pem) = server(BOTH);
    let upstream = Upstream::on_sockets(move |socket| {
        let Some((_, mut peer)) = shaken(&config, socket) else {
            return;
        };
        if peer.exactly(24).is_none() {
            return;
        }
        peer.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 200]));
        while let Some((kind, flags, stream, payload)) = next(&mut peer) {
            let more = u32::try_from(payload.len()).unwrap().to_be_bytes();
            let answer = match kind {
                SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
                DATA if flags & END_STREAM != 0 => whole(stream, r#"{"id":"r-1"}"#),
                DATA => [0, stream]
                    .map(|it| frame(WINDOW_UPDATE, 0, it, &more))
                    .concat(),
                _ => Vec::new(),
            };
            if peer.try_send(answer).is_err() {
                return;
            }
        }
    });
    (upstream, pem)
}

#[test]
fn an_upstream_may_acknowledge_every_piece_of_every_request() {
    let (upstream, pem) = acknowledging();
    let house = house(upstream, &pem, "", "");
    let notes = vec![r#"{"grade":8,"name":"Noor-zzq"}"#; 40_000].join(",");
    let body = format!(r#"{{"notes":[{notes}]}}"#);
    for _ in 0..2 {
        let got = house.ask(request("POST", "/secure/notes", &body));
        assert_eq!((got.status(), got.text()), (200, r#"{"id":"r-1"}"#));
    }
    assert_eq!(house.upstream.connections(), 1);
    end(&house);
}
