//! Texts in memory, only ever added to: read by many threads while one adds, and without a lock.
//!
//! A text is a record of 8-byte words: one with its length, its form and its day, and then its
//! bytes, the last word filled up with zeros. Its place is the number of its first word. Segments
//! grow by an eighth of what is there, so that at most that much lies unused.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::pseudonym::Form;

/// Words are numbered as if this many came before the first, so that eight segments of a thousand
/// words come first, then eight of two thousand, and so on.
const BASE: u64 = 1 << BASE_BITS;
const BASE_BITS: u32 = 13;
/// Segments of one size, as a power of two.
const STEP_BITS: u32 = 3;
/// Enough for 2^32 words: 32 GiB of text.
const SEGMENTS: usize = 160;
const WORD: usize = 8;
const NUMBER_BIT: u64 = 1 << 16;
const DAY_SHIFT: u32 = 32;

/// Where a text stands: the number of its first word.
pub(super) type Place = u32;

type Segment = Box<[AtomicU64]>;

pub(super) struct Arena {
    segments: [OnceLock<Segment>; SEGMENTS],
    /// Everything before this place can be read.
    end: AtomicU32,
    /// Held by who adds.
    adding: Mutex<()>,
}

/// A text without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) bytes: u16,
    pub(super) form: Form,
    /// The day it was first seen, counted from 1970-01-01.
    pub(super) day: u32,
}

/// There is no room for one more text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            segments: [const { OnceLock::new() }; SEGMENTS],
            end: AtomicU32::new(0),
            adding: Mutex::new(()),
        }
    }

    /// The place where the next text may come to stand.
    pub(super) fn end(&self) -> Place {
        self.end.load(Ordering::Acquire)
    }

    /// Adds a text of 1 to 65,535 bytes.
    pub(super) fn add(&self, form: Form, day: u32, text: &str) -> Result<Place, Full> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let header = Header {
            bytes: u16::try_from(text.len()).map_err(|_long| Full)?,
            form,
            day,
        };
        let words = text.len().div_ceil(WORD).saturating_add(1);
        let mut place = self.end.load(Ordering::Relaxed);
        let mut spot = Spot::of(place);
        if spot.left() < words {
            // The rest of this segment stays zero, which tells who reads on to go to the next.
            place = spot.next_segment().ok_or(Full)?;
            spot = Spot::of(place);
        }
        let end = u32::try_from(words)
            .ok()
            .and_then(|it| place.checked_add(it));
        let end = end.ok_or(Full)?;
        let segment = self.segments.get(spot.segment).ok_or(Full)?;
        let segment = segment.get_or_init(|| zeros(spot.size));
        let room = segment.get(spot.offset..).unwrap_or_default();
        let packed = text.as_bytes().chunks(WORD).map(word);
        for (slot, value) in room.iter().zip([header.packed()].into_iter().chain(packed)) {
            slot.store(value, Ordering::Relaxed);
        }
        self.end.store(end, Ordering::Release);
        Ok(place)
    }

    /// Leaves no room for one more text.
    #[cfg(test)]
    pub(super) fn fill(&self) {
        self.end.store(u32::MAX, Ordering::Release);
    }

    /// Appends the text at a place that [`Arena::add`] gave.
    pub(super) fn read(&self, place: Place, into: &mut Vec<u8>) -> Option<Header> {
        let (header, words) = self.record(place)?;
        let start = into.len();
        into.resize(start.saturating_add(words.len().saturating_mul(WORD)), 0);
        let (room, _) = into
            .get_mut(start..)
            .unwrap_or_default()
            .as_chunks_mut::<WORD>();
        for (room, slot) in room.iter_mut().zip(words) {
            *room = slot.load(Ordering::Relaxed).to_le_bytes();
        }
        into.truncate(start.saturating_add(header.bytes.into()));
        Some(header)
    }

    /// Whether the text at a place is this one.
    pub(super) fn holds(&self, place: Place, text: &str) -> bool {
        self.record(place).is_some_and(|(header, words)| {
            usize::from(header.bytes) == text.len()
                && words
                    .iter()
                    .zip(text.as_bytes().chunks(WORD))
                    .all(|(slot, chunk)| slot.load(Ordering::Relaxed) == word(chunk))
        })
    }

    /// Reads the first text at or after `at` in place of what `text` held, and moves `at` behind
    /// it.
    ///
    /// Gives the place of the text; `None` behind the last one.
    pub(super) fn next(&self, at: &mut Place, text: &mut Vec<u8>) -> Option<(Place, Header)> {
        text.clear();
        while *at < self.end() {
            let place = *at;
            if let Some(header) = self.read(place, text) {
                let words = usize::from(header.bytes).div_ceil(WORD).saturating_add(1);
                *at = place.checked_add(words.try_into().ok()?)?;
                return Some((place, header));
            }
            *at = Spot::of(place).next_segment()?;
        }
        None
    }

    /// The places from `start` on, cut where segments end: each part begins with a text.
    pub(super) fn parts(&self, start: Place) -> Vec<(Place, Place)> {
        let end = self.end();
        let mut parts = Vec::new();
        let mut from = start;
        while from < end {
            let to = Spot::of(from).next_segment().unwrap_or(end).min(end);
            parts.push((from, to));
            from = to;
        }
        parts
    }

    fn record(&self, place: Place) -> Option<(Header, &[AtomicU64])> {
        let spot = Spot::of(place);
        let segment = self.segments.get(spot.segment)?.get()?;
        let (header, rest) = segment.get(spot.offset..)?.split_first()?;
        let header = Header::unpacked(header.load(Ordering::Relaxed))?;
        let words = rest.get(..usize::from(header.bytes).div_ceil(WORD))?;
        Some((header, words))
    }
}

