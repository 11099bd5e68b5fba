//! Artifacts sealed and opened under this keystore's keys, for the usual case of one key and one caller.

use super::Keystore;
use crate::{
    artifact::{self, ArtifactError, Done, Source, Target},
    crypto::random::SystemRandom,
    envelope::{KmsKeyring, OpenOptions, Opened, SealOptions, Sealed},
    kms::Caller,
    model::{EncryptionContext, KeyRef},
};

impl Keystore {
    /// Seals an artifact under a key, as `caller`, who needs `kms:GenerateDataKey` on it. No file is replaced.
    ///
    /// [`artifact::seal`] can do more: several keys, keys outside of any KMS, progress.
    ///
    /// ```
    /// use keystead::{artifact::{Source, Target}, model::EncryptionContext, testing::Lab};
    ///
    /// let lab = Lab::new()?;
    /// let (keystore, admin, key) = (lab.keystore(), lab.admin(), lab.key()?);
    /// let context = EncryptionContext::from_pairs([("model", "tiny")])?;
    /// let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    /// let (source, target) = (Source::Stream(&mut &b"weights"[..]), Target::Stream(&mut sealed));
    /// keystore.seal_artifact(&admin, key.into(), source, target, context.clone())?;
    /// let (source, target) = (Source::Stream(&mut sealed.as_slice()), Target::Stream(&mut opened));
    /// keystore.open_artifact(&admin, source, target, context)?;
    /// assert_eq!(opened, b"weights");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`artifact::seal`].
    pub fn seal_artifact(
        &self,
        caller: &Caller,
        key: KeyRef,
        source: Source<'_>,
        target: Target<'_>,
        context: EncryptionContext,
    ) -> Result<Done<Sealed>, ArtifactError> {
        let data_keys = self.kms().data_keys(caller.clone());
        let keyring = KmsKeyring::new(&data_keys, key);
        let options = SealOptions { context, ..SealOptions::default() };
        artifact::seal(source, target, false, &keyring, &options, &mut SystemRandom, &mut |_| ())
    }

    /// Opens an artifact that was sealed under any of this keystore's keys, as `caller`, who needs `kms:Decrypt` on it.
    /// The pairs of `required_context` must stand in its encryption context. No file is replaced.
    ///
    /// # Errors
    ///
    /// As [`artifact::open`].
    pub fn open_artifact(
        &self,
        caller: &Caller,
        source: Source<'_>,
        target: Target<'_>,
        required_context: EncryptionContext,
    ) -> Result<Done<Opened>, ArtifactError> {
        let data_keys = self.kms().data_keys(caller.clone());
        let keyring = KmsKeyring::discovery(&data_keys);
        let options = OpenOptions { required_context, ..OpenOptions::default() };
        artifact::open(source, target, false, &keyring, &options, &mut |_| ())
    }
}
