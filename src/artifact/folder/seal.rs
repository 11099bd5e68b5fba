//! Sealing a folder: one message for each file, and the manifest last.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    DirectoryEntry, FileEntry, FileMode, FolderError, FolderPath, MANIFEST_NAME, Manifest, Selection, Watch,
    manifest::check_layout,
    message::{SameAs, Watched, beginning},
    opened::MANIFEST_MARK,
    staging::{Names, Staging},
    tree::{Draft, Found, Kind, Root, State},
    watch::FolderEvent,
    work::{for_each, workers},
};
use crate::{
    artifact::ArtifactError,
    crypto::{digest::sha256, random::Random},
    envelope::{
        self, Content, EncryptedDataKey, Header, Keyring, MessageId, OpenOptions, SealOptions, given_context,
    },
};

/// The beginning of context keys that mark what is no file of a folder.
pub const RESERVED_CONTEXT_PREFIX: &str = "keystead-";
/// The permissions of what is sealed: as the umask lets.
pub(super) const SEALED_FILE_MODE: u32 = 0o666;
pub(super) const SEALED_DIRECTORY_MODE: u32 = 0o777;

/// A folder that was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFolder {
    /// Where it lies.
    pub path: PathBuf,
    /// What lies in it.
    pub manifest: Manifest,
    /// The message id of its manifest: who keeps it notices when the whole folder is put back to an older state.
    pub manifest_id: MessageId,
    /// How many files an earlier process had sealed.
    pub taken_over: usize,
}

/// Seals the files of the directory `source` that `selection` takes as a new folder `target`.
///
/// For each file a data key is asked for, and one for the manifest. Work that was interrupted is gone on with: files that
/// are sealed already, with the same content and for the same keys, are taken over, which needs a keyring that can open.
///
/// # Errors
///
/// When something in the source is neither file nor directory, has a name that cannot be kept, cannot be read or changes
/// meanwhile; when the target exists or cannot be written; when sealing fails.
pub fn seal_folder(
    source: &Path,
    target: &Path,
    selection: &Selection,
    keyring: &dyn Keyring,
    options: &SealOptions,
    random: &mut dyn Random,
    watch: &dyn Watch,
) -> Result<SealedFolder, FolderError> {
    if let Some((key, _)) = options.context.iter().find(|(key, _)| key.starts_with(RESERVED_CONTEXT_PREFIX)) {
        return Err(FolderError::ReservedContextKey { key: key.into() });
    }
    let root = Root::open(source)?;
    expect_outside(source, target)?;
    let plan = Plan::of(&root, selection)?;
    watch.hear(FolderEvent::Planned { files: plan.files.len(), bytes: plan.bytes() });
    let files = plan.files.iter().map(|(path, _)| path.sealed());
    let staging = Staging::begin(target, SEALED_DIRECTORY_MODE, Names::of(files, &plan.directories))?;
    let sealing = Sealing { source: &root, staging: &staging, keyring, options, watch };
    let (manifest, manifest_id, taken_over) =
        sealing.run(&plan, selection, random).map_err(|error| staging.abandon(error))?;
    Ok(SealedFolder { path: staging.finish()?, manifest, manifest_id, taken_over })
}

/// Refuses a target that would be read while it is made.
fn expect_outside(source: &Path, target: &Path) -> Result<(), FolderError> {
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let inside = match (source.canonicalize(), parent.canonicalize()) {
        (Ok(source), Ok(parent)) => parent.starts_with(source),
        // The parent that is not there is complained of when the target is made.
        _ => false,
    };
    match inside {
        true => Err(FolderError::Within { target: target.into(), source_path: source.into() }),
        false => Ok(()),
    }
}

/// What is to be sealed.
#[derive(PartialEq, Eq)]
struct Plan {
    directories: Vec<FolderPath>,
    files: Vec<(FolderPath, State)>,
}

