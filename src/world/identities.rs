//! What identity management holds, as a part of the world: the tables, how they are asked, and their changes.
//!
//! Names are unique within an account and its kind. An ARN finds a principal only when its path is right too.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{
    change::{RowError, delete, put, read, table},
    row::Row,
};
use crate::{
    iam::{
        AccessKey, AccessKeyId, AwsManagedPolicies, Group, GroupName, Identity, ManagedPolicy, MfaDevice,
        MfaSerial, OidcProviderArn, OpenIdConnectProvider, PolicyArn, Role, RoleName, Session, User,
        UserName,
    },
    model::{AccountId, PrincipalArn, PrincipalKind, Timestamp},
    world::RowChange,
};

/// Users, groups, roles, managed policies and credentials of all accounts.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    users: OrdMap<(AccountId, UserName), Arc<User>>,
    groups: OrdMap<(AccountId, GroupName), Arc<Group>>,
    roles: OrdMap<(AccountId, RoleName), Arc<Role>>,
    policies: OrdMap<PolicyArn, Arc<ManagedPolicy>>,
    access_keys: OrdMap<AccessKeyId, Arc<AccessKey>>,
    mfa_devices: OrdMap<MfaSerial, Arc<MfaDevice>>,
    providers: OrdMap<OidcProviderArn, Arc<OpenIdConnectProvider>>,
    sessions: OrdMap<AccessKeyId, Arc<Session>>,
    /// The sessions by when they end, soonest first. Derived.
    session_ends: OrdSet<(Timestamp, AccessKeyId)>,
}

/// A change to what identity management holds.
#[derive(Debug, Clone)]
pub enum IdentityChange {
    /// A user is made or changed.
    PutUser(Box<User>),
    /// A user is gone.
    DeleteUser(AccountId, UserName),
    /// A group is made or changed.
    PutGroup(Box<Group>),
    /// A group is gone.
    DeleteGroup(AccountId, GroupName),
    /// A role is made or changed.
    PutRole(Box<Role>),
    /// A role is gone.
    DeleteRole(AccountId, RoleName),
    /// A managed policy is made or changed.
    PutManagedPolicy(Box<ManagedPolicy>),
    /// A managed policy is gone.
    DeleteManagedPolicy(PolicyArn),
    /// An access key is made or changed.
    PutAccessKey(Box<AccessKey>),
    /// An access key is gone.
    DeleteAccessKey(AccessKeyId),
    /// An MFA device is made or changed.
    PutMfaDevice(Box<MfaDevice>),
    /// An MFA device is gone.
    DeleteMfaDevice(MfaSerial),
    /// An OpenID Connect provider is made or changed.
    PutProvider(Box<OpenIdConnectProvider>),
    /// An OpenID Connect provider is gone.
    DeleteProvider(OidcProviderArn),
    /// A session is made.
    PutSession(Box<Session>),
    /// A session is forgotten.
    DeleteSession(AccessKeyId),
}

impl Identities {
    /// The user of this name.
    #[must_use]
    pub fn user(&self, account: &AccountId, name: &UserName) -> Option<&Arc<User>> {
        self.users.get(&(account.clone(), name.clone()))
    }

