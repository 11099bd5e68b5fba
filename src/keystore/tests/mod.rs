//! Failures and crashes that cannot be had from outside: a storage that fails, and a process that dies between two steps.

mod disk;
mod images;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tempfile::TempDir;

use super::*;
use crate::{
    crypto::totp,
    iam::{AccessKeyId, MfaAssignment},
    kms::{CreateKey, DescribeKey, DisableKey, ListKeys},
    model::{ErrorCode, KeyArn, Tags},
    secret::SecretBytes,
    services::{
        iam::{CreateVirtualMfaDevice, GiveAccessKey, GiveMfaDevice, ShowMfaCode},
        sts::GetSessionToken,
    },
    storage::StorageError,
};

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const PANICS: u8 = 2;
/// Resealing is done, and the answer says otherwise.
const FAILS_AFTER: u8 = 3;

/// A storage that does as it is told.
struct Told {
    inner: Box<dyn Storage>,
    order: Arc<AtomicU8>,
}

impl Told {
    fn obey(&self) -> Result<(), StorageError> {
        match self.order.load(Ordering::SeqCst) {
            FAILS => Err(StorageError::Full),
            PANICS => panic!("told to"),
            _ => Ok(()),
        }
    }
}

impl Storage for Told {
    fn load(&mut self) -> Result<Snapshot, StorageError> {
        self.inner.load()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.obey()?;
        self.inner.commit(batch)
    }

    fn reseal(&mut self, mac_key: SecretKey, snapshot: &Snapshot) -> Result<(), StorageError> {
        self.obey()?;
        self.inner.reseal(mac_key, snapshot)?;
        match self.order.load(Ordering::SeqCst) {
            FAILS_AFTER => Err(StorageError::Io { detail: "the answer was lost".into() }),
            _ => Ok(()),
        }
    }
}

struct Place {
    parent: TempDir,
    order: Arc<AtomicU8>,
}

impl Place {
    fn new() -> Self {
        Self { parent: tempfile::tempdir().unwrap(), order: Arc::default() }
    }

    /// One whose files are in memory, where the system has such a place: for what opens hundreds of keystores and plays
    /// the disk itself.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { parent: parent.unwrap(), order: Arc::default() }
    }

    fn directory(&self) -> PathBuf {
        self.parent.path().join("keystore")
    }

    fn filled(&self) -> (Directory, (Identity, SealedRoot, World, Secrets, Sinks)) {
        let directory = Directory::create(&self.directory(), "the tests").unwrap();
        let new =
            NewKeystore { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        let seal = Seal::KeyFile(self.parent.path().join("keystore.key"));
        let filled = Keystore::fill_new(&directory, new, seal, &mut SystemRandom).unwrap();
        (directory, filled)
    }

    /// A new keystore whose storage obeys.
    fn create(&self) -> Keystore {
        let (directory, (identity, sealed, world, materials, sinks)) = self.filled();
        let storage = Box::new(Told { inner: sinks.storage, order: Arc::clone(&self.order) });
        let (sinks, place) = (Sinks { storage, ..sinks }, Place::on_disk(directory, sealed));
        let started = Keystore::start(place, identity, world, materials, sinks, Arc::new(SystemClock));
        started.unwrap().with_administrator().unwrap()
    }

    /// A new keystore whose log lies on a disk that is watched or fails, and whose segments are as long as is said.
    fn create_on(
        &self,
        segment_bytes_max: u64,
        disk: impl FnOnce(DiskDirectory) -> Box<dyn LogDirectory>,
        storage: impl FnOnce(Box<dyn Storage>) -> Box<dyn Storage>,
    ) -> Keystore {
        let (directory, (identity, sealed, world, secrets, sinks)) = self.filled();
        let root = sealed.open(&identity.id, &mut WithoutAsking).unwrap();
        let options = identity.log_options(identity.signing_key(&root).unwrap());
        let options = LogOptions { segment_bytes_max, compress: false, ..options };
        let position = sinks.log.position();
        drop(sinks.log);
        let disk = disk(DiskDirectory::new(directory.audit()));
        let log = AuditLog::open(disk, options, Some(position)).unwrap();
        let sinks = Sinks { log, storage: storage(sinks.storage) };
        let place = Self::on_disk(directory, sealed);
        let started = Keystore::start(place, identity, world, secrets, sinks, Arc::new(SystemClock));
        started.unwrap().with_administrator().unwrap()
    }

    fn on_disk(directory: Directory, sealed: SealedRoot) -> super::Place {
        super::Place::Disk { directory, sealed }
    }

    fn tell(&self, order: u8) {
        self.order.store(order, Ordering::SeqCst);
    }

    fn open(&self) -> Keystore {
        Keystore::open(&self.directory(), &mut WithoutAsking, "the tests").unwrap()
    }
}

fn create_key(keystore: &Keystore) -> Result<KeyArn, CallError> {
    keystore.kms().create_key(&keystore.administrator(), CreateKey::default()).map(|key| key.arn)
}

