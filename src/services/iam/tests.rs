//! Each deed of identity management, beside the same deed refused.

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    crypto::totp,
    iam::{AccessKeyStatus, MfaSerial},
    kms::{DescribeKey, GetKeyPolicy, PutKeyPolicy},
    model::ErrorCode,
    secret::SecretBytes,
    services::query::{Parameter, Shape},
    testing::{Lab, START},
};

fn allow(action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
        .to_string()
}

fn trust(principal: &str) -> PolicyText {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}
    ]})
    .to_string()
    .into()
}

/// Calls an operation by its name on the wire, as the administrator.
fn by_name(lab: &Lab, name: &str, parameters: Value) -> Result<Value, CallError> {
    let entry = OPERATIONS.iter().find(|entry| entry.name == name).unwrap();
    let parameters: Map<String, Value> = serde_json::from_value(parameters).unwrap();
    entry.call(lab.keystore().kms(), &lab.admin(), parameters).map(|reply| reply.body)
}

fn code_of<T: std::fmt::Debug>(result: Result<T, CallError>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn tags_are_given_by_those_alone_who_may_tag() {
    let lab = Lab::new().unwrap();
    let iam = lab.keystore().iam();
    let mallory = lab.user("mallory", &["iam:CreateUser"]).unwrap();
    let mut tags = Tags::new();
    tags.set("team", "secrets").unwrap();
    let refused = iam.create_user(&mallory, "eve".parse().unwrap(), tags.clone());
    assert_eq!(code_of(refused), ErrorCode::AccessDenied);
    assert!(iam.create_user(&mallory, "eve".parse().unwrap(), Tags::new()).is_ok());

    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "*",
         "Condition": {"StringEquals": {"aws:RequestTag/team": "secrets"}}}
    ]}"#;
    let hr = lab.user_with_policy("hr", policy).unwrap();
    let refused = iam.create_role(&hr, "mole".parse().unwrap(), tags.clone());
    assert_eq!(code_of(refused), ErrorCode::AccessDenied);
    tags.set("team", "ml").unwrap();
    assert!(iam.create_role(&hr, "trainer".parse().unwrap(), tags).is_ok());
}

#[test]
fn a_new_user_may_nothing_and_a_group_lets_its_members_alone() {
    let lab = Lab::new().unwrap();
    let (iam, admin) = (lab.keystore().iam(), lab.admin());
    let key = lab.key().unwrap();
    let describe = || DescribeKey { key_id: key.clone().into() };
    let (alice, bob) = (lab.user("alice", &[]).unwrap(), lab.user("bob", &[]).unwrap());
    assert_eq!(code_of(lab.kms().describe_key(&alice, describe())), ErrorCode::AccessDenied);

    let group_name: crate::iam::GroupName = "keys".parse().unwrap();
    iam.call(&admin, &CreateGroup { group_name: group_name.clone(), path: None }).unwrap();
    let put = PutGroupPolicy {
        group_name: group_name.clone(),
        policy_name: "look".parse().unwrap(),
        policy_document: allow("kms:DescribeKey").into(),
    };
    iam.call(&admin, &put).unwrap();
    let user_name: UserName = "alice".parse().unwrap();
    let add = AddUserToGroup { group_name: group_name.clone(), user_name: user_name.clone() };
    assert_eq!(code_of(iam.call(&bob, &add)), ErrorCode::AccessDenied);
    iam.call(&admin, &add).unwrap();
    assert!(lab.kms().describe_key(&alice, describe()).is_ok());
    assert_eq!(code_of(lab.kms().describe_key(&bob, describe())), ErrorCode::AccessDenied);

    // A group goes with its users' and policies' leave alone, and a renamed one keeps both.
    assert_eq!(
        code_of(by_name(&lab, "DeleteGroup", json!({"GroupName": "keys"}))),
        ErrorCode::DeleteConflict
    );
    by_name(&lab, "UpdateGroup", json!({"GroupName": "keys", "NewGroupName": "locks"})).unwrap();
    assert!(lab.kms().describe_key(&alice, describe()).is_ok());
    let group = by_name(&lab, "GetGroup", json!({"GroupName": "locks"})).unwrap();
    assert_eq!(group["Users"][0]["UserName"], json!("alice"));
    by_name(&lab, "RemoveUserFromGroup", json!({"GroupName": "locks", "UserName": "alice"})).unwrap();
    assert_eq!(code_of(lab.kms().describe_key(&alice, describe())), ErrorCode::AccessDenied);
    let conflict = by_name(&lab, "DeleteGroup", json!({"GroupName": "locks"}));
    assert_eq!(code_of(conflict), ErrorCode::DeleteConflict);
    by_name(&lab, "DeleteGroupPolicy", json!({"GroupName": "locks", "PolicyName": "look"})).unwrap();
    by_name(&lab, "DeleteGroup", json!({"GroupName": "locks"})).unwrap();
    assert_eq!(code_of(by_name(&lab, "GetGroup", json!({"GroupName": "locks"}))), ErrorCode::NoSuchEntity);
}

