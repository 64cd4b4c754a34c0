//! `sluis serve` and `sluis demo` as processes: start, signals, reload, end.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits by the machine's clock"
)]

mod broken;
mod days;
mod examples;
mod farewell;
mod gateway;
mod home;
mod killed;
mod load;
mod names;
mod nodes;
mod results;
mod schools;
mod systemd;
mod terminal;
mod trust;
mod ways;

#[path = "../it/harness/leak.rs"]
#[expect(
    dead_code,
    clippy::string_slice,
    reason = "the markers of the tests in one process"
)]
mod leak;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::Signal;

use gateway::{Files, Gateway, PUPIL, Upstream, free, get, status, until};

const PUPILS: &str = "/bron/pupils";

/// The body of an answer.
pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn it_says_where_it_listens_whom_it_serves_and_with_which_key() {
    let files = Files::new(Upstream::prompt(), "");
    let gateway = files.serve();
    let ready = gateway.wait_for("process.ready");
    assert_eq!(ready["server.port"], files.public.port());
    assert_eq!(ready["sluis.admin"], files.admin.to_string());
    let vendor = gateway.wait_for("vendor.deployed");
    let ring = fs::read_to_string(files.path().join("keys/ring.toml")).unwrap();
    let fingerprint = vendor["sluis.key.fingerprint"].as_str().unwrap();
    assert!(fingerprint.len() == 16 && ring.contains(fingerprint));
    let status = gateway.status();
    assert_eq!(status["policy_hash"], ready["sluis.policy.hash"]);
    assert_eq!(status["vendors"][0]["key_fingerprint"], fingerprint);
    assert_eq!(gateway.page("/readyz").0, 200);
    gateway.signal(Signal::INT);
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn nothing_of_a_message_is_in_the_log_the_metrics_or_the_status() {
    let files = Files::new(Upstream::prompt(), "[log]\nlevel = \"debug\"\n");
    let gateway = files.serve();
    let answer = get(files.public, PUPILS).unwrap();
    assert_eq!(status(&answer), 200);
    assert!(
        PUPIL.contains("Noor-Marker") && !answer.contains("Noor-Marker"),
        "{answer}"
    );
    let pseudonym = body(&answer).split('"').nth(5).unwrap();
    assert_eq!(pseudonym.len(), 36, "{answer}");
    assert_eq!(
        status(&get(files.public, "/bron/Noor-Marker?x=L-0001").unwrap()),
        404
    );
    gateway.wait_for_nth("request.ended", 2);
    let pages = ["/metrics", "/status", "/readyz?verbose"].map(|page| gateway.page(page).1);
    gateway.signal(Signal::TERM);
    let (_, log) = gateway.end();
    for place in [log.as_str(), &pages[0], &pages[1], &pages[2]] {
        for marker in ["Noor", "noor", "L-0001", pseudonym] {
            assert!(!place.contains(marker), "{marker} in {place}");
        }
    }
    assert!(
        pages[0].contains("sluis_fields_total{action=\"pseudonymised\""),
        "{}",
        pages[0]
    );
}

#[test]
fn sigterm_drops_readiness_and_lets_requests_finish() {
    let upstream = Upstream::patient();
    let files = Files::new(upstream.address, "");
    let gateway = files.serve();
    let public = files.public;
    let caller = thread::spawn(move || get(public, PUPILS));
    upstream.wait();
    gateway.signal(Signal::TERM);
    gateway.wait_for("process.draining");
    let refused = until(|| TcpStream::connect(public).is_err().then_some(()));
    assert!(refused.is_some(), "new connections are still taken");
    assert_eq!(gateway.page("/livez").0, 200);
    let (ready, checks) = gateway.page("/readyz?verbose");
    assert!(ready == 503 && checks.contains("draining"), "{checks}");
    upstream.tell();
    let answer = caller.join().unwrap().unwrap();
    assert_eq!(status(&answer), 200);
    assert!(body(&answer).ends_with("}]}"), "{answer}");
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"sluis.how\":\"drained\""), "{log}");
    assert!(!log.contains("drain_cut"), "{log}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let upstream = Upstream::patient();
    let files = Files::new(upstream.address, "");
    let gateway = files.serve();
    let public = files.public;
    let caller = thread::spawn(move || get(public, PUPILS));
    upstream.wait();
    gateway.signal(Signal::TERM);
    gateway.wait_for("process.draining");
    gateway.signal(Signal::INT);
    let (code, log) = gateway.end();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("\"sluis.how\":\"second_signal\""), "{log}");
    assert_eq!(status(&caller.join().unwrap().unwrap_or_default()), 0);
}