    /// All users, by account and name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, account: &AccountId, name: &GroupName) -> Option<&Arc<Group>> {
        self.groups.get(&(account.clone(), name.clone()))
    }

    /// All groups, by account and name.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The role of this name.
    #[must_use]
    pub fn role(&self, account: &AccountId, name: &RoleName) -> Option<&Arc<Role>> {
        self.roles.get(&(account.clone(), name.clone()))
    }

    /// All roles, by account and name.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// The managed policy with this ARN, a customer's or one of AWS.
    #[must_use]
    pub fn policy(&self, arn: &PolicyArn) -> Option<&Arc<ManagedPolicy>> {
        if arn.owner().is_none() { AwsManagedPolicies::find(arn) } else { self.policies.get(arn) }
    }

    /// All managed policies that customers made, in the order of their ARNs.
    pub fn customer_policies(&self) -> impl Iterator<Item = &Arc<ManagedPolicy>> {
        self.policies.values()
    }

    /// The access key with this id.
    #[must_use]
    pub fn access_key(&self, id: &AccessKeyId) -> Option<&Arc<AccessKey>> {
        self.access_keys.get(id)
    }

    /// All access keys, by id.
    pub fn access_keys(&self) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.access_keys.values()
    }

    /// The access keys of a user, or (without a name) of the account's root user.
    pub fn access_keys_of<'a>(
        &'a self,
        account: &'a AccountId,
        user: Option<&'a UserName>,
    ) -> impl Iterator<Item = &'a Arc<AccessKey>> {
        self.access_keys.values().filter(move |key| key.account == *account && key.user.as_ref() == user)
    }

    /// The MFA device with this serial number.
    #[must_use]
    pub fn mfa_device(&self, serial: &MfaSerial) -> Option<&Arc<MfaDevice>> {
        self.mfa_devices.get(serial)
    }

    /// All MFA devices, by serial number.
    pub fn mfa_devices(&self) -> impl Iterator<Item = &Arc<MfaDevice>> {
        self.mfa_devices.values()
    }

    /// The enabled MFA devices of a user, or (without a name) of the account's root user.
    pub fn mfa_devices_of<'a>(
        &'a self,
        account: &'a AccountId,
        user: Option<&'a UserName>,
    ) -> impl Iterator<Item = &'a Arc<MfaDevice>> {
        self.mfa_devices.values().filter(move |device| {
            let assigned = device.assigned.as_ref();
            device.serial.account() == account && assigned.is_some_and(|one| one.user.as_ref() == user)
        })
    }

    /// The OpenID Connect provider with this ARN.
    #[must_use]
    pub fn provider(&self, arn: &OidcProviderArn) -> Option<&Arc<OpenIdConnectProvider>> {
        self.providers.get(arn)
    }

    /// All OpenID Connect providers, in the order of their ARNs.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<OpenIdConnectProvider>> {
        self.providers.values()
    }

    /// The session whose access key has this id, whether it has ended or not.
    #[must_use]
    pub fn session(&self, id: &AccessKeyId) -> Option<&Arc<Session>> {
        self.sessions.get(id)
    }

    /// All sessions, by the id of their access key.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    /// The sessions that ended before `moment`, the oldest first.
    pub fn sessions_ended_before(&self, moment: Timestamp) -> impl Iterator<Item = &AccessKeyId> {
        self.session_ends.iter().take_while(move |(end, _)| *end < moment).map(|(_, id)| id)
    }

    /// The user or role with this ARN, or the role whose session this ARN names.
    #[must_use]
    pub fn find(&self, arn: &PrincipalArn) -> Option<Identity> {
        let found = match arn.kind() {
            PrincipalKind::User => {
                Identity::User(Arc::clone(self.user(arn.account(), &arn.name().parse().ok()?)?))
            }
            PrincipalKind::Role | PrincipalKind::AssumedRole => {
                Identity::Role(Arc::clone(self.role(arn.account(), &arn.role_name()?.parse().ok()?)?))
            }
            _ => return None,
        };
        // The ARN of a session does not tell its role's path.
        (arn.kind() == PrincipalKind::AssumedRole || found.has_arn(arn)).then_some(found)
    }

    /// The ARN that the user or role with this unique id has now.
    #[must_use]
    pub fn arn_of(&self, id: &str) -> Option<PrincipalArn> {
        let user = self.users.values().find(|user| user.id.as_str() == id).map(|user| user.arn());
        user.or_else(|| self.roles.values().find(|role| role.id.as_str() == id).map(|role| role.arn()))
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }

    /// How many users and roles there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.users.len() + self.roles.len()
    }

    /// Every change that makes these identities out of none.
    pub(super) fn changes(&self) -> impl Iterator<Item = IdentityChange> {
        fn put<'a, K: Ord, T: Clone>(
            map: &'a OrdMap<K, Arc<T>>,
            change: fn(Box<T>) -> IdentityChange,
        ) -> impl Iterator<Item = IdentityChange> + use<'a, K, T> {
            map.values().map(move |noun| change(Box::new(T::clone(noun))))
        }
        put(&self.users, IdentityChange::PutUser)
            .chain(put(&self.groups, IdentityChange::PutGroup))
            .chain(put(&self.roles, IdentityChange::PutRole))
            .chain(put(&self.policies, IdentityChange::PutManagedPolicy))
            .chain(put(&self.access_keys, IdentityChange::PutAccessKey))
            .chain(put(&self.mfa_devices, IdentityChange::PutMfaDevice))
            .chain(put(&self.providers, IdentityChange::PutProvider))
            .chain(put(&self.sessions, IdentityChange::PutSession))
    }

    /// Makes one change.
    pub(super) fn apply(&mut self, change: &IdentityChange) {
        use IdentityChange as Change;
        match change {
            Change::PutUser(user) => {
                self.users.insert((user.account.clone(), user.name.clone()), Arc::new(User::clone(user)));
            }
            Change::DeleteUser(account, name) => drop(self.users.remove(&(account.clone(), name.clone()))),
            Change::PutGroup(group) => {
                self.groups
                    .insert((group.account.clone(), group.name.clone()), Arc::new(Group::clone(group)));
            }
            Change::DeleteGroup(account, name) => drop(self.groups.remove(&(account.clone(), name.clone()))),
            Change::PutRole(role) => {
                self.roles.insert((role.account.clone(), role.name.clone()), Arc::new(Role::clone(role)));
            }
            Change::DeleteRole(account, name) => drop(self.roles.remove(&(account.clone(), name.clone()))),
            Change::PutManagedPolicy(policy) => {
                self.policies.insert(policy.arn.clone(), Arc::new(ManagedPolicy::clone(policy)));
            }
            Change::DeleteManagedPolicy(arn) => drop(self.policies.remove(arn)),
            Change::PutAccessKey(key) => {
                self.access_keys.insert(key.id.clone(), Arc::new(AccessKey::clone(key)));
            }
            Change::DeleteAccessKey(id) => drop(self.access_keys.remove(id)),
            Change::PutMfaDevice(device) => {
                self.mfa_devices.insert(device.serial.clone(), Arc::new(MfaDevice::clone(device)));
            }
            Change::DeleteMfaDevice(serial) => drop(self.mfa_devices.remove(serial)),
            Change::PutProvider(provider) => {
                self.providers.insert(provider.arn.clone(), Arc::new(OpenIdConnectProvider::clone(provider)));
            }
            Change::DeleteProvider(arn) => drop(self.providers.remove(arn)),
            Change::PutSession(session) => {
                self.session_ends.insert((session.expires, session.access_key.clone()));
                self.sessions.insert(session.access_key.clone(), Arc::new(Session::clone(session)));
            }
            Change::DeleteSession(id) => {
                if let Some(session) = self.sessions.remove(id) {
                    self.session_ends.remove(&(session.expires, id.clone()));
                }
            }
        }
    }
}

