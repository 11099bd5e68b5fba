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
//! A stream as target gets each frame once it is verified. It is whole only when [`open`] answers `Ok`.

mod endpoint;
mod error;
mod input;
mod key_file;
mod output;
mod transfer;

// The public interface is:
pub use endpoint::{SEALED_SUFFIX, Source, Target};
pub use error::ArtifactError;
pub use key_file::{KeyFileError, RawKeyFile};
pub use transfer::{Done, Progress, open, seal};
