//! Closed segments, compressed: gzip members of a fixed length each, so that a record is read without what comes before.
//!
//! ```text
//! member 0   empty; its extra field (RFC 1952, section 2.3.1.1) has the subfield `KS`:
//!            length of the segment (8 bytes) ‖ length of a block (4) ‖ length of each following member (4 each),
//!            big endian
//! member n   the segment's n-th block
//! ```
//!
//! Every gzip program reads it as the segment that it is. What is compressed is the file and nothing that is signed: the
//! hashes in headers and checkpoints are those of the segment itself.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use flate2::{Compression, GzBuilder, bufread::GzDecoder};

/// How much of a segment a member holds: small enough to be opened within a millisecond.
const BLOCK_BYTES: u32 = 256 << 10;
/// The longest extra field, and so the most blocks: four gigabytes of segment.
const EXTRA_BYTES_MAX: usize = u16::MAX as usize;
/// The name of our subfield.
const SUBFIELD: &[u8; 2] = b"KS";
/// Within how many bytes the first member ends: the extra field, header, trailer and an empty block.
const FIRST_MEMBER_BYTES_MAX: u64 = EXTRA_BYTES_MAX as u64 + 64;

/// Compresses all of `segment`, which is so long, into `target`.
pub(super) fn compress(mut segment: impl Read, length: u64, mut target: impl Write) -> io::Result<()> {
    let blocks = length.div_ceil(BLOCK_BYTES.into());
    let mut members = Vec::new();
    let mut lengths = Vec::new();
    for _ in 0..blocks {
        let before = members.len();
        let mut member = GzBuilder::new().write(&mut members, Compression::fast());
        io::copy(&mut segment.by_ref().take(BLOCK_BYTES.into()), &mut member)?;
        member.finish()?;
        let bytes = u32::try_from(members.len() - before).map_err(|_| damaged("a member is too long"))?;
        lengths.extend_from_slice(&bytes.to_be_bytes());
    }
    let table = [length.to_be_bytes().as_slice(), &BLOCK_BYTES.to_be_bytes(), &lengths].concat();
    let subfield_length = u16::try_from(table.len()).map_err(|_| damaged("the segment is too long"))?;
    let extra = [SUBFIELD.as_slice(), &subfield_length.to_le_bytes(), &table].concat();
    if extra.len() > EXTRA_BYTES_MAX {
        return Err(damaged("the segment is too long"));
    }
    target.write_all(&GzBuilder::new().extra(extra).write(Vec::new(), Compression::none()).finish()?)?;
    target.write_all(&members)
}

/// A compressed segment, read as the segment.
pub(super) struct CompressedSegment {
    file: File,
    length: u64,
    block_bytes: u64,
    /// Where each member of a block begins, and at last where the file ends.
    starts: Vec<u64>,
    /// Where in the segment the next byte comes from.
    position: u64,
    /// The number of the block that is open, and what it holds.
    block: Option<(u64, Vec<u8>)>,
}

impl CompressedSegment {
    /// Takes over a file; its table is checked against the file's length and not believed beyond.
    pub(super) fn open(mut file: File) -> io::Result<Self> {
        let file_bytes = file.metadata()?.len();
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(FIRST_MEMBER_BYTES_MAX).read_to_end(&mut head)?;
        let mut first = GzDecoder::new(head.as_slice());
        let mut content = [0; 1];
        if first.read(&mut content).map_err(|_| damaged("its first member is none"))? != 0 {
            return Err(damaged("its first member is not empty"));
        }
        let extra = first.header().and_then(|header| header.extra()).unwrap_or_default().to_vec();
        let rest = first.into_inner().len() as u64;
        let start = head.len() as u64 - rest;
        let (length, block_bytes, starts) =
            table(&extra, start).ok_or_else(|| damaged("its table is not well formed"))?;
        if starts.last() != Some(&file_bytes) {
            return Err(damaged("its members are not those of its table"));
        }
        Ok(Self { file, length, block_bytes, starts, position: 0, block: None })
    }

    /// The length of the segment.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Goes on with what stands at `position` of the segment.
    pub(super) fn seek(&mut self, position: u64) {
        self.position = position.min(self.length);
    }

