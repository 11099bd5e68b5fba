//! Storage in one SQLite file (SQLite's file format, "Write-Ahead Logging", "PRAGMA" pages).
//!
//! Write-ahead log, `synchronous = FULL` (a commit survives a power cut), `secure_delete` (what is deleted is
//! overwritten), exclusive locking (a second process is refused). Opening has two steps, because the key that
//! authenticates the rows is derived from the root key, and the sealed root key stands in the file itself:
//! [`SqliteStorage::open`] shows the meta entries, [`SqliteFile::unlock`] gives the storage.
//!
//! INVARIANT: until the file has been found to be whole and to be what was last committed, nothing is written to it.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, config::DbConfig, ffi, params,
};
use subtle::ConstantTimeEq;

use super::{
    Batch, Meta, Snapshot, Storage, StorageError,
    seal::{MAC_BYTES, RowSet, RowText},
};
use crate::{
    audit::LogPosition,
    secret::SecretKey,
    world::{Row, RowId},
};

/// SQLite's `application_id` of a keystore's database: `KSTD`.
pub const APPLICATION_ID: u32 = 0x4b53_5444;
/// The database's format, kept in SQLite's `user_version`. 1 knew neither grants nor sessions, and its identities had no
/// unique ids.
pub const FORMAT_VERSION: u32 = 2;

/// The file is for its owner alone.
const FILE_MODE: u32 = 0o600;
/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The length of SQLite's own header.
const HEADER_BYTES: usize = 100;
/// The tables as SQLite keeps their text. A trigger or view that somebody added makes it another schema.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT",
    "CREATE TABLE row(tbl TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, mac BLOB NOT NULL, PRIMARY KEY (tbl, id)) STRICT",
    "CREATE TABLE state(one INTEGER PRIMARY KEY NOT NULL CHECK (one = 1), log_size INTEGER, log_root BLOB, mac BLOB NOT NULL) STRICT",
];

/// A database that was found whole and is not unlocked yet.
#[derive(Debug)]
pub struct SqliteFile {
    connection: Connection,
    meta: Meta,
}

impl SqliteFile {
    /// What is known before unsealing. It is authenticated by [`Storage::load`], not before.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The storage. `mac_key` authenticates its rows; `tables` are the names that [`RowId::table`] may have.
    #[must_use]
    pub fn unlock(self, mac_key: SecretKey, tables: &'static [&'static str]) -> SqliteStorage {
        SqliteStorage {
            connection: self.connection,
            tables,
            mac_key,
            meta: self.meta,
            rows: None,
            failed: false,
        }
    }
}

/// Rows in an SQLite file.
#[derive(Debug)]
pub struct SqliteStorage {
    connection: Connection,
    tables: &'static [&'static str],
    mac_key: SecretKey,
    meta: Meta,
    /// Known once everything has been loaded and found authentic.
    rows: Option<RowSet>,
    failed: bool,
}

