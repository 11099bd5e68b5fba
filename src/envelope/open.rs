//! Opening a message as a stream (AWS Encryption SDK specification, "Decrypt"), on all cores and in bounded memory.
//!
//! The order is the specification's: parse, check suite and policy, unwrap the data key, compare the commitment, verify
//! the header — and only then release anything of it — then frame after frame, each released once it is verified, and at
//! the end the signature where there is one.
//!
//! A frame's length is in the hands of whoever holds the data key, not of any forger: the body is read after the header
//! was verified. Room for a frame is made as its bytes come, so a claimed length alone costs nothing.

use std::io::{self, BufReader, Read, Write};

use super::{
    CommitmentPolicy, Content, Header, Keyring, OpenMessageError,
    batch::{Batching, OpenBatch, Room},
    frame::{END_MARK, FINAL_HEAD_BYTES, MessageCipher, Part, REGULAR_HEAD_BYTES},
    header::UnverifiedHeader,
    pipeline,
    signature::{self, SIGNATURE_BYTES_MAX},
};
use crate::{
    crypto::{ecdsa::StreamVerifier, frame::TAG_BYTES},
    model::EncryptionContext,
    secret::SecretKey,
};

/// Heads and small frames are read through a buffer of this size; it never holds plaintext.
const READ_BUFFER_BYTES: usize = 64 * 1024;
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
/// `Ok`**: a message that was cut short gives its first frames and then an error, and a signature is known to be right
/// only at the end. The memory that it takes is some frames: 16 MiB, or one frame when that is longer.
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
    let Unlocked { unverified, cipher } = unlock(&mut reader, keyring, options)?;
    let mut verifier = signature::verifier(unverified.header.suite, &unverified.header.context)?;
    if let Some(verifier) = &mut verifier {
        verifier.update(&unverified.bytes());
    }
    let header_bytes = unverified.header_bytes();
    let header = unverified.header;
    let mut body = Body { reader, verifier };
    let opened = match header.content {
        Content::Framed { frame_length } => {
            body.open_frames(&mut writer, &cipher, Batching::of(frame_length.get()))
        }
        Content::Unframed => body.open_whole(&mut writer, &cipher),
    };
    // What was verified is released, also when the rest is not.
    let flushed = writer.flush().map_err(OpenMessageError::Write);
    let (plaintext_bytes, frames) = opened?;
    flushed?;
    body.verify_signature()?;
    body.expect_end()?;
    Ok(Opened { header, header_bytes, plaintext_bytes, frames })
}

/// A header that was verified, and what opens the body.
pub(super) struct Unlocked {
    pub(super) unverified: UnverifiedHeader,
    pub(super) cipher: MessageCipher,
}

/// Reads and verifies the header.
pub(super) fn unlock(
    reader: &mut impl Read,
    keyring: &dyn Keyring,
    options: &OpenOptions,
) -> Result<Unlocked, OpenMessageError> {
    let policy = options.commitment_policy;
    let unverified = UnverifiedHeader::read(reader)?;
    let header = &unverified.header;
    let suite = header.suite;
    if !policy.allows_opening(suite) {
        return Err(OpenMessageError::SuiteForbidden { suite, policy });
    }
    let context = &header.context;
    if let Some((key, value)) =
        options.required_context.iter().find(|(key, value)| context.get(key) != Some(*value))
    {
        return Err(OpenMessageError::ContextDiffers { key: key.into(), value: value.into() });
    }
    let data_key = keyring.unwrap(&header.encrypted_data_keys, context)?;
    let found = data_key.len();
    let (cipher, commitment) = MessageCipher::derive(&data_key, suite, header.message_id)
        .ok_or(OpenMessageError::DataKeyLength { found, suite })?;
    if let Some(commitment) = commitment {
        let claimed = header.commitment.as_ref().and_then(|bytes| SecretKey::from_slice(bytes));
        if !claimed.is_some_and(|claimed| claimed.ct_eq(&commitment)) {
            return Err(OpenMessageError::Commitment);
        }
    }
    cipher
        .verify_header(unverified.iv, &unverified.body, &unverified.tag)
        .map_err(|_| OpenMessageError::HeaderTag)?;
    Ok(Unlocked { unverified, cipher })
}

/// The body of a message whose header was verified.
struct Body<R> {
    reader: R,
    /// Takes in all that is read until the signature.
    verifier: Option<StreamVerifier>,
}

impl<R: Read> Body<R> {
    /// Answers how many plaintext bytes and frames there were.
    fn open_frames(
        &mut self,
        writer: &mut impl Write,
        cipher: &MessageCipher,
        batching: Batching,
    ) -> Result<(u64, u32), OpenMessageError> {
        let (mut next, mut plaintext_bytes) = (NextFrame::Number(1), 0);
        pipeline::in_order(
            batching.in_flight,
            &mut |used: Option<OpenBatch>| self.read_batch(used.unwrap_or_default(), batching, &mut next),
            &|batch| batch.open(cipher, batching),
            &mut |batch| {
                let text = batch.text();
                writer.write_all(text).map_err(OpenMessageError::Write)?;
                plaintext_bytes += text.len() as u64;
                batch.take_error().map_or(Ok(()), Err)
            },
        )?;
        match next {
            NextFrame::None { frames } => Ok((plaintext_bytes, frames)),
            NextFrame::Number(_) | NextFrame::Error(_) => Err(OpenMessageError::Truncated),
        }
    }

