//! Damaged, truncated, edited and exchanged files: a clear error and nothing written, or the same data; never a panic.

use std::{collections::BTreeMap, fs, path::PathBuf};

use keystead::{
    audit::{
        query::{Attribute, Filter},
        read,
    },
    keystore::{Keystore, KeystoreError, WithoutAsking},
    kms::{DisableKey, EnableKey, ScheduleKeyDeletion},
    model::{Days, KeyArn, KeyState},
    services::cloudtrail::Search,
    storage::StorageError,
    world::Row,
};

use crate::place::{Place, decrypt, make_key, refused};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Changes one file, opens the keystore, and checks that it was refused without a trace or is what it was.
fn open_changed(place: &Place, whole: &Files, path: &PathBuf, bytes: Vec<u8>, rows: &[Row]) -> bool {
    fs::write(path, bytes).unwrap();
    let changed = place.files();
    let refused = match place.open() {
        Ok(keystore) => {
            assert_eq!(keystore.world().unwrap().to_rows(), rows);
            false
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(place.files() == changed, "a refused opening wrote something: {error}");
            true
        }
    };
    place.restore(whole);
    refused
}

fn closed() -> (Place, Files, Vec<Row>) {
    let (place, ..) = Place::filled();
    let rows = place.open().unwrap().world().unwrap().to_rows();
    let whole = place.files();
    (place, whole, rows)
}

#[test]
fn a_flipped_bit_anywhere_in_the_database_is_refused_or_means_nothing() {
    let (place, whole, rows) = closed();
    let path = place.database();
    let (mut refused, mut tried) = (0, 0);
    for at in (0..whole[&path].len()).step_by(149) {
        let mut bytes = whole[&path].clone();
        bytes[at] ^= 1 << (at % 8);
        refused += usize::from(open_changed(&place, &whole, &path, bytes, &rows));
        tried += 1;
    }
    assert!(tried > 100 && refused > tried / 10, "{refused} of {tried} were refused");
}

#[test]
fn a_database_cut_off_anywhere_is_refused() {
    let (place, whole, rows) = closed();
    let path = place.database();
    for end in (0..whole[&path].len()).step_by(1021) {
        let bytes = whole[&path][..end].to_vec();
        assert!(open_changed(&place, &whole, &path, bytes, &rows), "cut at {end}");
    }
}

