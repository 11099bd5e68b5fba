//! A proof that somebody without the log can check: C2SP tlog-proof for a record, tlog-witness's request for growth.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64: the record's canonical bytes>
//! index <the record's number>
//! <base64, one subtree root a line>
//!
//! <the checkpoint: a signed note>
//! ```
//!
//! The specification leaves `extra` to the application and does not authenticate it. Here it is the record itself, whose
//! hash is the leaf that is proved: so a proof shows what it proves.
//!
//! That a log has only grown is told in the form that a witness is asked in (C2SP tlog-witness, `add-checkpoint`):
//! `old <size>`, the subtree roots, an empty line and the newer checkpoint.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use thiserror::Error;

use super::{
    Hash, LogPosition, RECORD_BYTES_MAX,
    checkpoint::Checkpoint,
    leaf_hash,
    note::VerifierKey,
    proof::{check_consistency, root_of_inclusion},
};
use crate::model::ParseError;

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 leaves is 64 levels deep; a consistency proof needs one root more (C2SP tlog-witness: 63 lines).
const PATH_MAX: usize = 65;
/// The longest proof in bytes: a record in base64, a path and a note.
pub const PROOF_BYTES_MAX: usize = RECORD_BYTES_MAX / 3 * 4 + (64 << 10);

/// Why a proof is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofFault {
    /// It is no proof.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// Its checkpoint is not signed by the log's key, or is another log's.
    #[error("the proof's checkpoint is not signed by the key `{0}`")]
    BadSignature(String),
    /// Its path does not lead to the checkpoint's root.
    #[error("the proof does not lead from the record to the signed root: one of the two was changed")]
    Unproved,
    /// Its path does not lead from the older checkpoint to the newer one.
    #[error("the newer log does not hold what the older one held: the log was rewritten")]
    Rewritten,
}

/// That a record is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The record's canonical bytes.
    pub record: Vec<u8>,
    /// The record's number.
    pub index: u64,
    /// The subtree roots from the leaf to the root.
    pub path: Vec<Hash>,
    /// The checkpoint with its signatures.
    pub checkpoint: String,
}

