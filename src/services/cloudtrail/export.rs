//! The log as CloudTrail would have delivered it to a bucket: gzipped log files, and digest files that vouch for them.
//!
//! Names, contents and signatures are as "CloudTrail log file integrity validation" (AWS CloudTrail user guide) has them,
//! so `aws cloudtrail validate-logs` accepts what lies here once it is in a bucket. A digest names its log files with
//! their hashes and the digest before it with that one's signature. Here too each digest says which records it reaches to
//! and what the root of the Merkle tree was: what the classic scheme does not notice, a cut-off end, the log itself does.
//!
//! An export goes on where the newest digest in the directory ends. A digest ends with the hour, the last one now; an hour
//! in which nothing happened has none, and the next one's time begins where the one before ended. Files appear whole, a
//! digest after all that it names: an export that was interrupted is begun again without loss.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    CloudTrail,
    digest_key::{DigestSigner, ExportTrail},
};
use crate::{
    audit::{LogFault, LogPosition, read},
    crypto::{digest::sha256, rsa_signature::is_rsa_signature},
    kms::{CallError, Caller},
    model::{AccountId, ParseError, Region, Timestamp},
};

/// Records in a log file at most. CloudTrail's hold about as many bytes.
const RECORDS_PER_FILE_MAX: usize = 10_000;
/// A digest file is shorter than this, uncompressed.
const DIGEST_BYTES_MAX: u64 = 64 << 20;
const HOUR_MILLIS: i64 = 60 * 60 * 1000;
const HASH_ALGORITHM: &str = "SHA-256";
const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";
/// What is added to a digest file's name for what S3 would keep as the object's metadata.
const METADATA_EXTENSION: &str = "metadata.json";

/// Where to, and under which names.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The directory that stands for the bucket.
    pub directory: PathBuf,
    /// The bucket that the files are to be put into; the digests name it.
    pub bucket: String,
    /// The trail's name.
    pub trail: String,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Exported {
    /// Records in the log files.
    pub records: u64,
    /// Log files.
    pub log_files: u64,
    /// Digest files.
    pub digests: u64,
}

/// Why the log was not exported, or not to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The call that it is.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The log.
    #[error("the audit log: {0}")]
    Log(#[from] LogFault),
    /// A record.
    #[error("the audit log holds what is no record: {0}")]
    Record(#[from] ParseError),
    /// A file of the export.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The newest digest there is not one that can be gone on with.
    #[error("`{}` cannot be gone on with: {reason}", .path.display())]
    Foreign {
        /// The digest file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What the log has been asked for was pruned.
    #[error(
        "the log begins with record {first} since it was pruned, and the export ends before record {wanted}"
    )]
    Pruned {
        /// The first record that is there.
        first: u64,
        /// The one that should come next.
        wanted: u64,
    },
}

/// A digest file (CloudTrail user guide, "CloudTrail digest file structure").
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Digest {
    aws_account_id: AccountId,
    digest_start_time: String,
    digest_end_time: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    newest_event_time: Option<String>,
    oldest_event_time: Option<String>,
    previous_digest_s3_bucket: Option<String>,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    previous_digest_signature: Option<String>,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    log_files: Vec<LogFileEntry>,
    /// Ours.
    keystead: Reach,
}

/// A log file as its digest names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogFileEntry {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: String,
    newest_event_time: String,
    oldest_event_time: String,
}

/// How far a digest reaches in the Merkle log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reach {
    /// The number of the first record that it says nothing of.
    next_record: u64,
    /// The log's size when it was made, and its root then.
    log_size: u64,
    log_root: String,
}

/// What S3 would keep as a digest's metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    signature: String,
    signature_algorithm: String,
}

/// The digest before, as the next one names it.
struct Previous {
    object: String,
    bucket: String,
    hash: String,
    signature: String,
    end: Timestamp,
    next_record: u64,
}

