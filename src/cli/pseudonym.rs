//! `sluis pseudonym`: the pseudonym under which a vendor knows one person.

use std::io::Read as _;

use clap::Args;
use serde_json::json;

use super::out::{Exit, Format, Out};
use super::pick::{check_reason, no_such, one_of_name};
use super::{Common, problems, seal_process};
use crate::config::{self, Config, Vendor};
use crate::limits;
use crate::pseudonym::{Identifier, IdentifierFault, Kind};
use crate::secret::SecretText;

/// Show the pseudonym under which a vendor knows one person, as the live keys make it
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The vendor's name: its file without .toml; SCHOOL/VENDOR if several schools have it
    vendor: String,
    /// The kind of identifier: the name in [ids.NAME]
    kind: String,
    /// The identifier as the school has it; - reads it from standard input, out of sight of others
    id: String,
    /// Why it is asked for: a request of a parent, a fault to look into
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    seal_process();
    if let Err(why) = check_reason(&options.reason) {
        out.tell(&why);
        return Exit::Usage;
    }
    let folder = match config::find(options.common.config.as_deref()) {
        Ok(folder) => folder,
        Err(wrong) => return problems(&wrong, options.common.format, out),
    };
    match config::load(&folder) {
        Ok((config, _)) => with_config(options, &config, out),
        Err(wrong) => problems(&wrong, options.common.format, out),
    }
}

fn with_config(options: &Options, config: &Config, out: &mut Out) -> Exit {
    let found = vendor(config, &options.vendor).and_then(|vendor| {
        let kind = kind(vendor, &options.kind)?;
        Ok((vendor, kind))
    });
    let (vendor, kind) = match found {
        Ok(found) => found,
        Err(why) => {
            out.tell(&why);
            return Exit::Usage;
        }
    };
    let id = match identifier(&options.id) {
        Ok(id) => id,
        Err(why) => {
            out.tell(&why);
            return Exit::Input;
        }
    };
    let mut pseudonym = Vec::new();
    // Exposed to become a pseudonym.
    if let Err(fault) = kind.write(Identifier::new(id.expose()), &mut pseudonym) {
        out.tell(match fault {
            IdentifierFault::Empty => "the identifier is empty: it stays empty",
            IdentifierFault::Invisible => "the identifier has an invisible character in it",
            IdentifierFault::TooLong => "the identifier is too long: 1024 bytes at most",
        });
        return Exit::Input;
    }
    // A pseudonym is ASCII in every notation.
    say(
        options,
        vendor,
        &String::from_utf8(pseudonym).unwrap_or_default(),
        out,
    );
    Exit::Fine
}

fn say(options: &Options, vendor: &Vendor, pseudonym: &str, out: &mut Out) {
    // The event names no person: who was asked about is with the one who asked.
    let event = json!({
        "event": "pseudonym_shown",
        "school": vendor.school.as_str(),
        "vendor": vendor.id.as_str(),
        "kind": options.kind,
        "key_fingerprint": vendor.fingerprint.to_string(),
        "reason": options.reason,
    });
    out.tell(&event.to_string());
    match options.common.format {
        Format::Json => out.json(&json!({
            "school": vendor.school.as_str(),
            "vendor": vendor.id.as_str(),
            "kind": options.kind,
            "key_fingerprint": vendor.fingerprint.to_string(),
            "pseudonym": pseudonym,
        })),
        Format::Text => out.say(pseudonym),
    }
}

/// The vendor of that name, or why there is not just one.
fn vendor<'c>(config: &'c Config, name: &str) -> Result<&'c Vendor, String> {
    one_of_name(name, &config.vendors, |it| (&it.school, &it.id)).map(AsRef::as_ref)
}

fn kind<'v>(vendor: &'v Vendor, name: &str) -> Result<&'v Kind, String> {
    let all = || vendor.law.kinds().iter();
    let found = all().find(|kind| kind.spec().name == name);
    found.ok_or_else(|| no_such("id kind", name, all().map(|kind| kind.spec().name.as_str())))
}

/// The identifier as it was given, or as it comes on standard input: one line.
fn identifier(given: &str) -> Result<SecretText, String> {
    if given != "-" {
        return Ok(SecretText::new(given.to_owned()));
    }
    let mut text = String::new();
    let most = limits::IDENTIFIER_BYTES_MAX.saturating_mul(4);
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    let text = SecretText::new(text);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    // Exposed to leave the end of the line out, and nothing else.
    let line = text.expose();
    let line = line
        .strip_suffix('\n')
        .map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(SecretText::new(line.to_owned()))
}
