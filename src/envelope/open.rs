//! Opening a message as a stream (AWS Encryption SDK specification, "Decrypt"), in the memory of one frame.
//!
//! The order is the specification's: parse, check suite and policy, unwrap the data key, compare the commitment, verify
//! the header — and only then release anything of it — then frame after frame, each released once it is verified.
//!
//! A frame's length is in the hands of whoever holds the data key, not of any forger: the body is read after the header
//! was verified. Room for a frame is made as its bytes come, so a claimed length alone costs nothing.

use std::io::{self, BufReader, Read, Write};

use zeroize::Zeroizing;

use super::{
    CommitmentPolicy, Content, Header, HeaderError, Keyring, OpenMessageError, SuiteId,
    frame::{END_MARK, MessageCipher, Part},
    header::UnverifiedHeader,
};
use crate::{crypto::frame::TAG_BYTES, model::EncryptionContext, secret::SecretKey};

/// Heads and small frames are read through a buffer of this size; it never holds plaintext.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Room for a frame is made in steps: this much, then as much again as has come.
const ROOM_BYTES_MIN: usize = 1024 * 1024;
/// The longest unframed body that is opened. It must be held whole before a byte of it may be released; the format
/// admits 64 GiB, and no client has written such bodies by default since frames exist.
pub const UNFRAMED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How to open.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Pairs that the message's encryption context must have, each with this value.
    pub required_context: EncryptionContext,
    /// The commitment policy.
    pub commitment_policy: CommitmentPolicy,
}

/// What was opened; all of it authentic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The header of the message.
    pub header: Header,
    /// The length of the header.
    pub header_bytes: u64,
    /// The length of the plaintext.
    pub plaintext_bytes: u64,
    /// The number of frames, the final one included; 1 for an unframed body.
    pub frames: u32,
}

/// Opens the message that `reader` gives and writes its plaintext to `writer`.
///
/// Each frame is written once it is verified, and nothing else ever is. **The plaintext is whole only when this answers
/// `Ok`**: a message that was cut short gives its first frames and then an error. The memory that it takes is one frame.
///
/// # Errors
///
/// When no data key opens, the message is not what was sealed or not all of it, or reading or writing fails.
pub fn open(
    reader: impl Read,
    mut writer: impl Write,
    keyring: &dyn Keyring,
    options: &OpenOptions,
) -> Result<Opened, OpenMessageError> {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
    let (unverified, cipher) = unlock(&mut reader, keyring, options)?;
    let header_bytes = unverified.header_bytes();
    let header = unverified.header;
    let mut body = Body { reader, cipher, buffer: Zeroizing::default() };
    let opened = match header.content {
        Content::Framed { frame_length } => body.open_frames(&mut writer, frame_length.get()),
        Content::Unframed => body.open_whole(&mut writer),
    };
    // What was verified is released, also when the rest is not.
    let flushed = writer.flush().map_err(OpenMessageError::Write);
    let (plaintext_bytes, frames) = opened?;
    flushed?;
    body.expect_end()?;
    Ok(Opened { header, header_bytes, plaintext_bytes, frames })
}

/// Reads and verifies the header; answers it together with the cipher of the body.
fn unlock(
    reader: &mut impl Read,
    keyring: &dyn Keyring,
    options: &OpenOptions,
) -> Result<(UnverifiedHeader, MessageCipher), OpenMessageError> {
    let policy = options.commitment_policy;
    let unverified = UnverifiedHeader::read(reader).map_err(|error| match error {
        HeaderError::Version1 { suite } if policy.allows_opening(suite) => {
            OpenMessageError::SuiteUnsupported { suite }
        }
        HeaderError::Version1 { suite } => OpenMessageError::SuiteForbidden { suite, policy },
        error => error.into(),
    })?;
    let header = &unverified.header;
    let suite = header.suite;
    if suite != SuiteId::COMMIT_KEY {
        return Err(OpenMessageError::SuiteUnsupported { suite });
    }
    let context = &header.context;
    if let Some((key, value)) =
        options.required_context.iter().find(|(key, value)| context.get(key) != Some(*value))
    {
        return Err(OpenMessageError::ContextDiffers { key: key.into(), value: value.into() });
    }
    let data_key = keyring.unwrap(&header.encrypted_data_keys, context)?;
    let (cipher, commitment) = MessageCipher::derive(&data_key, suite, header.message_id);
    let claimed = SecretKey::from_slice(&header.commitment).ok_or(OpenMessageError::Commitment)?;
    if !claimed.ct_eq(&commitment) {
        return Err(OpenMessageError::Commitment);
    }
    cipher.verify_header(&unverified.body, &unverified.tag).map_err(|_| OpenMessageError::HeaderTag)?;
    Ok((unverified, cipher))
}

