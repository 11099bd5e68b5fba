//! Moving an artifact to other keys: opened and sealed again in one pass, as a new message.
//!
//! A header is never written again under the same message id: in message version 2 that would use one key and nonce for
//! two headers, and give the authentication key away (`docs/artifact-format.md`). So the new message has an id and a data
//! key of its own, and what stays is the plaintext and the encryption context.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::{
    ArtifactError, Done, Progress,
    input::InputFile,
    output::{OutputFile, Readers},
    pipe::through,
};
use crate::{
    crypto::random::Random,
    envelope::{
        self, FrameLength, Keyring, OpenMessageError, OpenOptions, SealOptions, Sealed, given_context,
        inspect,
    },
};

/// Moves the message in the file at `path` to the keys of `new_keyring`, and puts the new message in the file's place when
/// it is whole. Until then, and when anything fails, the file stays as it was. It keeps its permissions and, as far
/// as that is ours to give, its owner. What somebody else writes there meanwhile is an error, and stays.
///
/// Encryption context and, unless another is given, frame length stay as they are; a signed message is signed again, by a
/// new signing key.
///
/// # Errors
///
/// When the message does not open, cannot be sealed for the new keys, or changes meanwhile; when the file is a symbolic
/// link or cannot be replaced.
pub fn reencrypt(
    path: &Path,
    keyring: &dyn Keyring,
    opening: &OpenOptions,
    new_keyring: &dyn Keyring,
    frame_length: Option<FrameLength>,
    random: &mut dyn Random,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Done<Sealed>, ArtifactError> {
    let output = OutputFile::create(path, Readers::AsUmask, true)?;
    let input = InputFile::open(path)?;
    let mut reader = Heard { file: &input.file, done_bytes: 0, total_bytes: input.bytes(), progress };
    let named = |error: ArtifactError| error.naming(Some(path), Some(path));
    let mut file = output.file();
    let sealed = transcode(&mut reader, &mut file, keyring, opening, new_keyring, frame_length, random)
        .map_err(named)?;
    Ok(Done { message: sealed, path: Some(output.commit_instead_of(&input)?) })
}

/// Opens the message that `reader` gives and seals its plaintext as a new one into `writer`.
pub(super) fn transcode(
    reader: &mut (dyn Read + Send),
    writer: &mut dyn Write,
    keyring: &dyn Keyring,
    opening: &OpenOptions,
    new_keyring: &dyn Keyring,
    frame_length: Option<FrameLength>,
    random: &mut dyn Random,
) -> Result<Sealed, ArtifactError> {
    // The header is looked at first: context and frame length have to be known before the first frame. That they are
    // authentic is known at the end, before anything is kept.
    let mut looked_at = Kept { inner: &mut *reader, bytes: Vec::new() };
    let claimed = inspect(&mut looked_at, None).map_err(OpenMessageError::from)?;
    let start = io::Cursor::new(looked_at.bytes);
    let context = given_context(&claimed.context);
    let same_length = claimed.frame_bytes.and_then(|bytes| FrameLength::new(bytes).ok());
    let frame_length = frame_length.or(same_length).unwrap_or_default();
    let suite = claimed.suite.committing();
    let options = SealOptions { context: context.clone(), frame_length, suite, ..SealOptions::default() };
    let (opened, sealed) = through(
        |plaintext| envelope::open(start.chain(reader), plaintext, keyring, opening),
        |plaintext| envelope::seal(plaintext, writer, new_keyring, &options, random),
    );
    match (opened, sealed) {
        // Writing into the pipe fails only when sealing did.
        (Err(OpenMessageError::Write(_)), Err(error)) => Err(error.into()),
        (Err(error), _) => Err(error.into()),
        (Ok(_), Err(error)) => Err(error.into()),
        (Ok(opened), Ok(sealed)) if given_context(&opened.header.context) == context => Ok(sealed),
        (Ok(_), Ok(_)) => Err(OpenMessageError::HeaderTag.into()),
    }
}

/// Keeps all that is read.
struct Kept<R> {
    inner: R,
    bytes: Vec<u8>,
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A message that is read, heard of.
struct Heard<'work> {
    file: &'work File,
    done_bytes: u64,
    total_bytes: u64,
    progress: &'work mut (dyn FnMut(Progress) + Send),
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.done_bytes += read as u64;
        (self.progress)(Progress { done_bytes: self.done_bytes, total_bytes: Some(self.total_bytes) });
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::{
        crypto::random::SeededRandom,
        envelope::{ErrorClass, RawAesKeyring, SuiteId, seal},
        model::EncryptionContext,
        secret::SecretKey,
    };

    fn key(byte: u8) -> RawAesKeyring {
        RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
    }

    /// A message of ten frames under key 1, in a file of mode 0640.
    fn lab() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("x.sealed");
        let context = EncryptionContext::from_pairs([("model", "tiny")]).unwrap();
        let options =
            SealOptions { context, frame_length: FrameLength::new(8).unwrap(), ..SealOptions::default() };
        let mut message = Vec::new();
        seal(&[7; 77][..], &mut message, &key(1), &options, &mut SeededRandom::new(1)).unwrap();
        fs::write(&path, &message).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        (lab, path, message)
    }

    fn moved(path: &Path, from: u8, to: u8) -> Result<Sealed, ArtifactError> {
        let random: &mut dyn Random = &mut SeededRandom::new(2);
        reencrypt(path, &key(from), &OpenOptions::default(), &key(to), None, random, &mut |_| ())
            .map(|done| done.message)
    }

    #[test]
    fn the_new_message_has_an_id_of_its_own_and_opens_with_the_new_key_alone() {
        let (_lab, path, old) = lab();
        let sealed = moved(&path, 1, 2).unwrap();
        let message = fs::read(&path).unwrap();
        let before = inspect(old.as_slice(), None).unwrap();
        assert_ne!(sealed.header.message_id, before.message_id);
        let mut plaintext = Vec::new();
        let opened =
            envelope::open(message.as_slice(), &mut plaintext, &key(2), &OpenOptions::default()).unwrap();
        assert_eq!((plaintext, &opened.header.context), (vec![7; 77], &before.context));
        assert_eq!(inspect(message.as_slice(), None).unwrap().frame_bytes, Some(8));
        assert!(envelope::open(message.as_slice(), io::sink(), &key(1), &OpenOptions::default()).is_err());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_signed_message_is_signed_again_with_another_key() {
        let (_lab, path, _) = lab();
        let options = SealOptions { suite: SuiteId::COMMIT_KEY_SIGNED, ..SealOptions::default() };
        let mut message = Vec::new();
        let old = seal(&[7; 77][..], &mut message, &key(1), &options, &mut SeededRandom::new(1)).unwrap();
        fs::write(&path, &message).unwrap();
        let sealed = moved(&path, 1, 2).unwrap();
        assert_eq!(sealed.header.suite, SuiteId::COMMIT_KEY_SIGNED);
        assert_ne!(sealed.header.context, old.header.context, "the signing key is in the context");
        let message = fs::read(&path).unwrap();
        let open = |message: &[u8]| envelope::open(message, io::sink(), &key(2), &OpenOptions::default());
        assert!(open(&message).is_ok());
        assert!(open(&message[..message.len() - 3]).is_err());
    }

    #[test]
    fn what_is_written_meanwhile_is_not_lost() {
        let (lab, path, old) = lab();
        let newer = lab.path().join("newer");
        let elsewhere = lab.path().join("elsewhere");
        let meddlers: [&(dyn Fn() + Sync); 3] = [
            &|| fs::write(&path, [old.as_slice(), b"more"].concat()).unwrap(),
            &|| fs::rename(&newer, &path).unwrap(),
            &|| fs::rename(&path, &elsewhere).unwrap(),
        ];
        for (number, meddle) in meddlers.into_iter().enumerate() {
            fs::write(&path, &old).unwrap();
            fs::write(&newer, b"newer").unwrap();
            let mut once = Some(meddle);
            // All that is read of so small a message has been when the first of it is heard of.
            let mut heard = |progress: Progress| {
                if progress.total_bytes == Some(progress.done_bytes)
                    && let Some(meddle) = once.take()
                {
                    meddle();
                }
            };
            let random: &mut dyn Random = &mut SeededRandom::new(2);
            let error = reencrypt(&path, &key(1), &OpenOptions::default(), &key(2), None, random, &mut heard);
            let left = fs::read(&path).ok();
            match (number, error) {
                // The bytes behind its end may be seen as such.
                (0, Err(ArtifactError::Changed { .. } | ArtifactError::Open(_))) => {
                    assert!(left.unwrap().ends_with(b"more"));
                }
                (1, Err(ArtifactError::Changed { .. })) => assert_eq!(left.unwrap(), b"newer"),
                (2, Err(ArtifactError::Changed { .. })) => {
                    assert_eq!((left, fs::read(&elsewhere).unwrap()), (None, old.clone()))
                }
                (_, other) => panic!("{number}: {other:?}"),
            }
        }
    }

    #[test]
    fn whatever_fails_the_file_stays_as_it_was_and_nothing_lies_beside_it() {
        let (lab, path, old) = lab();
        let unchanged = |content: &[u8]| {
            assert_eq!(fs::read(&path).unwrap(), content);
            assert_eq!(fs::read_dir(lab.path()).unwrap().count(), 1);
        };
        assert_eq!(moved(&path, 3, 2).unwrap_err().class(), ErrorClass::Integrity, "a wrong key");
        unchanged(&old);
        for cut in [old.len() - 1, old.len() / 2, 10, 0] {
            fs::write(&path, &old[..cut]).unwrap();
            assert_eq!(moved(&path, 1, 2).unwrap_err().class(), ErrorClass::Integrity, "cut at {cut}");
            unchanged(&old[..cut]);
        }
        let longer = [old.as_slice(), b"x"].concat();
        fs::write(&path, &longer).unwrap();
        assert!(moved(&path, 1, 2).is_err());
        unchanged(&longer);
        let link = lab.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(moved(&link, 1, 2), Err(ArtifactError::NotAFile { .. })));
    }
}
