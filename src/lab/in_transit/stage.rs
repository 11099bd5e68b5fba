//! Where it happens: a temporary keystore with an authority, certificates good and bad, and a sealed model.
//!
//! The keystore's clock is two days ahead of the machine's, so that a certificate of one day has ended by it and not by the
//! machine's.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;
use thiserror::Error;

use crate::{
    artifact::{ArtifactError, Source, Target},
    crypto::random::{Random, RandomError, SystemRandom},
    keystore::{Keystore, KeystoreError, NewKeystore, Seal},
    kms::{CallError, SystemClock},
    lab::seed::{LAB, Seed, SeedError},
    model::{CertificateNames, Days, EncryptionContext, ParseError, PrincipalArn, RevocationReason},
    services::tls::{AUTHORITY_DAYS, CERTIFICATE_DAYS, IssueCertificate},
    transit::{HolderKey, TransitError, pem},
    world::Certificate,
};

/// The model that is sealed.
pub const MODEL: &[u8] = include_bytes!("../../../examples/model/tiny-mlp.safetensors");
/// The tensor that is asked for.
pub const TENSOR: &str = "hidden.weight";
/// Where its bytes stand in [`MODEL`], counted from the end.
const TENSOR_FROM_END: (usize, usize) = (4432, 336);
/// How far the keystore's clock is ahead of the machine's.
pub const DAYS_AHEAD: Days = Days::new(2);

const HOLDER: &str = "keystead demo transit";
const ACCOUNT: &str = "111122223333";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

/// Why the stage cannot be set.
#[derive(Debug, Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum StageError {
    /// A file or process failed.
    Io(#[from] io::Error),
    /// The keystore cannot be made.
    Keystore(#[from] KeystoreError),
    /// A call failed.
    Call(#[from] CallError),
    /// The people in it cannot be made.
    Seed(#[from] SeedError),
    /// A certificate cannot be made.
    Transit(#[from] TransitError),
    /// The model cannot be sealed.
    Artifact(#[from] ArtifactError),
    /// There is no randomness.
    Random(#[from] RandomError),
}

impl From<ParseError> for StageError {
    fn from(error: ParseError) -> Self {
        Self::Call(error.into())
    }
}

/// Where it happens. All of it is gone when this is dropped.
#[derive(Debug)]
pub struct Stage {
    place: TempDir,
    canary: String,
}

impl Stage {
    /// Makes everything that is needed. In its directory are `ca.pem` and `crl.pem`, `other-ca.pem` and `other-crl.pem` of
    /// another authority, and certificates with their keys: `alice`, who may use the model's key; `bob`, who may not;
    /// `former`, alice's that has ended; `revoked`; and `stranger`, alice's of the other authority.
    ///
    /// # Errors
    ///
    /// When there is no place, or no randomness.
    pub fn set() -> Result<Self, StageError> {
        let place = TempDir::with_prefix("keystead-transit-")?;
        let random: &mut dyn Random = &mut SystemRandom;
        let stage = Self { place, canary: format!("canary-{}", hex::encode(random.array::<8>()?)) };
        let new =
            || Ok::<_, ParseError>(NewKeystore { account: ACCOUNT.parse()?, region: "us-east-1".parse()? });
        let seal = Seal::KeyFile(stage.path("keystore.key"));
        let keystore = Keystore::create(&stage.keystore(), new()?, seal, HOLDER)?;
        let admin = keystore.administrator();
        Seed::parse(LAB)?.plan(&keystore)?.apply(&keystore, &admin, &mut Vec::new())?;
        keystore.tls().create_authority(&admin, AUTHORITY_DAYS)?;
        stage.issue(&keystore, "alice", ALICE, CERTIFICATE_DAYS)?;
        stage.issue(&keystore, "bob", BOB, CERTIFICATE_DAYS)?;
        stage.issue(&keystore, "former", ALICE, Days::new(1))?;
        let revoked = stage.issue(&keystore, "revoked", ALICE, CERTIFICATE_DAYS)?;
        keystore.tls().revoke(&admin, revoked.serial, RevocationReason::KeyCompromise)?;
        stage.write_authority(&keystore, "")?;

        let (source, sealed) = (Source::Stream(&mut &MODEL[..]), stage.sealed_model());
        let alice = keystore.caller("user/alice")?;
        let context = EncryptionContext::new();
        keystore.artifacts(&alice).seal("alias/models".parse()?, source, Target::File(&sealed), context)?;
        keystore.advance_clock(&admin, DAYS_AHEAD)?;
        drop(keystore);

        let other = Keystore::in_memory(new()?, Arc::new(SystemClock))?;
        Seed::parse(LAB)?.plan(&other)?.apply(&other, &other.administrator(), &mut Vec::new())?;
        other.tls().create_authority(&other.administrator(), AUTHORITY_DAYS)?;
        stage.issue(&other, "stranger", ALICE, CERTIFICATE_DAYS)?;
        stage.write_authority(&other, "other-")?;
        Ok(stage)
    }

    fn issue(
        &self,
        keystore: &Keystore,
        file: &str,
        arn: &str,
        days: Days,
    ) -> Result<Certificate, StageError> {
        let principal: PrincipalArn = arn.parse()?;
        let key = HolderKey::generate()?;
        let names = CertificateNames::of_principal(principal);
        let issue = IssueCertificate { request: key.request().to_vec(), names, validity: days };
        let issued = keystore.tls().issue(&keystore.administrator(), issue)?;
        key.write(&self.path(&format!("{file}.key")))?;
        fs::write(self.path(&format!("{file}.crt")), pem::certificate(&issued.certificate))?;
        Ok(issued)
    }

    fn write_authority(&self, keystore: &Keystore, prefix: &str) -> Result<(), StageError> {
        let admin = keystore.administrator();
        let authority = keystore.tls().authority(&admin)?;
        let list = keystore.tls().revocation_list(&admin)?;
        fs::write(self.path(&format!("{prefix}ca.pem")), pem::certificate(&authority.certificate))?;
        Ok(fs::write(self.path(&format!("{prefix}crl.pem")), pem::revocation_list(&list))?)
    }

    /// A path in the temporary directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// The temporary directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.place.path()
    }

    /// The keystore's directory.
    #[must_use]
    pub fn keystore(&self) -> PathBuf {
        self.path("keystore")
    }

    /// The sealed model.
    #[must_use]
    pub fn sealed_model(&self) -> PathBuf {
        self.path("model.safetensors.sealed")
    }

    /// A text that is said in each request and stands nowhere else in the world.
    #[must_use]
    pub fn canary(&self) -> &str {
        &self.canary
    }
}

/// The bytes of [`TENSOR`].
#[must_use]
pub fn tensor_bytes() -> &'static [u8] {
    let (from, to) = TENSOR_FROM_END;
    MODEL.get(MODEL.len() - from..MODEL.len() - to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tensors_bytes_are_those_of_the_tensor() {
        let model = safetensors::SafeTensors::deserialize(MODEL).unwrap();
        assert_eq!(model.tensor(TENSOR).unwrap().data(), tensor_bytes());
    }
}
