//! Explaining: a question is decided as the call itself is, a denial is remembered as it was decided, and whoever changes
//! what is remembered is noticed.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::{
    fs,
    sync::{Arc, Mutex},
};

use keystead::{
    audit::Record,
    keystore::{Keystore, KeystoreError, NewKeystore, Seal, WithoutAsking},
    kms::{
        About, CallError, Caller, CreateGrant, CreateKey, Decrypt, DescribeKey, DisableKey,
        EnableKeyRotation, Encrypt, Explanation, GenerateDataKey, PutKeyPolicy, Question,
        ScheduleKeyDeletion,
    },
    model::{EncryptionContext, KeyArn, KeyRef},
    policy::{CheckType, DecisionEffect, FixChange, GrantOperation, SmallestFix, simulate},
    services::s3::{Encryption, ObjectError},
    testing::Lab,
};
use serde_json::{Value, json};

/// An identity policy that never allows anything on a key, whose conditions show every condition key that there is.
fn showing_all_keys() -> String {
    let keys = [
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:SecureTransport",
        "aws:RequestedRegion",
        "aws:UserAgent",
        "aws:ViaAWSService",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalType",
        "aws:userid",
        "aws:PrincipalIsAWSService",
        "aws:ResourceAccount",
        "aws:username",
        "aws:SourceIp",
        "aws:CalledVia",
        "aws:ResourceTag/team",
        "aws:RequestTag/team",
        "aws:TagKeys",
        "aws:MultiFactorAuthPresent",
        "kms:CallerAccount",
        "kms:ViaService",
        "kms:KeySpec",
        "kms:KeyUsage",
        "kms:KeyOrigin",
        "kms:MultiRegion",
        "kms:ResourceAliases",
        "kms:RequestAlias",
        "kms:EncryptionContext:app",
        "kms:EncryptionContextKeys",
        "kms:EncryptionAlgorithm",
        "kms:ReEncryptOnSameKey",
        "kms:RotationPeriodInDays",
        "kms:ScheduleKeyDeletionPendingWindowInDays",
        "kms:BypassPolicyLockoutSafetyCheck",
    ];
    let conditions: serde_json::Map<String, Value> =
        keys.into_iter().map(|key| (key.into(), json!("nothing is called so"))).collect();
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Never", "Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": conditions},
    }]})
    .to_string()
}

fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("app", "chat")]).unwrap()
}

fn sealed(lab: &Lab, key: &KeyArn) -> Vec<u8> {
    let encrypt = Encrypt {
        key_id: key.clone().into(),
        plaintext: b"the secret".as_slice().into(),
        encryption_context: context(),
    };
    lab.kms().encrypt(&lab.admin(), encrypt).unwrap().ciphertext_blob
}

#[test]
fn a_question_is_decided_as_the_call_itself() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let ciphertext = sealed(&lab, &key);
    let alice = lab.user_with_policy("alice", &showing_all_keys()).unwrap();
    let heard: Arc<Mutex<Vec<Explanation>>> = Arc::default();
    let ear = Arc::clone(&heard);
    lab.keystore().watch_decisions(move |one| ear.lock().unwrap().push(one.clone()));

    let key_id: KeyRef = key.clone().into();
    let (kms, encryption_context) = (lab.kms(), context());
    let call = |action: &str| -> Result<(), CallError> {
        let (key_id, encryption_context) = (key_id.clone(), encryption_context.clone());
        match action {
            "kms:Encrypt" => {
                let plaintext = b"x".as_slice().into();
                kms.encrypt(&alice, Encrypt { key_id, plaintext, encryption_context }).map(drop)
            }
            "kms:Decrypt" => {
                let ciphertext_blob = ciphertext.clone();
                kms.decrypt(&alice, Decrypt { ciphertext_blob, key_id: None, encryption_context }).map(drop)
            }
            "kms:GenerateDataKey" => {
                let length = keystead::kms::DataKeyLength::Aes256;
                kms.generate_data_key(&alice, GenerateDataKey { key_id, length, encryption_context })
                    .map(drop)
            }
            "kms:DescribeKey" => kms.describe_key(&alice, DescribeKey { key_id }).map(drop),
            "kms:DisableKey" => kms.disable_key(&alice, DisableKey { key_id }),
            "kms:EnableKeyRotation" => {
                kms.enable_key_rotation(&alice, EnableKeyRotation { key_id, rotation_period: None })
            }
            "kms:ScheduleKeyDeletion" => kms
                .schedule_key_deletion(&alice, ScheduleKeyDeletion { key_id, pending_window: None })
                .map(drop),
            "kms:PutKeyPolicy" => {
                let policy =
                    kms.get_key_policy(&lab.admin(), keystead::kms::GetKeyPolicy { key_id: key_id.clone() })?;
                let bypass_policy_lockout_safety_check = false;
                kms.put_key_policy(
                    &alice,
                    PutKeyPolicy { key_id, policy, bypass_policy_lockout_safety_check },
                )
            }
            other => panic!("{other}"),
        }
    };
    for action in [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:DescribeKey",
        "kms:DisableKey",
        "kms:EnableKeyRotation",
        "kms:ScheduleKeyDeletion",
        "kms:PutKeyPolicy",
    ] {
        heard.lock().unwrap().clear();
        call(action).unwrap_err();
        let decided = heard.lock().unwrap().last().unwrap().trace.clone();
        let question = Question {
            encryption_context: context(),
            ..Question::new(action, About::Key(key.clone().into()))
        };
        let explained = lab.keystore().explain(&alice, &question).unwrap().trace;
        assert_eq!(explained, decided, "{action}");
        assert_eq!(explained.effect, DecisionEffect::ImplicitDeny);
    }
}

