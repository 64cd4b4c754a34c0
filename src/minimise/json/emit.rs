//! Writing: kept bytes leave in runs as long as they stand together in the input.

/// What leaves of one slice of input.
pub(super) struct Emit<'a> {
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
    /// A run of the input that leaves and has not been copied yet.
    from: usize,
    to: usize,
}

impl<'a> Emit<'a> {
    pub(super) const fn new(bytes: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            bytes,
            out,
            from: 0,
            to: 0,
        }
    }

    /// The bytes from `from` to `to` leave as they are.
    #[inline(always)]
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        if self.to == from && self.from < self.to {
            self.to = to;
        } else {
            self.flush();
            (self.from, self.to) = (from, to);
        }
    }

    /// A comma leaves, and then the bytes from `from` to `to`.
    #[inline(always)]
    pub(super) fn comma_and_copy(&mut self, from: usize, to: usize) {
        let joined = self.to.wrapping_add(1) == from && self.bytes.get(self.to) == Some(&b',');
        if joined && self.from < self.to {
            self.to = to;
        } else {
            self.flush();
            self.out.push(b',');
            (self.from, self.to) = (from, to);
        }
    }

    /// Bytes leave that do not stand in the input.
    #[inline]
    pub(super) fn text(&mut self, text: &[u8]) {
        self.flush();
        self.out.extend_from_slice(text);
    }

    /// To write into what leaves, behind all that has been given so far.
    #[inline]
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.flush();
        self.out
    }

    /// Copies the run that is waiting. Must be called before the input goes away.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        if self.from < self.to {
            let run = self.bytes.get(self.from..self.to);
            self.out.extend_from_slice(run.unwrap_or_default());
            (self.from, self.to) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_together_leaves_together() {
        let mut out = Vec::new();
        let mut emit = Emit::new(b"[1,2, 3]", &mut out);
        emit.copy(0, 1);
        emit.copy(1, 2);
        emit.comma_and_copy(3, 4);
        assert_eq!((emit.from, emit.to), (0, 4));
        emit.comma_and_copy(6, 7);
        emit.text(b"x");
        emit.copy(7, 8);
        emit.flush();
        assert_eq!(out, b"[1,2,3x]");
    }
}
