//! One call under way: what an operation may look at and what it must ask.

use std::cell::{LazyCell, RefCell};

use super::{
    CallError, Caller, CreateGrant, OperationRow, States, Subject,
    authentication::Authenticated,
    conditions::{self, KeyConditions},
    explanation::Witness,
    guard_rails::{GuardRails, way_through},
    material::Materials,
    named_key::NamedKey,
    question::Supposed,
    secrets::{Credentials, SecretOf},
};
use crate::{
    audit::{ResourceEntry, UserIdentity},
    crypto::random::Random,
    iam::{AccessKeyId, Identity, MfaDevice, MfaSerial, Role, Session},
    model::{
        AccountId, Arn, ControlPolicyType, ErrorCode, KeyArn, KeyRef, KeyState, PrincipalArn, Tier, Timestamp,
    },
    policy::{
        Action, Authorized, ConditionContext, Decision, GrantFacts, GrantOperation, NamedPolicy, Policy,
        PrincipalFacts, Request, RequestContext, Resource, decide, keeps_control,
    },
    secret::SecretBytes,
    world::{DigestKey, Key, World},
};
#[cfg(feature = "tls")]
use crate::{model::AuthorityArn, world::Authority};

/// How many grants of the caller an explanation looks at.
const EXPLAINED_GRANTS_MAX: usize = 100;

/// One call under way.
pub struct Call<'a> {
    pub(super) world: &'a World,
    pub(super) caller: &'a Caller,
    pub(super) authenticated: &'a Authenticated,
    pub(super) now: Timestamp,
    pub(super) random: &'a mut dyn Random,
    pub(super) materials: &'a Materials,
    pub(super) credentials: &'a Credentials,
    /// The operation's row in the table of KMS operations.
    pub(super) row: Option<&'static OperationRow>,
    /// The pairs that it has asked for.
    pub(super) asked: RefCell<Vec<(&'static str, Subject)>>,
    /// What the record will name as the call's resources.
    pub(super) resources: Vec<ResourceEntry>,
    /// Sees every decision of the call.
    pub(super) witness: Witness,
    /// Who calls, when the operation finds out itself: from an identity provider's token that is good.
    pub(super) vouched: Option<UserIdentity>,
    /// What a call that is only asked about is supposed to bring along.
    pub(super) supposed: Option<&'a Supposed>,
}

