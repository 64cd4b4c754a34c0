//! Too much at once, and the end.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use sluis::limits::Limits;
use sluis::listen::{self, Doorkeeper};
use tokio::sync::watch;

use crate::harness::tls::Hello;
use crate::harness::upstream::ok;
use crate::harness::{HOST, House, Peer, Plans, Upstream, pull, push};

/// What a vendor says of what it got.
const RECEIPT: &str = r#"{"id":"r-1","name":"Fenna-zzq"}"#;
/// What a school has.
const USERS: &str = r#"{"users":[{"name":"Fenna-zzq"}]}"#;

/// The same with so many spaces.
fn wide(spaces: usize) -> String {
    USERS.replace("]}", &format!("]{}}}", " ".repeat(spaces)))
}

/// An upstream that answers when it is told to, and says when it was asked.
fn patient() -> (Upstream, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (asked, ask) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let answers = Mutex::new(answers);
    let upstream = Upstream::scripted(move |peer| {
        while peer.request().is_some() {
            asked.send(()).unwrap();
            answers.lock().unwrap().recv().unwrap();
            peer.send(ok(USERS));
        }
    });
    (upstream, ask, answer)
}

#[test]
fn more_requests_than_the_limit_wait_outside() {
    for limit in ["requests = 1", "requests-per-vendor = 1"] {
        let (upstream, asked, answer) = patient();
        let house = Plans::limits(limit).open(upstream);
        let mut first = house.caller();
        first.send(pull("/pull/users"));
        asked.recv().unwrap();
        let second = house.ask(pull("/pull/users"));
        assert_eq!((second.status(), &*second.code()), (503, "overloaded"));
        assert_eq!(second.lines("retry-after"), ["1"]);
        house.await_refusals("overloaded", 1);
        answer.send(()).unwrap();
        assert_eq!(first.answer().status(), 200);
        answer.send(()).unwrap();
        assert_eq!(
            house.ask(pull("/pull/users")).status(),
            200,
            "there is room again"
        );
    }
}

#[test]
fn bodies_take_no_more_memory_together_than_the_limit() {
    let limits = "body-bytes-in-flight = \"1 MiB\"\nhold-back = \"1 MiB\"";
    let house = Plans::limits(limits).open(Upstream::json(RECEIPT));
    let mut first = house.caller();
    let whole = push("POST", "/users", &wide(900_000));
    first.send(&whole[..whole.len() - 1]);
    // The first is on its way in as soon as the second is refused: poll until it is.
    let begun = Instant::now();
    let second = loop {
        let second = house.ask(push("POST", "/users", &wide(200_000)));
        if second.status() != 200 || begun.elapsed() > Duration::from_secs(5) {
            break second;
        }
    };
    assert_eq!((second.status(), &*second.code()), (503, "overloaded"));
    house.await_refusals("overloaded", 1);
    assert_eq!(
        house.ask(push("POST", "/users", &wide(0))).status(),
        200,
        "a small one has room"
    );
    first.send("}");
    assert_eq!(first.answer().status(), 200);
    let third = house.ask(push("POST", "/users", &wide(900_000)));
    assert_eq!(third.status(), 200, "there is room again");
}

