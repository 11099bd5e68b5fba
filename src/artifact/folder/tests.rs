//! Whole folders, in and out: each thing that is accepted beside its refused twin.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    crypto::random::{Random, SeededRandom},
    envelope::{
        ErrorClass, FrameLength, Keyring, KmsKeyring, MessageId, OpenOptions, RawAesKeyring, SealOptions,
        SuiteId, open, seal,
    },
    model::EncryptionContext,
    secret::SecretKey,
    testing::Lab as KeyLab,
};

fn key(byte: u8) -> RawAesKeyring {
    RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
}

fn sealing() -> SealOptions {
    let context = EncryptionContext::from_pairs([("project", "tour")]).unwrap();
    SealOptions { context, frame_length: FrameLength::new(32).unwrap(), ..SealOptions::default() }
}

/// A place with a folder `in`.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(lab.at("in/deep/er")).unwrap();
        fs::create_dir(lab.at("in/empty")).unwrap();
        for (name, bytes) in [
            ("a", &b"first"[..]),
            ("b", &[7; 100]),
            ("deep/c", b""),
            ("deep/er/d", &[9; 64]),
            ("deep.txt", b"t"),
        ] {
            fs::write(lab.at("in").join(name), bytes).unwrap();
        }
        fs::set_permissions(lab.at("in/a"), fs::Permissions::from_mode(0o751)).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
        fs::File::options().write(true).open(lab.at("in/b")).unwrap().set_modified(old).unwrap();
        fs::set_permissions(lab.at("in/deep"), fs::Permissions::from_mode(0o555)).unwrap();
        lab
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn seal(&self) -> Result<SealedFolder, FolderError> {
        self.seal_as("in", "out", &Selection::default(), &key(1), &())
    }

    fn seal_as(
        &self,
        from: &str,
        to: &str,
        selection: &Selection,
        keyring: &dyn Keyring,
        watch: &dyn Watch,
    ) -> Result<SealedFolder, FolderError> {
        let random: &mut dyn Random = &mut crate::crypto::random::SystemRandom;
        seal_folder(&self.at(from), &self.at(to), selection, keyring, &sealing(), random, watch)
    }

    fn reader(&self, name: &str) -> Result<FolderReader, FolderError> {
        FolderReader::open(&self.at(name), &key(1), &OpenOptions::default(), None)
    }

    fn open(&self, to: &str) -> Result<OpenedFolder, FolderError> {
        self.open_as(to, &Selection::default(), &())
    }

    fn open_as(
        &self,
        to: &str,
        selection: &Selection,
        watch: &dyn Watch,
    ) -> Result<OpenedFolder, FolderError> {
        let random: &mut dyn Random = &mut SeededRandom::new(3);
        self.reader("out")?.open_into(
            &self.at(to),
            selection,
            &key(1),
            &OpenOptions::default(),
            random,
            watch,
        )
    }

    fn verify(&self) -> Vec<String> {
        let found = self.reader("out").unwrap().verify(&key(1), &OpenOptions::default(), &()).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Kind and mode, time, and content of a file.
type Node = (u32, i64, i64, Option<Vec<u8>>);

/// All that lies in a directory, by path.
fn tree(top: &Path) -> BTreeMap<String, Node> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![top.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            let content = metadata.is_file().then(|| fs::read(&path).unwrap());
            if metadata.is_dir() {
                waiting.push(path);
            }
            all.insert(name, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
        }
    }
    all
}

/// Stops after so many bytes were heard of.
struct StopsAfter(AtomicUsize, AtomicUsize);

