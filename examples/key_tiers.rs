//! The three tiers of KMS keys: what each lets you do, tried in a keystore that lives in memory.
//!
//! ```text
//! cargo run --example key_tiers
//! ```

#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;

use keystead::{
    kms::{DescribeKey, Encrypt, ListKeys},
    lab::tiers::TierTable,
    model::{EncryptionContext, KeyRef},
    services::s3::Encryption,
    testing::Lab,
};

fn main() -> Result<(), Box<dyn Error>> {
    let lab = Lab::new()?;
    let (kms, admin) = (lab.kms(), lab.admin());

    // An AWS owned key: S3 encrypts every object, if need be with a key of its own. You never see it.
    lab.put(&admin, "models", "a.safetensors", Encryption::Aes256, b"weights")?;
    println!("after a put without a flag: {} keys listed", kms.list_keys(&admin, ListKeys::default())?.len());

    // An AWS managed key: `aws:kms` without a key id. S3 made the key in your account just now.
    lab.put(&admin, "models", "b.safetensors", Encryption::AwsManagedKey, b"weights")?;
    let managed: KeyRef = "alias/aws/s3".parse()?;
    let described = kms.describe_key(&admin, DescribeKey { key_id: managed.clone() })?;
    println!("after a put with aws:kms:   {}, {}", described.arn, described.description);

    // You can look at it, and S3 uses it for you. You cannot use it yourself, whatever your own policy says.
    let encryption_context = EncryptionContext::new();
    let encrypt = Encrypt { key_id: managed, plaintext: b"mine".as_slice().into(), encryption_context };
    match kms.encrypt(&admin, encrypt) {
        Ok(_) => return Err("an AWS managed key was used directly".into()),
        Err(denied) => println!("using it directly:          {}", denied.code()),
    }

    // A customer managed key is yours, with its policy, its rotation and its end.
    let key = lab.key()?;
    let encryption_context = EncryptionContext::new();
    let encrypt = Encrypt { key_id: key.into(), plaintext: b"mine".as_slice().into(), encryption_context };
    println!("using your own:             {} bytes", kms.encrypt(&admin, encrypt)?.ciphertext_blob.len());

    // All of it, found out by trying.
    println!("\n{}", TierTable::observe()?);
    Ok(())
}
