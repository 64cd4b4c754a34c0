//! h2spec against the TLS port.

use std::process::Command;

use super::peers::{Peer, Plan, Vendors, all};
use super::row;

/// The program, where it is not in the path.
const PROGRAM: &str = "H2SPEC";
const ALL: &str = "146 tests, 146 passed, 0 skipped, 0 failed";
/// A refusal that needs no body may be there, whole, before the frame that makes the request
/// malformed, which RFC 9113 section 8.1.1 allows and h2spec counts as a failure. So it is run more
/// than once: one run has none of these, and none has any other.
const RUNS: usize = 10;
/// What h2spec got then: the end of a body.
const REFUSED_ALREADY: &str = "Actual: DATA Frame";
const LAST: &str = "flags:0x01";

/// What one run of h2spec prints.
struct Run {
    text: String,
    /// Its last line.
    sum: String,
}

impl Run {
    /// How many failures it counts, and how many of them are none.
    fn failures(&self) -> (usize, usize) {
        let words: Vec<&str> = self.sum.split([',', ' ']).collect();
        let failed = words.iter().rev().nth(1);
        let got = |line: &&str| line.contains(REFUSED_ALREADY) && line.contains(LAST);
        // Each is told where it happens, and once more at the end.
        let (_, at_the_end) = self.text.rsplit_once("Failures:").unwrap_or_default();
        let refused = at_the_end.lines().filter(got).count();
        (failed.unwrap().parse().unwrap(), refused)
    }
}

fn run(program: &str, peer: &Peer) -> Run {
    let (host, port) = (peer.address.ip(), peer.address.port());
    let path = ["--timeout", "2", "--path", "/bron/pupils"];
    let mut command = Command::new(program);
    command.args(["--tls", "--insecure"]).args(path);
    command.args(["--host", &host.to_string(), "--port", &port.to_string()]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let sum = text.lines().rev().find(|line| line.contains("passed"));
    let sum = sum.unwrap_or_default().to_owned();
    Run { text, sum }
}

#[test]
#[ignore = "needs h2spec: the figures of docs/reliability.md"]
fn long_figures_of_h2spec_beside_other_proxies() {
    let program = std::env::var(PROGRAM).unwrap_or_else(|_unset| "h2spec".to_owned());
    let version = Command::new(&program).arg("--version").output();
    version.expect("h2spec is installed, or H2SPEC names it");
    let vendors = Vendors::open();
    let plan = Plan {
        seconds: 10,
        tls: true,
        ..Plan::default()
    };
    row(&["", "passed", "clean runs"]);
    for peer in all(&plan, &vendors) {
        // nginx takes a minute for each run, and is not held to anything.
        let most = peer.gateway().map_or(1, |_ours| RUNS);
        let runs: Vec<Run> = (0..most).map(|_| run(&program, &peer)).collect();
        let clean = runs.iter().filter(|run| run.sum == ALL).count();
        let best = runs.iter().max_by_key(|run| run.sum == ALL);
        row(&[peer.name, &best.unwrap().sum, &format!("{clean}/{most}")]);
        assert!(peer.lives(), "{} ended", peer.name);
        if peer.gateway().is_some() {
            assert_ne!(clean, 0);
            for run in &runs {
                let (failed, refused) = run.failures();
                assert_eq!(failed, refused, "{}", run.text);
            }
        }
    }
}
