//! Cryptography: the only importer of the crates that do it.
//!
//! Published constructions alone, each file naming its specification and carrying that specification's vectors.
//! Two AES-GCM implementations stand side by side: [`aead`] (RustCrypto) wraps keys and seals KMS ciphertexts,
//! [`frame`] (AWS-LC) seals the bulk of artifacts; a test checks each against the other.

pub mod aead;
pub mod digest;
pub mod ecdsa;
pub mod frame;
pub mod jwt;
pub mod kdf;
pub mod password;
pub mod random;
pub mod rsa;
pub mod rsa_signature;
pub mod signature;
mod stack;
pub mod totp;

pub(crate) use stack::wiped;

/// A ciphertext did not open: its key, its associated data or its bytes are not those it was sealed with. Which of
/// the three is deliberately not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext does not open: wrong key, wrong associated data or damaged bytes")]
pub struct OpenError;