#[test]
fn who_is_made_again_under_an_old_name_is_somebody_else() {
    let lab = Lab::new().unwrap();
    let admin = lab.admin();
    let alice = lab.user("alice", &[]).unwrap();
    let key = lab.key().unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"},
         "Action": "kms:DescribeKey", "Resource": "*"}
    ]});
    let put = |text: String| PutKeyPolicy {
        key_id: key.clone().into(),
        policy: text,
        bypass_policy_lockout_safety_check: false,
    };
    lab.kms().put_key_policy(&admin, put(policy.to_string())).unwrap();
    by_name(
        &lab,
        "CreateRole",
        json!({"RoleName": "ops", "AssumeRolePolicyDocument":
        trust("arn:aws:iam::111122223333:user/alice")}),
    )
    .unwrap();
    let describe =
        |caller: &Caller| lab.kms().describe_key(caller, DescribeKey { key_id: key.clone().into() });
    assert!(describe(&alice).is_ok());

    // Renamed, she is still the same.
    by_name(&lab, "UpdateUser", json!({"UserName": "alice", "NewUserName": "alicia", "NewPath": "/team/"}))
        .unwrap();
    let alicia = lab.keystore().caller("arn:aws:iam::111122223333:user/team/alicia").unwrap();
    assert!(describe(&alicia).is_ok());
    let shown = || {
        let key_policy =
            lab.kms().get_key_policy(&admin, GetKeyPolicy { key_id: key.clone().into() }).unwrap();
        let role = by_name(&lab, "GetRole", json!({"RoleName": "ops"})).unwrap();
        [key_policy, role.to_string()]
    };
    assert!(shown().iter().all(|text| text.contains(":user/team/alicia")));
    by_name(&lab, "UpdateUser", json!({"UserName": "alicia", "NewUserName": "alice", "NewPath": "/"}))
        .unwrap();

    let user_of = |name: &str| by_name(&lab, "GetUser", json!({"UserName": name})).unwrap();
    let old_id = user_of("alice")["User"]["UserId"].as_str().unwrap().to_owned();
    by_name(&lab, "DeleteUserPolicy", json!({"UserName": "alice", "PolicyName": "policy"})).unwrap();
    by_name(&lab, "DeleteUser", json!({"UserName": "alice"})).unwrap();
    assert_eq!(code_of(describe(&alice)), ErrorCode::InvalidClientTokenId);
    let again = lab.user("alice", &[]).unwrap();
    assert_eq!(again, alice, "the same name");
    assert_ne!(user_of("alice")["User"]["UserId"], old_id.as_str());
    assert_eq!(code_of(describe(&again)), ErrorCode::AccessDenied);
    assert!(shown().iter().all(|text| text.contains(&old_id) && !text.contains(":user/alice")));

    // What names one who is gone cannot be written; what is written anew means the new one.
    let stale = policy.to_string().replace("arn:aws:iam::111122223333:user/alice", &old_id);
    assert_eq!(code_of(lab.kms().put_key_policy(&admin, put(stale))), ErrorCode::MalformedPolicyDocument);
    lab.kms().put_key_policy(&admin, put(policy.to_string())).unwrap();
    assert!(describe(&again).is_ok());
}

