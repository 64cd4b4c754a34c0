//! The command line, as people and programs meet it: transcripts in `tests/cli/*.toml`, and what a
//! transcript cannot say.
//!
//! ```toml
//! why = "what this shows"
//! base = true                        # begin with the files of `BASE`
//! [files]                            # path = text; an empty text removes the file
//! [modes]                            # path = "644"; keys are 600 if nothing is said
//! [[run]]                            # one after the other in the same folder
//! args   = ["check"]
//! stdin  = ""
//! status = 0
//! stdout = ''' … '''
//! stderr = ''' … '''
//! ```
//!
//! What is random is written as `<…>`: fingerprints of new keys, the hashes they are part of, and
//! the day on which a key is made.
//! `BLESS=1` writes the runs anew; read them before they are committed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use toml::de::{DeTable, DeValue};

const SLUIS: &str = env!("CARGO_BIN_EXE_sluis");

/// A gateway with one school and one vendor. The keys are fakes that everyone knows: the master key
/// is the bytes 96 to 127, the vendor's key the bytes 0 to 31.
const BASE: &[(&str, &str)] = &[
    (
        "config/sluis.toml",
        r#"version = 1
[listen]
address = "127.0.0.1:8080"
[keys]
master = { file = "keys/master.key" }
ring   = "keys/ring.toml"
"#,
    ),
    (
        "config/keys/master.key",
        "sluis-master-1-YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8-025fc299\n",
    ),
    (
        "config/keys/ring.toml",
        r#"version = 1
[[key]]
school      = "regenboog"
vendor      = "rekenwijs"
version     = 1
wrapped     = "zRKvbJs60LyuMdDR832CuD6tsId-jaLzTqihuuUyyoy3PyC4TyF0DUYS3qbebM4h"
fingerprint = "41fcfbb21dbaeda8"
"#,
    ),
    (
        "config/schools/regenboog/school.toml",
        r#"version = 1
[school]
name    = "De Regenboog"
public  = "http://127.0.0.1:8080"
contact = "privacy@regenboog.example"
"#,
    ),
    (
        "config/schools/regenboog/vendors/rekenwijs.toml",
        r#"version = 1
[vendor]
name      = "Rekenwijs"
agreement = "TEST-1"
purpose   = "Tests"
contact   = "privacy@rekenwijs.example"
valid     = { from = 2020-01-01, until = 2099-12-31 }

[ids.pupil]

[flow.pull]
caller   = "vendor"
upstream = "http://127.0.0.1:9101"
callers  = "anyone"

[[flow.pull.route]]
match     = "GET /pupils"
to-vendor = { pupils = "Pupil[]" }

[shape.Pupil]
id = "pupil"
"#,
    ),
];

/// A folder of files in which commands are run.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The fingerprint of the key that is prepared, if one is.
    fn prepared_key(&self) -> Option<String> {
        let ring = fs::read_to_string(self.path("config/keys/ring.toml")).ok()?;
        let (before, _) = ring.split_once("\nstate       = \"prepared\"")?;
        before.rsplit('"').nth(1).map(str::to_owned)
    }

    fn with_base() -> Self {
        let place = Self::new();
        BASE.iter().for_each(|(path, text)| place.write(path, text));
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        let mode = if path.contains("/keys/") {
            0o600
        } else {
            0o644
        };
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    }

    /// The command, with nothing of this process's environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(SLUIS);
        command.args(args).current_dir(self.0.path()).env_clear();
        command
    }

    fn run(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read may be gone already.
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap_or_default();
        child.wait_with_output().unwrap()
    }
}

