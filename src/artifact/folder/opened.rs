//! Opening, checking and listing a sealed folder.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};

use super::{
    Difference, DifferenceKind, DirectoryEntry, FileEntry, FileMode, FolderError, FolderPath, MANIFEST_NAME,
    Manifest, Modified, Selection, Watch,
    manifest::MANIFEST_BYTES_MAX,
    message::{Reading, SameAs},
    staging::{Names, Staging},
    tree::{Draft, Kind, Root},
    watch::FolderEvent,
    work::{for_each, workers},
};
use crate::{
    crypto::random::Random,
    envelope::{self, Header, Keyring, MessageId, OpenMessageError, OpenOptions, SuiteId, given_context},
    model::EncryptionContext,
};

/// The pair of a manifest's encryption context that marks it as one.
pub(super) const MANIFEST_MARK: (&str, &str) = ("keystead-folder", "manifest-1");
/// Nobody but the owner gets into a folder of plaintext, whatever the modes of what lies in it.
const OPENED_ROOT_MODE: u32 = 0o700;
const DRAFT_MODE: u32 = 0o600;
pub(super) const WORKING_DIRECTORY_MODE: u32 = 0o700;

/// A sealed folder whose manifest was opened.
pub struct FolderReader {
    root: Root,
    manifest: Manifest,
    /// The header of the manifest's message.
    header: Header,
}

/// A folder that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedFolder {
    /// Where it lies.
    pub path: PathBuf,
    /// How many files were opened.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them an earlier process had opened.
    pub taken_over: usize,
}

