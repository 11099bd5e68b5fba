//! Encrypt, Decrypt, ReEncrypt.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::{
    Call, CallError, Operation, Outcome,
    blob::{CIPHERTEXT_BYTES_MAX, CiphertextBlob},
    conditions::KeyConditions,
    material::OpenMaterial,
    named_key::NamedKey,
    operation::actions,
};
use crate::{
    audit::query::{CIPHERTEXT_DIGEST, SOURCE_CIPHERTEXT_DIGEST},
    crypto::{digest::sha256, wiped},
    model::{
        CONTEXT_BYTES_MAX, EncryptionAlgorithm, EncryptionContext, ErrorCode, KeyArn, KeyRef, MaterialId,
    },
    policy::{Action, Authorized},
    secret::SecretBytes,
};

actions! {
    /// `kms:Encrypt`.
    EncryptPermission = "kms:Encrypt",
    /// `kms:Decrypt`.
    DecryptPermission = "kms:Decrypt",
    /// `kms:ReEncryptFrom`, on the key that a ciphertext is under.
    ReEncryptFromPermission = "kms:ReEncryptFrom",
    /// `kms:ReEncryptTo`, on the key that it shall be under.
    ReEncryptToPermission = "kms:ReEncryptTo",
}

/// The longest plaintext that Encrypt takes, in bytes (KMS API, Encrypt with a symmetric key).
pub const PLAINTEXT_BYTES_MAX: usize = 4096;

/// Encrypts up to [`PLAINTEXT_BYTES_MAX`] bytes under a KMS key.
#[derive(Debug)]
pub struct Encrypt {
    /// The key.
    pub key_id: KeyRef,
    /// The plaintext, 1 to 4,096 bytes.
    pub plaintext: SecretBytes,
    /// What is authenticated with it and logged in clear.
    pub encryption_context: EncryptionContext,
}

/// What Encrypt answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// The ciphertext. It names its key and material.
    pub ciphertext_blob: Vec<u8>,
    /// The key's ARN.
    pub key_id: KeyArn,
}

impl Operation for Encrypt {
    type Permission = EncryptPermission;
    type Answer = Encrypted;
    const NAME: &'static str = "Encrypt";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        cryptographic_parameters(Some(&self.key_id), &self.encryption_context)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_length("plaintext", self.plaintext.len(), PLAINTEXT_BYTES_MAX)?;
        check_context(&self.encryption_context)?;
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let conditions = KeyConditions::cryptographic(&self.encryption_context);
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        call.require_state(&named.key)?;
        let sealed = seal_under(call, &permitted, &named, &self.plaintext, &self.encryption_context)?;
        let answer = Encrypted { ciphertext_blob: sealed.ciphertext_blob, key_id: named.key.arn.clone() };
        Ok(Outcome::answer(permitted, answer)
            .noting("keyMaterialId", sealed.material.to_string())
            .noting(CIPHERTEXT_DIGEST, sealed.digest))
    }
}

/// Decrypts what Encrypt or GenerateDataKey made.
#[derive(Debug)]
pub struct Decrypt {
    /// The ciphertext.
    pub ciphertext_blob: Vec<u8>,
    /// The key that it must be under. Without it the ciphertext says which key that is.
    pub key_id: Option<KeyRef>,
    /// The context that it was made with.
    pub encryption_context: EncryptionContext,
}

/// What Decrypt answers.
#[derive(Debug)]
pub struct Decrypted {
    /// The plaintext.
    pub plaintext: SecretBytes,
    /// The ARN of the key it was under.
    pub key_id: KeyArn,
    /// The material it was under.
    pub key_material_id: MaterialId,
}

impl Operation for Decrypt {
    type Permission = DecryptPermission;
    type Answer = Decrypted;
    const NAME: &'static str = "Decrypt";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        cryptographic_parameters(self.key_id.as_ref(), &self.encryption_context)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_length("ciphertextBlob", self.ciphertext_blob.len(), CIPHERTEXT_BYTES_MAX)?;
        check_context(&self.encryption_context)?;
        let conditions = KeyConditions::cryptographic(&self.encryption_context);
        let source = (self.ciphertext_blob.as_slice(), self.key_id.as_ref());
        let (blob, named, permitted) = authorize_ciphertext::<Self::Permission>(call, source, &conditions)?;
        call.require_state(&named.key)?;
        let material = open_material(call, &permitted, &named, &blob)?;
        let plaintext = material.unseal(&blob, &self.encryption_context)?;
        let id = *blob.material();
        let answer = Decrypted { plaintext, key_id: named.key.arn.clone(), key_material_id: id };
        Ok(Outcome::answer(permitted, answer)
            .noting("keyMaterialId", id.to_string())
            .noting(CIPHERTEXT_DIGEST, ciphertext_digest(&self.ciphertext_blob)))
    }
}

