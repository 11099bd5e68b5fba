//! CreateGrant.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{principal, recorded};
use crate::{
    kms::{Call, CallError, Operation, Outcome, conditions::KeyConditions, operation::actions},
    model::{ErrorCode, GrantId, GrantName, GrantToken, KeyRef, KeyUsage, PrincipalArn},
    policy::{ChildGrant, GrantConstraint, GrantOperation, GrantOperations},
    world::{Change, Grant, Key},
};

actions! {
    /// `kms:CreateGrant`.
    CreateGrantPermission = "kms:CreateGrant",
}

/// The most grants on one key ("Resource quotas", KMS developer guide).
pub const GRANTS_PER_KEY_MAX: usize = 50_000;
/// The most pairs of a grant's constraint (KMS API, CreateGrant).
pub const CONSTRAINT_PAIRS_MAX: usize = 8;
/// The longest value in a grant's constraint, in characters (KMS API, CreateGrant).
pub const CONSTRAINT_VALUE_CHARS_MAX: usize = 384;
/// How many tokens of one grant are kept; the oldest goes first. AWS names no number.
const TOKENS_PER_GRANT_MAX: usize = 50;

/// Lets a principal use a key without a word in any policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGrant {
    /// The key.
    pub key_id: KeyRef,
    /// Who may use it: an account's root, a user, a role, or a session.
    pub grantee_principal: PrincipalArn,
    /// Who may retire the grant besides.
    pub retiring_principal: Option<PrincipalArn>,
    /// What it allows.
    pub operations: GrantOperations,
    /// What it asks of the encryption context.
    pub constraint: Option<GrantConstraint>,
    /// A name that makes a repeated request answer the first one's grant.
    pub name: Option<GrantName>,
    /// An id of one's own in place of a random one, for seeds.
    pub custom_grant_id: Option<GrantId>,
}

impl CreateGrant {
    /// A grant of these operations on a key, without constraint, retiring principal or name.
    #[must_use]
    pub fn new(
        key_id: impl Into<KeyRef>,
        grantee_principal: PrincipalArn,
        operations: impl IntoIterator<Item = GrantOperation>,
    ) -> Self {
        Self {
            key_id: key_id.into(),
            grantee_principal,
            retiring_principal: None,
            operations: operations.into_iter().collect(),
            constraint: None,
            name: None,
            custom_grant_id: None,
        }
    }
}

impl CreateGrant {
    /// The grant as a decision sees it when a grant is what allows to make it.
    pub(in crate::kms) fn as_child(&self) -> ChildGrant<'_> {
        ChildGrant { operations: self.operations, constraint: self.constraint.as_ref() }
    }
}

/// What CreateGrant answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatedGrant {
    /// The grant's id.
    pub grant_id: GrantId,
    /// A token of the grant. Each answer has a new one.
    pub grant_token: GrantToken,
}

impl Operation for CreateGrant {
    type Permission = CreateGrantPermission;
    type Answer = CreatedGrant;
    const NAME: &'static str = "CreateGrant";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        let mut parameters = Map::new();
        parameters.insert("keyId".into(), json!(self.key_id.to_string()));
        parameters.insert("granteePrincipal".into(), json!(self.grantee_principal));
        if let Some(retiring) = &self.retiring_principal {
            parameters.insert("retiringPrincipal".into(), json!(retiring));
        }
        parameters.insert("operations".into(), json!(self.operations));
        if let Some(constraint) = &self.constraint {
            parameters.insert("constraints".into(), recorded(constraint));
        }
        if let Some(name) = &self.name {
            parameters.insert("name".into(), json!(name));
        }
        Value::Object(parameters)
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let conditions = KeyConditions {
            new_grant: Some(self),
            encryption_context: self.constraint.as_ref().map(GrantConstraint::pairs),
            ..KeyConditions::default()
        };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        call.require_state(&named.key)?;
        check_operations(self.operations, &named.key)?;
        self.constraint.as_ref().map_or(Ok(()), check_constraint)?;
        let token = GrantToken::from_random(call.random.array()?);
        let grant = self.grant(call, &named.key, token.clone())?;
        let elements = json!({"grantId": grant.id, "keyId": grant.key});
        let answer = CreatedGrant { grant_id: grant.id.clone(), grant_token: token };
        Ok(Outcome::answer(permitted, answer).changing(vec![Change::PutGrant(Box::new(grant))], elements))
    }
}

