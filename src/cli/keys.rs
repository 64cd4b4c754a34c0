//! `sluis keys`: the master key, and the ring of the keys of vendors and registers.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::out::{Exit, Format, Out};
use super::{Common, problems, rotate, seal_process};
use crate::config::keys::{self, KeyLine, KeyState, Made};
use crate::config::{self, Problems};
use crate::pseudonym::Holder;

/// Make, list, verify and rotate keys; nothing here shows one
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every key of the ring: whose, which version, which fingerprint
    List(Common),
    New(New),
    Rotate(rotate::Options),
    /// Open every key and compare it with its fingerprint
    Verify(Common),
}

/// Make the keys that are missing; overwrite none
///
/// Where a master key, a register or a pin shows that a missing key was there before, nothing is
/// made: put the ring back from its backup.
#[derive(Args, Debug)]
struct New {
    /// Make new keys also for those that are lost: every pupil gets another pseudonym
    #[arg(long)]
    begin_anew: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    seal_process();
    let common = match &options.action {
        Action::List(common) | Action::New(New { common, .. }) | Action::Verify(common) => common,
        Action::Rotate(options) => return rotate::run(options, out),
    };
    let done = config::find(common.config.as_deref()).and_then(|folder| match &options.action {
        Action::List(_) => keys::list(&folder).map(|lines| say_list(&lines, common.format, out)),
        Action::New(New { begin_anew, .. }) => {
            let made = match begin_anew {
                true => keys::begin_anew(&folder),
                false => keys::new(&folder),
            };
            made.map(|new| say_new(&new, common.format, out))
        }
        Action::Rotate(_) => Ok(()),
        Action::Verify(_) => {
            keys::verify(&folder).map(|lines| say_verified(&lines, common.format, out))
        }
    });
    match done {
        Ok(()) => Exit::Fine,
        Err(wrong) => failed(&wrong, common.format, out),
    }
}

/// What cannot be written is not the configuration's fault.
pub(super) fn failed(wrong: &Problems, format: Format, out: &mut Out) -> Exit {
    let writing = |code| code == config::code::WRITE;
    let is_io = wrong.sorted().iter().all(|problem| writing(problem.code));
    let exit = problems(wrong, format, out);
    if is_io { Exit::Io } else { exit }
}

fn say_list(lines: &[KeyLine], format: Format, out: &mut Out) {
    match format {
        Format::Json => out.json(&json!({ "keys": listed(lines) })),
        Format::Text if lines.is_empty() => out.say("the ring has no keys yet: sluis keys new"),
        Format::Text => lines.iter().for_each(|line| out.say(&text(line))),
    }
}

fn say_new(new: &keys::NewKeys, format: Format, out: &mut Out) {
    let master = new.master.as_ref().map(|path| path.display().to_string());
    let ring = new.ring.display().to_string();
    if format == Format::Json {
        return out.json(&json!({ "master": master, "ring": ring, "keys": listed(&new.keys) }));
    }
    let made = new
        .keys
        .iter()
        .filter(|line| line.state == KeyState::Made)
        .count();
    match (&master, made) {
        (None, 0) => out.say("no key is missing; nothing was changed"),
        (None, _) => {}
        (Some(path), _) => {
            out.say(&format!("made the master key {path}, mode 0600"));
            out.say(
                "  back it up where only you can reach it, apart from the ring: without it, no",
            );
            out.say("  pseudonym can be made again; with it and the ring, every one can be undone");
        }
    }
    if made > 0 {
        let all = new.keys.len();
        out.say(&format!("made {made} of {all} keys in the ring {ring}"));
        out.say("  back it up too, each time it changes: a vendor's key that is lost gives every");
        out.say("  pupil another pseudonym, and a register's key that is lost leaves it closed");
    }
    new.keys.iter().for_each(|line| out.say(&text(line)));
    if (1..new.keys.len()).contains(&made) {
        out.say("if a key that is new here was there before, put the ring back from its backup");
    }
}

fn say_verified(lines: &[KeyLine], format: Format, out: &mut Out) {
    match format {
        Format::Json => out.json(&json!({ "keys": listed(lines), "verified": true })),
        Format::Text => {
            lines.iter().for_each(|line| out.say(&text(line)));
            out.say("every key opens and is the one it was");
        }
    }
}

fn text(line: &KeyLine) -> String {
    let KeyLine {
        school,
        version,
        fingerprint,
        ..
    } = line;
    let whose = match &line.holder {
        Holder::Register => format!("{school}, its register"),
        Holder::Vendor(vendor) => format!("{school}/{vendor}"),
    };
    let state = match line.state {
        KeyState::Former => "  former",
        KeyState::InUse => "",
        KeyState::Made => "  new",
        KeyState::Prepared => "  prepared",
        KeyState::Unused => "  not used here",
    };
    let made = match &line.made {
        Some(Made { on, reason, used }) => {
            let used = used.map_or_else(String::new, |used| format!(", used since {used}"));
            format!("  made {on}{used}: {reason}")
        }
        None => String::new(),
    };
    format!("{whose}  version {version}  fingerprint {fingerprint}{state}{made}")
}

fn listed(lines: &[KeyLine]) -> Value {
    let line = |line: &KeyLine| {
        json!({
            "school": line.school.as_str(),
            "vendor": match &line.holder {
                Holder::Register => None,
                Holder::Vendor(vendor) => Some(vendor.as_str()),
            },
            "version": line.version,
            "fingerprint": line.fingerprint.to_string(),
            "made": line.made.as_ref().map(|made| made.on.to_string()),
            "used": line.made.as_ref().and_then(|made| made.used).map(|used| used.to_string()),
            "reason": line.made.as_ref().map(|made| made.reason.as_str()),
            "state": match line.state {
                KeyState::Former => "former",
                KeyState::InUse => "in-use",
                KeyState::Made => "made",
                KeyState::Prepared => "prepared",
                KeyState::Unused => "unused",
            },
        })
    };
    lines.iter().map(line).collect()
}