impl SqliteStorage {
    /// Opens a database that is there, checking that it is a keystore's, of a known format and undamaged.
    ///
    /// # Errors
    ///
    /// [`StorageError`]; the file is as before then.
    pub fn open(path: &Path) -> Result<SqliteFile, StorageError> {
        inspect(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // Not even a checkpoint may touch a file that turns out to be damaged.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        configure(&connection)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        check_format(found)?;
        check_schema(&connection)?;
        let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StorageError::Damaged { detail: verdict });
        }
        let meta = read_meta(&connection)?;
        Ok(SqliteFile { connection, meta })
    }

    /// Makes a database with these meta entries and no rows.
    ///
    /// # Errors
    ///
    /// [`StorageError::Exists`] when there is a file; else whatever SQLite says, and then no file is left.
    pub fn create(
        path: &Path,
        meta: Meta,
        mac_key: SecretKey,
        tables: &'static [&'static str],
    ) -> Result<Self, StorageError> {
        // SQLite gives the journal the mode of the database, which it would make by the umask.
        match fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(StorageError::Exists),
            made => drop(made?),
        }
        Self::fill_new(path, meta, mac_key, tables).inspect_err(|_| {
            for suffix in ["", "-wal", "-shm"] {
                // The first error is the one to tell.
                let _ = fs::remove_file(with_suffix(path, suffix));
            }
        })
    }

    fn fill_new(
        path: &Path,
        meta: Meta,
        mac_key: SecretKey,
        tables: &'static [&'static str],
    ) -> Result<Self, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        configure(&connection)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(StorageError::Io { detail: format!("SQLite keeps a journal of mode `{mode}` here") });
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT_VERSION)?;
        for table in SCHEMA {
            transaction.execute(table, [])?;
        }
        let rows = RowSet::default();
        write_meta(&transaction, meta.iter())?;
        write_state(&transaction, None, &rows.state_mac(&meta, None, &mac_key))?;
        transaction.commit()?;
        // The header must say whose file it is even without its journal: `inspect` reads nothing else.
        truncate_journal(&connection)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(Self { connection, tables, mac_key, meta, rows: Some(rows), failed: false })
    }

    fn read_all(&self) -> Result<(Snapshot, RowSet), StorageError> {
        let mut rows = Vec::new();
        let mut set = RowSet::default();
        let mut statement = self.connection.prepare("SELECT tbl, id, body, mac FROM row ORDER BY tbl, id")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let (table, id): (String, String) = (row.get(0)?, row.get(1)?);
            let (body, mac): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
            let text = RowText { table: &table, id: &id, body: &body };
            if !bool::from(text.mac(&self.mac_key).ct_eq(mac.as_slice())) {
                return Err(StorageError::RowForged { table, id });
            }
            set.toggle(&text, &self.mac_key);
            let Some(table) = self.tables.iter().find(|known| **known == table) else {
                return Err(StorageError::Damaged { detail: format!("there is no table `{table}`") });
            };
            rows.push(Row { id: RowId { table, id }, body });
        }
        let (log, mac) = read_state(&self.connection)?;
        let meta = read_meta(&self.connection)?;
        if !bool::from(set.state_mac(&meta, log.as_ref(), &self.mac_key).ct_eq(mac.as_slice())) {
            return Err(StorageError::StateForged);
        }
        Ok((Snapshot { meta, rows, log }, set))
    }

    /// Runs `apply` in one transaction. After any failure nothing more is taken: what is on disk is known only
    /// when the file is opened again.
    fn change(
        &mut self,
        log: Option<&LogPosition>,
        new_key: Option<&SecretKey>,
        apply: impl FnOnce(&mut Change<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if self.failed {
            return Err(StorageError::Latched);
        }
        if self.rows.is_none() {
            self.load()?;
        }
        self.failed = true;
        let mut change = Change {
            transaction: self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?,
            key: new_key.unwrap_or(&self.mac_key),
            rows: self.rows.clone().unwrap_or_default(),
            meta: self.meta.clone(),
        };
        apply(&mut change)?;
        let Change { transaction, key, rows, meta } = change;
        write_state(&transaction, log, &rows.state_mac(&meta, log, key))?;
        transaction.commit()?;
        (self.rows, self.meta, self.failed) = (Some(rows), meta, false);
        Ok(())
    }

    fn erase(&self) -> Result<(), StorageError> {
        rewrite(&self.connection).map_err(|error| {
            // The journal that stays behind tells the next opening to finish this.
            let _best_effort =
                self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            StorageError::Unerased { detail: error.to_string() }
        })
    }
}

/// A transaction, and what it changes beside the tables.
struct Change<'a> {
    transaction: Transaction<'a>,
    key: &'a SecretKey,
    rows: RowSet,
    meta: Meta,
}

impl Change<'_> {
    fn put_in(&mut self, row: &Row) -> Result<(), StorageError> {
        let text = RowText { table: row.id.table, id: &row.id.id, body: &row.body };
        self.transaction
            .prepare_cached("INSERT INTO row (tbl, id, body, mac) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![text.table, text.id, text.body, text.mac(self.key)])?;
        self.rows.toggle(&text, self.key);
        Ok(())
    }

    /// Deletes the row, if it is there.
    fn take_out(&mut self, id: &RowId) -> Result<(), StorageError> {
        let deleted: Option<Vec<u8>> = self
            .transaction
            .prepare_cached("DELETE FROM row WHERE tbl = ?1 AND id = ?2 RETURNING body")?
            .query_row(params![id.table, id.id], |row| row.get(0))
            .optional()?;
        if let Some(body) = deleted {
            self.rows.toggle(&RowText { table: id.table, id: &id.id, body: &body }, self.key);
        }
        Ok(())
    }

    fn remove_all(&mut self) -> Result<(), StorageError> {
        self.transaction.execute("DELETE FROM row", [])?;
        self.transaction.execute("DELETE FROM meta", [])?;
        self.rows = RowSet::default();
        self.meta.clear();
        Ok(())
    }

    fn put_meta<'m>(
        &mut self,
        entries: impl Iterator<Item = (&'m String, &'m Vec<u8>)> + Clone,
    ) -> Result<(), StorageError> {
        write_meta(&self.transaction, entries.clone())?;
        self.meta.extend(entries.map(|(name, value)| (name.clone(), value.clone())));
        Ok(())
    }
}

