//! A log that lies: each way to change it after the fact, with and without the signing key.

use std::{fs, path::Path};

use super::*;
use crate::audit::{
    frame::{FrameKind, parse_frame, write_frame},
    note::VerifierKey,
};

type Frames = Vec<(FrameKind, u64, Vec<u8>)>;

/// The frames of a segment, to be changed and written again with checksums that fit.
fn frames(path: &Path) -> Frames {
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut frames) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        let frame = parse_frame(rest).unwrap();
        frames.push((frame.kind, frame.sequence, frame.payload.to_vec()));
        rest = &rest[frame.bytes.len()..];
    }
    frames
}

fn write_frames(path: &Path, frames: &[(FrameKind, u64, Vec<u8>)]) {
    let mut bytes = Vec::new();
    for (kind, sequence, payload) in frames {
        write_frame(&mut bytes, *kind, *sequence, payload);
    }
    fs::write(path, bytes).unwrap();
}

fn forge(path: &Path, change: impl FnOnce(&mut Frames)) {
    let mut frames = frames(path);
    change(&mut frames);
    write_frames(path, &frames);
}

#[test]
fn an_edited_record_is_found_with_and_without_its_checksum() {
    let (place, _) = Place::filled();
    for path in place.segments() {
        let original = fs::read(&path).unwrap();
        let mut bytes = original.clone();
        let at = bytes.windows(7).position(|part| part == b"Decrypt").unwrap();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let fault = place.verify(None).unwrap_err();
        let LogFault::Damaged { record: Some(number), .. } = fault else { panic!("{fault}") };
        assert!(
            fault.to_string().contains(&format!(", in record {number} or the checkpoint before it: ")),
            "{fault}"
        );
        assert_eq!(fault.finding(), Finding::Edit);
        assert!(place.records().is_err());

        fs::write(&path, &original).unwrap();
        forge(&path, |frames| frames[2].2 = b"{\"eventName\":\"Encrypt\"}".to_vec());
        let fault = place.verify(None).unwrap_err();
        assert!(matches!(fault, LogFault::Edited { first, last, .. } if last == first + 2), "{fault}");
        fs::write(&path, &original).unwrap();
    }
    forge(place.segments().last().unwrap(), |frames| frames[2].2 = b"{}".to_vec());
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::Edited { .. }))));
}

#[test]
fn a_removed_inserted_or_reordered_record_is_found() {
    type Change = fn(&mut Frames);
    fn renumber(frames: &mut [(FrameKind, u64, Vec<u8>)]) {
        let mut next = frames[0].1;
        for frame in frames {
            if frame.0 == FrameKind::Record {
                frame.1 = next;
                next += 1;
            } else {
                frame.1 = next;
            }
        }
    }
    let changes: [(&str, Change, Finding); 6] = [
        ("removed", |frames| drop(frames.remove(2)), Finding::Gap),
        (
            "removed and renumbered",
            |frames| {
                frames.remove(2);
                renumber(frames);
            },
            Finding::Gap,
        ),
        (
            "inserted and renumbered",
            |frames| {
                frames.insert(2, (FrameKind::Record, 0, record(99)));
                renumber(frames);
            },
            Finding::Gap,
        ),
        ("swapped with their numbers", |frames| frames.swap(1, 2), Finding::Gap),
        (
            "swapped and renumbered",
            |frames| {
                frames.swap(1, 2);
                renumber(frames);
            },
            Finding::Edit,
        ),
        ("a whole batch removed", |frames| drop(frames.drain(1..5)), Finding::Gap),
    ];
    for (name, change, finding) in changes {
        let (place, _) = Place::filled();
        forge(&place.segments()[1], change);
        let fault = place.verify(None).unwrap_err();
        assert_eq!(fault.finding(), finding, "{name}: {fault}");
    }
}

#[test]
fn a_cut_off_end_is_found_by_a_position_kept_elsewhere_and_only_by_it() {
    let (place, positions) = Place::filled();
    let path = place.segments().pop().unwrap();
    let checkpoints = frames(&path).iter().filter(|frame| frame.0 == FrameKind::Checkpoint).count();
    assert!(checkpoints > 1);
    // Cut at a batch border: the last batch vanishes.
    forge(&path, |frames| frames.truncate(frames.len() - 4));
    assert_eq!(place.verify(None).unwrap().records, 33);
    let last = positions.last().copied();
    let fault = place.verify(last).unwrap_err();
    assert!(matches!(fault, LogFault::Truncated { expected: 36, found: 33 }));
    assert_eq!(fault.finding(), Finding::Truncation);
    assert!(matches!(place.open(last), Err(LogError::Fault(LogFault::Truncated { .. }))));
    // The last segment as a whole vanishes.
    fs::remove_file(&path).unwrap();
    assert!(place.verify(None).is_ok());
    assert_eq!(place.verify(last).unwrap_err().finding(), Finding::Truncation);
}

