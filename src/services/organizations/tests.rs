//! Accounts, organizational units and control policies, each allowed thing beside its denied twin.

use serde_json::{Value, json};

use super::*;
use crate::{
    kms::{
        About, Caller, CreateGrant, CreateKey, DescribeKey, DisableKey, EnableKey, ListKeys, Question,
        RetireGrant, RevokeGrant, WhichGrant,
    },
    model::{AccountId, ErrorCode, KeyArn, PrincipalArn, Tags},
    policy::{CheckEffect, CheckType, DecisionEffect, GrantOperation, SmallestFix, Trace},
    testing::Lab,
};

#[test]
fn an_account_is_made_by_the_management_account_alone_and_then_its_root_can_call() {
    let lab = Lab::new().unwrap();
    let organizations = lab.keystore().organizations();
    let (partner, third): (AccountId, AccountId) =
        ("444455556666".parse().unwrap(), "777788889999".parse().unwrap());
    let root = Caller::local(PrincipalArn::root(&partner));
    let nobody = lab.kms().list_keys(&root, ListKeys::default()).unwrap_err();
    assert_eq!(nobody.code(), ErrorCode::InvalidClientTokenId);

    let alice = lab.user("alice", &["kms:*"]).unwrap();
    let denied = organizations.create_account(&alice, partner.clone(), "partner").unwrap_err();
    assert_eq!(denied.code(), ErrorCode::AccessDenied);
    organizations.create_account(&lab.admin(), partner.clone(), "partner").unwrap();
    assert!(lab.kms().list_keys(&root, ListKeys::default()).unwrap().is_empty());

    let again = organizations.create_account(&lab.admin(), partner, "partner").unwrap_err();
    assert_eq!(again.code(), ErrorCode::EntityAlreadyExists);
    let theirs = organizations.create_account(&root, third.clone(), "third").unwrap_err();
    assert_eq!(theirs.code(), ErrorCode::AccessDenied);
    let nameless = organizations.create_account(&lab.admin(), third, "").unwrap_err();
    assert_eq!(nameless.code(), ErrorCode::OrganizationsInvalidInput);
}

#[test]
fn what_concerns_the_whole_keystore_is_the_management_accounts_alone() {
    let lab = Lab::new().unwrap();
    let (keystore, partner): (_, AccountId) = (lab.keystore(), "444455556666".parse().unwrap());
    keystore.organizations().create_account(&lab.admin(), partner.clone(), "partner").unwrap();
    let root = keystore.organizations().assume_root(&lab.admin(), partner.clone()).unwrap();
    let code = |error: CallError| error.code();
    assert_eq!(
        keystore.advance_clock(&root, crate::model::Days::new(1)).map_err(code),
        Err(ErrorCode::AccessDenied)
    );
    let home = lab.admin().account();
    let home_root = keystore.organizations().assume_root(&root, home.clone());
    assert_eq!(home_root.map_err(code), Err(ErrorCode::AccessDenied));
    for no_member in [home, "999988887777".parse().unwrap(), AccountId::of_the_services()] {
        let refused = keystore.organizations().assume_root(&lab.admin(), no_member);
        assert_eq!(refused.map_err(code), Err(ErrorCode::Validation));
    }
    // Each account reads its own records.
    lab.kms().list_keys(&root, ListKeys::default()).unwrap();
    let theirs = keystore.audit_tail(&root, 100).unwrap();
    assert!(!theirs.is_empty() && theirs.iter().all(|event| event.recipient_account_id == partner));
    let ours = keystore.audit_tail(&lab.admin(), 3).unwrap();
    assert!(ours.len() == 3 && ours.iter().all(|event| event.recipient_account_id != partner));
}

