//! What identity management answers, in the shapes of AWS.

use serde::{Serialize, Serializer};

use super::{holder::Holder, value::TagList};
use crate::{
    iam::{
        AccessKeyId, AccessKeyStatus, ClientId, Group, GroupName, IamPath, IdentityPolicy, MfaSerial,
        OidcProviderArn, OpenIdConnectProvider, PolicyArn, PolicyName, Role, RoleName, UniqueId, User,
        UserName, VersionId,
    },
    kms::shown,
    model::{PrincipalArn, Tags, Timestamp},
    secret::SecretBytes,
    services::query::{Answer, NamedSecret},
    world::World,
};

/// A time as the `aws` command prints it.
pub(super) fn time_text(time: Timestamp) -> String {
    time.to_rfc3339().replace('Z', "+00:00")
}

pub(in crate::services) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(*time))
}

/// A user.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserDetail {
    /// Its path.
    pub path: IamPath,
    /// Its name.
    pub user_name: UserName,
    /// Its unique id.
    pub user_id: UniqueId,
    /// Its ARN.
    pub arn: PrincipalArn,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
    /// Its permissions boundary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<BoundaryDetail>,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagList>,
}

impl UserDetail {
    pub(super) fn of(user: &User) -> Self {
        Self {
            path: user.path.clone(),
            user_name: user.name.clone(),
            user_id: user.id.clone(),
            arn: user.arn(),
            create_date: user.created,
            permissions_boundary: user.boundary.clone().map(BoundaryDetail::of),
            tags: some_tags(&user.tags),
        }
    }

    /// As in a list: without boundary and tags.
    pub(super) fn listed(user: &User) -> Self {
        Self { permissions_boundary: None, tags: None, ..Self::of(user) }
    }
}

impl Answer for UserDetail {}

/// A group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupDetail {
    /// Its path.
    pub path: IamPath,
    /// Its name.
    pub group_name: GroupName,
    /// Its unique id.
    pub group_id: UniqueId,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
}

impl GroupDetail {
    pub(super) fn of(group: &Group) -> Self {
        Self {
            path: group.path.clone(),
            group_name: group.name.clone(),
            group_id: group.id.clone(),
            arn: group.arn(),
            create_date: group.created,
        }
    }
}

impl Answer for GroupDetail {}

/// A group and its users.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupWithUsers {
    /// The group.
    pub group: GroupDetail,
    /// Its users.
    pub users: Vec<UserDetail>,
    /// Never: all users are listed.
    pub is_truncated: bool,
}

impl GroupWithUsers {
    pub(super) fn of(group: &Group, users: Vec<UserDetail>) -> Self {
        Self { group: GroupDetail::of(group), users, is_truncated: false }
    }
}

impl Answer for GroupWithUsers {}

/// A role.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RoleDetail {
    /// Its path.
    pub path: IamPath,
    /// Its name.
    pub role_name: RoleName,
    /// Its unique id.
    pub role_id: UniqueId,
    /// Its ARN.
    pub arn: PrincipalArn,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
    /// Its trust policy.
    #[serde(serialize_with = "document")]
    pub assume_role_policy_document: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How long a session may last at most, in seconds.
    pub max_session_duration: u32,
    /// Its permissions boundary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<BoundaryDetail>,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagList>,
}

impl RoleDetail {
    pub(super) fn of(world: &World, role: &Role) -> Self {
        Self {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: role.arn(),
            create_date: role.created,
            assume_role_policy_document: shown(world, role.trust.bound()),
            description: role.description.clone(),
            max_session_duration: role.max_session_duration.seconds(),
            permissions_boundary: role.boundary.clone().map(BoundaryDetail::of),
            tags: some_tags(&role.tags),
        }
    }

    /// As in a list: without boundary and tags.
    pub(super) fn listed(world: &World, role: &Role) -> Self {
        Self { permissions_boundary: None, tags: None, ..Self::of(world, role) }
    }
}

impl Answer for RoleDetail {}

/// An inline policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InlinePolicyDetail {
    /// The user that it hangs on, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// The group that it hangs on, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_name: Option<GroupName>,
    /// The role that it hangs on, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_name: Option<RoleName>,
    /// Its name.
    pub policy_name: PolicyName,
    /// What it says.
    #[serde(serialize_with = "document")]
    pub policy_document: String,
}

