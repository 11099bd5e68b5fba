//! What passes through an endpoint, what its policy keeps back, and what conditions see of it.

use serde_json::{Value, json};

use super::*;
use crate::{
    iam::UserName,
    kms::{About, CallError, Caller, CreateKey, DescribeKey, ListKeys, Question},
    model::{ErrorCode, KeyArn, VpcEndpointId},
    policy::{CheckEffect, CheckType},
    services::iam::GetUser,
    testing::Lab,
};

const ENDPOINT: &str = "vpce-1a2b3c4d";

fn call(lab: &Lab, caller: &Caller, name: &str, parameters: Value) -> Result<Value, CallError> {
    let entry = OPERATIONS.iter().find(|entry| entry.name == name).unwrap();
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    entry.call(lab.keystore().kms(), caller, parameters).map(|reply| reply.body)
}

/// An endpoint with this policy, and the administrator coming through it.
fn through(lab: &Lab, policy: Option<&Value>) -> Caller {
    let mut parameters = json!({"VpcId": "vpc-1a2b3c4d", "VpcEndpointId": ENDPOINT});
    if let Some(policy) = policy {
        parameters["PolicyDocument"] = json!(policy.to_string());
    }
    call(lab, &lab.admin(), "CreateVpcEndpoint", parameters).unwrap();
    lab.admin().through_vpc_endpoint(ENDPOINT.parse().unwrap())
}

fn describe(lab: &Lab, caller: &Caller, key: &KeyArn) -> Result<(), CallError> {
    lab.kms().describe_key(caller, DescribeKey { key_id: key.clone().into() }).map(drop)
}

fn allow(action: &str, condition: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Sid": "Look", "Effect": "Allow", "Principal": "*", "Action": action,
        "Resource": "*", "Condition": condition}})
}

#[test]
fn endpoints_are_made_described_changed_and_deleted_by_who_may() {
    let lab = Lab::new().unwrap();
    let (admin, bob) = (lab.admin(), lab.user("bob", &["kms:*"]).unwrap());
    let create = json!({"VpcId": "vpc-1a2b3c4d", "ServiceName": "com.amazonaws.us-east-1.kms"});
    assert_eq!(
        call(&lab, &bob, "CreateVpcEndpoint", create.clone()).unwrap_err().code(),
        ErrorCode::AccessDenied
    );
    let made = call(&lab, &admin, "CreateVpcEndpoint", create.clone()).unwrap();
    let id = made["VpcEndpoint"]["VpcEndpointId"].clone();
    assert!(id.as_str().unwrap().parse::<VpcEndpointId>().is_ok(), "{made}");
    let with = |name: &str, value: &str| {
        let mut create = create.clone();
        create[name] = json!(value);
        call(&lab, &admin, "CreateVpcEndpoint", create).unwrap_err().code()
    };
    assert_eq!(with("ServiceName", "com.amazonaws.eu-west-1.kms"), ErrorCode::InvalidServiceName);
    assert_eq!(with("PolicyDocument", "{}"), ErrorCode::Ec2InvalidPolicyDocument);
    assert_eq!(with("VpcEndpointId", id.as_str().unwrap()), ErrorCode::EntityAlreadyExists);

    let described = call(&lab, &admin, "DescribeVpcEndpoints", json!({})).unwrap();
    assert_eq!(described["VpcEndpoints"].as_array().unwrap().len(), 1);
    let modify = json!({"VpcEndpointId": id, "PolicyDocument": allow("kms:List*", &json!({})).to_string()});
    assert_eq!(
        call(&lab, &bob, "ModifyVpcEndpoint", modify.clone()).unwrap_err().code(),
        ErrorCode::AccessDenied
    );
    call(&lab, &admin, "ModifyVpcEndpoint", modify).unwrap();
    let ids = json!({"VpcEndpointIds": [id]});
    let described = call(&lab, &admin, "DescribeVpcEndpoints", ids.clone()).unwrap();
    assert!(described["VpcEndpoints"][0]["PolicyDocument"].as_str().unwrap().contains("kms:List*"));
    assert_eq!(
        call(&lab, &bob, "DeleteVpcEndpoints", ids.clone()).unwrap_err().code(),
        ErrorCode::AccessDenied
    );
    call(&lab, &admin, "DeleteVpcEndpoints", ids.clone()).unwrap();
    assert_eq!(
        call(&lab, &admin, "DescribeVpcEndpoints", ids).unwrap_err().code(),
        ErrorCode::VpcEndpointNotFound
    );
}

