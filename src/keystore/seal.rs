//! The root key and its seal.
//!
//! The root key is 32 random bytes. The keystore holds it only sealed: AES-256-GCM under a sealing key that lies
//! elsewhere — in a key file outside the keystore's directory, in a person's head (a passphrase through Argon2id, RFC
//! 9106) or in the operating system's keyring. Everything that the keystore encrypts or authenticates takes a key of
//! its own from the root key by HKDF-SHA-256 (RFC 5869), with the purpose as `info` and the keystore's id as salt.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeystoreError, directory::check_private};
use crate::{
    crypto::{
        aead, kdf,
        password::{PasswordCost, RECOMMENDED_COST, argon2id},
        random::Random,
    },
    secret::{SecretBytes, SecretKey},
};

/// What a key file's one line of substance begins with.
const KEY_FILE_MARK: &str = "KEYSTEAD-KEY-FILE-1 ";
/// A key file is a few lines; more is not one.
const KEY_FILE_BYTES_MAX: u64 = 4096;
/// The shortest passphrase that a keystore is sealed with, in bytes.
const PASSPHRASE_BYTES_MIN: usize = 8;

/// How a new keystore's root key shall be sealed.
#[derive(Debug)]
pub enum Seal {
    /// By a key file that is made at this path, outside of the keystore's directory.
    KeyFile(PathBuf),
    /// By a passphrase.
    Passphrase(SecretBytes),
    /// By an entry in the operating system's keyring.
    Keyring,
}

/// Where the secret that opens a seal comes from.
pub trait Unsealer {
    /// The key file to use in place of the one that the keystore remembers.
    fn key_file(&self) -> Option<PathBuf>;

    /// The passphrase, asked for only when the keystore is sealed with one.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn passphrase(&mut self) -> Result<SecretBytes, String>;
}

/// Opens keystores that need no more than the key file they remember, or the keyring.
#[derive(Debug, Default, Clone, Copy)]
pub struct WithoutAsking;

impl Unsealer for WithoutAsking {
    fn key_file(&self) -> Option<PathBuf> {
        None
    }

    fn passphrase(&mut self) -> Result<SecretBytes, String> {
        Err("this keystore is sealed with a passphrase and nobody can be asked".into())
    }
}

/// The keystore's root key.
pub(super) struct RootKey(SecretKey);

impl RootKey {
    pub(super) fn generate(random: &mut dyn Random) -> Result<Self, KeystoreError> {
        Ok(Self(random.secret()?))
    }

    /// The key for one purpose.
    pub(super) fn derive(&self, keystore_id: &str, purpose: Purpose) -> SecretKey {
        kdf::hkdf_sha256(&self.0, keystore_id.as_bytes(), purpose.info())
    }
}

/// What a key derived from the root key is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Wraps the materials of KMS keys.
    MaterialWrapping,
    /// Wraps the secrets of access keys and MFA devices.
    CredentialWrapping,
    /// Authenticates the rows of the database.
    RowAuthentication,
    /// Wraps the Ed25519 key that signs the audit log's checkpoints.
    LogKeyWrapping,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::MaterialWrapping => b"keystead v1 key material wrapping",
            Self::CredentialWrapping => b"keystead v1 credential wrapping",
            Self::RowAuthentication => b"keystead v1 row authentication",
            Self::LogKeyWrapping => b"keystead v1 log key wrapping",
        }
    }
}

/// The root key under seal, as it stands in the database.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SealedRoot {
    seal: SealRecord,
    #[serde(with = "hex::serde")]
    sealed: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum SealRecord {
    KeyFile {
        path: PathBuf,
    },
    Passphrase {
        #[serde(with = "hex::serde")]
        salt: [u8; 16],
        cost: PasswordCost,
    },
    Keyring,
}

/// The key that seals the root key, and what must happen once it is in use.
pub(super) struct Sealing {
    record: SealRecord,
    key: SecretKey,
}

