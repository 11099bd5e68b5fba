//! One segment file, read batch by batch.
//!
//! A segment is a header frame and then batches: record frames with consecutive sequence numbers, closed by a
//! checkpoint frame over everything up to there. A batch without its checkpoint was never acknowledged; it may stand
//! at the end of the newest segment and nowhere else (see [`super::tail`]).
//!
//! What is checked here needs no key: checksums, sequence numbers, that each checkpoint covers as many records as
//! stand before it. Signatures and the tree are [`super::replay`]'s.

use std::io::{self, Read};

use super::{
    LogPosition,
    checkpoint::Checkpoint,
    directory::{LogDirectory, SEGMENT_SUFFIX},
    fault::LogFault,
    frame::{FrameFault, FrameKind, FrameReader},
    header::{Header, HeaderFault},
    tail::{self, TornTail},
};
use crate::crypto::digest::Sha256Stream;

/// The digits of a segment's name: as many as the largest sequence number has.
const NAME_DIGITS: usize = 20;

/// The name of the segment that begins with this record.
pub(super) fn name_of(first: u64) -> String {
    format!("{first:0NAME_DIGITS$}{SEGMENT_SUFFIX}")
}

/// The record with which the segment of this name begins.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    (digits.len() == NAME_DIGITS).then(|| digits.parse().ok())?
}

/// The names of all segments of a log, in order.
pub(super) fn names(directory: &dyn LogDirectory) -> Result<Vec<String>, LogFault> {
    let names = match directory.list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LogFault::Missing),
        listed => listed?,
    };
    match names.iter().find(|name| first_of(name).is_none()) {
        None if names.is_empty() => Err(LogFault::Missing),
        None => Ok(names),
        Some(stranger) => Err(LogFault::Damaged {
            segment: stranger.clone(),
            offset: 0,
            record: None,
            what: "no segment has a name like this",
        }),
    }
}

/// Records that were made durable together, and the checkpoint that covers them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The first record of the segment.
    pub(super) segment: u64,
    /// Where the first record's frame begins.
    pub(super) offset: u64,
    first: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The signed note.
    pub(super) checkpoint: String,
    /// What it says, believed by nobody yet.
    pub(super) position: Option<LogPosition>,
    /// Where its frame begins.
    pub(super) checkpoint_offset: u64,
}

impl Batch {
    fn clear(&mut self, first: u64, offset: u64) {
        (self.first, self.offset) = (first, offset);
        self.bytes.clear();
        self.ends.clear();
        self.checkpoint.clear();
        self.position = None;
    }

    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// The sequence number of the first record.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number after the last record.
    pub(super) fn end(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The records.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }

    /// Takes the checkpoint over; answers what is wrong with it.
    fn take_checkpoint(&mut self, payload: &[u8], offset: u64) -> Result<(), &'static str> {
        const MALFORMED: &str = "a checkpoint is not well formed";
        let note = std::str::from_utf8(payload).map_err(|_| MALFORMED)?;
        let parsed = Checkpoint::parse_unverified(note).map_err(|_| MALFORMED)?;
        self.checkpoint.push_str(note);
        self.position = Some(parsed.position);
        self.checkpoint_offset = offset;
        Ok(())
    }
}

/// A segment that is being read.
pub(super) struct SegmentReader<'d> {
    directory: &'d dyn LogDirectory,
    name: String,
    newest: bool,
    frames: FrameReader,
    length: u64,
    header: Header,
    header_payload: Vec<u8>,
    batch: Batch,
    next_sequence: u64,
    /// The end of the last complete batch.
    complete: u64,
    running_hash: Sha256Stream,
    /// The digest's state at `complete`.
    file_hash: Sha256Stream,
    tail: Option<TornTail>,
}

impl<'d> SegmentReader<'d> {
    /// Opens a segment and reads its header. `newest`: no other follows it, so its end may be torn.
    pub(super) fn open(directory: &'d dyn LogDirectory, name: &str, newest: bool) -> Result<Self, LogFault> {
        let damaged = |what| LogFault::Damaged { segment: name.to_owned(), offset: 0, record: None, what };
        let (length, reader) = directory.read(name)?;
        let mut frames = FrameReader::new(reader, length);
        let frame = match frames.next_frame() {
            Ok(Some(frame)) if frame.kind == FrameKind::Header => frame,
            Err(FrameFault::Io(error)) => return Err(error.into()),
            // Segments come into being with their header, so that an empty one has lost all that it held.
            Ok(None) => return Err(LogFault::Emptied { segment: name.to_owned() }),
            _ => return Err(damaged("the segment does not begin with a header")),
        };
        let header = Header::parse_unverified(frame.payload).map_err(|fault| match fault {
            HeaderFault::NewerFormat(found) => LogFault::NewerFormat { segment: name.to_owned(), found },
            HeaderFault::Malformed => damaged("the segment's header is not well formed"),
        })?;
        let first = header.before.size();
        if frame.sequence != first || first_of(name) != Some(first) {
            return Err(damaged("the segment's name and its header do not agree"));
        }
        let header_payload = frame.payload.to_vec();
        let mut running_hash = Sha256Stream::default();
        running_hash.update(frame.bytes);
        Ok(Self {
            directory,
            name: name.to_owned(),
            newest,
            length,
            complete: frames.offset(),
            frames,
            header,
            header_payload,
            batch: Batch { segment: first, ..Batch::default() },
            next_sequence: first,
            file_hash: running_hash.clone(),
            running_hash,
            tail: None,
        })
    }

