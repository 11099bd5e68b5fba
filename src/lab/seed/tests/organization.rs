//! Organizations and VPC endpoints of seeds.

use super::*;
use crate::kms::{CreateKey, ListKeys};

const SEED: &str = r#"
[accounts.222222222222]
name = "research"
[accounts.222222222222.users.pat.policies.all]
allow = "*"

[accounts.444455556666]
name = "partner"

[organization]
id = "o-exampleorgid"
root = "r-ab12"
outside = ["444455556666"]

[organization.units.research]
id = "ou-ab12-11111111"
[organization.units.research.units.prod]
accounts = ["222222222222"]
attached = ["FullAWSAccess", "no-new-keys"]

[organization.service_control_policies.no-new-keys]
deny = "kms:CreateKey"

[organization.resource_control_policies]
ours-alone = '''{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "kms:*",
    "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-exampleorgid"}}}}'''

[vpc_endpoints.vpce-1a2b3c4d]
vpc = "vpc-1a2b3c4d"
policy = '''{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:List*",
    "Resource": "*"}}'''
"#;

#[test]
fn an_organization_is_made_as_the_seed_says_and_bounds_its_accounts_once() {
    let lab = Lab::new().unwrap();
    apply(&lab, SEED);
    let world = lab.keystore().world().unwrap();
    let path = |id: &str| world.organization_path(&id.parse().unwrap()).map(|(_, path)| path);
    assert!(path("222222222222").unwrap().starts_with("o-exampleorgid/r-ab12/ou-ab12-11111111/ou-ab12-"));
    assert_eq!(path("444455556666"), None);
    let pat = lab.keystore().caller("arn:aws:iam::222222222222:user/pat").unwrap();
    let denied = lab.kms().create_key(&pat, CreateKey::default()).unwrap_err();
    assert!(denied.message().ends_with("with an explicit deny in a service control policy"), "{denied}");
    assert!(lab.kms().create_key(&lab.admin(), CreateKey::default()).is_ok());
    let inside = lab.admin().through_vpc_endpoint("vpce-1a2b3c4d".parse().unwrap());
    assert!(lab.kms().list_keys(&inside, ListKeys::default()).is_ok());
    let denied = lab.kms().create_key(&inside, CreateKey::default()).unwrap_err();
    assert!(denied.message().contains("no VPC endpoint policy"), "{denied}");

    let again = apply(&lab, SEED);
    assert!(again.changes_nothing(), "{again}");
}

#[test]
fn what_a_seed_says_otherwise_is_brought_into_line() {
    let lab = Lab::new().unwrap();
    apply(&lab, SEED);
    let other = SEED
        .replace("kms:CreateKey", "kms:DisableKey")
        .replace("[\"FullAWSAccess\", \"no-new-keys\"]", "[\"FullAWSAccess\", \"ours-alone\"]")
        .replace("kms:List*", "kms:*");
    let plan = Seed::parse(&other).unwrap().plan(lab.keystore()).unwrap();
    let changes: Vec<String> =
        lines(&plan).into_iter().filter(|line| !line.starts_with("unchanged")).collect();
    assert_eq!(
        changes,
        [
            "update     service control policy no-new-keys",
            "update     VPC endpoint vpce-1a2b3c4d: policy",
            "update     unit research/prod: attach ours-alone",
            "update     unit research/prod: detach no-new-keys",
        ]
    );
    plan.apply(lab.keystore(), &lab.admin(), &mut Vec::new()).unwrap();
    assert!(apply(&lab, &other).changes_nothing());
    let pat = lab.keystore().caller("arn:aws:iam::222222222222:user/pat").unwrap();
    assert!(lab.kms().create_key(&pat, CreateKey::default()).is_ok());
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let lab = Lab::new().unwrap();
    for (from, to, says) in [
        ("\"no-new-keys\"]", "\"missing\"]", "control policy `missing`"),
        ("[\"FullAWSAccess\", \"no-new-keys\"]", "[\"ours-alone\"]", "needs a service control policy"),
        ("accounts = [\"222222222222\"]", "accounts = [\"999999999999\"]", "account 999999999999"),
        ("\"Action\": \"kms:*\"", "\"Action\": \"*\"", "names no actions"),
    ] {
        let text = SEED.replacen(from, to, 1);
        let error = Seed::parse(&text).unwrap().plan(lab.keystore()).unwrap_err().to_string();
        assert!(error.starts_with("line ") && error.contains(says), "{error}");
    }
    let empty = SEED.replace("[\"FullAWSAccess\", \"no-new-keys\"]", "[]");
    assert!(Seed::parse(&empty).unwrap_err().to_string().contains("at least one service control policy"));
}
