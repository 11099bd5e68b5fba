//! Control policies: what they say, checked when it is written.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    access::{Arns, Target, constraint, find_policy, invalid, permit, policy_arn},
    answer::{PolicyDetail, PolicySummary},
    value::{Name, PolicyDescription},
};
use crate::{
    kms::{Call, CallError, Outcome},
    model::{ControlPolicyId, ControlPolicyType, ErrorCode},
    policy::{CONTROL_POLICY_CHARS_MAX, Policy},
    services::{iam::PolicyText, query::operations},
    world::{Change, ControlPolicy, OrganizationChange, World},
};

/// The most service control policies in an organization (Organizations quotas).
pub const SERVICE_CONTROL_POLICIES_MAX: usize = 10_000;
/// The most resource control policies in an organization (Organizations quotas).
pub const RESOURCE_CONTROL_POLICIES_MAX: usize = 1_000;

operations! { in "organizations";
    /// Makes a control policy; it bears on nothing before it is attached.
    CreatePolicy writes -> PolicyDetail as "Policy" {
        /// What it says.
        content "Content": PolicyText,
        /// What it is for.
        description "Description": Option<PolicyDescription>,
        /// Its name.
        name "Name": Name,
        /// Its type: `SERVICE_CONTROL_POLICY` or `RESOURCE_CONTROL_POLICY`.
        policy_type "Type": ControlPolicyType,
        /// An id of one's own; random when left out. AWS chooses it.
        policy_id "PolicyId": Option<ControlPolicyId>,
    }

    /// Changes what a control policy says, its name or its description.
    UpdatePolicy writes -> PolicyDetail as "Policy" {
        /// The policy.
        policy_id "PolicyId": ControlPolicyId,
        /// Its new name.
        name "Name": Option<Name>,
        /// What it is for now.
        description "Description": Option<PolicyDescription>,
        /// What it says now.
        content "Content": Option<PolicyText>,
    }

    /// Shows a control policy.
    DescribePolicy reads -> PolicyDetail as "Policy" {
        /// The policy.
        policy_id "PolicyId": ControlPolicyId,
    }

    /// Deletes a control policy that hangs on nothing.
    DeletePolicy writes -> () as "" {
        /// The policy.
        policy_id "PolicyId": ControlPolicyId,
    }

    /// Lists the control policies of a type.
    ListPolicies reads -> Vec<PolicySummary> as "Policies" {
        /// The type: `SERVICE_CONTROL_POLICY` or `RESOURCE_CONTROL_POLICY`.
        filter "Filter": ControlPolicyType,
    }
}

impl CreatePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |_, _| Vec::new())?;
        let document = parse(&self.content, self.policy_type)?;
        check_name_is_free(call.world(), self.policy_type, &self.name)?;
        let max = match self.policy_type {
            ControlPolicyType::ServiceControlPolicy => SERVICE_CONTROL_POLICIES_MAX,
            ControlPolicyType::ResourceControlPolicy => RESOURCE_CONTROL_POLICIES_MAX,
        };
        let of_type = |policy: &&Arc<ControlPolicy>| policy.policy_type == self.policy_type;
        if call.world().control_policies().filter(of_type).count() >= max {
            let why = format!("an organization has at most {max} policies of the type {}", self.policy_type);
            return Err(constraint("POLICY_NUMBER_LIMIT_EXCEEDED", why));
        }
        let id = match &self.policy_id {
            Some(id) if call.world().control_policy(id).is_some() => {
                let message = format!("There is a policy {id} already.");
                return Err(CallError::new(ErrorCode::DuplicatePolicy, message));
            }
            Some(id) => id.clone(),
            None => ControlPolicyId::from_random(call.random().array()?),
        };
        let policy = ControlPolicy {
            id,
            name: self.name.to_string(),
            description: self.description.as_ref().map(ToString::to_string).unwrap_or_default(),
            policy_type: self.policy_type,
            document,
        };
        let answer = PolicyDetail::of(Arns::of(call.world(), &organization), &policy);
        let summary = &answer.policy_summary;
        let elements = json!({"policy": {"policySummary": {"id": summary.id, "arn": summary.arn,
            "name": summary.name, "type": summary.policy_type}}});
        Ok(Outcome::answer(permitted, answer).changing(vec![put(policy)], elements))
    }
}

