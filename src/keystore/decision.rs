//! Why a call was decided as it was: asked beforehand, or looked up afterwards.
//!
//! Neither is a call: nothing is recorded and no permission asked, as when the log is verified. Both are for whoever can
//! open the keystore.

use serde_json::Value;

use super::{Keystore, KeystoreError, Place};
use crate::{
    audit::{DecisionStore, Hash, LogFault, Record, Remembered, read},
    kms::{CallError, Caller, Explanation, Question},
};

/// What is known of a call of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct PastDecision {
    /// The call's record.
    pub record: Record,
    /// How it was decided, of one that was denied. Of one that was allowed the record says in a word what allowed it.
    pub explanation: Option<Explanation>,
}

/// Where this keystore remembers decisions.
pub(super) fn store(place: &Place) -> Result<DecisionStore, KeystoreError> {
    match place {
        Place::Disk { directory, .. } => {
            DecisionStore::on_disk(directory.decisions()).map_err(KeystoreError::io(directory.decisions()))
        }
        Place::Memory { .. } => Ok(DecisionStore::in_memory()),
    }
}

impl Keystore {
    /// Answers whether a call would be allowed now, and why. Nothing is done and nothing recorded.
    ///
    /// # Errors
    ///
    /// When there is no such caller, or nothing that the question names.
    pub fn explain(&self, caller: &Caller, question: &Question) -> Result<Explanation, CallError> {
        self.door.explain(caller, question)
    }

    /// How a call of the past was decided, with the policies of then. `id` is the decision's, or the event's of a record.
    ///
    /// # Errors
    ///
    /// When no record names it; when it is no longer remembered; when what is remembered is not what the record commits
    /// to.
    pub fn decision(&self, id: &str) -> Result<PastDecision, KeystoreError> {
        let record = self.record_of(id)?.ok_or_else(|| KeystoreError::NoSuchDecision(id.into()))?;
        let Some(decision) = fact(&record, "decisionId") else {
            return Ok(PastDecision { record, explanation: None });
        };
        let decision = decision.to_owned();
        // A service's own record names the decision on the call that it made, and that call's record commits to it.
        let committing = match fact(&record, "decisionSha256") {
            Some(_) => Some(record.clone()),
            None => self.record_of(&decision)?,
        };
        let commitment: Option<Hash> = committing
            .as_ref()
            .and_then(|record| hex::decode(fact(record, "decisionSha256")?).ok()?.try_into().ok());
        let commitment = commitment.ok_or_else(|| KeystoreError::DecisionForgotten(decision.clone()))?;
        let place = self.path().map(|path| path.join("decisions")).unwrap_or_default();
        match self.door.decision(&decision, &commitment).map_err(KeystoreError::io(place))? {
            Remembered::Forgotten => Err(KeystoreError::DecisionForgotten(decision)),
            Remembered::Changed => Err(KeystoreError::DecisionChanged(decision)),
            Remembered::Bytes(bytes) => {
                let explanation = serde_json::from_slice(&bytes)
                    .map_err(|error| KeystoreError::Damaged(format!("the decision {decision}: {error}")))?;
                Ok(PastDecision { record, explanation: Some(explanation) })
            }
        }
    }

    /// Lets somebody hear how every call from now on is decided, allowed or denied; one listener at most.
    pub fn watch_decisions(&self, watcher: impl Fn(&Explanation) + Send + Sync + 'static) {
        self.door.watch(Box::new(watcher));
    }

    /// The record with this event id, else the one that commits to the decision of this id.
    fn record_of(&self, id: &str) -> Result<Option<Record>, KeystoreError> {
        self.door.settle()?;
        let directory = self.log.directory();
        let fault = |fault: LogFault| KeystoreError::Audit(fault.into());
        for stored in read::records(directory, 0).map_err(fault)? {
            let stored = stored.map_err(fault)?;
            if !str::from_utf8(&stored.bytes).is_ok_and(|text| text.contains(id)) {
                continue;
            }
            let record = stored.parse()?;
            let commits =
                fact(&record, "decisionId") == Some(id) && fact(&record, "decisionSha256").is_some();
            if record.event_id == id || commits {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

fn fact<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.additional_event_data.as_ref()?.get(name).and_then(Value::as_str)
}
