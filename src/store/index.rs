//! From a pseudonym to the place of its identifier: one kind under one version of a vendor's key.
//!
//! Nothing of it is stored. It is derived from the identifiers whenever it lags behind them.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::{fmt, iter, thread};

use super::arena::Place;
use super::ids::Ids;
use super::places::{Places, number_of};
use crate::names::VendorId;
use crate::pseudonym::{Fingerprint, Form, Generation, Identifier, IndexKey, Kind, KindSpec};

/// Words of the arena that a thread derives alone: more are shared between all cores.
const ALONE_WORDS: u32 = 1 << 17;
/// With this many bits two of 2^32 identifiers meet once in 2^57 registers.
const BITS_ENOUGH: f64 = 120.0;

pub(super) struct Index {
    pub(super) vendor: VendorId,
    ids: Arc<Ids>,
    generations: Arc<[Generation]>,
    age: usize,
    kind: usize,
    /// Made when the first identifiers come in, as large as they are many.
    places: OnceLock<Places>,
    /// Everything before this place is in.
    derived: AtomicU32,
    /// Held by who derives.
    deriving: Mutex<()>,
    /// Places whose pseudonym an earlier place has.
    later: RwLock<BTreeSet<Place>>,
    any_later: AtomicBool,
}

impl Index {
    /// `None` if there is no such kind in that generation.
    pub(super) fn new(
        vendor: VendorId,
        ids: Arc<Ids>,
        generations: Arc<[Generation]>,
        age: usize,
        kind: usize,
    ) -> Option<Self> {
        generations.get(age)?.kinds.get(kind)?;
        Some(Self {
            vendor,
            ids,
            generations,
            age,
            kind,
            places: OnceLock::new(),
            derived: AtomicU32::new(0),
            deriving: Mutex::new(()),
            later: RwLock::default(),
            any_later: AtomicBool::new(false),
        })
    }

    fn kind(&self) -> Option<&Kind> {
        self.generations.get(self.age)?.kinds.get(self.kind)
    }

    pub(super) fn spec(&self) -> Option<&KindSpec> {
        self.kind().map(Kind::spec)
    }

    /// Whether it makes the same pseudonyms as a kind would that is made of these.
    pub(super) fn is_of(&self, vendor: &VendorId, key: Fingerprint, spec: &KindSpec) -> bool {
        let generation = self.generations.get(self.age);
        let same_key = generation.is_some_and(|it| it.fingerprint == key);
        let same_form = self.spec().is_some_and(|own| {
            own.name == spec.name
                && own.canonical == spec.canonical
                && own.notation == spec.notation
        });
        same_key && same_form && self.vendor == *vendor
    }

    /// Whether two identifiers may have one pseudonym, so that each must be looked at before its
    /// own leaves.
    pub(super) fn may_collide(&self) -> bool {
        self.spec()
            .is_some_and(|spec| spec.notation.bits() < BITS_ENOUGH)
    }

    /// Words of the arena that are not in yet.
    pub(super) fn behind(&self) -> u32 {
        let end = self.ids.arena.end();
        end.saturating_sub(self.derived.load(Ordering::Acquire))
    }

    /// Finds the identifier of a pseudonym among those that are in, and appends it to `into`.
    ///
    /// The pseudonym of what is found is derived again and compared whole: a mistake of the index
    /// can hide an identifier, and give nobody another's.
    pub(super) fn find(&self, pseudonym: &str, into: &mut Vec<u8>) -> Option<Form> {
        let kind = self.kind()?;
        let key = kind.spec().notation.read(pseudonym)?;
        // While a part is derived, a later identifier may stand where an earlier one will.
        let derived = self.derived.load(Ordering::Acquire);
        let start = into.len();
        self.places.get()?.find(number_of(key.bytes()), |place| {
            let header = (place < derived).then(|| self.ids.arena.read(place, into))??;
            let text = into.get(start..).and_then(|it| str::from_utf8(it).ok());
            if text.is_some_and(|text| kind.makes(pseudonym, key, Identifier::new(text))) {
                return Some(header.form);
            }
            into.truncate(start);
            None
        })
    }

