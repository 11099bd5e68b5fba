//! The keystore's audit log: reading it, verifying it, proving from it, pruning it, and who else vouches for it.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Keystore, KeystoreError, Place, operations::EVENT_SOURCE};
use crate::{
    audit::{
        self, LogFault, LogPosition, Record, Verified,
        checkpoint::Checkpoint,
        cosignature::Witness,
        directory::{DiskDirectory, LogDirectory},
        index::Found,
        note::VerifierKey,
        prune::{self, Prune},
        read,
        tlog_proof::{GrowthProof, InclusionProof},
    },
    kms::{Call, CallError, Caller, Operation, Outcome, actions},
    model::{AccountId, Timestamp},
    services::cloudtrail::CloudTrail,
    world::{Change, LogWitness, Settings},
};

actions! {
    /// `keystead:PruneAuditLog`.
    PruneAuditLogPermission = "keystead:PruneAuditLog",
    /// `keystead:PutWitness`.
    PutWitnessPermission = "keystead:PutWitness",
}

/// A witness of the log, and what it has said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessStatus {
    /// The witness.
    pub witness: Witness,
    /// Whether the log is believed only with its word.
    pub required: bool,
    /// The newest checkpoint that it has signed, and when.
    pub vouched: Option<(LogPosition, Timestamp)>,
}

/// What became of a pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// The first record that was kept.
    pub first_kept: u64,
    /// How many segment files were removed.
    pub segments: usize,
}

