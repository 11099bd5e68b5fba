//! A file that appears under its name only when it is whole.
//!
//! On Linux it has no name at all until then (`O_TMPFILE`, open(2)), so that not even a killed process leaves plaintext
//! behind. Where the file system cannot do that it lies beside its place as `.keystead-….partial`; and so it does for an
//! instant, whole, when it replaces another file, since a rename alone can replace one.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::CWD;
use tempfile::{NamedTempFile, TempPath};

use super::{
    ArtifactError,
    input::{InputFile, expect_file},
};

/// Who may read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever the umask lets.
    AsUmask,
    /// Its owner alone.
    Owner,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Self::AsUmask => 0o666,
            Self::Owner => 0o600,
        }
    }
}

/// A file in the making. Dropped before [`commit`](Self::commit), it leaves nothing behind.
pub(super) struct OutputFile {
    draft: Draft,
    target: PathBuf,
    replace: bool,
}

/// The file before it has its name.
enum Draft {
    /// Without any name.
    Nameless(File),
    /// Under a name for the time being.
    Named(NamedTempFile),
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
        let directory = directory_of(target);
        if !directory.is_dir() {
            let why = format!("there is no directory `{}`", directory.display());
            return Err(unwritable(target)(io::Error::new(io::ErrorKind::NotFound, why)));
        }
        let draft = match nameless::create(CWD, directory, readers.mode()) {
            Some(file) => Draft::Nameless(file),
            None => Draft::Named(
                for_the_time_being()
                    .permissions(Permissions::from_mode(readers.mode()))
                    .tempfile_in(directory)
                    .map_err(|error| unwritable(target)(plain(error)))?,
            ),
        };
        Ok(Self { draft, target: target.into(), replace })
    }

    /// The name that the file is to have.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The file, to be written.
    pub(super) fn file(&self) -> &File {
        self.draft.file()
    }

    /// Gives the file its name, once every byte of it is on the disk.
    pub(super) fn commit(self) -> Result<PathBuf, ArtifactError> {
        let Self { draft, target, replace } = self;
        draft.file().sync_all().map_err(unwritable(&target))?;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => ArtifactError::Exists { path: target.clone() },
            _ => unwritable(&target)(error),
        };
        match fs::symlink_metadata(&target) {
            Ok(metadata) if replace => {
                // What came there meanwhile.
                expect_file(&target, &metadata)?;
                let is_file =
                    |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
                if !draft.trade(&target, is_file).map_err(failed)? {
                    return Err(ArtifactError::Changed { path: target });
                }
            }
            _ => draft.take_name(&target).map_err(failed)?,
        }
        sync_name(&target)?;
        Ok(target)
    }

    /// Gives the file the name of `old`, with its permissions and, as far as that is ours to give, its owner; unless `old`
    /// was written to since it was opened, or something else has the name. That is looked at once more when both have
    /// traded their names, and then taken back, so that nothing that somebody else wrote is lost.
    pub(super) fn commit_instead_of(self, old: &InputFile) -> Result<PathBuf, ArtifactError> {
        let Self { draft, target, .. } = self;
        keep_owner_and_mode(&old.file, draft.file()).map_err(unwritable(&target))?;
        draft.file().sync_all().map_err(unwritable(&target))?;
        old.expect_unchanged()?;
        let in_place = old.has_content_at(&target)
            && draft.trade(&target, |path| old.has_content_at(path)).map_err(unwritable(&target))?;
        if !in_place {
            return Err(ArtifactError::Changed { path: target });
        }
        sync_name(&target)?;
        Ok(target)
    }
}

/// The name too must survive a power cut.
fn sync_name(target: &Path) -> Result<(), ArtifactError> {
    File::open(directory_of(target)).and_then(|directory| directory.sync_all()).map_err(unwritable(target))
}

/// Gives one file the permissions of another and, where we may, its owner and group.
pub(super) fn keep_owner_and_mode(of: &File, file: &File) -> io::Result<()> {
    let (old, new) = (of.metadata()?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        let _ours_then = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    }
    file.set_permissions(old.permissions())
}

