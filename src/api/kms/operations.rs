//! One function for each operation that is served: the members in, the answer's members out.
//!
//! Source: the KMS API reference, request and response of each operation.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    Pending,
    json::{Blob, blob, written},
    pages::{Limits, Wanted},
    parameters::{Parameters, SYMMETRIC_DEFAULT, tags},
};
use crate::{
    api::error::{Protocol, WireError},
    kms::{
        AliasListEntry, CallError, Caller, CancelKeyDeletion, CreateAlias, CreateKey, DataKey, DataKeyLength,
        Decrypt, Decrypted, DeleteAlias, DescribeKey, DisableKey, DisableKeyRotation, EnableKey,
        EnableKeyRotation, Encrypt, Encrypted, EncryptedDataKey, GenerateDataKey,
        GenerateDataKeyWithoutPlaintext, GenerateRandom, GetKeyPolicy, GetKeyRotationStatus, KEY_POLICY_NAME,
        KeyListEntry, KeyMetadata, Kms, ListAliases, ListKeyPolicies, ListKeyRotations, ListKeys,
        ListResourceTags, Operation, PutKeyPolicy, ReEncrypt, ReEncrypted, RotateKeyOnDemand,
        ScheduleKeyDeletion, TagResource, UntagResource, UpdateAlias, UpdateKeyDescription,
    },
    model::{ErrorCode, KeyArn, KeyRef, MaterialId},
    secret::SecretKey,
};

/// The tags that give a new key an id and a material of one's own, as users of emulators know them.
const CUSTOM_ID_TAG: &str = "_custom_id_";
const CUSTOM_MATERIAL_TAG: &str = "_custom_key_material_";

/// A request that is about to become a call.
pub(super) struct Begun<'a> {
    pub(super) kms: Kms<'a>,
    pub(super) caller: &'a Caller,
    pub(super) parameters: Parameters<'a>,
    pub(super) operation: &'a str,
}

/// Declares which operations are served, and by which function.
macro_rules! operations {
    ($($name:literal $function:ident;)+) => {
        /// The operations that are served.
        pub(super) const SERVED: &[&str] = &[$($name),+];

        /// Begins the call that the request asks for; `None` when its operation is not served.
        pub(super) fn begin(request: &Begun<'_>) -> Option<Result<Pending, WireError>> {
            match request.operation {
                $($name => Some($function(request)),)+
                _ => None,
            }
        }
    };
}

operations! {
    "CancelKeyDeletion" cancel_key_deletion;
    "CreateAlias" create_alias;
    "CreateKey" create_key;
    "Decrypt" decrypt;
    "DeleteAlias" delete_alias;
    "DescribeKey" describe_key;
    "DisableKey" disable_key;
    "DisableKeyRotation" disable_key_rotation;
    "EnableKey" enable_key;
    "EnableKeyRotation" enable_key_rotation;
    "Encrypt" encrypt;
    "GenerateDataKey" generate_data_key;
    "GenerateDataKeyWithoutPlaintext" generate_data_key_without_plaintext;
    "GenerateRandom" generate_random;
    "GetKeyPolicy" get_key_policy;
    "GetKeyRotationStatus" get_key_rotation_status;
    "ListAliases" list_aliases;
    "ListKeyPolicies" list_key_policies;
    "ListKeyRotations" list_key_rotations;
    "ListKeys" list_keys;
    "ListResourceTags" list_resource_tags;
    "PutKeyPolicy" put_key_policy;
    "ReEncrypt" re_encrypt;
    "RotateKeyOnDemand" rotate_key_on_demand;
    "ScheduleKeyDeletion" schedule_key_deletion;
    "TagResource" tag_resource;
    "UntagResource" untag_resource;
    "UpdateAlias" update_alias;
    "UpdateKeyDescription" update_key_description;
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
        self.kms.submit(self.caller, operation, move |answer| drop(tell.send(answer)));
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

fn key_id_alone(key_id: KeyArn) -> Result<Bytes, WireError> {
    written(&json!({"KeyId": key_id}))
}

fn key_metadata(metadata: KeyMetadata) -> Result<Bytes, WireError> {
    written(&json!({"KeyMetadata": metadata}))
}

fn cancel_key_deletion(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call(&CancelKeyDeletion { key_id: request.parameters.key("KeyId")? }, key_id_alone)
}

/// An alias's name, or AWS's refusal of what the model lets through.
fn alias_name(parameters: &Parameters<'_>) -> Result<crate::model::AliasName, WireError> {
    let text = parameters.text("AliasName").unwrap_or_default();
    let invalid = |message: &str| WireError::new(ErrorCode::InvalidAliasName.as_str(), message);
    if !text.starts_with("alias/") {
        return Err(WireError::validation("Invalid identifier"));
    }
    text.parse().map_err(|_| invalid(&format!("{text} contains invalid characters for an alias")))
}

/// The key an alias shall point to; the operation says why it cannot be an alias.
fn target_key(parameters: &Parameters<'_>) -> Result<KeyRef, WireError> {
    parameters.key_or_alias("TargetKeyId")
}

fn create_alias(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&CreateAlias {
        alias_name: alias_name(parameters)?,
        target_key_id: target_key(parameters)?,
    })
}

