//! Frames: what two processes say to each other in pieces, each after its length (four bytes, the highest first).

use std::io::{self, Read, Write};

use super::TransitError;

/// How much room a frame gets before any of it has come.
const ROOM_BYTES: usize = 64 * 1024;

/// Sends one frame.
///
/// # Errors
///
/// When the stream breaks, or the frame is longer than four bytes can say.
pub fn write_frame(stream: &mut (impl Write + ?Sized), payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(payload)
}

/// Receives one frame of at most `max` bytes.
///
/// # Errors
///
/// When the stream breaks or ends before the frame does, or the frame is longer.
pub fn read_frame(stream: &mut (impl Read + ?Sized), max: usize) -> Result<Vec<u8>, TransitError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let is_tls = matches!(length, [20..=23, 3, 0..=4, _]);
    let length = u32::from_be_bytes(length) as usize;
    if length > max && is_tls {
        // The beginning of a record (RFC 8446, section 5.1): an alert, most often.
        return Err(TransitError::SpeaksTls);
    }
    if length > max {
        return Err(TransitError::FrameTooLong(length as u64, max));
    }
    // Grows with what comes, and not with what was promised.
    let mut payload = Vec::with_capacity(length.min(ROOM_BYTES));
    stream.take(length as u64).read_to_end(&mut payload)?;
    if payload.len() == length { Ok(payload) } else { Err(TransitError::CutOff) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_long_or_cut_is_refused() {
        let mut sent = Vec::new();
        write_frame(&mut sent, b"weights").unwrap();
        assert_eq!(read_frame(&mut sent.as_slice(), 7).unwrap(), b"weights");
        let refused = read_frame(&mut sent.as_slice(), 6);
        assert!(matches!(refused, Err(TransitError::FrameTooLong(7, 6))), "{refused:?}");
        let alert = read_frame(&mut &[21, 3, 3, 0, 2, 2, 70][..], 1 << 20);
        assert!(matches!(alert, Err(TransitError::SpeaksTls)), "{alert:?}");
        for end in 0..sent.len() {
            let cut = read_frame(&mut &sent[..end], 7);
            assert!(matches!(cut, Err(TransitError::CutOff)), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(payload) = read_frame(&mut bytes.as_slice(), 1000) {
                prop_assert_eq!(&payload[..], &bytes[4..4 + payload.len()]);
            }
        }
    }
}