#[test]
fn a_role_needs_a_trust_policy_that_names_somebody() {
    let lab = Lab::new().unwrap();
    let create = |document: PolicyText| {
        by_name(&lab, "CreateRole", json!({"RoleName": "ops", "AssumeRolePolicyDocument": document}))
    };
    for bad in
        [trust("arn:aws:iam::111122223333:user/nobody"), trust("alice"), "{".into(), allow("kms:*").into()]
    {
        assert_eq!(code_of(create(bad)), ErrorCode::IamMalformedPolicyDocument);
    }
    let role = create(trust("arn:aws:iam::111122223333:user/admin")).unwrap();
    assert_eq!(role.pointer("/Role/MaxSessionDuration"), Some(&json!(3600)));
    assert_eq!(code_of(create(trust("111122223333"))), ErrorCode::EntityAlreadyExists);
    let taken = by_name(
        &lab,
        "CreateRole",
        json!({"RoleName": "OPS", "AssumeRolePolicyDocument": trust("111122223333")}),
    );
    assert_eq!(code_of(taken), ErrorCode::EntityAlreadyExists, "case makes no other name");
    by_name(&lab, "UpdateRole", json!({"RoleName": "ops", "MaxSessionDuration": 7200, "Description": "x"}))
        .unwrap();
    let role = by_name(&lab, "GetRole", json!({"RoleName": "ops"})).unwrap();
    assert_eq!(
        (&role["Role"]["MaxSessionDuration"], &role["Role"]["Description"]),
        (&json!(7200), &json!("x"))
    );
    let short = by_name(&lab, "UpdateRole", json!({"RoleName": "ops", "MaxSessionDuration": 60}));
    assert_eq!(code_of(short), ErrorCode::IamValidation);
}

#[test]
fn inline_policies_of_one_user_fit_together_into_their_quota() {
    let lab = Lab::new().unwrap();
    lab.user("alice", &[]).unwrap();
    let long = |name: &str, times: usize| {
        let actions = vec!["kms:DescribeKey"; times];
        let document = json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
        by_name(
            &lab,
            "PutUserPolicy",
            json!({"UserName": "alice", "PolicyName": name, "PolicyDocument": document.to_string()}),
        )
    };
    assert!(long("one", 50).is_ok());
    assert_eq!(code_of(long("two", 80)), ErrorCode::IamLimitExceeded);
    assert!(long("one", 90).is_ok(), "in place of the first");
    let listed = by_name(&lab, "ListUserPolicies", json!({"UserName": "alice"})).unwrap();
    assert_eq!(listed, json!({"PolicyNames": ["one", "policy"], "IsTruncated": false}));
    let malformed =
        json!({"UserName": "alice", "PolicyName": "x", "PolicyDocument": "{\"Version\": \"2012-10-17\"}"});
    assert_eq!(code_of(by_name(&lab, "PutUserPolicy", malformed)), ErrorCode::IamMalformedPolicyDocument);
}

