//! Whole configurations: loaded, named by their content, and replaced while they are in force.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use sluis::config::keys::{self, Made, Next, Preparation, Rotated, Rotation};
use sluis::config::{Config, Deployed, Draft, NoDoor, Problems, Vendor, code, load};
use sluis::names::{SchoolId, VendorId};
use sluis::pseudonym::Generation;
use tempfile::TempDir;

const GATEWAY: &str = r#"version = 1
[listen]
address = "127.0.0.1:8080"
[runtime]
threads = 2
[keys]
master = { file = "keys/master.key" }
ring   = "keys/ring.toml"
"#;

const SCHOOL: &str = r#"version = 1
[school]
name    = "De Regenboog"
public  = "https://Sluis.example/regenboog/"
contact = "privacy@regenboog.example"
"#;

const VENDOR: &str = r#"version = 1
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
callers  = [{ token-sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }]

[flow.push]
caller   = "school"
at       = "/rekenwijs/pull/in"
upstream = "http://127.0.0.1:9102"
callers  = [{ token-sha256 = "2222222222222222222222222222222222222222222222222222222222222222" }]

[[flow.pull.route]]
match     = "GET /pupils"
query     = { limit = "int" }
to-vendor = { pupils = "Pupil[]" }

[[flow.push.route]]
match     = "POST /pupils"
to-vendor = "Pupil"

[shape.Pupil]
id    = "pupil"
group = { as = "keep", one-of = ["1", "2"] }
born  = "year"
"#;

/// A configuration with keys of its own.
struct House(TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        house.write("sluis.toml", GATEWAY);
        house.write("schools/regenboog/school.toml", SCHOOL);
        house.write("schools/regenboog/vendors/rekenwijs.toml", VENDOR);
        keys::new(house.path()).unwrap();
        house
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn vendor(&self, from: &str, to: &str) {
        assert!(VENDOR.contains(from), "{from}");
        self.write(
            "schools/regenboog/vendors/rekenwijs.toml",
            &VENDOR.replace(from, to),
        );
    }

    fn load(&self) -> Config {
        load(self.path()).unwrap().0
    }

    fn rotate(&self) -> Rotated {
        keys::rotate(self.path(), rotation(), Next::New).unwrap()
    }

    fn prepare(&self) -> Preparation {
        keys::prepare(self.path(), rotation()).unwrap()
    }

    /// Gives the vendor another key, as a ring from elsewhere would.
    fn change_key(&self) {
        fs::remove_file(self.path().join("keys/ring.toml")).unwrap();
        keys::begin_anew(self.path()).unwrap();
    }
}

fn codes(problems: &Problems) -> Vec<&'static str> {
    problems
        .sorted()
        .iter()
        .map(|problem| problem.code)
        .collect()
}

#[test]
fn a_flow_is_reached_under_its_school_and_its_own_path() {
    let config = House::new().load();
    let doors: Vec<_> = config
        .doors
        .iter()
        .map(|door| (door.host.as_str(), door.prefix.as_str()))
        .collect();
    assert_eq!(
        doors,
        [
            ("sluis.example", "/regenboog/rekenwijs/pull/in"),
            ("sluis.example", "/regenboog/rekenwijs/pull"),
        ]
    );
    let flow = |host: &str, path: &str| {
        let (_, door) = config.door(host, path)?;
        Ok(door.vendor.flows[door.flow].id.as_str().to_owned())
    };
    assert_eq!(
        flow("sluis.example", "/regenboog/rekenwijs/pull/pupils"),
        Ok("pull".to_owned())
    );
    assert_eq!(
        flow("sluis.example", "/regenboog/rekenwijs/pull/in/pupils"),
        Ok("push".to_owned())
    );
    assert_eq!(
        flow("sluis.example", "/regenboog/rekenwijs/pull/inn"),
        Ok("pull".to_owned())
    );
    assert_eq!(
        flow("sluis.example", "/regenboog/rekenwijs/pul"),
        Err(NoDoor::PathUnknown)
    );
    assert_eq!(
        flow("sluis.example:443", "/regenboog/rekenwijs/pull"),
        Err(NoDoor::HostUnknown)
    );
}

