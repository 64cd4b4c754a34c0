//! `sluis keys rotate`: a new key for one vendor, and what that means.

use clap::Args;
use serde_json::json;

use super::out::{Exit, Format, Out};
use super::pick::{check_reason, one_of_name};
use super::{Common, keys as keys_command};
use crate::clock::{Calendar, Clock};
use crate::config::keys::{self, Made, Rotated, Rotation};
use crate::config::{self, Place};
use crate::names::{SchoolId, VendorId};

/// Make a new key for one vendor; its former ones stay, so that what is under way comes home
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The vendor's name: its file without .toml; SCHOOL/VENDOR if several schools have it
    vendor: String,
    /// Why: it is kept in the ring, beside the new key
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The school, if several have this vendor
    #[arg(long, value_name = "SCHOOL")]
    school: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// `keys` has sealed the memory.
pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    if let Err(why) = check_reason(&options.reason) {
        out.tell(&why);
        return Exit::Usage;
    }
    let found = config::find(options.common.config.as_deref())
        .and_then(|folder| Ok((keys::vendors(&folder)?, folder)));
    let (vendors, folder) = match found {
        Ok(found) => found,
        Err(wrong) => return keys_command::failed(&wrong, options.common.format, out),
    };
    let name = match &options.school {
        Some(school) => format!("{school}/{}", options.vendor),
        None => options.vendor.clone(),
    };
    let (school, vendor) = match one_of_name(&name, &vendors, |(school, id)| (school, id)) {
        Ok((school, vendor)) => (school.clone(), vendor.clone()),
        Err(why) => {
            out.tell(&why);
            return Exit::Usage;
        }
    };
    let rotation = Rotation {
        school,
        vendor,
        made: Made {
            on: Calendar::default().day(Clock::system().unix_s()),
            reason: options.reason.trim().to_owned(),
        },
    };
    match keys::rotate(&folder, rotation.clone()) {
        Ok(rotated) => {
            say(&rotation, &rotated, options.common.format, out);
            Exit::Fine
        }
        Err(wrong) => keys_command::failed(&wrong, options.common.format, out),
    }
}

fn say(rotation: &Rotation, rotated: &Rotated, format: Format, out: &mut Out) {
    let (school, vendor) = (&rotation.school, &rotation.vendor);
    let [old, new] = [rotated.old, rotated.new]
        .map(|(version, key)| json!({ "version": version, "fingerprint": key.to_string() }));
    let event = json!({
        "event": "key_rotated",
        "school": school.as_str(),
        "vendor": vendor.as_str(),
        "old": old,
        "new": new,
        "reason": rotation.made.reason,
    });
    out.tell(&event.to_string());
    match format {
        Format::Json => out.json(&json!({
            "school": school.as_str(),
            "vendor": vendor.as_str(),
            "old": old,
            "new": new,
            "pinned_at": rotated.pin.as_ref().map(place),
            "accept_keys": ways(rotated),
        })),
        Format::Text => say_text(school, vendor, rotated, out),
    }
}

fn say_text(school: &SchoolId, vendor: &VendorId, rotated: &Rotated, out: &mut Out) {
    let ((old, old_key), (new, new_key)) = (rotated.old, rotated.new);
    out.say(&format!("{school}/{vendor} has a new key"));
    out.say(&format!(
        "  version {old}  fingerprint {old_key}  until the next reload"
    ));
    out.say(&format!("  version {new}  fingerprint {new_key}  after it"));
    out.say("what happens next");
    if let Some(pin) = &rotated.pin {
        let pin = place(pin);
        out.say(&format!(
            "  {pin} pins a key: without key = \"{new_key}\" there,"
        ));
        out.say("  a reload or a start is refused");
    }
    out.say("  reload the gateway (SIGHUP, or systemctl reload sluis); on every node, if several");
    out.say("  from then on every pupil has a new pseudonym, and is somebody new to this vendor");
    for (kind, accepted) in &rotated.ways {
        out.say(&match accepted {
            0 | 1 => format!("  {kind}: former pseudonyms are refused at once (accept-keys = 1)"),
            2 => format!("  {kind}: those of version {old} still come home (accept-keys = 2)"),
            more => format!("  {kind}: those of the {more} newest keys come home (accept-keys)"),
        });
        if let Some(ended) = rotated.ended(*accepted) {
            out.say(&format!("  {kind}: those of version {ended} no longer do"));
        }
    }
    if rotated.ways.iter().any(|(_, accepted)| *accepted > 1) {
        out.say("  the metric that counts them stands still once none comes any more:");
        out.say(&format!(
            "  sluis_fields_total{{action=\"brought_home_old\",vendor=\"{vendor}\"}}"
        ));
        out.say("  then accept-keys = 1 ends them; what comes all the same is refused and counted");
        out.say("  as pseudonym_retired");
    }
}

/// `file:line`.
fn place(place: &Place) -> String {
    format!("{}:{}", place.file.shown(), place.line_and_column().0)
}

fn ways(rotated: &Rotated) -> serde_json::Value {
    let ways = rotated.ways.iter();
    ways.map(|(kind, accepted)| json!({ "kind": kind, "keys": accepted }))
        .collect()
}
