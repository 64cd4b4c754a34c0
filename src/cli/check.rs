//! `sluis check`: every mistake of every file at once.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::listed;
use super::out::{Exit, Out};
use crate::config::{self, Colour, Draft, Problems};

/// Say every mistake of every file at once; nothing leaves this machine
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The folder of sluis.toml [default: ./config, then /etc/sluis]
    #[arg(long, value_name = "DIR")]
    config: Option<std::path::PathBuf>,
    /// Who reads the output
    #[arg(long, value_enum, default_value_t)]
    format: CheckFormat,
    /// End with 3 if there are findings
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// One line a problem, as GitHub and Forgejo show it beside the file
    Github,
    /// One JSON document
    Json,
    /// People
    #[default]
    Text,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    let mut problems = Problems::new();
    let draft = match config::find(options.config.as_deref()) {
        Ok(folder) => Some(Draft::read(&folder, &mut problems)),
        Err(none) => {
            problems = none;
            None
        }
    };
    let vendors = draft.as_ref().map_or(0, Draft::vendors);
    let (errors, findings) = problems.counts();
    match options.format {
        CheckFormat::Github => out.say(problems.github().trim_end()),
        CheckFormat::Json => out.json(&json!({
            "errors": errors,
            "findings": findings,
            "problems": listed(&problems),
            "vendors": vendors,
        })),
        CheckFormat::Text => {
            let text = problems.text(Colour::On);
            if !text.is_empty() {
                out.say(&text);
            }
            out.say(&format!(
                "{vendors} vendors, {errors} errors, {findings} findings"
            ));
        }
    }
    match (errors, findings) {
        (1.., _) => Exit::Config,
        (0, 1..) if options.strict => Exit::Findings,
        (0, _) => Exit::Fine,
    }
}