impl Plan {
    fn of(root: &Root, selection: &Selection) -> Result<Self, FolderError> {
        let mut plan = Self { directories: Vec::new(), files: Vec::new() };
        for found in root.walk(&|path| selection.leaves_out(path))? {
            plan.add(root, selection, found)?;
        }
        selection.expect_matches(plan.files.iter().map(|(path, _)| path))?;
        if !selection.takes_empty_directories() {
            let needed: HashSet<FolderPath> =
                plan.files.iter().flat_map(|(path, _)| path.ancestors()).collect();
            plan.directories.retain(|path| needed.contains(path));
        }
        plan.files.sort_by(|(one, _), (other, _)| one.cmp(other));
        plan.directories.sort();
        let files: Vec<FolderPath> = plan.files.iter().map(|(path, _)| path.clone()).collect();
        check_layout(&plan.directories, &files)
            .map_err(|error| FolderError::Name { why: error.to_string() })?;
        Ok(plan)
    }

    fn add(&mut self, root: &Root, selection: &Selection, found: Found) -> Result<(), FolderError> {
        // What is not taken may be called anything; a directory could hold what is.
        if found.kind != Kind::Directory && !selection.takes_path(found.shown()) {
            return Ok(());
        }
        let not_text =
            |path| FolderError::Name { why: format!("`{path}` is not UTF-8, which a folder's names are") };
        let path: FolderPath = match found.path.map_err(not_text) {
            Ok(path) => path
                .parse()
                .map_err(|why: crate::model::ParseError| FolderError::Name { why: why.to_string() })?,
            Err(error) => return Err(error),
        };
        match found.kind {
            Kind::Directory => self.directories.push(path),
            Kind::File => self.files.push((path, found.state)),
            Kind::Other(kind) => {
                return Err(FolderError::Special { path: root.path_of(path.as_str()), kind });
            }
            Kind::Gone => return Err(changed(root, &path, "disappeared")),
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, (_, state)| sum.saturating_add(state.size))
    }

    /// The first file or directory in which `later` differs, and how.
    fn difference(&self, later: &Self) -> Option<(FolderPath, &'static str)> {
        let after: HashMap<&FolderPath, &State> =
            later.files.iter().map(|(path, state)| (path, state)).collect();
        for (path, state) in &self.files {
            match after.get(path) {
                None => return Some((path.clone(), "disappeared")),
                Some(now) if *now != state => return Some((path.clone(), "changed")),
                Some(_) => {}
            }
        }
        let before: HashSet<&FolderPath> =
            self.files.iter().map(|(path, _)| path).chain(&self.directories).collect();
        let mut now = later.files.iter().map(|(path, _)| path).chain(&later.directories);
        if let Some(new) = now.find(|path| !before.contains(path)) {
            return Some((new.clone(), "appeared"));
        }
        let gone = self.directories.iter().find(|path| !later.directories.contains(path));
        gone.map(|path| (path.clone(), "disappeared"))
    }
}

fn changed(root: &Root, path: &FolderPath, what: &'static str) -> FolderError {
    FolderError::Changed { path: root.path_of(path.as_str()), what }
}

struct Sealing<'work> {
    source: &'work Root,
    staging: &'work Staging,
    keyring: &'work dyn Keyring,
    options: &'work SealOptions,
    watch: &'work dyn Watch,
}

