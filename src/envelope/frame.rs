//! One frame of the body, sealed or opened by itself (AWS Encryption SDK specification, "Message body").
//!
//! A frame depends on its key, message id, sequence number, kind and bytes alone, so frames can be sealed on several
//! threads and read at an offset. Nothing here reads or writes a stream.
//!
//! INVARIANT: the IV of a sealed frame is its sequence number, which is used once under a key that is derived for the
//! message id. Zero is the header's. So no (key, IV) pair is ever used twice.

use std::num::NonZeroU32;

use zeroize::Zeroizing;

use super::{MessageId, SuiteId, header::COMMITMENT_BYTES};
use crate::{
    crypto::{
        OpenError,
        frame::{FrameKey, IV_BYTES, TAG_BYTES},
        kdf::hkdf_sha512,
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
    /// The cipher of a message, and what its header has to say to be committed to this data key.
    pub(super) fn derive(data_key: &SecretKey, suite: SuiteId, message_id: MessageId) -> (Self, SecretKey) {
        let salt = message_id.as_bytes();
        let info = [&suite.number().to_be_bytes(), b"DERIVEKEY".as_slice()].concat();
        let key = FrameKey::new(&hkdf_sha512(data_key, salt, &info));
        const { assert!(COMMITMENT_BYTES == 32) }
        (Self { key, message_id }, hkdf_sha512(data_key, salt, b"COMMITKEY"))
    }

    /// The header's authentication tag.
    pub(super) fn header_tag(&self, header_body: &[u8]) -> [u8; TAG_BYTES] {
        self.encrypt(HEADER_IV, header_body, &mut [])
    }

    /// Whether the header's tag is that of its bytes.
    pub(super) fn verify_header(&self, header_body: &[u8], tag: &[u8; TAG_BYTES]) -> Result<(), OpenError> {
        self.key.open_in_place(HEADER_IV, header_body, &mut tag.clone()).map(|_| ())
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

    /// Opens ciphertext and tag of one part in place; answers the plaintext. The IV is the one that was read: clients
    /// of AWS use others than the sequence number, and the tag authenticates it.
    pub(super) fn open_part<'text>(
        &self,
        part: Part,
        sequence: u32,
        iv: [u8; IV_BYTES],
        text_and_tag: &'text mut [u8],
    ) -> Result<&'text [u8], OpenError> {
        let length = text_and_tag.len().checked_sub(TAG_BYTES).ok_or(OpenError)?;
        let aad = self.part_aad(part, sequence, length);
        let opened = self.key.open_in_place(iv, &aad, text_and_tag)?;
        text_and_tag.get(..opened).ok_or(OpenError)
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
}

fn sequence_iv(sequence: u32) -> [u8; IV_BYTES] {
    let mut iv = [0; IV_BYTES];
    if let Some(low) = iv.last_chunk_mut() {
        *low = sequence.to_be_bytes();
    }
    iv
}

/// Room for one frame on its way out. Head, ciphertext and tag end up side by side, to be written at once.
pub(super) struct SealBuffer {
    /// Room for the longer of the two heads, the plaintext and the tag.
    bytes: Zeroizing<Vec<u8>>,
    frame_length: usize,
}

impl SealBuffer {
    pub(super) fn new(frame_length: FrameLength) -> Self {
        let frame_length = frame_length.get().get() as usize;
        Self { bytes: vec![0; FINAL_HEAD_BYTES + frame_length + TAG_BYTES].into(), frame_length }
    }

    /// Where the plaintext belongs.
    pub(super) fn text(&mut self) -> &mut [u8] {
        let (_, rest) = self.bytes.split_at_mut(FINAL_HEAD_BYTES);
        rest.split_at_mut(self.frame_length).0
    }

    /// Seals the first `length` bytes of [`text`](Self::text) as frame `sequence`; answers the frame as it is written.
    pub(super) fn seal(&mut self, cipher: &MessageCipher, part: Part, sequence: u32, length: usize) -> &[u8] {
        let length = length.min(self.frame_length);
        let (head, rest) = self.bytes.split_at_mut(FINAL_HEAD_BYTES);
        let (text, rest) = rest.split_at_mut(length);
        let (iv, tag) = cipher.seal_part(part, sequence, text);
        let mark = END_MARK.to_be_bytes();
        let sequence = sequence.to_be_bytes();
        let start = if part == Part::Final {
            // `length` is at most FrameLength::MAX.
            let length = (length as u32).to_be_bytes();
            head.copy_from_slice(&[mark.as_slice(), &sequence, &iv, &length].concat());
            0
        } else {
            let (_, head) = head.split_at_mut(FINAL_HEAD_BYTES - REGULAR_HEAD_BYTES);
            head.copy_from_slice(&[sequence.as_slice(), &iv].concat());
            FINAL_HEAD_BYTES - REGULAR_HEAD_BYTES
        };
        rest.split_at_mut(TAG_BYTES).0.copy_from_slice(&tag);
        self.bytes.split_at(FINAL_HEAD_BYTES + length + TAG_BYTES).0.split_at(start).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8, id: u8) -> MessageCipher {
        let key = SecretKey::from_slice(&[key; 32]).unwrap();
        MessageCipher::derive(&key, SuiteId::COMMIT_KEY, MessageId::from_bytes([id; 32])).0
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
            cipher.open_part(part, sequence, iv, &mut sealed.clone()).map(<[u8]>::to_vec)
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
        assert!(cipher(1, 1).verify_header(b"header", &tag).is_ok());
        assert!(cipher(1, 1).verify_header(b"heades", &tag).is_err());
        assert!(cipher(2, 1).verify_header(b"header", &tag).is_err());
    }

    #[test]
    fn the_written_frames_have_the_layout_of_the_specification() {
        let mut buffer = SealBuffer::new(FrameLength::new(4).unwrap());
        buffer.text().copy_from_slice(b"abcd");
        let regular = buffer.seal(&cipher(1, 1), Part::Regular, 2, 4).to_vec();
        assert_eq!((regular.len(), &regular[..4]), (4 + 32, &[0, 0, 0, 2][..]));
        assert_eq!(regular[4..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        let last = buffer.seal(&cipher(1, 1), Part::Final, 3, 1).to_vec();
        assert_eq!((last.len(), &last[..8]), (1 + 40, &[255, 255, 255, 255, 0, 0, 0, 3][..]));
        assert_eq!(last[20..24], [0, 0, 0, 1]);
    }
}
