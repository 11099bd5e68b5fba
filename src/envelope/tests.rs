//! Whole messages: round trips, damage of every kind, hostile lengths, constant memory, published vectors.

use std::{
    cell::Cell,
    io::{self, Read, Write},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use proptest::prelude::*;

use super::*;
use crate::{
    crypto::random::{Random, SeededRandom},
    model::EncryptionContext,
    secret::SecretKey,
};

fn raw_keyring(byte: u8) -> RawAesKeyring {
    RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
}

fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("model", "tiny"), ("stage", "test")]).unwrap()
}

fn sealed(plaintext: &[u8], frame_length: u32) -> (Vec<u8>, usize) {
    let options = SealOptions {
        context: context(),
        frame_length: FrameLength::new(frame_length).unwrap(),
        ..SealOptions::default()
    };
    let mut message = Vec::new();
    let sealed = seal(plaintext, &mut message, &raw_keyring(1), &options, &mut SeededRandom::new(9)).unwrap();
    (message, sealed.header_bytes as usize)
}

/// What opening gives: the plaintext that was released, and how it ended.
fn opened(message: &[u8]) -> (Vec<u8>, Result<Opened, OpenMessageError>) {
    let mut plaintext = Vec::new();
    let result = open(message, &mut plaintext, &raw_keyring(1), &OpenOptions::default());
    (plaintext, result)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn every_length_around_a_frame_survives_the_round_trip() {
    for frame_length in [1u32, 2, 16, 128, 1000] {
        let f = frame_length as usize;
        for length in [0, 1, f - 1, f, f + 1, 3 * f, 3 * f + 1] {
            let (message, header_bytes) = sealed(&text(length), frame_length);
            let (plaintext, result) = opened(&message);
            let result = result.unwrap();
            assert_eq!(plaintext, text(length), "{length} in frames of {frame_length}");
            assert_eq!(result.header.context, context());
            assert_eq!((result.header_bytes, result.plaintext_bytes), (header_bytes as u64, length as u64));
            assert_eq!(result.frames as usize, length / f + 1);
            let info = inspect(message.as_slice(), Some(message.len() as u64)).unwrap();
            let sizes = info.body.unwrap();
            assert_eq!((sizes.plaintext_bytes, sizes.frames), (length as u64, result.frames));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_plaintext_in_any_frames_survives_the_round_trip(
        plaintext in proptest::collection::vec(any::<u8>(), 0..3000), frame_length in 1..2000u32,
    ) {
        let (message, _) = sealed(&plaintext, frame_length);
        let (opened, result) = opened(&message);
        prop_assert!(result.is_ok());
        prop_assert_eq!(opened, plaintext);
    }
}

#[test]
fn a_message_cut_anywhere_fails_and_releases_its_whole_frames_alone() {
    let plaintext = text(70);
    let (message, header_bytes) = sealed(&plaintext, 32);
    for length in 0..message.len() {
        let (released, result) = opened(&message[..length]);
        let error = result.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity, "{length}: {error}");
        let whole_frames = length.saturating_sub(header_bytes) / 64;
        assert_eq!(released, plaintext[..whole_frames.min(2) * 32], "{length}");
    }
}

#[test]
fn a_changed_bit_anywhere_fails_and_releases_nothing_that_is_not_authentic() {
    let plaintext = text(70);
    let (message, header_bytes) = sealed(&plaintext, 32);
    for bit in 0..message.len() * 8 {
        let mut changed = message.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (released, result) = opened(&changed);
        let error = result.unwrap_err();
        assert!(plaintext.starts_with(&released), "bit {bit}");
        assert!(released.len() <= (bit / 8).saturating_sub(header_bytes) / 64 * 32, "bit {bit}");
        // A changed name of the key makes it no recipient, and the first byte's may make it no message.
        assert!(
            matches!(error.class(), ErrorClass::Integrity | ErrorClass::KeyUnusable)
                || matches!(error, OpenMessageError::SuiteForbidden { .. }),
            "bit {bit}: {error}"
        );
    }
}

#[test]
fn bytes_after_the_end_fail() {
    let (mut message, _) = sealed(&text(70), 32);
    message.push(0);
    let (released, result) = opened(&message);
    assert!(matches!(result, Err(OpenMessageError::TrailingBytes)));
    assert_eq!(released, text(70));
}

#[test]
fn swapped_repeated_and_missing_frames_fail() {
    let (message, header_bytes) = sealed(&text(70), 32);
    let (header, body) = message.split_at(header_bytes);
    let (one, two, last) = (&body[..64], &body[64..128], &body[128..]);
    for (frames, released) in [
        (vec![two, one, last], 0),
        (vec![one, one, last], 32),
        (vec![one, last], 32),
        (vec![two, last], 0),
        (vec![last], 0),
        (vec![one, two, two, last], 64),
        (vec![], 0),
        (vec![one, two], 64),
    ] {
        let (plaintext, result) = opened(&[header, &frames.concat()].concat());
        let error = result.unwrap_err();
        assert!(matches!(error, OpenMessageError::Sequence { .. } | OpenMessageError::Truncated), "{error}");
        assert_eq!(plaintext.len(), released);
    }
    let mut renumbered = two.to_vec();
    renumbered[..16].copy_from_slice(&one[..16]);
    let (_, result) = opened(&[header, &renumbered, last].concat());
    assert!(matches!(result, Err(OpenMessageError::Frame { sequence: 1 })));
}

#[test]
fn frames_of_another_message_fail() {
    let (message, header_bytes) = sealed(&text(70), 32);
    let options = SealOptions {
        context: context(),
        frame_length: FrameLength::new(32).unwrap(),
        ..SealOptions::default()
    };
    let mut other = Vec::new();
    seal(text(70).as_slice(), &mut other, &raw_keyring(1), &options, &mut SeededRandom::new(10)).unwrap();
    let (plaintext, result) = opened(&[&message[..header_bytes], &other[header_bytes..]].concat());
    assert!(matches!(result, Err(OpenMessageError::Frame { sequence: 1 })));
    assert!(plaintext.is_empty());
}

/// A message as `seal` would not write it: by whom, with what, is up to the test.
fn forged(frame_length: u32, body: impl FnOnce(&frame::MessageCipher) -> Vec<u8>) -> Vec<u8> {
    let random: &mut dyn Random = &mut SeededRandom::new(3);
    let new = raw_keyring(1).generate(&context(), random).unwrap();
    let message_id = MessageId::from_bytes([3; 32]);
    let data_key = (&new.data_key).into();
    let (cipher, commitment) =
        frame::MessageCipher::derive(&data_key, SuiteId::COMMIT_KEY, message_id).unwrap();
    let header = Header {
        suite: SuiteId::COMMIT_KEY,
        message_id,
        context: context(),
        encrypted_data_keys: new.encrypted,
        content: std::num::NonZeroU32::new(frame_length)
            .map_or(Content::Unframed, |frame_length| Content::Framed { frame_length }),
        commitment: commitment.map(|commitment| *commitment.expose_secret()),
    };
    let header_body = header.to_body_bytes();
    let tag = cipher.header_tag(&header_body);
    [header_body.as_slice(), &tag, &body(&cipher)].concat()
}

fn final_frame(cipher: &frame::MessageCipher, sequence: u32, plaintext: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; 24], plaintext, &[0; 16]].concat();
    cipher.seal_frame(frame::Part::Final, sequence, &mut frame);
    frame
}