/// The body of a message whose header was verified.
struct Body<R> {
    reader: R,
    cipher: MessageCipher,
    /// Ciphertext and tag of one part, then its plaintext.
    buffer: Zeroizing<Vec<u8>>,
}

impl<R: Read> Body<R> {
    /// Answers how many plaintext bytes and frames there were.
    fn open_frames(
        &mut self,
        writer: &mut impl Write,
        frame_length: u32,
    ) -> Result<(u64, u32), OpenMessageError> {
        let mut plaintext_bytes = 0;
        let mut expected: u32 = 1;
        loop {
            let mark = self.u32()?;
            let is_final = mark == END_MARK;
            let found = if is_final { self.u32()? } else { mark };
            if found != expected {
                return Err(OpenMessageError::Sequence { expected, found });
            }
            let iv = self.array()?;
            let (part, length) =
                if is_final { (Part::Final, self.u32()?) } else { (Part::Regular, frame_length) };
            if length > frame_length {
                let (claimed, max) = (u64::from(length), u64::from(frame_length));
                return Err(OpenMessageError::PartTooLong { part: "final frame", claimed, max });
            }
            plaintext_bytes += self.open_part(writer, part, expected, iv, u64::from(length))?;
            if is_final {
                return Ok((plaintext_bytes, expected));
            }
            // A regular frame's number is never the end mark, so this does not overflow.
            expected += 1;
        }
    }

    fn open_whole(&mut self, writer: &mut impl Write) -> Result<(u64, u32), OpenMessageError> {
        let iv = self.array()?;
        let claimed = u64::from_be_bytes(self.array()?);
        if claimed > UNFRAMED_BYTES_MAX {
            return Err(OpenMessageError::PartTooLong {
                part: "unframed body",
                claimed,
                max: UNFRAMED_BYTES_MAX,
            });
        }
        self.open_part(writer, Part::Whole, 1, iv, claimed).map(|plaintext_bytes| (plaintext_bytes, 1))
    }

    /// Reads, verifies and then releases one part.
    fn open_part(
        &mut self,
        writer: &mut impl Write,
        part: Part,
        sequence: u32,
        iv: [u8; 12],
        length: u64,
    ) -> Result<u64, OpenMessageError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(TAG_BYTES);
        let text_and_tag = read_growing(&mut self.reader, &mut self.buffer, length).map_err(read_error)?;
        let text = self
            .cipher
            .open_part(part, sequence, iv, text_and_tag)
            .map_err(|_| OpenMessageError::Frame { sequence })?;
        writer.write_all(text).map_err(OpenMessageError::Write)?;
        Ok(text.len() as u64)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OpenMessageError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, OpenMessageError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The message ends here.
    fn expect_end(&mut self) -> Result<(), OpenMessageError> {
        match self.array::<1>() {
            Ok(_) => Err(OpenMessageError::TrailingBytes),
            Err(OpenMessageError::Truncated) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads exactly `length` bytes into the beginning of `buffer`, which grows as they come and never shrinks.
///
/// INVARIANT: no plaintext is left behind when the buffer moves. It grows for the first part of a message alone, while it
/// holds ciphertext: no later part is longer.
fn read_growing<'buffer>(
    reader: &mut impl Read,
    buffer: &'buffer mut Vec<u8>,
    length: usize,
) -> io::Result<&'buffer mut [u8]> {
    let mut read = 0;
    while read < length {
        let end = length.min(read + read.max(ROOM_BYTES_MIN));
        if buffer.len() < end {
            buffer.reserve_exact(end - buffer.len());
            buffer.resize(end, 0);
        }
        reader.read_exact(buffer.split_at_mut(end).0.split_at_mut(read).1)?;
        read = end;
    }
    Ok(buffer.split_at_mut(length).0)
}

fn read_error(error: io::Error) -> OpenMessageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => OpenMessageError::Truncated,
        _ => OpenMessageError::Read(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_as_the_bytes_come() {
        let mut buffer = Vec::new();
        let error = read_growing(&mut [7; 100].as_slice(), &mut buffer, u32::MAX as usize).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(buffer.capacity(), ROOM_BYTES_MIN);
        let five_steps = 5 * ROOM_BYTES_MIN;
        let mut reader = io::repeat(7).take(five_steps as u64);
        assert!(read_growing(&mut reader, &mut buffer, u32::MAX as usize).is_err());
        assert!(buffer.capacity() <= 2 * five_steps, "{}", buffer.capacity());
        assert_eq!(read_growing(&mut [8; 3].as_slice(), &mut buffer, 3).unwrap(), [8; 3]);
        assert!(read_growing(&mut io::empty(), &mut buffer, 0).unwrap().is_empty());
    }
}
