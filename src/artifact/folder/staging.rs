//! A folder that appears under its name only when it is whole.
//!
//! Until then it lies beside its place as `NAME.keystead-unfinished`, locked by the process that works on it. A process
//! that was killed or stopped leaves there the files that are whole, each under its own name; the next one goes on from
//! them. Nothing that lies there is believed: a file is taken over only after its bytes were compared with what it is to
//! hold, so there is no journal that could lie, and a power cut that left half a file does no harm.
//!
//! Files are not synced one by one. Before the folder gets its name its whole file system is, once.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FlockOperation, Mode},
    io::Errno,
};

use super::{
    FolderError, MANIFEST_NAME,
    tree::{Found, Kind, Root, sync_directory, sync_file_system},
};

/// What an unfinished folder's name ends in.
pub const UNFINISHED_SUFFIX: &str = ".keystead-unfinished";

/// A folder in the making.
pub(super) struct Staging {
    root: Root,
    unfinished: PathBuf,
    target: PathBuf,
    /// Whether an earlier process began it.
    resumed: bool,
}

fn expect_ours(owner: u32, unfinished: &Path) -> Result<(), FolderError> {
    if owner == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(FolderError::Foreign { path: unfinished.into() })
    }
}

impl Staging {
    /// Begins the folder that is to be called `target`, or goes on with it. Its directory gets these permission bits, as
    /// far as the umask lets.
    pub(super) fn begin(target: &Path, mode: u32) -> Result<Self, FolderError> {
        let staging = Self::begin_beside(target, mode)?;
        // INVARIANT: an empty directory is what the rename at the end may replace.
        match fs::symlink_metadata(target) {
            Ok(there) if !(there.is_dir() && is_empty(target)) => {
                staging.leave();
                Err(FolderError::Exists { path: target.into() })
            }
            _ => Ok(staging),
        }
    }

    /// The same, before it is known whether something has the target's name.
    pub(super) fn begin_beside(target: &Path, mode: u32) -> Result<Self, FolderError> {
        let name = target.file_name().ok_or_else(|| FolderError::NoName { path: target.into() })?;
        let target = target.with_file_name(name);
        let unfinished = unfinished_name(&target);
        let resumed = match rustix::fs::mkdirat(CWD, &unfinished, Mode::from_raw_mode(mode)) {
            Ok(()) => false,
            Err(Errno::EXIST) => true,
            Err(error) => return Err(FolderError::unwritable(&unfinished, error.into())),
        };
        let root = Root::open_directly(&unfinished)?;
        match rustix::fs::flock(root.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(FolderError::Busy { path: unfinished }),
            Err(error) => return Err(FolderError::unwritable(&unfinished, error.into())),
        }
        let held = root.directory(None).map(fs::File::from).and_then(|directory| directory.metadata());
        let held = held.map_err(|error| FolderError::unwritable(&unfinished, error))?;
        // Whoever owns the directory can read and change all that comes into it.
        expect_ours(held.uid(), &unfinished)?;
        // Whoever had the lock may have finished meanwhile: then what we hold is not what has the name now.
        let same = |directory: &fs::Metadata| -> io::Result<bool> {
            Ok((held.dev(), held.ino()) == (directory.dev(), directory.ino()))
        };
        match fs::symlink_metadata(&unfinished).and_then(|named| same(&named)) {
            Ok(true) => Ok(Self { root, unfinished, target, resumed }),
            _ => Err(FolderError::Busy { path: unfinished }),
        }
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Clears what an earlier process left that is of no use. Answers all files that are.
    pub(super) fn survey(&self, expected: &dyn Fn(&Found) -> bool) -> Result<Vec<String>, FolderError> {
        if !self.resumed {
            return Ok(Vec::new());
        }
        let mut usable = Vec::new();
        for found in self.root.walk(&|_| false)? {
            let path = self.root.path_of(found.shown());
            // The manifest comes last of all, and is made anew.
            if found.is_partial() || found.path.as_deref() == Ok(MANIFEST_NAME) && found.kind == Kind::File {
                self.root
                    .remove_file(found.shown())
                    .map_err(|error| FolderError::unwritable(&path, error))?;
            } else if !expected(&found) {
                return Err(FolderError::Strange { path });
            } else if found.kind == Kind::File {
                usable.extend(found.path);
            }
        }
        Ok(usable)
    }

    /// The same error, once it is settled what stays. After most errors the files that are whole do, for the next process;
    /// when the disk is full or what was to be opened is not what was sealed, nothing does.
    pub(super) fn abandon(&self, error: FolderError) -> FolderError {
        if error.is_full_disk() || matches!(error, FolderError::Differs(_)) {
            let _left_for_later = fs::remove_dir_all(&self.unfinished);
        }
        self.leave();
        match error {
            FolderError::StoppedEarly if self.unfinished.exists() => {
                FolderError::Stopped { unfinished: self.unfinished.clone() }
            }
            error => error,
        }
    }

    /// Takes the folder away.
    pub(super) fn discard(&self) {
        let _left_for_later = fs::remove_dir_all(&self.unfinished);
    }

    /// Puts the folder in the place of `old`, which has its name, in one step, and removes that one; unless something there
    /// is not as it was `before`. It is looked at before the step and, since somebody may write there until then, after it;
    /// then the step is taken back.
    pub(super) fn finish_instead(self, old: &Root, before: &[Found]) -> Result<PathBuf, FolderError> {
        let unwritable = |error| FolderError::unwritable(&self.target, error);
        let expect_unchanged_at = |path: &Path| match old.is_at(path) {
            true => old.expect_unchanged(before),
            false => Err(FolderError::Changed { path: self.target.clone(), what: "changed" }),
        };
        let ready = sync_file_system(&self.root).map_err(unwritable);
        let traded = ready
            .and_then(|()| expect_unchanged_at(&self.target))
            .and_then(|()| exchange(&self.unfinished, &self.target).map_err(unwritable));
        if let Err(error) = traded {
            self.discard();
            return Err(error);
        }
        // Now the old one has the other's name.
        if let Err(error) = expect_unchanged_at(&self.unfinished) {
            exchange(&self.unfinished, &self.target).map_err(unwritable)?;
            self.discard();
            return Err(error);
        }
        sync_directory(directory_of(&self.target)).map_err(unwritable)?;
        fs::remove_dir_all(&self.unfinished)
            .map_err(|error| FolderError::unwritable(&self.unfinished, error))?;
        Ok(self.target)
    }

    /// Takes the folder away if no file lies in it.
    fn leave(&self) {
        let Ok(found) = self.root.walk(&|_| false) else { return };
        if found.iter().all(|found| found.kind == Kind::Directory) {
            let _left_for_later = fs::remove_dir_all(&self.unfinished);
        }
    }

    /// Gives the folder its name, once all of it is on the disk.
    pub(super) fn finish(self) -> Result<PathBuf, FolderError> {
        let unwritable = |error| FolderError::unwritable(&self.target, error);
        sync_file_system(&self.root).map_err(unwritable)?;
        // Of directories a rename replaces only an empty one, and it replaces nothing else (POSIX.1-2017, rename).
        fs::rename(&self.unfinished, &self.target).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists => FolderError::Exists { path: self.target.clone() },
            _ => unwritable(error),
        })?;
        sync_directory(directory_of(&self.target)).map_err(unwritable)?;
        Ok(self.target)
    }
}

