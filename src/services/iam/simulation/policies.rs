//! The policies that a simulation looks at, and where each comes from.

use std::sync::Arc;

use super::{Parsed, SimulatedArn, invalid};
use crate::{
    iam::{Group, Identity, Permissions, PolicyArn},
    kms::CallError,
    model::{AccountId, ControlPolicyType, PrincipalArn},
    policy::{Policy, PolicyKind},
    world::{ControlPolicy, World},
};

/// Where a policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// An inline one of a user, group or role.
    Inline { kind: &'static str, holder: String },
    /// One of AWS, by its ARN.
    AwsManaged(String),
    /// One of the account's own, by its ARN.
    UserManaged(String),
    /// A service control policy of the account's organization.
    Organization,
    /// The request's policy of the resource.
    Resource,
    /// The request.
    Input,
}

impl Source {
    /// As `SourcePolicyType` has it.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Inline { kind, .. } => kind,
            Self::AwsManaged(_) => "aws-managed",
            Self::UserManaged(_) => "user-managed",
            Self::Resource => "resource",
            Self::Organization | Self::Input => "none",
        }
    }
}

/// One policy of a layer.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// As `SourcePolicyId` has it: a name, or which one of the request's it is.
    pub(super) id: String,
    pub(super) source: Source,
    pub(super) policy: Parsed,
}

impl Layer {
    /// A policy of the request.
    pub(super) fn parse(id: String, source: Source, text: &str, kind: PolicyKind) -> Result<Self, CallError> {
        let refused = |error| invalid(format!("Invalid Input {id}: {error}"));
        let policy = Policy::parse(text, kind).map_err(refused)?;
        Ok(Self { id, source, policy: Arc::new(policy) })
    }

    pub(super) fn parse_all(name: &str, texts: &[String], kind: PolicyKind) -> Result<Vec<Self>, CallError> {
        let one = |(number, text): (usize, &String)| {
            Self::parse(format!("{name}.{}", number + 1), Source::Input, text, kind)
        };
        texts.iter().enumerate().map(one).collect()
    }

    /// The policies of the request's own.
    pub(super) fn inputs(name: &str, texts: Option<&[String]>) -> Result<Vec<Self>, CallError> {
        Self::parse_all(name, texts.unwrap_or_default(), PolicyKind::INLINE_ROLE)
    }

    /// The boundary of the request: there is one at most.
    pub(super) fn boundary(texts: &[String]) -> Result<Option<Self>, CallError> {
        if texts.len() > 1 {
            return Err(invalid("PermissionsBoundaryPolicyInputList can hold one policy."));
        }
        let all = Self::parse_all("PermissionsBoundaryPolicyInputList", texts, PolicyKind::Boundary)?;
        Ok(all.into_iter().next())
    }

    fn managed(world: &World, arn: &PolicyArn) -> Result<Self, CallError> {
        let policy = world
            .identities()
            .policy(arn)
            .ok_or_else(|| CallError::internal(format!("the policy {arn} is attached and not there")))?;
        let source = match arn.owner() {
            None => Source::AwsManaged(arn.to_string()),
            Some(_) => Source::UserManaged(arn.to_string()),
        };
        let policy = Arc::clone(policy.default_version().document.policy());
        Ok(Self { id: arn.name().to_string(), source, policy })
    }
}

/// All that a simulation looks at.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    pub(super) identity: Vec<Layer>,
    pub(super) boundary: Option<Layer>,
    pub(super) scp: Vec<Vec<Layer>>,
    pub(super) resource: Option<Layer>,
}

impl Layers {
    fn add(
        &mut self,
        world: &World,
        permissions: &Permissions,
        kind: &'static str,
        holder: &str,
    ) -> Result<(), CallError> {
        for (name, inline) in &permissions.inline {
            let source = Source::Inline { kind, holder: holder.to_owned() };
            let policy = Arc::clone(inline.policy());
            self.identity.push(Layer { id: name.to_string(), source, policy });
        }
        for arn in &permissions.attached {
            self.identity.push(Layer::managed(world, arn)?);
        }
        Ok(())
    }
}

/// Whose policies are simulated.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Identity(Identity),
    Group(Arc<Group>),
}

impl Held {
    /// Finds a user, role or group of this account.
    pub(super) fn find(world: &World, account: &AccountId, arn: &SimulatedArn) -> Option<Self> {
        if arn.kind() == Some("group") {
            let group = world.identities().group(account, &arn.name()?.parse().ok()?)?;
            return (group.arn() == arn.as_str()).then(|| Self::Group(Arc::clone(group)));
        }
        let arn: PrincipalArn = arn.as_str().parse().ok()?;
        world.identity(&arn).filter(|_| arn.account() == account).map(Self::Identity)
    }

    /// Its policies: inline, attached and by group, its boundary, and the service control policies of its account.
    pub(super) fn layers(&self, world: &World) -> Result<Layers, CallError> {
        let mut layers = Layers { scp: self.scp(world), ..Layers::default() };
        match self {
            Self::Group(group) => layers.add(world, &group.permissions, "group", group.name.as_str())?,
            Self::Identity(identity) => {
                let kind = if matches!(identity, Identity::User(_)) { "user" } else { "role" };
                layers.add(world, identity.permissions(), kind, identity.name())?;
                if let Identity::User(user) = identity {
                    for name in &user.groups {
                        let group = world.identities().group(&user.account, name).ok_or_else(|| {
                            CallError::internal(format!("the group {name} has members and is not there"))
                        })?;
                        layers.add(world, &group.permissions, "group", name.as_str())?;
                    }
                }
                layers.boundary = identity.boundary().map(|arn| Layer::managed(world, arn)).transpose()?;
            }
        }
        Ok(layers)
    }

    fn scp(&self, world: &World) -> Vec<Vec<Layer>> {
        let account = match self {
            Self::Identity(identity) => identity.account(),
            Self::Group(group) => &group.account,
        };
        let levels = world.control_levels(account, ControlPolicyType::ServiceControlPolicy);
        let layer = |policy: &Arc<ControlPolicy>| Layer {
            id: policy.name.to_string(),
            source: Source::Organization,
            policy: Arc::clone(&policy.document),
        };
        levels.iter().map(|level| level.policies.iter().map(layer).collect()).collect()
    }
}
