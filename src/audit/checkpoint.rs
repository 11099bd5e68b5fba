//! Checkpoints: the log's position as signed text (C2SP tlog-checkpoint).
//!
//! Three lines — origin, size in decimal, root in base64 — in a signed [`note`]. Anybody who keeps one
//! can later tell whether the log still holds what it held then.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{
    LogPosition,
    note::{self, Note, VerifierKey},
};
use crate::{
    crypto::{OpenError, signature::SigningKey},
    model::ParseError,
};

/// The first line of the checkpoints of the keystore with this id.
#[must_use]
pub fn origin(keystore_id: &str) -> String {
    format!("keystead/{keystore_id}")
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log is meant.
    pub origin: String,
    /// How far it reached.
    pub position: LogPosition,
}

impl Checkpoint {
    /// The signed note that says it. The key's name is the origin.
    #[must_use]
    pub fn sign(position: &LogPosition, verifier: &VerifierKey, key: &SigningKey) -> String {
        let text = format!("{}\n{}\n{}\n", verifier.name(), position.size, BASE64.encode(position.root));
        note::sign(&text, verifier, key)
    }

    /// What a checkpoint says that `key` signed.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it did not, when it is for another log than the key's, or when it is no checkpoint.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, OpenError> {
        let text = Note::parse(note).map_err(|_| OpenError)?.verify(key)?;
        let checkpoint = Self::parse_text(text).map_err(|_| OpenError)?;
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(OpenError) }
    }

    /// What a checkpoint says, without knowing whose it is.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when it is no checkpoint.
    pub fn parse_unverified(note: &str) -> Result<Self, ParseError> {
        Self::parse_text(Note::parse(note)?.unverified_text())
    }

    /// Lines after the third are extensions; the specification has readers pass over them.
    fn parse_text(text: &str) -> Result<Self, ParseError> {
        let bad = |what| ParseError::new(format!("this is not a checkpoint: {what}"));
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(bad("it has fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(bad("it has an empty line"));
        }
        let decimal = size == "0" || !size.starts_with('0');
        if !decimal || !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad("its size is not a decimal number"));
        }
        let size = size.parse().map_err(|_| bad("its size is not a decimal number"))?;
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.ok_or_else(|| bad("its root is not 32 bytes in base64"))?;
        Ok(Self { origin: origin.into(), position: LogPosition { size, root } })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::SecretKey;

    fn key() -> (SigningKey, VerifierKey) {
        let key = SigningKey::from_seed(&SecretKey::from_slice(&[7; 32]).unwrap());
        let verifier = VerifierKey::new(&origin("test"), key.public_key()).unwrap();
        (key, verifier)
    }

    #[test]
    fn a_checkpoint_is_three_lines_and_a_signature() {
        let (key, verifier) = key();
        let note = Checkpoint::sign(&LogPosition::empty(), &verifier, &key);
        assert!(note.starts_with(
            "keystead/test\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u{2014} keystead/test "
        ));
        let checkpoint = Checkpoint::open(&note, &verifier).unwrap();
        assert_eq!(checkpoint, Checkpoint { origin: "keystead/test".into(), position: LogPosition::empty() });
        assert!(Checkpoint::open(&note.replace("\n0\n", "\n1\n"), &verifier).is_err());
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused_even_when_it_is_signed() {
        let (key, verifier) = key();
        let text = format!("keystead/other\n0\n{}\n", BASE64.encode([0; 32]));
        assert!(Checkpoint::open(&note::sign(&text, &verifier, &key), &verifier).is_err());
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        let root = BASE64.encode([0; 32]);
        let good = format!("o\n1\n{root}\n");
        assert!(Checkpoint::parse_text(&good).is_ok());
        assert!(Checkpoint::parse_text(&format!("{good}an extension\n")).is_ok());
        for bad in [
            String::new(),
            "o\n1\n".into(),
            format!("\n1\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            format!("o\n1\n{}\n", BASE64.encode([0; 31])),
            format!("{good}\n"),
        ] {
            assert!(Checkpoint::parse_text(&bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_is_what_is_opened(size in any::<u64>(), root in any::<[u8; 32]>(), text in any::<String>()) {
            let (key, verifier) = key();
            let position = LogPosition { size, root };
            let note = Checkpoint::sign(&position, &verifier, &key);
            prop_assert_eq!(Checkpoint::open(&note, &verifier).unwrap().position, position);
            prop_assert!(Checkpoint::open(&text, &verifier).is_err());
        }
    }
}
