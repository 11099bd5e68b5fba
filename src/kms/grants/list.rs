//! ListGrants and ListRetirableGrants.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{GrantConstraints, living_principal, principal};
use crate::{
    kms::{Call, CallError, Operation, Outcome, keys::epoch_seconds, operation::actions},
    model::{ErrorCode, GrantId, KeyArn, KeyRef, PrincipalArn, Timestamp},
    policy::GrantOperations,
    world::{Grant, GrantPrincipal, World},
};

actions! {
    /// `kms:ListGrants`.
    ListGrantsPermission = "kms:ListGrants",
    /// `kms:ListRetirableGrants`.
    ListRetirableGrantsPermission = "kms:ListRetirableGrants",
}

/// The most grants in one answer (KMS API, ListGrants).
pub const LIST_LIMIT_MAX: usize = 100;
/// How many grants one answer has when the request does not say.
pub const LIST_LIMIT_DEFAULT: usize = 50;

/// One grant of an answer (KMS API, `GrantListEntry`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GrantListEntry {
    /// The key's ARN.
    pub key_id: KeyArn,
    /// The grant's id.
    pub grant_id: GrantId,
    /// Its name, or nothing.
    pub name: String,
    /// When it was made.
    #[serde(serialize_with = "epoch_seconds")]
    pub creation_date: Timestamp,
    /// Who may use it: an ARN, or the unique id of a principal that is no more.
    pub grantee_principal: String,
    /// Who may retire it: the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_principal: Option<String>,
    /// The account in which it was made, by its root's ARN.
    pub issuing_account: PrincipalArn,
    /// What it allows.
    pub operations: GrantOperations,
    /// What it asks of the encryption context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<GrantConstraints>,
}

impl GrantListEntry {
    fn of(world: &World, grant: &Grant) -> Self {
        Self {
            key_id: grant.key.clone(),
            grant_id: grant.id.clone(),
            name: grant.name.as_ref().map_or_else(String::new, ToString::to_string),
            creation_date: grant.created,
            grantee_principal: shown(world, &grant.grantee),
            retiring_principal: grant.retiring.as_ref().map(|retiring| shown(world, retiring)),
            issuing_account: PrincipalArn::root(&grant.issuing_account),
            operations: grant.operations,
            constraints: grant.constraint.clone().map(GrantConstraints::from),
        }
    }
}

/// A principal's ARN; its unique id when it is no more, also when another one has its name now.
fn shown(world: &World, named: &GrantPrincipal) -> String {
    match &named.unique_id {
        Some(id) if living_principal(world, &named.arn).as_ref() != Some(named) => id.clone(),
        _ => named.arn.to_string(),
    }
}

/// A page of grants.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GrantPage {
    /// The grants.
    pub grants: Vec<GrantListEntry>,
    /// What to ask with for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
    /// Whether there is a next page.
    pub truncated: bool,
}

impl GrantPage {
    /// As many as `limit` says, and where the next page begins.
    fn of<'a>(
        world: &'a World,
        grants: impl Iterator<Item = &'a std::sync::Arc<Grant>>,
        limit: usize,
        marker: impl Fn(&GrantListEntry) -> String,
    ) -> Self {
        let mut grants: Vec<_> =
            grants.take(limit + 1).map(|grant| GrantListEntry::of(world, grant)).collect();
        let truncated = grants.len() > limit;
        grants.truncate(limit);
        let next_marker = grants.last().filter(|_| truncated).map(marker);
        Self { grants, next_marker, truncated }
    }
}

/// Lists a key's grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListGrants {
    /// The key.
    pub key_id: KeyRef,
    /// This grant alone.
    pub grant_id: Option<GrantId>,
    /// The grants of this grantee alone.
    pub grantee_principal: Option<PrincipalArn>,
    /// How many grants at most, 1 to [`LIST_LIMIT_MAX`]; [`LIST_LIMIT_DEFAULT`] when absent.
    pub limit: Option<usize>,
    /// The last page's `next_marker`.
    pub marker: Option<String>,
}

impl ListGrants {
    /// The first page of a key's grants.
    #[must_use]
    pub fn new(key_id: impl Into<KeyRef>) -> Self {
        Self { key_id: key_id.into(), grant_id: None, grantee_principal: None, limit: None, marker: None }
    }
}

