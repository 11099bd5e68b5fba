//! The log as a whole: what it keeps, what a crash leaves, and a log that lies.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    directory::{DiskDirectory, LogDirectory, MemoryDirectory, SegmentFile},
    frame::{FrameKind, parse_frame, write_frame},
    note::VerifierKey,
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
    LogOptions { segment_bytes_max: 3000, ..LogOptions::new(signing_key(1), ORIGIN) }
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

/// The frames of a segment, to be changed and written again with checksums that fit.
fn frames(path: &Path) -> Vec<(FrameKind, u64, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut frames) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        let frame = parse_frame(rest).unwrap();
        frames.push((frame.kind, frame.sequence, frame.payload.to_vec()));
        rest = &rest[frame.bytes.len()..];
    }
    frames
}

fn write_frames(path: &Path, frames: &[(FrameKind, u64, Vec<u8>)]) {
    let mut bytes = Vec::new();
    for (kind, sequence, payload) in frames {
        write_frame(&mut bytes, *kind, *sequence, payload);
    }
    fs::write(path, bytes).unwrap();
}

fn forge(path: &Path, change: impl FnOnce(&mut Vec<(FrameKind, u64, Vec<u8>)>)) {
    let mut frames = frames(path);
    change(&mut frames);
    write_frames(path, &frames);
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
fn a_file_unlinked_or_replaced_under_the_log_closes_it() {
    for replace in [false, true] {
        let place = Place::new();
        let mut log = place.create();
        log.append_batch(&batch(0, 1)).unwrap();
        let path = &place.segments()[0];
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        if replace {
            fs::write(path, bytes).unwrap();
        }
        assert!(matches!(log.append_batch(&batch(1, 1)), Err(LogError::Replaced { .. })));
        assert!(matches!(log.append_batch(&batch(1, 1)), Err(LogError::Latched)));
        assert_eq!(log.position().size, 1);
    }
}

/// A directory whose disk fails when told to.
struct Failing {
    inner: DiskDirectory,
    on_append: Arc<AtomicBool>,
    on_sync: Arc<AtomicBool>,
}

struct FailingFile {
    inner: Box<dyn SegmentFile>,
    on_append: Arc<AtomicBool>,
    on_sync: Arc<AtomicBool>,
}

impl Failing {
    fn wrap(&self, inner: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(FailingFile { inner, on_append: self.on_append.clone(), on_sync: self.on_sync.clone() })
    }
}

impl LogDirectory for Failing {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn read(&self, name: &str) -> io::Result<(u64, Box<dyn Read + Send>)> {
        self.inner.read(name)
    }
    fn create(&self, name: &str, beginning: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(self.inner.create(name, beginning)?))
    }
    fn append_to(&self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(self.inner.append_to(name, length)?))
    }
}

impl SegmentFile for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.on_append.load(Ordering::Relaxed) {
            self.inner.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        // One failure only, like a kernel that reports an error once: trying again would "succeed".
        if self.on_sync.swap(false, Ordering::Relaxed) {
            return Err(io::Error::other("input/output error"));
        }
        self.inner.sync()
    }
    fn is_in_place(&self) -> io::Result<bool> {
        self.inner.is_in_place()
    }
}

#[test]
fn a_full_or_failing_disk_latches_the_log() {
    for full in [true, false] {
        let place = Place::new();
        let (on_append, on_sync) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let failing = Failing { inner: place.disk(), on_append: on_append.clone(), on_sync: on_sync.clone() };
        let mut log = AuditLog::create(Box::new(failing), options()).unwrap();
        let acknowledged = log.append_batch(&batch(0, 2)).unwrap();
        if full { &on_append } else { &on_sync }.store(true, Ordering::Relaxed);
        let error = log.append_batch(&batch(2, 2)).unwrap_err();
        assert!(if full { matches!(error, LogError::Full) } else { matches!(error, LogError::Io(_)) });
        on_append.store(false, Ordering::Relaxed);
        assert!(matches!(log.append_batch(&batch(2, 2)), Err(LogError::Latched)) && log.is_latched());
        drop(log);
        // A new start takes what is really there: nothing of the torn batch, all of the one whose sync failed.
        let log = place.open(Some(acknowledged)).unwrap();
        assert_eq!(
            (log.position().size, log.recovered_bytes() > 0),
            if full { (2, true) } else { (4, false) }
        );
    }
}

