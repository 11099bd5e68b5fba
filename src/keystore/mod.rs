//! A keystore: the directory that holds everything of one simulated world, and the services that live in it.
//!
//! ```text
//! DIR/keystore.db    the world's rows, authenticated, with key materials wrapped; and the root key under seal
//! DIR/audit/         the audit log's segments
//! DIR/decisions/     how the last denied calls were decided; disposable
//! DIR/audit-index.db where in them to look for a record; it may be deleted at any time
//! DIR/objects/       the objects of the simulated S3, each an encrypted message
//! DIR/lock           held while a process has the keystore open
//! DIR/socket         there while a server has it open that lends it
//! ```
//!
//! What opens the seal — a key file, a passphrase, a keyring entry — is never in it: a copy of it alone yields nothing.

mod decision;
mod directory;
mod error;
pub mod lending;
mod operations;
mod own_files;
mod recovery;
mod rewrap;
mod seal;
mod signers;
#[cfg(test)]
mod tests;
mod trail;

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub use decision::PastDecision;
pub use error::KeystoreError;
pub use operations::CLOCK_OFFSET_MAX;
pub use own_files::OwnFiles;
pub use recovery::{AcceptedRollback, GivenUp};
pub use seal::{Seal, Unsealer, WithoutAsking};
pub use trail::{Pruned, WitnessStatus};

use self::{
    directory::Directory,
    lending::Borrowed,
    operations::{AdvanceClock, RotateRootKey},
    recovery::Rollback,
    rewrap::{rewrapped, secrets_of},
    seal::{Purpose, RootKey, SealedRoot, Sealing},
};
#[cfg(feature = "tls")]
use crate::services::{inference::Inference, tls::Tls};
use crate::{
    audit::{
        AuditLog, LogOptions, LogPosition, checkpoint,
        directory::{DiskDirectory, LogDirectory, MemoryDirectory},
        index::IndexedLog,
    },
    crypto::{
        aead,
        random::{Random, SystemRandom},
        signature::SigningKey,
    },
    iam::UserName,
    kms::{CallError, Caller, Clock, Door, Kms, Secrets, Sinks, SystemClock},
    model::{AccountId, Days, PrincipalArn, Region, Tags, Timestamp},
    secret::SecretKey,
    services::{artifacts::Artifacts, iam::Iam, organizations::Organizations, s3::S3, sts::Sts},
    storage::{Batch, MemoryStorage, Meta, Snapshot, SqliteStorage, Storage, StorageError},
    world::{Change, RowChange, Settings, TABLES, World},
};

/// The name of the administrator that every new keystore has.
pub const ADMINISTRATOR: &str = "admin";

/// What the administrator may do (IAM's AWS managed policy AdministratorAccess).
const ADMINISTRATOR_ACCESS: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
}"#;

/// What a new keystore shall be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKeystore {
    /// The account that commands work in.
    pub account: AccountId,
    /// The Region of all keys.
    pub region: Region,
}

impl NewKeystore {
    fn check(&self) -> Result<(), KeystoreError> {
        if self.account.is_of_the_services() {
            return Err(KeystoreError::ReservedAccount(self.account.clone()));
        }
        Ok(())
    }
}

/// A keystore that is open. One process at a time can have it open.
///
/// ```
/// use keystead::keystore::{Keystore, NewKeystore, Seal, WithoutAsking};
///
/// let place = tempfile::tempdir()?;
/// let directory = place.path().join("keystore");
/// let new = NewKeystore { account: "111122223333".parse()?, region: "us-east-1".parse()? };
/// let seal = Seal::KeyFile(place.path().join("keystore.key"));
/// drop(Keystore::create(&directory, new, seal, "my program")?);
///
/// let keystore = Keystore::open(&directory, &mut WithoutAsking, "my program")?;
/// assert!(keystore.kms().list_keys(&keystore.administrator(), Default::default())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keystore {
    door: Door,
    log: IndexedLog,
    place: Place,
    identity: Identity,
    /// INVARIANT: the last field, so that a keystore that was lent is closed before it is given back.
    _borrowed: Option<Borrowed>,
}

/// Where a keystore's files are.
enum Place {
    /// On disk, with the root key under this seal.
    Disk { directory: Directory, sealed: SealedRoot },
    /// In memory, but for the objects: gone when it is dropped.
    Memory { objects: TempDir, log: MemoryDirectory },
}

/// What a keystore is known by.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Identity {
    /// A random UUID.
    id: String,
    /// The key that verifies the audit log's checkpoints.
    #[serde(with = "hex::serde")]
    log_public_key: [u8; 32],
    /// The key that signs them, wrapped.
    #[serde(with = "hex::serde")]
    log_key: Vec<u8>,
}

