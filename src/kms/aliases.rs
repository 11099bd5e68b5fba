//! CreateAlias, UpdateAlias, DeleteAlias, ListAliases.
//!
//! Source: "Aliases in AWS KMS" and "Controlling access to aliases" (KMS developer guide): the permission is needed on the
//! alias, by identity policy, and on each key involved.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Call, CallError, Operation, Outcome,
    conditions::KeyConditions,
    keys::{epoch_seconds, key_arn_element},
    named_key::NamedKey,
    operation::actions,
};
use crate::{
    audit::ResourceEntry,
    model::{AliasName, ErrorCode, KeyId, KeyRef, Tier, Timestamp},
    world::{Alias, Change},
};

actions! {
    /// `kms:CreateAlias`.
    CreateAliasPermission = "kms:CreateAlias",
    /// `kms:UpdateAlias`.
    UpdateAliasPermission = "kms:UpdateAlias",
    /// `kms:DeleteAlias`.
    DeleteAliasPermission = "kms:DeleteAlias",
    /// `kms:ListAliases`.
    ListAliasesPermission = "kms:ListAliases",
}

/// Gives a key of the caller's account a name.
#[derive(Debug)]
pub struct CreateAlias {
    /// The name, `alias/…`.
    pub alias_name: AliasName,
    /// The key: an id or ARN.
    pub target_key_id: KeyRef,
}

impl Operation for CreateAlias {
    type Permission = CreateAliasPermission;
    type Answer = ();
    const NAME: &'static str = "CreateAlias";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"aliasName": self.alias_name, "targetKeyId": self.target_key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_name(&self.alias_name)?;
        let named = target::<Self::Permission>(call, &self.target_key_id)?;
        let permitted = on_alias_and_keys(call, &self.alias_name, &[&named])?;
        if call.world().alias(&call.account(), &self.alias_name).is_some() {
            let message =
                format!("An alias with the name {} already exists", alias_arn(call, &self.alias_name));
            return Err(CallError::new(ErrorCode::AlreadyExists, message));
        }
        call.require_state(&named.key)?;
        let now = call.now();
        let alias = Alias {
            account: call.account(),
            name: self.alias_name.clone(),
            target: named.key.arn.clone(),
            created: now,
            updated: now,
        };
        let elements = key_arn_element(&named.key.arn);
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::PutAlias(alias)], elements))
    }
}

/// Points a name to another key.
#[derive(Debug)]
pub struct UpdateAlias {
    /// The name.
    pub alias_name: AliasName,
    /// The new key: an id or ARN.
    pub target_key_id: KeyRef,
}

impl Operation for UpdateAlias {
    type Permission = UpdateAliasPermission;
    type Answer = ();
    const NAME: &'static str = "UpdateAlias";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"aliasName": self.alias_name, "targetKeyId": self.target_key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_name(&self.alias_name)?;
        let older = call.resolve::<Self::Permission>(&KeyRef::Alias(self.alias_name.clone()))?;
        let newer = target::<Self::Permission>(call, &self.target_key_id)?;
        let permitted = on_alias_and_keys(call, &self.alias_name, &[&older, &newer])?;
        call.require_state(&newer.key)?;
        let (was, becomes) = (&older.key, &newer.key);
        if (was.usage, was.spec) != (becomes.usage, becomes.spec) {
            return Err(CallError::validation(
                "The current and the new key must have the same key usage and key spec",
            ));
        }
        let created =
            call.world().alias(&call.account(), &self.alias_name).map_or(call.now(), |alias| alias.created);
        let alias = Alias {
            account: call.account(),
            name: self.alias_name.clone(),
            target: becomes.arn.clone(),
            created,
            updated: call.now(),
        };
        let elements = key_arn_element(&becomes.arn);
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::PutAlias(alias)], elements))
    }
}

/// Takes a name away. The key stays.
#[derive(Debug)]
pub struct DeleteAlias {
    /// The name.
    pub alias_name: AliasName,
}

