//! `keystead cat`

use std::{io::Write, path::PathBuf, str::FromStr};

use clap::Args;
use zeroize::Zeroizing;

use super::{
    error::CommandError,
    global::Global,
    keyring::OpeningKeys,
    stream::{binary_stdout, expect_named},
};
use crate::{artifact::SealedFile, model::ParseError};

/// How much is decrypted before it is written.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// Write a part of an encrypted file to standard output
///
/// Example: keystead cat model.safetensors.sealed --range 0-7 | xxd
///
/// Reads and decrypts only the frames that the range covers. The first and the last byte are counted from 0 and both
/// belong to it, as in HTTP: 0-99 are the first hundred, 100- is all from there on, -100 are the last hundred. A signed
/// message is refused: only the whole of it can be verified.
#[derive(Debug, Args)]
pub(super) struct Cat {
    /// The file
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Which bytes of the plaintext [default: all]
    #[arg(long, value_name = "FIRST-LAST", allow_hyphen_values = true)]
    range: Option<Range>,
    #[command(flatten)]
    keys: OpeningKeys,
}

impl Cat {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        expect_named(
            &self.path,
            "a part of a stream is all of it up to there: `keystead decrypt - | head -c N`",
        )?;
        let mut stdout = binary_stdout("redirect it, or use a pipe")?;
        let options = self.keys.options()?;
        let file =
            self.keys.with(global, |_, keyring| Ok(SealedFile::open(&self.path, keyring, &options)?))?;
        let length = file.plaintext_bytes();
        let (mut at, end) =
            self.range.map_or(Some((0, length)), |range| range.within(length)).ok_or_else(|| {
                CommandError::usage(format!("no byte is in that range: the plaintext has {length} bytes"))
            })?;
        let room = usize::try_from((end - at).min(CHUNK_BYTES)).unwrap_or_default();
        let mut chunk = Zeroizing::new(vec![0; room]);
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(room).min(room);
            let part = chunk.split_at_mut(wanted).0;
            file.read_exact_at(part, at).map_err(crate::artifact::ArtifactError::from)?;
            stdout.write_all(part)?;
            at += wanted as u64;
        }
        Ok(stdout.flush()?)
    }
}

/// A range of bytes as HTTP writes it (RFC 9110, 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    From(u64),
    FromTo(u64, u64),
    Last(u64),
}

impl Range {
    /// First byte and the one after the last in a plaintext of this length; none when the range is not satisfiable.
    fn within(self, length: u64) -> Option<(u64, u64)> {
        match self {
            Self::From(first) => (first < length).then_some((first, length)),
            Self::FromTo(first, last) => {
                (first < length).then_some((first, last.saturating_add(1).min(length)))
            }
            Self::Last(count) => (count > 0).then_some((length.saturating_sub(count), length)),
        }
    }
}

impl FromStr for Range {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(format!("`{text}` is no range: write 0-99, 100- or -100, the last byte included"))
        };
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<u64>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        match text.split_once('-').ok_or_else(wrong)? {
            ("", count) => number(count).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok(Self::FromTo(first, last)),
                _ => Err(wrong()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let within = |text: &str| text.parse::<Range>().unwrap().within(10);
        assert_eq!(within("0-3"), Some((0, 4)));
        assert_eq!(within("3-3"), Some((3, 4)));
        assert_eq!(within("3-"), Some((3, 10)));
        assert_eq!(within("3-99"), Some((3, 10)));
        assert_eq!(within("-4"), Some((6, 10)));
        assert_eq!(within("-99"), Some((0, 10)));
        for unsatisfiable in ["10-", "11-", "10-10", "-0"] {
            assert_eq!(within(unsatisfiable), None, "{unsatisfiable}");
        }
        let of_nothing = |text: &str| text.parse::<Range>().unwrap().within(0);
        assert_eq!((of_nothing("0-0"), of_nothing("0-"), of_nothing("-1")), (None, None, Some((0, 0))));
        assert_eq!(within("0-18446744073709551615"), Some((0, 10)));
        for bad in ["", "-", "3", "4-3", "a-b", "0-+3", "1-2-3", "-1-2", "0-18446744073709551616"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