/// The names of what is known of a keystore before it is unsealed.
mod meta {
    pub(super) const IDENTITY: &str = "identity";
    pub(super) const SEALED_ROOT: &str = "sealed-root";
}

impl Keystore {
    /// Makes a keystore in a new or empty directory, with an administrator and nothing else.
    ///
    /// `holder` says who has it open, to whoever else wants it meanwhile.
    ///
    /// # Errors
    ///
    /// When there is something in the directory already, or it, the key file or the keyring cannot be written.
    pub fn create(
        directory: &Path,
        new: NewKeystore,
        seal: Seal,
        holder: &str,
    ) -> Result<Self, KeystoreError> {
        new.check()?;
        let random: &mut dyn Random = &mut SystemRandom;
        let directory = Directory::create(directory, holder)?;
        match Self::fill_new(&directory, new, seal, random) {
            Ok((identity, sealed, world, secrets, sinks)) => {
                let place = Place::Disk { directory, sealed };
                Self::start(place, identity, world, secrets, sinks, Arc::new(SystemClock))?
                    .with_administrator()
            }
            Err(error) => {
                directory.abandon();
                Err(error)
            }
        }
    }

    /// Writes a new keystore's files. The database comes last: without it there is no keystore.
    fn fill_new(
        directory: &Directory,
        new: NewKeystore,
        seal: Seal,
        random: &mut dyn Random,
    ) -> Result<(Identity, SealedRoot, World, Secrets, Sinks), KeystoreError> {
        if let Some(id) = directory.unfinished() {
            seal::forget_unfinished(&seal, id);
        }
        if let Seal::KeyFile(path) = &seal
            && path.exists()
        {
            return Err(KeystoreError::KeyFileExists(path.clone()));
        }
        let root = RootKey::generate(random)?;
        let (identity, signing_key) = Identity::generate(&root, random)?;
        directory.begin(&identity.id)?;
        let sealing = Sealing::prepare(seal, &identity.id, directory.path(), random)?;
        let filled = || {
            let sealed = sealing.seal(&root, &identity.id, random)?;
            let log_directory =
                DiskDirectory::create(directory.audit()).map_err(KeystoreError::io(directory.audit()))?;
            let log = AuditLog::create(Box::new(log_directory), identity.log_options(signing_key))?;
            let row_key = root.derive(&identity.id, Purpose::RowAuthentication);
            let mut storage =
                SqliteStorage::create(&directory.database(), meta_of(&identity, &sealed)?, row_key, TABLES)?;
            let settings = commit_settings(&mut storage, new, log.position())?;
            sealing.finish(&identity.id)?;
            directory.finish()?;
            Ok::<_, KeystoreError>((sealed, World::new(settings), Sinks { log, storage: Box::new(storage) }))
        };
        let (sealed, world, sinks) = filled().inspect_err(|_| sealing.abandon(&identity.id))?;
        let secrets = secrets_of(&root, &identity.id);
        Ok((identity, sealed, world, secrets, sinks))
    }

    /// Opens a keystore whose database may be an older copy beside a newer log, which [`Keystore::open`] refuses: what was
    /// done since is given up, and keys that were deleted since are back. A signed record of that is left in the log. The
    /// answer says what was given up; nothing when the database was not that old.
    ///
    /// # Errors
    ///
    /// As [`Keystore::open`], but for the age of the database. A log that is older than the database stays refused.
    pub fn open_accepting_rollback(
        directory: &Path,
        unsealer: &mut dyn Unsealer,
        holder: &str,
    ) -> Result<(Self, Option<AcceptedRollback>), KeystoreError> {
        Self::open_as(directory, unsealer, holder, Rollback::Accepted)
    }

