//! What is unusual or wrong with messages, seen without any key.
//!
//! Two messages with one message id are what must never be: under one data key they would share nonces (message format
//! version 2 fixes the header's), and give the authentication key away. Everything else is what other clients refuse or
//! what shows that a file is not as it was written.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    num::NonZeroU32,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

use super::input::open_without_waiting;
use crate::envelope::{HeaderError, MessageId, MessageInfo, inspect, verifier};

/// What a regular frame is longer than its plaintext.
const REGULAR_OVERHEAD_BYTES: u64 = 32;
/// What stands in the final frame before its ciphertext, and behind it.
const FINAL_HEAD_BYTES: u64 = 24;
const TAG_BYTES: u64 = 16;
/// Sequence number and IV.
const REGULAR_HEAD_BYTES: usize = 16;
const IV_BYTES: u64 = 12;
/// How much of two files is compared at once.
const COMPARED_BYTES: usize = 1024 * 1024;
const END_MARK: u32 = u32::MAX;
/// Clients take frame lengths that are a multiple of AES's block; the Python one, of this many bytes.
const FRAME_MULTIPLE: u32 = 128;
/// The Python client's longest frame.
const FRAME_BYTES_MAX: u32 = i32::MAX as u32;

/// A path as it can be shown: JSON has no place for one that is not UTF-8.
fn as_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Something that was found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// The file.
    #[serde(rename = "Path", serialize_with = "as_shown")]
    pub path: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub kind: LintKind,
}

/// What can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "Finding")]
#[non_exhaustive]
pub enum LintKind {
    /// Another file has the same message id and is another message.
    SharedMessageId {
        /// That file.
        #[serde(rename = "With", serialize_with = "as_shown")]
        with: PathBuf,
    },
    /// Another file is the very same message.
    Copy {
        /// That file.
        #[serde(rename = "Of", serialize_with = "as_shown")]
        of: PathBuf,
    },
    /// The suite does not commit to its key.
    UncommittedSuite {
        /// The suite's name.
        #[serde(rename = "Suite")]
        suite: String,
    },
    /// Other clients refuse frames of this length.
    UnusualFrameLength {
        /// The length in bytes.
        #[serde(rename = "Bytes")]
        bytes: u32,
    },
    /// An unframed body, which nothing writes any more.
    Unframed,
    /// The final frame is as long as a regular one, which deployed clients refuse.
    FullFinalFrame,
    /// Bytes follow the final frame.
    TrailingBytes {
        /// How many.
        #[serde(rename = "Bytes")]
        bytes: u64,
    },
    /// Two parts of the message are encrypted under one nonce: the authentication key may be known.
    RepeatedNonce,
    /// The body does not end as one of a whole message.
    Truncated,
    /// It begins as a message and is none.
    DamagedHeader {
        /// Why.
        #[serde(rename = "Why")]
        why: String,
    },
}

impl LintKind {
    /// Whether the file is not as it was written, or endangers another; else it is only unusual.
    #[must_use]
    pub fn is_dangerous(&self) -> bool {
        matches!(
            self,
            Self::SharedMessageId { .. }
                | Self::RepeatedNonce
                | Self::TrailingBytes { .. }
                | Self::Truncated
                | Self::DamagedHeader { .. }
        )
    }
}

