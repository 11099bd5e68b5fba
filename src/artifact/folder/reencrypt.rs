//! Moving a sealed folder to other keys.
//!
//! The new folder is made beside the old one, each message anew, its manifest last; then the two trade their names in one
//! step and the old one is removed. At every moment one whole folder has the name, whose manifest fits its messages. It
//! takes the folder's room twice for a while; renewing file by file in place would leave, after a crash, a folder whose
//! manifest names messages that are gone.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    Difference, FileEntry, FolderError, FolderReader, MANIFEST_NAME, Manifest, SealedFolder, Selection,
    Watch,
    message::Reading,
    opened::WORKING_DIRECTORY_MODE,
    seal::{SEALED_FILE_MODE, entry_of, seal_manifest},
    staging::{Names, Staging},
    tree::Draft,
    watch::FolderEvent,
    work::{for_each, workers},
};
use crate::{
    artifact::{output::keep_owner_and_mode, pipe::through},
    crypto::random::Random,
    envelope::{self, FrameLength, HeaderError, Keyring, MessageId, OpenOptions, SealOptions},
};

/// Moves the sealed folder at `path` to the keys of `new_keyring`. Encryption context and, unless another is given, the
/// files' frame lengths stay. What an earlier process left unfinished is removed, and all is done anew.
///
/// # Errors
///
/// When the folder is not what its manifest says, something in it changes meanwhile, a key cannot be used, or the new
/// folder cannot be written. The folder stays as it was then.
pub fn reencrypt_folder(
    path: &Path,
    (keyring, opening): (&dyn Keyring, &OpenOptions),
    expected_id: Option<MessageId>,
    (new_keyring, frame_length): (&dyn Keyring, Option<FrameLength>),
    random: &mut dyn Random,
    watch: &dyn Watch,
) -> Result<SealedFolder, FolderError> {
    // Without a slash at its end, which would lead through a link.
    let path = &path.components().collect::<PathBuf>();
    if path.is_symlink() {
        return Err(FolderError::NotADirectory { path: path.into() });
    }
    let folder = FolderReader::open(path, keyring, opening, expected_id)?;
    // Another one of our kind is at work on it, or was until now: then it is no longer what has the name.
    let locked = folder.root().lock().map_err(|error| FolderError::unreadable(path, error))?;
    if !locked || !folder.root().is_at(path) {
        return Err(FolderError::Busy { path: path.into() });
    }
    let before = folder.root().walk(&|_| false)?;
    let differences = folder.differences_in_names(&Selection::default())?;
    if !differences.is_empty() {
        return Err(FolderError::Differs(differences));
    }
    let files = folder.manifest().files();
    watch.hear(FolderEvent::Planned { files: files.len(), bytes: folder.manifest().bytes() });
    let directories = folder.manifest().directories().iter().map(|directory| &directory.path);
    let names = Names::of(files.iter().map(|file| file.path.sealed()), directories);
    let staging = Staging::begin_beside(path, WORKING_DIRECTORY_MODE, names)?;
    let moving =
        Moving { folder: &folder, staging: &staging, keyring, opening, new_keyring, frame_length, watch };
    match moving.run(random) {
        Ok((manifest, manifest_id)) => {
            // What somebody else wrote there meanwhile must not be removed with the old folder.
            let path = staging.finish_instead(folder.root(), &before)?;
            Ok(SealedFolder { path, manifest, manifest_id, taken_over: 0 })
        }
        // What is somebody's stays.
        Err(error @ FolderError::Strange { .. }) => Err(error),
        Err(error) => {
            staging.discard();
            Err(error)
        }
    }
}

struct Moving<'work> {
    folder: &'work FolderReader,
    staging: &'work Staging,
    keyring: &'work dyn Keyring,
    opening: &'work OpenOptions,
    new_keyring: &'work dyn Keyring,
    frame_length: Option<FrameLength>,
    watch: &'work dyn Watch,
}

