//! Decrypt and ReEncrypt without a ciphertext: what `DryRun` with the modifier `IGNORE_CIPHERTEXT` asks.
//!
//! Source: `DryRunModifiers` (KMS API reference, Decrypt and ReEncrypt): "KMS performs only authorization validation
//! without ciphertext validation". They ask for what the operations proper ask for, on keys that the request has to name,
//! and do nothing: also outside of a dry run nothing comes of them.

use serde_json::Value;

use super::{
    Call, CallError, Decrypt, Operation, Outcome, ReEncrypt,
    conditions::KeyConditions,
    encrypt::{
        DecryptPermission, ReEncryptFromPermission, ReEncryptToPermission, check_context,
        cryptographic_parameters, re_encrypt_parameters,
    },
};
use crate::model::{EncryptionContext, KeyRef};

/// Asks whether the caller may decrypt under a key.
#[derive(Debug)]
pub struct DecryptWithoutCiphertext {
    /// The key.
    pub key_id: KeyRef,
    /// The context.
    pub encryption_context: EncryptionContext,
}

impl Operation for DecryptWithoutCiphertext {
    type Permission = DecryptPermission;
    type Answer = ();
    const NAME: &'static str = Decrypt::NAME;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        cryptographic_parameters(Some(&self.key_id), &self.encryption_context)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_context(&self.encryption_context)?;
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let conditions = KeyConditions::cryptographic(&self.encryption_context);
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        call.require_state(&named.key)?;
        Ok(Outcome::answer(permitted, ()))
    }
}

/// Asks whether the caller may move ciphertexts from one key to another.
#[derive(Debug)]
pub struct ReEncryptWithoutCiphertext {
    /// The key that they are under.
    pub source_key_id: KeyRef,
    /// The context that they have.
    pub source_encryption_context: EncryptionContext,
    /// The key that they shall be under.
    pub destination_key_id: KeyRef,
    /// The context that they shall have.
    pub destination_encryption_context: EncryptionContext,
}

impl Operation for ReEncryptWithoutCiphertext {
    type Permission = ReEncryptToPermission;
    type Answer = ();
    const NAME: &'static str = ReEncrypt::NAME;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        re_encrypt_parameters(
            Some(&self.source_key_id),
            &self.source_encryption_context,
            &self.destination_key_id,
            &self.destination_encryption_context,
        )
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_context(&self.source_encryption_context)?;
        check_context(&self.destination_encryption_context)?;
        let source = call.resolve::<ReEncryptFromPermission>(&self.source_key_id)?;
        let destination = call.resolve::<ReEncryptToPermission>(&self.destination_key_id)?;
        let same = source.key.arn == destination.key.arn;
        let with = |context| KeyConditions {
            re_encrypt_on_same_key: Some(same),
            ..KeyConditions::cryptographic(context)
        };
        let _from =
            call.authorize::<ReEncryptFromPermission>(&source, &with(&self.source_encryption_context))?;
        let to = call
            .authorize::<ReEncryptToPermission>(&destination, &with(&self.destination_encryption_context))?;
        call.require_state(&source.key)?;
        call.require_state(&destination.key)?;
        Ok(Outcome::answer(to, ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kms::CallOptions, model::ErrorCode, testing::Lab};

    #[test]
    fn who_may_decrypt_hears_so_without_a_ciphertext_and_who_may_not_is_denied() {
        let lab = Lab::new().unwrap();
        let (key, bob) = (lab.key().unwrap(), lab.user("bob", &["kms:Encrypt", "kms:ReEncryptTo"]).unwrap());
        let dry = CallOptions { dry_run: true, ..CallOptions::default() };
        let context = EncryptionContext::new;
        let decrypt = DecryptWithoutCiphertext { key_id: key.clone().into(), encryption_context: context() };
        let move_it = ReEncryptWithoutCiphertext {
            source_key_id: key.clone().into(),
            source_encryption_context: context(),
            destination_key_id: key.clone().into(),
            destination_encryption_context: context(),
        };
        let code = |result: Result<(), CallError>| result.unwrap_err().code();
        for (caller, expected) in [(lab.admin(), ErrorCode::DryRunOperation), (bob, ErrorCode::AccessDenied)]
        {
            assert_eq!(code(lab.kms().call_with(&caller, &decrypt, &dry)), expected);
            assert_eq!(code(lab.kms().call_with(&caller, &move_it, &dry)), expected);
        }
        lab.kms().disable_key(&lab.admin(), crate::kms::DisableKey { key_id: key.into() }).unwrap();
        assert_eq!(code(lab.kms().call_with(&lab.admin(), &decrypt, &dry)), ErrorCode::Disabled);
    }
}