impl Sealing<'_> {
    fn run(
        &self,
        plan: &Plan,
        selection: &Selection,
        random: &mut dyn Random,
    ) -> Result<(Manifest, MessageId, usize), FolderError> {
        let usable = self.staging.survey()?;
        // Whom the messages are for is known once the KMS has said which keys those are.
        let recipients = if usable.is_empty() { None } else { Some(self.recipients(random)?) };
        self.make_directories(plan)?;
        let states = (0..workers(plan.files.len())).map(|_| random.fork()).collect();
        let done = for_each(&plan.files, states, |random, number, (path, state)| {
            if let Some(recipients) = &recipients
                && usable.contains(&path.sealed())
            {
                if let Some(entry) = self.taken_over(number, path, state, recipients)? {
                    return Ok((entry, true));
                }
                let sealed = path.sealed();
                let unwritable =
                    |error| FolderError::unwritable(&self.staging.root().path_of(&sealed), error);
                self.staging.root().remove_file(&sealed).map_err(unwritable)?;
            }
            self.sealed(number, path, state, random.as_mut()).map(|entry| (entry, false))
        })?;
        if let Some((path, what)) = plan.difference(&Plan::of(self.source, selection)?) {
            return Err(changed(self.source, &path, what));
        }
        let directories = self.directory_entries(plan)?;
        let taken_over = done.iter().filter(|(_, taken_over)| *taken_over).count();
        let manifest = Manifest::new(directories, done.into_iter().map(|(entry, _)| entry).collect())?;
        let id = seal_manifest(self.staging.root(), &manifest, self.keyring, self.options, random)?;
        Ok((manifest, id, taken_over))
    }

    fn recipients(&self, random: &mut dyn Random) -> Result<Vec<(String, String)>, FolderError> {
        let new = self.keyring.generate(&self.options.context, random);
        let new = new.map_err(|error| FolderError::file(MANIFEST_NAME, envelope::SealError::from(error)))?;
        Ok(names(&new.encrypted))
    }

    fn make_directories(&self, plan: &Plan) -> Result<(), FolderError> {
        for path in &plan.directories {
            let root = self.staging.root();
            let unwritable = |error| FolderError::unwritable(&root.path_of(path.as_str()), error);
            root.make_directory(path, SEALED_DIRECTORY_MODE).map_err(unwritable)?;
        }
        Ok(())
    }

    fn directory_entries(&self, plan: &Plan) -> Result<Vec<DirectoryEntry>, FolderError> {
        let entry = |path: &FolderPath| {
            let unreadable = |error| FolderError::unreadable(&self.source.path_of(path.as_str()), error);
            let directory = File::from(self.source.directory(Some(path)).map_err(unreadable)?);
            let (mode, state) = mode_and_state(&directory).map_err(unreadable)?;
            Ok(DirectoryEntry { path: path.clone(), mode, modified: state.modified() })
        };
        plan.directories.iter().map(entry).collect()
    }

    /// Opens a file of the source, which must be the one that was found there.
    fn open_source(&self, path: &FolderPath, found: &State) -> Result<(File, FileMode), FolderError> {
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => changed(self.source, path, "disappeared"),
            _ => FolderError::unreadable(&self.source.path_of(path.as_str()), error),
        };
        let file = self.source.open_file(path.parent().as_ref(), path.name()).map_err(unreadable)?;
        let (mode, state) = mode_and_state(&file).map_err(unreadable)?;
        if state == *found { Ok((file, mode)) } else { Err(changed(self.source, path, "changed")) }
    }

    fn expect_unchanged(
        &self,
        path: &FolderPath,
        found: &State,
        input: &Watched<'_>,
    ) -> Result<(), FolderError> {
        let now = State::of(input.file)
            .map_err(|error| FolderError::unreadable(&self.source.path_of(path.as_str()), error))?;
        let whole = input.bytes_read == found.size;
        if whole && now == *found { Ok(()) } else { Err(changed(self.source, path, "changed")) }
    }

    fn sealed(
        &self,
        number: usize,
        path: &FolderPath,
        found: &State,
        random: &mut dyn Random,
    ) -> Result<FileEntry, FolderError> {
        let (file, mode) = self.open_source(path, found)?;
        self.watch.hear(FolderEvent::Began { file: number, path, bytes: found.size });
        let root = self.staging.root();
        let sealed_path = path.sealed();
        let unwritable = |error| FolderError::unwritable(&root.path_of(&sealed_path), error);
        let draft =
            Draft::create(root, path.parent().as_ref(), &path.sealed_name(), SEALED_FILE_MODE, random)
                .map_err(unwritable)?;
        let mut input = Watched::new(&file, number, self.watch);
        let sealed = envelope::seal(&mut input, draft.file(), self.keyring, self.options, random);
        let sealed = sealed.map_err(|error| match self.watch.stops() {
            true => FolderError::StoppedEarly,
            false => FolderError::file(path.as_str(), error),
        })?;
        self.expect_unchanged(path, found, &input)?;
        let about = About { path, size: found.size, mode, state: found };
        let entry = about.entry(draft.file(), &sealed.header, sealed.header_bytes).map_err(unwritable)?;
        draft.keep().map_err(unwritable)?;
        self.watch.hear(FolderEvent::Ended { file: number });
        Ok(entry)
    }

    /// The entry of a message that an earlier process made, if it holds what the file holds now, for the same keys, in
    /// the same way. Whatever is wrong with it, it is made anew.
    fn taken_over(
        &self,
        number: usize,
        path: &FolderPath,
        found: &State,
        recipients: &[(String, String)],
    ) -> Result<Option<FileEntry>, FolderError> {
        let (file, mode) = self.open_source(path, found)?;
        let root = self.staging.root();
        let Ok(message) = root.open_file(path.parent().as_ref(), &path.sealed_name()) else {
            return Ok(None);
        };
        self.watch.hear(FolderEvent::Began { file: number, path, bytes: found.size });
        let mut input = Watched::new(&file, number, self.watch);
        let mut same = SameAs::new(&mut input);
        let opened = envelope::open(&message, &mut same, self.keyring, &OpenOptions::default());
        let at_end = same.is_at_end().unwrap_or(false);
        if self.watch.stops() {
            return Err(FolderError::StoppedEarly);
        }
        let Ok(opened) = opened else { return Ok(None) };
        let header = &opened.header;
        let as_asked = given_context(&header.context) == self.options.context
            && header.suite == self.options.suite
            && header.content == Content::Framed { frame_length: self.options.frame_length.get() }
            && names(&header.encrypted_data_keys) == recipients;
        if !at_end || !as_asked {
            return Ok(None);
        }
        self.expect_unchanged(path, found, &input)?;
        self.watch.hear(FolderEvent::Ended { file: number });
        Ok(About { path, size: found.size, mode, state: found }
            .entry(&message, header, opened.header_bytes)
            .ok())
    }
}

