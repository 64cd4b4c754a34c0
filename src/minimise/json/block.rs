//! Many bytes looked at as a whole: where the first one stands at which a string may end, and where
//! in a longer piece quotes, backslashes and brackets stand.
//!
//! On x86-64 with the vector instructions that every such processor has; elsewhere eight at once
//! or one by one. Tests hold the two equal.

/// So many bytes are looked at at once.
pub(super) const BYTES: usize = 16;

/// Some bytes of a body.
pub(super) type Block = [u8; BYTES];

/// So many bytes have a bit each in [`Marks`].
pub(super) const PIECE_BYTES: usize = 64;

/// Some more bytes of a body.
pub(super) type Piece = [u8; PIECE_BYTES];

/// Where in a [`Piece`] they stand, the first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Square and curly.
    pub(super) brackets: u64,
}

#[cfg(target_arch = "x86_64")]
pub(super) use vectors::{marks, quote_or_backslash, stop};
#[cfg(not(target_arch = "x86_64"))]
pub(super) use words::{marks, quote_or_backslash, stop};

/// The marks of a piece, from those of its blocks in their lowest bits.
#[inline(always)]
fn marks_of(piece: &Piece, of: impl Fn(&Block) -> Marks) -> Marks {
    let (blocks, _) = piece.as_chunks::<BYTES>();
    let mut marks = Marks::default();
    for block in blocks.iter().rev() {
        let here = of(block);
        marks.quotes = marks.quotes << BYTES | here.quotes;
        marks.backslashes = marks.backslashes << BYTES | here.backslashes;
        marks.brackets = marks.brackets << BYTES | here.brackets;
    }
    marks
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector instructions: all of them are of SSE2, which is part of x86-64 itself"
)]
mod vectors {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };

    use super::{BYTES, Block, Marks, Piece, marks_of};

    /// Where quotes, backslashes and brackets stand.
    #[inline]
    pub(in super::super) fn marks(piece: &Piece) -> Marks {
        marks_of(piece, |block| {
            let bytes = load(block);
            // One bit makes curly brackets of square ones, and nothing else.
            // SAFETY: every x86-64 processor has SSE2.
            let curly = unsafe { _mm_or_si128(bytes, _mm_set1_epi8(0x20)) };
            let brackets = either(equal_to(curly, 0x7B), equal_to(curly, 0x7D));
            Marks {
                quotes: bits(equal_to(bytes, 0x22)),
                backslashes: bits(equal_to(bytes, 0x5C)),
                brackets: bits(brackets),
            }
        })
    }

    /// The place of the first quote, backslash or control character; [`BYTES`] if there is none.
    #[inline(always)]
    pub(in super::super) fn stop(block: &Block) -> usize {
        let bytes = load(block);
        // SAFETY: every x86-64 processor has SSE2.
        let controls = unsafe { _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes) };
        first(either(controls, quotes_and_backslashes(bytes)))
    }

    /// The place of the first quote or backslash; [`BYTES`] if there is none.
    #[inline(always)]
    pub(in super::super) fn quote_or_backslash(block: &Block) -> usize {
        first(quotes_and_backslashes(load(block)))
    }

    #[inline(always)]
    fn quotes_and_backslashes(bytes: __m128i) -> __m128i {
        either(equal_to(bytes, 0x22), equal_to(bytes, 0x5C))
    }

    #[inline(always)]
    fn equal_to(bytes: __m128i, byte: i8) -> __m128i {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte)) }
    }

    #[inline(always)]
    fn either(one: __m128i, other: __m128i) -> __m128i {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { _mm_or_si128(one, other) }
    }

    /// The place of the first byte that is set.
    #[inline(always)]
    fn first(found: __m128i) -> usize {
        let bits = bits(found) | (1 << BYTES);
        usize::try_from(bits.trailing_zeros()).unwrap_or(BYTES)
    }

    /// A bit for every byte that is set.
    #[inline(always)]
    fn bits(found: __m128i) -> u64 {
        // SAFETY: every x86-64 processor has SSE2.
        let bits = unsafe { _mm_movemask_epi8(found) };
        bits.cast_unsigned().into()
    }

    /// The compiler makes one load of it.
    #[inline(always)]
    fn load(block: &Block) -> __m128i {
        let (eights, _) = block.as_chunks::<8>();
        let eight = |place: usize| eights.get(place).copied().map_or(0, i64::from_le_bytes);
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { _mm_set_epi64x(eight(1), eight(0)) }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use super::{BYTES, Block, Marks, Piece, marks_of};

    /// As that of `vectors`.
    #[inline]
    pub(in super::super) fn marks(piece: &Piece) -> Marks {
        marks_of(piece, |block| {
            let bits = |is: fn(u8) -> bool| {
                let bytes = block.iter().rev();
                bytes.fold(0, |bits, byte| bits << 1 | u64::from(is(*byte)))
            };
            Marks {
                quotes: bits(|byte| byte == b'"'),
                backslashes: bits(|byte| byte == b'\\'),
                brackets: bits(|byte| matches!(byte, b'[' | b']' | b'{' | b'}')),
            }
        })
    }

    /// As that of `vectors`.
    #[inline]
    pub(in super::super) fn stop(block: &Block) -> usize {
        // With its second bit turned a quote stands right behind the control characters, so that
        // one comparison finds them all.
        first(block, |word| {
            below(word ^ ONES.wrapping_mul(0x02), 0x21) | below(word ^ ONES.wrapping_mul(0x5C), 1)
        })
    }

    /// As that of `vectors`.
    #[inline]
    pub(in super::super) fn quote_or_backslash(block: &Block) -> usize {
        first(block, |word| {
            below(word ^ ONES.wrapping_mul(0x22), 1) | below(word ^ ONES.wrapping_mul(0x5C), 1)
        })
    }

    #[inline]
    fn first(block: &Block, of: impl Fn(u64) -> u64) -> usize {
        let (eights, _) = block.as_chunks::<8>();
        let found = { eights.iter() }.map(|eight| of(u64::from_le_bytes(*eight)));
        let place = |(eight, found): (usize, u64)| {
            let within = usize::try_from(found.trailing_zeros() >> 3).unwrap_or(0);
            (found != 0).then_some(eight.wrapping_mul(8).wrapping_add(within))
        };
        found.enumerate().find_map(place).unwrap_or(BYTES)
    }

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    /// High bits of the bytes that are less than `bound`, itself at most 0x80; right for the lowest
    /// one, which is the one that counts: above it the subtraction may have borrowed.
    #[inline]
    fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(ONES.wrapping_mul(bound.into())) & !word & HIGHS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is found at once, looked for one by one.
    fn one_by_one(block: &Block, is: fn(&u8) -> bool) -> usize {
        block.iter().position(is).unwrap_or(BYTES)
    }

    proptest! {
        #[test]
        fn vectors_and_words_agree(block: Block) {
            prop_assert_eq!(stop(&block), words::stop(&block));
            prop_assert_eq!(quote_or_backslash(&block), words::quote_or_backslash(&block));
        }

        #[test]
        fn vectors_and_words_mark_alike(piece: Piece) {
            prop_assert_eq!(marks(&piece), words::marks(&piece));
        }
    }

    #[test]
    fn every_byte_is_marked_at_its_place() {
        for (byte, at) in (0..=u8::MAX).flat_map(|byte| (0..PIECE_BYTES).map(move |at| (byte, at)))
        {
            let mut piece = [b' '; PIECE_BYTES];
            piece[at] = byte;
            let bit = |is: bool| u64::from(is) << at;
            let expected = Marks {
                quotes: bit(byte == b'"'),
                backslashes: bit(byte == b'\\'),
                brackets: bit(b"[]{}".contains(&byte)),
            };
            assert_eq!(marks(&piece), expected, "{byte} at {at}");
            assert_eq!(words::marks(&piece), expected, "{byte} at {at}");
        }
    }

    #[test]
    fn sixteen_bytes_at_once_stop_where_one_by_one_does() {
        let is_stop = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
        let is_mark = |byte: &u8| matches!(byte, b'"' | b'\\');
        // Every byte at every place, among bytes that differ from a stop in one bit.
        let around = [b'!', b'#', b']', 0xDC, b' ', 0x7F, 0x80, 0xA2, 0xFF];
        let bytes = (0..=u8::MAX).flat_map(|byte| around.map(|around| (byte, around)));
        for ((byte, around), at) in bytes.flat_map(|of| (0..BYTES).map(move |at| (of, at))) {
            for behind in [around, b'"', 0] {
                let mut block = [around; BYTES];
                block[at..].fill(behind);
                block[at] = byte;
                let (stops, marks) = (one_by_one(&block, is_stop), one_by_one(&block, is_mark));
                assert_eq!(stop(&block), stops, "{block:?}");
                assert_eq!(words::stop(&block), stops, "{block:?}");
                assert_eq!(quote_or_backslash(&block), marks, "{block:?}");
                assert_eq!(words::quote_or_backslash(&block), marks, "{block:?}");
            }
        }
    }
}
