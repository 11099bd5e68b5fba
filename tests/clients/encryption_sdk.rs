//! The AWS Encryption SDK for Python opens what is sealed here and the other way round; each refuses what the other
//! would, and for the same damage.

use std::{collections::BTreeMap, fs, path::Path};

use keystead::{
    crypto::random::SystemRandom,
    envelope::{
        Content, ErrorClass, FrameLength, MultiKeyring, OpenMessageError, OpenOptions, Opened, RawAesKeyring,
        SealOptions, open, seal,
    },
    model::EncryptionContext,
    secret::SecretKey,
};
use serde::{Deserialize, Serialize};

use crate::python;

const KEY: [u8; 32] = *b"a wrapping key of both the sides";
const NAMESPACE: &str = "keystead tests";
const NAME: &str = "läptop";

#[derive(Serialize)]
struct Case {
    namespace: &'static str,
    name: &'static str,
    key: String,
    frame_length: u32,
    header_bytes: u64,
    context: EncryptionContext,
    /// Names of files: the plaintext, what was sealed here, what the client is to seal.
    plaintext: String,
    sealed: String,
    answer: String,
}

#[derive(Deserialize)]
struct Outcome {
    opened: bool,
    context: EncryptionContext,
    frame_length: u32,
    /// What was done to the message, and the error it ended in.
    denied: BTreeMap<String, Option<String>>,
}

fn keyring(key: &[u8; 32]) -> RawAesKeyring {
    RawAesKeyring::new(NAMESPACE, NAME, SecretKey::from_slice(key).unwrap()).unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::from_pairs(pairs.iter().copied()).unwrap()
}

/// Seals a plaintext of this length in `directory`, for the client's key and for one that the client does not have.
fn case(directory: &Path, frame_length: u32, length: usize) -> Case {
    let name = format!("{length} in frames of {frame_length}");
    let context = match length {
        0 => EncryptionContext::new(),
        _ => context(&[("model", "resnet-50"), ("Größe", "klein"), ("empty", "")]),
    };
    let plaintext: Vec<u8> = (0..length).map(|at| (at % 253) as u8).collect();
    let stranger = RawAesKeyring::new("strangers", "key", SecretKey::from_slice(&[3; 32]).unwrap()).unwrap();
    let options = SealOptions {
        context: context.clone(),
        frame_length: FrameLength::new(frame_length).unwrap(),
        ..SealOptions::default()
    };
    let mut message = Vec::new();
    let recipients = MultiKeyring::new(stranger).with(keyring(&KEY));
    let sealed = seal(plaintext.as_slice(), &mut message, &recipients, &options, &mut SystemRandom).unwrap();
    let case = Case {
        namespace: NAMESPACE,
        name: NAME,
        key: hex::encode(KEY),
        frame_length,
        header_bytes: sealed.header_bytes,
        context,
        sealed: format!("{name}.sealed"),
        answer: format!("{name}.answer"),
        plaintext: name,
    };
    fs::write(directory.join(&case.plaintext), plaintext).unwrap();
    fs::write(directory.join(&case.sealed), message).unwrap();
    case
}

fn opened(
    message: &[u8],
    key: &[u8; 32],
    required_context: EncryptionContext,
) -> Result<(Opened, Vec<u8>), OpenMessageError> {
    let mut plaintext = Vec::new();
    let options = OpenOptions { required_context, ..OpenOptions::default() };
    open(message, &mut plaintext, &keyring(key), &options).map(|opened| (opened, plaintext))
}

/// Opens what the client sealed, and refuses what was done to it.
fn check_answer(directory: &Path, case: &Case) {
    let name = &case.plaintext;
    let message = fs::read(directory.join(&case.answer)).unwrap();
    let (answer, plaintext) = opened(&message, &KEY, case.context.clone()).unwrap();
    assert_eq!(plaintext, fs::read(directory.join(name)).unwrap(), "{name}");
    assert_eq!(answer.header.context, case.context, "{name}");
    let frame_length = std::num::NonZeroU32::new(case.frame_length).unwrap();
    assert_eq!(answer.header.content, Content::Framed { frame_length }, "{name}");

    let denied = |message: &[u8], key: &[u8; 32], required: EncryptionContext| {
        let error = opened(message, key, required).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity, "{name}: {error}");
    };
    denied(&message, &[0; 32], EncryptionContext::new());
    denied(&message, &KEY, context(&[("model", "resnet-51")]));
    denied(&message[..message.len() - 1], &KEY, EncryptionContext::new());
    let body = usize::try_from(answer.header_bytes).unwrap();
    for at in [10, body - 1, body + 24, message.len() - 1] {
        let mut damaged = message.clone();
        damaged[at] ^= 1;
        denied(&damaged, &KEY, EncryptionContext::new());
    }
}

#[test]
fn the_python_sdk_opens_ours_and_we_open_its() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut cases = Vec::new();
    for frame_length in [128, 4096, 1024 * 1024] {
        for length in [0, 1, 2 * frame_length as usize, 2 * frame_length as usize + 1] {
            cases.push(case(directory, frame_length, length));
        }
    }
    fs::write(directory.join("cases.json"), serde_json::to_vec(&cases).unwrap()).unwrap();
    let outcomes = python::run_script("encryption_sdk.py", &[directory.to_str().unwrap()]);
    let outcomes: Vec<Outcome> = serde_json::from_str(&outcomes).unwrap();
    assert_eq!(outcomes.len(), cases.len());
    for (case, outcome) in cases.iter().zip(outcomes) {
        let name = &case.plaintext;
        assert!(outcome.opened, "{name}: another plaintext came out");
        assert_eq!(outcome.context, case.context, "{name}");
        assert_eq!(outcome.frame_length, case.frame_length, "{name}");
        assert_eq!(outcome.denied.len(), if case.context.is_empty() { 5 } else { 6 }, "{name}");
        for (damage, error) in outcome.denied {
            assert!(error.is_some(), "{name}: the client opened it with {damage} changed");
        }
        check_answer(directory, case);
    }
}
