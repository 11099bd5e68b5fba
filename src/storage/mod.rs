//! Where the world's rows are kept: SQLite on disk, or memory.
//!
//! The world is held whole in memory and written through: storage is read once, by [`Storage::load`], and after that
//! only takes [`Batch`]es. A batch is all or nothing, and durable when [`Storage::commit`] answers. It carries the
//! log's position, so that a state and a log that do not belong together are noticed at the next start.
//!
//! INVARIANT: nothing that comes here is a plaintext secret; key material is wrapped before it becomes a row.

mod memory;
mod seal;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use thiserror::Error;

pub use memory::MemoryStorage;
pub use sqlite::{APPLICATION_ID, FORMAT_VERSION, SqliteFile, SqliteStorage};

use crate::{
    audit::LogPosition,
    secret::SecretKey,
    world::{Row, RowId},
};

/// What is known of a keystore before it is unsealed: the sealed root key, account, Region and the like, by name.
pub type Meta = BTreeMap<String, Vec<u8>>;

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// What is known before unsealing.
    pub meta: Meta,
    /// All rows, ordered by table and id.
    pub rows: Vec<Row>,
    /// How far the log reached when this state was committed; `None` before the first commit.
    pub log: Option<LogPosition>,
}

/// Changes that become durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Rows to put in place, each instead of the one with the same id.
    pub puts: Vec<Row>,
    /// Rows to take away. A row that is not there is no error.
    pub deletes: Vec<RowId>,
    /// Entries of [`Meta`] to put in place.
    pub meta: Vec<(String, Vec<u8>)>,
    /// How far the log reaches; what the batch does stands in it already.
    pub log: LogPosition,
    /// Whether what the batch deletes or replaces must not be found anywhere in the files afterwards: key material.
    pub erases: bool,
}

impl Batch {
    /// A batch that changes nothing but the log's position.
    #[must_use]
    pub fn at(log: LogPosition) -> Self {
        Self { puts: Vec::new(), deletes: Vec::new(), meta: Vec::new(), log, erases: false }
    }
}

/// A place that keeps rows.
pub trait Storage: Send {
    /// Reads everything, checking that it is what was last committed.
    ///
    /// # Errors
    ///
    /// [`StorageError`]; what could be read is not to be used then.
    fn load(&mut self) -> Result<Snapshot, StorageError>;

    /// Makes the batch durable, all or nothing. Puts come before deletes. What was not loaded yet is loaded first.
    ///
    /// # Errors
    ///
    /// [`StorageError::Unerased`] when the batch is durable and only its erasing failed. After any other error the
    /// state may be the one before or the one after, nothing more is taken, and opening again shows which.
    fn commit(&mut self, batch: &Batch) -> Result<(), StorageError>;

    /// Replaces everything, and the key that authenticates it, in one transaction: for rotating the root key. What
    /// was there before is erased.
    ///
    /// # Errors
    ///
    /// As [`Storage::commit`].
    fn reseal(&mut self, mac_key: SecretKey, snapshot: &Snapshot) -> Result<(), StorageError>;
}

/// Why storage would not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file is a keystore's, and its content is not what SQLite wrote.
    #[error("the keystore's database is damaged: {detail}")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// The file was written by a later version of this program.
    #[error("the keystore has format {found}, and this version knows formats up to {known}")]
    NewerFormat {
        /// The file's format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The file was written by an earlier version of this program, whose rows mean something else.
    #[error("the keystore has format {found}, and this version reads format {known} alone")]
    OlderFormat {
        /// The file's format.
        found: u32,
        /// The format that is read here.
        known: u32,
    },
    /// The file is something else.
    #[error("this is not a keystore's database: {detail}")]
    NotAKeystore {
        /// What was found.
        detail: String,
    },
    /// Other users of the machine can read or write the file.
    #[error("the keystore's database has mode {mode:03o}; it must be 600, for its owner alone")]
    Exposed {
        /// The file's permission bits.
        mode: u32,
    },
    /// There is a file already where one was to be made.
    #[error("there is a keystore's database already")]
    Exists,
    /// Another process holds the database.
    #[error("the keystore's database is in use by another process")]
    Busy,
    /// A row's authentication code is not the keystore's: the row was changed by other means than this program.
    #[error("row `{id}` of table `{table}` was changed from outside: its authentication code does not fit")]
    RowForged {
        /// The row's table.
        table: String,
        /// The row's id.
        id: String,
    },
    /// Each row is authentic and together they are not what was committed.
    #[error(
        "the keystore's database was changed from outside: a row or a setting was removed, or an older one put back"
    )]
    StateForged,
    /// An earlier failure stands.
    #[error("the keystore's database failed earlier and takes no more changes until it is opened again")]
    Latched,
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The batch is durable, and copies of what it erases may remain in the files until the next start.
    #[error("the change is made, and what it erased may still stand in the database's journal: {detail}")]
    Unerased {
        /// What went wrong.
        detail: String,
    },
    /// The operating system failed.
    #[error("the keystore's database cannot be read or written: {detail}")]
    Io {
        /// What it said.
        detail: String,
    },
}