#[test]
fn answers_take_no_more_memory_together_than_the_limit() {
    let limits = "body-bytes-in-flight = \"1 MiB\"\nhold-back = \"1 MiB\"";
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let house = Plans::limits(limits).open(Upstream::scripted(move |peer| {
        while let Some(request) = peer.request() {
            let is_large = request.head.contains("limit=900000");
            let length = if is_large { 900_000 } else { 200_000 };
            let whole = ok(&wide(length));
            let (most, last) = whole.split_at(whole.len() - 1);
            peer.send(most);
            if is_large {
                wait.lock().unwrap().recv().unwrap();
            }
            // A connection whose answer is refused is let go of.
            peer.try_send(last).unwrap_or_default();
        }
    }));
    let mut first = house.caller();
    first.send(pull("/pull/users?limit=900000"));
    let begun = Instant::now();
    while !house.metrics().contains("\nsluis_body_bytes_in_flight 9") {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is not held");
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = house.ask(pull("/pull/users?limit=200000"));
    assert_eq!((second.status(), &*second.code()), (503, "overloaded"));
    house.await_refusals("overloaded", 1);
    assert_eq!(second.lines("retry-after"), ["1"]);
    let asked = house.upstream.received_text();
    assert!(asked.contains("limit=200000"), "the upstream was asked");
    go.send(()).unwrap();
    assert_eq!(first.answer().status(), 200);
    let third = house.ask(pull("/pull/users?limit=200000"));
    assert_eq!(third.status(), 200, "there is room again");
}

#[test]
fn one_address_gets_no_more_than_its_share_of_connections() {
    let house = Plans::limits("connections-per-client = 2").open(Upstream::json(USERS));
    let mut inside = [house.caller(), house.caller()];
    for caller in &mut inside {
        caller.send(pull("/pull/users"));
        assert_eq!(caller.answer().status(), 200);
    }
    assert!(house.caller().is_closed());
    house.await_log("one_client");
    house.await_metric("sluis_connections_refused_total{reason=\"one_client\"} 1\n");
    drop(inside);
    let begun = Instant::now();
    loop {
        let mut again = house.caller();
        if again.try_send(pull("/pull/users")).is_ok() && again.head().is_some() {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "there is room again"
        );
    }
}

#[test]
fn more_connections_than_the_limit_wait() {
    let house = Plans::limits("connections = 1").open(Upstream::json(USERS));
    let mut first = house.caller();
    first.send(pull("/pull/users"));
    assert_eq!(first.answer().status(), 200);
    let delayed = |count| format!("\nsluis_connections_delayed_total {count}\n");
    assert!(house.metrics().contains(&delayed(0)));
    let mut second = house.caller();
    second.send(pull("/pull/users"));
    house.await_metric(&delayed(1));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(house.upstream.received_text().matches("GET").count(), 1);
    drop(first);
    assert_eq!(second.answer().status(), 200);
    assert!(
        house.metrics().contains(&delayed(1)),
        "as often as one waits"
    );
}

#[test]
fn a_drain_finishes_what_is_under_way_and_takes_nothing_more() {
    let (upstream, asked, answer) = patient();
    let mut house = House::open(upstream);
    let mut idle = house.caller();
    idle.send(pull("/pull/nothing"));
    assert_eq!(idle.answer().status(), 404);
    let mut busy = house.caller();
    busy.send(pull("/pull/users"));
    asked.recv().unwrap();
    house.drain();
    assert!(
        idle.is_closed(),
        "a connection with nothing on it is closed"
    );
    assert!(!house.closed_within(Duration::from_millis(100)));
    answer.send(()).unwrap();
    let last = busy.answer();
    assert_eq!(
        (last.status(), last.lines("connection")),
        (200, vec!["close"])
    );
    assert!(busy.is_closed());
    assert!(house.closed_within(Duration::from_secs(5)));
    assert!(TcpStream::connect(house.address).is_err());
    let metrics = house.metrics();
    assert!(
        !metrics.contains("sluis_connections_closed_total{"),
        "{metrics}"
    );
}

#[test]
fn a_drain_waits_no_longer_than_its_limit() {
    let (upstream, asked, _answer) = patient();
    let mut house = Plans::limits("drain = \"200ms\"").open(upstream);
    let mut busy = house.caller();
    busy.send(pull("/pull/users"));
    asked.recv().unwrap();
    let begun = Instant::now();
    house.drain();
    assert!(house.closed_within(Duration::from_secs(5)));
    assert!(begun.elapsed() >= Duration::from_millis(190));
    assert!(busy.is_closed());
    let cut = "sluis_connections_closed_total{reason=\"drain\"} 1\n";
    assert!(house.metrics().contains(cut), "{}", house.metrics());
}

fn over_tls() -> House {
    let plans = Plans {
        tls: true,
        ..Plans::default()
    };
    plans.open(Upstream::json(r#"{"users":[]}"#))
}

#[test]
fn a_drain_does_not_wait_for_a_handshake_that_does_not_begin() {
    let mut house = over_tls();
    let mut silent = house.caller();
    house.await_metric("\nsluis_connections_open 1\n");
    house.drain();
    // `tls-handshake` would give it ten.
    assert!(house.closed_within(Duration::from_secs(5)));
    assert!(silent.is_closed());
    house.await_metric("sluis_connections_failed_total{fault=\"tls_timeout\"} 1\n");
}

#[test]
fn a_handshake_that_goes_on_as_a_drain_begins_is_not_harmed() {
    let mut house = over_tls();
    let config = Arc::new(Hello::default().config(&house));
    let mut client = ClientConnection::new(config, ServerName::try_from(HOST).unwrap()).unwrap();
    let mut socket = TcpStream::connect(house.address).unwrap();
    client.write_tls(&mut socket).unwrap();
    while client.is_handshaking() {
        client.read_tls(&mut socket).unwrap();
        client.process_new_packets().unwrap();
    }
    house.drain();
    assert!(!house.closed_within(Duration::from_millis(100)));
    // The end of the handshake and a request, at once.
    client
        .writer()
        .write_all(pull("/pull/users").as_bytes())
        .unwrap();
    let mut last = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut last).unwrap();
    }
    socket.write_all(&last).unwrap();
    let stream = StreamOwned::new(client, socket.try_clone().unwrap());
    assert_eq!(Peer::through(socket, stream).answer().status(), 200);
    assert!(house.closed_within(Duration::from_secs(5)));
}

#[test]
fn a_drain_is_heard_while_callers_wait_for_a_place() {
    let (upstream, asked, answer) = patient();
    let mut house = Plans::limits("connections = 1").open(upstream);
    let mut busy = house.caller();
    busy.send(pull("/pull/users"));
    asked.recv().unwrap();
    let mut waiting = house.caller();
    waiting.send(pull("/pull/users"));
    std::thread::sleep(Duration::from_millis(50));
    house.drain();
    assert!(waiting.is_closed());
    answer.send(()).unwrap();
    assert_eq!(busy.answer().status(), 200);
    assert!(house.closed_within(Duration::from_secs(5)));
}

#[test]
fn threads_share_the_work_and_the_limits() {
    let served = Arc::new(AtomicUsize::new(0));
    let plans = Plans {
        threads: 2,
        ..Plans::default()
    };
    let house = Arc::new(plans.open(Upstream::json(USERS)));
    let callers = (0..8).map(|_| {
        let (house, served) = (Arc::clone(&house), Arc::clone(&served));
        std::thread::spawn(move || {
            for _ in 0..10 {
                assert_eq!(house.ask(pull("/pull/users")).status(), 200);
                served.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.join().unwrap();
    }
    assert_eq!(served.load(Ordering::SeqCst), 80);
}

#[test]
fn a_new_configuration_holds_from_the_next_request_on() {
    let house = House::open(Upstream::json(
        r#"{"users":[{"grade":7,"role":"student","name":"Fenna-zzq"}]}"#,
    ));
    let mut caller = house.caller();
    caller.send(pull("/pull/users"));
    assert_eq!(
        caller.answer().text(),
        r#"{"users":[{"grade":7,"role":"student"}]}"#
    );
    let file = house.folder.path().join("schools/proef/vendors/bron.toml");
    let policy = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, policy.replace("grade = \"keep:int\"", "")).unwrap();
    house.redeploy();
    caller.send(pull("/pull/users"));
    assert_eq!(caller.answer().text(), r#"{"users":[{"role":"student"}]}"#);
}

#[test]
fn a_panic_ends_its_own_connection_only() {
    let events = House::open(Upstream::json("{}")).events;
    let doorkeeper = Doorkeeper::new(Limits::default(), None, events);
    let listener = listen::bind(([127, 0, 0, 1], 0).into(), 1)
        .unwrap()
        .remove(0);
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let thread = std::thread::spawn(move || {
        let serve = |mut stream, _address| async move {
            let mut byte = [0];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut byte)
                .await
                .unwrap();
            assert_ne!(byte, *b"!", "a planned panic");
            tokio::io::AsyncWriteExt::write_all(&mut stream, &byte)
                .await
                .unwrap();
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(listen::run(listener, doorkeeper, stopped, serve))
            .unwrap();
    });
    let mut other = Peer::connect(address);
    let mut bad = Peer::connect(address);
    bad.send("!");
    assert!(bad.is_closed());
    for mut caller in [std::mem::replace(&mut other, Peer::connect(address)), other] {
        caller.send("x");
        assert_eq!(caller.rest(), b"x");
    }
    stop.send_replace(true);
    thread.join().unwrap();
}
