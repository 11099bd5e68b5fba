//! Every algorithm suite, framed and not, under every raw wrapping key: what the AWS Encryption SDK for Python seals is
//! opened here, and what is sealed here (with the two suites that commit to their key) it opens.

use std::{collections::HashMap, fs, path::Path};

use keystead::{
    crypto::{
        random::SystemRandom,
        rsa::{RsaKey, RsaPadding},
    },
    envelope::{
        CommitmentPolicy, ErrorClass, FrameLength, Keyring, OpenMessageError, OpenOptions, RawAesKeyring,
        RawRsaKeyring, SealOptions, SealedMessage, SuiteId, open, seal,
    },
    model::EncryptionContext,
    secret::SecretBytes,
};
use serde::{Deserialize, Serialize};

use crate::python;

const NAMESPACE: &str = "keystead tests";

#[derive(Serialize, Deserialize)]
struct Message {
    /// The file's name.
    name: String,
    suite: u16,
    /// The SDK's name of the wrapping algorithm, which is the key's name too.
    wrapping: String,
    length: usize,
}

/// The wrapping key by this name; with `strange`, another key of the same name.
fn keyring(keys: &HashMap<String, String>, wrapping: &str, strange: bool) -> Box<dyn Keyring> {
    match wrapping.parse::<RsaPadding>() {
        Ok(padding) => {
            let key = RsaKey::from_pem(keys["rsa"].as_bytes()).unwrap();
            // A key that opens nothing of it: the right one with another padding.
            let other =
                if padding == RsaPadding::OaepSha1 { RsaPadding::Pkcs1 } else { RsaPadding::OaepSha1 };
            let padding = if strange { other } else { padding };
            Box::new(RawRsaKeyring::new(NAMESPACE, wrapping, padding, key).unwrap())
        }
        Err(_) => {
            let mut key = hex::decode(&keys[wrapping]).unwrap();
            key[0] ^= u8::from(strange);
            Box::new(RawAesKeyring::of_any_length(NAMESPACE, wrapping, SecretBytes::new(key)).unwrap())
        }
    }
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn opened(
    message: &[u8],
    keyring: &dyn Keyring,
    commitment_policy: CommitmentPolicy,
) -> Result<Vec<u8>, OpenMessageError> {
    let required_context = EncryptionContext::from_pairs([("model", "tiny")]).unwrap();
    let mut plaintext = Vec::new();
    open(message, &mut plaintext, keyring, &OpenOptions { required_context, commitment_policy })?;
    Ok(plaintext)
}

/// One message of the client: it opens, also at an offset, and each denied twin of it does not.
fn check(bytes: &[u8], message: &Message, keys: &HashMap<String, String>) {
    const ANY: CommitmentPolicy = CommitmentPolicy::RequireEncryptAllowDecrypt;
    let name = &message.name;
    let suite = SuiteId::from_number(message.suite).unwrap();
    let right = keyring(keys, &message.wrapping, false);
    assert_eq!(opened(bytes, &*right, ANY).unwrap(), plaintext(message.length), "{name}");

    let strict = opened(bytes, &*right, CommitmentPolicy::default());
    assert_eq!(strict.is_ok(), suite.commits(), "{name}: {strict:?}");
    let wrong = opened(bytes, &*keyring(keys, &message.wrapping, true), ANY).unwrap_err();
    assert_eq!(wrong.class(), ErrorClass::Integrity, "{name}: {wrong}");
    // The header, the last byte of the body or of the signature, and the end.
    for at in [10, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1;
        assert!(opened(&damaged, &*right, ANY).is_err(), "{name}: a bit of byte {at}");
    }
    for cut in [bytes.len() - 1, bytes.len() - 17, 40] {
        assert!(opened(&bytes[..cut], &*right, ANY).is_err(), "{name}: cut at {cut}");
    }
    assert!(opened(&[bytes, b"x"].concat(), &*right, ANY).is_err(), "{name}: longer");

    let options = OpenOptions { commitment_policy: ANY, ..OpenOptions::default() };
    let at_offset = SealedMessage::open(bytes, bytes.len() as u64, &*right, &options);
    if let Ok(at_offset) = at_offset {
        let mut part = vec![0; message.length / 2];
        let offset = message.length - part.len();
        at_offset.read_exact_at(&mut part, offset as u64).unwrap();
        assert_eq!(part, plaintext(message.length)[offset..], "{name}");
    } else {
        assert!(suite.signs() || name.contains(" 0 "), "{name} does not open at an offset");
    }
}

/// Seals with each suite that is sealed here, for each wrapping key.
fn seal_all(directory: &Path, keys: &HashMap<String, String>, wrappings: &[String]) -> Vec<Message> {
    let mut messages = Vec::new();
    for suite in SuiteId::all().filter(|suite| suite.commits()) {
        for wrapping in wrappings {
            for length in [0, 1, 128, 400] {
                let options = SealOptions {
                    suite,
                    frame_length: FrameLength::new(128).unwrap(),
                    context: EncryptionContext::from_pairs([("model", "tiny")]).unwrap(),
                    ..SealOptions::default()
                };
                let mut sealed = Vec::new();
                let keyring = keyring(keys, wrapping, false);
                seal(plaintext(length).as_slice(), &mut sealed, &*keyring, &options, &mut SystemRandom)
                    .unwrap();
                let name = format!("ours {} {wrapping} {length}", suite.number());
                fs::write(directory.join(&name), sealed).unwrap();
                let wrapping = wrapping.clone();
                messages.push(Message { name, suite: suite.number(), wrapping, length });
            }
        }
    }
    messages
}

#[test]
fn every_suite_under_every_wrapping_key_goes_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    python::run_script("suites.py", &["seal", directory.to_str().unwrap()]);
    let json = |name: &str| fs::read(directory.join(name)).unwrap();
    let keys: HashMap<String, String> = serde_json::from_slice(&json("keys.json")).unwrap();
    let messages: Vec<Message> = serde_json::from_slice(&json("messages.json")).unwrap();
    assert_eq!(messages.len(), SuiteId::all().count() * 2 * 8 * 4);
    for message in &messages {
        check(&fs::read(directory.join(&message.name)).unwrap(), message, &keys);
    }

    let mut wrappings: Vec<String> = messages.into_iter().map(|message| message.wrapping).collect();
    wrappings.sort();
    wrappings.dedup();
    let sealed = seal_all(directory, &keys, &wrappings);
    fs::write(directory.join("sealed.json"), serde_json::to_vec(&sealed).unwrap()).unwrap();
    let opened = python::run_script("suites.py", &["open", directory.to_str().unwrap()]);
    let opened: Vec<bool> = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened, vec![true; sealed.len()]);
}
