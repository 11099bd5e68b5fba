//! Key material under wrap, and the only way to unwrap it.
//!
//! A material is 32 random bytes, wrapped with AES-256-GCM under a key that derives from the root key; the key's ARN and
//! the material's id are the associated data, so a wrapped material cannot be passed off as another key's. It is
//! unwrapped for one call, and only for who holds the [`Authorized`] of that very key.

use super::{CallError, blob::CiphertextBlob};
use crate::{
    crypto::{
        OpenError, aead,
        random::{Random, RandomError},
    },
    model::{AuthorityArn, EncryptionContext, KeyArn, MaterialId, RotationType, Timestamp},
    policy::{Action, Authorized},
    secret::{SecretBytes, SecretKey},
    world::{Authority, Key, Material},
};

/// The key that wraps all key materials.
pub(crate) struct Materials {
    wrapping: SecretKey,
}

/// A material unwrapped for one call.
pub(super) struct OpenMaterial {
    key: KeyArn,
    id: MaterialId,
    secret: SecretKey,
}

impl Materials {
    /// Wraps with this key, which derives from the root key.
    pub(crate) fn new(wrapping: SecretKey) -> Self {
        Self { wrapping }
    }

    /// Makes a new material for `key`.
    pub(super) fn generate(
        &self,
        key: &KeyArn,
        created: Timestamp,
        rotation: Option<RotationType>,
        random: &mut dyn Random,
    ) -> Result<Material, RandomError> {
        let secret = random.secret()?;
        self.wrap(key, &secret, created, rotation, random)
    }

    /// Wraps a material that is given, as seeds and `_custom_key_material_` do.
    pub(super) fn wrap(
        &self,
        key: &KeyArn,
        secret: &SecretKey,
        created: Timestamp,
        rotation: Option<RotationType>,
        random: &mut dyn Random,
    ) -> Result<Material, RandomError> {
        let id = MaterialId::from_bytes(random.array()?);
        let wrapped =
            aead::seal_with_random_nonce(&self.wrapping, &aad(key, &id), secret.expose_secret(), random)?;
        Ok(Material { id, created, rotation, wrapped })
    }

    /// Unwraps the material `id` of `key`, for who was allowed to use that key.
    pub(super) fn open<A: Action>(
        &self,
        authorized: &Authorized<A>,
        key: &Key,
        id: &MaterialId,
    ) -> Result<OpenMaterial, CallError> {
        if authorized.resource() != key.arn.as_str() {
            return Err(CallError::internal("a permission for one key was held against another"));
        }
        let material = key
            .material(id)
            .ok_or_else(|| CallError::internal(format!("the key {} has no material {id}", key.arn)))?;
        let secret = self.unwrap(&key.arn, material).map_err(|_| {
            CallError::internal(format!("the material {id} of {} is damaged: it does not unwrap", key.arn))
        })?;
        Ok(OpenMaterial { key: key.arn.clone(), id: *id, secret })
    }

    /// Wraps the private key of a certificate authority.
    #[cfg(feature = "tls")]
    pub(super) fn wrap_authority_key(
        &self,
        authority: &AuthorityArn,
        key: &SecretBytes,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, RandomError> {
        aead::seal_with_random_nonce(&self.wrapping, &authority_aad(authority), key.expose_secret(), random)
    }

    /// Unwraps the private key of a certificate authority, for who was allowed to use it.
    #[cfg(feature = "tls")]
    pub(super) fn open_authority_key<A: Action>(
        &self,
        authorized: &Authorized<A>,
        authority: &Authority,
    ) -> Result<SecretBytes, CallError> {
        if authorized.resource() != authority.arn.as_str() {
            return Err(CallError::internal("a permission for one authority was held against another"));
        }
        self.unwrap_authority_key(authority)
    }

    /// Wraps an authority's private key anew under another wrapping key: for rotating the root key, never for a call.
    pub(crate) fn rewrap_authority(
        &self,
        newer: &Self,
        authority: &Authority,
        random: &mut dyn Random,
    ) -> Result<Authority, CallError> {
        let (key, aad) = (self.unwrap_authority_key(authority)?, authority_aad(&authority.arn));
        let wrapped_key = aead::seal_with_random_nonce(&newer.wrapping, &aad, key.expose_secret(), random)?;
        Ok(Authority { wrapped_key, ..authority.clone() })
    }

    fn unwrap_authority_key(&self, authority: &Authority) -> Result<SecretBytes, CallError> {
        let opened = aead::open_with_leading_nonce(
            &self.wrapping,
            &authority_aad(&authority.arn),
            &authority.wrapped_key,
        );
        opened.map_err(|_| {
            CallError::internal(format!(
                "the private key of {} is damaged: it does not unwrap",
                authority.arn
            ))
        })
    }

    /// Wraps a material anew under another wrapping key: for rotating the root key, never for a call.
    pub(crate) fn rewrap(
        &self,
        newer: &Self,
        key: &KeyArn,
        material: &Material,
        random: &mut dyn Random,
    ) -> Result<Material, CallError> {
        let secret = self.unwrap(key, material).map_err(|_| {
            CallError::internal(format!("the material {} of {key} does not unwrap", material.id))
        })?;
        let aad = aad(key, &material.id);
        let wrapped = aead::seal_with_random_nonce(&newer.wrapping, &aad, secret.expose_secret(), random)?;
        Ok(Material { wrapped, ..material.clone() })
    }

    fn unwrap(&self, key: &KeyArn, material: &Material) -> Result<SecretKey, OpenError> {
        let opened =
            aead::open_with_leading_nonce(&self.wrapping, &aad(key, &material.id), &material.wrapped)?;
        SecretKey::from_slice(opened.expose_secret()).ok_or(OpenError)
    }
}

impl OpenMaterial {
    /// Seals a plaintext.
    pub(super) fn seal(
        &self,
        context: &EncryptionContext,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Result<CiphertextBlob, RandomError> {
        CiphertextBlob::seal(&self.key, (self.id, &self.secret), context, plaintext, random)
    }

    /// Opens a blob.
    pub(super) fn unseal(
        &self,
        blob: &CiphertextBlob,
        context: &EncryptionContext,
    ) -> Result<SecretBytes, CallError> {
        blob.open(&self.secret, context)
    }
}

fn authority_aad(authority: &AuthorityArn) -> Vec<u8> {
    // Another first line than a material's: neither can be passed off as the other.
    format!("keystead v1 certificate authority key\n{authority}").into_bytes()
}

fn aad(key: &KeyArn, id: &MaterialId) -> Vec<u8> {
    // Neither an ARN nor hexadecimal digits hold a line feed, so the parts cannot run into one another.
    ["keystead v1 key material", key.as_str(), &id.to_string()].join("\n").into_bytes()
}
