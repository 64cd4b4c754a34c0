//! Exchanges over HTTP/2 with an upstream that break off where some of them has gone on already:
//! neither side may take what it got for a whole message. A library takes a stream that was reset
//! with `NO_ERROR` for one that has ended.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::h2_out::{
    BOTH, CANCEL, NO_ERROR, Script, Then, USER, broken_answers, data, end, get, goaway, head,
    house, next, planned, reset, serve_frames, shaken,
};
use crate::h2_out_resets::request as frames_of;
use crate::harness::{House, Markers, Plans, Upstream, request};
use crate::tls::server;
use crate::wire::h2::{
    ACK, Connection, DATA, END_STREAM, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
    status_of,
};

/// Nothing is held back; nobody waits long for what does not come, and no upstream rests.
const LIMITS: &str = "hold-back = 0
upstream-head-time = \"300ms\"
upstream-body-idle = \"300ms\"
upstream-circuit-failures = 1000
upstream-circuit-window = \"100ms\"";
const PATIENCE: Duration = Duration::from_secs(10);

/// So much of the body has gone on before an answer is cut.
pub(crate) const BEGUN: usize = r#"{"sourcedId":"pupil-zzq-901","grade":7,"#.len();

/// What an upstream writes on a stream, and what it does then. What comes second comes once some
/// of the answer is with the caller.
type Cut = Box<dyn Fn(u32) -> (Vec<u8>, Option<Vec<u8>>, Then) + Send + Sync>;
type Cuts = Vec<(String, Cut)>;

/// The end of a body, with the end of its stream in a frame of its own.
fn rest(stream: u32, from: usize) -> Vec<u8> {
    let end = data(stream, END_STREAM, "");
    [data(stream, 0, &USER[from..]), end].concat()
}

/// Answers that come and break off at once: by the frames of a hostile upstream, with the
/// connection at every byte, and with a reset of the stream at every byte of the body.
fn cut_at_once() -> Cuts {
    let mut all = Cuts::new();
    for (kind, script) in broken_answers() {
        let cut = move |at| (script(at), None, Then::GoOn);
        all.push((kind.to_owned(), Box::new(cut)));
    }
    let whole = |at| [head(at, 0, &[]), rest(at, 0)].concat();
    for then in [Then::Close, Then::Reset] {
        for bytes in 0..whole(1).len() {
            let kind = format!("{then:?} after {bytes} bytes");
            let cut = move |at| (whole(at)[..bytes].to_vec(), None, then);
            all.push((kind, Box::new(cut)));
        }
    }
    for code in [NO_ERROR, CANCEL] {
        for bytes in 0..=USER.len() {
            let kind = format!("RST_STREAM {code} after {bytes} bytes of the body");
            let cut = move |at| {
                let some = data(at, 0, &USER[..bytes]);
                let frames = [head(at, 0, &[]), some, reset(at, code)].concat();
                (frames, None, Then::GoOn)
            };
            all.push((kind, Box::new(cut)));
        }
    }
    all
}

fn begun(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    [head(stream, 0, more), data(stream, 0, &USER[..BEGUN])].concat()
}

/// The same, where the caller has some of the answer before it breaks off.
fn cut_under_way() -> Cuts {
    let mut all = odd_ends();
    for then in [Then::Close, Then::Reset] {
        for bytes in 0..rest(1, BEGUN).len() {
            let kind = format!("{then:?} after {bytes} bytes more");
            let cut = move |at| {
                let cut = rest(at, BEGUN)[..bytes].to_vec();
                (begun(at, &[]), Some(cut), then)
            };
            all.push((kind, Box::new(cut)));
        }
    }
    for code in [NO_ERROR, CANCEL] {
        for bytes in BEGUN..=USER.len() {
            let kind = format!("RST_STREAM {code} after {bytes} bytes of the body");
            let cut = move |at| {
                let some = data(at, 0, &USER[BEGUN..bytes]);
                let cut = [some, reset(at, code)].concat();
                (begun(at, &[]), Some(cut), Then::GoOn)
            };
            all.push((kind, Box::new(cut)));
        }
    }
    all
}

