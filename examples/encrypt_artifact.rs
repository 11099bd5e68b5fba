//! Encrypts a model file at rest and opens it again: envelope encryption with a keystore on disk.
//!
//! ```text
//! cargo run --example encrypt_artifact [FILE]
//! ```

#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::{env, error::Error, fs, path::PathBuf};

use keystead::{
    artifact::{Source, Target},
    keystore::{Keystore, NewKeystore, Seal},
    kms::{CreateAlias, CreateKey, RotateKeyOnDemand},
    model::{EncryptionContext, KeyRef},
};

fn main() -> Result<(), Box<dyn Error>> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/model/tiny-mlp.safetensors");
    let model = env::args_os().nth(1).map_or_else(|| PathBuf::from(shipped), PathBuf::from);

    // A keystore in a directory. The key file that unlocks it lies elsewhere, so that a copy of the directory opens
    // nothing. Here both go away when the example ends; yours would stay.
    let place = tempfile::tempdir()?;
    let new = NewKeystore { account: "111122223333".parse()?, region: "us-east-1".parse()? };
    let seal = Seal::KeyFile(place.path().join("keystore.key"));
    let keystore = Keystore::create(&place.path().join("keystore"), new, seal, "encrypt_artifact")?;
    let (kms, admin) = (keystore.kms(), keystore.administrator());

    // A key with a name.
    let key = kms.create_key(&admin, CreateKey::default().description("Seals model artifacts"))?;
    let alias: KeyRef = "alias/models".parse()?;
    kms.create_alias(
        &admin,
        CreateAlias { alias_name: "alias/models".parse()?, target_key_id: key.arn.into() },
    )?;

    // Sealed: a data key made for this file alone encrypts it, and goes along encrypted under `alias/models`. The context
    // is not secret; it is bound to the file, and whoever opens it can insist on it.
    let context = EncryptionContext::from_pairs([("model", "tiny-mlp"), ("stage", "released")])?;
    let sealed = place.path().join("model.sealed");
    let (source, target) = (Source::File(&model), Target::File(&sealed));
    let done = keystore.artifacts(&admin).seal(alias.clone(), source, target, context)?;
    println!("sealed: {} bytes became {}", done.message.plaintext_bytes, done.message.message_bytes);

    // The key rotates, and what was sealed before still opens.
    kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: alias })?;

    let opened = place.path().join("model.opened");
    let released = EncryptionContext::from_pairs([("stage", "released")])?;
    let (source, target) = (Source::File(&sealed), Target::File(&opened));
    keystore.artifacts(&admin).open(source, target, released)?;
    if fs::read(&opened)? != fs::read(&model)? {
        return Err("the opened file differs from the model".into());
    }
    println!("opened: the same bytes again");

    // Who insists on a context that the file does not have gets nothing.
    let draft = EncryptionContext::from_pairs([("stage", "draft")])?;
    let (source, target) = (Source::File(&sealed), Target::Beside);
    match keystore.artifacts(&admin).open(source, target, draft) {
        Ok(_) => return Err("a released model was opened as a draft".into()),
        Err(refused) => println!("as a draft: {refused}"),
    }
    Ok(())
}