/// Changes of the vendor's file that decide what leaves, to whom, or when.
const DECISIVE: &[(&str, &str)] = &[
    ("[ids.pupil]", "[ids.pupil]\nlooks = \"hex\""),
    ("[ids.pupil]", "[ids.pupil]\nfrom = [\"trim\"]"),
    (
        "[ids.pupil]",
        "[ids.pupil]\nlooks = \"email\"\ndomain = \"x.example\"",
    ),
    ("TEST-1", "TEST-2"),
    ("2099-12-31", "2099-12-30"),
    ("2020-01-01", "2020-01-02"),
    ("[ids.pupil]", "mode = \"observe\"\n[ids.pupil]"),
    ("[ids.pupil]", "[limits]\nbody = \"1 MiB\"\n[ids.pupil]"),
    ("born  = \"year\"", "born  = \"month\""),
    (
        "born  = \"year\"",
        "born  = { as = \"year\", form = \"date\" }",
    ),
    ("born  = \"year\"", "born  = \"keep\""),
    ("born  = \"year\"", "born  = \"keep:date\""),
    ("born  = \"year\"", "Born  = \"year\""),
    ("born  = \"year\"", "born  = \"year\"\n_strict = true"),
    (
        "born  = \"year\"",
        "born  = { as = \"constant\", value = 1 }",
    ),
    ("[\"1\", \"2\"]", "[\"1\", \"3\"]"),
    ("one-of = [\"1\", \"2\"]", "max = 1"),
    ("one-of = [\"1\", \"2\"]", "like = \"[12]\""),
    ("GET /pupils", "GET /pupil"),
    ("GET /pupils", "PUT /pupils"),
    ("limit = \"int\"", "offset = \"int\""),
    ("limit = \"int\"", "limit = \"slug\""),
    ("\"Pupil[]\"", "\"Pupil[]?\""),
    (
        "[flow.push]\ncaller   = \"school\"",
        "[flow.push]\ncaller   = \"vendor\"",
    ),
    ("127.0.0.1:9101", "127.0.0.1:9103"),
    ("http://127.0.0.1:9101", "https://sis.example"),
    (
        "\"http://127.0.0.1:9101\"",
        "\"https://sis.example\"\nallow-private = true",
    ),
    ("\"0000", "\"1000"),
    (
        "at       = \"/rekenwijs/pull/in\"",
        "at       = \"/rekenwijs/pull/in\"\nip-ranges = [\"203.0.113.0/27\"]",
    ),
    ("/rekenwijs/pull/in", "/rekenwijs/in"),
];

#[test]
fn the_hash_names_what_decides_and_nothing_else() {
    let house = House::new();
    let hash = || house.load().hash;
    let first = hash();
    assert_eq!(first.0.len(), 16);
    assert_eq!(hash(), first, "the same files have the same hash");
    house.vendor(
        "[ids.pupil]",
        "# a comment\n[ids.pupil]\nlooks = \"uuid\"   # the default",
    );
    assert_eq!(hash(), first, "comments and defaults that are written out");
    house.write("sluis.toml", &GATEWAY.replace("threads = 2", "threads = 1"));
    assert_eq!(hash(), first, "the gateway's own settings");
    house.write(
        "schools/regenboog/school.toml",
        &SCHOOL.replace("De Regenboog", "Regenboog"),
    );
    assert_eq!(hash(), first, "names for people");
    for (from, to) in DECISIVE {
        house.vendor(from, to);
        let changed = hash();
        assert_ne!(changed, first, "{to}");
    }
    house.vendor("TEST-1", "TEST-1");
    assert_eq!(hash(), first);
    house.change_key();
    assert_ne!(hash(), first, "the key");
}

#[test]
fn what_is_missing_is_a_problem_and_is_not_made_up() {
    let house = House::new();
    fs::remove_file(house.path().join("keys/ring.toml")).unwrap();
    let problems = load(house.path()).unwrap_err();
    assert_eq!(codes(&problems), [code::ABSENT]);
    assert!(problems.sorted()[0].help[0].contains("back from its backup"));
    assert!(!house.path().join("keys/ring.toml").exists());
    fs::remove_file(house.path().join("keys/master.key")).unwrap();
    let problems = load(house.path()).unwrap_err();
    assert_eq!(codes(&problems), [code::ABSENT]);
    assert!(problems.sorted()[0].help[0].starts_with("sluis keys new --config"));
    assert!(!house.path().join("keys/master.key").exists());
}

