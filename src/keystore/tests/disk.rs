//! A disk that is full, fails or hangs under a keystore at work.

use std::{
    io,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64},
        mpsc,
    },
};

use super::*;
use crate::{
    audit::SEGMENT_BYTES_MAX,
    audit::injected::{Hooked, Step},
    kms::CallOptions,
};

/// An error of the disk (`errno.h`).
const EIO: i32 = 5;

/// At which step something happens.
type At = fn(Step<'_>) -> bool;
/// With which error.
type ErrorOf = fn() -> io::Error;

/// A keystore whose log's disk fails at a step when told to, once.
fn failing(place: &Place, at: At, error: ErrorOf) -> (Keystore, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&fails);
    let disk =
        move |disk| -> Box<dyn LogDirectory> {
            Hooked::new(disk, move |_, step| {
                if at(step) && told.swap(false, Ordering::SeqCst) { Err(error()) } else { Ok(()) }
            })
        };
    (place.create_on(SEGMENT_BYTES_MAX, disk, |storage| storage), fails)
}

#[test]
fn after_a_failed_write_or_sync_every_call_is_refused_until_the_keystore_is_opened_anew() {
    let full = || io::ErrorKind::StorageFull.into();
    let broken = || io::Error::from_raw_os_error(EIO);
    let writes: At = |step| matches!(step, Step::Appending(_));
    let syncs: At = |step| step == Step::Syncing;
    let cases: [(&str, At, ErrorOf); 3] = [
        ("the disk is full", writes, full),
        ("a write fails", writes, broken),
        ("a sync fails", syncs, broken),
    ];
    for (what, at, error) in cases {
        let place = Place::new();
        let (keystore, fails) = failing(&place, at, error);
        let key = create_key(&keystore).unwrap();
        fails.store(true, Ordering::SeqCst);
        // A read, whose record cannot be written: not answered either.
        let describe = DescribeKey { key_id: key.clone().into() };
        let refused = keystore.kms().describe_key(&keystore.administrator(), describe).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::KmsInternal, "{what}");
        // The disk is well again, and that helps nobody before the log was read anew.
        assert!(!fails.load(Ordering::SeqCst), "{what}");
        assert_latched(&keystore, &key);
        drop(keystore);
        let keystore = place.open();
        assert!(keystore.world().unwrap().key(&key).is_some(), "{what}");
        create_key(&keystore).unwrap();
        keystore.audit_verify().unwrap();
    }
}

/// A disk that answers nothing while it is held.
#[derive(Default)]
struct Held {
    held: Mutex<bool>,
    changed: Condvar,
    reached: AtomicU64,
}

impl Held {
    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut held = self.held.lock().unwrap();
        if *held {
            self.reached.fetch_add(1, Ordering::SeqCst);
        }
        while *held {
            held = self.changed.wait(held).unwrap();
        }
    }
}

#[test]
fn while_the_disk_hangs_nothing_is_answered_and_what_needs_no_record_goes_on() {
    let place = Place::new();
    let held = Arc::new(Held::default());
    let disk_of = Arc::clone(&held);
    let disk = move |disk| -> Box<dyn LogDirectory> {
        Hooked::new(disk, move |_, step| {
            if step == Step::Syncing {
                disk_of.pass();
            }
            Ok(())
        })
    };
    let keystore = place.create_on(SEGMENT_BYTES_MAX, disk, |storage| storage);
    let key = create_key(&keystore).unwrap();
    held.hold(true);
    let (answers, heard) = mpsc::channel();
    let admin = keystore.administrator();
    for number in 0..3_u8 {
        let (answers, operation) = (answers.clone(), DescribeKey { key_id: key.clone().into() });
        keystore.door.submit_with(&admin, &operation, &CallOptions::default(), move |answer| {
            answers.send((number, answer.is_ok())).unwrap();
        });
    }
    while held.reached.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    // The disk has the batch and does not answer: neither does anybody, and nobody who asks for no record waits.
    assert!(heard.try_recv().is_err());
    assert!(keystore.world().unwrap().key(&key).is_some());
    assert!(keystore.time() >= keystore.world().unwrap().key(&key).unwrap().created);
    held.hold(false);
    let mut answered: Vec<_> = (0..3).map(|_| heard.recv().unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, [(0, true), (1, true), (2, true)]);
    drop(keystore);
    place.open().audit_verify().unwrap();
}

#[test]
fn a_database_that_is_full_latches_as_the_log_does() {
    let place = Place::new();
    let keystore = place.create();
    let key = create_key(&keystore).unwrap();
    place.tell(FAILS);
    let error =
        keystore.kms().disable_key(&keystore.administrator(), DisableKey { key_id: key.clone().into() });
    assert_eq!(error.unwrap_err().code(), ErrorCode::KmsInternal);
    place.tell(WORKS);
    assert_latched(&keystore, &key);
    drop(keystore);
    assert_eq!(place.open().world().unwrap().key(&key).unwrap().state, crate::model::KeyState::Enabled);
}