impl Sealing {
    /// Prepares a new seal. A key file is written beside its place, as `FILE.new`, until [`Self::finish`] is called: the
    /// old one must stay good until the new one is in use.
    pub(super) fn prepare(
        seal: Seal,
        keystore_id: &str,
        directory: &Path,
        random: &mut dyn Random,
    ) -> Result<Self, KeystoreError> {
        match seal {
            Seal::KeyFile(path) => {
                let path = std::path::absolute(&path).map_err(KeystoreError::io(&path))?;
                let path = outside_of(directory, path)?;
                let key = random.secret()?;
                write_key_file(&new_name(&path), keystore_id, &key)?;
                Ok(Self { record: SealRecord::KeyFile { path }, key })
            }
            Seal::Passphrase(passphrase) => {
                if passphrase.len() < PASSPHRASE_BYTES_MIN {
                    return Err(KeystoreError::NoPassphrase(format!(
                        "it needs at least {PASSPHRASE_BYTES_MIN} bytes"
                    )));
                }
                let (salt, cost) = (random.array::<16>()?, RECOMMENDED_COST);
                let key = argon2id(&passphrase, &salt, cost)?;
                Ok(Self { record: SealRecord::Passphrase { salt, cost }, key })
            }
            Seal::Keyring => {
                let key = random.secret()?;
                keyring::store_new(keystore_id, &key)?;
                Ok(Self { record: SealRecord::Keyring, key })
            }
        }
    }

    /// Prepares a seal of the same kind as the one in use: the same place, a new secret. A passphrase stays what it is.
    pub(super) fn prepare_again(
        used: &SealedRoot,
        keystore_id: &str,
        directory: &Path,
        unsealer: &mut dyn Unsealer,
        random: &mut dyn Random,
    ) -> Result<Self, KeystoreError> {
        let seal = match &used.seal {
            SealRecord::KeyFile { path } => {
                Seal::KeyFile(unsealer.key_file().unwrap_or_else(|| path.clone()))
            }
            SealRecord::Passphrase { salt, cost } => {
                let passphrase = unsealer.passphrase().map_err(KeystoreError::NoPassphrase)?;
                // A slip of the finger must not become the passphrase.
                let still_the_same =
                    used.open_with(&argon2id(&passphrase, salt, *cost)?, keystore_id).is_some();
                if !still_the_same {
                    return Err(KeystoreError::WrongSeal("passphrase"));
                }
                Seal::Passphrase(passphrase)
            }
            SealRecord::Keyring => Seal::Keyring,
        };
        Self::prepare(seal, keystore_id, directory, random)
    }

    /// Seals the root key.
    pub(super) fn seal(
        &self,
        root: &RootKey,
        keystore_id: &str,
        random: &mut dyn Random,
    ) -> Result<SealedRoot, KeystoreError> {
        let sealed =
            aead::seal_with_random_nonce(&self.key, &root_aad(keystore_id), root.0.expose_secret(), random)?;
        Ok(SealedRoot { seal: self.record.clone(), sealed })
    }

    /// Puts the new seal in the place of the old one, once the database holds what it sealed.
    pub(super) fn finish(&self, keystore_id: &str) -> Result<(), KeystoreError> {
        match &self.record {
            SealRecord::KeyFile { path } => move_into_place(path),
            SealRecord::Passphrase { .. } => Ok(()),
            SealRecord::Keyring => keyring::promote_new(keystore_id),
        }
    }

    /// Takes the preparation back, after the database did not take the new seal.
    pub(super) fn abandon(&self, keystore_id: &str) {
        match &self.record {
            SealRecord::KeyFile { path } => {
                let _best_effort = fs::remove_file(new_name(path));
            }
            SealRecord::Passphrase { .. } => {}
            SealRecord::Keyring => keyring::forget_new(keystore_id),
        }
    }
}

impl SealedRoot {
    /// The key file, when one seals the root key.
    pub(super) fn key_file(&self) -> Option<&Path> {
        match &self.seal {
            SealRecord::KeyFile { path } => Some(path),
            SealRecord::Passphrase { .. } | SealRecord::Keyring => None,
        }
    }

    /// How the root key is sealed, in words.
    pub(super) fn describe(&self) -> String {
        match &self.seal {
            SealRecord::KeyFile { path } => format!("key file {}", path.display()),
            SealRecord::Passphrase { .. } => "passphrase".into(),
            SealRecord::Keyring => "the operating system's keyring".into(),
        }
    }