impl Storage for SqliteStorage {
    fn load(&mut self) -> Result<Snapshot, StorageError> {
        let (snapshot, set) = self.read_all()?;
        if self.rows.is_none() {
            // The file is what it should be: from now on it may be written to. A crash may have come between an
            // erasing commit and its erasure; then there is a journal, and this finishes it.
            if journal_bytes(Path::new(self.connection.path().unwrap_or_default())) > 0 {
                rewrite(&self.connection)?;
            }
            truncate_journal(&self.connection)?;
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        }
        self.rows = Some(set);
        self.meta = snapshot.meta.clone();
        Ok(snapshot)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.change(Some(&batch.log), None, |change| {
            for row in &batch.puts {
                change.take_out(&row.id)?;
                change.put_in(row)?;
            }
            batch.deletes.iter().try_for_each(|id| change.take_out(id))?;
            change.put_meta(batch.meta.iter().map(|(name, value)| (name, value)))
        })?;
        if batch.erases { self.erase() } else { Ok(()) }
    }

    fn reseal(&mut self, mac_key: SecretKey, snapshot: &Snapshot) -> Result<(), StorageError> {
        self.change(snapshot.log.as_ref(), Some(&mac_key), |change| {
            change.remove_all()?;
            snapshot.rows.iter().try_for_each(|row| change.put_in(row))?;
            change.put_meta(snapshot.meta.iter())
        })?;
        self.mac_key = mac_key;
        self.erase()
    }
}

/// Looks at the file without SQLite, which might write to it.
fn inspect(path: &Path) -> Result<(), StorageError> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(StorageError::NotAKeystore { detail: "it is not a regular file".into() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StorageError::Exposed { mode });
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    fs::File::open(path)?.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    let magic = header.get(..MAGIC.len()).unwrap_or(&header);
    if !MAGIC.starts_with(magic) {
        return Err(StorageError::NotAKeystore { detail: "it is not an SQLite database".into() });
    }
    if header.len() < HEADER_BYTES {
        return Err(StorageError::Damaged { detail: format!("it ends after {} bytes", header.len()) });
    }
    // "The Database Header" (SQLite file format): the page size at 16 (two bytes), version numbers at 18 and 19, the
    // user version at 60, the application id at 68; big endian.
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.unwrap_or_default())
    };
    if number(68) != APPLICATION_ID {
        return Err(StorageError::NotAKeystore { detail: "it is another program's SQLite database".into() });
    }
    check_format(number(60))?;
    if header.get(18..20) != Some(&[2, 2]) {
        return Err(StorageError::Damaged { detail: "it is not in write-ahead mode".into() });
    }
    // SQLite reads zeros for what is missing of the last page. A crash may leave it short, and then the journal has it.
    let page_bytes = u64::from(number(14) & 0xffff).max(1);
    if metadata.len() % page_bytes != 0 && journal_bytes(path) == 0 {
        return Err(StorageError::Damaged { detail: "it ends inside a page".into() });
    }
    Ok(())
}

/// Settings of the connection; none of them is written to the file.
fn configure(connection: &Connection) -> Result<(), StorageError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.busy_timeout(std::time::Duration::ZERO)?;
    for (name, value) in [
        ("locking_mode", "EXCLUSIVE"),
        ("synchronous", "FULL"),
        // On macOS alone fsync does not reach the disk without these.
        ("fullfsync", "ON"),
        ("checkpoint_fullfsync", "ON"),
        ("secure_delete", "ON"),
        ("temp_store", "MEMORY"),
        ("cell_size_check", "ON"),
    ] {
        // Some of them answer with a row and some do not.
        connection.pragma(None, name, value, |_| Ok(()))?;
    }
    Ok(())
}