#[test]
fn an_access_keys_secret_is_shown_once_and_two_are_the_most() {
    let lab = Lab::new().unwrap();
    let iam = lab.keystore().iam();
    let alice = lab.user("alice", &["iam:*AccessKey*"]).unwrap();
    let own = || CreateAccessKey { user_name: None };
    let first = iam.call(&alice, &own()).unwrap();
    assert_eq!((first.secret_access_key.len(), first.access_key_id.as_str().len()), (40, 20));
    assert_eq!(first.user_name, Some("alice".parse().unwrap()));
    let second = iam.call(&alice, &own()).unwrap();
    assert!(!first.secret_access_key.ct_eq(&second.secret_access_key));
    assert_eq!(code_of(iam.call(&alice, &own())), ErrorCode::IamLimitExceeded);

    // Neither the world nor the log holds the secret.
    let secret = std::str::from_utf8(first.secret_access_key.expose_secret()).unwrap().to_owned();
    let rows = lab.keystore().world().unwrap().to_rows();
    assert!(rows.iter().all(|row| !String::from_utf8_lossy(&row.body).contains(&secret)));
    let log = format!("{:?}", lab.keystore().audit_tail(&lab.admin(), 100).unwrap());
    assert!(log.contains("CreateAccessKey") && !log.contains(&secret));

    let id = first.access_key_id.clone();
    let update =
        UpdateAccessKey { user_name: None, access_key_id: id.clone(), status: AccessKeyStatus::Inactive };
    iam.call(&alice, &update).unwrap();
    let listed = by_name(&lab, "ListAccessKeys", json!({"UserName": "alice"})).unwrap();
    assert!(listed.to_string().contains("Inactive") && !listed.to_string().contains("Secret"));
    // Nobody deletes another's key by giving their own name.
    let bob = lab.user("bob", &["iam:*AccessKey*"]).unwrap();
    let delete = DeleteAccessKey { user_name: None, access_key_id: id };
    assert_eq!(code_of(iam.call(&bob, &delete)), ErrorCode::NoSuchEntity);
    let conflict = by_name(&lab, "DeleteUser", json!({"UserName": "alice"}));
    assert_eq!(code_of(conflict), ErrorCode::DeleteConflict);
    iam.call(&alice, &delete).unwrap();
    assert_eq!(iam.call(&alice, &ListAccessKeys { user_name: None }).unwrap().len(), 1);
}

/// The code that a device with this seed shows at the lab's time, some steps on.
fn code(seed: &SecretBytes, steps_on: i64) -> String {
    let seed = totp::seed_from_base32(seed).unwrap();
    totp::shown(&seed, u64::try_from(START.as_millis() / 30_000 + steps_on).unwrap())
}

#[test]
fn an_mfa_device_becomes_somebodys_by_two_codes_in_a_row() {
    let lab = Lab::new().unwrap();
    let (iam, admin) = (lab.keystore().iam(), lab.admin());
    lab.user("alice", &[]).unwrap();
    let create =
        CreateVirtualMfaDevice { virtual_mfa_device_name: "phone".parse().unwrap(), path: None, tags: None };
    let device = iam.call(&admin, &create).unwrap();
    assert_eq!(device.base32_string_seed.len(), 64);
    assert_eq!(code_of(iam.call(&admin, &create)), ErrorCode::EntityAlreadyExists);
    let serial: MfaSerial = device.serial_number.clone();
    let enable = |first: &str, second: &str| {
        let parameters = json!({"UserName": "alice", "SerialNumber": serial, "AuthenticationCode1": first,
            "AuthenticationCode2": second});
        by_name(&lab, "EnableMFADevice", parameters)
    };
    let codes = [code(&device.base32_string_seed, 0), code(&device.base32_string_seed, 1)];
    assert_eq!(code_of(enable(&codes[1], &codes[0])), ErrorCode::InvalidAuthenticationCode);
    enable(&codes[0], &codes[1]).unwrap();
    assert_eq!(code_of(enable(&codes[0], &codes[1])), ErrorCode::EntityAlreadyExists);
    let log = format!("{:?}", lab.keystore().audit_tail(&admin, 100).unwrap());
    assert!(log.contains("EnableMFADevice") && !log.contains(&format!("\"{}\"", codes[0])));

    let listed = by_name(&lab, "ListMFADevices", json!({"UserName": "alice"})).unwrap();
    assert_eq!(listed.pointer("/MFADevices/0/SerialNumber"), Some(&json!(serial)));
    let unassigned =
        by_name(&lab, "ListVirtualMFADevices", json!({"AssignmentStatus": "Unassigned"})).unwrap();
    assert_eq!(unassigned["VirtualMFADevices"], json!([]));
    let delete = || by_name(&lab, "DeleteVirtualMFADevice", json!({"SerialNumber": serial}));
    assert_eq!(code_of(delete()), ErrorCode::DeleteConflict);
    by_name(&lab, "DeactivateMFADevice", json!({"UserName": "alice", "SerialNumber": serial})).unwrap();
    delete().unwrap();
    assert_eq!(code_of(delete()), ErrorCode::NoSuchEntity);
}

