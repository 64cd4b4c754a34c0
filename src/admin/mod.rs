//! The operators' pages: `/livez`, `/readyz`, `/metrics`, `/status`.
//!
//! They have a listener, a thread and a runtime of their own and never ask the data plane for
//! anything, so they answer while it is overloaded, draining or stuck. Nothing can be changed here,
//! and nothing of a message is known here.

mod pages;
mod state;

pub use state::{Expiries, Reload, Stage, State};

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time;

/// Connections at once; more wait in the backlog.
const CONNECTIONS_MAX: usize = 32;
/// One connection from accept to close: one request and its answer.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// From the first byte of a head to its end.
const HEAD_TIME: Duration = Duration::from_secs(2);
/// The head of a request, in bytes; 8 KiB is the least that hyper can be told.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Header lines of a request.
const HEADERS_MAX: usize = 32;
/// The pause after the operating system gave no socket.
const PAUSE: Duration = Duration::from_millis(100);

/// The thread that answers operators.
#[derive(Debug)]
pub struct Admin {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Admin {
    /// Answers on `listener` until it is [stopped](Self::stop).
    ///
    /// # Errors
    /// The operating system's, if it gives no thread or no runtime.
    pub fn start(listener: TcpListener, state: Arc<State>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _reactor = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let work = move || runtime.block_on(serve(listener, state, stopped));
        let thread = thread::Builder::new()
            .name("sluis-admin".to_owned())
            .spawn(work)?;
        Ok(Self { thread, stop })
    }

    /// Ends the thread; answers under way are broken off.
    pub fn stop(self) {
        // If nobody takes this, the thread has ended already.
        if self.stop.send(()).is_ok() {
            drop(self.thread.join());
        }
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    state: Arc<State>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= CONNECTIONS_MAX;
        tokio::select! {
            _ = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
                Err(_) => time::sleep(PAUSE).await,
            },
        }
    }
}

