//! The manifest of a sealed folder: what lies in it, and by which header each file is known.
//!
//! Its plaintext is lines of JSON: a head, then the directories, then the files, each sorted by path. The whole is the
//! plaintext of one message ([`MANIFEST_NAME`]) whose encryption context says that it is a manifest, so that no sealed
//! file can be put in its place, whatever is in that file.
//!
//! A file is known by the digest of its message's header. The header names the message id and commits to the data key;
//! under both together one message is sealed and never another, so an older message of the same file, that of another
//! file or that of another folder has another header.
//!
//! INVARIANT: a [`Manifest`] is consistent: paths are sorted and distinct, each lies in directories that are listed, no
//! sealed file's name is a directory's, and no message id occurs twice. There is no other way to one than [`Manifest::new`].

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FolderPath;
use crate::envelope::{HEADER_BYTES_MAX, MessageId};

/// What the manifest of a sealed folder is called. No sealed file's name is: those end in `.sealed`.
pub const MANIFEST_NAME: &str = "keystead.manifest";
/// The most entries of a folder.
pub const ENTRIES_MAX: usize = 1 << 20;
/// The longest plaintext of a manifest; some 300 bytes an entry, with room for long names.
pub(super) const MANIFEST_BYTES_MAX: usize = 512 * 1024 * 1024;

const FORMAT: &str = "keystead-folder";
const VERSION: u32 = 1;
const NANOSECONDS: u32 = 1_000_000_000;

/// Permission bits of a file: read, write and execute for owner, group and others. Never set-user-id and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileMode(u16);

impl FileMode {
    /// The permission bits of `mode`; everything else in it is left out.
    #[must_use]
    pub fn of(mode: u32) -> Self {
        // INVARIANT: nine bits fit.
        Self((mode & 0o777) as u16)
    }

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0.into()
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> Self {
        format!("{:04o}", mode.0)
    }
}

impl TryFrom<String> for FileMode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "a mode is four octal digits from 0000 to 0777";
        let octal = text.len() == 4 && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        match u16::from_str_radix(&text, 8) {
            Ok(mode) if octal && mode <= 0o777 => Ok(Self(mode)),
            _ => Err(wrong),
        }
    }
}

/// When a file was last modified: seconds since 1970 (before it: negative), and nanoseconds after that.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(i64, u32)", into = "(i64, u32)")]
pub struct Modified {
    seconds: i64,
    nanoseconds: u32,
}

impl Modified {
    /// The time; none when there are a thousand million nanoseconds or more.
    #[must_use]
    pub fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        (nanoseconds < NANOSECONDS).then_some(Self { seconds, nanoseconds })
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after that.
    #[must_use]
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

impl From<Modified> for (i64, u32) {
    fn from(time: Modified) -> Self {
        (time.seconds, time.nanoseconds)
    }
}

impl TryFrom<(i64, u32)> for Modified {
    type Error = &'static str;

    fn try_from((seconds, nanoseconds): (i64, u32)) -> Result<Self, Self::Error> {
        Self::new(seconds, nanoseconds).ok_or("a time has fewer than a thousand million nanoseconds")
    }
}

/// A directory of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryEntry {
    /// Where it lies.
    pub path: FolderPath,
    /// Its permissions.
    pub mode: FileMode,
    /// When it was modified.
    pub modified: Modified,
}

/// A file of a folder, and the message that it was sealed as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Where it lies; its message has `.sealed` behind that.
    pub path: FolderPath,
    /// Plaintext bytes.
    pub size: u64,
    /// Its permissions.
    pub mode: FileMode,
    /// When it was modified.
    pub modified: Modified,
    /// The message's id.
    #[serde(serialize_with = "as_hex", deserialize_with = "id_of_hex")]
    pub message_id: MessageId,
    /// Plaintext bytes of each frame but the last.
    pub frame_length: u32,
    /// The length of the message's header.
    pub header_bytes: u32,
    /// The SHA-256 of the message's header, its tag included.
    #[serde(with = "hex::serde")]
    pub header_sha256: [u8; 32],
}