#[test]
fn asking_leaves_nothing_behind_and_supposes_what_it_is_told() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let with_mfa = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Decrypt",
        "Resource": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": true}}}});
    let alice = lab.user_with_policy("alice", &with_mfa.to_string()).unwrap();
    let before = records(lab.keystore()).len();
    let mut question = Question::new("kms:Decrypt", About::Key(key.into()));
    let effect = |question: &Question| lab.keystore().explain(&alice, question).unwrap().trace.effect;
    assert_eq!(effect(&question), DecisionEffect::ImplicitDeny);
    question.supposed.mfa = true;
    assert_eq!(effect(&question), DecisionEffect::Allowed);
    // One more: that of looking them up the first time.
    assert_eq!(records(lab.keystore()).len(), before + 1);
    let nobody = Caller::parse("user/nobody", &"111122223333".parse().unwrap()).unwrap();
    assert!(lab.keystore().explain(&nobody, &question).is_err());
}

fn records(keystore: &Keystore) -> Vec<Record> {
    keystore.audit_tail(&keystore.administrator(), 1_000).unwrap()
}

fn fact(record: &Record, name: &str) -> Option<Value> {
    record.additional_event_data.as_ref()?.get(name).cloned()
}

#[test]
fn a_denial_is_remembered_as_it_was_decided() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let bob = lab.user("bob", &["s3:GetObject"]).unwrap();
    let decrypt =
        || Decrypt { ciphertext_blob: sealed(&lab, &key), key_id: None, encryption_context: context() };
    let error = lab.kms().decrypt(&bob, decrypt()).unwrap_err();
    let id = error.decision().unwrap().to_owned();
    let record = records(lab.keystore()).into_iter().find(|one| one.error_code.is_some()).unwrap();
    assert_eq!(fact(&record, "decisionId"), Some(json!(id)));
    let as_decided = lab.keystore().decision(&id).unwrap().explanation.unwrap();
    assert_eq!(as_decided.trace.deciding, CheckType::Principal);
    assert!(!serde_json::to_string(&as_decided).unwrap().contains("the secret"));

    // The policy changes, and what was decided then stays what it was. Event and decision lead to the same.
    let allow =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let iam = lab.keystore().iam();
    let (user, name) = ("bob".parse().unwrap(), "all".parse().unwrap());
    iam.put_user_policy(&lab.admin(), user, name, &allow.to_string()).unwrap();
    lab.kms().decrypt(&bob, decrypt()).unwrap();
    assert_eq!(lab.keystore().decision(&id).unwrap().explanation.as_ref(), Some(&as_decided));
    assert_eq!(lab.keystore().decision(&record.event_id).unwrap().explanation, Some(as_decided));

    // What was allowed says in a word what allowed it.
    let allowed = records(lab.keystore()).into_iter().rev().find(|one| one.event_name == "Decrypt").unwrap();
    let by = json!([{"action": "kms:Decrypt", "check": "PRINCIPAL", "policy": "all", "statement": 1}]);
    assert_eq!(fact(&allowed, "allowedBy"), Some(by));
    assert_eq!(fact(&allowed, "decisionId"), None);
    assert_eq!(lab.keystore().decision(&allowed.event_id).unwrap().explanation, None);
    assert!(matches!(lab.keystore().decision("nothing"), Err(KeystoreError::NoSuchDecision(_))));
}

