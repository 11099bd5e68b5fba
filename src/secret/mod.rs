//! Secret bytes: zeroized when dropped, never printed, compared in constant time.
//!
//! Every secret in the program is one of the two types here. They have no `Clone`, no `Serialize` and no
//! `PartialEq`; `Debug` prints the type's name alone; the bytes come out only through `expose_secret`, a name
//! that can be searched for — and `tests/architecture.rs` holds the list of files that may say it. Where they stand,
//! neither swap nor a core dump gets them, as far as the system permits.

mod memory;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use self::memory::Memory;

/// A secret of exactly `N` bytes, such as a 32-byte key.
///
/// Its bytes stand outside of the value, so that moving that does not leave copies behind.
pub struct SecretArray<const N: usize>(Memory);

impl<const N: usize> ZeroizeOnDrop for SecretArray<N> {}

/// A 256-bit key.
pub type SecretKey = SecretArray<32>;

impl<const N: usize> SecretArray<N> {
    /// Makes a secret by letting `fill` write its bytes in place.
    ///
    /// # Errors
    ///
    /// Whatever `fill` answers; the half-written bytes are zeroized then.
    pub fn try_from_fill<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Memory::zeroed(N));
        if let Some(bytes) = secret.0.as_mut().first_chunk_mut() {
            fill(bytes)?;
        }
        Ok(secret)
    }

    /// Copies `bytes` into a secret, or answers `None` when there are not exactly `N` of them.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != N {
            return None;
        }
        let mut secret = Self(Memory::zeroed(N));
        secret.0.as_mut().copy_from_slice(bytes);
        Some(secret)
    }

    /// The secret bytes.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; N] {
        match self.0.as_ref().first_chunk() {
            Some(bytes) => bytes,
            None => unreachable!("it was made with as many bytes"),
        }
    }

    /// Whether two secrets are the same, in time that does not depend on where they differ.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<const N: usize> fmt::Debug for SecretArray<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretArray<{N}>(…)")
    }
}

/// A secret of any length, such as a plaintext that came in by the API or a passphrase.
pub struct SecretBytes(Memory);

impl ZeroizeOnDrop for SecretBytes {}

impl Default for SecretBytes {
    fn default() -> Self {
        Self(Memory::zeroed(0))
    }
}

impl SecretBytes {
    /// Takes the bytes over. Hand in a vector that has never grown: growing leaves copies behind.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Memory::take(bytes))
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_empty()
    }

    /// The secret bytes.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Whether two secrets are the same, in time that depends on their lengths alone.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<const N: usize> From<&SecretArray<N>> for SecretBytes {
    fn from(secret: &SecretArray<N>) -> Self {
        secret.0.as_ref().into()
    }
}

/// When there are exactly `N` bytes.
impl<const N: usize> TryFrom<&SecretBytes> for SecretArray<N> {
    type Error = ();

    fn try_from(bytes: &SecretBytes) -> Result<Self, ()> {
        Self::from_slice(bytes.0.as_ref()).ok_or(())
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut memory = Memory::zeroed(bytes.len());
        memory.as_mut().copy_from_slice(bytes);
        Self(memory)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretBytes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_secret_prints_its_type_alone() {
        let key = SecretKey::from_slice(&[0x41; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SecretArray<32>(…)");
        assert_eq!(format!("{:?}", SecretBytes::new(b"AAAA".to_vec())), "SecretBytes(…)");
    }

    #[test]
    fn only_the_exact_length_makes_a_key() {
        assert!(SecretKey::from_slice(&[0; 32]).is_some());
        assert!(SecretKey::from_slice(&[0; 31]).is_none());
        assert!(SecretKey::from_slice(&[0; 33]).is_none());
    }

    #[test]
    fn secrets_compare_by_their_bytes() {
        let (one, same) = (SecretBytes::from(&b"abc"[..]), SecretBytes::from(&b"abc"[..]));
        assert!(one.ct_eq(&same));
        assert!(!one.ct_eq(&SecretBytes::from(&b"abd"[..])));
        assert!(!one.ct_eq(&SecretBytes::from(&b"ab"[..])));
    }
}