impl UpdatePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) =
            permit(call, |arns, world| vec![policy_arn(arns, world, &self.policy_id)])?;
        let mut policy = ControlPolicy::clone(&*find_policy(call.world(), &self.policy_id)?);
        check_is_the_customers(&policy)?;
        if let Some(content) = &self.content {
            policy.document = parse(content, policy.policy_type)?;
        }
        if let Some(name) = self.name.as_ref().filter(|name| name.as_str() != policy.name) {
            check_name_is_free(call.world(), policy.policy_type, name)?;
            policy.name = name.to_string();
        }
        if let Some(description) = &self.description {
            policy.description = description.to_string();
        }
        let answer = PolicyDetail::of(Arns::of(call.world(), &organization), &policy);
        Ok(Outcome::answer(permitted, answer).changing(vec![put(policy)], Value::Null))
    }
}

impl DescribePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) =
            permit(call, |arns, world| vec![policy_arn(arns, world, &self.policy_id)])?;
        let policy = find_policy(call.world(), &self.policy_id)?;
        let answer = PolicyDetail::of(Arns::of(call.world(), &organization), &policy);
        Ok(Outcome::answer(permitted, answer))
    }
}

impl DeletePolicy {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) =
            permit(call, |arns, world| vec![policy_arn(arns, world, &self.policy_id)])?;
        let policy = find_policy(call.world(), &self.policy_id)?;
        check_is_the_customers(&policy)?;
        let targets = Target::all(call.world(), &organization);
        if targets.iter().any(|target| target.attached().contains(&policy.id)) {
            let message = format!("The policy {} is attached to one or more entities.", policy.id);
            return Err(CallError::new(ErrorCode::PolicyInUse, message)
                .explained("`list-targets-for-policy` shows where; detach it there first"));
        }
        let change = Change::Organization(OrganizationChange::DeletePolicy(policy.id.clone()));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl ListPolicies {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, organization) = permit(call, |_, _| Vec::new())?;
        let world = call.world();
        let arns = Arns::of(world, &organization);
        let policies = world.control_policies().filter(|policy| policy.policy_type == self.filter);
        let policies = policies.map(|policy| PolicySummary::of(arns, policy)).collect();
        Ok(Outcome::answer(permitted, policies))
    }
}

fn parse(content: &PolicyText, policy_type: ControlPolicyType) -> Result<Arc<Policy>, CallError> {
    if content.as_str().chars().count() > CONTROL_POLICY_CHARS_MAX {
        let why = format!(
            "a control policy has at most {CONTROL_POLICY_CHARS_MAX} characters, white space counted"
        );
        return Err(constraint("POLICY_CONTENT_LIMIT_EXCEEDED", why));
    }
    Policy::parse_control(content.as_str(), ControlPolicy::kind(policy_type)).map(Arc::new).map_err(|error| {
        let message =
            "The provided policy document does not meet the requirements of the specified policy type.";
        CallError::new(ErrorCode::MalformedPolicyDocument, message).explained(error.to_string())
    })
}

fn check_name_is_free(world: &World, policy_type: ControlPolicyType, name: &Name) -> Result<(), CallError> {
    let mut policies = world.control_policies();
    if !policies.any(|policy| policy.policy_type == policy_type && policy.name == name.as_str()) {
        return Ok(());
    }
    let message = format!("A policy with the same name, {name}, already exists.");
    Err(CallError::new(ErrorCode::DuplicatePolicy, message))
}

fn check_is_the_customers(policy: &ControlPolicy) -> Result<(), CallError> {
    if !policy.is_aws_managed() {
        return Ok(());
    }
    Err(invalid(format!(
        "IMMUTABLE_POLICY: the policy {} is managed by AWS and cannot be modified.",
        policy.id
    )))
}

fn put(policy: ControlPolicy) -> Change {
    Change::Organization(OrganizationChange::PutPolicy(Box::new(policy)))
}