fn update_alias(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&UpdateAlias {
        alias_name: alias_name(parameters)?,
        target_key_id: target_key(parameters)?,
    })
}

fn delete_alias(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&DeleteAlias { alias_name: alias_name(&request.parameters)? })
}

fn create_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    check_kind(parameters)?;
    let pairs = || parameters.tag_pairs();
    let custom = |tag: &str| pairs().find(|(key, _)| *key == tag).map(|(_, value)| value);
    let custom_key_id = match custom(CUSTOM_ID_TAG) {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| {
            WireError::validation(format!(
                "The tag {CUSTOM_ID_TAG} is no key id: letters, digits, '-' and '_'."
            ))
        })?),
    };
    let custom_key_material = match custom(CUSTOM_MATERIAL_TAG) {
        None => None,
        Some(text) => {
            let secret = blob(text).and_then(|bytes| SecretKey::from_slice(&bytes));
            Some(secret.ok_or_else(|| {
                WireError::validation(format!("The tag {CUSTOM_MATERIAL_TAG} must be 32 bytes in base64."))
            })?)
        }
    };
    let operation = CreateKey {
        description: parameters.text("Description").unwrap_or_default().to_owned(),
        policy: parameters.text("Policy").map(str::to_owned),
        // Key material is no tag: a tag is listed and logged.
        tags: tags(pairs().filter(|(key, _)| *key != CUSTOM_MATERIAL_TAG))?,
        bypass_policy_lockout_safety_check: parameters.flag("BypassPolicyLockoutSafetyCheck"),
        custom_key_id,
        custom_key_material,
    };
    request.call(&operation, key_metadata)
}

/// Refuses the kinds of keys that are not built.
fn check_kind(parameters: &Parameters<'_>) -> Result<(), WireError> {
    parameters.without(&["CustomKeyStoreId", "XksKeyId"])?;
    if parameters.has("KeySpec") && parameters.has("CustomerMasterKeySpec") {
        return Err(WireError::validation(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
        ));
    }
    let spec = parameters.text("KeySpec").or_else(|| parameters.text("CustomerMasterKeySpec"));
    let spec = spec.unwrap_or(SYMMETRIC_DEFAULT);
    let usage = parameters.text("KeyUsage").unwrap_or("ENCRYPT_DECRYPT");
    if spec != SYMMETRIC_DEFAULT {
        return Err(WireError::unsupported(format!("KeySpec {spec} is not supported.")));
    }
    if usage != "ENCRYPT_DECRYPT" {
        return Err(WireError::validation(format!("KeyUsage {usage} is not compatible with KeySpec {spec}")));
    }
    match parameters.text("Origin") {
        None | Some("AWS_KMS") => {}
        Some(origin) => return Err(WireError::unsupported(format!("Origin {origin} is not supported."))),
    }
    if parameters.flag("MultiRegion") {
        return Err(WireError::unsupported("MultiRegion is not supported."));
    }
    Ok(())
}

fn describe_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call(&DescribeKey { key_id: request.parameters.key_or_alias("KeyId")? }, key_metadata)
}

fn enable_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&EnableKey { key_id: request.parameters.key("KeyId")? })
}

fn disable_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&DisableKey { key_id: request.parameters.key("KeyId")? })
}

fn schedule_key_deletion(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let operation = ScheduleKeyDeletion {
        key_id: parameters.key("KeyId")?,
        pending_window: parameters.days("PendingWindowInDays"),
    };
    request.call(&operation, |scheduled| written(&scheduled))
}

fn enable_key_rotation(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&EnableKeyRotation {
        key_id: parameters.key("KeyId")?,
        rotation_period: parameters.days("RotationPeriodInDays"),
    })
}

fn disable_key_rotation(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call_for_nothing(&DisableKeyRotation { key_id: request.parameters.key("KeyId")? })
}

fn get_key_rotation_status(request: &Begun<'_>) -> Result<Pending, WireError> {
    request
        .call(&GetKeyRotationStatus { key_id: request.parameters.key("KeyId")? }, |status| written(&status))
}

