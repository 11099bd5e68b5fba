//! The message header, versions 1 and 2 (AWS Encryption SDK specification, "Message header").
//!
//! Reading refuses hostile counts and lengths before it allocates: a header has at most [`HEADER_BYTES_MAX`] bytes and
//! [`RECIPIENTS_MAX`] encrypted data keys, and each field is read before room is made for the next.
//!
//! INVARIANT: a header of suite `0x0478` that reads has exactly one form: writing it again gives the same bytes. Published
//! messages of the signed suite do not keep the order of the context's pairs; there the tag, which is always checked
//! on the bytes as they were read, is what counts.

use std::{
    fmt,
    io::{self, Read},
    num::NonZeroU32,
};

use serde::{Serialize, Serializer};

use super::{HeaderError, SuiteId};
use crate::{
    crypto::frame::{IV_BYTES, TAG_BYTES},
    model::EncryptionContext,
};

/// The longest header that is written or read. Ten recipients and a context of KMS's greatest size need 14 KiB.
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;
/// The most encrypted data keys of one message. Each can cost a call to a KMS, so this bounds what a forged header can
/// make its reader do.
pub const RECIPIENTS_MAX: usize = 64;
/// The key commitment's length in bytes.
pub(super) const COMMITMENT_BYTES: usize = 32;

const VERSION_1: u8 = 1;
const VERSION_1_TYPE: u8 = 0x80;
const VERSION_2: u8 = 2;
const CONTENT_UNFRAMED: u8 = 1;
const CONTENT_FRAMED: u8 = 2;

/// The random name of one message; salt of its keys and part of what each frame authenticates. A message of version 1
/// has one of 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(IdBytes);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum IdBytes {
    Version1([u8; 16]),
    Version2([u8; MessageId::BYTES]),
}

impl MessageId {
    /// Its length in bytes in message version 2.
    pub const BYTES: usize = 32;

    /// The message id with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(IdBytes::Version2(bytes))
    }

    /// Its bytes: 32, or 16 in message version 1.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            IdBytes::Version1(bytes) => bytes,
            IdBytes::Version2(bytes) => bytes,
        }
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MessageId({self})")
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A data key, encrypted for one recipient (EDK).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedDataKey {
    /// Who can decrypt it: `aws-kms`, or a raw key's namespace.
    pub provider: String,
    /// Which of the provider's keys: an ARN for `aws-kms`; name and IV for a raw AES key.
    pub provider_info: Vec<u8>,
    /// The encrypted data key.
    pub ciphertext: Vec<u8>,
}

impl EncryptedDataKey {
    /// Whether each field's length is a 16-bit number, as the header has it.
    pub(super) fn fits_header(&self) -> bool {
        [self.provider.len(), self.provider_info.len(), self.ciphertext.len()]
            .into_iter()
            .all(|length| u16::try_from(length).is_ok())
    }
}

/// How the body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// In frames of this many plaintext bytes, the last one shorter.
    Framed {
        /// The frame length in bytes.
        frame_length: NonZeroU32,
    },
    /// In one piece. Legacy: read only.
    Unframed,
}

/// The header of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm suite.
    pub suite: SuiteId,
    /// The message's id.
    pub message_id: MessageId,
    /// The encryption context that the header holds.
    pub context: EncryptionContext,
    /// The data key, once for each recipient.
    pub encrypted_data_keys: Vec<EncryptedDataKey>,
    /// How the body is cut.
    pub content: Content,
    /// What commits the message to its key; none in message version 1.
    pub commitment: Option<[u8; COMMITMENT_BYTES]>,
}

/// A header as it was read, with its authentication tag not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnverifiedHeader {
    /// What it says.
    pub(super) header: Header,
    /// The bytes that the tag authenticates.
    pub(super) body: Vec<u8>,
    /// The authentication tag's IV; zero in message version 2, where it is not written.
    pub(super) iv: [u8; IV_BYTES],
    /// The authentication tag.
    pub(super) tag: [u8; TAG_BYTES],
}

impl UnverifiedHeader {
    /// The length of the whole header, tag included.
    pub(super) fn header_bytes(&self) -> u64 {
        (self.body.len() + self.written_iv().len() + TAG_BYTES) as u64
    }

