//! The one way to a terminal: through `anstream`, which leaves colours out where nobody sees them.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::ValueEnum;

/// How a command ends: the codes of sysexits(3), and four of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// A defect of the program itself.
    Bug,
    /// The configuration or a key cannot be used.
    Config,
    /// A test failed, or a leak was found.
    Failed,
    /// Nothing to complain of.
    Fine,
    /// Findings, and `--strict` was given.
    Findings,
    /// What was handed in cannot be read.
    Input,
    /// A file cannot be written, or there is no room.
    Io,
    /// A second signal ended it before its requests had.
    Told,
    /// What was asked for does not answer, or cannot be listened on.
    Unavailable,
    /// The command line is wrong.
    Usage,
}

impl Exit {
    /// The number that the shell sees.
    const fn code(self) -> u8 {
        match self {
            Self::Bug => 70,
            Self::Config => 78,
            Self::Failed => 1,
            Self::Fine => 0,
            Self::Findings => 3,
            Self::Input => 65,
            Self::Io => 74,
            Self::Told => 2,
            Self::Unavailable => 69,
            Self::Usage => 64,
        }
    }
}

/// Who reads the output of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One JSON document.
    Json,
    /// People.
    #[default]
    Text,
}

/// What a command says. Text is written as it comes; colours as ANSI sequences.
///
/// A reader that went away (`sluis check | head -1`) is no error: what it does not want is dropped.
#[derive(Debug, Default)]
pub(super) struct Out {
    broken: bool,
}

impl Out {
    /// Writes a line to standard output: what was asked for.
    pub(super) fn say(&mut self, line: &str) {
        let written = write_line(anstream::stdout().lock(), line);
        self.note_fault(written);
    }

    /// Writes a line to standard error: what else should be known.
    pub(super) fn tell(&mut self, line: &str) {
        let written = write_line(anstream::stderr().lock(), line);
        self.note_fault(written);
    }

    /// Writes a JSON document to standard output, for programs and legible for people.
    pub(super) fn json(&mut self, document: &serde_json::Value) {
        self.say(&format!("{document:#}"));
    }

    /// What the process ends with: output that was lost is an error in itself.
    pub(super) fn end(&self, exit: Exit) -> ExitCode {
        let lost = self.broken && exit == Exit::Fine;
        ExitCode::from(if lost { Exit::Io.code() } else { exit.code() })
    }

    fn note_fault(&mut self, written: std::io::Result<()>) {
        if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
            self.broken = true;
        }
    }
}

fn write_line(mut stream: impl Write, line: &str) -> std::io::Result<()> {
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    stream.flush()
}
