//! A school whose connections break after it has read a result and before it answers: what is sent
//! once more by the gateway, what by the vendor, and what by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::days::callers::Caller;
use crate::gateway::{Files, status};
use crate::home::{PUPILS, pull, pupil, read_request, stop, vendor_file};
use crate::results::says_close;

const VENDORS: usize = 3;
/// Results of a vendor.
const RESULTS: usize = 150;

/// A result as the school has read it, answered or not.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    method: String,
    path: String,
    key: Option<String>,
    body: Value,
}

/// All results that were read, by their names.
type Book = BTreeMap<String, Vec<Seen>>;

/// A school's API that breaks one connection in three under a result.
#[derive(Clone, Default)]
struct School {
    seen: Arc<Mutex<Book>>,
    count: Arc<AtomicUsize>,
}

impl School {
    fn open(&self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let school = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let school = school.clone();
                thread::spawn(move || school.serve(&stream.unwrap()));
            }
        });
        address
    }

    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((head, body)) = read_request(&mut reader) {
            let answer = self.answer(&head, &body);
            if answer.is_null() {
                return;
            }
            let answer = answer.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
            let answer = format!("{head} {}\r\n\r\n{answer}", answer.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Null if the connection is to break instead.
    fn answer(&self, head: &[String], body: &[u8]) -> Value {
        let mut words = head[0].split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        if method == "GET" {
            let pupils = 0..PUPILS;
            let pupils = pupils.map(|number| json!({"id": pupil(number), "number": number}));
            return json!({ "pupils": pupils.collect::<Vec<Value>>() });
        }
        let mut keys = { head.iter() }.filter_map(|it| it.strip_prefix("idempotency-key: "));
        let name = path.split('/').nth(2).unwrap().to_owned();
        let seen = Seen {
            method,
            path,
            key: keys.next().map(str::to_owned),
            body: serde_json::from_slice(body).unwrap(),
        };
        let mut book = self.seen.lock().unwrap();
        book.entry(name).or_default().push(seen);
        match self.breaks() {
            true => Value::Null,
            false => json!({"taken": true}),
        }
    }

    /// Every third time, and never one kind of request only: they are spread.
    fn breaks(&self) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        count.wrapping_mul(0x9E37_79B9) >> 7 & 0xff < 85
    }
}

/// How a result is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// POST to a school that knows a request again.
    Keyed,
    Post,
    Put,
}

impl Way {
    fn of(name: &str) -> Self {
        let ways = [Self::Keyed, Self::Post, Self::Put];
        let way = ways.into_iter().find(|way| name.starts_with(way.words().2));
        way.unwrap()
    }

    /// Method, the flow's path, and what names begin with.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Keyed => ("POST", "/keyed", "keyed-"),
            Self::Post => ("POST", "/bron", "post-"),
            Self::Put => ("PUT", "/bron", "put-"),
        }
    }
}

/// What a vendor knows of a result: how often it was sent, and whether it was taken.
type Sent = (String, usize, bool);