    fn open_as(
        directory: &Path,
        unsealer: &mut dyn Unsealer,
        holder: &str,
        rollback: Rollback,
    ) -> Result<(Self, Option<AcceptedRollback>), KeystoreError> {
        let directory = Directory::open(directory, holder)?;
        let unfinished = |error: KeystoreError| match directory.unfinished() {
            Some(_) => KeystoreError::Unfinished(directory.path().into()),
            None => error,
        };
        let file =
            SqliteStorage::open(&directory.database()).map_err(KeystoreError::from).map_err(unfinished)?;
        let identity: Identity = read_meta(file.meta(), meta::IDENTITY).map_err(unfinished)?;
        let sealed: SealedRoot = read_meta(file.meta(), meta::SEALED_ROOT).map_err(unfinished)?;
        let root = sealed.open(&identity.id, unsealer)?;
        let mut storage = file.unlock(root.derive(&identity.id, Purpose::RowAuthentication), TABLES);
        let snapshot = storage.load().map_err(KeystoreError::from).map_err(unfinished)?;
        let world = World::from_rows(&snapshot.rows).map_err(KeystoreError::from).map_err(unfinished)?;
        directory.finish()?;

        let options = identity.log_options(identity.signing_key(&root)?);
        let state = snapshot.log.unwrap_or_else(LogPosition::empty);
        let mut log = AuditLog::open(Box::new(DiskDirectory::new(directory.audit())), options, Some(state))?;
        let audit = directory.audit();
        let rolled_back =
            recovery::disown_unapplied(&mut log, &mut storage, &audit, &world, state, rollback)?;

        let secrets = secrets_of(&root, &identity.id);
        let sinks = Sinks { log, storage: Box::new(storage) };
        let place = Place::Disk { directory, sealed };
        let keystore = Self::start(place, identity, world, secrets, sinks, Arc::new(SystemClock))?;
        for orphan in keystore.s3().orphans() {
            let _next_time = std::fs::remove_file(orphan);
        }
        let unfinished = is_unfinished(&*keystore.world()?);
        Ok((if unfinished { keystore.with_administrator()? } else { keystore }, rolled_back))
    }

    /// Makes a keystore that lives in memory (its objects in a temporary directory) and is gone when it is dropped.
    ///
    /// # Errors
    ///
    /// When there is no randomness or no temporary directory.
    pub fn in_memory(new: NewKeystore, clock: Arc<dyn Clock>) -> Result<Self, KeystoreError> {
        new.check()?;
        let random: &mut dyn Random = &mut SystemRandom;
        let root = RootKey::generate(random)?;
        let (identity, signing_key) = Identity::generate(&root, random)?;
        let log_directory = MemoryDirectory::new();
        let log = AuditLog::create(Box::new(log_directory.clone()), identity.log_options(signing_key))?;
        let mut storage = MemoryStorage::new(Meta::new());
        let settings = commit_settings(&mut storage, new, log.position())?;
        let secrets = secrets_of(&root, &identity.id);
        let sinks = Sinks { log, storage: Box::new(storage) };
        let objects = TempDir::new().map_err(KeystoreError::io(std::env::temp_dir()))?;
        let place = Place::Memory { objects, log: log_directory };
        Self::start(place, identity, World::new(settings), secrets, sinks, clock)?.with_administrator()
    }

    fn start(
        place: Place,
        identity: Identity,
        world: World,
        secrets: Secrets,
        sinks: Sinks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeystoreError> {
        let decisions = decision::store(&place)?;
        let door = Door::open(world, secrets, sinks, clock, Box::new(SystemRandom), decisions)
            .map_err(KeystoreError::io(Path::new("keystead-writer")))?;
        Ok(Self { door, log: place.indexed_log(), place, identity, _borrowed: None })
    }

    fn with_administrator(self) -> Result<Self, KeystoreError> {
        let root = Caller::local(PrincipalArn::root(&self.settings()?.account));
        let name: UserName = ADMINISTRATOR.parse()?;
        if self.world()?.identities().is_empty() {
            self.iam().create_user(&root, name.clone(), Tags::new())?;
        }
        self.iam().put_user_policy(&root, name, "AdministratorAccess".parse()?, ADMINISTRATOR_ACCESS)?;
        Ok(self)
    }

    /// The KMS of this keystore.
    pub fn kms(&self) -> Kms<'_> {
        Kms::new(&self.door)
    }

