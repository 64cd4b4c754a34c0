//! From a number to the place of a text, eight bytes each.

use std::hash::{BuildHasherDefault, Hasher};
use std::iter;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::arena::Place;

/// 2^64 over the golden ratio, made odd: a product with it spreads over the upper bits what differs
/// in any.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Places of texts, each under 32 bits of what it is looked for by.
///
/// Where another text has that number, the next one is taken. So who looks compares what stands at
/// the places that are found; with 2.4 million it is another's for one in two thousand.
pub(super) struct Places(DashMap<u32, Place, BuildHasherDefault<Spread>>);

impl Places {
    pub(super) fn with_room_for(texts: usize) -> Self {
        Self(DashMap::with_capacity_and_hasher(
            texts,
            BuildHasherDefault::default(),
        ))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What `read` makes of the first of the places under a number that it makes anything of.
    pub(super) fn find<T>(
        &self,
        number: u32,
        mut read: impl FnMut(Place) -> Option<T>,
    ) -> Option<T> {
        for number in numbers_from(number) {
            let place = self.0.get(&number).map(|place| *place)?;
            if let Some(read) = read(place) {
                return Some(read);
            }
        }
        None
    }

    /// Lists a place. Of two that are the same the earlier one is kept, in whatever order they
    /// come, and the later one is given back.
    pub(super) fn list(
        &self,
        number: u32,
        place: Place,
        is_the_same: impl Fn(Place) -> bool,
    ) -> Option<Place> {
        for number in numbers_from(number) {
            match self.0.entry(number) {
                Entry::Vacant(room) => {
                    room.insert(place);
                    return None;
                }
                Entry::Occupied(there) if *there.get() == place => return None,
                Entry::Occupied(mut there) if is_the_same(*there.get()) => {
                    let (earlier, later) = (place.min(*there.get()), place.max(*there.get()));
                    there.insert(earlier);
                    return Some(later);
                }
                Entry::Occupied(_) => {}
            }
        }
        None
    }
}

/// A number and those behind it, without an end: there are fewer places than numbers.
fn numbers_from(number: u32) -> impl Iterator<Item = u32> {
    iter::successors(Some(number), |number| Some(number.wrapping_add(1)))
}

/// The number of 16 bytes that differ somewhere.
pub(super) fn number_of(bytes: &[u8; 16]) -> u32 {
    let (words, _) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_be_bytes(*word));
    upper_half(words.fold(0, |one, other| one ^ other).wrapping_mul(GOLDEN))
}

/// The number of 64 bits that are as random at one end as at the other.
pub(super) fn upper_half(word: u64) -> u32 {
    u32::try_from(word >> 32).unwrap_or_default()
}

/// Spreads a number over 64 bits; it is spread over its 32 already.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(GOLDEN);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn places_of_one_number_are_told_apart_by_who_looks() {
        let places = Places::with_room_for(2);
        for place in [7, 9, 8] {
            assert_eq!(places.list(u32::MAX, place, |_| false), None);
        }
        assert_eq!(places.list(0, 5, |_| false), None);
        let find = |number, place| places.find(number, |it| (it == place).then_some(it));
        for place in [7, 9, 8, 5] {
            assert_eq!(find(u32::MAX, place), Some(place));
        }
        assert_eq!(find(0, 7), None);
        assert_eq!(find(u32::MAX, 6), None);
        assert_eq!(places.len(), 4);
    }

    #[test]
    fn the_earlier_of_two_that_are_the_same_is_kept() {
        let places = Places::with_room_for(2);
        let same = |place: Place| place % 2 == 1;
        assert_eq!(places.list(3, 20, same), None);
        assert_eq!(places.list(3, 15, same), None);
        assert_eq!(places.list(3, 15, same), None);
        assert_eq!(places.list(3, 17, same), Some(17));
        assert_eq!(places.list(3, 11, same), Some(15));
        assert_eq!(places.find(3, |it| same(it).then_some(it)), Some(11));
        assert_eq!(places.len(), 2);
    }

    #[test]
    fn keys_of_short_notations_are_spread_too() {
        // What `digits:6` and `text:8` leave: numbers at one end, zeros at the other.
        let keys = (100_000_u128..110_000).flat_map(|number| [number, number << 88]);
        let (mut numbers, mut low, mut high) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for key in keys {
            let number = number_of(&key.to_be_bytes());
            let mut hasher = Spread::default();
            hasher.write_u32(number);
            numbers.insert(number);
            low.insert(hasher.finish() & 0x3FFF);
            high.insert(hasher.finish() >> 50);
        }
        assert!(numbers.len() > 19_900, "{}", numbers.len());
        // 20,000 keys at random fill 70 % of 16,384 places.
        assert!(low.len() > 10_000, "{}", low.len());
        assert!(high.len() > 10_000, "{}", high.len());
    }
}
