//! How an operation comes by what it is about: found by name, asked for permission, noted for the record.
//!
//! Permission comes first: who may not ask does not learn whether it is there. Condition keys are those of "Actions,
//! resources, and condition keys for AWS Identity and Access Management" (Service Authorization Reference).

use std::sync::Arc;

use super::value::PathPrefix;
use crate::{
    audit::ResourceEntry,
    iam::{Group, GroupName, PolicyArn, Role, RoleName, UniqueId, UniqueIdKind, User, UserName},
    kms::{Call, CallError},
    model::{AccountId, ErrorCode, PrincipalArn, Tags},
    policy::{Action, Authorized, ConditionContext},
};

/// What a request hands in that policies can ask about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// `aws:RequestTag/…` and `aws:TagKeys`.
    pub(super) request_tags: Option<&'a Tags>,
    /// `aws:TagKeys` of tags that are taken off.
    pub(super) tag_keys: Option<&'a [String]>,
    /// `iam:PolicyARN`.
    pub(super) policy: Option<&'a PolicyArn>,
    /// `iam:PermissionsBoundary`.
    pub(super) boundary: Option<&'a PolicyArn>,
}

/// What an operation is about.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub(super) arn: String,
    /// The type in CloudFormation's words, as audit records name resources.
    pub(super) kind: &'static str,
    /// `aws:ResourceTag/…` and `iam:ResourceTag/…`.
    pub(super) tags: Option<&'a Tags>,
}

/// Asks whether the caller may do `A` to something of the caller's account.
pub(super) fn permit<A: Action>(
    call: &mut Call<'_>,
    target: &Target<'_>,
    asked: Asked<'_>,
) -> Result<Authorized<A>, CallError> {
    let account = call.account();
    let permitted = call.authorize_on_with::<A>(&target.arn, account.clone(), |context| {
        fill(context, target, asked);
    })?;
    call.note(ResourceEntry {
        account_id: account,
        resource_type: target.kind.into(),
        arn: target.arn.clone(),
    });
    Ok(permitted)
}

fn fill(context: &mut ConditionContext, target: &Target<'_>, asked: Asked<'_>) {
    for (key, value) in target.tags.into_iter().flat_map(Tags::iter) {
        context.set(&format!("aws:ResourceTag/{key}"), value);
        context.set(&format!("iam:ResourceTag/{key}"), value);
    }
    if let Some(tags) = asked.request_tags.filter(|tags| !tags.is_empty()) {
        context.request_tags(tags.iter());
    }
    if let Some(keys) = asked.tag_keys {
        context.set_many("aws:TagKeys", keys.iter().cloned());
    }
    if let Some(arn) = asked.policy {
        context.set("iam:PolicyARN", arn.to_string());
    }
    if let Some(arn) = asked.boundary {
        context.set("iam:PermissionsBoundary", arn.to_string());
    }
}

/// Finds a user of the caller's account and asks whether the caller may do `A` to it.
pub(super) fn user<A: Action>(
    call: &mut Call<'_>,
    name: &UserName,
    asked: Asked<'_>,
) -> Result<(Authorized<A>, Arc<User>), CallError> {
    let account = call.account();
    let found = call.world().identities().user(&account, name).cloned();
    let arn = found.as_ref().map_or_else(|| PrincipalArn::user(&account, name.as_str()), |user| user.arn());
    let tags = found.as_ref().map(|user| &user.tags);
    let permitted = permit(call, &Target { arn: arn.to_string(), kind: "AWS::IAM::User", tags }, asked)?;
    let user = found.ok_or_else(|| no_such("user", name))?;
    Ok((permitted, user))
}

/// Finds a role of the caller's account and asks whether the caller may do `A` to it.
pub(super) fn role<A: Action>(
    call: &mut Call<'_>,
    name: &RoleName,
    asked: Asked<'_>,
) -> Result<(Authorized<A>, Arc<Role>), CallError> {
    let account = call.account();
    let found = call.world().identities().role(&account, name).cloned();
    let arn = found.as_ref().map_or_else(|| PrincipalArn::role(&account, name.as_str()), |role| role.arn());
    let tags = found.as_ref().map(|role| &role.tags);
    let permitted = permit(call, &Target { arn: arn.to_string(), kind: "AWS::IAM::Role", tags }, asked)?;
    let role = found.ok_or_else(|| no_such("role", name))?;
    Ok((permitted, role))
}

