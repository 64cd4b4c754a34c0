//! From the bytes of a key to the place of its line, without a collision that matters.

/// A small open-addressed table of key hashes; at most half full, so a miss ends soon.
///
/// It holds places only. Equality of the bytes is the caller's to check, so a collision costs time
/// and never a wrong line.
#[derive(Clone, Debug)]
pub struct KeyTable {
    slots: Box<[Slot]>,
    mask: u64,
}

/// High bits of the hash and the place of the line; an empty slot has no place.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    check: u32,
    place: Option<u16>,
}

impl KeyTable {
    /// A table of these keys, each at its place in the order given.
    pub fn new(keys: &[&[u8]]) -> Self {
        let size = keys.len().saturating_mul(2).next_power_of_two().max(2);
        let mut table = Self {
            slots: vec![Slot::default(); size].into(),
            mask: u64::try_from(size).unwrap_or(u64::MAX).wrapping_sub(1),
        };
        for (key, place) in keys.iter().zip(0_u16..) {
            let hash = key_hash(key);
            let free = table.probe(hash).find(|at| table.slot(*at).place.is_none());
            if let Some(slot) = free.and_then(|at| table.slots.get_mut(at)) {
                *slot = Slot {
                    check: check(hash),
                    place: Some(place),
                };
            }
        }
        table
    }

    /// The places whose key may have that hash.
    #[inline]
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = usize> {
        self.probe(hash)
            .map_while(|at| {
                let slot = self.slot(at);
                slot.place.map(|place| (slot.check, place))
            })
            .filter(move |(found, _)| *found == check(hash))
            .map(|(_, place)| usize::from(place))
    }

    #[inline]
    fn slot(&self, at: usize) -> Slot {
        self.slots.get(at).copied().unwrap_or_default()
    }

    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> {
        let mask = self.mask;
        (0..=mask).map(move |step| usize::try_from(hash.wrapping_add(step) & mask).unwrap_or(0))
    }
}

#[inline]
#[expect(clippy::as_conversions, reason = "the high half")]
const fn check(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A hash of an unescaped key, eight bytes at a time.
///
/// Not keyed: whoever sends a message can make its own keys collide. Two different keys that
/// collide are told apart by their bytes where a line is looked up; where keys are only compared
/// with each other (duplicates), a made-up collision refuses the message of the one who made it.
#[must_use]
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15; // 2^64 / golden ratio
    let mut hash = MIX;
    let (words, rest) = key.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word), MIX);
    }
    // Behind the tail, which is seven bytes at most, stands its length: `b` is not `b\0`.
    let length = u64::try_from(rest.len()).unwrap_or(0) << 56;
    fold(hash ^ tail(rest) ^ length, MIX)
}

/// At most seven bytes as a little-endian number, read in two overlapping halves.
#[inline]
fn tail(rest: &[u8]) -> u64 {
    match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let behind = rest.len().wrapping_sub(4) & 3;
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | last << (behind << 3)
        }
        _ => rest
            .iter()
            .rev()
            .fold(0, |tail, byte| tail << 8 | u64::from(*byte)),
    }
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "both halves are used"
)]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left).wrapping_mul(u128::from(right));
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        let keys: Vec<String> = (0..200).map(|n| format!("field{n}")).collect();
        let table = KeyTable::new(&keys.iter().map(String::as_bytes).collect::<Vec<_>>());
        for (place, key) in keys.iter().enumerate() {
            assert!(
                table
                    .candidates(key_hash(key.as_bytes()))
                    .any(|found| found == place)
            );
        }
        assert_eq!(table.candidates(key_hash(b"fieldX")).count(), 0);
        assert_eq!(KeyTable::new(&[]).candidates(key_hash(b"")).count(), 0);
    }

    #[test]
    fn length_and_content_both_count() {
        assert_ne!(key_hash(b"a"), key_hash(b"a\0"));
        assert_ne!(key_hash(b"b"), key_hash(b"a\0")); // the length must not fold into a letter
        assert_ne!(key_hash(b""), key_hash(b"\0\0"));
        assert_ne!(key_hash(b"sourcedId"), key_hash(b"sourcedid"));
        assert_ne!(key_hash(b"12345678"), key_hash(b"12345679"));
    }
}
