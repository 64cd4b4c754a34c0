//! A gateway in this process, between a scripted upstream and callers that write raw bytes.

mod last_look;
pub(crate) mod leak;
pub(crate) mod peer;
pub(crate) mod tls;
pub(crate) mod upstream;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sluis::app::open_register;
use sluis::clock::Clock;
use sluis::config::keys::{KeySource, VendorKeys};
use sluis::config::{Config, Deployed, Draft, Problems};
use sluis::events::{Events, Sink};
use sluis::listen::{self, Doorkeeper};
use sluis::names::{SchoolId, VendorId};
use sluis::proxy::{Gateway, Shared};
use sluis::pseudonym::{RegisterKey, TokenKey, VendorKey};
use sluis::secret::{SecretBytes, sha256};
use sluis::store::Wanted;
use sluis::tls::Acceptor;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use last_look::LastLook;
pub(crate) use last_look::{assert_looked_at, keep};
pub(crate) use leak::Markers;
pub(crate) use peer::{Message, Peer};
pub(crate) use upstream::Upstream;

/// The token of the vendor that pulls.
pub(crate) const PULL_TOKEN: &str = "fake-token-of-the-vendor-not-for-use";
/// The token of the school that pushes.
pub(crate) const PUSH_TOKEN: &str = "fake-token-of-the-school-not-for-use";
/// Shown to the upstream of the push flow.
pub(crate) const UPSTREAM_TOKEN: &str = "fake-token-for-the-upstream-not-for-use";
/// The host under which the school is reached.
pub(crate) const HOST: &str = "school.example";

/// The vendor of a policy that a test writes itself.
const VENDOR: &str = r#"version = 1
[vendor]
name = "Bron"
agreement = "VO-1"
purpose = "Testen"
contact = "privacy@bron.example"
valid = { from = 2020-01-01, until = 2099-12-31 }
"#;

/// What a house is built from. Change what a test is about, and [`open`](Self::open) it.
pub(crate) struct Plans {
    /// Lines of `[limits]`.
    pub(crate) limits: String,
    /// Lines of `[school]` besides the usual.
    pub(crate) school: &'static str,
    /// Lines of `[vendor]` besides the usual.
    pub(crate) vendor: String,
    /// What comes after the usual flows and shapes.
    pub(crate) more: String,
    /// What follows the vendor's own lines instead of the usual; `UPSTREAM` becomes the address
    /// of the upstream.
    pub(crate) instead: Option<&'static str>,
    /// What follows the own lines of a second vendor, if there is one.
    pub(crate) second: Option<&'static str>,
    /// When the agreement is in force.
    pub(crate) valid: String,
    /// Whether callers speak TLS.
    pub(crate) tls: bool,
    /// Words of `tls` besides the files.
    pub(crate) tls_min: &'static str,
    /// Threads, each with a listener of its own.
    pub(crate) threads: usize,
    /// How a register on a server is reached; empty for one in a file.
    pub(crate) server: String,
    /// What time it is: the machine's own, or a test's.
    pub(crate) clock: Clock,
    /// What access tokens are made and known by, 32 times.
    pub(crate) token_key: u8,
    /// What is made up and meant to be seen by peers: credentials, and what a policy keeps.
    pub(crate) meant: &'static [&'static str],
}

impl Default for Plans {
    fn default() -> Self {
        Self {
            limits: String::new(),
            school: "",
            vendor: String::new(),
            more: String::new(),
            instead: None,
            second: None,
            valid: "{ from = 2020-01-01, until = 2099-12-31 }".to_owned(),
            tls: false,
            tls_min: "",
            threads: 1,
            server: String::new(),
            clock: Clock::system(),
            token_key: 9,
            meant: &[],
        }
    }
}

impl Plans {
    /// Plans with these lines of `[limits]`.
    pub(crate) fn limits(lines: &str) -> Self {
        Self {
            limits: lines.to_owned(),
            ..Self::default()
        }
    }

    /// Builds the house and opens its door.
    pub(crate) fn open(self, upstream: Upstream) -> House {
        self.open_in(tempfile::tempdir().unwrap(), upstream)
    }