#[test]
fn what_the_endpoints_policy_does_not_allow_does_not_pass() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let inside = through(&lab, Some(&allow("kms:Describe*", &json!({}))));
    assert!(describe(&lab, &inside, &key).is_ok());
    let denied = lab.kms().list_keys(&inside, ListKeys::default()).unwrap_err();
    assert!(
        denied.message().ends_with("because no VPC endpoint policy allows the kms:ListKeys action"),
        "{denied}"
    );
    assert!(
        lab.kms().list_keys(&lab.admin(), ListKeys::default()).is_ok(),
        "who does not come through it may"
    );

    let mut policy = allow("kms:*", &json!({}));
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:CreateKey", "Resource": "*"});
    policy["Statement"] = json!([policy["Statement"], deny]);
    let modify = json!({"VpcEndpointId": ENDPOINT, "PolicyDocument": policy.to_string()});
    call(&lab, &lab.admin(), "ModifyVpcEndpoint", modify).unwrap();
    let denied = lab.kms().create_key(&inside, CreateKey::default()).unwrap_err();
    assert!(denied.message().ends_with("with an explicit deny in a VPC endpoint policy"), "{denied}");
    assert!(lab.kms().list_keys(&inside, ListKeys::default()).is_ok());
    let reset = json!({"VpcEndpointId": ENDPOINT, "ResetPolicy": true});
    call(&lab, &lab.admin(), "ModifyVpcEndpoint", reset).unwrap();
    assert!(lab.kms().create_key(&inside, CreateKey::default()).is_ok());

    // What passes still needs permission: the endpoint gives none.
    let nobody = lab.user("nobody", &[]).unwrap().through_vpc_endpoint(ENDPOINT.parse().unwrap());
    let denied = describe(&lab, &nobody, &key).unwrap_err();
    assert!(denied.message().contains("no identity-based policy"), "{denied}");
}

#[test]
fn an_endpoint_leads_to_kms_alone_and_one_that_is_gone_nowhere() {
    let lab = Lab::new().unwrap();
    let inside = through(&lab, None);
    assert!(lab.kms().list_keys(&inside, ListKeys::default()).is_ok());
    let name: UserName = "admin".parse().unwrap();
    let denied = lab.keystore().iam().call(&inside, &GetUser { user_name: Some(name) }).unwrap_err();
    assert!(denied.message().contains("no VPC endpoint policy allows the iam:GetUser"), "{denied}");
    call(&lab, &lab.admin(), "DeleteVpcEndpoints", json!({"VpcEndpointIds": [ENDPOINT]})).unwrap();
    let gone = lab.kms().list_keys(&inside, ListKeys::default()).unwrap_err();
    assert_eq!(gone.code(), ErrorCode::VpcEndpointNotFound);
}

#[test]
fn conditions_see_the_endpoint_and_not_the_address_outside() {
    let lab = Lab::new().unwrap();
    let inside = through(&lab, None);
    let policy = |condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
            {"Sid": "Fence", "Effect": "Deny", "Principal": "*", "Action": "kms:DescribeKey", "Resource": "*",
             "Condition": condition}]})
    };
    let key = |condition: Value| {
        let create = CreateKey::default().policy(policy(condition).to_string());
        lab.kms().create_key(&lab.admin(), create).unwrap().arn
    };
    for (condition, inside_passes, outside_passes) in [
        (json!({"StringNotEquals": {"aws:SourceVpce": ENDPOINT}}), true, false),
        (json!({"StringNotEquals": {"aws:SourceVpce": "vpce-99999999"}}), false, false),
        (json!({"StringNotEquals": {"aws:SourceVpc": "vpc-1a2b3c4d"}}), true, false),
        (json!({"IpAddress": {"aws:VpcSourceIp": "127.0.0.0/8"}}), false, true),
        (json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}), true, false),
        (json!({"Null": {"aws:SourceVpce": "true"}}), true, false),
    ] {
        let fenced = key(condition.clone());
        assert_eq!(describe(&lab, &inside, &fenced).is_ok(), inside_passes, "{condition} inside");
        assert_eq!(describe(&lab, &lab.admin(), &fenced).is_ok(), outside_passes, "{condition} outside");
    }
    let record = lab.keystore().audit_tail(&lab.admin(), 2).unwrap();
    let ids: Vec<_> = record.iter().map(|record| record.vpc_endpoint_id.as_deref()).collect();
    assert_eq!(ids, [Some(ENDPOINT), None]);
}

#[test]
fn an_explanation_shows_the_endpoints_policy() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let inside = through(&lab, Some(&allow("kms:Describe*", &json!({}))));
    let ask = |caller: &Caller, action: &str| {
        let question = Question::new(action, About::Key(key.clone().into()));
        let trace = lab.keystore().explain(caller, &question).unwrap().trace;
        (trace.deciding, trace.pairs[0].check(CheckType::VpcEndpoint).unwrap().effect)
    };
    assert_eq!(ask(&inside, "kms:DescribeKey").1, CheckEffect::Allow);
    assert_eq!(ask(&inside, "kms:Decrypt"), (CheckType::VpcEndpoint, CheckEffect::ImplicitDeny));
    assert_eq!(ask(&lab.admin(), "kms:Decrypt").1, CheckEffect::NoImpact);
}