impl IdentityChange {
    /// Whether the change takes a secret away, so that storage must erase the old copy everywhere.
    pub(super) fn erases(&self) -> bool {
        matches!(self, Self::DeleteAccessKey(_) | Self::DeleteMfaDevice(_))
    }

    /// The row that this change writes or removes.
    pub(super) fn to_row(&self) -> RowChange {
        match self {
            Self::PutUser(user) => put(table::USER, named(&user.account, user.name.as_str()), user),
            Self::DeleteUser(account, name) => delete(table::USER, named(account, name.as_str())),
            Self::PutGroup(group) => put(table::GROUP, named(&group.account, group.name.as_str()), group),
            Self::DeleteGroup(account, name) => delete(table::GROUP, named(account, name.as_str())),
            Self::PutRole(role) => put(table::ROLE, named(&role.account, role.name.as_str()), role),
            Self::DeleteRole(account, name) => delete(table::ROLE, named(account, name.as_str())),
            Self::PutManagedPolicy(policy) => put(table::MANAGED_POLICY, policy.arn.to_string(), policy),
            Self::DeleteManagedPolicy(arn) => delete(table::MANAGED_POLICY, arn.to_string()),
            Self::PutAccessKey(key) => put(table::ACCESS_KEY, key.id.to_string(), key),
            Self::DeleteAccessKey(id) => delete(table::ACCESS_KEY, id.to_string()),
            Self::PutMfaDevice(device) => put(table::MFA_DEVICE, device.serial.to_string(), device),
            Self::DeleteMfaDevice(serial) => delete(table::MFA_DEVICE, serial.to_string()),
            Self::PutProvider(provider) => put(table::OIDC_PROVIDER, provider.arn.to_string(), provider),
            Self::DeleteProvider(arn) => delete(table::OIDC_PROVIDER, arn.to_string()),
            Self::PutSession(session) => put(table::SESSION, session.access_key.to_string(), session),
            Self::DeleteSession(id) => delete(table::SESSION, id.to_string()),
        }
    }

    /// The change that makes what a stored row says; none when the row is of another table.
    pub(super) fn from_row(row: &Row) -> Result<Option<Self>, RowError> {
        Ok(Some(match row.id.table {
            table::USER => Self::PutUser(read(row)?),
            table::GROUP => Self::PutGroup(read(row)?),
            table::ROLE => Self::PutRole(read(row)?),
            table::MANAGED_POLICY => Self::PutManagedPolicy(read(row)?),
            table::ACCESS_KEY => Self::PutAccessKey(read(row)?),
            table::MFA_DEVICE => Self::PutMfaDevice(read(row)?),
            table::OIDC_PROVIDER => Self::PutProvider(read(row)?),
            table::SESSION => Self::PutSession(read(row)?),
            _ => return Ok(None),
        }))
    }
}

fn named(account: &AccountId, name: &str) -> String {
    format!("{account}:{name}")
}

#[cfg(test)]
mod tests;