    /// Reads the frames of one batch; none after the final frame. When one cannot be read, the frames before it come first
    /// and the error with the next batch.
    fn read_batch(
        &mut self,
        mut batch: OpenBatch,
        batching: Batching,
        next: &mut NextFrame,
    ) -> Result<Option<OpenBatch>, OpenMessageError> {
        let mut expected = match std::mem::replace(next, NextFrame::Number(0)) {
            NextFrame::Number(number) => number,
            NextFrame::Error(error) => return Err(error),
            NextFrame::None { frames } => {
                *next = NextFrame::None { frames };
                return Ok(None);
            }
        };
        batch.begin(expected);
        while batch.frames < batching.frames {
            match self.read_frame(&mut batch, batching, expected) {
                Ok(Part::Final) => {
                    *next = NextFrame::None { frames: expected };
                    return Ok(Some(batch));
                }
                // A regular frame's number is never the end mark, so this does not overflow.
                Ok(_) => expected += 1,
                Err(error) if batch.frames == 0 => return Err(error),
                Err(error) => {
                    *next = NextFrame::Error(error);
                    return Ok(Some(batch));
                }
            }
        }
        *next = NextFrame::Number(expected);
        Ok(Some(batch))
    }

    /// Reads one frame to the end of the batch.
    fn read_frame(
        &mut self,
        batch: &mut OpenBatch,
        batching: Batching,
        expected: u32,
    ) -> Result<Part, OpenMessageError> {
        let at = batch.frames * (batching.frame_length + REGULAR_HEAD_BYTES + TAG_BYTES);
        self.read_to(&mut batch.room, at, REGULAR_HEAD_BYTES)?;
        let word = |room: &mut Room, at: usize| {
            room.get(at..at + 4).first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
        };
        let mark = word(&mut batch.room, at);
        let is_final = mark == END_MARK;
        let found = if is_final { word(&mut batch.room, at + 4) } else { mark };
        if found != expected {
            return Err(OpenMessageError::Sequence { expected, found });
        }
        if !is_final {
            self.read_to(&mut batch.room, at + REGULAR_HEAD_BYTES, batching.frame_length + TAG_BYTES)?;
            batch.frames += 1;
            return Ok(Part::Regular);
        }
        self.read_to(&mut batch.room, at + REGULAR_HEAD_BYTES, FINAL_HEAD_BYTES - REGULAR_HEAD_BYTES)?;
        let length = word(&mut batch.room, at + FINAL_HEAD_BYTES - 4) as usize;
        if length > batching.frame_length {
            let (claimed, max) = (length as u64, batching.frame_length as u64);
            return Err(OpenMessageError::PartTooLong { part: "final frame", claimed, max });
        }
        self.read_to(&mut batch.room, at + FINAL_HEAD_BYTES, length + TAG_BYTES)?;
        batch.last = Some(length);
        Ok(Part::Final)
    }

    fn read_to(&mut self, room: &mut Room, at: usize, length: usize) -> Result<(), OpenMessageError> {
        let read = room.fill(&mut self.reader, at, length).map_err(OpenMessageError::Read)?;
        if read < length {
            return Err(OpenMessageError::Truncated);
        }
        if let Some(verifier) = &mut self.verifier {
            verifier.update(room.get(at..at + length));
        }
        Ok(())
    }

    fn open_whole(
        &mut self,
        writer: &mut impl Write,
        cipher: &MessageCipher,
    ) -> Result<(u64, u32), OpenMessageError> {
        let iv = self.array()?;
        let claimed = u64::from_be_bytes(self.array()?);
        if claimed > UNFRAMED_BYTES_MAX {
            return Err(OpenMessageError::PartTooLong {
                part: "unframed body",
                claimed,
                max: UNFRAMED_BYTES_MAX,
            });
        }
        let length = usize::try_from(claimed).unwrap_or(usize::MAX).saturating_add(TAG_BYTES);
        let mut room = Room::default();
        self.read_to(&mut room, 0, length)?;
        let text_and_tag = room.get(0..length);
        let opened = cipher
            .open_part(Part::Whole, 1, iv, text_and_tag)
            .map_err(|_| OpenMessageError::Frame { sequence: 1 })?;
        writer.write_all(room.get(0..opened)).map_err(OpenMessageError::Write)?;
        Ok((opened as u64, 1))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OpenMessageError> {
        let bytes = self.footer_array()?;
        if let Some(verifier) = &mut self.verifier {
            verifier.update(&bytes);
        }
        Ok(bytes)
    }

    /// Bytes that are not signed.
    fn footer_array<const N: usize>(&mut self) -> Result<[u8; N], OpenMessageError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    }

    /// Reads the signature, when the suite has one, and checks it.
    fn verify_signature(&mut self) -> Result<(), OpenMessageError> {
        let Some(verifier) = self.verifier.take() else { return Ok(()) };
        let length = usize::from(u16::from_be_bytes(self.footer_array()?));
        if length > SIGNATURE_BYTES_MAX {
            return Err(OpenMessageError::Signature);
        }
        let mut signature = vec![0; length];
        self.reader.read_exact(&mut signature).map_err(read_error)?;
        verifier.finish(&signature).map_err(|_| OpenMessageError::Signature)
    }

    /// The message ends here.
    fn expect_end(&mut self) -> Result<(), OpenMessageError> {
        match self.footer_array::<1>() {
            Ok(_) => Err(OpenMessageError::TrailingBytes),
            Err(OpenMessageError::Truncated) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What is to be read next.
enum NextFrame {
    /// The frame of this number.
    Number(u32),
    /// Nothing: this is why.
    Error(OpenMessageError),
    /// Nothing: the final frame has come.
    None {
        /// How many frames there were.
        frames: u32,
    },
}

fn read_error(error: io::Error) -> OpenMessageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => OpenMessageError::Truncated,
        _ => OpenMessageError::Read(error),
    }
}
