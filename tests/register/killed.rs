//! A process that writes is killed at random moments: what it was told is on disk is there.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use sluis::pseudonym::{Asked, Batch, Form, Identifier, Kind, Recall, Register as _};
use sluis::store::Store;

use super::{key, open, pupil, view};

const FILE: &str = "SLUIS_TEST_REGISTER";
const ROUND: &str = "SLUIS_TEST_ROUND";
const WRITERS: usize = 3;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    kill(20);
}

#[test]
#[ignore = "ten times as many rounds as the one above: `make soak`"]
fn long_what_was_acknowledged_survives_many_kills() {
    kill(200);
}

/// The process that is killed: writes batches, and tells of each that is on disk.
#[test]
#[ignore = "run by the tests above, in a process of its own"]
fn writes_until_it_is_killed() {
    let (path, round) = (std::env::var(FILE).unwrap(), std::env::var(ROUND).unwrap());
    let store = open(Path::new(&path)).unwrap();
    say("open");
    let told = Mutex::new(());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, told, round) = (&store, &told, &round);
            scope.spawn(move || write(store, told, &format!("{round}-{writer}")));
        }
    });
}

fn write(store: &Store, told: &Mutex<()>, name: &str) {
    let view = view(store, 7);
    for first in (0_u64..).step_by(100) {
        let ids: Vec<_> = (first..first + 1 + first / 100 % 40)
            .map(|number| format!("{name}-{number}"))
            .collect();
        let mut batch = Batch::new();
        for id in &ids {
            let id = Identifier::new(id);
            view.remember(0, id, Form::Text, &mut batch).unwrap();
        }
        view.settle(batch).wait().unwrap();
        let _one_at_a_time = told.lock().unwrap();
        say(&ids.join(" "));
    }
}

/// Writes a line to standard output at once.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    out.write_all(format!("told: {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn kill(rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("register/register.redb");
    let mut told = Vec::new();
    for round in 0..rounds {
        let before = told.len();
        told.extend(told_until_killed(&path, round));
        let store = open(&path).unwrap();
        assert!(store.state().ids >= told.len().try_into().unwrap());
        // All of the first and the last round; of the others those of this round.
        let all = round == 0 || round + 1 == rounds;
        let from = if all { 0 } else { before };
        check(&store, told.split_at(from).1);
    }
    assert!(
        told.len() > 100,
        "only {} identifiers were told",
        told.len()
    );
    eprintln!("{} identifiers in {rounds} rounds", told.len());
}

fn told_until_killed(path: &Path, round: u64) -> Vec<String> {
    let mut child = Killed(writer(path, round));
    let mut lines = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("told: open\n") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it did not open");
    }
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap();
    thread::sleep(Duration::from_micros(
        u64::from(u16::from_le_bytes(random)) * 2,
    ));
    child.0.kill().unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    // A line without its end may not have been meant.
    let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let told = whole.lines().filter_map(|line| line.strip_prefix("told: "));
    told.flat_map(|line| line.split(' '))
        .map(str::to_owned)
        .collect()
}

fn writer(path: &Path, round: u64) -> Child {
    let this: PathBuf = std::env::current_exe().unwrap();
    Command::new(this)
        .args([
            "--exact",
            "killed::writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FILE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

pub(super) fn check(store: &Store, told: &[String]) {
    let view = view(store, 7);
    view.warm();
    let kind = Kind::new(&key(7), pupil());
    for id in told {
        let (mut pseudonym, mut found) = (Vec::new(), Vec::new());
        kind.write(Identifier::new(id), &mut pseudonym).unwrap();
        let recall = view.recall(
            0,
            str::from_utf8(&pseudonym).unwrap(),
            Asked::First,
            &mut found,
        );
        let form = Form::Text;
        assert_eq!(
            recall,
            Recall::Found { form, age: 0 },
            "{id} was told, and is gone"
        );
        assert_eq!(found, id.as_bytes());
    }
}
