//! Signed notes (C2SP signed-note) with Ed25519 signatures.
//!
//! A note is text, a blank line and one line for each signature: `— NAME BASE64(key hash ‖ signature)`. The key's
//! name and hash say which key is meant; whose key to trust is the reader's own knowledge.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{
    crypto::{
        OpenError,
        digest::sha256,
        signature::{self, PUBLIC_KEY_BYTES, SigningKey},
    },
    model::ParseError,
};

/// What a key signs: its byte stands before a public key and in what is hashed to a key's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyAlgorithm {
    /// Notes as they are (C2SP signed-note).
    Ed25519 = 1,
    /// Checkpoints with a time, as a witness (C2SP tlog-cosignature).
    CosignatureV1 = 4,
}

/// The length of a key's hash in bytes.
const KEY_HASH_BYTES: usize = 4;
/// What a signature line begins with: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";
/// The most signatures that a note may carry. The specification asks readers for at least 16.
const SIGNATURES_MAX: usize = 64;
/// The longest key name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A public key under its name. Its text is the specification's *vkey*: `NAME+HASH+BASE64(1 ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    algorithm: KeyAlgorithm,
    name: String,
    public_key: [u8; PUBLIC_KEY_BYTES],
}

impl VerifierKey {
    /// This key under this name.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the name is empty or longer than 255 bytes, or holds a space, a plus or a control character.
    pub fn new(name: &str, public_key: [u8; PUBLIC_KEY_BYTES]) -> Result<Self, ParseError> {
        Self::with_algorithm(KeyAlgorithm::Ed25519, name, public_key)
    }

    /// The same, for what this algorithm signs.
    pub(super) fn with_algorithm(
        algorithm: KeyAlgorithm,
        name: &str,
        public_key: [u8; PUBLIC_KEY_BYTES],
    ) -> Result<Self, ParseError> {
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(forbidden) {
            return Err(ParseError::new(format!("`{name}` cannot name a key: no spaces, no `+`")));
        }
        if signature::has_small_order(&public_key) {
            return Err(ParseError::new(format!("the key of `{name}` is no key: anybody could sign for it")));
        }
        Ok(Self { algorithm, name: name.into(), public_key })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself.
    #[must_use]
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.public_key
    }

    /// The first four bytes of SHA-256(name ‖ newline ‖ algorithm ‖ key).
    fn hash(&self) -> [u8; KEY_HASH_BYTES] {
        let algorithm = [self.algorithm as u8];
        let [a, b, c, d, ..] = sha256(&[self.name.as_bytes(), b"\n", &algorithm, &self.public_key]);
        [a, b, c, d]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm as u8], self.public_key.as_slice()].concat();
        write!(formatter, "{}+{}+{}", self.name, hex::encode(self.hash()), BASE64.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(KeyAlgorithm::Ed25519, text)
    }
}

impl VerifierKey {
    /// The key with this text, which must be of this algorithm.
    pub(super) fn parse(algorithm: KeyAlgorithm, text: &str) -> Result<Self, ParseError> {
        let bad =
            || ParseError::new(format!("`{text}` is not a key: `NAME+HASH+KEY`, as signed notes have it"));
        // Base64 may hold a plus, a name and a hash may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let key = BASE64.decode(key).map_err(|_| bad())?;
        let public_key = match key.split_first() {
            Some((byte, key)) if *byte == algorithm as u8 => key.try_into().map_err(|_| bad())?,
            _ => return Err(bad()),
        };
        let key = Self::with_algorithm(algorithm, name, public_key)?;
        if hex::encode(key.hash()) == hash { Ok(key) } else { Err(bad()) }
    }
}

/// Signs `text`, which ends with a newline, and answers the whole note.
#[must_use]
pub fn sign(text: &str, verifier: &VerifierKey, key: &SigningKey) -> String {
    format!("{text}\n{}", signature_line(verifier, &key.sign(text.as_bytes())))
}

/// The line that carries a signature of this key's.
pub(super) fn signature_line(verifier: &VerifierKey, signature: &[u8]) -> String {
    let signed = [verifier.hash().as_slice(), signature].concat();
    format!("{SIGNATURE_MARK}{} {}\n", verifier.name, BASE64.encode(signed))
}

