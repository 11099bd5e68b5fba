//! One function for each operation that is served: the members in, the answer's members out.
//!
//! Source: the KMS API reference, request and response of each operation.

mod aliases;
mod cryptography;
mod grants;
mod keys;
mod policies_and_tags;
mod rotation;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    Pending,
    pages::{Limits, Wanted},
    parameters::Parameters,
};
use crate::{
    api::error::{Protocol, WireError},
    keystore::Keystore,
    kms::{CallError, CallOptions, Caller, Operation},
};

/// A request that is about to become a call.
pub(super) struct Begun<'a> {
    pub(super) keystore: &'a Arc<Keystore>,
    pub(super) caller: &'a Caller,
    pub(super) parameters: Parameters<'a>,
    pub(super) options: CallOptions,
    pub(super) operation: &'a str,
}

/// Declares which operations are served, and by which function.
macro_rules! operations {
    ($($name:literal $file:ident::$function:ident;)+) => {
        /// The operations that are served.
        pub(super) const SERVED: &[&str] = &[$($name),+];

        /// Begins the call that the request asks for; `None` when its operation is not served.
        pub(super) fn begin(request: &Begun<'_>) -> Option<Result<Pending, WireError>> {
            match request.operation {
                $($name => Some($file::$function(request)),)+
                _ => None,
            }
        }
    };
}

operations! {
    "CancelKeyDeletion" keys::cancel_key_deletion;
    "CreateAlias" aliases::create_alias;
    "CreateGrant" grants::create_grant;
    "CreateKey" keys::create_key;
    "Decrypt" cryptography::decrypt;
    "DeleteAlias" aliases::delete_alias;
    "DescribeKey" keys::describe_key;
    "DisableKey" keys::disable_key;
    "DisableKeyRotation" rotation::disable_key_rotation;
    "EnableKey" keys::enable_key;
    "EnableKeyRotation" rotation::enable_key_rotation;
    "Encrypt" cryptography::encrypt;
    "GenerateDataKey" cryptography::generate_data_key;
    "GenerateDataKeyWithoutPlaintext" cryptography::generate_data_key_without_plaintext;
    "GenerateRandom" cryptography::generate_random;
    "GetKeyLastUsage" keys::get_key_last_usage;
    "GetKeyPolicy" policies_and_tags::get_key_policy;
    "GetKeyRotationStatus" rotation::get_key_rotation_status;
    "ListAliases" aliases::list_aliases;
    "ListGrants" grants::list_grants;
    "ListKeyPolicies" policies_and_tags::list_key_policies;
    "ListKeyRotations" rotation::list_key_rotations;
    "ListKeys" keys::list_keys;
    "ListResourceTags" policies_and_tags::list_resource_tags;
    "ListRetirableGrants" grants::list_retirable_grants;
    "PutKeyPolicy" policies_and_tags::put_key_policy;
    "ReEncrypt" cryptography::re_encrypt;
    "RetireGrant" grants::retire_grant;
    "RevokeGrant" grants::revoke_grant;
    "RotateKeyOnDemand" rotation::rotate_key_on_demand;
    "ScheduleKeyDeletion" keys::schedule_key_deletion;
    "TagResource" policies_and_tags::tag_resource;
    "UntagResource" policies_and_tags::untag_resource;
    "UpdateAlias" aliases::update_alias;
    "UpdateKeyDescription" keys::update_key_description;
}

impl Begun<'_> {
    /// Hands the operation to the door; `write` makes the answer's body when it has come.
    fn call<O: Operation>(
        &self,
        operation: &O,
        write: impl FnOnce(O::Answer) -> Result<Bytes, WireError> + Send + 'static,
    ) -> Result<Pending, WireError> {
        let (tell, heard) = oneshot::channel();
        // Nobody may listen any more: the client has gone, and the call stands all the same.
        let done = move |answer| drop(tell.send(answer));
        self.keystore.kms().submit_with(self.caller, operation, &self.options, done);
        Ok(Box::pin(async move {
            let gone = || CallError::internal("the writer has stopped");
            let answer = heard.await.unwrap_or_else(|_| Err(gone()));
            answer.map_err(|error| WireError::of_call(&error, Protocol::Json)).and_then(write)
        }))
    }

    /// The same for an answer that has no members.
    fn call_for_nothing<O: Operation<Answer = ()>>(&self, operation: &O) -> Result<Pending, WireError> {
        self.call(operation, |()| Ok(Bytes::new()))
    }

    fn wanted(&self, limits: Limits) -> Result<Wanted, WireError> {
        Wanted::read(self.operation, &self.parameters, limits)
    }
}
