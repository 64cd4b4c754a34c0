//! Memory while callers send without end, or do not read.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::callers::{connect_narrow, get, honest, post_head, write_until_stuck};
use super::peers::{Peer, Plan, Vendors, all, ours};
use super::row;

const MIB: usize = 1 << 20;
/// What a bad day may cost, in KiB.
const MOST: u64 = 64 << 10;

/// How many callers, and how much each of them sends if it is let.
#[derive(Clone, Copy)]
struct Size {
    callers: usize,
    bytes: usize,
}

/// What many callers do at once.
type Day = (&'static str, fn(&Peer, Size) -> Vec<TcpStream>);

const DAYS: [Day; 4] = [
    ("answers of 64 MB that nobody reads", unread),
    ("bodies of 20 MiB at once", bodies),
    ("bodies for a vendor that does not read", held),
    ("requests without end, no answer read", requests),
];

fn unread(peer: &Peer, size: Size) -> Vec<TcpStream> {
    let ask = |_| {
        let mut stream = connect_narrow(peer.address);
        let request = get(peer.address, "/bron/many");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let asked = (0..size.callers).map(ask).collect();
    // As much of it comes as there is room for anywhere.
    thread::sleep(Duration::from_secs(1));
    asked
}

fn bodies(peer: &Peer, size: Size) -> Vec<TcpStream> {
    send_to(peer, "/bron/results", size)
}

fn held(peer: &Peer, size: Size) -> Vec<TcpStream> {
    send_to(peer, "/bron/held", size)
}

/// Bodies whose length nobody knows before they are over, and they are not.
fn send_to(peer: &Peer, path: &str, size: Size) -> Vec<TcpStream> {
    let head = post_head(peer.address, path);
    let marks = "1,".repeat(30_000);
    let begin = "{\"score\":7,\"marks\":[";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let begin = format!("{head}transfer-encoding: chunked\r\n\r\n{}", chunk(begin));
    let more = chunk(&marks);
    at_once(size.callers, || {
        let stream = TcpStream::connect(peer.address).unwrap();
        write_until_stuck(&stream, begin.as_bytes(), begin.len());
        write_until_stuck(&stream, more.as_bytes(), size.bytes);
        stream
    })
}

/// An eighth of the bytes is many requests.
fn requests(peer: &Peer, size: Size) -> Vec<TcpStream> {
    let many = get(peer.address, "/bron/pupils").repeat(100);
    at_once(size.callers, || {
        let stream = connect_narrow(peer.address);
        write_until_stuck(&stream, many.as_bytes(), size.bytes / 8);
        stream
    })
}

fn at_once(count: usize, each: impl Fn() -> TcpStream + Sync) -> Vec<TcpStream> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&each)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn plan() -> Plan {
    Plan {
        seconds: 10,
        ..Plan::default()
    }
}

/// By how many KiB the memory of a fresh proxy grew at most.
fn growth(peer: &Peer, (_, day): Day, size: Size) -> u64 {
    serve_some(peer);
    let before = peer.memory();
    let callers = day(peer, size);
    let most = peer.most_memory();
    drop(callers);
    serve_some(peer);
    most.saturating_sub(before)
}

fn serve_some(peer: &Peer) {
    let served = std::cell::Cell::new(0);
    honest(peer.address, || {
        served.set(served.get() + 1);
        served.get() < 100
    });
}

#[test]
fn memory_stays_within_bounds_whoever_does_not_read_or_sends_without_end() {
    let vendors = Vendors::open();
    let size = Size {
        callers: 20,
        bytes: MIB / 4,
    };
    for day in DAYS {
        let peer = ours(&plan(), &vendors);
        let grown = growth(&peer, day, size);
        assert!(grown <= MOST, "{}: {grown} KiB more", day.0);
    }
}

#[test]
#[ignore = "a minute: the figures of docs/reliability.md"]
fn long_figures_of_memory_beside_other_proxies() {
    let vendors = Vendors::open();
    let size = Size {
        callers: 60,
        bytes: 20 * MIB,
    };
    row(&["", "60 callers", "MiB more"]);
    for day in DAYS {
        for peer in all(&plan(), &vendors) {
            let grown = growth(&peer, day, size);
            row(&[
                peer.name,
                day.0,
                &format!("{:.1}", f64::from(u32::try_from(grown).unwrap()) / 1024.0),
            ]);
            assert!(grown <= MOST || peer.gateway().is_none(), "{grown} KiB");
        }
    }
}
