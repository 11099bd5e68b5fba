//! `keystead reencrypt`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    encrypt::frame_length,
    error::CommandError,
    folder::{message_id, tell_sealed},
    global::Global,
    keyring::{ContextArgs, RawAes, RawKeys, RawRsa, keyrings, no_key},
    lease::{Lease, with_lease},
    output,
    progress::Meter,
    stream::{Protected, expect_named},
};
use crate::{
    artifact::{
        self,
        folder::{MANIFEST_NAME, reencrypt_folder},
    },
    crypto::random::SystemRandom,
    envelope::{CommitmentPolicy, FrameLength, Keyring, KmsKeyring, MessageId, MultiKeyring, OpenOptions},
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
    #[arg(long = "key", alias = "key-id", value_name = "KEY")]
    keys: Vec<KeyRef>,
    /// A raw AES key to move it to; repeatable
    #[arg(long, value_name = "NAMESPACE,NAME,KEYFILE")]
    new_raw_aes: Vec<RawAes>,
    /// A raw RSA key to move it to; repeatable
    #[arg(long, value_name = "NAMESPACE,NAME,PADDING,PEMFILE")]
    new_raw_rsa: Vec<RawRsa>,
    #[command(flatten)]
    raw: RawKeys,
    #[command(flatten)]
    context: ContextArgs,
    /// Which messages to move: require-encrypt-allow-decrypt moves those of old suites too, which do not commit to their
    /// key. What they become does
    #[arg(long, value_name = "POLICY", default_value = "require-encrypt-require-decrypt")]
    commitment_policy: CommitmentPolicy,
    /// How many bytes each frame holds [default: as many as now]
    #[arg(long, value_name = "BYTES", value_parser = frame_length)]
    frame_length: Option<FrameLength>,
    /// The message id that a folder's manifest must have
    #[arg(long, value_name = "ID", value_parser = message_id)]
    manifest_id: Option<MessageId>,
}

impl Reencrypt {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        expect_named(&self.path, "of a stream: `keystead decrypt - | keystead encrypt - --key NEW`")?;
        if self.keys.is_empty() && self.new_raw_aes.is_empty() && self.new_raw_rsa.is_empty() {
            return Err(no_key("--new-raw-"));
        }
        // Raw keys alone need no KMS.
        if self.keys.is_empty() && !self.raw.is_empty() {
            self.with_kms(global, None)
        } else {
            with_lease(global, |kms| self.with_kms(global, Some(kms)))
        }
    }

    fn with_kms(&self, global: &Global, kms: Option<&Lease<'_>>) -> Result<(), CommandError> {
        let mut old_raw = self.raw.keyrings()?.into_iter();
        let mut new_raw = keyrings(&self.new_raw_aes, &self.new_raw_rsa)?.into_iter();
        let old = match (kms, self.raw.is_empty()) {
            (Some(kms), true) => MultiKeyring::new(KmsKeyring::discovery(kms)),
            _ => MultiKeyring::new(old_raw.next().ok_or_else(|| no_key("--raw-"))?),
        };
        let new = match (kms, self.keys.split_first()) {
            (Some(kms), Some((first, others))) => MultiKeyring::new(
                others.iter().cloned().fold(KmsKeyring::new(kms, first.clone()), KmsKeyring::with),
            ),
            _ => MultiKeyring::new(new_raw.next().ok_or_else(|| no_key("--new-raw-"))?),
        };
        let (old, new) = (old_raw.fold(old, MultiKeyring::with), new_raw.fold(new, MultiKeyring::with));
        let protected = Protected { keystore: kms.map(Lease::own_files), ..Protected::default() };
        protected.expect_not(&self.path)?;
        let opening = OpenOptions {
            required_context: self.context.context()?,
            commitment_policy: self.commitment_policy,
        };
        self.moved(global, &protected, (&old, &opening), &new)
    }

    fn moved(
        &self,
        global: &Global,
        protected: &Protected<'_>,
        (old, opening): (&dyn Keyring, &OpenOptions),
        new: &dyn Keyring,
    ) -> Result<(), CommandError> {
        let random = &mut SystemRandom;
        if self.path.is_dir() {
            protected.expect_not(&self.path.join("x"))?;
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
        expect_in_no_folder(&self.path)?;
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

/// Refuses one message of a sealed folder: the folder's manifest names the message that would be replaced.
fn expect_in_no_folder(path: &Path) -> Result<(), CommandError> {
    // What cannot be found is complained of by whoever opens it.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match real.ancestors().skip(1).find(|above| above.join(MANIFEST_NAME).is_file()) {
        None => Ok(()),
        Some(folder) => {
            let folder = folder.display();
            let message = format!("`{}` belongs to the encrypted folder `{folder}`", path.display());
            Err(CommandError::usage(message)
                .hint(format!("move the whole of it: `keystead reencrypt {folder}`"))
                .hint("or copy the file elsewhere first"))
        }
    }
}
