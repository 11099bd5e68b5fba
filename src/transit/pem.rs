//! Certificates, keys and revocation lists in files: PEM (RFC 7468).

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::{Zeroize, Zeroizing};

use super::TransitError;
use crate::secret::SecretBytes;

/// The longest file that is read, in bytes.
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A certificate as PEM.
#[must_use]
pub fn certificate(der: &[u8]) -> String {
    encode("CERTIFICATE", der).as_str().into()
}

/// A revocation list as PEM.
#[must_use]
pub fn revocation_list(der: &[u8]) -> String {
    encode("X509 CRL", der).as_str().into()
}

/// Writes a private key (PKCS #8) to a new file that its owner alone may read. An existing file is not touched.
///
/// # Errors
///
/// When there is such a file already, or it cannot be written.
pub fn write_private_key(path: &Path, key: &SecretBytes) -> Result<(), TransitError> {
    let text = encode("PRIVATE KEY", key.expose_secret());
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

/// Reads a private key (PKCS #8).
///
/// # Errors
///
/// When the file cannot be read, holds something else, or others than its owner may read it.
pub fn read_private_key(path: &Path) -> Result<SecretBytes, TransitError> {
    let file = open(path)?;
    let mode = file.metadata()?.mode();
    if mode & 0o077 != 0 {
        let why = format!("`{}` has mode {:03o}; a private key's must be 600", path.display(), mode & 0o777);
        return Err(TransitError::NotPem(why));
    }
    let text = read(file)?;
    let mut key =
        PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| not_one(path, "private key in PKCS #8"))?;
    let secret = SecretBytes::from(key.secret_pkcs8_der());
    key.zeroize();
    Ok(secret)
}

/// Reads the certificates in a file, in their order.
///
/// # Errors
///
/// When the file cannot be read or holds none.
pub fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, TransitError> {
    let text = read(open(path)?)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|_| not_one(path, "certificate"))?;
    if found.is_empty() {
        return Err(not_one(path, "certificate"));
    }
    Ok(found.into_iter().map(|one| one.to_vec()).collect())
}

/// Reads the revocation list in a file.
///
/// # Errors
///
/// When the file cannot be read or holds none.
pub fn read_revocation_list(path: &Path) -> Result<Vec<u8>, TransitError> {
    let text = read(open(path)?)?;
    let list = CertificateRevocationListDer::from_pem_slice(&text);
    Ok(list.map_err(|_| not_one(path, "revocation list"))?.to_vec())
}

/// Opens a file; the error says which one it was.
fn open(path: &Path) -> Result<File, TransitError> {
    File::open(path).map_err(|error| {
        TransitError::Io(io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))
    })
}

fn read(file: File) -> Result<Zeroizing<Vec<u8>>, TransitError> {
    let size = file.metadata()?.len();
    // With its whole room from the start, so that no part of a key is left behind in a smaller one.
    let room = usize::try_from(size.min(PEM_BYTES_MAX)).unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    file.take(PEM_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

fn not_one(path: &Path, what: &str) -> TransitError {
    TransitError::NotPem(format!("`{}` holds no {what} in PEM", path.display()))
}

fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    const LINE: usize = 64;
    let base64 = Zeroizing::new(BASE64_STANDARD.encode(der));
    let room = base64.len() + base64.len() / LINE + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_private_key_is_for_its_owner_alone_and_replaces_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key.pem");
        let key = SecretBytes::from(&[7; 100][..]);
        write_private_key(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(read_private_key(&path).unwrap().ct_eq(&key));
        assert!(matches!(write_private_key(&path, &key), Err(TransitError::Io(_))));

        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let refused = read_private_key(&path).unwrap_err().to_string();
        assert!(refused.contains("has mode 644"), "{refused}");
    }

    #[test]
    fn certificates_come_back_in_their_order_and_other_files_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("chain.pem");
        fs::write(&path, certificate(&[1; 48]) + &certificate(&[2; 49])).unwrap();
        assert_eq!(read_certificates(&path).unwrap(), [vec![1; 48], vec![2; 49]]);
        fs::write(&path, revocation_list(&[3; 5])).unwrap();
        assert_eq!(read_revocation_list(&path).unwrap(), [3; 5]);
        assert!(matches!(read_certificates(&path), Err(TransitError::NotPem(_))));
        assert!(matches!(read_certificates(place.path()), Err(TransitError::Io(_))));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(der in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..400)) {
            let text = certificate(&der);
            proptest::prop_assert!(text.lines().all(|line| line.len() <= 64));
            let read = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(&read[..], &der[..]);
        }
    }
}