#[test]
fn no_operation_is_done_for_somebody_without_permission() {
    let lab = Lab::new().unwrap();
    let nobody = lab.user("nobody", &[]).unwrap();
    let sample = |parameter: &Parameter| match (parameter.name, parameter.shape) {
        ("PolicyArn" | "PermissionsBoundary", _) => json!("arn:aws:iam::111122223333:policy/p"),
        ("SerialNumber", _) => json!("arn:aws:iam::111122223333:mfa/p"),
        ("OpenIDConnectProviderArn", _) => json!("arn:aws:iam::111122223333:oidc-provider/p.example"),
        ("Url", _) => json!("https://p.example"),
        ("AccessKeyId", _) => json!("AKIAAAAAAAAAAAAAAAAA"),
        ("AuthenticationCode1" | "AuthenticationCode2", _) => json!("123456"),
        ("Status", _) => json!("Active"),
        ("VersionId", _) => json!("v1"),
        ("PolicySourceArn", _) => json!("arn:aws:iam::111122223333:user/admin"),
        ("ActionNames", _) => json!(["kms:Decrypt"]),
        ("PolicyInputList", _) => json!([trust("111122223333")]),
        (_, Shape::Text) => json!("admin"),
        (_, Shape::Document) => json!(trust("111122223333")),
        (_, Shape::Token) => json!("header.claims.signature"),
        (_, Shape::Number) => json!(3600),
        (_, Shape::Flag) => json!(true),
        (_, Shape::List) => json!(["a"]),
        (_, Shape::Tags) => json!([{"Key": "a", "Value": "b"}]),
        (_, Shape::Tree) => json!([]),
        (_, Shape::Arns) => json!([{"arn": "arn:aws:iam::111122223333:policy/p"}]),
    };
    assert!(OPERATIONS.len() > 40);
    let mut names = std::collections::BTreeSet::new();
    for entry in OPERATIONS {
        assert!(names.insert(entry.name), "{} is there twice", entry.name);
        assert!(entry.about.trim().ends_with('.'), "{}", entry.name);
        let required = entry.parameters.iter().filter(|parameter| !parameter.optional);
        let parameters: Map<String, Value> =
            required.map(|parameter| (parameter.name.to_owned(), sample(parameter))).collect();
        let denied = entry.call(lab.keystore().kms(), &nobody, parameters.clone());
        assert_eq!(code_of(denied), ErrorCode::AccessDenied, "{}", entry.name);
        let mut unknown = parameters.clone();
        unknown.insert("Unknown".into(), json!(1));
        let refused = entry.call(lab.keystore().kms(), &nobody, unknown);
        assert_eq!(code_of(refused), ErrorCode::IamValidation, "{}", entry.name);
        if let Some(first) = parameters.keys().next() {
            let mut fewer = parameters.clone();
            fewer.remove(first);
            let refused = entry.call(lab.keystore().kms(), &nobody, fewer);
            assert_eq!(code_of(refused), ErrorCode::IamValidation, "{}", entry.name);
        }
    }
}

