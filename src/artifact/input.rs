//! A file that is read, and noticed when it changes meanwhile.

use std::{
    fs::{self, File, FileType, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::ArtifactError;

/// A regular file that is open for reading.
pub(super) struct InputFile {
    pub(super) file: File,
    path: PathBuf,
    before: Metadata,
}

impl InputFile {
    /// Opens the file, through symbolic links.
    pub(super) fn open(path: &Path) -> Result<Self, ArtifactError> {
        let unreadable = |source| ArtifactError::Unreadable { path: path.into(), source };
        // Looked at before it is opened, for better words. Opening a pipe would wait for its writer.
        expect_file(path, &fs::metadata(path).map_err(|error| unreadable(broken_link(path, error)))?)?;
        let file = open_without_waiting(path).map_err(unreadable)?;
        let before = file.metadata().map_err(unreadable)?;
        expect_file(path, &before)?;
        Ok(Self { file, path: path.into(), before })
    }

    /// The file's length when it was opened.
    pub(super) fn bytes(&self) -> u64 {
        self.before.len()
    }

    /// Whether what has this name is this file, with the content that it had when it was opened. Renaming it counts for
    /// nothing.
    pub(super) fn has_content_at(&self, path: &Path) -> bool {
        let content = |metadata: &Metadata| {
            (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
        };
        fs::symlink_metadata(path).is_ok_and(|now| content(&now) == content(&self.before))
    }

    /// Whether `path` is this file under any name.
    pub(super) fn is_same_as(&self, path: &Path) -> bool {
        fs::metadata(path)
            .is_ok_and(|other| (other.dev(), other.ino()) == (self.before.dev(), self.before.ino()))
    }

    /// Makes sure that the file is what it was when it was opened: by its size and its times of modification and of change to
    /// the nanosecond. Who writes can set back the first of them and not the other (inode(7)). A change within one tick of
    /// the file system's clock that keeps the size goes unnoticed.
    pub(super) fn expect_unchanged(&self) -> Result<(), ArtifactError> {
        let after = self
            .file
            .metadata()
            .map_err(|source| ArtifactError::Unreadable { path: self.path.clone(), source })?;
        let state = |metadata: &Metadata| {
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            (metadata.len(), modified, (metadata.ctime(), metadata.ctime_nsec()))
        };
        if state(&self.before) == state(&after) {
            Ok(())
        } else {
            Err(ArtifactError::Changed { path: self.path.clone() })
        }
    }
}

/// Opens a file for reading. If it is a pipe its writer is not waited for.
pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

/// Says that it is the link's target that does not exist, not the link.
fn broken_link(path: &Path, error: io::Error) -> io::Error {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    if is_link && error.kind() == io::ErrorKind::NotFound {
        io::Error::new(error.kind(), "it is a symbolic link to a file that does not exist")
    } else {
        error
    }
}

/// Refuses what is no regular file.
pub(super) fn expect_file(path: &Path, metadata: &Metadata) -> Result<(), ArtifactError> {
    match kind_of(metadata.file_type()) {
        None => Ok(()),
        Some(kind) => Err(ArtifactError::NotAFile { path: path.into(), kind }),
    }
}

fn kind_of(file_type: FileType) -> Option<&'static str> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some("a directory")
    } else if file_type.is_symlink() {
        Some("a symbolic link")
    } else if file_type.is_fifo() {
        Some("a pipe")
    } else if file_type.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}
