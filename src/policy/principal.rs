//! The Principal and NotPrincipal elements.
//!
//! Source: "AWS JSON policy elements: Principal", "… NotPrincipal" (IAM user guide) and "Key policies" (KMS developer
//! guide). A principal is matched exactly. Naming an account means everybody whom that account lets: it delegates.

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, PrincipalArn, PrincipalKind};

use super::{PrincipalFacts, document::Effect, request::Caller};

/// How a Principal element fits the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PrincipalMatch {
    /// Not at all.
    None,
    /// It names the caller's account, which delegates to the account's identity policies.
    Account,
    /// It is `*`.
    Any,
    /// It names the role of the calling session, or the user behind a federated one.
    RoleOfSession,
    /// It names the caller itself; or the policy has no principals and belongs to the caller.
    Direct,
}

/// One principal of a statement.
#[derive(Debug, Clone)]
pub(super) struct NamedPrincipal {
    pub(super) who: Who,
    /// As it was written.
    pub(super) text: String,
}

/// Whom a principal names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Everyone,
    Account(AccountId),
    /// A user, role or session; with the unique id that it had when the policy was written, once that is known.
    Arn {
        arn: PrincipalArn,
        id: Option<String>,
    },
    /// A user or role by its unique id, as AWS shows one that was deleted.
    UniqueId(String),
    Service(String),
    Federated(String),
    /// An S3 canonical user. Nobody here has such an id.
    CanonicalUser,
}

/// Reads a principal under one of the four keys of a Principal element; answers what is wrong with it.
pub(super) fn parse(key: &str, text: &str) -> Result<Who, String> {
    if key == "AWS" && text == "*" {
        return Ok(Who::Everyone);
    }
    if text.is_empty() || text.contains(['*', '?']) {
        return Err(format!(
            "the principal `{text}` must be whole: wildcards stand alone, as `*` under `AWS`"
        ));
    }
    match key {
        "AWS" => aws(text).ok_or_else(|| {
            format!("`{text}` is not a principal: an account, or the ARN of a user, role or session")
        }),
        "Service" if text.contains('.') => Ok(Who::Service(text.into())),
        "Service" => Err(format!("`{text}` is not a service principal, such as `s3.amazonaws.com`")),
        "Federated" => Ok(Who::Federated(text.into())),
        "CanonicalUser" => Ok(Who::CanonicalUser),
        _ => Err(format!("`{key}` is not a kind of principal: AWS, Service, Federated or CanonicalUser")),
    }
}

fn aws(text: &str) -> Option<Who> {
    if let Ok(account) = text.parse::<AccountId>() {
        return Some(Who::Account(account));
    }
    if let Ok(arn) = text.parse::<PrincipalArn>() {
        let root = arn.kind() == PrincipalKind::Root;
        return Some(if root { Who::Account(arn.account().clone()) } else { Who::Arn { arn, id: None } });
    }
    let is_id = (16..=128).contains(&text.len())
        && (text.starts_with("AIDA") || text.starts_with("AROA"))
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_id.then(|| Who::UniqueId(text.into()))
}

impl Who {
    /// How this principal fits the caller, in a statement of this effect.
    pub(super) fn matches(&self, caller: &PrincipalFacts, effect: Effect) -> PrincipalMatch {
        let exactly = |same| if same { PrincipalMatch::Direct } else { PrincipalMatch::None };
        match (self, caller.caller()) {
            // An Allow reaches an identity provider's subject only when it names the provider (AWS is silent).
            (Self::Everyone, Caller::Federated(_)) if effect == Effect::Allow => PrincipalMatch::None,
            (Self::Everyone, _) => PrincipalMatch::Any,
            (Self::Account(account), Caller::Iam { arn, .. }) if arn.account() == account => {
                PrincipalMatch::Account
            }
            (Self::Arn { arn, id }, Caller::Iam { .. }) => arn_match(arn, id.as_deref(), caller, effect),
            (Self::UniqueId(id), Caller::Iam { arn, .. }) if caller.unique_id() == Some(id) => {
                if arn.kind() == PrincipalKind::User {
                    PrincipalMatch::Direct
                } else {
                    PrincipalMatch::RoleOfSession
                }
            }
            (Self::Service(named), Caller::Service(name)) => exactly(named == name),
            (Self::Federated(named), Caller::Federated(provider)) => exactly(named == provider),
            _ => PrincipalMatch::None,
        }
    }
}

/// AWS keeps the unique id in place of the ARN of a user or role, so that one who comes later under the same name is
/// somebody else. A caller whose id is not known is denied by an Allow's absence and by a Deny's presence.
fn arn_match(
    named: &PrincipalArn,
    id: Option<&str>,
    caller: &PrincipalFacts,
    effect: Effect,
) -> PrincipalMatch {
    let same_id = match (id, caller.unique_id()) {
        (None, _) => true,
        (Some(named), Some(own)) => named == own,
        (Some(_), None) => effect == Effect::Deny,
    };
    let own = caller.arn() == Some(named);
    match (same_id, named.kind()) {
        (false, _) => PrincipalMatch::None,
        (true, PrincipalKind::Role) if own => PrincipalMatch::RoleOfSession,
        (true, _) if own => PrincipalMatch::Direct,
        (true, _) if caller.issuer() == Some(named) => PrincipalMatch::RoleOfSession,
        (true, _) => PrincipalMatch::None,
    }
}

/// Whether a NotPrincipal list spares the caller.
///
/// AWS checks the account first, then the user or role, and documents that both must be listed; one listed alone
/// spares nobody but (for the account) its root user. A caller with a permissions boundary is never spared.
pub(super) fn spares(list: &[NamedPrincipal], caller: &PrincipalFacts, has_boundary: bool) -> bool {
    let best = |wanted: &[PrincipalMatch]| {
        list.iter().any(|named| wanted.contains(&named.who.matches(caller, Effect::Allow)))
    };
    let itself = match caller.caller() {
        Caller::Iam { arn, .. } if arn.kind() == PrincipalKind::AssumedRole => {
            best(&[PrincipalMatch::RoleOfSession])
        }
        Caller::Iam { .. } => {
            caller.is_root() || best(&[PrincipalMatch::Direct, PrincipalMatch::RoleOfSession])
        }
        Caller::Service(_) | Caller::Federated(_) => {
            return best(&[PrincipalMatch::Direct, PrincipalMatch::Any]);
        }
    };
    !has_boundary && (best(&[PrincipalMatch::Any]) || (itself && best(&[PrincipalMatch::Account])))
}
