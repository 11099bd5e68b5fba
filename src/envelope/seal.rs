//! Sealing a stream as a message (AWS Encryption SDK specification, "Encrypt"), on all cores and in bounded memory.

use std::io::{BufWriter, Read, Write};

use super::{
    CommitmentPolicy, Content, EncryptedDataKey, FrameLength, HEADER_BYTES_MAX, Header, Keyring, MessageId,
    RECIPIENTS_MAX, SealError, SuiteId,
    batch::{Batching, SealBatch},
    frame::{END_MARK, MessageCipher},
    pipeline,
    signature::{self, PUBLIC_KEY, RESERVED_CONTEXT_PREFIX},
};
use crate::{
    crypto::{ecdsa::StreamSigner, random::Random},
    model::EncryptionContext,
};

/// Small frames are gathered before they are written; frames longer than this are written as they are.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// How to seal.
#[derive(Debug, Clone, Default)]
pub struct SealOptions {
    /// The encryption context: authenticated with the message and readable in it.
    pub context: EncryptionContext,
    /// How many bytes each frame holds.
    pub frame_length: FrameLength,
    /// The commitment policy.
    pub commitment_policy: CommitmentPolicy,
    /// The algorithm suite: [`SuiteId::COMMIT_KEY`], or [`SuiteId::COMMIT_KEY_SIGNED`], whose signature is hashed on one
    /// thread and so caps the speed.
    pub suite: SuiteId,
}

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The header of the message.
    pub header: Header,
    /// The length of the header.
    pub header_bytes: u64,
    /// The length of the plaintext.
    pub plaintext_bytes: u64,
    /// The length of the message.
    pub message_bytes: u64,
    /// The number of frames, the final one included.
    pub frames: u32,
}

/// Seals all that `reader` gives as one message under a new data key, and writes it to `writer`.
///
/// The memory that it takes is some frames: 16 MiB, or one frame when that is longer. When it fails, what was written is
/// no message.
///
/// # Errors
///
/// When the keyring has no data key, the plaintext cannot be read or the message not written, or the options do not
/// admit a message.
pub fn seal(
    mut reader: impl Read,
    writer: impl Write,
    keyring: &dyn Keyring,
    options: &SealOptions,
    random: &mut dyn Random,
) -> Result<Sealed, SealError> {
    let NewMessage { header, header_bytes, cipher, signer } = NewMessage::make(keyring, options, random)?;
    let inner = BufWriter::with_capacity(WRITE_BUFFER_BYTES, writer);
    let mut writer = Counted { inner, bytes: 0, signer };
    writer.write(&header_bytes)?;
    let (plaintext_bytes, frames) = seal_body(&mut reader, &mut writer, &cipher, options.frame_length)?;
    if let Some(signer) = writer.signer.take() {
        let signature = signer.finish()?;
        let length = u16::try_from(signature.len()).unwrap_or(u16::MAX).to_be_bytes();
        writer.write(&length)?;
        writer.write(&signature)?;
    }
    writer.inner.flush().map_err(SealError::Write)?;
    let header_bytes = header_bytes.len() as u64;
    Ok(Sealed { header, header_bytes, plaintext_bytes, message_bytes: writer.bytes, frames })
}

/// A header and cipher that were never used before: message id and data key are both new.
pub(super) struct NewMessage {
    pub(super) header: Header,
    /// The header's bytes with its tag.
    pub(super) header_bytes: Vec<u8>,
    pub(super) cipher: MessageCipher,
    pub(super) signer: Option<StreamSigner>,
}

