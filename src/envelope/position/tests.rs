//! Whole messages and parts of them at positions: they agree with streams, and damage of every kind is refused.

use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::{
    crypto::random::SeededRandom,
    envelope::{ErrorClass, FrameLength, RawAesKeyring, SuiteId, open, seal},
    secret::SecretKey,
};

fn keyring() -> RawAesKeyring {
    RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[1; 32]).unwrap()).unwrap()
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn options(frame_length: u32) -> SealOptions {
    SealOptions { frame_length: FrameLength::new(frame_length).unwrap(), ..SealOptions::default() }
}

/// A message and the length of its header.
fn sealed(plaintext: &[u8], options: &SealOptions, seed: u64) -> (Vec<u8>, usize) {
    let mut message = Vec::new();
    let sealed = seal(plaintext, &mut message, &keyring(), options, &mut SeededRandom::new(seed)).unwrap();
    (message, sealed.header_bytes as usize)
}

/// A file in memory.
#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl WriteAt for Memory {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut file = self.0.lock().unwrap();
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if file.len() < end {
            file.resize(end, 0);
        }
        file[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

fn at(message: &[u8]) -> Result<SealedMessage<&[u8]>, OpenMessageError> {
    SealedMessage::open(message, message.len() as u64, &keyring(), &OpenOptions::default())
}

/// All of a message, read in parts.
fn read_all(message: &[u8]) -> Result<Vec<u8>, OpenMessageError> {
    let message = at(message)?;
    let mut plaintext = vec![0; message.plaintext_bytes() as usize];
    for (number, part) in plaintext.chunks_mut(10).enumerate() {
        message.read_exact_at(part, number as u64 * 10)?;
    }
    Ok(plaintext)
}

fn open_whole(message: &[u8]) -> Result<Vec<u8>, OpenMessageError> {
    let (target, mut heard) = (Memory::default(), 0);
    let options = OpenOptions::default();
    let length = message.len() as u64;
    let opened = open_at(&message, length, &target, &keyring(), &options, &mut |bytes| heard += bytes)?;
    let plaintext = target.0.into_inner().unwrap();
    assert_eq!((heard, opened.plaintext_bytes), (length, plaintext.len() as u64));
    Ok(plaintext)
}

#[test]
fn a_file_is_sealed_at_positions_to_the_same_bytes_as_a_stream() {
    for frame_length in [1, 7, 128, 4096] {
        for frames in [0, 1, 2, 5, 300] {
            for more in [0, 1] {
                let plaintext = text((frames * frame_length + more).min(400_000) as usize);
                let options = options(frame_length);
                let (target, mut heard) = (Memory::default(), 0);
                let random = &mut SeededRandom::new(1);
                let length = plaintext.len() as u64;
                let done =
                    seal_at(&plaintext, length, &target, &keyring(), &options, random, &mut |b| heard += b)
                        .unwrap();
                let message = target.0.into_inner().unwrap();
                assert_eq!(
                    message,
                    sealed(&plaintext, &options, 1).0,
                    "{length} in frames of {frame_length}"
                );
                assert_eq!((heard, done.message_bytes), (length, message.len() as u64));
                assert_eq!(open_whole(&message).unwrap(), plaintext);
            }
        }
    }
}

#[test]
fn a_source_shorter_than_it_was_is_refused() {
    for missing in [1, 10, 100, 1000] {
        let plaintext = text(1000);
        let source = &plaintext[..1000 - missing];
        let random = &mut SeededRandom::new(1);
        let target = Memory::default();
        let result = seal_at(&source, 1000, &target, &keyring(), &options(16), random, &mut |_| ());
        assert!(matches!(result, Err(SealError::Read(_))), "{missing}");
    }
}

#[test]
fn signed_messages_go_as_streams_and_are_refused_in_part() {
    let signed = SealOptions { suite: SuiteId::COMMIT_KEY_SIGNED, ..options(16) };
    let (plaintext, target) = (text(100), Memory::default());
    let random = &mut SeededRandom::new(1);
    let done = seal_at(&plaintext, 100, &target, &keyring(), &signed, random, &mut |_| ()).unwrap();
    let message = target.0.into_inner().unwrap();
    assert_eq!((done.message_bytes, done.plaintext_bytes), (message.len() as u64, 100));
    assert_eq!(open_whole(&message).unwrap(), plaintext);
    assert!(matches!(at(&message), Err(OpenMessageError::NotInPart { .. })));
    let mut changed = message.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(open_whole(&changed), Err(OpenMessageError::Signature)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_part_is_what_the_whole_has_there(
        length in 0..3000_usize, frame_length in 1..400_u32,
        parts in proptest::collection::vec((0..3200_u64, 0..3200_usize), 1..12),
    ) {
        let plaintext = text(length);
        let message = sealed(&plaintext, &options(frame_length), 1).0;
        let message = at(&message).unwrap();
        prop_assert_eq!(message.plaintext_bytes(), length as u64);
        for (offset, wanted) in parts {
            let mut part = vec![0xAA; wanted];
            let read = message.read_at(&mut part, offset).unwrap();
            let start = (offset as usize).min(length);
            prop_assert_eq!(&part[..read], &plaintext[start..(start + wanted).min(length)]);
            prop_assert!(part[read..].iter().all(|byte| *byte == 0xAA));
            prop_assert_eq!(message.read_exact_at(&mut part, offset).is_ok(), read == wanted);
        }
    }
}

#[test]
fn a_message_cut_anywhere_or_extended_is_refused_when_it_is_opened() {
    let (message, _) = sealed(&text(70), &options(32), 1);
    assert_eq!(read_all(&message).unwrap(), text(70));
    for length in 0..message.len() {
        let error = at(&message[..length]).err().unwrap();
        assert_eq!(error.class(), ErrorClass::Integrity, "{length}: {error}");
        assert!(open_whole(&message[..length]).is_err(), "{length}");
    }
    for more in [1, 32, 64, 74] {
        let longer = [message.as_slice(), &vec![0; more]].concat();
        let error = at(&longer).err().unwrap();
        assert_eq!(error.class(), ErrorClass::Integrity, "{more}: {error}");
        assert!(open_whole(&longer).is_err(), "{more}");
    }
}

#[test]
fn a_changed_bit_is_refused_when_it_is_opened_or_at_its_frame() {
    let plaintext = text(70);
    let (message, header_bytes) = sealed(&plaintext, &options(32), 1);
    for bit in 0..message.len() * 8 {
        let mut changed = message.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open_whole(&changed).is_err(), "bit {bit}");
        let frame = (bit / 8).checked_sub(header_bytes).map(|at| at / 64);
        let Ok(opened) = at(&changed) else {
            assert!(frame.is_none_or(|frame| frame == 2), "bit {bit}");
            continue;
        };
        let frame = frame.unwrap();
        for (number, expected) in plaintext.chunks(32).enumerate() {
            let mut part = vec![0xAA; expected.len()];
            let read = opened.read_exact_at(&mut part, number as u64 * 32);
            assert_eq!(read.is_ok(), number != frame, "bit {bit}");
            let released =
                if read.is_ok() { part == expected } else { part.iter().all(|b| [0, 0xAA].contains(b)) };
            assert!(released, "bit {bit}");
        }
    }
}

#[test]
fn swapped_missing_and_foreign_frames_are_refused() {
    let (message, header_bytes) = sealed(&text(70), &options(32), 1);
    let (other, other_header) = sealed(&text(70), &options(32), 2);
    let (header, body) = message.split_at(header_bytes);
    let (one, two, last) = (&body[..64], &body[64..128], &body[128..]);
    let foreign = &other[other_header..];
    for frames in [
        vec![two, one, last],
        vec![one, one, last],
        vec![one, last],
        vec![last],
        vec![one, two, two, last],
        vec![one, two],
        vec![&foreign[..64], two, last],
        vec![one, two, &foreign[128..]],
        vec![last, one, two],
    ] {
        let changed = [header, &frames.concat()].concat();
        let error = read_all(&changed).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity, "{error}");
        assert!(open_whole(&changed).is_err());
        assert!(open(changed.as_slice(), io::sink(), &keyring(), &OpenOptions::default()).is_err());
    }
}

