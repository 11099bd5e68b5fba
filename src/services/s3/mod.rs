//! A simulated S3: buckets of objects that are encrypted at rest, each under a key that depends on how it was put.
//!
//! | put with | encrypted under | the call to KMS is made by |
//! |---|---|---|
//! | nothing, or `AES256` | a key that the service owns | the service |
//! | `aws:kms` | `aws/s3`, made in the account at first use | the caller, by way of the service |
//! | `aws:kms` and a key id | that key | the caller, by way of the service |
//!
//! So the permission to read a bucket and the permission to use a key are two things, and a caller with the first alone
//! gets no byte. Source: "Protecting data with server-side encryption" (S3 user guide).
//!
//! Objects lie on disk as AWS Encryption SDK messages with the encryption context that S3 uses, `aws:s3:arn`.

mod buckets;
mod objects;
mod store;

pub use buckets::{CreateBucket, ListBuckets};
pub use objects::{DeleteObject, Encryption, GetObject, ListObjects, PutObject};
pub use store::{ObjectError, S3};

use crate::{
    audit::ResourceEntry,
    kms::{Call, CallError, Question, Service, Subject},
    model::{EncryptionContext, ErrorCode, KeyRef},
    world::{Bucket, BucketName, ObjectKey, World},
};

/// What reading or writing an object asks of KMS beside the permission on the object: for an object that is there, or
/// one under `key`, under a key that is not the service's own.
#[must_use]
pub fn key_question(world: &World, question: &Question, key: Option<&KeyRef>) -> Option<Question> {
    let Subject::Resource(arn) = &question.on else { return None };
    let (bucket, object) = arn.resource().split_once('/').filter(|_| arn.service() == "s3")?;
    let action = match question.action.to_ascii_lowercase().as_str() {
        "s3:getobject" => "kms:Decrypt",
        "s3:putobject" => "kms:GenerateDataKey",
        _ => return None,
    };
    let stored = || world.object(&bucket.parse().ok()?, &object.parse().ok()?);
    let under = stored().filter(|object| !object.kms_key.account().is_of_the_services());
    let under = under.filter(|_| action == "kms:Decrypt").map(|object| KeyRef::from(object.kms_key.clone()));
    let key = key.cloned().or(under)?;
    let encryption_context = EncryptionContext::from_pairs([("aws:s3:arn", arn.as_str())]).ok()?;
    Some(Question {
        via: Some(Service::S3),
        encryption_context,
        supposed: question.supposed.clone(),
        ..Question::new(action, Subject::Key(key))
    })
}

const EVENT_SOURCE: &str = "s3.amazonaws.com";

/// The bucket with this name. S3 says whether a bucket exists to anybody who asks.
fn find_bucket(call: &mut Call<'_>, name: &BucketName) -> Result<Bucket, CallError> {
    let bucket = call
        .world()
        .bucket(name)
        .map(|bucket| Bucket::clone(bucket))
        .ok_or_else(|| CallError::new(ErrorCode::NoSuchBucket, "The specified bucket does not exist"))?;
    note(call, &bucket, None);
    Ok(bucket)
}

fn object_arn(bucket: &BucketName, key: &ObjectKey) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

/// Remembers a bucket, or an object in it, for the record.
fn note(call: &mut Call<'_>, bucket: &Bucket, key: Option<&ObjectKey>) {
    let (resource_type, arn) = match key {
        Some(key) => ("AWS::S3::Object", object_arn(&bucket.name, key)),
        None => ("AWS::S3::Bucket", bucket.arn()),
    };
    call.note(ResourceEntry { account_id: bucket.owner.clone(), resource_type: resource_type.into(), arn });
}