    /// The bytes of the whole header.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.body.as_slice(), self.written_iv(), &self.tag].concat()
    }

    fn written_iv(&self) -> &[u8] {
        if self.header.suite.commits() { &[] } else { &self.iv }
    }

    /// Reads a header and not one byte more.
    pub(super) fn read(reader: impl Read) -> Result<Self, HeaderError> {
        let mut fields = Fields { reader, bytes: Vec::new() };
        let suite = fields.version_and_suite()?;
        let message_id = MessageId(match suite.commits() {
            true => IdBytes::Version2(fields.array()?),
            false => IdBytes::Version1(fields.array()?),
        });
        let context = fields.context(suite)?;
        let encrypted_data_keys = fields.encrypted_data_keys()?;
        let content = fields.content(suite)?;
        let commitment = if suite.commits() { Some(fields.array()?) } else { None };
        let Fields { mut reader, bytes: body } = fields;
        let (mut iv, mut tag) = ([0; IV_BYTES], [0; TAG_BYTES]);
        if !suite.commits() {
            reader.read_exact(&mut iv).map_err(read_error)?;
        }
        reader.read_exact(&mut tag).map_err(read_error)?;
        let header = Header { suite, message_id, context, encrypted_data_keys, content, commitment };
        Ok(Self { header, body, iv, tag })
    }
}

impl Header {
    /// The header's bytes up to its authentication tag, in message version 2: the only one that is written.
    ///
    /// INVARIANT: whoever made the header keeps each field within its 16-bit length; [`seal`](super::seal) checks it.
    pub(super) fn to_body_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION_2];
        bytes.extend_from_slice(&self.suite.number().to_be_bytes());
        bytes.extend_from_slice(self.message_id.as_bytes());
        put_with_length(&mut bytes, &self.context.to_canonical_bytes());
        bytes.extend_from_slice(&length_u16(self.encrypted_data_keys.len()));
        for key in &self.encrypted_data_keys {
            put_with_length(&mut bytes, key.provider.as_bytes());
            put_with_length(&mut bytes, &key.provider_info);
            put_with_length(&mut bytes, &key.ciphertext);
        }
        let (content, frame_length) = match self.content {
            Content::Framed { frame_length } => (CONTENT_FRAMED, frame_length.get()),
            Content::Unframed => (CONTENT_UNFRAMED, 0),
        };
        bytes.push(content);
        bytes.extend_from_slice(&frame_length.to_be_bytes());
        bytes.extend_from_slice(&self.commitment.unwrap_or_default());
        bytes
    }
}

fn put_with_length(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&length_u16(field.len()));
    bytes.extend_from_slice(field);
}

fn length_u16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// Reads field after field and keeps every byte for the authentication tag.
struct Fields<R> {
    reader: R,
    bytes: Vec<u8>,
}

