//! What a seed comes to in a given keystore: the calls that are missing, in the order in which they can be made.
//!
//! Accounts come before the people in them, and people before the key policies that name them: KMS takes no policy that
//! names nobody.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::{AccountSeed, IdentitySeed, KeySeed, Rotation, Seed, SeedError, State};
use crate::{
    crypto::random::{Random, SystemRandom},
    iam::{PolicyName, RoleName, UserName},
    keystore::Keystore,
    kms::{
        CallError, Caller, CancelKeyDeletion, CreateAlias, CreateKey, DisableKey, DisableKeyRotation,
        EnableKey, EnableKeyRotation, Kms, Operation, PutKeyPolicy, TagResource, UntagResource, UpdateAlias,
        UpdateKeyDescription,
    },
    model::{AccountId, AliasName, KeyArn, KeyId, KeyRef, KeyState, PrincipalArn, Tags},
    services::{
        iam::{CreateRole, CreateUser, PolicyText, PutRolePolicy, PutUserPolicy},
        organizations::{AccountName, CreateAccount},
        s3::CreateBucket,
    },
    world::{BucketName, Key, World},
};

/// What must be done so that a keystore is as a seed says. Its `Display` is one line for each step.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Step>,
}

/// One step of a plan.
pub struct Step {
    kind: StepKind,
    what: String,
    account: AccountId,
    call: Option<Box<dyn SeedCall>>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Makes what is not there.
    Create,
    /// Changes what is there.
    Update,
    /// Nothing: it is as the seed says.
    Unchanged,
    /// Nothing: it differs from the seed, or may differ, and no call can change it.
    CannotChange,
}

impl Seed {
    /// Compares the seed with a keystore.
    ///
    /// # Errors
    ///
    /// When the keystore cannot be read, or there is no randomness for new keys' ids.
    pub fn plan(&self, keystore: &Keystore) -> Result<Plan, SeedError> {
        let world = keystore.world()?;
        let home = &world.settings().account;
        let mut steps = Vec::new();
        let mut planner = Planner { world: &world, account: home, steps: &mut steps };
        for (id, account) in &self.accounts {
            planner.account(id, &account.name);
        }
        // People of all accounts come before any key: a key policy may name each of them.
        planner.people(&self.users, &self.roles);
        for (id, AccountSeed { users, roles, .. }) in &self.accounts {
            planner.within(id).people(users, roles);
        }
        planner.things(&self.buckets, &self.keys)?;
        for (id, AccountSeed { buckets, keys, .. }) in &self.accounts {
            planner.within(id).things(buckets, keys)?;
        }
        Ok(Plan { steps })
    }
}

impl Plan {
    /// The steps, in the order in which they are made.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the keystore is already as the seed says, as far as calls can make it.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.steps.iter().all(|step| step.call.is_none())
    }

    /// Makes the calls: in the account of `administrator` as that caller, in others as their root user, which the
    /// caller must be allowed to become (AssumeRoot). Answers how many were made.
    ///
    /// # Errors
    ///
    /// [`SeedError::Call`] at the first call that is refused; the ones before it stay done.
    pub fn apply(&self, keystore: &Keystore, administrator: &Caller) -> Result<usize, SeedError> {
        let mut made = 0;
        let mut roots: BTreeMap<&AccountId, Caller> = BTreeMap::new();
        for step in &self.steps {
            let Some(call) = &step.call else { continue };
            let refused = |source| SeedError::Call { step: step.to_string(), source };
            let caller = if step.account == administrator.account() {
                administrator
            } else if let Some(root) = roots.get(&step.account) {
                root
            } else {
                let root = keystore
                    .organizations()
                    .assume_root(administrator, step.account.clone())
                    .map_err(refused)?;
                roots.entry(&step.account).or_insert(root)
            };
            call.make(keystore.kms(), caller)
                .map_err(|source| SeedError::Call { step: step.to_string(), source })?;
            made += 1;
        }
        Ok(made)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(formatter, "{step}"))
    }
}