impl InlinePolicyDetail {
    pub(super) fn of(holder: &Holder, name: &PolicyName, policy: &IdentityPolicy) -> Self {
        let (mut user_name, mut group_name, mut role_name) = (None, None, None);
        match holder {
            Holder::User(user) => user_name = Some(user.name.clone()),
            Holder::Group(group) => group_name = Some(group.name.clone()),
            Holder::Role(role) => role_name = Some(role.name.clone()),
        }
        let (policy_name, policy_document) = (name.clone(), policy.text().to_owned());
        Self { user_name, group_name, role_name, policy_name, policy_document }
    }
}

impl Answer for InlinePolicyDetail {}

/// A new access key, with its secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewAccessKey {
    /// The user it belongs to; none for a root user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// Its id.
    pub access_key_id: AccessKeyId,
    /// Whether it is good.
    pub status: AccessKeyStatus,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
    /// Its secret, which is shown this once.
    #[serde(skip)]
    pub secret_access_key: SecretBytes,
}

impl Answer for NewAccessKey {
    fn take_secret(&mut self) -> Option<NamedSecret> {
        Some(NamedSecret { name: "SecretAccessKey", secret: std::mem::take(&mut self.secret_access_key) })
    }
}

/// An access key, without its secret.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessKeyMetadata {
    /// The user it belongs to; none for a root user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// Its id.
    pub access_key_id: AccessKeyId,
    /// Whether it is good.
    pub status: AccessKeyStatus,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
}

impl Answer for AccessKeyMetadata {}

/// When an access key was last used.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessKeyUse {
    /// The user it belongs to; none for a root user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// When, where and for what.
    pub access_key_last_used: AccessKeyLastUsed,
}

/// When, where and for what an access key was last used; `N/A` when it never was.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessKeyLastUsed {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_date: Option<String>,
    /// The service that was called.
    pub service_name: String,
    /// The Region it was called in.
    pub region: String,
}

impl Answer for AccessKeyUse {}

/// A new virtual MFA device, with its seed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewMfaDevice {
    /// Its serial number.
    pub serial_number: MfaSerial,
    /// Its seed in base32, which is shown this once.
    #[serde(skip)]
    pub base32_string_seed: SecretBytes,
}

impl Answer for NewMfaDevice {
    fn take_secret(&mut self) -> Option<NamedSecret> {
        Some(NamedSecret { name: "Base32StringSeed", secret: std::mem::take(&mut self.base32_string_seed) })
    }
}

/// An enabled MFA device.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MfaDeviceDetail {
    /// The user it belongs to; none for a root user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// Its serial number.
    pub serial_number: MfaSerial,
    /// When it was enabled.
    pub enable_date: String,
}

impl Answer for MfaDeviceDetail {}

/// A virtual MFA device, enabled or not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VirtualMfaDeviceDetail {
    /// Its serial number.
    pub serial_number: MfaSerial,
    /// The user it belongs to, once it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserDetail>,
    /// When it was enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_date: Option<String>,
}

impl Answer for VirtualMfaDeviceDetail {}

impl Answer for PolicyName {}

impl Answer for TagList {}

/// A permissions boundary.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BoundaryDetail {
    /// Always `Policy`.
    pub permissions_boundary_type: &'static str,
    /// The managed policy.
    pub permissions_boundary_arn: PolicyArn,
}

impl BoundaryDetail {
    fn of(arn: PolicyArn) -> Self {
        Self { permissions_boundary_type: "Policy", permissions_boundary_arn: arn }
    }
}

/// A managed policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDetail {
    /// Its name.
    pub policy_name: PolicyName,
    /// Its unique id.
    pub policy_id: UniqueId,
    /// Its ARN.
    pub arn: PolicyArn,
    /// Its path.
    pub path: IamPath,
    /// The version in force.
    pub default_version_id: VersionId,
    /// How many users, groups and roles it hangs on.
    pub attachment_count: usize,
    /// How many users and roles it bounds.
    pub permissions_boundary_usage_count: usize,
    /// Whether it can hang on somebody: always.
    pub is_attachable: bool,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
    /// When its versions last changed.
    #[serde(serialize_with = "time")]
    pub update_date: Timestamp,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagList>,
}

