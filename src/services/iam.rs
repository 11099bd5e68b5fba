//! Identity management by way of the door: CreateUser, CreateRole, PutUserPolicy, PutRolePolicy.
//!
//! Source: IAM API reference. What identities are is told in [`crate::iam`].

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    audit::ResourceEntry,
    crypto::random::Random,
    iam::{Identity, IdentityKind, IdentityName, PolicyName, PrincipalId},
    kms::{Call, CallError, Caller, Door, Operation, Outcome, actions},
    model::{ErrorCode, PrincipalArn, Tags},
    policy::{Action, Authorized, Policy},
    world::Change,
};

const EVENT_SOURCE: &str = "iam.amazonaws.com";

actions! {
    /// `iam:CreateUser`.
    CreateUserPermission = "iam:CreateUser",
    /// `iam:CreateRole`.
    CreateRolePermission = "iam:CreateRole",
    /// `iam:TagUser`.
    TagUserPermission = "iam:TagUser",
    /// `iam:TagRole`.
    TagRolePermission = "iam:TagRole",
    /// `iam:PutUserPolicy`.
    PutUserPolicyPermission = "iam:PutUserPolicy",
    /// `iam:PutRolePolicy`.
    PutRolePolicyPermission = "iam:PutRolePolicy",
}

/// The identity management of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct Iam<'k> {
    door: &'k Door,
}

impl<'k> Iam<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Makes a user without any permission.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or the caller may not.
    pub fn create_user(
        &self,
        caller: &Caller,
        name: IdentityName,
        tags: Tags,
    ) -> Result<PrincipalArn, CallError> {
        self.door.call(caller, &CreateUser { name, tags })
    }

    /// Makes a role without any permission.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or the caller may not.
    pub fn create_role(
        &self,
        caller: &Caller,
        name: IdentityName,
        tags: Tags,
    ) -> Result<PrincipalArn, CallError> {
        self.door.call(caller, &CreateRole { name, tags })
    }

    /// Puts an inline policy on a user, in place of one with the same name.
    ///
    /// # Errors
    ///
    /// When there is no such user, the policy is not well formed, or the caller may not.
    pub fn put_user_policy(
        &self,
        caller: &Caller,
        user: IdentityName,
        name: PolicyName,
        policy: &str,
    ) -> Result<(), CallError> {
        self.door.call(caller, &PutUserPolicy { user, name, policy: policy.into() })
    }

    /// Puts an inline policy on a role, in place of one with the same name.
    ///
    /// # Errors
    ///
    /// When there is no such role, the policy is not well formed, or the caller may not.
    pub fn put_role_policy(
        &self,
        caller: &Caller,
        role: IdentityName,
        name: PolicyName,
        policy: &str,
    ) -> Result<(), CallError> {
        self.door.call(caller, &PutRolePolicy { role, name, policy: policy.into() })
    }
}

/// Makes a user.
#[derive(Debug)]
pub struct CreateUser {
    /// Its name.
    pub name: IdentityName,
    /// Its tags.
    pub tags: Tags,
}

impl Operation for CreateUser {
    type Permission = CreateUserPermission;
    type Answer = PrincipalArn;
    const NAME: &'static str = "CreateUser";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"userName": self.name, "tags": self.tags})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        create(call, IdentityKind::User, &self.name, &self.tags)
    }
}

/// Makes a role.
#[derive(Debug)]
pub struct CreateRole {
    /// Its name.
    pub name: IdentityName,
    /// Its tags.
    pub tags: Tags,
}

impl Operation for CreateRole {
    type Permission = CreateRolePermission;
    type Answer = PrincipalArn;
    const NAME: &'static str = "CreateRole";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"roleName": self.name, "tags": self.tags})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        create(call, IdentityKind::Role, &self.name, &self.tags)
    }
}

/// Puts an inline policy on a user.
#[derive(Debug)]
pub struct PutUserPolicy {
    /// The user.
    pub user: IdentityName,
    /// The policy's name.
    pub name: PolicyName,
    /// The policy as JSON.
    pub policy: String,
}

impl Operation for PutUserPolicy {
    type Permission = PutUserPolicyPermission;
    type Answer = ();
    const NAME: &'static str = "PutUserPolicy";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"userName": self.user, "policyName": self.name, "policyDocument": self.policy})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        put_policy(call, IdentityKind::User, &self.user, (&self.name, &self.policy))
    }
}

/// Puts an inline policy on a role.
#[derive(Debug)]
pub struct PutRolePolicy {
    /// The role.
    pub role: IdentityName,
    /// The policy's name.
    pub name: PolicyName,
    /// The policy as JSON.
    pub policy: String,
}