impl FolderReader {
    /// Opens the manifest of a sealed folder. With `expected_id`, it must have this message id: so the whole folder cannot
    /// be put back to an older state.
    ///
    /// # Errors
    ///
    /// When there is no manifest, it does not open or says what cannot be, or it is another one.
    pub fn open(
        path: &Path,
        keyring: &dyn Keyring,
        options: &OpenOptions,
        expected_id: Option<MessageId>,
    ) -> Result<Self, FolderError> {
        let root = Root::open(path)?;
        let place = root.path_of(MANIFEST_NAME);
        let file = root.open_file(None, MANIFEST_NAME).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FolderError::NoManifest { path: path.into() },
            _ => FolderError::unreadable(&place, error),
        })?;
        let mut options = options.clone();
        let (key, value) = MANIFEST_MARK;
        options
            .required_context
            .insert(key, value)
            .map_err(|_| FolderError::ReservedContextKey { key: key.into() })?;
        let mut text = Limited { bytes: Vec::new(), max: MANIFEST_BYTES_MAX };
        let opened = envelope::open(file, &mut text, keyring, &options).map_err(|error| match error {
            OpenMessageError::ContextDiffers { key: differs, .. } if differs == key => {
                FolderError::NotAManifest { path: place.clone() }
            }
            error => FolderError::file(MANIFEST_NAME, error),
        })?;
        let (manifest, manifest_id) = (Manifest::from_bytes(&text.bytes)?, opened.header.message_id);
        match expected_id.filter(|expected| *expected != manifest_id) {
            Some(expected) => Err(FolderError::ManifestId { expected, found: manifest_id }),
            None => Ok(Self { root, manifest, header: opened.header }),
        }
    }

    /// What lies in the folder.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The message id of the manifest.
    #[must_use]
    pub fn manifest_id(&self) -> MessageId {
        self.header.message_id
    }

    /// The encryption context that the folder was sealed with.
    #[must_use]
    pub fn context(&self) -> EncryptionContext {
        let given = given_context(&self.header.context);
        let pairs = given.iter().filter(|(key, _)| *key != MANIFEST_MARK.0);
        EncryptionContext::from_pairs(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
            .unwrap_or_default()
    }

    /// The algorithm suite that the folder was sealed with.
    #[must_use]
    pub fn suite(&self) -> SuiteId {
        self.header.suite
    }

    /// What opens the folder's messages.
    pub(super) fn reading<'work>(
        &'work self,
        keyring: &'work dyn Keyring,
        options: &'work OpenOptions,
        watch: &'work dyn Watch,
    ) -> Reading<'work> {
        Reading { sealed: &self.root, manifest: &self.manifest, keyring, options, watch }
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// What is in the folder and not in its manifest, or the other way round, by names alone. Files that `selection` does
    /// not take may be missing.
    pub(super) fn differences_in_names(&self, selection: &Selection) -> Result<Vec<Difference>, FolderError> {
        let files: HashSet<String> = self.manifest.files().iter().map(|file| file.path.sealed()).collect();
        let directories: HashSet<&str> =
            self.manifest.directories().iter().map(|directory| directory.path.as_str()).collect();
        let (mut differences, mut there) = (Vec::new(), HashSet::new());
        for found in self.root.walk(&|_| false)? {
            let known = match (&found.path, found.kind) {
                (Ok(path), Kind::File) => path == MANIFEST_NAME || files.contains(path),
                (Ok(path), Kind::Directory) => directories.contains(path.as_str()),
                _ => false,
            };
            let kind = match found.kind {
                Kind::Other(kind) => DifferenceKind::Special { kind },
                Kind::Gone => continue,
                _ => DifferenceKind::Added,
            };
            let path = found.shown().to_owned();
            if !known {
                differences.push(Difference { path: path.clone(), kind });
            }
            there.insert(path);
        }
        let missing = self.manifest.files().iter().filter(|file| selection.takes(&file.path));
        let missing = missing.map(|file| file.path.sealed()).filter(|path| !there.contains(path));
        differences.extend(missing.map(|path| Difference { path, kind: DifferenceKind::Missing }));
        Ok(differences)
    }

    /// The directories of the manifest that are not there. They hold no message: who opens the folder makes them anew, so
    /// only who asks what is missing need know.
    fn missing_directories(&self) -> Result<Vec<Difference>, FolderError> {
        let there: HashSet<String> = self
            .root
            .walk(&|_| false)?
            .into_iter()
            .filter(|found| found.kind == Kind::Directory)
            .filter_map(|found| found.path.ok())
            .collect();
        let missing = self.manifest.directories().iter().map(|directory| directory.path.as_str());
        let missing = missing.filter(|path| !there.contains(*path));
        let kind = DifferenceKind::Missing;
        Ok(missing.map(|path| Difference { path: path.to_owned(), kind: kind.clone() }).collect())
    }

    /// Opens every message of the folder, and writes nothing. Answers all that is not as the manifest says.
    ///
    /// # Errors
    ///
    /// When a key cannot be used or a file cannot be read.
    pub fn verify(
        &self,
        keyring: &dyn Keyring,
        options: &OpenOptions,
        watch: &dyn Watch,
    ) -> Result<Vec<Difference>, FolderError> {
        let files = self.manifest.files();
        watch.hear(FolderEvent::Planned { files: files.len(), bytes: self.manifest.bytes() });
        let mut differences = self.differences_in_names(&Selection::default())?;
        differences.extend(self.missing_directories()?);
        let known: HashSet<String> = differences.iter().map(|difference| difference.path.clone()).collect();
        let checked = for_each(files, vec![(); workers(files.len())], |(), number, entry| {
            if known.contains(&entry.path.sealed()) {
                return Ok(None);
            }
            self.open_entry(number, entry, keyring, options, watch, &mut io::sink())
        })?;
        let checked = files.iter().zip(checked);
        let damaged =
            checked.filter_map(|(entry, kind)| Some(Difference { path: entry.path.sealed(), kind: kind? }));
        differences.extend(damaged);
        differences.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(differences)
    }

    pub(super) fn open_entry(
        &self,
        number: usize,
        entry: &FileEntry,
        keyring: &dyn Keyring,
        options: &OpenOptions,
        watch: &dyn Watch,
        writer: &mut dyn Write,
    ) -> Result<Option<DifferenceKind>, FolderError> {
        self.reading(keyring, options, watch).open(number, entry, writer)
    }

    /// Opens the files that `selection` takes into a new folder `target`, with their modes and times. Work that was
    /// interrupted is gone on with.
    ///
    /// # Errors
    ///
    /// When the folder is not what its manifest says, a key cannot be used, or the target exists or cannot be written.
    pub fn open_into(
        &self,
        target: &Path,
        selection: &Selection,
        keyring: &dyn Keyring,
        options: &OpenOptions,
        random: &mut dyn Random,
        watch: &dyn Watch,
    ) -> Result<OpenedFolder, FolderError> {
        let differences = self.differences_in_names(selection)?;
        if !differences.is_empty() {
            return Err(FolderError::Differs(differences));
        }
        let taken = self.manifest.files().iter().filter(|file| selection.takes(&file.path));
        let files: Vec<&FileEntry> = taken.collect();
        selection.expect_matches(files.iter().map(|file| &file.path))?;
        let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size));
        watch.hear(FolderEvent::Planned { files: files.len(), bytes });
        let directories = self.directories(&files, selection);
        let names = files.iter().map(|file| file.path.as_str().to_owned());
        let names = Names::of(names, directories.iter().map(|directory| &directory.path));
        let staging = Staging::begin(target, OPENED_ROOT_MODE, names)?;
        let opening = Opening { folder: self, staging: &staging, keyring, options, watch };
        let taken_over = opening.run(&files, &directories, random).map_err(|error| staging.abandon(error))?;
        Ok(OpenedFolder { path: staging.finish()?, files: files.len(), bytes, taken_over })
    }

    /// The directories that are wanted with these files.
    fn directories(&self, files: &[&FileEntry], selection: &Selection) -> Vec<&DirectoryEntry> {
        let needed: HashSet<FolderPath> = files.iter().flat_map(|file| file.path.ancestors()).collect();
        let wanted = |path: &FolderPath| {
            needed.contains(path)
                || selection.takes_empty_directories() && !selection.leaves_out(path.as_str())
        };
        self.manifest.directories().iter().filter(|directory| wanted(&directory.path)).collect()
    }
}

