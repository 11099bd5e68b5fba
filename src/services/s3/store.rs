//! Moves the bytes of objects in and out of the store, sealed by envelope encryption.

use std::{
    fs::{self, File},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use thiserror::Error;

use super::{
    CreateBucket, DeleteObject, Encryption, GetObject, ListBuckets, ListObjects, PutObject, object_arn,
};
use crate::{
    artifact::{self, ArtifactError, Progress, Source, Target},
    crypto::random::{Random, SystemRandom},
    envelope::{
        DataKey, DataKeyError, EncryptedDataKey, Keyring, KeyringError, KmsKeyring, NewDataKey, OpenOptions,
        SealOptions,
    },
    kms::{CallError, Caller, Door, KmsDataKeys, Service, ServiceKey, data_key_error},
    model::{EncryptionContext, ErrorCode, KeyArn, KeyRef},
    secret::SecretKey,
    world::{Bucket, BucketName, Object, ObjectKey},
};

/// The simulated S3 of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct S3<'k> {
    door: &'k Door,
    /// The directory that holds the objects' messages.
    objects: &'k Path,
}

/// An object could not be put or got.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// The service said no.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The local file, or the message in the store.
    #[error(transparent)]
    Artifact(Box<ArtifactError>),
}

impl From<ArtifactError> for ObjectError {
    fn from(error: ArtifactError) -> Self {
        Self::Artifact(Box::new(error))
    }
}

impl<'k> S3<'k> {
    pub(crate) fn new(door: &'k Door, objects: &'k Path) -> Self {
        Self { door, objects }
    }

    /// Makes a bucket.
    ///
    /// # Errors
    ///
    /// When it exists, or the caller may not.
    pub fn create_bucket(&self, caller: &Caller, bucket: BucketName) -> Result<(), CallError> {
        self.door.call(caller, &CreateBucket { bucket })
    }

