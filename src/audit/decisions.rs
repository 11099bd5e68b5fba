//! How denied calls were decided, beside the log: one file each, the newest alone.
//!
//! The log's record of a denial names the decision and commits to its bytes by their SHA-256. So the store needs no
//! protection of its own and may be thrown away: what is changed in it no longer fits its record, and what is missing is
//! missing. It is written by whoever was denied, so that nobody else waits for it, and without an fsync.
//!
//! INVARIANT: as in the log, no plaintext, ciphertext or key bytes: a trace holds policies, condition keys and the
//! encryption context.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Hash;
use crate::crypto::digest::sha256;

/// How many decisions are remembered.
pub const DECISIONS_MAX: usize = 1_000;
/// A longer trace is not remembered: thousands of statements that nobody reads.
pub const DECISION_BYTES_MAX: usize = 1024 * 1024;

const SUFFIX: &str = ".json";
const UNFINISHED_SUFFIX: &str = ".new";

/// The decisions that are remembered.
pub struct DecisionStore {
    /// None: in memory.
    directory: Option<PathBuf>,
    kept: Mutex<Kept>,
}

/// What is kept, oldest first. In memory the bytes too.
#[derive(Default)]
struct Kept(VecDeque<(String, Vec<u8>)>);

/// What the store answers about a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// These bytes, to which the record commits.
    Bytes(Vec<u8>),
    /// It is no longer there.
    Forgotten,
    /// What is there is not what the record commits to.
    Changed,
}

impl DecisionStore {
    /// A store in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { directory: None, kept: Mutex::default() }
    }

    /// The store in this directory, which is made when there is something to keep.
    ///
    /// # Errors
    ///
    /// When the directory is there and cannot be listed.
    pub fn on_disk(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        let mut names = Vec::new();
        match fs::read_dir(&directory) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry?.file_name();
                    let id = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
                    names.extend(id.filter(|id| is_id(id)).map(str::to_owned));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Ids begin with the time.
        names.sort();
        let kept = Kept(names.into_iter().map(|id| (id, Vec::new())).collect());
        Ok(Self { directory: Some(directory), kept: Mutex::new(kept) })
    }

    /// What a record commits to.
    #[must_use]
    pub fn commitment(bytes: &[u8]) -> Hash {
        sha256(&[bytes])
    }

    /// Remembers a decision, and forgets the oldest beyond [`DECISIONS_MAX`]. `id` is a UUID that begins with the time.
    ///
    /// # Errors
    ///
    /// The operating system's. Nothing that matters is lost then: see the module's words.
    pub fn keep(&self, id: &str, bytes: Vec<u8>) -> io::Result<()> {
        if !is_id(id) || bytes.len() > DECISION_BYTES_MAX {
            return Ok(());
        }
        let in_memory = match &self.directory {
            Some(directory) => {
                write(directory, id, &bytes)?;
                Vec::new()
            }
            None => bytes,
        };
        let mut kept = self.lock();
        kept.0.push_back((id.into(), in_memory));
        while kept.0.len() > DECISIONS_MAX {
            if let (Some((oldest, _)), Some(directory)) = (kept.0.pop_front(), &self.directory) {
                let _another_time = fs::remove_file(path(directory, &oldest));
            }
        }
        Ok(())
    }

    /// The decision of this id, if it is what its record commits to.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn get(&self, id: &str, commitment: &Hash) -> io::Result<Remembered> {
        if !is_id(id) {
            return Ok(Remembered::Forgotten);
        }
        let bytes = match &self.directory {
            Some(directory) => match read(&path(directory, id)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Remembered::Forgotten),
                Err(error) => return Err(error),
            },
            None => match self.lock().0.iter().find(|(kept, _)| kept == id) {
                Some((_, bytes)) => bytes.clone(),
                None => return Ok(Remembered::Forgotten),
            },
        };
        let fits = Self::commitment(&bytes) == *commitment;
        Ok(if fits { Remembered::Bytes(bytes) } else { Remembered::Changed })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this is the text of a UUID: nothing else becomes a file's name.
fn is_id(id: &str) -> bool {
    uuid::Uuid::try_parse(id).is_ok_and(|parsed| parsed.hyphenated().to_string() == id)
}

fn path(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}{SUFFIX}"))
}

/// Writes a file whole or not at all.
fn write(directory: &Path, id: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!("{id}{UNFINISHED_SUFFIX}"));
    let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
            open()?
        }
        opened => opened?,
    };
    file.write_all(bytes)?;
    fs::rename(&unfinished, path(directory, id))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(DECISION_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> String {
        format!("{number:08x}-0000-7000-8000-000000000000")
    }

    #[test]
    fn what_is_kept_comes_back_and_what_was_changed_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("decisions");
        let (first, second) = (id(1), id(2));
        let commitment = DecisionStore::commitment(b"{}");
        for store in [DecisionStore::in_memory(), DecisionStore::on_disk(&directory).unwrap()] {
            store.keep(&first, b"{}".to_vec()).unwrap();
            assert_eq!(store.get(&first, &commitment).unwrap(), Remembered::Bytes(b"{}".to_vec()));
            assert_eq!(store.get(&first, &[0; 32]).unwrap(), Remembered::Changed);
            assert_eq!(store.get(&second, &commitment).unwrap(), Remembered::Forgotten);
        }
        let again = DecisionStore::on_disk(&directory).unwrap();
        assert_eq!(again.get(&first, &commitment).unwrap(), Remembered::Bytes(b"{}".to_vec()));
        fs::write(path(&directory, &first), b"{ }").unwrap();
        assert_eq!(again.get(&first, &commitment).unwrap(), Remembered::Changed);
    }

    #[test]
    fn the_oldest_are_forgotten_also_by_a_store_that_was_opened_anew() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("decisions");
        let commitment = DecisionStore::commitment(b"x");
        DecisionStore::on_disk(&directory).unwrap().keep(&id(0), b"x".to_vec()).unwrap();
        let store = DecisionStore::on_disk(&directory).unwrap();
        for number in 1..=DECISIONS_MAX {
            store.keep(&id(number), b"x".to_vec()).unwrap();
        }
        assert_eq!(store.get(&id(0), &commitment).unwrap(), Remembered::Forgotten);
        assert_eq!(store.get(&id(1), &commitment).unwrap(), Remembered::Bytes(b"x".to_vec()));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), DECISIONS_MAX);
    }

    #[test]
    fn nothing_but_an_id_becomes_a_name_and_nothing_endless_is_kept() {
        let store = DecisionStore::in_memory();
        for bad in
            ["", "../../etc/passwd", "00000001-0000-7000-8000-00000000000G", &id(1).to_uppercase()[..35]]
        {
            store.keep(bad, b"x".to_vec()).unwrap();
            assert_eq!(store.get(bad, &DecisionStore::commitment(b"x")).unwrap(), Remembered::Forgotten);
        }
        let long = vec![b'x'; DECISION_BYTES_MAX + 1];
        let commitment = DecisionStore::commitment(&long);
        store.keep(&id(1), long).unwrap();
        assert_eq!(store.get(&id(1), &commitment).unwrap(), Remembered::Forgotten);
    }
}
