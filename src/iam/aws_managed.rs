//! The managed policies that AWS makes and everybody attaches: the ones of the services that exist here.
//!
//! Source: "AWS managed policy reference guide"; each text was compared with the version that its number names, as AWS
//! published it. `ReadOnlyAccess` is cut down to the services of this program: what it says of others could not be tried.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use super::{IdentityPolicy, ManagedPolicy, PolicyArn, UniqueId, UniqueIdKind, VersionId};

/// A managed policy as AWS published it.
struct Published {
    name: &'static str,
    about: &'static str,
    /// The number of its version.
    version: u32,
    created: &'static str,
    /// When the version was made.
    updated: &'static str,
    text: &'static str,
}

const POLICIES: &[Published] = &[
    Published {
        name: "AdministratorAccess",
        about: "Provides full access to AWS services and resources.",
        version: 1,
        created: "2015-02-06T18:39:46Z",
        updated: "2015-02-06T18:39:46Z",
        text: r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
}"#,
    },
    Published {
        name: "PowerUserAccess",
        about: "Provides full access to AWS services and resources, but does not allow management of users and groups.",
        version: 12,
        created: "2015-02-06T18:39:47Z",
        updated: "2026-02-12T17:59:14Z",
        text: r#"{
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
    },
    Published {
        name: "ReadOnlyAccess",
        about: "Provides read-only access to AWS services and resources.",
        version: 90,
        created: "2015-02-06T18:39:48Z",
        updated: "2022-07-29T19:19:00Z",
        text: r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
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
    },
    Published {
        name: "AWSKeyManagementServicePowerUser",
        about: "Provides access to AWS Key Management Service (KMS).",
        version: 2,
        created: "2015-02-06T18:40:40Z",
        updated: "2017-03-07T00:55:11Z",
        text: r#"{
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
    },
    Published {
        name: "IAMFullAccess",
        about: "Provides full access to IAM via the AWS Management Console.",
        version: 2,
        created: "2015-02-06T18:40:38Z",
        updated: "2019-06-21T19:40:00Z",
        text: r#"{
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
    },
    Published {
        name: "IAMReadOnlyAccess",
        about: "Provides read only access to IAM via the AWS Management Console.",
        version: 4,
        created: "2015-02-06T18:40:39Z",
        updated: "2018-01-25T19:11:27Z",
        text: r#"{
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
    },
    Published {
        name: "AmazonS3FullAccess",
        about: "Provides full access to all buckets via the AWS Management Console.",
        version: 2,
        created: "2015-02-06T18:40:58Z",
        updated: "2021-09-27T20:16:37Z",
        text: r#"{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": ["s3:*", "s3-object-lambda:*"], "Resource": "*"}]
}"#,
    },
    Published {
        name: "AmazonS3ReadOnlyAccess",
        about: "Provides read only access to all buckets via the AWS Management Console.",
        version: 3,
        created: "2015-02-06T18:40:59Z",
        updated: "2023-08-10T21:31:39Z",
        text: r#"{
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
    },
];

static MANAGED: LazyLock<BTreeMap<PolicyArn, Arc<ManagedPolicy>>> = LazyLock::new(|| {
    let parsed = POLICIES.iter().enumerate().filter_map(|(number, published)| {
        let arn = PolicyArn::new(None, super::IamPath::default(), published.name.parse().ok()?);
        let document = IdentityPolicy::try_from(published.text.to_owned()).ok()?;
        // Their ids are the same in every keystore, as at AWS they are the same in every account.
        let mut bytes = [0; 17];
        bytes[16] = u8::try_from(number).ok()?;
        let id = UniqueId::from_random(UniqueIdKind::ManagedPolicy, bytes);
        let (created, updated) = (published.created.parse().ok()?, published.updated.parse().ok()?);
        let policy = ManagedPolicy::new(arn.clone(), id, created, document);
        let mut policy = policy.at_version(VersionId::from_number(published.version), updated);
        policy.description = published.about.into();
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
        for Published { name, version, text, .. } in POLICIES {
            let arn = format!("arn:aws:iam::aws:policy/{name}").parse().unwrap();
            let in_force = AwsManagedPolicies::find(&arn).unwrap().default_version();
            assert_eq!((in_force.document.text(), in_force.id.to_string()), (*text, format!("v{version}")));
        }
        let mine = "arn:aws:iam::111122223333:policy/AdministratorAccess".parse().unwrap();
        assert!(AwsManagedPolicies::find(&mine).is_none());
        let ids: std::collections::BTreeSet<_> =
            AwsManagedPolicies::all().map(|one| one.id.clone()).collect();
        assert_eq!(ids.len(), POLICIES.len());
    }
}