impl NewMessage {
    pub(super) fn make(
        keyring: &dyn Keyring,
        options: &SealOptions,
        random: &mut dyn Random,
    ) -> Result<Self, SealError> {
        let (suite, policy) = (options.suite, options.commitment_policy);
        if !policy.allows_sealing(suite) {
            return Err(SealError::SuiteForbidden { suite, policy });
        }
        if !suite.commits() {
            return Err(SealError::SuiteNotSealed { suite });
        }
        if let Some((key, _)) =
            options.context.iter().find(|(key, _)| key.starts_with(RESERVED_CONTEXT_PREFIX))
        {
            return Err(SealError::ReservedContextKey { key: key.into() });
        }
        let mut context = options.context.clone();
        let signer = if suite.signs() { Some(StreamSigner::generate()?) } else { None };
        if let Some(signer) = &signer {
            let public_key = signature::encode(&signer.public_key());
            context.insert(PUBLIC_KEY, public_key).map_err(|_| SealError::ContextTooLong)?;
        }
        let message_id = MessageId::from_bytes(random.array()?);
        let new = keyring.generate(&context, random)?;
        let count = new.encrypted.len();
        if !(1..=RECIPIENTS_MAX).contains(&count) {
            return Err(SealError::RecipientCount { count, max: RECIPIENTS_MAX });
        }
        if !new.encrypted.iter().all(EncryptedDataKey::fits_header) {
            return Err(SealError::FieldTooLong);
        }
        let Some((cipher, commitment)) = MessageCipher::derive(&(&new.data_key).into(), suite, message_id)
        else {
            return Err(SealError::SuiteNotSealed { suite });
        };
        let header = Header {
            suite,
            message_id,
            context,
            encrypted_data_keys: new.encrypted,
            content: Content::Framed { frame_length: options.frame_length.get() },
            commitment: commitment.map(|commitment| *commitment.expose_secret()),
        };
        let mut header_bytes = header.to_body_bytes();
        header_bytes.extend_from_slice(&cipher.header_tag(&header.to_body_bytes()));
        if header_bytes.len() > HEADER_BYTES_MAX {
            return Err(SealError::HeaderTooLong { bytes: header_bytes.len(), max: HEADER_BYTES_MAX });
        }
        Ok(Self { header, header_bytes, cipher, signer })
    }
}

/// Answers how many plaintext bytes and frames there were.
///
/// A plaintext of exactly n frames ends in an empty final frame: deployed clients refuse a full one.
fn seal_body(
    reader: &mut impl Read,
    writer: &mut Counted<impl Write>,
    cipher: &MessageCipher,
    frame_length: FrameLength,
) -> Result<(u64, u32), SealError> {
    let batching = Batching::of(frame_length.get().get());
    let (mut next, mut plaintext_bytes) = (Some(1_u32), 0);
    let mut frames = 0;
    pipeline::in_order(
        batching.in_flight,
        &mut |used: Option<SealBatch>| {
            let Some(first) = next else { return Ok(None) };
            let mut batch = used.unwrap_or_default();
            batch.read(reader, batching, first).map_err(SealError::Read)?;
            // The last number is the final frame's alone: before a regular frame it would read as the end mark.
            let after = u64::from(first) + batch.frames as u64;
            let after = u32::try_from(after).ok().filter(|after| *after < END_MARK || batch.last.is_some());
            let after = after.ok_or(SealError::TooLong { frame_length: frame_length.get().get() })?;
            frames = after;
            plaintext_bytes += (batch.frames * batching.frame_length + batch.last.unwrap_or(0)) as u64;
            next = batch.last.is_none().then_some(after);
            Ok(Some(batch))
        },
        &|batch| batch.seal(cipher, batching),
        &mut |batch| writer.write(batch.bytes()),
    )?;
    Ok((plaintext_bytes, frames))
}

struct Counted<W> {
    inner: W,
    bytes: u64,
    /// Takes in all that is written until the signature.
    signer: Option<StreamSigner>,
}

