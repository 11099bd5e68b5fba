//! The KMS service: the door that every call goes through, and one file for each family of operations.
//!
//! An operation is a value of its own type — [`Encrypt`], [`CreateKey`] … — that holds its parameters. [`Kms`] makes the
//! call; how a call goes is told in [`Operation`].

mod aliases;
mod authentication;
mod blob;
mod call;
mod caller;
mod client;
mod clock;
mod commit;
mod conditions;
mod data_keys;
mod default_policy;
mod door;
mod dry_run;
mod encrypt;
mod error;
mod explanation;
mod grants;
mod guard_rails;
mod keys;
mod last_usage;
mod material;
mod named_key;
mod operation;
mod operation_table;
mod options;
mod policies;
mod principals;
mod question;
mod rotation;
mod secrets;
mod service_event;
mod service_keys;
#[cfg(feature = "server")]
mod signers;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod tick;
mod user_identity;

// The public interface is:
pub use aliases::{AliasListEntry, CreateAlias, DeleteAlias, ListAliases, UpdateAlias};
pub use blob::{CIPHERTEXT_BYTES_MAX, CiphertextBlob};
pub use call::Call;
pub use caller::{Caller, DIRECT_SESSION, Principal, Service};
pub use client::{Kms, KmsDataKeys};
pub use clock::{Clock, ManualClock, SystemClock};
pub use data_keys::{
    DataKey, DataKeyLength, EncryptedDataKey, GenerateDataKey, GenerateDataKeyWithoutPlaintext,
    GenerateRandom, NUMBER_OF_BYTES_MAX,
};
pub use dry_run::{DecryptWithoutCiphertext, ReEncryptWithoutCiphertext};
pub use encrypt::{Decrypt, Decrypted, Encrypt, Encrypted, PLAINTEXT_BYTES_MAX, ReEncrypt, ReEncrypted};
pub use error::CallError;
pub use explanation::Explanation;
pub use grants::{
    CONSTRAINT_PAIRS_MAX, CONSTRAINT_VALUE_CHARS_MAX, CreateGrant, CreatedGrant, GRANTS_PER_KEY_MAX,
    GrantConstraints, GrantListEntry, GrantPage, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, ListGrants,
    ListRetirableGrants, RetireGrant, RevokeGrant, WhichGrant,
};
pub use keys::{
    CreateKey, DESCRIPTION_CHARS_MAX, DescribeKey, KeyListEntry, KeyMetadata, ListKeys, UpdateKeyDescription,
};
pub use last_usage::GetKeyLastUsage;
pub use operation::{Operation, Outcome};
pub use operation_table::{Fill, OPERATIONS, On, OperationRow, Pair, States, Subject};
pub use options::{CallOptions, GRANT_TOKENS_MAX};
pub use policies::{GetKeyPolicy, KEY_POLICY_NAME, ListKeyPolicies, PutKeyPolicy};
pub use question::{About, Question, Supposed};
pub use rotation::{
    DisableKeyRotation, EnableKeyRotation, GetKeyRotationStatus, KeyRotationStatus, ListKeyRotations,
    ON_DEMAND_ROTATIONS_MAX, ROTATION_PERIOD_DEFAULT, ROTATION_PERIOD_MAX, ROTATION_PERIOD_MIN,
    RotateKeyOnDemand, RotationEntry,
};
pub use secrets::ACCESS_KEY_SECRET_CHARS;
pub use state::{
    CancelKeyDeletion, DisableKey, EnableKey, PENDING_WINDOW_MAX, PENDING_WINDOW_MIN, ScheduleKeyDeletion,
    ScheduledDeletion,
};
pub use tags::{ListResourceTags, TagResource, UntagResource};

pub(crate) use client::data_key_error;
pub(crate) use commit::Sinks;
pub(crate) use door::Door;
pub(crate) use operation::actions;
pub(crate) use principals::{bind, shown};
pub(crate) use secrets::{SecretOf, Secrets};
pub(crate) use service_keys::ServiceKey;
pub(crate) use user_identity::identity_in;