    /// Opens the seal.
    pub(super) fn open(
        &self,
        keystore_id: &str,
        unsealer: &mut dyn Unsealer,
    ) -> Result<RootKey, KeystoreError> {
        match &self.seal {
            SealRecord::KeyFile { path } => {
                self.open_with_key_file(keystore_id, &unsealer.key_file().unwrap_or_else(|| path.clone()))
            }
            SealRecord::Passphrase { salt, cost } => {
                let passphrase = unsealer.passphrase().map_err(KeystoreError::NoPassphrase)?;
                let key = argon2id(&passphrase, salt, *cost)?;
                self.open_with(&key, keystore_id).ok_or(KeystoreError::WrongSeal("passphrase"))
            }
            SealRecord::Keyring => {
                let current = keyring::load(keystore_id)?;
                if let Some(root) = current.and_then(|key| self.open_with(&key, keystore_id)) {
                    return Ok(root);
                }
                // A rotation of the root key that was cut short after the database took the new seal.
                let newer = keyring::load_new(keystore_id)?.and_then(|key| self.open_with(&key, keystore_id));
                let root = newer.ok_or(KeystoreError::WrongSeal("keyring entry"))?;
                keyring::promote_new(keystore_id)?;
                Ok(root)
            }
        }
    }

    fn open_with_key_file(&self, keystore_id: &str, path: &Path) -> Result<RootKey, KeystoreError> {
        let current = read_key_file(path);
        if let Some(root) = current.as_ref().ok().and_then(|key| self.open_with(key, keystore_id)) {
            // A rotation that was cut short before the database took the new seal left a useless `FILE.new`.
            if is_key_file_of(keystore_id, &new_name(path)) {
                let _best_effort = fs::remove_file(new_name(path));
            }
            return Ok(root);
        }
        // One that was cut short after that left the only good one.
        let newer = read_key_file(&new_name(path)).ok().and_then(|key| self.open_with(&key, keystore_id));
        if let Some(root) = newer {
            move_into_place(path)?;
            return Ok(root);
        }
        current?;
        Err(KeystoreError::WrongSeal("key file"))
    }

    fn open_with(&self, key: &SecretKey, keystore_id: &str) -> Option<RootKey> {
        let opened = aead::open_with_leading_nonce(key, &root_aad(keystore_id), &self.sealed).ok()?;
        SecretKey::from_slice(opened.expose_secret()).map(RootKey)
    }
}

fn root_aad(keystore_id: &str) -> Vec<u8> {
    format!("keystead v1 root key of {keystore_id}").into_bytes()
}

pub(super) fn new_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Takes back the seal that a making cut short had prepared for the keystore `id`, and nobody else's.
pub(super) fn forget_unfinished(seal: &Seal, id: &str) {
    match seal {
        Seal::KeyFile(path) => {
            for leftover in [path.clone(), new_name(path)] {
                if !id.is_empty() && is_key_file_of(id, &leftover) {
                    let _best_effort = fs::remove_file(leftover);
                }
            }
        }
        Seal::Passphrase(_) => {}
        Seal::Keyring => keyring::forget_new(id),
    }
}

/// A key file in the keystore's directory would be copied with it.
fn outside_of(directory: &Path, path: PathBuf) -> Result<PathBuf, KeystoreError> {
    // The nearest directory that is there may be reached by a symbolic link; what follows is yet to be made.
    let inside = path.ancestors().skip(1).find_map(|parent| {
        let real = fs::canonicalize(parent).ok()?;
        Some(real.starts_with(directory))
    });
    // And what is yet to be made must not climb out of itself again, to who knows where.
    let climbs = path.components().any(|part| part == Component::ParentDir);
    let settled = !climbs || path.parent().is_some_and(Path::exists);
    if inside == Some(false) && settled { Ok(path) } else { Err(KeystoreError::KeyFileInside(path)) }
}

fn write_key_file(path: &Path, keystore_id: &str, key: &SecretKey) -> Result<(), KeystoreError> {
    if let Some(parent) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(parent).map_err(KeystoreError::io(parent))?;
    }
    let mut digits = Zeroizing::new([0_u8; 64]);
    if hex::encode_to_slice(key.expose_secret(), digits.as_mut_slice()).is_err() {
        unreachable!("32 bytes have 64 hexadecimal digits");
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
        |error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => KeystoreError::KeyFileExists(path.into()),
            _ => KeystoreError::io(path)(error),
        },
    )?;
    let written = file
        .write_all(preamble(keystore_id).as_bytes())
        .and_then(|()| file.write_all(digits.as_slice()))
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all());
    written.map_err(KeystoreError::io(path))?;
    // Its name too must survive a power cut before anything is sealed with it.
    sync_parent(path)
}

