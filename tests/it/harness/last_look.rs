//! The leak search that no test can forget: it looks when a house goes.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use sluis::admin::{Admin, Stage, State};
use sluis::clock::Clock;
use sluis::config::{Deployed, Door};
use sluis::events::{Events, Sink};
use sluis::policy::Side;
use sluis::proxy::Shared;

use super::leak;
use super::peer::{Peer, Seen};
use super::{House, Plans, Upstream, request};

/// All that somebody else than the school got to see of a house: its log, the pages for operators,
/// and what the vendors' ends of its connections received. What is made up stands in none of it.
pub(super) struct LastLook {
    pub(super) events: Events,
    pub(super) log: Sink,
    pub(super) clock: Clock,
    pub(super) shared: Arc<Shared>,
    pub(super) deployed: Arc<Deployed>,
    /// What the upstream received.
    pub(super) upstream: Seen,
    /// Where callers came.
    pub(super) address: SocketAddr,
    /// What of what is made up they are meant to see.
    pub(super) meant: &'static [&'static str],
}

/// What whoever connected said and received, for each house that is open.
static CALLERS: Mutex<BTreeMap<SocketAddr, Vec<(Seen, Seen)>>> = Mutex::new(BTreeMap::new());

/// Keeps who connects there from now on.
pub(super) fn keep_callers_of(address: SocketAddr) {
    CALLERS.lock().unwrap().insert(address, Vec::new());
}

/// Has what a caller says and receives looked at when the house goes to which it has connected, if
/// that is one.
pub(crate) fn keep(address: SocketAddr, said: &Seen, seen: &Seen) {
    if let Some(callers) = CALLERS.lock().unwrap().get_mut(&address) {
        callers.push((Arc::clone(said), Arc::clone(seen)));
    }
}

/// What each caller of a house has said, as far as that was kept, and received.
fn callers_of(address: SocketAddr) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = CALLERS.lock().unwrap();
    let callers = all.get(&address).into_iter().flatten();
    callers
        .map(|(said, seen)| (copy(said), copy(seen)))
        .collect()
}

impl LastLook {
    /// All that callers received so far.
    pub(super) fn told(&self) -> Vec<u8> {
        let callers = callers_of(self.address).into_iter();
        callers.flat_map(|(_, seen)| seen).collect()
    }

    /// What is told to operators: the metrics, and how things stand.
    fn pages(&self) -> Vec<(&'static str, Vec<u8>)> {
        let config = self.deployed.current();
        let state = State::new(self.events.clone(), self.clock.clone(), config);
        state.enter(Stage::Ready);
        let register = self.shared.register();
        register
            .into_iter()
            .for_each(|it| state.remembers_in(Arc::clone(it)));
        let shared = Arc::clone(&self.shared);
        state.looks_at(move || shared.load());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let admin = Admin::start(listener, Arc::new(state)).unwrap();
        let pages = ["/status", "/readyz?verbose", "/metrics"];
        let pages = pages.map(|page| (page, ask(address, page))).into();
        admin.stop();
        pages
    }

    /// What was received by who is no school. Where a policy has a way back, the school's end gets
    /// its own identifiers: as upstream of a vendor that calls, and as a caller itself.
    fn vendors(&self) -> Vec<(&'static str, Vec<u8>)> {
        let config = self.deployed.current();
        let homes: Vec<_> = config.doors.iter().filter_map(home).collect();
        let is_school = |said: &[u8]| {
            let said = String::from_utf8_lossy(said);
            let of_school = homes.iter().filter(|(caller, _)| *caller == Side::School);
            { of_school }.any(|(_, prefix)| said.contains(&format!(" {prefix}/")))
        };
        let mut all: Vec<_> = callers_of(self.address)
            .into_iter()
            .filter(|(said, _)| !is_school(said))
            .map(|(_, seen)| ("what a caller got", seen))
            .collect();
        if homes.iter().all(|(caller, _)| *caller == Side::School) {
            all.push(("what the upstream got", copy(&self.upstream)));
        }
        let meant = |bytes: Vec<u8>| leak::without(without_tokens(bytes), self.meant);
        all.into_iter()
            .map(|(place, bytes)| (place, meant(bytes)))
            .collect()
    }
}

impl Drop for LastLook {
    fn drop(&mut self) {
        // A second panic would hide what went wrong first.
        if !std::thread::panicking() {
            let log = [("the log", self.log.bytes())];
            let all = log.into_iter().chain(self.pages()).chain(self.vendors());
            all.for_each(|(place, bytes)| leak::assert_nothing_made_up(place, &bytes));
        }
        CALLERS.lock().unwrap().remove(&self.address);
    }
}

/// Who calls there, and how paths begin there, if identifiers have a way back.
fn home(door: &Door) -> Option<(Side, String)> {
    let flow = door.vendor.law.policy.flows.get(door.flow)?;
    let has_way_back = door.vendor.has_way_back();
    has_way_back.then(|| (flow.caller, door.prefix.clone()))
}

/// The bytes without access tokens of ours: three letters stand by chance in what is random.
fn without_tokens(mut bytes: Vec<u8>) -> Vec<u8> {
    const BEGIN: &[u8] = b"sluis-access-1-";
    let is_of_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(*byte);
    while let Some(at) = bytes.windows(BEGIN.len()).position(|it| it == BEGIN) {
        let end = at + bytes[at..].iter().take_while(is_of_token).count();
        bytes.drain(at..end);
    }
    bytes
}

/// A page for operators, whole.
fn ask(address: SocketAddr, page: &str) -> Vec<u8> {
    let mut peer = Peer::connect(address);
    peer.send(format!("GET {page} HTTP/1.1\r\nhost: {address}\r\n\r\n"));
    let answer = peer.answer();
    assert_eq!(answer.status(), 200, "{page}: {}", answer.text());
    answer.body
}

fn copy(seen: &Seen) -> Vec<u8> {
    seen.lock().unwrap().clone()
}

/// A vendor that is called and one that calls, both of which get a text as it is.
const KEEPING: &str = r#"
[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"
[[flow.pull.route]]
match = "GET /users"
to-vendor = { name = "keep" }

[flow.push]
caller = "school"
at = "/push"
upstream = "http://UPSTREAM"
callers = "anyone"
[[flow.push.route]]
match = "POST /users"
to-vendor = { name = "keep" }
from-vendor = "nothing"
"#;

const NAME: &str = r#"{"name":"Fenna-zzq"}"#;

/// Fails unless it is found, when a house goes, what somebody got that way.
pub(crate) fn assert_looked_at(plans: Plans, ask: impl FnOnce(&House)) {
    let ask = std::panic::AssertUnwindSafe(|| {
        let instead = Some(KEEPING);
        let house = Plans { instead, ..plans }.open(Upstream::json(NAME));
        ask(&house);
    });
    let found = std::panic::catch_unwind(ask);
    let why = found.unwrap_err().downcast::<String>().unwrap();
    assert!(why.starts_with("something made up stands in what"), "{why}");
}

#[test]
fn what_reaches_a_vendor_is_found_when_its_house_goes() {
    for asked in [
        request("GET", "/pull/users", ""),
        request("POST", "/push/users", NAME),
    ] {
        assert_looked_at(Plans::default(), |house| {
            assert!(house.ask(&asked).status() < 300);
        });
    }
}
