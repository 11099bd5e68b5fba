//! Every image of the disk that a crash can leave, opened.
//!
//! While a keystore works, each write and each fsync of its log and each commit of its database is recorded: the files
//! are copied as they are at that step. From each two neighbouring copies follow the images that a power cut between them
//! can leave: of what was written and not yet made durable any sectors may have arrived and any others not, in any order,
//! and the last one cut off anywhere. Each image is put in place and opened. It must open, verify, hold everything that
//! was answered, and nothing that was not asked.
//!
//! Of the database the writes to its journal are covered, which is where every commit goes. What SQLite does inside an
//! erasing commit, between the journal and the database proper, is seen here only before and after; the processes that
//! `tests/crash` kills die within it too.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    audit::{
        injected::{Hooked, Step},
        read,
    },
    kms::{CreateAlias, EnableKey, Encrypt, RotateKeyOnDemand, ScheduleKeyDeletion},
    model::EncryptionContext,
};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Of how many sectors every subset is tried; of more, a choice.
const SECTORS_FOR_ALL_SUBSETS: usize = 3;
/// A segment is closed after a few records.
const SEGMENT_BYTES_MAX: u64 = 4000;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The files at one step.
struct Picture {
    step: &'static str,
    files: Files,
    /// How many calls had been answered.
    answered: usize,
    /// Whether nothing was on its way to the disk.
    at_rest: bool,
}

/// Takes pictures of a directory.
struct Camera {
    directory: PathBuf,
    answered: AtomicUsize,
    pictures: Mutex<Vec<Picture>>,
}

impl Camera {
    fn take(&self, step: &'static str, at_rest: bool) {
        self.add(step, files_below(&self.directory), at_rest);
    }

    fn add(&self, step: &'static str, files: Files, at_rest: bool) {
        let answered = self.answered.load(Ordering::SeqCst);
        self.pictures.lock().unwrap().push(Picture { step, files, answered, at_rest });
    }

    /// A picture that has what is about to be made under another name.
    fn take_unfinished(&self, name: &str, beginning: &[u8]) {
        let mut files = files_below(&self.directory);
        files.insert(self.directory.join("audit").join(format!("{name}.new")), beginning.to_vec());
        self.add("a segment that is not in its place yet", files, false);
    }
}

/// The files that matter: not the lock, the mark of who opened it last.
fn files_below(directory: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if !path.ends_with("lock") && !path.ends_with("audit-index.db") {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// A storage whose commits are photographed.
struct Photographed {
    inner: Box<dyn Storage>,
    camera: Arc<Camera>,
}

impl Storage for Photographed {
    fn load(&mut self) -> Result<Snapshot, StorageError> {
        self.inner.load()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.camera.take("before a commit", true);
        self.inner.commit(batch)?;
        // An erasing commit rewrites the database under SQLite's own order of writes and syncs.
        self.camera.take("after a commit", batch.erases);
        self.camera.take("a commit is durable", true);
        Ok(())
    }

    fn reseal(&mut self, mac_key: SecretKey, snapshot: &Snapshot) -> Result<(), StorageError> {
        self.inner.reseal(mac_key, snapshot)
    }
}

/// The calls, one after the other, and the world's rows after each.
fn work(keystore: &Keystore, camera: &Camera) -> Vec<Vec<crate::world::Row>> {
    let (kms, admin) = (keystore.kms(), keystore.administrator());
    let mut worlds = vec![keystore.world().unwrap().to_rows()];
    let answered = |worlds: &mut Vec<_>| {
        worlds.push(keystore.world().unwrap().to_rows());
        camera.answered.fetch_add(1, Ordering::SeqCst);
    };
    let key = create_key(keystore).unwrap();
    answered(&mut worlds);
    let alias = CreateAlias { alias_name: "alias/a".parse().unwrap(), target_key_id: key.clone().into() };
    kms.call(&admin, &alias).unwrap();
    answered(&mut worlds);
    kms.disable_key(&admin, DisableKey { key_id: key.clone().into() }).unwrap();
    answered(&mut worlds);
    kms.enable_key(&admin, EnableKey { key_id: key.clone().into() }).unwrap();
    answered(&mut worlds);
    let encrypt = Encrypt {
        key_id: key.clone().into(),
        plaintext: b"a plaintext".as_slice().into(),
        encryption_context: EncryptionContext::new(),
    };
    kms.encrypt(&admin, encrypt).unwrap();
    answered(&mut worlds);
    kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id: key.clone().into() }).unwrap();
    answered(&mut worlds);
    let schedule = ScheduleKeyDeletion { key_id: key.into(), pending_window: Some(Days::new(7)) };
    kms.schedule_key_deletion(&admin, schedule).unwrap();
    answered(&mut worlds);
    worlds
}