/// What a key file begins with, up to the key.
fn preamble(keystore_id: &str) -> String {
    format!(
        "# Opens the keystead keystore {keystore_id}. Keep it secret and keep a copy: without it\n\
         # everything in that keystore is lost.\n{KEY_FILE_MARK}"
    )
}

/// Whether a file is this keystore's key file, or the beginning of one that was not written to its end. Another keystore's
/// key must not be taken for it: whoever deletes that loses everything.
fn is_key_file_of(keystore_id: &str, path: &Path) -> bool {
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX as usize));
    let read = File::open(path).and_then(|file| file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut text));
    let preamble = preamble(keystore_id);
    read.is_ok() && (text.starts_with(preamble.as_bytes()) || preamble.as_bytes().starts_with(&text))
}

fn read_key_file(path: &Path) -> Result<SecretKey, KeystoreError> {
    let refuse = |reason: String| KeystoreError::KeyFile { path: path.into(), reason };
    let metadata = fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("it is not a file".into()));
    }
    check_private(path)?;
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX as usize));
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut text).map_err(|error| refuse(error.to_string()))?;
    let digits =
        text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(KEY_FILE_MARK.as_bytes()));
    let digits = digits.ok_or_else(|| refuse("it is not a keystead key file".into()))?;
    SecretKey::try_from_fill(|key| hex::decode_to_slice(digits, key))
        .map_err(|_| refuse("its key is not 64 hexadecimal digits".into()))
}

fn move_into_place(path: &Path) -> Result<(), KeystoreError> {
    fs::rename(new_name(path), path).map_err(KeystoreError::io(path))?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> Result<(), KeystoreError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(KeystoreError::io(parent))
}

/// The operating system's keyring: one entry a keystore, and a second one while the root key is being rotated.
#[cfg(feature = "keyring")]
mod keyring {
    use keyring::{Entry, Error};
    use zeroize::Zeroizing;

    use crate::{keystore::KeystoreError, secret::SecretKey};

    const SERVICE: &str = "keystead";

    fn entry(keystore_id: &str, suffix: &str) -> Result<Entry, KeystoreError> {
        Entry::new(SERVICE, &format!("{keystore_id}{suffix}"))
            .map_err(|error| KeystoreError::Keyring(error.to_string()))
    }

