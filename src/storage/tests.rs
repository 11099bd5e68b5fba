//! What every storage must do, and what SQLite's must survive.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const TABLES: &[&str] = &["key", "user"];

fn key(seed: u8) -> SecretKey {
    SecretKey::from_slice(&[seed; 32]).unwrap()
}

fn meta() -> Meta {
    Meta::from([("account".into(), b"111122223333".to_vec()), ("sealed-root".into(), vec![9; 48])])
}

fn id(table: &'static str, id: &str) -> RowId {
    RowId { table, id: id.into() }
}

fn row(table: &'static str, name: &str, body: impl Into<Vec<u8>>) -> Row {
    Row { id: id(table, name), body: body.into() }
}

fn at(size: u64) -> LogPosition {
    LogPosition { size, root: [u8::try_from(size % 251).unwrap(); 32] }
}

fn database(place: &TempDir) -> PathBuf {
    place.path().join("keystead.db")
}

fn create(place: &TempDir) -> SqliteStorage {
    SqliteStorage::create(&database(place), meta(), key(1), TABLES).unwrap()
}

fn reopen(place: &TempDir) -> Result<(SqliteStorage, Snapshot), StorageError> {
    load(&database(place), 1)
}

fn load(path: &Path, seed: u8) -> Result<(SqliteStorage, Snapshot), StorageError> {
    let mut storage = SqliteStorage::open(path)?.unlock(key(seed), TABLES);
    let snapshot = storage.load()?;
    Ok((storage, snapshot))
}

fn filled(place: &TempDir) -> Snapshot {
    let mut storage = create(place);
    let puts = (0..20).map(|n| row("key", &format!("k{n}"), vec![b'a' + n; 300]));
    storage.commit(&Batch { puts: puts.collect(), ..Batch::at(at(3)) }).unwrap();
    storage.load().unwrap()
}

/// The promises of [`Storage`], whoever keeps them.
fn keeps_its_promises(storage: &mut dyn Storage) {
    assert_eq!(storage.load().unwrap(), Snapshot { meta: meta(), rows: vec![], log: None });

    let puts =
        vec![row("user", "bob", "1"), row("key", "b", "2"), row("key", "a", "3"), row("key", "bob", "4")];
    storage.commit(&Batch { puts, ..Batch::at(at(1)) }).unwrap();
    let ids = |snapshot: &Snapshot| {
        snapshot.rows.iter().map(|row| format!("{}/{}", row.id.table, row.id.id)).collect::<Vec<_>>()
    };
    let snapshot = storage.load().unwrap();
    assert_eq!(ids(&snapshot), ["key/a", "key/b", "key/bob", "user/bob"]);
    assert_eq!(snapshot.log, Some(at(1)));

    let batch = Batch {
        puts: vec![row("key", "b", "new"), row("key", "c", "short-lived")],
        deletes: vec![id("key", "a"), id("key", "c"), id("key", "nobody")],
        meta: vec![("account".into(), b"444455556666".to_vec()), ("clock".into(), vec![])],
        erases: true,
        ..Batch::at(at(2))
    };
    storage.commit(&batch).unwrap();
    let snapshot = storage.load().unwrap();
    assert_eq!(ids(&snapshot), ["key/b", "key/bob", "user/bob"]);
    assert_eq!(snapshot.rows[0].body, b"new");
    assert_eq!(snapshot.meta["account"], b"444455556666");
    assert_eq!(snapshot.meta.len(), 3);

    let new = Snapshot {
        meta: Meta::from([("sealed-root".into(), vec![8; 48])]),
        rows: vec![row("key", "b", "resealed")],
        log: Some(at(3)),
    };
    storage.reseal(key(2), &new).unwrap();
    assert_eq!(storage.load().unwrap(), new);
    storage.commit(&Batch::at(at(4))).unwrap();
    assert_eq!(storage.load().unwrap(), Snapshot { log: Some(at(4)), ..new });
}

#[test]
fn both_storages_keep_their_promises() {
    keeps_its_promises(&mut MemoryStorage::new(meta()));
    let place = tempfile::tempdir().unwrap();
    keeps_its_promises(&mut create(&place));
    assert!(matches!(reopen(&place), Err(StorageError::RowForged { .. })), "the key was replaced");
    let (_, snapshot) = load(&database(&place), 2).unwrap();
    assert_eq!((snapshot.rows.len(), snapshot.log), (1, Some(at(4))));
}

