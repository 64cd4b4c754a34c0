//! The proof that something passed a policy.

use std::fmt;

use bytes::{Buf, Bytes};

/// A `T` that passed a policy. Only `minimise` can make one; `upstream` and the answer path take
/// nothing else, so a raw payload that would leave does not compile.
///
/// ```
/// use sluis::minimise::Cleared;
/// fn send(body: Cleared<Vec<u8>>) -> usize { body.release().len() }
/// assert_eq!(send(Cleared::default()), 0);
/// ```
/// ```compile_fail
/// use sluis::minimise::Cleared;
/// fn send(body: Cleared<Vec<u8>>) -> usize { body.release().len() }
/// assert_eq!(send(Cleared(vec![1])), 1);
/// ```
#[derive(Default)]
pub struct Cleared<T>(T);

impl<T> Cleared<T> {
    /// Says that `value` passed a policy. Visible in this room only.
    pub(super) const fn new(value: T) -> Self {
        Self(value)
    }

    /// To add to what has been cleared. Visible in this room only.
    pub(super) const fn inner(&mut self) -> &mut T {
        &mut self.0
    }

    /// A look at what has been cleared.
    pub const fn look(&self) -> &T {
        &self.0
    }

    /// Gives the value up; from here on it is plain data that may leave.
    pub fn release(self) -> T {
        self.0
    }
}

/// What passed a policy may go to one vendor, and to nobody who reads a log.
impl<T> fmt::Debug for Cleared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cleared")
    }
}

impl Cleared<Vec<u8>> {
    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    /// Takes all that has been cleared so far, and leaves an empty buffer.
    pub fn take(&mut self) -> Cleared<Bytes> {
        Cleared(Bytes::from(std::mem::take(&mut self.0)))
    }
}

/// For a request that is sent twice: what has passed a policy once has passed it.
impl Clone for Cleared<Bytes> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Cleared<Bytes> {
    /// Takes the first `length` bytes away, or all if there are fewer.
    #[must_use]
    pub fn split(&mut self, length: usize) -> Self {
        Self(self.0.split_to(length.min(self.0.len())))
    }
}

impl Buf for Cleared<Bytes> {
    fn remaining(&self) -> usize {
        self.0.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.0.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.0.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.0.copy_to_bytes(length)
    }
}
