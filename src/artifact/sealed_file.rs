//! A sealed file that is read at any position without being opened whole.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{ArtifactError, input::InputFile};
use crate::envelope::{Header, Keyring, OpenMessageError, OpenOptions, SealedMessage};

/// A sealed file, as if it were its plaintext: [`Read`] and [`Seek`] for one reader, [`read_at`](Self::read_at) for many
/// threads.
///
/// Opening it verifies the header and the final frame, which proves the length; each read verifies the frames that it
/// covers. See [`SealedMessage`].
///
/// ```
/// use std::io::{Read, Seek, SeekFrom};
/// use keystead::{
///     artifact::{self, SealedFile, Source, Target},
///     crypto::random::{Random, SystemRandom},
///     envelope::{OpenOptions, RawAesKeyring, SealOptions},
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let model = &directory.path().join("model");
/// # std::fs::write(model, b"weights and biases")?;
/// let random: &mut dyn Random = &mut SystemRandom;
/// let keyring = RawAesKeyring::new("lab", "laptop", random.secret()?)?;
/// let options = SealOptions::default();
/// let sealed =
///     artifact::seal(Source::File(model), Target::Beside, false, &keyring, &options, random, &mut |_| ())?;
///
/// let mut file = SealedFile::open(&sealed.path.unwrap_or_default(), &keyring, &OpenOptions::default())?;
/// file.seek(SeekFrom::End(-6))?;
/// let mut end = String::new();
/// file.read_to_string(&mut end)?;
/// assert_eq!(end, "biases");
/// # Ok(())
/// # }
/// ```
pub struct SealedFile {
    message: SealedMessage<File>,
    position: u64,
}

impl SealedFile {
    /// Opens a sealed file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, no data key opens it, it is not whole, or its message cannot be read in part.
    pub fn open(path: &Path, keyring: &dyn Keyring, options: &OpenOptions) -> Result<Self, ArtifactError> {
        let input = InputFile::open(path)?;
        let bytes = input.bytes();
        let message = SealedMessage::open(input.file, bytes, keyring, options)
            .map_err(|error| ArtifactError::from(error).naming(Some(path), None))?;
        Ok(Self { message, position: 0 })
    }

    /// The message's header, which is authentic.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.message.header()
    }

    /// The length of the plaintext in bytes.
    #[must_use]
    pub fn plaintext_bytes(&self) -> u64 {
        self.message.plaintext_bytes()
    }

    /// How many plaintext bytes each frame but the last holds. Reads of whole frames need no copy.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.message.frame_bytes()
    }

    /// Reads plaintext from `offset` on; answers how many bytes: fewer than there is room for only at the end.
    ///
    /// # Errors
    ///
    /// When a frame is not what was sealed, or cannot be read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, OpenMessageError> {
        self.message.read_at(buffer, offset)
    }

    /// Fills `buffer` with plaintext from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); also when the plaintext ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), OpenMessageError> {
        self.message.read_exact_at(buffer, offset)
    }
}

impl Read for SealedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(buffer, self.position).map_err(|error| match error {
            OpenMessageError::Read(error) => error,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        })?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SealedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.plaintext_bytes().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        artifact::{Source, Target, seal},
        crypto::random::SeededRandom,
        envelope::{FrameLength, RawAesKeyring, SealOptions},
        secret::SecretKey,
    };

    pub(in crate::artifact) fn keyring() -> RawAesKeyring {
        RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[1; 32]).unwrap()).unwrap()
    }

    /// A sealed file of this plaintext in frames of this length, opened.
    pub(in crate::artifact) fn sealed(
        plaintext: &[u8],
        frame_length: u32,
    ) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, plaintext).unwrap();
        let options =
            SealOptions { frame_length: FrameLength::new(frame_length).unwrap(), ..SealOptions::default() };
        let random = &mut SeededRandom::new(1);
        let done =
            seal(Source::File(&path), Target::Beside, false, &keyring(), &options, random, &mut |_| ())
                .unwrap();
        (directory, done.path.unwrap())
    }

    #[test]
    fn it_reads_and_seeks_like_its_plaintext() {
        let plaintext: Vec<u8> = (0..1000_u32).map(|at| (at % 251) as u8).collect();
        let (_directory, path) = sealed(&plaintext, 64);
        let mut file = SealedFile::open(&path, &keyring(), &OpenOptions::default()).unwrap();
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        assert_eq!(all, plaintext);
        let mut ten = [0; 10];
        for (to, position) in [
            (SeekFrom::Start(5), 5),
            (SeekFrom::Current(50), 65),
            (SeekFrom::End(-10), 990),
            (SeekFrom::Current(-20), 980),
        ] {
            assert_eq!(file.seek(to).unwrap(), position);
            file.read_exact(&mut ten).unwrap();
            assert_eq!(ten, plaintext[position as usize..][..10]);
        }
        assert!(file.seek(SeekFrom::End(-1001)).is_err());
        assert_eq!(file.seek(SeekFrom::End(5)).unwrap(), 1005);
        assert_eq!(file.read(&mut ten).unwrap(), 0);
        std::thread::scope(|scope| {
            for at in 0..8 {
                let (file, plaintext) = (&file, &plaintext);
                scope.spawn(move || {
                    let mut part = [0; 100];
                    file.read_exact_at(&mut part, at * 100).unwrap();
                    assert_eq!(part, plaintext[at as usize * 100..][..100]);
                });
            }
        });
    }

    #[test]
    fn another_key_and_a_cut_file_do_not_open() {
        let (_directory, path) = sealed(&[7; 100], 64);
        let other = RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[2; 32]).unwrap()).unwrap();
        assert!(SealedFile::open(&path, &other, &OpenOptions::default()).is_err());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(SealedFile::open(&path, &keyring(), &OpenOptions::default()).is_err());
    }
}
