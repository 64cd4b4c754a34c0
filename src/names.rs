//! The names everyone shares: which school, which vendor, which flow, which route.
//!
//! A name is parsed once, where it enters, and is safe to print, to log and to use as a label: it
//! comes from the configuration, never from a message.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::limits;

/// The name of a school: its folder under `schools/`.
pub type SchoolId = Name<School>;
/// The name of a vendor: its file under `vendors/`, without `.toml`.
pub type VendorId = Name<Vendor>;
/// The name of a flow: the last part of `[flow.NAME]`.
pub type FlowId = Name<Flow>;

/// Marks a [`Name`] as a school's.
#[derive(Debug)]
pub enum School {}
/// Marks a [`Name`] as a vendor's.
#[derive(Debug)]
pub enum Vendor {}
/// Marks a [`Name`] as a flow's.
#[derive(Debug)]
pub enum Flow {}

/// A name of 1 to [`limits::NAME_BYTES_MAX`] bytes of `a-z`, `0-9` and `-`, beginning with a letter
/// or digit. Names of different things are different types.
pub struct Name<Of> {
    text: Arc<str>,
    of: PhantomData<fn() -> Of>,
}

impl<Of> Name<Of> {
    /// Reads a name; `None` if it is empty, too long, or has another character in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=limits::NAME_BYTES_MAX).contains(&text.len());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (fits && text.bytes().all(plain) && !text.starts_with('-')).then(|| Self {
            text: Arc::from(text),
            of: PhantomData,
        })
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<Of> Clone for Name<Of> {
    fn clone(&self) -> Self {
        Self {
            text: Arc::clone(&self.text),
            of: PhantomData,
        }
    }
}

impl<Of> fmt::Debug for Name<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<Of> fmt::Display for Name<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<Of> PartialEq for Name<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<Of> Eq for Name<Of> {}

impl<Of> PartialOrd for Name<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Of> Ord for Name<Of> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lowercase_digits_and_dashes() {
        for good in ["a", "rekenwijs", "school-7", "7b", &"a".repeat(64)] {
            assert_eq!(VendorId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a b", "a/b", "é", "a.b", &"a".repeat(65)] {
            assert!(VendorId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
