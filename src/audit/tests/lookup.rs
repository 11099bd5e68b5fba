//! Looking things up: the index finds what reading the whole log finds, and is believed in nothing.

use proptest::prelude::*;

use super::*;
use crate::{
    audit::{
        follow::Bookmark,
        index::IndexedLog,
        query::{Attribute, Filter, Query},
        record::tests::sample,
    },
    model::{ErrorCode, Timestamp},
};

/// A record that differs from its neighbours in everything that can be asked for.
fn numbered(number: u64) -> Record {
    let mut record = sample();
    record.event_id = format!("00000000-0000-4000-8000-{number:012}");
    record.event_time = Timestamp::from_millis(1_000_000 + i64::try_from(number).unwrap() * 1000);
    record.user_identity.arn =
        Some(format!("arn:aws:iam::111122223333:user/user{}", number % 3).parse().unwrap());
    record.user_identity.user_name = Some(format!("user{}", number % 3));
    record.event_name = ["Decrypt", "Encrypt", "DescribeKey"][usize::try_from(number % 2).unwrap()].into();
    (record.error_code, record.error_message) = (None, None);
    if number.is_multiple_of(5) {
        record.set_error(ErrorCode::AccessDenied, "no");
    }
    record
}

fn filled(count: u64) -> (Place, IndexedLog) {
    let place = Place::new();
    let mut log = place.create();
    for number in 0..count {
        log.append_batch(&[numbered(number).to_canonical_bytes()]).unwrap();
    }
    let index = IndexedLog::new(Box::new(place.disk()), Some(place.path().join("index.db")));
    (place, index)
}

fn query(filters: &[(Attribute, &str)]) -> Query {
    let account = "111122223333".parse().unwrap();
    filters.iter().fold(Query::of(account, usize::MAX), |query, (attribute, value)| {
        query.with(Filter::new(*attribute, *value).unwrap())
    })
}

fn found(index: &IndexedLog, query: &Query) -> Vec<u64> {
    index.find(query).unwrap().into_iter().map(|found| found.sequence).collect()
}

/// What reading everything finds.
fn by_reading(place: &Place, query: &Query) -> Vec<u64> {
    let all: Vec<_> = read::records(&place.disk(), 0).unwrap().map(Result::unwrap).collect();
    let passing = all.iter().rev().filter(|stored| query.passes(&stored.parse().unwrap()));
    passing.map(|stored| stored.sequence).take(query.limit).collect()
}

#[test]
fn the_index_finds_what_reading_everything_finds() {
    let (place, index) = filled(60);
    let queries: [&[(Attribute, &str)]; 8] = [
        &[],
        &[(Attribute::Principal, "user/user1")],
        &[(Attribute::Principal, "user/user1"), (Attribute::Outcome, "denied")],
        &[(Attribute::Outcome, "ok"), (Attribute::EventName, "Encrypt")],
        &[(Attribute::EventId, "00000000-0000-4000-8000-000000000042")],
        &[(Attribute::ResourceName, "1234abcd-12ab-34cd-56ef-1234567890ab")],
        &[(
            Attribute::KeyUsed,
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        )],
        &[(Attribute::Username, "nobody")],
    ];
    for filters in queries {
        let whole = query(filters);
        assert_eq!(found(&index, &whole), by_reading(&place, &whole), "{filters:?}");
        let time = |seconds: i64| Some(Timestamp::from_millis(1_000_000 + seconds * 1000));
        let part = Query { since: time(10), until: time(30), limit: 3, below: Some(25), ..whole };
        let expected: Vec<u64> = by_reading(&place, &Query { limit: usize::MAX, ..part.clone() })
            .into_iter()
            .filter(|n| *n < 25)
            .take(3)
            .collect();
        assert_eq!(found(&index, &part), expected, "{filters:?}");
    }
    let other = Query { account: "444455556666".parse().unwrap(), ..query(&[]) };
    assert!(found(&index, &other).is_empty(), "another account sees nothing");
}

#[test]
fn the_index_follows_the_log_and_is_made_anew_when_it_does_not_fit() {
    let (place, index) = filled(10);
    assert_eq!(found(&index, &query(&[])).len(), 10);
    let mut log = place.open(None).unwrap();
    log.append_batch(&[numbered(10).to_canonical_bytes()]).unwrap();
    assert_eq!(found(&index, &query(&[])).first(), Some(&10));
    drop(index);
    // Damaged, of another log, deleted: each time what is found is the log's.
    let path = place.path().join("index.db");
    let reopened = || IndexedLog::new(Box::new(place.disk()), Some(path.clone()));
    fs::write(&path, b"this is no database, and longer than a header of one would be, by far and away")
        .unwrap();
    assert_eq!(found(&reopened(), &query(&[])).len(), 11);
    let (_other, index) = {
        let other = Place::new();
        let mut log = other.create();
        log.append_batch(&[numbered(77).to_canonical_bytes()]).unwrap();
        let index = IndexedLog::new(Box::new(other.disk()), Some(path.clone()));
        (other, index)
    };
    assert_eq!(found(&index, &query(&[])), [0]);
    drop(index);
    assert_eq!(found(&reopened(), &query(&[])).len(), 11);
    fs::remove_file(&path).unwrap();
    assert_eq!(found(&reopened(), &query(&[])).len(), 11);
}

