//! `sluis demo`: everything at once, with nothing to configure.

use std::io::IsTerminal as _;

use clap::Args;

use super::out::{Exit, Format, Out};
use super::serve::cannot_start;
use super::{problems, seal_process};
use crate::demo::{Demo, Fault};

/// As wide as the text is where nobody says how wide it may be.
const COLUMNS_DEFAULT: u16 = 100;

/// Show what the gateway does, with a made-up school and made-up vendors
///
/// Needs no configuration and no network but this machine. In a terminal everyone stays there to
/// be tried until Ctrl-C. Ends with 1 if anything reached a vendor that must not.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// End when all is shown
    #[arg(long)]
    once: bool,
}

pub(super) fn run(options: &Options, out: &mut Out) -> Exit {
    seal_process();
    let demo = match Demo::play(columns()) {
        Ok(demo) => demo,
        Err(fault) => return no_demo(&fault, out),
    };
    out.say(demo.text());
    if !options.once && std::io::stdout().is_terminal() {
        out.say(demo.invitation());
        demo.stay();
    }
    let leaked = demo.leaked();
    demo.end();
    if leaked { Exit::Failed } else { Exit::Fine }
}

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(COLUMNS_DEFAULT, |size| size.ws_col).into()
}

fn no_demo(fault: &Fault, out: &mut Out) -> Exit {
    match fault {
        Fault::Config(wrong) => {
            problems(wrong, Format::Text, out);
            Exit::Bug
        }
        Fault::Gateway(failure) => cannot_start(failure, out),
        Fault::Party(_) => {
            out.tell(&format!("sluis demo: {fault}"));
            Exit::Unavailable
        }
        Fault::Unexpected(_) => {
            out.tell(&format!("sluis demo: {fault}"));
            Exit::Bug
        }
    }
}