    /// As [`Self::open`], with what another house left in its folder.
    pub(crate) fn open_in(self, folder: tempfile::TempDir, upstream: Upstream) -> House {
        let listeners = listen::bind(([127, 0, 0, 1], 0).into(), self.threads).unwrap();
        let address = listeners[0].local_addr().unwrap();
        self.write(folder.path(), address, upstream.address);
        let config = read(folder.path(), self.token_key);
        let (clock, log) = (self.clock.clone(), Sink::memory());
        let events = Events::new(config.log, log.clone(), clock.clone()).unwrap();
        let tls = config
            .listen
            .tls
            .as_ref()
            .map(|tls| Acceptor::new(tls).unwrap());
        let doorkeeper = Doorkeeper::new(config.limits.clone(), tls, events.clone());
        let deployed = Arc::new(Deployed::new(config));
        let shared = Shared::new(Arc::clone(&deployed), clock.clone(), events.clone());
        let register = open_register(Wanted::Usable, &deployed.current(), &clock).unwrap();
        if let Some(register) = register {
            register.told_by(events.clone());
            shared.remember_in(register);
        }
        let (stop, stopped) = watch::channel(false);
        let started = listeners.into_iter().map(|listener| {
            let (shared, doorkeeper) = (Arc::clone(&shared), Arc::clone(&doorkeeper));
            let (runtime, stopped) = (runtime(), stopped.clone());
            let handle = runtime.handle().clone();
            let serve = move || serve(&runtime, &shared, listener, doorkeeper, stopped);
            (handle, std::thread::spawn(serve))
        });
        let (runtimes, threads) = started.unzip();
        last_look::keep_callers_of(address);
        let last_look = LastLook {
            events: events.clone(),
            log: log.clone(),
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            deployed: Arc::clone(&deployed),
            upstream: Arc::clone(&upstream.seen),
            address,
            meant: self.meant,
        };
        House {
            last_look,
            address,
            upstream,
            events,
            log,
            stop,
            threads,
            folder,
            deployed,
            shared,
            clock,
            token_key: self.token_key,
            runtimes,
        }
    }

    fn write(&self, folder: &Path, address: SocketAddr, upstream: SocketAddr) {
        let tls = match self.tls {
            true => {
                certificate(folder);
                let min = if self.tls_min.is_empty() { "" } else { ", " };
                let files = r#"cert = "server.pem", key = "server.key""#;
                format!("tls = {{ {files}{min}{} }}", self.tls_min)
            }
            false => String::new(),
        };
        let gateway = format!(
            r#"version = 1
[listen]
address = "{address}"
{tls}
[admin]
address = "127.0.0.1:0"
[keys]
master = {{ file = "master.key" }}
ring = "ring.toml"
[log]
level = "debug"
{}
[limits]
{}
"#,
            self.register(folder),
            self.limits
        );
        let scheme = if self.tls { "https" } else { "http" };
        let school = format!(
            r#"version = 1
[school]
name = "De Proef"
public = "{scheme}://{HOST}"
contact = "privacy@school.example"
language = "nl"
{}"#,
            self.school
        );
        let vendors = folder.join("schools/proef/vendors");
        std::fs::create_dir_all(&vendors).unwrap();
        std::fs::write(folder.join("sluis.toml"), gateway).unwrap();
        std::fs::write(folder.join("schools/proef/school.toml"), school).unwrap();
        let secret = vendors.join("upstream-token");
        std::fs::write(&secret, UPSTREAM_TOKEN).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, private).unwrap();
        std::fs::write(vendors.join("bron.toml"), self.policy(upstream)).unwrap();
        if let Some(file) = self.second {
            std::fs::write(vendors.join("boek.toml"), vendor_file(file, upstream)).unwrap();
        }
    }

    fn register(&self, folder: &Path) -> &'static str {
        if self.server.is_empty() {
            return "";
        }
        let url = folder.join("register-url");
        std::fs::write(&url, &self.server).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&url, private).unwrap();
        "[register]\nstore = \"postgres\"\nurl = { file = \"register-url\" }"
    }

    fn policy(&self, upstream: SocketAddr) -> String {
        if let Some(file) = self.instead {
            return vendor_file(file, upstream);
        }
        format!(
            r#"version = 1
[vendor]
name = "Bron"
agreement = "VO-1"
purpose = "Testen"
contact = "privacy@bron.example"
valid = {valid}
{vendor}
[ids.pupil]
looks = "uuid"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://{upstream}/api"
callers = [{{ token-sha256 = "{pull}" }}]

[[flow.pull.route]]
match = "GET /users"
query = {{ limit = "int" }}
to-vendor = {{ users = "User[]" }}

[[flow.pull.route]]
match = "DELETE /users/{{id:slug}}"

[flow.push]
caller = "school"
at = "/push"
upstream = "http://{upstream}"
callers = [{{ token-sha256 = "{push}" }}]
upstream-auth = {{ bearer = {{ file = "upstream-token" }} }}

[[flow.push.route]]
match = "POST /users"
to-vendor = {{ users = "User[]" }}
from-vendor = "Receipt"

[[flow.push.route]]
match = "PUT /users/{{pupil}}"
to-vendor = "User"
from-vendor = "nothing"

[[flow.push.route]]
match = "POST /start"
from-vendor = "Receipt"

{SHAPES}
{more}
"#,
            valid = self.valid,
            vendor = self.vendor,
            more = self.more,
            pull = digest(PULL_TOKEN),
            push = digest(PUSH_TOKEN),
        )
    }
}

