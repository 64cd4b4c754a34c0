//! What lies on a disk of what a vendor was given: neither an identifier nor a pseudonym, in any
//! form.

use std::fs;
use std::path::Path;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use serde_json::json;
use sluis::store::{Place, Server, init};
use sluis_test_postgres::Cluster;

use crate::harness::upstream::ok;
use crate::harness::{House, Markers, Peer, Plans, Upstream, request};

/// Kinds with names that are told from chance: those stand in a register in the clear.
const POLICY: &str = r#"
[ids.proefleerling]
back = "school-only"

[ids.proefgroep]
looks = "text:20"
back = "school-only"

[flow.pull]
caller = "vendor"
at = "/pull"
upstream = "http://UPSTREAM"
callers = "anyone"

[[flow.pull.route]]
match = "GET /users"
query = { page = "int" }
to-vendor = { users = "User[]" }

[[flow.pull.route]]
match = "PUT /results/{proefleerling}"
from-vendor = { student = "proefleerling", group = "proefgroep" }

[shape.User]
sourcedId = "proefleerling"
group = "proefgroep"
"#;

/// The first row of all goes into the register's file at once, what comes behind it into the journal.
const PAGES: [&str; 2] = [
    r#"{"users":[{"sourcedId":"pupil-zzq-900","group":"group-zzq-1A"}]}"#,
    r#"{"users":[{"sourcedId":"pupil-zzq-901","group":"group-zzq-1B"},
        {"sourcedId":20260901902,"group":"group-zzq-1B"}]}"#,
];

/// What the school calls them.
const IDS: [&str; 5] = [
    "pupil-zzq-900",
    "pupil-zzq-901",
    "20260901902",
    "group-zzq-1A",
    "group-zzq-1B",
];

fn open_in(folder: tempfile::TempDir, server: &str) -> House {
    let upstream = Upstream::scripted(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            let answer = match request.head.split(' ').nth(1).unwrap() {
                "/users?page=0" => PAGES[0],
                "/users?page=1" => PAGES[1],
                _ => "{}",
            };
            if peer.try_send(ok(answer)).is_err() {
                return;
            }
        }
    });
    let plans = Plans {
        instead: Some(POLICY),
        server: server.to_owned(),
        ..Plans::default()
    };
    plans.open_in(folder, upstream)
}

/// What must not be there: what the vendor calls the pupils, and their groups.
struct Sought {
    pupils: Vec<String>,
    groups: Vec<String>,
}

impl Sought {
    /// Gives all of them out.
    fn pull(house: &House) -> Self {
        let pages = [0, 1].map(|page| {
            let answer = house.ask(request("GET", &format!("/pull/users?page={page}"), ""));
            assert_eq!(answer.status(), 200, "{}", answer.text());
            house.search(&Markers::of(&IDS), &[("what the vendor got", &answer.body)]);
            answer.json()["users"].as_array().unwrap().clone()
        });
        let all = |key: &str| {
            let texts = pages.iter().flatten().map(|user| user[key].as_str());
            texts.map(|text| text.unwrap().to_owned()).collect()
        };
        Self {
            pupils: all("sourcedId"),
            groups: all("group"),
        }
    }

    /// Brings all of them home.
    fn send_home(&self, house: &House) {
        for (pupil, group) in self.pupils.iter().zip(&self.groups) {
            let body = json!({ "student": pupil, "group": group }).to_string();
            let target = format!("/pull/results/{pupil}");
            let answer = house.ask(request("PUT", &target, &body));
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        let received = house.upstream.received();
        Markers::of(&IDS).assert_present("what the school got", &received);
    }

    /// Fails if any of it stands there, or if nothing does.
    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        let kinds = Markers::of(&["proefleerling", "proefgroep"]);
        kinds.assert_present(place, bytes);
        Markers::of(&IDS).assert_absent(place, bytes);
        let pseudonyms = self.pupils.iter().chain(&self.groups);
        let pseudonyms: Vec<&str> = pseudonyms.map(String::as_str).collect();
        Markers::of(&pseudonyms).assert_absent(place, bytes);
        for pupil in &self.pupils {
            let mut forms = forms(&raw(pupil)).into_iter();
            let found = forms.find(|form| holds(bytes, form));
            assert_eq!(found, None, "{pupil} stands in {place}");
        }
    }
}

/// The sixteen bytes of a UUID.
fn raw(uuid: &str) -> Vec<u8> {
    HEXLOWER.decode(uuid.replace('-', "").as_bytes()).unwrap()
}

