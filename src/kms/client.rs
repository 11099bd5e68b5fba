//! What users of the library call: the operations as methods, and a KMS as a source of data keys.

use super::{
    AliasListEntry, CallError, CallOptions, Caller, CancelKeyDeletion, CreateAlias, CreateGrant, CreateKey,
    CreatedGrant, DataKey, DataKeyLength, Decrypt, Decrypted, DeleteAlias, DescribeKey, DisableKey,
    DisableKeyRotation, Door, EnableKey, EnableKeyRotation, Encrypt, Encrypted, EncryptedDataKey,
    GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom, GetKeyPolicy, GetKeyRotationStatus,
    GrantPage, KeyListEntry, KeyMetadata, KeyRotationStatus, ListAliases, ListGrants, ListKeyPolicies,
    ListKeyRotations, ListKeys, ListResourceTags, ListRetirableGrants, Operation, PutKeyPolicy, ReEncrypt,
    ReEncrypted, RetireGrant, RevokeGrant, RotateKeyOnDemand, RotationEntry, ScheduleKeyDeletion,
    ScheduledDeletion, TagResource, UntagResource, UpdateAlias, UpdateKeyDescription,
};
use crate::{
    envelope::{self, DataKeyError, DataKeys, DecryptedDataKey, EncryptedDataKeyBlob, GeneratedDataKey},
    model::{EncryptionContext, ErrorCode, GrantToken, KeyArn, KeyRef, Tags},
    secret::{SecretBytes, SecretKey},
};

/// The KMS of a keystore.
///
/// ```
/// use keystead::{kms::{CreateKey, Decrypt, Encrypt}, model::EncryptionContext, testing::Lab};
///
/// let lab = Lab::new()?;
/// let (kms, admin) = (lab.kms(), lab.admin());
/// let key = kms.create_key(&admin, CreateKey::default().description("models"))?;
///
/// let context = EncryptionContext::from_pairs([("project", "tour")])?;
/// let sealed = kms.encrypt(&admin, Encrypt {
///     key_id: key.arn.into(),
///     plaintext: b"a secret".as_slice().into(),
///     encryption_context: context.clone(),
/// })?;
/// let opened = kms.decrypt(&admin, Decrypt {
///     ciphertext_blob: sealed.ciphertext_blob,
///     key_id: None,
///     encryption_context: context,
/// })?;
/// assert_eq!(opened.plaintext.expose_secret(), b"a secret");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Kms<'k> {
    door: &'k Door,
}

/// Declares operations as methods of [`Kms`].
macro_rules! methods {
    ($($(#[$meta:meta])* $method:ident($operation:ident) -> $answer:ty;)+) => {
        $(
            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// The error that AWS names for this operation.
            pub fn $method(&self, caller: &Caller, operation: $operation) -> Result<$answer, CallError> {
                self.call(caller, &operation)
            }
        )+
    };
}

impl<'k> Kms<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// The door behind it, for tests that ask without calling.
    #[cfg(test)]
    pub(in crate::kms) fn door(self) -> &'k Door {
        self.door
    }

    /// Makes any call.
    ///
    /// # Errors
    ///
    /// The error that AWS names for the operation, or `KMSInternalException` when the keystore cannot write.
    pub fn call<O: Operation>(&self, caller: &Caller, operation: &O) -> Result<O::Answer, CallError> {
        self.door.call(caller, operation)
    }

    /// Makes any call without waiting for it: `done` hears the answer when the call's record is durable. It runs on the
    /// keystore's writer thread and must be quick, such as sending the answer on; it is dropped unheard when that thread
    /// has died.
    pub fn submit<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
        done: impl FnOnce(Result<O::Answer, CallError>) + Send + 'static,
    ) {
        self.submit_with(caller, operation, &CallOptions::default(), done);
    }

    /// The same with grant tokens, or as a dry run.
    pub fn submit_with<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
        done: impl FnOnce(Result<O::Answer, CallError>) + Send + 'static,
    ) {
        self.door.submit_with(caller, operation, options, done);
    }

    /// Makes any call with grant tokens, or as a dry run.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); `InvalidGrantTokenException` for a token of no living grant; for a dry run that would have
    /// succeeded `DryRunOperationException`.
    pub fn call_with<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
    ) -> Result<O::Answer, CallError> {
        self.door.call_with(caller, operation, options)
    }

    methods! {
        /// Makes a customer managed key.
        create_key(CreateKey) -> KeyMetadata;
        /// Describes a key.
        describe_key(DescribeKey) -> KeyMetadata;
        /// Lists the keys of the caller's account.
        list_keys(ListKeys) -> Vec<KeyListEntry>;
        /// Makes a disabled key usable.
        enable_key(EnableKey) -> ();
        /// Stops every use of a key.
        disable_key(DisableKey) -> ();
        /// Starts a key's deletion window.
        schedule_key_deletion(ScheduleKeyDeletion) -> ScheduledDeletion;
        /// Takes a key out of its deletion window.
        cancel_key_deletion(CancelKeyDeletion) -> KeyArn;
        /// Turns automatic rotation on.
        enable_key_rotation(EnableKeyRotation) -> ();
        /// Turns automatic rotation off.
        disable_key_rotation(DisableKeyRotation) -> ();
        /// Asks whether and when a key rotates by itself.
        get_key_rotation_status(GetKeyRotationStatus) -> KeyRotationStatus;
        /// Rotates a key now.
        rotate_key_on_demand(RotateKeyOnDemand) -> KeyArn;
        /// Lists a key's materials.
        list_key_rotations(ListKeyRotations) -> Vec<RotationEntry>;
        /// Reads a key's policy.
        get_key_policy(GetKeyPolicy) -> String;
        /// Replaces a key's policy.
        put_key_policy(PutKeyPolicy) -> ();
        /// Gives a key a name.
        create_alias(CreateAlias) -> ();
        /// Points a name to another key.
        update_alias(UpdateAlias) -> ();
        /// Lists aliases.
        list_aliases(ListAliases) -> Vec<AliasListEntry>;
        /// Changes what a key is said to be for.
        update_key_description(UpdateKeyDescription) -> ();
        /// Lists the names of a key's policies.
        list_key_policies(ListKeyPolicies) -> Vec<&'static str>;
        /// Adds tags to a key.
        tag_resource(TagResource) -> ();
        /// Takes tags off a key.
        untag_resource(UntagResource) -> ();
        /// Lists a key's tags.
        list_resource_tags(ListResourceTags) -> Tags;
        /// Lets a principal use a key without a word in any policy.
        create_grant(CreateGrant) -> CreatedGrant;
        /// Lists a key's grants.
        list_grants(ListGrants) -> GrantPage;
        /// Lists the grants that a principal may retire.
        list_retirable_grants(ListRetirableGrants) -> GrantPage;
        /// Ends a grant that is no longer needed.
        retire_grant(RetireGrant) -> ();
        /// Takes a grant back.
        revoke_grant(RevokeGrant) -> ();
        /// Takes a name away.
        delete_alias(DeleteAlias) -> ();
        /// Encrypts up to 4,096 bytes.
        encrypt(Encrypt) -> Encrypted;
        /// Decrypts.
        decrypt(Decrypt) -> Decrypted;
        /// Moves a ciphertext to another key.
        re_encrypt(ReEncrypt) -> ReEncrypted;
        /// Makes a data key.
        generate_data_key(GenerateDataKey) -> DataKey;
        /// Makes a data key that nobody sees.
        generate_data_key_without_plaintext(GenerateDataKeyWithoutPlaintext) -> EncryptedDataKey;
        /// Makes random bytes.
        generate_random(GenerateRandom) -> SecretBytes;
    }

    /// This KMS as a source of data keys for sealing and opening messages, used by `caller`.
    #[must_use]
    pub fn data_keys(&self, caller: Caller) -> KmsDataKeys<'k> {
        KmsDataKeys::new(self.door, caller)
    }
}

