//! The log, open for appending: one write and one fdatasync a batch, and after any failure nothing more.
//!
//! A batch is its records' frames and a checkpoint frame over the tree that has them as its newest leaves. When
//! [`AuditLog::append_batch`] answers, all of it is durable. Many callers share a batch; that is the door's work.
//!
//! A failed write or sync latches the log: the kernel may have dropped what it could not write, so a second fsync
//! that succeeds would prove nothing. Opening the log anew reads what is really there.

use std::{io, mem, sync::Arc, thread};

use thiserror::Error;

use super::{
    Frontier, Hash, LogPosition,
    checkpoint::Checkpoint,
    directory::{LogDirectory, SegmentFile},
    fault::LogFault,
    frame::{FrameKind, RECORD_BYTES_MAX, frame_bytes, write_frame},
    header::Header,
    leaf_hash,
    note::VerifierKey,
    replay::{Replayed, Request, Torn, replay},
    segment,
    verify::check_expected,
};
use crate::{
    crypto::{digest::Sha256Stream, signature::SigningKey},
    model::ParseError,
};

/// The size at which a segment is closed and the next one begun: 64 MiB.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Room in memory for a checkpoint's frame, which is shorter with any usual origin.
const CHECKPOINT_BYTES: usize = 512;

/// How a log is kept.
pub struct LogOptions {
    /// Signs the checkpoints: a key of the keystore's own.
    pub signing_key: SigningKey,
    /// Names the log: see [`checkpoint::origin`](super::checkpoint::origin).
    pub origin: String,
    /// The size at which a segment is closed; [`SEGMENT_BYTES_MAX`] outside tests.
    pub segment_bytes_max: u64,
    /// Whether closed segments are compressed, beside the work.
    pub compress: bool,
}

impl LogOptions {
    /// Options with segments of the usual size.
    #[must_use]
    pub fn new(signing_key: SigningKey, origin: impl Into<String>) -> Self {
        Self { signing_key, origin: origin.into(), segment_bytes_max: SEGMENT_BYTES_MAX, compress: true }
    }
}

