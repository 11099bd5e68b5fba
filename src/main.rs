//! The `keystead` command: parse, run, exit.

use std::process::ExitCode;

// Calls make many small allocations, on several threads; and glibc's copies within large ones can be several times slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keystead::cli::main()
}