/// Ends of an answer that make it none: by its length, and by what comes behind its body.
fn odd_ends() -> Cuts {
    let lengths = [
        ("shorter than it said", "99"),
        ("longer than it said", "57"),
    ];
    let lengths = lengths.map(|(kind, length)| {
        let cut: Cut = Box::new(move |at| {
            let begun = begun(at, &[("content-length", length)]);
            (begun, Some(rest(at, BEGUN)), Then::GoOn)
        });
        (kind.to_owned(), cut)
    });
    let behind: [(&str, Script); 6] = [
        ("nothing comes", |_| Vec::new()),
        ("gone", |at| goaway(at, NO_ERROR)),
        ("another head", |at| head(at, 0, &[])),
        ("a frame on no stream", |_| frame(DATA, END_STREAM, 0, b"x")),
        ("an end on another stream", |at| {
            data(at + 2, END_STREAM, "")
        }),
        ("more than one value", |at| data(at, END_STREAM, "]")),
    ];
    let behind = behind.map(|(kind, behind)| {
        let cut: Cut = Box::new(move |at| {
            let some = data(at, 0, &USER[BEGUN..]);
            let second = [some, behind(at)].concat();
            (begun(at, &[]), Some(second), Then::GoOn)
        });
        (kind.to_owned(), cut)
    });
    lengths.into_iter().chain(behind).collect()
}

/// An upstream that answers by the cut that has its turn, and waits with what comes second.
fn cutting(cuts: &Arc<Cuts>, turn: &Arc<AtomicUsize>, seen: Receiver<()>) -> (Upstream, String) {
    let (config, pem) = server(BOTH);
    let (cuts, turn, seen) = (Arc::clone(cuts), Arc::clone(turn), Mutex::new(seen));
    let upstream = Upstream::on_sockets(move |socket| {
        let Some((_, peer)) = shaken(&config, socket) else {
            return;
        };
        serve_frames(peer, |stream, peer| {
            let (first, second, then) = cuts[turn.load(Ordering::SeqCst)].1(stream);
            let mut sent = peer.try_send(first);
            if let Some(second) = second {
                seen.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                sent = sent.and_then(|()| peer.try_send(second));
            }
            sent.map_or(Then::Close, |()| then)
        });
    });
    (upstream, pem)
}

/// What came of an answer: its status, 0 if no head came, and whether it looks whole.
#[derive(Debug)]
struct Got {
    status: u16,
    whole: bool,
}

/// A caller, and what it says once some of its answer is there.
type Ask = fn(&House, &Sender<()>) -> Got;

fn over_http1(house: &House, seen: &Sender<()>) -> Got {
    let mut caller = house.caller();
    caller.send(get());
    let Some(head) = caller.head() else {
        return Got {
            status: 0,
            whole: false,
        };
    };
    let status = head.status();
    if status != 200 {
        return Got {
            status,
            whole: true,
        };
    }
    assert_eq!(head.lines("transfer-encoding"), ["chunked"]);
    caller.at_least(1);
    seen.send(()).unwrap();
    let whole = caller.rest().ends_with(b"0\r\n\r\n");
    Got { status, whole }
}

fn over_http2(house: &House, seen: &Sender<()>) -> Got {
    let mut connection = Connection::new(house);
    connection.send(&frames_of("GET", END_STREAM, 1));
    end_of(&mut connection, seen)
}

/// Reads on to what ends the first stream of a connection.
fn end_of(connection: &mut Connection, seen: &Sender<()>) -> Got {
    let (mut status, mut told) = (0, false);
    loop {
        let (kind, flags, stream, payload) = connection.next().unwrap();
        match kind {
            HEADERS if stream == 1 && status == 0 => status = status_of(&payload),
            DATA if stream == 1 => {
                if !told && !payload.is_empty() {
                    seen.send(()).unwrap();
                    told = true;
                }
            }
            RST_STREAM if stream == 1 => {
                // A library would take that for an end.
                assert_ne!(payload, NO_ERROR.to_be_bytes());
                let whole = false;
                return Got { status, whole };
            }
            _ => continue,
        }
        if flags & END_STREAM != 0 {
            let whole = true;
            return Got { status, whole };
        }
    }
}

/// Has an upstream break off in each of these ways; what came of them.
fn cut_in_every_way(cuts: Cuts, (tls, ask): (bool, Ask)) -> Vec<(String, Got)> {
    let (cuts, turn) = (Arc::new(cuts), Arc::<AtomicUsize>::default());
    let (tell, seen) = channel();
    let (upstream, pem) = cutting(&cuts, &turn, seen);
    let (plans, folder) = planned(&upstream, &pem, LIMITS, "");
    let house = Plans { tls, ..plans }.open_in(folder, upstream);
    let mut all = Vec::new();
    for (number, (kind, cut)) in cuts.iter().enumerate() {
        turn.store(number, Ordering::SeqCst);
        // Whoever does not wait for it is told nothing.
        let (nobody, _unheard) = channel();
        let waits = cut(1).1.is_some();
        let got = ask(&house, if waits { &tell } else { &nobody });
        all.push((kind.clone(), got));
    }
    end(&house);
    all
}