#[test]
fn a_log_cut_off_or_edited_anywhere_is_refused() {
    let (place, key, _) = Place::filled();
    // The last thing that happened is a change, so the state reaches as far as the log.
    let keystore = place.open().unwrap();
    keystore.kms().disable_key(&keystore.administrator(), DisableKey { key_id: key.into() }).unwrap();
    let rows = keystore.world().unwrap().to_rows();
    drop(keystore);
    let (whole, path) = (place.files(), place.segment());
    for at in (0..whole[&path].len()).step_by(211) {
        assert!(open_changed(&place, &whole, &path, whole[&path][..at].to_vec(), &rows), "cut at {at}");
        let mut bytes = whole[&path].clone();
        bytes[at] ^= 0x10;
        assert!(open_changed(&place, &whole, &path, bytes, &rows), "edited at {at}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(refused(place.open()), KeystoreError::Audit(_)));
    place.restore(&whole);
    assert!(place.open().is_ok());
}

#[test]
fn a_newer_format_asks_for_a_newer_program_and_an_older_one_for_the_program_that_made_it() {
    let (place, whole, rows) = closed();
    // "The Database Header" (SQLite file format): the user version, big endian, at 60.
    let version = whole[&place.database()][63];
    for (other, words) in [(version + 1, "use a newer keystead"), (version - 1, "the keystead that made it")]
    {
        let mut bytes = whole[&place.database()].clone();
        bytes[63] = other;
        fs::write(place.database(), &bytes).unwrap();
        let error = refused(place.open());
        let KeystoreError::Storage(
            StorageError::NewerFormat { found, .. } | StorageError::OlderFormat { found, .. },
        ) = &error
        else {
            panic!("{error}")
        };
        assert_eq!(*found, u32::from(other));
        assert!(error.hints()[0].contains(words), "{:?}", error.hints());
        assert!(open_changed(&place, &whole, &place.database(), bytes, &rows));
        place.restore(&whole);
    }
}

#[test]
fn a_keystore_that_was_killed_opens_with_all_that_it_answered() {
    let (place, key, ciphertext) = Place::filled();
    let keystore = place.open().unwrap();
    let other = make_key(&keystore, None);
    // What a killed process leaves is what is on the disk now, the database's journal included.
    let killed = place.files();
    drop(keystore);
    assert!(killed.keys().any(|path| path.to_string_lossy().ends_with("-wal")));
    place.restore(&killed);
    let keystore = place.open().unwrap();
    let world = keystore.world().unwrap();
    assert!(world.key(&key).is_some() && world.key(&other).is_some());
    assert_eq!(decrypt(&keystore, &ciphertext), b"a short plaintext");
    let tail = keystore.audit_tail(&keystore.administrator(), 9).unwrap();
    assert!(tail.iter().all(|record| record.event_name != "RecoverAfterCrash"));
}

fn state_of(keystore: &Keystore, key: &KeyArn) -> Option<KeyState> {
    keystore.world().unwrap().key(key).map(|key| key.state)
}

#[test]
fn an_older_database_beside_a_newer_log_brings_no_deleted_key_back() {
    let (place, key, _) = Place::filled();
    let before = fs::read(place.database()).unwrap();
    let keystore = place.open().unwrap();
    let admin = keystore.administrator();
    let schedule = ScheduleKeyDeletion { key_id: key.clone().into(), pending_window: Some(Days::new(7)) };
    keystore.kms().schedule_key_deletion(&admin, schedule).unwrap();
    keystore.advance_clock(&admin, Days::new(8)).unwrap();
    assert_eq!(state_of(&keystore, &key), None);
    drop(keystore);
    let after = place.files();

    fs::write(place.database(), before).unwrap();
    let changed = place.files();
    let error = refused(place.open());
    assert!(matches!(error, KeystoreError::Torn(_)), "{error}");
    assert!(error.to_string().contains("older copy"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("--accept-rollback")), "{:?}", error.hints());
    assert!(place.files() == changed);
    place.restore(&after);
    assert_eq!(state_of(&place.open().unwrap(), &key), None);
}

#[test]
fn an_older_database_is_taken_when_that_is_said_and_the_log_says_so() {
    let (place, key, ciphertext) = Place::filled();
    let before = fs::read(place.database()).unwrap();
    let keystore = place.open().unwrap();
    let admin = keystore.administrator();
    let size_before = read::records(&keystore.audit_directory().unwrap(), 0).unwrap().count();
    keystore.kms().disable_key(&admin, DisableKey { key_id: key.clone().into() }).unwrap();
    let other = make_key(&keystore, None);
    let checkpoint = keystore.audit_checkpoint().unwrap();
    drop(keystore);
    let accept =
        || Keystore::open_accepting_rollback(&place.directory(), &mut WithoutAsking, "the tests").unwrap();
    assert_eq!(accept().1, None, "nothing was rolled back yet");

    fs::write(place.database(), &before).unwrap();
    assert!(matches!(refused(place.open()), KeystoreError::Torn(_)));
    let (keystore, accepted) = accept();
    let accepted = accepted.unwrap();
    assert_eq!((accepted.state_size, accepted.not_applied), (size_before as u64, 2));
    assert_eq!((state_of(&keystore, &key), state_of(&keystore, &other)), (Some(KeyState::Enabled), None));
    assert_eq!(decrypt(&keystore, &ciphertext), b"a short plaintext");
    let tail = keystore.audit_tail(&keystore.administrator(), 9).unwrap();
    let record = tail.iter().find(|record| record.event_name == "AcceptRollback").unwrap();
    let details = &record.response_elements;
    assert_eq!((&details["stateSize"], &details["notAppliedCount"]), (&size_before.into(), &2.into()));
    assert_eq!(details["notApplied"].as_array().unwrap().len(), 2);
    let named: Vec<&str> = accepted.given_up.iter().map(|one| &*one.event_name).collect();
    assert_eq!(named, ["DisableKey", "CreateKey"]);
    assert_eq!(accepted.given_up[0].resources[0].arn, key.to_string());
    // Somebody did that, and it is a write.
    assert_eq!((record.read_only, record.succeeded()), (false, true));
    assert_eq!(record.user_identity.arn.as_ref(), keystore.administrator().arn());
    assert!(record.user_identity.principal_id.is_some());
    assert!(record.additional_event_data.as_ref().unwrap()["operatingSystemUser"].is_u64());
    let write = |attribute, value: &str| Filter::new(attribute, value).unwrap();
    let filters = vec![write(Attribute::EventName, "AcceptRollback"), write(Attribute::ReadOnly, "false")];
    let search = Search { filters, ..Search::default() };
    assert_eq!(keystore.cloudtrail().search(&keystore.administrator(), &search, 9).unwrap().len(), 1);
    // The log goes on from where it was: who kept a checkpoint finds all that was given up still in it.
    keystore.audit_verify_against(Some(&checkpoint)).unwrap();
    drop(keystore);
    // It is said once, and the keystore is one like any other.
    assert_eq!(accept().1, None);
    assert_eq!(state_of(&place.open().unwrap(), &key), Some(KeyState::Enabled));
}

#[test]
fn a_log_older_than_its_database_is_refused_whatever_is_accepted() {
    let (place, key, _) = Place::filled();
    let before = fs::read(place.segment()).unwrap();
    let keystore = place.open().unwrap();
    keystore.kms().disable_key(&keystore.administrator(), DisableKey { key_id: key.into() }).unwrap();
    drop(keystore);
    fs::write(place.segment(), before).unwrap();
    let changed = place.files();
    let opened = Keystore::open_accepting_rollback(&place.directory(), &mut WithoutAsking, "the tests");
    assert!(matches!(refused(opened), KeystoreError::Audit(_)));
    assert!(place.files() == changed);
}

#[test]
fn a_newer_database_beside_an_older_log_is_refused() {
    let (place, key, _) = Place::filled();
    let before = fs::read(place.segment()).unwrap();
    let keystore = place.open().unwrap();
    keystore.kms().disable_key(&keystore.administrator(), DisableKey { key_id: key.into() }).unwrap();
    drop(keystore);
    fs::write(place.segment(), before).unwrap();
    assert!(matches!(refused(place.open()), KeystoreError::Audit(_)));
}

/// One change back is what a crash leaves too, and nothing on the disk tells the two apart: the log says what came of it.
#[test]
fn a_database_one_change_older_is_taken_for_a_crash_and_the_log_says_so_once() {
    let (place, key, _) = Place::filled();
    let before = fs::read(place.database()).unwrap();
    let keystore = place.open().unwrap();
    keystore.kms().disable_key(&keystore.administrator(), DisableKey { key_id: key.clone().into() }).unwrap();
    drop(keystore);
    fs::write(place.database(), before).unwrap();
    let keystore = place.open().unwrap();
    let admin = keystore.administrator();
    assert_eq!(state_of(&keystore, &key), Some(KeyState::Enabled));
    let tail = keystore.audit_tail(&admin, 2).unwrap();
    assert_eq!((&*tail[0].event_name, &*tail[1].event_name), ("DisableKey", "RecoverAfterCrash"));
    let details = tail[1].service_event_details.as_ref().unwrap();
    assert_eq!(details["notApplied"], serde_json::json!([tail[0].event_id]));
    keystore.kms().enable_key(&admin, EnableKey { key_id: key.into() }).unwrap();
    drop(keystore);
    let keystore = place.open().unwrap();
    let records = keystore.audit_tail(&keystore.administrator(), 99).unwrap();
    assert_eq!(records.iter().filter(|record| record.event_name == "RecoverAfterCrash").count(), 1);
    keystore.audit_verify().unwrap();
}

#[test]
fn reads_that_are_cut_off_the_log_are_missed() {
    let (place, _, ciphertext) = Place::filled();
    let segment = place.segment();
    let before = fs::read(&segment).unwrap();
    {
        let keystore = place.open().unwrap();
        assert_eq!(decrypt(&keystore, &ciphertext), b"a short plaintext");
    }
    let after = fs::read(&segment).unwrap();
    assert!(after.len() > before.len());
    // The Decrypt changed nothing, and its record may still not vanish.
    fs::write(&segment, &before).unwrap();
    let error = refused(place.open());
    assert!(matches!(error, KeystoreError::Audit(_)), "{error}");
    fs::write(&segment, &after).unwrap();
    assert!(place.open().is_ok());
}
