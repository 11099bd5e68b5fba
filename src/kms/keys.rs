//! CreateKey, DescribeKey, ListKeys, UpdateKeyDescription.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Call, CallError, Operation, Outcome, conditions, default_policy, operation::actions,
    policies::parse_key_policy, tags::TagResource,
};
use crate::{
    model::{
        EncryptionAlgorithm, ErrorCode, KeyArn, KeyId, KeyManager, KeyOrigin, KeyRef, KeySpec, KeyState,
        KeyUsage, MaterialId, Tags, Tier, Timestamp,
    },
    secret::SecretKey,
    world::{Change, Key, KeyPolicy},
};

actions! {
    /// `kms:CreateKey`.
    CreateKeyPermission = "kms:CreateKey",
    /// `kms:DescribeKey`.
    DescribeKeyPermission = "kms:DescribeKey",
    /// `kms:ListKeys`.
    ListKeysPermission = "kms:ListKeys",
    /// `kms:UpdateKeyDescription`.
    UpdateKeyDescriptionPermission = "kms:UpdateKeyDescription",
}

/// The longest description in characters (KMS API, CreateKey).
pub const DESCRIPTION_CHARS_MAX: usize = 8192;

/// What DescribeKey and CreateKey say of a key (KMS API, `KeyMetadata`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyMetadata {
    /// The account that owns the key.
    #[serde(rename = "AWSAccountId")]
    pub aws_account_id: String,
    /// The key's id.
    pub key_id: KeyId,
    /// The key's ARN.
    pub arn: KeyArn,
    /// When it was made.
    #[serde(serialize_with = "epoch_seconds")]
    pub creation_date: Timestamp,
    /// Whether its state is Enabled.
    pub enabled: bool,
    /// What its owner says it is for.
    pub description: String,
    /// What it may be used for.
    pub key_usage: KeyUsage,
    /// Whether it can be used now.
    pub key_state: KeyState,
    /// When its deletion window ends.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_epoch_seconds")]
    pub deletion_date: Option<Timestamp>,
    /// Where its material comes from.
    pub origin: KeyOrigin,
    /// Who manages it.
    pub key_manager: KeyManager,
    /// The old name of `KeySpec`, which clients still read.
    pub customer_master_key_spec: KeySpec,
    /// The type of its material.
    pub key_spec: KeySpec,
    /// The algorithms that it can be used with.
    pub encryption_algorithms: Vec<EncryptionAlgorithm>,
    /// Whether it is a multi-Region key. Never, here.
    pub multi_region: bool,
    /// The material that new ciphertexts use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_key_material_id: Option<MaterialId>,
}

impl KeyMetadata {
    pub(super) fn of(key: &Key) -> Self {
        Self {
            aws_account_id: key.arn.account().to_string(),
            key_id: key.id().clone(),
            arn: key.arn.clone(),
            creation_date: key.created,
            enabled: key.state == KeyState::Enabled,
            description: key.description.clone(),
            key_usage: key.usage,
            key_state: key.state,
            deletion_date: key.deletion_date,
            origin: key.origin,
            key_manager: key.tier.key_manager(),
            customer_master_key_spec: key.spec,
            key_spec: key.spec,
            encryption_algorithms: vec![EncryptionAlgorithm::SymmetricDefault],
            multi_region: false,
            current_key_material_id: key.current_material().map(|material| material.id),
        }
    }

    fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

/// A time as JSON 1.1 writes it: seconds since the epoch, with a fraction.
pub(super) fn epoch_seconds<S: serde::Serializer>(
    time: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_epoch_seconds())
}

/// The same for a time that may be missing.
pub(super) fn optional_epoch_seconds<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => epoch_seconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// The part of every mutation's record that says which key it was.
pub(super) fn key_arn_element(key: &KeyArn) -> Value {
    json!({"keyId": key})
}

/// Makes a symmetric customer managed key.
#[derive(Debug, Default)]
pub struct CreateKey {
    /// What it is for, at most [`DESCRIPTION_CHARS_MAX`] characters.
    pub description: String,
    /// Its key policy as JSON; the default one when absent.
    pub policy: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// Whether to accept a policy that lets the caller not change it again.
    pub bypass_policy_lockout_safety_check: bool,
    /// An id of one's own in place of a random one, for seeds.
    pub custom_key_id: Option<KeyId>,
    /// A material of one's own in place of a random one, for seeds.
    pub custom_key_material: Option<SecretKey>,
}

impl CreateKey {
    /// With this description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// With this key policy.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.policy = Some(policy.into());
        self
    }
}

