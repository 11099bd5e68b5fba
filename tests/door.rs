//! The door under many callers at once, and against a simple model of what AWS's keys do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use keystead::{
    audit::{Record, error_code},
    keystore::{Keystore, NewKeystore, Seal, WithoutAsking},
    kms::{
        CallError, CancelKeyDeletion, CreateAlias, CreateKey, Decrypt, DeleteAlias, DescribeKey, DisableKey,
        EnableKey, Encrypt, Kms, PutKeyPolicy, RotateKeyOnDemand, ScheduleKeyDeletion,
    },
    model::{Days, EncryptionContext, ErrorCode, KeyArn, KeyState},
    testing::Lab,
    world::World,
};
use proptest::prelude::*;

const THREADS: usize = 32;
const CALLS: usize = 40;
const ROOT: &str = "arn:aws:iam::111122223333:root";

fn new_keystore() -> NewKeystore {
    NewKeystore { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() }
}

fn encrypt(kms: Kms<'_>, keystore: &Keystore, key: &KeyArn) -> Result<Vec<u8>, CallError> {
    let encrypt = Encrypt {
        key_id: key.clone().into(),
        plaintext: b"plain".as_slice().into(),
        encryption_context: EncryptionContext::new(),
    };
    kms.encrypt(&keystore.administrator(), encrypt).map(|encrypted| encrypted.ciphertext_blob)
}

fn decrypt(kms: Kms<'_>, keystore: &Keystore, blob: &[u8]) -> Result<(), CallError> {
    let context = EncryptionContext::new();
    let decrypt = Decrypt { ciphertext_blob: blob.to_vec(), key_id: None, encryption_context: context };
    kms.decrypt(&keystore.administrator(), decrypt).map(drop)
}

fn policy(deny: bool) -> String {
    let allow =
        format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"{ROOT}"}},"Action":"kms:*","Resource":"*"}}"#);
    let denied = r#","Effect":"Deny","Principal":"*","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"}"#;
    let denied = if deny { format!(",{{\"Sid\":\"stop\"{denied}") } else { String::new() };
    format!(r#"{{"Version":"2012-10-17","Statement":[{allow}{denied}]}}"#)
}

/// Reads the log in its order: what may succeed follows from the changes that stand before.
fn replay(records: &[Record], key: &KeyArn) -> (usize, usize) {
    let (mut enabled, mut denied) = (true, false);
    let (mut uses, mut successes) = (0, 0);
    for (number, record) in records.iter().enumerate() {
        match &*record.event_name {
            "DisableKey" if record.succeeded() => enabled = false,
            "EnableKey" if record.succeeded() => enabled = true,
            "PutKeyPolicy" if record.succeeded() => {
                denied = record.request_parameters.to_string().contains("Deny");
            }
            "Encrypt" | "Decrypt" => {
                uses += 1;
                successes += usize::from(record.succeeded());
                let expected = match (denied, enabled) {
                    (true, _) => Some(error_code(ErrorCode::AccessDenied)),
                    (false, false) => Some(error_code(ErrorCode::Disabled)),
                    (false, true) => None,
                };
                assert_eq!(record.error_code.as_deref(), expected, "record {number} on {key}");
            }
            _ => {}
        }
    }
    (uses, successes)
}

