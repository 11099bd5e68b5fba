//! Envelope encryption of streams, in the AWS Encryption SDK's message format, version 2.
//!
//! [`seal`] turns a stream into a message, [`open`] turns it back, [`inspect`] reads what it says of itself. Every AWS
//! Encryption SDK client opens what is sealed here, and the other way round: nothing is added to the format.
//!
//! A message's frames are encrypted by a data key made for it alone. The data key stands in the header, encrypted once
//! for each recipient by a [`Keyring`]: keys in a KMS ([`KmsKeyring`], by way of [`DataKeys`]), an AES or RSA key
//! that the user holds ([`RawAesKeyring`], [`RawRsaKeyring`]), or several of both ([`MultiKeyring`]).
//!
//! ```
//! use keystead::{
//!     crypto::random::{Random, SystemRandom},
//!     envelope::{OpenOptions, RawAesKeyring, SealOptions, open, seal},
//!     model::EncryptionContext,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let random: &mut dyn Random = &mut SystemRandom;
//! let keyring = RawAesKeyring::new("lab", "laptop", random.secret()?)?;
//!
//! let context = EncryptionContext::from_pairs([("model", "tiny")])?;
//! let options = SealOptions { context: context.clone(), ..SealOptions::default() };
//! let mut message = Vec::new();
//! seal(&b"weights"[..], &mut message, &keyring, &options, random)?;
//!
//! let mut plaintext = Vec::new();
//! let options = OpenOptions { required_context: context, ..OpenOptions::default() };
//! open(message.as_slice(), &mut plaintext, &keyring, &options)?;
//! assert_eq!(plaintext, b"weights");
//! # Ok(())
//! # }
//! ```
//!
//! Source: AWS Encryption SDK specification (awslabs/aws-encryption-sdk-specification), message format version 2.
//!
//! # What cannot happen here
//!
//! - *A header written again under the same message id.* Its IV is fixed at zero, so two headers of one message would
//!   give the authentication key away. There is no function that changes a message: to move one to another key, open it
//!   and seal it again.
//! - *A message cut short that looks whole.* Only the final frame ends a message, and it authenticates that it is the
//!   final one. Bytes that follow it are an error too.
//! - *One message that opens as two plaintexts under two keys.* Each message commits to its key.
//! - *Plaintext that nobody verified.* A frame is released after its tag was checked, and nothing before the header's.

mod batch;
mod data_key;
mod error;
mod frame;
mod header;
mod inspect;
mod keyring;
mod kms;
mod layout;
mod open;
mod pipeline;
mod position;
mod raw_aes;
mod raw_rsa;
mod seal;
mod signature;
mod suite;
#[cfg(test)]
mod tests;

pub(crate) use error::write_failed;
pub(crate) use pipeline::at_positions;
pub(crate) use signature::verifier;

// The public interface is:
pub use data_key::DataKey;
pub use error::{DataKeyError, ErrorClass, HeaderError, KeyringError, OpenMessageError, SealError};
pub use frame::FrameLength;
pub use header::{Content, EncryptedDataKey, HEADER_BYTES_MAX, Header, MessageId, RECIPIENTS_MAX};
pub use inspect::{MessageInfo, Recipient, inspect};
pub use keyring::{Keyring, MultiKeyring, NewDataKey};
pub use kms::{DataKeys, DecryptedDataKey, EncryptedDataKeyBlob, GeneratedDataKey, KmsKeyring};
pub use layout::BodySizes;
pub use open::{OpenOptions, Opened, UNFRAMED_BYTES_MAX, open};
pub use position::{ReadAt, SealedMessage, WriteAt, open_at, seal_at};
pub use raw_aes::RawAesKeyring;
pub use raw_rsa::RawRsaKeyring;
pub use seal::{SealOptions, Sealed, seal};
pub use signature::given_context;
pub use suite::{CommitmentPolicy, SuiteId};