impl Operation for CreateKey {
    type Permission = CreateKeyPermission;
    type Answer = KeyMetadata;
    const NAME: &'static str = "CreateKey";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        let tags: Vec<Value> =
            self.tags.iter().map(|(key, value)| json!({"tagKey": key, "tagValue": value})).collect();
        let mut parameters = Map::new();
        parameters.insert("description".into(), json!(self.description));
        parameters.insert("keySpec".into(), json!(KeySpec::SymmetricDefault));
        parameters.insert("keyUsage".into(), json!(KeyUsage::EncryptDecrypt));
        parameters.insert("origin".into(), json!(KeyOrigin::AwsKms));
        parameters.insert("multiRegion".into(), json!(false));
        parameters
            .insert("bypassPolicyLockoutSafetyCheck".into(), json!(self.bypass_policy_lockout_safety_check));
        if let Some(policy) = &self.policy {
            parameters.insert("policy".into(), json!(policy));
        }
        if !tags.is_empty() {
            parameters.insert("tags".into(), Value::Array(tags));
        }
        Value::Object(parameters)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let fill = |context: &mut crate::policy::ConditionContext| {
            conditions::of_symmetric_key(context);
            let bypass = self.bypass_policy_lockout_safety_check;
            context.set_bool("kms:BypassPolicyLockoutSafetyCheck", bypass);
            if !self.tags.is_empty() {
                context.request_tags(self.tags.iter());
            }
        };
        let permitted = call.authorize_request::<CreateKeyPermission>(fill)?;
        if !self.tags.is_empty() {
            let _to_tag = call.authorize_request::<<TagResource as Operation>::Permission>(fill)?;
        }
        check_description(&self.description)?;
        let arn = self.new_arn(call)?;
        let policy = match &self.policy {
            Some(text) => parse_key_policy(call, &arn, text, self.bypass_policy_lockout_safety_check)?,
            None => default_policy::default(arn.account())?,
        };
        let key = self.new_key(call, arn, policy)?;
        call.note_key(&key);
        let metadata = KeyMetadata::of(&key);
        let elements = json!({"keyMetadata": metadata.to_json()});
        Ok(Outcome::answer(permitted, metadata).changing(vec![Change::PutKey(Box::new(key))], elements))
    }
}

impl CreateKey {
    fn new_arn(&self, call: &mut Call<'_>) -> Result<KeyArn, CallError> {
        let id = match &self.custom_key_id {
            Some(id) => id.clone(),
            None => KeyId::from_random(call.random.array()?),
        };
        let arn = KeyArn::new(call.world().settings().region.clone(), call.account(), id);
        if call.world().key(&arn).is_some() {
            return Err(CallError::new(ErrorCode::AlreadyExists, format!("the key {arn} exists already")));
        }
        Ok(arn)
    }

    fn new_key(&self, call: &mut Call<'_>, arn: KeyArn, policy: KeyPolicy) -> Result<Key, CallError> {
        let now = call.now();
        let material = match &self.custom_key_material {
            Some(secret) => call.materials.wrap(&arn, secret, now, None, call.random)?,
            None => call.materials.generate(&arn, now, None, call.random)?,
        };
        Ok(Key {
            arn,
            tier: Tier::CustomerManaged,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::AwsKms,
            created: now,
            description: self.description.clone(),
            state: KeyState::Enabled,
            deletion_date: None,
            policy,
            tags: self.tags.clone(),
            rotation: None,
            materials: vec![material],
        })
    }
}

fn check_description(description: &str) -> Result<(), CallError> {
    if description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(CallError::validation(format!(
            "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length \
             less than or equal to {DESCRIPTION_CHARS_MAX}"
        )));
    }
    Ok(())
}

/// Describes a key.
#[derive(Debug)]
pub struct DescribeKey {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for DescribeKey {
    type Permission = DescribeKeyPermission;
    type Answer = KeyMetadata;
    const NAME: &'static str = "DescribeKey";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        Ok(Outcome::answer(permitted, KeyMetadata::of(&named.key)))
    }
}

/// One line of ListKeys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyListEntry {
    /// The key's id.
    pub key_id: KeyId,
    /// The key's ARN.
    pub key_arn: KeyArn,
}

/// Lists the keys of the caller's account: customer managed and AWS managed ones.
#[derive(Debug, Default)]
pub struct ListKeys {}

impl Operation for ListKeys {
    type Permission = ListKeysPermission;
    type Answer = Vec<KeyListEntry>;
    const NAME: &'static str = "ListKeys";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        let account = call.account();
        let keys =
            call.world().keys().filter(|key| *key.arn.account() == account && key.tier != Tier::AwsOwned);
        let entries =
            keys.map(|key| KeyListEntry { key_id: key.id().clone(), key_arn: key.arn.clone() }).collect();
        Ok(Outcome::answer(permitted, entries))
    }
}

/// Changes what a key is said to be for.
#[derive(Debug)]
pub struct UpdateKeyDescription {
    /// The key.
    pub key_id: KeyRef,
    /// The new description, at most [`DESCRIPTION_CHARS_MAX`] characters.
    pub description: String,
}

impl Operation for UpdateKeyDescription {
    type Permission = UpdateKeyDescriptionPermission;
    type Answer = ();
    const NAME: &'static str = "UpdateKeyDescription";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string(), "description": self.description})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        call.require_state(&named.key)?;
        check_description(&self.description)?;
        let mut key = Key::clone(&named.key);
        key.description.clone_from(&self.description);
        Ok(Outcome::changed(permitted, key))
    }
}

impl<O: Operation<Answer = ()>> Outcome<O> {
    /// A changed key, and no more to answer.
    pub(super) fn changed(permitted: crate::policy::Authorized<O::Permission>, key: Key) -> Self {
        let elements = key_arn_element(&key.arn);
        Self::answer(permitted, ()).changing(vec![Change::PutKey(Box::new(key))], elements)
    }
}