#[test]
fn no_success_stands_after_what_forbids_it_and_every_call_has_one_record() {
    let place = tempfile::tempdir().unwrap();
    let seal = Seal::KeyFile(place.path().join("k.key"));
    let keystore = Keystore::create(&place.path().join("k"), new_keystore(), seal, "the tests").unwrap();
    let (kms, admin) = (keystore.kms(), keystore.administrator());
    let key = kms.create_key(&admin, CreateKey::default()).unwrap().arn;
    let blob = encrypt(kms, &keystore, &key).unwrap();
    let before = keystore.audit_verify().unwrap();

    let (answered, changes, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let users: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (keystore, key, blob, answered) = (&keystore, &key, &blob, &answered);
                scope.spawn(move || {
                    for _ in 0..CALLS {
                        let kms = keystore.kms();
                        let result = if thread % 2 == 0 {
                            encrypt(kms, keystore, key).map(drop)
                        } else {
                            decrypt(kms, keystore, blob)
                        };
                        answered.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            for turn in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let key_id = key.clone().into();
                let bypass_policy_lockout_safety_check = false;
                let put = |deny| PutKeyPolicy {
                    key_id: key.clone().into(),
                    policy: policy(deny),
                    bypass_policy_lockout_safety_check,
                };
                match turn % 4 {
                    0 => kms.disable_key(&admin, DisableKey { key_id }).unwrap(),
                    1 => kms.enable_key(&admin, EnableKey { key_id }).unwrap(),
                    2 => kms.put_key_policy(&admin, put(true)).unwrap(),
                    _ => kms.put_key_policy(&admin, put(false)).unwrap(),
                }
                changes.fetch_add(1, Ordering::Relaxed);
            }
        });
        users.into_iter().for_each(|user| user.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });

    let after = keystore.audit_verify().unwrap();
    let (calls, changes) = (THREADS * CALLS, changes.into_inner());
    assert_eq!(after.records - before.records, (calls + changes) as u64, "one record for each call");
    let records = keystore.audit_tail(&admin, calls + changes).unwrap();
    let (uses, successes) = replay(&records, &key);
    assert_eq!((uses, successes), (calls, answered.into_inner()));
    assert!(changes > 4 && successes > 0 && successes < uses, "{changes} changes, {successes} of {uses}");
    let batches = after.checkpoints - before.checkpoints;
    assert!(batches * 2 < (calls + changes) as u64, "{batches} batches for {calls} calls");
    let mut ids: Vec<_> = records.iter().map(|record| &record.event_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), calls + changes);
}

#[derive(Debug, Clone)]
enum Step {
    Create,
    Enable(usize),
    Disable(usize),
    Schedule(usize),
    Cancel(usize),
    Rotate(usize),
    Encrypt(usize),
    Describe(usize),
    CreateAlias(usize, u8),
    DeleteAlias(u8),
    Advance(u32),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..4_usize;
    prop_oneof![
        Just(Step::Create),
        key().prop_map(Step::Enable),
        key().prop_map(Step::Disable),
        key().prop_map(Step::Schedule),
        key().prop_map(Step::Cancel),
        key().prop_map(Step::Rotate),
        key().prop_map(Step::Encrypt),
        key().prop_map(Step::Describe),
        (key(), 0..3_u8).prop_map(|(key, alias)| Step::CreateAlias(key, alias)),
        (0..3_u8).prop_map(Step::DeleteAlias),
        (1..9_u32).prop_map(Step::Advance),
        Just(Step::Reopen),
    ]
}

/// A key of the model ("Key states of AWS KMS keys", KMS developer guide).
#[derive(Debug, Clone)]
struct Modelled {
    state: KeyState,
    days_left: u32,
    rotations: usize,
}

#[derive(Debug, Default)]
struct Model {
    keys: BTreeMap<usize, Modelled>,
    aliases: BTreeMap<u8, usize>,
}