impl Header {
    fn packed(self) -> u64 {
        let number = match self.form {
            Form::Number => NUMBER_BIT,
            Form::Text => 0,
        };
        u64::from(self.day) << DAY_SHIFT | number | u64::from(self.bytes)
    }

    /// `None` where no text begins: a text has at least one byte.
    fn unpacked(packed: u64) -> Option<Self> {
        let [b0, b1, _, _, day @ ..] = packed.to_le_bytes();
        let bytes = u16::from_le_bytes([b0, b1]);
        let header = Self {
            bytes,
            form: match packed & NUMBER_BIT {
                0 => Form::Text,
                _ => Form::Number,
            },
            day: u32::from_le_bytes(day),
        };
        (bytes > 0).then_some(header)
    }
}

/// Where a word lies.
#[derive(Clone, Copy)]
struct Spot {
    segment: usize,
    offset: usize,
    /// Of the segment, in words.
    size: usize,
    /// The number of the word, counted from before the first.
    number: u64,
}

impl Spot {
    fn of(place: Place) -> Self {
        let number = u64::from(place).saturating_add(BASE);
        // The leading bit says which eight segments, the three behind it which of them, and all
        // others where in it. `number` is at least `BASE`, so no subtraction ends at 0.
        let leading = number.ilog2();
        let offset_bits = leading.saturating_sub(STEP_BITS);
        let size = 1_u64.unbounded_shl(offset_bits);
        let eight = u64::from(leading.saturating_sub(BASE_BITS)) << STEP_BITS;
        let which = number.unbounded_shr(offset_bits) & 0b111;
        let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            segment: small(eight | which),
            offset: small(number & size.wrapping_sub(1)),
            size: small(size),
            number,
        }
    }

    const fn left(&self) -> usize {
        self.size.saturating_sub(self.offset)
    }

    fn next_segment(&self) -> Option<Place> {
        let left = u64::try_from(self.left()).ok()?;
        let next = self.number.checked_add(left)?.checked_sub(BASE)?;
        next.try_into().ok()
    }
}

fn zeros(size: usize) -> Segment {
    (0..size).map(|_| AtomicU64::new(0)).collect()
}

/// At most 8 bytes as a word, filled up with zeros.
fn word(chunk: &[u8]) -> u64 {
    let mut bytes = [0; WORD];
    bytes
        .iter_mut()
        .zip(chunk)
        .for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> String {
        let length = number.wrapping_mul(7919) % 200;
        format!("{number}-{}", "x".repeat(length))
    }

    #[test]
    fn every_text_is_read_back_at_its_place_and_in_its_order() {
        let arena = Arena::new();
        let places: Vec<_> = (0..5_000)
            .map(|number| {
                let form = [Form::Text, Form::Number][number % 2];
                let day = u32::try_from(number).unwrap();
                arena.add(form, day, &text(number)).unwrap()
            })
            .collect();
        let (mut next, mut inside) = (0, Vec::new());
        for (number, place) in places.iter().enumerate() {
            assert_eq!(arena.next(&mut next, &mut inside).unwrap().0, *place);
            assert_eq!(inside, text(number).as_bytes());
            let mut read = b"before".to_vec();
            let header = arena.read(*place, &mut read).unwrap();
            assert_eq!(read, format!("before{}", text(number)).as_bytes());
            assert_eq!(header.day, u32::try_from(number).unwrap());
            assert_eq!(header.form, [Form::Text, Form::Number][number % 2]);
            assert!(arena.holds(*place, &text(number)));
            assert!(!arena.holds(*place, &text(number + 1)));
        }
        assert_eq!(arena.next(&mut next, &mut inside), None);
        let parts = arena.parts(0);
        assert!(parts.len() > 5);
        assert_eq!(parts.last().unwrap().1, arena.end());
        let of_part = |(from, to): &(Place, Place)| {
            places
                .iter()
                .filter(|place| (from..to).contains(place))
                .count()
        };
        assert_eq!(parts.iter().map(of_part).sum::<usize>(), 5_000);
        for (from, _) in parts {
            assert!(places.contains(&from), "a part begins with a text");
        }
    }

    #[test]
    fn lengths_around_a_word_are_told_apart() {
        let arena = Arena::new();
        for length in (1..40).chain([4_095, 4_096]) {
            let text = "a".repeat(length);
            let place = arena.add(Form::Text, 0, &text).unwrap();
            assert!(arena.holds(place, &text));
            assert!(!arena.holds(place, &"a".repeat(length + 1)));
            assert!(!arena.holds(place, &format!("{}b", "a".repeat(length - 1))));
        }
        assert_eq!(arena.add(Form::Text, 0, &"a".repeat(65_536)), Err(Full));
    }

    #[test]
    fn segments_cover_all_places_without_a_gap() {
        let mut place: u32 = 0;
        let mut segment = 0;
        loop {
            let spot = Spot::of(place);
            assert_eq!((spot.segment, spot.offset), (segment, 0));
            let Some(next) = spot.next_segment() else {
                break;
            };
            let last = Spot::of(next - 1);
            assert_eq!((last.segment, last.left()), (segment, 1));
            (place, segment) = (next, segment + 1);
        }
        assert_eq!(Spot::of(u32::MAX).segment, segment);
        assert!(segment < SEGMENTS);
    }
}