#[test]
fn a_service_names_the_decision_on_the_call_that_it_made() {
    let lab = Lab::new().unwrap();
    let bob = lab.user("bob", &["s3:GetObject"]).unwrap();
    let key = lab.key().unwrap();
    lab.put(&lab.admin(), "models", "x", Encryption::KmsKey(key.into()), b"weights").unwrap();
    let error = lab.get(&bob, "models", "x").unwrap_err();
    let ObjectError::Call(error) = error else { panic!("{error}") };
    let record = records(lab.keystore()).into_iter().rev().find(|one| one.event_name == "GetObject").unwrap();
    assert_eq!(fact(&record, "decisionId"), error.decision().map(|id| json!(id)));
    let found = lab.keystore().decision(&record.event_id).unwrap();
    let pair = found.explanation.unwrap().trace.pairs.pop().unwrap();
    assert_eq!((pair.action.as_str(), &*found.record.event_name), ("kms:Decrypt", "GetObject"));
}

#[test]
fn what_is_remembered_cannot_be_changed_unnoticed_and_may_be_thrown_away() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("keystore");
    let new = NewKeystore { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    let seal = Seal::KeyFile(place.path().join("keystore.key"));
    let keystore = Keystore::create(&directory, new, seal, "test").unwrap();
    let nobody = Caller::parse("user/nobody", &"111122223333".parse().unwrap()).unwrap();
    assert_eq!(keystore.kms().list_keys(&nobody, Default::default()).unwrap_err().decision(), None);
    let admin = keystore.administrator();
    let key = keystore.kms().create_key(&admin, CreateKey::default()).unwrap().arn;
    keystore.iam().create_user(&admin, "bob".parse().unwrap(), Default::default()).unwrap();
    let bob = keystore.caller("user/bob").unwrap();
    let error = keystore.kms().describe_key(&bob, DescribeKey { key_id: key.into() }).unwrap_err();
    let id = error.decision().unwrap();
    drop(keystore);

    let file = directory.join("decisions").join(format!("{id}.json"));
    let open = || Keystore::open(&directory, &mut WithoutAsking, "test").unwrap();
    assert!(open().decision(id).unwrap().explanation.is_some());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("implicitDeny", "allowed")).unwrap();
    assert!(matches!(open().decision(id), Err(KeystoreError::DecisionChanged(_))));
    fs::remove_dir_all(directory.join("decisions")).unwrap();
    assert!(matches!(open().decision(id), Err(KeystoreError::DecisionForgotten(_))));
    open().audit_verify().unwrap();
}

#[test]
fn the_smallest_fix_allows_when_it_is_made() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let bob = lab.user("bob", &["s3:GetObject"]).unwrap();
    let question = Question::new("kms:DescribeKey", About::Key(key.clone().into()));
    let fix = lab.keystore().explain(&bob, &question).unwrap().trace.smallest_fix;
    let Some(SmallestFix::Changes(changes)) = fix else { panic!("{fix:?}") };
    let [FixChange::Add { check: CheckType::Principal, statement, .. }] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    let describe = || lab.kms().describe_key(&bob, DescribeKey { key_id: key.clone().into() });
    describe().unwrap_err();
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let (user, name) = ("bob".parse().unwrap(), "fix".parse().unwrap());
    lab.keystore().iam().put_user_policy(&lab.admin(), user, name, &policy).unwrap();
    describe().unwrap();
    // It gave nothing else.
    lab.kms().disable_key(&bob, DisableKey { key_id: key.into() }).unwrap_err();
}

