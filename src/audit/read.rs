//! Reading records, without any key.
//!
//! Only complete batches are shown: what a crash tore, and what is just being written by another process, is not
//! there yet. Who reads without verifying sees what the files say; [`verify()`](super::verify()) says whether to
//! believe it.

use std::collections::VecDeque;

use super::{
    Record,
    directory::LogDirectory,
    fault::LogFault,
    frame::{FrameFault, FrameKind, FrameReader, frame_bytes},
    segment::{self, Batch, SegmentReader},
};
use crate::model::ParseError;

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number, from 0 without gaps.
    pub sequence: u64,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Where it stands.
    pub place: Location,
}

/// Where in the files a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The first record of its segment.
    pub segment: u64,
    /// Where its frame begins in the segment.
    pub offset: u64,
}

impl Location {
    /// The record with this number, if it is the one that stands here.
    ///
    /// # Errors
    ///
    /// [`LogFault`] when the segment cannot be read, or another frame or none stands here.
    pub fn read(self, directory: &dyn LogDirectory, sequence: u64) -> Result<StoredRecord, LogFault> {
        let name = segment::name_of(self.segment);
        let (remaining, reader) = directory.read_from(&name, self.offset)?;
        let mut frames = FrameReader::sparing(reader, remaining);
        match frames.next_frame() {
            Ok(Some(frame)) if frame.kind == FrameKind::Record && frame.sequence == sequence => {
                Ok(StoredRecord { sequence, bytes: frame.payload.to_vec(), place: self })
            }
            Err(FrameFault::Io(error)) => Err(error.into()),
            _ => Err(LogFault::Damaged {
                segment: name,
                offset: self.offset,
                record: Some(sequence),
                what: "the record that was looked for does not stand here",
            }),
        }
    }
}

impl StoredRecord {
    /// What it says.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the bytes are no record of this version.
    pub fn parse(&self) -> Result<Record, ParseError> {
        Record::from_bytes(&self.bytes)
    }
}

/// All records from number `first` on, in order.
///
/// # Errors
///
/// [`LogFault`] when the directory cannot be listed or holds no log.
pub fn records(directory: &dyn LogDirectory, first: u64) -> Result<Records<'_>, LogFault> {
    let names = segment::names(directory)?;
    // The last segment that begins at or before `first`; the ones before it are not needed.
    let skip = names.partition_point(|name| segment::first_of(name) <= Some(first)).saturating_sub(1);
    let names = names.into_iter().skip(skip).collect();
    Ok(Records { directory, names, segment: None, first, ready: VecDeque::new() })
}

/// The newest checkpoint that stands in the log: a signed note, believed by nobody yet.
///
/// # Errors
///
/// [`LogFault`] when the log cannot be read or has no record.
pub fn last_checkpoint(directory: &dyn LogDirectory) -> Result<String, LogFault> {
    let names = segment::names(directory)?;
    for (index, name) in names.iter().enumerate().rev() {
        let mut reader = SegmentReader::open(directory, name, index + 1 == names.len())?;
        let mut last = None;
        while let Some(batch) = reader.next_batch()? {
            last = Some(batch.checkpoint.clone());
        }
        if let Some(last) = last {
            return Ok(last);
        }
    }
    Err(LogFault::Missing)
}

/// The last `count` records, in order.
///
/// # Errors
///
/// [`LogFault`] when the log cannot be read.
pub fn tail(directory: &dyn LogDirectory, count: usize) -> Result<Vec<StoredRecord>, LogFault> {
    let names = segment::names(directory)?;
    let mut found: VecDeque<StoredRecord> = VecDeque::new();
    for (index, name) in names.iter().enumerate().rev() {
        let missing = count - found.len();
        if missing == 0 {
            break;
        }
        let mut reader = SegmentReader::open(directory, name, index + 1 == names.len())?;
        let mut last: VecDeque<StoredRecord> = VecDeque::new();
        while let Some(batch) = reader.next_batch()? {
            let skip = batch.len().saturating_sub(missing);
            last.extend(stored(batch).skip(skip));
            last.drain(..last.len().saturating_sub(missing));
        }
        last.append(&mut found);
        found = last;
    }
    Ok(found.into())
}

fn stored(batch: &Batch) -> impl Iterator<Item = StoredRecord> {
    let mut offset = batch.offset;
    (batch.first()..).zip(batch.records()).map(move |(sequence, bytes)| {
        let place = Location { segment: batch.segment, offset };
        offset += frame_bytes(bytes.len()) as u64;
        StoredRecord { sequence, bytes: bytes.to_vec(), place }
    })
}

/// Records one after the other. After an error there are none.
pub struct Records<'d> {
    directory: &'d dyn LogDirectory,
    names: VecDeque<String>,
    segment: Option<SegmentReader<'d>>,
    first: u64,
    ready: VecDeque<StoredRecord>,
}

impl Records<'_> {
    /// Makes the next batch ready; answers false at the end.
    fn read_batch(&mut self) -> Result<bool, LogFault> {
        loop {
            if let Some(segment) = &mut self.segment
                && let Some(batch) = segment.next_batch()?
            {
                self.ready.extend(stored(batch).filter(|record| record.sequence >= self.first));
                return Ok(true);
            }
            let Some(name) = self.names.pop_front() else { return Ok(false) };
            self.segment = Some(SegmentReader::open(self.directory, &name, self.names.is_empty())?);
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<StoredRecord, LogFault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(Ok(record));
            }
            match self.read_batch() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(fault) => {
                    self.names.clear();
                    self.segment = None;
                    return Some(Err(fault));
                }
            }
        }
    }
}
