//! The golden cases in `tests/golden/json`: each a folder with
//!
//! * `policy.toml`: the `[ids]` and `[shape]` tables of a vendor's file. Above them stands
//!   `root = …`, what `to-vendor` would say, and where a case needs it `limits = { … }`; or
//!   `direction = "from-vendor"`, and then `root` is what `from-vendor` would say. A case of a preset
//!   that ships has `preset = "…"` and the `route` that is meant instead of a root;
//! * `register.json`, of a case from the vendor: which pseudonyms are whose, one a line. Each is of a `kind`,
//!   has the `id` as the school wrote it, text or number, or `is` foreign or retired. `age` says
//!   how many keys ago it was made, `late` that it is found once the register has caught up;
//! * `in.json`: what is sent, byte for byte;
//! * `out.json`, what leaves (and a line end, which does not), or `refused.txt`, why nothing may;
//! * `why.md`: what the case is about.
//!
//! On every list of `[except]` stand the pupils of [`crate::oracle::records::objected`]: `S-64009`.
//!
//! Who is called is at `https://api.vendor.example`, and the gateway at `https://gw.example/v`.
//!
//! Each case runs whole, byte by byte, and in pieces at [`SPLITS`] random splits. The pseudonyms
//! towards the vendor were made by `tests/vectors/make_vectors.py`, under the first key of the vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::any;
use proptest::strategy::{Strategy as _, ValueTree as _};
use sluis::config::{Colour, Context, Presets, Problems, SourceFile, VendorDraft, read_vendor};
use sluis::limits::{Bound, Limits};
use sluis::minimise::Law;
use sluis::names::VendorId;
use sluis::policy::{Bases, Content, Route, Rule, Side};
use sluis::pseudonym::{Form, Generation, Recall, VendorKey};
use sluis::refusal::Refusal;

use crate::oracle::book::{Book, Owner, Pages, Since, Way};
use crate::oracle::compare::{Done, counts, feed};
use crate::oracle::dice::pieces;
use crate::oracle::rewrite;

const SPLITS: u64 = 64;

#[test]
fn every_golden_case_comes_out_as_written() {
    let seed = seed();
    let mut wrong = Vec::new();
    let cases = cases();
    for folder in &cases {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let what = Case::read(name, folder).map_or_else(Some, |case| case.check(seed));
        wrong.extend(what.map(|what| format!("{name}: {what}")));
    }
    assert!(cases.len() >= 320, "only {} cases were found", cases.len());
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
}

/// Another one at every run; a failure names it.
fn seed() -> u64 {
    let mut runner = proptest::test_runner::TestRunner::default();
    any::<u64>().new_tree(&mut runner).unwrap().current()
}

pub(crate) fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/json");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

pub(crate) struct Case {
    pub(crate) way: Way,
    pub(crate) root: Rule,
    pub(crate) message: Vec<u8>,
    expected: Result<Vec<u8>, String>,
}

impl Case {
    pub(crate) fn read(name: &str, folder: &Path) -> Result<Self, String> {
        let policy = fs::read_to_string(folder.join("policy.toml")).unwrap();
        assert!(folder.join("why.md").exists(), "{name} does not say why");
        let (law, root, to) = law(name, &policy)?;
        let register = fs::read(folder.join("register.json"));
        assert_eq!(register.is_ok(), to == Side::School, "{name}: register");
        let book = Arc::new(book(&law, &register.unwrap_or_default()));
        let pages = Pages::One;
        let way = Way {
            law,
            to,
            book,
            pages,
        };
        let out = fs::read(folder.join("out.json"));
        let refused = fs::read_to_string(folder.join("refused.txt"));
        let expected = match (out, refused) {
            (Ok(mut out), Err(_)) => {
                assert_eq!(
                    out.pop(),
                    Some(b'\n'),
                    "{name}: out.json ends with a line end"
                );
                Ok(out)
            }
            (Err(_), Ok(refused)) => Err(refused.trim_end().to_owned()),
            _ => panic!("{name} has out.json or refused.txt"),
        };
        let message = fs::read(folder.join("in.json")).unwrap();
        Ok(Self {
            way,
            root,
            message,
            expected,
        })
    }

    /// What is not as it should be.
    fn check(&self, seed: u64) -> Option<String> {
        let (way, message) = (&self.way, self.message.as_slice());
        let oracle = rewrite::rewrite(way, self.root, message);
        let given_by_oracle = oracle.as_ref().map(|left| left.bytes.clone());
        if let Some(wrong) = self.differs(&given_by_oracle.map_err(|refusal| *refusal)) {
            return Some(format!("the oracle gives {wrong}"));
        }
        let whole = feed(way, self.root, [message]);
        if let Some(wrong) = self.differs(&given(&whole)) {
            return Some(format!("whole it gives {wrong}"));
        }
        if let Some(left) = oracle.ok().filter(|left| left.counts != counts(&whole)) {
            let wrong = counts(&whole);
            return Some(format!("it counts {wrong:?} and not {:?}", left.counts));
        }
        let byte_by_byte = feed(way, self.root, message.chunks(1));
        let splits = (0..SPLITS).map(|split| {
            let seed = seed.wrapping_add(split);
            feed(way, self.root, pieces(message, seed))
        });
        std::iter::once(byte_by_byte)
            .chain(splits)
            .zip(0..)
            .find_map(|(done, split)| {
                let counted = done.counts == whole.counts || done.result.is_err();
                let wrong = self.differs(&given(&done));
                let wrong = wrong.or_else(|| (!counted).then(|| format!("{:?}", done.counts)));
                wrong.map(|wrong| format!("in pieces ({split}) it gives {wrong}"))
            })
    }