#[test]
fn what_does_not_finish_in_time_is_broken_off() {
    let upstream = Upstream::patient();
    let files = Files::new(upstream.address, "");
    let text = fs::read_to_string(files.path().join("sluis.toml")).unwrap();
    files.write("sluis.toml", &format!("{text}drain = \"300ms\"\n"));
    let gateway = files.serve();
    let public = files.public;
    let caller = thread::spawn(move || get(public, PUPILS));
    upstream.wait();
    gateway.signal(Signal::TERM);
    let cut = gateway.wait_for("process.drain_cut");
    assert_eq!(
        (&cut["level"], &cut["sluis.connections"]),
        (&"WARN".into(), &1.into())
    );
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"sluis.how\":\"time_over\""), "{log}");
    assert_eq!(status(&caller.join().unwrap().unwrap_or_default()), 0);
}

#[test]
fn sighup_takes_the_new_files_from_the_next_request_on() {
    let upstream = Upstream::prompt();
    let files = Files::new(upstream, "");
    let gateway = files.serve();
    let before = get(files.public, PUPILS).unwrap();
    let hash = gateway.status()["policy_hash"].clone();
    files.write_vendor(
        upstream,
        "name = { as = \"constant\", value = \"Leerling\" }",
    );
    gateway.signal(Signal::HUP);
    gateway.wait_for("config.reloaded");
    let after = get(files.public, PUPILS).unwrap();
    let with_name = body(&before).replace("\"}]}", "\",\"name\":\"Leerling\"}]}");
    assert_eq!(body(&after), with_name, "the pseudonym stays");
    let status = gateway.status();
    assert_ne!(status["policy_hash"], hash);
    assert_eq!(status["last_reload"]["successful"], true);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn sighup_with_a_broken_file_keeps_the_old_one_and_says_where() {
    let upstream = Upstream::prompt();
    let files = Files::new(upstream, "");
    let gateway = files.serve();
    let before = get(files.public, PUPILS).unwrap();
    files.write_vendor(upstream, "name = \"keap\"");
    gateway.signal(Signal::HUP);
    let failed = gateway.wait_for("config.reload_failed");
    let problem = failed["sluis.problem"].as_str().unwrap();
    assert!(
        problem.contains("schools/proef/vendors/bron.toml:19:8: error[E041]: no such word: `keap`"),
        "{problem}"
    );
    assert!(
        problem.ends_with("; help: did you mean the word `keep`?"),
        "{problem}"
    );
    assert_eq!(body(&get(files.public, PUPILS).unwrap()), body(&before));
    assert_eq!(gateway.status()["last_reload"]["problem"], problem);
    assert_eq!(gateway.page("/readyz").0, 200);
    let gauge = |value: u8| format!("\nsluis_config_last_reload_successful {value}\n");
    assert!(gateway.page("/metrics").1.contains(&gauge(0)));
    files.write_vendor(upstream, "name = \"drop\"");
    gateway.signal(Signal::HUP);
    gateway.wait_for("config.reloaded");
    assert!(gateway.page("/metrics").1.contains(&gauge(1)));
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn a_reload_that_is_refused_tells_the_cause_and_what_to_do() {
    let upstream = Upstream::prompt();
    let files = Files::new(upstream, "");
    let gateway = files.serve();
    let bron = "schools/proef/vendors/bron.toml";
    let text = fs::read_to_string(files.path().join(bron)).unwrap();
    let boek = text.replace("/bron", "/boek");
    files.write("schools/proef/vendors/boek.toml", &boek);
    gateway.signal(Signal::HUP);
    let failed = gateway.wait_for("config.reload_failed");
    let problem = failed["sluis.problem"].as_str().unwrap();
    assert!(
        problem.contains("sluis.toml:")
            && problem.contains(": error[E067]: there is no key for proef/boek"),
        "{problem}"
    );
    let help = format!("; help: sluis keys new --config {}", files.path().display());
    assert!(problem.contains(&help), "{problem}");
    assert_eq!(failed["sluis.problems"], 1);
    fs::remove_file(files.path().join("schools/proef/vendors/boek.toml")).unwrap();
    // `[vendor]` cannot be read, and `vendor` is missing in the first line because of it.
    files.write(bron, &text.replace("[vendor]", "[vendor"));
    gateway.signal(Signal::HUP);
    let failed = gateway.wait_for_nth("config.reload_failed", 2);
    let problem = failed["sluis.problem"].as_str().unwrap();
    let cause = format!("{bron}:2:8: error[E002]: not TOML: ");
    assert!(problem.contains(&cause), "{failed}");
    assert!(failed["sluis.problems"].as_u64().unwrap() > 1, "{failed}");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn what_needs_a_new_start_is_said_and_left_as_it_is() {
    let upstream = Upstream::prompt();
    let files = Files::new(upstream, "");
    let gateway = files.serve();
    let text = fs::read_to_string(files.path().join("sluis.toml")).unwrap();
    let moved = text.replace(&files.admin.to_string(), &free().to_string());
    files.write("sluis.toml", &format!("{moved}drain = \"1s\"\n"));
    gateway.signal(Signal::HUP);
    for (nth, what) in [(1, "[admin] address"), (2, "[limits] drain")] {
        let finding = gateway.wait_for_nth("config.finding", nth);
        let told =
            format!("{what} has changed, which needs a restart: until then the former holds");
        assert_eq!(finding["sluis.problem"], format!("finding[F19]: {told}"));
    }
    assert_eq!(gateway.page("/readyz").0, 200);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn an_address_that_is_taken_is_said_in_one_line() {
    for whose in ["callers", "operators"] {
        let files = Files::new(free(), "");
        let address = if whose == "callers" {
            files.public
        } else {
            files.admin
        };
        let _taken = TcpListener::bind(address).unwrap();
        let begun = Gateway::spawn(files.command(&["serve"]), files.admin);
        let (code, log) = begun.end();
        assert_eq!(code, Some(69), "{log}");
        let told: Vec<&str> = log.lines().filter(|line| !line.starts_with('{')).collect();
        let expected = format!("sluis cannot start: {address}, for {whose}, cannot be listened on");
        assert!(told.len() == 1 && told[0].starts_with(&expected), "{log}");
        assert!(
            told[0].ends_with("or name another address in sluis.toml"),
            "{log}"
        );
    }
}

#[test]
fn what_cannot_be_read_ends_with_78_and_nothing_listens() {
    type Harm<'h> = &'h dyn Fn(&Files);
    let version = |files: &Files| files.write("sluis.toml", "version = 7\n");
    let master = |files: &Files| fs::remove_file(files.path().join("keys/master.key")).unwrap();
    let certificate = |files: &Files| {
        let text = fs::read_to_string(files.path().join("sluis.toml")).unwrap();
        let tls = "[listen]\ntls = { cert = \"no-such.pem\", key = \"no-such.key\" }";
        files.write("sluis.toml", &text.replace("[listen]", tls));
    };
    let mode = |files: &Files| {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(files.path().join("keys/master.key"), all).unwrap();
    };
    let pinned = |files: &Files| {
        let text = fs::read_to_string(files.path().join("schools/proef/vendors/bron.toml"));
        let key = "[vendor]\nkey = \"0123456789abcdef\"";
        let text = text.unwrap().replace("[vendor]", key);
        files.write("schools/proef/vendors/bron.toml", &text);
    };
    let policy = |files: &Files| files.write_vendor(free(), "name = \"keap\"");
    let broken: [(&str, Harm<'_>); 6] = [
        ("version", &version),
        ("master", &master),
        ("no-such.pem", &certificate),
        ("it must be 0600 or 0400", &mode),
        ("another key is in use", &pinned),
        ("bron.toml:19:8", &policy),
    ];
    for (why, break_it) in broken {
        let files = Files::new(free(), "");
        break_it(&files);
        let (code, log) = Gateway::spawn(files.command(&["serve"]), files.admin).end();
        assert_eq!(code, Some(78), "{log}");
        assert!(log.contains(why), "{why}: {log}");
        assert!(TcpStream::connect(files.public).is_err());
    }
}

#[test]
fn its_memory_is_in_no_core_file_and_its_files_are_its_own() {
    let files = Files::new(free(), "");
    let gateway = files.serve();
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().collect::<Vec<_>>()[4..6],
        ["0", "0"]
    );
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    assert!(status.contains("\nUmask:\t0077\n"), "{status}");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn a_log_that_nobody_reads_any_more_stops_nobody() {
    let files = Files::new(Upstream::prompt(), "[log]\nlevel = \"debug\"\n");
    let mut child = files
        .command(&["serve"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let answered = until(|| {
        get(files.public, PUPILS)
            .ok()
            .filter(|it| status(it) == 200)
    });
    assert!(answered.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_certificate_is_read_again_and_a_broken_one_is_not_taken() {
    let expires = |gateway: &Gateway| gateway.status()["certificate"]["expires"].clone();
    let files = Files::new(Upstream::prompt(), "");
    let certificate = |year: i32| {
        let mut of = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        of.not_after = rcgen::date_time_ymd(year, 7, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        files.write("server.pem", &of.self_signed(&key).unwrap().pem());
        files.write("server.key", &key.serialize_pem());
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(files.path().join("server.key"), private).unwrap();
    };
    certificate(2051);
    let text = fs::read_to_string(files.path().join("sluis.toml")).unwrap();
    let tls = "[listen]\ntls = { cert = \"server.pem\", key = \"server.key\" }";
    files.write("sluis.toml", &text.replace("[listen]", tls));
    let gateway = files.serve();
    assert_eq!(expires(&gateway), "2051-07-31T00:00:00Z");
    certificate(2052);
    gateway.signal(Signal::HUP);
    gateway.wait_for("config.reloaded");
    assert_eq!(expires(&gateway), "2052-07-31T00:00:00Z");
    certificate(2053);
    let seen = until(|| (expires(&gateway) == "2053-07-31T00:00:00Z").then_some(()));
    assert!(seen.is_some(), "without a signal");
    certificate(2052);
    gateway.signal(Signal::HUP);
    gateway.wait_for_nth("config.reloaded", 2);
    let gauge = "\nsluis_tls_certificate_expiry_timestamp_seconds 2605996800\n";
    let metrics = gateway.page("/metrics").1;
    assert!(metrics.contains(gauge), "{metrics}");
    files.write("server.pem", "-----BEGIN CERTIFICATE-----\nnot one\n");
    gateway.signal(Signal::HUP);
    let failed = gateway.wait_for("config.reload_failed");
    assert!(
        failed["sluis.problem"]
            .as_str()
            .unwrap()
            .contains("server.pem"),
        "{failed}"
    );
    assert_eq!(expires(&gateway), "2052-07-31T00:00:00Z");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().0, Some(0));
}

#[test]
fn the_demo_ends_by_itself_where_nobody_watches() {
    for args in [["demo"].as_slice(), &["demo", "--once"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        let output = command.env_clear().args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(
            output.stderr.is_empty() && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        for line in [
            "  password                not-a-password-L-0001              ×",
            "  givenName               Milan                              →  Leerling",
            "  roles[0].role           student                            =  student",
            "  a filter on what it may not see  400 query_invalid",
            "  a collection that is not listed  404 route_unknown",
            "  a token of somebody else         403 caller_forbidden",
            "  All 29 messages that the two vendors received and 3 refusals (53 kB), and the",
            "  passwords and ids of 50 people: none found.",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line:?} is not in\n{text}"
            );
        }
        let home = text.lines().filter(|line| line.ends_with("→  L-0001"));
        assert_eq!(home.count(), 1, "{text}");
        assert!(!text.contains("curl"), "nobody is there to be tried");
    }
}

#[test]
fn the_demo_makes_new_keys_each_time() {
    let pseudonym = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        let output = command.env_clear().arg("demo").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("  sourcedId"))
            .unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_ne!(pseudonym(), pseudonym());
}

#[test]
fn the_demo_minds_no_closed_pipe() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
    command
        .env_clear()
        .arg("demo")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