impl Answer for PolicyDetail {}

/// A version of a managed policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyVersionDetail {
    /// What it says, unless it is only listed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_document")]
    pub document: Option<String>,
    /// Its number.
    pub version_id: VersionId,
    /// Whether it is in force.
    pub is_default_version: bool,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
}

impl Answer for PolicyVersionDetail {}

/// A managed policy that hangs on somebody.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachedPolicyDetail {
    /// Its name.
    pub policy_name: PolicyName,
    /// Its ARN.
    pub policy_arn: PolicyArn,
}

impl AttachedPolicyDetail {
    pub(super) fn of(arn: &PolicyArn) -> Self {
        Self { policy_name: arn.name().clone(), policy_arn: arn.clone() }
    }
}

impl Answer for AttachedPolicyDetail {}

/// Whom a managed policy hangs on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntitiesOfPolicy {
    /// Groups.
    pub policy_groups: Vec<NamedEntity>,
    /// Users.
    pub policy_users: Vec<NamedEntity>,
    /// Roles.
    pub policy_roles: Vec<NamedEntity>,
    /// Never: all are listed.
    pub is_truncated: bool,
}

impl Answer for EntitiesOfPolicy {}

/// A user, group or role by name and unique id.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NamedEntity {
    /// The user's name, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<UserName>,
    /// The user's unique id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UniqueId>,
    /// The group's name, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_name: Option<GroupName>,
    /// The group's unique id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<UniqueId>,
    /// The role's name, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_name: Option<RoleName>,
    /// The role's unique id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_id: Option<UniqueId>,
}

impl NamedEntity {
    pub(super) fn user(user: &User) -> Self {
        Self { user_name: Some(user.name.clone()), user_id: Some(user.id.clone()), ..Self::default() }
    }

    pub(super) fn group(group: &Group) -> Self {
        Self { group_name: Some(group.name.clone()), group_id: Some(group.id.clone()), ..Self::default() }
    }

    pub(super) fn role(role: &Role) -> Self {
        Self { role_name: Some(role.name.clone()), role_id: Some(role.id.clone()), ..Self::default() }
    }
}

/// A new OpenID Connect provider.
#[derive(Debug, Clone, Serialize)]
pub struct NewProvider {
    /// Its ARN.
    #[serde(rename = "OpenIDConnectProviderArn")]
    pub open_id_connect_provider_arn: OidcProviderArn,
    /// Its tags.
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagList>,
}

impl Answer for NewProvider {}

/// An OpenID Connect provider by its ARN.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProviderArn {
    /// The ARN.
    pub arn: OidcProviderArn,
}

impl Answer for ProviderArn {}

/// An OpenID Connect provider.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProviderDetail {
    /// Its address, without `https://`.
    pub url: String,
    /// The client ids that its tokens may be for.
    #[serde(rename = "ClientIDList")]
    pub client_id_list: Vec<ClientId>,
    /// Whether its public keys were handed in; without them none of its tokens is believed.
    pub custom_has_jwks: bool,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub create_date: Timestamp,
    /// Its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagList>,
}

impl ProviderDetail {
    pub(super) fn of(provider: &OpenIdConnectProvider) -> Self {
        Self {
            url: provider.arn.url().without_scheme().into(),
            client_id_list: provider.client_ids.iter().cloned().collect(),
            custom_has_jwks: provider.jwks.is_some(),
            create_date: provider.created,
            tags: some_tags(&provider.tags),
        }
    }
}

impl Answer for ProviderDetail {}

fn some_document<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    document(text.as_deref().unwrap_or_default(), serializer)
}

/// Tags, when there are any.
pub(super) fn some_tags(tags: &Tags) -> Option<TagList> {
    (!tags.is_empty()).then(|| tags.clone().into())
}

/// A policy's text as the `aws` command prints it: as JSON.
pub(super) fn document<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(document) => document.serialize(serializer),
        Err(_) => serializer.serialize_str(text),
    }
}
