//! Callers over HTTP/2 that reset a stream, at every stage of its exchange: that is given up, and
//! nothing else of its connection.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::h2::{
    Connection, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, foreign, frame, pulling,
    pushing,
};
use super::vendor::{Seen, Step, Vendor};
use super::{DEADLINES, FIRST, PATIENCE, markers, right_answer};
use crate::harness::{House, Plans};
use crate::wire::grammar::{BODY, numbered};

/// What says that a stream is not wanted any more (RFC 9113 section 7), and what a library takes
/// for the end of its body.
const CODES: [u32; 2] = [8, 0];
/// The request before the one that is reset, which is under way meanwhile, and the one after it.
const BESIDE: u32 = FIRST + 1;
const BEHIND: u32 = FIRST + 2;

/// The tasks of a house in which nobody is.
const TENDING: usize = 1;

/// How far an exchange has come when its caller resets it.
struct Stage {
    name: &'static str,
    limits: &'static str,
    /// What the caller has sent of the request by then.
    sent: fn(u32) -> Vec<u8>,
    /// What the vendor has answered by then.
    answered: fn() -> Vec<Step>,
    reached: Reached,
}

/// What shows that a stage is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// The vendor has the head of the request.
    Head,
    /// The vendor has nothing, and we hold some of the body.
    Held,
    /// The caller has some of the answer.
    Streams,
    /// The vendor has all of the request.
    Whole,
}

fn pull(stream: u32, number: u32) -> Vec<u8> {
    let head = numbered(&block(&pulling()), number);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
}

/// A push of which the last byte is missing.
fn most_of_a_push(stream: u32) -> Vec<u8> {
    let body = numbered(BODY.as_bytes(), FIRST);
    [
        frame(HEADERS, END_HEADERS, stream, &block(&pushing())),
        frame(DATA, 0, stream, &body[..body.len() - 1]),
    ]
    .concat()
}

/// A push of which all has come but for the end of its stream.
fn a_push_without_its_end(stream: u32) -> Vec<u8> {
    let body = numbered(BODY.as_bytes(), FIRST);
    let last = frame(DATA, 0, stream, &body[body.len() - 1..]);
    [most_of_a_push(stream), last].concat()
}

fn stages() -> Vec<Stage> {
    let pull = |stream| pull(stream, FIRST);
    vec![
        Stage {
            name: "nothing is answered",
            limits: "",
            sent: pull,
            answered: || vec![Step::Hold],
            reached: Reached::Whole,
        },
        Stage {
            name: "half a head is answered",
            limits: "",
            sent: pull,
            answered: || vec![Step::Send(b"HTTP/1.1 200 OK\r\nx: y".to_vec()), Step::Hold],
            reached: Reached::Whole,
        },
        Stage {
            name: "half a body is answered and held back",
            limits: "",
            sent: pull,
            answered: half_an_answer,
            reached: Reached::Whole,
        },
        Stage {
            name: "half a body has gone on",
            limits: "hold-back = 0",
            sent: pull,
            answered: half_an_answer,
            reached: Reached::Streams,
        },
        Stage {
            name: "its own body is held back",
            limits: "",
            sent: most_of_a_push,
            answered: || vec![Step::Hold],
            reached: Reached::Held,
        },
        Stage {
            name: "half of its own body has gone on",
            limits: "hold-back = 0",
            sent: most_of_a_push,
            answered: || vec![Step::Hold],
            reached: Reached::Head,
        },
        Stage {
            name: "all of its own body has gone on, and not its end",
            limits: "hold-back = 0",
            sent: a_push_without_its_end,
            answered: || vec![Step::Hold],
            reached: Reached::Head,
        },
    ]
}

fn half_an_answer() -> Vec<Step> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n";
    let users = r#"{"grade":7,"name":"Vendor-zzq"},"#.repeat(50);
    let text = format!(r#"{head}{{"users":[{users}"#);
    vec![Step::Send(text.into_bytes()), Step::Hold]
}