impl Moving<'_> {
    fn run(&self, random: &mut dyn Random) -> Result<(Manifest, MessageId), FolderError> {
        let (manifest, root) = (self.folder.manifest(), self.staging.root());
        self.clear()?;
        for directory in manifest.directories() {
            root.make_directory(&directory.path, WORKING_DIRECTORY_MODE)
                .map_err(|error| FolderError::unwritable(&root.path_of(directory.path.as_str()), error))?;
        }
        let states = (0..workers(manifest.files().len())).map(|_| random.fork()).collect();
        let files = for_each(manifest.files(), states, |random, number, entry| {
            self.moved(number, entry, random.as_mut())
        })?;
        let manifest = Manifest::new(manifest.directories().to_vec(), files)?;
        let options = self.options(FrameLength::default());
        let id = seal_manifest(root, &manifest, self.new_keyring, &options, random)?;
        self.keep_modes().map_err(|error| FolderError::unwritable(&root.path_of(""), error))?;
        Ok((manifest, id))
    }

    /// Gives the manifest and the directories the owners and modes of the old ones.
    fn keep_modes(&self) -> io::Result<()> {
        let (old, new) = (self.folder.root(), self.staging.root());
        keep_owner_and_mode(&old.open_file(None, MANIFEST_NAME)?, &new.open_file(None, MANIFEST_NAME)?)?;
        for directory in self.folder.manifest().directories().iter().rev() {
            match old.directory(Some(&directory.path)) {
                Ok(old) => {
                    keep_owner_and_mode(&old.into(), &File::from(new.directory(Some(&directory.path))?))?;
                }
                // One that is missing, since it was empty, is made anew.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How the new messages are sealed: with the context of the old ones, and signed when those are.
    fn options(&self, frame_length: FrameLength) -> SealOptions {
        let (context, suite) = (self.folder.context(), self.folder.suite().committing());
        SealOptions { context, frame_length, suite, ..SealOptions::default() }
    }

    /// Removes what an earlier process left: an unfinished new folder, or the old one after they traded names. Anything but
    /// messages that the manifest names is somebody's, and an error.
    fn clear(&self) -> Result<(), FolderError> {
        let root = self.staging.root();
        let left = self.staging.survey()?;
        root.open_up(&root.walk(&|_| false)?);
        for path in left {
            let unwritable = |error| FolderError::unwritable(&root.path_of(&path), error);
            if !root.open_file_at(&path).and_then(|file| is_message(&file)).map_err(unwritable)? {
                return Err(FolderError::Strange { path: root.path_of(&path) });
            }
            root.remove_file(&path).map_err(unwritable)?;
        }
        Ok(())
    }

    fn moved(
        &self,
        number: usize,
        entry: &FileEntry,
        random: &mut dyn Random,
    ) -> Result<FileEntry, FolderError> {
        let (root, path) = (self.staging.root(), entry.path.sealed());
        let unwritable = |error| FolderError::unwritable(&root.path_of(&path), error);
        let parent = entry.path.parent();
        let draft = Draft::create(root, parent.as_ref(), &entry.path.sealed_name(), SEALED_FILE_MODE, random)
            .map_err(unwritable)?;
        let same_length = FrameLength::new(entry.frame_length).ok();
        let frame_length = self.frame_length.or(same_length).unwrap_or_default();
        let options = self.options(frame_length);
        let reading = self.folder.reading(self.keyring, self.opening, self.watch);
        let (opened, sealed) = through(
            |plaintext| as_sealed(&reading, number, entry, plaintext),
            |plaintext| envelope::seal(plaintext, draft.file(), self.new_keyring, &options, random),
        );
        let sealed = match (opened, sealed) {
            (Ok(()), Ok(sealed)) => sealed,
            // Writing into the pipe fails only when sealing did.
            (Err(FolderError::File { source, .. }), Err(error)) if source.write_error().is_some() => {
                return Err(FolderError::file(&path, error));
            }
            (Err(error), _) => return Err(error),
            (Ok(()), Err(error)) => return Err(FolderError::file(&path, error)),
        };
        let made =
            entry_of(draft.file(), &sealed.header, sealed.header_bytes, |id, frame, header, digest| {
                FileEntry {
                    message_id: id,
                    frame_length: frame,
                    header_bytes: header,
                    header_sha256: digest,
                    ..entry.clone()
                }
            });
        let made = made.map_err(unwritable)?;
        let old = self.folder.root().open_file(parent.as_ref(), &entry.path.sealed_name());
        old.and_then(|old| keep_owner_and_mode(&old, draft.file())).map_err(unwritable)?;
        draft.keep().map_err(unwritable)?;
        Ok(made)
    }
}

/// Whether it begins as a message does. Of one that a power cut emptied nothing is left to keep.
fn is_message(file: &File) -> io::Result<bool> {
    match envelope::inspect(file, None) {
        Ok(_) => Ok(true),
        Err(HeaderError::Read(error)) => Err(error),
        Err(_) => Ok(file.metadata()?.len() == 0),
    }
}

/// Opens the message of an entry; one that differs from the manifest is an error.
fn as_sealed(
    reading: &Reading<'_>,
    number: usize,
    entry: &FileEntry,
    writer: &mut dyn io::Write,
) -> Result<(), FolderError> {
    match reading.open(number, entry, writer)? {
        None => Ok(()),
        Some(kind) => Err(FolderError::Differs(vec![Difference { path: entry.path.sealed(), kind }])),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;
    use crate::{
        artifact::folder::seal_folder,
        crypto::random::{SeededRandom, SystemRandom},
        envelope::RawAesKeyring,
        secret::SecretKey,
    };

    fn key(byte: u8) -> RawAesKeyring {
        RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
    }

    /// Does something to the folder when both files of it are done, and none of them is being read.
    struct Meddler<'act> {
        files: AtomicUsize,
        act: Mutex<Option<&'act (dyn Fn() + Sync)>>,
    }

    impl<'act> Meddler<'act> {
        fn new(act: &'act (dyn Fn() + Sync)) -> Self {
            Self { files: AtomicUsize::new(2), act: Mutex::new(Some(act)) }
        }
    }

    impl Watch for Meddler<'_> {
        fn hear(&self, event: FolderEvent<'_>) {
            if matches!(event, FolderEvent::Ended { .. })
                && self.files.fetch_sub(1, Ordering::Relaxed) == 1
                && let Some(act) = self.act.lock().unwrap().take()
            {
                act();
            }
        }
    }

    /// A sealed folder `out` of two files and an empty directory.
    fn lab() -> (tempfile::TempDir, PathBuf) {
        let lab = tempfile::tempdir().unwrap();
        fs::create_dir_all(lab.path().join("in/empty")).unwrap();
        for name in ["a", "b"] {
            fs::write(lab.path().join("in").join(name), name).unwrap();
        }
        let out = lab.path().join("out");
        let (all, options) = (Selection::default(), SealOptions::default());
        let random: &mut dyn Random = &mut SeededRandom::new(1);
        seal_folder(&lab.path().join("in"), &out, &all, &key(1), &options, random, &()).unwrap();
        (lab, out)
    }

    fn moved(out: &Path, watch: &dyn Watch) -> Result<SealedFolder, FolderError> {
        let opening = OpenOptions::default();
        reencrypt_folder(out, (&key(1), &opening), None, (&key(2), None), &mut SystemRandom, watch)
    }

    #[test]
    fn what_is_written_into_the_folder_meanwhile_is_not_lost() {
        let (lab, out) = lab();
        let old = fs::read(out.join("b.sealed")).unwrap();
        let (notes, newer, elsewhere) =
            (out.join("empty/notes"), lab.path().join("newer"), lab.path().join("old"));
        fs::write(&newer, b"newer").unwrap();
        let appears = || fs::write(&notes, b"mine").unwrap();
        let changes = || fs::write(out.join("a.sealed"), b"mine").unwrap();
        let trades = || {
            fs::rename(&out, &elsewhere).unwrap();
            fs::create_dir(&out).unwrap();
            fs::write(out.join("mine"), b"mine").unwrap();
        };
        let mine = |path: &Path| assert_eq!(fs::read(path).unwrap(), b"mine");
        let complaint = |act: &(dyn Fn() + Sync)| {
            let error = moved(&out, &Meddler::new(act)).unwrap_err();
            assert!(matches!(error, FolderError::Changed { .. }), "{error}");
            error.to_string().replace(lab.path().to_str().unwrap(), "")
        };
        assert_eq!(complaint(&appears), "`/out/empty/notes` appeared while the folder was being read");
        mine(&notes);
        fs::remove_file(&notes).unwrap();
        assert_eq!(fs::read(out.join("b.sealed")).unwrap(), old);
        let whole = fs::read(out.join("a.sealed")).unwrap();
        assert_eq!(complaint(&changes), "`/out/a.sealed` changed while the folder was being read");
        mine(&out.join("a.sealed"));
        fs::write(out.join("a.sealed"), whole).unwrap();
        assert_eq!(complaint(&trades), "`/out` changed while the folder was being read");
        mine(&out.join("mine"));
        assert_eq!(fs::read(elsewhere.join("b.sealed")).unwrap(), old);
        let names = || {
            let mut names: Vec<_> =
                fs::read_dir(lab.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["in", "newer", "old", "out"], "nothing unfinished is left");
    }

    #[test]
    fn modes_stay_and_a_second_process_is_refused_and_what_is_not_ours_is_not_removed() {
        let (lab, out) = lab();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = [("", 0o750), ("empty", 0o700), ("a.sealed", 0o600), (MANIFEST_NAME, 0o640)];
        for (path, mode) in modes {
            fs::set_permissions(out.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        let again = || {
            let error = moved(&out, &()).unwrap_err();
            assert!(matches!(error, FolderError::Busy { .. }), "{error}");
        };
        let second = Meddler::new(&again);
        moved(&out, &second).unwrap();
        assert!(second.act.into_inner().unwrap().is_none(), "it has tried");
        for (path, expected) in modes {
            assert_eq!(mode(&out.join(path)), expected, "{path}");
        }

        let unfinished = lab.path().join("out.keystead-unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("notes"), b"mine").unwrap();
        let opening = OpenOptions::default();
        let back =
            || reencrypt_folder(&out, (&key(2), &opening), None, (&key(1), None), &mut SystemRandom, &());
        assert!(matches!(back(), Err(FolderError::Strange { .. })));
        assert_eq!(fs::read(unfinished.join("notes")).unwrap(), b"mine");
        fs::rename(unfinished.join("notes"), unfinished.join("a.sealed")).unwrap();
        assert!(matches!(back(), Err(FolderError::Strange { .. })), "it has a message's name and is none");
        // What an earlier process has left: a message, one that a power cut emptied, and a directory that is closed.
        fs::copy(out.join("b.sealed"), unfinished.join("a.sealed")).unwrap();
        fs::write(unfinished.join("b.sealed"), b"").unwrap();
        fs::create_dir(unfinished.join("empty")).unwrap();
        fs::set_permissions(unfinished.join("empty"), fs::Permissions::from_mode(0o555)).unwrap();
        back().unwrap();
        assert!(!unfinished.exists());
        let link = lab.path().join("link");
        std::os::unix::fs::symlink(&out, &link).unwrap();
        for link in [link.clone(), link.join("")] {
            assert!(matches!(moved(&link, &()), Err(FolderError::NotADirectory { .. })));
        }
    }

    #[test]
    fn an_empty_directory_that_is_gone_is_missed_and_made_anew() {
        let (_lab, out) = lab();
        fs::remove_dir(out.join("empty")).unwrap();
        let opening = OpenOptions::default();
        let differences = |byte| {
            let folder = FolderReader::open(&out, &key(byte), &opening, None).unwrap();
            folder.verify(&key(byte), &opening, &()).unwrap()
        };
        let missing = differences(1);
        assert!(matches!(missing.as_slice(), [Difference { path, .. }] if path == "empty"), "{missing:?}");
        moved(&out, &()).unwrap();
        assert_eq!(differences(2), []);
    }
}
