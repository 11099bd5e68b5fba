//! A folder that appears under its name only when it is whole.
//!
//! Until then it lies beside its place as `NAME.keystead-unfinished`, locked by the process that works on it. A process
//! that was killed or stopped leaves there the files that are whole, each under its own name; the next one goes on from
//! them. Nothing that lies there is believed: a file is taken over only after its bytes were compared with what it is to
//! hold, so there is no journal that could lie, and a power cut that left half a file does no harm.
//!
//! Files are not synced one by one. Before the folder gets its name its whole file system is, once.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode},
    io::Errno,
};

use super::{
    FolderError, FolderPath, MANIFEST_NAME,
    tree::{Found, Kind, Root, sync_directory, sync_file_system},
};
use crate::artifact::output::{exchange, keep_owner_and_mode, rename_to_free};

/// What an unfinished folder's name ends in.
pub const UNFINISHED_SUFFIX: &str = ".keystead-unfinished";

/// What a folder in the making is to hold: paths from its top.
#[derive(Debug)]
pub(super) struct Names {
    files: HashSet<String>,
    directories: HashSet<String>,
}

impl Names {
    /// Of these files and directories.
    pub(super) fn of<'entries>(
        files: impl IntoIterator<Item = String>,
        directories: impl IntoIterator<Item = &'entries FolderPath>,
    ) -> Self {
        let directories = directories.into_iter().map(|path| path.as_str().to_owned());
        Self { files: files.into_iter().collect(), directories: directories.collect() }
    }

    fn hold(&self, found: &Found) -> bool {
        match (&found.path, found.kind) {
            (Ok(path), Kind::File) => self.files.contains(path),
            (Ok(path), Kind::Directory) => self.directories.contains(path),
            _ => false,
        }
    }
}

/// What the name of a folder ends in that changed while another took its place, before a number.
const KEPT_SUFFIX: &str = ".keystead-kept";