fn rotate_key_on_demand(request: &Begun<'_>) -> Result<Pending, WireError> {
    request.call(&RotateKeyOnDemand { key_id: request.parameters.key("KeyId")? }, key_id_alone)
}

fn list_key_rotations(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::LONG)?;
    let operation = ListKeyRotations {
        key_id: request.parameters.key("KeyId")?,
        include_all_key_material: request.parameters.text("IncludeKeyMaterial") == Some("ALL_KEY_MATERIAL"),
    };
    request.call(&operation, move |rotations| {
        // Materials are only ever added, so that a rotation keeps its number.
        let numbered = rotations.into_iter().enumerate().collect();
        let page =
            wanted.page("ListKeyRotations", "Rotations", numbered, |(number, _)| format!("{number:06}"));
        written(&page.map(|(_, rotation)| rotation))
    })
}

fn get_key_policy(request: &Begun<'_>) -> Result<Pending, WireError> {
    check_policy_name(&request.parameters)?;
    request.call(&GetKeyPolicy { key_id: request.parameters.key("KeyId")? }, |policy| {
        written(&json!({"Policy": policy, "PolicyName": KEY_POLICY_NAME}))
    })
}

fn put_key_policy(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    check_policy_name(parameters)?;
    request.call_for_nothing(&PutKeyPolicy {
        key_id: parameters.key("KeyId")?,
        policy: parameters.text("Policy").unwrap_or_default().to_owned(),
        bypass_policy_lockout_safety_check: parameters.flag("BypassPolicyLockoutSafetyCheck"),
    })
}

fn check_policy_name(parameters: &Parameters<'_>) -> Result<(), WireError> {
    match parameters.text("PolicyName") {
        None | Some(KEY_POLICY_NAME) => Ok(()),
        Some(_) => Err(WireError::new(ErrorCode::NotFound.as_str(), "No such policy exists")),
    }
}

fn list_key_policies(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::LONG)?;
    request.call(&ListKeyPolicies { key_id: request.parameters.key("KeyId")? }, move |names| {
        written(&wanted.page("ListKeyPolicies", "PolicyNames", names, ToString::to_string))
    })
}

fn list_keys(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::LONG)?;
    request.call(&ListKeys::default(), move |keys| {
        written(&wanted.page("ListKeys", "Keys", keys, |key: &KeyListEntry| key.key_arn.to_string()))
    })
}