#[test]
fn a_reload_takes_everything_or_nothing() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    let before = deployed.current();
    house.vendor("born  = \"year\"", "born  = \"yaer\"");
    assert!(deployed.reload(house.path()).unwrap_err().has_errors());
    assert_eq!(deployed.current().hash, before.hash, "the old one stays");

    house.vendor("born  = \"year\"", "born  = \"month\"");
    assert!(deployed.reload(house.path()).unwrap().is_empty());
    assert_ne!(deployed.current().hash, before.hash);
    assert_eq!(before.vendors.len(), 1, "who has the old one keeps it");

    fs::remove_dir_all(house.path().join("schools")).unwrap();
    assert_eq!(
        codes(&deployed.reload(house.path()).unwrap()),
        [code::NO_VENDOR]
    );
    assert_eq!(deployed.current().vendors.len(), 0);
}

#[test]
fn a_reload_never_changes_a_key_silently() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    let before = deployed.current().vendors[0].fingerprint;
    house.change_key();
    let problems = deployed.reload(house.path()).unwrap_err();
    assert_eq!(codes(&problems), [code::KEY_CHANGED]);
    assert_eq!(deployed.current().vendors[0].fingerprint, before);

    let next = house.load().vendors[0].fingerprint;
    assert_ne!(next, before);
    house.vendor("agreement = ", &format!("key = \"{before}\"\nagreement = "));
    assert_eq!(
        codes(&deployed.reload(house.path()).unwrap_err()),
        [code::KEY_CHANGED]
    );
    house.vendor("agreement = ", &format!("key = \"{next}\"\nagreement = "));
    deployed.reload(house.path()).unwrap();
    assert_eq!(deployed.current().vendors[0].fingerprint, next);
}

#[test]
fn a_reload_names_no_command_that_would_replace_keys_in_use() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    let at = |name: &str| house.path().join("keys").join(name);
    let (master, ring) = (at("master.key"), at("ring.toml"));
    let text = fs::read_to_string(&ring).unwrap();
    let said = |word: &str| {
        let refused = deployed.reload(house.path()).unwrap_err();
        assert_eq!(codes(&refused), [code::ABSENT], "{word}");
        let line = refused.first_error().unwrap().line();
        assert!(!line.contains("keys new"), "{line}");
        assert!(line.contains("back from its backup") || line.contains("back from their"));
        assert!(line.contains(word), "{line}");
    };
    // An older ring: the register's key is in it, the vendor's is not.
    let blocks = text.split("\n\n");
    let older: Vec<&str> = blocks.filter(|it| !it.starts_with("[[key]]")).collect();
    let older = format!("{}\n", older.join("\n\n").trim_end());
    assert!(older.contains("[[register]]") && older.len() < text.len());
    fs::write(&ring, &older).unwrap();
    said("keys that are in use are missing in it");
    // The folder is not mounted: first the ring is gone, then both.
    fs::remove_file(&ring).unwrap();
    said("keys that are in use are missing in it");
    fs::rename(&master, at("elsewhere")).unwrap();
    said("they are in use");
    fs::write(&ring, &text).unwrap();
    said("another one opens no key of the ring");
    fs::rename(at("elsewhere"), &master).unwrap();
    // Beside a key that is in use, one of a new vendor makes none anew either.
    fs::write(&ring, &older).unwrap();
    let other = VENDOR.replace("/rekenwijs/pull/in", "/anders/in");
    house.write("schools/regenboog/vendors/anders.toml", &other);
    let refused = deployed.reload(house.path()).unwrap_err();
    for problem in refused.sorted() {
        assert!(!problem.line().contains("keys new"), "{}", problem.line());
    }
    fs::write(&ring, &text).unwrap();
    let refused = deployed.reload(house.path()).unwrap_err();
    let line = refused.first_error().unwrap().line();
    assert!(line.contains("help: sluis keys new --config"), "{line}");
}

fn rotation() -> Rotation {
    Rotation {
        school: SchoolId::parse("regenboog").unwrap(),
        vendor: VendorId::parse("rekenwijs").unwrap(),
        made: Made {
            on: "2026-11-25".parse().unwrap(),
            reason: "a test".to_owned(),
            used: None,
        },
    }
}

