//! Many bytes looked at as a whole: where the first one stands at which a string may end, and where
//! in a longer piece quotes, backslashes and brackets stand.
//!
//! On x86-64 with vectors: thirty-two bytes at once where the processor has AVX2 (with BMI, which
//! came with it and saves an instruction here and there), sixteen on all others. Elsewhere eight at
//! once or one by one. Tests hold them equal.

/// So many bytes have a bit each in [`Marks`].
pub(super) const PIECE_BYTES: usize = 64;

/// Some bytes of a body.
pub(super) type Piece = [u8; PIECE_BYTES];

/// Where in a [`Piece`] they stand, the first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Square and curly.
    pub(super) brackets: u64,
}

/// How many bytes are looked at at once, and how.
pub(super) trait Width {
    /// So many.
    const BYTES: usize;

    /// Among the first of these bytes the place of the first quote, backslash or control character,
    /// [`Self::BYTES`] if there is none; `None` if there are less.
    fn stop(bytes: &[u8]) -> Option<usize>;

    /// Where quotes, backslashes and brackets stand.
    fn marks(piece: &Piece) -> Marks;
}

/// What is done in whatever width the processor has.
pub(super) trait Task {
    /// What comes of it.
    type Done;

    /// Does it. Inlined by order, with all in it that looks at blocks, it is fast: only so the
    /// compiler knows in there what the processor has.
    fn run<W: Width>(self) -> Self::Done;
}

/// What every processor of the kind that this was built for has.
#[cfg(target_arch = "x86_64")]
pub(super) type Narrow = vectors::Sse2;
/// What every processor of the kind that this was built for has.
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Narrow = words::Words;

