//! The golden cases in `tests/golden/json`: each a folder with
//!
//! * `policy.toml`: the `[ids]` and `[shape]` tables of a vendor's file. Above them stands
//!   `root = …`, what `to-vendor` would say, and where a case needs it `limits = { … }`;
//! * `in.json`: what is sent, byte for byte;
//! * `out.json`, what leaves (and a line end, which does not), or `refused.txt`, why nothing may;
//! * `why.md`: what the case is about.
//!
//! On every list of `[except]` stand the pupils of [`crate::oracle::records::objected`]: `S-64009`.
//!
//! Each case runs whole, byte by byte, and in pieces at [`SPLITS`] random splits. The pseudonyms in
//! them were made by `tests/vectors/make_vectors.py`, under the first key of the vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::any;
use proptest::strategy::{Strategy as _, ValueTree as _};
use sluis::config::{Colour, Context, Presets, Problems, SourceFile, read_vendor};
use sluis::limits::{Bound, Limits};
use sluis::minimise::Law;
use sluis::names::VendorId;
use sluis::policy::{Content, Rule};
use sluis::pseudonym::{Generation, VendorKey};
use sluis::refusal::Refusal;

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
    assert!(cases.len() >= 190, "only {} cases were found", cases.len());
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
}

/// Another one at every run; a failure names it.
fn seed() -> u64 {
    let mut runner = proptest::test_runner::TestRunner::default();
    any::<u64>().new_tree(&mut runner).unwrap().current()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/json");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

struct Case {
    law: Arc<Law>,
    root: Rule,
    message: Vec<u8>,
    expected: Result<Vec<u8>, String>,
}

impl Case {
    fn read(name: &str, folder: &Path) -> Result<Self, String> {
        let policy = fs::read_to_string(folder.join("policy.toml")).unwrap();
        assert!(folder.join("why.md").exists(), "{name} does not say why");
        let (law, root) = law(name, &policy)?;
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
            law,
            root,
            message,
            expected,
        })
    }

    /// What is not as it should be.
    fn check(&self, seed: u64) -> Option<String> {
        let (law, message) = (&self.law, self.message.as_slice());
        let oracle = rewrite::rewrite(law, self.root, message);
        let given_by_oracle = oracle.as_ref().map(|left| left.bytes.clone());
        if let Some(wrong) = self.differs(&given_by_oracle.map_err(|refusal| *refusal)) {
            return Some(format!("the oracle gives {wrong}"));
        }
        let whole = feed(law, self.root, [message]);
        if let Some(wrong) = self.differs(&given(&whole)) {
            return Some(format!("whole it gives {wrong}"));
        }
        if let Some(left) = oracle.ok().filter(|left| left.counts != counts(&whole)) {
            let wrong = counts(&whole);
            return Some(format!("it counts {wrong:?} and not {:?}", left.counts));
        }
        let byte_by_byte = feed(law, self.root, message.chunks(1));
        let splits = (0..SPLITS).map(|split| {
            let seed = seed.wrapping_add(split);
            feed(law, self.root, pieces(message, seed))
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
fn law(name: &str, policy: &str) -> Result<(Arc<Law>, Rule), String> {
    let (head, tables) = match policy.find("\n[") {
        Some(at) => policy.split_at(at),
        None => (policy, ""),
    };
    let mut limits = Limits::default();
    let mut root = None;
    for line in head.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once(" = ").unwrap() {
            ("root", word) => root = Some(word),
            ("limits", table) => set(&mut limits, table),
            (other, _) => panic!("{name}: {other}"),
        }
    }
    let root = root.unwrap();
    let file = format!("{VENDOR}to-vendor = {root}\n{tables}");
    let file = SourceFile::new(format!("{name}/policy.toml"), file);
    let mut problems = Problems::new();
    let id = VendorId::parse("vendor").unwrap();
    let context = Context::default();
    let draft = read_vendor(&file, &id, &Presets::shipped(), &context, &mut problems);
    let shown: Vec<String> = problems
        .sorted()
        .iter()
        .map(|problem| problem.text(Colour::Off))
        .collect();
    let draft = draft.ok_or_else(|| shown.join("\n"))?;
    let Content::Json(root) = draft.policy.flows[0].routes[0].to_vendor else {
        panic!("{name}: nothing goes to the vendor");
    };
    let key = VendorKey::from(std::array::from_fn(|place| u8::try_from(place).unwrap()));
    let newest = Generation::new(1, &key, draft.kind_specs);
    Ok((
        Arc::new(Law {
            policy: draft.policy,
            generations: Arc::new([newest]),
            limits,
        }),
        root,
    ))
}

/// What every vendor's file must say, up to the route whose `to-vendor` a case gives.
const VENDOR: &str = include_str!("../golden/vendor.toml");

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