    fn read(keystore_id: &str, suffix: &str) -> Result<Option<SecretKey>, KeystoreError> {
        match entry(keystore_id, suffix)?.get_secret() {
            Ok(secret) => Ok(SecretKey::from_slice(&Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(KeystoreError::Keyring(error.to_string())),
        }
    }

    fn write(keystore_id: &str, suffix: &str, key: &SecretKey) -> Result<(), KeystoreError> {
        let written = entry(keystore_id, suffix)?.set_secret(key.expose_secret());
        written.map_err(|error| KeystoreError::Keyring(error.to_string()))
    }

    pub(super) fn store_new(keystore_id: &str, key: &SecretKey) -> Result<(), KeystoreError> {
        write(keystore_id, ".new", key)
    }

    pub(super) fn load(keystore_id: &str) -> Result<Option<SecretKey>, KeystoreError> {
        read(keystore_id, "")
    }

    pub(super) fn load_new(keystore_id: &str) -> Result<Option<SecretKey>, KeystoreError> {
        read(keystore_id, ".new")
    }

    pub(super) fn promote_new(keystore_id: &str) -> Result<(), KeystoreError> {
        if let Some(key) = load_new(keystore_id)? {
            write(keystore_id, "", &key)?;
            forget_new(keystore_id);
        }
        Ok(())
    }

    pub(super) fn forget_new(keystore_id: &str) {
        if let Ok(entry) = entry(keystore_id, ".new") {
            let _best_effort = entry.delete_credential();
        }
    }
}

/// Without the `keyring` feature every use of the keyring is refused.
#[cfg(not(feature = "keyring"))]
mod keyring {
    use crate::{keystore::KeystoreError, secret::SecretKey};

    fn refused<T>() -> Result<T, KeystoreError> {
        Err(KeystoreError::Keyring("this build has no support for it".into()))
    }

    pub(super) fn store_new(_: &str, _: &SecretKey) -> Result<(), KeystoreError> {
        refused()
    }

    pub(super) fn load(_: &str) -> Result<Option<SecretKey>, KeystoreError> {
        refused()
    }

    pub(super) fn load_new(_: &str) -> Result<Option<SecretKey>, KeystoreError> {
        refused()
    }

    pub(super) fn promote_new(_: &str) -> Result<(), KeystoreError> {
        refused()
    }

    pub(super) fn forget_new(_: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SeededRandom;

    struct Phrase(&'static str);

    impl Unsealer for Phrase {
        fn key_file(&self) -> Option<PathBuf> {
            None
        }

        fn passphrase(&mut self) -> Result<SecretBytes, String> {
            Ok(self.0.as_bytes().into())
        }
    }

    fn sealed(seal: Seal, directory: &Path) -> (Sealing, SealedRoot, SecretKey) {
        let random: &mut dyn Random = &mut SeededRandom::new(1);
        let root = RootKey::generate(random).unwrap();
        let sealing = Sealing::prepare(seal, "id", directory, random).unwrap();
        let sealed = sealing.seal(&root, "id", random).unwrap();
        (sealing, sealed, root.derive("id", Purpose::MaterialWrapping))
    }

    #[test]
    fn a_key_file_opens_its_own_keystore_alone() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("k.key");
        let (sealing, sealed, key) = sealed(Seal::KeyFile(file.clone()), Path::new("/nowhere"));
        sealing.finish("id").unwrap();
        let root = sealed.open("id", &mut WithoutAsking).unwrap();
        assert!(root.derive("id", Purpose::MaterialWrapping).ct_eq(&key));
        assert!(!root.derive("id", Purpose::RowAuthentication).ct_eq(&key));
        assert!(matches!(
            sealed.open("other", &mut WithoutAsking),
            Err(KeystoreError::WrongSeal("key file"))
        ));

        fs::remove_file(&file).unwrap();
        assert!(matches!(sealed.open("id", &mut WithoutAsking), Err(KeystoreError::KeyFile { .. })));
        write_key_file(&file, "id", &SecretKey::from_slice(&[1; 32]).unwrap()).unwrap();
        assert!(matches!(sealed.open("id", &mut WithoutAsking), Err(KeystoreError::WrongSeal("key file"))));
        fs::write(&file, b"no key").unwrap();
        assert!(matches!(sealed.open("id", &mut WithoutAsking), Err(KeystoreError::KeyFile { .. })));
    }

    #[test]
    fn a_rotation_cut_short_is_finished_at_the_next_opening() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("k.key");
        write_key_file(&file, "id", &SecretKey::from_slice(&[1; 32]).unwrap()).unwrap();
        let (_unfinished, sealed, _) = sealed(Seal::KeyFile(file.clone()), Path::new("/nowhere"));
        assert!(new_name(&file).exists());
        assert!(sealed.open("id", &mut WithoutAsking).is_ok());
        assert!(!new_name(&file).exists());
        assert!(sealed.open("id", &mut WithoutAsking).is_ok());
    }

    #[test]
    fn a_key_file_inside_the_keystore_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let directory = fs::canonicalize(parent.path()).unwrap();
        let random: &mut dyn Random = &mut SeededRandom::new(1);
        let seal = Seal::KeyFile(directory.join("k.key"));
        let refused = Sealing::prepare(seal, "id", &directory, random);
        assert!(matches!(refused, Err(KeystoreError::KeyFileInside(_))));
    }

    #[test]
    fn a_passphrase_opens_and_another_does_not() {
        let seal = Seal::Passphrase(b"correct horse".as_slice().into());
        let (_sealing, sealed, _) = sealed(seal, Path::new("/nowhere"));
        assert!(sealed.open("id", &mut Phrase("correct horse")).is_ok());
        let wrong = sealed.open("id", &mut Phrase("correct house"));
        assert!(matches!(wrong, Err(KeystoreError::WrongSeal("passphrase"))));
        assert!(matches!(sealed.open("id", &mut WithoutAsking), Err(KeystoreError::NoPassphrase(_))));
        let short = Seal::Passphrase(b"short".as_slice().into());
        let random: &mut dyn Random = &mut SeededRandom::new(1);
        assert!(Sealing::prepare(short, "id", Path::new("/nowhere"), random).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_key_file_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let parent = tempfile::tempdir().unwrap();
            let file = parent.path().join("k.key");
            for content in [bytes.clone(), [KEY_FILE_MARK.as_bytes(), &bytes].concat()] {
                fs::write(&file, &content).unwrap();
                fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                let refused = matches!(read_key_file(&file), Err(KeystoreError::KeyFile { .. }));
                proptest::prop_assert!(refused);
            }
        }
    }
}