/// Every kind of call, and what else is answered: all refused.
fn assert_latched(keystore: &Keystore, key: &KeyArn) {
    let (kms, admin) = (keystore.kms(), keystore.administrator());
    let internal = |error: CallError| assert_eq!(error.code(), ErrorCode::KmsInternal, "{error}");
    internal(create_key(keystore).unwrap_err());
    internal(kms.list_keys(&admin, ListKeys::default()).unwrap_err());
    internal(kms.describe_key(&admin, DescribeKey { key_id: key.clone().into() }).unwrap_err());
    internal(kms.disable_key(&admin, DisableKey { key_id: key.clone().into() }).unwrap_err());
    internal(keystore.world().unwrap_err());
    internal(keystore.caller("user/admin").unwrap_err());
    assert!(keystore.audit_tail(&admin, 1).is_err() && keystore.audit_verify().is_err());
}

fn names(keystore: &Keystore) -> Vec<String> {
    let records = keystore.audit_tail(&keystore.administrator(), 99).unwrap();
    records.into_iter().map(|record| record.event_name.into_owned()).collect()
}

#[test]
fn a_change_whose_state_was_not_written_is_answered_by_nobody_and_disowned_once() {
    let place = Place::new();
    let keystore = place.create();
    let key = create_key(&keystore).unwrap();
    place.tell(FAILS);
    assert_eq!(create_key(&keystore).unwrap_err().code(), ErrorCode::KmsInternal);
    place.tell(WORKS);
    assert_latched(&keystore, &key);
    drop(keystore);

    let keystore = place.open();
    let world = keystore.world().unwrap();
    assert!(world.keys().count() == 1 && world.key(&key).is_some());
    let records = keystore.audit_tail(&keystore.administrator(), 2).unwrap();
    let [created, disowned] = records.as_slice() else { panic!("two records") };
    assert_eq!((&*created.event_name, &*disowned.event_name), ("CreateKey", "RecoverAfterCrash"));
    let details = disowned.service_event_details.as_ref().unwrap();
    assert_eq!(details["notApplied"], serde_json::json!([created.event_id]));
    drop((keystore, world));
    let times =
        |keystore: &Keystore| names(keystore).iter().filter(|name| *name == "RecoverAfterCrash").count();
    assert_eq!(times(&place.open()), 1);
    let keystore = place.open();
    assert_eq!(times(&keystore), 1);
    keystore.audit_verify().unwrap();
}

#[test]
fn a_recovery_that_dies_after_its_record_is_finished_without_another() {
    let place = Place::new();
    let keystore = place.create();
    place.tell(FAILS);
    create_key(&keystore).unwrap_err();
    drop(keystore);
    {
        // What `Keystore::open` does, up to the recovery.
        let directory = Directory::open(&place.directory(), "the tests").unwrap();
        let file = SqliteStorage::open(&directory.database()).unwrap();
        let identity: Identity = read_meta(file.meta(), meta::IDENTITY).unwrap();
        let sealed: SealedRoot = read_meta(file.meta(), meta::SEALED_ROOT).unwrap();
        let root = sealed.open(&identity.id, &mut WithoutAsking).unwrap();
        let mut storage = file.unlock(root.derive(&identity.id, Purpose::RowAuthentication), TABLES);
        let snapshot = storage.load().unwrap();
        let world = World::from_rows(&snapshot.rows).unwrap();
        let state = snapshot.log.unwrap();
        let options = identity.log_options(identity.signing_key(&root).unwrap());
        let log_directory = Box::new(DiskDirectory::new(directory.audit()));
        let mut log = AuditLog::open(log_directory, options, Some(state)).unwrap();
        let mut told = Told { inner: Box::new(storage), order: Arc::clone(&place.order) };
        let audit = directory.audit();
        let died = recovery::disown_unapplied(&mut log, &mut told, &audit, &world, state, Rollback::Refused);
        assert!(matches!(died, Err(KeystoreError::Storage(StorageError::Full))));
    }
    for _ in 0..2 {
        let keystore = place.open();
        assert_eq!(keystore.world().unwrap().keys().count(), 0);
        assert_eq!(names(&keystore).iter().filter(|name| *name == "RecoverAfterCrash").count(), 1);
        keystore.audit_verify().unwrap();
    }
}

#[test]
fn a_writer_that_panics_leaves_nobody_waiting() {
    let place = Place::new();
    let keystore = place.create();
    let key = create_key(&keystore).unwrap();
    place.tell(PANICS);
    assert_eq!(create_key(&keystore).unwrap_err().code(), ErrorCode::KmsInternal);
    assert_latched(&keystore, &key);
    drop(keystore);
    assert_eq!(place.open().world().unwrap().keys().count(), 1);
}

