//! Many exchanges at once on one connection to an upstream over HTTP/2: each caller asks for
//! something of its own, and gets that.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use tokio::sync::watch;

use crate::h2_out::{house, proper};
use crate::harness::{House, Markers, request};

/// How many exchanges are under way before the first is answered.
const TOGETHER: usize = 40;
/// More bytes than a frame of an answer has here.
const PIECE_BYTES: usize = 7;

/// When the one that came at this place is answered, among those that are there together.
type Order = fn(usize) -> usize;

const ORDERS: [(&str, Order); 3] = [
    ("as they came", |place| place),
    ("backwards", |place| TOGETHER - 1 - place),
    // 40 and 23 have no divisor together.
    ("mixed", |place| (place * 23 + 11) % TOGETHER),
];

/// What a server has to do.
#[derive(Default)]
struct Day {
    /// The numbers of the requests, in the order in which they came; pushes by their bodies.
    came: Vec<(usize, String)>,
    answered: usize,
}

/// A body that comes in pieces, between which others have their turn.
struct Pieces {
    left: VecDeque<Bytes>,
    is_ready: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop_front().map(|it| Ok(Frame::data(it))))
    }
}

/// What comes after a mark, up to what is no digit.
fn number_after(text: &str, mark: &str) -> usize {
    let (_, rest) = text.split_once(mark).unwrap();
    let end = rest.find(|it: char| !it.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().unwrap()
}

/// Answers once all are there and it is its turn; those after them at once.
async fn answer(
    request: Request<Incoming>,
    day: Arc<watch::Sender<Day>>,
    order: Order,
) -> Response<Pieces> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let number = match body.is_empty() {
        true => number_after(&head.uri.to_string(), "limit="),
        false => number_after(&body, "\"grade\":"),
    };
    let text = match body.is_empty() {
        true => format!(
            r#"{{"sourcedId":"pupil-zzq-{number}","grade":{number},"name":"Fenna-zzq-{number}"}}"#
        ),
        false => format!(r#"{{"id":"r-{number}"}}"#),
    };
    let mut place = 0;
    day.send_modify(|day| {
        place = day.came.len();
        day.came.push((number, body));
    });
    if place < TOGETHER {
        let turn = order(place);
        let is_turn = |day: &Day| day.came.len() >= TOGETHER && day.answered == turn;
        drop(day.subscribe().wait_for(is_turn).await.unwrap());
        day.send_modify(|day| day.answered += 1);
    }
    let pieces = text.as_bytes().chunks(PIECE_BYTES);
    let body = Pieces {
        left: pieces.map(Bytes::copy_from_slice).collect(),
        is_ready: false,
    };
    let answer = Response::builder().header("content-type", "application/json");
    answer.body(body).unwrap()
}

/// Every other one pulls, the others push.
fn asked(number: usize) -> String {
    match number.is_multiple_of(2) {
        true => request("GET", &format!("/secure/users?limit={number}"), ""),
        false => {
            let body = format!(r#"{{"grade":{number},"name":"Noor-zzq-{number}"}}"#);
            request("POST", "/secure/users", &body)
        }
    }
}

/// Asks for all numbers at once on one connection; what each got, by its number.
fn ask_all(house: &House) -> Vec<(usize, String)> {
    let ready = Barrier::new(TOGETHER);
    let mut opener = house.caller();
    opener.send(asked(0));
    house.await_metric("outcome=\"opened\"");
    std::thread::scope(|scope| {
        let callers = (1..TOGETHER).map(|number| {
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                let got = house.ask(asked(number));
                assert_eq!(got.status(), 200, "{number}: {}", got.text());
                (number, got.text().to_owned())
            })
        });
        let callers: Vec<_> = callers.collect();
        ready.wait();
        let others = callers.into_iter().map(|it| it.join().unwrap());
        let mut all: Vec<_> = others.collect();
        all.insert(0, (0, opener.answer().text().to_owned()));
        all
    })
}

#[test]
fn each_of_many_exchanges_on_one_connection_gets_what_it_asked_for() {
    for (name, order) in ORDERS {
        let day = Arc::new(watch::Sender::new(Day::default()));
        let theirs = Arc::clone(&day);
        let (upstream, pem) = proper(move |request| answer(request, Arc::clone(&theirs), order));
        let house = house(upstream, &pem, "", "");
        let got = ask_all(&house);
        assert_eq!(house.upstream.connections(), 1, "{name}");
        let mut came = day.borrow().came.clone();
        came.sort();
        for (number, text) in &got {
            // A result lands once, as its own, and nothing of another's.
            let landed = match number.is_multiple_of(2) {
                true => String::new(),
                false => format!(r#"{{"grade":{number}}}"#),
            };
            assert_eq!(came[*number], (*number, landed), "{name}");
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            match number.is_multiple_of(2) {
                true => assert_eq!(json["grade"], *number, "{name}: {text}"),
                false => assert_eq!(*text, format!(r#"{{"id":"r-{number}"}}"#), "{name}"),
            }
        }
        assert_eq!(came.len(), TOGETHER, "{name}: some came twice");
        // Asked alone, each pull gets the same, pseudonym and all; and no other pull does.
        let pulls = got.iter().step_by(2);
        for (number, text) in pulls {
            assert_eq!(house.ask(asked(*number)).text(), text, "{name}");
            let same = got.iter().filter(|it| it.1 == *text);
            assert_eq!(same.count(), 1, "{name}: {text}");
        }
        let markers = Markers::of(&["pupil-zzq-", "Fenna-zzq-"]);
        let all: String = got.into_iter().map(|it| it.1).collect();
        house.search(&markers, &[("what callers got", all.as_bytes())]);
        let landed: String = came.into_iter().map(|it| it.1).collect();
        let markers = Markers::of(&["Noor-zzq-"]);
        house.search(&markers, &[("what landed", landed.as_bytes())]);
    }
}
