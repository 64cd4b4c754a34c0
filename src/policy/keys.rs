//! From the bytes of a key to the place of its line, without a collision that matters.

/// A small open-addressed table of key hashes; at most half full, so a miss ends soon.
///
/// It holds places only. Equality of the bytes is the caller's to check, so a collision costs time
/// and never a wrong line.
#[derive(Clone, Debug)]
pub struct KeyTable {
    /// A power of two of them.
    slots: Box<[Slot]>,
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
        let mut slots = vec![Slot::default(); size];
        for (key, place) in keys.iter().zip(0_u16..) {
            let (mut at, check) = parts(key_hash(key));
            at &= size.wrapping_sub(1);
            let (before, behind) = slots.split_at_mut(at);
            let mut free = behind.iter_mut().chain(before);
            if let Some(slot) = free.find(|slot| slot.place.is_none()) {
                let place = Some(place);
                *slot = Slot { check, place };
            }
        }
        Self {
            slots: slots.into(),
        }
    }

    /// The place with that hash whose key `is` the one that is looked for.
    #[inline(always)]
    pub fn find(&self, hash: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        let (mut at, check) = parts(hash);
        loop {
            // A power of two less one is a mask; an empty slot, of which there is one, ends it.
            let slot = self.slots.get(at & self.slots.len().wrapping_sub(1))?;
            let place = usize::from(slot.place?);
            if slot.check == check && is(place) {
                return Some(place);
            }
            at = at.wrapping_add(1);
        }
    }
}

/// Where a hash begins to look, and what it is then told by.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "both halves are used"
)]
const fn parts(hash: u64) -> (usize, u32) {
    (hash as u32 as usize, (hash >> 32) as u32)
}

/// A hash of an unescaped key: one multiplication for what keys are, 16 bytes and less.
///
/// Not keyed: whoever sends a message can make its own keys collide. Two different keys that
/// collide are told apart by their bytes where a line is looked up; where keys are only compared
/// with each other (duplicates), a made-up collision refuses the message of the one who made it.
#[must_use]
#[inline(always)]
pub fn key_hash(key: &[u8]) -> u64 {
    let (first, last) = ends(key);
    // Ends that overlap say all of the key, together with its length.
    let length = u64::try_from(key.len()).unwrap_or(0).wrapping_mul(MIX[2]);
    let between = if key.len() > 16 { between(key) } else { 0 };
    fold(first ^ MIX[0] ^ between, last ^ MIX[1] ^ length)
}

/// Whether two keys are the same: without the call that a comparison of slices is.
#[inline]
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && ends(left) == ends(right) && (left.len() <= 16 || left == right)
}

/// The first and the last eight bytes of a key, or what it has of them.
#[inline]
fn ends(key: &[u8]) -> (u64, u64) {
    match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => short_ends(key),
    }
}

/// The ends of a key of at most seven bytes.
#[inline]
fn short_ends(key: &[u8]) -> (u64, u64) {
    match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => {
            let [first, last] = [first, last].map(|end| u32::from_le_bytes(*end));
            (first.into(), last.into())
        }
        _ => match key {
            [] => (0, 0),
            [one] => ((*one).into(), 0),
            [first, .., last] => {
                let middle = key.get(1).copied().unwrap_or_default();
                (u16::from_le_bytes([*first, middle]).into(), (*last).into())
            }
        },
    }
}

/// What stands in a long key, eight bytes at a time.
fn between(key: &[u8]) -> u64 {
    let (words, _) = key.as_chunks::<8>();
    words.iter().fold(0, |hash, word| {
        fold(hash ^ MIX[2] ^ u64::from_le_bytes(*word), MIX[0])
    })
}

/// Numbers without a pattern: 2^64 / golden ratio, and what it makes of itself.
const MIX: [u64; 3] = [
    0x9E37_79B9_7F4A_7C15,
    0xBF58_476D_1CE4_E5B9,
    0x94D0_49BB_1331_11EB,
];

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

/// A key as compact JSON has it, `"key":`, to look for at a place in a message.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// Its first sixteen bytes, or what it has of them.
    first: u128,
    /// The bits of these that count.
    counting: u128,
    /// What follows them.
    rest: Box<[u8]>,
    length: usize,
}

impl Opening {
    const FIRST_BYTES: usize = 16;

    pub(super) fn new(key: &str) -> Self {
        let plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\');
        if !key.bytes().all(plain) {
            return Self::nowhere();
        }
        let bytes = [b"\"", key.as_bytes(), b"\":"].concat();
        let word = |of: fn(u8) -> u8| {
            let bytes = bytes.iter().take(Self::FIRST_BYTES).rev();
            bytes.fold(0, |word, byte| word << 8 | u128::from(of(*byte)))
        };
        Self {
            first: word(|byte| byte),
            counting: word(|_| u8::MAX),
            rest: bytes.get(Self::FIRST_BYTES..).unwrap_or_default().into(),
            length: bytes.len(),
        }
    }

    /// Of a key that would have to be escaped: it ends before its rest, so it stands nowhere.
    fn nowhere() -> Self {
        Self {
            first: 0,
            counting: u128::MAX,
            rest: [0].into(),
            length: 0,
        }
    }

    /// If it stands at `at`, and sixteen bytes are there: where it ends.
    #[inline]
    pub(super) fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let first = bytes.get(at..)?.first_chunk()?;
        if (u128::from_le_bytes(*first) ^ self.first) & self.counting != 0 {
            return None;
        }
        let end = at.wrapping_add(self.length);
        let goes_on = self.rest.is_empty() || {
            let from = at.wrapping_add(Self::FIRST_BYTES);
            bytes.get(from..end) == Some(&*self.rest)
        };
        goes_on.then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        let keys: Vec<String> = (0..200).map(|n| format!("field{n}")).collect();
        let table = KeyTable::new(&keys.iter().map(String::as_bytes).collect::<Vec<_>>());
        for (place, key) in keys.iter().enumerate() {
            let hash = key_hash(key.as_bytes());
            assert_eq!(table.find(hash, |found| found == place), Some(place));
            assert_eq!(table.find(hash, |found| found != place), None);
        }
        assert_eq!(table.find(key_hash(b"fieldX"), |_| true), None);
        assert_eq!(KeyTable::new(&[]).find(key_hash(b""), |_| true), None);
    }

    #[test]
    fn keys_that_differ_in_a_byte_or_in_length_are_others() {
        let mut keys = vec![Vec::new()];
        for length in 1..40 {
            let key = vec![b'a'; length];
            keys.push(key.clone());
            for (place, byte) in (0..length).flat_map(|at| [(at, b'b'), (at, 0), (at, 0xC3)]) {
                keys.push(key.clone());
                keys.last_mut().unwrap()[place] = byte;
            }
        }
        for (place, key) in keys.iter().enumerate() {
            for (other, text) in keys.iter().enumerate() {
                assert_eq!(same(key, text), place == other, "{key:?} {text:?}");
            }
        }
        let mut hashes: Vec<u64> = keys.iter().map(|key| key_hash(key)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), keys.len());
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