/// What lies in a sealed folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    directories: Vec<DirectoryEntry>,
    files: Vec<FileEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    directories: usize,
    files: usize,
}

/// What is wrong with a manifest, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

impl ManifestError {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl Manifest {
    /// The manifest of these directories and files, in any order.
    ///
    /// # Errors
    ///
    /// When they cannot lie in one folder.
    pub fn new(
        mut directories: Vec<DirectoryEntry>,
        mut files: Vec<FileEntry>,
    ) -> Result<Self, ManifestError> {
        directories.sort_by(|one, other| one.path.cmp(&other.path));
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self::of_sorted(directories, files)
    }

    fn of_sorted(directories: Vec<DirectoryEntry>, files: Vec<FileEntry>) -> Result<Self, ManifestError> {
        let paths = |entries: &[FileEntry]| entries.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        let above: Vec<FolderPath> = directories.iter().map(|directory| directory.path.clone()).collect();
        check_layout(&above, &paths(&files))?;
        let mut ids = HashSet::with_capacity(files.len());
        for file in &files {
            if !ids.insert(file.message_id) {
                return Err(ManifestError::new(format!(
                    "`{}` has the message id of another file",
                    file.path
                )));
            }
            if file.frame_length == 0 || file.header_bytes as usize > HEADER_BYTES_MAX {
                return Err(ManifestError::new(format!("`{}` has lengths that no message has", file.path)));
            }
        }
        Ok(Self { directories, files })
    }

    /// The directories, by path.
    #[must_use]
    pub fn directories(&self) -> &[DirectoryEntry] {
        &self.directories
    }

    /// The files, by path.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The plaintext bytes of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size))
    }

    /// The plaintext of the manifest's message.
    ///
    /// # Errors
    ///
    /// Never for a consistent manifest; what serialisation says.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let head = Head {
            format: FORMAT.into(),
            version: VERSION,
            directories: self.directories.len(),
            files: self.files.len(),
        };
        let mut bytes = Vec::new();
        put_line(&mut bytes, &head)?;
        self.directories.iter().try_for_each(|directory| put_line(&mut bytes, directory))?;
        self.files.iter().try_for_each(|file| put_line(&mut bytes, file))?;
        Ok(bytes)
    }

    /// Reads the plaintext of a manifest's message.
    ///
    /// # Errors
    ///
    /// When it is not exactly what [`to_bytes`](Self::to_bytes) makes of a consistent manifest.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = bytes.strip_suffix(b"\n").ok_or_else(|| ManifestError::new("its last line has no end"))?;
        let mut lines = text.split(|byte| *byte == b'\n').enumerate();
        let head: Head = line(lines.next())?;
        if head.format != FORMAT || head.version != VERSION {
            return Err(ManifestError::new(format!(
                "its format is `{}`, version {}, and not `{FORMAT}`, version {VERSION}",
                head.format.escape_debug(),
                head.version
            )));
        }
        if head.directories.saturating_add(head.files) > ENTRIES_MAX {
            return Err(too_many(head.directories.saturating_add(head.files)));
        }
        // Room is made as the lines come: the numbers are only claims.
        let directories = (0..head.directories).map(|_| line(lines.next())).collect::<Result<_, _>>()?;
        let files = (0..head.files).map(|_| line(lines.next())).collect::<Result<_, _>>()?;
        if lines.next().is_some() {
            return Err(ManifestError::new("lines follow its last entry"));
        }
        Self::of_sorted(directories, files)
    }
}

