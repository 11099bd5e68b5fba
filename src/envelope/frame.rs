//! One frame of the body, sealed or opened by itself (AWS Encryption SDK specification, "Message body").
//!
//! A frame depends on its key, message id, sequence number, kind and bytes alone, so frames can be sealed on several
//! threads and read at an offset. Nothing here reads or writes a stream.
//!
//! INVARIANT: the IV of a sealed frame is its sequence number, which is used once under a key that is derived for the
//! message id. Zero is the header's. So no (key, IV) pair is ever used twice.

use std::num::NonZeroU32;

use super::{DataKey, MessageId, SuiteId, header::COMMITMENT_BYTES};
use crate::{
    crypto::{
        OpenError,
        frame::{FrameKey, IV_BYTES, TAG_BYTES},
        kdf::hkdf,
    },
    model::ParseError,
    secret::SecretKey,
};

/// What stands before the ciphertext of a regular frame: sequence number and IV.
pub(super) const REGULAR_HEAD_BYTES: usize = 4 + IV_BYTES;
/// What stands before the ciphertext of the final frame: end mark, sequence number, IV and length.
pub(super) const FINAL_HEAD_BYTES: usize = 4 + 4 + IV_BYTES + 4;
/// What stands in the place of a sequence number before the final frame.
pub(super) const END_MARK: u32 = u32::MAX;

const HEADER_IV: [u8; IV_BYTES] = [0; IV_BYTES];

/// How many plaintext bytes each frame but the last holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameLength(NonZeroU32);

impl FrameLength {
    /// The longest frame that is sealed: a reader must hold a whole frame before it may release a byte of it.
    pub const MAX: u32 = 64 * 1024 * 1024;

    /// A frame length of this many bytes.
    ///
    /// # Errors
    ///
    /// When it is 0 or more than [`MAX`](Self::MAX).
    pub fn new(bytes: u32) -> Result<Self, ParseError> {
        NonZeroU32::new(bytes)
            .filter(|bytes| bytes.get() <= Self::MAX)
            .map(Self)
            .ok_or_else(|| ParseError::new(format!("a frame has 1 to {} bytes, not `{bytes}`", Self::MAX)))
    }

    /// The number of bytes.
    #[must_use]
    pub fn get(self) -> NonZeroU32 {
        self.0
    }
}

/// 1 MiB: AES is at its full speed, and the overhead is 0.003 %.
impl Default for FrameLength {
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(1024 * 1024 - 1))
    }
}

/// The parts of a body, which authenticate themselves as what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A frame that others follow.
    Regular,
    /// The last frame.
    Final,
    /// The one piece of an unframed body.
    Whole,
}

impl Part {
    /// How many bytes stand before the ciphertext.
    pub(super) fn head_bytes(self) -> usize {
        match self {
            Self::Final => FINAL_HEAD_BYTES,
            Self::Regular | Self::Whole => REGULAR_HEAD_BYTES,
        }
    }

    fn aad_text(self) -> &'static [u8] {
        match self {
            Self::Regular => b"AWSKMSEncryptionClient Frame",
            Self::Final => b"AWSKMSEncryptionClient Final Frame",
            Self::Whole => b"AWSKMSEncryptionClient Single Block",
        }
    }
}

/// What seals and opens the header and the frames of one message.
pub(super) struct MessageCipher {
    key: FrameKey,
    message_id: MessageId,
}

impl MessageCipher {
    /// The cipher of a message, and what its header has to say to be committed to this data key when the suite commits.
    /// None when the data key has not the suite's length.
    ///
    /// Suites of version 1 derive the key with the message id in the info and no salt, or not at all (AWS Encryption SDK
    /// specification, "Algorithm suites").
    pub(super) fn derive(
        data_key: &DataKey,
        suite: SuiteId,
        message_id: MessageId,
    ) -> Option<(Self, Option<SecretKey>)> {
        let length = suite.data_key_bytes();
        if data_key.len() != length {
            return None;
        }
        let (input, id) = (data_key.bytes(), message_id.as_bytes());
        let number = suite.number().to_be_bytes();
        let (key, commitment) = match suite.kdf() {
            None => (FrameKey::of_any_length(input)?, None),
            Some(hash) if suite.commits() => {
                let info = [&number, b"DERIVEKEY".as_slice()].concat();
                let commitment = hkdf(hash, input, Some(id), b"COMMITKEY", COMMITMENT_BYTES);
                let key = FrameKey::of_any_length(&hkdf(hash, input, Some(id), &info, length))?;
                (key, Some(SecretKey::try_from(&commitment).ok()?))
            }
            Some(hash) => {
                let info = [number.as_slice(), id].concat();
                (FrameKey::of_any_length(&hkdf(hash, input, None, &info, length))?, None)
            }
        };
        Some((Self { key, message_id }, commitment))
    }