impl Keystore {
    /// The event history: looking events up in the log.
    pub fn cloudtrail(&self) -> CloudTrail<'_> {
        CloudTrail::new(&self.door, &self.log)
    }

    /// The last records of the caller's account in the audit log, oldest first. This call's own record comes after them.
    ///
    /// # Errors
    ///
    /// When the caller may not look up events, or the log cannot be read.
    pub fn audit_tail(&self, caller: &Caller, count: usize) -> Result<Vec<Record>, KeystoreError> {
        Ok(self.audit_last(caller, count)?.into_iter().map(|found| found.record).collect())
    }

    /// The same, with their numbers in the log.
    ///
    /// # Errors
    ///
    /// As [`Keystore::audit_tail`].
    pub fn audit_last(&self, caller: &Caller, count: usize) -> Result<Vec<Found>, KeystoreError> {
        let until = self.door.settle()?.size;
        self.cloudtrail().permit_all(caller)?;
        // Of a log with several accounts' records more must be read than are wanted; how many more shows as one goes.
        let mut window = u64::try_from(count).unwrap_or(u64::MAX);
        loop {
            let since = until.saturating_sub(window);
            let mut records = records_of(self.log.directory(), &caller.account(), since..until)?;
            if since == 0 || records.len() >= count {
                return Ok(records.split_off(records.len().saturating_sub(count)));
            }
            window = window.saturating_mul(4).max(64);
        }
    }

    /// Verifies the whole audit log: every record, every signature, that it reaches as far as the state says, that it
    /// holds what its witnesses have seen, and that every witness that is required has seen it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn audit_verify(&self) -> Result<Verified, KeystoreError> {
        self.audit_verify_against(None)
    }

    /// The same, and that the log holds what it held when `checkpoint` was made: a signed note that was kept elsewhere.
    ///
    /// # Errors
    ///
    /// What is wrong with the log, or with the checkpoint.
    pub fn audit_verify_against(&self, checkpoint: Option<&str>) -> Result<Verified, KeystoreError> {
        let state = self.door.settle()?;
        let given = checkpoint.map(|note| self.open_checkpoint(note)).transpose()?;
        let witnesses = self.witnesses()?;
        if let Some(missing) = witnesses.iter().find(|one| one.required && one.vouched.is_none()) {
            return Err(LogFault::Unwitnessed { name: missing.witness.name().into() }.into());
        }
        // What lies before a pruning was compared when it was pruned.
        let first_kept = prune::first_kept(self.log.directory())?;
        let seen = witnesses.iter().filter_map(|one| one.vouched).map(|(position, _)| position);
        let expected = seen.filter(|position| position.size >= first_kept).chain(given).chain([state]);
        Ok(audit::verify(self.log.directory(), &self.identity.log_public_key, expected)?)
    }

    fn open_checkpoint(&self, note: &str) -> Result<LogPosition, KeystoreError> {
        let opened = Checkpoint::open(note, &self.audit_key()?);
        Ok(opened.map_err(|_| KeystoreError::ForeignCheckpoint)?.position)
    }

    /// The key that verifies the log's checkpoints and proofs. Keep it elsewhere.
    ///
    /// # Errors
    ///
    /// Never for a keystore that could be opened.
    pub fn audit_key(&self) -> Result<VerifierKey, KeystoreError> {
        let origin = audit::checkpoint::origin(&self.identity.id);
        Ok(VerifierKey::new(&origin, self.identity.log_public_key)?)
    }

    /// The newest checkpoint: a signed note that says how far the log reaches. Keep it elsewhere.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn audit_checkpoint(&self) -> Result<String, KeystoreError> {
        self.door.settle()?;
        Ok(read::last_checkpoint(self.log.directory())?)
    }

    /// Proves that a record of the caller's account is in the log, to whoever has the log's public key.
    ///
    /// # Errors
    ///
    /// When the caller may not look events up, there is no such record, or the log cannot be read.
    pub fn audit_prove(&self, caller: &Caller, event: &str) -> Result<InclusionProof, KeystoreError> {
        self.prove(caller, event, None)
    }

    /// The same against an earlier checkpoint of this log, which others may have signed: the newest one is of this very
    /// call, so no witness can have seen it.
    ///
    /// # Errors
    ///
    /// As [`Keystore::audit_prove`]; also when the checkpoint is not this log's or does not cover the record.
    pub fn audit_prove_in(
        &self,
        caller: &Caller,
        event: &str,
        checkpoint: &str,
    ) -> Result<InclusionProof, KeystoreError> {
        self.prove(caller, event, Some(checkpoint))
    }

    fn prove(
        &self,
        caller: &Caller,
        event: &str,
        checkpoint: Option<&str>,
    ) -> Result<InclusionProof, KeystoreError> {
        let (found, _) = self.cloudtrail().event(caller, event)?;
        let checkpoint = checkpoint.map_or_else(|| self.audit_checkpoint(), |note| Ok(note.to_owned()))?;
        let position = self.open_checkpoint(&checkpoint)?;
        if found.sequence >= position.size {
            return Err(KeystoreError::NotCovered { record: found.sequence, size: position.size });
        }
        let path = audit::prove_inclusion(self.log.directory(), found.sequence, &position)?;
        let stored = self.log.stored(found.sequence)?;
        Ok(InclusionProof { record: stored.bytes, index: found.sequence, path, checkpoint })
    }

    /// Proves that the log has only grown since an older checkpoint of it; without one, since it was empty, which is what
    /// a witness is asked with that has seen nothing of it.
    ///
    /// # Errors
    ///
    /// When the checkpoint is not this log's, or the log cannot be read.
    pub fn audit_prove_growth(&self, older: Option<&str>) -> Result<GrowthProof, KeystoreError> {
        let old = older.map_or(Ok(0), |note| self.open_checkpoint(note).map(|position| position.size))?;
        let checkpoint = self.audit_checkpoint()?;
        let position = self.open_checkpoint(&checkpoint)?;
        let path = audit::prove_consistency(self.log.directory(), old, &position)?;
        Ok(GrowthProof { old, path, checkpoint })
    }

    /// Removes the oldest segments, as far as no record in them is from `time` or later. The log is verified before, and
    /// a record of what is removed is signed before anything is.
    ///
    /// # Errors
    ///
    /// When the caller may not, or the log does not verify.
    pub fn audit_prune(&self, caller: &Caller, time: Timestamp) -> Result<Option<Pruned>, KeystoreError> {
        self.audit_verify()?;
        let directory = self.log.directory();
        let prune = Prune::before(directory, time)?;
        self.door.call(caller, &PruneAuditLog { before: time, prune })?;
        let Some(prune) = prune else { return Ok(None) };
        let segments = prune.carry_out(directory)?;
        Ok(Some(Pruned { first_kept: prune.first_kept, segments }))
    }

    /// Who vouches for the log.
    ///
    /// # Errors
    ///
    /// When what is stored of a witness is not well formed.
    pub fn witnesses(&self) -> Result<Vec<WitnessStatus>, KeystoreError> {
        let settings = self.settings()?;
        settings.witnesses.iter().map(|stored| self.status(stored)).collect()
    }

    fn status(&self, stored: &LogWitness) -> Result<WitnessStatus, KeystoreError> {
        let witness: Witness = stored.key.parse()?;
        let vouched = match &stored.cosigned {
            None => None,
            Some(note) => {
                let when = witness.verify(note).map_err(|_| KeystoreError::ForeignCheckpoint)?;
                Some((self.open_checkpoint(note)?, when))
            }
        };
        Ok(WitnessStatus { witness, required: stored.required, vouched })
    }

    /// Adds a witness, or changes whether its word is required.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn add_witness(
        &self,
        caller: &Caller,
        witness: &Witness,
        required: bool,
    ) -> Result<(), KeystoreError> {
        let put = PutWitness { key: witness.to_string(), required: Some(required), cosigned: None };
        Ok(self.door.call(caller, &put)?)
    }

    /// Takes in a checkpoint of this log that witnesses have signed; answers which of the known ones did.
    ///
    /// # Errors
    ///
    /// When it is not this log's checkpoint, no known witness has signed it, a signature is forged, or it shows another
    /// history than the log's: then somebody was shown a fork.
    pub fn take_cosigned(&self, caller: &Caller, note: &str) -> Result<Vec<Witness>, KeystoreError> {
        let position = self.open_checkpoint(note)?;
        self.door.settle()?;
        audit::verify(self.log.directory(), &self.identity.log_public_key, Some(position))?;
        let (mut signed, known) = (Vec::new(), self.witnesses()?);
        let names = known.iter().map(|one| one.witness.name().to_owned()).collect();
        for known in known {
            if known.witness.verify(note).is_err() {
                continue;
            }
            if let Some((last, _)) = known.vouched.filter(|(last, _)| position.size < last.size) {
                return Err(KeystoreError::CosignedBefore {
                    witness: known.witness.name().into(),
                    size: position.size,
                    last: last.size,
                });
            }
            let key = known.witness.to_string();
            let put = PutWitness { key, required: None, cosigned: Some(note.into()) };
            self.door.call(caller, &put)?;
            signed.push(known.witness);
        }
        if signed.is_empty() { Err(KeystoreError::NotCosigned(names)) } else { Ok(signed) }
    }

    /// Where the log's segments are; none when the keystore lives in memory.
    #[must_use]
    pub fn audit_directory(&self) -> Option<DiskDirectory> {
        match &self.place {
            Place::Disk { directory, .. } => Some(DiskDirectory::new(directory.audit())),
            Place::Memory { .. } => None,
        }
    }
}

