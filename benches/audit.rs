//! How fast the audit log is: `cargo bench --bench audit`. It writes a gigabyte to a temporary directory.
//!
//! First what durability costs: records a second through the whole pipeline at 1, 8, 64 and 1,024 waiters, beside the raw
//! rate of fdatasync and appending batches of those sizes alone. Then what the log costs a cryptographic call: Encrypt on
//! a keystore on disk beside one in memory, which keeps the same log and waits for no disk. Then a million records:
//! verifying, opening, indexing, and looking up by each attribute.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]
#![expect(clippy::indexing_slicing, reason = "a measurement's own records are as it made them")]

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::{
    error::Error,
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use keystead::{
    audit::{
        AuditLog, LogOptions, Record,
        directory::DiskDirectory,
        index::IndexedLog,
        query::{Attribute, Filter, Query},
        read, verify,
    },
    crypto::signature::SigningKey,
    keystore::{Keystore, NewKeystore, Seal},
    kms::{CreateKey, DescribeKey, Encrypt, SystemClock},
    model::{EncryptionContext, KeyArn},
    secret::SecretKey,
};
use serde_json::{Value, json};

const RECORDS: usize = 1_000_000;
const BATCH: usize = 64;
const RECORD_BYTES: usize = 700;
const WAITERS: [usize; 4] = [1, 8, 64, 1024];
/// How long each rate is measured.
const MEASURED: Duration = Duration::from_secs(3);
const ACCOUNT: &str = "111122223333";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let place = tempfile::tempdir()?;
    println!("raw fdatasync of {RECORD_BYTES} bytes: {:.0}/s", raw_syncs(place.path())?);
    for batch in WAITERS {
        let rate = appending(&place.path().join(format!("batch-{batch}")), batch)?;
        println!("appending alone, batches of {batch}: {rate:.0} records/s");
    }
    let new =
        || -> Outcome<_> { Ok(NewKeystore { account: ACCOUNT.parse()?, region: "us-east-1".parse()? }) };
    let seal = Seal::KeyFile(place.path().join("keystore.key"));
    let on_disk = Keystore::create(&place.path().join("keystore"), new()?, seal, "the bench")?;
    let in_memory = Keystore::in_memory(new()?, Arc::new(SystemClock))?;
    let (key, key_in_memory) = (make_key(&on_disk)?, make_key(&in_memory)?);
    for waiters in WAITERS {
        let rate = calls(waiters, &|| describe(&on_disk, &key));
        println!("DescribeKey, {waiters} waiters: {rate:.0} records/s");
    }
    for waiters in [64, 1024] {
        let durable = calls(waiters, &|| encrypt(&on_disk, &key));
        let volatile = calls(waiters, &|| encrypt(&in_memory, &key_in_memory));
        let cost = 100.0 * (1.0 - durable / volatile);
        println!(
            "Encrypt, {waiters} waiters: {durable:.0}/s on disk, {volatile:.0}/s in memory: {cost:.0} % less"
        );
    }
    let template = on_disk.audit_tail(&on_disk.administrator(), 1)?.pop().ok_or("a record")?;
    drop((on_disk, in_memory));
    a_million(&place.path().join("million"), &template)
}

/// Writes and fdatasyncs a second.
fn raw_syncs(place: &Path) -> Outcome<f64> {
    let mut file = OpenOptions::new().append(true).create(true).open(place.join("raw"))?;
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < MEASURED {
        file.write_all(&[b'x'; RECORD_BYTES])?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / start.elapsed().as_secs_f64())
}

