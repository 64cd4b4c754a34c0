//! Choices made from given bytes: the same bytes, the same choices.

/// Thrown until its bytes are used up; after that every throw is 0, which always means the
/// plainest choice and an end to lists.
pub(crate) struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
        }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    /// A number below `count`, which is at most 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// True once in so many throws; never when the bytes are used up.
    pub(crate) fn once_in(&mut self, throws: usize) -> bool {
        self.below(throws) == throws - 1
    }

    pub(crate) fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// A place in something so long.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        let throw = usize::from(self.byte()) << 8 | usize::from(self.byte());
        (throw * length.max(1)) >> 16
    }
}

/// Cuts a message into pieces at places that follow from the seed.
pub(crate) fn pieces(message: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut rest = message;
    let mut state = seed;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = scrambled(state);
        let scale = [1, 2, 5, 17, 64, 300][usize::try_from(state % 6).unwrap()];
        let length = usize::try_from((state >> 8) % (2 * scale)).unwrap();
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// `SplitMix64`: a number that looks unlike the one before.
pub(crate) fn scrambled(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