    /// What the segment says that it continues, and the signed note that says it.
    pub(super) fn header(&self) -> (&Header, &[u8]) {
        (&self.header, &self.header_payload)
    }

    /// The same, for whoever wants no more.
    pub(super) fn into_header(self) -> (Header, Vec<u8>) {
        (self.header, self.header_payload)
    }

    /// The next complete batch; `None` when there are no more.
    pub(super) fn next_batch(&mut self) -> Result<Option<&Batch>, LogFault> {
        if self.tail.is_some() {
            return Ok(None);
        }
        self.batch.clear(self.next_sequence, self.frames.offset());
        loop {
            let offset = self.frames.offset();
            let frame = match self.frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) if offset == self.complete => return Ok(None),
                Ok(None) => return self.end(FrameFault::Incomplete).map(|()| None),
                Err(fault) => return self.end(fault).map(|()| None),
            };
            let (kind, sequence) = (frame.kind, frame.sequence);
            self.running_hash.update(frame.bytes);
            let taken = match kind {
                FrameKind::Record => {
                    self.batch.push(frame.payload);
                    Ok(())
                }
                FrameKind::Checkpoint => self.batch.take_checkpoint(frame.payload, offset),
                FrameKind::Header => Err("a header stands in the middle"),
            };
            let record = Some(self.next_sequence);
            taken.map_err(|what| LogFault::Damaged { segment: self.name.clone(), offset, record, what })?;
            if sequence != self.next_sequence {
                return Err(self.gap(self.next_sequence, sequence));
            }
            if kind == FrameKind::Record {
                self.next_sequence += 1;
                continue;
            }
            if let Some(position) = self.batch.position.filter(|position| position.size != sequence) {
                return Err(self.gap(sequence, position.size));
            }
            self.complete = self.frames.offset();
            self.file_hash = self.running_hash.clone();
            return Ok(Some(&self.batch));
        }
    }

    /// The frames ended badly, in a way that a crash may have left or not.
    fn end(&mut self, fault: FrameFault) -> Result<(), LogFault> {
        let (segment, fault_at) = (self.name.clone(), self.frames.offset());
        let record = Some(self.next_sequence);
        match fault {
            FrameFault::Io(error) => return Err(error.into()),
            FrameFault::Incomplete if !self.newest => {
                return Err(LogFault::CutOff { segment, offset: fault_at });
            }
            FrameFault::Invalid(what) if !self.newest => {
                return Err(LogFault::Damaged { segment, offset: fault_at, record, what });
            }
            FrameFault::Incomplete | FrameFault::Invalid(_) => {}
        }
        let (_, reader) = self.directory.read(&self.name)?;
        let bytes = read_range(reader, self.complete, self.length)?;
        let extent = tail::Extent { start: self.complete, fault_at, before: self.batch.first };
        let judged = tail::judge(&extent, &bytes, &fault);
        let damaged = |what| LogFault::Damaged { segment, offset: fault_at, record, what };
        self.tail = Some(judged.map_err(damaged)?);
        Ok(())
    }

    fn gap(&self, expected: u64, found: u64) -> LogFault {
        LogFault::Gap { segment: self.name.clone(), expected, found }
    }

    /// What stands after the last complete batch, once [`Self::next_batch`] has answered `None`.
    pub(super) fn tail(&self) -> Option<&TornTail> {
        self.tail.as_ref()
    }

    /// The records of the batch that was never completed, when there is a tail.
    pub(super) fn unacknowledged(&self) -> &Batch {
        &self.batch
    }

    /// The end of the last complete batch in bytes, and the digest of the file up to there.
    pub(super) fn complete(&self) -> (u64, &Sha256Stream) {
        (self.complete, &self.file_hash)
    }
}

/// The bytes from `start` to `end`.
fn read_range(mut reader: Box<dyn Read + Send>, start: u64, end: u64) -> io::Result<Vec<u8>> {
    io::copy(&mut reader.by_ref().take(start), &mut io::sink())?;
    let mut bytes = Vec::new();
    reader.take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