/// Sends results, and sends those again without an answer that may be sent again: PUT. A POST gets
/// another key each time that a vendor sends it.
fn send(vendor: usize, public: SocketAddr, pseudonyms: &[String]) -> Vec<Sent> {
    let mut caller = Caller::new(public);
    let results = (0..RESULTS).map(|round| {
        let way = [Way::Keyed, Way::Post, Way::Put][round % 3];
        let (method, at, prefix) = way.words();
        let number = round % PUPILS;
        let (name, whose) = (
            format!("{prefix}{vendor}-{round}-{number}"),
            &pseudonyms[number],
        );
        let body = json!({"student": whose, "score": 7}).to_string();
        let request = format!(
            "{method} {at}/results/{name}/of/{whose} HTTP/1.1\r\nhost: {public}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (mut times, mut taken) = (0, false);
        while !taken && (times == 0 || way == Way::Put) {
            times += 1;
            let answer = caller.ask(&request);
            if answer.is_empty() || says_close(&answer) {
                caller = Caller::new(public);
            }
            taken = answer.starts_with("HTTP/1.1 200 ");
            assert!(taken || status(&answer) == 502, "{answer}");
        }
        (name, times, taken)
    });
    results.collect()
}

/// A gateway whose vendor sends results to one flow whose school knows requests again, and to one
/// whose school does not.
fn files(school: SocketAddr) -> Files {
    // Nothing rests: each break is one that a vendor could meet first.
    let files = Files::with(
        school,
        "[limits]\ndrain-delay = \"0s\"\nupstream-circuit-failures = 1000\n",
    );
    let keyed = format!(
        "[flow.keyed]\ncaller = \"vendor\"\nat = \"/keyed\"\nupstream = \"http://{school}\"\n\
         callers = \"anyone\"\nidempotency = true\n[[flow.keyed.route]]\n\
         match = \"POST /results/{{result:slug}}/of/{{pupil}}\"\nfrom-vendor = \"Result\"\n\
         to-vendor = {{ taken = \"keep:bool\" }}\n\n"
    );
    let (file, shapes) = (vendor_file(school, 2), "[shape.Pupil]");
    assert!(file.contains(shapes));
    files.write(
        "schools/proef/vendors/bron.toml",
        &file.replace(shapes, &format!("{keyed}{shapes}")),
    );
    files
}

/// Each time that the school has read it, it was the same, about its own pupil.
fn assert_same(name: &str, seen: &[Seen]) {
    let number: usize = name.rsplit('-').next().unwrap().parse().unwrap();
    let whose = pupil(number);
    let path = format!("/results/{name}/of/{whose}");
    for one in seen {
        assert_eq!((&*one.path, &one.body["student"]), (&*path, &json!(whose)));
        assert_eq!(one.method, Way::of(name).words().0);
        assert!(*one == seen[0], "{name} under another key");
    }
}

#[test]
fn results_land_once_at_a_school_whose_connections_break_before_it_answers() {
    let school = School::default();
    let files = files(school.open());
    let gateway = files.serve();
    let pseudonyms = pull(&files);
    let sent: Vec<Sent> = thread::scope(|scope| {
        let pseudonyms = &pseudonyms;
        let vendors: [_; VENDORS] = std::array::from_fn(|vendor| {
            scope.spawn(move || send(vendor, files.public, pseudonyms))
        });
        vendors.map(|vendor| vendor.join().unwrap()).concat()
    });
    stop(gateway, Signal::TERM);
    let book = school.seen.lock().unwrap();
    let (mut keys, mut keyed) = (BTreeSet::new(), 0);
    // So many came twice by the gateway, or without an answer, of each way.
    let (mut twice, mut untold) = ([0, 0], [0, 0]);
    for (name, times, taken) in &sent {
        let seen = book.get(name).map_or(&[][..], Vec::as_slice);
        assert!(!seen.is_empty(), "{name} is not there: taken {taken}");
        assert_same(name, seen);
        match Way::of(name) {
            Way::Post => {
                assert_eq!((seen.len(), &seen[0].key), (1, &None), "{name} came twice");
                untold[0] += usize::from(!taken);
            }
            Way::Keyed => {
                assert!(seen.len() <= 2, "{name} came {} times", seen.len());
                keys.insert(seen[0].key.clone().unwrap());
                keyed += 1;
                twice[0] += usize::from(seen.len() == 2 && *taken);
                untold[1] += usize::from(!taken);
            }
            Way::Put => {
                assert!(*taken && seen[0].key.is_none());
                assert!(seen.len() <= 2 * times, "{name} came {} times", seen.len());
                twice[1] += usize::from(seen.len() > *times);
            }
        }
    }
    assert_eq!(keys.len(), keyed, "a key of two results");
    assert_eq!(sent.len(), VENDORS * RESULTS);
    assert_eq!(book.len(), sent.len());
    let provoked = { twice.iter().chain(&untold) }.all(|count| *count > 0);
    assert!(provoked, "nothing broke: {twice:?}, {untold:?}");
}
