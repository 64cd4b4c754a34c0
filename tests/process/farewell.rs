//! SIGTERM, as a caller over HTTP/2 sees it: by the frames (RFC 9113 section 6.8).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::PUPILS;
use crate::gateway::{Files, PATIENCE, Upstream};
use crate::ways::{secure, trusting};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Kind, flags, stream and payload.
type Frame = (u8, u8, u32, Vec<u8>);

/// A caller's connection over HTTP/2.
struct Caller {
    stream: StreamOwned<ClientConnection, TcpStream>,
    authority: String,
}

impl Caller {
    fn new(files: &Files) -> Self {
        let mut config = trusting(files.path());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::from(files.public.ip());
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(files.public).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut caller = Self {
            stream: StreamOwned::new(client, socket),
            authority: files.public.to_string(),
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        caller.stream.write_all(preface).unwrap();
        caller.send(SETTINGS, 0, 0, &[]);
        caller
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.stream.write_all(&[&head, payload].concat()).unwrap();
        self.stream.flush().unwrap();
    }

    fn ask(&mut self, stream: u32) {
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", &self.authority),
            (":path", PUPILS),
        ] {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block);
    }

    /// The next frame; `None` at the end.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], stream, payload))
    }

    /// The payload of the next frame of that kind.
    fn await_frame(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (kind, _, _, payload) = self.next().unwrap();
            if kind == wanted {
                return payload;
            }
        }
    }
}

/// GOAWAY that names the last stream, without an error.
fn farewell(last: u32) -> Vec<u8> {
    [last.to_be_bytes(), [0; 4]].concat()
}

#[test]
fn sigterm_says_farewell_to_a_caller_over_http2_and_finishes_what_it_asked() {
    let upstream = Upstream::patient();
    let files = Files::new(upstream.address, "");
    secure(&files);
    let gateway = files.serve();
    let mut caller = Caller::new(&files);
    caller.ask(1);
    upstream.wait();
    gateway.signal(Signal::TERM);
    assert_eq!(caller.await_frame(GOAWAY), farewell((1 << 31) - 1));
    let ping = caller.await_frame(PING);
    caller.send(PING, ACK, 0, &ping);
    assert_eq!(caller.await_frame(GOAWAY), farewell(1));
    // It knows that this is not served.
    caller.ask(3);
    upstream.tell();
    let (mut body, mut ended) = (Vec::new(), false);
    while let Some((kind, flags, stream, payload)) = caller.next() {
        assert_ne!(stream, 3, "{kind}");
        if kind == DATA {
            body.extend(payload);
            ended |= flags & END_STREAM != 0;
        }
    }
    let body = String::from_utf8(body).unwrap();
    assert!(
        ended && body.starts_with("{\"pupils\":[{\"id\":\""),
        "{body}"
    );
    assert!(!body.contains("Noor") && !body.contains("zzq"), "{body}");
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"sluis.how\":\"drained\""), "{log}");
}