#[test]
fn a_full_final_frame_opens_and_a_longer_one_does_not() {
    let (plaintext, result) = opened(&forged(8, |cipher| final_frame(cipher, 1, b"8 bytes.")));
    assert_eq!((result.unwrap().frames, plaintext.as_slice()), (1, &b"8 bytes."[..]));
    let (plaintext, result) = opened(&forged(8, |cipher| final_frame(cipher, 1, b"9 bytes..")));
    assert!(matches!(result, Err(OpenMessageError::PartTooLong { claimed: 9, max: 8, .. })));
    assert!(plaintext.is_empty());
    let (_, result) = opened(&forged(8, |cipher| final_frame(cipher, 2, b"8 bytes.")));
    assert!(matches!(result, Err(OpenMessageError::Sequence { expected: 1, found: 2 })));
}

#[test]
fn an_unframed_body_opens_and_one_that_claims_too_much_does_not() {
    let whole = |cipher: &frame::MessageCipher, claim: u64| {
        let mut text = b"in one piece".to_vec();
        let (iv, tag) = cipher.seal_part(frame::Part::Whole, 1, &mut text);
        [iv.as_slice(), &claim.to_be_bytes(), &text, &tag].concat()
    };
    let (plaintext, result) = opened(&forged(0, |cipher| whole(cipher, 12)));
    assert_eq!((result.unwrap().header.content, plaintext), (Content::Unframed, b"in one piece".to_vec()));
    let (_, result) = opened(&forged(0, |cipher| whole(cipher, UNFRAMED_BYTES_MAX + 1)));
    assert!(matches!(result, Err(OpenMessageError::PartTooLong { .. })));
    let (_, result) = opened(&forged(0, |cipher| whole(cipher, UNFRAMED_BYTES_MAX)));
    assert!(matches!(result, Err(OpenMessageError::Truncated)));
}

