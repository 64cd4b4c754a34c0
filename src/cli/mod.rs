//! The commands: the only room that speaks to a terminal.
//!
//! A command is a file with its `Options` and a `run` that says what it found through `out` and
//! gives an `Exit`. What it finds out is decided elsewhere, by the code that does the work.

mod attempt;
mod check;
mod demo;
mod health;
mod keys;
mod out;
mod pick;
mod pseudonym;
mod register;
mod rotate;
mod selftest;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask,
};
use serde_json::{Value, json};

use self::out::{Exit, Format, Out};
use crate::config::{Colour, Problems};

/// The lock between schools and the vendors of learning materials.
///
/// Every pupil becomes a pseudonym that one vendor knows, every field the school did not allow is
/// dropped, and whatever is not understood is refused.
#[derive(Debug, Parser)]
#[command(name = "sluis", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine, 1 a test failed or a leak was found, 2 stopped by a second signal, \
3 findings with --strict, 64 usage, \
65 input, 69 unavailable, 70 a bug, 74 reading or writing, 78 configuration, keys or register.";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Options),
    Demo(demo::Options),
    Health(health::Options),
    Keys(keys::Options),
    Pseudonym(pseudonym::Options),
    Register(register::Options),
    Selftest(selftest::Options),
    Serve(serve::Options),
    #[command(name = "try")]
    Try(attempt::Options),
}

/// What every command that reads the configuration can be told.
#[derive(Args, Debug)]
struct Common {
    /// The folder of sluis.toml [default: ./config, then /etc/sluis]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Who reads the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Reads the command line, does what it says, and gives what the process ends with.
#[must_use]
pub fn run() -> ExitCode {
    let mut out = Out::default();
    let exit = match Arguments::try_parse() {
        Ok(arguments) => match arguments.command {
            Command::Check(options) => check::run(&options, &mut out),
            Command::Demo(options) => demo::run(&options, &mut out),
            Command::Health(options) => health::run(&options, &mut out),
            Command::Keys(options) => keys::run(&options, &mut out),
            Command::Pseudonym(options) => pseudonym::run(&options, &mut out),
            Command::Register(options) => register::run(&options, &mut out),
            Command::Selftest(options) => selftest::run(&options, &mut out),
            Command::Serve(options) => serve::run(&options, &mut out),
            Command::Try(options) => attempt::run(&options, &mut out),
        },
        Err(error) => usage(&error, &mut out),
    };
    out.end(exit)
}

/// Help and version are asked for; everything else is a mistake on the command line.
fn usage(error: &clap::Error, out: &mut Out) -> Exit {
    let text = error.render().ansi().to_string();
    let text = text.trim_end();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        out.say(text);
        Exit::Fine
    } else {
        out.tell(text);
        Exit::Usage
    }
}

/// Shows why a command cannot begin: beside its output for people, as its output for programs.
fn problems(problems: &Problems, format: Format, out: &mut Out) -> Exit {
    match format {
        Format::Json => out.json(&json!({ "problems": listed(problems) })),
        Format::Text => out.tell(problems.text(Colour::On).trim_end()),
    }
    Exit::Config
}

/// Problems as a JSON list, by file and position.
fn listed(problems: &Problems) -> Value {
    problems
        .sorted()
        .iter()
        .map(|problem| {
            let view = problem.view();
            json!({
                "severity": view.severity,
                "code": view.code,
                "file": view.file,
                "line": view.line,
                "column": view.column,
                "message": view.message,
                "label": view.label,
                "help": view.help,
                "also": view.also.map(|also| json!({
                    "file": also.file,
                    "line": also.line,
                    "column": also.column,
                    "label": also.label,
                })),
            })
        })
        .collect()
}

/// Keeps the memory of a command that holds keys out of core files and away from debuggers, and
/// what it writes away from other users.
///
/// It may not be allowed (a process is sometimes kept from it); then the limits of the service
/// manager are what is left.
fn seal_process() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, nothing).unwrap_or_default();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap_or_default();
    umask(Mode::RWXG | Mode::RWXO);
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn a_sealed_process_is_not_dumped_and_writes_for_its_user_alone() {
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);
        seal_process();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(umask(Mode::empty()).bits(), 0o077);
    }
}
