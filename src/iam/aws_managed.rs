//! The managed policies that AWS makes and everybody attaches: the ones of the services that exist here.
//!
//! Source: "AWS managed policy reference guide". `ReadOnlyAccess` and `IAMFullAccess` are cut down to the services of
//! this program: what they say of others could not be tried here.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use super::{IdentityPolicy, ManagedPolicy, PolicyArn, UniqueId, UniqueIdKind};
use crate::model::Timestamp;

/// Name, description and text of each.
const POLICIES: &[(&str, &str, &str)] = &[
    (
        "AdministratorAccess",
        "Provides full access to AWS services and resources.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
}"#,
    ),
    (
        "PowerUserAccess",
        "Provides full access to AWS services and resources, but does not allow management of users and groups.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
    {
      "Effect": "Allow",
      "Action": [
        "account:GetAccountInformation", "account:GetGovCloudAccountInformation", "account:GetPrimaryEmail",
        "account:ListRegions", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles",
        "organizations:DescribeEffectivePolicy", "organizations:DescribeOrganization"
      ],
      "Resource": "*"
    }
  ]
}"#,
    ),
    (
        "ReadOnlyAccess",
        "Provides read-only access to AWS services and resources.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "ReadOnlyActions",
      "Effect": "Allow",
      "Action": [
        "cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:List*", "cloudtrail:LookupEvents",
        "iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*",
        "kms:Describe*", "kms:Get*", "kms:List*",
        "organizations:Describe*", "organizations:List*",
        "s3:DescribeJob", "s3:Get*", "s3:List*",
        "sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetSessionToken"
      ],
      "Resource": "*"
    }
  ]
}"#,
    ),
    (
        "AWSKeyManagementServicePowerUser",
        "Provides access to AWS Key Management Service (KMS).",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "kms:CreateAlias", "kms:CreateKey", "kms:DeleteAlias", "kms:Describe*", "kms:GenerateRandom", "kms:Get*",
        "kms:List*", "kms:TagResource", "kms:UntagResource", "iam:ListGroups", "iam:ListRoles", "iam:ListUsers"
      ],
      "Resource": "*"
    }
  ]
}"#,
    ),
    (
        "IAMFullAccess",
        "Provides full access to IAM via the AWS Management Console.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "iam:*", "organizations:DescribeAccount", "organizations:DescribeOrganization",
        "organizations:DescribeOrganizationalUnit", "organizations:DescribePolicy", "organizations:ListChildren",
        "organizations:ListParents", "organizations:ListPoliciesForTarget", "organizations:ListRoots",
        "organizations:ListPolicies", "organizations:ListTargetsForPolicy"
      ],
      "Resource": "*"
    }
  ]
}"#,
    ),
    (
        "IAMReadOnlyAccess",
        "Provides read only access to IAM via the AWS Management Console.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "iam:Get*", "iam:List*",
        "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy"
      ],
      "Resource": "*"
    }
  ]
}"#,
    ),
    (
        "AmazonS3FullAccess",
        "Provides full access to all buckets via the AWS Management Console.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": ["s3:*", "s3-object-lambda:*"], "Resource": "*"}]
}"#,
    ),
    (
        "AmazonS3ReadOnlyAccess",
        "Provides read only access to all buckets via the AWS Management Console.",
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"
      ],
      "Resource": "*"
    }
  ]
}"#,
    ),
];

static MANAGED: LazyLock<BTreeMap<PolicyArn, Arc<ManagedPolicy>>> = LazyLock::new(|| {
    let parsed = POLICIES.iter().enumerate().filter_map(|(number, (name, description, text))| {
        let arn = PolicyArn::new(None, super::IamPath::default(), name.parse().ok()?);
        let document = IdentityPolicy::try_from((*text).to_owned()).ok()?;
        // Their ids are the same in every keystore, as at AWS they are the same in every account.
        let mut bytes = [0; 17];
        bytes[16] = u8::try_from(number).ok()?;
        let id = UniqueId::from_random(UniqueIdKind::ManagedPolicy, bytes);
        let mut policy = ManagedPolicy::new(arn.clone(), id, Timestamp::default(), document);
        policy.description = (*description).into();
        Some((arn, Arc::new(policy)))
    });
    parsed.collect()
});

/// The managed policies of AWS.
#[derive(Debug, Clone, Copy)]
pub struct AwsManagedPolicies;

impl AwsManagedPolicies {
    /// The one with this ARN.
    #[must_use]
    pub fn find(arn: &PolicyArn) -> Option<&'static Arc<ManagedPolicy>> {
        MANAGED.get(arn)
    }

    /// All of them, in the order of their ARNs.
    pub fn all() -> impl Iterator<Item = &'static Arc<ManagedPolicy>> {
        MANAGED.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_parses_and_is_found_by_its_arn() {
        assert_eq!(AwsManagedPolicies::all().count(), POLICIES.len());
        for (name, _, text) in POLICIES {
            let arn = format!("arn:aws:iam::aws:policy/{name}").parse().unwrap();
            assert_eq!(AwsManagedPolicies::find(&arn).unwrap().default_version().document.text(), *text);
        }
        let mine = "arn:aws:iam::111122223333:policy/AdministratorAccess".parse().unwrap();
        assert!(AwsManagedPolicies::find(&mine).is_none());
        let ids: std::collections::BTreeSet<_> =
            AwsManagedPolicies::all().map(|one| one.id.clone()).collect();
        assert_eq!(ids.len(), POLICIES.len());
    }
}
