//! How fast the endpoint answers: `cargo bench --bench endpoint`.
//!
//! GenerateDataKey by a pre-signed request, the same for all, over 1, 16 and 64 connections, against four servers in one
//! run, each a process of its own: a bare `hyper` server that echoes the body; the same with what GenerateDataKey cannot do
//! without (see [`floor`]); a keystore on disk served by `keystead serve` with signatures, policies and the durable audit
//! record; and moto's server, which is installed once under the target directory (`python3` with `venv`, and a package
//! index). Memory is what the operating system says of the process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement prints what it measured, and has to stop when it cannot measure"
)]

mod driver;
mod floor;
mod servers;

use std::time::Duration;

use driver::{Measured, drive};
use servers::Running;

const CONNECTIONS: &[usize] = &[1, 16, 64];
const TIME: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == servers::ECHO) {
        servers::echo();
        return;
    }
    if let Some(at) = arguments.iter().position(|argument| argument == floor::FLOOR) {
        floor::floor(arguments[at + 1].as_ref());
        return;
    }
    println!(
        "{:<10} {:>5} {:>10} {:>9} {:>9} {:>9} {:>9}",
        "server", "conns", "req/s", "p50", "p90", "p99", "p99.9"
    );
    let echo = measure(Running::echo());
    let floor = measure(Running::floor());
    let keystead = measure(Running::keystead());
    let moto = measure(Running::moto());
    let (ours, bare, emulator) =
        (keystead.requests_per_second, echo.requests_per_second, moto.requests_per_second);
    println!(
        "\nat {} connections keystead answers {:.1} times as many as moto, {:.0} % of what the bare server does, and {:.0} % \
         of what the floor does, which does {:.0} % of the bare server's",
        CONNECTIONS.last().unwrap(),
        ours / emulator,
        100.0 * ours / bare,
        100.0 * ours / floor.requests_per_second,
        100.0 * floor.requests_per_second / bare
    );
}

/// Measures one server, and answers what it did with the most connections.
fn measure(server: Running) -> Measured {
    let memory_at_start = server.resident_mib();
    let mut last = None;
    for connections in CONNECTIONS {
        let measured = drive(&server.address, &server.request, *connections, TIME);
        println!("{:<10} {:>5} {measured}", server.name, connections);
        last = Some(measured);
    }
    println!(
        "{:<10} resident: {memory_at_start:.1} MiB at start, {:.1} MiB after",
        server.name,
        server.resident_mib()
    );
    last.unwrap()
}
