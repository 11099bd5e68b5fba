//! CreateBucket, ListBuckets.

use serde_json::{Value, json};

use super::{EVENT_SOURCE, note};
use crate::{
    kms::{Call, CallError, Operation, Outcome, actions},
    model::ErrorCode,
    world::{Bucket, BucketName, Change},
};

actions! {
    /// `s3:CreateBucket`.
    CreateBucketPermission = "s3:CreateBucket",
    /// `s3:ListAllMyBuckets`.
    ListAllMyBucketsPermission = "s3:ListAllMyBuckets",
}

/// Makes a bucket.
#[derive(Debug)]
pub struct CreateBucket {
    /// Its name.
    pub bucket: BucketName,
}

impl Operation for CreateBucket {
    type Permission = CreateBucketPermission;
    type Answer = ();
    const NAME: &'static str = "CreateBucket";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"bucketName": self.bucket})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let bucket = Bucket { name: self.bucket.clone(), owner: call.account(), created: call.now() };
        let permitted = call.authorize_on::<Self::Permission>(&bucket.arn(), bucket.owner.clone())?;
        if let Some(there) = call.world().bucket(&self.bucket) {
            let (code, message) = if there.owner == bucket.owner {
                let message =
                    "Your previous request to create the named bucket succeeded and you already own it.";
                (ErrorCode::BucketAlreadyOwnedByYou, message)
            } else {
                (ErrorCode::BucketAlreadyExists, "The requested bucket name is not available.")
            };
            return Err(CallError::new(code, message));
        }
        note(call, &bucket, None);
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::PutBucket(bucket)], Value::Null))
    }
}

/// Lists the buckets of the caller's account.
#[derive(Debug, Default)]
pub struct ListBuckets {}

impl Operation for ListBuckets {
    type Permission = ListAllMyBucketsPermission;
    type Answer = Vec<Bucket>;
    const NAME: &'static str = "ListBuckets";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        Value::Null
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        let account = call.account();
        let buckets = call.world().buckets().filter(|bucket| bucket.owner == account);
        let buckets = buckets.map(|bucket| Bucket::clone(bucket)).collect();
        Ok(Outcome::answer(permitted, buckets))
    }
}