#[test]
fn a_frame_length_of_4_gib_is_only_a_claim() {
    let message = forged(u32::MAX, |_| [&[0, 0, 0, 1], [0; 12].as_slice(), &[0; 50]].concat());
    let (plaintext, result) = opened(&message);
    assert!(matches!(result, Err(OpenMessageError::Truncated)));
    assert!(plaintext.is_empty());
    let (plaintext, result) = opened(&forged(u32::MAX, |cipher| final_frame(cipher, 1, b"short")));
    assert_eq!((result.unwrap().plaintext_bytes, plaintext.as_slice()), (5, &b"short"[..]));
}

#[test]
fn the_required_pairs_must_be_in_the_context() {
    let (message, _) = sealed(b"x", 8);
    let open_with = |pairs: &[(&str, &str)]| {
        let required_context = EncryptionContext::from_pairs(pairs.iter().copied()).unwrap();
        let options = OpenOptions { required_context, ..OpenOptions::default() };
        let mut plaintext = Vec::new();
        let result = open(message.as_slice(), &mut plaintext, &raw_keyring(1), &options);
        assert_eq!(result.is_ok(), plaintext == b"x");
        result
    };
    assert!(open_with(&[]).is_ok());
    assert!(open_with(&[("model", "tiny")]).is_ok());
    assert!(open_with(&[("model", "tiny"), ("stage", "test")]).is_ok());
    for denied in [&[("model", "huge")][..], &[("team", "ml")], &[("model", "tiny"), ("stage", "")]] {
        let error = open_with(denied).unwrap_err();
        assert!(matches!(error, OpenMessageError::ContextDiffers { .. }));
        assert_eq!(error.class(), ErrorClass::Integrity);
    }
}

#[test]
fn another_key_does_not_open() {
    let (message, _) = sealed(b"x", 8);
    let result = open(message.as_slice(), io::sink(), &raw_keyring(2), &OpenOptions::default()).unwrap_err();
    assert_eq!(result.class(), ErrorClass::Integrity, "{result}");
}

/// Answers one data key, whatever the message says.
struct StaticKeyring([u8; 32]);

impl Keyring for StaticKeyring {
    fn generate(&self, _: &EncryptionContext, _: &mut dyn Random) -> Result<NewDataKey, KeyringError> {
        Err(KeyringError::NoSealingKey)
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
        DataKey::new(self.0.as_slice().into()).ok_or(KeyringError::NoSealingKey)
    }
}

#[test]
fn another_data_key_breaks_the_commitment() {
    let (message, _) = sealed(b"x", 8);
    let result = open(message.as_slice(), io::sink(), &StaticKeyring([0; 32]), &OpenOptions::default());
    assert!(matches!(result, Err(OpenMessageError::Commitment)));
}

#[test]
fn messages_of_other_suites_are_refused_by_name_as_the_policy_says() {
    let open_with = |message: &[u8], commitment_policy| {
        let options = OpenOptions { commitment_policy, ..OpenOptions::default() };
        open(message, io::sink(), &raw_keyring(1), &options).unwrap_err()
    };
    let version_1 = [
        b"\x01\x80\x01\x78sixteen bytes id\0\0\0\x01\0\x01p\0\x01i\0\x01c\x02\0\0\0\0\x0c\0\0\0\x08"
            .as_slice(),
        &[0; 28],
    ]
    .concat();
    let error = open_with(&version_1, CommitmentPolicy::RequireEncryptRequireDecrypt);
    assert_eq!(
        error.to_string(),
        "the commitment policy REQUIRE_ENCRYPT_REQUIRE_DECRYPT forbids opening \
         0x0178 AES_256_GCM_IV12_TAG16_HKDF_SHA256, which does not commit to its key"
    );
    let error = open_with(&version_1, CommitmentPolicy::RequireEncryptAllowDecrypt);
    assert!(matches!(error, OpenMessageError::Keyring(KeyringError::NotARecipient { .. })), "{error}");
}

