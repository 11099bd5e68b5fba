//! The index: where in the log to look for a record. It can be thrown away at any time.
//!
//! A SQLite file beside the log says under which terms each record is filed ([`super::query`]), where it stands, and in
//! what span of time. It is never believed: every record found is read back from its segment and asked again whether it
//! passes, and verifying the log does not look here. What does not fit the log any more is made anew from the segments.
//!
//! A term is kept as the first eight bytes of a SHA-256 over account, attribute and value. Two terms that share them
//! cost a record read in vain and nothing else.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use thiserror::Error;

use super::{
    Record,
    directory::LogDirectory,
    fault::LogFault,
    follow::Bookmark,
    leaf_hash,
    query::{Attribute, Query, terms_of, used_keys},
    read::{self, Location, StoredRecord},
};
use crate::{
    crypto::digest::sha256,
    model::{AccountId, ParseError, Timestamp},
};

/// The layout of the file, and how terms are made. Any other is thrown away.
const LAYOUT: i64 = 1;
/// How many records are filed in one transaction.
const RECORDS_PER_TRANSACTION: usize = 20_000;
/// How many records share an entry of the table of times.
const RECORDS_PER_SPAN: u64 = 1000;
/// How much of the file is held in memory, in KiB.
const CACHE_KIB: i64 = 64 << 10;
/// The length of the buckets in which use is counted: an hour.
const BUCKET_MILLIS: i64 = 3_600_000;

