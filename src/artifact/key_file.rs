//! A raw AES key in a file: 32 bytes as they are, or their 64 hexadecimal digits; also 16 or 24 bytes, or 48 digits, for
//! messages of those who have such keys.
//!
//! `openssl rand 32` and `head -c 32 /dev/urandom` make the first, `openssl rand -hex 32` the second; the AWS Encryption
//! SDK's clients take the same bytes. Base64 is not taken: 44 letters say nothing of what they are.
//!
//! A file that others can read is taken, and [`RawKeyFile::readable_by_others`] says so, for the caller to warn: container
//! runtimes mount secrets readable for all, and refusing those would make people copy keys elsewhere.

use std::{fs::File, io, io::Read, os::unix::fs::PermissionsExt, path::Path, path::PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::{crypto::rsa::RsaKey, envelope::ErrorClass, secret::SecretBytes};

const KEY_BYTES: usize = 32;
/// The lengths of the other keys of AES.
const SHORTER_KEY_BYTES: [usize; 2] = [16, 24];
/// The longest content that can be a key: hexadecimal digits and the end of a line, `\r\n`.
const FILE_BYTES_MAX: usize = 2 * KEY_BYTES + 2;

/// An AES key that was read from a file.
#[derive(Debug)]
pub struct RawKeyFile {
    /// The key, of 16, 24 or 32 bytes.
    pub key: SecretBytes,
    /// The file's permission bits, when they let others than its owner read it.
    pub readable_by_others: Option<u32>,
}

/// Why a key could not be read from a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("the key file `{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else than a key.
    #[error("the key file `{}` holds no key: a key is 32 bytes (or 24 or 16), or 64 hexadecimal digits", path.display())]
    NotAKey {
        /// The path.
        path: PathBuf,
    },
    /// It holds something else than an RSA key.
    #[error("the key file `{}` holds no RSA key: it is PEM, unencrypted, of 2,048 to 8,192 bits", path.display())]
    NotAnRsaKey {
        /// The path.
        path: PathBuf,
    },
    /// It holds 32 hexadecimal digits, which could be taken for 32 bytes: a far weaker key than it looks.
    #[error(
        "the key file `{}` holds 32 hexadecimal digits, which are 16 bytes: a key is 32 bytes, or 64 hexadecimal digits",
        path.display()
    )]
    HalfAKey {
        /// The path.
        path: PathBuf,
    },
}

impl KeyFileError {
    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        ErrorClass::KeyUnusable
    }
}

/// The longest PEM text: a private key of 8,192 bits has 6,400 bytes.
const PEM_BYTES_MAX: usize = 64 * 1024;

/// An RSA key that was read from a file.
pub struct RsaKeyFile {
    /// The key.
    pub key: RsaKey,
    /// The file's permission bits, when it holds a private key and they let others than its owner read it.
    pub readable_by_others: Option<u32>,
}

impl RsaKeyFile {
    /// Reads the PEM file at `path`, which may be a pipe.
    ///
    /// # Errors
    ///
    /// When it cannot be read or holds no RSA key.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let (content, mode) = read_content(path, PEM_BYTES_MAX)?;
        let key =
            RsaKey::from_pem(&content).ok_or_else(|| KeyFileError::NotAnRsaKey { path: path.into() })?;
        let readable_by_others = mode.filter(|_| key.is_private());
        Ok(Self { key, readable_by_others })
    }
}

/// The first `bytes_max` bytes of a file and one more, and its permission bits when others can read it.
fn read_content(path: &Path, bytes_max: usize) -> Result<(Zeroizing<Vec<u8>>, Option<u32>), KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable { path: path.into(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    let readable_by_others = (metadata.is_file() && mode & 0o044 != 0).then_some(mode);
    // With its whole room from the start, so that the key is never left behind in a smaller one.
    let mut content = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_end(&mut content).map_err(unreadable)?;
    Ok((content, readable_by_others))
}

impl RawKeyFile {
    /// Reads the key in the file at `path`, which may be a pipe.
    ///
    /// # Errors
    ///
    /// When it cannot be read or does not hold exactly a key.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let (content, readable_by_others) = read_content(path, FILE_BYTES_MAX)?;
        let key = parse(&content).map_err(|half| {
            let path = path.to_path_buf();
            if half { KeyFileError::HalfAKey { path } } else { KeyFileError::NotAKey { path } }
        })?;
        Ok(Self { key, readable_by_others })
    }
}

