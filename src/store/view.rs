//! One vendor's view of its school's register.

use std::fmt;
use std::sync::Arc;

use super::backend::Writers;
use super::ids::Ids;
use super::index::Index;
use super::keeper::Job;
use super::school::School;
use super::wait::Settling;
use super::{Shared, StoreFault};
use crate::limits;
use crate::names::VendorId;
use crate::pseudonym::{
    Asked, Back, Batch, Canonical, Form, Generation, Identifier, IdentifierFault, Kind, Recall,
    Register,
};

/// The register of a school as one vendor under one configuration sees it.
pub struct View {
    pub(super) school: Arc<School>,
    shared: Arc<Shared>,
    /// `None` of an import.
    vendor: Option<VendorId>,
    /// Each kind at its place in the policy; `None` if it has no way back.
    ways: Box<[Option<Way>]>,
}

/// The way back of one kind.
pub(super) struct Way {
    pub(super) kind: String,
    pub(super) canonical: Canonical,
    pub(super) ids: Arc<Ids>,
    /// The key in use, former ones with the newest first, and one that is prepared.
    accepted: Vec<Understood>,
    retired: Vec<Arc<Index>>,
    /// Whether two identifiers may have one pseudonym.
    may_collide: bool,
}

/// What is understood under one key.
struct Understood {
    index: Arc<Index>,
    /// As in [`Recall::Found`].
    age: usize,
}

/// The keys of a vendor: those whose pseudonyms are understood, and those whose are not any more.
#[derive(Clone, Debug)]
pub struct Generations {
    /// Newest first, but for one that is prepared, which is the last; the first makes pseudonyms.
    pub accepted: Arc<[Generation]>,
    /// Asked last, so that a pseudonym of one of these is not called unknown.
    pub retired: Arc<[Generation]>,
}

impl View {
    pub(super) fn new(
        shared: Arc<Shared>,
        school: Arc<School>,
        vendor: VendorId,
        generations: &Generations,
    ) -> Self {
        let in_use = generations.accepted.first();
        let kinds = in_use.map_or(&[][..], |in_use| &in_use.kinds);
        let ways = kinds
            .iter()
            .enumerate()
            .map(|(place, kind)| match kind.spec().back {
                Back::Never => None,
                Back::SchoolOnly => Some(Way::new(&school, &vendor, generations, place, kind)),
            });
        let ways = ways.collect();
        Self {
            school,
            shared,
            vendor: Some(vendor),
            ways,
        }
    }

    /// A view without a vendor: what is imported is added through it.
    pub(super) fn of_kind(
        shared: Arc<Shared>,
        school: Arc<School>,
        kind: &str,
        canonical: Canonical,
    ) -> Self {
        let way = Way {
            kind: kind.to_owned(),
            canonical,
            ids: school.ids(kind),
            accepted: Vec::new(),
            retired: Vec::new(),
            may_collide: false,
        };
        Self {
            school,
            shared,
            vendor: None,
            ways: Box::new([Some(way)]),
        }
    }

    /// Writes a batch, together with the others that wait.
    ///
    /// Resolves to `Ok` once every identifier of it is on disk and no two of the vendor's
    /// pseudonyms meet. On any error nothing of the message may leave; what the batch held is not
    /// known to the register then, unless it was before.
    pub fn settle(self: &Arc<Self>, batch: Batch) -> Settling {
        match batch.is_empty() {
            true => Settling::done(Ok(())),
            false => self.shared.ask(|promise| Job::Settle {
                view: Arc::clone(self),
                batch,
                promise,
            }),
        }
    }

    /// Reads what other nodes have added, and derives all that this view's indexes lack, and those
    /// of the school's other vendors.
    ///
    /// At once if there is nothing to do. Those who wait for it at the same time wait for one.
    pub fn catch_up(self: &Arc<Self>) -> Settling {
        // Who is stopped is told so, whoever else writes.
        let is_whole = self.school.is_whole().is_ok();
        match self.shared.writers == Writers::Many || self.is_behind() || !is_whole {
            true => self.shared.ask(|promise| Job::CatchUp {
                view: Arc::clone(self),
                promise,
            }),
            false => Settling::done(Ok(())),
        }
    }