#[test]
fn every_transcript_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let wrong: Vec<String> = files.iter().flat_map(|file| differences(file)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What a transcript expects and does not get.
fn differences(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let document = DeTable::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let document = document.get_ref();
    assert!(document.get("why").is_some(), "{name} does not say why");
    let place = if document.get("base").is_some() {
        Place::with_base()
    } else {
        Place::new()
    };
    for (path, text) in texts(document, "files") {
        match text.as_str() {
            "" => fs::remove_file(place.path(&path)).unwrap(),
            text => place.write(&path, text),
        }
    }
    for (path, mode) in texts(document, "modes") {
        let mode = Permissions::from_mode(u32::from_str_radix(&mode, 8).unwrap());
        fs::set_permissions(place.path(&path), mode).unwrap();
    }
    let runs = document["run"].get_ref().as_array().unwrap();
    let runs: Vec<Run> = runs
        .iter()
        .map(|run| Run::read(run.get_ref().as_table().unwrap()))
        .collect();
    let seen: Vec<Run> = runs.iter().map(|run| run.again(&place)).collect();
    if bless() {
        let head = text.split_once("[[run]]").unwrap().0;
        let runs: String = seen.iter().map(Run::text).collect();
        fs::write(file, format!("{head}{}", runs.trim_start())).unwrap();
        return Vec::new();
    }
    let different = (1..)
        .zip(runs.iter().zip(&seen))
        .filter(|(_, (run, seen))| run != seen);
    let different = different.map(|(number, (run, seen))| {
        format!(
            "{name}, run {number}: expected{}\nseen{}",
            run.text(),
            seen.text()
        )
    });
    different.collect()
}

/// One command and what it gives.
#[derive(PartialEq, Eq)]
struct Run {
    args: Vec<String>,
    stdin: String,
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn read(run: &DeTable<'_>) -> Self {
        let text = |key: &str| {
            run.get(key)
                .map_or("", |text| text.get_ref().as_str().unwrap())
                .to_owned()
        };
        let args = run["args"].get_ref().as_array().unwrap().iter();
        let status = run.get("status").map(|status| {
            let number = status.get_ref().as_integer().unwrap();
            number.as_str().parse().unwrap()
        });
        Self {
            args: args
                .map(|arg| arg.get_ref().as_str().unwrap().to_owned())
                .collect(),
            stdin: text("stdin"),
            status,
            stdout: text("stdout"),
            stderr: text("stderr"),
        }
    }

    /// The same command, with what it gives now.
    fn again(&self, place: &Place) -> Self {
        let prepared = place.prepared_key();
        let args = self.args.iter().map(|arg| match (arg.as_str(), &prepared) {
            ("<prepared>", Some(key)) => key,
            (arg, _) => arg,
        });
        let args: Vec<&str> = args.collect();
        let output = place.run(&args, &self.stdin);
        Self {
            args: self.args.clone(),
            stdin: self.stdin.clone(),
            status: output.status.code(),
            stdout: seen(&output.stdout),
            stderr: seen(&output.stderr),
        }
    }

    fn text(&self) -> String {
        let quoted = |text: &String| {
            let text = serde_json::to_string(text).unwrap();
            text.replace('\u{200b}', "\\u200b")
        };
        let args: Vec<String> = self.args.iter().map(quoted).collect();
        let mut text = format!("\n[[run]]\nargs   = [{}]\n", args.join(", "));
        if !self.stdin.is_empty() {
            text.push_str(&format!("stdin  = {}\n", quoted(&self.stdin)));
        }
        text.push_str(&format!("status = {}\n", self.status.unwrap()));
        for (key, value) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            assert!(!value.contains("'''"));
            if !value.is_empty() {
                text.push_str(&format!("{key} = '''\n{value}'''\n"));
            }
        }
        text
    }
}

/// Output with what is random replaced, and the version.
fn seen(output: &[u8]) -> String {
    let text = str::from_utf8(output).unwrap();
    let version = concat!("sluis ", env!("CARGO_PKG_VERSION"));
    let text = text.replace(version, "sluis <version>");
    let before = r#"(?:fingerprint|policy|--key|prepared:|no key) |"?fingerprint"?[:=] ?"|key = ""#;
    let random = format!("({before})([0-9a-f]{{16}})");
    let known = "41fcfbb21dbaeda8";
    let replaced = regex::Regex::new(&random).unwrap();
    let replaced = replaced.replace_all(&text, |found: &regex::Captures<'_>| match &found[2] {
        digits if digits == known => found[0].to_owned(),
        _ => format!("{}<random>", &found[1]),
    });
    let day = regex::Regex::new(
        r#"(made |since |prepared on |"made": "|"used": "|pupil,)[0-9]{4}-[0-9]{2}-[0-9]{2}"#,
    )
    .unwrap();
    day.replace_all(&replaced, "${1}<today>").into_owned()
}