/// A vendor's file: its own lines, and what follows them.
fn vendor_file(file: &str, upstream: SocketAddr) -> String {
    VENDOR.to_owned() + &file.replace("UPSTREAM", &upstream.to_string())
}

/// The shapes of the usual flows.
const SHAPES: &str = r#"[shape.User]
sourcedId = "pupil"
grade = "keep:int"
role = { as = "keep", one-of = ["student", "teacher"] }

[shape.Receipt]
id = "keep:slug"
status = { as = "keep", one-of = ["accepted", "queued"] }
"#;

/// A gateway that is open.
pub(crate) struct House {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it calls.
    pub(crate) upstream: Upstream,
    /// Its voice.
    pub(crate) events: Events,
    /// Its log lines.
    pub(crate) log: Sink,
    /// Its configuration.
    pub(crate) deployed: Arc<Deployed>,
    /// Its files.
    pub(crate) folder: tempfile::TempDir,
    /// Its clock.
    pub(crate) clock: Clock,
    token_key: u8,
    /// Looks when all else is over.
    last_look: LastLook,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    runtimes: Vec<Handle>,
}

impl House {
    /// The usual house.
    pub(crate) fn open(upstream: Upstream) -> Self {
        Plans::default().open(upstream)
    }

    /// A caller, just connected.
    pub(crate) fn caller(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// All that callers received so far.
    pub(crate) fn told(&self) -> Vec<u8> {
        self.last_look.told()
    }

    /// Sends one request on a connection of its own and reads the answer.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        let mut caller = self.caller();
        caller.send(request);
        caller.answer()
    }

    /// Reads its files again.
    pub(crate) fn redeploy(&self) {
        let config = Arc::new(read(self.folder.path(), self.token_key));
        self.shared.prepare(&config);
        self.deployed.put(config);
    }

    /// Ends it, and gives what it leaves on disk.
    pub(crate) fn end(mut self) -> tempfile::TempDir {
        self.drain();
        assert!(
            self.closed_within(Duration::from_secs(5)),
            "it does not end"
        );
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.folder
    }