/// Decrypts a ciphertext and encrypts it under another key (or the same key's newest material), so that the plaintext never leaves.
#[derive(Debug)]
pub struct ReEncrypt {
    /// The ciphertext.
    pub ciphertext_blob: Vec<u8>,
    /// The key that it must be under.
    pub source_key_id: Option<KeyRef>,
    /// The context that it was made with.
    pub source_encryption_context: EncryptionContext,
    /// The key that it shall be under.
    pub destination_key_id: KeyRef,
    /// The context that it shall have.
    pub destination_encryption_context: EncryptionContext,
}

/// What ReEncrypt answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReEncrypted {
    /// The new ciphertext.
    pub ciphertext_blob: Vec<u8>,
    /// The ARN of the key that the old one was under.
    pub source_key_id: KeyArn,
    /// The ARN of the key that the new one is under.
    pub key_id: KeyArn,
    /// The material that the old one was under.
    pub source_key_material_id: MaterialId,
    /// The material that the new one is under.
    pub destination_key_material_id: MaterialId,
}

impl Operation for ReEncrypt {
    type Permission = ReEncryptToPermission;
    type Answer = ReEncrypted;
    const NAME: &'static str = "ReEncrypt";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        re_encrypt_parameters(
            self.source_key_id.as_ref(),
            &self.source_encryption_context,
            &self.destination_key_id,
            &self.destination_encryption_context,
        )
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_length("ciphertextBlob", self.ciphertext_blob.len(), CIPHERTEXT_BYTES_MAX)?;
        check_context(&self.source_encryption_context)?;
        check_context(&self.destination_encryption_context)?;
        let destination = call.resolve::<ReEncryptToPermission>(&self.destination_key_id)?;
        let same = CiphertextBlob::parse(&self.ciphertext_blob)?.key() == &destination.key.arn;
        let with = |context| KeyConditions {
            re_encrypt_on_same_key: Some(same),
            ..KeyConditions::cryptographic(context)
        };
        let source = (self.ciphertext_blob.as_slice(), self.source_key_id.as_ref());
        let (blob, named, from) = authorize_ciphertext::<ReEncryptFromPermission>(
            call,
            source,
            &with(&self.source_encryption_context),
        )?;
        let to = call
            .authorize::<ReEncryptToPermission>(&destination, &with(&self.destination_encryption_context))?;
        call.require_state(&named.key)?;
        call.require_state(&destination.key)?;
        let plaintext =
            open_material(call, &from, &named, &blob)?.unseal(&blob, &self.source_encryption_context)?;
        let sealed = seal_under(call, &to, &destination, &plaintext, &self.destination_encryption_context)?;
        let answer = ReEncrypted {
            ciphertext_blob: sealed.ciphertext_blob,
            source_key_id: named.key.arn.clone(),
            key_id: destination.key.arn.clone(),
            source_key_material_id: *blob.material(),
            destination_key_material_id: sealed.material,
        };
        Ok(Outcome::answer(to, answer)
            .noting("sourceKeyMaterialId", blob.material().to_string())
            .noting("destinationKeyMaterialId", sealed.material.to_string())
            .noting(SOURCE_CIPHERTEXT_DIGEST, ciphertext_digest(&self.ciphertext_blob))
            .noting(CIPHERTEXT_DIGEST, sealed.digest))
    }
}

/// What a record says of a ciphertext, so that whoever opens it can be traced to whoever made it.
pub(super) fn ciphertext_digest(blob: &[u8]) -> String {
    HEXLOWER.encode(&sha256(&[blob]))
}

/// Finds the key of a ciphertext and asks for permission on that key, whether the request names it or not.
fn authorize_ciphertext<A: Action>(
    call: &mut Call<'_>,
    (bytes, named): (&[u8], Option<&KeyRef>),
    conditions: &KeyConditions<'_>,
) -> Result<(CiphertextBlob, NamedKey, Authorized<A>), CallError> {
    let blob = CiphertextBlob::parse(bytes);
    if let Some(name) = named {
        let key = call.resolve::<A>(name)?;
        let permitted = call.authorize::<A>(&key, conditions)?;
        let blob = blob?;
        if *blob.key() != key.key.arn {
            return Err(CallError::new(
                ErrorCode::IncorrectKey,
                "The key ID in the request does not identify a CMK that can perform this operation.",
            ));
        }
        return Ok((blob, key, permitted));
    }
    let blob = blob?;
    let Some(key) = call.world().key(blob.key()).cloned() else {
        return Err(call
            .ciphertext_out_of_reach::<A>()
            .explained(format!("the key {} is not in this keystore", blob.key())));
    };
    call.note_key(&key);
    let theirs = *key.arn.account() != call.account();
    let given = key.arn.to_string();
    let key = NamedKey { key, alias: None, given };
    let permitted = call.authorize::<A>(&key, conditions).map_err(|denied| {
        if theirs { call.ciphertext_out_of_reach::<A>().explained(denied.message()) } else { denied }
    })?;
    Ok((blob, key, permitted))
}

