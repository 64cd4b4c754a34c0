//! `sluis demo` where somebody watches: it stays, to be tried, until Ctrl-C, unless told otherwise.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

/// Runs a command on a terminal of its own, and ends as it does.
const ON_A_TERMINAL: &str = "import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// What Ctrl-C sends.
const INTERRUPT: &[u8] = b"\x03";

#[test]
fn the_demo_on_a_terminal_stays_to_be_tried_until_it_is_interrupted() {
    let mut terminal = Terminal::with(&["demo"]);
    let mut keys = terminal.0.stdin.take().unwrap();
    let mut lines = BufReader::new(terminal.0.stdout.take().unwrap()).lines();
    let mut shown = Vec::new();
    while !shown.iter().any(|line: &String| line.contains("/status'")) {
        shown.push(lines.next().expect("it stays").unwrap());
    }
    let commands = commands(&shown);
    let answers: Vec<String> = commands.iter().map(|command| run(command)).collect();
    let [roster, school, parameter, route, pushed, received, status] = &*answers else {
        panic!("{commands:#?}");
    };
    assert!(school.contains("\"givenName\""), "{school}");
    assert!(roster.contains("\"users\""), "{roster}");
    assert!(!roster.contains("\"givenName\":\"Milan\""), "{roster}");
    assert!(parameter.starts_with("HTTP/1.1 400 "), "{parameter}");
    assert!(parameter.contains("query_invalid"), "{parameter}");
    assert!(route.starts_with("HTTP/1.1 404 "), "{route}");
    assert!(route.contains("route_unknown"), "{route}");
    assert!(pushed.contains("accepted"), "{pushed}");
    assert!(received.contains("Leerling"), "{received}");
    assert!(status.contains("policy_hash"), "{status}");
    keys.write_all(INTERRUPT).unwrap();
    keys.flush().unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(terminal.0.wait().unwrap().code(), Some(0), "{rest:?}");
}

#[test]
fn the_demo_on_a_terminal_ends_by_itself_when_it_is_shown_once() {
    let mut terminal = Terminal::with(&["demo", "--once"]);
    // Somebody sits there and types nothing.
    let keys = terminal.0.stdin.take().unwrap();
    let mut shown = Vec::new();
    for line in BufReader::new(terminal.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        assert!(!line.contains("Ctrl-C"), "it stays: {line}");
        shown.push(line);
    }
    let is_whole = shown.iter().any(|line| line.contains("none found"));
    assert!(is_whole, "{shown:#?}");
    assert_eq!(terminal.0.wait().unwrap().code(), Some(0), "{shown:#?}");
    drop(keys);
}

/// Whoever sits there goes when the test does, and with the terminal what runs on it.
struct Terminal(Child);

impl Terminal {
    /// One on which the binary runs with these words.
    fn with(args: &[&str]) -> Self {
        let mut command = Command::new("python3");
        command
            .args(["-c", ON_A_TERMINAL, env!("CARGO_BIN_EXE_sluis")])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        drop(self.0.wait());
    }
}

/// The commands that are shown, each on one line.
fn commands(shown: &[String]) -> Vec<String> {
    let text = shown.join("\n").replace('\r', "").replace("\\\n", "");
    let commands = { text.lines() }.filter(|line| line.starts_with("  curl "));
    commands
        .map(|line| line.split("    also").next().unwrap().trim().to_owned())
        .collect()
}

/// What a command says, typed as it is shown.
fn run(command: &str) -> String {
    let typed = command.replace("curl ", "curl -sS --noproxy '*' --max-time 20 ");
    let said = Command::new("sh").args(["-c", &typed]).output().unwrap();
    assert!(said.status.success(), "{command}: {said:?}");
    String::from_utf8(said.stdout).unwrap()
}