const SCHEMA: &str = "
CREATE TABLE record(sequence INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL) STRICT;
CREATE TABLE posting(term INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY(term, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE frequency(term INTEGER PRIMARY KEY, records INTEGER NOT NULL) STRICT;
CREATE TABLE span(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, earliest INTEGER NOT NULL, latest INTEGER NOT NULL) STRICT;
CREATE TABLE usage(account TEXT NOT NULL, who TEXT NOT NULL, key TEXT NOT NULL, hour INTEGER NOT NULL,
    used INTEGER NOT NULL, refused INTEGER NOT NULL, PRIMARY KEY(account, who, key, hour)) STRICT, WITHOUT ROWID;
CREATE TABLE reached(one INTEGER PRIMARY KEY CHECK (one = 1), segment INTEGER NOT NULL, offset INTEGER NOT NULL,
    next INTEGER NOT NULL, last_segment INTEGER NOT NULL, last_offset INTEGER NOT NULL, last_leaf BLOB NOT NULL) STRICT;
";

/// Why nothing was looked up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The log is not what it should be.
    #[error(transparent)]
    Log(#[from] LogFault),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] ParseError),
    /// The index cannot be written, and not be made anew either.
    #[error("the audit log's index cannot be written; it may be deleted at any time")]
    Index(#[from] rusqlite::Error),
    /// The operating system failed.
    #[error("the audit log's index cannot be made")]
    Io(#[from] io::Error),
}

/// A record that was found, and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its number in the log.
    pub sequence: u64,
    /// The record.
    pub record: Record,
}

/// How often somebody used a key within an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Who: an ARN.
    pub who: String,
    /// The key's ARN.
    pub key: String,
    /// When the hour began.
    pub hour: Timestamp,
    /// How many cryptographic operations succeeded.
    pub used: u64,
    /// How many calls on the key were refused or failed.
    pub refused: u64,
}

/// A log with its index, for looking things up.
pub struct IndexedLog {
    directory: Box<dyn LogDirectory>,
    /// Where the index is kept; in memory when nowhere.
    path: Option<PathBuf>,
    index: Mutex<Option<Connection>>,
}

impl IndexedLog {
    /// The log in `directory`, with its index in the file at `path` or in memory.
    #[must_use]
    pub fn new(directory: Box<dyn LogDirectory>, path: Option<PathBuf>) -> Self {
        Self { directory, path, index: Mutex::new(None) }
    }

    /// The segments.
    #[must_use]
    pub fn directory(&self) -> &dyn LogDirectory {
        &*self.directory
    }

    /// The records that a query asks for, the newest first.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the log cannot be read or the index not be made.
    pub fn find(&self, query: &Query) -> Result<Vec<Found>, IndexError> {
        self.with_index(|index| find(index, &*self.directory, query))
    }

    /// The record with this number, when it is one of this account's.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the log cannot be read or the index not be made.
    pub fn numbered(&self, account: &AccountId, sequence: u64) -> Result<Option<Found>, IndexError> {
        let Some(stored) = self.place_of(sequence)? else { return Ok(None) };
        let record = stored.read(&*self.directory, sequence)?.parse()?;
        Ok((record.recipient_account_id == *account).then_some(Found { sequence, record }))
    }

    /// The record with this number as it stands in the log.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when there is none, or the log cannot be read or the index not be made.
    pub fn stored(&self, sequence: u64) -> Result<StoredRecord, IndexError> {
        let place = self.place_of(sequence)?;
        let missing = || LogFault::Truncated { expected: sequence.saturating_add(1), found: sequence };
        Ok(place.ok_or_else(missing)?.read(&*self.directory, sequence)?)
    }

    fn place_of(&self, sequence: u64) -> Result<Option<Location>, IndexError> {
        self.with_index(|index| {
            let place = index
                .prepare_cached("SELECT segment, offset FROM record WHERE sequence = ?1")?
                .query_row([i64::try_from(sequence).unwrap_or(i64::MAX)], |row| {
                    Ok(Location { segment: row.get(0)?, offset: row.get(1)? })
                });
            Ok(place.optional()?)
        })
    }

    /// When the first record was made that is still there, when the log was pruned.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the log cannot be read.
    pub fn first_kept(&self) -> Result<Option<Timestamp>, IndexError> {
        match read::records(&*self.directory, 0)?.next().transpose()? {
            Some(first) if first.sequence > 0 => Ok(Some(first.parse()?.event_time)),
            _ => Ok(None),
        }
    }

    /// How often each principal used each key of an account since a time, hour by hour.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the log cannot be read or the index not be made.
    pub fn usage(&self, account: &AccountId, since: Option<Timestamp>) -> Result<Vec<Usage>, IndexError> {
        self.with_index(|index| {
            let since = since.map_or(i64::MIN, |since| since.as_millis().div_euclid(BUCKET_MILLIS));
            let mut rows = index.prepare_cached(
                "SELECT who, key, hour, used, refused FROM usage WHERE account = ?1 AND hour >= ?2
                 ORDER BY who, key, hour",
            )?;
            let usage = rows.query_map(params![account.as_str(), since], |row| {
                Ok(Usage {
                    who: row.get(0)?,
                    key: row.get(1)?,
                    hour: Timestamp::from_millis(row.get::<_, i64>(2)? * BUCKET_MILLIS),
                    used: row.get(3)?,
                    refused: row.get(4)?,
                })
            })?;
            Ok(usage.collect::<Result<_, _>>()?)
        })
    }

    /// Brings the index up to the log, making it anew when it does not fit, and looks at it.
    fn with_index<T>(&self, look: impl Fn(&Connection) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let mut slot = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = match slot.take() {
            Some(index) => index,
            None => open(self.path.as_deref())?,
        };
        let looked = catch_up(&mut index, &*self.directory).and_then(|()| look(&index));
        let looked = match looked {
            // The log may have been pruned, or restored from elsewhere: once more with a new index, then it is the log.
            Err(IndexError::Log(_) | IndexError::Index(_)) => {
                drop(index);
                index = anew(self.path.as_deref())?;
                catch_up(&mut index, &*self.directory).and_then(|()| look(&index))
            }
            looked => looked,
        };
        if looked.is_ok() {
            *slot = Some(index);
        }
        looked
    }
}

fn open(path: Option<&Path>) -> Result<Connection, IndexError> {
    let Some(path) = path.filter(|path| path.exists()) else { return anew(path) };
    match opened(path) {
        Ok(index) => Ok(index),
        Err(_) => anew(Some(path)),
    }
}

fn opened(path: &Path) -> Result<Connection, IndexError> {
    let index = prepared(Connection::open(path)?)?;
    let layout: i64 = index.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if layout == LAYOUT { Ok(index) } else { Err(io::Error::from(io::ErrorKind::InvalidData).into()) }
}

/// An empty index, in the place of whatever stood there.
fn anew(path: Option<&Path>) -> Result<Connection, IndexError> {
    let connection = match path {
        None => Connection::open_in_memory()?,
        Some(path) => {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                match fs::remove_file(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
            // SQLite gives the files that it adds the mode of this one.
            drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
            Connection::open(path)?
        }
    };
    let index = prepared(connection)?;
    index.execute_batch(&format!("BEGIN; {SCHEMA} PRAGMA user_version = {LAYOUT}; COMMIT;"))?;
    Ok(index)
}

fn prepared(index: Connection) -> Result<Connection, IndexError> {
    index.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         PRAGMA trusted_schema = OFF; PRAGMA cache_size = -{CACHE_KIB};"
    ))?;
    Ok(index)
}

/// Files all records that the index does not know yet.
fn catch_up(index: &mut Connection, directory: &dyn LogDirectory) -> Result<(), IndexError> {
    let mut bookmark = reached(index, directory)?;
    loop {
        let records = bookmark.read_on(directory, RECORDS_PER_TRANSACTION)?;
        if records.is_empty() {
            return Ok(());
        }
        let transaction = index.transaction()?;
        file(&transaction, &records)?;
        note_reached(&transaction, &bookmark, &records)?;
        transaction.commit()?;
    }
}

/// How far the index reaches, after a look whether the last record it knows is still the one that stands there.
fn reached(index: &Connection, directory: &dyn LogDirectory) -> Result<Bookmark, IndexError> {
    let row = index.query_row(
        "SELECT segment, offset, next, last_segment, last_offset, last_leaf FROM reached",
        [],
        |row| {
            let bookmark = Bookmark { segment: row.get(0)?, offset: row.get(1)?, next: row.get(2)? };
            let place = Location { segment: row.get(3)?, offset: row.get(4)? };
            Ok((bookmark, place, row.get::<_, Vec<u8>>(5)?))
        },
    );
    let Some((bookmark, place, leaf)) = row.optional()? else { return Ok(Bookmark::START) };
    let last = place.read(directory, bookmark.next.saturating_sub(1))?;
    if leaf_hash(&last.bytes) == *leaf.as_slice() {
        Ok(bookmark)
    } else {
        Err(LogFault::Fork { size: bookmark.next }.into())
    }
}

fn note_reached(
    transaction: &Transaction<'_>,
    bookmark: &Bookmark,
    records: &[StoredRecord],
) -> Result<(), IndexError> {
    if let Some(last) = records.last() {
        transaction.execute(
            "INSERT OR REPLACE INTO reached VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                bookmark.segment,
                bookmark.offset,
                bookmark.next,
                last.place.segment,
                last.place.offset,
                leaf_hash(&last.bytes)
            ],
        )?;
    }
    Ok(())
}

