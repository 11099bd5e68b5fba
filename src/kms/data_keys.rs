//! GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom.

use serde_json::{Map, Value, json};

use super::{
    Call, CallError, Operation, Outcome,
    conditions::KeyConditions,
    encrypt::{add_context, check_context, seal_under},
    operation::actions,
};
use crate::{
    audit::query::CIPHERTEXT_DIGEST,
    model::{EncryptionContext, KeyArn, KeyRef, MaterialId},
    policy::Action,
    secret::SecretBytes,
};

actions! {
    /// `kms:GenerateDataKey`.
    GenerateDataKeyPermission = "kms:GenerateDataKey",
    /// `kms:GenerateDataKeyWithoutPlaintext`.
    GenerateDataKeyWithoutPlaintextPermission = "kms:GenerateDataKeyWithoutPlaintext",
    /// `kms:GenerateRandom`.
    GenerateRandomPermission = "kms:GenerateRandom",
}

/// The most random bytes in one answer (KMS API, GenerateDataKey and GenerateRandom).
pub const NUMBER_OF_BYTES_MAX: usize = 1024;

/// How long a data key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKeyLength {
    /// 16 bytes.
    Aes128,
    /// 32 bytes.
    Aes256,
    /// 1 to [`NUMBER_OF_BYTES_MAX`] bytes.
    Bytes(usize),
}

impl DataKeyLength {
    fn bytes(self) -> Result<usize, CallError> {
        match self {
            Self::Aes128 => Ok(16),
            Self::Aes256 => Ok(32),
            Self::Bytes(bytes) => check_number_of_bytes(bytes),
        }
    }

    /// What a record shows of a request for a data key of this length.
    fn parameters(self, key: &KeyRef, context: &EncryptionContext) -> Value {
        let mut parameters = Map::new();
        parameters.insert("keyId".into(), key.to_string().into());
        add_context(&mut parameters, context);
        let (name, value) = match self {
            Self::Aes128 => ("keySpec", "AES_128".into()),
            Self::Aes256 => ("keySpec", "AES_256".into()),
            Self::Bytes(bytes) => ("numberOfBytes", bytes.into()),
        };
        parameters.insert(name.into(), value);
        Value::Object(parameters)
    }
}

/// Makes a data key: in clear to use now, and under a KMS key to keep.
#[derive(Debug)]
pub struct GenerateDataKey {
    /// The KMS key.
    pub key_id: KeyRef,
    /// How long it shall be.
    pub length: DataKeyLength,
    /// What is authenticated with it and logged in clear.
    pub encryption_context: EncryptionContext,
}

/// What GenerateDataKey answers.
#[derive(Debug)]
pub struct DataKey {
    /// The data key. Use it, then drop it.
    pub plaintext: SecretBytes,
    /// The same under the KMS key, to be kept beside what it encrypts.
    pub ciphertext_blob: Vec<u8>,
    /// The KMS key's ARN.
    pub key_id: KeyArn,
    /// The material it is under.
    pub key_material_id: MaterialId,
}

impl Operation for GenerateDataKey {
    type Permission = GenerateDataKeyPermission;
    type Answer = DataKey;
    const NAME: &'static str = "GenerateDataKey";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        self.length.parameters(&self.key_id, &self.encryption_context)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        generate::<Self>(call, &self.key_id, self.length, &self.encryption_context, |data_key| data_key)
    }
}

/// Makes a data key that nobody sees: for a part of a system that only hands out encrypted keys.
#[derive(Debug)]
pub struct GenerateDataKeyWithoutPlaintext {
    /// The KMS key.
    pub key_id: KeyRef,
    /// How long it shall be.
    pub length: DataKeyLength,
    /// What is authenticated with it and logged in clear.
    pub encryption_context: EncryptionContext,
}

/// What GenerateDataKeyWithoutPlaintext answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedDataKey {
    /// The data key under the KMS key.
    pub ciphertext_blob: Vec<u8>,
    /// The KMS key's ARN.
    pub key_id: KeyArn,
    /// The material it is under.
    pub key_material_id: MaterialId,
}

impl Operation for GenerateDataKeyWithoutPlaintext {
    type Permission = GenerateDataKeyWithoutPlaintextPermission;
    type Answer = EncryptedDataKey;
    const NAME: &'static str = "GenerateDataKeyWithoutPlaintext";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        self.length.parameters(&self.key_id, &self.encryption_context)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        generate::<Self>(call, &self.key_id, self.length, &self.encryption_context, |data_key| {
            EncryptedDataKey {
                ciphertext_blob: data_key.ciphertext_blob,
                key_id: data_key.key_id,
                key_material_id: data_key.key_material_id,
            }
        })
    }
}

fn generate<O: Operation>(
    call: &mut Call<'_>,
    key_id: &KeyRef,
    length: DataKeyLength,
    context: &EncryptionContext,
    answer: impl FnOnce(DataKey) -> O::Answer,
) -> Result<Outcome<O>, CallError>
where
    O::Permission: Action,
{
    let bytes = length.bytes()?;
    check_context(context)?;
    let named = call.resolve::<O::Permission>(key_id)?;
    let permitted = call.authorize::<O::Permission>(&named, &KeyConditions::cryptographic(context))?;
    call.require_state(&named.key)?;
    let plaintext = random_bytes(call, bytes)?;
    let sealed = seal_under(call, &permitted, &named, &plaintext, context)?;
    let data_key = DataKey {
        plaintext,
        ciphertext_blob: sealed.ciphertext_blob,
        key_id: named.key.arn.clone(),
        key_material_id: sealed.material,
    };
    Ok(Outcome::answer(permitted, answer(data_key))
        .noting("keyMaterialId", sealed.material.to_string())
        .noting(CIPHERTEXT_DIGEST, sealed.digest))
}

/// Makes random bytes.
#[derive(Debug)]
pub struct GenerateRandom {
    /// How many, 1 to [`NUMBER_OF_BYTES_MAX`].
    pub number_of_bytes: usize,
}

impl Operation for GenerateRandom {
    type Permission = GenerateRandomPermission;
    type Answer = SecretBytes;
    const NAME: &'static str = "GenerateRandom";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"numberOfBytes": self.number_of_bytes})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let bytes = check_number_of_bytes(self.number_of_bytes)?;
        let permitted = call.authorize_any::<Self::Permission>()?;
        Ok(Outcome::answer(permitted, random_bytes(call, bytes)?))
    }
}

fn random_bytes(call: &mut Call<'_>, bytes: usize) -> Result<SecretBytes, CallError> {
    let mut secret = vec![0; bytes];
    call.random.fill(&mut secret)?;
    Ok(SecretBytes::new(secret))
}

fn check_number_of_bytes(bytes: usize) -> Result<usize, CallError> {
    let constraint = match bytes {
        0 => "Member must have value greater than or equal to 1".to_owned(),
        bytes if bytes > NUMBER_OF_BYTES_MAX => {
            format!("Member must have value less than or equal to {NUMBER_OF_BYTES_MAX}")
        }
        bytes => return Ok(bytes),
    };
    Err(CallError::validation(format!(
        "1 validation error detected: Value '{bytes}' at 'numberOfBytes' failed to satisfy constraint: {constraint}"
    )))
}
