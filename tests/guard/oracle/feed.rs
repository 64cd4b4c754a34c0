//! Feeds a reader in pieces, as a connection would.

use sluis::guard::{Fault, Reader};

/// What a reader let pass, in all, and its verdict on the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fed {
    pub(crate) shown: Vec<u8>,
    pub(crate) fault: Option<Fault>,
}

/// Feeds `bytes` in pieces of the lengths that `next` gives; what is not shown is fed again.
pub(crate) fn feed(reader: &mut impl Reader, bytes: &[u8], mut next: impl FnMut() -> usize) -> Fed {
    let (mut shown, mut held) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(next().clamp(1, rest.len()));
        held.extend_from_slice(piece);
        rest = after;
        let look = reader.look(&held);
        assert!(look.shown <= held.len(), "more is shown than came");
        shown.extend(held.drain(..look.shown));
        if let Some(fault) = look.fault {
            let again = reader.look(&held);
            assert_eq!((again.shown, again.fault), (0, Some(fault)), "it goes on");
            return Fed {
                shown,
                fault: Some(fault),
            };
        }
    }
    Fed { shown, fault: None }
}

/// Feeds `bytes` whole, byte by byte and in pieces that follow from `seed`: the verdict is the
/// same.
pub(crate) fn in_every_split<R: Reader>(fresh: impl Fn() -> R, bytes: &[u8], seed: u64) -> Fed {
    let whole = feed(&mut fresh(), bytes, || bytes.len());
    let single = feed(&mut fresh(), bytes, || 1);
    assert_eq!(single, whole, "byte by byte: {}", bytes.escape_ascii());
    let mut state = seed;
    let random = feed(&mut fresh(), bytes, || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 59).unwrap()
    });
    assert_eq!(random, whole, "seed {seed}: {}", bytes.escape_ascii());
    whole
}
