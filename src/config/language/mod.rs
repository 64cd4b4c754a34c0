//! The policy language: from one vendor's file to a compiled [`Policy`], with every mistake of the
//! file reported at once.
//!
//! ```text
//! [vendor] [limits]    who, why, until when                   here
//! [ids.X]              kinds of identifier                    ids
//! [shape.X]            fields, words, choices                 shapes, switch, words, inner, values
//! [flow.X]             who calls whom, with what credentials  flows, callers, grant
//! [[flow.X.route]]     which requests, and what they carry    routes, queries, statuses, overlap
//! [only.X] [except]    which records are sent at all           records
//! preset = "…"         what a standard's vendor gets; a file
//!                      may say less, and nothing else         preset, overlay
//!                      compiled once where it says no less    whole, shared
//! ```
//!
//! Whatever is not written is not sent, and whatever is not understood is an error. A word that
//! comes in a later release says so.

mod callers;
mod chosen;
mod draft;
mod flows;
mod grant;
mod ids;
mod inner;
mod lints;
mod named;
mod overlap;
mod overlay;
mod preset;
mod queries;
mod records;
mod routes;
mod shapes;
mod shared;
mod statuses;
mod switch;
mod values;
mod whole;
mod words;

pub(super) use draft::Remains;
pub use draft::{
    CallersDraft, ClientDraft, FlowDraft, GrantDraft, IdentityDraft, ObjectionsDraft, ShapeCount,
    UpstreamAuthDraft, VendorDraft,
};
pub(super) use overlap::can_begin;
pub use preset::{Catalogue, Class, Presets};

use std::sync::Arc;

use chosen::named_presets;
use named::{Origin, Vocabulary};
use preset::{Expressions, PresetInUse};
use shared::Shared;
use whole::Whole;

use super::school::{one_of, version, words};
use super::units;
use super::{
    At, Document, Mode, Place, Problem, Problems, Rate, SourceFile, Table, Validity, code,
};
use crate::limits::Bound;
use crate::names::VendorId;
use crate::policy::{Index, Policy, Rule, Shape, Side};
use crate::pseudonym::{Fingerprint, KindSpec};

/// What a vendor's file must know of its school.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// `[school] pupils`: how many there are, for the chance that two pseudonyms are the same.
    pub pupils: u32,
}

impl Default for Context {
    fn default() -> Self {
        Self { pupils: 20_000 }
    }
}

/// Parts of the language that come later, as keys of the whole file.
const NOT_YET: &[&str] = &["use", "widen"];

/// Reads the file of one vendor. `None` if anything in it is an error; then `problems` says what.
#[must_use]
pub fn read_vendor(
    file: &Arc<SourceFile>,
    id: &VendorId,
    presets: &Presets,
    context: &Context,
    problems: &mut Problems,
) -> Option<VendorDraft> {
    vendor_or_remains(file, id, presets, context, problems).ok()
}

/// Reads the file of one vendor; what can be compared with other files comes also where it has
/// errors.
pub(super) fn vendor_or_remains(
    file: &Arc<SourceFile>,
    id: &VendorId,
    presets: &Presets,
    context: &Context,
    problems: &mut Problems,
) -> Result<VendorDraft, Remains> {
    let errors_before = problems.errors_reported();
    let document = Document::parse(file, problems);
    let named = named_presets(&document.root(), presets, problems);
    let found = named.found.iter();
    let used: Vec<PresetInUse<'_>> = found
        .map(|(name, preset)| PresetInUse::read(name, preset, problems))
        .collect();
    let shared = presets.shared(&named.found);
    let mut compiler = Compiler {
        problems,
        errors_before,
        vendor: id.as_str(),
        context,
        catalogue: Arc::clone(&shared.catalogue),
        shared,
        presets: &used,
        expressions: presets.expressions(),
        policy: Policy {
            vendor: id.as_str().to_owned(),
            ..Policy::default()
        },
        kind_specs: Vec::new(),
        vocabulary: Vocabulary::default(),
        cases: Vec::new(),
        stubs: Vec::new(),
        homeward: Vec::new(),
        errors_told: Vec::new(),
        rate: None,
        asks_more_of_doors: false,
    };
    compiler.vocabulary.kinds.open = named.unknown;
    compiler.vocabulary.shapes.open = named.unknown;
    let root = document.root();
    let draft = compiler.vendor(id, &root);
    match compiler.errors() {
        0 => draft,
        _ => Err(draft.map_or_else(|remains| remains, Remains::from)),
    }
}

/// One vendor's file on its way to a policy.
struct Compiler<'d, 'p> {
    problems: &'p mut Problems,
    /// Errors that were there before this file.
    errors_before: usize,
    vendor: &'p str,
    context: &'p Context,
    catalogue: Arc<Catalogue>,
    shared: Arc<Shared>,
    presets: &'p [PresetInUse<'d>],
    expressions: &'p Expressions,
    policy: Policy,
    kind_specs: Vec<KindSpec>,
    vocabulary: Vocabulary,
    /// Shapes that a switch chooses, with where it says so.
    cases: Vec<(String, Place)>,
    /// Shapes that take the place of withheld ones, with where that is said.
    stubs: Vec<(Index<Shape>, Place)>,
    /// What comes from the vendor, with where that is said, and who calls.
    homeward: Vec<(Rule, Place, Side)>,
    /// What errors carry, with where that is said first.
    errors_told: Vec<(Rule, Place)>,
    /// `[limits] rate`, for the flows that have none of their own.
    rate: Option<Rate>,
    /// Whether some routes may be had with some callers and credentials only.
    asks_more_of_doors: bool,
}