impl Model {
    /// What a step must come to, and what it changes.
    fn take(&mut self, step: &Step) -> Result<(), ErrorCode> {
        let number = match step {
            Step::Enable(n)
            | Step::Disable(n)
            | Step::Schedule(n)
            | Step::Cancel(n)
            | Step::Rotate(n)
            | Step::Encrypt(n)
            | Step::Describe(n)
            | Step::CreateAlias(n, _) => *n,
            Step::DeleteAlias(alias) => {
                return self.aliases.remove(alias).map(drop).ok_or(ErrorCode::NotFound);
            }
            Step::Advance(days) => {
                self.advance(*days);
                return Ok(());
            }
            Step::Create | Step::Reopen => return Ok(()),
        };
        let key = self.keys.get_mut(&number).ok_or(ErrorCode::NotFound)?;
        let pending = key.state == KeyState::PendingDeletion;
        match step {
            Step::Describe(_) => {}
            Step::Cancel(_) if pending => key.state = KeyState::Disabled,
            Step::Cancel(_) => return Err(ErrorCode::KmsInvalidState),
            Step::CreateAlias(_, alias) if self.aliases.contains_key(alias) => {
                return Err(ErrorCode::AlreadyExists);
            }
            _ if pending => return Err(ErrorCode::KmsInvalidState),
            Step::Enable(_) => key.state = KeyState::Enabled,
            Step::Disable(_) => key.state = KeyState::Disabled,
            Step::Schedule(_) => (key.state, key.days_left) = (KeyState::PendingDeletion, 7),
            Step::CreateAlias(number, alias) => drop(self.aliases.insert(*alias, *number)),
            _ if key.state == KeyState::Disabled => return Err(ErrorCode::Disabled),
            Step::Rotate(_) => key.rotations += 1,
            _ => {}
        }
        Ok(())
    }

    fn advance(&mut self, days: u32) {
        for key in self.keys.values_mut().filter(|key| key.state == KeyState::PendingDeletion) {
            key.days_left = key.days_left.saturating_sub(days);
        }
        self.keys.retain(|_, key| key.state != KeyState::PendingDeletion || key.days_left > 0);
        let keys = &self.keys;
        self.aliases.retain(|_, key| keys.contains_key(key));
    }
}

/// Makes one step for real.
fn make(keystore: &Keystore, key: Option<&KeyArn>, step: &Step) -> Result<(), CallError> {
    let (kms, admin) = (keystore.kms(), keystore.administrator());
    let never: KeyArn =
        "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000".parse().unwrap();
    let key_id = key.unwrap_or(&never).clone().into();
    let alias = |number: &u8| format!("alias/a{number}").parse().unwrap();
    match step {
        Step::Enable(_) => kms.enable_key(&admin, EnableKey { key_id }),
        Step::Disable(_) => kms.disable_key(&admin, DisableKey { key_id }),
        Step::Schedule(_) => {
            let schedule = ScheduleKeyDeletion { key_id, pending_window: Some(Days::new(7)) };
            kms.schedule_key_deletion(&admin, schedule).map(drop)
        }
        Step::Cancel(_) => kms.cancel_key_deletion(&admin, CancelKeyDeletion { key_id }).map(drop),
        Step::Rotate(_) => kms.rotate_key_on_demand(&admin, RotateKeyOnDemand { key_id }).map(drop),
        Step::Describe(_) => kms.describe_key(&admin, DescribeKey { key_id }).map(drop),
        Step::Encrypt(_) => {
            encrypt(kms, keystore, key.unwrap_or(&never)).and_then(|blob| decrypt(kms, keystore, &blob))
        }
        Step::CreateAlias(_, name) => {
            kms.create_alias(&admin, CreateAlias { alias_name: alias(name), target_key_id: key_id })
        }
        Step::DeleteAlias(name) => kms.delete_alias(&admin, DeleteAlias { alias_name: alias(name) }),
        Step::Advance(days) => keystore.advance_clock(&admin, Days::new(*days)).map(drop),
        Step::Create | Step::Reopen => Ok(()),
    }
}

fn check(world: &World, model: &Model, arns: &[KeyArn]) {
    let there: Vec<_> = world.keys().map(|key| (&key.arn, key.state, key.materials.len())).collect();
    assert_eq!(there.len(), model.keys.len(), "{there:?} {model:?}");
    for (number, key) in &model.keys {
        let real = world.key(&arns[*number]).unwrap();
        assert_eq!((real.state, real.materials.len()), (key.state, 1 + key.rotations), "{number}");
    }
    assert_eq!(world.aliases().count(), model.aliases.len());
    let rows = world.to_rows();
    assert_eq!(World::from_rows(&rows).unwrap().to_rows(), rows);
}

