//! The keystore's directory: private to its owner, and used by one process at a time.
//!
//! Directories are 0700 and files 0600; anything wider, or somebody else's, is refused before it is read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::KeystoreError;

const LOCK_FILE: &str = "lock";
const DATABASE_FILE: &str = "keystore.db";
const AUDIT_DIRECTORY: &str = "audit";
const AUDIT_INDEX_FILE: &str = "audit-index.db";
const OBJECTS_DIRECTORY: &str = "objects";
const DECISIONS_DIRECTORY: &str = "decisions";
/// The socket on which a server lends the keystore.
pub(super) const SOCKET_FILE: &str = "socket";
/// Stands in the directory while a keystore is being made in it, with the id it shall have.
const UNFINISHED_FILE: &str = "unfinished";
/// A UUID's text is shorter.
const UNFINISHED_BYTES_MAX: u64 = 64;

/// A keystore's directory, locked for this process until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    objects: PathBuf,
    /// Whether it was not there before.
    made: bool,
    /// The id of the keystore whose making was cut short here.
    unfinished: Option<String>,
    _lock: Lock,
}

impl Directory {
    /// Makes the directory (and its parents) for a new keystore, and locks it. What a making that was cut short has left
    /// is cleared away: nothing was ever kept in it.
    pub(super) fn create(path: &Path, holder: &str) -> Result<Self, KeystoreError> {
        let mut made = false;
        match fs::read_dir(path) {
            Ok(mut entries) => {
                let unfinished = path.join(UNFINISHED_FILE).exists();
                if path.join(DATABASE_FILE).exists() && !unfinished {
                    return Err(KeystoreError::Exists(path.into()));
                }
                let is_other = |entry: std::io::Result<fs::DirEntry>| {
                    entry.is_ok_and(|entry| entry.file_name() != LOCK_FILE)
                };
                if !unfinished && entries.any(is_other) {
                    return Err(KeystoreError::NotEmpty(path.into()));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                private_directories().recursive(true).create(path).map_err(KeystoreError::io(path))?;
                made = true;
            }
            Err(error) => return Err(KeystoreError::io(path)(error)),
        }
        check_private(path)?;
        let directory = Self { made, ..Self::locked(path, holder)? };
        if directory.unfinished.is_some() {
            directory.clear();
        }
        if directory.database().exists() {
            // Somebody was quicker, between the look and the lock.
            return Err(KeystoreError::Exists(path.into()));
        }
        private_directories().recursive(true).create(&directory.objects).map_err(KeystoreError::io(path))?;
        Ok(directory)
    }

    /// Marks the directory as one in which the keystore `id` is being made.
    ///
    /// INVARIANT: from here to [`Self::finish`] there is nothing in the directory that anybody would miss.
    pub(super) fn begin(&self, id: &str) -> Result<(), KeystoreError> {
        let path = self.path.join(UNFINISHED_FILE);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(id.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(KeystoreError::io(&path))?;
        self.sync()
    }

    /// Marks the keystore as made. It must be called before anything is kept in it.
    pub(super) fn finish(&self) -> Result<(), KeystoreError> {
        let path = self.path.join(UNFINISHED_FILE);
        match fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(KeystoreError::io(path)(error)),
        }
    }

    /// The id of the keystore whose making was cut short here, when one was.
    pub(super) fn unfinished(&self) -> Option<&str> {
        self.unfinished.as_deref()
    }

    fn sync(&self) -> Result<(), KeystoreError> {
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(KeystoreError::io(&self.path))
    }

    /// Takes back what making a keystore here has left, after it failed.
    ///
    /// INVARIANT: the directory was new or empty when [`Self::create`] took it, so all that is in it was made since.
    pub(super) fn abandon(self) {
        self.clear();
        let _best_effort = fs::remove_file(self.path.join(LOCK_FILE));
        if self.made {
            let _best_effort = fs::remove_dir(&self.path);
        }
    }

    /// Removes what making a keystore here has left; the mark last, so that a second try can go on.
    fn clear(&self) {
        let _best_effort = [
            fs::remove_file(self.database()),
            fs::remove_file(with_suffix(&self.database(), "-wal")),
            fs::remove_file(with_suffix(&self.database(), "-shm")),
            fs::remove_dir_all(self.audit()),
            fs::remove_dir_all(self.decisions()),
            fs::remove_dir(&self.objects),
            fs::remove_file(self.path.join(UNFINISHED_FILE)),
        ];
    }

    /// The index of the audit log.
    pub(super) fn audit_index(&self) -> PathBuf {
        self.path.join(AUDIT_INDEX_FILE)
    }

    /// Locks the directory of a keystore that is there, after a look at who may read it.
    pub(super) fn open(path: &Path, holder: &str) -> Result<Self, KeystoreError> {
        if !path.join(DATABASE_FILE).exists() {
            return match fs::read_dir(path) {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    Err(KeystoreError::NotPrivate {
                        path: path.into(),
                        reason: "it belongs to another user".into(),
                    })
                }
                _ => Err(KeystoreError::Missing(path.into())),
            };
        }
        check_private(path)?;
        let directory = Self::locked(path, holder)?;
        for inner in [path, &directory.audit(), &directory.objects] {
            check_private(inner)?;
            for entry in fs::read_dir(inner).map_err(KeystoreError::io(inner))? {
                let entry = entry.map_err(KeystoreError::io(inner))?;
                // A server makes its socket before it can narrow it, and this directory keeps others from it.
                if entry.file_name() != SOCKET_FILE {
                    check_private(&entry.path())?;
                }
            }
        }
        Ok(directory)
    }