/// The versions of the keys that are understood, and of those that are not any more.
fn versions(vendor: &Vendor) -> (Vec<u32>, Vec<u32>) {
    let of = |generations: &[Generation]| generations.iter().map(|it| it.version).collect();
    (of(&vendor.law.generations), of(&vendor.retired))
}

#[test]
fn a_reload_takes_a_rotated_key_beside_the_one_in_use() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    let ring = house.path().join("keys/ring.toml");
    let first_ring = fs::read(&ring).unwrap();
    let first = deployed.current().vendors[0].fingerprint;
    let second = house.rotate();
    assert_eq!(second.old, (1, first));
    assert!(deployed.reload(house.path()).unwrap().is_empty());
    assert_eq!(deployed.current().vendors[0].fingerprint, second.new.1);
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![2, 1], vec![])
    );

    let second_ring = fs::read(&ring).unwrap();
    for (why, other) in [
        ("an old ring", first_ring.clone()),
        ("another version 2", {
            fs::write(&ring, &first_ring).unwrap();
            house.rotate();
            fs::read(&ring).unwrap()
        }),
    ] {
        fs::write(&ring, other).unwrap();
        let refused = deployed.reload(house.path()).unwrap_err();
        assert_eq!(codes(&refused), [code::KEY_CHANGED], "{why}");
    }
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![2, 1], vec![]),
        "what was stays"
    );

    fs::write(&ring, second_ring).unwrap();
    let pin = format!("key = \"{}\"\nagreement = ", second.new.1);
    house.vendor("agreement = ", &pin);
    let third = house.rotate();
    assert!(third.pin.is_some());
    let refused = deployed.reload(house.path()).unwrap_err();
    assert_eq!(codes(&refused), [code::KEY_CHANGED], "the pin comes first");
    let pin = format!("key = \"{}\"\nagreement = ", third.new.1);
    house.vendor("agreement = ", &pin);
    deployed.reload(house.path()).unwrap();
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![3, 2], vec![1])
    );
}

#[test]
fn a_prepared_key_is_understood_beside_all_that_accept_keys_counts() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    house.rotate();
    house.rotate();
    let prepared = house.prepare().prepared;
    deployed.reload(house.path()).unwrap();
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![3, 2, 4], vec![1])
    );
    // It is not the one that is pinned before it is put to use.
    let pin = format!("key = \"{}\"\nagreement = ", prepared.1);
    house.vendor("agreement = ", &pin);
    let refused = deployed.reload(house.path()).unwrap_err();
    assert_eq!(codes(&refused), [code::KEY_CHANGED]);
    let rotated = keys::rotate(house.path(), rotation(), Next::Prepared(prepared.1)).unwrap();
    assert!(rotated.pin.is_none(), "it is pinned already");
    deployed.reload(house.path()).unwrap();
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![4, 3], vec![2, 1])
    );
}

