//! The configuration in force, and how it is replaced: whole or not at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::code;
use super::draft::Draft;
use super::keys::InUse;
use super::problem::{Problem, Problems};
use super::{Config, Vendor};
use crate::limits::Bound;
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::{Fingerprint, Holder};

/// The configuration in force. A request takes the current one and keeps it to its end.
#[derive(Debug)]
pub struct Deployed {
    current: ArcSwap<Config>,
}

impl Deployed {
    /// Puts a configuration in force.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        Self {
            current: ArcSwap::new(config.into()),
        }
    }

    /// The one in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Reads the files again and puts what they say in force; gives the findings.
    ///
    /// # Errors
    /// As [`Self::read_again`]; then the configuration in force stays.
    pub fn reload(&self, folder: &Path) -> Result<Problems, Problems> {
        let (next, findings) = self.read_again(folder)?;
        self.put(Arc::new(next));
        Ok(findings)
    }

    /// Reads the files again, for [`Self::put`]; gives the findings too.
    ///
    /// # Errors
    /// All problems, if one is an error. A vendor's key that is another than the one in use is an
    /// error unless the vendor's file pins the new one.
    pub fn read_again(&self, folder: &Path) -> Result<(Config, Problems), Problems> {
        let mut problems = Problems::new();
        let draft = Draft::read(folder, &mut problems);
        let pinned = pinned(&draft);
        let current = self.current();
        let next = draft.with_keys_beside(&in_use(&current), &mut problems);
        if let Some(next) = &next {
            compare_keys(&current, next, &pinned, &mut problems);
            find_what_waits(&current, next, &mut problems);
        }
        match next {
            Some(next) if !problems.has_errors() => Ok((next, problems)),
            Some(_) | None => Err(problems),
        }
    }

    /// Puts a configuration in force. Of lists of objections that could not be read with it, what
    /// the one before it knows holds on.
    pub fn put(&self, config: Arc<Config>) {
        let former = self.current();
        let with_lists = config.vendors.iter().filter(|it| !it.lists.is_empty());
        for vendor in with_lists {
            let same = |old: &&Arc<Vendor>| old.school == vendor.school && old.id == vendor.id;
            if let Some(old) = former.vendors.iter().find(same) {
                vendor.lists.take_over(&old.lists);
            }
        }
        self.current.store(config);
    }
}

/// Whatever a configuration has a key of.
fn in_use(current: &Config) -> InUse {
    let vendors = current.vendors.iter();
    let vendors = vendors.map(|it| (it.school.clone(), Holder::Vendor(it.id.clone())));
    let registers = current.register.keys.iter();
    let registers = registers.map(|(school, _)| (school.clone(), Holder::Register));
    vendors.chain(registers).collect()
}

/// The vendors whose files name the key that must be in use.
fn pinned(draft: &Draft) -> BTreeSet<(SchoolId, VendorId)> {
    let with_pin = draft.vendors().filter(|(_, vendor)| {
        vendor
            .draft
            .as_ref()
            .is_some_and(|draft| draft.key.is_some())
    });
    with_pin
        .map(|(school, vendor)| (school.id.clone(), vendor.id.clone()))
        .collect()
}

fn compare_keys(
    current: &Config,
    next: &Config,
    pinned: &BTreeSet<(SchoolId, VendorId)>,
    problems: &mut Problems,
) {
    for vendor in &next.vendors {
        let Vendor {
            school,
            id,
            fingerprint,
            ..
        } = vendor.as_ref();
        let same = |old: &&Arc<Vendor>| old.school == *school && old.id == *id;
        let before = current.vendors.iter().find(same);
        let old = before.map(|old| old.fingerprint);
        let has = |key: Fingerprint, or_prepared: bool| {
            let all = vendor.law.generations.iter().chain(&*vendor.retired);
            let mut all = all.filter(|it| or_prepared || !it.is_prepared);
            all.any(|it| it.fingerprint == key)
        };
        let prepared = before.and_then(|old| old.prepared_key());
        if let Some(lost) = prepared.filter(|key| !has(*key, true)) {
            let message = format!("{school}/{id} no longer understands {lost}, which was prepared");
            problems.push(
                Problem::finding(code::PREPARED_LOST, message)
                    .help("what another gateway gives out with that key is refused here")
                    .help("put the ring back that has it"),
            );
        }
        let kept = |old| has(old, false);
        // A rotation adds a key, and keeps the one in use beside it.
        if pinned.contains(&(school.clone(), id.clone())) || old.is_none_or(kept) {
            continue;
        }
        let message = format!("{school}/{id} would get another key than the one in use");
        problems.push(
            Problem::error(code::KEY_CHANGED, message)
                .help("with another key every pupil is somebody new to this vendor")
                .help(format!(
                    "if that is meant, say so in its file: [vendor] key = \"{fingerprint}\""
                )),
        );
    }
}

/// What only a new start can change.
fn find_what_waits(current: &Config, next: &Config, problems: &mut Problems) {
    let tls = |config: &Config| config.listen.tls.is_some();
    let waits: [(&str, bool); 6] = [
        (
            "[listen] address",
            current.listen.address != next.listen.address,
        ),
        ("[listen] tls", tls(current) != tls(next)),
        ("[admin] address", current.admin != next.admin),
        ("[runtime] threads", current.threads != next.threads),
        ("[log]", current.log != next.log),
        ("[register]", current.register.place != next.register.place),
    ];
    let mut what: Vec<String> = Vec::new();
    what.extend(
        waits
            .iter()
            .filter(|(_, waits)| *waits)
            .map(|(what, _)| (*what).to_owned()),
    );
    let bounds = BOUNDS_OF_THE_LISTENER.iter();
    let changed = bounds.filter(|bound| current.limits.of(**bound) != next.limits.of(**bound));
    what.extend(changed.map(|bound| format!("[limits] {}", bound.name())));
    for what in what {
        let message =
            format!("{what} has changed, which needs a restart: until then the former holds");
        problems.push(Problem::finding(code::WAITS, message));
    }
}

/// Bounds that hold for connections before anything is known of a request, and for the end.
const BOUNDS_OF_THE_LISTENER: [Bound; 5] = [
    Bound::Connections,
    Bound::ConnectionsPerClient,
    Bound::Drain,
    Bound::DrainDelay,
    Bound::TlsHandshake,
];
