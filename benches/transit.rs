//! What encryption in transit costs: `cargo bench --bench transit`.
//!
//! Throughput of plaintext and TLS 1.3 over loopback, sender and receiver a thread each; handshakes with mutual
//! authentication, with and without resumption, by one caller and by two at once. The best of several runs: on a machine
//! that does other things too, the others measure those.

#![allow(clippy::print_stdout, reason = "a measurement prints what it measured")]

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use keystead::{
    lab::in_transit::{Parties, Throughput, Wire},
    transit::{Resumption, TransitError},
};

const BYTES: u64 = 1_000_000_000;
const HANDSHAKES: usize = 2000;
const RUNS: usize = 5;

fn main() -> Result<(), TransitError> {
    let parties = Parties::new()?;
    let best = |wire| -> Result<Throughput, TransitError> {
        parties.throughput(wire, BYTES / 10)?;
        let runs: Result<Vec<_>, _> = (0..RUNS).map(|_| parties.throughput(wire, BYTES)).collect();
        let best = runs?.into_iter().max_by(|one, other| one.gb_per_second.total_cmp(&other.gb_per_second));
        best.ok_or(TransitError::CutOff)
    };
    println!("{:<26} {:>8} {:>10} {:>12}", "", "GB/s", "", "CPU s per GB");
    let plaintext = best(Wire::Plaintext)?;
    for wire in Wire::ALL {
        let measured = if wire == Wire::Plaintext { plaintext } else { best(wire)? };
        let share = 100.0 * measured.gb_per_second / plaintext.gb_per_second;
        let Throughput { gb_per_second, cpu_seconds_per_gb } = measured;
        println!("{:<26} {gb_per_second:>8.2} {share:>8.0} % {cpu_seconds_per_gb:>12.2}", wire.name());
    }
    println!("\n{:<26} {:>8} {:>12}", "handshakes", "a second", "median ms");
    for (name, resumption) in [("whole", Resumption::Off), ("resumed", Resumption::On)] {
        for callers in [1, 2] {
            parties.handshakes(resumption, HANDSHAKES / 10, callers)?;
            let measured = parties.handshakes(resumption, HANDSHAKES, callers)?;
            let name = format!("{name}, {callers} at once");
            println!("{name:<26} {:>8.0} {:>12.2}", measured.per_second, measured.median.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}
