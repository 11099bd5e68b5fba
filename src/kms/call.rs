//! One call under way: what an operation may look at and what it must ask.

use std::sync::Arc;

use super::{
    CallError, Caller,
    authentication::Authenticated,
    conditions::{self, KeyConditions},
    explanation::Witness,
    material::Materials,
    question::Supposed,
};
use crate::{
    audit::ResourceEntry,
    crypto::random::Random,
    model::{
        AccountId, AliasName, Arn, EncryptionContext, ErrorCode, KeyArn, KeyRef, KeyState, Tier, Timestamp,
    },
    policy::{
        Action, Authorized, ConditionContext, Decision, NamedPolicy, Policy, Request, Resource, decide,
        keeps_control,
    },
    world::{Key, World},
};

/// A key as a request named it.
#[derive(Debug, Clone)]
pub(crate) struct NamedKey {
    pub(crate) key: Arc<Key>,
    /// The alias by which it was named, if it was.
    pub(crate) alias: Option<AliasName>,
    /// The name as the request had it.
    pub(crate) given: String,
}

/// One call under way.
pub struct Call<'a> {
    pub(super) world: &'a World,
    pub(super) caller: &'a Caller,
    pub(super) authenticated: &'a Authenticated,
    pub(super) now: Timestamp,
    pub(super) random: &'a mut dyn Random,
    pub(super) materials: &'a Materials,
    pub(super) cross_account: bool,
    /// What the record will name as the call's resources.
    pub(super) resources: Vec<ResourceEntry>,
    /// Sees every decision of the call.
    pub(super) witness: Witness,
    /// What a call that is only asked about is supposed to bring along.
    pub(super) supposed: Option<&'a Supposed>,
}

/// A decision on one (action, resource) pair; on a denial, why.
pub(super) struct Judged {
    decision: Decision,
    why: Option<String>,
}

impl Judged {
    /// The proof that `A` was allowed, or the denial in AWS's words.
    fn permit<A: Action>(self) -> Result<Authorized<A>, CallError> {
        self.decision.authorize().map_err(|denied| {
            let why = self.why.unwrap_or_default();
            CallError::new(ErrorCode::AccessDenied, denied.to_string()).explained(why)
        })
    }
}