#[test]
fn an_edited_record_is_found_with_and_without_its_checksum() {
    let (place, _) = Place::filled();
    for path in place.segments() {
        let original = fs::read(&path).unwrap();
        let mut bytes = original.clone();
        let at = bytes.windows(7).position(|part| part == b"Decrypt").unwrap();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let fault = place.verify(None).unwrap_err();
        assert!(matches!(fault, LogFault::Damaged { .. }), "{fault}");
        assert_eq!(fault.finding(), Finding::Edit);
        assert!(place.records().is_err());

        fs::write(&path, &original).unwrap();
        forge(&path, |frames| frames[2].2 = b"{\"eventName\":\"Encrypt\"}".to_vec());
        let fault = place.verify(None).unwrap_err();
        assert!(matches!(fault, LogFault::Edited { first, last, .. } if last == first + 2), "{fault}");
        fs::write(&path, &original).unwrap();
    }
    forge(place.segments().last().unwrap(), |frames| frames[2].2 = b"{}".to_vec());
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::Edited { .. }))));
}

#[test]
fn a_removed_inserted_or_reordered_record_is_found() {
    type Change = fn(&mut Vec<(FrameKind, u64, Vec<u8>)>);
    fn renumber(frames: &mut [(FrameKind, u64, Vec<u8>)]) {
        let mut next = frames[0].1;
        for frame in frames {
            if frame.0 == FrameKind::Record {
                frame.1 = next;
                next += 1;
            } else {
                frame.1 = next;
            }
        }
    }
    let changes: [(&str, Change, Finding); 6] = [
        ("removed", |frames| drop(frames.remove(2)), Finding::Gap),
        (
            "removed and renumbered",
            |frames| {
                frames.remove(2);
                renumber(frames);
            },
            Finding::Gap,
        ),
        (
            "inserted and renumbered",
            |frames| {
                frames.insert(2, (FrameKind::Record, 0, record(99)));
                renumber(frames);
            },
            Finding::Gap,
        ),
        ("swapped with their numbers", |frames| frames.swap(1, 2), Finding::Gap),
        (
            "swapped and renumbered",
            |frames| {
                frames.swap(1, 2);
                renumber(frames);
            },
            Finding::Edit,
        ),
        ("a whole batch removed", |frames| drop(frames.drain(1..5)), Finding::Gap),
    ];
    for (name, change, finding) in changes {
        let (place, _) = Place::filled();
        forge(&place.segments()[1], change);
        let fault = place.verify(None).unwrap_err();
        assert_eq!(fault.finding(), finding, "{name}: {fault}");
    }
}

#[test]
fn a_cut_off_end_is_found_by_a_position_kept_elsewhere_and_only_by_it() {
    let (place, positions) = Place::filled();
    let path = place.segments().pop().unwrap();
    let checkpoints = frames(&path).iter().filter(|frame| frame.0 == FrameKind::Checkpoint).count();
    assert!(checkpoints > 1);
    // Cut at a batch border: the last batch vanishes.
    forge(&path, |frames| frames.truncate(frames.len() - 4));
    assert_eq!(place.verify(None).unwrap().records, 33);
    let last = positions.last().copied();
    let fault = place.verify(last).unwrap_err();
    assert!(matches!(fault, LogFault::Truncated { expected: 36, found: 33 }));
    assert_eq!(fault.finding(), Finding::Truncation);
    assert!(matches!(place.open(last), Err(LogError::Fault(LogFault::Truncated { .. }))));
    // The last segment as a whole vanishes.
    fs::remove_file(&path).unwrap();
    assert!(place.verify(None).is_ok());
    assert_eq!(place.verify(last).unwrap_err().finding(), Finding::Truncation);
}