#[test]
fn a_log_whose_file_is_gone_refuses_reads_too_and_for_good() {
    let place = Place::new();
    let keystore = place.create();
    let key = create_key(&keystore).unwrap();
    let log = place.directory().join("audit");
    let segment = fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    let away = place.parent.path().join("away");
    fs::rename(&segment, &away).unwrap();
    let admin = keystore.administrator();
    let error = keystore.kms().list_keys(&admin, ListKeys::default()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::KmsInternal);
    fs::rename(&away, &segment).unwrap();
    assert_latched(&keystore, &key);
    drop(keystore);
    let keystore = place.open();
    assert_eq!(keystore.world().unwrap().keys().count(), 1);
    assert!(!names(&keystore).contains(&"RecoverAfterCrash".to_owned()), "nothing was lost");
}

#[test]
fn a_root_key_that_the_database_does_not_take_leaves_the_old_one_good() {
    let place = Place::new();
    let keystore = place.create();
    let key = create_key(&keystore).unwrap();
    let admin = keystore.administrator();
    keystore.kms().list_keys(&admin, ListKeys::default()).unwrap();
    place.tell(FAILS);
    assert!(keystore.rotate_root(&admin, &mut WithoutAsking).is_err());
    assert!(place.open().world().unwrap().key(&key).is_some());
    assert!(!place.parent.path().join("keystore.key.new").exists());
}

#[test]
fn a_root_key_that_the_database_took_before_it_failed_is_the_one_that_opens() {
    let place = Place::new();
    let keystore = place.create();
    let key = create_key(&keystore).unwrap();
    let admin = keystore.administrator();
    let before = fs::read(place.parent.path().join("keystore.key")).unwrap();
    place.tell(FAILS_AFTER);
    assert!(keystore.rotate_root(&admin, &mut WithoutAsking).is_err());
    assert!(place.open().world().unwrap().key(&key).is_some());
    assert!(!place.parent.path().join("keystore.key.new").exists());
    assert_ne!(fs::read(place.parent.path().join("keystore.key")).unwrap(), before);
    place.open().audit_verify().unwrap();
}

#[test]
fn a_keystore_whose_making_was_cut_short_has_its_administrator_at_the_next_opening() {
    let place = Place::new();
    drop(place.filled());
    for _ in 0..2 {
        let keystore = place.open();
        create_key(&keystore).unwrap();
        assert_eq!(names(&keystore).iter().filter(|name| *name == "CreateUser").count(), 1);
    }
}

#[test]
fn every_credential_opens_under_the_new_root_key_and_lies_there_under_another_wrap() {
    let place = Place::new();
    let keystore = place.create();
    let (iam, admin) = (keystore.iam(), keystore.administrator());
    let alice = Caller::local(iam.create_user(&admin, "alice".parse().unwrap(), Tags::new()).unwrap());
    let may_all =
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}}"#;
    iam.put_user_policy(&admin, "alice".parse().unwrap(), "sts".parse().unwrap(), may_all).unwrap();
    let lasting: AccessKeyId = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
    let give =
        GiveAccessKey { user_name: "alice".parse().unwrap(), access_key_id: lasting.clone(), secret: None };
    let key = iam.call(&admin, &give).unwrap();
    // RFC 6238's seed.
    let seed = || SecretBytes::from(b"12345678901234567890".as_slice());
    let create =
        CreateVirtualMfaDevice { virtual_mfa_device_name: "phone".parse().unwrap(), path: None, tags: None };
    let device = iam.call(&admin, &GiveMfaDevice { create, seed: seed() }).unwrap();
    let token = GetSessionToken { duration_seconds: None, serial_number: None, token_code: None };
    let session = keystore.sts().call(&alice, &token).unwrap().credentials;

    let wrapped = |keystore: &Keystore| {
        let world = keystore.world().unwrap();
        let identities = world.identities();
        [
            identities.access_key(&lasting).unwrap().wrapped.clone(),
            identities.mfa_device(&device.serial_number).unwrap().wrapped.clone(),
            identities.session(&session.access_key_id).unwrap().wrapped.clone(),
        ]
    };
    let before = wrapped(&keystore);
    keystore.rotate_root(&admin, &mut WithoutAsking).unwrap();
    let keystore = place.open();
    for (old, new) in before.iter().zip(wrapped(&keystore)) {
        assert_ne!(*old, new);
    }
    let secret = |id: &AccessKeyId| keystore.door.secret_access_key(id).unwrap();
    assert!(secret(&lasting).ct_eq(&key.secret_access_key));
    assert!(secret(&session.access_key_id).ct_eq(&session.secret_access_key));
    // Two codes may lie on two sides of a step's end, but the first of them is the seed's then.
    let steps = MfaAssignment::enabling_steps(keystore.time());
    let show = ShowMfaCode { serial_number: device.serial_number.clone() };
    let shown = keystore.iam().call(&admin, &show).unwrap().codes;
    let later = MfaAssignment::enabling_steps(keystore.time());
    let codes = |steps: [i64; 2]| steps.map(|step| totp::shown(&seed(), u64::try_from(step).unwrap()));
    assert!(shown == codes(steps) || shown == codes(later));
}