impl InclusionProof {
    /// The proof's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let extra = BASE64.encode(&self.record);
        let head = format!("{HEADER}\nextra {extra}\nindex {}\n", self.index);
        with_path(head, &self.path, &self.checkpoint)
    }

    /// Takes a proof apart; nothing of it is believed yet.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when it is none, or does not hold its record.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let bad = |what| ParseError::new(format!("this is not a proof: {what}"));
        if text.len() > PROOF_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(|| bad("it has no empty line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(bad("it does not begin with `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let record = extra.and_then(|extra| BASE64.decode(extra).ok());
        let record = record.ok_or_else(|| bad("its second line does not hold the record"))?;
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or_else(|| bad("its `index` line is missing or no number"))?;
        let path = path(lines).ok_or_else(|| bad("one of its hashes is none"))?;
        Checkpoint::parse_unverified(checkpoint)?;
        Ok(Self { record, index, path, checkpoint: checkpoint.into() })
    }

    /// Where the log stood that the record is in, when `key` signed that.
    ///
    /// # Errors
    ///
    /// [`ProofFault`] when it did not, or the record is not in it.
    pub fn verify(&self, key: &VerifierKey) -> Result<LogPosition, ProofFault> {
        let position = open(&self.checkpoint, key)?;
        let root = root_of_inclusion(leaf_hash(&self.record), self.index, position.size, &self.path);
        if root == Ok(position.root) { Ok(position) } else { Err(ProofFault::Unproved) }
    }
}

/// That a log has only grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrowthProof {
    /// How many records there were.
    pub old: u64,
    /// The subtree roots.
    pub path: Vec<Hash>,
    /// The newer checkpoint with its signatures.
    pub checkpoint: String,
}

impl GrowthProof {
    /// The proof's text, which is also what a witness is asked with.
    #[must_use]
    pub fn to_text(&self) -> String {
        with_path(format!("old {}\n", self.old), &self.path, &self.checkpoint)
    }

    /// Takes a proof apart; nothing of it is believed yet.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when it is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let bad = |what| ParseError::new(format!("this is not a proof of growth: {what}"));
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(|| bad("it has no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old = old.ok_or_else(|| bad("its `old` line is missing or no number"))?;
        let path = path(lines).ok_or_else(|| bad("one of its hashes is none"))?;
        Checkpoint::parse_unverified(checkpoint)?;
        Ok(Self { old, path, checkpoint: checkpoint.into() })
    }

    /// Where the log stands that has grown from `old`, when `key` signed that.
    ///
    /// # Errors
    ///
    /// [`ProofFault`] when it did not, or the log was rewritten.
    pub fn verify(&self, old: &LogPosition, key: &VerifierKey) -> Result<LogPosition, ProofFault> {
        let position = open(&self.checkpoint, key)?;
        if self.old == old.size && check_consistency(old, &position, &self.path).is_ok() {
            Ok(position)
        } else {
            Err(ProofFault::Rewritten)
        }
    }
}

fn open(checkpoint: &str, key: &VerifierKey) -> Result<LogPosition, ProofFault> {
    let opened = Checkpoint::open(checkpoint, key);
    Ok(opened.map_err(|_| ProofFault::BadSignature(key.name().into()))?.position)
}

fn with_path(mut text: String, path: &[Hash], checkpoint: &str) -> String {
    for hash in path {
        // Writing to a string does not fail.
        let _always = writeln!(text, "{}", BASE64.encode(hash));
    }
    text + "\n" + checkpoint
}

fn path<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Hash>> {
    let hash = |line| BASE64.decode(line).ok()?.try_into().ok();
    let path = lines.take(PATH_MAX + 1).map(hash).collect::<Option<Vec<Hash>>>()?;
    (path.len() <= PATH_MAX).then_some(path)
}

/// A decimal number without leading zeroes or signs.
fn decimal(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        audit::{AuditLog, LogOptions, directory::MemoryDirectory, prove_consistency, prove_inclusion},
        crypto::signature::SigningKey,
        secret::SecretKey,
    };

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&SecretKey::from_slice(&[seed; 32]).unwrap())
    }

    struct Sample {
        directory: MemoryDirectory,
        log: AuditLog,
        positions: Vec<LogPosition>,
    }

    /// A log of ten batches of two records, in several segments.
    fn sample() -> Sample {
        let directory = MemoryDirectory::new();
        let options = LogOptions { segment_bytes_max: 800, ..LogOptions::new(key(1), "keystead/test") };
        let mut log = AuditLog::create(Box::new(directory.clone()), options).unwrap();
        let batch = |n: u8| [vec![b'a', n], vec![b'b', n]];
        let positions = (0..10).map(|n| log.append_batch(&batch(n)).unwrap()).collect();
        Sample { directory, log, positions }
    }

    fn inclusion(sample: &Sample, index: u64) -> InclusionProof {
        let path = prove_inclusion(&sample.directory, index, &sample.log.position()).unwrap();
        let record =
            vec![if index.is_multiple_of(2) { b'a' } else { b'b' }, u8::try_from(index / 2).unwrap()];
        InclusionProof { record, index, path, checkpoint: sample.log.checkpoint() }
    }

    #[test]
    fn every_record_is_proved_to_somebody_who_has_the_key_alone() {
        let sample = sample();
        for index in 0..20 {
            let text = inclusion(&sample, index).to_text();
            let proof = InclusionProof::parse(&text).unwrap();
            assert_eq!(proof, inclusion(&sample, index));
            assert_eq!(proof.verify(sample.log.verifier()), Ok(sample.log.position()));
        }
        assert!(prove_inclusion(&sample.directory, 20, &sample.log.position()).is_err());
    }

    #[test]
    fn a_forged_proof_is_refused_with_the_reason() {
        let sample = sample();
        let (good, verifier) = (inclusion(&sample, 7), sample.log.verifier());
        let record = InclusionProof { record: b"forged".into(), ..good.clone() };
        assert_eq!(record.verify(verifier), Err(ProofFault::Unproved));
        let index = InclusionProof { index: 6, ..good.clone() };
        assert_eq!(index.verify(verifier), Err(ProofFault::Unproved));
        let other = VerifierKey::new("keystead/test", key(2).public_key()).unwrap();
        let forged = Checkpoint::sign(&sample.log.position(), &other, &key(2));
        let signature = InclusionProof { checkpoint: forged, ..good.clone() };
        assert!(matches!(signature.verify(verifier), Err(ProofFault::BadSignature(_))));
        assert!(matches!(good.verify(&other), Err(ProofFault::BadSignature(_))));
    }

    #[test]
    fn growth_is_proved_from_every_position_and_a_rewrite_is_not() {
        let sample = sample();
        let new = sample.log.position();
        for old in sample.positions.iter().chain([&LogPosition::empty()]) {
            let path = prove_consistency(&sample.directory, old.size, &new).unwrap();
            let proof = GrowthProof { old: old.size, path, checkpoint: sample.log.checkpoint() };
            let proof = GrowthProof::parse(&proof.to_text()).unwrap();
            assert_eq!(proof.verify(old, sample.log.verifier()), Ok(new));
            let other = LogPosition { root: [9; 32], ..*old };
            assert_eq!(proof.verify(&other, sample.log.verifier()), Err(ProofFault::Rewritten));
        }
        assert!(prove_consistency(&sample.directory, 21, &new).is_err());
        let fork = LogPosition { root: [9; 32], ..new };
        assert!(matches!(
            prove_consistency(&sample.directory, 2, &fork),
            Err(crate::audit::LogFault::Fork { .. })
        ));
    }

    #[test]
    fn malformed_proofs_are_refused() {
        let text = inclusion(&sample(), 3).to_text();
        for (from, to) in [
            ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
            ("index 3", "index 03"),
            ("index 3", "index +3"),
            ("index 3\n", ""),
            ("extra ", "extra"),
            ("\n\n", "\n"),
            ("\n\nkeystead", "\nAAAA\n\nkeystead"),
        ] {
            assert!(text.contains(from), "{from:?}");
            assert!(InclusionProof::parse(&text.replacen(from, to, 1)).is_err(), "{from:?} to {to:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_proof_or_refused(text in any::<String>(), at in any::<prop::sample::Index>(), byte in 0u8..128) {
            prop_assert!(InclusionProof::parse(&text).is_err());
            prop_assert!(GrowthProof::parse(&text).is_err());
            let sample = sample();
            let good = inclusion(&sample, 5).to_text();
            let mut changed = good.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = byte;
            if let Ok(Ok(proof)) = String::from_utf8(changed).map(|text| InclusionProof::parse(&text))
                && proof.verify(sample.log.verifier()).is_ok()
            {
                // Signatures of others are nobody's; all that is proved is what was.
                let honest = inclusion(&sample, 5);
                prop_assert_eq!((proof.record, proof.index), (honest.record, honest.index));
            }
        }
    }
}