#[test]
fn a_part_costs_the_frames_that_it_covers_and_no_others() {
    struct Counted<'bytes>(&'bytes [u8], Mutex<u64>);
    impl ReadAt for Counted<'_> {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let read = self.0.read_at(buffer, offset)?;
            *self.1.lock().unwrap() += read as u64;
            Ok(read)
        }
    }
    let plaintext = text(1 << 20);
    let (bytes, _) = sealed(&plaintext, &options(4096), 1);
    let source = Counted(&bytes, Mutex::new(0));
    let message =
        SealedMessage::open(&source, bytes.len() as u64, &keyring(), &OpenOptions::default()).unwrap();
    let read = |source: &Counted<'_>| std::mem::take(&mut *source.1.lock().unwrap());
    assert!(read(&source) <= 2 * HEADER_BUFFER_BYTES as u64 + 4096 + 40);
    let mut part = vec![0; 10 * 4096];
    message.read_exact_at(&mut part, 8192).unwrap();
    assert_eq!((part.as_slice(), read(&source)), (&plaintext[8192..8192 + 10 * 4096], 10 * (4096 + 32)));
    for _ in 0..3 {
        message.read_exact_at(&mut part[..10], 5).unwrap();
    }
    assert_eq!(read(&source), 4096 + 32, "a frame that was read in part is remembered");
}