impl Operation for DeleteAlias {
    type Permission = DeleteAliasPermission;
    type Answer = ();
    const NAME: &'static str = "DeleteAlias";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"aliasName": self.alias_name})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        check_name(&self.alias_name)?;
        let named = call.resolve::<Self::Permission>(&KeyRef::Alias(self.alias_name.clone()))?;
        let permitted = on_alias_and_keys(call, &self.alias_name, &[&named])?;
        let change = Change::DeleteAlias(call.account(), self.alias_name.clone());
        Ok(Outcome::answer(permitted, ()).changing(vec![change], key_arn_element(&named.key.arn)))
    }
}

/// One line of ListAliases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AliasListEntry {
    /// The name.
    pub alias_name: AliasName,
    /// The alias's ARN.
    pub alias_arn: String,
    /// The key it points to.
    pub target_key_id: KeyId,
    /// When it was made.
    #[serde(serialize_with = "epoch_seconds")]
    pub creation_date: Timestamp,
    /// When it last came to point elsewhere.
    #[serde(serialize_with = "epoch_seconds")]
    pub last_updated_date: Timestamp,
}

/// Lists the aliases of the caller's account, or those of one key.
#[derive(Debug, Default)]
pub struct ListAliases {
    /// The key whose aliases are wanted.
    pub key_id: Option<KeyRef>,
}

impl Operation for ListAliases {
    type Permission = ListAliasesPermission;
    type Answer = Vec<AliasListEntry>;
    const NAME: &'static str = "ListAliases";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        self.key_id.as_ref().map_or(Value::Null, |key| json!({"keyId": key.to_string()}))
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        let of_key = match &self.key_id {
            Some(name) => {
                let named = call.resolve::<Self::Permission>(name)?;
                if *named.key.arn.account() != call.account() {
                    return Err(call.out_of_reach::<Self::Permission>(&named.given));
                }
                Some(named.key.arn.clone())
            }
            None => None,
        };
        let account = call.account();
        let listed = call.world().aliases().filter(|alias| {
            alias.account == account && of_key.as_ref().is_none_or(|key| alias.target == *key)
        });
        let entries = listed.map(|alias| AliasListEntry {
            alias_name: alias.name.clone(),
            alias_arn: alias.arn(),
            target_key_id: alias.target.key_id().clone(),
            creation_date: alias.created,
            last_updated_date: alias.updated,
        });
        let entries = entries.collect();
        Ok(Outcome::answer(permitted, entries))
    }
}

fn check_name(name: &AliasName) -> Result<(), CallError> {
    if name.is_reserved() {
        return Err(CallError::new(
            ErrorCode::InvalidAliasName,
            "The alias name must not begin with 'alias/aws/'.",
        ));
    }
    Ok(())
}

/// Finds the key an alias shall point to; an alias cannot point to an alias.
fn target<A: crate::policy::Action>(call: &mut Call<'_>, name: &KeyRef) -> Result<NamedKey, CallError> {
    if matches!(name, KeyRef::Alias(_) | KeyRef::AliasArn { .. }) {
        return Err(CallError::validation("Aliases must refer to keys. Not aliases"));
    }
    let named = call.resolve::<A>(name)?;
    if named.key.tier == Tier::AwsOwned {
        return Err(call.out_of_reach::<A>(&named.given));
    }
    Ok(named)
}

/// The permission on the alias and on every key involved.
fn on_alias_and_keys<A: crate::policy::Action>(
    call: &mut Call<'_>,
    name: &AliasName,
    keys: &[&NamedKey],
) -> Result<crate::policy::Authorized<A>, CallError> {
    let arn = alias_arn(call, name);
    let owner = call.account();
    let permitted = call.authorize_on::<A>(&arn, owner.clone())?;
    for key in keys {
        let _on_key = call.authorize::<A>(key, &KeyConditions::default())?;
    }
    call.note(ResourceEntry { account_id: owner, resource_type: "AWS::KMS::Alias".into(), arn });
    Ok(permitted)
}

/// An alias of the caller's account.
pub(super) fn alias_arn(call: &Call<'_>, name: &AliasName) -> String {
    format!("arn:aws:kms:{}:{}:{name}", call.world().settings().region, call.account())
}