/// Why the log would not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// An earlier failure stands.
    #[error("the audit log failed earlier and takes no more records until it is opened again")]
    Latched,
    /// There is a log already where one was to be made.
    #[error("there is an audit log already")]
    Exists,
    /// The file that is open is not the one under its name any more, or not as long as it was left.
    #[error("the audit log's file `{segment}` was removed, replaced or changed while it was open")]
    Replaced {
        /// The segment's name.
        segment: String,
    },
    /// A record is empty or longer than [`RECORD_BYTES_MAX`].
    #[error("a record has {bytes} bytes; it must have between 1 and {RECORD_BYTES_MAX}")]
    RecordSize {
        /// The record's length.
        bytes: usize,
    },
    /// The origin cannot be a checkpoint's.
    #[error(transparent)]
    Origin(#[from] ParseError),
    /// What stands there is not to be believed.
    #[error(transparent)]
    Fault(#[from] LogFault),
    /// The disk is full.
    #[error("the audit log cannot grow: the disk is full")]
    Full,
    /// The operating system failed.
    #[error("the audit log cannot be written")]
    Io(#[source] io::Error),
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

/// A log open for appending.
pub struct AuditLog {
    directory: Arc<dyn LogDirectory>,
    signing_key: SigningKey,
    verifier: VerifierKey,
    segment_bytes_max: u64,
    tree: Frontier,
    position: LogPosition,
    last_batch: u64,
    segment: OpenSegment,
    recovered_bytes: u64,
    latched: bool,
    compressor: Option<Compressor>,
}

struct OpenSegment {
    name: String,
    file: Box<dyn SegmentFile>,
    first: u64,
    bytes: u64,
    hash: Sha256Stream,
}

impl AuditLog {
    /// Begins a log in a directory that holds none.
    ///
    /// # Errors
    ///
    /// [`LogError::Exists`], [`LogError::Origin`], or the operating system's.
    pub fn create(directory: Box<dyn LogDirectory>, options: LogOptions) -> Result<Self, LogError> {
        let verifier = VerifierKey::new(&options.origin, options.signing_key.public_key())?;
        if !directory.list()?.is_empty() {
            return Err(LogError::Exists);
        }
        let header = Header { verifier, before: Frontier::new(), previous_file: None };
        let segment = begin_segment(&*directory, &header, &options.signing_key)?;
        Ok(Self::new(directory, options, header.verifier, (header.before, 0), segment, 0))
    }

    /// Opens a log, cutting off a write that a crash interrupted and that was never acknowledged.
    ///
    /// The last segment is verified and, when `expected` lies in another, that one too. `expected` is a position
    /// that the log is known to have had, such as the state's.
    ///
    /// # Errors
    ///
    /// [`LogError::Fault`] when the log is not what it should be; nothing is changed then. Or the operating
    /// system's.
    pub fn open(
        directory: Box<dyn LogDirectory>,
        options: LogOptions,
        expected: Option<LogPosition>,
    ) -> Result<Self, LogError> {
        let verifier = VerifierKey::new(&options.origin, options.signing_key.public_key())?;
        let names = segment::names(&*directory)?;
        let name = names.last().ok_or(LogFault::Missing)?;
        let request = Request {
            public_key: verifier.public_key(),
            every_signature: false,
            watched_sizes: expected
                .as_ref()
                .map(|position| std::slice::from_ref(&position.size))
                .unwrap_or_default(),
            prunes: false,
        };
        let last = replay(&*directory, name, true, &request)?;
        if last.verifier != verifier {
            return Err(LogFault::BadSignature { segment: name.clone(), offset: 0 }.into());
        }
        if let Some(expected) = expected {
            let root = match last.watched_roots.get(&expected.size).copied() {
                None if expected.size < last.before.size() => {
                    root_in_earlier_segment(&*directory, &names, &request, expected.size)?
                }
                root => root,
            };
            check_expected(&expected, last.after.size(), root)?;
        }
        let recovered_bytes = match &last.torn {
            Some(torn) => check_torn(&last, torn, &verifier, &options.signing_key)?,
            None => 0,
        };
        let segment = OpenSegment {
            file: directory.append_to(name, last.complete_bytes)?,
            name: last.name,
            first: last.before.size(),
            bytes: last.complete_bytes,
            hash: last.file_hash,
        };
        let tree = (last.after, last.last_batch);
        Ok(Self::new(directory, options, verifier, tree, segment, recovered_bytes))
    }

    fn new(
        directory: Box<dyn LogDirectory>,
        options: LogOptions,
        verifier: VerifierKey,
        (tree, last_batch): (Frontier, u64),
        segment: OpenSegment,
        recovered_bytes: u64,
    ) -> Self {
        Self {
            directory: Arc::from(directory),
            compressor: options.compress.then(Compressor::default),
            signing_key: options.signing_key,
            verifier,
            segment_bytes_max: options.segment_bytes_max,
            position: tree.position(),
            last_batch,
            tree,
            segment,
            recovered_bytes,
            latched: false,
        }
    }

    /// Appends records; when it answers, they and a checkpoint over them are durable. The answer is the new position;
    /// the first of the records has the old position's size as its sequence number.
    ///
    /// # Errors
    ///
    /// [`LogError`]. After [`LogError::RecordSize`] the log is as before; after any other it is latched, and
    /// whether the records are in it is known only when it is opened again.
    pub fn append_batch<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<LogPosition, LogError> {
        if self.latched {
            return Err(LogError::Latched);
        }
        let lengths = records.iter().map(|record| record.as_ref().len());
        if let Some(bytes) = lengths.clone().find(|bytes| !(1..=RECORD_BYTES_MAX).contains(bytes)) {
            return Err(LogError::RecordSize { bytes });
        }
        if records.is_empty() {
            return Ok(self.position);
        }
        let capacity = lengths.map(frame_bytes).sum::<usize>() + CHECKPOINT_BYTES;
        let appended = self.append(records, capacity);
        self.latched = appended.is_err();
        appended
    }

    fn append<R: AsRef<[u8]>>(&mut self, records: &[R], capacity: usize) -> Result<LogPosition, LogError> {
        if !self.segment.file.is_in_place(self.segment.bytes)? {
            return Err(LogError::Replaced { segment: self.segment.name.clone() });
        }
        if self.segment.bytes >= self.segment_bytes_max && self.tree.size() > self.segment.first {
            self.begin_next_segment()?;
        }
        let mut tree = self.tree.clone();
        let mut bytes = Vec::with_capacity(capacity);
        for record in records {
            write_frame(&mut bytes, FrameKind::Record, tree.size(), record.as_ref());
            tree.push(leaf_hash(record.as_ref()));
        }
        let position = tree.position();
        write_checkpoint(&mut bytes, &position, &self.verifier, &self.signing_key);
        self.segment.file.append(&bytes)?;
        self.segment.file.sync()?;
        self.segment.bytes += bytes.len() as u64;
        self.segment.hash.update(&bytes);
        self.last_batch = self.position.size;
        self.tree = tree;
        self.position = position;
        Ok(position)
    }

    fn begin_next_segment(&mut self) -> Result<(), LogError> {
        let previous_file = mem::take(&mut self.segment.hash).finish();
        let header = Header {
            verifier: self.verifier.clone(),
            before: self.tree.clone(),
            previous_file: Some(previous_file),
        };
        self.segment = begin_segment(&*self.directory, &header, &self.signing_key)?;
        if let Some(compressor) = &mut self.compressor {
            compressor.start(Arc::clone(&self.directory));
        }
        Ok(())
    }

    /// How far the log reaches.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// The number of the first record of the last batch: all before it was followed by another batch.
    #[must_use]
    pub fn last_batch(&self) -> u64 {
        self.last_batch
    }

    /// The checkpoint over the log as it is: a signed note that others can keep.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        Checkpoint::sign(&self.position, &self.verifier, &self.signing_key)
    }

    /// The log's public key under its origin, with which checkpoints are verified.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The directory, for reading while the log is open.
    #[must_use]
    pub fn directory(&self) -> &dyn LogDirectory {
        &*self.directory
    }

    /// How many bytes of an interrupted write were cut off when the log was opened.
    #[must_use]
    pub fn recovered_bytes(&self) -> u64 {
        self.recovered_bytes
    }

    /// Whether a failure has closed the log for good.
    #[must_use]
    pub fn is_latched(&self) -> bool {
        self.latched
    }
}

fn begin_segment(
    directory: &dyn LogDirectory,
    header: &Header,
    key: &SigningKey,
) -> Result<OpenSegment, LogError> {
    let first = header.before.size();
    let mut bytes = Vec::new();
    write_frame(&mut bytes, FrameKind::Header, first, header.sign(key).as_bytes());
    let name = segment::name_of(first);
    let file = directory.create(&name, &bytes)?;
    let mut hash = Sha256Stream::default();
    hash.update(&bytes);
    Ok(OpenSegment { name, file, first, bytes: bytes.len() as u64, hash })
}

fn write_checkpoint(buffer: &mut Vec<u8>, position: &LogPosition, verifier: &VerifierKey, key: &SigningKey) {
    let note = Checkpoint::sign(position, verifier, key);
    write_frame(buffer, FrameKind::Checkpoint, position.size, note.as_bytes());
}

/// Answers the length of the torn tail, unless it cannot be the beginning of what was being written: what follows
/// the last record that arrived whole is known, since Ed25519 signs the same text always the same way.
fn check_torn(
    last: &Replayed,
    torn: &Torn,
    verifier: &VerifierKey,
    key: &SigningKey,
) -> Result<u64, LogFault> {
    let unfinished = torn.unfinished_frame.as_deref().unwrap_or_default();
    let mut checkpoint = Vec::new();
    write_checkpoint(&mut checkpoint, &torn.after.position(), verifier, key);
    if unfinished.first() == checkpoint.first() && !checkpoint.starts_with(unfinished) {
        return Err(LogFault::Damaged {
            segment: last.name.clone(),
            offset: last.complete_bytes + torn.bytes - unfinished.len() as u64,
            record: None,
            what: "the last checkpoint is not the one that was written",
        });
    }
    Ok(torn.bytes)
}

fn root_in_earlier_segment(
    directory: &dyn LogDirectory,
    names: &[String],
    request: &Request<'_>,
    size: u64,
) -> Result<Option<Hash>, LogFault> {
    let after = names.partition_point(|name| segment::first_of(name) <= Some(size));
    match after.checked_sub(1).and_then(|index| names.get(index)) {
        Some(name) => Ok(replay(directory, name, false, request)?.watched_roots.remove(&size)),
        None => Ok(None),
    }
}

/// How much a thread that nobody waits for gives way to others (nice(2); on Linux it is the thread's own).
#[cfg(target_os = "linux")]
const IDLEST: i32 = 19;

/// Compresses closed segments on a thread of its own. Nothing waits for it but the end of the log.
#[derive(Default)]
struct Compressor(Option<thread::JoinHandle<()>>);

impl Compressor {
    /// Begins with whatever is closed and not compressed, unless it is still at work.
    fn start(&mut self, directory: Arc<dyn LogDirectory>) {
        if self.0.as_ref().is_some_and(|working| !working.is_finished()) {
            return;
        }
        let compress = move || {
            // Calls that are waited for come first.
            #[cfg(target_os = "linux")]
            let _stays_as_eager = rustix::process::nice(IDLEST);
            if let Err(error) = compress_closed(&*directory) {
                tracing::warn!(%error, "a closed segment of the audit log was not compressed");
            }
        };
        // Without a thread the segments stay as they are, which is only larger.
        self.0 = thread::Builder::new().name("keystead-compress".into()).spawn(compress).ok();
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        if let Some(working) = self.0.take() {
            let _compressed = working.join();
        }
    }
}

fn compress_closed(directory: &dyn LogDirectory) -> io::Result<()> {
    let mut names = directory.list()?;
    let _open = names.pop();
    names.iter().try_for_each(|name| directory.compress(name))
}