#[test]
fn no_fix_is_suggested_against_a_deny() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "NotTheseKeys", "Effect": "Deny", "Action": "kms:*", "Resource": "*"},
    ]});
    let bob = lab.user_with_policy("bob", &policy.to_string()).unwrap();
    let question = Question::new("kms:Decrypt", About::Key(key.into()));
    let trace = lab.keystore().explain(&bob, &question).unwrap().trace;
    let Some(SmallestFix::Withheld(why)) = trace.smallest_fix else { panic!("{:?}", trace.smallest_fix) };
    assert!(why.contains("NotTheseKeys"), "{why}");
}

#[test]
fn what_nobody_can_change_is_not_suggested() {
    let request = |layer: &str| {
        let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let mut request = json!({
            "principal": {"arn": "arn:aws:iam::111122223333:user/alice"},
            "action": "kms:ListKeys",
            "resource": "*",
            "policies": {"identity": [all]},
        });
        request["policies"][layer] = json!([[]]);
        simulate(&request).unwrap().trace.smallest_fix
    };
    let Some(SmallestFix::Withheld(why)) = request("rcp") else { panic!("{:?}", request("rcp")) };
    assert!(why.contains("RCPFullAWSAccess"), "{why}");
    let Some(SmallestFix::Changes(changes)) = request("scp") else { panic!("{:?}", request("scp")) };
    assert!(matches!(changes.as_slice(), [FixChange::Add { check: CheckType::ServiceControlPolicy, .. }]));
}

#[test]
fn what_came_close_is_no_statement_about_another_action() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let question = Question::new("kms:Decrypt", About::Key(key.into()));
    for (name, action, close) in [
        ("bob", "kms:DescribeKey", 0),
        ("carol", "kms:Encrypt", 0),
        ("dave", "kms:Decrpyt", 1),
        ("erin", "kms:Decryp*Key", 0),
    ] {
        let caller = lab.user(name, &[action]).unwrap();
        let trace = lab.keystore().explain(&caller, &question).unwrap().trace;
        assert_eq!(trace.near_misses.len(), 1, "{action}");
        assert_eq!(trace.telling_near_misses().len(), close, "{action}");
    }
}

#[test]
fn an_alias_is_decided_on_itself_and_not_on_its_key() {
    let lab = Lab::new().unwrap();
    lab.key().unwrap();
    let on = |resource: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:CreateAlias",
            "Resource": format!("arn:aws:kms:us-east-1:111122223333:{resource}")}})
        .to_string()
    };
    let alias = lab.user_with_policy("alice", &on("alias/m")).unwrap();
    let keys = lab.user_with_policy("bob", &on("key/*")).unwrap();
    let question = Question::new("kms:CreateAlias", About::Alias("alias/m".parse().unwrap()));
    let effect = |caller| lab.keystore().explain(caller, &question).unwrap().trace.effect;
    assert_eq!(effect(&alias), DecisionEffect::Allowed);
    assert_eq!(effect(&keys), DecisionEffect::ImplicitDeny);
}

#[test]
fn a_grant_that_allows_is_known_by_its_name() {
    let lab = Lab::new().unwrap();
    let key = lab.key().unwrap();
    let (bob, carol) = (lab.user("bob", &[]).unwrap(), lab.user("carol", &[]).unwrap());
    for (grantee, name) in [("bob", Some("nightly")), ("carol", None)] {
        let grantee = format!("arn:aws:iam::111122223333:user/{grantee}").parse().unwrap();
        let grant = CreateGrant::new(key.clone(), grantee, [GrantOperation::DescribeKey]);
        let name = name.map(|name| name.parse().unwrap());
        lab.kms().create_grant(&lab.admin(), CreateGrant { name, ..grant }).unwrap();
    }
    let question = Question::new("kms:DescribeKey", About::Key(key.clone().into()));
    for (caller, expected) in [(&bob, Some("nightly")), (&carol, None)] {
        let trace = lab.keystore().explain(caller, &question).unwrap().trace;
        let grant = trace.pairs[0].grants.iter().find(|grant| grant.applies).unwrap();
        assert_eq!(grant.name.as_deref(), expected);
        lab.kms().describe_key(caller, DescribeKey { key_id: key.clone().into() }).unwrap();
        let record = records(lab.keystore()).into_iter().rev().find(|one| one.event_name == "DescribeKey");
        let by = fact(&record.unwrap(), "allowedBy").unwrap();
        assert_eq!(by[0].get("grantName").and_then(Value::as_str), expected, "{by}");
    }
}