/// A KMS as one caller's source of data keys: what the envelope needs and no more.
pub struct KmsDataKeys<'k> {
    door: &'k Door,
    caller: Caller,
    options: CallOptions,
}

impl<'k> KmsDataKeys<'k> {
    pub(crate) fn new(door: &'k Door, caller: Caller) -> Self {
        Self { door, caller, options: CallOptions::default() }
    }

    /// The same with these grant tokens in each call.
    #[must_use]
    pub fn with_grant_tokens(mut self, grant_tokens: Vec<GrantToken>) -> Self {
        self.options.grant_tokens = grant_tokens;
        self
    }
}

impl DataKeys for KmsDataKeys<'_> {
    fn generate_data_key(
        &self,
        key: &KeyRef,
        context: &EncryptionContext,
    ) -> Result<GeneratedDataKey, DataKeyError> {
        let operation = GenerateDataKey {
            key_id: key.clone(),
            length: DataKeyLength::Aes256,
            encryption_context: context.clone(),
        };
        let data_key =
            self.door.call_with(&self.caller, &operation, &self.options).map_err(data_key_error)?;
        Ok(GeneratedDataKey {
            plaintext: whole_key(&data_key.plaintext)?,
            ciphertext: data_key.ciphertext_blob,
            key_arn: data_key.key_id,
        })
    }

    fn encrypt_data_key(
        &self,
        key: &KeyRef,
        data_key: &SecretKey,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKeyBlob, DataKeyError> {
        let operation = Encrypt {
            key_id: key.clone(),
            plaintext: data_key.expose_secret().as_slice().into(),
            encryption_context: context.clone(),
        };
        let encrypted =
            self.door.call_with(&self.caller, &operation, &self.options).map_err(data_key_error)?;
        Ok(EncryptedDataKeyBlob { key_arn: encrypted.key_id, ciphertext: encrypted.ciphertext_blob })
    }

    fn decrypt_data_key(
        &self,
        key_arn: &KeyArn,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<DecryptedDataKey, DataKeyError> {
        let operation = Decrypt {
            ciphertext_blob: ciphertext.to_vec(),
            key_id: Some(key_arn.clone().into()),
            encryption_context: context.clone(),
        };
        let decrypted =
            self.door.call_with(&self.caller, &operation, &self.options).map_err(data_key_error)?;
        let plaintext = envelope::DataKey::new(decrypted.plaintext).ok_or_else(|| {
            DataKeyError::new(ErrorCode::InvalidCiphertext, "the plaintext has not the length of a data key")
        })?;
        Ok(DecryptedDataKey { plaintext, key_arn: decrypted.key_id })
    }
}

fn whole_key(bytes: &SecretBytes) -> Result<SecretKey, DataKeyError> {
    SecretKey::from_slice(bytes.expose_secret())
        .ok_or_else(|| DataKeyError::new(ErrorCode::InvalidCiphertext, "the data key is not 32 bytes long"))
}

pub(crate) fn data_key_error(error: CallError) -> DataKeyError {
    DataKeyError::new(error.code(), error.message())
        .explained(error.explanation().map(str::to_owned))
        .remembered_as(error.decision())
}

impl CallError {
    /// What a KMS answered to somebody who asked for a data key.
    #[must_use]
    pub fn from_data_key_error(error: &DataKeyError) -> Self {
        Self::new(error.code(), error.message())
            .with_explanation(error.explanation().map(str::to_owned))
            .remembered_as(error.decision())
    }
}
