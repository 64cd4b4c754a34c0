//! The way home of a process that ends, is killed, or gets another key between a pull and a result.

use std::collections::BTreeSet;
use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::{Files, Gateway, get, put_with, status, until};

/// Pupils of a group of the school.
pub(crate) const PUPILS: usize = 40;

/// The group whose page comes in pieces.
const GROUP_IN_PIECES: usize = 9_000;

/// A group with more pupils than a commit takes, and so many.
const GROUP_OF_MANY: usize = 9_001;
const MANY: usize = 25_000;

/// A school's API that gives its pupils, a group at a time, and keeps what is sent to it.
pub(crate) struct School {
    pub(crate) address: SocketAddr,
    /// Path and body of every request with one.
    received: Arc<Mutex<Vec<(String, Value)>>>,
    /// Where else the answer to a GET leads, in its head and in its body.
    links: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn pupil(number: usize) -> String {
    format!("L-zzq-{number:04}")
}

impl School {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let school = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            links: Arc::default(),
        };
        let (received, links) = (Arc::clone(&school.received), Arc::clone(&school.links));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (received, links) = (Arc::clone(&received), Arc::clone(&links));
                thread::spawn(move || serve(&stream.unwrap(), &received, &links));
            }
        });
        school
    }

    /// What has been sent to it so far.
    pub(crate) fn received(&self) -> Vec<(String, Value)> {
        self.received.lock().unwrap().clone()
    }

    /// As if nothing had been sent to it.
    pub(crate) fn forget(&self) {
        self.received.lock().unwrap().clear();
    }

    pub(crate) fn links_to(&self, links: &[String]) {
        *self.links.lock().unwrap() = links.to_vec();
    }
}

