//! A question about a call: may this caller do that, and why?
//!
//! It goes the way of a call — the same look-up of the caller, the same key, the same condition keys, the same layers,
//! the same decision — and stops before anything is done or recorded.

use super::{
    Call, CallError, OperationRow, Service, Subject, aliases,
    conditions::{self, KeyConditions},
};
use crate::{
    iam::{Identity, Role},
    model::{AccountId, AliasName, Arn, EncryptionContext, KeyRef, Timestamp},
    policy::ConditionContext,
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The action, such as `kms:Decrypt`.
    pub action: String,
    /// On what.
    pub on: About,
    /// The encryption context that the call would bring.
    pub encryption_context: EncryptionContext,
    /// The service that would call on the caller's behalf.
    pub via: Option<Service>,
    /// Where the call would come from; none is this machine.
    pub source_ip: Option<std::net::IpAddr>,
    /// What else the request is supposed to hold.
    pub supposed: Supposed,
}

impl Question {
    /// Whether `action` is allowed, called directly from this machine with nothing else.
    #[must_use]
    pub fn new(action: impl Into<String>, on: About) -> Self {
        Self {
            action: action.into(),
            on,
            encryption_context: EncryptionContext::new(),
            via: None,
            source_ip: None,
            supposed: Supposed::default(),
        }
    }

    /// The row of the operation that needs this action.
    pub(super) fn row(&self) -> Option<&'static OperationRow> {
        let subject = match self.on {
            About::Key(_) => Subject::Key,
            About::Alias(_) | About::Resource(_) => Subject::Other,
            About::Nothing => Subject::Nothing,
        };
        OperationRow::asking(&self.action, subject)
    }

    /// Asks it. What comes out stands with the call's witness; answered is what no policy says and the call would meet.
    pub(super) fn ask(&self, call: &mut Call<'_>) -> Result<Option<String>, CallError> {
        match &self.on {
            About::Key(name) => {
                let named = call.resolve_for(&self.action, name)?;
                let conditions = KeyConditions::of_action(&self.action, &self.encryption_context);
                let _seen = call.judge_key(&self.action, &named, &conditions);
                let refused = self.row().and_then(|_| call.require_state(&named.key).err());
                return Ok(refused.map(|error| {
                    let (state, code) = (named.key.state, error.code());
                    format!("Policies are one thing, the key's state another: it is {state}, and whoever is allowed this is \
                             answered {code}.")
                }));
            }
            About::Alias(name) => {
                let arn = aliases::alias_arn(call, name).parse()?;
                let _seen = call.judge_on(&self.action, &arn, call.account(), |_| ());
            }
            About::Resource(arn) => match role_of(call, arn).filter(|_| assumes_role(&self.action)) {
                // The role's trust policy is what has the say there.
                Some(role) => {
                    let _seen = call.judge_on_role(&self.action, &role, None, |_| ())?;
                }
                None => {
                    let owner = owner_of(call, arn);
                    let _seen = call.judge_on(&self.action, arn, owner, |_| ());
                }
            },
            About::Nothing => {
                let creates_key = self.action.eq_ignore_ascii_case("kms:CreateKey");
                let _seen = call.judge_any(&self.action, |context| {
                    if creates_key {
                        conditions::of_symmetric_key(context);
                        context.set_bool("kms:BypassPolicyLockoutSafetyCheck", false);
                    }
                });
            }
        }
        Ok(None)
    }
}

/// Whether an action is one by which a principal takes on a role.
fn assumes_role(action: &str) -> bool {
    ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        .iter()
        .any(|one| one.eq_ignore_ascii_case(action))
}

/// The role that an ARN names.
fn role_of(call: &Call<'_>, arn: &Arn) -> Option<Role> {
    match call.world().identity(&arn.to_string().parse().ok()?)? {
        Identity::Role(role) => Some(Role::clone(&role)),
        Identity::User(_) => None,
    }
}

/// On what.
#[derive(Debug, Clone)]
pub enum About {
    /// A key.
    Key(KeyRef),
    /// An alias of the caller's account: itself, and not the key that it stands for.
    Alias(AliasName),
    /// Something else that has an ARN.
    Resource(Arn),
    /// No resource: `*`.
    Nothing,
}

/// What a call that is only asked about is supposed to bring along.
#[derive(Debug, Clone, Default)]
pub struct Supposed {
    /// Whether the caller has temporary credentials that were had with MFA, just now.
    pub mfa: bool,
    /// Condition keys of the request and their values; several make a list.
    pub conditions: Vec<(String, Vec<String>)>,
}

impl Supposed {
    /// A request's condition keys with these.
    pub(super) fn added_to(&self, context: &ConditionContext, now: Timestamp) -> ConditionContext {
        let mut context = context.clone();
        if self.mfa {
            context.temporary_credentials(now, true).mfa_age(0);
        }
        for (key, values) in &self.conditions {
            match values.as_slice() {
                [one] => context.set(key, one),
                many => context.set_many(key, many),
            };
        }
        context
    }
}

/// Who owns what an ARN names: the account in it, for a bucket whoever made it, else the caller's account.
fn owner_of(call: &Call<'_>, arn: &Arn) -> AccountId {
    let bucket = arn.resource().split('/').next().unwrap_or_default();
    let bucket = bucket.parse().ok().filter(|_| arn.service() == "s3");
    let made_by = bucket.and_then(|name| call.world().bucket(&name).map(|bucket| bucket.owner.clone()));
    arn.account().parse().ok().or(made_by).unwrap_or_else(|| call.account())
}
