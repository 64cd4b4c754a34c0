//! What passed in one exchange: bytes, and what was done to fields.

use super::meter::{RouteMeter, Stage};
use crate::minimise::{Action, Counts};

/// One body, before and after the policy. All zero if there was none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// How it was read; `None` if there was no body.
    pub format: Option<Format>,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that left.
    pub bytes_out: u64,
    /// What was done to its fields.
    pub fields: Counts,
}

/// A payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
}

impl Format {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
        }
    }
}

/// Whether data goes to the vendor or comes from it, whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Towards the school.
    FromVendor,
    /// Towards the vendor.
    ToVendor,
}

impl Direction {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FromVendor => "from_vendor",
            Self::ToVendor => "to_vendor",
        }
    }

    pub(super) const fn place(self) -> usize {
        match self {
            Self::FromVendor => 0,
            Self::ToVendor => 1,
        }
    }

    pub(super) const fn turned(self) -> Self {
        match self {
            Self::FromVendor => Self::ToVendor,
            Self::ToVendor => Self::FromVendor,
        }
    }
}

/// Actions that a log line counts together.
pub(super) const KEPT: [Action; 2] = [Action::Kept, Action::IdentifierEmpty];
pub(super) const PSEUDONYMISED: [Action; 1] = [Action::Pseudonymised];
pub(super) const BROUGHT_HOME: [Action; 2] = [Action::BroughtHome, Action::BroughtHomeOld];
pub(super) const REDUCED: [Action; 3] = [Action::Blanked, Action::Constant, Action::Generalised];
pub(super) const DROPPED: [Action; 9] = [
    Action::DroppedEcho,
    Action::DroppedItem,
    Action::DroppedListed,
    Action::DroppedType,
    Action::DroppedUnlisted,
    Action::DroppedValue,
    Action::PseudonymForeign,
    Action::PseudonymRetired,
    Action::PseudonymUnknown,
];

pub(super) fn measure_fields(fields: &Counts, meter: &RouteMeter, direction: Direction) {
    for (action, count) in fields.taken() {
        meter.count_fields(direction, action, count);
    }
}

impl Traffic {
    pub(super) fn measure(&self, meter: &RouteMeter, direction: Direction) {
        meter.count_bytes(direction, Stage::In, self.bytes_in);
        meter.count_bytes(direction, Stage::Out, self.bytes_out);
        if self.format.is_some() {
            measure_fields(&self.fields, meter, direction);
        }
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.format.map(|_| self.bytes_in)
    }

    pub(super) fn fields_of(&self, actions: &[Action]) -> Option<u64> {
        let sum = actions
            .iter()
            .map(|action| self.fields.of(*action))
            .fold(0, u64::saturating_add);
        self.format.map(|_| sum)
    }
}
