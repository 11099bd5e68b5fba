//! SimulatePrincipalPolicy and SimulateCustomPolicy: what policies would come to, by the evaluator that decides in earnest.
//!
//! Source: the two operations in the IAM API reference. As at AWS a simulation looks at the policies it is given and at
//! those of the principal, and at no resource's own policy but the one in the request. Condition keys that follow from the
//! caller and the resource are filled in; every other one the request must give, and what it lacks is answered in
//! `MissingContextValues`.

mod parameters;
mod policies;
mod results;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::{
    parameters::{ContextEntries, ItemsMax, OrganizationLevels, PageMarker, PolicyExclusions, SimulatedArn},
    results::Simulated,
};
use self::{
    parameters::{Inputs, SIMULATIONS_MAX},
    policies::{Held, Layer},
    results::Prepared,
};
use super::{
    access::{self, Asked, Target},
    value::PolicyText,
};
use crate::{
    iam::Identity,
    kms::{Call, CallError, Outcome},
    model::{AccountId, ErrorCode, PrincipalArn},
    policy::{Authorized, PrincipalFacts},
    services::query::operations,
};

operations! {
    /// Asks what the policies of a user, group or role would come to.
    SimulatePrincipalPolicy reads -> Simulated as "" {
        /// The ARN of the user, group or role.
        policy_source_arn "PolicySourceArn": SimulatedArn,
        /// What it would ask for, such as kms:Decrypt.
        action_names "ActionNames": Vec<String>,
        /// On which resources; on none in particular when absent.
        resource_arns "ResourceArns": Option<Vec<String>>,
        /// More policies, as if it had them.
        policy_input_list "PolicyInputList": Option<Vec<String>>,
        /// A permissions boundary in the place of its own.
        permissions_boundary_policy_input_list "PermissionsBoundaryPolicyInputList": Option<Vec<String>>,
        /// Which of its policies to leave out.
        policy_exclusion_list "PolicyExclusionList": Option<PolicyExclusions>,
        /// The policy of each of the resources.
        resource_policy "ResourcePolicy": Option<PolicyText>,
        /// The account that owns resources whose ARN does not say whose they are.
        resource_owner "ResourceOwner": Option<String>,
        /// The user or role that calls, in the place of the one with the policies.
        caller_arn "CallerArn": Option<SimulatedArn>,
        /// The condition keys of the request.
        context_entries "ContextEntries": Option<ContextEntries>,
        /// Which combination of resources is meant; for EC2, and without effect here.
        resource_handling_option "ResourceHandlingOption": Option<String>,
        /// How many actions are answered at once.
        max_items "MaxItems": Option<ItemsMax>,
        /// Where the page before ended.
        marker "Marker": Option<PageMarker>,
    }

    /// Asks what policies would come to that nobody has.
    SimulateCustomPolicy reads -> Simulated as "" {
        /// The policies.
        policy_input_list "PolicyInputList": Vec<String>,
        /// What is asked for, such as kms:Decrypt.
        action_names "ActionNames": Vec<String>,
        /// On which resources; on none in particular when absent.
        resource_arns "ResourceArns": Option<Vec<String>>,
        /// A permissions boundary.
        permissions_boundary_policy_input_list "PermissionsBoundaryPolicyInputList": Option<Vec<String>>,
        /// Service control policies by level, from the root to the account.
        ordered_organization_policy_input_list "OrderedOrganizationPolicyInputList": Option<OrganizationLevels>,
        /// The policy of each of the resources.
        resource_policy "ResourcePolicy": Option<PolicyText>,
        /// The account that owns resources whose ARN does not say whose they are.
        resource_owner "ResourceOwner": Option<String>,
        /// The user or role that calls.
        caller_arn "CallerArn": Option<SimulatedArn>,
        /// The condition keys of the request.
        context_entries "ContextEntries": Option<ContextEntries>,
        /// Which combination of resources is meant; for EC2, and without effect here.
        resource_handling_option "ResourceHandlingOption": Option<String>,
        /// How many actions are answered at once.
        max_items "MaxItems": Option<ItemsMax>,
        /// Where the page before ended.
        marker "Marker": Option<PageMarker>,
    }
}