    /// The simulated S3 of this keystore.
    pub fn s3(&self) -> S3<'_> {
        S3::new(&self.door, self.place.objects())
    }

    /// The identity management of this keystore.
    pub fn iam(&self) -> Iam<'_> {
        Iam::new(&self.door)
    }

    /// The token service of this keystore: temporary credentials.
    pub fn sts(&self) -> Sts<'_> {
        Sts::new(&self.door)
    }

    /// Sealing and opening artifacts under this keystore's keys, as `caller`.
    pub fn artifacts(&self, caller: &Caller) -> Artifacts<'_> {
        Artifacts::new(&self.door, caller)
    }

    /// A simulated inference endpoint over this keystore's keys.
    #[cfg(feature = "tls")]
    pub fn inference(&self) -> Inference<'_> {
        Inference::new(&self.door)
    }

    /// The certificate authority of this keystore.
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> Tls<'_> {
        Tls::new(&self.door)
    }

    /// The accounts beside the keystore's own.
    pub fn organizations(&self) -> Organizations<'_> {
        Organizations::new(&self.door)
    }

    /// The administrator that the keystore was made with.
    #[must_use]
    pub fn administrator(&self) -> Caller {
        let account = self.door.settings().account;
        match Caller::parse(&format!("user/{ADMINISTRATOR}"), &account) {
            Ok(caller) => caller,
            Err(_) => unreachable!("the administrator's name is an IAM name"),
        }
    }

    /// The caller that a person names: `user/alice`, `role/ops`, `root`, or an ARN.
    ///
    /// # Errors
    ///
    /// When the text names no principal, or one that is not in this keystore.
    pub fn caller(&self, name: &str) -> Result<Caller, CallError> {
        let caller = self.named_caller(name)?;
        self.door.check_exists(&caller)?;
        Ok(caller)
    }

    /// What holds for the keystore as a whole.
    ///
    /// # Errors
    ///
    /// When the keystore cannot write any more.
    pub fn settings(&self) -> Result<Settings, CallError> {
        Ok(self.door.world()?.settings().clone())
    }

    /// The world as it is now. Nothing in it is secret.
    ///
    /// # Errors
    ///
    /// When the keystore cannot write any more.
    pub fn world(&self) -> Result<Arc<World>, CallError> {
        self.door.world()
    }

    /// What time it is in the keystore.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.door.time()
    }

    /// Moves the keystore's clock forward, and lets time do what falls due.
    ///
    /// # Errors
    ///
    /// When the caller may not, or the clock would be more than [`CLOCK_OFFSET_MAX`] ahead.
    pub fn advance_clock(&self, caller: &Caller, by: Days) -> Result<Timestamp, CallError> {
        let now = self.door.call(caller, &AdvanceClock { by })?;
        self.door.world()?;
        self.door.settle()?;
        Ok(now)
    }

    /// The keystore's directory; none when it lives in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Disk { directory, .. } => Some(directory.path()),
            Place::Memory { .. } => None,
        }
    }

    /// The keystore's id, a random UUID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// Where its files are: nothing else must be written there.
    #[must_use]
    pub fn own_files(&self) -> OwnFiles {
        match &self.place {
            Place::Disk { directory, sealed } => OwnFiles {
                directory: Some(directory.path().into()),
                key_file: sealed.key_file().map(Path::to_path_buf),
            },
            Place::Memory { .. } => OwnFiles { directory: None, key_file: None },
        }
    }

    /// How the root key is sealed, in words.
    #[must_use]
    pub fn seal(&self) -> String {
        match &self.place {
            Place::Disk { sealed, .. } => sealed.describe(),
            Place::Memory { .. } => "nothing: this keystore lives in memory".into(),
        }
    }

    /// Puts a new root key in the place of the old one: every key material is wrapped anew, and the new root key is
    /// sealed in the way the old one was (a new key file in the old one's place, a new passphrase or keyring entry).
    ///
    /// # Errors
    ///
    /// When the caller may not or the keystore lives in memory; or the new seal or the database cannot be written, and
    /// then the old root key stays good.
    pub fn rotate_root(self, caller: &Caller, unsealer: &mut dyn Unsealer) -> Result<(), KeystoreError> {
        self.door.call(caller, &RotateRootKey)?;
        let Place::Disk { directory, sealed } = self.place else {
            return Err(CallError::validation("a keystore in memory has no seal").into());
        };
        let random: &mut dyn Random = &mut SystemRandom;
        let (world, secrets, mut sinks) = self.door.close()?;
        let old_root = sealed.open(&self.identity.id, unsealer)?;
        let log_key = self.identity.log_secret(&old_root)?;

        let root = RootKey::generate(random)?;
        let newer = secrets_of(&root, &self.identity.id);
        let world = rewrapped(&world, &secrets, &newer, random)?;
        let identity = self.identity.with_log_key(&root, &log_key, random)?;
        let sealing = Sealing::prepare_again(&sealed, &identity.id, directory.path(), unsealer, random)?;
        let sealed = sealing.seal(&root, &identity.id, random)?;
        let snapshot = Snapshot {
            meta: meta_of(&identity, &sealed)?,
            rows: world.to_rows(),
            log: Some(sinks.log.position()),
        };
        let row_key = root.derive(&identity.id, Purpose::RowAuthentication);
        match sinks.storage.reseal(row_key, &snapshot) {
            Ok(()) => sealing.finish(&identity.id),
            // The new seal is in use already; what is left of the old rows goes at the next opening.
            Err(error @ StorageError::Unerased { .. }) => {
                sealing.finish(&identity.id)?;
                Err(error.into())
            }
            // Which of the two seals the database holds is known at the next opening alone, and it takes the one that
            // opens and removes the other. Neither may be taken away before.
            Err(error) => Err(error.into()),
        }
    }
}

