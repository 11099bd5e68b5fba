//! Simulations beside the decisions that they foresee.

use serde_json::{Map, Value, json};

use crate::{
    kms::{CallError, Caller, Decrypt},
    model::{EncryptionContext, ErrorCode},
    services::iam::{OPERATIONS, SimulatePrincipalPolicy},
    testing::Lab,
};

fn ask(lab: &Lab, caller: &Caller, name: &str, parameters: Value) -> Result<Value, CallError> {
    let entry = OPERATIONS.iter().find(|entry| entry.name == name).unwrap();
    let Value::Object(parameters): Value = parameters else { return Ok(Value::Object(Map::new())) };
    entry.call(lab.kms(), caller, parameters).map(|reply| reply.body)
}

fn principal(lab: &Lab, parameters: Value) -> Value {
    ask(lab, &lab.admin(), "SimulatePrincipalPolicy", parameters).unwrap()
}

fn custom(lab: &Lab, parameters: Value) -> Value {
    ask(lab, &lab.admin(), "SimulateCustomPolicy", parameters).unwrap()
}

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1";

fn statement(effect: &str, action: &str, condition: Value) -> Value {
    json!({"Effect": effect, "Action": action, "Resource": "*", "Condition": condition})
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

#[test]
fn a_users_policies_come_to_what_the_user_meets() {
    let lab = Lab::new().unwrap();
    let alice = lab.user("alice", &["kms:Encrypt"]).unwrap();
    let key = lab.key().unwrap();
    let wish = json!({"PolicySourceArn": ALICE, "ActionNames": ["kms:Encrypt", "kms:Decrypt"], "ResourceArns": [key]});
    let answer = principal(&lab, wish);
    let results = answer["EvaluationResults"].as_array().unwrap();
    assert_eq!((results.len(), &answer["IsTruncated"]), (2, &json!(false)));
    let [encrypt, decrypt] = results.as_slice() else { panic!("{answer}") };
    assert_eq!(
        (&encrypt["EvalActionName"], &encrypt["EvalDecision"]),
        (&json!("kms:Encrypt"), &json!("allowed"))
    );
    assert_eq!(encrypt["EvalResourceName"], "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}");
    assert_eq!(encrypt["EvalDecisionDetails"], json!({}));
    let matched = &encrypt["MatchedStatements"][0];
    assert_eq!(
        (&matched["SourcePolicyId"], &matched["SourcePolicyType"]),
        (&json!("policy"), &json!("user"))
    );
    assert_eq!(matched["StartPosition"]["Line"], 1);
    let specific = &encrypt["ResourceSpecificResults"][0];
    assert_eq!(specific["EvalResourceName"], json!(key));
    assert_eq!(specific["EvalResourceDecision"], "allowed");
    assert_eq!(
        (&decrypt["EvalDecision"], &decrypt["MatchedStatements"]),
        (&json!("implicitDeny"), &json!([]))
    );
    // And so it is.
    let decrypt = Decrypt {
        ciphertext_blob: vec![1],
        key_id: Some(key.into()),
        encryption_context: EncryptionContext::new(),
    };
    assert_eq!(lab.kms().decrypt(&alice, decrypt).unwrap_err().code(), ErrorCode::AccessDenied);
}

#[test]
fn who_may_not_ask_is_denied_and_nobody_is_not_there() {
    let lab = Lab::new().unwrap();
    let bob = lab.user("bob", &["kms:*"]).unwrap();
    let code = |caller: &Caller, name: &str, parameters: Value| {
        ask(&lab, caller, name, parameters).unwrap_err().code()
    };
    let of = |arn: &str| json!({"PolicySourceArn": arn, "ActionNames": ["kms:Decrypt"]});
    let custom = json!({"PolicyInputList": [policy(&[])], "ActionNames": ["kms:Decrypt"]});
    assert_eq!(code(&bob, "SimulatePrincipalPolicy", of(ALICE)), ErrorCode::AccessDenied);
    assert_eq!(code(&bob, "SimulateCustomPolicy", custom), ErrorCode::AccessDenied);
    let admin = lab.admin();
    assert_eq!(code(&admin, "SimulatePrincipalPolicy", of(ALICE)), ErrorCode::NoSuchEntity);
    let root = "arn:aws:iam::111122223333:root";
    assert_eq!(code(&admin, "SimulatePrincipalPolicy", of(root)), ErrorCode::InvalidInput);
    for wrong in [
        json!({"PolicyInputList": ["{"], "ActionNames": ["kms:Decrypt"]}),
        json!({"PolicyInputList": [], "ActionNames": ["kms:*"]}),
        json!({"PolicyInputList": [], "ActionNames": ["kms:Decrypt"], "ResourceArns": ["key"]}),
        json!({"PolicyInputList": [], "ActionNames": ["kms:Decrypt"], "ResourceArns": [KEY], "ResourcePolicy": policy(&[])}),
        json!({"PolicyInputList": [], "ActionNames": ["kms:Decrypt"], "CallerArn": root}),
        json!({"PolicyInputList": [], "ActionNames": ["kms:Decrypt"],
            "ContextEntries": [{"ContextKeyName": "aws:x", "ContextKeyValues": ["a", "b"], "ContextKeyType": "string"}]}),
    ] {
        assert_eq!(code(&admin, "SimulateCustomPolicy", wrong.clone()), ErrorCode::InvalidInput, "{wrong}");
    }
}

#[test]
fn condition_keys_are_given_or_missing() {
    let lab = Lab::new().unwrap();
    let allow =
        policy(&[statement("Allow", "kms:Decrypt", json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}))]);
    let mut wish = json!({"PolicyInputList": [allow], "ActionNames": ["kms:Decrypt"]});
    let result = custom(&lab, wish.clone())["EvaluationResults"][0].clone();
    assert_eq!(result["EvalDecision"], "implicitDeny");
    assert_eq!(result["MissingContextValues"], json!(["aws:MultiFactorAuthPresent"]));
    assert_eq!((&result["EvalResourceName"], result.get("ResourceSpecificResults")), (&json!("*"), None));
    assert_eq!(result.get("EvalDecisionDetails"), None);
    let entry = |value: &str| json!([{"ContextKeyName": "aws:MultiFactorAuthPresent", "ContextKeyValues": [value], "ContextKeyType": "boolean"}]);
    for (value, decision) in [("true", "allowed"), ("false", "implicitDeny")] {
        wish["ContextEntries"] = entry(value);
        let result = custom(&lab, wish.clone())["EvaluationResults"][0].clone();
        assert_eq!(
            (&result["EvalDecision"], &result["MissingContextValues"]),
            (&json!(decision), &json!([]))
        );
    }
    let variable = policy(&[json!({"Effect": "Allow", "Action": "iam:GetUser",
        "Resource": "arn:aws:iam::111122223333:user/${aws:username}"})]);
    let mut wish =
        json!({"PolicyInputList": [variable], "ActionNames": ["iam:GetUser"], "ResourceArns": [ALICE]});
    assert_eq!(custom(&lab, wish.clone())["EvaluationResults"][0]["EvalDecision"], "implicitDeny");
    wish["CallerArn"] = json!(ALICE);
    assert_eq!(custom(&lab, wish)["EvaluationResults"][0]["EvalDecision"], "allowed");
}

