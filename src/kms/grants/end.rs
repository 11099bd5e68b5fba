//! RetireGrant and RevokeGrant: the two ways in which a grant ends.
//!
//! Whoever no longer needs a grant retires it: the retiring principal, a grantee whose grant says so, the account that made
//! it. Whoever looks after the key revokes it, by an ordinary permission. An Allow of `kms:RetireGrant` in a key policy has
//! no effect. Either way the grant and its tokens are gone with the answer.

use serde_json::{Value, json};

use super::no_such_grant;
use crate::{
    kms::{
        Call, CallError, Operation, Outcome, conditions::KeyConditions, keys::key_arn_element,
        named_key::NamedKey, operation::actions, options::invalid_grant_token,
    },
    model::{GrantId, GrantToken, KeyRef},
    world::{Change, Grant},
};

actions! {
    /// `kms:RetireGrant`.
    RetireGrantPermission = "kms:RetireGrant",
    /// `kms:RevokeGrant`.
    RevokeGrantPermission = "kms:RevokeGrant",
}

/// How RetireGrant is told which grant is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichGrant {
    /// The one that a token names.
    Token(GrantToken),
    /// The one with this id on this key.
    Id {
        /// The key.
        key_id: KeyRef,
        /// The grant's id.
        grant_id: GrantId,
    },
}

/// Ends a grant that is no longer needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetireGrant {
    /// The grant.
    pub grant: WhichGrant,
}

impl Operation for RetireGrant {
    type Permission = RetireGrantPermission;
    type Answer = ();
    const NAME: &'static str = "RetireGrant";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        match &self.grant {
            WhichGrant::Token(_) => Value::Null,
            WhichGrant::Id { key_id, grant_id } => json!({"keyId": key_id.to_string(), "grantId": grant_id}),
        }
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, grant) = self.find(call)?;
        let conditions = KeyConditions { retired: Some(&grant), ..KeyConditions::default() };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        call.require_state(&named.key)?;
        let change = Change::DeleteGrant(grant.key.clone(), grant.id.clone());
        let outcome = Outcome::answer(permitted, ()).changing(vec![change], key_arn_element(&grant.key));
        Ok(outcome.noting("grantId", grant.id.as_str()))
    }
}

impl RetireGrant {
    /// The grant and its key. Of another account's keys one does not learn which grants they have.
    fn find(&self, call: &mut Call<'_>) -> Result<(NamedKey, Grant), CallError> {
        match &self.grant {
            WhichGrant::Token(token) => {
                let grant = call.world().grant_of_token(token).ok_or_else(invalid_grant_token)?;
                let grant = Grant::clone(grant);
                let named = call.resolve::<RetireGrantPermission>(&grant.key.clone().into())?;
                Ok((named, grant))
            }
            WhichGrant::Id { key_id, grant_id } => {
                let named = call.resolve::<RetireGrantPermission>(key_id)?;
                let arn = &named.key.arn;
                match call.world().grant(arn, grant_id) {
                    Some(grant) => Ok((named, Grant::clone(grant))),
                    None if *arn.account() == call.account() => Err(no_such_grant(grant_id, arn)),
                    None => Err(call.out_of_reach::<RetireGrantPermission>(&named.given)),
                }
            }
        }
    }
}

/// Takes a grant back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeGrant {
    /// The key.
    pub key_id: KeyRef,
    /// The grant's id.
    pub grant_id: GrantId,
}

impl Operation for RevokeGrant {
    type Permission = RevokeGrantPermission;
    type Answer = ();
    const NAME: &'static str = "RevokeGrant";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string(), "grantId": self.grant_id})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        call.require_state(&named.key)?;
        let arn = &named.key.arn;
        let grant =
            call.world().grant(arn, &self.grant_id).ok_or_else(|| no_such_grant(&self.grant_id, arn))?;
        let change = Change::DeleteGrant(grant.key.clone(), grant.id.clone());
        Ok(Outcome::answer(permitted, ()).changing(vec![change], key_arn_element(arn)))
    }
}
