//! A directory tree that is entered step by step, so that nothing in it can lead out of it.
//!
//! Each name on the way is opened in the directory before it, never through a symbolic link (`openat` with `O_NOFOLLOW`,
//! POSIX.1-2017). So whoever exchanges a directory for a link while we are at work makes us fail, and not write or read
//! elsewhere: there is no moment between a check and a use.

use std::{
    collections::{HashMap, HashSet},
    ffi::{CStr, CString},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{FolderError, FolderPath, Modified, manifest::ENTRIES_MAX};
use crate::{
    artifact::output::nameless,
    crypto::random::{Random, RandomError},
};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Opening a pipe that was put in the place of a file must not wait for its writer.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// What a file in the making is called where files cannot be without a name.
const PARTIAL: (&str, &str) = (".keystead-", ".partial");

/// The top of a tree.
pub(super) struct Root {
    directory: OwnedFd,
    path: PathBuf,
}

/// What something in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// Neither; in words, with their article.
    Other(&'static str),
    /// It was there a moment ago.
    Gone,
}

/// By what a file shows that it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) size: u64,
    number: u64,
    modified: (i64, u32),
    /// When it was changed in any way: nobody can set that back (inode(7)).
    changed: (i64, u32),
}

/// Something in a tree.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The path from the top; when it is not UTF-8, what can be shown of it.
    pub(super) path: Result<String, String>,
    pub(super) kind: Kind,
    pub(super) state: State,
    /// Whether it is this user's and has no second name, so that nobody else can change it.
    pub(super) is_ours_alone: bool,
}

impl Found {
    /// The path in words.
    pub(super) fn shown(&self) -> &str {
        match &self.path {
            Ok(path) | Err(path) => path,
        }
    }

    /// Whether something that is seen now is it, unchanged. Of directories, what lies in them is not looked at.
    fn is_as(&self, kind: Kind, state: State) -> bool {
        kind == self.kind && (kind == Kind::Directory || state == self.state)
    }

    /// Whether it is what a killed process left where files cannot be without a name.
    pub(super) fn is_partial(&self) -> bool {
        let name = self.shown().rsplit('/').next().unwrap_or_default();
        self.kind == Kind::File && name.starts_with(PARTIAL.0) && name.ends_with(PARTIAL.1)
    }
}