/// Bytes as they are, as hexadecimal in either case, and as base64.
fn forms(raw: &[u8]) -> [Vec<u8>; 4] {
    let hex = HEXLOWER.encode(raw);
    [
        raw.to_vec(),
        hex.to_ascii_uppercase().into_bytes(),
        hex.into_bytes(),
        // Without the last characters, which depend on what stands behind.
        BASE64_NOPAD.encode(&raw[..15]).into_bytes(),
    ]
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// A file without its blocks of zeros, in which nothing can stand.
fn written(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|bad| panic!("{}: {bad}", path.display()));
    let blocks = bytes.chunks(512);
    let written = blocks.filter(|block| block.iter().any(|byte| *byte != 0));
    written.collect::<Vec<_>>().concat()
}

#[test]
fn the_search_finds_what_is_planted() {
    let uuid = "2a960a95-c70e-88af-b483-e26a38758e39";
    let sought = Sought {
        pupils: vec![uuid.to_owned()],
        groups: vec!["abcdefghijklmnopqrst".to_owned()],
    };
    let rows = b"proefleerling proefgroep ";
    sought.assert_absent("a file", rows);
    let texts = [
        "PUPIL-zzq-901",
        "2A960A95-C70E-88AF-B483-E26A38758E39",
        "abcdefghijklmnopqrst",
    ];
    let texts = texts.map(|text| text.as_bytes().to_vec());
    let hidden = data_encoding::BASE64
        .encode(b"x pupil-zzq-901")
        .into_bytes();
    let planted = texts.into_iter().chain(forms(&raw(uuid))).chain([hidden]);
    let found = |bytes: &[u8]| std::panic::catch_unwind(|| sought.assert_absent("a file", bytes));
    for bytes in planted {
        let text = String::from_utf8_lossy(&bytes);
        assert!(found(&[rows, &*bytes].concat()).is_err(), "{text}");
    }
    assert!(
        found(b"nothing").is_err(),
        "where no row is, nothing is proved"
    );
}

#[test]
fn neither_ids_nor_pseudonyms_lie_in_the_file_or_its_journal() {
    let house = open_in(tempfile::tempdir().unwrap(), "");
    let sought = Sought::pull(&house);
    // Either file alone may have the rows.
    let both = |folder: &Path| {
        let names = ["state/register.redb", "state/register.redb-journal"];
        let there = names.map(|name| folder.join(name));
        let there = there.iter().filter(|path| path.exists());
        there.map(|path| written(path)).collect::<Vec<_>>().concat()
    };
    let journal = house.folder.path().join("state/register.redb-journal");
    sought.assert_absent("the journal", &written(&journal));
    sought.assert_absent("file and journal", &both(house.folder.path()));

    let folder = house.end();
    let file = folder.path().join("state/register.redb");
    sought.assert_absent("the file", &written(&file));

    let house = open_in(folder, "");
    sought.send_home(&house);
    sought.assert_absent("both after a restart", &both(house.folder.path()));
    let folder = house.end();
    sought.assert_absent("the file at last", &written(&file));
    drop(folder);
}

#[test]
fn neither_ids_nor_pseudonyms_lie_in_the_table() {
    let cluster = Cluster::start();
    let database = cluster.database();
    let server = cluster.settings(&database);
    let settings = Server::new(&server, None).unwrap();
    init(&Place::Postgres(Box::new(settings))).unwrap();
    // Table and indexes as they lie on the disk, and what the server logged of statements.
    let all = || {
        cluster.sql(&database, "CHECKPOINT");
        let paths = "SELECT pg_relation_filepath(oid) FROM pg_class
            WHERE relname LIKE 'sluis_register%' AND relkind IN ('r', 'i')";
        let paths = cluster.sql(&database, paths);
        let data = cluster.folder().join("data");
        let files = paths.lines().map(|path| written(&data.join(path)));
        let mut files: Vec<Vec<u8>> = files.collect();
        assert!(files.len() > 1, "a table without an index: {paths}");
        files.push(written(&cluster.folder().join("log")));
        files.concat()
    };
    let house = open_in(tempfile::tempdir().unwrap(), &server);
    let sought = Sought::pull(&house);
    sought.assert_absent("the table", &all());
    let folder = house.end();
    let house = open_in(folder, &server);
    sought.send_home(&house);
    sought.assert_absent("the table after a restart", &all());
}
