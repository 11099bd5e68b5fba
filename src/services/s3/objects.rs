//! PutObject, GetObject, ListObjects, DeleteObject: what is decided and recorded. The bytes are moved by the store.

use serde_json::{Map, Value, json};

use super::{EVENT_SOURCE, find_bucket, note, object_arn};
use crate::{
    kms::{Call, CallError, Operation, Outcome, actions},
    model::{ErrorCode, KeyRef},
    policy::{Action, Authorized},
    world::{Bucket, BucketName, Change, Object, ObjectKey, ServerSideEncryption},
};

actions! {
    /// `s3:PutObject`.
    PutObjectPermission = "s3:PutObject",
    /// `s3:GetObject`.
    GetObjectPermission = "s3:GetObject",
    /// `s3:ListBucket`.
    ListBucketPermission = "s3:ListBucket",
    /// `s3:DeleteObject`.
    DeleteObjectPermission = "s3:DeleteObject",
}

/// Finds the bucket of an object and asks whether the caller may do `A` to the object.
fn on_object<A: Action>(
    call: &mut Call<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<(Bucket, Authorized<A>), CallError> {
    let bucket = find_bucket(call, bucket)?;
    let permitted = call.authorize_on(&object_arn(&bucket.name, key), bucket.owner.clone())?;
    note(call, &bucket, Some(key));
    Ok((bucket, permitted))
}

/// How an object shall be encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Under the key that the service owns.
    #[default]
    Aes256,
    /// Under `aws/s3` in the bucket owner's account.
    AwsManagedKey,
    /// Under this key.
    KmsKey(KeyRef),
}

impl Encryption {
    /// What `x-amz-server-side-encryption` says.
    #[must_use]
    pub fn header(&self) -> ServerSideEncryption {
        match self {
            Self::Aes256 => ServerSideEncryption::Aes256,
            Self::AwsManagedKey | Self::KmsKey(_) => ServerSideEncryption::AwsKms,
        }
    }
}

/// Puts an object, in place of one with the same key.
#[derive(Debug)]
pub struct PutObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The object's key.
    pub key: ObjectKey,
    /// How it shall be encrypted.
    pub encryption: Encryption,
    /// What encrypting it came to: none while that is still to be done.
    pub(super) stored: Option<Result<Object, CallError>>,
}

impl PutObject {
    /// Puts an object with this key into this bucket.
    #[must_use]
    pub fn new(bucket: BucketName, key: ObjectKey, encryption: Encryption) -> Self {
        Self { bucket, key, encryption, stored: None }
    }
}

impl Operation for PutObject {
    type Permission = PutObjectPermission;
    /// The object that was replaced.
    type Answer = Option<Object>;
    const NAME: &'static str = "PutObject";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;
    const DATA_EVENT: bool = true;

    fn request_parameters(&self) -> Value {
        let mut parameters = Map::new();
        parameters.insert("bucketName".into(), json!(self.bucket));
        parameters.insert("key".into(), json!(self.key));
        parameters.insert("x-amz-server-side-encryption".into(), json!(self.encryption.header()));
        if let Encryption::KmsKey(key) = &self.encryption {
            let name = "x-amz-server-side-encryption-aws-kms-key-id";
            parameters.insert(name.into(), json!(key.to_string()));
        }
        Value::Object(parameters)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (_, permitted) = on_object::<Self::Permission>(call, &self.bucket, &self.key)?;
        let replaced = call.world().object(&self.bucket, &self.key).map(|object| Object::clone(object));
        let outcome = Outcome::answer(permitted, replaced);
        match &self.stored {
            None => Ok(outcome),
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(object)) => {
                let mut elements = Map::new();
                elements.insert("x-amz-server-side-encryption".into(), json!(object.encryption));
                if object.encryption == ServerSideEncryption::AwsKms {
                    let name = "x-amz-server-side-encryption-aws-kms-key-id";
                    elements.insert(name.into(), json!(object.kms_key));
                }
                let object = Object { modified: call.now(), ..object.clone() };
                Ok(outcome.changing(vec![Change::PutObject(Box::new(object))], Value::Object(elements)))
            }
        }
    }
}

/// Gets an object.
#[derive(Debug)]
pub struct GetObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The object's key.
    pub key: ObjectKey,
    /// Why the object's data key could not be had, once that is known.
    pub(super) refused: Option<CallError>,
}

impl GetObject {
    /// Gets the object with this key from this bucket.
    #[must_use]
    pub fn new(bucket: BucketName, key: ObjectKey) -> Self {
        Self { bucket, key, refused: None }
    }
}

impl Operation for GetObject {
    type Permission = GetObjectPermission;
    type Answer = Object;
    const NAME: &'static str = "GetObject";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;
    const DATA_EVENT: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"bucketName": self.bucket, "key": self.key})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (bucket, permitted) = on_object::<Self::Permission>(call, &self.bucket, &self.key)?;
        let Some(object) = call.world().object(&self.bucket, &self.key).cloned() else {
            // Whether a key exists is told to those alone who may list the bucket.
            let _may_know = call.authorize_on::<ListBucketPermission>(&bucket.arn(), bucket.owner.clone())?;
            return Err(CallError::new(ErrorCode::NoSuchKey, "The specified key does not exist."));
        };
        match &self.refused {
            Some(error) => Err(error.clone()),
            None => Ok(Outcome::answer(permitted, Object::clone(&object))),
        }
    }
}

/// Lists a bucket's objects.
#[derive(Debug)]
pub struct ListObjects {
    /// The bucket.
    pub bucket: BucketName,
    /// What their keys begin with.
    pub prefix: String,
}

impl Operation for ListObjects {
    type Permission = ListBucketPermission;
    type Answer = Vec<Object>;
    const NAME: &'static str = "ListObjects";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;
    const DATA_EVENT: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"bucketName": self.bucket, "prefix": self.prefix})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let bucket = find_bucket(call, &self.bucket)?;
        let permitted = call.authorize_on::<Self::Permission>(&bucket.arn(), bucket.owner.clone())?;
        let listed =
            call.world().objects_in(&self.bucket).filter(|o| o.key.as_str().starts_with(&self.prefix));
        let objects = listed.map(|object| Object::clone(object)).collect();
        Ok(Outcome::answer(permitted, objects))
    }
}

/// Takes an object away. One that is not there is no error, as at S3.
#[derive(Debug)]
pub struct DeleteObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The object's key.
    pub key: ObjectKey,
}

impl Operation for DeleteObject {
    type Permission = DeleteObjectPermission;
    /// The object that was there.
    type Answer = Option<Object>;
    const NAME: &'static str = "DeleteObject";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;
    const DATA_EVENT: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"bucketName": self.bucket, "key": self.key})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (_, permitted) = on_object::<Self::Permission>(call, &self.bucket, &self.key)?;
        let there = call.world().object(&self.bucket, &self.key).map(|object| Object::clone(object));
        let changes = match &there {
            Some(_) => vec![Change::DeleteObject(self.bucket.clone(), self.key.clone())],
            None => Vec::new(),
        };
        Ok(Outcome::answer(permitted, there).changing(changes, Value::Null))
    }
}
