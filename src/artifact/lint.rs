//! What is unusual or wrong with messages, seen without any key.
//!
//! Two messages with one message id are what must never be: under one data key they would share nonces (message format
//! version 2 fixes the header's), and give the authentication key away. Everything else is what other clients refuse or
//! what shows that a file is not as it was written.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    num::NonZeroU32,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

use crate::envelope::{HeaderError, MessageId, MessageInfo, inspect};

/// What a regular frame is longer than its plaintext.
const REGULAR_OVERHEAD_BYTES: u64 = 32;
/// What stands in the final frame before its ciphertext, and behind it.
const FINAL_HEAD_BYTES: u64 = 24;
const TAG_BYTES: u64 = 16;
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
    /// Another file has the same message id and other bytes in its header.
    SharedMessageId {
        /// That file.
        #[serde(rename = "With", serialize_with = "as_shown")]
        with: PathBuf,
    },
    /// Another file has the very same header: a copy.
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
    /// The final frame is not there.
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
                    "has the message id of `{}` and another header: nonces may have met",
                    with.display()
                )
            }
            LintKind::Copy { of } => write!(formatter, "is a copy of `{}`, or its header is", of.display()),
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
            LintKind::Truncated => write!(formatter, "has no final frame: it is cut short or damaged"),
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
}

impl Lint {
    /// Looks at a file, or at every file of a directory and those in it. What is no message is passed over. No symbolic
    /// link is followed, but for `path` itself.
    ///
    /// # Errors
    ///
    /// When something cannot be read, with its path.
    pub fn look(&mut self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let about = |path: &Path| {
            let path = path.to_path_buf();
            move |error| (path, error)
        };
        if !fs::metadata(path).map_err(about(path))?.is_dir() {
            return self.look_at_file(path).map_err(about(path));
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
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
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
            Some((of, other)) if *other == header => found.push(LintKind::Copy { of: of.clone() }),
            Some((with, _)) => found.push(LintKind::SharedMessageId { with: with.clone() }),
            None => drop(self.seen.insert(info.message_id, (path.into(), header))),
        }
        if !info.suite.commits() {
            found.push(LintKind::UncommittedSuite { suite: info.suite.to_string() });
        }
        let Some(frame_length) = info.frame_bytes.and_then(NonZeroU32::new) else {
            found.push(LintKind::Unframed);
            return Ok(());
        };
        let length = frame_length.get();
        if !length.is_multiple_of(FRAME_MULTIPLE) || length > FRAME_BYTES_MAX {
            found.push(LintKind::UnusualFrameLength { bytes: length });
        }
        match final_frame(file, info.header_bytes, frame_length)? {
            None => found.push(LintKind::Truncated),
            Some((_, end)) if end > bytes => found.push(LintKind::Truncated),
            Some((last, end)) => {
                if last == length {
                    found.push(LintKind::FullFinalFrame);
                }
                let end = if info.suite.signs() { end_of_signature(file, end)? } else { end };
                match bytes.checked_sub(end) {
                    None => found.push(LintKind::Truncated),
                    Some(0) => {}
                    Some(more) => found.push(LintKind::TrailingBytes { bytes: more }),
                }
            }
        }
        Ok(())
    }
}

/// The final frame's length and where it ends: found by its mark, from frame to frame.
fn final_frame(file: &File, header_bytes: u64, frame_length: NonZeroU32) -> io::Result<Option<(u32, u64)>> {
    let step = u64::from(frame_length.get()) + REGULAR_OVERHEAD_BYTES;
    let mut at = header_bytes;
    for sequence in 1..=END_MARK {
        let mut mark = [0; 4];
        if !is_there(file.read_exact_at(&mut mark, at))? {
            return Ok(None);
        }
        match u32::from_be_bytes(mark) {
            END_MARK => {
                let mut length = [0; 4];
                let there = is_there(file.read_exact_at(&mut length, at + FINAL_HEAD_BYTES - 4))?;
                let length = u32::from_be_bytes(length);
                let whole = there && length <= frame_length.get();
                return Ok(whole.then(|| (length, at + FINAL_HEAD_BYTES + u64::from(length) + TAG_BYTES)));
            }
            found if found == sequence => at += step,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Where the signature behind a body ends (u16 length, then the bytes).
fn end_of_signature(file: &File, at: u64) -> io::Result<u64> {
    let mut length = [0; 2];
    let there = is_there(file.read_exact_at(&mut length, at))?;
    Ok(at + 2 + if there { u64::from(u16::from_be_bytes(length)) } else { 0 })
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
        envelope::{FrameLength, RawAesKeyring, SealOptions, seal},
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
    fn a_full_final_frame_is_found() {
        // One frame of 127 bytes that says it is of 127: the header's frame length is made to fit.
        let mut bytes = message(128, 256, 1, "k");
        let at = bytes.windows(5).position(|window| window == [2, 0, 0, 1, 0]).unwrap();
        bytes[at + 3..at + 5].copy_from_slice(&[0, 128]);
        assert_eq!(found(&[("x", bytes)]), [("x".into(), LintKind::FullFinalFrame)]);
    }

    #[test]
    fn a_shared_message_id_is_told_from_a_copy() {
        let (one, other) = (message(10, 128, 1, "k"), message(10, 128, 1, "other"));
        let with = found(&[("a", one.clone()), ("b", other)]);
        assert!(
            matches!(with.as_slice(), [(name, kind @ LintKind::SharedMessageId { .. })] if name == "b" && kind.is_dangerous()),
            "{with:?}"
        );
        let copy = found(&[("a", one.clone()), ("b", one)]);
        assert!(
            matches!(copy.as_slice(), [(_, kind @ LintKind::Copy { .. })] if !kind.is_dangerous()),
            "{copy:?}"
        );
    }
}