/// A folder in the making.
pub(super) struct Staging {
    root: Root,
    names: Names,
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
    /// Begins the folder that is to be called `target` and to hold what has these names, or goes on with it. Its directory
    /// gets these permission bits, as far as the umask lets.
    pub(super) fn begin(target: &Path, mode: u32, names: Names) -> Result<Self, FolderError> {
        let staging = Self::begin_beside(target, mode, names)?;
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
    pub(super) fn begin_beside(target: &Path, mode: u32, names: Names) -> Result<Self, FolderError> {
        let name = target.file_name().ok_or_else(|| FolderError::NoName { path: target.into() })?;
        let target = target.with_file_name(name);
        let unfinished = unfinished_name(&target);
        let resumed = match rustix::fs::mkdirat(CWD, &unfinished, Mode::from_raw_mode(mode)) {
            Ok(()) => false,
            Err(Errno::EXIST) => true,
            Err(error) => return Err(FolderError::unwritable(&unfinished, error.into())),
        };
        let root = Root::open_directly(&unfinished)?;
        match root.lock() {
            Ok(true) => {}
            Ok(false) => return Err(FolderError::Busy { path: unfinished }),
            Err(error) => return Err(FolderError::unwritable(&unfinished, error)),
        }
        let held = root.directory(None).map(fs::File::from).and_then(|directory| directory.metadata());
        let held = held.map_err(|error| FolderError::unwritable(&unfinished, error))?;
        // Whoever owns the directory can read and change all that comes into it.
        expect_ours(held.uid(), &unfinished)?;
        // What an earlier process began for something less secret is closed to others before anything comes into it.
        let narrowed = Mode::from_raw_mode(held.mode() & mode) | Mode::RWXU;
        rustix::fs::fchmod(root.as_fd(), narrowed)
            .map_err(|error| FolderError::unwritable(&unfinished, error.into()))?;
        // Whoever had the lock may have finished meanwhile: then what we hold is not what has the name now.
        let same = |directory: &fs::Metadata| -> io::Result<bool> {
            Ok((held.dev(), held.ino()) == (directory.dev(), directory.ino()))
        };
        match fs::symlink_metadata(&unfinished).and_then(|named| same(&named)) {
            Ok(true) => Ok(Self { root, names, unfinished, target, resumed }),
            _ => Err(FolderError::Busy { path: unfinished }),
        }
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Clears what an earlier process left that is of no use. Answers all files that are.
    pub(super) fn survey(&self) -> Result<HashSet<String>, FolderError> {
        if !self.resumed {
            return Ok(HashSet::new());
        }
        let found = self.root.walk(&|_| false)?;
        // Before anything is cleared: this may be another folder than the one that was begun.
        let is_ours = |found: &Found| found.is_ours_alone && (is_made_anew(found) || self.names.hold(found));
        if let Some(strange) = found.iter().find(|found| !is_ours(found)) {
            return Err(FolderError::Strange { path: self.root.path_of(strange.shown()) });
        }
        let mut usable = HashSet::new();
        for found in found.into_iter().filter(|found| found.kind == Kind::File) {
            // The manifest comes last of all, and is made anew.
            if is_made_anew(&found) {
                let path = self.root.path_of(found.shown());
                self.root
                    .remove_file(found.shown())
                    .map_err(|error| FolderError::unwritable(&path, error))?;
            } else {
                usable.extend(found.path);
            }
        }
        Ok(usable)
    }

    /// The same error, once it is settled what stays. After most errors the files that are whole do, for the next process;
    /// when the disk is full or what was to be opened is not what was sealed, nothing of ours does.
    pub(super) fn abandon(&self, error: FolderError) -> FolderError {
        if error.is_full_disk() || matches!(error, FolderError::Differs(_)) {
            self.discard();
        }
        self.leave();
        match error {
            FolderError::StoppedEarly if self.unfinished.exists() => {
                FolderError::Stopped { unfinished: self.unfinished.clone() }
            }
            error => error,
        }
    }

    /// Takes the folder away with all that is ours in it. What is somebody's stays.
    pub(super) fn discard(&self) {
        let Ok(mut found) = self.root.walk(&|_| false) else { return };
        found.retain(|found| found.is_ours_alone && (is_made_anew(found) || self.names.hold(found)));
        let _left_for_later = remove_unchanged(&self.root, &self.unfinished, &found);
    }

    /// Takes the folder away if no file lies in it.
    fn leave(&self) {
        let Ok(found) = self.root.walk(&|_| false) else { return };
        if found.iter().all(|found| found.kind == Kind::Directory) {
            let _left_for_later = remove_unchanged(&self.root, &self.unfinished, &found);
        }
    }

    /// All that was made, which is what was to be and no more, once it is on the disk.
    fn made(&self) -> Result<Vec<Found>, FolderError> {
        let changed = |path: &str, what| FolderError::Changed { path: self.root.path_of(path), what };
        let made = self.root.walk(&|_| false)?;
        if let Some(strange) = made.iter().find(|found| !is_made_anew(found) && !self.names.hold(found)) {
            return Err(changed(strange.shown(), "appeared"));
        }
        let there: HashSet<&str> = made.iter().map(Found::shown).collect();
        let mut names = self.names.files.iter().chain(&self.names.directories);
        if let Some(missing) = names.find(|name| !there.contains(name.as_str())) {
            return Err(changed(missing, "disappeared"));
        }
        sync_file_system(&self.root).map_err(|error| FolderError::unwritable(&self.target, error))?;
        self.root.expect_unchanged(&made)?;
        if !self.root.is_at(&self.unfinished) {
            return Err(changed("", "changed"));
        }
        Ok(made)
    }

    /// Gives the folder its name, once all of it is on the disk.
    pub(super) fn finish(self) -> Result<PathBuf, FolderError> {
        let unwritable = |error| FolderError::unwritable(&self.target, error);
        self.made()?;
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

    /// Puts the folder in the place of `old`, which has its name, in one step, and removes that one; unless something there
    /// is not as it was `before`, or this one not as it was made. Both are looked at before the step and, since somebody
    /// may write there until then, after it. Nothing that somebody else put into either folder or in their places is
    /// removed: what it lies in is kept under another name.
    ///
    /// INVARIANT: `old` is locked, or another process could take it for an unfinished folder once it has that name.
    pub(super) fn finish_instead(self, old: &Root, before: &[Found]) -> Result<PathBuf, FolderError> {
        let (unfinished, target) = (&self.unfinished, &self.target);
        let unwritable = |error| FolderError::unwritable(target, error);
        let keep_mode =
            || keep_owner_and_mode(&old.directory(None)?.into(), &self.root.directory(None)?.into());
        let traded = keep_mode().map_err(unwritable).and_then(|()| {
            let made = self.made()?;
            if !old.is_at(target) {
                return Err(FolderError::Changed { path: target.clone(), what: "changed" });
            }
            old.expect_unchanged(before)?;
            exchange(unfinished, target).map_err(unwritable)?;
            Ok(made)
        });
        let made = match traded {
            Ok(made) => made,
            Err(error) => {
                self.discard();
                return Err(error);
            }
        };
        sync_directory(directory_of(target)).map_err(unwritable)?;
        // Now the old one has the other's name.
        let is_whole = self.root.is_at(target) && self.root.expect_unchanged(&made).is_ok();
        if is_whole && (!old.is_at(unfinished) || old.holds_only(before)?) {
            // Somebody may have been quicker.
            match remove_unchanged(old, unfinished, before) {
                Ok(true) => return Ok(self.target),
                Ok(false) => {}
                Err(error) => return Err(FolderError::unwritable(unfinished, error)),
            }
        } else if !is_whole && self.root.is_at(target) {
            // The old one is the better one.
            exchange(unfinished, target).map_err(unwritable)?;
        }
        let path = keep_beside(unfinished, target).unwrap_or_else(|_| unfinished.clone());
        Err(FolderError::Kept { path, target: target.clone() })
    }
}

/// Gives what must not be removed a name under which no later process takes it for an unfinished folder.
fn keep_beside(unfinished: &Path, target: &Path) -> io::Result<PathBuf> {
    for number in 1..=u32::MAX {
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(format!("{KEPT_SUFFIX}-{number}"));
        let kept = target.with_file_name(name);
        match rename_to_free(unfinished, &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            renamed => return renamed.map(|()| kept),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether it is of no use to a later process: a file that is not whole, or the manifest.
fn is_made_anew(found: &Found) -> bool {
    found.is_partial() || found.path.as_deref() == Ok(MANIFEST_NAME) && found.kind == Kind::File
}

/// Removes a folder with what was found in it, as far as it is still that; answers whether nothing is left at `path`.
fn remove_unchanged(folder: &Root, path: &Path, found: &[Found]) -> io::Result<bool> {
    if folder.is_at(path) {
        folder.remove_unchanged(found)?;
        let _somebodys_when_not_empty = fs::remove_dir(path);
    }
    Ok(!path.try_exists()?)
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Begins a folder of these files.
    fn begin(target: &Path, files: &[&str]) -> Result<Staging, FolderError> {
        Staging::begin(target, 0o700, Names::of(files.iter().map(ToString::to_string), []))
    }

    #[test]
    fn a_folder_has_its_name_only_at_the_end_and_one_process_makes_it() {
        let lab = tempfile::tempdir().unwrap();
        let target = lab.path().join("out");
        let staging = begin(&target, &["x"]).unwrap();
        assert!(matches!(begin(&target, &["x"]), Err(FolderError::Busy { .. })));
        fs::write(staging.unfinished.join("x"), b"x").unwrap();
        assert!(!target.exists());
        drop(staging);
        let again = begin(&target, &["x"]).unwrap();
        assert!(again.resumed);
        assert_eq!(again.survey().unwrap(), HashSet::from(["x".into()]));
        drop(again);
        assert!(matches!(begin(&target, &["y"]).unwrap().survey(), Err(FolderError::Strange { .. })));
        let again = begin(&target, &["x"]).unwrap();
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
    fn an_unfinished_folder_is_closed_to_others_and_what_they_could_change_is_not_taken_over() {
        let lab = tempfile::tempdir().unwrap();
        let unfinished = lab.path().join("out.keystead-unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(unfinished.join("x"), b"x").unwrap();
        let staging = begin(&lab.path().join("out"), &["x"]).unwrap();
        assert_eq!(fs::metadata(&unfinished).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(staging.survey().unwrap().len(), 1);
        fs::hard_link(unfinished.join("x"), lab.path().join("second-name")).unwrap();
        assert!(matches!(staging.survey(), Err(FolderError::Strange { .. })));
    }

    #[test]
    fn a_folder_that_is_not_what_was_made_gets_no_name_and_what_is_somebodys_stays() {
        let lab = tempfile::tempdir().unwrap();
        let target = lab.path().join("out");
        let staging = begin(&target, &["x", "y"]).unwrap();
        let unfinished = staging.unfinished.clone();
        fs::write(unfinished.join("x"), b"x").unwrap();
        assert!(matches!(staging.finish(), Err(FolderError::Changed { what: "disappeared", .. })));
        let staging = begin(&target, &["x"]).unwrap();
        fs::write(unfinished.join("mine"), b"mine").unwrap();
        assert!(matches!(staging.finish(), Err(FolderError::Changed { what: "appeared", .. })));
        begin(&target, &["x"]).unwrap().discard();
        assert!(!unfinished.join("x").exists() && unfinished.join("mine").exists());
        fs::remove_file(unfinished.join("mine")).unwrap();
        let staging = begin(&target, &["x"]).unwrap();
        fs::write(unfinished.join("x"), b"x").unwrap();
        fs::rename(&unfinished, lab.path().join("elsewhere")).unwrap();
        fs::create_dir(&unfinished).unwrap();
        assert!(matches!(staging.finish(), Err(FolderError::Changed { what: "changed", .. })));
        assert!(!target.exists());
    }

    #[test]
    fn what_was_written_into_the_old_folder_is_kept_under_another_name() {
        let lab = tempfile::tempdir().unwrap();
        let (target, kept) =
            (lab.path().join("out"), |number: u32| lab.path().join(format!("out.keystead-kept-{number}")));
        let unfinished = unfinished_name(&target);
        for number in 1..=2 {
            fs::create_dir(&unfinished).unwrap();
            assert_eq!(keep_beside(&unfinished, &target).unwrap(), kept(number));
        }
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join(MANIFEST_NAME), b"a manifest").unwrap();
        fs::write(unfinished.join("other"), b"other").unwrap();
        let staging = begin(&target, &["x"]).unwrap();
        assert!(matches!(staging.survey(), Err(FolderError::Strange { .. })));
        assert!(unfinished.join(MANIFEST_NAME).exists(), "nothing is cleared of what is another folder");
        let root = Root::open(&unfinished).unwrap();
        let found = root.walk(&|_| false).unwrap();
        fs::remove_file(unfinished.join("other")).unwrap();
        assert!(root.holds_only(&found).unwrap());
        fs::write(unfinished.join("other"), b"another").unwrap();
        assert!(!root.holds_only(&found).unwrap());
    }

    #[test]
    fn only_what_is_as_it_was_found_is_removed() {
        let lab = tempfile::tempdir().unwrap();
        let folder = lab.path().join("folder");
        fs::create_dir_all(folder.join("d/e")).unwrap();
        for name in ["a", "b", "d/c"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let root = Root::open(&folder).unwrap();
        let found = root.walk(&|_| false).unwrap();
        fs::write(folder.join("b"), b"other").unwrap();
        fs::write(folder.join("d/new"), b"new").unwrap();
        assert!(!remove_unchanged(&root, &folder, &found).unwrap());
        let left: Vec<String> =
            root.walk(&|_| false).unwrap().iter().map(|found| found.shown().into()).collect();
        assert_eq!(left, ["b", "d", "d/new"]);
        // What somebody else removes first is no error.
        fs::create_dir(folder.join("gone")).unwrap();
        fs::write(folder.join("gone/x"), b"x").unwrap();
        let with_gone = root.walk(&|_| false).unwrap();
        fs::remove_dir_all(folder.join("gone")).unwrap();
        fs::remove_file(folder.join("b")).unwrap();
        assert!(root.holds_only(&with_gone).unwrap());
        assert!(remove_unchanged(&root, &folder, &with_gone).unwrap());
        assert!(!folder.exists());
        fs::create_dir(&folder).unwrap();
        assert!(!remove_unchanged(&root, &folder, &found).unwrap(), "another folder has the name");
        assert!(folder.exists());
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
            assert!(matches!(begin(&at(taken), &[]), Err(FolderError::Exists { .. })), "{taken}");
            assert!(!unfinished_name(&at(taken)).exists());
        }
        assert!(begin(&at("empty"), &[]).unwrap().finish().is_ok());
        let late = begin(&at("late"), &[]).unwrap();
        fs::create_dir_all(at("late/x")).unwrap();
        assert!(matches!(late.finish(), Err(FolderError::Exists { .. })));
        assert!(begin(Path::new("/"), &[]).is_err());
        std::os::unix::fs::symlink(at("empty"), at("y.keystead-unfinished")).unwrap();
        assert!(matches!(begin(&at("y"), &[]), Err(FolderError::NotADirectory { .. })));
    }
}