impl<'d> Compiler<'d, '_> {
    fn errors(&self) -> usize {
        let reported = self.problems.errors_reported();
        reported.saturating_sub(self.errors_before)
    }

    /// Does something of which no problem is reported.
    fn quietly<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let loud = std::mem::take(self.problems);
        let done = act(self);
        *self.problems = loud;
        done
    }

    fn vendor(&mut self, id: &VendorId, root: &Table<'d>) -> Result<VendorDraft, Remains> {
        version(root, self.problems);
        self.report_what_comes_later(root);
        let body_bytes_max = self.limits(root);
        let head = root.need("vendor", self.problems);
        let head = head.and_then(|head| head.table(self.problems));
        let head = head.and_then(|head| self.head(&head));

        let Whole {
            rules,
            objections,
            flows,
        } = self.whole(root);
        let kind_specs = rules.kind_specs;
        let Some(head) = head else {
            return Err(Remains {
                flows,
                objections,
                kind_specs,
            });
        };
        Ok(VendorDraft {
            id: id.clone(),
            name: head.name,
            agreement: head.agreement,
            purpose: head.purpose,
            contact: head.contact,
            valid: head.valid.value,
            until_at: head.valid.place,
            mode: head.mode,
            key: head.key,
            body_bytes_max,
            shapes: rules.shapes,
            policy: rules.policy,
            policy_digest: rules.digest,
            kind_specs,
            objections,
            flows,
            catalogue: Arc::clone(&self.catalogue),
        })
    }

    /// The tables under one key of all files: `[ids.X]`, `[shape.X]`.
    fn named_by_all(
        &mut self,
        roots: &[(Origin, &Table<'d>)],
        key: &str,
    ) -> Vec<(Origin, At<&'d str>, Table<'d>)> {
        let mut all = Vec::new();
        for (origin, root) in roots {
            let named = root.named_tables(key, self.problems);
            all.extend(
                named
                    .into_iter()
                    .map(|(name, table)| (*origin, name, table)),
            );
        }
        all
    }

    fn report_what_comes_later(&mut self, root: &Table<'d>) {
        let later = NOT_YET
            .iter()
            .filter_map(|key| Some((key, root.value(key)?)));
        for (key, value) in later {
            self.vocabulary.shapes.open |= *key == "use";
            let items = self.quietly(|it| value.array(it.problems));
            match (*key, items) {
                ("widen", Some(items)) => items
                    .iter()
                    .for_each(|item| self.not_yet("[[widen]]", &item.place())),
                (key, _) => self.not_yet(key, value.key_place()),
            }
        }
    }

    fn limits(&mut self, root: &Table<'d>) -> Option<At<u64>> {
        let table = root.table("limits", self.problems)?;
        if let Some(value) = table.value("items") {
            self.not_yet("items", value.key_place());
        }
        let rate = table.value("rate");
        self.rate = rate.and_then(|it| Rate::read(&it, self.problems));
        let body = table
            .value("body")
            .and_then(|it| units::bound(Bound::Body, &it, self.problems));
        table.finish(self.problems);
        body
    }

    fn head(&mut self, table: &Table<'d>) -> Option<Head> {
        let name = words(table, "name", self.problems);
        let agreement = words(table, "agreement", self.problems);
        let purpose = words(table, "purpose", self.problems);
        let contact = words(table, "contact", self.problems);
        let valid = self.valid(table);
        let mode = self.mode(table);
        let key = self.pinned_key(table);
        table.finish(self.problems);
        Some(Head {
            name: name?,
            agreement: agreement?,
            purpose: purpose?,
            contact: contact?,
            valid: valid?,
            mode,
            key,
        })
    }

    /// The days, and where the last one is written.
    fn valid(&mut self, table: &Table<'d>) -> Option<At<Validity>> {
        let help = ["the days of the agreement: valid = { from = 2026-08-01, until = 2027-07-31 }"];
        let valid = table.need_as("valid", &help, self.problems)?;
        let valid = valid.table(self.problems)?;
        let from = valid.need("from", self.problems);
        let until = valid.need("until", self.problems);
        valid.finish(self.problems);
        let from = from.and_then(|it| it.date(self.problems));
        let until = until.and_then(|it| it.date(self.problems))?;
        let from = from?;
        if until.value < from.value {
            let problem = Problem::error(code::UNTIL_BEFORE_FROM, "`until` lies before `from`");
            self.problems
                .push(problem.at(&until.place).also(&from.place, "`from`"));
        }
        let value = Validity {
            from: from.value,
            until: until.value,
        };
        Some(At {
            value,
            place: until.place,
        })
    }

    /// `enforce` unless the file says otherwise.
    fn mode(&mut self, table: &Table<'d>) -> Mode {
        let modes = [("enforce", Mode::Enforce), ("observe", Mode::Observe)];
        let text = table.text("mode", self.problems);
        let mode = text.and_then(|text| one_of(&text, "mode", &modes, self.problems));
        mode.unwrap_or(Mode::Enforce)
    }

    fn pinned_key(&mut self, table: &Table<'d>) -> Option<At<Fingerprint>> {
        let key = table.text("key", self.problems)?;
        let value = Fingerprint::parse(key.value);
        if value.is_none() {
            let problem = Problem::error(code::VALUE, "this is not the fingerprint of a key");
            let problem = problem
                .at(&key.place)
                .label("16 digits of 0-9a-f, never the key itself");
            self.problems
                .push(problem.help("`sluis keys list` shows it"));
        }
        Some(At {
            value: value?,
            place: key.place,
        })
    }
}

/// `[vendor]`.
struct Head {
    name: String,
    agreement: String,
    purpose: String,
    contact: String,
    valid: At<Validity>,
    mode: Mode,
    key: Option<At<Fingerprint>>,
}
