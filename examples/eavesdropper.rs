//! An eavesdropper between `transit_client` and `transit_server`: it passes on what they say and shows what it saw.
//!
//! ```text
//! cargo run --example eavesdropper -- --listen 127.0.0.1:7444 127.0.0.1:7443 --canary 'my secret'
//! cargo run --example transit_client -- 127.0.0.1:7444 …
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use keystead::lab::wiretap::{
    Meddling, Wiretap,
    look::{entropy, find, hexadecimal, records},
};

/// How many bytes of each direction are shown.
const SHOWN_BYTES: usize = 96;

/// Listen in on what two processes say to each other
#[derive(Debug, Parser)]
struct Eavesdropper {
    /// Who is called in truth
    #[arg(value_name = "ADDRESS")]
    server: SocketAddr,
    /// Where the client is made to call instead
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7444")]
    listen: SocketAddr,
    /// A text to look for
    #[arg(long, value_name = "TEXT", default_value = "")]
    canary: String,
    /// Change one bit of the first TLS record of a client that is at least this long
    #[arg(long, value_name = "BYTES")]
    flip_bit: Option<usize>,
    /// End after so many connections
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    connections: usize,
}

fn main() -> ExitCode {
    match run(&Eavesdropper::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Eavesdropper) -> Result<(), Box<dyn Error>> {
    let meddling = match arguments.flip_bit {
        Some(record_bytes_min) => Meddling::FlipBit { record_bytes_min },
        None => Meddling::None,
    };
    let tap = Wiretap::start(arguments.listen, arguments.server, meddling)?;
    println!("ready: {}", tap.address());
    for _ in 0..arguments.connections {
        let Some(heard) = tap.next(Duration::MAX) else { break };
        for (who, said) in [("client", &heard.to_server), ("server", &heard.to_client)] {
            println!("\n{who}: {} bytes, {:.2} bits of entropy a byte", said.len(), entropy(said));
            for record in records(said) {
                println!("  {:06x}  {:>6} bytes  {}", record.at, record.bytes, record.name);
                record.facts.iter().for_each(|(name, value)| println!("{:25}{name}: {value}", ""));
            }
            match find(said, arguments.canary.as_bytes()) {
                Some(at) => println!("  the canary is there, at {at:06x}"),
                None => println!("  no canary"),
            }
            hexadecimal(said.get(..SHOWN_BYTES).unwrap_or(said), 0)
                .iter()
                .for_each(|line| println!("  {line}"));
        }
    }
    Ok(())
}
