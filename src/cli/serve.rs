//! `sluis serve`: the gateway itself, in the foreground.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::out::{Exit, Format, Out};
use super::selftest::{self, Answer, UNFIT};
use super::{problems, seal_process};
use crate::app::{self, Ending, Failure};
use crate::config;
use crate::store::Remedy;

/// Run the gateway until a signal ends it
///
/// First it compares this build with the published vectors, as `sluis selftest` does, and does not
/// start if one fails. SIGTERM and SIGINT let requests under way finish, a second one stops at
/// once. SIGTERM goes on to take connections for `drain-delay`, so that others can notice. SIGHUP
/// reads the configuration again; if that is broken, the one in force stays. What happens is logged
/// to standard error.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The folder of sluis.toml [default: ./config, then /etc/sluis]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Threads that serve requests [default: as sluis.toml says, else one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    seal_process();
    run_given(&selftest::answers(), options, out)
}

/// Serves, if these published answers are given; else nothing is read at all.
fn run_given(answers: &[Answer], options: &Options, out: &mut Out) -> Exit {
    match unfit(answers, out) {
        Some(exit) => exit,
        None => serve(options, out),
    }
}

/// How it ends before it began, if one of these published answers is not given.
fn unfit(answers: &[Answer], out: &mut Out) -> Option<Exit> {
    let (name, _) = answers.iter().find(|(_, holds)| !holds)?;
    out.tell(&format!("sluis cannot start: {name} fails; {UNFIT}"));
    Some(Exit::Bug)
}

fn serve(options: &Options, out: &mut Out) -> Exit {
    let folder = match config::find(options.config.as_deref()) {
        Ok(folder) => folder,
        Err(wrong) => return problems(&wrong, Format::Text, out),
    };
    match app::serve(&folder, options.threads.map(NonZeroUsize::get)) {
        Ok(Ending::Broken) => Exit::Bug,
        Ok(Ending::Drained) => Exit::Fine,
        Ok(Ending::Told) => Exit::Told,
        Err(failure) => cannot_start(&failure, out),
    }
}

/// Says why, and whose business it is to mend it.
pub(super) fn cannot_start(failure: &Failure, out: &mut Out) -> Exit {
    if let Failure::Config(wrong) = failure {
        return problems(wrong, Format::Text, out);
    }
    out.tell(&format!("sluis cannot start: {failure}"));
    exit(failure)
}

/// Whose business it is to mend it, as a number.
pub(super) fn exit(failure: &Failure) -> Exit {
    match failure {
        Failure::Config(_)
        | Failure::SchoolOfRegister(..)
        | Failure::Stray(_)
        | Failure::Tls(_) => Exit::Config,
        Failure::Listen { .. } => Exit::Unavailable,
        Failure::Metric(_) => Exit::Bug,
        Failure::Register { fault, .. } => match fault.remedy() {
            Remedy::Machine => Exit::Io,
            Remedy::Setup => Exit::Config,
            Remedy::Time => Exit::Unavailable,
        },
        Failure::Handed(_) | Failure::Process(_) => Exit::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_gives_another_answer_than_published_serves_nobody() {
        let mut answers = selftest::answers();
        assert_eq!(unfit(&answers, &mut Out::default()), None);
        for place in 0..answers.len() {
            answers[place].1 = false;
            assert_eq!(unfit(&answers, &mut Out::default()), Some(Exit::Bug));
            answers[place].1 = true;
        }
    }

    #[test]
    fn a_build_that_is_unfit_does_not_even_read_its_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            config: Some(folder.path().to_owned()),
            threads: None,
        };
        let mut answers = selftest::answers();
        let run = |answers: &[Answer]| run_given(answers, &options, &mut Out::default());
        assert_eq!(run(&answers), Exit::Config, "there is no sluis.toml");
        answers[0].1 = false;
        assert_eq!(run(&answers), Exit::Bug);
    }
}