    /// Derives what the indexes of accepted keys lack, on this thread and all cores: 0.3 µs for
    /// each identifier. Before a configuration comes into force, so that no request waits for it.
    pub fn warm(&self) {
        let ways = self.ways.iter().flatten();
        ways.flat_map(|way| &way.accepted)
            .for_each(|key| key.index.catch_up());
    }

    /// How many identifiers cannot get out, because an earlier one has their pseudonym.
    #[must_use]
    pub fn collisions(&self) -> usize {
        let in_use = self.ways.iter().flatten().filter_map(Way::in_use);
        in_use
            .map(|index| index.collisions())
            .fold(0, usize::saturating_add)
    }

    pub(super) fn way(&self, kind: usize) -> Option<&Way> {
        self.ways.get(kind)?.as_ref()
    }

    fn indexes(&self) -> impl Iterator<Item = &Arc<Index>> {
        let ways = self.ways.iter().flatten();
        ways.flat_map(|way| {
            way.accepted
                .iter()
                .map(|key| &key.index)
                .chain(&way.retired)
        })
    }

    /// Those of the school's other vendors: what they lead to is foreign here, not unknown.
    fn indexes_of_others(&self) -> impl Iterator<Item = Arc<Index>> {
        let ways = self.ways.iter().flatten();
        ways.flat_map(|way| {
            self.school
                .indexes_of_others(self.vendor.as_ref(), &way.kind)
        })
    }

    fn is_behind(&self) -> bool {
        self.indexes().any(|index| index.behind() > 0)
            || self.indexes_of_others().any(|index| index.behind() > 0)
    }

    /// On the keeper's thread: derives everything that an answer may depend on.
    pub(super) fn derive(&self) {
        self.indexes().for_each(|index| index.catch_up());
        self.indexes_of_others().for_each(|index| index.catch_up());
    }

    /// On the keeper's thread, once a batch is written: whether all of it may get out.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), StoreFault> {
        for (kind, _, id) in batch.iter() {
            let Some(way) = self.way(kind) else {
                continue;
            };
            let place = way.ids.place(id).ok_or(StoreFault::Damaged)?;
            if let Some(in_use) = way.in_use().filter(|_| way.may_collide) {
                in_use.catch_up();
                let leads = in_use.leads_to(place);
                leads.filter(|leads| *leads).ok_or(StoreFault::Collision)?;
            }
        }
        Ok(())
    }
}

impl Register for View {
    fn remember(
        &self,
        kind: usize,
        id: Identifier<'_>,
        form: Form,
        batch: &mut Batch,
    ) -> Result<(), IdentifierFault> {
        let Some(way) = self.way(kind) else {
            return Ok(());
        };
        if self.shared.is_lost() || !way.is_clear(id) {
            way.canonical.form(id)?;
            batch.add(kind, form, id);
        }
        Ok(())
    }