    /// Lists the buckets of the caller's account.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn list_buckets(&self, caller: &Caller) -> Result<Vec<Bucket>, CallError> {
        self.door.call(caller, &ListBuckets {})
    }

    /// Lists a bucket's objects whose keys begin with `prefix`.
    ///
    /// # Errors
    ///
    /// When there is no such bucket, or the caller may not.
    pub fn list_objects(
        &self,
        caller: &Caller,
        bucket: BucketName,
        prefix: &str,
    ) -> Result<Vec<Object>, CallError> {
        self.door.call(caller, &ListObjects { bucket, prefix: prefix.into() })
    }

    /// Puts an object, encrypted at rest. `progress` hears of each read of the source.
    ///
    /// # Errors
    ///
    /// When the caller may not write to the bucket or not use the key, or the source cannot be read. Nothing is stored
    /// then, and what was there stays.
    pub fn put_object(
        &self,
        caller: &Caller,
        mut put: PutObject,
        source: Source<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Object, ObjectError> {
        if let Err(error) = self.door.preview(caller, &put) {
            put.stored = Some(Err(error.clone()));
            self.door.call(caller, &put)?;
            return Err(error.into());
        }
        let stored = match self.seal(caller, &put, source, progress) {
            Ok(object) => Ok(object),
            Err(ObjectError::Call(error)) => Err(error),
            Err(ObjectError::Artifact(error)) => match error.kms_answer() {
                Some(answer) => Err(call_error(answer)),
                None => return Err(ObjectError::Artifact(error)),
            },
        };
        put.stored = Some(stored.clone());
        let called = self.door.call(caller, &put);
        match (called, stored) {
            (Ok(replaced), Ok(object)) => {
                if let Some(older) = replaced {
                    self.remove(&older);
                }
                Ok(object)
            }
            (Err(error), stored) => {
                // After a failed write nobody knows whether the state names the file: the next opening does.
                if let (Ok(object), false) = (stored, error.code() == ErrorCode::KmsInternal) {
                    self.remove(&object);
                }
                Err(error.into())
            }
            (Ok(_), Err(error)) => Err(error.into()),
        }
    }

    /// Seals the source under the key that the request asks for, as a new file of the store.
    fn seal(
        &self,
        caller: &Caller,
        put: &PutObject,
        source: Source<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Object, ObjectError> {
        let bucket = self.door.world()?.bucket(&put.bucket).map(|bucket| bucket.owner.clone());
        let owner = bucket.unwrap_or_else(|| caller.account());
        let (as_whom, key) = match &put.encryption {
            Encryption::Aes256 => {
                let key = self.door.service_key(&ServiceKey::Owned(Service::S3))?;
                (Caller::service(Service::S3), KeyRef::Arn(key))
            }
            Encryption::AwsManagedKey => {
                let key = self.door.service_key(&ServiceKey::Managed(Service::S3, owner))?;
                (caller.through(Service::S3), KeyRef::Arn(key))
            }
            Encryption::KmsKey(key) => (caller.through(Service::S3), key.clone()),
        };
        let kms = KmsDataKeys::new(self.door, as_whom);
        let keyring = KmsKeyring::new(&kms, key);
        let context = EncryptionContext::from_pairs([("aws:s3:arn", object_arn(&put.bucket, &put.key))])
            .map_err(CallError::from)?;
        let options = SealOptions { context, ..SealOptions::default() };

        let random: &mut dyn Random = &mut SystemRandom;
        let name = random.array::<16>().map(hex::encode).map_err(CallError::from)?;
        let mut file = ObjectFile::create(self.objects.join(&name))?;
        let target = Target::Stream(&mut file.file);
        let sealed = artifact::seal(source, target, false, &keyring, &options, random, progress)?.message;
        file.keep(self.objects)?;
        let recipient = sealed.header.encrypted_data_keys.first();
        let key = recipient.and_then(|recipient| str::from_utf8(&recipient.provider_info).ok()?.parse().ok());
        let kms_key: KeyArn = key.ok_or_else(|| CallError::internal("a sealed object names no key"))?;
        Ok(Object {
            bucket: put.bucket.clone(),
            key: put.key.clone(),
            size: sealed.plaintext_bytes,
            modified: self.door.time(),
            encryption: put.encryption.header(),
            kms_key,
            file: name,
        })
    }

    /// Gets an object. `replace` lets the target replace a file; `progress` hears of each read.
    ///
    /// The record of the call is durable before the first byte leaves.
    ///
    /// # Errors
    ///
    /// When the caller may not read the object or not use its key; no byte leaves then. When the stored message is
    /// damaged.
    pub fn get_object(
        &self,
        caller: &Caller,
        mut get: GetObject,
        target: Target<'_>,
        replace: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Object, ObjectError> {
        let object = match self.door.preview(caller, &get) {
            Ok(object) => object,
            Err(error) => {
                get.refused = Some(error.clone());
                self.door.call(caller, &get)?;
                return Err(error.into());
            }
        };
        let as_whom = match object.kms_key.account().is_of_the_services() {
            true => Caller::service(Service::S3),
            false => caller.through(Service::S3),
        };
        let kms = KmsDataKeys::new(self.door, as_whom);
        let keyring = RecordedKeyring {
            inner: KmsKeyring::discovery(&kms),
            door: self.door,
            caller,
            get: Mutex::new(Some(get)),
            key: object.kms_key.clone(),
        };
        let arn = object_arn(&object.bucket, &object.key);
        let required = EncryptionContext::from_pairs([("aws:s3:arn", arn)]).map_err(CallError::from)?;
        let options = OpenOptions { required_context: required, ..OpenOptions::default() };
        let path = self.objects.join(&object.file);
        let opened = artifact::open(Source::File(&path), target, replace, &keyring, &options, progress);
        // The message may be damaged where no data key was asked for yet.
        if let (Err(error), Some(mut get)) = (&opened, keyring.take()) {
            get.refused = Some(CallError::internal(error.to_string()));
            // It fails with what it was told; if it fails otherwise, then of what it was to record.
            let _recorded = self.door.call(caller, &get);
        }
        match opened {
            Ok(_) => Ok(object),
            Err(error) => match error.kms_answer() {
                // The record's keyring has put it in the service's words already.
                Some(answer) => Err(CallError::from_data_key_error(answer).into()),
                None => Err(error.into()),
            },
        }
    }

    /// Takes an object away. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// When there is no such bucket, or the caller may not.
    pub fn delete_object(
        &self,
        caller: &Caller,
        bucket: BucketName,
        key: ObjectKey,
    ) -> Result<(), CallError> {
        if let Some(object) = self.door.call(caller, &DeleteObject { bucket, key })? {
            self.remove(&object);
        }
        Ok(())
    }

    /// Removes the message of an object that the world no longer holds. One that stays behind is removed at the next
    /// opening of the keystore.
    fn remove(&self, object: &Object) {
        let _left_for_later = fs::remove_file(self.objects.join(&object.file));
    }

    /// The files of the store that no object names: left behind when a process was killed.
    pub(crate) fn orphans(&self) -> Vec<PathBuf> {
        let Ok(world) = self.door.world() else { return Vec::new() };
        let known: std::collections::HashSet<&str> =
            world.objects().map(|object| object.file.as_str()).collect();
        let Ok(entries) = fs::read_dir(self.objects) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.path());
        let forgotten = |path: &PathBuf| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|n| is_of_the_store(n) && !known.contains(n))
        };
        names.filter(forgotten).collect()
    }
}