#[test]
fn a_prepared_key_is_understood_first_and_used_after_the_next_rotation() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    let ring = house.path().join("keys/ring.toml");
    let vendor = || Arc::clone(&deployed.current().vendors[0]);
    let (first, hash) = (vendor().fingerprint, vendor().hash.clone());
    let first_ring = fs::read(&ring).unwrap();
    assert_eq!(vendor().prepared_key(), None);

    let Preparation { in_use, prepared } = house.prepare();
    assert_eq!((in_use, prepared.0), ((1, first), 2));
    assert!(deployed.reload(house.path()).unwrap().is_empty());
    assert_eq!(vendor().fingerprint, first);
    assert_eq!(vendor().prepared_key(), Some(prepared.1));
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![1, 2], vec![])
    );
    assert_eq!(vendor().hash, hash, "what leaves is the same");
    let prepared_ring = fs::read(&ring).unwrap();
    let again = keys::prepare(house.path(), rotation()).unwrap_err();
    assert_eq!(codes(&again), [code::CONFLICT]);
    assert_eq!(fs::read(&ring).unwrap(), prepared_ring);

    // A ring without it is one that another gateway's pseudonyms are refused with.
    fs::write(&ring, &first_ring).unwrap();
    let findings = deployed.reload(house.path()).unwrap();
    assert_eq!(codes(&findings), [code::PREPARED_LOST]);
    assert_eq!(versions(&vendor()), (vec![1], vec![]));
    fs::write(&ring, &prepared_ring).unwrap();
    assert!(deployed.reload(house.path()).unwrap().is_empty());

    // Each of these would use another key than the one that was prepared.
    let rotate = |next| keys::rotate(house.path(), rotation(), next);
    for next in [Next::New, Next::Prepared(first)] {
        assert_eq!(codes(&rotate(next).unwrap_err()), [code::CONFLICT]);
    }
    assert_eq!(fs::read(&ring).unwrap(), prepared_ring);

    let rotated = rotate(Next::Prepared(prepared.1)).unwrap();
    assert_eq!((rotated.old, rotated.new), ((1, first), prepared));
    let day = rotation().made.on;
    assert_eq!(
        (rotated.prepared, rotated.former),
        (Some(Some(day)), vec![1])
    );
    let again = rotate(Next::Prepared(prepared.1)).unwrap_err();
    assert_eq!(codes(&again), [code::ABSENT], "it is in use");
    assert!(deployed.reload(house.path()).unwrap().is_empty());
    assert_eq!(vendor().fingerprint, prepared.1);
    assert_eq!(vendor().prepared_key(), None);
    assert_eq!(
        versions(&deployed.current().vendors[0]),
        (vec![2, 1], vec![])
    );

    // Back to the key before it is another key than the one in use, prepared or not.
    fs::write(&ring, prepared_ring).unwrap();
    let refused = deployed.reload(house.path()).unwrap_err();
    assert_eq!(codes(&refused), [code::KEY_CHANGED]);
}

#[test]
fn a_key_that_others_can_read_is_refused_by_a_reload_too() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    let master = house.path().join("keys/master.key");
    fs::set_permissions(&master, Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        codes(&deployed.reload(house.path()).unwrap_err()),
        [code::KEY_FILE]
    );
}

#[test]
fn agreements_that_end_are_spoken_of() {
    let house = House::new();
    house.vendor(
        "2020-01-01, until = 2099-12-31",
        "2026-08-01, until = 2027-07-31",
    );
    let said = |day: &str| {
        let mut problems = Problems::new();
        let draft = Draft::read(house.path(), &mut problems);
        draft.find_ending(day.parse().unwrap(), &mut problems);
        problems.sorted().first().map(|problem| {
            assert_eq!((problem.code, problem.view().line), (code::AGREEMENT, 7));
            problem.message.clone()
        })
    };
    for (day, words) in [
        ("2026-07-31", Some("the agreement begins on 2026-08-01")),
        ("2026-08-01", None),
        ("2027-06-30", None),
        ("2027-07-01", Some("the agreement ends in 30 days")),
        ("2027-07-31", Some("the agreement ends today")),
        ("2027-08-01", Some("the agreement ended on 2027-07-31")),
    ] {
        assert_eq!(said(day).as_deref(), words, "{day}");
    }
}

#[test]
fn what_waits_for_the_next_start_is_said() {
    let house = House::new();
    let deployed = Deployed::new(house.load());
    house.write(
        "sluis.toml",
        &GATEWAY
            .replace("8080", "8081")
            .replace("threads = 2", "threads = 1"),
    );
    assert_eq!(
        codes(&deployed.reload(house.path()).unwrap()),
        [code::WAITS, code::WAITS]
    );
}

#[test]
fn the_secret_of_an_upstream_is_one_line_of_its_file() {
    let house = House::new();
    let at = "at       = \"/rekenwijs/pull/in\"";
    let with = format!("{at}\nupstream-auth = {{ bearer = {{ file = \"token\" }} }}");
    house.vendor(at, &with);
    let token = house.path().join("schools/regenboog/vendors/token");
    let read = |text: &[u8]| {
        fs::write(&token, text).unwrap();
        fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
        load(house.path()).map_err(|problems| codes(&problems))
    };
    for good in ["fake-token", "fake-token\n", " fake token\r\n"] {
        assert!(read(good.as_bytes()).is_ok(), "{good:?}");
    }
    for bad in [
        &b""[..],
        b"\n",
        b"fake\ntoken",
        b"fake\0token",
        "fäke".as_bytes(),
        b"\xff",
    ] {
        assert_eq!(
            read(bad).map(|_| "read"),
            Err(vec![code::KEY_FILE]),
            "{bad:?}"
        );
    }
}