/// A gateway and a vendor that answers the stage's request by its stage; the one beside it once
/// `let_go` says so; all others rightly. The vendor tells of each head that it has.
fn open(stage: &Stage, let_go: std::sync::mpsc::Receiver<()>) -> (House, Vendor, Heads) {
    let (tell, heads) = channel();
    let (tell, let_go): (Mutex<Sender<()>>, _) = (Mutex::new(tell), Mutex::new(let_go));
    let early = move |_: &Seen| {
        tell.lock().unwrap().send(()).unwrap_or_default();
        Vec::new()
    };
    let answered = stage.answered;
    let answer = move |seen: &Seen| match seen.number() {
        Some(FIRST) => answered(),
        Some(BESIDE) => {
            let_go.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            right_answer(seen)
        }
        _ => right_answer(seen),
    };
    let (vendor, upstream) = Vendor::with(early, answer);
    let plans = Plans {
        tls: true,
        limits: format!("{DEADLINES}{}\n", stage.limits),
        ..Plans::default()
    };
    (plans.open(upstream), vendor, heads)
}

/// The heads that a vendor has.
type Heads = std::sync::mpsc::Receiver<()>;

fn right(number: u32) -> (u16, String) {
    (200, format!(r#"{{"users":[{{"grade":{number}}}]}}"#))
}

/// Waits until a stage is reached.
fn reach(
    stage: &Stage,
    connection: &mut Connection,
    house: &House,
    vendor: &Vendor,
    heads: &Heads,
) {
    match stage.reached {
        Reached::Head => heads.recv_timeout(PATIENCE).unwrap(),
        Reached::Held => {
            house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 2\n");
            assert!(heads.try_recv().is_err(), "it was not held back");
        }
        Reached::Streams => loop {
            let (kind, _, stream, _) = connection.next().unwrap();
            if (kind, stream) == (DATA, 3) {
                break;
            }
        },
        Reached::Whole => vendor.await_seen_of(FIRST, 1),
    }
}

/// Waits until nothing is left of the exchange that was reset, at its vendor either.
fn await_given_up(stage: &Stage, vendor: &Vendor) {
    match stage.reached {
        Reached::Held => assert_eq!(vendor.seen().len(), 1, "some of it went on"),
        Reached::Head => {
            vendor.await_seen(2);
            assert!(!vendor.seen()[1].whole, "a body that was cut looks whole");
        }
        Reached::Streams | Reached::Whole => vendor.await_closed(1),
    }
}

#[test]
fn a_stream_that_is_reset_is_given_up_and_no_other_is() {
    let with = |code| stages().into_iter().map(move |stage| (stage, code));
    for (stage, code) in CODES.into_iter().flat_map(with) {
        let name = stage.name;
        let (go_on, let_go) = channel();
        let (house, vendor, heads) = open(&stage, let_go);
        let mut connection = Connection::new(&house);
        connection.send(&pull(1, BESIDE));
        heads.recv_timeout(PATIENCE).unwrap();
        connection.send(&(stage.sent)(3));
        reach(&stage, &mut connection, &house, &vendor, &heads);
        connection.send(&frame(RST_STREAM, 0, 3, &code.to_be_bytes()));
        house.await_metric("sluis_cancellations_total{vendor=\"bron\"} 1\n");
        await_given_up(&stage, &vendor);
        house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 1\n");
        connection.send(&pull(5, BEHIND));
        let behind = connection.answers(&[5]);
        assert_eq!(behind[&5], right(BEHIND), "{name}");
        // Of an answer that was under way some may have been on its way.
        let may_come = stage.reached == Reached::Streams;
        assert!(may_come || !behind.contains_key(&3), "{name}");
        go_on.send(()).unwrap();
        let beside = connection.answers(&[1]);
        assert_eq!(beside[&1], right(BESIDE), "{name}");
        assert!(!beside.contains_key(&3), "{name}");
        house.await_metric("sluis_requests_in_flight{vendor=\"bron\"} 0\n");
        house.await_metric("sluis_body_bytes_in_flight 0\n");
        drop(connection);
        house.await_metric("sluis_connections_open 0\n");
        house.await_tasks(TENDING);
        let metrics = house.metrics();
        let failed = "sluis_connections_failed_total{";
        assert!(!metrics.contains(failed), "{name}: {metrics}");
        let all = vendor.seen();
        let mut whole = all.iter().filter(|it| it.whole);
        let odd = whole.find_map(|seen| foreign(&house, seen));
        assert_eq!(odd, None, "{name}");
        assert_eq!(vendor.seen_of(BEHIND).len(), 1, "{name}");
        house.search(&markers(), &[("the vendor", &vendor.bytes())]);
    }
}