#[test]
fn a_managed_policy_lets_whom_it_hangs_on_and_a_boundary_cuts_down() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let alice = lab.user("alice", &[]).unwrap();
    let describes = || lab.kms().describe_key(&alice, DescribeKey { key_id: key.clone().into() }).is_ok();
    let create = |name: &str, action: &str| {
        let parameters = json!({"PolicyName": name, "PolicyDocument": allow(action)});
        by_name(&lab, "CreatePolicy", parameters)
    };
    assert!(create("look", "kms:DescribeKey").is_ok() && create("fence", "kms:*").is_ok());
    assert_eq!(code_of(create("LOOK", "kms:*")), ErrorCode::EntityAlreadyExists);
    let (look, fence) = ("arn:aws:iam::111122223333:policy/look", "arn:aws:iam::111122223333:policy/fence");
    let on_alice =
        |operation: &str, arn: &str| by_name(&lab, operation, json!({"UserName": "alice", "PolicyArn": arn}));
    let version =
        |operation: &str, id: &str| by_name(&lab, operation, json!({"PolicyArn": look, "VersionId": id}));
    assert_eq!(
        code_of(on_alice("AttachUserPolicy", "arn:aws:iam::aws:policy/Nothing")),
        ErrorCode::NoSuchEntity
    );
    let others = on_alice("AttachUserPolicy", "arn:aws:iam::444455556666:policy/look");
    assert_eq!(code_of(others), ErrorCode::NoSuchEntity);
    assert!(!describes());
    on_alice("AttachUserPolicy", look).unwrap();
    assert!(describes());

    // A new version counts once it is in force.
    let add = json!({"PolicyArn": look, "PolicyDocument": allow("kms:ListKeys")});
    by_name(&lab, "CreatePolicyVersion", add).unwrap();
    assert!(describes());
    version("SetDefaultPolicyVersion", "v2").unwrap();
    assert!(!describes());
    assert_eq!(code_of(version("DeletePolicyVersion", "v2")), ErrorCode::DeleteConflict);
    version("SetDefaultPolicyVersion", "v1").unwrap();

    // The boundary must allow too, and gives nothing by itself.
    let bound = |arn: &str| {
        by_name(&lab, "PutUserPermissionsBoundary", json!({"UserName": "alice", "PermissionsBoundary": arn}))
    };
    bound("arn:aws:iam::aws:policy/AmazonS3FullAccess").unwrap();
    assert!(!describes());
    bound(fence).unwrap();
    assert!(describes());
    let delete = |arn: &str| by_name(&lab, "DeletePolicy", json!({"PolicyArn": arn}));
    assert_eq!(code_of(delete(fence)), ErrorCode::DeleteConflict, "it bounds alice");
    on_alice("DetachUserPolicy", look).unwrap();
    assert_eq!(code_of(on_alice("DetachUserPolicy", look)), ErrorCode::NoSuchEntity);
    assert!(!describes(), "a boundary alone allows nothing");
    by_name(&lab, "DeleteUserPermissionsBoundary", json!({"UserName": "alice"})).unwrap();
    delete(fence).unwrap();
    assert_eq!(code_of(delete(look)), ErrorCode::DeleteConflict, "it has two versions");
    version("DeletePolicyVersion", "v2").unwrap();
    delete(look).unwrap();
    assert_eq!(code_of(delete("arn:aws:iam::aws:policy/AdministratorAccess")), ErrorCode::AccessDenied);
}