impl Call<'_> {
    /// The world as it is.
    pub(crate) fn world(&self) -> &World {
        self.world
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Randomness for this call.
    pub(crate) fn random(&mut self) -> &mut dyn Random {
        self.random
    }

    /// The account whose keys and aliases a name without an account means.
    pub(crate) fn account(&self) -> AccountId {
        self.caller.account()
    }

    /// Finds the key that a request names.
    ///
    /// Within one's own account a key that is not there is `NotFoundException`. Of other accounts' keys one learns
    /// nothing: AWS answers as if access were denied.
    pub(crate) fn resolve<A: Action>(&mut self, name: &KeyRef) -> Result<NamedKey, CallError> {
        self.resolve_for(A::NAME, name)
    }

    /// The same for an action that is known by its name alone.
    pub(super) fn resolve_for(&mut self, action: &str, name: &KeyRef) -> Result<NamedKey, CallError> {
        let region = self.world.settings().region.clone();
        let (arn, alias) = match name {
            KeyRef::Id(id) => (KeyArn::new(region, self.account(), id.clone()), None),
            KeyRef::Arn(arn) if *arn.region() != region => {
                return Err(CallError::not_found(format!("Invalid arn {}", arn.region())));
            }
            KeyRef::Arn(arn) => (arn.clone(), None),
            KeyRef::Alias(alias) => {
                (self.resolve_alias(action, &self.account(), alias)?, Some(alias.clone()))
            }
            KeyRef::AliasArn { region: named, .. } if *named != region => {
                return Err(CallError::not_found(format!("Invalid arn {named}")));
            }
            KeyRef::AliasArn { account, name, .. } => {
                (self.resolve_alias(action, account, name)?, Some(name.clone()))
            }
        };
        let key = match self.world.key(&arn) {
            Some(key) => Arc::clone(key),
            None => return Err(self.no_such_key(action, &arn)),
        };
        self.note_key(&key);
        Ok(NamedKey { key, alias, given: name.to_string() })
    }

    fn resolve_alias(
        &self,
        action: &str,
        account: &AccountId,
        name: &AliasName,
    ) -> Result<KeyArn, CallError> {
        if let Some(alias) = self.world.alias(account, name) {
            return Ok(alias.target.clone());
        }
        let arn = format!("arn:aws:kms:{}:{account}:{name}", self.world.settings().region);
        if *account == self.account() {
            Err(CallError::not_found(format!("Alias {arn} is not found.")))
        } else {
            Err(self.out_of_reach_for(action, &arn))
        }
    }

    fn no_such_key(&self, action: &str, arn: &KeyArn) -> CallError {
        if *arn.account() == self.account() {
            CallError::not_found(format!("Key '{arn}' does not exist"))
        } else {
            self.out_of_reach_for(action, &arn.to_string())
        }
    }

    /// AWS's words about what belongs to somebody else and may not even exist.
    pub(crate) fn out_of_reach<A: Action>(&self, what: &str) -> CallError {
        self.out_of_reach_for(A::NAME, what)
    }

    fn out_of_reach_for(&self, action: &str, what: &str) -> CallError {
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {what} because the resource does not exist in this \
             Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
            self.authenticated.facts().name(),
        );
        CallError::new(ErrorCode::AccessDenied, message)
    }

    /// The same about the key of a ciphertext that the request did not name.
    pub(crate) fn ciphertext_out_of_reach<A: Action>(&self) -> CallError {
        let message = format!(
            "User: {} is not authorized to perform: {} on the resource associated with this ciphertext because the \
             resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy \
             explicitly denies access",
            self.authenticated.facts().name(),
            A::NAME
        );
        CallError::new(ErrorCode::AccessDenied, message)
    }

    /// Remembers a key for the record.
    pub(crate) fn note_key(&mut self, key: &Key) {
        self.note(ResourceEntry::kms_key(&key.arn));
    }

    /// Remembers a resource for the record.
    pub(crate) fn note(&mut self, resource: ResourceEntry) {
        if !self.resources.contains(&resource) {
            self.resources.push(resource);
        }
    }

    /// Finds the key that a request names and asks whether the caller may do `A` to it, for operations without condition
    /// keys of their own.
    pub(crate) fn on_key<A: Action>(
        &mut self,
        name: &KeyRef,
    ) -> Result<(NamedKey, Authorized<A>), CallError> {
        let named = self.resolve::<A>(name)?;
        let permitted = self.authorize(&named, &KeyConditions::default())?;
        Ok((named, permitted))
    }

    /// Asks whether the caller may do `A` to a key.
    pub(crate) fn authorize<A: Action>(
        &self,
        named: &NamedKey,
        conditions: &KeyConditions<'_>,
    ) -> Result<Authorized<A>, CallError> {
        let judged = self.judge_key(A::NAME, named, conditions);
        if *named.key.arn.account() == self.account() {
            return judged.permit();
        }
        // Whether another account's key exists is not for a caller who may not use it to learn.
        let denied = |why| self.out_of_reach::<A>(&named.given).explained(why);
        if !self.cross_account {
            return Err(denied(format!("{} does not work across accounts", A::NAME)));
        }
        judged.permit().map_err(|error: CallError| denied(error.explanation().unwrap_or_default().to_owned()))
    }

    /// Decides whether the caller may do `action` to a key: for a call and for a question about one alike.
    pub(super) fn judge_key(&self, action: &str, named: &NamedKey, conditions: &KeyConditions<'_>) -> Judged {
        let key = &named.key;
        let mut context = conditions::global(self);
        conditions::of_key(&mut context, self, named, conditions);
        let mut resource = Resource::key(&key.arn);
        if key.tier == Tier::AwsManaged {
            resource = resource.aws_managed();
        }
        self.judge(action, &resource, &context, Some(key.policy.policy()), conditions.encryption_context)
    }

    /// Asks whether the caller's identity policies allow `A` on no resource in particular: `*`.
    pub(crate) fn authorize_any<A: Action>(&self) -> Result<Authorized<A>, CallError> {
        self.judge_any(A::NAME, |_| ()).permit()
    }

    /// The same, with condition keys of the request.
    pub(crate) fn authorize_request<A: Action>(
        &self,
        fill: impl FnOnce(&mut ConditionContext),
    ) -> Result<Authorized<A>, CallError> {
        self.judge_any(A::NAME, fill).permit()
    }

    /// Decides whether the caller may do `action` to no resource in particular.
    pub(super) fn judge_any(&self, action: &str, fill: impl FnOnce(&mut ConditionContext)) -> Judged {
        let mut context = conditions::global(self);
        fill(&mut context);
        self.judge(action, &Resource::none(), &context, None, None)
    }

    /// Asks whether the caller may do `A` to something that is not a key: an alias, a bucket, an object.
    pub(crate) fn authorize_on<A: Action>(
        &self,
        arn: &str,
        owner: AccountId,
    ) -> Result<Authorized<A>, CallError> {
        self.authorize_on_with(arn, owner, |_| ())
    }

    /// The same, with condition keys of the request.
    pub(crate) fn authorize_on_with<A: Action>(
        &self,
        arn: &str,
        owner: AccountId,
        fill: impl FnOnce(&mut ConditionContext),
    ) -> Result<Authorized<A>, CallError> {
        self.judge_on(A::NAME, &arn.parse()?, owner, fill).permit()
    }

    /// Decides whether the caller may do `action` to something that is not a key.
    pub(super) fn judge_on(
        &self,
        action: &str,
        arn: &Arn,
        owner: AccountId,
        fill: impl FnOnce(&mut ConditionContext),
    ) -> Judged {
        let mut context = conditions::global(self);
        conditions::of_owner(&mut context, &owner);
        fill(&mut context);
        self.judge(action, &Resource::of_arn(arn, Some(owner)), &context, None, None)
    }

    /// Refuses principals of other accounts than the keystore's own: what concerns the keystore as a whole is not theirs.
    pub(crate) fn require_management_account(&self) -> Result<(), CallError> {
        let management = &self.world.settings().account;
        if self.account() == *management {
            return Ok(());
        }
        let message = "You don't have permissions to access this resource.";
        let why = format!("only principals of the keystore's own account, {management}, may do this");
        Err(CallError::new(ErrorCode::AccessDenied, message).explained(why))
    }

    /// Whether the caller could change this key policy again, were it that of `key` (the lockout check).
    pub(crate) fn keeps_control(&self, key: &KeyArn, policy: &Policy) -> bool {
        let facts = self.authenticated.facts();
        let mut context = conditions::global(self);
        context.resource(&Resource::key(key), facts);
        // As the PutKeyPolicy to come will fill them.
        conditions::of_symmetric_key(&mut context);
        context.set_bool("kms:BypassPolicyLockoutSafetyCheck", false);
        keeps_control(policy, facts, key, &context)
    }

    /// INVARIANT: every decision of the keystore is made here, from the caller's layers as they are.
    fn judge(
        &self,
        action: &str,
        resource: &Resource,
        context: &ConditionContext,
        resource_policy: Option<&Policy>,
        encryption_context: Option<&EncryptionContext>,
    ) -> Judged {
        let attached = self.authenticated.policies();
        let identity: Vec<NamedPolicy<'_>> = attached
            .iter()
            .map(|attached| NamedPolicy { name: attached.name.as_str(), policy: &attached.policy })
            .collect();
        let supposed = self.supposed.map(|supposed| supposed.added_to(context, self.now));
        let context = supposed.as_ref().unwrap_or(context);
        let mut request = Request::new(self.authenticated.facts(), action, resource, context);
        request.layers.identity = &identity;
        request.layers.resource = resource_policy;
        request.encryption_context = encryption_context;
        let decision: Decision = decide(&request);
        let why = self.witness.see(&decision, &request);
        Judged { decision, why }
    }

    /// Refuses a key that is not ready for use.
    pub(crate) fn require_enabled(key: &Key) -> Result<(), CallError> {
        match key.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => {
                Err(CallError::new(ErrorCode::Disabled, format!("{} is disabled.", key.arn)))
            }
            KeyState::PendingDeletion => Err(Self::pending_deletion(key)),
        }
    }

    /// Refuses a key that is about to be deleted.
    pub(crate) fn require_not_pending_deletion(key: &Key) -> Result<(), CallError> {
        if key.state == KeyState::PendingDeletion { Err(Self::pending_deletion(key)) } else { Ok(()) }
    }

    fn pending_deletion(key: &Key) -> CallError {
        CallError::new(ErrorCode::KmsInvalidState, format!("{} is pending deletion.", key.arn))
    }
}