/// Whose policy is the resource's own in a decision.
#[derive(Clone, Copy)]
enum RuledBy<'a> {
    /// A key's policy, with its grants.
    Key(&'a Key, &'a KeyConditions<'a>),
    /// A role's trust policy; it decides on the caller, or on whom an identity provider vouches for.
    Role(&'a Role, &'a PrincipalFacts),
    /// There is none.
    Nothing,
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

    /// Notes for the record who calls, when that stands in a token that was verified.
    pub(crate) fn vouch(&mut self, identity: UserIdentity) {
        self.vouched = Some(identity);
    }

    /// The user or role that calls; none for a root user or a service.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.authenticated.identity()
    }

    /// A new access key's secret: as it is shown, and under wrap.
    pub(crate) fn new_access_key(&mut self, id: &AccessKeyId) -> Result<(SecretBytes, Vec<u8>), CallError> {
        Ok(self.credentials.new_access_key(id, self.random)?)
    }

    /// A new MFA device's seed: in base32, as it is shown, and under wrap.
    pub(crate) fn new_mfa_seed(&mut self, serial: &MfaSerial) -> Result<(SecretBytes, Vec<u8>), CallError> {
        Ok(self.credentials.new_mfa_seed(serial, self.random)?)
    }

    /// A secret that was given, under wrap.
    pub(crate) fn wrap_given(
        &mut self,
        of: SecretOf<'_>,
        secret: &SecretBytes,
    ) -> Result<Vec<u8>, CallError> {
        Ok(self.credentials.wrap(of, secret, self.random)?)
    }

    /// What this device shows in a time step.
    pub(crate) fn mfa_code(&self, device: &MfaDevice, step: i64) -> Result<String, CallError> {
        self.credentials.mfa_code(device, step)
    }

    /// Whether `code` is what this device shows in a time step.
    pub(crate) fn is_mfa_code(&self, device: &MfaDevice, step: i64, code: &str) -> bool {
        self.credentials.is_mfa_code(device, step, code)
    }

    /// Who calls, as messages say it.
    pub(crate) fn caller_name(&self) -> &str {
        self.authenticated.facts().name()
    }

    /// The caller's ARN; none for a service, and for who comes with an identity provider's token.
    pub(crate) fn arn(&self) -> Option<&PrincipalArn> {
        self.authenticated.facts().arn()
    }

    /// The session whose credentials the caller came with.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.authenticated.session()
    }

    /// The caller's unique id, as `aws:userid` holds it.
    pub(crate) fn user_id(&self) -> String {
        let mut context = ConditionContext::new();
        context.principal(self.authenticated.facts());
        let id = context.get("aws:userid").and_then(|value| value.values().first());
        id.cloned().unwrap_or_default()
    }

    /// The account whose keys and aliases a name without an account means.
    pub(crate) fn account(&self) -> AccountId {
        self.caller.account()
    }

    /// Wraps the private key of a certificate authority that is being made.
    #[cfg(feature = "tls")]
    pub(crate) fn wrap_authority_key(
        &mut self,
        authority: &AuthorityArn,
        key: &SecretBytes,
    ) -> Result<Vec<u8>, CallError> {
        Ok(self.materials.wrap_authority_key(authority, key, self.random)?)
    }

    /// Unwraps the private key of a certificate authority, for who was allowed to use it.
    #[cfg(feature = "tls")]
    pub(crate) fn open_authority_key<A: Action>(
        &self,
        authorized: &Authorized<A>,
        authority: &Authority,
    ) -> Result<SecretBytes, CallError> {
        self.materials.open_authority_key(authorized, authority)
    }

    /// Wraps the key that is to sign digest files.
    pub(crate) fn wrap_digest_key(
        &mut self,
        fingerprint: &str,
        key: &SecretBytes,
    ) -> Result<Vec<u8>, CallError> {
        Ok(self.credentials.wrap(SecretOf::DigestKey(fingerprint), key, self.random)?)
    }

    /// Unwraps it, for who was allowed to have something signed with it.
    pub(crate) fn open_digest_key<A: Action>(
        &self,
        _authorized: &Authorized<A>,
        key: &DigestKey,
    ) -> Result<SecretBytes, CallError> {
        let opened = self.credentials.unwrap(SecretOf::DigestKey(&key.fingerprint), &key.wrapped);
        opened.map_err(|_| {
            CallError::internal("the key that signs digest files does not unwrap: it is damaged")
        })
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
        self.hold_to_the_table::<A>(Subject::Key)?;
        let judged = self.judge_key(A::NAME, named, conditions);
        if *named.key.arn.account() == self.account() {
            return judged.permit();
        }
        // Whether another account's key exists is not for a caller who may not use it to learn.
        let denied = |why| self.out_of_reach::<A>(&named.given).explained(why);
        if !self.row.is_some_and(OperationRow::across_accounts) {
            return Err(denied(format!("{} does not work across accounts", A::NAME)));
        }
        judged.permit().map_err(|error: CallError| denied(error.explanation().unwrap_or_default().to_owned()))
    }

    /// Decides whether the caller may do `action` to a key: for a call and for a question about one alike.
    pub(super) fn judge_key(&self, action: &str, named: &NamedKey, conditions: &KeyConditions<'_>) -> Judged {
        let key = &named.key;
        // By far the most decisions, and the most condition keys: few policies look at any.
        let context = LazyCell::new(|| conditions::of_key(self, named, conditions));
        let mut resource = Resource::key(&key.arn);
        if key.tier == Tier::AwsManaged {
            resource = resource.aws_managed();
        }
        self.judge(action, &resource, RequestContext::when_asked(&context), RuledBy::Key(key, conditions))
    }

    /// Asks whether the caller's identity policies allow `A` on no resource in particular: `*`.
    pub(crate) fn authorize_any<A: Action>(&self) -> Result<Authorized<A>, CallError> {
        self.hold_to_the_table::<A>(Subject::Nothing)?;
        self.judge_any(A::NAME, |_| ()).permit()
    }

    /// The same, with condition keys of the request.
    pub(crate) fn authorize_request<A: Action>(
        &self,
        fill: impl FnOnce(&mut ConditionContext),
    ) -> Result<Authorized<A>, CallError> {
        self.hold_to_the_table::<A>(Subject::Nothing)?;
        self.judge_any(A::NAME, fill).permit()
    }

    /// Decides whether the caller may do `action` to no resource in particular.
    pub(super) fn judge_any(&self, action: &str, fill: impl FnOnce(&mut ConditionContext)) -> Judged {
        let mut context = conditions::global(self);
        fill(&mut context);
        self.judge(action, &Resource::none(), (&context).into(), RuledBy::Nothing)
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
        self.hold_to_the_table::<A>(Subject::Other)?;
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
        conditions::of_owner(&mut context, self, &owner);
        fill(&mut context);
        self.judge(action, &Resource::of_arn(arn, Some(owner)), (&context).into(), RuledBy::Nothing)
    }

    /// Asks whether the caller may do `A`, which is a way to assume this role: the trust policy is the resource's. When it
    /// is not the caller's own credentials that count but an identity provider's word, `subject` is whom that is about.
    pub(crate) fn authorize_on_role<A: Action>(
        &self,
        role: &Role,
        subject: Option<&PrincipalFacts>,
        fill: impl FnOnce(&mut ConditionContext),
    ) -> Result<Authorized<A>, CallError> {
        let permitted = self.judge_on_role(A::NAME, role, subject, fill)?.permit();
        permitted.map_err(|denied| {
            self.denied_role::<A>(&role.arn(), subject, denied.explanation().unwrap_or_default())
        })
    }

    /// The denial of a way to assume a role. It is the same whether there is such a role or not, so that nobody learns from
    /// it whether there is; `why` is for the machine's owner alone.
    pub(crate) fn denied_role<A: Action>(
        &self,
        role: &PrincipalArn,
        subject: Option<&PrincipalFacts>,
        why: impl Into<String>,
    ) -> CallError {
        let who = subject.map_or_else(|| self.caller_name(), PrincipalFacts::name);
        let message = format!("User: {who} is not authorized to perform: {} on resource: {role}", A::NAME);
        CallError::new(ErrorCode::AccessDenied, message).explained(why)
    }

    /// Decides whether the caller may do `action`, by which this role is assumed.
    pub(super) fn judge_on_role(
        &self,
        action: &str,
        role: &Role,
        subject: Option<&PrincipalFacts>,
        fill: impl FnOnce(&mut ConditionContext),
    ) -> Result<Judged, CallError> {
        let arn: Arn = role.arn().as_str().parse()?;
        let resource = Resource::of_arn(&arn, Some(role.account.clone()));
        let mut context = conditions::global(self);
        conditions::of_owner(&mut context, self, &role.account);
        context.resource_tags(&resource, role.tags.iter());
        fill(&mut context);
        let facts = subject.unwrap_or_else(|| self.authenticated.facts());
        Ok(self.judge(action, &resource, (&context).into(), RuledBy::Role(role, facts)))
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
        conditions::of_owners_organization(&mut context, self, key.account());
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
        context: RequestContext<'_>,
        ruled_by: RuledBy<'_>,
    ) -> Judged {
        let identity: Vec<NamedPolicy<'_>> = self.authenticated.policies().iter().map(Into::into).collect();
        let session: Vec<NamedPolicy<'_>> =
            self.authenticated.session_policies().iter().map(Into::into).collect();
        let supposed = self.supposed.map(|supposed| supposed.added_to(context.keys(), self.now));
        let context = supposed.as_ref().map_or(context, Into::into);
        let principal = match ruled_by {
            RuledBy::Role(_, subject) => subject,
            RuledBy::Key(..) | RuledBy::Nothing => self.authenticated.facts(),
        };
        let rails = |account, policy_type| GuardRails::of(self.world, account, policy_type);
        let scp = rails(principal.account(), ControlPolicyType::ServiceControlPolicy);
        let rcp = rails(resource.owner(), ControlPolicyType::ResourceControlPolicy);
        let (scp, rcp) = (scp.named(), rcp.named());
        let (scp, rcp): (Vec<_>, Vec<_>) =
            (scp.iter().map(Vec::as_slice).collect(), rcp.iter().map(Vec::as_slice).collect());
        let mut request = Request::new(principal, action, resource, context);
        (request.layers.scp, request.layers.rcp) = (&scp, &rcp);
        let endpoint = self.authenticated.vpc_endpoint().map(|endpoint| way_through(endpoint, action));
        request.layers.vpc_endpoint = endpoint.as_deref();
        request.layers.session = &session;
        request.layers.identity = &identity;
        request.layers.boundary = self.authenticated.boundary().map(Into::into);
        let mut grants = Vec::new();
        match ruled_by {
            RuledBy::Key(key, conditions) => {
                request.layers.resource = Some(key.policy.policy());
                request.encryption_context = conditions.encryption_context;
                request.child_grant = conditions.new_grant.map(CreateGrant::as_child);
                grants = self.grants_to_consider(action, key, conditions);
            }
            RuledBy::Role(role, _) => request.layers.resource = Some(role.trust.policy()),
            RuledBy::Nothing => {}
        }
        request.grants = &grants;
        let decision: Decision = decide(&request);
        let key = if let RuledBy::Key(key, _) = ruled_by { Some(key) } else { None };
        let why = self.see(&decision, &request, key);
        Judged { decision, why }
    }

    /// Keeps the operation to its row: what it does not say there it cannot ask for.
    fn hold_to_the_table<A: Action>(&self, subject: Subject) -> Result<(), CallError> {
        if let Some(row) = self.row
            && !row.may_ask(A::NAME, subject)
        {
            let why =
                format!("{} asked for {} on {subject:?}, which its row does not have", row.name, A::NAME);
            return Err(CallError::internal(why));
        }
        self.asked.borrow_mut().push((A::NAME, subject));
        Ok(())
    }

    /// The grants that may bear on a decision. Retiring is a right that the one grant in question gives.
    fn grants_to_consider<'b>(
        &'b self,
        action: &str,
        key: &Key,
        conditions: &KeyConditions<'b>,
    ) -> Vec<GrantFacts<'b>> {
        if let Some(retired) = conditions.retired {
            return vec![retired.facts()];
        }
        let Some(operation) = GrantOperation::from_action(action) else { return Vec::new() };
        let caller = self.authenticated.facts();
        let found = self.world.grants_for(&key.arn, caller, operation, conditions.encryption_context);
        found.into_iter().map(|grant| grant.facts()).collect()
    }

    /// Lets the witness see a decision; a denial with those grants of the caller in view that did not fit. Answers why.
    fn see(&self, decision: &Decision, request: &Request<'_>, key: Option<&Key>) -> Option<String> {
        let caller = self.authenticated.facts();
        let unfit = key.filter(|_| !decision.is_allowed() && request.grants.is_empty());
        let named = unfit.map(|key| self.world.grants_naming(&key.arn, caller)).into_iter().flatten();
        let grants: Vec<GrantFacts<'_>> =
            named.take(EXPLAINED_GRANTS_MAX).map(|grant| grant.facts()).collect();
        let with_grants;
        let request = if grants.is_empty() {
            request
        } else {
            with_grants = Request { grants: &grants, ..*request };
            &with_grants
        };
        self.witness.see(decision, request)
    }

    /// Refuses a key whose state does not admit the operation, by the operation's row.
    pub(crate) fn require_state(&self, key: &Key) -> Result<(), CallError> {
        let states = self.row.map_or(States::Enabled, |row| row.states);
        let invalid =
            |what: &str| Err(CallError::new(ErrorCode::KmsInvalidState, format!("{} is {what}.", key.arn)));
        match (key.state, states) {
            (_, States::Any)
            | (KeyState::Enabled, States::Enabled)
            | (KeyState::Enabled | KeyState::Disabled, States::NotPendingDeletion)
            | (KeyState::PendingDeletion, States::PendingDeletion) => Ok(()),
            (KeyState::Disabled, States::Enabled) => {
                Err(CallError::new(ErrorCode::Disabled, format!("{} is disabled.", key.arn)))
            }
            (KeyState::PendingDeletion, _) => invalid("pending deletion"),
            (_, States::PendingDeletion) => invalid("not pending deletion"),
        }
    }
}
