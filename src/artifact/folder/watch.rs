//! Who hears how far the work on a folder has come, and may stop it.

use super::FolderPath;

/// Something that happened to a file of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderEvent<'folder> {
    /// It is known how much there is to do.
    Planned {
        /// How many files.
        files: usize,
        /// Bytes of all of them.
        bytes: u64,
    },
    /// Work on a file begins.
    Began {
        /// Its place among the files.
        file: usize,
        /// Its path.
        path: &'folder FolderPath,
        /// Its bytes.
        bytes: u64,
    },
    /// More of a file was read.
    Advanced {
        /// Its place among the files.
        file: usize,
        /// How many bytes more.
        bytes: u64,
    },
    /// A file is done.
    Ended {
        /// Its place among the files.
        file: usize,
    },
}

/// Hears of the work on a folder, from several threads at once.
pub trait Watch: Sync {
    /// Takes note of an event.
    fn hear(&self, event: FolderEvent<'_>);

    /// Whether to stop, as after Ctrl-C. Files that are whole stay, and the same command goes on from there.
    fn stops(&self) -> bool {
        false
    }
}

/// Nobody listens.
impl Watch for () {
    fn hear(&self, _: FolderEvent<'_>) {}
}