#[test]
fn a_log_of_which_nothing_is_left_was_cut_off() {
    let (place, _) = Place::filled();
    fs::write(place.segments().last().unwrap(), "").unwrap();
    let emptied = place.verify(None).unwrap_err();
    assert!(matches!(emptied, LogFault::Emptied { .. }), "{emptied}");
    assert_eq!(emptied.finding(), Finding::Truncation);
    let directory = place.segments()[0].parent().unwrap().to_owned();
    fs::remove_dir_all(directory).unwrap();
    let gone = place.verify(None).unwrap_err();
    assert!(matches!(gone, LogFault::Missing), "{gone}");
}

#[test]
fn a_segment_that_is_missing_cut_or_replaced_is_found() {
    let (place, positions) = Place::filled();
    let paths = place.segments();
    let original = fs::read(&paths[1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::Gap);
    // Cut at a batch border, and inside a frame.
    fs::write(&paths[1], &original).unwrap();
    forge(&paths[1], |frames| frames.truncate(frames.len() - 4));
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::Gap);
    fs::write(&paths[1], &original[..original.len() - 1]).unwrap();
    assert!(matches!(place.verify(None), Err(LogFault::CutOff { .. })));
    // Two batches joined by leaving out a checkpoint: no record is missing, and the file is not the one that was signed.
    fs::write(&paths[1], &original).unwrap();
    forge(&paths[1], |frames| drop(frames.remove(4)));
    assert!(matches!(place.verify(None), Err(LogFault::Unchained { .. })));
    // The same place in another log of the same key.
    let other = Place::new();
    let mut log = other.create();
    for n in 0..12 {
        log.append_batch(&batch(n * 3 + 500, 3)).unwrap();
    }
    fs::copy(&other.segments()[1], &paths[1]).unwrap();
    assert!(matches!(place.verify(None), Err(LogFault::Unchained { .. })));
    // The whole other log: consistent in itself.
    for (from, to) in other.segments().iter().zip(&paths) {
        fs::copy(from, to).unwrap();
    }
    assert!(place.verify(None).is_ok());
    assert_eq!(place.verify(positions.last().copied()).unwrap_err().finding(), Finding::Fork);
    assert!(matches!(place.open(positions.first().copied()), Err(LogError::Fault(LogFault::Fork { .. }))));
}

#[test]
fn what_another_key_signed_is_refused() {
    let forger = signing_key(2);
    let verifier = VerifierKey::new(ORIGIN, forger.public_key()).unwrap();
    // A batch appended by somebody without the key.
    let (place, positions) = Place::filled();
    forge(place.segments().last().unwrap(), |frames| {
        let position = LogPosition { size: 37, root: [0; 32] };
        frames.push((FrameKind::Record, 36, record(36)));
        let note = checkpoint::Checkpoint::sign(&position, &verifier, &forger);
        frames.push((FrameKind::Checkpoint, 37, note.into_bytes()));
    });
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::BadSignature);
    assert!(place.open(positions.last().copied()).is_err());
    // A record rewritten, and the root in its checkpoint with it, under the signature that was there.
    let (place, _) = Place::filled();
    forge(&place.segments()[0], |frames| {
        let mut tree = Frontier::new();
        frames[1].2 = b"{}".to_vec();
        frames[1..4].iter().for_each(|frame| tree.push(leaf_hash(&frame.2)));
        let forged = checkpoint::Checkpoint::sign(&tree.position(), &verifier, &forger);
        let original = String::from_utf8(frames[4].2.clone()).unwrap();
        let signature = original.split("\n\n").nth(1).unwrap();
        frames[4].2 = format!("{}\n\n{signature}", forged.split("\n\n").next().unwrap()).into_bytes();
    });
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::BadSignature);
    // The whole log written anew by somebody without the key.
    let place = Place::new();
    let forged = LogOptions { signing_key: signing_key(2), ..options() };
    AuditLog::create(Box::new(place.disk()), forged).unwrap().append_batch(&batch(0, 2)).unwrap();
    assert_eq!(place.verify(None).unwrap_err().finding(), Finding::BadSignature);
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::BadSignature { .. }))));
    // The right key under another keystore's name.
    let place = Place::new();
    let other = LogOptions { origin: "keystead/other".into(), ..options() };
    drop(AuditLog::create(Box::new(place.disk()), other).unwrap());
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::BadSignature { .. }))));
}

#[test]
fn an_empty_or_foreign_directory_is_no_log() {
    let place = Place::new();
    assert!(matches!(place.verify(None), Err(LogFault::Missing)));
    assert!(matches!(place.open(None), Err(LogError::Fault(LogFault::Missing))));
    fs::write(place.path().join("stranger.log"), b"x").unwrap();
    assert!(matches!(place.verify(None), Err(LogFault::Damaged { .. })));
}