/// Takes one off, unless there is none left.
fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Watch for StopsAfter {
    fn hear(&self, event: FolderEvent<'_>) {
        match event {
            // However many work side by side, the files after those wait until the work is to stop.
            FolderEvent::Began { .. } if !take(&self.1) => {
                while !self.stops() {
                    std::thread::yield_now();
                }
            }
            FolderEvent::Ended { .. } => drop(take(&self.0)),
            _ => {}
        }
    }

    fn stops(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[test]
fn a_folder_comes_back_with_its_modes_and_times_and_the_owner_alone_gets_in() {
    let lab = Lab::new();
    let sealed = lab.seal().unwrap();
    assert_eq!((sealed.manifest.files().len(), sealed.manifest.directories().len()), (5, 3));
    assert_eq!(lab.verify(), Vec::<String>::new());
    let opened = lab.open("back").unwrap();
    assert_eq!((opened.files, opened.bytes, opened.taken_over), (5, sealed.manifest.bytes(), 0));
    assert_eq!(tree(&lab.at("back")), tree(&lab.at("in")));
    assert_eq!(fs::metadata(lab.at("back")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(lab.names(), ["back", "in", "out"]);
    assert_eq!(lab.reader("out").unwrap().context(), sealing().context);
}

#[test]
fn every_file_is_a_message_that_opens_by_itself() {
    let lab = Lab::new();
    lab.seal().unwrap();
    let names: Vec<String> = tree(&lab.at("out")).into_keys().collect();
    let expected = [
        "a.sealed",
        "b.sealed",
        "deep",
        "deep.txt.sealed",
        "deep/c.sealed",
        "deep/er",
        "deep/er/d.sealed",
        "empty",
        MANIFEST_NAME,
    ];
    assert_eq!(names, expected);
    let mut plaintext = Vec::new();
    let message = fs::File::open(lab.at("out/b.sealed")).unwrap();
    let opened = open(message, &mut plaintext, &key(1), &OpenOptions::default()).unwrap();
    assert_eq!((plaintext, opened.header.context), (vec![7; 100], sealing().context));
}

#[test]
fn what_is_missing_added_swapped_rolled_back_or_damaged_shows_and_is_not_opened() {
    let lab = Lab::new();
    lab.seal().unwrap();
    let out = |name: &str| lab.at("out").join(name);
    let whole = fs::read(out("b.sealed")).unwrap();
    let shows = |problem: &str| {
        assert_eq!(lab.verify(), [problem]);
        let error = lab.open("back").unwrap_err();
        assert!(matches!(error, FolderError::Differs(_)), "{error}");
        assert_eq!(error.class(), ErrorClass::Integrity);
        assert_eq!(lab.names(), ["in", "out"]);
    };

    fs::remove_file(out("b.sealed")).unwrap();
    shows("`b.sealed` is missing");
    fs::write(out("b.sealed"), fs::read(out("a.sealed")).unwrap()).unwrap();
    shows("`b.sealed` holds the message of `a`");

    let mut older = Vec::new();
    seal(&b"older"[..], &mut older, &key(1), &sealing(), &mut SeededRandom::new(9)).unwrap();
    fs::write(out("b.sealed"), older).unwrap();
    shows("`b.sealed` is another message than the one that was sealed: rolled back or replaced");
    fs::write(out("b.sealed"), &whole[..whole.len() - 1]).unwrap();
    shows("`b.sealed` is damaged: the message ends early: its final frame never came");
    fs::write(out("b.sealed"), &whole[..20]).unwrap();
    shows("`b.sealed` is damaged: its header is cut short or no header");
    let mut bent = whole.clone();
    *bent.last_mut().unwrap() ^= 1;
    fs::write(out("b.sealed"), bent).unwrap();
    shows("`b.sealed` is damaged: frame 4 is not authentic: it was changed after sealing");
    let mut bent = whole.clone();
    bent[60] ^= 1;
    fs::write(out("b.sealed"), bent).unwrap();
    shows("`b.sealed` is damaged: its header was changed");
    fs::write(out("b.sealed"), &whole).unwrap();

    fs::write(out("deep/new.sealed"), &whole).unwrap_or_else(|_| {
        fs::set_permissions(out("deep"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(out("deep/new.sealed"), &whole).unwrap();
    });
    shows("`deep/new.sealed` was added");
    fs::remove_file(out("deep/new.sealed")).unwrap();
    fs::create_dir(out("new")).unwrap();
    shows("`new` was added");
    fs::remove_dir(out("new")).unwrap();
    symlink(lab.at("in/a"), out("link")).unwrap();
    shows("`link` is a symbolic link");
    fs::remove_file(out("link")).unwrap();
    fs::rename(out("b.sealed"), lab.at("in/b.sealed")).unwrap();
    symlink(lab.at("in/b.sealed"), out("b.sealed")).unwrap();
    shows("`b.sealed` is a symbolic link");
    fs::remove_file(out("b.sealed")).unwrap();
    fs::rename(lab.at("in/b.sealed"), out("b.sealed")).unwrap();
    assert_eq!(lab.verify(), Vec::<String>::new());
}

#[test]
fn a_manifest_that_is_missing_cut_changed_or_none_at_all_opens_nothing() {
    let lab = Lab::new();
    let sealed = lab.seal().unwrap();
    let place = lab.at("out").join(MANIFEST_NAME);
    let whole = fs::read(&place).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        for bad in [&bent, &whole[..at]] {
            fs::write(&place, bad).unwrap();
            assert!(lab.reader("out").is_err(), "byte {at}");
        }
    }
    // A file of the folder in the manifest's place, with a manifest's text in it, is still a file.
    let mut message = Vec::new();
    let text = sealed.manifest.to_bytes().unwrap();
    seal(text.as_slice(), &mut message, &key(1), &sealing(), &mut SeededRandom::new(9)).unwrap();
    fs::write(&place, message).unwrap();
    assert!(matches!(lab.reader("out"), Err(FolderError::NotAManifest { .. })));
    fs::remove_file(&place).unwrap();
    assert!(matches!(lab.reader("out"), Err(FolderError::NoManifest { .. })));
    assert!(matches!(lab.reader("in/a"), Err(FolderError::NotADirectory { .. })));
    fs::write(&place, &whole).unwrap();
    assert!(lab.reader("out").is_ok());
    let other = FolderReader::open(&lab.at("out"), &key(2), &OpenOptions::default(), None);
    assert_eq!(other.err().unwrap().class(), ErrorClass::Integrity, "another key");
}

#[test]
fn a_folder_that_was_put_back_whole_shows_by_the_id_of_its_manifest() {
    let lab = Lab::new();
    let older = lab.seal().unwrap().manifest_id;
    fs::rename(lab.at("out"), lab.at("older")).unwrap();
    let newer = lab.seal().unwrap().manifest_id;
    let open = |name: &str, id: MessageId| {
        FolderReader::open(&lab.at(name), &key(1), &OpenOptions::default(), Some(id)).map(|_| ())
    };
    assert!(open("out", newer).is_ok() && open("older", older).is_ok());
    assert!(matches!(open("older", newer), Err(FolderError::ManifestId { .. })));
}

#[test]
fn links_special_files_and_names_that_cannot_be_kept_are_refused_unless_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    let refused = |name: &std::ffi::OsStr, words: &str, glob: &str| {
        let error = lab.seal().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.class(), ErrorClass::Usage);
        assert_eq!(lab.names(), ["in"]);
        let without = Selection::new(&[], &[glob.into()]).unwrap();
        lab.seal_as("in", "out", &without, &key(1), &()).unwrap();
        fs::remove_dir_all(lab.at("out")).unwrap();
        fs::remove_file(lab.at("in").join(name)).unwrap();
    };
    symlink("a", lab.at("in/link")).unwrap();
    refused("link".as_ref(), "is a symbolic link", "link");
    symlink("..", lab.at("in/up")).unwrap();
    refused("up".as_ref(), "is a symbolic link", "u*");
    rustix::fs::mkfifoat(rustix::fs::CWD, lab.at("in/pipe"), rustix::fs::Mode::RUSR).unwrap();
    refused("pipe".as_ref(), "is a pipe", "pipe");
    fs::write(lab.at("in/bad"), b"").unwrap();
    fs::remove_file(lab.at("in/bad")).unwrap();

    for bad in [&b"\xff"[..], b"a\nb", &[b'n'; 250]] {
        let name = std::ffi::OsStr::from_bytes(bad);
        fs::write(lab.at("in").join(name), b"").unwrap();
        let error = lab.seal().unwrap_err();
        assert!(matches!(error, FolderError::Name { .. }), "{error}");
        fs::remove_file(lab.at("in").join(name)).unwrap();
    }
    fs::create_dir(lab.at("in/a.sealed")).unwrap();
    let error = lab.seal().unwrap_err();
    assert_eq!(error.to_string(), "`a` is sealed as `a.sealed`, and a directory has that name");
    fs::remove_dir(lab.at("in/a.sealed")).unwrap();
    assert!(lab.seal().is_ok());
}

#[test]
fn globs_choose_on_the_way_in_and_on_the_way_out() {
    let lab = Lab::new();
    let chosen = Selection::new(&["deep/**".into()], &["er".into()]).unwrap();
    let sealed = lab.seal_as("in", "part", &chosen, &key(1), &()).unwrap();
    let paths: Vec<&str> = sealed.manifest.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!((paths, sealed.manifest.directories().len()), (vec!["deep/c"], 1));

    lab.seal().unwrap();
    let chosen = Selection::new(&["d".into()], &[]).unwrap();
    fs::remove_file(lab.at("out/a.sealed")).unwrap();
    let opened = lab.open_as("back", &chosen, &()).unwrap();
    assert_eq!(opened.files, 1);
    let names: Vec<String> = tree(&lab.at("back")).into_keys().collect();
    assert_eq!(names, ["deep", "deep/er", "deep/er/d"]);
    assert!(
        matches!(lab.open("all"), Err(FolderError::Differs(_))),
        "what is missing matters to whoever wants it"
    );
}

#[test]
fn a_target_that_exists_lies_within_the_source_or_cannot_be_made_is_refused() {
    let lab = Lab::new();
    fs::create_dir_all(lab.at("out/x")).unwrap();
    assert!(matches!(lab.seal(), Err(FolderError::Exists { .. })));
    fs::remove_dir(lab.at("out/x")).unwrap();
    assert!(lab.seal().is_ok(), "an empty directory is taken");
    assert!(matches!(lab.seal(), Err(FolderError::Exists { .. })), "a sealed folder is never replaced");
    for within in ["in/out", "in/deep/out"] {
        let error = lab.seal_as("in", within, &Selection::default(), &key(1), &()).unwrap_err();
        assert!(matches!(error, FolderError::Within { .. }), "{error}");
    }
    let error = lab.seal_as("in", "no/such/out", &Selection::default(), &key(1), &()).unwrap_err();
    assert!(matches!(error, FolderError::Unwritable { .. }), "{error}");
    assert!(matches!(
        lab.seal_as("none", "x", &Selection::default(), &key(1), &()),
        Err(FolderError::Unreadable { .. })
    ));
    let marked = EncryptionContext::from_pairs([("keystead-folder", "manifest-1")]).unwrap();
    let options = SealOptions { context: marked, ..SealOptions::default() };
    let random: &mut dyn Random = &mut SeededRandom::new(1);
    let all = Selection::default();
    let error = seal_folder(&lab.at("in"), &lab.at("x"), &all, &key(1), &options, random, &()).unwrap_err();
    assert!(matches!(error, FolderError::ReservedContextKey { .. }), "{error}");
    assert_eq!(lab.names(), ["in", "out"]);
}

#[test]
fn stopped_work_is_gone_on_with_file_by_file_and_nothing_of_it_is_believed() {
    let lab = Lab::new();
    let all = Selection::default();
    let stopped = lab.seal_as("in", "out", &all, &key(1), &StopsAfter(2.into(), 2.into())).unwrap_err();
    assert!(matches!(stopped, FolderError::Stopped { .. }), "{stopped}");
    assert_eq!(lab.names(), ["in", "out.keystead-unfinished"]);
    let left = tree(&lab.at("out.keystead-unfinished"));
    let whole: Vec<&String> = left.keys().filter(|name| name.ends_with(".sealed")).collect();
    assert!(!whole.is_empty() && !left.contains_key(MANIFEST_NAME), "{whole:?}");

    // One that is cut short, one of another content, and a leftover.
    let bad = lab.at("out.keystead-unfinished").join(whole[0]);
    let bytes = fs::read(&bad).unwrap();
    fs::write(&bad, &bytes[..bytes.len() - 1]).unwrap();
    fs::write(lab.at("out.keystead-unfinished/.keystead-1.partial"), b"part").unwrap();
    let count = whole.len();
    let sealed = lab.seal().unwrap();
    assert_eq!(sealed.taken_over, count - 1);
    assert_eq!(lab.verify(), Vec::<String>::new());

    let stopped = lab.open_as("back", &all, &StopsAfter(2.into(), 2.into())).unwrap_err();
    assert!(matches!(stopped, FolderError::Stopped { .. }), "{stopped}");
    let left = tree(&lab.at("back.keystead-unfinished"));
    let files: Vec<&String> =
        left.iter().filter(|(_, file)| file.3.is_some()).map(|(name, _)| name).collect();
    assert!(!files.is_empty());
    let forged = lab.at("back.keystead-unfinished").join(files[0]);
    fs::set_permissions(&forged, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&forged, b"forged").unwrap();
    let opened = lab.open("back").unwrap();
    assert_eq!(opened.taken_over, files.len() - 1);
    assert_eq!(tree(&lab.at("back")), tree(&lab.at("in")));
    assert_eq!(lab.names(), ["back", "in", "out"]);
}

#[test]
fn a_signed_folder_is_gone_on_with_and_moved_and_stays_signed() {
    let random: &mut dyn Random = &mut crate::crypto::random::SystemRandom;
    let mut seal = |lab: &Lab, watch: &dyn Watch, suite| {
        let options = SealOptions { suite, ..sealing() };
        let all = Selection::default();
        seal_folder(&lab.at("in"), &lab.at("out"), &all, &key(1), &options, random, watch)
    };
    let (lab, other) = (Lab::new(), Lab::new());
    for lab in [&lab, &other] {
        let stopped = seal(lab, &StopsAfter(2.into(), 2.into()), SuiteId::COMMIT_KEY_SIGNED).unwrap_err();
        assert!(matches!(stopped, FolderError::Stopped { .. }), "{stopped}");
    }
    assert!(seal(&lab, &(), SuiteId::COMMIT_KEY_SIGNED).unwrap().taken_over > 0);
    // What is signed is not taken over into a folder that is not.
    assert_eq!(seal(&other, &(), SuiteId::COMMIT_KEY).unwrap().taken_over, 0);
    assert_eq!((lab.verify(), other.verify()), (vec![], vec![]));

    let (opening, random) = (OpenOptions::default(), &mut SeededRandom::new(9));
    let moved =
        reencrypt_folder(&lab.at("out"), (&key(1), &opening), None, (&key(2), None), random, &()).unwrap();
    let folder = FolderReader::open(&lab.at("out"), &key(2), &opening, Some(moved.manifest_id)).unwrap();
    assert_eq!((folder.suite(), folder.context()), (SuiteId::COMMIT_KEY_SIGNED, sealing().context));
    assert_eq!(folder.verify(&key(2), &opening, &()).unwrap(), []);
    let mut plaintext = Vec::new();
    let message = fs::read(lab.at("out/b.sealed")).unwrap();
    let opened = open(message.as_slice(), &mut plaintext, &key(2), &opening).unwrap();
    assert_eq!((opened.header.suite, plaintext), (SuiteId::COMMIT_KEY_SIGNED, vec![7; 100]));
}

#[test]
fn stopped_before_anything_was_made_nothing_is_left() {
    let lab = Lab::new();
    let stopped = lab
        .seal_as("in", "out", &Selection::default(), &key(1), &StopsAfter(0.into(), 0.into()))
        .unwrap_err();
    assert!(matches!(stopped, FolderError::StoppedEarly), "{stopped}");
    assert_eq!(lab.names(), ["in"]);
}

#[test]
fn what_was_sealed_for_another_key_or_is_strange_is_not_taken_over() {
    let lab = Lab::new();
    let all = Selection::default();
    let _stopped = lab.seal_as("in", "out", &all, &key(1), &StopsAfter(2.into(), 2.into())).unwrap_err();
    fs::write(lab.at("out.keystead-unfinished/mine"), b"x").unwrap();
    let error = lab.seal().unwrap_err();
    assert!(matches!(error, FolderError::Strange { .. }), "{error}");
    assert_eq!(fs::read(lab.at("out.keystead-unfinished/mine")).unwrap(), b"x");
    fs::remove_file(lab.at("out.keystead-unfinished/mine")).unwrap();
    let sealed = lab.seal_as("in", "out", &all, &key(2), &()).unwrap();
    assert_eq!(sealed.taken_over, 0);
    let folder = FolderReader::open(&lab.at("out"), &key(2), &OpenOptions::default(), None).unwrap();
    assert_eq!(folder.verify(&key(2), &OpenOptions::default(), &()).unwrap(), []);
}

/// Does something when a file is begun.
struct Does<F: Fn() + Sync>(F);

impl<F: Fn() + Sync> Watch for Does<F> {
    fn hear(&self, event: FolderEvent<'_>) {
        if matches!(event, FolderEvent::Began { .. }) {
            (self.0)();
        }
    }
}

#[test]
fn a_folder_that_changes_while_it_is_sealed_is_noticed() {
    let sealed_while = |change: &(dyn Fn(&Path) + Sync)| {
        let lab = Lab::new();
        let top = lab.at("in");
        let watch = Does(|| change(&top));
        let error = lab.seal_as("in", "out", &Selection::default(), &key(1), &watch).unwrap_err();
        assert!(!lab.at("out").exists());
        match error {
            FolderError::Changed { path, what } => {
                format!("{} {what}", path.strip_prefix(&top).unwrap().display())
            }
            error => panic!("{error}"),
        }
    };
    assert_eq!(sealed_while(&|top| fs::write(top.join("new"), b"").unwrap()), "new appeared");
    assert_eq!(sealed_while(&|top| drop(fs::create_dir(top.join("new")))), "new appeared");
    assert_eq!(sealed_while(&|top| drop(fs::remove_dir(top.join("empty")))), "empty disappeared");
    assert_eq!(sealed_while(&|top| drop(fs::remove_file(top.join("deep.txt")))), "deep.txt disappeared");
    assert_eq!(sealed_while(&|top| fs::write(top.join("b"), b"longer than it was").unwrap()), "b changed");
}

#[test]
fn each_file_has_a_data_key_of_its_own_and_the_policy_decides_each_opening() {
    let kms = KeyLab::new().unwrap();
    let (alice, eve) =
        (kms.user("alice", &["kms:*"]).unwrap(), kms.user("eve", &["kms:GenerateDataKey"]).unwrap());
    let key = kms.key().unwrap();
    let lab = Lab::new();
    let (for_alice, for_eve) = (kms.kms().data_keys(alice), kms.kms().data_keys(eve));
    let sealing = KmsKeyring::new(&for_eve, key.into());
    let sealed = lab.seal_as("in", "out", &Selection::default(), &sealing, &()).unwrap();
    let mut headers: Vec<_> = sealed.manifest.files().iter().map(|file| file.header_sha256).collect();
    headers.sort_unstable();
    headers.dedup();
    assert_eq!(headers.len(), 5);
    let open =
        |keyring: &dyn Keyring| FolderReader::open(&lab.at("out"), keyring, &OpenOptions::default(), None);
    let (opens, denied) = (KmsKeyring::discovery(&for_alice), KmsKeyring::discovery(&for_eve));
    let folder = open(&opens).unwrap();
    assert_eq!(folder.verify(&opens, &OpenOptions::default(), &()).unwrap(), []);
    assert_eq!(open(&denied).err().unwrap().class(), ErrorClass::AccessDenied);
    let error = folder.verify(&denied, &OpenOptions::default(), &()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::AccessDenied);
}
