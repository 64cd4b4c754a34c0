//! What becomes of the lists of objections.

use super::{Event, Voice};
use crate::config::{ListFault, LogLevel, Vendor};

/// A list of `[except]` can be used, which it could not before, or the other way round.
#[derive(Clone, Copy, Debug)]
pub struct ObjectionListChanged<'c> {
    /// Whose requests it decides.
    pub vendor: &'c Vendor,
    /// The name of the list in the vendor's file.
    pub list: &'c str,
    /// Why it cannot be used, if it cannot.
    pub fault: Option<ListFault>,
}

impl Event for ObjectionListChanged<'_> {
    fn tell(self, voice: &Voice) {
        let (school, vendor) = (self.vendor.school.as_str(), self.vendor.id.as_str());
        if let Some(gauge) = voice.metrics.lists.at([school, vendor, self.list]) {
            gauge.set(i64::from(self.fault.is_none()));
        }
        let Some(fault) = self.fault else {
            voice.lines.say(LogLevel::Info, || {
                tracing::info!(
                    event.name = "objection_list.usable",
                    sluis.school = school,
                    sluis.vendor = vendor,
                    sluis.list = self.list,
                    "a list of objections can be used"
                );
            });
            return;
        };
        voice.lines.say(LogLevel::Error, || {
            tracing::error!(
                event.name = "objection_list.unusable",
                error.type = fault.words(),
                sluis.school = school,
                sluis.vendor = vendor,
                sluis.list = self.list,
                "a list of objections cannot be used: the vendor is not served (503)"
            );
        });
    }
}