impl Place {
    /// The log, to be read beside its writer.
    fn indexed_log(&self) -> IndexedLog {
        let (log, index): (Box<dyn LogDirectory>, _) = match self {
            Self::Disk { directory, .. } => {
                (Box::new(DiskDirectory::new(directory.audit())), Some(directory.audit_index()))
            }
            Self::Memory { log, .. } => (Box::new(log.clone()), None),
        };
        IndexedLog::new(log, index)
    }

    fn objects(&self) -> &Path {
        match self {
            Self::Disk { directory, .. } => directory.objects(),
            Self::Memory { objects, .. } => objects.path(),
        }
    }
}

impl Identity {
    fn generate(root: &RootKey, random: &mut dyn Random) -> Result<(Self, SigningKey), KeystoreError> {
        // It salts what derives from the root key, so it is no id of the reserve.
        let id = uuid::Builder::from_random_bytes(random.array()?).into_uuid().to_string();
        let seed: SecretKey = random.secret()?;
        let signing_key = SigningKey::from_seed(&seed);
        let identity = Self { id, log_public_key: signing_key.public_key(), log_key: Vec::new() };
        Ok((identity.with_log_key(root, &seed, random)?, signing_key))
    }

    fn with_log_key(
        &self,
        root: &RootKey,
        seed: &SecretKey,
        random: &mut dyn Random,
    ) -> Result<Self, KeystoreError> {
        let wrapping = root.derive(&self.id, Purpose::LogKeyWrapping);
        let log_key =
            aead::seal_with_random_nonce(&wrapping, &self.log_public_key, seed.expose_secret(), random)?;
        Ok(Self { log_key, ..self.clone() })
    }

    fn log_secret(&self, root: &RootKey) -> Result<SecretKey, KeystoreError> {
        let wrapping = root.derive(&self.id, Purpose::LogKeyWrapping);
        let opened = aead::open_with_leading_nonce(&wrapping, &self.log_public_key, &self.log_key);
        let seed = opened.ok().and_then(|seed| SecretKey::from_slice(seed.expose_secret()));
        seed.ok_or_else(|| KeystoreError::Damaged("the key that signs the audit log does not unwrap".into()))
    }

    fn signing_key(&self, root: &RootKey) -> Result<SigningKey, KeystoreError> {
        Ok(SigningKey::from_seed(&self.log_secret(root)?))
    }

    fn log_options(&self, signing_key: SigningKey) -> LogOptions {
        LogOptions::new(signing_key, checkpoint::origin(&self.id))
    }
}

/// Whether making the keystore was cut short before its administrator could do anything: nobody but the administrator
/// is there, without a policy, and nothing else is.
fn is_unfinished(world: &World) -> bool {
    let (mut keys, mut buckets) = (world.keys(), world.buckets());
    let identities = world.identities();
    let mut users = identities.users();
    let powerless = users.all(|user| user.name.as_str() == ADMINISTRATOR && user.permissions.is_empty());
    keys.next().is_none() && buckets.next().is_none() && powerless && identities.roles().next().is_none()
}

/// Whether two names are one file's.
fn meta_of(identity: &Identity, sealed: &SealedRoot) -> Result<Meta, KeystoreError> {
    let damaged = |error: serde_json::Error| KeystoreError::Damaged(error.to_string());
    Ok(Meta::from([
        (meta::IDENTITY.to_owned(), serde_json::to_vec(identity).map_err(damaged)?),
        (meta::SEALED_ROOT.to_owned(), serde_json::to_vec(sealed).map_err(damaged)?),
    ]))
}

fn read_meta<T: for<'de> Deserialize<'de>>(meta: &Meta, name: &str) -> Result<T, KeystoreError> {
    let bytes = meta.get(name).ok_or_else(|| KeystoreError::Damaged(format!("it has no `{name}`")))?;
    serde_json::from_slice(bytes).map_err(|error| KeystoreError::Damaged(format!("its `{name}`: {error}")))
}

fn commit_settings(
    storage: &mut dyn Storage,
    new: NewKeystore,
    log: LogPosition,
) -> Result<Settings, KeystoreError> {
    let settings = Settings {
        account: new.account,
        region: new.region,
        clock_offset_millis: 0,
        witnesses: Vec::new(),
        digest_key: None,
    };
    let mut batch = Batch::at(log);
    if let RowChange::Put(row) = Change::PutSettings(settings.clone()).to_row() {
        batch.puts.push(row);
    }
    storage.commit(&batch)?;
    Ok(settings)
}
