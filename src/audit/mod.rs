//! The audit log: what happened, in an order and a wording that nobody changes unnoticed.
//!
//! A [`Record`] has CloudTrail's shape. [`AuditLog::append_batch`] makes records durable: they go into append-only
//! segment files in a [`directory`] and become leaves of one Merkle tree (RFC 6962), and each batch ends with a signed
//! [`checkpoint`] over the tree (C2SP tlog-checkpoint), in the same write and the same fdatasync. So every record that
//! was ever acknowledged stands below a durable signature. [`verify()`] recomputes all of it from the files.
//!
//! | attack | stopped by |
//! |---|---|
//! | edit, reorder, insert, delete in the middle | the root under the next checkpoint's signature |
//! | rewriting the whole without the signing key | the signatures |
//! | cutting whole batches off the end, rewriting with the signing key | a [`LogPosition`] kept elsewhere: the state's, a client's |
//!
//! Who is root on the machine, holds the signing key and finds no position kept anywhere else can rewrite history.
//!
//! ```
//! use keystead::{
//!     audit::{AuditLog, LogOptions, checkpoint, directory::MemoryDirectory, read, verify},
//!     crypto::signature::SigningKey,
//!     secret::SecretKey,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = MemoryDirectory::new();
//! let key = SigningKey::from_seed(&SecretKey::from_slice(&[7; 32]).ok_or("32 bytes")?);
//! let public_key = key.public_key();
//!
//! let options = LogOptions::new(key, checkpoint::origin("example"));
//! let mut log = AuditLog::create(Box::new(directory.clone()), options)?;
//! let position = log.append_batch(&[br#"{"eventName":"Decrypt"}"#])?;
//!
//! assert_eq!(verify(&directory, &public_key, Some(position))?.records, 1);
//! assert_eq!(read::tail(&directory, 10)?.len(), 1);
//! # Ok(())
//! # }
//! ```

pub mod checkpoint;
mod compressed;
pub mod cosignature;
mod decisions;
pub mod directory;
mod fault;
pub mod follow;
mod frame;
mod header;
pub mod index;
#[cfg(test)]
pub(crate) mod injected;
mod log;
mod merkle;
pub mod note;
pub mod proof;
mod prove;
pub mod prune;
pub mod query;
pub mod read;
mod record;
mod replay;
mod segment;
mod tail;
pub mod tlog_proof;
mod verify;

#[cfg(test)]
mod tests;

pub use decisions::{DECISION_BYTES_MAX, DECISIONS_MAX, DecisionStore, Remembered};
pub use fault::{Finding, LogFault};
pub use frame::RECORD_BYTES_MAX;
pub use log::{AuditLog, LogError, LogOptions, SEGMENT_BYTES_MAX};
pub use merkle::{Frontier, Hash, LogPosition, leaf_hash};
pub use prove::{prove_consistency, prove_inclusion};
#[cfg(test)]
pub(crate) use record::tests::sample as sample_record;
pub use record::{
    Attributes, EVENT_VERSION, EventType, IdentityType, Record, ResourceEntry, SessionContext, SessionIssuer,
    TlsDetails, UserIdentity, error_code,
};
pub use verify::{Verified, verify};