/// What is counted of an hour: successes and refusals.
type Counts = BTreeMap<(String, String, String, i64), (u64, u64)>;

fn file(transaction: &Transaction<'_>, records: &[StoredRecord]) -> Result<(), IndexError> {
    let mut postings: Vec<(i64, u64)> = Vec::with_capacity(records.len() * 8);
    let (mut spans, mut counts, mut frequency) = (BTreeMap::new(), Counts::new(), BTreeMap::new());
    {
        let mut insert = transaction.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3)")?;
        for stored in records {
            let record = stored.parse()?;
            insert.execute(params![stored.sequence, stored.place.segment, stored.place.offset])?;
            let account = &record.recipient_account_id;
            for (attribute, value) in terms_of(&record) {
                let term = term(account, attribute, &value);
                postings.push((term, stored.sequence));
                // A term that is not counted counts as rare: counting every id would double the file.
                if !matches!(attribute, Attribute::EventId | Attribute::Ciphertext) {
                    *frequency.entry(term).or_insert(0u64) += 1;
                }
            }
            postings.push((account_term(account), stored.sequence));
            let time = record.event_time.as_millis();
            let span = spans.entry(stored.sequence / RECORDS_PER_SPAN).or_insert((
                stored.sequence,
                stored.sequence,
                time,
                time,
            ));
            *span = (span.0, stored.sequence, span.2.min(time), span.3.max(time));
            count(&mut counts, &record);
        }
    }
    file_postings(transaction, postings, frequency)?;
    for (first, last, earliest, latest) in spans.into_values() {
        transaction
            .execute("INSERT INTO span VALUES (?1, ?2, ?3, ?4)", params![first, last, earliest, latest])?;
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
         SET used = used + excluded.used, refused = refused + excluded.refused",
    )?;
    for ((account, who, key, hour), (used, refused)) in counts {
        add.execute(params![account, who, key, hour, used, refused])?;
    }
    Ok(())
}

/// In the order of the terms, so that what lies side by side is written side by side.
fn file_postings(
    transaction: &Transaction<'_>,
    mut postings: Vec<(i64, u64)>,
    frequency: BTreeMap<i64, u64>,
) -> Result<(), IndexError> {
    postings.sort_unstable();
    postings.dedup();
    let mut insert = transaction.prepare_cached("INSERT INTO posting VALUES (?1, ?2)")?;
    for (term, sequence) in postings {
        insert.execute(params![term, sequence])?;
    }
    let mut often = transaction.prepare_cached(
        "INSERT INTO frequency VALUES (?1, ?2) ON CONFLICT DO UPDATE SET records = records + excluded.records",
    )?;
    for (term, records) in frequency {
        often.execute(params![term, records])?;
    }
    Ok(())
}