/// Does it as wide as the processor can.
#[inline(always)]
pub(super) fn widest<T: Task>(task: T) -> T::Done {
    #[cfg(test)]
    match tests::FORCED.get() {
        tests::Forced::Nothing => {}
        tests::Forced::Narrow => return task.run::<Narrow>(),
        tests::Forced::Words => return task.run::<words::Words>(),
    }
    #[cfg(target_arch = "x86_64")]
    return vectors::widest(task);
    #[cfg(not(target_arch = "x86_64"))]
    return task.run::<Narrow>();
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector instructions: SSE2 is part of x86-64, AVX2 is asked for before it is used"
)]
mod vectors {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
        _mm_or_si128, _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
        _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    };

    use super::{Marks, Piece, Task, Width};

    /// Does it as wide as the processor can.
    #[inline(always)]
    pub(super) fn widest<T: Task>(task: T) -> T::Done {
        let has_avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        match has_avx2 {
            // SAFETY: the processor has been asked.
            true => unsafe { run_avx2(task) },
            false => task.run::<Sse2>(),
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn run_avx2<T: Task>(task: T) -> T::Done {
        task.run::<Avx2>()
    }

    /// Sixteen bytes.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Sse2(__m128i);

    /// Thirty-two bytes. Nobody outside can name it, and in here only [`run_avx2`] does, so that
    /// whatever is done with it is done where there is AVX2.
    #[derive(Clone, Copy, Debug)]
    struct Avx2(__m256i);

    /// Some bytes in one register.
    trait Vector<const BYTES: usize>: Copy {
        fn load(block: &[u8; BYTES]) -> Self;
        fn all(byte: i8) -> Self;
        /// All bits of those bytes that are equal.
        fn equal(self, other: Self) -> Self;
        fn least(self, other: Self) -> Self;
        fn or(self, other: Self) -> Self;
        /// The highest bit of each byte.
        fn bits(self) -> u64;
    }

    impl Vector<16> for Sse2 {
        #[inline(always)]
        fn load(block: &[u8; 16]) -> Self {
            // SAFETY: every x86-64 processor has SSE2, and the bytes are there; any place will do.
            Self(unsafe { _mm_loadu_si128(block.as_ptr().cast()) })
        }

        #[inline(always)]
        fn all(byte: i8) -> Self {
            // SAFETY: every x86-64 processor has SSE2.
            Self(unsafe { _mm_set1_epi8(byte) })
        }

        #[inline(always)]
        fn equal(self, other: Self) -> Self {
            // SAFETY: every x86-64 processor has SSE2.
            Self(unsafe { _mm_cmpeq_epi8(self.0, other.0) })
        }

        #[inline(always)]
        fn least(self, other: Self) -> Self {
            // SAFETY: every x86-64 processor has SSE2.
            Self(unsafe { _mm_min_epu8(self.0, other.0) })
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            // SAFETY: every x86-64 processor has SSE2.
            Self(unsafe { _mm_or_si128(self.0, other.0) })
        }

        #[inline(always)]
        fn bits(self) -> u64 {
            // SAFETY: every x86-64 processor has SSE2.
            let bits = unsafe { _mm_movemask_epi8(self.0) };
            bits.cast_unsigned().into()
        }
    }

    impl Vector<32> for Avx2 {
        #[inline(always)]
        fn load(block: &[u8; 32]) -> Self {
            // SAFETY: there is AVX2, as said above, and the bytes are there; any place will do.
            Self(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) })
        }

        #[inline(always)]
        fn all(byte: i8) -> Self {
            // SAFETY: there is AVX2, as said above.
            Self(unsafe { _mm256_set1_epi8(byte) })
        }

        #[inline(always)]
        fn equal(self, other: Self) -> Self {
            // SAFETY: there is AVX2, as said above.
            Self(unsafe { _mm256_cmpeq_epi8(self.0, other.0) })
        }

        #[inline(always)]
        fn least(self, other: Self) -> Self {
            // SAFETY: there is AVX2, as said above.
            Self(unsafe { _mm256_min_epu8(self.0, other.0) })
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            // SAFETY: there is AVX2, as said above.
            Self(unsafe { _mm256_or_si256(self.0, other.0) })
        }

        #[inline(always)]
        fn bits(self) -> u64 {
            // SAFETY: there is AVX2, as said above.
            let bits = unsafe { _mm256_movemask_epi8(self.0) };
            bits.cast_unsigned().into()
        }
    }

    impl Width for Sse2 {
        const BYTES: usize = 16;

        #[inline(always)]
        fn stop(bytes: &[u8]) -> Option<usize> {
            stop::<16, Self>(bytes)
        }

        #[inline(always)]
        fn marks(piece: &Piece) -> Marks {
            marks::<16, Self>(piece)
        }
    }

    impl Width for Avx2 {
        const BYTES: usize = 32;

        #[inline(always)]
        fn stop(bytes: &[u8]) -> Option<usize> {
            stop::<32, Self>(bytes)
        }

        #[inline(always)]
        fn marks(piece: &Piece) -> Marks {
            marks::<32, Self>(piece)
        }
    }

    #[inline(always)]
    fn stop<const BYTES: usize, V: Vector<BYTES>>(bytes: &[u8]) -> Option<usize> {
        let bytes = V::load(bytes.first_chunk()?);
        let controls = bytes.least(V::all(0x1F)).equal(bytes);
        let marks = bytes.equal(V::all(0x22)).or(bytes.equal(V::all(0x5C)));
        let bits = marks.or(controls).bits() | 1 << BYTES;
        usize::try_from(bits.trailing_zeros()).ok()
    }

    #[inline(always)]
    fn marks<const BYTES: usize, V: Vector<BYTES>>(piece: &Piece) -> Marks {
        let mut marks = Marks::default();
        for block in piece.as_chunks::<BYTES>().0.iter().rev() {
            let bytes = V::load(block);
            // One bit makes curly brackets of square ones, and nothing else.
            let curly = bytes.or(V::all(0x20));
            let brackets = curly.equal(V::all(0x7B)).or(curly.equal(V::all(0x7D)));
            marks = Marks {
                quotes: marks.quotes << BYTES | bytes.equal(V::all(0x22)).bits(),
                backslashes: marks.backslashes << BYTES | bytes.equal(V::all(0x5C)).bits(),
                brackets: marks.brackets << BYTES | brackets.bits(),
            };
        }
        marks
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use super::{Marks, Piece, Width};

    /// Eight bytes in a word, two of them at once.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Words;

    const BYTES: usize = 16;

    impl Width for Words {
        const BYTES: usize = BYTES;

        #[inline]
        fn stop(bytes: &[u8]) -> Option<usize> {
            // With its second bit turned a quote stands right behind the control characters, so
            // that one comparison finds them all.
            let stop = |word: u64| {
                below(word ^ ONES.wrapping_mul(0x02), 0x21)
                    | below(word ^ ONES.wrapping_mul(0x5C), 1)
            };
            Some(first(bytes.first_chunk()?, stop))
        }

        #[inline]
        fn marks(piece: &Piece) -> Marks {
            let bits = |is: fn(u8) -> bool| {
                let bytes = piece.iter().rev();
                bytes.fold(0, |bits, byte| bits << 1 | u64::from(is(*byte)))
            };
            Marks {
                quotes: bits(|byte| byte == b'"'),
                backslashes: bits(|byte| byte == b'\\'),
                brackets: bits(|byte| matches!(byte, b'[' | b']' | b'{' | b'}')),
            }
        }
    }

    #[inline]
    fn first(block: &[u8; BYTES], of: impl Fn(u64) -> u64) -> usize {
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
pub(super) mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// A width that is taken whatever the processor has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Forced {
        Nothing,
        Narrow,
        Words,
    }

    thread_local! {
        pub(in super::super) static FORCED: Cell<Forced> = const { Cell::new(Forced::Nothing) };
    }

    /// Does something in every width that there is; what comes of each.
    pub(in super::super) fn in_every_width<T>(act: impl Fn() -> T) -> [T; 3] {
        [Forced::Narrow, Forced::Words, Forced::Nothing].map(|width| {
            FORCED.set(width);
            act()
        })
    }

    /// Holds all that a width finds in a piece to what is there.
    struct Hold<'a>(&'a Piece);

    impl Task for Hold<'_> {
        type Done = ();

        fn run<W: Width>(self) {
            let Self(piece) = self;
            let is_stop = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
            for from in 0..=PIECE_BYTES {
                let block = piece[from..].get(..W::BYTES);
                let stop = block.map(|it| it.iter().position(is_stop).unwrap_or(W::BYTES));
                assert_eq!(W::stop(&piece[from..]), stop, "{piece:?} from {from}");
            }
            let mut expected = Marks::default();
            for (place, byte) in piece.iter().enumerate() {
                expected.quotes |= u64::from(*byte == b'"') << place;
                expected.backslashes |= u64::from(*byte == b'\\') << place;
                expected.brackets |= u64::from(b"[]{}".contains(byte)) << place;
            }
            assert_eq!(W::marks(piece), expected, "{piece:?}");
        }
    }

    fn hold(piece: &Piece) {
        in_every_width(|| widest(Hold(piece)));
    }

    proptest! {
        #[test]
        fn every_width_finds_what_is_there(piece: Piece) {
            hold(&piece);
        }
    }

    #[test]
    fn every_byte_is_found_at_its_place() {
        // Every byte at every place, among bytes that differ from a stop in one bit.
        let around = [b'!', b'#', b']', 0xDC, b' ', 0x7F, 0x80, 0xA2, 0xFF];
        for (byte, at) in (0..=u8::MAX).flat_map(|byte| (0..PIECE_BYTES).map(move |at| (byte, at)))
        {
            let around = around[(usize::from(byte) + at) % around.len()];
            for behind in [around, b'"', 0] {
                let mut piece = [around; PIECE_BYTES];
                piece[at..].fill(behind);
                piece[at] = byte;
                hold(&piece);
            }
        }
    }
}