/// One request and its answer; whatever goes wrong ends this connection and nothing else.
async fn connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| {
        let answer = pages::answer(&state, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let done = time::timeout(CONNECTION_TIME, connection).await;
    drop(done);
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::SocketAddr;

    use serde_json::Value;

    use super::*;
    use crate::config::{LogFormat, LogLevel};
    use crate::events::tests::{config, load_seen, voice};

    struct Pages {
        admin: Admin,
        state: Arc<State>,
        address: SocketAddr,
    }

    impl Pages {
        fn open() -> Self {
            let (events, _, clock) = voice(LogFormat::Json, LogLevel::Info);
            let state = Arc::new(State::new(events, clock, Arc::new(config())));
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let admin = Admin::start(listener, Arc::clone(&state)).unwrap();
            Self {
                admin,
                state,
                address,
            }
        }

        fn ask(&self, line: &str) -> (u16, String) {
            self.send(&format!(
                "{line} HTTP/1.1\r\nhost: {}\r\n\r\n",
                self.address
            ))
        }

        /// Sends bytes and reads to the end of the connection: status and body.
        fn send(&self, bytes: &str) -> (u16, String) {
            let mut stream = std::net::TcpStream::connect(self.address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(8)))
                .unwrap();
            stream.write_all(bytes.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            let status = head
                .strip_prefix("HTTP/1.1 ")
                .and_then(|rest| rest.get(..3));
            (
                status.map_or(0, |status| status.parse().unwrap()),
                body.to_owned(),
            )
        }
    }

    #[test]
    fn readiness_follows_the_stage_and_life_does_not() {
        let pages = Pages::open();
        for (stage, ready) in [
            (Stage::Starting, 503),
            (Stage::Ready, 200),
            (Stage::Draining, 503),
        ] {
            pages.state.enter(stage);
            assert_eq!(pages.ask("GET /livez"), (200, "ok\n".to_owned()));
            assert_eq!(pages.ask("GET /readyz").0, ready, "{stage:?}");
            let (status, checks) = pages.ask("GET /readyz?verbose");
            assert_eq!(status, ready);
            assert_eq!(checks.contains("[-] listener"), ready == 503, "{checks}");
        }
        assert!(
            pages
                .ask("GET /readyz?verbose")
                .1
                .contains("[-] listener: draining")
        );
        pages.admin.stop();
        assert!(std::net::TcpStream::connect(pages.address).is_err());
    }

    #[test]
    fn upstreams_that_are_left_alone_are_named_and_make_nothing_unready() {
        let pages = Pages::open();
        pages.state.enter(Stage::Ready);
        let none = pages.ask("GET /readyz?verbose").1;
        assert_eq!(
            none,
            "[+] listener: accepts connections\n[+] configuration: the newest is in force\n\
             [+] keys: one for each of 1 vendors\n[+] upstreams: none is left alone\nok\n"
        );
        let vendors: Vec<String> = (10..33).map(|number| format!("bron-{number}")).collect();
        pages.state.looks_at(move || {
            let mut load = load_seen(&vendors.iter().map(|it| &**it).collect::<Vec<_>>());
            load.circuits[1].rests_since_unix_s = None;
            load
        });
        let (status, checks) = pages.ask("GET /readyz?verbose");
        assert_eq!(status, 200);
        let lines: Vec<_> = checks
            .lines()
            .filter(|line| line.contains("upstreams: "))
            .collect();
        assert_eq!(lines.len(), 21, "{checks}");
        assert_eq!(
            lines[0],
            "[!] upstreams: regenboog/bron-10: pull is left alone since 2026-09-21T14:13:20Z: it \
             failed again and again; the next request after a moment tries it"
        );
        assert!(lines[1].contains("/bron-12: pull"), "{checks}");
        assert_eq!(
            lines[20],
            "[!] upstreams: 2 more are left alone, see /status"
        );
        pages.admin.stop();
    }

    #[test]
    fn the_metrics_page_is_that_of_the_events() {
        let pages = Pages::open();
        let (status, body) = pages.ask("GET /metrics");
        assert_eq!(status, 200);
        assert!(
            body.contains("# TYPE sluis_connections_open gauge\n"),
            "{body}"
        );
        pages.admin.stop();
    }

    /// What `/status` says there; VERSION stands for ours.
    const STATUS: &str = r#"{
  "body_bytes_in_flight": 7,
  "certificate": {
    "expires": "2027-07-31T00:00:00Z"
  },
  "last_reload": {
    "at": "2026-09-21T14:13:20Z",
    "problem": "sluis.toml:3:1: no such key",
    "successful": false
  },
  "policy_hash": "3f9c3f9c3f9c3f9c",
  "register": null,
  "stage": "ready",
  "started": "2026-09-21T14:13:20Z",
  "uptime_seconds": 0,
  "vendors": [
    {
      "addresses": {
        "pull": "https://sluis.example/rekenwijs"
      },
      "agreement": {
        "from": "2026-08-01",
        "until": "2026-08-01"
      },
      "flows": [
        "pull"
      ],
      "key_fingerprint": "00112233445566ff",
      "key_prepared": "9633b032ecd36fcb",
      "mode": "enforce",
      "name": "Rekenwijs",
      "objection_lists": {},
      "policy_hash": "3f9c3f9c3f9c3f9c",
      "resting_upstreams": [
        "pull"
      ],
      "school": "regenboog",
      "upstream_certificate": {
        "expires": "2027-08-01T00:00:00Z"
      },
      "vendor": "rekenwijs"
    }
  ],
  "version": "VERSION"
}
"#;

    #[test]
    fn status_says_what_runs_and_how_the_last_reload_went() {
        let pages = Pages::open();
        pages.state.enter(Stage::Ready);
        pages.state.looks_at(|| load_seen(&["boek", "rekenwijs"]));
        pages.state.certificate_expires(Some(1_816_992_000));
        let vendor = &config().vendors[0];
        let place = (vendor.school.clone(), vendor.id.clone());
        let expiries = [(place, 1_817_078_400)].into();
        pages.state.shown_certificates_expire(expiries);
        pages
            .state
            .reload_failed("sluis.toml:3:1: no such key".to_owned());
        let (status, body) = pages.ask("GET /status");
        assert_eq!(status, 200);
        assert_eq!(body, STATUS.replace("VERSION", env!("CARGO_PKG_VERSION")));
        let line = "\n[!] configuration: the newest is broken and the one before it decides, see \
                    /status\n";
        let (ready, checks) = pages.ask("GET /readyz?verbose");
        assert!(ready == 200 && checks.contains(line), "{checks}");
        pages.state.reloaded(Arc::new(config()));
        let status: Value = serde_json::from_str(&pages.ask("GET /status").1).unwrap();
        assert_eq!(status["last_reload"]["problem"], Value::Null);
        assert_eq!(status["last_reload"]["successful"], true);
        pages.admin.stop();
    }

    #[test]
    fn nothing_can_be_changed_and_nothing_else_is_here() {
        let pages = Pages::open();
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            assert_eq!(pages.ask(&format!("{method} /status")).0, 405, "{method}");
        }
        for path in [
            "/",
            "/metrics/",
            "//livez",
            "/debug/pprof",
            "/config",
            "/.env",
        ] {
            assert_eq!(pages.ask(&format!("GET {path}")).0, 404, "{path}");
        }
        assert_eq!(pages.ask("HEAD /livez"), (200, String::new()));
        pages.admin.stop();
    }

    #[test]
    fn a_head_that_is_too_large_is_refused() {
        let pages = Pages::open();
        let many = "x: y\r\n".repeat(HEADERS_MAX + 1);
        let long = format!("x: {}\r\n", "y".repeat(HEAD_BYTES_MAX));
        for lines in [many, long] {
            let (status, _) = pages.send(&format!("GET /livez HTTP/1.1\r\n{lines}\r\n"));
            assert_eq!(status, 431);
        }
        pages.admin.stop();
    }

    #[test]
    fn callers_who_say_nothing_keep_nobody_waiting_for_long() {
        let pages = Pages::open();
        let silent = || std::net::TcpStream::connect(pages.address).unwrap();
        let held: Vec<_> = (0..CONNECTIONS_MAX).map(|_| silent()).collect();
        // All places are taken: the answer comes when the time of the silent ones is over.
        assert_eq!(pages.ask("GET /livez").0, 200);
        drop(held);
        pages.admin.stop();
    }
}
