//! Folders: one message for each file, and a manifest by which a missing, added, swapped or rolled-back file shows.
//!
//! [`seal_folder`] makes of `DIR` a folder with the same tree, in which each file is a message of its own and `.sealed`
//! stands behind its name: every client of the AWS Encryption SDK opens each. What such messages cannot say is which of
//! them belong together; that says the manifest, itself a message. [`FolderReader`] lists, checks and opens the folder.
//!
//! - A folder appears under its name only when it is whole; interrupted work is gone on with, file by file.
//! - Nothing is followed out of a folder: no symbolic link, on the way in or out, and no path of a hostile manifest.
//! - Each file has a data key of its own, so each opening of one is a call that its key's policy decides and the audit log
//!   records.
//!
//! The format, and what reusing data keys would mean, is in `docs/folders.md`.

mod error;
mod manifest;
mod message;
mod opened;
mod path;
mod reencrypt;
mod seal;
mod select;
mod staging;
#[cfg(test)]
mod tests;
mod tree;
mod watch;
mod work;

// The public interface is:
pub use error::{Difference, DifferenceKind, FolderError};
pub use manifest::{
    DirectoryEntry, ENTRIES_MAX, FileEntry, FileMode, MANIFEST_NAME, Manifest, ManifestError, Modified,
};
pub use opened::{FolderReader, OpenedFolder};
pub use path::FolderPath;
pub use reencrypt::reencrypt_folder;
pub use seal::{RESERVED_CONTEXT_PREFIX, SealedFolder, seal_folder};
pub use select::Selection;
pub use staging::UNFINISHED_SUFFIX;
pub use watch::{FolderEvent, Watch};
