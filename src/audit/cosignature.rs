//! Cosignatures of witnesses (C2SP tlog-cosignature, Ed25519, `cosignature/v1`).
//!
//! A witness signs a checkpoint only when it continues every earlier one that it has seen of this log. So a log that
//! shows two histories would have to find a witness for both. The signed message is a header line, the time in seconds
//! and the checkpoint's text; the signature line carries the time beside the signature.

use std::{fmt, str::FromStr};

use super::{
    checkpoint::Checkpoint,
    note::{self, KeyAlgorithm, Note, VerifierKey},
};
use crate::{
    crypto::{
        OpenError,
        signature::{self, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey},
    },
    model::{ParseError, Timestamp},
};

/// The first line of what a witness signs.
const HEADER: &str = "cosignature/v1";
/// The bytes of the time before a signature.
const TIME_BYTES: usize = 8;

/// A witness: its name and its public key. Its text is a vkey with algorithm 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness(VerifierKey);

impl Witness {
    /// The witness with this name and key.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the name cannot be a key's.
    pub fn new(name: &str, public_key: [u8; PUBLIC_KEY_BYTES]) -> Result<Self, ParseError> {
        Ok(Self(VerifierKey::with_algorithm(KeyAlgorithm::CosignatureV1, name, public_key)?))
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// When the witness signed this checkpoint.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it did not, or a signature claims to be its and is not.
    pub fn verify(&self, note: &str) -> Result<Timestamp, OpenError> {
        let note = Note::parse(note).map_err(|_| OpenError)?;
        let mut newest = None;
        for claimed in note.signatures_of(&self.0) {
            let (time, claimed) = claimed.split_first_chunk::<TIME_BYTES>().ok_or(OpenError)?;
            let seconds = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| OpenError)?;
            let message = message(seconds, note.unverified_text());
            signature::verify(self.0.public_key(), message.as_bytes(), claimed)?;
            newest = newest.max(Some(seconds));
        }
        let millis = newest.and_then(|seconds| seconds.checked_mul(1000)).ok_or(OpenError)?;
        Ok(Timestamp::from_millis(millis))
    }

    /// The line with which this witness, whose key this is, signs a checkpoint: to be put at the note's end. Whether the
    /// checkpoint continues the ones before it is for the caller to know.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the note is no checkpoint or the time lies before 1970.
    pub fn cosign(&self, note: &str, key: &SigningKey, now: Timestamp) -> Result<String, ParseError> {
        Checkpoint::parse_unverified(note)?;
        let seconds = now.as_millis().div_euclid(1000);
        let time =
            u64::try_from(seconds).map_err(|_| ParseError::new("a witness signs no time before 1970"))?;
        let signature: [u8; SIGNATURE_BYTES] =
            key.sign(message(seconds, Note::parse(note)?.unverified_text()).as_bytes());
        Ok(note::signature_line(&self.0, &[time.to_be_bytes().as_slice(), &signature].concat()))
    }
}

fn message(seconds: i64, checkpoint: &str) -> String {
    format!("{HEADER}\ntime {seconds}\n{checkpoint}")
}

impl fmt::Display for Witness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Witness {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        VerifierKey::parse(KeyAlgorithm::CosignatureV1, text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{audit::LogPosition, secret::SecretKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&SecretKey::from_slice(&[seed; 32]).unwrap())
    }

    fn witness(seed: u8) -> Witness {
        Witness::new("witness.example/one", key(seed).public_key()).unwrap()
    }

    fn checkpoint() -> String {
        let log = VerifierKey::new("keystead/test", key(1).public_key()).unwrap();
        Checkpoint::sign(&LogPosition::empty(), &log, &key(1))
    }

    #[test]
    fn a_cosignature_says_who_saw_the_checkpoint_and_when() {
        let now = Timestamp::from_millis(1_679_315_147_000);
        let note = checkpoint() + &witness(2).cosign(&checkpoint(), &key(2), now).unwrap();
        assert_eq!(witness(2).verify(&note), Ok(now));
        assert_eq!(witness(2).verify(&checkpoint()), Err(OpenError), "it has not signed");
        assert_eq!(witness(3).verify(&note), Err(OpenError), "another key under the same name");
        assert_eq!(witness(2).verify(&note.replace("\n0\n", "\n1\n")), Err(OpenError));
        // The log's own signature still stands, and the log's key is no witness's.
        let log = VerifierKey::new("keystead/test", key(1).public_key()).unwrap();
        assert!(Checkpoint::open(&note, &log).is_ok());
        assert!(Witness::new("keystead/test", key(1).public_key()).unwrap().verify(&note).is_err());
    }

    #[test]
    fn a_changed_time_or_a_second_signature_that_is_none_is_refused() {
        let now = Timestamp::from_millis(1_000_000);
        let line = witness(2).cosign(&checkpoint(), &key(2), now).unwrap();
        let forged = witness(2).cosign(&checkpoint(), &key(3), now).unwrap();
        assert!(witness(2).verify(&(checkpoint() + &line)).is_ok());
        assert!(witness(2).verify(&(checkpoint() + &line + &forged)).is_err());
        assert!(witness(2).cosign(&checkpoint(), &key(2), Timestamp::from_millis(-1)).is_err());
    }

    #[test]
    fn a_witness_is_written_as_a_vkey_of_algorithm_4() {
        let text = witness(2).to_string();
        assert_eq!(text.parse::<Witness>().unwrap(), witness(2));
        assert!(text.parse::<VerifierKey>().is_err(), "a witness is not a log");
        let log = VerifierKey::new("a", key(1).public_key()).unwrap().to_string();
        assert!(log.parse::<Witness>().is_err(), "and a log is not a witness");
    }

    /// The example of the specification, whose key is not published: name, key id and time are what it shows.
    #[test]
    fn the_specifications_example_is_well_formed() {
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        assert_eq!(Checkpoint::parse_unverified(note).unwrap().position.size, 20_852_163);
        assert!(witness(2).verify(note).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_witness_or_refused(text in any::<String>(), note in any::<String>()) {
            let _ = text.parse::<Witness>();
            prop_assert!(witness(2).verify(&note).is_err());
        }
    }
}
