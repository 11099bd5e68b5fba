//! Access keys: CreateAccessKey, UpdateAccessKey, DeleteAccessKey, ListAccessKeys, GetAccessKeyLastUsed.

use serde_json::{Value, json};

use super::{
    access::{self, Asked, Target},
    answer::{AccessKeyLastUsed, AccessKeyMetadata, AccessKeyUse, NewAccessKey, time_text},
};
use crate::{
    iam::{ACCESS_KEYS_MAX, AccessKey, AccessKeyId, AccessKeyStatus, UserName},
    kms::{Call, CallError, Operation, Outcome},
    model::{ErrorCode, PrincipalArn},
    policy::{Action, Authorized},
    secret::SecretBytes,
    services::query::operations,
    world::{Change, IdentityChange},
};

operations! {
    /// Makes an access key for a user; without a name, for the caller. The secret is shown this once.
    CreateAccessKey writes -> NewAccessKey as "AccessKey" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
    }

    /// Makes an access key active or inactive.
    UpdateAccessKey writes -> () as "" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
        /// The access key's id.
        access_key_id "AccessKeyId": AccessKeyId,
        /// `Active` or `Inactive`.
        status "Status": AccessKeyStatus,
    }

    /// Deletes an access key for good.
    DeleteAccessKey writes -> () as "" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
        /// The access key's id.
        access_key_id "AccessKeyId": AccessKeyId,
    }

    /// Lists the access keys of a user; without a name, of the caller.
    ListAccessKeys reads -> Vec<AccessKeyMetadata> as "AccessKeyMetadata" {
        /// The user's name.
        user_name "UserName": Option<UserName>,
    }

    /// Tells when, where and for what an access key was last used.
    GetAccessKeyLastUsed reads -> AccessKeyUse as "" {
        /// The access key's id.
        access_key_id "AccessKeyId": AccessKeyId,
    }
}

impl CreateAccessKey {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = holder(call, self.user_name.as_ref())?;
        let id = AccessKeyId::from_random(call.random().array()?);
        let (secret, wrapped) = call.new_access_key(&id)?;
        new_key(call, permitted, user, id, (secret, wrapped))
    }
}

/// The outcome of making this access key, whose secret is shown and kept under wrap.
pub(super) fn new_key<O: Operation<Permission = CreateAccessKey, Answer = NewAccessKey>>(
    call: &Call<'_>,
    permitted: Authorized<CreateAccessKey>,
    user: Option<UserName>,
    id: AccessKeyId,
    (secret, wrapped): (SecretBytes, Vec<u8>),
) -> Result<Outcome<O>, CallError> {
    let account = call.account();
    let there = call.world().identities().access_keys_of(&account, user.as_ref()).count();
    if there >= ACCESS_KEYS_MAX {
        return Err(access::over_quota("AccessKeysPerUser", ACCESS_KEYS_MAX));
    }
    let (status, created) = (AccessKeyStatus::Active, call.now());
    let answer = NewAccessKey {
        user_name: user.clone(),
        access_key_id: id.clone(),
        status,
        create_date: created,
        secret_access_key: secret,
    };
    let elements = json!({"accessKey": {"userName": user, "accessKeyId": id, "status": status,
        "createDate": time_text(created)}});
    let key = AccessKey { id, account, user, status, created, last_used: None, wrapped };
    let change = Change::Identity(IdentityChange::PutAccessKey(Box::new(key)));
    Ok(Outcome::answer(permitted, answer).changing(vec![change], elements))
}

impl UpdateAccessKey {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, key) = find(call, self.user_name.as_ref(), &self.access_key_id)?;
        let key = AccessKey { status: self.status, ..key };
        let change = Change::Identity(IdentityChange::PutAccessKey(Box::new(key)));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl DeleteAccessKey {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, key) = find(call, self.user_name.as_ref(), &self.access_key_id)?;
        let change = Change::Identity(IdentityChange::DeleteAccessKey(key.id));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListAccessKeys {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, user) = holder(call, self.user_name.as_ref())?;
        let account = call.account();
        let keys = call.world().identities().access_keys_of(&account, user.as_ref());
        let listed = keys.map(|key| AccessKeyMetadata {
            user_name: key.user.clone(),
            access_key_id: key.id.clone(),
            status: key.status,
            create_date: key.created,
        });
        let listed = listed.collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

impl GetAccessKeyLastUsed {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let account = call.account();
        let key = call.world().identities().access_key(&self.access_key_id).cloned();
        let key = key.filter(|key| key.account == account);
        // The permission is asked on the user whose key it is.
        let (permitted, key) = match &key {
            Some(key) => (permit(call, key.user.as_ref())?, key),
            None => {
                let _permitted: Authorized<Self> = permit(call, None)?;
                return Err(not_there(&self.access_key_id));
            }
        };
        let used = key.last_used.as_ref();
        let answer = AccessKeyUse {
            user_name: key.user.clone(),
            access_key_last_used: AccessKeyLastUsed {
                last_used_date: used.map(|used| time_text(used.at)),
                service_name: used.map_or_else(|| "N/A".into(), |used| used.service.clone()),
                region: used.map_or_else(|| "N/A".into(), |used| used.region.to_string()),
            },
        };
        Ok(Outcome::answer(permitted, answer))
    }
}

/// The user whose credentials are meant, or `None` for the root user, once the caller is allowed `A` to them.
pub(super) fn holder<A: Action>(
    call: &mut Call<'_>,
    name: Option<&UserName>,
) -> Result<(Authorized<A>, Option<UserName>), CallError> {
    let name = access::named_or_caller(call, name)?;
    let permitted = permit(call, name.as_ref())?;
    if let Some(name) = &name
        && call.world().identities().user(&call.account(), name).is_none()
    {
        return Err(access::no_such("user", name));
    }
    Ok((permitted, name))
}

fn permit<A: Action>(call: &mut Call<'_>, user: Option<&UserName>) -> Result<Authorized<A>, CallError> {
    let account = call.account();
    let Some(name) = user else {
        let arn = PrincipalArn::root(&account).to_string();
        return access::permit(call, &Target { arn, kind: "AWS::IAM::User", tags: None }, Asked::default());
    };
    let user = call.world().identities().user(&account, name).cloned();
    let arn = user.as_ref().map_or_else(|| PrincipalArn::user(&account, name.as_str()), |user| user.arn());
    let tags = user.as_ref().map(|user| &user.tags);
    access::permit(call, &Target { arn: arn.to_string(), kind: "AWS::IAM::User", tags }, Asked::default())
}

/// The access key with this id of the user who is named, or else of the caller.
fn find<A: Action>(
    call: &mut Call<'_>,
    user: Option<&UserName>,
    id: &AccessKeyId,
) -> Result<(Authorized<A>, AccessKey), CallError> {
    let (permitted, user) = holder(call, user)?;
    let account = call.account();
    let found = call.world().identities().access_key(id);
    let found = found.filter(|key| key.account == account && key.user == user);
    let key = found.ok_or_else(|| not_there(id))?;
    Ok((permitted, AccessKey::clone(key)))
}

fn not_there(id: &AccessKeyId) -> CallError {
    CallError::new(ErrorCode::NoSuchEntity, format!("The Access Key with id {id} cannot be found."))
}