impl Root {
    /// The tree below a directory, which may be named through symbolic links.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let opened = rustix::fs::open(path, DIRECTORY, Mode::empty());
        Self::of(opened, path)
    }

    /// The tree below a directory that is no symbolic link.
    pub(super) fn open_directly(path: &Path) -> Result<Self, FolderError> {
        let opened = rustix::fs::open(path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        Self::of(opened, path)
    }

    fn of(opened: rustix::io::Result<OwnedFd>, path: &Path) -> Result<Self, FolderError> {
        match opened {
            Ok(directory) => Ok(Self { directory, path: path.into() }),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(FolderError::NotADirectory { path: path.into() }),
            Err(error) => Err(FolderError::unreadable(path, error.into())),
        }
    }

    /// Whether the directory that has this path is this one.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let ours = rustix::fs::fstat(&self.directory);
        let theirs = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino),
            _ => false,
        }
    }

    /// The path of something in the tree, for words.
    pub(super) fn path_of(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// Keeps other processes that ask for it from working on this directory, until this is dropped. Answers whether none
    /// has asked before.
    pub(super) fn lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn as_fd(&self) -> impl AsFd {
        self.directory.as_fd()
    }

    /// A directory of the tree.
    pub(super) fn directory(&self, path: Option<&FolderPath>) -> io::Result<OwnedFd> {
        let mut directory = self.directory.try_clone()?;
        for name in path.iter().flat_map(|path| path.names()) {
            directory = rustix::fs::openat(&directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(directory)
    }

    /// Makes a directory, unless it is there.
    pub(super) fn make_directory(&self, path: &FolderPath, mode: u32) -> io::Result<()> {
        let parent = self.directory(path.parent().as_ref())?;
        match rustix::fs::mkdirat(&parent, path.name(), Mode::from_raw_mode(mode)) {
            Err(Errno::EXIST) => self.directory(Some(path)).map(drop),
            made => Ok(made?),
        }
    }

    /// Opens a regular file for reading.
    pub(super) fn open_file(&self, directory: Option<&FolderPath>, name: &str) -> io::Result<File> {
        let file = File::from(rustix::fs::openat(self.directory(directory)?, name, FILE, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    }

    /// The same by its path.
    pub(super) fn open_file_at(&self, path: &str) -> io::Result<File> {
        let (directory, name) = split(path)?;
        self.open_file(directory.as_ref(), name)
    }

    /// Removes a file.
    pub(super) fn remove_file(&self, path: &str) -> io::Result<()> {
        let (directory, name) = split(path)?;
        Ok(rustix::fs::unlinkat(self.directory(directory.as_ref())?, name, AtFlags::empty())?)
    }

    /// All that lies in the tree, sorted by path. Directories are entered unless `leave_out` says so.
    pub(super) fn walk(&self, leave_out: &dyn Fn(&str) -> bool) -> Result<Vec<Found>, FolderError> {
        let mut found = Vec::new();
        let mut waiting = vec![None];
        while let Some(directory) = waiting.pop() {
            let path = directory.as_ref().map_or("", FolderPath::as_str);
            let unreadable = |error| FolderError::unreadable(&self.path_of(path), error);
            for entry in self.list(directory.as_ref()).map_err(unreadable)? {
                if found.len() > 2 * ENTRIES_MAX {
                    return Err(FolderError::TooMany { path: self.path.clone(), max: ENTRIES_MAX });
                }
                if leave_out(entry.shown()) {
                    continue;
                }
                // What has no proper name is not entered; whoever asked complains of it.
                let inner = entry.path.as_ref().ok().and_then(|path| path.parse::<FolderPath>().ok());
                if let Some(inner) = inner
                    && entry.kind == Kind::Directory
                {
                    waiting.push(Some(inner));
                }
                found.push(entry);
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Makes sure that all that lies in the tree is as it was `before`, when it was walked through.
    pub(super) fn expect_unchanged(&self, before: &[Found]) -> Result<(), FolderError> {
        let after = self.walk(&|_| false)?;
        let changed =
            |found: &Found, what| Err(FolderError::Changed { path: self.path_of(found.shown()), what });
        let now: HashMap<&str, &Found> = after.iter().map(|found| (found.shown(), found)).collect();
        for found in before {
            match now.get(found.shown()) {
                None => return changed(found, "disappeared"),
                Some(now) if found.is_as(now.kind, now.state) => {}
                Some(_) => return changed(found, "changed"),
            }
        }
        let known: HashSet<&str> = before.iter().map(Found::shown).collect();
        match after.iter().find(|found| !known.contains(found.shown())) {
            Some(new) => changed(new, "appeared"),
            None => Ok(()),
        }
    }

    /// Whether nothing lies in the tree that was not there `before`, as it was then. Something may be missing.
    pub(super) fn holds_only(&self, before: &[Found]) -> Result<bool, FolderError> {
        let before: HashMap<&str, &Found> = before.iter().map(|found| (found.shown(), found)).collect();
        let was_there =
            |now: &Found| before.get(now.shown()).is_some_and(|found| found.is_as(now.kind, now.state));
        Ok(self.walk(&|_| false)?.iter().all(was_there))
    }

    /// Gives the owner back what work in the directories needs, where they are ours: modes that were kept may take it away.
    pub(super) fn open_up(&self, found: &[Found]) {
        let open = |directory: OwnedFd| {
            let mode = rustix::fs::fstat(&directory)?.st_mode;
            rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode) | Mode::RWXU)
        };
        // What is not ours stays as it is, and says so when it is needed.
        let _as_it_was = self.directory(None).map(open);
        for found in found.iter().filter(|found| found.kind == Kind::Directory) {
            let path = found.path.as_ref().ok().and_then(|path| path.parse().ok());
            if let Some(path) = path {
                let _as_it_was = self.directory(Some(&path)).map(open);
            }
        }
    }

    /// Removes all that was found and is still as it was then; what is not stays, with the directories that it lies in.
    pub(super) fn remove_unchanged(&self, found: &[Found]) -> io::Result<()> {
        self.open_up(found);
        // Sorted by path, what lies in a directory comes behind it.
        for found in found.iter().rev() {
            let Ok(path) = &found.path else { continue };
            let (directory, name) = split(path)?;
            let directory = match self.directory(directory.as_ref()) {
                Ok(directory) => directory,
                // Somebody was quicker, with all that lay in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let looked = look(&directory, &CString::new(name)?)?;
            let flags = match looked.kind {
                Kind::Directory => AtFlags::REMOVEDIR,
                kind if found.is_as(kind, looked.state) => AtFlags::empty(),
                _ => continue,
            };
            match rustix::fs::unlinkat(&directory, name, flags) {
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn list(&self, directory: Option<&FolderPath>) -> io::Result<Vec<Found>> {
        let opened = self.directory(directory)?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Looked { kind, state, is_ours_alone } = look(&opened, name)?;
            let joined = |name: &str| directory.map_or_else(|| name.into(), |path| format!("{path}/{name}"));
            let path = match name.to_str() {
                Ok(name) => Ok(joined(name)),
                Err(_) => Err(joined(&name.to_bytes().escape_ascii().to_string())),
            };
            found.push(Found { path, kind, state, is_ours_alone });
        }
        Ok(found)
    }
}

/// The directory and the name of something in a tree.
fn split(path: &str) -> io::Result<(Option<FolderPath>, &str)> {
    Ok(match path.rsplit_once('/') {
        None => (None, path),
        Some((directory, name)) => (Some(directory.parse().map_err(io::Error::other)?), name),
    })
}

impl State {
    /// Of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
        let modified = (metadata.mtime(), nanoseconds);
        let changed = (metadata.ctime(), u32::try_from(metadata.ctime_nsec()).unwrap_or_default());
        Ok(Self { size: metadata.len(), number: metadata.ino(), modified, changed })
    }

    /// When the file was last modified.
    pub(super) fn modified(&self) -> Modified {
        let (seconds, nanoseconds) = self.modified;
        Modified::new(seconds, nanoseconds).unwrap_or_default()
    }
}

/// What can be seen of something in a directory.
struct Looked {
    kind: Kind,
    state: State,
    is_ours_alone: bool,
}

fn look(directory: impl AsFd, name: &CStr) -> io::Result<Looked> {
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => {
            let state = State { size: 0, number: 0, modified: (0, 0), changed: (0, 0) };
            return Ok(Looked { kind: Kind::Gone, state, is_ours_alone: false });
        }
        Err(error) => return Err(error.into()),
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Other("a symbolic link"),
        FileType::Fifo => Kind::Other("a pipe"),
        FileType::Socket => Kind::Other("a socket"),
        _ => Kind::Other("a device"),
    };
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let modified = (stat.st_mtime, nanoseconds);
    let changed = (stat.st_ctime, u32::try_from(stat.st_ctime_nsec).unwrap_or_default());
    let is_ours_alone =
        stat.st_uid == rustix::process::geteuid().as_raw() && (kind == Kind::Directory || stat.st_nlink == 1);
    Ok(Looked { kind, state: State { size, number: stat.st_ino, modified, changed }, is_ours_alone })
}

/// A file in the making, in a tree. Dropped before [`keep`](Self::keep), it leaves nothing behind.
pub(super) struct Draft {
    file: File,
    directory: OwnedFd,
    name: String,
    /// What it is called until then, where it cannot be without a name.
    partial: Option<String>,
}

impl Draft {
    /// Begins the file that is to be called `name`. It can be read and written, and has no name where the file system
    /// has such files.
    pub(super) fn create(
        root: &Root,
        directory: Option<&FolderPath>,
        name: &str,
        mode: u32,
        random: &mut dyn Random,
    ) -> io::Result<Self> {
        let directory = root.directory(directory)?;
        match nameless::create(&directory, Path::new("."), mode) {
            Some(file) => Ok(Self { file, directory, name: name.into(), partial: None }),
            None => Self::create_named(directory, name, mode, random),
        }
    }

    fn create_named(directory: OwnedFd, name: &str, mode: u32, random: &mut dyn Random) -> io::Result<Self> {
        let number: [u8; 16] = random.array().map_err(|error: RandomError| io::Error::other(error))?;
        let partial = format!("{}{}{}", PARTIAL.0, hex::encode(number), PARTIAL.1);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &partial, flags, Mode::from_raw_mode(mode))?.into();
        Ok(Self { file, directory, name: name.into(), partial: Some(partial) })
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, which nothing may have yet. Whether it is on the disk is the whole tree's business.
    pub(super) fn keep(mut self) -> io::Result<()> {
        match self.partial.take() {
            None => nameless::link(&self.file, &self.directory, Path::new(&self.name)),
            Some(partial) => {
                // A link never replaces a file; a rename would.
                let linked = rustix::fs::linkat(
                    &self.directory,
                    &partial,
                    &self.directory,
                    &self.name,
                    AtFlags::empty(),
                );
                self.partial = Some(partial);
                Ok(linked?)
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            let _left_for_later = rustix::fs::unlinkat(&self.directory, partial, AtFlags::empty());
        }
    }
}

/// Makes all that was written to the file system of this directory durable: one wait for a whole folder, where a wait for
/// each file would cost more than sealing it.
#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(root: &Root) -> io::Result<()> {
    Ok(rustix::fs::syncfs(root.as_fd())?)
}

/// The same without such a call: each file by itself.
#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(root: &Root) -> io::Result<()> {
    let found = root.walk(&|_| false).map_err(io::Error::other)?;
    for path in
        found.iter().filter(|found| found.kind == Kind::File).filter_map(|found| found.path.as_ref().ok())
    {
        let (directory, name) = path
            .rsplit_once('/')
            .map_or((None, path.as_str()), |(directory, name)| (directory.parse::<FolderPath>().ok(), name));
        root.open_file(directory.as_ref(), name)?.sync_all()?;
    }
    Ok(())
}

/// Makes the names in the directory at `path` durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::from(rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?).sync_all()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::{ffi::OsStrExt, fs::symlink},
    };

    use super::*;
    use crate::crypto::random::SeededRandom;

    fn path(text: &str) -> FolderPath {
        text.parse().unwrap()
    }

    #[test]
    fn no_symbolic_link_is_followed_on_the_way() {
        let lab = tempfile::tempdir().unwrap();
        let at = |name: &str| lab.path().join(name);
        fs::create_dir_all(at("outside/dir")).unwrap();
        fs::write(at("outside/secret"), b"x").unwrap();
        fs::create_dir_all(at("top/dir")).unwrap();
        fs::write(at("top/dir/file"), b"y").unwrap();
        symlink(at("outside"), at("top/link")).unwrap();
        symlink(at("outside/secret"), at("top/leak")).unwrap();
        let root = Root::open(&at("top")).unwrap();
        assert!(root.open_file(Some(&path("dir")), "file").is_ok());
        assert!(root.open_file(Some(&path("link")), "secret").is_err());
        assert!(root.open_file(None, "leak").is_err());
        assert!(root.directory(Some(&path("link/dir"))).is_err());
        assert!(root.make_directory(&path("link/new"), 0o700).is_err());
        assert!(root.make_directory(&path("link"), 0o700).is_err(), "a link is no directory");
        assert!(root.remove_file("link/secret").is_err());
        let draft = Draft::create(&root, Some(&path("link")), "x", 0o600, &mut SeededRandom::new(1));
        assert!(draft.is_err());
        assert!(!at("outside/new").exists() && at("outside/secret").exists());
        assert!(Root::open_directly(&at("top/link")).is_err());
        assert!(Root::open(&at("top/link")).is_ok());
    }

    #[test]
    fn a_walk_finds_everything_and_says_what_it_is() {
        let lab = tempfile::tempdir().unwrap();
        let at = |name: &str| lab.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("left-out/x")).unwrap();
        fs::write(at("a/b/file"), b"12345").unwrap();
        fs::write(lab.path().join(std::ffi::OsStr::from_bytes(b"\xff")), b"").unwrap();
        symlink("a", at("link")).unwrap();
        let found = Root::open(lab.path()).unwrap().walk(&|path| path == "left-out").unwrap();
        let told: Vec<_> =
            found.iter().map(|found| (found.shown(), found.kind, found.path.is_ok())).collect();
        let expected = [
            ("a", Kind::Directory, true),
            ("a/b", Kind::Directory, true),
            ("a/b/file", Kind::File, true),
            ("link", Kind::Other("a symbolic link"), true),
            ("\\xff", Kind::File, false),
        ];
        assert_eq!(told, expected);
        assert_eq!(found.get(2).unwrap().state.size, 5);
    }

    #[test]
    fn a_draft_has_its_name_only_when_it_is_kept_and_replaces_nothing() {
        let lab = tempfile::tempdir().unwrap();
        let root = Root::open(lab.path()).unwrap();
        let random: &mut dyn Random = &mut SeededRandom::new(1);
        let names = || root.walk(&|_| false).unwrap().len();
        for named in [false, true] {
            let name = format!("x-{named}");
            let mut create = || {
                let directory = root.directory(None).unwrap();
                match named {
                    true => Draft::create_named(directory, &name, 0o600, random).unwrap(),
                    false => Draft::create(&root, None, &name, 0o600, random).unwrap(),
                }
            };
            let before = names();
            drop(create());
            assert_eq!(names(), before);
            let draft = create();
            draft.file().write_all(b"whole").unwrap();
            draft.keep().unwrap();
            assert_eq!((names(), fs::read(lab.path().join(&name)).unwrap()), (before + 1, b"whole".to_vec()));
            let second = create();
            assert_eq!(second.keep().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!((names(), fs::read(lab.path().join(&name)).unwrap()), (before + 1, b"whole".to_vec()));
        }
        let partial = Draft::create_named(root.directory(None).unwrap(), "y", 0o600, random).unwrap();
        assert!(root.walk(&|_| false).unwrap().iter().any(Found::is_partial));
        drop(partial);
        assert!(!root.walk(&|_| false).unwrap().iter().any(Found::is_partial));
    }
}
