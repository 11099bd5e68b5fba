//! Some frames in one buffer, sealed or opened in place: the piece of work of one thread.
//!
//! Short frames are gathered to about a megabyte, so that a thread's turn is worth its while; longer ones come one by one.
//! A buffer is used again for the next frames, and zeroized when it is dropped or outgrown.

use std::{io, ops::Range};

use zeroize::Zeroizing;

use super::{
    OpenMessageError,
    frame::{FINAL_HEAD_BYTES, FrameBytes, MessageCipher, Part, REGULAR_HEAD_BYTES},
};
use crate::crypto::frame::TAG_BYTES;

/// As many frames as have this many bytes when they are sealed are one batch, at least one.
const BATCH_BYTES: usize = 1024 * 1024;
/// All batches that exist at once have at most this many bytes, at least one batch.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much longer a regular frame is than its plaintext.
pub(super) const REGULAR_OVERHEAD: usize = REGULAR_HEAD_BYTES + TAG_BYTES;
/// How much longer the final frame is than its plaintext.
pub(super) const FINAL_OVERHEAD: usize = FINAL_HEAD_BYTES + TAG_BYTES;
/// A buffer begins with this much room and doubles: what a header claims costs nothing until the bytes come.
const ROOM_BYTES_MIN: usize = 64 * 1024;
const CACHE_LINE_BYTES: usize = 64;

/// How the frames of one message are gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batching {
    /// Plaintext bytes of a regular frame.
    pub(super) frame_length: usize,
    /// The most frames of a batch.
    pub(super) frames: usize,
    /// The most batches at once.
    pub(super) in_flight: usize,
}

impl Batching {
    pub(super) fn of(frame_length: u32) -> Self {
        let frame_length = frame_length as usize;
        let sealed = frame_length.saturating_add(REGULAR_OVERHEAD);
        let frames = (BATCH_BYTES / sealed).max(1);
        let bytes = frames.saturating_mul(sealed);
        let in_flight = (IN_FLIGHT_BYTES_MAX / bytes).clamp(1, 2 * super::pipeline::workers() + 2);
        Self { frame_length, frames, in_flight }
    }
}

/// A buffer that grows without leaving anything behind.
#[derive(Default)]
pub(super) struct Room {
    bytes: Zeroizing<Vec<u8>>,
    /// Where it begins in `bytes`: so that the text behind a regular frame's head begins a cache line, which makes AES with
    /// wide registers a tenth faster.
    start: usize,
}

impl Room {
    fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    fn all(&mut self) -> &mut [u8] {
        self.bytes.split_at_mut(self.start).1
    }

    /// Makes room for at least `length` bytes, keeping those that are there.
    ///
    /// # Errors
    ///
    /// When there is not that much memory: frames that other programs wrote may be as long as 4 GiB.
    pub(super) fn grow(&mut self, length: usize) -> io::Result<&mut [u8]> {
        let before = self.len();
        if before < length {
            // Doubled, or many short frames would each move all those before them.
            let wanted = length.max((2 * before).min(2 * BATCH_BYTES));
            let bytes = zeroed(wanted + CACHE_LINE_BYTES)?;
            let to_line = bytes.as_ptr().align_offset(CACHE_LINE_BYTES).min(CACHE_LINE_BYTES);
            let start = (to_line + CACHE_LINE_BYTES - REGULAR_HEAD_BYTES) % CACHE_LINE_BYTES;
            let mut larger = Self { bytes, start };
            larger.all().split_at_mut(before).0.copy_from_slice(self.all());
            *self = larger;
        }
        Ok(self.all().split_at_mut(length).0)
    }

    /// The bytes of `range`, or as many of them as there are.
    pub(super) fn get(&mut self, range: Range<usize>) -> &mut [u8] {
        let end = range.end.min(self.len());
        self.all().split_at_mut(end).0.split_at_mut(range.start.min(end)).1
    }

    fn shift(&mut self, from: Range<usize>, to: usize) {
        // INVARIANT: both lie within the buffer, which holds the whole batch.
        if from.start != to && from.end <= self.len() && to + from.len() <= self.len() {
            self.all().copy_within(from, to);
        }
    }

    /// Reads up to `wanted` bytes to the place `at`, making room as they come; answers how many came.
    pub(super) fn fill(&mut self, reader: &mut dyn io::Read, at: usize, wanted: usize) -> io::Result<usize> {
        let mut read = 0;
        while read < wanted {
            let step = wanted.min(read + read.max(ROOM_BYTES_MIN).max(self.len().saturating_sub(at + read)));
            let came = read_full(reader, self.grow(at + step)?.split_at_mut(at + read).1)?;
            read += came;
            if read < step {
                break;
            }
        }
        Ok(read)
    }
}