/// Lets two directories trade their names, so that there is no moment at which one of them is missing (renameat2(2)).
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, one, CWD, other, rustix::fs::RenameFlags::EXCHANGE)?)
}

/// There is no such step on this system.
#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What a folder is called while it is unfinished.
pub(super) fn unfinished_name(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(UNFINISHED_SUFFIX);
    target.with_file_name(name)
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_name_only_at_the_end_and_one_process_makes_it() {
        let lab = tempfile::tempdir().unwrap();
        let target = lab.path().join("out");
        let staging = Staging::begin(&target, 0o700).unwrap();
        assert!(matches!(Staging::begin(&target, 0o700), Err(FolderError::Busy { .. })));
        fs::write(staging.unfinished.join("x"), b"x").unwrap();
        assert!(!target.exists());
        drop(staging);
        let again = Staging::begin(&target, 0o700).unwrap();
        assert!(again.resumed);
        assert_eq!(again.survey(&|_| true).unwrap(), ["x"]);
        assert!(matches!(again.survey(&|_| false), Err(FolderError::Strange { .. })));
        assert_eq!(again.finish().unwrap(), target);
        assert_eq!(fs::read(target.join("x")).unwrap(), b"x");
        assert!(!unfinished_name(&target).exists());
    }

    #[test]
    fn nothing_is_made_in_a_folder_of_somebody_elses() {
        let us = rustix::process::geteuid().as_raw();
        assert!(expect_ours(us, Path::new("x")).is_ok());
        assert!(matches!(expect_ours(us + 1, Path::new("x")), Err(FolderError::Foreign { .. })));
    }

    #[test]
    fn what_is_there_is_never_replaced_but_for_an_empty_directory() {
        let lab = tempfile::tempdir().unwrap();
        let at = |name: &str| lab.path().join(name);
        fs::write(at("file"), b"x").unwrap();
        fs::create_dir_all(at("full/x")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        std::os::unix::fs::symlink(at("empty"), at("link")).unwrap();
        for taken in ["file", "full", "link"] {
            assert!(matches!(Staging::begin(&at(taken), 0o700), Err(FolderError::Exists { .. })), "{taken}");
            assert!(!unfinished_name(&at(taken)).exists());
        }
        assert!(Staging::begin(&at("empty"), 0o700).unwrap().finish().is_ok());
        let late = Staging::begin(&at("late"), 0o700).unwrap();
        fs::create_dir_all(at("late/x")).unwrap();
        assert!(matches!(late.finish(), Err(FolderError::Exists { .. })));
        assert!(Staging::begin(Path::new("/"), 0o700).is_err());
        std::os::unix::fs::symlink(at("empty"), at("y.keystead-unfinished")).unwrap();
        assert!(matches!(Staging::begin(&at("y"), 0o700), Err(FolderError::NotADirectory { .. })));
    }
}