impl Operation for PutRolePolicy {
    type Permission = PutRolePolicyPermission;
    type Answer = ();
    const NAME: &'static str = "PutRolePolicy";
    const EVENT_SOURCE: &'static str = EVENT_SOURCE;
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"roleName": self.role, "policyName": self.name, "policyDocument": self.policy})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        put_policy(call, IdentityKind::Role, &self.role, (&self.name, &self.policy))
    }
}

fn create<O: Operation<Answer = PrincipalArn>>(
    call: &mut Call<'_>,
    kind: IdentityKind,
    name: &IdentityName,
    tags: &Tags,
) -> Result<Outcome<O>, CallError> {
    let (permitted, arn) = authorize_on_identity::<O::Permission>(call, kind, name, tags)?;
    if !tags.is_empty() {
        // Tags decide who may do what, so to give them is a permission of its own.
        match kind {
            IdentityKind::User => drop(authorize_on_identity::<TagUserPermission>(call, kind, name, tags)?),
            IdentityKind::Role => drop(authorize_on_identity::<TagRolePermission>(call, kind, name, tags)?),
        }
    }
    if call.world().identity(&arn).is_some() {
        return Err(CallError::new(
            ErrorCode::EntityAlreadyExists,
            format!(
                "{} with name {name} already exists.",
                match kind {
                    IdentityKind::User => "User",
                    IdentityKind::Role => "Role",
                }
            ),
        ));
    }
    let random: &mut dyn Random = call.random();
    let id = PrincipalId::from_random(kind, random.array()?);
    let mut identity = Identity::new(kind, call.account(), name.clone(), id, call.now())?;
    identity.tags = tags.clone();
    let elements = json!({kind.as_str(): {"arn": arn, "createDate": call.now().to_rfc3339()}});
    let changes = vec![Change::PutIdentity(Box::new(identity))];
    Ok(Outcome::answer(permitted, arn).changing(changes, elements))
}

fn put_policy<O: Operation<Answer = ()>>(
    call: &mut Call<'_>,
    kind: IdentityKind,
    name: &IdentityName,
    (policy_name, text): (&PolicyName, &str),
) -> Result<Outcome<O>, CallError> {
    let (permitted, arn) = authorize_on_identity::<O::Permission>(call, kind, name, &Tags::new())?;
    let Some(identity) = call.world().identity(&arn) else {
        let message = format!("The {} with name {name} cannot be found.", kind.as_str());
        return Err(CallError::new(ErrorCode::NoSuchEntity, message));
    };
    let policy = Policy::parse(text, kind.inline_policy())
        .map_err(|error| CallError::new(ErrorCode::MalformedPolicyDocument, error.to_string()))?;
    let mut identity = Identity::clone(identity);
    identity.put_policy(policy_name.clone(), Arc::new(policy));
    let changes = vec![Change::PutIdentity(Box::new(identity))];
    Ok(Outcome::answer(permitted, ()).changing(changes, Value::Null))
}

fn authorize_on_identity<A: Action>(
    call: &mut Call<'_>,
    kind: IdentityKind,
    name: &IdentityName,
    tags: &Tags,
) -> Result<(Authorized<A>, PrincipalArn), CallError> {
    let account = call.account();
    let text = format!("arn:aws:iam::{account}:{}/{name}", kind.as_str());
    let permitted = call.authorize_on_with::<A>(&text, account.clone(), |context| {
        if !tags.is_empty() {
            context.request_tags(tags.iter());
        }
    })?;
    let resource_type = match kind {
        IdentityKind::User => "AWS::IAM::User",
        IdentityKind::Role => "AWS::IAM::Role",
    };
    let arn = text.parse()?;
    call.note(ResourceEntry { account_id: account, resource_type: resource_type.into(), arn: text });
    Ok((permitted, arn))
}

#[cfg(test)]
mod tests {
    use crate::{
        model::{ErrorCode, Tags},
        testing::Lab,
    };

    #[test]
    fn tags_are_given_by_those_alone_who_may_tag() {
        let lab = Lab::new().unwrap();
        let iam = lab.keystore().iam();
        let mallory = lab.user("mallory", &["iam:CreateUser"]).unwrap();
        let mut tags = Tags::new();
        tags.set("team", "secrets").unwrap();
        let refused = iam.create_user(&mallory, "eve".parse().unwrap(), tags.clone()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AccessDenied);
        assert!(iam.create_user(&mallory, "eve".parse().unwrap(), Tags::new()).is_ok());

        let policy = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "iam:*", "Resource": "*",
             "Condition": {"StringEquals": {"aws:RequestTag/team": "secrets"}}}
        ]}"#;
        let hr = lab.user_with_policy("hr", policy).unwrap();
        let refused = iam.create_role(&hr, "mole".parse().unwrap(), tags.clone()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AccessDenied);
        tags.set("team", "ml").unwrap();
        assert!(iam.create_role(&hr, "trainer".parse().unwrap(), tags).is_ok());
    }
}
