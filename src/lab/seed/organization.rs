//! An organization in a seed: units and who stands in them, control policies and what they hang on; and VPC endpoints.

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{
    Named,
    policy::{EndpointPolicyText, ResourceControlPolicyText, ServiceControlPolicyText},
};
use crate::{
    model::{AccountId, OrganizationId, RootId, UnitId, VpcId},
    services::organizations::Name,
};

/// The organization that the keystore's own account manages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizationSeed {
    pub(super) id: Option<OrganizationId>,
    pub(super) root: Option<RootId>,
    /// Accounts that stand alone; all others that are made join it.
    #[serde(default)]
    pub(super) outside: Vec<Spanned<AccountId>>,
    /// Policies on the root.
    pub(super) attached: Option<Attached>,
    #[serde(default)]
    pub(super) units: Named<Name, UnitSeed>,
    /// Policies on accounts themselves.
    #[serde(default)]
    pub(super) accounts: Named<AccountId, MemberSeed>,
    #[serde(default)]
    pub(super) service_control_policies: Named<Name, ServiceControlPolicyText>,
    #[serde(default)]
    pub(super) resource_control_policies: Named<Name, ResourceControlPolicyText>,
}

/// An organizational unit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitSeed {
    pub(super) id: Option<UnitId>,
    /// The accounts that stand in it.
    #[serde(default)]
    pub(super) accounts: Vec<Spanned<AccountId>>,
    pub(super) attached: Option<Attached>,
    #[serde(default)]
    pub(super) units: Named<Name, UnitSeed>,
}

/// What hangs on an account of the organization.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberSeed {
    pub(super) attached: Attached,
}

/// The names of the policies that hang on something, all of them.
#[derive(Debug)]
pub(super) struct Attached(pub(super) Vec<Spanned<Name>>);

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<Spanned<Name>>::deserialize(deserializer)?;
        if names.is_empty() {
            let message = "each root, unit and account has at least one service control policy: write \
                           `attached = [\"FullAWSAccess\"]`, or leave it out";
            return Err(de::Error::custom(message));
        }
        Ok(Self(names))
    }
}

/// A VPC endpoint that leads to KMS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointSeed {
    pub(super) vpc: VpcId,
    /// What may pass.
    pub(super) policy: Option<EndpointPolicyText>,
}
