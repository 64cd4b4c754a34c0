//! `sluis try`: one message before and after, value by value. Nothing is sent and nothing is kept.

mod preview;
mod question;
mod refused;
mod route;
mod show;

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use self::preview::Preview;
use self::route::{Found, NotFound, find};
use self::show::Show;
use super::out::{Exit, Out};
use super::{Common, problems};
use crate::config::{self, Draft, Problems, VendorDraft, VendorFile};
use crate::limits::Limits;
use crate::minimise::{Crossing, Law, Objections};
use crate::policy::{Content, Side};
use crate::pseudonym::{
    Asked, Batch, Form, Generation, Identifier, IdentifierFault, Recall, Register, VendorKey,
};

/// Show one message before and after, value by value, as the policy would rewrite it
///
/// Nothing is sent and nothing is stored. Pseudonyms are made with a test key, so they are not the
/// live ones.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// The vendor: the name of its file
    vendor: String,
    /// The method of the request, in capitals: GET, PUT
    method: String,
    /// Path and query of the request, beginning with a slash, with or without the flow's `at`
    path: String,
    /// A file with the message; without it, or with -, standard input
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// Which of the two messages of the exchange the sample is
    #[arg(long, value_enum)]
    message: Option<Message>,
    /// The sample is an answer with this status: it passes as `status` of the route declares
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..600))]
    status: Option<u16>,
    /// The flow, if more than one has such a route
    #[arg(long)]
    flow: Option<String>,
    /// The school, if more than one has such a vendor
    #[arg(long)]
    school: Option<String>,
}

/// One of the two messages of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Message {
    /// What comes back: the default where a request has no body
    Answer,
    /// What is asked: the default where a request has a body
    Request,
}

/// The key of the published vectors: whoever sees these pseudonyms learns nothing of the live ones.
const TEST_KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut place = 0_u8;
    while place < 32 {
        #[expect(
            clippy::indexing_slicing,
            clippy::as_conversions,
            reason = "at compile time"
        )]
        {
            key[place as usize] = place;
        }
        place = place.wrapping_add(1);
    }
    key
};

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    let mut found = Problems::new();
    let draft = match config::find(options.common.config.as_deref()) {
        Ok(folder) => Draft::read(&folder, &mut found),
        Err(none) => return problems(&none, options.common.format, out),
    };
    let vendor = match vendor(options, &draft) {
        Ok(vendor) => vendor,
        Err(why) if found.has_errors() => {
            out.tell(&why);
            return problems(&found, options.common.format, out);
        }
        Err(why) => {
            out.tell(&why);
            return Exit::Usage;
        }
    };
    let (file, vendor) = vendor;
    let Some(objections) = file.lists.as_read() else {
        out.tell("who objected is not known; this is why:");
        problems(&found, options.common.format, out);
        return Exit::Config;
    };
    let trial = Trial {
        law: law(vendor),
        objections,
    };
    let found = match find(options, vendor, &trial) {
        Ok(found) => found,
        Err(NotFound::Refused(refused)) => return refused.show(options.common.format, out),
        Err(NotFound::Unclear(why)) => {
            out.tell(&why);
            return Exit::Input;
        }
    };
    let message = found.meant(options);
    let (content, to) = found.carries(&trial.law.policy, message, options.status);
    let crossing = found.under_way(trial.crossing(to), message);
    let show = Show {
        vendor,
        found: &found,
        message,
        to_vendor: to == Side::Vendor,
        format: options.common.format,
    };
    match content {
        None | Some(Content::Nothing) => show.nothing(content, out),
        Some(Content::Json(rule)) => match sample(options) {
            Ok(None) => show.head_only(out),
            Ok(Some(bytes)) => {
                let preview = Preview::of(crossing, rule, &bytes);
                show.preview(rule, preview, &bytes, out)
            }
            Err(why) => {
                out.tell(&why);
                Exit::Input
            }
        },
    }
}