impl<R: Read> Fields<R> {
    /// Exactly `length` bytes, for which room is made as they come.
    fn take(&mut self, length: usize) -> Result<&[u8], HeaderError> {
        let start = self.bytes.len();
        if start + length > HEADER_BYTES_MAX {
            return Err(HeaderError::TooMuch { of: "bytes", found: start + length, max: HEADER_BYTES_MAX });
        }
        let read = self
            .reader
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut self.bytes)
            .map_err(HeaderError::Read)?;
        if read < length {
            return Err(HeaderError::Truncated);
        }
        Ok(self.bytes.get(start..).unwrap_or_default())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        self.take(N)?.try_into().map_err(|_| HeaderError::Truncated)
    }

    fn u16(&mut self) -> Result<usize, HeaderError> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    fn with_length(&mut self) -> Result<&[u8], HeaderError> {
        let length = self.u16()?;
        self.take(length)
    }

    fn version_and_suite(&mut self) -> Result<SuiteId, HeaderError> {
        let [version] = self.array().map_err(|error| match error {
            HeaderError::Truncated => HeaderError::NotAMessage,
            error => error,
        })?;
        match version {
            VERSION_2 => {}
            VERSION_1 if self.array()? == [VERSION_1_TYPE] => {}
            // `AQ…` and `Ag…` are the base64 of 01 and 02: the specification names this mistake.
            b'A' => {
                let [second] = self.array()?;
                let base64 = matches!(second, b'Q' | b'g');
                return Err(if base64 { HeaderError::Base64 } else { HeaderError::NotAMessage });
            }
            _ => return Err(HeaderError::NotAMessage),
        }
        let number = u16::from_be_bytes(self.array()?);
        SuiteId::from_number(number)
            .filter(|suite| suite.commits() == (version == VERSION_2))
            .ok_or(HeaderError::UnknownSuite { number, version })
    }

    fn context(&mut self, suite: SuiteId) -> Result<EncryptionContext, HeaderError> {
        let bytes = self.with_length()?;
        EncryptionContext::from_canonical_bytes(bytes)
            .or_else(|error| suite.signs().then(|| context_in_any_order(bytes)).flatten().ok_or(error))
            .map_err(|error| HeaderError::malformed(error.to_string()))
    }

    fn encrypted_data_keys(&mut self) -> Result<Vec<EncryptedDataKey>, HeaderError> {
        let count = self.u16()?;
        if count == 0 {
            return Err(HeaderError::malformed("it has no recipient"));
        }
        if count > RECIPIENTS_MAX {
            return Err(HeaderError::TooMuch { of: "recipients", found: count, max: RECIPIENTS_MAX });
        }
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            let provider = String::from_utf8(self.with_length()?.to_vec())
                .map_err(|_| HeaderError::malformed("a recipient's provider is not UTF-8"))?;
            let provider_info = self.with_length()?.to_vec();
            let ciphertext = self.with_length()?.to_vec();
            keys.push(EncryptedDataKey { provider, provider_info, ciphertext });
        }
        Ok(keys)
    }

    fn content(&mut self, suite: SuiteId) -> Result<Content, HeaderError> {
        let [content] = self.array()?;
        if !suite.commits() {
            let (reserved, [iv_length]) = (self.array::<4>()?, self.array()?);
            if reserved != [0; 4] || usize::from(iv_length) != IV_BYTES {
                return Err(HeaderError::malformed(
                    "its reserved bytes or its IV's length are not as they must be",
                ));
            }
        }
        let frame_length = NonZeroU32::new(u32::from_be_bytes(self.array()?));
        match (content, frame_length) {
            (CONTENT_FRAMED, Some(frame_length)) => Ok(Content::Framed { frame_length }),
            (CONTENT_UNFRAMED, None) => Ok(Content::Unframed),
            (CONTENT_FRAMED, None) => Err(HeaderError::malformed("its frame length is 0")),
            (CONTENT_UNFRAMED, Some(_)) => Err(HeaderError::malformed("an unframed body has a frame length")),
            _ => Err(HeaderError::malformed(format!("its content type is 0x{content:02X}"))),
        }
    }
}

/// The context of well-formed pairs whose keys are distinct and in any order.
fn context_in_any_order(bytes: &[u8]) -> Option<EncryptionContext> {
    fn field<'bytes>(rest: &mut &'bytes [u8]) -> Option<&'bytes str> {
        let (length, tail) = rest.split_first_chunk()?;
        let (field, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        *rest = tail;
        std::str::from_utf8(field).ok()
    }
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut context = EncryptionContext::new();
    for _ in 0..u16::from_be_bytes(*count) {
        context.insert(field(&mut rest)?, field(&mut rest)?).ok()?;
    }
    (rest.is_empty() && !context.is_empty()).then_some(context)
}

