//! Where segment files stand: a directory on disk, or memory.
//!
//! Two small traits lie between the log and the file system, so that a test can put a full disk or a failing one
//! there. Whoever implements them promises what POSIX does: after [`SegmentFile::sync`] has answered, what was
//! appended survives a crash; before, any part of it may.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::compressed::{self, CompressedSegment};

/// How the name of a segment file ends.
pub const SEGMENT_SUFFIX: &str = ".log";
/// How the name of a file ends that is to become a segment.
const UNFINISHED_SUFFIX: &str = ".new";
/// What is added to the name of a closed segment that was compressed.
const COMPRESSED_SUFFIX: &str = ".gz";
/// Segment files are for their owner alone.
const FILE_MODE: u32 = 0o600;
/// And so is their directory.
const DIRECTORY_MODE: u32 = 0o700;

/// A place that holds segment files.
pub trait LogDirectory: Send + Sync {
    /// The names of all segments, in order.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a segment for reading; answers its length too.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn read(&self, name: &str) -> io::Result<(u64, Box<dyn Read + Send>)>;

    /// Opens a segment for reading from `offset` on; answers how many bytes follow.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn read_from(&self, name: &str, offset: u64) -> io::Result<(u64, Box<dyn Read + Send>)> {
        let (length, mut reader) = self.read(name)?;
        let skipped = io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
        Ok((length.saturating_sub(skipped), reader))
    }

    /// Puts a closed segment's content into less room, if this directory can; reading it is as before. All or nothing,
    /// and durably.
    ///
    /// # Errors
    ///
    /// The operating system's; the segment is as it was then.
    fn compress(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    /// Removes a segment, durably.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes a segment that begins with these bytes, all or nothing and durably, its name included.
    ///
    /// # Errors
    ///
    /// The operating system's; `AlreadyExists` when there is one of that name.
    fn create(&self, name: &str, beginning: &[u8]) -> io::Result<Box<dyn SegmentFile>>;

    /// Opens a segment for appending, cutting off durably what stands beyond `length`.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn append_to(&self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>>;
}

/// A segment open for appending.
pub trait SegmentFile: Send {
    /// Writes at the end.
    ///
    /// # Errors
    ///
    /// The operating system's; any part may have been written then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Answers when all that was appended is durable.
    ///
    /// # Errors
    ///
    /// The operating system's. It must not be tried again: what was not written then may be forgotten.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether the file that is open is still the one that stands under its name, and as long as it was left.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn is_in_place(&self, length: u64) -> io::Result<bool>;
}

impl<D: LogDirectory + ?Sized> LogDirectory for Arc<D> {
    fn list(&self) -> io::Result<Vec<String>> {
        (**self).list()
    }

    fn read(&self, name: &str) -> io::Result<(u64, Box<dyn Read + Send>)> {
        (**self).read(name)
    }

    fn read_from(&self, name: &str, offset: u64) -> io::Result<(u64, Box<dyn Read + Send>)> {
        (**self).read_from(name, offset)
    }

    fn compress(&self, name: &str) -> io::Result<()> {
        (**self).compress(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }

    fn create(&self, name: &str, beginning: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        (**self).create(name, beginning)
    }

    fn append_to(&self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        (**self).append_to(name, length)
    }
}

/// A directory on disk.
#[derive(Debug, Clone)]
pub struct DiskDirectory {
    path: PathBuf,
}

impl DiskDirectory {
    /// The directory at this path, which must be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the directory, mode 0700, durably. One that is there already will do when it is empty.
    ///
    /// # Errors
    ///
    /// The operating system's; `AlreadyExists` when something stands in it.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = Self::new(path);
        match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&directory.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if fs::read_dir(&directory.path)?.next().is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the directory is not empty"));
        }
        if let Some(parent) = directory.path.parent() {
            sync_directory(parent)?;
        }
        Ok(directory)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn open_compressed(&self, name: &str) -> io::Result<CompressedSegment> {
        CompressedSegment::open(open_regular(OpenOptions::new().read(true), &self.at(name))?)
    }
}