/// Whether these directories and files, each sorted by path, can lie in one folder and, sealed, in another.
pub(super) fn check_layout(directories: &[FolderPath], files: &[FolderPath]) -> Result<(), ManifestError> {
    if directories.len().saturating_add(files.len()) > ENTRIES_MAX {
        return Err(too_many(directories.len().saturating_add(files.len())));
    }
    for paths in [directories, files] {
        let mut pairs = paths.iter().zip(paths.iter().skip(1));
        if let Some((_, late)) = pairs.find(|(one, other)| one >= other) {
            return Err(ManifestError::new(format!("`{late}` is listed twice or out of order")));
        }
    }
    let known: HashSet<&str> = directories.iter().map(FolderPath::as_str).collect();
    if known.contains(MANIFEST_NAME) {
        let what = format!("the directory `{MANIFEST_NAME}` has the name of the folder's manifest");
        return Err(ManifestError::new(what));
    }
    for path in directories.iter().chain(files) {
        if let Some(parent) = path.parent().filter(|parent| !known.contains(parent.as_str())) {
            return Err(ManifestError::new(format!("`{path}` lies in `{parent}`, which is not listed")));
        }
    }
    for file in files {
        if known.contains(file.as_str()) {
            return Err(ManifestError::new(format!("`{file}` is both a file and a directory")));
        }
        let sealed = file.sealed();
        if known.contains(sealed.as_str()) {
            let what = format!("`{file}` is sealed as `{sealed}`, and a directory has that name");
            return Err(ManifestError::new(what));
        }
    }
    Ok(())
}

fn too_many(entries: usize) -> ManifestError {
    ManifestError::new(format!(
        "there are {entries} files and directories, and a folder has at most {ENTRIES_MAX}"
    ))
}