    /// The header's authentication tag.
    pub(super) fn header_tag(&self, header_body: &[u8]) -> [u8; TAG_BYTES] {
        self.encrypt(HEADER_IV, header_body, &mut [])
    }

    /// Whether the header's tag is that of its bytes.
    pub(super) fn verify_header(
        &self,
        iv: [u8; IV_BYTES],
        header_body: &[u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), OpenError> {
        self.key.open_in_place(iv, header_body, &mut tag.clone()).map(|_| ())
    }

    /// Encrypts the plaintext of one part in place; answers its IV and tag.
    pub(super) fn seal_part(
        &self,
        part: Part,
        sequence: u32,
        text: &mut [u8],
    ) -> ([u8; IV_BYTES], [u8; TAG_BYTES]) {
        let iv = sequence_iv(sequence);
        let tag = self.encrypt(iv, &self.part_aad(part, sequence, text.len()), text);
        (iv, tag)
    }

    /// Opens ciphertext and tag of one part in place; answers the length of the plaintext at their start. The IV is the
    /// one that was read: clients of AWS use others than the sequence number, and the tag authenticates it.
    pub(super) fn open_part(
        &self,
        part: Part,
        sequence: u32,
        iv: [u8; IV_BYTES],
        text_and_tag: &mut [u8],
    ) -> Result<usize, OpenError> {
        let length = text_and_tag.len().checked_sub(TAG_BYTES).ok_or(OpenError)?;
        self.key.open_in_place(iv, &self.part_aad(part, sequence, length), text_and_tag)
    }

    /// Opens one part into `plaintext`, which is as long as it; zeroed when it does not open.
    pub(super) fn open_part_into(
        &self,
        part: Part,
        sequence: u32,
        frame: &FrameBytes<'_>,
        plaintext: &mut [u8],
    ) -> Result<(), OpenError> {
        let aad = self.part_aad(part, sequence, plaintext.len());
        self.key.open_into(frame.iv, &aad, frame.text, &frame.tag, plaintext)
    }

    fn encrypt(&self, iv: [u8; IV_BYTES], aad: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        match self.key.seal_in_place(iv, aad, text) {
            Ok(tag) => tag,
            Err(OpenError) => unreachable!("a frame is at most 64 MiB long, and AES-GCM takes 64 GiB"),
        }
    }

    fn part_aad(&self, part: Part, sequence: u32, length: usize) -> Vec<u8> {
        let length = (length as u64).to_be_bytes();
        [self.message_id.as_bytes(), part.aad_text(), &sequence.to_be_bytes(), &length].concat()
    }

    /// Seals the plaintext that lies in `frame` after the head of its part, and writes head and tag around it.
    pub(super) fn seal_frame(&self, part: Part, sequence: u32, frame: &mut [u8]) {
        let (head, rest) = frame.split_at_mut(part.head_bytes().min(frame.len()));
        let (text, tag) = rest.split_at_mut(rest.len().saturating_sub(TAG_BYTES));
        let (iv, made) = self.seal_part(part, sequence, text);
        // A final frame's length is at most FrameLength::MAX.
        let (mark, number, length) =
            (END_MARK.to_be_bytes(), sequence.to_be_bytes(), (text.len() as u32).to_be_bytes());
        let fields: &[&[u8]] = match part {
            Part::Final => &[&mark, &number, &iv, &length],
            Part::Regular | Part::Whole => &[&number, &iv],
        };
        for (slot, byte) in head.iter_mut().zip(fields.iter().copied().flatten()) {
            *slot = *byte;
        }
        tag.copy_from_slice(&made);
    }
}

/// A frame as it was read, taken apart.
pub(super) struct FrameBytes<'bytes> {
    pub(super) sequence: u32,
    pub(super) iv: [u8; IV_BYTES],
    pub(super) text: &'bytes [u8],
    pub(super) tag: [u8; TAG_BYTES],
}

impl<'bytes> FrameBytes<'bytes> {
    /// The fields of a regular frame of these bytes; none when they are too few or begin with the end mark.
    pub(super) fn regular(bytes: &'bytes [u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk()?;
        let sequence = u32::from_be_bytes(*sequence);
        let (iv, rest) = rest.split_first_chunk()?;
        let (text, tag) = rest.split_last_chunk()?;
        (sequence != END_MARK).then_some(Self { sequence, iv: *iv, text, tag: *tag })
    }