impl LogDirectory for DiskDirectory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            match entry?.file_name().into_string() {
                Ok(name) if name.ends_with(SEGMENT_SUFFIX) => names.push(name),
                Ok(name) => names.extend(name.strip_suffix(COMPRESSED_SUFFIX).map(ToOwned::to_owned)),
                Err(_) => {}
            }
        }
        names.retain(|name| name.ends_with(SEGMENT_SUFFIX));
        names.sort_unstable();
        // Both stand there between the two last steps of compressing.
        names.dedup();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<(u64, Box<dyn Read + Send>)> {
        self.read_from(name, 0)
    }

    fn read_from(&self, name: &str, offset: u64) -> io::Result<(u64, Box<dyn Read + Send>)> {
        match open_regular(OpenOptions::new().read(true), &self.at(name)) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset))?;
                Ok((file.metadata()?.len().saturating_sub(offset), Box::new(file)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut segment = self.open_compressed(&format!("{name}{COMPRESSED_SUFFIX}"))?;
                segment.seek(offset);
                Ok((segment.length().saturating_sub(offset), Box::new(segment)))
            }
            Err(error) => Err(error),
        }
    }

    /// Written beside the segment, read again, renamed into place; then the segment goes. A crash leaves the one, the
    /// other or both, which are the same.
    fn compress(&self, name: &str) -> io::Result<()> {
        let compressed = format!("{name}{COMPRESSED_SUFFIX}");
        let (mut plain, unfinished) = match open_regular(OpenOptions::new().read(true), &self.at(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => (opened?, self.at(&format!("{compressed}{UNFINISHED_SUFFIX}"))),
        };
        remove_if_there(&unfinished)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&unfinished)?;
        let length = plain.metadata()?.len();
        compressed::compress(&mut plain, length, &mut file)?;
        file.sync_all()?;
        plain.rewind()?;
        let again = self.open_compressed(&format!("{compressed}{UNFINISHED_SUFFIX}"))?;
        if !is_same(plain, again)? {
            fs::remove_file(&unfinished)?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what was compressed reads differently"));
        }
        fs::rename(&unfinished, self.at(&compressed))?;
        sync_directory(&self.path)?;
        fs::remove_file(self.at(name))?;
        sync_directory(&self.path)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        remove_if_there(&self.at(name))?;
        remove_if_there(&self.at(&format!("{name}{COMPRESSED_SUFFIX}")))?;
        sync_directory(&self.path)
    }

    fn create(&self, name: &str, beginning: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        let (path, unfinished) = (self.at(name), self.at(&format!("{name}{UNFINISHED_SUFFIX}")));
        if self.at(&format!("{name}{COMPRESSED_SUFFIX}")).try_exists()? || path.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a segment of that name"));
        }
        remove_if_there(&unfinished)?;
        let mut file = OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(&unfinished)?;
        file.write_all(beginning)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        sync_directory(&self.path)?;
        Ok(Box::new(DiskSegment { file, path }))
    }

    fn append_to(&self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let path = self.at(name);
        let file = open_regular(OpenOptions::new().append(true), &path)?;
        if file.metadata()?.len() > length {
            file.set_len(length)?;
        }
        // Also what a crash left readable and not yet durable must be so before anything is built on it.
        file.sync_all()?;
        sync_directory(&self.path)?;
        Ok(Box::new(DiskSegment { file, path }))
    }
}

/// Opens a file, refusing symbolic links and whatever else is no regular file.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the segment is not a regular file"))
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether both say the same to their ends.
fn is_same(one: impl Read, other: impl Read) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let both = left.len().min(right.len());
        if left.get(..both) != right.get(..both) || (both == 0 && left.len() != right.len()) {
            return Ok(false);
        }
        if both == 0 {
            return Ok(true);
        }
        one.consume(both);
        other.consume(both);
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

struct DiskSegment {
    file: File,
    path: PathBuf,
}

impl SegmentFile for DiskSegment {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_in_place(&self, length: u64) -> io::Result<bool> {
        let open = self.file.metadata()?;
        let same = |named: &fs::Metadata| (open.dev(), open.ino()) == (named.dev(), named.ino());
        match fs::symlink_metadata(&self.path) {
            Ok(named) => Ok(open.nlink() > 0 && same(&named) && open.len() == length),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A directory in memory, for keystores that are thrown away and for tests. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct MemoryDirectory {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl MemoryDirectory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does something with the files. A panic elsewhere leaves them as they were: no half-done change is possible.
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        act(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LogDirectory for MemoryDirectory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.with(|files| files.keys().cloned().collect()))
    }

    fn read(&self, name: &str) -> io::Result<(u64, Box<dyn Read + Send>)> {
        let bytes = self.with(|files| files.get(name).cloned()).ok_or(io::ErrorKind::NotFound)?;
        Ok((bytes.len() as u64, Box::new(Cursor::new(bytes))))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|files| files.remove(name));
        Ok(())
    }

    fn create(&self, name: &str, beginning: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        self.with(|files| {
            if files.contains_key(name) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            files.insert(name.to_owned(), beginning.to_vec());
            Ok(())
        })?;
        Ok(Box::new(MemorySegment { directory: self.clone(), name: name.to_owned() }))
    }