/// The key of a file's content; when there is none, whether it is half of one.
fn parse(content: &[u8]) -> Result<SecretBytes, bool> {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let digits = line.iter().all(u8::is_ascii_hexdigit);
    if line.len() == KEY_BYTES && digits {
        return Err(true);
    }
    let is_a_key = |length| length == KEY_BYTES || SHORTER_KEY_BYTES.contains(&length);
    if is_a_key(content.len()) {
        return Ok(content.into());
    }
    if !digits || !is_a_key(line.len() / 2) {
        return Err(false);
    }
    // An odd number of digits is refused here.
    hex::decode(line).map(SecretBytes::new).map_err(|_| false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<RawKeyFile, KeyFileError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        RawKeyFile::read(&path)
    }

    #[test]
    fn bytes_and_digits_make_the_same_key() {
        let bytes: Vec<u8> = (0..32).map(|byte| byte * 7).collect();
        let digits = hex::encode(&bytes);
        for content in [
            bytes.clone(),
            digits.clone().into_bytes(),
            format!("{}\n", digits.to_uppercase()).into_bytes(),
            format!("{digits}\r\n").into_bytes(),
        ] {
            assert_eq!(read(&content, 0o600).unwrap().key.expose_secret(), bytes);
        }
        let ends_in_newline = [&bytes[..31], b"\n"].concat();
        assert_eq!(read(&ends_in_newline, 0o600).unwrap().key.expose_secret(), ends_in_newline);
    }

    #[test]
    fn shorter_keys_of_aes_are_taken_as_bytes_and_the_middle_one_as_digits() {
        for content in [vec![7; 16], vec![7; 24], "07".repeat(24).into_bytes()] {
            let key = read(&content, 0o600).unwrap().key;
            assert!(key.expose_secret().iter().all(|byte| *byte == 7), "{content:?}");
        }
        for content in [vec![7; 15], vec![7; 17], vec![7; 25], "07".repeat(23).into_bytes(), vec![b'7'; 47]] {
            assert!(matches!(read(&content, 0o600), Err(KeyFileError::NotAKey { .. })), "{content:?}");
        }
    }

    #[test]
    fn anything_else_is_no_key() {
        let digits = "ab".repeat(32);
        for content in [
            b"".to_vec(),
            vec![7; 31],
            vec![7; 33],
            vec![7; 5000],
            digits[1..].into(),
            format!("{digits}a").into(),
            format!("{digits}\n\n").into(),
            format!("g{}", &digits[1..]).into(),
            b"q83vq83vq83vq83vq83vq83vq83vq83vq83vq83vq80=".to_vec(),
        ] {
            assert!(matches!(read(&content, 0o600), Err(KeyFileError::NotAKey { .. })), "{content:?}");
        }
        for half in ["ab".repeat(16), "AB".repeat(16) + "\n"] {
            assert!(matches!(read(half.as_bytes(), 0o600), Err(KeyFileError::HalfAKey { .. })));
        }
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(RawKeyFile::read(directory.path()), Err(KeyFileError::Unreadable { .. })));
        assert!(RawKeyFile::read(&directory.path().join("none")).is_err());
    }

    #[test]
    fn a_file_that_others_can_read_is_told() {
        assert_eq!(read(&[7; 32], 0o600).unwrap().readable_by_others, None);
        assert_eq!(read(&[7; 32], 0o400).unwrap().readable_by_others, None);
        assert_eq!(read(&[7; 32], 0o640).unwrap().readable_by_others, Some(0o640));
        assert_eq!(read(&[7; 32], 0o444).unwrap().readable_by_others, Some(0o444));
    }
}