#[test]
fn denies_boundaries_levels_and_the_resources_policy_have_their_say() {
    let lab = Lab::new().unwrap();
    let all = policy(&[statement("Allow", "kms:*", json!({}))]);
    let none = policy(&[statement("Allow", "s3:*", json!({}))]);
    let deny = policy(&[statement("Deny", "kms:Decrypt", json!({}))]);
    let with = |name: &str, value: Value| {
        let mut wish = json!({"PolicyInputList": [all], "ActionNames": ["kms:Decrypt"], "ResourceArns": [KEY], "CallerArn": ALICE});
        wish[name] = value;
        custom(&lab, wish)["EvaluationResults"][0].clone()
    };
    let denied = with("PolicyInputList", json!([all, deny]));
    assert_eq!(denied["EvalDecision"], "explicitDeny");
    assert_eq!(denied["MatchedStatements"].as_array().unwrap().len(), 1);
    assert_eq!(denied["MatchedStatements"][0]["SourcePolicyId"], "PolicyInputList.2");
    let bounded = with("PermissionsBoundaryPolicyInputList", json!([none]));
    assert_eq!(bounded["EvalDecision"], "implicitDeny");
    assert_eq!(bounded["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"], json!(false));
    let level = |text: &str| json!({"ServiceControlPolicyInputList": [text]});
    let held = with("OrderedOrganizationPolicyInputList", json!([level(&all), level(&none)]));
    assert_eq!(held["OrganizationsDecisionDetail"]["AllowedByOrganizations"], json!(false));
    assert_eq!(held["EvalDecision"], "implicitDeny");
    assert_eq!((held.get("EvalDecisionDetails"), &bounded["EvalDecisionDetails"]), (None, &json!({})));
    let abroad = with("ResourceArns", json!([KEY.replace("111122223333", "444455556666")]));
    assert_eq!(abroad.get("EvalDecisionDetails"), None);
    let free = with("OrderedOrganizationPolicyInputList", json!([level(&all), level(&all)]));
    assert_eq!(
        (&free["EvalDecision"], &free["OrganizationsDecisionDetail"]["AllowedByOrganizations"]),
        (&json!("allowed"), &json!(true))
    );
    let key_policy = |principal: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": {"AWS": principal}}})
        .to_string()
    };
    let delegated = with("ResourcePolicy", json!(key_policy("arn:aws:iam::111122223333:root")));
    assert_eq!(delegated["EvalDecision"], "allowed");
    let others = with("ResourcePolicy", json!(key_policy("arn:aws:iam::111122223333:user/bob")));
    assert_eq!(others["EvalDecision"], "implicitDeny");
}