fn list_aliases(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::SHORT)?;
    let key_id = if request.parameters.has("KeyId") { Some(request.parameters.key("KeyId")?) } else { None };
    request.call(&ListAliases { key_id }, move |aliases| {
        let place = |alias: &AliasListEntry| alias.alias_name.to_string();
        written(&wanted.page("ListAliases", "Aliases", aliases, place))
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

fn list_resource_tags(request: &Begun<'_>) -> Result<Pending, WireError> {
    let wanted = request.wanted(Limits::TAGS)?;
    request.call(&ListResourceTags { key_id: request.parameters.key("KeyId")? }, move |tags| {
        let tag = |(key, value): (&str, &str)| Tag { tag_key: key.into(), tag_value: value.into() };
        let tags = tags.iter().map(tag).collect();
        written(&wanted.page("ListResourceTags", "Tags", tags, |tag: &Tag| tag.tag_key.clone()))
    })
}

fn tag_resource(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let operation = TagResource { key_id: parameters.key("KeyId")?, tags: tags(parameters.tag_pairs())? };
    request.call_for_nothing(&operation)
}

fn untag_resource(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let tag_keys = parameters.list("TagKeys").filter_map(|key| key.as_str().map(str::to_owned)).collect();
    request.call_for_nothing(&UntagResource { key_id: parameters.key("KeyId")?, tag_keys })
}

fn update_key_description(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    request.call_for_nothing(&UpdateKeyDescription {
        key_id: parameters.key("KeyId")?,
        description: parameters.text("Description").unwrap_or_default().to_owned(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptAnswer<'a> {
    ciphertext_blob: Blob<'a>,
    key_id: KeyArn,
    encryption_algorithm: &'static str,
}

fn encrypt(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.symmetric_algorithm("EncryptionAlgorithm")?;
    let operation = Encrypt {
        key_id: parameters.key_or_alias("KeyId")?,
        plaintext: parameters.secret_blob("Plaintext"),
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |Encrypted { ciphertext_blob, key_id }| {
        written(&EncryptAnswer {
            ciphertext_blob: Blob(&ciphertext_blob),
            key_id,
            encryption_algorithm: SYMMETRIC_DEFAULT,
        })
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DecryptAnswer<'a> {
    key_id: KeyArn,
    plaintext: Blob<'a>,
    encryption_algorithm: &'static str,
    key_material_id: MaterialId,
}

fn decrypt(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["Recipient", "DryRunModifiers"])?;
    parameters.symmetric_algorithm("EncryptionAlgorithm")?;
    let operation = Decrypt {
        ciphertext_blob: parameters.blob("CiphertextBlob"),
        key_id: parameters.optional_key_or_alias("KeyId")?,
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |Decrypted { plaintext, key_id, key_material_id }| {
        written(&DecryptAnswer {
            key_id,
            plaintext: Blob(plaintext.expose_secret()),
            encryption_algorithm: SYMMETRIC_DEFAULT,
            key_material_id,
        })
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReEncryptAnswer<'a> {
    ciphertext_blob: Blob<'a>,
    source_key_id: KeyArn,
    key_id: KeyArn,
    source_encryption_algorithm: &'static str,
    destination_encryption_algorithm: &'static str,
    source_key_material_id: MaterialId,
    destination_key_material_id: MaterialId,
}

fn re_encrypt(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["DryRunModifiers"])?;
    parameters.symmetric_algorithm("SourceEncryptionAlgorithm")?;
    parameters.symmetric_algorithm("DestinationEncryptionAlgorithm")?;
    let operation = ReEncrypt {
        ciphertext_blob: parameters.blob("CiphertextBlob"),
        source_key_id: parameters.optional_key_or_alias("SourceKeyId")?,
        source_encryption_context: parameters.context("SourceEncryptionContext")?,
        destination_key_id: parameters.key_or_alias("DestinationKeyId")?,
        destination_encryption_context: parameters.context("DestinationEncryptionContext")?,
    };
    request.call(&operation, |moved: ReEncrypted| {
        written(&ReEncryptAnswer {
            ciphertext_blob: Blob(&moved.ciphertext_blob),
            source_key_id: moved.source_key_id,
            key_id: moved.key_id,
            source_encryption_algorithm: SYMMETRIC_DEFAULT,
            destination_encryption_algorithm: SYMMETRIC_DEFAULT,
            source_key_material_id: moved.source_key_material_id,
            destination_key_material_id: moved.destination_key_material_id,
        })
    })
}

/// The length that either KeySpec or NumberOfBytes gives.
fn data_key_length(parameters: &Parameters<'_>) -> Result<DataKeyLength, WireError> {
    match (parameters.text("KeySpec"), parameters.number("NumberOfBytes")) {
        (Some("AES_128"), None) => Ok(DataKeyLength::Aes128),
        (Some(_), None) => Ok(DataKeyLength::Aes256),
        (None, Some(bytes)) => Ok(DataKeyLength::Bytes(bytes)),
        _ => Err(WireError::validation("Please specify either number of bytes or key spec.")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DataKeyAnswer<'a> {
    ciphertext_blob: Blob<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Blob<'a>>,
    key_id: KeyArn,
    key_material_id: MaterialId,
}

fn generate_data_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["Recipient"])?;
    let operation = GenerateDataKey {
        key_id: parameters.key_or_alias("KeyId")?,
        length: data_key_length(parameters)?,
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |DataKey { plaintext, ciphertext_blob, key_id, key_material_id }| {
        written(&DataKeyAnswer {
            ciphertext_blob: Blob(&ciphertext_blob),
            plaintext: Some(Blob(plaintext.expose_secret())),
            key_id,
            key_material_id,
        })
    })
}

fn generate_data_key_without_plaintext(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let operation = GenerateDataKeyWithoutPlaintext {
        key_id: parameters.key_or_alias("KeyId")?,
        length: data_key_length(parameters)?,
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |EncryptedDataKey { ciphertext_blob, key_id, key_material_id }| {
        written(&DataKeyAnswer {
            ciphertext_blob: Blob(&ciphertext_blob),
            plaintext: None,
            key_id,
            key_material_id,
        })
    })
}

fn generate_random(request: &Begun<'_>) -> Result<Pending, WireError> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer<'a> {
        plaintext: Blob<'a>,
    }
    let parameters = &request.parameters;
    parameters.without(&["Recipient", "CustomKeyStoreId"])?;
    let Some(number_of_bytes) = parameters.number("NumberOfBytes") else {
        return Err(WireError::validation("NumberOfBytes is required."));
    };
    request.call(&GenerateRandom { number_of_bytes }, |bytes| {
        written(&Answer { plaintext: Blob(bytes.expose_secret()) })
    })
}
