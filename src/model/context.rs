//! The encryption context: pairs that are authenticated with a ciphertext and logged in clear.
//!
//! Two texts with the same pairs are the same context, whatever the order. Its one serialisation is that of the
//! AWS Encryption SDK — count, then length-prefixed keys and values sorted by the keys' bytes — so that
//! `{"ab": "c"}` and `{"a": "bc"}` never look alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// The longest serialised encryption context in bytes (KMS: 8,192 bytes of keys and values).
pub const CONTEXT_BYTES_MAX: usize = 8192;

/// The longest context that a message's header can hold: its length is a 16-bit number.
const SERIALISED_BYTES_MAX: usize = 65_535;

/// Pairs of text that are authenticated together with a ciphertext.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// The empty context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair.
    ///
    /// # Errors
    ///
    /// When the key is empty or already there, or when the whole would be longer than 65,535
    /// bytes.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<(), ParseError> {
        let (key, value) = (key.into(), value.into());
        if key.is_empty() {
            return Err(ParseError::new("an encryption context's key must not be empty"));
        }
        if self.0.contains_key(&key) {
            return Err(ParseError::new(format!("the encryption context has the key `{key}` twice")));
        }
        if self.serialised_len() + 6 + key.len() + value.len() > SERIALISED_BYTES_MAX {
            return Err(ParseError::new("the encryption context is longer than 65,535 bytes"));
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// The context of these pairs.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ParseError> {
        let mut context = Self::new();
        for (key, value) in pairs {
            context.insert(key, value)?;
        }
        Ok(context)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The pairs, sorted by the keys' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes of all keys and values together, which is what KMS limits to [`CONTEXT_BYTES_MAX`].
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Whether every pair of `other` stands in this context too.
    #[must_use]
    pub fn contains_all_of(&self, other: &Self) -> bool {
        other.iter().all(|(key, value)| self.get(key) == Some(value))
    }

    fn serialised_len(&self) -> usize {
        if self.0.is_empty() { 0 } else { 2 + self.iter().map(|(k, v)| 4 + k.len() + v.len()).sum::<usize>() }
    }

    /// The context's canonical bytes: empty for the empty context, else a 16-bit count and per pair a 16-bit length
    /// and the key, a 16-bit length and the value, sorted by the key's bytes (AWS Encryption SDK, message header AAD).
    #[must_use]
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.serialised_len());
        if self.0.is_empty() {
            return bytes;
        }
        let mut put = |length: usize, text: &[u8]| {
            // INVARIANT: `insert` keeps the whole within 65,535 bytes, so no count or length is cut off here.
            bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(text);
        };
        put(self.0.len(), b"");
        for (key, value) in self.iter() {
            put(key.len(), key.as_bytes());
            put(value.len(), value.as_bytes());
        }
        bytes
    }

    /// Reads what [`to_canonical_bytes`](Self::to_canonical_bytes) wrote.
    ///
    /// # Errors
    ///
    /// When lengths do not add up, bytes are left over, text is not UTF-8, keys are unsorted or twice there, or a count
    /// of zero is written out: each context has exactly one form.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        let damaged = |what: &str| ParseError::new(format!("the encryption context is damaged: {what}"));
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        let mut rest = bytes;
        let mut context = Self::new();
        let count = take_u16(&mut rest).ok_or_else(|| damaged("it ends early"))?;
        if count == 0 {
            return Err(damaged("it has a count of zero"));
        }
        let mut previous: Option<String> = None;
        for _ in 0..count {
            let key = take_text(&mut rest).ok_or_else(|| damaged("it ends early or is not UTF-8"))?;
            let value = take_text(&mut rest).ok_or_else(|| damaged("it ends early or is not UTF-8"))?;
            if previous.as_ref().is_some_and(|previous| previous.as_bytes() >= key.as_bytes()) {
                return Err(damaged("its keys are not sorted or not distinct"));
            }
            previous = Some(key.clone());
            context.insert(key, value)?;
        }
        if rest.is_empty() { Ok(context) } else { Err(damaged("bytes are left over")) }
    }
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(u16::from_be_bytes(*head))
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(take_u16(rest)?);
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    String::from_utf8(head.to_vec()).ok()
}

impl TryFrom<BTreeMap<String, String>> for EncryptionContext {
    type Error = ParseError;

    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, ParseError> {
        Self::from_pairs(pairs)
    }
}

impl From<EncryptionContext> for BTreeMap<String, String> {
    fn from(context: EncryptionContext) -> Self {
        context.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn the_empty_context_has_no_bytes_and_no_count() {
        assert!(EncryptionContext::new().to_canonical_bytes().is_empty());
        assert!(EncryptionContext::from_canonical_bytes(&[0, 0]).is_err());
    }

    #[test]
    fn pairs_are_sorted_and_length_prefixed() {
        let bytes = context(&[("b", "2"), ("a", "1")]).to_canonical_bytes();
        assert_eq!(bytes, b"\x00\x02\x00\x01a\x00\x011\x00\x01b\x00\x012");
    }

    #[test]
    fn moving_a_letter_from_value_to_key_changes_the_bytes() {
        assert_ne!(
            context(&[("ab", "c")]).to_canonical_bytes(),
            context(&[("a", "bc")]).to_canonical_bytes()
        );
    }

    #[test]
    fn unsorted_double_and_left_over_bytes_are_refused() {
        for bad in [
            &b"\x00\x02\x00\x01b\x00\x012\x00\x01a\x00\x011"[..],
            b"\x00\x02\x00\x01a\x00\x012\x00\x01a\x00\x011",
            b"\x00\x01\x00\x01a\x00\x011x",
            b"\x00\x01\x00\x01a\x00\x02\xff\xff",
            b"\xff\xff",
            b"\x00",
        ] {
            assert!(EncryptionContext::from_canonical_bytes(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn too_long_a_context_is_refused_before_it_is_serialised() {
        let mut context = EncryptionContext::new();
        context.insert("a", "x".repeat(60_000)).unwrap();
        assert!(context.insert("b", "x".repeat(6_000)).is_err());
        assert!(context.insert("", "x").is_err());
        assert!(context.insert("a", "again").is_err());
    }

    proptest! {
        #[test]
        fn every_context_survives_its_bytes(pairs in proptest::collection::btree_map("\\PC{1,20}", "\\PC{0,20}", 0..8)) {
            let context = EncryptionContext::try_from(pairs).unwrap();
            let bytes = context.to_canonical_bytes();
            prop_assert_eq!(EncryptionContext::from_canonical_bytes(&bytes).unwrap(), context);
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(context) = EncryptionContext::from_canonical_bytes(&bytes) {
                prop_assert_eq!(context.to_canonical_bytes(), bytes);
            }
        }
    }
}