#[test]
fn whether_another_accounts_key_exists_is_not_told() {
    let lab = Lab::new().unwrap();
    let partner: AccountId = "444455556666".parse().unwrap();
    lab.keystore().organizations().create_account(&lab.admin(), partner.clone(), "partner").unwrap();
    let root = Caller::local(PrincipalArn::root(&partner));
    let there = lab.key().unwrap().to_string();
    let missing = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned();
    let words = |arn: &str| {
        let described = lab.kms().describe_key(&root, DescribeKey { key_id: arn.parse().unwrap() });
        let listed = lab.kms().call(&root, &crate::kms::ListAliases { key_id: Some(arn.parse().unwrap()) });
        let disabled = lab.kms().disable_key(&root, DisableKey { key_id: arn.parse().unwrap() });
        [described.unwrap_err(), listed.unwrap_err(), disabled.unwrap_err()]
            .map(|e| e.to_string().replace(arn, "ARN"))
    };
    assert_eq!(words(&there), words(&missing));

    // Nor by an alias, nor by the record of the denial.
    let alias: crate::model::AliasName = "alias/there".parse().unwrap();
    let target_key_id = there.parse().unwrap();
    let create = crate::kms::CreateAlias { alias_name: alias.clone(), target_key_id };
    lab.kms().create_alias(&lab.admin(), create).unwrap();
    let prefix = "arn:aws:kms:us-east-1:111122223333:";
    assert_eq!(words(&format!("{prefix}{alias}")), words(&format!("{prefix}alias/missing")));
    let denials = lab.keystore().audit_tail(&root, 12).unwrap();
    assert!(denials.iter().all(|denial| denial.resources.is_empty() && denial.error_code.is_some()));
}

/// A keystore with an organization, a member account and one that stands alone.
struct Org {
    lab: Lab,
    member: AccountId,
    outsider: AccountId,
}

const ROOT: &str = "r-ab12";
const UNIT: &str = "ou-ab12-11111111";

impl Org {
    fn new() -> Self {
        let lab = Lab::new().unwrap();
        let (member, outsider): (AccountId, AccountId) =
            ("222222222222".parse().unwrap(), "444455556666".parse().unwrap());
        let organizations = lab.keystore().organizations();
        organizations.create_account(&lab.admin(), outsider.clone(), "outsider").unwrap();
        let org = Self { lab, member, outsider };
        org.admin("CreateOrganization", json!({"OrganizationId": "o-exampleorgid", "RootId": ROOT})).unwrap();
        org.admin("CreateAccount", json!({"AccountName": "member", "AccountId": "222222222222"})).unwrap();
        org.admin(
            "CreateOrganizationalUnit",
            json!({"ParentId": ROOT, "Name": "research", "OrganizationalUnitId": UNIT}),
        )
        .unwrap();
        org
    }

    fn call(&self, caller: &Caller, name: &str, parameters: Value) -> Result<Value, CallError> {
        let entry = OPERATIONS.iter().find(|entry| entry.name == name).unwrap();
        let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
        entry.call(self.lab.keystore().kms(), caller, parameters).map(|reply| reply.body)
    }

    fn admin(&self, name: &str, parameters: Value) -> Result<Value, CallError> {
        self.call(&self.lab.admin(), name, parameters)
    }

    fn code(&self, name: &str, parameters: Value) -> ErrorCode {
        self.admin(name, parameters).expect_err("the call should have failed").code()
    }

    fn root_of(&self, account: &AccountId) -> Caller {
        Caller::local(PrincipalArn::root(account))
    }

    /// A user of this account who may do everything that identity policies can allow.
    fn user_of(&self, account: &AccountId, name: &str) -> Caller {
        let (iam, root) = (self.lab.keystore().iam(), self.root_of(account));
        let arn = iam.create_user(&root, name.parse().unwrap(), Tags::new()).unwrap();
        let all =
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
        iam.put_user_policy(&root, name.parse().unwrap(), "all".parse().unwrap(), all).unwrap();
        Caller::local(arn)
    }

    /// Makes a control policy and attaches it.
    fn attach(&self, policy_type: &str, name: &str, content: &Value, target: &str) -> String {
        let create =
            json!({"Content": content.to_string(), "Description": "", "Name": name, "Type": policy_type});
        let made = self.admin("CreatePolicy", create).unwrap();
        let id = made["Policy"]["PolicySummary"]["Id"].as_str().unwrap().to_owned();
        self.admin("AttachPolicy", json!({"PolicyId": id, "TargetId": target})).unwrap();
        id
    }

