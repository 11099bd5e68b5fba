//! What stands after the last complete batch: a torn write, or damage?
//!
//! A crash during a write may leave any part of it: a file that ends early, and (when the disk wrote in another order)
//! whole sectors that read as zeros. That is all it may leave, and it was never acknowledged: it is cut off. Anything
//! else — a bit that flipped in the last batch, say — may have been acknowledged, and is an error for a person.
//!
//! Who zeroes or removes the last batch on purpose makes it look like a crash. That is the truncation against
//! which no log has a defence of its own; a position kept elsewhere tells it.

use super::frame::{FrameFault, FrameKind, parse_frame};

/// What a disk writes at once or not at all, in bytes.
const SECTOR_BYTES: u64 = 512;
/// In how many places a checkpoint is looked for, so that hostile bytes do not cost hours.
const CANDIDATES_MAX: usize = 10_000;

/// Where a tail stands.
pub(super) struct Extent {
    /// The end of the last complete batch: where the tail begins.
    pub(super) start: u64,
    /// The first frame that is none.
    pub(super) fault_at: u64,
    /// How many records are complete.
    pub(super) before: u64,
}

/// The rest of a write that a crash interrupted.
#[derive(Debug)]
pub(super) struct TornTail {
    /// The length of the whole in bytes.
    pub(super) bytes: u64,
    /// The file from the first frame that is none, unless sectors of it are missing.
    pub(super) unfinished_frame: Option<Vec<u8>>,
}

/// Whether the tail is torn; if not, what is wrong. `tail` are the bytes from `extent.start` to the file's end.
pub(super) fn judge(extent: &Extent, tail: &[u8], fault: &FrameFault) -> Result<TornTail, &'static str> {
    let skip = usize::try_from(extent.fault_at - extent.start).unwrap_or(usize::MAX);
    let rest = tail.get(skip..).unwrap_or_default();
    let hole = has_missing_sector(extent, tail);
    match (end_of_later_checkpoint(rest, extent.before), fault) {
        // The write's own checkpoint may have reached the disk before the sectors that it closes.
        (Some(end), _) if end != rest.len() || !hole => {
            return Err("what stands here is damaged, and a checkpoint follows it");
        }
        (None, FrameFault::Invalid(what)) if !hole => return Err(what),
        _ => {}
    }
    let unfinished_frame = (!hole).then(|| rest.to_vec());
    Ok(TornTail { bytes: tail.len() as u64, unfinished_frame })
}

/// Whether a sector that holds something of the tail, and something at or after the fault, is all zeros there.
fn has_missing_sector(extent: &Extent, tail: &[u8]) -> bool {
    let end = extent.start + tail.len() as u64;
    let mut sector = extent.fault_at - extent.fault_at % SECTOR_BYTES;
    while sector < end {
        let next = sector + SECTOR_BYTES;
        let from = usize::try_from(sector.max(extent.start) - extent.start).unwrap_or(usize::MAX);
        let to = usize::try_from(next.min(end) - extent.start).unwrap_or(usize::MAX);
        if tail.get(from..to).is_some_and(|part| part.iter().all(|byte| *byte == 0)) {
            return true;
        }
        sector = next;
    }
    false
}

/// Where the first checkpoint ends that covers more than the complete batches, wherever it begins.
fn end_of_later_checkpoint(rest: &[u8], before: u64) -> Option<usize> {
    // A checkpoint's length is below 64 KiB, so a zero follows its kind. Records are JSON, which has no zeros.
    let starts = rest.windows(2).enumerate().filter(|(_, pair)| *pair == [b'C', 0]).map(|(start, _)| start);
    for (looked_at, start) in starts.enumerate() {
        let frame = rest.get(start..).and_then(|bytes| parse_frame(bytes).ok());
        match frame {
            Some(frame) if frame.kind == FrameKind::Checkpoint && frame.sequence > before => {
                return Some(start + frame.bytes.len());
            }
            // No crash leaves so many beginnings of a checkpoint: let it count as one that follows damage.
            _ if looked_at >= CANDIDATES_MAX => return Some(start),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::frame::write_frame;

    const START: u64 = 1000;

    /// Two records and their checkpoint, as written at `START`; and where the second record begins.
    fn write() -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, FrameKind::Record, 5, &[b'x'; 700]);
        let second = bytes.len();
        write_frame(&mut bytes, FrameKind::Record, 6, &[b'y'; 2000]);
        write_frame(&mut bytes, FrameKind::Checkpoint, 7, &[b'z'; 200]);
        (bytes, second)
    }

    fn judged(tail: &[u8], fault_at: usize) -> Result<TornTail, &'static str> {
        let fault = parse_frame(&tail[fault_at..]).unwrap_err();
        judge(&Extent { start: START, fault_at: START + fault_at as u64, before: 5 }, tail, &fault)
    }

    #[test]
    fn a_write_that_ends_early_is_torn() {
        let (bytes, second) = write();
        for end in second..second + 700 {
            let torn = judged(&bytes[..end], second).unwrap();
            assert_eq!((torn.bytes, torn.unfinished_frame.unwrap().len()), (end as u64, end - second));
        }
    }

    #[test]
    fn a_write_with_missing_sectors_is_torn_even_when_its_checkpoint_arrived() {
        let (mut bytes, second) = write();
        let sector = 2048 - usize::try_from(START).unwrap();
        bytes[sector..sector + 512].fill(0);
        assert!(judged(&bytes, second).unwrap().unfinished_frame.is_none());
    }

    #[test]
    fn a_flipped_bit_is_damage() {
        let (bytes, second) = write();
        for at in [0, 4, 12, 500, 715] {
            let mut bytes = bytes.clone();
            bytes[second + at] ^= 0x20;
            assert!(judged(&bytes, second).is_err(), "byte {at} of the second record");
        }
        let checkpoint = second + 2016;
        for at in [0, 4, 12, 100, 215] {
            let mut bytes = bytes.clone();
            bytes[checkpoint + at] ^= 0x20;
            assert!(judged(&bytes, checkpoint).is_err(), "byte {at} of the checkpoint");
        }
    }

    #[test]
    fn bytes_full_of_half_checkpoints_are_judged_quickly() {
        let mut tail = b"R\0\0\x01".to_vec();
        tail.extend(b"C\0\x3f\xff".repeat(1 << 18));
        assert!(judged(&tail, 0).is_err());
    }

    #[test]
    fn a_hole_below_acknowledged_batches_is_damage() {
        let (mut bytes, second) = write();
        let sector = 2048 - usize::try_from(START).unwrap();
        bytes[sector..sector + 512].fill(0);
        write_frame(&mut bytes, FrameKind::Record, 7, b"next");
        assert!(judged(&bytes, second).is_err());
    }
}
