//! The frames that a segment file consists of.
//!
//! ```text
//! byte  0       kind: `H` header, `R` record, `C` checkpoint
//! bytes 1..4    length of the payload in bytes, big endian
//! bytes 4..12   sequence number, big endian: a record's own; for the others, how many records stand before
//! then          the payload: a record's canonical bytes, or a signed note
//! last 4 bytes  CRC-32C (RFC 3720, appendix B.4) of all that comes before, big endian
//! ```
//!
//! The first four bytes together are the frame's 32-bit length word, with the kind in its top byte. The checksum tells
//! torn and rotten frames; it does not tell forged ones: that is the signatures' work.
//!
//! INVARIANT: nothing is allocated for a payload that is longer than what is left of the file.

use std::io::{self, BufReader, Read};

/// The bytes of a frame before its payload.
const HEAD_BYTES: usize = 12;
/// The bytes of a frame after its payload.
const CHECKSUM_BYTES: usize = 4;
/// The longest record: 1 MiB. CloudTrail cuts its own at 256 KiB.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The longest header or checkpoint: 64 subtrees, or as many co-signatures, need less than half of it.
pub(super) const NOTE_BYTES_MAX: usize = 16 << 10;
/// How much is read of a file at a time.
const READ_BYTES: usize = 256 << 10;
/// How much is read at a time when one record is wanted.
const SPARING_BYTES: usize = 4 << 10;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Header,
    Record,
    Checkpoint,
}

impl FrameKind {
    fn as_byte(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Record => b'R',
            Self::Checkpoint => b'C',
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Header, Self::Record, Self::Checkpoint].into_iter().find(|kind| kind.as_byte() == byte)
    }

    fn payload_bytes_max(self) -> usize {
        match self {
            Self::Record => RECORD_BYTES_MAX,
            Self::Header | Self::Checkpoint => NOTE_BYTES_MAX,
        }
    }
}

/// A frame whose checksum fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: FrameKind,
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
    /// The whole frame as it stands in the file.
    pub(super) bytes: &'a [u8],
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum FrameFault {
    /// The file ends inside the frame.
    Incomplete,
    /// The bytes are no frame.
    Invalid(&'static str),
    /// The operating system failed.
    Io(io::Error),
}

/// Adds a frame to `buffer`. The caller has checked the payload's length.
pub(super) fn write_frame(buffer: &mut Vec<u8>, kind: FrameKind, sequence: u64, payload: &[u8]) {
    let start = buffer.len();
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    buffer.push(kind.as_byte());
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&sequence.to_be_bytes());
    buffer.extend_from_slice(payload);
    let checksum = crc32c::crc32c(buffer.get(start..).unwrap_or_default());
    buffer.extend_from_slice(&checksum.to_be_bytes());
}

/// The length of a frame with a payload of this length.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    HEAD_BYTES + payload_bytes + CHECKSUM_BYTES
}

struct Head {
    kind: FrameKind,
    payload_bytes: usize,
    sequence: u64,
}

fn parse_head(head: [u8; HEAD_BYTES]) -> Result<Head, FrameFault> {
    let [kind, l0, l1, l2, sequence @ ..] = head;
    let kind = FrameKind::from_byte(kind).ok_or(FrameFault::Invalid("no frame begins here"))?;
    let payload_bytes = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    if payload_bytes == 0 || payload_bytes > kind.payload_bytes_max() {
        return Err(FrameFault::Invalid("a frame's length is out of bounds"));
    }
    Ok(Head { kind, payload_bytes, sequence: u64::from_be_bytes(sequence) })
}

/// The frame at the start of `bytes`.
pub(super) fn parse_frame(bytes: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(FrameFault::Incomplete)?;
    let head = parse_head(*head)?;
    let (payload, rest) = rest.split_at_checked(head.payload_bytes).ok_or(FrameFault::Incomplete)?;
    let (checksum, _) = rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or(FrameFault::Incomplete)?;
    let covered = bytes.get(..HEAD_BYTES + head.payload_bytes).ok_or(FrameFault::Incomplete)?;
    if crc32c::crc32c(covered) != u32::from_be_bytes(*checksum) {
        return Err(FrameFault::Invalid("a frame's checksum does not fit"));
    }
    let whole = bytes.get(..frame_bytes(head.payload_bytes)).ok_or(FrameFault::Incomplete)?;
    Ok(Frame { kind: head.kind, sequence: head.sequence, payload, bytes: whole })
}