    fn scp(&self, name: &str, statement: &Value, target: &str) -> String {
        let content = json!({"Version": "2012-10-17", "Statement": statement});
        self.attach("SERVICE_CONTROL_POLICY", name, &content, target)
    }

    fn rcp(&self, name: &str, statement: &Value, target: &str) -> String {
        let content = json!({"Version": "2012-10-17", "Statement": statement});
        self.attach("RESOURCE_CONTROL_POLICY", name, &content, target)
    }

    fn create_key(&self, caller: &Caller) -> Result<KeyArn, CallError> {
        self.lab.kms().create_key(caller, CreateKey::default()).map(|key| key.arn)
    }

    /// A key that everybody may describe as far as its own policy can say so, under this condition.
    fn open_key(&self, owner: &AccountId, condition: &Value) -> KeyArn {
        let root = self.root_of(owner);
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": owner}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": "*", "Action": ["kms:DescribeKey", "kms:CreateGrant"], "Resource": "*",
             "Condition": condition}]});
        self.lab.kms().create_key(&root, CreateKey::default().policy(policy.to_string())).unwrap().arn
    }

    fn describe(&self, caller: &Caller, key: &KeyArn) -> Result<(), CallError> {
        self.lab.kms().describe_key(caller, DescribeKey { key_id: key.clone().into() }).map(drop)
    }

    fn trace(&self, caller: &Caller, action: &str, key: &KeyArn) -> Trace {
        let question = Question::new(action, About::Key(key.clone().into()));
        self.lab.keystore().explain(caller, &question).unwrap().trace
    }
}

fn message<T>(result: Result<T, CallError>) -> String {
    result.err().expect("the call should have failed").message().to_owned()
}

#[test]
fn units_hold_accounts_and_units_within_awss_limits() {
    let org = Org::new();
    let unit = |parent: &str, name: &str| {
        org.admin("CreateOrganizationalUnit", json!({"ParentId": parent, "Name": name}))
    };
    let mut inner = UNIT.to_owned();
    for level in 2..=UNIT_LEVELS_MAX {
        let made = unit(&inner, &format!("level {level}")).unwrap();
        inner = made["OrganizationalUnit"]["Id"].as_str().unwrap().to_owned();
    }
    assert_eq!(unit(&inner, "too deep").unwrap_err().code(), ErrorCode::ConstraintViolation);
    let codes = [unit(ROOT, "research"), unit("ou-ab12-99999999", "x"), unit(ROOT, "")]
        .map(|made| made.unwrap_err().code());
    let expected = [
        ErrorCode::DuplicateOrganizationalUnit,
        ErrorCode::ParentNotFound,
        ErrorCode::OrganizationsInvalidInput,
    ];
    assert_eq!(codes, expected);

    let moved = |from: &str, to: &str| {
        org.admin(
            "MoveAccount",
            json!({"AccountId": org.member, "SourceParentId": from, "DestinationParentId": to}),
        )
    };
    assert_eq!(moved(UNIT, ROOT).unwrap_err().code(), ErrorCode::SourceParentNotFound);
    assert_eq!(moved(ROOT, "ou-ab12-99999999").unwrap_err().code(), ErrorCode::DestinationParentNotFound);
    assert_eq!(moved(ROOT, ROOT).unwrap_err().code(), ErrorCode::DuplicateAccount);
    moved(ROOT, &inner).unwrap();
    let parents = org.admin("ListParents", json!({"ChildId": org.member})).unwrap();
    assert_eq!(parents, json!({"Parents": [{"Id": inner, "Type": "ORGANIZATIONAL_UNIT"}]}));
    let members = org.admin("ListAccountsForParent", json!({"ParentId": ROOT})).unwrap();
    assert_eq!(members["Accounts"].as_array().unwrap().len(), 1, "the management account");
    assert_eq!(
        org.code("DeleteOrganizationalUnit", json!({"OrganizationalUnitId": inner})),
        ErrorCode::OrganizationalUnitNotEmpty
    );
    assert_eq!(org.code("ListParents", json!({"ChildId": org.outsider})), ErrorCode::ChildNotFound);
    assert_eq!(org.code("DeleteOrganization", json!({})), ErrorCode::OrganizationNotEmpty);

    // The management account can be moved too, and can never leave.
    let own = json!({"AccountId": "111122223333", "SourceParentId": ROOT, "DestinationParentId": UNIT});
    org.admin("MoveAccount", own).unwrap();
    assert_eq!(
        org.code("RemoveAccountFromOrganization", json!({"AccountId": "111122223333"})),
        ErrorCode::MasterCannotLeaveOrganization
    );
    org.admin("RemoveAccountFromOrganization", json!({"AccountId": org.member})).unwrap();
    assert_eq!(org.code("DescribeAccount", json!({"AccountId": org.member})), ErrorCode::AccountNotFound);
}

