//! How many requests are under way, over all threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::{Bound, Limits};
use crate::names::{SchoolId, VendorId};

/// Requests under way: in all, and for each vendor.
#[derive(Debug, Default)]
pub(super) struct Load {
    all: Count,
    vendors: Mutex<BTreeMap<(SchoolId, VendorId), Count>>,
}

/// A number that several threads move.
pub(super) type Count = Arc<AtomicUsize>;

impl Load {
    /// The count of one vendor; it outlives every configuration that names it.
    pub(super) fn of(&self, school: &SchoolId, vendor: &VendorId) -> Count {
        let mut vendors = self.vendors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(vendors.entry((school.clone(), vendor.clone())).or_default())
    }

    /// A place for one more request; `None` if there are as many as the limits allow.
    pub(super) fn enter(&self, vendor: &Count, limits: &Limits) -> Option<Place> {
        let all = One::of(&self.all, limits.size(Bound::Requests))?;
        let vendor = One::of(vendor, limits.size(Bound::RequestsPerVendor))?;
        Some(Place {
            _all: all,
            _vendor: vendor,
        })
    }
}

/// A place for one request, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _all: One,
    _vendor: One,
}

#[derive(Debug)]
struct One(Count);

impl One {
    fn of(count: &Count, most: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let one = Self(Arc::clone(count));
        (before < most).then_some(one)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_vendor_leaves_room_for_another() {
        let (load, mut limits) = (Load::default(), Limits::default());
        limits.set(Bound::Requests, 3).unwrap();
        limits.set(Bound::RequestsPerVendor, 2).unwrap();
        let school = SchoolId::parse("school").unwrap();
        let [a, b] = ["a", "b"].map(|name| load.of(&school, &VendorId::parse(name).unwrap()));
        let first = load.enter(&a, &limits).unwrap();
        let second = load.enter(&a, &limits).unwrap();
        assert!(load.enter(&a, &limits).is_none(), "a is full");
        let third = load.enter(&b, &limits).unwrap();
        assert!(load.enter(&b, &limits).is_none(), "all is full");
        drop(first);
        let fourth = load.enter(&b, &limits).unwrap();
        drop((second, third, fourth));
        assert_eq!(
            (load.all.load(Ordering::Relaxed), a.load(Ordering::Relaxed)),
            (0, 0)
        );
    }
}
