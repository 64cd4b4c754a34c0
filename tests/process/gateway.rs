//! The real binary as a child, an upstream that waits to be told, and callers that write bytes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::leak;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const SLUIS: &str = env!("CARGO_BIN_EXE_sluis");

/// Files of a gateway with one vendor, in a folder of their own.
pub(crate) struct Files {
    folder: TempDir,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Files {
    /// Files whose vendor calls `upstream`; `more` are further lines of `sluis.toml`. There is nobody
    /// who would have to notice that this gateway leaves.
    pub(crate) fn new(upstream: SocketAddr, more: &str) -> Self {
        Self::with(upstream, &format!("{more}[limits]\ndrain-delay = \"0s\"\n"))
    }

    /// The same with nothing in `[limits]` but what stands in `more`.
    pub(crate) fn with(upstream: SocketAddr, more: &str) -> Self {
        // Both at once: one by one they might be the same.
        let any = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [public, admin] = any.map(|listener| listener.local_addr().unwrap());
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            public,
            admin,
        };
        let Self { public, admin, .. } = &files;
        files.write(
            "sluis.toml",
            &format!(
                "version = 1\n[listen]\naddress = \"{public}\"\n[admin]\naddress = \"{admin}\"\n\
                 [keys]\nmaster = {{ file = \"keys/master.key\" }}\nring = \"keys/ring.toml\"\n{more}"
            ),
        );
        files.write(
            "schools/proef/school.toml",
            &format!(
                "version = 1\n[school]\nname = \"De Proef\"\npublic = \"http://{public}\"\n\
                 contact = \"privacy@proef.example\"\n"
            ),
        );
        files.write_vendor(upstream, "name = \"drop\"");
        let made = files.command(&["keys", "new"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        files
    }

    /// Writes the vendor's file; `line` stands in the shape of its pupils.
    pub(crate) fn write_vendor(&self, upstream: SocketAddr, line: &str) {
        self.write(
            "schools/proef/vendors/bron.toml",
            &format!(
                "version = 1\n[vendor]\nname = \"Bron\"\nagreement = \"T-1\"\npurpose = \"Tests\"\n\
                 contact = \"privacy@bron.example\"\n\
                 valid = {{ from = 2020-01-01, until = 2099-12-31 }}\n\
                 [ids.pupil]\n[flow.pull]\ncaller = \"vendor\"\nat = \"/bron\"\n\
                 upstream = \"http://{upstream}\"\ncallers = \"anyone\"\n\
                 [[flow.pull.route]]\nmatch = \"GET /pupils\"\nto-vendor = {{ pupils = \"Pupil[]\" }}\n\
                 [shape.Pupil]\nid = \"pupil\"\n{line}\n"
            ),
        );
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command with these files and nothing of this process's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(SLUIS);
        command
            .env_clear()
            .args(args)
            .arg("--config")
            .arg(self.path());
        command
    }

    /// Starts the gateway and waits until it says that it is ready.
    pub(crate) fn serve(&self) -> Gateway {
        let gateway = Gateway::spawn(self.command(&["serve", "--threads", "2"]), self.admin);
        gateway.wait_for("process.ready");
        gateway
    }
}

/// An address that nobody listens on.
pub(crate) fn free() -> SocketAddr {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    any.local_addr().unwrap()
}

/// A gateway that runs. What it tells operators is searched for what is made up: its pages before it
/// is told to end, and its log when all is over.
pub(crate) struct Gateway {
    child: Child,
    admin: SocketAddr,
    log: Arc<Mutex<String>>,
    /// Where its files are, which has letters that stand there by chance.
    folder: String,
}

impl Gateway {
    pub(crate) fn spawn(mut command: Command, admin: SocketAddr) -> Self {
        let folder = command.get_args().last().unwrap_or_default();
        let folder = folder.to_string_lossy().into_owned();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines() {
                let mut log = kept.lock().unwrap();
                log.push_str(&line.unwrap());
                log.push('\n');
            }
        });
        Self {
            child,
            admin,
            log,
            folder,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until an event of that name is in the log, and gives the newest.
    pub(crate) fn wait_for(&self, event: &str) -> Value {
        self.wait_for_nth(event, 1)
    }

    /// Waits until there are so many events of that name, and gives that one.
    pub(crate) fn wait_for_nth(&self, event: &str, nth: usize) -> Value {
        let found = until(|| {
            let log = self.log();
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            { lines }
                .filter(|line| line["event.name"] == event)
                .nth(nth - 1)
        });
        found.unwrap_or_else(|| panic!("no {event} ({nth}) in\n{}", self.log()))
    }

    /// Waits until a text is in what it writes.
    pub(crate) fn wait_for_line(&self, text: &str) {
        let found = until(|| self.log().contains(text).then_some(()));
        found.unwrap_or_else(|| panic!("no {text} in\n{}", self.log()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.search_all(&self.pages());
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits for the end and gives the exit code.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let ended = until(|| self.child.try_wait().unwrap());
        let code = ended.expect("it did not end").code();
        // What was written last is read by now, or in a moment.
        thread::sleep(Duration::from_millis(20));
        (code, self.log())
    }

    /// A page for operators: status and body.
    pub(crate) fn page(&self, path: &str) -> (u16, String) {
        let answer = get(self.admin, path).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (status(head), body.to_owned())
    }

    /// What it tells operators, page by page. One that ends already, or that nobody is to ask, has
    /// none.
    fn pages(&self) -> Vec<(&'static str, String)> {
        let pages = ["/metrics", "/status", "/readyz?verbose"];
        let told = |page| Some((page, said(self.admin, &format!("GET {page}"), "", "").ok()?));
        pages.into_iter().map_while(told).collect()
    }

    fn search_all(&self, told: &[(&str, String)]) {
        told.iter().for_each(|(place, it)| self.search(place, it));
    }

    /// The leak search.
    fn search(&self, place: &str, told: &str) {
        let told = told.replace(&self.folder, "");
        assert_nothing_made_up(place, &told);
        // That one is looked for in encodings too.
        leak::assert_nothing_made_up(place, told.as_bytes());
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.page("/status").1).unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A second panic would hide what went wrong first.
        let looks = !thread::panicking();
        // Not all tests tell it to end.
        let pages = match self.child.try_wait() {
            Ok(None) if looks => self.pages(),
            Ok(_) | Err(_) => Vec::new(),
        };
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
        if looks {
            self.search_all(&pages);
            self.search("the log", &self.log());
        }
    }
}

/// What every pupil that is made up here has in its identifier or its name.
const MADE_UP: [&str; 3] = ["zzq", "noor", "l-0001"];

/// Fails if anything made up stands in what operators or vendors got, in whatever case.
pub(crate) fn assert_nothing_made_up(place: &str, told: &str) {
    let text = told.to_ascii_lowercase();
    for made_up in MADE_UP {
        assert!(!text.contains(made_up), "{made_up} in {place}: {told}");
    }
}

/// Asks until there is an answer, for as long as [`PATIENCE`] lasts.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// One request on a connection of its own; all that comes back.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    get_with(address, path, "")
}

/// The same with these lines in its head.
pub(crate) fn get_with(address: SocketAddr, path: &str, lines: &str) -> std::io::Result<String> {
    exchange(address, &format!("GET {path}"), lines, "")
}

/// PUT of that JSON, with these lines in the head.
pub(crate) fn put_with(
    address: SocketAddr,
    path: &str,
    lines: &str,
    body: &str,
) -> std::io::Result<String> {
    let length = body.len();
    let about = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    let lines = format!("{lines}{about}");
    exchange(address, &format!("PUT {path}"), &lines, body)
}

/// POST of that form.
pub(crate) fn post_form(address: SocketAddr, path: &str, form: &str) -> std::io::Result<String> {
    let length = form.len();
    let lines =
        format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n");
    exchange(address, &format!("POST {path}"), &lines, form)
}

/// Whoever calls here is a vendor or an operator.
fn exchange(address: SocketAddr, what: &str, lines: &str, body: &str) -> std::io::Result<String> {
    let answer = said(address, what, lines, body)?;
    assert_nothing_made_up("what a caller got", &answer);
    Ok(answer)
}

/// What is said to that, not yet searched.
fn said(address: SocketAddr, what: &str, lines: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let first = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    stream.write_all(format!("{first}{lines}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The status of an answer; 0 if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    let digits = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    digits.map_or(0, |digits| digits.parse().unwrap())
}

/// A school's API that says when it is asked, and answers when it is told.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Receiver<()>,
    told: Sender<()>,
}

/// What the school has.
pub(crate) const PUPIL: &str =
    r#"{"pupils":[{"id":"L-0001-zzq","name":"Noor-Marker zzq van Dijk"}]}"#;

impl Upstream {
    /// One that answers at once.
    pub(crate) fn prompt() -> SocketAddr {
        Self::saying(PUPIL)
    }

    /// One that says that at once.
    pub(crate) fn saying(body: &'static str) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || answer(stream.unwrap(), body, || true));
            }
        });
        address
    }

    /// One that answers a single request, when it is [told](Self::tell).
    pub(crate) fn patient() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let ((say, asked), (told, wait)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let may = || say.send(()).is_ok() && wait.recv().is_ok();
            answer(stream, PUPIL, may);
        });
        Self {
            address,
            asked,
            told,
        }
    }

    /// Waits until the request has come.
    pub(crate) fn wait(&self) {
        self.asked.recv_timeout(PATIENCE).unwrap();
    }

    /// Lets it answer.
    pub(crate) fn tell(&self) {
        self.told.send(()).unwrap();
    }
}

/// Reads one request and answers it if it may.
pub(crate) fn answer(mut stream: impl Read + Write, body: &str, may: impl FnOnce() -> bool) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            // The gateway let go of a connection that it did not need.
            Ok(_) | Err(_) => return,
        }
    }
    if may() {
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let answer = format!("{head}content-length: {length}\r\n\r\n{body}");
        // A caller that was broken off does not read it.
        stream.write_all(answer.as_bytes()).unwrap_or_default();
    }
}