/// Whether the store gives files such names: an object's, or that of one in the making. Nothing else is touched.
fn is_of_the_store(name: &str) -> bool {
    let of_object = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    of_object || (name.starts_with(".keystead-") && name.ends_with(".partial"))
}

/// Makes the record of GetObject durable at the moment when the data key is known or refused: before any plaintext.
struct RecordedKeyring<'k> {
    inner: KmsKeyring<'k>,
    door: &'k Door,
    caller: &'k Caller,
    /// The call, until it is made.
    get: Mutex<Option<GetObject>>,
    key: KeyArn,
}

impl RecordedKeyring<'_> {
    fn take(&self) -> Option<GetObject> {
        self.get.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl Keyring for RecordedKeyring<'_> {
    fn generate(&self, _: &EncryptionContext, _: &mut dyn Random) -> Result<NewDataKey, KeyringError> {
        Err(KeyringError::NoSealingKey)
    }

    fn wrap(
        &self,
        _: &SecretKey,
        _: &EncryptionContext,
        _: &mut dyn Random,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Err(KeyringError::NoSealingKey)
    }

    fn unwrap(
        &self,
        encrypted: &[EncryptedDataKey],
        context: &EncryptionContext,
    ) -> Result<DataKey, KeyringError> {
        let unwrapped = self.inner.unwrap(encrypted, context);
        let Some(mut get) = self.take() else { return unwrapped };
        get.refused = unwrapped.as_ref().err().map(|error| match error.kms_answer() {
            Some(answer) => call_error(answer),
            None => CallError::internal(error.to_string()),
        });
        match self.door.call(self.caller, &get) {
            Ok(_) => unwrapped,
            Err(error) => {
                Err(KeyringError::Kms { key: self.key.clone().into(), source: data_key_error(error) })
            }
        }
    }
}

/// The file of an object that is being put: for the owner alone from its first byte on, and gone again unless it is kept.
struct ObjectFile {
    file: File,
    path: Option<PathBuf>,
}

impl ObjectFile {
    fn create(path: PathBuf) -> Result<Self, CallError> {
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Self { file: made.map_err(|error| unwritable(&error))?, path: Some(path) })
    }

    /// Makes the file durable, its name included, before anything names it.
    fn keep(mut self, directory: &Path) -> Result<(), CallError> {
        let durable = self.file.sync_all().and_then(|()| File::open(directory)?.sync_all());
        durable.map_err(|error| unwritable(&error))?;
        self.path = None;
        Ok(())
    }
}

impl Drop for ObjectFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _left_for_later = fs::remove_file(path);
        }
    }
}

fn unwritable(error: &std::io::Error) -> CallError {
    CallError::internal(format!("the object cannot be stored: {error}"))
}

/// What KMS answered to the service, as the service answers it: the bucket was not what said no.
fn call_error(answer: &DataKeyError) -> CallError {
    let error = CallError::from_data_key_error(answer);
    match answer.code() {
        ErrorCode::AccessDenied => {
            let why = error.explanation().unwrap_or("no").to_owned();
            error.explained(format!("the bucket lets the caller in, its key does not: {why}"))
        }
        _ => error,
    }
}