impl CreateGrant {
    /// The grant that the request means, a new one or the one of an earlier request, with `token` among its tokens.
    fn grant(&self, call: &mut Call<'_>, key: &Key, token: GrantToken) -> Result<Grant, CallError> {
        let id = match &self.custom_grant_id {
            Some(id) => id.clone(),
            None => GrantId::from_random(call.random.array()?),
        };
        let retiring = self.retiring_principal.as_ref();
        let grant = Grant {
            id,
            key: key.arn.clone(),
            name: self.name.clone(),
            created: call.now(),
            issuing_account: call.account(),
            grantee: principal(call, &self.grantee_principal)?,
            retiring: retiring.map(|arn| principal(call, arn)).transpose()?,
            operations: self.operations,
            constraint: self.constraint.clone(),
            tokens: vec![token.clone()],
        };
        let mut named = self.name.iter().flat_map(|name| call.world().grants_named(&key.arn, name));
        if let Some(there) = named.find(|there| there.says_the_same_as(&grant)) {
            let mut there = Grant::clone(there);
            there.tokens.push(token);
            let surplus = there.tokens.len().saturating_sub(TOKENS_PER_GRANT_MAX);
            there.tokens.drain(..surplus);
            return Ok(there);
        }
        if call.world().grant(&key.arn, &grant.id).is_some() {
            let message = format!("{} has a grant {} already", key.arn, grant.id);
            return Err(CallError::new(ErrorCode::AlreadyExists, message));
        }
        if call.world().grant_count(&key.arn) >= GRANTS_PER_KEY_MAX {
            let message = format!("{} has {GRANTS_PER_KEY_MAX} grants, and that is the limit", key.arn);
            return Err(CallError::new(ErrorCode::LimitExceeded, message));
        }
        Ok(grant)
    }
}

/// What a key can be granted for ("Grant operations", KMS developer guide).
fn operations_of(usage: KeyUsage) -> GrantOperations {
    use GrantOperation as G;
    let operations: &[GrantOperation] = match usage {
        KeyUsage::EncryptDecrypt => &[
            G::Decrypt,
            G::Encrypt,
            G::GenerateDataKey,
            G::GenerateDataKeyWithoutPlaintext,
            G::GenerateDataKeyPair,
            G::GenerateDataKeyPairWithoutPlaintext,
            G::ReEncryptFrom,
            G::ReEncryptTo,
            G::CreateGrant,
            G::RetireGrant,
            G::DescribeKey,
        ],
    };
    operations.iter().copied().collect()
}

fn check_operations(operations: GrantOperations, key: &Key) -> Result<(), CallError> {
    if operations.is_empty() {
        return Err(CallError::validation("A grant must allow at least one operation."));
    }
    let possible = operations_of(key.usage);
    let wrong: GrantOperations = operations.iter().filter(|one| !possible.contains(*one)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{wrong} cannot be granted on {}: its key spec is {} and its key usage {}",
        key.arn,
        key.spec.as_str(),
        key.usage.as_str()
    );
    Err(CallError::validation(message))
}

fn check_constraint(constraint: &GrantConstraint) -> Result<(), CallError> {
    let pairs = constraint.pairs();
    if pairs.len() > CONSTRAINT_PAIRS_MAX {
        return Err(CallError::validation(format!(
            "a grant's constraint has at most {CONSTRAINT_PAIRS_MAX} pairs of an encryption context"
        )));
    }
    if pairs.iter().any(|(_, value)| value.chars().count() > CONSTRAINT_VALUE_CHARS_MAX) {
        return Err(CallError::validation(format!(
            "a value in a grant's constraint has at most {CONSTRAINT_VALUE_CHARS_MAX} characters"
        )));
    }
    Ok(())
}