    /// Tells it to stop; those who are inside are finished.
    pub(crate) fn drain(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has closed, at most so long.
    pub(crate) fn closed_within(&mut self, most: Duration) -> bool {
        let begun = std::time::Instant::now();
        while begun.elapsed() < most {
            if self.threads.iter().all(JoinHandle::is_finished) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// The metrics, as operators see them.
    pub(crate) fn metrics(&self) -> String {
        self.events.emit(&self.shared.load());
        self.events.metrics_page()
    }

    /// Since when the upstream of a flow is left alone, in seconds from 1970.
    pub(crate) fn rests_since(&self, flow: &str) -> Option<u64> {
        let circuits = self.shared.load().circuits;
        let circuit = circuits.iter().find(|it| it.flow.as_str() == flow);
        circuit.and_then(|it| it.rests_since_unix_s)
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.bytes()).unwrap()
    }

    /// Waits until the log has a text.
    pub(crate) fn await_log(&self, text: &str) {
        let begun = std::time::Instant::now();
        while !self.log().contains(text) {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "no {text:?} in:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the metrics have a line.
    pub(crate) fn await_metric(&self, line: &str) {
        let begun = std::time::Instant::now();
        while !self.metrics().contains(line) {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "no {line:?} in:\n{}",
                self.metrics()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How many requests have been refused so far with a code.
    pub(crate) fn refusals(&self, code: &str) -> usize {
        let line = format!("sluis_refusals_total{{reason=\"{code}\",");
        let page = self.metrics();
        let counts = page.lines().filter(|it| it.starts_with(&line));
        let counts = counts.map(|it| it.rsplit(' ').next().unwrap());
        counts.map(|it| it.parse::<usize>().unwrap()).sum()
    }

    /// Waits until so many requests have been refused with a code.
    pub(crate) fn await_refusals(&self, code: &str, count: usize) {
        let begun = std::time::Instant::now();
        while self.refusals(code) != count {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "not {count} of {code:?} in:\n{}",
                self.metrics()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How many tasks it has, with nobody inside too.
    pub(crate) fn tasks(&self) -> usize {
        let runtimes = self.runtimes.iter();
        runtimes.map(|it| it.metrics().num_alive_tasks()).sum()
    }

    /// Waits until it has no more tasks than so many.
    pub(crate) fn await_tasks(&self, most: usize) {
        let begun = std::time::Instant::now();
        while self.tasks() > most {
            let left = self.tasks();
            assert!(begun.elapsed() < Duration::from_secs(5), "{left} are left");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The leak search: no marker in what `others` got to see, nor in logs, nor in metrics.
    pub(crate) fn search(&self, markers: &Markers, others: &[(&str, &[u8])]) {
        let (log, metrics) = (self.log.bytes(), self.metrics());
        let ours = [("the log", &*log), ("the metrics", metrics.as_bytes())];
        for (place, bytes) in others.iter().chain(&ours) {
            markers.assert_absent(place, bytes);
        }
    }
}

/// Reads a configuration, with keys that are made up.
fn read(folder: &Path, token_key: u8) -> Config {
    let mut problems = Problems::new();
    let draft = Draft::read(folder, &mut problems);
    let config = draft.with_keys(&mut problems, &mut MadeUp { token_key });
    config.unwrap_or_else(|| panic!("{problems:?}"))
}

/// The SHA-256 digest of a secret, as a vendor's file has it.
pub(crate) fn digest(secret: &str) -> String {
    digest_of(secret.as_bytes())
}

/// The SHA-256 digest of some bytes, as a vendor's file has it.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(sha256(bytes).expose())
}

/// Keys that are visibly nobody's: one for `bron`, another for every other vendor.
struct MadeUp {
    token_key: u8,
}

impl KeySource for MadeUp {
    fn of_vendor(
        &mut self,
        _: &SchoolId,
        vendor: &VendorId,
        _: &mut Problems,
    ) -> Option<VendorKeys> {
        let byte = if vendor.as_str() == "bron" { 7 } else { 6 };
        Some(VendorKeys::first(VendorKey::from([byte; 32])))
    }

    fn of_register(&mut self, _: &SchoolId, _: &mut Problems) -> Option<RegisterKey> {
        Some(RegisterKey::from([8; 32]))
    }

    fn token_key(&mut self, _: &mut Problems) -> Option<TokenKey> {
        Some(TokenKey::new(SecretBytes::from([self.token_key; 32])))
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn serve(
    runtime: &Runtime,
    shared: &Arc<Shared>,
    listener: std::net::TcpListener,
    doorkeeper: Arc<Doorkeeper>,
    stopped: watch::Receiver<bool>,
) {
    let gateway = Gateway::new(shared);
    runtime.block_on(async {
        let tending = tokio::spawn(Arc::clone(&gateway).tend());
        let stop = stopped.clone();
        let serve = move |stream, address| {
            Arc::clone(&gateway).serve_connection(stream, address, stop.clone())
        };
        listen::run(listener, doorkeeper, stopped, serve)
            .await
            .unwrap();
        tending.abort();
    });
}

/// Makes `server.pem` and `server.key`, for [`HOST`] and loopback, valid for long.
fn certificate(folder: &Path) {
    let names = vec![
        HOST.to_owned(),
        "other.example".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.join("server.pem"), made.cert.pem()).unwrap();
    write_key(
        &folder.join("server.key"),
        &made.signing_key.serialize_pem(),
    );
}

/// Writes a private key for this user alone.
pub(crate) fn write_key(file: &Path, pem: &str) {
    std::fs::write(file, pem).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(file, private).unwrap();
}

/// A request of the vendor that pulls.
pub(crate) fn pull(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {PULL_TOKEN}\r\n\r\n")
}

/// A request of the school that pushes, to a path below the flow's door; with no body if it is
/// empty.
pub(crate) fn push(method: &str, path: &str, body: &str) -> String {
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    format!(
        "{method} /push{path} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {PUSH_TOKEN}\r\n\
         {length}\r\n{body}"
    )
}

/// A request without credentials; with no body if it is empty.
pub(crate) fn request(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    let of_body = match body {
        "" => String::new(),
        _ => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    format!("{method} {target} HTTP/1.1\r\nhost: {HOST}\r\n{of_body}\r\n{body}")
}
