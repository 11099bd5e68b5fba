//! What a message says of itself, read without any key.
//!
//! Nothing here is authenticated: whoever can write the file can make it say anything. Only [`open`](super::open) tells
//! what is true.

use std::io::{self, BufReader, Read};

use serde::Serialize;

use super::{
    BodySizes, Content, HeaderError, MessageId, ReadAt, SuiteId,
    batch::REGULAR_OVERHEAD,
    frame::{END_MARK, FINAL_HEAD_BYTES},
    header::UnverifiedHeader,
    keyring::printable,
};
use crate::model::EncryptionContext;

/// What a message says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageInfo {
    /// Always false: no key was used, so nothing below is known to be true.
    pub authenticated: bool,
    /// The version of the message format.
    pub version: u8,
    /// The algorithm suite.
    pub suite: SuiteId,
    /// The message's id.
    pub message_id: MessageId,
    /// Whom it is sealed for.
    pub recipients: Vec<Recipient>,
    /// The encryption context. Escape it before it is printed to a terminal.
    pub context: EncryptionContext,
    /// `framed` or `unframed`.
    pub content: &'static str,
    /// How many plaintext bytes each frame but the last holds; none when unframed.
    pub frame_bytes: Option<u32>,
    /// The length of the header.
    pub header_bytes: u64,
    /// What the size of the file tells; none without a size, for unframed and signed messages, and when no message has
    /// this size.
    pub body: Option<BodySizes>,
}

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// `aws-kms`, or a raw key's namespace.
    pub provider: String,
    /// A KMS key's ARN or a raw key's name.
    pub key: String,
    /// The length of the encrypted data key.
    pub ciphertext_bytes: usize,
}

impl MessageInfo {
    /// Whether a final frame stands where a message of this size has it; if not, [`body`](Self::body) is not to be believed:
    /// the message was cut short, or something was added. Of unframed and signed messages, whose size tells nothing, it is
    /// true.
    ///
    /// # Errors
    ///
    /// When `message` cannot be read.
    pub fn has_final_frame(&self, message: &impl ReadAt) -> io::Result<bool> {
        let Some(frame_bytes) = self.frame_bytes.filter(|_| !self.suite.signs()) else { return Ok(true) };
        let Some(body) = &self.body else { return Ok(false) };
        let regular = u64::from(body.frames) - 1;
        let at = self.header_bytes + regular * (u64::from(frame_bytes) + REGULAR_OVERHEAD as u64);
        let mut head = [0; FINAL_HEAD_BYTES];
        match message.read_exact_at(&mut head, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        let word = |at: usize| head.get(at..).and_then(|rest| rest.first_chunk()).copied();
        let expected = [END_MARK, body.frames, body.final_frame_bytes].map(|word| Some(word.to_be_bytes()));
        Ok([word(0), word(4), word(FINAL_HEAD_BYTES - 4)] == expected)
    }
}

/// Reads the header of a message; with the size of the whole message, tells the sizes of its body too. Needs no key, and
/// **authenticates nothing**.
///
/// # Errors
///
/// When it does not begin with a header that can be read.
pub fn inspect(reader: impl Read, message_bytes: Option<u64>) -> Result<MessageInfo, HeaderError> {
    let unverified = UnverifiedHeader::read(BufReader::new(reader))?;
    let header_bytes = unverified.header_bytes();
    let header = unverified.header;
    let (content, frame_length) = match header.content {
        Content::Framed { frame_length } => ("framed", Some(frame_length)),
        Content::Unframed => ("unframed", None),
    };
    let body_bytes = message_bytes.and_then(|bytes| bytes.checked_sub(header_bytes));
    // The signature's length varies, so the size of a signed message does not determine that of its body.
    let body = body_bytes
        .zip(frame_length)
        .filter(|_| !header.suite.signs())
        .and_then(|(bytes, frame_length)| BodySizes::of_body(bytes, frame_length));
    let recipients = header.encrypted_data_keys.iter().map(|key| Recipient {
        provider: printable(&key.provider),
        key: key.key_name(),
        ciphertext_bytes: key.ciphertext.len(),
    });
    Ok(MessageInfo {
        authenticated: false,
        version: if header.suite.commits() { 2 } else { 1 },
        suite: header.suite,
        message_id: header.message_id,
        recipients: recipients.collect(),
        context: header.context,
        content,
        frame_bytes: frame_length.map(std::num::NonZeroU32::get),
        header_bytes,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::random::SeededRandom,
        envelope::{FrameLength, RawAesKeyring, SealOptions, seal},
        secret::SecretKey,
    };

    fn message() -> Vec<u8> {
        let key = SecretKey::from_slice(&[1; 32]).unwrap();
        let keyring = RawAesKeyring::new("lab", "laptop", key).unwrap();
        let options = SealOptions {
            context: EncryptionContext::from_pairs([("model", "tiny")]).unwrap(),
            frame_length: FrameLength::new(8).unwrap(),
            ..SealOptions::default()
        };
        let mut message = Vec::new();
        seal(&b"twenty bytes of text"[..], &mut message, &keyring, &options, &mut SeededRandom::new(1))
            .unwrap();
        message
    }

    #[test]
    fn a_message_tells_what_it_says_of_itself_and_that_it_is_not_authenticated() {
        let message = message();
        let info = inspect(message.as_slice(), Some(message.len() as u64)).unwrap();
        assert_eq!(
            serde_json::to_value(&info).unwrap(),
            serde_json::json!({
                "authenticated": false,
                "version": 2,
                "suite": "0x0478 AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
                "message_id": info.message_id.to_string(),
                "recipients": [{"provider": "lab", "key": "laptop", "ciphertext_bytes": 48}],
                "context": {"model": "tiny"},
                "content": "framed",
                "frame_bytes": 8,
                "header_bytes": 190,
                "body": {"plaintext_bytes": 20, "frames": 3, "final_frame_bytes": 4},
            })
        );
    }

    #[test]
    fn the_final_frame_is_looked_for_where_the_size_says() {
        let message = message();
        let is_whole =
            |bytes: &[u8]| inspect(bytes, Some(bytes.len() as u64)).unwrap().has_final_frame(&bytes).unwrap();
        assert!(is_whole(&message));
        for cut in 1..70 {
            assert!(!is_whole(&message[..message.len() - cut]), "{cut}");
            assert!(!is_whole(&[message.as_slice(), &vec![7; cut]].concat()), "{cut}");
        }
        assert!(!is_whole(&[message.as_slice(), &message].concat()));
    }

    #[test]
    fn without_a_size_or_with_one_that_cannot_be_the_body_stays_unknown() {
        let message = message();
        assert_eq!(inspect(message.as_slice(), None).unwrap().body, None);
        assert_eq!(inspect(message.as_slice(), Some(5)).unwrap().body, None);
        assert!(inspect(&message[..100], None).is_err());
    }
}
