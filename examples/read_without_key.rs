//! Proves that read access without key access cannot decrypt: the assertion that a test of yours could make.
//!
//! ```text
//! cargo run --example read_without_key
//! ```

#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;

use keystead::{
    artifact::{Source, Target},
    lab::seed::{LAB, Seed},
    model::{EncryptionContext, ErrorCode, KeyRef},
    services::s3::{Encryption, ObjectError},
    testing::Lab,
};

fn main() -> Result<(), Box<dyn Error>> {
    // A throw-away keystore with the people, the bucket and the keys of keystore/lab.toml. Bob may read the bucket;
    // only alice may use the key `alias/models` too.
    let lab = Lab::new()?;
    Seed::parse(LAB)?.plan(lab.keystore())?.apply(lab.keystore(), &lab.admin(), &mut Vec::new())?;
    let (alice, bob) = (lab.keystore().caller("user/alice")?, lab.keystore().caller("user/bob")?);
    let key: KeyRef = "alias/models".parse()?;

    // Through the bucket: the permission to read the object is not the permission to decrypt it.
    lab.put(&alice, "models", "tiny.safetensors", Encryption::KmsKey(key.clone()), b"weights")?;
    assert_eq!(lab.get(&alice, "models", "tiny.safetensors")?, b"weights");
    match lab.get(&bob, "models", "tiny.safetensors") {
        Err(ObjectError::Call(denied)) if denied.code() == ErrorCode::AccessDenied => {
            println!("bob: {denied}")
        }
        other => return Err(format!("bob should have been denied: {other:?}").into()),
    }

    // With the sealed file in hand: the same.
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    let (source, target) = (Source::Stream(&mut &b"weights"[..]), Target::Stream(&mut sealed));
    lab.keystore().artifacts(&alice).seal(key, source, target, EncryptionContext::new())?;
    let (source, target) = (Source::Stream(&mut sealed.as_slice()), Target::Stream(&mut opened));
    match lab.keystore().artifacts(&bob).open(source, target, EncryptionContext::new()) {
        Err(denied) if denied.kms_answer().is_some_and(|answer| answer.code() == ErrorCode::AccessDenied) => {
        }
        other => return Err(format!("bob should have been denied: {other:?}").into()),
    }
    assert!(opened.is_empty(), "bob got a byte");

    // And the log remembers that he tried.
    let events = lab.keystore().audit_tail(&lab.admin(), 1)?;
    for event in &events {
        let who = event.user_identity.user_name.as_deref().unwrap_or("?");
        println!("log: {who} {} {}", event.event_name, event.error_code.as_deref().unwrap_or("ok"));
    }
    assert!(events.iter().any(|event| !event.succeeded()));
    Ok(())
}
