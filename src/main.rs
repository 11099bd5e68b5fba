//! The `keystead` command: parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    keystead::cli::main()
}
