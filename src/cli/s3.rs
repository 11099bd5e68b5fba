//! `keystead s3`

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    error::CommandError,
    global::Global,
    output,
    progress::Meter,
    stream::{Protected, with_source, with_target},
};
use crate::{
    artifact,
    keystore::Keystore,
    kms::Caller,
    model::{KeyRef, ParseError},
    services::s3::{Encryption, GetObject, PutObject},
    world::{BucketName, Object, ObjectKey, ServerSideEncryption},
};

/// Use the simulated S3, whose objects are encrypted at rest
#[derive(Debug, Subcommand)]
pub(super) enum S3 {
    Mb(Mb),
    Cp(Cp),
    Ls(Ls),
    Rm(Rm),
}

/// Make a bucket
///
/// Example: keystead s3 mb s3://models
#[derive(Debug, Args)]
pub(super) struct Mb {
    /// The bucket: `s3://NAME`
    #[arg(value_name = "S3URI")]
    bucket: S3Uri,
}

/// Copy a file into a bucket, or an object out of it
///
/// Example: keystead s3 cp model.safetensors s3://models/ --sse aws:kms --sse-kms-key-id alias/models
///
/// Without a flag the object is encrypted under a key that the service owns (AES256); `--sse aws:kms` takes the account's
/// aws/s3 key, and `--sse-kms-key-id` a key of yours. `-` is standard input or output.
#[derive(Debug, Args)]
pub(super) struct Cp {
    /// From: a file, `-` or `s3://BUCKET/KEY`
    #[arg(value_name = "FROM")]
    from: Place,
    /// To: `s3://BUCKET/KEY`, a file, a directory or `-`
    #[arg(value_name = "TO")]
    to: Place,
    /// How to encrypt the object: AES256 or aws:kms
    #[arg(long, num_args = 0..=1, default_missing_value = "AES256", value_name = "KIND")]
    sse: Option<ServerSideEncryption>,
    /// The KMS key to encrypt it under: id, ARN, alias name or alias ARN
    #[arg(long, value_name = "KEY")]
    sse_kms_key_id: Option<KeyRef>,
}

/// List buckets, or the objects in one
///
/// Example: keystead s3 ls s3://models/
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// The bucket and what the objects' keys begin with: `s3://BUCKET/PREFIX`
    #[arg(value_name = "S3URI")]
    uri: Option<S3Uri>,
}

/// Remove an object
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The object: `s3://BUCKET/KEY`
    #[arg(value_name = "S3URI")]
    object: S3Uri,
}

/// `s3://BUCKET/KEY`, where the key may be missing.
#[derive(Debug, Clone)]
struct S3Uri {
    bucket: BucketName,
    key: String,
}

impl FromStr for S3Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rest = text.strip_prefix("s3://").ok_or_else(|| {
            ParseError::new(format!("`{text}` is not an S3 URI: write it as s3://BUCKET/KEY"))
        })?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { bucket: bucket.parse()?, key: key.into() })
    }
}

impl S3Uri {
    /// The object's key; a key that is missing or ends in `/` takes the local file's name, as with the `aws` command.
    fn object_key(&self, file: Option<&Path>) -> Result<ObjectKey, CommandError> {
        if !self.key.is_empty() && !self.key.ends_with('/') {
            return Ok(self.key.parse()?);
        }
        let name = file.and_then(Path::file_name).and_then(|name| name.to_str());
        let name = name.ok_or_else(|| CommandError::usage("name the object: s3://BUCKET/KEY"))?;
        Ok(format!("{}{name}", self.key).parse()?)
    }
}

/// One end of a copy.
#[derive(Debug, Clone)]
enum Place {
    Local(PathBuf),
    Object(S3Uri),
}

impl FromStr for Place {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.starts_with("s3://") { Ok(Self::Object(text.parse()?)) } else { Ok(Self::Local(text.into())) }
    }
}

impl S3 {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Mb(mb) => mb.run(global),
            Self::Cp(cp) => cp.run(global),
            Self::Ls(ls) => ls.run(global),
            Self::Rm(rm) => rm.run(global),
        }
    }
}

impl Mb {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        if !self.bucket.key.is_empty() {
            return Err(CommandError::usage("name the bucket alone: s3://NAME"));
        }
        let (keystore, caller) = global.session()?;
        keystore.s3().create_bucket(&caller, self.bucket.bucket.clone())?;
        output::say(&format!("made the bucket {}", self.bucket.bucket));
        Ok(())
    }
}

