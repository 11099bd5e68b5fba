//! AWS owned, AWS managed and customer managed keys side by side, every cell found out by trying.
//!
//! [`TierTable::observe`] makes a keystore in memory with one key of each tier, does to each what can be done to a key,
//! and words the outcomes. Nothing is looked up in a list: were the keystore to behave otherwise, the table would say so.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{
    cost::monthly_usd,
    table::{grouped, table},
};
use crate::{
    artifact::{ArtifactError, Source, Target},
    keystore::{Keystore, KeystoreError, NewKeystore},
    kms::{
        CallError, Caller, CancelKeyDeletion, CreateAlias, CreateKey, DeleteAlias, DescribeKey, DisableKey,
        DisableKeyRotation, EnableKey, EnableKeyRotation, Encrypt, GetKeyPolicy, GetKeyRotationStatus,
        ListKeys, ManualClock, Operation, PutKeyPolicy, ROTATION_PERIOD_DEFAULT, ROTATION_PERIOD_MAX,
        ROTATION_PERIOD_MIN, RotateKeyOnDemand, ScheduleKeyDeletion, TagResource,
    },
    model::{AccountId, Days, EncryptionContext, KeyArn, KeyRef, PrincipalArn, Tags, Tier, Timestamp},
    services::s3::{Encryption, GetObject, ObjectError, PutObject},
    world::Key,
};

/// The tiers of keys, side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierTable {
    /// One row for each aspect.
    pub rows: Vec<TierRow>,
}

/// How the three tiers differ in one aspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierRow {
    /// The aspect, such as `rotation`.
    pub aspect: &'static str,
    /// Of AWS owned keys.
    pub owned: TierCell,
    /// Of AWS managed keys.
    pub managed: TierCell,
    /// Of customer managed keys.
    pub customer: TierCell,
}

/// What holds of one tier in one aspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierCell {
    /// In a few words.
    pub text: String,
    /// What was tried, and what came of it.
    pub evidence: Vec<String>,
}

/// Tries one aspect of one key.
type Observation = fn(&Stage, &Subject) -> Result<TierCell, CallError>;

/// The account of the keystore in which it is tried.
const ACCOUNT: &str = "111122223333";
/// The other account.
const OTHER_ACCOUNT: &str = "444455556666";
/// When the clock stands at first: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// The widths of the columns in characters: 76 with the spaces between them, for a terminal of 80 and an indent.
const WIDTHS: [usize; 4] = [13, 16, 18, 23];

impl TierTable {
    /// Tries everything, in a keystore that is gone afterwards.
    ///
    /// # Errors
    ///
    /// When there is no randomness or no temporary directory, or the keystore fails where nothing should.
    pub fn observe() -> Result<Self, KeystoreError> {
        let stage = Stage::set_up()?;
        let aspects: [(&'static str, Observation); 9] = [
            ("made by", made_by),
            ("ListKeys, DescribeKey", seen),
            ("policy", policy),
            ("use directly", direct_use),
            ("in your audit log", audited),
            ("across accounts", across_accounts),
            ("enable, disable, delete, tag, alias", managed_by_you),
            ("rotation", rotation),
            ("monthly cost", cost),
        ];
        let mut rows = Vec::new();
        for (aspect, observe) in aspects {
            rows.push(TierRow {
                aspect,
                owned: observe(&stage, &stage.owned)?,
                managed: observe(&stage, &stage.managed)?,
                customer: observe(&stage, &stage.customer)?,
            });
        }
        Ok(Self { rows })
    }
}

impl fmt::Display for TierTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["", Tier::AwsOwned.as_str(), "AWS managed (aws/s3)", Tier::CustomerManaged.as_str()];
        let heading: Vec<String> = heading.iter().map(|text| (*text).to_owned()).collect();
        let row = |row: &TierRow| {
            vec![
                row.aspect.to_owned(),
                row.owned.text.clone(),
                row.managed.text.clone(),
                row.customer.text.clone(),
            ]
        };
        formatter.write_str(&table(&WIDTHS, &heading, &self.rows.iter().map(row).collect::<Vec<_>>()))
    }
}

/// A keystore with one key of each tier, and who tries to do something to them.
struct Stage {
    keystore: Keystore,
    clock: Arc<ManualClock>,
    /// May do everything that an identity policy can allow.
    admin: Caller,
    /// The same, in another account.
    stranger: Caller,
    owned: Subject,
    managed: Subject,
    customer: Subject,
}

/// A key to try things on.
struct Subject {
    arn: KeyArn,
    /// An object that is encrypted under it.
    object: &'static str,
    encryption: Encryption,
    /// Whether somebody called CreateKey for it.
    created_by_call: bool,
}

