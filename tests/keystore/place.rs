//! A place for a keystore: its directory and its key file, and what the tests do to them.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use keystead::{
    artifact::{Source, Target},
    keystore::{Keystore, KeystoreError, NewKeystore, Seal, Unsealer, WithoutAsking},
    kms::{Caller, CreateKey, Decrypt, Encrypt},
    model::{EncryptionContext, KeyArn},
    secret::{SecretBytes, SecretKey},
    services::s3::{Encryption, GetObject, ObjectError, PutObject},
};
use tempfile::TempDir;

pub(crate) struct Place {
    parent: PathBuf,
    /// Removes the parent, when it was made here.
    _made: Option<TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let made = tempfile::tempdir().unwrap();
        Self { parent: made.path().to_owned(), _made: Some(made) }
    }

    /// A place in a directory that somebody else made.
    pub(crate) fn at(parent: &Path) -> Self {
        Self { parent: parent.to_owned(), _made: None }
    }

    /// A place with a keystore that holds a key, an alias-less ciphertext and an object under that key.
    pub(crate) fn filled() -> (Self, KeyArn, Vec<u8>) {
        let place = Self::new();
        let keystore = place.create().unwrap();
        let key = make_key(&keystore, None);
        let ciphertext = encrypt(&keystore, &key, b"a short plaintext");
        make_bucket(&keystore);
        put(&keystore, "object", Encryption::KmsKey(key.clone().into()), b"an object's plaintext").unwrap();
        (place, key, ciphertext)
    }

    pub(crate) fn parent(&self) -> &Path {
        &self.parent
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.parent().join("keystore")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.parent().join("keystore.key")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory().join("keystore.db")
    }

    /// The newest segment of the audit log.
    pub(crate) fn segment(&self) -> PathBuf {
        files_in(&self.directory().join("audit")).pop_last().unwrap().0
    }

    pub(crate) fn create(&self) -> Result<Keystore, KeystoreError> {
        self.create_with(Seal::KeyFile(self.key_file()))
    }

    pub(crate) fn create_with(&self, seal: Seal) -> Result<Keystore, KeystoreError> {
        Keystore::create(&self.directory(), new_keystore(), seal, "the tests")
    }

    pub(crate) fn open(&self) -> Result<Keystore, KeystoreError> {
        Keystore::open(&self.directory(), &mut WithoutAsking, "the tests")
    }

    /// The directory's files as they are, but for the lock, which says who opened it last, and an empty journal, which
    /// SQLite makes to read a database and which means nothing.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = files_in(&self.directory());
        files.remove(&self.directory().join("lock"));
        files.retain(|path, bytes| !(bytes.is_empty() && path.to_string_lossy().ends_with("-wal")));
        files
    }

    /// Puts the files back as they were.
    pub(crate) fn restore(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        for path in self.files().keys().filter(|path| !files.contains_key(*path)) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            if fs::read(path).ok().as_ref() != Some(bytes) {
                fs::write(path, bytes).unwrap();
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            }
        }
    }
}

pub(crate) fn new_keystore() -> NewKeystore {
    NewKeystore { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() }
}

/// All regular files below a directory, with their content.
pub(crate) fn files_in(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

/// The error of what must have failed. A keystore has no `Debug` that `unwrap_err` could use.
pub(crate) fn refused<T>(result: Result<T, KeystoreError>) -> KeystoreError {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

pub(crate) fn make_key(keystore: &Keystore, material: Option<SecretKey>) -> KeyArn {
    let create = CreateKey { custom_key_material: material, ..CreateKey::default() };
    keystore.kms().create_key(&keystore.administrator(), create).unwrap().arn
}

pub(crate) fn encrypt(keystore: &Keystore, key: &KeyArn, plaintext: &[u8]) -> Vec<u8> {
    let encrypt = Encrypt {
        key_id: key.clone().into(),
        plaintext: plaintext.into(),
        encryption_context: EncryptionContext::new(),
    };
    keystore.kms().encrypt(&keystore.administrator(), encrypt).unwrap().ciphertext_blob
}

pub(crate) fn decrypt(keystore: &Keystore, ciphertext: &[u8]) -> Vec<u8> {
    let decrypt = Decrypt {
        ciphertext_blob: ciphertext.to_vec(),
        key_id: None,
        encryption_context: EncryptionContext::new(),
    };
    let decrypted = keystore.kms().decrypt(&keystore.administrator(), decrypt).unwrap();
    decrypted.plaintext.expose_secret().to_vec()
}

pub(crate) const BUCKET: &str = "models";

pub(crate) fn make_bucket(keystore: &Keystore) {
    keystore.s3().create_bucket(&keystore.administrator(), BUCKET.parse().unwrap()).unwrap();
}

pub(crate) fn put(
    keystore: &Keystore,
    name: &str,
    encryption: Encryption,
    mut bytes: &[u8],
) -> Result<(), ObjectError> {
    let put = PutObject::new(BUCKET.parse().unwrap(), name.parse().unwrap(), encryption);
    let source = Source::Stream(&mut bytes);
    keystore.s3().put_object(&keystore.administrator(), put, source, &mut |_| {}).map(drop)
}

/// The bytes that came out before the end or the error.
pub(crate) fn get_as(keystore: &Keystore, caller: &Caller, name: &str) -> (Vec<u8>, Result<(), ObjectError>) {
    let mut bytes = Vec::new();
    let get = GetObject::new(BUCKET.parse().unwrap(), name.parse().unwrap());
    let target = Target::Stream(&mut bytes);
    let got = keystore.s3().get_object(caller, get, target, false, &mut |_| {}).map(drop);
    (bytes, got)
}

pub(crate) fn get(keystore: &Keystore, name: &str) -> (Vec<u8>, Result<(), ObjectError>) {
    get_as(keystore, &keystore.administrator(), name)
}

/// Answers this key file and this passphrase to whoever asks.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) passphrase: Option<&'static str>,
}

impl Unsealer for Answers {
    fn key_file(&self) -> Option<PathBuf> {
        self.key_file.clone()
    }

    fn passphrase(&mut self) -> Result<SecretBytes, String> {
        self.passphrase.map(|text| text.as_bytes().into()).ok_or_else(|| "nobody is there".into())
    }
}

/// Says what a child process is to work on. A test that finds it set is the child.
pub(crate) const CHILD: &str = "KEYSTEAD_TEST_CHILD";

/// This test binary once more, running the one test `name` as a child that works on `directory`.
pub(crate) fn child(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The directory that a child works on; none in the parent.
pub(crate) fn childs_directory() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Waits until the child has written a line that has `mark` in it, and answers the rest of that line.
pub(crate) fn await_line(child: &mut Child, mark: &str) -> String {
    let output = child.stdout.as_mut().unwrap();
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        // Byte by byte: what is read ahead here would be missing at the next call.
        assert_eq!(output.read(&mut byte).unwrap(), 1, "the child ended without `{mark}`");
        if byte != *b"\n" {
            line.push(byte[0]);
            continue;
        }
        // The harness's own words may stand before the mark.
        if let Some((_, rest)) = String::from_utf8_lossy(&line).split_once(mark) {
            return rest.to_owned();
        }
        line.clear();
    }
}

/// Says a line, past the harness.
pub(crate) fn say(line: &str) {
    let mut output = std::io::stdout();
    writeln!(output, "{line}").unwrap();
    output.flush().unwrap();
}
