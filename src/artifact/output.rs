//! A file that appears under its name only when it is whole.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{ArtifactError, input::expect_file};

/// Who may read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever the umask lets.
    AsUmask,
    /// Its owner alone.
    Owner,
}

/// A file in the making. Dropped before [`commit`](Self::commit), it leaves nothing behind.
pub(super) struct OutputFile {
    temporary: NamedTempFile,
    target: PathBuf,
    replace: bool,
}

impl OutputFile {
    /// Begins a file that is to be called `target`; when `replace`, over an older file of that name.
    pub(super) fn create(target: &Path, readers: Readers, replace: bool) -> Result<Self, ArtifactError> {
        if let Ok(metadata) = fs::symlink_metadata(target) {
            if !metadata.is_file() {
                expect_file(target, &metadata)?;
            }
            if !replace {
                return Err(ArtifactError::Exists { path: target.into() });
            }
        }
        let mode = match readers {
            Readers::AsUmask => 0o666,
            Readers::Owner => 0o600,
        };
        let temporary = tempfile::Builder::new()
            .prefix(".keystead-")
            .suffix(".partial")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory_of(target))
            .map_err(unwritable(target))?;
        Ok(Self { temporary, target: target.into(), replace })
    }

    /// The name that the file is to have.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the file its name, once every byte of it is on the disk.
    pub(super) fn commit(self) -> Result<PathBuf, ArtifactError> {
        let Self { temporary, target, replace } = self;
        temporary.as_file().sync_all().map_err(unwritable(&target))?;
        let persisted =
            if replace { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
        persisted.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ArtifactError::Exists { path: target.clone() },
            _ => unwritable(&target)(error.error),
        })?;
        // The name too must survive a power cut.
        File::open(directory_of(&target))
            .and_then(|directory| directory.sync_all())
            .map_err(unwritable(&target))?;
        Ok(target)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn unwritable(target: &Path) -> impl Fn(io::Error) -> ArtifactError {
    let path = target.to_path_buf();
    move |source| ArtifactError::Unwritable { path: path.clone(), source }
}
