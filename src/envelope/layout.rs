//! Where the frames of a message of a known size lie.
//!
//! Regular frames are 32 bytes longer than their plaintext and the final one is 40 bytes longer, so the size of the
//! file determines the number of frames and the length of the last. A size is a claim until the final frame was
//! authenticated: without it a file cut at a frame's end looks whole.

use std::num::NonZeroU32;

use serde::Serialize;

use super::frame::{FINAL_HEAD_BYTES, REGULAR_HEAD_BYTES};
use crate::crypto::frame::TAG_BYTES;

/// How much longer a regular frame is than its plaintext.
const REGULAR_OVERHEAD_BYTES: u64 = (REGULAR_HEAD_BYTES + TAG_BYTES) as u64;
/// How much longer the final frame is than its plaintext.
const FINAL_OVERHEAD_BYTES: u64 = (FINAL_HEAD_BYTES + TAG_BYTES) as u64;

/// The sizes of a framed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BodySizes {
    /// Plaintext bytes.
    pub plaintext_bytes: u64,
    /// Frames, the final one included.
    pub frames: u32,
    /// Plaintext bytes of the final frame.
    pub final_frame_bytes: u32,
}

impl BodySizes {
    /// The sizes of a body of `body_bytes`; none when no message has such a body.
    #[must_use]
    pub fn of_body(body_bytes: u64, frame_length: NonZeroU32) -> Option<Self> {
        let frame_length = u64::from(frame_length.get());
        let rest = body_bytes.checked_sub(FINAL_OVERHEAD_BYTES)?;
        let regular = rest / (frame_length + REGULAR_OVERHEAD_BYTES);
        let last = rest % (frame_length + REGULAR_OVERHEAD_BYTES);
        if last > frame_length {
            return None;
        }
        Some(Self {
            plaintext_bytes: regular.checked_mul(frame_length)?.checked_add(last)?,
            frames: u32::try_from(regular.checked_add(1)?).ok()?,
            final_frame_bytes: u32::try_from(last).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(body_bytes: u64, frame_length: u32) -> Option<(u64, u32, u32)> {
        BodySizes::of_body(body_bytes, NonZeroU32::new(frame_length).unwrap())
            .map(|sizes| (sizes.plaintext_bytes, sizes.frames, sizes.final_frame_bytes))
    }

    #[test]
    fn the_size_tells_the_frames() {
        assert_eq!(sizes(40, 10), Some((0, 1, 0)));
        assert_eq!(sizes(40 + 3, 10), Some((3, 1, 3)));
        assert_eq!(sizes(40 + 10, 10), Some((10, 1, 10)));
        assert_eq!(sizes(40 + 42, 10), Some((10, 2, 0)));
        assert_eq!(sizes(40 + 2 * 42 + 7, 10), Some((27, 3, 7)));
    }

    #[test]
    fn a_size_that_no_message_has_is_refused() {
        assert_eq!(sizes(39, 10), None);
        assert_eq!(sizes(40 + 11, 10), None);
        assert_eq!(sizes(u64::MAX, 1), None);
    }

    proptest! {
        #[test]
        fn every_message_of_ours_has_its_sizes(plaintext in 0..1u64 << 40, frame_length in 4096..=u32::MAX) {
            let full = plaintext / u64::from(frame_length);
            let body = plaintext + full * 32 + 40;
            let expected = (plaintext, full as u32 + 1, (plaintext % u64::from(frame_length)) as u32);
            prop_assert_eq!(sizes(body, frame_length), Some(expected));
        }

        #[test]
        fn no_size_panics(body in any::<u64>(), frame_length in 1..=u32::MAX) {
            let _ = sizes(body, frame_length);
        }
    }
}