#[test]
fn the_meta_entries_are_known_before_unlocking() {
    let place = tempfile::tempdir().unwrap();
    drop(create(&place));
    assert_eq!(SqliteStorage::open(&database(&place)).unwrap().meta(), &meta());
}

#[test]
fn what_is_committed_is_there_after_a_crash() {
    let place = tempfile::tempdir().unwrap();
    let mut storage = create(&place);
    storage.commit(&Batch { puts: vec![row("key", "a", "1")], ..Batch::at(at(1)) }).unwrap();
    // A copy of the files while they are open is what a crash leaves.
    let image = tempfile::tempdir().unwrap();
    for name in ["keystead.db", "keystead.db-wal"] {
        fs::copy(place.path().join(name), image.path().join(name)).unwrap();
    }
    let (_, snapshot) = reopen(&image).unwrap();
    assert_eq!(snapshot.rows, [row("key", "a", "1")]);
}

#[test]
fn files_are_for_their_owner_alone_and_one_process_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let mut storage = create(&place);
    storage.commit(&Batch::at(at(1))).unwrap();
    for entry in fs::read_dir(place.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    assert!(matches!(SqliteStorage::open(&database(&place)), Err(StorageError::Busy)));
    let again = SqliteStorage::create(&database(&place), meta(), key(1), TABLES);
    assert!(matches!(again, Err(StorageError::Exists)));
    drop(storage);
    fs::set_permissions(database(&place), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(SqliteStorage::open(&database(&place)), Err(StorageError::Exposed { mode: 0o640 })));
}