#[test]
fn policies_can_be_left_out_and_actions_come_in_pages() {
    let lab = Lab::new().unwrap();
    lab.user("alice", &["kms:Decrypt"]).unwrap();
    let mut wish = json!({"PolicySourceArn": ALICE, "ActionNames": ["kms:Decrypt"], "ResourceArns": [KEY]});
    let decision =
        |wish: &Value| principal(&lab, wish.clone())["EvaluationResults"][0]["EvalDecision"].clone();
    assert_eq!(decision(&wish), "allowed");
    for exclusion in [
        json!({"PolicyType": "inline"}),
        json!({"InlinePolicyIdentifier": {"PolicyName": "policy", "AttachmentType": "user", "AttachmentName": "al*"}}),
    ] {
        wish["PolicyExclusionList"] = json!([exclusion]);
        assert_eq!(decision(&wish), "implicitDeny");
    }
    wish["PolicyExclusionList"] = json!([{"PolicyType": "aws-managed"}]);
    assert_eq!(decision(&wish), "allowed");

    let mut wish = json!({"PolicySourceArn": ALICE, "ActionNames": ["kms:Encrypt", "kms:Decrypt", "kms:Sign"], "MaxItems": 2});
    let first = principal(&lab, wish.clone());
    assert_eq!(
        (first["EvaluationResults"].as_array().unwrap().len(), &first["IsTruncated"]),
        (2, &json!(true))
    );
    wish["Marker"] = first["Marker"].clone();
    let last = principal(&lab, wish.clone());
    assert_eq!(last["EvaluationResults"][0]["EvalActionName"], "kms:Sign");
    assert_eq!((&last["IsTruncated"], last.get("Marker")), (&json!(false), None));
    wish["Marker"] = json!("elsewhere");
    let refused = ask(&lab, &lab.admin(), "SimulatePrincipalPolicy", wish).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::IamValidation);
    let typed = |name: &str| {
        serde_json::from_value::<SimulatePrincipalPolicy>(json!({"PolicySourceArn": name, "ActionNames": []}))
    };
    assert!(typed(ALICE).is_ok());
}
