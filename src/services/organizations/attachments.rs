//! Which control policies hang on what. The root, every unit and every account always has a service control policy, and
//! keeps `RCPFullAWSAccess` while resource control policies are in force.

use serde_json::Value;

use super::{
    access::{Arns, Target, constraint, find_policy, permit, policy_arn},
    answer::{PolicySummary, PolicyTarget},
};
use crate::{
    kms::{Call, CallError, Outcome},
    model::{ControlPolicyId, ControlPolicyType, ErrorCode, TargetId},
    services::query::operations,
    world::{ControlPolicy, World},
};

/// The most policies of one type on the root, a unit or an account, AWS's own among them (Organizations quotas).
pub const ATTACHED_POLICIES_MAX: usize = 5;

operations! { in "organizations";
    /// Attaches a control policy to the root, a unit or an account: it bears on all accounts there.
    AttachPolicy writes -> () as "" {
        /// The policy.
        policy_id "PolicyId": ControlPolicyId,
        /// The root, the unit or the account.
        target_id "TargetId": TargetId,
    }

    /// Detaches a control policy.
    DetachPolicy writes -> () as "" {
        /// The policy.
        policy_id "PolicyId": ControlPolicyId,
        /// The root, the unit or the account.
        target_id "TargetId": TargetId,
    }

    /// Lists the control policies that hang on the root, a unit or an account itself.
    ListPoliciesForTarget reads -> Vec<PolicySummary> as "Policies" {
        /// The root, the unit or the account.
        target_id "TargetId": TargetId,
        /// The type: `SERVICE_CONTROL_POLICY` or `RESOURCE_CONTROL_POLICY`.
        filter "Filter": ControlPolicyType,
    }

    /// Lists what a control policy hangs on.
    ListTargetsForPolicy reads -> Vec<PolicyTarget> as "Targets" {
        /// The policy.
        policy_id "PolicyId": ControlPolicyId,
    }
}

impl AttachPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, world| {
            vec![policy_arn(arns, world, &self.policy_id), arns.target(&self.target_id)]
        })?;
        let world = call.world();
        let policy = find_policy(world, &self.policy_id)?;
        let target = Target::find(world, &organization, &self.target_id)?;
        if !organization.policy_types.contains(&policy.policy_type) {
            let message =
                format!("The policy type {} is not enabled in {}.", policy.policy_type, organization.root);
            let why = format!(
                "`enable-policy-type --root-id {} --policy-type {}` puts it in force",
                organization.root, policy.policy_type
            );
            return Err(CallError::new(ErrorCode::PolicyTypeNotEnabled, message).explained(why));
        }
        let mut attached = target.attached();
        if !attached.insert(policy.id.clone()) {
            let message = format!("The policy {} is attached to {} already.", self.policy_id, self.target_id);
            return Err(CallError::new(ErrorCode::DuplicatePolicyAttachment, message));
        }
        if of_type(world, attached.iter(), policy.policy_type) > ATTACHED_POLICIES_MAX {
            let why = format!("at most {ATTACHED_POLICIES_MAX} policies of a type hang on one of them");
            return Err(constraint("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", why));
        }
        Ok(Outcome::answer(permitted, ()).changing(vec![target.with(attached)], Value::Null))
    }
}

impl DetachPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, world| {
            vec![policy_arn(arns, world, &self.policy_id), arns.target(&self.target_id)]
        })?;
        let world = call.world();
        let policy = find_policy(world, &self.policy_id)?;
        let target = Target::find(world, &organization, &self.target_id)?;
        let mut attached = target.attached();
        if !attached.remove(&policy.id) {
            let message = format!("The policy {} is not attached to {}.", self.policy_id, self.target_id);
            return Err(CallError::new(ErrorCode::PolicyNotAttached, message));
        }
        let least = "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED";
        match policy.policy_type {
            ControlPolicyType::ResourceControlPolicy if policy.is_aws_managed() => {
                return Err(constraint(least, format!("{} cannot be detached", policy.name)));
            }
            ControlPolicyType::ServiceControlPolicy
                if of_type(world, attached.iter(), policy.policy_type) == 0 =>
            {
                let why = "each root, unit and account has at least one service control policy: attach another first";
                return Err(constraint(least, why));
            }
            _ => {}
        }
        Ok(Outcome::answer(permitted, ()).changing(vec![target.with(attached)], Value::Null))
    }
}

impl ListPoliciesForTarget {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |arns, _| vec![arns.target(&self.target_id)])?;
        let world = call.world();
        let (arns, target) =
            (Arns::of(world, &organization), Target::find(world, &organization, &self.target_id)?);
        let attached = target.attached();
        let policies = attached.iter().filter_map(|id| world.control_policy(id));
        let policies = policies.filter(|policy| policy.policy_type == self.filter);
        let policies = policies.map(|policy| PolicySummary::of(arns, policy)).collect();
        Ok(Outcome::answer(permitted, policies))
    }
}

impl ListTargetsForPolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) =
            permit(call, |arns, world| vec![policy_arn(arns, world, &self.policy_id)])?;
        let world = call.world();
        let policy: &ControlPolicy = &*find_policy(world, &self.policy_id)?;
        let arns = Arns::of(world, &organization);
        let targets = Target::all(world, &organization);
        let targets = targets.iter().filter(|target| target.attached().contains(&policy.id));
        let targets = targets.map(|target| PolicyTarget::of(arns, target)).collect();
        Ok(Outcome::answer(permitted, targets))
    }
}

/// How many of these policies are of a type.
fn of_type<'a>(
    world: &World,
    ids: impl Iterator<Item = &'a ControlPolicyId>,
    policy_type: ControlPolicyType,
) -> usize {
    let policies = ids.filter_map(|id| world.control_policy(id));
    policies.filter(|policy| policy.policy_type == policy_type).count()
}