#[test]
fn a_segment_that_is_missing_cut_or_replaced_is_found() {
    let (place, positions) = Place::filled();
    let paths = place.segments();
    let original = fs::read(&paths[1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::Gap);
    // Cut at a batch border, and inside a frame.
    fs::write(&paths[1], &original).unwrap();
    forge(&paths[1], |frames| frames.truncate(frames.len() - 4));
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::Gap);
    fs::write(&paths[1], &original[..original.len() - 1]).unwrap();
    assert!(matches!(place.verify(None), Err(LogFault::CutOff { .. })));
    // Two batches joined by leaving out a checkpoint: no record is missing, and the file is not the one that was signed.
    fs::write(&paths[1], &original).unwrap();
    forge(&paths[1], |frames| drop(frames.remove(4)));
    assert!(matches!(place.verify(None), Err(LogFault::Unchained { .. })));
    // The same place in another log of the same key.
    let other = Place::new();
    let mut log = other.create();
    for n in 0..12 {
        log.append_batch(&batch(n * 3 + 500, 3)).unwrap();
    }
    fs::copy(&other.segments()[1], &paths[1]).unwrap();
    assert!(matches!(place.verify(None), Err(LogFault::Unchained { .. })));
    // The whole other log: consistent in itself.
    for (from, to) in other.segments().iter().zip(&paths) {
        fs::copy(from, to).unwrap();
    }
    assert!(place.verify(None).is_ok());
    assert_eq!(place.verify(positions.last().copied()).unwrap_err().finding(), Finding::Fork);
    assert!(matches!(place.open(positions.first().copied()), Err(LogError::Fault(LogFault::Fork { .. }))));
}

#[test]
fn what_another_key_signed_is_refused() {
    let forger = signing_key(2);
    let verifier = VerifierKey::new(ORIGIN, forger.public_key()).unwrap();
    // A batch appended by somebody without the key.
    let (place, positions) = Place::filled();
    forge(place.segments().last().unwrap(), |frames| {
        let position = LogPosition { size: 37, root: [0; 32] };
        frames.push((FrameKind::Record, 36, record(36)));
        let note = checkpoint::Checkpoint::sign(&position, &verifier, &forger);
        frames.push((FrameKind::Checkpoint, 37, note.into_bytes()));
    });
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::BadSignature);
    assert!(place.open(positions.last().copied()).is_err());
    // A record rewritten, and the root in its checkpoint with it, under the signature that was there.
    let (place, _) = Place::filled();
    forge(&place.segments()[0], |frames| {
        let mut tree = Frontier::new();
        frames[1].2 = b"{}".to_vec();
        frames[1..4].iter().for_each(|frame| tree.push(leaf_hash(&frame.2)));
        let forged = checkpoint::Checkpoint::sign(&tree.position(), &verifier, &forger);
        let original = String::from_utf8(frames[4].2.clone()).unwrap();
        let signature = original.split("\n\n").nth(1).unwrap();
        frames[4].2 = format!("{}\n\n{signature}", forged.split("\n\n").next().unwrap()).into_bytes();
    });
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::BadSignature);
    // The whole log written anew by somebody without the key.
    let place = Place::new();
    let forged = LogOptions { signing_key: signing_key(2), ..options() };
    AuditLog::create(Box::new(place.disk()), forged).unwrap().append_batch(&batch(0, 2)).unwrap();
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::BadSignature);
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::BadSignature { .. }))));
    // The right key under another keystore's name.
    let place = Place::new();
    let other = LogOptions { origin: "keystead/other".into(), ..options() };
    drop(AuditLog::create(Box::new(place.disk()), other).unwrap());
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::BadSignature { .. }))));
}

#[test]
fn an_empty_or_foreign_directory_is_no_log() {
    let place = Place::new();
    assert!(matches!(place.verify(None), Err(LogFault::Missing)));
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::Missing))));
    fs::write(place.path().join("stranger.log"), b"x").unwrap();
    assert!(matches!(place.verify(None), Err(LogFault::Damaged { .. })));
}