fn open_material<A: Action>(
    call: &Call<'_>,
    permitted: &Authorized<A>,
    named: &NamedKey,
    blob: &CiphertextBlob,
) -> Result<OpenMaterial, CallError> {
    if named.key.material(blob.material()).is_none() {
        let why = "it names a key material that this key never had: it was made in another keystore";
        return Err(CallError::new(ErrorCode::InvalidCiphertext, "").explained(why));
    }
    call.materials.open(permitted, &named.key, blob.material())
}

/// A plaintext under a key.
pub(super) struct Sealed {
    pub(super) ciphertext_blob: Vec<u8>,
    /// What the record says of it.
    pub(super) digest: String,
    /// The material that it is under.
    pub(super) material: MaterialId,
}

/// Seals a plaintext under the newest material of a key: one step with keys, from unwrapping the material to the end.
pub(super) fn seal_under<A: Action>(
    call: &mut Call<'_>,
    permitted: &Authorized<A>,
    named: &NamedKey,
    plaintext: &SecretBytes,
    context: &EncryptionContext,
) -> Result<Sealed, CallError> {
    let current = named.key.current_material().map(|material| material.id);
    let id = current.ok_or_else(|| CallError::internal(format!("{} has no material", named.key.arn)))?;
    let blob = wiped(|| {
        let material = call.materials.open(permitted, &named.key, &id)?;
        Ok::<_, CallError>(material.seal(context, plaintext.expose_secret(), call.random)?)
    })?;
    let ciphertext_blob = blob.to_bytes();
    Ok(Sealed { digest: ciphertext_digest(&ciphertext_blob), ciphertext_blob, material: id })
}

/// The parameters that every cryptographic operation's record shows.
pub(super) fn cryptographic_parameters(key: Option<&KeyRef>, context: &EncryptionContext) -> Value {
    let mut parameters = Map::new();
    if let Some(key) = key {
        parameters.insert("keyId".into(), key.to_string().into());
    }
    parameters.insert("encryptionAlgorithm".into(), EncryptionAlgorithm::SymmetricDefault.as_str().into());
    add_context(&mut parameters, context);
    Value::Object(parameters)
}

/// The encryption context among a record's parameters, when there is one.
pub(super) fn add_context(parameters: &mut Map<String, Value>, context: &EncryptionContext) {
    if !context.is_empty() {
        let pairs = context.iter().map(|(key, value)| (key.to_owned(), value.into()));
        parameters.insert("encryptionContext".into(), Value::Object(pairs.collect()));
    }
}

/// The parameters that ReEncrypt's record shows.
pub(super) fn re_encrypt_parameters(
    source_key: Option<&KeyRef>,
    source_context: &EncryptionContext,
    destination_key: &KeyRef,
    destination_context: &EncryptionContext,
) -> Value {
    json!({
        "sourceKeyId": source_key.map(ToString::to_string),
        "sourceEncryptionAlgorithm": EncryptionAlgorithm::SymmetricDefault,
        "sourceEncryptionContext": source_context,
        "destinationKeyId": destination_key.to_string(),
        "destinationEncryptionAlgorithm": EncryptionAlgorithm::SymmetricDefault,
        "destinationEncryptionContext": destination_context,
    })
}

/// Refuses what is empty or too long, in the words of the service model's constraints.
pub(super) fn check_length(member: &str, length: usize, most: usize) -> Result<(), CallError> {
    let constraint = match length {
        0 => "greater than or equal to 1".into(),
        length if length > most => format!("less than or equal to {most}"),
        _ => return Ok(()),
    };
    Err(CallError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length \
         {constraint}"
    )))
}

/// Refuses an encryption context longer than KMS takes.
pub(super) fn check_context(context: &EncryptionContext) -> Result<(), CallError> {
    if context.text_len() > CONTEXT_BYTES_MAX {
        return Err(CallError::validation(format!(
            "The encryption context must be at most {CONTEXT_BYTES_MAX} bytes."
        )));
    }
    Ok(())
}
