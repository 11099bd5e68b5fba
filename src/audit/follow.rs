//! Reading on from where one left off, without reading what came before: for the index and for `tail -f`.

use super::{
    directory::LogDirectory,
    fault::LogFault,
    frame::{FrameFault, FrameKind, FrameReader},
    read::{Location, StoredRecord},
    segment,
};

/// A place in the log between two batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// The first record of the segment.
    pub segment: u64,
    /// Where in the segment.
    pub offset: u64,
    /// The number of the next record.
    pub next: u64,
}

impl Bookmark {
    /// Before the log's first record.
    pub const START: Self = Self { segment: 0, offset: 0, next: 0 };

    /// Behind the last complete batch.
    ///
    /// # Errors
    ///
    /// [`LogFault`] when the log cannot be read.
    pub fn end_of(directory: &dyn LogDirectory) -> Result<Self, LogFault> {
        let names = segment::names(directory)?;
        let first = names.last().and_then(|name| segment::first_of(name)).unwrap_or_default();
        let mut end = Self { segment: first, offset: 0, next: first };
        end.read_on(directory, usize::MAX)?;
        Ok(end)
    }

    /// Reads complete batches from here on, until about `count` records are there or no more are, and moves on behind
    /// them. When the place was pruned away, reading goes on with the first record that is left.
    ///
    /// # Errors
    ///
    /// [`LogFault`] when the log cannot be read, or what follows is not what was written. What is only just being written
    /// is not there yet.
    pub fn read_on(
        &mut self,
        directory: &dyn LogDirectory,
        count: usize,
    ) -> Result<Vec<StoredRecord>, LogFault> {
        let names = segment::names(directory)?;
        let firsts: Vec<u64> = names.iter().filter_map(|name| segment::first_of(name)).collect();
        let mut found = Vec::new();
        let mut at = match firsts.iter().position(|first| *first == self.segment) {
            Some(at) => at,
            None => {
                let at = firsts.iter().position(|first| *first > self.segment).unwrap_or_default();
                let first = firsts.get(at).copied().unwrap_or_default();
                *self = Self { segment: first, offset: 0, next: first };
                at
            }
        };
        while let Some(name) = names.get(at) {
            let newest = at + 1 == names.len();
            self.read_segment(directory, name, newest, count, &mut found)?;
            match firsts.get(at + 1) {
                Some(next) if found.len() < count => {
                    *self = Self { segment: *next, offset: 0, next: self.next };
                    at += 1;
                }
                _ => break,
            }
        }
        Ok(found)
    }

    fn read_segment(
        &mut self,
        directory: &dyn LogDirectory,
        name: &str,
        newest: bool,
        count: usize,
        found: &mut Vec<StoredRecord>,
    ) -> Result<(), LogFault> {
        let (remaining, reader) = directory.read_from(name, self.offset)?;
        let mut frames = FrameReader::new(reader, remaining);
        let mut complete = found.len();
        let (mut next, base) = (self.next, self.offset);
        loop {
            let offset = base + frames.offset();
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Err(FrameFault::Io(error)) => return Err(error.into()),
                Err(FrameFault::Invalid(what)) if !newest => {
                    return Err(LogFault::Damaged { segment: name.into(), offset, record: Some(next), what });
                }
                Err(FrameFault::Incomplete) if !newest => {
                    return Err(LogFault::CutOff { segment: name.into(), offset });
                }
                Ok(None) | Err(_) => break,
            };
            if frame.sequence != next {
                return Err(LogFault::Gap { segment: name.into(), expected: next, found: frame.sequence });
            }
            if frame.kind == FrameKind::Record {
                let place = Location { segment: self.segment, offset };
                found.push(StoredRecord { sequence: next, bytes: frame.payload.to_vec(), place });
                next += 1;
                continue;
            }
            complete = found.len();
            (self.offset, self.next) = (base + frames.offset(), next);
            if complete >= count {
                break;
            }
        }
        found.truncate(complete);
        Ok(())
    }
}