    fn append_to(&self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.with(|files| files.get_mut(name).map(|file| file.truncate(length)))
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemorySegment { directory: self.clone(), name: name.to_owned() }))
    }
}

struct MemorySegment {
    directory: MemoryDirectory,
    name: String,
}

impl SegmentFile for MemorySegment {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.directory
            .with(|files| files.get_mut(&self.name).map(|file| file.extend_from_slice(bytes)))
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_in_place(&self, length: u64) -> io::Result<bool> {
        Ok(self.directory.with(|files| files.get(&self.name).is_some_and(|file| file.len() as u64 == length)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn contents(directory: &dyn LogDirectory, name: &str) -> Vec<u8> {
        let (length, mut reader) = directory.read(name).unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length);
        bytes
    }

    #[test]
    fn both_directories_keep_what_is_appended() {
        let place = tempfile::tempdir().unwrap();
        let disk = DiskDirectory::create(place.path().join("audit")).unwrap();
        for directory in [&disk as &dyn LogDirectory, &MemoryDirectory::new()] {
            let mut file = directory.create("b.log", b"one").unwrap();
            file.append(b"two").unwrap();
            file.sync().unwrap();
            assert!(file.is_in_place(6).unwrap() && !file.is_in_place(5).unwrap());
            drop(directory.create("a.log", b"").unwrap());
            assert_eq!(directory.list().unwrap(), ["a.log", "b.log"]);
            assert_eq!(contents(directory, "b.log"), b"onetwo");
            let twice = directory.create("b.log", b"").map(drop).unwrap_err();
            assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
            directory.append_to("b.log", 4).unwrap().append(b"!").unwrap();
            assert_eq!(contents(directory, "b.log"), b"onet!");
            assert!(directory.read("c.log").is_err() && directory.append_to("c.log", 0).is_err());
        }
    }

    #[test]
    fn a_compressed_segment_is_read_as_before_and_takes_less_room() {
        let place = tempfile::tempdir().unwrap();
        let directory = DiskDirectory::new(place.path());
        let content = b"0123456789".repeat(60_000);
        drop(directory.create("a.log", &content).unwrap());
        // What a crash has left of an earlier try is in nobody's way.
        fs::write(place.path().join("a.log.gz.new"), b"half").unwrap();
        directory.compress("a.log").unwrap();
        assert!(!place.path().join("a.log").exists());
        assert!(fs::metadata(place.path().join("a.log.gz")).unwrap().len() < 60_000);
        let names = |directory: &DiskDirectory| directory.list().unwrap();
        assert_eq!(names(&directory), ["a.log"]);
        assert!(contents(&directory, "a.log") == content);
        let (remaining, mut reader) = directory.read_from("a.log", 599_995).unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((remaining, rest.as_slice()), (5, b"56789".as_slice()));
        assert!(directory.create("a.log", b"").is_err(), "its name is taken");
        // A crash between the last two steps leaves both.
        fs::write(place.path().join("a.log"), &content).unwrap();
        assert_eq!(names(&directory), ["a.log"]);
        directory.compress("a.log").unwrap();
        directory.compress("a.log").unwrap();
        assert!(!place.path().join("a.log").exists() && contents(&directory, "a.log") == content);
        directory.remove("a.log").unwrap();
        assert!(names(&directory).is_empty() && directory.compress("a.log").is_ok());
    }

    #[test]
    fn directory_and_files_are_for_their_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("audit");
        drop(DiskDirectory::create(&path).unwrap().create("a.log", b"").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("a.log")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(DiskDirectory::create(&path).is_err(), "it is not empty");
    }

    #[test]
    fn a_file_that_is_unlinked_or_replaced_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let directory = DiskDirectory::new(place.path());
        let file = directory.create("a.log", b"x").unwrap();
        fs::copy(place.path().join("a.log"), place.path().join("copy")).unwrap();
        fs::rename(place.path().join("copy"), place.path().join("a.log")).unwrap();
        assert!(!file.is_in_place(1).unwrap());
        fs::remove_file(place.path().join("a.log")).unwrap();
        assert!(!file.is_in_place(1).unwrap());
    }

    #[test]
    fn a_symbolic_link_is_no_segment() {
        let place = tempfile::tempdir().unwrap();
        let directory = DiskDirectory::new(place.path());
        fs::write(place.path().join("real"), b"x").unwrap();
        std::os::unix::fs::symlink(place.path().join("real"), place.path().join("a.log")).unwrap();
        assert!(directory.read("a.log").is_err() && directory.append_to("a.log", 0).is_err());
    }
}