impl Step {
    /// What the step does.
    #[must_use]
    pub fn kind(&self) -> StepKind {
        self.kind
    }

    /// What it does it to, such as `key alias/models: policy`.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The account in which it does it.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<10} {}", self.kind.word(), self.what)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Step({self})")
    }
}

impl StepKind {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::CannotChange => "kept",
        }
    }
}

/// Any operation whose answer a seed has no use for.
trait SeedCall {
    fn make(&self, kms: Kms<'_>, caller: &Caller) -> Result<(), CallError>;
}

impl<O: Operation> SeedCall for O {
    fn make(&self, kms: Kms<'_>, caller: &Caller) -> Result<(), CallError> {
        kms.call(caller, self).map(drop)
    }
}

/// Plans what is in one account.
struct Planner<'a> {
    world: &'a World,
    account: &'a AccountId,
    steps: &'a mut Vec<Step>,
}

impl Planner<'_> {
    fn within<'b>(&'b mut self, account: &'b AccountId) -> Planner<'b> {
        Planner { world: self.world, account, steps: self.steps }
    }

    fn push(&mut self, kind: StepKind, what: String, call: Option<Box<dyn SeedCall>>) {
        let home = &self.world.settings().account;
        let what = if self.account == home { what } else { format!("{what} in {}", self.account) };
        self.steps.push(Step { kind, what, account: self.account.clone(), call });
    }

    fn create(&mut self, what: String, call: impl SeedCall + 'static) {
        self.push(StepKind::Create, what, Some(Box::new(call)));
    }

    fn update(&mut self, what: String, call: impl SeedCall + 'static) {
        self.push(StepKind::Update, what, Some(Box::new(call)));
    }

    fn kept(&mut self, what: String) {
        self.push(StepKind::CannotChange, what, None);
    }

    /// Says that nothing needs doing, unless a step was pushed since there were `before` of them.
    fn unchanged_since(&mut self, before: usize, what: String) {
        if self.steps.len() == before {
            self.push(StepKind::Unchanged, what, None);
        }
    }

    fn account(&mut self, id: &AccountId, name: &AccountName) {
        let what = format!("account {id} ({name})");
        match self.world.account(id) {
            Some(there) if there.name != name.as_str() => {
                self.kept(format!("account {id}: its name is `{}` and not `{name}`", there.name));
            }
            None if !self.world.has_account(id) => {
                self.create(what, CreateAccount::new(id.clone(), name.clone()));
            }
            _ => self.push(StepKind::Unchanged, what, None),
        }
    }

    fn people(&mut self, users: &BTreeMap<UserName, IdentitySeed>, roles: &BTreeMap<RoleName, IdentitySeed>) {
        for (name, user) in users {
            let tags = user.tags.clone().map(Into::into);
            let create = CreateUser { tags, ..CreateUser::new(name.clone()) };
            let arn = PrincipalArn::user(self.account, name.as_str());
            self.identity(&format!("user {name}"), &arn, user, create, |policy_name, policy| {
                Box::new(PutUserPolicy {
                    user_name: name.clone(),
                    policy_name,
                    policy_document: policy.into(),
                })
            });
        }
        for (name, role) in roles {
            let (tags, trust) =
                (role.tags.clone().map(Into::into), PolicyText::trusting_account(self.account));
            let create = CreateRole { tags, ..CreateRole::new(name.clone(), trust) };
            let arn = PrincipalArn::role(self.account, name.as_str());
            self.identity(&format!("role {name}"), &arn, role, create, |policy_name, policy| {
                Box::new(PutRolePolicy {
                    role_name: name.clone(),
                    policy_name,
                    policy_document: policy.into(),
                })
            });
        }
    }

    fn identity(
        &mut self,
        what: &str,
        arn: &PrincipalArn,
        seed: &IdentitySeed,
        create: impl SeedCall + 'static,
        put_policy: impl Fn(PolicyName, String) -> Box<dyn SeedCall>,
    ) {
        let before = self.steps.len();
        let there = self.world.identity(arn);
        match &there {
            None => self.create(what.into(), create),
            Some(there) if seed.tags.as_ref().is_some_and(|tags| tags != there.tags()) => {
                self.kept(format!("{what}: its tags, which are given when it is made"));
            }
            Some(_) => {}
        }
        for (name, text) in &seed.policies {
            let settings = self.world.settings();
            let policy = text.resolve(self.account, &settings.account, &settings.region);
            let put = there.as_ref().and_then(|one| one.permissions().inline.get(name));
            if put.is_some_and(|put| same_json(put.text(), &policy)) {
                continue;
            }
            let kind = if put.is_some() { StepKind::Update } else { StepKind::Create };
            self.push(kind, format!("{what}: policy {name}"), Some(put_policy(name.clone(), policy)));
        }
        self.unchanged_since(before, what.into());
    }

    fn things(&mut self, buckets: &[BucketName], keys: &[KeySeed]) -> Result<(), SeedError> {
        for bucket in buckets {
            self.bucket(bucket);
        }
        for key in keys {
            self.key(key)?;
        }
        Ok(())
    }

    fn bucket(&mut self, name: &BucketName) {
        let what = format!("bucket {name}");
        match self.world.bucket(name) {
            None => self.create(what, CreateBucket { bucket: name.clone() }),
            Some(there) if there.owner != *self.account => {
                self.kept(format!("{what}: it belongs to the account {}", there.owner));
            }
            Some(_) => self.push(StepKind::Unchanged, what, None),
        }
    }

    fn key(&mut self, seed: &KeySeed) -> Result<(), SeedError> {
        let before = self.steps.len();
        let what = match (seed.aliases.first(), &seed.id) {
            (Some(alias), _) => format!("key {alias}"),
            (None, Some(id)) => format!("key {id}"),
            (None, None) => "key".into(),
        };
        let arn = self.arn_of(seed)?;
        let world = self.world;
        let there = world.key(&arn).map(|key| &**key);
        match there {
            None => self.new_key(seed, &what, &arn),
            Some(key) => self.existing_key(seed, &what, key),
        }
        for alias in &seed.aliases {
            self.alias(alias, &arn);
        }
        self.rotation_and_state(seed, &what, &arn, there);
        self.unchanged_since(before, what);
        Ok(())
    }

    /// The key that the seed means, or the one that it will be: the plan chooses the id that CreateKey would.
    fn arn_of(&self, seed: &KeySeed) -> Result<KeyArn, SeedError> {
        let region = self.world.settings().region.clone();
        let at = |id| KeyArn::new(region.clone(), self.account.clone(), id);
        if let Some(id) = &seed.id {
            return Ok(at(id.clone()));
        }
        let mut aliases = seed.aliases.iter();
        if let Some(alias) = aliases.find_map(|alias| self.world.alias(self.account, alias)) {
            return Ok(alias.target.clone());
        }
        let random: &mut dyn Random = &mut SystemRandom;
        Ok(at(KeyId::from_random(random.array().map_err(CallError::from)?)))
    }

    fn policy(&self, seed: &KeySeed) -> Option<String> {
        let settings = self.world.settings();
        Some(seed.policy.as_ref()?.resolve(self.account, &settings.account, &settings.region))
    }

    fn new_key(&mut self, seed: &KeySeed, what: &str, arn: &KeyArn) {
        let call = CreateKey {
            description: seed.description.clone().unwrap_or_default(),
            policy: self.policy(seed),
            tags: seed.tags.clone().unwrap_or_default(),
            custom_key_id: Some(arn.key_id().clone()),
            custom_key_material: seed.material.as_ref().and_then(super::TestMaterial::to_secret),
            ..CreateKey::default()
        };
        self.create(what.into(), call);
    }

    fn existing_key(&mut self, seed: &KeySeed, what: &str, key: &Key) {
        let key_id = || KeyRef::from(key.arn.clone());
        if key.state == KeyState::PendingDeletion && seed.state.is_some() {
            self.update(format!("{what}: cancel its deletion"), CancelKeyDeletion { key_id: key_id() });
        }
        if seed.material.is_some() {
            self.kept(format!("{what}: its key material, which nobody can read or replace"));
        }
        if let Some(description) = seed.description.clone().filter(|text| *text != key.description) {
            let call = UpdateKeyDescription { key_id: key_id(), description };
            self.update(format!("{what}: description"), call);
        }
        if let Some(tags) = &seed.tags {
            self.tags(what, key, tags);
        }
        if let Some(policy) = self.policy(seed).filter(|policy| !same_json(policy, key.policy.text())) {
            let call = PutKeyPolicy { key_id: key_id(), policy, bypass_policy_lockout_safety_check: false };
            self.update(format!("{what}: policy"), call);
        }
    }

    fn tags(&mut self, what: &str, key: &Key, wanted: &Tags) {
        let key_id = || KeyRef::from(key.arn.clone());
        let surplus = key.tags.iter().map(|(name, _)| name).filter(|name| wanted.get(name).is_none());
        let tag_keys: Vec<String> = surplus.map(str::to_owned).collect();
        let mut tags = wanted.clone();
        for (name, value) in key.tags.iter() {
            if wanted.get(name) == Some(value) {
                tags.remove(name);
            }
        }
        if !tag_keys.is_empty() {
            self.update(format!("{what}: take off tags"), UntagResource { key_id: key_id(), tag_keys });
        }
        if !tags.is_empty() {
            self.update(format!("{what}: tags"), TagResource { key_id: key_id(), tags });
        }
    }

    fn alias(&mut self, alias: &AliasName, key: &KeyArn) {
        let what = format!("alias {alias}");
        let (alias_name, target_key_id) = (alias.clone(), KeyRef::from(key.clone()));
        match self.world.alias(self.account, alias) {
            None => self.create(what, CreateAlias { alias_name, target_key_id }),
            Some(there) if there.target != *key => {
                self.update(what, UpdateAlias { alias_name, target_key_id });
            }
            Some(_) => {}
        }
    }

    /// Rotation can be set for an enabled key alone: a disabled one is enabled for it, and disabled again.
    fn rotation_and_state(&mut self, seed: &KeySeed, what: &str, arn: &KeyArn, there: Option<&Key>) {
        let key_id = || KeyRef::from(arn.clone());
        let current = there.and_then(|key| key.rotation).map(|schedule| schedule.period);
        let rotation = seed.rotation.filter(|Rotation(wanted)| *wanted != current);
        // A deletion that the seed cancels leaves its key disabled; one that it does not speak of goes on.
        let mut enabled = there.is_none_or(|key| key.state == KeyState::Enabled);
        let pending = there.is_some_and(|key| key.state == KeyState::PendingDeletion);
        if pending && seed.state.is_none() {
            if rotation.is_some() {
                self.kept(format!("{what}: its rotation, while it is pending deletion"));
            }
            return;
        }
        let wanted = seed.state.map_or(enabled, |state| state == State::Enabled);
        if !enabled && (wanted || rotation.is_some()) {
            self.update(format!("{what}: enable"), EnableKey { key_id: key_id() });
            enabled = true;
        }
        match rotation {
            Some(Rotation(Some(period))) => {
                let call = EnableKeyRotation { key_id: key_id(), rotation_period: Some(period) };
                self.update(format!("{what}: rotate every {} days", period.get()), call);
            }
            Some(Rotation(None)) => {
                self.update(format!("{what}: rotate no more"), DisableKeyRotation { key_id: key_id() });
            }
            None => {}
        }
        if enabled && !wanted {
            self.update(format!("{what}: disable"), DisableKey { key_id: key_id() });
        }
    }
}

/// Whether two policies say the same, however they are laid out.
fn same_json(one: &str, other: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    one == other || parse(one).is_some_and(|one| Some(one) == parse(other))
}