impl CloudTrail<'_> {
    /// Writes the caller's account's records to a directory in CloudTrail's layout, from where the export there ends.
    ///
    /// # Errors
    ///
    /// When the caller may not, the log cannot be read, the directory cannot be written, or what is in it is not an export
    /// of this log.
    pub fn export(&self, caller: &Caller, options: &ExportOptions) -> Result<Exported, ExportError> {
        let export = ExportTrail { bucket: options.bucket.clone(), trail: options.trail.clone() };
        let signer = self.digest_signer(caller, &export)?;
        let (position, settings) = (self.door.settle()?, self.door.settings());
        let (account, region) = (caller.account(), settings.region);
        let mut delivery = Delivery {
            options,
            account,
            region,
            signer,
            position,
            previous: None,
            exported: Exported::default(),
        };
        delivery.previous = delivery.find_previous()?;
        let first = delivery.previous.as_ref().map_or(0, |previous| previous.next_record);
        let mut hour =
            delivery.previous.as_ref().map(|previous| previous.end.as_millis().div_euclid(HOUR_MILLIS));
        let mut pending = Pending::default();
        for stored in read::records(self.log.directory(), first)? {
            let stored = stored?;
            if stored.sequence >= position.size {
                break;
            }
            if pending.next_record == 0 && first > 0 && stored.sequence > first {
                return Err(ExportError::Pruned { first: stored.sequence, wanted: first });
            }
            let record = stored.parse()?;
            // Acts of the service are dated when they fell due, and clocks go backwards: what stands later is later.
            let own = record.event_time.as_millis().div_euclid(HOUR_MILLIS);
            let current = hour.map_or(own, |hour| hour.max(own));
            if hour.is_some_and(|hour| hour != current) && !pending.is_empty() {
                let end = hour.unwrap_or(current).saturating_add(1).saturating_mul(HOUR_MILLIS);
                delivery.deliver(std::mem::take(&mut pending), Timestamp::from_millis(end))?;
            }
            hour = Some(current);
            pending.next_record = stored.sequence + 1;
            if record.recipient_account_id == delivery.account {
                pending.records.push((record.event_time, stored.bytes));
            }
        }
        if !pending.is_empty() {
            delivery.deliver(pending, self.door.time())?;
        }
        Ok(delivery.exported)
    }
}

/// Records that the next digest is to vouch for.
#[derive(Default)]
struct Pending {
    records: Vec<(Timestamp, Vec<u8>)>,
    next_record: u64,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// An export at work.
struct Delivery<'o> {
    options: &'o ExportOptions,
    account: AccountId,
    region: Region,
    signer: DigestSigner,
    position: LogPosition,
    previous: Option<Previous>,
    exported: Exported,
}