fn texts(document: &DeTable<'_>, key: &str) -> Vec<(String, String)> {
    let table = document
        .get(key)
        .map(|table| table.get_ref().as_table().unwrap());
    let entries = table.into_iter().flat_map(|table| table.iter());
    let entry = |(path, text): (
        &toml::Spanned<toml::de::DeString<'_>>,
        &toml::Spanned<DeValue<'_>>,
    )| {
        (
            path.get_ref().to_string(),
            text.get_ref().as_str().unwrap().to_owned(),
        )
    };
    entries.map(entry).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch for whoever writes the tests"
)]
fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// A register with two pupils in it.
fn with_register() -> Place {
    let place = Place::with_base();
    let vendor = "config/schools/regenboog/vendors/rekenwijs.toml";
    let text = fs::read_to_string(place.path(vendor)).unwrap();
    let kind = "[ids.pupil]\nback = \"school-only\"\n";
    place.write(vendor, &text.replace("[ids.pupil]\n", kind));
    place.write("users.csv", "sourcedId\nS-1\nS-2\n");
    for args in [
        &["keys", "new"][..],
        &["register", "import", "users.csv", "--kind", "pupil"],
    ] {
        let done = place.run(args, "");
        assert!(done.status.success(), "{done:?}");
    }
    place
}

#[test]
fn a_register_in_use_is_left_to_who_uses_it() {
    let place = with_register();
    let path = place.path("config/state/register.redb");
    let held = File::options().read(true).write(true).open(path).unwrap();
    held.try_lock().unwrap();
    for args in [
        &["register", "verify"][..],
        &["register", "import", "users.csv", "--kind", "pupil"],
        &["register", "export", "out.csv", "--reason", "test"],
    ] {
        let refused = place.run(args, "");
        assert_eq!(refused.status.code(), Some(69), "{refused:?}");
        assert_eq!(
            str::from_utf8(&refused.stderr).unwrap(),
            "the register cannot be opened: config/state/register.redb: another process has it open; \
             stop that first: a gateway that runs has it to itself\n"
        );
    }
    assert!(!place.path("out.csv").exists());
    drop(held);
    assert!(place.run(&["register", "verify"], "").status.success());
}