#[test]
fn principals_of_the_management_account_alone_get_anywhere_and_need_permission() {
    let org = Org::new();
    let bob = org.lab.user("bob", &["kms:*"]).unwrap();
    let member = org.root_of(&org.member);
    for (name, parameters) in [
        ("ListRoots", json!({})),
        ("CreateOrganizationalUnit", json!({"ParentId": ROOT, "Name": "theirs"})),
        ("ListAccounts", json!({})),
        ("AttachPolicy", json!({"PolicyId": "p-FullAWSAccess", "TargetId": ROOT})),
    ] {
        for caller in [&bob, &member] {
            let denied = org.call(caller, name, parameters.clone()).unwrap_err();
            assert_eq!(denied.code(), ErrorCode::AccessDenied, "{name}");
        }
    }
    // A member may know to what it belongs; who stands alone belongs to nothing.
    let seen = org.call(&member, "DescribeOrganization", json!({})).unwrap();
    assert_eq!(seen["Organization"]["Id"], json!("o-exampleorgid"));
    let outside = org.call(&org.root_of(&org.outsider), "DescribeOrganization", json!({})).unwrap_err();
    assert_eq!(outside.code(), ErrorCode::OrganizationsNotInUse);
    assert_eq!(org.code("CreateOrganization", json!({})), ErrorCode::AlreadyInOrganization);
    // An identity policy can be about one unit.
    let policy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "organizations:Describe*",
        "Resource": "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-ab12-11111111"}}"#;
    let carol = org.lab.user_with_policy("carol", policy).unwrap();
    let describe =
        |unit: &str| org.call(&carol, "DescribeOrganizationalUnit", json!({"OrganizationalUnitId": unit}));
    assert!(describe(UNIT).is_ok());
    assert_eq!(describe("ou-ab12-22222222").unwrap_err().code(), ErrorCode::AccessDenied);
}