impl std::fmt::Display for LintFinding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}` ", self.path.display())?;
        match &self.kind {
            LintKind::SharedMessageId { with } => {
                write!(
                    formatter,
                    "has the message id of `{}` and is another message: nonces may have met",
                    with.display()
                )
            }
            LintKind::Copy { of } => write!(formatter, "is a copy of `{}`", of.display()),
            LintKind::RepeatedNonce => {
                write!(formatter, "uses a nonce twice: whoever saw it may forge others, do not trust it")
            }
            LintKind::UncommittedSuite { suite } => {
                write!(formatter, "has suite {suite}, which does not commit to its key")
            }
            LintKind::UnusualFrameLength { bytes } => {
                write!(formatter, "has frames of {bytes} bytes, which other clients refuse")
            }
            LintKind::Unframed => write!(formatter, "has an unframed body, a legacy form"),
            LintKind::FullFinalFrame => {
                write!(formatter, "ends in a full final frame, which other clients refuse")
            }
            LintKind::TrailingBytes { bytes } => write!(formatter, "has {bytes} bytes after its end"),
            LintKind::Truncated => {
                write!(formatter, "does not end as a message does: it is cut short or damaged")
            }
            LintKind::DamagedHeader { why } => write!(formatter, "begins as a message and is none: {why}"),
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Lint {
    /// How many messages there were.
    pub messages: usize,
    /// What was found, in the order in which the files were looked at.
    pub findings: Vec<LintFinding>,
    seen: HashMap<MessageId, (PathBuf, Vec<u8>)>,
    /// The files that were looked at, by device and number: one that is named twice is no copy.
    files: HashSet<(u64, u64)>,
}

impl Lint {
    /// Looks at a file, or at every file of a directory and those in it. What is no message is passed over. No symbolic
    /// link is followed, but for `path` itself.
    ///
    /// # Errors
    ///
    /// When something cannot be read or `path` is neither, with its path.
    pub fn look(&mut self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let about = |path: &Path| {
            let path = path.to_path_buf();
            move |error| (path, error)
        };
        let metadata = fs::metadata(path).map_err(about(path))?;
        if !metadata.is_dir() {
            // A pipe would be waited for.
            let special = || (path.to_path_buf(), io::Error::other("it is neither a file nor a directory"));
            return if metadata.is_file() {
                self.look_at_file(path).map_err(about(path))
            } else {
                Err(special())
            };
        }
        let mut waiting = vec![path.to_path_buf()];
        while let Some(directory) = waiting.pop() {
            let entries = fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut entries = entries.map_err(about(&directory))?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let (path, kind) = (entry.path(), entry.file_type());
                let kind = kind.map_err(about(&path))?;
                if kind.is_dir() {
                    waiting.push(path);
                } else if kind.is_file() {
                    self.look_at_file(&path).map_err(about(&path))?;
                }
            }
        }
        Ok(())
    }

    fn look_at_file(&mut self, path: &Path) -> io::Result<()> {
        let file = open_without_waiting(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file any more"));
        }
        if !self.files.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        let bytes = metadata.len();
        let mut found = Vec::new();
        match inspect(&file, Some(bytes)) {
            Ok(info) => {
                self.messages += 1;
                self.look_at_message(path, &file, bytes, &info, &mut found)?;
            }
            Err(HeaderError::NotAMessage | HeaderError::Base64) => {}
            Err(HeaderError::Read(error)) => return Err(error),
            Err(error) => found.push(LintKind::DamagedHeader { why: error.to_string() }),
        }
        self.findings.extend(found.into_iter().map(|kind| LintFinding { path: path.into(), kind }));
        Ok(())
    }

    fn look_at_message(
        &mut self,
        path: &Path,
        file: &File,
        bytes: u64,
        info: &MessageInfo,
        found: &mut Vec<LintKind>,
    ) -> io::Result<()> {
        let mut header = vec![0; usize::try_from(info.header_bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut header, 0)?;
        match self.seen.get(&info.message_id) {
            Some((other, same)) if *same == header && is_same_content(file, bytes, other)? => {
                found.push(LintKind::Copy { of: other.clone() });
            }
            Some((with, _)) => found.push(LintKind::SharedMessageId { with: with.clone() }),
            None => drop(self.seen.insert(info.message_id, (path.into(), header))),
        }
        if let Err(error) = verifier(info.suite, &info.context) {
            found.push(LintKind::DamagedHeader { why: error.to_string() });
        }
        if !info.suite.commits() {
            found.push(LintKind::UncommittedSuite { suite: info.suite.to_string() });
        }
        let end = match info.frame_bytes.and_then(NonZeroU32::new) {
            Some(frame_length) => {
                let length = frame_length.get();
                if !length.is_multiple_of(FRAME_MULTIPLE) || length > FRAME_BYTES_MAX {
                    found.push(LintKind::UnusualFrameLength { bytes: length });
                }
                let mut nonces = Nonces::of(info);
                let last = final_frame(file, info.header_bytes, frame_length, &mut nonces)?;
                if nonces.any_twice() {
                    found.push(LintKind::RepeatedNonce);
                }
                if last.is_some_and(|(last, end)| last == length && end <= bytes) {
                    found.push(LintKind::FullFinalFrame);
                }
                last.map(|(_, end)| end)
            }
            None => {
                found.push(LintKind::Unframed);
                end_of_unframed(file, info.header_bytes)?
            }
        };
        let end = match end {
            Some(end) if info.suite.signs() => end_of_signature(file, end)?,
            end => end,
        };
        match end.and_then(|end| bytes.checked_sub(end)) {
            None => found.push(LintKind::Truncated),
            Some(0) => {}
            Some(more) => found.push(LintKind::TrailingBytes { bytes: more }),
        }
        Ok(())
    }
}

/// Whether a file has the same bytes as the one at `other`.
fn is_same_content(file: &File, bytes: u64, other: &Path) -> io::Result<bool> {
    let other = open_without_waiting(other)?;
    if other.metadata()?.len() != bytes {
        return Ok(false);
    }
    let (mut one, mut two) = (vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]);
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(COMPARED_BYTES).min(COMPARED_BYTES);
        let (one, two) = (one.split_at_mut(wanted).0, two.split_at_mut(wanted).0);
        file.read_exact_at(one, at)?;
        other.read_exact_at(two, at)?;
        if one != two {
            return Ok(false);
        }
        at += wanted as u64;
    }
    Ok(true)
}

/// The nonces of a message's frames. Nearly always each is its frame's number, and only those that are not are kept.
struct Nonces {
    odd: HashMap<[u8; 12], u32>,
    frames: u32,
    twice: bool,
}

impl Nonces {
    fn of(info: &MessageInfo) -> Self {
        // In version 2 of the format the header's nonce is zero; in version 1 it is the header's own affair.
        let odd = if info.version == 2 { HashMap::from([([0; 12], 0)]) } else { HashMap::new() };
        Self { odd, frames: 0, twice: false }
    }

    fn note(&mut self, sequence: u32, nonce: [u8; 12]) {
        self.frames = sequence;
        if nonce != numbered(sequence) {
            self.twice |= self.odd.insert(nonce, sequence).is_some();
        }
    }

    /// Whether one was seen twice: two that are not their frames' numbers, or one that is the number of another frame.
    fn any_twice(&self) -> bool {
        let odd: HashSet<u32> = self.odd.values().copied().collect();
        let is_anothers = |nonce: &[u8; 12]| {
            let [0, 0, 0, 0, 0, 0, 0, 0, rest @ ..] = nonce else { return false };
            let number = u32::from_be_bytes(*rest);
            (1..=self.frames).contains(&number) && !odd.contains(&number)
        };
        self.twice || self.odd.keys().any(is_anothers)
    }
}

/// The nonce of a frame as every client makes it.
fn numbered(sequence: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.split_at_mut(8).1.copy_from_slice(&sequence.to_be_bytes());
    nonce
}

/// The final frame's length and where it ends: found by its mark, from frame to frame, whose nonces are noted.
fn final_frame(
    file: &File,
    header_bytes: u64,
    frame_length: NonZeroU32,
    nonces: &mut Nonces,
) -> io::Result<Option<(u32, u64)>> {
    let step = u64::from(frame_length.get()) + REGULAR_OVERHEAD_BYTES;
    let mut at = header_bytes;
    for sequence in 1..=END_MARK {
        let mut start = [0; REGULAR_HEAD_BYTES];
        if !is_there(file.read_exact_at(&mut start, at))? {
            return Ok(None);
        }
        let [m0, m1, m2, m3, nonce @ ..] = start;
        match u32::from_be_bytes([m0, m1, m2, m3]) {
            END_MARK => {
                // Sequence number, nonce, length.
                let mut head = [0; FINAL_HEAD_BYTES as usize - 4];
                if !is_there(file.read_exact_at(&mut head, at + 4))? {
                    return Ok(None);
                }
                let (number, rest) = head.split_at(4);
                let (nonce, length) = rest.split_at(12);
                let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                let length = word(length);
                nonces.note(sequence, nonce.try_into().unwrap_or_default());
                let whole = word(number) == sequence && length <= frame_length.get();
                return Ok(whole.then(|| (length, at + FINAL_HEAD_BYTES + u64::from(length) + TAG_BYTES)));
            }
            found if found == sequence => {
                nonces.note(sequence, nonce);
                at += step;
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Where an unframed body ends: IV, length in 8 bytes, ciphertext and tag.
fn end_of_unframed(file: &File, header_bytes: u64) -> io::Result<Option<u64>> {
    let mut length = [0; 8];
    let there = is_there(file.read_exact_at(&mut length, header_bytes + IV_BYTES))?;
    let around = header_bytes + IV_BYTES + 8 + TAG_BYTES;
    Ok(if there { u64::from_be_bytes(length).checked_add(around) } else { None })
}

/// Where the signature behind a body ends (u16 length, then the bytes); none when there is none.
fn end_of_signature(file: &File, at: u64) -> io::Result<Option<u64>> {
    let mut length = [0; 2];
    let there = is_there(file.read_exact_at(&mut length, at))?;
    let length = Some(u64::from(u16::from_be_bytes(length))).filter(|length| there && *length > 0);
    Ok(length.map(|length| at + 2 + length))
}

fn is_there(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::random::SeededRandom,
        envelope::{FrameLength, RawAesKeyring, SealOptions, SuiteId, seal},
        secret::SecretKey,
    };

    fn message(plaintext: usize, frame_length: u32, seed: u64, name: &str) -> Vec<u8> {
        let key = RawAesKeyring::new("lab", name, SecretKey::from_slice(&[1; 32]).unwrap()).unwrap();
        let options =
            SealOptions { frame_length: FrameLength::new(frame_length).unwrap(), ..SealOptions::default() };
        let mut message = Vec::new();
        seal(vec![7; plaintext].as_slice(), &mut message, &key, &options, &mut SeededRandom::new(seed))
            .unwrap();
        message
    }

    fn found(files: &[(&str, Vec<u8>)]) -> Vec<(String, LintKind)> {
        let lab = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::create_dir_all(lab.path().join(name).parent().unwrap()).unwrap();
            fs::write(lab.path().join(name), bytes).unwrap();
        }
        let mut lint = Lint::default();
        lint.look(lab.path()).unwrap();
        let name = |path: &Path| path.strip_prefix(lab.path()).unwrap().to_str().unwrap().to_owned();
        lint.findings.iter().map(|finding| (name(&finding.path), finding.kind.clone())).collect()
    }

    #[test]
    fn what_is_as_it_should_be_gives_no_finding_and_what_is_no_message_is_passed_over() {
        let good = [0, 1, 127, 128, 256, 300].map(|length| message(length, 128, length as u64, "k"));
        let names = ["a", "b", "c", "d/e", "d/f", "g"];
        let mut files: Vec<_> = names.into_iter().zip(good).collect();
        files.push(("text", b"plain".to_vec()));
        files.push(("empty", vec![]));
        assert_eq!(found(&files), []);
    }

    #[test]
    fn each_fault_is_found_for_what_it_is() {
        let whole = message(300, 128, 1, "k");
        let one = |bytes: Vec<u8>| match found(&[("x", bytes)]).as_slice() {
            [(_, kind)] => kind.clone(),
            others => panic!("{others:?}"),
        };
        assert_eq!(one([whole.as_slice(), b"xyz"].concat()), LintKind::TrailingBytes { bytes: 3 });
        for cut in 1..whole.len() {
            let kind = found(&[("x", whole[..cut].to_vec())]);
            assert!(
                matches!(kind.as_slice(), [(_, LintKind::Truncated | LintKind::DamagedHeader { .. })]),
                "{cut}: {kind:?}"
            );
        }
        assert_eq!(one(message(300, 100, 1, "k")), LintKind::UnusualFrameLength { bytes: 100 });
        let version_1 = b"\x01\x80\x01\x78".to_vec();
        assert!(matches!(one(version_1), LintKind::UncommittedSuite { .. } | LintKind::DamagedHeader { .. }));
    }

    #[test]
    fn what_cannot_be_whole_is_damaged() {
        let whole = message(300, 128, 1, "k");
        let last = whole.len() - 16 - 44 - 24;
        assert_eq!(whole[last..last + 8], [255, 255, 255, 255, 0, 0, 0, 3]);
        let mut renumbered = whole.clone();
        renumbered[last + 7] = 4;
        assert_eq!(found(&[("x", renumbered)]), [("x".into(), LintKind::Truncated)]);

        let key = RawAesKeyring::new("lab", "k", SecretKey::from_slice(&[1; 32]).unwrap()).unwrap();
        let options = SealOptions { suite: SuiteId::COMMIT_KEY_SIGNED, ..SealOptions::default() };
        let mut signed = Vec::new();
        seal(&b"weights"[..], &mut signed, &key, &options, &mut SeededRandom::new(1)).unwrap();
        assert_eq!(found(&[("x", signed.clone())]), []);
        let kinds = |bytes: Vec<u8>| -> Vec<LintKind> {
            found(&[("x", bytes)]).into_iter().map(|(_, kind)| kind).collect()
        };
        // What is left of a signed message when somebody says that it is none, and the other way round.
        let mut unsigned = signed.clone();
        unsigned[1..3].copy_from_slice(&0x0478_u16.to_be_bytes());
        let mut claimed = whole.clone();
        claimed[1..3].copy_from_slice(&0x0578_u16.to_be_bytes());
        for bytes in [unsigned, claimed] {
            let kinds = kinds(bytes);
            assert!(matches!(kinds.first(), Some(LintKind::DamagedHeader { .. })), "{kinds:?}");
        }
        // The signature's length lies behind the body.
        let info = inspect(signed.as_slice(), None).unwrap();
        let body = usize::try_from(info.header_bytes).unwrap() + 24 + b"weights".len() + 16;
        let mut empty = signed[..body].to_vec();
        empty.extend([0, 0]);
        assert_eq!(kinds(empty), [LintKind::Truncated]);
    }

    #[test]
    fn a_nonce_that_is_used_twice_is_found() {
        let whole = message(300, 128, 1, "k");
        let first = whole.len() - (16 + 44 + 24) - 2 * (128 + 32);
        assert_eq!(whole[first..first + 4], [0, 0, 0, 1]);
        // The last byte of the nonce of frames 1, 2 and 3, which is their number.
        let ends = [first + 15, first + 160 + 15, first + 320 + 4 + 15];
        let with = |nonces: [u8; 3]| {
            let mut bytes = whole.clone();
            for (at, nonce) in ends.into_iter().zip(nonces) {
                bytes[at] = nonce;
            }
            found(&[("x", bytes)]).into_iter().map(|(_, kind)| kind).collect::<Vec<_>>()
        };
        for good in [[1, 2, 3], [2, 1, 3], [9, 2, 3], [7, 8, 9], [3, 1, 2]] {
            assert_eq!(with(good), [], "{good:?}");
        }
        for bad in [[1, 1, 3], [1, 2, 1], [9, 2, 9], [5, 5, 5], [1, 0, 3], [1, 2, 2], [3, 2, 3]] {
            assert_eq!(with(bad), [LintKind::RepeatedNonce], "{bad:?}");
        }
    }

    #[test]
    fn an_unframed_body_must_end_where_it_says() {
        // Nothing here seals one: the header is made to say so.
        let framed = message(3, 128, 1, "k");
        let header_bytes = usize::try_from(inspect(framed.as_slice(), None).unwrap().header_bytes).unwrap();
        let mut header = framed[..header_bytes].to_vec();
        let at = header.windows(5).position(|window| window == [2, 0, 0, 0, 128]).unwrap();
        header[at..at + 5].copy_from_slice(&[1, 0, 0, 0, 0]);
        let claiming =
            |bytes: u64| [header.as_slice(), &[0; 12], &bytes.to_be_bytes(), &[7; 3 + 16]].concat();
        let kinds = |bytes: u64| -> Vec<LintKind> {
            found(&[("x", claiming(bytes))]).into_iter().map(|(_, kind)| kind).collect()
        };
        assert_eq!(kinds(3), [LintKind::Unframed]);
        assert_eq!(kinds(2), [LintKind::Unframed, LintKind::TrailingBytes { bytes: 1 }]);
        for long in [4, 1 << 36, 1 << 63, u64::MAX] {
            assert_eq!(kinds(long), [LintKind::Unframed, LintKind::Truncated], "{long}");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let lab = tempfile::tempdir().unwrap();
        let pipe = lab.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(Lint::default().look(&pipe).is_err());
        assert!(Lint::default().look(lab.path()).is_ok(), "in a folder it is passed over");
    }

    #[test]
    fn a_full_final_frame_is_found() {
        // One frame of 127 bytes that says it is of 127: the header's frame length is made to fit.
        let mut bytes = message(128, 256, 1, "k");
        let at = bytes.windows(5).position(|window| window == [2, 0, 0, 1, 0]).unwrap();
        bytes[at + 3..at + 5].copy_from_slice(&[0, 128]);
        assert_eq!(found(&[("x", bytes)]), [("x".into(), LintKind::FullFinalFrame)]);
    }

    #[test]
    fn a_file_that_is_named_twice_is_no_copy_of_itself() {
        let lab = tempfile::tempdir().unwrap();
        fs::write(lab.path().join("x"), message(10, 128, 1, "k")).unwrap();
        let mut lint = Lint::default();
        for path in [lab.path().to_path_buf(), lab.path().join("x"), lab.path().join("./x")] {
            lint.look(&path).unwrap();
        }
        assert_eq!((lint.messages, lint.findings), (1, vec![]));
    }

    #[test]
    fn a_shared_message_id_is_told_from_a_copy() {
        let (one, other) = (message(10, 128, 1, "k"), message(10, 128, 1, "other"));
        let with = found(&[("a", one.clone()), ("b", other)]);
        assert!(
            matches!(with.as_slice(), [(name, kind @ LintKind::SharedMessageId { .. })] if name == "b" && kind.is_dangerous()),
            "{with:?}"
        );
        // The same header and other frames: one data key has sealed two contents.
        let mut damaged = one.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for other in [damaged, [one.as_slice(), b"x"].concat()] {
            let with = found(&[("a", one.clone()), ("b", other)]);
            let first = with.iter().map(|(_, kind)| kind).next().unwrap();
            assert!(matches!(first, LintKind::SharedMessageId { .. }), "{with:?}");
        }
        let copy = found(&[("a", one.clone()), ("b", one)]);
        assert!(
            matches!(copy.as_slice(), [(_, kind @ LintKind::Copy { .. })] if !kind.is_dangerous()),
            "{copy:?}"
        );
    }
}