const CALLERS: [(bool, Ask); 2] = [(false, over_http1), (true, over_http2)];

#[test]
fn an_answer_that_breaks_off_at_once_never_looks_whole() {
    for caller in CALLERS {
        let all = cut_in_every_way(cut_at_once(), caller);
        for (kind, got) in &all {
            let refused = got.whole && [502, 504].contains(&got.status);
            let cut = !got.whole && [0, 200].contains(&got.status);
            assert!(refused || cut, "{kind}: {got:?}");
        }
        let refused = all.iter().filter(|(_, got)| got.status == 502).count();
        assert!(refused > USER.len(), "{refused}");
    }
}

#[test]
fn an_answer_of_which_some_has_gone_on_never_looks_whole_if_it_breaks_off() {
    for caller in CALLERS {
        for (kind, got) in cut_in_every_way(cut_under_way(), caller) {
            let cut = got.status == 200 && !got.whole;
            assert!(cut, "{kind}: {got:?}");
        }
    }
}

/// Kind and flags of a frame.
type Frame = (u8, u8);

/// An upstream that takes a request and answers nothing; the frames of its streams, up to a reset.
fn silent() -> (Upstream, String, Receiver<Frame>) {
    let (config, pem) = server(BOTH);
    let (tell, told) = channel();
    let upstream = Upstream::on_sockets(move |socket| {
        let Some((_, mut peer)) = shaken(&config, socket) else {
            return;
        };
        if peer.exactly(24).is_none() {
            return;
        }
        // All of a body may come at once.
        let window = [&[0, 4][..], &(1_u32 << 24).to_be_bytes()].concat();
        peer.send(frame(SETTINGS, 0, 0, &window));
        peer.send(frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 24).to_be_bytes()));
        while let Some((kind, flags, ..)) = next(&mut peer) {
            match kind {
                SETTINGS if flags & ACK == 0 => peer.send(frame(SETTINGS, ACK, 0, &[])),
                DATA | HEADERS | RST_STREAM => tell.send((kind, flags)).unwrap_or_default(),
                _ => {}
            }
        }
    });
    (upstream, pem, told)
}

fn await_data(told: &Receiver<Frame>) {
    while told.recv_timeout(PATIENCE).unwrap() != (DATA, 0) {}
}

/// Whatever comes yet of a request, its end does not.
fn assert_cut(told: &Receiver<Frame>) {
    loop {
        match told.recv_timeout(PATIENCE).unwrap() {
            (RST_STREAM, _) => return,
            (_, flags) => assert_eq!(flags & END_STREAM, 0, "the upstream got an end"),
        }
    }
}

fn notes(count: usize) -> String {
    let notes = r#"{"grade":7,"name":"Noor-zzq"},"#.repeat(count);
    format!(r#"{{"notes":[{}]}}"#, notes.trim_end_matches(','))
}

#[test]
fn a_request_with_a_fault_behind_the_window_never_looks_whole() {
    for (limits, count) in [("hold-back = 0", 1), ("", 20_000)] {
        let (upstream, pem, told) = silent();
        let house = house(upstream, &pem, limits, "");
        let whole = request("POST", "/secure/notes", &(notes(count) + "]"));
        // The fault alone at last, when some of what is before it has gone on.
        let (begin, fault) = whole.split_at(whole.len() - 1);
        let mut caller = house.caller();
        caller.send(begin);
        await_data(&told);
        caller.send(fault);
        assert!(caller.is_closed(), "no answer may make it look whole");
        assert_cut(&told);
        house.await_log("aborted");
        house.search(&Markers::of(&["Noor-zzq"]), &[]);
    }
}

#[test]
fn a_request_over_http2_that_is_cut_behind_the_window_never_looks_whole() {
    let ends = [
        data(1, END_STREAM, "]"),
        reset(1, NO_ERROR),
        reset(1, CANCEL),
    ];
    for (end, outcome) in ends.into_iter().zip(["aborted", "cancelled", "cancelled"]) {
        let (upstream, pem, told) = silent();
        let (plans, folder) = planned(&upstream, &pem, "hold-back = 0", "");
        let house = Plans { tls: true, ..plans }.open_in(folder, upstream);
        let mut connection = Connection::new(&house);
        let body = data(1, 0, r#"{"grade":8,"name":"Noor-zzq"}"#);
        connection.send(&[frames_of("POST", 0, 1), body].concat());
        await_data(&told);
        connection.send(&end);
        assert_cut(&told);
        house.await_log(outcome);
        if outcome == "aborted" {
            assert!(!end_of(&mut connection, &channel().0).whole);
        }
        house.search(&Markers::of(&["Noor-zzq"]), &[]);
    }
}
