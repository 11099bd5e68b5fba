//! Where the demo happens: a temporary directory with a keystore, its key file outside of it, and the artifact.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{DemoError, MODEL, MODEL_NAME, outcome::Refusal};
use crate::{
    crypto::digest::{Sha256Digest, Sha256Stream},
    keystore::{Keystore, NewKeystore, Seal, Unsealer, WithoutAsking},
    kms::Caller,
    lab::seed::Seed,
    model::KeyRef,
    secret::SecretBytes,
};

/// Who has the temporary keystore open, for whoever else wants it.
const HOLDER: &str = "keystead demo";

/// Where the demo happens.
pub(super) struct Stage {
    place: TempDir,
    /// None while it is closed.
    keystore: Option<Keystore>,
    seed: Seed,
    file: PathBuf,
    name: String,
    size: u64,
    digest: Sha256Digest,
}

impl Stage {
    pub(super) fn set_up(file: Option<&Path>, seed: &str) -> Result<Self, DemoError> {
        let seed = Seed::parse(seed)?;
        let place = TempDir::with_prefix("keystead-demo-")?;
        let file = match file {
            Some(file) => file.to_path_buf(),
            None => {
                let file = place.path().join(MODEL_NAME);
                fs::write(&file, MODEL)?;
                file
            }
        };
        let (digest, size) =
            digest_of(&file).map_err(|source| DemoError::File { path: file.clone(), source })?;
        let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let name = name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        let new = NewKeystore {
            account: "111122223333".parse().map_err(crate::keystore::KeystoreError::from)?,
            region: "us-east-1".parse().map_err(crate::keystore::KeystoreError::from)?,
        };
        let seal = Seal::KeyFile(place.path().join("keystore.key"));
        let keystore = Keystore::create(&place.path().join("keystore"), new, seal, HOLDER)?;
        Ok(Self { place, keystore: Some(keystore), seed, file, name, size, digest })
    }

    /// The artifact's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The artifact.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// A path in the temporary directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The sealed artifact.
    pub(super) fn sealed(&self) -> PathBuf {
        self.path("model.sealed")
    }

    pub(super) fn seed(&self) -> &Seed {
        &self.seed
    }

    pub(super) fn keystore(&self) -> Result<&Keystore, Refusal> {
        self.keystore.as_ref().ok_or_else(|| Refusal::failed("the keystore is closed"))
    }

    pub(super) fn caller(&self, name: &str) -> Result<Caller, Refusal> {
        Ok(self.keystore()?.caller(name)?)
    }

    /// Whether a file holds exactly what the artifact does.
    pub(super) fn is_the_artifact(&self, file: &Path) -> Result<bool, Refusal> {
        Ok(digest_of(file)? == (self.digest, self.size))
    }

    /// Closes the keystore, copies its directory, and takes its key file away while `then` tries the copy.
    pub(super) fn with_stolen_copy<T>(
        &mut self,
        then: impl FnOnce(&Path) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.keystore = None;
        let (keystore, copy) = (self.path("keystore"), self.path("stolen"));
        let (key_file, hidden) = (self.path("keystore.key"), self.path("hidden.key"));
        let _none_yet = fs::remove_dir_all(&copy);
        copy_directory(&keystore, &copy)?;
        fs::rename(&key_file, &hidden)?;
        let result = then(&copy);
        fs::rename(&hidden, &key_file)?;
        fs::remove_dir_all(&copy)?;
        self.keystore = Some(Keystore::open(&keystore, &mut WithoutAsking, HOLDER)?);
        result
    }
}

/// Opens a keystore with this key file in place of its own.
pub(super) struct WithKeyFile(pub(super) PathBuf);

impl Unsealer for WithKeyFile {
    fn key_file(&self) -> Option<PathBuf> {
        Some(self.0.clone())
    }

    fn passphrase(&mut self) -> Result<SecretBytes, String> {
        Err("the demo's keystore has a key file".into())
    }
}

/// The key that the demo seals the artifact under.
pub(super) fn models_key() -> Result<KeyRef, Refusal> {
    Ok("alias/models".parse()?)
}

fn digest_of(file: &Path) -> io::Result<(Sha256Digest, u64)> {
    let mut file = fs::File::open(file)?;
    let (mut digest, mut size, mut buffer) = (Sha256Stream::default(), 0, vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((digest.finish(), size));
        }
        digest.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