#[test]
fn policies_are_checked_when_written_and_hang_within_awss_limits() {
    let org = Org::new();
    let deny = json!({"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"});
    let content = json!({"Version": "2012-10-17", "Statement": deny}).to_string();
    let create = |name: &str, content: &str, policy_type: &str| {
        org.admin("CreatePolicy", json!({"Content": content, "Name": name, "Type": policy_type}))
    };
    let scp = "SERVICE_CONTROL_POLICY";
    let malformed = create("x", &content.replace("Deny", "Maybe"), scp).unwrap_err();
    assert_eq!(malformed.code(), ErrorCode::MalformedPolicyDocument);
    assert!(malformed.explanation().unwrap().contains("neither Allow nor Deny"), "{malformed:?}");
    let long = format!("{content}{}", " ".repeat(6_000));
    assert_eq!(create("x", &long, scp).unwrap_err().code(), ErrorCode::ConstraintViolation);
    let no_rcp = create("x", &content, "RESOURCE_CONTROL_POLICY").unwrap_err();
    assert_eq!(no_rcp.code(), ErrorCode::MalformedPolicyDocument);
    assert_eq!(create("FullAWSAccess", &content, scp).unwrap_err().code(), ErrorCode::DuplicatePolicy);

    let attach =
        |id: &str, target: &str| org.admin("AttachPolicy", json!({"PolicyId": id, "TargetId": target}));
    let detach =
        |id: &str, target: &str| org.admin("DetachPolicy", json!({"PolicyId": id, "TargetId": target}));
    let full = "p-FullAWSAccess";
    assert_eq!(detach(full, UNIT).unwrap_err().code(), ErrorCode::ConstraintViolation);
    let ids: Vec<String> =
        (1..ATTACHED_POLICIES_MAX).map(|number| org.scp(&format!("deny {number}"), &deny, UNIT)).collect();
    let one = ids.first().unwrap();
    assert_eq!(attach(one, UNIT).unwrap_err().code(), ErrorCode::DuplicatePolicyAttachment);
    let surplus = create("surplus", &content, scp).unwrap()["Policy"]["PolicySummary"]["Id"].clone();
    assert_eq!(attach(surplus.as_str().unwrap(), UNIT).unwrap_err().code(), ErrorCode::ConstraintViolation);
    assert_eq!(org.code("DeletePolicy", json!({"PolicyId": one})), ErrorCode::PolicyInUse);
    let targets = org.admin("ListTargetsForPolicy", json!({"PolicyId": one})).unwrap();
    assert_eq!(targets["Targets"][0]["TargetId"], json!(UNIT));
    detach(full, UNIT).unwrap();
    detach(one, UNIT).unwrap();
    assert_eq!(detach(one, UNIT).unwrap_err().code(), ErrorCode::PolicyNotAttached);
    org.admin("DeletePolicy", json!({"PolicyId": one})).unwrap();
    assert_eq!(attach(one, UNIT).unwrap_err().code(), ErrorCode::PolicyNotFound);
    assert_eq!(attach(full, "999999999999").unwrap_err().code(), ErrorCode::TargetNotFound);
    assert_eq!(attach(full, org.outsider.as_str()).unwrap_err().code(), ErrorCode::TargetNotFound);

    // AWS's own are nobody's to change, and a type must be in force before its policies hang anywhere.
    let own = json!({"PolicyId": full, "Content": content});
    assert_eq!(org.code("UpdatePolicy", own), ErrorCode::OrganizationsInvalidInput);
    let rcp = "p-RCPFullAWSAccess";
    assert_eq!(attach(rcp, UNIT).unwrap_err().code(), ErrorCode::PolicyTypeNotEnabled);
    let enable = json!({"RootId": ROOT, "PolicyType": "RESOURCE_CONTROL_POLICY"});
    org.admin("EnablePolicyType", enable.clone()).unwrap();
    assert_eq!(org.code("EnablePolicyType", enable.clone()), ErrorCode::PolicyTypeAlreadyEnabled);
    let listed = json!({"TargetId": org.member, "Filter": "RESOURCE_CONTROL_POLICY"});
    let listed = org.admin("ListPoliciesForTarget", listed).unwrap();
    assert_eq!(listed["Policies"][0]["Id"], json!(rcp));
    assert_eq!(detach(rcp, UNIT).unwrap_err().code(), ErrorCode::ConstraintViolation);
    org.admin("DisablePolicyType", enable.clone()).unwrap();
    assert_eq!(org.code("DisablePolicyType", enable), ErrorCode::PolicyTypeNotEnabled);
    assert_eq!(attach(rcp, UNIT).unwrap_err().code(), ErrorCode::PolicyTypeNotEnabled);
}