impl Delivery<'_> {
    /// Writes these records' log files, and the digest that vouches for them.
    fn deliver(&mut self, pending: Pending, end: Timestamp) -> Result<(), ExportError> {
        // Two digests never end in the same second: the time is their name.
        let end = self.previous.as_ref().map_or(end, |previous| end.max(previous.end.plus_millis(1000)));
        let mut log_files = Vec::new();
        for records in pending.records.chunks(RECORDS_PER_FILE_MAX) {
            log_files.push(self.write_log_file(records, end)?);
        }
        let times = || pending.records.iter().map(|(time, _)| *time);
        let (oldest, newest) = (times().min().unwrap_or(end), times().max().unwrap_or(end));
        let previous = self.previous.as_ref();
        let start = previous.map_or(oldest, |previous| previous.end);
        let object = self.key_of(
            "CloudTrail-Digest",
            end,
            &format!("_{0}_{1}_{0}", self.region, self.options.trail),
            "",
        );
        let digest = Digest {
            aws_account_id: self.account.clone(),
            digest_start_time: start.to_rfc3339(),
            digest_end_time: end.to_rfc3339(),
            digest_s3_bucket: self.options.bucket.clone(),
            digest_s3_object: object.clone(),
            newest_event_time: Some(newest.to_rfc3339()),
            oldest_event_time: Some(oldest.to_rfc3339()),
            previous_digest_s3_bucket: previous.map(|previous| previous.bucket.clone()),
            previous_digest_s3_object: previous.map(|previous| previous.object.clone()),
            previous_digest_hash_value: previous.map(|previous| previous.hash.clone()),
            previous_digest_hash_algorithm: previous.map(|_| HASH_ALGORITHM.into()),
            previous_digest_signature: previous.map(|previous| previous.signature.clone()),
            digest_public_key_fingerprint: self.signer.public.fingerprint.clone(),
            digest_signature_algorithm: SIGNATURE_ALGORITHM.into(),
            log_files,
            keystead: Reach {
                next_record: pending.next_record,
                log_size: self.position.size,
                log_root: hex::encode(self.position.root),
            },
        };
        let path = self.options.directory.join(&object);
        let bytes = serde_json::to_vec(&digest).map_err(io::Error::from).map_err(at(&path))?;
        let signature = hex::encode(self.signer.sign(&text_to_sign(&digest, &bytes))?);
        let metadata =
            Metadata { signature: signature.clone(), signature_algorithm: SIGNATURE_ALGORITHM.into() };
        let text = serde_json::to_vec(&metadata).map_err(io::Error::from).map_err(at(&path))?;
        write_whole(&path.with_added_extension(METADATA_EXTENSION), &text)?;
        write_whole(&path, &gzip(&bytes).map_err(at(&path))?)?;
        self.exported.digests += 1;
        self.previous = Some(Previous {
            object,
            bucket: self.options.bucket.clone(),
            hash: hex::encode(sha256(&[&bytes])),
            signature,
            end,
            next_record: pending.next_record,
        });
        Ok(())
    }

    fn write_log_file(
        &mut self,
        records: &[(Timestamp, Vec<u8>)],
        end: Timestamp,
    ) -> Result<LogFileEntry, ExportError> {
        let mut content = b"{\"Records\":[".to_vec();
        for (index, (_, record)) in records.iter().enumerate() {
            if index > 0 {
                content.push(b',');
            }
            content.extend_from_slice(record);
        }
        content.extend_from_slice(b"]}");
        let hash = hex::encode(sha256(&[&content]));
        let unique = hash.get(..16).unwrap_or(&hash).to_ascii_uppercase();
        let object = self.key_of("CloudTrail", end, &format!("_{}", self.region), &format!("_{unique}"));
        let path = self.options.directory.join(&object);
        write_whole(&path, &gzip(&content).map_err(at(&path))?)?;
        self.exported.log_files += 1;
        self.exported.records += records.len() as u64;
        let times = || records.iter().map(|(time, _)| *time);
        Ok(LogFileEntry {
            s3_bucket: self.options.bucket.clone(),
            s3_object: object,
            hash_value: hash,
            hash_algorithm: HASH_ALGORITHM.into(),
            newest_event_time: times().max().unwrap_or(end).to_rfc3339(),
            oldest_event_time: times().min().unwrap_or(end).to_rfc3339(),
        })
    }

    /// `AWSLogs/ACCOUNT/KIND/REGION/YYYY/MM/DD/ACCOUNT_KIND` and what follows: for a digest the time to the second.
    fn key_of(&self, kind: &str, end: Timestamp, middle: &str, last: &str) -> String {
        let (account, region) = (&self.account, &self.region);
        let (day, mut time) = (end.to_rfc3339(), end.to_rfc3339().replace(['-', ':'], ""));
        let day = day.get(..10).unwrap_or_default().replace('-', "/");
        if kind == "CloudTrail" {
            // A log file's name says the minute.
            time = format!("{}Z", time.get(..13).unwrap_or(&time));
        }
        format!("AWSLogs/{account}/{kind}/{region}/{day}/{account}_{kind}{middle}_{time}{last}.json.gz")
    }

    /// The newest digest in the directory, if it is this trail's and this keystore signed it.
    fn find_previous(&self) -> Result<Option<Previous>, ExportError> {
        let kind = "CloudTrail-Digest";
        let top = format!("AWSLogs/{}/{kind}/{}", self.account, self.region);
        let name = format!("{}_{kind}_{1}_{2}_{1}_", self.account, self.region, self.options.trail);
        let Some(path) = newest(&self.options.directory.join(&top), &name)? else { return Ok(None) };
        let foreign = |reason| ExportError::Foreign { path: path.clone(), reason };
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(at(&path))?;
        GzDecoder::new(file).take(DIGEST_BYTES_MAX).read_to_end(&mut bytes).map_err(at(&path))?;
        let digest: Digest = serde_json::from_slice(&bytes).map_err(|_| foreign("it is no digest"))?;
        let metadata = path.with_added_extension(METADATA_EXTENSION);
        let metadata: Metadata = serde_json::from_slice(&fs::read(&metadata).map_err(at(&metadata))?)
            .map_err(|_| foreign("its metadata holds no signature"))?;
        let signature = hex::decode(&metadata.signature).unwrap_or_default();
        let text = text_to_sign(&digest, &bytes);
        if !is_rsa_signature(&self.signer.public.public_key, text.as_bytes(), &signature) {
            return Err(foreign("this keystore did not sign it as it is"));
        }
        if digest.keystead.next_record > self.position.size {
            return Err(foreign("it reaches further than the log: the log's end was cut off"));
        }
        Ok(Some(Previous {
            object: digest.digest_s3_object.clone(),
            bucket: digest.digest_s3_bucket.clone(),
            hash: hex::encode(sha256(&[&bytes])),
            signature: metadata.signature,
            end: digest.digest_end_time.parse()?,
            next_record: digest.keystead.next_record,
        }))
    }
}

/// What the signature of a digest is over (CloudTrail user guide, "Custom implementations of log file integrity
/// validation").
fn text_to_sign(digest: &Digest, bytes: &[u8]) -> String {
    format!(
        "{}\n{}/{}\n{}\n{}",
        digest.digest_end_time,
        digest.digest_s3_bucket,
        digest.digest_s3_object,
        hex::encode(sha256(&[bytes])),
        digest.previous_digest_signature.as_deref().unwrap_or("null")
    )
}

/// The digest of this trail whose name comes last. Names sort by time within their day, and days do.
fn newest(directory: &Path, prefix: &str) -> Result<Option<PathBuf>, ExportError> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(at(directory))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(directory)(error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.into_iter().rev() {
        if entry.file_type().map_err(at(directory))?.is_dir() {
            if let Some(found) = newest(&entry.path(), prefix)? {
                return Ok(Some(found));
            }
        } else if entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(prefix).is_some_and(|time| time.len() == "YYYYMMDDTHHMMSSZ.json.gz".len())
        }) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn at(path: &Path) -> impl Fn(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { path: path.clone(), source }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
    writer.write_all(bytes)?;
    writer.finish()
}

/// Writes a file that appears whole and durably, for its owner alone, as are the directories that are made for it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let directory = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
    let written = || {
        let mut file = tempfile::Builder::new().prefix(".keystead-").tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    };
    written().map_err(at(path))
}
