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
    (batch.first()..)
        .zip(batch.records())
        .map(|(sequence, bytes)| StoredRecord { sequence, bytes: bytes.to_vec() })
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