    fn locked(path: &Path, holder: &str) -> Result<Self, KeystoreError> {
        let lock = lock(path, holder)?;
        let path = fs::canonicalize(path).map_err(KeystoreError::io(path))?;
        let unfinished = unfinished_in(&path)?;
        Ok(Self { objects: path.join(OBJECTS_DIRECTORY), path, made: false, unfinished, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    pub(super) fn audit(&self) -> PathBuf {
        self.path.join(AUDIT_DIRECTORY)
    }

    /// Where decisions are remembered; it is there when one was.
    pub(super) fn decisions(&self) -> PathBuf {
        self.path.join(DECISIONS_DIRECTORY)
    }

    pub(super) fn objects(&self) -> &Path {
        &self.objects
    }
}

/// The id in the mark of a directory in which a keystore is being made; empty when that itself was cut short.
fn unfinished_in(directory: &Path) -> Result<Option<String>, KeystoreError> {
    let path = directory.join(UNFINISHED_FILE);
    let mut id = String::new();
    match File::open(&path).and_then(|file| file.take(UNFINISHED_BYTES_MAX).read_to_string(&mut id)) {
        Ok(_) => Ok(Some(id)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeystoreError::io(path)(error)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn private_directories() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Refuses what is a symbolic link, belongs to somebody else, or can be read or written by anybody else.
pub(super) fn check_private(path: &Path) -> Result<(), KeystoreError> {
    let metadata = fs::symlink_metadata(path).map_err(KeystoreError::io(path))?;
    let refuse = |reason: String| Err(KeystoreError::NotPrivate { path: path.into(), reason });
    if metadata.is_symlink() {
        return refuse("it is a symbolic link".into());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refuse(format!("it belongs to user {}", metadata.uid()));
    }
    let mode = metadata.mode() & 0o777;
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    if mode & 0o077 != 0 {
        return refuse(format!("its mode is {mode:04o} and must be {wanted:04o}"));
    }
    Ok(())
}

/// The keystore's lock, until it is dropped.
///
/// It is let go by name: closing the file is not enough while a child of this process that has not begun its own program
/// yet shares it (flock(2)).
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _closed_soon = self.0.unlock();
    }
}

/// Takes the keystore's lock and writes into it who holds it.
fn lock(directory: &Path, holder: &str) -> Result<Lock, KeystoreError> {
    let path = directory.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
        .map_err(KeystoreError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unread = file.take(200).read_to_string(&mut holder);
            let holder = if holder.is_empty() { "another process".into() } else { holder };
            return Err(KeystoreError::Locked { path: directory.into(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(KeystoreError::io(path)(error)),
    }
    let text = format!("process {} ({holder})", std::process::id());
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(KeystoreError::io(path))?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_second_opener_hears_who_holds_the_lock() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("k");
        let first = Directory::create(&path, "keystead init").unwrap();
        let refused = Directory::create(&path, "keystead key list").unwrap_err();
        assert!(matches!(&refused, KeystoreError::NotEmpty(_) | KeystoreError::Locked { .. }), "{refused}");
        let error = lock(&path, "other").unwrap_err().to_string();
        assert!(error.contains(&format!("process {} (keystead init)", std::process::id())), "{error}");
        drop(first);
        // As a child has it between fork and exec.
        let held = lock(&path, "other").unwrap();
        let shared = held.0.try_clone().unwrap();
        drop(held);
        assert!(lock(&path, "third").is_ok());
        drop(shared);
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("f");
        fs::write(&file, b"").unwrap();
        for (mode, private) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_private(&file).is_ok(), private, "{mode:o}");
        }
        let link = parent.path().join("l");
        symlink(&file, &link).unwrap();
        assert!(check_private(&link).is_err());
    }

    #[test]
    fn a_directory_with_other_files_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(parent.path().join("thesis.txt"), b"").unwrap();
        assert!(matches!(Directory::create(parent.path(), "x"), Err(KeystoreError::NotEmpty(_))));
        assert!(!parent.path().join(LOCK_FILE).exists());
        assert!(matches!(Directory::open(parent.path(), "x"), Err(KeystoreError::Missing(_))));
    }
}
