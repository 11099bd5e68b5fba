//! What a seed comes to in a given keystore: the calls that are missing, in the order in which they can be made.
//!
//! The organization comes before the accounts that join it, and what bounds them last. Accounts come before the people in them, people before the roles that trust them, and all of them before the key
//! policies and grants that name them: no policy is taken that names nobody.

mod credentials;
mod endpoints;
mod keys;
mod organization;
mod people;
mod roles;

use std::{collections::BTreeMap, fmt, ops::Range};

use serde_json::Value;
use toml::Spanned;

use super::{Place, Seed, SeedError, policy::Filling};
use crate::{
    keystore::Keystore,
    kms::{CallError, Caller, Operation},
    model::{AccountId, ParseError, Tags},
    services::{
        organizations::{AccountName, CreateAccount},
        query::Reply,
        s3::CreateBucket,
    },
    world::{BucketName, World},
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
    place: Place,
    call: Option<BoxedCall>,
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
    /// When the seed names what is neither in it nor in the keystore, the keystore cannot be read, or there is no
    /// randomness for new keys' ids.
    pub fn plan(&self, keystore: &Keystore) -> Result<Plan, SeedError> {
        let world = keystore.world()?;
        let home = &world.settings().account;
        let accounts = self.accounts(home);
        let mut planner = Planner {
            seed: self,
            world: &world,
            account: home,
            place: self.text.place(0),
            steps: Vec::new(),
        };
        let mut draft = match &self.organization {
            Some(organization) => Some(planner.organization(organization)?),
            None => None,
        };
        for (id, account) in &self.accounts {
            planner.at(id.span());
            planner.account(id.get_ref(), &account.name);
        }
        if let Some(draft) = &mut draft {
            planner.within_organization(draft)?;
        }
        planner.vpc_endpoints(&self.vpc_endpoints);
        // People of all accounts come before any role, whose trust policy may name each of them, and roles before keys.
        for (account, contents) in &accounts {
            planner.account = account;
            planner.managed_policies(contents);
            planner.users(contents)?;
        }
        planner.roles(&accounts)?;
        for (account, contents) in &accounts {
            planner.account = account;
            planner.groups(contents)?;
        }
        for (account, contents) in &accounts {
            planner.account = account;
            planner.buckets(contents.buckets);
            planner.keys(contents.keys)?;
        }
        planner.account = home;
        if let Some(draft) = &draft {
            planner.attachments(draft)?;
        }
        Ok(Plan { steps: planner.steps })
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
    /// caller must be allowed to become (AssumeRoot). Answers how many steps were made, and adds to `secrets` the
    /// credentials that were made on the way: they can be had this once.
    ///
    /// # Errors
    ///
    /// [`SeedError::Call`] at the first call that is refused; the ones before it stay done, and their secrets are told.
    pub fn apply(
        &self,
        keystore: &Keystore,
        administrator: &Caller,
        secrets: &mut Vec<Reply>,
    ) -> Result<usize, SeedError> {
        let mut made = 0;
        let mut roots: BTreeMap<&AccountId, Caller> = BTreeMap::new();
        for step in &self.steps {
            let Some(call) = &step.call else { continue };
            let refused = |source| SeedError::Call { place: step.place, step: step.to_string(), source };
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
            secrets.extend(call.make(keystore, caller).map_err(refused)?);
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

/// A call of a plan. When it makes a credential it answers it; any other answer a seed has no use for.
pub(super) trait SeedCall {
    fn make(&self, keystore: &Keystore, caller: &Caller) -> Result<Option<Reply>, CallError>;
}

/// A call of a plan.
pub(super) type BoxedCall = Box<dyn SeedCall>;

impl<O: Operation> SeedCall for O {
    fn make(&self, keystore: &Keystore, caller: &Caller) -> Result<Option<Reply>, CallError> {
        keystore.kms().call(caller, self).map(|_| None)
    }
}

/// Plans what is in one account after the other.
struct Planner<'a> {
    seed: &'a Seed,
    world: &'a World,
    /// The account whose things are planned.
    account: &'a AccountId,
    /// Where the thing that is planned stands in the seed.
    place: Place,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    /// What is planned next stands there.
    fn at(&mut self, span: Range<usize>) {
        self.place = self.seed.text.place(span.start);
    }

    /// What placeholders stand for.
    fn filling(&self) -> Filling<'a> {
        let settings = self.world.settings();
        Filling {
            account: self.account.as_str(),
            home: settings.account.as_str(),
            region: settings.region.as_str(),
        }
    }

    fn push(&mut self, kind: StepKind, what: String, call: Option<BoxedCall>) {
        let home = &self.world.settings().account;
        let what = if self.account == home { what } else { format!("{what} in {}", self.account) };
        self.steps.push(Step { kind, what, account: self.account.clone(), place: self.place, call });
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

    /// A text of the seed that means something only now that the keystore is known.
    fn resolved<T>(&self, parsed: Result<T, ParseError>) -> Result<T, SeedError> {
        parsed.map_err(|error| SeedError::Text { place: self.place, message: error.to_string() })
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

    fn buckets(&mut self, buckets: &[Spanned<BucketName>]) {
        for bucket in buckets {
            self.at(bucket.span());
            let name = bucket.get_ref();
            let what = format!("bucket {name}");
            match self.world.bucket(name) {
                None => self.create(what, CreateBucket { bucket: name.clone() }),
                Some(there) if there.owner != *self.account => {
                    self.kept(format!("{what}: it belongs to the account {}", there.owner));
                }
                Some(_) => self.push(StepKind::Unchanged, what, None),
            }
        }
    }
}

/// The tags to take off and the tags to put on, so that `there` becomes `wanted`.
fn tag_changes(there: &Tags, wanted: &Tags) -> (Vec<String>, Tags) {
    let surplus = there.iter().map(|(name, _)| name).filter(|name| wanted.get(name).is_none());
    let surplus = surplus.map(str::to_owned).collect();
    let mut missing = wanted.clone();
    for (name, value) in there.iter() {
        if wanted.get(name) == Some(value) {
            missing.remove(name);
        }
    }
    (surplus, missing)
}

/// Whether two policies say the same, however they are laid out.
fn same_json(one: &str, other: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    one == other || parse(one).is_some_and(|one| Some(one) == parse(other))
}
