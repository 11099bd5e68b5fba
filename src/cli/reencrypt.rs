//! `keystead reencrypt`

use std::path::PathBuf;

use clap::Args;

use super::{
    encrypt::frame_length,
    error::CommandError,
    folder::{message_id, tell_sealed},
    global::Global,
    keyring::{ContextArgs, RawAes, RawKeys, keyrings},
    output,
    progress::Meter,
    stream::expect_not_the_keystores,
};
use crate::{
    artifact::{self, folder::reencrypt_folder},
    crypto::random::SystemRandom,
    envelope::{FrameLength, Keyring, KmsKeyring, MessageId, MultiKeyring, OpenOptions},
    keystore::Keystore,
    model::KeyRef,
};

/// Move an encrypted file or folder to another key
///
/// Example: keystead reencrypt models.sealed/ --key alias/new-models
///
/// Decrypts and encrypts in one pass. Each message is a new one, with an id and a data key of its own, and takes the place
/// of the old one when it is whole; a folder is replaced as a whole. Context and frame lengths stay.
#[derive(Debug, Args)]
pub(super) struct Reencrypt {
    /// The file or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// A KMS key to move it to: id, ARN, alias name or alias ARN; repeatable
    #[arg(long = "key", alias = "key-id", value_name = "KEY", required_unless_present = "new_raw_aes")]
    keys: Vec<KeyRef>,
    /// A raw AES key to move it to; repeatable
    #[arg(long, value_name = "NAMESPACE,NAME,KEYFILE")]
    new_raw_aes: Vec<RawAes>,
    #[command(flatten)]
    raw: RawKeys,
    #[command(flatten)]
    context: ContextArgs,
    /// How many bytes each frame holds [default: as many as now]
    #[arg(long, value_name = "BYTES", value_parser = frame_length)]
    frame_length: Option<FrameLength>,
    /// The message id that a folder's manifest must have
    #[arg(long, value_name = "ID", value_parser = message_id)]
    manifest_id: Option<MessageId>,
}

impl Reencrypt {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let mut old_raw = self.raw.keyrings()?.into_iter();
        let mut new_raw = keyrings(&self.new_raw_aes)?.into_iter();
        // Raw keys alone need no KMS.
        let needs_kms = !self.keys.is_empty() || self.raw.is_empty();
        let session = if needs_kms { Some(global.session()?) } else { None };
        let keystore = session.as_ref().map(|(keystore, _)| keystore);
        let kms = session.as_ref().map(|(keystore, caller)| keystore.kms().data_keys(caller.clone()));
        let no_key = || CommandError::usage("no key was given");
        let old = match (&kms, self.raw.is_empty()) {
            (Some(kms), true) => MultiKeyring::new(KmsKeyring::discovery(kms)),
            _ => MultiKeyring::new(old_raw.next().ok_or_else(no_key)?),
        };
        let new = match (&kms, self.keys.split_first()) {
            (Some(kms), Some((first, others))) => MultiKeyring::new(
                others.iter().cloned().fold(KmsKeyring::new(kms, first.clone()), KmsKeyring::with),
            ),
            _ => MultiKeyring::new(new_raw.next().ok_or_else(no_key)?),
        };
        let (old, new) = (old_raw.fold(old, MultiKeyring::with), new_raw.fold(new, MultiKeyring::with));
        expect_not_the_keystores(&self.path, keystore)?;
        let opening = OpenOptions { required_context: self.context.context()?, ..OpenOptions::default() };
        self.moved(global, keystore, (&old, &opening), &new)
    }

    fn moved(
        &self,
        global: &Global,
        keystore: Option<&Keystore>,
        (old, opening): (&dyn Keyring, &OpenOptions),
        new: &dyn Keyring,
    ) -> Result<(), CommandError> {
        let random = &mut SystemRandom;
        if self.path.is_dir() {
            expect_not_the_keystores(&self.path.join("x"), keystore)?;
            let meter = Meter::of_folder(global)?;
            let moved = reencrypt_folder(
                &self.path,
                (old, opening),
                self.manifest_id,
                (new, self.frame_length),
                random,
                &meter,
            )?;
            drop(meter);
            return tell_sealed(global, &moved, "moved");
        }
        if self.manifest_id.is_some() {
            return Err(CommandError::usage("`--manifest-id` is for folders, and this is none"));
        }
        let meter = Meter::new(global);
        let progress = &mut |progress| meter.update(&self.path, progress);
        let moved = artifact::reencrypt(&self.path, old, opening, new, self.frame_length, random, progress)?;
        drop(meter);
        let message = &moved.message;
        if global.json {
            return output::json(&serde_json::json!({
                "Path": self.path.to_string_lossy(),
                "MessageId": message.header.message_id,
                "PlaintextBytes": message.plaintext_bytes,
                "MessageBytes": message.message_bytes,
            }));
        }
        output::line(&self.path.display().to_string())?;
        output::say(&format!("moved {}, as a new message", output::bytes(message.plaintext_bytes)));
        Ok(())
    }
}