impl Stage {
    fn set_up() -> Result<Self, KeystoreError> {
        let account: AccountId = ACCOUNT.parse()?;
        let clock = Arc::new(ManualClock::at(START));
        let new = NewKeystore { account, region: "us-east-1".parse()? };
        let keystore = Keystore::in_memory(new, Arc::clone(&clock) as _)?;
        let admin = keystore.administrator();
        let other: AccountId = OTHER_ACCOUNT.parse()?;
        keystore.organizations().create_account(&admin, other.clone(), "another")?;
        let root = Caller::local(PrincipalArn::root(&other));
        let everything =
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
        let stranger = keystore.iam().create_user(&root, "stranger".parse()?, Tags::new())?;
        keystore.iam().put_user_policy(&root, "stranger".parse()?, "p".parse()?, everything)?;
        keystore.s3().create_bucket(&admin, "models".parse()?)?;

        let created = keystore.kms().create_key(&admin, CreateKey::default())?.arn;
        let mut subjects = [
            ("owned", Encryption::Aes256),
            ("managed", Encryption::AwsManagedKey),
            ("customer", Encryption::KmsKey(created.clone().into())),
        ]
        .into_iter()
        .map(|(object, encryption)| {
            let key = put(&keystore, &admin, object, &encryption)?;
            Ok(Subject { created_by_call: key == created, arn: key, object, encryption })
        });
        let mut next = || subjects.next().unwrap_or_else(|| Err(CallError::internal("three keys were put")));
        let (owned, managed, customer) = (next()?, next()?, next()?);
        Ok(Self { stranger: Caller::local(stranger), keystore, clock, admin, owned, managed, customer })
    }

    /// Tries an operation as the administrator, and notes what came of it.
    fn attempt<O: Operation>(&self, evidence: &mut Vec<String>, operation: &O) -> Option<O::Answer> {
        self.attempt_as(&self.admin, "", evidence, operation)
    }

    fn attempt_as<O: Operation>(
        &self,
        caller: &Caller,
        by: &str,
        evidence: &mut Vec<String>,
        operation: &O,
    ) -> Option<O::Answer> {
        let result = self.keystore.kms().call(caller, operation);
        let outcome = result.as_ref().map_or_else(|error| error.code().as_str(), |_| "done");
        evidence.push(format!("{}{by}: {outcome}", O::NAME));
        result.ok()
    }

    fn key(&self, subject: &Subject) -> Result<Arc<Key>, CallError> {
        let world = self.keystore.world()?;
        world.key(&subject.arn).cloned().ok_or_else(|| CallError::internal("the key is gone"))
    }

    fn get(&self, caller: &Caller, subject: &Subject) -> Result<bool, CallError> {
        let mut bytes = Vec::new();
        let get = GetObject::new("models".parse()?, subject.object.parse()?);
        let got = self.keystore.s3().get_object(caller, get, Target::Stream(&mut bytes), false, &mut |_| ());
        Ok(got.is_ok() && bytes == subject.object.as_bytes())
    }
}

/// Puts an object and answers the key that it was encrypted under.
fn put(
    keystore: &Keystore,
    caller: &Caller,
    object: &str,
    encryption: &Encryption,
) -> Result<KeyArn, CallError> {
    let put = PutObject::new("models".parse()?, object.parse()?, encryption.clone());
    let put = keystore.s3().put_object(caller, put, Source::Stream(&mut object.as_bytes()), &mut |_| ());
    put.map(|object| object.kms_key).map_err(|error| match error {
        ObjectError::Call(error) => error,
        ObjectError::Artifact(error) => artifact(&error),
    })
}

fn artifact(error: &ArtifactError) -> CallError {
    CallError::internal(error.to_string())
}

impl Subject {
    fn key_id(&self) -> KeyRef {
        self.arn.clone().into()
    }

    fn encrypt(&self) -> Encrypt {
        let encryption_context = EncryptionContext::new();
        Encrypt { key_id: self.key_id(), plaintext: b"x".as_slice().into(), encryption_context }
    }
}

fn cell(text: impl Into<String>, evidence: Vec<String>) -> Result<TierCell, CallError> {
    Ok(TierCell { text: text.into(), evidence })
}

fn made_by(_: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let account = subject.arn.account();
    let evidence = vec![
        format!("account of the key: {account}"),
        format!("made by CreateKey: {}", if subject.created_by_call { "yes" } else { "no" }),
    ];
    let text = match (subject.created_by_call, account.as_str() == ACCOUNT) {
        (true, _) => "you",
        (false, true) => "the service, in your account, at first use",
        (false, false) => "the service, in its own account",
    };
    cell(text, evidence)
}