    /// The fields of a final frame of exactly these bytes; none when they are not one.
    pub(super) fn last(bytes: &'bytes [u8]) -> Option<Self> {
        let (mark, rest) = bytes.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (iv, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (text, tag) = rest.split_last_chunk()?;
        let is_last =
            u32::from_be_bytes(*mark) == END_MARK && u32::from_be_bytes(*length) as usize == text.len();
        is_last.then_some(Self { sequence: u32::from_be_bytes(*sequence), iv: *iv, text, tag: *tag })
    }
}

fn sequence_iv(sequence: u32) -> [u8; IV_BYTES] {
    let mut iv = [0; IV_BYTES];
    if let Some(low) = iv.last_chunk_mut() {
        *low = sequence.to_be_bytes();
    }
    iv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8, id: u8) -> MessageCipher {
        let key = SecretKey::from_slice(&[key; 32]).unwrap().into();
        MessageCipher::derive(&key, SuiteId::COMMIT_KEY, MessageId::from_bytes([id; 32])).unwrap().0
    }

    #[test]
    fn a_frame_length_has_bounds() {
        assert!(FrameLength::new(0).is_err());
        assert!(FrameLength::new(1).is_ok());
        assert!(FrameLength::new(FrameLength::MAX).is_ok());
        assert!(FrameLength::new(FrameLength::MAX + 1).is_err());
        assert_eq!(FrameLength::default().get().get(), 1_048_576);
    }

    #[test]
    fn threads_can_share_a_cipher() {
        fn assert_shareable<T: Send + Sync>() {}
        assert_shareable::<MessageCipher>();
    }

    #[test]
    fn a_frame_opens_in_its_own_place_alone() {
        let mut sealed = b"plaintext".to_vec();
        let (iv, tag) = cipher(1, 1).seal_part(Part::Regular, 3, &mut sealed);
        sealed.extend_from_slice(&tag);
        let open = |cipher: MessageCipher, part, sequence, iv| {
            let mut bytes = sealed.clone();
            cipher.open_part(part, sequence, iv, &mut bytes).map(|length| bytes[..length].to_vec())
        };
        assert_eq!(open(cipher(1, 1), Part::Regular, 3, iv).unwrap(), b"plaintext");
        assert!(open(cipher(2, 1), Part::Regular, 3, iv).is_err());
        assert!(open(cipher(1, 2), Part::Regular, 3, iv).is_err());
        assert!(open(cipher(1, 1), Part::Final, 3, iv).is_err());
        assert!(open(cipher(1, 1), Part::Whole, 3, iv).is_err());
        assert!(open(cipher(1, 1), Part::Regular, 4, iv).is_err());
        assert!(open(cipher(1, 1), Part::Regular, 3, [0; 12]).is_err());
        assert!(cipher(1, 1).open_part(Part::Regular, 3, iv, &mut [0; 15]).is_err());
    }

    #[test]
    fn a_header_tag_is_of_its_bytes_and_key_alone() {
        let tag = cipher(1, 1).header_tag(b"header");
        assert!(cipher(1, 1).verify_header([0; 12], b"header", &tag).is_ok());
        assert!(cipher(1, 1).verify_header([0; 12], b"heades", &tag).is_err());
        assert!(cipher(2, 1).verify_header([0; 12], b"header", &tag).is_err());
    }

    #[test]
    fn the_written_frames_have_the_layout_of_the_specification() {
        let mut regular = [&[0; 16], b"abcd".as_slice(), &[0; 16]].concat();
        cipher(1, 1).seal_frame(Part::Regular, 2, &mut regular);
        assert_eq!((regular.len(), &regular[..4]), (4 + 32, &[0, 0, 0, 2][..]));
        assert_eq!(regular[4..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        let mut last = [&[0; 24], b"a".as_slice(), &[0; 16]].concat();
        cipher(1, 1).seal_frame(Part::Final, 3, &mut last);
        assert_eq!((last.len(), &last[..8]), (1 + 40, &[255, 255, 255, 255, 0, 0, 0, 3][..]));
        assert_eq!(last[20..24], [0, 0, 0, 1]);

        let taken = FrameBytes::regular(&regular).unwrap();
        assert_eq!((taken.sequence, taken.text.len()), (2, 4));
        assert!(FrameBytes::regular(&last).is_none() && FrameBytes::last(&regular).is_none());
        let (taken, mut text) = (FrameBytes::last(&last).unwrap(), [0; 1]);
        assert!(cipher(1, 1).open_part_into(Part::Final, 3, &taken, &mut text).is_ok());
        assert_eq!(text, *b"a");
        assert!(cipher(1, 1).open_part_into(Part::Final, 4, &taken, &mut text).is_err());
        assert_eq!(text, [0]);
        for length in 0..last.len() {
            assert!(FrameBytes::last(&last[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_data_key_of_another_length_than_the_suites_derives_nothing() {
        for suite in SuiteId::all() {
            for length in [16, 24, 32] {
                let key = DataKey::new(vec![7; length].as_slice().into()).unwrap();
                let derived = MessageCipher::derive(&key, suite, MessageId::from_bytes([1; 32]));
                assert_eq!(derived.is_some(), length == suite.data_key_bytes(), "{suite}");
                assert!(derived.is_none_or(|(_, commitment)| commitment.is_some() == suite.commits()));
            }
        }
    }
}
