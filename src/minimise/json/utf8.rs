//! UTF-8 (RFC 3629), checked for whole chunks before anything else looks at them.

/// A checker that remembers a character that was cut at the end of a chunk.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    held: Vec<u8>,
}

/// What of a chunk can still be read before the first byte that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// So many bytes of this chunk are good.
    pub(super) good: usize,
    /// The bad sequence began so many bytes before this chunk.
    pub(super) before: usize,
}

impl Utf8 {
    /// Checks the next chunk.
    pub(super) fn check(&mut self, chunk: &[u8]) -> Result<(), Bad> {
        let before = self.held.len();
        let mut rest = chunk;
        while !self.held.is_empty() {
            let Some((next, after)) = rest.split_first() else {
                return Ok(());
            };
            self.held.push(*next);
            match std::str::from_utf8(&self.held) {
                Ok(_) => self.held.clear(),
                Err(fault) if fault.error_len().is_some() => return Err(Bad { good: 0, before }),
                Err(_) => {}
            }
            rest = after;
        }
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(fault) => {
                let (good, cut) = rest
                    .split_at_checked(fault.valid_up_to())
                    .unwrap_or((rest, &[]));
                if fault.error_len().is_some() {
                    let read = chunk.len().wrapping_sub(rest.len());
                    return Err(Bad {
                        good: read.wrapping_add(good.len()),
                        before: 0,
                    });
                }
                self.held.extend_from_slice(cut);
                Ok(())
            }
        }
    }

    /// How many bytes of a cut character are still waiting for the rest.
    pub(super) const fn waiting(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_good_text_is_good() {
        let text = "aé€😀z".as_bytes();
        for cut in 0..=text.len() {
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.check(&text[..cut]), Ok(()));
            assert_eq!(utf8.check(&text[cut..]), Ok(()));
            assert_eq!(utf8.waiting(), 0);
        }
    }

    #[test]
    fn a_fault_is_found_at_its_place_in_every_split() {
        // Overlong slash, a surrogate, a stray continuation byte, a character that is cut short.
        for (bytes, at) in [
            (&b"ab\xC0\xAFc"[..], 2),
            (b"\xED\xA0\x80", 0),
            (b"a\x80", 1),
            (b"a\xE2\x82x", 1),
        ] {
            for cut in 0..=bytes.len() {
                let mut utf8 = Utf8::default();
                let (start, bad) = match utf8.check(&bytes[..cut]) {
                    Err(bad) => (0, bad),
                    Ok(()) => (cut, utf8.check(&bytes[cut..]).unwrap_err()),
                };
                let place = start.wrapping_add(bad.good).wrapping_sub(bad.before);
                assert_eq!(place, at, "{bytes:?} cut at {cut}");
            }
        }
    }
}
