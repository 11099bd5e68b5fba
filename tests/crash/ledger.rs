//! What was answered, what the log says, and what the keystore holds: the three have to agree.
//!
//! The log is replayed here by rules of its own: from the names of the events and the keys that they name follows which
//! keys, aliases and rotations there must be. The keystore's state is never asked for that, only compared with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use keystead::{
    audit::{Record, read},
    keystore::{Keystore, WithoutAsking},
    kms::Decrypt,
    model::{EncryptionContext, KeyState},
};

use crate::{
    Place, Tally,
    load::{Load, Sealed},
};

/// Ciphertexts that are tried after each round.
const SEALED_MAX: usize = 12;

/// An answer that a client heard.
#[derive(Debug, Clone)]
pub(crate) struct HeardAnswer {
    pub(crate) request_id: String,
    pub(crate) operation: &'static str,
    pub(crate) ok: bool,
}

/// What was heard in a round.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) answers: Vec<HeardAnswer>,
    /// The events of commands that ended with success.
    pub(crate) commands: Vec<&'static str>,
    /// Grants that were made or revoked, in order: whether it was made, on which key, its id.
    pub(crate) grants: Vec<(bool, String, String)>,
}

/// What there must be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Holdings {
    /// State and number of materials by ARN.
    keys: BTreeMap<String, (String, usize)>,
    /// The target's ARN by name.
    aliases: BTreeMap<String, String>,
    /// Key and id.
    grants: BTreeSet<(String, String)>,
    days_ahead: i64,
}

/// What is known of a keystore from its log.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    holdings: Holdings,
    /// How many records were read.
    seen: u64,
    /// The newest checkpoint that was kept.
    checkpoint: Option<String>,
    /// Materials under wrap, in digits, by key.
    wrapped: BTreeMap<String, Vec<String>>,
}

impl Ledger {
    /// Opens the keystore after a kill and compares.
    pub(crate) fn check(&mut self, place: &Place, heard: &Heard, load: &mut Load, tally: &mut Tally) {
        let keystore = Keystore::open(&place.directory(), &mut WithoutAsking, "the harness");
        let keystore = keystore.unwrap_or_else(|error| {
            panic!("round {}: {error}; see {}", tally.rounds, place.path().display())
        });
        keystore.audit_verify_against(self.checkpoint.as_deref()).unwrap();
        let news = self.read_news(&keystore);
        let disowned = disowned(&news);
        for answer in &heard.answers {
            let found = news.iter().find(|record| record.request_id.as_ref() == Some(&answer.request_id));
            let record = found.unwrap_or_else(|| panic!("lost: {answer:?}"));
            assert_eq!((&*record.event_name, record.succeeded()), (answer.operation, answer.ok));
            assert!(!disowned.contains(&record.event_id), "answered and disowned: {answer:?}");
        }
        let made = || news.iter().filter(|record| record.succeeded() && !disowned.contains(&record.event_id));
        for event in &heard.commands {
            assert!(made().any(|record| record.event_name == *event), "lost: {event}");
        }
        made().for_each(|record| self.holdings.take(record));
        assert_eq!(held(&keystore), self.holdings, "the world is not what the log says");
        let grants: BTreeMap<_, bool> =
            heard.grants.iter().map(|(made, key, id)| ((key.clone(), id.clone()), *made)).collect();
        for (grant, heard_made) in grants {
            // A key's end, which time may have brought meanwhile, is that of its grants.
            let there = heard_made && self.holdings.keys.contains_key(&grant.0);
            // The kill may have come between the end of a grant and the word of it.
            let ended_unheard = || {
                let of_grant = |record: &&Record| record.request_parameters["grantId"] == grant.1.as_str();
                made().filter(of_grant).any(|record| record.event_name == "RevokeGrant")
            };
            let is_there = self.holdings.grants.contains(&grant);
            assert!(
                is_there == there || (there && ended_unheard()),
                "{grant:?}: {heard_made}, and {is_there}"
            );
        }
        self.check_erased(place, &keystore, tally);
        check_sealed(&keystore, &self.holdings, load);

        let answered: BTreeSet<&String> = heard.answers.iter().map(|answer| &answer.request_id).collect();
        let unheard = |record: &&Record| {
            record.is_change() && record.request_id.as_ref().is_some_and(|id| !answered.contains(id))
        };
        tally.in_flight += u64::from(!heard.answers.is_empty() && news.iter().any(|record| unheard(&record)));
        tally.disowned += u64::from(!disowned.is_empty());
        tally.changes += made().filter(|record| record.is_change()).count() as u64;
        load.keys = self.holdings.keys.keys().cloned().collect();
        load.aliases = self.holdings.aliases.keys().cloned().collect();
        self.checkpoint = Some(keystore.audit_checkpoint().unwrap());
    }

    /// The records since the last time.
    fn read_news(&mut self, keystore: &Keystore) -> Vec<Record> {
        let directory = keystore.audit_directory().unwrap();
        let news: Vec<Record> = read::records(&directory, self.seen)
            .unwrap()
            .map(|stored| stored.unwrap().parse().unwrap())
            .collect();
        self.seen += news.len() as u64;
        news
    }