/// There is one format that this program reads and writes.
fn check_format(found: u32) -> Result<(), StorageError> {
    match found {
        FORMAT_VERSION => Ok(()),
        0 => Err(StorageError::Damaged { detail: "it has no format version".into() }),
        found if found < FORMAT_VERSION => Err(StorageError::OlderFormat { found, known: FORMAT_VERSION }),
        found => Err(StorageError::NewerFormat { found, known: FORMAT_VERSION }),
    }
}

fn check_schema(connection: &Connection) -> Result<(), StorageError> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    if found == SCHEMA {
        Ok(())
    } else {
        Err(StorageError::Damaged { detail: "its tables are not a keystore's".into() })
    }
}

fn read_meta(connection: &Connection) -> Result<Meta, StorageError> {
    let mut statement = connection.prepare("SELECT name, value FROM meta")?;
    let entries = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(entries.collect::<Result<Meta, _>>()?)
}

fn write_meta<'a>(
    transaction: &Transaction<'_>,
    entries: impl Iterator<Item = (&'a String, &'a Vec<u8>)>,
) -> Result<(), StorageError> {
    let mut statement =
        transaction.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
    for (name, value) in entries {
        statement.execute(params![name, value])?;
    }
    Ok(())
}

fn read_state(connection: &Connection) -> Result<(Option<LogPosition>, Vec<u8>), StorageError> {
    let found = connection
        .query_row("SELECT log_size, log_root, mac FROM state", [], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?, row.get(2)?))
        })
        .optional()?;
    let damaged = || StorageError::Damaged { detail: "its log position is not one".into() };
    match found {
        None => Err(damaged()),
        Some((None, None, mac)) => Ok((None, mac)),
        Some((Some(size), Some(root), mac)) => {
            let size = u64::try_from(size).map_err(|_| damaged())?;
            let root = root.try_into().map_err(|_| damaged())?;
            Ok((Some(LogPosition { size, root }), mac))
        }
        Some(_) => Err(damaged()),
    }
}

fn write_state(
    transaction: &Transaction<'_>,
    log: Option<&LogPosition>,
    mac: &[u8; MAC_BYTES],
) -> Result<(), StorageError> {
    let size = log.map(|log| i64::try_from(log.size)).transpose();
    let size = size.map_err(|_| StorageError::Io { detail: "the log is too long".into() })?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO state (one, log_size, log_root, mac) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![size, log.map(|log| log.root), mac])?;
    Ok(())
}

/// Writes the whole database anew, so that nothing is in it but what it holds. `secure_delete` overwrites what a deleted
/// row leaves, and not the copies of it that balancing the tree left in the free space of its pages before.
fn rewrite(connection: &Connection) -> Result<(), StorageError> {
    connection.execute_batch("VACUUM")?;
    truncate_journal(connection)
}

fn journal_bytes(database: &Path) -> u64 {
    fs::metadata(with_suffix(database, "-wal")).map_or(0, |journal| journal.len())
}

/// Moves everything into the database proper and empties the journal.
fn truncate_journal(connection: &Connection) -> Result<(), StorageError> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? != 0))?;
    if busy { Err(StorageError::Busy) } else { Ok(()) }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        let detail = error.to_string();
        match error.sqlite_error() {
            // What stands in a column is not what the schema says.
            None => Self::Damaged { detail },
            Some(ffi::Error { code, extended_code }) => match code {
                ffi::ErrorCode::DiskFull => Self::Full,
                ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked => Self::Busy,
                ffi::ErrorCode::SystemIoFailure if *extended_code != ffi::SQLITE_IOERR_SHORT_READ => {
                    Self::Io { detail }
                }
                ffi::ErrorCode::CannotOpen
                | ffi::ErrorCode::PermissionDenied
                | ffi::ErrorCode::ReadOnly
                | ffi::ErrorCode::OutOfMemory => Self::Io { detail },
                _ => Self::Damaged { detail },
            },
        }
    }
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { detail: error.to_string() },
        }
    }
}