/// What the manifest says of a file beside its message.
pub(super) struct About<'file> {
    pub(super) path: &'file FolderPath,
    pub(super) size: u64,
    pub(super) mode: FileMode,
    pub(super) state: &'file State,
}

impl About<'_> {
    fn entry(&self, message: &File, header: &Header, header_bytes: u64) -> std::io::Result<FileEntry> {
        entry_of(message, header, header_bytes, |message_id, frame_length, header_bytes, header_sha256| {
            FileEntry {
                path: self.path.clone(),
                size: self.size,
                mode: self.mode,
                modified: self.state.modified(),
                message_id,
                frame_length,
                header_bytes,
                header_sha256,
            }
        })
    }
}

/// What makes a message known, handed to `make`: id, frame length, length and digest of the header.
pub(super) fn entry_of(
    message: &File,
    header: &Header,
    header_bytes: u64,
    make: impl FnOnce(MessageId, u32, u32, [u8; 32]) -> FileEntry,
) -> std::io::Result<FileEntry> {
    let digest = sha256(&[&beginning(message, header_bytes)?]);
    let frame_length = match header.content {
        Content::Framed { frame_length } => frame_length.get(),
        Content::Unframed => 0,
    };
    let header_bytes = u32::try_from(header_bytes).map_err(std::io::Error::other)?;
    Ok(make(header.message_id, frame_length, header_bytes, digest))
}

/// Seals the manifest into its place, and answers its message id.
pub(super) fn seal_manifest(
    root: &Root,
    manifest: &Manifest,
    keyring: &dyn Keyring,
    options: &SealOptions,
    random: &mut dyn Random,
) -> Result<MessageId, FolderError> {
    let (key, value) = MANIFEST_MARK;
    let mut options = options.clone();
    let taken = |_| FolderError::ReservedContextKey { key: key.into() };
    options.context.insert(key, value).map_err(taken)?;
    let unwritable = |error| FolderError::unwritable(&root.path_of(MANIFEST_NAME), error);
    let draft = Draft::create(root, None, MANIFEST_NAME, SEALED_FILE_MODE, random).map_err(unwritable)?;
    let text = manifest.to_bytes()?;
    let sealed = envelope::seal(text.as_slice(), draft.file(), keyring, &options, random)
        .map_err(|error| FolderError::file(MANIFEST_NAME, ArtifactError::from(error)))?;
    draft.keep().map_err(unwritable)?;
    Ok(sealed.header.message_id)
}

/// The recipients' names.
pub(super) fn names(encrypted: &[EncryptedDataKey]) -> Vec<(String, String)> {
    encrypted.iter().map(|key| (key.provider.clone(), key.key_name())).collect()
}

fn mode_and_state(file: &File) -> std::io::Result<(FileMode, State)> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
    Ok((FileMode::of(mode), State::of(file)?))
}