#[test]
fn every_image_that_a_power_cut_can_leave_opens_with_what_was_answered_and_nothing_else() {
    let place = Place::in_memory();
    let camera = Arc::new(Camera {
        directory: place.directory(),
        answered: AtomicUsize::new(0),
        pictures: Mutex::default(),
    });
    let (on_disk, on_storage) = (Arc::clone(&camera), Arc::clone(&camera));
    let disk = move |disk| -> Box<dyn LogDirectory> {
        Hooked::new(disk, move |name, step| {
            match step {
                Step::Creating(beginning) => on_disk.take_unfinished(name, beginning),
                Step::Created => on_disk.take("a segment begun", true),
                Step::Appending(_) => on_disk.take("before a write", true),
                Step::Appended => on_disk.take("written", false),
                Step::Synced => on_disk.take("synced", true),
                Step::Syncing => {}
            }
            Ok(())
        })
    };
    let storage = |inner| -> Box<dyn Storage> { Box::new(Photographed { inner, camera: on_storage }) };
    let keystore = place.create_on(SEGMENT_BYTES_MAX, disk, storage);
    camera.pictures.lock().unwrap().clear();
    let worlds = work(&keystore, &camera);
    drop(keystore);

    let pictures = std::mem::take(&mut *camera.pictures.lock().unwrap());
    let segments = pictures.last().unwrap().files.keys().filter(|path| is_segment(path)).count();
    assert!(segments > 1, "a segment was closed within the calls");
    let mut tried = BTreeSet::new();
    for (at, picture) in pictures.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| pictures.get(before));
        let images = match before {
            Some(before) if !picture.at_rest => partial(before, picture),
            _ => vec![picture.files.clone()],
        };
        for files in images {
            if tried.insert(digest(&files, picture.answered)) {
                put_in_place(&place.directory(), &files);
                check(&place, picture, &worlds, &files);
            }
        }
    }
    assert!(tried.len() > 100, "{} images", tried.len());
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn digest(files: &Files, answered: usize) -> [u8; 32] {
    let mut digest = crate::crypto::digest::Sha256Stream::default();
    digest.update(&answered.to_be_bytes());
    for (path, bytes) in files {
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update(&bytes.len().to_be_bytes());
        digest.update(bytes);
    }
    digest.finish()
}

/// The images between two pictures: what changed arrived in part.
fn partial(before: &Picture, after: &Picture) -> Vec<Files> {
    let mut images = vec![after.files.clone()];
    for (path, new) in &after.files {
        let old = before.files.get(path).map(Vec::as_slice).unwrap_or_default();
        if old == new {
            continue;
        }
        // A file that was written to is as long as the last sector that arrived makes it, or already as long as it shall be.
        let sectors: Vec<usize> = (0..new.len().div_ceil(SECTOR_BYTES))
            .filter(|sector| part(old, *sector) != part(new, *sector))
            .collect();
        for arrived in subsets(&sectors) {
            let mut bytes = old.to_vec();
            for sector in arrived {
                let (from, to) = (sector * SECTOR_BYTES, ((sector + 1) * SECTOR_BYTES).min(new.len()));
                bytes.resize(bytes.len().max(to), 0);
                bytes[from..to].copy_from_slice(&new[from..to]);
            }
            let mut long = bytes.clone();
            long.resize(new.len().max(bytes.len()), 0);
            images.extend([bytes, long].map(|bytes| with(&after.files, path, bytes)));
        }
        if new.starts_with(old) {
            let grown = new.len() - old.len();
            let cuts = [1, 3, 8, 21, grown / 3, grown / 2, grown - 1].map(|cut| old.len() + cut.min(grown));
            images.extend(cuts.map(|cut| with(&after.files, path, new[..cut].to_vec())));
        }
    }
    images
}