fn put_line(bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<(), ManifestError> {
    serde_json::to_writer(&mut *bytes, value).map_err(|error| ManifestError::new(error.to_string()))?;
    bytes.push(b'\n');
    Ok(())
}

fn line<'line, T: Deserialize<'line>>(line: Option<(usize, &'line [u8])>) -> Result<T, ManifestError> {
    let (number, bytes) = line.ok_or_else(|| ManifestError::new("it ends early"))?;
    serde_json::from_slice(bytes).map_err(|error| ManifestError::new(format!("line {}: {error}", number + 1)))
}

fn as_hex<S: Serializer>(id: &MessageId, serializer: S) -> Result<S::Ok, S::Error> {
    hex::serde::serialize(id.as_bytes(), serializer)
}

fn id_of_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageId, D::Error> {
    hex::serde::deserialize(deserializer).map(MessageId::from_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn directory(path: &str) -> DirectoryEntry {
        let modified = Modified::new(-1, 999_999_999).unwrap();
        DirectoryEntry { path: path.parse().unwrap(), mode: FileMode::of(0o755), modified }
    }

    fn file(path: &str, id: u8) -> FileEntry {
        FileEntry {
            path: path.parse().unwrap(),
            size: 7,
            mode: FileMode::of(0o100_640),
            modified: Modified::new(5, 0).unwrap(),
            message_id: MessageId::from_bytes([id; 32]),
            frame_length: 1024,
            header_bytes: 300,
            header_sha256: [id; 32],
        }
    }

    fn manifest() -> Manifest {
        let files = vec![file("a/b/x", 1), file("y", 2), file("a.txt", 3)];
        Manifest::new(vec![directory("a/b"), directory("a")], files).unwrap()
    }

    fn lines(manifest: &Manifest) -> Vec<String> {
        String::from_utf8(manifest.to_bytes().unwrap()).unwrap().lines().map(str::to_owned).collect()
    }

    fn read(lines: &[String]) -> Result<Manifest, ManifestError> {
        Manifest::from_bytes(format!("{}\n", lines.join("\n")).as_bytes())
    }

    #[test]
    fn a_manifest_is_lines_of_json_and_comes_back_the_same() {
        let manifest = manifest();
        let lines = lines(&manifest);
        assert_eq!(lines[0], r#"{"format":"keystead-folder","version":1,"directories":2,"files":3}"#);
        assert_eq!(lines[1], r#"{"path":"a","mode":"0755","modified":[-1,999999999]}"#);
        assert!(
            lines[3]
                .starts_with(r#"{"path":"a.txt","size":7,"mode":"0640","modified":[5,0],"message_id":"0303"#)
        );
        assert_eq!(read(&lines).unwrap(), manifest);
    }

    #[test]
    fn what_cannot_lie_in_one_folder_is_refused() {
        let said = |directories: Vec<DirectoryEntry>, files: Vec<FileEntry>| {
            Manifest::new(directories, files).unwrap_err().to_string()
        };
        assert_eq!(said(vec![], vec![file("a/x", 1)]), "`a/x` lies in `a`, which is not listed");
        assert_eq!(said(vec![directory("a")], vec![file("a", 1)]), "`a` is both a file and a directory");
        assert_eq!(said(vec![], vec![file("a", 1), file("a", 2)]), "`a` is listed twice or out of order");
        assert_eq!(said(vec![], vec![file("a", 1), file("b", 1)]), "`b` has the message id of another file");
        assert_eq!(
            said(vec![directory("a.sealed")], vec![file("a", 1)]),
            "`a` is sealed as `a.sealed`, and a directory has that name"
        );
        let long = FileEntry { header_bytes: u32::MAX, ..file("a", 1) };
        assert_eq!(said(vec![], vec![long]), "`a` has lengths that no message has");
    }

    #[test]
    fn every_line_that_is_missing_added_repeated_or_out_of_place_is_noticed() {
        let whole = lines(&manifest());
        for at in 0..whole.len() {
            let mut missing = whole.clone();
            missing.remove(at);
            assert!(read(&missing).is_err(), "without line {at}");
            let mut repeated = whole.clone();
            repeated.insert(at, whole[at].clone());
            assert!(read(&repeated).is_err(), "line {at} twice");
            if at + 1 < whole.len() {
                let mut swapped = whole.clone();
                swapped.swap(at, at + 1);
                assert!(read(&swapped).is_err(), "line {at} later");
            }
        }
        for (from, to) in [
            ("a/b/x", "../x"),
            ("\"0640\"", "\"4640\""),
            ("\"0640\"", "\"640\""),
            ("[5,0]", "[5,1000000000]"),
            ("\"size\":7", "\"size\":-7"),
            ("\"size\":7", "\"size\":7,\"size\":8"),
            ("\"size\":7", "\"size\":7,\"owner\":0"),
            ("\"version\":1", "\"version\":2"),
            ("\"files\":3", "\"files\":99999999999"),
            ("\"files\":3", "\"files\":3,\"more\":0"),
        ] {
            let text = whole.join("\n").replacen(from, to, 1);
            assert!(Manifest::from_bytes(format!("{text}\n").as_bytes()).is_err(), "{to}");
        }
        assert!(Manifest::from_bytes(whole.join("\n").as_bytes()).is_err(), "no last end of line");
        assert!(Manifest::from_bytes(b"").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::from_bytes(&bytes);
        }

        #[test]
        fn what_a_damaged_manifest_still_reads_as_is_consistent(
            at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let mut bytes = manifest().to_bytes().unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(read) = Manifest::from_bytes(&bytes) {
                prop_assert!(!cut);
                prop_assert_eq!(&Manifest::new(read.directories.clone(), read.files.clone()).unwrap(), &read);
            }
        }

        #[test]
        fn every_manifest_comes_back_the_same(names in proptest::collection::btree_set("[a-zA-Z0-9 .ä]{1,8}x", 0..20)) {
            let files = names.iter().zip(0..).map(|(name, id)| file(name, id)).collect();
            let manifest = Manifest::new(vec![], files).unwrap();
            prop_assert_eq!(Manifest::from_bytes(&manifest.to_bytes().unwrap()).unwrap(), manifest);
        }
    }
}