/// Reads frame after frame.
pub(super) struct FrameReader {
    reader: BufReader<io::Take<Box<dyn Read + Send>>>,
    remaining: u64,
    offset: u64,
    buffer: Vec<u8>,
}

impl FrameReader {
    /// Reads the first `length` bytes of `reader`, whatever is appended meanwhile.
    pub(super) fn new(reader: Box<dyn Read + Send>, length: u64) -> Self {
        Self::with_capacity(reader, length, READ_BYTES)
    }

    /// The same, for a frame or two.
    pub(super) fn sparing(reader: Box<dyn Read + Send>, length: u64) -> Self {
        Self::with_capacity(reader, length, SPARING_BYTES)
    }

    fn with_capacity(reader: Box<dyn Read + Send>, length: u64, capacity_max: usize) -> Self {
        let capacity = usize::try_from(length).unwrap_or(capacity_max).clamp(1, capacity_max);
        let reader = BufReader::with_capacity(capacity, reader.take(length));
        Self { reader, remaining: length, offset: 0, buffer: Vec::new() }
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` at the end. After a fault there is no next one.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameFault> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let mut head_bytes = [0; HEAD_BYTES];
        if self.remaining < HEAD_BYTES as u64 {
            return Err(FrameFault::Incomplete);
        }
        self.reader.read_exact(&mut head_bytes).map_err(FrameFault::Io)?;
        let whole = frame_bytes(parse_head(head_bytes)?.payload_bytes);
        if whole as u64 > self.remaining {
            return Err(FrameFault::Incomplete);
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(&head_bytes);
        self.buffer.resize(whole, 0);
        let rest = self.buffer.get_mut(HEAD_BYTES..).unwrap_or_default();
        self.reader.read_exact(rest).map_err(FrameFault::Io)?;
        let frame = parse_frame(&self.buffer)?;
        self.remaining -= whole as u64;
        self.offset += whole as u64;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_has_the_documented_layout() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, FrameKind::Record, 0x0102, b"{}");
        assert_eq!(&bytes[..14], b"R\x00\x00\x02\x00\x00\x00\x00\x00\x00\x01\x02{}");
        assert_eq!(bytes[14..], crc32c::crc32c(&bytes[..14]).to_be_bytes());
        assert_eq!(bytes.len(), frame_bytes(2));
        // RFC 3720, appendix B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_length_beyond_the_file_allocates_nothing() {
        let mut bytes = b"R\x0f\xff\xff".to_vec();
        bytes.extend_from_slice(&[0; 20]);
        let mut reader = FrameReader::new(Box::new(io::Cursor::new(bytes)), 24);
        assert!(matches!(reader.next_frame(), Err(FrameFault::Incomplete)));
        assert_eq!(reader.buffer.capacity(), 0);
    }

    proptest! {
        #[test]
        fn both_readers_agree_and_no_flipped_bit_passes(
            payload in proptest::collection::vec(any::<u8>(), 1..80), sequence: u64, bit in 0usize..700,
        ) {
            let mut bytes = Vec::new();
            write_frame(&mut bytes, FrameKind::Checkpoint, sequence, &payload);
            let frame = parse_frame(&bytes).unwrap();
            prop_assert_eq!((frame.kind, frame.sequence, frame.payload), (FrameKind::Checkpoint, sequence, &payload[..]));
            let mut reader = FrameReader::new(Box::new(io::Cursor::new(bytes.clone())), bytes.len() as u64);
            prop_assert_eq!(reader.next_frame().unwrap(), Some(frame));
            prop_assert_eq!(reader.next_frame().unwrap(), None);
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(parse_frame(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = FrameReader::new(Box::new(io::Cursor::new(bytes.clone())), bytes.len() as u64);
            while let Ok(Some(_)) = reader.next_frame() {}
            prop_assert!(reader.buffer.capacity() <= bytes.len().max(8));
        }
    }
}
