//! What the rewriter does for each golden case, and the guard for one head, counted in instructions
//! under callgrind, beside what they did before (`instructions.txt`).
//!
//! Of several runs of a case the least counts: what the allocator has to tidy up differs. That is the
//! same on every machine, so two in a hundred more are more work and no noise.
//! `BLESS=1` writes down what is counted. Another compiler makes other instructions: its first run
//! is a new beginning.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::unwrap_in_result,
    clippy::disallowed_macros,
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "a benchmark stops where it fails, and says what it found"
)]

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

#[path = "../tests/json/golden.rs"]
#[expect(dead_code, reason = "what checks the cases")]
mod golden;
#[path = "../tests/oracle/mod.rs"]
#[expect(dead_code, reason = "what the cases are checked against")]
mod oracle;

mod heads;

use golden::Case;
use oracle::compare::Feeding;
use sluis::guard::{Answers, Expected, Reader, Requests};
use sluis::limits::Limits;

/// More or less than that in a hundred is told.
const DRIFT: u64 = 2;
/// So often each case is counted.
const RUNS: usize = 8;
/// Under which this program runs every case.
const COUNTED: &str = "counted";
/// What is counted.
const COUNTED_CASE: &str = "instructions::counted_case";
/// The heads, behind the golden cases.
const HEADS: [&str; 2] = ["guard: head of a request", "guard: head of an answer"];

fn main() {
    if std::env::args().any(|argument| argument == COUNTED) {
        return run_cases();
    }
    let folder = tempfile::tempdir().unwrap();
    let counts = count(folder.path());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let text = written(&counts);
    if std::env::var_os("BLESS").is_some() || compiler_of(&before) != compiler_of(&text) {
        fs::write(&file, text).unwrap();
        println!("{} cases written to {}", counts.len(), file.display());
        return;
    }
    let drifted: Vec<String> = drifted(&counts, &before);
    if !drifted.is_empty() {
        panic!(
            "not as benches/instructions.txt has it; BLESS=1 if that is meant:\n{}",
            drifted.join("\n")
        );
    }
    println!("{} cases, each within {DRIFT} % of before", counts.len());
}

/// Each case once to make what is made once, and then to be counted.
fn run_cases() {
    for folder in golden::cases() {
        let case = Case::read("case", &folder).unwrap();
        let begin = || Feeding::begin(&case.way, case.root);
        drop(begin().feed([&case.message]));
        for _ in 0..RUNS {
            let (mut feeding, mut done) = (Some(begin()), None);
            counted_case(&mut || {
                let feeding = feeding.take().unwrap();
                done = Some(feeding.feed([black_box(&*case.message)]));
            });
            drop(black_box(done));
        }
    }
    let limits = Limits::default();
    let mut requests = Requests::new(&limits);
    requests.look(heads::REQUEST.as_bytes());
    for _ in 0..RUNS {
        counted_head(&mut requests, heads::REQUEST);
    }
    for _ in 0..RUNS {
        let mut answers = Answers::new(&limits);
        answers.expect(Expected::Body);
        counted_head(&mut answers, heads::ANSWER);
    }
}

/// Known to callgrind by its name: all that is counted is done in it.
#[inline(never)]
fn counted_case(work: &mut dyn FnMut()) {
    work();
}

fn counted_head(reader: &mut impl Reader, head: &str) {
    let mut shown = 0;
    counted_case(&mut || shown = reader.look(black_box(head.as_bytes())).shown);
    assert_eq!(black_box(shown), head.len());
}

/// Instructions by case.
fn count(folder: &Path) -> BTreeMap<String, u64> {
    let out = folder.join("callgrind");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
        .args(["toggle-collect", "dump-after"].map(|when| format!("--{when}={COUNTED_CASE}")))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .arg(COUNTED)
        .status();
    assert!(status.unwrap().success(), "valgrind failed");
    let total = |dump: usize| -> u64 {
        let dump = fs::read_to_string(format!("{}.{dump}", out.display())).unwrap();
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        total.unwrap().trim().parse().unwrap()
    };
    let golden = golden::cases().into_iter();
    let golden = golden.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned());
    let names = golden.chain(HEADS.map(str::to_owned));
    let counted = names.enumerate().map(|(case, name)| {
        let first = case * RUNS + 1;
        let least = (first..first + RUNS).map(total).min().unwrap();
        assert!(
            least > 0,
            "callgrind knows no names: run it with `--profile release`"
        );
        (name, least)
    });
    counted.collect()
}

/// The first line says with what they were made.
fn written(counts: &BTreeMap<String, u64>) -> String {
    let compiler = Command::new("rustc").arg("--version").output().unwrap();
    let mut text = String::from_utf8(compiler.stdout).unwrap();
    for (name, count) in counts {
        text.push_str(&format!("{name} {count}\n"));
    }
    text
}

fn compiler_of(text: &str) -> Option<&str> {
    text.lines().next()
}

/// What is not within [`DRIFT`] of before, or is there on one side only.
fn drifted(counts: &BTreeMap<String, u64>, before: &str) -> Vec<String> {
    let before: BTreeMap<&str, u64> = before
        .lines()
        .skip(1)
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, count)| (name, count.parse().unwrap()))
        .collect();
    let gone = before.keys().filter(|name| !counts.contains_key(**name));
    let gone = gone.map(|name| format!("{name}: is no case any more"));
    let changed = counts.iter().filter_map(|(name, now)| {
        let Some(was) = before.get(name.as_str()) else {
            return Some(format!("{name}: {now}, and was not counted before"));
        };
        let within = now.abs_diff(*was) * 100 <= was * DRIFT;
        (!within).then(|| format!("{name}: {now}, and was {was}"))
    });
    gone.chain(changed).collect()
}