/// Gives bytes without end up to a limit, and takes bytes; both count.
struct Meter<'count> {
    read: &'count Cell<u64>,
    written: &'count Cell<u64>,
    /// The most that was read and not yet written.
    held_max: &'count Cell<u64>,
}

struct MeteredReader<'count, R>(Meter<'count>, R);
struct MeteredWriter<'count, W>(Meter<'count>, W);

impl<R: Read> Read for MeteredReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.1.read(buffer)?;
        let meter = &self.0;
        meter.read.set(meter.read.get() + read as u64);
        let held = meter.read.get().saturating_sub(meter.written.get());
        meter.held_max.set(meter.held_max.get().max(held));
        Ok(read)
    }
}

impl<W: Write> Write for MeteredWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.1.write(bytes)?;
        self.0.written.set(self.0.written.get() + written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[test]
fn no_more_is_ever_held_than_some_frames() {
    const FRAME: u64 = 16 * 1024;
    const PLAINTEXT: u64 = 40 * 1024 * 1024;
    // Whatever the number of threads.
    let bound = 17 * 1024 * 1024;
    let (read, written, held_max) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let meter = || Meter { read: &read, written: &written, held_max: &held_max };
    let frame_length = FrameLength::new(FRAME as u32).unwrap();
    let options = SealOptions { frame_length, ..SealOptions::default() };
    let mut message = Vec::new();
    seal(
        MeteredReader(meter(), io::repeat(7).take(PLAINTEXT)),
        MeteredWriter(meter(), &mut message),
        &raw_keyring(1),
        &options,
        &mut SeededRandom::new(1),
    )
    .unwrap();
    assert_eq!((read.get(), written.get()), (PLAINTEXT, message.len() as u64));
    assert!(held_max.get() <= bound, "{}", held_max.get());

    for count in [&read, &written, &held_max] {
        count.set(0);
    }
    let reader = MeteredReader(meter(), message.as_slice());
    open(reader, MeteredWriter(meter(), io::sink()), &raw_keyring(1), &OpenOptions::default()).unwrap();
    assert_eq!((read.get(), written.get()), (message.len() as u64, PLAINTEXT));
    let overhead = message.len() as u64 - PLAINTEXT;
    assert!(held_max.get() <= bound + overhead, "{}", held_max.get());
}

/// The AWS Encryption SDK's known answers for key commitment; see `tests/vectors/envelope/README.md`.
#[test]
fn the_published_known_answers_hold() {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Vector {
        ciphertext: String,
        commitment: String,
        message_id: String,
        decrypted_dek: String,
        encryption_context: EncryptionContext,
        #[serde(default)]
        plaintext_frames: Vec<String>,
        status: bool,
        comment: String,
    }
    let file = include_str!("../../tests/vectors/envelope/commitment-known-answers.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let vectors: Vec<Vector> = serde_json::from_value(file["tests"].clone()).unwrap();
    let bytes = |text: &str| BASE64.decode(text).unwrap();
    let (mut opened, mut refused, mut signed) = (0, 0, 0);
    for vector in vectors {
        let message = bytes(&vector.ciphertext);
        let keyring = StaticKeyring(bytes(&vector.decrypted_dek).try_into().unwrap());
        let mut plaintext = Vec::new();
        let result = open(message.as_slice(), &mut plaintext, &keyring, &OpenOptions::default());
        let info = inspect(message.as_slice(), None).unwrap();
        assert_eq!(info.message_id.as_bytes(), bytes(&vector.message_id), "{}", vector.comment);
        assert_eq!(info.context, vector.encryption_context, "{}", vector.comment);
        match result {
            Ok(result) => {
                assert!(vector.status, "{}", vector.comment);
                assert_eq!(plaintext, vector.plaintext_frames.concat().as_bytes(), "{}", vector.comment);
                assert_eq!(result.header.commitment.unwrap().as_slice(), bytes(&vector.commitment));
                if result.header.suite.signs() { signed += 1 } else { opened += 1 }
            }
            Err(OpenMessageError::Commitment) => {
                assert!(!vector.status && plaintext.is_empty(), "{}", vector.comment);
                refused += 1;
            }
            Err(error) => panic!("{}: {error}", vector.comment),
        }
    }
    assert_eq!((opened, refused, signed), (20, 5, 21));
}