fn seen(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let mut evidence = Vec::new();
    let listed = stage.attempt(&mut evidence, &ListKeys::default()).unwrap_or_default();
    let listed = listed.iter().any(|entry| entry.key_arn == subject.arn);
    evidence.push(format!("among the listed: {}", if listed { "yes" } else { "no" }));
    let described = stage.attempt(&mut evidence, &DescribeKey { key_id: subject.key_id() });
    let text = match (listed, described) {
        (true, Some(key)) => format!("yes: KeyManager {}", key.key_manager.as_str()),
        (false, None) => "no".into(),
        (listed, described) => format!("listed: {listed}, described: {}", described.is_some()),
    };
    cell(text, evidence)
}

fn policy(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let mut evidence = Vec::new();
    let read = stage.attempt(&mut evidence, &GetKeyPolicy { key_id: subject.key_id() });
    let Some(policy) = read else { return cell("none that you can see", evidence) };
    let same = PutKeyPolicy {
        key_id: subject.key_id(),
        policy: policy.clone(),
        bypass_policy_lockout_safety_check: false,
    };
    if stage.attempt(&mut evidence, &same).is_some() {
        return cell("yours to read and write", evidence);
    }
    let conditions = ["kms:ViaService", "kms:CallerAccount"].into_iter().filter(|name| policy.contains(name));
    let conditions: Vec<&str> = conditions.map(|name| name.trim_start_matches("kms:")).collect();
    evidence.push(format!("its conditions: {}", conditions.join(", ")));
    cell(format!("readable, fixed: {}", conditions.join(" and ")), evidence)
}

fn direct_use(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let mut evidence = Vec::new();
    let directly = stage.attempt(&mut evidence, &subject.encrypt()).is_some();
    let by_service = stage.get(&stage.admin, subject)?;
    evidence.push(format!("GetObject: {}", if by_service { "done" } else { "refused" }));
    let for_you = stage.key(subject)?.arn.account().as_str() == ACCOUNT;
    let text = match (directly, by_service && for_you) {
        (true, _) => "yes",
        (false, true) => "no: only through its service",
        (false, false) => "no",
    };
    cell(text, evidence)
}

fn audited(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    put(&stage.keystore, &stage.admin, subject.object, &subject.encryption)?;
    let opened = stage.get(&stage.admin, subject)?;
    let tail = stage.keystore.audit_tail(&stage.admin, 8);
    let tail = tail.map_err(|error| CallError::internal(error.to_string()))?;
    let arn = subject.arn.to_string();
    let of_key = |record: &&crate::audit::Record| record.resources.iter().any(|resource| resource.arn == arn);
    let names: Vec<String> = tail
        .iter()
        .filter(of_key)
        .filter(|record| record.source_ip_address == "s3.amazonaws.com")
        .map(|record| record.event_name.to_string())
        .collect();
    let seen = if names.is_empty() { "none".into() } else { names.join(", ") };
    let evidence = vec![
        format!("PutObject and GetObject: {}", if opened { "done" } else { "refused" }),
        format!("records of the key's use: {seen}"),
    ];
    cell(if names.is_empty() { "no" } else { "yes" }, evidence)
}

fn across_accounts(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let mut evidence = Vec::new();
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")}, "Action": "kms:Encrypt", "Resource": "*"},
    ]});
    let let_in = PutKeyPolicy {
        key_id: subject.key_id(),
        policy: policy.to_string(),
        bypass_policy_lockout_safety_check: false,
    };
    let _let_in = stage.attempt(&mut evidence, &let_in);
    let by = " by another account";
    let used = stage.attempt_as(&stage.stranger, by, &mut evidence, &subject.encrypt());
    cell(if used.is_some() { "yes, by its policy" } else { "no" }, evidence)
}

fn managed_by_you(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let mut evidence = Vec::new();
    let key_id = || subject.key_id();
    let mut tags = Tags::new();
    tags.set("project", "models")?;
    let alias = format!("alias/{}", subject.object);
    let done = [
        stage.attempt(&mut evidence, &DisableKey { key_id: key_id() }).is_some(),
        stage.attempt(&mut evidence, &EnableKey { key_id: key_id() }).is_some(),
        stage
            .attempt(&mut evidence, &ScheduleKeyDeletion { key_id: key_id(), pending_window: None })
            .is_some(),
        stage.attempt(&mut evidence, &CancelKeyDeletion { key_id: key_id() }).is_some(),
        stage.attempt(&mut evidence, &TagResource { key_id: key_id(), tags }).is_some(),
        stage
            .attempt(&mut evidence, &CreateAlias { alias_name: alias.parse()?, target_key_id: key_id() })
            .is_some(),
    ];
    let text = match (done.iter().all(|done| *done), done.iter().any(|done| *done)) {
        (true, _) => {
            // A cancelled deletion leaves a key disabled.
            stage.attempt(&mut evidence, &EnableKey { key_id: key_id() });
            stage.attempt(&mut evidence, &DeleteAlias { alias_name: alias.parse()? });
            "yes"
        }
        (false, true) => "in part",
        (false, false) => "no",
    };
    cell(text, evidence)
}

