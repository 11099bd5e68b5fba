//! Artifacts sealed and opened under a keystore's keys, for the usual case of one key and one caller.

use crate::{
    artifact::{self, ArtifactError, Done, Source, Target},
    crypto::random::SystemRandom,
    envelope::{KmsKeyring, OpenOptions, Opened, SealOptions, Sealed},
    kms::{Caller, Door, KmsDataKeys},
    model::{EncryptionContext, KeyRef},
};

/// Seals and opens artifacts as one caller.
#[must_use]
pub struct Artifacts<'k> {
    data_keys: KmsDataKeys<'k>,
}

impl<'k> Artifacts<'k> {
    pub(crate) fn new(door: &'k Door, caller: &Caller) -> Self {
        Self { data_keys: KmsDataKeys::new(door, caller.clone()) }
    }

    /// Seals an artifact under a key; the caller needs `kms:GenerateDataKey` on it. No file is replaced.
    ///
    /// [`artifact::seal`] can do more: several keys, keys outside of any KMS, progress.
    ///
    /// ```
    /// use keystead::{artifact::{Source, Target}, model::EncryptionContext, testing::Lab};
    ///
    /// let lab = Lab::new()?;
    /// let (artifacts, key) = (lab.keystore().artifacts(&lab.admin()), lab.key()?);
    /// let context = EncryptionContext::from_pairs([("model", "tiny")])?;
    /// let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    /// let (source, target) = (Source::Stream(&mut &b"weights"[..]), Target::Stream(&mut sealed));
    /// artifacts.seal(key.into(), source, target, context.clone())?;
    /// let (source, target) = (Source::Stream(&mut sealed.as_slice()), Target::Stream(&mut opened));
    /// artifacts.open(source, target, context)?;
    /// assert_eq!(opened, b"weights");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`artifact::seal`].
    pub fn seal(
        &self,
        key: KeyRef,
        source: Source<'_>,
        target: Target<'_>,
        context: EncryptionContext,
    ) -> Result<Done<Sealed>, ArtifactError> {
        let keyring = KmsKeyring::new(&self.data_keys, key);
        let options = SealOptions { context, ..SealOptions::default() };
        artifact::seal(source, target, false, &keyring, &options, &mut SystemRandom, &mut |_| ())
    }

    /// Opens an artifact that was sealed under any of the keystore's keys; the caller needs `kms:Decrypt` on it. The pairs of `required_context` must stand in its encryption context. No file is replaced.
    ///
    /// # Errors
    ///
    /// As [`artifact::open`].
    pub fn open(
        &self,
        source: Source<'_>,
        target: Target<'_>,
        required_context: EncryptionContext,
    ) -> Result<Done<Opened>, ArtifactError> {
        let keyring = KmsKeyring::discovery(&self.data_keys);
        let options = OpenOptions { required_context, ..OpenOptions::default() };
        artifact::open(source, target, false, &keyring, &options, &mut |_| ())
    }
}
