//! The header of a segment: what the segment continues.
//!
//! A signed note whose text has these lines:
//!
//! ```text
//! keystead-segment/v1
//! <the log's key: the origin as its name, in the form of a C2SP vkey>
//! <how many records stand in the segments before>
//! <the root over them, base64>
//! <SHA-256 of the segment file before, base64; `-` in the first segment>
//! <the tree's perfect subtrees, the largest first, base64, one a line>
//! ```
//!
//! With the subtrees at hand a log is opened by reading its last segment alone, and all segments can be verified at
//! the same time. The first line keeps a header from being taken for a checkpoint, whose first line is the origin.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{
    Frontier, Hash,
    note::{self, Note, VerifierKey},
};
use crate::{
    crypto::{
        OpenError,
        digest::Sha256Digest,
        signature::{PUBLIC_KEY_BYTES, SigningKey},
    },
    model::ParseError,
};

/// The first line of every header, without its version.
const KIND: &str = "keystead-segment/";
/// The format of segments that is written here, and the only one that is known.
const VERSION: &str = "v1";

/// The most records of a log: as many as storage can name, and far from where counting would overflow.
const RECORDS_MAX: u64 = 1 << 62;

/// What a segment continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The log's key and origin.
    pub(super) verifier: VerifierKey,
    /// The tree over all records before.
    pub(super) before: Frontier,
    /// The digest of the file before.
    pub(super) previous_file: Option<Sha256Digest>,
}

/// Why a payload is no header.
#[derive(Debug)]
pub(super) enum HeaderFault {
    /// It is of a version that is not known.
    NewerFormat(String),
    /// It is not well formed.
    Malformed,
}

impl From<ParseError> for HeaderFault {
    fn from(_: ParseError) -> Self {
        Self::Malformed
    }
}

impl Header {
    /// The signed note that says it.
    pub(super) fn sign(&self, key: &SigningKey) -> String {
        let previous = self.previous_file.map_or_else(|| "-".into(), |digest| BASE64.encode(digest));
        let root = BASE64.encode(self.before.root());
        let mut text =
            format!("{KIND}{VERSION}\n{}\n{}\n{root}\n{previous}\n", self.verifier, self.before.size());
        for subtree in self.before.subtrees() {
            text.push_str(&BASE64.encode(subtree));
            text.push('\n');
        }
        note::sign(&text, &self.verifier, key)
    }

    /// What a header says, without knowing whose it is.
    pub(super) fn parse_unverified(payload: &[u8]) -> Result<Self, HeaderFault> {
        let payload = std::str::from_utf8(payload).map_err(|_| HeaderFault::Malformed)?;
        let mut lines = Note::parse(payload)?.unverified_text().lines();
        match lines.next().and_then(|line| line.strip_prefix(KIND)) {
            Some(VERSION) => {}
            Some(other) => return Err(HeaderFault::NewerFormat(other.into())),
            None => return Err(HeaderFault::Malformed),
        }
        let mut field = || lines.next().ok_or(HeaderFault::Malformed);
        let verifier = field()?.parse()?;
        let size: u64 = field()?.parse().map_err(|_| HeaderFault::Malformed)?;
        let root = digest(field()?)?;
        let previous_file = match field()? {
            "-" => None,
            text => Some(digest(text)?),
        };
        let subtrees = lines.map(digest).collect::<Result<Vec<Hash>, _>>()?;
        let before = Frontier::from_parts(size, subtrees).ok_or(HeaderFault::Malformed)?;
        if size > RECORDS_MAX || before.root() != root || (size == 0) != previous_file.is_none() {
            return Err(HeaderFault::Malformed);
        }
        Ok(Self { verifier, before, previous_file })
    }

    /// Whether the holder of `public_key` signed this payload, which says what `self` says.
    pub(super) fn verify(
        &self,
        payload: &[u8],
        public_key: &[u8; PUBLIC_KEY_BYTES],
    ) -> Result<(), OpenError> {
        if self.verifier.public_key() != public_key {
            return Err(OpenError);
        }
        let payload = std::str::from_utf8(payload).map_err(|_| OpenError)?;
        Note::parse(payload).map_err(|_| OpenError)?.verify(&self.verifier).map(|_| ())
    }
}

fn digest(text: &str) -> Result<Hash, HeaderFault> {
    BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(HeaderFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::leaf_hash, secret::SecretKey};

    fn header(size: u64) -> (SigningKey, Header) {
        let key = SigningKey::from_seed(&SecretKey::from_slice(&[7; 32]).unwrap());
        let verifier = VerifierKey::new("keystead/test", key.public_key()).unwrap();
        let mut before = Frontier::new();
        (0..size).for_each(|n| before.push(leaf_hash(&n.to_be_bytes())));
        let previous_file = (size > 0).then_some([9; 32]);
        (key, Header { verifier, before, previous_file })
    }

    #[test]
    fn what_is_signed_is_what_is_parsed() {
        for size in [0, 1, 2, 3, 1000] {
            let (key, header) = header(size);
            let note = header.sign(&key);
            assert_eq!(Header::parse_unverified(note.as_bytes()).unwrap(), header);
            assert!(header.verify(note.as_bytes(), &key.public_key()).is_ok());
            assert!(header.verify(note.as_bytes(), &[1; 32]).is_err());
        }
    }

    #[test]
    fn a_size_that_counting_would_overflow_is_refused() {
        let (key, mut header) = header(1);
        header.before = Frontier::from_parts(u64::MAX, vec![[1; 32]; 64]).unwrap();
        assert!(Header::parse_unverified(header.sign(&key).as_bytes()).is_err());
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        let (key, header) = header(3);
        let note = header.sign(&key);
        let lines: Vec<&str> = note.lines().collect();
        for without in 0..7 {
            let mut fewer = lines.clone();
            fewer.remove(without);
            let text = fewer.join("\n") + "\n";
            assert!(Header::parse_unverified(text.as_bytes()).is_err(), "without line {without}");
        }
        let newer = note.replace("segment/v1", "segment/v2");
        assert!(
            matches!(Header::parse_unverified(newer.as_bytes()), Err(HeaderFault::NewerFormat(v)) if v == "v2")
        );
    }
}
