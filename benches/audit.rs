//! How fast the audit log is at a million records: `cargo bench --bench audit`. It writes 800 MB to a temporary directory.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

use std::{error::Error, time::Instant};

use keystead::{
    audit::{AuditLog, LogOptions, directory::DiskDirectory, read, verify},
    crypto::signature::SigningKey,
    secret::SecretKey,
};

const RECORDS: usize = 1_000_000;
const BATCH: usize = 64;
const RECORD_BYTES: usize = 700;

fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let directory = DiskDirectory::new(place.path());
    let options = || -> Result<_, Box<dyn Error>> {
        let seed = SecretKey::from_slice(&[1; 32]).ok_or("a seed has 32 bytes")?;
        Ok(LogOptions::new(SigningKey::from_seed(&seed), "keystead/bench"))
    };
    let public_key = options()?.signing_key.public_key();
    let batch = vec![vec![b'x'; RECORD_BYTES]; BATCH];

    let mut log = AuditLog::create(Box::new(directory.clone()), options()?)?;
    let position = timed("append in batches of 64", || {
        let mut position = log.position();
        for _ in 0..RECORDS / BATCH {
            position = log.append_batch(&batch)?;
        }
        Ok(position)
    })?;
    drop(log);
    timed("verify", || Ok(verify(&directory, &public_key, Some(position))?))?;
    timed("open", || Ok(AuditLog::open(Box::new(directory.clone()), options()?, Some(position))?))?;
    timed("read the last 20", || Ok(read::tail(&directory, 20)?))?;
    timed("read all", || Ok(read::records(&directory, 0)?.count()))?;
    Ok(())
}

fn timed<T>(what: &str, act: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    let start = Instant::now();
    let done = act()?;
    println!("{what}: {:.2?}", start.elapsed());
    Ok(done)
}
