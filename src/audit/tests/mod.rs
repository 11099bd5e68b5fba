//! The log as a whole: what it keeps and how fast.

mod crash;
mod lies;
mod lookup;

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    directory::{DiskDirectory, LogDirectory, MemoryDirectory},
    *,
};
use crate::{crypto::signature::SigningKey, secret::SecretKey};

const ORIGIN: &str = "keystead/test";

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_slice(&[seed; 32]).unwrap())
}

fn public_key() -> [u8; 32] {
    signing_key(1).public_key()
}

/// Options with segments so small that a few batches fill one.
fn options() -> LogOptions {
    LogOptions { segment_bytes_max: 3000, compress: false, ..LogOptions::new(signing_key(1), ORIGIN) }
}

fn record(number: u64) -> Vec<u8> {
    format!(r#"{{"eventName":"Decrypt","number":{number:06},"padding":"{}"}}"#, "x".repeat(150)).into_bytes()
}

fn batch(first: u64, count: u64) -> Vec<Vec<u8>> {
    (first..first + count).map(record).collect()
}

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn disk(&self) -> DiskDirectory {
        DiskDirectory::new(self.path())
    }

    fn create(&self) -> AuditLog {
        AuditLog::create(Box::new(self.disk()), options()).unwrap()
    }

    fn open(&self, expected: Option<LogPosition>) -> Result<AuditLog, LogError> {
        AuditLog::open(Box::new(self.disk()), options(), expected)
    }

    fn verify(&self, expected: Option<LogPosition>) -> Result<Verified, LogFault> {
        verify(&self.disk(), &public_key(), expected)
    }

    fn records(&self) -> Result<Vec<Vec<u8>>, LogFault> {
        read::records(&self.disk(), 0)?.map(|record| Ok(record?.bytes)).collect()
    }

    /// A log of twelve batches of three records in several segments; and the position after each batch.
    fn filled() -> (Self, Vec<LogPosition>) {
        let place = Self::new();
        let mut log = place.create();
        let positions = (0..12).map(|n| log.append_batch(&batch(n * 3, 3)).unwrap()).collect();
        (place, positions)
    }

    fn segments(&self) -> Vec<PathBuf> {
        self.disk().list().unwrap().iter().map(|name| self.path().join(name)).collect()
    }
}

#[test]
fn what_is_appended_is_read_verified_and_opened_again() {
    let (place, positions) = Place::filled();
    let last = *positions.last().unwrap();
    assert!(place.segments().len() > 2, "several segments");
    assert_eq!(place.records().unwrap(), batch(0, 36));
    let verified = place.verify(Some(last)).unwrap();
    assert_eq!((verified.records, verified.root, verified.checkpoints), (36, last.root, 12));
    assert_eq!((verified.segments, verified.origin.as_str()), (place.segments().len(), ORIGIN));

    let mut log = place.open(Some(last)).unwrap();
    assert_eq!((log.position(), log.recovered_bytes()), (last, 0));
    let next = log.append_batch(&batch(36, 1)).unwrap();
    assert_eq!(next.size, 37);
    assert_eq!(place.verify(Some(next)).unwrap().position(), next);
    let checkpoint = checkpoint::Checkpoint::open(&log.checkpoint(), log.verifier()).unwrap();
    assert_eq!(checkpoint.position, next);
}

#[test]
fn every_position_the_log_ever_had_is_recognised_and_no_other() {
    let (place, positions) = Place::filled();
    for position in positions.iter().chain([&LogPosition::empty()]) {
        assert!(place.open(Some(*position)).is_ok(), "size {}", position.size);
        assert!(place.verify(Some(*position)).is_ok());
        let other = LogPosition { root: [7; 32], ..*position };
        assert!(matches!(place.open(Some(other)), Err(LogError::Fault(LogFault::Fork { .. }))));
        assert!(matches!(place.verify(Some(other)), Err(LogFault::Fork { .. })));
    }
}

#[test]
fn the_tail_is_the_last_records_whatever_segment_they_are_in() {
    let (place, _) = Place::filled();
    for count in [0, 1, 3, 10, 36, 99] {
        let tail = read::tail(&place.disk(), count).unwrap();
        let first = 36 - count.min(36) as u64;
        assert_eq!(
            tail.iter().map(|record| record.sequence).collect::<Vec<_>>(),
            (first..36).collect::<Vec<_>>()
        );
        assert_eq!(tail.into_iter().map(|record| record.bytes).collect::<Vec<_>>(), batch(first, 36 - first));
    }
    let from: Vec<u64> =
        read::records(&place.disk(), 20).unwrap().map(|record| record.unwrap().sequence).collect();
    assert_eq!(from, (20..36).collect::<Vec<_>>());
}

#[test]
fn a_log_in_memory_is_the_same_log() {
    let directory = MemoryDirectory::new();
    let mut log = AuditLog::create(Box::new(directory.clone()), options()).unwrap();
    for n in 0..12 {
        log.append_batch(&batch(n * 3, 3)).unwrap();
    }
    let (place, _) = Place::filled();
    for path in place.segments() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut bytes = Vec::new();
        directory.read(name).unwrap().1.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, fs::read(path).unwrap());
    }
    assert!(verify(&directory, &public_key(), Some(log.position())).is_ok());
    assert!(matches!(AuditLog::create(Box::new(directory), options()), Err(LogError::Exists)));
}

#[test]
fn records_that_do_not_fit_are_refused_and_nothing_is_latched() {
    let place = Place::new();
    let mut log = place.create();
    for bytes in [0, RECORD_BYTES_MAX + 1] {
        let refused = log.append_batch(&[record(0), vec![b'x'; bytes]]);
        assert!(matches!(refused, Err(LogError::RecordSize { bytes: b }) if b == bytes));
    }
    assert_eq!(log.append_batch::<Vec<u8>>(&[]).unwrap(), LogPosition::empty());
    assert_eq!(log.append_batch(&[vec![b'x'; RECORD_BYTES_MAX]]).unwrap().size, 1);
    assert_eq!(place.verify(None).unwrap().checkpoints, 1);
}

#[test]
fn a_file_unlinked_replaced_cut_or_grown_under_the_log_closes_it() {
    type Meddling = fn(&Path, Vec<u8>);
    let meddle: [Meddling; 4] = [
        |path, _| fs::remove_file(path).unwrap(),
        |path, bytes| {
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        },
        |path, bytes| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(bytes.len() as u64 - 1).unwrap();
        },
        |path, _| fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"x").unwrap(),
    ];
    for meddle in meddle {
        let place = Place::new();
        let mut log = place.create();
        log.append_batch(&batch(0, 1)).unwrap();
        let path = &place.segments()[0];
        meddle(path, fs::read(path).unwrap());
        assert!(matches!(log.append_batch(&batch(1, 1)), Err(LogError::Replaced { .. })));
        assert!(matches!(log.append_batch(&batch(1, 1)), Err(LogError::Latched)));
        assert_eq!(log.position().size, 1);
    }
}