    fn recall(&self, kind: usize, pseudonym: &str, asked: Asked, into: &mut Vec<u8>) -> Recall {
        let Some(way) = self.way(kind) else {
            return Recall::Unknown;
        };
        // By another key, another node may mean somebody by it of whom nothing was read here yet.
        let has_all = asked == Asked::Again || self.shared.writers == Writers::One;
        if !has_all && way.may_collide && way.accepted.len() > 1 {
            return Recall::Unknown;
        }
        let start = into.len();
        for key in &way.accepted {
            catch_up_a_little(&key.index);
            let found = key.index.find(pseudonym, into);
            let text = into.get(start..).unwrap_or_default();
            match found {
                Some(form) if way.is_nobody_elses(pseudonym, text, &key.index) => {
                    let age = key.age;
                    return Recall::Found { form, age };
                }
                Some(_) => {
                    into.truncate(start);
                    return Recall::Unknown;
                }
                None => {}
            }
        }
        let mut leads = |indexes: &[Arc<Index>]| {
            let found = indexes
                .iter()
                .any(|index| index.find(pseudonym, into).is_some());
            into.truncate(start);
            found
        };
        if leads(&way.retired) {
            Recall::Retired
        } else if leads(
            &self
                .school
                .indexes_of_others(self.vendor.as_ref(), &way.kind),
        ) {
            Recall::Foreign
        } else {
            Recall::Unknown
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.vendor {
            Some(vendor) => write!(f, "View({}/{vendor})", self.school.id),
            None => write!(f, "View({})", self.school.id),
        }
    }
}

impl Way {
    fn new(
        school: &School,
        vendor: &VendorId,
        generations: &Generations,
        place: usize,
        kind: &Kind,
    ) -> Self {
        let spec = kind.spec();
        let Generations { accepted, retired } = generations;
        let index = |of, number| school.index(vendor, of, number, place);
        let understood = accepted.iter().enumerate().filter_map(|(number, key)| {
            let index = index(accepted, number)?;
            let age = if key.is_prepared { 0 } else { number };
            Some(Understood { index, age })
        });
        let understood: Vec<_> = understood.collect();
        let retired = (0..retired.len()).filter_map(|number| index(retired, number));
        Self {
            kind: spec.name.clone(),
            canonical: spec.canonical.clone(),
            ids: school.ids(&spec.name),
            may_collide: understood.iter().any(|key| key.index.may_collide()),
            accepted: understood,
            retired: retired.collect(),
        }
    }

    /// Of the key that makes pseudonyms.
    fn in_use(&self) -> Option<&Index> {
        self.accepted.first().map(|key| &*key.index)
    }

    /// Whether an identifier is on disk, and its pseudonym known to lead to it.
    fn is_clear(&self, id: Identifier<'_>) -> bool {
        let Some(place) = self.ids.place(id) else {
            return false;
        };
        let in_use = self.in_use().filter(|_| self.may_collide);
        in_use.is_none_or(|in_use| in_use.leads_to(place) == Some(true))
    }

    /// Whether no other key than that of this index leads a pseudonym to another identifier than
    /// what was found: after a rotation, one's new pseudonym may be another's old one, and who is
    /// meant cannot be told.
    ///
    /// A key whose pseudonyms are not all derived leads nowhere yet, so it might.
    fn is_nobody_elses(&self, pseudonym: &str, found: &[u8], by: &Arc<Index>) -> bool {
        if !self.may_collide {
            return true;
        }
        let mut other = Vec::new();
        let indexes = self.accepted.iter().map(|key| &key.index);
        { indexes }
            .filter(|index| !Arc::ptr_eq(index, by))
            .all(|index| {
                catch_up_a_little(index);
                // Asked first: what is derived in between is not looked at.
                let is_whole = index.behind() == 0;
                other.clear();
                match index.find(pseudonym, &mut other) {
                    Some(_) => self.is_one(found, &other),
                    None => is_whole,
                }
            })
    }

    /// Whether two texts are spellings of one identifier.
    fn is_one(&self, one: &[u8], other: &[u8]) -> bool {
        let (Ok(one), Ok(other)) = (str::from_utf8(one), str::from_utf8(other)) else {
            return false;
        };
        let canonical = |text| self.canonical.form(Identifier::new(text));
        let (one, other) = (canonical(one), canonical(other));
        one.is_ok() && one == other
    }
}

/// Derives what an index lacks if that is little; else the register's thread is asked to.
fn catch_up_a_little(index: &Index) {
    if (1..limits::REGISTER_RECALL_WORDS).contains(&index.behind()) {
        index.catch_up();
    }
}
