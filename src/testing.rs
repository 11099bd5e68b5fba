//! A throw-away keystore for tests: users, buckets and a clock of its own, in a few lines.
//!
//! ```
//! use keystead::testing::Lab;
//!
//! let lab = Lab::new()?;
//! let (alice, bob) = (lab.user("alice", &["s3:*", "kms:*"])?, lab.user("bob", &["s3:GetObject"])?);
//! lab.put_under_new_key(&alice, "models", "tiny.bin", b"weights")?;
//!
//! assert_eq!(lab.get(&alice, "models", "tiny.bin")?, b"weights");
//! let denied = lab.get(&bob, "models", "tiny.bin").unwrap_err();
//! assert!(denied.to_string().starts_with("AccessDeniedException"), "{denied}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use serde_json::json;

use crate::{
    artifact::{Source, Target},
    keystore::{Keystore, KeystoreError, NewKeystore},
    kms::{CallError, Caller, CreateKey, Kms, ManualClock},
    model::{Days, KeyArn, ParseError, Tags, Timestamp},
    services::s3::{Encryption, GetObject, ObjectError, PutObject},
};

/// The account that everything in a [`Lab`] belongs to.
pub const ACCOUNT: &str = "111122223333";
/// The Region of a [`Lab`]'s keys.
pub const REGION: &str = "us-east-1";
/// The moment at which a [`Lab`]'s clock stands until it is moved: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A keystore in memory, with an administrator and a clock that stands still until it is moved.
pub struct Lab {
    keystore: Keystore,
    clock: Arc<ManualClock>,
}

impl Lab {
    /// A new keystore with an administrator and nothing else.
    ///
    /// # Errors
    ///
    /// When there is no randomness or no temporary directory.
    pub fn new() -> Result<Self, KeystoreError> {
        let clock = Arc::new(ManualClock::at(START));
        let new = NewKeystore { account: ACCOUNT.parse()?, region: REGION.parse()? };
        Ok(Self { keystore: Keystore::in_memory(new, Arc::clone(&clock) as _)?, clock })
    }

    /// The keystore.
    #[must_use]
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// Its KMS.
    pub fn kms(&self) -> Kms<'_> {
        self.keystore.kms()
    }

    /// Its administrator.
    #[must_use]
    pub fn admin(&self) -> Caller {
        self.keystore.administrator()
    }

    /// Makes a user who may do these actions to everything, as far as an identity policy can say so.
    ///
    /// # Errors
    ///
    /// When the name is taken or not a name.
    pub fn user(&self, name: &str, actions: &[&str]) -> Result<Caller, CallError> {
        let statement = json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}]);
        let statement = if actions.is_empty() { json!([]) } else { statement };
        self.user_with_policy(name, &json!({"Version": "2012-10-17", "Statement": statement}).to_string())
    }

    /// Makes a user with this identity policy.
    ///
    /// # Errors
    ///
    /// When the name is taken or not a name, or the policy is not well formed.
    pub fn user_with_policy(&self, name: &str, policy: &str) -> Result<Caller, CallError> {
        let iam = self.keystore.iam();
        let arn = iam.create_user(&self.admin(), name.parse()?, Tags::new())?;
        iam.put_user_policy(&self.admin(), name.parse()?, "policy".parse()?, policy)?;
        Ok(Caller::local(arn))
    }

    /// Makes a role with this identity policy, and answers a session of it.
    ///
    /// # Errors
    ///
    /// When the name is taken or not a name, or the policy is not well formed.
    pub fn role_with_policy(&self, name: &str, policy: &str) -> Result<Caller, CallError> {
        let iam = self.keystore.iam();
        iam.create_role(&self.admin(), name.parse()?, Tags::new())?;
        iam.put_role_policy(&self.admin(), name.parse()?, "policy".parse()?, policy)?;
        self.keystore.caller(&format!("role/{name}"))
    }

    /// Makes a customer managed key with the default key policy.
    ///
    /// # Errors
    ///
    /// When the keystore cannot write.
    pub fn key(&self) -> Result<KeyArn, CallError> {
        Ok(self.kms().create_key(&self.admin(), CreateKey::default())?.arn)
    }

    /// Makes the bucket if it is not there, and puts an object in it.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn put(
        &self,
        caller: &Caller,
        bucket: &str,
        key: &str,
        encryption: Encryption,
        mut bytes: &[u8],
    ) -> Result<(), ObjectError> {
        let bucket = bucket.parse().map_err(CallError::from)?;
        if self.keystore.world()?.bucket(&bucket).is_none() {
            self.keystore.s3().create_bucket(&self.admin(), bucket.clone())?;
        }
        let put = PutObject::new(bucket, key.parse().map_err(CallError::from)?, encryption);
        self.keystore.s3().put_object(caller, put, Source::Stream(&mut bytes), &mut |_| {})?;
        Ok(())
    }

    /// Makes a customer managed key and the bucket, and puts an object under that key.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn put_under_new_key(
        &self,
        caller: &Caller,
        bucket: &str,
        key: &str,
        bytes: &[u8],
    ) -> Result<KeyArn, ObjectError> {
        let arn = self.key()?;
        self.put(caller, bucket, key, Encryption::KmsKey(arn.clone().into()), bytes)?;
        Ok(arn)
    }

    /// Gets an object.
    ///
    /// # Errors
    ///
    /// When the caller may not read the object or not use its key.
    pub fn get(&self, caller: &Caller, bucket: &str, key: &str) -> Result<Vec<u8>, ObjectError> {
        let parsed = |error: ParseError| CallError::from(error);
        let get = GetObject::new(bucket.parse().map_err(parsed)?, key.parse().map_err(parsed)?);
        let mut bytes = Vec::new();
        self.keystore.s3().get_object(caller, get, Target::Stream(&mut bytes), false, &mut |_| {})?;
        Ok(bytes)
    }

    /// Moves the clock forward.
    pub fn advance(&self, days: u32) {
        self.clock.advance(Days::new(days));
    }
}