/// As many zeros, where there is memory for them.
pub(super) fn zeroed(length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.try_reserve_exact(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// Fills `buffer` as far as the reader reaches; answers how far.
pub(super) fn read_full(reader: &mut dyn io::Read, mut buffer: &mut [u8]) -> io::Result<usize> {
    let wanted = buffer.len();
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) => break,
            Ok(read) => buffer = buffer.split_at_mut(read).1,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(wanted - buffer.len())
}

/// Frames that are sealed.
#[derive(Default)]
pub(super) struct SealBatch {
    room: Room,
    /// The number of the first frame.
    pub(super) first: u32,
    /// How many regular frames there are.
    pub(super) frames: usize,
    /// The length of the final frame after them.
    pub(super) last: Option<usize>,
    sealed_bytes: usize,
}

impl SealBatch {
    /// Where the plaintext of `frames` frames is put. It lies so that the last of the frames need not be moved, and each
    /// other is moved towards the beginning, never over the text of another.
    fn text_at(frames: usize) -> usize {
        frames.saturating_sub(1) * REGULAR_OVERHEAD + REGULAR_HEAD_BYTES
    }

    /// Takes plaintext for up to as many frames as a batch has; the final frame comes with less.
    pub(super) fn read(
        &mut self,
        reader: &mut dyn io::Read,
        batching: Batching,
        first: u32,
    ) -> io::Result<()> {
        let length = batching.frame_length;
        let read = self.room.fill(reader, Self::text_at(batching.frames), batching.frames * length)?;
        let frames = read / length.max(1);
        (self.first, self.frames) = (first, frames);
        self.last = (frames < batching.frames).then_some(read % length.max(1));
        self.arrange(batching)
    }

    /// Room for the plaintext of exactly `frames` regular frames.
    pub(super) fn text(&mut self, batching: Batching, first: u32, frames: usize) -> io::Result<&mut [u8]> {
        (self.first, self.frames, self.last) = (first, frames, None);
        let at = Self::text_at(frames);
        let text_bytes = frames * batching.frame_length;
        let room = self.room.grow(at + text_bytes + TAG_BYTES)?;
        Ok(room.split_at_mut(at).1.split_at_mut(text_bytes).0)
    }

    /// Moves the plaintext of frames to their places; that of [`text`](Self::text) is moved by `seal`.
    fn arrange(&mut self, batching: Batching) -> io::Result<()> {
        let (length, at) = (batching.frame_length, Self::text_at(batching.frames));
        let end =
            self.frames * (length + REGULAR_OVERHEAD) + self.last.map_or(0, |last| last + FINAL_OVERHEAD);
        self.room.grow(end)?;
        self.spread(length, at);
        if let Some(last) = self.last {
            let from = at + self.frames * length;
            self.room.shift(from..from + last, self.frames * (length + REGULAR_OVERHEAD) + FINAL_HEAD_BYTES);
        }
        Ok(())
    }

    fn spread(&mut self, length: usize, at: usize) {
        for frame in 0..self.frames {
            let from = at + frame * length;
            self.room.shift(from..from + length, frame * (length + REGULAR_OVERHEAD) + REGULAR_HEAD_BYTES);
        }
    }

    /// Seals the frames that were read.
    pub(super) fn seal(&mut self, cipher: &MessageCipher, batching: Batching) {
        let stride = batching.frame_length + REGULAR_OVERHEAD;
        let mut sequence = self.first;
        for frame in 0..self.frames {
            let bytes = self.room.get(frame * stride..(frame + 1) * stride);
            cipher.seal_frame(Part::Regular, sequence, bytes);
            sequence = sequence.saturating_add(1);
        }
        self.sealed_bytes = self.frames * stride;
        if let Some(last) = self.last {
            let end = self.sealed_bytes + last + FINAL_OVERHEAD;
            cipher.seal_frame(Part::Final, sequence, self.room.get(self.sealed_bytes..end));
            self.sealed_bytes = end;
        }
    }

    /// Seals the frames whose plaintext was put to [`text`](Self::text).
    pub(super) fn seal_text(&mut self, cipher: &MessageCipher, batching: Batching) {
        self.spread(batching.frame_length, Self::text_at(self.frames));
        self.seal(cipher, batching);
    }

    /// The sealed frames.
    pub(super) fn bytes(&mut self) -> &[u8] {
        self.room.get(0..self.sealed_bytes)
    }
}

/// Frames that are opened.
#[derive(Default)]
pub(super) struct OpenBatch {
    pub(super) room: Room,
    /// The number of the first frame.
    pub(super) first: u32,
    /// How many regular frames there are.
    pub(super) frames: usize,
    /// The length of the final frame's plaintext after them.
    pub(super) last: Option<usize>,
    text: Range<usize>,
    failed: Option<OpenMessageError>,
}

impl OpenBatch {
    /// Begins anew at this frame.
    pub(super) fn begin(&mut self, first: u32) {
        (self.first, self.frames, self.last) = (first, 0, None);
    }

    /// Opens the frames and puts their plaintexts side by side. Those before one that does not open are kept.
    pub(super) fn open(&mut self, cipher: &MessageCipher, batching: Batching) {
        let stride = batching.frame_length + REGULAR_OVERHEAD;
        let start = if self.frames > 0 { REGULAR_HEAD_BYTES } else { FINAL_HEAD_BYTES };
        self.text = start..start;
        self.failed = None;
        for frame in 0..self.frames {
            let at = frame * stride;
            self.open_frame(cipher, Part::Regular, frame, at..at + stride);
            if self.failed.is_some() {
                return;
            }
        }
        if let Some(last) = self.last {
            let at = self.frames * stride;
            self.open_frame(cipher, Part::Final, self.frames, at..at + last + FINAL_OVERHEAD);
        }
    }

    fn open_frame(&mut self, cipher: &MessageCipher, part: Part, frame: usize, bytes: Range<usize>) {
        // A batch has at most 2²⁰ frames, and the reader ends at the last number.
        let expected = self.first.saturating_add(u32::try_from(frame).unwrap_or(u32::MAX));
        let head = part.head_bytes();
        let frame_bytes = self.room.get(bytes.clone());
        let fields = match part {
            Part::Final => FrameBytes::last(frame_bytes),
            Part::Regular | Part::Whole => FrameBytes::regular(frame_bytes),
        };
        let Some(FrameBytes { sequence, iv, .. }) = fields else {
            self.failed = Some(OpenMessageError::NoFinalFrame);
            return;
        };
        if sequence != expected {
            self.failed = Some(OpenMessageError::Sequence { expected, found: sequence });
            return;
        }
        let opened = cipher.open_part(part, sequence, iv, frame_bytes.split_at_mut(head).1);
        match opened {
            Ok(length) => {
                let from = bytes.start + head;
                self.room.shift(from..from + length, self.text.end);
                self.text.end += length;
            }
            Err(_) => self.failed = Some(OpenMessageError::Frame { sequence }),
        }
    }

    /// The plaintext of the frames that opened.
    pub(super) fn text(&mut self) -> &[u8] {
        self.room.get(self.text.clone())
    }

    /// Why the next frame did not open.
    pub(super) fn take_error(&mut self) -> Option<OpenMessageError> {
        self.failed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_as_the_bytes_come() {
        let mut room = Room::default();
        assert_eq!(room.fill(&mut [7; 100].as_slice(), 10, u32::MAX as usize).unwrap(), 100);
        assert!(room.len() <= 2 * ROOM_BYTES_MIN, "{}", room.len());
        let many = 5 * 1024 * 1024;
        let mut reader = io::Read::take(io::repeat(7), many as u64);
        assert_eq!(room.fill(&mut reader, 0, u32::MAX as usize).unwrap(), many);
        assert!(room.len() <= 2 * many + ROOM_BYTES_MIN, "{}", room.len());
        assert_eq!(room.fill(&mut [8; 3].as_slice(), 0, 3).unwrap(), 3);
        assert_eq!(room.get(0..4), [8, 8, 8, 7]);
        assert_eq!(room.fill(&mut io::empty(), 0, 0).unwrap(), 0);
    }

    #[test]
    fn memory_is_bounded_for_every_frame_length() {
        for frame_length in [1, 128, 4096, 1 << 20, 8 << 20, 64 << 20, u32::MAX] {
            let batching = Batching::of(frame_length);
            assert!(batching.frames >= 1 && batching.in_flight >= 1);
            let bytes = batching.frames * (batching.frame_length + REGULAR_OVERHEAD);
            assert!(batching.in_flight == 1 || bytes * batching.in_flight <= IN_FLIGHT_BYTES_MAX);
            // Beyond twice a batch a buffer grows by what is asked for alone, which would be a copy for each frame.
            assert!(batching.frames == 1 || bytes <= BATCH_BYTES, "{frame_length}");
        }
        assert_eq!((Batching::of(1 << 20).frames, Batching::of(4096).frames), (1, 254));
    }
}