impl Cp {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        match (&self.from, &self.to) {
            (Place::Local(file), Place::Object(uri)) => {
                let encryption = self.encryption()?;
                let key = uri.object_key(Some(file.as_path()).filter(|file| *file != Path::new("-")))?;
                let (keystore, caller) = global.session()?;
                upload(
                    global,
                    (&keystore, &caller),
                    file,
                    PutObject::new(uri.bucket.clone(), key, encryption),
                )
            }
            (Place::Object(uri), Place::Local(target)) => {
                let key = uri.object_key(None)?;
                let (keystore, caller) = global.session()?;
                download(global, (&keystore, &caller), GetObject::new(uri.bucket.clone(), key), target)
            }
            _ => Err(CommandError::usage("one end must be an S3 URI and the other a file or `-`")),
        }
    }

    fn encryption(&self) -> Result<Encryption, CommandError> {
        match (self.sse, &self.sse_kms_key_id) {
            (Some(ServerSideEncryption::Aes256), Some(_)) => {
                Err(CommandError::usage("`--sse AES256` takes no key")
                    .hint("use `--sse aws:kms` with `--sse-kms-key-id`"))
            }
            (_, Some(key)) => Ok(Encryption::KmsKey(key.clone())),
            (Some(ServerSideEncryption::AwsKms), None) => Ok(Encryption::AwsManagedKey),
            (Some(ServerSideEncryption::Aes256) | None, None) => Ok(Encryption::Aes256),
        }
    }
}

fn upload(
    global: &Global,
    (keystore, caller): (&Keystore, &Caller),
    file: &Path,
    put: PutObject,
) -> Result<(), CommandError> {
    let meter = Meter::new(global);
    let target = format!("s3://{}/{}", put.bucket, put.key);
    let object = with_source(file, |source| {
        keystore.s3().put_object(caller, put, source, &mut |progress| meter.update(file, progress))
    })?;
    drop(meter);
    output::say(&format!("upload: {} to {target}, encrypted {}", file.display(), under(&object)));
    Ok(())
}

fn download(
    global: &Global,
    (keystore, caller): (&Keystore, &Caller),
    get: GetObject,
    target: &Path,
) -> Result<(), CommandError> {
    let name = get.key.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let target = if target.is_dir() { target.join(name) } else { target.to_path_buf() };
    let source = format!("s3://{}/{}", get.bucket, get.key);
    let meter = Meter::new(global);
    let target_path = target.clone();
    let own_files = keystore.own_files();
    let protected = Protected { keystore: Some(&own_files), ..Protected::default() };
    with_target(&target, Some(&target), &protected, artifact::opened_name, |target| {
        // As with the `aws` command, a file that is there is replaced; only at the end, and whole.
        Ok(keystore
            .s3()
            .get_object(caller, get, target, true, &mut |progress| meter.update(&target_path, progress))?)
    })?;
    drop(meter);
    output::say(&format!("download: {source} to {}", target.display()));
    Ok(())
}

fn under(object: &Object) -> String {
    match object.encryption {
        ServerSideEncryption::Aes256 => "under a key that the service owns (AES256)".into(),
        ServerSideEncryption::AwsKms => format!("under {} (aws:kms)", object.kms_key),
    }
}

impl Ls {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let Some(uri) = &self.uri else {
            let buckets = keystore.s3().list_buckets(&caller)?;
            if global.json {
                return output::json(
                    &json!({"Buckets": buckets.iter().map(|b| json!({"Name": b.name})).collect::<Vec<_>>()}),
                );
            }
            let rows = buckets.iter().map(|bucket| vec![bucket.name.to_string(), bucket.created.to_string()]);
            return Ok(output::table(&["BUCKET", "MADE"], rows)?);
        };
        let objects = keystore.s3().list_objects(&caller, uri.bucket.clone(), &uri.key)?;
        if global.json {
            let entries: Vec<_> = objects
                .iter()
                .map(|object| {
                    json!({
                        "Key": object.key, "Size": object.size, "LastModified": object.modified.to_rfc3339(),
                        "ServerSideEncryption": object.encryption, "SSEKMSKeyId": kms_key(object),
                    })
                })
                .collect();
            return output::json(&json!({"Contents": entries}));
        }
        let row = |object: &Object| {
            vec![
                object.modified.to_string(),
                object.size.to_string(),
                object.encryption.to_string(),
                object.key.to_string(),
            ]
        };
        Ok(output::table(&["MODIFIED", "SIZE", "ENCRYPTION", "KEY"], objects.iter().map(row))?)
    }
}

/// The key that S3 tells its customers of: never one of the service's own.
fn kms_key(object: &Object) -> Option<String> {
    (object.encryption == ServerSideEncryption::AwsKms).then(|| object.kms_key.to_string())
}

impl Rm {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let key = self.object.object_key(None)?;
        let (keystore, caller) = global.session()?;
        keystore.s3().delete_object(&caller, self.object.bucket.clone(), key)?;
        output::say(&format!("delete: s3://{}/{}", self.object.bucket, self.object.key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_takes_the_files_name_where_it_has_none() {
        let key = |uri: &str| {
            uri.parse::<S3Uri>().unwrap().object_key(Some(Path::new("dir/m.bin"))).unwrap().to_string()
        };
        assert_eq!(key("s3://models"), "m.bin");
        assert_eq!(key("s3://models/"), "m.bin");
        assert_eq!(key("s3://models/a/"), "a/m.bin");
        assert_eq!(key("s3://models/a"), "a");
        assert!("s3://models/".parse::<S3Uri>().unwrap().object_key(None).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_place_or_refused(text in "(s3://)?\\PC{0,80}") {
            let parsed: Result<Place, _> = text.parse();
            proptest::prop_assert!(parsed.is_ok() || text.starts_with("s3://"));
        }
    }
}