/// Records a second in batches of this size, by one writer that waits for nobody.
fn appending(path: &Path, batch: usize) -> Outcome<f64> {
    let mut log = AuditLog::create(Box::new(DiskDirectory::create(path)?), options()?)?;
    let records = vec![vec![b'x'; RECORD_BYTES]; batch];
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < MEASURED {
        log.append_batch(&records)?;
        count += u32::try_from(batch)?;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn options() -> Outcome<LogOptions> {
    let seed = SecretKey::from_slice(&[1; 32]).ok_or("a seed has 32 bytes")?;
    Ok(LogOptions::new(SigningKey::from_seed(&seed), "keystead/bench"))
}

fn make_key(keystore: &Keystore) -> Outcome<KeyArn> {
    Ok(keystore.kms().create_key(&keystore.administrator(), CreateKey::default())?.arn)
}

fn describe(keystore: &Keystore, key: &KeyArn) -> bool {
    let describe = DescribeKey { key_id: key.clone().into() };
    keystore.kms().describe_key(&keystore.administrator(), describe).is_ok()
}

fn encrypt(keystore: &Keystore, key: &KeyArn) -> bool {
    let encrypt = Encrypt {
        key_id: key.clone().into(),
        plaintext: [7; 32].as_slice().into(),
        encryption_context: EncryptionContext::new(),
    };
    keystore.kms().encrypt(&keystore.administrator(), encrypt).is_ok()
}

/// Calls a second by so many threads, each of which waits for its answer before it calls again.
fn calls(waiters: usize, call: &(dyn Fn() -> bool + Sync)) -> f64 {
    let answered = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| {
                while start.elapsed() < MEASURED && call() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "no machine answers 2^53 calls")]
    let answered = answered.into_inner() as f64;
    answered / start.elapsed().as_secs_f64()
}

/// A log of a million records of a hundred principals and keys, within four months.
fn a_million(path: &Path, template: &Record) -> Outcome<()> {
    let template = serde_json::to_value(template)?;
    let directory = DiskDirectory::create(path)?;
    let public_key = options()?.signing_key.public_key();
    let mut log = AuditLog::create(Box::new(directory.clone()), options()?)?;
    let position = timed("a million records, appended in batches of 64", || {
        let mut position = log.position();
        for batch in 0..RECORDS / BATCH {
            let records: Vec<Vec<u8>> = (0..BATCH)
                .map(|at| serde_json::to_vec(&numbered(&template, batch * BATCH + at)))
                .collect::<Result<_, _>>()?;
            position = log.append_batch(&records)?;
        }
        Ok(position)
    })?;
    drop(log);
    timed("verify", || Ok(verify(&directory, &public_key, Some(position))?))?;
    timed("open", || Ok(AuditLog::open(Box::new(directory.clone()), options()?, Some(position))?))?;
    timed("read the last 20", || Ok(read::tail(&directory, 20)?))?;

    let index = IndexedLog::new(Box::new(directory), Some(path.with_extension("db")));
    let query = |attribute, value: String| -> Outcome<Query> {
        Ok(Query::of(ACCOUNT.parse()?, 50).with(Filter::new(attribute, value)?))
    };
    let look = |what: &str, query: Query| timed(what, || Ok(index.find(&query)?.len()));
    let id = event_id(RECORDS / 3);
    look("index them, once", query(Attribute::EventId, id.clone())?)?;
    look("look up an event's id", query(Attribute::EventId, id)?)?;
    look("50 of a principal", query(Attribute::Principal, "user/user17".into())?)?;
    look("50 of a key", query(Attribute::ResourceName, key_arn(17))?)?;
    look("50 of an event", query(Attribute::EventName, "Decrypt".into())?)?;
    look("50 denied", query(Attribute::Outcome, "denied".into())?)?;
    let mut within = Query::of(ACCOUNT.parse()?, 50);
    within.since = Some("2026-02-01T00:00:00Z".parse()?);
    within.until = Some("2026-02-02T00:00:00Z".parse()?);
    look("50 of a day", within)?;
    Ok(())
}

fn event_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn key_arn(number: usize) -> String {
    format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-4000-8000-{number:012}")
}

fn numbered(template: &Value, number: usize) -> Value {
    let mut record = template.clone();
    let user = format!("user{}", number % 100);
    record["eventID"] = json!(event_id(number));
    record["eventName"] = json!(["Encrypt", "Decrypt", "GenerateDataKey", "DescribeKey"][number % 4]);
    // Ten seconds from one to the next.
    let (day, second) = (number / 8640, number % 8640 * 10);
    let time = format!(
        "2026-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        day / 28 + 1,
        day % 28 + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    record["eventTime"] = json!(time);
    record["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/{user}"));
    record["userIdentity"]["userName"] = json!(user);
    record["resources"] =
        json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key_arn(number / 100 % 100)}]);
    if number.is_multiple_of(1000) {
        record["errorCode"] = json!("AccessDenied");
        record["errorMessage"] = json!("no");
    }
    record
}

fn timed<T>(what: &str, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let start = Instant::now();
    let done = act()?;
    println!("{what}: {:.2?}", start.elapsed());
    Ok(done)
}
