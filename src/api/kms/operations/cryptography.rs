//! What uses key material.

use bytes::Bytes;
use serde::Serialize;

use super::Begun;
use crate::{
    api::{
        error::WireError,
        json::{Blob, written_with_blobs},
        kms::{
            Pending,
            parameters::{Parameters, SYMMETRIC_DEFAULT},
        },
    },
    kms::{
        DataKey, DataKeyLength, Decrypt, DecryptWithoutCiphertext, Decrypted, Encrypt, Encrypted,
        EncryptedDataKey, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom, ReEncrypt,
        ReEncryptWithoutCiphertext, ReEncrypted,
    },
    model::{KeyArn, KeyRef, MaterialId},
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptAnswer<'a> {
    ciphertext_blob: Blob<'a>,
    key_id: KeyArn,
    encryption_algorithm: &'static str,
}

pub(super) fn encrypt(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.symmetric_algorithm("EncryptionAlgorithm")?;
    let operation = Encrypt {
        key_id: parameters.key_or_alias("KeyId")?,
        plaintext: parameters.secret_blob("Plaintext"),
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |Encrypted { ciphertext_blob, key_id }| {
        written_with_blobs(
            ciphertext_blob.len(),
            &EncryptAnswer {
                ciphertext_blob: Blob(&ciphertext_blob),
                key_id,
                encryption_algorithm: SYMMETRIC_DEFAULT,
            },
        )
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

pub(super) fn decrypt(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["Recipient"])?;
    parameters.symmetric_algorithm("EncryptionAlgorithm")?;
    if ignores_ciphertext(request)? {
        return request.call(
            &DecryptWithoutCiphertext {
                key_id: named_key(parameters, "KeyId")?,
                encryption_context: parameters.context("EncryptionContext")?,
            },
            never_answered,
        );
    }
    parameters.require("CiphertextBlob")?;
    let operation = Decrypt {
        ciphertext_blob: parameters.blob("CiphertextBlob"),
        key_id: parameters.optional_key_or_alias("KeyId")?,
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |Decrypted { plaintext, key_id, key_material_id }| {
        written_with_blobs(
            plaintext.len(),
            &DecryptAnswer {
                key_id,
                plaintext: Blob(plaintext.expose_secret()),
                encryption_algorithm: SYMMETRIC_DEFAULT,
                key_material_id,
            },
        )
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

pub(super) fn re_encrypt(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.symmetric_algorithm("SourceEncryptionAlgorithm")?;
    parameters.symmetric_algorithm("DestinationEncryptionAlgorithm")?;
    if ignores_ciphertext(request)? {
        return request.call(
            &ReEncryptWithoutCiphertext {
                source_key_id: named_key(parameters, "SourceKeyId")?,
                source_encryption_context: parameters.context("SourceEncryptionContext")?,
                destination_key_id: parameters.key_or_alias("DestinationKeyId")?,
                destination_encryption_context: parameters.context("DestinationEncryptionContext")?,
            },
            never_answered,
        );
    }
    parameters.require("CiphertextBlob")?;
    let operation = ReEncrypt {
        ciphertext_blob: parameters.blob("CiphertextBlob"),
        source_key_id: parameters.optional_key_or_alias("SourceKeyId")?,
        source_encryption_context: parameters.context("SourceEncryptionContext")?,
        destination_key_id: parameters.key_or_alias("DestinationKeyId")?,
        destination_encryption_context: parameters.context("DestinationEncryptionContext")?,
    };
    request.call(&operation, |moved: ReEncrypted| {
        written_with_blobs(
            moved.ciphertext_blob.len(),
            &ReEncryptAnswer {
                ciphertext_blob: Blob(&moved.ciphertext_blob),
                source_key_id: moved.source_key_id,
                key_id: moved.key_id,
                source_encryption_algorithm: SYMMETRIC_DEFAULT,
                destination_encryption_algorithm: SYMMETRIC_DEFAULT,
                source_key_material_id: moved.source_key_material_id,
                destination_key_material_id: moved.destination_key_material_id,
            },
        )
    })
}

/// Whether a dry run is to leave the ciphertext out of account; the modifier without `DryRun` is refused.
fn ignores_ciphertext(request: &Begun<'_>) -> Result<bool, WireError> {
    let ignores = request.parameters.list("DryRunModifiers").next().is_some();
    if ignores && !request.options.dry_run {
        return Err(WireError::validation("DryRunModifiers can be specified only when DryRun is true."));
    }
    Ok(ignores)
}

/// The key, where no ciphertext can say which it is.
fn named_key(parameters: &Parameters<'_>, name: &str) -> Result<KeyRef, WireError> {
    parameters.require(name)?;
    parameters.key_or_alias(name)
}

/// A dry run that would succeed is an error.
fn never_answered((): ()) -> Result<Bytes, WireError> {
    Ok(Bytes::new())
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

pub(super) fn generate_data_key(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    parameters.without(&["Recipient"])?;
    let operation = GenerateDataKey {
        key_id: parameters.key_or_alias("KeyId")?,
        length: data_key_length(parameters)?,
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |DataKey { plaintext, ciphertext_blob, key_id, key_material_id }| {
        written_with_blobs(
            ciphertext_blob.len() + plaintext.len(),
            &DataKeyAnswer {
                ciphertext_blob: Blob(&ciphertext_blob),
                plaintext: Some(Blob(plaintext.expose_secret())),
                key_id,
                key_material_id,
            },
        )
    })
}

pub(super) fn generate_data_key_without_plaintext(request: &Begun<'_>) -> Result<Pending, WireError> {
    let parameters = &request.parameters;
    let operation = GenerateDataKeyWithoutPlaintext {
        key_id: parameters.key_or_alias("KeyId")?,
        length: data_key_length(parameters)?,
        encryption_context: parameters.context("EncryptionContext")?,
    };
    request.call(&operation, |EncryptedDataKey { ciphertext_blob, key_id, key_material_id }| {
        written_with_blobs(
            ciphertext_blob.len(),
            &DataKeyAnswer {
                ciphertext_blob: Blob(&ciphertext_blob),
                plaintext: None,
                key_id,
                key_material_id,
            },
        )
    })
}

pub(super) fn generate_random(request: &Begun<'_>) -> Result<Pending, WireError> {
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
        written_with_blobs(bytes.len(), &Answer { plaintext: Blob(bytes.expose_secret()) })
    })
}