/// Finds a group of the caller's account and asks whether the caller may do `A` to it.
pub(super) fn group<A: Action>(
    call: &mut Call<'_>,
    name: &GroupName,
    asked: Asked<'_>,
) -> Result<(Authorized<A>, Arc<Group>), CallError> {
    let account = call.account();
    let found = call.world().identities().group(&account, name).cloned();
    let arn =
        found.as_ref().map_or_else(|| format!("arn:aws:iam::{account}:group/{name}"), |group| group.arn());
    let permitted = permit(call, &Target { arn, kind: "AWS::IAM::Group", tags: None }, asked)?;
    let group = found.ok_or_else(|| no_such("group", name))?;
    Ok((permitted, group))
}

/// Asks whether the caller may list the things of a kind, such as `user`, below a path.
pub(super) fn list<A: Action>(
    call: &Call<'_>,
    kind: &str,
    prefix: Option<&PathPrefix>,
) -> Result<Authorized<A>, CallError> {
    let account = call.account();
    let arn = format!("arn:aws:iam::{account}:{kind}{}", prefix.map_or("/", PathPrefix::as_str));
    call.authorize_on_with::<A>(&arn, account, |_| ())
}

/// A new unique id.
pub(super) fn new_id(call: &mut Call<'_>, kind: UniqueIdKind) -> Result<UniqueId, CallError> {
    Ok(UniqueId::from_random(kind, call.random().array()?))
}

/// Whose credentials are meant: the user named, or the caller itself. `None` is the account's root user.
pub(super) fn named_or_caller(
    call: &Call<'_>,
    name: Option<&UserName>,
) -> Result<Option<UserName>, CallError> {
    use crate::iam::Identity;
    match (name, call.identity()) {
        (Some(name), _) => Ok(Some(name.clone())),
        (None, Some(Identity::User(user))) => Ok(Some(user.name.clone())),
        (None, None) => Ok(None),
        (None, Some(Identity::Role(_))) => Err(CallError::new(
            ErrorCode::IamValidation,
            "Must specify userName when calling with non-User credentials",
        )),
    }
}

/// The managed policy that is to bound somebody; it must be there.
pub(super) fn boundary(call: &Call<'_>, arn: Option<&PolicyArn>) -> Result<Option<PolicyArn>, CallError> {
    let Some(arn) = arn else { return Ok(None) };
    let owner_fits = arn.owner().is_none_or(|owner| *owner == call.account());
    if owner_fits && call.world().identities().policy(arn).is_some() {
        return Ok(Some(arn.clone()));
    }
    Err(CallError::new(
        ErrorCode::NoSuchEntity,
        format!("Scope ARN: {arn} does not exist or is not attachable."),
    ))
}

/// AWS's words for what is not there.
pub(super) fn no_such(kind: &str, name: impl std::fmt::Display) -> CallError {
    CallError::new(ErrorCode::NoSuchEntity, format!("The {kind} with name {name} cannot be found."))
}

/// AWS's words for what is there already.
pub(super) fn exists_already(kind: &str, name: impl std::fmt::Display) -> CallError {
    CallError::new(ErrorCode::EntityAlreadyExists, format!("{kind} with name {name} already exists."))
}

/// AWS's words for what something else still holds.
pub(super) fn conflict(what: &str) -> CallError {
    CallError::new(ErrorCode::DeleteConflict, format!("Cannot delete entity, must {what} first."))
}

/// AWS's words for a limit.
pub(super) fn over_quota(quota: &str, limit: usize) -> CallError {
    CallError::new(ErrorCode::IamLimitExceeded, format!("Cannot exceed quota for {quota}: {limit}"))
}

/// Whether something of this account and path belongs to a list.
pub(super) fn is_listed(
    call: &Call<'_>,
    account: &AccountId,
    path: &str,
    prefix: Option<&PathPrefix>,
) -> bool {
    *account == call.account() && prefix.is_none_or(|prefix| path.starts_with(prefix.as_str()))
}