fn read_error(error: io::Error) -> HeaderError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => HeaderError::Truncated,
        _ => HeaderError::Read(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_header() -> impl Strategy<Value = Header> {
        let bytes = |max| proptest::collection::vec(any::<u8>(), 0..max);
        let key = ("\\PC{0,12}", bytes(40), bytes(80)).prop_map(|(provider, provider_info, ciphertext)| {
            EncryptedDataKey { provider, provider_info, ciphertext }
        });
        (
            any::<bool>(),
            any::<[u8; 32]>(),
            proptest::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..4),
            proptest::collection::vec(key, 1..4),
            any::<u32>(),
            any::<[u8; 32]>(),
        )
            .prop_map(|(signed, id, context, encrypted_data_keys, frame_length, commitment)| {
                Header {
                    suite: if signed { SuiteId::COMMIT_KEY_SIGNED } else { SuiteId::COMMIT_KEY },
                    message_id: MessageId::from_bytes(id),
                    context: context.try_into().unwrap(),
                    encrypted_data_keys,
                    content: NonZeroU32::new(frame_length)
                        .map_or(Content::Unframed, |frame_length| Content::Framed { frame_length }),
                    commitment: Some(commitment),
                }
            })
    }

    fn example() -> Header {
        Header {
            suite: SuiteId::COMMIT_KEY,
            message_id: MessageId::from_bytes([7; 32]),
            context: EncryptionContext::from_pairs([("a", "1")]).unwrap(),
            encrypted_data_keys: vec![EncryptedDataKey {
                provider: "p".into(),
                provider_info: b"i".to_vec(),
                ciphertext: b"c".to_vec(),
            }],
            content: Content::Framed { frame_length: NonZeroU32::MIN },
            commitment: Some([9; 32]),
        }
    }

    fn read(bytes: &[u8]) -> Result<UnverifiedHeader, HeaderError> {
        UnverifiedHeader::read(bytes)
    }

    /// A header whose bytes from `at` on are `with`, and that ends there.
    fn cut(at: usize, with: &[u8]) -> Vec<u8> {
        [&example().to_body_bytes()[..at], with].concat()
    }

    const CONTEXT_AT: usize = 35;
    const COUNT_AT: usize = CONTEXT_AT + 2 + 8;
    const CONTENT_AT: usize = COUNT_AT + 2 + 9;

    #[test]
    fn a_header_ends_where_it_ends() {
        let mut bytes = example().to_body_bytes();
        bytes.extend_from_slice(&[5; TAG_BYTES]);
        let length = bytes.len();
        bytes.extend_from_slice(b"the body");
        let mut rest = bytes.as_slice();
        let read = UnverifiedHeader::read(&mut rest).unwrap();
        assert_eq!((read.header.clone(), read.tag), (example(), [5; TAG_BYTES]));
        assert_eq!((rest, read.header_bytes()), (&b"the body"[..], length as u64));
        for shorter in 1..length {
            assert!(
                matches!(UnverifiedHeader::read(&bytes[..shorter]), Err(HeaderError::Truncated)),
                "{shorter}"
            );
        }
        assert!(matches!(UnverifiedHeader::read(&b""[..]), Err(HeaderError::NotAMessage)));
    }

    #[test]
    fn hostile_counts_and_lengths_are_refused_before_anything_is_allocated_for_them() {
        let many = cut(COUNT_AT, b"\xff\xff\xff\xff");
        assert!(matches!(read(&many), Err(HeaderError::TooMuch { found: 65_535, max: RECIPIENTS_MAX, .. })));
        let long = cut(COUNT_AT, b"\x00\x40\xff\xff");
        assert!(matches!(read(&long), Err(HeaderError::Truncated)));
        assert!(matches!(read(&cut(COUNT_AT, b"\x00\x00")), Err(HeaderError::Malformed { .. })));

        let mut endless = cut(COUNT_AT, b"\x00\x40");
        for _ in 0..20 {
            put_with_length(&mut endless, b"p");
            put_with_length(&mut endless, b"i");
            put_with_length(&mut endless, &[0; 65_535]);
        }
        assert!(matches!(read(&endless), Err(HeaderError::TooMuch { of: "bytes", .. })));
    }

    #[test]
    fn fields_that_are_not_as_the_format_requires_are_refused() {
        for bad in [
            cut(CONTEXT_AT, b"\x00\x02\x00\x00"),
            cut(CONTEXT_AT, b"\x00\x01\x00"),
            cut(COUNT_AT, b"\x00\x01\x00\x01\xff"),
            cut(CONTENT_AT, b"\x02\x00\x00\x00\x00"),
            cut(CONTENT_AT, b"\x01\x00\x00\x00\x01"),
            cut(CONTENT_AT, b"\x03\x00\x00\x00\x01"),
        ] {
            assert!(matches!(read(&bad), Err(HeaderError::Malformed { .. })), "{bad:02x?}");
        }
    }

    #[test]
    fn pairs_out_of_order_are_read_of_the_signed_suite_alone() {
        let bytes = |suite: SuiteId, pairs: &[u8]| {
            let example = Header { suite, ..example() }.to_body_bytes();
            let length = u16::try_from(pairs.len()).unwrap().to_be_bytes();
            let (before, after) = (&example[..CONTEXT_AT], &example[CONTEXT_AT + 2 + 8..]);
            [before, &length, pairs, after, &[0; TAG_BYTES]].concat()
        };
        let sorted = b"\x00\x02\x00\x01a\x00\x011\x00\x01b\x00\x012";
        let unsorted = b"\x00\x02\x00\x01b\x00\x012\x00\x01a\x00\x011";
        let double = b"\x00\x02\x00\x01a\x00\x012\x00\x01a\x00\x011";
        let expected = EncryptionContext::from_pairs([("a", "1"), ("b", "2")]).unwrap();
        for suite in [SuiteId::COMMIT_KEY, SuiteId::COMMIT_KEY_SIGNED] {
            assert_eq!(read(&bytes(suite, sorted)).unwrap().header.context, expected);
            assert_eq!(read(&bytes(suite, unsorted)).is_ok(), suite.signs());
            assert!(read(&bytes(suite, double)).is_err());
            assert!(read(&bytes(suite, &unsorted[..11])).is_err());
            assert!(read(&bytes(suite, &[unsorted.as_slice(), b"x"].concat())).is_err());
        }
        assert_eq!(read(&bytes(SuiteId::COMMIT_KEY_SIGNED, unsorted)).unwrap().header.context, expected);
    }

    #[test]
    fn what_begins_otherwise_is_named() {
        assert!(matches!(read(b"\x01\x80\x01\x78"), Err(HeaderError::Truncated)));
        assert!(matches!(read(b"\x01\x80\x04\x78"), Err(HeaderError::UnknownSuite { number: 0x0478, .. })));
        assert!(matches!(read(b"\x01\x81\x01\x78"), Err(HeaderError::NotAMessage)));
        assert!(matches!(read(b"\x02\x01\x78"), Err(HeaderError::UnknownSuite { number: 0x0178, .. })));
        assert!(matches!(read(b"\x02\x04\x79"), Err(HeaderError::UnknownSuite { number: 0x0479, .. })));
        assert!(matches!(read(b"AgR4TfvRMU2d"), Err(HeaderError::Base64)));
        assert!(matches!(read(b"A letter"), Err(HeaderError::NotAMessage)));
        assert!(matches!(read(b"\x7fELF"), Err(HeaderError::NotAMessage)));
    }

    /// A header of version 1 up to its frame length, with these bytes after its content type.
    fn version_1(after_content_type: &[u8]) -> Vec<u8> {
        let start = b"\x01\x80\x01\x78sixteen bytes id\0\0\0\x01\0\x01p\0\x01i\0\x01c\x02";
        [start.as_slice(), after_content_type, b"\0\0\0\x08", &[3; IV_BYTES], &[5; TAG_BYTES]].concat()
    }

    #[test]
    fn a_header_of_version_1_is_read_with_its_own_id_and_iv() {
        let bytes = version_1(b"\0\0\0\0\x0c");
        let mut rest = bytes.as_slice();
        let unverified = UnverifiedHeader::read(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!((unverified.header_bytes(), unverified.bytes()), (bytes.len() as u64, bytes.clone()));
        assert_eq!((unverified.iv, unverified.tag), ([3; IV_BYTES], [5; TAG_BYTES]));
        assert_eq!(unverified.header.message_id.as_bytes(), b"sixteen bytes id");
        assert_eq!((unverified.header.commitment, unverified.header.suite.number()), (None, 0x0178));
        for length in 1..bytes.len() {
            assert!(matches!(read(&bytes[..length]), Err(HeaderError::Truncated)), "{length}");
        }
        for bad in [b"\0\0\0\x01\x0c", b"\0\0\0\0\x0d", b"\0\0\0\0\0"] {
            assert!(matches!(read(&version_1(bad)), Err(HeaderError::Malformed { .. })));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_of_version_1_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&[1, 0x80, 1, 0x78], bytes.as_slice()].concat());
        }

        #[test]
        fn every_header_survives_its_bytes(header in any_header()) {
            let bytes = [header.to_body_bytes(), vec![1; TAG_BYTES]].concat();
            prop_assert_eq!(read(&bytes).unwrap().header, header);
        }

        #[test]
        fn any_bytes_are_refused_or_written_again_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[2, 4, 0x78], bytes.as_slice()].concat();
            if let Ok(read) = read(&bytes) { prop_assert_eq!(read.header.to_body_bytes(), read.body); }
        }

        #[test]
        fn a_changed_header_is_refused_or_written_again_the_same(
            header in any_header(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = [header.to_body_bytes(), vec![1; TAG_BYTES]].concat();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = read(&bytes) {
                let again = read.header.to_body_bytes();
                prop_assert!(again == read.body || (read.header.suite.signs() && again.len() == read.body.len()));
                prop_assert!(bytes.starts_with(&read.body));
            }
        }
    }
}
