//! Artifacts: files encrypted at rest, each as one message of [`envelope`](crate::envelope).
//!
//! [`seal`] turns a file into `file.sealed`, [`open`] turns it back; either end may be a stream instead, such as standard
//! input. A file appears under its name only when it is whole:
//!
//! - It is written under another name beside its target, synced, and renamed after its last frame was verified; then the
//!   directory is synced. Whatever fails, even for a full disk, leaves no partial file, and leaves the target as it was.
//! - A file that exists is replaced only when that was asked for, and only when it is a regular file.
//! - A sealed file gets the permissions of any new file: it is no secret. **An opened file can be read by its owner
//!   alone** (0600), whatever the umask: plaintext that others on the machine can read would go round the key's policy.
//!   age and gpg follow the umask there; giving more is one `chmod`, and taking back what was read is impossible.
//! - A symbolic link is followed when it is read (model caches are made of them), and never replaced.
//!
//! ```
//! use keystead::{
//!     artifact::{self, Source, Target},
//!     crypto::random::{Random, SystemRandom},
//!     envelope::{OpenOptions, RawAesKeyring, SealOptions},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let model = &directory.path().join("model.safetensors");
//! # std::fs::write(model, b"weights")?;
//! let random: &mut dyn Random = &mut SystemRandom;
//! let keyring = RawAesKeyring::new("lab", "laptop", random.secret()?)?;
//! let (source, target) = (Source::File(model), Target::Beside);
//! let options = SealOptions::default();
//! let sealed = artifact::seal(source, target, false, &keyring, &options, random, &mut |_| ())?;
//! # assert_eq!(sealed.path, Some(directory.path().join("model.safetensors.sealed")));
//!
//! let mut plaintext = Vec::new();
//! let path = sealed.path.unwrap_or_default();
//! let (source, target) = (Source::File(&path), Target::Stream(&mut plaintext));
//! artifact::open(source, target, false, &keyring, &OpenOptions::default(), &mut |_| ())?;
//! assert_eq!(plaintext, b"weights");
//! # Ok(())
//! # }
//! ```
//!
//! A stream as target gets each frame once it is verified. It is whole only when [`open`] answers `Ok`.

mod endpoint;
mod error;
pub mod folder;
mod gguf;
mod input;
mod key_file;
pub mod lint;
mod memory_file;
mod npy;
mod output;
mod pipe;
mod reencrypt;
mod safetensors;
mod sealed_file;
mod tensors;
mod transfer;

// The public interface is:
pub use endpoint::{SEALED_SUFFIX, Source, Target, opened_name, sealed_name};
pub use error::ArtifactError;
pub use key_file::{KeyFileError, RawKeyFile, RsaKeyFile};
pub use memory_file::open_in_memory;
pub use npy::{save_npy, write_npy};
pub use reencrypt::reencrypt;
pub use safetensors::SAFETENSORS_HEADER_BYTES_MAX;
pub use sealed_file::SealedFile;
pub use tensors::{ModelError, ModelMetadata, SealedTensor, SealedTensors, TensorInfo};
pub use transfer::{Done, Progress, open, seal};