/// Lets two files or directories trade their names, so that there is no moment at which one of them is missing
/// (renameat2(2)).
#[cfg(target_os = "linux")]
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, one, CWD, other, rustix::fs::RenameFlags::EXCHANGE)?)
}

/// Gives a file or directory a name that nothing has (renameat2(2)).
#[cfg(target_os = "linux")]
pub(super) fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, rustix::fs::RenameFlags::NOREPLACE)?)
}

/// There is no such step on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn rename_to_free(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether it is the file system that does not know such a step.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

/// There is no such step on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Draft {
    fn file(&self) -> &File {
        match self {
            Self::Nameless(file) => file,
            Self::Named(file) => file.as_file(),
        }
    }

    /// Gives the file a name that nothing has.
    fn take_name(self, target: &Path) -> io::Result<()> {
        match self {
            Self::Named(file) => file.persist_noclobber(target).map(drop).map_err(|error| error.error),
            Self::Nameless(file) => nameless::link(&file, CWD, target),
        }
    }

    /// Gives the file the name of another, which is removed, when `is_right` says that it is the one. It is asked when
    /// both have traded their names and nobody can put anything else there; if it says no they trade back. Answers
    /// whether it said yes.
    fn trade(self, target: &Path, is_right: impl Fn(&Path) -> bool) -> io::Result<bool> {
        let number = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        let made = number(&self.file().metadata()?);
        let beside = self.take_name_beside(target)?;
        match exchange(&beside, target) {
            Ok(()) if is_right(&beside) => beside.close().map(|()| true),
            Ok(()) => {
                // Not to be removed: it is somebody's.
                let beside = beside.keep().map_err(|error| error.error)?;
                exchange(&beside, target)?;
                if number(&fs::symlink_metadata(&beside)?) == made {
                    fs::remove_file(&beside)?;
                }
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // Not every file system can: then the last look is a moment before.
            Err(error) if is_unsupported(&error) && is_right(target) => {
                beside.persist(target).map(|()| true).map_err(|error| error.error)
            }
            Err(error) if is_unsupported(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the file the name for the time being, beside `target`.
    fn take_name_beside(self, target: &Path) -> io::Result<TempPath> {
        match self {
            Self::Named(file) => Ok(file.into_temp_path()),
            Self::Nameless(file) => {
                let link = |path: &Path| nameless::link(&file, CWD, path);
                for_the_time_being().make_in(directory_of(target), link).map(NamedTempFile::into_temp_path)
            }
        }
    }
}

/// What is not under its own name yet is recognised by this one.
fn for_the_time_being() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".keystead-").suffix(".partial");
    builder
}

/// Files without a name.
#[cfg(target_os = "linux")]
pub(super) mod nameless {
    use std::{
        fs::File,
        io,
        os::fd::{AsFd, AsRawFd},
        path::Path,
    };

    use rustix::fs::{AtFlags, CWD, Mode, OFlags};

    /// A new file in this directory, whose path begins at `base`; none where the file system has no such files.
    pub(in crate::artifact) fn create(base: impl AsFd, directory: &Path, mode: u32) -> Option<File> {
        if !Path::new("/proc/self/fd").is_dir() {
            return None;
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(base, directory, flags, Mode::from_raw_mode(mode)).map(File::from).ok()
    }

    /// Gives the file a name, whose path begins at `base` (open(2), `O_TMPFILE`).
    pub(in crate::artifact) fn link(file: &File, base: impl AsFd, name: &Path) -> io::Result<()> {
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, unnamed, base, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}

/// There are none on this system.
#[cfg(not(target_os = "linux"))]
pub(super) mod nameless {
    use std::{fs::File, io, os::fd::AsFd, path::Path};

    pub(in crate::artifact) fn create(_: impl AsFd, _: &Path, _: u32) -> Option<File> {
        None
    }

    pub(in crate::artifact) fn link(_: &File, _: impl AsFd, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Without the name for the time being, which says nothing to a user.
fn plain(error: io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
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
