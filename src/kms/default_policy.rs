//! The key policies that nobody writes: the default one, and those of the keys that services make.
//!
//! Source: "Default key policy" and "AWS managed keys" (KMS developer guide).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{CallError, Service};
use crate::{
    model::{AccountId, Region},
    policy::{BoundPolicy, Policy, PolicyKind},
    world::KeyPolicy,
};

/// What a customer managed key gets when CreateKey is given no policy: the account's identity policies decide.
pub(super) fn default(account: &AccountId) -> Result<KeyPolicy, CallError> {
    parse(&json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": "kms:*",
            "Resource": "*",
        }],
    }))
}

/// What an AWS managed key has: everybody in the account, by way of the service alone; and the account may look at it.
pub(super) fn aws_managed(
    service: Service,
    account: &AccountId,
    region: &Region,
) -> Result<KeyPolicy, CallError> {
    parse(&json!({
        "Version": "2012-10-17",
        "Id": format!("auto-{}-2", service.name()),
        "Statement": [{
            "Sid": format!(
                "Allow access through {} for all principals in the account that are authorized to use {}",
                service.name().to_uppercase(),
                service.name().to_uppercase()
            ),
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"
            ],
            "Resource": "*",
            "Condition": {"StringEquals": {
                "kms:CallerAccount": account,
                "kms:ViaService": format!("{}.{region}.amazonaws.com", service.name()),
            }},
        }, {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*",
        }],
    }))
}

/// What a key has that a service owns: the service alone.
pub(super) fn aws_owned(service: Service) -> Result<KeyPolicy, CallError> {
    parse(&json!({
        "Version": "2012-10-17",
        "Id": format!("owned-by-{}", service.name()),
        "Statement": [{
            "Sid": "The service and nobody else",
            "Effect": "Allow",
            "Principal": {"Service": service.principal()},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
        }],
    }))
}

fn parse(policy: &Value) -> Result<KeyPolicy, CallError> {
    let text =
        serde_json::to_string_pretty(policy).map_err(|error| CallError::internal(error.to_string()))?;
    let policy =
        Policy::parse(&text, PolicyKind::Key).map_err(|error| CallError::internal(error.to_string()))?;
    Ok(KeyPolicy::new(BoundPolicy::new(policy, BTreeMap::new())))
}
