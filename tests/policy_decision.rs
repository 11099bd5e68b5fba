//! The decision from Rust: proofs, unique ids, the lockout check, denials in AWS's words, and how long one takes.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::time::Instant;

use keystead::policy::{
    Action, CheckType, ConditionContext, Decision, DecisionEffect, GrantConstraint, GrantFacts,
    GrantOperation, NamedPolicy, Policy, PolicyKind, PrincipalFacts, Request, Resource, decide,
    keeps_control,
};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k1";

struct Decrypt;

impl Action for Decrypt {
    const NAME: &'static str = "kms:Decrypt";
}

struct Encrypt;

impl Action for Encrypt {
    const NAME: &'static str = "kms:Encrypt";
}

fn alice() -> PrincipalFacts {
    PrincipalFacts::new(ALICE.parse().unwrap())
}

fn key_policy(effect: &str, principal: &str, action: &str) -> Policy {
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "{effect}", "Principal": {{"AWS": "{principal}"}},
            "Action": "{action}", "Resource": "*"}}}}"#
    );
    Policy::parse(&text, PolicyKind::Key).unwrap()
}

fn decide_on(policy: &Policy, caller: &PrincipalFacts) -> Decision {
    let (key, context) = (Resource::key(&KEY.parse().unwrap()), ConditionContext::new());
    let mut request = Request::new(caller, "kms:Decrypt", &key, &context);
    request.layers.resource = Some(policy);
    decide(&request)
}

#[test]
fn a_proof_names_the_key_and_the_action_that_were_decided_on() {
    let allowed = decide_on(&key_policy("Allow", ALICE, "kms:*"), &alice());
    assert_eq!(allowed.authorize::<Decrypt>().unwrap().resource(), KEY);
    assert!(allowed.authorize::<Encrypt>().is_err());
    let denied = decide_on(&key_policy("Allow", ALICE, "kms:Encrypt"), &alice());
    assert_eq!(denied.authorize::<Decrypt>().unwrap_err().check(), CheckType::Resource);
}

#[test]
fn denials_are_in_the_words_of_aws() {
    let message = |policy| decide_on(&policy, &alice()).denial_message().unwrap();
    let start = format!("User: {ALICE} is not authorized to perform: kms:Decrypt on resource: {KEY} ");
    assert_eq!(
        message(key_policy("Allow", "111122223333", "kms:*")),
        format!("{start}because no identity-based policy allows the kms:Decrypt action")
    );
    assert_eq!(
        message(key_policy("Deny", ALICE, "kms:*")),
        format!("{start}with an explicit deny in a resource-based policy")
    );
    assert_eq!(decide_on(&key_policy("Allow", ALICE, "kms:*"), &alice()).denial_message(), None);
}

#[test]
fn whoever_comes_later_under_the_same_name_is_not_meant() {
    let (first, second) = (alice().with_unique_id("AIDAFIRST"), alice().with_unique_id("AIDASECOND"));
    let mut allow = key_policy("Allow", ALICE, "kms:*");
    assert!(decide_on(&allow, &second).is_allowed());
    allow.resolve_principals(|arn| (arn.as_str() == ALICE).then(|| "AIDAFIRST".into()));
    assert!(decide_on(&allow, &first).is_allowed());
    assert!(!decide_on(&allow, &second).is_allowed());
    assert!(!decide_on(&allow, &alice()).is_allowed());
    // A Deny still reaches a caller whose id is not known.
    let mut deny = key_policy("Deny", ALICE, "kms:*");
    deny.resolve_principals(|_| Some("AIDAFIRST".into()));
    assert_eq!(decide_on(&deny, &first).effect(), DecisionEffect::ExplicitDeny);
    assert_eq!(decide_on(&deny, &alice()).effect(), DecisionEffect::ExplicitDeny);
    assert_eq!(decide_on(&deny, &second).effect(), DecisionEffect::ImplicitDeny);
    assert_eq!(deny.principals().map(|arn| arn.as_str()).collect::<Vec<_>>(), [ALICE]);
}