#[test]
fn a_service_control_policy_bounds_everybody_in_the_accounts_it_hangs_on() {
    let org = Org::new();
    let (root, pat) = (org.root_of(&org.member), org.user_of(&org.member, "pat"));
    let key = org.create_key(&pat).unwrap();
    assert!(org.describe(&root, &key).is_ok());

    let deny = json!({"Sid": "NoNewKeys", "Effect": "Deny", "Action": "kms:CreateKey", "Resource": "*"});
    org.scp("no-new-keys", &deny, UNIT);
    assert!(org.create_key(&pat).is_ok(), "the account does not stand in that unit yet");
    let (root_id, unit) = (json!(ROOT), json!(UNIT));
    let moved = |from: &Value, to: &Value| json!({"AccountId": org.member, "SourceParentId": from, "DestinationParentId": to});
    org.admin("MoveAccount", moved(&root_id, &unit)).unwrap();
    // Not even the root user is spared, but the management account is.
    for caller in [&root, &pat] {
        let denied = message(org.create_key(caller));
        assert!(denied.ends_with("with an explicit deny in a service control policy"), "{denied}");
    }
    org.admin(
        "MoveAccount",
        json!({"AccountId": "111122223333", "SourceParentId": ROOT, "DestinationParentId": UNIT}),
    )
    .unwrap();
    assert!(org.create_key(&org.lab.admin()).is_ok());
    assert!(org.describe(&pat, &key).is_ok(), "what it does not deny goes on");

    // What is not on the list of each level does not pass.
    let list =
        json!({"Sid": "Look", "Effect": "Allow", "Action": ["kms:Describe*", "kms:List*"], "Resource": "*"});
    let allowed = org.scp("look-only", &list, org.member.as_str());
    assert!(org.lab.kms().disable_key(&pat, DisableKey { key_id: key.clone().into() }).is_ok());
    org.admin("DetachPolicy", json!({"PolicyId": "p-FullAWSAccess", "TargetId": org.member})).unwrap();
    let denied = message(org.lab.kms().enable_key(&pat, EnableKey { key_id: key.clone().into() }));
    assert!(
        denied.ends_with("because no service control policy allows the kms:EnableKey action"),
        "{denied}"
    );
    assert!(org.describe(&pat, &key).is_ok());

    // What it says can be changed, and holds from then on.
    let content = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}});
    org.admin("UpdatePolicy", json!({"PolicyId": allowed, "Content": content.to_string()})).unwrap();
    assert!(org.lab.kms().enable_key(&pat, EnableKey { key_id: key.clone().into() }).is_ok());

    // Without its type in force, nothing of it is.
    org.admin("DisablePolicyType", json!({"RootId": ROOT, "PolicyType": "SERVICE_CONTROL_POLICY"})).unwrap();
    assert!(org.create_key(&pat).is_ok());
}

#[test]
fn a_resource_control_policy_keeps_strangers_from_the_accounts_keys() {
    let org = Org::new();
    let anybody = json!({});
    let (theirs, ours) =
        (org.open_key(&org.member, &anybody), org.open_key(&org.lab.admin().account(), &anybody));
    let (stranger, pat) = (org.user_of(&org.outsider, "stranger"), org.user_of(&org.member, "pat"));
    let admin = org.lab.admin();
    assert!(org.describe(&stranger, &theirs).is_ok());

    org.admin("EnablePolicyType", json!({"RootId": ROOT, "PolicyType": "RESOURCE_CONTROL_POLICY"})).unwrap();
    assert!(org.describe(&stranger, &theirs).is_ok(), "what lets everything pass is attached first");
    let fence = json!({"Sid": "OursAlone", "Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-exampleorgid"},
                      "Bool": {"aws:PrincipalIsAWSService": "false"}}});
    org.rcp("ours-alone", &fence, ROOT);
    // AWS does not tell a stranger why; the explanation does.
    let denied = org.describe(&stranger, &theirs).unwrap_err();
    assert_eq!(denied.code(), ErrorCode::AccessDenied);
    assert!(
        denied
            .explanation()
            .unwrap()
            .contains("`OursAlone` of the resource control policy `ours-alone on r-ab12`"),
        "{denied:?}"
    );
    // Members and the management account may, and what the management account owns is not fenced.
    assert!(org.describe(&pat, &theirs).is_ok() && org.describe(&admin, &theirs).is_ok());
    assert!(org.describe(&stranger, &ours).is_ok());

    // In the account itself it is named.
    let frozen = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*"});
    org.rcp("frozen", &frozen, org.member.as_str());
    let disable = |key: &KeyArn, caller: &Caller| {
        org.lab.kms().disable_key(caller, DisableKey { key_id: key.clone().into() })
    };
    let denied = message(disable(&theirs, &pat));
    assert!(denied.ends_with("with an explicit deny in a resource control policy"), "{denied}");
    assert!(disable(&ours, &admin).is_ok());
}