    fn differs(&self, given: &Result<Vec<u8>, Refusal>) -> Option<String> {
        let given = given.clone().map_err(|refusal| refusal.to_string());
        let show = |result: &Result<Vec<u8>, String>| match result {
            Ok(left) => String::from_utf8_lossy(left).into_owned(),
            Err(refusal) => format!("a refusal: {refusal}"),
        };
        let wrong = || {
            format!(
                "{}\n    and should give {}",
                show(&given),
                show(&self.expected)
            )
        };
        (given != self.expected).then(wrong)
    }
}

fn given(done: &Done) -> Result<Vec<u8>, Refusal> {
    done.result.map(|()| done.left.clone())
}

/// Makes a whole vendor's file of a case's policy and reads it.
fn law(name: &str, policy: &str) -> Result<(Arc<Law>, Rule, Side), String> {
    let (head, tables) = match policy.find("\n[") {
        Some(at) => policy.split_at(at),
        None => (policy, ""),
    };
    let mut limits = Limits::default();
    let (mut root, mut preset, mut name_of_route) = (None, None, None);
    let mut to = Side::Vendor;
    for line in head.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once(" = ").unwrap() {
            ("direction", "\"from-vendor\"") => to = Side::School,
            ("root", word) => root = Some(word),
            ("preset", preset_named) => preset = Some(preset_named),
            ("route", route) => name_of_route = Some(route.trim_matches('"')),
            ("limits", table) => set(&mut limits, table),
            (other, _) => panic!("{name}: {other}"),
        }
    }
    let direction = match to {
        Side::School => "from-vendor",
        Side::Vendor => "to-vendor",
    };
    let file = match (root, preset) {
        (Some(root), None) => format!("{VENDOR}{direction} = {root}\n{tables}"),
        (None, Some(preset)) => {
            let (vendor, _own_flow) = VENDOR.split_once("[flow.").unwrap();
            format!("{vendor}[flow.school]\npreset = {preset}\n{UPSTREAM}\n{tables}")
        }
        _ => panic!("{name} has a root or a preset"),
    };
    let mut draft = drafted(name, file)?;
    let mut routes = draft.policy.flows[0].routes.iter();
    let is_meant = |route: &&Route| name_of_route.is_none_or(|name| route.name == name);
    let route = routes.find(is_meant).unwrap();
    let content = match to {
        Side::School => route.from_vendor,
        Side::Vendor => route.to_vendor,
    };
    let Content::Json(root) = content else {
        panic!("{name}: nothing goes to that side");
    };
    draft.policy.bases = vec![Bases {
        public: "https://gw.example/v".to_owned(),
        upstream: "https://api.vendor.example".to_owned(),
    }];
    let key = VendorKey::from(std::array::from_fn(|place| u8::try_from(place).unwrap()));
    let newest = Generation::new(1, &key, draft.kind_specs);
    Ok((
        Arc::new(Law {
            policy: draft.policy,
            generations: Arc::new([newest]),
            limits,
        }),
        root,
        to,
    ))
}

/// Reads a vendor's file; otherwise says why not.
fn drafted(name: &str, file: String) -> Result<VendorDraft, String> {
    let file = SourceFile::new(format!("{name}/policy.toml"), file);
    let mut problems = Problems::new();
    let id = VendorId::parse("vendor").unwrap();
    let context = Context::default();
    let draft = read_vendor(&file, &id, &Presets::shipped(), &context, &mut problems);
    let problems = problems.sorted();
    let shown = problems.iter().map(|problem| problem.text(Colour::Off));
    draft.ok_or_else(|| shown.collect::<Vec<_>>().join("\n"))
}

fn book(law: &Law, register: &[u8]) -> Book {
    let mut book = Book::default();
    for line in register.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let entry: serde_json::Value = serde_json::from_slice(line).unwrap();
        let kind = entry["kind"].as_str().unwrap();
        let kind = law.policy.kinds.iter().position(|it| it.name == kind);
        let age = entry["age"].as_u64().unwrap_or(0).try_into().unwrap();
        let found = |form| Recall::Found { form, age };
        let (id, recall) = match (&entry["id"], entry["is"].as_str()) {
            (serde_json::Value::String(id), None) => (id.clone(), found(Form::Text)),
            (serde_json::Value::Number(id), None) => (id.to_string(), found(Form::Number)),
            (_, Some("foreign")) => (String::new(), Recall::Foreign),
            (_, Some("retired")) => (String::new(), Recall::Retired),
            _ => panic!("{entry}"),
        };
        let since = match entry["late"].as_bool() {
            Some(true) => Since::CaughtUp,
            Some(false) | None => Since::Always,
        };
        let owner = Owner { id, recall, since };
        book.add(kind.unwrap(), entry["pseudonym"].as_str().unwrap(), owner);
    }
    book
}

/// What every vendor's file must say, up to the route whose `to-vendor` a case gives.
const VENDOR: &str = include_str!("../golden/vendor.toml");
/// What a flow of a preset still has to say.
const UPSTREAM: &str = "callers = \"anyone\"\nupstream = \"https://api.vendor.example\"";

/// `{ json-depth = 4 }`
fn set(limits: &mut Limits, table: &str) {
    let inner = table.trim_matches(['{', '}', ' ']);
    for pair in inner.split(", ") {
        let (name, value) = pair.split_once(" = ").unwrap();
        limits
            .set(Bound::named(name).unwrap(), value.parse().unwrap())
            .unwrap();
    }
}
