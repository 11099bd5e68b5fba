//! The key that signs digest files: made at the first export, kept under wrap, its public half told to whoever asks.
//!
//! CloudTrail has one such key a Region and tells its public halves by ListPublicKeys; here it is one a keystore.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::{Value, json};

use super::CloudTrail;
use crate::{
    audit::prune::EVENT_SOURCE,
    crypto::{digest::sha256, rsa_signature::RsaSigningKey},
    kms::{Call, CallError, Caller, Operation, Outcome, actions},
    model::{Days, ErrorCode, Timestamp},
    secret::SecretBytes,
    world::{Change, DigestKey, Settings},
};

actions! {
    /// `keystead:ExportTrail`.
    ExportTrailPermission = "keystead:ExportTrail",
    /// `cloudtrail:ListPublicKeys`.
    ListPublicKeysPermission = "cloudtrail:ListPublicKeys",
}

/// How long ListPublicKeys says that a key is valid: ten years.
const VALIDITY: Days = Days::new(3650);
/// As many hexadecimal digits as CloudTrail's fingerprints have.
const FINGERPRINT_DIGITS: usize = 32;

/// The public half of a key that signs digest files (CloudTrail API, PublicKey).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DigestPublicKey {
    /// The key: DER RSAPublicKey (PKCS #1), in base64.
    pub value: String,
    /// When it was made, in seconds since 1970.
    #[serde(serialize_with = "epoch_seconds")]
    pub validity_start_time: Timestamp,
    /// Until when it can be expected to sign, in seconds since 1970.
    #[serde(serialize_with = "epoch_seconds")]
    pub validity_end_time: Timestamp,
    /// By what digest files name it.
    pub fingerprint: String,
}

fn epoch_seconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_epoch_seconds())
}

impl From<&DigestKey> for DigestPublicKey {
    fn from(key: &DigestKey) -> Self {
        Self {
            value: BASE64_STANDARD.encode(&key.public_key),
            validity_start_time: key.created,
            validity_end_time: key.created.plus(VALIDITY),
            fingerprint: key.fingerprint.clone(),
        }
    }
}

impl CloudTrail<'_> {
    /// The public halves of the keys that sign digest files; none before the first export.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn list_public_keys(&self, caller: &Caller) -> Result<Vec<DigestPublicKey>, CallError> {
        self.door.call(caller, &ListPublicKeys {})
    }

    /// The key that signs, made now if there is none, and the record of what it is wanted for.
    pub(super) fn digest_signer(
        &self,
        caller: &Caller,
        export: &ExportTrail,
    ) -> Result<DigestSigner, CallError> {
        if self.door.settings().digest_key.is_none() {
            let unmade = || CallError::internal("no key to sign digest files could be made");
            let key = RsaSigningKey::generate().ok_or_else(unmade)?;
            let public_key = RsaSigningKey::from_pkcs8(&key).ok_or_else(unmade)?.public_key().to_vec();
            match self.door.call(caller, &CreateDigestKey { key, public_key }) {
                // Somebody else was quicker, and that key is as good.
                Err(error) if error.code() == ErrorCode::AlreadyExists => {}
                made => made?,
            }
        }
        self.door.call(caller, export)
    }
}

/// Signs digest files.
pub(super) struct DigestSigner {
    key: RsaSigningKey,
    pub(super) public: DigestKey,
}

impl DigestSigner {
    pub(super) fn sign(&self, text: &str) -> Result<Vec<u8>, CallError> {
        self.key.sign(text.as_bytes()).ok_or_else(|| CallError::internal("the digest could not be signed"))
    }
}

/// Makes the key that signs digest files.
#[derive(Debug)]
struct CreateDigestKey {
    /// PKCS #8.
    key: SecretBytes,
    /// PKCS #1.
    public_key: Vec<u8>,
}

impl Operation for CreateDigestKey {
    type Permission = ExportTrailPermission;
    type Answer = ();
    const NAME: &'static str = "CreateDigestKey";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        if call.world().settings().digest_key.is_some() {
            let message = "There is a key that signs digest files already.";
            return Err(CallError::new(ErrorCode::AlreadyExists, message));
        }
        let mut fingerprint = hex::encode(sha256(&[&self.public_key]));
        fingerprint.truncate(FINGERPRINT_DIGITS);
        let wrapped = call.wrap_digest_key(&fingerprint, &self.key)?;
        let elements = json!({"fingerprint": fingerprint});
        let (public_key, created) = (self.public_key.clone(), call.now());
        let digest_key = Some(DigestKey { public_key, fingerprint, created, wrapped });
        let settings = Settings { digest_key, ..Settings::clone(call.world().settings()) };
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::PutSettings(settings)], elements))
    }
}

/// Asks for leave to write the account's events out, and for the key that signs what is written.
#[derive(Debug)]
pub(super) struct ExportTrail {
    pub(super) bucket: String,
    pub(super) trail: String,
}

impl Operation for ExportTrail {
    type Permission = ExportTrailPermission;
    type Answer = DigestSigner;
    const NAME: &'static str = "ExportTrail";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"bucketName": self.bucket, "trailName": self.trail})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        let missing = || CallError::internal("there is no key that signs digest files");
        let public = call.world().settings().digest_key.clone().ok_or_else(missing)?;
        let opened = call.open_digest_key(&permitted, &public)?;
        let key = RsaSigningKey::from_pkcs8(&opened).ok_or_else(missing)?;
        Ok(Outcome::answer(permitted, DigestSigner { key, public }))
    }
}

/// Tells the public halves of the keys that sign digest files.
#[derive(Debug)]
struct ListPublicKeys {}

impl Operation for ListPublicKeys {
    type Permission = ListPublicKeysPermission;
    type Answer = Vec<DigestPublicKey>;
    const NAME: &'static str = "ListPublicKeys";
    const EVENT_SOURCE: &'static str = "cloudtrail.amazonaws.com";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        let keys = call.world().settings().digest_key.iter().map(DigestPublicKey::from).collect();
        Ok(Outcome::answer(permitted, keys))
    }
}