/// A note that was parsed and is believed by nobody yet.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    text: &'a str,
    signatures: &'a str,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when it is not well formed: no text, control characters, no or too many signature lines, or
    /// one that is none.
    pub fn parse(note: &'a str) -> Result<Self, ParseError> {
        let bad = |what| ParseError::new(format!("this is not a signed note: {what}"));
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(bad("it holds a control character"));
        }
        let border = note.rfind("\n\n").ok_or_else(|| bad("it has no blank line before its signatures"))?;
        let (text, rest) = note.split_at(border + 1);
        let signatures = rest.get(1..).unwrap_or_default();
        if !signatures.ends_with('\n') || signatures.lines().count() > SIGNATURES_MAX {
            return Err(bad("its signature lines do not end, or are too many"));
        }
        if signatures.lines().any(|line| split_line(line).is_none()) {
            return Err(bad("one of its signature lines is not well formed"));
        }
        Ok(Self { text, signatures })
    }

    /// The text, without knowing whose it is.
    #[must_use]
    pub fn unverified_text(&self) -> &'a str {
        self.text
    }

    /// The text, when `key` signed it. Signatures of other keys are passed over.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when no signature is this key's, or one claims to be and is not.
    pub fn verify(&self, key: &VerifierKey) -> Result<&'a str, OpenError> {
        let mut verified = Err(OpenError);
        for claimed in self.signatures_of(key) {
            signature::verify(&key.public_key, self.text.as_bytes(), &claimed)?;
            verified = Ok(self.text);
        }
        verified
    }

    /// The signatures that claim to be this key's, believed by nobody yet.
    pub(super) fn signatures_of(&self, key: &VerifierKey) -> impl Iterator<Item = Vec<u8>> {
        let (name, hash) = (key.name(), key.hash());
        self.signatures.lines().filter_map(split_line).filter_map(move |(line_name, bytes)| {
            let claimed = bytes.strip_prefix(&hash)?;
            (line_name == name).then(|| claimed.to_vec())
        })
    }
}

/// The key's name, and its hash followed by the signature.
fn split_line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    let bytes = BASE64.decode(encoded).ok()?;
    (!name.is_empty() && bytes.len() > KEY_HASH_BYTES).then_some((name, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::SecretKey;

    fn pair(seed: u8, name: &str) -> (SigningKey, VerifierKey) {
        let key = SigningKey::from_seed(&SecretKey::from_slice(&[seed; 32]).unwrap());
        let verifier = VerifierKey::new(name, key.public_key()).unwrap();
        (key, verifier)
    }

    /// The example of golang.org/x/mod/sumdb/note, from which the specification comes.
    #[test]
    fn the_published_example_verifies() {
        let key: VerifierKey =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert_eq!(Note::parse(&note).unwrap().verify(&key), Ok(text));
        let edited = note.replace("answer", "ansver");
        assert_eq!(Note::parse(&edited).unwrap().verify(&key), Err(OpenError));
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
    }

    #[test]
    fn only_the_signers_key_under_its_name_verifies() {
        let (key, verifier) = pair(1, "keystead/one");
        let note = sign("a\n\nb\n", &verifier, &key);
        let parsed = Note::parse(&note).unwrap();
        assert_eq!(parsed.verify(&verifier), Ok("a\n\nb\n"));
        assert!(parsed.verify(&pair(2, "keystead/one").1).is_err());
        assert!(parsed.verify(&pair(1, "keystead/two").1).is_err());
    }

    #[test]
    fn a_note_may_carry_signatures_of_others() {
        let ((key, verifier), (witness, witness_verifier)) = (pair(1, "log"), pair(2, "witness"));
        let mut note = sign("text\n", &verifier, &key);
        let other = sign("text\n", &witness_verifier, &witness);
        note.push_str(other.strip_prefix("text\n\n").unwrap());
        let parsed = Note::parse(&note).unwrap();
        assert!(parsed.verify(&verifier).is_ok() && parsed.verify(&witness_verifier).is_ok());
    }

    #[test]
    fn malformed_notes_and_keys_are_refused() {
        for bad in [
            "",
            "\n",
            "text\n",
            "text\n\n",
            "text\n\nx\n",
            "text\n\n\u{2014} a AAAA\n",
            "a\tb\n\n\u{2014} a AAAAAAA=\n",
        ] {
            assert!(Note::parse(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "a+b",
            "a+00000000+AAAA",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "a+b", "a\nb"] {
            assert!(VerifierKey::new(bad, [7; 32]).is_err(), "{bad:?}");
        }
        assert!(VerifierKey::new("a", [0; 32]).is_err(), "a point of small order");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(note in any::<String>(), key in any::<String>()) {
            let _ = (Note::parse(&note).map(|note| note.verify(&pair(1, "a").1)), key.parse::<VerifierKey>());
        }
    }
}