impl<W: Write> Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SealError> {
        self.bytes += bytes.len() as u64;
        if let Some(signer) = &mut self.signer {
            signer.update(bytes);
        }
        self.inner.write_all(bytes).map_err(SealError::Write)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        crypto::random::SeededRandom,
        envelope::{DataKey, ErrorClass, KeyringError, NewDataKey, RawAesKeyring},
        secret::SecretKey,
    };

    fn keyring() -> RawAesKeyring {
        RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[1; 32]).unwrap()).unwrap()
    }

    fn seal_bytes(plaintext: &[u8], options: &SealOptions) -> Result<(Sealed, Vec<u8>), SealError> {
        let mut message = Vec::new();
        seal(plaintext, &mut message, &keyring(), options, &mut SeededRandom::new(1))
            .map(|sealed| (sealed, message))
    }

    #[test]
    fn the_answer_tells_the_sizes_of_what_was_written() {
        let options = SealOptions { frame_length: FrameLength::new(4).unwrap(), ..SealOptions::default() };
        for (length, frames) in [(0, 1), (3, 1), (4, 2), (5, 2), (8, 3)] {
            let (sealed, message) = seal_bytes(&vec![7; length], &options).unwrap();
            assert_eq!((sealed.plaintext_bytes, sealed.frames), (length as u64, frames));
            assert_eq!(sealed.message_bytes, message.len() as u64);
            let body = u64::from(frames - 1) * 32 + 40 + length as u64;
            assert_eq!(sealed.message_bytes, sealed.header_bytes + body);
        }
    }

    #[test]
    fn each_message_has_an_id_and_a_key_of_its_own() {
        let mut random = SeededRandom::new(1);
        let mut sealed =
            || seal(&b"x"[..], io::sink(), &keyring(), &SealOptions::default(), &mut random).unwrap().header;
        let (one, other) = (sealed(), sealed());
        assert_ne!(one.message_id, other.message_id);
        assert_ne!(one.commitment, other.commitment);
        assert_ne!(one.encrypted_data_keys, other.encrypted_data_keys);
    }

    #[test]
    fn a_context_key_of_the_format_is_refused_and_others_are_not() {
        let with = |key: &str| SealOptions {
            context: EncryptionContext::from_pairs([(key, "v")]).unwrap(),
            ..SealOptions::default()
        };
        assert!(seal_bytes(b"", &with("aws-cryptographer")).is_ok());
        let error = seal_bytes(b"", &with("aws-crypto-public-key")).unwrap_err();
        assert!(matches!(error, SealError::ReservedContextKey { .. }));
        assert_eq!(error.class(), ErrorClass::Usage);
    }

    #[test]
    fn a_policy_without_commitment_seals_nothing() {
        let with = |commitment_policy| SealOptions { commitment_policy, ..SealOptions::default() };
        assert!(seal_bytes(b"", &with(CommitmentPolicy::RequireEncryptAllowDecrypt)).is_ok());
        let error = seal_bytes(b"", &with(CommitmentPolicy::ForbidEncryptAllowDecrypt)).unwrap_err();
        assert!(matches!(error, SealError::SuiteForbidden { .. }));
    }

    /// A keyring of as many recipients, each as long, as it is told.
    struct Recipients(usize, usize);

    impl Keyring for Recipients {
        fn generate(&self, _: &EncryptionContext, _: &mut dyn Random) -> Result<NewDataKey, KeyringError> {
            let key =
                EncryptedDataKey { provider: "p".into(), provider_info: vec![], ciphertext: vec![0; self.1] };
            Ok(NewDataKey {
                data_key: SecretKey::from_slice(&[1; 32]).unwrap(),
                encrypted: vec![key; self.0],
            })
        }

        fn wrap(
            &self,
            _: &SecretKey,
            _: &EncryptionContext,
            _: &mut dyn Random,
        ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
            Err(KeyringError::NoSealingKey)
        }

        fn unwrap(&self, _: &[EncryptedDataKey], _: &EncryptionContext) -> Result<DataKey, KeyringError> {
            Err(KeyringError::NoSealingKey)
        }
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let attempt = |recipients: &Recipients| {
            let mut message = Vec::new();
            let options = SealOptions::default();
            let sealed = seal(&b"x"[..], &mut message, recipients, &options, &mut SeededRandom::new(1));
            assert_eq!(sealed.is_err(), message.is_empty());
            sealed
        };
        assert!(attempt(&Recipients(RECIPIENTS_MAX, 100)).is_ok());
        assert!(matches!(attempt(&Recipients(0, 100)), Err(SealError::RecipientCount { count: 0, .. })));
        assert!(matches!(
            attempt(&Recipients(RECIPIENTS_MAX + 1, 100)),
            Err(SealError::RecipientCount { .. })
        ));
        assert!(matches!(attempt(&Recipients(20, 60_000)), Err(SealError::HeaderTooLong { .. })));
        assert!(matches!(attempt(&Recipients(1, 65_536)), Err(SealError::FieldTooLong)));
    }

    #[test]
    fn a_reader_that_fails_and_a_full_disk_are_told_apart() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the cable came off"))
            }
        }
        let options = SealOptions::default();
        let error = seal(Broken, io::sink(), &keyring(), &options, &mut SeededRandom::new(1)).unwrap_err();
        assert_eq!(error.to_string(), "reading the plaintext failed: the cable came off");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = seal(&b"x"[..], full, &keyring(), &options, &mut SeededRandom::new(1)).unwrap_err();
        assert_eq!(error.to_string(), "the disk is full: writing the message failed");
    }
}