fn with(files: &Files, path: &Path, bytes: Vec<u8>) -> Files {
    let mut files = files.clone();
    files.insert(path.to_owned(), bytes);
    files
}

fn part(bytes: &[u8], sector: usize) -> &[u8] {
    let from = (sector * SECTOR_BYTES).min(bytes.len());
    &bytes[from..(from + SECTOR_BYTES).min(bytes.len())]
}

/// Which of these sectors arrived: all subsets of a few; of many every beginning, every end, and each one alone missing.
fn subsets(sectors: &[usize]) -> Vec<Vec<usize>> {
    if sectors.len() <= SECTORS_FOR_ALL_SUBSETS {
        let chosen = |mask: usize| {
            let chosen = sectors.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
            chosen.map(|(_, sector)| *sector).collect()
        };
        return (0..1 << sectors.len()).map(chosen).collect();
    }
    let mut subsets = Vec::new();
    for at in (0..sectors.len()).step_by(sectors.len().div_ceil(6)) {
        subsets.push(sectors[..at].to_vec());
        subsets.push(sectors[at..].to_vec());
        subsets.push([&sectors[..at], &sectors[at + 1..]].concat());
    }
    subsets
}

fn put_in_place(directory: &Path, files: &Files) {
    for path in files_below(directory).into_keys().filter(|path| !files.contains_key(path)) {
        fs::remove_file(path).unwrap();
    }
    let _index_is_made_anew = fs::remove_file(directory.join("audit-index.db"));
    for (path, bytes) in files {
        if fs::read(path).ok().as_ref() != Some(bytes) {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
    }
}

/// Opens an image: what was answered is there, and of the call that was on its way all or nothing.
fn check(place: &Place, picture: &Picture, worlds: &[Vec<crate::world::Row>], files: &Files) {
    let keystore =
        Keystore::open(&place.directory(), &mut WithoutAsking, "the tests").unwrap_or_else(|error| {
            let lengths: Vec<_> = files.iter().map(|(path, bytes)| (path.file_name(), bytes.len())).collect();
            panic!("{} after {} answers: {error}; {lengths:?}", picture.step, picture.answered)
        });
    keystore.audit_verify().unwrap();
    let rows = keystore.world().unwrap().to_rows();
    let answered = picture.answered;
    let on_its_way = worlds.get(answered + 1);
    assert!(
        rows == worlds[answered] || Some(&rows) == on_its_way,
        "{} after {answered} answers: another world",
        picture.step
    );
    let directory = DiskDirectory::new(place.directory().join("audit"));
    let records: Vec<_> =
        read::records(&directory, 0).unwrap().map(|one| one.unwrap().parse().unwrap()).collect();
    let made: Vec<&str> = records
        .iter()
        .filter(|record: &&crate::audit::Record| record.event_source == "kms.amazonaws.com")
        .map(|record| &*record.event_name)
        .collect();
    let all = [
        "CreateKey",
        "CreateAlias",
        "DisableKey",
        "EnableKey",
        "Encrypt",
        "RotateKeyOnDemand",
        "ScheduleKeyDeletion",
    ];
    assert!(
        made.len() >= answered && all.starts_with(&made),
        "{} after {answered} answers: {made:?}",
        picture.step
    );
    // The record of a change that was not made is disowned, and no other.
    let disowned = records.iter().any(|record| record.event_name == "RecoverAfterCrash");
    let unmade = made.len() > answered && rows == worlds[answered] && on_its_way != Some(&rows);
    assert_eq!(disowned, unmade, "{} after {answered} answers", picture.step);
}