/// Answers requests until the caller closes.
fn serve(stream: &TcpStream, received: &Mutex<Vec<(String, Value)>>, links: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = read_request(&mut reader) {
        let line = &head[0];
        let links = links.lock().unwrap().clone();
        let answer = if line.starts_with("GET ") {
            let first = PUPILS * group(line);
            let count = match group(line) {
                GROUP_OF_MANY => MANY,
                _ => PUPILS,
            };
            let pupils: Vec<Value> = (first..first + count)
                .map(|number| json!({"id": pupil(number), "number": number}))
                .collect();
            json!({ "pupils": pupils, "about": links })
        } else {
            let path = line.split(' ').nth(1).unwrap().to_owned();
            let body = serde_json::from_slice(&body).unwrap();
            received.lock().unwrap().push((path, body));
            json!({"taken": true})
        };
        let (body, mut stream) = (answer.to_string(), stream);
        let links = { links.iter() }.map(|link| format!("link: <{link}>; rel=\"first\"\r\n"));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        // At once: in pieces, each would wait for the other end.
        let lines = links.collect::<String>();
        let answer = format!("{head} {}\r\n{lines}\r\n{body}", body.len());
        let pieces = if group(line) == GROUP_IN_PIECES { 8 } else { 1 };
        for piece in answer.as_bytes().chunks(answer.len().div_ceil(pieces)) {
            if stream.write_all(piece).is_err() {
                return;
            }
            if pieces > 1 {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// The group that a request is about; the first one, if it names none.
fn group(line: &str) -> usize {
    let named = line.strip_prefix("GET /groups/");
    let number = named.and_then(|rest| rest.split('/').next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// The lines of the head and the body of a request; `None` when there are no more.
pub(crate) fn read_request(reader: &mut impl std::io::BufRead) -> Option<(Vec<String>, Vec<u8>)> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    (!head.is_empty()).then_some((head, body))
}

/// A gateway between a vendor that pulls and sends results, and a school.
pub(crate) fn files(school: &School) -> Files {
    let files = Files::new(school.address, "[log]\nlevel = \"debug\"\n");
    write_vendor(&files, school, 2);
    files
}

pub(crate) fn write_vendor(files: &Files, school: &School, accept_keys: usize) {
    let file = vendor_file(school.address, accept_keys);
    files.write("schools/proef/vendors/bron.toml", &file);
}

/// The file of a vendor that pulls from this school and sends results to it.
pub(crate) fn vendor_file(school: SocketAddr, accept_keys: usize) -> String {
    format!(
        r#"version = 1
[vendor]
name = "Bron"
agreement = "T-1"
purpose = "Tests"
contact = "privacy@bron.example"
valid = {{ from = 2020-01-01, until = 2099-12-31 }}

[ids.pupil]
back = "school-only"
accept-keys = {accept_keys}

[flow.pull]
caller = "vendor"
at = "/bron"
upstream = "http://{school}"
callers = "anyone"

[[flow.pull.route]]
match = ["GET /pupils", "GET /groups/{{group:int}}/pupils"]
to-vendor = {{ pupils = "Pupil[]" }}

[[flow.pull.route]]
match = ["PUT /results/{{result:slug}}/of/{{pupil}}", "POST /results/{{result:slug}}/of/{{pupil}}"]
from-vendor = "Result"
to-vendor = {{ taken = "keep:bool" }}

[shape.Pupil]
id = "pupil"
number = "keep:int"

[shape.Result]
student = "pupil"
score = "keep:int"
"#
    )
}

/// The pseudonyms of all pupils, in the school's order.
pub(crate) fn pull(files: &Files) -> Vec<String> {
    pseudonyms_of(0, &get(files.public, "/bron/pupils").unwrap())
}

/// The pseudonyms in an answer that shows that group.
pub(crate) fn pseudonyms_of(group: usize, answer: &str) -> Vec<String> {
    assert_eq!(status(answer), 200, "{answer}");
    assert!(!answer.contains("zzq"), "{answer}");
    let pupils: Value = serde_json::from_str(crate::body(answer)).unwrap();
    let pupils = pupils["pupils"].as_array().unwrap().iter();
    let pseudonyms = (PUPILS * group..).zip(pupils).map(|(number, pupil)| {
        assert_eq!(pupil["number"], number);
        pupil["id"].as_str().unwrap().to_owned()
    });
    let pseudonyms: Vec<String> = pseudonyms.collect();
    let different: BTreeSet<_> = pseudonyms.iter().collect();
    assert_eq!(different.len(), PUPILS);
    pseudonyms
}

/// Sends a result of the pupils with these pseudonyms, and gives the answer.
pub(crate) fn send(
    files: &Files,
    result: &str,
    in_path: &str,
    in_body: &str,
) -> std::io::Result<String> {
    let body = json!({"student": in_body, "score": 7}).to_string();
    let target = format!("/bron/results/{result}/of/{in_path}");
    put_with(files.public, &target, "", &body)
}

/// Sends a result of every pupil, named `prefix` and the pupil's number.
pub(crate) fn send_all(files: &Files, prefix: &str, pseudonyms: &[String]) {
    for (number, pseudonym) in pseudonyms.iter().enumerate() {
        let answer = send(files, &format!("{prefix}-{number}"), pseudonym, pseudonym).unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

/// Sends one result after the other until it is told to stop, and counts them.
fn send_until(
    files: &Files,
    vendor: usize,
    pseudonyms: &[String],
    (done, sent): (&AtomicBool, &AtomicUsize),
) {
    let rounds = (0..).take_while(|_| !done.load(Ordering::Relaxed));
    for round in rounds {
        let number: usize = round % PUPILS;
        let (name, whose) = (
            format!("load-{vendor}-{round}-{number}"),
            &pseudonyms[number],
        );
        let answer = send(files, &name, whose, whose).unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every result that the school has is of the pupil whose number it bears, and came once; gives
/// their names.
pub(crate) fn landed(school: &School) -> BTreeSet<String> {
    let received = school.received();
    let all = received.len();
    let names = received.into_iter().map(|(path, body)| {
        let mut words = path.split('/').skip(2);
        let (name, whose) = (words.next().unwrap(), words.nth(1).unwrap());
        let number: usize = name.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!((whose, &body["student"]), (&*pupil(number), &json!(whose)));
        name.to_owned()
    });
    let names: BTreeSet<String> = names.collect();
    assert_eq!(names.len(), all, "a result came twice");
    names
}

pub(crate) fn stop(gateway: Gateway, signal: Signal) -> String {
    gateway.signal(signal);
    let (code, log) = gateway.end();
    let expected = (signal == Signal::TERM).then_some(0);
    assert_eq!(code, expected, "{log}");
    assert!(!log.contains("zzq"), "{log}");
    log
}

/// `keys rotate`, with what else is said.
pub(crate) fn rotate(files: &Files, more: &[&str]) {
    let mut rotated = files.command(&["keys", "rotate", "bron", "--reason", "a test"]);
    let rotated = rotated.args(more).output().unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
}

#[test]
fn a_result_lands_after_an_end_a_kill_and_a_rotation() {
    let school = School::open();
    let files = files(&school);
    let gateway = files.serve();
    let first = pull(&files);
    // Killed right after the answer: what it gave out is on disk.
    stop(gateway, Signal::KILL);

    let gateway = files.serve();
    send_all(&files, "killed", &first);
    stop(gateway, Signal::TERM);

    rotate(&files, &[]);
    let gateway = files.serve();
    send_all(&files, "rotated", &first);
    let second = pull(&files);
    assert!(first.iter().all(|old| !second.contains(old)));
    stop(gateway, Signal::KILL);

    let gateway = files.serve();
    send_all(&files, "old", &first);
    send_all(&files, "new", &second);
    stop(gateway, Signal::TERM);
    assert_eq!(landed(&school).len(), 4 * PUPILS);
}

#[test]
fn the_state_of_the_register_is_shown_and_nothing_in_it() {
    let school = School::open();
    let files = files(&school);
    let gateway = files.serve();
    let pseudonyms = pull(&files);
    send_all(&files, "first", &pseudonyms);
    let register = || gateway.status()["register"].clone();
    let metric = |line: &str| gateway.page("/metrics").1.lines().any(|it| it == line);
    let held = json!({ "proef": PUPILS });
    let well = register();
    assert_eq!(well["identifiers"], held);
    assert_eq!(
        (&well["store"], &well["usable"]),
        (&json!("redb"), &json!(true))
    );
    assert_eq!(
        (&well["trouble"], &well["since"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(well["seconds_behind"], json!(null), "nobody else writes it");
    let verbose = gateway.page("/readyz?verbose");
    assert!(
        verbose.1.contains("[+] register: takes identifiers\n"),
        "{verbose:?}"
    );
    for line in [
        format!(r#"sluis_register_ids{{school="proef"}} {PUPILS}"#),
        r#"sluis_register_usable{store="redb"} 1"#.to_owned(),
        r#"sluis_register_commit_duration_seconds_count{store="redb"} 1"#.to_owned(),
    ] {
        assert!(metric(&line), "{line}");
    }

    std::fs::remove_file(files.path().join("state/register.redb")).unwrap();
    let unwell = until(|| Some(register()).filter(|it| it["usable"] == false)).unwrap();
    assert_eq!(unwell["identifiers"], held);
    assert_eq!(unwell["trouble"], "file_moved");
    assert!(unwell["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(gateway.page("/readyz"), (200, "ok\n".to_owned()));
    let verbose = gateway.page("/readyz?verbose");
    let told = "[!] register: file_moved: it is not the one we wrote in, so every identifier with a \
                way back is refused; put the newest copy back, or restart with what is there\nok\n";
    assert!(verbose.1.ends_with(told), "{verbose:?}");
    assert!(metric(r#"sluis_register_usable{store="redb"} 0"#));
    assert!(metric(
        r#"sluis_register_failures_total{reason="file_moved"} 1"#
    ));
    let failed = gateway.wait_for("register.failed");
    assert_eq!(failed["error.type"], "file_moved");
    let pages = ["/status", "/metrics", "/readyz?verbose"].map(|page| gateway.page(page).1);
    let log = stop(gateway, Signal::TERM);
    for text in pages.iter().chain([&log]) {
        assert!(!text.contains("zzq"), "{text}");
        let shown = pseudonyms.iter().find(|it| text.contains(it.as_str()));
        assert_eq!(shown, None, "{text}");
    }
}

#[test]
fn a_page_that_comes_in_pieces_is_one_commit() {
    let school = School::open();
    let files = files(&school);
    let gateway = files.serve();
    assert_eq!(commits_of(&files, &gateway, GROUP_IN_PIECES, PUPILS), 1);
    stop(gateway, Signal::TERM);
}

#[test]
fn what_is_held_back_is_on_disk_in_commits_of_bounded_size() {
    let school = School::open();
    let files = files(&school);
    let own = std::fs::read_to_string(files.path().join("sluis.toml")).unwrap();
    let held_back = own.replace("[limits]\n", "[limits]\nhold-back = \"8 MiB\"\n");
    assert_ne!(own, held_back);
    files.write("sluis.toml", &held_back);
    let gateway = files.serve();
    // Each has ten thousand, and what came with the last of them.
    let commits = commits_of(&files, &gateway, GROUP_OF_MANY, MANY);
    assert!((2..=3).contains(&commits), "{commits}");
    stop(gateway, Signal::TERM);
}

/// Fetches a group of so many pupils that are all new, and gives the number of commits.
fn commits_of(files: &Files, gateway: &Gateway, group: usize, pupils: usize) -> usize {
    let answer = get(files.public, &format!("/bron/groups/{group}/pupils")).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(answer.matches("\"id\"").count(), pupils);
    assert!(!answer.contains("zzq"));
    let count = r#"sluis_register_commit_duration_seconds_count{store="redb"} "#;
    let metrics = gateway.page("/metrics").1;
    let count = metrics.lines().find_map(|line| line.strip_prefix(count));
    count
        .unwrap_or_else(|| panic!("{metrics}"))
        .parse()
        .unwrap()
}

#[test]
fn a_rotation_under_load_loses_no_result() {
    let school = School::open();
    let files = files(&school);
    let gateway = files.serve();
    let old = pull(&files);
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let more = |than: usize| {
        let enough = until(|| (sent.load(Ordering::Relaxed) >= than).then_some(()));
        assert!(enough.is_some(), "results do not get through");
        sent.load(Ordering::Relaxed)
    };
    thread::scope(|scope| {
        for vendor in 0..3 {
            let (files, old, done, sent) = (&files, &old, &done, &sent);
            scope.spawn(move || send_until(files, vendor, old, (done, sent)));
        }
        let before = more(100);
        rotate(&files, &[]);
        let between = more(before + 100);
        gateway.signal(Signal::HUP);
        gateway.wait_for("config.reloaded");
        more(between + 100);
        let new = pull(&files);
        assert!(old.iter().all(|pseudonym| !new.contains(pseudonym)));
        send_all(&files, "new", &new);
        done.store(true, Ordering::Relaxed);
    });
    let landed = landed(&school);
    let load = landed.iter().filter(|name| name.starts_with("load-"));
    assert_eq!(load.count(), sent.load(Ordering::Relaxed));
    assert_eq!(landed.len(), sent.load(Ordering::Relaxed) + PUPILS);
    let metrics = gateway.page("/metrics").1;
    assert!(count(&metrics, "brought_home_old") >= 200, "{metrics}");
    assert!(count(&metrics, "brought_home") >= 2 * 200, "{metrics}");

    write_vendor(&files, &school, 1);
    gateway.signal(Signal::HUP);
    gateway.wait_for_nth("config.reloaded", 2);
    let new = pull(&files);
    let before = school.received().len();
    for (in_path, in_body, expected) in [(&old, &new, 404), (&new, &old, 422)] {
        let answer = send(&files, "late-1", &in_path[1], &in_body[1]).unwrap();
        assert_eq!(status(&answer), expected, "{answer}");
    }
    assert_eq!(school.received().len(), before, "nothing was forwarded");
    let metrics = gateway.page("/metrics").1;
    assert_eq!(count(&metrics, "pseudonym_retired"), 2, "{metrics}");
    send_all(&files, "last", &new);
    assert!(!metrics.contains("zzq"));
    stop(gateway, Signal::TERM);
}

/// How many fields from the vendor something was done to.
pub(crate) fn count(metrics: &str, action: &str) -> u64 {
    let name = format!(
        r#"sluis_fields_total{{action="{action}",direction="from_vendor",vendor="bron"}} "#
    );
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn who_objects_while_it_runs_is_withheld_without_a_reload() {
    let school = School::open();
    let files = files(&school);
    let vendor = "schools/proef/vendors/bron.toml";
    let text = std::fs::read_to_string(files.path().join(vendor)).unwrap();
    let except = "[except]\npupil = \"lists/who.txt\"\n[ids.pupil]";
    files.write(vendor, &text.replace("[ids.pupil]", except));
    files.write("schools/proef/lists/who.txt", "# nobody yet\n");
    let gateway = files.serve();
    // What was written a moment ago may not be whole.
    let rests = until(|| {
        let answer = get(files.public, "/bron/pupils").unwrap();
        (status(&answer) == 200).then_some(())
    });
    assert!(rests.is_some(), "nobody sees it at rest");
    assert_eq!(pull(&files).len(), PUPILS);
    files.write("schools/proef/lists/who.txt", &pupil(3));
    let fewer = until(|| {
        let answer = get(files.public, "/bron/pupils").unwrap();
        (answer.matches("\"id\"").count() == PUPILS - 1).then_some(())
    });
    assert!(fewer.is_some(), "nobody looks at the list");
    let log = stop(gateway, Signal::TERM);
    assert!(!log.contains(&pupil(3)), "{log}");
}
