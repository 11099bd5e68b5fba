//! GetKeyPolicy, PutKeyPolicy, ListKeyPolicies; and what a key policy must be before it is taken.
//!
//! Source: "Key policies in AWS KMS" (KMS developer guide).

use serde_json::{Value, json};

use super::{Call, CallError, Operation, Outcome, conditions::KeyConditions, operation::actions, principals};
use crate::{
    model::{ErrorCode, KeyArn, KeyRef},
    policy::{Policy, PolicyKind},
    world::{Key, KeyPolicy},
};

actions! {
    /// `kms:GetKeyPolicy`.
    GetKeyPolicyPermission = "kms:GetKeyPolicy",
    /// `kms:PutKeyPolicy`.
    PutKeyPolicyPermission = "kms:PutKeyPolicy",
    /// `kms:ListKeyPolicies`.
    ListKeyPoliciesPermission = "kms:ListKeyPolicies",
}

/// The name of every key's one policy.
pub const KEY_POLICY_NAME: &str = "default";

/// Reads a key's policy.
#[derive(Debug)]
pub struct GetKeyPolicy {
    /// The key: an id or ARN.
    pub key_id: KeyRef,
}

impl Operation for GetKeyPolicy {
    type Permission = GetKeyPolicyPermission;
    type Answer = String;
    const NAME: &'static str = "GetKeyPolicy";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string(), "policyName": KEY_POLICY_NAME})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        Ok(Outcome::answer(permitted, principals::shown(call.world(), named.key.policy.bound())))
    }
}

/// Replaces a key's policy.
#[derive(Debug)]
pub struct PutKeyPolicy {
    /// The key: an id or ARN.
    pub key_id: KeyRef,
    /// The new policy, JSON of at most 32,768 bytes.
    pub policy: String,
    /// Whether to accept a policy that lets the caller not change it again.
    pub bypass_policy_lockout_safety_check: bool,
}

impl Operation for PutKeyPolicy {
    type Permission = PutKeyPolicyPermission;
    type Answer = ();
    const NAME: &'static str = "PutKeyPolicy";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({
            "keyId": self.key_id.to_string(),
            "policyName": KEY_POLICY_NAME,
            "policy": self.policy,
            "bypassPolicyLockoutSafetyCheck": self.bypass_policy_lockout_safety_check,
        })
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let conditions = KeyConditions {
            bypass_lockout_check: Some(self.bypass_policy_lockout_safety_check),
            ..KeyConditions::default()
        };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        let policy =
            parse_key_policy(call, &named.key.arn, &self.policy, self.bypass_policy_lockout_safety_check)?;
        let mut key = Key::clone(&named.key);
        key.policy = policy;
        Ok(Outcome::changed(permitted, key))
    }
}

/// Lists the names of a key's policies: there is one.
#[derive(Debug)]
pub struct ListKeyPolicies {
    /// The key: an id or ARN.
    pub key_id: KeyRef,
}

impl Operation for ListKeyPolicies {
    type Permission = ListKeyPoliciesPermission;
    type Answer = Vec<&'static str>;
    const NAME: &'static str = "ListKeyPolicies";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (_named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        Ok(Outcome::answer(permitted, vec![KEY_POLICY_NAME]))
    }
}

/// Parses a key policy that is about to be put on `key`: well formed, its principals exist, and (unless the check is
/// bypassed) the caller can change it again.
pub(super) fn parse_key_policy(
    call: &Call<'_>,
    key: &KeyArn,
    text: &str,
    bypass_lockout_check: bool,
) -> Result<KeyPolicy, CallError> {
    let malformed = |message: String| CallError::new(ErrorCode::MalformedPolicyDocument, message);
    let policy = Policy::parse(text, PolicyKind::Key).map_err(|error| malformed(error.to_string()))?;
    let policy = principals::bind(call.world(), policy).map_err(|missing| {
        malformed("Policy contains a statement with one or more invalid principals.".into())
            .explained(format!("there is no principal `{missing}` in this keystore"))
    })?;
    let policy = KeyPolicy::new(policy);
    if !bypass_lockout_check && !call.keeps_control(key, policy.policy()) {
        return Err(malformed(
            "The new key policy will not allow you to update the key policy in the future.".into(),
        ));
    }
    Ok(policy)
}