#[test]
fn a_register_that_others_can_read_is_not_opened() {
    let place = with_register();
    let gateway = fs::read_to_string(place.path("config/sluis.toml")).unwrap();
    let free = "127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.2:0";
    place.write(
        "config/sluis.toml",
        &gateway.replace("127.0.0.1:8080", free),
    );
    let path = place.path("config/state/register.redb");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let said = "the register cannot be opened: config/state/register.redb has the mode 0640: others \
                must neither read nor write it; look whether it is still whole (`sluis register \
                verify`) after `chmod 600 config/state/register.redb`\n";
    for (args, before) in [
        (&["register", "verify"][..], ""),
        (&["serve"], "sluis cannot start: "),
    ] {
        let refused = place.run(args, "");
        assert_eq!(refused.status.code(), Some(78), "{refused:?}");
        let stderr = str::from_utf8(&refused.stderr).unwrap();
        assert!(stderr.ends_with(&format!("{before}{said}")), "{stderr}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(place.run(&["register", "verify"], "").status.success());
}

#[test]
fn rows_of_another_key_are_counted_and_not_exported() {
    let place = with_register();
    fs::remove_file(place.path("config/keys/ring.toml")).unwrap();
    assert_eq!(place.run(&["keys", "new"], "").status.code(), Some(78));
    let anew = ["keys", "new", "--begin-anew"];
    assert!(place.run(&anew, "").status.success());
    let verified = place.run(&["register", "verify"], "");
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(
        str::from_utf8(&verified.stdout).unwrap(),
        "2 rows, 0 of schools without a key here\n\
         2 do not open: they were sealed under another key, or changed; the first have the numbers 1 2\n"
    );
    let export = ["register", "export", "out.csv", "--reason", "test"];
    let refused = place.run(&export, "");
    assert_eq!(refused.status.code(), Some(78));
    assert_eq!(
        str::from_utf8(&refused.stderr).unwrap(),
        "the register config/state/register.redb cannot be opened: 2 of its rows do not open, the \
         first one is number 1: they were sealed under another register key, or were changed; put \
         ring, master key and register back from the same backup\n"
    );
    assert!(!place.path("out.csv").exists());
}

#[test]
fn a_register_that_cannot_be_opened_is_named_with_what_to_do() {
    let path = "config/state/register.redb";
    type Harm<'h> = &'h dyn Fn(&Path);
    let spoil: [(Harm<'_>, &str); 4] = [
        (
            &|file| fs::write(file, "a file of somebody else's").unwrap(),
            "the register cannot be opened: config/state/register.redb: it is no register; put it \
             back from its backup; a `path` in [register] where nothing is begins a new one\n",
        ),
        (
            &|file| {
                File::options()
                    .write(true)
                    .open(file)
                    .unwrap()
                    .set_len(5_000)
                    .unwrap();
            },
            "; put it back from its backup\n",
        ),
        (
            &|file| {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            },
            "the register cannot be opened: config/state/register.redb: Is a directory (os error \
             21); `path` in [register] must name a file in a folder\n",
        ),
        (
            &|file| {
                fs::remove_dir_all(file.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink("nowhere/state", file.parent().unwrap()).unwrap();
            },
            "; the folder that it lies in must be there\n",
        ),
    ];
    for (spoil, expected) in spoil {
        let place = with_register();
        spoil(&place.path(path));
        let refused = place.run(&["register", "verify"], "");
        assert_eq!(refused.status.code(), Some(78), "{refused:?}");
        let said = str::from_utf8(&refused.stderr).unwrap();
        assert!(said.contains(path) && said.ends_with(expected), "{said}");
    }
}

#[test]
fn new_vendors_and_schools_have_their_keys_made_beside_a_register() {
    let place = with_register();
    let ring = || fs::read_to_string(place.path("config/keys/ring.toml")).unwrap();
    let before = ring();
    for school in ["regenboog", "zonnebloem"] {
        let path = BASE[3].0.replace("regenboog", school);
        place.write(&path, BASE[3].1);
        let path = BASE[4].0.replace("regenboog", school);
        place.write(&path.replace("rekenwijs", "leesclub"), BASE[4].1);
    }
    let made = place.run(&["keys", "new"], "");
    let said = str::from_utf8(&made.stdout).unwrap();
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert!(
        said.starts_with("made 3 of 5 keys in the ring config/keys/ring.toml\n")
            && said.ends_with(
                "if a key that is new here was there before, put the ring back from its backup\n"
            ),
        "{said}"
    );
    let entries = |text: &str| -> Vec<String> {
        let entries = text.split("\n\n").skip(1);
        entries.map(|entry| entry.trim_end().to_owned()).collect()
    };
    let after = entries(&ring());
    assert!(entries(&before).iter().all(|entry| after.contains(entry)));
}

#[test]
fn an_export_is_its_owners_alone() {
    let place = with_register();
    let export = ["register", "export", "out.csv", "--reason", "test"];
    assert!(place.run(&export, "").status.success());
    let about = fs::metadata(place.path("out.csv")).unwrap();
    assert_eq!(about.permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let place = Place::with_base();
    for args in [
        &["check"][..],
        &["selftest"],
        &["--help"],
        &["keys", "list"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(args);
        let output = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(str::from_utf8(&output.stderr).unwrap(), "", "{args:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::with_base();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = place.command(&["check"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
}

#[test]
fn colours_are_for_terminals() {
    let place = Place::with_base();
    place.write("config/sluis.toml", "version = 2\n");
    let plain = place.run(&["check"], "");
    assert!(!plain.stdout.contains(&0x1b));
    let forced = place
        .command(&["check"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(forced.stdout.contains(&0x1b));
    let refused = place
        .command(&["check"])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!refused.stdout.contains(&0x1b));
}

/// A listener that answers one request with these bytes, and a configuration that names it.
fn health(answer: &'static [u8], args: &[&str]) -> (Option<i32>, String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let place = Place::with_base();
    let (path, text) = BASE[0];
    place.write(path, &format!("{text}[admin]\naddress = \"{address}\"\n"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0; 1];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        stream.write_all(answer).unwrap();
        String::from_utf8(request).unwrap()
    });
    let output = place.run(args, "");
    let said = String::from_utf8(output.stdout).unwrap();
    let request = server
        .join()
        .unwrap()
        .replace(&address.to_string(), "<address>");
    (
        output.status.code(),
        said.replace(&address.to_string(), "<address>"),
        request,
    )
}

#[test]
fn health_asks_and_believes_only_200() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (status, said, request) = health(ok, &["health"]);
    assert_eq!(
        (status, said.as_str()),
        (Some(0), "http://<address>/livez  yes\n")
    );
    assert!(
        request.starts_with("GET /livez HTTP/1.1\r\nhost: <address>\r\n"),
        "{request}"
    );
    let (status, _, request) = health(ok, &["health", "--ready"]);
    assert_eq!(status, Some(0));
    assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");

    let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (status, said, _) = health(busy, &["health", "--ready"]);
    assert_eq!(status, Some(69));
    assert_eq!(said, "http://<address>/readyz  no: it answers 503\n");
    for odd in [
        &b"SSH-2.0-x\r\n"[..],
        b"",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 20",
    ] {
        let (status, said, _) = health(odd, &["health"]);
        assert_eq!(status, Some(69), "{said}");
        assert_eq!(
            said,
            "http://<address>/livez  no: what answers is no gateway\n"
        );
    }
    let (status, said, _) = health(ok, &["health", "--format", "json"]);
    assert_eq!(status, Some(0));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["healthy"], &said["status"]),
        (&true.into(), &200.into())
    );
}

#[test]
fn health_waits_two_seconds_in_all() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let place = Place::with_base();
    let (path, text) = BASE[0];
    place.write(path, &format!("{text}[admin]\naddress = \"{address}\"\n"));
    // A byte a second would keep a wait for each byte going for long.
    let drip = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hurried = [0; 512];
        assert_ne!(stream.read(&mut hurried).unwrap(), 0);
        for byte in b"HTTP/1.1 200" {
            std::thread::sleep(std::time::Duration::from_millis(700));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let output = place.run(&["health"], "");
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("  no: "), "{said}");
    drip.join().unwrap();
}

#[test]
fn an_identifier_on_standard_input_is_the_one_that_would_stand_in_argv() {
    let place = Place::with_base();
    let ask = |id: &str, stdin: &str| {
        let args = ["pseudonym", "rekenwijs", "pupil", id, "--reason", "a test"];
        String::from_utf8(place.run(&args, stdin).stdout).unwrap()
    };
    let expected = ask("S-64003", "");
    assert_eq!(expected.len(), 37);
    for stdin in ["S-64003", "S-64003\n", "S-64003\r\n"] {
        assert_eq!(ask("-", stdin), expected);
    }
    assert_ne!(ask("-", "S-64004"), expected);
}

#[test]
fn a_master_key_comes_from_systemd_as_well() {
    let place = Place::with_base();
    let (path, text) = BASE[0];
    place.write(
        path,
        &text.replace(
            "{ file = \"keys/master.key\" }",
            "{ credential = \"sluis-master\" }",
        ),
    );
    let credential = place.path("credentials/sluis-master");
    fs::create_dir(place.path("credentials")).unwrap();
    fs::rename(place.path("config/keys/master.key"), &credential).unwrap();
    fs::set_permissions(&credential, Permissions::from_mode(0o440)).unwrap();
    let verify = || {
        let mut command = place.command(&["keys", "verify"]);
        command
            .env("CREDENTIALS_DIRECTORY", "credentials")
            .output()
            .unwrap()
    };
    let output = verify();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8(output.stderr).unwrap()
    );
    fs::set_permissions(&credential, Permissions::from_mode(0o444)).unwrap();
    assert_eq!(verify().status.code(), Some(78), "others can read it");
    fs::remove_file(&credential).unwrap();
    let output = verify();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("LoadCredentialEncrypted=sluis-master"),
        "{said}"
    );
}

#[test]
fn check_reads_certificates_as_serve_would() {
    let place = Place::with_base();
    let (path, text) = BASE[0];
    place.write(
        path,
        &text.replace(
            "[keys]",
            "tls = { cert = \"a.pem\", key = \"a.key\" }\n[keys]",
        ),
    );
    let certificate = |until: i32| {
        let mut of = rcgen::CertificateParams::new(vec!["sluis.example".to_owned()]).unwrap();
        of.not_before = rcgen::date_time_ymd(2020, 1, 1);
        of.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        (of.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let check = |cert: &str, key: &str, mode: u32| {
        place.write("config/a.pem", cert);
        place.write("config/a.key", key);
        fs::set_permissions(place.path("config/a.key"), Permissions::from_mode(mode)).unwrap();
        let output = place.run(&["check"], "");
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (cert, key) = certificate(2099);
    let (status, said) = check(&cert, &key, 0o600);
    assert!(status == Some(0) && said.contains("0 findings"), "{said}");
    let (status, said) = check(&cert, &key, 0o644);
    assert_eq!(status, Some(78));
    assert!(
        said.contains("error[E061]: `config/a.key` has the mode 0644: others must not read it"),
        "{said}"
    );
    let (old, old_key) = certificate(2021);
    let (_, said) = check(&old, &old_key, 0o600);
    assert!(
        said.contains("the certificate config/a.pem expired on 2021-01-01"),
        "{said}"
    );
    for (cert, key) in [(&cert, &old_key), (&key, &cert), (&cert, &String::new())] {
        let (status, said) = check(cert, key, 0o600);
        assert_eq!(status, Some(78), "{said}");
        assert!(said.contains("error[E068]"), "{said}");
        assert!(!said.contains("BEGIN"), "{said}");
    }
    fs::remove_file(place.path("config/a.key")).unwrap();
    let said = String::from_utf8(place.run(&["check"], "").stdout).unwrap();
    assert!(
        said.contains("not on this machine: `config/a.key` is missing"),
        "{said}"
    );
}

#[test]
fn keys_that_several_make_at_once_are_made_once() {
    let place = Place::with_base();
    fs::remove_dir_all(place.path("config/keys")).unwrap();
    let (path, text) = BASE[4];
    for number in 0..20 {
        place.write(
            &path.replace("rekenwijs", &format!("vendor-{number}")),
            text,
        );
    }
    let makers: Vec<_> = (0..6)
        .map(|_| {
            place
                .command(&["keys", "new"])
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut maker in makers {
        assert_eq!(maker.wait().unwrap().code(), Some(0));
    }
    let list = || String::from_utf8(place.run(&["keys", "verify"], "").stdout).unwrap();
    let first = list();
    assert_eq!(first.lines().count(), 23, "{first}");
    place.run(&["keys", "new"], "");
    assert_eq!(list(), first);
    let left: Vec<_> = fs::read_dir(place.path("config/keys")).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// The policy of the benchmarks: from nothing to clean in two commands.
#[test]
fn the_policy_of_the_benchmark_is_clean() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/config");
    let place = Place::new();
    for path in [
        "sluis.toml",
        "schools/bench/school.toml",
        "schools/bench/vendors/bench.toml",
    ] {
        place.write(
            &format!("config/{path}"),
            &fs::read_to_string(from.join(path)).unwrap(),
        );
    }
    assert_eq!(place.run(&["keys", "new"], "").status.code(), Some(0));
    let checked = place.run(&["check", "--strict"], "");
    let said = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(said.contains("1 vendor, 0 errors, 0 findings"), "{said}");
}

/// A copy of the examples in `config/`.
fn with_examples() -> Place {
    let place = Place::new();
    for path in [
        "sluis.toml",
        "schools/regenboog/school.toml",
        "schools/regenboog/vendors/rekenwijs.toml",
        "schools/regenboog/vendors/toetsbron.toml",
        "schools/regenboog/cases/rekenwijs/users.json",
    ] {
        let path = format!("config/{path}");
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path));
        place.write(&path, &text.unwrap());
    }
    place
}

/// The first block of the README after these words.
fn shown_after<'r>(readme: &'r str, words: &str) -> &'r str {
    let (_, after) = readme.split_once(words).unwrap();
    let (_, block) = after.split_once("```").unwrap();
    let (_, block) = block.split_once('\n').unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn the_readme_shows_what_is_said() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let place = with_examples();
    let said = |args: &[&str], stdin: &str| -> Vec<String> {
        let output = place.run(args, stdin);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    let sample = "config/schools/regenboog/cases/rekenwijs/users.json";
    let users = "/ims/oneroster/rostering/v1p2/users";
    let asked = ["try", "rekenwijs", "GET", users, "--sample", sample];
    assert!(readme.contains(&format!("`cargo run --release -- {}`", asked.join(" "))));
    let all = said(&asked, "");
    let shown: Vec<&str> = shown_after(&readme, "What `sluis try` shows")
        .lines()
        .collect();
    for line in &shown {
        assert!(
            all.iter().any(|said| said == line),
            "{line}\n\n{}",
            all.join("\n")
        );
    }
    let of_pupil = all
        .iter()
        .filter(|line| line.starts_with("users[0]."))
        .count();
    let counted = format!("({} of its {of_pupil} lines)", shown.len());
    assert!(readme.contains(&counted), "{counted}");

    let vendor = "config/schools/regenboog/vendors/leesclub.toml";
    place.write(
        vendor,
        shown_after(&readme, &format!("Write this as `{vendor}`")),
    );
    said(&["check", "--config", "config"], "");
    let shown: Vec<&str> = shown_after(&readme, "See what Leesclub would get")
        .lines()
        .collect();
    let message = shown.iter().find_map(|line| {
        let (message, _) = line.strip_prefix("$ echo '")?.split_once('\'')?;
        Some(message)
    });
    let all = said(&["try", "leesclub", "POST", "/readers"], message.unwrap());
    let is_shortened = all.len() > shown.len();
    assert!(is_shortened && readme.contains("See what Leesclub would get (shortened"));
    for line in shown.iter().filter(|line| !line.starts_with("$ ")) {
        assert!(
            all.iter().any(|said| said == line),
            "{line}\n\n{}",
            all.join("\n")
        );
    }
}
