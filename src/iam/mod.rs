//! Identities: users, groups and roles of the accounts, the policies attached to them, and what they prove themselves
//! with. Pure state and rules.
//!
//! Source: "IAM identifiers" and "IAM and AWS STS quotas" (IAM user guide). A new identity has no permission at all.
//! Secrets stand here under wrap; the key that unwraps them is elsewhere.

mod access_key;
mod aws_managed;
mod group;
mod id;
mod identity;
mod managed_policy;
mod mfa;
mod name;
mod oidc;
mod permissions;
mod persona;
mod role;
mod session;
mod user;

pub use access_key::{ACCESS_KEYS_MAX, AccessKey, AccessKeyStatus, LastUsed};
pub use aws_managed::AwsManagedPolicies;
pub use group::{GROUPS_OF_A_USER_MAX, Group};
pub use id::{AccessKeyId, UniqueId, UniqueIdKind};
pub use identity::Identity;
pub use managed_policy::{ManagedPolicy, POLICY_VERSIONS_MAX, PolicyArn, PolicyVersion, VersionId};
pub use mfa::{MFA_DEVICES_MAX, MfaAssignment, MfaDevice, MfaSerial, TIME_STEP_SECONDS};
pub use name::{GroupName, IamPath, MfaDeviceName, PolicyName, RoleName, UserName};
pub use oidc::{CLIENT_IDS_MAX, ClientId, Jwks, OidcProviderArn, OidcUrl, OpenIdConnectProvider};
pub use permissions::{ATTACHED_POLICIES_MAX, IdentityPolicy, Permissions};
pub use persona::{Activity, Persona, activities_policy};
pub use role::{MaxSessionDuration, Role, TrustPolicy};
pub use session::{
    EXPIRED_SESSION_DAYS, ExternalId, FederatedUserName, RoleSessionName, SESSION_POLICY_ARNS_MAX, Session,
    SessionIssuer, SessionPolicies, SourceIdentity,
};
pub use user::User;