struct Opening<'work> {
    folder: &'work FolderReader,
    staging: &'work Staging,
    keyring: &'work dyn Keyring,
    options: &'work OpenOptions,
    watch: &'work dyn Watch,
}

impl Opening<'_> {
    fn run(
        &self,
        files: &[&FileEntry],
        directories: &[&DirectoryEntry],
        random: &mut dyn Random,
    ) -> Result<usize, FolderError> {
        let root = self.staging.root();
        let unwritable =
            |path: &FolderPath, error| FolderError::unwritable(&root.path_of(path.as_str()), error);
        for directory in directories {
            // An earlier process may have taken the permission away that this one needs.
            root.make_directory(&directory.path, WORKING_DIRECTORY_MODE)
                .and_then(|()| {
                    set_mode(&root.directory(Some(&directory.path))?.into(), WORKING_DIRECTORY_MODE)
                })
                .map_err(|error| unwritable(&directory.path, error))?;
        }
        let usable = self.staging.survey()?;
        let states = (0..workers(files.len())).map(|_| random.fork()).collect();
        let done = for_each(files, states, |random, number, entry| {
            self.open(number, entry, usable.contains(entry.path.as_str()), random.as_mut())
        })?;
        // The deepest first: writing into a directory changes its time.
        for directory in directories.iter().rev() {
            let opened = root.directory(Some(&directory.path)).map(File::from);
            opened
                .and_then(|opened| set_mode_and_time(&opened, directory.mode, directory.modified))
                .map_err(|error| unwritable(&directory.path, error))?;
        }
        Ok(done.into_iter().filter(|taken_over| *taken_over).count())
    }

    /// Answers whether an earlier process had opened the file.
    fn open(
        &self,
        number: usize,
        entry: &FileEntry,
        usable: bool,
        random: &mut dyn Random,
    ) -> Result<bool, FolderError> {
        let root = self.staging.root();
        let unwritable = |error| FolderError::unwritable(&root.path_of(entry.path.as_str()), error);
        if usable {
            if self.is_open_already(number, entry)? {
                return Ok(true);
            }
            root.remove_file(entry.path.as_str()).map_err(unwritable)?;
        }
        let draft = Draft::create(root, entry.path.parent().as_ref(), entry.path.name(), DRAFT_MODE, random)
            .map_err(unwritable)?;
        self.expect_same(entry, self.entry_into(number, entry, &mut draft.file())?)?;
        set_mode_and_time(draft.file(), entry.mode, entry.modified).map_err(unwritable)?;
        draft.keep().map_err(unwritable)?;
        Ok(false)
    }

    fn entry_into(
        &self,
        number: usize,
        entry: &FileEntry,
        writer: &mut dyn Write,
    ) -> Result<Option<DifferenceKind>, FolderError> {
        self.folder.open_entry(number, entry, self.keyring, self.options, self.watch, writer)
    }

    fn expect_same(&self, entry: &FileEntry, difference: Option<DifferenceKind>) -> Result<(), FolderError> {
        match difference {
            Some(kind) => Err(FolderError::Differs(vec![Difference { path: entry.path.sealed(), kind }])),
            None => Ok(()),
        }
    }

    /// Whether the file is there with all its content; then it gets its mode and time. That it was left by an earlier
    /// process is no reason to believe it: its bytes are compared.
    fn is_open_already(&self, number: usize, entry: &FileEntry) -> Result<bool, FolderError> {
        let root = self.staging.root();
        let Ok(mut file) = root.open_file(entry.path.parent().as_ref(), entry.path.name()) else {
            return Ok(false);
        };
        if file.metadata().map_or(true, |metadata| metadata.len() != entry.size) {
            return Ok(false);
        }
        let mut same = SameAs::new(&mut file);
        let opened = self.entry_into(number, entry, &mut same);
        let at_end = same.is_at_end().unwrap_or(false);
        match opened {
            // What fails here may do so because the bytes differ; opened anew it tells.
            Err(FolderError::File { source, .. }) if source.write_error().is_some() => return Ok(false),
            Err(error) => return Err(error),
            Ok(difference) => self.expect_same(entry, difference)?,
        }
        let kept = set_mode_and_time(&file, entry.mode, entry.modified);
        Ok(at_end && kept.is_ok())
    }
}

/// Takes bytes up to a limit.
struct Limited {
    bytes: Vec<u8>,
    max: usize,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.max {
            return Err(io::Error::other(format!("a manifest has at most {} bytes", self.max)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn set_mode_and_time(file: &File, mode: FileMode, modified: Modified) -> io::Result<()> {
    set_mode(file, mode.bits())?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified.seconds(), tv_nsec: modified.nanoseconds().into() },
    };
    Ok(rustix::fs::futimens(file, &times)?)
}