    /// Whether the pseudonym of an identifier leads to it; `None` if it is not in yet.
    ///
    /// It leads to the first identifier that came into the register, on every node the same: an
    /// identifier that would have the pseudonym of an earlier one never gets out.
    pub(super) fn leads_to(&self, place: Place) -> Option<bool> {
        if place >= self.derived.load(Ordering::Acquire) {
            return None;
        }
        if !self.any_later.load(Ordering::Acquire) {
            return Some(true);
        }
        let later = self.later.read().unwrap_or_else(PoisonError::into_inner);
        Some(!later.contains(&place) || self.is_another_spelling(place))
    }

    /// How many identifiers were met whose pseudonym an earlier one has.
    pub(super) fn collisions(&self) -> usize {
        let later = self.later.read().unwrap_or_else(PoisonError::into_inner);
        later
            .iter()
            .filter(|place| !self.is_another_spelling(**place))
            .count()
    }

    fn is_another_spelling(&self, place: Place) -> bool {
        let found = || {
            let kind = self.kind()?;
            let own = self.text(place)?;
            let own = Identifier::new(&own);
            let key = kind.index_key(own).ok()?;
            let first = self.places.get()?.find(number_of(key.bytes()), |place| {
                self.text(place).filter(|text| has(kind, text, key))
            })?;
            let canonical = &kind.spec().canonical;
            let first = canonical.form(Identifier::new(&first)).ok()?;
            Some(canonical.form(own).ok()? == first)
        };
        found().unwrap_or(false)
    }

    fn text(&self, place: Place) -> Option<String> {
        let mut text = Vec::new();
        self.ids.arena.read(place, &mut text)?;
        String::from_utf8(text).ok()
    }

    /// Derives all that is not in yet: 0.3 µs for each identifier, on all cores if there are many.
    pub(super) fn catch_up(&self) {
        let _deriving = self.deriving.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.derived.load(Ordering::Acquire);
        let parts = self.ids.arena.parts(start);
        let Some((_, end)) = parts.last().copied() else {
            return;
        };
        if end.saturating_sub(start) <= ALONE_WORDS {
            parts.into_iter().for_each(|part| self.derive(part));
        } else {
            let next = AtomicUsize::new(0);
            let take = || parts.get(next.fetch_add(1, Ordering::Relaxed)).copied();
            let work = || iter::from_fn(take).for_each(|part| self.derive(part));
            let cores = thread::available_parallelism().map_or(1, NonZero::get);
            thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
        }
        self.derived.store(end, Ordering::Release);
    }

    fn derive(&self, (from, to): (Place, Place)) {
        let Some(kind) = self.kind() else {
            return;
        };
        let (mut at, mut text) = (from, Vec::new());
        while at < to
            && let Some((place, _)) = self.ids.arena.next(&mut at, &mut text)
        {
            // What has no canonical form for this vendor has no pseudonym either.
            let id = str::from_utf8(&text).map(Identifier::new);
            if let Some(Ok(key)) = id.ok().map(|id| kind.index_key(id)) {
                self.list(kind, key, place);
            }
        }
    }

    /// Lists a place. Of two with one key the earlier one keeps it, in whatever order they come.
    fn list(&self, kind: &Kind, key: IndexKey, place: Place) {
        let places = self
            .places
            .get_or_init(|| Places::with_room_for(self.ids.len()));
        let is_the_same = |place| self.text(place).is_some_and(|text| has(kind, &text, key));
        if let Some(later) = places.list(number_of(key.bytes()), place, is_the_same) {
            let mut laters = self.later.write().unwrap_or_else(PoisonError::into_inner);
            laters.insert(later);
            self.any_later.store(true, Ordering::Release);
        }
    }
}

fn has(kind: &Kind, text: &str, key: IndexKey) -> bool {
    kind.index_key(Identifier::new(text)) == Ok(key)
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({}, {:?})", self.vendor, self.kind())
    }
}
