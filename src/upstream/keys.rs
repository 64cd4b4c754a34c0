//! Names for requests, by which an upstream knows one again that it got before
//! (`Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header).

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

use crate::refusal::{Bug, Refusal};
use crate::secret::SecretBytes;

/// The header that carries one.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Makes names that nobody else makes, at no other upstream either: two vendors that compare theirs
/// learn nothing.
pub(super) struct Keys {
    /// Different for every thread, upstream and configuration.
    prefix: String,
    next: AtomicU64,
}

impl Keys {
    /// `None` if the machine has no randomness to give.
    pub(super) fn new() -> Option<Self> {
        let random = SecretBytes::<16>::random().ok()?;
        // Shown to the upstream that they are made for; they keep nothing secret.
        let prefix = data_encoding::HEXLOWER.encode(random.expose());
        let next = AtomicU64::new(0);
        Some(Self { prefix, next })
    }

    /// One that was never given out: a string of RFC 8941.
    pub(super) fn next(&self) -> Result<HeaderValue, Refusal> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("\"{}-{number:x}\"", self.prefix))
            .map_err(|_bad| Refusal::Bug(Bug::Head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let [ours, theirs] = [Keys::new().unwrap(), Keys::new().unwrap()];
        let of = |keys: &Keys| keys.next().unwrap().to_str().unwrap().to_owned();
        let [first, second, other] = [of(&ours), of(&ours), of(&theirs)];
        assert!(first.starts_with('"') && first.ends_with("-0\""), "{first}");
        assert_eq!(first.len(), 36);
        assert_eq!(first.replace("-0", "-1"), second);
        assert_ne!(first, other);
    }
}