/// Runs the steps; `reopen` closes a keystore and opens it again.
fn run(mut keystore: Keystore, steps: &[Step], reopen: &dyn Fn(Keystore) -> Keystore) {
    let (mut model, mut arns) = (Model::default(), Vec::new());
    for step in steps {
        match step {
            Step::Create => {
                let new = CreateKey::default();
                arns.push(keystore.kms().create_key(&keystore.administrator(), new).unwrap().arn);
                let key = Modelled { state: KeyState::Enabled, days_left: 0, rotations: 0 };
                model.keys.insert(arns.len() - 1, key);
            }
            Step::Reopen => keystore = reopen(keystore),
            _ => {
                let number = match step {
                    Step::Enable(n)
                    | Step::Disable(n)
                    | Step::Schedule(n)
                    | Step::Cancel(n)
                    | Step::Rotate(n)
                    | Step::Encrypt(n)
                    | Step::Describe(n)
                    | Step::CreateAlias(n, _) => *n,
                    _ => 0,
                };
                let real = make(&keystore, arns.get(number), step).map_err(|error| error.code());
                assert_eq!(real, model.take(step), "{step:?} of {steps:?}");
            }
        }
        check(&keystore.world().unwrap(), &model, &arns);
    }
    keystore.audit_verify().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_keystore_in_memory_does_as_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        let clock = std::sync::Arc::new(keystead::kms::ManualClock::at(keystead::testing::START));
        run(Keystore::in_memory(new_keystore(), clock).unwrap(), &steps, &|keystore| keystore);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_keystore_on_disk_does_as_the_model_also_when_it_is_opened_again(
        steps in proptest::collection::vec(step(), 10..50)
    ) {
        let place = tempfile::tempdir().unwrap();
        let (directory, seal) = (place.path().join("k"), Seal::KeyFile(place.path().join("k.key")));
        let keystore = Keystore::create(&directory, new_keystore(), seal, "the tests").unwrap();
        run(keystore, &steps, &|keystore| {
            drop(keystore);
            Keystore::open(&directory, &mut WithoutAsking, "the tests").unwrap()
        });
    }
}

#[test]
fn a_customer_who_names_a_service_owned_key_is_refused_and_recorded() {
    let lab = Lab::new().unwrap();
    lab.put(&lab.admin(), "models", "owned", Default::default(), b"x").unwrap();
    let world = lab.keystore().world().unwrap();
    let owned = world.keys().find(|key| key.arn.account().is_of_the_services()).unwrap().arn.clone();
    let before = lab.keystore().audit_verify().unwrap().records;
    let refused = lab.kms().describe_key(&lab.admin(), DescribeKey { key_id: owned.into() }).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AccessDenied);
    assert_eq!(lab.keystore().audit_verify().unwrap().records, before + 1);
    let record = lab.keystore().audit_tail(&lab.admin(), 1).unwrap().pop().unwrap();
    assert_eq!((&*record.event_name, record.succeeded()), ("DescribeKey", false));
}

#[test]
fn a_key_disabled_over_several_periods_rotates_once_when_it_is_enabled() {
    let lab = Lab::new().unwrap();
    let (kms, admin, key) = (lab.kms(), lab.admin(), lab.key().unwrap());
    let rotation =
        keystead::kms::EnableKeyRotation { key_id: key.clone().into(), rotation_period: Some(Days::new(90)) };
    kms.enable_key_rotation(&admin, rotation).unwrap();
    kms.disable_key(&admin, DisableKey { key_id: key.clone().into() }).unwrap();
    lab.advance(1000);
    let materials = || lab.keystore().world().unwrap().key(&key).unwrap().materials.len();
    assert_eq!(materials(), 1);
    kms.enable_key(&admin, EnableKey { key_id: key.clone().into() }).unwrap();
    assert_eq!(materials(), 2);
    lab.advance(90);
    assert_eq!(materials(), 3);
}