fn count(counts: &mut Counts, record: &Record) {
    let Some(who) = &record.user_identity.arn else { return };
    let hour = record.event_time.as_millis().div_euclid(BUCKET_MILLIS);
    let account = record.recipient_account_id.to_string();
    let mut entry = |key: &str| {
        let counted = (account.clone(), who.to_string(), key.to_owned(), hour);
        let (used, refused) = counts.entry(counted).or_default();
        if record.succeeded() { *used += 1 } else { *refused += 1 }
    };
    if record.succeeded() {
        used_keys(record).for_each(&mut entry);
    } else {
        let keys = record.resources.iter().filter(|one| one.resource_type == "AWS::KMS::Key");
        keys.for_each(|one| entry(&one.arn));
    }
}

fn find(index: &Connection, directory: &dyn LogDirectory, query: &Query) -> Result<Vec<Found>, IndexError> {
    let mut found = Vec::new();
    let mut terms = Vec::new();
    for filter in &query.filters {
        if let Some(value) = filter.term() {
            terms.push(term(&query.account, filter.attribute, &value));
        }
    }
    let (low, high) = match within(index, query)? {
        Some(range) => range,
        None => return Ok(found),
    };
    let frequency = |term: &i64| -> Result<i64, IndexError> {
        let records = index
            .prepare_cached("SELECT records FROM frequency WHERE term = ?1")?
            .query_row([term], |row| row.get(0));
        Ok(records.optional()?.unwrap_or_default())
    };
    let mut rarest_first = Vec::new();
    for term in terms {
        rarest_first.push((frequency(&term)?, term));
    }
    rarest_first.sort_unstable();
    let mut rarest_first: Vec<i64> = rarest_first.into_iter().map(|(_, term)| term).collect();
    if rarest_first.is_empty() {
        rarest_first.push(account_term(&query.account));
    }
    let mut statement = index.prepare_cached(&candidates(rarest_first.len()))?;
    let bounds = [i64::try_from(low).unwrap_or(i64::MAX), i64::try_from(high).unwrap_or(i64::MAX)];
    let bound = rarest_first.iter().chain(&bounds);
    let mut rows = statement.query(rusqlite::params_from_iter(bound))?;
    while let Some(row) = rows.next()? {
        if found.len() >= query.limit {
            break;
        }
        let (sequence, place) = (row.get(0)?, Location { segment: row.get(1)?, offset: row.get(2)? });
        let record = place.read(directory, sequence)?.parse()?;
        if query.passes(&record) {
            found.push(Found { sequence, record });
        }
    }
    Ok(found)
}

/// Where the records stand that are filed under all of so many terms, the newest first.
fn candidates(terms: usize) -> String {
    let mut text = "SELECT record.sequence, record.segment, record.offset FROM posting AS p1".to_owned();
    for number in 2..=terms {
        text.push_str(&format!(
            " CROSS JOIN posting AS p{number} ON p{number}.term = ?{number} AND p{number}.sequence = p1.sequence"
        ));
    }
    let (low, high) = (terms + 1, terms + 2);
    text + &format!(
        " CROSS JOIN record ON record.sequence = p1.sequence WHERE p1.term = ?1 \
         AND p1.sequence >= ?{low} AND p1.sequence < ?{high} ORDER BY p1.sequence DESC"
    )
}

/// Between which numbers the records of the wanted time stand; none when there are none.
fn within(index: &Connection, query: &Query) -> Result<Option<(u64, u64)>, IndexError> {
    let millis = |time: Option<Timestamp>, otherwise| time.map_or(otherwise, |time| time.as_millis());
    let (since, until) = (millis(query.since, i64::MIN), millis(query.until, i64::MAX));
    let range: (Option<u64>, Option<u64>) = index
        .prepare_cached("SELECT min(first), max(last) FROM span WHERE latest >= ?1 AND earliest <= ?2")?
        .query_row([since, until], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(low), Some(last)) = range else { return Ok(None) };
    Ok(Some((low, query.below.unwrap_or(u64::MAX).min(last.saturating_add(1)))))
}

/// What an attribute's value is filed under.
fn term(account: &AccountId, attribute: Attribute, value: &str) -> i64 {
    hashed(&[account.as_str().as_bytes(), &[0, attribute as u8], value.as_bytes()])
}

/// What all records of an account are filed under.
fn account_term(account: &AccountId) -> i64 {
    hashed(&[account.as_str().as_bytes(), &[1]])
}

fn hashed(parts: &[&[u8]]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(parts);
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}