/// Opens the file as somebody with the `sqlite3` command would.
fn edit(place: &TempDir, sql: &str) {
    rusqlite::Connection::open(database(place)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn an_edited_row_is_named() {
    for sql in [
        "UPDATE row SET body = x'78' WHERE id = 'k7'",
        "UPDATE row SET mac = zeroblob(32) WHERE id = 'k7'",
        "UPDATE row SET mac = x'' WHERE id = 'k7'",
        "UPDATE row SET mac = (SELECT mac FROM row WHERE id = 'k6') WHERE id = 'k7'",
        "UPDATE row SET body = (SELECT body FROM row WHERE id = 'k6') WHERE id = 'k7'",
    ] {
        let place = tempfile::tempdir().unwrap();
        filled(&place);
        edit(&place, sql);
        let error = reopen(&place).unwrap_err();
        assert!(
            matches!(&error, StorageError::RowForged { table, id } if table == "key" && id == "k7"),
            "{sql}: {error}"
        );
    }
}

#[test]
fn a_removed_or_restored_row_is_noticed_though_each_row_is_authentic() {
    for sql in [
        "DELETE FROM row WHERE id = 'k7'",
        "UPDATE meta SET value = x'78' WHERE name = 'account'",
        "DELETE FROM meta WHERE name = 'account'",
        "INSERT INTO meta VALUES ('extra', x'')",
        "UPDATE state SET log_size = 2",
        "UPDATE state SET log_size = NULL, log_root = NULL",
    ] {
        let place = tempfile::tempdir().unwrap();
        filled(&place);
        edit(&place, sql);
        assert!(matches!(reopen(&place), Err(StorageError::StateForged)), "{sql}");
    }

    let place = tempfile::tempdir().unwrap();
    filled(&place);
    let old: (Vec<u8>, Vec<u8>) = rusqlite::Connection::open(database(&place))
        .unwrap()
        .query_row("SELECT body, mac FROM row WHERE id = 'k7'", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let (mut storage, _) = reopen(&place).unwrap();
    storage.commit(&Batch { puts: vec![row("key", "k7", "disabled")], ..Batch::at(at(4)) }).unwrap();
    drop(storage);
    let (body, mac) = (hex::encode(old.0), hex::encode(old.1));
    edit(&place, &format!("UPDATE row SET body = x'{body}', mac = x'{mac}' WHERE id = 'k7'"));
    assert!(matches!(reopen(&place), Err(StorageError::StateForged)));
}

#[test]
fn a_changed_schema_is_refused() {
    for sql in [
        "CREATE TABLE copy(body)",
        "CREATE TRIGGER thief AFTER INSERT ON row BEGIN SELECT 1; END",
        "DROP TABLE state",
        "CREATE VIEW other AS SELECT * FROM row",
    ] {
        let place = tempfile::tempdir().unwrap();
        filled(&place);
        edit(&place, sql);
        assert!(matches!(reopen(&place), Err(StorageError::Damaged { .. })), "{sql}");
    }
}

#[test]
fn a_newer_older_or_foreign_file_is_refused_and_not_written() {
    for (sql, what) in [
        ("PRAGMA user_version = 3", "newer"),
        ("PRAGMA user_version = 1", "older"),
        ("PRAGMA application_id = 7", "foreign"),
    ] {
        let place = tempfile::tempdir().unwrap();
        filled(&place);
        edit(&place, sql);
        let before = fs::read(database(&place)).unwrap();
        match reopen(&place).unwrap_err() {
            StorageError::NewerFormat { found: 3, known: 2 } if what == "newer" => {}
            StorageError::OlderFormat { found: 1, known: 2 } if what == "older" => {}
            StorageError::NotAKeystore { .. } if what == "foreign" => {}
            other => panic!("{sql}: {other}"),
        }
        assert_eq!(fs::read(database(&place)).unwrap(), before);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "no journal was made");
    }
    let place = tempfile::tempdir().unwrap();
    fs::write(database(&place), b"not a database at all").unwrap();
    fs::set_permissions(database(&place), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(reopen(&place), Err(StorageError::NotAKeystore { .. })));
    assert!(matches!(load(&place.path().join("none"), 1), Err(StorageError::Io { .. })));
    std::os::unix::fs::symlink(database(&place), place.path().join("link")).unwrap();
    assert!(matches!(load(&place.path().join("link"), 1), Err(StorageError::NotAKeystore { .. })));
}

/// An image with this content opens with the very same data, or is refused and stays as it is.
fn refused_or_the_same(bytes: &[u8], expected: &Snapshot) -> Option<StorageError> {
    let image = tempfile::tempdir().unwrap();
    fs::write(database(&image), bytes).unwrap();
    fs::set_permissions(database(&image), fs::Permissions::from_mode(0o600)).unwrap();
    match reopen(&image) {
        Ok((_, snapshot)) => {
            assert_eq!(&snapshot, expected);
            None
        }
        Err(error) => {
            assert_eq!(fs::read(database(&image)).unwrap(), bytes, "written to although refused: {error}");
            Some(error)
        }
    }
}

#[test]
fn a_database_that_is_cut_off_is_damaged() {
    let place = tempfile::tempdir().unwrap();
    let expected = filled(&place);
    let bytes = fs::read(database(&place)).unwrap();
    for end in (0..bytes.len()).step_by(509).chain([1, 15, 16, 17, 99, 100, 4095, 4096, bytes.len() - 1]) {
        let error = refused_or_the_same(&bytes[..end], &expected);
        assert!(matches!(error, Some(StorageError::Damaged { .. })), "cut at {end}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_flipped_bit_is_refused_or_was_not_in_use(at in any::<prop::sample::Index>(), bit in 0..8, early: bool) {
        let place = tempfile::tempdir().unwrap();
        let expected = filled(&place);
        let mut bytes = fs::read(database(&place)).unwrap();
        let at = at.index(if early { 200 } else { bytes.len() });
        bytes[at] ^= 1u8 << bit;
        refused_or_the_same(&bytes, &expected);
    }

    /// Whatever came before, what a batch erased is nowhere in the files, and the rest is as it was.
    #[test]
    fn erased_bytes_are_in_no_file(
        rows in prop::collection::vec((0u8..30, 40usize..6000), 1..60), victims in prop::collection::vec(0u8..30, 1..8),
    ) {
        let place = tempfile::tempdir().unwrap();
        let mut storage = create(&place);
        let body = |name: u8, length: usize| format!("<secret of {name:03}>").repeat(length / 15);
        let mut expected = BTreeMap::new();
        for (size, (name, length)) in (1..).zip(&rows) {
            let put = row("key", &name.to_string(), body(*name, *length));
            expected.insert(put.id.clone(), put.body.clone());
            storage.commit(&Batch { puts: vec![put], ..Batch::at(at(size)) }).unwrap();
        }
        let deletes: Vec<RowId> = victims.iter().map(|name| id("key", &name.to_string())).collect();
        expected.retain(|id, _| !deletes.contains(id));
        storage.commit(&Batch { deletes, erases: true, ..Batch::at(at(100)) }).unwrap();
        for entry in fs::read_dir(place.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            for name in &victims {
                let needle = format!("secret of {name:03}");
                prop_assert!(!bytes.windows(needle.len()).any(|part| part == needle.as_bytes()), "{needle}");
            }
        }
        let loaded = storage.load().unwrap().rows.into_iter().map(|row| (row.id, row.body));
        prop_assert_eq!(loaded.collect::<BTreeMap<_, _>>(), expected);
    }
}