    /// What is deleted is in no file of the database any more, nor is a copy of it.
    fn check_erased(&mut self, place: &Place, keystore: &Keystore, tally: &mut Tally) {
        let world = keystore.world().unwrap();
        let there: BTreeMap<String, Vec<String>> = world
            .keys()
            .map(|key| {
                let wrapped = key.materials.iter().map(|material| hex::encode(&material.wrapped));
                (key.arn.to_string(), wrapped.collect())
            })
            .collect();
        let gone: Vec<&String> = self
            .wrapped
            .iter()
            .filter(|(arn, _)| !there.contains_key(*arn))
            .flat_map(|(_, all)| all)
            .collect();
        if !gone.is_empty() {
            for name in ["keystore.db", "keystore.db-wal"] {
                let bytes = fs::read(place.directory().join(name)).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!gone.iter().any(|digits| text.contains(digits.as_str())), "not erased from {name}");
            }
        }
        tally.deleted_keys += self.wrapped.keys().filter(|arn| !there.contains_key(*arn)).count() as u64;
        self.wrapped = there;
    }
}

/// The ids of the events that a recovery disowned.
fn disowned(records: &[Record]) -> BTreeSet<String> {
    let recoveries = records.iter().filter(|record| record.event_name == "RecoverAfterCrash");
    let events = recoveries.flat_map(|record| {
        let details = record.service_event_details.as_ref().unwrap();
        details["notApplied"].as_array().unwrap().clone()
    });
    events.map(|event| event.as_str().unwrap().to_owned()).collect()
}

impl Holdings {
    /// What a success comes to.
    fn take(&mut self, record: &Record) {
        let key = record.resources.iter().find(|resource| resource.arn.contains(":key/"));
        let key = key.map(|resource| resource.arn.clone()).unwrap_or_default();
        let alias = || record.request_parameters["aliasName"].as_str().unwrap().to_owned();
        match &*record.event_name {
            "CreateKey" => drop(self.keys.insert(key, (KeyState::Enabled.to_string(), 1))),
            "EnableKey" => self.set(&key, KeyState::Enabled),
            "DisableKey" | "CancelKeyDeletion" => self.set(&key, KeyState::Disabled),
            "ScheduleKeyDeletion" => self.set(&key, KeyState::PendingDeletion),
            "RotateKeyOnDemand" => self.keys.get_mut(&key).unwrap().1 += 1,
            "DeleteKey" => {
                assert!(self.keys.remove(&key).is_some_and(|(state, _)| state == "PendingDeletion"));
                self.aliases.retain(|_, target| *target != key);
                self.grants.retain(|(of, _)| *of != key);
            }
            "CreateGrant" => {
                let id = record.response_elements["grantId"].as_str().unwrap().to_owned();
                assert!(self.grants.insert((key, id)));
            }
            "RevokeGrant" => {
                let id = record.request_parameters["grantId"].as_str().unwrap().to_owned();
                assert!(self.grants.remove(&(key, id)));
            }
            "CreateAlias" => assert!(self.aliases.insert(alias(), key).is_none()),
            "DeleteAlias" => assert!(self.aliases.remove(&alias()).is_some()),
            "AdvanceClock" => {
                self.days_ahead += record.request_parameters["days"].as_i64().unwrap();
            }
            other => assert!(!record.is_change() || FOREIGN.contains(&other), "what does {other} do?"),
        }
    }

    fn set(&mut self, key: &str, state: KeyState) {
        self.keys.get_mut(key).unwrap_or_else(|| panic!("{key}")).0 = state.to_string();
    }
}

/// Changes of what is not compared here: the administrator that a new keystore gets.
const FOREIGN: [&str; 2] = ["CreateUser", "PutUserPolicy"];

/// What the keystore holds.
fn held(keystore: &Keystore) -> Holdings {
    let world = keystore.world().unwrap();
    let keys = world.keys().map(|key| (key.arn.to_string(), (key.state.to_string(), key.materials.len())));
    let aliases = world.aliases().map(|alias| (alias.name.to_string(), alias.target.to_string()));
    let of_key = |key: &std::sync::Arc<keystead::world::Key>| {
        let grants = world.grants_on(&key.arn, None);
        grants.map(|grant| (grant.key.to_string(), grant.id.to_string())).collect::<Vec<_>>()
    };
    let day = 24 * 60 * 60 * 1000;
    Holdings {
        keys: keys.collect(),
        aliases: aliases.collect(),
        grants: world.keys().flat_map(of_key).collect(),
        days_ahead: world.settings().clock_offset_millis / day,
    }
}

/// Ciphertexts open while their key is enabled and not otherwise; those of keys that are gone are forgotten.
fn check_sealed(keystore: &Keystore, holdings: &Holdings, load: &mut Load) {
    let admin = keystore.administrator();
    let mut sealed = std::mem::take(&mut load.sealed);
    // The newest are the ones that a crash could have cost.
    sealed.drain(..sealed.len().saturating_sub(SEALED_MAX));
    for one in &sealed {
        let decrypt = Decrypt {
            ciphertext_blob: BASE64_STANDARD.decode(&one.blob).unwrap(),
            key_id: None,
            encryption_context: EncryptionContext::new(),
        };
        let opened = keystore.kms().decrypt(&admin, decrypt);
        let enabled = holdings.keys.get(&one.key).is_some_and(|(state, _)| state == "Enabled");
        match opened {
            Ok(decrypted) => {
                assert!(enabled, "a key that forbids it decrypted");
                let plaintext = BASE64_STANDARD.encode(decrypted.plaintext.expose_secret());
                assert_eq!(plaintext, one.plaintext);
            }
            Err(error) => assert!(!enabled, "lost: {error}"),
        }
    }
    sealed.retain(|one: &Sealed| holdings.keys.contains_key(&one.key));
    load.sealed = sealed;
}