#[test]
fn a_new_key_policy_must_leave_its_writer_in_control() {
    let (key, context) = (KEY.parse().unwrap(), ConditionContext::new());
    let keeps = |policy: &Policy| keeps_control(policy, &alice(), &key, &context);
    assert!(keeps(&key_policy("Allow", ALICE, "kms:Put*")));
    assert!(keeps(&key_policy("Allow", "arn:aws:iam::111122223333:root", "kms:*")));
    assert!(!keeps(&key_policy("Allow", ALICE, "kms:Decrypt")));
    assert!(!keeps(&key_policy("Allow", "arn:aws:iam::444455556666:root", "kms:*")));
    assert!(!keeps(&key_policy("Deny", ALICE, "kms:*")));
}

#[test]
fn policies_remember_where_their_statements_stand_and_refuse_what_is_deep_or_double() {
    let policy = key_policy("Allow", ALICE, "kms:*");
    let (sid, span) = policy.statement(0).unwrap();
    assert_eq!((sid, span.start.line, span.start.column, span.end.line), (None, 1, 40, 2));
    let double = r#"{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}"#;
    let error = Policy::parse(double, PolicyKind::Key).unwrap_err();
    assert_eq!((error.line(), error.column()), (1, 27));
    let deep = format!(r#"{{"Statement": [], "Id": {}{}}}"#, "[".repeat(32), "]".repeat(32));
    assert!(Policy::parse(&deep, PolicyKind::Key).unwrap_err().message().contains("deep"));
    let long = format!(r#"{{"Statement": [], "Id": "{}"}}"#, "x".repeat(6_144));
    assert!(Policy::parse(&long, PolicyKind::MANAGED).is_err());
    assert!(Policy::parse(&long, PolicyKind::INLINE_ROLE).is_ok());
}

/// The target is 5 µs in a release build; a debug build on a busy machine gets a hundred times that.
#[test]
fn a_decision_is_quick() {
    let statements: Vec<String> = (0..10)
        .map(|n| {
            format!(
                r#"{{"Effect": "Allow", "Principal": {{"AWS": ["arn:aws:iam::111122223333:role/r{n}", "arn:aws:iam::111122223333:root"]}},
                    "Action": ["kms:Describe*", "kms:Encrypt", "kms:Decrypt"], "Resource": "*",
                    "Condition": {{"StringEquals": {{"kms:ViaService": "s3.us-east-1.amazonaws.com"}}}}}}"#
            )
        })
        .collect();
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
    let key_policy = Policy::parse(&text, PolicyKind::Key).unwrap();
    let identity = Policy::parse(
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["s3:Get*", "kms:Encrypt"],
            "Resource": "arn:aws:kms:us-east-1:111122223333:key/*"}}"#,
        PolicyKind::MANAGED,
    )
    .unwrap();
    let identity = [NamedPolicy { name: "identity", policy: &identity }; 5];
    let (caller, key) = (alice(), Resource::key(&KEY.parse().unwrap()));
    let bob = "arn:aws:iam::111122223333:user/bobby".parse().unwrap();
    let operations = [GrantOperation::Decrypt].into_iter().collect();
    let no_constraint: Option<&GrantConstraint> = None;
    let grants = [GrantFacts {
        id: "g",
        name: None,
        grantee: &bob,
        grantee_id: None,
        retiring: None,
        retiring_id: None,
        issuing_account: None,
        operations,
        constraint: no_constraint,
    }; 100];
    let mut context = ConditionContext::new();
    context.principal(&caller).resource(&key, &caller).set("kms:ViaService", "s3.us-east-1.amazonaws.com");
    let mut request = Request::new(&caller, "kms:Decrypt", &key, &context);
    (request.layers.resource, request.layers.identity, request.grants) =
        (Some(&key_policy), &identity, &grants);
    let rounds = 2_000;
    let started = Instant::now();
    for _ in 0..rounds {
        assert!(!decide(std::hint::black_box(&request)).is_allowed());
    }
    let micros = started.elapsed().as_micros() / rounds;
    let micros_max = if cfg!(debug_assertions) { 500 } else { 50 };
    assert!(micros < micros_max, "a decision took {micros} µs");
}
