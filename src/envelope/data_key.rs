//! The key that a message's keys are derived from.

use crate::secret::{SecretBytes, SecretKey};

/// A data key of 16, 24 or 32 bytes. Messages that are sealed here have one of 32; those of older suites have others.
#[derive(Debug)]
pub struct DataKey(SecretBytes);

impl DataKey {
    /// The data key with these bytes; none when there are not 16, 24 or 32 of them.
    #[must_use]
    pub fn new(bytes: SecretBytes) -> Option<Self> {
        matches!(bytes.len(), 16 | 24 | 32).then_some(Self(bytes))
    }

    /// Its length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is `key`, in time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, key: &SecretKey) -> bool {
        self.0.ct_eq(&SecretBytes::from(key))
    }

    pub(super) fn bytes(&self) -> &SecretBytes {
        &self.0
    }
}

impl From<&SecretKey> for DataKey {
    fn from(key: &SecretKey) -> Self {
        Self(key.into())
    }
}

impl From<SecretKey> for DataKey {
    fn from(key: SecretKey) -> Self {
        Self::from(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lengths_of_aes_make_one() {
        for length in 0..40 {
            let key = DataKey::new(SecretBytes::new(vec![7; length]));
            assert_eq!(key.is_some(), [16, 24, 32].contains(&length), "{length}");
        }
        let key = SecretKey::from_slice(&[7; 32]).unwrap();
        assert!(DataKey::from(&key).is(&key));
        assert!(!DataKey::new(SecretBytes::new(vec![7; 16])).unwrap().is(&key));
    }
}
