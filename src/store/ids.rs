//! The identifiers of one kind at one school that are on disk, in memory.

use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

use dashmap::DashMap;

use super::arena::{Arena, Full, Place};
use crate::pseudonym::{Form, Identifier};

/// A map whose keys are spread evenly already.
pub(super) type Spread<K, V> = DashMap<K, V, BuildHasherDefault<Folded>>;

/// All identifiers of one kind at one school, each text once.
pub(super) struct Ids {
    pub(super) arena: Arena,
    /// From a hash of the text to its place. Where another text has it, the next number is taken.
    places: Spread<u64, Place>,
    /// Keyed anew in each process: nobody can choose texts that meet.
    hasher: RandomState,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            arena: Arena::new(),
            places: Spread::default(),
            hasher: RandomState::new(),
        }
    }

    /// Where this text stands.
    pub(super) fn place(&self, id: Identifier<'_>) -> Option<Place> {
        self.find(id).ok()
    }

    /// Takes in what is on disk; a text that is there already stays as it is.
    pub(super) fn add(&self, form: Form, day: u32, id: Identifier<'_>) -> Result<(), Full> {
        if let Err(free) = self.find(id) {
            let place = self.arena.add(form, day, id.text())?;
            self.places.insert(free, place);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Leaves no room for one more text.
    #[cfg(test)]
    pub(super) fn fill(&self) {
        self.arena.fill();
    }

    /// The place of a text, or the number under which it can be listed.
    fn find(&self, id: Identifier<'_>) -> Result<Place, u64> {
        let mut number = self.hasher.hash_one(id.text());
        loop {
            let place = self.places.get(&number).map(|place| *place);
            match place {
                Some(place) if self.arena.holds(place, id.text()) => return Ok(place),
                Some(_) => number = number.wrapping_add(1),
                None => return Err(number),
            }
        }
    }
}

/// Folds a key that is random already, or begins or ends with something random, into 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The golden ratio as an odd number; both halves of the product, so that each bit of the
        // word reaches those above and those below it.
        let wide = u128::from(self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let half = |wide: u128| u64::try_from(wide & u128::from(u64::MAX)).unwrap_or_default();
        self.0 = half(wide) ^ half(wide >> 64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_in_once() {
        let ids = Ids::new();
        let names: Vec<_> = (0..1_000).map(|number| format!("S-{number}")).collect();
        for round in 0..2 {
            for name in &names {
                ids.add(Form::Text, round, Identifier::new(name)).unwrap();
            }
        }
        assert_eq!(ids.len(), 1_000);
        let place = ids.place(Identifier::new("S-17")).unwrap();
        let mut text = Vec::new();
        assert_eq!(ids.arena.read(place, &mut text).unwrap().day, 0);
        assert_eq!(text, b"S-17");
        assert_eq!(ids.place(Identifier::new("S-1000")), None);
    }

    #[test]
    fn keys_of_short_notations_are_spread_too() {
        // What `digits:6` and `text:8` leave: numbers at one end, zeros at the other.
        let keys = (100_000_u128..110_000).flat_map(|number| [number, number << 88]);
        let mut low = std::collections::BTreeSet::new();
        let mut high = std::collections::BTreeSet::new();
        for key in keys {
            let mut hasher = Folded::default();
            hasher.write(&key.to_be_bytes());
            low.insert(hasher.finish() & 0x3FFF);
            high.insert(hasher.finish() >> 50);
        }
        // 20,000 keys at random fill 70 % of 16,384 places.
        assert!(low.len() > 10_000, "{}", low.len());
        assert!(high.len() > 10_000, "{}", high.len());
    }
}
