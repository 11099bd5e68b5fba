//! `keystead audit prove`, `prove-growth`, `verify-proof`

use std::{io::Write, path::PathBuf};

use clap::Args;
use serde_json::json;

use super::{read_text, verify::CHECKPOINT_BYTES_MAX};
use crate::{
    audit::{
        Record,
        cosignature::Witness,
        note::VerifierKey,
        tlog_proof::{InclusionProof, PROOF_BYTES_MAX, ProofFault},
    },
    cli::{error::CommandError, exit::Exit, global::Global, output},
};

/// Prove to somebody else that an event is in the log
///
/// Example: keystead audit prove 42 > event.tlog-proof
///
/// The proof (C2SP tlog-proof) holds the record and the checkpoint; `keystead audit verify-proof` needs no keystore. The
/// newest checkpoint is made by this very call, so nobody else has signed it: give one that witnesses have signed with
/// `--checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The event's number or id
    event: String,
    /// Prove it against this earlier checkpoint of the log, with the signatures on it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Prove {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let given = self.checkpoint.as_deref();
        let given = given.map(|path| read_text(path, CHECKPOINT_BYTES_MAX)).transpose()?;
        let (keystore, caller) = global.session()?;
        let proof = match &given {
            Some(checkpoint) => keystore.audit_prove_in(&caller, &self.event, checkpoint)?,
            None => keystore.audit_prove(&caller, &self.event)?,
        };
        Ok(anstream::stdout().lock().write_all(proof.to_text().as_bytes())?)
    }
}

/// Prove that the log has only grown since a checkpoint
///
/// Example: keystead audit prove-growth /mnt/elsewhere/checkpoint
///
/// What is printed is the body of `add-checkpoint`, with which a witness is asked to sign (C2SP tlog-witness). A witness
/// that has seen nothing of the log is asked without a checkpoint, and later with the one that it has signed last.
#[derive(Debug, Args)]
pub(crate) struct ProveGrowth {
    /// A checkpoint that this log once printed [default: the empty log]
    checkpoint: Option<PathBuf>,
}

impl ProveGrowth {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let older = self.checkpoint.as_deref();
        let older = older.map(|path| read_text(path, CHECKPOINT_BYTES_MAX)).transpose()?;
        let proof = global.open()?.audit_prove_growth(older.as_deref())?;
        Ok(anstream::stdout().lock().write_all(proof.to_text().as_bytes())?)
    }
}

/// Verify a proof, without any keystore
///
/// Example: keystead audit verify-proof event.tlog-proof --key "$(cat log.vkey)"
#[derive(Debug, Args)]
pub(crate) struct VerifyProof {
    /// The proof
    file: PathBuf,
    /// The log's public key, as `keystead audit checkpoint --key` prints it
    #[arg(long, value_name = "VKEY")]
    key: VerifierKey,
    /// A witness that must have signed as well; may be given several times
    #[arg(long, value_name = "VKEY")]
    witness: Vec<Witness>,
}

impl VerifyProof {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let refused = |why: &dyn std::fmt::Display| CommandError::new(Exit::Integrity, why).about(&self.file);
        let proof = InclusionProof::parse(&read_text(&self.file, PROOF_BYTES_MAX)?)
            .map_err(|error| refused(&error))?;
        let position = proof.verify(&self.key).map_err(|fault| {
            let exit = match fault {
                ProofFault::BadSignature(_) => Exit::BadSignature,
                _ => Exit::Integrity,
            };
            CommandError::new(exit, fault).about(&self.file)
        })?;
        for witness in &self.witness {
            if witness.verify(&proof.checkpoint).is_err() {
                let why = format!("the witness `{}` has not signed the proof's checkpoint", witness.name());
                return Err(CommandError::new(Exit::Unwitnessed, why)
                    .about(&self.file)
                    .hint("make the proof with `keystead audit prove EVENT --checkpoint FILE`, FILE signed by the witness"));
            }
        }
        let record = Record::from_bytes(&proof.record).map_err(|error| refused(&error))?;
        if global.json {
            return output::json(&json!({"Index": proof.index, "Size": position.size, "Record": record}));
        }
        output::facts(&[
            ("Log", self.key.name().to_owned()),
            ("Record", format!("{} of {}", proof.index, position.size)),
            ("Event", format!("{} {}", record.event_name, record.event_id)),
        ])?;
        output::say("the record is in the log");
        Ok(())
    }
}