/// The records of one account among those with these numbers.
fn records_of(
    directory: &dyn LogDirectory,
    account: &AccountId,
    numbers: Range<u64>,
) -> Result<Vec<Found>, KeystoreError> {
    let mut records = Vec::new();
    for stored in read::records(directory, numbers.start)? {
        let stored = stored?;
        if stored.sequence >= numbers.end {
            break;
        }
        let record = stored.parse()?;
        if record.recipient_account_id == *account {
            records.push(Found { sequence: stored.sequence, record });
        }
    }
    Ok(records)
}

/// Gives up the log's beginning.
#[derive(Debug)]
struct PruneAuditLog {
    before: Timestamp,
    prune: Option<Prune>,
}

impl Operation for PruneAuditLog {
    type Permission = PruneAuditLogPermission;
    type Answer = ();
    const NAME: &'static str = prune::EVENT_NAME;
    const EVENT_SOURCE: &'static str = prune::EVENT_SOURCE;
    // The world stays as it is: a change of it would have to be disowned when a crash keeps it from being made.
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"before": self.before.to_rfc3339()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        let elements = self.prune.map_or(Value::Null, Prune::to_elements);
        Ok(Outcome::answer(permitted, ()).changing(Vec::new(), elements))
    }
}

/// Adds a witness or what it has said.
#[derive(Debug)]
struct PutWitness {
    key: String,
    required: Option<bool>,
    cosigned: Option<String>,
}

impl Operation for PutWitness {
    type Permission = PutWitnessPermission;
    type Answer = ();
    const NAME: &'static str = "PutWitness";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"witness": self.key, "required": self.required, "checkpoint": self.cosigned})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        let mut settings = Settings::clone(call.world().settings());
        let at = settings.witnesses.iter().position(|one| one.key == self.key);
        let mut witness = match at {
            Some(at) => settings.witnesses.remove(at),
            None => LogWitness { key: self.key.clone(), required: false, cosigned: None },
        };
        witness.required = self.required.unwrap_or(witness.required);
        witness.cosigned = self.cosigned.clone().or(witness.cosigned);
        settings.witnesses.push(witness);
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::PutSettings(settings)], Value::Null))
    }
}