#[test]
fn retiring_a_grant_is_for_the_grant_alone_to_allow_whatever_resource_control_policies_say() {
    let org = Org::new();
    let (key, pat) = (org.open_key(&org.member, &json!({})), org.user_of(&org.member, "pat"));
    let grant = CreateGrant {
        retiring_principal: Some(pat.arn().unwrap().clone()),
        ..CreateGrant::new(key.clone(), pat.arn().unwrap().clone(), [GrantOperation::Decrypt])
    };
    let made = org.lab.kms().call(&pat, &grant).unwrap();
    org.admin("EnablePolicyType", json!({"RootId": ROOT, "PolicyType": "RESOURCE_CONTROL_POLICY"})).unwrap();
    let nothing = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    org.rcp("nothing", &nothing, ROOT);
    let revoke = RevokeGrant { key_id: key.clone().into(), grant_id: made.grant_id.clone() };
    assert_eq!(org.lab.kms().call(&pat, &revoke).unwrap_err().code(), ErrorCode::AccessDenied);
    let retire =
        RetireGrant { grant: WhichGrant::Id { key_id: key.clone().into(), grant_id: made.grant_id } };
    assert!(org.lab.kms().call(&pat, &retire).is_ok());
}

#[test]
fn who_belongs_to_the_organization_and_where_is_seen_by_conditions() {
    let org = Org::new();
    let home = org.lab.admin().account();
    let (stranger, pat) = (org.user_of(&org.outsider, "stranger"), org.user_of(&org.member, "pat"));
    let by_id = org.open_key(&home, &json!({"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}}));
    assert!(org.describe(&pat, &by_id).is_ok());
    assert_eq!(org.describe(&stranger, &by_id).unwrap_err().code(), ErrorCode::AccessDenied);

    let path = format!("o-exampleorgid/{ROOT}/{UNIT}/*");
    let by_path = org.open_key(&home, &json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": path}}));
    assert_eq!(org.describe(&pat, &by_path).unwrap_err().code(), ErrorCode::AccessDenied);
    let moved = json!({"AccountId": org.member, "SourceParentId": ROOT, "DestinationParentId": UNIT});
    org.admin("MoveAccount", moved).unwrap();
    assert!(org.describe(&pat, &by_path).is_ok());

    // Where the resource belongs, for who may use keys of the organization alone.
    let policy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}}}}"#;
    let carol = org.lab.user_with_policy("carol", policy).unwrap();
    let outside = org.open_key(&org.outsider, &json!({}));
    assert!(org.describe(&carol, &by_id).is_ok());
    assert_eq!(org.describe(&carol, &outside).unwrap_err().code(), ErrorCode::AccessDenied);
    org.admin("RemoveAccountFromOrganization", json!({"AccountId": org.member})).unwrap();
    assert_eq!(org.describe(&pat, &by_id).unwrap_err().code(), ErrorCode::AccessDenied);
}

#[test]
fn an_explanation_shows_each_level_and_the_policy_on_it() {
    let org = Org::new();
    let pat = org.user_of(&org.member, "pat");
    let key = org.create_key(&pat).unwrap();
    let layer = |trace: &Trace| {
        let check = trace.pairs[0].check(CheckType::ServiceControlPolicy).unwrap().clone();
        let names: Vec<String> = check.statements.iter().map(|one| one.policy.clone()).collect();
        (check.effect, names)
    };
    let allowed = org.trace(&pat, "kms:Decrypt", &key);
    let full = |on: &str| format!("FullAWSAccess on {on}");
    assert_eq!(layer(&allowed), (CheckEffect::Allow, vec![full(ROOT), full(org.member.as_str())]));
    let deny = json!({"Sid": "NoDecrypt", "Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"});
    org.scp("no-decrypt", &deny, ROOT);
    let denied = org.trace(&pat, "kms:Decrypt", &key);
    assert_eq!(
        (denied.effect, denied.deciding),
        (DecisionEffect::ExplicitDeny, CheckType::ServiceControlPolicy)
    );
    let (effect, names) = layer(&denied);
    assert_eq!(effect, CheckEffect::ExplicitDeny);
    assert!(names.contains(&format!("no-decrypt on {ROOT}")), "{names:?}");
    assert!(matches!(denied.smallest_fix, Some(SmallestFix::Withheld(_))));
    // Nobody in the management account has that layer.
    let ours = org.lab.key().unwrap();
    let trace = org.trace(&org.lab.admin(), "kms:Decrypt", &ours);
    assert!(layer(&trace).1.is_empty());
}