fn rotation(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let mut evidence = Vec::new();
    let status = stage.attempt(&mut evidence, &GetKeyRotationStatus { key_id: subject.key_id() });
    let before = stage.key(subject)?.materials.len();
    stage.clock.advance(ROTATION_PERIOD_DEFAULT);
    let came = stage.key(subject)?.materials.len() - before;
    evidence.push(format!("new materials after {} days: {came}", ROTATION_PERIOD_DEFAULT.get()));
    let mut set = |days: u32| {
        let rotation_period = Some(Days::new(days));
        let call = EnableKeyRotation { key_id: subject.key_id(), rotation_period };
        stage.attempt_as(&stage.admin, &format!(" every {days} days"), &mut evidence, &call).is_some()
    };
    let (min, max) = (ROTATION_PERIOD_MIN.get(), ROTATION_PERIOD_MAX.get());
    let beyond = set(min - 1) || set(max + 1);
    let within = set(min) && set(max);
    let mut yours = Vec::new();
    if stage.attempt(&mut evidence, &DisableKeyRotation { key_id: subject.key_id() }).is_some() {
        yours.push("off".to_owned());
    }
    if within {
        let range = format!("{min}–{} days", grouped(max.into()));
        let range = if beyond { "any period".into() } else { range };
        yours.push(format!("automatic ({range})"));
    }
    if stage.attempt(&mut evidence, &RotateKeyOnDemand { key_id: subject.key_id() }).is_some() {
        yours.push("on demand".to_owned());
    }
    let text = match (yours.is_empty(), status.map(|status| status.key_rotation_enabled), came) {
        (false, ..) => yours.join(", "),
        (true, Some(true), 1) => "every year, fixed".into(),
        (true, None, 1..) => "the service's affair".into(),
        _ => "none".into(),
    };
    cell(text, evidence)
}

fn cost(stage: &Stage, subject: &Subject) -> Result<TierCell, CallError> {
    let used = monthly_usd(&*stage.key(subject)?);
    let mut evidence = vec![format!("the key that was tried: {used} USD")];
    if used == 0 {
        return cell("none", evidence);
    }
    let kms = stage.keystore.kms();
    let fresh = kms.create_key(&stage.admin, CreateKey::default())?.arn;
    let mut prices = Vec::new();
    for rotations in 0..=3 {
        if rotations > 0 {
            kms.rotate_key_on_demand(&stage.admin, RotateKeyOnDemand { key_id: fresh.clone().into() })?;
        }
        let price = stage.keystore.world()?.key(&fresh).map_or(0, |key| monthly_usd(key));
        evidence.push(format!("a new key, rotations {rotations}: {price} USD"));
        prices.push(price);
    }
    let first = prices.first().copied().unwrap_or(0);
    let most = prices.iter().copied().max().unwrap_or(first);
    let rotations = prices.iter().position(|price| *price == most).unwrap_or(0);
    let rotations = ["no", "one", "two", "three"].get(rotations).unwrap_or(&"many");
    cell(format!("{first} USD a key, up to {most} after {rotations} rotations"), evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_as_aws_has_it() {
        let table = TierTable::observe().unwrap();
        let texts: Vec<[&str; 4]> = table
            .rows
            .iter()
            .map(|row| [row.aspect, &row.owned.text, &row.managed.text, &row.customer.text])
            .collect();
        let expected = [
            [
                "made by",
                "the service, in its own account",
                "the service, in your account, at first use",
                "you",
            ],
            ["ListKeys, DescribeKey", "no", "yes: KeyManager AWS", "yes: KeyManager CUSTOMER"],
            [
                "policy",
                "none that you can see",
                "readable, fixed: ViaService and CallerAccount",
                "yours to read and write",
            ],
            ["use directly", "no", "no: only through its service", "yes"],
            ["in your audit log", "no", "yes", "yes"],
            ["across accounts", "no", "no", "yes, by its policy"],
            ["enable, disable, delete, tag, alias", "no", "no", "yes"],
            [
                "rotation",
                "the service's affair",
                "every year, fixed",
                "off, automatic (90–2,560 days), on demand",
            ],
            ["monthly cost", "none", "none", "1 USD a key, up to 3 after two rotations"],
        ];
        assert_eq!(texts, expected, "{table:#?}");
    }

    #[test]
    fn every_cell_has_its_evidence_and_the_table_fits_80_columns() {
        let table = TierTable::observe().unwrap();
        for row in &table.rows {
            for cell in [&row.owned, &row.managed, &row.customer] {
                assert!(!cell.evidence.is_empty(), "{row:?}");
            }
        }
        let text = table.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 76), "{text}");
        assert!(serde_json::to_string(&table).unwrap().contains("KeyManager CUSTOMER"));
    }
}
