//! The binary: everything is in the library, beginning with `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluis::cli::run()
}
