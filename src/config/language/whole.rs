//! What leaves to a vendor, compiled: of its own file, or once for all files that add nothing to
//! the same presets.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Compiler;
use super::draft::{FlowDraft, ObjectionsDraft, ShapeCount};
use super::flows::NamedFlow;
use super::named::Origin;
use super::preset::{PresetInUse, named_by};
use super::routes::InRoutes;
use crate::config::hash::PolicyDigest;
use crate::config::{Problem, Table, code, shown};
use crate::policy::{Policy, Side};
use crate::pseudonym::KindSpec;

/// Everything that decides what leaves.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) policy: Policy,
    pub(super) digest: PolicyDigest,
    pub(super) kind_specs: Vec<KindSpec>,
    pub(super) shapes: Arc<[ShapeCount]>,
}

/// What a vendor's file says besides who it is.
pub(super) struct Whole {
    pub(super) rules: Rules,
    pub(super) objections: Vec<ObjectionsDraft>,
    pub(super) flows: Vec<FlowDraft>,
}

/// What the rules of a file depend on that says nothing of fields, kinds, routes and records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plain {
    /// How many there are decides whether pseudonyms are long enough.
    pupils: u32,
    flows: Vec<PlainFlow>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PlainFlow {
    name: String,
    caller: Side,
    presets: Vec<String>,
}

/// The rules of plain files of the same presets.
#[derive(Debug, Default)]
pub(super) struct PlainRules(RwLock<BTreeMap<Plain, Arc<Rules>>>);

impl PlainRules {
    fn get(&self, plain: &Plain) -> Option<Arc<Rules>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(plain).map(Arc::clone)
    }

    fn keep(&self, plain: Plain, rules: &Rules) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(plain)
            .or_insert_with(|| Arc::new(rules.clone()));
    }
}

/// All that a plain file may have.
const PLAIN_KEYS: [&str; 4] = ["flow", "limits", "vendor", "version"];

impl<'d, 'p> Compiler<'d, 'p> {
    pub(super) fn whole(&mut self, root: &Table<'d>) -> Whole {
        let flows = self.named_flows(root);
        let Some(plain) = self.plain(root, &flows) else {
            return self.own_whole(root, &flows);
        };
        if let Some(rules) = self.shared.plain.get(&plain) {
            return self.plain_whole(&flows, &rules);
        }
        let before = self.problems.reported();
        let whole = self.own_whole(root, &flows);
        // Whatever there is to say of it, each vendor is told.
        let is_faultless = self.errors() == 0 && self.problems.reported() == before;
        if is_faultless && !self.asks_more_of_doors {
            self.shared.plain.keep(plain, &whole.rules);
        }
        whole
    }

    /// `None` if the file says anything of what leaves.
    fn plain(&self, root: &Table<'d>, flows: &[NamedFlow<'d, 'p>]) -> Option<Plain> {
        let is_plain = |flow: &NamedFlow<'_, '_>| {
            let NamedFlow { presets, table, .. } = flow;
            !presets.is_empty() && !table.has("route")
        };
        let keys_are_plain = root.keys().all(|key| PLAIN_KEYS.contains(&key));
        if !keys_are_plain || !flows.iter().all(is_plain) {
            return None;
        }
        let flow = |flow: &NamedFlow<'_, '_>| PlainFlow {
            name: flow.name.value.to_owned(),
            caller: flow.caller,
            presets: flow.presets.iter().map(|it| it.name.clone()).collect(),
        };
        Some(Plain {
            pupils: self.context.pupils,
            flows: flows.iter().map(flow).collect(),
        })
    }

    /// The rules are known; what else stands in the file is read and checked as in any other.
    fn plain_whole(&mut self, flows: &[NamedFlow<'d, 'p>], rules: &Rules) -> Whole {
        let door = |flow| self.door(flow, InRoutes::default());
        let flows = flows.iter().filter_map(door).collect();
        let mut rules = rules.clone();
        self.vendor.clone_into(&mut rules.policy.vendor);
        Whole {
            rules,
            objections: Vec::new(),
            flows,
        }
    }

    fn own_whole(&mut self, root: &Table<'d>, flows: &[NamedFlow<'d, 'p>]) -> Whole {
        let presets = self.presets;
        let of_presets = presets.iter().map(|preset| (Origin::Preset, &preset.root));
        let roots: Vec<(Origin, &Table<'d>)> = of_presets.chain([(Origin::Vendor, root)]).collect();
        self.read_kinds(&roots);
        let shapes = self.name_shapes(&roots);
        self.compile_shapes(&shapes);
        self.check_cases();
        self.check_stubs();
        let drafts = flows.iter().filter_map(|flow| self.flow(flow)).collect();
        let objections = self.records(root);
        root.finish(self.problems);
        for preset in presets {
            preset.root.finish(self.problems);
        }
        self.check_whole(&objections);
        if self.errors() == 0 {
            self.find_no_route(flows);
        }
        let shapes = self.count_shapes().into();
        let policy = std::mem::take(&mut self.policy);
        Whole {
            rules: Rules {
                digest: PolicyDigest::of(&policy),
                policy,
                kind_specs: std::mem::take(&mut self.kind_specs),
                shapes,
            },
            objections,
            flows: drafts,
        }
    }

    /// A flow without a route answers nothing.
    fn find_no_route(&mut self, flows: &[NamedFlow<'d, 'p>]) {
        let pairs = flows.iter().zip(&self.policy.flows);
        let silent = pairs.filter(|(_, flow)| flow.routes.is_empty());
        let problem = |(NamedFlow { name, table, .. }, _): (&NamedFlow<'_, '_>, _)| {
            let problem = Problem::finding(code::NO_ROUTE, "no request is answered here");
            let problem = problem.at(&table.place()).label("a flow without routes");
            let header = shown(&format!("[[flow.{}.route]]", name.value));
            problem.help(format!(
                "write a {header} for each request, or name a `preset`"
            ))
        };
        self.problems.extend(silent.map(problem));
    }

    fn check_whole(&mut self, objections: &[ObjectionsDraft]) {
        self.check_homeward();
        self.find_told();
        if self.errors() == 0 {
            self.check_excepted(objections);
        }
        self.find_similar_shapes();
        // A name that nothing uses may be the consequence of an error.
        if self.errors() == 0 {
            self.check_names_beside_presets();
        }
        if self.errors() == 0 {
            self.find_unused();
        }
    }

    fn named_flows(&mut self, root: &Table<'d>) -> Vec<NamedFlow<'d, 'p>> {
        let named = root.named_tables("flow", self.problems);
        if named.is_empty() && !root.has("flow") {
            let problem = Problem::error(code::MISSING, "a vendor needs a flow: [flow.NAME]");
            self.problems.push(problem.at(&root.place()));
        }
        let flow = |(name, table)| {
            let presets = self.presets_of(&table);
            NamedFlow {
                caller: self.caller(&table, &presets),
                name,
                table,
                presets,
            }
        };
        named.into_iter().map(flow).collect()
    }

    /// The presets that a flow names, of those that are there.
    fn presets_of(&mut self, flow: &Table<'d>) -> Vec<&'p PresetInUse<'d>> {
        let presets = self.presets;
        let names = self.quietly(|it| named_by(flow, it.problems));
        let named = |preset: &&PresetInUse<'d>| names.iter().any(|it| it.value == preset.name);
        presets.iter().filter(named).collect()
    }
}
