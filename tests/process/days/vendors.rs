//! Vendors that do what their path says, each connection on a thread of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::gateway::PUPIL;

/// Bytes of what is kept of each pupil in [`many`], and pupils in an answer: 64 MB.
const NOTE: usize = 64_000;
const PUPILS: usize = 1_000;

/// Answers `/pupils` at once and `/many` without hurry, takes `/results`, cuts `/cut` short, never
/// answers `/stuck` and never reads what comes to `/held`. `/gated` waits until it may.
pub(super) struct Vendor {
    pub(super) address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: Mutex<usize>,
}

impl Vendor {
    pub(super) fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let vendor = Self {
            address: listener.local_addr().unwrap(),
            gate: Arc::default(),
        };
        let gate = Arc::clone(&vendor.gate);
        let greet = move |stream: TcpStream| {
            let gate = Arc::clone(&gate);
            let small = thread::Builder::new().stack_size(128 << 10);
            small.spawn(move || serve(&stream, &gate)).unwrap();
        };
        thread::spawn(move || {
            let streams = listener.incoming().map(Result::unwrap);
            streams.for_each(greet);
        });
        vendor
    }

    /// How many requests wait before its gate.
    pub(super) fn waiting(&self) -> usize {
        *self.gate.waiting.lock().unwrap()
    }

    /// Lets all of them through, and all that come.
    pub(super) fn let_through(&self) {
        *self.gate.open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

impl Gate {
    fn pass(&self) {
        *self.waiting.lock().unwrap() += 1;
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }
}

/// Answers until the other end closes or breaks off.
fn serve(stream: &TcpStream, gate: &Gate) {
    let mut reader = BufReader::new(stream);
    while let Some((first, headers)) = head(&mut reader) {
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        if path == "/held" {
            loop {
                thread::park();
            }
        }
        if read_body(&mut reader, &headers).is_none() {
            return;
        }
        let taken = r#"{"taken":true}"#;
        let sent = match &*path {
            "/many" => many(stream),
            "/results" => send(stream, taken),
            "/cut" => return cut(stream),
            "/stuck" => return drop(reader.read_until(0, &mut Vec::new())),
            "/gated" => {
                gate.pass();
                send(stream, PUPIL)
            }
            _ => send(stream, PUPIL),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn head(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<String>)> {
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Some((lines.first()?.clone(), lines));
        }
        lines.push(line);
    }
}

/// Reads a body away; `None` if it breaks off.
fn read_body(reader: &mut BufReader<&TcpStream>, headers: &[String]) -> Option<()> {
    if headers
        .iter()
        .any(|line| line == "transfer-encoding: chunked")
    {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let size = u64::from_str_radix(line.trim_end(), 16).ok()?;
            skip(reader, size + 2)?;
            if size == 0 {
                return Some(());
            }
        }
    }
    let length = headers
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    skip(reader, length.map_or(0, |length| length.parse().unwrap()))
}

fn skip(reader: &mut BufReader<&TcpStream>, size: u64) -> Option<()> {
    let skipped = std::io::copy(&mut reader.take(size), &mut std::io::sink());
    (skipped.ok()? == size).then_some(())
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

fn send(mut stream: &TcpStream, body: &str) -> std::io::Result<()> {
    let length = body.len();
    stream.write_all(format!("{JSON}content-length: {length}\r\n\r\n{body}").as_bytes())
}

/// Half an answer.
fn cut(mut stream: &TcpStream) {
    let head = format!("{JSON}content-length: 500\r\n\r\n{{\"pupils\":[");
    stream.write_all(head.as_bytes()).unwrap_or_default();
}

/// More pupils than anybody wants to hold.
fn many(mut stream: &TcpStream) -> std::io::Result<()> {
    let note = "x".repeat(NOTE);
    let pupil = format!(r#"{{"id":"L-0001","name":"Noor-Marker","note":"{note}"}}"#);
    stream.write_all(format!("{JSON}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
    for place in 0..PUPILS {
        let before = if place == 0 { "{\"pupils\":[" } else { "," };
        let after = if place + 1 == PUPILS { "]}" } else { "" };
        let chunk = format!("{before}{pupil}{after}");
        stream.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes())?;
    }
    stream.write_all(b"0\r\n\r\n")
}