#[test]
fn a_write_torn_at_any_byte_costs_exactly_what_was_not_acknowledged() {
    let place = Place::new();
    let mut log = place.create();
    let acknowledged = log.append_batch(&batch(0, 2)).unwrap();
    let path = place.segments().pop().unwrap();
    let start = fs::read(&path).unwrap().len();
    log.append_batch(&batch(2, 3)).unwrap();
    drop(log);
    let whole = fs::read(&path).unwrap();
    for end in start..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(place.records().unwrap(), batch(0, 2), "cut at {end}");
        assert_eq!(place.verify(Some(acknowledged)).unwrap().unacknowledged_bytes, (end - start) as u64);
        let mut log = place.open(Some(acknowledged)).unwrap();
        assert_eq!((log.position(), log.recovered_bytes()), (acknowledged, (end - start) as u64));
        log.append_batch(&batch(2, 3)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "as if nothing had been");
    }
    // Sectors that did not reach the disk, while later ones did.
    for sector in (start / 512)..whole.len().div_ceil(512) {
        let mut bytes = whole.clone();
        let (from, to) = ((sector * 512).max(start), (sector * 512 + 512).min(whole.len()));
        bytes[from..to].fill(0);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(place.open(Some(acknowledged)).unwrap().position(), acknowledged, "sector {sector}");
        assert_eq!(fs::read(&path).unwrap(), whole[..start]);
    }
}

#[test]
fn no_flipped_bit_in_what_was_acknowledged_is_taken_for_a_torn_write() {
    let place = Place::new();
    let mut log = place.create();
    log.append_batch(&batch(0, 1)).unwrap();
    log.append_batch(&batch(1, 2)).unwrap();
    drop(log);
    let path = place.segments().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(place.open(None), Err(LogError::Fault(_))), "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "written to although refused");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_batches_reopens_and_crashes_keep_what_was_acknowledged(
        steps in prop::collection::vec((0u64..6, any::<bool>(), any::<prop::sample::Index>()), 1..30),
    ) {
        let place = Place::new();
        let mut log = place.create();
        let mut acknowledged = LogPosition::empty();
        for (count, crash, at) in steps {
            let records = batch(acknowledged.size, count);
            if !crash {
                acknowledged = log.append_batch(&records).unwrap();
                continue;
            }
            let before: std::collections::BTreeMap<_, _> =
                place.segments().into_iter().map(|path| (path.clone(), fs::read(&path).unwrap().len())).collect();
            let landed = log.append_batch(&records).unwrap();
            drop(log);
            // What the write added, in the segment that was there or in one made for it, is cut at random.
            let path = place.segments().pop().unwrap();
            let bytes = fs::read(&path).unwrap();
            let header = || parse_frame(&bytes).unwrap().bytes.len();
            let start = before.get(&path).copied().unwrap_or_else(header);
            let end = start + at.index(bytes.len() - start + 1);
            fs::write(&path, &bytes[..end]).unwrap();
            log = place.open(Some(acknowledged)).unwrap();
            if end == bytes.len() {
                acknowledged = landed;
            }
            prop_assert_eq!(log.position(), acknowledged);
        }
        prop_assert_eq!(place.records().unwrap(), batch(0, acknowledged.size));
        let verified = place.verify(Some(acknowledged)).unwrap();
        prop_assert_eq!(verified.position(), acknowledged);
    }

    #[test]
    fn arbitrary_bytes_as_a_segment_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600), after_header: bool,
    ) {
        let place = Place::new();
        drop(place.create());
        let path = place.segments().pop().unwrap();
        let beginning = if after_header { fs::read(&path).unwrap() } else { vec![] };
        fs::write(&path, [beginning, bytes].concat()).unwrap();
        let _ = (place.verify(None), place.records(), place.open(None).map(drop));
    }
}
