//! The same answers of vendors, broken and good, to callers over HTTP/2: what a caller got is read
//! from the frames themselves, since a library may make something whole of what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::h2::client::{SendRequest, handshake};
use bytes::Bytes;
use http::Response;
use tokio::task::JoinSet;

use super::answers::{all, fault, faults_at, good, in_every_way};
use super::caller::Answer;
use super::h2::{DATA, END_STREAM, GOAWAY, HEADERS, foreign, open_with};
use super::{FIRST, NO_REST, markers};
use crate::h2::{agreed, request, run};
use crate::harness::{House, PULL_TOKEN};

/// How many connections of callers there are, on each of which so many requests are under way,
/// each with a neighbour whose answer is good.
const CONNECTIONS: usize = 4;
const AT_ONCE: usize = 8;

/// What came of one request.
struct Got {
    number: u32,
    connection: usize,
    stream: u32,
    head: Option<Response<()>>,
}

/// Pulls with that number, and reads to the end, whatever that is.
async fn pull(requests: SendRequest<Bytes>, connection: usize, number: u32) -> Got {
    let path = format!("/pull/users?limit={number}");
    let asked = request("GET", &path, PULL_TOKEN).body(()).unwrap();
    let mut got = Got {
        number,
        connection,
        stream: 0,
        head: None,
    };
    let Ok(mut requests) = requests.ready().await else {
        return got;
    };
    let (answer, _) = requests.send_request(asked, true).unwrap();
    got.stream = answer.stream_id().as_u32();
    if let Ok(answer) = answer.await {
        let (head, mut body) = answer.into_parts();
        got.head = Some(Response::from_parts(head, ()));
        while let Some(Ok(piece)) = body.data().await {
            body.flow_control().release_capacity(piece.len()).unwrap();
        }
    }
    got
}

/// Asks for one kind after another, each beside a neighbour of it, as long as there is a next one.
async fn pull_on(
    requests: SendRequest<Bytes>,
    connection: usize,
    next: Arc<AtomicUsize>,
    kinds: usize,
) -> Vec<Got> {
    let mut all = Vec::new();
    while let place = next.fetch_add(1, Ordering::Relaxed)
        && place < kinds
    {
        let number = FIRST + 2 * u32::try_from(place).unwrap();
        let each = [number, number + 1];
        let [odd, good] = each.map(|it| pull(requests.clone(), connection, it));
        all.extend(<[Got; 2]>::from(tokio::join!(odd, good)));
    }
    all
}

/// Asks for every kind; gives what came of each and its neighbour, and the bytes of each connection.
async fn pull_all(house: &House, kinds: usize) -> (Vec<Got>, Vec<Vec<u8>>) {
    let (next, mut callers, mut taps) = (Arc::<AtomicUsize>::default(), JoinSet::new(), vec![]);
    for connection in 0..CONNECTIONS {
        let stream = agreed(house).await;
        taps.push(Arc::clone(&stream.came));
        let (requests, driven) = handshake(stream).await.unwrap();
        tokio::spawn(driven);
        for _ in 0..AT_ONCE {
            let next = Arc::clone(&next);
            callers.spawn(pull_on(requests.clone(), connection, next, kinds));
        }
    }
    let mut got: Vec<Got> = callers.join_all().await.into_iter().flatten().collect();
    got.sort_by_key(|it| it.number);
    let bytes = taps.iter().map(|it| it.lock().unwrap().clone()).collect();
    (got, bytes)
}

/// Kind, flags, stream and payload.
type Frame<'f> = (u8, u8, u32, &'f [u8]);

/// The frames of what came on a connection.
fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (payload, rest) = rest.split_at(usize::try_from(length).unwrap());
        all.push((head[3], head[4], stream, payload));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a frame was cut");
    all
}

/// An answer as its frames have it, with its head as a library has read it; none without one.
fn answer(got: &Got, frames: &[Frame<'_>]) -> Option<Answer> {
    let head = got.head.as_ref()?;
    let of_stream = |it: &&Frame<'_>| it.2 == got.stream && [DATA, HEADERS].contains(&it.0);
    let mut answer = Answer {
        status: head.status().as_u16(),
        head: b"HTTP/2\r\n".to_vec(),
        ..Answer::default()
    };
    let mut heads = 0;
    for (kind, flags, _, payload) in frames.iter().filter(of_stream) {
        match *kind {
            DATA => answer.body.extend_from_slice(payload),
            _ => heads += 1,
        }
        if answer.whole {
            answer.oddities.push("frames behind its end");
        }
        answer.whole |= flags & END_STREAM != 0;
    }
    if heads != 1 {
        answer.oddities.push("not one head");
    }
    let mut lines = head.headers().clone();
    if lines.remove("strict-transport-security").is_none() {
        answer.oddities.push("not for TLS alone");
    }
    for (name, value) in &lines {
        let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat();
        answer.head.extend(line);
    }
    Some(answer)
}

/// Has a vendor answer in every way, to a gateway with these limits.
fn answered_in_every_way(limits: &str) {
    let kinds = Arc::new(all());
    assert!(kinds.len() > 1_000);
    let (house, vendor) = open_with(limits, in_every_way(&kinds));
    let (got, bytes) = run(pull_all(&house, kinds.len()));
    let connections: Vec<_> = bytes.iter().map(|it| frames(it)).collect();
    let mut faults = faults_at(&vendor, &kinds, |seen| foreign(&house, seen));
    let right = &good()[0];
    let mut callers = Vec::new();
    for (of_kind, kind) in got.chunks(2).zip(&*kinds) {
        for (got, kind) in of_kind.iter().zip([kind, right]) {
            let answer = answer(got, &connections[got.connection]);
            if let Some(fault) = fault(kind, got.number, answer.as_slice()) {
                faults.push(format!("{}, {}: {fault}", kind.name, got.number));
            }
            let all = answer.map(|it| [it.head, it.body].concat());
            callers.extend(all.unwrap_or_default());
        }
    }
    assert_eq!(got.len(), 2 * kinds.len());
    let left = connections.iter().flatten().filter(|it| it.0 == GOAWAY);
    assert_eq!(left.count(), 0, "a connection did not go on");
    let count = faults.len();
    assert!(count == 0, "{count} of {}: {faults:#?}", kinds.len());
    let places = [
        ("what the vendor got", &*vendor.bytes()),
        ("what callers got", &callers),
    ];
    house.search(&markers(), &places);
}

#[test]
fn no_broken_answer_looks_whole_over_http2() {
    answered_in_every_way(&format!("{NO_REST}upstream-body-idle = \"500ms\""));
}

#[test]
fn no_broken_answer_looks_whole_over_http2_where_nothing_is_held_back() {
    answered_in_every_way(&format!(
        "{NO_REST}upstream-body-idle = \"500ms\"\nhold-back = 0"
    ));
}