impl SimulatePrincipalPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, held) = self.find(call)?;
        let caller_arn = match (&self.caller_arn, &held) {
            (Some(caller), _) => Some(caller.principal()?),
            (None, Held::Identity(identity)) => Some(identity.arn()),
            (None, Held::Group(_)) => None,
        };
        let mut layers = held.layers(call.world())?;
        if let Some(exclusions) = &self.policy_exclusion_list {
            exclusions.apply(&mut layers);
        }
        layers.identity.extend(Layer::inputs("PolicyInputList", self.policy_input_list.as_deref())?);
        if let Some(texts) = &self.permissions_boundary_policy_input_list {
            layers.boundary = Layer::boundary(texts)?;
        }
        let inputs = Inputs {
            action_names: &self.action_names,
            resource_arns: self.resource_arns.as_deref(),
            resource_policy: self.resource_policy.as_ref(),
            resource_owner: self.resource_owner.as_deref(),
            context_entries: self.context_entries.as_ref(),
            page: (self.max_items, self.marker),
        };
        let caller = SimulatedCaller::find(call, caller_arn);
        Ok(Outcome::answer(permitted, Prepared::new(&inputs, caller, layers)?.into()))
    }

    /// Whom the request is about, when the caller may ask.
    fn find(&self, call: &mut Call<'_>) -> Result<(Authorized<Self>, Held), CallError> {
        let account = call.account();
        let arn = self.policy_source_arn.as_str();
        let kind = match self.policy_source_arn.kind() {
            Some("user") => "AWS::IAM::User",
            Some("role") => "AWS::IAM::Role",
            Some("group") => "AWS::IAM::Group",
            _ => return Err(invalid(format!("{arn} is not the ARN of a user, a group or a role."))),
        };
        let found = Held::find(call.world(), &account, &self.policy_source_arn);
        let tags = match &found {
            Some(Held::Identity(identity)) => Some(identity.tags()),
            _ => None,
        };
        let permitted = access::permit(call, &Target { arn: arn.into(), kind, tags }, Asked::default())?;
        let missing = || CallError::new(ErrorCode::NoSuchEntity, format!("{arn} cannot be found."));
        Ok((permitted, found.ok_or_else(missing)?))
    }
}

impl SimulateCustomPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        if self.resource_policy.is_some() && self.caller_arn.is_none() {
            return Err(invalid("CallerArn is required when ResourcePolicy is given."));
        }
        let mut layers = policies::Layers {
            identity: Layer::inputs("PolicyInputList", Some(&self.policy_input_list))?,
            ..policies::Layers::default()
        };
        if let Some(texts) = &self.permissions_boundary_policy_input_list {
            layers.boundary = Layer::boundary(texts)?;
        }
        if let Some(levels) = &self.ordered_organization_policy_input_list {
            layers.scp = levels.parse()?;
        }
        let inputs = Inputs {
            action_names: &self.action_names,
            resource_arns: self.resource_arns.as_deref(),
            resource_policy: self.resource_policy.as_ref(),
            resource_owner: self.resource_owner.as_deref(),
            context_entries: self.context_entries.as_ref(),
            page: (self.max_items, self.marker),
        };
        let caller_arn = self.caller_arn.as_ref().map(SimulatedArn::principal).transpose()?;
        let caller = SimulatedCaller::find(call, caller_arn);
        Ok(Outcome::answer(permitted, Prepared::new(&inputs, caller, layers)?.into()))
    }
}

/// Who is taken to call.
#[derive(Debug, Clone)]
struct SimulatedCaller {
    facts: PrincipalFacts,
    /// Whether the request says who that is: only then policies see it.
    named: bool,
    tags: Vec<(String, String)>,
}

impl SimulatedCaller {
    /// The user or role of this ARN, whether it is there or not; a user without a name of its own when there is no ARN.
    fn find(call: &Call<'_>, arn: Option<PrincipalArn>) -> Self {
        let named = arn.is_some();
        let arn = arn.unwrap_or_else(|| PrincipalArn::user(&call.account(), "simulated"));
        let identity: Option<Identity> = call.world().identity(&arn).filter(|_| named);
        let tags = identity.iter().flat_map(|one| one.tags().iter());
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let facts = PrincipalFacts::new(arn);
        let facts = match &identity {
            Some(identity) => facts.with_unique_id(identity.id().as_str()),
            None => facts,
        };
        Self { facts, named, tags }
    }

    fn account(&self) -> Option<&AccountId> {
        self.facts.account()
    }
}

fn invalid(message: impl Into<String>) -> CallError {
    CallError::new(ErrorCode::InvalidInput, message)
}

/// A policy as the layers hold it.
type Parsed = Arc<crate::policy::Policy>;