impl Operation for ListGrants {
    type Permission = ListGrantsPermission;
    type Answer = GrantPage;
    const NAME: &'static str = "ListGrants";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        let mut parameters = Map::new();
        parameters.insert("keyId".into(), json!(self.key_id.to_string()));
        if let Some(id) = &self.grant_id {
            parameters.insert("grantId".into(), json!(id));
        }
        if let Some(grantee) = &self.grantee_principal {
            parameters.insert("granteePrincipal".into(), json!(grantee));
        }
        insert_page(&mut parameters, self.limit, self.marker.as_deref());
        Value::Object(parameters)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let limit = check_limit(self.limit)?;
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        let after: Option<GrantId> =
            self.marker.as_ref().map(|marker| marker.parse().map_err(|_| invalid_marker())).transpose()?;
        let world = call.world();
        let wanted = |grant: &&std::sync::Arc<Grant>| {
            let of_grantee = self
                .grantee_principal
                .as_ref()
                .is_none_or(|one| grant.grantee.arn == *one && shown(world, &grant.grantee) == one.as_str());
            of_grantee && self.grant_id.as_ref().is_none_or(|id| grant.id == *id)
        };
        let grants = world.grants_on(&named.key.arn, after.as_ref()).filter(wanted);
        let page = GrantPage::of(world, grants, limit, |last| last.grant_id.to_string());
        Ok(Outcome::answer(permitted, page))
    }
}

/// Lists the grants, on the keys of all accounts, that a principal of the caller's account may retire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRetirableGrants {
    /// The retiring principal.
    pub retiring_principal: PrincipalArn,
    /// How many grants at most, 1 to [`LIST_LIMIT_MAX`]; [`LIST_LIMIT_DEFAULT`] when absent.
    pub limit: Option<usize>,
    /// The last page's `next_marker`.
    pub marker: Option<String>,
}

impl ListRetirableGrants {
    /// The first page of the grants that this principal may retire.
    #[must_use]
    pub fn new(retiring_principal: PrincipalArn) -> Self {
        Self { retiring_principal, limit: None, marker: None }
    }
}

impl Operation for ListRetirableGrants {
    type Permission = ListRetirableGrantsPermission;
    type Answer = GrantPage;
    const NAME: &'static str = "ListRetirableGrants";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        let mut parameters = Map::new();
        parameters.insert("retiringPrincipal".into(), json!(self.retiring_principal));
        insert_page(&mut parameters, self.limit, self.marker.as_deref());
        Value::Object(parameters)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let limit = check_limit(self.limit)?;
        let arn = &self.retiring_principal;
        let permitted = call.authorize_on::<Self::Permission>(arn.as_str(), arn.account().clone())?;
        let retiring = principal(call, arn)?;
        let after = self.marker.as_deref().map(place).transpose()?;
        let world = call.world();
        // Not those of somebody who had the name before.
        let grants = world.grants_retired_by(arn, after.as_ref());
        let grants = grants.filter(|grant| grant.retiring.as_ref() == Some(&retiring));
        let page = GrantPage::of(world, grants, limit, |last| format!("{}/{}", last.key_id, last.grant_id));
        Ok(Outcome::answer(permitted, page))
    }
}

fn insert_page(parameters: &mut Map<String, Value>, limit: Option<usize>, marker: Option<&str>) {
    if let Some(limit) = limit {
        parameters.insert("limit".into(), json!(limit));
    }
    if let Some(marker) = marker {
        parameters.insert("marker".into(), json!(marker));
    }
}

fn check_limit(limit: Option<usize>) -> Result<usize, CallError> {
    match limit.unwrap_or(LIST_LIMIT_DEFAULT) {
        limit @ 1..=LIST_LIMIT_MAX => Ok(limit),
        wrong => Err(CallError::validation(format!(
            "1 validation error detected: Value '{wrong}' at 'limit' failed to satisfy constraint: Member must have value \
             between 1 and {LIST_LIMIT_MAX}"
        ))),
    }
}

/// Where ListRetirableGrants goes on: a key's ARN, `/`, a grant's id.
fn place(marker: &str) -> Result<(KeyArn, GrantId), CallError> {
    let (key, id) = marker.rsplit_once('/').ok_or_else(invalid_marker)?;
    Ok((key.parse().map_err(|_| invalid_marker())?, id.parse().map_err(|_| invalid_marker())?))
}

fn invalid_marker() -> CallError {
    CallError::new(ErrorCode::InvalidMarker, "The marker is not one that this operation answered.")
}