/// The vendor that is meant, if its file can be used.
fn vendor<'d>(
    options: &Options,
    draft: &'d Draft,
) -> Result<(&'d VendorFile, &'d VendorDraft), String> {
    let here = draft.vendors().filter(|(school, vendor)| {
        let school_fits = options
            .school
            .as_ref()
            .is_none_or(|name| name == school.id.as_str());
        school_fits && vendor.id.as_str() == options.vendor
    });
    let here: Vec<_> = here.collect();
    match here.as_slice() {
        [] => {
            let all = || draft.vendors();
            let schools: BTreeSet<&str> = all().map(|(school, _)| school.id.as_str()).collect();
            let vendors: BTreeSet<&str> = all().map(|(_, vendor)| vendor.id.as_str()).collect();
            Err(match &options.school {
                Some(name) if !schools.contains(name.as_str()) => {
                    format!(
                        "no school `{name}` with vendors; there is {}",
                        listed(schools)
                    )
                }
                Some(_) | None => {
                    let name = &options.vendor;
                    format!("no vendor `{name}`; there is {}", listed(vendors))
                }
            })
        }
        [(_, file)] => {
            let draft = file.draft.as_ref().map(|draft| (*file, draft));
            let why = || format!("the file of `{}` cannot be used; this is why:", file.id);
            draft.ok_or_else(why)
        }
        several => {
            let schools: Vec<&str> = several
                .iter()
                .map(|(school, _)| school.id.as_str())
                .collect();
            Err(format!(
                "more than one school has this vendor: --school {}",
                schools.join(" or --school ")
            ))
        }
    }
}

fn listed(names: BTreeSet<&str>) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => Vec::from_iter(names).join(", "),
    }
}

/// Stands for the identifier that only the register knows.
const SCHOOLS_OWN: &[u8] = b"the-schools-own-id";

/// The vendor's law under the test key.
fn law(vendor: &VendorDraft) -> Arc<Law> {
    let key = VendorKey::from(TEST_KEY);
    let newest = Generation::new(1, &key, vendor.kind_specs.iter().cloned());
    Arc::new(Law {
        policy: vendor.policy.clone(),
        generations: Arc::new([newest]),
        limits: Limits::default(),
    })
}

/// What a message is tried under.
struct Trial {
    law: Arc<Law>,
    objections: Arc<Objections>,
}

impl Trial {
    /// A message towards a side. What comes from the vendor finds a placeholder: nothing is
    /// remembered here.
    fn crossing(&self, to: Side) -> Crossing {
        let crossing = Crossing::towards(to, Arc::clone(&self.law), Some(Arc::new(Anybody)));
        crossing.with_objections(Arc::clone(&self.objections))
    }
}

/// A register for a trial: every pseudonym is somebody's.
#[derive(Debug)]
struct Anybody;

impl Register for Anybody {
    fn remember(
        &self,
        _: usize,
        _: Identifier<'_>,
        _: Form,
        _: &mut Batch,
    ) -> Result<(), IdentifierFault> {
        Ok(())
    }

    fn recall(&self, _: usize, _: &str, _: Asked, into: &mut Vec<u8>) -> Recall {
        into.extend_from_slice(SCHOOLS_OWN);
        Recall::Found {
            form: Form::Text,
            age: 0,
        }
    }
}

/// The message; `None` if none is given and nobody would type one.
fn sample(options: &Options) -> Result<Option<Vec<u8>>, String> {
    let path = options
        .sample
        .as_ref()
        .filter(|path| path.as_os_str() != "-");
    if let Some(path) = path {
        let read = std::fs::read(path);
        let bytes = read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        return match bytes.trim_ascii().is_empty() {
            true => Err(format!("{} is empty: it holds no message", path.display())),
            false => Ok(Some(bytes)),
        };
    }
    if options.sample.is_none() && std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    Ok((!bytes.is_empty()).then_some(bytes))
}
