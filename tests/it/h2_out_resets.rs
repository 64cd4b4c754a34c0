//! A caller over HTTP/2 that resets a stream whose upstream speaks HTTP/2 too: there that stream
//! alone is reset, and the connection is kept.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::h2_out::{BOTH, CANCEL, USER, data, end, head, next, planned, shaken, whole};
use crate::harness::{HOST, House, Peer, Plans, Upstream};
use crate::tls::server;
use crate::wire::h2::{
    ACK, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, field,
    frame,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A frame that an upstream got: kind, flags and stream, and the code of a reset.
pub(crate) type Got = (u8, u8, u32, Option<u32>);

/// What is done with an upstream's end: what it got is told, and what it says is said.
pub(crate) struct Hand {
    pub(crate) got: Receiver<Got>,
    pub(crate) say: Sender<Vec<u8>>,
}

impl Hand {
    /// Waits for a frame of that kind with that flag.
    pub(crate) fn await_frame(&self, wanted: u8, flag: u8) -> Got {
        loop {
            let got = self.got.recv_timeout(PATIENCE).unwrap();
            if got.0 == wanted && got.1 & flag == flag {
                return got;
            }
        }
    }
}

/// An upstream over HTTP/2 with these settings whose frames are written by hand, on its one
/// connection. What it is to say is said behind the next frame that it gets, or at once if it waits
/// for none.
pub(crate) fn by_hand(settings: &'static [u8]) -> (Upstream, String, Hand) {
    let (config, pem) = server(BOTH);
    let ((tell, got), (say, said)) = (channel(), channel());
    let ends = Arc::new(Mutex::new((tell, said)));
    let upstream = Upstream::on_sockets(move |socket| {
        let Some((_, mut peer)) = shaken(&config, socket) else {
            return;
        };
        let ends = ends.lock().unwrap();
        serve(&mut peer, settings, &ends.0, &ends.1);
    });
    (upstream, pem, Hand { got, say })
}

fn serve(peer: &mut Peer, settings: &[u8], tell: &Sender<Got>, said: &Receiver<Vec<u8>>) {
    if peer.exactly(24).is_none() {
        return;
    }
    peer.send(frame(SETTINGS, 0, 0, settings));
    while let Some((kind, flags, stream, payload)) = next(peer) {
        let code =
            (kind == RST_STREAM).then(|| u32::from_be_bytes(payload[..4].try_into().unwrap()));
        let waits = match kind {
            SETTINGS | PING if flags & ACK == 0 => {
                peer.send(frame(
                    kind,
                    ACK,
                    0,
                    if kind == PING { &payload } else { &[] },
                ));
                false
            }
            HEADERS | DATA | RST_STREAM => true,
            _ => false,
        };
        if waits {
            tell.send((kind, flags, stream, code)).unwrap_or_default();
            let Ok(bytes) = said.recv() else { return };
            if peer.try_send(bytes).is_err() {
                return;
            }
        }
    }
}

/// How far an exchange has come when its caller resets it: what is sent of the request, and what
/// is answered.
type Stage = (&'static str, fn(u32) -> Vec<u8>, fn(u32) -> Vec<u8>);

pub(crate) fn request(method: &str, flags: u8, stream: u32) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", method),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/secure/users"),
        ("content-type", "application/json"),
    ] {
        block.extend(field(name, value));
    }
    frame(HEADERS, END_HEADERS | flags, stream, &block)
}

fn get(stream: u32) -> Vec<u8> {
    request("GET", END_STREAM, stream)
}

fn most_of_a_post(stream: u32) -> Vec<u8> {
    let body = data(stream, 0, r#"{"grade":8,"name":"Noor-zzq""#);
    [request("POST", 0, stream), body].concat()
}

const STAGES: [Stage; 5] = [
    ("nothing is answered", get, |_| Vec::new()),
    ("a head is answered", get, |at| head(at, 0, &[])),
    ("half a body is answered", get, |at| {
        [head(at, 0, &[]), data(at, 0, &USER[..40])].concat()
    }),
    ("its own body is being sent", most_of_a_post, |_| Vec::new()),
    ("both are", most_of_a_post, |at| {
        [head(at, 0, &[]), data(at, 0, r#"{"id":"r-1","#)].concat()
    }),
];

/// Reads on to the first frame of that stream.
fn await_begin(connection: &mut Connection, stream: u32) {
    while connection.next().unwrap().2 != stream {}
}

/// Goes through a stage, with an exchange beside it and one behind it.
fn reset_at(stage: &Stage, house: &House, hand: &Hand) {
    let (name, sent, answered) = stage;
    let mut connection = Connection::new(house);
    // Beside it; answered at the very end.
    connection.send(&get(1));
    let beside = hand.await_frame(HEADERS, END_STREAM).2;
    hand.say.send(Vec::new()).unwrap();
    connection.send(&sent(3));
    let at = hand.await_frame(HEADERS, 0).2;
    let answer = answered(at);
    // A head alone waits for what comes after it.
    let streams = answer.len() > head(at, 0, &[]).len();
    hand.say.send(answer).unwrap();
    if streams {
        await_begin(&mut connection, 3);
    }
    connection.send(&frame(RST_STREAM, 0, 3, &CANCEL.to_be_bytes()));
    // Of its own body there may be some first.
    let given_up = loop {
        let got = hand.got.recv_timeout(PATIENCE);
        hand.say.send(Vec::new()).unwrap();
        match got.unwrap() {
            (DATA, flags, ..) => assert_eq!(flags & END_STREAM, 0, "{name}: it looks whole"),
            got => break got,
        }
    };
    let got = (given_up.0, given_up.2, given_up.3);
    assert_eq!(got, (RST_STREAM, at, Some(CANCEL)), "{name}");
    house.await_metric("sluis_cancellations_total{vendor=\"bron\"} 1\n");
    house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 1\n");
    connection.send(&get(5));
    let behind = hand.await_frame(HEADERS, END_STREAM).2;
    // Backwards.
    let both = [whole(behind, USER), whole(beside, USER)].concat();
    hand.say.send(both).unwrap();
    let got = connection.answers(&[1, 5]);
    for stream in [1, 5] {
        let (status, body) = &got[&stream];
        assert!(
            *status == 200 && body.ends_with("\"grade\":7}"),
            "{name}: {body}"
        );
    }
    house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 0\n");
    house.await_metric("sluis_body_bytes_in_flight 0\n");
    assert_eq!(house.upstream.connections(), 1, "{name}: it was not kept");
}

#[test]
fn a_stream_that_its_caller_resets_is_reset_at_its_upstream_and_no_other_is() {
    for stage in &STAGES {
        let (upstream, pem, hand) = by_hand(&[]);
        let (plans, folder) = planned(&upstream, &pem, "hold-back = 0", "");
        let plans = Plans { tls: true, ..plans };
        let house = plans.open_in(folder, upstream);
        reset_at(stage, &house, &hand);
        house.await_metric("sluis_connections_open 0\n");
        end(&house);
    }
}