    fn load(&mut self, number: u64) -> io::Result<()> {
        let index = usize::try_from(number).map_err(|_| damaged("a block is missing"))?;
        let (Some(start), Some(end)) = (self.starts.get(index), self.starts.get(index + 1)) else {
            return Err(damaged("a block is missing"));
        };
        self.file.seek(SeekFrom::Start(*start))?;
        let mut member = Vec::new();
        Read::by_ref(&mut self.file).take(end - start).read_to_end(&mut member)?;
        let expected = self.block_bytes.min(self.length - number * self.block_bytes);
        let mut block = Vec::new();
        let mut decoder = GzDecoder::new(member.as_slice());
        // One byte more than there may be: what is longer is noticed without being unpacked.
        let unpacked = decoder.by_ref().take(expected + 1).read_to_end(&mut block);
        if unpacked.is_err() || block.len() as u64 != expected || !decoder.into_inner().is_empty() {
            return Err(damaged("a block is not what was compressed"));
        }
        self.block = Some((number, block));
        Ok(())
    }
}

/// The segment's length, a block's, and where the members begin, the first of them at `start`.
fn table(extra: &[u8], start: u64) -> Option<(u64, u64, Vec<u64>)> {
    let rest = extra.strip_prefix(SUBFIELD)?;
    let (subfield_length, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (block_bytes, lengths) = rest.split_first_chunk::<4>()?;
    let (length, block_bytes) = (u64::from_be_bytes(*length), u64::from(u32::from_be_bytes(*block_bytes)));
    let fits = usize::from(u16::from_le_bytes(*subfield_length)) + 4 == extra.len();
    let (lengths, rest) = lengths.as_chunks::<4>();
    let in_bounds = (1..=u64::from(BLOCK_BYTES)).contains(&block_bytes);
    if !fits || !rest.is_empty() || !in_bounds || length.div_ceil(block_bytes) != lengths.len() as u64 {
        return None;
    }
    let mut starts = vec![start];
    let mut at = start;
    for length in lengths {
        at += u64::from(u32::from_be_bytes(*length));
        starts.push(at);
    }
    Some((length, block_bytes, starts))
}

impl Read for CompressedSegment {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let number = self.position / self.block_bytes;
        if self.block.as_ref().is_none_or(|(open, _)| *open != number) {
            self.load(number)?;
        }
        let offset = usize::try_from(self.position % self.block_bytes).unwrap_or(usize::MAX);
        let block = self.block.as_ref().map(|(_, block)| block.as_slice()).unwrap_or_default();
        let read = block.get(offset..).unwrap_or_default().read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the compressed segment is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn compressed(segment: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        compress(segment, segment.len() as u64, &mut bytes).unwrap();
        bytes
    }

    /// Text that compresses and still differs everywhere.
    fn segment(length: usize) -> Vec<u8> {
        (0u32..).flat_map(|n| format!("record {n}, ").into_bytes()).take(length).collect()
    }

    #[test]
    fn a_segment_is_read_from_any_place() {
        for length in [1, 1000, 262_144, 262_145, 700_000] {
            let plain = segment(length);
            let bytes = compressed(&plain);
            assert!(length < 1000 || bytes.len() * 2 < length, "it is smaller");
            for start in [0, length / 2, length - 1, length] {
                let mut reader = CompressedSegment::open(file_of(&bytes)).unwrap();
                assert_eq!(reader.length(), length as u64);
                reader.seek(start as u64);
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                assert!(read == plain[start..], "{length} from {start}");
            }
        }
    }

    #[test]
    fn any_gzip_program_reads_it() {
        let plain = segment(600_000);
        let mut read = Vec::new();
        flate2::read::MultiGzDecoder::new(compressed(&plain).as_slice()).read_to_end(&mut read).unwrap();
        assert!(read == plain);
    }

    fn read_all(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        CompressedSegment::open(file_of(bytes))?.read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn what_is_cut_off_or_grown_is_refused() {
        let bytes = compressed(&segment(600_000));
        for length in [0, 1, 20, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(read_all(&bytes[..length]).is_err(), "{length}");
        }
        assert!(read_all(&[bytes.as_slice(), b"x"].concat()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_flipped_bit_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let plain = segment(300_000);
            let mut bytes = compressed(&plain);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // Gzip's time and system are nobody's business.
            prop_assert!(read_all(&bytes).map_or(true, |read| read == plain));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (read_all(&bytes), table(&bytes, 0));
        }
    }
}