#[test]
fn a_managed_policy_is_of_the_second_version_and_each_answer_tells_of_it_what_aws_tells() {
    let lab = Lab::new().unwrap();
    lab.user("alice", &[]).unwrap();
    let create = |name: &str, document: Value, more: Value| {
        let mut parameters = json!({"PolicyName": name, "PolicyDocument": document.to_string()});
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        by_name(&lab, "CreatePolicy", parameters)
    };
    let statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    let document = json!({"Version": "2012-10-17", "Statement": statement});
    for old in [json!({"Statement": statement}), json!({"Version": "2008-10-17", "Statement": statement})] {
        assert_eq!(code_of(create("old", old.clone(), json!({}))), ErrorCode::IamMalformedPolicyDocument);
        let inline = json!({"UserName": "alice", "PolicyName": "old", "PolicyDocument": old.to_string()});
        assert!(by_name(&lab, "PutUserPolicy", inline).is_ok(), "an inline one may be");
    }
    // Tools write an empty `Sid` at every statement.
    let twice = json!({"Sid": "", "Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    let document_twice = json!({"Version": "2012-10-17", "Statement": [twice, twice]});
    assert!(create("twice", document_twice, json!({})).is_ok());
    let made = create("one", document, json!({"Path": "/team/", "Description": "first"})).unwrap();
    assert_eq!((made["Policy"].get("Description"), made["Policy"].get("Tags")), (None, None));
    let arn = "arn:aws:iam::111122223333:policy/team/one";
    let got = by_name(&lab, "GetPolicy", json!({"PolicyArn": arn})).unwrap()["Policy"].take();
    assert_eq!((got.get("Description"), got.get("Tags")), (Some(&json!("first")), Some(&json!([]))));
    let names = |parameters: Value| {
        let listed = by_name(&lab, "ListPolicies", parameters).unwrap();
        let listed = listed["Policies"].as_array().unwrap().iter();
        listed.map(|policy| policy["PolicyName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({"Scope": "Local", "PathPrefix": "/team/"})), ["one"]);
    assert_eq!(names(json!({"Scope": "Local"})).len(), 2);
}

#[test]
fn a_boundary_can_be_demanded_of_whoever_makes_users() {
    let lab = Lab::new().unwrap();
    let fence = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:CreateUser",
        "Resource": "*", "Condition": {"StringEquals": {"iam:PermissionsBoundary": fence}}}]});
    let hr = lab.user_with_policy("hr", &policy.to_string()).unwrap();
    let iam = lab.keystore().iam();
    let create = |boundary: Option<&str>| {
        let permissions_boundary = boundary.map(|arn| arn.parse().unwrap());
        iam.call(&hr, &CreateUser { permissions_boundary, ..CreateUser::new("new".parse().unwrap()) })
    };
    assert_eq!(code_of(create(None)), ErrorCode::AccessDenied);
    assert_eq!(code_of(create(Some("arn:aws:iam::aws:policy/PowerUserAccess"))), ErrorCode::AccessDenied);
    let made = create(Some(fence)).unwrap();
    assert_eq!(made.permissions_boundary.unwrap().permissions_boundary_arn.to_string(), fence);
}

#[test]
fn a_provider_is_known_by_its_address_and_its_client_ids() {
    let lab = Lab::new().unwrap();
    let create = || {
        let parameters = json!({"Url": "https://token.example.com", "ClientIDList": ["keystead"],
            "CustomJwks": "{\"keys\": []}"});
        by_name(&lab, "CreateOpenIDConnectProvider", parameters)
    };
    let arn = create().unwrap()["OpenIDConnectProviderArn"].clone();
    assert_eq!(code_of(create()), ErrorCode::EntityAlreadyExists);
    let client = |operation: &str, id: &str| {
        by_name(&lab, operation, json!({"OpenIDConnectProviderArn": arn, "ClientID": id}))
    };
    client("AddClientIDToOpenIDConnectProvider", "other").unwrap();
    client("RemoveClientIDFromOpenIDConnectProvider", "keystead").unwrap();
    let get = || by_name(&lab, "GetOpenIDConnectProvider", json!({"OpenIDConnectProviderArn": arn}));
    let provider = get().unwrap();
    assert_eq!(
        (&provider["Url"], &provider["ClientIDList"]),
        (&json!("token.example.com"), &json!(["other"]))
    );
    by_name(&lab, "DeleteOpenIDConnectProvider", json!({"OpenIDConnectProviderArn": arn})).unwrap();
    assert_eq!(code_of(get()), ErrorCode::NoSuchEntity);
}