#[test]
fn what_the_index_finds_is_read_from_the_log() {
    let (place, index) = filled(4);
    assert_eq!(found(&index, &query(&[(Attribute::EventName, "Decrypt")])).len(), 2);
    drop(index);
    // An index that says that the records stand elsewhere is not believed.
    let database = rusqlite::Connection::open(place.path().join("index.db")).unwrap();
    database.execute("UPDATE record SET offset = offset + 1 WHERE sequence = 2", []).unwrap();
    drop(database);
    let index = IndexedLog::new(Box::new(place.disk()), Some(place.path().join("index.db")));
    assert_eq!(found(&index, &query(&[(Attribute::EventName, "Decrypt")])), [2, 0]);
}

#[test]
fn a_log_with_compressed_and_pruned_segments_verifies_is_opened_and_looked_up() {
    let (place, index) = filled(60);
    let position = place.open(None).unwrap().position();
    let names = place.disk().list().unwrap();
    assert!(names.len() > 4);
    names[..names.len() - 1].iter().for_each(|name| place.disk().compress(name).unwrap());
    assert!(!place.path().join(&names[0]).exists());
    assert_eq!(place.verify(Some(position)).unwrap().records, 60);
    assert_eq!(found(&index, &query(&[])).len(), 60);
    assert!(place.open(Some(LogPosition::empty())).is_ok());

    // Removed without a record of it: a gap, also to who holds the key.
    let directory = place.disk();
    let time = Timestamp::from_millis(1_000_000 + 30_000);
    let prune = prune::Prune::before(&directory, time).unwrap().unwrap();
    assert!((1..=30).contains(&prune.first_kept));
    assert_eq!(prune::Prune::before(&directory, Timestamp::from_millis(0)).unwrap(), None);
    let mut log = place.open(None).unwrap();
    let pruning = |prune: prune::Prune| Record {
        event_source: prune::EVENT_SOURCE.into(),
        event_name: prune::EVENT_NAME.into(),
        response_elements: prune.to_elements(),
        error_code: None,
        ..numbered(100)
    };
    let denied = Record { error_code: Some("AccessDenied".into()), ..pruning(prune) };
    let elsewhere = Record { event_source: "kms.amazonaws.com".into(), ..pruning(prune) };
    let forged = pruning(prune::Prune { root: [7; 32], ..prune });
    for not_it in [denied, elsewhere, forged] {
        log.append_batch(&[not_it.to_canonical_bytes()]).unwrap();
    }
    let backup = tempfile::tempdir().unwrap();
    for name in &names {
        for name in [name.clone(), format!("{name}.gz")] {
            let _either = fs::copy(place.path().join(&name), backup.path().join(&name));
        }
    }
    assert!(prune.carry_out(&directory).unwrap() > 0);
    let fault = place.verify(None).unwrap_err();
    assert_eq!(fault.finding(), Finding::Gap, "{fault}");
    // With its record it is believed, and the log goes on; a checkpoint from before cannot be compared.
    log.append_batch(&[pruning(prune).to_canonical_bytes()]).unwrap();
    let verified = place.verify(Some(position)).unwrap();
    assert_eq!((verified.first_kept, verified.records), (prune.first_kept, 64));
    let before = place.verify(Some(LogPosition { size: 1, root: [0; 32] })).unwrap_err();
    assert_eq!(before.finding(), Finding::Pruned);
    assert_eq!(found(&index, &query(&[])).len() as u64, 64 - prune.first_kept);
    assert!(found(&index, &query(&[(Attribute::EventName, "PruneAuditLog")])).len() >= 2);
    // One segment more than the record covers.
    let next = directory.list().unwrap()[0].clone();
    directory.remove(&next).unwrap();
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::Gap);
}

#[test]
fn a_changed_compressed_segment_is_an_edit() {
    let (place, _) = filled(60);
    let name = place.disk().list().unwrap()[1].clone();
    place.disk().compress(&name).unwrap();
    let path = place.path().join(format!("{name}.gz"));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::Edit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reading_on_in_pieces_reads_everything_once(pieces in proptest::collection::vec(1usize..9, 1..30)) {
        let (place, _) = Place::filled();
        let (mut bookmark, mut read) = (Bookmark::START, Vec::new());
        for piece in pieces.iter().chain([&1000]) {
            read.extend(bookmark.read_on(&place.disk(), *piece).unwrap());
        }
        let numbers: Vec<u64> = read.iter().map(|record| record.sequence).collect();
        prop_assert_eq!(numbers, (0..36).collect::<Vec<_>>());
        for stored in read {
            prop_assert_eq!(stored.place.read(&place.disk(), stored.sequence).unwrap(), stored);
        }
        prop_assert_eq!(Bookmark::end_of(&place.disk()).unwrap(), bookmark);
    }
}
