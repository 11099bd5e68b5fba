//! What a failing disk, a crash and arbitrary bytes leave of a log.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;

use super::*;
use crate::audit::{
    frame::parse_frame,
    injected::{Hooked, Step},
};

/// An error of the disk (`errno.h`).
const EIO: i32 = 5;

#[test]
fn a_full_or_failing_disk_latches_the_log() {
    for full in [true, false] {
        let (place, fails) = (Place::new(), Arc::new(AtomicBool::new(false)));
        // One failure only, like a kernel that reports an error once: trying again would "succeed".
        let told = Arc::clone(&fails);
        let hook = move |_: &str, step: Step<'_>| match step {
            Step::Appending(_) if full && told.swap(false, Ordering::Relaxed) => {
                Err(io::ErrorKind::StorageFull.into())
            }
            Step::Syncing if told.swap(false, Ordering::Relaxed) => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(()),
        };
        let mut log = AuditLog::create(Hooked::new(place.disk(), hook), options()).unwrap();
        let acknowledged = log.append_batch(&batch(0, 2)).unwrap();
        fails.store(true, Ordering::Relaxed);
        let error = log.append_batch(&batch(2, 2)).unwrap_err();
        assert!(if full { matches!(error, LogError::Full) } else { matches!(error, LogError::Io(_)) });
        assert!(matches!(log.append_batch(&batch(2, 2)), Err(LogError::Latched)) && log.is_latched());
        drop(log);
        // A new start takes what is really there: nothing of the torn batch, all of the one whose sync failed.
        let log = place.open(Some(acknowledged)).unwrap();
        assert_eq!(
            (log.position().size, log.recovered_bytes() > 0),
            if full { (2, true) } else { (4, false) }
        );
    }
}

#[test]
fn a_write_torn_at_any_byte_costs_exactly_what_was_not_acknowledged() {
    let place = Place::new();
    let mut log = place.create();
    let acknowledged = log.append_batch(&batch(0, 2)).unwrap();
    let path = place.segments().pop().unwrap();
    let start = fs::read(&path).unwrap().len();
    log.append_batch(&batch(2, 3)).unwrap();
    drop(log);
    let whole = fs::read(&path).unwrap();
    for end in start..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(place.records().unwrap(), batch(0, 2), "cut at {end}");
        assert_eq!(place.verify(Some(acknowledged)).unwrap().unacknowledged_bytes, (end - start) as u64);
        let mut log = place.open(Some(acknowledged)).unwrap();
        assert_eq!((log.position(), log.recovered_bytes()), (acknowledged, (end - start) as u64));
        log.append_batch(&batch(2, 3)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "as if nothing had been");
    }
    // Sectors that did not reach the disk, while later ones did.
    for sector in (start / 512)..whole.len().div_ceil(512) {
        let mut bytes = whole.clone();
        let (from, to) = ((sector * 512).max(start), (sector * 512 + 512).min(whole.len()));
        bytes[from..to].fill(0);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(place.open(Some(acknowledged)).unwrap().position(), acknowledged, "sector {sector}");
        assert_eq!(fs::read(&path).unwrap(), whole[..start]);
    }
}

#[test]
fn no_flipped_bit_in_what_was_acknowledged_is_taken_for_a_torn_write() {
    let place = Place::new();
    let mut log = place.create();
    log.append_batch(&batch(0, 1)).unwrap();
    log.append_batch(&batch(1, 2)).unwrap();
    drop(log);
    let path = place.segments().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(place.open(None), Err(LogError::Fault(_))), "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "written to although refused");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_batches_reopens_and_crashes_keep_what_was_acknowledged(
        steps in prop::collection::vec((0u64..6, any::<bool>(), any::<prop::sample::Index>()), 1..30),
    ) {
        let place = Place::new();
        let mut log = place.create();
        let mut acknowledged = LogPosition::empty();
        for (count, crash, at) in steps {
            let records = batch(acknowledged.size, count);
            if !crash {
                acknowledged = log.append_batch(&records).unwrap();
                continue;
            }
            let before: std::collections::BTreeMap<_, _> =
                place.segments().into_iter().map(|path| (path.clone(), fs::read(&path).unwrap().len())).collect();
            let landed = log.append_batch(&records).unwrap();
            drop(log);
            // What the write added, in the segment that was there or in one made for it, is cut at random.
            let path = place.segments().pop().unwrap();
            let bytes = fs::read(&path).unwrap();
            let header = || parse_frame(&bytes).unwrap().bytes.len();
            let start = before.get(&path).copied().unwrap_or_else(header);
            let end = start + at.index(bytes.len() - start + 1);
            fs::write(&path, &bytes[..end]).unwrap();
            log = place.open(Some(acknowledged)).unwrap();
            if end == bytes.len() {
                acknowledged = landed;
            }
            prop_assert_eq!(log.position(), acknowledged);
        }
        prop_assert_eq!(place.records().unwrap(), batch(0, acknowledged.size));
        let verified = place.verify(Some(acknowledged)).unwrap();
        prop_assert_eq!(verified.position(), acknowledged);
    }

    #[test]
    fn arbitrary_bytes_as_a_segment_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600), after_header: bool,
    ) {
        let place = Place::new();
        drop(place.create());
        let path = place.segments().pop().unwrap();
        let beginning = if after_header { fs::read(&path).unwrap() } else { vec![] };
        fs::write(&path, [beginning, bytes].concat()).unwrap();
        let _ = (place.verify(None), place.records(), place.open(None).map(drop));
    }
}
