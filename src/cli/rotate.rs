//! `sluis keys rotate`: a new key for one vendor, and what that means.

use clap::Args;
use serde_json::{Value, json};

use super::out::{Exit, Format, Out};
use super::pick::{check_reason, one_of_name};
use super::{Common, keys as keys_command};
use crate::clock::{Calendar, Clock};
use crate::config::keys::{self, Made, Next, Preparation, Rotated, Rotation};
use crate::config::{self, Place};
use crate::names::{SchoolId, VendorId};
use crate::pseudonym::Fingerprint;

/// Make a new key for one vendor; its former ones stay, so that what is under way comes home
///
/// Where several gateways share a register, in two steps: `--prepare` makes a key that every
/// gateway understands once it has the ring and was reloaded, and `--key` puts that one to use. So
/// whatever one of them gives out comes home through any other.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The vendor's name: its file without .toml; SCHOOL/VENDOR if several schools have it
    vendor: String,
    /// Why: it is kept in the ring, beside the new key
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Make a key and put it to no use yet
    #[arg(long, conflicts_with = "key")]
    prepare: bool,
    /// Put the key to use that has this fingerprint and was prepared
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    key: Option<Fingerprint>,
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
            used: None,
        },
    };
    let format = options.common.format;
    let next = options.key.map_or(Next::New, Next::Prepared);
    let done = match options.prepare {
        true => keys::prepare(&folder, rotation.clone())
            .map(|prepared| say_prepared(&rotation, &prepared, format, out)),
        false => keys::rotate(&folder, rotation.clone(), next)
            .map(|rotated| say(&rotation, &rotated, format, out)),
    };
    match done {
        Ok(()) => Exit::Fine,
        Err(wrong) => keys_command::failed(&wrong, format, out),
    }
}

fn say_prepared(rotation: &Rotation, keys: &Preparation, format: Format, out: &mut Out) {
    let (school, vendor) = (&rotation.school, &rotation.vendor);
    let event = json!({
        "event": "key_prepared",
        "school": school.as_str(),
        "vendor": vendor.as_str(),
        "in_use": key(keys.in_use),
        "prepared": key(keys.prepared),
        "reason": rotation.made.reason,
    });
    out.tell(&event.to_string());
    if format == Format::Json {
        return out.json(&json!({
            "school": school.as_str(),
            "vendor": vendor.as_str(),
            "in_use": key(keys.in_use),
            "prepared": key(keys.prepared),
        }));
    }
    let ((old, old_key), (new, new_key)) = (keys.in_use, keys.prepared);
    out.say(&format!("{school}/{vendor} has a key that is prepared"));
    out.say(&format!(
        "  version {old}  fingerprint {old_key}  stays in use"
    ));
    out.say(&format!(
        "  version {new}  fingerprint {new_key}  is understood after the next reload"
    ));
    out.say("what happens next");
    out.say(
        "  copy the ring to every gateway, and reload each (SIGHUP, or systemctl reload sluis)",
    );
    out.say("  each that understands the key says so in /status (key_prepared) and in the metric");
    out.say(&format!(
        "  sluis_key_info{{fingerprint=\"{new_key}\",state=\"prepared\"}}"
    ));
    out.say("  once all do, put it to use, here:");
    out.say(&format!(
        "  sluis keys rotate {school}/{vendor} --key {new_key} --reason WHY"
    ));
}

fn fingerprint(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text).ok_or("a fingerprint is 16 hexadecimal digits")
}

fn key((version, fingerprint): (u32, Fingerprint)) -> Value {
    json!({ "version": version, "fingerprint": fingerprint.to_string() })
}

fn say(rotation: &Rotation, rotated: &Rotated, format: Format, out: &mut Out) {
    let (school, vendor) = (&rotation.school, &rotation.vendor);
    let [old, new] = [rotated.old, rotated.new].map(key);
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
            "was_prepared": rotated.prepared.is_some(),
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
    if let Some(since) = rotated.prepared {
        let since = since.map_or_else(String::new, |since| format!(" on {since}"));
        out.say(&format!(
            "  it was prepared{since}: if ring and master key got into other hands since"
        ));
        out.say("  then, rotate once more, without --key, before any reload");
    }
    out.say("what happens next");
    if let Some(pin) = &rotated.pin {
        let pin = place(pin);
        out.say(&format!(
            "  {pin} pins a key: without key = \"{new_key}\" there,"
        ));
        out.say("  a reload or a start is refused");
    }
    say_reload(rotated, out);
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

fn say_reload(rotated: &Rotated, out: &mut Out) {
    let lines: &[&str] = match (rotated.is_shared, rotated.prepared) {
        (false, _) => {
            &["  reload the gateway (SIGHUP, or systemctl reload sluis); on every node, if several"]
        }
        (true, Some(_)) => &[
            "  copy the ring to every gateway, and reload each (SIGHUP, or systemctl reload sluis)",
            "  all soon: until it is reloaded, a gateway gives out former pseudonyms",
        ],
        (true, None) => &[
            "  copy the ring to every gateway, then reload all (SIGHUP, or systemctl reload sluis)",
            "  until it is reloaded, a gateway refuses what others give out with the new key;",
            "  --prepare, and a reload of all before the key is used, would spare that",
        ],
    };
    lines.iter().for_each(|line| out.say(line));
}

/// `file:line`.
fn place(place: &Place) -> String {
    format!("{}:{}", place.file.shown(), place.line_and_column().0)
}

fn ways(rotated: &Rotated) -> Value {
    let ways = rotated.ways.iter();
    ways.map(|(kind, accepted)| json!({ "kind": kind, "keys": accepted }))
        .collect()
}
